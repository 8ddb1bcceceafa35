/* posts.c - see posts.h. */
#include "train/perplexity/posts.h"

struct meter {
    const struct posts_options *options;
    struct tape *tape;
    struct layout_space *space;
    struct tensor frequency, loss;
};

static int make_tensors(struct meter *m, struct device *d, struct error *e) {
    m->loss = tensor_vector(NULL, DTYPE_F32, NULL, 1);
    int rc = d->ops->alloc(d, &m->loss, e);
    return rc == 0 ? decoder_frequency_table(&m->frequency, d, m->options->config, e) : rc;
}

/* The sum of the losses of a row's targets. Failures are the tape's. */
static float run(struct meter *m, const struct context_row *row) {
    const struct posts_options *o = m->options;
    struct tape *t = m->tape;
    struct device *d = tape_device(t);
    struct error e = {0};
    float loss = 0;
    const struct tensor labels = tape_upload_numbers(t, row->labels, row->tokens);
    const struct tensor positions = tape_upload_numbers(t, row->positions, row->tokens);
    int32_t *ends = tape_host(t, (size_t)row->sequences + 1, sizeof *ends);
    for (int64_t i = 0; ends != NULL && i <= row->sequences; i++) {
        ends[i] = row->offsets[i];
    }
    const struct tensor offsets = tensor_vector(ends, DTYPE_I32, NULL, row->sequences + 1);
    const struct decoder_input in = {.x = context_embed(o->network, &o->parts, t, row),
                                     .positions = &positions,
                                     .offsets = &offsets};
    struct node *x = decoder_network(o->config, &o->parts, t, &m->frequency, &in);
    tape_fail(t, d->ops->fill(d, &m->loss, 0, &e), &e);
    if (x != NULL) {
        o->parts.classify(o->parts.context, t, x, &labels, 1, &m->loss);
    }
    const struct tensor host = tensor_vector(&loss, DTYPE_F32, NULL, 1);
    tape_fail(t, d->ops->download(d, &host, &m->loss, &e), &e);
    tape_fail(t, d->ops->synchronize(d, &e), &e);
    return loss;
}

static int measure(struct meter *m, int64_t index, posts_sink *sink, void *context,
                   struct error *e) {
    const struct layout *l = m->options->layout;
    struct context_row row;
    struct posts_measured measured = {.account = NULL};
    int rc = layout_row(l, m->space, CORPUS_HELD_OUT, 0, index, &row, e);
    if (rc < 0) {
        return rc;
    }
    tape_begin(m->tape);
    measured.loss = (double)run(m, &row);
    rc = tape_status(m->tape, e);
    if (rc < 0) {
        return rc;
    }
    layout_target(l, CORPUS_HELD_OUT, 0, index, &measured.account, &measured.post);
    measured.targets = row.targets;
    measured.spent = layout_spent(m->space);
    return sink(context, &measured, e);
}

int posts_measure(const struct posts_options *o, struct device *device, posts_sink *sink,
                  void *context, struct error *e) {
    /* Nothing is kept for a backward pass, so that rounding would only lose. */
    static const struct tape_options TAPE = {.storage = DTYPE_F32};
    struct meter m = {.options = o};
    const int64_t rows = layout_counts(o->layout, CORPUS_HELD_OUT).rows;
    const int64_t count = o->most > 0 && o->most < rows ? o->most : rows;
    int rc = layout_space_open(&m.space, o->layout, e);
    rc = rc == 0 ? tape_open(&m.tape, device, &TAPE, e) : rc;
    rc = rc == 0 ? make_tensors(&m, device, e) : rc;
    for (int64_t i = 0; i < count && rc == 0; i++) {
        rc = measure(&m, i * rows / count, sink, context, e);
    }
    tape_close(m.tape);
    layout_space_close(m.space);
    device->ops->release(device, &m.frequency);
    device->ops->release(device, &m.loss);
    return rc;
}
