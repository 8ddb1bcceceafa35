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

enum { SUMS = 16 };

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
    float *numbers;                /* of a unit */
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
    const int64_t first = gspf_unit_first(&s->units, p->layer, p->which);
    const int64_t inputs = inputs_of(&s->config, p->which);
    int rc = 0;
    for (int64_t i = 0; i < s->units.matrices[p->which] && gradient != NULL && rc == 0; i++) {
        const struct mask_unit u = gspf_unit(&s->units, first + i);
        const struct tensor from = tensor_row_range(gradient, u.first_row, u.rows);
        const struct tensor host = tensor_matrix(s->numbers, DTYPE_F32, NULL, u.rows, inputs);
        rc = s->device->ops->download(s->device, &host, &from, e);
        if (rc == 0) {
            add_unit(s, &s->list[first + i].now, s->numbers, u.rows, inputs);
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
    const int64_t first = gspf_unit_first(&s->units, p->layer, p->which);
    int rc = 0;
    for (int64_t i = 0; i < s->units.matrices[p->which] && rc == 0; i++) {
        const struct mask_unit u = gspf_unit(&s->units, first + i);
        struct unit_sums sums = {.square = 0};
        rc = read_rows(s, w, u.first_row, u.rows, index, e);
        if (rc == 0) {
            add_unit(s, &sums, s->numbers, u.rows, w->inputs);
            s->list[first + i].weight = sums.magnitude / (float)(u.rows * w->inputs);
        }
    }
    if (rc == 0) {
        settle_weights(s->list + first, s->units.matrices[p->which]);
    }
    return rc;
}

static int weigh(struct gspf_scores *s, struct error *e) {
    int32_t *index = calloc((size_t)s->units.rows, sizeof *index);
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

/* The most rows and inputs of any unit. */
static void largest(const struct gspf_scores *s, int64_t *rows, int64_t *inputs) {
    *rows = *inputs = 1;
    for (int i = 0; i < DECODER_MATRICES; i++) {
        int64_t height, width;
        decoder_matrix_shape(&s->config, (enum decoder_matrix)i, &height, &width);
        height = height < s->units.rows ? height : s->units.rows;
        *rows = height > *rows ? height : *rows;
        *inputs = width > *inputs ? width : *inputs;
    }
}

static int open_tables(struct gspf_scores *s, struct error *e) {
    int64_t rows, inputs;
    uint64_t state = 1;
    largest(s, &rows, &inputs);
    s->list = calloc((size_t)s->units.count, sizeof *s->list);
    s->probes = calloc((size_t)(s->config.layers * DECODER_MATRICES), sizeof *s->probes);
    s->numbers = calloc((size_t)rows * (size_t)inputs, sizeof *s->numbers);
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
    s->units = gspf_units_of(&s->config, o->rows);
    s->kept = 1;
    int rc = gspf_check(o, e);
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
