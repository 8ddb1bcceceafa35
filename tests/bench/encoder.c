/* encoder.c - how long pages take, beside the floor: the products alone at the measured rate.
 *
 *     bench-encoder --model FILE [--mode tiny] [--threads 2] [--repeat 3] [--f32] [--tokens
 * OUT.f32]
 *
 * Each thread encodes pages of its own, --batch of them together. Prints one JSON line: seconds a
 * page (wall time / pages), the rate of multiplications and additions, the share of the rate that a
 * single large product reaches in the same run, by wall and by processor time ("cpu_share": the one
 * to read on a machine that has other work), memory above the weights, and where the processor time
 * went (where.h). --tokens: the tokens of one page, raw F32, to be compared with those of another
 * program for the same page (page_of).
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "compress/cpu/level.h"
#include "compress/cpu/product.h"
#include "compress/encoder.h"
#include "render/mode.h"
#include "tests/bench/page.h"
#include "tests/bench/where.h"

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double now(void) {
    return seconds(CLOCK_MONOTONIC);
}

static void must(int rc, const struct error *e) {
    if (rc < 0) {
        fprintf(stderr, "bench-encoder: %s\n", e->text);
        exit(1);
    }
}

/* Multiplications and additions x 2 of the products and attentions of a page, as the network needs
 * them: windows without what they are padded with. */
static double operations(const struct encoder_config *c, int64_t side, int column_offsets) {
    double g = (double)side / (double)c->patch, n = g * g, dim = (double)c->dim, sum = 0;
    double w = (double)(c->window * c->window);
    sum += n * dim * (double)(c->patch * c->patch); /* of one channel: the page is grey */
    for (int64_t i = 0; i < c->depth; i++) {
        sum += n * (4 * dim * dim + 2 * dim * (double)c->mlp);
        sum += 2 * n * (c->global[i] ? n : w) * dim;
        sum += n * 2 * (c->global[i] ? g : (double)c->window) * dim;
    }
    double neck = (double)c->neck, net_2 = (double)c->net_2, net_3 = (double)c->net_3;
    sum += n * (dim * neck + 9 * neck * neck) + n / 4 * 9 * neck * net_2;
    double tokens = n / 16 * column_offsets, d = (double)c->clip_dim;
    sum += tokens * 9 * net_2 * net_3;
    sum += (double)c->clip_depth * (tokens + column_offsets) *
           (4 * d * d + 2 * d * (double)c->clip_mlp);
    sum += (double)c->clip_depth * 2 * (tokens + column_offsets) * (n / 16 + 1) * d;
    return 2 * (sum + tokens * 2 * d * (double)c->token_dim);
}

struct job {
    const struct encoder *encoder;
    struct encoder_shape shape;
    uint8_t *pixels;
    float *tokens;
    size_t token_count;
    int repeat;
    enum dtype compute;
    double rate, cpu_rate; /* of large products, operations a second of wall and processor time */
    pthread_barrier_t *barrier;
    double start, end, cpu; /* seconds; cpu: processor time of the repetitions */
    long peak;              /* KiB of the process, before the ceiling's second half */
    bool samples;           /* this one starts where.h's */
};

/* Rate of a product of the network's own shape, in the thread that will encode. */
/* Half of it before the pages, half after them. */
static void add_rate(struct job *j) {
    enum { ROWS = 256, IN = 768, OUT = 3072, RUNS = 200 };
    struct products *p;
    struct packed *w;
    struct error e;
    must(products_open(&p, level_choose(&e)->name, &e), &e);
    float *matrix = calloc((size_t)IN * OUT, sizeof *matrix), *x = calloc(ROWS * IN, sizeof *x);
    float *out = calloc((size_t)ROWS * OUT, sizeof *out);
    if (matrix == NULL || x == NULL || out == NULL) {
        exit(1);
    }
    must(product_pack(&w, p, matrix, DTYPE_F32, OUT, IN, NULL, j->compute, &e), &e);
    double start = 0, cpu = 0;
    for (int i = -20; i < RUNS; i++) {
        if (i == 0) {
            start = now();
            cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
        }
        must(product_run(p, out, DTYPE_F32, OUT, x, IN, ROWS, w, false, &e), &e);
    }
    const double done = 2.0 * ROWS * IN * OUT * RUNS;
    j->rate += done / (now() - start) / 2;
    j->cpu_rate += done / (seconds(CLOCK_THREAD_CPUTIME_ID) - cpu) / 2;
    product_packed_close(w);
    products_close(p);
    free(matrix);
    free(x);
    free(out);
}

static int run(struct job *j, struct encoder_session *s, struct error *e) {
    struct tensor pixels =
        tensor_of(j->pixels, DTYPE_U8, NULL,
                  TENSOR_SHAPE(j->shape.batch, j->shape.height, j->shape.width, 1));
    struct tensor tokens = tensor_vector(j->tokens, DTYPE_F32, NULL, (int64_t)j->token_count);
    return encoder_run(s, &tokens, &pixels, j->shape.column_offsets, e);
}

static long peak_kib(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void *encode(void *argument) {
    struct job *j = argument;
    struct encoder_session *s;
    struct error e;
    must(encoder_session_open(&s, j->encoder, &e), &e);
    must(run(j, s, &e), &e); /* makes tables and products */
    pthread_barrier_wait(j->barrier);
    add_rate(j);
    pthread_barrier_wait(j->barrier);
    if (j->samples) {
        where_start();
    }
    j->start = now();
    double cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < j->repeat; i++) {
        must(run(j, s, &e), &e);
    }
    j->end = now();
    j->cpu = seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
    pthread_barrier_wait(j->barrier);
    if (j->samples) {
        where_stop();
    }
    j->peak = peak_kib();
    add_rate(j);
    encoder_session_close(s);
    return NULL;
}

