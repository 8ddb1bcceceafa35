/* step.c - how fast a language model learns on any device, and where the time goes: beside one
 * large product and one large copy in the same run.
 *
 *     bench-step [--preset smollm2-135m] [--device cuda] [--tokens 2048,8192] [--recompute block]
 *                [--steps 5] [--operations] [--f32] [--peak TFLOP/s] [--bandwidth GB/s]
 *
 * Adapters of rank 16 beside random weights that are frozen (BF16 where products are), a row of so
 * many tokens in a step. Prints Markdown: tokens a second,
 * and the rate of the multiplications and additions that the step is asked for (compress/dry.h),
 * those of blocks that run again included. --operations: a table of the operations of the last one,
 * each timed by itself (watch.h). The weights are in a file, which is removed again. */
#define _GNU_SOURCE
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compress/model.h"
#include "compress/ops.h"
#include "store/clock.h"
#include "tests/bench/ceilings.h"
#include "tests/bench/decoder_step.h"
#include "train/parameters.h"

enum { ROWS = 8 };

struct options {
    const char *preset, *device;
    long tokens[ROWS];
    int row_count;
    long steps;
    enum tape_recompute recompute;
    bool operations, f32;
    double peak, bandwidth;
};

/* ---- Weights --------------------------------------------------------------------------------- */

static int random_values(void *context, const char *name, float *values, struct error *e) {
    const struct tensor_list *list = context;
    (void)e;
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->specs[i].name, name) == 0) {
            model_fill(values, &list->specs[i], i);
        }
    }
    return 0;
}

