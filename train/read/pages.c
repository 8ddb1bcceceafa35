/* pages.c - see pages.h. A page follows from the seed and its number alone. */
#include "train/read/pages.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "render/draw.h"
#include "store/file.h"
#include "store/random.h"
#include "train/read/labels.h"
#include "train/read/text.h"

enum { PICTURE_MOST = 256 /* pixels a side */, PICTURES_MOST = 4 };

struct text_file {
    const char *data; /* mapped */
    size_t size;
};

struct training_pages {
    struct training_mix mix;
    const struct alphabet *alphabet;
    struct fonts *fonts[PROFILE_COUNT];
    struct text_file *files;
    double *shares;
    int count;
};

/* Of a thread. */
struct generator {
    struct training_pages *p;
    struct pager *pagers[PROFILE_COUNT][MODE_COUNT];
    struct bytes text;
    struct drawn_page drawn;
    struct page_labels labels;
    uint8_t *pictures; /* pixels of PICTURES_MOST */
};

/* ---- Pages --------------------------------------------------------------------------- */

/* The pagers keep the shapes of words from page to page. */
static int pager_for(struct generator *g, int profile, enum page_mode mode, struct pager **out,
                     struct error *e) {
    struct pager **pager = &g->pagers[profile][mode];
    if (*pager == NULL) {
        const struct page_setup setup = {.mode = mode,
                                         .profile = &PROFILES[profile],
                                         .fonts = g->p->fonts[profile],
                                         .clusters = true,
                                         .context = &g->drawn,
                                         .done = drawn_page_take};
        int rc = pager_open(pager, &setup, e);
        if (rc < 0) {
            return rc;
        }
    }
    *out = *pager;
    return 0;
}

