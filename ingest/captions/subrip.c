/* subrip.c - SubRip: there is no standard, so files are read as the players read them.
 *
 * A line "TIME --> TIME" ends a cue and begins the next; everything between two of them is text,
 * blank lines too, except the number in the line before the times. */
#include <string.h>
#include <strings.h>

#include "ingest/captions/formats.h"
#include "ingest/captions/lines.h"
#include "ingest/captions/text.h"
#include "ingest/captions/timestamp.h"

enum { TAG_BYTES = 256 }; /* without an end within so many bytes: no tag; keeps scans linear */

/* ---- text -------------------------------------------------------------- */

static bool is_letter(char c) {
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_known_tag(const char *name, size_t size) {
    static const char *const names[] = {
        "b",  "i",    "u",   "s",     "c",  "v",   "p",   "br",  "em",   "font",   "span", "ruby",
        "rt", "lang", "big", "small", "tt", "sub", "sup", "del", "mark", "strong", "code"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i]) == size && strncasecmp(names[i], name, size) == 0) {
            return true;
        }
    }
    return false;
}

static bool ends_tag_name(char c) {
    return c == '>' || c == ' ' || c == '/' || c == '.' || c == '=' || c == '\t' || c == '\n';
}

/* The size of the tag <name ...>, </name> or <00:00:01.000> at `p`; 0 where it is only a '<'. */
static size_t tag_size(const char *p, const char *end, bool *breaks_line) {
    end = end - p > TAG_BYTES ? p + TAG_BYTES : end;
    const char *name = p + 1 + (end - p > 1 && p[1] == '/');
    const char *q = name;
    while (q < end && is_letter(*q)) {
        q++;
    }
    size_t size = (size_t)(q - name);
    if (size == 0) {
        while (q < end && (is_digit(*q) || *q == ':' || *q == '.')) {
            q++;
        }
        bool time = q < end && *q == '>' && memchr(name, ':', (size_t)(q - name)) != NULL;
        return time ? (size_t)(q - p) + 1 : 0;
    }
    if (q == end || !ends_tag_name(*q) || !is_known_tag(name, size)) {
        return 0;
    }
    while (q < end && *q != '>' && *q != '<') {
        q++;
    }
    *breaks_line = strncasecmp(name, "br", 2) == 0 || (size == 1 && (*name | 0x20) == 'p');
    return q < end && *q == '>' ? (size_t)(q - p) + 1 : 0;
}

static size_t read_angle(struct caption_text *w, const char *p, const char *end) {
    bool breaks_line = false;
    size_t size = tag_size(p, end, &breaks_line);
    if (size == 0 || breaks_line) {
        caption_text_put(w, size ? '\n' : '<');
    }
    return size ? size : 1;
}

/* The size of {\an8} and the like of ASS, or of {y:i} and the like of MicroDVD, at `p`; 0 where the
 * brace is text. */
static size_t code_size(const char *p, const char *end) {
    size_t left = (size_t)(end - p) < TAG_BYTES ? (size_t)(end - p) : TAG_BYTES;
    bool micro = left > 2 && p[2] == ':' && memchr("CcFfoPSsYy", p[1], 10) != NULL;
    if (left < 2 || (p[1] != '\\' && !micro)) {
        return 0;
    }
    const char *close = memchr(p, '}', left);
    return close != NULL ? (size_t)(close - p) + 1 : 0;
}

/* Are the backslashes of this text the \N and \h that programs left when they converted ASS? Not
 * where one of them is anything else, as in a path: C:\New. */
static bool has_ass_breaks(const char *p, const char *end) {
    bool breaks = false;
    for (const char *start = p; p < end; p++) {
        size_t code = *p == '{' ? code_size(p, end) : 0;
        p += code > 0 ? code - 1 : 0;
        if (*p == '\\') {
            if (end - p < 2 || memchr("Nnh", p[1], 3) == NULL || (p > start && p[-1] == ':')) {
                return false;
            }
            breaks = true;
        }
    }
    return breaks;
}

