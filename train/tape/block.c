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
    for (int64_t i = 0; i < count && x != NULL; i += step) {
        const int64_t end = i + step < count ? i + step : count;
        const struct block_run run = {forward, copy, i, end, mode == RECOMPUTE_ALL};
        const size_t mark = t->kept_count;
        if (mode != RECOMPUTE_NONE) {
            x = run_again_later(t, x, &run);
            continue;
        }
        x = compute(t, x, &run);
        if (x != NULL && !x->needs_gradient) {
            tape_forget(t, mark, x);
        }
    }
    return tape_done(t, x);
}
