/* ceiling.c - what a machine can do at most: the floors that other figures stand beside.
 *
 *     bench-ceiling [--threads 2] [--repeat 10]
 *
 * Prints a JSON line: operations a second of one product of 2048 x 2048 by 2048 x 2048 in BF16, or
 * in F32 where the processor has no such products, shared by all threads; bytes a second that these
 * threads read from memory, each its own 256 MB. Wall time, the best of --repeat. */
#define _GNU_SOURCE
#include <getopt.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compress/ops.h"
#include "store/clock.h"

enum { SIDE = 2048, BYTES = 256 << 20, MOST_THREADS = 256 };

static void must(int rc, const struct error *e) {
    if (rc < 0) {
        fprintf(stderr, "bench-ceiling: %s\n", e->text);
        exit(1);
    }
}

static double product_rate(const struct backend *b, enum dtype compute, int threads, int repeat) {
    struct device *d = NULL;
    struct error e;
    struct tensor x[3];
    double best = 1e9;
    must(device_open_team(&d, b, compute, threads, &e), &e);
    for (int i = 0; i < 3; i++) {
        x[i] = tensor_matrix(NULL, i == 2 ? DTYPE_F32 : compute, NULL, SIDE, SIDE);
        must(d->ops->alloc(d, &x[i], &e), &e);
        must(d->ops->fill(d, &x[i], 0.01f, &e), &e);
    }
    for (int i = 0; i < repeat; i++) {
        const double start = clock_seconds();
        must(d->ops->matmul(d, &x[2], &x[0], &x[1], NULL, false, &e), &e);
        const double took = clock_seconds() - start;
        best = took < best ? took : best;
    }
    for (int i = 0; i < 3; i++) {
        d->ops->release(d, &x[i]);
    }
    device_close(d);
    return 2.0 * SIDE * SIDE * SIDE / best;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

struct reader {
    pthread_t thread;
    pthread_barrier_t *barrier;
    int repeat;
    double best; /* seconds of all, between barriers */
    uint64_t sum;
};

static void *read_memory(void *argument) {
    struct reader *r = argument;
    uint64_t *numbers = malloc(BYTES);
    if (numbers == NULL) {
        exit(1);
    }
    memset(numbers, 1, BYTES);
    r->best = 1e9;
    for (int i = 0; i < r->repeat; i++) {
        pthread_barrier_wait(r->barrier);
        const double start = clock_seconds();
        uint64_t sums[32] = {0};
        for (size_t k = 0; k < BYTES / sizeof *numbers; k += 32) {
            for (size_t j = 0; j < 32; j++) {
                sums[j] += numbers[k + j];
            }
        }
        pthread_barrier_wait(r->barrier);
        const double took = clock_seconds() - start;
        r->best = took < r->best ? took : r->best;
        for (size_t j = 0; j < 32; j++) {
            r->sum += sums[j];
        }
    }
    free(numbers);
    return NULL;
}

static double read_rate(int threads, int repeat) {
    static struct reader readers[MOST_THREADS];
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++) {
        readers[i] = (struct reader){.barrier = &barrier, .repeat = repeat};
        if (pthread_create(&readers[i].thread, NULL, read_memory, &readers[i]) != 0) {
            exit(1);
        }
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(readers[i].thread, NULL);
    }
    pthread_barrier_destroy(&barrier);
    return (double)threads * BYTES / readers[0].best;
}

int main(int argc, char **argv) {
    static const struct option OPTIONS[] = {
        {"threads", 1, NULL, 't'}, {"repeat", 1, NULL, 'r'}, {0}};
    const struct backend *b = NULL;
    enum dtype compute;
    struct error e;
    long threads = 2, repeat = 10;
    for (int c = getopt_long(argc, argv, "", OPTIONS, NULL); c != -1;
         c = getopt_long(argc, argv, "", OPTIONS, NULL)) {
        const long value = c != '?' ? strtol(optarg, NULL, 10) : 0;
        if (value < 1 || value > MOST_THREADS) {
            fprintf(stderr, "see the head of tests/bench/ceiling.c\n");
            return 2;
        }
        *(c == 't' ? &threads : &repeat) = value;
    }
    must(backend_open(&b, "cpu", &e), &e);
    must(backend_compute(b, "auto", &compute, &e), &e);
    const double product = product_rate(b, compute, (int)threads, (int)repeat);
    printf("{\"threads\": %ld, \"product_gflops\": %.1f, \"read_gbytes\": %.2f}\n", threads,
           product * 1e-9, read_rate((int)threads, (int)repeat) * 1e-9);
    return 0;
}
