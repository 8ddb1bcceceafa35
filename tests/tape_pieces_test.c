/* tape_pieces_test.c - rows that go through a network some at a time, and rows put together from
 * several places, or added up: values and gradients against a plain version in double precision,
 * whatever is kept; the sink sees each gradient once. */
#include "tests/tape_operation.h"

enum { ROWS = 7, PIECE = 3, WIDTH = 6, HIDDEN = 10, RATIO = 2 };

/* ---- Pieces ---------------------------------------------------------------------------------- */

/* Each row of x gives two: halves of W2 gelu(W1 x). */
static void pieces_plain(struct matrix *y, const struct matrix *x) {
    double hidden[HIDDEN];
    *y = (struct matrix){.rows = x[0].rows * RATIO, .width = x[2].rows / RATIO};
    for (int64_t r = 0; r < x[0].rows; r++) {
        for (int64_t h = 0; h < HIDDEN; h++) {
            hidden[h] = 0;
            for (int64_t i = 0; i < WIDTH; i++) {
                hidden[h] += x[0].values[r * WIDTH + i] * x[1].values[h * WIDTH + i];
            }
            hidden[h] *= erfc(-hidden[h] / sqrt(2)) / 2;
        }
        for (int64_t o = 0; o < x[2].rows; o++) {
            double *to = &y->values[r * x[2].rows + o];
            *to = 0;
            for (int64_t h = 0; h < HIDDEN; h++) {
                *to += hidden[h] * x[2].values[o * HIDDEN + h];
            }
        }
    }
}

static int64_t firsts[ROWS];
static int calls;

struct weights {
    struct node *w1, *w2;
};

static struct node *each_piece(struct tape *t, struct node *x, int64_t i, const void *context) {
    const struct weights *w = context;
    firsts[calls++ % ROWS] = i;
    struct node *y = tape_gelu(t, tape_linear(t, x, w->w1, NULL));
    y = tape_linear(t, y, w->w2, NULL);
    return y != NULL
               ? tape_matrix(t, y, tensor_rows(&y->value) * RATIO, tensor_width(&y->value) / RATIO)
               : NULL;
}

static struct node *pieces_taped(struct tape *t, struct node **x) {
    const struct weights w = {x[1], x[2]};
    calls = 0;
    return tape_pieces(t, x[0], PIECE, each_piece, &w, sizeof w);
}

/* Two rows of x give one: W1 of both. */
static void fewer_plain(struct matrix *y, const struct matrix *x) {
    *y = (struct matrix){.rows = x[0].rows / 2, .width = x[1].rows};
    for (int64_t i = 0; i < y->rows * y->width; i++) {
        for (int64_t k = 0; k < 2 * WIDTH; k++) {
            y->values[i] += x[0].values[i / y->width * 2 * WIDTH + k] *
                            x[1].values[i % y->width * 2 * WIDTH + k];
        }
    }
}

static struct node *each_pair(struct tape *t, struct node *x, int64_t i, const void *context) {
    const struct weights *w = context;
    (void)i;
    return tape_linear(t, tape_matrix(t, x, tensor_rows(&x->value) / 2, 2 * WIDTH), w->w1, NULL);
}

static struct node *fewer_taped(struct tape *t, struct node **x) {
    const struct weights w = {x[1], NULL};
    return tape_pieces(t, x[0], 4, each_pair, &w, sizeof w);
}

/* ---- Splices --------------------------------------------------------------------------------- */

static const struct tape_splice_run RUNS[] = {{2, 1, 2}, {0, 0, 3}, {1, 4, 1}, {1, 4, 1},
                                              {0, 2, 1}, {2, 0, 1}, {1, 0, 2}};
enum { RUN_COUNT = sizeof RUNS / sizeof *RUNS };

static void splice_plain(struct matrix *y, const struct matrix *x) {
    *y = (struct matrix){.width = x[0].width};
    for (int i = 0; i < RUN_COUNT; i++) {
        memcpy(y->values + y->rows * y->width, x[RUNS[i].source].values + RUNS[i].first * y->width,
               (size_t)(RUNS[i].count * y->width) * sizeof *y->values);
        y->rows += RUNS[i].count;
    }
}

static struct node *splice_taped(struct tape *t, struct node **x) {
    return tape_splice(t, x, 3, RUNS, RUN_COUNT);
}

/* One after the other: a splice of pieces. */
static void both_plain(struct matrix *y, const struct matrix *x) {
    static struct matrix parts[3];
    pieces_plain(&parts[0], x);
    parts[1] = x[3];
    parts[2] = x[4];
    splice_plain(y, parts);
}

static struct node *both_taped(struct tape *t, struct node **x) {
    struct node *const sources[] = {pieces_taped(t, x), x[3], x[4]};
    return tape_splice(t, sources, 3, RUNS, RUN_COUNT);
}

/* ---- Sums ------------------------------------------------------------------------------------ */

static const int32_t PLACES[] = {3, 0, 3, 4, 3};

static void scatter_plain(struct matrix *y, const struct matrix *x) {
    *y = (struct matrix){.rows = 6, .width = x[0].width};
    for (int64_t i = 0; i < x[0].rows * y->width; i++) {
        y->values[PLACES[i / y->width] * y->width + i % y->width] += x[0].values[i];
    }
}

static struct node *scatter_taped(struct tape *t, struct node **x) {
    const struct tensor index = tape_upload_numbers(t, PLACES, 5);
    return tape_scatter(t, x[0], &index, 6);
}

