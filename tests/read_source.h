/* read_source.h - made-up pages to learn reading from, a tiny encoder, and what runs leave in
 * folders, for tests of train/read/read.h. Everything happens in a scratch folder of the test's
 * own. */
#ifndef OCC_TESTS_READ_SOURCE_H
#define OCC_TESTS_READ_SOURCE_H

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/bytes.h"
#include "store/file.h"
#include "store/random.h"
#include "store/safetensors.h"
#include "tests/runs_apart.h"
#include "tests/same_file.h"
#include "tests/tested_device.h"
#include "train/read/read.h"

enum { SIDE = 128, TOKEN = 12, CLASSES = 4, LABELS = (SIDE / 16) * (SIDE / 16) };

/* ---- Pages ----------------------------------------------------------------------------------- */

struct source {
    pthread_mutex_t lock;
    struct read_request requests[1024]; /* in the run, before it: `whitening` pages */
    size_t count, whitening;
    int opens; /* that succeed */
    int side;
    bool alike; /* pages do not differ, but for `odd_one`: black, its only label where none is */
    uint64_t odd_one;
    uint64_t fail_at, cancel_at; /* numbers of pages */
    volatile sig_atomic_t cancelled;
};

static const struct source SOURCE = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                     .opens = 1000,
                                     .side = SIDE,
                                     .odd_one = UINT64_MAX,
                                     .fail_at = UINT64_MAX,
                                     .cancel_at = UINT64_MAX};

struct generator {
    struct source *source;
    uint8_t grey[SIDE * SIDE];
    struct read_label labels[LABELS];
};

static int generator_open(void *context, void **generator, struct error *e) {
    struct source *s = context;
    pthread_mutex_lock(&s->lock);
    bool ok = s->opens-- > 0;
    pthread_mutex_unlock(&s->lock);
    struct generator *m = ok ? calloc(1, sizeof *m) : NULL;
    if (m == NULL) {
        return error_set(e, ERR_MEMORY, "no more generators");
    }
    m->source = s;
    *generator = m;
    return 0;
}

static void generator_close(void *generator) {
    free(generator);
}

/* A character in each square of 16 pixels: a bar, as wide and as high as its class says. */
static size_t draw(struct generator *m, int side, uint64_t number) {
    size_t count = 0;
    memset(m->grey, 255, sizeof m->grey);
    for (int y = 0; y < side; y += 16) {
        for (int x = 0; x < side; x += 16) {
            uint64_t mixed = (number * 1000 + (uint64_t)(y * 8 + x)) * 0x9E3779B97F4A7C15;
            int character = 1 + (int)(mixed >> 60) % (CLASSES - 1),
                left = 4 + (int)(mixed >> 52) % 4;
            for (int i = 0; i < (4 + 2 * character) * 2 * character; i++) {
                m->grey[(y + 1 + i / (2 * character)) * side + x + left + i % (2 * character)] = 0;
            }
            m->labels[count++] =
                (struct read_label){.row = (int16_t)(y / READING_ROW),
                                    .column = (int16_t)((x + left) / READING_COLUMN),
                                    .class_index = character};
        }
    }
    return count;
}

static int generator_make(void *generator, const struct read_request *r, struct read_page *page,
                          struct error *e) {
    const uint64_t number = r->number;
    const bool before = r->progress >= 1; /* the run: pages to whiten by */
    struct generator *m = generator;
    struct source *s = m->source;
    pthread_mutex_lock(&s->lock);
    if (before) {
        s->whitening++;
    } else if (s->count < sizeof s->requests / sizeof *s->requests) {
        s->requests[s->count++] = *r;
    }
    pthread_mutex_unlock(&s->lock);
    if (number == s->cancel_at && !before) {
        s->cancelled = 1;
    }
    if (number == s->fail_at && !before) {
        return error_set(e, ERR_FORMAT, "page %" PRIu64 " is torn", number);
    }
    *page = (struct read_page){.width = s->side,
                               .height = s->side,
                               .grey = m->grey,
                               .labels = m->labels,
                               .label_count = draw(m, s->side, s->alike ? 0 : number),
                               .kind = (int)(number % 2)};
    if (number == s->odd_one && !before) {
        memset(m->grey, 0, sizeof m->grey);
        m->labels[0].row = 1;
        page->label_count = 1;
    }
    return 0;
}

static struct read_source source_of(struct source *s) {
    return (struct read_source){.context = s,
                                .open = generator_open,
                                .close = generator_close,
                                .make = generator_make,
                                .kinds = {"even", "odd"}};
}

/* ---- Options --------------------------------------------------------------------------------- */

static const char ENCODER[] =
    "{\"name\": \"tiny\", \"sam\": {\"patch_size\": 16, \"grid\": 8, \"dim\": 16, \"depth\": 1,"
    " \"heads\": 2, \"mlp_dim\": 24, \"window\": 4, \"global_blocks\": [], \"neck\": 12,"
    " \"net_2\": 16, \"net_3\": 16}, \"clip\": {\"dim\": 16, \"depth\": 1, \"heads\": 2,"
    " \"mlp_dim\": 24, \"grid\": 2}, \"projector\": {\"output\": 12, \"norm\": true}}";

