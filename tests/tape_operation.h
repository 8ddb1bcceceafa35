/* tape_operation.h - compares the gradients of operations of the tape with central differences of a
 * plain version in double precision: for outputs y and random weights r, d(sum r y)/dx, for every
 * number of every input. For tape_test.c and tape_attention_test.c. */
#ifndef OCC_TESTS_TAPE_OPERATION_H
#define OCC_TESTS_TAPE_OPERATION_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tape_device.h"
#include "tests/test.h"

enum { INPUTS = 5, LARGEST = 4096 };

struct matrix {
    int64_t rows, width;
    double values[LARGEST];
};

struct operation {
    const char *name;
    int inputs;
    int64_t sizes[INPUTS][2];
    void (*plain)(struct matrix *y, const struct matrix *x);
    struct node *(*taped)(struct tape *t, struct node **x);
};

static struct matrix inputs[INPUTS], output;
static double weights[LARGEST];
static float gradients[INPUTS][LARGEST]; /* of the last run_taped */

static double weighted(const struct operation *o) {
    double sum = 0;
    o->plain(&output, inputs);
    for (int64_t i = 0; i < output.rows * output.width; i++) {
        sum += weights[i] * output.values[i];
    }
    return sum;
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

static struct tensor upload_matrix(struct tape *t, const double *values, int64_t rows,
                                   int64_t width) {
    float *numbers = tape_host(t, (size_t)(rows * width), sizeof *numbers);
    for (int64_t i = 0; i < rows * width; i++) {
        numbers[i] = (float)values[i];
    }
    const struct tensor host = tensor_matrix(numbers, DTYPE_F32, NULL, rows, width);
    return tape_upload(t, &host);
}

/* Whether the values of the operation are those of its plain version, to within `limit`. */
static bool check_values(struct tape *t, const struct operation *o, const struct node *y,
                         double limit) {
    static float values[LARGEST];
    o->plain(&output, inputs);
    const int64_t count = output.rows * output.width;
    if (!CHECK(y != NULL) || !CHECK_NUMBER(tensor_count(&y->value), count)) {
        printf("# %s\n", o->name);
        return false;
    }
    download_floats(t, values, &y->value);
    bool right = true;
    for (int64_t i = 0; i < count && right; i++) {
        right = test_near((double)values[i], output.values[i], limit, o->name, (int)i);
    }
    return right;
}

/* Runs the operation with gradients needed by the inputs of which the bit is set. */
static void run_taped(struct tape *t, const struct operation *o, int needed, double limit) {
    static const double zeros[LARGEST];
    struct tensor places[INPUTS];
    struct node *x[INPUTS] = {NULL};
    tape_begin(t);
    memset(gradients, 0, sizeof gradients);
    for (int i = 0; i < o->inputs; i++) {
        const int64_t rows = inputs[i].rows, width = inputs[i].width;
        const struct tensor value = upload_matrix(t, inputs[i].values, rows, width);
        places[i] = upload_matrix(t, zeros, rows, width);
        x[i] = tape_input(t, &value, needed >> i & 1 ? &places[i] : NULL);
    }
    struct node *y = o->taped(t, x);
    if (!check_values(t, o, y, limit)) {
        return;
    }
    struct tensor from = upload_matrix(t, weights, tensor_rows(&y->value), tensor_width(&y->value));
    from = tensor_reshape(&from, y->value.shape);
    tape_backward_from(t, y, &from);
    struct error e = {0};
    CHECK_NUMBER(tape_backward(t, &e), 0);
    CHECK_TEXT(e.text, "");
    for (int i = 0; i < o->inputs; i++) {
        download_floats(t, gradients[i], &places[i]);
    }
}

static void compare(struct tape *t, const struct operation *o) {
    const double h = 1e-5;
    fill_inputs(o);
    run_taped(t, o, (1 << o->inputs) - 1, 1e-5);
    for (int i = 0; i < o->inputs; i++) {
        for (int64_t j = 0; j < inputs[i].rows * inputs[i].width; j++) {
            double at = inputs[i].values[j];
            inputs[i].values[j] = at + h;
            double above = weighted(o);
            inputs[i].values[j] = at - h;
            double below = weighted(o);
            inputs[i].values[j] = at;
            if (!test_near((double)gradients[i][j], (above - below) / (2 * h), 3e-5, o->name,
                           i * 10000 + (int)j)) {
                break;
            }
        }
    }
}

static void gradients_are_central_differences(const struct operation *list, size_t count) {
    for (size_t level = 0; level < LEVEL_COUNT; level++) {
        struct tape *t = open_tape(LEVELS[level], DTYPE_F32, NULL);
        for (size_t i = 0; t != NULL && i < count; i++) {
            compare(t, &list[i]);
        }
        close_tape(t);
    }
}

/* An input that needs no gradient gets none, and the others get the same as with it. */
static void only_needed_gradients_are_computed(const struct operation *list, size_t count) {
    static float all[INPUTS][LARGEST];
    struct tape *t = open_tape("portable", DTYPE_F32, NULL);
    for (size_t i = 0; i < count; i++) {
        const struct operation *o = &list[i];
        fill_inputs(o);
        run_taped(t, o, (1 << o->inputs) - 1, 1e-5);
        memcpy(all, gradients, sizeof all);
        for (int one = 0; one < o->inputs; one++) {
            run_taped(t, o, 1 << one, 1e-5);
            if (!CHECK(memcmp(all[one], gradients[one], sizeof all[one]) == 0)) {
                printf("# %s, input %d\n", o->name, one);
            }
        }
        size_t before = tape_peak(t);
        run_taped(t, o, 0, 1e-5);
        CHECK(tape_peak(t) == before);
    }
    close_tape(t);
}

static double cosine_of(const float *x, const float *y, int64_t count) {
    double xy = 0, xx = 0, yy = 0;
    for (int64_t i = 0; i < count; i++) {
        double a = (double)x[i], b = (double)y[i];
        xy += a * b;
        xx += a * a;
        yy += b * b;
    }
    return xy / sqrt(xx * yy);
}

/* The rounding of products, and of stored values, to BF16 moves a gradient by little. */
static void bf16_gradients_point_the_same_way(const struct operation *list, size_t count) {
    static float exact[INPUTS][LARGEST];
    struct tape *single = open_tape(NULL, DTYPE_F32, NULL);
    for (int stored = 0; stored < 2; stored++) {
        const struct tape_options options = {.storage = stored ? DTYPE_BF16 : DTYPE_F32};
        struct tape *t = open_tape(NULL, DTYPE_BF16, &options);
        if (t == NULL) {
            printf("# no bf16 products on this processor\n");
        }
        for (size_t i = 0; t != NULL && i < count; i++) {
            const struct operation *o = &list[i];
            fill_inputs(o);
            run_taped(single, o, (1 << o->inputs) - 1, 1e-5);
            memcpy(exact, gradients, sizeof exact);
            run_taped(t, o, (1 << o->inputs) - 1, 0.1);
            for (int j = 0; j < o->inputs; j++) {
                test_near(cosine_of(exact[j], gradients[j], inputs[j].rows * inputs[j].width), 1,
                          1e-3, o->name, j);
            }
        }
        close_tape(t);
    }
    close_tape(single);
}

#endif
