/* webvtt_text.c - the text of WebVTT cues: tags off, character references resolved, voices
 * separated. Source: "WebVTT: The Web Video Text Tracks Format", section 6.4.
 *
 * A '<' begins a tag that reaches to the next '>'; <c>, <i>, <b>, <u>, <ruby>, <rt>, <lang>, times
 * and unknown tags leave no trace in the text, but <br>, which is not WebVTT's, ends a line. Where
 * no '>' follows, the standard drops the rest of the cue; here it is text ("I <3 you"), unless it
 * begins like one of WebVTT's tags; and so is the '<' of a time that is none and holds another
 * tag. */
#include <string.h>
#include <strings.h>

#include "ingest/captions/formats.h"
#include "ingest/captions/text.h"
#include "store/utf8.h"

struct voice {
    const char *name; /* as it is written; NULL: nobody is named */
    size_t size;
};

struct speech {
    struct cue_list *cues;
    int64_t start_ms, end_ms;
    struct bytes text;
    struct caption_text writer;
    struct voice speaker; /* of the text so far */
    struct voice now;     /* whose tag was the last one */
    int rc;
    struct error *e;
};

static bool is_blank(char c) {
    return (unsigned char)c <= ' ';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_same(const struct voice *a, const struct voice *b) {
    return a->size == b->size && (a->size == 0 || memcmp(a->name, b->name, a->size) == 0);
}

/* The text with its references resolved, braces and backslashes as they are. */
static void write_plain(struct caption_text *w, const char *p, const char *end) {
    while (p < end && w->rc == 0) {
        p += *p == '&' ? caption_text_reference(w, p, end, false)
                       : caption_text_take(w, p, (size_t)(end - p));
    }
}

/* The text of one voice becomes a cue. */
static void end_part(struct speech *s) {
    size_t first = s->cues->count;
    s->rc = s->rc == 0 ? caption_text_end(&s->writer) : s->rc;
    if (s->rc == 0) {
        s->rc = cue_add(s->cues, s->start_ms, s->end_ms, bytes_text(&s->text), s->text.size, s->e);
    }
    bytes_clear(&s->text);
    s->writer = caption_text_begin(&s->text, s->e);
    if (s->rc == 0 && s->speaker.size > 0 && s->cues->count > first) {
        write_plain(&s->writer, s->speaker.name, s->speaker.name + s->speaker.size);
        s->rc = caption_text_end(&s->writer);
        if (s->rc == 0) {
            s->rc = cue_name_speaker(s->cues, first, bytes_text(&s->text), s->text.size, s->e);
        }
        bytes_clear(&s->text);
        s->writer = caption_text_begin(&s->text, s->e);
    }
}

/* Called before each character that is not blank. A voice that says nothing leaves no cue. */
static void speak(struct speech *s) {
    if (!is_same(&s->speaker, &s->now)) {
        if (s->text.size > 0) {
            end_part(s);
        }
        s->speaker = s->now;
    }
}

/* The letters of a tag's name; *size of them. */
static const char *tag_name(const char *tag, const char *end, size_t *size) {
    const char *name = tag + 1 + (end - tag > 1 && tag[1] == '/');
    *size = 0;
    while (name + *size < end && (name[*size] | 0x20) >= 'a' && (name[*size] | 0x20) <= 'z') {
        ++*size;
    }
    return name;
}

static bool is_named(const char *name, size_t size, const char *wanted) {
    return strlen(wanted) == size && strncasecmp(name, wanted, size) == 0;
}

static bool is_known(const char *name, size_t size) {
    static const char *const names[] = {"c", "i", "b", "u", "v", "ruby", "rt", "lang"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (is_named(name, size, names[i])) {
            return true;
        }
    }
    return false;
}

/* <v NAME> and </v>: the name is what follows the first blank. */
static struct voice named_voice(const char *tag, const char *close) {
    const char *p = tag;
    while (p < close && !is_blank(*p)) {
        p++;
    }
    while (p < close && is_blank(*p)) {
        p++;
    }
    return p == close || tag[1] == '/' ? (struct voice){NULL, 0}
                                       : (struct voice){p, (size_t)(close - p)};
}

static size_t write_angle(struct speech *s) {
    speak(s);
    caption_text_put(&s->writer, '<');
    return 1;
}

/* The tag at `p`; returns its size. `last_close` is the last '>' of the text, NULL for none. */
static size_t read_tag(struct speech *s, const char *p, const char *end, const char *last_close) {
    size_t size;
    const char *name = tag_name(p, end, &size);
    if (last_close == NULL || p > last_close) {
        return is_known(name, size) ? (size_t)(end - p) : write_angle(s);
    }
    const char *close = p + 1;
    while (*close != '>' && !(is_digit(p[1]) && *close == '<')) {
        close++;
    }
    if (*close == '<') {
        return write_angle(s);
    }
    if (is_named(name, size, "v") && (name[1] == '>' || name[1] == '.' || is_blank(name[1]))) {
        s->now = named_voice(p, close);
    } else if (is_named(name, size, "br")) {
        caption_text_put(&s->writer, '\n');
    }
    return (size_t)(close - p) + 1;
}

static size_t read_character(struct speech *s, const char *p, const char *end) {
    uint32_t c;
    bool valid;
    size_t used = utf8_decode(p, (size_t)(end - p), &c, &valid);
    if (c == 0 || !caption_text_is_blank(c)) {
        speak(s);
    }
    if (c == '&') {
        return caption_text_reference(&s->writer, p, end, false);
    }
    caption_text_put(&s->writer, c == 0 ? UTF8_REPLACEMENT : c);
    return used;
}

int webvtt_add_cue(struct cue_list *cues, int64_t start_ms, int64_t end_ms, const char *text,
                   size_t size, struct error *e) {
    struct speech s = {.cues = cues, .start_ms = start_ms, .end_ms = end_ms, .e = e};
    const char *p = text, *end = text + size, *last_close = end;
    while (last_close > text && last_close[-1] != '>') {
        last_close--;
    }
    last_close = last_close > text ? last_close - 1 : NULL;
    bytes_init(&s.text, CAPTION_TEXT_BYTES);
    s.writer = caption_text_begin(&s.text, e);
    while (p < end && s.rc == 0 && s.writer.rc == 0) {
        p += *p == '<' ? read_tag(&s, p, end, last_close) : read_character(&s, p, end);
    }
    end_part(&s);
    bytes_close(&s.text);
    return s.rc;
}
