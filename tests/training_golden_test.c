/* training_golden_test.c - a tiny encoder with all its reading heads against PyTorch: losses, the
 * gradient of every parameter, steps of AdamW, and the losses of a short training
 * (golden/training/make.py). */
#include <jansson.h>

#include "store/safetensors.h"
#include "tests/tape_device.h"
#include "train/encoder/encoder_tape.h"
#include "train/optimizer.h"
#include "train/read/head.h"
#include "train/schedule.h"

#define GOLDEN TEST_FOLDER "/golden/training/training.safetensors"

/* max|x - g| / max|g| of a tensor's gradient; rounding is 1e-6. */
#define GRADIENT_LIMIT 2e-5
/* Largest difference of a parameter after three steps, as a part of the learning rate. */
#define STEP_LIMIT 1e-3
#define BF16_COSINE 0.999

enum { HEIGHT = 128, WIDTH = 256, BATCH = 2, HEADS = 5, EARLY = 3, HALVED = 4, LOSSES = 6 };
static const char *const NAMES[HEADS] = {"early.0", "early.1", "early.2", "reader", "halved"};

struct golden {
    struct safetensors *file;
    struct encoder_config encoder;
    struct reading_config reading;
    struct optimizer_options optimizer;
    struct schedule schedule;
    struct parameters *parameters;
    struct gradients gradients;
    struct tape *tape;
    float *pixels;
    struct read_targets targets[HEADS];
};

/* ---- The golden file ------------------------------------------------------------------------ */

static void must(bool ok, const char *what) {
    if (!CHECK(ok)) {
        printf("# %s\n", what);
        exit(1);
    }
}

static const struct safetensor *find(const struct golden *g, const char *kind, const char *name) {
    char full[256];
    snprintf(full, sizeof full, "%s%s", kind, name);
    const struct safetensor *t = safetensors_find(g->file, full);
    must(t != NULL, full);
    return t;
}

/* A copy: the file's tensors lie anywhere. */
static void *copy_of(const struct golden *g, const char *kind, const char *name) {
    const struct safetensor *t = find(g, kind, name);
    void *data = malloc(t->bytes + 1);
    must(data != NULL, "memory");
    memcpy(data, t->data, t->bytes);
    return data;
}

static double number(const json_t *facts, const char *part, const char *key) {
    return json_number_value(json_object_get(json_object_get(facts, part), key));
}

static void read_facts(struct golden *g) {
    const char *text = safetensors_metadata(g->file, "golden");
    json_t *facts = text != NULL ? json_loads(text, 0, NULL) : NULL;
    char *encoder = json_dumps(json_object_get(facts, "encoder"), 0);
    must(encoder != NULL && config_parse(&g->encoder, encoder, NULL) == 0, "metadata");
    must(number(facts, "cells", "side") == READING_ROW &&
             number(facts, "cells", "side") == READING_STEP &&
             number(facts, "cells", "columns") == READING_COLUMNS,
         "cells are others now: change make.py and run it");
    g->reading =
        (struct reading_config){.channels = (int64_t)number(facts, "reading", "channels"),
                                .hidden = (int64_t)number(facts, "reading", "hidden"),
                                .embedding = (int64_t)number(facts, "reading", "embedding"),
                                .classes = (int64_t)number(facts, "reading", "classes"),
                                .reach = (int64_t)number(facts, "cells", "reach"),
                                .cells = true,
                                .trunk = (int64_t)number(facts, "reading", "trunk"),
                                .nested = (int64_t)number(facts, "reading", "nested")};
    g->optimizer = (struct optimizer_options){.decay = number(facts, "optimizer", "decay"),
                                              .beta1 = number(facts, "optimizer", "beta1"),
                                              .beta2 = number(facts, "optimizer", "beta2"),
                                              .epsilon = number(facts, "optimizer", "epsilon"),
                                              .clip = number(facts, "optimizer", "clip")};
    g->schedule = (struct schedule){.rate = number(facts, "optimizer", "rate"),
                                    .steps = (int64_t)number(facts, "optimizer", "steps"),
                                    .warm_up = (int64_t)number(facts, "optimizer", "warm_up")};
    free(encoder);
    json_decref(facts);
}

