/* layout_test.c - rows of older posts and one to be foreseen: which cells they show, and how. */
#include "tests/layout_rows.h"
#include "tests/reader_file.h"

/* ---- Kinds -------------------------------------------------------------------------------- */

#define FOUR "Account: k/Caption:[ four$]"

static void older_posts_come_as_soft_tokens(void) {
    struct store *s = fresh();
    fill(s);
    end(s);
    struct layout_options o = options_of(CONTEXT_VISUAL);
    check_row(&o, "k/1", "Account: k/Caption:[ one$]");
    check_row(&o, "k/2", "<page><0>(10)-(11)<end>Account: k/Caption:[ two$]");
    check_row(&o, "k/4", "<page><0>(10)-(11)-(12)-(13)-(14)<page>(20)-(21)<end>" FOUR);
    o.expand = 2;
    check_row(&o, "k/4", "<page><0>(10)+-(11)+-(12)+-(13)+-(14)+<page>(20)+-(21)+<end>" FOUR);
}

static void a_run_ends_where_cells_are_left_out(void) {
    struct store *s = fresh();
    static const struct cell CELLS[] = {{"k/1", "aa"}, {"k/1", "bb"}, {"k/1", ""},
                                        {"k/1", "cc"}, {"k/1", "dd"}, {"k/1", "ee"}};
    put_post(s, "k/2", NOON + 40 * DAY, "k", "two");
    put_cells(s, &(struct cell_page){.key = "k/1",
                                     .json = "{}",
                                     .created = NOON,
                                     .cells = CELLS,
                                     .count = 6,
                                     .first = 10,
                                     .codec = CODEC_INT8});
    end(s);
    struct layout_options o = options_of(CONTEXT_VISUAL);
    check_row(&o, "k/2", "<page><0>(10)-(11)(13)-(14)-(15)<end>Account: k/Caption:[ two$]");
    o.tau_seconds = 30 * DAY;
    check_row(&o, "k/2", "<page><1>(10|11)(13|14)-(15|0)<end>Account: k/Caption:[ two$]");
}

static void other_kinds_show_the_same_cells(void) {
    struct store *s = fresh();
    fill(s);
    end(s);
    struct layout_options o = options_of(CONTEXT_NONE);
    check_row(&o, "k/4", FOUR);
    o.kind = CONTEXT_TEXT;
    check_row(&o, "k/4", "aaaabb/ccccd 12,50!e/ffffgg/" FOUR);
    check_row(&o, "k/1", "Account: k/Caption:[ one$]");
    o.kind = CONTEXT_TRUNCATED; /* 11 positions */
    check_row(&o, "k/4", "0!e/ffffgg/" FOUR);
    o.kind = CONTEXT_POOLED;
    check_row(&o, "k/4", "//(aaaa)(bb)(cccc)(d 12,50)(!e)/(ffff)(gg)/" FOUR);
    o.expand = 4;
    check_row(&o, "k/2", "//(a)(a)(a)(a)(b)(b)(b)(b)/Account: k/Caption:[ two$]");
    o.row = 29; /* the newest of what fits */
    o.positions = 5;
    o.expand = 1;
    o.kind = CONTEXT_TEXT;
    check_row(&o, "k/4", "ffgg/" FOUR);
}

static void what_does_not_fit_is_the_oldest(void) {
    struct layout_options o = options_of(CONTEXT_VISUAL);
    o.positions = 11;
    check_row(&o, "k/4", "<page><0>(10)-(11)-(12)-(13)-(14)<page>(20)-(21)<end>" FOUR);
    o.positions = 10;
    check_row(&o, "k/4", "<page><0>(11)-(12)-(13)-(14)<page>(20)-(21)<end>" FOUR);
    o.positions = 7;
    check_row(&o, "k/4", "<page><0>(14)<page>(20)-(21)<end>" FOUR);
    o.positions = 6;
    check_row(&o, "k/4", "<page><0>(20)-(21)<end>" FOUR);
    o.positions = 4;
    check_row(&o, "k/4", "<page><0>(21)<end>" FOUR);
    o.positions = 3;
    check_row(&o, "k/4", FOUR);
    o.positions = 0;
    check_row(&o, "k/4", FOUR);
}

