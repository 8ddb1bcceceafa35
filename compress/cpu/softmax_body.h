/* softmax_body.h - exponentials of a row, over their sum. */

static float largest_in(const float *x, size_t width) {
    size_t i = 0;
    float largest = x[0];
    if (width >= LANES) {
        vec lanes = load(x);
        for (i = LANES; i + LANES <= width; i += LANES) {
            lanes = larger(lanes, load(x + i));
        }
        largest = largest_of(lanes);
    }
    for (; i < width; i++) {
        largest = x[i] > largest ? x[i] : largest;
    }
    return largest;
}

/* out = exp(x - largest); the sum comes back. */
static float exponentials(float *out, const float *x, size_t width, float largest) {
    vec sums = {0};
    size_t i = 0;
    for (; i + LANES <= width; i += LANES) {
        vec v = exponential(load(x + i) - largest);
        store(out + i, v);
        sums += v;
    }
    float sum = sum_of(sums);
    if (i < width) {
        vec v = exponential(load_part(x + i, width - i) - largest);
        store_part(out + i, v, width - i);
        for (size_t lane = 0; i + lane < width; lane++) {
            sum += v[lane];
        }
    }
    return sum;
}

static void scale_row(float *x, size_t width, float scale) {
    size_t i = 0;
    for (; i + LANES <= width; i += LANES) {
        store(x + i, load(x + i) * scale);
    }
    for (; i < width; i++) {
        x[i] *= scale;
    }
}

static void softmax(float *out, const float *x, size_t width) {
    float sum = exponentials(out, x, width, largest_in(x, width));
    scale_row(out, width, 1.0f / sum);
}

/* dx += (dy - dy . y) y */
static void softmax_backward(float *dx, const float *y, const float *dy, size_t width) {
    vec sums = {0};
    size_t i = 0;
    for (; i + LANES <= width; i += LANES) {
        sums += load(dy + i) * load(y + i);
    }
    float sum = sum_of(sums);
    for (; i < width; i++) {
        sum += dy[i] * y[i];
    }
    for (i = 0; i + LANES <= width; i += LANES) {
        store(dx + i, load(dx + i) + (load(dy + i) - sum) * load(y + i));
    }
    for (; i < width; i++) {
        dx[i] += (dy[i] - sum) * y[i];
    }
}
