/* parameters.c - see parameters.h. */
#include "train/parameters.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/table.h"

enum { ALIGNMENT = 64, APART = ALIGNMENT / sizeof(uint16_t) };

struct parameters {
    struct parameter *list;
    size_t count, capacity, total;
    struct table *names;
    float *values;
    uint16_t *halves;
};

int parameters_open(struct parameters **out, struct error *e) {
    *out = NULL;
    struct parameters *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    int rc = table_open(&p->names, e);
    if (rc < 0) {
        free(p);
        return rc;
    }
    *out = p;
    return 0;
}

void parameters_close(struct parameters *p) {
    if (p == NULL) {
        return;
    }
    table_close(p->names);
    free(p->list);
    free(p->values);
    free(p->halves);
    free(p);
}

static int grow(struct parameters *p, struct error *e) {
    if (p->count < p->capacity) {
        return 0;
    }
    size_t capacity = p->capacity > 0 ? 2 * p->capacity : 64;
    struct parameter *list = realloc(p->list, capacity * sizeof *list);
    if (list == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    p->list = list;
    p->capacity = capacity;
    return 0;
}

int parameters_add(struct parameters *p, const struct tensor_spec *spec, struct error *e) {
    assert(p->values == NULL);
    if (table_find(p->names, spec->name, NULL)) {
        return error_set(e, ERR_FORMAT, "two parameters are called %s", spec->name);
    }
    int rc = grow(p, e);
    if (rc == 0) {
        rc = table_add(p->names, spec->name, p->count, NULL, e);
    }
    if (rc < 0) {
        return rc;
    }
    struct parameter *added = &p->list[p->count++];
    *added = (struct parameter){.spec = *spec,
                                .rows = spec->rows,
                                .width = tensor_spec_width(spec),
                                .offset = p->total,
                                .count = (size_t)tensor_spec_count(spec)};
    p->total += (added->count + APART - 1) / APART * APART;
    return 0;
}

static int add_needed(void *context, const struct tensor_spec *t, struct error *e) {
    return t->optional ? 0 : parameters_add(context, t, e);
}

int parameters_add_encoder(struct parameters *p, const struct encoder_config *config,
                           struct error *e) {
    return config_tensors(config, add_needed, p, e);
}

int parameters_allocate(struct parameters *p, struct error *e) {
    assert(p->values == NULL && p->total > 0);
    p->values = aligned_alloc(ALIGNMENT, p->total * sizeof *p->values);
    p->halves = aligned_alloc(ALIGNMENT, p->total * sizeof *p->halves);
    if (p->values == NULL || p->halves == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory for %zu parameters", p->total);
    }
    memset(p->values, 0, p->total * sizeof *p->values);
    return 0;
}

size_t parameters_count(const struct parameters *p) {
    return p->count;
}

const struct parameter *parameters_get(const struct parameters *p, size_t index) {
    return &p->list[index];
}

const struct parameter *parameters_find(const struct parameters *p, const char *name) {
    size_t index;
    return table_find(p->names, name, &index) ? &p->list[index] : NULL;
}

size_t parameters_total(const struct parameters *p) {
    return p->total;
}

float *parameters_values(const struct parameters *p) {
    return p->values;
}

int parameters_round(struct parameters *p, const struct backend_ops *ops, struct context *context,
                     size_t first, size_t end, struct error *e) {
    return ops->to_bf16(context, p->halves + first, p->values + first, end - first, e);
}

struct tensor *parameters_tensor(const struct parameters *p, struct tape *t, float *gradients,
                                 const char *format, ...) {
    char name[CONFIG_NAME];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    const struct parameter *found = parameters_find(p, name);
    assert(found != NULL);
    return tape_input(t, p->values + found->offset, p->halves + found->offset, found->rows,
                      found->width, gradients != NULL ? gradients + found->offset : NULL);
}
