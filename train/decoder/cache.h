/* cache.h - the keys and values of sequences that grow, of all layers: what network.c reads and
 * session.c keeps. */
#ifndef OCC_TRAIN_DECODER_CACHE_H
#define OCC_TRAIN_DECODER_CACHE_H

#include "train/decoder/config.h"
#include "train/tape/tape.h"

/* Keys and values: (layers * sequences * kv_heads, positions, head_dim) in the type that the device
 * computes in, so that a head's lie one after the other. */
struct decoder_cache {
    struct device *device;
    const struct decoder_config *config;
    int64_t sequences, positions;
    struct tensor keys, values;
    int64_t *lengths; /* tokens of each sequence whose keys and values are there */
    /* The input that goes through the network: sequence i of it goes on sequence places[i]. */
    int64_t *places;
};

int decoder_cache_open(struct decoder_cache *cache, struct device *device,
                       const struct decoder_config *c, int64_t sequences, int64_t positions,
                       struct error *e);
void decoder_cache_close(struct decoder_cache *cache); /* {0} is allowed */

/* Puts keys and values of new tokens behind those that are there, and lets q see all: q (1, tokens,
 * heads, head_dim), k, v (1, tokens, kv_heads, head_dim), sequences one after the other as
 * `offsets` says. Gives a matrix (tokens, heads * head_dim). Lengths stay as they are: all layers
 * come first. */
struct node *decoder_cache_attend(const struct decoder_cache *cache, struct tape *t, int64_t layer,
                                  const struct node *q, const struct node *k, const struct node *v,
                                  const struct tensor *offsets);

#endif
