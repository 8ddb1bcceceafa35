/* product.c - see product.h. oneDNN 2.x describes operations in two steps and memory by value, 3.x
 * in one step and by handle; the differences are in the first part of this file. */
#include "compress/cpu/product.h"

#include <assert.h>
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Of OpenMP, on which Debian's oneDNN runs; declared here because omp.h comes with each compiler's
 * own library, and it is libgomp that must hear it. */
void omp_set_num_threads(int count);

/* ---- 2.x and 3.x ----------------------------------------------------------- */

#if DNNL_VERSION_MAJOR >= 3

typedef const_dnnl_memory_desc_t description;

static dnnl_status_t describe(dnnl_memory_desc_t *d, int64_t rows, int64_t columns, enum dtype type,
                              dnnl_format_tag_t order) {
    dnnl_data_type_t data = type == DTYPE_BF16 ? dnnl_bf16 : dnnl_f32;
    return dnnl_memory_desc_create_with_tag(d, 2, (dnnl_dims_t){rows, columns}, data, order);
}
static dnnl_status_t describe_batch(dnnl_memory_desc_t *d, const dnnl_dims_t sizes, enum dtype type,
                                    dnnl_format_tag_t order) {
    return dnnl_memory_desc_create_with_tag(d, 3, sizes, type == DTYPE_BF16 ? dnnl_bf16 : dnnl_f32,
                                            order);
}
static description described(const dnnl_memory_desc_t *d) {
    return *d;
}
static void describe_end(dnnl_memory_desc_t *d) {
    dnnl_memory_desc_destroy(*d);
}
static dnnl_status_t add_sum(dnnl_post_ops_t post) {
    return dnnl_post_ops_append_sum(post, 1.0f, 0, dnnl_data_type_undef);
}
static dnnl_status_t product_describe(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                      description x, description w, description bias, description y,
                                      dnnl_primitive_attr_t attributes) {
    return dnnl_matmul_primitive_desc_create(out, engine, x, w, bias, y, attributes);
}

#else

typedef const dnnl_memory_desc_t *description;

static dnnl_status_t describe(dnnl_memory_desc_t *d, int64_t rows, int64_t columns, enum dtype type,
                              dnnl_format_tag_t order) {
    dnnl_data_type_t data = type == DTYPE_BF16 ? dnnl_bf16 : dnnl_f32;
    return dnnl_memory_desc_init_by_tag(d, 2, (dnnl_dims_t){rows, columns}, data, order);
}
static dnnl_status_t describe_batch(dnnl_memory_desc_t *d, const dnnl_dims_t sizes, enum dtype type,
                                    dnnl_format_tag_t order) {
    return dnnl_memory_desc_init_by_tag(d, 3, sizes, type == DTYPE_BF16 ? dnnl_bf16 : dnnl_f32,
                                        order);
}
static description described(const dnnl_memory_desc_t *d) {
    return d;
}
static void describe_end(dnnl_memory_desc_t *d) {
    (void)d;
}
static dnnl_status_t add_sum(dnnl_post_ops_t post) {
    return dnnl_post_ops_append_sum(post, 1.0f);
}
static dnnl_status_t product_describe(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                      description x, description w, description bias, description y,
                                      dnnl_primitive_attr_t attributes) {
    dnnl_matmul_desc_t operation;
    dnnl_status_t status = dnnl_matmul_desc_init(&operation, x, w, bias, y);
    return status != dnnl_success
               ? status
               : dnnl_primitive_desc_create(out, &operation, attributes, engine, NULL);
}

#endif

/* ---- The engine, one for the process ----------------------------------------- */

static struct {
    pthread_once_t once;
    pthread_mutex_t lock;
    dnnl_engine_t engine;
    dnnl_status_t status;
    bool limited;
} shared = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER};

static void open_engine(void) {
    shared.status = dnnl_engine_create(&shared.engine, dnnl_cpu, 0);
}

/* oneDNN takes a limit only before its first use; a second, other level of a process (tests) keeps
 * the first one's products, which is slower or faster but not wrong. */
static void limit(const char *level) {
    static const struct {
        const char *level;
        dnnl_cpu_isa_t isa;
    } ISAS[] = {{"portable", dnnl_cpu_isa_sse41},
                {"avx2", dnnl_cpu_isa_avx2},
                {"avx512", dnnl_cpu_isa_avx512_core_vnni},
                {"avx512bf16", dnnl_cpu_isa_avx512_core_bf16}};
    pthread_mutex_lock(&shared.lock);
    for (size_t i = 0; i < sizeof ISAS / sizeof *ISAS && !shared.limited; i++) {
        if (strcmp(level, ISAS[i].level) == 0) {
            dnnl_set_max_cpu_isa(ISAS[i].isa);
        }
    }
    shared.limited = true;
    pthread_mutex_unlock(&shared.lock);
}

