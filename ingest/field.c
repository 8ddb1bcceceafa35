/* field.c - see field.h. */
#include "ingest/field.h"

#include <string.h>

#include "store/json.h"

#define LARGEST_COUNT INT64_C(1000000000000)
#define LATEST_SECONDS INT64_C(100000000000) /* the year 5138; above: milliseconds */

size_t text_trim(const char **text) {
    *text += strspn(*text, " \t\r\n\v\f");
    size_t size = strlen(*text);
    while (size && strchr(" \t\r\n\v\f", (*text)[size - 1])) {
        size--;
    }
    return size;
}

const char *field_text(struct fields *f, const json_t *object, const char *const *names) {
    for (; *names; names++) {
        const char *text = json_get_text(object, *names);
        size_t size = text ? text_trim(&text) : 0;
        if (size) {
            const char *copy = arena_text(f->arena, text, size);
            f->exhausted |= !copy;
            return copy;
        }
    }
    return NULL;
}

const char *field_id(struct fields *f, const json_t *object, const char *const *names) {
    for (; *names; names++) {
        const char *id = NULL;
        if (json_is_integer(json_object_get(object, *names))) {
            id = json_get_id(object, *names, f->arena);
            f->exhausted |= !id;
        } else {
            id = field_text(f, object, FIELD_NAMES(*names));
        }
        if (id) {
            return id;
        }
    }
    return NULL;
}

int64_t field_count(const json_t *object, const char *const *names) {
    for (; *names; names++) {
        int64_t count = json_get_integer(object, *names, -1);
        if (count >= 0 && count <= LARGEST_COUNT) {
            return count;
        }
    }
    return -1;
}

int64_t field_time(const json_t *object, const char *const *names) {
    for (; *names; names++) {
        int64_t seconds = json_get_integer(object, *names, -1);
        if (seconds > LATEST_SECONDS) {
            seconds /= 1000;
        }
        if (seconds <= 0) {
            const char *text = json_get_text(object, *names);
            seconds = text ? time_from_text(text) : -1;
        }
        if (seconds > 0 && seconds <= LATEST_SECONDS) {
            return seconds;
        }
    }
    return -1;
}

bool field_flag(const json_t *object, const char *const *names) {
    for (; *names; names++) {
        if (json_get_flag(object, *names)) {
            return true;
        }
    }
    return false;
}

/* Exactly `count` digits at *p, which moves behind them. */
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
    bool found = **p && strchr(any_of, **p);
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

static int lower(char c) {
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

bool name_equal(const char *a, const char *b) {
    a += strspn(a, "@");
    b += strspn(b, "@");
    if (!*a) {
        return false;
    }
    while (*a && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return *a == 0 && *b == 0;
}
