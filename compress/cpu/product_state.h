/* product_state.h - what product.c and product_multiply.c share. */
#ifndef OCC_COMPRESS_CPU_PRODUCT_STATE_H
#define OCC_COMPRESS_CPU_PRODUCT_STATE_H

#include "compress/cpu/product.h"
#include "compress/cpu/product_onednn.h"
#include "compress/ops.h"

struct product;        /* by packed weights, ready to run */
struct multiplication; /* of two plain matrices, ready to run */

enum { PRODUCT_BUCKETS = 64 };

struct products {
    dnnl_engine_t engine; /* the process's */
    dnnl_stream_t stream;
    struct product *buckets[PRODUCT_BUCKETS];
    struct multiplication *multiplications[PRODUCT_BUCKETS];
};

void multiplications_close(struct products *p);

/* Fills `e` with what oneDNN could not do; returns its code. */
int product_failed(dnnl_status_t status, const char *what, struct error *e);
/* `accumulate`: the result is added to what is there. The caller destroys it. */
dnnl_status_t product_attributes(dnnl_primitive_attr_t *out, bool accumulate);

/* oneDNN's handles are not const, also of what it only reads. */
static inline void product_read(dnnl_memory_t memory, const void *data) {
    union {
        const void *read;
        void *handle;
    } of = {.read = data};
    dnnl_memory_set_data_handle(memory, of.handle);
}

#endif
