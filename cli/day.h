/* day.h - options whose value is a day. */
#ifndef OCC_CLI_DAY_H
#define OCC_CLI_DAY_H

#include <stdint.h>

#include "store/error.h"

/* Seconds since 1970 of "2026-11-23", or such a number itself; NULL: those of now. ERR_USAGE names
 * `option`. */
int day_parse(int64_t *seconds, const char *option, const char *text, struct error *e);

#endif
