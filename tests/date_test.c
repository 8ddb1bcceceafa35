/* date_test.c - what `created` of a sample may be. Texts on their own: metadata_test.c. */
#include "store/date.h"

#include "store/json.h"
#include "tests/test.h"

/* store F8 */
static void dates_of_samples_are_read_or_refused(void) {
    static const struct {
        const char *json;
        long long created;
        enum date_kind kind;
    } CASES[] = {
        {"1700000000", 1700000000, DATE_GIVEN},
        {"1700000000.75", 1700000000, DATE_GIVEN},
        {"\"1700000000\"", 1700000000, DATE_GIVEN},
        {"631152000", 631152000, DATE_GIVEN}, /* 1990-01-01 */
        {"631151999", 0, DATE_NONE},
        {"\"2023-11-14\"", 1699920000, DATE_GIVEN},
        {"\"20231114\"", 1699920000, DATE_GIVEN},
        {"20231114", 1699920000, DATE_GIVEN},
        {"\"2023-11-14T22:13:20Z\"", 1700000000, DATE_GIVEN},
        {"\"2023-11-14 23:13:20.5+01:00\"", 1700000000, DATE_GIVEN},
        {"\"2023-02-30\"", 0, DATE_NONE},
        {"20231332", 0, DATE_NONE},
        {"1700000000123", 1700000000, DATE_SCALED},
        {"\"1700000000123\"", 1700000000, DATE_SCALED},
        {"1700000000123456", 1700000000, DATE_SCALED},
        {"1700000000123456789", 1700000000, DATE_SCALED},
        {"99999999999", 99999999999, DATE_GIVEN}, /* of the year 5138 */
        {"100000000000", 0, DATE_NONE},           /* of 1973, in milliseconds */
        {"0", 0, DATE_NONE},
        {"-1700000000", 0, DATE_NONE},
        {"1e300", 0, DATE_NONE},
        {"null", 0, DATE_NONE},
        {"true", 0, DATE_NONE},
        {"[1700000000]", 0, DATE_NONE},
        {"\"\"", 0, DATE_NONE},
        {"\"yesterday\"", 0, DATE_NONE},
        {"\"NaN\"", 0, DATE_NONE},
        {"\"inf\"", 0, DATE_NONE},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        enum date_kind kind;
        json_t *sample = json_object();
        json_object_set_new(sample, "created", json_loads(CASES[i].json, JSON_DECODE_ANY, NULL));
        if (!CHECK_NUMBER(date_created(sample, &kind), CASES[i].created) ||
            !CHECK_NUMBER(kind, CASES[i].kind)) {
            printf("# %s\n", CASES[i].json);
        }
        json_decref(sample);
    }
    enum date_kind kind;
    json_t *empty = json_object();
    CHECK(date_created(empty, &kind) == 0 && kind == DATE_NONE);
    CHECK(date_created(NULL, &kind) == 0 && kind == DATE_NONE);
    json_decref(empty);
}

int main(void) {
    RUN(dates_of_samples_are_read_or_refused);
    return test_finish();
}
