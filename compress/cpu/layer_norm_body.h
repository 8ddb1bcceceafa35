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

/* With h = (x - mean) / deviation and g = dy gamma:
 * dx = (g - mean(g) - h mean(g h)) / deviation; dgamma = dy h; dbeta = dy. */
static void layer_norm_backward(float *dx, float *dgamma, float *dbeta, const float *x,
                                const float *gamma, const float *dy, size_t width, float eps) {
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
    vec square_lanes = {0}, g_lanes = {0}, gx_lanes = {0};
    for (size_t i = 0; i < whole; i += LANES) {
        vec d = load(x + i) - mean, g = load(dy + i) * load(gamma + i);
        square_lanes += d * d;
        g_lanes += g;
        gx_lanes += g * d;
    }
    float squares = sum_of(square_lanes), sum_g = sum_of(g_lanes), sum_gh = sum_of(gx_lanes);
    for (size_t i = whole; i < width; i++) {
        float d = x[i] - mean, g = dy[i] * gamma[i];
        squares += d * d;
        sum_g += g;
        sum_gh += g * d;
    }
    float scale = 1.0f / sqrtf(squares / (float)width + eps);
    float mean_g = sum_g / (float)width, mean_gh = sum_gh * scale / (float)width;
    for (size_t i = 0; i < whole; i += LANES) {
        vec h = (load(x + i) - mean) * scale, dy_lanes = load(dy + i);
        vec g = dy_lanes * load(gamma + i);
        if (dx != NULL) {
            store(dx + i, load(dx + i) + (g - mean_g - h * mean_gh) * scale);
        }
        if (dgamma != NULL) {
            store(dgamma + i, load(dgamma + i) + dy_lanes * h);
        }
        if (dbeta != NULL) {
            store(dbeta + i, load(dbeta + i) + dy_lanes);
        }
    }
    for (size_t i = whole; i < width; i++) {
        float h = (x[i] - mean) * scale, g = dy[i] * gamma[i];
        if (dx != NULL) {
            dx[i] += (g - mean_g - h * mean_gh) * scale;
        }
        if (dgamma != NULL) {
            dgamma[i] += dy[i] * h;
        }
        if (dbeta != NULL) {
            dbeta[i] += dy[i];
        }
    }
}
