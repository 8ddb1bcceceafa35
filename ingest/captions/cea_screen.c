/* cea_screen.c - see cea_screen.h. */
#include "ingest/captions/cea_screen.h"

#include <string.h>

#include "store/utf8.h"

enum {
    SCREEN_TEXT_LIMIT = 1 << 20, /* far above any screen: 8 windows of 16 rows of 64 characters */
    CUE_TEXT_LIMIT = 16 << 20,
};

void cea_screen_init(struct cea_screen *s, struct cue_list *cues, int64_t start_us) {
    *s = (struct cea_screen){.cues = cues, .start_us = start_us, .left = CUE_TEXT_LIMIT};
    bytes_init(&s->text, SCREEN_TEXT_LIMIT);
    bytes_init(&s->next, SCREEN_TEXT_LIMIT);
}

void cea_screen_close(struct cea_screen *s) {
    bytes_close(&s->text);
    bytes_close(&s->next);
}

/* Bytes of the blank at `text`, 0 where there is none. The no-break space counts: libavcodec writes
 * it for CEA-608's transparent space. */
static size_t blank_at(const char *text, size_t size) {
    if (size > 0 && (*text == ' ' || *text == '\t')) {
        return 1;
    }
    return size > 1 && memcmp(text, "\xC2\xA0", 2) == 0 ? 2 : 0;
}

/* Replaces `out` by the rows of `text` that are not blank, with single blanks between words. */
static int tidy(struct bytes *out, const char *text, size_t size, struct error *e) {
    char gap = 0; /* goes in front of the next visible character */
    size_t at = 0;
    bytes_clear(out);
    int rc = bytes_reserve(out, size, e);
    while (rc == 0 && at < size) {
        size_t blank = blank_at(text + at, size - at);
        if (text[at] == '\n' || text[at] == '\r') {
            gap = '\n';
            at++;
        } else if (blank) {
            gap = gap ? gap : ' ';
            at += blank;
        } else {
            if (gap && out->size > 0) {
                out->data[out->size++] = (unsigned char)gap;
            }
            out->data[out->size++] = (unsigned char)text[at++];
            gap = 0;
        }
    }
    if (rc == 0) {
        out->data[out->size] = 0;
    }
    return rc;
}

static int64_t to_ms(int64_t us) {
    int64_t rounded = us + 500;
    return rounded >= 0 ? rounded / 1000 : -((999 - rounded) / 1000);
}

/* Makes a cue of what has been on the screen until `us`. */
static int emit(struct cea_screen *s, int64_t us, struct error *e) {
    int64_t start_ms = to_ms(s->since_us - s->start_us), end_ms = to_ms(us - s->start_us);
    bool before_clip = end_ms <= 0 && us > s->since_us;
    if (!s->text.size || before_clip || s->text.size > s->left) {
        return 0;
    }
    s->left -= s->text.size;
    return cue_add(s->cues, start_ms, end_ms, bytes_text(&s->text), s->text.size, e);
}

static size_t line_end(const char *text, size_t size, size_t at) {
    const char *end = at < size ? memchr(text + at, '\n', size - at) : NULL;
    return end != NULL ? (size_t)(end - text) : size;
}

static size_t last_line(const char *text, size_t size) {
    while (size > 0 && text[size - 1] != '\n') {
        size--;
    }
    return size;
}

/* The place in the new text where the last line of `text` goes on: the offset after its end there,
 * or 0 when it is not found. *same: the rows above it are the same too. The last character of the
 * old text is open to correction, because CEA-608 sends a plain letter first and replaces it by the
 * accented one (CEA-608-E 6.4.2), and because typists use the backspace. */
static size_t continuation(const struct cea_screen *s, bool *same) {
    const char *old = bytes_text(&s->text), *new = bytes_text(&s->next);
    size_t line = last_line(old, s->text.size), length = s->text.size - line;
    size_t stem = utf8_floor(old, s->text.size - 1);
    *same = s->next.size >= stem && memcmp(old, new, stem) == 0;
    if (*same) {
        return line_end(new, s->next.size, stem);
    }
    for (size_t at = 0; at < s->next.size; at = line_end(new, s->next.size, at) + 1) {
        if (s->next.size - at >= length && memcmp(new + at, old + line, length) == 0) {
            return line_end(new, s->next.size, at);
        }
    }
    return 0;
}

/* A painted change: true when it only goes on with the line being written. Otherwise the old text's
 * last line is completed from the new one, so that a line that ended and scrolled between two looks
 * is whole in its cue. */
static int absorb(struct cea_screen *s, bool *absorbed, struct error *e) {
    bool same;
    size_t end = continuation(s, &same);
    size_t line = last_line(bytes_text(&s->text), s->text.size);
    size_t begin = same ? 0 : last_line(bytes_text(&s->next), end);
    bool erased = s->next.size > 0 && s->next.size < s->text.size &&
                  memcmp(s->text.data, s->next.data, s->next.size) == 0;
    *absorbed = erased || (same && end == s->next.size);
    if (*absorbed || end <= begin) {
        return 0;
    }
    s->text.size = same ? 0 : line;
    return bytes_append(&s->text, s->next.data + begin, end - begin, e);
}

int cea_screen_show(struct cea_screen *s, int64_t us, const char *text, size_t size, bool painted,
                    struct error *e) {
    int rc = tidy(&s->next, text, size, e);
    if (rc < 0) {
        return rc;
    }
    if (s->next.size == s->text.size &&
        (!s->text.size || memcmp(s->next.data, s->text.data, s->text.size) == 0)) {
        return 0;
    }
    bool absorbed = false;
    if (painted && s->text.size > 0 && s->next.size > 0) {
        rc = absorb(s, &absorbed, e);
    }
    if (rc == 0 && !absorbed) {
        rc = emit(s, us, e);
        s->since_us = us;
    }
    struct bytes shown = s->text;
    s->text = s->next;
    s->next = shown;
    return rc;
}
