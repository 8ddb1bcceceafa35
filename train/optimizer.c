/* optimizer.c - see optimizer.h. */
#include "train/optimizer.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compress/ops.h"

enum {
    /* numbers of a thread: weights, moments and gradients of one stay in a core's cache */
    PIECE = 1 << 15
};

/* ---- Memory ---------------------------------------------------------------------------------- */

static struct tensor shape_of(const struct parameters *p, const struct slice *s) {
    int64_t width = tensor_width(&parameters_get(p, s->parameter)->value);
    return tensor_matrix(NULL, DTYPE_F32, NULL, s->rows, width);
}

static int zeros(struct optimizer *o, struct tensor *out, struct error *e) {
    struct device *device = parameters_device(o->parameters);
    int rc = device->ops->alloc(device, out, e);
    return rc == 0 ? device->ops->fill(device, out, 0, e) : rc;
}

static int slice_open(struct optimizer *o, struct slice *s, struct error *e) {
    const struct tensor_spec *spec = &parameters_get(o->parameters, s->parameter)->spec;
    const struct optimizer_group *group = o->options.groups;
    assert(spec->trainable && s->rows > 0 && s->first_row + s->rows <= spec->rows);
    s->first_moment = s->second_moment = s->ema = shape_of(o->parameters, s);
    s->rate = spec->rate;
    s->decay = spec->decays ? o->options.decay : 0;
    for (int i = 0; i < OPTIMIZER_GROUPS && group[i].name != NULL; i++) {
        if (strcmp(group[i].name, spec->group) == 0) {
            s->rate *= group[i].rate;
            s->decay *= group[i].decay;
        }
    }
    int rc = zeros(o, &s->first_moment, e);
    if (rc == 0) {
        rc = zeros(o, &s->second_moment, e);
    }
    if (rc == 0 && o->options.ema > 0) {
        rc = zeros(o, &s->ema, e);
    }
    return rc;
}

/* As many rows as are about PIECE numbers, or as many more as the device is given at once. */
static int64_t piece_rows(const struct optimizer *o, const struct slice *s) {
    const int64_t batch = parameters_device(o->parameters)->backend->batch();
    int64_t rows = PIECE * batch * batch / tensor_width(&s->first_moment);
    return rows > 0 ? rows : 1;
}

static int cut(struct optimizer *o, struct error *e) {
    size_t count = 0;
    for (size_t i = 0; i < o->slice_count; i++) {
        int64_t each = piece_rows(o, &o->slices[i]);
        count += (size_t)((o->slices[i].rows + each - 1) / each);
    }
    o->pieces = calloc(count + 1, sizeof *o->pieces);
    if (o->pieces == NULL) {
        return error_memory(e, "the optimizer");
    }
    for (size_t i = 0; i < o->slice_count; i++) {
        int64_t each = piece_rows(o, &o->slices[i]), rows = o->slices[i].rows;
        for (int64_t row = 0; row < rows; row += each) {
            o->pieces[o->piece_count++] = (struct piece){
                .slice = i, .first_row = row, .rows = rows - row < each ? rows - row : each};
        }
    }
    o->squares = tensor_vector(NULL, DTYPE_F32, NULL, (int64_t)count);
    return zeros(o, &o->squares, e);
}

/* All trainable parameters, whole; malloc's, NULL: failed. */
static struct slice *choose_all(const struct parameters *p, size_t *count) {
    struct slice *all = calloc(parameters_count(p) + 1, sizeof *all);
    *count = 0;
    for (size_t i = 0; i < parameters_count(p) && all != NULL; i++) {
        const struct tensor_spec *spec = &parameters_get(p, i)->spec;
        if (spec->trainable) {
            all[(*count)++] = (struct slice){.parameter = i, .rows = spec->rows};
        }
    }
    return all;
}

int optimizer_open(struct optimizer *o, struct parameters *p,
                   const struct optimizer_options *options, const struct slice *chosen,
                   size_t count, struct error *e) {
    *o = (struct optimizer){.options = *options, .parameters = p};
    if (chosen == NULL) {
        o->slices = choose_all(p, &count);
    } else {
        o->slices = calloc(count + 1, sizeof *o->slices);
    }
    if (o->slices == NULL) {
        return error_memory(e, "the optimizer");
    }
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (chosen != NULL) {
            o->slices[i] = (struct slice){.parameter = chosen[i].parameter,
                                          .first_row = chosen[i].first_row,
                                          .rows = chosen[i].rows,
                                          .still = chosen[i].still};
        }
        o->slice_count = i + 1;
        rc = slice_open(o, &o->slices[i], e);
    }
    if (rc == 0) {
        rc = cut(o, e);
    }
    if (rc == 0) { /* threads write to their pieces on devices of their own */
        rc = parameters_device(p)->ops->synchronize(parameters_device(p), e);
    }
    if (rc < 0) {
        optimizer_close(o);
    }
    return rc;
}

