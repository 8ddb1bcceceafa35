/* product.c - see product.h: the engine, packed weights and products by them. */
#include "compress/cpu/product.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "compress/cpu/product_onednn.h"
#include "compress/ops.h"

/* Of OpenMP, on which Debian's oneDNN runs; declared here because omp.h comes with each compiler's
 * own library, and it is libgomp that must hear it. */
void omp_set_num_threads(int count);

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
    struct packed head;
    dnnl_memory_t packed; /* its memory is oneDNN's */
    dnnl_memory_t bias;   /* over bias_values; NULL: none */
    float *bias_values;
};

/* A product that is ready: the memory objects are empty handles, given pointers at each run. */
struct product_size {
    int64_t rows, outputs, inputs, out_stride, x_stride;
    int64_t type, out_type, has_bias,
        accumulate; /* as wide as the others, so that memcmp compares */
};

struct product {
    struct product *next;
    struct product_size size;
    dnnl_primitive_desc_t description;
    dnnl_primitive_t run;
    dnnl_memory_t x, y;
};

enum { PRODUCT_BUCKETS = 64 };
struct products {
    dnnl_stream_t stream;
    struct product *buckets[PRODUCT_BUCKETS];
};

/* oneDNN's handles are not const, also of what it only reads. */
static void product_read(dnnl_memory_t memory, const void *data) {
    union {
        const void *read;
        void *handle;
    } of = {.read = data};
    dnnl_memory_set_data_handle(memory, of.handle);
}

/* The rows for which weights choose their order; all numbers of rows are then computed in it. */
enum { TYPICAL_ROWS = 256 };

