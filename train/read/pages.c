/* pages.c - see pages.h. A page follows from the seed and its number alone. */
#include "train/read/pages.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "render/content/content.h"
#include "render/draw.h"
#include "store/random.h"
#include "store/utf8.h"
#include "train/read/clip.h"
#include "train/read/labels.h"
#include "train/read/page_text.h"
#include "train/read/pictures.h"

enum { PICTURE_MOST = 256 /* pixels a side */, PICTURES_MOST = 4, SOURCES_LIMIT = 1 << 28 };
/* What a page is made of. */
enum { OF_TEXT, OF_STRINGS, OF_SAMPLES, MATERIALS };
_Static_assert(MATERIALS *PROFILE_COUNT <= READ_KINDS, "each is a kind of page for the log");

struct training_pages {
    struct training_mix mix;
    const struct alphabet *alphabet;
    struct letters *letters;
    struct fonts *fonts[PROFILE_COUNT];
    struct text_files texts;
};

/* Of a thread. */
struct generator {
    struct training_pages *p;
    struct pager *pagers[PROFILE_COUNT][MODE_COUNT];
    struct page_text text;
    struct clip_maker *clips;
    struct page_sources sources;
    int skipped; /* pages that are to be let go before one is kept */
    struct drawn_page drawn;
    struct page_labels labels;
    uint8_t *pictures; /* pixels of PICTURES_MOST */
};

/* The contents of a page. */
struct content {
    int profile;
    enum page_mode mode;
    int material;
    bool simple;               /* ASCII, nothing made up but text_random's strings */
    enum text_letters letters; /* of random strings */
};

/* ---- Pagers ---------------------------------------------------------------------------------- */

static int take_page(void *context, const struct page *page, struct error *e) {
    struct generator *g = context;
    if (g->skipped > 0) {
        g->skipped--;
        return 0;
    }
    return drawn_page_take(&g->drawn, page, e);
}

/* The pagers keep the shapes of words from page to page. */
static int pager_for(struct generator *g, int profile, enum page_mode mode, struct pager **out,
                     struct error *e) {
    struct pager **pager = &g->pagers[profile][mode];
    if (*pager == NULL) {
        const struct page_setup setup = {.mode = mode,
                                         .profile = &PROFILES[profile],
                                         .fonts = g->p->fonts[profile],
                                         .clusters = true,
                                         .context = g,
                                         .done = take_page};
        int rc = pager_open(pager, &setup, e);
        if (rc < 0) {
            return rc;
        }
    }
    *out = *pager;
    return 0;
}

/* ---- Pages of text --------------------------------------------------------------------------- */

/* Side by side at the top: up to a quarter of the page high, so that text has room below. */
static int put_pictures(struct generator *g, struct pager *pager, int side, uint64_t *random,
                        struct error *e) {
    enum { LEAST = 48 };
    struct page_picture list[PICTURES_MOST];
    struct picture pictures[PICTURES_MOST];
    int count = 1 + (int)random_below(random, PICTURES_MOST);
    int most = side / 4 < PICTURE_MOST ? side / 4 : PICTURE_MOST;
    for (int i = 0; i < count; i++) {
        int width = LEAST + (int)random_below(random, most - LEAST);
        int height = LEAST + (int)random_below(random, most - LEAST);
        uint8_t *pixels = g->pictures + (size_t)i * PICTURE_MOST * PICTURE_MOST;
        picture_fill(pixels, width, height, random);
        pictures[i] = (struct picture){.width = width, .height = height, .pixels = pixels};
        list[i] = (struct page_picture){.picture = &pictures[i], .source = 0};
    }
    return pager_pictures(pager, PART_THUMBS, list, (size_t)count, e);
}

/* Paragraph after paragraph, until the page is full or the text ends. */
static int lay_out_lines(struct generator *g, struct pager *pager, bool indents, uint64_t *random,
                         struct error *e) {
    const char *at = (const char *)g->text.text.data, *end = at + g->text.text.size;
    int rc = 0;
    while (at < end && !g->drawn.drawn && rc == 0) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        size_t size = (size_t)((line != NULL ? line : end) - at);
        const struct span span = {.text = at, .size = size};
        int indent = indents ? (int)random_below(random, 5) : 0;
        rc = size > 0 ? pager_text(pager, PART_SCRIPT, &span, 1, indent, e) : 0;
        if (rc == 0 && !g->drawn.drawn && indents && random_below(random, 8) == 0) {
            rc = pager_gap(pager, 1, e);
        }
        at += size + 1;
    }
    return rc;
}

