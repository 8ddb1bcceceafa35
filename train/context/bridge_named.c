/* bridge_named.c - the text that an encoder's reading head reads in visual tokens, in the decoder's
 * tokens, whose embeddings are merged into soft tokens.
 *
 * tensor                      shape                        first values
 * bridge.mean                 (width), frozen              0, see bridge_shift
 * bridge.merge.L.weight       (width, 2 * width), 5 times  0: a merge is a sum at first
 * bridge.gain.L               (width), 10 times            2^((1 - L) / 2)
 * bridge.shift                (width)                      0, see bridge_shift
 *
 *     s_i  = sum of (embedding - mean) of the tokens that begin in a quarter of a row of text
 *                                                                           16 of a cell, in order
 *     s_i  = s_2i + s_2i+1 + merge.L [s_2i, s_2i+1]          L = 0 to 3, and 4 from there on
 *     soft = shift + gain.L s                                after L merges, 9 or more: gain.9
 *
 * until `expand` are left of each visual token. A run's text goes through the decoder's tokenizer
 * as a whole, so that tokens are those of the text and not of its cells. */
#include <assert.h>

#include "train/context/bridge_state.h"
#include "train/decoder/network.h"

enum {
    LEAVES = 16, /* of a cell */
    LEAF_COLUMNS = LETTERS_COLUMNS / LEAVES,
    MERGES = 5,
    GAINS = 10,
    PIECE = 64 /* cells that are merged together */
};

void named_list(struct bridge_taker *to, const struct bridge_options *o, bool reader) {
    struct tensor_spec mean = tensor_spec_of(TENSOR_BIAS, "bridge", TENSOR_SPEC_SHAPE(o->width));
    mean.trainable = false;
    letters_list(to, o, reader);
    bridge_take(to, mean, "bridge.mean");
    merge_list(to, o, MERGES, GAINS, 1);
}

struct named {
    struct tape_source source;
    struct decoder_parts parts;
    struct named_tokens tokens;
    int64_t width, cells, expand;
};

/* Embeddings of tokens [first, first + count), less their mean. */
static struct node *centred(const struct named *n, struct tape *t, int64_t first, int64_t count) {
    const struct tensor ids = tape_upload_numbers(t, n->tokens.ids + first, count);
    struct node *x = ids.data != NULL ? n->parts.embed(n->parts.context, t, &ids) : NULL;
    struct node *mean = tape_named(&n->source, t, "bridge.mean");
    if (x == NULL || mean == NULL) {
        return NULL;
    }
    const struct tensor like = tensor_of(NULL, x->value.type, NULL, mean->value.shape);
    const struct tensor value = tape_space(t, &like);
    struct device *d = tape_device(t);
    struct error e;
    if (value.data == NULL) {
        return NULL;
    }
    tape_fail(t, d->ops->combine(d, &value, -1, &mean->value, 0, NULL, &e), &e);
    return tape_add(t, x, tape_input(t, &value, NULL));
}

/* Visual tokens [i, ..), as many as x has rows, to soft tokens. */
static struct node *merged(struct tape *t, struct node *x, int64_t i, const void *context) {
    const struct named *n = context;
    const int64_t tokens = tensor_rows(&x->value), rows = tokens * n->cells * LEAVES;
    const int64_t first = n->tokens.first[i], count = n->tokens.first[i + tokens] - first;
    int32_t *places = tape_host(t, (size_t)count + 1, sizeof *places);
    for (int64_t k = 0; k < count && places != NULL; k++) {
        places[k] = (int32_t)(n->tokens.columns[first + k] / LEAF_COLUMNS - i * n->cells * LEAVES);
    }
    const struct tensor index = tape_upload_numbers(t, places, count);
    struct node *s = tape_scatter(t, centred(n, t, first, count), &index, rows);
    int level = 0;
    for (; s != NULL && tensor_rows(&s->value) > tokens * n->expand; level++) {
        s = merge_pairs(&n->source, t, s, n->width, level, MERGES);
    }
    return merge_end(&n->source, t, s, level, GAINS);
}

struct node *named_network(const struct bridge_options *o, const struct tape_source *source,
                           struct tape *t, const struct decoder_parts *parts,
                           const struct bridge_group *group, int64_t expand) {
    struct named n = {.source = *source, .parts = *parts, .width = o->width, .expand = expand};
    struct letters letters;
    assert(expand <= LEAVES / 2 && o->dim % ((int64_t)1 << group->bucket) == 0);
    if (!letters_see(&letters, o, source, t, group) ||
        !names_read(&n.tokens, o->names, &letters, t)) {
        return NULL;
    }
    n.cells = letters.cells;
    return tape_pieces(t, group->x, bridge_together(t, PIECE, n.cells), merged, &n, sizeof n);
}
