/* reader_session.c - a reading head's memory on a device, and merging. */
#include <stdlib.h>

#include "compress/reader_state.h"

int reader_session_open(struct reader_session **out, const struct reader *r, struct error *e) {
    *out = NULL;
    struct reader_session *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_memory(e, NULL);
    }
    s->reader = r;
    int rc = device_open(&s->device, r->backend, r->compute, e);
    if (rc < 0) {
        free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void reader_session_close(struct reader_session *s) {
    if (s == NULL) {
        return;
    }
    for (int i = 0; i < READER_BUFFERS; i++) {
        device_buffer_release(&s->buffers[i], s->device);
    }
    reading_index_close(s);
    device_close(s->device);
    buffer_free(&s->host);
    free(s->characters);
    free(s);
}

int reader_matrix_of(struct reader_session *s, int buffer, int64_t rows, int64_t width,
                     struct tensor *out, struct error *e) {
    int rc = device_buffer_reserve(&s->buffers[buffer], s->device, rows * width, e);
    if (rc == 0) {
        *out = device_buffer_matrix(&s->buffers[buffer], rows, width);
    }
    return rc;
}

int reader_linear(struct reader_session *s, const struct tensor *out, const struct tensor *x,
                  enum reader_matrix matrix, enum activation activation, struct error *e) {
    return s->device->ops->linear(s->device, out, x, s->reader->matrices[matrix], activation, NULL,
                                  e);
}

int reader_send_index(struct reader_session *s, const int32_t *index, int64_t count,
                      struct tensor *out, struct error *e) {
    union {
        const int32_t *read;
        void *data;
    } from = {.read = index}; /* a tensor's data is not const; upload reads it */
    int rc = reader_matrix_of(s, BUFFER_INDEX, 1, count, out, e);
    if (rc < 0) {
        return rc;
    }
    struct tensor host = tensor_vector(from.data, DTYPE_I32, NULL, count);
    out->type = DTYPE_I32; /* as wide as the F32 that there is room for */
    return s->device->ops->upload(s->device, out, &host, e);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

size_t reader_weight_bytes(const struct reader *r) {
    return r->packed_bytes + r->device->bytes;
}

/* Its largest are the squares with their neighbours, as they are gathered and as products read
 * them. */
size_t reader_run_bytes(const struct reader *r, const struct reading_page *page) {
    enum { WORKSPACE = 48 << 20 /* of the library of products */ };
    const struct reading_config *c = &r->config;
    const int64_t tokens = (int64_t)page->rows * page->columns;
    const int64_t squares = tokens / page->column_offsets * READING_ROWS * READING_STEPS;
    const int64_t seen = squares * reading_seen(c) * c->channels;
    const int64_t unfolded = tokens * READING_ROWS * READING_STEPS * c->channels;
    const int64_t columns = squares * READING_COLUMNS;
    const int64_t floats = tokens * (2 * r->dim + c->trunk) + unfolded +
                           seen * page->column_offsets + squares * 2 * c->hidden +
                           columns * (2 + 2 * c->embedding) +
                           READER_MOST_CHUNK * (c->classes + c->embedding);
    return (size_t)((floats + seen) * (int64_t)sizeof(float)) + WORKSPACE;
}

/* ---- Merging ------------------------------------------------------------------------------- */

/* As forget_grid: the longer side, columns where both are equal. */
static void halve(int *rows, int *columns, bool *by_rows) {
    *by_rows = *rows > *columns;
    *rows = *by_rows ? (*rows + 1) / 2 : *rows;
    *columns = *by_rows ? *columns : (*columns + 1) / 2;
}

/* The tokens of a grid in pairs: (r, c) with (r, c + 1), or with (r + 1, c); one without a
 * neighbour stands for it too. Token 2 i and 2 i + 1 make pair i. */
static void index_pairs(int32_t *index, int rows, int columns, bool by_rows) {
    int down = by_rows ? (rows + 1) / 2 : rows, across = by_rows ? columns : (columns + 1) / 2;
    for (int i = 0; i < down * across; i++) {
        int r = i / across * (by_rows ? 2 : 1), c = i % across * (by_rows ? 1 : 2);
        int r2 = by_rows && r + 1 < rows ? r + 1 : r, c2 = !by_rows && c + 1 < columns ? c + 1 : c;
        index[2 * i] = r * columns + c;
        index[2 * i + 1] = r2 * columns + c2;
    }
}

/* The other way round: where each token of the grid lies among the pairs; of two copies
 * the first. */
static void index_tokens(int32_t *index, int rows, int columns, bool by_rows) {
    int across = by_rows ? columns : (columns + 1) / 2;
    for (int i = 0; i < rows * columns; i++) {
        int r = i / columns, c = i % columns;
        int pair = (by_rows ? r / 2 : r) * across + (by_rows ? c : c / 2);
        index[i] = 2 * pair + (by_rows ? r : c) % 2;
    }
}

/* Room for an index table of the host. */
static int32_t *host_index(struct reader_session *s, int64_t count, struct error *e) {
    return buffer_reserve(&s->host, (size_t)count, sizeof(int32_t), e) == 0 ? s->host.data : NULL;
}

int reader_merge(struct reader_session *s, float *tokens, int *rows, int *columns,
                 struct error *e) {
    const struct ops *ops = s->device->ops;
    int64_t dim = s->reader->dim, before = (int64_t)*rows * *columns;
    int from_rows = *rows, from_columns = *columns;
    bool by_rows;
    if (!s->reader->merges) {
        return error_set(e, ERR_UNSUPPORTED, "this encoder carries no maps for merging");
    }
    if (before < 2) {
        return error_set(e, ERR_UNSUPPORTED, "a single token cannot be merged");
    }
    halve(rows, columns, &by_rows);
    int64_t after = (int64_t)*rows * *columns;
    struct tensor all, pairs, merged, index;
    int32_t *places = host_index(s, 2 * after, e);
    if (places == NULL) {
        return ERR_MEMORY;
    }
    index_pairs(places, from_rows, from_columns, by_rows);
    struct tensor from = tensor_matrix(tokens, DTYPE_F32, NULL, before, dim);
    struct tensor to = tensor_matrix(tokens, DTYPE_F32, NULL, after, dim);
    int rc = reader_send_index(s, places, 2 * after, &index, e);
    if (rc == 0) {
        rc = reader_matrix_of(s, BUFFER_TOKENS, before, dim, &all, e);
    }
    if (rc == 0) {
        rc = reader_matrix_of(s, BUFFER_PAIRS, 2 * after, dim, &pairs, e);
    }
    if (rc == 0) {
        rc = ops->upload(s->device, &all, &from, e);
    }
    if (rc == 0) {
        rc = ops->gather(s->device, &pairs, &all, &index, e);
    }
    if (rc == 0) {
        pairs = tensor_reshape(&pairs, TENSOR_SHAPE(1, 1, after, 2 * dim));
        merged = device_buffer_matrix(&s->buffers[BUFFER_TOKENS], after, dim);
        rc = reader_linear(s, &merged, &pairs, by_rows ? READER_MERGE_ROWS : READER_MERGE_COLUMNS,
                           ACTIVATION_NONE, e);
    }
    if (rc == 0) {
        rc = ops->download(s->device, &to, &merged, e);
    }
    return rc;
}

/* One step back: the tokens in BUFFER_TOKENS become those of the grid (rows, columns). */
static int unmerge_once(struct reader_session *s, int rows, int columns, struct error *e) {
    const struct ops *ops = s->device->ops;
    int half_rows = rows, half_columns = columns;
    bool by_rows;
    halve(&half_rows, &half_columns, &by_rows);
    int64_t dim = s->reader->dim, few = (int64_t)half_rows * half_columns;
    int64_t many = (int64_t)rows * columns;
    struct tensor pairs, index;
    int32_t *places = host_index(s, many, e);
    if (places == NULL) {
        return ERR_MEMORY;
    }
    index_tokens(places, rows, columns, by_rows);
    struct tensor from = device_buffer_matrix(&s->buffers[BUFFER_TOKENS], few, dim);
    struct tensor to = device_buffer_matrix(&s->buffers[BUFFER_TOKENS], many, dim);
    int rc = reader_send_index(s, places, many, &index, e);
    if (rc == 0) {
        rc = reader_matrix_of(s, BUFFER_PAIRS, few, 2 * dim, &pairs, e);
    }
    if (rc == 0) {
        rc = reader_linear(s, &pairs, &from, by_rows ? READER_UNMERGE_ROWS : READER_UNMERGE_COLUMNS,
                           ACTIVATION_NONE, e);
    }
    if (rc == 0) {
        pairs = tensor_reshape(&pairs, TENSOR_SHAPE(1, 1, 2 * few, dim));
        rc = ops->gather(s->device, &to, &pairs, &index, e);
    }
    return rc;
}

/* The grid after `halvings`. */
static void grid_after(int *rows, int *columns, int halvings) {
    bool by_rows;
    for (int i = 0; i < halvings; i++) {
        halve(rows, columns, &by_rows);
    }
}

int reader_unmerge(struct reader_session *s, float *tokens, int rows, int columns, int bucket,
                   struct error *e) {
    const struct ops *ops = s->device->ops;
    int64_t dim = s->reader->dim, full = (int64_t)rows * columns;
    int few_rows = rows, few_columns = columns;
    struct tensor all;
    if (bucket == 0) {
        return 0;
    }
    if (s->reader->matrices[READER_UNMERGE_COLUMNS] == NULL) {
        return error_set(e, ERR_UNSUPPORTED, "this encoder carries no maps for merging");
    }
    grid_after(&few_rows, &few_columns, bucket);
    struct tensor to = tensor_matrix(tokens, DTYPE_F32, NULL, full, dim);
    struct tensor from = tensor_row_range(&to, 0, (int64_t)few_rows * few_columns);
    int rc = reader_matrix_of(s, BUFFER_TOKENS, full, dim, &all, e);
    if (rc == 0) {
        struct tensor few = tensor_row_range(&all, 0, (int64_t)few_rows * few_columns);
        rc = ops->upload(s->device, &few, &from, e);
    }
    for (int k = bucket - 1; k >= 0 && rc == 0; k--) {
        int to_rows = rows, to_columns = columns;
        grid_after(&to_rows, &to_columns, k);
        if (to_rows * to_columns > 1) { /* else there was nothing left to halve */
            rc = unmerge_once(s, to_rows, to_columns, e);
        }
    }
    if (rc == 0) {
        rc = ops->download(s->device, &to, &all, e);
    }
    return rc;
}
