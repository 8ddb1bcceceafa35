/* text.c - see text.h. */
#include "ingest/captions/text.h"

#include "ingest/captions/html_reference.h"
#include "store/utf8.h"

bool caption_text_is_blank(uint32_t c) {
    return c <= ' ' || (c >= 0x7F && c <= 0xA0);
}

/* Zero-width space, joiners, direction marks; byte order mark. */
static bool is_zero_width(uint32_t c) {
    return (c >= 0x200B && c <= 0x200F) || c == 0x2060 || c == 0xFEFF;
}

static void cut(struct bytes *out, size_t size) {
    if (out->size > size) {
        out->data[size] = 0;
        out->size = size;
    }
}

static void trim_line_end(struct caption_text *w) {
    bool trimmed = true;
    while (trimmed && w->out->size > w->base) {
        size_t length = w->out->size - w->base;
        size_t last = length > 3 ? 3 : length; /* every character without width has three bytes */
        const char *tail = (const char *)w->out->data + w->out->size - last;
        uint32_t c;
        bool valid;
        size_t used = utf8_decode(tail, last, &c, &valid);
        if (used == 3 && valid && is_zero_width(c)) {
            cut(w->out, w->out->size - 3);
        } else if (tail[last - 1] == ' ') {
            cut(w->out, w->out->size - 1);
        } else {
            trimmed = false;
        }
    }
}

struct caption_text caption_text_begin(struct bytes *out, struct error *e) {
    return (struct caption_text){.out = out, .e = e, .base = out->size};
}

void caption_text_put(struct caption_text *w, uint32_t c) {
    if (w->muted || w->rc < 0) {
        return;
    }
    if (c == '\n' || c == '\r') {
        trim_line_end(w);
        w->separator = '\n';
        return;
    }
    if (caption_text_is_blank(c)) {
        w->separator = w->separator ? w->separator : ' ';
        return;
    }
    bool first = w->out->size == w->base;
    if (is_zero_width(c) && (first || w->separator == '\n')) {
        return;
    }
    char text[5];
    size_t size = 0;
    if (w->separator && !first) {
        text[size++] = w->separator;
    }
    size += utf8_encode(c, text + size);
    w->separator = 0;
    w->rc = bytes_append(w->out, text, size, w->e);
}

size_t caption_text_take(struct caption_text *w, const char *text, size_t size) {
    uint32_t c;
    bool valid;
    size_t used = utf8_decode(text, size, &c, &valid);
    caption_text_put(w, c);
    return used;
}

void caption_text_write(struct caption_text *w, const char *text, size_t size) {
    for (size_t at = 0; at < size && w->rc == 0;) {
        at += caption_text_take(w, text + at, size - at);
    }
}

size_t caption_text_reference(struct caption_text *w, const char *p, const char *end, bool strict) {
    uint32_t c[2];
    size_t size = html_reference_read(p, end, strict, c);
    caption_text_put(w, size ? c[0] : '&');
    if (c[1]) {
        caption_text_put(w, c[1]);
    }
    return size ? size : 1;
}

int caption_text_end(struct caption_text *w) {
    if (w->rc < 0) {
        cut(w->out, w->base);
        return w->rc;
    }
    trim_line_end(w);
    return 0;
}
