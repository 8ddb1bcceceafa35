/* team_split.c - see team_split.h. */
#include "compress/cpu/team_split.h"

#include <assert.h>

enum { ROW = 2, COLUMN = 3, LINE = 64 /* elements: what two threads write shares no cache line */ };

struct cut {
    const struct split *split;
    struct tensor tensors[SPLIT_TENSORS]; /* as they are cut */
    int axis;
    int64_t size, unit, pieces;
};

static int run_part(struct device *d, int64_t i, void *context, struct error *e) {
    const struct cut *c = context;
    const struct split *s = c->split;
    const struct share share = share_at(c->size, c->unit, i, c->pieces);
    struct tensor parts[SPLIT_TENSORS];
    const struct tensor *t[SPLIT_TENSORS] = {NULL};
    if (share.count == 0) {
        return 0;
    }
    for (int k = 0; k < s->count; k++) {
        t[k] = s->tensors[k];
        if (t[k] != NULL && s->as[k] != SPLIT_WHOLE && c->tensors[k].shape[c->axis] > 1) {
            parts[k] = tensor_slice(&c->tensors[k], c->axis, share.first, share.count);
            t[k] = &parts[k];
        }
    }
    return s->part(d, t, s->rest, e);
}

static const struct tensor *first_of(const struct split *s) {
    int k = 0;
    while (s->tensors[k] == NULL) {
        k++;
        assert(k < s->count);
    }
    return s->tensors[k];
}

static int run(struct device *d, struct cut *c, int axis, int64_t unit, struct error *e) {
    const struct split *s = c->split;
    const struct tensor *first = first_of(s);
    const int64_t work = s->work > 0 ? s->work : tensor_count(first);
    for (int k = 0; k < s->count; k++) {
        if (s->tensors[k] != NULL && s->tensors[k] == first) {
            c->size = c->tensors[k].shape[axis];
        }
    }
    c->axis = axis;
    c->unit = unit;
    c->pieces = cpu_pieces(d, (c->size + unit - 1) / unit, work);
    return cpu_share(d, c->pieces, run_part, c, e);
}

int split_axis(struct device *d, const struct split *s, int axis, struct error *e) {
    struct cut c = {.split = s};
    for (int k = 0; k < s->count; k++) {
        if (s->tensors[k] != NULL) {
            c.tensors[k] = *s->tensors[k];
        }
    }
    return run(d, &c, axis, axis == COLUMN ? LINE : 1, e);
}

static void as_matrices(struct cut *c) {
    const struct split *s = c->split;
    for (int k = 0; k < s->count; k++) {
        const struct tensor *t = s->tensors[k];
        if (t != NULL && s->as[k] == SPLIT_NUMBERS) {
            assert(tensor_is_dense(t));
            c->tensors[k] = tensor_matrix(t->data, t->type, t->home, tensor_count(t), 1);
        } else if (t != NULL && s->as[k] == SPLIT_PART) {
            c->tensors[k] = tensor_as_matrix(t);
        }
    }
}

int split_rows(struct device *d, const struct split *s, struct error *e) {
    struct cut c = {.split = s};
    as_matrices(&c);
    return run(d, &c, ROW, 1, e);
}

int split_columns(struct device *d, const struct split *s, struct error *e) {
    struct cut c = {.split = s};
    as_matrices(&c);
    return run(d, &c, COLUMN, LINE, e);
}

int split_elements(struct device *d, const struct split *s, struct error *e) {
    enum { MANY = 64 };
    const int64_t rows = tensor_rows(first_of(s));
    bool same = rows >= MANY;
    for (int k = 0; k < s->count && same; k++) {
        same = s->tensors[k] == NULL || tensor_rows(s->tensors[k]) == rows;
    }
    return same ? split_rows(d, s, e) : split_columns(d, s, e);
}
