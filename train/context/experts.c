/* experts.c - style experts: a few small networks of which each soft token goes through those that
 * a router chooses, and one that all go through.
 *
 * tensor                      shape                      first values
 * experts.router.weight       (count, width)             normal, deviation 1 / (scale sqrt(width))
 * experts.in.weight           (count * hidden, width)    normal, likewise: A, expert after expert
 * experts.out.weight          (width, count * hidden)    0: B
 * experts.shared.in.weight    (hidden, width)            as A
 * experts.shared.out.weight   (width, hidden)            0
 *
 * All experts compute for all tokens, and what is not chosen is multiplied by zero: together they
 * are some wide layer, two products of it, about one hundredth of the decoder. Nothing depends on
 * numbers that the host would have to wait for.
 *
 * The balance term (Fedus et al. 2021, equations 4 to 6): balance * count * sum over experts of
 * f_i P_i, f_i its share of all choices, P_i the mean of r_i; its gradient goes to r alone. */
#include <math.h>

#include "compress/ops.h"
#include "train/context/bridge_state.h"

void experts_list(struct bridge_taker *to, const struct bridge_options *o) {
    const struct bridge_experts *x = &o->experts;
    const int64_t all = x->count * x->hidden;
    struct tensor_spec router =
        tensor_spec_of(TENSOR_MATRIX, "experts", TENSOR_SPEC_SHAPE(x->count, o->width));
    struct tensor_spec in =
        tensor_spec_of(TENSOR_MATRIX, "experts", TENSOR_SPEC_SHAPE(all, o->width));
    struct tensor_spec out =
        tensor_spec_of(TENSOR_MATRIX, "experts", TENSOR_SPEC_SHAPE(o->width, all));
    struct tensor_spec shared_in =
        tensor_spec_of(TENSOR_MATRIX, "experts", TENSOR_SPEC_SHAPE(x->hidden, o->width));
    struct tensor_spec shared_out =
        tensor_spec_of(TENSOR_MATRIX, "experts", TENSOR_SPEC_SHAPE(o->width, x->hidden));
    router.deviation /= o->scale;
    in.deviation /= o->scale;
    shared_in.deviation /= o->scale;
    out.deviation = shared_out.deviation = 0;
    bridge_take(to, router, "experts.router.weight");
    bridge_take(to, in, "experts.in.weight");
    bridge_take(to, out, "experts.out.weight");
    bridge_take(to, shared_in, "experts.shared.in.weight");
    bridge_take(to, shared_out, "experts.shared.out.weight");
}

struct experts {
    const struct bridge_experts *options;
    const struct tape_source *source;
    struct tape *t;
    struct device *device;
    int64_t tokens;
};

/* Calls an entry of the device's table for what is computed beside the tape. */
#define CALL(x, entry, ...)                                                                        \
    do {                                                                                           \
        struct error failure;                                                                      \
        if (tape_status((x)->t, NULL) == 0) {                                                      \
            int failed = (x)->device->ops->entry((x)->device, __VA_ARGS__, &failure);              \
            tape_fail((x)->t, failed, &failure);                                                   \
        }                                                                                          \
    } while (0)

static struct tensor space(const struct experts *x, enum dtype type, int64_t rows, int64_t width) {
    const struct tensor like = tensor_matrix(NULL, type, NULL, rows, width);
    return tape_space(x->t, &like);
}

/* 1 where an expert was chosen for a token, else 0: (tokens, count). *index: which were. */
static struct tensor chosen_of(const struct experts *x, const struct node *r,
                               struct tensor *index) {
    const int64_t chosen = x->options->chosen;
    struct tensor mask = space(x, DTYPE_F32, x->tokens, x->options->count);
    struct tensor ones = space(x, DTYPE_F32, x->tokens, chosen);
    *index = space(x, DTYPE_I32, x->tokens, chosen);
    CALL(x, fill, &mask, 0);
    CALL(x, fill, &ones, 1);
    CALL(x, top_k, NULL, index, &r->value);
    CALL(x, top_k_backward, &mask, &ones, index);
    return mask;
}

