/* memory.c - the host's memory is the device's. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "compress/cpu/device.h"
#include "compress/cpu/ops.h"
#include "store/buffer.h"

/* Bytes of a tensor in whole cache lines; 0: too many. */
static size_t whole_bytes(const struct tensor *t) {
    size_t bytes = dtype_size(t->type);
    for (int i = 0; i < TENSOR_RANK; i++) {
        size_t side = (size_t)t->shape[i];
        if (side != 0 && bytes > (SIZE_MAX / 2 - CPU_ALIGNMENT) / side) {
            return 0;
        }
        bytes *= side;
    }
    return bytes == 0 ? CPU_ALIGNMENT : (bytes + CPU_ALIGNMENT - 1) / CPU_ALIGNMENT * CPU_ALIGNMENT;
}

int cpu_alloc(struct device *d, struct tensor *out, struct error *e) {
    size_t bytes = whole_bytes(out);
    void *data = bytes > 0 ? buffer_memory(bytes) : NULL;
    if (data == NULL) {
        out->data = NULL;
        return error_memory(e, NULL);
    }
    *out = tensor_of(data, out->type, d, out->shape);
    cpu_count_bytes(d, (int64_t)bytes);
    return 0;
}

void cpu_release(struct device *d, struct tensor *t) {
    if (t->data != NULL) {
        assert(t->home == d && tensor_is_dense(t));
        cpu_count_bytes(d, -(int64_t)whole_bytes(t));
    }
    free(t->data);
    t->data = NULL;
}

static int move(const struct tensor *to, const struct tensor *from) {
    assert(to->type == from->type && tensor_count(to) == tensor_count(from));
    assert(tensor_is_dense(to) && tensor_is_dense(from));
    if (to->data != from->data) {
        memcpy(to->data, from->data, tensor_bytes(from));
    }
    return 0;
}

int cpu_upload(struct device *d, const struct tensor *to, const struct tensor *from,
               struct error *e) {
    (void)d;
    (void)e;
    return move(to, from);
}

int cpu_download(struct device *d, const struct tensor *to, const struct tensor *from,
                 struct error *e) {
    (void)d;
    (void)e;
    return move(to, from);
}

int cpu_synchronize(struct device *d, struct error *e) {
    (void)d;
    (void)e;
    return 0;
}
