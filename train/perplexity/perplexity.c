/* perplexity.c - see perplexity.h. */
#include "train/perplexity/perplexity.h"

#include <inttypes.h>

/* Short windows go through the network together until there are so many tokens, or as many times
 * more as the device is given at once: enough for products to be bound by arithmetic. */
enum { AT_ONCE = 1024 };

struct meter {
    const struct perplexity_options *options;
    struct tape *tape;
    struct tensor frequency, loss;
    const int32_t *ids; /* of the text */
    int64_t count;
};

/* Windows that go through together, from token *at of the text on, which moves on. */
struct batch {
    int32_t *ids, *labels, *positions, *offsets;
    int64_t tokens, windows, foreseen;
};

static void add_token(struct batch *b, int32_t id, int64_t position) {
    b->positions[b->tokens] = (int32_t)position;
    b->labels[b->tokens] = -1;
    b->ids[b->tokens++] = id;
}

static void add_window(struct meter *m, struct batch *b, int64_t *at) {
    int64_t first = b->tokens;
    if (m->options->begin >= 0) {
        add_token(b, m->options->begin, 0);
    }
    for (; *at < m->count && b->tokens - first < m->options->window; ++*at) {
        if (b->tokens > first) {
            b->labels[b->tokens - 1] = m->ids[*at];
            b->foreseen++;
        }
        add_token(b, m->ids[*at], b->tokens - first);
    }
    b->offsets[++b->windows] = (int32_t)b->tokens;
}

static struct batch next_batch(struct meter *m, int64_t *at) {
    const int64_t window = m->options->window;
    const int64_t at_once = AT_ONCE * tape_device(m->tape)->backend->batch();
    const size_t most = (size_t)(window < at_once ? at_once : window);
    struct batch b = {.ids = tape_host(m->tape, most, sizeof *b.ids),
                      .labels = tape_host(m->tape, most, sizeof *b.labels),
                      .positions = tape_host(m->tape, most, sizeof *b.positions),
                      .offsets = tape_host(m->tape, most + 1, sizeof *b.offsets)};
    if (b.ids == NULL || b.labels == NULL || b.positions == NULL || b.offsets == NULL) {
        return b;
    }
    do {
        add_window(m, &b, at);
    } while (*at < m->count && b.tokens + window <= (int64_t)most);
    return b;
}

/* Failures are the tape's. */
static void run(struct meter *m, const struct batch *b, float *loss) {
    struct tape *t = m->tape;
    const struct decoder_parts *parts = &m->options->parts;
    struct device *d = tape_device(t);
    struct error e = {0};
    const struct tensor ids = tape_upload_numbers(t, b->ids, b->tokens);
    const struct tensor labels = tape_upload_numbers(t, b->labels, b->tokens);
    const struct tensor positions = tape_upload_numbers(t, b->positions, b->tokens);
    const struct tensor offsets = tensor_vector(b->offsets, DTYPE_I32, NULL, b->windows + 1);
    const struct decoder_input in = {.x = ids.data != NULL ? parts->embed(parts->context, t, &ids)
                                                           : NULL,
                                     .positions = &positions,
                                     .offsets = &offsets};
    struct node *x = decoder_network(m->options->config, parts, t, &m->frequency, &in);
    tape_fail(t, d->ops->fill(d, &m->loss, 0, &e), &e);
    if (x != NULL) {
        parts->classify(parts->context, t, x, &labels, 1, &m->loss);
    }
    const struct tensor host = tensor_vector(loss, DTYPE_F32, NULL, 1);
    tape_fail(t, d->ops->download(d, &host, &m->loss, &e), &e);
    tape_fail(t, d->ops->synchronize(d, &e), &e);
}

static int make_tensors(struct meter *m, struct device *d, struct error *e) {
    m->loss = tensor_vector(NULL, DTYPE_F32, NULL, 1);
    int rc = d->ops->alloc(d, &m->loss, e);
    return rc == 0 ? decoder_frequency_table(&m->frequency, d, m->options->config, e) : rc;
}

static int check(const struct perplexity_options *o, const int32_t *ids, int64_t count,
                 struct error *e) {
    if (o->window < 2 || o->window > o->config->context) {
        return error_set(e, ERR_USAGE,
                         "windows have 2 to %" PRId64 " tokens: the model was trained on no more",
                         o->config->context);
    }
    for (int64_t i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= o->config->vocabulary) {
            return error_set(e, ERR_USAGE, "%d is not a token of the model's %" PRId64, (int)ids[i],
                             o->config->vocabulary);
        }
    }
    return 0;
}

int perplexity_measure(const struct perplexity_options *o, struct device *device,
                       const int32_t *ids, int64_t count, struct perplexity_result *result,
                       struct error *e) {
    /* Nothing is kept for a backward pass, so that rounding would only lose. */
    static const struct tape_options TAPE = {.storage = DTYPE_F32};
    struct meter m = {.options = o, .ids = ids, .count = count};
    int64_t at = 0;
    int rc = check(o, ids, count, e);
    rc = rc == 0 ? tape_open(&m.tape, device, &TAPE, e) : rc;
    rc = rc == 0 ? make_tensors(&m, device, e) : rc;
    while (at < count && rc == 0) {
        float loss = 0;
        tape_begin(m.tape);
        const struct batch b = next_batch(&m, &at);
        if (b.foreseen > 0 && tape_status(m.tape, NULL) == 0) {
            run(&m, &b, &loss);
        }
        rc = tape_status(m.tape, e);
        if (rc == 0 && o->cancel != NULL && *o->cancel) {
            rc = error_set(e, ERR_CANCELLED, "stopped");
        }
        result->foreseen += rc == 0 ? b.foreseen : 0;
        result->loss += rc == 0 ? (double)loss : 0;
    }
    result->tokens += rc == 0 ? count : 0;
    tape_close(m.tape);
    device->ops->release(device, &m.frequency);
    device->ops->release(device, &m.loss);
    return rc;
}