static const struct operation OPERATIONS[] = {
    {"fewer", 2, {{10, WIDTH}, {HIDDEN, 2 * WIDTH}}, fewer_plain, fewer_taped},
    {"scatter", 1, {{5, WIDTH}}, scatter_plain, scatter_taped},
    {"pieces",
     3,
     {{ROWS, WIDTH}, {HIDDEN, WIDTH}, {2 * WIDTH, HIDDEN}},
     pieces_plain,
     pieces_taped},
    {"one piece",
     3,
     {{2, WIDTH}, {HIDDEN, WIDTH}, {2 * WIDTH, HIDDEN}},
     pieces_plain,
     pieces_taped},
    {"splice", 3, {{3, WIDTH}, {5, WIDTH}, {4, WIDTH}}, splice_plain, splice_taped},
    {"both",
     5,
     {{ROWS, WIDTH}, {HIDDEN, WIDTH}, {2 * WIDTH, HIDDEN}, {5, WIDTH}, {4, WIDTH}},
     both_plain,
     both_taped}};
enum { COUNT = sizeof OPERATIONS / sizeof *OPERATIONS };

static void gradients_are_central_differences_of_pieces(void) {
    gradients_are_central_differences(OPERATIONS, COUNT);
}

static void so_they_are_where_pieces_run_again(void) {
    for (int mode = RECOMPUTE_BLOCK; mode <= RECOMPUTE_ALL; mode++) {
        const struct tape_options options = {.storage = DTYPE_F32,
                                             .recompute = (enum tape_recompute)mode};
        struct tape *t = open_tape(NULL, DTYPE_F32, &options);
        for (size_t i = 0; i < COUNT; i++) {
            compare(t, &OPERATIONS[i]);
        }
        close_tape(t);
    }
}

static void needed_gradients_alone_are_computed(void) {
    only_needed_gradients_are_computed(OPERATIONS, COUNT);
}

static void in_bf16_they_point_the_same_way(void) {
    bf16_gradients_point_the_same_way(OPERATIONS, COUNT);
}

static void rows_go_some_at_a_time(void) {
    struct tape *t = open_tape(NULL, DTYPE_F32, NULL);
    fill_inputs(&OPERATIONS[2]);
    run_taped(t, &OPERATIONS[2], 7, 1e-5);
    CHECK_NUMBER(calls, 3);
    CHECK(firsts[0] == 0 && firsts[1] == 3 && firsts[2] == 6);
    close_tape(t);
}

/* ---- The sink -------------------------------------------------------------------------------- */

static float values[2][2 * WIDTH * HIDDEN], arrived[2][2 * WIDTH * HIDDEN];
static int seen[2];

static int see(void *context, const void *key, const struct tensor *gradient, struct error *e) {
    const int i = key == values[0] ? 0 : 1;
    (void)e;
    seen[i]++;
    download_floats(context, arrived[i], gradient);
    return 0;
}

static struct node *parameter(struct tape *t, int i, int64_t rows, int64_t width) {
    const struct tensor host = tensor_matrix(values[i], DTYPE_F32, NULL, rows, width);
    const struct tensor value = tape_upload(t, &host);
    struct tensor lent = value;
    lent.data = NULL;
    return tape_parameter(t, &value, NULL, &lent, values[i]);
}

/* Its memory is the tape's, and ends as soon as the gradient of all pieces is there. */
static void the_sink_sees_each_gradient_once(void) {
    static float first[2][2 * WIDTH * HIDDEN], x[ROWS * WIDTH], ones[ROWS * RATIO * WIDTH];
    for (int i = 0; i < 2 * WIDTH * HIDDEN; i++) {
        values[0][i] = (float)random_number();
        values[1][i] = (float)random_number();
    }
    for (int i = 0; i < ROWS * WIDTH; i++) {
        x[i] = (float)random_number();
    }
    for (int i = 0; i < ROWS * RATIO * WIDTH; i++) {
        ones[i] = 1;
    }
    for (int mode = RECOMPUTE_NONE; mode <= RECOMPUTE_ALL; mode++) {
        const struct tape_options options = {.storage = DTYPE_F32,
                                             .recompute = (enum tape_recompute)mode};
        struct tape *t = open_tape(NULL, DTYPE_F32, &options);
        memset(seen, 0, sizeof seen);
        tape_set_sink(t, see, t);
        tape_begin(t);
        const struct tensor host = tensor_matrix(x, DTYPE_F32, NULL, ROWS, WIDTH);
        const struct tensor in = tape_upload(t, &host);
        const struct weights w = {parameter(t, 0, HIDDEN, WIDTH),
                                  parameter(t, 1, 2 * WIDTH, HIDDEN)};
        struct node *y = tape_pieces(t, tape_input(t, &in, NULL), PIECE, each_piece, &w, sizeof w);
        const struct tensor seed = tensor_of(ones, DTYPE_F32, NULL, y->value.shape);
        const struct tensor from = tape_upload(t, &seed);
        tape_backward_from(t, y, &from);
        CHECK_NUMBER(tape_backward(t, NULL), 0);
        CHECK(seen[0] == 1 && seen[1] == 1);
        if (mode == RECOMPUTE_NONE) {
            memcpy(first, arrived, sizeof first);
        }
        for (int i = 0; i < WIDTH * HIDDEN; i++) {
            CHECK_NEAR((double)arrived[0][i], (double)first[0][i], 1e-5);
            CHECK_NEAR((double)arrived[1][i], (double)first[1][i], 1e-5);
        }
        CHECK(first[0][0] != 0);
        close_tape(t);
    }
}

int main(void) {
    RUN(gradients_are_central_differences_of_pieces);
    RUN(so_they_are_where_pieces_run_again);
    RUN(needed_gradients_alone_are_computed);
    RUN(in_bf16_they_point_the_same_way);
    RUN(rows_go_some_at_a_time);
    RUN(the_sink_sees_each_gradient_once);
    return test_finish();
}
