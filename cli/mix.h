/* mix.h - options like "tiny:6,base:2": shares by name. */
#ifndef OCC_CLI_MIX_H
#define OCC_CLI_MIX_H

#include "store/error.h"

/* Fills shares[i] for names[i] (NULL at the end); a name without a number counts 1, names that are
 * not there 0. ERR_USAGE names `option`. */
int mix_parse(double *shares, const char *const *names, const char *option, const char *text,
              struct error *e);

#endif
