/* roofline.c - what networks ask of a machine, and how fast it can be at best: on paper, by what
 * the engine itself asks a device that computes nothing for (compress/dry.h).
 *
 *     bench-roofline [--batch 16] [--launch 4]
 *
 * For each encoder and mode, a batch of pages, and for steps of training of a language model with
 * adapters, Markdown: operations, bytes; and for each machine the times of
 *
 *     device    the sum over operations of the larger of operations / peak and bytes / bandwidth
 *     launches  --launch microseconds for each kernel, which a thread of the host starts one by one
 *     bus       pixels to the GPU and tokens back
 *
 * which run beside each other where the pipeline is full: the largest is the limit. Needs no GPU,
 * and no weights: they are a file of holes, which is removed again. */
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

static int open_watched(struct device **out, const struct backend *b, enum dtype compute,
                        struct error *e) {
    (void)b;
    int rc = dry_open(out, compute, e);
    if (rc == 0) {
        dry_trace(*out, see, &asked);
    }
    return rc;
}

/* ---- Tables ------------------------------------------------------------------------------------
 */

static void print_head(const char *what, const char *unit) {
    printf(
        "\n| %s | GFLOP | MB | kernels | machine | products | attention | rows | moving | device "
        "| launches | bus | limit | %s | of the peak |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        what, unit);
}

/* `count` pages or tokens, of which the demand is; times are of one page, or of a thousand
 * tokens. */
static void print_rows(const char *name, const struct demand *d, double count, double each,
                       double launch) {
    const double ms = 1e3 * each / count;
    for (int i = 0; i < MACHINE_COUNT; i++) {
        const double *s = d->seconds[i];
        const double device = s[DRY_PRODUCTS] + s[DRY_ATTENTION] + s[DRY_ROWS] + s[DRY_MOVING];
        const double launches = d->launches * launch, bus = d->crossing / MACHINES[i].bus;
        const char *limit = "device";
        double longest = device;
        if (launches > longest) {
            longest = launches;
            limit = "launches";
        }
        if (bus > longest) {
            longest = bus;
            limit = "bus";
        }
        printf("| %s | %.1f | %.0f | %.0f | %s | %.3f | %.3f | %.3f | %.3f | %.3f | %.3f | %.3f | "
               "%s | %.0f | %.0f%% |\n",
               i == 0 ? name : "", d->operations * each / count * 1e-9,
               d->bytes * each / count * 1e-6, d->launches * each / count, MACHINES[i].name,
               s[DRY_PRODUCTS] * ms, s[DRY_ATTENTION] * ms, s[DRY_ROWS] * ms, s[DRY_MOVING] * ms,
               device * ms, launches * ms, bus * ms, limit, count / longest,
               100 * d->operations / longest / MACHINES[i].operations);
    }
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

static void print_encoder(const char *name, int64_t batch, double launch) {
    static const enum page_mode MODES[] = {MODE_TINY, MODE_BASE, MODE_LARGE, MODE_HIFI};
    struct backend counted = DRY_BACKEND;
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
    counted.device_open = open_watched;
    must(config_named(&config, name, &e), &e);
    blank_weights(path, &config);
    must(encoder_open(&encoder, path, NULL, &counted, DTYPE_BF16, &e), &e);
    unlink(path);
    snprintf(what, sizeof what, "%s, a page of %" PRId64 " at a time; ms", name, batch);
    print_head(what, "pages/s");
    for (size_t i = 0; i < sizeof MODES / sizeof *MODES; i++) {
        const struct demand d = demand_of(encoder, MODES[i], batch);
        print_rows(MODE_NAMES[MODES[i]], &d, (double)batch, 1, launch);
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
    must(dry_open(&d, DTYPE_BF16, &e), &e);
    must(decoder_open_dry(&base, &config, NULL, DECODER_BF16, d, &e), &e);
    snprintf(what, sizeof what, "%s with adapters, a step; a thousand tokens; ms", preset);
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
        print_rows(what, &asked, (double)o.tokens, 1000, launch);
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
