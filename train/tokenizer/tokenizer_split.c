/* tokenizer_split.c - text into pieces, stage by stage: each stage splits the pieces of the one
 * before it, and sees no more than the piece. */
#include "train/tokenizer/tokenizer_parts.h"

/* ByteLevel's add_prefix_space. */
static int split_prefixed(struct tokenizer_state *s, size_t stage, const unsigned char *text,
                          size_t size, struct error *e) {
    if (text[0] == ' ') {
        return split_text(s, stage, text, size, e);
    }
    bytes_clear(&s->prefixed);
    int rc = bytes_append(&s->prefixed, " ", 1, e);
    if (rc == 0) {
        rc = bytes_append(&s->prefixed, text, size, e);
    }
    if (rc == 0) {
        const unsigned char *readable = s->readable;
        s->readable = s->prefixed.data + s->prefixed.size;
        rc = split_text(s, stage, s->prefixed.data, s->prefixed.size, e);
        s->readable = readable;
    }
    return rc;
}

int split_text(struct tokenizer_state *s, size_t index, const unsigned char *text, size_t size,
               struct error *e) {
    if (size == 0) {
        return 0;
    }
    if (index == s->tokenizer->stage_count) {
        return piece_encode(s, text, size, e);
    }
    const struct split_stage *stage = &s->tokenizer->stages[index];
    if (stage->pattern == NULL) {
        return split_prefixed(s, index + 1, text, size, e);
    }
    int rc = 0;
    for (size_t at = 0; at < size && rc == 0;) {
        size_t start = size, end = size; /* where no match follows */
        rc = pattern_find(stage->pattern, s->matcher, text, size, at, &start, &end, e);
        if (rc < 0) {
            return rc;
        }
        rc = 0;
        if (start > at && !stage->drops_rest) {
            rc = split_text(s, index + 1, text + at, start - at, e);
        }
        if (rc == 0 && end > start && !stage->drops_matches) {
            rc = split_text(s, index + 1, text + start, end - start, e);
        }
        at = end;
    }
    return rc;
}