/* Filled by source_begin; all but the folder. */
static struct read_options OPTIONS;
static char scratch[] = "read-train-XXXXXX";

/* Into a scratch folder. */
static inline bool source_begin(struct alphabet **alphabet) {
    json_t *list = json_pack("[s, s, s, s]", "?", "a", "b", "c");
    OPTIONS = READ_DEFAULTS;
    OPTIONS.trainer.device = tested_device();
    OPTIONS.reading = (struct reading_config){.channels = 4,
                                              .hidden = 16,
                                              .embedding = 8,
                                              .classes = CLASSES,
                                              .reach = 2,
                                              .cells = true,
                                              .trunk = 16,
                                              .nested = 2};
    OPTIONS.trainer.schedule.steps = 40;
    OPTIONS.trainer.schedule.warm_up = 5;
    OPTIONS.trainer.schedule.rate = 0.01;
    OPTIONS.trainer.optimizer.ema = 0.5;
    OPTIONS.seed = 1;
    OPTIONS.batch = 4;
    OPTIONS.trainer.threads = 2;
    OPTIONS.trainer.save_ms = -1; /* with each line of the metrics */
    OPTIONS.staged = 0;
    OPTIONS.halving = 0.5;
    OPTIONS.halvings[0] = OPTIONS.halvings[1] = 1;
    OPTIONS.halvings[2] = OPTIONS.halvings[3] = 0;
    bool ok = config_parse(&OPTIONS.encoder, ENCODER, NULL) == 0 &&
              alphabet_parse(alphabet, list, NULL) == 0 && mkdtemp(scratch) != NULL &&
              chdir(scratch) == 0;
    json_decref(list);
    return ok;
}

static inline void source_end(struct alphabet *alphabet) {
    alphabet_close(alphabet);
    if (chdir("..") != 0 || rmdir(scratch) != 0) {
        printf("# %s is left\n", scratch);
    }
}

/* ---- Folders --------------------------------------------------------------------------------- */

static inline void make_folder(const char *folder) {
    if (mkdir(folder, 0777) != 0) {
        perror(folder);
        exit(1);
    }
}

static inline void remove_folder(const char *folder) {
    static const char *const NAMES[] = {
        "checkpoint.safetensors",   "encoder.safetensors", ".checkpoint.safetensors.tmp",
        ".encoder.safetensors.tmp", "metrics.ndjson",      ""};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", folder, NAMES[i]);
        if (NAMES[i][0] != '\0') {
            unlink(path);
        } else {
            rmdir(path);
        }
    }
}

/* Of two folders. */
static inline bool same_in(const char *a, const char *b, const char *name) {
    char x[256], y[256];
    snprintf(x, sizeof x, "%s/%s", a, name);
    snprintf(y, sizeof y, "%s/%s", b, name);
    return same_file(x, y);
}

/* Whether the weights and their moments are the same in the checkpoints of two folders. */
static inline bool same_arrays(const char *a, const char *b) {
    char path[256];
    struct safetensors *x = NULL, *y = NULL;
    snprintf(path, sizeof path, "%s/checkpoint.safetensors", a);
    int rc = safetensors_open(&x, path, NULL);
    snprintf(path, sizeof path, "%s/checkpoint.safetensors", b);
    if (rc == 0) {
        rc = safetensors_open(&y, path, NULL);
    }
    bool same = rc == 0 && safetensors_count(x) == safetensors_count(y);
    for (size_t i = 0; same && i < safetensors_count(x); i++) {
        const struct safetensor *one = safetensors_get(x, i);
        const struct safetensor *other = safetensors_find(y, one->name);
        same = other != NULL && one->bytes == other->bytes &&
               memcmp(one->data, other->data, one->bytes) == 0;
    }
    safetensors_close(x);
    safetensors_close(y);
    return same;
}

/* The largest difference between the numbers of two files of weights. */
static inline double weights_apart(const char *a, const char *b) {
    struct safetensors *x = NULL, *y = NULL;
    double most = 0;
    if (safetensors_open(&x, a, NULL) != 0 || safetensors_open(&y, b, NULL) != 0) {
        safetensors_close(x);
        return HUGE_VAL;
    }
    for (size_t i = 0; i < safetensors_count(x); i++) {
        const struct safetensor *one = safetensors_get(x, i);
        const struct safetensor *other = safetensors_find(y, one->name);
        most = other == NULL ? HUGE_VAL : most;
        for (size_t k = 0; other != NULL && k < one->bytes / sizeof(float); k++) {
            float pair[2];
            memcpy(&pair[0], (const char *)one->data + k * sizeof *pair, sizeof *pair);
            memcpy(&pair[1], (const char *)other->data + k * sizeof *pair, sizeof *pair);
            most = fmax(most, fabs((double)pair[0] - (double)pair[1]));
        }
    }
    safetensors_close(x);
    safetensors_close(y);
    return most;
}

static inline int request_order(const void *a, const void *b) {
    const struct read_request *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static inline void source_sort(struct source *s) {
    qsort(s->requests, s->count, sizeof *s->requests, request_order);
}

static inline void source_clear(struct source *s) {
    s->count = s->whitening = 0;
}

#endif
