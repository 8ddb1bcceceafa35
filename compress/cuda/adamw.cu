/* adamw.cu - a step of the optimizer. */
#include "compress/cuda/elements.h"

struct adamw {
    enum { WEIGHT, FIRST, SECOND, GRADIENT, OPERANDS, WRITTEN = 3, UPDATED = 1 };
    struct adamw_step step;
    static __device__ inline void at(float *v, int64_t, const struct adamw *f) {
        const struct adamw_step *s = &f->step;
        const float g = v[GRADIENT] * s->scale;
        v[FIRST] = s->beta1 * v[FIRST] + (1 - s->beta1) * g;
        v[SECOND] = s->beta2 * v[SECOND] + (1 - s->beta2) * g * g;
        v[WEIGHT] -= s->decay * v[WEIGHT] +
                     s->rate * v[FIRST] / (sqrtf(v[SECOND]) * s->correction + s->epsilon);
    }
};

int cuda_adamw(struct device *d, const struct tensor *weight, const struct tensor *first_moment,
               const struct tensor *second_moment, const struct tensor *gradient,
               const struct adamw_step *step, struct error *e) {
    const struct tensor *const tensors[] = {weight, first_moment, second_moment, gradient};
    const struct adamw f = {*step};
    return elements_each(d, &f, tensors, "adamw", e);
}
