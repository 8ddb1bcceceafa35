/* copy_body.h - F32 to BF16 and back. */

static void to_bf16(uint16_t *out, const float *x, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        *(loose_half *)(out + i) = bf16_lanes(load(x + i));
    }
    if (i < count) { /* as above: a number is rounded alike wherever it stands */
        hvec rest = bf16_lanes(load_part(x + i, count - i));
        memcpy(out + i, &rest, (count - i) * sizeof *out);
    }
}

static void from_bf16(float *out, const uint16_t *x, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        uvec bits = __builtin_convertvector(*(const loose_half *)(x + i), uvec) << 16;
        store(out + i, (vec)bits);
    }
    for (; i < count; i++) {
        out[i] = float_of_bf16(x[i]);
    }
}
