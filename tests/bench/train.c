/* train.c - how fast `occ train read` learns, beside the floor: its products alone at the measured
 * rate.
 *
 *     bench-train [--steps 12] [--batch 8] [--threads N] [--device cpu]
 *
 * The nano encoder with all heads on tiny pages, each read after one halving; a page
 * is always the same, so that none is drawn meanwhile. Prints a JSON line: pages per second, of
 * wall and of processor time; the rate of the multiplications and additions that the network needs,
 * three times those of the way forward; the share of the rate that a single large product reaches,
 * in as many threads, before and after. Without N: with two threads and one. On a machine that has
 * other work, "cpu_share" is the one to read. "where": shares of the processor time of the steps
 * (where.h). Writes a checkpoint into the folder it runs in, and removes it. */
#define _GNU_SOURCE
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "compress/cpu/level.h"
#include "compress/cpu/product.h"
#include "tests/bench/ceilings.h"
#include "tests/bench/page.h"
#include "tests/bench/where.h"
#include "train/read/read.h"

enum { SIDE = 512, ROWS = SIDE / 16, A_ROW = 56 /* characters, as read10 has them */, WARM = 2 };

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- The ceiling ----------------------------------------------------------------------------- */

struct rate {
    enum dtype compute;
    pthread_barrier_t *barrier;
    double wall, cpu; /* operations a second of each clock */
};

/* As tests/bench/encoder.c does it: the shape of a layer of the full-size encoder. */
static void *product_rate(void *argument) {
    enum { TOKENS = 256, IN = 768, OUT = 3072, RUNS = 300, WARM_RUNS = 20 };
    struct rate *r = argument;
    struct products *p;
    struct packed *w;
    struct error e;
    must(products_open(&p, level_choose(&e)->name, &e), &e);
    float *matrix = calloc((size_t)IN * OUT, sizeof *matrix), *x = calloc(TOKENS * IN, sizeof *x);
    float *out = calloc((size_t)TOKENS * OUT, sizeof *out);
    if (matrix == NULL || x == NULL || out == NULL) {
        exit(1);
    }
    must(product_pack(&w, p, matrix, DTYPE_F32, OUT, IN, NULL, r->compute, &e), &e);
    for (int i = 0; i < WARM_RUNS; i++) {
        must(product_run(p, out, DTYPE_F32, OUT, x, IN, TOKENS, w, false, &e), &e);
    }
    pthread_barrier_wait(r->barrier);
    double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < RUNS; i++) {
        must(product_run(p, out, DTYPE_F32, OUT, x, IN, TOKENS, w, false, &e), &e);
    }
    double operations = 2.0 * TOKENS * IN * OUT * RUNS;
    r->wall = operations / (seconds(CLOCK_MONOTONIC) - wall);
    r->cpu = operations / (seconds(CLOCK_THREAD_CPUTIME_ID) - cpu);
    product_packed_close(w);
    products_close(p);
    free(matrix);
    free(x);
    free(out);
    return NULL;
}

/* Adds the sum of the threads' rates by wall time, and their mean by processor time. */
static void add_rates(int threads, enum dtype compute, struct rate *sum) {
    pthread_barrier_t barrier;
    struct rate *rates = calloc((size_t)threads, sizeof *rates);
    pthread_t *ids = calloc((size_t)threads, sizeof *ids);
    pthread_barrier_init(&barrier, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++) {
        rates[i] = (struct rate){.compute = compute, .barrier = &barrier};
        pthread_create(&ids[i], NULL, product_rate, &rates[i]);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        sum->wall += rates[i].wall;
        sum->cpu += rates[i].cpu / threads;
    }
    pthread_barrier_destroy(&barrier);
    free(rates);
    free(ids);
}

/* ---- What is to be done ---------------------------------------------------------------------- */

/* Multiplications of the products and attentions of a page on the way forward. */
static double encoder_products(const struct encoder_config *c) {
    double g = (double)SIDE / (double)c->patch, n = g * g, dim = (double)c->dim, sum = 0;
    double neck = (double)c->neck, net_2 = (double)c->net_2, net_3 = (double)c->net_3;
    double tokens = n / 16, d = (double)c->clip_dim;
    sum += n * dim * (double)(c->patch * c->patch); /* whitened: of one channel */
    for (int64_t i = 0; i < c->depth; i++) {
        double side = c->global[i] ? g : (double)c->window;
        sum += n * (4 * dim * dim + 2 * dim * (double)c->mlp);
        sum += n * dim * (2 * side * side + 2 * (2 * side - 1));
    }
    sum += n * (dim * neck + 9 * neck * neck) + n / 4 * 9 * neck * net_2;
    sum += tokens * 9 * net_2 * net_3;
    sum += (double)c->clip_depth * (tokens + 1) * (4 * d * d + 2 * d * (double)c->clip_mlp);
    sum += (double)c->clip_depth * 2 * (tokens + 1) * (tokens + 1) * d;
    return sum + tokens * 2 * d * (double)c->token_dim;
}

