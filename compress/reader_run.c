/* reader_run.c - from tokens to characters. */
#include <stdlib.h>

#include "compress/reader_state.h"
#include "store/array.h"

struct reading_pass {
    struct reader_session *s;
    const struct reading_config *c;
    struct device *device;
    const struct ops *ops;
    struct reading_grid grid;
    int64_t rows, steps; /* squares of the page */
    int64_t halvings;
    struct error *e;
};

/* ---- Squares in the order of the page, each with its neighbours ----------------------------- */

void reading_index_close(struct reader_session *s) {
    const struct ops *ops = s->device->ops;
    if (s->index.first.data != NULL) {
        ops->release(s->device, &s->index.first);
    }
    if (s->index.second.data != NULL) {
        ops->release(s->device, &s->index.second);
    }
    s->index = (struct reading_index){.rows = 0};
}

/* Of each square and its neighbours the unfolded square at the first offset, or at the second. */
static void list_neighbours(const struct reading_pass *p, int32_t *index, bool second) {
    const int64_t reach = p->c->reach;
    for (int64_t i = 0; i < p->rows * p->steps; i++) {
        const int64_t own = i % p->steps;
        const int64_t first = own / p->grid.stretch * p->grid.stretch,
                      end = first + p->grid.stretch;
        for (int64_t step = own - reach; step <= own + reach; step++) {
            int32_t places[2] = {-1, -1};
            if (step >= first && step < end) {
                reading_place(&p->grid, i / p->steps, step, &places[0], &places[1]);
            }
            *index++ = places[second];
        }
    }
}

static int make_index(const struct reading_pass *p, struct tensor *out, bool second) {
    int64_t count = p->rows * p->steps * reading_seen(p->c);
    int rc = buffer_reserve(&p->s->host, (size_t)count, sizeof(int32_t), p->e);
    if (rc < 0) {
        return rc;
    }
    struct tensor host = tensor_vector(p->s->host.data, DTYPE_I32, NULL, count);
    list_neighbours(p, p->s->host.data, second);
    *out = tensor_vector(NULL, DTYPE_I32, p->device, count);
    rc = p->ops->alloc(p->device, out, p->e);
    if (rc == 0) {
        rc = p->ops->upload(p->device, out, &host, p->e);
    }
    return rc;
}

static int find_index(const struct reading_pass *p) {
    struct reading_index *index = &p->s->index;
    if (index->rows == p->grid.rows && index->columns == p->grid.columns &&
        index->column_offsets == p->grid.column_offsets) {
        return 0;
    }
    reading_index_close(p->s);
    int rc = make_index(p, &index->first, false);
    if (rc == 0 && p->grid.column_offsets == 2) {
        rc = make_index(p, &index->second, true);
    }
    if (rc == 0) {
        index->rows = (int)p->grid.rows;
        index->columns = (int)p->grid.columns;
        index->column_offsets = p->grid.column_offsets;
    }
    return rc;
}

/* out (squares of the page * reading_seen, channels) of unfolded squares: of two offsets the mean.
 */
static int arrange(const struct reading_pass *p, const struct tensor *unfolded,
                   struct tensor *out) {
    int64_t rows = p->rows * p->steps * reading_seen(p->c), channels = p->c->channels;
    struct tensor second;
    int rc = find_index(p);
    if (rc == 0) {
        rc = reader_matrix_of(p->s, BUFFER_SEEN, rows, channels, out, p->e);
    }
    if (rc == 0) {
        rc = p->ops->gather(p->device, out, unfolded, &p->s->index.first, p->e);
    }
    if (rc < 0 || p->grid.column_offsets != 2) {
        return rc;
    }
    rc = reader_matrix_of(p->s, BUFFER_SECOND, rows, channels, &second, p->e);
    if (rc == 0) {
        rc = p->ops->gather(p->device, &second, unfolded, &p->s->index.second, p->e);
    }
    if (rc == 0) {
        rc = p->ops->combine(p->device, out, 0.5f, out, 0.5f, &second, p->e);
    }
    return rc;
}

/* ---- Where there are characters ------------------------------------------------------------ */

static int add_character(struct reader_session *s, int64_t row, int64_t column, float presence,
                         struct error *e) {
    struct reading_character *list =
        array_grow(s->characters, &s->capacity, s->count + 1, sizeof *list, e);
    if (list == NULL) {
        return ERR_MEMORY;
    }
    s->characters = list;
    list[s->count++] = (struct reading_character){
        .row = (int16_t)row, .column = (int16_t)column, .confidence = presence};
    return 0;
}

static int find_characters(struct reading_pass *p, float *presence) {
    const int64_t width = p->steps * READING_COLUMNS;
    int rc = 0;
    p->s->count = 0;
    for (int64_t row = 0; row < p->rows; row++) {
        float *pairs = presence + row * width * 2;
        reading_columns(pairs, width, p->grid.stretch * READING_COLUMNS);
        for (int64_t i = 0; i < width && rc == 0; i++) {
            rc = pairs[i] < 0 ? add_character(p->s, row, i, -pairs[i], p->e) : 0;
        }
    }
    return rc;
}

