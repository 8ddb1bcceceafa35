/* render.c - how fast pages are typeset: layout and raster, without any file.
 *
 *     bench-render [-t SECONDS] [-j THREADS] [-m MODE] [-p PROFILE] [-l LANGUAGE] [-F FRESH] [-M]
 *                  [-D BYTES] [CORPUS]
 *
 * Prints "pages characters seconds cpu_seconds", counted from the second megabyte of text on, so
 * that the opening of fonts is left out; so is the making of the text. Without a corpus:
 * random strings. -F: one word in how many is replaced by a random one (prose.h; 0: none). -M:
 * 100,000 pages, and the peak memory on the way, instead of a time. -D: prints that many bytes of
 * the text, a paragraph a line, for peers in other languages. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "prose.h"
#include "render/page/page.h"

enum { THREADS_MOST = 64, MEMORY_STEPS = 3 };
static const int64_t MEMORY_PAGES[MEMORY_STEPS] = {1000, 10000, 100000};

struct bench {
    double seconds;
    int threads, mode, profile, fresh;
    const char *language, *corpus;
    bool memory;
    size_t dump; /* bytes */
    struct fonts *fonts;
};

struct worker {
    const struct bench *bench;
    pthread_t thread;
    uint64_t seed;
    int rc;
    struct error error;
    double seconds, cpu_seconds; /* in the pager, from the second batch on */
    bool counting;
    int64_t pages, characters; /* likewise */
};

/* Text made beforehand: making it is not what is timed. */
enum { BATCH_BYTES = 1 << 20, BATCH_MOST = 1 << 15 };
struct batch {
    struct bytes text;
    size_t ends[BATCH_MOST];
    size_t count;
};

static double seconds_of(clockid_t clock) {
    struct timespec t;
    if (clock_gettime(clock, &t) != 0) {
        return 0;
    }
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_memory(int64_t pages) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        printf("%lld pages: %.1f MiB at most\n", (long long)pages, (double)usage.ru_maxrss / 1024);
    }
}

static int count_page(void *context, const struct page *page, struct error *e) {
    (void)e;
    struct worker *w = context;
    if (!w->counting) {
        return 0;
    }
    w->pages++;
    w->characters += page->counts.characters;
    for (int i = 0; w->bench->memory && i < MEMORY_STEPS; i++) {
        if (w->pages == MEMORY_PAGES[i]) {
            print_memory(w->pages);
        }
    }
    return 0;
}

static bool is_over(const struct worker *w) {
    return w->bench->memory ? w->pages >= MEMORY_PAGES[MEMORY_STEPS - 1]
                            : w->seconds >= w->bench->seconds;
}

static int make_batch(struct batch *b, struct prose *prose, struct error *e) {
    int rc = 0;
    bytes_clear(&b->text);
    for (b->count = 0; rc == 0 && b->count < BATCH_MOST && b->text.size < BATCH_BYTES; b->count++) {
        const char *text;
        size_t size;
        rc = prose_next(prose, &text, &size, e);
        if (rc == 0) {
            rc = bytes_append(&b->text, text, size, e);
        }
        b->ends[b->count] = b->text.size;
    }
    return rc;
}

static int typeset_batch(const struct batch *b, struct pager *pager, struct error *e) {
    int rc = 0;
    size_t start = 0;
    for (size_t i = 0; i < b->count && rc == 0; i++) {
        struct span span = {
            .text = bytes_text(&b->text) + start, .size = b->ends[i] - start, .source = 1};
        rc = pager_text(pager, PART_SCRIPT, &span, 1, 0, e);
        start = b->ends[i];
    }
    return rc;
}

/* The first batch opens fonts and is not counted. */
static int typeset(struct worker *w, struct prose *prose, struct pager *pager) {
    struct batch *batch = malloc(sizeof *batch);
    if (!batch) {
        return error_set(&w->error, ERR_MEMORY, "out of memory");
    }
    bytes_init(&batch->text, SIZE_MAX);
    int rc = 0;
    while (rc == 0 && !is_over(w)) {
        rc = make_batch(batch, prose, &w->error);
        double start = seconds_of(CLOCK_MONOTONIC);
        double cpu_start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
        if (rc == 0) {
            rc = typeset_batch(batch, pager, &w->error);
        }
        if (w->counting) {
            w->seconds += seconds_of(CLOCK_MONOTONIC) - start;
            w->cpu_seconds += seconds_of(CLOCK_THREAD_CPUTIME_ID) - cpu_start;
        }
        w->counting = true;
    }
    bytes_close(&batch->text);
    free(batch);
    return rc;
}

