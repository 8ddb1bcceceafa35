/* render_accounts_test.c - which samples wait, which become jobs, and when. */
#include "render/render_accounts.h"
#include "tests/test.h"

enum { LIMIT = 1000, LOG = 1 << 12 };

/* What became of the samples: "a:3 " a job of three samples of account a, "+a:3 " one that
 * continues an account. */
struct log {
    char text[LOG];
    size_t size;
    size_t bytes; /* of all jobs */
    int fail;     /* an error code for the next job */
};

static int put(void *context, struct render_job job, struct error *e) {
    struct log *log = context;
    const char *key = job.samples->sample.key;
    size_t count = 0, bytes = 0;
    for (const struct sample_copy *h = job.samples; h; h = h->next) {
        count++;
        bytes += h->bytes;
    }
    CHECK_NUMBER(job.count, count);
    CHECK_NUMBER(job.bytes, bytes);
    log->bytes += bytes;
    log->size +=
        (size_t)snprintf(log->text + log->size, LOG - log->size, "%s%.*s:%zu ",
                         job.continues ? "+" : "", (int)stream_account_size(key), key, count);
    sample_copies_free(job.samples);
    return log->fail ? error_set(e, log->fail, "no") : 0;
}

static int add(struct accounts *a, const char *key, size_t bytes) {
    struct sample_copy *h = calloc(1, sizeof *h);
    if (!h) {
        abort();
    }
    *h = (struct sample_copy){.bytes = bytes, .sample = {.key = key}};
    return accounts_add(a, h, NULL);
}

static struct accounts *begin(struct log *log) {
    struct accounts *a;
    *log = (struct log){0};
    if (accounts_open(&a, LIMIT, put, log, NULL) < 0) {
        abort();
    }
    return a;
}

static void end(struct accounts *a, struct log *log, const char *want, int64_t split) {
    CHECK_NUMBER(accounts_finish(a, NULL), 0);
    CHECK_TEXT(log->text, want);
    CHECK_NUMBER(accounts_split(a), split);
    accounts_close(a);
}

static void accounts_wait_for_the_end(void) {
    struct log log;
    struct accounts *a = begin(&log);
    static const char *const keys[] = {"b/1", "a/1", "b/2", "ab/1", "a/2", "b/3"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        CHECK_NUMBER(add(a, keys[i], LIMIT / 6), 0);
        CHECK_TEXT(log.text, "");
    }
    end(a, &log, "b:3 a:2 ab:1 ", 0);
}

/* render F11 */
static void the_largest_go_first_but_not_the_one_coming_in(void) {
    struct log log;
    struct accounts *a = begin(&log);
    add(a, "a/1", 100);
    add(a, "b/1", 200);
    add(a, "c/1", 150);
    add(a, "d/1", 500);
    add(a, "d/2", 50);
    CHECK_TEXT(log.text, "");
    add(a, "d/3", 1); /* until no more than 750 wait */
    CHECK_TEXT(log.text, "b:1 c:1 ");
    add(a, "d/4", 340); /* 100 + 551 wait */
    CHECK_TEXT(log.text, "b:1 c:1 ");
    add(a, "d/5", 10);
    CHECK_TEXT(log.text, "b:1 c:1 a:1 ");
    add(a, "e/1", 90);
    CHECK_TEXT(log.text, "b:1 c:1 a:1 ");
    add(a, "b/2", 10);
    CHECK_TEXT(log.text, "b:1 c:1 a:1 d:5 ");
    end(a, &log, "b:1 c:1 a:1 d:5 +b:1 e:1 ", 1);
}

/* render F11 */
static void one_account_alone_goes_when_it_must(void) {
    struct log log;
    struct accounts *a = begin(&log);
    add(a, "a/1", 900);
    add(a, "a/2", 900);
    add(a, "a/3", 900);
    CHECK_TEXT(log.text, "a:1 +a:1 ");
    CHECK_NUMBER(accounts_split(a), 0); /* sorting would not help */
    add(a, "b/1", 5 * LIMIT);
    CHECK_TEXT(log.text, "a:1 +a:1 +a:1 ");
    end(a, &log, "a:1 +a:1 +a:1 b:1 ", 0);
    a = begin(&log);
    add(a, "a/1", 5 * LIMIT);
    add(a, "b/1", 5 * LIMIT);
    add(a, "a/2", 1);
    add(a, "b/2", 1);
    add(a, "a/3", 1);
    end(a, &log, "a:1 b:1 +a:2 +b:1 ", 2); /* each counts once */
}

/* render F11 */
static void no_more_than_the_limit_waits(void) {
    struct log log;
    struct accounts *a = begin(&log);
    char keys[2000][16];
    size_t given = 0;
    uint32_t state = 7;
    for (int i = 0; i < 2000; i++) {
        state = state * 1664525 + 1013904223;
        snprintf(keys[i], sizeof keys[i], "%u/x", (state >> 8) % 100);
        size_t bytes = 1 + (state >> 16) % 90;
        log.size = 0;
        CHECK_NUMBER(add(a, keys[i], bytes), 0);
        given += bytes;
        CHECK(given - log.bytes <= LIMIT);
    }
    log.size = 0;
    CHECK_NUMBER(accounts_finish(a, NULL), 0);
    CHECK_NUMBER(log.bytes, given);
    accounts_close(a);
}

/* By LeakSanitizer nothing stays. */
static void a_failure_comes_back(void) {
    struct log log;
    struct accounts *a = begin(&log);
    add(a, "a/1", 600);
    add(a, "b/1", 300);
    log.fail = ERR_CANCELLED;
    CHECK_NUMBER(add(a, "c/1", 400), ERR_CANCELLED);
    CHECK_TEXT(log.text, "a:1 ");
    CHECK_NUMBER(accounts_finish(a, NULL), ERR_CANCELLED);
    CHECK_TEXT(log.text, "a:1 b:1 ");
    accounts_close(a);
}

int main(void) {
    RUN(accounts_wait_for_the_end);
    RUN(the_largest_go_first_but_not_the_one_coming_in);
    RUN(one_account_alone_goes_when_it_must);
    RUN(no_more_than_the_limit_waits);
    RUN(a_failure_comes_back);
    return test_finish();
}
