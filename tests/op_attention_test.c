/* op_attention_test.c - attention against its formula; see op_attention_memory_test.c. */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

/* Largest errors allowed, relative to the largest of what is wanted or, where that is less, 0.5. */
#define F32_LIMIT 1e-5
#define BF16_LIMIT 2e-2

/* ---- Problems ------------------------------------------------------------------------------ */

enum { MOST_PARTS = 4 };
/* Columns of a matrix that are not a head's: rows lie so that some numbers are aligned together,
 * and so that none are. */
enum { TOGETHER = 8, APART = 3 };

struct shape {
    int64_t batch, queries, keys, heads, kv_heads, dim;
    int64_t height, width; /* 0: no bias */
    bool causal;
    int64_t span, start;
    int packed;                /* sequences; 0: as many as the batch, one after the other */
    int32_t parts[MOST_PARTS]; /* their lengths */
    float scale;
};

/* Numbers of heads side by side in rows, and their gradient. */
struct numbers {
    int64_t rows, heads, dim;
    double *values, *gradient;
};

static struct problem {
    struct shape shape;
    enum dtype type; /* of all but the tables and the log-sum-exp */
    int64_t gap;
    double scale;
    struct numbers q, k, v, out /* with dout */, rel_h, rel_w;
    double *log_sum_exp;
} problem;

static struct numbers numbers_new(int64_t rows, int64_t heads, int64_t dim, double deviation,
                                  enum dtype type) {
    struct numbers n = {.rows = rows, .heads = heads, .dim = dim};
    int64_t count = rows * heads * dim;
    n.values = calloc((size_t)count + 1, sizeof *n.values);
    n.gradient = calloc((size_t)count + 1, sizeof *n.gradient);
    for (int64_t i = 0; i < count; i++) {
        n.values[i] = op_rounded(deviation * op_normal(), type);
    }
    return n;
}

static void numbers_free(struct numbers *n) {
    free(n->values);
    free(n->gradient);
}

static int64_t place_of(const struct numbers *n, int64_t row, int64_t head) {
    return (row * n->heads + head) * n->dim;
}

static double dot(const double *x, const double *y, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += x[i] * y[i];
    }
    return sum;
}

static void add_scaled(double *to, const double *x, double factor, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        to[i] += factor * x[i];
    }
}

/* ---- The formula --------------------------------------------------------------------------- */

/* A query, in row `row`, at `place` among the keys of its sequence, of which the first is in row
 * `base`; it sees keys [from, to). */
struct query {
    int64_t row, head, base, from, to, place;
    double *weights;
};

/* Where rows of the tables for a query and key j lie. */
static int64_t down_of(const struct query *y, int64_t j) {
    const struct shape *s = &problem.shape;
    return (y->place / s->width - j / s->width + s->height - 1) * s->dim;
}

static int64_t across_of(const struct query *y, int64_t j) {
    const struct shape *s = &problem.shape;
    return (y->place % s->width - j % s->width + s->width - 1) * s->dim;
}

static int64_t key_of(const struct query *y, int64_t j) {
    int64_t heads = problem.shape.heads / problem.shape.kv_heads;
    return place_of(&problem.k, y->base + j, y->head / heads);
}

static void solve_forward(const struct query *y) {
    struct problem *p = &problem;
    const double *q = p->q.values + place_of(&p->q, y->row, y->head);
    double *out = p->out.values + place_of(&p->out, y->row, y->head);
    double largest = -(double)INFINITY, sum = 0;
    int64_t dim = p->shape.dim;
    for (int64_t j = y->from; j < y->to; j++) {
        y->weights[j] = p->scale * dot(q, p->k.values + key_of(y, j), dim);
        if (p->shape.height > 0) {
            y->weights[j] += dot(q, p->rel_h.values + down_of(y, j), dim) +
                             dot(q, p->rel_w.values + across_of(y, j), dim);
        }
        largest = fmax(largest, y->weights[j]);
    }
    for (int64_t j = y->from; j < y->to; j++) {
        y->weights[j] = exp(y->weights[j] - largest);
        sum += y->weights[j];
    }
    memset(out, 0, (size_t)dim * sizeof *out);
    for (int64_t j = y->from; j < y->to; j++) {
        y->weights[j] /= sum;
        add_scaled(out, p->v.values + key_of(y, j), y->weights[j], dim);
    }
    int64_t item = y->row / p->shape.queries * p->shape.heads + y->head;
    p->log_sum_exp[item * p->shape.queries + y->row % p->shape.queries] = log(sum) + largest;
}

