/* align_curriculum_test.c - which lessons there are and when they are over; how near soft tokens
 * are to what they are to be. */
#include <math.h>
#include <stdlib.h>

#include "store/random.h"
#include "tests/test.h"
#include "train/align/match.h"

/* ---- Lessons ------------------------------------------------------------------------------ */

static struct align_options options_of(enum bridge_kind kind, int64_t expand, int64_t span) {
    struct align_options o = ALIGN_DEFAULTS;
    o.kind = kind;
    o.expand = expand;
    o.span = span;
    o.limit = 0.5;
    o.lessons = 0.6;
    o.trainer.schedule.steps = 10000;
    return o;
}

static void lessons_become_harder(void) {
    const struct align_options o = options_of(BRIDGE_READING, 1, 64);
    struct curriculum c;
    curriculum_open(&c, &o);
    CHECK(c.count > 3 && c.lessons[0].from == 8 && c.lessons[0].least == 1);
    for (int i = 1; i < c.count; i++) {
        CHECK(c.lessons[i].to <= c.lessons[i - 1].to && c.lessons[i].from >= c.lessons[i].to);
        CHECK(c.lessons[i].most > c.lessons[i - 1].most || c.lessons[i].to < c.lessons[i - 1].to);
    }
    CHECK(c.lessons[c.count - 1].to == 1 && c.lessons[c.count - 1].most == 64);
}

/* As few soft tokens as are asked for, spans as long; of a bridge that makes one number, that. */
static void lessons_end_where_they_are_to(void) {
    for (int64_t expand = 1; expand <= 8; expand *= 2) {
        for (int64_t span = 1; span <= 256; span *= 4) {
            const struct align_options reading = options_of(BRIDGE_READING, expand, span);
            const struct align_options linear = options_of(BRIDGE_LINEAR, expand, span);
            struct curriculum c;
            curriculum_open(&c, &reading);
            const struct lesson *end = &c.lessons[c.count - 1];
            CHECK(end->to == expand && end->most == span && end->least <= span);
            curriculum_open(&c, &linear);
            end = &c.lessons[c.count - 1];
            CHECK(end->to == expand && end->from == expand && end->most == span);
        }
    }
}

static void a_lesson_is_over_when_it_is_learned(void) {
    const struct align_options o = options_of(BRIDGE_READING, 1, 64);
    struct curriculum c;
    curriculum_open(&c, &o);
    int64_t step = 0;
    for (; step < 30; step++) {
        CHECK(!curriculum_step(&c, step, 100, 100)); /* a loss of 1 */
    }
    while (!curriculum_step(&c, ++step, 10, 100)) {
        CHECK(step < 60);
    }
    CHECK(step > 31); /* it is a running mean */
    CHECK_NUMBER(c.at, 1);
    const int64_t since = step; /* and no lesson ends at once */
    while (!curriculum_step(&c, ++step, 1, 100)) {
    }
    CHECK(step - since >= 20);
    CHECK_NUMBER(c.at, 2);
}

static void a_lesson_has_its_share_of_the_steps(void) {
    const struct align_options o = options_of(BRIDGE_READING, 1, 64);
    struct curriculum c;
    int64_t step = 0;
    curriculum_open(&c, &o);
    while (c.at < c.count && step < 10000) {
        curriculum_step(&c, ++step, 700, 100);
    }
    CHECK_NUMBER(step, 6000);
    CHECK(!curriculum_step(&c, step + 1, 0, 100));
    CHECK_NUMBER(c.at, c.count);
}

/* Steps without rows of the lesson, and losses that are no numbers, say nothing. */
static void what_says_nothing_is_passed_over(void) {
    const struct align_options o = options_of(BRIDGE_READING, 1, 64);
    struct curriculum c;
    curriculum_open(&c, &o);
    CHECK(!curriculum_step(&c, 9000, 0, 0));
    CHECK(!curriculum_step(&c, 9000, (double)NAN, 100));
    CHECK(c.at == 0 && c.weight == 0);
}

