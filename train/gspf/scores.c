/* scores.c - phase A of gspf.h: what is kept of the gradients of whole matrices.
 *
 * A gradient comes from the tape's sink as soon as it is complete, and goes through here a unit at
 * a time. Number (i, j) of a unit adds to sum j mod 16 with the sign row[i][j mod 16] column[j]: a
 * multiplication for each number, and sums that do not depend on the instruction set. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compress/ops.h"
#include "store/random.h"
#include "train/gspf/gspf_state.h"

enum {
    SUMS = 16,
    AT_ONCE = 1 << 15 /* numbers that a thread is given, which its cache holds */
};

/* Of one gradient, or the EMAs. */
struct unit_sums {
    float magnitude;         /* sum of |g| */
    float signed_sums[SUMS]; /* S g */
    float square;            /* |S g|^2 */
};

struct unit_scores {
    struct unit_sums now, mean; /* `now`: of the row at hand */
    float weight;               /* mean |w| */
};

/* The key of a matrix for the sink. */
struct probe {
    int64_t layer;
    enum decoder_matrix which;
};

struct gspf_scores {
    struct gspf_options options;
    struct decoder_config config;
    struct gspf_source source; /* of gspf_probe_parts */
    struct mask none;
    struct device *device;
    struct gspf_units units;
    struct unit_scores *list;      /* of all units */
    struct probe *probes;          /* of all matrices */
    float *numbers;                /* of some units of a matrix */
    float *columns, (*rows)[SUMS]; /* signs */
    double kept; /* share of the first means that is left: 1 - it is what the EMAs add up to */
};

/* ---- Units ----------------------------------------------------------------------------------- */

struct gspf_units gspf_units_of(const struct decoder_config *c, int64_t rows) {
    struct gspf_units u = {.config = c, .rows = rows};
    for (int i = 0; i < DECODER_MATRICES; i++) {
        int64_t outputs, inputs;
        decoder_matrix_shape(c, (enum decoder_matrix)i, &outputs, &inputs);
        u.matrices[i] = outputs / rows + (outputs % rows != 0);
        u.layer += u.matrices[i];
    }
    u.count = u.layer * c->layers;
    return u;
}

int64_t gspf_unit_first(const struct gspf_units *u, int64_t layer, enum decoder_matrix which) {
    int64_t first = layer * u->layer;
    for (int i = 0; i < (int)which; i++) {
        first += u->matrices[i];
    }
    return first;
}

struct mask_unit gspf_unit(const struct gspf_units *u, int64_t index) {
    const int64_t layer = index / u->layer;
    int64_t rest = index % u->layer, outputs, inputs;
    int which = 0;
    while (rest >= u->matrices[which]) {
        rest -= u->matrices[which++];
    }
    decoder_matrix_shape(u->config, (enum decoder_matrix)which, &outputs, &inputs);
    const int64_t first = rest * u->rows, left = outputs - first;
    return (struct mask_unit){.layer = (int32_t)layer,
                              .matrix = (enum decoder_matrix)which,
                              .first_row = (int32_t)first,
                              .rows = (int32_t)(left < u->rows ? left : u->rows)};
}

static int64_t inputs_of(const struct decoder_config *c, enum decoder_matrix which) {
    int64_t outputs, inputs;
    decoder_matrix_shape(c, which, &outputs, &inputs);
    return inputs;
}

/* Rows of a matrix that come from the device at once: of whole units. */
static int64_t rows_at_once(const struct gspf_scores *s, int64_t inputs) {
    const int64_t batch = s->device->backend->batch(), unit = s->units.rows;
    const int64_t units = AT_ONCE * batch * batch / inputs / unit;
    return (units > 0 ? units : 1) * unit;
}

const struct gspf_units *gspf_scores_units(const struct gspf_scores *s) {
    return &s->units;
}

const struct gspf_options *gspf_scores_options(const struct gspf_scores *s) {
    return &s->options;
}

/* ---- Sums of a unit -------------------------------------------------------------------------- */

