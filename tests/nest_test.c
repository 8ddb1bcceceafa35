/* nest_test.c - nested tokens: halving keeps prefixes of cells in reading order. */
#include "store/nest.h"

#include "tests/test.h"

enum { DIM = 96, CELLS = 61, LEVELS = 4 };

/* A number that says where it is from: exact in F32. */
static float number(int64_t cell, int64_t d) {
    return (float)(1 + cell * DIM + d);
}

static void fill(float *tokens, int64_t cells) {
    for (int64_t c = 0; c < cells; c++) {
        for (int64_t d = 0; d < DIM; d++) {
            tokens[c * DIM + d] = number(c, d);
        }
    }
}

/* Halves k times. */
static int64_t halve(float *tokens, int64_t count, int k) {
    for (int i = 0; i < k; i++) {
        CHECK_NUMBER(nest_halve(tokens, &count, DIM, i, NULL), 0);
    }
    return count;
}

static void a_pair_keeps_the_first_half_of_both(void) {
    float tokens[2][4] = {{1, 2, 3, 4}, {5, 6, 7, 8}};
    static const float WANT[] = {1, 2, 5, 6};
    int64_t count = 2;
    CHECK_NUMBER(nest_halve(tokens[0], &count, 4, 0, NULL), 0);
    CHECK_NUMBER(count, 1);
    CHECK(memcmp(tokens, WANT, sizeof WANT) == 0);
}

static void the_second_halving_halves_each_segment(void) {
    float tokens[4][4] = {{1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12}, {13, 14, 15, 16}};
    static const float WANT[] = {1, 5, 9, 13};
    int64_t count = 4;
    CHECK_NUMBER(nest_halve(tokens[0], &count, 4, 0, NULL), 0);
    CHECK_NUMBER(nest_halve(tokens[0], &count, 4, 1, NULL), 0);
    CHECK_NUMBER(count, 1);
    CHECK(memcmp(tokens, WANT, sizeof WANT) == 0);
}

/* Each bucket is cut out of the page itself, whatever the steps on the way: the cells of a token
 * side by side, each with its prefix, zeros for cells that are not there. */
static void any_number_of_halvings_is_the_prefix_of_the_page(void) {
    static float tokens[CELLS * DIM];
    for (int64_t cells = 1; cells <= CELLS; cells++) {
        for (int k = 0; k <= LEVELS; k++) {
            int64_t kept = DIM >> k, wrong = 0;
            fill(tokens, cells);
            int64_t count = halve(tokens, cells, k);
            CHECK_NUMBER(count, nest_count(cells, k));
            CHECK_NUMBER(count, (cells + (1 << k) - 1) >> k);
            for (int64_t i = 0; i < count * DIM; i++) {
                int64_t cell = (i / DIM << k) + i % DIM / kept;
                wrong += tokens[i] != (cell < cells ? number(cell, i % kept) : 0);
            }
            CHECK_NUMBER(wrong, 0);
        }
    }
}

static void expansion_gives_the_page_with_its_tails_set_to_zero(void) {
    static float tokens[CELLS * DIM];
    for (int64_t cells = 1; cells <= CELLS; cells++) {
        for (int k = 0; k <= LEVELS; k++) {
            int64_t wrong = 0;
            fill(tokens, cells);
            int64_t count = halve(tokens, cells, k);
            for (int64_t i = count * DIM; i < cells * DIM; i++) {
                tokens[i] = NAN; /* nothing may depend on it */
            }
            CHECK_NUMBER(nest_expand(tokens, cells, DIM, k, NULL), 0);
            for (int64_t i = 0; i < cells * DIM; i++) {
                int64_t d = i % DIM;
                wrong += tokens[i] != (d < DIM >> k ? number(i / DIM, d) : 0);
            }
            CHECK_NUMBER(wrong, 0);
        }
    }
}

static void grids_lose_columns_first_and_hold_exactly_the_tokens(void) {
    static const int WANT[][5][2] = {
        {{16, 16}, {16, 8}, {16, 4}, {16, 2}, {16, 1}},   /* base */
        {{8, 8}, {8, 4}, {8, 2}, {8, 1}, {4, 1}},         /* tiny */
        {{20, 40}, {20, 20}, {20, 10}, {20, 5}, {10, 5}}, /* hifi */
        {{3, 8}, {3, 4}, {3, 2}, {3, 1}, {1, 2}},         /* strips */
        {{7, 5}, {1, 18}, {1, 9}, {1, 5}, {1, 3}},        {{1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
    };
    for (size_t i = 0; i < sizeof WANT / sizeof *WANT; i++) {
        for (int k = 0; k < 5; k++) {
            int rows = WANT[i][0][0], columns = WANT[i][0][1];
            nest_grid(&rows, &columns, k);
            CHECK_NUMBER(rows, WANT[i][k][0]);
            CHECK_NUMBER(columns, WANT[i][k][1]);
        }
    }
    for (int rows = 1; rows <= 20; rows++) {
        for (int columns = 1; columns <= 40; columns++) {
            for (int k = 0; k <= 6; k++) {
                int r = rows, c = columns;
                nest_grid(&r, &c, k);
                CHECK_NUMBER(r * c, nest_count((int64_t)rows * columns, k));
            }
        }
    }
}

static void what_does_not_divide_is_refused(void) {
    float tokens[2 * 6] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    int64_t count = 2;
    struct error e = {0};
    CHECK_NUMBER(nest_halve(tokens, &count, 6, 0, &e), 0);
    CHECK_NUMBER(nest_halve(tokens, &count, 6, 1, &e), ERR_USAGE);
    CHECK_TEXT(e.text, "tokens of 6 numbers cannot be halved 2 times");
    CHECK_NUMBER(nest_expand(tokens, 2, 6, 2, &e), ERR_USAGE);
    CHECK_NUMBER(nest_expand(tokens, 2, 6, -1, &e), ERR_USAGE);
    CHECK_NUMBER(nest_halve(tokens, &count, 6, NEST_LEVELS, &e), ERR_USAGE);
    CHECK_NUMBER(count, 1);
}

int main(void) {
    RUN(a_pair_keeps_the_first_half_of_both);
    RUN(the_second_halving_halves_each_segment);
    RUN(any_number_of_halvings_is_the_prefix_of_the_page);
    RUN(expansion_gives_the_page_with_its_tails_set_to_zero);
    RUN(grids_lose_columns_first_and_hold_exactly_the_tokens);
    RUN(what_does_not_divide_is_refused);
    return test_finish();
}
