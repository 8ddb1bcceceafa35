/* rms_norm_body.h - rows over their root mean square; included after dot_body.h. */

static inline float rms_scale(const float *x, size_t width, float eps) {
    return 1.0f / sqrtf(dot(x, x, width) / (float)width + eps);
}

static void rms_norm(float *out, const float *x, size_t width, const float *gamma, float eps) {
    float scale = rms_scale(x, width, eps);
    size_t i = 0;
    for (; i + LANES <= width; i += LANES) {
        store(out + i, load(x + i) * scale * load(gamma + i));
    }
    for (; i < width; i++) {
        out[i] = x[i] * scale * gamma[i];
    }
}

/* With h = x scale and g = dy gamma: dx += (g - h mean(g h)) scale. */
static void rms_norm_backward(float *dx, const float *x, const float *gamma, const float *dy,
                              size_t width, float eps) {
    float scale = rms_scale(x, width, eps);
    vec sums = {0};
    size_t i = 0;
    for (; i + LANES <= width; i += LANES) {
        sums += load(dy + i) * load(gamma + i) * load(x + i);
    }
    float weighted = sum_of(sums);
    for (; i < width; i++) {
        weighted += dy[i] * gamma[i] * x[i];
    }
    weighted *= scale * scale / (float)width;
    for (i = 0; i + LANES <= width; i += LANES) {
        vec slope = load(dy + i) * load(gamma + i) - load(x + i) * weighted;
        store(dx + i, load(dx + i) + slope * scale);
    }
    for (; i < width; i++) {
        dx[i] += (dy[i] * gamma[i] - x[i] * weighted) * scale;
    }
}

/* dgamma += dy h */
static void rms_norm_gain_backward(float *dgamma, const float *x, const float *dy, size_t width,
                                   float eps) {
    float scale = rms_scale(x, width, eps);
    size_t i = 0;
    for (; i + LANES <= width; i += LANES) {
        store(dgamma + i, load(dgamma + i) + load(dy + i) * load(x + i) * scale);
    }
    for (; i < width; i++) {
        dgamma[i] += dy[i] * x[i] * scale;
    }
}
