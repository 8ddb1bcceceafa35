/* gradient.c - gradients of nodes: made when something first arrives, given back as soon as the
 * operation that made the node was gone back over.
 *
 * Where a sum passes its gradient on as it is, its terms share the memory; who adds to a shared one
 * takes a copy first. */
#include <assert.h>
#include <string.h>

#include "train/tape/state.h"

/* Memory of its own for the gradient of a root. */
static struct gradient *make(struct tape *t, const struct node *root) {
    struct gradient *g = tape_host(t, 1, sizeof *g);
    if (g != NULL) {
        g->value = tape_scratch(t, DTYPE_F32, root->value.shape);
        g->nodes = 1;
        g->owned = true;
    }
    return g;
}

static void release(struct tape *t, struct gradient *g) {
    if (--g->nodes == 0 && g->owned) {
        tape_scratch_end(t, &g->value);
    }
}

void tape_gradient_end(struct tape *t, struct node *x) {
    if (x->gradient != NULL) {
        release(t, x->gradient);
        x->gradient = NULL;
    }
}

static bool is_whole(const struct node *x, const struct node *root) {
    return x == root || tensor_count(&x->value) == tensor_count(&root->value);
}

/* A copy for the root alone of what it shares. */
static void part_from_others(struct tape *t, struct node *root) {
    struct gradient *own = make(t, root);
    if (own != NULL) {
        CALL(t, copy, &own->value, &root->gradient->value);
        release(t, root->gradient);
        root->gradient = own;
    }
}

const struct tensor *tape_gradient_to_set(struct tape *t, struct node *x, bool *holds) {
    struct node *root = tape_root(x);
    struct tensor *shown =
        root->needs_gradient && t->rc == 0 ? tape_host(t, 1, sizeof *shown) : NULL;
    if (shown == NULL) {
        return NULL;
    }
    *holds = true;
    if (root->gradient == NULL) {
        root->gradient = make(t, root);
        *holds = !is_whole(x, root);
        if (*holds && root->gradient != NULL) {
            CALL(t, fill, &root->gradient->value, 0);
        }
    } else if (root->gradient->nodes > 1) {
        part_from_others(t, root);
    }
    if (t->rc < 0) {
        return NULL;
    }
    *shown = tape_shown(x, &root->gradient->value);
    return shown;
}

const struct tensor *tape_gradient(struct tape *t, struct node *x) {
    bool holds = true;
    const struct tensor *gradient = x != NULL ? tape_gradient_to_set(t, x, &holds) : NULL;
    if (gradient != NULL && !holds) {
        CALL(t, fill, gradient, 0);
    }
    return t->rc == 0 ? gradient : NULL;
}

void tape_pass_on(struct tape *t, struct node *x, struct node *y) {
    if (!x->needs_gradient || t->rc < 0) {
        return;
    }
    if (x->owner == NULL && x->use == NULL && x->gradient == NULL &&
        tensor_same_shape(&x->value, &y->value)) {
        x->gradient = y->gradient;
        x->gradient->nodes++;
        return;
    }
    const struct tensor *dx = tape_gradient(t, x);
    if (dx != NULL) {
        const struct tensor dy = tensor_reshape(&y->gradient->value, dx->shape);
        CALL(t, accumulate, dx, &dy);
    }
}

/* Two hold it, so that who adds to it takes a copy. */
void tape_begin_with(struct tape *t, struct node *y, const struct tensor *dy) {
    struct gradient *g = tape_host(t, 1, sizeof *g);
    if (g != NULL) {
        assert(y->owner == NULL && y->gradient == NULL);
        *g = (struct gradient){.value = tensor_reshape(dy, y->value.shape), .nodes = 2};
        y->gradient = g;
    }
}

void tape_hand_over(struct tape *t, struct node *x, struct tensor *gradient) {
    struct node *root = tape_root(x);
    struct gradient *g = NULL;
    if (t->rc == 0 && root->needs_gradient && root->gradient == NULL && is_whole(x, root)) {
        g = tape_host(t, 1, sizeof *g);
    }
    if (g != NULL) {
        g->value = tensor_reshape(gradient, root->value.shape);
        g->nodes = 1;
        g->owned = true;
        root->gradient = g;
        return;
    }
    const struct tensor *dx = tape_gradient(t, x);
    if (dx != NULL) {
        CALL(t, accumulate, dx, gradient);
    }
    tape_scratch_end(t, gradient);
}

void tape_backward_from(struct tape *t, struct node *x, const struct tensor *gradient) {
    const struct tensor *dx = tape_ready(t, x) ? tape_gradient(t, x) : NULL;
    if (dx != NULL) {
        CALL(t, accumulate, dx, gradient);
    }
}
