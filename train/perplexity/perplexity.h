/* perplexity.h - how well a language model foresees a text: the mean of -log p(token | those before
 * it in its window). */
#ifndef OCC_TRAIN_PERPLEXITY_PERPLEXITY_H
#define OCC_TRAIN_PERPLEXITY_PERPLEXITY_H

#include <signal.h>

#include "train/decoder/network.h"

/* Windows stand side by side, and nothing is seen beyond one. Its first token is seen and not
 * foreseen; where the model begins texts with a token (begin.h), that stands before each window. */
struct perplexity_options {
    const struct decoder_config *config;
    struct decoder_parts parts;
    int64_t window;                      /* tokens, the one of the beginning included: 2 or more */
    int32_t begin;                       /* -1: none */
    const volatile sig_atomic_t *cancel; /* NULL: never */
};

struct perplexity_result {
    int64_t tokens, foreseen; /* of the text; of these, those that count */
    double loss;              /* sum over these, natural logarithm */
};

/* Adds `count` tokens to *result, which the caller clears. ERR_USAGE: a window that is too short or
 * longer than what the model was trained on, a token that it does not have. */
int perplexity_measure(const struct perplexity_options *o, struct device *device,
                       const int32_t *ids, int64_t count, struct perplexity_result *result,
                       struct error *e);

#endif