void optimizer_close(struct optimizer *o) {
    struct device *device = o->parameters != NULL ? parameters_device(o->parameters) : NULL;
    for (size_t i = 0; i < o->slice_count; i++) {
        device->ops->release(device, &o->slices[i].first_moment);
        device->ops->release(device, &o->slices[i].second_moment);
        device->ops->release(device, &o->slices[i].ema);
    }
    if (device != NULL) {
        device->ops->release(device, &o->squares);
    }
    free(o->slices);
    free(o->pieces);
    *o = (struct optimizer){.step = 0};
}

size_t optimizer_bytes(const struct parameters *p, const struct optimizer_options *options,
                       const struct slice *chosen, size_t count) {
    size_t numbers = 0;
    if (chosen == NULL) {
        numbers = gradients_bytes(p) / sizeof(float);
    }
    for (size_t i = 0; chosen != NULL && i < count; i++) {
        const struct tensor shape = shape_of(p, &chosen[i]);
        numbers += (size_t)tensor_count(&shape);
    }
    return numbers * (options->ema > 0 ? 3 : 2) * sizeof(float);
}

/* ---- Threads --------------------------------------------------------------------------------- */

static bool is_still(const struct slice *s) {
    return s->still != NULL && *s->still;
}

void optimizer_activate(struct optimizer *o, const struct gradients *const lists[], size_t count) {
    for (size_t i = 0; i < o->slice_count; i++) {
        o->slices[i].active = false;
        for (size_t k = 0; k < count; k++) {
            o->slices[i].active |=
                !is_still(&o->slices[i]) && lists[k]->reached[o->slices[i].parameter];
        }
    }
}

void optimizer_share(const struct optimizer *o, size_t i, size_t threads, size_t *first,
                     size_t *end) {
    double total = 0, before = 0;
    for (size_t k = 0; k < o->slice_count; k++) {
        total += (double)tensor_count(&o->slices[k].first_moment);
    }
    *first = *end = 0;
    for (size_t k = 0; k < o->piece_count; k++) {
        const struct piece *p = &o->pieces[k];
        *first += before < total * (double)i / (double)threads;
        *end += before < total * (double)(i + 1) / (double)threads;
        before += (double)(p->rows * tensor_width(&o->slices[p->slice].first_moment));
    }
}

/* The piece's part of a tensor of its slice, or of its parameter. */
static struct tensor in_slice(const struct piece *p, const struct tensor *t) {
    return tensor_row_range(t, p->first_row, p->rows);
}

static struct tensor in_parameter(const struct optimizer *o, const struct piece *p,
                                  const struct tensor *t) {
    return tensor_row_range(t, o->slices[p->slice].first_row + p->first_row, p->rows);
}

int optimizer_reduce(struct optimizer *o, struct device *device,
                     const struct gradients *const lists[], size_t count, size_t first, size_t end,
                     struct error *e) {
    const struct tensor squares =
        tensor_column_range(&o->squares, (int64_t)first, (int64_t)(end - first));
    int rc = device->ops->fill(device, &squares, 0, e);
    for (size_t i = first; i < end && rc == 0; i++) {
        const struct piece *p = &o->pieces[i];
        const struct slice *s = &o->slices[p->slice];
        const struct tensor square = tensor_column_range(&o->squares, (int64_t)i, 1);
        if (!s->active) {
            continue;
        }
        struct tensor sum = in_parameter(o, p, &lists[0]->list[s->parameter]);
        for (size_t k = 1; k < count && rc == 0; k++) {
            if (lists[k]->reached[s->parameter]) {
                struct tensor other = in_parameter(o, p, &lists[k]->list[s->parameter]);
                rc = device->ops->accumulate(device, &sum, &other, e);
            }
        }
        if (rc == 0) {
            rc = device->ops->square_sum(device, &square, &sum, e);
        }
    }
    return rc == 0 ? device->ops->synchronize(device, e) : rc;
}

int optimizer_slice_squares(const struct optimizer *o, double *sums, struct error *e) {
    struct device *device = parameters_device(o->parameters);
    float *squares = calloc(o->piece_count + 1, sizeof *squares);
    if (squares == NULL) {
        return error_memory(e, "the optimizer");
    }
    const struct tensor host = tensor_vector(squares, DTYPE_F32, NULL, tensor_width(&o->squares));
    int rc = device->ops->download(device, &host, &o->squares, e);
    for (size_t i = 0; i < o->slice_count; i++) {
        sums[i] = 0;
    }
    for (size_t i = 0; i < o->piece_count; i++) {
        sums[o->pieces[i].slice] += (double)squares[i];
    }
    free(squares);
    return rc;
}

int optimizer_norm(const struct optimizer *o, double *norm, struct error *e) {
    double *sums = calloc(o->slice_count + 1, sizeof *sums), sum = 0;
    int rc = sums != NULL ? optimizer_slice_squares(o, sums, e) : error_memory(e, "the optimizer");
    for (size_t i = 0; i < o->slice_count && rc == 0; i++) {
        sum += is_still(&o->slices[i]) ? 0 : sums[i];
    }
    *norm = sqrt(sum);
    free(sums);
    return rc;
}

