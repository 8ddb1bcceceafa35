/* products.c - how fast products with frozen matrices and the thin ones of adapters are, beside the
 * rate of one large product and the bandwidth of memory in the same run.
 *
 *     bench-products [--f32] [--repeat 20]
 *
 * One JSON line each, of processor time of one thread, the best of --repeat. Matrices are those of
 * SmolLM2-135M. Of a few rows: bytes of weights that are read a second, of all of the model's
 * matrices one after the other, so that none is in the cache; and their share of the bandwidth. Of
 * many: operations a second, and their share of the rate of the large product. */
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
static int repeat = 20;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(int rc) {
    if (rc < 0) {
        fprintf(stderr, "bench-products: %s\n", failure.text);
        exit(1);
    }
}

static void *memory(size_t bytes) {
    void *m = malloc(bytes);
    if (m == NULL) {
        fputs("bench-products: out of memory\n", stderr);
        exit(1);
    }
    return m;
}

static struct tensor numbers(enum dtype type, int64_t rows, int64_t width) {
    struct tensor host = tensor_matrix(NULL, DTYPE_F32, NULL, rows, width), t = host, x = host;
    x.type = type;
    float *values = memory(tensor_bytes(&host));
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

/* Seconds of the fastest call. */
static double best_of(void (*call)(void *), void *context) {
    double best = 1e9;
    for (int i = 0; i < repeat; i++) {
        const double start = now();
        call(context);
        const double took = now() - start;
        best = took < best ? took : best;
    }
    return best;
}

/* ---- What is compared with ------------------------------------------------------------------- */

struct buffer_of {
    const uint64_t *words;
    size_t count;
    uint64_t sum;
};

static void read_all(void *context) {
    struct buffer_of *b = context;
    uint64_t sums[8] = {0};
    for (size_t i = 0; i + 8 <= b->count; i += 8) {
        for (int k = 0; k < 8; k++) {
            sums[k] += b->words[i + (size_t)k];
        }
    }
    for (int k = 0; k < 8; k++) {
        b->sum += sums[k];
    }
}

/* Bytes a second that one thread reads of memory. */
static double bandwidth(void) {
    enum { BYTES = 256 << 20 };
    uint64_t *words = memory(BYTES);
    memset(words, 1, BYTES);
    struct buffer_of b = {.words = words, .count = BYTES / sizeof *words};
    const double took = best_of(read_all, &b);
    free(words);
    return b.sum != 0 ? BYTES / took : 0;
}

struct multiplication {
    struct tensor out, a, b;
    bool accumulate;
};

static void multiply(void *context) {
    const struct multiplication *m = context;
    must(device->ops->matmul(device, &m->out, &m->a, &m->b, NULL, m->accumulate, &failure));
}

static double large_product(void) {
    enum { SIDE = 1024 };
    struct multiplication m = {.out = numbers(DTYPE_F32, SIDE, SIDE),
                               .a = numbers(device->compute, SIDE, SIDE),
                               .b = numbers(device->compute, SIDE, SIDE)};
    const double took = best_of(multiply, &m);
    device->ops->release(device, &m.out);
    device->ops->release(device, &m.a);
    device->ops->release(device, &m.b);
    return 2.0 * SIDE * SIDE * SIDE / took;
}

/* ---- Frozen matrices ------------------------------------------------------------------------- */

struct kind {
    const char *name;
    struct frozen_matrix like;
};
static const struct kind KINDS[] = {
    {"f32", {.format = FROZEN_F32}},
    {"bf16", {.format = FROZEN_BF16}},
    {"int8", {.format = FROZEN_I8, .scale_type = DTYPE_F32}},
    {"int8 in blocks", {.format = FROZEN_I8, .block = 32, .scale_type = DTYPE_F16}},
    {"int4", {.format = FROZEN_U4, .block = 32, .scale_type = DTYPE_F16}},
};
enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };

