/* Losses of the tape against the definition of the cross-entropy in double precision, and their
 * gradients against its central differences. */
#include "tests/tape_device.h"

/* More rows than a chunk of tape_classify has (256), and one chunk that is not full. */
enum { ROWS = 300, WIDTH = 5, CLASSES = 21, MATRIX = CLASSES * WIDTH };
#define SCALE 0.25

/* ---- Tensors --------------------------------------------------------------------------------- */

static struct tensor floats(struct tape *t, float *numbers, int64_t rows, int64_t width) {
    const struct tensor host = tensor_matrix(numbers, DTYPE_F32, NULL, rows, width);
    return tape_upload(t, &host);
}

static struct tensor zero(struct tape *t) {
    float nothing = 0;
    return floats(t, &nothing, 1, 1);
}

static struct tensor numbers_of(struct tape *t, const int32_t *labels, int64_t count) {
    const struct tensor host = tensor_vector((void *)(uintptr_t)labels, DTYPE_I32, NULL, count);
    return tape_upload(t, &host);
}

static double number_of(struct tape *t, const struct tensor *one) {
    float number = 0;
    download_floats(t, &number, one);
    return (double)number;
}

/* Of one row; 0 for a negative label. */
static double cross_entropy(const double *logits, int32_t label) {
    double sum = 0;
    for (int i = 0; i < CLASSES && label >= 0; i++) {
        sum += exp(logits[i]);
    }
    return label >= 0 ? log(sum) - logits[label] : 0;
}

/* ---- Of logits ------------------------------------------------------------------------------- */

static void cross_entropy_is_that_of_the_definition(void) {
    enum { LOGIT_ROWS = 7 };
    static const int32_t labels[LOGIT_ROWS] = {0, 20, -1, 7, 7, -5, 3};
    const double h = 1e-5;
    for (size_t level = 0; level < LEVEL_COUNT; level++) {
        struct tape *t = open_tape(LEVELS[level], DTYPE_F32, NULL);
        float values[LOGIT_ROWS * CLASSES], gradient[LOGIT_ROWS * CLASSES] = {0};
        double logits[LOGIT_ROWS * CLASSES], wanted = 0;
        for (int i = 0; i < LOGIT_ROWS * CLASSES; i++) {
            values[i] = (float)(30 * random_number());
            logits[i] = (double)values[i];
        }
        if (t == NULL) {
            continue;
        }
        tape_begin(t);
        const struct tensor value = floats(t, values, LOGIT_ROWS, CLASSES);
        const struct tensor place = floats(t, gradient, LOGIT_ROWS, CLASSES);
        const struct tensor wanted_labels = numbers_of(t, labels, LOGIT_ROWS), sum = zero(t);
        tape_cross_entropy(t, tape_input(t, &value, &place), &wanted_labels, (float)SCALE, &sum);
        CHECK_NUMBER(tape_backward(t, NULL), 0);
        download_floats(t, gradient, &place);
        const double loss = number_of(t, &sum);
        for (int r = 0; r < LOGIT_ROWS; r++) {
            double *row = logits + r * CLASSES;
            wanted += cross_entropy(row, labels[r]);
            for (int i = 0; i < CLASSES; i++) {
                double at = row[i];
                row[i] = at + h;
                double above = cross_entropy(row, labels[r]);
                row[i] = at - h;
                double below = cross_entropy(row, labels[r]);
                row[i] = at;
                CHECK_NEAR((double)gradient[r * CLASSES + i], SCALE * (above - below) / (2 * h),
                           labels[r] < 0 ? 0 : 1e-6);
            }
        }
        CHECK_NEAR(loss, wanted, 1e-4);
        close_tape(t);
    }
}

/* ---- After a linear layer ------------------------------------------------------------------- */

/* Each number in both precisions. */
struct problem {
    double x[ROWS * WIDTH], weight[MATRIX], bias[CLASSES];
    int32_t labels[ROWS];
    float x_values[ROWS * WIDTH], weight_values[MATRIX], bias_values[CLASSES];
    float dx[ROWS * WIDTH], dweight[MATRIX], dbias[CLASSES];
};

static void fill(double *values, float *singles, int count) {
    for (int i = 0; i < count; i++) {
        singles[i] = (float)random_number();
        values[i] = (double)singles[i];
    }
}

static void make_problem(struct problem *p) {
    memset(p, 0, sizeof *p);
    fill(p->x, p->x_values, ROWS * WIDTH);
    fill(p->weight, p->weight_values, MATRIX);
    fill(p->bias, p->bias_values, CLASSES);
    for (int r = 0; r < ROWS; r++) {
        p->labels[r] = r % 4 == 1 ? -1 : r * 7 % CLASSES;
    }
}