static void solve_backward(const struct query *y) {
    struct problem *p = &problem;
    int64_t dim = p->shape.dim, at = place_of(&p->q, y->row, y->head);
    const double *q = p->q.values + at, *dout = p->out.gradient + at;
    double *dq = p->q.gradient + at, product = dot(p->out.values + at, dout, dim);
    for (int64_t j = y->from; j < y->to; j++) {
        int64_t key = key_of(y, j);
        double slope = y->weights[j] * (dot(dout, p->v.values + key, dim) - product);
        add_scaled(p->v.gradient + key, dout, y->weights[j], dim);
        add_scaled(p->k.gradient + key, q, slope * p->scale, dim);
        add_scaled(dq, p->k.values + key, slope * p->scale, dim);
        if (p->shape.height > 0) {
            add_scaled(dq, p->rel_h.values + down_of(y, j), slope, dim);
            add_scaled(dq, p->rel_w.values + across_of(y, j), slope, dim);
            add_scaled(p->rel_h.gradient + down_of(y, j), q, slope, dim);
            add_scaled(p->rel_w.gradient + across_of(y, j), q, slope, dim);
        }
    }
}

static void solve_sequence(int64_t row, int64_t base, int64_t queries, int64_t keys) {
    const struct shape *s = &problem.shape;
    double *weights = calloc((size_t)keys, sizeof *weights);
    for (int64_t i = 0; i < queries * s->heads; i++) {
        struct query y = {.row = row + i / s->heads,
                          .head = i % s->heads,
                          .base = base,
                          .to = keys,
                          .place = s->start + i / s->heads,
                          .weights = weights};
        if (s->causal) {
            y.to = y.place + 1;
            y.from = s->span > 0 && y.to > s->span ? y.to - s->span : 0;
        }
        solve_forward(&y);
        solve_backward(&y);
    }
    free(weights);
}

static void problem_open(const struct shape *s, enum dtype type, int64_t gap, double deviation) {
    struct problem *p = &problem;
    int64_t queries = s->batch * s->queries, keys = s->batch * s->keys, base = 0;
    *p = (struct problem){.shape = *s, .type = type, .gap = gap};
    p->scale = s->scale > 0 ? (double)s->scale : 1 / sqrt((double)s->dim);
    p->q = numbers_new(queries, s->heads, s->dim, deviation, type);
    p->k = numbers_new(keys, s->kv_heads, s->dim, deviation, type);
    p->v = numbers_new(keys, s->kv_heads, s->dim, 1, type);
    p->out = numbers_new(queries, s->heads, s->dim, 1, type);
    memcpy(p->out.gradient, p->out.values, (size_t)(queries * s->heads * s->dim) * sizeof(double));
    p->rel_h = numbers_new(s->height > 0 ? 2 * s->height - 1 : 0, 1, s->dim, 0.2, DTYPE_F32);
    p->rel_w = numbers_new(s->height > 0 ? 2 * s->width - 1 : 0, 1, s->dim, 0.2, DTYPE_F32);
    p->log_sum_exp = calloc((size_t)(queries * s->heads), sizeof(double));
    for (int64_t b = 0; b < s->batch && s->packed == 0; b++) {
        solve_sequence(b * s->queries, b * s->keys, s->queries, s->keys);
    }
    for (int i = 0; i < s->packed; base += s->parts[i++]) {
        solve_sequence(base, base, s->parts[i], s->parts[i]);
    }
}

