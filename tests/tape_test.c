/* The gradients of every operation of the tape against central differences of a plain version in
 * double precision: for outputs y and random weights r, d(sum r y)/dx, for every number of every
 * input. Losses: tape_loss_test.c. */
#include "train/tape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/test.h"

enum { INPUTS = 4, LARGEST = 4096 };

struct matrix {
    int64_t rows, width;
    double values[LARGEST];
};

static uint64_t state = 1;

static double random_number(void) { /* -1 to 1 */
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)(state >> 11) * 0x1p-52 - 1.0;
}

/* ---- The operations, plainly ------------------------------------------------------------ */

struct operation {
    const char *name;
    int inputs;
    int64_t sizes[INPUTS][2];
    void (*plain)(struct matrix *y, const struct matrix *x);
    struct tensor *(*taped)(struct tape *t, struct tensor **x);
};

static void linear_plain(struct matrix *y, const struct matrix *x) {
    *y = (struct matrix){.rows = x[0].rows, .width = x[1].rows};
    for (int64_t r = 0; r < y->rows; r++) {
        for (int64_t o = 0; o < y->width; o++) {
            double sum = x[2].values[o];
            for (int64_t i = 0; i < x[0].width; i++) {
                sum += x[0].values[r * x[0].width + i] * x[1].values[o * x[1].width + i];
            }
            y->values[r * y->width + o] = sum;
        }
    }
}

static struct tensor *linear_taped(struct tape *t, struct tensor **x) {
    return tape_linear(t, x[0], x[1], x[2]);
}

/* Two products in a row: what is between them gets and passes on a gradient. */
static void twice_plain(struct matrix *y, const struct matrix *x) {
    struct matrix first[3];
    linear_plain(&first[0], x);
    first[1] = x[3];
    first[2] = (struct matrix){.rows = 1, .width = x[3].rows};
    linear_plain(y, first);
}

static struct tensor *twice_taped(struct tape *t, struct tensor **x) {
    return tape_linear(t, tape_linear(t, x[0], x[1], x[2]), x[3], NULL);
}

static void gelu_plain(struct matrix *y, const struct matrix *x) {
    *y = x[0];
    for (int64_t i = 0; i < y->rows * y->width; i++) {
        y->values[i] *= erfc(-y->values[i] / sqrt(2)) / 2;
    }
}

static struct tensor *gelu_taped(struct tape *t, struct tensor **x) {
    return tape_gelu(t, x[0]);
}

static void quick_gelu_plain(struct matrix *y, const struct matrix *x) {
    *y = x[0];
    for (int64_t i = 0; i < y->rows * y->width; i++) {
        y->values[i] /= 1 + exp(-1.702 * y->values[i]);
    }
}

static struct tensor *quick_gelu_taped(struct tape *t, struct tensor **x) {
    return tape_quick_gelu(t, x[0]);
}

static void layer_norm_plain(struct matrix *y, const struct matrix *x) {
    *y = x[0];
    for (int64_t r = 0; r < y->rows; r++) {
        double *row = y->values + r * y->width, mean = 0, variance = 0;
        for (int64_t i = 0; i < y->width; i++) {
            mean += row[i] / (double)y->width;
        }
        for (int64_t i = 0; i < y->width; i++) {
            variance += (row[i] - mean) * (row[i] - mean) / (double)y->width;
        }
        for (int64_t i = 0; i < y->width; i++) {
            row[i] = (row[i] - mean) / sqrt(variance + 1e-5) * x[1].values[i] + x[2].values[i];
        }
    }
}

static struct tensor *layer_norm_taped(struct tape *t, struct tensor **x) {
    return tape_layer_norm(t, x[0], x[1], x[2], 1e-5f);
}

static void add_plain(struct matrix *y, const struct matrix *x) {
    *y = x[0];
    for (int64_t i = 0; i < y->rows * y->width; i++) {
        y->values[i] += x[1].values[i % (x[1].rows * x[1].width)];
    }
}

static struct tensor *add_taped(struct tape *t, struct tensor **x) {
    return tape_add(t, x[0], x[1]);
}

static void mean_plain(struct matrix *y, const struct matrix *x) {
    *y = x[0];
    for (int64_t i = 0; i < y->rows * y->width; i++) {
        y->values[i] = (x[0].values[i] + x[1].values[i]) / 2;
    }
}

