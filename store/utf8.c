/* utf8.c - see utf8.h. */
#include "store/utf8.h"

#include <string.h>

/* Bounds of the second byte for a lead byte, and the sequence's length; 0 = not a lead byte. */
static size_t sequence_of(unsigned char lead, unsigned char *low, unsigned char *high) {
    *low = 0x80;
    *high = 0xBF;
    if (lead >= 0xC2 && lead <= 0xDF) {
        return 2;
    }
    if (lead >= 0xE0 && lead <= 0xEF) {
        *low = lead == 0xE0 ? 0xA0 : 0x80;
        *high = lead == 0xED ? 0x9F : 0xBF;
        return 3;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        *low = lead == 0xF0 ? 0x90 : 0x80;
        *high = lead == 0xF4 ? 0x8F : 0xBF;
        return 4;
    }
    return 0;
}

size_t utf8_decode(const char *text, size_t size, uint32_t *code_point, bool *valid) {
    const unsigned char *p = (const unsigned char *)text;
    *valid = true;
    if (p[0] < 0x80) {
        *code_point = p[0];
        return 1;
    }
    unsigned char low, high;
    size_t length = sequence_of(p[0], &low, &high);
    uint32_t value = length ? p[0] & (0x7Fu >> length) : 0;
    size_t used = 1;
    while (used < length && used < size && p[used] >= low && p[used] <= high) {
        value = value << 6 | (p[used] & 0x3Fu);
        low = 0x80;
        high = 0xBF;
        used++;
    }
    *valid = length != 0 && used == length;
    *code_point = *valid ? value : UTF8_REPLACEMENT;
    return used;
}

size_t utf8_encode(uint32_t c, char out[4]) {
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
        c = UTF8_REPLACEMENT;
    }
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (c & 0x3F));
        c >>= 6;
    }
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    out[0] = (char)(lead[length] | c);
    return length;
}

/* The length of the leading part that is well formed. */
static size_t valid_prefix(const char *text, size_t size) {
    size_t at = 0;
    while (at < size) {
        uint32_t code_point;
        bool valid;
        uint64_t eight;
        while (size - at >= sizeof eight) { /* eight ASCII bytes at a time */
            memcpy(&eight, text + at, sizeof eight);
            if (eight & UINT64_C(0x8080808080808080)) {
                break;
            }
            at += sizeof eight;
        }
        if (at == size) {
            break;
        }
        size_t used = utf8_decode(text + at, size - at, &code_point, &valid);
        if (!valid) {
            return at;
        }
        at += used;
    }
    return at;
}

bool utf8_is_valid(const char *text, size_t size) {
    return valid_prefix(text, size) == size;
}

size_t utf8_floor(const char *text, size_t size) {
    size_t back = 0;
    while (back < size && back < 3 && ((unsigned char)text[size - 1 - back] & 0xC0) == 0x80) {
        back++;
    }
    if (back < size) {
        unsigned char low, high;
        size_t length = sequence_of((unsigned char)text[size - 1 - back], &low, &high);
        if (length > back + 1) {
            return size - back - 1;
        }
    }
    return size;
}

int utf8_repair(struct bytes *out, const char *text, size_t size, size_t *replaced,
                struct error *e) {
    int rc = bytes_reserve(out, size, e);
    while (rc == 0 && size > 0) {
        size_t good = valid_prefix(text, size);
        rc = bytes_append(out, text, good, e);
        text += good;
        size -= good;
        if (rc == 0 && size > 0) {
            uint32_t code_point;
            bool valid;
            size_t used = utf8_decode(text, size, &code_point, &valid);
            rc = bytes_append(out, "\xEF\xBF\xBD", 3, e);
            text += used;
            size -= used;
            *replaced += 1;
        }
    }
    return rc;
}
