/* clean.c - see clean.h. Stretches that are kept are copied whole; only what is left out or
 * replaced begins a new run. */
#include "render/text/clean.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>

#include "store/array.h"
#include "store/utf8.h"

void clean_init(struct clean *c) {
    *c = (struct clean){0};
    bytes_init(&c->text, CLEAN_LIMIT + 1024);
}

void clean_close(struct clean *c) {
    bytes_close(&c->text);
    free(c->runs);
    free(c->isolates);
    free(c->glue);
    *c = (struct clean){0};
}

void clean_clear(struct clean *c) {
    bytes_clear(&c->text);
    c->count = c->isolate_count = c->glue_count = 0;
    c->isolate = 0;
    c->bidi = false;
    c->replaced = c->dropped = 0;
    c->marks = c->ignorables = 0;
}

/* Begins an isolate at the end of the text where the span is not of the one there. */
static int begin_isolate(struct clean *c, const struct span *span, struct error *e) {
    if (span->isolate == c->isolate) {
        return 0;
    }
    c->isolate = span->isolate;
    if (span->isolate == 0) {
        return 0;
    }
    struct clean_isolate *isolates =
        array_grow(c->isolates, &c->isolate_capacity, c->isolate_count + 1, sizeof *isolates, e);
    if (isolates == NULL) {
        return ERR_MEMORY;
    }
    c->isolates = isolates;
    c->isolates[c->isolate_count++] =
        (struct clean_isolate){.start = (uint32_t)c->text.size, .leads = span->leads};
    return 0;
}

static int add_glue(struct clean *c, const struct span *span, struct error *e) {
    if (!span->glued) {
        return 0;
    }
    uint32_t *glue = array_grow(c->glue, &c->glue_capacity, c->glue_count + 1, sizeof *glue, e);
    if (glue == NULL) {
        return ERR_MEMORY;
    }
    c->glue = glue;
    c->glue[c->glue_count++] = (uint32_t)c->text.size;
    return 0;
}

/* Begins a run at the end of the text, unless the last one simply goes on. */
static int begin_run(struct clean *c, uint32_t source, uint32_t source_start, bool replaced,
                     struct error *e) {
    uint32_t start = (uint32_t)c->text.size;
    if (c->count > 0) {
        const struct clean_run *last = &c->runs[c->count - 1];
        if (!replaced && !last->replaced && last->source == source &&
            (source == 0 || last->source_start + (start - last->start) == source_start)) {
            return 0;
        }
    }
    struct clean_run *runs = array_grow(c->runs, &c->capacity, c->count + 1, sizeof *runs, e);
    if (runs == NULL) {
        return ERR_MEMORY;
    }
    c->runs = runs;
    c->runs[c->count++] = (struct clean_run){
        .start = start, .source = source, .source_start = source_start, .replaced = replaced};
    return 0;
}

static int keep(struct clean *c, const struct span *span, size_t at, size_t size, struct error *e) {
    uint32_t source_start = span->source ? span->start + (uint32_t)at : 0;
    int rc = begin_run(c, span->source, source_start, false, e);
    return rc < 0 ? rc : bytes_append(&c->text, span->text + at, size, e);
}

static int keep_as(struct clean *c, const struct span *span, size_t at, size_t size,
                   const char *shown, struct error *e) {
    int rc = begin_run(c, span->source, span->start + (uint32_t)at, true, e);
    if (rc < 0) {
        return rc;
    }
    c->runs[c->count - 1].source_size = (uint32_t)size;
    return bytes_append_text(&c->text, shown, e);
}

/* A tab; its space belongs to no source, unless every byte is to be found again. */
static int keep_space(struct clean *c, const struct span *span, size_t at, struct error *e) {
    if (c->exact) {
        return keep_as(c, span, at, 1, " ", e);
    }
    int rc = begin_run(c, 0, 0, false, e);
    return rc < 0 ? rc : bytes_append_text(&c->text, " ", e);
}

static bool may_be_rtl(uint32_t code_point) {
    return (code_point >= 0x0590 && code_point <= 0x08FF) || code_point == 0x200F ||
           (code_point >= 0x202A && code_point <= 0x202E) ||
           (code_point >= 0x2066 && code_point <= 0x2069) ||
           (code_point >= 0xFB1D && code_point <= 0xFEFC) ||
           (code_point >= 0x10800 && code_point <= 0x10FFF) ||
           (code_point >= 0x1E800 && code_point <= 0x1EFFF);
}

