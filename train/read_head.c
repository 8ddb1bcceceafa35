/* read_head.c - see read_head.h. */
#include "train/read_head.h"

#include <assert.h>

#define PARAMETER(n, t, ...) parameters_tensor((n)->parameters, t, (n)->gradients, __VA_ARGS__)

static struct tensor *linear(const struct read_taping *n, struct tape *t, struct tensor *x,
                             const char *prefix, const char *name) {
    struct tensor *weight = PARAMETER(n, t, "%s%s.weight", prefix, name);
    return tape_linear(t, x, weight, PARAMETER(n, t, "%s%s.bias", prefix, name));
}

/* The cells of the rows that `asked` names, in the order of the page: (cells, channels). */
static struct tensor *pick(struct tape *t, struct tensor *cells, const struct reading_grid *g,
                           const struct read_rows *asked) {
    int64_t count = asked->count * asked->steps;
    int64_t page = g->rows * g->columns * g->down * g->across;
    int32_t *first = tape_alloc(t, (size_t)count, sizeof *first);
    int32_t *second = tape_alloc(t, (size_t)count, sizeof *second);
    if (second == NULL) {
        return NULL;
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t row = asked->rows[i / asked->steps];
        if (row < 0) {
            first[i] = second[i] = -1;
            continue;
        }
        reading_place(g, row % asked->page_rows, i % asked->steps, &first[i], &second[i]);
        first[i] += (int32_t)(row / asked->page_rows * page);
        second[i] += (int32_t)(row / asked->page_rows * page);
    }
    struct tensor *own = tape_gather(t, cells, first, count);
    return g->phases == 2 ? tape_mean(t, own, tape_gather(t, cells, second, count)) : own;
}

/* Each cell with its neighbours in the row, from left to right: (cells, READING_SEEN * channels).
 */
static struct tensor *neighbourhood(struct tape *t, struct tensor *own, int64_t steps) {
    struct tensor *all = NULL;
    for (int side = -READING_REACH; side <= READING_REACH && own != NULL; side++) {
        int32_t *index = tape_alloc(t, (size_t)own->rows, sizeof *index);
        for (int64_t i = 0; i < own->rows && index != NULL; i++) {
            bool inside = i % steps + side >= 0 && i % steps + side < steps;
            index[i] = inside ? (int32_t)(i + side) : -1;
        }
        struct tensor *seen = index != NULL ? tape_gather(t, own, index, own->rows) : NULL;
        all = all == NULL ? seen : tape_beside(t, all, seen);
    }
    return all;
}

void read_head_tape(const struct read_taping *n, struct tape *t, const char *prefix,
                    struct tensor *x, const struct reading_grid *grid,
                    const struct read_rows *asked, float scale, struct read_loss *loss) {
    const struct reading_config *c = n->config;
    int64_t cells = asked->count * asked->steps;
    struct tensor *unfolded = linear(n, t, x, prefix, "unfold");
    if (unfolded == NULL || cells == 0) {
        return;
    }
    unfolded = tape_shape(t, unfolded, x->rows * grid->down * grid->across, c->channels);
    struct tensor *hidden = neighbourhood(t, pick(t, unfolded, grid, asked), asked->steps);
    hidden = tape_gelu(t, linear(n, t, hidden, prefix, "mix"));
    struct tensor *presence = linear(n, t, hidden, prefix, "presence");
    presence = tape_shape(t, presence, cells * READING_COLUMNS, 2);
    loss->presence += tape_cross_entropy(t, presence, asked->presence, scale);
    if (asked->characters == 0) {
        return;
    }
    struct tensor *characters = linear(n, t, hidden, prefix, "character");
    characters = tape_shape(t, characters, cells * READING_COLUMNS, c->embedding);
    characters = tape_gather(t, characters, asked->places, asked->characters);
    struct tensor *weight = PARAMETER(n, t, "%sclass.weight", prefix);
    loss->character += tape_classify(t, characters, weight, PARAMETER(n, t, "%sclass.bias", prefix),
                                     asked->classes, scale);
    loss->characters += asked->characters;
}

/* ---- Merging ------------------------------------------------------------------------------- */

/* Rows two by two: token (2r + i, c) of the page stands at (r, c, i); `back`: the other way round.
 */
static struct tensor *pair_rows(struct tape *t, struct tensor *x, int64_t rows, int64_t columns,
                                bool back) {
    int32_t *index = x != NULL ? tape_alloc(t, (size_t)x->rows, sizeof *index) : NULL;
    for (int64_t i = 0; index != NULL && i < x->rows; i++) {
        int64_t page = i / (rows * columns) * rows * columns, r = i / columns % rows;
        int64_t paired = page + (r / 2 * columns + i % columns) * 2 + r % 2;
        index[back ? i : paired] = (int32_t)(back ? paired : i);
    }
    return index != NULL ? tape_gather(t, x, index, x->rows) : NULL;
}

struct tensor *merge_tape(const struct read_taping *n, struct tape *t, struct tensor *x,
                          int64_t *rows, int64_t *columns, bool by_rows) {
    assert(by_rows ? *rows % 2 == 0 : *columns % 2 == 0);
    if (by_rows) {
        x = pair_rows(t, x, *rows, *columns, false);
    }
    if (x == NULL) {
        return NULL;
    }
    *rows /= by_rows ? 2 : 1;
    *columns /= by_rows ? 1 : 2;
    x = tape_shape(t, x, x->rows / 2, 2 * x->width);
    return linear(n, t, x, "merge.", by_rows ? "rows" : "columns");
}

struct tensor *unmerge_tape(const struct read_taping *n, struct tape *t, struct tensor *x,
                            int64_t *rows, int64_t *columns, bool by_rows) {
    x = linear(n, t, x, "unmerge.", by_rows ? "rows" : "columns");
    if (x == NULL) {
        return NULL;
    }
    *rows *= by_rows ? 2 : 1;
    *columns *= by_rows ? 1 : 2;
    x = tape_shape(t, x, 2 * x->rows, x->width / 2);
    return by_rows ? pair_rows(t, x, *rows, *columns, true) : x;
}
