/* webvtt.c - WebVTT files: blocks of lines, and which of them are cues. Source: "WebVTT: The Web
 * Video Text Tracks Format", section 6.1.
 *
 * More is read than the standard wants where nothing is lost by it: files without the header, times
 * with other numbers of digits, and text that a blank line separates from its times. Text in blocks
 * without times is left out and counted. */
#include "ingest/captions/formats.h"
#include "ingest/captions/lines.h"
#include "ingest/captions/timestamp.h"

struct webvtt {
    struct cue_list *cues;
    struct caption_losses *losses;
    const char *p, *end;
    bool waiting; /* the last cue's text is still to come: there was a blank line after its times */
    int64_t start_ms, end_ms; /* of that cue */
};

static bool is_empty(struct caption_line line) {
    return line.start == line.end;
}

/* A line with "-->" ends what is before it and begins a cue, whatever else is on it. */
static bool has_arrow(struct caption_line line) {
    const char *p = line.start;
    for (; line.end - p >= 3; p++) {
        p = memchr(p, '-', (size_t)(line.end - p) - 2);
        if (p == NULL) {
            return false;
        }
        if (p[1] == '-' && p[2] == '>') {
            return true;
        }
    }
    return false;
}

static struct caption_line peek(const struct webvtt *r) {
    const char *p = r->p;
    return caption_line_next(&p, r->end);
}

/* The lines up to an empty one or one with an arrow, as one text. */
static struct caption_line take_lines(struct webvtt *r) {
    struct caption_line text = {r->p, r->p};
    while (r->p < r->end) {
        struct caption_line line = peek(r);
        if (is_empty(line) || has_arrow(line)) {
            break;
        }
        text.end = line.end;
        caption_line_next(&r->p, r->end);
    }
    return text;
}

/* Is the block one of those that hold no text: does it begin with this word, and nothing, blanks
 * or, if `more`, anything after a blank in its line? */
static bool is_block_of(struct caption_line block, const char *word, bool more) {
    size_t size = strlen(word);
    if ((size_t)(block.end - block.start) < size || memcmp(block.start, word, size) != 0) {
        return false;
    }
    struct caption_line rest = {block.start + size, block.end};
    const char *newline = memchr(rest.start, '\n', (size_t)(rest.end - rest.start));
    rest.end = newline != NULL ? newline : rest.end;
    bool blank = is_empty(rest) || *rest.start == ' ' || *rest.start == '\t';
    return blank && (more || caption_line_is_blank(rest));
}

/* "WEBVTT" stands again where the parts of a stream were joined. */
static bool is_no_text(struct caption_line block) {
    return is_block_of(block, "NOTE", true) || is_block_of(block, "STYLE", false) ||
           is_block_of(block, "REGION", false) || is_block_of(block, "WEBVTT", true);
}

/* The cue whose line with the times is next. */
static int read_cue(struct webvtt *r, struct error *e) {
    struct caption_line line = caption_line_next(&r->p, r->end);
    bool timed =
        timestamp_read_line(line.start, line.end, TIMESTAMP_ANY, &r->start_ms, &r->end_ms) &&
        caption_times_fit(r->start_ms, &r->end_ms);
    struct caption_line text = take_lines(r);
    r->waiting = timed && is_empty(text);
    if (!timed) {
        r->losses->untimed += !caption_line_is_blank(text);
        return 0;
    }
    return webvtt_add_cue(r->cues, r->start_ms, r->end_ms, text.start,
                          (size_t)(text.end - text.start), e);
}

/* The lines before the next arrow or empty line: the identifier of a cue, or a block without
 * times. */
static int read_block(struct webvtt *r, struct error *e) {
    const char *newline = memchr(r->p, '\n', (size_t)(r->end - r->p));
    struct caption_line text = take_lines(r);
    bool one_line = newline == NULL || text.end <= newline;
    if (one_line && r->p < r->end && has_arrow(peek(r))) {
        return 0;
    }
    if (is_no_text(text)) {
        return 0;
    }
    if (!r->waiting) {
        r->losses->untimed += !caption_line_is_blank(text);
        return 0;
    }
    return webvtt_add_cue(r->cues, r->start_ms, r->end_ms, text.start,
                          (size_t)(text.end - text.start), e);
}

int webvtt_read(struct cue_list *cues, const char *text, size_t size, struct caption_losses *losses,
                struct error *e) {
    struct webvtt r = {.cues = cues, .losses = losses, .p = text, .end = text + size};
    int rc = 0;
    while (r.p < r.end && rc == 0) {
        struct caption_line line = peek(&r);
        if (is_empty(line)) {
            caption_line_next(&r.p, r.end);
        } else {
            rc = has_arrow(line) ? read_cue(&r, e) : read_block(&r, e);
        }
    }
    return rc;
}