static struct tensor *mean_taped(struct tape *t, struct tensor **x) {
    return tape_mean(t, x[0], x[1]);
}

static const int32_t INDEX[] = {2, -1, 0, 2, 4};

static void gather_plain(struct matrix *y, const struct matrix *x) {
    *y = (struct matrix){.rows = 5, .width = x[0].width};
    for (int64_t i = 0; i < 5; i++) {
        for (int64_t j = 0; j < y->width && INDEX[i] >= 0; j++) {
            y->values[i * y->width + j] = x[0].values[INDEX[i] * y->width + j];
        }
    }
}

static struct tensor *gather_taped(struct tape *t, struct tensor **x) {
    return tape_gather(t, x[0], INDEX, 5);
}

static void stack_plain(struct matrix *y, const struct matrix *x) {
    int64_t above = x[0].rows * x[0].width;
    *y = x[0];
    y->rows += x[1].rows;
    memcpy(y->values + above, x[1].values, (size_t)(x[1].rows * x[1].width) * sizeof *y->values);
}

static struct tensor *stack_taped(struct tape *t, struct tensor **x) {
    return tape_stack(t, x[0], x[1]);
}

static void beside_plain(struct matrix *y, const struct matrix *x) {
    int64_t a = x[0].width, b = x[1].width;
    *y = (struct matrix){.rows = x[0].rows, .width = a + b};
    for (int64_t i = 0; i < y->rows * (a + b); i++) {
        int64_t r = i / (a + b), c = i % (a + b);
        y->values[i] = c < a ? x[0].values[r * a + c] : x[1].values[r * b + c - a];
    }
}

static struct tensor *beside_taped(struct tape *t, struct tensor **x) {
    return tape_beside(t, x[0], x[1]);
}

/* A picture twice in one sum, once in another shape: both gradients reach it. */
static void shape_plain(struct matrix *y, const struct matrix *x) {
    *y = x[0];
    for (int64_t i = 0; i < y->rows * y->width; i++) {
        y->values[i] = x[0].values[i] * 2;
    }
}

static struct tensor *shape_taped(struct tape *t, struct tensor **x) {
    struct tensor *view = tape_shape(t, x[0], x[0]->width, x[0]->rows);
    return tape_add(t, tape_shape(t, view, x[0]->rows, x[0]->width), x[0]);
}

