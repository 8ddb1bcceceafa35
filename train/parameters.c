/* parameters.c - see parameters.h. */
#include "train/parameters.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "compress/ops.h"
#include "store/array.h"
#include "store/table.h"

struct parameters {
    struct device *device;
    struct parameter *list;
    size_t count, capacity;
    struct table *names;
};

int parameters_open(struct parameters **out, struct device *device, struct error *e) {
    *out = NULL;
    struct parameters *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return error_memory(e, NULL);
    }
    p->device = device;
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
    for (size_t i = 0; i < p->count; i++) {
        if (!p->list[i].mapped) {
            p->device->ops->release(p->device, &p->list[i].value);
        }
        p->device->ops->release(p->device, &p->list[i].bf16);
    }
    table_close(p->names);
    free(p->list);
    free(p);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* Frozen matrices of products are held in the type that products multiply in. */
static enum dtype value_type(const struct parameters *p, const struct tensor_spec *spec) {
    bool bf16 = !spec->trainable && spec->kind == TENSOR_MATRIX && p->device->compute == DTYPE_BF16;
    return bf16 ? DTYPE_BF16 : DTYPE_F32;
}

static bool needs_bf16(const struct parameters *p, const struct tensor_spec *spec) {
    return spec->trainable && spec->kind == TENSOR_MATRIX && !spec->lean &&
           p->device->compute == DTYPE_BF16;
}

static struct tensor shape_of(const struct tensor_spec *spec, enum dtype type) {
    return tensor_matrix(NULL, type, NULL, spec->rows, tensor_spec_width(spec));
}

int parameters_add(struct parameters *p, const struct tensor_spec *spec, struct error *e) {
    if (table_find(p->names, spec->name, NULL)) {
        return error_set(e, ERR_FORMAT, "two parameters are called %s", spec->name);
    }
    struct parameter *list = array_grow(p->list, &p->capacity, p->count + 1, sizeof *list, e);
    if (list == NULL) {
        return ERR_MEMORY;
    }
    p->list = list;
    int rc = table_add(p->names, spec->name, p->count, NULL, e);
    if (rc < 0) {
        return rc;
    }
    p->list[p->count++] = (struct parameter){.spec = *spec,
                                             .value = shape_of(spec, value_type(p, spec)),
                                             .bf16 = shape_of(spec, DTYPE_BF16)};
    return 0;
}

int parameters_take(void *context, const struct tensor_spec *spec, struct error *e) {
    return spec->optional ? 0 : parameters_add(context, spec, e);
}

int parameters_take_frozen(void *context, const struct tensor_spec *spec, struct error *e) {
    struct tensor_spec frozen = *spec;
    frozen.trainable = false;
    return parameters_add(context, &frozen, e);
}

void parameters_place(struct parameters *p, size_t index, const struct tensor *value) {
    struct parameter *one = &p->list[index];
    assert(!one->spec.trainable && one->value.data == NULL);
    assert(tensor_same_shape(value, &one->value));
    one->value = *value;
    one->mapped = true;
}

int parameters_allocate(struct parameters *p, struct error *e) {
    const struct ops *ops = p->device->ops;
    int rc = 0;
    for (size_t i = 0; i < p->count && rc == 0; i++) {
        struct parameter *one = &p->list[i];
        if (!one->mapped) {
            rc = ops->alloc(p->device, &one->value, e);
        }
        if (rc == 0 && !one->mapped) {
            rc = ops->fill(p->device, &one->value, 0, e);
        }
        if (rc == 0 && needs_bf16(p, &one->spec)) {
            rc = ops->alloc(p->device, &one->bf16, e);
        }
        if (rc == 0 && one->bf16.data != NULL) {
            rc = ops->fill(p->device, &one->bf16, 0, e);
        }
    }
    rc = rc == 0 ? ops->synchronize(p->device, e) : rc;
    return rc < 0 ? error_context(e, "%zu parameters", p->count) : 0;
}

size_t parameters_bytes(const struct parameters *p) {
    size_t bytes = 0;
    for (size_t i = 0; i < p->count; i++) {
        const struct parameter *one = &p->list[i];
        bytes += one->mapped ? 0 : tensor_bytes(&one->value);
        bytes += needs_bf16(p, &one->spec) ? tensor_bytes(&one->bf16) : 0;
    }
    return bytes;
}

/* ---- Finding --------------------------------------------------------------------------------- */

size_t parameters_count(const struct parameters *p) {
    return p->count;
}

const struct parameter *parameters_get(const struct parameters *p, size_t index) {
    return &p->list[index];
}

size_t parameters_index(const struct parameters *p, const struct parameter *one) {
    return (size_t)(one - p->list);
}

const struct parameter *parameters_find(const struct parameters *p, const char *name) {
    size_t index;
    return table_find(p->names, name, &index) ? &p->list[index] : NULL;
}

struct device *parameters_device(const struct parameters *p) {
    return p->device;
}

/* ---- Values ---------------------------------------------------------------------------------- */

