/* fidelity.c - see fidelity.h. */
#include "train/fidelity/fidelity.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "compress/page_image.h"
#include "compress/reading_text.h"
#include "compress/text_distance.h"
#include "render/draw.h"
#include "store/forget.h"
#include "store/random.h"
#include "train/read/text.h"

const char *const FIDELITY_OPERATOR_NAMES[FIDELITY_OPERATORS + 1] = {"merge", "pool", "resize",
                                                                     "render", NULL};

struct fidelity_context {
    const struct fidelity_options *o;
    const struct fonts *fonts;
    pthread_mutex_t lock;
    int64_t next; /* page */
    int rc;
    struct error error;
    struct fidelity_result *results;
};

/* Of a thread. */
struct fidelity_worker {
    struct fidelity_context *context;
    struct encoder_session *encoder;
    struct reader_session *reader;
    struct codec_state *codec;
    struct tokenizer_state *tokenizer;
    struct bytes source, packed;
    struct reading_text read;
    struct drawn_page page, small;
    float *tokens, *work; /* work: tokens that something was done to */
    struct fidelity_result *result;
};

/* ---- Pages --------------------------------------------------------------------------- */

/* The first page of w->source; rows and columns: cells that may be filled, 0: all. */
static int draw(struct fidelity_worker *w, struct drawn_page *out, int rows, int columns,
                struct error *e) {
    const struct page_setup setup = {.mode = w->context->o->mode,
                                     .profile = &PROFILES[w->context->o->profile],
                                     .fonts = w->context->fonts,
                                     .rows = rows,
                                     .columns = columns};
    int rc = draw_text(out, &setup, bytes_text(&w->source), w->source.size, e);
    return rc == 0 && !out->drawn ? error_set(e, ERR_FORMAT, "the text gives no page") : rc;
}

/* More text than a page of ASCII holds: from a place in the held-out text on, or random. */
static int fill_source(struct fidelity_worker *w, enum fidelity_kind kind, int64_t number,
                       struct error *e) {
    const struct fidelity_options *o = w->context->o;
    int64_t tokens = (int64_t)mode_rows(o->mode) * mode_rows(o->mode);
    size_t size = (size_t)tokens * (PROFILES[o->profile].pitch < PATCH ? 220 : 90);
    uint64_t random = random_stream(o->seed, (uint64_t)number);
    bytes_clear(&w->source);
    if (kind == FIDELITY_RANDOM) {
        return text_random(&w->source, reader_alphabet(o->reader), LETTERS_ASCII, size, &random, e);
    }
    size_t at = (size_t)((double)o->text_size * (double)number / (double)o->pages);
    /* one paragraph: all rows are full */
    int rc = text_stretch(&w->source, o->text, o->text_size, at, size, e);
    text_join_lines(&w->source);
    return rc;
}

/* ---- Reading ------------------------------------------------------------------------- */

/* Adds what was read of the tokens, compared with the whole page's text. */
static int compare(struct fidelity_worker *w, const float *tokens, int rows, int columns, int width,
                   struct fidelity_errors *errors, struct error *e) {
    const struct reading_character *characters;
    size_t count;
    int64_t distance, length;
    const struct reading_page layout = {
        .rows = rows, .columns = columns, .column_offsets = columns == 2 * rows ? 2 : 1};
    int rc = reader_run(w->reader, tokens, &layout, &characters, &count, e);
    if (rc == 0) {
        rc = reading_text_fill(&w->read, reader_alphabet(w->context->o->reader), characters, count,
                               width, e);
    }
    if (rc == 0) {
        rc = text_distance(bytes_text(&w->read.text), w->read.text.size, w->page.page.text,
                           w->page.page.text_size, &distance, &length, e);
    }
    if (rc == 0) {
        errors->distance += distance;
        errors->length += length;
    }
    return rc;
}

static int read_codecs(struct fidelity_worker *w, int rows, int columns, struct error *e) {
    int64_t dim = reader_dim(w->context->o->reader);
    int rc = 0;
    for (int i = 0; i < CODEC_COUNT && rc == 0; i++) {
        bytes_clear(&w->packed);
        rc = codec_pack(w->codec, &w->packed, (enum codec)i, w->tokens, (int64_t)rows * columns,
                        dim, NULL, e);
        if (rc == 0) {
            rc = codec_unpack(w->codec, w->work, (enum codec)i, w->packed.data, w->packed.size,
                              (int64_t)rows * columns, dim, e);
        }
        if (rc == 0) {
            rc = compare(w, w->work, rows, columns, w->page.page.width, &w->result->codecs[i], e);
        }
    }
    return rc;
}

/* ---- Forgetting ---------------------------------------------------------------------- */

