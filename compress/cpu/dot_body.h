/* dot_body.h - sums of products. */

static float dot(const float *a, const float *b, size_t count) {
    size_t i = 0;
    vec sums = {0};
    for (; i + LANES <= count; i += LANES) {
        sums += load(a + i) * load(b + i);
    }
    float sum = sum_of(sums);
    for (; i < count; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

static void add_scaled(float *to, const float *x, float factor, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        store(to + i, load(to + i) + load(x + i) * factor);
    }
    for (; i < count; i++) {
        to[i] += x[i] * factor;
    }
}
