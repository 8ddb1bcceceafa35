/* fidelity.c - see fidelity.h. */
#include "train/fidelity/fidelity.h"

#include <pthread.h>
#include <stdlib.h>

#include "compress/page_image.h"
#include "store/random.h"
#include "train/fidelity/worker.h"

struct fidelity_context {
    const struct fidelity_options *o;
    const struct fonts *fonts;
    pthread_mutex_t lock;
    int64_t next, pages;
    int rc;
    struct error error;
    struct fidelity_result *result;
};

/* ---- Pages ------------------------------------------------------------------------------- */

static struct page_setup make_setup(const struct fidelity_worker *w, int rows, int columns) {
    return (struct page_setup){.mode = w->o->mode,
                               .profile = &PROFILES[w->o->profile],
                               .fonts = w->fonts,
                               .clusters = w->o->rows != NULL,
                               .rows = rows,
                               .columns = columns};
}

int fidelity_draw(struct fidelity_worker *w, struct drawn_page *out, int rows, int columns,
                  struct error *e) {
    const struct page_setup setup = make_setup(w, rows, columns);
    int rc = draw_text(out, &setup, bytes_text(&w->source), w->source.size, e);
    return rc == 0 && !out->drawn ? error_set(e, ERR_FORMAT, "the text gives no page") : rc;
}

/* More text than a page holds. */
static int fill_source(struct fidelity_worker *w, int64_t number, int64_t pages, struct error *e) {
    enum { BYTES = 140, SMALL_BYTES = 320 }; /* of a token: Cyrillic has two a letter */
    const struct fidelity_options *o = w->o;
    size_t tokens = (size_t)mode_rows(o->mode) * (size_t)mode_rows(o->mode);
    size_t size = tokens * (PROFILES[o->profile].pitch < PATCH ? SMALL_BYTES : BYTES);
    return text_set_fill(o->set, &w->source, size, number, pages, o->seed,
                         reader_alphabet(o->reader), !PROFILES[o->profile].cells, e);
}

/* Pages that the set fills without showing any of it twice. */
static int count_pages(struct fidelity_worker *w, int64_t *pages, struct error *e) {
    *pages = w->o->pages;
    if (w->o->set->kind != SET_TEXT && w->o->set->kind != SET_CAPS) {
        return 0;
    }
    int rc = fill_source(w, 0, 1, e);
    if (rc == 0) {
        rc = fidelity_draw(w, &w->page, 0, 0, e);
    }
    if (rc == 0) {
        int64_t most = (int64_t)(w->o->set->size / (w->page.page.text_size + 1));
        *pages = most < 1 ? 1 : most < *pages ? most : *pages;
    }
    return rc;
}

/* ---- Reading ----------------------------------------------------------------------------- */

struct reading_page fidelity_page(const struct fidelity_worker *w, int rows, int columns) {
    bool cells = PROFILES[w->o->profile].cells;
    return (struct reading_page){.rows = rows,
                                 .columns = columns,
                                 .column_offsets = PAGE_SIZES[w->o->mode].column_offsets,
                                 .cell_rows = cells ? rows : 0,
                                 .cell_columns = cells ? columns : 0};
}

int fidelity_compare(struct fidelity_worker *w, const float *tokens,
                     const struct fidelity_reading *reading, struct error *e) {
    struct fidelity_state *state = &w->result.states[reading->state];
    const struct reading_character *characters;
    const struct page *page = &w->page.page;
    size_t count;
    int rc = reader_run(w->reader, tokens, &reading->page, &characters, &count, e);
    if (rc == 0) {
        rc = reading_text_fill(&w->read, reader_alphabet(w->o->reader), characters, count,
                               &reading->page, e);
    }
    if (rc == 0) {
        rc = scorer_compare(w->scorer, &state->score, bytes_text(&w->read.text), w->read.text.size,
                            page->text, page->text_size, e);
    }
    state->tokens += reading->stored;
    return rc == 0 && reading->watched && w->o->rows != NULL ? fidelity_watch(w, e) : rc;
}

