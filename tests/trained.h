/* trained.h - parameters on the tested device, with gradients and an optimizer, for tests. */
#ifndef OCC_TESTS_TRAINED_H
#define OCC_TESTS_TRAINED_H

#include <stdlib.h>

#include "compress/ops.h"
#include "tests/tested_device.h"
#include "train/optimizer.h"

struct trained {
    struct device *device;
    struct parameters *parameters;
    struct optimizer optimizer;
    struct gradients gradients;
};

/* Of an open device: all but what the caller adds in between. */
static inline void trained_begin(struct trained *t, enum dtype compute) {
    *t = (struct trained){.device = tested_device_open(compute)};
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

/* What a tensor of F32 holds now; NULL: it has no memory. The copy ends when so many more were
 * asked for. */
static inline const float *trained_numbers(const struct tensor *x) {
    enum { COPIES = 16 };
    static float *copies[COPIES];
    static int next;
    if (x->data == NULL) {
        return NULL;
    }
    float **place = &copies[next++ % COPIES];
    free(*place);
    *place = malloc(tensor_bytes(x));
    if (*place == NULL) {
        exit(1);
    }
    tested_download(*place, x);
    return *place;
}

static inline const float *trained_value(const struct trained *t, size_t i) {
    return trained_numbers(&parameters_get(t->parameters, i)->value);
}

/* A gradient arrives: numbers for all of a parameter. */
static inline void trained_arrive(struct trained *t, size_t i, const float *numbers) {
    const struct parameter *one = parameters_get(t->parameters, i);
    tested_upload(&t->gradients.list[i], numbers);
    CHECK_NUMBER(gradients_sink(&t->gradients, one, &t->gradients.list[i], NULL), 0);
}

#endif
