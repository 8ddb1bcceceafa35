/* train_align.c - `occ train align`. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "cli/data_file.h"
#include "cli/number.h"
#include "cli/train_command.h"
#include "store/log.h"

/* ---- Options --------------------------------------------------------------------------------- */

static bool is_power_of_two(int64_t n) {
    return n > 0 && (n & (n - 1)) == 0;
}

static int check_numbers(struct train_arguments *a, struct error *e) {
    struct align_options *o = &a->align.options;
    const struct {
        double *to;
        const char *name, *text;
        double least, most;
    } numbers[] = {{&o->held_out, "hold-out-accounts", a->tune.held_accounts, 0, 0.9},
                   {&o->bridge_rate, "bridge-rate", a->tune.bridge_rate, 0, 1e3},
                   {&o->match.rate, "match-rate", a->align.match_rate, 1e-8, 1},
                   {&o->limit, "lesson-loss", a->align.limit, 0, 100},
                   {&o->lessons, "lessons", a->align.lessons, 0, 1},
                   {&o->continuing, "follow", a->align.follow, 0, 1},
                   {&o->halved, "halved", a->align.halved, 0, 1}};
    int rc = 0;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && rc == 0; i++) {
        if (numbers[i].text != NULL) {
            rc = number_parse(numbers[i].to, numbers[i].name, numbers[i].text, numbers[i].least,
                              numbers[i].most, e);
        }
    }
    return rc;
}

static int check_shapes(const struct train_arguments *a, struct error *e) {
    enum { SHORTEST = 64 };
    const struct align_options *o = &a->align.options;
    if (!is_power_of_two(o->expand) || !is_power_of_two(o->span)) {
        return error_set(e, ERR_USAGE, "--%s: a power of two",
                         is_power_of_two(o->expand) ? "span" : "expand");
    }
    if (o->row < SHORTEST) {
        return error_set(e, ERR_USAGE, "--row: %d at least", SHORTEST);
    }
    if (a->align.match_rate != NULL && o->match.steps == 0) {
        return error_set(e, ERR_USAGE, "--match-rate: nothing is matched with --match 0");
    }
    /* of an adapter the kind is not known yet */
    return o->kind_said || a->from == NULL ? align_check(o, e) : 0;
}

/* What is gone on with has a shape of its own. */
static int check_from(const struct train_arguments *a, struct error *e) {
    const char *shape = a->from != NULL ? train_shape_named(a) : NULL;
    return shape == NULL ? 0
                         : error_set(e, ERR_USAGE, "%s: the adapter of --from has its own", shape);
}

int train_align_check(struct train_arguments *a, struct error *e) {
    struct align_options *o = &a->align.options;
    o->format = (enum decoder_format)a->tune.weights;
    o->kind = a->tune.bridge >= 0 ? (enum bridge_kind)a->tune.bridge : BRIDGE_NAMED;
    o->kind_said = a->tune.bridge >= 0;
    o->expand_said = a->tune.context.expand > 0;
    o->hidden_said = a->tune.hidden > 0;
    o->row = a->tune.context.row > 0 ? a->tune.context.row : o->row;
    o->expand = a->tune.context.expand > 0 ? a->tune.context.expand : o->expand;
    o->adapter = a->from;
    o->hidden = a->tune.hidden > 0 ? a->tune.hidden : o->hidden;
    o->batch = a->batch > 0 ? a->batch : o->batch;
    o->measure_steps = a->tune.measure > 0 ? a->tune.measure : o->measure_steps;
    o->measure_rows = a->tune.measure_rows > 0 ? a->tune.measure_rows : o->measure_rows;
    o->patience = a->tune.patience >= 0 ? a->tune.patience : o->patience;
    o->seed = (uint64_t)a->seed;
    int rc = train_adapters_check(a, &o->trainer, "align takes STORE...", e);
    rc = rc == 0 ? train_common(a, &o->trainer, e) : rc;
    rc = rc == 0 ? check_numbers(a, e) : rc;
    rc = rc == 0 ? check_shapes(a, e) : rc;
    rc = rc == 0 ? check_from(a, e) : rc;
    return rc == 0 ? train_lora(a, &o->lora, e) : rc;
}

