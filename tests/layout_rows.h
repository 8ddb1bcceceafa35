/* layout_rows.h - for tests: layouts of stores in cells, and their rows as text. Tokens of text are
 * bytes here, and the numbers of visual tokens say which cells they are from. */
#ifndef OCC_TESTS_LAYOUT_ROWS_H
#define OCC_TESTS_LAYOUT_ROWS_H

#include "store/random.h"
#include "tests/cell_store.h"
#include "tests/corpus_folder.h"
#include "train/context/layout.h"

static struct corpus_folder folder;
static char store_path[64];

enum { DAY = 24 * 3600, NOON = 1700000000 };

static inline struct layout_options options_of(enum context_kind kind) {
    return (struct layout_options){
        .model = &folder.model, .kind = kind, .positions = 100, .row = 400, .expand = 1, .seed = 1};
}

static inline struct store *fresh(void) {
    folder_remove(store_path);
    struct store *s = store_new(store_path);
    put_nesting(s);
    return s;
}

static inline void end(struct store *s) {
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
}

struct opened {
    struct history *h;
    struct layout *l;
    struct layout_space *space;
};

static inline struct opened opened(const struct layout_options *o) {
    struct opened x = {.h = NULL};
    struct error e = {0};
    int rc = history_open(&x.h, store_path, NULL, NULL, &e);
    rc = rc == 0 ? layout_open(&x.l, o, x.h, NULL, &e) : rc;
    rc = rc == 0 ? layout_space_open(&x.space, x.l, &e) : rc;
    if (!CHECK_NUMBER(rc, 0)) {
        printf("# %s\n", e.text);
        exit(1);
    }
    return x;
}

static inline void closed(struct opened *x) {
    layout_space_close(x->space);
    layout_close(x->l);
    history_close(x->h);
}

/* The code of a layout that is refused; *text: valid until the next. */
static inline int refused(const struct layout_options *o, const char **text) {
    static struct error e;
    struct history *h = NULL;
    struct layout *l = NULL;
    CHECK_NUMBER(history_open(&h, store_path, NULL, NULL, &e), 0);
    int rc = layout_open(&l, o, h, NULL, &e);
    layout_close(l);
    history_close(h);
    *text = e.text;
    return rc;
}

/* ---- Rows as text ------------------------------------------------------------------------- */

static inline void show_soft(struct bytes *out, const struct context_row *row, int64_t soft) {
    int64_t token = soft / row->expand, v = 0;
    if (soft % row->expand != 0) {
        CHECK_NUMBER(bytes_append_text(out, "+", NULL), 0);
        return;
    }
    while (v < row->visual_count && token >= row->visual[v].count) {
        token -= row->visual[v++].count;
    }
    if (!CHECK(v < row->visual_count)) {
        return;
    }
    const struct context_visual *group = &row->visual[v];
    /* the cells of a run stand side by side */
    CHECK_NUMBER(bytes_append_text(out, group->begins[token] ? "(" : "-(", NULL), 0);
    for (int i = 0; i < 1 << group->bucket; i++) {
        double number =
            (double)group->numbers[token * STORE_DIM + i * (STORE_DIM >> group->bucket)];
        CHECK_NUMBER(bytes_printf(out, NULL, "%s%.0f", i > 0 ? "|" : "", number), 0);
    }
    CHECK_NUMBER(bytes_append_text(out, ")", NULL), 0);
}

static inline void show_pool(struct bytes *out, const struct context_row *row, int64_t pool) {
    CHECK(pool < row->pool_count && row->pools[pool].count > 0);
    CHECK_NUMBER(bytes_append_text(out, "(", NULL), 0);
    for (int64_t i = 0; i < row->pools[pool].count; i++) {
        char byte = (char)row->pooled[row->pools[pool].first + i];
        CHECK_NUMBER(bytes_append(out, &byte, 1, NULL), 0);
    }
    CHECK_NUMBER(bytes_append_text(out, ")", NULL), 0);
}

