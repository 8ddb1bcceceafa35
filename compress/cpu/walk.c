/* walk.c - see walk.h. */
#include "compress/cpu/walk.h"

#include <assert.h>

enum { CHUNK = 1024 /* converted elements, of which a few operands stay in the first cache */ };

/* How many elements of an operand are converted at a time. */
static int64_t room_for(const struct tensor *t, int64_t chunk) {
    int64_t width = chunk > 0 ? chunk : tensor_width(t);
    return (width + 15) / 16 * 16;
}

/* Scratch memory for what is not F32. chunk 0: whole rows. */
static int make_room(struct walk *w, struct device *d, const struct operand *operands,
                     int64_t chunk, struct error *e) {
    int64_t total = 0;
    void *scratch = NULL;
    for (int i = 0; i < w->operands; i++) {
        total += w->of[i].bf16 ? room_for(operands[i].tensor, chunk) : 0;
    }
    int rc = 0;
    if (total > 0) {
        rc = cpu_scratch(&scratch, d, SCRATCH_WALK, (size_t)total * sizeof(float), e);
    }
    float *at = scratch;
    for (int i = 0; i < w->operands && rc == 0; i++) {
        if (w->of[i].bf16) {
            w->of[i].converted = at;
            at += room_for(operands[i].tensor, chunk);
        }
    }
    return rc;
}

/* *dense: all operands are. */
static void begin(struct walk *w, struct device *d, const struct operand *operands, int count,
                  bool *dense) {
    assert(count <= WALK_OPERANDS && operands[0].tensor != NULL);
    *w = (struct walk){.level = cpu_device(d)->level,
                       .operands = count,
                       .rows = tensor_rows(operands[0].tensor),
                       .width = tensor_width(operands[0].tensor),
                       .row = -1};
    *dense = true;
    for (int i = 0; i < count; i++) {
        const struct tensor *t = operands[i].tensor;
        if (t == NULL) {
            continue;
        }
        assert(t->type == DTYPE_F32 || t->type == DTYPE_BF16);
        w->of[i].base = t->data;
        w->of[i].bf16 = t->type == DTYPE_BF16;
        w->of[i].access = operands[i].access;
        w->of[i].rows = tensor_rows(t);
        bool rows = tensor_is_rows(t, &w->of[i].stride);
        assert(rows && (w->rows == 0 || w->rows % w->of[i].rows == 0));
        (void)rows;
        *dense = *dense && tensor_is_dense(t);
    }
}

int walk_elements(struct walk *w, struct device *d, const struct operand *operands, int count,
                  struct error *e) {
    bool dense, bf16 = false;
    begin(w, d, operands, count, &dense);
    int64_t width = w->width, fewest = w->rows;
    for (int i = 0; i < count; i++) {
        assert(operands[i].tensor == NULL || tensor_width(operands[i].tensor) == width);
        fewest = operands[i].tensor != NULL && w->of[i].rows < fewest ? w->of[i].rows : fewest;
        bf16 = bf16 || w->of[i].bf16;
    }
    for (int i = 0; i < count && dense && fewest > 0; i++) {
        w->of[i].rows /= fewest;
        w->of[i].stride = width * fewest;
    }
    if (dense && fewest > 0) {
        w->rows /= fewest;
        w->width *= fewest;
    }
    w->chunk = bf16 && w->width > CHUNK ? CHUNK : w->width;
    return make_room(w, d, operands, w->chunk, e);
}

int walk_rows(struct walk *w, struct device *d, const struct operand *operands, int count,
              struct error *e) {
    bool dense;
    begin(w, d, operands, count, &dense);
    w->chunk = w->width;
    for (int i = 0; i < count; i++) {
        w->of[i].width = operands[i].tensor != NULL ? tensor_width(operands[i].tensor) : 0;
    }
    return make_room(w, d, operands, 0, e);
}

static size_t count_of(const struct walk *w, int i) {
    return w->of[i].width > 0 ? (size_t)w->of[i].width : w->count;
}

/* What was computed goes where it belongs. */
static void finish(struct walk *w) {
    for (int i = 0; i < w->operands; i++) {
        if (w->of[i].bf16 && w->of[i].access != READ) {
            w->level->to_bf16((uint16_t *)(void *)w->of[i].at, w->of[i].converted, count_of(w, i));
        }
    }
}

/* The next run is at (row, column); false: there is none. */
static bool advance(struct walk *w) {
    if (w->row < 0 || w->column + w->chunk >= w->width) {
        w->row++;
        w->column = 0;
    } else {
        w->column += w->chunk;
    }
    int64_t rest = w->width - w->column;
    w->count = (size_t)(rest < w->chunk ? rest : w->chunk);
    return w->row < w->rows && w->width > 0;
}

bool walk_next(struct walk *w) {
    if (w->row >= 0) {
        finish(w);
    }
    if (!advance(w)) {
        return false;
    }
    for (int i = 0; i < w->operands; i++) {
        if (w->of[i].base == NULL) {
            continue;
        }
        size_t size = w->of[i].bf16 ? sizeof(uint16_t) : sizeof(float);
        int64_t row = w->of[i].rows == w->rows ? w->row : w->row % w->of[i].rows;
        w->of[i].at = w->of[i].base + (size_t)(row * w->of[i].stride + w->column) * size;
        w->data[i] = (float *)(void *)w->of[i].at;
        if (w->of[i].bf16) {
            w->data[i] = w->of[i].converted;
            if (w->of[i].access != WRITE) {
                w->level->from_bf16(w->data[i], (const uint16_t *)(const void *)w->of[i].at,
                                    count_of(w, i));
            }
        }
    }
    return true;
}

float *vector_of(const struct tensor *t, int64_t width) {
    assert(t == NULL || (t->type == DTYPE_F32 && tensor_is_dense(t) && tensor_count(t) == width));
    (void)width;
    return t != NULL ? t->data : NULL;
}
