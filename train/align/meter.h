/* meter.h - how well a decoder reads visual tokens, with an adapter: `occ eval reading`. */
#ifndef OCC_TRAIN_ALIGN_METER_H
#define OCC_TRAIN_ALIGN_METER_H

#include "train/align/score.h"
#include "train/align/spans.h"

struct meter_options {
    const struct decoder_folder *model;
    struct decoder_parts parts;     /* with the adapter */
    struct context_network network; /* its bridge */
    double held_out;                /* share of the accounts that are measured, as `occ train align`
                                       holds them out; 0: all */
    int64_t row;                    /* tokens of a row, at most */
    uint64_t seed;
};
struct meter;
/* Histories and device outlive it. ERR_FORMAT: another encoder's tokens, none that show text. */
int meter_open(struct meter **out, const struct meter_options *o, struct history *const *histories,
               size_t count, struct device *device, struct error *e);
void meter_close(struct meter *m); /* NULL is allowed */
/* Accounts that are measured, and their tokens. */
int64_t meter_accounts(const struct meter *m, int64_t *tokens);
/* Adds `rows` rows of spans; the same ones for the same lesson, but for what stands before text
 * that follows. */
int meter_run(struct meter *m, const struct span_lesson *lesson, int64_t rows,
              struct score_sums *sums, struct error *e);

#endif
