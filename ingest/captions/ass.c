/* ass.c - ASS and SSA: files of events, and the text of an event with its markup off. */
#include <string.h>
#include <strings.h>

#include "ingest/captions/formats.h"
#include "ingest/captions/lines.h"
#include "ingest/captions/text.h"
#include "ingest/captions/timestamp.h"

/* ---- text -------------------------------------------------------------- */

static bool is_letter(char c) {
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* The inside of {...}: of all the overrides only \p0 \p1 ... matter here (not \pos, \pbo). */
static void read_overrides(struct caption_text *w, const char *p, const char *end) {
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
static size_t read_brace(struct caption_text *w, const char *p, const char *last_close) {
    if (last_close == NULL || p > last_close) {
        caption_text_put(w, '{');
        return 1;
    }
    const char *close = memchr(p, '}', (size_t)(last_close - p) + 1);
    read_overrides(w, p + 1, close);
    return (size_t)(close - p) + 1;
}

/* libavcodec, whose decoder of closed captions writes ASS, turns a plain backslash into two or,
 * since FFmpeg 6, one with a word joiner (U+2060) after it. */
static size_t read_backslash(struct caption_text *w, const char *p, const char *end) {
    static const char joiner[] = "\xE2\x81\xA0";
    char next = end - p > 1 ? p[1] : 0;
    if (next == 'N' || next == 'n') {
        caption_text_put(w, '\n');
    } else if (next == 'h') {
        caption_text_put(w, ' ');
    } else if (next == '{' || next == '}' || next == '\\') {
        caption_text_put(w, (unsigned char)next);
    } else {
        caption_text_put(w, '\\');
        bool joined = end - p > 3 && memcmp(p + 1, joiner, 3) == 0;
        return joined ? 4 : 1;
    }
    return 2;
}

static const char *last_closing_brace(const char *text, size_t size) {
    while (size > 0 && text[size - 1] != '}') {
        size--;
    }
    return size > 0 ? text + size - 1 : NULL;
}

int caption_strip_ass(struct bytes *out, const char *text, size_t size, struct error *e) {
    struct caption_text w = caption_text_begin(out, e);
    const char *p = text, *end = text + size;
    const char *last_close = last_closing_brace(text, size);
    while (p < end && w.rc == 0) {
        if (*p == '{') {
            p += read_brace(&w, p, last_close);
        } else if (*p == '\\') {
            p += read_backslash(&w, p, end);
        } else {
            p += caption_text_take(&w, p, (size_t)(end - p));
        }
    }
    return caption_text_end(&w);
}

/* ---- events ------------------------------------------------------------ */

/* The numbers of the fields of an event, from 0. */
struct event_format {
    int count, start, end, name, text;
};

static int add_cue(struct cue_list *cues, int64_t start_ms, int64_t end_ms,
                   struct caption_line text, struct caption_line name, struct error *e) {
    struct bytes plain;
    size_t first = cues->count;
    bytes_init(&plain, CAPTION_TEXT_BYTES);
    int rc = caption_strip_ass(&plain, text.start, (size_t)(text.end - text.start), e);
    if (rc == 0) {
        rc = cue_add(cues, start_ms, end_ms, bytes_text(&plain), plain.size, e);
    }
    bytes_clear(&plain);
    if (rc == 0) {
        rc = caption_strip_ass(&plain, name.start, (size_t)(name.end - name.start), e);
    }
    /* "NTP" names nobody: converters write it where SubStation's format wants a name. */
    if (rc == 0 && strcmp(bytes_text(&plain), "NTP") != 0) {
        rc = cue_name_speaker(cues, first, bytes_text(&plain), plain.size, e);
    }
    bytes_close(&plain);
    return rc;
}

/* The part of `line` before its first comma; *line becomes what is after it. */
static struct caption_line cut_first(struct caption_line *line) {
    const char *comma = memchr(line->start, ',', (size_t)(line->end - line->start));
    struct caption_line first = {line->start, comma != NULL ? comma : line->end};
    line->start = comma != NULL ? comma + 1 : line->end;
    return first;
}

/* The part of `line` after its last comma; *line becomes what is before it. */
static struct caption_line cut_last(struct caption_line *line) {
    const char *comma = line->end;
    while (comma > line->start && comma[-1] != ',') {
        comma--;
    }
    struct caption_line last = {comma, line->end};
    line->end = comma > line->start ? comma - 1 : line->start;
    return last;
}

/* The text may hold commas, so fields after it are counted from the end of the line. */
static struct caption_line event_field(struct caption_line event, const struct event_format *format,
                                       int index) {
    for (int i = 0; i < format->text; i++) {
        struct caption_line field = cut_first(&event);
        if (i == index) {
            return field;
        }
    }
    for (int i = format->count - 1; i > format->text; i--) {
        struct caption_line field = cut_last(&event);
        if (i == index) {
            return field;
        }
    }
    return event;
}

int ass_add_event(struct cue_list *cues, int64_t start_ms, int64_t end_ms, const char *event,
                  size_t size, struct error *e) {
    static const struct event_format format = {.count = 9, .name = 3, .text = 8};
    struct caption_line line = {event, event + size};
    return add_cue(cues, start_ms, end_ms, event_field(line, &format, format.text),
                   event_field(line, &format, format.name), e);
}

/* ---- files ------------------------------------------------------------- */

static struct caption_line trim(struct caption_line line) {
    while (line.start < line.end && (*line.start == ' ' || *line.start == '\t')) {
        line.start++;
    }
    while (line.end > line.start && (line.end[-1] == ' ' || line.end[-1] == '\t')) {
        line.end--;
    }
    return line;
}

static bool is_word(struct caption_line line, const char *word) {
    size_t size = (size_t)(line.end - line.start);
    return strlen(word) == size && strncasecmp(line.start, word, size) == 0;
}

/* The names of the fields of events; those of styles, which have no times, change nothing. */
static void read_format(struct caption_line line, struct event_format *format) {
    struct event_format found = {0, -1, -1, -1, -1};
    while (line.start < line.end) {
        struct caption_line field = trim(cut_first(&line));
        int i = found.count++;
        found.start = is_word(field, "Start") ? i : found.start;
        found.end = is_word(field, "End") ? i : found.end;
        found.name = is_word(field, "Name") || is_word(field, "Actor") ? i : found.name;
        found.text = is_word(field, "Text") ? i : found.text;
    }
    if (found.start >= 0 && found.end >= 0 && found.text >= 0) {
        *format = found;
    }
}

static int read_event(struct cue_list *cues, struct caption_line event,
                      const struct event_format *format, struct caption_losses *losses,
                      struct error *e) {
    struct caption_line start = event_field(event, format, format->start);
    struct caption_line end = event_field(event, format, format->end);
    struct caption_line text = event_field(event, format, format->text);
    struct caption_line name = {event.end, event.end};
    if (format->name >= 0) {
        name = event_field(event, format, format->name);
    }
    int64_t start_ms, end_ms;
    if (!timestamp_read(&start.start, start.end, TIMESTAMP_HUNDREDTHS, &start_ms) ||
        !timestamp_read(&end.start, end.end, TIMESTAMP_HUNDREDTHS, &end_ms) ||
        !caption_times_fit(start_ms, &end_ms)) {
        losses->untimed++;
        return 0;
    }
    return add_cue(cues, start_ms, end_ms, text, name, e);
}

/* Cuts "WORD:" off the line. */
static bool cut_word(struct caption_line *line, const char *word) {
    size_t size = strlen(word);
    if ((size_t)(line->end - line->start) < size || strncasecmp(line->start, word, size) != 0) {
        return false;
    }
    line->start += size;
    return true;
}

int ass_read(struct cue_list *cues, const char *text, size_t size, struct caption_losses *losses,
             struct error *e) {
    /* Layer or Marked, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text */
    struct event_format format = {.count = 10, .start = 1, .end = 2, .name = 4, .text = 9};
    const char *p = text, *end = text + size;
    int rc = 0;
    while (p < end && rc == 0) {
        struct caption_line line = trim(caption_line_next(&p, end));
        if (cut_word(&line, "Format:")) {
            read_format(line, &format);
        } else if (cut_word(&line, "Dialogue:")) {
            rc = read_event(cues, line, &format, losses, e);
        }
    }
    return rc;
}
