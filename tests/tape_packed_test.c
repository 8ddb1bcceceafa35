/* tape_packed_test.c - nodes of frozen matrices, alone and with low-rank adapters: values and
 * gradients against a plain version in double precision (tape_operation.h). */
#include "compress/dropout.h"
#include "tests/frozen_matrix.h"
#include "tests/tape_operation.h"

/* ---- Frozen matrices ------------------------------------------------------------------------- */

enum { OUT = 32, IN = 32, RANK = 3, LONG = 520, NARROW = 3, SEED = 5 };
#define SCALE 0.75f
#define SHARE 0.25f

/* Of each kind one from IN to OUT and one back; and a small one, for many rows. */
static struct frozen_test there[FROZEN_KIND_COUNT], back[FROZEN_KIND_COUNT], small;
static int kind; /* which is tested */

enum { MOST_PACKED = 4096 };
static struct packed *packed[MOST_PACKED];
static int packed_count;

/* For the device of the tape; ends with the program. */
static const struct packed *pack(struct tape *t, const struct frozen_test *f) {
    struct device *d = tape_device(t);
    struct packed *w = NULL;
    CHECK_NUMBER(d->ops->pack_frozen(d, &w, &f->matrix, NULL), 0);
    if (packed_count == MOST_PACKED) {
        exit(1);
    }
    packed[packed_count++] = w;
    return w;
}

static void close_packed(void) {
    struct device *d = tested_device_open(DTYPE_F32);
    while (packed_count > 0) {
        d->ops->packed_close(packed[--packed_count]);
    }
    device_close(d);
}

/* y += factor x w^T */
static void add_product(struct matrix *y, const struct matrix *x, const double *w, double factor) {
    for (int64_t r = 0; r < y->rows; r++) {
        for (int64_t o = 0; o < y->width; o++) {
            for (int64_t i = 0; i < x->width; i++) {
                y->values[r * y->width + o] +=
                    factor * x->values[r * x->width + i] * w[o * x->width + i];
            }
        }
    }
}

static struct matrix zeros(int64_t rows, int64_t width) {
    struct matrix m = {.rows = rows, .width = width};
    return m;
}

/* ---- Operations ------------------------------------------------------------------------------ */

static void linear_plain(struct matrix *y, const struct matrix *x) {
    *y = zeros(x[0].rows, OUT);
    add_product(y, &x[0], there[kind].values, 1);
}

static struct node *linear_taped(struct tape *t, struct node **x) {
    return tape_packed_linear(t, x[0], pack(t, &there[kind]));
}

/* There and back, added to where it came from: a gradient is set, passed on, and added to. */
static void around_plain(struct matrix *y, const struct matrix *x) {
    struct matrix middle;
    linear_plain(&middle, x);
    *y = x[0];
    add_product(y, &middle, back[kind].values, 1);
}

static struct node *around_taped(struct tape *t, struct node **x) {
    struct node *middle = linear_taped(t, x);
    return tape_add(t, x[0], tape_packed_linear(t, middle, pack(t, &back[kind])));
}

static void adapted(struct matrix *y, const struct matrix *x, const struct frozen_test *w,
                    float share) {
    struct matrix dropped = x[0], low = zeros(x[0].rows, x[1].rows);
    for (int64_t i = 0; i < dropped.rows * dropped.width; i++) {
        dropped.values[i] *= dropout_keeps(SEED, (uint64_t)i, share) ? 1 / (1 - (double)share) : 0;
    }
    add_product(&low, &dropped, x[1].values, 1);
    *y = zeros(x[0].rows, w->matrix.outputs);
    add_product(y, &x[0], w->values, 1);
    add_product(y, &low, x[2].values, (double)SCALE);
}

static struct node *adapt(struct tape *t, struct node **x, const struct frozen_test *w,
                          float share) {
    const struct tape_adapter o = {
        .a = x[1], .b = x[2], .scale = SCALE, .dropout = share, .seed = SEED};
    return tape_adapted_linear(t, x[0], pack(t, w), &o);
}

static void adapted_plain(struct matrix *y, const struct matrix *x) {
    adapted(y, x, &there[kind], 0);
}

static struct node *adapted_taped(struct tape *t, struct node **x) {
    return adapt(t, x, &there[kind], 0);
}

static void dropped_plain(struct matrix *y, const struct matrix *x) {
    adapted(y, x, &there[kind], SHARE);
}

static struct node *dropped_taped(struct tape *t, struct node **x) {
    return adapt(t, x, &there[kind], SHARE);
}

static void long_plain(struct matrix *y, const struct matrix *x) {
    adapted(y, x, &small, SHARE);
}

