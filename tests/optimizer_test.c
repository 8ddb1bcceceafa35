/* The optimizer: steps, groups, slices, what is not active, the mean of the weights, threads; and
 * the schedule of its learning rate. */
#include "tests/trained.h"
#include "train/schedule.h"

static uint64_t state = 1;

static double random_number(void) { /* -1 to 1 */
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)(state >> 11) * 0x1p-52 - 1.0;
}

/* ---- The schedule ---------------------------------------------------------------------------- */

static void the_rate_rises_and_falls_as_half_a_cosine(void) {
    const struct schedule s = {.rate = 0.008, .steps = 12, .warm_up = 4};
    const double cosine = 0.008 * 0.8535533905932737; /* (1 + cos(pi / 4)) / 2 */
    CHECK_NEAR(schedule_rate(&s, 0), 0.002, 1e-15);
    CHECK_NEAR(schedule_rate(&s, 1), 0.004, 1e-15);
    CHECK_NEAR(schedule_rate(&s, 3), 0.008, 1e-15);
    CHECK_NEAR(schedule_rate(&s, 5), cosine, 1e-15); /* 2 of 8 steps after the top */
    CHECK_NEAR(schedule_rate(&s, 7), 0.004, 1e-15);
    CHECK_NEAR(schedule_rate(&s, 11), 0, 1e-15);
    CHECK_NEAR(schedule_rate(&s, 50), 0, 1e-15);
    for (int64_t i = 1; i < 12; i++) {
        CHECK(i < 4 ? schedule_rate(&s, i) > schedule_rate(&s, i - 1)
                    : schedule_rate(&s, i) < schedule_rate(&s, i - 1));
    }
}

