/* training_golden_test.c - a tiny encoder with all its reading heads against PyTorch: losses, the
 * gradient of every parameter, steps of AdamW, and the losses of a short training
 * (golden/training/make.py). */
#include "store/safetensors.h"
#include "tests/trained.h"
#include "train/encoder/encoder_tape.h"
#include "train/read/head.h"
#include "train/schedule.h"

#define GOLDEN TEST_FOLDER "/golden/training/training.safetensors"

/* max|x - g| / max|g| of a tensor's gradient; rounding is 1e-6. */
#define GRADIENT_LIMIT 2e-5
/* Largest difference of a parameter after three steps, as a part of the learning rate. */
#define STEP_LIMIT 1e-3
#define BF16_COSINE 0.999

enum { HEIGHT = 128, WIDTH = 256, BATCH = 2, HEADS = 5, EARLY = 3, MERGED = 4, LOSSES = 6 };
static const char *const NAMES[HEADS] = {"early.0", "early.1", "early.2", "reader", "merged"};

struct golden {
    struct safetensors *file;
    struct encoder_config encoder;
    struct reading_config reading;
    struct optimizer_options optimizer;
    struct schedule schedule;
    struct trained trained;
    struct tape *tape;
    float *pixels;
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
    struct parameters *p = g->trained.parameters;
    int rc = config_tensors(c, parameters_take, p, NULL);
    for (int i = 0; i < EARLY; i++) {
        char prefix[16];
        snprintf(prefix, sizeof prefix, "%s.", NAMES[i]);
        rc |=
            reading_tensors(&g->reading, prefix, dims[i], 2 << i, 2 << i, parameters_take, p, NULL);
    }
    rc |= reading_tensors(&g->reading, "reader.", c->token_dim, READING_ROWS, READING_STEPS,
                          parameters_take, p, NULL);
    rc |= merge_tensors(c->token_dim, parameters_take, p, NULL);
    must(rc == 0, "parameters");
    trained_open(&g->trained, &g->optimizer, NULL, 0);
}

static void load_weights(const struct golden *g) {
    struct parameters *all = g->trained.parameters;
    for (size_t i = 0; i < parameters_count(all); i++) {
        const struct parameter *p = parameters_get(all, i);
        const struct safetensor *t = find(g, "weight.", p->spec.name);
        must(t->type == DTYPE_F32 && t->rank == p->spec.rank &&
                 memcmp(t->shape, p->spec.shape, (size_t)t->rank * sizeof *t->shape) == 0,
             p->spec.name);
        float *values = malloc(t->bytes);
        must(values != NULL, "memory");
        memcpy(values, t->data, t->bytes);
        must(parameters_set(all, i, values, NULL) == 0, p->spec.name);
        free(values);
    }
}

static void open_golden(struct golden *g, enum dtype compute) {
    *g = (struct golden){.file = NULL};
    must(safetensors_open(&g->file, GOLDEN, NULL) == 0, GOLDEN);
    read_facts(g);
    trained_begin(&g->trained, compute);
    make_parameters(g);
    load_weights(g);
    const struct tape_options options = {.storage = DTYPE_F32};
    must(tape_open(&g->tape, g->trained.device, &options, NULL) == 0, "tape");
    tape_set_sink(g->tape, gradients_sink, &g->trained.gradients);
    const struct safetensor *bytes = find(g, "pixels", "");
    g->pixels = malloc(bytes->bytes * sizeof *g->pixels);
    must(g->pixels != NULL, "memory");
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
    free(g->pixels);
    tape_close(g->tape);
    trained_close(&g->trained);
    safetensors_close(g->file);
}

/* ---- The network ----------------------------------------------------------------------------- */

/* Cross-entropies, presence and character, of each head. */
typedef float losses[HEADS][READ_LOSSES];

static void read_with(struct golden *g, const struct tape_source *parameters, int head,
                      struct node *x, const struct reading_grid *grid, losses loss) {
    const struct tensor own = tensor_vector(loss[head], DTYPE_F32, NULL, READ_LOSSES);
    char prefix[16];
    snprintf(prefix, sizeof prefix, "%s.", head == MERGED ? "reader" : NAMES[head]);
    read_head_tape(&g->reading, parameters, g->tape, prefix, x, grid, &g->asked[head],
                   g->scales[head], &own);
}

static struct node *merge_and_back(const struct golden *g, const struct tape_source *parameters,
                                   struct node *x, int64_t rows, int64_t columns) {
    for (int by_rows = 0; by_rows < 2; by_rows++) {
        x = merge_tape(parameters, g->tape, x, &rows, &columns, by_rows);
    }
    for (int by_rows = 1; by_rows >= 0; by_rows--) {
        x = unmerge_tape(parameters, g->tape, x, &rows, &columns, by_rows);
    }
    return x;
}

static void clear_gradients(struct golden *g) {
    for (size_t i = 0; i < parameters_count(g->trained.parameters); i++) {
        const struct tensor *gradient = &g->trained.gradients.list[i];
        memset(gradient->data, 0, tensor_bytes(gradient));
    }
}

