/* device.c - a device whose memory the host cannot reach, for tests of what is made of operations:
 * in their programs it stands where CUDA's would. Its operations are the CPU's, so that all results
 * are the CPU's to the byte.
 *
 * Addresses of its memory have a bit that no address of a process has: who reads there is stopped
 * at once. Operations take it off, and refuse what has none. New memory holds NaN. */
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compress/device.h"
#include "compress/ops.h"

extern const struct backend CPU_BACKEND, CUDA_BACKENDS[];

#define APART ((uintptr_t)1 << 55)

enum { SHOWN = 32 /* tensors of one operation, at most */ };

struct apart_device {
    struct device head;
    struct device *cpu;
    struct tensor shown[SHOWN]; /* as the CPU sees them: a ring */
    unsigned next;
    struct attention_options attention;
    struct rotary_options rotary;
};

/* ---- Addresses ------------------------------------------------------------------------------- */

static bool is_apart(const void *data) {
    return ((uintptr_t)data & APART) != 0;
}

static void *to_apart(void *data) {
    return (void *)((uintptr_t)data | APART);
}

static void *to_host(void *data) {
    return (void *)((uintptr_t)data & ~APART);
}

static void stop(const char *what) {
    fprintf(stderr, "apart: %s\n", what);
    raise(SIGSEGV);
}

static struct apart_device *apart(struct device *d) {
    return (struct apart_device *)d;
}

static struct tensor *next_shown(struct device *d, const struct tensor *x) {
    struct tensor *shown = &apart(d)->shown[apart(d)->next++ % SHOWN];
    *shown = *x;
    return shown;
}

/* A tensor of the device, as the CPU sees it. */
static const struct tensor *see(struct device *d, const struct tensor *x) {
    if (x == NULL) {
        return NULL;
    }
    struct tensor *shown = next_shown(d, x);
    if (x->data != NULL && !is_apart(x->data)) {
        stop("an operation was given memory of the host");
    }
    shown->data = to_host(x->data);
    shown->home = x->home != NULL ? apart(d)->cpu : NULL;
    return shown;
}

static const struct tensor *of_host(const struct tensor *x) {
    if (x != NULL && is_apart(x->data)) {
        stop("memory of the device where the host's belongs");
    }
    return x;
}

/* ---- Calls ----------------------------------------------------------------------------------- */

static struct device *enter(struct device *d) {
    struct device *cpu = apart(d)->cpu;
    if (d->lent != NULL && !is_apart(d->lent)) {
        stop("memory of the host was lent");
    }
    cpu->lent = to_host(d->lent);
    cpu->lent_bytes = d->lent_bytes;
    return cpu;
}

static int leave(struct device *d, int rc) {
    const struct device *cpu = apart(d)->cpu;
    d->bytes = cpu->bytes;
    d->peak_bytes = cpu->peak_bytes;
    return rc;
}

#define CALL(entry, ...) leave(d, enter(d)->ops->entry(apart(d)->cpu, __VA_ARGS__, e))

/* ---- Memory ---------------------------------------------------------------------------------- */

static int apart_alloc(struct device *d, struct tensor *out, struct error *e) {
    int rc = CALL(alloc, out);
    if (rc == 0) {
        memset(out->data, 0xFF, tensor_bytes(out));
        out->data = to_apart(out->data);
        out->home = d;
    }
    return rc;
}

static void apart_release(struct device *d, struct tensor *t) {
    if (t->data != NULL) {
        struct tensor own = *see(d, t);
        assert(t->home == d);
        apart(d)->cpu->ops->release(apart(d)->cpu, &own);
        leave(d, 0);
    }
    t->data = NULL;
}

static int apart_upload(struct device *d, const struct tensor *to, const struct tensor *from,
                        struct error *e) {
    return CALL(upload, see(d, to), of_host(from));
}

static int apart_download(struct device *d, const struct tensor *to, const struct tensor *from,
                          struct error *e) {
    return CALL(download, of_host(to), see(d, from));
}

