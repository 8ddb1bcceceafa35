/* content_text.c - paragraphs put together from strings of several sources. See content_parts.h. */
#include "render/content/content_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unicode/uscript.h>

#include "store/utf8.h"

/* Of a paragraph; a text that would need more keeps its newlines, which takes one span. */
enum { SPANS_MOST = 1 << 20 };

/* ---- Characters ---------------------------------------------------------------------- */

/* The size of the newline at text[0], as clean.h has them; 0: there is none. */
static size_t newline_size(const char *text, size_t size) {
    unsigned char first = (unsigned char)text[0];
    if (first >= '\n' && first <= '\r') {
        return 1;
    }
    if (first == 0xC2) {
        return size >= 2 && (unsigned char)text[1] == 0x85 ? 2 : 0;
    }
    bool separator = first == 0xE2 && size >= 3 &&
                     (memcmp(text + 1, "\x80\xA8", 2) == 0 || memcmp(text + 1, "\x80\xA9", 2) == 0);
    return separator ? 3 : 0;
}

/* The size of the blanks and newlines at text[0]. */
static size_t blanks_size(const char *text, size_t size) {
    size_t at = 0;
    while (at < size) {
        size_t step = text[at] == ' ' || text[at] == '\t' ? 1 : newline_size(text + at, size - at);
        if (step == 0) {
            break;
        }
        at += step;
    }
    return at;
}

static uint32_t first_character(const char *text, size_t size) {
    uint32_t code_point = 0;
    bool valid;
    if (size > 0) {
        utf8_decode(text, size, &code_point, &valid);
    }
    return code_point;
}

static uint32_t last_character(const char *text, size_t size) {
    size_t at = size;
    while (at > 0 && size - at < 4) {
        at--;
        if (((unsigned char)text[at] & 0xC0) != 0x80) {
            break;
        }
    }
    return first_character(text + at, size - at);
}

/* Characters of scripts that are written without spaces, and their punctuation. */
static bool is_spaceless(uint32_t c) {
    if (c < 0xE00) {
        return false;
    }
    if ((c >= 0x3000 && c <= 0x30FF) || (c >= 0xFF01 && c <= 0xFF65)) {
        return true;
    }
    UErrorCode status = U_ZERO_ERROR;
    UScriptCode script = uscript_getScript((UChar32)c, &status);
    return script == USCRIPT_HAN || script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA ||
           script == USCRIPT_BOPOMOFO || script == USCRIPT_THAI || script == USCRIPT_LAO ||
           script == USCRIPT_KHMER || script == USCRIPT_MYANMAR;
}

/* ---- Phrases ------------------------------------------------------------------------- */

struct phrase phrase_of(const struct content_layout *l) {
    return (struct phrase){.arena = l->scratch, .exact = l->cells};
}

void phrase_isolate(struct phrase *p, bool leads) {
    p->isolate = ++p->isolates;
    p->leads = leads;
}

void phrase_isolate_end(struct phrase *p) {
    p->isolate = 0;
    p->leads = false;
}

int phrase_span(struct phrase *p, struct span span, struct error *e) {
    void *spans = p->spans;
    int rc = arena_grow(p->arena, &spans, p->count, &p->capacity, sizeof *p->spans, e);
    if (rc == 0) {
        p->spans = spans;
        p->spans[p->count++] = span;
        p->last = last_character(span.text, span.size);
    }
    return rc;
}

int phrase_mark(struct phrase *p, const char *text, struct error *e) {
    struct span span = {
        .text = text, .size = strlen(text), .isolate = p->isolate, .leads = p->leads};
    return phrase_span(p, span, e);
}

int phrase_glued(struct phrase *p, const char *text, struct error *e) {
    return phrase_span(p, (struct span){.text = text, .size = strlen(text), .glued = true}, e);
}

int phrase_space(struct phrase *p, struct content_string next, struct error *e) {
    size_t blanks = blanks_size(next.text, next.size);
    uint32_t first = first_character(next.text + blanks, next.size - blanks);
    bool none = first == 0 || p->last == 0 || p->last == ' ' ||
                (p->exact && (blanks > 0 || p->last == '\n')) ||
                (is_spaceless(p->last) && is_spaceless(first));
    return none ? 0 : phrase_mark(p, " ", e);
}

