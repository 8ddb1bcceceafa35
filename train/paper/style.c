/* style.c - see style.h. */
#include "train/paper/style.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/bytes.h"
#include "store/utf8.h"
#include "train/paper/grams.h"
#include "train/paper/marks.h"

enum { CHUNK = 400 };
/* A column that hardly differs counts no more than one that differs a quarter as much as the mean.
 */
static const double LEAST_DEVIATION = 0.25;

const char *const STYLE_VIEW_NAMES[STYLE_VIEWS + 1] = {"grams", "words", "marks", "all"};

static const size_t WIDTHS[STYLE_VIEWS] = {
    [STYLE_GRAMS] = GRAMS_PLACES, [STYLE_WORDS] = FUNCTION_WORD_COUNT, [STYLE_MARKS] = MARKS_COUNT};

/* Writers in a view. */
struct centre {
    size_t width;
    float *mean;    /* (width): of the writers */
    float *writers; /* (writers, width): less the mean */
    double *sizes;  /* lengths of these */
    double *along;  /* their products with the mean */
    double square;  /* of the mean */
};
struct style {
    size_t writers;
    float *weights;             /* of grams */
    float *scales[STYLE_VIEWS]; /* 1 / deviation of plain columns */
    struct centre centres[STYLE_VIEWS];
};

/* ---- Chunks ---------------------------------------------------------------------------------- */

/* Of each: a row of grams, its plain columns, whose it is. */
struct chunks {
    struct grams grams;
    float *plain[STYLE_VIEWS]; /* (count, width) */
    size_t *writers;
    size_t count, capacity;
};

static void chunks_close(struct chunks *c) {
    grams_close(&c->grams);
    free(c->plain[STYLE_WORDS]);
    free(c->plain[STYLE_MARKS]);
    free(c->writers);
}

static size_t chunk_count(size_t size) {
    return size < CHUNK ? 1 : (size + CHUNK / 2) / CHUNK;
}

static int chunks_reserve(struct chunks *c, size_t count, struct error *e) {
    for (int view = STYLE_WORDS; view < STYLE_VIEWS; view++) {
        c->plain[view] = calloc(count * WIDTHS[view] + 1, sizeof *c->plain[view]);
    }
    c->writers = calloc(count + 1, sizeof *c->writers);
    c->capacity = count;
    return c->plain[STYLE_WORDS] != NULL && c->plain[STYLE_MARKS] != NULL && c->writers != NULL
               ? 0
               : error_memory(e, NULL);
}

/* Those of a text; what has no words is left out. */
static int add_chunks(struct chunks *c, const struct style_text *t, struct error *e) {
    const size_t count = chunk_count(t->size);
    size_t first = 0;
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        const size_t most = (size_t)((double)t->size * (double)(i + 1) / (double)count);
        const size_t end = i + 1 == count ? t->size : utf8_floor(t->text, most);
        float *marks = c->plain[STYLE_MARKS] + c->count * MARKS_COUNT;
        float *words = c->plain[STYLE_WORDS] + c->count * FUNCTION_WORD_COUNT;
        if (end > first && marks_describe(t->text + first, end - first, marks, words)) {
            rc = grams_add(&c->grams, t->text + first, end - first, e);
            c->writers[c->count++] = t->writer;
        }
        first = end > first ? end : first;
    }
    return rc;
}

static int chunks_make(struct chunks *c, const struct style_text *texts, size_t count,
                       struct error *e) {
    size_t chunks = 0;
    *c = (struct chunks){.count = 0};
    for (size_t i = 0; i < count; i++) {
        chunks += chunk_count(texts[i].size);
    }
    int rc = chunks < SIZE_MAX / sizeof(float) / FUNCTION_WORD_COUNT ? chunks_reserve(c, chunks, e)
                                                                     : error_memory(e, NULL);
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = add_chunks(c, &texts[i], e);
    }
    return rc;
}

/* Plain columns divided by their deviations. */
static void scale(struct chunks *c, enum style_view view, const float *scales) {
    const size_t width = WIDTHS[view];
    for (size_t row = 0; row < c->count; row++) {
        for (size_t i = 0; i < width; i++) {
            c->plain[view][row * width + i] *= scales[i];
        }
    }
}

