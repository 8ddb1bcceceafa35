/* row.c - see row.h. */
#include "train/context/row.h"

/* Where the inputs of a row lie. */
enum { FROM_BRIDGE, FROM_POOLS, FROM_TEXT };

/* ---- Runs ------------------------------------------------------------------------------------ */

/* bridge: marks and soft tokens that there are; texts: text tokens before this input. */
static bool place_of(struct tape_splice_run *run, const struct context_row *row, int64_t input,
                     int64_t bridge, int64_t texts) {
    if (input >= 0) {
        *run = (struct tape_splice_run){FROM_TEXT, texts, 1};
        return true;
    }
    const int64_t place = -1 - input;
    *run = place < bridge ? (struct tape_splice_run){FROM_BRIDGE, place, 1}
                          : (struct tape_splice_run){FROM_POOLS, place - bridge, 1};
    return run->source == FROM_BRIDGE || run->first < row->pool_count;
}

/* The inputs as runs, which are at most as many; *texts: text tokens. -1: one that is nowhere. */
static int64_t find_runs(struct tape_splice_run *runs, const struct context_row *row,
                         int64_t bridge, int64_t *texts) {
    int64_t count = 0;
    *texts = 0;
    for (int64_t i = 0; i < row->tokens; i++) {
        struct tape_splice_run *last = count > 0 ? &runs[count - 1] : NULL, one;
        if (!place_of(&one, row, row->inputs[i], bridge, *texts)) {
            return -1;
        }
        *texts += one.source == FROM_TEXT;
        if (last != NULL && last->source == one.source && last->first + last->count == one.first) {
            last->count++;
        } else {
            runs[count++] = one;
        }
    }
    return count;
}

/* ---- Text ------------------------------------------------------------------------------------ */

/* Rows of the decoder's embedding; ids: of the host. */
static struct node *embed(const struct decoder_parts *parts, struct tape *t, const int32_t *ids,
                          int64_t count) {
    const struct tensor index = tape_upload_numbers(t, ids, count);
    return index.data != NULL ? parts->embed(parts->context, t, &index) : NULL;
}

static struct node *text_of(const struct decoder_parts *parts, struct tape *t,
                            const struct context_row *row, int64_t count) {
    int32_t *ids = count > 0 ? tape_host(t, (size_t)count, sizeof *ids) : NULL;
    int64_t at = 0;
    for (int64_t i = 0; i < row->tokens && ids != NULL; i++) {
        if (row->inputs[i] >= 0) {
            ids[at++] = row->inputs[i];
        }
    }
    return ids != NULL ? embed(parts, t, ids, count) : NULL;
}

/* ---- Pools ----------------------------------------------------------------------------------- */

struct pooling {
    const struct decoder_parts *parts;
    const struct context_row *row;
};

static int64_t longest(const struct context_row *row) {
    int64_t most = 0;
    for (int64_t i = 0; i < row->pool_count; i++) {
        most = row->pools[i].count > most ? row->pools[i].count : most;
    }
    return most;
}

/* The k-th token of each pool that has so many. */
static struct node *nth(const struct pooling *p, struct tape *t, int64_t k) {
    const struct context_row *row = p->row;
    int32_t *ids = tape_host(t, (size_t)row->pool_count, sizeof *ids);
    for (int64_t i = 0; i < row->pool_count && ids != NULL; i++) {
        const struct context_pool *one = &row->pools[i];
        ids[i] = k < one->count ? row->pooled[one->first + k] : -1; /* zeros */
    }
    return ids != NULL ? embed(p->parts, t, ids, row->pool_count) : NULL;
}

