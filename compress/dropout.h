/* dropout.h - which elements are dropped: the same on every device and at every level. */
#ifndef OCC_COMPRESS_DROPOUT_H
#define OCC_COMPRESS_DROPOUT_H

#include <stdbool.h>
#include <stdint.h>

/* What every place needs is also a function of the GPU. */
#ifdef __CUDACC__
#define DROPOUT_ANYWHERE __host__ __device__
#else
#define DROPOUT_ANYWHERE
#endif

/* What a seed stands for: seeds that follow one another have nothing in common (splitmix64, Steele
 * et al. 2014). */
static inline uint64_t dropout_key(uint64_t seed) {
    uint64_t z = seed + 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* Below this an element's hash drops it. */
static inline uint32_t dropout_limit(float share) {
    return (uint32_t)((double)share * 0x1p24);
}

/* Of 32 bits, from unsigned ones or vectors of them (lowbias32, Wellons 2018). */
#define DROPOUT_MIX(x)                                                                             \
    do {                                                                                           \
        (x) ^= (x) >> 16;                                                                          \
        (x) *= 0x7FEB352Du;                                                                        \
        (x) ^= (x) >> 15;                                                                          \
        (x) *= 0x846CA68Bu;                                                                        \
        (x) ^= (x) >> 16;                                                                          \
    } while (0)

/* The hash is 24 bits of mix(mix(low bits of place ^ low bits of key) + key_of(place)). */
static DROPOUT_ANYWHERE inline uint32_t dropout_key_at(uint64_t key, uint64_t place) {
    return (uint32_t)(key >> 32) + (uint32_t)(place >> 32) * 0x9E3779B9u;
}

static DROPOUT_ANYWHERE inline uint32_t dropout_hash(uint64_t key, uint64_t place) {
    uint32_t x = (uint32_t)place ^ (uint32_t)key;
    DROPOUT_MIX(x);
    x += dropout_key_at(key, place);
    DROPOUT_MIX(x);
    return x >> 8;
}

static inline bool dropout_keeps(uint64_t seed, uint64_t place, float share) {
    return dropout_hash(dropout_key(seed), place) >= dropout_limit(share);
}

#endif
