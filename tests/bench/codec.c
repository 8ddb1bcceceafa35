/* codec.c - how fast tokens are packed and unpacked, one core: 256 x 1280 normal numbers with a
 * spread of their own in each channel; best of 60. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "store/codec.h"

enum { ROWS = 256, DIM = 1280, RUNS = 60 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void fill(float *tokens) {
    uint64_t state = 1;
    for (int i = 0; i < ROWS * DIM; i++) {
        float sum = 0;
        for (int j = 0; j < 12; j++) {
            state = state * 6364136223846793005 + 1442695040888963407;
            sum += (float)(state >> 40) * 0x1p-24f;
        }
        tokens[i] = (sum - 6) * (0.2f + (float)(i % DIM) / DIM);
    }
}

static void measure(struct codec_state *c, enum codec codec, const float *tokens, uint16_t *bits) {
    double packing = 1e9, unpacking = 1e9;
    struct bytes packed;
    bytes_init(&packed, 1 << 28);
    for (int run = 0; run < RUNS; run++) {
        bytes_clear(&packed);
        double start = now();
        int rc = codec_pack(c, &packed, codec, tokens, ROWS, DIM, NULL, NULL);
        double middle = now();
        if (rc < 0 ||
            codec_unpack_bf16(c, bits, codec, packed.data, packed.size, ROWS, DIM, NULL) < 0) {
            exit(1);
        }
        double end = now();
        packing = middle - start < packing ? middle - start : packing;
        unpacking = end - middle < unpacking ? end - middle : unpacking;
    }
    double bytes = 2.0 * ROWS * DIM;
    printf("%s: %.2fx smaller than bf16, packed at %.2f GB/s, unpacked at %.2f GB/s of bf16\n",
           CODEC_NAMES[codec], bytes / (double)packed.size, bytes / packing * 1e-9,
           bytes / unpacking * 1e-9);
    bytes_close(&packed);
}

int main(void) {
    struct codec_state *c;
    float *tokens = malloc(sizeof(float) * ROWS * DIM);
    uint16_t *bits = malloc(sizeof(uint16_t) * ROWS * DIM);
    if (tokens == NULL || bits == NULL || codec_open(&c, NULL) < 0) {
        return 1;
    }
    fill(tokens);
    for (enum codec codec = CODEC_BF16; codec < CODEC_COUNT; codec++) {
        measure(c, codec, tokens, bits);
    }
    codec_close(c);
    free(tokens);
    free(bits);
    return 0;
}
