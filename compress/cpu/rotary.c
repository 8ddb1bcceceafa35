/* rotary.c - positions as angles, by which pairs of numbers are turned (Su et al. 2021). */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "compress/cpu/device.h"
#include "compress/cpu/ops.h"
#include "compress/cpu/strided.h"

/* What turns the heads of a token: in double, as angles of far positions are large, and as the next
 * position's come from them. */
struct turn {
    const struct level *level;
    double *at, *step;           /* (2 pairs): cosines, then sines, of a position and of 1 */
    float *cosine, *sine, *head; /* (pairs), (pairs), (head_dim) */
    int64_t pairs, dim;
};

static void set_at(double *at, int32_t position, const float *frequency, int64_t pairs) {
    for (int64_t i = 0; i < pairs; i++) {
        const double angle = (double)position * (double)frequency[i];
        at[i] = cos(angle);
        at[pairs + i] = sin(angle);
    }
}

/* cos(a + b) and sin(a + b). */
static void step_on(double *restrict at, const double *restrict step, int64_t pairs) {
    for (int64_t i = 0; i < pairs; i++) {
        const double c = at[i], s = at[pairs + i];
        at[i] = c * step[i] - s * step[pairs + i];
        at[pairs + i] = s * step[i] + c * step[pairs + i];
    }
}

/* `next`: the position is the one after that of the last call. Errors, of 1e-16 a step, are let go
 * of every EXACT positions. */
static void set_angles(const struct turn *t, int32_t position, bool next, const float *frequency,
                       bool back) {
    enum { EXACT = 64 };
    if (next && position % EXACT != 0) {
        step_on(t->at, t->step, t->pairs);
    } else {
        set_at(t->at, position, frequency, t->pairs);
    }
    for (int64_t i = 0; i < t->pairs; i++) {
        const double sine = t->at[t->pairs + i];
        t->cosine[i] = (float)t->at[i];
        t->sine[i] = (float)(back ? -sine : sine);
    }
}

static void turn_head(const struct turn *t, void *out, enum dtype out_type, const void *x,
                      enum dtype type) {
    size_t pairs = (size_t)t->pairs, rest = (size_t)t->dim - 2 * pairs;
    if (out_type == DTYPE_F32 && type == DTYPE_F32) {
        t->level->rotary(out, x, t->cosine, t->sine, pairs);
        if (out != x) {
            memcpy((float *)out + 2 * pairs, (const float *)x + 2 * pairs, rest * sizeof(float));
        }
        return;
    }
    run_load(t->level, t->head, x, type, 1, t->dim);
    t->level->rotary(t->head, t->head, t->cosine, t->sine, pairs);
    run_store(t->level, out, out_type, 1, t->head, t->dim);
}

static void *head_at(const struct tensor *x, int64_t b, int64_t t, int64_t h) {
    int64_t at = b * x->stride[0] + t * x->stride[1] + h * x->stride[2];
    return (char *)x->data + at * (int64_t)dtype_size(x->type);
}

int cpu_rotary(struct device *d, const struct tensor *out, const struct tensor *x,
               const struct tensor *positions, const struct rotary_options *o, struct error *e) {
    int64_t batch = x->shape[0], tokens = x->shape[1], heads = x->shape[2];
    struct turn turn = {.level = cpu_device(d)->level, .pairs = o->dims / 2, .dim = x->shape[3]};
    const int32_t *position = positions->data;
    void *scratch = NULL;
    assert(tensor_same_shape(out, x) && o->dims % 2 == 0 && o->dims <= turn.dim);
    assert(x->stride[3] == 1 && out->stride[3] == 1);
    assert(positions->type == DTYPE_I32 && tensor_is_dense(positions) &&
           tensor_count(positions) == batch * tokens);
    assert(o->frequency->type == DTYPE_F32 && tensor_is_dense(o->frequency) &&
           tensor_count(o->frequency) == turn.pairs);
    const size_t pairs = (size_t)turn.pairs, dim = (size_t)turn.dim;
    const size_t bytes = 4 * pairs * sizeof(double) + (2 * pairs + dim) * sizeof(float);
    int rc = cpu_scratch(&scratch, d, SCRATCH_WALK, bytes, e);
    if (rc < 0) {
        return rc;
    }
    turn.at = scratch;
    turn.step = turn.at + 2 * pairs;
    turn.cosine = (float *)(void *)(turn.step + 2 * pairs);
    turn.sine = turn.cosine + pairs;
    turn.head = turn.sine + pairs;
    set_at(turn.step, 1, o->frequency->data, turn.pairs);
    for (int64_t i = 0; i < batch * tokens; i++) {
        const bool next = i > 0 && (int64_t)position[i] == (int64_t)position[i - 1] + 1;
        set_angles(&turn, position[i], next, o->frequency->data, o->back);
        for (int64_t h = 0; h < heads; h++) {
            turn_head(&turn, head_at(out, i / tokens, i % tokens, h), out->type,
                      head_at(x, i / tokens, i % tokens, h), x->type);
        }
    }
    return 0;
}
