/* pages.c - see pages.h. */
#include "train/read/pages.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/array.h"
#include "store/file.h"
#include "store/random.h"
#include "store/utf8.h"

struct text_file {
    const char *data; /* mapped */
    size_t size;
};

struct reading_pages {
    struct reading_mix mix;
    const struct alphabet *alphabet;
    struct fonts *fonts[PROFILE_COUNT];
    struct text_file *files;
    double *shares;
    int count;
};

/* Of a thread. */
struct maker {
    struct reading_pages *p;
    struct pager *pagers[PROFILE_COUNT][MODE_COUNT];
    struct bytes text;
    struct read_labels labels;
    uint8_t *grey, *picture;
    size_t grey_size;
    int side;
    bool taken;
    struct read_page page;
};

/* ---- Labels -------------------------------------------------------------------------------- */

static int by_place(const void *a, const void *b) {
    const struct read_label *x = a, *y = b;
    return x->row != y->row ? x->row - y->row : x->column - y->column;
}

static int add_label(struct read_labels *out, const struct page *page, int y, double x, int index,
                     struct error *e) {
    int column = (int)floor(x / READING_COLUMN);
    if (column < 0 || column >= page->width / READING_COLUMN) {
        return 0;
    }
    struct read_label *list =
        array_grow(out->list, &out->capacity, out->count + 1, sizeof *list, e);
    if (list == NULL) {
        return ERR_MEMORY;
    }
    out->list = list;
    out->list[out->count++] = (struct read_label){
        .row = (int16_t)(y / READING_ROW), .column = (int16_t)column, .class_index = index};
    return 0;
}

/* Code points of a text that each have a class; 0: not all have one. */
static int count_known(const struct alphabet *a, const char *text, size_t size) {
    int count = 0;
    for (size_t at = 0; at < size; count++) {
        uint32_t c;
        bool valid;
        size_t length = utf8_decode(text + at, size - at, &c, &valid);
        if (alphabet_find(a, text + at, length) == ALPHABET_OTHER) {
            return 0;
        }
        at += length;
    }
    return count;
}

/* A shape of several characters (a ligature) is as many labels side by side. */
static int label_cluster(struct read_labels *out, const struct page *page,
                         const struct page_cluster *c, const struct alphabet *a, struct error *e) {
    const char *text = page->text + c->text;
    int index = alphabet_find(a, text, c->size);
    int parts = index == ALPHABET_OTHER ? count_known(a, text, c->size) : 0;
    double x = c->x / 64.0, advance = c->advance / 64.0;
    if (parts == 0) {
        return add_label(out, page, c->y, x + advance / 2, index, e);
    }
    size_t at = 0;
    int rc = 0;
    for (int i = 0; i < parts && rc == 0; i++) {
        uint32_t code;
        bool valid;
        size_t length = utf8_decode(text + at, c->size - at, &code, &valid);
        rc = add_label(out, page, c->y, x + advance * (i + 0.5) / parts,
                       alphabet_find(a, text + at, length), e);
        at += length;
    }
    return rc;
}

int reading_labels(struct read_labels *out, const struct page *page,
                   const struct alphabet *alphabet, struct error *e) {
    int rc = 0;
    out->count = 0;
    for (size_t i = 0; i < page->cluster_count && rc == 0; i++) {
        rc = label_cluster(out, page, &page->clusters[i], alphabet, e);
    }
    if (rc < 0 || out->count == 0) {
        return rc;
    }
    qsort(out->list, out->count, sizeof *out->list, by_place);
    size_t kept = 1; /* one a column: the next gives way to the right, or is left out */
    for (size_t i = 1; i < out->count; i++) {
        const struct read_label *last = &out->list[kept - 1];
        struct read_label next = out->list[i];
        if (next.row == last->row && next.column <= last->column) {
            next.column = (int16_t)(last->column + 1);
        }
        if (next.column < page->width / READING_COLUMN) {
            out->list[kept++] = next;
        }
    }
    out->count = kept;
    return 0;
}

/* ---- Text -------------------------------------------------------------------------------------
 */

