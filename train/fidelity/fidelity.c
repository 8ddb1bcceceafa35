/* fidelity.c - see fidelity.h. */
#include "train/fidelity/fidelity.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "compress/image.h"
#include "store/forget.h"
#include "store/random.h"
#include "train/read/pages.h"

const char *const FIDELITY_OPERATOR_NAMES[FIDELITY_OPERATORS + 1] = {"merge", "pool", "resize",
                                                                     "render", NULL};

struct measuring {
    const struct fidelity_options *o;
    const struct fonts *fonts;
    pthread_mutex_t lock;
    int64_t next; /* page */
    int rc;
    struct error error;
    struct fidelity_result *results;
};

/* A page as it was drawn. */
struct drawn {
    int width, height;
    uint8_t *grey;
    struct bytes text;
    int64_t characters;
    bool taken;
};

/* Of a thread. */
struct meter {
    struct measuring *m;
    struct encoder_session *encoder;
    struct reader_session *reader;
    struct codec_state *codec;
    struct tokenizer_state *tokenizer;
    struct bytes source, packed;
    struct reading_text read;
    struct drawn page, small;
    float *pixels, *tokens, *work; /* work: tokens that something was done to */
    struct fidelity_result *result;
};

/* ---- Pages ---------------------------------------------------------------------------------- */

static int take(void *context, const struct page *page, struct error *e) {
    struct drawn *d = context;
    size_t area = (size_t)page->width * (size_t)page->height;
    if (d->taken) {
        return 0;
    }
    free(d->grey);
    d->grey = malloc(area);
    if (d->grey == NULL) {
        return error_memory(e, "a page");
    }
    memcpy(d->grey, page->grey, area);
    d->width = page->width;
    d->height = page->height;
    d->characters = page->counts.characters;
    d->taken = true;
    bytes_clear(&d->text);
    return bytes_append(&d->text, page->text, page->text_size, e);
}

/* The first page of m->source; rows and columns: cells that may be filled, 0: all. */
static int draw(struct meter *m, struct drawn *out, int rows, int columns, struct error *e) {
    const struct page_setup setup = {.mode = m->m->o->mode,
                                     .profile = &PROFILES[m->m->o->profile],
                                     .fonts = m->m->fonts,
                                     .rows = rows,
                                     .columns = columns,
                                     .context = out,
                                     .done = take};
    const struct span span = {.text = bytes_text(&m->source), .size = m->source.size};
    struct pager *pager;
    out->taken = false;
    int rc = pager_open(&pager, &setup, e);
    if (rc < 0) {
        return rc;
    }
    rc = pager_text(pager, PART_SCRIPT, &span, 1, 0, e);
    if (rc == 0 && !out->taken) {
        rc = pager_flush(pager, e);
    }
    pager_close(pager);
    return rc == 0 && !out->taken ? error_set(e, ERR_FORMAT, "the text gives no page") : rc;
}

/* More text than a page of ASCII holds: from a place in the held-out text on, or random. */
static int fill_source(struct meter *m, enum fidelity_kind kind, int64_t number, struct error *e) {
    const struct fidelity_options *o = m->m->o;
    int64_t tokens = (int64_t)mode_rows(o->mode) * mode_rows(o->mode);
    size_t size = (size_t)tokens * (PROFILES[o->profile].pitch < PATCH ? 220 : 90);
    uint64_t random = random_stream(o->seed, (uint64_t)number);
    bytes_clear(&m->source);
    if (kind == FIDELITY_RANDOM) {
        return reading_random_text(&m->source, reader_alphabet(o->reader), READING_ASCII, size,
                                   &random, e);
    }
    size_t at = (size_t)((double)o->text_size * (double)number / (double)o->pages);
    const char *line = memchr(o->text + at, '\n', o->text_size - at);
    at = line != NULL ? (size_t)(line + 1 - o->text) : 0;
    int rc = 0;
    while (m->source.size < size && rc == 0) { /* round and round where the text is short */
        size_t part = o->text_size - at, wanted = size - m->source.size;
        part = part < wanted ? part : wanted;
        rc = bytes_append(&m->source, o->text + at, part, e);
        at = 0;
    }
    for (size_t i = 0; i < m->source.size; i++) { /* one paragraph: all rows are full */
        m->source.data[i] = m->source.data[i] == '\n' ? ' ' : m->source.data[i];
    }
    return rc;
}

/* ---- Reading -----------------------------------------------------------------------------------
 */

