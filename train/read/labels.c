/* labels.c - see labels.h. */
#include "train/read/labels.h"

#include <math.h>
#include <stdlib.h>

#include "store/array.h"

static int by_place(const void *a, const void *b) {
    const struct read_label *x = a, *y = b;
    return x->row != y->row ? x->row - y->row : x->column - y->column;
}

static int add_label(struct page_labels *out, const struct page *page, int y, double x, int index,
                     struct error *e) {
    int column = (int)floor(x / READING_COLUMN);
    if (column < 0 || column >= page->width / READING_COLUMN) {
        return 0;
    }
    struct read_label *list =
        array_grow(out->list, &out->capacity, out->count + 1, sizeof *list, e);
    if (list == NULL) {
        return ERR_MEMORY;
    }
    out->list = list;
    out->list[out->count++] = (struct read_label){
        .row = (int16_t)(y / READING_ROW), .column = (int16_t)column, .class_index = index};
    return 0;
}

/* Characters of a text that each have a class; 0: not all have one. */
static int count_known(const struct alphabet *a, const char *text, size_t size) {
    int count = 0;
    for (size_t at = 0, used; at < size; at += used) {
        int index = alphabet_next(a, text + at, size - at, &used);
        if (index == ALPHABET_OTHER) {
            return 0;
        }
        count += index != ALPHABET_NOTHING;
    }
    return count;
}

static int label_cluster(struct page_labels *out, const struct page *page,
                         const struct page_cluster *c, const struct alphabet *a, struct error *e) {
    const char *text = page->text + c->text;
    int index = alphabet_find(a, text, c->size);
    int parts = index == ALPHABET_OTHER ? count_known(a, text, c->size) : 0;
    double x = c->x / 64.0, advance = c->advance / 64.0;
    if (parts == 0) {
        return add_label(out, page, c->y, x + advance / 2, index, e);
    }
    int rc = 0, i = 0;
    for (size_t at = 0, used; at < c->size && rc == 0; at += used) {
        index = alphabet_next(a, text + at, c->size - at, &used);
        if (index != ALPHABET_NOTHING) {
            rc = add_label(out, page, c->y, x + advance * (i++ + 0.5) / parts, index, e);
        }
    }
    return rc;
}

int labels_of_page(struct page_labels *out, const struct page *page,
                   const struct alphabet *alphabet, struct error *e) {
    int rc = 0;
    out->count = 0;
    for (size_t i = 0; i < page->cluster_count && rc == 0; i++) {
        rc = label_cluster(out, page, &page->clusters[i], alphabet, e);
    }
    if (rc < 0 || out->count == 0) {
        return rc;
    }
    qsort(out->list, out->count, sizeof *out->list, by_place);
    size_t count = 1; /* one per column: the next gives way to the right, or is left out */
    for (size_t i = 1; i < out->count; i++) {
        const struct read_label *last = &out->list[count - 1];
        struct read_label next = out->list[i];
        if (next.row == last->row && next.column <= last->column) {
            next.column = (int16_t)(last->column + 1);
        }
        if (next.column < page->width / READING_COLUMN) {
            out->list[count++] = next;
        }
    }
    out->count = count;
    return 0;
}

void labels_crop(struct page_labels *labels, int left, int top, int side) {
    size_t count = 0;
    for (size_t i = 0; i < labels->count; i++) {
        struct read_label label = labels->list[i];
        label.row = (int16_t)(label.row - top / READING_ROW);
        label.column = (int16_t)(label.column - left / READING_COLUMN);
        if (label.row >= 0 && label.row < side / READING_ROW && label.column >= 0 &&
            label.column < side / READING_COLUMN) {
            labels->list[count++] = label;
        }
    }
    labels->count = count;
}

void labels_close(struct page_labels *labels) {
    free(labels->list);
    *labels = (struct page_labels){.list = NULL};
}
