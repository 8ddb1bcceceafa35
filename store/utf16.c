/* utf16.c - see utf16.h. */
#include "store/utf16.h"

#include "store/utf8.h"

enum { BYTE_ORDER_MARK = 0xFEFF };

static uint32_t unit_at(const unsigned char *p, enum utf16_order order) {
    return order == UTF16_BIG_ENDIAN ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}

enum utf16_order utf16_detect(const void *data, size_t size) {
    const unsigned char *p = data;
    if (size >= 2 && unit_at(p, UTF16_LITTLE_ENDIAN) == BYTE_ORDER_MARK) {
        return UTF16_LITTLE_ENDIAN;
    }
    if (size >= 2 && unit_at(p, UTF16_BIG_ENDIAN) == BYTE_ORDER_MARK) {
        return UTF16_BIG_ENDIAN;
    }
    if (size >= 4 && p[0] && !p[1] && p[2] && !p[3]) {
        return UTF16_LITTLE_ENDIAN;
    }
    return size >= 4 && !p[0] && p[1] && !p[2] && p[3] ? UTF16_BIG_ENDIAN : UTF16_NONE;
}

int utf16_to_utf8(struct bytes *out, const void *data, size_t size, enum utf16_order order,
                  size_t *replaced, struct error *e) {
    const unsigned char *p = data;
    int rc = bytes_reserve(out, size, e);
    size_t i = size >= 2 && unit_at(p, order) == BYTE_ORDER_MARK ? 2 : 0;
    while (rc == 0 && i < size) {
        bool whole = size - i >= 2;
        uint32_t c = whole ? unit_at(p + i, order) : UTF8_REPLACEMENT;
        i += whole ? 2 : 1;
        if (whole && c >= 0xD800 && c <= 0xDFFF) {
            uint32_t low = size - i >= 2 ? unit_at(p + i, order) : 0;
            whole = c <= 0xDBFF && low >= 0xDC00 && low <= 0xDFFF;
            c = whole ? 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00) : UTF8_REPLACEMENT;
            i += whole ? 2 : 0;
        }
        char text[4];
        *replaced += !whole;
        rc = bytes_append(out, text, utf8_encode(c, text), e);
    }
    return rc;
}
