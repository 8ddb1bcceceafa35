/* head.c - see head.h. */
#include "train/read/head.h"

#include <assert.h>
#include <string.h>

static struct tensor upload(struct tape *t, int32_t *numbers, int64_t count) {
    const struct tensor host = tensor_vector(numbers, DTYPE_I32, NULL, count);
    return tape_upload(t, &host);
}

/* A head and its targets. */
struct head {
    const struct reading_config *config;
    const struct tape_source *parameters;
    struct tape *t;
    const char *prefix;
    const struct reading_grid *grid;
    const struct read_targets *targets;
    int64_t count, steps;
    int64_t cells; /* of all rows, and some more, so that products have few shapes */
};

static int64_t cells_of(const struct read_targets *targets, int64_t count) {
    enum { ROW_UNIT = 8 };
    int64_t rows = 0, unit = ROW_UNIT * count;
    for (int64_t i = 0; i < count; i++) {
        rows += targets[i].count;
    }
    return count > 0 ? (rows + unit - 1) / unit * unit * targets[0].steps : 0;
}

/* Where the cells of rows stand among those of all pages; -1: nowhere. */
static void find_places(const struct head *h, const struct read_targets *targets, int32_t *first,
                        int32_t *second) {
    const struct reading_grid *g = h->grid;
    const int64_t page = g->rows * g->columns * g->down * g->across;
    for (int64_t i = 0; i < targets->count * targets->steps; i++) {
        const int64_t row = targets->rows[i / targets->steps];
        if (row < 0) {
            continue;
        }
        reading_place(g, row % targets->page_rows, i % targets->steps, &first[i], &second[i]);
        first[i] += (int32_t)(row / targets->page_rows * page);
        second[i] += (int32_t)(row / targets->page_rows * page);
    }
}

/* The cells of the targets' rows, in the order of the page: (cells, channels). */
static struct node *pick(const struct head *h, struct node *cells) {
    struct tape *t = h->t;
    int32_t *first = tape_host(t, (size_t)h->cells, sizeof *first);
    int32_t *second = tape_host(t, (size_t)h->cells, sizeof *second);
    if (second == NULL) {
        return NULL;
    }
    memset(first, 0xFF, (size_t)h->cells * sizeof *first); /* -1 */
    memset(second, 0xFF, (size_t)h->cells * sizeof *second);
    int64_t at = 0;
    for (int64_t i = 0; i < h->count; i++) {
        find_places(h, &h->targets[i], first + at, second + at);
        at += h->targets[i].count * h->steps;
    }
    const struct tensor own_index = upload(t, first, h->cells);
    struct node *own = tape_gather(t, cells, &own_index);
    if (h->grid->column_offsets != 2) {
        return own;
    }
    const struct tensor other_index = upload(t, second, h->cells);
    return tape_combine(t, 0.5f, own, 0.5f, tape_gather(t, cells, &other_index));
}

/* Of (steps): the cells that each cell sees. */
static void fill_neighbours(int32_t *out, int64_t count, const int64_t *shape) {
    for (int64_t i = 0; i < count; i++) {
        const int64_t cell = i / READING_SEEN, side = i % READING_SEEN - READING_REACH;
        const int64_t step = cell % shape[0] + side;
        out[i] = step >= 0 && step < shape[0] ? (int32_t)(cell + side) : -1;
    }
}

/* Each cell with its neighbours in the row, from left to right: (cells,
 * READING_SEEN * channels). */
static struct node *neighbourhood(struct tape *t, struct node *own, int64_t steps) {
    if (own == NULL) {
        return NULL;
    }
    const int64_t cells = tensor_rows(&own->value), channels = tensor_width(&own->value);
    const struct tensor index =
        tape_table(t, fill_neighbours, cells * READING_SEEN, TAPE_TABLE(steps));
    return tape_matrix(t, tape_gather(t, own, &index), cells, READING_SEEN * channels);
}

static struct node *linear(const struct head *h, struct node *x, const char *name) {
    return tape_named_linear(h->parameters, h->t, x, h->prefix, name);
}

/* Losses of one part of the columns, from `first` on; characters NULL: none anywhere. */
static void part_loss(const struct head *h, const struct read_targets *targets, int64_t first,
                      struct node *presence, struct node *characters, float scale,
                      const struct tensor *losses) {
    struct tape *t = h->t;
    const int64_t columns = targets->count * targets->steps * READING_COLUMNS;
    if (columns == 0) {
        return;
    }
    const struct tensor there = upload(t, targets->presence, columns);
    const struct tensor presence_loss = tensor_column_range(losses, READ_PRESENCE, 1);
    tape_cross_entropy(t, tape_row_range(t, presence, first, columns), &there, scale,
                       &presence_loss);
    if (targets->characters == 0) {
        return;
    }
    const struct tensor places = upload(t, targets->places, targets->characters);
    const struct tensor classes = upload(t, targets->classes, targets->characters);
    const struct tensor character_loss = tensor_column_range(losses, READ_CHARACTER, 1);
    tape_classify(t, tape_gather(t, tape_row_range(t, characters, first, columns), &places),
                  tape_named(h->parameters, t, "%sclass.weight", h->prefix),
                  tape_named(h->parameters, t, "%sclass.bias", h->prefix), &classes, scale,
                  &character_loss);
}

