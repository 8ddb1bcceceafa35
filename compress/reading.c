/* reading.c - see reading.h. */
#include "compress/reading.h"

#include <stdio.h>

struct listing {
    int (*take)(void *context, const struct config_tensor *t, struct error *e);
    void *context;
    int rc;
    struct error *e;
};

/* A matrix (outputs, inputs) and its bias. */
static void list_pair(struct listing *l, const char *prefix, const char *name, int64_t outputs,
                      int64_t inputs) {
    struct config_tensor weight = {.rank = 2, .shape = {outputs, inputs}};
    struct config_tensor bias = {.rank = 1, .shape = {outputs}};
    snprintf(weight.name, sizeof weight.name, "%s%s.weight", prefix, name);
    snprintf(bias.name, sizeof bias.name, "%s%s.bias", prefix, name);
    l->rc = l->rc == 0 ? l->take(l->context, &weight, l->e) : l->rc;
    l->rc = l->rc == 0 ? l->take(l->context, &bias, l->e) : l->rc;
}

int reading_tensors(const struct reading_config *c, const char *prefix, int64_t dim, int64_t rows,
                    int64_t steps,
                    int (*take)(void *context, const struct config_tensor *t, struct error *e),
                    void *context, struct error *e) {
    struct listing l = {.take = take, .context = context, .e = e};
    list_pair(&l, prefix, "unfold", rows * steps * c->channels, dim);
    list_pair(&l, prefix, "mix", c->hidden, READING_SEEN * c->channels);
    list_pair(&l, prefix, "presence", 2 * READING_COLUMNS, c->hidden);
    list_pair(&l, prefix, "character", READING_COLUMNS * c->embedding, c->hidden);
    list_pair(&l, prefix, "class", c->classes, c->embedding);
    return l.rc;
}

int merge_tensors(int64_t dim,
                  int (*take)(void *context, const struct config_tensor *t, struct error *e),
                  void *context, struct error *e) {
    struct listing l = {.take = take, .context = context, .e = e};
    list_pair(&l, "merge.", "columns", dim, 2 * dim);
    list_pair(&l, "merge.", "rows", dim, 2 * dim);
    list_pair(&l, "unmerge.", "columns", 2 * dim, dim);
    list_pair(&l, "unmerge.", "rows", 2 * dim, dim);
    return l.rc;
}

void reading_place(const struct reading_grid *g, int64_t row, int64_t step, int32_t *first,
                   int32_t *second) {
    int64_t start = row / g->down * g->columns, inner = row % g->down * g->across;
    int64_t cells = g->down * g->across;
    int64_t token = step / g->across * g->phases;
    *first = *second = (int32_t)((start + token) * cells + inner + step % g->across);
    int64_t half = g->across / 2;
    if (g->phases == 2 && step >= half) {
        int64_t shifted = step - half;
        token = shifted / g->across * 2 + 1;
        *second = (int32_t)((start + token) * cells + inner + shifted % g->across);
    }
}
