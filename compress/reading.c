/* reading.c - see reading.h. */
#include "compress/reading.h"

#include <math.h>
#include <stdio.h>

struct pair_context {
    tensor_spec_take *take;
    void *context;
    const char *group, *prefix;
    double share; /* of the usual size that a matrix begins with */
    int rc;
    struct error *e;
};

/* A matrix (outputs, inputs) and its bias. */
static void list_pair(struct pair_context *l, const char *name, int64_t outputs, int64_t inputs) {
    struct tensor_spec weight =
        tensor_spec_of(TENSOR_MATRIX, l->group, TENSOR_SPEC_SHAPE(outputs, inputs));
    struct tensor_spec bias = tensor_spec_of(TENSOR_BIAS, l->group, TENSOR_SPEC_SHAPE(outputs));
    weight.rate = config_rate(inputs);
    weight.deviation *= l->share;
    snprintf(weight.name, sizeof weight.name, "%s%s.weight", l->prefix, name);
    snprintf(bias.name, sizeof bias.name, "%s%s.bias", l->prefix, name);
    if (l->rc == 0) {
        l->rc = l->take(l->context, &weight, l->e);
    }
    if (l->rc == 0) {
        l->rc = l->take(l->context, &bias, l->e);
    }
}

static void list_trunk(struct pair_context *l, const struct reading_config *c, int64_t dim) {
    struct tensor_spec level =
        tensor_spec_of(TENSOR_TABLE, l->group, TENSOR_SPEC_SHAPE(c->nested + 1, dim));
    snprintf(level.name, sizeof level.name, "%slevel.weight", l->prefix);
    if (l->rc == 0) {
        l->rc = l->take(l->context, &level, l->e);
    }
    list_pair(l, "trunk.0", c->trunk, dim);
    l->share = sqrt(0.5); /* it ends a residual branch */
    list_pair(l, "trunk.1", dim, c->trunk);
    l->share = 1;
}

struct reading_config reading_without_trunk(const struct reading_config *c) {
    struct reading_config own = *c;
    own.trunk = own.nested = 0;
    return own;
}

int64_t reading_stretch(const struct reading_config *c, int column_offsets, int64_t steps) {
    return c->cells ? READING_STEPS / column_offsets : steps;
}

int reading_tensors(const struct reading_config *c, const char *prefix, int64_t dim, int64_t rows,
                    int64_t steps, tensor_spec_take *take, void *context, struct error *e) {
    struct pair_context l = {.take = take,
                             .context = context,
                             .group = READING_GROUP,
                             .prefix = prefix,
                             .share = 1,
                             .e = e};
    if (c->trunk > 0) {
        list_trunk(&l, c, dim);
    }
    list_pair(&l, "unfold", rows * steps * c->channels, dim);
    list_pair(&l, "mix", c->hidden, reading_seen(c) * c->channels);
    list_pair(&l, "presence", 2 * READING_COLUMNS, c->hidden);
    list_pair(&l, "character", READING_COLUMNS * c->embedding, c->hidden);
    list_pair(&l, "class", c->classes, c->embedding);
    return l.rc;
}

int merge_tensors(int64_t dim, tensor_spec_take *take, void *context, struct error *e) {
    struct pair_context l = {
        .take = take, .context = context, .group = MERGE_GROUP, .share = 1, .e = e};
    l.prefix = "merge.";
    list_pair(&l, "columns", dim, 2 * dim);
    list_pair(&l, "rows", dim, 2 * dim);
    l.prefix = "unmerge.";
    list_pair(&l, "columns", 2 * dim, dim);
    list_pair(&l, "rows", 2 * dim, dim);
    return l.rc;
}

void reading_place(const struct reading_grid *g, int64_t row, int64_t step, int32_t *first,
                   int32_t *second) {
    int64_t start = row / g->down * g->columns, inner = row % g->down * g->across;
    int64_t cells = g->down * g->across;
    int64_t token = step / g->across * g->column_offsets;
    *first = *second = (int32_t)((start + token) * cells + inner + step % g->across);
    int64_t half = g->across / 2;
    if (g->column_offsets == 2 && step >= half) {
        int64_t shifted = step - half;
        token = shifted / g->across * 2 + 1;
        *second = (int32_t)((start + token) * cells + inner + shifted % g->across);
    }
}

/* The middle of a character that lies between two columns makes both unsure. So a stretch of
 * columns that may each hold one holds as many as their probabilities add up to, in its likeliest
 * columns. These become negative. */
static void take_stretch(float *presence, int64_t first, int64_t end) {
    float sum = 0;
    for (int64_t i = first; i < end; i++) {
        sum += presence[i];
    }
    for (long count = lroundf(sum); count > 0; count--) {
        int64_t best = first;
        for (int64_t i = first; i < end; i++) {
            best = presence[i] > presence[best] ? i : best;
        }
        presence[best] = -presence[best];
    }
}

void reading_columns(float *pairs, int64_t width, int64_t stretch) {
    static const float FAINT = 0.05f;
    for (int64_t i = 0; i < width; i++) { /* in place */
        pairs[i] = 1 / (1 + expf(pairs[2 * i] - pairs[2 * i + 1]));
    }
    for (int64_t i = 0; i < width;) {
        const int64_t next = (i / stretch + 1) * stretch, edge = next < width ? next : width;
        int64_t end = i;
        while (end < edge && pairs[end] > FAINT) {
            end++;
        }
        take_stretch(pairs, i, end);
        i = end > i ? end : i + 1;
    }
}
