/* tune_store.h - for tests: a store of three accounts in cells, its posts after their contexts, and
 * an adapter with a bridge for its tokens that has learned nothing. Beside tune_run.h. */
#ifndef OCC_TESTS_TUNE_STORE_H
#define OCC_TESTS_TUNE_STORE_H

#include "compress/model.h"
#include "tests/cell_store.h"
#include "tests/tune_run.h"

enum { POSTS = 12, CELLS = 3, NIGHT = 24 * 3600, FIRST_NIGHT = 1700000000 };

/* ---- The store ------------------------------------------------------------------------------- */

/* Each post has a page of its own; `first` says whose it is. */
static inline void put_account(struct store *s, int account, int posts) {
    static const char *const TEXTS[ACCOUNTS][CELLS] = {
        {"a monkey opens ", "a banana from ", "the end"},
        {"the cat jumps ", "into the box ", "and out"},
        {"she said it ", "would rain ", "and it did"}};
    for (int i = 0; i < posts; i++) {
        const int64_t created = FIRST_NIGHT + (int64_t)(i * ACCOUNTS + account) * NIGHT;
        char key[16], text[128];
        struct cell cells[CELLS];
        snprintf(key, sizeof key, "%c/%02d", 'a' + account, i);
        for (int k = 0; k < CELLS; k++) {
            cells[k] = (struct cell){key, TEXTS[account][(i + k) % CELLS]};
        }
        snprintf(text, sizeof text, "%s%s%s", cells[0].text, cells[1].text, cells[2].text);
        json_t *root = json_pack("{s:s%, s:I, s:s}", "account", key, (size_t)1, "created",
                                 (json_int_t)created, "description", text);
        char *json = json_dumps(root, JSON_COMPACT);
        put_cells(s, &(struct cell_page){.key = key,
                                         .json = json,
                                         .created = created,
                                         .cells = cells,
                                         .count = CELLS,
                                         .first = (float)(account - 1),
                                         .codec = CODEC_BF16});
        free(json);
        json_decref(root);
    }
}

static inline void make_store(const char *path, int posts) {
    folder_remove(path);
    struct store *s = store_new(path);
    put_nesting(s);
    for (int i = 0; i < ACCOUNTS; i++) {
        put_account(s, i, posts);
    }
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
}

/* ---- An adapter ------------------------------------------------------------------------------ */

struct named_tensor {
    const char *name;
    float *values;
};

static inline int fill_if_named(void *context, const struct tensor_spec *spec, struct error *e) {
    const struct named_tensor *one = context;
    (void)e;
    if (strcmp(spec->name, one->name) == 0) {
        model_fill(one->values, spec, 7);
    }
    return 0;
}

static inline int first_value(void *context, const char *name, float *values, struct error *e) {
    struct named_tensor one = {name, values};
    return bridge_list(context, false, fill_if_named, &one, e);
}

static inline void make_bridge(const char *path) {
    struct bridge_options o = {.kind = BRIDGE_LINEAR,
                               .dim = STORE_DIM,
                               .width = model.config.width,
                               .expand = 1,
                               .buckets = 2,
                               .scale = 0.1,
                               .encoder = STORE_ENCODER.fingerprint};
    struct error e = {0};
    must(bridge_write(path, &o, false, first_value, &o, &e), &e);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static struct reader *reading; /* of CONTEXT_READ */

struct posts {
    struct history *history;
    struct layout *layout;
    struct tune_data data;
};

static inline struct posts open_posts(const char *path, enum context_kind kind) {
    const struct layout_options o = {.model = &model,
                                     .kind = kind,
                                     .positions = 24,
                                     .row = 120,
                                     .expand = 1,
                                     .held_out = 0.2,
                                     .seed = 3,
                                     .reader = kind == CONTEXT_READ ? reading : NULL};
    struct posts p = {.history = NULL};
    struct error e = {0};
    must(history_open(&p.history, path, NULL, NULL, &e), &e);
    must(layout_open(&p.layout, &o, p.history, NULL, &e), &e);
    p.data = (struct tune_data){.layout = p.layout, .history = p.history};
    return p;
}

static inline void close_posts(struct posts *p) {
    layout_close(p->layout);
    history_close(p->history);
}

/* Two experts of four, and few rows of the small model: its units are small, too. */
static inline struct tune_options context_options(enum tune_method method) {
    struct tune_options o = options_of(method);
    o.bridge = (struct tune_bridge){.used = true, .rate = 1};
    o.adapter = "bridge";
    o.gspf.rows = 4;
    o.gspf.budget = 0.1;
    if (method == TUNE_OCC) {
        o.bridge.options.experts =
            (struct bridge_experts){.count = 4, .chosen = 2, .hidden = 8, .balance = 0.01};
    }
    return o;
}

static inline int tune_posts(const struct tune_options *o, const struct posts *p,
                             const volatile sig_atomic_t *cancel, struct tune_result *r,
                             struct error *e) {
    if (mkdir(o->trainer.folder, 0777) != 0 && errno != EEXIST) {
        exit(1);
    }
    return tune_train(o, &model, &p->data, cancel, r, e);
}

static inline void tune_all_posts(const struct tune_options *o, const struct posts *p,
                                  struct tune_result *r) {
    struct error e = {0};
    must(tune_posts(o, p, NULL, r, &e), &e);
}

#endif