static void older_ones_are_halved_at_the_time_of_the_target(void) {
    struct layout_options o = options_of(CONTEXT_VISUAL);
    o.tau_seconds = 30 * DAY;
    check_row(&o, "k/2", "<page><0>(10)-(11)<end>Account: k/Caption:[ two$]");
    check_row(&o, "k/4", "<page><2>(10|11|12|13)-(14|0|0|0)<page>(20|21|0|0)<end>" FOUR);
    o.tau_seconds = 1; /* no more often than was learned */
    check_row(&o, "k/4", "<page><3>(10|11|12|13|14|0|0|0)<page>(20|21|0|0|0|0|0|0)<end>" FOUR);
    o.tau_seconds = 97 * DAY + DAY / 2; /* a page in two ages */
    check_row(&o, "k/4", "<page><1>(10|11)-(12|13)-(14|0)<page><0>(20)-(21)<end>" FOUR);
    o.positions = 8; /* only whole tokens */
    check_row(&o, "k/4", "<page><1>(13|14)<page><0>(20)-(21)<end>" FOUR);
    o.kind = CONTEXT_POOLED;
    o.positions = 100;
    check_row(&o, "k/4", "//(aaaabb)(ccccd 12,50)(!e)//(ffff)(gg)/" FOUR);
    o.kind = CONTEXT_TRUNCATED;
    check_row(&o, "k/4", "!e/ffffgg/" FOUR);
}

static void the_newest_may_stay_text(void) {
    struct layout_options o = options_of(CONTEXT_VISUAL);
    o.newest = 10;
    check_row(&o, "k/4", "<page><0>(10)-(11)-(12)-(13)<text>!e/ffffgg/<end>" FOUR);
    o.newest = 6; /* whole cells */
    check_row(&o, "k/4", "<page><0>(10)-(11)-(12)-(13)-(14)<page>(20)<text>gg/<end>" FOUR);
    o.newest = 1000; /* but no more than the budget */
    o.positions = 14;
    check_row(&o, "k/4", "<text>!e/ffffgg/<end>" FOUR);
    o.kind = CONTEXT_POOLED;
    check_row(&o, "k/4", "/!e/ffffgg//" FOUR);
}

static void facts_of_what_was_halved_stay(void) {
    struct layout_options o = options_of(CONTEXT_VISUAL);
    o.tau_seconds = 30 * DAY;
    o.facts = 10;
    check_row(&o, "k/4", "<page><2>(10|11|12|13)-(14|0|0|0) 12,50<page>(20|21|0|0)<end>" FOUR);
    o.facts = 5; /* all of a stretch, or none */
    check_row(&o, "k/4", "<page><2>(10|11|12|13)-(14|0|0|0)<page>(20|21|0|0)<end>" FOUR);
    o.facts = 10;
    o.positions = 8;
    check_row(&o, "k/4", "<page><2>(10|11|12|13)-(14|0|0|0)<page>(20|21|0|0)<end>" FOUR);
    o.tau_seconds = 0; /* nothing is halved */
    o.positions = 100;
    check_row(&o, "k/4", "<page><0>(10)-(11)-(12)-(13)-(14)<page>(20)-(21)<end>" FOUR);
}

static void a_begin_token_stands_before_all(void) {
    static const char BEGINS[] =
        "{\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": "
        "{\"id\": \"<|begin|>\", \"type_id\": 0}}, {\"Sequence\": {\"id\": "
        "\"A\", \"type_id\": 0}}], \"special_tokens\": {\"<|begin|>\": "
        "{\"id\": \"<|begin|>\", \"ids\": [257], \"tokens\": "
        "[\"<|begin|>\"]}}}";
    write_tokenizer(&folder, BEGINS);
    struct layout_options o = options_of(CONTEXT_VISUAL);
    check_row(&o, "k/2", "^<page><0>(10)-(11)<end>Account: k/Caption:[ two$]");
    check_row(&o, "k/1", "^Account: k/Caption:[ one$]");
    write_tokenizer(&folder, "null");
}

