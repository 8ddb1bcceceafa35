/* decoder.c - frozen weights: see decoder.h. */
#include "train/decoder/decoder.h"

#include <stdlib.h>

#include "train/decoder/frozen.h"

const char *const DECODER_FORMAT_NAMES[] = {"auto", "f32", "bf16", "int8", "int4", NULL};

/* A matrix as products read it, and what it lies in if that is not the file. */
struct held {
    struct packed *packed;
    void *memory; /* owned */
};

struct decoder {
    struct decoder_config config;
    const struct tokenizer *tokenizer; /* of its folder; NULL: there is none */
    const struct ops *ops;
    struct held embedding, head; /* head: where it is not tied */
    struct held *matrices;       /* (layers, DECODER_MATRICES) */
    struct tensor gains;         /* (2 layers + 1, width) F32 */
    struct tensor *rows;         /* of gains, of which each is a parameter of its own */
    size_t bytes;
};

/* ---- Matrices -------------------------------------------------------------------------------- */

static bool packed_type(enum dtype type) {
    return type == DTYPE_I8 || type == DTYPE_U8;
}

/* The format in which a matrix is kept. Words (the embedding and the head) are not made smaller
 * than int8: they are what text is told by, and 4 bits cost them most. */
static enum frozen_format format_of(const struct stored_matrix *m, enum decoder_format wanted,
                                    enum dtype compute, bool words) {
    struct frozen_matrix stored;
    const bool frozen = stored_matrix_frozen(m, &stored);
    switch (wanted) {
    case DECODER_AUTO:
        if (packed_type(m->type) || m->type == DTYPE_BF16) {
            return stored.format;
        }
        break;
    case DECODER_F32:
        return FROZEN_F32;
    case DECODER_BF16:
        return FROZEN_BF16;
    case DECODER_INT8:
        return FROZEN_I8;
    case DECODER_INT4:
        return words && !(frozen && stored.format == FROZEN_U4) ? FROZEN_I8 : FROZEN_U4;
    }
    return compute == DTYPE_BF16 ? FROZEN_BF16 : FROZEN_F32;
}

struct opening {
    struct decoder *decoder;
    const struct decoder_folder *folder; /* NULL: there is a configuration alone */
    enum decoder_format format;
    struct device *device;
    bool dry; /* only sizes are looked at */
};

/* Of a configuration alone: as if it were stored in F32. */
static int find_matrix(const struct opening *o, struct stored_matrix *m, const char *name,
                       int64_t outputs, int64_t inputs, struct error *e) {
    if (o->folder != NULL) {
        return stored_matrix_find(m, o->folder->tensors, name, e);
    }
    *m = (struct stored_matrix){.type = DTYPE_F32,
                                .frozen = {.outputs = outputs, .inputs = inputs, .block = inputs}};
    return 0;
}

static int make_copy(const struct opening *o, struct frozen_copy *copy,
                     const struct stored_matrix *m, const char *name, enum frozen_format format,
                     struct error *e) {
    if (o->dry) {
        return frozen_copy_shape(&copy->matrix, name, m, format, e);
    }
    int rc = frozen_copy_make(copy, name, m, format, e);
    stored_matrix_drop(m, o->folder->tensors);
    return rc;
}

/* Stays in the file where it is there in that format; else a copy is made. What the device does not
 * read where it lies is not needed once it is packed. */
static int hold(const struct opening *o, struct held *out, const char *name, bool words,
                int64_t outputs, int64_t inputs, struct error *e) {
    struct stored_matrix m;
    struct frozen_copy copy = {.memory = NULL};
    int rc = find_matrix(o, &m, name, outputs, inputs, e);
    if (rc < 0) {
        return rc;
    }
    const enum frozen_format format = format_of(&m, o->format, o->device->compute, words);
    if (!stored_matrix_frozen(&m, &copy.matrix) || copy.matrix.format != format) {
        rc = make_copy(o, &copy, &m, name, format, e);
    }
    if (rc == 0) {
        rc = o->device->ops->pack_frozen(o->device, &out->packed, &copy.matrix, e);
    }
    if (rc == 0) {
        o->decoder->bytes += frozen_bytes(&copy.matrix);
        out->memory = copy.memory;
    } else {
        free(copy.memory);
    }
    if (rc == 0 && !o->dry && !o->device->backend->host_memory) {
        free(out->memory);
        out->memory = NULL;
        stored_matrix_drop(&m, o->folder->tensors);
    }
    return rc;
}