static void make_parameters(struct golden *g) {
    const struct encoder_config *c = &g->encoder;
    const int64_t dims[EARLY] = {c->neck, c->net_2, c->net_3};
    const struct reading_config simple = reading_without_trunk(&g->reading);
    must(parameters_open(&g->parameters, tape_device(g->tape), NULL) == 0, "parameters");
    int rc = config_tensors(c, parameters_take, g->parameters, NULL);
    for (int i = 0; i < EARLY; i++) {
        char prefix[16];
        snprintf(prefix, sizeof prefix, "%s.", NAMES[i]);
        rc |= reading_tensors(&simple, prefix, dims[i], 2 << i, 2 << i, parameters_take,
                              g->parameters, NULL);
    }
    rc |= reading_tensors(&g->reading, "reader.", c->token_dim, READING_ROWS, READING_STEPS,
                          parameters_take, g->parameters, NULL);
    must(rc == 0 && parameters_allocate(g->parameters, NULL) == 0, "parameters");
    must(gradients_open(&g->gradients, g->parameters, tape_device(g->tape), NULL) == 0,
         "gradients");
    tape_set_sink(g->tape, gradients_sink, &g->gradients);
}

static void load_weights(const struct golden *g) {
    for (size_t i = 0; i < parameters_count(g->parameters); i++) {
        const struct tensor_spec *p = &parameters_get(g->parameters, i)->spec;
        const struct safetensor *t = find(g, "weight.", p->name);
        must(t->type == DTYPE_F32 && t->rank == p->rank &&
                 memcmp(t->shape, p->shape, (size_t)t->rank * sizeof *t->shape) == 0,
             p->name);
        float *values = copy_of(g, "weight.", p->name);
        must(parameters_set(g->parameters, i, values, NULL) == 0, p->name);
        free(values);
    }
}

static size_t count_of(const struct golden *g, size_t i) {
    return (size_t)tensor_count(&parameters_get(g->parameters, i)->value);
}

/* The gradient of a parameter, to be freed. */
static float *gradient_of(const struct golden *g, size_t i) {
    float *numbers = malloc(count_of(g, i) * sizeof *numbers);
    must(numbers != NULL, "memory");
    download_floats(g->tape, numbers, &g->gradients.list[i]);
    return numbers;
}

/* Gradients that lie in the golden file. */
static void load_gradients(struct golden *g, const char *kind) {
    struct device *d = tape_device(g->tape);
    for (size_t i = 0; i < parameters_count(g->parameters); i++) {
        const struct parameter *p = parameters_get(g->parameters, i);
        float *numbers = copy_of(g, kind, p->spec.name);
        const struct tensor host = tensor_of(numbers, DTYPE_F32, NULL, p->value.shape);
        must(d->ops->upload(d, &g->gradients.list[i], &host, NULL) == 0, "upload");
        must(gradients_sink(&g->gradients, p, &g->gradients.list[i], NULL) == 0, "sink");
        free(numbers);
    }
}

static void clear_gradients(struct golden *g) {
    struct device *d = tape_device(g->tape);
    for (size_t i = 0; i < parameters_count(g->parameters); i++) {
        must(d->ops->fill(d, &g->gradients.list[i], 0, NULL) == 0, "fill");
    }
    gradients_forget(&g->gradients);
}