/* ---- Which --------------------------------------------------------------------------------- */

/* Classes and their probabilities of some characters, whose features are rows of `wide` (cells *
 * columns, embedding). */
static int classify_chunk(struct reading_pass *p, const struct tensor *wide,
                          const struct tensor *places, const struct tensor *values,
                          const struct tensor *classes) {
    const int64_t count = tensor_width(places);
    struct tensor rows, logits;
    int rc = reader_matrix_of(p->s, BUFFER_CELLS, count, p->c->embedding, &rows, p->e);
    if (rc == 0) {
        rc = reader_matrix_of(p->s, BUFFER_LOGITS, count, p->c->classes, &logits, p->e);
    }
    if (rc == 0) {
        rc = p->ops->gather(p->device, &rows, wide, places, p->e);
    }
    if (rc == 0) {
        rc = reader_linear(p->s, &logits, &rows, READER_CLASS, ACTIVATION_NONE, p->e);
    }
    if (rc == 0) {
        rc = p->ops->softmax(p->device, &logits, &logits, p->e);
    }
    if (rc == 0) {
        rc = p->ops->top_k(p->device, values, classes, &logits, p->e);
    }
    return rc;
}

/* Where the characters' features are; filled up to whole chunks with none. */
static int send_places(struct reading_pass *p, int64_t padded, struct tensor *out) {
    int rc = buffer_reserve(&p->s->host, (size_t)padded, sizeof(int32_t), p->e);
    if (rc < 0) {
        return rc;
    }
    int32_t *places = p->s->host.data;
    for (int64_t i = 0; i < padded; i++) {
        places[i] = -1;
    }
    for (size_t i = 0; i < p->s->count; i++) {
        const struct reading_character *c = &p->s->characters[i];
        places[i] = (int32_t)(c->row * p->steps * READING_COLUMNS + c->column);
    }
    return reader_send_index(p->s, places, padded, out, p->e);
}

/* The best of each character comes back: its class and how likely that is. */
static int receive_classes(struct reading_pass *p, const struct tensor *values,
                           const struct tensor *classes) {
    int64_t count = (int64_t)p->s->count;
    int rc = buffer_reserve(&p->s->host, (size_t)count, sizeof(float) + sizeof(int32_t), p->e);
    if (rc < 0) {
        return rc;
    }
    float *likely = p->s->host.data;
    int32_t *which = (void *)(likely + count);
    struct tensor to_values = tensor_matrix(likely, DTYPE_F32, NULL, count, 1);
    struct tensor to_classes = tensor_matrix(which, DTYPE_I32, NULL, count, 1);
    struct tensor from_values = tensor_row_range(values, 0, count);
    struct tensor from_classes = tensor_row_range(classes, 0, count);
    rc = p->ops->download(p->device, &to_values, &from_values, p->e);
    if (rc == 0) {
        rc = p->ops->download(p->device, &to_classes, &from_classes, p->e);
    }
    for (int64_t i = 0; i < count && rc == 0; i++) {
        p->s->characters[i].class_index = which[i];
        p->s->characters[i].confidence *= likely[i];
    }
    return rc;
}

static int name_characters(struct reading_pass *p, const struct tensor *wide) {
    const int64_t padded = ((int64_t)p->s->count + READER_CHUNK - 1) / READER_CHUNK * READER_CHUNK;
    const int64_t most = p->device->backend->host_memory ? READER_CHUNK : READER_MOST_CHUNK;
    struct tensor places, best;
    if (padded == 0) {
        return 0;
    }
    int rc = send_places(p, padded, &places);
    if (rc == 0) {
        rc = reader_matrix_of(p->s, BUFFER_BEST, 2 * padded, 1, &best, p->e);
    }
    if (rc < 0) {
        return rc;
    }
    struct tensor values = tensor_row_range(&best, 0, padded);
    struct tensor classes = tensor_row_range(&best, padded, padded);
    classes.type = DTYPE_I32; /* as wide as the F32 that there is room for */
    for (int64_t first = 0; first < padded && rc == 0; first += most) {
        const int64_t count = padded - first < most ? padded - first : most;
        struct tensor some_values = tensor_row_range(&values, first, count);
        struct tensor some_classes = tensor_row_range(&classes, first, count);
        struct tensor some_places = tensor_column_range(&places, first, count);
        rc = classify_chunk(p, wide, &some_places, &some_values, &some_classes);
    }
    return rc == 0 ? receive_classes(p, &values, &classes) : rc;
}

/* ---- A page -------------------------------------------------------------------------------- */

/* x (tokens, dim) as the trunk leaves it, or as it is. */
static int run_trunk(struct reading_pass *p, struct tensor *x) {
    const struct reader *r = p->s->reader;
    struct tensor levelled;
    if (p->c->trunk == 0) {
        return 0;
    }
    int64_t level = p->halvings < p->c->nested ? p->halvings : p->c->nested;
    struct tensor row = tensor_row_range(&r->level, level, 1);
    int rc = reader_matrix_of(p->s, BUFFER_LEVELLED, tensor_rows(x), r->dim, &levelled, p->e);
    if (rc == 0) {
        rc = p->ops->add(p->device, &levelled, x, &row, p->e);
    }
    if (rc == 0) {
        rc = p->ops->mlp(p->device, x, &levelled, r->matrices[READER_TRUNK_0], ACTIVATION_GELU,
                         r->matrices[READER_TRUNK_1], &levelled, p->e);
    }
    return rc;
}

