/* day.c - see day.h. */
#define _DEFAULT_SOURCE /* timegm */
#include "cli/day.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int day_parse(int64_t *seconds, const char *option, const char *text, struct error *e) {
    int year, month, day, used = 0;
    char *end;
    if (text == NULL) {
        *seconds = (int64_t)time(NULL);
        return 0;
    }
    if (sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &used) == 3 && text[used] == '\0') {
        struct tm date = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
        *seconds = (int64_t)timegm(&date);
        if (date.tm_mon == month - 1 && date.tm_mday == day) { /* else there is no such day */
            return 0;
        }
    } else {
        errno = 0;
        *seconds = strtoll(text, &end, 10);
        if (end != text && *end == '\0' && errno == 0) {
            return 0;
        }
    }
    return error_set(e, ERR_USAGE, "--%s: '%.40s' is neither a day (2026-11-23) nor a Unix time",
                     option, text);
}
