/* The optimizer: its learning rate, what decays, running means, steps by parts; and the kernels
 * that it stands on. */
#include "train/optimizer.h"

#include "tests/test.h"

static uint64_t state = 1;

static double random_number(void) { /* -1 to 1 */
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)(state >> 11) * 0x1p-52 - 1.0;
}

/* ---- Kernels --------------------------------------------------------------------------------- */

static const char *const LEVELS[] = {"portable", "avx2", "avx512"};

static void adamw_is_that_of_the_paper(void) {
    enum { COUNT = 37, STEPS = 5 };
    const double rate = 1e-2, decay = 0.1, beta1 = 0.9, beta2 = 0.98, epsilon = 1e-8;
    for (size_t level = 0; level < sizeof LEVELS / sizeof *LEVELS; level++) {
        setenv("OCC_CPU", LEVELS[level], 1);
        const struct kernels *k = kernels_choose(NULL);
        if (k == NULL) {
            continue;
        }
        float weight[COUNT], mean[COUNT] = {0}, variance[COUNT] = {0}, gradient[COUNT];
        double w[COUNT], m[COUNT] = {0}, v[COUNT] = {0};
        for (int i = 0; i < COUNT; i++) {
            weight[i] = (float)random_number();
            w[i] = (double)weight[i];
        }
        for (int step = 1; step <= STEPS; step++) {
            double c1 = 1 - pow(beta1, step), c2 = 1 - pow(beta2, step);
            const struct adamw_step s = {.rate = (float)(rate / c1),
                                         .decay = (float)(rate * decay),
                                         .beta1 = (float)beta1,
                                         .beta2 = (float)beta2,
                                         .correction = (float)(1 / sqrt(c2)),
                                         .epsilon = (float)epsilon,
                                         .scale = 0.5f};
            for (int i = 0; i < COUNT; i++) {
                gradient[i] = (float)random_number();
                double g = 0.5 * (double)gradient[i];
                m[i] = beta1 * m[i] + (1 - beta1) * g;
                v[i] = beta2 * v[i] + (1 - beta2) * g * g;
                w[i] -= rate * decay * w[i] + rate * (m[i] / c1) / (sqrt(v[i] / c2) + epsilon);
            }
            k->adamw(weight, mean, variance, gradient, COUNT, &s);
        }
        for (int i = 0; i < COUNT; i++) {
            CHECK_NEAR((double)weight[i], w[i], 2e-6);
        }
    }
    unsetenv("OCC_CPU");
}

static void square_sums_are_exact_enough(void) {
    enum { COUNT = 100003 };
    float *x = malloc(COUNT * sizeof *x);
    double wanted = 0;
    for (int i = 0; i < COUNT; i++) {
        x[i] = (float)random_number();
        wanted += (double)x[i] * (double)x[i];
    }
    for (size_t level = 0; level < sizeof LEVELS / sizeof *LEVELS; level++) {
        setenv("OCC_CPU", LEVELS[level], 1);
        const struct kernels *k = kernels_choose(NULL);
        if (k != NULL) {
            CHECK_NEAR(k->square_sum(x, COUNT) / wanted, 1, 1e-6);
        }
    }
    free(x);
    unsetenv("OCC_CPU");
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

static const struct tensor_spec TENSORS[] = {
    {.name = "matrix", .rank = 2, .shape = {5, 7}, .rows = 5, .decays = true, .rate = 1},
    {.name = "bias", .rank = 1, .shape = {5}, .rows = 1, .rate = 1},
    {.name = "gain", .rank = 1, .shape = {33}, .rows = 1, .rate = 1},
    {.name = "table", .rank = 4, .shape = {1, 2, 3, 4}, .rows = 6, .rate = 1},
    {.name = "wide", .rank = 4, .shape = {3, 3, 16, 16}, .rows = 3, .decays = true, .rate = 0.25},
    {.name = "slow", .rank = 2, .shape = {11, 3}, .rows = 11, .rate = 0.5}};
enum { TENSOR_COUNT = sizeof TENSORS / sizeof *TENSORS };

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
                take_step(&numbers[i], 0.5 * (double)t.gradients[i],
                          TENSORS[k].decays ? OPTIONS.decay : 0, TENSORS[k].rate, t.optimizer.step);
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
    const struct parameter *still = parameters_find(t.parameters, "matrix");
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
    RUN(adamw_is_that_of_the_paper);
    RUN(square_sums_are_exact_enough);
    RUN(the_rate_rises_and_falls_as_half_a_cosine);
    RUN(a_rate_without_warm_up_or_without_fall);
    RUN(steps_are_those_of_the_paper);
    RUN(what_has_no_gradient_stays_as_it_is);
    RUN(parts_make_the_same_step);
    RUN(an_average_is_only_kept_when_asked_for);
    return test_finish();
}