/* Soft noise with a hard edge. */
static void fill_picture(uint8_t *pixels, int width, int height, uint64_t *random) {
    double fx = random_unit(random) * 0.2, fy = random_unit(random) * 0.2;
    int edge = (int)random_below(random, height), noise = 1 + (int)random_below(random, 64);
    for (int k = 0; k < width * height; k++) {
        int y = k / width, x = k % width;
        double wave = sin(x * fx + y * 0.05) + cos(y * fy);
        double value = 128 + 50 * wave + (y > edge ? 40 : -40);
        value += (double)random_below(random, noise);
        pixels[k] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
}

/* Of the sizes of thumbnails, side by side at the top. */
static int put_pictures(struct generator *g, struct pager *pager, uint64_t *random,
                        struct error *e) {
    enum { LEAST = 48 };
    struct page_picture list[PICTURES_MOST];
    struct picture pictures[PICTURES_MOST];
    int count = 1 + (int)random_below(random, PICTURES_MOST);
    int widest = pager_picture_width(pager);
    widest = widest < PICTURE_MOST ? widest : PICTURE_MOST;
    for (int i = 0; i < count; i++) {
        int width = LEAST + (int)random_below(random, widest - LEAST);
        int height = LEAST + (int)random_below(random, PICTURE_MOST - LEAST);
        uint8_t *pixels = g->pictures + (size_t)i * PICTURE_MOST * PICTURE_MOST;
        fill_picture(pixels, width, height, random);
        pictures[i] = (struct picture){.width = width, .height = height, .pixels = pixels};
        list[i] = (struct page_picture){.picture = &pictures[i], .source = 0};
    }
    return pager_pictures(pager, PART_THUMBS, list, (size_t)count, e);
}

/* Paragraph after paragraph, until the page is full or the text ends. */
static int lay_out(struct generator *g, struct pager *pager, bool indents, uint64_t *random,
                   struct error *e) {
    const char *at = (const char *)g->text.data, *end = at + g->text.size;
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

/* Whether all but a fiftieth of the text is. */
static bool is_ascii(const struct generator *g) {
    size_t others = 0;
    for (size_t i = 0; i < g->text.size; i++) {
        others += g->text.data[i] >= 0x80;
    }
    return others * 50 <= g->text.size;
}

/* The contents of a page. */
struct content {
    int profile;
    enum page_mode mode;
    bool is_random, ascii;
    enum text_letters letters; /* of random strings */
};

/* A part of a file from a random line on, as one paragraph if `flows`. */
static int take_prose(struct generator *g, size_t size, bool flows, uint64_t *random,
                      struct error *e) {
    const struct training_pages *p = g->p;
    const struct text_file *f = &p->files[random_choice(random, p->shares, p->count)];
    size_t at = (size_t)random_below(random, (int64_t)f->size);
    bytes_clear(&g->text);
    int rc = text_stretch(&g->text, f->data, f->size, at, size, e);
    if (rc == 0 && flows) {
        text_join_lines(&g->text);
    }
    return rc;
}

/* More than the page holds in rows of 16 pixels, but for an eighth of the pages; fills g->text. */
static int choose_text(struct generator *g, const struct content *c, bool flows, uint64_t *random,
                       struct error *e) {
    enum { TRIES = 50 /* to find a text in ASCII */ };
    static const size_t FULL[MODE_COUNT] = {
        [MODE_TINY] = 8 << 10, [MODE_BASE] = 32 << 10, [MODE_HIFI] = 50 << 10};
    bool partly = random_below(random, 8) == 0;
    size_t size = FULL[c->mode] * (PROFILES[c->profile].pitch < PATCH ? 5 : 2) / 2;
    if (partly) {
        size = (size_t)(random_unit(random) * 0.5 * (double)size) + 64;
    }
    bytes_clear(&g->text);
    if (c->is_random) {
        return text_random(&g->text, g->p->alphabet, c->letters, size, random, e);
    }
    int rc = 0;
    for (int i = 0; i < (c->ascii ? TRIES : 1) && rc == 0; i++) {
        rc = take_prose(g, size, flows, random, e);
        i += is_ascii(g) ? TRIES : 0;
    }
    return rc;
}

/* Fills g->drawn and g->labels. */
static int draw(struct generator *g, const struct content *c, uint64_t *random, struct error *e) {
    struct pager *pager;
    bool flows = random_below(random, 2) == 0;
    drawn_page_clear(&g->drawn);
    g->labels.count = 0;
    int rc = choose_text(g, c, flows, random, e);
    if (rc == 0) {
        rc = pager_for(g, c->profile, c->mode, &pager, e);
    }
    if (rc == 0 && random_unit(random) < g->p->mix.pictures) {
        rc = put_pictures(g, pager, random, e);
    }
    if (rc == 0) {
        rc = lay_out(g, pager, !flows && !c->is_random, random, e);
    }
    if (rc == 0) { /* what follows the first page goes: the pager must be empty for the next */
        rc = pager_flush(pager, e);
    }
    if (rc == 0 && !g->drawn.drawn) {
        rc = error_set(e, ERR_FORMAT, "the text gives no page: is it text?");
    }
    return rc == 0 ? labels_of_page(&g->labels, &g->drawn.page, g->p->alphabet, e) : rc;
}

/* A square of the page, its labels with it. */
static void crop(struct generator *g, int side, uint64_t *random) {
    int cells = (g->drawn.page.width - side) / CELL + 1;
    int left = (int)random_below(random, cells) * CELL;
    int top = (int)random_below(random, cells) * CELL;
    drawn_page_crop(&g->drawn, left, top, side, side);
    labels_crop(&g->labels, left, top, side);
}

static int first_profile(const struct training_mix *mix) {
    int profile = 0;
    while (profile < PROFILE_COUNT - 1 && mix->profiles[profile] <= 0) {
        profile++;
    }
    return profile;
}

static int make(void *generator, const struct read_request *request, struct read_page *page,
                struct error *e) {
    static const enum page_mode MODES[READ_SIZES] = {MODE_TINY, MODE_BASE, MODE_HIFI, MODE_BASE};
    struct generator *g = generator;
    const struct training_mix *mix = &g->p->mix;
    uint64_t shared = random_stream(mix->seed + 3, request->pair);
    uint64_t random = random_stream(mix->seed + 4, request->number);
    struct content c = {.profile = random_choice(&shared, mix->profiles, PROFILE_COUNT),
                        .mode = MODES[request->size],
                        .is_random = random_unit(&shared) < mix->random,
                        .letters = random_below(&shared, 2) == 0 ? LETTERS_ASCII : LETTERS_ALL};
    if (request->progress < mix->simple * (1 + random_unit(&shared))) {
        c.profile = first_profile(mix);
        c.ascii = true;
        c.letters = LETTERS_ASCII;
    }
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
                               .kind = 2 * c.profile + c.is_random};
    return 0;
}

/* ---- Open and close ------------------------------------------------------------------ */

static void generator_close(void *generator) {
    struct generator *g = generator;
    for (int i = 0; i < PROFILE_COUNT; i++) {
        for (int k = 0; k < MODE_COUNT; k++) {
            pager_close(g->pagers[i][k]);
        }
    }
    bytes_close(&g->text);
    drawn_page_close(&g->drawn);
    labels_close(&g->labels);
    free(g->pictures);
    free(g);
}

static int generator_open(void *context, void **out, struct error *e) {
    struct generator *g = calloc(1, sizeof *g);
    if (g == NULL) {
        return error_memory(e, NULL);
    }
    g->p = context;
    g->pictures = malloc((size_t)PICTURES_MOST * PICTURE_MOST * PICTURE_MOST);
    bytes_init(&g->text, (size_t)1 << 24);
    drawn_page_init(&g->drawn);
    if (g->pictures == NULL) {
        generator_close(g);
        return error_memory(e, NULL);
    }
    *out = g;
    return 0;
}

struct read_source training_pages_source(struct training_pages *p) {
    return (struct read_source){
        .context = p,
        .open = generator_open,
        .close = generator_close,
        .make = make,
        .kinds = {"read10", "read10-random", "clear", "clear-random", "dense", "dense-random"}};
}

static int map_file(struct text_file *f, const char *path, struct error *e) {
    int fd;
    struct stat status;
    int rc = file_open_regular(path, &fd, e);
    if (rc < 0) {
        return rc;
    }
    if (fstat(fd, &status) != 0 || status.st_size == 0) {
        close(fd);
        return error_set(e, ERR_FORMAT, "%s: is empty", path);
    }
    void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (data == MAP_FAILED) {
        return error_set(e, ERR_MEMORY, "%s: cannot be mapped", path);
    }
    *f = (struct text_file){.data = data, .size = (size_t)status.st_size};
    return 0;
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
    p->files = calloc((size_t)count, sizeof *p->files);
    p->shares = calloc((size_t)count, sizeof *p->shares);
    int rc = p->files != NULL && p->shares != NULL ? 0 : error_memory(e, NULL);
    for (; p->count < count && rc == 0; p->count++) {
        rc = map_file(&p->files[p->count], paths[p->count], e);
        p->shares[p->count] = sqrt((double)p->files[p->count].size);
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
    for (int i = 0; i < p->count; i++) {
        if (p->files[i].data != NULL) {
            union {
                const char *read;
                void *mapping;
            } file = {.read = p->files[i].data};
            munmap(file.mapping, p->files[i].size);
        }
    }
    for (int i = 0; i < PROFILE_COUNT; i++) {
        fonts_close(p->fonts[i]);
    }
    free(p->files);
    free(p->shares);
    free(p);
}