static struct node *long_taped(struct tape *t, struct node **x) {
    return adapt(t, x, &small, SHARE);
}

/* The same adapter twice: its gradients are added up. */
static void twice_plain(struct matrix *y, const struct matrix *x) {
    struct matrix second[3] = {x[3], x[1], x[2]}, sum;
    adapted(&sum, x, &there[kind], 0);
    adapted(y, second, &there[kind], 0);
    for (int64_t i = 0; i < y->rows * y->width; i++) {
        y->values[i] += sum.values[i];
    }
}

static struct node *twice_taped(struct tape *t, struct node **x) {
    struct node *second[3] = {x[3], x[1], x[2]};
    return tape_add(t, adapt(t, x, &there[kind], 0), adapt(t, second, &there[kind], 0));
}

/* ---- Chosen rows ------------------------------------------------------------------------------
 */

enum { CHOSEN = 10 };
static const struct tape_row_run RUNS[] = {
    {2, 3, true}, {9, 4, true}, {13, 1, true}, {30, 2, true}};
enum { RUN_COUNT = sizeof RUNS / sizeof *RUNS };

static void chosen_plain(struct matrix *y, const struct matrix *x) {
    const struct matrix *d = &x[1];
    int64_t at = 0;
    linear_plain(y, x);
    for (int i = 0; i < RUN_COUNT; i++) {
        for (int64_t o = RUNS[i].first; o < RUNS[i].first + RUNS[i].rows; o++, at++) {
            for (int64_t r = 0; r < y->rows; r++) {
                for (int64_t k = 0; k < IN; k++) {
                    y->values[r * OUT + o] += x[0].values[r * IN + k] * d->values[at * IN + k];
                }
            }
        }
    }
}

static struct node *choose(struct tape *t, struct node **x, const struct tape_row_run *runs) {
    const struct tape_adapter o = {.rows = x[1], .runs = runs, .run_count = RUN_COUNT};
    return tape_adapted_linear(t, x[0], pack(t, &there[kind]), &o);
}

static struct node *chosen_taped(struct tape *t, struct node **x) {
    return choose(t, x, RUNS);
}

/* And a low rank with dropout. */
static void both_plain(struct matrix *y, const struct matrix *x) {
    const struct matrix low[3] = {x[0], x[2], x[3]};
    struct matrix without, with;
    chosen_plain(y, x);
    linear_plain(&without, x);
    adapted(&with, low, &there[kind], SHARE);
    for (int64_t i = 0; i < y->rows * y->width; i++) {
        y->values[i] += with.values[i] - without.values[i];
    }
}

static struct node *both_taped(struct tape *t, struct node **x) {
    const struct tape_adapter o = {.a = x[2],
                                   .b = x[3],
                                   .scale = SCALE,
                                   .dropout = SHARE,
                                   .seed = SEED,
                                   .rows = x[1],
                                   .runs = RUNS,
                                   .run_count = RUN_COUNT};
    return tape_adapted_linear(t, x[0], pack(t, &there[kind]), &o);
}

static const struct operation OPERATIONS[] = {
    {"frozen linear", 1, {{5, IN}}, linear_plain, linear_taped},
    {"there and back", 1, {{7, IN}}, around_plain, around_taped},
    {"adapted", 3, {{6, IN}, {RANK, IN}, {OUT, RANK}}, adapted_plain, adapted_taped},
    {"adapted, dropped", 3, {{6, IN}, {RANK, IN}, {OUT, RANK}}, dropped_plain, dropped_taped},
    {"adapted twice", 4, {{6, IN}, {RANK, IN}, {OUT, RANK}, {6, IN}}, twice_plain, twice_taped},
};
enum { COUNT = sizeof OPERATIONS / sizeof *OPERATIONS };
/* In whatever format the matrix is, they lie beside it: of two formats. */
static const struct operation ROW_OPERATIONS[] = {
    {"chosen rows", 2, {{6, IN}, {CHOSEN, IN}}, chosen_plain, chosen_taped},
    {"both", 4, {{6, IN}, {CHOSEN, IN}, {RANK, IN}, {OUT, RANK}}, both_plain, both_taped},
};
enum { ROW_COUNT = sizeof ROW_OPERATIONS / sizeof *ROW_OPERATIONS };
static const int ROW_KINDS[] = {0, FROZEN_KIND_COUNT - 1};
/* More rows than are taken at a time. */
static const struct operation LONG_ONE[] = {
    {"adapted, many rows", 3, {{LONG, NARROW}, {2, NARROW}, {4, 2}}, long_plain, long_taped}};

