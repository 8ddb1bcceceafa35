/* What the tape keeps, and for how long: stacks of blocks that run again in the backward pass have
 * the same gradients and less memory; the sink sees each gradient once, when it is complete. */
#include <string.h>

#include "tests/tape_device.h"

enum { WIDTH = 24, HIDDEN = 40, ROWS = 64, BLOCKS = 7, FROZEN = 2, PARTS = 4 };
enum { MOST_ROWS = 1100 };
enum { MATRIX = WIDTH * HIDDEN, COUNT = BLOCKS * PARTS + 1 };

/* x + W2 gelu(W1 norm(x)), and W2 of the first block is used again after the last. */
struct stack {
    float values[COUNT][MATRIX], gradients[COUNT][MATRIX];
    float x[MOST_ROWS * WIDTH], seed[MOST_ROWS * WIDTH], dx[MOST_ROWS * WIDTH];
    int64_t rows;
    bool frozen[COUNT], lent, tail; /* tail: blocks are their ends alone */
};

static int64_t rows_of(int i) { /* gamma, beta, W1, W2 */
    return i % PARTS < 2 ? 1 : i % PARTS == 2 ? HIDDEN : WIDTH;
}

static int64_t width_of(int i) {
    return i % PARTS == 3 ? HIDDEN : WIDTH;
}

static void fill(float *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        numbers[i] = (float)random_number() / 4;
    }
}

static struct stack *make_stack(void) {
    struct stack *s = calloc(1, sizeof *s);
    if (!CHECK(s != NULL)) {
        exit(1);
    }
    fill(s->values[0], sizeof s->values / sizeof(float));
    fill(s->x, MOST_ROWS * WIDTH);
    fill(s->seed, MOST_ROWS * WIDTH);
    s->rows = ROWS;
    return s;
}

/* ---- The network ----------------------------------------------------------------------------- */

struct device_stack {
    struct stack *s;
    struct tensor values[COUNT], gradients[COUNT];
};

static struct node *parameter(struct tape *t, const struct device_stack *d, int i) {
    struct tensor none = d->gradients[i];
    none.data = NULL;
    const struct tensor *gradient = d->s->lent ? &none : &d->gradients[i];
    return tape_parameter(t, &d->values[i], NULL, d->s->frozen[i] ? NULL : gradient,
                          d->s->values[i]);
}

static struct node *each_row(struct tape *t, struct node *x, int64_t i, const void *context) {
    const struct device_stack *d = *(const struct device_stack *const *)context;
    const int first = (int)i * PARTS;
    struct node *gamma = parameter(t, d, first), *beta = parameter(t, d, first + 1);
    struct node *y = tape_layer_norm(t, x, gamma, beta, 1e-5f);
    y = tape_gelu(t, tape_linear(t, y, parameter(t, d, first + 2), NULL));
    return tape_add(t, x, tape_linear(t, y, parameter(t, d, first + 3), NULL));
}

static struct node *block(struct tape *t, struct node *x, int64_t i, const void *context) {
    const struct device_stack *d = *(const struct device_stack *const *)context;
    return d->s->tail ? tape_tail(t, x, each_row, i, context) : each_row(t, x, i, context);
}

static struct tensor on_device(struct tape *t, float *numbers, int64_t rows, int64_t width) {
    const struct tensor host = tensor_matrix(numbers, DTYPE_F32, NULL, rows, width);
    return tape_upload(t, &host);
}

/* Values of the result are put into s->seed's place where `out` is. */
static void run(struct tape *t, struct stack *s, float *out) {
    struct device_stack d = {.s = s}, *context = &d;
    static float zeros[MOST_ROWS * WIDTH + MATRIX];
    tape_begin(t);
    for (int i = 0; i < COUNT - 1; i++) {
        d.values[i] = on_device(t, s->values[i], rows_of(i), width_of(i));
        d.gradients[i] = on_device(t, zeros, rows_of(i), width_of(i));
    }
    const struct tensor x = on_device(t, s->x, s->rows, WIDTH);
    const struct tensor dx = on_device(t, zeros, s->rows, WIDTH);
    const struct tensor seed = on_device(t, s->seed, s->rows, WIDTH);
    struct node *y = tape_input(t, &x, &dx);
    y = tape_blocks(t, y, BLOCKS, block, &context, sizeof context);
    y = tape_gelu(t, tape_linear(t, y, parameter(t, &d, 2), NULL));
    y = tape_linear(t, y, parameter(t, &d, 3), NULL);
    tape_backward_from(t, y, &seed);
    if (CHECK(y != NULL) && out != NULL) {
        download_floats(t, out, &y->value);
    }
    CHECK_NUMBER(tape_backward(t, NULL), 0);
    for (int i = 0; i < COUNT - 1; i++) {
        download_floats(t, s->gradients[i], &d.gradients[i]);
    }
    download_floats(t, s->dx, &dx);
}

