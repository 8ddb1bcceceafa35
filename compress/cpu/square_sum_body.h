/* square_sum_body.h */

/* Sums of a thousand numbers in F32, sums of these in double. */
static double square_sum(const float *x, size_t count) {
    enum { BLOCK = 64 * LANES };
    double sum = 0;
    size_t i = 0;
    while (i + LANES <= count) {
        vec squares = {0};
        for (size_t end = i + BLOCK; i < end && i + LANES <= count; i += LANES) {
            vec v = load(x + i);
            squares += v * v;
        }
        sum += (double)sum_of(squares);
    }
    for (; i < count; i++) {
        sum += (double)x[i] * (double)x[i];
    }
    return sum;
}
