/* sampler.h - the next token out of logits.
 *
 * In the order of transformers' logits processors: repetition penalty, n-gram guard, temperature,
 * top-k, top-p, min-p. Probabilities are whole multiples of 2^-40 of the largest one, so that no
 * sum depends on its order. The same logits and seed give the same token wherever the C library's
 * exp() is the same; where it differs in its last bit, a token differs once in about 10^11. */
#ifndef OCC_TRAIN_GENERATE_SAMPLER_H
#define OCC_TRAIN_GENERATE_SAMPLER_H

#include <stdint.h>

#include "store/error.h"

struct sampling {
    double temperature; /* 0: the largest logit, the first of equal ones */
    int64_t top_k;      /* the k likeliest tokens; 0: all */
    double top_p;       /* the fewest likeliest ones that make this share of the rest; 1: all */
    double min_p;       /* those at least this share as likely as the likeliest; 0: all */
    double repetition;  /* divides positive logits of tokens that were there, multiplies negative
                           ones (Keskar et al. 2019); 1: does not */
    int64_t no_repeat;  /* no n tokens in a row a second time; 0: any */
};
#define SAMPLING_DEFAULTS                                                                          \
    { .top_p = 1, .repetition = 1 }

struct sampler; /* of one thread: memory for a vocabulary */

int sampler_open(struct sampler **out, int64_t vocabulary, struct error *e);
void sampler_close(struct sampler *s); /* NULL is allowed */

/* logits: of the vocabulary; they are changed. context: the tokens before, prompt included;
 * negative: what is no text. random: the state of the sequence (store/random.h), moved on where
 * something is drawn. ERR_FORMAT: the logits are not numbers; ERR_LIMIT: the guard leaves no token.
 */
int sampler_next(struct sampler *s, const struct sampling *o, float *logits, const int32_t *context,
                 int64_t count, uint64_t *random, int32_t *id, struct error *e);

/* What the last sampler_next with a temperature above 0 drew from: tokens with their weights out of
 * *total, likeliest first where k, p or min-p left some out. */
struct sampler_choice {
    int32_t id;
    uint64_t weight;
};
const struct sampler_choice *sampler_choices(const struct sampler *s, int64_t *count,
                                             uint64_t *total);

#endif
