/* bridge_reading.c - the characters that an encoder's reading head sees (bridge_letters.c), spelled
 * and merged into soft tokens.
 *
 * tensor                      shape                        first values
 * bridge.spell.0.weight       (hidden, 12 * embedding)     normal, variance 1 / inputs
 * bridge.spell.0.bias         (hidden)                     0
 * bridge.spell.1.weight       (width, hidden)              normal, for a result of `scale`
 * bridge.spell.1.bias         (width)                      0
 * bridge.merge.L.weight       (width, 2 * width), 4 times  0: a merge is a sum at first
 * bridge.gain.L               (width), 9 times             2^(-L / 2)
 * bridge.shift                (width)                      0, see bridge_shift
 *
 *     z_j  = spell.1 gelu(spell.0 [characters j - 1 .. j + 10])    within a run
 *     s_i  = sum of z_j of the characters in half a row of text            8 of a cell, in order
 *     s_i  = s_2i + s_2i+1 + merge.L [s_2i, s_2i+1]          L = 0, 1, 2, and 3 from there on
 *     soft = shift + gain.L s                                after L merges, 8 or more: gain.8
 *
 * until `expand` are left of each visual token. z_j is to be the embedding of the text token that
 * begins at character j, less their mean, and zeros where none does: what a decoder reads easily
 * are sums of embeddings that it knows. */
#include <assert.h>

#include "train/context/bridge_state.h"

enum {
    LEAVES = 8, /* of a cell */
    LEAF_COLUMNS = LETTERS_COLUMNS / LEAVES,
    MERGES = 4,
    GAINS = 9,
    PIECE = 16 /* cells that are spelled together */
};

/* ---- Tensors --------------------------------------------------------------------------------- */

void reading_list(struct bridge_taker *to, const struct bridge_options *o, bool reader) {
    letters_list(to, o, reader);
    bridge_take_linear(to, "spell", o->hidden, LETTERS_SEEN * o->reading.embedding, 1,
                       "bridge.spell.0");
    bridge_take_linear(to, "spell", o->width, o->hidden, o->scale, "bridge.spell.1");
    merge_list(to, o, MERGES, GAINS, 0);
}

/* ---- The network ----------------------------------------------------------------------------- */

struct reading {
    struct bridge_options options;
    struct tape_source source;
    struct letters letters;
    int64_t expand;
};

/* gelu(spell.0 ..) of characters: (count, hidden). */
static struct node *inner(const struct reading *r, struct tape *t, int64_t first, int64_t count) {
    struct node *x = letters_windows(&r->letters, t, first, count);
    return tape_gelu(t, tape_named_linear(&r->source, t, x, "bridge.", "spell.0"));
}

/* Rows of `counts` numbers times a vector: (counts, width). */
static struct node *times(struct tape *t, const float *counts, int64_t rows, struct node *vector) {
    void *numbers = (void *)(uintptr_t)counts; /* only read */
    const struct tensor host = tensor_matrix(numbers, DTYPE_F32, NULL, rows, 1);
    const struct tensor on_device = tape_upload(t, &host);
    if (vector == NULL || on_device.data == NULL) {
        return NULL;
    }
    struct node *column = tape_matrix(t, vector, tensor_count(&vector->value), 1);
    return tape_linear(t, tape_input(t, &on_device, NULL), column, NULL);
}

/* The sums of what is spelled of visual tokens [i, ..), as many as x has rows: (leaves, width). The
 * last map, which is the same for all characters, comes after the sum. */
static struct node *leaves(struct tape *t, struct node *x, int64_t i, const void *context) {
    const struct reading *r = context;
    const struct letters *l = &r->letters;
    const int64_t rows = tensor_rows(&x->value) * l->cells * LEAVES, before = i * l->cells * LEAVES;
    const int64_t begin = l->first[i], count = l->first[i + tensor_rows(&x->value)] - begin;
    int32_t *places = tape_host(t, (size_t)count + 1, sizeof *places);
    float *counts = tape_host(t, (size_t)rows, sizeof *counts);
    if (places == NULL || counts == NULL) {
        return NULL;
    }
    for (int64_t k = 0; k < count; k++) {
        places[k] = (int32_t)(l->columns[begin + k] / LEAF_COLUMNS - before);
        counts[places[k]]++;
    }
    const struct tensor index = tape_upload_numbers(t, places, count);
    struct node *sums = tape_scatter(t, inner(r, t, begin, count), &index, rows);
    struct node *weight = tape_named(&r->source, t, "bridge.spell.1.weight");
    struct node *bias = tape_named(&r->source, t, "bridge.spell.1.bias");
    struct node *y = tape_add(t, tape_linear(t, sums, weight, NULL), times(t, counts, rows, bias));
    /* kept for the backward pass: stored as the tape stores */
    return tape_splice(t, &y, 1, &(struct tape_splice_run){0, 0, rows}, 1);
}

/* Leaves to soft tokens. */
static struct node *merged(struct tape *t, struct node *s, int64_t i, const void *context) {
    const struct reading *r = context;
    const int64_t wanted = tensor_rows(&s->value) / (r->letters.cells * LEAVES) * r->expand;
    int level = 0;
    (void)i;
    for (; s != NULL && tensor_rows(&s->value) > wanted; level++) {
        s = merge_pairs(&r->source, t, s, r->options.width, level, MERGES);
    }
    return merge_end(&r->source, t, s, level, GAINS);
}

/* In two parts: where spelling is not trained, it is computed once. */
struct node *reading_network(const struct bridge_options *o, const struct tape_source *source,
                             struct tape *t, const struct bridge_group *group, int64_t expand) {
    struct reading r = {.options = *o, .source = *source, .expand = expand};
    assert(expand <= LEAVES && o->dim % ((int64_t)1 << group->bucket) == 0);
    if (!letters_see(&r.letters, o, source, t, group)) {
        return NULL;
    }
    const int64_t cells = r.letters.cells, tokens = bridge_together(t, PIECE, cells);
    struct node *s = tape_pieces(t, group->x, tokens, leaves, &r, sizeof r);
    return tape_pieces(t, s, tokens * cells * LEAVES, merged, &r, sizeof r);
}

/* ---- Character by character ------------------------------------------------------------------ */

bool bridge_spell_windows(const struct bridge_options *o, const struct tape_source *source,
                          struct tape *t, const struct bridge_group *group,
                          struct bridge_spelling *out) {
    struct letters l;
    assert(o->kind == BRIDGE_READING);
    *out = (struct bridge_spelling){.windows = NULL};
    if (!letters_see(&l, o, source, t, group)) {
        return false;
    }
    int32_t *cells = tape_host(t, (size_t)l.count + 1, sizeof *cells);
    for (int64_t i = 0; i < l.count && cells != NULL; i++) {
        cells[i] = l.columns[i] / LETTERS_COLUMNS;
    }
    *out = (struct bridge_spelling){
        .windows = letters_windows(&l, t, 0, l.count), .characters = l.count, .cells = cells};
    return tape_status(t, NULL) == 0;
}

struct node *bridge_spell(const struct tape_source *source, struct tape *t, struct node *windows) {
    struct node *y = tape_gelu(t, tape_named_linear(source, t, windows, "bridge.", "spell.0"));
    return tape_named_linear(source, t, y, "bridge.", "spell.1");
}
