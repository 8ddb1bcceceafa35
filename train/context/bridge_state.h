/* bridge_state.h - what the files of the bridge share; private to train/context/. */
#ifndef OCC_TRAIN_CONTEXT_BRIDGE_STATE_H
#define OCC_TRAIN_CONTEXT_BRIDGE_STATE_H

#include "train/context/bridge.h"

/* Takes tensors one by one until one is refused. */
struct bridge_taker {
    tensor_spec_take *take;
    void *context;
    int rc;
    struct error *e;
};
void bridge_take(struct bridge_taker *to, struct tensor_spec spec, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A matrix and its bias. deviation: of the matrix, in parts of the usual one. */
void bridge_take_linear(struct bridge_taker *to, const char *group, int64_t outputs, int64_t inputs,
                        double deviation, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* Visual tokens, of `cells` each, that go through a part of the network together: as many as have
 * `piece` cells, or as many times more as the device is given at once. */
static inline int64_t bridge_together(const struct tape *t, int64_t piece, int64_t cells) {
    const int64_t most = piece * tape_device(t)->backend->batch();
    return cells < most ? most / cells : 1;
}

/* bridge_reading.c: tensors; the soft tokens of a group, (expand * count, width). */
void reading_list(struct bridge_taker *to, const struct bridge_options *o, bool reader);
struct node *reading_network(const struct bridge_options *o, const struct tape_source *source,
                             struct tape *t, const struct bridge_group *group, int64_t expand);

/* bridge_letters.c: what the head sees in the visual tokens of a group. */
enum {
    LETTERS_COLUMNS =
        READING_ROWS / 2 * READING_STEPS * READING_COLUMNS, /* of a cell, as text runs */
    LETTERS_BEFORE = 1,                                     /* characters that each is seen with */
    LETTERS_AFTER = 10,
    LETTERS_SEEN = LETTERS_BEFORE + 1 + LETTERS_AFTER,
};
struct letters {
    int64_t tokens, cells; /* visual tokens; cells of each */
    int64_t count;         /* characters */
    struct node *features; /* (count, embedding): what the head knows of each */
    int32_t *classes;      /* (count): of BRIDGE_NAMED: which of the alphabet each is */
    int32_t *columns;      /* (count), rising: cell of the group * LETTERS_COLUMNS + column */
    int64_t *first;        /* (tokens + 1): characters before each token */
    int64_t *run;          /* (tokens): the first token of the run that each belongs to */
};
/* The reading head's tensors that are used. */
void letters_list(struct bridge_taker *to, const struct bridge_options *o, bool reader);
bool letters_see(struct letters *out, const struct bridge_options *o,
                 const struct tape_source *source, struct tape *t,
                 const struct bridge_group *group);
/* Characters [first, first + count), each beside its neighbours of the run, zeros outside of it:
 * (count, LETTERS_SEEN * embedding). */
struct node *letters_windows(const struct letters *l, struct tape *t, int64_t first, int64_t count);

/* bridge_named.c: the same of BRIDGE_NAMED; `parts`: the decoder's. */
void named_list(struct bridge_taker *to, const struct bridge_options *o, bool reader);
struct node *named_network(const struct bridge_options *o, const struct tape_source *source,
                           struct tape *t, const struct decoder_parts *parts,
                           const struct bridge_group *group, int64_t expand);

/* bridge_names.c: what is written in the visual tokens of a group, in the decoder's tokens. */
struct named_tokens {
    int64_t count;
    int32_t *ids,
        *columns;   /* (count): of a token; where its first character stands, as in letters */
    int64_t *first; /* (visual tokens + 1): tokens that begin before each visual token */
};
bool names_read(struct named_tokens *out, const struct bridge_names *names,
                const struct letters *letters, struct tape *t);

/* bridge_merge.c: bridge.merge.L, `merges` of them, zeros at first; bridge.gain.L, `gains` of them,
 * 2^((first - L) / 2); bridge.shift. */
void merge_list(struct bridge_taker *to, const struct bridge_options *o, int merges, int gains,
                int first);
/* Neighbours in pairs: s_2i + s_2i+1 + merge.L [s_2i, s_2i+1], L the last one for larger levels. */
struct node *merge_pairs(const struct tape_source *source, struct tape *t, struct node *x,
                         int64_t width, int level, int merges);
/* shift + gain.L s, L likewise. */
struct node *merge_end(const struct tape_source *source, struct tape *t, struct node *s, int level,
                       int gains);
/* A vector in each of `rows` rows. */
struct node *merge_repeated(struct tape *t, struct node *vector, int64_t rows);

/* experts.c: tensors; what they make of soft tokens (tokens, width). */
void experts_list(struct bridge_taker *to, const struct bridge_options *o);
struct node *experts_network(const struct bridge_options *o, const struct tape_source *source,
                             struct tape *t, struct node *s, float scale,
                             struct bridge_routing *routing);

/* bridge_file.c: the options that `text` says, into a folder whose path is set; whether its
 * tensors, which are open, are those of the options. Parts of bridge_folder_open, for its fuzz
 * target. */
int bridge_parse(struct bridge_folder *f, const char *text, struct error *e);
int bridge_tensors_check(const struct bridge_folder *f, struct error *e);

#endif
