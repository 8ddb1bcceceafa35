/* reading_text.c - see reading_text.h. */
#include <stdlib.h>

#include "compress/reading_text.h"
#include "store/array.h"

void reading_text_init(struct reading_text *t) {
    *t = (struct reading_text){.rows = NULL};
    bytes_init(&t->text, (size_t)64 << 20);
}

void reading_text_close(struct reading_text *t) {
    bytes_close(&t->text);
    free(t->rows);
    t->rows = NULL;
    t->row_count = t->row_capacity = 0;
}

/* ---- Rows -------------------------------------------------------------------------------- */

/* Narrower pages are never set in columns (render/page/page.h). */
enum { COLUMNS_FROM = 1024 /* pixels */, GUTTER = 8 /* half of the least */ };

/* Whether the rows with text on both sides of the middle leave it free: a quarter may
 * be misread. */
static bool has_columns(const struct reading_character *list, size_t count, int width) {
    int both = 0, across = 0;
    if (width < COLUMNS_FROM) {
        return false;
    }
    for (size_t i = 0; i < count;) {
        bool left = false, right = false, middle = false;
        int16_t row = list[i].row;
        for (; i < count && list[i].row == row; i++) {
            int x = list[i].column * READING_COLUMN + READING_COLUMN / 2;
            left = left || x < width / 2;
            right = right || x >= width / 2;
            middle = middle || (x > width / 2 - GUTTER && x < width / 2 + GUTTER);
        }
        both += left && right;
        across += left && right && middle;
    }
    return 4 * across <= both;
}

static int add_row(struct reading_text *t, struct error *e) {
    struct reading_row *rows =
        array_grow(t->rows, &t->row_capacity, t->row_count + 1, sizeof *rows, e);
    if (rows == NULL) {
        return ERR_MEMORY;
    }
    t->rows = rows;
    rows[t->row_count++] = (struct reading_row){.start = t->text.size};
    return 0;
}

/* Rows of the characters from `left` to `right`, pixels. */
static int fill_column(struct reading_text *t, const struct alphabet *alphabet,
                       const struct reading_character *list, size_t count, int left, int right,
                       struct error *e) {
    int row = -1, rc = 0, characters = 0;
    double confidence = 0;
    for (size_t i = 0; i <= count && rc == 0; i++) {
        int x = i < count ? list[i].column * READING_COLUMN : left;
        if (i < count && (x < left || x >= right)) {
            continue;
        }
        if (row >= 0 && (i == count || list[i].row != row)) {
            struct reading_row *done = &t->rows[t->row_count - 1];
            done->end = t->text.size;
            done->characters = characters;
            done->confidence = (float)(confidence / characters);
            rc = bytes_append(&t->text, "\n", 1, e);
            row = -1;
        }
        if (rc < 0 || i == count) {
            break;
        }
        if (row < 0) {
            rc = add_row(t, e);
            row = list[i].row;
            confidence = characters = 0;
            if (rc == 0) {
                t->rows[t->row_count - 1].x = x;
                t->rows[t->row_count - 1].y = row * READING_ROW;
            }
        }
        confidence += (double)list[i].confidence;
        characters++;
        if (rc == 0) {
            rc = bytes_append_text(&t->text, alphabet_text(alphabet, list[i].class_index), e);
        }
    }
    return rc;
}

static int width_of(const struct reading_page *page) {
    return page->columns / page->column_offsets * READING_STEPS * READING_STEP;
}

/* ---- Cells ------------------------------------------------------------------------------- */

/* Text of the characters of a row of cells whose middle lies in a cell `width` pixels wide. */
static int fill_cell(struct reading_text *t, const struct alphabet *alphabet,
                     const struct reading_character *list, size_t count,
                     const struct reading_row *cell, int width, struct error *e) {
    double confidence = 0;
    int rc = 0, characters = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        int x = list[i].column * READING_COLUMN + READING_COLUMN / 2;
        if (x < cell->x || x >= cell->x + width) {
            continue;
        }
        if (characters++ == 0) {
            rc = add_row(t, e);
        }
        confidence += (double)list[i].confidence;
        if (rc == 0) {
            rc = bytes_append_text(&t->text, alphabet_text(alphabet, list[i].class_index), e);
        }
    }
    if (characters > 0 && rc == 0) {
        struct reading_row *done = &t->rows[t->row_count - 1];
        done->x = cell->x;
        done->y = cell->y;
        done->end = t->text.size;
        done->characters = characters;
        done->confidence = (float)(confidence / characters);
    }
    return rc;
}

static int fill_cells(struct reading_text *t, const struct alphabet *alphabet,
                      const struct reading_character *list, size_t count,
                      const struct reading_page *page, struct error *e) {
    int width = width_of(page) / page->cell_columns, rc = 0;
    int height = page->rows * READING_ROWS * READING_ROW / page->cell_rows;
    for (size_t i = 0, end = 0; i < count && rc == 0; i = end) {
        int top = list[i].row * READING_ROW / height * height;
        while (end < count && list[end].row * READING_ROW < top + height) {
            end++;
        }
        for (int column = 0; column < page->cell_columns && rc == 0; column++) {
            struct reading_row cell = {.x = column * width, .y = top};
            rc = fill_cell(t, alphabet, list + i, end - i, &cell, width, e);
        }
    }
    return rc;
}

/* ---- A page ------------------------------------------------------------------------------ */

int reading_text_fill(struct reading_text *t, const struct alphabet *alphabet,
                      const struct reading_character *characters, size_t count,
                      const struct reading_page *page, struct error *e) {
    int width = width_of(page);
    bytes_clear(&t->text);
    t->row_count = 0;
    if (page->cell_rows > 0) {
        return fill_cells(t, alphabet, characters, count, page, e);
    }
    if (!has_columns(characters, count, width)) {
        return fill_column(t, alphabet, characters, count, 0, width, e);
    }
    int rc = fill_column(t, alphabet, characters, count, 0, width / 2, e);
    return rc == 0 ? fill_column(t, alphabet, characters, count, width / 2, width, e) : rc;
}
