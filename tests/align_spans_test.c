/* align_spans_test.c - which spans of visual tokens a model is taught to read, and the text that
 * belongs to them. Tokens of text are bytes here, and the numbers of visual tokens say which cells
 * they are from. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "train/align/spans.h"

#include "store/random.h"
#include "tests/cell_store.h"
#include "tests/corpus_folder.h"

enum { ACCOUNTS = 6, PAGES = 3, CELLS = 13, ALL = ACCOUNTS * PAGES * CELLS };

static struct corpus_folder folder;
static char path[64];
static char texts[ALL]
                 [16]; /* of all cells: number page * CELLS + cell, pages of accounts in order */
static struct history *history;

/* Page `number` shows a post of its own. */
static void put_page(struct store *s, int number) {
    char key[32], json[128];
    struct cell cells[CELLS];
    snprintf(key, sizeof key, "acc%d/%d", number / PAGES, number % PAGES);
    snprintf(json, sizeof json, "{\"created\": %d}", 1700000000 + number);
    for (int i = 0; i < CELLS; i++) {
        static const char *const BEGINS[] = {"{", "{\xC3\xA9", "{c", "{ca\xCC\x81l"};
        char *text = texts[number * CELLS + i];
        snprintf(text, sizeof texts[0], "%s%d", BEGINS[i % 4], number * CELLS + i);
        cells[i] = (struct cell){key, text};
    }
    put_cells(s, &(struct cell_page){.key = key,
                                     .json = json,
                                     .created = 1700000000 + number,
                                     .cells = cells,
                                     .count = CELLS,
                                     .first = (float)(number * CELLS),
                                     .codec = CODEC_BF16});
}

static void make_store(void) {
    struct error e = {0};
    folder_new(path);
    struct store *s = store_new(path);
    put_nesting(s);
    for (int i = 0; i < ACCOUNTS * PAGES; i++) {
        put_page(s, i);
    }
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
    if (!CHECK_NUMBER(history_open(&history, path, NULL, NULL, &e), 0)) {
        printf("# %s\n", e.text);
        exit(1);
    }
}

/* ---- What a row says ---------------------------------------------------------------------- */

struct opened {
    struct material *material;
    struct span_rows *rows;
};

static struct opened opened(double held_out, int64_t row) {
    struct opened x;
    struct error e = {0};
    int rc = material_open(&x.material, &history, 1, held_out, &e);
    const struct span_options o = {.model = &folder.model, .material = x.material, .row = row};
    rc = rc == 0 ? span_rows_open(&x.rows, &o, &e) : rc;
    if (!CHECK_NUMBER(rc, 0)) {
        printf("# %s\n", e.text);
        exit(1);
    }
    return x;
}

static void closed(struct opened *x) {
    span_rows_close(x->rows);
    material_close(x->material);
}

static struct context_row row_of(struct opened *x, enum corpus_set set,
                                 const struct span_lesson *lesson, uint64_t random) {
    struct context_row row;
    struct error e = {0};
    if (!CHECK_NUMBER(span_row(x->rows, set, lesson, random, &row, &e), 0)) {
        printf("# %s\n", e.text);
        exit(1);
    }
    return row;
}

/* Of a sequence: what its inputs show, and what is foreseen. */
struct shown {
    int first, cells;   /* the first cell, how many of all in a row */
    int tokens, bucket; /* visual tokens; of the last */
    bool read, follows; /* which mark stands before the text */
    char own[4096], target[4096];
};

/* The cells of soft token `soft`; marked: it stands behind a mark. */
static void show_soft(struct shown *to, const struct context_row *row, int64_t soft, bool marked) {
    int64_t token = soft / row->expand, v = 0;
    while (v < row->visual_count && token >= row->visual[v].count) {
        token -= row->visual[v++].count;
    }
    if (!CHECK(v < row->visual_count) || soft % row->expand > 0) {
        return;
    }
    const struct context_visual *group = &row->visual[v];
    CHECK(group->begins[token] == marked);
    const int most = 1 << group->bucket, kept = STORE_DIM >> group->bucket;
    CHECK_NUMBER(to->bucket, group->bucket);
    for (int i = 0; i < most; i++) {
        const int cell = (int)group->numbers[token * STORE_DIM + i * kept];
        if (cell == 0 && i > 0) { /* of an odd number */
            continue;
        }
        to->first = to->cells == 0 ? cell : to->first;
        CHECK_NUMBER(cell, to->first + to->cells);
        to->cells++;
    }
    to->tokens++;
}

