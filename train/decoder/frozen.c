/* frozen.c - see frozen.h. */
#include "train/decoder/frozen.h"

#include <math.h>
#include <stdlib.h>

#include "store/buffer.h"

enum { BLOCK = 32, HALF = BLOCK / 2, AT_ONCE = 16 /* rows */ };

/* ---- One row --------------------------------------------------------------------------------- */

/* The nearest of least .. most, which are small; NaN is the least. */
static int nearest(float x, int least, int most) {
    x = x > (float)least ? x : (float)least;
    x = x < (float)most ? x : (float)most;
    return (int)(x + copysignf(0.5f, x));
}

static float int8_row(signed char *out, const float *x, int64_t count) {
    float most = 0;
    for (int64_t i = 0; i < count; i++) {
        const float size = fabsf(x[i]);
        most = size > most ? size : most;
    }
    const float scale = most / 127, inverse = scale > 0 ? 1 / scale : 0;
    for (int64_t i = 0; i < count; i++) {
        out[i] = (signed char)nearest(x[i] * inverse, -127, 127);
    }
    return scale;
}

/* As it comes back from half precision. */
static float rounded(uint16_t *half, float value) {
    float back;
    dtype_from_float(half, DTYPE_F16, &value, 1);
    dtype_to_float(&back, half, DTYPE_F16, 1);
    return back;
}

static void int4_block(unsigned char *out, uint16_t *scale, uint16_t *minimum, const float *x) {
    float least = x[0], most = x[0];
    for (int i = 1; i < BLOCK; i++) {
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
    }
    const float from = rounded(minimum, least), step = rounded(scale, (most - from) / 15);
    const float inverse = step > 0 ? 1 / step : 0;
    for (int i = 0; i < HALF; i++) {
        const int low = nearest((x[i] - from) * inverse, 0, 15);
        const int high = nearest((x[i + HALF] - from) * inverse, 0, 15);
        out[i] = (unsigned char)(low | high << 4);
    }
}

/* ---- All of them ----------------------------------------------------------------------------- */

/* Where values, scales and minima of a copy are written. */
struct places {
    char *values, *scales, *minima;
};

static void put_row(const struct places *p, const struct frozen_matrix *m, int64_t row,
                    const float *x) {
    const int64_t width = m->inputs, blocks = width / m->block;
    uint16_t *scale, *minimum;
    switch (m->format) {
    case FROZEN_F32:
        dtype_from_float(p->values + row * width * 4, DTYPE_F32, x, (size_t)width);
        break;
    case FROZEN_BF16:
        dtype_from_float(p->values + row * width * 2, DTYPE_BF16, x, (size_t)width);
        break;
    case FROZEN_I8:
        ((float *)(void *)p->scales)[row] =
            int8_row((signed char *)p->values + row * width, x, width);
        break;
    case FROZEN_U4:
        scale = (uint16_t *)(void *)p->scales + row * blocks;
        minimum = (uint16_t *)(void *)p->minima + row * blocks;
        for (int64_t b = 0; b < blocks; b++) {
            int4_block((unsigned char *)p->values + (row * blocks + b) * HALF, &scale[b],
                       &minimum[b], x + b * BLOCK);
        }
        break;
    }
}

/* Sizes of the three parts in bytes. */
static void sizes_of(const struct frozen_matrix *m, size_t bytes[3]) {
    const size_t blocks = (size_t)(m->outputs * (m->inputs / m->block));
    bytes[0] = frozen_value_bytes(m);
    bytes[1] = m->format >= FROZEN_I8 ? blocks * dtype_size(m->scale_type) : 0;
    bytes[2] = m->format == FROZEN_U4 ? bytes[1] : 0;
}

static size_t whole_lines(size_t bytes) {
    return (bytes + BUFFER_ALIGNMENT - 1) / BUFFER_ALIGNMENT * BUFFER_ALIGNMENT;
}

int frozen_copy_shape(struct frozen_matrix *out, const char *name, const struct stored_matrix *m,
                      enum frozen_format format, struct error *e) {
    const int64_t width = m->frozen.inputs;
    *out = (struct frozen_matrix){.format = format,
                                  .outputs = m->frozen.outputs,
                                  .inputs = width,
                                  .block = format == FROZEN_U4 ? BLOCK : width,
                                  .scale_type = format == FROZEN_U4 ? DTYPE_F16 : DTYPE_F32};
    return width % out->block == 0
               ? 0
               : error_set(e, ERR_UNSUPPORTED,
                           "%s: int4 needs rows in multiples of %d, which these are not", name,
                           BLOCK);
}

int frozen_copy_make(struct frozen_copy *out, const char *name, const struct stored_matrix *m,
                     enum frozen_format format, struct error *e) {
    const int64_t rows = m->frozen.outputs, width = m->frozen.inputs;
    struct frozen_matrix *to = &out->matrix;
    size_t bytes[3];
    *out = (struct frozen_copy){.memory = NULL};
    int rc = frozen_copy_shape(to, name, m, format, e);
    if (rc < 0) {
        return rc;
    }
    sizes_of(to, bytes);
    const size_t scales = whole_lines(bytes[0]), minima = scales + whole_lines(bytes[1]);
    char *memory = buffer_memory(minima + bytes[2]);
    float *floats = malloc((size_t)(AT_ONCE * width) * sizeof *floats);
    if (memory == NULL || floats == NULL) {
        free(memory);
        free(floats);
        return error_memory(e, name);
    }
    const struct places p = {memory, memory + scales, memory + minima};
    for (int64_t first = 0; first < rows; first += AT_ONCE) {
        const int64_t count = rows - first < AT_ONCE ? rows - first : AT_ONCE;
        stored_matrix_rows(m, first, count, floats);
        for (int64_t r = 0; r < count; r++) {
            put_row(&p, to, first + r, floats + r * width);
        }
    }
    free(floats);
    to->values = p.values;
    to->scales = bytes[1] > 0 ? p.scales : NULL;
    to->minima = bytes[2] > 0 ? p.minima : NULL;
    out->memory = memory;
    return 0;
}