static int apart_synchronize(struct device *d, struct error *e) {
    return leave(d, enter(d)->ops->synchronize(apart(d)->cpu, e));
}

/* ---- Matrices -------------------------------------------------------------------------------- */

struct apart_packed {
    struct packed head;
    struct packed *cpu;
    void (*close)(struct packed *w); /* that of the CPU */
    void *copies[3];                 /* of a frozen matrix: what the host has may end */
};

static const struct packed *matrix(const struct packed *w) {
    return ((const struct apart_packed *)w)->cpu;
}

static void apart_packed_close(struct packed *w) {
    struct apart_packed *own = (struct apart_packed *)w;
    if (own != NULL) {
        own->close(own->cpu);
        for (int i = 0; i < 3; i++) {
            free(own->copies[i]);
        }
        free(own);
    }
}

static struct apart_packed *packed_open(struct device *d, struct packed **out, struct error *e) {
    struct apart_packed *w = calloc(1, sizeof *w);
    *out = NULL;
    if (w == NULL) {
        error_memory(e, NULL);
        return NULL;
    }
    w->close = apart(d)->cpu->ops->packed_close;
    return w;
}

static int packed_done(struct apart_packed *w, struct packed **out, int rc) {
    if (rc < 0) {
        apart_packed_close(&w->head);
        return rc;
    }
    w->head = *w->cpu;
    *out = &w->head;
    return 0;
}

static int apart_pack(struct device *d, struct packed **out, const struct tensor *m,
                      const struct tensor *bias, struct error *e) {
    struct apart_packed *w = packed_open(d, out, e);
    return w != NULL ? packed_done(w, out, CALL(pack, &w->cpu, of_host(m), of_host(bias)))
                     : ERR_MEMORY;
}

static const void *copied(void **place, const void *data, size_t bytes) {
    *place = data != NULL ? malloc(bytes) : NULL;
    return *place != NULL ? memcpy(*place, data, bytes) : NULL;
}

static int apart_pack_frozen(struct device *d, struct packed **out, const struct frozen_matrix *m,
                             struct error *e) {
    struct apart_packed *w = packed_open(d, out, e);
    if (w == NULL) {
        return ERR_MEMORY;
    }
    const size_t values = frozen_value_bytes(m);
    const size_t scales = m->scales == NULL   ? 0
                          : m->minima != NULL ? (frozen_bytes(m) - values) / 2
                                              : frozen_bytes(m) - values;
    struct frozen_matrix own = *m;
    own.values = copied(&w->copies[0], m->values, values);
    own.scales = copied(&w->copies[1], m->scales, scales);
    own.minima = copied(&w->copies[2], m->minima, scales);
    return packed_done(w, out, CALL(pack_frozen, &w->cpu, &own));
}

static int apart_linear(struct device *d, const struct tensor *out, const struct tensor *x,
                        const struct packed *w, enum activation activation,
                        const struct tensor *residual, struct error *e) {
    return CALL(linear, see(d, out), see(d, x), matrix(w), activation, see(d, residual));
}

static int apart_linear_backward(struct device *d, const struct tensor *dx, const struct tensor *dy,
                                 const struct packed *w, bool accumulate, struct error *e) {
    return CALL(linear_backward, see(d, dx), see(d, dy), matrix(w), accumulate);
}

static int apart_gather_packed(struct device *d, const struct tensor *out, const struct packed *w,
                               const struct tensor *index, struct error *e) {
    return CALL(gather_packed, see(d, out), matrix(w), see(d, index));
}

static int apart_mlp(struct device *d, const struct tensor *out, const struct tensor *x,
                     const struct packed *w1, enum activation activation, const struct packed *w2,
                     const struct tensor *residual, struct error *e) {
    return CALL(mlp, see(d, out), see(d, x), matrix(w1), activation, matrix(w2), see(d, residual));
}

