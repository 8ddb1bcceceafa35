/* training_golden_test.c - a tiny encoder with all its reading heads against PyTorch: losses, the
 * gradient of every parameter, steps of AdamW, and the losses of a short training
 * (golden/training/make.py). */
#include "store/safetensors.h"
#include "tests/test.h"
#include "train/encoder_tape.h"
#include "train/optimizer.h"
#include "train/read_head.h"

#define GOLDEN TEST_FOLDER "/golden/training/training.safetensors"

/* max|x - g| / max|g| of a tensor's gradient; rounding is 1e-6. */
#define GRADIENT_LIMIT 2e-5
/* Largest difference of a parameter behind three steps, as a part of the learning rate. */
#define STEP_LIMIT 1e-3
#define BF16_COSINE 0.999

enum { HEIGHT = 128, WIDTH = 256, BATCH = 2, HEADS = 5, EARLY = 3, MERGED = 4, LOSSES = 6 };
static const char *const NAMES[HEADS] = {"early.0", "early.1", "early.2", "reader", "merged"};

struct golden {
    struct safetensors *file;
    struct encoder_config encoder;
    struct reading_config reading;
    struct optimizer_options optimizer;
    struct parameters *parameters;
    struct tape *tape;
    float *gradients, *pixels;
    struct read_rows asked[HEADS];
    float scales[HEADS];
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
             number(facts, "cells", "columns") == READING_COLUMNS &&
             number(facts, "cells", "reach") == READING_REACH,
         "cells are others now: change make.py and run it");
    g->reading =
        (struct reading_config){.channels = (int64_t)number(facts, "reading", "channels"),
                                .hidden = (int64_t)number(facts, "reading", "hidden"),
                                .embedding = (int64_t)number(facts, "reading", "embedding"),
                                .classes = (int64_t)number(facts, "reading", "classes")};
    g->optimizer =
        (struct optimizer_options){.rate = number(facts, "optimizer", "rate"),
                                   .decay = number(facts, "optimizer", "decay"),
                                   .beta1 = number(facts, "optimizer", "beta1"),
                                   .beta2 = number(facts, "optimizer", "beta2"),
                                   .epsilon = number(facts, "optimizer", "epsilon"),
                                   .clip = number(facts, "optimizer", "clip"),
                                   .steps = (int64_t)number(facts, "optimizer", "steps"),
                                   .warm_up = (int64_t)number(facts, "optimizer", "warm_up")};
    free(encoder);
    json_decref(facts);
}

static int add(void *context, const struct tensor_spec *t, struct error *e) {
    return parameters_add(context, t, e);
}

static void make_parameters(struct golden *g) {
    const struct encoder_config *c = &g->encoder;
    const int64_t dims[EARLY] = {c->neck, c->net_2, c->net_3};
    must(parameters_open(&g->parameters, NULL) == 0, "parameters");
    int rc = parameters_add_encoder(g->parameters, c, NULL);
    for (int i = 0; i < EARLY; i++) {
        char prefix[16];
        snprintf(prefix, sizeof prefix, "%s.", NAMES[i]);
        rc |=
            reading_tensors(&g->reading, prefix, dims[i], 2 << i, 2 << i, add, g->parameters, NULL);
    }
    rc |= reading_tensors(&g->reading, "reader.", c->token_dim, READING_ROWS, READING_STEPS, add,
                          g->parameters, NULL);
    rc |= merge_tensors(c->token_dim, add, g->parameters, NULL);
    must(rc == 0 && parameters_allocate(g->parameters, NULL) == 0, "parameters");
}

static void load_weights(const struct golden *g) {
    for (size_t i = 0; i < parameters_count(g->parameters); i++) {
        const struct parameter *p = parameters_get(g->parameters, i);
        const struct safetensor *t = find(g, "weight.", p->spec.name);
        must(t->type == DTYPE_F32 && t->rank == p->spec.rank &&
                 memcmp(t->shape, p->spec.shape, (size_t)t->rank * sizeof *t->shape) == 0,
             p->spec.name);
        memcpy(parameters_values(g->parameters) + p->offset, t->data, t->bytes);
    }
}

