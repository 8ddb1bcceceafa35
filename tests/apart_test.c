/* apart_test.c - which accounts are held out. */
#include "train/context/apart.h"

#include <stdio.h>

#include "tests/test.h"

enum { NAMES = 1000 };
static char texts[NAMES][16];
static const char *names[NAMES];

static size_t held(const bool *apart, size_t count) {
    size_t all = 0;
    for (size_t i = 0; i < count; i++) {
        all += apart[i];
    }
    return all;
}

static void the_share_is_kept(void) {
    bool apart[NAMES];
    for (int tenths = 0; tenths < 10; tenths++) {
        const double share = (tenths + 0.5) / 10;
        apart_choose(names, NAMES, share, apart);
        CHECK_NEAR((double)held(apart, NAMES) / NAMES, share, 0.05);
    }
    apart_choose(names, NAMES, 0, apart);
    CHECK_NUMBER(held(apart, NAMES), 0);
}

/* Whatever others are there: a store that grew, or a command that sees some of the accounts. */
static void an_account_falls_to_the_same_side(void) {
    bool all[NAMES], some[NAMES];
    const char *picked[NAMES];
    size_t from[NAMES], count = 0;
    apart_choose(names, NAMES, 0.2, all);
    for (size_t i = 0; i < NAMES; i += 1 + i % 3) {
        from[count] = i;
        picked[count++] = names[i];
    }
    apart_choose(picked, count, 0.2, some);
    CHECK(count > 300 && count < NAMES);
    for (size_t i = 0; i < count; i++) {
        CHECK(some[i] == all[from[i]]);
    }
}

static void of_few_one_is_and_one_is_not(void) {
    bool apart[2];
    for (size_t i = 0; i + 1 < NAMES; i++) {
        for (int share = 1; share < 10; share++) {
            apart_choose(names + i, 2, share / 10.0, apart);
            CHECK_NUMBER(held(apart, 2), 1);
        }
        apart_choose(names + i, 1, 0.9, apart);
        CHECK(!apart[0]);
    }
}

static void equal_names_stay_together(void) {
    const char *twice[4] = {names[0], names[1], names[0], names[1]};
    bool apart[4];
    apart_choose(twice, 4, 0.5, apart);
    CHECK(apart[0] == apart[2] && apart[1] == apart[3] && apart[0] != apart[1]);
}

int main(void) {
    for (size_t i = 0; i < NAMES; i++) {
        snprintf(texts[i], sizeof texts[i], "account%zu", i);
        names[i] = texts[i];
    }
    RUN(the_share_is_kept);
    RUN(an_account_falls_to_the_same_side);
    RUN(of_few_one_is_and_one_is_not);
    RUN(equal_names_stay_together);
    return test_finish();
}
