/* layout_read.c - contexts of what a reading head reads from the tokens that CONTEXT_VISUAL shows:
 * what an exact reader of them would give. */
#include "store/nest.h"
#include "train/context/layout_parts.h"

/* Cells of a stretch: those of its tokens, of which a page's last may have fewer. */
static int64_t cells_of(const struct history_page *p, const struct history_token *t, size_t count) {
    const int64_t of_page = (int64_t)p->header.full_rows * p->header.full_columns;
    int64_t cells = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t first = (int64_t)t[i].token << t[i].bucket, end = first + (1 << t[i].bucket);
        cells += (end < of_page ? end : of_page) - first;
    }
    return cells;
}

static int read_stretch(struct layout_space *s, const struct layout_stretch *t, struct error *e) {
    const struct history_token *tokens = s->plan.account->tokens + t->first;
    const struct history_page *p = history_page(s->l->h, tokens->page);
    const int64_t cells = cells_of(p, tokens, t->count);
    struct readback_page read;
    struct reading_page layout = {.rows = 1,
                                  .columns = (int)cells,
                                  .column_offsets = 1,
                                  .cell_rows = 1,
                                  .cell_columns = (int)cells,
                                  .halvings = t->bucket};
    int rc = layout_load(s, t, (size_t)cells, e);
    if (rc == 0) {
        rc = nest_expand(s->loaded.data, cells, p->header.dim, t->bucket, e);
    }
    if (rc == 0) {
        rc = readback_tokens(s->readback, s->loaded.data, &layout, &read, e);
    }
    if (rc == 0) {
        const struct bytes *text = &read.text->text;
        rc = tokenizer_encode(s->tokenizer, bytes_text(text), text->size, TOKENIZER_ORDINARY,
                              &s->ids, e);
    }
    return rc == 0 ? tokenizer_encode(s->tokenizer, "\n", 1, TOKENIZER_ORDINARY, &s->ids, e)
                   : error_context(e, "%s page %d", p->key, p->number);
}

/* The newest posts, where CONTEXT_VISUAL shows them as text. */
static int add_newest(struct layout_space *s, struct error *e) {
    const struct layout_plan *p = &s->plan;
    const int64_t count = layout_ids(p, p->text_first, p->end);
    return token_list_append(&s->ids, p->text->ids.ids + p->text->first[p->text_first],
                             (size_t)count, e);
}

int layout_read_text(struct layout_space *s, struct error *e) {
    int rc = 0;
    s->ids.count = 0;
    for (size_t i = 0; i < s->plan.count && rc == 0; i++) {
        rc = read_stretch(s, &s->plan.list[i], e);
    }
    return rc == 0 && s->plan.text_first < s->plan.end ? add_newest(s, e) : rc;
}