/* Losses, and the gradients of their scaled sum, which comes back. */
static double learn(struct golden *g, int phases, losses loss) {
    const struct tape_source parameters = gradients_source(&g->trained.gradients);
    const struct tensor pixels =
        tensor_of(g->pixels, DTYPE_F32, NULL, TENSOR_SHAPE(BATCH, HEIGHT, WIDTH, 3));
    struct encoder_stages stages;
    struct error e = {0};
    clear_gradients(g);
    memset(loss, 0, sizeof(losses));
    tape_begin(g->tape);
    encoder_tape(&g->encoder, &parameters, g->tape, &pixels, phases, STAGE_TOKENS, &stages);
    const struct reading_grid patches = {HEIGHT / 16, WIDTH / 16, 2, 2, 1};
    const struct reading_grid halves = {HEIGHT / 32, WIDTH / 32, 4, 4, 1};
    const struct reading_grid tokens = {HEIGHT / 64, WIDTH / 64 * phases, 8, 8, phases};
    read_with(g, &parameters, 0, stages.neck, &patches, loss);
    read_with(g, &parameters, 1, stages.net_2, &halves, loss);
    read_with(g, &parameters, 2, stages.net_3, &tokens, loss);
    read_with(g, &parameters, 3, stages.tokens, &tokens, loss);
    struct node *merged =
        merge_and_back(g, &parameters, stages.tokens, tokens.rows, tokens.columns);
    read_with(g, &parameters, MERGED, merged, &tokens, loss);
    CHECK_NUMBER(tape_backward(g->tape, &e), 0);
    CHECK_TEXT(e.text, "");
    double sum = 0;
    for (int i = 0; i < HEADS; i++) {
        sum += (double)g->scales[i] *
               ((double)loss[i][READ_PRESENCE] + (double)loss[i][READ_CHARACTER]);
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
    losses loss;
    char kind[32];
    double worst = 0;
    float wanted[HEADS][2];
    learn(g, phases, loss);
    memcpy(wanted, find(g, name, ".loss")->data, sizeof wanted);
    for (int i = 0; i < HEADS; i++) {
        CHECK_NEAR((double)loss[i][READ_PRESENCE] / (double)wanted[i][0], 1, 1e-5);
        CHECK_NEAR((double)loss[i][READ_CHARACTER] / (double)wanted[i][1], 1, 1e-5);
    }
    snprintf(kind, sizeof kind, "%s.gradient.", name);
    for (size_t i = 0; i < parameters_count(g->trained.parameters); i++) {
        const struct parameter *p = parameters_get(g->trained.parameters, i);
        double largest, most = difference(g->trained.gradients.list[i].data,
                                          find(g, kind, p->spec.name), &largest);
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
    losses loss;
    struct device *d = cpu_device_of(DTYPE_BF16);
    if (d == NULL) {
        printf("# no bf16 products on this processor\n");
        return;
    }
    device_close(d);
    open_golden(&g, DTYPE_BF16);
    for (int phases = 1; phases <= 2; phases++) {
        double ab = 0, aa = 0, bb = 0;
        learn(&g, phases, loss);
        for (size_t i = 0; i < parameters_count(g.trained.parameters); i++) {
            const struct parameter *p = parameters_get(g.trained.parameters, i);
            float *wanted = copy_of(&g, CASES[phases - 1], p->spec.name);
            const float *own = g.trained.gradients.list[i].data;
            for (size_t k = 0; k < trained_count(&g.trained, i); k++) {
                double a = (double)wanted[k], b = (double)own[k];
                ab += a * b;
                aa += a * a;
                bb += b * b;
            }
            free(wanted);
        }
        printf("# cosine %.6f\n", ab / sqrt(aa * bb));
        CHECK(ab / sqrt(aa * bb) >= BF16_COSINE);
    }
    close_golden(&g);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* As the trainer takes one: clipped to a norm. */
static void take_step(struct golden *g) {
    double rate = schedule_rate(&g->schedule, g->trained.optimizer.step);
    double norm = trained_step(&g->trained, rate, 1, g->optimizer.clip);
    CHECK(norm > g->optimizer.clip);
}

static void steps_are_those_of_pytorch(void) {
    static const char *const CASES[] = {"one.gradient.", "two.gradient.", "one.gradient."};
    struct golden g;
    open_golden(&g, DTYPE_F32);
    for (size_t step = 0; step < sizeof CASES / sizeof *CASES; step++) {
        for (size_t i = 0; i < parameters_count(g.trained.parameters); i++) {
            const struct parameter *p = parameters_get(g.trained.parameters, i);
            float *gradient = copy_of(&g, CASES[step], p->spec.name);
            trained_arrive(&g.trained, i, gradient);
            free(gradient);
        }
        take_step(&g);
    }
    double worst = 0;
    for (size_t i = 0; i < parameters_count(g.trained.parameters); i++) {
        const struct parameter *p = parameters_get(g.trained.parameters, i);
        const float *values = trained_value(&g.trained, i);
        double largest, most = difference(values, find(&g, "after.", p->spec.name), &largest);
        worst = fmax(worst, most / g.schedule.rate);
        if (!CHECK(most <= STEP_LIMIT * g.schedule.rate)) {
            printf("# %s: %g\n", p->spec.name, most);
        }
    }
    printf("# the worst parameter differs by %.2g of a step\n", worst);
    close_golden(&g);
}

static void losses_fall_as_those_of_pytorch(void) {
    struct golden g;
    losses loss;
    float wanted[LOSSES];
    open_golden(&g, DTYPE_F32);
    memcpy(wanted, find(&g, "losses", "")->data, sizeof wanted);
    for (int step = 0; step < LOSSES; step++) {
        CHECK_NEAR(learn(&g, 1, loss) / (double)wanted[step], 1, 1e-5);
        take_step(&g);
    }
    close_golden(&g);
}

int main(void) {
    RUN(gradients_are_those_of_pytorch);
    RUN(gradients_in_bf16_point_the_same_way);
    RUN(steps_are_those_of_pytorch);
    RUN(losses_fall_as_those_of_pytorch);
    return test_finish();
}
