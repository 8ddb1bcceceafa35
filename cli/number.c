/* number.c - see number.h. */
#include "cli/number.h"

#include <math.h>
#include <stdlib.h>

int number_parse(double *out, const char *option, const char *text, double least, double most,
                 struct error *e) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value) || value < least || value > most) {
        return error_set(e, ERR_USAGE, "--%s: '%.40s' is not a number from %g to %g", option, text,
                         least, most);
    }
    *out = value;
    return 0;
}