static void problem_close(void) {
    struct problem *p = &problem;
    struct numbers *all[] = {&p->q, &p->k, &p->v, &p->out, &p->rel_h, &p->rel_w};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        numbers_free(all[i]);
    }
    free(p->log_sum_exp);
}

/* ---- What a device makes of them ----------------------------------------------------------- */

/* A matrix on the device with numbers side by side in each row; `before`: all are that instead. */
static struct array *put(struct device *d, enum dtype type, const struct numbers *a,
                         const struct numbers *b, const double *before) {
    int64_t one = a->heads * a->dim, two = b != NULL ? b->heads * b->dim : 0, width = one + two;
    struct array *x = array_new(d, type, problem.gap, TENSOR_SHAPE(1, 1, a->rows, width));
    for (int64_t i = 0; i < a->rows * width; i++) {
        int64_t row = i / width, column = i % width;
        x->values[i] = before != NULL ? *before
                       : column < one ? a->values[row * one + column]
                                      : b->values[row * two + column - one];
    }
    array_write(d, x);
    return x;
}

/* Whether what was put so has become `want`, or `before` plus that. */
static bool became(const struct array *x, int64_t first, const double *want,
                   const struct numbers *n, double before, double limit, const char *name) {
    const double *got = array_read(x);
    double worst = 0, largest = 0.5;
    int64_t width = n->heads * n->dim;
    for (int64_t i = 0; i < n->rows * width; i++) {
        double miss =
            fabs(got[i / width * tensor_width(&x->t) + first + i % width] - before - want[i]);
        miss -= x->t.type == DTYPE_BF16 ? 0x1p-8 * fabs(before + want[i]) : 0;
        worst = miss > worst || isnan(miss) ? miss : worst;
        largest = fmax(largest, fabs(want[i]));
    }
    bool ok = CHECK_NEAR(worst / largest, 0, limit);
    if (!ok) {
        printf("# ... in %s of %s with products in %s\n", name, op_device, op_compute);
    }
    return ok;
}

/* The problem on a device. */
struct solution {
    struct array *q, *kv, *out, *dout, *log_sum_exp, *rel_h, *rel_w;
    struct array *dq, *dkv, *drel_h, *drel_w;
    struct attention_options options;
    int32_t offsets[MOST_PARTS + 1];
    struct tensor offset_tensor;
    double limit;
};

static const double BEFORE = 0.5; /* what is added to */

static void solution_open(struct solution *x, struct device *d) {
    const struct problem *p = &problem;
    const struct shape *s = &p->shape;
    struct numbers dout = p->out;
    dout.values = p->out.gradient;
    *x = (struct solution){.q = put(d, p->type, &p->q, NULL, NULL),
                           .kv = put(d, p->type, &p->k, &p->v, NULL),
                           .out = put(d, p->type, &p->out, NULL, &BEFORE),
                           .dout = put(d, p->type, &dout, NULL, NULL),
                           .dq = put(d, p->type, &p->q, NULL, &BEFORE),
                           .dkv = put(d, p->type, &p->k, &p->v, &BEFORE)};
    x->log_sum_exp = array_new(d, DTYPE_F32, 0, TENSOR_SHAPE(1, s->batch, s->heads, s->queries));
    array_write(d, x->log_sum_exp);
    x->options = (struct attention_options){
        .scale = s->scale, .causal = s->causal, .span = s->span, .start = s->start};
    if (s->height > 0) {
        x->rel_h = put(d, DTYPE_F32, &p->rel_h, NULL, NULL);
        x->rel_w = put(d, DTYPE_F32, &p->rel_w, NULL, NULL);
        x->drel_h = put(d, DTYPE_F32, &p->rel_h, NULL, &BEFORE);
        x->drel_w = put(d, DTYPE_F32, &p->rel_w, NULL, &BEFORE);
        x->options.height = s->height;
        x->options.width = s->width;
        x->options.rel_h = &x->rel_h->t;
        x->options.rel_w = &x->rel_w->t;
    }
    for (int i = 0; i < s->packed; i++) {
        x->offsets[i + 1] = x->offsets[i] + s->parts[i];
    }
    x->offset_tensor = tensor_vector(x->offsets, DTYPE_I32, NULL, s->packed + 1);
    x->options.offsets = s->packed > 0 ? &x->offset_tensor : NULL;
    bool exact = d->compute == DTYPE_F32 && p->type == DTYPE_F32;
    x->limit = exact ? F32_LIMIT : BF16_LIMIT;
}

