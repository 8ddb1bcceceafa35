/* align.c - see align.h: what both runs need, and the one after the other. */
#include "train/align/align.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "compress/dry.h"
#include "store/clock.h"
#include "store/file.h"
#include "train/align/task.h"
#include "train/gspf/gspf.h"

const struct align_options ALIGN_DEFAULTS = {
    .trainer = {.device = "auto",
                .optimizer = {.decay = 0, .beta1 = 0.9, .beta2 = 0.98, .epsilon = 1e-8, .clip = 1},
                .schedule = {.rate = 1e-3, .steps = 15000, .warm_up = -1},
                .tape = {.storage = DTYPE_BF16, .sums = DTYPE_BF16, .recompute = RECOMPUTE_NONE},
                .threads = 1,
                .team = 0,
                .save_ms = 5 * 60 * 1000,
                .note_steps = 1},
    .lora = LORA_DEFAULTS,
    .kind = BRIDGE_NAMED,
    .hidden = 1024,
    .bridge_rate = -1,
    .match = {.rate = 0, .steps = -1, .warm_up = 30},
    .match_tokens = 128,
    .batch = 1,
    .row = 1024,
    .expand = 1,
    .span = 64,
    .limit = 0.7,
    .lessons = 0.6,
    .continuing = 0.25,
    .halved = 0.25,
    .held_out = 0.05,
    .measure_steps = 300,
    .measure_rows = 16,
    .patience = 0,
    .seed = 1};

/* ---- What both runs need --------------------------------------------------------------------- */

/* What is gone on with keeps its shape; dropout is no part of it. */
static int settle_adapter(struct align_network *n, struct align_options *o, struct error *e) {
    struct lora_folder lora;
    struct bridge_folder bridge;
    int rc = 0;
    n->lora = o->lora;
    n->reader = o->reader;
    if (o->adapter != NULL && gspf_folder_is(o->adapter)) {
        return error_set(e, ERR_USAGE,
                         "%s: has rows of the decoder, which aligning does not go on with; 'occ "
                         "model merge' makes a model with them",
                         o->adapter);
    }
    if (o->adapter != NULL && (lora_folder_is(o->adapter) || !bridge_folder_is(o->adapter))) {
        rc = lora_folder_open(&lora, o->adapter, n->config, e);
        if (rc == 0) {
            n->lora = lora.options;
            n->lora.dropout = o->lora.dropout;
            lora_folder_close(&lora);
        }
    }
    if (rc == 0 && o->adapter != NULL && bridge_folder_is(o->adapter)) {
        rc = bridge_folder_open(&bridge, o->adapter, e);
        if (rc == 0) {
            n->bridge = bridge.options;
            n->reader |= bridge.reader;
            o->kind = o->kind_said ? o->kind : n->bridge.kind;
            o->expand = o->expand_said || bridge_reads(o->kind) ? o->expand : n->bridge.expand;
            bridge_folder_close(&bridge);
        }
    }
    return rc;
}

/* A bridge that was there before must be for this decoder and for what tokens come from. */
static int check_bridge(const struct align_network *n, const struct bridge_options *wanted,
                        struct error *e) {
    const struct align_options *o = n->options;
    if (n->bridge.width != wanted->width || n->bridge.dim != wanted->dim ||
        n->bridge.encoder != wanted->encoder) {
        return error_set(e, ERR_FORMAT, "%s: its bridge is for another %s", o->adapter,
                         n->bridge.width != wanted->width ? "model" : "encoder");
    }
    if (n->bridge.kind != o->kind || (!bridge_reads(o->kind) && n->bridge.expand != o->expand) ||
        (o->hidden_said && n->bridge.hidden != o->hidden)) {
        return error_set(e, ERR_USAGE,
                         "%s: its bridge is of the kind %s, with %" PRId64
                         " soft tokens for each visual one and %" PRId64 " hidden numbers",
                         o->adapter, BRIDGE_KIND_NAMES[n->bridge.kind], n->bridge.expand,
                         n->bridge.hidden);
    }
    return 0;
}

