/* gpu.c - pages a second on any device, and where their time goes: beside one large product and one
 * large copy in the same run.
 *
 *     bench-gpu (--model FILE | --config deepencoder) [--device cuda] [--modes tiny,base,hifi]
 *               [--batches 1,4,16] [--seconds 1] [--operations] [--f32] [--peak TFLOP/s]
 *               [--bandwidth GB/s]
 *
 * --config: random weights, in a file that is removed again. Prints Markdown: for each mode and
 * batch pages a second from pixels of the host to tokens of the host, one batch after the other,
 * and the rate of the multiplications and additions that the network needs, as the dry device
 * counts them (compress/dry.h). --operations: for each mode, at the last batch, a table of the
 * operations, each timed by itself (watch.h). Shares are of the measured ceilings or, with --peak
 * and --bandwidth, of these. */
#define _GNU_SOURCE
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compress/device_buffer.h"
#include "compress/encoder.h"
#include "compress/model.h"
#include "render/mode.h"
#include "store/clock.h"
#include "tests/bench/ceilings.h"
#include "tests/bench/page.h"

enum { BATCHES = 16, REPEAT = 10 /* of an operation that is timed */ };

struct options {
    const char *model, *config, *device;
    bool modes[MODE_GUNDAM], operations, f32;
    long batches[BATCHES];
    int batch_count;
    double seconds, peak, bandwidth; /* 0: as measured */
};

/* ---- A batch of pages ------------------------------------------------------------------------ */

struct pages {
    struct encoder_session *session;
    struct host_buffer pixel_memory, token_memory; /* as the pipeline has them */
    struct tensor pixels, tokens;                  /* of the host */
    int column_offsets;
};

static void pages_open(struct pages *p, const struct encoder *encoder, enum page_mode mode,
                       int64_t batch) {
    const int64_t side = PAGE_SIZES[mode].side;
    const struct encoder_shape shape = {batch, side, side, PAGE_SIZES[mode].column_offsets};
    const struct backend *b = encoder_backend(encoder);
    struct error e;
    int64_t rows, columns;
    *p = (struct pages){.column_offsets = shape.column_offsets};
    must(encoder_grid(encoder, &shape, &rows, &columns, &e), &e);
    must(encoder_session_open(&p->session, encoder, &e), &e);
    const int64_t dim = encoder_config(encoder)->token_dim, pixels = batch * side * side;
    const int64_t tokens = batch * rows * columns * dim;
    must(host_buffer_reserve(&p->pixel_memory, b, (size_t)pixels, 1, &e), &e);
    must(host_buffer_reserve(&p->token_memory, b, (size_t)tokens, sizeof(float), &e), &e);
    for (int64_t i = 0; i < batch; i++) {
        page_of((uint8_t *)p->pixel_memory.data + i * side * side, (int)side);
    }
    p->pixels = tensor_of(p->pixel_memory.data, DTYPE_U8, NULL, TENSOR_SHAPE(batch, side, side, 1));
    p->tokens = tensor_of(p->token_memory.data, DTYPE_F32, NULL,
                          TENSOR_SHAPE(1, batch, rows * columns, dim));
}

static void pages_close(struct pages *p, const struct encoder *encoder) {
    host_buffer_release(&p->pixel_memory, encoder_backend(encoder));
    host_buffer_release(&p->token_memory, encoder_backend(encoder));
    encoder_session_close(p->session);
}

static void encode(struct pages *p) {
    struct error e;
    must(encoder_run(p->session, &p->tokens, &p->pixels, p->column_offsets, &e), &e);
}

/* Seconds a batch: the mean of as many as fit into `least`. */
static double time_of(struct pages *p, double least) {
    const double started = clock_seconds();
    double seconds = 0;
    int64_t runs = 0;
    while (runs == 0 || seconds < least) {
        encode(p);
        runs++;
        seconds = clock_seconds() - started;
    }
    return seconds / (double)runs;
}

/* ---- Tables ---------------------------------------------------------------------------------- */

static void measure(const struct encoder *encoder, const struct options *o, enum page_mode mode,
                    const struct ceilings *c) {
    printf("\n| %s, batch | pages/s | ms a batch | calls | GFLOP a page | TFLOP/s | of the ceiling "
           "|\n|---|---|---|---|---|---|---|\n",
           MODE_NAMES[mode]);
    for (int i = 0; i < o->batch_count; i++) {
        const bool last = i + 1 == o->batch_count;
        const double batch = (double)o->batches[i];
        struct pages p;
        pages_open(&p, encoder, mode, o->batches[i]);
        encode(&p); /* makes tables, takes memory */
        const double seconds = time_of(&p, o->seconds);
        watch_start(last && o->operations ? REPEAT : 1);
        encode(&p);
        watch_stop();
        const struct watch_sum all = watch_total();
        printf("| %ld | %.1f | %.2f | %" PRId64 " | %.1f | %.1f | %.1f%% |\n", o->batches[i],
               batch / seconds, seconds * 1e3, all.calls, all.operations / batch * 1e-9,
               all.operations / seconds * 1e-12, 100 * all.operations / seconds / c->operations);
        if (last && o->operations) {
            printf("\nIts operations, %.2f ms together:\n\n", all.seconds * 1e3);
            watch_print(stdout, c);
        }
        fflush(stdout);
        pages_close(&p, encoder);
    }
}

