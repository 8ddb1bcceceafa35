/* labels.c - see labels.h. */
#include "train/read/labels.h"

#include <math.h>
#include <stdlib.h>

#include "render/text/character.h"
#include "store/array.h"

/* A label before it has a column of its own. */
struct placed_label {
    double x; /* pixels: the middle of the character */
    int row, index;
    size_t order; /* in reading order */
};

static int by_place(const void *a, const void *b) {
    const struct placed_label *p = a, *q = b;
    if (p->row != q->row) {
        return p->row < q->row ? -1 : 1;
    }
    if (p->x < q->x || p->x > q->x) {
        return p->x < q->x ? -1 : 1;
    }
    return (p->order > q->order) - (p->order < q->order);
}

static int add_label(struct page_labels *out, const struct page *page, int y, double x, int index,
                     struct error *e) {
    if (x < 0 || x >= page->width) {
        return 0;
    }
    struct placed_label *places =
        array_grow(out->places, &out->capacity, out->place_count + 1, sizeof *places, e);
    if (places == NULL) {
        return ERR_MEMORY;
    }
    out->places = places;
    places[out->place_count] = (struct placed_label){
        .x = x, .row = y / READING_ROW, .index = index, .order = out->place_count};
    out->place_count++;
    return 0;
}

/* The class of a cluster. A letter and its marks are drawn as the letter that has them (NFC): they
 * are of its class. */
static int class_of(const struct alphabet *a, const char *text, size_t size) {
    char composed[ALPHABET_LONGEST];
    int index = alphabet_find(a, text, size);
    if (index != ALPHABET_OTHER || size > sizeof composed) {
        return index;
    }
    size = character_compose(composed, sizeof composed, text, size);
    return alphabet_find(a, composed, size);
}

/* Characters of a text that each have a class, but for those that draw nothing; -1: one has
 * none. */
static int count_known(const struct alphabet *a, const char *text, size_t size) {
    int count = 0;
    for (size_t at = 0, used; at < size; at += used) {
        int index = alphabet_next(a, text + at, size - at, &used);
        if (index == ALPHABET_OTHER) {
            return -1;
        }
        count += index != ALPHABET_NOTHING;
    }
    return count;
}

static int label_cluster(struct page_labels *out, const struct page *page,
                         const struct page_cluster *c, const struct alphabet *a, struct error *e) {
    const char *text = page->text + c->text;
    int index = class_of(a, text, c->size);
    int parts = index == ALPHABET_OTHER ? count_known(a, text, c->size) : -1;
    double x = c->x / 64.0, advance = c->advance / 64.0;
    if (parts < 0) {
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

static int cell_of(const struct placed_label *p, int cell_width) {
    return (int)p->x / cell_width;
}

/* Labels of one row of one cell, which has columns [first, end): one per column. The next gives way
 * to the right; at the right end those before it give way to the left. What has no room is left
 * out. */
static size_t put_group(struct read_label *out, const struct placed_label *list, size_t count,
                        int first, int end) {
    count = count < (size_t)(end - first) ? count : (size_t)(end - first);
    int next = first;
    for (size_t i = 0; i < count; i++) {
        int column = (int)floor(list[i].x / READING_COLUMN);
        next = column > next ? column : next;
        int last = end - (int)(count - i);
        next = next < last ? next : last;
        out[i] = (struct read_label){
            .row = (int16_t)list[i].row, .column = (int16_t)next++, .class_index = list[i].index};
    }
    return count;
}

static int put_labels(struct page_labels *out, int cell_width, struct error *e) {
    struct read_label *list =
        array_grow(out->list, &out->list_capacity, out->place_count, sizeof *list, e);
    if (list == NULL) {
        return ERR_MEMORY;
    }
    out->list = list;
    for (size_t at = 0, end; at < out->place_count; at = end) {
        const struct placed_label *places = out->places;
        int cell = cell_of(&places[at], cell_width);
        for (end = at; end < out->place_count && places[end].row == places[at].row &&
                       cell_of(&places[end], cell_width) == cell;) {
            end++;
        }
        out->count +=
            put_group(list + out->count, places + at, end - at, cell * cell_width / READING_COLUMN,
                      (cell + 1) * cell_width / READING_COLUMN);
    }
    return 0;
}

int labels_of_page(struct page_labels *out, const struct page *page,
                   const struct alphabet *alphabet, struct error *e) {
    int cell_width = page->columns > 0 ? page->width / page->columns : page->width, rc = 0;
    out->count = out->place_count = 0;
    for (size_t i = 0; i < page->cluster_count && rc == 0; i++) {
        rc = label_cluster(out, page, &page->clusters[i], alphabet, e);
    }
    if (rc < 0 || out->place_count == 0) {
        return rc;
    }
    qsort(out->places, out->place_count, sizeof *out->places, by_place);
    return put_labels(out, cell_width, e);
}

void labels_crop(struct page_labels *labels, int left, int top, int width, int height) {
    size_t count = 0;
    for (size_t i = 0; i < labels->count; i++) {
        struct read_label label = labels->list[i];
        label.row = (int16_t)(label.row - top / READING_ROW);
        label.column = (int16_t)(label.column - left / READING_COLUMN);
        if (label.row >= 0 && label.row < height / READING_ROW && label.column >= 0 &&
            label.column < width / READING_COLUMN) {
            labels->list[count++] = label;
        }
    }
    labels->count = count;
}

void labels_close(struct page_labels *labels) {
    free(labels->list);
    free(labels->places);
    *labels = (struct page_labels){.list = NULL};
}