static int encode(struct meter *m, float *tokens, const struct image *image, int phases,
                  struct error *e) {
    const struct encoder_shape shape = {1, image->height, image->width, phases};
    image_normalize(m->pixels, image);
    return encoder_run(m->encoder, tokens, m->pixels, &shape, e);
}

static int image_of(struct image *out, const struct drawn *d, struct error *e) {
    size_t area = (size_t)d->width * (size_t)d->height;
    *out = (struct image){.width = d->width, .height = d->height, .rgb = malloc(area * 3)};
    if (out->rgb == NULL) {
        return error_memory(e, "a page");
    }
    for (size_t i = 0; i < area; i++) {
        memset(out->rgb + 3 * i, d->grey[i], 3);
    }
    return 0;
}

/* Adds what was read of the tokens, compared with the whole page's text. */
static int compare(struct meter *m, const float *tokens, int rows, int columns, int width,
                   struct fidelity_errors *errors, struct error *e) {
    const struct reading_character *characters;
    size_t count;
    int64_t distance, length;
    int rc = reader_run(m->reader, tokens, rows, columns, &characters, &count, e);
    if (rc == 0) {
        rc = reading_text_fill(&m->read, reader_alphabet(m->m->o->reader), characters, count, width,
                               e);
    }
    if (rc == 0) {
        rc = reading_distance(bytes_text(&m->read.text), m->read.text.size,
                              bytes_text(&m->page.text), m->page.text.size, &distance, &length, e);
    }
    if (rc == 0) {
        errors->distance += distance;
        errors->length += length;
    }
    return rc;
}

static int read_codecs(struct meter *m, int rows, int columns, struct error *e) {
    int64_t dim = reader_dim(m->m->o->reader);
    int rc = 0;
    for (int i = 0; i < CODEC_COUNT && rc == 0; i++) {
        bytes_clear(&m->packed);
        rc = codec_pack(m->codec, &m->packed, (enum codec)i, m->tokens, (int64_t)rows * columns,
                        dim, NULL, e);
        if (rc == 0) {
            rc = codec_unpack(m->codec, m->work, (enum codec)i, m->packed.data, m->packed.size,
                              (int64_t)rows * columns, dim, e);
        }
        if (rc == 0) {
            rc = compare(m, m->work, rows, columns, m->page.width, &m->result->codecs[i], e);
        }
    }
    return rc;
}

/* ---- Forgetting
 * ------------------------------------------------------------------------------------ */

static int read_merged(struct meter *m, int rows, int columns, struct error *e) {
    size_t size = (size_t)(rows * columns) * (size_t)reader_dim(m->m->o->reader) * sizeof(float);
    float *merged = malloc(size);
    int r = rows, c = columns;
    int rc = merged != NULL ? 0 : error_memory(e, NULL);
    if (rc == 0) {
        memcpy(merged, m->tokens, size);
    }
    for (int k = 0; k < m->m->o->steps && rc == 0; k++) {
        rc = reader_merge(m->reader, merged, &r, &c, e);
        if (rc == 0) {
            memcpy(m->work, merged, size);
            rc = reader_unmerge(m->reader, m->work, rows, columns, k + 1, e);
        }
        if (rc == 0) {
            rc = compare(m, m->work, rows, columns, m->page.width,
                         &m->result->forgotten[FIDELITY_MERGE][k], e);
        }
    }
    free(merged);
    return rc;
}

/* Means, repeated to the old grid. */
static int read_pooled(struct meter *m, int rows, int columns, struct error *e) {
    size_t dim = (size_t)reader_dim(m->m->o->reader);
    size_t size = (size_t)(rows * columns) * dim * sizeof(float);
    float *pooled = malloc(size);
    int r = rows, c = columns, rc = 0;
    if (pooled == NULL) {
        return error_memory(e, NULL);
    }
    memcpy(pooled, m->tokens, size);
    for (int k = 0; k < m->m->o->steps && rc == 0; k++) {
        forget_pool(pooled, &r, &c, (int64_t)dim);
        for (int i = 0; i < rows * columns; i++) {
            int y = i / columns * r / rows, x = i % columns * c / columns;
            memcpy(m->work + (size_t)i * dim, pooled + (size_t)(y * c + x) * dim,
                   dim * sizeof(float));
        }
        rc = compare(m, m->work, rows, columns, m->page.width,
                     &m->result->forgotten[FIDELITY_POOL][k], e);
    }
    free(pooled);
    return rc;
}

/* A smaller page with as many tokens, encoded anew: of the same picture, or of as much of the text
 * as fits. */
