/* loss.c - cross-entropies: their gradients are computed with them, before the backward pass
 * begins. */
#include <assert.h>

#include "train/tape/state.h"

/* For the sink: the backward pass does nothing here, but the inputs' uses end. */
static void record_loss(struct tape *t, struct node *const inputs[RECORD_INPUTS]) {
    assert(!t->discarding && !t->repeating);
    tape_record(t, sizeof(struct record), NULL, NULL, inputs);
}

void tape_cross_entropy(struct tape *t, struct node *logits, const struct tensor *labels,
                        float scale, const struct tensor *loss) {
    if (!tape_ready(t, logits) || labels->data == NULL) {
        return;
    }
    struct tensor x = tape_converted(t, &logits->value, DTYPE_F32);
    if (!logits->needs_gradient) {
        CALL(t, cross_entropy, loss, NULL, &x, labels, scale);
    } else {
        struct tensor gradient = tape_scratch(t, DTYPE_F32, logits->value.shape);
        CALL(t, cross_entropy, loss, &gradient, &x, labels, scale);
        tape_hand_over(t, logits, &gradient);
        record_loss(t, INPUTS(logits));
    }
    tape_converted_end(t, &x, &logits->value);
}

void tape_classify(struct tape *t, struct node *x, struct node *weight, struct node *bias,
                   const struct tensor *labels, float scale, const struct tensor *loss) {
    if (!tape_ready(t, x) || weight == NULL || labels->data == NULL) {
        return;
    }
    assert(tensor_width(&x->value) == tensor_width(&weight->value));
    const struct tensor *dx = tape_gradient(t, x), *dweight = tape_gradient(t, weight);
    const struct tensor *dbias = tape_gradient(t, bias);
    const struct tensor matrix = tape_operand(t, weight);
    CALL(t, classify, loss, dx, dweight, dbias, &x->value, &matrix,
         bias != NULL ? &bias->value : NULL, labels, scale);
    if (dx != NULL || dweight != NULL || dbias != NULL) {
        record_loss(t, INPUTS(x, weight, bias));
    }
}
