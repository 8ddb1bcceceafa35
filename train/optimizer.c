/* optimizer.c - see optimizer.h. */
#include "train/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static float *zeros(const struct parameters *p) {
    size_t size = parameters_total(p) * sizeof(float);
    float *data = aligned_alloc(64, size);
    if (data != NULL) {
        memset(data, 0, size);
    }
    return data;
}

int optimizer_open(struct optimizer *o, const struct parameters *p,
                   const struct optimizer_options *options, struct error *e) {
    *o = (struct optimizer){.options = *options, .kernels = kernels_choose(e)};
    if (o->kernels == NULL) {
        return ERR_UNSUPPORTED;
    }
    o->means = zeros(p);
    o->variances = zeros(p);
    o->averages = options->average > 0 ? zeros(p) : NULL;
    if (o->means == NULL || o->variances == NULL || (options->average > 0 && o->averages == NULL)) {
        optimizer_close(o);
        return error_set(e, ERR_MEMORY, "out of memory for the optimizer");
    }
    return 0;
}

void optimizer_close(struct optimizer *o) {
    free(o->means);
    free(o->variances);
    free(o->averages);
    *o = (struct optimizer){.step = 0};
}

double optimizer_rate(const struct optimizer *o) {
    const struct optimizer_options *c = &o->options;
    int64_t step = o->step + 1;
    if (step <= c->warm_up) {
        return c->rate * (double)step / (double)c->warm_up;
    }
    int64_t rest = c->steps - c->warm_up;
    double done = rest > 0 ? (double)(step - c->warm_up) / (double)rest : 1;
    return c->rate * 0.5 * (1 + cos(3.14159265358979323846 * (done < 1 ? done : 1)));
}

/* The running mean of the weights follows a copy that has been there for few steps faster. */
static void average(const struct optimizer *o, const float *values, size_t first, size_t end) {
    double young = ((double)o->step + 1) / ((double)o->step + 10);
    float keep = (float)(young < o->options.average ? young : o->options.average);
    for (size_t i = first; i < end; i++) {
        o->averages[i] = keep * o->averages[i] + (1 - keep) * values[i];
    }
}

void optimizer_update(const struct optimizer *o, struct parameters *p, const float *gradients,
                      double scale, size_t first, size_t end) {
    const struct optimizer_options *c = &o->options;
    double rate = optimizer_rate(o), taken = (double)o->step + 1;
    struct adamw_step step = {.beta1 = (float)c->beta1,
                              .beta2 = (float)c->beta2,
                              .correction = (float)(1 / sqrt(1 - pow(c->beta2, taken))),
                              .epsilon = (float)c->epsilon,
                              .scale = (float)scale};
    float *values = parameters_values(p);
    for (size_t i = 0; i < parameters_count(p); i++) {
        const struct parameter *one = parameters_get(p, i);
        size_t from = one->offset > first ? one->offset : first;
        size_t to = one->offset + one->count < end ? one->offset + one->count : end;
        if (from < to && o->kernels->square_sum(gradients + from, to - from) > 0) {
            step.rate = (float)(rate * one->spec.rate / (1 - pow(c->beta1, taken)));
            step.decay = one->spec.decays ? (float)(rate * c->decay) : 0;
            o->kernels->adamw(values + from, o->means + from, o->variances + from, gradients + from,
                              to - from, &step);
        }
    }
    if (o->averages != NULL) {
        average(o, values, first, end);
    }
}
