/* page_image.c - see page_image.h. */
#include "compress/page_image.h"

#include <stdlib.h>
#include <string.h>

int page_image(struct image *out, const struct page *page, struct error *e) {
    size_t area = (size_t)page->width * (size_t)page->height;
    *out = (struct image){.width = page->width, .height = page->height, .rgb = malloc(area * 3)};
    if (out->rgb == NULL) {
        return error_memory(e, "a page");
    }
    for (size_t i = 0; i < area; i++) {
        memset(out->rgb + 3 * i, page->grey[i], 3);
    }
    return 0;
}