static int read_codecs(struct fidelity_worker *w, int rows, int columns, struct error *e) {
    int64_t dim = reader_dim(w->o->reader), tokens = (int64_t)rows * columns;
    int rc = 0;
    for (int i = 0; i < CODEC_COUNT && rc == 0; i++) {
        const struct fidelity_reading reading = {
            .state = STATE_CODECS + i, .page = fidelity_page(w, rows, columns), .stored = tokens};
        bytes_clear(&w->packed);
        rc = codec_pack(w->codec, &w->packed, (enum codec)i, w->tokens, tokens, dim, NULL, e);
        if (rc == 0) {
            rc = codec_unpack(w->codec, w->work, (enum codec)i, w->packed.data, w->packed.size,
                              tokens, dim, e);
        }
        if (rc == 0) {
            rc = fidelity_compare(w, w->work, &reading, e);
        }
    }
    return rc;
}

/* ---- A page ------------------------------------------------------------------------------ */

static int read_fresh(struct fidelity_worker *w, int rows, int columns, struct error *e) {
    const struct fidelity_reading reading = {.state = STATE_FRESH,
                                             .page = fidelity_page(w, rows, columns),
                                             .stored = (int64_t)rows * columns,
                                             .watched = true};
    struct score *score = &w->result.states[STATE_FRESH].score, before = *score;
    size_t count = 0;
    int rc = fidelity_compare(w, w->tokens, &reading, e);
    if (rc == 0) {
        rc = tokenizer_count(w->tokenizer, w->page.page.text, w->page.page.text_size,
                             TOKENIZER_ORDINARY, &count, e);
    }
    const struct score page = {.distance = score->distance - before.distance,
                               .length = score->length - before.length};
    double accuracy = score_characters(&page);
    w->result.pages++;
    w->result.text_tokens += (int64_t)count;
    w->result.characters += w->page.page.counts.characters;
    w->result.worst = accuracy < w->result.worst ? accuracy : w->result.worst;
    return rc;
}

/* In w->page. */
static int draw_page(struct fidelity_worker *w, int64_t number, int64_t pages, struct error *e) {
    if (w->mixed != NULL) {
        const struct page_setup setup = make_setup(w, 0, 0);
        uint64_t random = random_stream(w->o->seed, (uint64_t)number);
        return mixed_pages_draw(w->mixed, &w->page, &setup, &random, e);
    }
    int rc = fill_source(w, number, pages, e);
    return rc == 0 ? fidelity_draw(w, &w->page, 0, 0, e) : rc;
}

static int measure_page(struct fidelity_worker *w, int64_t number, int64_t pages, struct error *e) {
    int column_offsets = PAGE_SIZES[w->o->mode].column_offsets;
    struct image image = {.pixels = NULL};
    int rc = draw_page(w, number, pages, e);
    if (rc == 0) {
        rc = page_image(&image, &w->page.page, e);
    }
    if (rc == 0) {
        rc = encoder_run_image(w->encoder, w->tokens, &image, column_offsets, e);
    }
    int rows = image.height / CELL, columns = image.width / CELL * column_offsets;
    image_close(&image);
    if (rc == 0) {
        rc = read_fresh(w, rows, columns, e);
    }
    if (rc == 0 && w->o->codecs) {
        rc = read_codecs(w, rows, columns, e);
    }
    return rc == 0 ? fidelity_forget(w, rows, columns, e) : rc;
}

/* ---- Threads ----------------------------------------------------------------------------- */