static inline void show_input(struct bytes *out, const struct context_row *row, int32_t input) {
    static const char *const MARKS[] = {"<page>", "<style>", "<text>", "<read>", "<end>"};
    const int64_t number = -1 - (int64_t)input;
    if (input >= 0) {
        char shown = (char)(input == TOKEN_END     ? '$'
                            : input == TOKEN_BEGIN ? '^'
                            : input == '\n'        ? '/'
                                                   : input);
        CHECK_NUMBER(bytes_append(out, &shown, 1, NULL), 0);
    } else if (row->pool_count > 0) { /* without marks */
        show_pool(out, row, number);
    } else if (number < MARK_AGE) {
        CHECK_NUMBER(bytes_append_text(out, MARKS[number], NULL), 0);
    } else if (number < BRIDGE_MARKS) {
        CHECK_NUMBER(bytes_printf(out, NULL, "<%lld>", (long long)number - MARK_AGE), 0);
    } else {
        show_soft(out, row, number - BRIDGE_MARKS);
    }
}

/* What is to be foreseen stands in brackets; valid until the next. */
static inline const char *shown(const struct context_row *row) {
    static struct bytes out;
    bool open = false;
    int64_t targets = 0;
    out.limit = 1 << 24;
    bytes_clear(&out);
    CHECK(row->sequences == 1 && row->offsets[0] == 0 && row->offsets[1] == row->tokens);
    for (int64_t i = 0; i < row->tokens; i++) {
        show_input(&out, row, row->inputs[i]);
        const bool target = row->labels[i] >= 0;
        targets += target;
        if (target != open) {
            CHECK_NUMBER(bytes_append_text(&out, target ? "[" : "]", NULL), 0);
            open = target;
        }
        CHECK_NUMBER(row->positions[i], i);
        CHECK(!target || i + 1 == row->tokens || row->inputs[i + 1] == row->labels[i]);
    }
    if (open) {
        show_input(&out, row, row->labels[row->tokens - 1]);
        CHECK_NUMBER(bytes_append_text(&out, "]", NULL), 0);
    }
    CHECK_NUMBER(targets, row->targets);
    return bytes_text(&out);
}

/* Of the post with this key in either set: its first row. */
static inline const char *row_of(const struct opened *x, const char *key) {
    struct context_row row;
    struct error e = {0};
    for (int set = 0; set < CORPUS_SETS; set++) {
        for (int64_t i = 0; i < layout_counts(x->l, (enum corpus_set)set).rows; i++) {
            const struct history_account *account;
            const struct history_post *post;
            layout_target(x->l, (enum corpus_set)set, 0, i, &account, &post);
            if (strcmp(post->key, key) == 0) {
                if (!CHECK_NUMBER(layout_row(x->l, x->space, (enum corpus_set)set, 0, i, &row, &e),
                                  0)) {
                    printf("# %s\n", e.text);
                    return "";
                }
                return shown(&row);
            }
        }
    }
    return "(there is none)";
}

/* ---- Stores ------------------------------------------------------------------------------ */

/* Posts of a day each; the first pack of two, the second of one and a half cells of another. */
static inline void fill(struct store *s) {
    put_post(s, "k/1", NOON + 1 * DAY, "k", "one");
    put_post(s, "k/2", NOON + 2 * DAY, "k", "two");
    put_post(s, "k/3", NOON + 3 * DAY, "k", "three");
    put_post(s, "k/4", NOON + 100 * DAY, "k", "four");
    static const struct cell A[] = {
        {"k/1", "aaaa"}, {"k/1", "bb"}, {"k/2", "cccc"}, {"k/2", "d 12,50"}, {"k/2", "!e"}};
    static const struct cell B[] = {{"k/3", "ffff"}, {"k/3", "gg"}, {"k/4", "hh"}};
    put_cells(s, &(struct cell_page){.key = "k/pack%3Aa",
                                     .json = "{\"samples\": [\"k/1\", \"k/2\"]}",
                                     .created = NOON + 2 * DAY,
                                     .cells = A,
                                     .count = 5,
                                     .first = 10,
                                     .codec = CODEC_INT8});
    put_cells(s, &(struct cell_page){.key = "k/pack%3Ab",
                                     .json = "{\"samples\": [\"k/3\", \"k/4\"]}",
                                     .created = NOON + 100 * DAY,
                                     .cells = B,
                                     .count = 3,
                                     .first = 20,
                                     .codec = CODEC_INT8});
}