/* Of a head that is asked for a share of the rows, and for `empty` of those without text. */
static double head_products(const struct reading_config *c, double inputs, double dim,
                            double cells_each, double share, double empty) {
    double cells = ROWS * (share + empty) * SIDE / READING_STEP, hidden = (double)c->hidden;
    double sum = inputs * dim * cells_each * (double)c->channels;
    sum += cells * hidden * (double)(reading_seen(c) * c->channels + 2 * READING_COLUMNS);
    sum += cells * hidden * (double)(READING_COLUMNS * c->embedding);
    return sum + ROWS * A_ROW * share * (double)(c->embedding * c->classes);
}

/* See train/read/step.c for the shares. */
static double reading_products(const struct encoder_config *e, const struct reading_config *c) {
    double n = (double)(SIDE / e->patch * (SIDE / e->patch)), d = (double)e->token_dim;
    const double cells = READING_ROWS * READING_STEPS;
    double sum = head_products(c, n, (double)e->neck, cells / 16, 1.0 / 3, 1.0 / 32);
    sum += head_products(c, n / 4, (double)e->net_2, cells / 4, 1.0 / 3, 1.0 / 32);
    sum += head_products(c, n / 16, (double)e->net_3, cells, 1.0 / 3, 1.0 / 32);
    sum += head_products(c, n / 16, d, cells, 1, 1.0 / 8);
    return sum + n / 16 * 2 * d * (double)c->trunk;
}

/* ---- Pages ----------------------------------------------------------------------------------- */

/* Marks when the first page after the warm-up and the first page of the last step are
 * asked for. */
struct source {
    pthread_mutex_t lock;
    uint64_t first, last; /* numbers */
    bool samples;         /* where.h's: of processor time */
    double wall[2], cpu[2];
    uint8_t grey[SIDE * SIDE];
    struct read_label labels[ROWS * A_ROW];
};

static int open_generator(void *context, void **generator, struct error *e) {
    (void)e;
    *generator = context;
    return 0;
}

static void close_generator(void *generator) {
    (void)generator;
}

static int make(void *generator, const struct read_request *r, struct read_page *page,
                struct error *e) {
    struct source *s = generator;
    (void)e;
    pthread_mutex_lock(&s->lock);
    for (int i = 0; i < 2; i++) {
        if (r->number == (i == 0 ? s->first : s->last)) {
            s->wall[i] = seconds(CLOCK_MONOTONIC);
            s->cpu[i] = seconds(CLOCK_PROCESS_CPUTIME_ID);
            if (s->samples) {
                (i == 0 ? where_start : where_stop)();
            }
        }
    }
    pthread_mutex_unlock(&s->lock);
    *page = (struct read_page){.width = SIDE,
                               .height = SIDE,
                               .grey = s->grey,
                               .labels = s->labels,
                               .label_count = ROWS * A_ROW};
    return 0;
}

static void fill(struct source *s, int classes) {
    page_of(s->grey, SIDE);
    for (int i = 0; i < ROWS * A_ROW; i++) {
        s->labels[i] =
            (struct read_label){.row = (int16_t)(2 * (i / A_ROW)),
                                .column = (int16_t)(i % A_ROW * (SIDE / READING_COLUMN) / A_ROW),
                                .class_index = i * 31 % classes};
    }
}

/* ---- Measuring ------------------------------------------------------------------------------- */