static struct tensor heads_of(const struct array *x, int64_t first, int64_t heads) {
    return tensor_heads(&x->t, problem.shape.batch, first, heads, problem.shape.dim);
}

static bool forward_is_right(struct device *d, struct solution *x) {
    const struct shape *s = &problem.shape;
    struct tensor out = heads_of(x->out, 0, s->heads), q = heads_of(x->q, 0, s->heads);
    struct tensor k = heads_of(x->kv, 0, s->kv_heads);
    struct tensor v = heads_of(x->kv, s->kv_heads * s->dim, s->kv_heads);
    struct numbers log_rows = {.rows = s->batch * s->heads, .heads = 1, .dim = s->queries};
    bool ok = CHECK_NUMBER(
        d->ops->attention(d, &out, &x->log_sum_exp->t, &q, &k, &v, &x->options, NULL), 0);
    ok &= became(x->out, 0, problem.out.values, &problem.out, 0, x->limit, "out");
    return ok && became(x->log_sum_exp, 0, problem.log_sum_exp, &log_rows, 0, x->limit,
                        "the log-sum-exp");
}

enum wanted { DQ = 1, DK = 2, DV = 4, DREL_H = 8, DREL_W = 16, ALL = 31 };

/* Gradients that are not wanted stay what they are. */
static bool backward_is_right(struct device *d, struct solution *x, int wanted) {
    const struct problem *p = &problem;
    const struct shape *s = &p->shape;
    int64_t values = s->kv_heads * s->dim;
    struct tensor out = heads_of(x->out, 0, s->heads), dout = heads_of(x->dout, 0, s->heads);
    struct tensor q = heads_of(x->q, 0, s->heads), dq = heads_of(x->dq, 0, s->heads);
    struct tensor k = heads_of(x->kv, 0, s->kv_heads), v = heads_of(x->kv, values, s->kv_heads);
    struct tensor dk = heads_of(x->dkv, 0, s->kv_heads);
    struct tensor dv = heads_of(x->dkv, values, s->kv_heads);
    bool biased = s->height > 0;
    bool ok =
        CHECK_NUMBER(d->ops->attention_backward(
                         d, wanted & DQ ? &dq : NULL, wanted & DK ? &dk : NULL,
                         wanted & DV ? &dv : NULL, biased && wanted & DREL_H ? &x->drel_h->t : NULL,
                         biased && wanted & DREL_W ? &x->drel_w->t : NULL, &q, &k, &v, &out,
                         &x->log_sum_exp->t, &dout, &x->options, NULL),
                     0);
    const struct {
        enum wanted wanted;
        const struct array *array;
        int64_t first;
        const struct numbers *numbers;
        const char *name;
    } gradients[] = {{DQ, x->dq, 0, &p->q, "dq"},
                     {DK, x->dkv, 0, &p->k, "dk"},
                     {DV, x->dkv, values, &p->v, "dv"},
                     {DREL_H, x->drel_h, 0, &p->rel_h, "drel_h"},
                     {DREL_W, x->drel_w, 0, &p->rel_w, "drel_w"}};
    for (int i = 0; i < (biased ? 5 : 3); i++) {
        bool counts = (wanted & gradients[i].wanted) != 0;
        struct numbers none = numbers_new(gradients[i].numbers->rows, gradients[i].numbers->heads,
                                          gradients[i].numbers->dim, 0, DTYPE_F32);
        ok &= became(gradients[i].array, gradients[i].first,
                     counts ? gradients[i].numbers->gradient : none.values, gradients[i].numbers,
                     BEFORE, counts ? x->limit : 0, gradients[i].name);
        numbers_free(&none);
    }
    return ok;
}

