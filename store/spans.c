/* spans.c - see spans.h. */
#include "store/spans.h"

#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "store/json.h"
#include "store/nest.h"

enum { CELLS_MOST = UINT16_MAX, RANGE_NUMBERS = 3 };

struct cell_range {
    uint32_t source, start, end;
    bool replaced;
};
struct page_spans {
    int cells;
    uint32_t *ends;            /* (cells) of the page's text */
    uint32_t *first;           /* (cells + 1) of its ranges, in `ranges` */
    struct cell_range *ranges; /* of the page */
};
struct spans {
    json_t *root;
    size_t page_count;
    struct page_spans *pages;
    struct span *list;
    size_t list_capacity;
};

/* ---- Packing ----------------------------------------------------------------------------- */

static int64_t number_in(const json_t *list, size_t i) {
    const json_t *item = json_array_get(list, i);
    json_int_t value = json_integer_value(item);
    return json_is_integer(item) && value >= 0 && value <= UINT32_MAX ? value : -1;
}

static int damaged(struct error *e, const char *what, size_t page, size_t cell) {
    return error_set(e, ERR_FORMAT, "%s: page %zu, cell %zu", what, page, cell);
}

/* 0, or ERR_MEMORY. */
static int append_number(json_t *list, int64_t number) {
    return json_array_append_new(list, json_integer(number)) == 0 ? 0 : ERR_MEMORY;
}

/* A cell of .pages.json, [["part", source, start, end], ...], as differences; 0, ERR_FORMAT or
 * ERR_MEMORY. */
static int pack_cell(json_t *out, const json_t *cell, struct cell_range *last) {
    size_t i;
    const json_t *range;
    json_array_foreach(cell, i, range) {
        int64_t source = number_in(range, 1), start = number_in(range, 2);
        int64_t end = number_in(range, 3);
        if (source < 0 || start < 0 || end < start) {
            return ERR_FORMAT;
        }
        int64_t from = source == last->source ? last->end : 0;
        bool replaced = json_array_size(range) > 4;
        if (append_number(out, source - last->source) < 0 || append_number(out, start - from) < 0 ||
            append_number(out, replaced ? start - end : end - start) < 0) {
            return ERR_MEMORY;
        }
        *last = (struct cell_range){.source = (uint32_t)source, .end = (uint32_t)end};
    }
    return json_is_array(cell) ? 0 : ERR_FORMAT;
}

static int pack_page(json_t *out, const json_t *page, size_t number, struct error *e) {
    const json_t *cells = json_object_get(page, "cells"), *ends = json_object_get(page, "ends");
    json_t *lengths = json_array(), *ranges = json_array();
    size_t count = json_array_size(cells);
    struct cell_range last = {.source = 0};
    int64_t before = 0;
    int rc = json_array_size(ends) == count && count <= CELLS_MOST
                 ? 0
                 : error_set(e, ERR_FORMAT, "page %zu: cells and ends of another number", number);
    for (size_t i = 0; i < count && rc == 0; i++) {
        int64_t end = number_in(ends, i);
        json_t *packed = json_array();
        rc = end < before ? ERR_FORMAT : pack_cell(packed, json_array_get(cells, i), &last);
        if (json_array_append_new(ranges, packed) != 0 ||
            append_number(lengths, end - before) < 0) {
            rc = ERR_MEMORY;
        }
        if (rc < 0) {
            rc = rc == ERR_MEMORY ? error_memory(e, NULL)
                                  : damaged(e, "ranges or ends are damaged", number, i);
        }
        before = end;
    }
    json_t *object = json_pack("{s:o, s:o}", "lengths", lengths, "ranges", ranges);
    return json_array_append_new(out, object) == 0 || rc < 0 ? rc : error_memory(e, NULL);
}

static int pack_sources(json_t *out, const json_t *sources, size_t samples, struct error *e) {
    size_t i;
    const json_t *source;
    json_array_foreach(sources, i, source) {
        const char *member = json_get_text(source, "member");
        const char *pointer = json_string_value(json_object_get(source, "pointer"));
        int64_t sample = json_get_integer(source, "sample", -1);
        if (member == NULL || sample < 0 || (size_t)sample >= samples) {
            return error_set(e, ERR_FORMAT, "source %zu is damaged", i);
        }
        json_t *packed =
            json_pack("[I, s, s]", (json_int_t)sample, member, pointer != NULL ? pointer : "");
        if (json_array_append_new(out, packed) != 0) {
            return error_memory(e, NULL);
        }
    }
    return 0;
}