/* ---- Time --------------------------------------------------------------------------------- */

static void posts_without_a_date_are_older_than_all(void) {
    struct store *s = fresh();
    put_alone(s, "k/u", STORE_UNDATED, "k", 1);
    put_alone(s, "k/v", STORE_UNDATED, "k", 2);
    put_alone(s, "k/a", NOON, "k", 3);
    put_alone(s, "k/b", NOON, "k", 4);
    put_alone(s, "k/c", NOON + 400 * DAY, "k", 5);
    end(s);
    struct layout_options o = options_of(CONTEXT_VISUAL);
    o.tau_seconds = 30 * DAY; /* they have no age */
    check_row(&o, "k/u", "Account: k/Caption:[ t$]");
    check_row(&o, "k/v", "Account: k/Caption:[ t$]");
    check_row(&o, "k/a", "<page><0>(1)<page>(2)<end>Account: k/Caption:[ t$]");
    check_row(&o, "k/b", "<page><0>(1)<page>(2)<end>Account: k/Caption:[ t$]");
    check_row(&o, "k/c",
              "<page><0>(1)<page>(2)<page><3>(3|0|0|0|0|0|0|0)<page>(4|0|0|0|0|0|0|0)<end>"
              "Account: k/Caption:[ t$]");
}

static void a_style_is_shown_after_what_was_folded(void) {
    struct store *s = fresh();
    struct forget_options f = FORGET_DEFAULTS;
    struct forget_result result;
    fill(s);
    put_alone(s, "k/0", NOON + 2 * DAY, "k", 1);
    char pinned[] = "k/0", *pins[] = {pinned};
    CHECK_NUMBER(store_pin(s, pins, 1, true, NULL), 0);
    put_alone(s, "k/5", NOON + 4000LL * DAY, "k", 2);
    put_alone(s, "k/6", NOON + 4001LL * DAY, "k", 3);
    f.now = NOON + 4001LL * DAY;
    f.shrink = &FORGET_NEST;
    CHECK_NUMBER(forget_run(s, &f, NULL, &result, NULL), 0);
    CHECK(result.folded == 2);
    store_close(s);
    struct layout_options o = options_of(CONTEXT_VISUAL);
    check_row(&o, "k/0", "Account: k/Caption:[ t$]"); /* which was there before the style's last */
    o.expand = 2;
    /* 17 is the mean of two pages, of the means of their tokens */
    check_row(&o, "k/6", "<style>(17)+<page><0>(1)+<page>(2)+<end>Account: k/Caption:[ t$]");
    o.positions = 8;
    check_row(&o, "k/6", "<style>(17)+<page><0>(2)+<end>Account: k/Caption:[ t$]");
    o.positions = 3;
    check_row(&o, "k/6", "Account: k/Caption:[ t$]");
    o.positions = 100;
    o.kind = CONTEXT_POOLED; /* nothing stands for a style */
    check_row(&o, "k/6", "//(x)(y)/(x)(y)/Account: k/Caption:[ t$]");
}

/* The post of an account that put_random made so. */
static void check_older(const struct history_account *account, long number,
                        const struct history_post *target) {
    char key[48];
    size_t i = 0;
    snprintf(key, sizeof key, "%s/%ld", account->name, number * 3 + account->name[0] - 'p');
    while (i < account->post_count && strcmp(account->posts[i].key, key) != 0) {
        i++;
    }
    CHECK(i < account->post_count && account->posts[i].created < target->created);
}

