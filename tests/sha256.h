/* sha256.h - SHA-256 (FIPS 180-4), because golden files of others are named by it. Tests only. */
#ifndef OCC_TESTS_SHA256_H
#define OCC_TESTS_SHA256_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static inline uint32_t sha256_turn(uint32_t x, int bits) {
    return x >> bits | x << (32 - bits);
}

/* The constants are the first 32 bits of the fractions of roots of the first 64 primes. */
static inline void sha256_constants(uint32_t k[64], uint32_t h[8]) {
    int found = 0;
    for (int candidate = 2; found < 64; candidate++) {
        int divisor = 2;
        while (candidate % divisor != 0) {
            divisor++;
        }
        if (divisor == candidate) {
            double cube = cbrt(candidate), square = sqrt(candidate);
            k[found] = (uint32_t)((cube - floor(cube)) * 0x1p32);
            if (found < 8) {
                h[found] = (uint32_t)((square - floor(square)) * 0x1p32);
            }
            found++;
        }
    }
}

static inline void sha256_block(uint32_t h[8], const uint32_t k[64], const uint8_t *block) {
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++) {
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    }
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (sha256_turn(a, 7) ^ sha256_turn(a, 18) ^ a >> 3) +
               (sha256_turn(b, 17) ^ sha256_turn(b, 19) ^ b >> 10);
    }
    memcpy(s, h, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t e = s[4], a = s[0];
        uint32_t one = s[7] + (sha256_turn(e, 6) ^ sha256_turn(e, 11) ^ sha256_turn(e, 25)) +
                       ((e & s[5]) ^ (~e & s[6])) + k[i] + w[i];
        uint32_t two = (sha256_turn(a, 2) ^ sha256_turn(a, 13) ^ sha256_turn(a, 22)) +
                       ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += one;
        s[0] = one + two;
    }
    for (int i = 0; i < 8; i++) {
        h[i] += s[i];
    }
}

static inline void sha256_text(char text[65], const void *data, size_t size) {
    uint32_t k[64], h[8];
    uint8_t last[128] = {0};
    sha256_constants(k, h);
    const uint8_t *bytes = data;
    for (size_t i = 0; i + 64 <= size; i += 64) {
        sha256_block(h, k, bytes + i);
    }
    size_t rest = size % 64, blocks = rest + 9 > 64 ? 2 : 1;
    memcpy(last, bytes + size - rest, rest);
    last[rest] = 0x80;
    for (int i = 0; i < 8; i++) {
        last[64 * blocks - 1 - (size_t)i] = (uint8_t)((uint64_t)size * 8 >> 8 * i);
    }
    for (size_t i = 0; i < blocks; i++) {
        sha256_block(h, k, last + 64 * i);
    }
    for (int i = 0; i < 8; i++) {
        snprintf(text + 8 * i, 9, "%08x", h[i]);
    }
}

#endif
