/* calibration_test.c - confidence that becomes an expected accuracy: what is read, applied and
 * fitted. */
#include "compress/calibration.h"
#include "store/random.h"
#include "test.h"
#include "train/fidelity/calibrate.h"

static struct calibration read(const char *text) {
    struct calibration c;
    struct error e;
    CHECK(calibration_parse(&c, text, &e) == 0);
    return c;
}

static void a_line_goes_through_its_knots(void) {
    struct calibration c = read("{\"confidence\": [0.5, 0.7, 0.9], \"accuracy\": [0.2, 0.2, 0.8]}");
    CHECK_NEAR(calibration_apply(&c, 0.5), 0.2, 1e-12);
    CHECK_NEAR(calibration_apply(&c, 0.6), 0.2, 1e-12);
    CHECK_NEAR(calibration_apply(&c, 0.7), 0.2, 1e-12);
    CHECK_NEAR(calibration_apply(&c, 0.75), 0.35, 1e-12);
    CHECK_NEAR(calibration_apply(&c, 0.9), 0.8, 1e-12);
    CHECK_NEAR(calibration_apply(&c, 0), 0.2, 1e-12); /* level beyond them */
    CHECK_NEAR(calibration_apply(&c, 1), 0.8, 1e-12);
    const struct calibration none = {.count = 0};
    CHECK_NEAR(calibration_apply(&none, 0.3), 0.3, 0);
}

static void what_is_no_calibration_is_refused(void) {
    static const char *const WRONG[] = {
        "",
        "[]",
        "{}",
        "{\"confidence\": [0.5, 0.7]}",
        "{\"confidence\": [0.5], \"accuracy\": [0.5]}",
        "{\"confidence\": [0.5, 0.7], \"accuracy\": [0.5, 0.6, 0.7]}",
        "{\"confidence\": [0.7, 0.5], \"accuracy\": [0.5, 0.6]}",
        "{\"confidence\": [0.5, 0.5], \"accuracy\": [0.5, 0.6]}",
        "{\"confidence\": [0.5, 0.7], \"accuracy\": [0.6, 0.5]}",
        "{\"confidence\": [0.5, 1.5], \"accuracy\": [0.5, 0.6]}",
        "{\"confidence\": [0.5, \"1\"], \"accuracy\": [0.5, 0.6]}",
        ("{\"confidence\": [0,0.01,0.02,0.03,0.04,0.05,0.06,0.07,0.08,0.09,0.1,0.11,0.12,0.13,0.14,"
         "0.15,0.16], \"accuracy\": [0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}")};
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        struct calibration c;
        struct error e;
        CHECK(calibration_parse(&c, WRONG[i], &e) == ERR_FORMAT);
        CHECK_NUMBER(c.count, 0);
        CHECK(strstr(e.text, "calibration") != NULL);
    }
}

/* Rows as heads give them: most are good, and the accuracy of those that are not lies far below
 * their confidence. */
static struct measured_rows make_rows(uint64_t seed, int count) {
    struct measured_rows rows = {.items = NULL};
    struct error e;
    for (int i = 0; i < count; i++) {
        double u = random_unit(&seed), confidence = 1 - 0.6 * u * u * u;
        double mean = 1 - 2.2 * (1 - confidence) * (1 - confidence) - 0.2 * (1 - confidence);
        double wrong = 0;
        for (int letter = 0; letter < 48; letter++) {
            wrong += random_unit(&seed) > mean;
        }
        struct measured_row row = {.confidence = (float)confidence,
                                   .accuracy = (float)(1 - wrong / 48)};
        CHECK(measured_rows_add(&rows, &row, &e) == 0);
    }
    measured_rows_sort(&rows);
    return rows;
}

static void a_fit_holds_on_rows_that_it_has_not_seen(void) {
    struct measured_rows seen = make_rows(1, 4000), other = make_rows(2, 4000);
    struct calibration_tenth tenths[CALIBRATION_TENTHS];
    struct calibration c;
    struct error e;
    double before = 0, last = -1;
    CHECK(calibration_fit(&c, &seen, &e) == 0);
    CHECK(c.count > 4 && c.count <= CALIBRATION_KNOTS);
    for (int i = 0; i <= 1000; i++) {
        double expected = calibration_apply(&c, i / 1000.0);
        CHECK(expected >= last);
        last = expected;
    }
    calibration_table(tenths, &other, &c);
    for (int i = 0; i < CALIBRATION_TENTHS; i++) {
        CHECK_NUMBER(tenths[i].rows, 400);
        CHECK_NEAR(tenths[i].expected, tenths[i].accuracy, 0.03);
        double off = fabs(tenths[i].confidence - tenths[i].accuracy);
        before = off > before ? off : before;
    }
    CHECK(before > 0.06); /* so there was something to mend */
    measured_rows_close(&seen);
    measured_rows_close(&other);
}

static void a_fit_is_the_nearest_rising_line(void) {
    struct measured_rows rows = {.items = NULL};
    struct calibration c;
    struct error e;
    for (int i = 0; i < 1000; i++) { /* falls between 0.25 and 0.75: pooled there */
        float x = (float)i / 1000;
        float y = x < 0.25f ? x : x < 0.75f ? 0.75f - x : x;
        CHECK(measured_rows_add(&rows, &(struct measured_row){x, y}, &e) == 0);
    }
    CHECK(calibration_fit(&c, &rows, &e) == 0);
    CHECK_NEAR(calibration_apply(&c, 0.1), 0.1, 0.02);
    CHECK_NEAR(calibration_apply(&c, 0.5), 0.25, 0.02);
    CHECK_NEAR(calibration_apply(&c, 0.9), 0.9, 0.02);
    json_t *json = calibration_json(&c);
    char *text = json_dumps(json, 0);
    struct calibration again = read(text);
    CHECK_NUMBER(again.count, c.count);
    CHECK_NEAR(calibration_apply(&again, 0.4), calibration_apply(&c, 0.4), 1e-12);
    free(text);
    json_decref(json);
    measured_rows_close(&rows);
}

static void too_little_is_not_fitted(void) {
    struct measured_rows few = make_rows(3, CALIBRATION_ROWS - 1), alike = {.items = NULL};
    struct calibration c;
    struct error e;
    CHECK(calibration_fit(&c, &few, &e) == ERR_FORMAT);
    CHECK(strstr(e.text, "199 rows") != NULL);
    for (int i = 0; i < 500; i++) {
        CHECK(measured_rows_add(&alike, &(struct measured_row){0.9f, (float)(i % 2)}, &e) == 0);
    }
    CHECK(calibration_fit(&c, &alike, &e) == ERR_FORMAT);
    CHECK_NUMBER(c.count, 0);
    measured_rows_close(&few);
    measured_rows_close(&alike);
}

int main(void) {
    RUN(a_line_goes_through_its_knots);
    RUN(what_is_no_calibration_is_refused);
    RUN(a_fit_holds_on_rows_that_it_has_not_seen);
    RUN(a_fit_is_the_nearest_rising_line);
    RUN(too_little_is_not_fitted);
    return test_finish();
}
