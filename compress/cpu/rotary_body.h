/* rotary_body.h - pairs of numbers, each turned by an angle of its own. */

/* x and out (2 pairs): pair i is numbers i and i + pairs. */
static void rotary(float *out, const float *x, const float *cosine, const float *sine,
                   size_t pairs) {
    size_t i = 0;
    for (; i + LANES <= pairs; i += LANES) {
        vec a = load(x + i), b = load(x + pairs + i), c = load(cosine + i), s = load(sine + i);
        store(out + i, a * c - b * s);
        store(out + pairs + i, b * c + a * s);
    }
    for (; i < pairs; i++) {
        float a = x[i], b = x[pairs + i];
        out[i] = a * cosine[i] - b * sine[i];
        out[pairs + i] = b * cosine[i] + a * sine[i];
    }
}
