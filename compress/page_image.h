/* page_image.h - a page of the renderer as a picture for the encoder, without a file between. */
#ifndef OCC_COMPRESS_PAGE_IMAGE_H
#define OCC_COMPRESS_PAGE_IMAGE_H

#include "compress/image.h"
#include "render/page/page.h"

/* *out is the caller's to close. ERR_MEMORY. */
int page_image(struct image *out, const struct page *page, struct error *e);

#endif
