/* decoder_golden_test.c - steps of training of a small Llama against PyTorch: losses, the gradient
 * of every parameter, and the weights after AdamW (golden/decoder/make.py). */
#include <jansson.h>

#include "store/safetensors.h"
#include "tests/tape_device.h"
#include "train/decoder/network.h"
#include "train/optimizer.h"

#define GOLDEN TEST_FOLDER "/golden/decoder/step.safetensors"

/* max|x - g| / max|g| of a tensor's gradient; rounding is 2e-6. */
#define GRADIENT_LIMIT 2e-5
/* Largest difference of a weight after all steps, as a part of the learning rate. */
#define STEP_LIMIT 2e-3
#define BF16_COSINE 0.999

enum { STEPS = 3 };

struct golden {
    struct safetensors *file;
    struct decoder_config config;
    struct tape *tape;
    struct parameters *parameters;
    struct gradients gradients;
    struct optimizer optimizer;
    double rate;
    int32_t offsets[3];
    struct tensor frequency;
};

static void must(bool ok, const char *what) {
    if (!CHECK(ok)) {
        printf("# %s\n", what);
        exit(1);
    }
}

/* A copy, to be freed: the file's tensors lie anywhere. */
static void *copy_of(const struct golden *g, const char *kind, const char *name) {
    char full[256];
    snprintf(full, sizeof full, "%s%s", kind, name);
    const struct safetensor *t = safetensors_find(g->file, full);
    must(t != NULL, full);
    void *data = malloc(t->bytes + 1);
    must(data != NULL, "memory");
    memcpy(data, t->data, t->bytes);
    return data;
}

static float number_of(const struct golden *g, const char *kind, const char *name) {
    float *values = copy_of(g, kind, name), value = values[0];
    free(values);
    return value;
}

static json_t *facts_of(const struct golden *g, const char *key) {
    const char *text = safetensors_metadata(g->file, key);
    json_t *root = text != NULL ? json_loads(text, 0, NULL) : NULL;
    must(root != NULL, key);
    return root;
}