int spans_pack(struct bytes *out, const json_t *record, struct error *e) {
    const json_t *pages = json_object_get(record, "pages"), *page;
    json_t *samples = json_object_get(record, "samples");
    json_t *packed_sources = json_array(), *packed_pages = json_array();
    size_t i;
    int rc = 0;
    bool has_cells = false;
    json_array_foreach(pages, i, page) {
        has_cells = has_cells || json_array_size(json_object_get(page, "cells")) > 0;
        rc = rc == 0 ? pack_page(packed_pages, page, i, e) : rc;
    }
    if (rc == 0 && has_cells) {
        rc = pack_sources(packed_sources, json_object_get(record, "sources"),
                          json_array_size(samples), e);
    }
    json_t *root = json_pack("{s:O*, s:o, s:o}", "samples", samples, "sources", packed_sources,
                             "pages", packed_pages);
    if (rc == 0 && has_cells) {
        rc = root != NULL ? json_append(out, root, e) : error_memory(e, NULL);
        rc = rc == 0 ? 1 : rc;
    }
    json_decref(root);
    return rc;
}

/* ---- Opening ----------------------------------------------------------------------------- */

/* Of all cells of a page. */
static size_t count_ranges(const json_t *ranges) {
    size_t i, count = 0;
    const json_t *cell;
    json_array_foreach(ranges, i, cell) {
        count += json_array_size(cell) / RANGE_NUMBERS;
    }
    return count;
}

/* Reads the ranges of a cell behind those that are there; 0, or negative: impossible numbers. */
static int read_cell(struct page_spans *p, const json_t *cell, size_t *count, int64_t sources,
                     struct cell_range *last) {
    size_t numbers = json_array_size(cell);
    if (!json_is_array(cell) || numbers % RANGE_NUMBERS != 0) {
        return ERR_FORMAT;
    }
    for (size_t i = 0; i < numbers; i += RANGE_NUMBERS) {
        int64_t step = json_integer_value(json_array_get(cell, i));
        int64_t from = json_integer_value(json_array_get(cell, i + 1));
        int64_t length = json_integer_value(json_array_get(cell, i + 2));
        int64_t size = length < 0 && length > INT64_MIN ? -length : length;
        const int64_t most = UINT32_MAX;
        bool small = step >= -most && step <= most && from >= -most && from <= most && size >= 0 &&
                     size <= most;
        int64_t source = small ? last->source + step : -1;
        int64_t start = small ? (step == 0 ? last->end : 0) + from : -1;
        if (source < 0 || source >= sources || start < 0 || start + size > UINT32_MAX) {
            return ERR_FORMAT;
        }
        *last = (struct cell_range){.source = (uint32_t)source,
                                    .start = (uint32_t)start,
                                    .end = (uint32_t)(start + size),
                                    .replaced = length < 0};
        p->ranges[(*count)++] = *last;
    }
    return 0;
}

static int read_page(struct page_spans *p, const json_t *page, size_t number, int64_t sources,
                     struct error *e) {
    const json_t *lengths = json_object_get(page, "lengths");
    const json_t *ranges = json_object_get(page, "ranges");
    size_t cells = json_array_size(lengths), count = 0;
    int64_t end = 0;
    struct cell_range last = {.source = 0};
    if (json_array_size(ranges) != cells || cells > CELLS_MOST) {
        return error_set(e, ERR_FORMAT, "page %zu: lengths and ranges of another number", number);
    }
    p->ends = calloc(cells + 1, sizeof *p->ends);
    p->first = calloc(cells + 1, sizeof *p->first);
    p->ranges = calloc(count_ranges(ranges) + 1, sizeof *p->ranges);
    if (p->ends == NULL || p->first == NULL || p->ranges == NULL) {
        return error_memory(e, NULL);
    }
    for (size_t i = 0; i < cells; i++) {
        int64_t length = number_in(lengths, i);
        end += length;
        if (length < 0 || end > UINT32_MAX ||
            read_cell(p, json_array_get(ranges, i), &count, sources, &last) < 0) {
            return damaged(e, "impossible numbers", number, i);
        }
        p->ends[i] = (uint32_t)end;
        p->first[i + 1] = (uint32_t)count;
    }
    p->cells = (int)cells;
    return 0;
}

static int check_sources(const json_t *root, struct error *e) {
    const json_t *samples = json_object_get(root, "samples"), *sample, *source;
    size_t i;
    bool sound = json_is_array(samples);
    json_array_foreach(samples, i, sample) {
        sound = sound && json_is_string(sample);
    }
    json_array_foreach(json_object_get(root, "sources"), i, source) {
        int64_t number = number_in(source, 0);
        sound = sound && number >= 0 && (size_t)number < json_array_size(samples) &&
                json_is_string(json_array_get(source, 1)) &&
                json_is_string(json_array_get(source, 2));
    }
    return sound ? 0 : error_set(e, ERR_FORMAT, "samples or sources are damaged");
}

