/* tape.c - see tape.h: opening, what comes in, and records. */
#include "train/tape/tape.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "train/tape/state.h"

const char *const TAPE_RECOMPUTE_NAMES[] = {"none", "block", "all", NULL};

int tape_open(struct tape **out, struct device *device, const struct tape_options *options,
              struct error *e) {
    *out = NULL;
    struct tape *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return error_memory(e, NULL);
    }
    int rc = arena_open(&t->arena, SIZE_MAX, e);
    if (rc < 0) {
        free(t);
        return rc;
    }
    t->device = device;
    t->ops = device->ops;
    t->compute = device->compute;
    t->batch = device->backend->batch();
    t->options = *options;
    memory_open(&t->memory, device, t->arena);
    *out = t;
    return 0;
}

void tape_close(struct tape *t) {
    if (t == NULL) {
        return;
    }
    tape_tables_close(t);
    memory_close(&t->memory);
    arena_close(t->arena);
    free(t);
}

void tape_begin(struct tape *t) {
    memory_reset(&t->memory);
    arena_reset(t->arena);
    memset(t->parameters, 0, sizeof t->parameters);
    t->kept = NULL;
    t->kept_count = t->kept_capacity = 0;
    t->last = NULL;
    t->discarding = t->repeating = false;
    t->rc = 0;
}

size_t tape_peak(const struct tape *t) {
    return t->memory.peak;
}

struct device *tape_device(const struct tape *t) {
    return t->device;
}

void tape_set_sink(struct tape *t, tape_sink *sink, void *context) {
    t->sink = sink;
    t->sink_context = context;
}

/* ---- Failures -------------------------------------------------------------------------------- */

void tape_fail(struct tape *t, int rc, const struct error *e) {
    if (rc < 0 && t->rc == 0) {
        t->rc = rc;
        t->failure = *e;
    }
}

void tape_check(struct tape *t, int rc) {
    tape_fail(t, rc, &t->error);
}

int tape_status(const struct tape *t, struct error *e) {
    if (t->rc < 0 && e != NULL) {
        *e = t->failure;
    }
    return t->rc;
}

/* ---- What comes in --------------------------------------------------------------------------- */

void *tape_host(struct tape *t, size_t count, size_t size) {
    void *memory = t->rc == 0 ? arena_alloc(t->arena, count, size) : NULL;
    if (memory == NULL && t->rc == 0) {
        tape_check(t, error_memory(&t->error, "a training step"));
    }
    return memory;
}

struct tensor tape_space(struct tape *t, const struct tensor *like) {
    struct tensor *x = tape_host(t, 1, sizeof *x);
    if (x == NULL) {
        return (struct tensor){.data = NULL};
    }
    *x = tensor_of(NULL, like->type, NULL, like->shape);
    tape_keep(t, x);
    return *x;
}

struct tensor tape_upload(struct tape *t, const struct tensor *host) {
    struct tensor x = tape_space(t, host);
    CALL(t, upload, &x, host);
    return x;
}

struct tensor tape_upload_numbers(struct tape *t, const int32_t *numbers, int64_t count) {
    const struct tensor host =
        tensor_vector((void *)(uintptr_t)numbers, DTYPE_I32, NULL, count); /* only read */
    return tape_upload(t, &host);
}

/* The caller's tensors in a node that is all zeros. */
static void come_in(struct tape *t, struct node *x, const struct tensor *value,
                    const struct tensor *gradient) {
    x->value = *value;
    x->needs_gradient = gradient != NULL;
    assert(tensor_is_dense(value));
    if (gradient != NULL && gradient->data != NULL) {
        assert(gradient->type == DTYPE_F32 && tensor_count(gradient) == tensor_count(value));
        x->gradient = tape_host(t, 1, sizeof *x->gradient);
        if (x->gradient != NULL) {
            x->gradient->value = tensor_reshape(gradient, value->shape);
            x->gradient->nodes = 1;
        }
    }
}

