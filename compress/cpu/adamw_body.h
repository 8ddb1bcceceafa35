/* adamw_body.h - one step of AdamW. */

static inline vec root(vec x) {
#if LANES == 16
    return (vec)_mm512_sqrt_ps((__m512)x);
#elif LANES == 8
    return (vec)_mm256_sqrt_ps((__m256)x);
#else
    for (int i = 0; i < LANES; i++) {
        x[i] = sqrtf(x[i]);
    }
    return x;
#endif
}

static inline void adamw_lanes(vec *weight, vec *first, vec *second, vec gradient,
                               const struct adamw_step *s) {
    vec g = gradient * s->scale;
    *first = s->beta1 * *first + (1.0f - s->beta1) * g;
    *second = s->beta2 * *second + (1.0f - s->beta2) * g * g;
    *weight = *weight - s->decay * *weight -
              s->rate * *first / (root(*second) * s->correction + s->epsilon);
}

static void adamw(float *weight, float *first, float *second, const float *gradient, size_t count,
                  const struct adamw_step *step) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        vec w = load(weight + i), m = load(first + i), v = load(second + i);
        adamw_lanes(&w, &m, &v, load(gradient + i), step);
        store(weight + i, w);
        store(first + i, m);
        store(second + i, v);
    }
    if (i < count) {
        size_t rest = count - i;
        vec w = load_part(weight + i, rest), m = load_part(first + i, rest);
        vec v = load_part(second + i, rest);
        adamw_lanes(&w, &m, &v, load_part(gradient + i, rest), step);
        store_part(weight + i, w, rest);
        store_part(first + i, m, rest);
        store_part(second + i, v, rest);
    }
}
