/* forget_plan.h - what a pass of `occ forget` is about to cost, as it is printed before it. */
#ifndef OCC_CLI_FORGET_PLAN_H
#define OCC_CLI_FORGET_PLAN_H

#include "store/forget.h"

/* `r`: of a dry run with the options `o`. Prints to standard output. */
int forget_plan_print(const struct forget_result *r, const struct forget_options *o,
                      struct error *e);

#endif
