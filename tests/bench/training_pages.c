/* training_pages.c - the pages that `occ train read` learns from, for a trainer that is not ours.
 *
 *     bench-training-pages [--count N] [--first N] [--step N] [--seed N] [--size tiny]
 *                          [--profiles read10:2,dense] [--samples 0.4] [--random 0.33]
 *                          [--pictures 0.1] [--simple 0] [--progress 1] TEXT... > pages
 *     bench-training-pages --alphabet > alphabet.json
 *
 * Writes pages `first`, `first + step`, ... (a page follows from the seed and its number alone, so
 * processes share the work by --first and --step). Of each page, little-endian, without padding:
 *
 *     u32 magic "OCCP", width, height, label count, kind, flags (0)
 *     u8  grey[height][width]
 *     struct { i16 row, column; i32 class; } labels[label count]     see train/read/head.h
 *
 * --count 0: until nobody reads any more. --alphabet: the texts of the classes as a list instead.
 * Says at the end how many pages it made a second, on standard error. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/mix.h"
#include "cli/number.h"
#include "store/clock.h"
#include "store/file.h"
#include "train/read/pages.h"

enum { MAGIC = 0x5043434F, HEADER = 6 };
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "pages are written as they lie in memory, which is to be little-endian"
#endif
_Static_assert(sizeof(struct read_label) == 8, "labels are written as they lie in memory");

struct arguments {
    struct training_mix mix;
    double progress;
    uint64_t first, step, count;
    enum read_size size;
    bool alphabet;
};

/* ---- Arguments ------------------------------------------------------------------------------- */

static int parse_whole(uint64_t *out, const char *option, const char *text, struct error *e) {
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return end != text && *end == '\0' && errno == 0 && text[0] != '-'
               ? 0
               : error_set(e, ERR_USAGE, "--%s: '%.40s' is not a whole number", option, text);
}

static int parse_size(enum read_size *out, const char *text, struct error *e) {
    for (int i = 0; i < READ_SIZES; i++) {
        if (strcmp(text, READ_SIZE_NAMES[i]) == 0) {
            *out = (enum read_size)i;
            return 0;
        }
    }
    return error_set(e, ERR_USAGE, "--size: '%.40s' is not tiny, base, hifi or crop", text);
}

static int parse_option(struct arguments *a, const char *name, const char *value, struct error *e) {
    const struct {
        const char *name;
        uint64_t *whole;
        double *share;
    } options[] = {{"first", &a->first, NULL},           {"step", &a->step, NULL},
                   {"count", &a->count, NULL},           {"seed", &a->mix.seed, NULL},
                   {"samples", NULL, &a->mix.samples},   {"random", NULL, &a->mix.random},
                   {"pictures", NULL, &a->mix.pictures}, {"simple", NULL, &a->mix.simple},
                   {"progress", NULL, &a->progress}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strcmp(name, options[i].name) == 0) {
            return options[i].whole != NULL ? parse_whole(options[i].whole, name, value, e)
                                            : number_parse(options[i].share, name, value, 0, 1, e);
        }
    }
    a->alphabet |= strcmp(name, "alphabet") == 0;
    return strcmp(name, "size") == 0 ? parse_size(&a->size, value, e)
           : strcmp(name, "profiles") == 0
               ? mix_parse(a->mix.profiles, PROFILE_NAMES, name, value, e)
               : 0;
}

static int parse(struct arguments *a, int argc, char **argv, struct error *e) {
    static const struct option OPTIONS[] = {{"first", 1, NULL, 'o'},
                                            {"step", 1, NULL, 'o'},
                                            {"count", 1, NULL, 'o'},
                                            {"seed", 1, NULL, 'o'},
                                            {"size", 1, NULL, 'o'},
                                            {"profiles", 1, NULL, 'o'},
                                            {"random", 1, NULL, 'o'},
                                            {"samples", 1, NULL, 'o'},
                                            {"pictures", 1, NULL, 'o'},
                                            {"simple", 1, NULL, 'o'},
                                            {"progress", 1, NULL, 'o'},
                                            {"alphabet", 0, NULL, 'o'},
                                            {0}};
    int index, rc = 0;
    for (int c = getopt_long(argc, argv, "", OPTIONS, &index); c != -1 && rc == 0;
         c = getopt_long(argc, argv, "", OPTIONS, &index)) {
        rc = c == 'o' ? parse_option(a, OPTIONS[index].name, optarg, e)
                      : error_set(e, ERR_USAGE, "see the head of tests/bench/training_pages.c");
    }
    if (rc == 0 && optind == argc && !a->alphabet) {
        rc = error_set(e, ERR_USAGE, "name the text files");
    }
    return rc;
}

