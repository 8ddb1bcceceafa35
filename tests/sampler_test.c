/* sampler_test.c - what may be drawn against transformers' logits processors
 * (golden/sampling/make.py), and that it is drawn as often as it should be. */
#include "train/generate/sampler.h"

#include <jansson.h>

#include "store/random.h"
#include "tests/test.h"

enum { MOST = 64 };

static double number(const json_t *object, const char *name, double fallback) {
    const json_t *value = json_object_get(object, name);
    return value != NULL ? json_number_value(value) : fallback;
}

static struct sampling settings_of(const json_t *s) {
    return (struct sampling){.temperature = number(s, "temperature", 0),
                             .top_k = (int64_t)number(s, "top_k", 0),
                             .top_p = number(s, "top_p", 1),
                             .min_p = number(s, "min_p", 0),
                             .repetition = number(s, "repetition", 1),
                             .no_repeat = (int64_t)number(s, "no_repeat", 0)};
}

static struct sampler *open_sampler(int64_t vocabulary) {
    struct sampler *s;
    if (sampler_open(&s, vocabulary, NULL) < 0) {
        exit(EXIT_FAILURE);
    }
    return s;
}

static void check_case(const json_t *c) {
    const json_t *wanted = json_object_get(c, "probabilities");
    const struct sampling o = settings_of(json_object_get(c, "settings"));
    float logits[MOST];
    int32_t context[MOST], id;
    double got[MOST] = {0};
    const size_t n = json_array_size(wanted),
                 length = json_array_size(json_object_get(c, "context"));
    struct error e = {0};
    for (size_t i = 0; i < n && i < MOST; i++) {
        logits[i] = (float)json_number_value(json_array_get(json_object_get(c, "logits"), i));
    }
    for (size_t i = 0; i < length && i < MOST; i++) {
        context[i] = (int32_t)json_integer_value(json_array_get(json_object_get(c, "context"), i));
    }
    struct sampler *s = open_sampler((int64_t)n);
    uint64_t random = 1, total, sum = 0;
    int64_t count;
    CHECK_NUMBER(sampler_next(s, &o, logits, context, (int64_t)length, &random, &id, &e), 0);
    const struct sampler_choice *kept = sampler_choices(s, &count, &total);
    for (int64_t i = 0; i < count; i++) {
        got[kept[i].id] = (double)kept[i].weight / (double)total;
        sum += kept[i].weight;
    }
    CHECK(sum == total && got[id] > 0);
    for (size_t i = 0; i < n; i++) {
        const double p = json_number_value(json_array_get(wanted, i));
        if (!CHECK((got[i] > 0) == (p > 1e-12)) || !CHECK_NEAR(got[i], p, 1e-6)) {
            printf("# token %zu of %s\n", i,
                   json_dumps(json_object_get(c, "settings"), JSON_COMPACT));
            break;
        }
    }
    sampler_close(s);
}

static void what_is_left_is_what_transformers_leaves(void) {
    json_t *cases = json_load_file(TEST_FOLDER "/golden/sampling/cases.json", 0, NULL), *c;
    size_t i;
    json_array_foreach(cases, i, c) {
        check_case(c);
    }
    CHECK(i > 15);
    json_decref(cases);
}

static int32_t next(struct sampler *s, const struct sampling *o, const float *logits, int64_t n,
                    uint64_t *random) {
    float copy[MOST];
    int32_t id = -1;
    memcpy(copy, logits, (size_t)n * sizeof *copy);
    CHECK_NUMBER(sampler_next(s, o, copy, &id, 0, random, &id, NULL), 0);
    return id;
}

static void greedy_takes_the_first_of_the_largest(void) {
    const float logits[] = {1, 3, -2, 3, 2};
    const struct sampling greedy = SAMPLING_DEFAULTS;
    struct sampler *s = open_sampler(5);
    uint64_t random = 7;
    CHECK_NUMBER(next(s, &greedy, logits, 5, &random), 1);
    CHECK_NUMBER(random, 7); /* nothing was drawn */
    sampler_close(s);
}

