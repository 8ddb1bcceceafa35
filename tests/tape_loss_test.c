/* Losses of the tape against the definition of the cross-entropy in double precision, and their
 * gradients against its central differences. */
#include "tests/test.h"
#include "train/tape.h"

/* More rows than a chunk of tape_classify has (256), and one chunk that is not full. */
enum { ROWS = 300, WIDTH = 5, CLASSES = 21, MATRIX = CLASSES * WIDTH };
#define SCALE 0.25

static uint64_t state = 1;

static double random_number(void) { /* -1 to 1 */
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)(state >> 11) * 0x1p-52 - 1.0;
}

static const char *const LEVELS[] = {"portable", "avx2", "avx512"};
enum { LEVEL_COUNT = sizeof LEVELS / sizeof *LEVELS };

static struct tape *open_tape(const char *level, enum dtype compute) {
    struct tape *t = NULL;
    setenv("OCC_CPU", level, 1);
    int rc = tape_open(&t, &BACKEND_CPU, compute, NULL);
    unsetenv("OCC_CPU");
    return rc == 0 ? t : NULL;
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
        struct tape *t = open_tape(LEVELS[level], DTYPE_F32);
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
        struct tensor *x = tape_input(t, values, NULL, LOGIT_ROWS, CLASSES, gradient);
        double loss = tape_cross_entropy(t, x, labels, (float)SCALE);
        CHECK_NUMBER(tape_backward(t, NULL), 0);
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
        tape_close(t);
    }
}

/* ---- Behind a linear layer ------------------------------------------------------------------- */

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

enum { WANT_X = 1, WANT_WEIGHT = 2, WANT_BIAS = 4, WANT_ALL = 7 };

/* The loss, with gradients of what is wanted; `rows`: the first ones of the problem. */
static double classify(struct tape *t, struct problem *p, int64_t rows, int wanted) {
    memset(p->dx, 0, sizeof p->dx);
    memset(p->dweight, 0, sizeof p->dweight);
    memset(p->dbias, 0, sizeof p->dbias);
    tape_begin(t);
    struct tensor *x =
        tape_input(t, p->x_values, NULL, rows, WIDTH, wanted & WANT_X ? p->dx : NULL);
    struct tensor *weight = tape_input(t, p->weight_values, NULL, CLASSES, WIDTH,
                                       wanted & WANT_WEIGHT ? p->dweight : NULL);
    struct tensor *bias =
        tape_input(t, p->bias_values, NULL, 1, CLASSES, wanted & WANT_BIAS ? p->dbias : NULL);
    double loss = tape_classify(t, x, weight, bias, p->labels, (float)SCALE);
    CHECK_NUMBER(tape_backward(t, NULL), 0);
    return loss;
}

static void classify_has_the_gradients_of_its_loss(void) {
    static struct problem p;
    make_problem(&p);
    for (size_t level = 0; level < LEVEL_COUNT; level++) {
        struct tape *t = open_tape(LEVELS[level], DTYPE_F32);
        if (t == NULL) {
            continue;
        }
        CHECK_NEAR(classify(t, &p, ROWS, WANT_ALL), loss_of(&p), 1e-3);
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
        tape_close(t);
    }
}

static void classify_computes_what_is_wanted(void) {
    static struct problem p, all;
    struct tape *t = open_tape("portable", DTYPE_F32);
    make_problem(&p);
    classify(t, &p, ROWS, WANT_ALL);
    all = p;
    for (int wanted = 0; wanted < WANT_ALL; wanted++) {
        static const float nothing[ROWS * WIDTH];
        CHECK_NEAR(classify(t, &p, ROWS, wanted), loss_of(&p), 1e-3);
        CHECK(memcmp(p.dx, wanted & WANT_X ? all.dx : nothing, sizeof p.dx) == 0);
        CHECK(memcmp(p.dweight, wanted & WANT_WEIGHT ? all.dweight : nothing, sizeof p.dweight) ==
              0);
        CHECK(memcmp(p.dbias, wanted & WANT_BIAS ? all.dbias : nothing, sizeof p.dbias) == 0);
    }
    tape_close(t);
}