static struct frozen_matrix matrix_of(const struct kind *k, int64_t outputs, int64_t inputs) {
    struct frozen_matrix m = k->like;
    m.outputs = outputs;
    m.inputs = inputs;
    m.block = m.format == FROZEN_I8 && m.block == 0 ? inputs : m.block;
    const size_t bytes = frozen_value_bytes(&m);
    unsigned char *values = memory(bytes);
    for (size_t i = 0; i < bytes;
         i++) { /* 0x38 in every second byte: small numbers in any format */
        values[i] = (unsigned char)(m.format == FROZEN_U4 || i % 2 == 0 ? i * 131 >> 3 : 0x38);
    }
    m.values = values;
    if (m.format == FROZEN_I8 || m.format == FROZEN_U4) {
        const size_t scales = frozen_bytes(&m) - bytes;
        unsigned char *s = memory(scales);
        memset(s, 0x28, scales);
        m.scales = s;
        m.minima = m.format == FROZEN_U4 ? s : NULL;
    }
    return m;
}

static void matrix_free(struct frozen_matrix *m) {
    free((void *)(uintptr_t)m->values);
    free((void *)(uintptr_t)m->scales);
}

/* The seven matrices of a block, in as many blocks as the model has. */
enum { SIDES = 7, BLOCKS = 30 };
static const int64_t SHAPES[SIDES][2] = {{576, 576},  {192, 576},  {192, 576}, {576, 576},
                                         {1536, 576}, {1536, 576}, {576, 1536}};

struct model {
    struct frozen_matrix matrices[BLOCKS * SIDES];
    struct packed *packed[BLOCKS * SIDES];
    struct tensor x, y;
    int count;
};

static void forward(void *context) {
    const struct model *m = context;
    for (int i = 0; i < m->count; i++) {
        const struct tensor x = tensor_column_range(&m->x, 0, m->packed[i]->inputs);
        const struct tensor y = tensor_column_range(&m->y, 0, m->packed[i]->outputs);
        must(device->ops->linear(device, &y, &x, m->packed[i], ACTIVATION_NONE, NULL, &failure));
    }
}

static void backward(void *context) {
    const struct model *m = context;
    for (int i = 0; i < m->count; i++) {
        const struct tensor dx = tensor_column_range(&m->x, 0, m->packed[i]->inputs);
        const struct tensor dy = tensor_column_range(&m->y, 0, m->packed[i]->outputs);
        must(device->ops->linear_backward(device, &dx, &dy, m->packed[i], true, &failure));
    }
}

static void time_model(const struct kind *k, double bytes_rate, double product_rate) {
    struct model m = {.count = BLOCKS * SIDES};
    size_t bytes = 0;
    for (int i = 0; i < m.count; i++) {
        m.matrices[i] = matrix_of(k, SHAPES[i % SIDES][0], SHAPES[i % SIDES][1]);
        must(device->ops->pack_frozen(device, &m.packed[i], &m.matrices[i], &failure));
        bytes += frozen_bytes(&m.matrices[i]);
    }
    static const int64_t FEW[] = {1, 2, 4, 8};
    for (int i = 0; i < 4; i++) {
        m.x = numbers(DTYPE_F32, FEW[i], 1536);
        m.y = numbers(DTYPE_F32, FEW[i], 1536);
        const double took = best_of(forward, &m);
        printf("{\"matrices\": \"%s\", \"rows\": %" PRId64
               ", \"ms\": %.3f, \"gb_per_s\": %.2f, \"of_memory\": %.2f}\n",
               k->name, FEW[i], took * 1e3, (double)bytes / took / 1e9,
               (double)bytes / took / bytes_rate);
        fflush(stdout);
        device->ops->release(device, &m.x);
        device->ops->release(device, &m.y);
    }
    m.count = SIDES;
    double operations = 0;
    for (int i = 0; i < SIDES; i++) {
        operations += 2.0 * (double)(SHAPES[i][0] * SHAPES[i][1]);
    }
    static const int64_t MANY[] = {16, 64, 512, 2048};
    for (int i = 0; i < 4; i++) {
        m.x = numbers(device->compute, MANY[i], 1536);
        m.y = numbers(device->compute, MANY[i], 1536);
        const double forth = operations * (double)MANY[i] / best_of(forward, &m);
        device->ops->release(device, &m.x);
        m.x = numbers(DTYPE_F32, MANY[i], 1536);
        const double back = operations * (double)MANY[i] / best_of(backward, &m);
        printf("{\"matrices\": \"%s\", \"rows\": %" PRId64
               ", \"forward_gflops\": %.1f, \"share\": %.2f, \"backward_gflops\": %.1f, "
               "\"backward_share\": %.2f}\n",
               k->name, MANY[i], forth / 1e9, forth / product_rate, back / 1e9,
               back / product_rate);
        fflush(stdout);
        device->ops->release(device, &m.x);
        device->ops->release(device, &m.y);
    }
    for (int i = 0; i < BLOCKS * SIDES; i++) {
        device->ops->packed_close(m.packed[i]);
        matrix_free(&m.matrices[i]);
    }
}

