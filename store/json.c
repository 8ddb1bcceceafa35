/* json.c - see json.h. */
#include "store/json.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "store/file.h"
#include "store/utf16.h"
#include "store/utf8.h"

enum { LONGEST_INTEGER = 18 }; /* digits that always fit int64_t */
#define NUMBER_CHARACTERS "0123456789+-.eE"

/* The value of the four hexadecimal digits at `p`, or -1. */
static int hex4(const char *p, const char *end) {
    if (end - p < 4) {
        return -1;
    }
    int value = 0;
    for (int i = 0; i < 4; i++) {
        const char *digits = "0123456789abcdef";
        const char *found = p[i] ? strchr(digits, p[i] | 0x20) : NULL;
        if (found == NULL || (p[i] < '0')) {
            return -1;
        }
        value = value * 16 + (int)(found - digits);
    }
    return value;
}

/* Handles one backslash escape at `p`, which lies inside a string; returns what follows it. */
static const char *mend_escape(struct bytes *out, const char *p, const char *end, size_t *repaired,
                               struct error *e, int *rc) {
    int unit = p + 1 < end && p[1] == 'u' ? hex4(p + 2, end) : -1;
    size_t length = unit >= 0 ? 6 : (size_t)(end - p < 2 ? end - p : 2);
    bool pair = unit >= 0xD800 && unit <= 0xDBFF && end - p >= 12 && p[6] == '\\' && p[7] == 'u';
    if (pair) {
        int low = hex4(p + 8, end);
        pair = low >= 0xDC00 && low <= 0xDFFF;
        length = pair ? 12 : 6;
    }
    if (unit == 0 || (unit >= 0xD800 && unit <= 0xDFFF && !pair)) {
        *repaired += 1;
        *rc = bytes_append_text(out, "\\ufffd", e);
    } else {
        *rc = bytes_append(out, p, length, e);
    }
    return p + length;
}

/* The length of NaN, Infinity or -Infinity at `p`; 0 where none of them stands there. */
static size_t no_number(const char *p, const char *end) {
    const char *word = p + (*p == '-');
    const char *const words[] = {"NaN", "Infinity"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t size = strlen(words[i]);
        if ((size_t)(end - word) >= size && memcmp(word, words[i], size) == 0) {
            return (size_t)(word - p) + size;
        }
    }
    return 0;
}

/* A number outside strings. An integer of 19 or more digits is quoted, so that no digit is lost; a
 * real that no double holds becomes null. A zero byte follows `end`. */
static const char *mend_number(struct bytes *out, const char *p, const char *end, size_t *repaired,
                               struct error *e, int *rc) {
    const char *q = p + (*p == '-');
    const char *digits = q;
    while (q < end && *q >= '0' && *q <= '9') {
        q++;
    }
    bool integer = q == end || strchr(".eE", *q) == NULL || *q == 0;
    if (integer && q - digits > LONGEST_INTEGER) {
        *repaired += 1;
        *rc = bytes_printf(out, e, "\"%.*s\"", (int)(q - p < INT_MAX ? q - p : INT_MAX), p);
        return q;
    }
    q += strspn(q, NUMBER_CHARACTERS);
    bool too_large = isinf(strtod(p, NULL));
    *repaired += too_large;
    *rc = too_large ? bytes_append_text(out, "null", e) : bytes_append(out, p, (size_t)(q - p), e);
    return q;
}

static bool begins_number(char c) {
    return c == '-' || (c >= '0' && c <= '9');
}

/* Copies valid UTF-8 and mends what jansson would refuse (see the head comment of json.h). */
static int mend(struct bytes *out, const char *text, size_t size, size_t *repaired,
                struct error *e) {
    const char *p = text, *end = text + size;
    bool in_string = false;
    int rc = bytes_reserve(out, size, e);
    while (rc == 0 && p < end) {
        if (in_string && *p == '\\') {
            p = mend_escape(out, p, end, repaired, e, &rc);
        } else if (!in_string && no_number(p, end) > 0) {
            *repaired += 1;
            rc = bytes_append_text(out, "null", e);
            p += no_number(p, end);
        } else if (!in_string && begins_number(*p)) {
            p = mend_number(out, p, end, repaired, e, &rc);
        } else if (in_string && (unsigned char)*p < 0x20) {
            *repaired += 1; /* a raw control character inside a string */
            rc = bytes_printf(out, e, "\\u%04x", *p ? *p : ' ');
            p++;
        } else {
            const char *run = p;
            do {
                in_string ^= *p == '"';
                p++;
            } while (p < end && *p != '\\' && (unsigned char)*p >= 0x20 &&
                     (in_string || !(begins_number(*p) || *p == 'N' || *p == 'I')));
            rc = bytes_append(out, run, (size_t)(p - run), e);
        }
    }
    return rc;
}

static json_t *parse(const char *text, size_t size, json_error_t *reason) {
    return json_loadb(text, size, JSON_DECODE_ANY, reason);
}

/* Mends the text and parses that; what was mended counts only when it helped. */
static json_t *parse_mended(const char *text, size_t size, size_t *repaired, json_error_t *reason,
                            struct error *e) {
    struct bytes valid, mended;
    size_t count = 0;
    json_t *tree = NULL;
    bytes_init(&valid, SIZE_MAX);
    bytes_init(&mended, SIZE_MAX);
    if (utf8_repair(&valid, text, size, &count, e) == 0 &&
        mend(&mended, bytes_text(&valid), valid.size, &count, e) == 0) {
        tree = parse(bytes_text(&mended), mended.size, reason);
        *repaired += tree != NULL ? count : 0;
    }
    bytes_close(&mended);
    bytes_close(&valid);
    return tree;
}