/* Keys' cubic with a = -0.5. */
static double cubic(double x) {
    x = fabs(x);
    return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/* How much number `j` of `from` adds to number `i` of `to`: the kernel is as wide as the step where
 * numbers become fewer (antialias), and its weights within the row add up to 1. */
static double bicubic_share(int64_t i, int64_t to, int64_t j, int64_t from) {
    double step = (double)from / (double)to, wide = step > 1 ? step : 1, sum = 0;
    for (int64_t k = 0; k < from; k++) {
        sum += cubic(((double)k + 0.5 - step * ((double)i + 0.5)) / wide);
    }
    return cubic(((double)j + 0.5 - step * ((double)i + 0.5)) / wide) / sum;
}

enum { FROM_ROWS = 7, FROM_COLUMNS = 3, TO_ROWS = 4, TO_COLUMNS = 5 };

/* Down to fewer, across to more. */
static void bicubic_plain(struct matrix *y, const struct matrix *x) {
    *y = (struct matrix){.rows = TO_ROWS * TO_COLUMNS, .width = x[0].width};
    for (int64_t i = 0; i < y->rows * FROM_ROWS * FROM_COLUMNS; i++) {
        int64_t to = i / (FROM_ROWS * FROM_COLUMNS), from = i % (FROM_ROWS * FROM_COLUMNS);
        double share =
            bicubic_share(to / TO_COLUMNS, TO_ROWS, from / FROM_COLUMNS, FROM_ROWS) *
            bicubic_share(to % TO_COLUMNS, TO_COLUMNS, from % FROM_COLUMNS, FROM_COLUMNS);
        for (int64_t c = 0; c < y->width; c++) {
            y->values[to * y->width + c] += share * x[0].values[from * y->width + c];
        }
    }
}

static struct tensor *bicubic_taped(struct tape *t, struct tensor **x) {
    return tape_resample_bicubic(t, x[0], FROM_ROWS, FROM_COLUMNS, TO_ROWS, TO_COLUMNS);
}

static void resample_linear_plain(struct matrix *y, const struct matrix *x, int64_t rows) {
    *y = (struct matrix){.rows = rows, .width = x[0].width};
    for (int64_t i = 0; i < rows; i++) {
        double at = fmax(((double)i + 0.5) * (double)x[0].rows / (double)rows - 0.5, 0);
        int64_t left = (int64_t)at, right = left + 1 < x[0].rows ? left + 1 : left;
        for (int64_t c = 0; c < y->width; c++) {
            double l = x[0].values[left * y->width + c], r = x[0].values[right * y->width + c];
            y->values[i * y->width + c] = l + (at - (double)left) * (r - l);
        }
    }
}

static void fewer_plain(struct matrix *y, const struct matrix *x) {
    resample_linear_plain(y, x, 5);
}

static void more_plain(struct matrix *y, const struct matrix *x) {
    resample_linear_plain(y, x, 15);
}

static struct tensor *fewer_taped(struct tape *t, struct tensor **x) {
    return tape_resample_linear(t, x[0], 5);
}

static struct tensor *more_taped(struct tape *t, struct tensor **x) {
    return tape_resample_linear(t, x[0], 15);
}

static const struct convolution SHAPE = {
    .height = 5, .width = 4, .channels = 3, .size = 3, .stride_y = 2, .stride_x = 1, .pad = 1};

static void convolve_plain(struct matrix *y, const struct matrix *x) {
    enum { BATCH = 2, OUT_HEIGHT = 3, OUT_WIDTH = 4, TAPS = 9 };
    *y = (struct matrix){.rows = BATCH * OUT_HEIGHT * OUT_WIDTH, .width = x[1].rows};
    for (int64_t i = 0; i < y->rows * y->width; i++) {
        int64_t o = i % y->width, column = i / y->width % OUT_WIDTH;
        int64_t row = i / y->width / OUT_WIDTH % OUT_HEIGHT;
        int64_t page = i / y->width / OUT_WIDTH / OUT_HEIGHT;
        y->values[i] = x[2].values[o];
        for (int64_t tap = 0; tap < TAPS * 3; tap++) {
            int64_t channel = tap / TAPS, py = 2 * row + tap % TAPS / 3 - 1;
            int64_t px = column + tap % 3 - 1;
            if (py >= 0 && py < 5 && px >= 0 && px < 4) {
                y->values[i] += x[1].values[o * TAPS * 3 + tap] *
                                x[0].values[((page * 5 + py) * 4 + px) * 3 + channel];
            }
        }
    }
}

static struct tensor *convolve_taped(struct tape *t, struct tensor **x) {
    return tape_convolve(t, x[0], 2, &SHAPE, x[1], x[2]);
}

enum { HEADS = 2, HEAD = 5, GRID_HEIGHT = 3, GRID_WIDTH = 2, TOKENS = 6, SEQUENCES = 2 };

static void attention_plain_with(struct matrix *y, const struct matrix *x, bool biased) {
    *y = (struct matrix){.rows = x[0].rows, .width = HEADS * HEAD};
    for (int64_t i = 0; i < y->rows * HEADS; i++) {
        int64_t row = i / HEADS, head = i % HEADS, query = row % TOKENS, first = row - query;
        const double *q = x[0].values + row * x[0].width + head * HEAD;
        double p[TOKENS], sum = 0;
        for (int64_t key = 0; key < TOKENS; key++) {
            const double *k = x[0].values + (first + key) * x[0].width + (HEADS + head) * HEAD;
            double score = 0;
            for (int64_t c = 0; c < HEAD; c++) {
                score += q[c] * k[c] / sqrt(HEAD);
                if (biased) {
                    int64_t dy = query / GRID_WIDTH - key / GRID_WIDTH + GRID_HEIGHT - 1;
                    int64_t dx = query % GRID_WIDTH - key % GRID_WIDTH + GRID_WIDTH - 1;
                    score += q[c] * (x[1].values[dy * HEAD + c] + x[2].values[dx * HEAD + c]);
                }
            }
            sum += p[key] = exp(score);
        }
        for (int64_t key = 0; key < TOKENS; key++) {
            const double *v = x[0].values + (first + key) * x[0].width + (2 * HEADS + head) * HEAD;
            for (int64_t c = 0; c < HEAD; c++) {
                y->values[row * y->width + head * HEAD + c] += p[key] / sum * v[c];
            }
        }
    }
}

static void attention_plain(struct matrix *y, const struct matrix *x) {
    attention_plain_with(y, x, false);
}

static void position_plain(struct matrix *y, const struct matrix *x) {
    attention_plain_with(y, x, true);
}

static struct tensor *attention_taped(struct tape *t, struct tensor **x) {
    const struct tape_attention shape = {.heads = HEADS, .head_dim = HEAD, .tokens = TOKENS};
    return tape_attention(t, x[0], &shape);
}

static struct tensor *position_taped(struct tape *t, struct tensor **x) {
    const struct tape_attention shape = {.heads = HEADS,
                                         .head_dim = HEAD,
                                         .tokens = TOKENS,
                                         .height = GRID_HEIGHT,
                                         .width = GRID_WIDTH,
                                         .rel_h = x[1],
                                         .rel_w = x[2]};
    return tape_attention(t, x[0], &shape);
}

static const struct operation OPERATIONS[] = {
    {"linear", 3, {{7, 19}, {23, 19}, {1, 23}}, linear_plain, linear_taped},
    {"linear of linear", 4, {{7, 19}, {23, 19}, {1, 23}, {5, 23}}, twice_plain, twice_taped},
    {"gelu", 1, {{5, 21}}, gelu_plain, gelu_taped},
    {"quick gelu", 1, {{5, 21}}, quick_gelu_plain, quick_gelu_taped},
    {"layer norm", 3, {{5, 37}, {1, 37}, {1, 37}}, layer_norm_plain, layer_norm_taped},
    {"add", 2, {{6, 17}, {6, 17}}, add_plain, add_taped},
    {"add, repeated", 2, {{6, 17}, {2, 17}}, add_plain, add_taped},
    {"mean", 2, {{6, 17}, {6, 17}}, mean_plain, mean_taped},
    {"gather", 1, {{5, 18}}, gather_plain, gather_taped},
    {"stack", 2, {{5, 18}, {3, 18}}, stack_plain, stack_taped},
    {"beside", 2, {{5, 18}, {5, 3}}, beside_plain, beside_taped},
    {"shape", 1, {{5, 18}}, shape_plain, shape_taped},
    {"resample, bicubic", 1, {{FROM_ROWS * FROM_COLUMNS, 3}}, bicubic_plain, bicubic_taped},
    {"resample, linear, to fewer", 1, {{11, 3}}, fewer_plain, fewer_taped},
    {"resample, linear, to more", 1, {{11, 3}}, more_plain, more_taped},
    {"convolve", 3, {{40, 3}, {7, 27}, {1, 7}}, convolve_plain, convolve_taped},
    {"attention", 1, {{SEQUENCES * TOKENS, 3 * HEADS *HEAD}}, attention_plain, attention_taped},
    {"attention with positions",
     3,
     {{SEQUENCES * TOKENS, 3 * HEADS *HEAD}, {5, HEAD}, {3, HEAD}},
     position_plain,
     position_taped},
};

/* ---- The comparison ------------------------------------------------------------------------ */

static struct matrix inputs[INPUTS], output;
static double weights[LARGEST];

static double weighted(const struct operation *o) {
    double sum = 0;
    o->plain(&output, inputs);
    for (int64_t i = 0; i < output.rows * output.width; i++) {
        sum += weights[i] * output.values[i];
    }
    return sum;
}

struct taping {
    float values[INPUTS][LARGEST], gradients[INPUTS][LARGEST];
    struct tensor *x[INPUTS];
};
static struct taping taping;

/* Runs the operation with gradients wanted by the inputs of which the bit is set. */
static void run_taped(struct tape *t, const struct operation *o, int wanted) {
    static float seed[LARGEST];
    tape_begin(t);
    memset(taping.gradients, 0, sizeof taping.gradients);
    for (int i = 0; i < o->inputs; i++) {
        for (int j = 0; j < LARGEST; j++) {
            taping.values[i][j] = (float)inputs[i].values[j];
        }
        taping.x[i] = tape_input(t, taping.values[i], NULL, inputs[i].rows, inputs[i].width,
                                 wanted >> i & 1 ? taping.gradients[i] : NULL);
    }
    struct tensor *y = o->taped(t, taping.x);
    for (int j = 0; j < LARGEST; j++) {
        seed[j] = (float)weights[j];
    }
    tape_seed(t, y, seed);
    struct error e = {0};
    CHECK_NUMBER(tape_backward(t, &e), 0);
    CHECK_TEXT(e.text, "");
    o->plain(&output, inputs);
    for (int64_t i = 0; i < output.rows * output.width && y != NULL; i++) {
        if (!test_near((double)y->value[i], output.values[i], 1e-5, o->name, (int)i)) {
            return;
        }
    }
}

static void fill_inputs(const struct operation *o) {
    for (int i = 0; i < o->inputs; i++) {
        inputs[i].rows = o->sizes[i][0];
        inputs[i].width = o->sizes[i][1];
        for (int64_t j = 0; j < inputs[i].rows * inputs[i].width; j++) {
            inputs[i].values[j] = (double)(float)random_number();
        }
    }
    for (int j = 0; j < LARGEST; j++) {
        weights[j] = (double)(float)random_number();
    }
}

static void compare(struct tape *t, const struct operation *o) {
    const double h = 1e-5;
    fill_inputs(o);
    run_taped(t, o, (1 << o->inputs) - 1);
    for (int i = 0; i < o->inputs; i++) {
        for (int64_t j = 0; j < inputs[i].rows * inputs[i].width; j++) {
            double at = inputs[i].values[j];
            inputs[i].values[j] = at + h;
            double above = weighted(o);
            inputs[i].values[j] = at - h;
            double below = weighted(o);
            inputs[i].values[j] = at;
            if (!test_near((double)taping.gradients[i][j], (above - below) / (2 * h), 3e-5, o->name,
                           i * 10000 + (int)j)) {
                break;
            }
        }
    }
}

static const char *const LEVELS[] = {"portable", "avx2", "avx512"};

static struct tape *open_tape(const char *level, enum dtype compute) {
    struct tape *t = NULL;
    setenv("OCC_CPU", level, 1);
    int rc = tape_open(&t, &BACKEND_CPU, compute, NULL);
    return rc == 0 ? t : NULL;
}

static void gradients_are_central_differences(void) {
    for (size_t level = 0; level < sizeof LEVELS / sizeof *LEVELS; level++) {
        struct tape *t = open_tape(LEVELS[level], DTYPE_F32);
        for (size_t i = 0; t != NULL && i < sizeof OPERATIONS / sizeof *OPERATIONS; i++) {
            compare(t, &OPERATIONS[i]);
        }
        tape_close(t);
    }
    unsetenv("OCC_CPU");
}

/* An input that wants no gradient gets none, and the others get the same as with it. */
static void only_wanted_gradients_are_computed(void) {
    struct tape *t = open_tape("portable", DTYPE_F32);
    for (size_t i = 0; i < sizeof OPERATIONS / sizeof *OPERATIONS; i++) {
        const struct operation *o = &OPERATIONS[i];
        if (strcmp(o->name, "layer norm") == 0) {
            continue; /* gamma and beta are wanted together */
        }
        fill_inputs(o);
        run_taped(t, o, (1 << o->inputs) - 1);
        static float all[INPUTS][LARGEST];
        memcpy(all, taping.gradients, sizeof all);
        for (int one = 0; one < o->inputs; one++) {
            run_taped(t, o, 1 << one);
            CHECK(memcmp(all[one], taping.gradients[one], sizeof all[one]) == 0);
        }
        size_t before = tape_peak(t);
        run_taped(t, o, 0);
        CHECK(tape_peak(t) == before);
    }
    tape_close(t);
    unsetenv("OCC_CPU");
}

/* The products' rounding to BF16 moves a gradient by little. */
static void bf16_gradients_point_the_same_way(void) {
    struct tape *t = NULL;
    if (!BACKEND_CPU.has_bf16()) {
        printf("# no bf16 products on this processor\n");
        return;
    }
    CHECK_NUMBER(tape_open(&t, &BACKEND_CPU, DTYPE_BF16, NULL), 0);
    struct tape *exact = NULL;
    CHECK_NUMBER(tape_open(&exact, &BACKEND_CPU, DTYPE_F32, NULL), 0);
    static float gradients[INPUTS][LARGEST];
    for (size_t i = 0; i < sizeof OPERATIONS / sizeof *OPERATIONS; i++) {
        const struct operation *o = &OPERATIONS[i];
        fill_inputs(o);
        run_taped(exact, o, (1 << o->inputs) - 1);
        memcpy(gradients, taping.gradients, sizeof gradients);
        tape_begin(t);
        memset(taping.gradients, 0, sizeof taping.gradients);
        for (int j = 0; j < o->inputs; j++) {
            taping.x[j] = tape_input(t, taping.values[j], NULL, inputs[j].rows, inputs[j].width,
                                     taping.gradients[j]);
        }
        static float seed[LARGEST];
        for (int j = 0; j < LARGEST; j++) {
            seed[j] = (float)weights[j];
        }
        tape_seed(t, o->taped(t, taping.x), seed);
        CHECK_NUMBER(tape_backward(t, NULL), 0);
        for (int j = 0; j < o->inputs; j++) {
            double ab = 0, aa = 0, bb = 0;
            for (int k = 0; k < LARGEST; k++) {
                double a = (double)gradients[j][k], b = (double)taping.gradients[j][k];
                ab += a * b;
                aa += a * a;
                bb += b * b;
            }
            test_near(ab / sqrt(aa * bb), 1, 1e-3, o->name, j);
        }
    }
    tape_close(t);
    tape_close(exact);
}

/* Scores of more groups than are held at once, in one tape as in several. */
static void long_sequences_are_taken_in_parts(void) {
    enum { LONG = 600, DIM = 16 };
    struct tape *t = open_tape("portable", DTYPE_F32);
    float *qkv = malloc(4 * LONG * 3 * DIM * sizeof *qkv);
    float *together = calloc(4 * LONG * 3 * DIM, sizeof *together);
    float *alone = calloc(4 * LONG * 3 * DIM, sizeof *alone);
    float *seed = malloc(4 * LONG * DIM * sizeof *seed);
    const struct tape_attention shape = {.heads = 1, .head_dim = DIM, .tokens = LONG};
    for (int i = 0; i < 4 * LONG * 3 * DIM; i++) {
        qkv[i] = (float)random_number();
    }
    for (int i = 0; i < 4 * LONG * DIM; i++) {
        seed[i] = (float)random_number();
    }
    tape_begin(t);
    tape_seed(t, tape_attention(t, tape_input(t, qkv, NULL, 4 * LONG, 3 * DIM, together), &shape),
              seed);
    CHECK_NUMBER(tape_backward(t, NULL), 0);
    for (int s = 0; s < 4; s++) {
        size_t at = (size_t)s * LONG * 3 * DIM;
        tape_begin(t);
        tape_seed(
            t, tape_attention(t, tape_input(t, qkv + at, NULL, LONG, 3 * DIM, alone + at), &shape),
            seed + (size_t)s * LONG * DIM);
        CHECK_NUMBER(tape_backward(t, NULL), 0);
    }
    double most = 0;
    for (int i = 0; i < 4 * LONG * 3 * DIM; i++) {
        most = fmax(most, fabs((double)together[i] - (double)alone[i]));
    }
    CHECK_NEAR(most, 0, 1e-6);
    free(qkv);
    free(together);
    free(alone);
    free(seed);
    tape_close(t);
    unsetenv("OCC_CPU");
}

static void resampling_to_the_same_size_is_nothing(void) {
    struct tape *t = open_tape("portable", DTYPE_F32);
    float values[12] = {0}, gradient[12] = {0};
    tape_begin(t);
    struct tensor *x = tape_input(t, values, NULL, 6, 2, gradient);
    CHECK(tape_resample_bicubic(t, x, 2, 3, 2, 3) == x);
    CHECK(tape_resample_linear(t, x, 6) == x);
    tape_close(t);
    unsetenv("OCC_CPU");
}

int main(void) {
    RUN(bf16_gradients_point_the_same_way); /* first: oneDNN is limited to the first level named */
    RUN(gradients_are_central_differences);
    RUN(only_wanted_gradients_are_computed);
    RUN(long_sequences_are_taken_in_parts);
    RUN(resampling_to_the_same_size_is_nothing);
    return test_finish();
}
