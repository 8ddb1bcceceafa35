/* copy.c - filling, copying and adding up tensors of any strides. */
#include <assert.h>
#include <string.h>

#include "compress/cpu/device.h"
#include "compress/cpu/ops.h"
#include "compress/cpu/strided.h"

enum { PART = 1024 /* floats on the stack */ };

/* Elements that are converted or lie apart go by way of the stack. */
static int64_t part_of(const struct strided_run *r, int64_t done) {
    return r->count - done < PART ? r->count - done : PART;
}

static void *to_at(const struct strided_run *r, int64_t i) {
    return r->to + i * r->to_step * (int64_t)dtype_size(r->to_type);
}

static const void *from_at(const struct strided_run *r, int64_t i) {
    return r->from + i * r->from_step * (int64_t)dtype_size(r->from_type);
}

/* ---- Fill -------------------------------------------------------------------------- */

static void fill_bytes(const struct strided_run *r, const void *element) {
    size_t size = dtype_size(r->to_type);
    for (int64_t i = 0; i < r->count; i++) {
        memcpy(to_at(r, i), element, size);
    }
}

static void fill_run(const struct strided_run *r) {
    size_t size = dtype_size(r->to_type);
    static const char ZEROS[sizeof(int64_t)] = {0};
    if (r->to_step == 1 && memcmp(r->extra, ZEROS, size) == 0) {
        memset(r->to, 0, (size_t)r->count * size);
    } else {
        fill_bytes(r, r->extra);
    }
}

int cpu_fill(struct device *d, const struct tensor *out, float value, struct error *e) {
    union {
        float f32;
        uint16_t bf16;
        int32_t i32;
        uint8_t u8;
    } element = {.f32 = value};
    (void)e;
    switch (out->type) {
    case DTYPE_BF16:
        element.bf16 = bf16_of(value);
        break;
    case DTYPE_I32:
        element.i32 = (int32_t)value;
        break;
    case DTYPE_U8:
        element.u8 = (uint8_t)value;
        break;
    case DTYPE_F32:
    case DTYPE_F16:
    case DTYPE_I8:
    case DTYPE_I64:
    case DTYPE_COUNT:
        assert(out->type == DTYPE_F32);
    }
    strided_each(cpu_device(d)->level, out, NULL, fill_run, &element);
    return 0;
}

/* ---- Copy -------------------------------------------------------------------------- */

#define COPY_APART(type)                                                                           \
    static void copy_apart_##type(const struct strided_run *r) {                                   \
        type *to = (type *)(void *)r->to;                                                          \
        const type *from = (const type *)(const void *)r->from;                                    \
        for (int64_t i = 0; i < r->count; i++) {                                                   \
            to[i * r->to_step] = from[i * r->from_step];                                           \
        }                                                                                          \
    }
COPY_APART(uint32_t)
COPY_APART(uint16_t)
COPY_APART(uint8_t)

static void copy_apart(const struct strided_run *r) {
    const size_t size = dtype_size(r->to_type);
    if (size == 4) {
        copy_apart_uint32_t(r);
    } else if (size == 2) {
        copy_apart_uint16_t(r);
    } else {
        assert(size == 1);
        copy_apart_uint8_t(r);
    }
}

static void copy_run(const struct strided_run *r) {
    float part[PART];
    if (r->to_type == r->from_type) {
        if (r->to_step == 1 && r->from_step == 1) {
            memmove(r->to, r->from, (size_t)r->count * dtype_size(r->to_type));
        } else {
            copy_apart(r);
        }
    } else if (r->to_type == DTYPE_BF16 && r->to_step == 1 && r->from_step == 1) {
        r->level->to_bf16((uint16_t *)(void *)r->to, (const float *)(const void *)r->from,
                          (size_t)r->count);
    } else {
        for (int64_t i = 0; i < r->count; i += PART) {
            int64_t count = part_of(r, i);
            run_load(r->level, part, from_at(r, i), r->from_type, r->from_step, count);
            run_store(r->level, to_at(r, i), r->to_type, r->to_step, part, count);
        }
    }
}

int cpu_copy(struct device *d, const struct tensor *out, const struct tensor *x, struct error *e) {
    (void)e;
    assert(tensor_same_shape(out, x));
    assert(out->type == x->type || out->type == DTYPE_F32 || out->type == DTYPE_BF16);
    assert(out->type == x->type || x->type == DTYPE_F32 || x->type == DTYPE_BF16);
    strided_each(cpu_device(d)->level, out, x, copy_run, NULL);
    return 0;
}

/* ---- Accumulate -------------------------------------------------------------------- */

static void accumulate_run(const struct strided_run *r) {
    float sums[PART], part[PART];
    if (r->to_step == 1 && r->from_step == 1) {
        run_accumulate(r->level, r->to, r->to_type, r->from, r->from_type, r->count);
        return;
    }
    for (int64_t i = 0; i < r->count; i += PART) {
        int64_t count = part_of(r, i);
        run_load(r->level, part, from_at(r, i), r->from_type, r->from_step, count);
        run_load(r->level, sums, to_at(r, i), r->to_type, r->to_step, count);
        r->level->accumulate(sums, part, (size_t)count);
        run_store(r->level, to_at(r, i), r->to_type, r->to_step, sums, count);
    }
}

int cpu_accumulate(struct device *d, const struct tensor *out, const struct tensor *x,
                   struct error *e) {
    (void)e;
    assert(out->type == DTYPE_F32 || out->type == DTYPE_BF16);
    assert(x->type == DTYPE_F32 || x->type == DTYPE_BF16);
    strided_each(cpu_device(d)->level, out, x, accumulate_run, NULL);
    return 0;
}