static void append(char to[4096], int32_t id) {
    const size_t size = strlen(to);
    if (CHECK(size + 1 < 4096)) {
        to[size] = id == TOKEN_END ? '$' : (char)id;
        to[size + 1] = '\0';
    }
}

static struct shown show(const struct context_row *row, int64_t sequence) {
    struct shown s = {.first = -1};
    for (int32_t i = row->offsets[sequence]; i < row->offsets[sequence + 1]; i++) {
        const int64_t number = -1 - (int64_t)row->inputs[i];
        CHECK_NUMBER(row->positions[i], i - row->offsets[sequence]);
        if (row->inputs[i] >= 0 && (i == row->offsets[sequence] || row->labels[i - 1] < 0)) {
            append(s.own, row->inputs[i]);
        } else if (number >= BRIDGE_MARKS) {
            show_soft(&s, row, number - BRIDGE_MARKS, row->inputs[i - 1] >= -BRIDGE_MARKS);
        } else if (number >= MARK_AGE) {
            s.bucket = (int)number - MARK_AGE;
        }
        s.read |= number == MARK_READ;
        s.follows |= number == MARK_END;
        if (row->labels[i] >= 0) {
            append(s.target, row->labels[i]);
            CHECK(i + 1 == row->offsets[sequence + 1] || row->inputs[i + 1] == row->labels[i]);
        }
    }
    return s;
}

/* The text of cells [first, first + count), pages in lines of their own. */
static void text_of(char out[4096], int first, int count) {
    size_t size = 0;
    out[0] = '\0';
    for (int i = first; i < first + count && size < 4000; i++) {
        const char *line = i > first && i % CELLS == 0 ? "\n" : "";
        size += (size_t)snprintf(out + size, 4096 - size, "%s%s", line, texts[i]);
    }
}

/* With the end token. */
static const char *ended(char text[4096]) {
    append(text, TOKEN_END);
    return text;
}

/* ---- Tests -------------------------------------------------------------------------------- */

static void a_span_is_read(void) {
    struct opened x = opened(0, 256);
    const struct span_lesson lesson = {.expand = 2, .least = 1, .most = 8};
    bool seen[9] = {false}, ends = false;
    for (uint64_t random = 0; random < 40; random++) {
        const struct context_row row = row_of(&x, CORPUS_TRAINING, &lesson, random);
        CHECK(row.tokens <= 256 && row.sequences > 1);
        int64_t targets = 0;
        for (int64_t i = 0; i < row.sequences; i++) {
            const struct shown s = show(&row, i);
            char text[4096];
            text_of(text, s.first, s.cells);
            CHECK_TEXT(s.target, ended(text));
            CHECK(s.read && !s.follows && s.tokens == s.cells && s.bucket == 0);
            ends |= s.first + s.cells == ALL;
            seen[s.tokens <= 8 ? s.tokens : 0] = true;
            targets += (int64_t)strlen(s.target);
        }
        CHECK_NUMBER(row.targets, targets);
    }
    CHECK(!seen[0] && seen[1] && seen[2] && seen[4] && seen[8]);
    CHECK(ends);
    closed(&x);
}

static void what_follows_is_foreseen(void) {
    struct opened x = opened(0, 512);
    const struct span_lesson lesson = {.expand = 1, .least = 4, .most = 4, .continuing = 1};
    int following = 0;
    for (uint64_t random = 0; random < 40; random++) {
        const struct context_row row = row_of(&x, CORPUS_TRAINING, &lesson, random);
        for (int64_t i = 0; i < row.sequences; i++) {
            const struct shown s = show(&row, i);
            const int next = s.first + s.cells, all = PAGES * CELLS;
            char text[4096];
            CHECK(s.read != s.follows);
            if (s.follows) {
                text_of(text, next, (next + all - 1) / all * all - next);
                text[SPAN_FOLLOWING] = '\0';
                CHECK_TEXT(s.target, text);
                following++;
            } else { /* an account ends there */
                CHECK_NUMBER(next % all, 0);
            }
        }
    }
    CHECK(following > 20);
    closed(&x);
}

static void spans_are_halved(void) {
    struct opened x = opened(0, 512);
    const struct span_lesson some = {.expand = 1, .least = 2, .most = 2, .halved = 0.5};
    const struct span_lesson twice = {.expand = 1, .least = 2, .most = 2, .halvings = 2};
    int whole = 0, halved = 0;
    for (uint64_t random = 0; random < 20; random++) {
        for (int which = 0; which < 2; which++) {
            const struct context_row row =
                row_of(&x, CORPUS_TRAINING, which == 0 ? &some : &twice, random);
            for (int64_t i = 0; i < row.sequences; i++) {
                const struct shown s = show(&row, i);
                char text[4096];
                text_of(text, s.first, s.cells);
                CHECK_TEXT(s.target, ended(text));
                CHECK(s.cells <= s.tokens << s.bucket);
                whole += which == 0 && s.bucket == 0;
                halved += which == 0 && s.bucket > 0;
                CHECK(which == 0 ? s.bucket <= 3 : s.bucket == 2);
            }
        }
    }
    CHECK(whole > 10 && halved > 10);
    closed(&x);
}

