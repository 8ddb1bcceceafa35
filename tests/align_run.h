/* align_run.h - for tests: a store whose tokens can be read by a matrix, and runs that teach the
 * small model to read them. A file that includes this defines _DEFAULT_SOURCE. */
#ifndef OCC_TESTS_ALIGN_RUN_H
#define OCC_TESTS_ALIGN_RUN_H

#include <errno.h>
#include <sys/stat.h>

#include "compress/model.h"
#include "store/log.h"
#include "store/random.h"
#include "tests/cell_store.h"
#include "tests/model_folder.h"
#include "tests/runs_apart.h"
#include "tests/same_file.h"
#include "tests/tested_device.h"
#include "train/align/align.h"

#define BUNDLED TEST_FOLDER "/../compress/nano.safetensors"
#define SHIPPED "adapter/adapter_model.safetensors"
enum { POSTS = 12, CELLS = 16, LETTERS = 2, KINDS = 6 };

static char scratch[] = "/tmp/occ-align-XXXXXX";
static struct decoder_folder model;
static struct history *history;

static inline void must(int rc, const struct error *e) {
    if (!CHECK_NUMBER(rc, 0)) {
        printf("# %s\n", e->text);
        exit(1);
    }
}

/* ---- The store ------------------------------------------------------------------------------ */

/* A cell shows two of six letters, and its token has a number for each letter and place. */
static inline void fill_cell(char text[LETTERS + 1], float *numbers, uint64_t *random) {
    for (int i = 0; i < LETTERS; i++) {
        const int kind = (int)random_below(random, KINDS);
        text[i] = (char)('a' + 3 * kind);
        numbers[i * KINDS + kind] = 1;
    }
    text[LETTERS] = '\0';
}

static inline void put_post_in_cells(struct store *s, int account, int number, uint64_t *random) {
    const int dim = store_encoder(s)->dim;
    char key[32], json[64], texts[CELLS][LETTERS + 1];
    struct cell cells[CELLS];
    float *numbers = calloc((size_t)(CELLS * dim), sizeof *numbers);
    snprintf(key, sizeof key, "account%d/%d", account, number);
    snprintf(json, sizeof json, "{\"created\": %d}", 1700000000 + number);
    for (int i = 0; i < CELLS && numbers != NULL; i++) {
        fill_cell(texts[i], numbers + i * dim, random);
        cells[i] = (struct cell){key, texts[i]};
    }
    put_cells(s, &(struct cell_page){.key = key,
                                     .json = json,
                                     .created = 1700000000 + number,
                                     .cells = cells,
                                     .count = CELLS,
                                     .codec = CODEC_BF16,
                                     .numbers = numbers});
    free(numbers);
}

static inline void make_store(const char *path, int accounts) {
    struct store *s = NULL;
    struct model_info info;
    struct error e = {0};
    struct store_encoder encoder = {.name = "nano"};
    uint64_t random = 5;
    must(model_info(&info, BUNDLED, &e), &e);
    encoder.fingerprint = info.fingerprint;
    encoder.dim = (int)info.config.token_dim;
    must(store_open_write(&s, path, &encoder, &e), &e);
    put_nesting(s);
    for (int i = 0; i < accounts; i++) {
        for (int k = 0; k < POSTS; k++) {
            put_post_in_cells(s, i, k, &random);
        }
    }
    must(store_commit(s, &e), &e);
    store_close(s);
}

/* ---- Runs ----------------------------------------------------------------------------------- */

static inline struct align_options options_of(enum bridge_kind kind) {
    struct align_options o = ALIGN_DEFAULTS;
    o.encoder = BUNDLED;
    o.kind = kind;
    o.kind_said = true;
    o.lora.rank = 4;
    o.lora.alpha = 8;
    o.trainer.device = tested_device();
    o.trainer.compute = "f32";
    o.trainer.team = 1;
    o.trainer.folder = "run";
    o.trainer.schedule = (struct schedule){.rate = 0.01, .steps = 12, .warm_up = 2};
    o.match = (struct schedule){.rate = 0.01, .steps = 4, .warm_up = 1};
    o.match_tokens = 64;
    o.batch = 4;
    o.row = 64;
    o.span = 4;
    o.held_out = 0.25;
    o.measure_steps = 4;
    o.measure_rows = 4;
    o.halved = 0;
    return o;
}

static inline int align(const struct align_options *o, struct align_result *r, struct error *e) {
    if (mkdir(o->trainer.folder, 0777) != 0 && errno != EEXIST) {
        exit(1);
    }
    return align_train(o, &model, &history, 1, NULL, r, e);
}

static inline void align_all(const struct align_options *o, struct align_result *r) {
    struct error e = {0};
    must(align(o, r, &e), &e);
}

/* In a folder of its own, as the program `name`. */
static inline void align_begin(const char *name) {
    struct error e = {0};
    log_open(name, LOG_ERROR, LOG_TEXT);
    must(decoder_folder_open(&model, SMALL_MODEL, &e), &e);
    if (mkdtemp(scratch) == NULL || chdir(scratch) != 0) {
        exit(1);
    }
    make_store("store", 4);
    must(history_open(&history, "store", NULL, NULL, &e), &e);
}

static inline void align_end(void) {
    history_close(history);
    decoder_folder_close(&model);
    folder_remove(scratch);
}

#endif
