/* reading_text.h - the characters that a reading head found, as rows of text. */
#ifndef OCC_COMPRESS_READING_TEXT_H
#define OCC_COMPRESS_READING_TEXT_H

#include "compress/reader.h"
#include "store/bytes.h"

/* A row of text; of a page in cells, all that a token's cell holds. */
struct reading_row {
    size_t start, end; /* bytes of the text, without the newline that ends a row */
    int x, y;          /* pixels: of its first character, of its top; of a cell, its corner */
    int characters;
    float confidence; /* mean of its characters, as the reading head gives it */
};
struct reading_text {
    struct bytes text; /* rows, each ended by a newline; cells, with nothing between */
    struct reading_row *rows;
    size_t row_count, row_capacity;
};
void reading_text_init(struct reading_text *t);
void reading_text_close(struct reading_text *t);
/* Characters, in order of row and column, as text in the order of reading. A page in rows: those
 * from top to bottom, and where all leave the middle free, as two columns. A page in cells: one
 * cell after another, in each its rows; where a row ends and where a cell ends means nothing. */
int reading_text_fill(struct reading_text *t, const struct alphabet *alphabet,
                      const struct reading_character *characters, size_t count,
                      const struct reading_page *page, struct error *e);

#endif