/* What cannot be halved so often is not taken for what was. */
static void halvings_that_were_not_learned_are_refused(void) {
    struct opened x = opened(0, 512);
    const struct span_lesson lesson = {.expand = 1, .least = 2, .most = 2, .halvings = 4};
    struct context_row row;
    struct error e = {0};
    CHECK_NUMBER(span_row(x.rows, CORPUS_TRAINING, &lesson, 1, &row, &e), ERR_FORMAT);
    CHECK(strstr(e.text, "halved 4 times") != NULL);
    closed(&x);
}

static void accounts_are_held_out(void) {
    struct opened x = opened(0.34, 256), same = opened(0.34, 256);
    const struct span_lesson lesson = {.expand = 1, .least = 4, .most = 4};
    const struct material_counts in = material_counts(x.material, CORPUS_TRAINING);
    const struct material_counts out = material_counts(x.material, CORPUS_HELD_OUT);
    bool held[ACCOUNTS] = {false}, learned[ACCOUNTS] = {false};
    CHECK_NUMBER(in.accounts + out.accounts, ACCOUNTS);
    CHECK(in.accounts > 0 && out.accounts > 0);
    CHECK_NUMBER(in.tokens + out.tokens, ALL);
    for (uint64_t random = 0; random < 60; random++) {
        for (int set = 0; set < CORPUS_SETS; set++) {
            const struct context_row row = row_of(&x, (enum corpus_set)set, &lesson, random);
            for (int64_t i = 0; i < row.sequences; i++) {
                const struct shown s = show(&row, i);
                bool *of = set == CORPUS_TRAINING ? learned : held;
                of[s.first / (PAGES * CELLS)] = true;
            }
        }
    }
    for (int i = 0; i < ACCOUNTS; i++) {
        CHECK(held[i] != learned[i]);
    }
    CHECK(material_hash(x.material) == material_hash(same.material));
    closed(&x);
    closed(&same);
    same = opened(0.17, 256);
    x = opened(0.34, 256);
    CHECK(material_hash(x.material) != material_hash(same.material));
    closed(&same);
    closed(&x);
}

/* Its newest tokens are. */
static void of_an_only_account_something_is_held_out(void) {
    struct history *one = NULL;
    struct material *m;
    struct error e = {0};
    CHECK_NUMBER(history_open(&one, path, "acc2", NULL, &e), 0);
    CHECK_NUMBER(material_open(&m, &one, 1, 0.1, &e), 0);
    const int64_t all = PAGES * CELLS, held = all / 10;
    CHECK_NUMBER(material_counts(m, CORPUS_TRAINING).tokens, all - held);
    CHECK_NUMBER(material_counts(m, CORPUS_HELD_OUT).tokens, held);
    const struct material_place last = material_place(m, CORPUS_TRAINING, all - held - 1);
    const struct material_place first = material_place(m, CORPUS_HELD_OUT, 0);
    CHECK_NUMBER(last.token, all - held - 1);
    CHECK_NUMBER(last.end, all - held);
    CHECK_NUMBER(first.token, all - held);
    CHECK_NUMBER(first.end, all);
    material_close(m);
    history_close(one);
}

static bool same_rows(const struct context_row *a, const struct context_row *b) {
    return a->tokens == b->tokens && a->sequences == b->sequences &&
           memcmp(a->inputs, b->inputs, (size_t)a->tokens * sizeof *a->inputs) == 0 &&
           memcmp(a->labels, b->labels, (size_t)a->tokens * sizeof *a->labels) == 0;
}

static void the_same_number_gives_the_same_row(void) {
    struct opened x = opened(0, 256), y = opened(0, 256);
    const struct span_lesson lesson = {
        .expand = 4, .least = 1, .most = 16, .continuing = 0.5, .halved = 0.5};
    int differ = 0;
    for (uint64_t random = 0; random < 20; random++) {
        const struct context_row a = row_of(&x, CORPUS_TRAINING, &lesson, random);
        const struct context_row b = row_of(&y, CORPUS_TRAINING, &lesson, random);
        CHECK(same_rows(&a, &b));
        const struct context_row c = row_of(&y, CORPUS_TRAINING, &lesson, random + 100);
        differ += !same_rows(&a, &c);
    }
    CHECK_NUMBER(differ, 20);
    closed(&x);
    closed(&y);
}