static double fact(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void read_facts(struct golden *g, struct optimizer_options *o) {
    struct error e = {0};
    json_t *config = facts_of(g, "config"), *facts = facts_of(g, "optimizer");
    json_t *offsets = facts_of(g, "offsets");
    CHECK_NUMBER(decoder_config_parse(&g->config, config, "golden", &e), 0);
    CHECK_TEXT(e.text, "");
    *o = (struct optimizer_options){.decay = fact(facts, "decay"),
                                    .beta1 = fact(facts, "beta1"),
                                    .beta2 = fact(facts, "beta2"),
                                    .epsilon = fact(facts, "epsilon"),
                                    .clip = fact(facts, "clip")};
    g->rate = fact(facts, "rate");
    for (size_t i = 0; i < 3; i++) {
        g->offsets[i] = (int32_t)json_integer_value(json_array_get(offsets, i));
    }
    json_decref(config);
    json_decref(facts);
    json_decref(offsets);
}

static void load_weights(struct golden *g) {
    for (size_t i = 0; i < parameters_count(g->parameters); i++) {
        float *values = copy_of(g, "weight.", parameters_get(g->parameters, i)->spec.name);
        must(parameters_set(g->parameters, i, values, NULL) == 0, "weights");
        free(values);
    }
}

static void make_frequency(struct golden *g) {
    struct device *d = tape_device(g->tape);
    float values[64];
    decoder_frequencies(&g->config, values);
    const struct tensor host = tensor_vector(values, DTYPE_F32, NULL, g->config.head_dim / 2);
    g->frequency = tensor_vector(NULL, DTYPE_F32, NULL, g->config.head_dim / 2);
    must(d->ops->alloc(d, &g->frequency, NULL) == 0 &&
             d->ops->upload(d, &g->frequency, &host, NULL) == 0,
         "frequencies");
}

static bool open_golden(struct golden *g, enum dtype compute, const struct tape_options *tape) {
    struct optimizer_options o;
    *g = (struct golden){.tape = open_tape(NULL, compute, tape)};
    if (g->tape == NULL) {
        printf("# no bf16 products on this processor\n");
        return false;
    }
    must(safetensors_open(&g->file, GOLDEN, NULL) == 0, GOLDEN);
    read_facts(g, &o);
    struct device *d = tape_device(g->tape);
    must(parameters_open(&g->parameters, d, NULL) == 0 &&
             decoder_config_list(&g->config, parameters_take, g->parameters, NULL) == 0 &&
             parameters_allocate(g->parameters, NULL) == 0 &&
             gradients_open(&g->gradients, g->parameters, d, NULL) == 0 &&
             optimizer_open(&g->optimizer, g->parameters, &o, NULL, 0, NULL) == 0,
         "parameters");
    tape_set_sink(g->tape, gradients_sink, &g->gradients);
    load_weights(g);
    make_frequency(g);
    return true;
}

static void close_golden(struct golden *g) {
    struct device *d = tape_device(g->tape);
    d->ops->release(d, &g->frequency);
    optimizer_close(&g->optimizer);
    gradients_close(&g->gradients);
    parameters_close(g->parameters);
    close_tape(g->tape);
    safetensors_close(g->file);
}

/* ---- A step ---------------------------------------------------------------------------------- */

/* The loss of step s, and gradients of its mean. */
static float learn(struct golden *g, int s) {
    char kind[16];
    struct error e = {0};
    float loss = 0;
    const int64_t tokens = g->offsets[2];
    snprintf(kind, sizeof kind, "%d.", s);
    int32_t *ids = copy_of(g, kind, "ids"), *labels = copy_of(g, kind, "labels");
    int32_t positions[64];
    int targets = 0;
    for (int i = 0; i < tokens; i++) {
        positions[i] = i < g->offsets[1] ? i : i - g->offsets[1];
        targets += labels[i] >= 0;
    }
    tape_begin(g->tape);
    const struct tensor host_ids = tensor_vector(ids, DTYPE_I32, NULL, tokens);
    const struct tensor host_labels = tensor_vector(labels, DTYPE_I32, NULL, tokens);
    const struct tensor host_positions = tensor_vector(positions, DTYPE_I32, NULL, tokens);
    const struct tensor host_loss = tensor_vector(&loss, DTYPE_F32, NULL, 1);
    const struct tensor offsets = tensor_vector(g->offsets, DTYPE_I32, NULL, 3);
    const struct tensor on_ids = tape_upload(g->tape, &host_ids);
    const struct tensor on_labels = tape_upload(g->tape, &host_labels);
    const struct tensor on_positions = tape_upload(g->tape, &host_positions);
    const struct tensor on_loss = tape_upload(g->tape, &host_loss);
    const struct tape_source source = gradients_source(&g->gradients);
    const struct decoder_source of = {&source, &g->config};
    const struct decoder_parts parts = decoder_source_parts(&of);
    const struct decoder_input in = {.x = parts.embed(parts.context, g->tape, &on_ids),
                                     .positions = &on_positions,
                                     .offsets = &offsets};
    struct node *x = decoder_network(&g->config, &parts, g->tape, &g->frequency, &in);
    parts.classify(parts.context, g->tape, x, &on_labels, 1.0f / (float)targets, &on_loss);
    CHECK_NUMBER(tape_backward(g->tape, &e), 0);
    CHECK_TEXT(e.text, "");
    download_floats(g->tape, &loss, &on_loss);
    free(ids);
    free(labels);
    return loss;
}

/* Clips, and moves the weights; the norm of the gradient. */
static double move(struct golden *g) {
    struct device *d = tape_device(g->tape);
    const struct gradients *const lists[] = {&g->gradients};
    double norm = 0;
    optimizer_activate(&g->optimizer, lists, 1);
    must(optimizer_reduce(&g->optimizer, d, lists, 1, 0, g->optimizer.piece_count, NULL) == 0 &&
             optimizer_norm(&g->optimizer, &norm, NULL) == 0,
         "reduce");
    const double clip = g->optimizer.options.clip, scale = norm > clip ? clip / norm : 1;
    must(optimizer_update(&g->optimizer, d, lists, 1, g->rate, scale, 0, g->optimizer.piece_count,
                          NULL) == 0,
         "update");
    g->optimizer.step++;
    gradients_forget(&g->gradients);
    return norm;
}

/* ---- Comparisons ----------------------------------------------------------------------------- */

struct comparison {
    double most, largest, cosine;
};

static struct comparison compare(const float *x, const float *wanted, int64_t count) {
    struct comparison c = {0};
    double xx = 0, ww = 0, xw = 0;
    for (int64_t i = 0; i < count; i++) {
        c.most = fmax(c.most, fabs((double)x[i] - (double)wanted[i]));
        c.largest = fmax(c.largest, fabs((double)wanted[i]));
        xx += (double)x[i] * (double)x[i];
        ww += (double)wanted[i] * (double)wanted[i];
        xw += (double)x[i] * (double)wanted[i];
    }
    c.cosine = xw / sqrt(xx * ww);
    return c;
}

/* Of the gradient of parameter i in step 0. */
static struct comparison compare_gradient(struct golden *g, size_t i) {
    const struct parameter *p = parameters_get(g->parameters, i);
    const int64_t count = tensor_count(&p->value);
    float *gradient = malloc((size_t)count * sizeof *gradient);
    must(gradient != NULL, "memory");
    download_floats(g->tape, gradient, &g->gradients.list[i]);
    float *wanted = copy_of(g, "0.gradient.", p->spec.name);
    const struct comparison c = compare(gradient, wanted, count);
    free(gradient);
    free(wanted);
    return c;
}

static void check_gradients(struct golden *g) {
    double worst = 0;
    CHECK_NEAR((double)learn(g, 0) / (double)number_of(g, "0.", "loss"), 1, 1e-5);
    for (size_t i = 0; i < parameters_count(g->parameters); i++) {
        const struct comparison c = compare_gradient(g, i);
        worst = fmax(worst, c.most / c.largest);
        if (!CHECK(c.most <= GRADIENT_LIMIT * c.largest)) {
            printf("# %s: %g of %g\n", parameters_get(g->parameters, i)->spec.name, c.most,
                   c.largest);
        }
    }
    printf("# the worst tensor differs by %.2g of its largest gradient\n", worst);
}

static void gradients_are_those_of_pytorch(void) {
    struct golden g;
    open_golden(&g, DTYPE_F32, NULL);
    check_gradients(&g);
    close_golden(&g);
}

static void they_are_the_same_when_blocks_are_computed_again(void) {
    static const struct tape_options OPTIONS = {.storage = DTYPE_F32, .recompute = RECOMPUTE_BLOCK};
    struct golden g;
    open_golden(&g, DTYPE_F32, &OPTIONS);
    check_gradients(&g);
    close_golden(&g);
}

/* As training on this processor computes: products and what is kept in BF16. */
static void gradients_in_bf16_point_the_same_way(void) {
    static const struct tape_options OPTIONS = {.storage = DTYPE_BF16};
    struct golden g;
    double worst = 1;
    if (!open_golden(&g, DTYPE_BF16, &OPTIONS)) {
        return;
    }
    CHECK_NEAR((double)learn(&g, 0) / (double)number_of(&g, "0.", "loss"), 1, 0.01);
    for (size_t i = 0; i < parameters_count(g.parameters); i++) {
        const double cosine = compare_gradient(&g, i).cosine;
        worst = fmin(worst, cosine);
        if (!CHECK(cosine > BF16_COSINE)) {
            printf("# %s: %g\n", parameters_get(g.parameters, i)->spec.name, cosine);
        }
    }
    printf("# the least cosine is %.6f\n", worst);
    close_golden(&g);
}

static void steps_move_the_weights_as_pytorch_does(void) {
    struct golden g;
    char kind[16];
    double worst = 0;
    open_golden(&g, DTYPE_F32, NULL);
    for (int s = 0; s < STEPS; s++) {
        snprintf(kind, sizeof kind, "%d.", s);
        CHECK_NEAR((double)learn(&g, s) / (double)number_of(&g, kind, "loss"), 1, 1e-5);
        CHECK_NEAR(move(&g) / (double)number_of(&g, kind, "norm"), 1, 1e-5);
    }
    for (size_t i = 0; i < parameters_count(g.parameters); i++) {
        const struct parameter *p = parameters_get(g.parameters, i);
        const int64_t count = tensor_count(&p->value);
        float *values = malloc((size_t)count * sizeof *values);
        must(values != NULL && parameters_read(g.parameters, i, values, NULL) == 0, "read");
        float *wanted = copy_of(&g, "after.", p->spec.name);
        const struct comparison c = compare(values, wanted, count);
        worst = fmax(worst, c.most);
        if (!CHECK(c.most <= (tested_is_cpu() ? 1 : 2) * STEP_LIMIT * g.rate)) {
            printf("# %s: %g\n", p->spec.name, c.most / g.rate);
        }
        free(values);
        free(wanted);
    }
    printf("# the worst weight differs by %.2g of the learning rate\n", worst / g.rate);
    close_golden(&g);
}

int main(void) {
    RUN(gradients_are_those_of_pytorch);
    RUN(they_are_the_same_when_blocks_are_computed_again);
    RUN(gradients_in_bf16_point_the_same_way);
    RUN(steps_move_the_weights_as_pytorch_does);
    return test_finish();
}
