/* encoding.c - see encoding.h. */
#include "ingest/captions/encoding.h"

#include <string.h>

#include "store/utf16.h"
#include "store/utf8.h"

static bool begins_with(const unsigned char *data, size_t size, const char *mark) {
    return size >= strlen(mark) && memcmp(data, mark, strlen(mark)) == 0;
}

/* The line end at data[i], as many bytes as it has; 0 where there is none. Where all line ends are
 * "\r\r\n", `doubled` (some program took "\r\n" for one character), that is one. */
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
    enum utf16_order order = utf16_detect(data, size);
    bytes_clear(out);
    int rc = order != UTF16_NONE ? utf16_to_utf8(out, data, size, order, repaired, e)
                                 : utf8_repair(out, data, size, repaired, e);
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