static int read_smaller(struct meter *m, int rows, int columns, enum fidelity_operator how,
                        struct error *e) {
    int rc = 0;
    for (int k = 0; k < m->m->o->steps && rc == 0; k++) {
        int r = rows, c = columns;
        struct image whole, small = {.rgb = NULL};
        forget_grid(&r, &c, k + 1);
        struct drawn *page = &m->page;
        if (how == FIDELITY_RENDER) {
            rc = draw(m, &m->small, r, c, e);
            page = &m->small;
        }
        if (rc == 0) {
            rc = image_of(&whole, page, e);
        }
        if (rc < 0) {
            return rc;
        }
        if (how == FIDELITY_RESIZE) {
            rc = image_resize(&small, &whole, c * CELL, r * CELL, e);
        } else {
            small = (struct image){.width = c * CELL,
                                   .height = r * CELL,
                                   .rgb = malloc((size_t)(c * CELL * r * CELL) * 3)};
            rc = small.rgb != NULL ? 0 : error_memory(e, "a page");
            for (int y = 0; y < small.height && rc == 0; y++) {
                memcpy(small.rgb + (size_t)y * (size_t)small.width * 3,
                       whole.rgb + (size_t)y * (size_t)whole.width * 3, (size_t)small.width * 3);
            }
        }
        if (rc == 0) {
            rc = encode(m, m->work, &small, 1, e);
        }
        if (rc == 0) {
            rc = compare(m, m->work, r, c, small.width, &m->result->forgotten[how][k], e);
        }
        image_close(&whole);
        image_close(&small);
    }
    return rc;
}

/* ---- A page
 * -------------------------------------------------------------------------------------------- */

static int count_text(struct meter *m, struct error *e) {
    size_t count;
    int rc = tokenizer_count(m->tokenizer, bytes_text(&m->page.text), m->page.text.size,
                             TOKENIZER_ORDINARY, &count, e);
    m->result->text_tokens += rc == 0 ? (int64_t)count : 0;
    return rc;
}

static int measure_page(struct meter *m, enum fidelity_kind kind, int64_t number, struct error *e) {
    const struct fidelity_options *o = m->m->o;
    int phases = PAGE_SIZES[o->mode].column_offsets;
    struct image image = {.rgb = NULL};
    int rc = fill_source(m, kind, number, e);
    if (rc == 0) {
        rc = draw(m, &m->page, 0, 0, e);
    }
    if (rc == 0) {
        rc = image_of(&image, &m->page, e);
    }
    if (rc == 0) {
        rc = encode(m, m->tokens, &image, phases, e);
    }
    int rows = image.height / CELL, columns = image.width / CELL * phases;
    image_close(&image);
    struct fidelity_errors page = {0};
    if (rc == 0) {
        rc = compare(m, m->tokens, rows, columns, m->page.width, &page, e);
    }
    if (rc == 0) {
        rc = count_text(m, e);
    }
    if (rc == 0) {
        rc = read_codecs(m, rows, columns, e);
    }
    if (rc == 0 && o->steps > 0 && reader_merges(o->reader)) {
        rc = read_merged(m, rows, columns, e);
    }
    if (rc == 0 && o->steps > 0) {
        rc = read_pooled(m, rows, columns, e);
    }
    if (rc == 0 && o->steps > 0 && phases == 1) {
        rc = read_smaller(m, rows, columns, FIDELITY_RESIZE, e);
        if (rc == 0) {
            rc = read_smaller(m, rows, columns, FIDELITY_RENDER, e);
        }
    }
    double accuracy = fidelity_accuracy(&page);
    m->result->pages++;
    m->result->fresh.distance += page.distance;
    m->result->fresh.length += page.length;
    m->result->characters += m->page.characters;
    m->result->visual_tokens += (int64_t)rows * columns;
    m->result->worst = accuracy < m->result->worst ? accuracy : m->result->worst;
    return rc;
}

/* ---- Threads
 * ------------------------------------------------------------------------------------------------
 */

static int meter_open(struct meter *m, struct error *e) {
    const struct fidelity_options *o = m->m->o;
    size_t side = (size_t)PAGE_SIZES[o->mode].side, dim = (size_t)reader_dim(o->reader);
    size_t tokens = (size_t)mode_tokens(o->mode) * dim;
    bytes_init(&m->source, (size_t)1 << 24);
    bytes_init(&m->packed, (size_t)1 << 28);
    bytes_init(&m->page.text, (size_t)1 << 24);
    bytes_init(&m->small.text, (size_t)1 << 24);
    reading_text_init(&m->read);
    m->pixels = malloc(side * side * 3 * sizeof *m->pixels);
    m->tokens = malloc(tokens * sizeof *m->tokens);
    m->work = malloc(tokens * sizeof *m->work);
    int rc = m->pixels != NULL && m->tokens != NULL && m->work != NULL ? 0 : error_memory(e, NULL);
    if (rc == 0) {
        rc = encoder_session_open(&m->encoder, o->encoder, e);
    }
    if (rc == 0) {
        rc = reader_session_open(&m->reader, o->reader, e);
    }
    if (rc == 0) {
        rc = codec_open(&m->codec, e);
    }
    return rc == 0 ? tokenizer_state_open(&m->tokenizer, o->tokenizer, e) : rc;
}