/* ---- Steps ----------------------------------------------------------------------------------- */

struct update {
    struct optimizer *o;
    struct device *device;
    const struct gradients *sum;
    struct adamw_step step;
    double rate, correction; /* learning rate; 1 / (1 - beta1^t) */
    float keep;              /* of the mean of the weights */
};

static struct update update_of(struct optimizer *o, struct device *device,
                               const struct gradients *sum, double rate, double scale) {
    const struct optimizer_options *c = &o->options;
    double step = (double)o->step + 1;
    /* a mean that has been there for few steps follows faster */
    double young = step / (step + 9);
    return (struct update){.o = o,
                           .device = device,
                           .sum = sum,
                           .step = {.beta1 = (float)c->beta1,
                                    .beta2 = (float)c->beta2,
                                    .correction = (float)(1 / sqrt(1 - pow(c->beta2, step))),
                                    .epsilon = (float)c->epsilon,
                                    .scale = (float)scale},
                           .rate = rate,
                           .correction = 1 / (1 - pow(c->beta1, step)),
                           .keep = (float)(young < c->ema ? young : c->ema)};
}

static int move(struct update *u, const struct piece *p, struct error *e) {
    const struct ops *ops = u->device->ops;
    const struct slice *s = &u->o->slices[p->slice];
    const struct parameter *one = parameters_get(u->o->parameters, s->parameter);
    struct tensor weight = in_parameter(u->o, p, &one->value);
    struct tensor gradient = in_parameter(u->o, p, &u->sum->list[s->parameter]);
    struct tensor m = in_slice(p, &s->first_moment), v = in_slice(p, &s->second_moment);
    u->step.rate = (float)(u->rate * s->rate * u->correction);
    u->step.decay = (float)(u->rate * s->decay);
    const bool moves = s->active && !is_still(s);
    int rc = moves ? ops->adamw(u->device, &weight, &m, &v, &gradient, &u->step, e) : 0;
    if (rc == 0 && moves && one->bf16.data != NULL) {
        struct tensor bf16 = in_parameter(u->o, p, &one->bf16);
        rc = ops->copy(u->device, &bf16, &weight, e);
    }
    if (rc == 0 && s->ema.data != NULL) {
        struct tensor ema = in_slice(p, &s->ema);
        rc = ops->combine(u->device, &ema, u->keep, &ema, 1 - u->keep, &weight, e);
    }
    return rc;
}

static int clear(const struct update *u, const struct piece *p,
                 const struct gradients *const lists[], size_t count, struct error *e) {
    size_t parameter = u->o->slices[p->slice].parameter;
    int rc = 0;
    for (size_t k = 0; k < count && rc == 0 && u->o->slices[p->slice].active; k++) {
        if (k == 0 || lists[k]->reached[parameter]) {
            struct tensor gradient = in_parameter(u->o, p, &lists[k]->list[parameter]);
            rc = u->device->ops->fill(u->device, &gradient, 0, e);
        }
    }
    return rc;
}

int optimizer_update(struct optimizer *o, struct device *device,
                     const struct gradients *const lists[], size_t count, double rate, double scale,
                     size_t first, size_t end, struct error *e) {
    struct update u = update_of(o, device, lists[0], rate, scale);
    int rc = 0;
    for (size_t i = first; i < end && rc == 0; i++) {
        rc = scale > 0 ? move(&u, &o->pieces[i], e) : 0;
        if (rc == 0) {
            rc = clear(&u, &o->pieces[i], lists, count, e);
        }
    }
    return rc == 0 ? device->ops->synchronize(device, e) : rc;
}

/* ---- What is shipped ------------------------------------------------------------------------- */

int optimizer_read(const struct optimizer *o, size_t parameter, float *values, struct error *e) {
    struct device *device = parameters_device(o->parameters);
    int rc = parameters_read(o->parameters, parameter, values, e);
    for (size_t i = 0; i < o->slice_count && rc == 0; i++) {
        const struct slice *s = &o->slices[i];
        if (s->parameter == parameter && s->ema.data != NULL) {
            float *to = values + s->first_row * tensor_width(&s->ema);
            const struct tensor host =
                tensor_matrix(to, DTYPE_F32, NULL, s->rows, tensor_width(&s->ema));
            rc = device->ops->download(device, &host, &s->ema, e);
        }
    }
    return rc;
}

int optimizer_read_named(void *context, const char *name, float *values, struct error *e) {
    const struct optimizer *o = context;
    const struct parameter *one = parameters_find(o->parameters, name);
    if (one == NULL) {
        return error_set(e, ERR_FORMAT, "%s is not a parameter", name);
    }
    return optimizer_read(o, parameters_index(o->parameters, one), values, e);
}
