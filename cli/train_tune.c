/* train_tune.c - `occ train tune`. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "cli/mix.h"
#include "cli/number.h"
#include "cli/train_command.h"
#include "store/log.h"

enum { CONTEXT = 8192 }; /* of rows, unless the model's is shorter */
static const char *const TARGETS[DECODER_MATRICES + 1] = {"q",    "k",  "v",    "o",
                                                          "gate", "up", "down", NULL};

/* ---- Options --------------------------------------------------------------------------------- */

/* What would do nothing: full tuning has no adapters, and those that are gone on with a shape. */
static int check_unused(const struct train_arguments *a, struct error *e) {
    const struct {
        const char *name;
        bool named, shape;
    } lora[] = {{"--rank", a->tune.rank > 0, true},
                {"--alpha", a->tune.alpha != NULL, true},
                {"--targets", a->tune.targets != NULL, true},
                {"--dropout", a->tune.dropout != NULL, false},
                {"--weights", a->tune.weights != DECODER_AUTO, false},
                {"--from", a->from != NULL, false}};
    for (size_t i = 0; i < sizeof lora / sizeof *lora; i++) {
        if (lora[i].named && a->tune.options.method == TUNE_FULL) {
            return error_set(e, ERR_USAGE, "%s is for adapters, which --method full does not make",
                             lora[i].name);
        }
        if (lora[i].named && lora[i].shape && a->from != NULL) {
            return error_set(e, ERR_USAGE, "%s: the adapter of --from has its own", lora[i].name);
        }
    }
    return 0;
}

static int check_lora(struct train_arguments *a, struct error *e) {
    struct lora_options *o = &a->tune.options.lora;
    double shares[DECODER_MATRICES];
    int rc = check_unused(a, e);
    if (rc == 0 && a->tune.targets != NULL) {
        rc = mix_parse(shares, TARGETS, "targets", a->tune.targets, e);
        for (int i = 0; i < DECODER_MATRICES && rc == 0; i++) {
            o->matrices[i] = shares[i] > 0;
        }
    }
    o->rank = a->tune.rank > 0 ? a->tune.rank : o->rank;
    o->alpha = 2 * (double)o->rank;
    if (rc == 0 && a->tune.alpha != NULL) {
        rc = number_parse(&o->alpha, "alpha", a->tune.alpha, 0, 1e6, e);
    }
    if (rc == 0 && a->tune.dropout != NULL) {
        rc = number_parse(&o->dropout, "dropout", a->tune.dropout, 0, 0.9, e);
    }
    return rc;
}

static int check_model(const struct train_arguments *a, struct error *e) {
    if (a->tune.model == NULL) {
        return error_set(e, ERR_USAGE, "no model is named: --model FOLDER");
    }
    return 0;
}

static int check_data(struct train_arguments *a, struct error *e) {
    struct corpus_options *o = &a->tune.corpus;
    if (a->files == 0 && !a->tune.predict) {
        return error_set(e, ERR_USAGE, "tune takes DATA...");
    }
    if (a->tune.predict && a->output == NULL) {
        a->output = ""; /* nothing is written */
    }
    o->packing = a->tune.packing != 0;
    o->seed = (uint64_t)a->seed;
    return number_parse(&o->held_out, "hold-out", a->tune.held_out, 0, 0.9, e);
}

int train_tune_check(struct train_arguments *a, struct error *e) {
    struct tune_options *o = &a->tune.options;
    o->method = (enum tune_method)a->tune.method;
    o->format = (enum decoder_format)a->tune.weights;
    o->adapter = a->from;
    o->batch = a->batch > 0 ? a->batch : o->batch;
    o->seed = (uint64_t)a->seed;
    o->trainer.tape.recompute = (enum tape_recompute)a->tune.recompute;
    o->trainer.compute = COMPUTES[a->device.compute];
    o->trainer.team = a->threads;
    int rc = check_model(a, e);
    if (rc == 0) {
        rc = check_data(a, e);
    }
    if (rc == 0) {
        rc = train_common(a, &o->trainer, e);
    }
    if (rc == 0) {
        rc = number_parse(&o->epochs, "epochs", a->tune.epochs, 1e-3, 1e6, e);
    }
    return rc == 0 ? check_lora(a, e) : rc;
}

/* ---- The forecast ---------------------------------------------------------------------------- */

