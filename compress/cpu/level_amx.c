/* level_amx.c - AVX-512 with tiles (Sapphire Rapids and later): products of 16 x 32 by 32 x 16
 * BF16 values. */
#if defined(__x86_64__)
#define LANES 16
#define QUERY_BLOCK 64

#include "compress/cpu/level_body.h"

#define DEPTH_UNIT 16 /* elements in a row of a tile */
#define KEY_UNIT 32   /* pairs of keys are the inner dimension of the second product */
#define BLOCK_PRODUCT
#define ROW_UNIT 32

enum { SIDE = 16 };

/* All eight tiles have 16 rows of 64 bytes. */
static void tiles_begin(void) {
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = 64;
        config.rows[i] = SIDE;
    }
    _tile_loadconfig(&config);
}

/* c (32, 32) (+)= a (32, depth) b (depth, 32): four tiles of sums. */
static void product_32(float *c, int64_t c_stride, const float *a, int64_t a_stride, const float *b,
                       int64_t b_stride, int64_t depth, bool accumulate) {
    if (accumulate) {
        _tile_loadd(0, c, c_stride * 4);
        _tile_loadd(1, c + SIDE, c_stride * 4);
        _tile_loadd(2, c + SIDE * c_stride, c_stride * 4);
        _tile_loadd(3, c + SIDE * c_stride + SIDE, c_stride * 4);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int64_t d = 0; d < depth; d += SIDE) {
        _tile_loadd(4, a + d, a_stride * 4);
        _tile_loadd(5, a + SIDE * a_stride + d, a_stride * 4);
        _tile_loadd(6, b + d * b_stride, b_stride * 4);
        _tile_loadd(7, b + d * b_stride + SIDE, b_stride * 4);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c, c_stride * 4);
    _tile_stored(1, c + SIDE, c_stride * 4);
    _tile_stored(2, c + SIDE * c_stride, c_stride * 4);
    _tile_stored(3, c + SIDE * c_stride + SIDE, c_stride * 4);
}

/* The same for one tile of sums. */
static void product_16(float *c, int64_t c_stride, const float *a, int64_t a_stride, const float *b,
                       int64_t b_stride, int64_t depth, bool accumulate) {
    if (accumulate) {
        _tile_loadd(0, c, c_stride * 4);
    } else {
        _tile_zero(0);
    }
    for (int64_t d = 0; d < depth; d += SIDE) {
        _tile_loadd(4, a + d, a_stride * 4);
        _tile_loadd(6, b + d * b_stride, b_stride * 4);
        _tile_dpbf16ps(0, 4, 6);
    }
    _tile_stored(0, c, c_stride * 4);
}

static void block_product(float *c, int64_t c_stride, const float *a, int64_t a_stride,
                          const float *b, int64_t b_stride, int64_t rows, int64_t columns,
                          int64_t depth, bool accumulate) {
    for (int64_t i = 0; i < rows; i += 2 * SIDE) {
        int64_t j = 0;
        for (; j + 2 * SIDE <= columns; j += 2 * SIDE) {
            product_32(c + i * c_stride + j, c_stride, a + i * a_stride, a_stride, b + j, b_stride,
                       depth, accumulate);
        }
        for (int64_t k = i; j < columns && k < i + 2 * SIDE; k += SIDE) {
            product_16(c + k * c_stride + j, c_stride, a + k * a_stride, a_stride, b + j, b_stride,
                       depth, accumulate);
        }
    }
}

#define GEMM_BEGIN tiles_begin()
#define GEMM_END _tile_release()
#include "compress/cpu/attention_bf16.h"

static void tiled_begin(const struct attention_call *c, void *scratch) {
    tiles_begin();
    attention_begin(c, scratch);
}

static void tiled_end(const struct attention_call *c, void *scratch) {
    attention_end(c, scratch);
    _tile_release();
}

const struct attention_kernels ATTENTION_AMX = {.scratch = attention_scratch,
                                                .begin = tiled_begin,
                                                .forward = attention_forward,
                                                .backward = attention_backward,
                                                .end = tiled_end};
const struct gemm_kernels GEMM_AMX = GEMM;
const struct level LEVEL_AMX =
    LEVEL("amx", true, ATTENTION_AVX512, &ATTENTION_AMX, GEMM_AVX512, &GEMM_AMX);
#endif