static void open_golden(struct golden *g, enum dtype compute) {
    *g = (struct golden){.file = NULL};
    must(safetensors_open(&g->file, GOLDEN, NULL) == 0, GOLDEN);
    read_facts(g);
    g->tape = open_tape(NULL, compute, NULL);
    must(g->tape != NULL, "tape");
    make_parameters(g);
    load_weights(g);
    const struct safetensor *bytes = find(g, "pixels", "");
    g->pixels = malloc(bytes->bytes * sizeof *g->pixels);
    must(g->pixels != NULL, "memory");
    for (size_t i = 0; i < bytes->bytes; i++) {
        g->pixels[i] = (float)((const uint8_t *)bytes->data)[i] / 128.0f - 1.0f;
    }
    float scales[HEADS];
    memcpy(scales, find(g, "scales", "")->data, sizeof scales);
    for (int i = 0; i < HEADS; i++) {
        g->targets[i] = (struct read_targets){.rows = copy_of(g, NAMES[i], ".rows"),
                                              .count = find(g, NAMES[i], ".rows")->shape[0],
                                              .page_rows = HEIGHT / READING_ROW,
                                              .steps = WIDTH / READING_STEP,
                                              .presence = copy_of(g, NAMES[i], ".presence"),
                                              .places = copy_of(g, NAMES[i], ".places"),
                                              .classes = copy_of(g, NAMES[i], ".classes"),
                                              .characters = find(g, NAMES[i], ".classes")->shape[0],
                                              .scale = scales[i]};
    }
}

static void close_golden(struct golden *g) {
    for (int i = 0; i < HEADS; i++) {
        free((void *)(uintptr_t)g->targets[i].rows);
        free(g->targets[i].presence);
        free(g->targets[i].places);
        free(g->targets[i].classes);
    }
    free(g->pixels);
    gradients_close(&g->gradients);
    parameters_close(g->parameters);
    close_tape(g->tape);
    safetensors_close(g->file);
}

/* ---- The network ----------------------------------------------------------------------------- */

/* A page on a tape. */
struct pass {
    const struct golden *g;
    struct tape_source source;
    struct tensor losses; /* (HEADS, READ_LOSSES) */
};

static void read_with(const struct pass *p, int head, struct node *x,
                      const struct reading_grid *grid) {
    char prefix[16];
    snprintf(prefix, sizeof prefix, "%s.", head == HALVED ? "reader" : NAMES[head]);
    const struct tensor losses = tensor_row_range(&p->losses, head, 1);
    const struct reading_config config =
        head < EARLY ? reading_without_trunk(&p->g->reading) : p->g->reading;
    read_head_tape(&config, &p->source, p->g->tape, prefix, x, grid, &p->g->targets[head], &losses,
                   1);
}

static struct node *trunk(const struct pass *p, struct node *x, const int halvings[BATCH]) {
    return read_trunk_tape(&p->g->reading, &p->source, p->g->tape, "reader.", x, halvings, BATCH);
}

static void all_heads(const struct pass *p, const struct encoder_stages *stages,
                      int column_offsets) {
    const int64_t patch = p->g->encoder.patch;
    const int64_t cell = READING_STEPS / column_offsets;
    const struct reading_grid patches = {HEIGHT / patch, WIDTH / patch, 2, 2, 1, cell};
    const struct reading_grid halves = {HEIGHT / patch / 2, WIDTH / patch / 2, 4, 4, 1, cell};
    const struct reading_grid tokens = {
        HEIGHT / patch / 4, WIDTH / patch / 4 * column_offsets, 8, 8, column_offsets, cell};
    read_with(p, 0, stages->neck, &patches);
    read_with(p, 1, stages->net_2, &halves);
    read_with(p, 2, stages->net_3, &tokens);
    read_with(p, 3, trunk(p, stages->tokens, (int[]){0, 0}), &tokens);
    read_with(p, HALVED, trunk(p, stages->tokens, (int[]){1, 2}), &tokens);
}

