/* device_test.c - which devices there are, and how they are asked for. */
#define _DEFAULT_SOURCE /* setenv */
#include "compress/device.h"

#include "compress/ops.h"
#include "tests/test.h"

static void the_processor_is_always_there(void) {
    const struct backend *b, *any;
    struct error e;
    CHECK_NUMBER(backend_open(&b, "cpu", &e), 0);
    CHECK_TEXT(b->name, "cpu");
    CHECK(b->workers() >= 1 && b->batch() >= 1);
    CHECK_NUMBER(backend_open(&any, "auto", &e), 0);
    CHECK(any != NULL);
}

static void a_backend_that_is_not_there_says_why(void) {
    const struct backend *b;
    struct error e;
    if (backend_open(&b, "cuda", &e) == 0) {
        CHECK_TEXT(b->name, "cuda");
        return;
    }
    CHECK(b == NULL);
    CHECK_NUMBER(e.code, ERR_UNSUPPORTED);
    if (strstr(e.text, "no NVIDIA GPU was found: ") != e.text) { /* a build with CUDA */
        CHECK_TEXT(e.text, "this build has no CUDA backend; --device cpu is there");
    }
}

static void an_unknown_name_is_a_usage_error_with_those_that_are_known(void) {
    const struct backend *b;
    struct error e;
    CHECK_NUMBER(backend_open(&b, "abacus", &e), ERR_USAGE);
    CHECK(b == NULL);
    CHECK_TEXT(e.text, "there is no device 'abacus': auto, cpu, cuda, cuda:1 and so on");
    CHECK_TEXT(BACKEND_NAMES[0], "auto");
    CHECK_TEXT(BACKEND_NAMES[1], "cpu");
    CHECK_TEXT(BACKEND_NAMES[2], "cuda");
    CHECK(BACKEND_NAMES[3] == NULL);
}

static void only_a_gpu_has_a_number(void) {
    static const char *const WRONG[] = {"cpu:0", "auto:0",  "cuda:",      "cuda:x",
                                        "cuda1", "cuda:-1", "cuda:99999", "cuda:1 "};
    const struct backend *b, *first;
    struct error e;
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        CHECK_NUMBER(backend_open(&b, WRONG[i], &e), ERR_USAGE);
        CHECK(b == NULL && strncmp(e.text, "there is no device '", 20) == 0);
    }
    int rc = backend_open(&first, "cuda", &e);
    CHECK_NUMBER(backend_open(&b, "cuda:0", &e), rc);
    CHECK(b == first);
    CHECK_NUMBER(backend_open(&b, "cuda:9999", &e), ERR_UNSUPPORTED);
    if (rc == 0) {
        CHECK(strncmp(e.text, "there is no GPU 9999: ", 22) == 0);
    }
}

static void occ_cpu_forces_a_level_or_says_which_there_are(void) {
    const struct backend *b;
    struct device *d = NULL;
    struct error e;
    setenv("OCC_CPU", "nonsense", 1);
    CHECK_NUMBER(backend_open(&b, "cpu", &e), ERR_UNSUPPORTED);
    CHECK_TEXT(e.text, "OCC_CPU=nonsense: the levels are amx, avx512bf16, avx512, avx2, portable");
    CHECK(b == NULL);
    setenv("OCC_CPU", "portable", 1);
    CHECK_NUMBER(backend_open(&b, "cpu", &e), 0);
    CHECK(!b->has_bf16());
    CHECK_NUMBER(device_open(&d, b, DTYPE_BF16, &e), ERR_UNSUPPORTED);
    CHECK_TEXT(e.text, "no bf16 products at level portable of this processor");
    CHECK_NUMBER(device_open(&d, b, DTYPE_F32, &e), 0);
    CHECK(d->backend == b && d->ops != NULL && d->compute == DTYPE_F32 && d->bytes == 0);
    device_close(d);
    device_close(NULL);
    unsetenv("OCC_CPU");
}

static void the_type_of_products_is_the_backends_best_or_what_was_asked_for(void) {
    const struct backend *b;
    enum dtype type;
    struct error e;
    CHECK_NUMBER(backend_open(&b, "cpu", &e), 0);
    CHECK_NUMBER(backend_compute(b, "f32", &type, &e), 0);
    CHECK_NUMBER(type, DTYPE_F32);
    CHECK_NUMBER(backend_compute(b, "auto", &type, &e), 0);
    CHECK_NUMBER(type, b->has_bf16() ? DTYPE_BF16 : DTYPE_F32);
    setenv("OCC_CPU", "portable", 1);
    CHECK_NUMBER(backend_compute(b, "auto", &type, &e), 0);
    CHECK_NUMBER(type, DTYPE_F32);
    CHECK_NUMBER(backend_compute(b, "bf16", &type, &e), ERR_UNSUPPORTED);
    CHECK_TEXT(e.text, "device cpu has no bf16 products");
    unsetenv("OCC_CPU");
}

static void check_entries(const struct device *d) {
    void *entries[sizeof(struct ops) / sizeof(void *)];
    memcpy(entries, d->ops, sizeof entries);
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        if (!CHECK(entries[i] != NULL)) {
            printf("# entry %d of struct ops\n", (int)i);
        }
    }
}

static void every_operation_of_the_processor_is_there(void) {
    const struct backend *b;
    struct device *d = NULL, *team = NULL;
    CHECK_NUMBER(backend_open(&b, "cpu", NULL), 0);
    CHECK_NUMBER(device_open(&d, b, DTYPE_F32, NULL), 0);
    CHECK_NUMBER(device_open_team(&team, b, DTYPE_F32, 2, NULL), 0);
    check_entries(d);
    check_entries(team);
    device_close(team);
    device_close(d);
}

int main(void) {
    RUN(the_processor_is_always_there);
    RUN(a_backend_that_is_not_there_says_why);
    RUN(an_unknown_name_is_a_usage_error_with_those_that_are_known);
    RUN(only_a_gpu_has_a_number);
    RUN(occ_cpu_forces_a_level_or_says_which_there_are);
    RUN(the_type_of_products_is_the_backends_best_or_what_was_asked_for);
    RUN(every_operation_of_the_processor_is_there);
    return test_finish();
}