static bool any_characters(const struct read_targets *targets, int64_t count) {
    bool any = false;
    for (int64_t i = 0; i < count; i++) {
        any = any || targets[i].characters > 0;
    }
    return any;
}

void read_head_tape(const struct reading_config *config, const struct tape_source *parameters,
                    struct tape *t, const char *prefix, struct node *x,
                    const struct reading_grid *grid, const struct read_targets *targets,
                    const struct tensor *losses, int64_t count, float scale) {
    const struct head h = {.config = config,
                           .parameters = parameters,
                           .t = t,
                           .prefix = prefix,
                           .grid = grid,
                           .targets = targets,
                           .count = count,
                           .steps = count > 0 ? targets[0].steps : 0,
                           .cells = cells_of(targets, count)};
    struct node *unfolded = linear(&h, x, "unfold");
    if (unfolded == NULL || h.cells == 0) {
        return;
    }
    unfolded = tape_matrix(t, unfolded, tensor_rows(&x->value) * grid->down * grid->across,
                           config->channels);
    struct node *hidden = neighbourhood(t, pick(&h, unfolded), h.steps);
    hidden = tape_gelu(t, linear(&h, hidden, "mix"));
    const int64_t columns = h.cells * READING_COLUMNS;
    struct node *presence = tape_matrix(t, linear(&h, hidden, "presence"), columns, 2);
    struct node *characters = NULL;
    if (any_characters(targets, count)) {
        characters = tape_matrix(t, linear(&h, hidden, "character"), columns, config->embedding);
    }
    int64_t first = 0;
    for (int64_t i = 0; i < count; i++) {
        part_loss(&h, &targets[i], first, presence, characters, scale, &losses[i]);
        first += targets[i].count * h.steps * READING_COLUMNS;
    }
}

/* ---- Merging --------------------------------------------------------------------------------- */

/* Of (rows, columns, back): rows two by two: token (2r + i, c) of the page stands at (r, c, i);
 * `back`: the other way round. */
static void fill_pairs(int32_t *out, int64_t count, const int64_t *shape) {
    const int64_t rows = shape[0], columns = shape[1];
    for (int64_t i = 0; i < count; i++) {
        const int64_t page = i / (rows * columns) * rows * columns, r = i / columns % rows;
        const int64_t paired = page + (r / 2 * columns + i % columns) * 2 + r % 2;
        out[shape[2] != 0 ? i : paired] = (int32_t)(shape[2] != 0 ? paired : i);
    }
}

static struct node *pair_rows(struct tape *t, struct node *x, int64_t rows, int64_t columns,
                              bool back) {
    if (x == NULL) {
        return NULL;
    }
    const struct tensor index =
        tape_table(t, fill_pairs, tensor_rows(&x->value), TAPE_TABLE(rows, columns, back));
    return tape_gather(t, x, &index);
}

/* Twice as many rows, half as wide, or the other way round. */
static struct node *halves(struct tape *t, struct node *x, bool join) {
    if (x == NULL) {
        return NULL;
    }
    const int64_t rows = tensor_rows(&x->value), width = tensor_width(&x->value);
    return join ? tape_matrix(t, x, rows / 2, 2 * width) : tape_matrix(t, x, 2 * rows, width / 2);
}

struct node *merge_tape(const struct tape_source *parameters, struct tape *t, struct node *x,
                        int64_t *rows, int64_t *columns, bool by_rows) {
    assert(by_rows ? *rows % 2 == 0 : *columns % 2 == 0);
    if (by_rows) {
        x = pair_rows(t, x, *rows, *columns, false);
    }
    *rows /= by_rows ? 2 : 1;
    *columns /= by_rows ? 1 : 2;
    return tape_named_linear(parameters, t, halves(t, x, true), "merge.",
                             by_rows ? "rows" : "columns");
}

struct node *unmerge_tape(const struct tape_source *parameters, struct tape *t, struct node *x,
                          int64_t *rows, int64_t *columns, bool by_rows) {
    x = tape_named_linear(parameters, t, x, "unmerge.", by_rows ? "rows" : "columns");
    *rows *= by_rows ? 2 : 1;
    *columns *= by_rows ? 1 : 2;
    x = halves(t, x, false);
    return by_rows ? pair_rows(t, x, *rows, *columns, true) : x;
}