/* So that what stands before text is compared, not which text it is. */
static void rows_to_be_compared_have_the_same_targets(void) {
    struct opened x = opened(0, 512), y = opened(0, 512);
    struct span_lesson a = {.expand = 1, .least = 8, .most = 8, .continuing = 1, .alike = true};
    struct span_lesson others[3] = {a, a, a};
    others[0].expand = 8;
    others[1].before = SPAN_TEXT;
    others[2].before = SPAN_NOTHING;
    for (uint64_t random = 0; random < 10; random++) {
        const struct context_row row = row_of(&x, CORPUS_TRAINING, &a, random);
        for (int k = 0; k < 3; k++) {
            const struct context_row other = row_of(&y, CORPUS_TRAINING, &others[k], random);
            CHECK_NUMBER(other.sequences, row.sequences);
            for (int64_t i = 0; i < row.sequences && i < other.sequences; i++) {
                const struct shown s = show(&row, i), o = show(&other, i);
                char text[4096];
                CHECK_TEXT(o.target, s.target);
                text_of(text, s.first, s.cells);
                CHECK_TEXT(o.own, k == 1 && s.follows ? text : "");
                CHECK_NUMBER(o.tokens, k == 0 || !s.follows ? s.tokens : 0);
            }
        }
    }
    closed(&x);
    closed(&y);
}

/* The row has no room for them, or for more cells than memory was counted for. */
static void long_spans_are_shortened(void) {
    struct opened x = opened(0, 64);
    const struct span_lesson lesson = {.expand = 8, .least = 64, .most = 64};
    for (uint64_t random = 0; random < 20; random++) {
        const struct context_row row = row_of(&x, CORPUS_TRAINING, &lesson, random);
        const struct shown s = show(&row, 0);
        char text[4096];
        text_of(text, s.first, s.cells);
        CHECK_NUMBER(row.sequences, 1);
        CHECK(s.tokens > 1 && s.tokens * SPAN_POSITIONS <= 64);
        CHECK_TEXT(s.target, ended(text));
    }
    closed(&x);
    x = opened(0, 14); /* marks, soft tokens, and some of the text */
    const struct context_row row = row_of(&x, CORPUS_TRAINING, &lesson, 1);
    const struct shown s = show(&row, 0);
    CHECK_NUMBER(s.tokens, 1);
    CHECK(strlen(s.target) == 3 && strncmp(s.target, texts[s.first], 3) == 0);
    closed(&x);
}

/* ---- Pairs -------------------------------------------------------------------------------- */

static void pool_text(char *out, const struct span_pairs *p, int64_t i) {
    const struct context_pool *pool = &p->text.pools[i];
    for (int64_t k = 0; k < pool->count; k++) {
        *out++ = (char)p->text.pooled[pool->first + k];
    }
    *out = '\0';
}

/* The bytes of part `part` of cell `cell`: all that are in it at least in part. */
static void part_text(char *out, int cell, int part, int parts) {
    const int size = (int)strlen(texts[cell]);
    const int from = size * part / parts, to = (size * (part + 1) + parts - 1) / parts;
    snprintf(out, 16, "%.*s", to - from, texts[cell] + from);
}

static void parts_of_tokens_have_the_text_under_them(void) {
    struct opened x = opened(0, 256);
    struct error e = {0};
    for (uint64_t random = 0; random < 40; random++) {
        struct span_pairs p;
        const int64_t expand = 1 << random % 4;
        CHECK_NUMBER(span_pairs(x.rows, CORPUS_TRAINING, expand, 16, 0, random, &p, &e), 0);
        CHECK_NUMBER(p.visual.bucket, 0);
        CHECK_NUMBER(p.count, p.visual.count * expand);
        CHECK(p.visual.count <= 16 && p.text.pool_count == p.count && p.text.tokens == p.count);
        for (int64_t i = 0; i < p.count; i++) {
            char found[64], expected[64];
            const int cell = (int)p.visual.numbers[p.parts[i] / expand * STORE_DIM];
            CHECK_NUMBER(p.text.inputs[i], -1 - i);
            pool_text(found, &p, i);
            part_text(expected, cell, (int)(p.parts[i] % expand), (int)expand);
            CHECK_TEXT(found, expected);
        }
    }
    closed(&x);
}

