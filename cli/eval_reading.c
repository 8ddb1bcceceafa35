/* eval_reading.c - see eval_reading.h. */
#include "cli/eval_reading.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/mix.h"
#include "cli/number.h"
#include "cli/store_context.h"
#include "store/json.h"
#include "store/log.h"
#include "train/align/meter.h"

enum { ROW = 1280, SPANS = 9, SOFT = 4, HALVINGS = 5 };
static const char *const SPAN_NAMES[SPANS + 1] = {"1",  "2",  "4",   "8",   "16",
                                                  "32", "64", "128", "256", NULL};
static const char *const SOFT_NAMES[SOFT + 1] = {"8", "4", "2", "1", NULL};
static const char *const HALVING_NAMES[HALVINGS + 1] = {"0", "1", "2", "3", "4", NULL};

struct bench {
    const struct reading_arguments *a;
    struct decoder_folder folder;
    struct device *device;
    struct decoder *decoder;
    struct adapter *adapter;
    struct context_network network;
    struct history **histories;
    int opened;
    struct meter *meter;
    double spans[SPANS], soft[SOFT], halvings[HALVINGS]; /* above 0: wanted */
    double held_out;
};

static int parse(struct bench *b, const struct reading_arguments *a, struct error *e) {
    int rc = mix_parse(b->spans, SPAN_NAMES, "spans", a->spans, e);
    if (rc == 0 && a->soft != NULL) {
        rc = mix_parse(b->soft, SOFT_NAMES, "soft", a->soft, e);
    }
    if (rc == 0) {
        rc = mix_parse(b->halvings, HALVING_NAMES, "halvings", a->halvings, e);
    }
    if (rc == 0 && a->hold_accounts != NULL) {
        rc = number_parse(&b->held_out, "hold-out-accounts", a->hold_accounts, 0, 0.9, e);
    }
    return rc;
}

int reading_check(const struct reading_arguments *a, struct device_choice *d, struct error *e) {
    struct bench b = {.a = a};
    if (a->model == NULL || a->adapter == NULL) {
        return error_set(e, ERR_USAGE, "no %s is named: --%s FOLDER",
                         a->model == NULL ? "language model" : "adapter",
                         a->model == NULL ? "model" : "adapter");
    }
    if (a->count == 0) {
        return error_set(e, ERR_USAGE, "reading takes STORE...");
    }
    int rc = parse(&b, a, e);
    return rc == 0 ? device_choice_settle(d, e) : rc;
}

/* ---- What is open ---------------------------------------------------------------------------- */

static int open_adapter(struct bench *b, const struct device_choice *d, struct error *e) {
    const struct reading_arguments *a = b->a;
    char found[4096];
    int rc = decoder_folder_open(&b->folder, a->model, e);
    if (rc == 0) {
        rc = device_open_team(&b->device, d->backend, d->type, (int)a->threads, e);
    }
    if (rc == 0) {
        rc = decoder_open(&b->decoder, &b->folder, (enum decoder_format)a->weights, b->device, e);
    }
    if (rc == 0) {
        const char *encoder = store_context_encoder(a->encoder, found, sizeof found);
        rc = adapter_open(&b->adapter, a->adapter, b->decoder, encoder, b->device, e);
    }
    if (rc == 0 && !adapter_bridge(b->adapter, &b->network)) {
        rc = error_set(e, ERR_FORMAT, "%s: has no bridge for visual tokens", a->adapter);
    }
    return rc;
}