/* 1 / how many tokens a pool has, as often as an embedding has numbers. */
static struct node *shares(const struct context_row *row, struct tape *t, int64_t width) {
    float *numbers = tape_host(t, (size_t)row->pool_count, sizeof *numbers);
    for (int64_t i = 0; i < row->pool_count && numbers != NULL; i++) {
        const int64_t count = row->pools[i].count;
        numbers[i] = count > 0 ? 1 / (float)count : 0;
    }
    const struct tensor host = tensor_matrix(numbers, DTYPE_F32, NULL, row->pool_count, 1);
    const struct tensor once = numbers != NULL ? tape_upload(t, &host) : host;
    const struct tensor like = tensor_matrix(NULL, DTYPE_F32, NULL, row->pool_count, width);
    const struct tensor all = tape_space(t, &like);
    struct device *d = tape_device(t);
    struct error e;
    if (tape_status(t, NULL) < 0) {
        return NULL;
    }
    int rc = d->ops->fill(d, &all, 0, &e);
    rc = rc == 0 ? d->ops->accumulate(d, &all, &once, &e) : rc;
    tape_fail(t, rc, &e);
    return rc == 0 ? tape_input(t, &all, NULL) : NULL;
}

static struct node *means(struct tape *t, struct node *x, int64_t i, const void *context) {
    const struct pooling *p = context;
    const int64_t most = longest(p->row);
    (void)i;
    x = nth(p, t, 0);
    for (int64_t k = 1; k < most && x != NULL; k++) {
        x = tape_combine(t, 1, x, 1, nth(p, t, k));
    }
    return x != NULL ? tape_multiply(t, x, shares(p->row, t, tensor_width(&x->value))) : NULL;
}

/* ---- The row --------------------------------------------------------------------------------- */

/* The rest, once marks and soft tokens are there: `bridge`, NULL: neither. */
static struct node *put_together(const struct decoder_parts *parts, struct tape *t,
                                 const struct context_row *row, struct node *bridge) {
    const int64_t there = bridge != NULL ? tensor_rows(&bridge->value) : 0;
    const struct pooling pooling = {parts, row};
    struct tape_splice_run *runs = tape_host(t, (size_t)row->tokens, sizeof *runs);
    int64_t texts = 0;
    const int64_t count = runs != NULL ? find_runs(runs, row, there, &texts) : 0;
    if (count < 0) {
        struct error e;
        tape_fail(t, error_set(&e, ERR_FORMAT, "a row names an input that it does not have"), &e);
        return NULL;
    }
    struct node *pools = row->pool_count > 0 ? tape_passing(t, NULL, means, 0, &pooling) : NULL;
    struct node *text = text_of(parts, t, row, texts);
    if (text != NULL && texts == row->tokens) {
        return text;
    }
    return tape_splice(t, (struct node *const[]){bridge, pools, text}, 3, runs, count);
}

struct node *context_embed_groups(const struct context_network *n,
                                  const struct decoder_parts *parts, struct tape *t,
                                  const struct context_row *row, const struct bridge_group *groups,
                                  size_t count) {
    struct node *bridge = NULL;
    if (n->bridge != NULL) {
        bridge = bridge_network(n->bridge, n->source, t, parts, groups, count, row->expand,
                                n->balance, n->routing);
    }
    return tape_status(t, NULL) == 0 ? put_together(parts, t, row, bridge) : NULL;
}

struct node *context_embed(const struct context_network *n, const struct decoder_parts *parts,
                           struct tape *t, const struct context_row *row) {
    struct bridge_group *groups =
        tape_host(t, (size_t)row->visual_count + 1, sizeof *groups); /* one: never none */
    for (int64_t i = 0; i < row->visual_count && groups != NULL; i++) {
        const struct context_visual *v = &row->visual[i];
        void *numbers = (void *)(uintptr_t)v->numbers; /* only read */
        const struct tensor host =
            tensor_matrix(numbers, DTYPE_F32, NULL, v->count, n->bridge->dim);
        const struct tensor x = v->count > 0 ? tape_upload(t, &host) : host;
        groups[i].bucket = v->bucket;
        groups[i].begins = v->begins;
        groups[i].x = v->count > 0 && x.data != NULL ? tape_input(t, &x, NULL) : NULL;
    }
    return groups != NULL
               ? context_embed_groups(n, parts, t, row, groups, (size_t)row->visual_count)
               : NULL;
}