static int hold_all(const struct opening *o, struct error *e) {
    struct decoder *d = o->decoder;
    const struct decoder_config *c = &d->config;
    char name[TENSOR_SPEC_NAME];
    int rc = hold(o, &d->embedding, DECODER_EMBEDDING, true, c->vocabulary, c->width, e);
    if (rc == 0 && !c->tied) {
        rc = hold(o, &d->head, DECODER_HEAD, true, c->vocabulary, c->width, e);
    }
    for (int64_t i = 0; i < c->layers * DECODER_MATRICES && rc == 0; i++) {
        const enum decoder_matrix which = (enum decoder_matrix)(i % DECODER_MATRICES);
        int64_t outputs, inputs;
        decoder_matrix_shape(c, which, &outputs, &inputs);
        decoder_weight_name(name, i / DECODER_MATRICES, which);
        rc = hold(o, &d->matrices[i], name, false, outputs, inputs, e);
    }
    return rc;
}

static void let_go(const struct decoder *d, struct held *h) {
    if (h->packed != NULL) {
        d->ops->packed_close(h->packed);
    }
    free(h->memory);
}

/* ---- Gains ----------------------------------------------------------------------------------- */

/* The row of a gain. */
static int64_t row_of(const struct decoder_config *c, enum decoder_gain which, int64_t layer) {
    return which == GAIN_FINAL ? 2 * c->layers : 2 * layer + (which == GAIN_MLP);
}

static int read_gains(const struct decoder_folder *f, float *values, struct error *e) {
    const struct decoder_config *c = &f->config;
    char name[TENSOR_SPEC_NAME];
    int rc = 0;
    for (int64_t i = 0; i <= 2 * c->layers && rc == 0; i++) {
        const enum decoder_gain which = i == 2 * c->layers ? GAIN_FINAL
                                        : i % 2 == 1       ? GAIN_MLP
                                                           : GAIN_ATTENTION;
        decoder_gain_name(name, which, i / 2);
        rc = decoder_folder_floats(f, name, values + i * c->width, e);
    }
    return rc;
}

/* Where the device reads the host's memory they stay there. */
static int load_gains(const struct opening *o, struct error *e) {
    struct device *device = o->device;
    struct tensor *gains = &o->decoder->gains;
    if (o->dry) {
        return device->ops->alloc(device, gains, e);
    }
    float *values = malloc(tensor_bytes(gains));
    if (values == NULL) {
        return error_memory(e, "weights");
    }
    const struct tensor host =
        tensor_matrix(values, DTYPE_F32, NULL, tensor_rows(gains), tensor_width(gains));
    int rc = read_gains(o->folder, values, e);
    if (device->backend->host_memory) {
        gains->data = values;
        return rc;
    }
    rc = rc == 0 ? device->ops->alloc(device, gains, e) : rc;
    rc = rc == 0 ? device->ops->upload(device, gains, &host, e) : rc;
    free(values);
    return rc;
}

