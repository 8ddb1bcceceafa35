/* bridge.c - see bridge.h: tensors, plain bridges, and the whole.
 *
 * tensor                      shape                   first values
 * marks.weight                (BRIDGE_MARKS, width)   normal, deviation `scale`
 * LINEAR, MLP, for each bucket k:
 *   bridge.K.linear.weight    (expand * width, dim)   normal, for a result of `scale`
 *   bridge.K.linear.bias      (expand * width)        0
 * MLP:
 *   bridge.K.in.weight        (hidden, dim)           normal, variance 1 / dim
 *   bridge.K.in.bias          (hidden)                0
 *   bridge.K.out.weight       (expand * width, hidden) 0
 *   bridge.K.out.bias         (expand * width)        0
 * READING: bridge_reading.c; NAMED: bridge_named.c; experts: experts.c */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "store/nest.h"
#include "train/context/bridge_state.h"

const char *const BRIDGE_KIND_NAMES[] = {"linear", "mlp", "reading", "named", NULL};

/* ---- Tensors --------------------------------------------------------------------------------- */

void bridge_take(struct bridge_taker *to, struct tensor_spec spec, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(spec.name, sizeof spec.name, format, arguments);
    va_end(arguments);
    if (to->rc >= 0) {
        to->rc = to->take(to->context, &spec, to->e);
    }
}

