/* adapter.c - see adapter.h. */
#include "train/adapter/adapter.h"

#include <inttypes.h>
#include <stdlib.h>

#include "compress/model.h"

struct adapter {
    const struct decoder *base;
    struct lora *lora; /* NULL: none */
    struct gspf *rows; /* likewise; they stand on the low rank, where there is one */
    struct bridge_options options;
    struct parameters *bridge;  /* NULL: none */
    struct bridge_names *names; /* of BRIDGE_NAMED */
    struct tape_source source;
};

/* ---- The bridge ------------------------------------------------------------------------------ */

/* Where values are read from. */
struct bridge_values {
    const struct bridge_folder *folder;
    const struct safetensors *encoder; /* NULL: of no use */
};

static int read_value(void *context, const char *name, float *values, struct error *e) {
    const struct bridge_values *from = context;
    return bridge_folder_floats(from->folder, from->encoder, name, values, e);
}

/* The head's file; its encoder must be the one that the bridge was trained for. */
static int open_encoder(struct safetensors **out, const struct bridge_folder *f, const char *path,
                        struct error *e) {
    struct model_info info;
    *out = NULL;
    if (!bridge_reads(f->options.kind) || (f->reader && f->options.kind != BRIDGE_NAMED)) {
        return 0;
    }
    if (path == NULL) {
        return error_set(e, ERR_USAGE, "%s: reads with an encoder's head: name the encoder's file",
                         f->path);
    }
    int rc = model_info(&info, path, e);
    if (rc == 0 && info.fingerprint != f->options.encoder) {
        rc = error_set(e, ERR_FORMAT,
                       "%s: was trained for tokens of the encoder %016" PRIx64
                       ", but %s is %016" PRIx64,
                       f->path, f->options.encoder, path, info.fingerprint);
    }
    return rc == 0 ? safetensors_open(out, path, e) : rc;
}

static int load_bridge(struct adapter *a, const struct bridge_folder *f, const char *encoder,
                       struct device *device, struct error *e) {
    const int64_t width = decoder_config(a->base)->width;
    struct safetensors *head = NULL;
    int rc = f->options.width == width
                 ? open_encoder(&head, f, encoder, e)
                 : error_set(e, ERR_FORMAT,
                             "%s: was trained for a base of width %" PRId64 ", not %" PRId64,
                             f->path, f->options.width, width);
    if (rc == 0) {
        rc = parameters_open(&a->bridge, device, e);
    }
    if (rc == 0) {
        rc = bridge_list(&f->options, false, parameters_take_frozen, a->bridge, e);
    }
    if (rc == 0) {
        rc = parameters_allocate(a->bridge, e);
    }
    if (rc == 0) {
        struct bridge_values from = {.folder = f, .encoder = head};
        rc = parameters_fill_from(a->bridge, read_value, &from, e);
    }
    if (rc == 0 && f->options.kind == BRIDGE_NAMED) {
        rc = bridge_names_open(&a->names, encoder, decoder_tokenizer(a->base), e);
    }
    safetensors_close(head);
    a->options = f->options;
    a->options.names = a->names;
    return rc;
}

static int open_bridge(struct adapter *a, const char *folder, const char *encoder,
                       struct device *device, struct error *e) {
    struct bridge_folder f;
    int rc = bridge_folder_open(&f, folder, e);
    if (rc == 0) {
        rc = load_bridge(a, &f, encoder, device, e);
        bridge_folder_close(&f);
    }
    if (rc == 0) {
        a->source = parameters_source(a->bridge);
    }
    return rc;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static int open_parts(struct adapter *a, const char *folder, const char *encoder,
                      struct device *device, struct error *e) {
    const bool lora = lora_folder_is(folder), rows = gspf_folder_is(folder);
    const bool bridge = bridge_folder_is(folder);
    if (!lora && !rows && !bridge) {
        return error_set(
            e, ERR_FORMAT,
            "%s: not an adapter's folder: it has neither adapter_config.json nor %s nor %s", folder,
            GSPF_FILE, BRIDGE_FILE);
    }
    int rc = lora ? lora_open(&a->lora, folder, a->base, device, e) : 0;
    if (rc == 0 && rows) {
        rc = gspf_open(&a->rows, folder, a->base,
                       a->lora != NULL ? lora_frozen_source(a->lora) : NULL, device, e);
    }
    if (rc == 0 && bridge) {
        rc = open_bridge(a, folder, encoder, device, e);
    }
    return rc;
}

int adapter_open(struct adapter **out, const char *folder, const struct decoder *base,
                 const char *encoder, struct device *device, struct error *e) {
    struct adapter *a = calloc(1, sizeof *a);
    *out = NULL;
    if (a == NULL) {
        return error_memory(e, "an adapter");
    }
    a->base = base;
    int rc = open_parts(a, folder, encoder, device, e);
    if (rc < 0) {
        adapter_close(a);
        return rc;
    }
    *out = a;
    return 0;
}

void adapter_close(struct adapter *a) {
    if (a != NULL) {
        gspf_close(a->rows);
        lora_close(a->lora);
        parameters_close(a->bridge);
        bridge_names_close(a->names);
        free(a);
    }
}

struct decoder_parts adapter_parts(const struct adapter *a) {
    return a->rows != NULL   ? gspf_frozen_parts(a->rows)
           : a->lora != NULL ? lora_frozen_parts(a->lora)
                             : decoder_parts(a->base);
}

bool adapter_bridge(const struct adapter *a, struct context_network *out) {
    if (a == NULL || a->bridge == NULL) {
        return false;
    }
    *out = (struct context_network){.bridge = &a->options, .source = &a->source};
    return true;
}
