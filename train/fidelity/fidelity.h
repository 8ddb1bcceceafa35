/* fidelity.h - how much of the text a reading head finds again in visual tokens, after packing them
 * and after forgetting: what `occ eval fidelity` measures.
 *
 * Pages of a set of texts (set.h) are rendered, encoded and read back, greedy, without a language
 * model, and what was read is compared with the page's text (score.h): of pages in rows with their
 * newlines, of pages in cells exactly as it is. Scores are summed over all pages. */
#ifndef OCC_TRAIN_FIDELITY_FIDELITY_H
#define OCC_TRAIN_FIDELITY_FIDELITY_H

#include "compress/encoder.h"
#include "compress/reader.h"
#include "render/text/profile.h"
#include "store/codec.h"
#include "train/fidelity/calibrate.h"
#include "train/fidelity/score.h"
#include "train/fidelity/set.h"
#include "train/tokenizer/tokenizer.h"

/* How tokens of a page are made fewer: in k halvings, before they are packed. */
enum fidelity_operator {
    FIDELITY_OWN,  /* as the encoder learned it: of nested tokens the first numbers, else by maps */
    FIDELITY_POOL, /* means of neighbours */
    FIDELITY_RESIZE, /* the page made smaller, and encoded again */
    FIDELITY_RENDER, /* as much of the text as fits on a smaller page */
    FIDELITY_OPERATORS
};
extern const char *const FIDELITY_OPERATOR_NAMES[FIDELITY_OPERATORS + 1]; /* "own", ..., NULL */
enum { FIDELITY_HALVINGS = 4 };

/* In what state tokens are read: fresh (F32), after each codec, after each operator's halvings. */
enum {
    STATE_FRESH,
    STATE_CODECS,
    STATE_FORGOTTEN = STATE_CODECS + CODEC_COUNT,
    STATE_COUNT = STATE_FORGOTTEN + FIDELITY_OPERATORS * FIDELITY_HALVINGS
};
/* k: 1 to FIDELITY_HALVINGS; 0 is STATE_FRESH. */
static inline int state_forgotten(enum fidelity_operator how, int k) {
    return k == 0 ? STATE_FRESH : STATE_FORGOTTEN + (int)how * FIDELITY_HALVINGS + k - 1;
}

struct fidelity_options {
    const struct encoder *encoder;
    const struct reader *reader;
    const struct tokenizer *tokenizer;
    enum page_mode mode;
    int profile;
    const struct text_set *set;
    int64_t pages; /* at most: as many as the text fills, and one at least */
    int64_t threads;
    bool codecs;                          /* measure after each codec, too */
    bool halvings[FIDELITY_HALVINGS + 1]; /* after these numbers of them, by these: */
    bool operators[FIDELITY_OPERATORS];
    uint64_t seed;              /* of what is random */
    struct measured_rows *rows; /* gets the rows of all pages, fresh and forgotten by FIDELITY_OWN;
                                   NULL: they are not looked at */
};

struct fidelity_state {
    struct score score; /* length 0: it was not measured */
    int64_t tokens;     /* that the pages had in it */
};
struct fidelity_result {
    int64_t pages, characters, text_tokens;
    double worst; /* share of the characters of a page, fresh */
    struct fidelity_state states[STATE_COUNT];
};

/* Operators that the encoder or the size of the page does not allow are left out. */
int fidelity_measure(const struct fidelity_options *options, struct fidelity_result *result,
                     struct error *e);
void fidelity_add(struct fidelity_result *to, const struct fidelity_result *from);

#endif
