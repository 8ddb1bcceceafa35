/* tune_run.h - for tests: text of three accounts, and runs that tune the small model on it. A file
 * that includes this defines _DEFAULT_SOURCE. */
#ifndef OCC_TESTS_TUNE_RUN_H
#define OCC_TESTS_TUNE_RUN_H

#include <errno.h>
#include <sys/stat.h>

#include "store/log.h"
#include "store/random.h"
#include "tests/model_folder.h"
#include "tests/runs_apart.h"
#include "tests/same_file.h"
#include "tests/tested_device.h"
#include "train/tune/tune.h"

enum { DOCUMENTS = 60, ACCOUNTS = 3 };

static char folder[] = "/tmp/occ-tune-XXXXXX";
static struct decoder_folder model;

static inline void must(int rc, const struct error *e) {
    if (!CHECK_NUMBER(rc, 0)) {
        printf("# %s\n", e->text);
        exit(1);
    }
}

/* ---- Text
 * ---------------------------------------------------------------------------------------- */

/* Captions of `count` dates, each account with words of its own. */
static inline void write_documents(const char *path, int count) {
    static const char *const WORDS[ACCOUNTS][6] = {
        {"a monkey", "opens", "a banana", "from", "the other", "end"},
        {"the cat", "jumps", "into", "the box", "and the box", "closes"},
        {"she said", "it would", "rain", "today", "and it", "did"}};
    uint64_t random = 7;
    FILE *out = fopen(path, "w");
    for (int i = 0; i < count && out != NULL; i++) {
        fprintf(out,
                "{\"account\": \"%d\", \"created\": \"2024-03-%02dT12:00:00Z\", "
                "\"prompt\": \"Caption:\", \"completion\": \"",
                i % ACCOUNTS, 1 + i % 28);
        for (int64_t words = 3 + random_below(&random, 8); words > 0; words--) {
            fprintf(out, " %s", WORDS[i % ACCOUNTS][random_below(&random, 6)]);
        }
        fprintf(out, "\"}\n");
    }
    CHECK(out != NULL && fclose(out) == 0);
}

static const struct corpus_options SHORT_ROWS = {
    .context = 48, .held_out = 0.2, .packing = true, .seed = 3};

static inline struct corpus *open_text(const struct corpus_options *from, int documents) {
    struct corpus_options o = *from;
    struct corpus *corpus = NULL;
    struct error e = {0};
    char path[] = "text.jsonl", *paths[] = {path};
    write_documents(path, documents);
    o.model = &model;
    must(corpus_open(&corpus, &o, paths, 1, NULL, &e), &e);
    return corpus;
}

/* ---- Runs
 * ---------------------------------------------------------------------------------------- */

static inline struct tune_options options_of(enum tune_method method) {
    struct tune_options o = TUNE_DEFAULTS;
    o.method = method;
    o.lora.rank = 4;
    o.lora.alpha = 8;
    o.trainer.device = tested_device();
    o.trainer.compute = "f32";
    o.trainer.team = 1;
    o.trainer.folder = "run";
    o.trainer.schedule = (struct schedule){.rate = 0.01, .steps = 12, .warm_up = 2};
    o.batch = 8;
    o.measure_steps = 4;
    o.patience = 0;
    return o;
}

static inline int tune(const struct tune_options *o, const struct corpus *corpus,
                       struct tune_result *r, struct error *e) {
    if (mkdir(o->trainer.folder, 0777) != 0 && errno != EEXIST) {
        exit(1);
    }
    const struct tune_data data = {.corpus = corpus};
    return tune_train(o, &model, &data, NULL, r, e);
}

static inline void tune_all(const struct tune_options *o, const struct corpus *corpus,
                            struct tune_result *r) {
    struct error e = {0};
    must(tune(o, corpus, r, &e), &e);
}

#define SHIPPED "adapter/adapter_model.safetensors"

static inline bool has_bf16(void) {
    return tested_backend()->has_bf16();
}

/* In a folder of its own, as the program `name`. */
static inline void tune_begin(const char *name) {
    struct error e = {0};
    log_open(name, LOG_ERROR, LOG_TEXT);
    must(decoder_folder_open(&model, SMALL_MODEL, &e), &e);
    if (mkdtemp(folder) == NULL || chdir(folder) != 0) {
        exit(1);
    }
}

static inline void tune_end(void) {
    decoder_folder_close(&model);
    folder_remove(folder);
}

#endif
