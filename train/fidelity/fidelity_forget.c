/* fidelity_forget.c - pages with fewer tokens, by every operator. */
#include <stdlib.h>
#include <string.h>

#include "compress/page_image.h"
#include "store/forget.h"
#include "store/nest.h"
#include "train/fidelity/worker.h"

const char *const FIDELITY_OPERATOR_NAMES[FIDELITY_OPERATORS + 1] = {"own", "pool", "resize",
                                                                     "render", NULL};

static int most_halvings(const struct fidelity_options *o) {
    int most = 0;
    for (int k = 1; k <= FIDELITY_HALVINGS; k++) {
        most = o->halvings[k] ? k : most;
    }
    return most;
}

/* w->work holds the tokens of `page`, as they are read after k halvings to `stored`. */
static int read_back(struct fidelity_worker *w, enum fidelity_operator how, int k,
                     struct reading_page page, int64_t stored, struct error *e) {
    const struct fidelity_reading reading = {.page = page,
                                             .state = state_forgotten(how, k),
                                             .stored = stored,
                                             .watched = how == FIDELITY_OWN};
    return fidelity_compare(w, w->work, &reading, e);
}

/* By the encoder's maps: `merged` becomes fewer and fewer. */
static int read_merged(struct fidelity_worker *w, float *merged, int rows, int columns,
                       struct error *e) {
    size_t dim = (size_t)reader_dim(w->o->reader);
    int r = rows, c = columns, most = most_halvings(w->o), rc = 0;
    for (int k = 1; k <= most && rc == 0; k++) {
        rc = reader_merge(w->reader, merged, &r, &c, e);
        if (rc < 0 || !w->o->halvings[k]) {
            continue;
        }
        memcpy(w->work, merged, (size_t)(r * c) * dim * sizeof *merged);
        rc = reader_unmerge(w->reader, w->work, rows, columns, k, e);
        if (rc == 0) {
            rc = read_back(w, FIDELITY_OWN, k, fidelity_page(w, rows, columns), (int64_t)r * c, e);
        }
    }
    return rc;
}

/* Of nested tokens: the first half of their numbers, a quarter, and so on, in their places. */
static int read_nested(struct fidelity_worker *w, int rows, int columns, struct error *e) {
    size_t dim = (size_t)reader_dim(w->o->reader), count = (size_t)(rows * columns);
    int64_t levels = reader_config(w->o->reader)->nested;
    int rc = 0;
    memcpy(w->work, w->tokens, count * dim * sizeof *w->work);
    for (int k = 1; k <= FIDELITY_HALVINGS && k <= levels && rc == 0; k++) {
        for (size_t i = 0; i < count; i++) {
            memset(w->work + i * dim + (dim >> k), 0, (dim - (dim >> k)) * sizeof *w->work);
        }
        if (w->o->halvings[k]) {
            struct reading_page page = fidelity_page(w, rows, columns);
            page.halvings = k;
            rc = read_back(w, FIDELITY_OWN, k, page, nest_count((int64_t)count, k), e);
        }
    }
    return rc;
}

/* Means, repeated to the old grid. */
static int read_pooled(struct fidelity_worker *w, float *pooled, int rows, int columns,
                       struct error *e) {
    size_t dim = (size_t)reader_dim(w->o->reader);
    int r = rows, c = columns, most = most_halvings(w->o), rc = 0;
    for (int k = 1; k <= most && rc == 0; k++) {
        forget_pool(pooled, &r, &c, (int64_t)dim);
        for (int i = 0; i < rows * columns; i++) {
            int y = i / columns * r / rows, x = i % columns * c / columns;
            memcpy(w->work + (size_t)i * dim, pooled + (size_t)(y * c + x) * dim,
                   dim * sizeof(float));
        }
        if (w->o->halvings[k]) {
            rc = read_back(w, FIDELITY_POOL, k, fidelity_page(w, rows, columns), (int64_t)r * c, e);
        }
    }
    return rc;
}

/* The page in r x c cells: the same picture made smaller, or as much of the text as fits. */
static int draw_smaller(struct fidelity_worker *w, struct image *small, int r, int c,
                        enum fidelity_operator how, struct error *e) {
    int width = c * CELL, height = r * CELL;
    if (how == FIDELITY_RENDER) {
        int rc = fidelity_draw(w, &w->small, r, c, e);
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
    for (int k = 1; k <= FIDELITY_HALVINGS && rc == 0; k++) {
        int r = rows, c = columns;
        struct image small;
        if (!w->o->halvings[k]) {
            continue;
        }
        forget_grid(&r, &c, k);
        rc = draw_smaller(w, &small, r, c, how, e);
        if (rc < 0) {
            return rc;
        }
        rc = encoder_run_image(w->encoder, w->work, &small, 1, e);
        if (rc == 0) {
            /* of less text through as many cells, of all through smaller ones */
            struct reading_page page = fidelity_page(w, rows, columns);
            page = how == FIDELITY_RENDER ? fidelity_page(w, r, c) : page;
            page.rows = r;
            page.columns = c;
            rc = read_back(w, how, k, page, (int64_t)r * c, e);
        }
        image_close(&small);
    }
    return rc;
}

int fidelity_forget(struct fidelity_worker *w, int rows, int columns, struct error *e) {
    const bool *wanted = w->o->operators;
    size_t size = (size_t)(rows * columns) * (size_t)reader_dim(w->o->reader) * sizeof(float);
    float *copy = malloc(size);
    int rc = copy != NULL ? 0 : error_memory(e, NULL);
    bool nested = reader_config(w->o->reader)->nested > 0;
    if (rc == 0 && wanted[FIDELITY_OWN] && nested) {
        rc = read_nested(w, rows, columns, e);
    } else if (rc == 0 && wanted[FIDELITY_OWN] && reader_merges(w->o->reader)) {
        memcpy(copy, w->tokens, size);
        rc = read_merged(w, copy, rows, columns, e);
    }
    if (rc == 0 && wanted[FIDELITY_POOL]) {
        memcpy(copy, w->tokens, size);
        rc = read_pooled(w, copy, rows, columns, e);
    }
    free(copy);
    for (int how = FIDELITY_RESIZE; how <= FIDELITY_RENDER && rc == 0; how++) {
        bool drawn_again = how != FIDELITY_RENDER || w->mixed == NULL;
        if (wanted[how] && drawn_again && PAGE_SIZES[w->o->mode].column_offsets == 1) {
            rc = read_smaller(w, rows, columns, (enum fidelity_operator)how, e);
        }
    }
    return rc;
}