/* ---- Pages ----------------------------------------------------------------------------------- */

static int write_page(const struct read_page *page, struct error *e) {
    const uint32_t header[HEADER] = {MAGIC,
                                     (uint32_t)page->width,
                                     (uint32_t)page->height,
                                     (uint32_t)page->label_count,
                                     (uint32_t)page->kind,
                                     0};
    size_t area = (size_t)page->width * (size_t)page->height;
    int rc = file_write(STDOUT_FILENO, header, sizeof header, NULL, e);
    if (rc == 0) {
        rc = file_write(STDOUT_FILENO, page->grey, area, NULL, e);
    }
    if (rc == 0) {
        rc = file_write(STDOUT_FILENO, page->labels, page->label_count * sizeof *page->labels, NULL,
                        e);
    }
    return rc < 0 ? error_context(e, "standard output") : 0;
}

static int write_pages(const struct arguments *a, struct training_pages *pages, struct error *e) {
    const struct read_source source = training_pages_source(pages);
    void *generator = NULL;
    double start = clock_cpu_seconds();
    uint64_t made = 0;
    int rc = source.open(source.context, &generator, e);
    for (; (a->count == 0 || made < a->count) && rc == 0; made++) {
        uint64_t number = a->first + made * a->step;
        const struct read_request request = {
            .size = a->size, .number = number, .pair = number / 2, .progress = a->progress};
        struct read_page page;
        rc = source.make(generator, &request, &page, e);
        if (rc == 0) {
            rc = write_page(&page, e);
        }
    }
    if (generator != NULL) {
        source.close(generator);
    }
    fprintf(stderr, "bench-training-pages: %" PRIu64 " pages, %.1f a second of processor time\n",
            made, (double)made / (clock_cpu_seconds() - start));
    return rc;
}

static int write_alphabet(const struct alphabet *alphabet, struct error *e) {
    json_t *list = alphabet_json(alphabet);
    bool written = list != NULL && json_dumpf(list, stdout, JSON_COMPACT) == 0 &&
                   putchar('\n') != EOF && fflush(stdout) == 0;
    json_decref(list);
    return written ? 0 : error_set(e, ERR_IO, "standard output: cannot be written");
}

static int run(struct arguments *a, char **files, int count, struct error *e) {
    struct alphabet *alphabet = NULL;
    struct training_pages *pages = NULL;
    int rc = alphabet_open(&alphabet, e);
    if (rc == 0 && a->alphabet) {
        rc = write_alphabet(alphabet, e);
    } else if (rc == 0) {
        rc = training_pages_open(&pages, &a->mix, alphabet, files, count, e);
        if (rc == 0) {
            rc = write_pages(a, pages, e);
        }
    }
    training_pages_close(pages);
    alphabet_close(alphabet);
    return rc;
}

int main(int argc, char **argv) {
    struct arguments a = {.mix = {.profiles = {[PROFILE_CELL10] = 1},
                                  .samples = 0.4,
                                  .random = 0.33,
                                  .pictures = 0.1,
                                  .seed = 1},
                          .progress = 1,
                          .step = 1,
                          .count = 0};
    struct error e = {0};
    signal(SIGPIPE, SIG_IGN); /* who has read enough closes the pipe: an error of writing */
    int rc = parse(&a, argc, argv, &e);
    if (rc == 0) {
        rc = run(&a, argv + optind, argc - optind, &e);
    }
    if (rc < 0) {
        fprintf(stderr, "bench-training-pages: %s\n", e.text);
    }
    return rc == 0 ? 0 : rc == ERR_USAGE ? 2 : 1;
}