/* The same on a page of cells, where newlines are drawn: most often as no part of a sample, so
 * without a sign at its beginning, else as some parts. */
static int lay_out_cells(struct generator *g, struct pager *pager, uint64_t *random,
                         struct error *e) {
    enum { PARTED = 4 /* one of so many */, LONGEST = 1500 };
    static const enum page_part PARTS[] = {PART_HEADER, PART_DESCRIPTION, PART_SCRIPT,
                                           PART_HASHTAGS, PART_COMMENTS};
    const char *at = bytes_text(&g->text.text), *end = at + g->text.text.size;
    bool parted = random_below(random, PARTED) == 0;
    int rc = 0;
    while (at < end && !g->drawn.drawn && rc == 0) {
        size_t size = (size_t)(end - at);
        enum page_part part = PART_NONE;
        if (parted) {
            size_t wanted = 1 + (size_t)random_below(random, LONGEST);
            size = utf8_floor(at, wanted < size ? wanted : size);
            part = PARTS[random_below(random, sizeof PARTS / sizeof *PARTS)];
        }
        const struct span span = {.text = at, .size = size};
        rc = pager_text(pager, part, &span, 1, 0, e);
        at += size > 0 ? size : 1;
    }
    return rc;
}

/* More than the page holds, but for an eighth of the pages. */
static int choose_text(struct generator *g, const struct content *c, bool flows, uint64_t *random,
                       struct error *e) {
    static const size_t FULL[MODE_COUNT] = {
        [MODE_TINY] = 8 << 10, [MODE_BASE] = 32 << 10, [MODE_HIFI] = 50 << 10};
    bool partly = random_below(random, 8) == 0;
    size_t size = FULL[c->mode] * (PROFILES[c->profile].pitch < PATCH ? 5 : 2) / 2;
    if (partly) {
        size = (size_t)(random_unit(random) * 0.5 * (double)size) + 64;
    }
    return c->material == OF_STRINGS
               ? page_text_random(&g->text, size, c->letters, c->simple, random, e)
               : page_text_prose(&g->text, size, flows, c->simple, random, e);
}

static int draw_text_page(struct generator *g, const struct content *c, struct pager *pager,
                          uint64_t *random, struct error *e) {
    bool flows = random_below(random, 2) == 0;
    int rc = choose_text(g, c, flows, random, e);
    if (rc == 0 && random_unit(random) < g->p->mix.pictures) {
        rc = put_pictures(g, pager, PAGE_SIZES[c->mode].side, random, e);
    }
    if (rc < 0 || PROFILES[c->profile].cells) {
        return rc < 0 ? rc : lay_out_cells(g, pager, random, e);
    }
    return lay_out_lines(g, pager, !flows && c->material == OF_TEXT, random, e);
}

/* ---- Pages of samples ------------------------------------------------------------------------ */

/* A sample says something is wrong with it: that would be ours to put right. */
static int check_warnings(const json_t *warnings, struct error *e) {
    const char *first = json_string_value(json_array_get(warnings, 0));
    return first == NULL ? 0 : error_set(e, ERR_FORMAT, "a made-up sample: %s", first);
}

static int put_sample(struct generator *g, struct pager *pager, const struct text_file *text,
                      int size, uint64_t *random, struct error *e) {
    static const double MARKS[] = {[MARKS_NONE] = 5, [MARKS_TIME] = 1, [MARKS_SPEAKER] = 1};
    struct content_options options = {.parts = {PART_THUMBS, PART_HEADER, PART_DESCRIPTION,
                                                PART_SCRIPT, PART_HASHTAGS, PART_COMMENTS},
                                      .part_count = 6,
                                      .marks = random_choice(random, MARKS, 3),
                                      .comments = 100};
    struct stream_sample sample;
    bool pictures = random_unit(random) < 2.5 * g->p->mix.pictures;
    json_t *warnings = json_array();
    int rc = clip_make(g->clips, text, size, pictures, random, &sample, e);
    if (rc == 0) {
        arena_reset(g->sources.arena);
        g->sources = (struct page_sources){.arena = g->sources.arena};
        rc = content_layout(pager, &sample, &options, &g->sources, warnings, e);
    }
    if (rc == 0) {
        rc = check_warnings(warnings, e);
    }
    json_decref(warnings);
    return rc;
}

