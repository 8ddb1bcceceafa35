/* roofline.c - what networks ask of a machine, and how fast it can be at best: on paper, by what
 * the engine itself asks a device that computes nothing for (compress/dry.h).
 *
 *     bench-roofline [--batch 16] [--launch 4]
 *
 * For each encoder and mode, a batch of pages, and for steps of training of a language model with
 * adapters, Markdown: operations, bytes, kernels; and the times, ms on the first machine, of
 *
 *     the device, by families of operations: of each the larger of operations / peak and bytes /
 *         bandwidth
 *     launches: --launch microseconds for each kernel, which a thread of the host starts one by one
 *     the bus: pixels to the GPU and tokens back
 *
 * The three run beside each other where the pipeline is full. So the longest is the limit: for each
 * machine how many a second it allows, with which share of the peak of products, and its name
 * unless it is the device. Needs no GPU, and no weights: they are a file of holes, which is removed
 * again. */
#define _GNU_SOURCE
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compress/dry.h"
#include "compress/encoder.h"
#include "render/mode.h"
#include "tests/bench/decoder_step.h"
#include "train/parameters.h"

static void must(int rc, const struct error *e) {
    if (rc < 0) {
        fprintf(stderr, "bench-roofline: %s\n", e->text);
        exit(1);
    }
}

/* ---- Machines, and what is asked of them -------------------------------------------------------
 */

/* By their data sheets, without sparsity; of the bus what copies of pinned memory reach. */
static const struct machine {
    const char *name;
    double operations, bytes, bus; /* a second */
} MACHINES[] = {{"H100 SXM", 989e12, 3.35e12, 50e9},
                {"A100", 312e12, 2.0e12, 25e9},
                {"L4", 121e12, 0.3e12, 25e9}};
enum { MACHINE_COUNT = sizeof MACHINES / sizeof *MACHINES };

struct demand {
    double operations, bytes, crossing, launches;
    double seconds[MACHINE_COUNT][DRY_FAMILIES]; /* of the device */
};

/* Of an operation, at least. */
static double kernels_of(const struct dry_operation *o) {
    static const char *const OF_TWO[] = {"mlp", "convolve", "attention_backward",
                                         "layer_norm_backward", "rms_norm_backward"};
    for (size_t i = 0; i < sizeof OF_TWO / sizeof *OF_TWO; i++) {
        if (strcmp(o->name, OF_TWO[i]) == 0) {
            return 2;
        }
    }
    return 1;
}

static void see(void *context, const struct dry_operation *o) {
    struct demand *d = context;
    if (o->family == DRY_CROSSING) {
        d->crossing += o->bytes;
        return;
    }
    d->operations += o->operations;
    d->bytes += o->bytes;
    d->launches += kernels_of(o);
    for (int i = 0; i < MACHINE_COUNT; i++) {
        const double by_work = o->operations / MACHINES[i].operations;
        const double by_bytes = o->bytes / MACHINES[i].bytes;
        d->seconds[i][o->family] += by_work > by_bytes ? by_work : by_bytes;
    }
}

static struct demand asked;

static int batch_of_a_gpu(void) {
    return 16;
}

static int open_watched(struct device **out, const struct backend *b, enum dtype compute,
                        struct error *e) {
    int rc = dry_open(out, b, compute, e);
    if (rc == 0) {
        dry_trace(*out, see, &asked);
    }
    return rc;
}

/* ---- Tables ------------------------------------------------------------------------------------
 */

static void print_head(const char *what, const char *unit) {
    printf(
        "\n| %s | GFLOP | MB | kernels | products | attention | rows | moving | launches | bus |",
        what);
    for (int i = 0; i < MACHINE_COUNT; i++) {
        printf(" %s, %s |", MACHINES[i].name, unit);
    }
    printf("\n|---|---|---|---|---|---|---|---|---|---|");
    for (int i = 0; i < MACHINE_COUNT; i++) {
        printf("---|");
    }
    printf("\n");
}

