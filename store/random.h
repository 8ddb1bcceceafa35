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

#endif