/* A folder of which weights alone are there. */
static void open_weights(struct decoder_folder *f, const char *preset) {
    static char path[] = "bench-step-XXXXXX";
    struct tensor_list list = {.count = 0};
    struct error e;
    const int fd = mkstemp(path);
    if (fd < 0) {
        perror(path);
        exit(1);
    }
    close(fd);
    *f = (struct decoder_folder){.path = path};
    must(decoder_preset(&f->config, preset, &e), &e);
    must(decoder_config_list(&f->config, tensor_list_take, &list, &e), &e);
    must(tensor_list_write(path, &list, DTYPE_BF16, random_values, &list, NULL, &e), &e);
    must(safetensors_open(&f->tensors, path, &e), &e);
    unlink(path); /* it is mapped */
    free(list.specs);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static void measure(const struct options *o, struct device *d, const struct decoder *base,
                    int64_t tokens, bool operations, const struct ceilings *c) {
    enum { REPEAT = 5 /* of an operation that is timed */ };
    const struct decoder_step_options options = {
        .lora = LORA_DEFAULTS,
        .tape = {.storage = d->compute, .sums = d->compute, .recompute = o->recompute},
        .tokens = tokens};
    struct decoder_step *s;
    struct error e;
    float loss = 0;
    must(decoder_step_open(&s, d, base, &options, &e), &e);
    for (int i = 0; i < 2; i++) {
        must(decoder_step_run(s, &loss, &e), &e);
    }
    const double started = clock_seconds();
    for (long i = 0; i < o->steps; i++) {
        must(decoder_step_run(s, &loss, &e), &e);
    }
    must(d->ops->synchronize(d, &e), &e);
    const double seconds = (clock_seconds() - started) / (double)o->steps;
    watch_start(operations ? REPEAT : 1);
    must(decoder_step_run(s, NULL, &e), &e);
    watch_stop();
    const struct watch_sum all = watch_total();
    printf("| %" PRId64 " | %.0f | %.2f | %" PRId64 " | %.2f | %.1f | %.1f%% | %.0f | %.3f |\n",
           tokens, (double)tokens / seconds, seconds * 1e3, all.calls, all.operations * 1e-12,
           all.operations / seconds * 1e-12, 100 * all.operations / seconds / c->operations,
           (double)d->peak_bytes * 0x1p-20, (double)loss);
    if (operations) {
        printf("\nIts operations, %.2f ms together:\n\n", all.seconds * 1e3);
        watch_print(stdout, c);
    }
    fflush(stdout);
    decoder_step_close(s);
}

static void run(const struct options *o) {
    struct error e;
    const struct backend *inner, *b;
    struct decoder_folder folder;
    struct decoder *base;
    struct device *d;
    enum dtype compute;
    must(backend_open(&inner, o->device, &e), &e);
    must(backend_compute(inner, o->f32 ? "f32" : "auto", &compute, &e), &e);
    const struct ceilings measured = ceilings_measure(inner, compute);
    const struct ceilings c = ceilings_or(&measured, o->peak, o->bandwidth);
    b = watch_backend(inner);
    open_weights(&folder, o->preset);
    must(device_open(&d, b, compute, &e), &e);
    must(decoder_open(&base, &folder, compute == DTYPE_BF16 ? DECODER_BF16 : DECODER_F32, d, &e),
         &e);
    printf("\n%s on %s, %s, recompute %s. A large product %.1f TFLOP/s, a large copy %.0f GB/s; "
           "ceilings %.1f and %.0f.\n\n| tokens | tokens/s | ms a step | calls | TFLOP a step | "
           "TFLOP/s | of the ceiling | MiB, most | loss |\n|---|---|---|---|---|---|---|---|---|\n",
           o->preset, inner->name, dtype_name(compute), TAPE_RECOMPUTE_NAMES[o->recompute],
           measured.operations * 1e-12, measured.bytes * 1e-9, c.operations * 1e-12,
           c.bytes * 1e-9);
    for (int i = 0; i < o->row_count; i++) {
        measure(o, d, base, o->tokens[i], o->operations && i + 1 == o->row_count, &c);
    }
    decoder_close(base);
    device_close(d);
    safetensors_close(folder.tensors);
}

/* ---- Options --------------------------------------------------------------------------------- */

static bool parse_recompute(struct options *o, const char *name) {
    for (int i = 0; TAPE_RECOMPUTE_NAMES[i] != NULL; i++) {
        if (strcmp(TAPE_RECOMPUTE_NAMES[i], name) == 0) {
            o->recompute = (enum tape_recompute)i;
            return true;
        }
    }
    return false;
}

static bool parse(struct options *o, int argc, char **argv) {
    static const struct option OPTIONS[] = {
        {"preset", 1, NULL, 'P'},    {"device", 1, NULL, 'd'},
        {"tokens", 1, NULL, 't'},    {"steps", 1, NULL, 's'},
        {"recompute", 1, NULL, 'r'}, {"operations", 0, NULL, 'o'},
        {"f32", 0, NULL, 'f'},       {"peak", 1, NULL, 'p'},
        {"bandwidth", 1, NULL, 'w'}, {0}};
    bool ok = true;
    for (int c = getopt_long(argc, argv, "", OPTIONS, NULL); c != -1 && ok;
         c = getopt_long(argc, argv, "", OPTIONS, NULL)) {
        switch (c) {
        case 'P':
            o->preset = optarg;
            break;
        case 'd':
            o->device = optarg;
            break;
        case 't':
            o->row_count = numbers_read(o->tokens, ROWS, 1 << 20, optarg);
            ok = o->row_count > 0;
            break;
        case 's':
            o->steps = strtol(optarg, NULL, 10);
            break;
        case 'r':
            ok = parse_recompute(o, optarg);
            break;
        case 'o':
            o->operations = true;
            break;
        case 'f':
            o->f32 = true;
            break;
        case 'p':
            o->peak = strtod(optarg, NULL);
            break;
        case 'w':
            o->bandwidth = strtod(optarg, NULL);
            break;
        default:
            ok = false;
        }
    }
    return ok && optind == argc && o->steps > 0;
}

int main(int argc, char **argv) {
    struct options o = {
        .preset = "smollm2-135m", .device = "auto", .recompute = RECOMPUTE_BLOCK, .steps = 5};
    if (!parse(&o, argc, argv)) {
        fprintf(stderr, "see the head of tests/bench/step.c\n");
        return 2;
    }
    run(&o);
    return 0;
}