int spans_open(struct spans **out, const void *json, size_t size, struct error *e) {
    *out = NULL;
    struct spans *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_memory(e, NULL);
    }
    json_error_t reason = {.line = 1};
    s->root = json_loadb(json, size, 0, &reason);
    const json_t *pages = json_object_get(s->root, "pages");
    int64_t sources = (int64_t)json_array_size(json_object_get(s->root, "sources"));
    int rc;
    if (s->root == NULL && json_error_code(&reason) == json_error_out_of_memory) {
        rc = error_memory(e, NULL);
    } else {
        rc = json_is_array(pages) ? check_sources(s->root, e)
                                  : error_set(e, ERR_FORMAT, "holds no list of pages");
    }
    s->page_count = json_array_size(pages);
    s->pages = rc == 0 ? calloc(s->page_count + 1, sizeof *s->pages) : NULL;
    if (rc == 0 && s->pages == NULL) {
        rc = error_memory(e, NULL);
    }
    for (size_t i = 0; i < s->page_count && rc == 0; i++) {
        rc = read_page(&s->pages[i], json_array_get(pages, i), i, sources, e);
    }
    if (rc < 0) {
        spans_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

void spans_close(struct spans *s) {
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; s->pages != NULL && i < s->page_count; i++) {
        free(s->pages[i].ends);
        free(s->pages[i].first);
        free(s->pages[i].ranges);
    }
    free(s->pages);
    free(s->list);
    json_decref(s->root);
    free(s);
}

/* ---- Looking up -------------------------------------------------------------------------- */

int spans_cells(const struct spans *s, int page) {
    return page >= 0 && (size_t)page < s->page_count ? s->pages[page].cells : 0;
}

void spans_text(const struct spans *s, int page, int first, int end, size_t *from, size_t *to) {
    const uint32_t *ends = s->pages[page].ends;
    *from = first > 0 ? ends[first - 1] : 0;
    *to = end > 0 ? ends[end - 1] : 0;
}

int spans_find(const struct spans *s, int page, size_t at) {
    int low = 0, high = spans_cells(s, page);
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (s->pages[page].ends[middle] <= at) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < spans_cells(s, page) ? low : -1;
}

static struct span make_span(const struct spans *s, const struct cell_range *r) {
    const json_t *source = json_array_get(json_object_get(s->root, "sources"), r->source);
    const json_t *samples = json_object_get(s->root, "samples");
    size_t sample = (size_t)json_integer_value(json_array_get(source, 0));
    return (struct span){.sample = json_string_value(json_array_get(samples, sample)),
                         .member = json_string_value(json_array_get(source, 1)),
                         .pointer = json_string_value(json_array_get(source, 2)),
                         .start = r->start,
                         .end = r->end,
                         .replaced = r->replaced};
}

const struct span *spans_list(struct spans *s, int page, int first, int end, size_t *count,
                              struct error *e) {
    const struct page_spans *p = &s->pages[page];
    uint32_t at = p->first[first], last = p->first[end];
    struct span *list = array_grow(s->list, &s->list_capacity, last - at + 1, sizeof *list, e);
    *count = 0;
    if (list == NULL) {
        return NULL;
    }
    s->list = list;
    for (const struct cell_range *before = NULL; at < last; before = &p->ranges[at++]) {
        const struct cell_range *r = &p->ranges[at];
        bool adjoins = before != NULL && before->source == r->source && before->end == r->start &&
                       !before->replaced && !r->replaced;
        if (adjoins) {
            list[*count - 1].end = r->end;
        } else {
            list[(*count)++] = make_span(s, r);
        }
    }
    return list;
}

/* ---- Tokens ------------------------------------------------------------------------------ */

bool spans_of_token(const struct token_header *h, int token, int *first, int *end) {
    int cells = h->full_rows * h->full_columns;
    bool nested = h->bucket == 0 || (h->shrunk_by == SHRINK_NEST && h->bucket <= NEST_LEVELS);
    if (!nested || (h->layout & TOKEN_CELLS) == 0) {
        return false;
    }
    int64_t from = (int64_t)token << h->bucket, to = (int64_t)(token + 1) << h->bucket;
    *first = (int)(from < cells ? from : cells);
    *end = (int)(to < cells ? to : cells);
    return true;
}

int spans_token(const struct token_header *h, int cell) {
    return cell >> h->bucket;
}