/* Samples of one account one after another, from the first page on or from the second; an eighth
 * of the pages has one sample, short or long. */
static int draw_sample_page(struct generator *g, struct pager *pager, uint64_t *random,
                            struct error *e) {
    enum { SHORTEST = 150 /* characters */, DOUBLINGS = 5 };
    const struct text_file *text = text_files_choose(&g->p->texts, random);
    bool partly = random_below(random, 8) == 0;
    int rc = 0;
    g->skipped = !partly && random_below(random, 3) == 0;
    do {
        int size = (int)(SHORTEST * exp2(random_unit(random) * DOUBLINGS));
        rc = put_sample(g, pager, text, size, random, e);
    } while (rc == 0 && !g->drawn.drawn && !partly);
    return rc;
}

/* ---- A page ---------------------------------------------------------------------------------- */

/* Fills g->drawn and g->labels. */
static int draw(struct generator *g, const struct content *c, uint64_t *random, struct error *e) {
    struct pager *pager;
    drawn_page_clear(&g->drawn);
    g->labels.count = 0;
    g->skipped = 0;
    int rc = pager_for(g, c->profile, c->mode, &pager, e);
    if (rc == 0) {
        rc = c->material == OF_SAMPLES ? draw_sample_page(g, pager, random, e)
                                       : draw_text_page(g, c, pager, random, e);
    }
    if (rc == 0) { /* what follows the first page goes: the pager must be empty for the next */
        rc = pager_flush(pager, e);
    }
    if (rc == 0 && !g->drawn.drawn) {
        rc = error_set(e, ERR_FORMAT, "the text gives no page: is it text?");
    }
    return rc == 0 ? labels_of_page(&g->labels, &g->drawn.page, g->p->alphabet, e) : rc;
}

static int least(int a, int b) {
    return a < b ? a : b;
}

/* A part of the page, `side` pixels wide and high at most, its labels with it. */
static void crop(struct generator *g, int side, uint64_t *random) {
    int width = least(side, g->drawn.page.width), height = least(side, g->drawn.page.height);
    int left = (int)random_below(random, (g->drawn.page.width - width) / CELL + 1) * CELL;
    int top = (int)random_below(random, (g->drawn.page.height - height) / CELL + 1) * CELL;
    drawn_page_crop(&g->drawn, left, top, width, height);
    labels_crop(&g->labels, left, top, width, height);
}

static int first_profile(const struct training_mix *mix) {
    int profile = 0;
    while (profile < PROFILE_COUNT - 1 && mix->profiles[profile] <= 0) {
        profile++;
    }
    return profile;
}

/* What both pages of a pair have in common. */
static struct content choose_content(const struct training_mix *mix,
                                     const struct read_request *request) {
    static const enum page_mode MODES[READ_SIZES] = {MODE_TINY, MODE_BASE, MODE_HIFI, MODE_BASE};
    uint64_t random = random_stream(mix->seed + 3, request->pair);
    struct content c = {.profile = random_choice(&random, mix->profiles, PROFILE_COUNT),
                        .mode = MODES[request->size],
                        .letters = random_below(&random, 2) == 0 ? LETTERS_ASCII : LETTERS_ALL};
    bool samples = random_unit(&random) < mix->samples,
         strings = random_unit(&random) < mix->random;
    c.simple = request->progress < mix->simple * (1 + random_unit(&random));
    if (c.simple) {
        c.profile = first_profile(mix);
        c.letters = LETTERS_ASCII;
    }
    c.material = samples && !c.simple ? OF_SAMPLES : strings ? OF_STRINGS : OF_TEXT;
    return c;
}