int parameters_set(struct parameters *p, size_t index, const float *values, struct error *e) {
    const struct ops *ops = p->device->ops;
    struct parameter *one = &p->list[index];
    struct tensor host = shape_of(&one->spec, one->value.type);
    uint16_t *bf16 = NULL;
    assert(!one->mapped);
    host.data = (void *)(uintptr_t)values; /* only read */
    if (one->value.type == DTYPE_BF16) {
        bf16 = malloc(tensor_bytes(&host));
        if (bf16 == NULL) {
            return error_memory(e, one->spec.name);
        }
        dtype_from_float(bf16, DTYPE_BF16, values, (size_t)tensor_count(&host));
        host.data = bf16;
    }
    int rc = ops->upload(p->device, &one->value, &host, e);
    if (rc == 0 && one->bf16.data != NULL) {
        rc = ops->copy(p->device, &one->bf16, &one->value, e);
    }
    if (rc == 0) {
        rc = ops->synchronize(p->device, e);
    }
    free(bf16);
    return rc;
}

int parameters_read(const struct parameters *p, size_t index, float *values, struct error *e) {
    const struct parameter *one = &p->list[index];
    struct tensor host = shape_of(&one->spec, one->value.type);
    size_t count = (size_t)tensor_count(&host);
    void *data = one->value.type == DTYPE_F32 ? values : malloc(tensor_bytes(&host));
    if (data == NULL) {
        return error_memory(e, one->spec.name);
    }
    host.data = data;
    int rc = p->device->ops->download(p->device, &host, &one->value, e);
    if (rc == 0 && data != values) {
        dtype_to_float(values, data, one->value.type, count);
    }
    if (data != values) {
        free(data);
    }
    return rc;
}

int parameters_fill_from(struct parameters *p, parameters_named_reader *read, void *context,
                         struct error *e) {
    int rc = 0;
    for (size_t i = 0; i < p->count && rc == 0; i++) {
        const struct tensor_spec *spec = &p->list[i].spec;
        float *values = malloc((size_t)tensor_spec_count(spec) * sizeof *values);
        rc = values != NULL ? read(context, spec->name, values, e) : error_memory(e, spec->name);
        rc = rc == 0 ? parameters_set(p, i, values, e) : rc;
        free(values);
    }
    return rc;
}

/* ---- Gradients ------------------------------------------------------------------------------- */

int gradients_open(struct gradients *g, const struct parameters *p, struct device *device,
                   struct error *e) {
    *g = (struct gradients){.parameters = p, .device = device};
    g->list = calloc(p->count, sizeof *g->list);
    g->reached = calloc(p->count, sizeof *g->reached);
    int rc = g->list != NULL && g->reached != NULL ? 0 : error_memory(e, "gradients");
    for (size_t i = 0; i < p->count && rc == 0; i++) {
        g->list[i] = shape_of(&p->list[i].spec, DTYPE_F32);
        if (p->list[i].spec.trainable) {
            rc = device->ops->alloc(device, &g->list[i], e);
        }
        if (g->list[i].data != NULL && rc == 0) {
            rc = device->ops->fill(device, &g->list[i], 0, e);
        }
    }
    /* what there is the caller closes */
    return rc == 0 ? device->ops->synchronize(device, e) : rc;
}

void gradients_close(struct gradients *g) {
    for (size_t i = 0; g->list != NULL && i < g->parameters->count; i++) {
        g->device->ops->release(g->device, &g->list[i]);
    }
    free(g->list);
    free(g->reached);
    *g = (struct gradients){.list = NULL};
}

size_t gradients_bytes(const struct parameters *p) {
    size_t bytes = 0;
    for (size_t i = 0; i < p->count; i++) {
        const struct tensor_spec *spec = &p->list[i].spec;
        bytes += spec->trainable ? (size_t)tensor_spec_count(spec) * sizeof(float) : 0;
    }
    return bytes;
}

/* ---- On a tape ------------------------------------------------------------------------------- */

/* `g` NULL: it is only read. */
static struct node *find(const struct parameters *p, const struct gradients *g, struct tape *t,
                         const char *name) {
    const struct parameter *found = parameters_find(p, name);
    if (found == NULL) {
        struct error e;
        tape_fail(t, error_set(&e, ERR_FORMAT, "no parameter is called %s", name), &e);
        return NULL;
    }
    const struct tensor *gradient =
        g != NULL && found->spec.trainable ? &g->list[parameters_index(p, found)] : NULL;
    return tape_parameter(t, &found->value, found->bf16.data != NULL ? &found->bf16 : NULL,
                          gradient, found);
}

static struct node *find_trained(const void *context, struct tape *t, const char *name) {
    const struct gradients *g = context;
    return find(g->parameters, g, t, name);
}

static struct node *find_read(const void *context, struct tape *t, const char *name) {
    return find(context, NULL, t, name);
}

struct tape_source gradients_source(const struct gradients *g) {
    return (struct tape_source){.find = find_trained, .context = g};
}

struct tape_source parameters_source(const struct parameters *p) {
    return (struct tape_source){.find = find_read, .context = p};
}

void gradients_forget(struct gradients *g) {
    memset(g->reached, 0, g->parameters->count * sizeof *g->reached);
}

int gradients_sink(void *context, const void *key, const struct tensor *gradient, struct error *e) {
    struct gradients *g = context;
    (void)gradient;
    (void)e;
    g->reached[parameters_index(g->parameters, key)] = true;
    return 0;
}