static int apart_convolve(struct device *d, const struct tensor *out, const struct tensor *x,
                          const struct convolution_options *o, const struct packed *w,
                          struct error *e) {
    return CALL(convolve, see(d, out), see(d, x), o, matrix(w));
}

static int apart_matmul(struct device *d, const struct tensor *out, const struct tensor *a,
                        const struct tensor *b, const struct tensor *bias, bool accumulate,
                        struct error *e) {
    return CALL(matmul, see(d, out), see(d, a), see(d, b), see(d, bias), accumulate);
}

/* ---- What takes tensors alone ---------------------------------------------------------------- */

#define TWO(entry)                                                                                 \
    static int apart_##entry(struct device *d, const struct tensor *a, const struct tensor *b,     \
                             struct error *e) {                                                    \
        return CALL(entry, see(d, a), see(d, b));                                                  \
    }

#define THREE(entry)                                                                               \
    static int apart_##entry(struct device *d, const struct tensor *a, const struct tensor *b,     \
                             const struct tensor *c, struct error *e) {                            \
        return CALL(entry, see(d, a), see(d, b), see(d, c));                                       \
    }

#define FIVE(entry)                                                                                \
    static int apart_##entry(struct device *d, const struct tensor *da, const struct tensor *db,   \
                             const struct tensor *a, const struct tensor *b,                       \
                             const struct tensor *dy, struct error *e) {                           \
        return CALL(entry, see(d, da), see(d, db), see(d, a), see(d, b), see(d, dy));              \
    }

TWO(copy)
TWO(accumulate)
TWO(gelu)
TWO(quick_gelu)
TWO(silu)
TWO(sum_rows)
TWO(softmax)
TWO(square_sum)
THREE(gather)
THREE(scatter_add)
THREE(add)
THREE(multiply)
THREE(gelu_backward)
THREE(quick_gelu_backward)
THREE(silu_backward)
THREE(swiglu)
THREE(softmax_backward)
THREE(top_k)
THREE(top_k_backward)
THREE(cosine)
FIVE(multiply_backward)
FIVE(swiglu_backward)
FIVE(cosine_backward)

/* ---- The others ------------------------------------------------------------------------------ */

static int apart_fill(struct device *d, const struct tensor *out, float value, struct error *e) {
    return CALL(fill, see(d, out), value);
}

static int apart_im2col(struct device *d, const struct tensor *out, const struct tensor *x,
                        const struct convolution_options *o, struct error *e) {
    return CALL(im2col, see(d, out), see(d, x), o);
}

static int apart_im2col_backward(struct device *d, const struct tensor *dx, const struct tensor *dy,
                                 const struct convolution_options *o, struct error *e) {
    return CALL(im2col_backward, see(d, dx), see(d, dy), o);
}

static int apart_resample(struct device *d, const struct tensor *out, const struct tensor *x,
                          const struct resample_options *o, struct error *e) {
    return CALL(resample, see(d, out), see(d, x), o);
}

static int apart_resample_backward(struct device *d, const struct tensor *dx,
                                   const struct tensor *dy, const struct resample_options *o,
                                   struct error *e) {
    return CALL(resample_backward, see(d, dx), see(d, dy), o);
}

static int apart_normalize_pixels(struct device *d, const struct tensor *out,
                                  const struct tensor *x, const float mean[3],
                                  const float deviation[3], struct error *e) {
    return CALL(normalize_pixels, see(d, out), see(d, x), mean, deviation);
}

static int apart_combine(struct device *d, const struct tensor *out, float alpha,
                         const struct tensor *a, float beta, const struct tensor *b,
                         struct error *e) {
    return CALL(combine, see(d, out), alpha, see(d, a), beta, see(d, b));
}

static int apart_layer_norm(struct device *d, const struct tensor *out, const struct tensor *x,
                            const struct tensor *gamma, const struct tensor *beta, float eps,
                            struct error *e) {
    return CALL(layer_norm, see(d, out), see(d, x), see(d, gamma), see(d, beta), eps);
}

