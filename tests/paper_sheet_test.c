/* paper_sheet_test.c - the paper's table (train/paper/sheet.h): what is told of rows that are
 * known. */
#include "test.h"
#include "train/paper/sheet.h"

enum { ACCOUNTS = 4 };
static const double TARGETS[ACCOUNTS] = {100, 200, 300, 400};
static struct style_bounds styles[SHEET_ROWS][ACCOUNTS];
static double losses[SHEET_ROWS][ACCOUNTS], targets[SHEET_ROWS][ACCOUNTS], captions[SHEET_ROWS][3];

/* A row whose accounts have so much loss a token, the style of `share`, and captions of it. */
static void fill(struct sheet *t, int row, double loss, double positions, double share,
                 double bytes) {
    struct sheet_figures *f = &t->rows[row];
    *f = (struct sheet_figures){.seeds = 1,
                                .losses = losses[row],
                                .targets = targets[row],
                                .style = styles[row],
                                .captions = captions[row],
                                .caption_count = 3,
                                .positions = positions * 10,
                                .shown = 8000,
                                .posts = 10,
                                .predicted = bytes,
                                .peak = bytes * 1.05};
    for (int i = 0; i < ACCOUNTS; i++) {
        losses[row][i] = loss * TARGETS[i];
        targets[row][i] = TARGETS[i];
        for (int view = 0; view < STYLE_VIEWS; view++) {
            styles[row][i].floor[view] = 0.1;
            styles[row][i].ceiling[view] = 0.5;
            styles[row][i].own[view] = 0.1 + 0.4 * share;
        }
    }
    captions[row][0] = share - 0.1;
    captions[row][1] = share + 0.1;
    captions[row][2] = (double)NAN; /* of an account that is not ranked */
}

static void make_sheet(struct sheet *t) {
    *t = (struct sheet){.accounts = ACCOUNTS, .ranked = "kiwi", .made = "by hand"};
    fill(t, ROW_TEXT, 2.0, 800, 0.8, 1000e6);
    fill(t, ROW_TRUNCATED, 2.5, 80, 0.6, 400e6);
    fill(t, ROW_GSPF, 2.1, 800, 0.8, 900e6);
    fill(t, ROW_GSPF_TRUNCATED, 2.6, 80, 0.6, 350e6);
    fill(t, ROW_OCC, 2.3, 80, 0.79, 250e6);
    fill(t, ROW_NONE, 3.1, 0, 0.5, 200e6);
    t->levers[t->lever_count++] = (struct sheet_lever){"LoRA", 1000e6, 1100e6};
    t->levers[t->lever_count++] = (struct sheet_lever){"recomputed", 500e6, 550e6};
    t->levers[t->lever_count++] = (struct sheet_lever){"all", 150e6, (double)NAN};
    t->lever_row = 8192;
}

static void figures_are_sums_over_accounts(void) {
    struct sheet t;
    struct interval i;
    make_sheet(&t);
    CHECK_NUMBER(sheet_perplexity(&i, &t, ROW_OCC, NULL), 0);
    CHECK_NEAR(i.value, exp(2.3), 1e-9);
    CHECK_NEAR(i.high - i.low, 0, 1e-9);
    CHECK_NUMBER(sheet_beyond(&i, &t, ROW_OCC, ROW_TEXT, NULL), 0);
    CHECK_NEAR(i.value, 0.3, 1e-9);
    CHECK_NUMBER(sheet_way(&i, &t, ROW_OCC, NULL), 0);
    CHECK_NEAR(i.value, 0.8, 1e-9);
    CHECK_NUMBER(sheet_beyond(&i, &t, ROW_OCC, ROW_POOLED, NULL), 0);
    CHECK(isnan(i.value));
    CHECK_NEAR(sheet_compression(&t, ROW_OCC), 10, 1e-9);
    CHECK(isnan(sheet_compression(&t, ROW_NONE)));
    /* Accounts that differ: by pairs the difference is as certain as it is equal. */
    for (int a = 0; a < ACCOUNTS; a++) {
        losses[ROW_OCC][a] += a * 100;
        losses[ROW_TEXT][a] += a * 100;
    }
    CHECK_NUMBER(sheet_perplexity(&i, &t, ROW_OCC, NULL), 0);
    CHECK(i.high - i.low > 0.5);
    CHECK_NUMBER(sheet_beyond(&i, &t, ROW_OCC, ROW_TEXT, NULL), 0);
    CHECK_NEAR(i.value, 0.3, 1e-9);
    CHECK_NEAR(i.high - i.low, 0, 1e-9);
}

