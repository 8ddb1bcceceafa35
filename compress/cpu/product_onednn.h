/* product_onednn.h - oneDNN 2.x describes operations in two steps and memory by value, 3.x in one
 * step and by handle: here both are one. For product*.c. */
#ifndef OCC_COMPRESS_CPU_PRODUCT_ONEDNN_H
#define OCC_COMPRESS_CPU_PRODUCT_ONEDNN_H

#include <oneapi/dnnl/dnnl.h>

#include "store/dtype.h"

static inline dnnl_data_type_t onednn_type(enum dtype type) {
    return type == DTYPE_BF16 ? dnnl_bf16 : dnnl_f32;
}

/* `describe`: of memory with these strides; `describe_free`: in an order that oneDNN chooses;
 * `describe_end` releases either. */
#if DNNL_VERSION_MAJOR >= 3

typedef const_dnnl_memory_desc_t description;

static inline dnnl_status_t describe(dnnl_memory_desc_t *d, int axes, const dnnl_dims_t sizes,
                                     const dnnl_dims_t strides, enum dtype type) {
    return dnnl_memory_desc_create_with_strides(d, axes, sizes, onednn_type(type), strides);
}
static inline dnnl_status_t describe_free(dnnl_memory_desc_t *d, int axes, const dnnl_dims_t sizes,
                                          enum dtype type) {
    return dnnl_memory_desc_create_with_tag(d, axes, sizes, onednn_type(type), dnnl_format_tag_any);
}
static inline description described(const dnnl_memory_desc_t *d) {
    return *d;
}
static inline void describe_end(dnnl_memory_desc_t *d) {
    dnnl_memory_desc_destroy(*d);
}
static inline dnnl_status_t add_sum(dnnl_post_ops_t post) {
    return dnnl_post_ops_append_sum(post, 1.0f, 0, dnnl_data_type_undef);
}
static inline dnnl_status_t product_describe(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                             description x, description w, description bias,
                                             description y, dnnl_primitive_attr_t attributes) {
    return dnnl_matmul_primitive_desc_create(out, engine, x, w, bias, y, attributes);
}

#else

typedef const dnnl_memory_desc_t *description;

static inline dnnl_status_t describe(dnnl_memory_desc_t *d, int axes, const dnnl_dims_t sizes,
                                     const dnnl_dims_t strides, enum dtype type) {
    return dnnl_memory_desc_init_by_strides(d, axes, sizes, onednn_type(type), strides);
}
static inline dnnl_status_t describe_free(dnnl_memory_desc_t *d, int axes, const dnnl_dims_t sizes,
                                          enum dtype type) {
    return dnnl_memory_desc_init_by_tag(d, axes, sizes, onednn_type(type), dnnl_format_tag_any);
}
static inline description described(const dnnl_memory_desc_t *d) {
    return d;
}
static inline void describe_end(dnnl_memory_desc_t *d) {
    (void)d;
}
static inline dnnl_status_t add_sum(dnnl_post_ops_t post) {
    return dnnl_post_ops_append_sum(post, 1.0f);
}
static inline dnnl_status_t product_describe(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                             description x, description w, description bias,
                                             description y, dnnl_primitive_attr_t attributes) {
    dnnl_matmul_desc_t operation;
    dnnl_status_t status = dnnl_matmul_desc_init(&operation, x, w, bias, y);
    return status != dnnl_success
               ? status
               : dnnl_primitive_desc_create(out, &operation, attributes, engine, NULL);
}

#endif

#endif
