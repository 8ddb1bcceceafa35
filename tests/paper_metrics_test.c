/* paper_metrics_test.c - style, caption score and intervals of train/paper/. */
#include "store/random.h"
#include "test.h"
#include "train/paper/grams.h"
#include "train/paper/marks.h"
#include "train/paper/ranker.h"
#include "train/paper/style.h"

enum { TEXT = 4000 };

/* ---- Grams, marks ---------------------------------------------------------------------------- */

static void grams_are_unit_vectors_of_what_several_texts_have(void) {
    struct grams g = {0};
    float *weights = malloc(GRAMS_PLACES * sizeof *weights);
    static const char *const TEXTS[] = {"same words", "same \n\t words", "zzzzz", "same one"};
    for (int i = 0; i < 4; i++) {
        CHECK_NUMBER(grams_add(&g, TEXTS[i], strlen(TEXTS[i]), NULL), 0);
    }
    size_t counts[2];
    const struct grams_entry *rows[2];
    for (size_t i = 0; i < 2; i++) {
        rows[i] = grams_row(&g, i, &counts[i]);
    }
    CHECK_NUMBER(counts[0], 10 + 9 + 8); /* of " same words " */
    CHECK(counts[0] == counts[1] && memcmp(rows[0], rows[1], counts[0] * sizeof **rows) == 0);
    grams_weights(&g, weights);
    grams_weigh(&g, 0, weights);
    for (size_t row = 0; row < 4; row++) {
        size_t count;
        const struct grams_entry *entries = grams_row(&g, row, &count);
        double sum = 0;
        for (size_t i = 0; i < count; i++) {
            sum += (double)entries[i].value * (double)entries[i].value;
        }
        CHECK_NEAR(sum, row == 2 ? 0 : 1, 1e-6);
    }
    grams_close(&g);
    free(weights);
}

static void marks_are_shares(void) {
    float marks[MARKS_COUNT], words[FUNCTION_WORD_COUNT];
    CHECK(!marks_describe("12 !?", 5, marks, words));
    const char text[] = "The cat AND the dog: ok. Yes!";
    CHECK(marks_describe(text, sizeof text - 1, marks, words));
    const char *const signs = MARKS_SIGNS;
    const double n = sizeof text - 1;
    CHECK_NEAR((double)marks[strchr(signs, ':') - signs], sqrt(1 / n), 1e-6);
    CHECK_NEAR((double)marks[sizeof MARKS_SIGNS - 1 + 5], sqrt(3.0 / 7), 1e-6); /* The, AND, Yes */
    CHECK_NEAR((double)marks[sizeof MARKS_SIGNS - 1 + 6], sqrt(1.0 / 7), 1e-6);
    CHECK_NEAR((double)marks[MARKS_COUNT - 1], log(7.0 / 2), 1e-6);
    for (int i = 0; i < FUNCTION_WORD_COUNT; i++) {
        const double share = strcmp(FUNCTION_WORDS[i], "the") == 0   ? 2.0 / 7
                             : strcmp(FUNCTION_WORDS[i], "and") == 0 ? 1.0 / 7
                                                                     : 0;
        CHECK_NEAR((double)words[i], sqrt(share), 1e-6);
        CHECK(i == 0 || strcmp(FUNCTION_WORDS[i - 1], FUNCTION_WORDS[i]) < 0);
    }
}

/* ---- Style ----------------------------------------------------------------------------------- */

/* A writer's sentences: words and marks of their own among common ones. */
static void write_text(char out[TEXT], int writer, uint64_t seed) {
    static const char *const WORDS[3][4] = {{"update", "package", "upstream", "also"},
                                            {"folks", "great", "tremendous", "very"},
                                            {"hereby", "whereas", "congress", "upon"}};
    static const char *const ENDS[3] = {".\n", "!!! ", "; "};
    size_t size = 0;
    while (size + 100 < TEXT) {
        for (int i = 0; i < 6; i++) {
            const int of = random_unit(&seed) < 0.6 ? writer : (int)random_below(&seed, 3);
            size +=
                (size_t)snprintf(out + size, TEXT - size, "%s ", WORDS[of][random_below(&seed, 4)]);
        }
        size += (size_t)snprintf(out + size, TEXT - size, "%s", ENDS[writer]);
    }
}

static struct style_text written(char out[TEXT], int writer, uint64_t seed, size_t whose) {
    write_text(out, writer, seed);
    return (struct style_text){.writer = whose, .text = out, .size = strlen(out)};
}

static char texts[16][TEXT];

static void writers_are_told_apart_in_every_view(void) {
    struct style_text known[3];
    struct style *s = NULL;
    double cosines[STYLE_VIEWS][3];
    for (int w = 0; w < 3; w++) {
        known[w] = written(texts[w], w, (uint64_t)w, (size_t)w);
    }
    CHECK_NUMBER(style_open(&s, known, 3, 3, NULL), 0);
    for (int w = 0; w < 3; w++) {
        const struct style_text other = written(texts[3], w, 77 + (uint64_t)w, 0);
        CHECK_NUMBER(style_compare(s, other.text, other.size, *cosines, NULL), 0);
        for (int view = 0; view < STYLE_VIEWS; view++) {
            for (int i = 0; i < 3; i++) {
                CHECK(i == w || cosines[view][w] > cosines[view][i] + 0.3);
            }
        }
    }
    CHECK_NUMBER(style_compare(s, "1 2 3", 5, *cosines, NULL), 0);
    CHECK_NEAR(cosines[STYLE_GRAMS][0], 0, 0);
    style_close(s);
}

