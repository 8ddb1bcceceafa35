/* mixed.c - see mixed.h. */
#include "train/fidelity/mixed.h"

#include <math.h>
#include <stdlib.h>

#include "render/content/content.h"
#include "store/random.h"
#include "train/read/clip.h"

enum { SOURCES_LIMIT = 1 << 28 };

struct mixed_pages {
    struct text_file file;
    double share, strange;
    struct text_files texts; /* points to what is above */
    struct alphabet *alphabet;
    struct letters *letters;
    struct clip_maker *clips;
    struct page_sources sources;
};

int mixed_pages_open(struct mixed_pages **out, const char *text, size_t size, struct error *e) {
    *out = NULL;
    struct mixed_pages *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return error_memory(e, NULL);
    }
    m->file = (struct text_file){.data = text, .size = size};
    m->share = 1;
    m->texts = (struct text_files){
        .list = &m->file, .shares = &m->share, .strange = &m->strange, .count = 1};
    int rc = alphabet_open(&m->alphabet, e);
    if (rc == 0) {
        rc = letters_open(&m->letters, m->alphabet, &m->texts, e);
    }
    if (rc == 0) {
        rc = clip_maker_open(&m->clips, &m->texts, m->letters, e);
    }
    if (rc == 0) {
        rc = arena_open(&m->sources.arena, SOURCES_LIMIT, e);
    }
    if (rc < 0) {
        mixed_pages_close(m);
        return rc;
    }
    *out = m;
    return 0;
}

void mixed_pages_close(struct mixed_pages *m) {
    if (m == NULL) {
        return;
    }
    clip_maker_close(m->clips);
    letters_close(m->letters);
    alphabet_close(m->alphabet);
    arena_close(m->sources.arena);
    free(m);
}

static int put_sample(struct mixed_pages *m, struct pager *pager, uint64_t *random,
                      struct error *e) {
    enum { SHORTEST = 150 /* characters */, DOUBLINGS = 5 };
    static const struct content_options OPTIONS = {.parts = {PART_THUMBS, PART_HEADER,
                                                             PART_DESCRIPTION, PART_SCRIPT,
                                                             PART_HASHTAGS, PART_COMMENTS},
                                                   .part_count = 6,
                                                   .marks = MARKS_NONE,
                                                   .comments = 100};
    struct stream_sample sample;
    int size = (int)(SHORTEST * exp2(random_unit(random) * DOUBLINGS));
    bool pictures = random_below(random, 2) == 0;
    json_t *warnings = json_array();
    int rc = clip_make(m->clips, &m->file, size, pictures, random, &sample, e);
    if (rc == 0) {
        arena_reset(m->sources.arena);
        m->sources = (struct page_sources){.arena = m->sources.arena};
        rc = content_layout(pager, &sample, &OPTIONS, &m->sources, warnings, e);
    }
    const char *wrong = json_string_value(json_array_get(warnings, 0));
    if (rc == 0 && wrong != NULL) {
        rc = error_set(e, ERR_FORMAT, "a made-up sample: %s", wrong);
    }
    json_decref(warnings);
    return rc;
}

int mixed_pages_draw(struct mixed_pages *m, struct drawn_page *out, const struct page_setup *setup,
                     uint64_t *random, struct error *e) {
    struct page_setup own = *setup;
    struct pager *pager;
    own.context = out;
    own.done = drawn_page_take;
    drawn_page_clear(out);
    int rc = pager_open(&pager, &own, e);
    while (rc == 0 && !out->drawn) {
        rc = put_sample(m, pager, random, e);
    }
    pager_close(pager);
    return rc;
}
