/* worker.h - one thread of a measurement; for fidelity*.c alone. */
#ifndef OCC_TRAIN_FIDELITY_WORKER_H
#define OCC_TRAIN_FIDELITY_WORKER_H

#include "compress/reading_text.h"
#include "render/draw.h"
#include "train/fidelity/fidelity.h"
#include "train/fidelity/mixed.h"

struct fidelity_worker {
    const struct fidelity_options *o;
    const struct fonts *fonts;
    struct encoder_session *encoder;
    struct reader_session *reader;
    struct codec_state *codec;
    struct tokenizer_state *tokenizer;
    struct scorer *scorer;
    struct mixed_pages *mixed; /* of SET_SAMPLES, else NULL */
    struct bytes source, packed;
    struct reading_text read;
    struct drawn_page page, small;
    float *tokens, *work; /* work: tokens that something was done to */
    struct fidelity_result result;
    struct measured_rows rows;
};

/* The first page of w->source; rows and columns: cells that may be filled, 0: all. */
int fidelity_draw(struct fidelity_worker *w, struct drawn_page *out, int rows, int columns,
                  struct error *e);
/* A whole page as it was encoded. */
struct reading_page fidelity_page(const struct fidelity_worker *w, int rows, int columns);
/* Adds what is read of the tokens of `page`, of which `stored` are kept, to a state of the result,
 * and its rows where `watched`. */
struct fidelity_reading {
    struct reading_page page;
    int state;
    int64_t stored;
    bool watched;
};
int fidelity_compare(struct fidelity_worker *w, const float *tokens,
                     const struct fidelity_reading *reading, struct error *e);
/* What is left of w->tokens (rows, columns) after the halvings that were asked for. */
int fidelity_forget(struct fidelity_worker *w, int rows, int columns, struct error *e);
/* Adds the rows of w->read, each compared with what the page has in its place. */
int fidelity_watch(struct fidelity_worker *w, struct error *e);

#endif
