/* ops.h - tests of operations: for every backend that is there, and every level of the CPU's; with
 * OCC_TEST_DEVICE=cuda for that backend alone, which must be there (else the test is skipped).
 *
 *     static void check(struct device *d, const struct op_case *c) {
 *         struct array *x = array_normal(d, c, 1), *out = array_normal(d, c, 1);
 *         CHECK_NUMBER(d->ops->gelu(d, &out->t, &x->t, NULL), 0);
 *         double *want = array_numbers(out);
 *         ... from x->values, in plain double precision
 *         array_near(out, want, LIMIT);
 *     }
 *     static void gelu_is_exact(void) { each_case(check); }
 *
 * Arrays are of the device; memory of a case ends with it. A file that includes this defines
 * _DEFAULT_SOURCE for setenv. */
#ifndef OCC_TESTS_OPS_H
#define OCC_TESTS_OPS_H

#include <stdint.h>

#include "compress/cpu/team.h"
#include "compress/device.h"
#include "compress/ops.h"
#include "tests/test.h"

/* ---- Devices --------------------------------------------------------------------------- */

/* The best first: oneDNN is limited by the first that a process opens. */
static const char *const OP_LEVELS[] = {"amx", "avx512bf16", "avx512", "avx2", "portable"};
enum { OP_LEVEL_COUNT = 5 };

static const char *op_device = "", *op_compute = "";

/* Whether tests are of `backend` too. */
static inline bool op_wants(const char *backend) {
    const char *asked = getenv("OCC_TEST_DEVICE");
    return asked == NULL || strcmp(asked, backend) == 0;
}

static inline void op_run(const char *backend, const char *level, enum dtype compute,
                          void (*body)(struct device *d)) {
    const struct backend *b;
    struct device *d = NULL;
    struct error e;
    if (!op_wants(backend)) {
        return;
    }
    if (backend_open(&b, backend, &e) < 0) {
        if (getenv("OCC_TEST_DEVICE") != NULL) {
            printf("1..0 # SKIP %s\n", e.text);
            exit(77);
        }
        return;
    }
    if (compute == DTYPE_BF16 && !b->has_bf16()) {
        return;
    }
    op_device = level != NULL ? level : backend;
    op_compute = dtype_name(compute);
    if (CHECK_NUMBER(device_open(&d, b, compute, &e), 0)) {
        body(d);
    }
    device_close(d);
}

/* Threads that share whatever can be cut. */
static inline void op_run_team(int threads, enum dtype compute, void (*body)(struct device *d)) {
    const struct backend *b;
    struct device *d = NULL;
    if (!op_wants("cpu") || backend_open(&b, "cpu", NULL) < 0 ||
        (compute == DTYPE_BF16 && !b->has_bf16())) {
        return;
    }
    op_device = "team";
    op_compute = dtype_name(compute);
    if (CHECK_NUMBER(device_open_team(&d, b, compute, threads, NULL), 0)) {
        cpu_set_least_work(d, 1);
        body(d);
    }
    device_close(d);
}

/* Calls `body` with a device of each kind. `both`: one that multiplies in F32, and one in BF16
 * where there is such. */
static inline void each_device_of(void (*body)(struct device *d), bool both) {
    for (int compute = 0; compute <= (both ? 1 : 0); compute++) {
        enum dtype type = compute == 0 ? DTYPE_F32 : DTYPE_BF16;
        for (int i = 0; i < OP_LEVEL_COUNT; i++) {
            setenv("OCC_CPU", OP_LEVELS[i], 1);
            op_run("cpu", OP_LEVELS[i], type, body);
        }
        unsetenv("OCC_CPU");
        op_run_team(3, type, body);
        op_run("cuda", NULL, type, body);
    }
}

static inline void each_device(void (*body)(struct device *d)) {
    each_device_of(body, false);
}

/* ---- Numbers --------------------------------------------------------------------------- */

static uint64_t op_state = 1;

static inline double op_uniform(void) { /* -1 to 1 */
    op_state = op_state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)(op_state >> 11) * 0x1p-52 - 1.0;
}

static inline double op_normal(void) {
    double sum = 0;
    for (int i = 0; i < 6; i++) {
        sum += op_uniform();
    }
    return sum / sqrt(2.0);
}

static inline double op_rounded(double x, enum dtype type) {
    return type == DTYPE_BF16  ? (double)float_of_bf16(bf16_of((float)x))
           : type == DTYPE_F32 ? (double)(float)x
                               : x;
}

/* ---- Arrays ---------------------------------------------------------------------------- */

struct array {
    struct tensor t;     /* as operations see it */
    struct tensor whole; /* its memory; where t is not, stands SENTINEL */
    double *values;      /* t's elements as they were put in, outermost axis first */
};

#define OP_SENTINEL 12288.0 /* exact in BF16 */

enum { OP_ARRAYS = 64 };
static struct {
    struct array arrays[OP_ARRAYS];
    struct device *devices[OP_ARRAYS];
    void *blocks[OP_ARRAYS];
    int array_count, block_count;
} op_pool;