static void tokens_come_as_often_as_they_should(void) {
    enum { DRAWS = 20000 };
    const float logits[] = {0, 1, 2, -INFINITY};
    const double e1 = exp(1), e2 = exp(2);
    const struct sampling plain = {.temperature = 1, .top_p = 1, .repetition = 1},
                          two = {.temperature = 1, .top_k = 2, .top_p = 1, .repetition = 1};
    int counts[2][4] = {{0}};
    struct sampler *s = open_sampler(4);
    uint64_t random = random_stream(5, 0);
    for (int i = 0; i < DRAWS; i++) {
        counts[0][next(s, &plain, logits, 4, &random)]++;
        counts[1][next(s, &two, logits, 4, &random)]++;
    }
    /* five standard deviations */
    CHECK_NEAR(counts[0][0] / (double)DRAWS, 1 / (1 + e1 + e2), 0.012);
    CHECK_NEAR(counts[0][1] / (double)DRAWS, e1 / (1 + e1 + e2), 0.016);
    CHECK_NEAR(counts[1][1] / (double)DRAWS, e1 / (e1 + e2), 0.016);
    CHECK_NUMBER(counts[0][3] + counts[1][3] + counts[1][0], 0);
    sampler_close(s);
}

/* Computed in Python from what random.h and sampler.h say. */
static void a_seed_gives_the_same_tokens_everywhere(void) {
    static const int32_t WANTED[] = {1, 3, 2, 3, 2, 2, 2, 2};
    const float logits[] = {0.5F, 0.25F, 0.75F, 0.5F};
    const struct sampling o = {.temperature = 0.8, .top_p = 0.99, .repetition = 1};
    struct sampler *s = open_sampler(4);
    uint64_t random = random_stream(1, 2);
    for (size_t i = 0; i < sizeof WANTED / sizeof *WANTED; i++) {
        CHECK_NUMBER(next(s, &o, logits, 4, &random), WANTED[i]);
    }
    sampler_close(s);
}

static void equal_logits_are_all_kept_or_by_id(void) {
    float logits[MOST] = {0};
    const struct sampling k = {.temperature = 1, .top_k = 3, .top_p = 1, .repetition = 1};
    struct sampler *s = open_sampler(MOST);
    uint64_t random = 1, total;
    int64_t count;
    next(s, &k, logits, MOST, &random);
    const struct sampler_choice *kept = sampler_choices(s, &count, &total);
    CHECK_NUMBER(count, 3);
    CHECK(kept[0].id == 0 && kept[1].id == 1 && kept[2].id == 2);
    sampler_close(s);
}

static void what_cannot_be_drawn_is_said(void) {
    const struct sampling greedy = SAMPLING_DEFAULTS,
                          once = {.top_p = 1, .repetition = 1, .no_repeat = 1};
    const int32_t context[] = {0, 1};
    float bad[][2] = {{NAN, 1}, {1, NAN}, {INFINITY, 1}, {-INFINITY, -INFINITY}};
    struct sampler *s = open_sampler(2);
    uint64_t random = 1;
    int32_t id;
    for (int i = 0; i < 4; i++) {
        CHECK_NUMBER(sampler_next(s, &greedy, bad[i], context, 2, &random, &id, NULL), ERR_FORMAT);
    }
    float good[] = {1, 2};
    CHECK_NUMBER(sampler_next(s, &once, good, context, 2, &random, &id, NULL), ERR_LIMIT);
    sampler_close(s);
}

/* Inputs that are no text are not penalised and not repeated. */
static void what_is_no_text_does_not_count(void) {
    const struct sampling o = {.top_p = 1, .repetition = 2, .no_repeat = 2};
    const int32_t context[] = {-7, 0, -7, 1, -7, 0};
    float logits[] = {3, 5, 2};
    struct sampler *s = open_sampler(3);
    uint64_t random = 1;
    int32_t id;
    CHECK_NUMBER(sampler_next(s, &o, logits, context, 6, &random, &id, NULL), 0);
    CHECK_NUMBER(id, 1); /* 2.5 beside 1.5 and 2; 0, -7 was there, but -7 is no token */
    sampler_close(s);
}

int main(void) {
    RUN(what_is_no_text_does_not_count);
    RUN(what_is_left_is_what_transformers_leaves);
    RUN(greedy_takes_the_first_of_the_largest);
    RUN(tokens_come_as_often_as_they_should);
    RUN(a_seed_gives_the_same_tokens_everywhere);
    RUN(equal_logits_are_all_kept_or_by_id);
    RUN(what_cannot_be_drawn_is_said);
    return test_finish();
}