static int read_merged(struct fidelity_worker *w, int rows, int columns, struct error *e) {
    size_t size =
        (size_t)(rows * columns) * (size_t)reader_dim(w->context->o->reader) * sizeof(float);
    float *merged = malloc(size);
    int r = rows, c = columns;
    int rc = merged != NULL ? 0 : error_memory(e, NULL);
    if (rc == 0) {
        memcpy(merged, w->tokens, size);
    }
    for (int k = 0; k < w->context->o->steps && rc == 0; k++) {
        rc = reader_merge(w->reader, merged, &r, &c, e);
        if (rc == 0) {
            memcpy(w->work, merged, size);
            rc = reader_unmerge(w->reader, w->work, rows, columns, k + 1, e);
        }
        if (rc == 0) {
            rc = compare(w, w->work, rows, columns, w->page.page.width,
                         &w->result->forgotten[FIDELITY_MERGE][k], e);
        }
    }
    free(merged);
    return rc;
}

/* Means, repeated to the old grid. */
static int read_pooled(struct fidelity_worker *w, int rows, int columns, struct error *e) {
    size_t dim = (size_t)reader_dim(w->context->o->reader);
    size_t size = (size_t)(rows * columns) * dim * sizeof(float);
    float *pooled = malloc(size);
    int r = rows, c = columns, rc = 0;
    if (pooled == NULL) {
        return error_memory(e, NULL);
    }
    memcpy(pooled, w->tokens, size);
    for (int k = 0; k < w->context->o->steps && rc == 0; k++) {
        forget_pool(pooled, &r, &c, (int64_t)dim);
        for (int i = 0; i < rows * columns; i++) {
            int y = i / columns * r / rows, x = i % columns * c / columns;
            memcpy(w->work + (size_t)i * dim, pooled + (size_t)(y * c + x) * dim,
                   dim * sizeof(float));
        }
        rc = compare(w, w->work, rows, columns, w->page.page.width,
                     &w->result->forgotten[FIDELITY_POOL][k], e);
    }
    free(pooled);
    return rc;
}

/* The page in r x c cells: the same picture made smaller, or as much of the text as fits. */
static int draw_smaller(struct fidelity_worker *w, struct image *small, int r, int c,
                        enum fidelity_operator how, struct error *e) {
    int width = c * CELL, height = r * CELL;
    if (how == FIDELITY_RENDER) {
        int rc = draw(w, &w->small, r, c, e);
        if (rc < 0) {
            return rc;
        }
        drawn_page_crop(&w->small, 0, 0, width, height);
        return page_image(small, &w->small.page, e);
    }
    struct image whole;
    int rc = page_image(&whole, &w->page.page, e);
    if (rc == 0) {
        rc = image_resize(small, &whole, width, height, e);
        image_close(&whole);
    }
    return rc;
}

/* A smaller page with as many tokens, encoded anew. */
static int read_smaller(struct fidelity_worker *w, int rows, int columns,
                        enum fidelity_operator how, struct error *e) {
    int rc = 0;
    for (int k = 0; k < w->context->o->steps && rc == 0; k++) {
        int r = rows, c = columns;
        struct image small;
        forget_grid(&r, &c, k + 1);
        rc = draw_smaller(w, &small, r, c, how, e);
        if (rc < 0) {
            return rc;
        }
        rc = encoder_run_image(w->encoder, w->work, &small, 1, e);
        if (rc == 0) {
            rc = compare(w, w->work, r, c, small.width, &w->result->forgotten[how][k], e);
        }
        image_close(&small);
    }
    return rc;
}

/* ---- A page -------------------------------------------------------------------------- */

static int count_text(struct fidelity_worker *w, struct error *e) {
    size_t count;
    int rc = tokenizer_count(w->tokenizer, w->page.page.text, w->page.page.text_size,
                             TOKENIZER_ORDINARY, &count, e);
    w->result->text_tokens += rc == 0 ? (int64_t)count : 0;
    return rc;
}

