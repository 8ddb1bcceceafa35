/* watch.c - see watch.h: an entry for every operation that computes. */
#include "tests/bench/watch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "compress/dry.h"
#include "compress/ops.h"
#include "store/clock.h"

enum { LINES = 256 };
struct line {
    struct dry_operation operation;
    struct watch_sum sum;
};

static struct {
    const struct backend *inner;
    const struct ops *ops; /* the inner device's */
    struct device *dry;    /* says what a call is */
    int repeat;            /* 0: calls are not timed */
    struct dry_operation last;
    struct line lines[LINES];
    int line_count;
} watched;

/* ---- A call ---------------------------------------------------------------------------------- */

static void keep_last(void *context, const struct dry_operation *o) {
    (void)context;
    watched.last = *o;
}

static struct line *line_of(const struct dry_operation *o) {
    for (int i = 0; i < watched.line_count; i++) {
        struct line *l = &watched.lines[i];
        if (strcmp(l->operation.name, o->name) == 0 && l->operation.operations == o->operations &&
            l->operation.bytes == o->bytes &&
            memcmp(l->operation.sizes, o->sizes, sizeof o->sizes) == 0) {
            return l;
        }
    }
    if (watched.line_count == LINES) {
        fprintf(stderr, "watch.c: more than %d kinds of calls\n", LINES);
        exit(1);
    }
    watched.lines[watched.line_count] = (struct line){.operation = *o};
    return &watched.lines[watched.line_count++];
}

struct call {
    struct dry_operation operation;
    double started;
    int repeat;
};

/* What it calls itself is a part of it. */
static struct call start(struct device *d) {
    struct call c = {.operation = watched.last, .repeat = watched.repeat};
    watched.repeat = 0;
    watched.ops->synchronize(d, NULL);
    c.started = clock_seconds();
    return c;
}

static void note(struct device *d, const struct call *c) {
    watched.ops->synchronize(d, NULL);
    const double seconds = (clock_seconds() - c->started) / c->repeat;
    struct watch_sum *sum = &line_of(&c->operation)->sum;
    sum->calls++;
    sum->operations += c->operation.operations;
    sum->bytes += c->operation.bytes;
    sum->seconds += seconds;
    watched.repeat = c->repeat;
}

#define TENSOR(name) const struct tensor *name
#define WATCHED(name, parameters, ...)                                                             \
    static int watch_##name parameters {                                                           \
        int rc = 0;                                                                                \
        if (watched.repeat == 0) {                                                                 \
            return watched.ops->name(d, __VA_ARGS__);                                              \
        }                                                                                          \
        watched.dry->ops->name(watched.dry, __VA_ARGS__);                                          \
        const struct call call = start(d);                                                         \
        for (int i = 0; i < call.repeat && rc == 0; i++) {                                         \
            rc = watched.ops->name(d, __VA_ARGS__);                                                \
        }                                                                                          \
        note(d, &call);                                                                            \
        return rc;                                                                                 \
    }
#define WATCHED_TWO(name)                                                                          \
    WATCHED(name, (struct device * d, TENSOR(a), TENSOR(b), struct error * e), a, b, e)
#define WATCHED_THREE(name)                                                                        \
    WATCHED(name, (struct device * d, TENSOR(a), TENSOR(b), TENSOR(c), struct error * e), a, b, c, \
            e)
#define WATCHED_FIVE(name)                                                                         \
    WATCHED(name,                                                                                  \
            (struct device * d, TENSOR(da), TENSOR(db), TENSOR(a), TENSOR(b), TENSOR(dy),          \
             struct error * e),                                                                    \
            da, db, a, b, dy, e)

/* clang-format off */
WATCHED_TWO(upload) WATCHED_TWO(download) WATCHED_TWO(copy) WATCHED_TWO(accumulate)
WATCHED_TWO(gelu) WATCHED_TWO(quick_gelu) WATCHED_TWO(silu) WATCHED_TWO(softmax)
WATCHED_TWO(sum_rows) WATCHED_TWO(square_sum)
WATCHED_THREE(gather) WATCHED_THREE(scatter_add) WATCHED_THREE(add) WATCHED_THREE(multiply)
WATCHED_THREE(gelu_backward) WATCHED_THREE(quick_gelu_backward) WATCHED_THREE(silu_backward)
WATCHED_THREE(swiglu) WATCHED_THREE(softmax_backward) WATCHED_THREE(top_k)
WATCHED_THREE(top_k_backward) WATCHED_THREE(cosine)
WATCHED_FIVE(multiply_backward) WATCHED_FIVE(swiglu_backward) WATCHED_FIVE(cosine_backward)

WATCHED(fill, (struct device *d, TENSOR(out), float value, struct error *e), out, value, e)
WATCHED(im2col, (struct device *d, TENSOR(out), TENSOR(x), const struct convolution_options *o,
                 struct error *e), out, x, o, e)