static int settle_bridge(struct align_network *n, const struct decoder *base, struct device *device,
                         struct error *e) {
    const struct align_options *o = n->options;
    struct bridge_options new = {.kind = o->kind,
                                 .width = n->config->width,
                                 .scale = 1,
                                 .expand = o->expand,
                                 .hidden = o->kind == BRIDGE_MLP ? o->hidden : 0};
    int rc = bridge_begin(&new, o->encoder, base, device, e);
    new.buckets = SPAN_HALVINGS + 1;
    if (rc == 0 && n->bridge.width > 0) {
        return check_bridge(n, &new, e);
    }
    n->bridge = new;
    return rc == 0 ? bridge_check(&new, e) : rc;
}

/* What characters are called by, where they are. model NULL: a forecast. */
static int settle_names(struct align_network *n, const struct decoder_folder *model,
                        struct error *e) {
    if (n->bridge.kind != BRIDGE_NAMED) {
        return 0;
    }
    int rc = bridge_names_open(&n->names, n->options->encoder,
                               model != NULL ? model->tokenizer : NULL, e);
    n->bridge.names = n->names;
    return rc;
}

static int check_encoder(const struct align_network *n, struct error *e) {
    const struct store_encoder *stored = material_encoder(n->material);
    return stored->fingerprint == n->bridge.encoder
               ? 0
               : error_set(
                     e, ERR_USAGE,
                     "the tokens were made by %s (%016" PRIx64 "), not by %s (%016" PRIx64 ")",
                     stored->name, stored->fingerprint, n->options->encoder, n->bridge.encoder);
}

/* ---- The runs -------------------------------------------------------------------------------- */

static double seconds_of(int64_t ms) {
    return (double)ms * 1e-3;
}

/* What is matched begins a run that reads; once that has a checkpoint, it is of no more use. */
static int train(struct align_network *n, const volatile sig_atomic_t *cancel,
                 struct align_result *result, struct error *e) {
    const struct align_options *o = n->options;
    const double began = clock_seconds();
    struct align_options own = *o;
    char *matched = file_path(o->trainer.folder, ALIGN_MATCH_FOLDER "/adapter", e);
    const char *bridge = o->adapter;
    int rc = matched != NULL ? 0 : ERR_MEMORY;
    if (rc == 0 && o->match.steps > 0 && !file_is_there(o->trainer.folder, TRAINER_CHECKPOINT)) {
        rc = match_train(n, cancel, &result->matched, e);
    }
    bridge = rc == 0 && o->match.steps > 0 ? matched : bridge;
    if (rc == 0 && o->trainer.time_ms > 0) {
        const double left = seconds_of(o->trainer.time_ms) - (clock_seconds() - began);
        own.trainer.time_ms = left > 1e-3 ? (int64_t)(left * 1e3) : 1;
    }
    n->options = &own;
    rc = rc == 0 ? align_read(n, bridge, cancel, result, e) : rc;
    n->options = o;
    free(matched);
    return rc;
}

/* Steps of matching that a new bridge needs. */
static int64_t match_steps(enum bridge_kind kind) {
    enum { SPELLING = 2000, MEANS = 500 };
    return kind == BRIDGE_NAMED ? 0 : kind == BRIDGE_READING ? SPELLING : MEANS;
}

/* What was not said. Merges are maps of small numbers, which a high rate wrecks. */
static int settle_kind(const struct align_network *n, struct align_options *o, struct error *e) {
    static const char *const GROUPS[] = {"bridge", "spell", "experts", READING_GROUP};
    static const double MERGING_RATE = 0.3;
    const bool reads = bridge_reads(o->kind), is_new = n->bridge.width == 0;
    const bool said = o->match.steps >= 0;
    if (!said) {
        o->match.steps = is_new ? match_steps(o->kind) : 0;
    }
    if (!said && o->match.rate > 0 && o->match.steps == 0) {
        return error_set(e, ERR_USAGE, "--match-rate: nothing is matched, unless --match says so");
    }
    if (o->match.rate <= 0) {
        o->match.rate = reads ? 2e-3 : 3e-3;
    }
    if (o->bridge_rate < 0) {
        o->bridge_rate = reads ? MERGING_RATE : 1;
    }
    for (size_t i = 0; i < sizeof GROUPS / sizeof *GROUPS; i++) {
        o->trainer.optimizer.groups[i] =
            (struct optimizer_group){.name = GROUPS[i], .rate = o->bridge_rate, .decay = 1};
    }
    return 0;
}

