/* cross_entropy.c - of rows of logits with their labels. */
#include <assert.h>
#include <string.h>

#include "compress/cpu/ops.h"
#include "compress/cpu/walk.h"

int cpu_cross_entropy(struct device *d, const struct tensor *loss, const struct tensor *dlogits,
                      const struct tensor *logits, const struct tensor *labels, float scale,
                      struct error *e) {
    const struct operand operands[] = {{logits, READ}, {dlogits, WRITE}};
    size_t width = (size_t)tensor_width(logits);
    const int32_t *label = labels->data;
    void *unwanted = NULL;
    double sum = 0;
    assert(labels->type == DTYPE_I32 && tensor_is_dense(labels));
    assert(tensor_count(labels) == tensor_rows(logits));
    struct walk w;
    int rc = walk_rows(&w, d, operands, 2, e);
    if (rc == 0 && dlogits == NULL) {
        rc = cpu_scratch(&unwanted, d, SCRATCH_HIDDEN, width * sizeof(float), e);
    }
    for (; rc == 0 && walk_next(&w); label++) {
        float *slope = dlogits != NULL ? w.data[1] : unwanted;
        assert(*label < tensor_width(logits));
        if (*label >= 0) {
            sum += w.level->cross_entropy(slope, w.data[0], *label, width, scale);
        } else {
            memset(slope, 0, width * sizeof *slope);
        }
    }
    if (rc == 0) {
        *vector_of(loss, 1) += (float)sum;
    }
    return rc;
}