static void a_rate_without_warm_up_or_without_fall(void) {
    const struct schedule falls = {.rate = 1, .steps = 2};
    CHECK_NEAR(schedule_rate(&falls, 0), 0.5, 1e-15);
    CHECK_NEAR(schedule_rate(&falls, 1), 0, 1e-15);
    const struct schedule rises = {.rate = 1, .steps = 4, .warm_up = 4};
    CHECK_NEAR(schedule_rate(&rises, 3), 1, 1e-15);
    CHECK_NEAR(schedule_rate(&rises, 4), 0, 1e-15);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

#define TRAINED .trainable = true, .group = "body", .kind = TENSOR_MATRIX
static const struct tensor_spec TENSORS[] = {
    {.name = "matrix", .rank = 2, .shape = {5, 7}, .rows = 5, .decays = true, .rate = 1, TRAINED},
    {.name = "bias", .rank = 1, .shape = {5}, .rows = 1, .rate = 1, TRAINED},
    {.name = "table", .rank = 4, .shape = {1, 2, 3, 4}, .rows = 6, .rate = 1, TRAINED},
    {.name = "wide",
     .rank = 4,
     .shape = {3, 3, 16, 16},
     .rows = 3,
     .decays = true,
     .rate = 0.25,
     TRAINED},
    {.name = "large", .rank = 2, .shape = {90, 1000}, .rows = 90, .rate = 0.5, TRAINED},
    {.name = "head",
     .rank = 2,
     .shape = {3, 4},
     .rows = 3,
     .decays = true,
     .rate = 1,
     .trainable = true,
     .group = "head",
     .kind = TENSOR_MATRIX},
    {.name = "frozen",
     .rank = 2,
     .shape = {3, 4},
     .rows = 3,
     .decays = true,
     .rate = 1,
     .group = "body",
     .kind = TENSOR_MATRIX}};
enum { MATRIX, BIAS, TABLE, WIDE, LARGE, HEAD, FROZEN, TENSOR_COUNT };

static const struct optimizer_options OPTIONS = {
    .decay = 0.1,
    .beta1 = 0.9,
    .beta2 = 0.98,
    .epsilon = 1e-8,
    .ema = 0.6,
    .groups = {{.name = "head", .rate = 3, .decay = 0.5}}};
static const double RATE = 0.01;

static float numbers[TENSOR_COUNT][90 * 1000];

static void open_random(struct trained *t, const struct optimizer_options *options,
                        const struct slice *chosen, size_t count) {
    trained_begin(t, DTYPE_F32);
    trained_add(t, TENSORS, TENSOR_COUNT);
    trained_open(t, options, chosen, count);
    state = 1;
    for (size_t i = 0; i < TENSOR_COUNT; i++) {
        for (size_t k = 0; k < trained_count(t, i); k++) {
            numbers[i][k] = (float)random_number();
        }
        tested_upload(&parameters_get(t->parameters, i)->value, numbers[i]);
    }
}

static void random_gradients(struct trained *t) {
    for (size_t i = 0; i < FROZEN; i++) {
        for (size_t k = 0; k < trained_count(t, i); k++) {
            numbers[i][k] = (float)random_number();
        }
        trained_arrive(t, i, numbers[i]);
    }
}

/* One parameter's number, as the paper has it. */
struct number {
    double value, first, second, mean;
};

static void take_step(struct number *n, double gradient, size_t tensor, int64_t taken) {
    const struct tensor_spec *s = &TENSORS[tensor];
    double rate = RATE * s->rate * (tensor == HEAD ? 3 : 1), step = (double)taken + 1;
    double decay = RATE * (s->decays ? OPTIONS.decay : 0) * (tensor == HEAD ? 0.5 : 1);
    n->first = OPTIONS.beta1 * n->first + (1 - OPTIONS.beta1) * gradient;
    n->second = OPTIONS.beta2 * n->second + (1 - OPTIONS.beta2) * gradient * gradient;
    double first = n->first / (1 - pow(OPTIONS.beta1, step));
    double deviation = sqrt(n->second / (1 - pow(OPTIONS.beta2, step)));
    n->value -= decay * n->value + rate * first / (deviation + OPTIONS.epsilon);
    /* young means follow faster: after 1, 2, ... steps they keep 1/10, 2/11, ... */
    double keep = fmin(step / (step + 9), OPTIONS.ema);
    n->mean = keep * n->mean + (1 - keep) * n->value;
}

static void check_slice(const struct trained *t, const struct slice *s, const struct number *all) {
    const float *first = trained_numbers(&s->first_moment);
    const float *second = trained_numbers(&s->second_moment), *mean = trained_numbers(&s->ema);
    const float *value = trained_value(t, s->parameter);
    size_t width = (size_t)tensor_width(&s->first_moment), from = (size_t)s->first_row * width;
    for (size_t i = 0; i < (size_t)s->rows * width; i++) {
        CHECK_NEAR((double)value[from + i], all[from + i].value, 1e-6);
        CHECK_NEAR((double)first[i], all[from + i].first, 1e-6);
        CHECK_NEAR((double)second[i], all[from + i].second, 1e-6);
        CHECK_NEAR((double)mean[i], all[from + i].mean, 1e-6);
    }
}

static void steps_are_those_of_the_paper(void) {
    enum { STEPS = 20 }; /* from the 14th on the share of the mean is the option's */
    static struct number all[TENSOR_COUNT][90 * 1000];
    struct trained t;
    open_random(&t, &OPTIONS, NULL, 0);
    CHECK_NUMBER(t.optimizer.slice_count, FROZEN);
    for (size_t i = 0; i < FROZEN; i++) {
        for (size_t k = 0; k < trained_count(&t, i); k++) {
            all[i][k] = (struct number){.value = (double)numbers[i][k]};
        }
    }
    for (int64_t step = 0; step < STEPS; step++) {
        double squares = 0;
        random_gradients(&t);
        for (size_t i = 0; i < FROZEN; i++) {
            for (size_t k = 0; k < trained_count(&t, i); k++) {
                squares += (double)numbers[i][k] * (double)numbers[i][k];
                take_step(&all[i][k], 0.5 * (double)numbers[i][k], i, step);
            }
        }
        CHECK_NEAR(trained_step(&t, RATE, 0.5, 0) / sqrt(squares), 1, 1e-6);
        for (size_t i = 0; i < FROZEN; i++) {
            check_slice(&t, &t.optimizer.slices[i], all[i]);
            const float *gradient = trained_numbers(&t.gradients.list[i]);
            CHECK(gradient[0] == 0 && gradient[trained_count(&t, i) - 1] == 0);
        }
    }
    trained_close(&t);
}

/* ---- What takes part ------------------------------------------------------------------------- */

static void what_no_gradient_came_to_stays_as_it_is(void) {
    struct trained t;
    float kept[3][35];
    const float zeros[35] = {0};
    const size_t size = sizeof kept[0];
    open_random(&t, &OPTIONS, NULL, 0);
    const struct slice *s = &t.optimizer.slices[MATRIX];
    random_gradients(&t);
    trained_step(&t, RATE, 1, 0);
    memcpy(kept[0], trained_value(&t, MATRIX), size);
    memcpy(kept[1], trained_numbers(&s->first_moment), size);
    memcpy(kept[2], trained_numbers(&s->second_moment), size);
    random_gradients(&t);
    tested_upload(&t.gradients.list[MATRIX], zeros);
    t.gradients.reached[MATRIX] = false;
    trained_step(&t, RATE, 1, 0);
    CHECK(memcmp(kept[0], trained_value(&t, MATRIX), size) == 0);
    CHECK(memcmp(kept[1], trained_numbers(&s->first_moment), size) == 0);
    CHECK(memcmp(kept[2], trained_numbers(&s->second_moment), size) == 0);
    CHECK(!s->active && t.optimizer.slices[BIAS].active);
    /* one that came and is zero moves on by its moments, and decays */
    trained_arrive(&t, MATRIX, zeros);
    trained_step(&t, RATE, 1, 0);
    const float *moved = trained_value(&t, MATRIX);
    for (size_t i = 0; i < 35; i++) {
        CHECK(kept[0][i] != moved[i]);
    }
    trained_close(&t);
}

static void a_step_that_is_not_followed_clears_its_gradients(void) {
    struct trained t;
    float before = 0;
    open_random(&t, &OPTIONS, NULL, 0);
    before = trained_value(&t, LARGE)[77];
    random_gradients(&t);
    trained_step(&t, RATE, 0, 0);
    const float *gradient = trained_numbers(&t.gradients.list[LARGE]);
    const float *mean = trained_numbers(&t.optimizer.slices[LARGE].ema);
    CHECK(trained_value(&t, LARGE)[77] == before);
    CHECK(gradient[77] == 0 && mean[77] == 0);
    trained_close(&t);
}

/* Rows that were chosen: GSPF's blocks, an expert. */
static void rows_can_be_trained_alone(void) {
    static const struct slice CHOSEN[] = {{.parameter = MATRIX, .first_row = 1, .rows = 2},
                                          {.parameter = LARGE, .first_row = 0, .rows = 40},
                                          {.parameter = LARGE, .first_row = 80, .rows = 10}};
    static float before[90 * 1000], shipped[90 * 1000];
    struct trained t, all;
    open_random(&all, &OPTIONS, NULL, 0);
    open_random(&t, &OPTIONS, CHOSEN, 3);
    memcpy(before, trained_value(&t, LARGE), sizeof before);
    state = 5;
    random_gradients(&t);
    trained_step(&t, RATE, 1, 0);
    state = 5;
    random_gradients(&all);
    trained_step(&all, RATE, 1, 0);
    const float *value = trained_value(&t, LARGE), *whole = trained_value(&all, LARGE);
    for (size_t row = 0; row < 90; row++) {
        const float *wanted = row < 40 || row >= 80 ? whole : before;
        CHECK(memcmp(value + row * 1000, wanted + row * 1000, 1000 * sizeof *wanted) == 0);
    }
    CHECK(memcmp(trained_value(&t, MATRIX) + 7, trained_value(&all, MATRIX) + 7,
                 14 * sizeof(float)) == 0);
    CHECK(trained_value(&t, MATRIX)[0] != trained_value(&all, MATRIX)[0]);
    /* what is shipped of the other rows is their value */
    CHECK_NUMBER(optimizer_read(&t.optimizer, LARGE, shipped, NULL), 0);
    CHECK(shipped[50 * 1000] == before[50 * 1000]);
    CHECK(shipped[85 * 1000] == trained_numbers(&t.optimizer.slices[2].ema)[5 * 1000]);
    CHECK_NUMBER(optimizer_bytes(t.parameters, &OPTIONS, CHOSEN, 3), (14 + 50 * 1000) * 3 * 4);
    trained_close(&t);
    trained_close(&all);
}

static void a_mean_is_only_kept_when_asked_for(void) {
    struct optimizer_options options = OPTIONS;
    struct trained t;
    float shipped[35];
    options.ema = 0;
    open_random(&t, &options, NULL, 0);
    CHECK(t.optimizer.slices[MATRIX].ema.data == NULL);
    random_gradients(&t);
    trained_step(&t, RATE, 1, 0);
    CHECK_NUMBER(optimizer_read(&t.optimizer, MATRIX, shipped, NULL), 0);
    CHECK(memcmp(shipped, trained_value(&t, MATRIX), sizeof shipped) == 0);
    trained_close(&t);
}

/* ---- Threads --------------------------------------------------------------------------------- */

static void every_piece_has_one_owner(void) {
    struct trained t;
    open_random(&t, &OPTIONS, NULL, 0);
    /* `large` is cut, unless the device is given more at once */
    CHECK(tested_backend()->batch() > 1 || t.optimizer.piece_count > t.optimizer.slice_count);
    for (size_t threads = 1; threads <= 9; threads++) {
        size_t next = 0;
        for (size_t i = 0; i < threads; i++) {
            size_t first, end;
            optimizer_share(&t.optimizer, i, threads, &first, &end);
            CHECK_NUMBER(first, next);
            next = end;
        }
        CHECK_NUMBER(next, t.optimizer.piece_count);
    }
    trained_close(&t);
}

/* Gradients of three threads, summed and applied by shares, beside their sum in one. */
static void shares_make_the_same_step(void) {
    enum { THREADS = 3 };
    struct trained whole, shared;
    struct gradients others[THREADS - 1];
    open_random(&whole, &OPTIONS, NULL, 0);
    open_random(&shared, &OPTIONS, NULL, 0);
    state = 1;
    const struct gradients *lists[THREADS] = {&shared.gradients, &others[0], &others[1]};
    struct optimizer *o = &shared.optimizer;
    double norm = 0;
    random_gradients(&whole);
    state = 1;
    random_gradients(&shared);
    for (size_t k = 1; k < THREADS; k++) {
        CHECK_NUMBER(gradients_open(&others[k - 1], shared.parameters, shared.device, NULL), 0);
        for (size_t i = 0; i < FROZEN; i++) {
            const struct tensor *to = &others[k - 1].list[i], *sum = &whole.gradients.list[i];
            others[k - 1].reached[i] = i != k; /* nothing came to some */
            for (size_t n = 0; n < trained_count(&whole, i); n++) {
                numbers[i][n] = i != k ? (float)random_number() : 0;
            }
            tested_upload(to, numbers[i]);
            CHECK_NUMBER(whole.device->ops->accumulate(whole.device, sum, to, NULL), 0);
        }
    }
    optimizer_activate(o, lists, THREADS);
    for (int phase = 0; phase < 2; phase++) {
        for (size_t i = THREADS; i-- > 0;) { /* in any order */
            size_t first, end;
            optimizer_share(o, i, THREADS, &first, &end);
            int rc = phase == 0
                         ? optimizer_reduce(o, shared.device, lists, THREADS, first, end, NULL)
                         : optimizer_update(o, shared.device, lists, THREADS, RATE, 0.5, first, end,
                                            NULL);
            CHECK_NUMBER(rc, 0);
        }
        if (phase == 0) {
            CHECK_NUMBER(optimizer_norm(o, &norm, NULL), 0);
        }
    }
    CHECK(norm == trained_step(&whole, RATE, 0.5, 0));
    for (size_t i = 0; i < FROZEN; i++) {
        size_t size = trained_count(&whole, i) * sizeof(float);
        CHECK(memcmp(trained_value(&whole, i), trained_value(&shared, i), size) == 0);
        for (size_t k = 1; k < THREADS; k++) {
            const float *cleared = trained_numbers(&others[k - 1].list[i]);
            CHECK(cleared[0] == 0 && cleared[size / sizeof(float) - 1] == 0);
        }
    }
    gradients_close(&others[0]);
    gradients_close(&others[1]);
    trained_close(&whole);
    trained_close(&shared);
}

/* Products read the copy in BF16. */
static void copies_follow_the_weights(void) {
    struct device *d = tested_device_open(DTYPE_BF16);
    struct trained t;
    if (d == NULL) {
        printf("# no bf16 products on this processor\n");
        return;
    }
    device_close(d);
    trained_begin(&t, DTYPE_BF16);
    trained_add(&t, TENSORS, TENSOR_COUNT);
    trained_open(&t, &OPTIONS, NULL, 0);
    random_gradients(&t);
    trained_step(&t, RATE, 1, 0);
    static uint16_t copy[90 * 1000];
    const float *value = trained_value(&t, LARGE);
    tested_download(copy, &parameters_get(t.parameters, LARGE)->bf16);
    for (size_t i = 0; i < trained_count(&t, LARGE); i++) {
        CHECK(copy[i] == bf16_of(value[i]));
    }
    trained_close(&t);
}

int main(void) {
    RUN(the_rate_rises_and_falls_as_half_a_cosine);
    RUN(a_rate_without_warm_up_or_without_fall);
    RUN(steps_are_those_of_the_paper);
    RUN(what_no_gradient_came_to_stays_as_it_is);
    RUN(a_step_that_is_not_followed_clears_its_gradients);
    RUN(rows_can_be_trained_alone);
    RUN(a_mean_is_only_kept_when_asked_for);
    RUN(every_piece_has_one_owner);
    RUN(shares_make_the_same_step);
    RUN(copies_follow_the_weights);
    return test_finish();
}
