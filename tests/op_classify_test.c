/* op_classify_test.c - cross-entropy after a linear layer. */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

#define F32_LIMIT 1e-5
#define BF16_LIMIT 1.5e-2

static const double SCALE = 0.25, BEFORE = 2;

struct shape {
    int64_t rows, inputs, outputs;
};

/* Less than a chunk, one, more than one; and rows that are not a whole number of anything. */
static const struct shape SHAPES[] = {{1, 3, 2},   {5, 17, 33},   {32, 64, 100},
                                      {300, 8, 7}, {600, 20, 50}, {3, 5, 1000}};

enum wanted { DX = 1, DWEIGHT = 2, DBIAS = 4, ALL = 7 };

struct kind {
    enum dtype x, weight;
    bool biased;
    int wanted;
};

struct problem {
    struct array *x, *weight, *bias, *labels, *loss, *dx, *dweight, *dbias;
    double *want_x, *want_weight, *want_bias, sum;
};

/* Adds what row r does. */
static void solve_row(struct problem *p, const struct shape *s, const struct kind *k, int64_t r,
                      double *slopes) {
    const double *x = p->x->values + r * s->inputs;
    int64_t label = (int64_t)p->labels->values[r];
    double largest = -(double)INFINITY, sum = 0;
    if (label < 0) {
        return;
    }
    for (int64_t o = 0; o < s->outputs; o++) {
        slopes[o] = k->biased ? p->bias->values[o] : 0;
        for (int64_t i = 0; i < s->inputs; i++) {
            slopes[o] += x[i] * p->weight->values[o * s->inputs + i];
        }
        largest = fmax(largest, slopes[o]);
    }
    for (int64_t o = 0; o < s->outputs; o++) {
        sum += exp(slopes[o] - largest);
    }
    p->sum += log(sum) + largest - slopes[label];
    for (int64_t o = 0; o < s->outputs; o++) {
        double slope = SCALE * (exp(slopes[o] - largest) / sum - (o == label));
        p->want_bias[o] += slope;
        for (int64_t i = 0; i < s->inputs; i++) {
            p->want_x[r * s->inputs + i] += slope * p->weight->values[o * s->inputs + i];
            p->want_weight[o * s->inputs + i] += slope * x[i];
        }
    }
}

static struct array *filled(struct device *d, enum dtype type, int64_t gap, int64_t rows,
                            int64_t width) {
    struct array *a = array_new(d, type, gap, TENSOR_SHAPE(1, 1, rows, width));
    for (int64_t i = 0; i < rows * width; i++) {
        a->values[i] = BEFORE;
    }
    array_write(d, a);
    return a;
}

static void open_problem(struct problem *p, struct device *d, const struct shape *s,
                         const struct kind *k) {
    *p = (struct problem){
        .x = array_random(d, k->x, 3, TENSOR_SHAPE(1, 1, s->rows, s->inputs), 1),
        .weight = array_random(d, k->weight, 0, TENSOR_SHAPE(1, 1, s->outputs, s->inputs), 0.5),
        .bias = array_vector(d, s->outputs, 1),
        .labels = array_indices(d, s->rows, s->rows > 2 ? -1 : 0, s->outputs),
        .loss = filled(d, DTYPE_F32, 0, 1, 1),
        .dx = filled(d, k->x, 3, s->rows, s->inputs),
        .dweight = filled(d, DTYPE_F32, 0, s->outputs, s->inputs),
        .dbias = filled(d, DTYPE_F32, 0, 1, s->outputs)};
    p->want_x = array_copy(p->dx);
    p->want_weight = array_copy(p->dweight);
    p->want_bias = array_copy(p->dbias);
    double *slopes = array_numbers(p->bias);
    for (int64_t r = 0; r < s->rows; r++) {
        solve_row(p, s, k, r, slopes);
    }
}

/* Whether an array has become what is wanted, or stayed what it was. */
static void check_gradient(const struct array *a, double *want, bool wanted, double limit) {
    for (int64_t i = 0; i < tensor_count(&a->t) && !wanted; i++) {
        want[i] = BEFORE;
    }
    array_near(a, want, wanted ? limit : 0);
}

static void check_kind(struct device *d, const struct shape *s, const struct kind *k) {
    bool exact = d->compute == DTYPE_F32;
    double limit = exact ? F32_LIMIT : BF16_LIMIT;
    struct problem p;
    open_problem(&p, d, s, k);
    CHECK_NUMBER(d->ops->classify(d, &p.loss->t, (k->wanted & DX) != 0 ? &p.dx->t : NULL,
                                  (k->wanted & DWEIGHT) != 0 ? &p.dweight->t : NULL,
                                  (k->wanted & DBIAS) != 0 ? &p.dbias->t : NULL, &p.x->t,
                                  &p.weight->t, k->biased ? &p.bias->t : NULL, &p.labels->t,
                                  (float)SCALE, NULL),
                 0);
    CHECK_NEAR(array_read(p.loss)[0], BEFORE + p.sum, limit * (BEFORE + p.sum));
    check_gradient(p.dx, p.want_x, (k->wanted & DX) != 0, limit);
    check_gradient(p.dweight, p.want_weight, (k->wanted & DWEIGHT) != 0, limit);
    check_gradient(p.dbias, p.want_bias, (k->wanted & DBIAS) != 0, limit);
    arrays_release();
}