static int open_stores(struct bench *b, struct error *e) {
    const struct reading_arguments *a = b->a;
    const int64_t longest = b->folder.config.context;
    const struct meter_options o = {.model = &b->folder,
                                    .parts = adapter_parts(b->adapter),
                                    .network = b->network,
                                    .held_out = b->held_out,
                                    .row = a->row > 0      ? a->row
                                           : longest < ROW ? longest
                                                           : ROW,
                                    .seed = (uint64_t)a->seed};
    int rc = o.row <= longest ? 0
                              : error_set(e, ERR_USAGE,
                                          "--row %" PRId64 ": the model was trained on %" PRId64
                                          " positions at most",
                                          o.row, longest);
    b->histories = calloc((size_t)a->count, sizeof *b->histories);
    rc = rc == 0 && b->histories == NULL ? error_memory(e, NULL) : rc;
    for (int i = 0; i < a->count && rc == 0; i++) {
        rc = history_open(&b->histories[i], a->stores[i], NULL, NULL, e);
        b->opened += rc == 0;
    }
    return rc == 0 ? meter_open(&b->meter, &o, b->histories, (size_t)b->opened, b->device, e) : rc;
}

static void bench_close(struct bench *b) {
    meter_close(b->meter);
    for (int i = 0; i < b->opened; i++) {
        history_close(b->histories[i]);
    }
    free(b->histories);
    adapter_close(b->adapter);
    decoder_close(b->decoder);
    device_close(b->device);
    decoder_folder_close(&b->folder);
}

/* ---- Measuring and printing ------------------------------------------------------------------ */

/* A kind of rows, and what was found on them. */
struct line {
    struct span_lesson lesson;
    struct score_sums sums;
};

static int print_json(const struct line *l, struct error *e) {
    static const char *const BEFORE[] = {
        [SPAN_VISUAL] = "visual", [SPAN_TEXT] = "text", [SPAN_NOTHING] = "none"};
    const struct score_sums *s = &l->sums;
    const bool follows = l->lesson.continuing > 0;
    struct bytes out;
    json_t *root = json_pack("{s:s, s:I, s:I, s:i, s:s, s:I, s:I, s:f, s:f, s:f}", "task",
                             follows ? "follow" : "read", "soft", (json_int_t)l->lesson.expand,
                             "span", (json_int_t)l->lesson.most, "halvings", l->lesson.halvings,
                             "context", BEFORE[l->lesson.before], "rows", (json_int_t)s->rows,
                             "targets", (json_int_t)s->targets, "accuracy", score_sums_accuracy(s),
                             "loss", score_sums_loss(s), "perplexity", exp(score_sums_loss(s)));
    bytes_init(&out, 1 << 20);
    int rc = root != NULL ? json_append(&out, root, e) : error_memory(e, NULL);
    if (rc == 0 && puts(bytes_text(&out)) == EOF) {
        rc = error_set(e, ERR_CLOSED, "standard output: cannot be written");
    }
    json_decref(root);
    bytes_close(&out);
    return rc;
}

static int measure(struct bench *b, struct line *l, struct error *e) {
    l->sums = (struct score_sums){.rows = 0};
    int rc = meter_run(b->meter, &l->lesson, b->a->rows, &l->sums, e);
    return rc == 0 && b->a->json ? print_json(l, e) : rc;
}

static int flush(int rc, struct error *e) {
    return fflush(stdout) == 0 || rc < 0
               ? rc
               : error_set(e, ERR_IO, "standard output: cannot be written");
}

/* As SOFT_NAMES has them. */
static int64_t soft_at(int i) {
    return (int64_t)BRIDGE_EXPAND >> i;
}

/* Soft tokens of column `i`; 0: it is not there. */
static int64_t soft_of(const struct bench *b, int i) {
    return b->soft[i] > 0 ? soft_at(i) : 0;
}

static void print_head(const struct bench *b, const char *what, int halvings) {
    if (b->a->json) {
        return;
    }
    printf("%s", what);
    for (int i = 0; i < SOFT; i++) {
        if (soft_of(b, i) > 0) {
            printf("%13s soft", SOFT_NAMES[i]);
        }
    }
    printf(halvings > 0 ? "   after %d halvings\n" : "\n", halvings);
}

