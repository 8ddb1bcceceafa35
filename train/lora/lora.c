/* lora.c - see lora.h: the adapters' tensors, and products with them on a tape. */
#include "train/lora/lora.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/random.h"
#include "train/lora/lora_state.h"

/* ---- Tensors --------------------------------------------------------------------------------- */

struct lora_names lora_names_of(int64_t layer, enum decoder_matrix which) {
    /* decoder_matrix_name gives less than half of what there is room for */
    char matrix[TENSOR_SPEC_NAME];
    struct lora_names names;
    decoder_matrix_name(matrix, layer, which);
    int room = TENSOR_SPEC_NAME - (int)sizeof "base_model.model..lora_A.weight";
    snprintf(names.a, sizeof names.a, "base_model.model.%.*s.lora_A.weight", room, matrix);
    snprintf(names.b, sizeof names.b, "base_model.model.%.*s.lora_B.weight", room, matrix);
    return names;
}

/* A has the variance of PEFT's, uniform in +-1 / sqrt(inputs). */
static int take_pair(const struct lora_options *o, const struct decoder_config *c, int64_t layer,
                     enum decoder_matrix which, tensor_spec_take *take, void *context,
                     struct error *e) {
    const struct lora_names names = lora_names_of(layer, which);
    int64_t outputs, inputs;
    decoder_matrix_shape(c, which, &outputs, &inputs);
    struct tensor_spec a =
        tensor_spec_of(TENSOR_MATRIX, "lora", TENSOR_SPEC_SHAPE(o->rank, inputs));
    struct tensor_spec b =
        tensor_spec_of(TENSOR_MATRIX, "lora", TENSOR_SPEC_SHAPE(outputs, o->rank));
    memcpy(a.name, names.a, sizeof a.name);
    memcpy(b.name, names.b, sizeof b.name);
    a.lean = b.lean = true;
    a.deviation = 1 / sqrt(3 * (double)inputs);
    b.deviation = 0;
    int rc = take(context, &a, e);
    return rc < 0 ? rc : take(context, &b, e);
}

int lora_list(const struct lora_options *o, const struct decoder_config *c, tensor_spec_take *take,
              void *context, struct error *e) {
    int rc = 0;
    for (int64_t layer = 0; layer < c->layers; layer++) {
        for (int i = 0; i < DECODER_MATRICES && rc >= 0; i++) {
            rc = o->matrices[i] ? take_pair(o, c, layer, (enum decoder_matrix)i, take, context, e)
                                : 0;
        }
    }
    return rc;
}

/* ---- Parts ----------------------------------------------------------------------------------- */

bool lora_low_rank(const struct lora_source *s, struct tape *t, int64_t layer,
                   enum decoder_matrix which, struct tape_adapter *out) {
    const struct lora_options *o = s->options;
    if (!o->matrices[which]) {
        return false;
    }
    const struct lora_names names = lora_names_of(layer, which);
    const uint64_t number = (uint64_t)(layer * DECODER_MATRICES + which);
    out->a = tape_named(s->source, t, "%s", names.a);
    out->b = tape_named(s->source, t, "%s", names.b);
    out->scale = (float)(o->alpha / (double)o->rank);
    out->dropout = s->dropping ? (float)o->dropout : 0;
    out->seed = random_stream(s->seed, number);
    return true;
}

static struct node *project(const void *context, struct tape *t, struct node *x, int64_t layer,
                            enum decoder_matrix which) {
    const struct lora_source *s = context;
    const struct packed *w = decoder_packed(s->base, layer, which);
    struct tape_adapter low = {.a = NULL};
    return lora_low_rank(s, t, layer, which, &low) ? tape_adapted_linear(t, x, w, &low)
                                                   : tape_packed_linear(t, x, w);
}

struct decoder_parts lora_parts(const struct lora_source *s) {
    struct decoder_parts parts = decoder_parts(s->base);
    parts.project = project;
    parts.matrices = s;
    return parts;
}

/* ---- Frozen ---------------------------------------------------------------------------------- */

struct lora {
    struct lora_options options;
    struct parameters *parameters;
    struct tape_source tensors;
    struct lora_source source;
};

static int read_value(void *context, const char *name, float *values, struct error *e) {
    return lora_folder_floats(context, name, values, e);
}

int lora_open(struct lora **out, const char *folder, const struct decoder *base,
              struct device *device, struct error *e) {
    struct lora_folder f = {.path = NULL};
    struct lora *l = calloc(1, sizeof *l);
    *out = NULL;
    if (l == NULL) {
        return error_memory(e, "an adapter");
    }
    int rc = lora_folder_open(&f, folder, decoder_config(base), e);
    if (rc == 0) {
        l->options = f.options;
        rc = parameters_open(&l->parameters, device, e);
    }
    if (rc == 0) {
        rc = lora_list(&l->options, decoder_config(base), parameters_take_frozen, l->parameters, e);
    }
    if (rc == 0) {
        rc = parameters_allocate(l->parameters, e);
    }
    if (rc == 0) {
        rc = parameters_fill_from(l->parameters, read_value, &f, e);
    }
    lora_folder_close(&f);
    if (rc < 0) {
        lora_close(l);
        return rc;
    }
    l->tensors = parameters_source(l->parameters);
    l->source = (struct lora_source){
        .options = &l->options, .base = base, .source = &l->tensors, .dropping = false};
    *out = l;
    return 0;
}

void lora_close(struct lora *l) {
    if (l != NULL) {
        parameters_close(l->parameters);
        free(l);
    }
}

struct decoder_parts lora_frozen_parts(const struct lora *l) {
    return lora_parts(&l->source);
}

const struct lora_source *lora_frozen_source(const struct lora *l) {
    return &l->source;
}
