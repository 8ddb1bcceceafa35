/* dtype.c - see dtype.h. */
#include "store/dtype.h"

#include <string.h>

static const struct {
    const char *name;
    size_t size;
} TYPES[DTYPE_COUNT] = {
    [DTYPE_F32] = {"F32", 4}, [DTYPE_F16] = {"F16", 2}, [DTYPE_BF16] = {"BF16", 2},
    [DTYPE_I8] = {"I8", 1},   [DTYPE_U8] = {"U8", 1},   [DTYPE_I32] = {"I32", 4},
    [DTYPE_I64] = {"I64", 8},
};

size_t dtype_size(enum dtype type) {
    return TYPES[type].size;
}

const char *dtype_name(enum dtype type) {
    return TYPES[type].name;
}

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE 754 binary16: 5 bits of exponent, 10 of fraction. */
static float float_of_f16(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, magnitude = half & 0x7FFF;
    if (magnitude >= 0x7C00) { /* infinity, NaN */
        return float_of(sign | 0x7F800000 | (magnitude & 0x3FF) << 13);
    }
    if (magnitude < 0x400) { /* subnormal: exact in F32 */
        float value = (float)magnitude * 0x1p-24f;
        return sign ? -value : value;
    }
    return float_of(sign | ((magnitude << 13) + (112u << 23)));
}

static uint16_t f16_of(float value) {
    uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000;
    bits &= 0x7FFFFFFF;
    if (bits > 0x7F800000) {
        return (uint16_t)(sign | 0x7E00 | (bits >> 13 & 0x3FF));
    }
    if (bits >= 0x477FF000) { /* rounds to 65536 or more */
        return (uint16_t)(sign | 0x7C00);
    }
    if (bits < 0x38800000) { /* below the least normal: the addition rounds to steps of 2^-24 */
        float rounded = float_of(bits) + 0.5f;
        return (uint16_t)(sign | (bits_of(rounded) - 0x3F000000));
    }
    bits += 0xFFF + (bits >> 13 & 1);
    return (uint16_t)(sign | (bits - (112u << 23)) >> 13);
}

void dtype_to_float(float *to, const void *from, enum dtype type, size_t count) {
    const unsigned char *bytes = from;
    if (type == DTYPE_F32) {
        memcpy(to, from, count * sizeof *to);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, bytes + 2 * i, sizeof half);
        to[i] = type == DTYPE_BF16 ? float_of_bf16(half) : float_of_f16(half);
    }
}

void dtype_from_float(void *to, enum dtype type, const float *from, size_t count) {
    unsigned char *bytes = to;
    if (type == DTYPE_F32) {
        memcpy(to, from, count * sizeof *from);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint16_t half = type == DTYPE_BF16 ? bf16_of(from[i]) : f16_of(from[i]);
        memcpy(bytes + 2 * i, &half, sizeof half);
    }
}
