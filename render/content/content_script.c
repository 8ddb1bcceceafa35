/* content_script.c - cues run on as one text, with marks of time or speaker where wanted. */
#include "render/content/content_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unicode/ubrk.h>

/* At the beginning of a sentence; where sentences do not end, at that of a cue. */
enum { MARK_EVERY_MS = 10000, MARK_ANYWAY_MS = 30000, MARK_BYTES = 40 };
static const char SCRIPT[] = "script.json";

/* The script as one paragraph. */
struct script {
    struct phrase phrase;
    struct cue_start {
        size_t span;   /* the first of its spans */
        size_t offset; /* in the paragraph; see find_offsets */
        int64_t ms;    /* -1: unknown */
    } * cues;
    size_t count, capacity;
    struct content_string speaker; /* of the current paragraph */
    bool begun;                    /* a paragraph came before it */
    size_t unreadable;
};

static int add_cue(struct content_layout *l, struct script *s, size_t index, const json_t *cue,
                   struct error *e) {
    struct content_string text = content_string(cue, "text");
    if (text.text == NULL) {
        s->unreadable++;
        return 0;
    }
    uint32_t source;
    void *cues = s->cues;
    int rc = layout_item_source(l, SCRIPT, index, "text", &source, e);
    if (rc == 0) {
        rc = arena_grow(l->scratch, &cues, s->count, &s->capacity, sizeof *s->cues, e);
    }
    if (rc == 0) {
        rc = phrase_space(&s->phrase, text, e);
    }
    if (rc == 0) {
        s->cues = cues;
        s->cues[s->count++] = (struct cue_start){.span = s->phrase.count,
                                                 .ms = json_get_integer(cue, "start_ms", -1)};
        phrase_isolate(&s->phrase, true);
        rc = phrase_text(&s->phrase, text, source, 0, e);
        phrase_isolate_end(&s->phrase);
    }
    return rc;
}

/* What there is so far, as a paragraph of its own. */
static int put_phrase(struct content_layout *l, struct script *s, struct error *e) {
    struct phrase *p = &s->phrase;
    int rc = s->begun && p->count > 0 ? layout_newline(l, PART_SCRIPT, e) : 0;
    if (rc == 0) {
        rc = layout_spans(l, PART_SCRIPT, p->spans, p->count, 0, e);
    }
    s->begun = s->begun || p->count > 0;
    p->count = 0;
    p->last = 0;
    return rc;
}

/* ---- Speakers ------------------------------------------------------------------------ */

/* Another one, or nobody known, goes on: a new line. */
static int change_speaker(struct content_layout *l, struct script *s, size_t index,
                          const json_t *cue, struct error *e) {
    struct content_string name = content_string(cue, "speaker");
    bool same = name.size == s->speaker.size &&
                (name.size == 0 || memcmp(name.text, s->speaker.text, name.size) == 0);
    if (same || content_string(cue, "text").text == NULL) {
        return 0;
    }
    s->speaker = name;
    uint32_t source = 0;
    int rc = put_phrase(l, s, e);
    if (rc < 0 || name.text == NULL) {
        return rc;
    }
    rc = layout_item_source(l, SCRIPT, index, "speaker", &source, e);
    phrase_isolate(&s->phrase, false);
    if (rc == 0) {
        rc = phrase_text(&s->phrase, name, source, 0, e);
    }
    phrase_isolate_end(&s->phrase);
    return rc == 0 ? phrase_mark(&s->phrase, ": ", e) : rc;
}

/* ---- Times --------------------------------------------------------------------------- */

static int time_mark(struct phrase *p, int64_t ms, struct error *e) {
    char text[MARK_BYTES];
    int64_t s = ms / 1000;
    int size = s < 3600 ? snprintf(text, sizeof text, "[%d:%02d] ", (int)(s / 60), (int)(s % 60))
                        : snprintf(text, sizeof text, "[%" PRId64 ":%02d:%02d] ", s / 3600,
                                   (int)(s / 60 % 60), (int)(s % 60));
    const char *copy = arena_text(p->arena, text, (size_t)size);
    return copy != NULL ? phrase_mark(p, copy, e) : error_memory(e, NULL);
}

/* All its spans one after another. */
static int join(const struct phrase *p, struct bytes *joined, struct error *e) {
    int rc = 0;
    for (size_t i = 0; i < p->count && rc == 0; i++) {
        rc = bytes_append(joined, p->spans[i].text, p->spans[i].size, e);
    }
    return rc;
}