static void shares_lie_between_others_and_oneself(void) {
    struct style_text known[3], later[3], same[3], swapped[3];
    struct style_bounds bounds[3];
    struct interval share;
    struct style *s = NULL;
    for (int w = 0; w < 3; w++) {
        known[w] = written(texts[w], w, (uint64_t)w, (size_t)w);
        later[w] = written(texts[3 + w], w, 10 + (uint64_t)w, (size_t)w);
        same[w] = written(texts[6 + w], w, 20 + (uint64_t)w, (size_t)w);
        swapped[w] = written(texts[9 + w], w, 20 + (uint64_t)w, ((size_t)w + 1) % 3);
    }
    CHECK_NUMBER(style_open(&s, known, 3, 3, NULL), 0);
    for (int view = 0; view <= STYLE_ALL; view++) {
        CHECK_NUMBER(style_measure(s, later, 3, later, 3, bounds, NULL), 0);
        CHECK_NUMBER(style_share(&share, bounds, 3, view, NULL), 0);
        CHECK_NEAR(share.value, 1, 1e-9);
        CHECK_NEAR(share.low, 1, 1e-9);
        CHECK_NUMBER(style_measure(s, same, 3, later, 3, bounds, NULL), 0);
        CHECK_NUMBER(style_share(&share, bounds, 3, view, NULL), 0);
        CHECK_NEAR(share.value, 1, 0.15);
        CHECK_NUMBER(style_measure(s, swapped, 3, later, 3, bounds, NULL), 0);
        CHECK_NUMBER(style_share(&share, bounds, 3, view, NULL), 0);
        CHECK_NEAR(share.value, 0, 0.2);
        CHECK(share.low <= share.value && share.value <= share.high);
    }
    style_close(s);
}

static void a_writer_without_text_is_refused_or_left_out(void) {
    struct style_text known[2] = {written(texts[0], 0, 1, 0), written(texts[1], 1, 2, 1)};
    struct style_bounds bounds[2];
    struct interval share;
    struct style *s = NULL;
    struct error e = {0};
    CHECK_NUMBER(style_open(&s, known, 1, 2, &e), ERR_FORMAT);
    CHECK(s == NULL && strstr(e.text, "writer 2") != NULL);
    CHECK_NUMBER(style_open(&s, known, 2, 2, NULL), 0);
    CHECK_NUMBER(style_measure(s, known, 1, known, 2, bounds, NULL), 0);
    CHECK(isfinite(bounds[0].own[0]) && isnan(bounds[1].own[0]));
    CHECK_NUMBER(style_share(&share, bounds, 2, STYLE_GRAMS, NULL), 0);
    CHECK_NEAR(share.value, 1, 1e-9);
    CHECK_NUMBER(style_measure(s, NULL, 0, known, 2, bounds, NULL), 0);
    CHECK_NUMBER(style_share(&share, bounds, 2, STYLE_ALL, NULL), 0);
    CHECK(isnan(share.value));
    style_close(s);
}

/* ---- Intervals ------------------------------------------------------------------------------- */

static void intervals_are_those_of_a_normal_mean(void) {
    enum { COUNT = 400 };
    double values[COUNT + 1], sum = 0, squares = 0;
    uint64_t state = 3;
    for (int i = 0; i < COUNT; i++) {
        values[i] = random_unit(&state) + random_unit(&state);
        sum += values[i];
        squares += values[i] * values[i];
    }
    values[COUNT] = (double)NAN;
    struct interval mean, again;
    CHECK_NUMBER(interval_mean(&mean, values, COUNT + 1, NULL), 0);
    const double deviation = sqrt((squares / COUNT - sum / COUNT * sum / COUNT) / COUNT);
    CHECK_NEAR(mean.value, sum / COUNT, 1e-12);
    CHECK_NEAR(mean.low, mean.value - 1.96 * deviation, 0.15 * deviation);
    CHECK_NEAR(mean.high, mean.value + 1.96 * deviation, 0.15 * deviation);
    CHECK_NUMBER(interval_mean(&again, values, COUNT, NULL), 0);
    CHECK(memcmp(&mean, &again, sizeof mean) == 0);
    CHECK_NUMBER(interval_mean(&mean, values, 0, NULL), 0);
    CHECK(isnan(mean.value) && isnan(mean.low));
}

static void ranks_are_spearmans(void) {
    /* what scipy.stats.spearmanr gives */
    static const double X[] = {1, 2, 2, 3, 5, 8, 8, 9}, Y[] = {2, 1, 4, 4, 3, 9, 5, 4};
    struct interval ranks;
    CHECK_NUMBER(interval_ranks(&ranks, X, Y, 8, NULL), 0);
    CHECK_NEAR(ranks.value, 0.6790640976965929, 1e-9);
    CHECK(ranks.low < ranks.value && ranks.value < ranks.high && ranks.high <= 1);
}