/* tokens of the host -> hidden (squares of the page, hidden). */
static int run_hidden(struct reading_pass *p, const float *tokens, struct tensor *hidden) {
    const struct reading_config *c = p->c;
    int64_t all = p->grid.rows * p->grid.columns, cells = READING_ROWS * READING_STEPS;
    union {
        const float *read;
        void *data;
    } input = {.read = tokens}; /* a tensor's data is not const; upload reads it */
    struct tensor host = tensor_matrix(input.data, DTYPE_F32, NULL, all, p->s->reader->dim);
    struct tensor from, unfolded, seen;
    int rc = reader_matrix_of(p->s, BUFFER_TOKENS, all, p->s->reader->dim, &from, p->e);
    if (rc == 0) {
        rc = reader_matrix_of(p->s, BUFFER_CELLS, all, cells * c->channels, &unfolded, p->e);
    }
    if (rc == 0) {
        rc = p->ops->upload(p->device, &from, &host, p->e);
    }
    if (rc == 0) {
        rc = run_trunk(p, &from);
    }
    if (rc == 0) {
        rc = reader_linear(p->s, &unfolded, &from, READER_UNFOLD, ACTIVATION_NONE, p->e);
    }
    if (rc == 0) {
        unfolded = tensor_reshape(&unfolded, TENSOR_SHAPE(1, 1, all * cells, c->channels));
        rc = arrange(p, &unfolded, &seen);
    }
    if (rc == 0) {
        seen = tensor_reshape(
            &seen, TENSOR_SHAPE(1, 1, p->rows * p->steps, reading_seen(c) * c->channels));
        rc = reader_matrix_of(p->s, BUFFER_HIDDEN, p->rows * p->steps, c->hidden, hidden, p->e);
    }
    if (rc == 0) {
        rc = reader_linear(p->s, hidden, &seen, READER_MIX, ACTIVATION_GELU, p->e);
    }
    return rc;
}

static int run_presence(struct reading_pass *p, const struct tensor *hidden) {
    int64_t cells = p->rows * p->steps;
    struct tensor presence;
    int rc = reader_matrix_of(p->s, BUFFER_PRESENCE, cells, 2 * READING_COLUMNS, &presence, p->e);
    if (rc == 0) {
        rc = reader_linear(p->s, &presence, hidden, READER_PRESENCE, ACTIVATION_NONE, p->e);
    }
    if (rc == 0) {
        rc = buffer_reserve(&p->s->host, (size_t)tensor_count(&presence), sizeof(float), p->e);
    }
    if (rc == 0) {
        struct tensor host =
            tensor_matrix(p->s->host.data, DTYPE_F32, NULL, cells, 2 * READING_COLUMNS);
        rc = p->ops->download(p->device, &host, &presence, p->e);
    }
    return rc == 0 ? find_characters(p, p->s->host.data) : rc;
}

static int run_classes(struct reading_pass *p, const struct tensor *hidden) {
    int64_t cells = p->rows * p->steps;
    struct tensor wide;
    int rc =
        reader_matrix_of(p->s, BUFFER_WIDE, cells, READING_COLUMNS * p->c->embedding, &wide, p->e);
    if (rc == 0) {
        rc = reader_linear(p->s, &wide, hidden, READER_CHARACTER, ACTIVATION_NONE, p->e);
    }
    if (rc == 0) {
        wide = tensor_reshape(&wide, TENSOR_SHAPE(1, 1, cells * READING_COLUMNS, p->c->embedding));
        rc = name_characters(p, &wide);
    }
    return rc;
}

int reader_run(struct reader_session *s, const float *tokens, const struct reading_page *page,
               const struct reading_character **characters, size_t *count, struct error *e) {
    struct reading_pass p = {.s = s,
                             .c = &s->reader->config,
                             .device = s->device,
                             .ops = s->device->ops,
                             .grid = {.rows = page->rows,
                                      .columns = page->columns,
                                      .down = READING_ROWS,
                                      .across = READING_STEPS,
                                      .column_offsets = page->column_offsets},
                             .rows = (int64_t)page->rows * READING_ROWS,
                             .steps = (int64_t)page->columns / page->column_offsets * READING_STEPS,
                             .halvings = page->halvings,
                             .e = e};
    p.grid.stretch = reading_stretch(p.c, page->column_offsets, p.steps);
    struct tensor hidden;
    int rc = run_hidden(&p, tokens, &hidden);
    if (rc == 0) {
        rc = run_presence(&p, &hidden);
    }
    if (rc == 0) {
        rc = run_classes(&p, &hidden);
    }
    *characters = s->characters;
    *count = rc == 0 ? s->count : 0;
    return rc;
}
