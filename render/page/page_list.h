/* page_list.h - lists of what is on a page. */
#ifndef OCC_RENDER_PAGE_PAGE_LIST_H
#define OCC_RENDER_PAGE_PAGE_LIST_H

#include <stddef.h>

#include "store/error.h"

struct page_list {
    void *items; /* owned */
    size_t count, capacity;
};

/* Room for `more` items; the item after the last one, or NULL when memory has run out. */
int page_list_reserve(struct page_list *l, size_t more, size_t size, struct error *e);
void *page_list_add(struct page_list *l, size_t size, struct error *e);

#endif
