/* choose.c - phase B of gspf.h: which units are trained. */
#include <stdlib.h>

#include "store/random.h"
#include "train/gspf/gspf_state.h"

enum { BYTES = 16 /* of a parameter: value, gradient, two moments */ };

struct candidate {
    struct mask_unit unit;
    int64_t parameters, index;
    double place; /* share of its matrix that is better, half of its own counted */
    double worth; /* score beside the mean of its matrix, times parameters */
};

/* What is chosen from, in the order of preference. */
struct choice {
    struct candidate *list;
    size_t count;
    int64_t layers;
    int64_t most;            /* parameters within the budget */
    size_t memory;           /* within which they and the activations are; 0: any */
    size_t parameter, layer; /* see gspf_cost */
};

/* ---- What fits ------------------------------------------------------------------------------- */

/* How many parameters fit where `lowest` is the lowest layer. */
static int64_t room(const struct choice *c, int64_t lowest) {
    if (c->memory == 0) {
        return c->most;
    }
    const size_t layers = (size_t)(c->layers - lowest);
    const size_t activations = c->layer > SIZE_MAX / layers ? SIZE_MAX : c->layer * layers;
    const size_t rest = c->memory > activations ? c->memory - activations : 0;
    const size_t fit = rest / c->parameter;
    return fit < (size_t)c->most ? (int64_t)fit : c->most;
}

/* Those of the layers from `lowest` on that fit, in order; what they are worth. m NULL: nothing is
 * taken. */
static double fill(const struct choice *c, int64_t lowest, struct mask *m) {
    int64_t left = room(c, lowest);
    double sum = 0;
    for (size_t i = 0; i < c->count; i++) {
        const struct candidate *k = &c->list[i];
        if (k->unit.layer < lowest || k->parameters > left) {
            continue;
        }
        left -= k->parameters;
        sum += k->worth;
        if (m != NULL) {
            m->units[m->count++] = k->unit;
        }
    }
    return sum;
}

/* The whole of it: from the layer on that gives most, the deepest of those that give as much. */
static int64_t best_lowest(const struct choice *c) {
    int64_t best = 0;
    double most = -1;
    for (int64_t lowest = 0; lowest < c->layers && c->memory > 0; lowest++) {
        const double sum = fill(c, lowest, NULL);
        if (sum > most) {
            most = sum;
            best = lowest;
        }
    }
    return best;
}

static int take(struct mask *out, const struct choice *c, int64_t lowest, struct error *e) {
    *out = (struct mask){.units = calloc(c->count + 1, sizeof *out->units)};
    if (out->units == NULL) {
        return error_memory(e, "a mask");
    }
    fill(c, lowest, out);
    if (out->count == 0) {
        mask_close(out);
        return error_set(e, ERR_USAGE, "not one block of rows fits into that budget");
    }
    return mask_sort(out, e);
}

/* ---- What there is --------------------------------------------------------------------------- */

static int limits(struct choice *c, const struct gspf_options *o, const struct decoder_config *d,
                  const struct gspf_cost *cost, struct error *e) {
    const int64_t all = decoder_config_parameters(d);
    int rc = gspf_check(o, e);
    if (rc < 0) {
        return rc;
    }
    c->layers = d->layers;
    c->most = o->budget > 0 ? (int64_t)(o->budget * (double)all) : all;
    c->memory = o->memory;
    c->parameter = cost->parameter > 0 ? cost->parameter : BYTES;
    c->layer = cost->layer;
    if (o->memory > 0 && o->memory <= cost->fixed) {
        return error_set(e, ERR_USAGE,
                         "%.1f MB of memory are too few: the run takes %.1f MB without any rows",
                         (double)o->memory / 1e6, (double)cost->fixed / 1e6);
    }
    c->memory -= o->memory > 0 ? cost->fixed : 0;
    return 0;
}