static int worker_open(struct fidelity_worker *w, struct error *e) {
    const struct fidelity_options *o = w->o;
    size_t tokens = (size_t)mode_tokens(o->mode) * (size_t)reader_dim(o->reader);
    bytes_init(&w->source, (size_t)1 << 24);
    bytes_init(&w->packed, (size_t)1 << 28);
    drawn_page_init(&w->page);
    drawn_page_init(&w->small);
    reading_text_init(&w->read);
    w->tokens = malloc(tokens * sizeof *w->tokens);
    w->work = malloc(tokens * sizeof *w->work);
    w->result.worst = 1;
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
    if (rc == 0) {
        rc = scorer_open(&w->scorer, e);
    }
    if (rc == 0 && o->set->kind == SET_SAMPLES) {
        rc = mixed_pages_open(&w->mixed, o->set->text, o->set->size, e);
    }
    return rc == 0 ? tokenizer_state_open(&w->tokenizer, o->tokenizer, e) : rc;
}

static void worker_close(struct fidelity_worker *w) {
    encoder_session_close(w->encoder);
    reader_session_close(w->reader);
    codec_close(w->codec);
    tokenizer_state_close(w->tokenizer);
    scorer_close(w->scorer);
    mixed_pages_close(w->mixed);
    reading_text_close(&w->read);
    measured_rows_close(&w->rows);
    bytes_close(&w->source);
    bytes_close(&w->packed);
    drawn_page_close(&w->page);
    drawn_page_close(&w->small);
    free(w->tokens);
    free(w->work);
}

void fidelity_add(struct fidelity_result *to, const struct fidelity_result *from) {
    to->pages += from->pages;
    to->characters += from->characters;
    to->text_tokens += from->text_tokens;
    to->worst = from->worst < to->worst ? from->worst : to->worst;
    for (int i = 0; i < STATE_COUNT; i++) {
        score_add(&to->states[i].score, &from->states[i].score);
        to->states[i].tokens += from->states[i].tokens;
    }
}

/* Under the context's lock. */
static int hand_over(struct fidelity_context *c, const struct fidelity_worker *w, struct error *e) {
    int rc = 0;
    fidelity_add(c->result, &w->result);
    for (size_t i = 0; i < w->rows.count && rc == 0; i++) {
        rc = measured_rows_add(c->o->rows, &w->rows.items[i], e);
    }
    return rc;
}

/* The first worker to begin counts the pages. */
static int next_page(struct fidelity_context *c, struct fidelity_worker *w, int64_t *page,
                     struct error *e) {
    pthread_mutex_lock(&c->lock);
    int rc = c->rc == 0 && c->pages == 0 ? count_pages(w, &c->pages, e) : 0;
    *page = rc == 0 && c->rc == 0 && c->next < c->pages ? c->next++ : -1;
    pthread_mutex_unlock(&c->lock);
    return rc;
}

static void *work(void *argument) {
    struct fidelity_context *c = argument;
    struct fidelity_worker worker = {.o = c->o, .fonts = c->fonts};
    struct error e;
    int64_t page = -1;
    int rc = worker_open(&worker, &e);
    do {
        rc = rc == 0 ? next_page(c, &worker, &page, &e) : rc;
        if (rc == 0 && page >= 0) {
            rc = measure_page(&worker, page, c->pages, &e);
        }
    } while (rc == 0 && page >= 0);
    pthread_mutex_lock(&c->lock);
    rc = rc == 0 ? hand_over(c, &worker, &e) : rc;
    if (rc < 0 && c->rc == 0) {
        c->rc = rc;
        c->error = e;
    }
    pthread_mutex_unlock(&c->lock);
    worker_close(&worker);
    return NULL;
}

int fidelity_measure(const struct fidelity_options *options, struct fidelity_result *result,
                     struct error *e) {
    enum { THREADS = 256 };
    pthread_t threads[THREADS];
    struct fonts *fonts;
    int count = 0, wanted = options->threads < THREADS ? (int)options->threads : THREADS;
    *result = (struct fidelity_result){.worst = 1};
    int rc = fonts_open(&fonts, PROFILES[options->profile].family, e);
    if (rc < 0) {
        return rc;
    }
    struct fidelity_context c = {.o = options, .fonts = fonts, .result = result};
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
