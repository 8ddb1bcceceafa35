/* Every operation of the tape but attention and losses: values and gradients against a plain
 * version in double precision (tape_operation.h). */
#include "tests/tape_operation.h"

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

static struct node *linear_taped(struct tape *t, struct node **x) {
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

static struct node *twice_taped(struct tape *t, struct node **x) {
    return tape_linear(t, tape_linear(t, x[0], x[1], x[2]), x[3], NULL);
}

static void gelu_plain(struct matrix *y, const struct matrix *x) {
    *y = x[0];
    for (int64_t i = 0; i < y->rows * y->width; i++) {
        y->values[i] *= erfc(-y->values[i] / sqrt(2)) / 2;
    }
}

static struct node *gelu_taped(struct tape *t, struct node **x) {
    return tape_gelu(t, x[0]);
}

static void quick_gelu_plain(struct matrix *y, const struct matrix *x) {
    *y = x[0];
    for (int64_t i = 0; i < y->rows * y->width; i++) {
        y->values[i] /= 1 + exp(-1.702 * y->values[i]);
    }
}

static struct node *quick_gelu_taped(struct tape *t, struct node **x) {
    return tape_quick_gelu(t, x[0]);
}

static double silu(double x) {
    return x / (1 + exp(-x));
}

static void silu_plain(struct matrix *y, const struct matrix *x) {
    *y = x[0];
    for (int64_t i = 0; i < y->rows * y->width; i++) {
        y->values[i] = silu(y->values[i]);
    }
}

static struct node *silu_taped(struct tape *t, struct node **x) {
    return tape_silu(t, x[0]);
}

static void swiglu_plain(struct matrix *y, const struct matrix *x) {
    *y = x[0];
    for (int64_t i = 0; i < y->rows * y->width; i++) {
        y->values[i] = silu(x[0].values[i]) * x[1].values[i];
    }
}

static struct node *swiglu_taped(struct tape *t, struct node **x) {
    return tape_swiglu(t, x[0], x[1]);
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

static struct node *layer_norm_taped(struct tape *t, struct node **x) {
    return tape_layer_norm(t, x[0], x[1], x[2], 1e-5f);
}

static void rms_norm_plain(struct matrix *y, const struct matrix *x) {
    *y = x[0];
    for (int64_t r = 0; r < y->rows; r++) {
        double *row = y->values + r * y->width, squares = 0;
        for (int64_t i = 0; i < y->width; i++) {
            squares += row[i] * row[i] / (double)y->width;
        }
        for (int64_t i = 0; i < y->width; i++) {
            row[i] = row[i] / sqrt(squares + 1e-5) * x[1].values[i];
        }
    }
}

static struct node *rms_norm_taped(struct tape *t, struct node **x) {
    return tape_rms_norm(t, x[0], x[1], 1e-5f);
}

static void softmax_plain(struct matrix *y, const struct matrix *x) {
    *y = x[0];
    for (int64_t r = 0; r < y->rows; r++) {
        double *row = y->values + r * y->width, sum = 0;
        for (int64_t i = 0; i < y->width; i++) {
            row[i] = exp(row[i]);
            sum += row[i];
        }
        for (int64_t i = 0; i < y->width; i++) {
            row[i] /= sum;
        }
    }
}

static struct node *softmax_taped(struct tape *t, struct node **x) {
    return tape_softmax(t, x[0]);
}

enum { LARGEST_OF_ROW = 3 };

static void top_k_plain(struct matrix *y, const struct matrix *x) {
    *y = (struct matrix){.rows = x[0].rows, .width = LARGEST_OF_ROW};
    for (int64_t i = 0; i < x[0].rows * x[0].width; i++) {
        const double *row = x[0].values + i / x[0].width * x[0].width;
        int64_t before = 0;
        for (int64_t k = 0; k < x[0].width; k++) {
            before += row[k] > x[0].values[i];
        }
        if (before < LARGEST_OF_ROW) {
            y->values[i / x[0].width * LARGEST_OF_ROW + before] = x[0].values[i];
        }
    }
}

static struct node *top_k_taped(struct tape *t, struct node **x) {
    struct tensor index;
    return tape_top_k(t, x[0], LARGEST_OF_ROW, &index);
}

static void cosine_plain(struct matrix *y, const struct matrix *x) {
    *y = (struct matrix){.rows = 1, .width = x[0].rows};
    for (int64_t r = 0; r < x[0].rows; r++) {
        double ab = 0, aa = 0, bb = 0;
        for (int64_t i = 0; i < x[0].width; i++) {
            double a = x[0].values[r * x[0].width + i], b = x[1].values[r * x[0].width + i];
            ab += a * b;
            aa += a * a;
            bb += b * b;
        }
        y->values[r] = ab / sqrt(aa * bb);
    }
}

static struct node *cosine_taped(struct tape *t, struct node **x) {
    return tape_cosine(t, x[0], x[1]);
}

static void add_plain(struct matrix *y, const struct matrix *x) {
    *y = x[0];
    for (int64_t i = 0; i < y->rows * y->width; i++) {
        y->values[i] += x[1].values[i % (x[1].rows * x[1].width)];
    }
}

static struct node *add_taped(struct tape *t, struct node **x) {
    return tape_add(t, x[0], x[1]);
}

static void combine_plain(struct matrix *y, const struct matrix *x) {
    *y = x[0];
    for (int64_t i = 0; i < y->rows * y->width; i++) {
        y->values[i] = 0.75 * x[0].values[i] - 2 * x[1].values[i];
    }
}

static struct node *combine_taped(struct tape *t, struct node **x) {
    return tape_combine(t, 0.75f, x[0], -2, x[1]);
}

static void multiply_plain(struct matrix *y, const struct matrix *x) {
    *y = x[0];
    for (int64_t i = 0; i < y->rows * y->width; i++) {
        y->values[i] *= x[1].values[i];
    }
}

static struct node *multiply_taped(struct tape *t, struct node **x) {
    return tape_multiply(t, x[0], x[1]);
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

static struct node *gather_taped(struct tape *t, struct node **x) {
    const struct tensor host = tensor_vector((void *)(uintptr_t)INDEX, DTYPE_I32, NULL, 5);
    const struct tensor index = tape_upload(t, &host);
    return tape_gather(t, x[0], &index);
}

static void concat_rows_plain(struct matrix *y, const struct matrix *x) {
    int64_t above = x[0].rows * x[0].width;
    *y = x[0];
    y->rows += x[1].rows;
    memcpy(y->values + above, x[1].values, (size_t)(x[1].rows * x[1].width) * sizeof *y->values);
}

static struct node *concat_rows_taped(struct tape *t, struct node **x) {
    return tape_concat_rows(t, x[0], x[1]);
}

static void concat_columns_plain(struct matrix *y, const struct matrix *x) {
    int64_t a = x[0].width, b = x[1].width;
    *y = (struct matrix){.rows = x[0].rows, .width = a + b};
    for (int64_t i = 0; i < y->rows * (a + b); i++) {
        int64_t r = i / (a + b), c = i % (a + b);
        y->values[i] = c < a ? x[0].values[r * a + c] : x[1].values[r * b + c - a];
    }
}

static struct node *concat_columns_taped(struct tape *t, struct node **x) {
    return tape_concat_columns(t, x[0], x[1]);
}

/* A picture twice in one sum, once in another shape: both gradients reach it. */
static void shape_plain(struct matrix *y, const struct matrix *x) {
    *y = x[0];
    for (int64_t i = 0; i < y->rows * y->width; i++) {
        y->values[i] = x[0].values[i] * 2;
    }
}

static struct node *shape_taped(struct tape *t, struct node **x) {
    struct node *view = tape_matrix(t, x[0], 18, 5);
    return tape_add(t, tape_reshape(t, view, x[0]->value.shape), x[0]);
}

/* Rows 1 to 3 and columns 4 to 9 of a product: of rows of its gradient, and of columns of those,
 * the rest is zeros. */
static void ranges_plain(struct matrix *y, const struct matrix *x) {
    const struct matrix factors[3] = {x[0], x[1], {.rows = 1, .width = x[1].rows}};
    struct matrix product;
    linear_plain(&product, factors);
    *y = (struct matrix){.rows = 3, .width = 6};
    for (int64_t i = 0; i < 3 * 6; i++) {
        y->values[i] = product.values[(1 + i / 6) * product.width + 4 + i % 6];
    }
}

static struct node *ranges_taped(struct tape *t, struct node **x) {
    struct node *y = tape_row_range(t, tape_linear(t, x[0], x[1], NULL), 1, 3);
    struct node *part = tape_column_range(t, y, 4, 6);
    const struct tensor none = upload_matrix(t, (const double[18]){0}, 3, 6);
    return tape_add(t, part, tape_input(t, &none, NULL));
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

static struct node *bicubic_taped(struct tape *t, struct node **x) {
    const struct resample_options o = {.from_rows = FROM_ROWS,
                                       .from_columns = FROM_COLUMNS,
                                       .rows = TO_ROWS,
                                       .columns = TO_COLUMNS,
                                       .bicubic = true};
    return tape_resample(t, x[0], &o);
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

static struct node *resample_linear_taped(struct tape *t, struct node *x, int64_t rows) {
    const struct resample_options o = {
        .from_rows = tensor_rows(&x->value), .from_columns = 1, .rows = rows, .columns = 1};
    return tape_resample(t, x, &o);
}

static struct node *fewer_taped(struct tape *t, struct node **x) {
    return resample_linear_taped(t, x[0], 5);
}

static struct node *more_taped(struct tape *t, struct node **x) {
    return resample_linear_taped(t, x[0], 15);
}

static const struct convolution_options STRIDED = {
    .height = 5, .width = 4, .channels = 3, .size = 3, .stride_y = 2, .stride_x = 1, .pad = 1};
static const struct convolution_options SAME = {
    .height = 5, .width = 4, .channels = 3, .size = 3, .stride_y = 1, .stride_x = 1, .pad = 1};

/* Of two pictures. */
static void convolve_plain(struct matrix *y, const struct matrix *x,
                           const struct convolution_options *o) {
    const int64_t height = convolution_height(o), width = convolution_width(o);
    const int64_t taps = (int64_t)o->size * o->size;
    *y = (struct matrix){.rows = 2 * height * width, .width = x[1].rows};
    for (int64_t i = 0; i < y->rows * y->width; i++) {
        const int64_t channel_out = i % y->width, place = i / y->width;
        const int64_t row = place / width % height, page = place / width / height;
        y->values[i] = x[2].values[channel_out];
        for (int64_t tap = 0; tap < taps * o->channels; tap++) {
            const int64_t channel = tap / taps;
            const int64_t py = row * o->stride_y + tap % taps / o->size - o->pad;
            const int64_t px = place % width * o->stride_x + tap % o->size - o->pad;
            if (py >= 0 && py < o->height && px >= 0 && px < o->width) {
                const int64_t pixel = (page * o->height + py) * o->width + px;
                y->values[i] += x[1].values[channel_out * taps * o->channels + tap] *
                                x[0].values[pixel * o->channels + channel];
            }
        }
    }
}

static void strided_plain(struct matrix *y, const struct matrix *x) {
    convolve_plain(y, x, &STRIDED);
}

static struct node *strided_taped(struct tape *t, struct node **x) {
    return tape_convolve(t, x[0], 2, &STRIDED, x[1], x[2]);
}

static void same_plain(struct matrix *y, const struct matrix *x) {
    convolve_plain(y, x, &SAME);
}

static struct node *same_taped(struct tape *t, struct node **x) {
    return tape_convolve(t, x[0], 2, &SAME, x[1], x[2]);
}

static const struct operation OPERATIONS[] = {
    {"linear", 3, {{7, 19}, {23, 19}, {1, 23}}, linear_plain, linear_taped},
    {"linear of linear", 4, {{7, 19}, {23, 19}, {1, 23}, {5, 23}}, twice_plain, twice_taped},
    {"gelu", 1, {{5, 21}}, gelu_plain, gelu_taped},
    {"quick gelu", 1, {{5, 21}}, quick_gelu_plain, quick_gelu_taped},
    {"silu", 1, {{5, 21}}, silu_plain, silu_taped},
    {"swiglu", 2, {{5, 21}, {5, 21}}, swiglu_plain, swiglu_taped},
    {"layer norm", 3, {{5, 37}, {1, 37}, {1, 37}}, layer_norm_plain, layer_norm_taped},
    {"rms norm", 2, {{5, 37}, {1, 37}}, rms_norm_plain, rms_norm_taped},
    {"softmax", 1, {{5, 37}}, softmax_plain, softmax_taped},
    {"top k", 1, {{5, 19}}, top_k_plain, top_k_taped},
    {"cosine", 2, {{5, 37}, {5, 37}}, cosine_plain, cosine_taped},
    {"add", 2, {{6, 17}, {6, 17}}, add_plain, add_taped},
    {"add, repeated", 2, {{6, 17}, {2, 17}}, add_plain, add_taped},
    {"add, repeated row", 2, {{6, 17}, {1, 17}}, add_plain, add_taped},
    {"combine", 2, {{6, 17}, {6, 17}}, combine_plain, combine_taped},
    {"multiply", 2, {{6, 17}, {6, 17}}, multiply_plain, multiply_taped},
    {"gather", 1, {{5, 18}}, gather_plain, gather_taped},
    {"concat rows", 2, {{5, 18}, {3, 18}}, concat_rows_plain, concat_rows_taped},
    {"concat columns", 2, {{5, 18}, {5, 3}}, concat_columns_plain, concat_columns_taped},
    {"reshape", 1, {{5, 18}}, shape_plain, shape_taped},
    {"ranges", 2, {{5, 7}, {11, 7}}, ranges_plain, ranges_taped},
    {"resample, bicubic", 1, {{FROM_ROWS * FROM_COLUMNS, 3}}, bicubic_plain, bicubic_taped},
    {"resample, linear, to fewer", 1, {{11, 3}}, fewer_plain, fewer_taped},
    {"resample, linear, to more", 1, {{11, 3}}, more_plain, more_taped},
    {"convolve", 3, {{40, 3}, {7, 27}, {1, 7}}, strided_plain, strided_taped},
    {"convolve, many outputs", 3, {{40, 3}, {31, 27}, {1, 31}}, strided_plain, strided_taped},
    {"convolve, same size", 3, {{40, 3}, {7, 27}, {1, 7}}, same_plain, same_taped},
};
enum { COUNT = sizeof OPERATIONS / sizeof *OPERATIONS };

static void operations_in_bf16(void) {
    bf16_gradients_point_the_same_way(OPERATIONS, COUNT);
}

static void operations_have_their_gradients(void) {
    gradients_are_central_differences(OPERATIONS, COUNT);
}

static void operations_compute_what_is_needed(void) {
    only_needed_gradients_are_computed(OPERATIONS, COUNT);
}

static void resampling_to_the_same_size_is_nothing(void) {
    struct tape *t = open_tape("portable", DTYPE_F32, NULL);
    const struct resample_options o = {
        .from_rows = 2, .from_columns = 3, .rows = 2, .columns = 3, .bicubic = true};
    tape_begin(t);
    const struct tensor value = upload_matrix(t, (const double[12]){0}, 6, 2);
    struct node *x = tape_input(t, &value, NULL);
    CHECK(x != NULL && tape_resample(t, x, &o) == x);
    close_tape(t);
}

int main(void) {
    RUN(operations_in_bf16); /* first: oneDNN is limited to the first level named */
    RUN(operations_have_their_gradients);
    RUN(operations_compute_what_is_needed);
    RUN(resampling_to_the_same_size_is_nothing);
    return test_finish();
}
