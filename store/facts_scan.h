/* facts_scan.h - letters, digits and dates, for facts*.c alone. */
#ifndef OCC_STORE_FACTS_SCAN_H
#define OCC_STORE_FACTS_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/utf8.h"

/* A text, read at any place up to its end. */
struct facts_text {
    const char *text;
    size_t size;
};

/* The code point at a place and the place behind it; 0 at the end, UTF8_REPLACEMENT for what is no
 * UTF-8. */
static inline uint32_t facts_at(const struct facts_text *t, size_t at, size_t *next) {
    uint32_t c = 0;
    bool valid;
    *next = at < t->size ? at + utf8_decode(t->text + at, t->size - at, &c, &valid) : at;
    return c;
}

static inline bool facts_is_digit(uint32_t c) {
    return (c >= '0' && c <= '9') || (c >= 0x660 && c <= 0x669) || (c >= 0x6F0 && c <= 0x6F9) ||
           (c >= 0x966 && c <= 0x96F) || (c >= 0xFF10 && c <= 0xFF19);
}

/* Letters and marks: what is no sign, space, emoji or other symbol. */
static inline bool facts_is_letter(uint32_t c) {
    bool ascii = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    bool sign = c == 0xD7 || c == 0xF7 || (c >= 0x2000 && c < 0x2C00) ||
                (c >= 0x3000 && c < 0x3040) || (c >= 0xE000 && c < 0xF900) ||
                (c >= 0xFE00 && c < 0xFE70) || (c >= 0xFF00 && c < 0xFF21) || c >= 0xFFF0;
    bool later = (c >= 0x10000 && c < 0x1D000) || (c >= 0x20000 && c < 0x40000);
    return ascii || (c >= 0xC0 && !sign && !facts_is_digit(c)) || later;
}

static inline bool facts_is_word(uint32_t c) {
    return c == '_' || facts_is_letter(c) || facts_is_digit(c);
}

/* The end of the date with the name of a month that begins at `at`, which is the beginning of a
 * word; `at` where there is none. */
size_t facts_date(const struct facts_text *t, size_t at);

#endif