static void run(const struct options *o, const char *model) {
    struct error e;
    const struct backend *inner;
    struct encoder *encoder;
    enum dtype compute;
    must(backend_open(&inner, o->device, &e), &e);
    must(backend_compute(inner, o->f32 ? "f32" : "auto", &compute, &e), &e);
    const struct ceilings measured = ceilings_measure(inner, compute);
    const struct ceilings c = ceilings_or(&measured, o->peak, o->bandwidth);
    const double started = clock_seconds();
    must(encoder_open(&encoder, model, NULL, watch_backend(inner), compute, &e), &e);
    printf(
        "\n%s on %s, %s, loaded in %.1f s. A large product %.1f TFLOP/s, a large copy %.0f GB/s; "
        "ceilings %.1f and %.0f.\n",
        encoder_config(encoder)->name, inner->name, dtype_name(compute), clock_seconds() - started,
        measured.operations * 1e-12, measured.bytes * 1e-9, c.operations * 1e-12, c.bytes * 1e-9);
    fflush(stdout);
    for (int mode = 0; mode < MODE_GUNDAM; mode++) {
        if (o->modes[mode]) {
            measure(encoder, o, (enum page_mode)mode, &c);
        }
    }
    encoder_close(encoder);
}

/* ---- Options --------------------------------------------------------------------------------- */

static bool parse_modes(struct options *o, char *list) {
    char *rest = NULL;
    memset(o->modes, 0, sizeof o->modes);
    for (char *name = strtok_r(list, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest)) {
        const int mode = mode_named(name);
        if (mode < 0 || mode >= MODE_GUNDAM) {
            return false;
        }
        o->modes[mode] = true;
    }
    return true;
}

static bool parse(struct options *o, int argc, char **argv) {
    static const struct option OPTIONS[] = {{"model", 1, NULL, 'm'},
                                            {"config", 1, NULL, 'c'},
                                            {"device", 1, NULL, 'd'},
                                            {"modes", 1, NULL, 'M'},
                                            {"batches", 1, NULL, 'b'},
                                            {"seconds", 1, NULL, 's'},
                                            {"peak", 1, NULL, 'p'},
                                            {"bandwidth", 1, NULL, 'w'},
                                            {"operations", 0, NULL, 'o'},
                                            {"f32", 0, NULL, 'f'},
                                            {0}};
    bool ok = true;
    for (int c = getopt_long(argc, argv, "", OPTIONS, NULL); c != -1 && ok;
         c = getopt_long(argc, argv, "", OPTIONS, NULL)) {
        switch (c) {
        case 'm':
            o->model = optarg;
            break;
        case 'c':
            o->config = optarg;
            break;
        case 'd':
            o->device = optarg;
            break;
        case 'M':
            ok = parse_modes(o, optarg);
            break;
        case 'b':
            o->batch_count = numbers_read(o->batches, BATCHES, 1024, optarg);
            ok = o->batch_count > 0;
            break;
        case 's':
            o->seconds = strtod(optarg, NULL);
            break;
        case 'p':
            o->peak = strtod(optarg, NULL);
            break;
        case 'w':
            o->bandwidth = strtod(optarg, NULL);
            break;
        case 'o':
            o->operations = true;
            break;
        case 'f':
            o->f32 = true;
            break;
        default:
            ok = false;
        }
    }
    return ok && (o->model == NULL) != (o->config == NULL) && optind == argc;
}

int main(int argc, char **argv) {
    struct options o = {.device = "auto",
                        .modes = {[MODE_TINY] = true, [MODE_BASE] = true, [MODE_HIFI] = true},
                        .batches = {1, 4, 16},
                        .batch_count = 3,
                        .seconds = 1};
    char path[] = "bench-gpu-XXXXXX";
    struct encoder_config config;
    struct error e;
    if (!parse(&o, argc, argv)) {
        fprintf(stderr, "see the head of tests/bench/gpu.c\n");
        return 2;
    }
    if (o.model != NULL) {
        run(&o, o.model);
        return 0;
    }
    must(config_named(&config, o.config, &e), &e);
    const int fd = mkstemp(path);
    if (fd < 0) {
        perror(path);
        return 1;
    }
    close(fd);
    must(model_init(path, &config, 1, DTYPE_BF16, &e), &e);
    run(&o, path);
    unlink(path);
    return 0;
}
