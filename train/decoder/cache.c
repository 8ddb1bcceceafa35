/* cache.c - see cache.h. */
#include "train/decoder/cache.h"

#include <stdlib.h>

int decoder_cache_open(struct decoder_cache *cache, struct device *device,
                       const struct decoder_config *c, int64_t sequences, int64_t positions,
                       struct error *e) {
    int64_t rows;
    *cache = (struct decoder_cache){
        .device = device, .config = c, .sequences = sequences, .positions = positions};
    if (__builtin_mul_overflow(c->layers * c->kv_heads, sequences, &rows)) {
        return error_memory(e, "keys and values");
    }
    cache->keys = cache->values =
        tensor_of(NULL, device->compute, NULL, TENSOR_SHAPE(1, rows, positions, c->head_dim));
    cache->lengths = calloc((size_t)sequences, sizeof *cache->lengths);
    cache->places = calloc((size_t)sequences, sizeof *cache->places);
    int rc = cache->lengths != NULL && cache->places != NULL ? 0 : ERR_MEMORY;
    rc = rc == 0 ? device->ops->alloc(device, &cache->keys, e) : rc;
    rc = rc == 0 ? device->ops->alloc(device, &cache->values, e) : rc;
    if (rc < 0) {
        decoder_cache_close(cache);
        return rc == ERR_MEMORY ? error_memory(e, "keys and values") : rc;
    }
    return 0;
}

void decoder_cache_close(struct decoder_cache *cache) {
    if (cache->device != NULL) {
        cache->device->ops->release(cache->device, &cache->keys);
        cache->device->ops->release(cache->device, &cache->values);
    }
    free(cache->lengths);
    free(cache->places);
    *cache = (struct decoder_cache){.device = NULL};
}

/* (1, count, kv_heads, head_dim): positions [first, first + count) of a sequence. */
static struct tensor part_of(const struct decoder_cache *cache, const struct tensor *all,
                             int64_t layer, int64_t place, int64_t first, int64_t count) {
    const struct decoder_config *c = cache->config;
    const int64_t row = (layer * cache->sequences + place) * c->kv_heads;
    const struct tensor heads = tensor_slice(all, 1, row, c->kv_heads);
    struct tensor part = tensor_slice(&heads, 2, first, count);
    part.shape[1] = count;
    part.shape[2] = c->kv_heads;
    part.stride[1] = heads.stride[2];
    part.stride[2] = heads.stride[1];
    return part;
}

/* Tokens [first, first + count) of the input go on sequence `place`. */
static int attend(const struct decoder_cache *cache, const struct tensor *out, int64_t layer,
                  int64_t place, const struct tensor *q, const struct tensor *k,
                  const struct tensor *v, struct error *e) {
    struct device *d = cache->device;
    const int64_t start = cache->lengths[place], count = q->shape[1];
    const struct tensor new_keys = part_of(cache, &cache->keys, layer, place, start, count);
    const struct tensor new_values = part_of(cache, &cache->values, layer, place, start, count);
    const struct tensor keys = part_of(cache, &cache->keys, layer, place, 0, start + count);
    const struct tensor values = part_of(cache, &cache->values, layer, place, 0, start + count);
    const struct attention_options o = {.causal = true, .start = start};
    int rc = d->ops->copy(d, &new_keys, k, e);
    rc = rc == 0 ? d->ops->copy(d, &new_values, v, e) : rc;
    return rc == 0 ? d->ops->attention(d, out, NULL, q, &keys, &values, &o, e) : rc;
}

struct node *decoder_cache_attend(const struct decoder_cache *cache, struct tape *t, int64_t layer,
                                  const struct node *q, const struct node *k, const struct node *v,
                                  const struct tensor *offsets) {
    struct error e;
    if (q == NULL || k == NULL || v == NULL) {
        return NULL;
    }
    const int32_t *first = offsets->data;
    const int64_t *size = q->value.shape;
    const struct tensor like = tensor_matrix(NULL, q->value.type, NULL, size[1], size[2] * size[3]);
    const struct tensor out = tape_space(t, &like);
    if (out.data == NULL) {
        return NULL;
    }
    const struct tensor heads = tensor_heads(&out, 1, 0, size[2], size[3]);
    int rc = 0;
    for (int64_t i = 0; i < tensor_count(offsets) - 1 && rc == 0; i++) {
        const int64_t count = first[i + 1] - first[i];
        const struct tensor to = tensor_slice(&heads, 1, first[i], count);
        const struct tensor qs = tensor_slice(&q->value, 1, first[i], count);
        const struct tensor ks = tensor_slice(&k->value, 1, first[i], count);
        const struct tensor vs = tensor_slice(&v->value, 1, first[i], count);
        rc = attend(cache, &to, layer, cache->places[i], &qs, &ks, &vs, &e);
    }
    tape_fail(t, rc, &e);
    return rc == 0 ? tape_input(t, &out, NULL) : NULL;
}