/* Of 2^k cells each has its share of the parts, however long its text is. */
static void parts_of_halved_tokens_are_those_of_their_cells(void) {
    struct opened x = opened(0, 256);
    struct error e = {0};
    int seen = 0;
    for (uint64_t random = 0; random < 60; random++) {
        struct span_pairs p;
        CHECK_NUMBER(span_pairs(x.rows, CORPUS_TRAINING, 4, 16, 1, random, &p, &e), 0);
        const int cells = 1 << p.visual.bucket, kept = STORE_DIM >> p.visual.bucket;
        CHECK(p.visual.bucket > 0 && p.visual.count << p.visual.bucket <= 16);
        for (int64_t i = 0; i < p.count && cells <= 4; i++) {
            char found[64], expected[64];
            const int part = p.parts[i] % 4, parts = 4 / cells;
            const int cell =
                (int)p.visual.numbers[p.parts[i] / 4 * STORE_DIM + part / parts * kept];
            pool_text(found, &p, i);
            part_text(expected, cell, part % parts, parts);
            CHECK_TEXT(found, expected);
            seen++;
        }
    }
    CHECK(seen > 100);
    closed(&x);
}

/* ---- Letters ------------------------------------------------------------------------------ */

static int characters_of(const char *text) {
    int count = 0;
    for (; *text; text++) {
        count += ((unsigned char)*text & 0xC0) != 0x80;
    }
    return count;
}

/* The bytes of a text one after the other, each at the character that it is a part of. */
static void text_tokens_begin_at_characters(void) {
    struct opened x = opened(0, 256);
    struct error e = {0};
    int bytes = 0;
    for (uint64_t random = 0; random < 40; random++) {
        struct span_letters l;
        const int halvings = (int)(random % 2);
        CHECK_NUMBER(span_letters(x.rows, CORPUS_TRAINING, 16, halvings, random, &l, &e), 0);
        const int group = 1 << l.visual.bucket, kept = STORE_DIM >> l.visual.bucket;
        CHECK(l.count > 0 && l.cells == l.visual.count * group && l.visual.begins[0]);
        CHECK(halvings == 0 ? group == 1 : group > 1 && l.cells <= 16);
        int64_t next = 0;
        for (int64_t i = 0; i < l.cells; i++) {
            const int cell = (int)l.visual.numbers[i / group * STORE_DIM + i % group * kept];
            const char *text = texts[cell];
            if (l.characters[i] == 0) { /* of an odd number of tokens */
                CHECK(i % group > 0);
                continue;
            }
            CHECK_NUMBER(l.characters[i], characters_of(text));
            for (int k = 0; text[k] && next < l.count; k++, next++) {
                char before[16];
                snprintf(before, sizeof before, "%.*s", k + 1, text);
                CHECK_NUMBER(l.starts[next].id, (unsigned char)text[k]);
                CHECK_NUMBER(l.starts[next].cell, i);
                CHECK_NUMBER(l.starts[next].character, characters_of(before) - 1);
                bytes++;
            }
        }
        CHECK_NUMBER(next, l.count);
    }
    CHECK(bytes > 1000);
    closed(&x);
}

/* ---- What cannot be used ------------------------------------------------------------------ */

static void pages_of_rows_have_no_text(void) {
    char other[64];
    struct history *h = NULL;
    struct material *m;
    struct error e = {0};
    folder_new(other);
    struct store *s = store_new(other);
    put_grid(s, "a/1", 1700000000, 1, 4, 4, "i");
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
    CHECK_NUMBER(history_open(&h, other, NULL, NULL, &e), 0);
    CHECK_NUMBER(material_open(&m, &h, 1, 0.1, &e), ERR_FORMAT);
    CHECK(strstr(e.text, "set in cells") != NULL);
    history_close(h);
    folder_end(other);
}

int main(void) {
    corpus_folder_new(&folder);
    make_store();
    RUN(a_span_is_read);
    RUN(what_follows_is_foreseen);
    RUN(spans_are_halved);
    RUN(halvings_that_were_not_learned_are_refused);
    RUN(accounts_are_held_out);
    RUN(of_an_only_account_something_is_held_out);
    RUN(the_same_number_gives_the_same_row);
    RUN(rows_to_be_compared_have_the_same_targets);
    RUN(long_spans_are_shortened);
    RUN(parts_of_tokens_have_the_text_under_them);
    RUN(parts_of_halved_tokens_are_those_of_their_cells);
    RUN(text_tokens_begin_at_characters);
    RUN(pages_of_rows_have_no_text);
    history_close(history);
    folder_end(path);
    corpus_folder_end(&folder);
    return test_finish();
}