static void remove_run(const char *folder) {
    static const char *const NAMES[] = {"checkpoint.safetensors", "encoder.safetensors",
                                        "metrics.ndjson"};
    char path[256];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, NAMES[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void add_ceiling(const struct backend *b, enum dtype compute, int threads,
                        struct rate *rate) {
    if (b->host_memory) {
        add_rates(threads, compute, rate);
    } else {
        rate->wall += ceilings_measure(b, compute).operations;
    }
}

static void measure(const char *device, const struct alphabet *alphabet, int threads, int64_t batch,
                    int64_t steps) {
    static struct source s = {.lock = PTHREAD_MUTEX_INITIALIZER};
    char folder[] = "bench-train-XXXXXX";
    const struct backend *backend;
    enum dtype compute;
    struct read_options o = READ_DEFAULTS;
    struct trainer_result result;
    struct rate rate = {.wall = 0};
    struct error e;
    must(backend_open(&backend, device, &e), &e);
    must(backend_compute(backend, "auto", &compute, &e), &e);
    must(config_named(&o.encoder, "nano", &e), &e);
    o.trainer.device = device;
    o.reading.classes = alphabet_count(alphabet);
    o.trainer.threads = threads;
    o.batch = batch - batch % threads;
    o.trainer.stop_at = WARM + steps + 1;
    o.trainer.schedule.steps = 1000 * o.trainer.stop_at; /* the early heads stay */
    o.trainer.save_ms = INT64_MAX / 2;
    o.staged = 0; /* all of the network */
    o.halving = 1;
    memcpy(o.halvings, (const double[READ_HALVINGS]){1}, sizeof o.halvings);
    o.trainer.folder = mkdtemp(folder);
    if (o.trainer.folder == NULL) {
        perror(folder);
        exit(1);
    }
    fill(&s, (int)o.reading.classes);
    s.samples = backend->host_memory;
    s.first = (uint64_t)(WARM * o.batch);
    s.last = (uint64_t)((WARM + steps) * o.batch);
    const struct read_source source = {.context = &s,
                                       .open = open_generator,
                                       .close = close_generator,
                                       .make = make,
                                       .kinds = {"page"}};
    add_ceiling(backend, compute, threads, &rate);
    int rc = read_train(&o, alphabet, &source, NULL, NULL, &result, &e);
    must(rc == ERR_CANCELLED ? 0 : rc, &e);
    add_ceiling(backend, compute, threads, &rate);
    remove_run(folder);
    double pages = (double)(steps * o.batch);
    double wall = pages / (s.wall[1] - s.wall[0]), cpu = pages / (s.cpu[1] - s.cpu[0]);
    double forward = encoder_products(&o.encoder), heads = reading_products(&o.encoder, &o.reading);
    double pixels = (double)(SIDE * SIDE * o.encoder.dim); /* need no gradient */
    double operations = 2 * (3 * (forward + heads) - pixels);
    printf("{\"config\": \"nano\", \"dtype\": \"%s\", \"level\": \"%s\", \"threads\": %d, "
           "\"batch\": %" PRId64 ", \"pages_per_second\": %.2f, \"pages_per_cpu_second\": %.2f, "
           "\"forward_gmacs\": %.2f, \"heads_gmacs\": %.2f, \"gflops\": %.0f, "
           "\"product_gflops\": %.0f, \"share\": %.3f, \"cpu_share\": %.3f, \"where\": ",
           compute == DTYPE_BF16 ? "bf16" : "f32",
           backend->host_memory ? level_choose(&e)->name : backend->name, threads, o.batch, wall,
           cpu, forward * 1e-9, heads * 1e-9, operations * wall * 1e-9, rate.wall / 2 * 1e-9,
           operations * wall / (rate.wall / 2),
           rate.cpu > 0 ? operations * cpu / (rate.cpu / 2) : 0);
    where_print(stdout);
    printf("}\n");
    fflush(stdout);
}

int main(int argc, char **argv) {
    static const struct option OPTIONS[] = {{"steps", 1, NULL, 's'},
                                            {"batch", 1, NULL, 'b'},
                                            {"threads", 1, NULL, 't'},
                                            {"device", 1, NULL, 'd'},
                                            {0}};
    const char *device = "cpu";
    struct alphabet *alphabet;
    struct error e;
    long steps = 12, batch = 8, threads = 0;
    for (int c = getopt_long(argc, argv, "", OPTIONS, NULL); c != -1;
         c = getopt_long(argc, argv, "", OPTIONS, NULL)) {
        if (c == 'd') {
            device = optarg;
            continue;
        }
        long value = c != '?' ? strtol(optarg, NULL, 10) : 0;
        if (value < 1 || value > 4096) {
            fprintf(stderr, "see the head of tests/bench/train.c\n");
            return 2;
        }
        *(c == 's' ? &steps : c == 'b' ? &batch : &threads) = value;
    }
    must(alphabet_open(&alphabet, &e), &e);
    for (long n = threads > 0 ? threads : 2; n > 0 && (threads == 0 || n == threads); n--) {
        measure(device, alphabet, (int)n, batch > n ? batch : n, steps);
    }
    alphabet_close(alphabet);
    return 0;
}