WATCHED(im2col_backward, (struct device *d, TENSOR(dx), TENSOR(dy),
                          const struct convolution_options *o, struct error *e), dx, dy, o, e)
WATCHED(resample, (struct device *d, TENSOR(out), TENSOR(x), const struct resample_options *o,
                   struct error *e), out, x, o, e)
WATCHED(resample_backward, (struct device *d, TENSOR(dx), TENSOR(dy),
                            const struct resample_options *o, struct error *e), dx, dy, o, e)
WATCHED(normalize_pixels, (struct device *d, TENSOR(out), TENSOR(x), const float mean[3],
                           const float deviation[3], struct error *e), out, x, mean, deviation, e)
WATCHED(linear, (struct device *d, TENSOR(out), TENSOR(x), const struct packed *w,
                 enum activation activation, TENSOR(residual), struct error *e),
        out, x, w, activation, residual, e)
WATCHED(linear_backward, (struct device *d, TENSOR(dx), TENSOR(dy), const struct packed *w,
                          bool accumulate, struct error *e), dx, dy, w, accumulate, e)
WATCHED(gather_packed, (struct device *d, TENSOR(out), const struct packed *w, TENSOR(index),
                        struct error *e), out, w, index, e)
WATCHED(mlp, (struct device *d, TENSOR(out), TENSOR(x), const struct packed *w1,
              enum activation activation, const struct packed *w2, TENSOR(residual),
              struct error *e), out, x, w1, activation, w2, residual, e)
WATCHED(convolve, (struct device *d, TENSOR(out), TENSOR(x), const struct convolution_options *o,
                   const struct packed *w, struct error *e), out, x, o, w, e)
WATCHED(matmul, (struct device *d, TENSOR(out), TENSOR(a), TENSOR(b), TENSOR(bias), bool accumulate,
                 struct error *e), out, a, b, bias, accumulate, e)
WATCHED(combine, (struct device *d, TENSOR(out), float alpha, TENSOR(a), float beta, TENSOR(b),
                  struct error *e), out, alpha, a, beta, b, e)
WATCHED(layer_norm, (struct device *d, TENSOR(out), TENSOR(x), TENSOR(gamma), TENSOR(beta),
                     float eps, struct error *e), out, x, gamma, beta, eps, e)
WATCHED(layer_norm_backward, (struct device *d, TENSOR(dx), TENSOR(dgamma), TENSOR(dbeta),
                              TENSOR(x), TENSOR(gamma), TENSOR(dy), float eps, struct error *e),
        dx, dgamma, dbeta, x, gamma, dy, eps, e)
WATCHED(rms_norm, (struct device *d, TENSOR(out), TENSOR(x), TENSOR(gamma), float eps,
                   struct error *e), out, x, gamma, eps, e)
WATCHED(rms_norm_backward, (struct device *d, TENSOR(dx), TENSOR(dgamma), TENSOR(x), TENSOR(gamma),
                            TENSOR(dy), float eps, struct error *e), dx, dgamma, x, gamma, dy, eps, e)
WATCHED(rotary, (struct device *d, TENSOR(out), TENSOR(x), TENSOR(positions),
                 const struct rotary_options *o, struct error *e), out, x, positions, o, e)
WATCHED(attention, (struct device *d, TENSOR(out), TENSOR(log_sum_exp), TENSOR(q), TENSOR(k),
                    TENSOR(v), const struct attention_options *o, struct error *e),
        out, log_sum_exp, q, k, v, o, e)
WATCHED(attention_backward, (struct device *d, TENSOR(dq), TENSOR(dk), TENSOR(dv), TENSOR(drel_h),
                             TENSOR(drel_w), TENSOR(q), TENSOR(k), TENSOR(v), TENSOR(out),
                             TENSOR(log_sum_exp), TENSOR(dout), const struct attention_options *o,
                             struct error *e),
        dq, dk, dv, drel_h, drel_w, q, k, v, out, log_sum_exp, dout, o, e)
WATCHED(cross_entropy, (struct device *d, TENSOR(loss), TENSOR(dlogits), TENSOR(logits),
                        TENSOR(labels), float scale, struct error *e),
        loss, dlogits, logits, labels, scale, e)
WATCHED(classify, (struct device *d, TENSOR(loss), TENSOR(dx), TENSOR(dweight), TENSOR(dbias),
                   TENSOR(x), TENSOR(weight), TENSOR(bias), TENSOR(labels), float scale,
                   struct error *e), loss, dx, dweight, dbias, x, weight, bias, labels, scale, e)
WATCHED(classify_packed, (struct device *d, TENSOR(loss), TENSOR(dx), TENSOR(x),
                          const struct packed *w, TENSOR(labels), float scale, struct error *e),
        loss, dx, x, w, labels, scale, e)
WATCHED(dropout, (struct device *d, TENSOR(out), TENSOR(x), float share, uint64_t seed,
                  int64_t first, struct error *e), out, x, share, seed, first, e)