/* ---- Writers --------------------------------------------------------------------------------- */

static void learn_scales(float *scales, const struct chunks *c, enum style_view view) {
    const size_t width = WIDTHS[view];
    double mean = 0;
    for (size_t i = 0; i < width; i++) {
        double sum = 0, squares = 0;
        for (size_t row = 0; row < c->count; row++) {
            const double value = (double)c->plain[view][row * width + i];
            sum += value;
            squares += value * value;
        }
        const double n = (double)c->count, variance = squares / n - sum / n * (sum / n);
        scales[i] = (float)sqrt(fmax(variance, 0));
        mean += (double)scales[i] / (double)width;
    }
    for (size_t i = 0; i < width; i++) {
        const double deviation = fmax((double)scales[i], LEAST_DEVIATION * mean);
        scales[i] = deviation > 0 ? (float)(1 / deviation) : 0;
    }
}

static void add_chunk(const struct chunks *c, size_t row, enum style_view view, float factor,
                      float *out) {
    if (view == STYLE_GRAMS) {
        grams_accumulate(&c->grams, row, factor, out);
        return;
    }
    for (size_t i = 0; i < WIDTHS[view]; i++) {
        out[i] += factor * c->plain[view][row * WIDTHS[view] + i];
    }
}

static double product(const float *a, const float *b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

static int centre_make(struct centre *to, const struct chunks *c, enum style_view view,
                       size_t writers, const size_t *counts, struct error *e) {
    const size_t width = to->width = WIDTHS[view];
    if (writers > SIZE_MAX / sizeof(float) / width) {
        return error_memory(e, NULL);
    }
    to->mean = calloc(width, sizeof *to->mean);
    to->writers = calloc(writers * width + 1, sizeof *to->writers);
    to->sizes = calloc(writers + 1, sizeof *to->sizes);
    to->along = calloc(writers + 1, sizeof *to->along);
    if (to->mean == NULL || to->writers == NULL || to->sizes == NULL || to->along == NULL) {
        return error_memory(e, NULL);
    }
    for (size_t row = 0; row < c->count; row++) {
        const size_t writer = c->writers[row];
        add_chunk(c, row, view, 1 / (float)counts[writer], to->writers + writer * width);
    }
    for (size_t w = 0; w < writers; w++) {
        for (size_t i = 0; i < width; i++) {
            to->mean[i] += to->writers[w * width + i] / (float)writers;
        }
    }
    to->square = product(to->mean, to->mean, width);
    for (size_t w = 0; w < writers; w++) {
        float *writer = to->writers + w * width;
        for (size_t i = 0; i < width; i++) {
            writer[i] -= to->mean[i];
        }
        to->sizes[w] = sqrt(product(writer, writer, width));
        to->along[w] = product(writer, to->mean, width);
    }
    return 0;
}

static int learn(struct style *s, struct chunks *c, struct error *e) {
    size_t *counts = calloc(s->writers + 1, sizeof *counts);
    s->weights = malloc(GRAMS_PLACES * sizeof *s->weights);
    s->scales[STYLE_WORDS] = calloc(FUNCTION_WORD_COUNT, sizeof(float));
    s->scales[STYLE_MARKS] = calloc(MARKS_COUNT, sizeof(float));
    int rc = counts != NULL && s->weights != NULL && s->scales[STYLE_WORDS] != NULL &&
                     s->scales[STYLE_MARKS] != NULL
                 ? 0
                 : error_memory(e, NULL);
    for (size_t i = 0; i < c->count && rc == 0; i++) {
        counts[c->writers[i]]++;
    }
    for (size_t w = 0; w < s->writers && rc == 0; w++) {
        if (counts[w] == 0) {
            rc = error_set(e, ERR_FORMAT, "writer %zu has no text to learn a style from", w + 1);
        }
    }
    if (rc == 0) {
        grams_weights(&c->grams, s->weights);
        grams_weigh(&c->grams, 0, s->weights);
    }
    for (int view = 0; view < STYLE_VIEWS && rc == 0; view++) {
        if (view != STYLE_GRAMS) {
            learn_scales(s->scales[view], c, (enum style_view)view);
            scale(c, (enum style_view)view, s->scales[view]);
        }
        rc = centre_make(&s->centres[view], c, (enum style_view)view, s->writers, counts, e);
    }
    free(counts);
    return rc;
}

int style_open(struct style **out, const struct style_text *texts, size_t count, size_t writers,
               struct error *e) {
    struct chunks chunks;
    struct style *s = calloc(1, sizeof *s);
    *out = NULL;
    if (s == NULL) {
        return error_memory(e, NULL);
    }
    s->writers = writers;
    int rc = chunks_make(&chunks, texts, count, e);
    if (rc == 0) {
        rc = learn(s, &chunks, e);
    }
    chunks_close(&chunks);
    if (rc < 0) {
        style_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

void style_close(struct style *s) {
    if (s == NULL) {
        return;
    }
    for (int view = 0; view < STYLE_VIEWS; view++) {
        struct centre *c = &s->centres[view];
        free(c->mean);
        free(c->writers);
        free(c->sizes);
        free(c->along);
        free(s->scales[view]);
    }
    free(s->weights);
    free(s);
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static double dot(const struct chunks *c, size_t row, enum style_view view, const float *vector) {
    return view == STYLE_GRAMS ? grams_dot(&c->grams, row, vector)
                               : product(c->plain[view] + row * WIDTHS[view], vector, WIDTHS[view]);
}

static double square(const struct chunks *c, size_t row, enum style_view view) {
    double sum = 0;
    if (view != STYLE_GRAMS) {
        const float *values = c->plain[view] + row * WIDTHS[view];
        return product(values, values, WIDTHS[view]);
    }
    size_t count;
    const struct grams_entry *entries = grams_row(&c->grams, row, &count);
    for (size_t i = 0; i < count; i++) {
        sum += (double)entries[i].value * (double)entries[i].value;
    }
    return sum;
}

/* Adds the cosines of a chunk to those of its text. */
static void compare_chunk(const struct style *s, const struct chunks *c, size_t row,
                          enum style_view view, double *out) {
    const struct centre *to = &s->centres[view];
    const double off = square(c, row, view) - 2 * dot(c, row, view, to->mean) + to->square;
    for (size_t w = 0; w < s->writers; w++) {
        const double size = sqrt(fmax(off, 0)) * to->sizes[w];
        const double along = dot(c, row, view, to->writers + w * to->width) - to->along[w];
        out[w] += size > 1e-12 ? along / size / (double)c->count : 0;
    }
}

int style_compare(const struct style *s, const char *text, size_t size, double *out,
                  struct error *e) {
    const struct style_text one = {.text = text, .size = size};
    struct chunks c;
    int rc = chunks_make(&c, &one, 1, e);
    memset(out, 0, STYLE_VIEWS * s->writers * sizeof *out);
    if (rc == 0) {
        grams_weigh(&c.grams, 0, s->weights);
    }
    for (int view = 0; view < STYLE_VIEWS && rc == 0; view++) {
        if (view != STYLE_GRAMS) {
            scale(&c, (enum style_view)view, s->scales[view]);
        }
        for (size_t row = 0; row < c.count; row++) {
            compare_chunk(s, &c, row, (enum style_view)view, out + (size_t)view * s->writers);
        }
    }
    chunks_close(&c);
    return rc;
}

/* ---- Bounds ---------------------------------------------------------------------------------- */

/* All texts of a writer, one after another. */
static int join(struct bytes *out, const struct style_text *texts, size_t count, size_t writer,
                struct error *e) {
    int rc = 0;
    bytes_clear(out);
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (texts[i].writer == writer && texts[i].size > 0) {
            rc = bytes_append(out, texts[i].text, texts[i].size, e);
            rc = rc == 0 ? bytes_append(out, "\n", 1, e) : rc;
        }
    }
    return rc;
}

/* out[writer][view][to writer]; has[writer]: there is text. */
static int compare_all(const struct style *s, const struct style_text *texts, size_t count,
                       double *out, bool *has, struct error *e) {
    struct bytes text;
    bytes_init(&text, SIZE_MAX / 2);
    int rc = 0;
    for (size_t w = 0; w < s->writers && rc == 0; w++) {
        rc = join(&text, texts, count, w, e);
        has[w] = text.size > 0;
        if (rc == 0) {
            rc = style_compare(s, bytes_text(&text), text.size, out + w * STYLE_VIEWS * s->writers,
                               e);
        }
    }
    bytes_close(&text);
    return rc;
}

static void set_bounds(const struct style *s, const double *measured, const double *later,
                       const bool *has, size_t w, enum style_view view, struct style_bounds *out) {
    const size_t n = s->writers, at = view * n + w; /* of a writer's comparisons: to w, in view */
    double sum = 0, others = 0;
    for (size_t other = 0; other < n; other++) {
        if (other != w && has[n + other]) {
            sum += later[other * STYLE_VIEWS * n + at];
            others++;
        }
    }
    const bool told = has[w] && has[n + w] && others > 0;
    out->own[view] = told ? measured[w * STYLE_VIEWS * n + at] : (double)NAN;
    out->floor[view] = told ? sum / others : (double)NAN;
    out->ceiling[view] = told ? later[w * STYLE_VIEWS * n + at] : (double)NAN;
}

int style_measure(const struct style *s, const struct style_text *texts, size_t count,
                  const struct style_text *later, size_t later_count, struct style_bounds *bounds,
                  struct error *e) {
    const size_t n = s->writers;
    if (n > SIZE_MAX / sizeof(double) / 2 / STYLE_VIEWS / (n + 1)) {
        return error_memory(e, NULL);
    }
    double *cosines = calloc(2 * n * n * STYLE_VIEWS + 1, sizeof *cosines);
    bool *has = calloc(2 * n + 1, sizeof *has);
    int rc = cosines != NULL && has != NULL ? 0 : error_memory(e, NULL);
    double *of_later = cosines != NULL ? cosines + n * n * STYLE_VIEWS : NULL;
    if (rc == 0) {
        rc = compare_all(s, texts, count, cosines, has, e);
    }
    if (rc == 0) {
        rc = compare_all(s, later, later_count, of_later, has + n, e);
    }
    for (size_t w = 0; w < n && rc == 0; w++) {
        for (int view = 0; view < STYLE_VIEWS; view++) {
            set_bounds(s, cosines, of_later, has, w, (enum style_view)view, &bounds[w]);
        }
    }
    free(cosines);
    free(has);
    return rc;
}

/* Adds (own - floor), (ceiling - floor) of each writer in a view; `normal`: in units of the mean
 * gap, so that views can be added. */
static void add_gaps(const struct style_bounds *bounds, size_t writers, int view, bool normal,
                     double *top, double *bottom) {
    double mean = 0, told = 0;
    for (size_t w = 0; w < writers; w++) {
        const double gap = bounds[w].ceiling[view] - bounds[w].floor[view];
        mean += isfinite(gap) ? gap : 0;
        told += isfinite(gap);
    }
    const double factor = normal && mean > 0 ? told / mean : 1;
    for (size_t w = 0; w < writers; w++) {
        top[w] += factor * (bounds[w].own[view] - bounds[w].floor[view]);
        bottom[w] += factor * (bounds[w].ceiling[view] - bounds[w].floor[view]);
    }
}

int style_share(struct interval *out, const struct style_bounds *bounds, size_t writers, int view,
                struct error *e) {
    double *gaps = calloc(2 * writers + 1, sizeof *gaps);
    if (gaps == NULL) {
        return error_memory(e, NULL);
    }
    for (int i = 0; i < STYLE_VIEWS; i++) {
        if (view == i || view == STYLE_ALL) {
            add_gaps(bounds, writers, i, view == STYLE_ALL, gaps, gaps + writers);
        }
    }
    const int rc = interval_ratio(out, gaps, gaps + writers, writers, e);
    free(gaps);
    return rc;
}