static inline void *op_block(size_t count, size_t size) {
    void *block = calloc(count + 1, size);
    if (block == NULL || op_pool.block_count == OP_ARRAYS) {
        exit(1);
    }
    op_pool.blocks[op_pool.block_count++] = block;
    return block;
}

static inline void arrays_release(void) {
    for (int i = 0; i < op_pool.array_count; i++) {
        struct device *d = op_pool.devices[i];
        d->ops->release(d, &op_pool.arrays[i].whole);
    }
    for (int i = 0; i < op_pool.block_count; i++) {
        free(op_pool.blocks[i]);
    }
    op_pool.array_count = op_pool.block_count = 0;
}

static inline double op_get(const void *data, enum dtype type, int64_t i) {
    switch (type) {
    case DTYPE_F32:
        return (double)((const float *)data)[i];
    case DTYPE_BF16:
        return (double)float_of_bf16(((const uint16_t *)data)[i]);
    case DTYPE_I32:
        return ((const int32_t *)data)[i];
    case DTYPE_U8:
        return ((const uint8_t *)data)[i];
    case DTYPE_F16:
    case DTYPE_I8:
    case DTYPE_I64:
    case DTYPE_COUNT:
        break;
    }
    exit(1);
}

static inline void op_set(void *data, enum dtype type, int64_t i, double value) {
    if (type == DTYPE_F32) {
        ((float *)data)[i] = (float)value;
    } else if (type == DTYPE_BF16) {
        ((uint16_t *)data)[i] = bf16_of((float)value);
    } else if (type == DTYPE_I32) {
        ((int32_t *)data)[i] = (int32_t)value;
    } else {
        ((uint8_t *)data)[i] = (uint8_t)value;
    }
}

/* Where element i of t lies in the whole, in elements. */
static inline int64_t op_place(const struct array *a, int64_t i) {
    const char *first = a->t.data, *whole = a->whole.data;
    int64_t at = (first - whole) / (int64_t)dtype_size(a->t.type);
    for (int axis = TENSOR_RANK - 1; axis >= 0; axis--) {
        at += i % a->t.shape[axis] * a->t.stride[axis];
        i /= a->t.shape[axis];
    }
    return at;
}

/* Puts a->values into the array. */
static inline void array_write(struct device *d, struct array *a) {
    int64_t total = tensor_count(&a->whole), count = tensor_count(&a->t);
    struct tensor host = a->whole;
    host.home = NULL;
    host.data = op_block((size_t)total, dtype_size(a->t.type));
    for (int64_t i = 0; i < total; i++) {
        op_set(host.data, a->t.type, i, a->t.type == DTYPE_U8 ? 77 : OP_SENTINEL);
    }
    for (int64_t i = 0; i < count; i++) {
        op_set(host.data, a->t.type, op_place(a, i), a->values[i]);
        a->values[i] = op_get(host.data, a->t.type, op_place(a, i));
    }
    CHECK_NUMBER(d->ops->upload(d, &a->whole, &host, NULL), 0);
}

/* A tensor whose rows lie `gap` elements apart, after as many; values are zeros, to be filled and
 * written. */
static inline struct array *array_new(struct device *d, enum dtype type, int64_t gap,
                                      const int64_t shape[TENSOR_RANK]) {
    if (op_pool.array_count == OP_ARRAYS) {
        exit(1);
    }
    op_pool.devices[op_pool.array_count] = d;
    struct array *a = &op_pool.arrays[op_pool.array_count++];
    struct tensor t = tensor_of(NULL, type, NULL, shape);
    int64_t rows = tensor_rows(&t), stride = tensor_width(&t) + gap;
    a->whole = tensor_matrix(NULL, type, NULL, 1, rows * stride + gap);
    if (!CHECK_NUMBER(d->ops->alloc(d, &a->whole, NULL), 0)) {
        exit(1);
    }
    t.data = (char *)a->whole.data + (size_t)gap * dtype_size(type);
    t.home = d;
    for (int i = TENSOR_RANK - 2; i >= 0; i--) {
        t.stride[i] = stride;
        stride *= shape[i];
    }
    a->t = t;
    a->values = op_block((size_t)tensor_count(&t), sizeof *a->values);
    return a;
}

/* Normally distributed. */
static inline struct array *array_random(struct device *d, enum dtype type, int64_t gap,
                                         const int64_t shape[TENSOR_RANK], double deviation) {
    struct array *a = array_new(d, type, gap, shape);
    for (int64_t i = 0; i < tensor_count(&a->t); i++) {
        a->values[i] = deviation * op_normal();
    }
    array_write(d, a);
    return a;
}

/* A vector of F32. */
static inline struct array *array_vector(struct device *d, int64_t width, double deviation) {
    return array_random(d, DTYPE_F32, 0, TENSOR_SHAPE(1, 1, 1, width), deviation);
}

