/* start.c - what a run begins with: the adapter of --from, or nothing; and what that settles. */
#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

#include "compress/model.h"
#include "train/tune/task.h"

/* ---- The adapter ----------------------------------------------------------------------------- */

/* The beginning of each tensor: enough to tell one adapter from another. */
static uint64_t hash_tensors(const struct safetensors *file, uint64_t hash) {
    enum { BEGINNING = 256 };
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const struct safetensor *t = safetensors_get(file, i);
        hash = XXH3_64bits_withSeed(t->name, strlen(t->name), hash);
        hash = XXH3_64bits_withSeed(t->data, t->bytes < BEGINNING ? t->bytes : BEGINNING, hash);
    }
    return hash;
}

static int open_lora(struct tune_task *k, const char *folder, struct error *e) {
    struct tune_start *s = &k->start;
    int rc = lora_folder_open(&s->lora, folder, k->config, e);
    s->has_lora = rc == 0;
    if (rc == 0) {
        s->hash = hash_tensors(s->lora.tensors, s->hash);
    }
    return rc;
}

static int open_rows(struct tune_task *k, const char *folder, struct error *e) {
    struct tune_start *s = &k->start;
    int rc = gspf_folder_open(&s->rows, folder, k->config, e);
    s->has_rows = rc == 0;
    if (rc == 0) {
        s->hash = hash_tensors(s->rows.tensors, s->hash);
    }
    return rc;
}

static int open_bridge(struct tune_task *k, const char *folder, struct error *e) {
    struct tune_start *s = &k->start;
    int rc = bridge_folder_open(&s->bridge, folder, e);
    s->has_bridge = rc == 0;
    if (rc == 0) {
        s->hash = hash_tensors(s->bridge.tensors, s->hash);
    }
    if (rc == 0 && s->bridge.options.width != k->config->width) {
        rc = error_set(e, ERR_FORMAT,
                       "%s: its bridge leads to a model of %" PRId64 " numbers, this has %" PRId64,
                       folder, s->bridge.options.width, k->config->width);
    }
    return rc;
}

/* Also a bridge that no context asks for, which is shipped again. A folder without anything is
 * named by what is missed first. */
static int open_adapter(struct tune_task *k, const char *folder, struct error *e) {
    const bool rows = gspf_folder_is(folder), bridge = bridge_folder_is(folder);
    const bool lora = lora_folder_is(folder) || (!rows && !bridge);
    int rc = lora ? open_lora(k, folder, e) : 0;
    if (rc == 0 && rows) {
        rc = open_rows(k, folder, e);
    }
    if (rc == 0 && bridge) {
        rc = open_bridge(k, folder, e);
    }
    return rc;
}

static int check_method(const struct tune_task *k, struct error *e) {
    const struct tune_options *o = k->options;
    const struct tune_start *s = &k->start;
    if (o->method == TUNE_FULL && (s->has_lora || s->has_rows)) {
        return error_set(e, ERR_USAGE,
                         "%s: full tuning has no adapters; merge it into the model first",
                         o->adapter);
    }
    if (o->method == TUNE_LORA && s->has_rows) {
        return error_set(e, ERR_USAGE, "%s: has trained rows, which go on with --method gspf",
                         o->adapter);
    }
    return 0;
}

/* ---- The bridge ------------------------------------------------------------------------------ */

/* Of a forecast: there are no weights to know the scale from. */
static int begin_dry(struct tune_task *k, struct error *e) {
    struct device *device = NULL; /* on which the encoder's file is opened */
    int rc = tune_open_device(k, &device, e);
    rc = rc == 0 ? bridge_begin(&k->bridge, k->options->bridge.encoder, NULL, device, e) : rc;
    device_close(device);
    k->bridge.width = k->config->width;
    k->bridge.scale = 1;
    return rc;
}

/* A new one belongs to the encoder's tokens and to the embeddings of the decoder, which in full
 * tuning is not there otherwise. */
static int begin_bridge(struct tune_task *k, struct error *e) {
    struct decoder *base = k->base;
    int rc = base != NULL ? 0 : tune_open_decoder(k, &base, e);
    if (rc == 0) {
        rc = bridge_begin(&k->bridge, k->options->bridge.encoder, base, k->device, e);
    }
    if (base != k->base) {
        decoder_close(base);
    }
    return rc;
}