static int failed(dnnl_status_t status, const char *what, struct error *e) {
    if (status == dnnl_out_of_memory) {
        return error_set(e, ERR_MEMORY, "out of memory in %s", what);
    }
    return error_set(e, ERR_UNSUPPORTED, "oneDNN %d.%d cannot %s (status %d)", DNNL_VERSION_MAJOR,
                     DNNL_VERSION_MINOR, what, (int)status);
}

/* ---- Weights ----------------------------------------------------------------- */

struct weights {
    int64_t outputs, inputs;
    enum dtype type;
    dnnl_memory_t packed; /* its memory is oneDNN's */
    dnnl_memory_t bias;   /* over bias_values; NULL: none */
    float *bias_values;
};

/* A product that is ready: the memory objects are empty handles, given pointers at each run. */
struct product {
    struct product *next;
    int64_t rows, outputs, inputs;
    enum dtype type;
    bool has_bias, accumulate;
    dnnl_primitive_desc_t description;
    dnnl_primitive_t run;
    dnnl_memory_t x, y;
};

enum { BUCKETS = 64 };

/* The same for a product of two matrices of which none is packed. */
struct multiplication {
    struct multiplication *next;
    struct product_shape shape;
    dnnl_primitive_t run;
    dnnl_memory_t a, b, y;
};

struct products {
    dnnl_stream_t stream;
    struct product *buckets[BUCKETS];
    struct multiplication *multiplications[BUCKETS];
};

/* The rows for which weights choose their order; all numbers of rows are then computed in it. */
enum { TYPICAL_ROWS = 256 };

static dnnl_status_t make_attributes(dnnl_primitive_attr_t *out, bool accumulate) {
    dnnl_post_ops_t post = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(out);
    if (status == dnnl_success && accumulate) {
        status = dnnl_post_ops_create(&post);
        if (status == dnnl_success) {
            status = add_sum(post);
        }
        if (status == dnnl_success) {
            status = dnnl_primitive_attr_set_post_ops(*out, post);
        }
    }
    if (post != NULL) {
        dnnl_post_ops_destroy(post);
    }
    return status;
}

/* `packed` NULL: oneDNN is free to choose the weights' order. */
static int make_description(dnnl_primitive_desc_t *out, int64_t rows, int64_t outputs,
                            int64_t inputs, enum dtype type, bool has_bias, bool accumulate,
                            description packed, struct error *e) {
    dnnl_memory_desc_t x, w, y, bias;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_status_t status = describe(&x, rows, inputs, type, dnnl_ab);
    if (status != dnnl_success) {
        return failed(status, "describe a product", e);
    }
    describe(&w, inputs, outputs, type, dnnl_format_tag_any);
    describe(&y, rows, outputs, DTYPE_F32, dnnl_ab);
    describe(&bias, 1, outputs, DTYPE_F32, dnnl_ab);
    status = make_attributes(&attributes, accumulate);
    if (status == dnnl_success) {
        status = product_describe(out, shared.engine, described(&x),
                                  packed != NULL ? packed : described(&w),
                                  has_bias ? described(&bias) : NULL, described(&y), attributes);
    }
    if (attributes != NULL) {
        dnnl_primitive_attr_destroy(attributes);
    }
    describe_end(&bias);
    describe_end(&y);
    describe_end(&w);
    describe_end(&x);
    return status == dnnl_success ? 0 : failed(status, "make a product", e);
}

/* The matrix as it came, in `type`; the caller frees it. */
static void *matrix_in(enum dtype type, const void *matrix, enum dtype from, size_t count) {
    void *copy = malloc(count * dtype_size(type));
    if (copy == NULL) {
        return NULL;
    }
    if (type == from) {
        memcpy(copy, matrix, count * dtype_size(type));
    } else if (type == DTYPE_F32) {
        dtype_to_float(copy, matrix, from, count);
    } else {
        float *values = malloc(count * sizeof *values);
        if (values == NULL) {
            free(copy);
            return NULL;
        }
        dtype_to_float(values, matrix, from, count);
        dtype_from_float(copy, type, values, count);
        free(values);
    }
    return copy;
}