int align_check(const struct align_options *o, struct error *e) {
    if (o->hidden_said && o->kind != BRIDGE_MLP) {
        return error_set(e, ERR_USAGE, "--hidden is of --bridge mlp");
    }
    if (o->reader && o->kind != BRIDGE_READING) {
        return error_set(e, ERR_USAGE, "--reader: a bridge of the kind %s has no head that learns",
                         BRIDGE_KIND_NAMES[o->kind]);
    }
    if (o->match.steps > 0 && o->kind == BRIDGE_NAMED) {
        return error_set(e, ERR_USAGE,
                         "--match: a bridge that names characters has nothing to match");
    }
    if (o->match.rate > 0 && o->match.steps < 0 && o->kind == BRIDGE_NAMED) {
        return error_set(e, ERR_USAGE, "--match-rate: nothing is matched");
    }
    return 0;
}

int align_train(const struct align_options *options, const struct decoder_folder *model,
                struct history *const *histories, size_t count, const volatile sig_atomic_t *cancel,
                struct align_result *result, struct error *e) {
    struct align_options o = *options;
    struct align_network n = {.options = &o, .config = &model->config, .model = model};
    struct material *material = NULL;
    struct safetensors *encoder = NULL;
    struct device *device = NULL;
    struct decoder *base = NULL;
    const struct backend *backend;
    enum dtype compute;
    *result = (struct align_result){.best_step = -1, .matched = (double)NAN};
    int rc = trainer_backend(&o.trainer, &backend, &compute, e);
    rc = rc == 0 ? material_open(&material, histories, count, o.held_out, e) : rc;
    rc = rc == 0 ? safetensors_open(&encoder, o.encoder, e) : rc;
    rc = rc == 0 ? device_open(&device, backend, compute, e) : rc;
    rc = rc == 0 ? decoder_open(&base, model, o.format, device, e) : rc;
    n.material = material;
    n.encoder = encoder;
    n.base = base;
    n.device = device;
    rc = rc == 0 ? settle_adapter(&n, &o, e) : rc;
    rc = rc == 0 ? align_check(&o, e) : rc;
    rc = rc == 0 ? settle_kind(&n, &o, e) : rc;
    rc = rc == 0 ? settle_bridge(&n, base, device, e) : rc;
    rc = rc == 0 ? settle_names(&n, model, e) : rc;
    rc = rc == 0 ? check_encoder(&n, e) : rc;
    rc = rc == 0 ? train(&n, cancel, result, e) : rc;
    bridge_names_close(n.names);
    decoder_close(base);
    device_close(device);
    safetensors_close(encoder);
    material_close(material);
    return rc;
}

int align_forecast(const struct align_options *options, const struct decoder_config *config,
                   const struct decoder_folder *model, struct ledger *ledger, struct error *e) {
    struct align_options o = *options;
    struct align_network n = {.options = &o, .config = config};
    const struct backend *backend;
    struct device *dry = NULL, *device = NULL;
    struct decoder *base = NULL;
    enum dtype compute;
    *ledger = (struct ledger){.predicted = {0}};
    int rc = trainer_backend(&o.trainer, &backend, &compute, e);
    rc = rc == 0 ? device_open(&device, backend, compute, e) : rc;
    rc = rc == 0 ? dry_open(&dry, backend, compute, e) : rc;
    rc = rc == 0 ? decoder_open_dry(&base, config, model, o.format, dry, e) : rc;
    n.base = base;
    rc = rc == 0 ? settle_adapter(&n, &o, e) : rc;
    rc = rc == 0 ? align_check(&o, e) : rc;
    rc = rc == 0 ? settle_kind(&n, &o, e) : rc;
    rc = rc == 0 ? settle_bridge(&n, NULL, device, e) : rc;
    rc = rc == 0 ? settle_names(&n, NULL, e) : rc;
    rc = rc == 0 ? align_read_forecast(&n, ledger, e) : rc;
    if (rc == 0 && o.match.steps > 0) {
        struct ledger matching;
        rc = match_forecast(&n, &matching, e);
        *ledger =
            ledger_total(matching.predicted) > ledger_total(ledger->predicted) ? matching : *ledger;
    }
    bridge_names_close(n.names);
    decoder_close(base);
    dry_close(dry);
    device_close(device);
    return rc;
}