/* An adapter keeps its own; experts may be added to it. */
static int settle_options(struct tune_task *k, struct error *e) {
    const struct bridge_options *asked = &k->options->bridge.options;
    const struct tune_start *s = &k->start;
    int rc = 0;
    k->bridge = *asked;
    if (s->has_bridge) {
        const bool experts = s->bridge.options.experts.count > 0;
        k->bridge = s->bridge.options;
        k->bridge.experts = experts ? k->bridge.experts : asked->experts;
        k->reader = s->bridge.reader;
    } else {
        rc = k->dry ? begin_dry(k, e) : begin_bridge(k, e);
    }
    if (k->bridge.experts.hidden == 0) {
        k->bridge.experts.hidden = (k->config->width + 3) / 4;
    }
    return rc == 0 ? bridge_check(&k->bridge, e) : rc;
}

/* The reading head is that of the encoder that made the tokens, and so is what learns along. */
static int open_encoder(struct tune_task *k, struct error *e) {
    const char *path = k->options->bridge.encoder;
    struct model_info info;
    if (path == NULL) {
        return error_set(e, ERR_USAGE,
                         "%s: its bridge needs the encoder that made the tokens: --encoder FILE",
                         k->options->adapter);
    }
    int rc = model_info(&info, path, e);
    if (rc == 0 && info.fingerprint != k->bridge.encoder) {
        return error_set(
            e, ERR_FORMAT,
            "%s: is not the encoder whose tokens are read; name that one with --encoder", path);
    }
    k->encoder_config = info.config;
    return rc == 0 ? safetensors_open(&k->encoder, path, e) : rc;
}

/* Tokens of another encoder mean something else. */
static int check_store(const struct tune_task *k, struct error *e) {
    const struct store_encoder *made = history_encoder(k->data.history);
    return made->fingerprint == k->bridge.encoder && (int64_t)made->dim == k->bridge.dim
               ? 0
               : error_set(
                     e, ERR_FORMAT,
                     "the store's tokens are those of the encoder '%s', and %s reads another's",
                     made->name, k->start.has_bridge ? k->options->adapter : "the bridge");
}

static int check_learning(const struct tune_task *k, struct error *e) {
    const struct tune_start *s = &k->start;
    const enum bridge_kind kind =
        s->has_bridge ? s->bridge.options.kind : k->options->bridge.options.kind;
    return tune_encodes(k->options) && kind == BRIDGE_NAMED
               ? error_set(e, ERR_USAGE,
                           "--encoder-rate: a bridge that names characters passes no gradient on "
                           "to an encoder; --bridge reading does")
               : 0;
}

int tune_start_bridge(struct tune_task *k, struct error *e) {
    if (!k->options->bridge.used) {
        return 0;
    }
    int rc = check_learning(k, e);
    rc = rc == 0 ? settle_options(k, e) : rc;
    if (rc == 0 && k->data.history != NULL) {
        rc = check_store(k, e);
    }
    if (rc == 0 && k->bridge.kind == BRIDGE_NAMED) {
        rc = bridge_names_open(&k->names, k->options->bridge.encoder,
                               k->model != NULL ? k->model->tokenizer : NULL, e);
        k->bridge.names = k->names;
    }
    const bool head = bridge_reads(k->bridge.kind) && !k->reader;
    return rc == 0 && (head || tune_encodes(k->options)) ? open_encoder(k, e) : rc;
}

/* ---- What is gone on with -------------------------------------------------------------------- */

static void settle_lora(struct tune_task *k) {
    const struct tune_options *o = k->options;
    k->lora = o->lora;
    if (k->start.has_lora) {
        k->lora = k->start.lora.options;
        k->lora.dropout = o->lora.dropout;
    }
}

int tune_start_open(struct tune_task *k, struct error *e) {
    const char *adapter = k->options->adapter;
    int rc = adapter != NULL ? open_adapter(k, adapter, e) : 0;
    if (rc == 0) {
        rc = check_method(k, e);
    }
    settle_lora(k);
    return rc;
}

void tune_start_close(struct tune_task *k) {
    struct tune_start *s = &k->start;
    if (s->has_lora) {
        lora_folder_close(&s->lora);
    }
    if (s->has_rows) {
        gspf_folder_close(&s->rows);
    }
    if (s->has_bridge) {
        bridge_folder_close(&s->bridge);
    }
    bridge_names_close(k->names);
    safetensors_close(k->encoder);
}
