/* head.c - see head.h. */
#include "train/read/head.h"

#include <assert.h>
#include <string.h>

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
    const struct tensor own_index = tape_upload_numbers(t, first, h->cells);
    struct node *own = tape_gather(t, cells, &own_index);
    if (h->grid->column_offsets != 2) {
        return own;
    }
    const struct tensor other_index = tape_upload_numbers(t, second, h->cells);
    return tape_combine(t, 0.5f, own, 0.5f, tape_gather(t, cells, &other_index));
}

/* Of (squares side by side that see each other, neighbours on each side): those that each sees. */
static void fill_neighbours(int32_t *out, int64_t count, const int64_t *shape) {
    const int64_t seen = 2 * shape[1] + 1;
    for (int64_t i = 0; i < count; i++) {
        const int64_t cell = i / seen, side = i % seen - shape[1];
        const int64_t step = cell % shape[0] + side;
        out[i] = step >= 0 && step < shape[0] ? (int32_t)(cell + side) : -1;
    }
}

/* Each square with its neighbours in the row, from left to right: (squares, seen * channels). */
static struct node *neighbourhood(const struct head *h, struct node *own) {
    if (own == NULL) {
        return NULL;
    }
    const struct reading_config *c = h->config;
    const int64_t cells = tensor_rows(&own->value), channels = tensor_width(&own->value);
    const struct tensor index = tape_table(h->t, fill_neighbours, cells * reading_seen(c),
                                           TAPE_TABLE(h->grid->stretch, c->reach));
    return tape_matrix(h->t, tape_gather(h->t, own, &index), cells, reading_seen(c) * channels);
}

static struct node *linear(const struct head *h, struct node *x, const char *name) {
    return tape_named_linear(h->parameters, h->t, x, h->prefix, name);
}

/* Losses of one part of the columns, from `first` on; characters NULL: none anywhere. */
static void part_loss(const struct head *h, const struct read_targets *targets, int64_t first,
                      struct node *presence, struct node *characters, const struct tensor *losses) {
    struct tape *t = h->t;
    const int64_t columns = targets->count * targets->steps * READING_COLUMNS;
    if (columns == 0) {
        return;
    }
    const struct tensor there = tape_upload_numbers(t, targets->presence, columns);
    const struct tensor presence_loss = tensor_column_range(losses, READ_PRESENCE, 1);
    tape_cross_entropy(t, tape_row_range(t, presence, first, columns), &there, targets->scale,
                       &presence_loss);
    if (targets->characters == 0) {
        return;
    }
    const struct tensor places = tape_upload_numbers(t, targets->places, targets->characters);
    const struct tensor classes = tape_upload_numbers(t, targets->classes, targets->characters);
    const struct tensor character_loss = tensor_column_range(losses, READ_CHARACTER, 1);
    tape_classify(t, tape_gather(t, tape_row_range(t, characters, first, columns), &places),
                  tape_named(h->parameters, t, "%sclass.weight", h->prefix),
                  tape_named(h->parameters, t, "%sclass.bias", h->prefix), &classes, targets->scale,
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
                    const struct tensor *losses, int64_t count) {
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
    struct node *hidden = neighbourhood(&h, pick(&h, unfolded));
    hidden = tape_gelu(t, linear(&h, hidden, "mix"));
    const int64_t columns = h.cells * READING_COLUMNS;
    struct node *presence = tape_matrix(t, linear(&h, hidden, "presence"), columns, 2);
    struct node *characters = NULL;
    if (any_characters(targets, count)) {
        characters = tape_matrix(t, linear(&h, hidden, "character"), columns, config->embedding);
    }
    int64_t first = 0;
    for (int64_t i = 0; i < count; i++) {
        part_loss(&h, &targets[i], first, presence, characters, &losses[i]);
        first += targets[i].count * h.steps * READING_COLUMNS;
    }
}

/* ---- Halved tokens --------------------------------------------------------------------------- */

/* 1 for the numbers that are left, else 0: (rows, dim). */
static struct node *kept_numbers(struct tape *t, const struct node *x, const int *halvings,
                                 int64_t count) {
    const int64_t rows = tensor_rows(&x->value), dim = tensor_width(&x->value);
    const struct tensor like = tensor_matrix(NULL, DTYPE_F32, NULL, rows, dim);
    const struct tensor mask = tape_space(t, &like);
    struct device *d = tape_device(t);
    struct error e;
    if (mask.data == NULL) {
        return NULL;
    }
    int rc = d->ops->fill(d, &mask, 0, &e);
    for (int64_t i = 0; i < count && rc == 0; i++) {
        const struct tensor page = tensor_row_range(&mask, i * (rows / count), rows / count);
        const struct tensor kept = tensor_column_range(&page, 0, dim >> halvings[i]);
        rc = d->ops->fill(d, &kept, 1, &e);
    }
    tape_fail(t, rc, &e);
    return rc == 0 ? tape_input(t, &mask, NULL) : NULL;
}

/* The row of the table of levels that belongs to each token. */
static struct node *levels(const struct tape_source *parameters, struct tape *t, const char *prefix,
                           int64_t rows, const int *halvings, int64_t count) {
    int32_t *index = tape_host(t, (size_t)rows, sizeof *index);
    for (int64_t i = 0; i < rows && index != NULL; i++) {
        index[i] = halvings[i / (rows / count)];
    }
    if (index == NULL) {
        return NULL;
    }
    const struct tensor places = tape_upload_numbers(t, index, rows);
    return tape_gather(t, tape_named(parameters, t, "%slevel.weight", prefix), &places);
}

struct node *read_trunk_tape(const struct reading_config *config,
                             const struct tape_source *parameters, struct tape *t,
                             const char *prefix, struct node *x, const int *halvings,
                             int64_t count) {
    if (x == NULL || config->trunk == 0) {
        return x;
    }
    bool whole = true;
    for (int64_t i = 0; i < count; i++) {
        whole = whole && halvings[i] == 0;
    }
    const int64_t rows = tensor_rows(&x->value);
    x = whole ? x : tape_multiply(t, x, kept_numbers(t, x, halvings, count));
    x = tape_add(t, x, levels(parameters, t, prefix, rows, halvings, count));
    struct node *y = tape_gelu(t, tape_named_linear(parameters, t, x, prefix, "trunk.0"));
    return tape_add(t, x, tape_named_linear(parameters, t, y, prefix, "trunk.1"));
}