/* ---- Tests --------------------------------------------------------------------------------- */

static void check(struct device *d) {
    struct solution x;
    solution_open(&x, d);
    if (!forward_is_right(d, &x) || !backward_is_right(d, &x, ALL)) {
        const struct shape *s = &problem.shape;
        printf("# %d queries, %d keys of %d, %d heads of %d, grid of %d x %d, %s\n",
               (int)s->queries, (int)s->keys, (int)s->kv_heads, (int)s->heads, (int)s->dim,
               (int)s->height, (int)s->width, dtype_name(problem.type));
    }
    arrays_release();
}

static void check_shapes(const struct shape *shapes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        for (int bf16 = 0; bf16 < 2; bf16++) {
            problem_open(&shapes[i], bf16 == 1 ? DTYPE_BF16 : DTYPE_F32,
                         (i + (size_t)bf16) % 2 == 0 ? APART : TOGETHER, 1);
            each_device_of(check, true);
            problem_close();
        }
    }
}

#define CHECK_SHAPES(...)                                                                          \
    do {                                                                                           \
        static const struct shape shapes[] = {__VA_ARGS__};                                        \
        check_shapes(shapes, sizeof shapes / sizeof *shapes);                                      \
    } while (0)

#define SHAPE(b, q, k, h, kv, d, ...)                                                              \
    { .batch = b, .queries = q, .keys = k, .heads = h, .kv_heads = kv, .dim = d, __VA_ARGS__ }
#define GRID(h, w) .height = h, .width = w

static void attention_is_that_of_the_formula(void) {
    CHECK_SHAPES(SHAPE(1, 1, 1, 1, 1, 16, .scale = 0), SHAPE(1, 5, 5, 1, 1, 7, .scale = 0.7f),
                 SHAPE(2, 64, 64, 2, 2, 64, .scale = 0), SHAPE(2, 65, 65, 2, 2, 64, .scale = 0),
                 SHAPE(1, 257, 257, 1, 1, 64, .scale = 0),
                 SHAPE(1, 300, 300, 1, 1, 33, .scale = 0.3f),
                 SHAPE(1, 30, 77, 2, 2, 64, .scale = 0));
}

static void positions_bias_it(void) {
    CHECK_SHAPES(
        SHAPE(1, 1, 1, 1, 1, 64, GRID(1, 1)), SHAPE(2, 64, 64, 2, 2, 64, GRID(8, 8)),
        SHAPE(1, 196, 196, 1, 1, 64, GRID(14, 14)), SHAPE(1, 100, 100, 2, 2, 12, GRID(10, 10)),
        SHAPE(1, 35, 35, 2, 2, 40, GRID(5, 7)), SHAPE(1, 100, 100, 1, 1, 1, GRID(10, 10)),
        SHAPE(1, 400, 400, 1, 1, 64, GRID(20, 20)), SHAPE(1, 36, 36, 1, 1, 256, GRID(4, 9)),
        SHAPE(1, 128, 128, 2, 2, 64, GRID(8, 8), .packed = 2, .parts = {64, 64}));
}

static void query_heads_share_keys_and_masks_hide_them(void) {
    CHECK_SHAPES(SHAPE(1, 130, 130, 4, 2, 32, .causal = true),
                 SHAPE(2, 150, 150, 4, 1, 64, .causal = true, .span = 37),
                 SHAPE(1, 600, 600, 1, 1, 128, .causal = true, .span = 300),
                 SHAPE(1, 64, 64, 1, 1, 64, GRID(8, 8), .causal = true));
}

