/* loss.c - cross-entropies: their gradients are computed with them, before the backward pass
 * begins. */
#include <assert.h>

#include "train/tape/state.h"

void tape_record_loss(struct tape *t, struct node *const inputs[RECORD_INPUTS]) {
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
        tape_record_loss(t, INPUTS(logits));
    }
    tape_converted_end(t, &x, &logits->value);
}

struct tensor tape_lend(struct tape *t, int64_t rows, int64_t inputs, int64_t outputs) {
    enum {
        SHARE = 8,       /* of few rows: that logits are not most of what they take */
        LOGITS = 7 << 20 /* of a thread, where memory counts for more than packing the matrix
                            once more */
    };
    int64_t at_once = classify_rows(rows, outputs);
    if (t->options.recompute != RECOMPUTE_NONE) {
        const int64_t fit = LOGITS * t->batch / outputs;
        const int64_t few = rows / SHARE < fit ? rows / SHARE : fit;
        const int64_t fewer = classify_rows(few, outputs);
        at_once = fewer < at_once ? fewer : at_once;
    }
    const size_t bytes = classify_bytes(at_once, inputs, outputs);
    struct tensor lent = tape_scratch(t, DTYPE_U8, TENSOR_SHAPE(1, 1, 1, (int64_t)bytes));
    t->device->lent = lent.data;
    t->device->lent_bytes = bytes;
    return lent;
}

void tape_lend_end(struct tape *t, struct tensor *lent) {
    t->device->lent = NULL;
    t->device->lent_bytes = 0;
    tape_scratch_end(t, lent);
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
    struct tensor lent =
        tape_lend(t, tensor_rows(&x->value), tensor_width(&x->value), tensor_rows(&matrix));
    CALL(t, classify, loss, dx, dweight, dbias, &x->value, &matrix,
         bias != NULL ? &bias->value : NULL, labels, scale);
    tape_lend_end(t, &lent);
    if (dx != NULL || dweight != NULL || dbias != NULL) {
        tape_record_loss(t, INPUTS(x, weight, bias));
    }
}
