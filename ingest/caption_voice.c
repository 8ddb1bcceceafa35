/* caption_voice.c - see caption_voice.h. A tag is what the decoder takes for one: everything from
 * '<' to the next '>'. */
#include "ingest/caption_voice.h"

#include <stdbool.h>
#include <string.h>

#include "ingest/caption.h"
#include "store/utf8.h"

static bool is_blank(char c) {
    return (unsigned char)c <= ' ';
}

/* Is there anything but blanks and tags? */
static bool has_text(const char *p, const char *end) {
    bool in_tag = false;
    for (; p < end; p++) {
        if (*p == '<' || *p == '>') {
            in_tag = *p == '<';
        } else if (!in_tag && !is_blank(*p)) {
            return true;
        }
    }
    return false;
}

/* Is the tag from `p` to its '>' at `close` <v ...>, <v.class ...> or </v>? */
static bool is_voice_tag(const char *p, const char *close) {
    p += 1 + (p[1] == '/');
    return p < close && (*p | 0x20) == 'v' && (p[1] == '>' || p[1] == '.' || is_blank(p[1]));
}

/* The first voice tag, whose '>' is at *close; `end` where there is none. */
static const char *find_voice_tag(const char *p, const char *end, const char **close) {
    while (p < end) {
        const char *open = memchr(p, '<', (size_t)(end - p));
        *close = open ? memchr(open, '>', (size_t)(end - open)) : NULL;
        if (!*close) {
            return end;
        }
        if (is_voice_tag(open, *close)) {
            return open;
        }
        p = *close + 1;
    }
    return end;
}

/* The name in a voice tag: what follows the first blank; </v> has none. */
static struct caption_voice named_voice(const char *tag, const char *close) {
    const char *p = tag;
    while (p < close && !is_blank(*p)) {
        p++;
    }
    while (p < close && is_blank(*p)) {
        p++;
    }
    if (p == close || tag[1] == '/') {
        return (struct caption_voice){NULL, 0};
    }
    return (struct caption_voice){p, (size_t)(close - p)};
}

static bool is_same(const struct caption_voice *a, const struct caption_voice *b) {
    return a->size == b->size && (a->size == 0 || memcmp(a->name, b->name, a->size) == 0);
}

size_t caption_voice_part(const char *text, size_t size, struct caption_voice *voice) {
    const char *p = text, *end = text + size;
    const char *said = NULL; /* the end of what `voice` has said so far */
    struct caption_voice now = {NULL, 0};
    *voice = now;
    while (p < end) {
        const char *close = end;
        const char *tag = find_voice_tag(p, end, &close);
        if (has_text(p, tag)) {
            if (said && !is_same(&now, voice)) {
                return (size_t)(said - text);
            }
            *voice = now;
            said = tag;
        }
        if (tag == end) {
            break;
        }
        now = named_voice(tag, close);
        p = close + 1;
    }
    return size;
}

void caption_voice_hide(char *text, size_t size) {
    const char *end = text + size, *close = end;
    const char *tag = find_voice_tag(text, end, &close);
    while (tag < end) {
        memset(text + (tag - text) + 1, 'v', (size_t)(close - tag) - 1);
        tag = find_voice_tag(close + 1, end, &close);
    }
}

int caption_voice_name(const char **out, struct arena *arena, const struct caption_voice *voice,
                       struct error *e) {
    struct bytes name;
    bytes_init(&name, voice->size * 4); /* a replaced byte becomes three */
    *out = NULL;
    int rc = voice->size > 0 ? caption_strip_ass(&name, voice->name, voice->size, e) : 0;
    const char *text = bytes_text(&name);
    size_t size = name.size > CUE_SPEAKER_BYTES ? utf8_floor(text, CUE_SPEAKER_BYTES) : name.size;
    while (size > 0 && is_blank(text[size - 1])) { /* the cut may have left one */
        size--;
    }
    if (rc == 0 && size > 0) {
        char *copy = arena_text(arena, text, size);
        for (char *p = copy; p && *p; p++) {
            *p = *p == '\n' ? ' ' : *p;
        }
        *out = copy;
        rc = copy ? 0 : error_set(e, ERR_MEMORY, "out of memory");
    }
    bytes_close(&name);
    return rc;
}