static double row_loss(const struct problem *p, int row) {
    double logits[CLASSES];
    for (int o = 0; o < CLASSES; o++) {
        logits[o] = p->bias[o];
        for (int i = 0; i < WIDTH; i++) {
            logits[o] += p->x[row * WIDTH + i] * p->weight[o * WIDTH + i];
        }
    }
    return cross_entropy(logits, p->labels[row]);
}

static double loss_of(const struct problem *p) {
    double sum = 0;
    for (int r = 0; r < ROWS; r++) {
        sum += row_loss(p, r);
    }
    return sum;
}

/* What `one` is changes the loss of all rows, or of `row`. */
static double slope(const struct problem *p, double *one, int row) {
    const double h = 1e-5, at = *one;
    *one = at + h;
    double above = row < 0 ? loss_of(p) : row_loss(p, row);
    *one = at - h;
    double below = row < 0 ? loss_of(p) : row_loss(p, row);
    *one = at;
    return SCALE * (above - below) / (2 * h);
}

enum { NEED_X = 1, NEED_WEIGHT = 2, NEED_BIAS = 4, NEED_ALL = 7 };

struct inputs {
    struct node *x, *weight, *bias;
    struct tensor dx, dweight, dbias;
};

static struct inputs come_in(struct tape *t, struct problem *p, int64_t rows, int needed) {
    const struct tensor x = floats(t, p->x_values, rows, WIDTH);
    const struct tensor weight = floats(t, p->weight_values, CLASSES, WIDTH);
    const struct tensor bias = floats(t, p->bias_values, 1, CLASSES);
    struct inputs in = {.dx = floats(t, p->dx, rows, WIDTH),
                        .dweight = floats(t, p->dweight, CLASSES, WIDTH),
                        .dbias = floats(t, p->dbias, 1, CLASSES)};
    in.x = tape_input(t, &x, needed & NEED_X ? &in.dx : NULL);
    in.weight = tape_input(t, &weight, needed & NEED_WEIGHT ? &in.dweight : NULL);
    in.bias = tape_input(t, &bias, needed & NEED_BIAS ? &in.dbias : NULL);
    return in;
}

/* The loss, with gradients of what needs them; `rows`: the first ones of the problem; `apart`: of
 * logits that are kept. */
static double learn(struct tape *t, struct problem *p, int64_t rows, int needed, bool apart) {
    memset(p->dx, 0, sizeof p->dx);
    memset(p->dweight, 0, sizeof p->dweight);
    memset(p->dbias, 0, sizeof p->dbias);
    tape_begin(t);
    const struct inputs in = come_in(t, p, rows, needed);
    const struct tensor labels = numbers_of(t, p->labels, rows), sum = zero(t);
    if (apart) {
        struct node *logits = tape_linear(t, in.x, in.weight, in.bias);
        tape_cross_entropy(t, logits, &labels, (float)SCALE, &sum);
    } else {
        tape_classify(t, in.x, in.weight, in.bias, &labels, (float)SCALE, &sum);
    }
    CHECK_NUMBER(tape_backward(t, NULL), 0);
    download_floats(t, p->dx, &in.dx);
    download_floats(t, p->dweight, &in.dweight);
    download_floats(t, p->dbias, &in.dbias);
    return number_of(t, &sum);
}

static double classify(struct tape *t, struct problem *p, int64_t rows, int needed) {
    return learn(t, p, rows, needed, false);
}

static void classify_has_the_gradients_of_its_loss(void) {
    static struct problem p;
    make_problem(&p);
    for (size_t level = 0; level < LEVEL_COUNT; level++) {
        struct tape *t = open_tape(LEVELS[level], DTYPE_F32, NULL);
        if (t == NULL) {
            continue;
        }
        CHECK_NEAR(classify(t, &p, ROWS, NEED_ALL), loss_of(&p), 1e-3);
        for (int i = 0; i < ROWS * WIDTH; i++) {
            CHECK_NEAR((double)p.dx[i], slope(&p, &p.x[i], i / WIDTH),
                       p.labels[i / WIDTH] < 0 ? 0 : 1e-6);
        }
        for (int i = 0; i < MATRIX; i++) {
            CHECK_NEAR((double)p.dweight[i], slope(&p, &p.weight[i], -1), 3e-5);
        }
        for (int i = 0; i < CLASSES; i++) {
            CHECK_NEAR((double)p.dbias[i], slope(&p, &p.bias[i], -1), 3e-5);
        }
        close_tape(t);
    }
}

