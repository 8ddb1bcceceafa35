/* block.c - stacks of blocks, of which only inputs may be kept: the rest is computed again. */
#include <string.h>

#include "train/tape/state.h"

/* Blocks [first, end) of a stack. */
struct block_run {
    tape_forward *forward;
    const void *context;
    int64_t first, end;
    bool each; /* each block keeps its input alone */
};

struct run_record {
    struct record record;
    struct block_run run;
    struct node *x;
};

static struct node *run_again_later(struct tape *t, struct node *x, const struct block_run *run);

static struct node *compute(struct tape *t, struct node *x, const struct block_run *run) {
    for (int64_t i = run->first; i < run->end && x != NULL; i++) {
        const struct block_run one = {run->forward, run->context, i, i + 1, false};
        x = run->each ? run_again_later(t, x, &one) : run->forward(t, x, i, run->context);
    }
    return x;
}

/* Computes again what was kept nothing of, now recorded, and goes back over it. */
static void run_backward(struct tape *t, struct record *record, const struct tensor *dy) {
    const struct run_record *r = (const struct run_record *)record;
    struct record *earlier = t->last;
    const size_t mark = t->kept_count;
    const bool repeating = t->repeating;
    (void)dy;
    t->last = NULL;
    t->repeating = true;
    struct node *y = compute(t, r->x, &r->run);
    struct record *last = t->last;
    t->last = earlier;
    if (y != NULL) {
        tape_pass_on(t, tape_root(y), record->y);
        tape_gradient_end(t, record->y); /* what holds it alone may end sooner */
        tape_go_back(t, last);
    }
    t->repeating = repeating;
    tape_forget(t, mark, NULL);
}

static struct node *run_again_later(struct tape *t, struct node *x, const struct block_run *run) {
    const size_t mark = t->kept_count;
    const bool discarding = t->discarding;
    t->discarding = true;
    struct node *y = compute(t, x, run);
    t->discarding = discarding;
    tape_forget(t, mark, y);
    struct run_record *r =
        y != NULL ? tape_record(t, sizeof *r, run_backward, tape_root(y), INPUTS(NULL)) : NULL;
    if (r != NULL) {
        r->run = *run;
        r->x = x;
    }
    return tape_done(t, y);
}

/* The least number whose square is not less. */
static int64_t root_of(int64_t count) {
    int64_t root = 1;
    while (root * root < count) {
        root++;
    }
    return root;
}

struct node *tape_blocks(struct tape *t, struct node *x, int64_t count, tape_forward *forward,
                         const void *context, size_t size) {
    void *copy = tape_ready(t, x) ? tape_host(t, 1, size) : NULL;
    if (copy == NULL) {
        return NULL;
    }
    memcpy(copy, context, size);
    const enum tape_recompute mode = t->options.recompute;
    const int64_t step = mode == RECOMPUTE_ALL ? root_of(count) : 1;
    const size_t start = t->kept_count;
    for (int64_t i = 0; i < count && x != NULL; i += step) {
        const int64_t end = i + step < count ? i + step : count;
        const struct block_run run = {forward, copy, i, end, mode == RECOMPUTE_ALL};
        x = mode != RECOMPUTE_NONE ? run_again_later(t, x, &run) : compute(t, x, &run);
        if (x != NULL && !x->needs_gradient) { /* below the lowest block that learns */
            tape_forget(t, start, x);
        }
    }
    return tape_done(t, x);
}

/* ---- The end of a block, some rows at a time ------------------------------------------------- */

enum { TAIL_ROWS = 256 /* of a thread, at a time: enough that products run at their rate */ };

struct tail {
    tape_forward *forward;
    const void *context;
    int64_t i;
};

struct tail_record {
    struct record record;
    struct tail tail;
};

/* Rows [first, first + count) of x go forward. */
static struct node *tail_rows(struct tape *t, struct node *x, const struct tail *tail,
                              int64_t first, int64_t count) {
    t->first_row = first;
    struct node *y = tail->forward(t, tape_row_range(t, x, first, count), tail->i, tail->context);
    t->first_row = 0;
    return y;
}

static int64_t tail_rows_at_once(const struct tape *t) {
    return TAIL_ROWS * t->batch;
}

static int64_t tail_count(const struct tape *t, const struct node *x, int64_t first) {
    const int64_t rest = tensor_rows(&x->value) - first, most = tail_rows_at_once(t);
    return rest < most ? rest : most;
}

/* Forward, of which nothing is kept but the result: once also without rows, for its shape. */
static struct node *tail_discarding(struct tape *t, struct node *x, const struct tail *tail) {
    const int64_t rows = tensor_rows(&x->value), step = tail_rows_at_once(t);
    struct node *y = NULL;
    for (int64_t first = 0; (first == 0 || first < rows) && t->rc == 0; first += step) {
        const int64_t count = tail_count(t, x, first);
        const size_t mark = t->kept_count;
        struct node *part = tail_rows(t, x, tail, first, count);
        if (y == NULL && part != NULL) {
            y = tape_node(t, part->value.type, x->value.shape, INPUTS(part));
        }
        if (tape_ready(t, y)) {
            const struct tensor to = tensor_row_range(&y->value, first, count);
            const struct tensor from = tensor_as_matrix(&part->value);
            CALL(t, copy, &to, &from);
        }
        tape_forget(t, mark, y);
    }
    return tape_done(t, y);
}

static void tail_backward(struct tape *t, struct record *record, const struct tensor *dy) {
    const struct tail *tail = &((const struct tail_record *)record)->tail;
    struct node *x = record->x[0];
    const int64_t rows = tensor_rows(&x->value), step = tail_rows_at_once(t);
    for (int64_t first = 0; (first == 0 || first < rows) && t->rc == 0; first += step) {
        const int64_t count = tail_count(t, x, first);
        const struct tensor part = tensor_row_range(dy, first, count);
        struct record *earlier = t->last;
        const size_t mark = t->kept_count;
        t->last = NULL;
        struct node *y = tail_rows(t, x, tail, first, count);
        struct record *last = t->last;
        t->last = earlier;
        if (y != NULL && y->needs_gradient) {
            tape_begin_with(t, y, &part);
            tape_go_back(t, last);
        }
        tape_forget(t, mark, NULL);
    }
}

struct node *tape_tail(struct tape *t, struct node *x, tape_forward *forward, int64_t i,
                       const void *context) {
    const struct tail tail = {forward, context, i};
    if (!tape_ready(t, x)) {
        return NULL;
    }
    if (t->discarding) {
        return tail_discarding(t, x, &tail);
    }
    if (!t->repeating) {
        return forward(t, x, i, context);
    }
    struct node *y = tape_empty(t); /* nobody reads its value again */
    if (y == NULL) {
        return NULL;
    }
    y->value = tensor_of(NULL, x->value.type, NULL, x->value.shape);
    y->needs_gradient = true;
    struct tail_record *r = tape_record(t, sizeof *r, tail_backward, y, INPUTS(x));
    if (r != NULL) {
        r->tail = tail;
    }
    return tape_done(t, y);
}