/* Losses, and the gradients of their scaled sum, which comes back. */
static double learn(struct golden *g, int column_offsets, float losses[HEADS][READ_LOSSES]) {
    struct pass p = {.g = g, .source = gradients_source(&g->gradients)};
    struct encoder_stages stages;
    struct error e = {0};
    memset(losses, 0, HEADS * sizeof *losses);
    clear_gradients(g);
    tape_begin(g->tape);
    const struct tensor page =
        tensor_of(g->pixels, DTYPE_F32, NULL, TENSOR_SHAPE(BATCH, HEIGHT, WIDTH, 3));
    const struct tensor zeros = tensor_matrix(losses, DTYPE_F32, NULL, HEADS, READ_LOSSES);
    const struct tensor pixels = tape_upload(g->tape, &page);
    p.losses = tape_upload(g->tape, &zeros);
    encoder_tape(&g->encoder, &p.source, g->tape, &pixels, column_offsets, STAGE_TOKENS, &stages);
    all_heads(&p, &stages, column_offsets);
    CHECK_NUMBER(tape_backward(g->tape, &e), 0);
    CHECK_TEXT(e.text, "");
    download_floats(g->tape, losses[0], &p.losses);
    double sum = 0;
    for (int i = 0; i < HEADS; i++) {
        sum += (double)g->targets[i].scale *
               ((double)losses[i][READ_PRESENCE] + (double)losses[i][READ_CHARACTER]);
    }
    return sum;
}

/* ---- Comparisons ----------------------------------------------------------------------------- */

/* max|x - g|; *largest becomes max|g|. */
static double difference(const float *x, const struct safetensor *t, double *largest) {
    double most = 0;
    *largest = 0;
    for (size_t i = 0; i < t->bytes / sizeof(float); i++) {
        float wanted;
        memcpy(&wanted, (const char *)t->data + i * sizeof wanted, sizeof wanted);
        most = fmax(most, fabs((double)x[i] - (double)wanted));
        *largest = fmax(*largest, fabs((double)wanted));
    }
    return most;
}

static void compare_case(struct golden *g, const char *name, int column_offsets) {
    float loss[HEADS][READ_LOSSES], wanted[HEADS][READ_LOSSES];
    char kind[32];
    double worst = 0;
    learn(g, column_offsets, loss);
    memcpy(wanted, find(g, name, ".loss")->data, sizeof wanted);
    for (int i = 0; i < HEADS; i++) {
        for (int k = 0; k < READ_LOSSES; k++) {
            CHECK_NEAR((double)loss[i][k] / (double)wanted[i][k], 1, 1e-5);
        }
    }
    snprintf(kind, sizeof kind, "%s.gradient.", name);
    for (size_t i = 0; i < parameters_count(g->parameters); i++) {
        const char *parameter = parameters_get(g->parameters, i)->spec.name;
        float *gradient = gradient_of(g, i);
        double largest, most = difference(gradient, find(g, kind, parameter), &largest);
        bool unused = strcmp(parameter, "model.image_newline") == 0 ||
                      strcmp(parameter, "model.view_seperator") == 0;
        free(gradient);
        CHECK(unused == (largest == 0));
        worst = fmax(worst, unused ? 0 : most / largest);
        if (!CHECK(most <= GRADIENT_LIMIT * largest)) {
            printf("# %s%s: %g of %g\n", kind, parameter, most, largest);
        }
    }
    printf("# %s: the worst tensor differs by %.2g of its largest gradient\n", name, worst);
}

static void gradients_are_those_of_pytorch(void) {
    struct golden g;
    open_golden(&g, DTYPE_F32);
    compare_case(&g, "one", 1);
    compare_case(&g, "two", 2);
    close_golden(&g);
}