static bool is_preset(const char *name) {
    for (int i = 0; DECODER_PRESETS[i] != NULL; i++) {
        if (strcmp(name, DECODER_PRESETS[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int append_ledger(struct bytes *out, const size_t bytes[LEDGER_COUNT], bool json,
                         struct error *e) {
    json_t *root = json_object();
    int rc = root != NULL ? 0 : error_memory(e, NULL);
    for (int i = 0; i <= LEDGER_COUNT && rc == 0; i++) {
        const char *name = i < LEDGER_COUNT ? LEDGER_NAMES[i] : "total";
        const size_t count = i < LEDGER_COUNT ? bytes[i] : ledger_total(bytes);
        if (json_object_set_new(root, name, json_integer((json_int_t)count)) != 0) {
            rc = error_memory(e, NULL);
        } else if (!json) {
            rc = bytes_printf(out, e, "%-12s %9.1f MB\n", name, (double)count * 1e-6);
        }
    }
    char *text = json ? json_dumps(root, JSON_COMPACT) : NULL;
    if (json && rc == 0) {
        rc = text != NULL ? bytes_printf(out, e, "%s\n", text) : error_memory(e, NULL);
    }
    free(text);
    json_decref(root);
    return rc;
}

/* How many tokens a row has at most. */
static int settle_context(struct train_arguments *a, const struct decoder_config *c,
                          struct error *e) {
    int64_t *context = &a->tune.corpus.context;
    if (*context > c->context) {
        return error_set(e, ERR_USAGE,
                         "--context %" PRId64 ": the model was trained on %" PRId64
                         " positions at most",
                         *context, c->context);
    }
    if (*context == 0) {
        *context = c->context < CONTEXT ? c->context : CONTEXT;
    }
    return 0;
}

/* Of a folder or of a preset, which needs no weights. */
static int predict(struct train_arguments *a, struct error *e) {
    const bool preset = is_preset(a->tune.model);
    struct decoder_folder folder = {.path = NULL};
    struct decoder_config config;
    struct ledger ledger;
    struct bytes text;
    int rc = preset ? decoder_preset(&config, a->tune.model, e)
                    : decoder_folder_open(&folder, a->tune.model, e);
    if (rc == 0) {
        if (!preset) {
            config = folder.config;
        }
        rc = settle_context(a, &config, e);
    }
    if (rc == 0) {
        rc = tune_forecast(&a->tune.options, &config, preset ? NULL : &folder,
                           a->tune.corpus.context, &ledger, e);
    }
    bytes_init(&text, 1 << 20);
    if (rc == 0) {
        rc = append_ledger(&text, ledger.predicted, a->tune.json, e);
    }
    if (rc == 0) {
        rc = options_print(bytes_text(&text), e);
    }
    bytes_close(&text);
    decoder_folder_close(&folder);
    return rc;
}

/* ---- The run --------------------------------------------------------------------------------- */

static void show_counts(const struct corpus *corpus) {
    static const char *const NAMES[CORPUS_SETS] = {
        [CORPUS_TRAINING] = "to learn from", [CORPUS_HELD_OUT] = "held out"};
    for (int i = 0; i < CORPUS_SETS; i++) {
        const struct corpus_counts n = corpus_counts(corpus, (enum corpus_set)i);
        log_info("%s: %" PRId64 " documents of %" PRId64 " accounts, %" PRId64 " tokens, %" PRId64
                 " of them targets; %" PRId64 " documents without text left out",
                 NAMES[i], n.documents, n.accounts, n.tokens, n.targets, n.empty);
    }
}

static void show_result(const struct tune_result *r) {
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
    log_info("held-out loss %.4f, perplexity %.3f after step %" PRId64 "; %.4f, %.3f before",
             r->best, exp(r->best), r->best_step, r->before, exp(r->before));
    if (!(r->best < r->before)) {
        log_warning("no weights did better on held-out text than those that it began with");
    }
}

static int tune(struct train_arguments *a, const struct decoder_folder *model,
                const struct corpus *corpus, const volatile sig_atomic_t *cancel, struct error *e) {
    struct tune_result result;
    show_counts(corpus);
    int rc = train_make_folder(a->output, e);
    if (rc == 0) {
        rc = tune_train(&a->tune.options, model, corpus, cancel, &result, e);
        if (rc == 0 || rc == ERR_CANCELLED) {
            show_result(&result);
        }
        if (rc == 0 && result.run.step == 0) {
            log_warning("no step was done in the time: make it longer, or --batch smaller");
        }
    }
    return rc;
}

int train_tune_run(struct train_arguments *a, char **files, int count,
                   const volatile sig_atomic_t *cancel, struct error *e) {
    struct decoder_folder model = {.path = NULL};
    struct corpus *corpus = NULL;
    if (a->tune.predict) {
        return predict(a, e);
    }
    int rc = decoder_folder_open(&model, a->tune.model, e);
    if (rc == 0) {
        rc = settle_context(a, &model.config, e);
    }
    if (rc == 0) {
        a->tune.corpus.model = &model;
        rc = corpus_open(&corpus, &a->tune.corpus, files, count, cancel, e);
    }
    if (rc == 0) {
        rc = tune(a, &model, corpus, cancel, e);
    }
    corpus_close(corpus);
    decoder_folder_close(&model);
    return rc;
}