/* ---- The run --------------------------------------------------------------------------------- */

static int check_row(const struct align_options *o, const struct decoder_config *c,
                     struct error *e) {
    return o->row <= c->context ? 0
                                : error_set(e, ERR_USAGE,
                                            "--row %" PRId64 ": the model was trained on %" PRId64
                                            " positions at most",
                                            o->row, c->context);
}

static int forecast(struct train_arguments *a, const struct decoder_config *config,
                    const struct decoder_folder *model, struct ledger *ledger, struct error *e) {
    int rc = check_row(&a->align.options, config, e);
    return rc == 0 ? align_forecast(&a->align.options, config, model, ledger, e) : rc;
}

static void show_result(const struct align_result *r) {
    struct rusage usage;
    log_info("%" PRId64 " steps, %" PRId64 " rows; %" PRId64 " tokens in this run, %.0f tokens/s; "
             "%" PRId64 " steps skipped",
             r->run.step, r->run.samples, r->tokens, r->tokens_per_second, r->run.skipped);
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        log_info("the process took %.1f MB at most", (double)usage.ru_maxrss * 1024e-6);
    }
    if (r->best_step < 0) {
        if (r->measured > 0) {
            log_warning("no held-out loss was a number: the last weights were written");
        }
        return;
    }
    log_info("held-out loss %.4f after step %" PRId64 ", %.4f before; %.2f%% of tokens read; what "
             "follows: perplexity %.3f",
             r->best, r->best_step, r->before, 100 * r->accuracy, exp(r->continuation));
    if (!(r->best < r->before)) {
        log_warning("no weights did better on held-out accounts than those that it began with");
    }
}

static int align(struct train_arguments *a, const struct decoder_folder *model,
                 struct history *const *histories, int count, const volatile sig_atomic_t *cancel,
                 struct error *e) {
    struct align_result result;
    int rc = train_make_folder(a->output, e);
    if (rc == 0) {
        rc = align_train(&a->align.options, model, histories, (size_t)count, cancel, &result, e);
        if (rc == 0 || rc == ERR_CANCELLED) {
            show_result(&result);
        }
        if (rc == 0 && result.run.step == 0) {
            log_warning("no step was done in the time: make it longer, or --batch smaller");
        }
    }
    return rc;
}

int train_align_run(struct train_arguments *a, char **files, int count,
                    const volatile sig_atomic_t *cancel, struct error *e) {
    struct align_options *o = &a->align.options;
    struct decoder_folder model = {.path = NULL};
    char bundled[4096];
    int opened = 0, rc = 0;
    if (a->encoder == NULL) {
        rc = data_file_find(bundled, sizeof bundled, "nano.safetensors", e);
    }
    o->encoder = a->encoder != NULL ? a->encoder : bundled;
    if (rc == 0 && a->tune.predict) {
        return train_predict(a, forecast, e);
    }
    struct history **histories = calloc((size_t)count + 1, sizeof *histories);
    rc = rc == 0 && histories == NULL ? error_memory(e, NULL) : rc;
    rc = rc == 0 ? decoder_folder_open(&model, a->tune.model, e) : rc;
    rc = rc == 0 ? check_row(o, &model.config, e) : rc;
    for (int i = 0; i < count && rc == 0; i++) {
        rc = history_open(&histories[i], files[i], NULL, cancel, e);
        opened += rc == 0;
    }
    rc = rc == 0 ? align(a, &model, histories, count, cancel, e) : rc;
    for (int i = 0; i < opened; i++) {
        history_close(histories[i]);
    }
    free(histories);
    decoder_folder_close(&model);
    return rc;
}
