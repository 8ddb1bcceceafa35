/* alignment.c - see alignment.h. */
#include "train/fidelity/alignment.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { WORD = 64, BLOCK = 256 /* columns */ };

/* 64 rows of a column: where the distance grows by one from row to row, and where it falls. */
struct rows {
    uint64_t up, down;
};

/* A row is a character of the reading, a column one of the text. */
struct grid {
    const uint32_t *text, *read;
    size_t columns, height, words;
    const uint32_t *letters; /* of the reading, sorted, each once */
    size_t letter_count;
    const uint64_t *masks; /* (letter_count, words): in which rows a letter stands */
};

/* ---- The table --------------------------------------------------------------------------- */

static int compare_letters(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static size_t find_letter(const struct grid *g, uint32_t letter) {
    size_t low = 0, high = g->letter_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (g->letters[middle] < letter) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < g->letter_count && g->letters[low] == letter ? low : SIZE_MAX;
}

static int index_letters(struct alignment *a, struct grid *g, struct error *e) {
    int rc = buffer_reserve(&a->letters, g->height + 1, sizeof(uint32_t), e);
    if (rc < 0) {
        return rc;
    }
    uint32_t *letters = a->letters.data;
    memcpy(letters, g->read, g->height * sizeof *letters);
    qsort(letters, g->height, sizeof *letters, compare_letters);
    size_t count = 0;
    for (size_t i = 0; i < g->height; i++) {
        if (count == 0 || letters[count - 1] != letters[i]) {
            letters[count++] = letters[i];
        }
    }
    g->letters = letters;
    g->letter_count = count;
    rc = buffer_reserve(&a->masks, count * g->words + 1, sizeof(uint64_t), e);
    if (rc < 0) {
        return rc;
    }
    uint64_t *masks = a->masks.data;
    memset(masks, 0, count * g->words * sizeof *masks);
    for (size_t i = 0; i < g->height; i++) {
        masks[find_letter(g, g->read[i]) * g->words + i / WORD] |= UINT64_C(1) << i % WORD;
    }
    g->masks = masks;
    return 0;
}

/* The column after `from`, of the character `letter`. The row above the first grows by one from
 * column to column. */
static void next_column(const struct grid *g, const struct rows *from, struct rows *to,
                        uint32_t letter) {
    size_t index = find_letter(g, letter);
    uint64_t grows = 1, falls = 0; /* from the column before, in the row above */
    for (size_t w = 0; w < g->words; w++) {
        uint64_t up = from[w].up, down = from[w].down;
        uint64_t equal = (index != SIZE_MAX ? g->masks[index * g->words + w] : 0) | falls;
        uint64_t diagonal = (((equal & up) + up) ^ up) | equal | down;
        uint64_t right = down | ~(diagonal | up), left = diagonal & up;
        uint64_t next_grows = right >> (WORD - 1), next_falls = left >> (WORD - 1);
        right = right << 1 | grows;
        left = left << 1 | falls;
        to[w] = (struct rows){.up = left | ~(diagonal | right), .down = right & diagonal};
        grows = next_grows;
        falls = next_falls;
    }
}

/* ---- The way back ------------------------------------------------------------------------ */

static bool is_set(uint64_t bits, size_t row) {
    return bits >> row % WORD & 1;
}

/* Goes back from column *j (a number of characters, as *i) to the first of the block, whose columns
 * from `first` on are in `block`. */
static void trace(const struct grid *g, const struct rows *block, size_t first, size_t *i,
                  size_t *j, struct alignment *a, int32_t *to) {
    while (*j > first) {
        size_t row = *i - 1, word = row / WORD;
        const struct rows *column = block + (*j - first) * g->words;
        if (*i > 0 && g->read[row] == g->text[*j - 1]) {
            to[--*j] = (int32_t)row;
            --*i;
        } else if (*i > 0 && is_set(column[word].up, row)) { /* added by the reading */
            a->distance++;
            --*i;
        } else { /* left out, or changed: unless the distance falls in the column before */
            bool left_out = *i == 0 || is_set((column - g->words)[word].down, row);
            a->distance++;
            to[--*j] = -1;
            *i -= !left_out;
        }
    }
}

static int align(struct alignment *a, const struct grid *g, struct error *e) {
    size_t blocks = g->columns / BLOCK + 1;
    int rc = buffer_reserve(&a->state, blocks * g->words + 1, sizeof(struct rows), e);
    if (rc == 0) {
        rc = buffer_reserve(&a->block, (BLOCK + 1) * g->words + 1, sizeof(struct rows), e);
    }
    if (rc < 0) {
        return rc;
    }
    struct rows *state = a->state.data, *block = a->block.data;
    for (size_t w = 0; w < g->words; w++) {
        state[w] = (struct rows){.up = UINT64_MAX};
    }
    for (size_t b = 1; b < blocks; b++) {
        struct rows *to = state + b * g->words;
        memcpy(to, to - g->words, g->words * sizeof *to);
        for (size_t j = (b - 1) * BLOCK; j < b * BLOCK; j++) {
            next_column(g, to, to, g->text[j]);
        }
    }
    size_t i = g->height, j = g->columns;
    for (size_t b = blocks; b-- > 0;) {
        memcpy(block, state + b * g->words, g->words * sizeof *block);
        for (size_t c = b * BLOCK; c < j; c++) {
            struct rows *to = block + (c - b * BLOCK + 1) * g->words;
            next_column(g, to - g->words, to, g->text[c]);
        }
        trace(g, block, b * BLOCK, &i, &j, a, a->places.data);
    }
    a->distance += (int64_t)i;
    return 0;
}

int alignment_make(struct alignment *a, const uint32_t *text, size_t size, const uint32_t *read,
                   size_t read_size, struct error *e) {
    struct grid g = {.text = text,
                     .read = read,
                     .columns = size,
                     .height = read_size,
                     .words = (read_size + WORD - 1) / WORD};
    if (size > INT32_MAX || read_size > INT32_MAX) {
        return error_set(e, ERR_LIMIT, "a text of %zu characters", size);
    }
    a->distance = 0;
    int rc = buffer_reserve(&a->places, size + 1, sizeof(int32_t), e);
    if (rc == 0) {
        rc = index_letters(a, &g, e);
    }
    if (rc == 0) {
        rc = align(a, &g, e);
    }
    a->to = a->places.data;
    return rc;
}

void alignment_close(struct alignment *a) {
    buffer_free(&a->places);
    buffer_free(&a->letters);
    buffer_free(&a->masks);
    buffer_free(&a->state);
    buffer_free(&a->block);
}
