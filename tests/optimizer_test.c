/* The optimizer: its learning rate, what decays, running means, steps by parts. */
#include "train/optimizer.h"

#include "tests/test.h"

static uint64_t state = 1;

static double random_number(void) { /* -1 to 1 */
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)(state >> 11) * 0x1p-52 - 1.0;
}

/* ---- The learning rate ----------------------------------------------------------------------- */

static double rate_at(const struct optimizer_options *options, int64_t taken) {
    const struct optimizer o = {.options = *options, .step = taken};
    return optimizer_rate(&o);
}

static void the_rate_rises_and_falls_as_half_a_cosine(void) {
    const struct optimizer_options options = {.rate = 0.008, .steps = 12, .warm_up = 4};
    const double cosine = 0.008 * 0.8535533905932737; /* (1 + cos(pi / 4)) / 2 */
    CHECK_NEAR(rate_at(&options, 0), 0.002, 1e-15);
    CHECK_NEAR(rate_at(&options, 1), 0.004, 1e-15);
    CHECK_NEAR(rate_at(&options, 3), 0.008, 1e-15);
    CHECK_NEAR(rate_at(&options, 5), cosine, 1e-15); /* 2 of 8 steps behind the top */
    CHECK_NEAR(rate_at(&options, 7), 0.004, 1e-15);
    CHECK_NEAR(rate_at(&options, 11), 0, 1e-15);
    CHECK_NEAR(rate_at(&options, 50), 0, 1e-15);
    for (int64_t i = 1; i < 12; i++) {
        CHECK(i < 4 ? rate_at(&options, i) > rate_at(&options, i - 1)
                    : rate_at(&options, i) < rate_at(&options, i - 1));
    }
}

