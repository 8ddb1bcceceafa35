/* ranker.c - see ranker.h. */
#include "train/paper/ranker.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/utf8.h"
#include "train/paper/grams.h"

enum { BEFORE = 101, LEAST_BEFORE = 20, LEAST = 100, STEPS = 60, FOLDS = 5 };
static const double RIDGES[] = {0.3, 1, 3, 10, 30};
enum { RIDGE_COUNT = sizeof RIDGES / sizeof *RIDGES };

/* What is told apart beside grams: the logarithm of the length, whether there is a link. */
enum { LENGTH, LINK, PLAIN };
/* A plain column's deviation beside a row of grams, whose length is 1; nothing is foreseen from
 * what lies farther off than anything that was learned from. */
static const double PLAIN_SCALE = 0.3, FARTHEST = 3;

struct vector {
    float *places; /* GRAMS_PLACES */
    double plain[PLAIN];
};
struct columns {
    struct grams grams;
    double (*plain)[PLAIN]; /* a row */
};
struct ranker {
    float *grams; /* weights of places */
    double means[PLAIN], deviations[PLAIN];
    double mean; /* of what is foreseen */
    struct vector solution;
};

/* ---- What is foreseen ------------------------------------------------------------------------ */

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int ranker_beats(double *out, const struct ranker_post *posts, size_t count, struct error *e) {
    double window[BEFORE];
    double *levels = malloc((count + 1) * sizeof *levels);
    if (levels == NULL) {
        return error_memory(e, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        levels[i] = log1p(posts[i].reach);
        const size_t before = i < BEFORE ? i : BEFORE;
        memcpy(window, levels + i - before, before * sizeof *window);
        qsort(window, before, sizeof *window, compare_doubles);
        out[i] = (double)NAN;
        if (before >= LEAST_BEFORE) {
            out[i] = levels[i] - (window[before / 2] + window[(before - 1) / 2]) / 2;
        }
    }
    free(levels);
    return 0;
}

/* ---- Ridge: conjugate gradients on (X'X + ridge) w = X'y (Hestenes, Stiefel 1952) -------------
 */

static double column(const struct ranker *r, const struct columns *x, size_t row, int which) {
    const double value = (x->plain[row][which] - r->means[which]) / r->deviations[which];
    return fmax(fmin(value, FARTHEST), -FARTHEST) * PLAIN_SCALE;
}

static double apply(const struct ranker *r, const struct columns *x, size_t row,
                    const struct vector *v) {
    double sum = grams_dot(&x->grams, row, v->places);
    for (int i = 0; i < PLAIN; i++) {
        sum += column(r, x, row, i) * v->plain[i];
    }
    return sum;
}

/* out += X' value, of one row */
static void accumulate(const struct ranker *r, const struct columns *x, size_t row, double value,
                       struct vector *out) {
    grams_accumulate(&x->grams, row, (float)value, out->places);
    for (int i = 0; i < PLAIN; i++) {
        out->plain[i] += value * column(r, x, row, i);
    }
}

/* a = x a + y b */
static void combine(struct vector *a, double x, const struct vector *b, double y) {
    for (size_t i = 0; i < GRAMS_PLACES; i++) {
        a->places[i] = (float)x * a->places[i] + (float)y * b->places[i];
    }
    for (int i = 0; i < PLAIN; i++) {
        a->plain[i] = x * a->plain[i] + y * b->plain[i];
    }
}

static double dot(const struct vector *a, const struct vector *b) {
    double sum = 0;
    for (size_t i = 0; i < GRAMS_PLACES; i++) {
        sum += (double)a->places[i] * (double)b->places[i];
    }
    for (int i = 0; i < PLAIN; i++) {
        sum += a->plain[i] * b->plain[i];
    }
    return sum;
}

/* The solution, from rows whose y is a number. */
static int solve(struct ranker *r, const struct columns *x, size_t rows, const double *y,
                 double ridge, struct error *e) {
    float *memory = calloc(3 * (size_t)GRAMS_PLACES, sizeof *memory);
    if (memory == NULL) {
        return error_memory(e, NULL);
    }
    struct vector *w = &r->solution, rest = {.places = memory},
                  way = {.places = memory + GRAMS_PLACES},
                  image = {.places = memory + 2 * (size_t)GRAMS_PLACES};
    combine(w, 0, w, 0);
    for (size_t i = 0; i < rows; i++) {
        if (isfinite(y[i])) {
            accumulate(r, x, i, y[i] - r->mean, &rest);
        }
    }
    combine(&way, 0, &rest, 1);
    double size = dot(&rest, &rest);
    const double enough = size * 1e-8;
    for (int step = 0; step < STEPS && size > enough; step++) {
        combine(&image, 0, &way, ridge);
        for (size_t i = 0; i < rows; i++) {
            if (isfinite(y[i])) {
                accumulate(r, x, i, apply(r, x, i, &way), &image);
            }
        }
        const double length = size / dot(&way, &image);
        combine(w, 1, &way, length);
        combine(&rest, 1, &image, -length);
        const double next = dot(&rest, &rest);
        combine(&way, next / size, &rest, 1);
        size = next;
    }
    free(memory);
    return 0;
}

/* ---- The ranker ------------------------------------------------------------------------------ */

static void describe(double plain[PLAIN], const char *text, size_t size) {
    size_t points = 0;
    plain[LINK] = 0;
    for (size_t i = 0; i < size; i++) {
        points += ((unsigned char)text[i] & 0xC0) != 0x80;
        if (size - i >= 4 && memcmp(text + i, "http", 4) == 0) {
            plain[LINK] = 1;
        }
    }
    plain[LENGTH] = log1p((double)points);
}

static void columns_close(struct columns *x) {
    grams_close(&x->grams);
    free(x->plain);
}

static int columns_make(struct columns *x, const struct ranker_post *posts, size_t count,
                        struct error *e) {
    *x = (struct columns){.plain = calloc(count + 1, sizeof *x->plain)};
    int rc = x->plain != NULL ? 0 : error_memory(e, NULL);
    for (size_t i = 0; i < count && rc == 0; i++) {
        describe(x->plain[i], posts[i].text, posts[i].size);
        rc = grams_add(&x->grams, posts[i].text, posts[i].size, e);
    }
    return rc;
}

/* Means and deviations of columns, and the mean of what is foreseen. */
static void scale(struct ranker *r, const struct columns *x, const double *y, size_t rows) {
    double sum = 0, known = 0;
    for (size_t i = 0; i < rows; i++) {
        sum += isfinite(y[i]) ? y[i] : 0;
        known += isfinite(y[i]) ? 1 : 0;
    }
    r->mean = known > 0 ? sum / known : 0;
    for (int which = 0; which < PLAIN; which++) {
        double first = 0, second = 0;
        for (size_t i = 0; i < rows; i++) {
            first += x->plain[i][which];
            second += x->plain[i][which] * x->plain[i][which];
        }
        first /= (double)rows;
        r->means[which] = first;
        r->deviations[which] = sqrt(fmax(second / (double)rows - first * first, 1e-6));
    }
}

static double foresee(const struct ranker *r, const struct columns *x, size_t row) {
    return r->mean + apply(r, x, row, &r->solution);
}

/* The squared errors on each fifth of the time, learned from the others. `part`: memory. */
static int try_ridge(struct ranker *r, const struct columns *x, const double *y, size_t count,
                     double ridge, double *part, double *error, struct error *e) {
    int rc = 0;
    *error = 0;
    for (size_t fold = 0; fold < FOLDS && rc == 0; fold++) {
        const size_t first = count * fold / FOLDS, end = count * (fold + 1) / FOLDS;
        memcpy(part, y, count * sizeof *part);
        for (size_t i = first; i < end; i++) {
            part[i] = (double)NAN;
        }
        rc = solve(r, x, count, part, ridge, e);
        for (size_t i = first; i < end && rc == 0; i++) {
            const double off = isfinite(y[i]) ? foresee(r, x, i) - y[i] : 0;
            *error += off * off;
        }
    }
    return rc;
}

static int choose(struct ranker *r, const struct columns *x, const double *y, size_t count,
                  double *ridge, struct error *e) {
    double *part = malloc(count * sizeof *part), least = HUGE_VAL;
    int rc = part != NULL ? 0 : error_memory(e, NULL);
    *ridge = RIDGES[0];
    for (int i = 0; i < RIDGE_COUNT && rc == 0; i++) {
        double error;
        rc = try_ridge(r, x, y, count, RIDGES[i], part, &error, e);
        if (rc == 0 && error < least) {
            least = error;
            *ridge = RIDGES[i];
        }
    }
    free(part);
    return rc;
}

static int learn(struct ranker *r, struct columns *x, const struct ranker_post *posts, size_t count,
                 double *y, struct error *e) {
    double ridge;
    int rc = ranker_beats(y, posts, count, e);
    if (rc == 0) {
        rc = columns_make(x, posts, count, e);
    }
    if (rc == 0) {
        grams_weights(&x->grams, r->grams);
        grams_weigh(&x->grams, 0, r->grams);
        scale(r, x, y, count);
        rc = choose(r, x, y, count, &ridge, e);
    }
    if (rc == 0) {
        rc = solve(r, x, count, y, ridge, e);
    }
    return rc;
}

int ranker_open(struct ranker **out, const struct ranker_post *posts, size_t count,
                struct error *e) {
    *out = NULL;
    if (count < LEAST) {
        return error_set(e, ERR_FORMAT, "%zu posts are too few to learn a ranker of captions from",
                         count);
    }
    struct ranker *r = calloc(1, sizeof *r);
    struct columns x = {.plain = NULL};
    double *y = malloc(count * sizeof *y);
    int rc = r != NULL && y != NULL ? 0 : error_memory(e, NULL);
    if (rc == 0) {
        r->grams = malloc(GRAMS_PLACES * sizeof *r->grams);
        r->solution.places = calloc(GRAMS_PLACES, sizeof *r->solution.places);
        rc = r->grams != NULL && r->solution.places != NULL ? 0 : error_memory(e, NULL);
    }
    if (rc == 0) {
        rc = learn(r, &x, posts, count, y, e);
    }
    columns_close(&x);
    free(y);
    if (rc < 0) {
        ranker_close(r);
        return rc;
    }
    *out = r;
    return 0;
}

void ranker_close(struct ranker *r) {
    if (r != NULL) {
        free(r->grams);
        free(r->solution.places);
        free(r);
    }
}

int ranker_score(const struct ranker *r, const struct ranker_post *texts, size_t count, double *out,
                 struct error *e) {
    struct columns x = {.plain = NULL};
    const int rc = columns_make(&x, texts, count, e);
    if (rc == 0) {
        grams_weigh(&x.grams, 0, r->grams);
    }
    for (size_t i = 0; i < count && rc == 0; i++) {
        out[i] = foresee(r, &x, i);
    }
    columns_close(&x);
    return rc;
}

int ranker_test(struct interval *out, const struct ranker_post *posts, size_t count, size_t learned,
                struct error *e) {
    struct ranker *r = NULL;
    double *real = malloc((count + 1) * sizeof *real), *told = malloc((count + 1) * sizeof *told);
    int rc = real != NULL && told != NULL ? 0 : error_memory(e, NULL);
    if (rc == 0) {
        rc = ranker_open(&r, posts, learned, e);
    }
    if (rc == 0) {
        rc = ranker_beats(real, posts, count, e);
    }
    if (rc == 0) {
        rc = ranker_score(r, posts + learned, count - learned, told, e);
    }
    if (rc == 0) {
        rc = interval_ranks(out, told, real + learned, count - learned, e);
    }
    ranker_close(r);
    free(real);
    free(told);
    return rc;
}

double ranker_percentile(double score, const double *real, size_t count) {
    double below = 0;
    for (size_t i = 0; i < count; i++) {
        below += real[i] < score ? 1 : real[i] > score ? 0 : 0.5;
    }
    return count > 0 ? below / (double)count : (double)NAN;
}
