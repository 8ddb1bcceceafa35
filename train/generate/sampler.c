/* sampler.c - see sampler.h. */
#include "train/generate/sampler.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "store/random.h"

struct candidate {
    float logit;
    int32_t id;
};

struct sampler {
    int64_t vocabulary;
    bool *seen;                  /* (vocabulary) false between calls */
    struct candidate *heap;      /* (vocabulary) */
    struct sampler_choice *kept; /* (vocabulary) */
    int64_t kept_count;
    uint64_t kept_total;
};

int sampler_open(struct sampler **out, int64_t vocabulary, struct error *e) {
    struct sampler *s = calloc(1, sizeof *s);
    size_t n = (size_t)vocabulary;
    *out = NULL;
    if (s == NULL) {
        return error_memory(e, NULL);
    }
    s->vocabulary = vocabulary;
    s->seen = calloc(n, sizeof *s->seen);
    s->heap = calloc(n, sizeof *s->heap);
    s->kept = calloc(n, sizeof *s->kept);
    if (s->seen == NULL || s->heap == NULL || s->kept == NULL) {
        sampler_close(s);
        return error_memory(e, NULL);
    }
    *out = s;
    return 0;
}

void sampler_close(struct sampler *s) {
    if (s != NULL) {
        free(s->seen);
        free(s->heap);
        free(s->kept);
        free(s);
    }
}

const struct sampler_choice *sampler_choices(const struct sampler *s, int64_t *count,
                                             uint64_t *total) {
    *count = s->kept_count;
    *total = s->kept_total;
    return s->kept;
}

/* ---- What was there before ----------------------------------------------------------------- */

static void penalize(struct sampler *s, double penalty, float *logits, const int32_t *context,
                     int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        int32_t id = context[i];
        if (id >= 0 && !s->seen[id]) {
            s->seen[id] = true;
            double x = (double)logits[id];
            logits[id] = (float)(x < 0 ? x * penalty : x / penalty);
        }
    }
    for (int64_t i = 0; i < count; i++) {
        if (context[i] >= 0) {
            s->seen[context[i]] = false;
        }
    }
}

/* Tokens that would end n tokens which are there already. */
static void guard(int64_t n, float *logits, const int32_t *context, int64_t count) {
    const int32_t *last = context + count - (n - 1);
    for (int64_t i = 0; i + n <= count; i++) {
        int64_t same = 0;
        while (same < n - 1 && context[i + same] == last[same]) {
            same++;
        }
        if (same == n - 1 && context[i + n - 1] >= 0) {
            logits[context[i + n - 1]] = -INFINITY;
        }
    }
}

/* The first of the largest; -1: one is not a number, or none is finite. */
static int32_t largest(const float *logits, int64_t count) {
    int64_t best = 0;
    bool numbers = true;
    for (int64_t i = 0; i < count; i++) {
        numbers = numbers && logits[i] < INFINITY;
        best = logits[i] > logits[best] ? i : best;
    }
    return numbers && logits[best] > -INFINITY ? (int32_t)best : -1;
}

/* ---- What is left -------------------------------------------------------------------------- */

/* Likelier ones first, then by id. */
static bool is_before(const struct candidate *a, const struct candidate *b) {
    return a->logit > b->logit || (a->logit == b->logit && a->id < b->id);
}

static void sift(struct candidate *heap, int64_t count, int64_t at) {
    const struct candidate moved = heap[at];
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child + 1 < count && is_before(&heap[child + 1], &heap[child])) {
            child++;
        }
        if (child >= count || is_before(&moved, &heap[child])) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

static struct candidate pop(struct candidate *heap, int64_t *count) {
    const struct candidate top = heap[0];
    heap[0] = heap[--*count];
    sift(heap, *count, 0);
    return top;
}

/* Out of 2^40 for the likeliest. */
static uint64_t weigh(float logit, float most, double temperature) {
    return (uint64_t)(exp(((double)logit - (double)most) / temperature) * 0x1p40 + 0.5);
}

/* Tokens further down than this many temperatures have no weight: e^-29 < 2^-41. */
#define REACH 29.0
/* Nearly always all that is drawn from is within these. */
#define NEAR 12.0

static uint64_t weigh_all(const struct sampler *s, const float *logits, float most,
                          double temperature) {
    const float least = (float)((double)most - REACH * temperature);
    uint64_t total = 0;
    for (int64_t i = 0; i < s->vocabulary; i++) {
        total += logits[i] >= least ? weigh(logits[i], most, temperature) : 0;
    }
    return total;
}

