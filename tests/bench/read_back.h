/* read_back.h - reads pages again with tesseract, and says how much of the text came through.
 *
 * For benches only. Tesseract was trained on scans, so what it cannot read may still be plain to a
 * network that was trained on our pages; what it can read is legible beyond doubt. Run it with
 * OMP_THREAD_LIMIT=1 in the environment: its threads wait for each other most of the time. */
#ifndef OCC_TESTS_READ_BACK_H
#define OCC_TESTS_READ_BACK_H

#include "render/page/page.h"
#include "store/bytes.h"

/* The first page that was finished since shot_clear; give `shot_take` and the shot to a pager. */
struct shot {
    bool taken;
    int width, height, bottom; /* pixels; bottom: below the last row with text */
    bool second;               /* there is text in the right half */
    uint8_t *grey;             /* (height, width); owned */
    struct bytes text;
    struct page_counts counts;
    size_t missing; /* different characters that no font has */
};

void shot_init(struct shot *s);
void shot_close(struct shot *s);
void shot_clear(struct shot *s);
int shot_take(void *context, const struct page *page, struct error *e);

struct reader; /* opaque */

/* `language`: a language pack of tesseract. ERR_UNSUPPORTED: it is not installed. */
int reader_open(struct reader **out, const char *language, struct error *e);
void reader_close(struct reader *r); /* NULL is allowed */

/* How a page is put before the reader. With `gap`: that many white pixel rows after every `pitch`
 * ones, for rows that touch each other: our encoder knows the grid of rows, tesseract has to guess
 * it and guesses badly. */
struct view {
    int scale, pitch, gap; /* scale: times; the others in pixels of the page */
};

/* Appends what is read in the pixel columns from x0 to x1 of the shot, as one block of text. */
int reader_read(struct reader *r, const struct shot *s, int x0, int x1, struct view view,
                struct bytes *out, struct error *e);

/* 1 - edit distance / length of the truth (0 at least), in code points after NFC. Runs of white
 * space count as one space, or as nothing with `spaces` false (scripts without spaces between
 * words); characters without a shape of their own (bidi controls, joiners) as nothing; curved
 * quotes and dashes as straight ones, because tesseract exchanges them as it likes. */
int read_accuracy(const struct bytes *truth, const struct bytes *seen, bool spaces,
                  double *accuracy, struct error *e);

#endif