int phrase_text(struct phrase *p, struct content_string s, uint32_t source, uint32_t start,
                struct error *e) {
    int rc = 0;
    size_t at = 0;
    if (p->exact) {
        struct span whole = {.text = s.text,
                             .size = s.size,
                             .source = source,
                             .start = start,
                             .isolate = p->isolate,
                             .leads = p->leads};
        return s.size > 0 ? phrase_span(p, whole, e) : 0;
    }
    for (bool first = true; rc == 0; first = false) {
        at += blanks_size(s.text + at, s.size - at);
        size_t end = at, next = at;
        bool flood = p->count >= SPANS_MOST;
        while (next < s.size && (flood || newline_size(s.text + next, s.size - next) == 0)) {
            bool blank = s.text[next] == ' ' || s.text[next] == '\t';
            next++;
            end = blank ? end : next;
        }
        if (end == at) {
            break;
        }
        struct content_string line = {s.text + at, end - at};
        rc = first ? 0 : phrase_space(p, line, e);
        struct span span = {.text = line.text,
                            .size = line.size,
                            .source = source,
                            .start = start + (uint32_t)at,
                            .isolate = p->isolate,
                            .leads = p->leads};
        if (rc == 0) {
            rc = phrase_span(p, span, e);
        }
        at = next;
    }
    return rc;
}

/* ---- To the pager -------------------------------------------------------------------- */

int layout_spans(struct content_layout *l, enum page_part part, const struct span *spans,
                 size_t count, int indent, struct error *e) {
    if (count == 0) {
        return 0;
    }
    return pager_text(l->pager, part, spans, count, indent, e);
}

int layout_newline(struct content_layout *l, enum page_part part, struct error *e) {
    const struct span newline = {.text = "\n", .size = 1};
    return l->cells ? layout_spans(l, part, &newline, 1, 0, e) : 0;
}

int layout_string(struct content_layout *l, enum page_part part, struct content_string s,
                  const char *suffix, const char *pointer, struct error *e) {
    struct span span = {.text = s.text, .size = s.size};
    int rc = layout_source(l, suffix, pointer, &span.source, e);
    return rc == 0 ? layout_spans(l, part, &span, 1, 0, e) : rc;
}

/* ---- Small things -------------------------------------------------------------------- */

void content_number(char text[CONTENT_NUMBER], int64_t value) {
    static const char *const UNITS[] = {"", "K", "M", "B", "T"};
    size_t name = 0;
    int64_t whole = value, tenths = 0;
    for (; whole >= 1000 && name + 1 < sizeof UNITS / sizeof *UNITS; name++) {
        tenths = whole % 1000 / 100;
        whole /= 1000;
    }
    if (whole < 10 && tenths > 0) {
        snprintf(text, CONTENT_NUMBER, "%d.%d%s", (int)whole, (int)tenths, UNITS[name]);
    } else {
        snprintf(text, CONTENT_NUMBER, "%" PRId64 "%s", whole, UNITS[name]);
    }
}

/* Without a "..." or "…" at the end, and blanks. */
static size_t uncut_size(struct content_string s) {
    size_t size = s.size;
    if (size >= 3 &&
        (memcmp(s.text + size - 3, "...", 3) == 0 || memcmp(s.text + size - 3, "…", 3) == 0)) {
        size -= 3;
    }
    while (size > 0 && blanks_size(s.text + size - 1, 1) == 1) {
        size--;
    }
    return size;
}

bool content_repeats(struct content_string title, struct content_string description) {
    size_t size = uncut_size(title), i = 0, k = 0;
    for (;;) {
        size_t blanks = blanks_size(title.text + i, size - i);
        size_t others = blanks_size(description.text + k, description.size - k);
        if (i + blanks == size) {
            return true;
        }
        if ((blanks > 0) != (others > 0) && i > 0 && k > 0) {
            return false;
        }
        i += blanks;
        k += others;
        if (k == description.size || title.text[i] != description.text[k]) {
            return false;
        }
        i++;
        k++;
    }
}