static void *work(void *context) {
    struct worker *w = context;
    const struct bench *b = w->bench;
    struct page_setup setup = {.mode = (enum page_mode)b->mode,
                               .profile = &PROFILES[b->profile],
                               .fonts = b->fonts,
                               .context = w,
                               .done = count_page};
    struct prose *prose = NULL;
    struct pager *pager = NULL;
    w->rc = prose_open(&prose, b->corpus, b->fresh, w->seed, &w->error);
    w->rc = w->rc == 0 ? pager_open(&pager, &setup, &w->error) : w->rc;
    if (w->rc == 0) {
        pager_language(pager, b->language);
        w->rc = typeset(w, prose, pager);
    }
    pager_close(pager);
    prose_close(prose);
    return NULL;
}

static int run_workers(const struct bench *b, struct worker *workers, struct error *e) {
    int rc = 0, started = 0;
    while (rc == 0 && started < b->threads) {
        struct worker *w = &workers[started];
        *w = (struct worker){.bench = b, .seed = (uint64_t)started + 1};
        int status = pthread_create(&w->thread, NULL, work, w);
        if (status != 0) {
            rc = error_errno(e, status, "a thread could not be started");
        } else {
            started++;
        }
    }
    for (int i = 0; i < started; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        if (rc == 0 && workers[i].rc < 0) {
            *e = workers[i].error;
            rc = e->code;
        }
    }
    return rc;
}

static int run(struct bench *b, struct error *e) {
    static struct worker workers[THREADS_MOST];
    int rc = fonts_open(&b->fonts, PROFILES[b->profile].family, e);
    if (rc == 0) {
        rc = run_workers(b, workers, e);
    }
    if (rc == 0 && !b->memory) {
        double pages = 0, characters = 0, cpu = 0;
        for (int i = 0; i < b->threads; i++) { /* rates add up: each thread has a time of its own */
            double seconds = workers[i].seconds;
            pages += (double)workers[i].pages * b->seconds / seconds;
            characters += (double)workers[i].characters * b->seconds / seconds;
            cpu += workers[i].cpu_seconds * b->seconds / seconds;
        }
        printf("%.0f %.0f %.3f %.3f\n", pages, characters, b->seconds, cpu);
    }
    fonts_close(b->fonts);
    return rc;
}

static int dump(const struct bench *b, struct error *e) {
    struct prose *prose = NULL;
    int rc = prose_open(&prose, b->corpus, b->fresh, 1, e);
    for (size_t written = 0; rc == 0 && written < b->dump;) {
        const char *text;
        size_t size;
        rc = prose_next(prose, &text, &size, e);
        if (rc == 0 && printf("%s\n", text) < 0) {
            rc = error_errno(e, errno, "standard output");
        }
        written += size + 1;
    }
    prose_close(prose);
    return rc;
}

static int find_profile(const char *name) {
    for (int i = 0; i < PROFILE_COUNT; i++) {
        if (strcmp(PROFILE_NAMES[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

/* The option's value is taken into *b; false where it makes no sense. */
static bool take_option(struct bench *b, int option, const char *value) {
    switch (option) {
    case 't':
        b->seconds = strtod(value, NULL);
        return b->seconds > 0;
    case 'j':
        b->threads = (int)strtol(value, NULL, 10);
        return b->threads > 0 && b->threads <= THREADS_MOST;
    case 'm':
        b->mode = mode_named(value);
        return b->mode >= 0;
    case 'p':
        b->profile = find_profile(value);
        return b->profile >= 0;
    case 'l':
        b->language = value;
        return true;
    case 'F':
        b->fresh = (int)strtol(value, NULL, 10);
        return b->fresh >= 0;
    case 'M':
        b->memory = true;
        return true;
    case 'D':
        b->dump = strtoul(value, NULL, 10);
        return b->dump > 0;
    default:
        return false;
    }
}

int main(int argc, char **argv) {
    struct bench b = {.seconds = 5,
                      .threads = 1,
                      .fresh = PROSE_FRESH,
                      .mode = MODE_BASE,
                      .profile = PROFILE_READ10};
    int option = getopt(argc, argv, "t:j:m:p:l:F:MD:");
    while (option != -1) {
        if (!take_option(&b, option, optarg)) {
            fprintf(stderr, "bench-render: bad option; see the head of tests/bench/render.c\n");
            return 2;
        }
        option = getopt(argc, argv, "t:j:m:p:l:F:MD:");
    }
    b.corpus = optind < argc ? argv[optind] : NULL;
    struct error e = {0};
    int rc = b.dump > 0 ? dump(&b, &e) : run(&b, &e);
    if (rc < 0) {
        fprintf(stderr, "bench-render: %s\n", e.text);
        return 1;
    }
    return 0;
}
