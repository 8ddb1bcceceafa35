/* test.h - tests in C that speak TAP (testanything.org), understood by CTest (exit status) and
 * `prove`. A test program is
 *
 *     static void utf8_refuses_surrogates(void) { CHECK(!utf8_is_valid("\xED\xA0\x80", 3)); }
 *     int main(void) { RUN(utf8_refuses_surrogates); return test_finish(); }
 *
 * A failed CHECK prints place and values, marks the running test as failed and goes on. */
#ifndef OCC_TESTS_TEST_H
#define OCC_TESTS_TEST_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    int count, failed;
    bool running_failed;
} test_state;

static inline bool test_check(bool ok, const char *file, int line, const char *what) {
    if (!ok) {
        printf("# %s:%d: %s\n", file, line, what);
        test_state.running_failed = true;
    }
    return ok;
}

static inline bool test_text(const char *got, const char *want, const char *file, int line) {
    bool ok = got && want ? strcmp(got, want) == 0 : got == want;
    if (!ok) {
        printf("# %s:%d: got \"%s\"\n# wanted \"%s\"\n", file, line, got ? got : "(null)",
               want ? want : "(null)");
        test_state.running_failed = true;
    }
    return ok;
}

static inline bool test_number(long long got, long long want, const char *file, int line) {
    if (got != want) {
        printf("# %s:%d: got %lld, wanted %lld\n", file, line, got, want);
        test_state.running_failed = true;
    }
    return got == want;
}

static inline bool test_near(double got, double want, double limit, const char *file, int line) {
    bool ok = fabs(got - want) <= limit; /* false for NaN */
    if (!ok) {
        printf("# %s:%d: got %.9g, wanted %.9g within %.3g\n", file, line, got, want, limit);
        test_state.running_failed = true;
    }
    return ok;
}

static inline void test_run(void (*body)(void), const char *name) {
    test_state.running_failed = false;
    body();
    test_state.count++;
    test_state.failed += test_state.running_failed;
    printf("%sok %d - %s\n", test_state.running_failed ? "not " : "", test_state.count, name);
    fflush(stdout);
}

static inline int test_finish(void) {
    printf("1..%d\n", test_state.count);
    return test_state.failed || !test_state.count ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define CHECK(condition) test_check((condition), __FILE__, __LINE__, #condition)
#define CHECK_TEXT(got, want) test_text((got), (want), __FILE__, __LINE__)
#define CHECK_NUMBER(got, want) test_number((long long)(got), (long long)(want), __FILE__, __LINE__)
#define CHECK_NEAR(got, want, limit) test_near((got), (want), (limit), __FILE__, __LINE__)
#define RUN(test) test_run(test, #test)

#endif
