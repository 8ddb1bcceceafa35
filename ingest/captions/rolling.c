/* rolling.c - rolling captions collapsed: each line once. See caption.h. */
#include "ingest/captions/caption.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    TOUCH_MS = 50,    /* captions made by people keep two frames (83 ms) apart; machines' touch */
    FLASH_MS = 50,    /* nobody reads that fast: a cue of a rolling caption's animation */
    GROWN_CUES = 3,   /* fewer may be chance */
    WINDOW_LINES = 8, /* rolling windows have two to four lines */
    CJK_LEAD_BYTE = 0xE3, /* UTF-8 of U+3000 and above: scripts that put no blank between words */
};

/* ---- order ------------------------------------------------------------- */

/* Cues without a speaker come first; a name is never empty. */
static int compare_speakers(const struct cue *a, const struct cue *b) {
    return strcmp(a->speaker != NULL ? a->speaker : "", b->speaker != NULL ? b->speaker : "");
}

static int compare_cues(const void *a, const void *b) {
    const struct cue *x = a, *y = b;
    if (x->start_ms != y->start_ms) {
        return x->start_ms < y->start_ms ? -1 : 1;
    }
    if (x->end_ms != y->end_ms) {
        return x->end_ms < y->end_ms ? -1 : 1;
    }
    int order = strcmp(x->text, y->text);
    return order != 0 ? order : compare_speakers(x, y);
}

/* A list that is in order keeps the order of cues that start together. */
static void sort_cues(struct cue *items, size_t count) {
    for (size_t i = 1; i < count; i++) {
        if (items[i].start_ms < items[i - 1].start_ms) {
            qsort(items, count, sizeof *items, compare_cues);
            return;
        }
    }
}
/* ---- rolling captions -------------------------------------------------- */

/* The same words of another speaker are not a repetition. */
static bool follows(const struct cue *earlier, const struct cue *later) {
    return later->start_ms - earlier->end_ms <= TOUCH_MS && compare_speakers(earlier, later) == 0;
}

static bool is_flash(const struct cue *cue) {
    return cue->end_ms - cue->start_ms <= FLASH_MS;
}

static void extend(struct cue *cue, int64_t end_ms) {
    cue->end_ms = end_ms > cue->end_ms ? end_ms : cue->end_ms;
}

/* Flashes are left for collapse_windows, to which they are evidence. */
static void join_repeats(struct cue_list *cues) {
    size_t kept = 0;
    for (size_t i = 0; i < cues->count; i++) {
        struct cue *last = kept ? &cues->items[kept - 1] : NULL;
        const struct cue *cue = &cues->items[i];
        if (last != NULL && !is_flash(cue) && follows(last, cue) &&
            strcmp(last->text, cue->text) == 0) {
            extend(last, cue->end_ms);
        } else {
            cues->items[kept++] = *cue;
        }
    }
    cues->count = kept;
}

/* Does `text` begin with these `size` bytes and go on, if at all, with a new word or line? */
static bool continues(const char *text, const char *begin, size_t size) {
    if (strncmp(text, begin, size) != 0) {
        return false;
    }
    unsigned char next = (unsigned char)text[size];
    return next == 0 || next == '\n' || next == ' ' || next >= CJK_LEAD_BYTE;
}

/* How many bytes at the start of `cue` are the last lines of `window`, the cue before it; 0 where
 * the two have nothing to do with each other. The last of these lines may have grown by words. */
static size_t shared_bytes(const struct cue *window, const struct cue *cue) {
    if (!follows(window, cue)) {
        return 0;
    }
    const char *starts[WINDOW_LINES];
    size_t lines = 0;
    const char *end = window->text + strlen(window->text);
    for (const char *p = end; p > window->text && lines < WINDOW_LINES;) {
        p--;
        if (p == window->text || p[-1] == '\n') {
            starts[lines++] = p;
        }
    }
    while (lines > 0) {
        const char *start = starts[--lines];
        if (continues(cue->text, start, (size_t)(end - start))) {
            return (size_t)(end - start);
        }
    }
    return 0;
}

/* Keeps only what `cue` adds to the window before it; returns the new number of kept cues. The last
 * kept text is always the end of that window's text, or longer than all of it. */
static size_t keep_addition(struct cue *kept, size_t count, const struct cue *cue, size_t shared) {
    struct cue *last = &kept[count - 1];
    const char *addition = cue->text + shared;
    size_t size = strlen(last->text);
    if (*addition == 0) {
        extend(last, cue->end_ms);
        return count;
    }
    if (*addition != '\n' && size <= shared) { /* the last kept line grew */
        last->text = addition - size;
        extend(last, cue->end_ms);
        return count;
    }
    addition += *addition == '\n' || *addition == ' ';
    kept[count] = (struct cue){cue->start_ms, cue->end_ms, addition, cue->speaker};
    return count + 1;
}

/* Is `cue` the text of `window` and more? */
static bool is_grown(const struct cue *window, const struct cue *cue) {
    size_t size = strlen(window->text);
    return follows(window, cue) && continues(cue->text, window->text, size) && cue->text[size] != 0;
}

/* Do the captions of this list grow word by word? Among people's, one that happens to begin with
 * all of the one before it is rare; where every fourth does, a line of two words grows too. */
static bool grows_by_words(const struct cue_list *cues) {
    size_t grown = 0;
    for (size_t i = 1; i < cues->count; i++) {
        const struct cue *window = &cues->items[i - 1], *cue = &cues->items[i];
        grown += !is_flash(window) && !is_flash(cue) && is_grown(window, cue);
    }
    return grown >= GROWN_CUES && grown >= cues->count / 4;
}

/* Two captions that happen to overlap are not a rolling caption: it takes two such steps in a row,
 * a flash, or one that grows where they all do. All texts stay where they are; a kept cue points
 * into one of them. */
static void collapse_windows(struct cue_list *cues) {
    struct cue *items = cues->items;
    struct cue window = {0};
    bool overlapped = false; /* the step into `window` was one */
    bool growing = grows_by_words(cues);
    size_t kept = 0;
    for (size_t i = 0; i < cues->count; i++) {
        struct cue cue = items[i];
        size_t shared = i > 0 ? shared_bytes(&window, &cue) : 0;
        bool rolls = shared > 0 && (overlapped || is_flash(&window) || is_flash(&cue) ||
                                    (growing && is_grown(&window, &cue)) ||
                                    (i + 1 < cues->count && shared_bytes(&cue, &items[i + 1]) > 0));
        if (rolls) {
            kept = keep_addition(items, kept, &cue, shared);
        } else {
            items[kept++] = cue;
        }
        overlapped = shared > 0;
        window = cue;
    }
    cues->count = kept;
}

void caption_collapse_rolling(struct cue_list *cues) {
    sort_cues(cues->items, cues->count);
    if (!cues->flat) {
        join_repeats(cues);
        collapse_windows(cues);
    }
}
