/* splice.c - rows of several nodes, run after run; and rows that are added up. */
#include <assert.h>
#include <string.h>

#include "train/tape/state.h"

/* ---- Runs ------------------------------------------------------------------------------------ */

struct splice_record {
    struct record record;
    struct node **sources;
    struct tape_splice_run *runs;
    int64_t count;
};

static void splice_backward(struct tape *t, struct record *record, const struct tensor *dy) {
    const struct splice_record *r = (const struct splice_record *)record;
    int64_t at = 0;
    for (int64_t i = 0; i < r->count && t->rc == 0; i++) {
        const struct tape_splice_run *run = &r->runs[i];
        const struct tensor *dx = tape_gradient(t, r->sources[run->source]);
        if (dx != NULL) {
            const struct tensor to = tensor_row_range(dx, run->first, run->count);
            const struct tensor from = tensor_row_range(dy, at, run->count);
            CALL(t, accumulate, &to, &from);
        }
        at += run->count;
    }
}

/* Of what the runs name: the rows of all, and their width. False: something is not there. */
static bool measure(const struct tape *t, struct node *const *sources,
                    const struct tape_splice_run *runs, int64_t count, int64_t *rows,
                    int64_t *width) {
    *rows = *width = 0;
    for (int64_t i = 0; i < count; i++) {
        const struct node *source = sources[runs[i].source];
        if (!tape_ready(t, source)) {
            return false;
        }
        assert(*width == 0 || *width == tensor_width(&source->value));
        *width = tensor_width(&source->value);
        *rows += runs[i].count;
    }
    return count > 0;
}

static void fill_runs(struct tape *t, struct node *y, struct node *const *sources,
                      const struct tape_splice_run *runs, int64_t count) {
    int64_t at = 0;
    for (int64_t i = 0; i < count; i++) {
        const struct tensor to = tensor_row_range(&y->value, at, runs[i].count);
        const struct tensor from =
            tensor_row_range(&sources[runs[i].source]->value, runs[i].first, runs[i].count);
        CALL(t, copy, &to, &from);
        at += runs[i].count;
    }
}

struct node *tape_splice(struct tape *t, struct node *const *sources, int source_count,
                         const struct tape_splice_run *runs, int64_t count) {
    struct node *inputs[RECORD_INPUTS] = {NULL};
    int64_t rows, width;
    if (!measure(t, sources, runs, count, &rows, &width)) {
        return NULL;
    }
    for (int i = 0; i < source_count && i < TAPE_SOURCES; i++) {
        inputs[i] = sources[i];
    }
    struct node *y = tape_rows(t, t->options.storage, rows, width, inputs);
    if (y == NULL) {
        return NULL;
    }
    for (int i = TAPE_SOURCES; i < source_count; i++) {
        assert(sources[i] == NULL || tape_root(sources[i])->use == NULL);
        y->needs_gradient |= sources[i] != NULL && sources[i]->needs_gradient;
    }
    fill_runs(t, y, sources, runs, count);
    struct splice_record *r = tape_record(t, sizeof *r, splice_backward, y, inputs);
    if (r != NULL) {
        r->sources = tape_host(t, (size_t)source_count, sizeof(struct node *));
        r->runs = tape_host(t, (size_t)count, sizeof *r->runs);
    }
    if (r != NULL && t->rc == 0) {
        memcpy(r->sources, sources, (size_t)source_count * sizeof(struct node *));
        memcpy(r->runs, runs, (size_t)count * sizeof *r->runs);
        r->count = count;
    }
    return tape_done(t, y);
}

/* ---- Sums ------------------------------------------------------------------------------------ */

struct scatter_record {
    struct record record;
    struct tensor index;
};

static void scatter_backward(struct tape *t, struct record *record, const struct tensor *dy) {
    const struct scatter_record *r = (const struct scatter_record *)record;
    struct node *x = record->x[0];
    struct tensor rows = tape_scratch(t, DTYPE_F32, x->value.shape);
    CALL(t, gather, &rows, dy, &r->index);
    tape_hand_over(t, x, &rows);
}

struct node *tape_scatter(struct tape *t, struct node *x, const struct tensor *index,
                          int64_t rows) {
    struct node *y = tape_ready(t, x) && index->data != NULL
                         ? tape_rows(t, DTYPE_F32, rows, tensor_width(&x->value), INPUTS(x))
                         : NULL;
    if (y == NULL) {
        return NULL;
    }
    assert(tensor_count(index) == tensor_rows(&x->value));
    CALL(t, fill, &y->value, 0);
    CALL(t, scatter_add, &y->value, &x->value, index);
    struct scatter_record *r = tape_record(t, sizeof *r, scatter_backward, y, INPUTS(x));
    if (r != NULL) {
        r->index = *index;
    }
    return tape_done(t, y);
}