static void operations_in_bf16(void) {
    for (kind = 0; kind < FROZEN_KIND_COUNT; kind++) {
        bf16_gradients_point_the_same_way(OPERATIONS, COUNT);
    }
    for (int i = 0; i < 2; i++) {
        kind = ROW_KINDS[i];
        bf16_gradients_point_the_same_way(ROW_OPERATIONS, ROW_COUNT);
    }
}

static void operations_have_their_gradients(void) {
    for (kind = 0; kind < FROZEN_KIND_COUNT; kind++) {
        gradients_are_central_differences(OPERATIONS, COUNT);
    }
}

static void chosen_rows_have_their_gradients(void) {
    for (int i = 0; i < 2; i++) {
        kind = ROW_KINDS[i];
        gradients_are_central_differences(ROW_OPERATIONS, ROW_COUNT);
        only_needed_gradients_are_computed(ROW_OPERATIONS, ROW_COUNT);
    }
}

static void many_rows_are_taken_in_parts(void) {
    kind = 0;
    gradients_are_central_differences(LONG_ONE, 1);
}

static void operations_compute_what_is_needed(void) {
    for (kind = 0; kind < FROZEN_KIND_COUNT; kind++) {
        only_needed_gradients_are_computed(OPERATIONS, COUNT);
    }
}

struct seen {
    struct tape *t;
    int count;
    float largest;
};

static int see(void *context, const void *key, const struct tensor *gradient, struct error *e) {
    struct seen *seen = context;
    float numbers[OUT * IN] = {0};
    (void)key;
    (void)e;
    seen->count++;
    download_floats(seen->t, numbers, gradient);
    for (int64_t i = 0; i < tensor_count(gradient); i++) {
        seen->largest = fmaxf(seen->largest, fabsf(numbers[i]));
    }
    return 0;
}

/* Memory of the tape holds what an earlier step left there. */
static void without_rows_gradients_are_zeros(void) {
    static const int64_t ROWS[] = {9, 0};
    static const double ones[OUT * IN] = {[0] = 1, [7] = 1, [40] = 1};
    struct tape *t = open_tape(NULL, DTYPE_F32, NULL);
    for (int step = 0; step < 2; step++) {
        struct seen seen = {.t = t};
        tape_set_sink(t, see, &seen);
        tape_begin(t);
        const struct tensor value = upload_matrix(t, ones, ROWS[step], IN);
        const struct tensor seed = upload_matrix(t, ones, ROWS[step], OUT);
        const struct tensor a = upload_matrix(t, ones, RANK, IN);
        const struct tensor b = upload_matrix(t, ones, OUT, RANK);
        struct tensor da = a, db = b; /* the tape's own */
        da.data = db.data = NULL;
        const struct tape_adapter o = {.a = tape_parameter(t, &a, NULL, &da, &a),
                                       .b = tape_parameter(t, &b, NULL, &db, &b),
                                       .scale = SCALE};
        struct node *x = tape_input(t, &value, NULL);
        tape_backward_from(t, tape_adapted_linear(t, x, pack(t, &there[0]), &o), &seed);
        CHECK_NUMBER(tape_backward(t, NULL), 0);
        CHECK_NUMBER(seen.count, 2);
        CHECK((seen.largest > 0) == (ROWS[step] > 0));
    }
    close_tape(t);
}

/* Rows that do not learn are added, and their gradients stay zeros. */
static void rows_may_be_still(void) {
    static float all[CHOSEN * IN];
    static struct tape_row_run some[RUN_COUNT];
    struct tape *t = open_tape("portable", DTYPE_F32, NULL);
    const struct operation *o = &ROW_OPERATIONS[0];
    kind = 0;
    fill_inputs(o);
    run_taped(t, o, 3, 1e-5);
    memcpy(all, gradients[1], sizeof all);
    memcpy(some, RUNS, sizeof some);
    some[0].learns = some[2].learns = false;
    tape_begin(t);
    const struct tensor value = upload_matrix(t, inputs[0].values, 6, IN);
    const struct tensor rows = upload_matrix(t, inputs[1].values, CHOSEN, IN);
    const struct tensor place = upload_matrix(t, (const double[CHOSEN * IN]){0}, CHOSEN, IN);
    const struct tensor seed = upload_matrix(t, weights, 6, OUT);
    struct node *x[2] = {tape_input(t, &value, NULL), tape_input(t, &rows, &place)};
    struct node *y = choose(t, x, some);
    CHECK(check_values(t, o, y, 1e-5));
    tape_backward_from(t, y, &seed);
    CHECK_NUMBER(tape_backward(t, NULL), 0);
    download_floats(t, gradients[1], &place);
    for (int i = 0; i < CHOSEN; i++) {
        const bool still = i < 3 || i == 7;
        const float *row = gradients[1] + (size_t)i * IN, *wanted = all + (size_t)i * IN;
        for (int k = 0; k < IN; k++) {
            CHECK_NEAR((double)row[k], still ? 0 : (double)wanted[k], 1e-5);
        }
    }
    x[1] = tape_still(t, x[1]);
    y = choose(t, x, RUNS);
    CHECK(y != NULL && !y->needs_gradient);
    close_tape(t);
}

