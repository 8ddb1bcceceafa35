/* row.h - sequences whose inputs are text tokens, marks and soft tokens; and how they become
 * embeddings on a tape. Made by layout.h (context and target) and by train/align/ (spans to read).
 */
#ifndef OCC_TRAIN_CONTEXT_ROW_H
#define OCC_TRAIN_CONTEXT_ROW_H

#include "train/context/bridge.h"
#include "train/decoder/network.h"

/* Visual tokens of a row, of one bucket. */
struct context_visual {
    int bucket;
    int64_t count;
    const float *numbers; /* (count, dim) */
    const bool *begins;   /* (count): a run of cells of one page begins; NULL: only the first */
};
/* Text tokens under one input, which stand for it as the mean of their embeddings (pooled text). */
struct context_pool {
    int64_t first, count; /* of `pooled` */
};
struct context_row {
    /* (tokens): the id of a text token; or -1 - i, where i is: a mark below BRIDGE_MARKS; then the
     * soft tokens, in the order of bridge_network; then the pools. */
    const int32_t *inputs;
    const int32_t *labels;    /* (tokens): the token to be foreseen after each; -1: none */
    const int32_t *positions; /* (tokens) */
    const int32_t *offsets;   /* (sequences + 1) */
    int64_t tokens, sequences, targets;
    const struct context_visual *visual; /* in order of the buckets, each once */
    int64_t visual_count;
    int64_t expand; /* soft tokens of a visual one */
    const struct context_pool *pools;
    int64_t pool_count;
    const int32_t *pooled; /* ids */
};

/* The embeddings of a row, (tokens, width). `source`: the bridge's parameters; `bridge` NULL: the
 * row has neither marks nor soft tokens. */
struct context_network {
    const struct bridge_options *bridge;
    const struct tape_source *source;
    float balance;                  /* scale of the experts' balance term */
    struct bridge_routing *routing; /* NULL: not wanted */
};
struct node *context_embed(const struct context_network *n, const struct decoder_parts *parts,
                           struct tape *t, const struct context_row *row);
/* The same with visual tokens that are nodes already (the encoder's, on this tape): groups as
 * bridge_network takes them, in the place of row->visual. */
struct node *context_embed_groups(const struct context_network *n,
                                  const struct decoder_parts *parts, struct tape *t,
                                  const struct context_row *row, const struct bridge_group *groups,
                                  size_t count);

#endif