/* What training on this processor computes: products in BF16. */
static void gradients_in_bf16_point_the_same_way(void) {
    static const char *const CASES[] = {"one.gradient.", "two.gradient."};
    struct golden g;
    float loss[HEADS][READ_LOSSES];
    struct tape *t = open_tape(NULL, DTYPE_BF16, NULL);
    if (t == NULL) {
        printf("# no bf16 products on this processor\n");
        return;
    }
    close_tape(t);
    open_golden(&g, DTYPE_BF16);
    for (int column_offsets = 1; column_offsets <= 2; column_offsets++) {
        double ab = 0, aa = 0, bb = 0;
        learn(&g, column_offsets, loss);
        for (size_t i = 0; i < parameters_count(g.parameters); i++) {
            float *wanted =
                copy_of(&g, CASES[column_offsets - 1], parameters_get(g.parameters, i)->spec.name);
            float *gradient = gradient_of(&g, i);
            for (size_t k = 0; k < count_of(&g, i); k++) {
                double a = (double)wanted[k], b = (double)gradient[k];
                ab += a * b;
                aa += a * a;
                bb += b * b;
            }
            free(wanted);
            free(gradient);
        }
        printf("# cosine %.6f\n", ab / sqrt(aa * bb));
        CHECK(ab / sqrt(aa * bb) >= BF16_COSINE);
    }
    close_golden(&g);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* As the trainer takes one: clipped to a norm. */
static void take_step(struct golden *g, struct optimizer *o) {
    const struct gradients *const lists[] = {&g->gradients};
    struct device *d = tape_device(g->tape);
    size_t first, end;
    double norm = 0;
    optimizer_activate(o, lists, 1);
    optimizer_share(o, 0, 1, &first, &end);
    must(optimizer_reduce(o, d, lists, 1, first, end, NULL) == 0, "reduce");
    must(optimizer_norm(o, &norm, NULL) == 0, "norm");
    CHECK(norm > o->options.clip);
    must(optimizer_update(o, d, lists, 1, schedule_rate(&g->schedule, o->step),
                          o->options.clip / norm, first, end, NULL) == 0,
         "update");
    o->step++;
}

static void steps_are_those_of_pytorch(void) {
    static const char *const CASES[] = {"one.gradient.", "two.gradient.", "one.gradient."};
    struct golden g;
    struct optimizer o;
    open_golden(&g, DTYPE_F32);
    CHECK_NUMBER(optimizer_open(&o, g.parameters, &g.optimizer, NULL, 0, NULL), 0);
    for (size_t step = 0; step < sizeof CASES / sizeof *CASES; step++) {
        load_gradients(&g, CASES[step]);
        take_step(&g, &o);
    }
    double worst = 0;
    for (size_t i = 0; i < parameters_count(g.parameters); i++) {
        const char *name = parameters_get(g.parameters, i)->spec.name;
        float *values = malloc(count_of(&g, i) * sizeof *values);
        must(values != NULL && parameters_read(g.parameters, i, values, NULL) == 0, name);
        double largest, most = difference(values, find(&g, "after.", name), &largest);
        free(values);
        worst = fmax(worst, most / g.schedule.rate);
        if (!CHECK(most <= STEP_LIMIT * g.schedule.rate)) {
            printf("# %s: %g\n", name, most);
        }
    }
    printf("# the worst parameter differs by %.2g of a step\n", worst);
    optimizer_close(&o);
    close_golden(&g);
}

static void losses_fall_as_those_of_pytorch(void) {
    struct golden g;
    struct optimizer o;
    float loss[HEADS][READ_LOSSES], wanted[LOSSES];
    open_golden(&g, DTYPE_F32);
    memcpy(wanted, find(&g, "losses", "")->data, sizeof wanted);
    CHECK_NUMBER(optimizer_open(&o, g.parameters, &g.optimizer, NULL, 0, NULL), 0);
    for (int step = 0; step < LOSSES; step++) {
        CHECK_NEAR(learn(&g, 1, loss) / (double)wanted[step], 1, 1e-5);
        take_step(&g, &o);
    }
    optimizer_close(&o);
    close_golden(&g);
}

int main(void) {
    RUN(gradients_are_those_of_pytorch);
    RUN(gradients_in_bf16_point_the_same_way);
    RUN(steps_are_those_of_pytorch);
    RUN(losses_fall_as_those_of_pytorch);
    return test_finish();
}