/* ---- Rows and losses ------------------------------------------------------------------------- */

static void embeddings_are_rows(void) {
    static const int32_t INDEX[] = {3, 0, 3, OUT - 1};
    float numbers[4 * IN];
    struct tape *t = open_tape(NULL, DTYPE_F32, NULL);
    for (kind = 0; kind < FROZEN_KIND_COUNT; kind++) {
        tape_begin(t);
        const struct tensor host = tensor_vector((void *)(uintptr_t)INDEX, DTYPE_I32, NULL, 4);
        const struct tensor index = tape_upload(t, &host);
        struct node *y = tape_packed_gather(t, pack(t, &there[kind]), &index);
        if (!CHECK(y != NULL && !y->needs_gradient)) {
            break;
        }
        download_floats(t, numbers, &y->value);
        for (int i = 0; i < 4 * IN; i++) {
            CHECK_NEAR((double)numbers[i], there[kind].values[INDEX[i / IN] * IN + i % IN], 1e-6);
        }
    }
    close_tape(t);
}

/* The loss of a head, frozen or not, with the gradient of what it reads. */
static double head_loss(struct tape *t, float *gradient, bool frozen) {
    enum { ROWS = 9 };
    static const int32_t LABELS[ROWS] = {0, -1, 4, 10, 3, -7, 3, 2, 1};
    double values[ROWS * IN];
    float loss = 0;
    for (int i = 0; i < ROWS * IN; i++) {
        values[i] = sin(i);
    }
    tape_begin(t);
    const struct tensor host = tensor_vector((void *)(uintptr_t)LABELS, DTYPE_I32, NULL, ROWS);
    const struct tensor labels = tape_upload(t, &host), value = upload_matrix(t, values, ROWS, IN);
    const struct tensor place = upload_matrix(t, (const double[ROWS * IN]){0}, ROWS, IN);
    const struct tensor sum = upload_matrix(t, &(const double){0}, 1, 1);
    struct node *x = tape_input(t, &value, &place);
    if (frozen) {
        tape_packed_classify(t, x, pack(t, &there[kind]), &labels, 0.5f, &sum);
    } else {
        const struct tensor weight = upload_matrix(t, there[kind].values, OUT, IN);
        tape_classify(t, x, tape_input(t, &weight, NULL), NULL, &labels, 0.5f, &sum);
    }
    CHECK_NUMBER(tape_backward(t, NULL), 0);
    download_floats(t, &loss, &sum);
    download_floats(t, gradient, &place);
    return (double)loss;
}

static void a_frozen_head_learns_what_another_does(void) {
    static float frozen[9 * IN], other[9 * IN];
    struct tape *t = open_tape(NULL, DTYPE_F32, NULL);
    for (kind = 0; kind < FROZEN_KIND_COUNT; kind++) {
        CHECK_NEAR(head_loss(t, frozen, true), head_loss(t, other, false), 1e-5);
        for (int i = 0; i < 9 * IN; i++) {
            CHECK_NEAR((double)frozen[i], (double)other[i], 1e-5);
        }
    }
    close_tape(t);
}

int main(void) {
    for (kind = 0; kind < FROZEN_KIND_COUNT; kind++) {
        there[kind] = frozen_make(&FROZEN_KINDS[kind], OUT, IN, 0.125);
        back[kind] = frozen_make(&FROZEN_KINDS[kind], IN, OUT, 0.125);
    }
    small = frozen_make(&FROZEN_KINDS[0], 4, NARROW, 0.125);
    RUN(operations_in_bf16); /* first: oneDNN is limited to the first level named */
    RUN(operations_have_their_gradients);
    RUN(chosen_rows_have_their_gradients);
    RUN(many_rows_are_taken_in_parts);
    RUN(operations_compute_what_is_needed);
    RUN(without_rows_gradients_are_zeros);
    RUN(rows_may_be_still);
    RUN(embeddings_are_rows);
    RUN(a_frozen_head_learns_what_another_does);
    close_packed();
    for (kind = 0; kind < FROZEN_KIND_COUNT; kind++) {
        frozen_free(&there[kind]);
        frozen_free(&back[kind]);
    }
    frozen_free(&small);
    return test_finish();
}