static void check(struct device *d) {
    static const struct kind KINDS[] = {
        {DTYPE_F32, DTYPE_F32, true, ALL},      {DTYPE_F32, DTYPE_F32, false, ALL},
        {DTYPE_F32, DTYPE_BF16, true, DX},      {DTYPE_BF16, DTYPE_F32, true, DWEIGHT},
        {DTYPE_BF16, DTYPE_BF16, false, DBIAS}, {DTYPE_F32, DTYPE_F32, true, 0}};
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        for (size_t k = 0; k < sizeof KINDS / sizeof *KINDS; k++) {
            check_kind(d, &SHAPES[i], &KINDS[k]);
        }
    }
}

static void loss_and_gradients_are_those_of_the_formula(void) {
    each_device_of(check, true);
}

/* Logits of all rows would take 256 MiB. */
static void check_memory(struct device *d) {
    enum { ROWS = 2048, INPUTS = 16, OUTPUTS = 32768, MOST = 80 << 20 };
    const struct shape s = {ROWS, INPUTS, OUTPUTS};
    struct array *x = array_random(d, DTYPE_F32, 0, TENSOR_SHAPE(1, 1, s.rows, s.inputs), 1);
    struct array *weight = array_random(d, DTYPE_F32, 0, TENSOR_SHAPE(1, 1, OUTPUTS, INPUTS), 1);
    struct array *labels = array_indices(d, ROWS, 0, OUTPUTS), *loss = array_vector(d, 1, 0);
    struct array *dx = array_random(d, DTYPE_F32, 0, x->t.shape, 0);
    size_t before = d->bytes;
    CHECK_NUMBER(d->ops->classify(d, &loss->t, &dx->t, NULL, NULL, &x->t, &weight->t, NULL,
                                  &labels->t, 1, NULL),
                 0);
    CHECK(d->peak_bytes > before && d->peak_bytes - before < MOST);
    arrays_release();
}

static void memory_does_not_grow_with_rows(void) {
    op_run("cpu", NULL, DTYPE_F32, check_memory);
    op_run("cuda", NULL, DTYPE_F32, check_memory);
}

/* Memory for some of the rows, and for none of what is beside them. */
static void check_lent(struct device *d) {
    static const struct shape SHAPE = {100, 24, 301};
    static const struct kind KIND = {DTYPE_F32, DTYPE_F32, true, ALL};
    const size_t size = classify_bytes(40, SHAPE.inputs, SHAPE.outputs);
    struct array *lent =
        array_new(d, DTYPE_U8, 64, TENSOR_SHAPE(1, 1, 1, (int64_t)size)); /* aligned */
    array_write(d, lent);
    struct problem p;
    open_problem(&p, d, &SHAPE, &KIND);
    d->lent = lent->t.data;
    d->lent_bytes = size;
    CHECK_NUMBER(d->ops->classify(d, &p.loss->t, &p.dx->t, &p.dweight->t, &p.dbias->t, &p.x->t,
                                  &p.weight->t, &p.bias->t, &p.labels->t, (float)SCALE, NULL),
                 0);
    d->lent = NULL;
    d->lent_bytes = 0;
    const size_t before = d->bytes;
    array_read(lent); /* nothing beside it was written */
    CHECK_NEAR(array_read(p.loss)[0], BEFORE + p.sum, F32_LIMIT * (BEFORE + p.sum));
    array_near(p.dx, p.want_x, F32_LIMIT);
    array_near(p.dweight, p.want_weight, F32_LIMIT);
    array_near(p.dbias, p.want_bias, F32_LIMIT);
    CHECK_NUMBER(d->ops->classify(d, &p.loss->t, &p.dx->t, NULL, NULL, &p.x->t, &p.weight->t,
                                  &p.bias->t, &p.labels->t, (float)SCALE, NULL),
                 0);
    CHECK(d->bytes - before >= size); /* only now are logits in scratch memory */
    arrays_release();
}

static void memory_that_is_lent_is_used(void) {
    op_run("cpu", NULL, DTYPE_F32, check_lent);
    op_run("cuda", NULL, DTYPE_F32, check_lent);
}

int main(void) {
    RUN(loss_and_gradients_are_those_of_the_formula);
    RUN(memory_that_is_lent_is_used);
    RUN(memory_does_not_grow_with_rows);
    return test_finish();
}