/* All that a row shows of posts is older than its target; how many tokens were looked at. */
static int check_past(const char *row, const struct history_account *account,
                      const struct history_post *target) {
    static const char STYLE[] = "<style>(";
    const char *end = strstr(row, "Account:");
    int tokens = 0;
    if (strncmp(row, STYLE, sizeof STYLE - 1) == 0) { /* a mean of many */
        CHECK(account->folded > 0 && account->folded < target->created);
        row = strchr(row, ')');
    }
    for (const char *at = row; at < end; at++) {
        bool number = (*at == '(' || *at == '|') && at[1] >= '0' && at[1] <= '9';
        if (*at >= 'A' && *at <= 'T') {
            check_older(account, *at - 'A', target);
        } else if (number && at[1] != '0') { /* 0: the last of an odd number has no neighbour */
            check_older(account, strtol(at + 1, NULL, 10) - 1, target);
            tokens++;
        }
    }
    return tokens;
}

static void check_rows(const struct opened *x, enum context_kind kind, enum corpus_set set) {
    struct context_row row;
    int64_t context = 0, shown_text = 0, targets = 0, longest = 0, tokens = 0;
    const struct layout_counts n = layout_counts(x->l, set);
    for (int64_t i = 0; i < n.rows; i++) {
        const struct history_account *account;
        const struct history_post *post;
        CHECK_NUMBER(layout_row(x->l, x->space, set, 0, i, &row, NULL), 0);
        layout_target(x->l, set, 0, i, &account, &post);
        const struct layout_spent spent = layout_spent(x->space);
        const char *text = shown(&row);
        tokens += check_past(text, account, post);
        char prompt[64];
        snprintf(prompt, sizeof prompt, "Account: %s/Caption:[ %.*s$]", account->title,
                 (int)post->caption_size, post->caption);
        CHECK(strstr(text, prompt) != NULL);
        int64_t positions = spent.marks + spent.soft + spent.pooled + spent.text + spent.facts;
        CHECK_NUMBER(positions + spent.prompt + row.targets - 1, row.tokens);
        CHECK(kind == CONTEXT_TEXT || positions <= 30);
        context += positions;
        shown_text += spent.shown;
        targets += row.targets;
        longest = row.tokens > longest ? row.tokens : longest;
    }
    CHECK(kind == CONTEXT_VISUAL ? tokens > n.rows : tokens == 0);
    CHECK_NUMBER(context, n.context);
    CHECK_NUMBER(shown_text, n.shown);
    CHECK_NUMBER(targets, n.targets);
    CHECK_NUMBER(longest, n.longest);
}

/* Of every third store the older pages are halved, and the oldest folded. */
static bool put_some(uint64_t seed) {
    struct forget_options f = {
        .now = NOON + 400 * DAY, .tau = 30 * DAY, .buckets = 2, .shrink = &FORGET_NEST};
    struct forget_result result;
    struct store *s = fresh();
    put_random(s, seed);
    if (seed % 3 == 1) {
        CHECK_NUMBER(forget_run(s, &f, NULL, &result, NULL), 0);
        CHECK(result.shrunk > 5 && result.folded > 2);
    }
    end(s);
    return seed % 3 == 1;
}

/* What all kinds have in common; *visual: of CONTEXT_VISUAL. */
static void check_counts(const struct opened *x, enum context_kind kind, bool forgot,
                         struct layout_counts visual[CORPUS_SETS]) {
    for (int set = 0; set < CORPUS_SETS; set++) {
        const struct layout_counts n = layout_counts(x->l, (enum corpus_set)set);
        struct layout_counts *v = &visual[set];
        check_rows(x, kind, (enum corpus_set)set);
        CHECK(kind == CONTEXT_NONE || (n.rows == v->rows && n.targets == v->targets));
        if (kind == CONTEXT_NONE || kind == CONTEXT_VISUAL) {
            *v = n;
        }
        /* where nothing stands for a style there are positions left over */
        CHECK(kind != CONTEXT_POOLED || n.context == v->context ||
              (forgot && n.context < v->context));
        CHECK(kind != CONTEXT_POOLED || n.shown == v->shown);
        CHECK(kind != CONTEXT_TEXT || n.shown == v->shown);
        CHECK(kind != CONTEXT_TRUNCATED || n.context <= v->context);
    }
    CHECK(visual[CORPUS_TRAINING].rows > (forgot ? 20 : 40) && visual[CORPUS_HELD_OUT].rows > 5);
}