static size_t run_with(struct stack *s, enum tape_recompute recompute, enum dtype compute,
                       enum dtype storage, float *out) {
    const struct tape_options options = {.storage = storage, .recompute = recompute};
    struct tape *t = open_tape(NULL, compute, &options);
    size_t peak = 0;
    for (int twice = 0; t != NULL && twice < 2; twice++) {
        run(t, s, out);
        peak = tape_peak(t);
    }
    close_tape(t);
    return peak;
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void gradients_are_the_same_whatever_is_kept(void) {
    static float kept[ROWS * WIDTH], again[ROWS * WIDTH];
    struct stack *s = make_stack(), *other = make_stack();
    for (int type = 0; type < 3; type++) {
        const enum dtype compute = type > 0 ? DTYPE_BF16 : DTYPE_F32;
        const enum dtype storage = type > 1 ? DTYPE_BF16 : DTYPE_F32;
        size_t before = run_with(s, RECOMPUTE_NONE, compute, storage, kept);
        for (int mode = RECOMPUTE_BLOCK; mode <= RECOMPUTE_ALL; mode++) {
            memcpy(other->values, s->values, sizeof s->values);
            memcpy(other->x, s->x, sizeof s->x);
            memcpy(other->seed, s->seed, sizeof s->seed);
            size_t peak = run_with(other, (enum tape_recompute)mode, compute, storage, again);
            CHECK(memcmp(kept, again, sizeof kept) == 0);
            CHECK(memcmp(s->gradients, other->gradients, sizeof s->gradients) == 0);
            CHECK(memcmp(s->dx, other->dx, sizeof s->dx) == 0);
            CHECK(before == 0 || peak < before * 3 / 4);
            printf("# %s: %zu of %zu bytes\n", TAPE_RECOMPUTE_NAMES[mode], peak, before);
        }
    }
    free(s);
    free(other);
}

/* The rows of several runs, of which the last is shorter; sums over rows come in another order. */
static void the_end_of_a_block_runs_some_rows_at_a_time(void) {
    static float kept[MOST_ROWS * WIDTH], again[MOST_ROWS * WIDTH];
    struct stack *s = make_stack(), *other = make_stack();
    memcpy(other, s, sizeof *s);
    s->rows = other->rows = MOST_ROWS;
    other->tail = true;
    size_t before = run_with(s, RECOMPUTE_BLOCK, DTYPE_F32, DTYPE_F32, kept);
    for (int mode = RECOMPUTE_NONE; mode <= RECOMPUTE_ALL; mode++) {
        const enum tape_recompute recompute = (enum tape_recompute)mode;
        size_t peak = run_with(other, recompute, DTYPE_F32, DTYPE_F32, again);
        /* a device that is given more at once has all of these rows */
        CHECK(mode == RECOMPUTE_NONE || tested_backend()->batch() > 1 || peak < before);
        for (int i = 0; i < MOST_ROWS * WIDTH; i++) {
            CHECK_NEAR((double)again[i], (double)kept[i], 1e-5);
            CHECK_NEAR((double)other->dx[i], (double)s->dx[i], 1e-5);
        }
        for (int i = 0; i < COUNT; i++) {
            for (int k = 0; k < MATRIX; k++) {
                CHECK_NEAR((double)other->gradients[i][k], (double)s->gradients[i][k], 1e-3);
            }
        }
        printf("# %s: %zu of %zu bytes\n", TAPE_RECOMPUTE_NAMES[mode], peak, before);
    }
    free(s);
    free(other);
}

/* A step without a target passes no rows. */
static void a_block_may_have_no_rows(void) {
    struct stack *s = make_stack();
    float none = 0;
    s->rows = 0;
    s->tail = true;
    for (int mode = RECOMPUTE_NONE; mode <= RECOMPUTE_ALL; mode++) {
        run_with(s, (enum tape_recompute)mode, DTYPE_F32, DTYPE_F32, &none);
        for (int i = 0; i < COUNT; i++) {
            for (int k = 0; k < MATRIX; k++) {
                CHECK(s->gradients[i][k] == 0);
            }
        }
    }
    free(s);
}

/* Without gradients nothing of a block is kept but what it gives. */
static void frozen_blocks_keep_nothing(void) {
    struct stack *s = make_stack();
    size_t all = run_with(s, RECOMPUTE_NONE, DTYPE_F32, DTYPE_F32, NULL);
    struct tape *t = open_tape(NULL, DTYPE_F32, NULL);
    struct device_stack d = {.s = s}, *context = &d;
    tape_begin(t);
    for (int i = 0; i < COUNT - 1; i++) {
        s->frozen[i] = true;
        d.values[i] = on_device(t, s->values[i], rows_of(i), width_of(i));
    }
    const struct tensor x = on_device(t, s->x, s->rows, WIDTH);
    CHECK(tape_blocks(t, tape_input(t, &x, NULL), BLOCKS, block, &context, sizeof context) != NULL);
    CHECK(tape_peak(t) < all / 2);
    close_tape(t);
    free(s);
}

/* ---- The sink -------------------------------------------------------------------------------- */

struct seen {
    struct stack *s;
    struct tape *t;
    int order[COUNT], count;
    float gradients[COUNT][MATRIX];
};

static int see(void *context, const void *key, const struct tensor *gradient, struct error *e) {
    struct seen *seen = context;
    const int i = (int)(((const float *)key - seen->s->values[0]) / MATRIX);
    (void)e;
    seen->order[seen->count++] = i;
    if (CHECK(gradient != NULL)) {
        download_floats(seen->t, seen->gradients[i], gradient);
    }
    return 0;
}

/* Each gradient that is needed comes once, complete, and in the order of the backward pass: the
 * first block's matrices, which the end uses too, last of all. */
static void the_sink_sees_each_gradient_once(void) {
    struct stack *s = make_stack();
    struct seen *seen = malloc(sizeof *seen);
    s->frozen[1 * PARTS + FROZEN] = true;
    for (int mode = RECOMPUTE_NONE; mode <= RECOMPUTE_ALL; mode++) {
        const struct tape_options options = {.storage = DTYPE_F32,
                                             .recompute = (enum tape_recompute)mode};
        for (int lent = 0; lent < 2 && CHECK(seen != NULL); lent++) {
            struct tape *t = open_tape(NULL, DTYPE_F32, &options);
            s->lent = false;
            run(t, s, NULL);
            memset(seen, 0, sizeof *seen);
            seen->s = s;
            seen->t = t;
            tape_set_sink(t, see, seen);
            float(*whole)[MATRIX] = malloc(sizeof s->gradients);
            memcpy(whole, s->gradients, sizeof s->gradients);
            s->lent = lent;
            run(t, s, NULL);
            CHECK_NUMBER(seen->count, COUNT - 2);
            CHECK(memcmp(whole, seen->gradients, sizeof s->gradients) == 0);
            CHECK_NUMBER(seen->order[0], (BLOCKS - 1) * PARTS + 3);
            for (int i = 0; i < seen->count; i++) {
                CHECK(seen->order[i] != 1 * PARTS + FROZEN);
                CHECK(i == 0 || seen->order[i] / PARTS <= seen->order[i - 1] / PARTS);
            }
            free(whole);
            close_tape(t);
        }
    }
    free(seen);
    free(s);
}

static int refuse(void *context, const void *key, const struct tensor *gradient, struct error *e) {
    int *calls = context;
    (void)key;
    (void)gradient;
    (*calls)++;
    return error_set(e, ERR_CANCELLED, "enough");
}

static void a_sink_that_fails_ends_the_way_back(void) {
    struct tape *t = open_tape(NULL, DTYPE_F32, NULL);
    float numbers[4] = {1, 2, 3, 4}, zeros[4] = {0};
    struct error e = {0};
    int calls = 0;
    tape_set_sink(t, refuse, &calls);
    tape_begin(t);
    const struct tensor value = on_device(t, numbers, 2, 2), gradient = on_device(t, zeros, 2, 2);
    struct node *w = tape_parameter(t, &value, NULL, &gradient, numbers);
    struct node *x = tape_input(t, &value, NULL);
    struct node *y = tape_linear(t, tape_linear(t, x, w, NULL),
                                 tape_parameter(t, &value, NULL, &gradient, zeros), NULL);
    tape_backward_from(t, y, &value);
    CHECK_NUMBER(tape_backward(t, &e), ERR_CANCELLED);
    CHECK_TEXT(e.text, "enough");
    CHECK_NUMBER(calls, 1);
    CHECK(tape_gelu(t, x) == NULL);
    tape_begin(t);
    CHECK_NUMBER(tape_status(t, NULL), 0);
    close_tape(t);
}

/* ---- Tables ---------------------------------------------------------------------------------- */

static int fills;

static void count_up(int32_t *out, int64_t count, const int64_t *shape) {
    fills++;
    for (int64_t i = 0; i < count; i++) {
        out[i] = (int32_t)(shape[0] + i);
    }
}

static void tables_are_made_once_for_a_shape(void) {
    struct tape *t = open_tape(NULL, DTYPE_F32, NULL);
    int32_t numbers[3] = {0};
    for (int step = 0; step < 3; step++) {
        tape_begin(t);
        const struct tensor one = tape_table(t, count_up, 3, TAPE_TABLE(5));
        const struct tensor other = tape_table(t, count_up, 3, TAPE_TABLE(6));
        CHECK(one.data != NULL && other.data != NULL && one.data != other.data);
        const struct tensor host = tensor_vector(numbers, DTYPE_I32, NULL, 3);
        CHECK_NUMBER(tape_device(t)->ops->download(tape_device(t), &host, &other, NULL), 0);
        CHECK(numbers[0] == 6 && numbers[1] == 7 && numbers[2] == 8);
    }
    CHECK_NUMBER(fills, 2);
    close_tape(t);
}

int main(void) {
    RUN(gradients_are_the_same_whatever_is_kept);
    RUN(the_end_of_a_block_runs_some_rows_at_a_time);
    RUN(a_block_may_have_no_rows);
    RUN(frozen_blocks_keep_nothing);
    RUN(the_sink_sees_each_gradient_once);
    RUN(a_sink_that_fails_ends_the_way_back);
    RUN(tables_are_made_once_for_a_shape);
    return test_finish();
}
