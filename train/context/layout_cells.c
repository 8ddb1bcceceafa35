/* layout_cells.c - which cells of pages the visual tokens of a row hold. */
#include "train/context/layout_parts.h"

void layout_cells(const struct layout_space *s, int bucket, struct layout_cell *out) {
    const struct layout_plan *p = &s->plan;
    size_t at = 0;
    if (bucket == 0 && p->style) {
        out[at++] = (struct layout_cell){.page = LAYOUT_NO_PAGE};
    }
    for (size_t i = 0; i < p->count; i++) {
        const struct layout_stretch *t = &p->list[i];
        const struct history_token *tokens = p->account->tokens + t->first;
        const size_t room = t->bucket == bucket ? (size_t)t->made << bucket : 0;
        for (size_t k = 0; k < room; k++) {
            out[at++] = k < t->count ? (struct layout_cell){tokens[k].page, tokens[k].token}
                                     : (struct layout_cell){.page = LAYOUT_NO_PAGE};
        }
    }
}