static void meter_close(struct meter *m) {
    encoder_session_close(m->encoder);
    reader_session_close(m->reader);
    codec_close(m->codec);
    tokenizer_state_close(m->tokenizer);
    reading_text_close(&m->read);
    bytes_close(&m->source);
    bytes_close(&m->packed);
    bytes_close(&m->page.text);
    bytes_close(&m->small.text);
    free(m->page.grey);
    free(m->small.grey);
    free(m->pixels);
    free(m->tokens);
    free(m->work);
}

static void errors_add(struct fidelity_errors *to, const struct fidelity_errors *from) {
    to->distance += from->distance;
    to->length += from->length;
}

static void result_add(struct fidelity_result *to, const struct fidelity_result *from) {
    to->pages += from->pages;
    to->characters += from->characters;
    to->text_tokens += from->text_tokens;
    to->visual_tokens += from->visual_tokens;
    to->worst = from->worst < to->worst ? from->worst : to->worst;
    errors_add(&to->fresh, &from->fresh);
    for (int i = 0; i < CODEC_COUNT; i++) {
        errors_add(&to->codecs[i], &from->codecs[i]);
    }
    for (int i = 0; i < FIDELITY_OPERATORS * FIDELITY_STEPS; i++) {
        errors_add(&to->forgotten[i / FIDELITY_STEPS][i % FIDELITY_STEPS],
                   &from->forgotten[i / FIDELITY_STEPS][i % FIDELITY_STEPS]);
    }
}

static void *work(void *argument) {
    struct measuring *m = argument;
    struct meter meter = {.m = m};
    struct error e;
    struct fidelity_result results[FIDELITY_KINDS] = {{.worst = 1}, {.worst = 1}};
    int rc = meter_open(&meter, &e);
    for (;;) {
        pthread_mutex_lock(&m->lock);
        int64_t page = rc == 0 && m->rc == 0 ? m->next++ : INT64_MAX;
        pthread_mutex_unlock(&m->lock);
        if (page >= FIDELITY_KINDS * m->o->pages) {
            break;
        }
        int kind = (int)(page % FIDELITY_KINDS);
        meter.result = &results[kind];
        rc = measure_page(&meter, (enum fidelity_kind)kind, page / FIDELITY_KINDS, &e);
    }
    pthread_mutex_lock(&m->lock);
    if (rc < 0 && m->rc == 0) {
        m->rc = rc;
        m->error = e;
    }
    for (int i = 0; i < FIDELITY_KINDS; i++) {
        result_add(&m->results[i], &results[i]);
    }
    pthread_mutex_unlock(&m->lock);
    meter_close(&meter);
    return NULL;
}

int fidelity_measure(const struct fidelity_options *options,
                     struct fidelity_result results[FIDELITY_KINDS], struct error *e) {
    enum { THREADS = 256 };
    pthread_t threads[THREADS];
    struct fonts *fonts;
    int count = 0, wanted = options->threads < THREADS ? (int)options->threads : THREADS;
    int rc = fonts_open(&fonts, PROFILES[options->profile].family, e);
    if (rc < 0) {
        return rc;
    }
    struct measuring m = {.o = options, .fonts = fonts, .results = results};
    for (int i = 0; i < FIDELITY_KINDS; i++) {
        results[i] = (struct fidelity_result){.worst = 1};
    }
    pthread_mutex_init(&m.lock, NULL);
    while (count < wanted - 1 && pthread_create(&threads[count], NULL, work, &m) == 0) {
        count++;
    }
    work(&m);
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_mutex_destroy(&m.lock);
    fonts_close(fonts);
    if (m.rc < 0 && e != NULL) {
        *e = m.error;
    }
    return m.rc;
}

double fidelity_accuracy(const struct fidelity_errors *errors) {
    if (errors->length == 0) {
        return (double)NAN;
    }
    double share = (double)errors->distance / (double)errors->length;
    return share < 1 ? 1 - share : 0;
}