int reading_random_text(struct bytes *out, const struct alphabet *alphabet,
                        enum reading_letters letters, size_t size, uint64_t *random,
                        struct error *e) {
    static const double PARTS[ALPHABET_PARTS] = {
        [ALPHABET_ASCII] = 4,    [ALPHABET_LATIN] = 2, [ALPHABET_GREEK] = 1,
        [ALPHABET_CYRILLIC] = 2, [ALPHABET_SIGNS] = 1, [ALPHABET_EMOJI] = 1};
    enum { LONGEST = 14 };
    int rc = 0;
    while (out->size < size && rc == 0) {
        int first, end;
        int part =
            letters == READING_ALL ? random_choice(random, PARTS, ALPHABET_PARTS) : ALPHABET_ASCII;
        alphabet_range((enum alphabet_part)part, &first, &end);
        first += part == ALPHABET_ASCII; /* not the space */
        for (int64_t i = 1 + random_below(random, LONGEST); i > 0 && rc == 0; i--) {
            int index = first + (int)random_below(random, end - first);
            rc = bytes_append_text(out, alphabet_text(alphabet, index), e);
        }
        if (rc == 0) {
            rc = bytes_append(out, " ", 1, e);
        }
    }
    return rc;
}

/* A part of a file from a random line on; newlines become spaces if `flow`. */
static int prose(struct maker *m, size_t size, bool flow, uint64_t *random, struct error *e) {
    const struct reading_pages *p = m->p;
    const struct text_file *f = &p->files[random_choice(random, p->shares, p->count)];
    size_t at = (size_t)random_below(random, (int64_t)f->size);
    const char *line = memchr(f->data + at, '\n', f->size - at);
    at = line != NULL ? (size_t)(line + 1 - f->data) : 0;
    int rc = 0;
    while (m->text.size < size && rc == 0) { /* round and round where the file is short */
        size_t part = f->size - at < size - m->text.size ? f->size - at : size - m->text.size;
        part = part > 0 ? utf8_floor(f->data + at, part) : 0;
        rc = bytes_append(&m->text, f->data + at, part > 0 ? part : f->size - at, e);
        at = 0;
    }
    for (size_t i = 0; flow && i < m->text.size; i++) {
        m->text.data[i] = m->text.data[i] == '\n' ? ' ' : m->text.data[i];
    }
    return rc;
}

/* ---- Pages
 * --------------------------------------------------------------------------------------- */

/* Keeps the first page. */
static int take_page(void *context, const struct page *page, struct error *e) {
    struct maker *m = context;
    size_t area = (size_t)page->width * (size_t)page->height;
    if (m->taken) {
        return 0;
    }
    if (m->grey_size < area) {
        free(m->grey);
        m->grey_size = 0;
        m->grey = malloc(area);
        if (m->grey == NULL) {
            return error_memory(e, "a page");
        }
        m->grey_size = area;
    }
    memcpy(m->grey, page->grey, area);
    m->side = page->width;
    m->taken = true;
    return reading_labels(&m->labels, page, m->p->alphabet, e);
}

/* The pagers keep the shapes of words from page to page. */
static int pager_for(struct maker *m, int profile, enum page_mode mode, struct pager **out,
                     struct error *e) {
    struct pager **kept = &m->pagers[profile][mode];
    if (*kept == NULL) {
        const struct page_setup setup = {.mode = mode,
                                         .profile = &PROFILES[profile],
                                         .fonts = m->p->fonts[profile],
                                         .clusters = true,
                                         .context = m,
                                         .done = take_page};
        int rc = pager_open(kept, &setup, e);
        if (rc < 0) {
            return rc;
        }
    }
    *out = *kept;
    return 0;
}

