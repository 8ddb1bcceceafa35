/* pager_stub.h - a pager that draws nothing: it writes down what it is given, and checks of every
 * span that its source holds exactly these bytes at this place. To be included by one file of a
 * program, which then does not link render/page/page.c.
 *
 *     language en
 *     header|@{account} · 1.2M views         {...}: text of a source
 *     gap 1
 *     comments 1|{author}: {text}            indent 1
 *     thumbs|36x64 000.jpg, 64x36 001.jpg
 */
#ifndef OCC_TESTS_PAGER_STUB_H
#define OCC_TESTS_PAGER_STUB_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "render/content/content.h"
#include "store/json.h"
#include "store/utf8.h"

const char *const PAGE_PARTS[PART_COUNT + 1] = {"header",   "thumbs",   "description", "script",
                                                "hashtags", "comments", "audio",       NULL};

enum { STUB_TREES = 4 };

struct pager {
    const struct stream_sample *sample;
    const struct page_sources *sources;
    struct bytes log;
    int picture_width;
    bool cells;
    int fail_at; /* the call of this number (from 1) fails; 0: none */
    int calls;
    int broken; /* promises; each is named in the log */
    size_t spans;
    struct {
        const char *member;
        json_t *tree;
    } trees[STUB_TREES];
};

static inline void stub_open(struct pager *p, const struct stream_sample *sample,
                             const struct page_sources *sources) {
    *p = (struct pager){.sample = sample, .sources = sources, .picture_width = 448};
    bytes_init(&p->log, (size_t)1 << 30);
}

static inline void stub_close(struct pager *p) {
    for (int i = 0; i < STUB_TREES; i++) {
        json_decref(p->trees[i].tree);
    }
    bytes_close(&p->log);
}

static inline void stub_promise(struct pager *p, int kept, const char *what) {
    if (!kept) {
        p->broken++;
        bytes_printf(&p->log, NULL, "BROKEN: %s\n", what);
    }
}

static inline int stub_call(struct pager *p, struct error *e) {
    p->calls++;
    return p->calls == p->fail_at ? error_set(e, ERR_CANCELLED, "stub") : 0;
}

static inline const struct page_source *stub_source(struct pager *p, uint32_t number) {
    int known = number >= 1 && number <= p->sources->count;
    stub_promise(p, known, "the source exists");
    const struct page_source *s = known ? &p->sources->items[number - 1] : NULL;
    stub_promise(p, !s || strcmp(s->key, p->sample->key) == 0, "the source has the sample's key");
    stub_promise(p, !s || stream_member_find(p->sample, s->member), "the source's member exists");
    return s;
}

/* The tree of a member, read once. */
static inline const json_t *stub_tree(struct pager *p, const char *suffix) {
    int i = 0;
    while (i < STUB_TREES && p->trees[i].tree && strcmp(p->trees[i].member, suffix) != 0) {
        i++;
    }
    const struct stream_member *m = stream_member_find(p->sample, suffix);
    if (i == STUB_TREES || !m) {
        return NULL;
    }
    if (!p->trees[i].tree) {
        p->trees[i].member = m->suffix;
        p->trees[i].tree = json_read(m->data, m->size, NULL, NULL);
    }
    return p->trees[i].tree;
}

/* RFC 6901 without its escapes. */
static inline const json_t *stub_resolve(const json_t *value, const char *pointer) {
    char token[64];
    while (value && *pointer == '/') {
        size_t size = strcspn(pointer + 1, "/");
        snprintf(token, sizeof token, "%.*s", (int)size, pointer + 1);
        value = json_is_array(value) ? json_array_get(value, strtoul(token, NULL, 10))
                                     : json_object_get(value, token);
        pointer += 1 + size;
    }
    return value;
}

static inline void stub_check_span(struct pager *p, const struct span *s) {
    p->spans++;
    stub_promise(p, s->size > 0, "a span has text");
    stub_promise(p, utf8_is_valid(s->text, s->size), "a span is cut between characters");
    if (s->source == 0) {
        stub_promise(p, s->start == 0, "text without source has no place in it");
        return;
    }
    const struct page_source *source = stub_source(p, s->source);
    const json_t *string = source && source->pointer
                               ? stub_resolve(stub_tree(p, source->member), source->pointer)
                               : NULL;
    size_t size = json_string_length(string);
    stub_promise(p,
                 s->start <= size && s->size <= size - s->start &&
                     memcmp(json_string_value(string) + s->start, s->text, s->size) == 0,
                 "a span is what its source has there");
}

int pager_text(struct pager *p, enum page_part part, const struct span *spans, size_t count,
               int indent, struct error *e) {
    int rc = stub_call(p, e);
    stub_promise(p, count > 0, "a paragraph has spans");
    stub_promise(p, indent >= 0 && indent <= PAGE_INDENT, "the indent is within its limits");
    bytes_append_text(&p->log, PAGE_PARTS[part], NULL);
    if (indent > 0) {
        bytes_printf(&p->log, NULL, " %d", indent);
    }
    bytes_append(&p->log, "|", 1, NULL);
    for (size_t i = 0; i < count; i++) {
        stub_check_span(p, &spans[i]);
        bytes_append_text(&p->log, spans[i].source ? "{" : "", NULL);
        bytes_append(&p->log, spans[i].text, spans[i].size, NULL);
        bytes_append_text(&p->log, spans[i].source ? "}" : "", NULL);
    }
    bytes_append(&p->log, "\n", 1, NULL);
    return rc;
}

int pager_pictures(struct pager *p, enum page_part part, const struct page_picture *pictures,
                   size_t count, struct error *e) {
    int rc = stub_call(p, e);
    stub_promise(p, count > 0, "there are pictures");
    bytes_printf(&p->log, NULL, "%s|", PAGE_PARTS[part]);
    for (size_t i = 0; i < count; i++) {
        const struct picture *picture = pictures[i].picture;
        const struct page_source *s = stub_source(p, pictures[i].source);
        stub_promise(p, s && !s->pointer, "a picture's source is a whole member");
        stub_promise(
            p, picture->pixels && picture->width <= p->picture_width && picture->height <= CELL,
            "a picture fits");
        bytes_printf(&p->log, NULL, "%s%dx%d %s", i ? ", " : "", picture->width, picture->height,
                     s ? s->member : "?");
    }
    bytes_append(&p->log, "\n", 1, NULL);
    return rc;
}

bool pager_has_cells(const struct pager *p) {
    return p->cells;
}

int pager_gap(struct pager *p, int rows, struct error *e) {
    bytes_printf(&p->log, NULL, "gap %d\n", rows);
    return stub_call(p, e);
}

int pager_clear(struct pager *p, struct error *e) {
    return stub_call(p, e);
}

void pager_language(struct pager *p, const char *language) {
    bytes_printf(&p->log, NULL, "language %s\n", language ? language : "unknown");
}

int pager_picture_width(const struct pager *p) {
    return p->picture_width;
}

#endif
