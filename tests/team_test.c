/* team_test.c - threads that share operations: pieces, failures, sleep, memory, and the same bytes
 * from call to call. */
#define _DEFAULT_SOURCE /* usleep */
#include "compress/cpu/team.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "compress/ops.h"
#include "tests/test.h"

static struct device *open_team(int threads) {
    const struct backend *b = NULL;
    struct device *d = NULL;
    CHECK_NUMBER(backend_open(&b, "cpu", NULL), 0);
    CHECK_NUMBER(device_open_team(&d, b, DTYPE_F32, threads, NULL), 0);
    return d;
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

enum { MANY = 1000 };

struct tally {
    atomic_int times[MANY];
    int64_t failing; /* this piece and those after it */
};

static int count_piece(struct device *d, int64_t i, void *context, struct error *e) {
    struct tally *t = context;
    atomic_fetch_add(&t->times[i], 1);
    CHECK(d != NULL && cpu_device(d)->team == NULL);
    return i >= t->failing ? error_set(e, ERR_LIMIT, "piece %d", (int)i) : 0;
}

static void check_tally(const struct tally *t, int64_t count) {
    int64_t wrong = 0;
    for (int64_t i = 0; i < MANY; i++) {
        wrong += t->times[i] != (i < count ? 1 : 0);
    }
    CHECK_NUMBER(wrong, 0);
}

static void each_piece_is_done_once_by_any_number_of_threads(void) {
    const int64_t counts[] = {0, 1, 2, 7, MANY};
    for (int threads = 1; threads <= 5; threads++) {
        struct device *d = open_team(threads);
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
            struct tally t = {.failing = MANY};
            CHECK_NUMBER(cpu_share(d, counts[k], count_piece, &t, NULL), 0);
            check_tally(&t, counts[k]);
        }
        device_close(d);
    }
}

static void a_device_without_a_team_does_all_pieces(void) {
    const struct backend *b = NULL;
    struct device *d = NULL;
    struct tally t = {.failing = MANY};
    CHECK_NUMBER(backend_open(&b, "cpu", NULL), 0);
    CHECK_NUMBER(device_open(&d, b, DTYPE_F32, NULL), 0);
    CHECK_NUMBER(cpu_share(d, MANY, count_piece, &t, NULL), 0);
    check_tally(&t, MANY);
    CHECK_NUMBER(cpu_pieces(d, MANY, INT32_MAX), 1);
    device_close(d);
}

static void the_first_piece_that_fails_is_named_and_the_next_call_works(void) {
    struct device *d = open_team(3);
    for (int k = 0; k < 200; k++) {
        struct tally t = {.failing = 5}, whole = {.failing = MANY};
        struct error e = {.code = 0};
        CHECK_NUMBER(cpu_share(d, 40, count_piece, &t, &e), ERR_LIMIT);
        CHECK_TEXT(e.text, "piece 5");
        CHECK_NUMBER(cpu_share(d, 40, count_piece, &whole, &e), 0);
        check_tally(&whole, 40);
    }
    device_close(d);
}

enum { VERY_MANY = 140000 /* more than one word counts, twice */ };

struct marks {
    atomic_uchar *times;
    int64_t failing; /* this piece alone */
};

static int mark_piece(struct device *d, int64_t i, void *context, struct error *e) {
    struct marks *m = context;
    (void)d;
    atomic_fetch_add(&m->times[i], 1);
    return i == m->failing ? error_set(e, ERR_LIMIT, "piece %d", (int)i) : 0;
}

static void there_may_be_any_number_of_pieces(void) {
    struct device *d = open_team(3);
    struct marks m = {.times = calloc(VERY_MANY, 1), .failing = -1};
    struct error e = {.code = 0};
    int64_t wrong = 0;
    CHECK_NUMBER(cpu_share(d, VERY_MANY, mark_piece, &m, NULL), 0);
    for (int64_t i = 0; i < VERY_MANY; i++) {
        wrong += m.times[i] != 1;
    }
    CHECK_NUMBER(wrong, 0);
    m.failing = 70000;
    CHECK_NUMBER(cpu_share(d, VERY_MANY, mark_piece, &m, &e), ERR_LIMIT);
    CHECK_TEXT(e.text, "piece 70000");
    free(m.times);
    device_close(d);
}

/* Nothing but the code is known of such a failure: its error is empty, not whatever lay there. */
static int fail_silently(struct device *d, int64_t i, void *context, struct error *e) {
    (void)d;
    (void)i;
    (void)context;
    (void)e;
    return ERR_LIMIT;
}

static void a_failure_that_says_nothing_has_an_empty_error(void) {
    struct device *d = open_team(2);
    struct error e = {.code = 0};
    CHECK_NUMBER(cpu_share(d, 4, fail_silently, NULL, &e), ERR_LIMIT);
    CHECK_NUMBER(e.code, 0);
    CHECK_TEXT(e.text, "");
    device_close(d);
}