static void open_golden(struct golden *g, enum dtype compute) {
    *g = (struct golden){.file = NULL};
    must(safetensors_open(&g->file, GOLDEN, NULL) == 0, GOLDEN);
    read_facts(g);
    make_parameters(g);
    load_weights(g);
    must(tape_open(&g->tape, &BACKEND_CPU, compute, NULL) == 0, "tape");
    g->gradients = calloc(parameters_total(g->parameters), sizeof *g->gradients);
    const struct safetensor *bytes = find(g, "pixels", "");
    g->pixels = malloc(bytes->bytes * sizeof *g->pixels);
    must(g->gradients != NULL && g->pixels != NULL, "memory");
    for (size_t i = 0; i < bytes->bytes; i++) {
        g->pixels[i] = (float)((const uint8_t *)bytes->data)[i] / 128.0f - 1.0f;
    }
    memcpy(g->scales, find(g, "scales", "")->data, sizeof g->scales);
    for (int i = 0; i < HEADS; i++) {
        g->asked[i] = (struct read_rows){.rows = copy_of(g, NAMES[i], ".rows"),
                                         .count = find(g, NAMES[i], ".rows")->shape[0],
                                         .page_rows = HEIGHT / READING_ROW,
                                         .steps = WIDTH / READING_STEP,
                                         .presence = copy_of(g, NAMES[i], ".presence"),
                                         .places = copy_of(g, NAMES[i], ".places"),
                                         .classes = copy_of(g, NAMES[i], ".classes"),
                                         .characters = find(g, NAMES[i], ".classes")->shape[0]};
    }
}

static void close_golden(struct golden *g) {
    for (int i = 0; i < HEADS; i++) {
        free((void *)(uintptr_t)g->asked[i].rows);
        free(g->asked[i].presence);
        free(g->asked[i].places);
        free(g->asked[i].classes);
    }
    free(g->gradients);
    free(g->pixels);
    tape_close(g->tape);
    parameters_close(g->parameters);
    safetensors_close(g->file);
}

/* ---- The network ----------------------------------------------------------------------------- */

static void read_with(struct golden *g, const struct read_taping *n, int head, struct tensor *x,
                      const struct reading_grid *grid, struct read_loss *loss) {
    char prefix[16];
    snprintf(prefix, sizeof prefix, "%s.", head == MERGED ? "reader" : NAMES[head]);
    read_head_tape(n, g->tape, prefix, x, grid, &g->asked[head], g->scales[head], &loss[head]);
}

static struct tensor *merge_and_back(const struct golden *g, const struct read_taping *n,
                                     struct tensor *x, int64_t rows, int64_t columns) {
    for (int by_rows = 0; by_rows < 2; by_rows++) {
        x = merge_tape(n, g->tape, x, &rows, &columns, by_rows);
    }
    for (int by_rows = 1; by_rows >= 0; by_rows--) {
        x = unmerge_tape(n, g->tape, x, &rows, &columns, by_rows);
    }
    return x;
}