static int make(void *generator, const struct read_request *request, struct read_page *page,
                struct error *e) {
    struct generator *g = generator;
    const struct content c = choose_content(&g->p->mix, request);
    uint64_t random = random_stream(g->p->mix.seed + 4, request->number);
    int rc = draw(g, &c, &random, e);
    if (rc < 0) {
        return rc;
    }
    if (request->size == READ_CROP) {
        crop(g, PAGE_SIZES[MODE_TINY].side, &random);
    }
    *page = (struct read_page){.width = g->drawn.page.width,
                               .height = g->drawn.page.height,
                               .grey = g->drawn.page.grey,
                               .labels = g->labels.list,
                               .label_count = g->labels.count,
                               .kind = MATERIALS * c.profile + c.material};
    return 0;
}

/* ---- Open and close ------------------------------------------------------------------ */

static void generator_close(void *generator) {
    struct generator *g = generator;
    if (g == NULL) {
        return;
    }
    for (int i = 0; i < PROFILE_COUNT; i++) {
        for (int k = 0; k < MODE_COUNT; k++) {
            pager_close(g->pagers[i][k]);
        }
    }
    page_text_close(&g->text);
    clip_maker_close(g->clips);
    arena_close(g->sources.arena);
    drawn_page_close(&g->drawn);
    labels_close(&g->labels);
    free(g->pictures);
    free(g);
}

static int generator_open(void *context, void **out, struct error *e) {
    struct training_pages *p = context;
    struct generator *g = calloc(1, sizeof *g);
    if (g == NULL) {
        return error_memory(e, NULL);
    }
    g->p = p;
    g->pictures = malloc((size_t)PICTURES_MOST * PICTURE_MOST * PICTURE_MOST);
    page_text_init(&g->text, &p->texts, p->letters, p->alphabet);
    drawn_page_init(&g->drawn);
    int rc = g->pictures != NULL ? 0 : error_memory(e, NULL);
    if (rc == 0) {
        rc = clip_maker_open(&g->clips, &p->texts, p->letters, e);
    }
    if (rc == 0) {
        rc = arena_open(&g->sources.arena, SOURCES_LIMIT, e);
    }
    if (rc < 0) {
        generator_close(g);
        return rc;
    }
    *out = g;
    return 0;
}

#define KINDS_OF(profile, name)                                                                    \
    [MATERIALS * (profile) + OF_TEXT] = name,                                                      \
                             [MATERIALS * (profile) + OF_STRINGS] = name "-random",                \
                             [MATERIALS * (profile) + OF_SAMPLES] = name "-samples"

struct read_source training_pages_source(struct training_pages *p) {
    return (struct read_source){
        .context = p,
        .open = generator_open,
        .close = generator_close,
        .make = make,
        .kinds = {KINDS_OF(PROFILE_READ10, "read10"), KINDS_OF(PROFILE_CLEAR, "clear"),
                  KINDS_OF(PROFILE_DENSE, "dense"), KINDS_OF(PROFILE_CELL10, "cell10"),
                  KINDS_OF(PROFILE_CELL8, "cell8")}};
}

int training_pages_open(struct training_pages **out, const struct training_mix *mix,
                        const struct alphabet *alphabet, char *const *paths, int count,
                        struct error *e) {
    *out = NULL;
    struct training_pages *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return error_memory(e, NULL);
    }
    p->mix = *mix;
    p->alphabet = alphabet;
    int rc = text_files_open(&p->texts, paths, count, alphabet, e);
    if (rc == 0) {
        rc = letters_open(&p->letters, alphabet, &p->texts, e);
    }
    for (int i = 0; i < PROFILE_COUNT && rc == 0; i++) {
        rc = fonts_open(&p->fonts[i], PROFILES[i].family, e);
    }
    if (rc < 0) {
        training_pages_close(p);
        return rc;
    }
    *out = p;
    return 0;
}

void training_pages_close(struct training_pages *p) {
    if (p == NULL) {
        return;
    }
    text_files_close(&p->texts);
    letters_close(p->letters);
    for (int i = 0; i < PROFILE_COUNT; i++) {
        fonts_close(p->fonts[i]);
    }
    free(p);
}
