/* product_multiply.c - products of two matrices of which none is packed. */
#include <stdlib.h>
#include <string.h>

#include "compress/cpu/product_state.h"

/* The memory objects are empty handles, given pointers at each run. */
struct multiplication {
    struct multiplication *next;
    struct matmul_shape shape;
    dnnl_primitive_t run;
    dnnl_memory_t a, b, y, bias; /* bias NULL: none */
};

static void multiplication_close(struct multiplication *m) {
    dnnl_memory_destroy(m->a);
    dnnl_memory_destroy(m->b);
    dnnl_memory_destroy(m->y);
    dnnl_memory_destroy(m->bias);
    dnnl_primitive_destroy(m->run);
    free(m);
}

void multiplications_close(struct products *p) {
    for (int i = 0; i < PRODUCT_BUCKETS; i++) {
        while (p->multiplications[i] != NULL) {
            struct multiplication *first = p->multiplications[i];
            p->multiplications[i] = first->next;
            multiplication_close(first);
        }
    }
}

static dnnl_status_t describe_batch(dnnl_memory_desc_t *d, int64_t batch, int64_t rows,
                                    int64_t columns, const int64_t stride[3], enum dtype type) {
    return describe(d, 3, (dnnl_dims_t){batch, rows, columns},
                    (dnnl_dims_t){stride[0], stride[1], stride[2]}, type);
}

static int multiplication_make(struct multiplication *m, dnnl_engine_t engine, bool has_bias,
                               struct error *e) {
    const struct matmul_shape *s = &m->shape;
    dnnl_memory_desc_t a, b, y, bias;
    dnnl_primitive_desc_t product = NULL;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_status_t status = describe_batch(&a, s->batch, s->m, s->k, s->a_stride, s->type);
    if (status != dnnl_success) {
        return product_failed(status, "describe a product", e);
    }
    describe_batch(&b, s->batch, s->k, s->n, s->b_stride, s->type);
    describe_batch(&y, s->batch, s->m, s->n, s->out_stride, s->out_type);
    describe_batch(&bias, 1, 1, s->n, (int64_t[]){s->n, s->n, 1}, DTYPE_F32);
    status = product_attributes(&attributes, s->accumulate);
    if (status == dnnl_success) {
        status = product_describe(&product, engine, described(&a), described(&b),
                                  has_bias ? described(&bias) : NULL, described(&y), attributes);
    }
    if (status == dnnl_success) {
        status = dnnl_primitive_create(&m->run, product);
    }
    if (status == dnnl_success) {
        status = dnnl_memory_create(&m->a, described(&a), engine, DNNL_MEMORY_NONE);
    }
    if (status == dnnl_success) {
        status = dnnl_memory_create(&m->b, described(&b), engine, DNNL_MEMORY_NONE);
    }
    if (status == dnnl_success) {
        status = dnnl_memory_create(&m->y, described(&y), engine, DNNL_MEMORY_NONE);
    }
    if (status == dnnl_success && has_bias) {
        status = dnnl_memory_create(&m->bias, described(&bias), engine, DNNL_MEMORY_NONE);
    }
    if (attributes != NULL) {
        dnnl_primitive_attr_destroy(attributes);
    }
    dnnl_primitive_desc_destroy(product);
    describe_end(&bias);
    describe_end(&y);
    describe_end(&b);
    describe_end(&a);
    return status == dnnl_success ? 0 : product_failed(status, "make a product", e);
}

static bool same_strides(const int64_t a[3], const int64_t b[3]) {
    return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

static bool same_shape(const struct matmul_shape *a, const struct matmul_shape *b) {
    return a->batch == b->batch && a->m == b->m && a->n == b->n && a->k == b->k &&
           same_strides(a->a_stride, b->a_stride) && same_strides(a->b_stride, b->b_stride) &&
           same_strides(a->out_stride, b->out_stride) && a->type == b->type &&
           a->out_type == b->out_type && a->accumulate == b->accumulate;
}

static int multiplication_find(struct multiplication **out, struct products *p,
                               const struct matmul_shape *s, bool has_bias, struct error *e) {
    uint64_t mixed = (uint64_t)s->m * 31 + (uint64_t)s->n * 7 + (uint64_t)s->k * 131 +
                     (uint64_t)s->batch * 13 + (s->a_stride[2] == 1) + 2 * (s->b_stride[2] == 1);
    struct multiplication **bucket = &p->multiplications[mixed % PRODUCT_BUCKETS];
    for (struct multiplication *it = *bucket; it != NULL; it = it->next) {
        if (same_shape(&it->shape, s) && (it->bias != NULL) == has_bias) {
            *out = it;
            return 0;
        }
    }
    struct multiplication *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return error_memory(e, NULL);
    }
    m->shape = *s;
    int rc = multiplication_make(m, p->engine, has_bias, e);
    if (rc < 0) {
        multiplication_close(m);
        return rc;
    }
    m->next = *bucket;
    *bucket = m;
    *out = m;
    return 0;
}

int product_multiply(struct products *p, void *out, const void *a, const void *b, const float *bias,
                     const struct matmul_shape *shape, struct error *e) {
    struct multiplication *m = NULL;
    int rc = multiplication_find(&m, p, shape, bias != NULL, e);
    if (rc < 0) {
        return rc;
    }
    product_read(m->a, a);
    product_read(m->b, b);
    dnnl_memory_set_data_handle(m->y, out);
    if (bias != NULL) {
        product_read(m->bias, bias);
    }
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, m->a},
                                         {DNNL_ARG_WEIGHTS, m->b},
                                         {DNNL_ARG_DST, m->y},
                                         {DNNL_ARG_BIAS, m->bias}};
    dnnl_status_t status =
        dnnl_primitive_execute(m->run, p->stream, bias != NULL ? 4 : 3, arguments);
    if (status == dnnl_success) {
        status = dnnl_stream_wait(p->stream);
    }
    return status == dnnl_success ? 0 : product_failed(status, "run a product", e);
}
