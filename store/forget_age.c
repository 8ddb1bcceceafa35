/* forget_age.c - which bucket each page of an account belongs to now, and why some stay. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/forget_state.h"
#include "store/json.h"

#define DAY (24.0 * 3600)

/* ---- Reactions ------------------------------------------------------------------------ */

static double reactions_in(const json_t *sample) {
    static const char *const KINDS[] = {"likes", "comments", "shares", "saves"};
    const json_t *counts = json_object_get(sample, "counts");
    double sum = 0;
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        sum += (double)json_get_integer(counts, KINDS[i], 0);
    }
    return sum;
}

static json_t *read_sample(struct forget *f, const char *key) {
    bytes_clear(&f->json);
    return store_get_json(f->s, key, &f->json, NULL) == 1
               ? json_loadb(bytes_text(&f->json), f->json.size, 0, NULL)
               : NULL;
}

/* Of a sample, or of the mean sample of a pack. */
static double reactions_of(struct forget *f, const char *key) {
    json_t *root = read_sample(f, key);
    const json_t *samples = store_pack_samples(key, root), *name;
    double sum = 0;
    size_t i;
    json_array_foreach(samples, i, name) {
        json_t *sample = json_is_string(name) ? read_sample(f, json_string_value(name)) : NULL;
        sum += reactions_in(sample);
        json_decref(sample);
    }
    sum =
        json_array_size(samples) > 0 ? sum / (double)json_array_size(samples) : reactions_in(root);
    json_decref(root);
    return sum;
}

static int by_reactions(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* How many of the sorted values are below x; with `equal`, how many are not above it. */
static size_t count_below(const double *sorted, size_t count, double x, bool equal) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sorted[middle] < x || (equal && sorted[middle] <= x)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Ages are divided by 2^(2 rank - 1): the page with the most reactions ages half as fast, the one
 * with the least twice as fast, that in the middle as it is. rank: share of pages with fewer; pages
 * with as many share the middle of their places. */
static int scale_ages(struct forget *f, double *factors, struct error *e) {
    double *sorted = malloc((f->count + 1) * sizeof *sorted);
    if (sorted == NULL) {
        return error_memory(e, NULL);
    }
    for (size_t i = 0; i < f->count; i++) {
        bool same = i > 0 && strcmp(f->pages[i].record.key, f->pages[i - 1].record.key) == 0;
        f->pages[i].reactions =
            same ? f->pages[i - 1].reactions : reactions_of(f, f->pages[i].record.key);
        sorted[i] = f->pages[i].reactions;
    }
    qsort(sorted, f->count, sizeof *sorted, by_reactions);
    for (size_t i = 0; i < f->count; i++) {
        double x = f->pages[i].reactions;
        double below = (double)count_below(sorted, f->count, x, false);
        double not_above = (double)count_below(sorted, f->count, x, true);
        double rank = f->count > 1 ? (below + not_above - 1) / 2 / (double)(f->count - 1) : 0.5;
        factors[i] = exp2(1 - 2 * rank);
    }
    free(sorted);
    return 0;
}

/* ---- Buckets ----------------------------------------------------------------------------- */

/* Where the age of a page puts it, whatever the operator can do. */
static int aged_bucket(const struct forget *f, const struct token_header *h, double age) {
    const struct forget_options *o = f->options;
    int bucket = age <= 0 ? 0 : forget_bucket(age < 9e18 ? (int64_t)age : INT64_MAX, o->tau);
    bool stays = (h->flags & TOKEN_PINNED) != 0 || h->created <= STORE_UNDATED;
    return stays || bucket < h->bucket ? h->bucket : bucket > o->buckets ? STORE_BUCKETS : bucket;
}

/* The bucket that the operator may bring a page to; counts the pages that it holds. Pages are
 * merged as the encoder learned it: those of its profiles, as often as it did. Means of nested
 * tokens would be means of other cells' numbers. */
static int reachable(struct forget *f, const struct token_header *h, int bucket) {
    struct forget_result *r = f->result;
    const struct forget_operator *op = f->options->shrink;
    bool nested = h->bucket > 0 && h->shrunk_by == SHRINK_NEST;
    bool merges = op != NULL && (op->shrunk_by == SHRINK_NEST || op->shrunk_by == SHRINK_MERGE);
    bool means = h->bucket > 0 && h->shrunk_by == SHRINK_POOL;
    if (bucket == h->bucket) {
        return bucket;
    }
    if (nested && op == NULL) {
        r->held_means++;
        return h->bucket;
    }
    if (!merges || means) {
        return bucket;
    }
    if (!learned_merges(&f->learned, h->profile)) {
        r->held_profile++;
        memcpy(r->held_name, h->profile, TOKEN_PROFILE);
        return h->bucket;
    }
    if (op->shrunk_by == SHRINK_NEST && bucket > f->learned.levels) {
        r->held_levels++;
        r->levels = f->learned.levels;
        return f->learned.levels > h->bucket ? f->learned.levels : h->bucket;
    }
    return bucket;
}

int forget_choose(struct forget *f, struct error *e) {
    double *factors = NULL;
    if (f->options->adaptive && f->count > 0) {
        factors = malloc(f->count * sizeof *factors);
        int rc = factors != NULL ? scale_ages(f, factors, e) : error_memory(e, NULL);
        if (rc < 0) {
            free(factors);
            return rc;
        }
    }
    for (size_t i = 0; i < f->count; i++) {
        struct aging *page = &f->pages[i];
        const struct token_header *h = &page->record.header;
        double age = (double)f->options->now - (double)h->created;
        f->result->future += h->created > STORE_UNDATED && age < -DAY;
        f->result->pinned += (h->flags & TOKEN_PINNED) != 0;
        f->result->undated += h->created <= STORE_UNDATED;
        page->bucket = aged_bucket(f, h, factors != NULL ? age * factors[i] : age);
        if (page->bucket != STORE_BUCKETS) {
            page->bucket = reachable(f, h, page->bucket);
        }
    }
    free(factors);
    return 0;
}