/* A row of the table: a span's length. */
static int read_spans(struct bench *b, int64_t span, int halvings, struct error *e) {
    int rc = 0;
    if (!b->a->json) {
        printf("%-12" PRId64, span);
    }
    for (int i = 0; i < SOFT && rc == 0; i++) {
        struct line l = {
            .lesson = {.expand = soft_of(b, i), .least = span, .most = span, .halvings = halvings}};
        if (l.lesson.expand == 0) {
            continue;
        }
        rc = measure(b, &l, e);
        if (rc == 0 && !b->a->json) {
            printf("%9.2f%% %7.4f", 100 * score_sums_accuracy(&l.sums), score_sums_loss(&l.sums));
        }
    }
    if (!b->a->json) {
        printf("\n");
    }
    return flush(rc, e);
}

static int read_all(struct bench *b, int halvings, struct error *e) {
    int rc = 0;
    print_head(b, "span        ", halvings);
    for (int i = 0; i < SPANS && rc == 0; i++) {
        rc = b->spans[i] > 0 ? read_spans(b, (int64_t)1 << i, halvings, e) : 0;
    }
    return rc;
}

/* What follows the longest span, after its tokens, its text, or nothing. */
static int follow(struct bench *b, int halvings, struct error *e) {
    int rc = 0;
    int64_t span = 1;
    for (int i = 0; i < SPANS; i++) {
        span = b->spans[i] > 0 ? (int64_t)1 << i : span;
    }
    const struct span_lesson base = {
        .expand = 1, .least = span, .most = span, .continuing = 1, .halvings = halvings};
    struct line none = {.lesson = base}, text = {.lesson = base};
    none.lesson.before = SPAN_NOTHING;
    text.lesson.before = SPAN_TEXT;
    rc = measure(b, &none, e);
    rc = rc == 0 ? measure(b, &text, e) : rc;
    print_head(b, "follow      ", halvings);
    if (!b->a->json) {
        printf("%-12" PRId64, span);
    }
    for (int i = 0; i < SOFT && rc == 0; i++) {
        struct line l = {.lesson = base};
        l.lesson.expand = soft_of(b, i);
        if (l.lesson.expand == 0) {
            continue;
        }
        rc = measure(b, &l, e);
        if (rc == 0 && !b->a->json) {
            printf("%18.4f", exp(score_sums_loss(&l.sums)));
        }
    }
    if (rc == 0 && !b->a->json) {
        printf("\nperplexity; after nothing %.4f, after the text %.4f\n",
               exp(score_sums_loss(&none.sums)), exp(score_sums_loss(&text.sums)));
    }
    return flush(rc, e);
}

static int measure_all(struct bench *b, struct error *e) {
    const struct bridge_options *bridge = b->network.bridge;
    int64_t tokens, accounts = meter_accounts(b->meter, &tokens);
    int rc = 0;
    for (int i = 0; i < SOFT; i++) {
        const int64_t soft = soft_at(i);
        const bool possible = bridge_reads(bridge->kind) || bridge->expand == soft;
        if (b->a->soft != NULL && b->soft[i] > 0 && !possible) {
            return error_set(e, ERR_USAGE, "--soft %s: the adapter's bridge makes %" PRId64,
                             SOFT_NAMES[i], bridge->expand);
        }
        b->soft[i] = b->a->soft == NULL ? possible : b->soft[i];
    }
    log_info("%" PRId64 " visual tokens of %" PRId64 " accounts", tokens, accounts);
    for (int k = 0; k < HALVINGS && rc == 0; k++) {
        if (b->halvings[k] > 0) {
            rc = read_all(b, k, e);
            rc = rc == 0 ? follow(b, k, e) : rc;
        }
    }
    return rc;
}

int reading_run(const struct reading_arguments *a, const struct device_choice *d, struct error *e) {
    struct bench b = {.a = a};
    int rc = parse(&b, a, e);
    rc = rc == 0 ? open_adapter(&b, d, e) : rc;
    rc = rc == 0 ? open_stores(&b, e) : rc;
    rc = rc == 0 ? measure_all(&b, e) : rc;
    bench_close(&b);
    return rc;
}
