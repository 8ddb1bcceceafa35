/* encoder_tables.c - position tables that were learned for one grid, fitted to those of pages. */
#include <stdlib.h>

#include "compress/encoder_state.h"

enum { TABLES = 4 /* that are held: the modes of a stream take turns */ };

static void tables_close(struct encoder_session *s, struct position_tables *t) {
    const struct ops *ops = s->device->ops;
    ops->release(s->device, &t->position);
    ops->release(s->device, &t->clip_position);
    for (int i = 0; i < CONFIG_DEPTH; i++) {
        ops->release(s->device, &t->rel_h[i]);
        ops->release(s->device, &t->rel_w[i]);
    }
    free(t);
}

void position_tables_close(struct encoder_session *s) {
    while (s->tables != NULL) {
        struct position_tables *first = s->tables;
        s->tables = first->next;
        tables_close(s, first);
    }
}

static int fit(struct encoder_session *s, const struct tensor *out, const struct tensor *from,
               int64_t from_side, int64_t rows, int64_t columns, struct error *e) {
    const struct resample_options o = {.from_rows = from_side,
                                       .from_columns = from_side,
                                       .rows = rows,
                                       .columns = columns,
                                       .bicubic = true};
    return s->device->ops->resample(s->device, out, from, &o, e);
}

static int fit_position(struct encoder_session *s, struct position_tables *t, struct error *e) {
    const struct encoder *encoder = s->encoder;
    t->position =
        tensor_matrix(NULL, DTYPE_F32, s->device, t->height * t->width, encoder->config.dim);
    int rc = s->device->ops->alloc(s->device, &t->position, e);
    if (rc == 0) {
        rc = fit(s, &t->position, &encoder->position, encoder->config.grid, t->height, t->width, e);
    }
    return rc;
}

static int fit_relative(struct encoder_session *s, struct tensor *out, const struct tensor *from,
                        int64_t side, struct error *e) {
    const struct resample_options o = {
        .from_rows = tensor_rows(from), .from_columns = 1, .rows = 2 * side - 1, .columns = 1};
    *out = tensor_matrix(NULL, DTYPE_F32, s->device, o.rows, tensor_width(from));
    int rc = s->device->ops->alloc(s->device, out, e);
    if (rc == 0) {
        rc = s->device->ops->resample(s->device, out, from, &o, e);
    }
    return rc;
}

/* The class row is added to its position here, so that a page's tokens are only added to. */
static int fit_clip(struct encoder_session *s, struct position_tables *t, struct error *e) {
    const struct encoder *encoder = s->encoder;
    int64_t rows = t->height / 4, columns = t->width / 4, grid = encoder->config.clip_grid;
    t->clip_position =
        tensor_matrix(NULL, DTYPE_F32, s->device, 1 + rows * columns, encoder->config.clip_dim);
    int rc = s->device->ops->alloc(s->device, &t->clip_position, e);
    if (rc < 0) {
        return rc;
    }
    struct tensor first = tensor_row_range(&t->clip_position, 0, 1);
    struct tensor rest = tensor_row_range(&t->clip_position, 1, rows * columns);
    struct tensor from_first = tensor_row_range(&encoder->clip_position, 0, 1);
    struct tensor from_rest = tensor_row_range(&encoder->clip_position, 1, grid * grid);
    rc = s->device->ops->add(s->device, &first, &encoder->class_row, &from_first, e);
    if (rc == 0) {
        rc = fit(s, &rest, &from_rest, grid, rows, columns, e);
    }
    return rc;
}

static int tables_make(struct encoder_session *s, struct position_tables *t, struct error *e) {
    const struct encoder *encoder = s->encoder;
    int rc = fit_position(s, t, e);
    for (int64_t i = 0; i < encoder->config.depth && rc == 0; i++) {
        if (!encoder->config.global[i]) {
            continue;
        }
        rc = fit_relative(s, &t->rel_h[i], &encoder->blocks[i].rel_h, t->height, e);
        if (rc == 0) {
            rc = fit_relative(s, &t->rel_w[i], &encoder->blocks[i].rel_w, t->width, e);
        }
    }
    if (rc == 0) {
        rc = fit_clip(s, t, e);
    }
    return rc;
}

int position_tables_find(struct encoder_session *s, int64_t height, int64_t width,
                         struct error *e) {
    int held = 0;
    height = height > width ? height : width;
    for (struct position_tables **link = &s->tables; *link != NULL; link = &(*link)->next) {
        struct position_tables *t = *link;
        if (t->height == height && t->width == width) {
            *link = t->next;
            t->next = s->tables;
            s->tables = t;
            return 0;
        }
        if (++held == TABLES) {
            *link = NULL;
            tables_close(s, t);
            break;
        }
    }
    struct position_tables *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return error_memory(e, NULL);
    }
    t->height = height;
    t->width = width;
    int rc = tables_make(s, t, e);
    if (rc < 0) {
        tables_close(s, t);
        return rc;
    }
    t->next = s->tables;
    s->tables = t;
    return 0;
}

/* ---- Their first rows ---------------------------------------------------------------------- */

struct tensor position_of(const struct encoder_session *s, int64_t height) {
    return tensor_row_range(&s->tables->position, 0, height * s->tables->width);
}

struct tensor clip_position_of(const struct encoder_session *s, int64_t height) {
    return tensor_row_range(&s->tables->clip_position, 0, 1 + height / 4 * (s->tables->width / 4));
}

/* Distances of rows run from -(height - 1) to height - 1; that of 0 is in the middle. */
struct tensor rel_h_of(const struct encoder_session *s, int64_t i, int64_t height) {
    return tensor_row_range(&s->tables->rel_h[i], s->tables->height - height, 2 * height - 1);
}
