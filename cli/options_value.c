/* options_value.c - values of options from text, checked whole, and numbers back to text.
 *
 * A number that is not whole, has anything after it or leaves its limits is refused with a text
 * that says what was expected; nothing is rounded or cut to fit, except that a duration is rounded
 * to the millisecond. Decimal digits only: no octal, no hexadecimal. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/options.h"

static const char WHOLE[] = "a whole number";
static const char SIZE[] = "a size: a whole number, then k, M, G or T for powers of 1024";
static const char DURATION[] = "a duration: a number, then ms, s, m, h or d; seconds without";
static const char SHARE[] = "a share: I/N with 0 <= I < N, as 0/4";

static int refuse(const char *text, const char *expected, struct error *e) {
    error_set(e, ERR_USAGE, "'%s' is not %s", text, expected);
    return ERR_USAGE;
}

static int too_large(const char *text, struct error *e) {
    error_set(e, ERR_USAGE, "'%s' is too large", text);
    return ERR_USAGE;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* The digits at the start of `digits`, which is a part of `text`; *end is after them. */
static int read_digits(const char *text, const char *digits, const char *expected, char **end,
                       int64_t *out, struct error *e) {
    if (!is_digit(digits[0]) && !(digits[0] == '-' && is_digit(digits[1]))) {
        return refuse(text, expected, e);
    }
    errno = 0;
    long long value = strtoll(digits, end, 10);
    if (errno == ERANGE) {
        return too_large(text, e);
    }
    *out = value;
    return 0;
}

static int read_whole(const char *text, int64_t *out, struct error *e) {
    char *end = NULL;
    int rc = read_digits(text, text, WHOLE, &end, out, e);
    return rc == 0 && *end ? refuse(text, WHOLE, e) : rc;
}

static int read_size(const char *text, int64_t *out, struct error *e) {
    static const char PREFIXES[] = "kMGT";
    char *end = NULL;
    int rc = read_digits(text, text, SIZE, &end, out, e);
    if (rc < 0 || !*end) {
        return rc;
    }
    int power = 0;
    for (int i = 0; PREFIXES[i]; i++) {
        if (tolower((unsigned char)*end) == tolower((unsigned char)PREFIXES[i])) {
            power = i + 1;
        }
    }
    /* "kB" is refused: to half of the readers it means 1000. */
    if (power == 0 || (end[1] && strcasecmp(end + 1, "iB") != 0)) {
        return refuse(text, SIZE, e);
    }
    int64_t factor = INT64_C(1) << (10 * power);
    if (*out > INT64_MAX / factor || *out < INT64_MIN / factor) {
        return too_large(text, e);
    }
    *out *= factor;
    return 0;
}

static const struct {
    const char *suffix;
    int64_t ms;
} DURATION_UNITS[] = {{"ms", 1},          {"s", 1000},         {"m", 60 * 1000},
                      {"h", 3600 * 1000}, {"d", 86400 * 1000}, {"", 1000}};
enum { DURATION_UNIT_COUNT = sizeof DURATION_UNITS / sizeof *DURATION_UNITS };

static int read_duration(const char *text, int64_t *out, struct error *e) {
    char *end = NULL;
    int64_t whole = 0;
    if (text[0] == '-') { /* of "-0.5s" the sign would be lost with the zero */
        return refuse(text, DURATION, e);
    }
    int rc = read_digits(text, text, DURATION, &end, &whole, e);
    if (rc < 0) {
        return rc;
    }
    int64_t billionths = 0;
    if (end[0] == '.' && is_digit(end[1])) {
        end++;
        for (int64_t place = 100 * 1000 * 1000; is_digit(*end); place /= 10) {
            billionths += (*end++ - '0') * place;
        }
    }
    for (int i = 0; i < DURATION_UNIT_COUNT; i++) {
        if (strcmp(end, DURATION_UNITS[i].suffix) == 0) {
            int64_t ms = DURATION_UNITS[i].ms;
            if (whole >= INT64_MAX / ms) { /* not >: the fraction may add up to one unit */
                return too_large(text, e);
            }
            *out = whole * ms + (billionths * ms + 500 * 1000 * 1000) / (1000 * 1000 * 1000);
            return 0;
        }
    }
    return refuse(text, DURATION, e);
}

