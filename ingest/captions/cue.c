/* cue.c - see cue.h. */
#include "ingest/captions/cue.h"

#include <stdlib.h>
#include <string.h>

#include "store/utf8.h"

/* Silence begins at `time_ms`: that ends the last cue, or all that began with it. */
static void end_untimed(struct cue_list *list, int64_t time_ms) {
    const struct cue *last = list->count > 0 ? &list->items[list->count - 1] : NULL;
    for (size_t i = list->count; i > 0 && last->start_ms < time_ms; i--) {
        struct cue *cue = &list->items[i - 1];
        if (cue->start_ms != last->start_ms || cue->end_ms > cue->start_ms) {
            return;
        }
        int64_t longest = cue->start_ms + CUE_UNTIMED_MS;
        cue->end_ms = time_ms < longest ? time_ms : longest;
    }
}

int cue_add(struct cue_list *list, int64_t start_ms, int64_t end_ms, const char *text, size_t size,
            struct error *e) {
    while (size && strchr(" \t\r\n", text[size - 1]) != NULL) {
        size--;
    }
    while (size && strchr(" \t\r\n", *text) != NULL) {
        text++;
        size--;
    }
    if (!size) {
        end_untimed(list, start_ms);
        return 0;
    }
    void *items = list->items;
    int rc = arena_grow(list->arena, &items, list->count, &list->capacity, sizeof *list->items, e);
    if (rc < 0) {
        return rc;
    }
    list->items = items;
    char *copy = arena_text(list->arena, text, size);
    if (copy == NULL) {
        return error_memory(e, NULL);
    }
    start_ms = start_ms > 0 ? start_ms : 0;
    end_ms = end_ms > start_ms ? end_ms : start_ms;
    list->items[list->count++] = (struct cue){start_ms, end_ms, copy, NULL};
    return 0;
}

int cue_name_speaker(struct cue_list *list, size_t first, const char *name, size_t size,
                     struct error *e) {
    size = size > CUE_SPEAKER_BYTES ? utf8_floor(name, CUE_SPEAKER_BYTES) : size;
    while (size > 0 && (unsigned char)name[size - 1] <= ' ') { /* the cut may have left one */
        size--;
    }
    if (size == 0 || first == list->count) {
        return 0;
    }
    char *copy = arena_text(list->arena, name, size);
    if (copy == NULL) {
        return error_memory(e, NULL);
    }
    for (char *p = copy; *p; p++) {
        *p = *p == '\n' ? ' ' : *p;
    }
    for (size_t i = first; i < list->count; i++) {
        list->items[i].speaker = copy;
    }
    return 0;
}

struct ranked_cue {
    struct cue cue;
    size_t place;
};

static int compare_ranked(const void *a, const void *b) {
    const struct ranked_cue *x = a, *y = b;
    if (x->cue.start_ms != y->cue.start_ms) {
        return x->cue.start_ms < y->cue.start_ms ? -1 : 1;
    }
    return (x->place > y->place) - (x->place < y->place);
}

static int sort(struct cue *items, size_t count, struct error *e) {
    struct ranked_cue *placed = calloc(count, sizeof *placed);
    if (placed == NULL) {
        return error_memory(e, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        placed[i] = (struct ranked_cue){items[i], i};
    }
    qsort(placed, count, sizeof *placed, compare_ranked);
    for (size_t i = 0; i < count; i++) {
        items[i] = placed[i].cue;
    }
    free(placed);
    return 0;
}

int cue_list_settle(struct cue_list *list, size_t first, struct error *e) {
    bool in_order = true;
    for (size_t i = first + 1; i < list->count; i++) {
        in_order &= list->items[i - 1].start_ms <= list->items[i].start_ms;
    }
    int rc = in_order ? 0 : sort(list->items + first, list->count - first, e);
    int64_t next = INT64_MAX, start = INT64_MAX; /* of the cues after it, of those at one time */
    for (size_t i = list->count; i > first && rc == 0; i--) {
        struct cue *cue = &list->items[i - 1];
        if (cue->start_ms != start) {
            next = start;
            start = cue->start_ms;
        }
        if (cue->end_ms <= start) {
            int64_t longest = start + CUE_UNTIMED_MS;
            cue->end_ms = next < longest ? next : longest;
        }
    }
    return rc;
}
