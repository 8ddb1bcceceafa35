/* number.h - options whose value is a real number. */
#ifndef OCC_CLI_NUMBER_H
#define OCC_CLI_NUMBER_H

#include "store/error.h"

/* A finite number of at least `least` and at most `most`; ERR_USAGE names `option`. */
int number_parse(double *out, const char *option, const char *text, double least, double most,
                 struct error *e);

#endif