static void a_cache_of_keys_has_more_of_them(void) {
    CHECK_SHAPES(SHAPE(1, 7, 90, 4, 2, 64, .causal = true, .start = 83),
                 SHAPE(1, 70, 333, 2, 2, 48, .causal = true, .start = 100),
                 SHAPE(2, 1, 400, 2, 1, 64, .causal = true, .start = 399, .span = 300),
                 SHAPE(1, 1, 300, 9, 3, 64, .causal = true, .start = 299),
                 SHAPE(2, 2, 33, 6, 2, 40, .causal = true, .start = 31),
                 SHAPE(1, 8, 700, 1, 1, 130, .causal = true, .start = 600, .span = 50),
                 SHAPE(1, 1, 1, 2, 2, 16, .causal = true),
                 SHAPE(1, 2, 530, 4, 1, 20, .scale = 0.3f),
                 SHAPE(2, 13, 16, 4, 2, 40, .causal = true, .start = 3, .span = 5));
}

static void packed_sequences_do_not_see_each_other(void) {
    CHECK_SHAPES(SHAPE(1, 200, 200, 2, 1, 64, .packed = 3, .parts = {70, 11, 119}, .causal = true),
                 SHAPE(1, 150, 150, 2, 2, 80, .packed = 3, .parts = {1, 63, 86}),
                 SHAPE(1, 300, 300, 1, 1, 16, .packed = 2, .parts = {260, 40}),
                 SHAPE(1, 129, 129, 2, 1, 32, .packed = 4, .parts = {0, 65, 0, 64}, .causal = true),
                 SHAPE(1, 1, 1, 1, 1, 16, .packed = 3, .parts = {0, 1, 0}));
}

/* Threads cut queries at multiples of 64: with and without a last piece of one or of none. */
static void queries_are_cut_for_threads(void) {
    CHECK_SHAPES(
        SHAPE(1, 63, 63, 3, 1, 16, .causal = true), SHAPE(1, 64, 64, 3, 1, 16, .causal = true),
        SHAPE(1, 65, 65, 3, 1, 16, .causal = true, .span = 64),
        SHAPE(1, 127, 127, 2, 1, 32, .causal = true, .span = 65),
        SHAPE(1, 128, 128, 2, 1, 32, .causal = true),
        SHAPE(1, 129, 129, 6, 2, 32, .causal = true, .span = 1),
        SHAPE(2, 193, 257, 4, 2, 24, .causal = true, .start = 64),
        SHAPE(1, 577, 577, 2, 1, 8, .causal = true), SHAPE(1, 191, 65, 2, 1, 16, .scale = 0));
}

static void check_wanted(struct device *d) {
    for (int wanted = 1; wanted < ALL; wanted *= 2) {
        struct solution x;
        solution_open(&x, d);
        CHECK(forward_is_right(d, &x) && backward_is_right(d, &x, wanted));
        arrays_release();
    }
}

static void gradients_that_are_not_wanted_cost_the_others_nothing(void) {
    static const struct shape shape = SHAPE(1, 70, 70, 2, 1, 24, GRID(7, 10));
    problem_open(&shape, DTYPE_F32, APART, 1);
    each_device_of(check_wanted, true);
    problem_close();
}

/* One key takes all: weights of the others are below what F32 can hold. */
static void check_spread(struct device *d) {
    struct solution x;
    solution_open(&x, d);
    x.limit = d->compute == DTYPE_F32 ? 1e-3 : 1e9; /* still no NaN */
    forward_is_right(d, &x);
    arrays_release();
}

static void a_huge_spread_of_scores_gives_no_nan(void) {
    static const struct shape shape = SHAPE(1, 300, 300, 1, 1, 64, .scale = 0);
    problem_open(&shape, DTYPE_F32, TOGETHER, 30);
    each_device_of(check_spread, true);
    problem_close();
}