static void has(const char *text, const char *part) {
    if (!CHECK(strstr(text, part) != NULL)) {
        printf("# lacks %s\n", part);
    }
}

static void the_table_tells_of_rows_and_aims(void) {
    struct sheet t;
    struct bytes text;
    make_sheet(&t);
    bytes_init(&text, 1 << 20);
    CHECK_NUMBER(sheet_markdown(&text, &t, NULL), 0);
    const char *all = bytes_text(&text);
    has(all, "| OCC: visual, experts, GSPF | 25% (250 MB) | 25% (262 MB) | 10.0x | 80 | "
             "9.97 [9.97, 9.97] | 0.300 [0.300, 0.300] | 79 [79, 79] | 79 [69, 89] |\n");
    has(all, "| no context, GSPF | 20% (200 MB) | 20% (210 MB) | - | 0 | 22.20");
    has(all, "rows of 8192 tokens");
    has(all, "| all | 15% (150 MB) | 30% | - |\n");
    has(all, "| compression at least 9.7x | yes | 10.0x |\n");
    has(all, "| memory at most 28% of LoRA on full text | yes | 15.0% |\n");
    has(all, "| ... of recomputed LoRA | no | 30.0% |\n");
    has(all, "foresees better than LoRA, truncated text (nats a token) | yes | -0.200 [");
    has(all, "foresees better than pooled text, GSPF (nats a token) | not measured | - |\n");
    has(all, "| at least 60% of the way from no context to full text | yes | 80 [80, 80] |\n");
    has(all, "| style not below LoRA's | no | 79 [79, 79] |\n");
    has(all, "| caption score not below LoRA's | yes | 79 [69, 89] |\n");
    has(all, "    by hand\n");
    CHECK(strstr(all, "nan") == NULL && strstr(all, "pooled text, GSPF | ") == NULL);
    bytes_close(&text);
}

static void pictures_show_what_there_is(void) {
    struct sheet t, none = {.accounts = ACCOUNTS};
    struct bytes text;
    struct error e = {0};
    make_sheet(&t);
    bytes_init(&text, 1 << 20);
    CHECK_NUMBER(sheet_frontier(&text, &t, NULL), 0);
    has(bytes_text(&text), ">occ</text>");
    CHECK(strstr(bytes_text(&text), "nan") == NULL && strstr(bytes_text(&text), "pooled") == NULL);
    bytes_clear(&text);
    CHECK_NUMBER(sheet_memory(&text, &t, NULL), 0);
    has(bytes_text(&text), ">recomputed</text>");
    CHECK(strstr(bytes_text(&text), "nan") == NULL);
    CHECK_NUMBER(sheet_frontier(&text, &none, &e), ERR_FORMAT);
    CHECK_NUMBER(sheet_memory(&text, &none, &e), ERR_FORMAT);
    bytes_close(&text);
}

static void every_row_has_a_name_and_a_place(void) {
    for (int i = 0; i < SHEET_ROWS; i++) {
        CHECK_TEXT(SHEET_NAMES[i], SHEET[i].name);
        CHECK(SHEET[i].title != NULL && SHEET[i].method != NULL && SHEET[i].context != NULL);
    }
    CHECK_TEXT(SHEET_NAMES[SHEET_ROWS], "standard");
    CHECK_TEXT(SHEET_NAMES[SHEET_ROWS + 1], "memory");
    CHECK(SHEET_NAMES[SHEET_ROWS + 2] == NULL);
}

static void rows_of_experts_and_soft_tokens_are_visual(void) {
    static const bool VISUAL[SHEET_ROWS] = {
        [ROW_OCC] = true,    [ROW_MIXED] = true, [ROW_LASTING] = true, [ROW_NO_EXPERTS] = true,
        [ROW_RANDOM] = true, [ROW_SOFT2] = true, [ROW_SOFT4] = true,   [ROW_SOFT8] = true};
    for (int i = 0; i < SHEET_ROWS; i++) {
        if (!CHECK(sheet_is_visual(SHEET[i].context) == VISUAL[i])) {
            printf("# %s\n", SHEET[i].name);
        }
    }
}

int main(void) {
    RUN(figures_are_sums_over_accounts);
    RUN(the_table_tells_of_rows_and_aims);
    RUN(pictures_show_what_there_is);
    RUN(every_row_has_a_name_and_a_place);
    RUN(rows_of_experts_and_soft_tokens_are_visual);
    return test_finish();
}
