/* pass.c - a row through the network: what its inputs become, the method's parts, loss, backward.
 */
#include <stdlib.h>

#include "compress/ops.h"
#include "store/random.h"
#include "train/tune/task.h"

/* ---- The method's parts ---------------------------------------------------------------------- */

/* What they point to. */
struct tune_parts {
    struct decoder_source full;
    struct lora_source lora;
    struct gspf_source rows;
};

static struct decoder_parts parts_of(struct tune_parts *to, const struct tune_pass *p) {
    const struct tune_task *k = p->task;
    if (p->scores != NULL) {
        return gspf_probe_parts(p->scores);
    }
    if (k->options->method == TUNE_FULL) {
        to->full = (struct decoder_source){.source = p->source, .config = k->config};
        return decoder_source_parts(&to->full);
    }
    if (tune_by_rows(k->options->method)) {
        to->rows =
            (struct gspf_source){.mask = &k->mask,
                                 .base = k->base,
                                 .lora = k->below != NULL ? lora_frozen_source(k->below) : NULL,
                                 .source = p->source,
                                 .still = k->freeze != NULL ? gspf_freeze_still(k->freeze) : NULL};
        return gspf_parts(&to->rows);
    }
    to->lora = (struct lora_source){.options = &k->lora,
                                    .base = k->base,
                                    .source = p->source,
                                    .seed = random_stream(k->options->seed, p->number),
                                    .dropping = p->scale > 0};
    return lora_parts(&to->lora);
}

/* ---- A row ----------------------------------------------------------------------------------- */

int tune_pass_tensors(struct device *d, const struct decoder_config *c, struct tensor *frequency,
                      struct tensor *loss, struct error *e) {
    *loss = tensor_vector(NULL, DTYPE_F32, NULL, 1);
    int rc = decoder_frequency_table(frequency, d, c, e);
    if (rc == 0) {
        rc = d->ops->alloc(d, loss, e);
    }
    return rc == 0 ? d->ops->fill(d, loss, 0, e) : rc;
}

static int pass_row(const struct tune_pass *p, const struct context_row *row, struct tape *t,
                    struct error *e) {
    const struct tune_task *k = p->task;
    struct tune_parts to;
    const struct decoder_parts parts = parts_of(&to, p);
    const struct context_network context = {.bridge = k->options->bridge.used ? &k->bridge : NULL,
                                            .source = p->source,
                                            .balance = p->balance,
                                            .routing = p->routing};
    tape_begin(t);
    const struct tensor positions = tape_upload_numbers(t, row->positions, row->tokens);
    const struct tensor labels = tape_upload_numbers(t, row->labels, row->tokens);
    const struct tensor offsets =
        tensor_vector((void *)(uintptr_t)row->offsets, DTYPE_I32, NULL, row->sequences + 1);
    if (positions.data == NULL || labels.data == NULL) {
        return tape_status(t, e);
    }
    const bool back = p->scale > 0;
    struct node *x = p->encoded != NULL
                         ? tune_encoded_embed(p->encoded, &context, &parts, t, row, back)
                         : context_embed(&context, &parts, t, row);
    const struct decoder_input in = {
        .x = x, .positions = &positions, .offsets = &offsets, .cache = NULL};
    struct node *y = decoder_network(k->config, &parts, t, p->frequency, &in);
    parts.classify(parts.context, t, y, &labels, p->scale, p->loss);
    return back ? tape_backward(t, e) : tape_status(t, e);
}

int tune_pass_row(const struct tune_pass *p, const struct context_row *row, struct tape *t,
                  struct error *e) {
    const bool encodes = p->encoded != NULL;
    int rc = encodes ? tune_encoded_make(p->encoded, p, row, t, e) : 0;
    if (rc == 0) {
        rc = pass_row(p, row, t, e);
    }
    return rc == 0 && encodes && p->scale > 0 ? tune_encoded_teach(p->encoded, p, row, t, e) : rc;
}

/* ---- A row that there is not ----------------------------------------------------------------- */

/* Its arrays, of the host. */
struct rehearsed {
    int32_t *inputs, *zeros; /* (tokens) */
    float *numbers;
    int32_t *pooled;
    struct context_pool *pools;
    struct context_visual visual[BRIDGE_AGES];
    int32_t offsets[2];
};

static void close_rehearsed(struct rehearsed *r) {
    free(r->inputs);
    free(r->zeros);
    free(r->numbers);
    free(r->pooled);
    free(r->pools);
}

/* Soft tokens, then pools, then text. */
static void fill_inputs(struct rehearsed *r, const struct layout_shape *s, int64_t soft) {
    const int64_t marks = soft > 0 ? BRIDGE_MARKS : 0; /* before them, where there is a bridge */
    for (int64_t i = 0; i < s->tokens; i++) {
        const bool is_text = i >= soft + s->pools;
        r->inputs[i] = is_text ? 0 : (int32_t)(-1 - marks - i);
    }
    for (int64_t i = 0; i < s->pools; i++) {
        const int64_t first = s->pooled * i / s->pools, end = s->pooled * (i + 1) / s->pools;
        r->pools[i] = (struct context_pool){.first = first, .count = end - first};
    }
}

static int open_rehearsed(struct rehearsed *r, const struct layout_shape *s, int64_t dim,
                          struct context_row *row, struct error *e) {
    int64_t tokens = 0;
    *r = (struct rehearsed){.offsets = {0, (int32_t)s->tokens}};
    *row = (struct context_row){.offsets = r->offsets,
                                .tokens = s->tokens,
                                .sequences = 1,
                                .targets = s->tokens,
                                .visual = r->visual,
                                .expand = s->expand,
                                .pool_count = s->pools};
    for (int i = 0; i < BRIDGE_AGES; i++) {
        tokens += s->visual[i];
    }
    r->inputs = calloc((size_t)s->tokens, sizeof *r->inputs);
    r->zeros = calloc((size_t)s->tokens, sizeof *r->zeros);
    r->numbers = calloc((size_t)(tokens * dim) + 1, sizeof *r->numbers);
    r->pooled = calloc((size_t)s->pooled + 1, sizeof *r->pooled);
    r->pools = calloc((size_t)s->pools + 1, sizeof *r->pools);
    if (r->inputs == NULL || r->zeros == NULL || r->numbers == NULL || r->pooled == NULL ||
        r->pools == NULL) {
        return error_memory(e, NULL);
    }
    for (int i = 0; i < BRIDGE_AGES; i++) {
        if (s->visual[i] > 0) {
            r->visual[row->visual_count++] =
                (struct context_visual){.bucket = i, .count = s->visual[i], .numbers = r->numbers};
        }
    }
    fill_inputs(r, s, tokens * s->expand);
    row->inputs = r->inputs;
    row->labels = row->positions = r->zeros;
    row->pools = r->pools;
    row->pooled = r->pooled;
    return 0;
}

int tune_pass_shape(const struct tune_pass *p, const struct tune_shape *shape, struct tape *t,
                    struct error *e) {
    struct rehearsed r;
    struct context_row row;
    int rc = open_rehearsed(&r, &shape->row, p->task->bridge.dim, &row, e);
    if (rc == 0) {
        rc = tune_pass_row(p, &row, t, e);
    }
    if (rc == 0 && p->encoded != NULL) {
        rc = tune_encoded_rehearse(p->encoded, p, &shape->page, t, e);
    }
    close_rehearsed(&r);
    return rc;
}
