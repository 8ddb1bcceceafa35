/* bridge_merge.c - rows of sums, of a piece of a cell each, merged in pairs. */
#include <math.h>

#include "train/context/bridge_state.h"

void merge_list(struct bridge_taker *to, const struct bridge_options *o, int merges, int gains,
                int first) {
    for (int level = 0; level < merges; level++) {
        struct tensor_spec merge =
            tensor_spec_of(TENSOR_MATRIX, "bridge", TENSOR_SPEC_SHAPE(o->width, 2 * o->width));
        merge.deviation = 0;
        bridge_take(to, merge, "bridge.merge.%d.weight", level);
    }
    for (int level = 0; level < gains; level++) {
        struct tensor_spec gain =
            tensor_spec_of(TENSOR_GAIN, "bridge", TENSOR_SPEC_SHAPE(o->width));
        gain.constant = exp2f((float)(first - level) / 2);
        bridge_take(to, gain, "bridge.gain.%d", level);
    }
    bridge_take(to, tensor_spec_of(TENSOR_BIAS, "bridge", TENSOR_SPEC_SHAPE(o->width)),
                "bridge.shift");
}

struct node *merge_pairs(const struct tape_source *source, struct tape *t, struct node *x,
                         int64_t width, int level, int merges) {
    struct node *pairs = tape_matrix(t, x, tensor_rows(&x->value) / 2, 2 * width);
    struct node *sum = tape_combine(t, 1, tape_column_range(t, pairs, 0, width), 1,
                                    tape_column_range(t, pairs, width, width));
    struct node *weight =
        tape_named(source, t, "bridge.merge.%d.weight", level < merges ? level : merges - 1);
    return tape_add(t, sum, tape_linear(t, pairs, weight, NULL));
}

struct node *merge_repeated(struct tape *t, struct node *vector, int64_t rows) {
    int32_t *zeros = tape_host(t, (size_t)rows, sizeof *zeros);
    const struct tensor index = tape_upload_numbers(t, zeros, rows);
    return zeros != NULL && index.data != NULL ? tape_gather(t, vector, &index) : NULL;
}

struct node *merge_end(const struct tape_source *source, struct tape *t, struct node *s, int level,
                       int gains) {
    struct node *gain = tape_named(source, t, "bridge.gain.%d", level < gains ? level : gains - 1);
    s = s != NULL ? tape_multiply(t, s, merge_repeated(t, gain, tensor_rows(&s->value))) : NULL;
    return tape_add(t, s, tape_named(source, t, "bridge.shift"));
}