json_t *json_read(const void *data, size_t size, size_t *repaired, struct error *e) {
    size_t ignored = 0;
    struct error local = {0};
    json_error_t reason = {.line = 1};
    const char *text = data != NULL ? data : "";
    if (size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        size -= 3;
    }
    json_t *tree = parse(text, size, &reason);
    if (tree == NULL) {
        tree = parse_mended(text, size, repaired != NULL ? repaired : &ignored, &reason, &local);
    }
    bool memory = local.code == ERR_MEMORY || json_error_code(&reason) == json_error_out_of_memory;
    if (tree == NULL && memory) {
        error_memory(e, NULL);
    } else if (tree == NULL) {
        error_set(e, ERR_FORMAT, "invalid JSON at line %d, column %d: %s", reason.line,
                  reason.column, reason.text);
    }
    return tree;
}

json_t *json_read_lines(const void *data, size_t size, size_t *repaired, struct error *e) {
    json_t *list = json_array();
    if (list == NULL) {
        error_memory(e, NULL);
        return NULL;
    }
    const char *p = data, *end = p + size;
    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *stop = newline != NULL ? newline : end;
        size_t blank = 0;
        while (p + blank < stop && strchr(" \t\r", p[blank]) != NULL && p[blank]) {
            blank++;
        }
        if (p + blank < stop) {
            struct error local = {0};
            json_t *value = json_read(p, (size_t)(stop - p), repaired, &local);
            if (value != NULL && json_array_append_new(list, value) != 0) {
                local.code = ERR_MEMORY;
            }
            if (local.code == ERR_MEMORY) {
                json_decref(list);
                error_memory(e, NULL);
                return NULL;
            }
            if (value == NULL && repaired != NULL) {
                *repaired += 1;
            }
        }
        p = newline != NULL ? newline + 1 : end;
    }
    return list;
}

json_t *json_read_file(const char *path, size_t limit, size_t *repaired, struct error *e) {
    const char *dot = strrchr(path, '.');
    bool lines = dot != NULL && (strcasecmp(dot, ".jsonl") == 0 || strcasecmp(dot, ".ndjson") == 0);
    struct bytes content, converted;
    const struct bytes *text = &content;
    size_t replaced = 0;
    json_t *tree = NULL;
    bytes_init(&content, limit);
    bytes_init(&converted, SIZE_MAX);
    int rc = file_read(path, &content, e);
    enum utf16_order order = rc == 0 ? utf16_detect(content.data, content.size) : UTF16_NONE;
    if (order != UTF16_NONE) {
        rc = utf16_to_utf8(&converted, content.data, content.size, order, &replaced, e);
        text = &converted;
    }
    if (rc == 0) {
        tree = lines ? json_read_lines(text->data, text->size, repaired, e)
                     : json_read(text->data, text->size, repaired, e);
    }
    if (tree != NULL && repaired != NULL) {
        *repaired += replaced;
    }
    bytes_close(&converted);
    bytes_close(&content);
    return tree;
}

struct output {
    struct bytes *bytes;
    bool failed;
};

static int append_piece(const char *piece, size_t size, void *context) {
    struct output *out = context;
    out->failed = out->failed || bytes_append(out->bytes, piece, size, NULL) < 0;
    return out->failed ? -1 : 0;
}

int json_append(struct bytes *out, const json_t *value, struct error *e) {
    size_t before = out->size;
    int flags = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9);
    struct output output = {.bytes = out};
    /* Jansson (2.14) goes on where a member's name could not be appended, and says that all is
     * well. */
    if (json_dump_callback(value, append_piece, &output, flags) != 0 || output.failed) {
        out->size = before;
        return error_set(e, ERR_MEMORY, "cannot write JSON: out of memory");
    }
    return 0;
}

const char *json_get_text(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL && *text ? text : NULL;
}

double json_get_real(const json_t *object, const char *name, double fallback) {
    const json_t *value = json_object_get(object, name);
    if (json_is_number(value)) {
        return json_number_value(value);
    }
    if (json_is_string(value)) {
        char *end = NULL;
        double number = strtod(json_string_value(value), &end);
        if (end != json_string_value(value) && *end == 0 && isfinite(number)) {
            return number;
        }
    }
    return fallback;
}

int64_t json_get_integer(const json_t *object, const char *name, int64_t fallback) {
    const json_t *value = json_object_get(object, name);
    if (json_is_integer(value)) {
        return json_integer_value(value);
    }
    if (json_is_string(value)) {
        char *end = NULL;
        errno = 0;
        long long number = strtoll(json_string_value(value), &end, 10);
        if (errno == 0 && end != json_string_value(value) && *end == 0) {
            return number;
        }
    }
    double real = json_get_real(object, name, (double)NAN);
    return real > -9.2e18 && real < 9.2e18 ? (int64_t)real : fallback;
}

const char *json_get_id(const json_t *object, const char *name, struct arena *arena) {
    const json_t *value = json_object_get(object, name);
    char digits[32];
    if (json_is_integer(value)) {
        int length =
            snprintf(digits, sizeof digits, "%" PRId64, (int64_t)json_integer_value(value));
        return arena_text(arena, digits, (size_t)length);
    }
    const char *text = json_get_text(object, name);
    return text != NULL ? arena_text(arena, text, strlen(text)) : NULL;
}

json_t *json_finite(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *json_hexadecimal(uint64_t number) {
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, number);
    return json_string(text);
}

bool json_get_flag(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    const char *text = json_string_value(value);
    if (text != NULL) {
        return strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    }
    return json_is_true(value) || (json_is_number(value) && json_number_value(value) != 0);
}
