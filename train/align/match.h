/* match.h - what the files of matching share; private to match*.c and their tests.
 *
 * Of a bridge that reads (BRIDGE_READING) its spelling is learned: of each character that the
 * reading head finds, the embeddings of the text tokens that begin there. Of the others each soft
 * token is to be the mean of the embeddings under its part of the visual token. */
#ifndef OCC_TRAIN_ALIGN_MATCH_H
#define OCC_TRAIN_ALIGN_MATCH_H

#include "train/align/task.h"

enum { MATCH_CELLS = 8 /* of a sample, at most: 16 samples a step, unless options say so */ };

/* ---- Sums ------------------------------------------------------------------------------------ */

struct match_sums {
    double loss; /* of means: sum over rows; of spelling: over samples */
    int64_t rows;
    int64_t right, words; /* of spelling: how many are the nearest word, of how many */
    /* Of means. */
    double cosine; /* over rows */
    double product, squares[2];
    double *means[2]; /* (width): sums of what is and of what is to be, owned; NULL: not wanted */
};
/* Adds rows of s (rows, width) and of their aims to the sums; gradient: of `scale` times their
 * loss, NULL: not wanted. square: the mean square of an embedding's number. */
void match_rows(struct match_sums *sums, const float *s, const float *aims, int64_t rows,
                int64_t width, double square, float scale, float *gradient);
/* Of all numbers, each less the mean of its column. */
double match_cosine(const struct match_sums *sums, int64_t width);

/* ---- Words ----------------------------------------------------------------------------------- */

/* The commonest text tokens, which a spelled one is told from: embeddings less the mean of all. */
struct match_words {
    int32_t *ids;    /* (count), owned, as all others */
    int32_t *places; /* (vocabulary): among them, or -1 */
    int64_t count;
    float *mean; /* (width) */
    /* Of all, and of none, which is zeros: (count + 1, width), embeddings less the mean, times
     * MATCH_SHARP; (count + 1, 1), - MATCH_SHARP |e|^2 / 2. Of the network's device. */
    struct tensor rows, bias;
    struct device *device;
};
#define MATCH_SHARP 0.7
int match_words_open(struct match_words *w, const struct align_network *n, struct error *e);
/* As large, and nowhere: for a forecast. */
int match_words_blank(struct match_words *w, const struct decoder_config *c, struct error *e);
void match_words_close(struct match_words *w); /* {0} is allowed */

/* ---- Spelling -------------------------------------------------------------------------------- */

/* Which of `found` characters of a cell is the `at`-th of the `characters` of its text: the head
 * may find more or fewer. */
int64_t match_character(int64_t at, int64_t characters, int64_t found);
/* The squared errors of match_spell.c, of rows of z: `starts` with aims, `others` with none;
 * gradient: of `scale` times that. */
double match_near(const float *z, const float *aims, int64_t starts, int64_t others, int64_t width,
                  double scale, float *gradient);

/* ---- The task -------------------------------------------------------------------------------- */

struct match_task {
    const struct align_network *network;
    struct match_words words; /* BRIDGE_READING */
    int64_t samples;          /* of a step */
    int64_t step;
    struct match_sums learned, held_out;
    double best, last; /* losses */
    double share,
        last_share; /* of the best weights, of the last: cosine, or words that are right */
    bool is_news;
};

/* Memory of the host that grows. */
enum { MATCH_SOFT, MATCH_AIMS, MATCH_GRADIENT, MATCH_EMBEDDED, MATCH_BUFFERS };
struct match_worker {
    struct match_task *task;
    struct device *device;
    struct span_rows *rows;
    uint64_t *numbers;          /* of the step's samples, those of this thread */
    float *host[MATCH_BUFFERS]; /* owned */
    size_t capacity[MATCH_BUFFERS];
    struct match_sums learned, held_out;
};
/* Room for `count` numbers in a buffer; NULL: no memory, as the tape then says. */
float *match_room(struct match_worker *w, struct tape *t, int buffer, int64_t count);
/* A node's numbers, to the host. */
void match_fetch(struct match_worker *w, struct tape *t, const struct node *x, float *to);

/* Sample `number` of a set: forward; and back, from `scale` times its mean loss, 0: not at all. */
typedef int match_sample(struct match_worker *w, enum corpus_set set, uint64_t number,
                         const struct trainer_pass *pass, double scale, struct match_sums *sums,
                         struct error *e);
/* One that takes as much memory as any. */
typedef int match_rehearsal(struct match_worker *w, const struct trainer_pass *pass,
                            struct error *e);
match_sample match_means, match_spelling;
match_rehearsal match_means_rehearse, match_spelling_rehearse;

#endif
