/* network.c - see network.h. */
#include "train/decoder/network.h"

#include <stdlib.h>

#include "train/decoder/cache.h"

/* What the blocks share; copied by the tape. */
struct pass {
    const struct decoder_config *config;
    struct decoder_parts parts;
    struct tensor frequency, positions;
    const struct tensor *offsets;
    const struct decoder_cache *cache;
};

static struct node *project(const struct pass *p, struct tape *t, struct node *x, int64_t layer,
                            enum decoder_matrix which) {
    const struct decoder_parts *parts = &p->parts;
    const void *context = parts->matrices != NULL ? parts->matrices : parts->context;
    return x != NULL ? parts->project(context, t, x, layer, which) : NULL;
}

static struct node *norm(const struct pass *p, struct tape *t, struct node *x,
                         enum decoder_gain which, int64_t layer) {
    return tape_rms_norm(t, x, p->parts.gain(p->parts.context, t, which, layer),
                         (float)p->config->eps);
}

/* A projection as (1, tokens, heads, head_dim). */
static struct node *heads_of(const struct pass *p, struct tape *t, struct node *x, int64_t layer,
                             enum decoder_matrix which) {
    const struct decoder_config *c = p->config;
    return tape_heads(t, project(p, t, x, layer, which), 1, 0,
                      which == DECODER_Q ? c->heads : c->kv_heads, c->head_dim);
}

static struct node *attend(const struct pass *p, struct tape *t, struct node *x, int64_t layer) {
    const struct rotary_options o = {.dims = p->config->head_dim, .frequency = &p->frequency};
    struct node *q = tape_rotary(t, heads_of(p, t, x, layer, DECODER_Q), &p->positions, &o);
    struct node *k = tape_rotary(t, heads_of(p, t, x, layer, DECODER_K), &p->positions, &o);
    struct node *v = heads_of(p, t, x, layer, DECODER_V);
    if (p->cache != NULL) {
        return decoder_cache_attend(p->cache, t, layer, q, k, v, p->offsets);
    }
    return tape_attention(t, q, k, v,
                          &(struct tape_attention){.causal = true, .offsets = p->offsets});
}

/* What each token does by itself. */
static struct node *feed_forward(struct tape *t, struct node *x, int64_t layer,
                                 const void *context) {
    const struct pass *p = context;
    struct node *y = norm(p, t, x, GAIN_MLP, layer);
    struct node *gate = project(p, t, y, layer, DECODER_GATE);
    y = tape_swiglu(t, gate, project(p, t, y, layer, DECODER_UP));
    return tape_add(t, x, project(p, t, y, layer, DECODER_DOWN));
}

static struct node *block(struct tape *t, struct node *x, int64_t layer, const void *context) {
    const struct pass *p = context;
    struct node *y = attend(p, t, norm(p, t, x, GAIN_ATTENTION, layer), layer);
    x = tape_add(t, x, project(p, t, y, layer, DECODER_O));
    return tape_tail(t, x, feed_forward, layer, context);
}

int decoder_frequency_table(struct tensor *out, struct device *d, const struct decoder_config *c,
                            struct error *e) {
    const int64_t pairs = c->head_dim / 2;
    float *values = calloc((size_t)pairs, sizeof *values);
    *out = tensor_vector(NULL, DTYPE_F32, NULL, pairs);
    if (values == NULL) {
        return error_memory(e, NULL);
    }
    decoder_frequencies(c, values);
    const struct tensor host = tensor_vector(values, DTYPE_F32, NULL, pairs);
    int rc = d->ops->alloc(d, out, e);
    rc = rc == 0 ? d->ops->upload(d, out, &host, e) : rc;
    rc = rc == 0 ? d->ops->synchronize(d, e) : rc;
    free(values);
    return rc;
}

struct node *decoder_network(const struct decoder_config *c, const struct decoder_parts *parts,
                             struct tape *t, const struct tensor *frequency,
                             const struct decoder_input *in) {
    if (in->x == NULL || in->positions->data == NULL) {
        return NULL;
    }
    const struct pass p = {c, *parts, *frequency, *in->positions, in->offsets, in->cache};
    return norm(&p, t, tape_blocks(t, in->x, c->layers, block, &p, sizeof p), GAIN_FINAL, 0);
}

/* ---- Parts of a source of parameters --------------------------------------------------------- */

static struct node *named(const struct decoder_source *s, struct tape *t, const char *name) {
    return tape_named(s->source, t, "%s", name);
}

static struct node *head_of(const struct decoder_source *s, struct tape *t) {
    return named(s, t, s->config->tied ? DECODER_EMBEDDING : DECODER_HEAD);
}

static struct node *source_embed(const void *context, struct tape *t, const struct tensor *ids) {
    return tape_gather(t, named(context, t, DECODER_EMBEDDING), ids);
}

static struct node *source_gain(const void *context, struct tape *t, enum decoder_gain which,
                                int64_t layer) {
    char name[TENSOR_SPEC_NAME];
    decoder_gain_name(name, which, layer);
    return named(context, t, name);
}

static struct node *source_project(const void *context, struct tape *t, struct node *x,
                                   int64_t layer, enum decoder_matrix which) {
    const struct decoder_source *s = context;
    char name[TENSOR_SPEC_NAME];
    decoder_weight_name(name, layer, which);
    return tape_linear(t, x, named(s, t, name), NULL);
}

static struct node *source_logits(const void *context, struct tape *t, struct node *x) {
    return tape_linear(t, x, head_of(context, t), NULL);
}

static void source_classify(const void *context, struct tape *t, struct node *x,
                            const struct tensor *labels, float scale, const struct tensor *loss) {
    tape_classify(t, x, head_of(context, t), NULL, labels, scale, loss);
}

struct decoder_parts decoder_source_parts(const struct decoder_source *s) {
    return (struct decoder_parts){.context = s,
                                  .embed = source_embed,
                                  .gain = source_gain,
                                  .project = source_project,
                                  .logits = source_logits,
                                  .classify = source_classify};
}
