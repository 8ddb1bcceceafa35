/* attention.c - how fast attention and its gradients are, beside a single large product.
 *
 *     bench-attention [--f32] [--repeat 20]
 *
 * One JSON line for each shape that networks have: microseconds of processor time for a head of a
 * sequence, the best of --repeat; the rate of multiplications and additions that attention needs,
 * two products forward and five backward; its share of the rate of a product of
 * 1024 x 1024 by 1024 x 1024 in the same run. */
#define _GNU_SOURCE
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "compress/ops.h"

static struct device *device;
static struct error failure;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(int rc) {
    if (rc < 0) {
        fprintf(stderr, "bench-attention: %s\n", failure.text);
        exit(1);
    }
}

static struct tensor numbers(enum dtype type, int64_t rows, int64_t width) {
    struct tensor host = tensor_matrix(NULL, DTYPE_F32, NULL, rows, width), t = host, x = host;
    x.type = type;
    float *values = malloc(tensor_bytes(&host));
    if (values == NULL) {
        exit(1);
    }
    for (int64_t i = 0; i < rows * width; i++) {
        values[i] = (float)(i * 7919 % 1009) / 504 - 1;
    }
    host.data = values;
    must(device->ops->alloc(device, &t, &failure));
    must(device->ops->alloc(device, &x, &failure));
    must(device->ops->upload(device, &t, &host, &failure));
    must(device->ops->copy(device, &x, &t, &failure));
    device->ops->release(device, &t);
    free(values);
    return x;
}

/* Operations a second of a large product. */
static double product_rate(int repeat) {
    enum { SIDE = 1024 };
    struct tensor a = numbers(device->compute, SIDE, SIDE),
                  b = numbers(device->compute, SIDE, SIDE);
    struct tensor out = numbers(DTYPE_F32, SIDE, SIDE);
    double best = 1e9;
    for (int i = 0; i < repeat; i++) {
        double start = now();
        must(device->ops->matmul(device, &out, &a, &b, NULL, false, &failure));
        must(device->ops->synchronize(device, &failure));
        best = now() - start < best ? now() - start : best;
    }
    device->ops->release(device, &a);
    device->ops->release(device, &b);
    device->ops->release(device, &out);
    return 2.0 * SIDE * SIDE * SIDE / best;
}

struct shape {
    const char *name;
    int64_t batch, tokens, heads, kv_heads, dim, side /* of a grid, or 0 */;
    bool causal;
};

static const struct shape SHAPES[] = {
    {"windows of nano", 16, 64, 3, 3, 64, 8, false},
    {"global stage at tiny", 1, 65, 12, 12, 64, 0, false},
    {"global stage at base", 1, 257, 12, 12, 64, 0, false},
    {"windows of full size", 9, 196, 12, 12, 64, 14, false},
    {"whole grid at tiny", 1, 1024, 3, 3, 64, 32, false},
    {"whole grid at base", 1, 4096, 1, 1, 64, 64, false},
    {"decoder", 1, 2048, 8, 2, 64, 0, true},
    {"decoder, long", 1, 8192, 1, 1, 64, 0, true},
};

struct problem {
    struct tensor qkv, dqkv, out, dout, logs, rel, drel_h, drel_w;
    struct attention_options options;
};

static void problem_open(struct problem *p, const struct shape *s) {
    int64_t rows = s->batch * s->tokens, width = s->heads * s->dim;
    int64_t all = (s->heads + 2 * s->kv_heads) * s->dim, table = s->side > 0 ? 2 * s->side - 1 : 1;
    *p = (struct problem){.qkv = numbers(DTYPE_F32, rows, all),
                          .dqkv = numbers(DTYPE_F32, rows, all),
                          .out = numbers(DTYPE_F32, rows, width),
                          .dout = numbers(DTYPE_F32, rows, width),
                          .logs = numbers(DTYPE_F32, s->batch * s->heads, s->tokens),
                          .rel = numbers(DTYPE_F32, table, s->dim),
                          .drel_h = numbers(DTYPE_F32, table, s->dim),
                          .drel_w = numbers(DTYPE_F32, table, s->dim),
                          .options = {.causal = s->causal, .height = s->side, .width = s->side}};
    if (s->side > 0) {
        p->options.rel_h = p->options.rel_w = &p->rel;
    }
}