/* How many a second, which share of the peak that is, and by what it is limited. */
static void print_best(const struct demand *d, const struct machine *m, const double *families,
                       double count, double launches) {
    const double bus = d->crossing / m->bus;
    double device = 0;
    for (int i = 0; i < DRY_FAMILIES; i++) {
        device += families[i];
    }
    const double kernels = launches > device ? launches : device;
    const double longest = bus > kernels ? bus : kernels;
    printf(" %.0f, %.0f%%%s |", count / longest, 100 * d->operations / longest / m->operations,
           longest == device ? ""
           : longest == bus  ? ", bus"
                             : ", launches");
}

/* `count` pages or tokens, of which the demand is; a line tells of `each` of them, its times in ms
 * on the first machine. */
static void print_row(const char *name, const struct demand *d, double count, double each,
                      double launch) {
    const double share = each / count, ms = 1e3 * share, *s = d->seconds[0];
    printf("| %s | %.1f | %.0f | %.0f | %.3f | %.3f | %.3f | %.3f | %.3f | %.3f |", name,
           d->operations * share * 1e-9, d->bytes * share * 1e-6, d->launches * share,
           s[DRY_PRODUCTS] * ms, s[DRY_ATTENTION] * ms, s[DRY_ROWS] * ms, s[DRY_MOVING] * ms,
           d->launches * launch * ms, d->crossing / MACHINES[0].bus * ms);
    for (int i = 0; i < MACHINE_COUNT; i++) {
        print_best(d, &MACHINES[i], d->seconds[i], count, d->launches * launch);
    }
    printf("\n");
}

/* ---- Encoders ----------------------------------------------------------------------------------
 */

/* A file with all tensors, of which nothing is written but the header. */
static void blank_weights(const char *path, const struct encoder_config *c) {
    struct tensor_list list = {.count = 0};
    struct error e;
    uint64_t end = 0;
    must(config_tensors(c, tensor_list_take, &list, &e), &e);
    json_t *config = config_json(c), *header = json_object();
    char *text = json_dumps(config, JSON_COMPACT);
    json_object_set_new(header, "__metadata__", json_pack("{s:s}", CONFIG_METADATA, text));
    for (size_t i = 0; i < list.count; i++) {
        const struct tensor_spec *s = &list.specs[i];
        json_t *shape = json_array();
        for (int k = 0; k < s->rank; k++) {
            json_array_append_new(shape, json_integer(s->shape[k]));
        }
        const uint64_t first = end;
        end += (uint64_t)tensor_spec_count(s) * dtype_size(DTYPE_BF16);
        json_object_set_new(header, s->name,
                            json_pack("{s:s, s:o, s:[I,I]}", "dtype", "BF16", "shape", shape,
                                      "data_offsets", (json_int_t)first, (json_int_t)end));
    }
    free(text);
    text = json_dumps(header, JSON_COMPACT);
    const uint64_t size = strlen(text);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(&size, sizeof size, 1, file) != 1 ||
        fwrite(text, 1, size, file) != size || fflush(file) != 0 ||
        ftruncate(fileno(file), (off_t)(sizeof size + size + end)) != 0 || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
    free(text);
    json_decref(config);
    json_decref(header);
    free(list.specs);
}

/* Of a batch, once tables are made and memory is there. */
static struct demand demand_of(const struct encoder *encoder, enum page_mode mode, int64_t batch) {
    const int64_t side = PAGE_SIZES[mode].side;
    const struct encoder_shape shape = {batch, side, side, PAGE_SIZES[mode].column_offsets};
    struct encoder_session *s;
    struct error e;
    int64_t rows, columns;
    must(encoder_grid(encoder, &shape, &rows, &columns, &e), &e);
    must(encoder_session_open(&s, encoder, &e), &e);
    const struct tensor pixels =
        tensor_of(NULL, DTYPE_U8, NULL, TENSOR_SHAPE(batch, side, side, 1));
    const struct tensor tokens =
        tensor_of(NULL, DTYPE_F32, NULL,
                  TENSOR_SHAPE(1, batch, rows * columns, encoder_config(encoder)->token_dim));
    must(encoder_run(s, &tokens, &pixels, shape.column_offsets, &e), &e);
    asked = (struct demand){.operations = 0};
    must(encoder_run(s, &tokens, &pixels, shape.column_offsets, &e), &e);
    encoder_session_close(s);
    return asked;
}

