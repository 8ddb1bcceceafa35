/* dtype.h - the number types of tensors in files and in memory. */
#ifndef OCC_STORE_DTYPE_H
#define OCC_STORE_DTYPE_H

#include <stddef.h>
#include <stdint.h>

enum dtype {
    DTYPE_F32,
    DTYPE_F16,
    DTYPE_BF16,
    DTYPE_I8,
    DTYPE_U8,
    DTYPE_I32,
    DTYPE_I64,
    DTYPE_COUNT
};

size_t dtype_size(enum dtype type); /* bytes of one element */
/* As safetensors has it: "F32", "F16", "BF16", "I8", ... */
const char *dtype_name(enum dtype type);

/* Round to nearest, ties to even; NaN stays NaN. */
static inline uint16_t bf16_of(float value) {
    union {
        float value;
        uint32_t bits;
    } u = {value};
    if ((u.bits & 0x7FFFFFFF) > 0x7F800000) {
        return (uint16_t)(u.bits >> 16 | 0x40);
    }
    return (uint16_t)((u.bits + 0x7FFF + (u.bits >> 16 & 1)) >> 16);
}

static inline float float_of_bf16(uint16_t bits) {
    union {
        uint32_t bits;
        float value;
    } u = {(uint32_t)bits << 16};
    return u.value;
}

/* `count` elements of F32, F16 or BF16 become floats; and back (F32, F16, BF16, to nearest even).
 * `from` needs no alignment. Halves may be written over the floats that they are made of. */
void dtype_to_float(float *to, const void *from, enum dtype type, size_t count);
void dtype_from_float(void *to, enum dtype type, const float *from, size_t count);

#endif