static dnnl_status_t attributes_of(dnnl_primitive_attr_t *out, bool accumulate) {
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

static dnnl_status_t describe_matrix(dnnl_memory_desc_t *d, int64_t rows, int64_t columns,
                                     int64_t stride, enum dtype type) {
    return describe(d, 2, (dnnl_dims_t){rows, columns}, (dnnl_dims_t){stride, 1}, type);
}

/* `packed` NULL: oneDNN is free to choose the weights' order. */
static int make_description(dnnl_primitive_desc_t *out, const struct product_size *s,
                            description packed, struct error *e) {
    dnnl_memory_desc_t x, w, y, bias;
    dnnl_primitive_attr_t attributes = NULL;
    enum dtype type = (enum dtype)s->type;
    dnnl_status_t status = describe_matrix(&x, s->rows, s->inputs, s->x_stride, type);
    if (status != dnnl_success) {
        return failed(status, "describe a product", e);
    }
    describe_free(&w, 2, (dnnl_dims_t){s->inputs, s->outputs}, type);
    describe_matrix(&y, s->rows, s->outputs, s->out_stride, (enum dtype)s->out_type);
    describe_matrix(&bias, 1, s->outputs, s->outputs, DTYPE_F32);
    status = attributes_of(&attributes, s->accumulate != 0);
    if (status == dnnl_success) {
        status = product_describe(
            out, shared.engine, described(&x), packed != NULL ? packed : described(&w),
            s->has_bias != 0 ? described(&bias) : NULL, described(&y), attributes);
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
    int64_t outputs = w->head.outputs, inputs = w->head.inputs;
    const struct product_size size = {.rows = TYPICAL_ROWS,
                                      .outputs = outputs,
                                      .inputs = inputs,
                                      .out_stride = outputs,
                                      .x_stride = inputs,
                                      .type = w->head.type,
                                      .out_type = DTYPE_F32,
                                      .has_bias = w->bias != NULL};
    int rc = make_description(&product, &size, NULL, e);
    if (rc < 0) {
        return rc;
    }
    description order = dnnl_primitive_desc_query_md(product, dnnl_query_weights_md, 0);
    dnnl_status_t status = describe(&plain_order, 2, (dnnl_dims_t){inputs, outputs},
                                    (dnnl_dims_t){1, inputs}, w->head.type);
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
    w->head.bytes += dnnl_memory_desc_get_size(order);
    dnnl_primitive_destroy(move);
    dnnl_primitive_desc_destroy(moving);
    dnnl_memory_destroy(plain);
    describe_end(&plain_order);
    dnnl_primitive_desc_destroy(product);
    return status == dnnl_success ? 0 : failed(status, "pack weights", e);
}

static int keep_bias(struct weights *w, const float *bias, struct error *e) {
    int64_t outputs = w->head.outputs;
    w->head.bytes = (size_t)outputs * sizeof *bias;
    w->bias_values = malloc(w->head.bytes);
    if (w->bias_values == NULL) {
        return error_memory(e, NULL);
    }
    memcpy(w->bias_values, bias, w->head.bytes);
    dnnl_memory_desc_t order;
    dnnl_status_t status = describe_matrix(&order, 1, outputs, outputs, DTYPE_F32);
    if (status == dnnl_success) {
        status = dnnl_memory_create(&w->bias, described(&order), shared.engine, w->bias_values);
        describe_end(&order);
    }
    return status == dnnl_success ? 0 : failed(status, "keep a bias", e);
}

int product_pack(struct packed **out, struct products *p, const void *matrix, enum dtype type,
                 int64_t outputs, int64_t inputs, const float *bias, enum dtype compute,
                 struct error *e) {
    assert(outputs > 0 && inputs > 0 && (compute == DTYPE_F32 || compute == DTYPE_BF16));
    *out = NULL;
    struct weights *w = calloc(1, sizeof *w);
    void *values = matrix_in(compute, matrix, type, (size_t)outputs * (size_t)inputs);
    int rc = 0;
    if (w == NULL || values == NULL) {
        rc = error_memory(e, NULL);
        goto done;
    }
    w->head = (struct packed){.outputs = outputs, .inputs = inputs, .type = compute};
    if (bias != NULL) {
        rc = keep_bias(w, bias, e);
    }
    if (rc == 0) {
        rc = reorder(w, p, values, e);
    }
done:
    free(values);
    if (rc < 0) {
        product_packed_close(w != NULL ? &w->head : NULL);
        return rc;
    }
    *out = &w->head;
    return 0;
}

void product_packed_close(struct packed *packed) {
    struct weights *w = (struct weights *)packed;
    if (w == NULL) {
        return;
    }
    dnnl_memory_destroy(w->packed);
    dnnl_memory_destroy(w->bias);
    free(w->bias_values);
    free(w);
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
        return error_memory(e, NULL);
    }
    dnnl_status_t status = dnnl_stream_create(&p->stream, shared.engine, dnnl_stream_default_flags);
    if (status != dnnl_success) {
        free(p);
        return failed(status, "start", e);
    }
    *out = p;
    return 0;
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
    for (int i = 0; i < PRODUCT_BUCKETS; i++) {
        while (p->buckets[i] != NULL) {
            struct product *first = p->buckets[i];
            p->buckets[i] = first->next;
            product_close(first);
        }
    }
    dnnl_stream_destroy(p->stream);
    free(p);
}

static int product_make(struct product *product, const struct weights *w, struct error *e) {
    const struct product_size *s = &product->size;
    dnnl_memory_desc_t x, y;
    description packed;
    dnnl_status_t status = dnnl_memory_get_memory_desc(w->packed, &packed);
    if (status != dnnl_success) {
        return failed(status, "find packed weights", e);
    }
    int rc = make_description(&product->description, s, packed, e);
    if (rc < 0) {
        return rc;
    }
    status = dnnl_primitive_create(&product->run, product->description);
    if (status == dnnl_success) {
        status = describe_matrix(&x, s->rows, s->inputs, s->x_stride, w->head.type);
    }
    if (status != dnnl_success) {
        return failed(status, "make a product", e);
    }
    status = dnnl_memory_create(&product->x, described(&x), shared.engine, DNNL_MEMORY_NONE);
    describe_end(&x);
    if (status == dnnl_success) {
        status = describe_matrix(&y, s->rows, s->outputs, s->out_stride, (enum dtype)s->out_type);
    }
    if (status == dnnl_success) {
        status = dnnl_memory_create(&product->y, described(&y), shared.engine, DNNL_MEMORY_NONE);
        describe_end(&y);
    }
    return status == dnnl_success ? 0 : failed(status, "make a product", e);
}

static int product_find(struct product **out, struct products *p, const struct product_size *s,
                        const struct weights *w, struct error *e) {
    uint64_t mixed = (uint64_t)s->rows * 31 + (uint64_t)s->outputs * 7 + (uint64_t)s->inputs * 131;
    struct product **bucket = &p->buckets[mixed % PRODUCT_BUCKETS];
    for (struct product *it = *bucket; it != NULL; it = it->next) {
        if (memcmp(&it->size, s, sizeof *s) == 0) {
            *out = it;
            return 0;
        }
    }
    struct product *product = calloc(1, sizeof *product);
    if (product == NULL) {
        return error_memory(e, NULL);
    }
    product->size = *s;
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

int product_run(struct products *p, void *out, enum dtype out_type, int64_t out_stride,
                const void *x, int64_t x_stride, int64_t rows, const struct packed *packed,
                bool accumulate, struct error *e) {
    const struct weights *w = (const struct weights *)packed;
    const struct product_size size = {.rows = rows,
                                      .outputs = packed->outputs,
                                      .inputs = packed->inputs,
                                      .out_stride = rows > 1 ? out_stride : packed->outputs,
                                      .x_stride = rows > 1 ? x_stride : packed->inputs,
                                      .type = packed->type,
                                      .out_type = out_type,
                                      .has_bias = w->bias != NULL,
                                      .accumulate = accumulate};
    struct product *product = NULL;
    int rc = product_find(&product, p, &size, w, e);
    if (rc < 0) {
        return rc;
    }
    product_read(product->x, x);
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
