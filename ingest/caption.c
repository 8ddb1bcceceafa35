/* caption.c - the text side of captions: markup off, creator captions, rolling captions collapsed.
 * See caption.h; libav is met in caption_track.c only. */
#include "ingest/caption.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "store/json.h"
#include "store/utf8.h"

enum {
    TAG_BYTES = 256,      /* a '<' with no '>' within so many bytes is no tag; keeps scans linear */
    ENTITY_DIGITS = 7,    /* &#1114111; */
    TEXT_BYTES = 1 << 24, /* of one utterance */
    TOUCH_MS = 50,    /* captions made by people keep two frames (83 ms) apart; machines' touch */
    FLASH_MS = 50,    /* nobody reads that fast: a cue of a rolling caption's animation */
    WINDOW_LINES = 8, /* rolling windows have two to four lines */
    CJK_LEAD_BYTE = 0xE3, /* UTF-8 of U+3000 and above: scripts that put no blank between words */
};

/* ---- plain text, character by character -------------------------------- */

/* Writes the characters of one cue: blanks run together, blank lines vanish, and characters without
 * width go from the ends of lines, but not from inside, where they join and separate letters. */
struct writer {
    struct bytes *out;
    struct error *e;
    size_t base;    /* size of `out` before this cue */
    char separator; /* ' ' or '\n' to write before the next character; 0 = none */
    bool muted;     /* inside a drawing: its coordinates are no text */
    int rc;         /* the first failure; nothing is written after it */
};