static int list_units(struct choice *c, const struct gspf_units *u, struct error *e) {
    c->list = calloc((size_t)u->count + 1, sizeof *c->list);
    if (c->list == NULL) {
        return error_memory(e, "a mask");
    }
    for (int64_t i = 0; i < u->count; i++) {
        const struct mask_unit unit = gspf_unit(u, i);
        int64_t outputs, inputs;
        decoder_matrix_shape(u->config, unit.matrix, &outputs, &inputs);
        c->list[i] = (struct candidate){.unit = unit, .parameters = unit.rows * inputs, .index = i};
    }
    c->count = (size_t)u->count;
    return 0;
}

static int compare_scores(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    return x->unit.score != y->unit.score ? (x->unit.score < y->unit.score ? 1 : -1)
                                          : (x->index > y->index) - (x->index < y->index);
}

/* The units of a matrix are put in order, the best ones first. */
static void rank_matrix(struct candidate *list, size_t count) {
    double all = 0, before = 0, sum = 0;
    qsort(list, count, sizeof *list, compare_scores);
    for (size_t i = 0; i < count; i++) {
        all += (double)list[i].parameters;
        sum += list[i].unit.score * (double)list[i].parameters;
    }
    for (size_t i = 0; i < count; i++) {
        const double own = (double)list[i].parameters;
        list[i].place = (before + own / 2) / all;
        list[i].worth = sum > 0 ? list[i].unit.score * own / (sum / all) : 0;
        before += own;
    }
}

static int compare_places(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    if (x->place != y->place) {
        return x->place < y->place ? -1 : 1;
    }
    return x->worth != y->worth ? (x->worth < y->worth ? 1 : -1)
                                : (x->index > y->index) - (x->index < y->index);
}

/* The best of each matrix first, then the second best ones, ...: of large matrices so many more. */
static int rank(struct choice *c, const struct gspf_scores *s, struct error *e) {
    const struct gspf_units *u = gspf_scores_units(s);
    bool scored = false;
    for (size_t i = 0; i < c->count; i++) {
        c->list[i].unit.score = gspf_score(s, c->list[i].index);
        scored = scored || c->list[i].unit.score > 0;
    }
    if (!scored) {
        return error_set(e, ERR_FORMAT,
                         "no row of the model has a score: the gradients of all training rows that "
                         "were scored are zero or not finite");
    }
    for (int64_t layer = 0; layer < c->layers; layer++) {
        for (int i = 0; i < DECODER_MATRICES; i++) {
            const int64_t first = gspf_unit_first(u, layer, (enum decoder_matrix)i);
            rank_matrix(c->list + first, (size_t)u->matrices[i]);
        }
    }
    qsort(c->list, c->count, sizeof *c->list, compare_places);
    return 0;
}

int gspf_choose(struct mask *out, const struct gspf_scores *s, const struct gspf_cost *cost,
                struct error *e) {
    const struct gspf_units *units = gspf_scores_units(s);
    struct choice c = {.list = NULL};
    *out = (struct mask){.count = 0};
    int rc = limits(&c, gspf_scores_options(s), units->config, cost, e);
    rc = rc == 0 ? list_units(&c, units, e) : rc;
    rc = rc == 0 ? rank(&c, s, e) : rc;
    rc = rc == 0 ? take(out, &c, best_lowest(&c), e) : rc;
    free(c.list);
    return rc;
}

int gspf_choose_random(struct mask *out, const struct gspf_options *o,
                       const struct decoder_config *c, const struct gspf_cost *cost, uint64_t seed,
                       struct error *e) {
    struct choice all = {.list = NULL};
    uint64_t state = random_stream(seed, 0);
    *out = (struct mask){.count = 0};
    int rc = limits(&all, o, c, cost, e);
    if (rc == 0) {
        const struct gspf_units units = gspf_units_of(c, o->rows);
        rc = list_units(&all, &units, e);
    }
    for (size_t i = all.count; i > 1; i--) {
        const size_t other = (size_t)random_below(&state, (int64_t)i);
        const struct candidate one = all.list[i - 1];
        all.list[i - 1] = all.list[other];
        all.list[other] = one;
    }
    if (rc == 0) {
        rc = take(out, &all, 0, e);
    }
    free(all.list);
    return rc;
}