WATCHED(adamw, (struct device *d, TENSOR(weight), TENSOR(first_moment), TENSOR(second_moment),
                TENSOR(gradient), const struct adamw_step *step, struct error *e),
        weight, first_moment, second_moment, gradient, step, e)

#define EVERY(OP) \
    OP(upload) OP(download) OP(fill) OP(copy) OP(accumulate) OP(gather) OP(scatter_add) OP(im2col) \
    OP(im2col_backward) OP(resample) OP(resample_backward) OP(normalize_pixels) OP(linear) \
    OP(linear_backward) OP(gather_packed) OP(mlp) OP(convolve) OP(matmul) OP(add) OP(combine) \
    OP(multiply) OP(multiply_backward) OP(gelu) OP(gelu_backward) OP(quick_gelu) \
    OP(quick_gelu_backward) OP(silu) OP(silu_backward) OP(swiglu) OP(swiglu_backward) OP(sum_rows) \
    OP(layer_norm) OP(layer_norm_backward) OP(rms_norm) OP(rms_norm_backward) OP(softmax) \
    OP(softmax_backward) OP(top_k) OP(top_k_backward) OP(cosine) OP(cosine_backward) OP(rotary) \
    OP(attention) OP(attention_backward) OP(cross_entropy) OP(classify) OP(classify_packed) \
    OP(dropout) OP(square_sum) OP(adamw)
    /* clang-format on */

    /* ---- The backend
       ----------------------------------------------------------------------------- */

    static struct ops table;
static struct backend backend;

/* The device is the inner one's, but for its table. */
static int open_device(struct device **out, const struct backend *b, enum dtype compute,
                       struct error *e) {
    (void)b;
    int rc = device_open(out, watched.inner, compute, e);
    if (rc == 0) {
        watched.ops = (*out)->ops;
        table = *watched.ops;
#define ENTRY(name) table.name = watch_##name;
        EVERY(ENTRY)
        (*out)->ops = &table;
    }
    return rc;
}

const struct backend *watch_backend(const struct backend *inner) {
    if (watched.dry == NULL && dry_open(&watched.dry, inner, DTYPE_F32, NULL) < 0) {
        return NULL;
    }
    dry_trace(watched.dry, keep_last, NULL);
    watched.inner = inner;
    backend = *inner;
    backend.device_open = open_device;
    backend.team_open = NULL;
    return &backend;
}

void watch_start(int repeat) {
    watched.line_count = 0;
    watched.repeat = repeat;
}

void watch_stop(void) {
    watched.repeat = 0;
}

/* ---- What was seen --------------------------------------------------------------------------- */

struct watch_sum watch_total(void) {
    struct watch_sum all = {.calls = 0};
    for (int i = 0; i < watched.line_count; i++) {
        const struct watch_sum *s = &watched.lines[i].sum;
        all.calls += s->calls;
        all.operations += s->operations;
        all.bytes += s->bytes;
        all.seconds += s->seconds;
    }
    return all;
}

static int longest_first(const void *a, const void *b) {
    const double x = ((const struct line *)a)->sum.seconds,
                 y = ((const struct line *)b)->sum.seconds;
    return (x < y) - (x > y);
}

static void print_sizes(FILE *to, const struct dry_operation *o) {
    for (int i = 0; i < 4 && o->sizes[i] > 0; i++) {
        fprintf(to, "%s%" PRId64, i > 0 ? " x " : "", o->sizes[i]);
    }
}

void watch_print(FILE *to, const struct ceilings *c) {
    const struct watch_sum all = watch_total();
    qsort(watched.lines, (size_t)watched.line_count, sizeof *watched.lines, longest_first);
    fprintf(to,
            "| operation | sizes | calls | us each | of the time | TFLOP/s | GB/s | of its floor "
            "|\n|---|---|---|---|---|---|---|---|\n");
    for (int i = 0; i < watched.line_count; i++) {
        const struct line *l = &watched.lines[i];
        const double by_work = l->sum.operations / c->operations,
                     by_bytes = l->sum.bytes / c->bytes;
        const double floor = by_work > by_bytes ? by_work : by_bytes;
        fprintf(to, "| %s | ", l->operation.name);
        print_sizes(to, &l->operation);
        fprintf(to, " | %" PRId64 " | %.1f | %.1f%% | ", l->sum.calls,
                l->sum.seconds / (double)l->sum.calls * 1e6, 100 * l->sum.seconds / all.seconds);
        if (l->sum.operations > 0) {
            fprintf(to, "%.3g", l->sum.operations / l->sum.seconds * 1e-12);
        }
        fprintf(to, " | %.3g | ", l->sum.bytes / l->sum.seconds * 1e-9);
        if (l->operation.family != DRY_CROSSING) {
            fprintf(to, "%.0f%%", 100 * floor / l->sum.seconds);
        }
        fprintf(to, " |\n");
    }
}