/* The gradient of the balance term: the same for every token. */
static void keep_balance(const struct experts *x, struct node *r, const struct tensor *mask,
                         float scale) {
    const double tokens = (double)x->tokens, count = (double)x->options->count;
    const double choices = tokens * (double)x->options->chosen;
    const float factor = (float)((double)scale * x->options->balance * count / (choices * tokens));
    if (factor <= 0) {
        return;
    }
    struct tensor shares = tensor_vector(NULL, DTYPE_F32, NULL, x->options->count);
    shares = tape_space(x->t, &shares);
    struct tensor gradient = space(x, DTYPE_F32, x->tokens, x->options->count);
    CALL(x, fill, &shares, 0);
    CALL(x, sum_rows, &shares, mask);
    CALL(x, combine, &shares, factor, &shares, 0, NULL);
    CALL(x, fill, &gradient, 0);
    CALL(x, accumulate, &gradient, &shares);
    if (tape_status(x->t, NULL) == 0) {
        gradient = tensor_reshape(&gradient, r->value.shape);
        tape_backward_from(x->t, r, &gradient);
    }
}

static void note_routing(const struct experts *x, const struct node *r, const struct tensor *index,
                         struct bridge_routing *routing) {
    const int64_t count = x->options->count, choices = x->tokens * x->options->chosen;
    float *probability = tape_host(x->t, (size_t)(x->tokens * count), sizeof *probability);
    int32_t *chosen = tape_host(x->t, (size_t)choices, sizeof *chosen);
    if (chosen == NULL) {
        return;
    }
    const struct tensor r_host = tensor_of(probability, DTYPE_F32, NULL, r->value.shape);
    const struct tensor index_host = tensor_of(chosen, DTYPE_I32, NULL, index->shape);
    CALL(x, download, &r_host, &r->value);
    CALL(x, download, &index_host, index);
    for (int64_t i = 0; i < x->tokens * count; i++) {
        const double p = (double)probability[i];
        routing->probability[i % count] += p;
        routing->entropy -= p > 0 ? p * log(p) : 0;
    }
    for (int64_t i = 0; i < choices; i++) {
        routing->chosen[chosen[i]]++;
    }
    routing->tokens += (double)x->tokens;
}

/* Each number of a token's row `hidden` times: by a product with a matrix of ones and zeros. */
static struct node *spread(const struct experts *x, struct node *gates) {
    const int64_t count = x->options->count, hidden = x->options->hidden;
    float *ones = tape_host(x->t, (size_t)(count * hidden * count), sizeof *ones);
    if (ones == NULL) {
        return NULL;
    }
    for (int64_t i = 0; i < count * hidden; i++) {
        ones[i * count + i / hidden] = 1;
    }
    const struct tensor host = tensor_matrix(ones, DTYPE_F32, NULL, count * hidden, count);
    const struct tensor matrix = tape_upload(x->t, &host);
    struct node *weight = matrix.data != NULL ? tape_input(x->t, &matrix, NULL) : NULL;
    return tape_linear(x->t, gates, weight, NULL);
}

static struct node *named(const struct experts *x, struct node *in, const char *name) {
    return tape_linear(x->t, in, tape_named(x->source, x->t, "experts.%s.weight", name), NULL);
}

struct node *experts_network(const struct bridge_options *o, const struct tape_source *source,
                             struct tape *t, struct node *s, float scale,
                             struct bridge_routing *routing) {
    const struct experts x = {&o->experts, source, t, tape_device(t),
                              s != NULL ? tensor_rows(&s->value) : 0};
    struct tensor index;
    struct node *r = tape_softmax(t, named(&x, s, "router"));
    if (r == NULL) {
        return NULL;
    }
    const struct tensor mask = chosen_of(&x, r, &index);
    keep_balance(&x, r, &mask, scale);
    if (routing != NULL) {
        note_routing(&x, r, &index, routing);
    }
    if (tape_status(t, NULL) < 0) {
        return NULL;
    }
    struct node *gates = tape_multiply(t, r, tape_input(t, &mask, NULL));
    struct node *inner = tape_multiply(t, tape_gelu(t, named(&x, s, "in")), spread(&x, gates));
    struct node *shared = tape_gelu(t, named(&x, s, "shared.in"));
    struct node *y = tape_add(t, named(&x, inner, "out"), named(&x, shared, "shared.out"));
    return tape_add(t, s, y);
}