/* Soft noise with hard edges, of the sizes of thumbnails. */
static int put_pictures(struct maker *m, struct pager *pager, uint64_t *random, struct error *e) {
    enum { SIDE = 256, MOST = 4 };
    struct page_picture list[MOST];
    struct picture pictures[MOST];
    int count = 1 + (int)random_below(random, MOST);
    int most = pager_picture_width(pager) < SIDE ? pager_picture_width(pager) : SIDE;
    for (int i = 0; i < count; i++) {
        int width = 48 + (int)random_below(random, most - 48);
        int height = 48 + (int)random_below(random, SIDE - 48);
        uint8_t *pixels = m->picture + (size_t)i * SIDE * SIDE;
        double fx = random_unit(random) * 0.2, fy = random_unit(random) * 0.2;
        int edge = (int)random_below(random, height), noise = 1 + (int)random_below(random, 64);
        for (int k = 0; k < width * height; k++) {
            int y = k / width, x = k % width;
            double wave = sin(x * fx + y * 0.05) + cos(y * fy);
            double value = 128 + 50 * wave + (y > edge ? 40 : -40);
            value += (double)random_below(random, noise);
            pixels[k] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
        }
        pictures[i] = (struct picture){.width = width, .height = height, .pixels = pixels};
        list[i] = (struct page_picture){.picture = &pictures[i], .source = 0};
    }
    return pager_pictures(pager, PART_THUMBS, list, (size_t)count, e);
}

/* Paragraph after paragraph, until the page is full or the text ends. */
static int lay_out(struct maker *m, struct pager *pager, bool indents, uint64_t *random,
                   struct error *e) {
    const char *at = (const char *)m->text.data, *end = at + m->text.size;
    int rc = 0;
    while (at < end && !m->taken && rc == 0) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        size_t size = (size_t)((line != NULL ? line : end) - at);
        const struct span span = {.text = at, .size = size};
        int indent = indents ? (int)random_below(random, 5) : 0;
        rc = size > 0 ? pager_text(pager, PART_SCRIPT, &span, 1, indent, e) : 0;
        if (rc == 0 && !m->taken && indents && random_below(random, 8) == 0) {
            rc = pager_gap(pager, 1, e);
        }
        at += size + 1;
    }
    return rc;
}

/* But for a fiftieth. */
static bool is_ascii(const struct maker *m) {
    size_t others = 0;
    for (size_t i = 0; i < m->text.size; i++) {
        others += m->text.data[i] >= 0x80;
    }
    return others * 50 <= m->text.size;
}

/* What is on a page. */
struct content {
    int profile;
    enum page_mode mode;
    bool is_random, ascii;
    enum reading_letters letters; /* of random strings */
};

/* Fills m->grey and m->labels. */
static int draw(struct maker *m, const struct content *c, uint64_t *random, struct error *e) {
    enum { TRIES = 50 /* to find a text in ASCII */ };
    static const size_t FULL[MODE_COUNT] = {
        [MODE_TINY] = 8 << 10, [MODE_BASE] = 32 << 10, [MODE_HIFI] = 50 << 10}; /* bytes, of rows of
                                                                                   16 */
    struct pager *pager;
    bool flow = random_below(random, 2) == 0;
    bool partly = random_below(random, 8) == 0;
    size_t size = FULL[c->mode] * (PROFILES[c->profile].pitch < PATCH ? 5 : 2) / 2;
    if (partly) {
        size = (size_t)(random_unit(random) * 0.5 * (double)size) + 64;
    }
    bytes_clear(&m->text);
    m->taken = false;
    m->labels.count = 0;
    int rc = pager_for(m, c->profile, c->mode, &pager, e);
    if (rc == 0 && c->is_random) {
        rc = reading_random_text(&m->text, m->p->alphabet, c->letters, size, random, e);
    }
    for (int i = 0; rc == 0 && !c->is_random && i < (c->ascii ? TRIES : 1); i++) {
        bytes_clear(&m->text);
        rc = prose(m, size, flow, random, e);
        i += is_ascii(m) ? TRIES : 0;
    }
    if (rc == 0 && random_unit(random) < m->p->mix.pictures) {
        rc = put_pictures(m, pager, random, e);
    }
    if (rc == 0) {
        rc = lay_out(m, pager, !flow && !c->is_random, random, e);
    }
    /* what follows the first page is drawn and thrown away: the pager must be empty for the next */
    if (rc == 0) {
        rc = pager_flush(pager, e);
    }
    if (rc == 0 && !m->taken) {
        rc = error_set(e, ERR_FORMAT, "the text gives no page: is it text?");
    }
    return rc;
}

