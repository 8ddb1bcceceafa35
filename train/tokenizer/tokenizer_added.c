/* tokenizer_added.c - added tokens, as they stand in a text. */
#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "store/utf8.h"
#include "train/tokenizer/tokenizer_parts.h"

void added_init(struct added_list *a) {
    *a = (struct added_list){0};
    bytes_init(&a->text, TOKENIZER_FILE_LIMIT);
}

void added_close(struct added_list *a) {
    bytes_close(&a->text);
    free(a->items);
    added_init(a);
}

int added_append(struct added_list *a, const struct added *item, const char *text, size_t size,
                 struct error *e) {
    struct added *items = array_grow(a->items, &a->capacity, a->count + 1, sizeof *items, e);
    if (items == NULL) {
        return ERR_MEMORY;
    }
    a->items = items;
    struct added *to = &a->items[a->count];
    *to = *item;
    to->offset = (uint32_t)a->text.size;
    to->size = (uint32_t)size;
    int rc = bytes_append(&a->text, text, size, e);
    a->count += rc == 0;
    return rc;
}

static int compare(const struct added_list *a, const struct added *x, const struct added *y) {
    size_t size = x->size < y->size ? x->size : y->size;
    int order = memcmp(a->text.data + x->offset, a->text.data + y->offset, size);
    return order != 0 ? order : (x->size > y->size) - (x->size < y->size);
}

static void sift(struct added_list *a, size_t at, size_t count) {
    struct added moving = a->items[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < count && compare(a, &a->items[child], &a->items[child + 1]) < 0) {
            child++;
        }
        if (child >= count || compare(a, &moving, &a->items[child]) >= 0) {
            break;
        }
        a->items[at] = a->items[child];
        at = child;
    }
    a->items[at] = moving;
}

/* A heap sort of our own, because qsort's compare does not get to see the texts. */
static void sort(struct added_list *a) {
    for (size_t i = a->count / 2; i > 0; i--) {
        sift(a, i - 1, a->count);
    }
    for (size_t count = a->count; count > 1; count--) {
        struct added last = a->items[count - 1];
        a->items[count - 1] = a->items[0];
        a->items[0] = last;
        sift(a, 0, count - 1);
    }
}

int added_complete(struct added_list *a, struct error *e) {
    sort(a);
    for (size_t i = 0; i < a->count; i++) {
        const struct added *item = &a->items[i];
        const unsigned char *text = a->text.data + item->offset;
        if (i > 0 && compare(a, item - 1, item) == 0) {
            return error_set(e, ERR_FORMAT, "the added token %.*s is there twice",
                             (int)(item->size < 80 ? item->size : 80), (const char *)text);
        }
        a->first[text[0]] = true;
    }
    return 0;
}

/* The first item of items[low, high), which agree up to `depth`, whose byte there is at least
 * `byte`. */
static size_t first_of(const struct added_list *a, size_t low, size_t high, size_t depth,
                       unsigned byte) {
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (a->text.data[a->items[middle].offset + depth] < byte) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The longest added token at the beginning of a text, or NULL. */
static const struct added *longest(const struct added_list *a, const unsigned char *text,
                                   size_t size) {
    const struct added *best = NULL;
    size_t low = 0, high = a->count;
    for (size_t depth = 0; low < high && depth < size; depth++) {
        low = first_of(a, low, high, depth, text[depth]);
        high = first_of(a, low, high, depth, text[depth] + 1u);
        if (low < high && a->items[low].size == depth + 1) {
            best = &a->items[low++];
        }
    }
    return best;
}

/* Unicode's White_Space. */
static bool is_white(uint32_t c) {
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

static size_t white_after(const unsigned char *text, size_t size, size_t at) {
    while (at < size) {
        uint32_t c;
        bool valid;
        size_t used = utf8_decode((const char *)text + at, size - at, &c, &valid);
        if (!is_white(c)) {
            break;
        }
        at += used;
    }
    return at;
}

static size_t white_before(const unsigned char *text, size_t from, size_t at) {
    while (at > from) {
        size_t start = at - 1;
        uint32_t c;
        bool valid;
        while (start > from && (text[start] & 0xC0) == 0x80) {
            start--;
        }
        utf8_decode((const char *)text + start, at - start, &c, &valid);
        if (!is_white(c)) {
            break;
        }
        at = start;
    }
    return at;
}

const struct added *added_find(const struct added_list *a, const unsigned char *text, size_t size,
                               size_t from, size_t *start, size_t *end) {
    for (size_t at = from; at < size; at++) {
        const struct added *found = a->first[text[at]] ? longest(a, text + at, size - at) : NULL;
        if (found != NULL) {
            *start = found->left ? white_before(text, from, at) : at;
            *end = at + found->size;
            *end = found->right ? white_after(text, size, *end) : *end;
            return found;
        }
    }
    return NULL;
}