/* ---- Thin products --------------------------------------------------------------------------- */

static void time_thin(const char *name, struct multiplication *m, double product_rate) {
    const double operations = 2.0 * (double)(tensor_count(&m->out) * tensor_width(&m->a));
    const double took = best_of(multiply, m);
    printf("{\"thin\": \"%s\", \"us\": %.1f, \"gflops\": %.1f, \"share\": %.2f}\n", name,
           took * 1e6, operations / took / 1e9, operations / took / product_rate);
    fflush(stdout);
}

static void time_thins(double product_rate) {
    enum { ROWS = 512, INNER = 576, OUTER = 1536, RANK = 16 };
    const enum dtype type = device->compute;
    struct tensor x = numbers(type, ROWS, INNER), h = numbers(type, ROWS, RANK);
    struct tensor a = numbers(type, RANK, INNER), b = numbers(type, OUTER, RANK);
    struct tensor y = numbers(type, ROWS, OUTER), da = numbers(DTYPE_F32, RANK, INNER);
    struct tensor db = numbers(DTYPE_F32, OUTER, RANK), dh = numbers(DTYPE_F32, ROWS, RANK);
    struct tensor dx = numbers(DTYPE_F32, ROWS, INNER);
    time_thin("h = x A^T", &(struct multiplication){h, x, tensor_transpose(&a), false},
              product_rate);
    time_thin("y = h B^T", &(struct multiplication){y, h, tensor_transpose(&b), false},
              product_rate);
    time_thin("dh = dy B", &(struct multiplication){dh, y, b, false}, product_rate);
    time_thin("dB += dy^T h", &(struct multiplication){db, tensor_transpose(&y), h, true},
              product_rate);
    time_thin("dA += dh^T x", &(struct multiplication){da, tensor_transpose(&h), x, true},
              product_rate);
    time_thin("dx += dh A", &(struct multiplication){dx, h, a, true}, product_rate);
    struct tensor *all[] = {&x, &h, &a, &b, &y, &da, &db, &dh, &dx};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        device->ops->release(device, all[i]);
    }
}

int main(int argc, char **argv) {
    static const struct option OPTIONS[] = {{"f32", no_argument, NULL, 'f'},
                                            {"repeat", required_argument, NULL, 'r'},
                                            {NULL, 0, NULL, 0}};
    const struct backend *cpu = NULL;
    bool f32 = false;
    for (int c; (c = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
        if (c == 'f') {
            f32 = true;
        } else if (c == 'r') {
            repeat = (int)strtol(optarg, NULL, 10);
        } else {
            return 2;
        }
    }
    must(backend_open(&cpu, "cpu", &failure));
    must(device_open(&device, cpu, !f32 && cpu->has_bf16() ? DTYPE_BF16 : DTYPE_F32, &failure));
    const double bytes_rate = bandwidth(), product_rate = large_product();
    printf("{\"memory_gb_per_s\": %.2f, \"product_gflops\": %.1f}\n", bytes_rate / 1e9,
           product_rate / 1e9);
    time_thins(product_rate);
    for (int i = 0; i < KIND_COUNT; i++) {
        time_model(&KINDS[i], bytes_rate, product_rate);
    }
    device_close(device);
    return 0;
}
