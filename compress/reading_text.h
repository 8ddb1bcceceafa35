/* reading_text.h - the characters that a reading head found, as rows of text. */
#ifndef OCC_COMPRESS_READING_TEXT_H
#define OCC_COMPRESS_READING_TEXT_H

#include "compress/reader.h"
#include "store/bytes.h"

struct reading_row {
    size_t start, end; /* bytes of the text, without the newline */
    int x, y;          /* pixels: of its first character, of its top */
    float confidence;  /* mean of its characters */
};
struct reading_text {
    struct bytes text; /* rows, each ended by a newline */
    struct reading_row *rows;
    size_t row_count, row_capacity;
};
void reading_text_init(struct reading_text *t);
void reading_text_close(struct reading_text *t);
/* Characters as rows in order of reading: a page whose rows all leave the middle free is read as
 * two columns. `width`: of the page, pixels. */
int reading_text_fill(struct reading_text *t, const struct alphabet *alphabet,
                      const struct reading_character *characters, size_t count, int width,
                      struct error *e);

#endif