/* A row of numbers: sums of |x| and signed x, lane by lane. */
static void add_row(const float *x, const float *columns, int64_t count, float magnitude[SUMS],
                    float sums[SUMS]) {
    int64_t j = 0;
    for (; j + SUMS <= count; j += SUMS) {
        for (int k = 0; k < SUMS; k++) {
            magnitude[k] += fabsf(x[j + k]);
            sums[k] += x[j + k] * columns[j + k];
        }
    }
    for (int k = 0; j < count; j++, k++) {
        magnitude[k] += fabsf(x[j]);
        sums[k] += x[j] * columns[j];
    }
}

/* Of the next unit, of so many rows that are left. */
static int64_t unit_rows(const struct gspf_scores *s, int64_t left) {
    return left < s->units.rows ? left : s->units.rows;
}

static void add_unit(const struct gspf_scores *s, struct unit_sums *to, const float *numbers,
                     int64_t rows, int64_t inputs) {
    for (int64_t i = 0; i < rows; i++) {
        float magnitude[SUMS] = {0}, sums[SUMS] = {0};
        add_row(numbers + i * inputs, s->columns, inputs, magnitude, sums);
        for (int k = 0; k < SUMS; k++) {
            to->magnitude += magnitude[k];
            to->signed_sums[k] += s->rows[i][k] * sums[k];
        }
    }
}

int gspf_scores_sink(void *context, const void *key, const struct tensor *gradient,
                     struct error *e) {
    struct gspf_scores *s = context;
    const struct probe *p = key;
    struct unit_scores *unit = s->list + gspf_unit_first(&s->units, p->layer, p->which);
    const int64_t inputs = inputs_of(&s->config, p->which), step = rows_at_once(s, inputs);
    const int64_t outputs = gradient != NULL ? tensor_rows(gradient) : 0;
    int rc = 0;
    for (int64_t first = 0; first < outputs && rc == 0; first += step) {
        const int64_t rows = outputs - first < step ? outputs - first : step;
        const struct tensor from = tensor_row_range(gradient, first, rows);
        const struct tensor host = tensor_matrix(s->numbers, DTYPE_F32, NULL, rows, inputs);
        rc = s->device->ops->download(s->device, &host, &from, e);
        for (int64_t i = 0; i < rows && rc == 0; i += s->units.rows, unit++) {
            add_unit(s, &unit->now, s->numbers + i * inputs, unit_rows(s, rows - i), inputs);
        }
    }
    return rc;
}

static void move_towards(float *mean, float now, float keep) {
    *mean = keep * *mean + (1 - keep) * now;
}

/* Completes the sums of the row at hand. Whether they are finite. */
static bool settle_row(struct gspf_scores *s) {
    bool finite = true;
    for (int64_t i = 0; i < s->units.count; i++) {
        struct unit_sums *now = &s->list[i].now;
        for (int k = 0; k < SUMS; k++) {
            now->square += now->signed_sums[k] * now->signed_sums[k];
        }
        finite = finite && isfinite(now->square) && isfinite(now->magnitude);
    }
    return finite;
}

bool gspf_scores_step(struct gspf_scores *s) {
    const bool counts = settle_row(s);
    const float keep = (float)s->options.keep;
    for (int64_t i = 0; i < s->units.count; i++) {
        struct unit_sums *now = &s->list[i].now, *mean = &s->list[i].mean;
        for (int k = 0; k < SUMS && counts; k++) {
            move_towards(&mean->signed_sums[k], now->signed_sums[k], keep);
        }
        if (counts) {
            move_towards(&mean->magnitude, now->magnitude, keep);
            move_towards(&mean->square, now->square, keep);
        }
        *now = (struct unit_sums){.square = 0};
    }
    s->kept *= counts ? s->options.keep : 1;
    return counts;
}