/* The likeliest of the tokens within `reach` temperatures, in order, until there are `limit` of
 * them or their weight is `enough`, which *reached tells. A heap gives them one by one, so the many
 * that are left out are not sorted. */
static int64_t take(struct sampler *s, double temperature, const float *logits, float most,
                    double reach, int64_t limit, double enough, bool *reached) {
    const float least = (float)((double)most - reach * temperature);
    int64_t left = 0, count = 0;
    uint64_t sum = 0;
    for (int64_t i = 0; i < s->vocabulary; i++) {
        if (logits[i] >= least) {
            s->heap[left++] = (struct candidate){logits[i], (int32_t)i};
        }
    }
    for (int64_t i = left / 2 - 1; i >= 0; i--) {
        sift(s->heap, left, i);
    }
    while (left > 0 && count < limit && (double)sum < enough) {
        const struct candidate c = pop(s->heap, &left);
        s->kept[count] = (struct sampler_choice){c.id, weigh(c.logit, most, temperature)};
        sum += s->kept[count++].weight;
    }
    *reached = count == limit || (double)sum >= enough;
    return count;
}

/* How many of the first of `kept` make the share `p` of all. */
static int64_t share_of(const struct sampler_choice *kept, int64_t count, double p) {
    uint64_t total = 0, sum = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < count; i++) {
        total += kept[i].weight;
    }
    while (n < count && (double)sum < p * (double)total) {
        sum += kept[n++].weight;
    }
    return n;
}

static int64_t keep_likeliest(struct sampler *s, const struct sampling *o, const float *logits,
                              float most) {
    const bool counts = o->top_k > 0 && o->top_k < s->vocabulary, shares = o->top_p < 1;
    const int64_t limit = counts ? o->top_k : s->vocabulary;
    double enough = (double)INFINITY, reach = REACH;
    bool reached;
    if (shares && !counts) {
        enough = o->top_p * (double)weigh_all(s, logits, most, o->temperature);
    }
    if (o->min_p > 0 && !shares) {
        reach = fmin(reach, 1e-6 - log(o->min_p));
    }
    const double near = fmin(reach, NEAR);
    int64_t count = take(s, o->temperature, logits, most, near, limit, enough, &reached);
    if (!reached && near < reach) {
        count = take(s, o->temperature, logits, most, reach, limit, enough, &reached);
    }
    count = counts && shares ? share_of(s->kept, count, o->top_p) : count;
    while (count > 1 && (double)s->kept[count - 1].weight < o->min_p * 0x1p40) {
        count--;
    }
    return count;
}

/* All, by id. */
static int64_t keep_all(struct sampler *s, const struct sampling *o, const float *logits,
                        float most) {
    for (int64_t i = 0; i < s->vocabulary; i++) {
        s->kept[i] = (struct sampler_choice){(int32_t)i, weigh(logits[i], most, o->temperature)};
    }
    return s->vocabulary;
}

static void keep(struct sampler *s, const struct sampling *o, const float *logits, float most) {
    const bool all = o->top_k == 0 && o->top_p >= 1 && o->min_p <= 0;
    s->kept_count = all ? keep_all(s, o, logits, most) : keep_likeliest(s, o, logits, most);
    s->kept_total = 0;
    for (int64_t i = 0; i < s->kept_count; i++) {
        s->kept_total += s->kept[i].weight;
    }
}

static int32_t draw(const struct sampler *s, uint64_t *random) {
    uint64_t at = (uint64_t)(random_unit(random) * (double)s->kept_total);
    int64_t i = 0;
    while (i < s->kept_count - 1 && at >= s->kept[i].weight) {
        at -= s->kept[i++].weight;
    }
    return s->kept[i].id;
}

int sampler_next(struct sampler *s, const struct sampling *o, float *logits, const int32_t *context,
                 int64_t count, uint64_t *random, int32_t *id, struct error *e) {
    if (o->repetition != 1) {
        penalize(s, o->repetition, logits, context, count);
    }
    const int32_t before = largest(logits, s->vocabulary);
    if (before < 0) {
        return error_set(e, ERR_FORMAT,
                         "the logits are not numbers: the weights are damaged, or too large for "
                         "their type");
    }
    if (o->no_repeat > 0 && count >= o->no_repeat) {
        guard(o->no_repeat, logits, context, count);
    }
    const int32_t best = largest(logits, s->vocabulary);
    if (best < 0) {
        return error_set(e, ERR_LIMIT, "the guard against repeated tokens leaves none");
    }
    *id = best;
    if (o->temperature > 0) {
        keep(s, o, logits, logits[best]);
        *id = draw(s, random);
    }
    return 0;
}
