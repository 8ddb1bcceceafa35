/* store_cells.c - see store_cells.h. */
#include "cli/store_cells.h"

#include <stdio.h>

#include "store/json.h"
#include "store/spans.h"

struct cells_printer {
    struct spans *spans;
    struct bytes cells, text, line;
    int64_t tokens; /* printed */
};

/* NULL: out of memory. */
static json_t *range_json(const struct span *r) {
    json_t *range = json_pack("{s:s, s:s}", "sample", r->sample, "member", r->member);
    bool whole = range != NULL;
    if (r->pointer[0] != '\0') {
        whole = whole && json_object_set_new(range, "pointer", json_string(r->pointer)) == 0 &&
                json_object_set_new(range, "start", json_integer(r->start)) == 0 &&
                json_object_set_new(range, "end", json_integer(r->end)) == 0;
    }
    if (r->replaced) {
        whole = whole && json_object_set_new(range, "replaced", json_true()) == 0;
    }
    if (!whole) {
        json_decref(range);
        range = NULL;
    }
    return range;
}

/* NULL: out of memory. */
static json_t *ranges_json(const struct span *list, size_t count) {
    json_t *ranges = json_array();
    for (size_t i = 0; i < count && ranges != NULL; i++) {
        if (json_array_append_new(ranges, range_json(&list[i])) != 0) {
            json_decref(ranges);
            ranges = NULL;
        }
    }
    return ranges;
}

static int print_token(struct cells_printer *p, const struct token_record *record, int token,
                       const char *text, size_t size, struct error *e) {
    const struct token_header *h = &record->header;
    size_t from, to, count;
    int first, end;
    if (!spans_of_token(h, token, &first, &end)) {
        return error_set(e, ERR_UNSUPPORTED,
                         "%s page %d: its tokens were made anew, or means of others, when it was "
                         "forgotten: which text they stand for is not known",
                         record->key, record->page);
    }
    if (spans_cells(p->spans, record->page) != h->full_rows * h->full_columns) {
        return error_set(e, ERR_FORMAT, "%s page %d: has other cells than tokens", record->key,
                         record->page);
    }
    spans_text(p->spans, record->page, first, end, &from, &to);
    const struct span *list = spans_list(p->spans, record->page, first, end, &count, e);
    if (list == NULL) {
        return ERR_MEMORY;
    }
    if (text == NULL || to > size) {
        return error_set(e, ERR_FORMAT,
                         "%s page %d: its text is shorter than its cells say: occ store verify",
                         record->key, record->page);
    }
    json_t *root =
        json_pack("{s:i, s:i, s:i, s:i, s:i, s:I, s:I, s:s%, s:o}", "page", record->page, "index",
                  token, "row", token / h->columns, "column", token % h->columns, "bucket",
                  h->bucket, "start", (json_int_t)from, "end", (json_int_t)to, "text", text + from,
                  to - from, "ranges", ranges_json(list, count));
    bytes_clear(&p->line);
    int rc = root != NULL ? json_append(&p->line, root, e) : error_memory(e, NULL);
    json_decref(root);
    if (rc == 0 && puts(bytes_text(&p->line)) == EOF) {
        rc = error_set(e, ERR_CLOSED, "standard output: cannot be written");
    }
    p->tokens++;
    return rc;
}

static int print_page(void *context, const struct token_record *record, struct error *e) {
    struct cells_printer *p = context;
    size_t size = 0;
    const char *text = store_text_page(bytes_text(&p->text), p->text.size, record->page, &size);
    int rc = 0;
    if (spans_cells(p->spans, record->page) == 0) {
        return 0;
    }
    for (int i = 0; i < record->header.rows * record->header.columns && rc == 0; i++) {
        rc = print_token(p, record, i, text, size, e);
    }
    return rc;
}

int store_cells_print(struct store *s, const char *key, struct error *e) {
    struct cells_printer p = {.spans = NULL};
    bytes_init(&p.cells, STREAM_MEMBER_LIMIT);
    bytes_init(&p.text, STREAM_SAMPLE_LIMIT);
    bytes_init(&p.line, STREAM_MEMBER_LIMIT);
    int rc = store_get_cells(s, key, &p.cells, e);
    if (rc == 1) {
        rc = spans_open(&p.spans, bytes_text(&p.cells), p.cells.size, e);
        rc = rc < 0 ? error_context(e, "%s: its cells are damaged", key) : 0;
    }
    if (rc == 0 && p.spans != NULL) {
        rc = store_get_text(s, key, &p.text, e);
        rc = rc < 0 ? rc : store_each_page(s, key, print_page, &p, e);
    }
    if (rc == 0 && p.tokens == 0) {
        rc = error_set(e, ERR_FORMAT, "%s: no page of it is set in cells, or it has none any more",
                       key);
    }
    spans_close(p.spans);
    bytes_close(&p.cells);
    bytes_close(&p.text);
    bytes_close(&p.line);
    return rc;
}