static int apart_layer_norm_backward(struct device *d, const struct tensor *dx,
                                     const struct tensor *dgamma, const struct tensor *dbeta,
                                     const struct tensor *x, const struct tensor *gamma,
                                     const struct tensor *dy, float eps, struct error *e) {
    return CALL(layer_norm_backward, see(d, dx), see(d, dgamma), see(d, dbeta), see(d, x),
                see(d, gamma), see(d, dy), eps);
}

static int apart_rms_norm(struct device *d, const struct tensor *out, const struct tensor *x,
                          const struct tensor *gamma, float eps, struct error *e) {
    return CALL(rms_norm, see(d, out), see(d, x), see(d, gamma), eps);
}

static int apart_rms_norm_backward(struct device *d, const struct tensor *dx,
                                   const struct tensor *dgamma, const struct tensor *x,
                                   const struct tensor *gamma, const struct tensor *dy, float eps,
                                   struct error *e) {
    return CALL(rms_norm_backward, see(d, dx), see(d, dgamma), see(d, x), see(d, gamma), see(d, dy),
                eps);
}

static int apart_rotary(struct device *d, const struct tensor *out, const struct tensor *x,
                        const struct tensor *positions, const struct rotary_options *o,
                        struct error *e) {
    struct rotary_options *own = &apart(d)->rotary;
    *own = *o;
    own->frequency = see(d, o->frequency);
    return CALL(rotary, see(d, out), see(d, x), see(d, positions), own);
}

static const struct attention_options *attention_of(struct device *d,
                                                    const struct attention_options *o) {
    struct attention_options *own = &apart(d)->attention;
    *own = *o;
    own->offsets = of_host(o->offsets);
    own->rel_h = see(d, o->rel_h);
    own->rel_w = see(d, o->rel_w);
    own->pad = see(d, o->pad);
    return own;
}

static int apart_attention(struct device *d, const struct tensor *out,
                           const struct tensor *log_sum_exp, const struct tensor *q,
                           const struct tensor *k, const struct tensor *v,
                           const struct attention_options *o, struct error *e) {
    return CALL(attention, see(d, out), see(d, log_sum_exp), see(d, q), see(d, k), see(d, v),
                attention_of(d, o));
}

static int apart_attention_backward(struct device *d, const struct tensor *dq,
                                    const struct tensor *dk, const struct tensor *dv,
                                    const struct tensor *drel_h, const struct tensor *drel_w,
                                    const struct tensor *q, const struct tensor *k,
                                    const struct tensor *v, const struct tensor *out,
                                    const struct tensor *log_sum_exp, const struct tensor *dout,
                                    const struct attention_options *o, struct error *e) {
    return CALL(attention_backward, see(d, dq), see(d, dk), see(d, dv), see(d, drel_h),
                see(d, drel_w), see(d, q), see(d, k), see(d, v), see(d, out), see(d, log_sum_exp),
                see(d, dout), attention_of(d, o));
}

static int apart_cross_entropy(struct device *d, const struct tensor *loss,
                               const struct tensor *dlogits, const struct tensor *logits,
                               const struct tensor *labels, float scale, struct error *e) {
    return CALL(cross_entropy, see(d, loss), see(d, dlogits), see(d, logits), see(d, labels),
                scale);
}

static int apart_classify(struct device *d, const struct tensor *loss, const struct tensor *dx,
                          const struct tensor *dweight, const struct tensor *dbias,
                          const struct tensor *x, const struct tensor *weight,
                          const struct tensor *bias, const struct tensor *labels, float scale,
                          struct error *e) {
    return CALL(classify, see(d, loss), see(d, dx), see(d, dweight), see(d, dbias), see(d, x),
                see(d, weight), see(d, bias), see(d, labels), scale);
}

static int apart_classify_packed(struct device *d, const struct tensor *loss,
                                 const struct tensor *dx, const struct tensor *x,
                                 const struct packed *w, const struct tensor *labels, float scale,
                                 struct error *e) {
    return CALL(classify_packed, see(d, loss), see(d, dx), see(d, x), matrix(w), see(d, labels),
                scale);
}