static void nothing_newer_is_ever_shown(void) {
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct layout_counts visual[CORPUS_SETS] = {{0}};
        const bool forgot = put_some(seed);
        for (int kind = CONTEXT_NONE; kind <= CONTEXT_POOLED; kind++) {
            struct layout_options o = options_of((enum context_kind)kind);
            o.positions = 30;
            o.row = 500;
            o.target = 60;
            o.held_out = 0.2;
            o.expand = seed % 2 == 0 ? 1 : 2;
            o.tau_seconds = seed % 3 == 0 ? 0 : 20 * DAY;
            o.newest = seed > 3 ? 8 : 0;
            struct opened x = opened(&o);
            check_counts(&x, (enum context_kind)kind, forgot, visual);
            closed(&x);
        }
    }
}

/* ---- What does not go --------------------------------------------------------------------- */

static void what_does_not_fit_together_is_refused(void) {
    const char *text;
    struct store *s = fresh();
    fill(s);
    end(s);
    struct layout_options o = options_of(CONTEXT_VISUAL);
    o.positions = 399;
    CHECK_NUMBER(refused(&o, &text), ERR_USAGE);
    CHECK(strstr(text, "no room for contexts of 399") != NULL);
    o.positions = 100;
    o.target = 350;
    CHECK_NUMBER(refused(&o, &text), ERR_USAGE);
    o = options_of(CONTEXT_VISUAL);
    o.expand = 9;
    CHECK_NUMBER(refused(&o, &text), ERR_USAGE);
    o = options_of(CONTEXT_VISUAL);
    o.held_out = 1;
    CHECK_NUMBER(refused(&o, &text), ERR_USAGE);
    o = options_of(CONTEXT_READ);
    CHECK_NUMBER(refused(&o, &text), ERR_USAGE);
}

static void stores_of_rows_have_visual_contexts_alone(void) {
    const char *text;
    struct store *s = fresh();
    put_grid(s, "k/1", NOON, 1, 1, 3, "i");
    put_post(s, "k/2", NOON + 1, "k", "two");
    end(s);
    struct layout_options o = options_of(CONTEXT_VISUAL);
    check_row(&o, "k/2", "<page><0>(0)-(1)-(2)<end>Account: k/Caption:[ two$]");
    for (int kind = CONTEXT_TEXT; kind <= CONTEXT_POOLED; kind++) {
        o.kind = (enum context_kind)kind;
        CHECK_NUMBER(refused(&o, &text), ERR_UNSUPPORTED);
        CHECK(strstr(text, "k/1 page 0") != NULL && strstr(text, CONTEXT_KIND_NAMES[kind]) != NULL);
    }
    o.kind = CONTEXT_VISUAL;
    o.newest = 10;
    CHECK_NUMBER(refused(&o, &text), ERR_UNSUPPORTED);
}

static void means_of_tokens_are_refused(void) {
    const char *text;
    struct forget_options f = FORGET_DEFAULTS;
    struct forget_result result;
    folder_remove(store_path);
    struct store *s = store_new(store_path);
    put_grid(s, "k/1", NOON, 1, 2, 2, "i");
    put_post(s, "k/2", NOON + 1, "k", "two");
    f.now = NOON + 40 * DAY;
    CHECK_NUMBER(forget_run(s, &f, NULL, &result, NULL), 0);
    CHECK_NUMBER(result.shrunk, 1);
    store_close(s);
    struct layout_options o = options_of(CONTEXT_VISUAL);
    CHECK_NUMBER(refused(&o, &text), ERR_UNSUPPORTED);
    CHECK(strstr(text, "k/1 page 0: was halved by 'pool'") != NULL);
    o.kind = CONTEXT_NONE;
    check_row(&o, "k/2", "Account: k/Caption:[ two$]");
}

/* ---- To write something ------------------------------------------------------------------- */

