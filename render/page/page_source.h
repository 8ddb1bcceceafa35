/* page_source.h - what the source numbers of boxes stand for. */
#ifndef OCC_RENDER_PAGE_PAGE_SOURCE_H
#define OCC_RENDER_PAGE_PAGE_SOURCE_H

#include <stddef.h>

#include "store/arena.h"

/* Where a source number points: a JSON string (RFC 6901 pointer) of a member, or a whole member
 * that is a picture (pointer NULL). */
struct page_source {
    const char *key;     /* of the sample */
    const char *member;  /* "script.json" */
    const char *pointer; /* "/3/text" */
};

/* The sources of the pages being made: number n is item n - 1. Owned by the table's arena; cleared
 * by the caller between jobs. */
struct page_sources {
    struct arena *arena;
    struct page_source *items;
    size_t count, capacity;
};

#endif