static bool is_blank(uint32_t c) {
    return c <= ' ' || (c >= 0x7F && c <= 0xA0); /* controls and the no-break space too */
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

static void trim_line_end(struct writer *w) {
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

static void put(struct writer *w, uint32_t c) {
    if (w->muted || w->rc < 0) {
        return;
    }
    if (c == '\n' || c == '\r') {
        trim_line_end(w);
        w->separator = '\n';
        return;
    }
    if (is_blank(c)) {
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

static size_t put_character(struct writer *w, const char *text, size_t size) {
    uint32_t c;
    bool valid;
    size_t used = utf8_decode(text, size, &c, &valid);
    put(w, c);
    return used;
}

static int finish(struct writer *w) {
    if (w->rc < 0) {
        cut(w->out, w->base);
        return w->rc;
    }
    trim_line_end(w);
    return 0;
}

/* ---- markup ------------------------------------------------------------ */

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* The inside of {...}: of all the overrides only \p0 \p1 ... matter here (not \pos, \pbo). */
static void read_overrides(struct writer *w, const char *p, const char *end) {
    for (; p < end; p++) {
        if (*p != '\\' || end - p < 2 || p[1] != 'p' || (end - p > 2 && is_letter(p[2]))) {
            continue;
        }
        w->muted = false;
        for (const char *q = p + 2; q < end && is_digit(*q); q++) {
            w->muted |= *q != '0';
        }
    }
}

/* `last_close` is the last '}' of the text, NULL if there is none. As in libass a block ends at the
 * first '}' and a '{' that is never closed is text. */
static size_t read_brace(struct writer *w, const char *p, const char *last_close) {
    if (!last_close || p > last_close) {
        put(w, '{');
        return 1;
    }
    const char *close = memchr(p, '}', (size_t)(last_close - p) + 1);
    read_overrides(w, p + 1, close);
    return (size_t)(close - p) + 1;
}

/* libavcodec writes a plain backslash as two of them or, since FFmpeg 6, with a word joiner
 * (U+2060) behind it. */
static size_t read_backslash(struct writer *w, const char *p, const char *end) {
    static const char joiner[] = "\xE2\x81\xA0";
    char next = end - p > 1 ? p[1] : 0;
    if (next == 'N' || next == 'n') {
        put(w, '\n');
    } else if (next == 'h') {
        put(w, ' ');
    } else if (next == '{' || next == '}' || next == '\\') {
        put(w, (unsigned char)next);
    } else {
        put(w, '\\');
        bool joined = end - p > 3 && memcmp(p + 1, joiner, 3) == 0;
        return joined ? 4 : 1;
    }
    return 2;
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
        bool time = q < end && *q == '>' && memchr(name, ':', (size_t)(q - name));
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

static size_t read_angle(struct writer *w, const char *p, const char *end) {
    bool breaks_line = false;
    size_t size = tag_size(p, end, &breaks_line);
    if (size == 0 || breaks_line) {
        put(w, size ? '\n' : '<');
    }
    return size ? size : 1;
}

/* The code point of &#65; or &#x41; whose digits begin at `p`; 0 where it is none. */
static uint32_t numeric_entity(const char *p, const char *end, size_t *size) {
    static const char digits[] = "0123456789abcdef";
    const char *q = p;
    uint32_t base = q < end && (*q | 0x20) == 'x' ? 16 : 10, value = 0;
    q += base == 16;
    const char *first = q;
    while (q < end && q - first < ENTITY_DIGITS && *q != ';') {
        const char *found = memchr(digits, is_letter(*q) ? *q | 0x20 : *q, base);
        if (!found) {
            return 0;
        }
        value = value * base + (uint32_t)(found - digits);
        q++;
    }
    bool valid = q < end && *q == ';' && value <= 0x10FFFF && (value < 0xD800 || value > 0xDFFF);
    *size = (size_t)(q - p) + 1;
    return valid ? value : 0;
}

static size_t read_ampersand(struct writer *w, const char *p, const char *end) {
    static const struct {
        char name[8];
        uint32_t code_point;
    } entities[] = {{"&amp;", '&'},   {"&lt;", '<'},    {"&gt;", '>'},     {"&quot;", '"'},
                    {"&apos;", '\''}, {"&nbsp;", 0xA0}, {"&lrm;", 0x200E}, {"&rlm;", 0x200F}};
    size_t left = (size_t)(end - p), size = 0;
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++) {
        size = strlen(entities[i].name);
        if (left >= size && memcmp(p, entities[i].name, size) == 0) {
            put(w, entities[i].code_point);
            return size;
        }
    }
    uint32_t c = left > 3 && p[1] == '#' ? numeric_entity(p + 2, end, &size) : 0;
    put(w, c ? c : '&');
    return c ? size + 2 : 1;
}

static const char *last_closing_brace(const char *text, size_t size) {
    while (size > 0 && text[size - 1] != '}') {
        size--;
    }
    return size > 0 ? text + size - 1 : NULL;
}

int caption_strip_ass(struct bytes *out, const char *text, size_t size, struct error *e) {
    struct writer w = {.out = out, .e = e, .base = out->size};
    const char *p = text, *end = text + size;
    const char *last_close = last_closing_brace(text, size);
    while (p < end && w.rc == 0) {
        switch (*p) {
        case '{':
            p += read_brace(&w, p, last_close);
            break;
        case '\\':
            p += read_backslash(&w, p, end);
            break;
        case '<':
            p += read_angle(&w, p, end);
            break;
        case '&':
            p += read_ampersand(&w, p, end);
            break;
        default:
            p += put_character(&w, p, (size_t)(end - p));
        }
    }
    return finish(&w);
}

/* ---- order ------------------------------------------------------------- */

/* Nobody's cues come first; a name is never empty. */
static int compare_speakers(const struct cue *a, const struct cue *b) {
    return strcmp(a->speaker ? a->speaker : "", b->speaker ? b->speaker : "");
}

static int compare_cues(const void *a, const void *b) {
    const struct cue *x = a, *y = b;
    if (x->start_ms != y->start_ms) {
        return x->start_ms < y->start_ms ? -1 : 1;
    }
    if (x->end_ms != y->end_ms) {
        return x->end_ms < y->end_ms ? -1 : 1;
    }
    int order = strcmp(x->text, y->text);
    return order != 0 ? order : compare_speakers(x, y);
}

/* A list that is in order keeps the order of cues that start together. */
static void sort_cues(struct cue *items, size_t count) {
    for (size_t i = 1; i < count; i++) {
        if (items[i].start_ms < items[i - 1].start_ms) {
            qsort(items, count, sizeof *items, compare_cues);
            return;
        }
    }
}

/* ---- creator captions -------------------------------------------------- */

static int64_t utterance_time(const json_t *utterance, const char *name) {
    int64_t time = json_get_integer(utterance, name, -1);
    return time <= CAPTION_LATEST_MS ? time : -1;
}

/* Where an utterance that does not say so ends: at the next one. */
static int64_t utterance_end(const json_t *utterance, const json_t *next, int64_t start) {
    int64_t end = utterance_time(utterance, "end_time");
    if (end <= start) {
        end = utterance_time(next, "start_time");
        end = end > start && end < start + CAPTION_UNTIMED_MS ? end : start + CAPTION_UNTIMED_MS;
    }
    return end;
}

static int add_utterance(struct cue_list *cues, struct bytes *text, const json_t *utterance,
                         const json_t *next, struct error *e) {
    int64_t start = utterance_time(utterance, "start_time");
    const json_t *said = json_object_get(utterance, "text");
    if (start < 0 || !json_is_string(said)) {
        return 0;
    }
    struct writer w = {.out = text, .e = e};
    const char *p = json_string_value(said);
    bytes_clear(text);
    for (size_t left = json_string_length(said); left > 0;) {
        size_t used = put_character(&w, p, left);
        p += used;
        left -= used;
    }
    int rc = finish(&w);
    if (rc < 0) {
        return rc;
    }
    return cue_add(cues, start, utterance_end(utterance, next, start), bytes_text(text), text->size,
                   e);
}

int caption_read_creator_json(struct cue_list *cues, const json_t *root, struct error *e) {
    const json_t *utterances = json_object_get(root, "utterances");
    size_t before = cues->count;
    struct bytes text;
    bytes_init(&text, TEXT_BYTES);
    int rc = 0;
    for (size_t i = 0; i < json_array_size(utterances) && rc == 0; i++) {
        rc = add_utterance(cues, &text, json_array_get(utterances, i),
                           json_array_get(utterances, i + 1), e);
    }
    bytes_close(&text);
    if (rc == 0 && cues->count == before) {
        rc = error_set(e, ERR_FORMAT, "creator captions without a timed utterance");
    }
    if (rc < 0) {
        cues->count = before;
        return rc;
    }
    sort_cues(cues->items + before, cues->count - before);
    return 0;
}

/* ---- rolling captions -------------------------------------------------- */

/* What another one says, be it the same words, is no repetition. */
static bool follows(const struct cue *earlier, const struct cue *later) {
    return later->start_ms - earlier->end_ms <= TOUCH_MS && compare_speakers(earlier, later) == 0;
}

static bool is_flash(const struct cue *cue) {
    return cue->end_ms - cue->start_ms <= FLASH_MS;
}

static void extend(struct cue *cue, int64_t end_ms) {
    cue->end_ms = end_ms > cue->end_ms ? end_ms : cue->end_ms;
}

/* Flashes are left for collapse_windows, to which they are evidence. */
static void join_repeats(struct cue_list *cues) {
    size_t kept = 0;
    for (size_t i = 0; i < cues->count; i++) {
        struct cue *last = kept ? &cues->items[kept - 1] : NULL;
        const struct cue *cue = &cues->items[i];
        if (last && !is_flash(cue) && follows(last, cue) && strcmp(last->text, cue->text) == 0) {
            extend(last, cue->end_ms);
        } else {
            cues->items[kept++] = *cue;
        }
    }
    cues->count = kept;
}

/* Does `text` begin with these `size` bytes and go on, if at all, with a new word or line? */
static bool continues(const char *text, const char *begin, size_t size) {
    if (strncmp(text, begin, size) != 0) {
        return false;
    }
    unsigned char next = (unsigned char)text[size];
    return next == 0 || next == '\n' || next == ' ' || next >= CJK_LEAD_BYTE;
}

/* How many bytes at the start of `cue` are the last lines of `window`, the cue before it; 0 where
 * the two have nothing to do with each other. The last of these lines may have grown by words. */
static size_t shared_bytes(const struct cue *window, const struct cue *cue) {
    if (!follows(window, cue)) {
        return 0;
    }
    const char *starts[WINDOW_LINES];
    size_t lines = 0;
    const char *end = window->text + strlen(window->text);
    for (const char *p = end; p > window->text && lines < WINDOW_LINES;) {
        p--;
        if (p == window->text || p[-1] == '\n') {
            starts[lines++] = p;
        }
    }
    while (lines > 0) {
        const char *start = starts[--lines];
        if (continues(cue->text, start, (size_t)(end - start))) {
            return (size_t)(end - start);
        }
    }
    return 0;
}

/* Keeps only what `cue` adds to the window before it; returns the new number of kept cues. The last
 * kept text is always the end of that window's text, or longer than all of it. */
static size_t keep_addition(struct cue *kept, size_t count, const struct cue *cue, size_t shared) {
    struct cue *last = &kept[count - 1];
    const char *addition = cue->text + shared;
    size_t said = strlen(last->text);
    if (*addition == 0) {
        extend(last, cue->end_ms);
        return count;
    }
    if (*addition != '\n' && said <= shared) { /* the last kept line grew */
        last->text = addition - said;
        extend(last, cue->end_ms);
        return count;
    }
    addition += *addition == '\n' || *addition == ' ';
    kept[count] = (struct cue){cue->start_ms, cue->end_ms, addition, cue->speaker};
    return count + 1;
}

/* Two captions that happen to overlap are no rolling caption: it takes two such steps in a row, or
 * a flash. All texts stay where they are; a kept cue points into one of them. */
static void collapse_windows(struct cue_list *cues) {
    struct cue *items = cues->items;
    struct cue window = {0};
    bool overlapped = false; /* the step into `window` was one */
    size_t kept = 0;
    for (size_t i = 0; i < cues->count; i++) {
        struct cue cue = items[i];
        size_t shared = i > 0 ? shared_bytes(&window, &cue) : 0;
        bool rolls = shared > 0 && (overlapped || is_flash(&window) || is_flash(&cue) ||
                                    (i + 1 < cues->count && shared_bytes(&cue, &items[i + 1]) > 0));
        if (rolls) {
            kept = keep_addition(items, kept, &cue, shared);
        } else {
            items[kept++] = cue;
        }
        overlapped = shared > 0;
        window = cue;
    }
    cues->count = kept;
}

void caption_collapse_rolling(struct cue_list *cues) {
    sort_cues(cues->items, cues->count);
    join_repeats(cues);
    collapse_windows(cues);
}
