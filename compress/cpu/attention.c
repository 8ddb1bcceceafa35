/* attention.c - the heads of an attention, one after another. */
#include <assert.h>
#include <string.h>

#include "compress/cpu/device.h"
#include "compress/cpu/ops.h"

/* Floats of head h at token t of sequence b. */
static float *at(const struct tensor *x, int64_t b, int64_t t, int64_t h) {
    return (float *)x->data + b * x->stride[0] + t * x->stride[1] + h * x->stride[2];
}

static struct head_position position_of(const struct attention_options *o) {
    struct head_position p = {.height = o->height, .width = o->width};
    if (o->rel_h != NULL) {
        assert(tensor_is_dense(o->rel_h) && tensor_is_dense(o->rel_w));
        p.rel_h = o->rel_h->data;
        p.rel_w = o->rel_w->data;
    }
    return p;
}

/* What the kernels need to know of all heads. */
struct heads {
    const struct tensor *out, *q, *k, *v;
    const struct attention_options *options;
    const struct head_position *position; /* NULL: no bias */
    void *scratch;
    bool bf16;
};

static int attend_whole(struct device *d, const struct heads *s, struct error *e) {
    (void)e;
    int64_t tokens = s->q->shape[1], dim = s->q->shape[3];
    assert(s->q->stride[1] == s->k->stride[1] && s->q->stride[1] == s->v->stride[1]);
    for (int64_t b = 0; b < s->q->shape[0]; b++) {
        for (int64_t h = 0; h < s->q->shape[2]; h++) {
            cpu_device(d)->level->attention(
                at(s->out, b, 0, h), s->out->stride[1], at(s->q, b, 0, h), at(s->k, b, 0, h),
                at(s->v, b, 0, h), s->q->stride[1], tokens, dim, s->position, s->bf16, s->scratch);
        }
    }
    return 0;
}

/* Copies what one window and head has of x to `to` (window * window, head_dim), `pad` where the
 * window leaves the grid. */
static void gather_window(float *to, const struct tensor *x, const float *pad,
                          const struct attention_options *o, int64_t b, int64_t h, int64_t top,
                          int64_t left) {
    size_t bytes = (size_t)x->shape[3] * sizeof *to;
    for (int64_t row = top; row < top + o->window; row++) {
        for (int64_t column = left; column < left + o->window; column++, to += x->shape[3]) {
            bool inside = row < o->grid_height && column < o->grid_width;
            memcpy(to, inside ? at(x, b, row * o->grid_width + column, h) : pad, bytes);
        }
    }
}

static void scatter_window(const struct tensor *out, const float *from,
                           const struct attention_options *o, int64_t b, int64_t h, int64_t top,
                           int64_t left) {
    int64_t dim = out->shape[3];
    for (int64_t row = top; row < top + o->window && row < o->grid_height; row++) {
        for (int64_t column = left; column < left + o->window && column < o->grid_width; column++) {
            memcpy(at(out, b, row * o->grid_width + column, h),
                   from + ((row - top) * o->window + column - left) * dim,
                   (size_t)dim * sizeof *from);
        }
    }
}

static void attend_window(struct device *d, const struct heads *s, float *room, int64_t b,
                          int64_t h, int64_t top, int64_t left) {
    const struct attention_options *o = s->options;
    int64_t dim = s->q->shape[3], tokens = o->window * o->window, width = s->q->shape[2] * dim;
    const float *pad = (const float *)o->pad->data + h * dim;
    float *q = room, *k = q + tokens * dim, *v = k + tokens * dim, *out = v + tokens * dim;
    gather_window(q, s->q, pad, o, b, h, top, left);
    gather_window(k, s->k, pad + width, o, b, h, top, left);
    gather_window(v, s->v, pad + 2 * width, o, b, h, top, left);
    cpu_device(d)->level->attention(out, dim, q, k, v, dim, tokens, dim, s->position, s->bf16,
                                    s->scratch);
    scatter_window(s->out, out, o, b, h, top, left);
}

static int attend_windows(struct device *d, const struct heads *s, struct error *e) {
    const struct attention_options *o = s->options;
    int64_t part = o->window * o->window * s->q->shape[3];
    void *room = NULL;
    assert(s->q->shape[1] == o->grid_height * o->grid_width && tensor_is_dense(o->pad));
    int rc = cpu_scratch(&room, d, SCRATCH_WINDOW, (size_t)(4 * part) * sizeof(float), e);
    if (rc < 0) {
        return rc;
    }
    for (int64_t b = 0; b < s->q->shape[0]; b++) {
        for (int64_t top = 0; top < o->grid_height; top += o->window) {
            for (int64_t left = 0; left < o->grid_width; left += o->window) {
                for (int64_t h = 0; h < s->q->shape[2]; h++) {
                    attend_window(d, s, room, b, h, top, left);
                }
            }
        }
    }
    return 0;
}

int cpu_attention(struct device *d, const struct tensor *out, const struct tensor *log_sum_exp,
                  const struct tensor *q, const struct tensor *k, const struct tensor *v,
                  const struct attention_options *o, struct error *e) {
    int64_t tokens = o->window > 0 ? o->window * o->window : q->shape[1], dim = q->shape[3];
    const struct head_position position = position_of(o);
    struct heads s = {.out = out,
                      .q = q,
                      .k = k,
                      .v = v,
                      .options = o,
                      .position = o->rel_h != NULL ? &position : NULL,
                      .bf16 = d->compute == DTYPE_BF16};
    assert(log_sum_exp == NULL && !o->causal && o->span == 0 && o->offsets == NULL);
    assert(tensor_same_shape(q, k) && tensor_same_shape(q, v) && o->scale == 0);
    (void)log_sum_exp;
    int rc = cpu_scratch(&s.scratch, d, SCRATCH_HEAD,
                         cpu_device(d)->level->attention_scratch(tokens, dim, s.position), e);
    if (rc == 0) {
        rc = o->window > 0 ? attend_windows(d, &s, e) : attend_whole(d, &s, e);
    }
    return rc;
}