void bridge_take_linear(struct bridge_taker *to, const char *group, int64_t outputs, int64_t inputs,
                        double deviation, const char *format, ...) {
    char name[TENSOR_SPEC_NAME / 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    struct tensor_spec weight =
        tensor_spec_of(TENSOR_MATRIX, group, TENSOR_SPEC_SHAPE(outputs, inputs));
    weight.deviation *= deviation;
    bridge_take(to, weight, "%s.weight", name);
    bridge_take(to, tensor_spec_of(TENSOR_BIAS, group, TENSOR_SPEC_SHAPE(outputs)), "%s.bias",
                name);
}

static void plain_list(struct bridge_taker *to, const struct bridge_options *o) {
    const int64_t outputs = o->expand * o->width;
    for (int64_t k = 0; k < o->buckets; k++) {
        bridge_take_linear(to, "bridge", outputs, o->dim, o->scale, "bridge.%" PRId64 ".linear", k);
        if (o->kind == BRIDGE_MLP) {
            bridge_take_linear(to, "bridge", o->hidden, o->dim, 1, "bridge.%" PRId64 ".in", k);
            bridge_take_linear(to, "bridge", outputs, o->hidden, 0, "bridge.%" PRId64 ".out", k);
        }
    }
}

int bridge_list(const struct bridge_options *o, bool reader, tensor_spec_take *take, void *context,
                struct error *e) {
    struct bridge_taker to = {.take = take, .context = context, .e = e};
    struct tensor_spec marks =
        tensor_spec_of(TENSOR_TABLE, "bridge", TENSOR_SPEC_SHAPE(BRIDGE_MARKS, o->width));
    marks.deviation = o->scale;
    bridge_take(&to, marks, "marks.weight");
    if (o->kind == BRIDGE_READING) {
        reading_list(&to, o, reader);
    } else if (o->kind == BRIDGE_NAMED) {
        named_list(&to, o, reader);
    } else {
        plain_list(&to, o);
    }
    if (o->experts.count > 0) {
        experts_list(&to, o);
    }
    return to.rc;
}

/* ---- Options --------------------------------------------------------------------------------- */

enum { LARGEST = 65536, MOST_EXPERTS = 1024 };

static bool is_within(int64_t value, int64_t least, int64_t most) {
    return value >= least && value <= most;
}

static bool experts_fit(const struct bridge_experts *x) {
    return x->count == 0 || (is_within(x->count, 1, MOST_EXPERTS) &&
                             is_within(x->chosen, 1, x->count) && is_within(x->hidden, 1, LARGEST));
}

/* The number that is out of its range, or NULL. */
static const char *unfit(const struct bridge_options *o) {
    const struct reading_config *r = &o->reading;
    const bool reading = bridge_reads(o->kind);
    if (!is_within(o->dim, 1, LARGEST) || !is_within(o->width, 1, LARGEST)) {
        return "the numbers of a token";
    }
    if (!is_within(o->expand, 1, BRIDGE_EXPAND) || (reading && (o->expand & (o->expand - 1)))) {
        return "the soft tokens of a visual one";
    }
    if (!is_within(o->buckets, 1, NEST_LEVELS + 1)) {
        return "buckets";
    }
    if (!(o->scale > 0 && o->scale < 1e6)) {
        return "the scale of soft tokens";
    }
    if ((o->kind == BRIDGE_MLP || o->kind == BRIDGE_READING) && !is_within(o->hidden, 1, LARGEST)) {
        return "hidden numbers";
    }
    if (reading && (!is_within(r->channels, 1, LARGEST) || !is_within(r->hidden, 1, LARGEST) ||
                    !is_within(r->embedding, 1, LARGEST) || !is_within(r->reach, 0, 64) ||
                    !is_within(r->trunk, 0, LARGEST) || !is_within(r->nested, 0, NEST_LEVELS))) {
        return "sizes of the reading head";
    }
    if (o->kind == BRIDGE_NAMED && !is_within(r->classes, 1, LARGEST)) {
        return "characters of the reading head";
    }
    return experts_fit(&o->experts) && isfinite(o->experts.balance) && o->experts.balance >= 0
               ? NULL
               : "experts";
}

int bridge_check(const struct bridge_options *o, struct error *e) {
    const char *what = unfit(o);
    return what == NULL ? 0 : error_set(e, ERR_USAGE, "a bridge cannot be made so: %s", what);
}

/* ---- Plain bridges --------------------------------------------------------------------------- */

static struct node *plain_network(const struct bridge_options *o, const struct tape_source *source,
                                  struct tape *t, const struct bridge_group *group) {
    const int64_t k = group->bucket < o->buckets ? group->bucket : o->buckets - 1;
    char prefix[32];
    snprintf(prefix, sizeof prefix, "bridge.%" PRId64 ".", k);
    struct node *y = tape_named_linear(source, t, group->x, prefix, "linear");
    if (o->kind == BRIDGE_MLP) {
        struct node *inner = tape_gelu(t, tape_named_linear(source, t, group->x, prefix, "in"));
        y = tape_add(t, y, tape_named_linear(source, t, inner, prefix, "out"));
    }
    return y != NULL ? tape_matrix(t, y, tensor_rows(&group->x->value) * o->expand, o->width)
                     : NULL;
}

/* ---- The whole ------------------------------------------------------------------------------- */

static struct node *one_network(const struct bridge_options *o, const struct tape_source *source,
                                struct tape *t, const struct decoder_parts *parts,
                                const struct bridge_group *group, int64_t expand) {
    assert(tensor_width(&group->x->value) == o->dim);
    assert(bridge_reads(o->kind) || expand == o->expand);
    return o->kind == BRIDGE_READING ? reading_network(o, source, t, group, expand)
           : o->kind == BRIDGE_NAMED ? named_network(o, source, t, parts, group, expand)
                                     : plain_network(o, source, t, group);
}

/* Soft tokens of all groups; NULL: there are none, or the tape has failed. */
static struct node *soft_tokens(const struct bridge_options *o, const struct tape_source *source,
                                struct tape *t, const struct decoder_parts *parts,
                                const struct bridge_group *groups, size_t count, int64_t expand) {
    struct node *all = NULL;
    for (size_t i = 0; i < count && tape_status(t, NULL) == 0; i++) {
        if (groups[i].x == NULL || tensor_rows(&groups[i].x->value) == 0) {
            continue;
        }
        struct node *soft = one_network(o, source, t, parts, &groups[i], expand);
        all = all != NULL ? tape_concat_rows(t, all, soft) : soft;
    }
    return all;
}

struct node *bridge_network(const struct bridge_options *o, const struct tape_source *source,
                            struct tape *t, const struct decoder_parts *parts,
                            const struct bridge_group *groups, size_t count, int64_t expand,
                            float scale, struct bridge_routing *routing) {
    struct node *marks = tape_named(source, t, "marks.weight");
    struct node *soft = soft_tokens(o, source, t, parts, groups, count, expand);
    if (soft != NULL && o->experts.count > 0) {
        soft = experts_network(o, source, t, soft, scale, routing);
    }
    if (marks == NULL || tape_status(t, NULL) < 0) {
        return NULL;
    }
    const struct tape_splice_run runs[] = {{0, 0, BRIDGE_MARKS},
                                           {1, 0, soft != NULL ? tensor_rows(&soft->value) : 0}};
    return tape_splice(t, (struct node *const[]){marks, soft}, 2, runs, soft != NULL ? 2 : 1);
}
