/* reading_text.c - characters as rows of text, and how far two texts differ. */
#include <stdlib.h>
#include <string.h>

#include "compress/reader.h"
#include "store/utf8.h"

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

/* Whether the rows with text on both sides of the middle leave it free: a quarter may be misread.
 */
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
    if (t->row_count == t->row_capacity) {
        size_t capacity = t->row_capacity > 0 ? 2 * t->row_capacity : 256;
        struct reading_row *rows = realloc(t->rows, capacity * sizeof *rows);
        if (rows == NULL) {
            return error_set(e, ERR_MEMORY, "out of memory for rows");
        }
        t->rows = rows;
        t->row_capacity = capacity;
    }
    t->rows[t->row_count++] = (struct reading_row){.start = t->text.size};
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
        rc = rc == 0 ? bytes_append_text(&t->text, alphabet_text(alphabet, list[i].class_index), e)
                     : rc;
    }
    return rc;
}

int reading_text_fill(struct reading_text *t, const struct alphabet *alphabet,
                      const struct reading_character *characters, size_t count, int width,
                      struct error *e) {
    bytes_clear(&t->text);
    t->row_count = 0;
    if (!has_columns(characters, count, width)) {
        return fill_column(t, alphabet, characters, count, 0, width, e);
    }
    int rc = fill_column(t, alphabet, characters, count, 0, width / 2, e);
    return rc == 0 ? fill_column(t, alphabet, characters, count, width / 2, width, e) : rc;
}

/* ---- Edit distance ---------------------------------------------------------------------- */

/* Code points of a text, malloc's; NULL: no memory. */
static uint32_t *decode(const char *text, size_t size, int64_t *count) {
    uint32_t *out = malloc((size + 1) * sizeof *out);
    *count = 0;
    for (size_t at = 0; at < size && out != NULL;) {
        bool valid;
        at += utf8_decode(text + at, size - at, &out[*count], &valid);
        ++*count;
    }
    return out;
}

/* Levenshtein's distance where it is at most `band`, else anything above (Ukkonen 1985: only cells
 * less than `band` off the diagonal). line: n + 1 numbers. */
static int64_t banded(const uint32_t *a, int64_t m, const uint32_t *b, int64_t n, int64_t band,
                      int64_t *line) {
    const int64_t far = m + n + 1;
    for (int64_t j = 0; j <= n; j++) {
        line[j] = j <= band ? j : far;
    }
    for (int64_t i = 1; i <= m; i++) {
        int64_t first = i > band ? i - band : 0, last = i + band < n ? i + band : n;
        int64_t corner = first > 0 ? line[first - 1] : 0; /* above and left */
        int64_t left = far;
        if (first == 0) {
            corner = line[0];
            line[0] = left = i;
            first = 1;
        } else {
            line[first - 1] = far;
        }
        for (int64_t j = first; j <= last; j++) {
            int64_t above = j == i + band ? far : line[j];
            int64_t best = corner + (a[i - 1] != b[j - 1]);
            best = above + 1 < best ? above + 1 : best;
            best = left + 1 < best ? left + 1 : best;
            corner = line[j];
            line[j] = left = best;
        }
    }
    return line[n];
}

int reading_distance(const char *read, size_t read_size, const char *text, size_t size,
                     int64_t *distance, int64_t *length, struct error *e) {
    int64_t m, n;
    uint32_t *a = decode(read, read_size, &m), *b = decode(text, size, &n);
    int64_t *line = malloc(((size_t)size + 1) * sizeof *line);
    int rc = a != NULL && b != NULL && line != NULL ? 0 : error_set(e, ERR_MEMORY, "out of memory");
    if (rc == 0) {
        int64_t most = m > n ? m : n, difference = m > n ? m - n : n - m;
        int64_t band = difference + 16;
        *length = n;
        *distance = banded(a, m, b, n, band < most ? band : most, line);
        while (*distance > band && band < most) {
            band *= 4;
            *distance = banded(a, m, b, n, band < most ? band : most, line);
        }
    }
    free(a);
    free(b);
    free(line);
    return rc;
}

int reading_accuracy(const char *read, size_t read_size, const char *text, size_t size,
                     double *accuracy, struct error *e) {
    int64_t distance, length;
    int rc = reading_distance(read, read_size, text, size, &distance, &length, e);
    if (rc == 0) {
        double errors = (double)distance / (double)(length > 0 ? length : 1);
        *accuracy = errors < 1 ? 1 - errors : 0;
        *accuracy = length == 0 && distance == 0 ? 1 : *accuracy;
    }
    return rc;
}