/* Whatever the number of rows: one, a chunk, one more, none that counts. */
static void classify_is_linear_and_cross_entropy(void) {
    static const int64_t COUNTS[] = {1, 255, 256, 257, ROWS};
    static struct problem p, apart;
    struct tape *t = open_tape("portable", DTYPE_F32);
    make_problem(&p);
    for (size_t i = 0; i < sizeof COUNTS / sizeof *COUNTS; i++) {
        apart = p;
        tape_begin(t);
        struct tensor *x = tape_input(t, apart.x_values, NULL, COUNTS[i], WIDTH, apart.dx);
        struct tensor *w = tape_input(t, apart.weight_values, NULL, CLASSES, WIDTH, apart.dweight);
        struct tensor *b = tape_input(t, apart.bias_values, NULL, 1, CLASSES, apart.dbias);
        memset(apart.dx, 0, sizeof apart.dx);
        memset(apart.dweight, 0, sizeof apart.dweight);
        memset(apart.dbias, 0, sizeof apart.dbias);
        double loss = tape_cross_entropy(t, tape_linear(t, x, w, b), p.labels, (float)SCALE);
        CHECK_NUMBER(tape_backward(t, NULL), 0);
        CHECK_NEAR(classify(t, &p, COUNTS[i], WANT_ALL), loss, 1e-3);
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
    CHECK_NEAR(classify(t, &p, ROWS, WANT_ALL), 0, 0);
    for (int k = 0; k < MATRIX; k++) {
        CHECK_NEAR((double)p.dweight[k], 0, 0);
    }
    tape_close(t);
}

/* Two classifiers without bias read what a product gives: its gradient is the sum of theirs. */
static void gradients_of_several_losses_add_up(void) {
    static struct problem p;
    static float once[WIDTH * WIDTH], twice[WIDTH * WIDTH];
    struct tape *t = open_tape("portable", DTYPE_F32);
    float mix[WIDTH * WIDTH];
    make_problem(&p);
    for (int i = 0; i < WIDTH * WIDTH; i++) {
        mix[i] = (float)random_number();
    }
    for (int heads = 1; heads <= 2; heads++) {
        tape_begin(t);
        struct tensor *x = tape_input(t, p.x_values, NULL, ROWS, WIDTH, NULL);
        struct tensor *y = tape_linear(
            t, x, tape_input(t, mix, NULL, WIDTH, WIDTH, heads == 1 ? once : twice), NULL);
        struct tensor *w = tape_input(t, p.weight_values, NULL, CLASSES, WIDTH, NULL);
        for (int i = 0; i < heads; i++) {
            tape_classify(t, y, w, NULL, p.labels, (float)SCALE);
        }
        CHECK_NUMBER(tape_backward(t, NULL), 0);
    }
    for (int i = 0; i < WIDTH * WIDTH; i++) {
        CHECK(once[i] != 0);
        CHECK_NEAR((double)twice[i], 2 * (double)once[i], 1e-4);
    }
    tape_close(t);
}

/* The products' rounding to BF16 moves a gradient by little. */
static void bf16_gradients_point_the_same_way(void) {
    static struct problem p, exact;
    struct tape *t = NULL;
    if (!BACKEND_CPU.has_bf16()) {
        printf("# no bf16 products on this processor\n");
        return;
    }
    CHECK_NUMBER(tape_open(&t, &BACKEND_CPU, DTYPE_F32, NULL), 0);
    make_problem(&exact);
    classify(t, &exact, ROWS, WANT_ALL);
    tape_close(t);
    CHECK_NUMBER(tape_open(&t, &BACKEND_CPU, DTYPE_BF16, NULL), 0);
    p = exact;
    CHECK_NEAR(classify(t, &p, ROWS, WANT_ALL) / loss_of(&p), 1, 1e-3);
    double ab = 0, aa = 0, bb = 0;
    for (int i = 0; i < MATRIX; i++) {
        double a = (double)exact.dweight[i], b = (double)p.dweight[i];
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    CHECK_NEAR(ab / sqrt(aa * bb), 1, 1e-3);
    tape_close(t);
}

int main(void) {
    RUN(bf16_gradients_point_the_same_way); /* first: oneDNN is limited to the first level named */
    RUN(cross_entropy_is_that_of_the_definition);
    RUN(classify_has_the_gradients_of_its_loss);
    RUN(classify_computes_what_is_wanted);
    RUN(classify_is_linear_and_cross_entropy);
    RUN(gradients_of_several_losses_add_up);
    return test_finish();
}