/* Indices: whole numbers from `low` to `high` - 1. */
static inline struct array *array_indices(struct device *d, int64_t count, int64_t low,
                                          int64_t high) {
    struct array *a = array_new(d, DTYPE_I32, 0, TENSOR_SHAPE(1, 1, 1, count));
    for (int64_t i = 0; i < count; i++) {
        a->values[i] = floor((double)low + (op_uniform() + 1) / 2 * (double)(high - low));
    }
    array_write(d, a);
    return a;
}

/* Room for as many numbers as the array has: zeros, and what it held at first. */
static inline double *array_numbers(const struct array *a) {
    return op_block((size_t)tensor_count(&a->t), sizeof(double));
}

static inline double *array_copy(const struct array *a) {
    double *values = array_numbers(a);
    memcpy(values, a->values, (size_t)tensor_count(&a->t) * sizeof *values);
    return values;
}

/* What it holds now, in memory of the case; also that nothing was written beside it. */
static inline double *array_read(const struct array *a) {
    struct device *d = a->t.home;
    int64_t total = tensor_count(&a->whole), count = tensor_count(&a->t), beside = 0;
    struct tensor host = a->whole;
    host.home = NULL;
    host.data = op_block((size_t)total, dtype_size(a->t.type));
    CHECK_NUMBER(d->ops->download(d, &host, &a->whole, NULL), 0);
    CHECK_NUMBER(d->ops->synchronize(d, NULL), 0);
    double *values = op_block((size_t)count, sizeof *values);
    double sentinel = a->t.type == DTYPE_U8 ? 77 : OP_SENTINEL;
    for (int64_t i = 0; i < count; i++) {
        values[i] = op_get(host.data, a->t.type, op_place(a, i));
        op_set(host.data, a->t.type, op_place(a, i), sentinel);
    }
    for (int64_t i = 0; i < total; i++) {
        beside += op_get(host.data, a->t.type, i) != sentinel;
    }
    CHECK_NUMBER(beside, 0);
    return values;
}

/* Each element is within limit * the largest of `want` and, of BF16, a rounding; limit 0: equal. */
static inline bool array_near_at(const struct array *a, const double *want, const double *before,
                                 double limit, const char *file, int line) {
    const double *got = array_read(a);
    double largest = 0, worst = 0;
    int64_t count = tensor_count(&a->t), place = 0;
    for (int64_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs(want[i]));
        largest = before != NULL ? fmax(largest, fabs(before[i])) : largest;
    }
    for (int64_t i = 0; i < count; i++) {
        double miss = fabs(got[i] - want[i]);
        miss -= a->t.type == DTYPE_BF16 && limit > 0 ? 0x1p-8 * fabs(want[i]) : 0;
        if (!(miss <= worst)) { /* also of NaN */
            worst = miss;
            place = i;
        }
    }
    bool ok = test_near(worst, 0, limit * fmax(largest, 1e-30), file, line);
    if (!ok) {
        printf("# %s, products in %s: %s, element %d of %d (rows of %d): %.9g instead of %.9g\n",
               op_device, op_compute, dtype_name(a->t.type), (int)place, (int)count,
               (int)tensor_width(&a->t), got[place], want[place]);
    }
    return ok;
}

#define array_near(a, want, limit) array_near_at((a), (want), NULL, (limit), __FILE__, __LINE__)
/* Of what was added to the array's numbers, which may be far larger than what is left of them. */
#define array_near_sum(a, want, limit)                                                             \
    array_near_at((a), (want), (a)->values, (limit), __FILE__, __LINE__)

/* ---- Cases ------------------------------------------------------------------------------ */

/* A matrix of odd sizes. */
struct op_case {
    int64_t rows, width;
    enum dtype type;
    int64_t gap; /* of its rows */
};

static inline struct array *array_normal(struct device *d, const struct op_case *c,
                                         double deviation) {
    return array_random(d, c->type, c->gap, TENSOR_SHAPE(1, 1, c->rows, c->width), deviation);
}

static void (*op_case_body)(struct device *d, const struct op_case *c);

static inline void each_case_of(struct device *d) {
    static const int64_t SIZES[][2] = {{1, 1},    {3, 2},    {2, 5},    {5, 15},
                                       {4, 16},   {3, 17},   {1, 47},   {7, 64},
                                       {2, 1000}, {3, 4133}, {2, 8196}, {300, 36}};
    static const int64_t GAPS[] = {0, 3, 8};
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        for (int k = 0; k < 6; k++) {
            struct op_case c = {.rows = SIZES[i][0],
                                .width = SIZES[i][1],
                                .type = k % 2 == 0 ? DTYPE_F32 : DTYPE_BF16,
                                .gap = GAPS[k / 2]};
            op_case_body(d, &c);
            arrays_release();
        }
    }
}

/* Tails of every vector, dense rows and rows that lie apart, aligned ones too, one as wide as no
 * block of a GPU keeps at once, more than its blocks take at once; F32 and BF16, on each device. */
static inline void each_case(void (*body)(struct device *d, const struct op_case *c)) {
    op_case_body = body;
    each_device(each_case_of);
}

#endif