static void what_was_learned_is_repeated(void) {
    const struct align_options o = options_of(BRIDGE_READING, 1, 64);
    struct curriculum c;
    int current = 0, expand[9] = {0}, following = 0, halved = 0;
    uint64_t random = 3;
    curriculum_open(&c, &o);
    c.at = 3;
    for (int i = 0; i < 1000; i++) {
        bool is_current;
        const struct span_lesson l = curriculum_draw(&c, &random, &is_current);
        current += is_current;
        CHECK(l.expand >= c.lessons[3].to && l.continuing == 0 && l.halved == 0);
        CHECK(!is_current || l.most == c.lessons[3].most);
    }
    CHECK(current > 700 && current < 900);
    c.at = c.count;
    for (int i = 0; i < 1000; i++) {
        bool is_current;
        const struct span_lesson l = curriculum_draw(&c, &random, &is_current);
        CHECK(!is_current && l.least == 1 && l.most == 64);
        expand[l.expand]++;
        following += l.continuing == o.continuing;
        halved += l.halved == o.halved;
    }
    CHECK(expand[1] > expand[8] && expand[2] > 50 && expand[4] > 50 && expand[8] > 50);
    CHECK(following == 1000 && halved == 1000);
}

static void checkpoints_keep_the_lesson(void) {
    const struct align_options o = options_of(BRIDGE_READING, 1, 64);
    struct curriculum c, back;
    struct error e;
    curriculum_open(&c, &o);
    curriculum_open(&back, &o);
    for (int64_t step = 1; step < 1000; step++) {
        curriculum_step(&c, step, 100.0 / (double)(step % 7 + 1), 100);
    }
    json_t *state = curriculum_state(&c), *bad = json_pack("{s:i}", "lesson", 99);
    CHECK(c.at > 0);
    CHECK_NUMBER(curriculum_restore(&back, state, &e), 0);
    CHECK(back.at == c.at && back.since == c.since && back.loss == c.loss &&
          back.weight == c.weight);
    CHECK_NUMBER(curriculum_restore(&back, bad, &e), ERR_FORMAT);
    CHECK_NUMBER(curriculum_restore(&back, NULL, &e), ERR_FORMAT);
    json_decref(state);
    json_decref(bad);
}

/* ---- Matching ----------------------------------------------------------------------------- */

enum { ROWS = 5, WIDTH = 7 };

static void fill(float *values, uint64_t seed) {
    for (int i = 0; i < ROWS * WIDTH; i++) {
        values[i] = (float)(random_unit(&seed) - 0.4);
    }
}

static double loss_of(const float *s, const float *aims) {
    struct match_sums sums = {.rows = 0};
    match_rows(&sums, s, aims, ROWS, WIDTH, 0.3, 1, NULL);
    return sums.loss;
}

static void gradients_are_those_of_the_loss(void) {
    float s[ROWS * WIDTH], aims[ROWS * WIDTH], gradient[ROWS * WIDTH];
    struct match_sums sums = {.rows = 0};
    fill(s, 1);
    fill(aims, 2);
    match_rows(&sums, s, aims, ROWS, WIDTH, 0.3, 0.25f, gradient);
    CHECK_NUMBER(sums.rows, ROWS);
    CHECK_NEAR(sums.loss, loss_of(s, aims), 1e-12);
    for (int i = 0; i < ROWS * WIDTH; i++) {
        const float step = 0x1p-10f, was = s[i];
        s[i] = was + step;
        const double above = loss_of(s, aims);
        s[i] = was - step;
        const double below = loss_of(s, aims);
        s[i] = was;
        CHECK_NEAR((double)gradient[i], 0.25 * (above - below) / (2 * (double)step), 2e-6);
    }
}

/* The loss is as it is defined: of what is alike none; of zeros 1, and what they lack. */
static void the_loss_is_what_it_is_called(void) {
    float s[ROWS * WIDTH], zeros[ROWS * WIDTH] = {0}, gradient[ROWS * WIDTH];
    double squares = 0;
    fill(s, 3);
    for (int i = 0; i < ROWS * WIDTH; i++) {
        squares += (double)s[i] * (double)s[i];
    }
    CHECK_NEAR(loss_of(s, s), 0, 1e-12);
    CHECK_NEAR(loss_of(zeros, s), ROWS + squares / (0.3 * WIDTH), 1e-6);
    struct match_sums sums = {.rows = 0};
    match_rows(&sums, zeros, zeros, ROWS, WIDTH, 0.3, 1, gradient);
    for (int i = 0; i < ROWS * WIDTH; i++) {
        CHECK_NEAR((double)gradient[i], 0, 0);
    }
}

