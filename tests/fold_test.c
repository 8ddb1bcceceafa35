/* What a reading head does not tell apart is folded before texts are compared. */
#include "compress/fold.h"

#include "tests/test.h"

struct folded {
    const char *text, *want;
};

static void check_all(const struct folded *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char out[256];
        size_t size = fold_text(cases[i].text, strlen(cases[i].text), out);
        out[size] = '\0';
        CHECK_TEXT(out, cases[i].want);
        snprintf(out, sizeof out, "%s", cases[i].text); /* in place */
        out[fold_text(out, strlen(out), out)] = '\0';
        CHECK_TEXT(out, cases[i].want);
    }
}
#define CHECK_ALL(cases) check_all((cases), sizeof(cases) / sizeof *(cases))

static void emoji_lose_what_varies(void) {
    static const struct folded CASES[] = {
        {"\U0001F44D\U0001F3FD!", "\U0001F44D!"},
        {"\u2764\uFE0F\u2764\uFE0E\u2764", "\u2764\u2764\u2764"},
        {"\U0001F937\U0001F3FE\u200D\u2640\uFE0F ok", "\U0001F937 ok"},
        {"\U0001F468\U0001F3FB\u200D\U0001F4BB", "\U0001F9D1\u200D\U0001F4BB"},
        {"\U0001F469\u200D\U0001F9B0", "\U0001F469"},
        {"\U0001F3C3\u200D\u2642\uFE0F\u200D\u27A1\uFE0F", "\U0001F3C3"},
        {"\U0001F468\u200D\U0001F469\u200D\U0001F467\u200D\U0001F466", "\U0001F46A"},
        {"\U0001F469\u200D\u2764\uFE0F\u200D\U0001F468", "\U0001F491"},
        {"\U0001F468\u200D\u2764\uFE0F\u200D\U0001F48B\u200D\U0001F468", "\U0001F48F"},
        {"\u270C\U0001F3FF\u270C", "\u270C\u270C"}};
    CHECK_ALL(CASES);
}

static void emoji_that_differ_stay_apart(void) {
    static const struct folded CASES[] = {
        {"\u2764\uFE0F\u200D\U0001F525", "\u2764\u200D\U0001F525"},
        {"\U0001F3F3\uFE0F\u200D\U0001F308", "\U0001F3F3\u200D\U0001F308"},
        {"\U0001F468\U0001F469", "\U0001F468\U0001F469"}, /* not joined */
        {"\u2640 \u2642\uFE0F", "\u2640 \u2642"},
        {"\U0001F1E7\U0001F1F7\U0001F1F5\U0001F1F1", "\U0001F1E7\U0001F1F7\U0001F1F5\U0001F1F1"},
        {"1\uFE0F\u20E3 2\u20E3 #\uFE0F\u20E3 3", "1\u20E3 2\u20E3 #\u20E3 3"},
        {"\U0001F3F4\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F",
         "\U0001F3F4\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F"}};
    CHECK_ALL(CASES);
}

static void what_draws_nothing_goes_and_what_looks_alike_becomes_one(void) {
    static const struct folded CASES[] = {
        {"a\u200Bb\u00ADc\uFEFFd\u2066e\u200D", "abcde"},
        {"1\u00A0000\u202F000\u2009km", "1 000 000 km"},
        {"x\u2011y \u0335 \u0336 \u2212", "x-y \u0336 \u0336 \u2212"},
        {"\u0387\u2219\u00B7", "\u00B7\u00B7\u00B7"},
        {"plain 0123 #tag * \u00E9\n", "plain 0123 #tag * \u00E9\n"},
        {"\xFF\xE2\x82", "\xFF\xE2\x82"},
        {"", ""}};
    CHECK_ALL(CASES);
}

/* The characters of a text follow each other and are what fold_text folds. */
static void characters_are_whole(void) {
    static const char TEXT[] = "a\U0001F44D\U0001F3FD\u200B1\uFE0F\u20E3\u00A0\U0001F1E7\U0001F1F7";
    static const size_t BYTES[] = {1, 8, 3, 7, 2, 8}, FOLDED[] = {1, 4, 0, 4, 1, 8};
    size_t at = 0, written;
    char out[16];
    for (size_t i = 0; i < sizeof BYTES / sizeof *BYTES; i++) {
        CHECK_NUMBER(fold_character(TEXT + at, sizeof TEXT - 1 - at, out, &written), BYTES[i]);
        CHECK_NUMBER(written, FOLDED[i]);
        at += BYTES[i];
    }
    CHECK_NUMBER(at, sizeof TEXT - 1);
}

int main(void) {
    RUN(emoji_lose_what_varies);
    RUN(emoji_that_differ_stay_apart);
    RUN(what_draws_nothing_goes_and_what_looks_alike_becomes_one);
    RUN(characters_are_whole);
    return test_finish();
}