static void problem_close(struct problem *p) {
    struct tensor *all[] = {&p->qkv,  &p->dqkv, &p->out,    &p->dout,
                            &p->logs, &p->rel,  &p->drel_h, &p->drel_w};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        device->ops->release(device, all[i]);
    }
}

/* Seconds of the forward and of the backward pass, the best of both. */
static void measure(struct problem *p, const struct shape *s, int repeat, double *forward,
                    double *backward) {
    int64_t k_at = s->heads * s->dim, v_at = k_at + s->kv_heads * s->dim;
    struct tensor q = tensor_heads(&p->qkv, s->batch, 0, s->heads, s->dim);
    struct tensor k = tensor_heads(&p->qkv, s->batch, k_at, s->kv_heads, s->dim);
    struct tensor v = tensor_heads(&p->qkv, s->batch, v_at, s->kv_heads, s->dim);
    struct tensor dq = tensor_heads(&p->dqkv, s->batch, 0, s->heads, s->dim);
    struct tensor dk = tensor_heads(&p->dqkv, s->batch, k_at, s->kv_heads, s->dim);
    struct tensor dv = tensor_heads(&p->dqkv, s->batch, v_at, s->kv_heads, s->dim);
    struct tensor out = tensor_heads(&p->out, s->batch, 0, s->heads, s->dim);
    struct tensor dout = tensor_heads(&p->dout, s->batch, 0, s->heads, s->dim);
    bool biased = s->side > 0;
    *forward = *backward = 1e9;
    for (int i = 0; i < repeat; i++) {
        double start = now();
        must(device->ops->attention(device, &out, &p->logs, &q, &k, &v, &p->options, &failure));
        must(device->ops->synchronize(device, &failure));
        double middle = now();
        must(device->ops->attention_backward(device, &dq, &dk, &dv, biased ? &p->drel_h : NULL,
                                             biased ? &p->drel_w : NULL, &q, &k, &v, &out, &p->logs,
                                             &dout, &p->options, &failure));
        must(device->ops->synchronize(device, &failure));
        double end = now();
        *forward = middle - start < *forward ? middle - start : *forward;
        *backward = end - middle < *backward ? end - middle : *backward;
    }
}

int main(int argc, char **argv) {
    static const struct option OPTIONS[] = {
        {"f32", no_argument, NULL, 'f'}, {"repeat", required_argument, NULL, 'r'}, {0}};
    const struct backend *backend;
    enum dtype compute;
    int option, repeat = 20;
    bool f32 = false;
    for (option = getopt_long(argc, argv, "", OPTIONS, NULL); option != -1;
         option = getopt_long(argc, argv, "", OPTIONS, NULL)) {
        f32 = f32 || option == 'f';
        repeat = option == 'r' ? (int)strtol(optarg, NULL, 10) : repeat;
        if (option == '?' || repeat < 1) {
            return 2;
        }
    }
    must(backend_open(&backend, "auto", &failure));
    must(backend_compute(backend, f32 ? "f32" : "auto", &compute, &failure));
    must(device_open(&device, backend, compute, &failure));
    double rate = product_rate(repeat);
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        const struct shape *s = &SHAPES[i];
        struct problem p;
        double forward, backward, heads = (double)(s->batch * s->heads);
        problem_open(&p, s);
        measure(&p, s, repeat, &forward, &backward);
        problem_close(&p);
        double product = heads * 2 * (double)(s->tokens * s->tokens * s->dim) / (s->causal ? 2 : 1);
        printf("{\"shape\":\"%s\",\"tokens\":%" PRId64 ",\"compute\":\"%s\",\"forward_us\":%.1f,"
               "\"backward_us\":%.1f,\"forward_gflops\":%.0f,\"backward_gflops\":%.0f,"
               "\"forward_share\":%.3f,\"backward_share\":%.3f}\n",
               s->name, s->tokens, dtype_name(compute), forward / heads * 1e6,
               backward / heads * 1e6, 2 * product / forward * 1e-9, 5 * product / backward * 1e-9,
               2 * product / forward / rate, 5 * product / backward / rate);
        fflush(stdout);
    }
    device_close(device);
    return 0;
}