/* Turns `matrix` (outputs, inputs) into w->packed. */
static int reorder(struct weights *w, struct products *p, void *matrix, struct error *e) {
    dnnl_primitive_desc_t product = NULL, moving = NULL;
    dnnl_primitive_t move = NULL;
    dnnl_memory_t plain = NULL;
    dnnl_memory_desc_t plain_order;
    int rc = make_description(&product, TYPICAL_ROWS, w->outputs, w->inputs, w->type,
                              w->bias != NULL, false, NULL, e);
    if (rc < 0) {
        return rc;
    }
    description order = dnnl_primitive_desc_query_md(product, dnnl_query_weights_md, 0);
    dnnl_status_t status = describe(&plain_order, w->inputs, w->outputs, w->type, dnnl_ba);
    if (status == dnnl_success) {
        status = dnnl_memory_create(&plain, described(&plain_order), shared.engine, matrix);
    }
    if (status == dnnl_success) {
        status = dnnl_memory_create(&w->packed, order, shared.engine, DNNL_MEMORY_ALLOCATE);
    }
    if (status == dnnl_success) {
        status = dnnl_reorder_primitive_desc_create(&moving, described(&plain_order), shared.engine,
                                                    order, shared.engine, NULL);
    }
    if (status == dnnl_success) {
        status = dnnl_primitive_create(&move, moving);
    }
    if (status == dnnl_success) {
        const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, plain}, {DNNL_ARG_TO, w->packed}};
        status = dnnl_primitive_execute(move, p->stream, 2, arguments);
    }
    if (status == dnnl_success) {
        status = dnnl_stream_wait(p->stream);
    }
    dnnl_primitive_destroy(move);
    dnnl_primitive_desc_destroy(moving);
    dnnl_memory_destroy(plain);
    describe_end(&plain_order);
    dnnl_primitive_desc_destroy(product);
    return status == dnnl_success ? 0 : failed(status, "pack weights", e);
}

