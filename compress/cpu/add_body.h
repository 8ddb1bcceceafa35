/* add_body.h - sums and products, element by element. */

static void accumulate(float *to, const float *x, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        store(to + i, load(to + i) + load(x + i));
    }
    for (; i < count; i++) {
        to[i] += x[i];
    }
}

static void add(float *out, const float *a, const float *b, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        store(out + i, load(a + i) + load(b + i));
    }
    for (; i < count; i++) {
        out[i] = a[i] + b[i];
    }
}

static void combine(float *out, float alpha, const float *a, float beta, const float *b,
                    size_t count) {
    size_t i = 0;
    for (; b == NULL && i + LANES <= count; i += LANES) {
        store(out + i, load(a + i) * alpha);
    }
    for (; b != NULL && i + LANES <= count; i += LANES) {
        store(out + i, load(a + i) * alpha + load(b + i) * beta);
    }
    for (; i < count; i++) {
        out[i] = alpha * a[i] + (b != NULL ? beta * b[i] : 0);
    }
}

static void multiply(float *out, const float *a, const float *b, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        store(out + i, load(a + i) * load(b + i));
    }
    for (; i < count; i++) {
        out[i] = a[i] * b[i];
    }
}

static void multiply_backward(float *da, const float *b, const float *dy, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        store(da + i, load(da + i) + load(dy + i) * load(b + i));
    }
    for (; i < count; i++) {
        da[i] += dy[i] * b[i];
    }
}
