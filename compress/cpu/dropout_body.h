/* dropout_body.h - numbers that are dropped by the hash of their place. */

/* Places of a run have the same high halves. */
static void dropout(float *out, const float *x, size_t count, uint64_t place, uint64_t seed,
                    float share) {
    const uint64_t key = dropout_key(seed);
    const uint32_t limit = dropout_limit(share), high = dropout_key_at(key, place);
    const vec factor = all(1.0f / (1.0f - share));
    uvec lane;
    for (int i = 0; i < LANES; i++) {
        lane[i] = (uint32_t)i;
    }
    for (size_t i = 0; i < count; i += LANES) {
        uvec h = (lane + (uint32_t)(place + i)) ^ (uint32_t)key;
        DROPOUT_MIX(h);
        h += high;
        DROPOUT_MIX(h);
        const ivec kept = (ivec)(h >> 8) >= (int32_t)limit;
        const size_t rest = count - i;
        if (rest >= LANES) {
            store(out + i, pick(kept, load(x + i) * factor, (vec){0}));
        } else {
            store_part(out + i, pick(kept, load_part(x + i, rest) * factor, (vec){0}), rest);
        }
    }
}