int caption_strip_subrip(struct bytes *out, const char *text, size_t size, struct error *e) {
    struct caption_text w = caption_text_begin(out, e);
    const char *p = text, *end = text + size;
    bool ass_breaks = has_ass_breaks(p, end);
    while (p < end && w.rc == 0) {
        size_t code = *p == '{' ? code_size(p, end) : 0;
        if (code > 0) {
            p += code;
        } else if (*p == '<') {
            p += read_angle(&w, p, end);
        } else if (*p == '&') {
            p += caption_text_reference(&w, p, end, true);
        } else if (*p == '\\' && ass_breaks) {
            caption_text_put(&w, p[1] == 'h' ? ' ' : '\n');
            p += 2;
        } else {
            p += caption_text_take(&w, p, (size_t)(end - p));
        }
    }
    return caption_text_end(&w);
}

int subrip_add_cue(struct cue_list *cues, int64_t start_ms, int64_t end_ms, const char *text,
                   size_t size, struct error *e) {
    struct bytes plain;
    bytes_init(&plain, CAPTION_TEXT_BYTES);
    int rc = caption_strip_subrip(&plain, text, size, e);
    if (rc == 0) {
        rc = cue_add(cues, start_ms, end_ms, bytes_text(&plain), plain.size, e);
    }
    bytes_close(&plain);
    return rc;
}

/* ---- files ------------------------------------------------------------- */

static bool is_number(struct caption_line line) {
    bool digits = false;
    for (const char *p = line.start; p < line.end; p++) {
        if (!is_digit(*p) && *p != ' ' && *p != '\t') {
            return false;
        }
        digits |= is_digit(*p);
    }
    return digits;
}

struct subrip {
    struct cue_list *cues;
    struct caption_losses *losses;
    bool open;                /* a line with times was read; what follows is its text */
    bool numbered;            /* the first cue has a number in the line before its times */
    int64_t start_ms, end_ms; /* of the open cue */
    struct caption_line text; /* the lines after those times */
    struct caption_line last; /* the last line read */
    bool behind_blank;        /* the line before that one was blank, or there was none */
};

/* Leaves the number of the next cue out of the text. Where cues have no numbers, or no blank line
 * before them, a number may be part of the text. */
static void cut_number(struct subrip *r) {
    if (is_number(r->last)) {
        r->numbered |= !r->open;
        if (r->numbered || r->behind_blank) {
            r->text.end = r->last.start;
        }
    }
}

static int end_cue(struct subrip *r, struct error *e) {
    struct caption_line text = r->text;
    if (!r->open || !caption_times_fit(r->start_ms, &r->end_ms)) {
        bool header = text.end - text.start >= 6 && memcmp(text.start, "WEBVTT", 6) == 0;
        r->losses->untimed += !caption_line_is_blank(text) && !header;
        return 0;
    }
    return subrip_add_cue(r->cues, r->start_ms, r->end_ms, text.start,
                          (size_t)(text.end - text.start), e);
}

int subrip_read(struct cue_list *cues, const char *text, size_t size, struct caption_losses *losses,
                struct error *e) {
    const char *p = text, *end = text + size;
    struct subrip r = {.cues = cues, .losses = losses};
    r.text = r.last = (struct caption_line){p, p};
    int rc = 0;
    while (p < end && rc == 0) {
        int64_t start_ms, end_ms;
        struct caption_line line = caption_line_next(&p, end);
        if (timestamp_read_line(line.start, line.end, TIMESTAMP_LONG, &start_ms, &end_ms)) {
            cut_number(&r);
            rc = end_cue(&r, e);
            r.open = true;
            r.start_ms = start_ms;
            r.end_ms = end_ms;
            r.text = (struct caption_line){p, p};
        } else {
            r.behind_blank = caption_line_is_blank(r.last);
            r.text.end = line.end;
        }
        r.last = line;
    }
    return rc == 0 ? end_cue(&r, e) : rc;
}