/* A square of the page, its labels with it. */
static void crop(struct maker *m, int side, uint64_t *random) {
    int cells = (m->side - side) / CELL + 1;
    int left = (int)random_below(random, cells) * CELL,
        top = (int)random_below(random, cells) * CELL;
    for (int y = 0; y < side; y++) {
        memmove(m->grey + (size_t)y * (size_t)side,
                m->grey + (size_t)(y + top) * (size_t)m->side + left, (size_t)side);
    }
    size_t kept = 0;
    for (size_t i = 0; i < m->labels.count; i++) {
        struct read_label label = m->labels.list[i];
        label.row = (int16_t)(label.row - top / READING_ROW);
        label.column = (int16_t)(label.column - left / READING_COLUMN);
        if (label.row >= 0 && label.row < side / READING_ROW && label.column >= 0 &&
            label.column < side / READING_COLUMN) {
            m->labels.list[kept++] = label;
        }
    }
    m->labels.count = kept;
    m->side = side;
}

static int first_profile(const struct reading_mix *mix) {
    int profile = 0;
    while (profile < PROFILE_COUNT - 1 && mix->profiles[profile] <= 0) {
        profile++;
    }
    return profile;
}

static int make(void *maker, const struct read_question *question, struct read_page *page,
                struct error *e) {
    static const enum page_mode MODES[READ_SIZES] = {MODE_TINY, MODE_BASE, MODE_HIFI, MODE_BASE};
    struct maker *m = maker;
    const struct reading_mix *mix = &m->p->mix;
    uint64_t shared = random_stream(mix->seed + 3, question->pair);
    uint64_t random = random_stream(mix->seed + 4, question->number);
    struct content c = {.profile = random_choice(&shared, mix->profiles, PROFILE_COUNT),
                        .mode = MODES[question->size],
                        .is_random = random_unit(&shared) < mix->random,
                        .letters = random_below(&shared, 2) == 0 ? READING_ASCII : READING_ALL};
    if (question->progress < mix->simple * (1 + random_unit(&shared))) {
        c.profile = first_profile(mix);
        c.ascii = true;
        c.letters = READING_ASCII;
    }
    int rc = draw(m, &c, &random, e);
    if (rc < 0) {
        return rc;
    }
    if (question->size == READ_CROP) {
        crop(m, 512, &random);
    }
    *page = (struct read_page){.side = m->side,
                               .grey = m->grey,
                               .labels = m->labels.list,
                               .label_count = m->labels.count,
                               .kind = 2 * c.profile + c.is_random,
                               .merging = PROFILES[c.profile].pitch == PATCH};
    return 0;
}

/* ---- Open and close
 * ------------------------------------------------------------------------------- */

static void maker_close(void *maker) {
    struct maker *m = maker;
    for (int i = 0; i < PROFILE_COUNT; i++) {
        for (int k = 0; k < MODE_COUNT; k++) {
            pager_close(m->pagers[i][k]);
        }
    }
    bytes_close(&m->text);
    free(m->labels.list);
    free(m->grey);
    free(m->picture);
    free(m);
}

static int maker_open(void *context, void **out, struct error *e) {
    struct maker *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return error_memory(e, NULL);
    }
    m->p = context;
    m->picture = malloc((size_t)4 * 256 * 256);
    bytes_init(&m->text, (size_t)1 << 24);
    if (m->picture == NULL) {
        maker_close(m);
        return error_memory(e, NULL);
    }
    *out = m;
    return 0;
}

struct read_source reading_pages_source(struct reading_pages *p) {
    return (struct read_source){
        .context = p,
        .open = maker_open,
        .close = maker_close,
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

int reading_pages_open(struct reading_pages **out, const struct reading_mix *mix,
                       const struct alphabet *alphabet, char *const *paths, int count,
                       struct error *e) {
    *out = NULL;
    struct reading_pages *p = calloc(1, sizeof *p);
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
        reading_pages_close(p);
        return rc;
    }
    *out = p;
    return 0;
}

void reading_pages_close(struct reading_pages *p) {
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