/* ---- Windows ------------------------------------------------------------------------------- */

/* A grid of rows x columns tokens and its windows: `across` beside each other, `count` in all. */
struct windows {
    int64_t side, rows, columns, across, count;
};
static struct windows at;

/* The row of the grid's tokens that stands at place i of the windows, laid out one after another;
 * -1: none. */
static int64_t grid_row(int64_t i) {
    int64_t window = i / (at.side * at.side), place = i % (at.side * at.side);
    int64_t y = window % at.count / at.across * at.side + place / at.side;
    int64_t x = window % at.across * at.side + place % at.side;
    return y < at.rows && x < at.columns
               ? window / at.count * at.rows * at.columns + y * at.columns + x
               : -1;
}

/* Where windows leave the grid, q, k and v are those of one token. */
static void pad_windows(const double *pad) {
    struct numbers *parts[] = {&problem.q, &problem.k, &problem.v};
    int64_t width = problem.shape.heads * problem.shape.dim;
    for (int64_t i = 0; i < problem.q.rows; i++) {
        for (int part = 0; part < 3 && grid_row(i) < 0; part++) {
            memcpy(parts[part]->values + i * width, pad + part * width,
                   (size_t)width * sizeof *pad);
        }
    }
}

/* Numbers of windows, as the grid has them. */
static struct numbers on_grid(const struct numbers *n) {
    struct numbers grid = numbers_new(problem.shape.batch / at.count * at.rows * at.columns,
                                      n->heads, n->dim, 0, DTYPE_F32);
    int64_t width = n->heads * n->dim;
    for (int64_t i = 0; i < n->rows; i++) {
        if (grid_row(i) >= 0) {
            memcpy(grid.values + grid_row(i) * width, n->values + i * width,
                   (size_t)width * sizeof *grid.values);
        }
    }
    return grid;
}

static struct numbers padding;

static void check_windows(struct device *d) {
    const struct shape *s = &problem.shape;
    struct numbers q = on_grid(&problem.q), k = on_grid(&problem.k), v = on_grid(&problem.v);
    struct numbers out = on_grid(&problem.out);
    struct array *q_array = put(d, problem.type, &q, NULL, NULL);
    struct array *kv_array = put(d, problem.type, &k, &v, NULL);
    struct array *out_array = put(d, problem.type, &out, NULL, &BEFORE);
    struct array *rel_h = put(d, DTYPE_F32, &problem.rel_h, NULL, NULL);
    struct array *rel_w = put(d, DTYPE_F32, &problem.rel_w, NULL, NULL);
    struct array *pad = array_vector(d, 3 * s->heads * s->dim, 0);
    memcpy(pad->values, padding.values, (size_t)(3 * s->heads * s->dim) * sizeof *pad->values);
    array_write(d, pad);
    const struct attention_options options = {.height = at.side,
                                              .width = at.side,
                                              .rel_h = &rel_h->t,
                                              .rel_w = &rel_w->t,
                                              .window = at.side,
                                              .grid_height = at.rows,
                                              .grid_width = at.columns,
                                              .pad = &pad->t};
    int64_t batch = s->batch / at.count, width = s->heads * s->dim;
    struct tensor out_heads = tensor_heads(&out_array->t, batch, 0, s->heads, s->dim);
    struct tensor q_heads = tensor_heads(&q_array->t, batch, 0, s->heads, s->dim);
    struct tensor k_heads = tensor_heads(&kv_array->t, batch, 0, s->heads, s->dim);
    struct tensor v_heads = tensor_heads(&kv_array->t, batch, width, s->heads, s->dim);
    CHECK_NUMBER(
        d->ops->attention(d, &out_heads, NULL, &q_heads, &k_heads, &v_heads, &options, NULL), 0);
    became(out_array, 0, out.values, &out, 0, d->compute == DTYPE_F32 ? F32_LIMIT : BF16_LIMIT,
           "out");
    struct numbers *all[] = {&q, &k, &v, &out};
    for (int i = 0; i < 4; i++) {
        numbers_free(all[i]);
    }
    arrays_release();
}

