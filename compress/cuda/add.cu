/* add.cu - sums and products, element by element. */
#include "compress/cuda/elements.h"

struct add {
    enum { OUT, A, B, OPERANDS, WRITTEN = 1, UPDATED = 0 };
    static __device__ inline void at(float *v, int64_t, const struct add *) {
        v[OUT] = v[A] + v[B];
    }
};

struct combine {
    enum { OUT, A, B, OPERANDS, WRITTEN = 1, UPDATED = 0 };
    float alpha, beta;
    static __device__ inline void at(float *v, int64_t, const struct combine *f) {
        v[OUT] = f->alpha * v[A] + f->beta * v[B];
    }
};

struct multiply {
    enum { OUT, A, B, OPERANDS, WRITTEN = 1, UPDATED = 0 };
    static __device__ inline void at(float *v, int64_t, const struct multiply *) {
        v[OUT] = v[A] * v[B];
    }
};

/* One of the two gradients, from the other factor. */
struct multiply_backward {
    enum { DA, B, DY, OPERANDS, WRITTEN = 1, UPDATED = 1 };
    static __device__ inline void at(float *v, int64_t, const struct multiply_backward *) {
        v[DA] += v[DY] * v[B];
    }
};

/* b's rows again and again. Where all is dense, or b is one row, that row is read at each of a's;
 * else each repetition is a launch. */
static int add_repeated(struct device *d, const struct tensor *out, const struct tensor *a,
                        const struct tensor *b, struct error *e) {
    const struct add f = {};
    const int64_t times = tensor_rows(a) / tensor_rows(b);
    struct elements s = {
        {gpu_rows_of(out), gpu_rows_of(a), gpu_rows_of(b)}, tensor_rows(b), tensor_width(b)};
    assert(times * s.rows == tensor_rows(a) && tensor_width(a) == s.width);
    if (tensor_is_dense(out) && tensor_is_dense(a) && tensor_is_dense(b)) {
        s.width *= s.rows;
        s.rows = 1;
        s.of[add::OUT].stride = s.of[add::A].stride = s.width;
    }
    if (s.rows == 1) {
        s.rows = times;
        s.of[add::B].stride = 0;
        return elements_launch(d, &f, &s, "add", e);
    }
    int rc = 0;
    for (int64_t i = 0; i < times && rc == 0; i++) {
        rc = elements_launch(d, &f, &s, "add", e);
        s.of[add::OUT] = gpu_rows_from(&s.of[add::OUT], s.rows);
        s.of[add::A] = gpu_rows_from(&s.of[add::A], s.rows);
    }
    return rc;
}

int cuda_add(struct device *d, const struct tensor *out, const struct tensor *a,
             const struct tensor *b, struct error *e) {
    const struct tensor *const tensors[] = {out, a, b};
    const struct add f = {};
    if (tensor_count(out) == 0) {
        return 0;
    }
    return tensor_rows(b) == tensor_rows(a) ? elements_each(d, &f, tensors, "add", e)
                                            : add_repeated(d, out, a, b, e);
}

int cuda_combine(struct device *d, const struct tensor *out, float alpha, const struct tensor *a,
                 float beta, const struct tensor *b, struct error *e) {
    const struct tensor *const tensors[] = {out, a, b};
    const struct combine f = {alpha, b != NULL ? beta : 0};
    return elements_each(d, &f, tensors, "combine", e);
}

int cuda_multiply(struct device *d, const struct tensor *out, const struct tensor *a,
                  const struct tensor *b, struct error *e) {
    const struct tensor *const tensors[] = {out, a, b};
    const struct multiply f = {};
    return elements_each(d, &f, tensors, "multiply", e);
}

static int factor_backward(struct device *d, const struct tensor *da, const struct tensor *b,
                           const struct tensor *dy, struct error *e) {
    const struct tensor *const tensors[] = {da, b, dy};
    const struct multiply_backward f = {};
    return da != NULL ? elements_each(d, &f, tensors, "multiply_backward", e) : 0;
}

/* One after the other: da and db are one where a number is multiplied with itself. */
int cuda_multiply_backward(struct device *d, const struct tensor *da, const struct tensor *db,
                           const struct tensor *a, const struct tensor *b, const struct tensor *dy,
                           struct error *e) {
    int rc = factor_backward(d, da, b, dy, e);
    return rc == 0 ? factor_backward(d, db, a, dy, e) : rc;
}