static void prompts_have_a_history_of_any_account(void) {
    struct store *s = fresh();
    struct context_row row;
    struct error e = {0};
    fill(s);
    put_alone(s, "other/1", NOON + DAY, "The other", 70);
    end(s);
    struct layout_options o = options_of(CONTEXT_VISUAL);
    struct opened x = opened(&o);
    const struct history_account *k = history_find(x.h, "k"), *other = history_find(x.h, "other");
    CHECK_NUMBER(layout_prompt(x.l, x.space, k, NULL, NOON + 4 * DAY, false, &row, &e), 0);
    CHECK_TEXT(shown(&row),
               "<page><0>(10)-(11)-(12)-(13)-(14)<page>(20)-(21)<end>Account: k/Caption:");
    CHECK(layout_spent(x.space).prompt == 19 && layout_spent(x.space).visual == 7);
    CHECK_NUMBER(layout_prompt(x.l, x.space, k, other, NOON + 4 * DAY, true, &row, &e), 0);
    CHECK_TEXT(shown(&row), "<page><0>(70)<end>Account: k/Script:");
    CHECK_NUMBER(layout_prompt(x.l, x.space, other, NULL, NOON, false, &row, &e), 0);
    CHECK_TEXT(shown(&row), "Account: The other/Caption:");
    closed(&x);
    o.row = 25;
    o.positions = 7;
    x = opened(&o);
    CHECK_NUMBER(layout_prompt(x.l, x.space, history_find(x.h, "k"), NULL, NOON, false, &row, &e),
                 ERR_LIMIT);
    closed(&x);
}

/* ---- What is read ------------------------------------------------------------------------- */

static void what_is_read_stands_in_the_place_of_text(void) {
    static const double PRESENT[] = {1 - 1e-9, 1e-9, 1e-9, 1e-9};
    const struct reader_file file = {.dim = STORE_DIM, .presence = PRESENT};
    struct reader *reader = reader_of(path_in(&folder, "reader.safetensors"), &file);
    struct store *s = fresh();
    fill(s);
    end(s);
    struct layout_options o = options_of(CONTEXT_READ);
    o.reader = reader;
    o.row = 4000;
    struct opened x = opened(&o);
    char *row = strdup(row_of(&x, "k/4"));
    CHECK(layout_counts(x.l, CORPUS_TRAINING).longest == 4000);
    /* something of each cell, a newline behind each stretch, then the prompt */
    char *prompt = strstr(row, FOUR);
    int newlines = 0;
    for (char *c = row; c < prompt; c++) {
        newlines += *c == '/';
    }
    CHECK(prompt != NULL && newlines == 2 && prompt - row > 7);
    CHECK_TEXT(row_of(&x, "k/1"), "Account: k/Caption:[ one$]");
    closed(&x);
    o.row = 130; /* the newest of it */
    o.positions = 100;
    x = opened(&o);
    const char *cut = row_of(&x, "k/4");
    CHECK(strlen(cut) < strlen(row) && strcmp(cut, row + (strlen(row) - strlen(cut))) == 0);
    closed(&x);
    free(row);
    reader_close(reader);
}

int main(void) {
    corpus_folder_new(&folder);
    folder_new(store_path);
    RUN(older_posts_come_as_soft_tokens);
    RUN(a_run_ends_where_cells_are_left_out);
    RUN(other_kinds_show_the_same_cells);
    RUN(what_does_not_fit_is_the_oldest);
    RUN(older_ones_are_halved_at_the_time_of_the_target);
    RUN(the_newest_may_stay_text);
    RUN(facts_of_what_was_halved_stay);
    RUN(a_begin_token_stands_before_all);
    RUN(posts_without_a_date_are_older_than_all);
    RUN(a_style_is_shown_after_what_was_folded);
    RUN(nothing_newer_is_ever_shown);
    RUN(what_does_not_fit_together_is_refused);
    RUN(stores_of_rows_have_visual_contexts_alone);
    RUN(means_of_tokens_are_refused);
    RUN(prompts_have_a_history_of_any_account);
    RUN(what_is_read_stands_in_the_place_of_text);
    folder_end(store_path);
    corpus_folder_end(&folder);
    return test_finish();
}