static void check_windows_of(const struct windows *grid, int64_t dim, int64_t gap) {
    const int64_t side = grid->side, tokens = side * side;
    const struct shape shape = SHAPE(2 * grid->count, tokens, tokens, 2, 2, dim, GRID(side, side));
    at = *grid;
    for (int bf16 = 0; bf16 < 2; bf16++) {
        enum dtype type = bf16 == 1 ? DTYPE_BF16 : DTYPE_F32;
        problem_open(&shape, type, gap, 1);
        padding = numbers_new(3, shape.heads, shape.dim, 1, type);
        pad_windows(padding.values);
        for (int64_t b = 0; b < shape.batch; b++) { /* again, with the pads */
            solve_sequence(b * shape.queries, b * shape.keys, shape.queries, shape.keys);
        }
        each_device_of(check_windows, true);
        numbers_free(&padding);
        problem_close();
    }
}

static void windows_attend_within_themselves_and_to_what_pads_them(void) {
    check_windows_of(&(struct windows){5, 12, 8, 2, 6}, 20, APART);
    check_windows_of(&(struct windows){4, 4, 12, 3, 3}, 64, TOGETHER); /* the cells of a page */
    check_windows_of(&(struct windows){4, 8, 6, 2, 4}, 32, APART);
}

/* Of queries and keys that a GPU takes together: 16, 32, 64, 128; of heads: 32, 64, 96, 128. */
static void blocks_have_tails(void) {
    CHECK_SHAPES(
        SHAPE(2, 129, 129, 1, 1, 96, .scale = 0), SHAPE(1, 161, 97, 1, 1, 128, .scale = 0),
        SHAPE(1, 40, 200, 1, 1, 112, .scale = 0), SHAPE(3, 33, 33, 3, 3, 80, .scale = 0),
        SHAPE(2, 64, 64, 3, 3, 96, GRID(4, 16)), SHAPE(1, 160, 160, 1, 1, 64, GRID(10, 16)),
        SHAPE(1, 135, 135, 1, 1, 128, GRID(9, 15)), SHAPE(1, 140, 140, 1, 1, 32, GRID(2, 70)),
        SHAPE(1, 192, 192, 1, 1, 64, GRID(3, 64)), SHAPE(1, 140, 140, 2, 1, 128, .causal = true),
        SHAPE(1, 100, 100, 6, 2, 96, .causal = true, .span = 33),
        SHAPE(1, 290, 290, 2, 1, 48, .packed = 3, .parts = {128, 129, 33}, .causal = true));
    check_windows_of(&(struct windows){14, 14, 17, 2, 2}, 64, TOGETHER);
    check_windows_of(&(struct windows){3, 7, 5, 2, 6}, 96, TOGETHER);
    CHECK_SHAPES(SHAPE(2, 16, 16, 3, 3, 112, GRID(2, 8)), SHAPE(90, 14, 14, 2, 2, 16, GRID(7, 2)),
                 SHAPE(3, 16, 16, 4, 2, 24, GRID(4, 4), .causal = true),
                 SHAPE(3, 11, 15, 6, 3, 128, .causal = true, .start = 4, .span = 5));
}

int main(void) {
    RUN(attention_is_that_of_the_formula);
    RUN(positions_bias_it);
    RUN(query_heads_share_keys_and_masks_hide_them);
    RUN(a_cache_of_keys_has_more_of_them);
    RUN(packed_sequences_do_not_see_each_other);
    RUN(queries_are_cut_for_threads);
    RUN(gradients_that_are_not_wanted_cost_the_others_nothing);
    RUN(a_huge_spread_of_scores_gives_no_nan);
    RUN(windows_attend_within_themselves_and_to_what_pads_them);
    RUN(blocks_have_tails);
    return test_finish();
}
