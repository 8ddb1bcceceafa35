/* json_skip.c - see json_skip.h. */
#include "store/json_skip.h"

#include <stdbool.h>
#include <string.h>

/* One past the string that begins at `at`, with its quotes. */
static const char *end_of_string(const char *at, const char *end) {
    for (at++; at < end && *at != '"'; at++) {
        at += *at == '\\' && at + 1 < end;
    }
    return at < end ? at + 1 : end;
}

/* One past the array or object that begins at `at`. */
static const char *end_of_value(const char *at, const char *end) {
    int depth = 0;
    while (at < end) {
        if (*at == '"') {
            at = end_of_string(at, end);
            continue;
        }
        depth += *at == '[' || *at == '{';
        depth -= *at == ']' || *at == '}';
        at++;
        if (depth == 0) {
            break;
        }
    }
    return at;
}

static const char *past_space(const char *at, const char *end) {
    while (at < end && memchr(" \t\r\n", *at, 4) != NULL) {
        at++;
    }
    return at;
}

/* The array or object that is the value of the name at [name, at), or NULL. */
static const char *value_of(const char *name, const char *at, const char *end, const char *key) {
    size_t length = strlen(key);
    if ((size_t)(at - name) != length + 2 || memcmp(name + 1, key, length) != 0) {
        return NULL;
    }
    at = past_space(at, end);
    if (at == end || *at != ':') {
        return NULL;
    }
    at = past_space(at + 1, end);
    return at < end && (*at == '[' || *at == '{') ? at : NULL;
}

int json_skip(struct bytes *out, const void *text, size_t size, const char *key, struct error *e) {
    const char *at = text, *end = at + size, *from = at;
    int rc = 0;
    while (at < end && rc == 0) {
        const char *name = at;
        if (*at != '"') {
            at++;
            continue;
        }
        at = end_of_string(at, end);
        const char *value = value_of(name, at, end, key);
        if (value != NULL) {
            rc = bytes_append(out, from, (size_t)(value - from), e);
            if (rc == 0) {
                rc = bytes_append(out, "null", 4, e);
            }
            from = at = end_of_value(value, end);
        }
    }
    return rc == 0 ? bytes_append(out, from, (size_t)(end - from), e) : rc;
}
