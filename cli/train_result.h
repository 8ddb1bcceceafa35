/* train_result.h - what a run of `occ train tune` came to, for programs: result.json in its folder.
 */
#ifndef OCC_CLI_TRAIN_RESULT_H
#define OCC_CLI_TRAIN_RESULT_H

#include "train/tune/tune.h"

/* {"steps", "rows", "tokens", "tokens_per_second", "trained", "held_out" (null: not measured),
 * "predicted": {bytes by ledger.h's names, "total"}, "measured": {the same}, "peak": bytes that the
 * process had}. Of this process alone are tokens, rate, measured and peak. */
int train_result_write(const char *path, const struct tune_result *r, struct error *e);

#endif
