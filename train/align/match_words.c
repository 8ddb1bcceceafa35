/* match_words.c - the commonest text tokens, and their embeddings: see match.h. */
#include <stdlib.h>

#include "store/random.h"
#include "train/align/match.h"
#include "train/context/bridge.h"

enum {
    WORDS = 3000,
    SPANS = 500, /* that are counted */
    CELLS = 64,  /* of each */
    PIECE = 256  /* embeddings at a time */
};

/* ---- Which ----------------------------------------------------------------------------------- */

struct counted {
    int64_t count;
    int32_t id;
};

static int compare_counts(const void *left, const void *right) {
    const struct counted *a = left, *b = right;
    if (a->count != b->count) {
        return a->count > b->count ? -1 : 1;
    }
    return (a->id > b->id) - (a->id < b->id);
}

/* *counted: of all. */
static int count_all(struct counted *all, const struct align_network *n, int64_t *counted,
                     struct error *e) {
    const struct span_options o = {.model = n->model, .material = n->material, .row = CELLS};
    struct span_rows *rows;
    int rc = span_rows_open(&rows, &o, e);
    *counted = 0;
    for (uint64_t i = 0; i < SPANS && rc == 0; i++) {
        struct span_letters letters;
        const uint64_t random = random_stream(n->options->seed ^ 0x5350454C4CULL, i);
        rc = span_letters(rows, CORPUS_TRAINING, CELLS, 0, random, &letters, e);
        for (int64_t k = 0; k < letters.count && rc == 0; k++) {
            all[letters.starts[k].id].count++;
            ++*counted;
        }
    }
    span_rows_close(rows);
    return rc;
}

static int choose(struct match_words *w, const struct align_network *n, struct error *e) {
    const int64_t vocabulary = n->config->vocabulary;
    struct counted *all = calloc((size_t)vocabulary, sizeof *all);
    int64_t counted = 0;
    int rc = all != NULL ? 0 : error_memory(e, NULL);
    for (int32_t i = 0; i < vocabulary && rc == 0; i++) {
        all[i].id = i;
        w->places[i] = -1;
    }
    rc = rc == 0 ? count_all(all, n, &counted, e) : rc;
    if (rc == 0 && counted == 0) {
        rc = error_set(e, ERR_FORMAT,
                       "there are no whole tokens to learn to spell with: once they were halved in "
                       "the store it is not known which cell has which part of their text");
    }
    if (rc == 0) {
        qsort(all, (size_t)vocabulary, sizeof *all, compare_counts);
    }
    for (int64_t i = 0; i < w->count && rc == 0; i++) {
        w->ids[i] = all[i].id;
        w->places[all[i].id] = (int32_t)i;
    }
    free(all);
    return rc;
}

/* ---- Their embeddings ------------------------------------------------------------------------ */

static int embed_piece(const struct match_words *w, const struct align_network *n, struct tape *t,
                       float *rows, int64_t first, int64_t count, struct error *e) {
    struct device *d = n->device;
    const struct decoder_parts parts = decoder_parts(n->base);
    struct error failure;
    tape_begin(t);
    const struct tensor index = tape_upload_numbers(t, w->ids + first, count);
    struct node *x = index.data != NULL ? parts.embed(parts.context, t, &index) : NULL;
    if (x != NULL) {
        const struct tensor host =
            tensor_of(rows + first * n->config->width, DTYPE_F32, NULL, x->value.shape);
        tape_fail(t, d->ops->download(d, &host, &x->value, &failure), &failure);
        tape_fail(t, d->ops->synchronize(d, &failure), &failure);
    }
    return tape_status(t, e);
}

static int embed(const struct match_words *w, const struct align_network *n, float *rows,
                 struct error *e) {
    static const struct tape_options TAPE = {.storage = DTYPE_F32, .sums = DTYPE_F32};
    struct tape *t;
    int rc = tape_open(&t, n->device, &TAPE, e);
    for (int64_t i = 0; i < w->count && rc == 0; i += PIECE) {
        rc = embed_piece(w, n, t, rows, i, w->count - i < PIECE ? w->count - i : PIECE, e);
    }
    tape_close(t);
    return rc;
}

/* Less the mean; sharp. */
static void centre(const struct match_words *w, float *rows, float *bias, int64_t width) {
    for (int64_t i = 0; i < w->count; i++) {
        float *row = rows + i * width;
        double square = 0;
        for (int64_t k = 0; k < width; k++) {
            row[k] -= w->mean[k];
            square += (double)row[k] * (double)row[k];
            row[k] *= (float)MATCH_SHARP;
        }
        bias[i] = (float)(-MATCH_SHARP * square / 2);
    }
}

int match_words_blank(struct match_words *w, const struct decoder_config *c, struct error *e) {
    w->count = c->vocabulary < WORDS ? c->vocabulary : WORDS;
    w->ids = calloc((size_t)w->count, sizeof *w->ids);
    w->places = calloc((size_t)c->vocabulary, sizeof *w->places);
    w->mean = calloc((size_t)c->width, sizeof *w->mean);
    w->rows = tensor_matrix(NULL, DTYPE_F32, NULL, w->count + 1, c->width);
    w->bias = tensor_matrix(NULL, DTYPE_F32, NULL, w->count + 1, 1);
    return w->ids != NULL && w->places != NULL && w->mean != NULL
               ? 0
               : error_memory(e, "the commonest words");
}

static int put(struct match_words *w, struct tensor *to, float *numbers, struct error *e) {
    const struct tensor host = tensor_of(numbers, DTYPE_F32, NULL, to->shape);
    int rc = w->device->ops->alloc(w->device, to, e);
    return rc == 0 ? w->device->ops->upload(w->device, to, &host, e) : rc;
}

/* Also for the threads' devices. */
static int put_all(struct match_words *w, const struct align_network *n, struct error *e) {
    const int64_t width = n->config->width;
    float *rows = calloc((size_t)((w->count + 1) * width), sizeof *rows);
    float *bias = calloc((size_t)(w->count + 1), sizeof *bias);
    int rc = rows != NULL && bias != NULL ? embed(w, n, rows, e)
                                          : error_memory(e, "the commonest words");
    w->device = n->device;
    if (rc == 0) {
        centre(w, rows, bias, width);
        rc = put(w, &w->rows, rows, e);
    }
    rc = rc == 0 ? put(w, &w->bias, bias, e) : rc;
    rc = rc == 0 ? w->device->ops->synchronize(w->device, e) : rc;
    free(rows);
    free(bias);
    return rc;
}

int match_words_open(struct match_words *w, const struct align_network *n, struct error *e) {
    int rc = match_words_blank(w, n->config, e);
    rc = rc == 0 ? choose(w, n, e) : rc;
    rc = rc == 0 ? bridge_shift(w->mean, n->base, n->device, e) : rc;
    return rc == 0 ? put_all(w, n, e) : rc;
}

void match_words_close(struct match_words *w) {
    free(w->ids);
    free(w->places);
    free(w->mean);
    if (w->device != NULL) {
        w->device->ops->release(w->device, &w->rows);
        w->device->ops->release(w->device, &w->bias);
    }
    *w = (struct match_words){.ids = NULL};
}
