/* decoder_step.c - see decoder_step.h. */
#include "tests/bench/decoder_step.h"

#include <stdlib.h>

#include "train/optimizer.h"

#define RATE 1e-4

struct decoder_step {
    struct device *device;
    const struct decoder *base;
    struct decoder_step_options options;
    struct parameters *parameters;
    struct gradients gradients;
    struct optimizer optimizer;
    struct tape *tape;
    struct tensor frequency, loss;
    int32_t *ids, *places; /* (tokens), (tokens); labels are the ids */
    int32_t offsets[2];
};

void decoder_step_close(struct decoder_step *s) {
    if (s == NULL) {
        return;
    }
    optimizer_close(&s->optimizer);
    tape_close(s->tape);
    gradients_close(&s->gradients);
    s->device->ops->release(s->device, &s->frequency);
    s->device->ops->release(s->device, &s->loss);
    parameters_close(s->parameters);
    free(s->ids);
    free(s->places);
    free(s);
}

static int open_row(struct decoder_step *s, struct error *e) {
    const int64_t tokens = s->options.tokens;
    const int64_t vocabulary = decoder_config(s->base)->vocabulary;
    s->ids = calloc((size_t)tokens, sizeof *s->ids);
    s->places = calloc((size_t)tokens, sizeof *s->places);
    if (s->ids == NULL || s->places == NULL) {
        return error_memory(e, "a row");
    }
    for (int64_t i = 0; i < tokens; i++) {
        s->ids[i] = (int32_t)(i * 7919 % vocabulary);
        s->places[i] = (int32_t)i;
    }
    s->offsets[1] = (int32_t)tokens;
    s->loss = tensor_vector(NULL, DTYPE_F32, NULL, 1);
    int rc = decoder_frequency_table(&s->frequency, s->device, decoder_config(s->base), e);
    rc = rc == 0 ? s->device->ops->alloc(s->device, &s->loss, e) : rc;
    return rc == 0 ? s->device->ops->fill(s->device, &s->loss, 0, e) : rc;
}

static int open_parameters(struct decoder_step *s, struct error *e) {
    const struct optimizer_options options = OPTIMIZER_DEFAULTS;
    int rc = parameters_open(&s->parameters, s->device, e);
    rc = rc == 0 ? lora_list(&s->options.lora, decoder_config(s->base), parameters_take,
                             s->parameters, e)
                 : rc;
    rc = rc == 0 ? parameters_allocate(s->parameters, e) : rc;
    rc = rc == 0 ? parameters_fill(s->parameters, 1, e) : rc;
    rc = rc == 0 ? gradients_open(&s->gradients, s->parameters, s->device, e) : rc;
    rc = rc == 0 ? optimizer_open(&s->optimizer, s->parameters, &options, NULL, 0, e) : rc;
    if (rc == 0) {
        tape_set_sink(s->tape, gradients_sink, &s->gradients);
    }
    return rc;
}

int decoder_step_open(struct decoder_step **out, struct device *device, const struct decoder *base,
                      const struct decoder_step_options *o, struct error *e) {
    struct decoder_step *s = calloc(1, sizeof *s);
    *out = NULL;
    if (s == NULL) {
        return error_memory(e, NULL);
    }
    s->device = device;
    s->base = base;
    s->options = *o;
    int rc = tape_open(&s->tape, device, &o->tape, e);
    rc = rc == 0 ? open_row(s, e) : rc;
    rc = rc == 0 ? open_parameters(s, e) : rc;
    if (rc < 0) {
        decoder_step_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

static int learn(struct decoder_step *s, struct error *e) {
    struct tape *t = s->tape;
    const int64_t tokens = s->options.tokens;
    const struct tape_source source = gradients_source(&s->gradients);
    const struct lora_source lora = {
        .options = &s->options.lora, .base = s->base, .source = &source};
    const struct decoder_parts parts = lora_parts(&lora);
    const struct tensor offsets = tensor_vector(s->offsets, DTYPE_I32, NULL, 2);
    tape_begin(t);
    const struct tensor ids = tape_upload_numbers(t, s->ids, tokens);
    const struct tensor positions = tape_upload_numbers(t, s->places, tokens);
    if (ids.data == NULL || positions.data == NULL) {
        return tape_status(t, e);
    }
    const struct decoder_input in = {
        .x = parts.embed(parts.context, t, &ids), .positions = &positions, .offsets = &offsets};
    struct node *y = decoder_network(decoder_config(s->base), &parts, t, &s->frequency, &in);
    parts.classify(parts.context, t, y, &ids, 1 / (float)tokens, &s->loss);
    return tape_backward(t, e);
}

static int update(struct decoder_step *s, struct error *e) {
    const struct gradients *const lists[] = {&s->gradients};
    size_t first, end;
    double norm;
    optimizer_share(&s->optimizer, 0, 1, &first, &end);
    optimizer_activate(&s->optimizer, lists, 1);
    int rc = optimizer_reduce(&s->optimizer, s->device, lists, 1, first, end, e);
    rc = rc == 0 ? optimizer_norm(&s->optimizer, &norm, e) : rc;
    rc =
        rc == 0 ? optimizer_update(&s->optimizer, s->device, lists, 1, RATE, 1, first, end, e) : rc;
    gradients_forget(&s->gradients);
    s->optimizer.step++;
    return rc;
}

int decoder_step_run(struct decoder_step *s, float *loss, struct error *e) {
    float sum = 0;
    const struct tensor host = tensor_vector(&sum, DTYPE_F32, NULL, 1);
    int rc = learn(s, e);
    rc = rc == 0 ? s->device->ops->download(s->device, &host, &s->loss, e) : rc;
    rc = rc == 0 ? s->device->ops->fill(s->device, &s->loss, 0, e) : rc;
    rc = rc == 0 ? update(s, e) : rc;
    if (rc == 0 && loss != NULL) {
        *loss = sum / (float)s->options.tokens;
    }
    return rc;
}