static void a_rate_without_warm_up_or_without_fall(void) {
    const struct optimizer_options falls = {.rate = 1, .steps = 2};
    CHECK_NEAR(rate_at(&falls, 0), 0.5, 1e-15);
    CHECK_NEAR(rate_at(&falls, 1), 0, 1e-15);
    const struct optimizer_options rises = {.rate = 1, .steps = 4, .warm_up = 4};
    CHECK_NEAR(rate_at(&rises, 3), 1, 1e-15);
    CHECK_NEAR(rate_at(&rises, 4), 0, 1e-15);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static const struct config_tensor TENSORS[] = {
    {.name = "lin.weight", .rank = 2, .shape = {5, 7}},
    {.name = "lin.bias", .rank = 1, .shape = {5}},
    {.name = "norm.weight", .rank = 1, .shape = {33}},
    {.name = "attn.rel_pos_h", .rank = 2, .shape = {3, 4}},
    {.name = "pos_embed", .rank = 4, .shape = {1, 2, 3, 4}},
    {.name = "embeddings.position_embedding.weight", .rank = 2, .shape = {5, 4}},
    {.name = "embeddings.class_embedding", .rank = 1, .shape = {4}},
    {.name = "patch_embed.proj.weight", .rank = 4, .shape = {3, 3, 16, 16}},
    {.name = "net_2.weight", .rank = 4, .shape = {4, 3, 3, 3}},
    {.name = "reader.class.weight", .rank = 2, .shape = {11, 3}}};
enum { TENSOR_COUNT = sizeof TENSORS / sizeof *TENSORS };
static const bool DECAYS[TENSOR_COUNT] = {[0] = true, [7] = true, [8] = true, [9] = true};
/* Of the learning rate: less for matrices with many inputs. */
static double factor_of(int i) {
    return i == 7 ? 192.0 / 768 : 1;
}

static const struct optimizer_options OPTIONS = {.rate = 0.01,
                                                 .decay = 0.1,
                                                 .beta1 = 0.9,
                                                 .beta2 = 0.98,
                                                 .epsilon = 1e-8,
                                                 .average = 0.6,
                                                 .steps = 10,
                                                 .warm_up = 3};

struct training {
    struct parameters *parameters;
    struct optimizer optimizer;
    float *gradients;
    size_t total;
};

static void open_training(struct training *t, const struct optimizer_options *options) {
    CHECK_NUMBER(parameters_open(&t->parameters, NULL), 0);
    for (int i = 0; i < TENSOR_COUNT; i++) {
        CHECK_NUMBER(parameters_add(t->parameters, &TENSORS[i], NULL), 0);
    }
    CHECK_NUMBER(parameters_allocate(t->parameters, NULL), 0);
    CHECK_NUMBER(optimizer_open(&t->optimizer, t->parameters, options, NULL), 0);
    t->total = parameters_total(t->parameters);
    t->gradients = calloc(t->total, sizeof *t->gradients);
    state = 1;
    for (int i = 0; i < TENSOR_COUNT; i++) {
        const struct parameter *p = parameters_get(t->parameters, (size_t)i);
        for (size_t k = 0; k < p->count; k++) {
            parameters_values(t->parameters)[p->offset + k] = (float)random_number();
        }
    }
}

static void close_training(struct training *t) {
    free(t->gradients);
    optimizer_close(&t->optimizer);
    parameters_close(t->parameters);
}

/* Random gradients, also in the gaps between parameters. */
static void fill_gradients(struct training *t) {
    for (size_t i = 0; i < t->total; i++) {
        t->gradients[i] = (float)random_number();
    }
}

static void names_and_shapes_say_what_decays_and_how_fast_it_moves(void) {
    struct training t;
    open_training(&t, &OPTIONS);
    for (int i = 0; i < TENSOR_COUNT; i++) {
        const struct parameter *p = parameters_find(t.parameters, TENSORS[i].name);
        if (!CHECK(p != NULL && p->decays == DECAYS[i])) {
            printf("# %s\n", TENSORS[i].name);
        }
        CHECK_NEAR(p->rate, factor_of(i), 1e-15);
        CHECK_NUMBER(p->offset % 16, 0);
    }
    CHECK_NUMBER(parameters_find(t.parameters, "pos_embed")->rows, 6);
    CHECK_NUMBER(parameters_find(t.parameters, "net_2.weight")->width, 27);
    CHECK(parameters_find(t.parameters, "lin") == NULL);
    close_training(&t);
}

/* One parameter's number, as the paper has it. */
struct number {
    double value, mean, variance, average;
};

static void take_step(struct number *n, double gradient, double decay, double factor,
                      int64_t taken) {
    double rate = rate_at(&OPTIONS, taken), step = (double)taken + 1;
    n->mean = OPTIONS.beta1 * n->mean + (1 - OPTIONS.beta1) * gradient;
    n->variance = OPTIONS.beta2 * n->variance + (1 - OPTIONS.beta2) * gradient * gradient;
    double mean = n->mean / (1 - pow(OPTIONS.beta1, step));
    double deviation = sqrt(n->variance / (1 - pow(OPTIONS.beta2, step)));
    n->value -= rate * decay * n->value + rate * factor * mean / (deviation + OPTIONS.epsilon);
    /* young copies follow faster: after 1, 2, ... steps they keep 1/10, 2/11, ... */
    double keep = fmin(step / (step + 9), OPTIONS.average);
    n->average = keep * n->average + (1 - keep) * n->value;
}

static void steps_are_those_of_the_paper(void) {
    enum { STEPS = 25 }; /* from the 14th on the share of the average is the option's */
    struct training t;
    open_training(&t, &OPTIONS);
    struct number *numbers = calloc(t.total, sizeof *numbers);
    for (size_t i = 0; i < t.total; i++) {
        numbers[i].value = (double)parameters_values(t.parameters)[i];
    }
    for (int step = 0; step < STEPS; step++) {
        fill_gradients(&t);
        optimizer_update(&t.optimizer, t.parameters, t.gradients, 0.5, 0, t.total);
        for (int k = 0; k < TENSOR_COUNT; k++) {
            const struct parameter *p = parameters_get(t.parameters, (size_t)k);
            for (size_t i = p->offset; i < p->offset + p->count; i++) {
                take_step(&numbers[i], 0.5 * (double)t.gradients[i], DECAYS[k] ? OPTIONS.decay : 0,
                          factor_of(k), t.optimizer.step);
            }
        }
        t.optimizer.step++;
        for (size_t i = 0; i < t.total; i++) { /* gaps stay zero */
            CHECK_NEAR((double)parameters_values(t.parameters)[i], numbers[i].value, 1e-6);
            CHECK_NEAR((double)t.optimizer.averages[i], numbers[i].average, 1e-6);
            CHECK_NEAR((double)t.optimizer.means[i], numbers[i].mean, 1e-6);
            CHECK_NEAR((double)t.optimizer.variances[i], numbers[i].variance, 1e-6);
        }
    }
    free(numbers);
    close_training(&t);
}

static void what_has_no_gradient_stays_as_it_is(void) {
    struct training t;
    open_training(&t, &OPTIONS);
    const struct parameter *still = parameters_find(t.parameters, "lin.weight");
    float *values = parameters_values(t.parameters) + still->offset, kept[2][35];
    size_t size = still->count * sizeof(float);
    fill_gradients(&t);
    optimizer_update(&t.optimizer, t.parameters, t.gradients, 1, 0, t.total);
    t.optimizer.step++;
    memcpy(kept[0], values, size);
    memcpy(kept[1], t.optimizer.means + still->offset, size);
    memset(t.gradients + still->offset, 0, size);
    optimizer_update(&t.optimizer, t.parameters, t.gradients, 1, 0, t.total);
    t.optimizer.step++;
    CHECK(memcmp(kept[0], values, size) == 0);
    CHECK(memcmp(kept[1], t.optimizer.means + still->offset, size) == 0);
    t.gradients[still->offset + 3] = 1e-3f;
    optimizer_update(&t.optimizer, t.parameters, t.gradients, 1, 0, t.total);
    for (size_t i = 0; i < still->count; i++) {
        CHECK(kept[0][i] != values[i]);
    }
    close_training(&t);
}

/* As threads do it, whole cache lines each; parts end within parameters. */
static void parts_make_the_same_step(void) {
    struct training whole, parts;
    open_training(&whole, &OPTIONS);
    open_training(&parts, &OPTIONS);
    for (int step = 0; step < 3; step++) {
        fill_gradients(&whole);
        memcpy(parts.gradients, whole.gradients, whole.total * sizeof *whole.gradients);
        optimizer_update(&whole.optimizer, whole.parameters, whole.gradients, 1, 0, whole.total);
        for (size_t first = 0; first < parts.total; first += 32) {
            optimizer_update(&parts.optimizer, parts.parameters, parts.gradients, 1, first,
                             first + 32);
        }
        whole.optimizer.step++;
        parts.optimizer.step++;
    }
    size_t size = whole.total * sizeof(float);
    CHECK_NUMBER(whole.total % 32, 0);
    CHECK(memcmp(parameters_values(whole.parameters), parameters_values(parts.parameters), size) ==
          0);
    CHECK(memcmp(whole.optimizer.means, parts.optimizer.means, size) == 0);
    CHECK(memcmp(whole.optimizer.variances, parts.optimizer.variances, size) == 0);
    CHECK(memcmp(whole.optimizer.averages, parts.optimizer.averages, size) == 0);
    close_training(&whole);
    close_training(&parts);
}

static void an_average_is_only_kept_when_asked_for(void) {
    struct optimizer_options options = OPTIONS;
    struct training t;
    options.average = 0;
    open_training(&t, &options);
    CHECK(t.optimizer.averages == NULL);
    optimizer_update(&t.optimizer, t.parameters, t.gradients, 1, 0, t.total);
    close_training(&t);
}

int main(void) {
    RUN(the_rate_rises_and_falls_as_half_a_cosine);
    RUN(a_rate_without_warm_up_or_without_fall);
    RUN(names_and_shapes_say_what_decays_and_how_fast_it_moves);
    RUN(steps_are_those_of_the_paper);
    RUN(what_has_no_gradient_stays_as_it_is);
    RUN(parts_make_the_same_step);
    RUN(an_average_is_only_kept_when_asked_for);
    return test_finish();
}