static bool is_newline(uint32_t code_point) {
    return (code_point >= 0x0A && code_point <= 0x0D) || code_point == 0x85 ||
           code_point == 0x2028 || code_point == 0x2029;
}

/* The characters of everyday text that need no look at the tables. */
static bool is_plain(uint32_t code_point) {
    return (code_point >= 0xA0 && code_point < 0x300 && code_point != 0xAD) ||
           (code_point >= 0x3040 && code_point < 0xD7A4 && code_point != 0x3099 &&
            code_point != 0x309A && (code_point < 0xA66F || code_point >= 0xAC00));
}

/* Whether to keep a character that is not a newline. */
static bool admit(struct clean *c, uint32_t code_point) {
    if (is_plain(code_point)) {
        c->marks = c->ignorables = 0;
        return true;
    }
    int8_t type = u_charType((UChar32)code_point);
    if (type == U_CONTROL_CHAR || code_point == 0xAD || code_point == 0xFEFF) {
        return false;
    }
    if (type == U_NON_SPACING_MARK || type == U_ENCLOSING_MARK) {
        c->marks++;
        if (u_hasBinaryProperty((UChar32)code_point, UCHAR_VARIATION_SELECTOR)) {
            return c->marks <= 2;
        }
        return c->marks <= CLEAN_MARKS;
    }
    if (u_hasBinaryProperty((UChar32)code_point, UCHAR_DEFAULT_IGNORABLE_CODE_POINT)) {
        c->ignorables++;
        return c->ignorables <= CLEAN_IGNORABLES;
    }
    c->marks = c->ignorables = 0;
    return true;
}

/* What becomes of a character. */
enum fate { KEEP, REPLACE, TO_SPACE, DROP, END_LINE };

static enum fate fate_of(struct clean *c, uint32_t code_point, bool valid) {
    if (!valid) {
        return REPLACE;
    }
    if (is_newline(code_point)) {
        return END_LINE;
    }
    if (code_point == '\t') {
        return TO_SPACE;
    }
    c->bidi = c->bidi || may_be_rtl(code_point);
    return admit(c, code_point) ? KEEP : DROP;
}

/* Bytes from `at` on that are kept as they are. *size and *fate: of the character that ends them,
 * if any. */
static size_t keepable(struct clean *c, const struct span *span, size_t at, size_t limit,
                       size_t *size, enum fate *fate) {
    size_t i = at;
    *fate = KEEP;
    *size = 0;
    while (i < span->size && i - at < limit) {
        unsigned char byte = (unsigned char)span->text[i];
        if (byte >= 0x20 && byte < 0x7F) {
            c->marks = c->ignorables = 0;
            i++;
            continue;
        }
        uint32_t code_point;
        bool valid;
        size_t step = utf8_decode(span->text + i, span->size - i, &code_point, &valid);
        *fate = fate_of(c, code_point, valid);
        if (*fate != KEEP) {
            *size = step;
            break;
        }
        i += step;
    }
    return i - at;
}

int clean_append(struct clean *c, const struct span *span, size_t *used, bool *line_end,
                 struct error *e) {
    int rc = begin_isolate(c, span, e);
    if (rc == 0) {
        rc = add_glue(c, span, e);
    }
    size_t at = 0;
    *line_end = false;
    while (rc == 0 && at < span->size && !*line_end) {
        if (c->text.size >= CLEAN_LIMIT) {
            *line_end = true;
            break;
        }
        size_t size;
        enum fate fate;
        size_t kept = keepable(c, span, at, CLEAN_LIMIT - c->text.size, &size, &fate);
        rc = kept > 0 ? keep(c, span, at, kept, e) : 0;
        at += kept;
        if (rc == 0 && fate == REPLACE) {
            c->replaced++;
            c->marks = c->ignorables = 0;
            rc = keep_as(c, span, at, size, "\xEF\xBF\xBD", e);
        } else if (rc == 0 && fate == TO_SPACE) {
            rc = keep_space(c, span, at, e);
        } else if (fate == DROP) {
            c->dropped++;
        } else if (fate == END_LINE) {
            *line_end = true;
            bool crlf = size == 1 && span->text[at] == '\r' && at + 1 < span->size &&
                        span->text[at + 1] == '\n';
            size += crlf;
        }
        at += size;
    }
    if (rc == 0 && span->isolate != 0) {
        c->isolates[c->isolate_count - 1].end = (uint32_t)c->text.size;
    }
    *used = at;
    return rc;
}