double gspf_score(const struct gspf_scores *s, int64_t unit) {
    const struct unit_scores *u = &s->list[unit];
    const struct mask_unit place = gspf_unit(&s->units, unit);
    const double whole = 1 - s->kept;
    const double numbers = (double)(place.rows * inputs_of(&s->config, place.matrix));
    double square = 0;
    for (int k = 0; k < SUMS; k++) {
        square += (double)u->mean.signed_sums[k] * (double)u->mean.signed_sums[k];
    }
    if (!(u->mean.square > 0) || !(u->weight > 0)) {
        return 0;
    }
    const double stability = square / ((double)u->mean.square * whole); /* 0 to 1 */
    return (double)u->mean.magnitude / (numbers * whole) / (double)u->weight * stability;
}

/* ---- On a tape ------------------------------------------------------------------------------- */

struct node *gspf_scores_node(struct gspf_scores *s, struct tape *t, int64_t layer,
                              enum decoder_matrix which) {
    int64_t outputs, inputs;
    decoder_matrix_shape(&s->config, which, &outputs, &inputs);
    const struct tensor shape = tensor_matrix(NULL, DTYPE_F32, NULL, outputs, inputs);
    return tape_parameter(t, &shape, NULL, &shape,
                          &s->probes[layer * DECODER_MATRICES + (int64_t)which]);
}

struct decoder_parts gspf_probe_parts(struct gspf_scores *s) {
    return gspf_parts(&s->source);
}

/* ---- Sizes ----------------------------------------------------------------------------------- */

/* The most of what comes from the device at once, and of a unit. */
struct sizes {
    int64_t rows, numbers, inputs, unit_rows;
};

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static struct sizes largest(const struct gspf_scores *s) {
    struct sizes most = {0};
    for (int i = 0; i < DECODER_MATRICES; i++) {
        int64_t outputs, inputs;
        decoder_matrix_shape(&s->config, (enum decoder_matrix)i, &outputs, &inputs);
        const int64_t step = rows_at_once(s, inputs), rows = outputs < step ? outputs : step;
        most.rows = larger(most.rows, rows);
        most.numbers = larger(most.numbers, rows * inputs);
        most.inputs = larger(most.inputs, inputs);
        most.unit_rows = larger(most.unit_rows, unit_rows(s, outputs));
    }
    return most;
}

/* ---- Weights --------------------------------------------------------------------------------- */

/* The numbers of `count` rows of a frozen matrix are put into s->numbers. */
static int read_rows(struct gspf_scores *s, const struct packed *w, int64_t first, int64_t count,
                     int32_t *index, struct error *e) {
    const struct ops *ops = s->device->ops;
    const struct tensor host = tensor_vector(index, DTYPE_I32, NULL, count);
    const struct tensor to = tensor_matrix(s->numbers, DTYPE_F32, NULL, count, w->inputs);
    struct tensor numbers = tensor_matrix(NULL, DTYPE_F32, NULL, count, w->inputs);
    struct tensor rows = tensor_vector(NULL, DTYPE_I32, NULL, count);
    for (int64_t i = 0; i < count; i++) {
        index[i] = (int32_t)(first + i);
    }
    int rc = ops->alloc(s->device, &numbers, e);
    rc = rc == 0 ? ops->alloc(s->device, &rows, e) : rc;
    rc = rc == 0 ? ops->upload(s->device, &rows, &host, e) : rc;
    rc = rc == 0 ? ops->gather_packed(s->device, &numbers, w, &rows, e) : rc;
    rc = rc == 0 ? ops->download(s->device, &to, &numbers, e) : rc;
    ops->release(s->device, &numbers);
    ops->release(s->device, &rows);
    return rc;
}

/* Rows of zeros, as some models have them, would outweigh all others: no unit counts with less than
 * a thousandth of its matrix' mean. */
static void settle_weights(struct unit_scores *units, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += (double)units[i].weight;
    }
    for (int64_t i = 0; i < count; i++) {
        units[i].weight = fmaxf(units[i].weight, (float)(1e-3 * sum / (double)count));
    }
}

