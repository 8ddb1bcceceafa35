/* stored.c - see stored.h. */
#include "train/decoder/stored.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 32, HALF = BLOCK / 2 };

/* ---- Finding --------------------------------------------------------------------------------- */

/* "NAME.SUFFIX", of that type and shape; columns 0: a vector. */
static int find_part(const struct safetensor **out, const struct safetensors *file,
                     const char *name, const char *suffix, enum dtype type, int64_t rows,
                     int64_t columns, struct error *e) {
    char full[TENSOR_SPEC_NAME + 16];
    snprintf(full, sizeof full, "%s.%s", name, suffix);
    const struct safetensor *t = safetensors_find(file, full);
    const bool fits = t != NULL && t->type == type && t->rank == (columns > 0 ? 2 : 1) &&
                      t->shape[0] == rows && (columns == 0 || t->shape[1] == columns);
    *out = t;
    return fits ? 0
                : error_set(e, ERR_FORMAT, "%s %s", full,
                            t == NULL ? "is missing" : "is of another type or shape");
}

/* With a scale for each row, or for each block of one. */
static int find_int8(struct stored_matrix *m, const struct safetensors *file, const char *name,
                     struct error *e) {
    const int64_t rows = m->frozen.outputs, width = m->frozen.inputs;
    m->frozen.block = width;
    m->frozen.scale_type = DTYPE_F32;
    int rc = find_part(&m->parts[1], file, name, "scale", DTYPE_F32, rows, 0, e);
    if (rc < 0 && width % BLOCK == 0 && m->parts[1] != NULL && m->parts[1]->rank == 2) {
        m->frozen.block = BLOCK;
        m->frozen.scale_type = DTYPE_F16;
        rc = find_part(&m->parts[1], file, name, "scale", DTYPE_F16, rows, width / BLOCK, e);
    }
    return rc;
}

static int find_int4(struct stored_matrix *m, const struct safetensors *file, const char *name,
                     struct error *e) {
    const int64_t rows = m->frozen.outputs, width = m->frozen.inputs * 2;
    if (width % BLOCK != 0) {
        return error_set(e, ERR_FORMAT, "%s: 4 bits need rows in multiples of %d", name, BLOCK);
    }
    m->frozen.inputs = width;
    m->frozen.block = BLOCK;
    m->frozen.scale_type = DTYPE_F16;
    int rc = find_part(&m->parts[1], file, name, "scale", DTYPE_F16, rows, width / BLOCK, e);
    return rc == 0
               ? find_part(&m->parts[2], file, name, "minimum", DTYPE_F16, rows, width / BLOCK, e)
               : rc;
}

int stored_matrix_find(struct stored_matrix *out, const struct safetensors *file, const char *name,
                       struct error *e) {
    const struct safetensor *t = safetensors_find(file, name);
    int rc = 0;
    if (t == NULL) {
        return error_set(e, ERR_FORMAT, "%s is missing", name);
    }
    if (t->rank != 2 || t->shape[0] < 1 || t->shape[1] < 1 || t->shape[1] > INT64_MAX / 2) {
        return error_set(e, ERR_FORMAT, "%s is not a matrix", name);
    }
    *out = (struct stored_matrix){.type = t->type,
                                  .frozen = {.outputs = t->shape[0], .inputs = t->shape[1]},
                                  .parts = {t, NULL, NULL}};
    if (t->type == DTYPE_I8) {
        rc = find_int8(out, file, name, e);
    } else if (t->type == DTYPE_U8) {
        rc = find_int4(out, file, name, e);
    } else if (t->type != DTYPE_F32 && t->type != DTYPE_F16 && t->type != DTYPE_BF16) {
        rc = error_set(e, ERR_UNSUPPORTED, "%s is of a type that is not supported", name);
    }
    out->frozen.values = t->data;
    out->frozen.scales = out->parts[1] != NULL ? out->parts[1]->data : NULL;
    out->frozen.minima = out->parts[2] != NULL ? out->parts[2]->data : NULL;
    return rc;
}