static void release_gains(struct decoder *d) {
    if (d->gains.home != NULL) {
        d->ops->release(d->gains.home, &d->gains);
    } else {
        free(d->gains.data);
    }
    free(d->rows);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static int open_all(struct decoder **out, struct opening *o, const struct decoder_config *c,
                    struct error *e) {
    const int64_t rows = 2 * c->layers + 1;
    struct decoder *d = calloc(1, sizeof *d);
    *out = NULL;
    if (d == NULL) {
        return error_memory(e, NULL);
    }
    o->decoder = d;
    d->config = *c;
    d->tokenizer = o->folder != NULL ? o->folder->tokenizer : NULL;
    d->ops = o->device->ops;
    d->matrices = calloc((size_t)(c->layers * DECODER_MATRICES), sizeof *d->matrices);
    d->rows = calloc((size_t)rows, sizeof *d->rows);
    d->gains = tensor_matrix(NULL, DTYPE_F32, NULL, rows, c->width);
    int rc = d->matrices != NULL && d->rows != NULL ? hold_all(o, e) : error_memory(e, "weights");
    rc = rc == 0 ? load_gains(o, e) : rc;
    /* other devices read them then */
    rc = rc == 0 ? o->device->ops->synchronize(o->device, e) : rc;
    if (rc < 0) {
        decoder_close(d);
        return rc;
    }
    for (int64_t i = 0; i < rows; i++) {
        d->rows[i] = tensor_row_range(&d->gains, i, 1);
    }
    d->bytes += tensor_bytes(&d->gains);
    *out = d;
    return 0;
}

int decoder_open(struct decoder **out, const struct decoder_folder *folder,
                 enum decoder_format format, struct device *device, struct error *e) {
    struct opening o = {.folder = folder, .format = format, .device = device};
    int rc = open_all(out, &o, &folder->config, e);
    return rc < 0 ? error_context(e, "%s", folder->path) : 0;
}

int decoder_open_dry(struct decoder **out, const struct decoder_config *c,
                     const struct decoder_folder *folder, enum decoder_format format,
                     struct device *device, struct error *e) {
    struct opening o = {.folder = folder, .format = format, .device = device, .dry = true};
    int rc = open_all(out, &o, c, e);
    return rc < 0 && folder != NULL ? error_context(e, "%s", folder->path) : rc;
}

void decoder_close(struct decoder *d) {
    if (d == NULL) {
        return;
    }
    for (int64_t i = 0; d->matrices != NULL && i < d->config.layers * DECODER_MATRICES; i++) {
        let_go(d, &d->matrices[i]);
    }
    let_go(d, &d->embedding);
    let_go(d, &d->head);
    release_gains(d);
    free(d->matrices);
    free(d);
}

const struct decoder_config *decoder_config(const struct decoder *d) {
    return &d->config;
}

const struct tokenizer *decoder_tokenizer(const struct decoder *d) {
    return d->tokenizer;
}

size_t decoder_bytes(const struct decoder *d) {
    return d->bytes;
}

const struct packed *decoder_packed(const struct decoder *d, int64_t layer,
                                    enum decoder_matrix which) {
    return d->matrices[layer * DECODER_MATRICES + which].packed;
}

/* ---- On a tape ------------------------------------------------------------------------------- */

static const struct packed *head_of(const struct decoder *d) {
    return d->config.tied ? d->embedding.packed : d->head.packed;
}

static struct node *frozen_embed(const void *context, struct tape *t, const struct tensor *ids) {
    const struct decoder *d = context;
    return tape_packed_gather(t, d->embedding.packed, ids);
}

static struct node *frozen_gain(const void *context, struct tape *t, enum decoder_gain which,
                                int64_t layer) {
    const struct decoder *d = context;
    const struct tensor *row = &d->rows[row_of(&d->config, which, layer)];
    return tape_parameter(t, row, NULL, NULL, row);
}

static struct node *frozen_project(const void *context, struct tape *t, struct node *x,
                                   int64_t layer, enum decoder_matrix which) {
    return tape_packed_linear(t, x, decoder_packed(context, layer, which));
}

static struct node *frozen_logits(const void *context, struct tape *t, struct node *x) {
    return tape_packed_linear(t, x, head_of(context));
}

static void frozen_classify(const void *context, struct tape *t, struct node *x,
                            const struct tensor *labels, float scale, const struct tensor *loss) {
    tape_packed_classify(t, x, head_of(context), labels, scale, loss);
}

struct decoder_parts decoder_parts(const struct decoder *d) {
    return (struct decoder_parts){.context = d,
                                  .embed = frozen_embed,
                                  .gain = frozen_gain,
                                  .project = frozen_project,
                                  .logits = frozen_logits,
                                  .classify = frozen_classify};
}
