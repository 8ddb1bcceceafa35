/* fidelity.h - how much of the text a reading head finds again in visual tokens, after packing them
 * and after forgetting: what `occ eval fidelity` measures.
 *
 * Pages of held-out text and of random strings are rendered, encoded and read back. Errors are
 * summed over all pages: accuracy = 1 - edit distance / length in code points, rows and their
 * newlines included, greedy, without a language model. */
#ifndef OCC_TRAIN_FIDELITY_FIDELITY_H
#define OCC_TRAIN_FIDELITY_FIDELITY_H

#include "compress/encoder.h"
#include "compress/reader.h"
#include "render/text/profile.h"
#include "store/codec.h"
#include "train/tokenizer/tokenizer.h"

enum fidelity_kind { FIDELITY_PROSE, FIDELITY_RANDOM, FIDELITY_KINDS };
/* How tokens of a page are made fewer: in k halvings, before they are packed. */
enum fidelity_operator {
    FIDELITY_MERGE,
    FIDELITY_POOL,
    FIDELITY_RESIZE,
    FIDELITY_RENDER,
    FIDELITY_OPERATORS
};
extern const char *const FIDELITY_OPERATOR_NAMES[FIDELITY_OPERATORS + 1];
enum { FIDELITY_STEPS = 4 };

struct fidelity_options {
    const struct encoder *encoder;
    const struct reader *reader;
    const struct tokenizer *tokenizer;
    enum page_mode mode;
    int profile;
    const char *text; /* held-out text */
    size_t text_size;
    int64_t pages; /* of each kind */
    int64_t threads;
    int64_t steps; /* of forgetting, 0 to FIDELITY_STEPS */
    uint64_t seed; /* of the random strings, and where the text is cut */
};

struct fidelity_errors {
    int64_t distance, length;
};
struct fidelity_result {
    int64_t pages, characters, text_tokens, visual_tokens;
    double worst;                 /* accuracy of a page */
    struct fidelity_errors fresh; /* F32 */
    struct fidelity_errors codecs[CODEC_COUNT];
    struct fidelity_errors forgotten[FIDELITY_OPERATORS][FIDELITY_STEPS];
};

/* results: of FIDELITY_PROSE and FIDELITY_RANDOM. Operators that the encoder or the size of the
 * page does not allow have length 0. */
int fidelity_measure(const struct fidelity_options *options,
                     struct fidelity_result results[FIDELITY_KINDS], struct error *e);
double fidelity_accuracy(const struct fidelity_errors *errors); /* NAN where nothing was read */

#endif