static int read_share(const char *text, int64_t out[2], struct error *e) {
    char *end = NULL;
    int64_t share[2];
    int rc = read_digits(text, text, SHARE, &end, &share[0], e);
    if (rc < 0) {
        return rc;
    }
    if (*end != '/') {
        return refuse(text, SHARE, e);
    }
    rc = read_digits(text, end + 1, SHARE, &end, &share[1], e);
    if (rc < 0) {
        return rc;
    }
    if (*end || share[0] < 0 || share[0] >= share[1]) {
        return refuse(text, SHARE, e);
    }
    memcpy(out, share, sizeof share);
    return 0;
}

static int read_yes_no(const char *text, bool *out, struct error *e) {
    static const char *const WORDS[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        if (strcasecmp(text, WORDS[i]) == 0) {
            *out = i % 2;
            return 0;
        }
    }
    return refuse(text, "yes or no", e);
}

static int read_choice(const struct option_spec *spec, const char *text, int *out,
                       struct error *e) {
    char list[256] = "";
    for (int i = 0; spec->choices[i] != NULL; i++) {
        if (strcmp(text, spec->choices[i]) == 0) {
            *out = i;
            return 0;
        }
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", spec->choices[i]);
    }
    return error_set(e, ERR_USAGE, "'%s' is not one of %s", text, list);
}

static int read_list(const char *text, struct option_list *out, struct error *e) {
    if (out->count == OPTION_LIST_MOST) {
        return error_set(e, ERR_USAGE, "more than %d of them", OPTION_LIST_MOST);
    }
    out->texts[out->count++] = text;
    return 0;
}

static int check_limits(const struct option_spec *spec, int64_t value, struct error *e) {
    char got[32];
    char limit[32];
    int64_t maximum = options_maximum(spec);
    options_format(got, spec->type, value);
    if (value < spec->minimum) {
        options_format(limit, spec->type, spec->minimum);
        return error_set(e, ERR_USAGE, "%s is less than %s", got, limit);
    }
    if (value > maximum) {
        options_format(limit, spec->type, maximum);
        return error_set(e, ERR_USAGE, "%s is more than %s", got, limit);
    }
    return 0;
}

static int read_number(const struct option_spec *spec, const char *text, int64_t *out,
                       struct error *e) {
    int64_t value = 0;
    int rc = spec->type == OPTION_SIZE       ? read_size(text, &value, e)
             : spec->type == OPTION_DURATION ? read_duration(text, &value, e)
                                             : read_whole(text, &value, e);
    if (rc == 0) {
        rc = check_limits(spec, value, e);
    }
    if (rc == 0) {
        *out = value;
    }
    return rc;
}

int options_read(const struct option_spec *spec, const char *text, void *values, struct error *e) {
    static const struct option_spec COUNT = {.type = OPTION_INTEGER, .maximum = INT_MAX};
    void *field = (char *)values + spec->offset;
    bool yes = false;
    int64_t number = 0;
    int rc = 0;
    switch (spec->type) {
    case OPTION_FLAG:
        return read_yes_no(text, field, e);
    case OPTION_SWITCH:
        rc = read_yes_no(text, &yes, e);
        if (rc == 0) {
            *(int *)field = yes;
        }
        return rc;
    case OPTION_COUNT:
        rc = read_number(&COUNT, text, &number, e);
        if (rc == 0) {
            *(int *)field = (int)number;
        }
        return rc;
    case OPTION_INTEGER:
    case OPTION_SIZE:
    case OPTION_DURATION:
        return read_number(spec, text, field, e);
    case OPTION_TEXT:
        *(const char **)field = text;
        return 0;
    case OPTION_CHOICE:
        return read_choice(spec, text, field, e);
    case OPTION_SHARE:
        return read_share(text, field, e);
    case OPTION_LIST:
        return read_list(text, field, e);
    }
    return error_set(e, ERR_USAGE, "unknown type of option");
}

void options_format(char out[32], enum option_type type, int64_t value) {
    const char *suffix = "";
    if (type == OPTION_SIZE) {
        static const char *const SUFFIXES[] = {"", "k", "M", "G", "T"};
        int power = 0;
        while (power < 4 && value != 0 && value % 1024 == 0) {
            value /= 1024;
            power++;
        }
        suffix = SUFFIXES[power];
    } else if (type == OPTION_DURATION && value != 0) {
        int unit = 0;
        for (int i = 1; DURATION_UNITS[i].suffix[0]; i++) {
            unit = value % DURATION_UNITS[i].ms == 0 ? i : unit;
        }
        suffix = DURATION_UNITS[unit].suffix;
        value /= DURATION_UNITS[unit].ms;
    }
    snprintf(out, 32, "%" PRId64 "%s", value, suffix);
}
