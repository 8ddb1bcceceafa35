/* network.h - the decoder on a tape, written once: for training, for generation (a tape that
 * records nothing), with or without adapters. */
#ifndef OCC_TRAIN_DECODER_NETWORK_H
#define OCC_TRAIN_DECODER_NETWORK_H

#include "train/decoder/config.h"
#include "train/tape/source.h"

/* What the decoder multiplies with: frozen matrices (decoder.h), trained parameters, or either with
 * adapters (train/lora/lora.h wraps other parts). What `context` points to outlives the backward
 * pass. Failures are the tape's. */
struct decoder_parts {
    const void *context;
    const void *matrices; /* what `project` is given in the place of context; NULL: context */
    /* Rows of the embedding: ids I32 (tokens), of the device, as in tape_gather. */
    struct node *(*embed)(const void *context, struct tape *t, const struct tensor *ids);
    struct node *(*gain)(const void *context, struct tape *t, enum decoder_gain which,
                         int64_t layer);
    /* x W^T of a block's matrix. */
    struct node *(*project)(const void *context, struct tape *t, struct node *x, int64_t layer,
                            enum decoder_matrix which);
    /* The head: its logits, (rows, vocabulary), stored as the tape stores; or its loss, as in
     * tape_classify. */
    struct node *(*logits)(const void *context, struct tape *t, struct node *x);
    void (*classify)(const void *context, struct tape *t, struct node *x,
                     const struct tensor *labels, float scale, const struct tensor *loss);
};
/* Parts of a source of parameters under the names of decoder_config_list: for training in full.
 * The source and the configuration outlive the parts. */
struct decoder_source {
    const struct tape_source *source;
    const struct decoder_config *config;
};
struct decoder_parts decoder_source_parts(const struct decoder_source *s);

/* Keys and values of all layers of one sequence each, for generation: see session.c. */
struct decoder_cache;

/* Sequences one after the other. */
struct decoder_input {
    struct node *x;                 /* embeddings (tokens, width) */
    const struct tensor *positions; /* I32 (tokens), of the device */
    const struct tensor *offsets;   /* I32 (sequences + 1), of the host, until after the backward */
    struct decoder_cache *cache;    /* NULL: none */
};
/* decoder_frequencies as the network reads them: F32 (head_dim / 2) of the device. The caller
 * releases *out, after a failure, too. */
int decoder_frequency_table(struct tensor *out, struct device *d, const struct decoder_config *c,
                            struct error *e);
/* The states after the last norm, (tokens, width): what the head reads. */
struct node *decoder_network(const struct decoder_config *c, const struct decoder_parts *parts,
                             struct tape *t, const struct tensor *frequency,
                             const struct decoder_input *in);

#endif