int stored_check(const struct safetensors *file, const struct tensor_spec *spec, struct error *e) {
    struct stored_matrix m;
    bool fits;
    if (spec->rank == 2) {
        int rc = stored_matrix_find(&m, file, spec->name, e);
        if (rc < 0) {
            return rc;
        }
        fits = m.frozen.outputs == spec->shape[0] && m.frozen.inputs == spec->shape[1];
    } else {
        const struct safetensor *t = safetensors_find(file, spec->name);
        if (t == NULL) {
            return error_set(e, ERR_FORMAT, "%s is missing", spec->name);
        }
        fits = t->rank == spec->rank && t->shape[0] == spec->shape[0] &&
               (t->type == DTYPE_F32 || t->type == DTYPE_F16 || t->type == DTYPE_BF16);
    }
    return fits ? 0
                : error_set(e, ERR_FORMAT, "%s is of another shape or type than config.json says",
                            spec->name);
}

bool stored_matrix_frozen(const struct stored_matrix *m, struct frozen_matrix *out) {
    *out = m->frozen;
    switch ((int)m->type) {
    case DTYPE_F32:
        out->format = FROZEN_F32;
        return true;
    case DTYPE_BF16:
        out->format = FROZEN_BF16;
        return true;
    case DTYPE_I8:
        out->format = FROZEN_I8;
        return true;
    case DTYPE_U8:
        out->format = FROZEN_U4;
        return true;
    default:
        return false;
    }
}

void stored_matrix_drop(const struct stored_matrix *m, const struct safetensors *file) {
    for (int i = 0; i < 3 && m->parts[i] != NULL; i++) {
        safetensors_drop(file, m->parts[i]);
    }
}

/* ---- Values ---------------------------------------------------------------------------------- */

/* Element `index` of scales or minima. */
static float factor(const void *list, enum dtype type, int64_t index) {
    float value;
    dtype_to_float(&value, (const char *)list + (size_t)index * dtype_size(type), type, 1);
    return value;
}

static void int8_row(const struct frozen_matrix *m, int64_t row, float *to) {
    const signed char *q = (const signed char *)m->values + row * m->inputs;
    const int64_t blocks = m->inputs / m->block;
    for (int64_t b = 0; b < blocks; b++) {
        const float scale = factor(m->scales, m->scale_type, row * blocks + b);
        for (int64_t i = b * m->block; i < (b + 1) * m->block; i++) {
            to[i] = scale * (float)q[i];
        }
    }
}

static void int4_row(const struct frozen_matrix *m, int64_t row, float *to) {
    const unsigned char *q = (const unsigned char *)m->values + row * (m->inputs / 2);
    const int64_t blocks = m->inputs / BLOCK;
    for (int64_t b = 0; b < blocks; b++, q += HALF, to += BLOCK) {
        const float scale = factor(m->scales, m->scale_type, row * blocks + b);
        const float minimum = factor(m->minima, m->scale_type, row * blocks + b);
        for (int i = 0; i < HALF; i++) {
            to[i] = scale * (float)(q[i] & 15) + minimum;
            to[i + HALF] = scale * (float)(q[i] >> 4) + minimum;
        }
    }
}

void stored_matrix_rows(const struct stored_matrix *m, int64_t first, int64_t count, float *to) {
    const int64_t width = m->frozen.inputs;
    if (m->type != DTYPE_I8 && m->type != DTYPE_U8) {
        const size_t size = dtype_size(m->type);
        dtype_to_float(to, (const char *)m->frozen.values + (size_t)(first * width) * size, m->type,
                       (size_t)(count * width));
        return;
    }
    for (int64_t r = 0; r < count; r++) {
        if (m->type == DTYPE_I8) {
            int8_row(&m->frozen, first + r, to + r * width);
        } else {
            int4_row(&m->frozen, first + r, to + r * width);
        }
    }
}