static int measure_page(struct fidelity_worker *w, enum fidelity_kind kind, int64_t number,
                        struct error *e) {
    const struct fidelity_options *o = w->context->o;
    int column_offsets = PAGE_SIZES[o->mode].column_offsets;
    struct image image = {.pixels = NULL};
    int rc = fill_source(w, kind, number, e);
    if (rc == 0) {
        rc = draw(w, &w->page, 0, 0, e);
    }
    if (rc == 0) {
        rc = page_image(&image, &w->page.page, e);
    }
    if (rc == 0) {
        rc = encoder_run_image(w->encoder, w->tokens, &image, column_offsets, e);
    }
    int rows = image.height / CELL, columns = image.width / CELL * column_offsets;
    image_close(&image);
    struct fidelity_errors page = {0};
    if (rc == 0) {
        rc = compare(w, w->tokens, rows, columns, w->page.page.width, &page, e);
    }
    if (rc == 0) {
        rc = count_text(w, e);
    }
    if (rc == 0) {
        rc = read_codecs(w, rows, columns, e);
    }
    if (rc == 0 && o->steps > 0 && reader_merges(o->reader)) {
        rc = read_merged(w, rows, columns, e);
    }
    if (rc == 0 && o->steps > 0) {
        rc = read_pooled(w, rows, columns, e);
    }
    if (rc == 0 && o->steps > 0 && column_offsets == 1) {
        rc = read_smaller(w, rows, columns, FIDELITY_RESIZE, e);
        if (rc == 0) {
            rc = read_smaller(w, rows, columns, FIDELITY_RENDER, e);
        }
    }
    double accuracy = fidelity_accuracy(&page);
    w->result->pages++;
    w->result->fresh.distance += page.distance;
    w->result->fresh.length += page.length;
    w->result->characters += w->page.page.counts.characters;
    w->result->visual_tokens += (int64_t)rows * columns;
    w->result->worst = accuracy < w->result->worst ? accuracy : w->result->worst;
    return rc;
}

/* ---- Threads ------------------------------------------------------------------------- */

static int worker_open(struct fidelity_worker *w, struct error *e) {
    const struct fidelity_options *o = w->context->o;
    size_t dim = (size_t)reader_dim(o->reader);
    size_t tokens = (size_t)mode_tokens(o->mode) * dim;
    bytes_init(&w->source, (size_t)1 << 24);
    bytes_init(&w->packed, (size_t)1 << 28);
    drawn_page_init(&w->page);
    drawn_page_init(&w->small);
    reading_text_init(&w->read);
    w->tokens = malloc(tokens * sizeof *w->tokens);
    w->work = malloc(tokens * sizeof *w->work);
    int rc = w->tokens != NULL && w->work != NULL ? 0 : error_memory(e, NULL);
    if (rc == 0) {
        rc = encoder_session_open(&w->encoder, o->encoder, e);
    }
    if (rc == 0) {
        rc = reader_session_open(&w->reader, o->reader, e);
    }
    if (rc == 0) {
        rc = codec_open(&w->codec, e);
    }
    return rc == 0 ? tokenizer_state_open(&w->tokenizer, o->tokenizer, e) : rc;
}

static void worker_close(struct fidelity_worker *w) {
    encoder_session_close(w->encoder);
    reader_session_close(w->reader);
    codec_close(w->codec);
    tokenizer_state_close(w->tokenizer);
    reading_text_close(&w->read);
    bytes_close(&w->source);
    bytes_close(&w->packed);
    drawn_page_close(&w->page);
    drawn_page_close(&w->small);
    free(w->tokens);
    free(w->work);
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
    struct fidelity_context *c = argument;
    struct fidelity_worker worker = {.context = c};
    struct error e;
    struct fidelity_result results[FIDELITY_KINDS] = {{.worst = 1}, {.worst = 1}};
    int rc = worker_open(&worker, &e);
    for (;;) {
        pthread_mutex_lock(&c->lock);
        int64_t page = rc == 0 && c->rc == 0 ? c->next++ : INT64_MAX;
        pthread_mutex_unlock(&c->lock);
        if (page >= FIDELITY_KINDS * c->o->pages) {
            break;
        }
        int kind = (int)(page % FIDELITY_KINDS);
        worker.result = &results[kind];
        rc = measure_page(&worker, (enum fidelity_kind)kind, page / FIDELITY_KINDS, &e);
    }
    pthread_mutex_lock(&c->lock);
    if (rc < 0 && c->rc == 0) {
        c->rc = rc;
        c->error = e;
    }
    for (int i = 0; i < FIDELITY_KINDS; i++) {
        result_add(&c->results[i], &results[i]);
    }
    pthread_mutex_unlock(&c->lock);
    worker_close(&worker);
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
    struct fidelity_context c = {.o = options, .fonts = fonts, .results = results};
    for (int i = 0; i < FIDELITY_KINDS; i++) {
        results[i] = (struct fidelity_result){.worst = 1};
    }
    pthread_mutex_init(&c.lock, NULL);
    while (count < wanted - 1 && pthread_create(&threads[count], NULL, work, &c) == 0) {
        count++;
    }
    work(&c);
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_mutex_destroy(&c.lock);
    fonts_close(fonts);
    if (c.rc < 0 && e != NULL) {
        *e = c.error;
    }
    return c.rc;
}

double fidelity_accuracy(const struct fidelity_errors *errors) {
    if (errors->length == 0) {
        return (double)NAN;
    }
    double share = (double)errors->distance / (double)errors->length;
    return share < 1 ? 1 - share : 0;
}