static inline void put_alone(struct store *s, const char *key, int64_t created, const char *account,
                             float first) {
    const struct cell cells[] = {{key, "xy"}};
    char json[128];
    snprintf(json, sizeof json, "{\"account\": \"%s\", \"title\": \"t\", \"created\": %lld}",
             account, (long long)created);
    put_cells(s, &(struct cell_page){.key = key,
                                     .json = json,
                                     .created = created,
                                     .cells = cells,
                                     .count = 1,
                                     .first = first,
                                     .codec = CODEC_INT8});
}

/* Cells, all of whose numbers are that of their account's post, from 1 on. */
static inline void put_pack(struct store *s, const struct cell_page *pack, const int *posts) {
    float numbers[24 * STORE_DIM];
    struct cell_page p = *pack;
    for (int i = 0; i < p.count * STORE_DIM; i++) {
        numbers[i] = (float)(1 + posts[i / STORE_DIM]);
    }
    p.numbers = numbers;
    put_cells(s, &p);
}

/* Any posts on any packs; the letter of a cell's text names its post, and so do its numbers. */
static inline int put_random(struct store *s, uint64_t seed) {
    enum { POSTS = 60 };
    static char keys[POSTS][32], texts[POSTS][32];
    int64_t created[POSTS];
    for (int i = 0; i < POSTS; i++) {
        created[i] =
            random_below(&seed, 8) == 0 ? STORE_UNDATED : NOON + random_below(&seed, 40) * 10 * DAY;
        snprintf(keys[i], sizeof keys[i], "%c/%d", (char)('p' + i % 3), i);
        memset(texts[i], 'A' + i / 3, 3);
        put_post(s, keys[i], created[i], (char[]){(char)('p' + i % 3), '\0'}, texts[i]);
    }
    for (int pack = 0; pack < 30; pack++) {
        struct cell cells[24];
        char key[48], json[1024] = "{\"samples\": [";
        int count = 0, shown[24];
        int64_t newest = STORE_UNDATED;
        const int account = pack % 3, posts = 1 + (int)random_below(&seed, 6);
        for (int i = 0; i < posts; i++) {
            const int post = account + 3 * (int)random_below(&seed, POSTS / 3);
            newest = created[post] > newest ? created[post] : newest;
            for (int c = (int)random_below(&seed, 4); c >= 0; c--) {
                shown[count] = post / 3;
                cells[count++] =
                    (struct cell){keys[post], random_below(&seed, 6) ? texts[post] : ""};
            }
            snprintf(json + strlen(json), sizeof json - strlen(json), "%s\"%s\"", i > 0 ? ", " : "",
                     keys[post]);
        }
        snprintf(json + strlen(json), sizeof json - strlen(json), "]}");
        snprintf(key, sizeof key, "%c/pack%%3A%d", (char)('p' + account), pack);
        put_pack(s,
                 &(struct cell_page){.key = key,
                                     .json = json,
                                     .created = newest,
                                     .cells = cells,
                                     .count = count,
                                     .codec = CODEC_INT8},
                 shown);
    }
    return POSTS;
}

static inline void check_row(const struct layout_options *o, const char *key, const char *want) {
    struct opened x = opened(o);
    CHECK_TEXT(row_of(&x, key), want);
    closed(&x);
}

#endif
