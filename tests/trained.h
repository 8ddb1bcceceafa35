/* trained.h - parameters on the processor, with gradients and an optimizer, for tests. */
#ifndef OCC_TESTS_TRAINED_H
#define OCC_TESTS_TRAINED_H

#include <stdlib.h>

#include "compress/ops.h"
#include "tests/test.h"
#include "train/optimizer.h"

struct trained {
    struct device *device;
    struct parameters *parameters;
    struct optimizer optimizer;
    struct gradients gradients;
};

/* NULL: the processor lacks it. */
static inline struct device *cpu_device_of(enum dtype compute) {
    const struct backend *cpu = NULL;
    struct device *d = NULL;
    CHECK_NUMBER(backend_open(&cpu, "cpu", NULL), 0);
    if (compute != DTYPE_BF16 || cpu->has_bf16()) {
        CHECK_NUMBER(device_open(&d, cpu, compute, NULL), 0);
    }
    return d;
}

/* Of an open device: all but what the caller adds in between. */
static inline void trained_begin(struct trained *t, enum dtype compute) {
    *t = (struct trained){.device = cpu_device_of(compute)};
    CHECK(t->device != NULL);
    CHECK_NUMBER(parameters_open(&t->parameters, t->device, NULL), 0);
}

static inline void trained_add(struct trained *t, const struct tensor_spec *specs, size_t count) {
    for (size_t i = 0; i < count; i++) {
        CHECK_NUMBER(parameters_add(t->parameters, &specs[i], NULL), 0);
    }
}

/* `chosen`: see optimizer_open. */
static inline void trained_open(struct trained *t, const struct optimizer_options *options,
                                const struct slice *chosen, size_t count) {
    CHECK_NUMBER(parameters_allocate(t->parameters, NULL), 0);
    CHECK_NUMBER(optimizer_open(&t->optimizer, t->parameters, options, chosen, count, NULL), 0);
    CHECK_NUMBER(gradients_open(&t->gradients, t->parameters, t->device, NULL), 0);
}

static inline void trained_close(struct trained *t) {
    gradients_close(&t->gradients);
    optimizer_close(&t->optimizer);
    parameters_close(t->parameters);
    device_close(t->device);
}

/* As one thread takes a step: the norm of the gradients comes back. `clip`: to what; 0: not. */
static inline double trained_step(struct trained *t, double rate, double scale, double clip) {
    const struct gradients *lists[] = {&t->gradients};
    struct optimizer *o = &t->optimizer;
    double norm = 0;
    optimizer_activate(o, lists, 1);
    CHECK_NUMBER(optimizer_reduce(o, t->device, lists, 1, 0, o->piece_count, NULL), 0);
    CHECK_NUMBER(optimizer_norm(o, &norm, NULL), 0);
    scale *= clip > 0 && norm > clip ? clip / norm : 1;
    CHECK_NUMBER(optimizer_update(o, t->device, lists, 1, rate, scale, 0, o->piece_count, NULL), 0);
    gradients_forget(&t->gradients);
    o->step++;
    return norm;
}

static inline size_t trained_count(const struct trained *t, size_t i) {
    return (size_t)tensor_spec_count(&parameters_get(t->parameters, i)->spec);
}

/* The numbers lie in the host's memory. */
static inline float *trained_value(const struct trained *t, size_t i) {
    return parameters_get(t->parameters, i)->value.data;
}

/* A gradient arrives: numbers for all of a parameter. */
static inline void trained_arrive(struct trained *t, size_t i, const float *numbers) {
    const struct parameter *one = parameters_get(t->parameters, i);
    memcpy(t->gradients.list[i].data, numbers, trained_count(t, i) * sizeof *numbers);
    CHECK_NUMBER(gradients_sink(&t->gradients, one, &t->gradients.list[i], NULL), 0);
}

#endif