static int keep_bias(struct weights *w, const float *bias, struct error *e) {
    w->bias_values = malloc((size_t)w->outputs * sizeof *bias);
    if (w->bias_values == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    memcpy(w->bias_values, bias, (size_t)w->outputs * sizeof *bias);
    dnnl_memory_desc_t order;
    dnnl_status_t status = describe(&order, 1, w->outputs, DTYPE_F32, dnnl_ab);
    if (status == dnnl_success) {
        status = dnnl_memory_create(&w->bias, described(&order), shared.engine, w->bias_values);
        describe_end(&order);
    }
    return status == dnnl_success ? 0 : failed(status, "keep a bias", e);
}

int weights_pack(struct weights **out, struct products *p, const void *matrix, enum dtype type,
                 int64_t outputs, int64_t inputs, const float *bias, enum dtype compute,
                 struct error *e) {
    assert(outputs > 0 && inputs > 0 && (compute == DTYPE_F32 || compute == DTYPE_BF16));
    *out = NULL;
    struct weights *w = calloc(1, sizeof *w);
    void *values = matrix_in(compute, matrix, type, (size_t)outputs * (size_t)inputs);
    int rc = 0;
    if (w == NULL || values == NULL) {
        rc = error_set(e, ERR_MEMORY, "out of memory");
        goto done;
    }
    *w = (struct weights){.outputs = outputs, .inputs = inputs, .type = compute};
    if (bias != NULL) {
        rc = keep_bias(w, bias, e);
    }
    if (rc == 0) {
        rc = reorder(w, p, values, e);
    }
done:
    free(values);
    if (rc < 0) {
        weights_close(w);
        return rc;
    }
    *out = w;
    return 0;
}

void weights_close(struct weights *w) {
    if (w == NULL) {
        return;
    }
    dnnl_memory_destroy(w->packed);
    dnnl_memory_destroy(w->bias);
    free(w->bias_values);
    free(w);
}

int64_t weights_outputs(const struct weights *w) {
    return w->outputs;
}

int64_t weights_inputs(const struct weights *w) {
    return w->inputs;
}

enum dtype weights_type(const struct weights *w) {
    return w->type;
}

/* ---- Products ------------------------------------------------------------------ */

int products_open(struct products **out, const char *level, struct error *e) {
    *out = NULL;
    limit(level);
    pthread_once(&shared.once, open_engine);
    if (shared.status != dnnl_success) {
        return failed(shared.status, "start", e);
    }
    omp_set_num_threads(1); /* of the calling thread; oneDNN asks for it when it makes a product */
    struct products *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    dnnl_status_t status = dnnl_stream_create(&p->stream, shared.engine, dnnl_stream_default_flags);
    if (status != dnnl_success) {
        free(p);
        return failed(status, "start", e);
    }
    *out = p;
    return 0;
}

static void multiplication_close(struct multiplication *m) {
    dnnl_memory_destroy(m->a);
    dnnl_memory_destroy(m->b);
    dnnl_memory_destroy(m->y);
    dnnl_primitive_destroy(m->run);
    free(m);
}

static void product_close(struct product *product) {
    dnnl_memory_destroy(product->x);
    dnnl_memory_destroy(product->y);
    dnnl_primitive_destroy(product->run);
    dnnl_primitive_desc_destroy(product->description);
    free(product);
}

void products_close(struct products *p) {
    if (p == NULL) {
        return;
    }
    for (int i = 0; i < BUCKETS; i++) {
        while (p->buckets[i] != NULL) {
            struct product *first = p->buckets[i];
            p->buckets[i] = first->next;
            product_close(first);
        }
        while (p->multiplications[i] != NULL) {
            struct multiplication *first = p->multiplications[i];
            p->multiplications[i] = first->next;
            multiplication_close(first);
        }
    }
    dnnl_stream_destroy(p->stream);
    free(p);
}

static int product_make(struct product *product, const struct weights *w, struct error *e) {
    dnnl_memory_desc_t order_x, order_y;
    description packed;
    dnnl_status_t status = dnnl_memory_get_memory_desc(w->packed, &packed);
    if (status != dnnl_success) {
        return failed(status, "find packed weights", e);
    }
    int rc = make_description(&product->description, product->rows, w->outputs, w->inputs, w->type,
                              product->has_bias, product->accumulate, packed, e);
    if (rc < 0) {
        return rc;
    }
    status = dnnl_primitive_create(&product->run, product->description);
    if (status == dnnl_success) {
        status = describe(&order_x, product->rows, w->inputs, w->type, dnnl_ab);
    }
    if (status != dnnl_success) {
        return failed(status, "make a product", e);
    }
    status = dnnl_memory_create(&product->x, described(&order_x), shared.engine, DNNL_MEMORY_NONE);
    describe_end(&order_x);
    if (status == dnnl_success) {
        status = describe(&order_y, product->rows, w->outputs, DTYPE_F32, dnnl_ab);
    }
    if (status == dnnl_success) {
        status =
            dnnl_memory_create(&product->y, described(&order_y), shared.engine, DNNL_MEMORY_NONE);
        describe_end(&order_y);
    }
    return status == dnnl_success ? 0 : failed(status, "make a product", e);
}

static int product_find(struct product **out, struct products *p, int64_t rows,
                        const struct weights *w, bool accumulate, struct error *e) {
    uint64_t mixed = (uint64_t)rows * 31 + (uint64_t)w->outputs * 7 + (uint64_t)w->inputs * 131;
    struct product **bucket = &p->buckets[mixed % BUCKETS];
    for (struct product *it = *bucket; it != NULL; it = it->next) {
        if (it->rows == rows && it->outputs == w->outputs && it->inputs == w->inputs &&
            it->type == w->type && it->has_bias == (w->bias != NULL) &&
            it->accumulate == accumulate) {
            *out = it;
            return 0;
        }
    }
    struct product *product = calloc(1, sizeof *product);
    if (product == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    product->rows = rows;
    product->outputs = w->outputs;
    product->inputs = w->inputs;
    product->type = w->type;
    product->has_bias = w->bias != NULL;
    product->accumulate = accumulate;
    int rc = product_make(product, w, e);
    if (rc < 0) {
        product_close(product);
        return rc;
    }
    product->next = *bucket;
    *bucket = product;
    *out = product;
    return 0;
}

int product_run(struct products *p, float *out, const void *x, int64_t rows,
                const struct weights *w, bool accumulate, struct error *e) {
    struct product *product = NULL;
    int rc = product_find(&product, p, rows, w, accumulate, e);
    if (rc < 0) {
        return rc;
    }
    union {
        const void *read;
        void *handle;
    } input = {.read = x}; /* oneDNN's handles are not const; it reads from this one */
    dnnl_memory_set_data_handle(product->x, input.handle);
    dnnl_memory_set_data_handle(product->y, out);
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, product->x},
                                         {DNNL_ARG_WEIGHTS, w->packed},
                                         {DNNL_ARG_DST, product->y},
                                         {DNNL_ARG_BIAS, w->bias}};
    dnnl_status_t status =
        dnnl_primitive_execute(product->run, p->stream, w->bias != NULL ? 4 : 3, arguments);
    if (status == dnnl_success) {
        status = dnnl_stream_wait(p->stream);
    }
    return status == dnnl_success ? 0 : failed(status, "run a product", e);
}