static void threads_that_went_to_sleep_are_woken(void) {
    struct device *d = open_team(2);
    for (int k = 0; k < 20; k++) {
        struct tally t = {.failing = MANY};
        usleep(2000); /* far longer than they look for work */
        CHECK_NUMBER(cpu_share(d, MANY, count_piece, &t, NULL), 0);
        check_tally(&t, MANY);
    }
    device_close(d);
}

static void a_team_that_cannot_be_is_a_usage_error(void) {
    const struct backend *b = NULL;
    struct device *d = NULL;
    struct error e;
    CHECK_NUMBER(backend_open(&b, "cpu", NULL), 0);
    CHECK_NUMBER(device_open_team(&d, b, DTYPE_F32, TEAM_MOST_THREADS + 1, &e), ERR_USAGE);
    CHECK_TEXT(e.text, "a team has 1 to 1024 threads, not 1025");
    CHECK(d == NULL);
}

static void shares_cover_all_units_and_begin_at_whole_ones(void) {
    for (int64_t units = 0; units < 200; units += 7) {
        for (int64_t pieces = 1; pieces < 9; pieces++) {
            int64_t next = 0;
            for (int64_t i = 0; i < pieces; i++) {
                const struct share s = share_at(units, 16, i, pieces);
                CHECK(s.count == 0 || (s.first == next && s.first % 16 == 0));
                next += s.count;
            }
            CHECK_NUMBER(next, units);
        }
    }
}

/* ---- Operations ------------------------------------------------------------------------------ */

static struct tensor numbers_of(struct device *d, int64_t rows, int64_t width) {
    struct tensor t = tensor_matrix(NULL, DTYPE_F32, NULL, rows, width);
    uint64_t state = 7;
    CHECK_NUMBER(d->ops->alloc(d, &t, NULL), 0);
    for (int64_t i = 0; i < rows * width; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        ((float *)t.data)[i] = (float)((double)(int64_t)(state >> 11) * 0x1p-52 - 1.0);
    }
    return t;
}

enum { ROWS = 300, WIDTH = 192 };

/* Sums over rows and a product, all of which are cut. */
static void compute(struct device *d, float *sums, struct tensor *out) {
    struct tensor x = numbers_of(d, ROWS, WIDTH), gamma = numbers_of(d, 1, WIDTH);
    struct tensor gain = tensor_vector(gamma.data, DTYPE_F32, d, WIDTH);
    const struct tensor dgain = tensor_vector(sums, DTYPE_F32, NULL, WIDTH);
    const struct tensor turned = tensor_transpose(&x),
                        square = tensor_vector(sums, DTYPE_F32, NULL, 1);
    memset(sums, 0, WIDTH * sizeof *sums);
    CHECK_NUMBER(d->ops->rms_norm_backward(d, NULL, &dgain, &x, &gain, &x, 1e-6f, NULL), 0);
    CHECK_NUMBER(d->ops->square_sum(d, &square, &x, NULL), 0);
    CHECK_NUMBER(d->ops->matmul(d, out, &x, &turned, NULL, false, NULL), 0);
    d->ops->release(d, &x);
    d->ops->release(d, &gamma);
}

static void the_same_call_gives_the_same_bytes(void) {
    struct device *d = open_team(4);
    float first[WIDTH], again[WIDTH];
    struct tensor out = numbers_of(d, ROWS, ROWS), other = numbers_of(d, ROWS, ROWS);
    cpu_set_least_work(d, 1);
    compute(d, first, &out);
    for (int k = 0; k < 50; k++) {
        compute(d, again, &other);
        CHECK(memcmp(first, again, sizeof first) == 0);
        CHECK(memcmp(out.data, other.data, tensor_bytes(&out)) == 0);
    }
    d->ops->release(d, &out);
    d->ops->release(d, &other);
    device_close(d);
}

static void scratch_memory_of_all_threads_is_counted(void) {
    struct device *d = open_team(2);
    struct tensor x = tensor_matrix(NULL, DTYPE_BF16, NULL, ROWS, WIDTH);
    CHECK_NUMBER(d->bytes, 0);
    CHECK_NUMBER(d->ops->alloc(d, &x, NULL), 0);
    CHECK_NUMBER(d->ops->fill(d, &x, 1, NULL), 0);
    const size_t before = d->bytes;
    cpu_set_least_work(d, 1);
    CHECK_NUMBER(d->ops->silu(d, &x, &x, NULL), 0); /* BF16 by way of scratch memory */
    CHECK(d->bytes > before && d->peak_bytes == d->bytes);
    d->ops->release(d, &x);
    device_close(d);
}

int main(void) {
    RUN(each_piece_is_done_once_by_any_number_of_threads);
    RUN(a_device_without_a_team_does_all_pieces);
    RUN(the_first_piece_that_fails_is_named_and_the_next_call_works);
    RUN(there_may_be_any_number_of_pieces);
    RUN(a_failure_that_says_nothing_has_an_empty_error);
    RUN(threads_that_went_to_sleep_are_woken);
    RUN(a_team_that_cannot_be_is_a_usage_error);
    RUN(shares_cover_all_units_and_begin_at_whole_ones);
    RUN(the_same_call_gives_the_same_bytes);
    RUN(scratch_memory_of_all_threads_is_counted);
    return test_finish();
}
