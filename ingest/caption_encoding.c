/* caption_encoding.c - see caption_encoding.h. */
#include "ingest/caption_encoding.h"

#include <stdint.h>
#include <string.h>

#include "store/utf8.h"

static uint32_t utf16_unit(const unsigned char *p, bool big_endian) {
    return big_endian ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}

static int utf16_convert(struct bytes *out, const unsigned char *p, size_t size, bool big_endian,
                         size_t *repaired, struct error *e) {
    int rc = bytes_reserve(out, size + size / 2, e);
    size_t i = 0;
    while (rc == 0 && i < size) {
        bool whole = size - i >= 2;
        uint32_t c = whole ? utf16_unit(p + i, big_endian) : UTF8_REPLACEMENT;
        i += whole ? 2 : 1;
        if (whole && c >= 0xD800 && c <= 0xDFFF) {
            uint32_t low = size - i >= 2 ? utf16_unit(p + i, big_endian) : 0;
            whole = c <= 0xDBFF && low >= 0xDC00 && low <= 0xDFFF;
            c = whole ? 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00) : UTF8_REPLACEMENT;
            i += whole ? 2 : 0;
        }
        char text[4];
        *repaired += !whole;
        rc = bytes_append(out, text, utf8_encode(c, text), e);
    }
    return rc;
}

static bool begins_with(const unsigned char *data, size_t size, const char *mark) {
    return size >= strlen(mark) && memcmp(data, mark, strlen(mark)) == 0;
}

/* The line end at data[i], as many bytes as it has; 0 where there is none. Where all line ends are
 * "\r\r\n", which a program wrote that took "\r\n" for one character, `doubled`, that is one. */
static size_t line_end_size(const struct bytes *text, size_t i, bool doubled) {
    const unsigned char *p = text->data + i;
    size_t left = text->size - i;
    if (p[0] == '\r') {
        return doubled && begins_with(p, left, "\r\r\n") ? 3 : 1 + begins_with(p, left, "\r\n");
    }
    return p[0] == '\n';
}

static bool has_doubled_line_ends(const struct bytes *text) {
    bool found = false;
    for (size_t i = 0; i < text->size; i++) {
        if (text->data[i] == '\n') {
            if (i < 2 || text->data[i - 1] != '\r' || text->data[i - 2] != '\r') {
                return false;
            }
            found = true;
        }
    }
    return found;
}

/* "\r\n" and "\r" become "\n". */
static void clean_lines(struct bytes *text, size_t *repaired) {
    bool doubled = has_doubled_line_ends(text);
    size_t kept = 0;
    for (size_t i = 0, used; i < text->size; i += used) {
        size_t line_end = line_end_size(text, i, doubled);
        unsigned char c = text->data[i];
        used = line_end ? line_end : 1;
        *repaired += c == 0;
        text->data[kept++] = line_end ? '\n' : c;
    }
    text->data[kept] = 0;
    text->size = kept;
}

int caption_clean_text(struct bytes *out, const void *data, size_t size, size_t *repaired,
                       struct error *e) {
    static const char mark[] = "\xEF\xBB\xBF";
    const unsigned char *p = data;
    bool little = begins_with(p, size, "\xFF\xFE"), big = begins_with(p, size, "\xFE\xFF");
    bytes_clear(out);
    int rc;
    if (little || big) {
        rc = utf16_convert(out, p + 2, size - 2, big, repaired, e);
    } else {
        rc = utf8_repair(out, (const char *)p, size, repaired, e);
    }
    if (rc < 0 || out->size == 0) {
        return rc;
    }
    size_t marks = 0;
    while (begins_with(out->data + marks, out->size - marks, mark)) {
        marks += strlen(mark);
    }
    memmove(out->data, out->data + marks, out->size - marks);
    out->size -= marks;
    clean_lines(out, repaired);
    return 0;
}