static void save(const char *path, const float *values, size_t count) {
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(values, sizeof *values, count, file) != count || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

enum { THREADS = 64 };

static void measure(const struct encoder *encoder, enum page_mode mode, int threads, int batch,
                    int repeat, enum dtype compute, const char *tokens_path) {
    struct job jobs[THREADS];
    pthread_t ids[THREADS];
    pthread_barrier_t barrier;
    struct error e;
    int64_t side = PAGE_SIZES[mode].side, rows, columns;
    struct encoder_shape shape = {batch, side, side, PAGE_SIZES[mode].column_offsets};
    must(encoder_grid(encoder, &shape, &rows, &columns, &e), &e);
    size_t count = (size_t)(rows * columns * encoder_config(encoder)->token_dim);
    size_t area = (size_t)(side * side);
    uint8_t *pixels = malloc((size_t)batch * area);
    long before = peak_kib();
    pthread_barrier_init(&barrier, NULL, (unsigned)threads);
    for (int i = 0; i < batch; i++) {
        page_of(pixels + (size_t)i * area, (int)side);
    }
    for (int i = 0; i < threads; i++) {
        jobs[i] = (struct job){.encoder = encoder,
                               .shape = shape,
                               .pixels = pixels,
                               .tokens = malloc((size_t)batch * count * sizeof(float)),
                               .token_count = (size_t)batch * count,
                               .repeat = repeat,
                               .compute = compute,
                               .samples = i == 0,
                               .barrier = &barrier};
        pthread_create(&ids[i], NULL, encode, &jobs[i]);
    }
    double start = 1e300, end = 0, rate = 0, cpu = 0, cpu_rate = 0;
    for (int i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        start = jobs[i].start < start ? jobs[i].start : start;
        end = jobs[i].end > end ? jobs[i].end : end;
        rate += jobs[i].rate;
        cpu += jobs[i].cpu;
        cpu_rate += jobs[i].cpu_rate / threads;
    }
    double each = (end - start) / (repeat * threads * batch);
    double page = operations(encoder_config(encoder), side, shape.column_offsets),
           done = page / each;
    double cpu_done = page * repeat * threads * batch / cpu;
    printf(
        "{\"mode\": \"%s\", \"dtype\": \"%s\", \"level\": \"%s\", \"threads\": %d, \"batch\": %d, "
        "\"seconds_per_page\": %.4f, \"gflops\": %.0f, \"product_gflops\": %.0f, "
        "\"share\": %.3f, \"cpu_share\": %.3f, \"mib_per_page\": %.0f, \"tokens\": %" PRId64
        ", \"where\": ",
        MODE_NAMES[mode], compute == DTYPE_BF16 ? "bf16" : "f32", level_choose(&e)->name, threads,
        batch, each, done * 1e-9, rate * 1e-9, done / rate, cpu_done / cpu_rate,
        (double)(jobs[0].peak - before) / 1024 / threads / batch, rows * columns);
    where_print(stdout);
    printf("}\n");
    if (tokens_path != NULL) {
        save(tokens_path, jobs[0].tokens, count);
    }
    for (int i = 0; i < threads; i++) {
        free(jobs[i].tokens);
    }
    free(pixels);
    pthread_barrier_destroy(&barrier);
}

int main(int argc, char **argv) {
    static const struct option OPTIONS[] = {{"model", 1, NULL, 'm'},   {"mode", 1, NULL, 'M'},
                                            {"threads", 1, NULL, 't'}, {"batch", 1, NULL, 'b'},
                                            {"repeat", 1, NULL, 'r'},  {"f32", 0, NULL, 'f'},
                                            {"tokens", 1, NULL, 'o'},  {0}};
    const char *model = NULL, *tokens = NULL;
    int mode = MODE_TINY, threads = 1, batch = 1, repeat = 3, c;
    struct error e;
    const struct backend *cpu;
    must(backend_open(&cpu, "cpu", &e), &e);
    enum dtype compute = cpu->has_bf16() ? DTYPE_BF16 : DTYPE_F32;
    struct encoder *encoder;
    for (c = getopt_long(argc, argv, "", OPTIONS, NULL); c != -1;
         c = getopt_long(argc, argv, "", OPTIONS, NULL)) {
        switch (c) {
        case 'm':
            model = optarg;
            break;
        case 'M':
            mode = mode_named(optarg);
            break;
        case 't':
            threads = (int)strtol(optarg, NULL, 10);
            break;
        case 'b':
            batch = (int)strtol(optarg, NULL, 10);
            break;
        case 'r':
            repeat = (int)strtol(optarg, NULL, 10);
            break;
        case 'f':
            compute = DTYPE_F32;
            break;
        case 'o':
            tokens = optarg;
            break;
        default:
            return 2;
        }
    }
    if (model == NULL || mode < 0 || mode == MODE_GUNDAM || threads < 1 || threads > THREADS ||
        batch < 1) {
        fprintf(stderr, "see the head of tests/bench/encoder.c\n");
        return 2;
    }
    must(encoder_open(&encoder, model, NULL, cpu, compute, &e), &e);
    measure(encoder, (enum page_mode)mode, threads, batch, repeat, compute, tokens);
    encoder_close(encoder);
    return 0;
}