static int weigh_matrix(struct gspf_scores *s, const struct probe *p, int32_t *index,
                        struct error *e) {
    const struct packed *w = decoder_packed(s->source.base, p->layer, p->which);
    struct unit_scores *all = s->list + gspf_unit_first(&s->units, p->layer, p->which);
    struct unit_scores *unit = all;
    const int64_t step = rows_at_once(s, w->inputs);
    int rc = 0;
    for (int64_t first = 0; first < w->outputs && rc == 0; first += step) {
        const int64_t rows = w->outputs - first < step ? w->outputs - first : step;
        rc = read_rows(s, w, first, rows, index, e);
        for (int64_t i = 0; i < rows && rc == 0; i += s->units.rows, unit++) {
            const int64_t count = unit_rows(s, rows - i);
            struct unit_sums sums = {.square = 0};
            add_unit(s, &sums, s->numbers + i * w->inputs, count, w->inputs);
            unit->weight = sums.magnitude / (float)(count * w->inputs);
        }
    }
    if (rc == 0) {
        settle_weights(all, s->units.matrices[p->which]);
    }
    return rc;
}

static int weigh(struct gspf_scores *s, struct error *e) {
    const struct sizes most = largest(s);
    int32_t *index = calloc((size_t)most.rows, sizeof *index);
    int rc = index != NULL ? 0 : error_memory(e, "scores");
    for (int64_t i = 0; i < s->config.layers * DECODER_MATRICES && rc == 0; i++) {
        rc = weigh_matrix(s, &s->probes[i], index, e);
    }
    free(index);
    return rc;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static float sign_of(uint64_t *state) {
    return random_next(state) >> 63 ? 1 : -1;
}

static int open_tables(struct gspf_scores *s, struct error *e) {
    const struct sizes most = largest(s);
    const int64_t rows = most.unit_rows, inputs = most.inputs;
    uint64_t state = 1;
    s->list = calloc((size_t)s->units.count, sizeof *s->list);
    s->probes = calloc((size_t)(s->config.layers * DECODER_MATRICES), sizeof *s->probes);
    s->numbers = calloc((size_t)most.numbers, sizeof *s->numbers);
    s->columns = calloc((size_t)inputs, sizeof *s->columns);
    s->rows = calloc((size_t)rows, sizeof *s->rows);
    if (s->list == NULL || s->probes == NULL || s->numbers == NULL || s->columns == NULL ||
        s->rows == NULL) {
        return error_memory(e, "scores");
    }
    for (int64_t i = 0; i < s->config.layers * DECODER_MATRICES; i++) {
        s->probes[i] =
            (struct probe){i / DECODER_MATRICES, (enum decoder_matrix)(i % DECODER_MATRICES)};
    }
    for (int64_t j = 0; j < inputs; j++) {
        s->columns[j] = sign_of(&state);
    }
    for (int64_t i = 0; i < rows * SUMS; i++) {
        s->rows[i / SUMS][i % SUMS] = sign_of(&state);
    }
    return 0;
}

int gspf_scores_open(struct gspf_scores **out, const struct gspf_options *o,
                     const struct decoder *base, const struct lora_source *lora,
                     struct device *device, struct error *e) {
    struct gspf_scores *s = calloc(1, sizeof *s);
    *out = NULL;
    if (s == NULL) {
        return error_memory(e, "scores");
    }
    s->options = *o;
    s->config = *decoder_config(base);
    s->source = (struct gspf_source){.mask = &s->none, .base = base, .lora = lora, .scores = s};
    s->device = device;
    s->kept = 1;
    int rc = gspf_check(o, e);
    if (rc == 0) {
        s->units = gspf_units_of(&s->config, o->rows);
    }
    rc = rc == 0 ? open_tables(s, e) : rc;
    rc = rc == 0 ? weigh(s, e) : rc;
    if (rc < 0) {
        gspf_scores_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

void gspf_scores_close(struct gspf_scores *s) {
    if (s != NULL) {
        free(s->list);
        free(s->probes);
        free(s->numbers);
        free(s->columns);
        free(s->rows);
        free(s);
    }
}
