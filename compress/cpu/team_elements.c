/* team_elements.c - operations element by element, and those of any strides. */
#include "compress/cpu/team_part.h"

/* ---- Element by element ---------------------------------------------------------------------- */

#define ELEMENTS_TWO(name, a, b)                                                                   \
    int team_##name(struct device *d, const struct tensor *a, const struct tensor *b,              \
                    struct error *e) {                                                             \
        const struct rest rest = {.entry.two = cpu_##name};                                        \
        const struct split s = {.count = 2, .tensors = {a, b}, .part = two_part, .rest = &rest};   \
        return split_elements(d, &s, e);                                                           \
    }
#define ELEMENTS_THREE(name, a, b, c)                                                              \
    int team_##name(struct device *d, const struct tensor *a, const struct tensor *b,              \
                    const struct tensor *c, struct error *e) {                                     \
        const struct rest rest = {.entry.three = cpu_##name};                                      \
        const struct split s = {                                                                   \
            .count = 3, .tensors = {a, b, c}, .part = three_part, .rest = &rest};                  \
        return split_elements(d, &s, e);                                                           \
    }
#define ELEMENTS_FIVE(name, da, db, a, b, dy)                                                      \
    int team_##name(struct device *d, const struct tensor *da, const struct tensor *db,            \
                    const struct tensor *a, const struct tensor *b, const struct tensor *dy,       \
                    struct error *e) {                                                             \
        const struct rest rest = {.entry.five = cpu_##name};                                       \
        const struct split s = {                                                                   \
            .count = 5, .tensors = {da, db, a, b, dy}, .part = five_part, .rest = &rest};          \
        return split_elements(d, &s, e);                                                           \
    }

ELEMENTS_THREE(add, out, a, b)
ELEMENTS_THREE(multiply, out, a, b)
ELEMENTS_FIVE(multiply_backward, da, db, a, b, dy)
ELEMENTS_TWO(gelu, out, x)
ELEMENTS_THREE(gelu_backward, dx, x, dy)
ELEMENTS_TWO(quick_gelu, out, x)
ELEMENTS_THREE(quick_gelu_backward, dx, x, dy)
ELEMENTS_TWO(silu, out, x)
ELEMENTS_THREE(silu_backward, dx, x, dy)
ELEMENTS_THREE(swiglu, out, gate, up)
ELEMENTS_FIVE(swiglu_backward, dgate, dup, gate, up, dy)

PART(combine_part) {
    const float *by = ((const struct rest *)rest)->numbers;
    return cpu_combine(d, t[0], by[0], t[1], by[1], t[2], e);
}

int team_combine(struct device *d, const struct tensor *out, float alpha, const struct tensor *a,
                 float beta, const struct tensor *b, struct error *e) {
    const struct rest rest = {.numbers = {alpha, beta}};
    const struct split s = {
        .count = 3, .tensors = {out, a, b}, .part = combine_part, .rest = &rest};
    return split_elements(d, &s, e);
}

PART(adamw_part) {
    return cpu_adamw(d, t[0], t[1], t[2], t[3], ((const struct rest *)rest)->options, e);
}

int team_adamw(struct device *d, const struct tensor *weight, const struct tensor *first_moment,
               const struct tensor *second_moment, const struct tensor *gradient,
               const struct adamw_step *step, struct error *e) {
    const struct rest rest = {.options = step};
    const struct split s = {.count = 4,
                            .tensors = {weight, first_moment, second_moment, gradient},
                            .part = adamw_part,
                            .rest = &rest};
    return split_elements(d, &s, e);
}

/* ---- Of any strides -------------------------------------------------------------------------- */

/* The outermost axis of many places, or the longest. */
static int axis_of(const struct tensor *t) {
    enum { MANY = 16 };
    int longest = TENSOR_RANK - 1;
    for (int i = 0; i < TENSOR_RANK - 1; i++) {
        if (t->shape[i] >= MANY) {
            return i;
        }
        longest = t->shape[i] > t->shape[longest] ? i : longest;
    }
    return longest;
}

PART(fill_part) {
    return cpu_fill(d, t[0], ((const struct rest *)rest)->numbers[0], e);
}

int team_fill(struct device *d, const struct tensor *out, float value, struct error *e) {
    const struct rest rest = {.numbers = {value}};
    const struct split s = {.count = 1, .tensors = {out}, .part = fill_part, .rest = &rest};
    return split_axis(d, &s, axis_of(out), e);
}

int team_copy(struct device *d, const struct tensor *out, const struct tensor *x, struct error *e) {
    const struct rest rest = {.entry.two = cpu_copy};
    const struct split s = {.count = 2, .tensors = {out, x}, .part = two_part, .rest = &rest};
    return split_axis(d, &s, axis_of(out), e);
}

int team_accumulate(struct device *d, const struct tensor *out, const struct tensor *x,
                    struct error *e) {
    const struct rest rest = {.entry.two = cpu_accumulate};
    const struct split s = {.count = 2, .tensors = {out, x}, .part = two_part, .rest = &rest};
    return split_axis(d, &s, axis_of(out), e);
}
