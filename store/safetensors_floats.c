/* safetensors_floats.c - values of tensors, also of those that are stored as 8-bit integers. */
#include <stdio.h>
#include <string.h>

#include "store/safetensors.h"

const struct safetensor *safetensors_scale(const struct safetensors *s,
                                           const struct safetensor *t) {
    char name[512];
    int n = snprintf(name, sizeof name, "%s" SAFETENSORS_SCALE, t->name);
    if (t->type != DTYPE_I8 || t->rank == 0 || n < 0 || (size_t)n >= sizeof name) {
        return NULL;
    }
    const struct safetensor *scale = safetensors_find(s, name);
    bool fits = scale != NULL && scale->type == DTYPE_F32 && scale->rank == 1 &&
                scale->shape[0] == t->shape[0] && t->shape[0] > 0;
    return fits ? scale : NULL;
}

int safetensors_floats(const struct safetensors *s, const struct safetensor *t, float *to,
                       struct error *e) {
    if (t->type == DTYPE_F32 || t->type == DTYPE_F16 || t->type == DTYPE_BF16) {
        dtype_to_float(to, t->data, t->type, t->bytes / dtype_size(t->type));
        return 0;
    }
    if (t->type != DTYPE_I8) {
        return error_set(e, ERR_UNSUPPORTED, "%s is neither F32 nor F16 nor BF16 nor I8", t->name);
    }
    const struct safetensor *scale = safetensors_scale(s, t);
    if (scale == NULL) {
        return error_set(e, ERR_FORMAT, "%s is I8 and has no scale for each row", t->name);
    }
    const signed char *values = t->data;
    size_t rows = (size_t)t->shape[0], width = t->bytes / rows;
    for (size_t r = 0; r < rows; r++) {
        float factor;
        memcpy(&factor, (const char *)scale->data + r * sizeof factor, sizeof factor);
        for (size_t i = 0; i < width; i++) {
            to[r * width + i] = factor * (float)values[r * width + i];
        }
    }
    return 0;
}