static UBreakIterator *open_sentences(UText **text, const struct bytes *joined, struct error *e) {
    UErrorCode status = U_ZERO_ERROR;
    *text = utext_openUTF8(NULL, bytes_text(joined), (int64_t)joined->size, &status);
    UBreakIterator *sentences = ubrk_open(UBRK_SENTENCE, "en", NULL, 0, &status);
    ubrk_setUText(sentences, *text, &status);
    if (U_FAILURE(status)) {
        error_set(e, ERR_MEMORY, "ICU finds no sentences: %s", u_errorName(status));
        ubrk_close(sentences);
        utext_close(*text);
        return NULL;
    }
    return sentences;
}

static struct span part_of(const struct span *s, size_t from, size_t to) {
    struct span part = *s;
    part.text += from;
    part.size = to - from;
    part.start += s->source ? (uint32_t)from : 0;
    return part;
}

/* Where a paragraph is read. */
struct place {
    size_t span, within; /* the next byte */
    size_t offset;       /* of it in the paragraph */
};

/* Adds what lies before `end` to `out`, span by span. */
static int move(const struct phrase *in, struct place *at, size_t end, struct phrase *out,
                struct error *e) {
    int rc = 0;
    while (rc == 0 && at->offset < end) {
        const struct span *span = &in->spans[at->span];
        size_t left = span->size - at->within;
        size_t take = left < end - at->offset ? left : end - at->offset;
        rc = phrase_span(out, part_of(span, at->within, at->within + take), e);
        at->offset += take;
        at->within = take == left ? 0 : at->within + take;
        at->span += take == left;
    }
    return rc;
}

static void find_offsets(struct script *s) {
    size_t cue = 0, offset = 0;
    for (size_t i = 0; i < s->phrase.count; i++) {
        for (; cue < s->count && s->cues[cue].span == i; cue++) {
            s->cues[cue].offset = offset;
        }
        offset += s->phrase.spans[i].size;
    }
}

/* `out` becomes the script with its marks. */
static int mark_sentences(const struct script *s, UBreakIterator *sentences, size_t size,
                          struct phrase *out, struct error *e) {
    struct place copied = {0};
    size_t at = 0, cue = 0, sentence = 0; /* sentence: where the next one begins */
    int64_t last = -1;
    int rc = 0;
    while (rc == 0 && at < size) {
        while (cue + 1 < s->count && s->cues[cue + 1].offset <= at) {
            cue++;
        }
        int64_t ms = s->cues[cue].ms, every = at == sentence ? MARK_EVERY_MS : MARK_ANYWAY_MS;
        if (ms >= 0 && (last < 0 || ms - last >= every)) {
            rc = move(&s->phrase, &copied, at, out, e);
            if (rc == 0) {
                rc = time_mark(out, ms, e);
            }
            last = ms;
        }
        if (at == sentence) {
            int32_t next = ubrk_next(sentences); /* of a new text the end of its first one */
            sentence = next == UBRK_DONE ? size : (size_t)next;
        }
        bool cue_first = cue + 1 < s->count && s->cues[cue + 1].offset < sentence;
        at = cue_first ? s->cues[cue + 1].offset : sentence;
    }
    return rc == 0 ? move(&s->phrase, &copied, size, out, e) : rc;
}

static int put_timed(struct content_layout *l, struct script *s, struct error *e) {
    find_offsets(s);
    struct phrase marked = phrase_of(l);
    struct bytes joined;
    bytes_init(&joined, INT32_MAX); /* ICU's offsets */
    UText *text = NULL;
    UBreakIterator *sentences = NULL;
    int rc = join(&s->phrase, &joined, e);
    if (rc == 0 && joined.size > 0) {
        sentences = open_sentences(&text, &joined, e);
        rc = sentences != NULL ? mark_sentences(s, sentences, joined.size, &marked, e) : ERR_MEMORY;
    }
    if (rc == 0) {
        rc = layout_spans(l, PART_SCRIPT, marked.spans, marked.count, 0, e);
    }
    if (sentences != NULL) {
        ubrk_close(sentences);
        utext_close(text);
    }
    bytes_close(&joined);
    return rc;
}

/* ---- The part ------------------------------------------------------------------------ */

int layout_script(struct content_layout *l, struct error *e) {
    int rc = 0;
    json_t *list = layout_read(l, SCRIPT, JSON_ARRAY, &rc, e);
    struct script s = {.phrase = phrase_of(l)};
    for (size_t i = 0; i < layout_items(list) && rc == 0; i++) {
        const json_t *cue = json_array_get(list, i);
        rc = l->options->marks == MARKS_SPEAKER ? change_speaker(l, &s, i, cue, e) : 0;
        if (rc == 0) {
            rc = add_cue(l, &s, i, cue, e);
        }
    }
    if (rc == 0) {
        rc = l->options->marks == MARKS_TIME ? put_timed(l, &s, e) : put_phrase(l, &s, e);
    }
    if (rc == 0) {
        rc = layout_warn_items(l, SCRIPT, list, s.unreadable, e);
    }
    json_decref(list);
    return rc;
}
