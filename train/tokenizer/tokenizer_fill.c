/* tokenizer_fill.c - what the readers of files put into a tokenizer besides its vocabulary. */
#include "train/tokenizer/tokenizer_parts.h"

#include <string.h>

int tokenizer_add_stage(struct tokenizer *t, const struct split_stage *stage, struct error *e) {
    if (t->stage_count == STAGE_LIMIT) {
        pattern_close(stage->pattern);
        return error_set(e, ERR_LIMIT, "more than %d pre-tokenizers", STAGE_LIMIT);
    }
    t->stages[t->stage_count++] = *stage;
    return 0;
}

int tokenizer_add_token(struct tokenizer *t, const struct added *item, bool late, bool known,
                        const char *text, struct error *e) {
    size_t size = strlen(text);
    int rc = known ? 0 : vocabulary_add(&t->vocabulary, item->id, text, size, false, e);
    if (rc < 0) {
        error_context(e, "the added token %.80s", text);
        return rc;
    }
    return added_append(&t->added[late ? ADDED_LATE : ADDED_EARLY], item, text, size, e);
}
