/* page_file.h - a page as an image file: PGM (P5), PPM (P6) or PNG. */
#ifndef OCC_RENDER_PAGE_PAGE_FILE_H
#define OCC_RENDER_PAGE_PAGE_FILE_H

#include "render/page/page.h"
#include "store/bytes.h"

enum page_format { FORMAT_PGM, FORMAT_PPM, FORMAT_PNG, FORMAT_COUNT };
/* "pgm", "ppm", "png", NULL: also the suffixes. */
extern const char *const PAGE_FORMATS[FORMAT_COUNT + 1];

/* Appends the file. PGM: the grey page. PPM: RGB, from page->rgb or, where that is NULL, grey three
 * times. PNG (libpng, fast settings): RGB where page->rgb is there, else 8-bit grey. Nothing in it
 * but the pixels: the same page gives the same bytes. ERR_MEMORY, ERR_LIMIT. */
int page_file_append(struct bytes *out, const struct page *page, enum page_format format,
                     struct error *e);

#endif