/* Losses, and the gradients of their scaled sum, which comes back. */
static double learn(struct golden *g, int phases, struct read_loss loss[HEADS]) {
    const struct encoder_taping encoding = {
        .config = &g->encoder, .parameters = g->parameters, .gradients = g->gradients};
    const struct read_taping reading = {
        .config = &g->reading, .parameters = g->parameters, .gradients = g->gradients};
    const struct encoder_shape shape = {BATCH, HEIGHT, WIDTH, phases};
    struct encoder_stages stages;
    struct error e = {0};
    memset(g->gradients, 0, parameters_total(g->parameters) * sizeof *g->gradients);
    memset(loss, 0, HEADS * sizeof *loss);
    tape_begin(g->tape);
    encoder_tape(&encoding, g->tape, g->pixels, &shape, STAGE_TOKENS, &stages);
    const struct reading_grid patches = {HEIGHT / 16, WIDTH / 16, 2, 2, 1};
    const struct reading_grid halves = {HEIGHT / 32, WIDTH / 32, 4, 4, 1};
    const struct reading_grid tokens = {HEIGHT / 64, WIDTH / 64 * phases, 8, 8, phases};
    read_with(g, &reading, 0, stages.neck, &patches, loss);
    read_with(g, &reading, 1, stages.net_2, &halves, loss);
    read_with(g, &reading, 2, stages.net_3, &tokens, loss);
    read_with(g, &reading, 3, stages.tokens, &tokens, loss);
    struct tensor *merged = merge_and_back(g, &reading, stages.tokens, tokens.rows, tokens.columns);
    read_with(g, &reading, MERGED, merged, &tokens, loss);
    CHECK_NUMBER(tape_backward(g->tape, &e), 0);
    CHECK_TEXT(e.text, "");
    double sum = 0;
    for (int i = 0; i < HEADS; i++) {
        sum += (double)g->scales[i] * (loss[i].presence + loss[i].character);
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

static void compare_case(struct golden *g, const char *name, int phases) {
    struct read_loss loss[HEADS];
    char kind[32];
    double worst = 0;
    float wanted[HEADS][2];
    learn(g, phases, loss);
    memcpy(wanted, find(g, name, ".loss")->data, sizeof wanted);
    for (int i = 0; i < HEADS; i++) {
        CHECK_NEAR(loss[i].presence / (double)wanted[i][0], 1, 1e-5);
        CHECK_NEAR(loss[i].character / (double)wanted[i][1], 1, 1e-5);
        CHECK_NUMBER(loss[i].characters, g->asked[i].characters);
    }
    snprintf(kind, sizeof kind, "%s.gradient.", name);
    for (size_t i = 0; i < parameters_count(g->parameters); i++) {
        const struct parameter *p = parameters_get(g->parameters, i);
        double largest,
            most = difference(g->gradients + p->offset, find(g, kind, p->spec.name), &largest);
        bool unused = strcmp(p->spec.name, "model.image_newline") == 0 ||
                      strcmp(p->spec.name, "model.view_seperator") == 0;
        CHECK(unused == (largest == 0));
        worst = fmax(worst, unused ? 0 : most / largest);
        if (!CHECK(most <= GRADIENT_LIMIT * largest)) {
            printf("# %s%s: %g of %g\n", kind, p->spec.name, most, largest);
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
    struct context *context;
    struct read_loss loss[HEADS];
    if (!BACKEND_CPU.has_bf16()) {
        printf("# no bf16 products on this processor\n");
        return;
    }
    open_golden(&g, DTYPE_BF16);
    CHECK_NUMBER(BACKEND_CPU.context_open(&context, DTYPE_BF16, NULL), 0);
    CHECK_NUMBER(parameters_round(g.parameters, &BACKEND_CPU, context, 0,
                                  parameters_total(g.parameters), NULL),
                 0);
    for (int phases = 1; phases <= 2; phases++) {
        double ab = 0, aa = 0, bb = 0;
        learn(&g, phases, loss);
        for (size_t i = 0; i < parameters_count(g.parameters); i++) {
            const struct parameter *p = parameters_get(g.parameters, i);
            float *wanted = copy_of(&g, CASES[phases - 1], p->spec.name);
            for (size_t k = 0; k < p->count; k++) {
                double a = (double)wanted[k], b = (double)g.gradients[p->offset + k];
                ab += a * b;
                aa += a * a;
                bb += b * b;
            }
            free(wanted);
        }
        printf("# cosine %.6f\n", ab / sqrt(aa * bb));
        CHECK(ab / sqrt(aa * bb) >= BF16_COSINE);
    }
    BACKEND_CPU.context_close(context);
    close_golden(&g);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* As read.c takes one: clipped to a norm. */
static void take_step(struct golden *g, struct optimizer *o) {
    size_t total = parameters_total(g->parameters);
    double norm = sqrt(o->kernels->square_sum(g->gradients, total));
    CHECK(norm > o->options.clip);
    optimizer_update(o, g->parameters, g->gradients, o->options.clip / norm, 0, total);
    o->step++;
}

static void steps_are_those_of_pytorch(void) {
    static const char *const CASES[] = {"one.gradient.", "two.gradient.", "one.gradient."};
    struct golden g;
    struct optimizer o;
    open_golden(&g, DTYPE_F32);
    CHECK_NUMBER(optimizer_open(&o, g.parameters, &g.optimizer, NULL), 0);
    for (size_t step = 0; step < sizeof CASES / sizeof *CASES; step++) {
        for (size_t i = 0; i < parameters_count(g.parameters); i++) {
            const struct parameter *p = parameters_get(g.parameters, i);
            memcpy(g.gradients + p->offset, find(&g, CASES[step], p->spec.name)->data,
                   p->count * sizeof *g.gradients);
        }
        take_step(&g, &o);
    }
    double worst = 0;
    for (size_t i = 0; i < parameters_count(g.parameters); i++) {
        const struct parameter *p = parameters_get(g.parameters, i);
        const float *values = parameters_values(g.parameters) + p->offset;
        double largest, most = difference(values, find(&g, "after.", p->spec.name), &largest);
        worst = fmax(worst, most / g.optimizer.rate);
        if (!CHECK(most <= STEP_LIMIT * g.optimizer.rate)) {
            printf("# %s: %g\n", p->spec.name, most);
        }
    }
    printf("# the worst parameter differs by %.2g of a step\n", worst);
    optimizer_close(&o);
    close_golden(&g);
}

static void losses_fall_as_those_of_pytorch(void) {
    struct golden g;
    struct optimizer o;
    struct read_loss loss[HEADS];
    float wanted[LOSSES];
    open_golden(&g, DTYPE_F32);
    memcpy(wanted, find(&g, "losses", "")->data, sizeof wanted);
    CHECK_NUMBER(optimizer_open(&o, g.parameters, &g.optimizer, NULL), 0);
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
