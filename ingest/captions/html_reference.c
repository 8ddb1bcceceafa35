/* html_reference.c - see html_reference.h. */
#include "ingest/captions/html_reference.h"

#include <string.h>

#include "store/utf8.h"

enum {
    NAME_BYTES = 32,  /* "CounterClockwiseContourIntegral" */
    OLDEST_BYTES = 6, /* the names that need no semicolon: "Aacute" */
};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* The value of a digit, `base` or more where it is none. */
static uint32_t digit_value(char c, uint32_t base) {
    if (is_digit(c)) {
        return (uint32_t)(c - '0');
    }
    return is_letter(c) ? (uint32_t)((c | 0x20) - 'a') + 10 : base;
}

/* Old pages mean windows-1252 by &#128; to &#159;. */
static uint32_t from_windows(uint32_t c) {
    static const uint16_t table[32] = {
        0x20AC, 0x81,   0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021, 0x2C6,  0x2030, 0x160,
        0x2039, 0x152,  0x8D,   0x17D,  0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
        0x2013, 0x2014, 0x2DC,  0x2122, 0x161,  0x203A, 0x153,  0x9D,   0x17E,  0x178};
    return c >= 0x80 && c < 0xA0 ? table[c - 0x80] : c;
}

/* &#65; or &#x41; from the '&' on. */
static size_t read_number(const char *p, const char *end, bool strict, uint32_t *c) {
    const char *q = p + 2;
    uint32_t base = q < end && (*q | 0x20) == 'x' ? 16 : 10, value = 0;
    q += base == 16;
    const char *first = q;
    for (; q < end && digit_value(*q, base) < base; q++) {
        value = value > 0x10FFFF ? value : value * base + digit_value(*q, base);
    }
    bool closed = q < end && *q == ';';
    bool valid = value > 0 && value <= 0x10FFFF && (value < 0xD800 || value > 0xDFFF);
    if (q == first || (strict && !(closed && valid))) {
        return 0;
    }
    *c = valid ? from_windows(value) : UTF8_REPLACEMENT;
    return (size_t)(q - p) + closed;
}

/* As strcmp, of a name of `size` bytes and the one that begins an entry of the table. */
static int compare_name(const char *name, size_t size, const char *entry) {
    size_t entry_size = strcspn(entry, "=*");
    int order = memcmp(name, entry, size < entry_size ? size : entry_size);
    return order != 0 ? order : (size > entry_size) - (size < entry_size);
}

/* "NAME=CODE" of the table, NULL where there is none. */
static const char *find_name(const char *name, size_t size) {
    size_t low = 0, high = html_name_lines;
    while (high - low > 1) { /* the last line that begins with this name or one before it */
        size_t middle = low + (high - low) / 2;
        if (compare_name(name, size, html_names[middle]) < 0) {
            high = middle;
        } else {
            low = middle;
        }
    }
    for (const char *entry = html_names[low]; *entry; entry += *entry == ' ') {
        if (compare_name(name, size, entry) == 0) {
            return entry;
        }
        entry += strcspn(entry, " ");
    }
    return NULL;
}

static void read_codes(const char *entry, uint32_t c[2]) {
    const char *p = entry + strcspn(entry, "=*") + 1;
    for (size_t i = 0; i < 2; i++) {
        c[i] = 0;
        for (; digit_value(*p, 16) < 16; p++) {
            c[i] = c[i] * 16 + digit_value(*p, 16);
        }
        p += *p == ',';
    }
}

/* &eacute; from the '&' on: the longest name that there is. */
static size_t read_name(const char *p, const char *end, bool strict, uint32_t c[2]) {
    const char *name = p + 1;
    size_t size = 0, left = (size_t)(end - name);
    while (size < left && size < NAME_BYTES && (is_letter(name[size]) || is_digit(name[size]))) {
        size++;
    }
    bool closed = size < left && name[size] == ';';
    const char *entry = closed && size > 0 ? find_name(name, size) : NULL;
    if (entry != NULL) {
        read_codes(entry, c);
        return size + 2;
    }
    for (size = size < OLDEST_BYTES ? size : OLDEST_BYTES; !strict && size > 1; size--) {
        entry = find_name(name, size);
        if (entry != NULL && entry[size] == '*') {
            read_codes(entry, c);
            return size + 1;
        }
    }
    return 0;
}

size_t html_reference_read(const char *p, const char *end, bool strict, uint32_t c[2]) {
    c[0] = c[1] = 0;
    if (end - p < 3) {
        return 0;
    }
    return p[1] == '#' ? read_number(p, end, strict, c) : read_name(p, end, strict, c);
}