static void classify_computes_what_is_needed(void) {
    static struct problem p, all;
    struct tape *t = open_tape("portable", DTYPE_F32, NULL);
    make_problem(&p);
    classify(t, &p, ROWS, NEED_ALL);
    all = p;
    for (int needed = 0; needed < NEED_ALL; needed++) {
        static const float nothing[ROWS * WIDTH];
        CHECK_NEAR(classify(t, &p, ROWS, needed), loss_of(&p), 1e-3);
        CHECK(memcmp(p.dx, needed & NEED_X ? all.dx : nothing, sizeof p.dx) == 0);
        CHECK(memcmp(p.dweight, needed & NEED_WEIGHT ? all.dweight : nothing, sizeof p.dweight) ==
              0);
        CHECK(memcmp(p.dbias, needed & NEED_BIAS ? all.dbias : nothing, sizeof p.dbias) == 0);
    }
    close_tape(t);
}

/* Whatever the number of rows: one, a chunk, one more, none that counts. */
static void classify_is_linear_and_cross_entropy(void) {
    static const int64_t COUNTS[] = {1, 255, 256, 257, ROWS};
    static struct problem p, apart;
    struct tape *t = open_tape("portable", DTYPE_F32, NULL);
    make_problem(&p);
    for (size_t i = 0; i < sizeof COUNTS / sizeof *COUNTS; i++) {
        apart = p;
        const double loss = learn(t, &apart, COUNTS[i], NEED_ALL, true);
        CHECK_NEAR(classify(t, &p, COUNTS[i], NEED_ALL), loss, 1e-3);
        for (int k = 0; k < ROWS * WIDTH; k++) {
            CHECK_NEAR((double)p.dx[k], (double)apart.dx[k], 1e-6);
        }
        for (int k = 0; k < MATRIX; k++) {
            CHECK_NEAR((double)p.dweight[k], (double)apart.dweight[k], 2e-5);
        }
    }
    for (int r = 0; r < ROWS; r++) {
        p.labels[r] = -1;
    }
    CHECK_NEAR(classify(t, &p, ROWS, NEED_ALL), 0, 0);
    for (int k = 0; k < MATRIX; k++) {
        CHECK_NEAR((double)p.dweight[k], 0, 0);
    }
    close_tape(t);
}

/* Two classifiers without bias read what a product gives: its gradient is the sum of theirs. */
static void gradients_of_several_losses_add_up(void) {
    static struct problem p;
    static float sums[2][WIDTH * WIDTH];
    struct tape *t = open_tape("portable", DTYPE_F32, NULL);
    float mix[WIDTH * WIDTH];
    make_problem(&p);
    for (int i = 0; i < WIDTH * WIDTH; i++) {
        mix[i] = (float)random_number();
    }
    for (int heads = 1; heads <= 2; heads++) {
        tape_begin(t);
        const struct inputs in = come_in(t, &p, ROWS, 0);
        const struct tensor labels = numbers_of(t, p.labels, ROWS), sum = zero(t);
        const struct tensor matrix = floats(t, mix, WIDTH, WIDTH);
        const struct tensor place = floats(t, sums[heads - 1], WIDTH, WIDTH);
        struct node *y = tape_linear(t, in.x, tape_input(t, &matrix, &place), NULL);
        for (int i = 0; i < heads; i++) {
            tape_classify(t, y, in.weight, NULL, &labels, (float)SCALE, &sum);
        }
        CHECK_NUMBER(tape_backward(t, NULL), 0);
        download_floats(t, sums[heads - 1], &place);
    }
    for (int i = 0; i < WIDTH * WIDTH; i++) {
        CHECK(sums[0][i] != 0);
        CHECK_NEAR((double)sums[1][i], 2 * (double)sums[0][i], 1e-4);
    }
    close_tape(t);
}

/* The products' rounding to BF16 moves a gradient by little. */
static void bf16_gradients_point_the_same_way(void) {
    static struct problem p, exact;
    struct tape *t = open_tape(NULL, DTYPE_F32, NULL);
    make_problem(&exact);
    classify(t, &exact, ROWS, NEED_ALL);
    close_tape(t);
    t = open_tape(NULL, DTYPE_BF16, NULL);
    if (t == NULL) {
        printf("# no bf16 products on this processor\n");
        return;
    }
    p = exact;
    CHECK_NEAR(classify(t, &p, ROWS, NEED_ALL) / loss_of(&p), 1, 1e-3);
    double ab = 0, aa = 0, bb = 0;
    for (int i = 0; i < MATRIX; i++) {
        double a = (double)exact.dweight[i], b = (double)p.dweight[i];
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    CHECK_NEAR(ab / sqrt(aa * bb), 1, 1e-3);
    close_tape(t);
}

int main(void) {
    RUN(bf16_gradients_point_the_same_way); /* first: oneDNN is limited to the first level named */
    RUN(cross_entropy_is_that_of_the_definition);
    RUN(classify_has_the_gradients_of_its_loss);
    RUN(classify_computes_what_is_needed);
    RUN(classify_is_linear_and_cross_entropy);
    RUN(gradients_of_several_losses_add_up);
    return test_finish();
}
