/* random.h - numbers that look random and follow from a seed: SplitMix64 (Steele et al. 2014). */
#ifndef OCC_STORE_RANDOM_H
#define OCC_STORE_RANDOM_H

#include <stdint.h>

static inline uint64_t random_next(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
}

/* The state of a stream of its own for each number of each seed. */
static inline uint64_t random_stream(uint64_t seed, uint64_t number) {
    uint64_t state = seed ^ number * 0xD1342543DE82EF95;
    return random_next(&state);
}

/* 0 <= x < 1 */
static inline double random_unit(uint64_t *state) {
    return (double)(random_next(state) >> 11) * 0x1p-53;
}

/* 0 <= x < count, count > 0 */
static inline int64_t random_below(uint64_t *state, int64_t count) {
    return (int64_t)(random_unit(state) * (double)count);
}

/* An index of `weights`, as often as its share of their sum. */
static inline int random_choice(uint64_t *state, const double *weights, int count) {
    double sum = 0, at;
    for (int i = 0; i < count; i++) {
        sum += weights[i];
    }
    at = random_unit(state) * sum;
    for (int i = 0; i < count - 1; i++) {
        at -= weights[i];
        if (at < 0) {
            return i;
        }
    }
    return count - 1;
}

/* A permutation of 2^(2 half) numbers that follows from `key`: four rounds of Feistel's network. */
static inline uint64_t random_feistel(uint64_t number, int half, uint64_t key) {
    uint64_t mask = ((uint64_t)1 << half) - 1, left = number >> half, right = number & mask;
    for (uint64_t round = 0; round < 4; round++) {
        uint64_t next = left ^ (random_stream(key + round, right) & mask);
        left = right;
        right = next;
    }
    return left << half | right;
}

/* Where `number` of `count` comes in an order that follows from `key`, without that being written
 * down: numbers that lie beyond are sent round again. */
static inline int64_t random_place(int64_t number, int64_t count, uint64_t key) {
    int half = 1;
    while ((uint64_t)1 << (2 * half) < (uint64_t)count) {
        half++;
    }
    uint64_t at = (uint64_t)number;
    do {
        at = random_feistel(at, half, key);
    } while (at >= (uint64_t)count);
    return (int64_t)at;
}

#endif
