/* cue.c - see cue.h. */
#include "ingest/cue.h"

#include <string.h>

int cue_add(struct cue_list *list, int64_t start_ms, int64_t end_ms, const char *text, size_t size,
            struct error *e) {
    while (size && strchr(" \t\r\n", text[size - 1])) {
        size--;
    }
    while (size && strchr(" \t\r\n", *text)) {
        text++;
        size--;
    }
    if (!size) {
        return 0;
    }
    void *items = list->items;
    int rc = arena_grow(list->arena, &items, list->count, &list->capacity, sizeof *list->items, e);
    if (rc < 0) {
        return rc;
    }
    list->items = items;
    char *copy = arena_text(list->arena, text, size);
    if (!copy) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    start_ms = start_ms > 0 ? start_ms : 0;
    end_ms = end_ms > start_ms ? end_ms : start_ms;
    list->items[list->count++] = (struct cue){start_ms, end_ms, copy, NULL};
    return 0;
}