static int apart_dropout(struct device *d, const struct tensor *out, const struct tensor *x,
                         float share, uint64_t seed, int64_t first, struct error *e) {
    return CALL(dropout, see(d, out), see(d, x), share, seed, first);
}

static int apart_adamw(struct device *d, const struct tensor *weight,
                       const struct tensor *first_moment, const struct tensor *second_moment,
                       const struct tensor *gradient, const struct adamw_step *step,
                       struct error *e) {
    return CALL(adamw, see(d, weight), see(d, first_moment), see(d, second_moment),
                see(d, gradient), step);
}

/* ---- The backend ----------------------------------------------------------------------------- */

#define ENTRY(name) .name = apart_##name
static const struct ops APART_OPS = {
    ENTRY(alloc),
    ENTRY(release),
    ENTRY(upload),
    ENTRY(download),
    ENTRY(synchronize),
    ENTRY(fill),
    ENTRY(copy),
    ENTRY(accumulate),
    ENTRY(gather),
    ENTRY(scatter_add),
    ENTRY(im2col),
    ENTRY(im2col_backward),
    ENTRY(resample),
    ENTRY(resample_backward),
    ENTRY(normalize_pixels),
    ENTRY(pack),
    ENTRY(pack_frozen),
    ENTRY(packed_close),
    ENTRY(linear),
    ENTRY(linear_backward),
    ENTRY(gather_packed),
    ENTRY(mlp),
    ENTRY(convolve),
    ENTRY(matmul),
    ENTRY(add),
    ENTRY(combine),
    ENTRY(multiply),
    ENTRY(multiply_backward),
    ENTRY(gelu),
    ENTRY(gelu_backward),
    ENTRY(quick_gelu),
    ENTRY(quick_gelu_backward),
    ENTRY(silu),
    ENTRY(silu_backward),
    ENTRY(swiglu),
    ENTRY(swiglu_backward),
    ENTRY(sum_rows),
    ENTRY(layer_norm),
    ENTRY(layer_norm_backward),
    ENTRY(rms_norm),
    ENTRY(rms_norm_backward),
    ENTRY(softmax),
    ENTRY(softmax_backward),
    ENTRY(top_k),
    ENTRY(top_k_backward),
    ENTRY(cosine),
    ENTRY(cosine_backward),
    ENTRY(rotary),
    ENTRY(attention),
    ENTRY(attention_backward),
    ENTRY(cross_entropy),
    ENTRY(classify),
    ENTRY(classify_packed),
    ENTRY(dropout),
    ENTRY(square_sum),
    ENTRY(adamw),
};

static int probe(int number, struct error *e) {
    return CPU_BACKEND.probe(number, e);
}

static bool has_bf16(void) {
    return CPU_BACKEND.has_bf16();
}

static int one(void) {
    return 1;
}

static void close_device(struct device *d) {
    if (d != NULL) {
        CPU_BACKEND.device_close(apart(d)->cpu);
        free(d);
    }
}

static int open_device(struct device **out, const struct backend *b, enum dtype compute,
                       struct error *e) {
    struct apart_device *d = calloc(1, sizeof *d);
    *out = NULL;
    if (d == NULL) {
        return error_memory(e, NULL);
    }
    int rc = device_open(&d->cpu, &CPU_BACKEND, compute, e);
    if (rc < 0) {
        free(d);
        return rc;
    }
    d->head = (struct device){.backend = b, .ops = &APART_OPS, .compute = compute};
    *out = &d->head;
    return 0;
}

const struct backend CUDA_BACKENDS[] = {{.name = "cuda",
                                         .probe = probe,
                                         .has_bf16 = has_bf16,
                                         .workers = one,
                                         .batch = one,
                                         .host_memory = false,
                                         .device_open = open_device,
                                         .device_close = close_device}};