/* What all rows have in common says nothing. */
static void the_centred_cosine_leaves_out_what_is_common(void) {
    float s[ROWS * WIDTH], aims[ROWS * WIDTH], other[ROWS * WIDTH];
    double *means[2] = {calloc(WIDTH, sizeof **means), calloc(WIDTH, sizeof **means)};
    fill(aims, 4);
    fill(other, 5);
    for (int i = 0; i < ROWS * WIDTH; i++) {
        s[i] = 0.5f * aims[i] + (float)(i % WIDTH);
    }
    struct match_sums sums = {.means = {means[0], means[1]}};
    match_rows(&sums, s, aims, ROWS, WIDTH, 0.3, 1, NULL);
    CHECK_NEAR(match_cosine(&sums, WIDTH), 1, 1e-5);
    CHECK(sums.cosine / ROWS < 0.9);
    memset(means[0], 0, WIDTH * sizeof **means);
    memset(means[1], 0, WIDTH * sizeof **means);
    for (int i = 0; i < ROWS * WIDTH; i++) {
        aims[i] = other[i] + 100;
    }
    fill(s, 6);
    for (int i = 0; i < ROWS * WIDTH; i++) {
        s[i] += 100;
    }
    sums = (struct match_sums){.means = {means[0], means[1]}};
    match_rows(&sums, s, aims, ROWS, WIDTH, 0.3, 1, NULL);
    CHECK(sums.cosine / ROWS > 0.999);
    CHECK(fabs(match_cosine(&sums, WIDTH)) < 0.7);
    free(means[0]);
    free(means[1]);
}

/* ---- Spelling ----------------------------------------------------------------------------- */

static void squared_errors_have_their_gradient(void) {
    float z[ROWS * WIDTH], aims[ROWS * WIDTH], gradient[ROWS * WIDTH], none[ROWS * WIDTH];
    fill(z, 7);
    fill(aims, 8);
    match_near(z, aims, 3, 2, WIDTH, 0.5, gradient);
    for (int i = 0; i < ROWS * WIDTH; i++) {
        const float step = 0x1p-8f, was = z[i];
        z[i] = was + step;
        const double above = match_near(z, aims, 3, 2, WIDTH, 0, none);
        z[i] = was - step;
        const double below = match_near(z, aims, 3, 2, WIDTH, 0, none);
        z[i] = was;
        CHECK_NEAR((double)gradient[i], 0.5 * (above - below) / (2 * (double)step), 1e-6);
        CHECK_NEAR((double)none[i], 0, 0);
    }
    /* means of each kind: a row more does not weigh the others down together */
    float ones[ROWS * WIDTH], zeros[ROWS * WIDTH] = {0};
    for (int i = 0; i < ROWS * WIDTH; i++) {
        ones[i] = 1;
    }
    CHECK_NEAR(match_near(ones, zeros, 4, 1, WIDTH, 0, none), 0.3 * 2 * WIDTH, 1e-9);
    CHECK_NEAR(match_near(ones, ones, 5, 0, WIDTH, 0, none), 0, 0);
}

/* The first and the last are found as such, and the order stays. */
static void characters_are_found_in_order(void) {
    for (int64_t characters = 1; characters < 20; characters++) {
        for (int64_t found = 1; found < 25; found++) {
            int64_t last = 0;
            CHECK_NUMBER(match_character(0, characters, found), 0);
            CHECK(characters == 1 ||
                  match_character(characters - 1, characters, found) == found - 1);
            for (int64_t i = 0; i < characters; i++) {
                const int64_t at = match_character(i, characters, found);
                CHECK(at >= last && at < found);
                CHECK(found != characters || at == i);
                last = at;
            }
        }
    }
    CHECK_NUMBER(match_character(9, 5, 5), 4); /* a text that is longer than it says */
}

int main(void) {
    RUN(lessons_become_harder);
    RUN(lessons_end_where_they_are_to);
    RUN(a_lesson_is_over_when_it_is_learned);
    RUN(a_lesson_has_its_share_of_the_steps);
    RUN(what_says_nothing_is_passed_over);
    RUN(what_was_learned_is_repeated);
    RUN(checkpoints_keep_the_lesson);
    RUN(gradients_are_those_of_the_loss);
    RUN(the_loss_is_what_it_is_called);
    RUN(the_centred_cosine_leaves_out_what_is_common);
    RUN(squared_errors_have_their_gradient);
    RUN(characters_are_found_in_order);
    return test_finish();
}