/* ---- The ranker ------------------------------------------------------------------------------ */

enum { POSTS = 600 };
static char captions[POSTS][80];
static struct ranker_post posts[POSTS];

/* Captions with "banana" go twice as far, those with "taxes" half; the account grows. */
static void make_posts(uint64_t seed) {
    static const char *const SUBJECTS[] = {"banana", "taxes", "weather", "music"};
    static const double FACTORS[] = {2, 0.5, 1, 1};
    for (int i = 0; i < POSTS; i++) {
        const int64_t subject = random_below(&seed, 4);
        snprintf(captions[i], sizeof captions[i], "Number %d of my thoughts on %s today",
                 (int)random_below(&seed, 1000), SUBJECTS[subject]);
        const double noise = exp(0.3 * (random_unit(&seed) - 0.5));
        posts[i] = (struct ranker_post){.text = captions[i],
                                        .size = strlen(captions[i]),
                                        .reach = (50 + i) * FACTORS[subject] * noise};
    }
}

static void posts_are_compared_with_those_before(void) {
    struct ranker_post same[300];
    double beats[300];
    for (int i = 0; i < 300; i++) {
        same[i] = (struct ranker_post){.text = "x", .size = 1, .reach = i == 250 ? 21 : 10};
    }
    CHECK_NUMBER(ranker_beats(beats, same, 300, NULL), 0);
    CHECK(isnan(beats[0]) && isnan(beats[19]) && isfinite(beats[20]));
    CHECK_NEAR(beats[249], 0, 1e-12);
    CHECK_NEAR(beats[250], log(22.0 / 11), 1e-12);
    CHECK_NEAR(beats[251], 0, 1e-12);
}

static void what_reaches_further_is_learned(void) {
    struct interval found;
    struct ranker *r = NULL;
    double scores[3], real[POSTS];
    make_posts(5);
    CHECK_NUMBER(ranker_test(&found, posts, POSTS, POSTS * 4 / 5, NULL), 0);
    CHECK(found.value > 0.75 && found.low > 0.65);
    CHECK_NUMBER(ranker_open(&r, posts, POSTS * 4 / 5, NULL), 0);
    const struct ranker_post made[3] = {
        {"a banana!", 9, 0}, {"the weather", 11, 0}, {"my taxes", 8, 0}};
    CHECK_NUMBER(ranker_score(r, made, 3, scores, NULL), 0);
    CHECK(scores[0] > scores[1] && scores[1] > scores[2]);
    CHECK_NUMBER(ranker_score(r, posts, POSTS, real, NULL), 0);

    CHECK(ranker_percentile(scores[0], real, POSTS) > 0.6);
    CHECK(ranker_percentile(scores[2], real, POSTS) < 0.4);
    ranker_close(r);
}

static void nothing_is_learned_from_chance(void) {
    double sum = 0;
    for (uint64_t seed = 0; seed < 4; seed++) {
        struct interval found;
        uint64_t state = random_stream(seed, 0);
        make_posts(seed);
        for (int i = 0; i < POSTS; i++) {
            posts[i].reach = exp(5 * random_unit(&state));
        }
        CHECK_NUMBER(ranker_test(&found, posts, POSTS, POSTS * 4 / 5, NULL), 0);
        sum += found.value / 4;
        CHECK(found.high - found.low > 0.2);
    }
    CHECK_NEAR(sum, 0, 0.15);
}

static void few_posts_are_refused(void) {
    struct ranker *r = NULL;
    struct error e = {0};
    make_posts(1);
    CHECK_NUMBER(ranker_open(&r, posts, 99, &e), ERR_FORMAT);
    CHECK(r == NULL && strstr(e.text, "99 posts") != NULL);
}

static void percentiles_share_ties(void) {
    static const double REAL[] = {1, 2, 2, 3};
    CHECK_NEAR(ranker_percentile(2, REAL, 4), 0.5, 1e-12);
    CHECK_NEAR(ranker_percentile(0, REAL, 4), 0, 1e-12);
    CHECK_NEAR(ranker_percentile(9, REAL, 4), 1, 1e-12);
    CHECK(isnan(ranker_percentile(1, REAL, 0)));
}

int main(void) {
    RUN(grams_are_unit_vectors_of_what_several_texts_have);
    RUN(marks_are_shares);
    RUN(writers_are_told_apart_in_every_view);
    RUN(shares_lie_between_others_and_oneself);
    RUN(a_writer_without_text_is_refused_or_left_out);
    RUN(intervals_are_those_of_a_normal_mean);
    RUN(ranks_are_spearmans);
    RUN(posts_are_compared_with_those_before);
    RUN(what_reaches_further_is_learned);
    RUN(nothing_is_learned_from_chance);
    RUN(few_posts_are_refused);
    RUN(percentiles_share_ties);
    return test_finish();
}
