/* score.c - see score.h. */
#include "train/align/score.h"

#include <stdlib.h>
#include <string.h>

#include "compress/ops.h"

enum { AT_ONCE = 64 /* targets whose logits are there at the same time */ };

void score_sums_add(struct score_sums *to, const struct score_sums *from) {
    to->loss += from->loss;
    to->targets += from->targets;
    to->tokens += from->tokens;
    to->rows += from->rows;
    to->right += from->right;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

int score_open(struct score *s, struct device *d, const struct decoder_config *c, int64_t row,
               struct error *e) {
    *s = (struct score){.config = c, .device = d};
    s->loss = tensor_vector(NULL, DTYPE_F32, NULL, 1);
    s->states = tensor_matrix(NULL, DTYPE_F32, NULL, row, c->width);
    int rc = decoder_frequency_table(&s->frequency, d, c, e);
    rc = rc == 0 ? d->ops->alloc(d, &s->loss, e) : rc;
    rc = rc == 0 ? d->ops->alloc(d, &s->states, e) : rc;
    return rc == 0 ? d->ops->fill(d, &s->loss, 0, e) : rc;
}

void score_close(struct score *s) {
    if (s->device != NULL) {
        s->device->ops->release(s->device, &s->frequency);
        s->device->ops->release(s->device, &s->loss);
        s->device->ops->release(s->device, &s->states);
    }
}

/* ---- Forward and back ------------------------------------------------------------------------ */

/* The states that the head reads, (tokens, width), and their loss; NULL: the tape has failed. */
static struct node *forward(struct score *s, const struct context_network *network,
                            const struct decoder_parts *parts, struct tape *t,
                            const struct context_row *row, const struct tensor *offsets,
                            float scale) {
    const struct tensor positions = tape_upload_numbers(t, row->positions, row->tokens);
    const struct tensor labels = tape_upload_numbers(t, row->labels, row->tokens);
    if (positions.data == NULL || labels.data == NULL) {
        return NULL;
    }
    const struct decoder_input in = {
        .x = context_embed(network, parts, t, row), .positions = &positions, .offsets = offsets};
    struct node *y = decoder_network(s->config, parts, t, &s->frequency, &in);
    if (y != NULL) {
        parts->classify(parts->context, t, y, &labels, scale, &s->loss);
    }
    return y;
}

static struct tensor offsets_of(const struct context_row *row) {
    return tensor_vector((void *)(uintptr_t)row->offsets, DTYPE_I32, NULL, row->sequences + 1);
}

/* Sums of many rows want more digits than a float has: each is fetched. */
static int add_row(struct score *s, const struct context_row *row, struct score_sums *sums,
                   struct error *e) {
    struct device *d = s->device;
    float loss = 0;
    const struct tensor host = tensor_vector(&loss, DTYPE_F32, NULL, 1);
    int rc = d->ops->download(d, &host, &s->loss, e);
    rc = rc == 0 ? d->ops->fill(d, &s->loss, 0, e) : rc;
    sums->loss += (double)loss;
    sums->targets += row->targets;
    sums->tokens += row->tokens;
    sums->rows++;
    return rc;
}

int score_learn(struct score *s, const struct context_network *network,
                const struct decoder_parts *parts, struct tape *t, const struct context_row *row,
                float scale, struct score_sums *sums, struct error *e) {
    const struct tensor offsets = offsets_of(row);
    tape_begin(t);
    forward(s, network, parts, t, row, &offsets, scale);
    int rc = tape_backward(t, e);
    return rc == 0 ? add_row(s, row, sums, e) : rc;
}

/* ---- The likeliest tokens -------------------------------------------------------------------- */

/* The rows that have a label, in the order of the row: their states, and the labels. */
static struct node *labelled(struct tape *t, struct node *y, const struct context_row *row,
                             int32_t *labels) {
    int32_t *places = tape_host(t, (size_t)row->targets, sizeof *places);
    int64_t count = 0;
    for (int64_t i = 0; i < row->tokens && places != NULL; i++) {
        if (row->labels[i] >= 0) {
            places[count] = (int32_t)i;
            labels[count++] = row->labels[i];
        }
    }
    const struct tensor index = tape_upload_numbers(t, places, count);
    return index.data != NULL ? tape_gather(t, y, &index) : NULL;
}

/* The tape's memory ends with each piece of them. */
static int count_right(struct score *s, const struct decoder_parts *parts, struct tape *t,
                       int64_t first, int64_t count, const int32_t *labels, int64_t *right,
                       struct error *e) {
    struct device *d = s->device;
    int32_t found[AT_ONCE];
    struct error failure;
    tape_begin(t);
    const struct tensor states = tensor_row_range(&s->states, first, count);
    struct node *logits = parts->logits(parts->context, t, tape_input(t, &states, NULL));
    const struct tensor like = tensor_matrix(NULL, DTYPE_I32, NULL, count, 1);
    const struct tensor places = tape_space(t, &like);
    if (logits == NULL || places.data == NULL) {
        return tape_status(t, e);
    }
    tape_fail(t, d->ops->top_k(d, NULL, &places, &logits->value, &failure), &failure);
    const struct tensor host = tensor_matrix(found, DTYPE_I32, NULL, count, 1);
    tape_fail(t, d->ops->download(d, &host, &places, &failure), &failure);
    tape_fail(t, d->ops->synchronize(d, &failure), &failure);
    int rc = tape_status(t, e);
    for (int64_t i = 0; i < count && rc == 0; i++) {
        *right += found[i] == labels[i];
    }
    return rc;
}

int score_measure(struct score *s, const struct context_network *network,
                  const struct decoder_parts *parts, struct tape *t, const struct context_row *row,
                  struct score_sums *sums, struct error *e) {
    const struct tensor offsets = offsets_of(row);
    struct error failure;
    int32_t *labels = malloc((size_t)(row->targets + 1) * sizeof *labels);
    int rc = labels != NULL ? 0 : error_memory(e, NULL);
    if (rc == 0) {
        tape_begin(t);
        struct node *y = forward(s, network, parts, t, row, &offsets, 0);
        y = y != NULL ? labelled(t, y, row, labels) : NULL;
        if (y != NULL) {
            const struct tensor room = tensor_row_range(&s->states, 0, row->targets);
            tape_fail(t, s->device->ops->copy(s->device, &room, &y->value, &failure), &failure);
        }
        rc = tape_status(t, e);
    }
    rc = rc == 0 ? add_row(s, row, sums, e) : rc;
    for (int64_t i = 0; i < row->targets && rc == 0; i += AT_ONCE) {
        const int64_t count = row->targets - i < AT_ONCE ? row->targets - i : AT_ONCE;
        rc = count_right(s, parts, t, i, count, labels + i, &sums->right, e);
    }
    free(labels);
    return rc;
}
