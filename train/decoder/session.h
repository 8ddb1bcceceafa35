/* session.h - generation: sequences with their keys and values, which grow. */
#ifndef OCC_TRAIN_DECODER_SESSION_H
#define OCC_TRAIN_DECODER_SESSION_H

#include "train/decoder/network.h"

struct decoder_session; /* of the thread that opened it */

/* `device` (often a team, device.h), configuration and parts outlive it. Room for `sequences`
 * sequences of `positions` tokens each. */
int decoder_session_open(struct decoder_session **out, struct device *device,
                         const struct decoder_config *c, const struct decoder_parts *parts,
                         int64_t sequences, int64_t positions, struct error *e);
void decoder_session_close(struct decoder_session *s); /* NULL is allowed */

/* Tokens that a sequence goes on with: at least one. */
struct decoder_turn {
    int64_t sequence;   /* each at most once in a call */
    const int32_t *ids; /* or NULL, with inputs */
    int64_t count;
    const float *inputs; /* (count, width), what stands in the place of embeddings; or NULL */
    const int32_t
        *positions; /* from 0 on, as the rotation takes them; NULL: those after the last */
};
/* logits: (turns, vocabulary) floats, after the last token of each turn; or, with `all`, (all
 * tokens, vocabulary). ERR_LIMIT: a sequence would be longer than there is room for; nothing has
 * changed. */
int decoder_extend(struct decoder_session *s, const struct decoder_turn *turns, int64_t count,
                   bool all, float *logits, struct error *e);
int64_t decoder_length(const struct decoder_session *s, int64_t sequence);
/* Keeps the first `length` tokens; 0 empties it. */
void decoder_shorten(struct decoder_session *s, int64_t sequence, int64_t length);

#endif
