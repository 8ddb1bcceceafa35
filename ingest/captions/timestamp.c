/* timestamp.c - see timestamp.h. */
#include "ingest/captions/timestamp.h"

#include <string.h>

#define NUMBER_MOST INT64_C(1000000000000) /* times 3,600,000 still fits */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static const char *skip_blanks(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\f')) {
        p++;
    }
    return p;
}

/* An integer with blanks and a sign before it, as scanf reads it. */
static bool read_number(const char **at, const char *end, int64_t *value, bool *negative) {
    const char *p = skip_blanks(*at, end);
    bool minus = p < end && *p == '-';
    p += minus;
    if (p == end || !is_digit(*p)) {
        return false;
    }
    for (*value = 0; p < end && is_digit(*p); p++) {
        *value = *value * 10 + (*p - '0');
        *value = *value < NUMBER_MOST ? *value : NUMBER_MOST;
    }
    *negative |= minus;
    *at = p;
    return true;
}

/* The milliseconds of the fraction whose digits, perhaps after blanks, begin at *at. */
static bool read_fraction(const char **at, const char *end, int64_t *ms, bool *negative) {
    const char *p = *at;
    int64_t value = 0;
    if (!read_number(&p, end, &value, negative)) {
        return false;
    }
    int64_t nanoseconds = 0, unit = 100000000;
    int digits = 0;
    for (const char *q = *at; q < p; q++) {
        if (*q != '-') {
            nanoseconds += is_digit(*q) ? (*q - '0') * unit : 0;
            unit /= 10;
            digits++;
        }
    }
    *ms = digits == 4 && value == 1000 ? 1000 : nanoseconds / 1000000;
    *at = p;
    return true;
}

bool timestamp_read(const char **p, const char *end, enum timestamp_style kind, int64_t *ms) {
    const char *q = *p;
    bool hundredths = kind == TIMESTAMP_HUNDREDTHS;
    int64_t numbers[3] = {0}, fraction = 0;
    int count = 0;
    bool negative = false;
    while (count < 3 && read_number(&q, end, &numbers[count], &negative)) {
        count++;
        if (count == 3 || q == end || *q != ':') {
            break;
        }
        q++;
    }
    if (count < 2 || q[-1] == ':') {
        return false;
    }
    const char *after = q + 1;
    bool point = q < end && (*q == '.' || *q == ',');
    if (point && (hundredths ? read_number(&after, end, &fraction, &negative)
                             : read_fraction(&after, end, &fraction, &negative))) {
        q = after;
    } else if (count < 3 && kind == TIMESTAMP_LONG) {
        return false;
    }
    fraction *= hundredths ? 10 : 1;
    for (int i = 0; i < count; i++) {
        *ms = (i == 0 ? 0 : *ms * 60) + numbers[i];
    }
    *ms = *ms * 1000 + fraction;
    *ms = negative ? -*ms : *ms;
    *p = q;
    return true;
}

bool timestamp_read_line(const char *p, const char *end, enum timestamp_style kind,
                         int64_t *start_ms, int64_t *end_ms) {
    if (!timestamp_read(&p, end, kind, start_ms)) {
        return false;
    }
    p = skip_blanks(p, end);
    const char *dashes = p;
    while (p < end && *p == '-') {
        p++;
    }
    if (p == dashes || p == end || *p != '>') {
        return false;
    }
    p++;
    return timestamp_read(&p, end, kind, end_ms);
}
