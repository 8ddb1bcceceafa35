/* layer_norm_body.h - rows less their mean, over their deviation. */

static void layer_norm(float *out, const float *x, size_t width, const float *gamma,
                       const float *beta, float eps) {
    size_t i = 0, rest = width % LANES, whole = width - rest;
    vec sum = {0}, squares = {0};
    for (i = 0; i < whole; i += LANES) {
        sum += load(x + i);
    }
    sum += load_part(x + whole, rest);
    float mean = sum_of(sum) / (float)width;
    for (i = 0; i < whole; i += LANES) {
        vec d = load(x + i) - mean;
        squares += d * d;
    }
    float variance = sum_of(squares);
    for (i = whole; i < width; i++) {
        variance += (x[i] - mean) * (x[i] - mean);
    }
    float scale = 1.0f / sqrtf(variance / (float)width + eps);
    for (i = 0; i < whole; i += LANES) {
        store(out + i, (load(x + i) - mean) * scale * load(gamma + i) + load(beta + i));
    }
    for (i = whole; i < width; i++) {
        out[i] = (x[i] - mean) * scale * gamma[i] + beta[i];
    }
}

/* What the gradient of a row needs to know of all of it. */
struct norm_sums {
    float mean, scale;     /* of x, and 1 / deviation */
    float mean_g, mean_gh; /* of g = dy gamma, and of g h with h = (x - mean) scale */
};

static struct norm_sums norm_sums_of(const float *x, const float *gamma, const float *dy,
                                     size_t width, float eps) {
    size_t whole = width - width % LANES;
    vec sums = {0};
    for (size_t i = 0; i < whole; i += LANES) {
        sums += load(x + i);
    }
    float sum = sum_of(sums);
    for (size_t i = whole; i < width; i++) {
        sum += x[i];
    }
    float mean = sum / (float)width;
    vec square_lanes = {0}, g_lanes = {0}, gd_lanes = {0};
    for (size_t i = 0; i < whole; i += LANES) {
        vec d = load(x + i) - mean, g = load(dy + i) * load(gamma + i);
        square_lanes += d * d;
        g_lanes += g;
        gd_lanes += g * d;
    }
    float squares = sum_of(square_lanes), sum_g = sum_of(g_lanes), sum_gd = sum_of(gd_lanes);
    for (size_t i = whole; i < width; i++) {
        float d = x[i] - mean, g = dy[i] * gamma[i];
        squares += d * d;
        sum_g += g;
        sum_gd += g * d;
    }
    float scale = 1.0f / sqrtf(squares / (float)width + eps);
    return (struct norm_sums){mean, scale, sum_g / (float)width, sum_gd * scale / (float)width};
}

/* dx = (g - mean(g) - h mean(g h)) / deviation; dgamma = dy h; dbeta = dy. */
static void layer_norm_backward(float *dx, float *dgamma, float *dbeta, const float *x,
                                const float *gamma, const float *dy, size_t width, float eps) {
    const struct norm_sums s = norm_sums_of(x, gamma, dy, width, eps);
    size_t i = 0;
    for (; i + LANES <= width; i += LANES) {
        vec h = (load(x + i) - s.mean) * s.scale, slope = load(dy + i);
        if (dx != NULL) {
            vec g = slope * load(gamma + i);
            store(dx + i, load(dx + i) + (g - s.mean_g - h * s.mean_gh) * s.scale);
        }
        if (dgamma != NULL) {
            store(dgamma + i, load(dgamma + i) + slope * h);
        }
        if (dbeta != NULL) {
            store(dbeta + i, load(dbeta + i) + slope);
        }
    }
    for (; i < width; i++) {
        float h = (x[i] - s.mean) * s.scale;
        if (dx != NULL) {
            dx[i] += (dy[i] * gamma[i] - s.mean_g - h * s.mean_gh) * s.scale;
        }
        if (dgamma != NULL) {
            dgamma[i] += dy[i] * h;
        }
        if (dbeta != NULL) {
            dbeta[i] += dy[i];
        }
    }
}
