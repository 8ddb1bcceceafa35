/* match_means.c - soft tokens that are to be means of embeddings: see match.h. */
#include <stdlib.h>

#include "store/random.h"
#include "train/align/match.h"

/* The soft tokens of parts that show text, (count, width). */
static struct node *soft_tokens(const struct match_worker *w, struct tape *t,
                                const struct tape_source *source, const struct span_pairs *pairs) {
    const struct bridge_options *bridge = &w->task->network->bridge;
    void *numbers = (void *)(uintptr_t)pairs->visual.numbers; /* only read */
    const struct tensor host =
        tensor_matrix(numbers, DTYPE_F32, NULL, pairs->visual.count, bridge->dim);
    int32_t *places = tape_host(t, (size_t)pairs->count, sizeof *places);
    for (int64_t i = 0; i < pairs->count && places != NULL; i++) {
        places[i] = BRIDGE_MARKS + pairs->parts[i];
    }
    const struct tensor x = tape_upload(t, &host);
    const struct tensor index = tape_upload_numbers(t, places, pairs->count);
    if (tape_status(t, NULL) < 0) {
        return NULL;
    }
    const struct bridge_group group = {.bucket = pairs->visual.bucket,
                                       .x = tape_input(t, &x, NULL)};
    struct node *all = bridge_network(bridge, source, t, NULL, &group, 1, pairs->expand, 0, NULL);
    return all != NULL ? tape_gather(t, all, &index) : NULL;
}

static int match(struct match_worker *w, const struct span_pairs *pairs,
                 const struct trainer_pass *pass, double scale, struct match_sums *sums,
                 struct error *e) {
    const struct align_network *n = w->task->network;
    const struct decoder_parts parts = decoder_parts(n->base);
    const struct context_network none = {.bridge = NULL};
    const int64_t width = n->config->width, count = pairs->count * width;
    struct tape *t = pass->tape;
    tape_begin(t);
    float *soft = match_room(w, t, MATCH_SOFT, count), *aims = match_room(w, t, MATCH_AIMS, count);
    float *gradient = match_room(w, t, MATCH_GRADIENT, count);
    struct node *x = soft_tokens(w, t, pass->parameters, pairs);
    match_fetch(w, t, x, soft);
    match_fetch(w, t, context_embed(&none, &parts, t, &pairs->text), aims);
    if (tape_status(t, e) < 0) {
        return tape_status(t, e);
    }
    match_rows(sums, soft, aims, pairs->count, width, n->bridge.scale * n->bridge.scale,
               (float)(scale / (double)pairs->count), scale > 0 ? gradient : NULL);
    if (scale == 0) {
        return 0;
    }
    const struct tensor host = tensor_matrix(gradient, DTYPE_F32, NULL, pairs->count, width);
    const struct tensor from = tape_upload(t, &host);
    if (from.data != NULL) {
        tape_backward_from(t, x, &from);
    }
    return tape_backward(t, e);
}

int match_means(struct match_worker *w, enum corpus_set set, uint64_t number,
                const struct trainer_pass *pass, double scale, struct match_sums *sums,
                struct error *e) {
    const struct align_options *o = w->task->network->options;
    const uint64_t random = random_stream(o->seed + (uint64_t)set, number);
    struct span_pairs pairs;
    int rc = span_pairs(w->rows, set, o->expand, MATCH_CELLS, o->halved, random, &pairs, e);
    return rc == 0 && pairs.count > 0 ? match(w, &pairs, pass, scale, sums, e) : rc;
}

/* As many visual tokens as a sample may have, and some text under each soft token. */
int match_means_rehearse(struct match_worker *w, const struct trainer_pass *pass, struct error *e) {
    enum { PARTS = MATCH_CELLS * BRIDGE_EXPAND, TEXT = 16 };
    static const int32_t IDS[TEXT] = {0};
    const struct align_network *n = w->task->network;
    const int64_t expand = n->bridge.expand, count = MATCH_CELLS * expand;
    struct context_pool pools[PARTS];
    int32_t parts[PARTS], inputs[PARTS];
    for (int32_t i = 0; i < PARTS; i++) {
        pools[i] = (struct context_pool){.first = 0, .count = TEXT};
        parts[i] = i;
        inputs[i] = -1 - i;
    }
    float *numbers = calloc((size_t)(MATCH_CELLS * n->bridge.dim), sizeof *numbers);
    const struct span_pairs pairs = {
        .visual = {.count = MATCH_CELLS, .numbers = numbers},
        .expand = expand,
        .count = count,
        .parts = parts,
        .text = {
            .inputs = inputs, .tokens = count, .pools = pools, .pool_count = count, .pooled = IDS}};
    struct match_sums sums = {.rows = 0};
    int rc = numbers != NULL ? match(w, &pairs, pass, 1, &sums, e) : error_memory(e, NULL);
    free(numbers);
    return rc;
}