/* ---- Products of two plain matrices ---------------------------------------------------- */

static int multiplication_make(struct multiplication *m, struct error *e) {
    const struct product_shape *s = &m->shape;
    dnnl_memory_desc_t a, b, y;
    dnnl_primitive_desc_t product = NULL;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_status_t status = describe_batch(&a, (dnnl_dims_t){s->batch, s->m, s->k}, s->type,
                                          s->a_transposed ? dnnl_acb : dnnl_abc);
    if (status != dnnl_success) {
        return failed(status, "describe a product", e);
    }
    describe_batch(&b, (dnnl_dims_t){s->batch, s->k, s->n}, s->type,
                   s->b_transposed ? dnnl_acb : dnnl_abc);
    describe_batch(&y, (dnnl_dims_t){s->batch, s->m, s->n}, DTYPE_F32, dnnl_abc);
    status = make_attributes(&attributes, s->accumulate);
    if (status == dnnl_success) {
        status = product_describe(&product, shared.engine, described(&a), described(&b), NULL,
                                  described(&y), attributes);
    }
    if (status == dnnl_success) {
        status = dnnl_primitive_create(&m->run, product);
    }
    if (status == dnnl_success) {
        status = dnnl_memory_create(&m->a, described(&a), shared.engine, DNNL_MEMORY_NONE);
    }
    if (status == dnnl_success) {
        status = dnnl_memory_create(&m->b, described(&b), shared.engine, DNNL_MEMORY_NONE);
    }
    if (status == dnnl_success) {
        status = dnnl_memory_create(&m->y, described(&y), shared.engine, DNNL_MEMORY_NONE);
    }
    if (attributes != NULL) {
        dnnl_primitive_attr_destroy(attributes);
    }
    dnnl_primitive_desc_destroy(product);
    describe_end(&y);
    describe_end(&b);
    describe_end(&a);
    return status == dnnl_success ? 0 : failed(status, "make a product", e);
}

static bool same_shape(const struct product_shape *a, const struct product_shape *b) {
    return a->batch == b->batch && a->m == b->m && a->n == b->n && a->k == b->k &&
           a->a_transposed == b->a_transposed && a->b_transposed == b->b_transposed &&
           a->accumulate == b->accumulate && a->type == b->type;
}

static int multiplication_find(struct multiplication **out, struct products *p,
                               const struct product_shape *s, struct error *e) {
    uint64_t mixed = (uint64_t)s->m * 31 + (uint64_t)s->n * 7 + (uint64_t)s->k * 131 +
                     (uint64_t)s->batch * 13 + s->a_transposed + 2 * s->b_transposed;
    struct multiplication **bucket = &p->multiplications[mixed % BUCKETS];
    for (struct multiplication *it = *bucket; it != NULL; it = it->next) {
        if (same_shape(&it->shape, s)) {
            *out = it;
            return 0;
        }
    }
    struct multiplication *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    m->shape = *s;
    int rc = multiplication_make(m, e);
    if (rc < 0) {
        multiplication_close(m);
        return rc;
    }
    m->next = *bucket;
    *bucket = m;
    *out = m;
    return 0;
}

int product_multiply(struct products *p, float *out, const void *a, const void *b,
                     const struct product_shape *shape, struct error *e) {
    struct multiplication *m = NULL;
    int rc = multiplication_find(&m, p, shape, e);
    if (rc < 0) {
        return rc;
    }
    union {
        const void *read;
        void *handle;
    } first = {.read = a}, second = {.read = b}; /* as in product_run */
    dnnl_memory_set_data_handle(m->a, first.handle);
    dnnl_memory_set_data_handle(m->b, second.handle);
    dnnl_memory_set_data_handle(m->y, out);
    const dnnl_exec_arg_t arguments[] = {
        {DNNL_ARG_SRC, m->a}, {DNNL_ARG_WEIGHTS, m->b}, {DNNL_ARG_DST, m->y}};
    dnnl_status_t status = dnnl_primitive_execute(m->run, p->stream, 3, arguments);
    if (status == dnnl_success) {
        status = dnnl_stream_wait(p->stream);
    }
    return status == dnnl_success ? 0 : failed(status, "run a product", e);
}
