/* page_image.c - see page_image.h. */
#include "compress/page_image.h"

#include <string.h>

int page_image(struct image *out, const struct page *page, struct error *e) {
    int rc = image_new(out, page->width, page->height, 1, e);
    if (rc == 0) {
        memcpy(out->pixels, page->grey, (size_t)page->height * image_stride(out));
    }
    return rc;
}
