/* date.c - see date.h. */
#include "store/date.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "store/json.h"

/* 1990-01-01; and the first number that cannot be seconds any more, but milliseconds of 1973. */
enum { EARLIEST = 631152000 };
#define MILLISECONDS ((int64_t)100000000000)

/* ---- Texts --------------------------------------------------------------------------------- */

/* Exactly `count` digits at *p, which moves past them. */
static bool read_digits(const char **p, int count, int *value) {
    *value = 0;
    for (; count > 0; count--, (*p)++) {
        if (**p < '0' || **p > '9') {
            return false;
        }
        *value = *value * 10 + (**p - '0');
    }
    return true;
}

static bool skip(const char **p, const char *any_of) {
    bool found = **p && strchr(any_of, **p) != NULL;
    *p += found;
    return found;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar, counted in years that begin in March,
 * so that the leap day comes last. */
static int64_t days_of(int year, int month, int day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t since_march = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return y * 365 + y / 4 - y / 100 + y / 400 + since_march - 719468;
}

/* YYYYMMDD or YYYY-MM-DD, as seconds. */
static bool read_date(const char **p, int64_t *seconds) {
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    if (!read_digits(p, 4, &year)) {
        return false;
    }
    bool dashed = skip(p, "-");
    if (!read_digits(p, 2, &month) || skip(p, "-") != dashed || !read_digits(p, 2, &day)) {
        return false;
    }
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (year < 1970 || month < 1 || month > 12 || day < 1 ||
        day > lengths[month - 1] + (month == 2 && leap)) {
        return false;
    }
    *seconds = days_of(year, month, day) * 86400;
    return true;
}

/* HH:MM[:SS[.fraction]], added to *seconds. */
static bool read_clock(const char **p, int64_t *seconds) {
    int hour, minute, second = 0;
    if (!read_digits(p, 2, &hour) || !skip(p, ":") || !read_digits(p, 2, &minute)) {
        return false;
    }
    if (skip(p, ":")) {
        if (!read_digits(p, 2, &second)) {
            return false;
        }
        if (skip(p, ".,")) {
            *p += strspn(*p, "0123456789");
        }
    }
    *seconds += hour * 3600 + minute * 60 + second;
    return hour < 24 && minute < 60 && second <= 60;
}

/* Z, UTC, +HH:MM, -HHMM or nothing, which also means UTC. */
static bool read_zone(const char **p, int64_t *seconds) {
    bool spaced = skip(p, " ");
    if (strncmp(*p, "UTC", 3) == 0) {
        *p += 3;
        return true;
    }
    int sign = **p == '-' ? -1 : 1;
    if (skip(p, "Z") || (!spaced && **p == 0)) {
        return true;
    }
    int hour, minute;
    if (!skip(p, "+-") || !read_digits(p, 2, &hour)) {
        return false;
    }
    skip(p, ":");
    if (!read_digits(p, 2, &minute) || hour > 23 || minute > 59) {
        return false;
    }
    *seconds -= sign * (hour * 3600 + minute * 60);
    return true;
}

int64_t time_from_text(const char *text) {
    const char *p = text;
    int64_t seconds = 0;
    if (!read_date(&p, &seconds)) {
        return -1;
    }
    if (skip(&p, "T ") && (!read_clock(&p, &seconds) || !read_zone(&p, &seconds))) {
        return -1;
    }
    return *p == 0 && seconds >= 0 ? seconds : -1;
}

/* ---- Samples ------------------------------------------------------------------------------- */

/* 20231114 is a day, as a number too. */
static int64_t day_from_number(int64_t number) {
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRId64, number);
    return strlen(digits) == 8 ? time_from_text(digits) : -1;
}

int64_t date_created(const json_t *sample, enum date_kind *kind) {
    const char *text = json_get_text(sample, "created");
    int64_t number = json_get_integer(sample, "created", 0);
    int64_t seconds = text != NULL ? time_from_text(text) : -1;
    if (seconds < 0) {
        seconds = day_from_number(number);
    }
    *kind = DATE_GIVEN;
    if (seconds < 0) {
        for (seconds = number; seconds >= MILLISECONDS; seconds /= 1000) {
            *kind = DATE_SCALED;
        }
    }
    if (seconds >= EARLIEST) {
        return seconds;
    }
    *kind = DATE_NONE;
    return 0;
}
