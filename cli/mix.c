/* mix.c - see mix.h. */
#include "cli/mix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int find(const char *const *names, const char *text, size_t length) {
    for (int i = 0; names[i] != NULL; i++) {
        if (strlen(names[i]) == length && memcmp(names[i], text, length) == 0) {
            return i;
        }
    }
    return -1;
}

int mix_parse(double *shares, const char *const *names, const char *option, const char *text,
              struct error *e) {
    double sum = 0;
    for (int i = 0; names[i] != NULL; i++) {
        shares[i] = 0;
    }
    for (const char *at = text; *at != '\0'; at += *at == ',') {
        size_t length = strcspn(at, ":,");
        int i = find(names, at, length);
        if (i < 0) {
            return error_set(e, ERR_USAGE, "--%s: '%.*s' is not one of its names", option,
                             length < 40 ? (int)length : 40, at);
        }
        at += length;
        shares[i] = 1;
        if (*at == ':') {
            char *end;
            shares[i] = strtod(at + 1, &end);
            if (end == at + 1 || (*end != ',' && *end != '\0') || !isfinite(shares[i]) ||
                shares[i] < 0) {
                return error_set(e, ERR_USAGE, "--%s: '%.40s' is not a share, as in tiny:6", option,
                                 at);
            }
            at = end;
        }
        sum += shares[i];
    }
    return sum > 0 ? 0 : error_set(e, ERR_USAGE, "--%s: names nothing", option);
}
