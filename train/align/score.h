/* score.h - rows through bridge and decoder: losses, and how many tokens are foreseen. Private to
 * train/align/. */
#ifndef OCC_TRAIN_ALIGN_SCORE_H
#define OCC_TRAIN_ALIGN_SCORE_H

#include "train/context/row.h"

/* What was found on rows. */
struct score_sums {
    double loss; /* of all targets */
    int64_t targets, tokens, rows;
    int64_t right; /* targets that are the likeliest token; where that was looked at */
};
void score_sums_add(struct score_sums *to, const struct score_sums *from);
static inline double score_sums_loss(const struct score_sums *s) {
    return s->targets > 0 ? s->loss / (double)s->targets : 0;
}
static inline double score_sums_accuracy(const struct score_sums *s) {
    return s->targets > 0 ? (double)s->right / (double)s->targets : 0;
}

/* What a thread goes through rows with; the caller's are read, `parts` and `network` for each. */
struct score {
    const struct decoder_config *config;
    struct device *device;
    struct tensor frequency, loss; /* of the device */
    struct tensor states;          /* (row, width), F32: of targets, to find the likeliest tokens */
};
/* row: tokens of one, at most. */
int score_open(struct score *s, struct device *d, const struct decoder_config *c, int64_t row,
               struct error *e);
void score_close(struct score *s); /* {0} is allowed */

/* Forward, and backward from `scale` times the loss. */
int score_learn(struct score *s, const struct context_network *network,
                const struct decoder_parts *parts, struct tape *t, const struct context_row *row,
                float scale, struct score_sums *sums, struct error *e);
/* Forward alone, and which token would be the likeliest for each target. */
int score_measure(struct score *s, const struct context_network *network,
                  const struct decoder_parts *parts, struct tape *t, const struct context_row *row,
                  struct score_sums *sums, struct error *e);

#endif