struct node *tape_input(struct tape *t, const struct tensor *value, const struct tensor *gradient) {
    struct node *x = tape_empty(t);
    if (x != NULL) {
        come_in(t, x, value, gradient);
    }
    return tape_done(t, x);
}

/* Where the parameter of this key is, or where it belongs. */
static struct parameter_use **place_of(struct tape *t, const void *key) {
    const uint64_t mixed = (uint64_t)(uintptr_t)key * 0x9E3779B97F4A7C15u;
    struct parameter_use **place = &t->parameters[mixed >> 56];
    while (*place != NULL && (*place)->key != key) {
        place = &(*place)->next;
    }
    return place;
}

struct node *tape_parameter(struct tape *t, const struct tensor *value, const struct tensor *bf16,
                            const struct tensor *gradient, const void *key) {
    struct parameter_use **place = place_of(t, key);
    if (*place != NULL) {
        return tape_done(t, &(*place)->node);
    }
    struct parameter_use *use = tape_host(t, 1, sizeof *use);
    if (use == NULL) {
        return NULL;
    }
    *place = use;
    use->key = key;
    use->lent = gradient != NULL && gradient->data == NULL;
    use->node.use = use;
    come_in(t, &use->node, value, gradient);
    if (bf16 != NULL && t->compute == DTYPE_BF16) {
        use->node.product = tensor_reshape(bf16, value->shape);
    }
    return tape_done(t, &use->node);
}

struct node *tape_still(struct tape *t, struct node *x) {
    struct node *still = tape_ready(t, x) ? tape_empty(t) : NULL;
    if (still != NULL) {
        assert(x->owner == NULL); /* its memory is not the tape's */
        still->value = x->value;
        still->product = x->product;
    }
    return tape_done(t, still);
}

/* ---- Records --------------------------------------------------------------------------------- */

/* The parameter that x is, or shows a part of, if it needs a gradient; or NULL. */
static struct parameter_use *trained(struct node *x) {
    struct node *root = x != NULL ? tape_root(x) : NULL;
    return root != NULL && root->needs_gradient ? root->use : NULL;
}

void *tape_record(struct tape *t, size_t size,
                  void (*backward)(struct tape *, struct record *, const struct tensor *dy),
                  struct node *y, struct node *const inputs[RECORD_INPUTS]) {
    if (t->rc < 0 || (y != NULL && !y->needs_gradient)) {
        return NULL;
    }
    for (int i = 0; i < RECORD_INPUTS && !t->repeating; i++) {
        struct parameter_use *use = trained(inputs[i]);
        if (use != NULL) {
            use->pending++;
        }
    }
    struct record *r = !t->discarding ? tape_host(t, 1, size) : NULL;
    if (r != NULL) {
        r->earlier = t->last;
        r->backward = backward;
        r->y = y;
        memcpy(r->x, inputs, sizeof r->x);
        t->last = r;
    }
    return r;
}

/* All operations that read it were gone back over. */
static void complete(struct tape *t, struct parameter_use *use) {
    const struct gradient *gradient = use->node.gradient;
    if (t->sink != NULL) {
        tape_check(t, t->sink(t->sink_context, use->key, gradient != NULL ? &gradient->value : NULL,
                              &t->error));
    }
    if (use->lent) {
        tape_gradient_end(t, &use->node);
    }
}

void tape_go_back(struct tape *t, struct record *last) {
    for (struct record *r = last; r != NULL && t->rc == 0; r = r->earlier) {
        if (r->y != NULL && r->y->gradient != NULL) {
            r->backward(t, r, &r->y->gradient->value);
            tape_gradient_end(t, r->y);
        }
        for (int i = 0; i < RECORD_INPUTS && t->rc == 0; i++) {
            struct parameter_use *use = trained(r->x[i]);
            if (use != NULL && --use->pending == 0) {
                complete(t, use);
            }
        }
    }
}

int tape_backward(struct tape *t, struct error *e) {
    struct record *last = t->last;
    t->last = NULL;
    tape_go_back(t, last);
    return tape_status(t, e);
}
