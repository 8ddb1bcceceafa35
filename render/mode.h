/* mode.h - the sizes of pages, by the names that they have in the field.
 *
 * A page is side x side pixels. The encoder cuts it into patches of PATCH x PATCH pixels and makes
 * one visual token of each cell of CELL x CELL pixels; in mode hifi its last convolution runs at
 * two column offsets, which gives twice as many columns of tokens. For every stage that knows
 * pages: nothing here needs a library. */
#ifndef OCC_RENDER_MODE_H
#define OCC_RENDER_MODE_H

#include <stdbool.h>

enum { PATCH = 16, CELL = 64 }; /* pixels: side of a patch, and of a cell */

enum page_mode { MODE_TINY, MODE_SMALL, MODE_BASE, MODE_LARGE, MODE_HIFI, MODE_GUNDAM, MODE_COUNT };

struct page_size {
    int side;           /* pixels, width and height; of gundam, the global view's */
    int column_offsets; /* at which the last convolution runs */
    bool text_columns;  /* text may be set in two columns */
};
extern const struct page_size PAGE_SIZES[MODE_COUNT];
extern const char *const MODE_NAMES[MODE_COUNT + 1]; /* ends in NULL */

/* The modes that occ render draws; the others are pictures from elsewhere. */
enum { DRAWN_TINY, DRAWN_BASE, DRAWN_HIFI, DRAWN_MODES };
extern const char *const DRAWN_MODE_NAMES[DRAWN_MODES + 1]; /* ends in NULL */

/* The mode of that name, or -1; NULL has none. */
int mode_named(const char *name);
/* The grid of visual tokens of a page, and how many they are; of gundam, of its global view. */
int mode_rows(enum page_mode mode);
int mode_columns(enum page_mode mode);
int mode_tokens(enum page_mode mode);

#endif