/* What is cut into pieces is cut as for a GPU. */
static const struct backend COUNTED = {
    .name = "counted", .batch = batch_of_a_gpu, .device_open = open_watched};

static void print_encoder(const char *name, int64_t batch, double launch) {
    static const enum page_mode MODES[] = {MODE_TINY, MODE_BASE, MODE_LARGE, MODE_HIFI};
    struct encoder_config config;
    struct encoder *encoder;
    struct error e;
    char path[] = "bench-roofline-XXXXXX", what[96];
    const int fd = mkstemp(path);
    if (fd < 0) {
        perror(path);
        exit(1);
    }
    close(fd);
    must(config_named(&config, name, &e), &e);
    blank_weights(path, &config);
    must(encoder_open(&encoder, path, NULL, &COUNTED, DTYPE_BF16, &e), &e);
    unlink(path);
    snprintf(what, sizeof what, "%s, a page of %" PRId64, name, batch);
    print_head(what, "pages/s");
    for (size_t i = 0; i < sizeof MODES / sizeof *MODES; i++) {
        const struct demand d = demand_of(encoder, MODES[i], batch);
        print_row(MODE_NAMES[MODES[i]], &d, (double)batch, 1, launch);
    }
    encoder_close(encoder);
}

/* ---- A language model --------------------------------------------------------------------------
 */

static void print_decoder(const char *preset, double launch) {
    static const int64_t TOKENS[] = {2048, 8192};
    struct decoder_config config;
    struct decoder *base;
    struct device *d;
    struct error e;
    char what[96];
    must(decoder_preset(&config, preset, &e), &e);
    must(dry_open(&d, &COUNTED, DTYPE_BF16, &e), &e);
    must(decoder_open_dry(&base, &config, NULL, DECODER_BF16, d, &e), &e);
    snprintf(what, sizeof what, "%s, a thousand tokens of a step", preset);
    print_head(what, "tokens/s");
    for (int i = 0; i < 4; i++) {
        const struct decoder_step_options o = {
            .lora = LORA_DEFAULTS,
            .tape = {.storage = DTYPE_BF16,
                     .sums = DTYPE_BF16,
                     .recompute = i % 2 == 0 ? RECOMPUTE_NONE : RECOMPUTE_BLOCK},
            .tokens = TOKENS[i / 2]};
        struct decoder_step *s;
        must(decoder_step_open(&s, d, base, &o, &e), &e);
        dry_trace(d, see, &asked);
        asked = (struct demand){.operations = 0};
        must(decoder_step_run(s, NULL, &e), &e);
        dry_trace(d, NULL, NULL);
        decoder_step_close(s);
        snprintf(what, sizeof what, "%" PRId64 "%s", o.tokens,
                 i % 2 == 0 ? "" : ", blocks run again");
        print_row(what, &asked, (double)o.tokens, 1000, launch);
    }
    decoder_close(base);
    dry_close(d);
}

int main(int argc, char **argv) {
    static const struct option OPTIONS[] = {{"batch", 1, NULL, 'b'}, {"launch", 1, NULL, 'l'}, {0}};
    double launch = 4;
    long batch = 16;
    for (int c = getopt_long(argc, argv, "", OPTIONS, NULL); c != -1;
         c = getopt_long(argc, argv, "", OPTIONS, NULL)) {
        if (c == '?') {
            fprintf(stderr, "see the head of tests/bench/roofline.c\n");
            return 2;
        }
        if (c == 'b') {
            batch = strtol(optarg, NULL, 10);
        } else {
            launch = strtod(optarg, NULL);
        }
    }
    if (batch < 1 || batch > 1024) {
        fprintf(stderr, "see the head of tests/bench/roofline.c\n");
        return 2;
    }
    print_encoder("deepencoder", batch, launch * 1e-6);
    print_encoder("nano", batch, launch * 1e-6);
    print_decoder("smollm2-135m", launch * 1e-6);
    return 0;
}
