/* paper_metrics.h - `occ eval paper --metrics`: what the metrics are worth. */
#ifndef OCC_CLI_PAPER_METRICS_H
#define OCC_CLI_PAPER_METRICS_H

#include <stdbool.h>

#include "store/error.h"

/* Prints what train/paper/known.h measures of a folder of train/paper/accounts.sh. */
int paper_metrics(const char *folder, bool json, struct error *e);

#endif
