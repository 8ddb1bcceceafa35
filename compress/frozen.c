/* frozen.c - matrices that stay in the format of their file. */
#include <assert.h>

#include "compress/ops.h"

const char *const FROZEN_FORMAT_NAMES[] = {"f32", "bf16", "int8", "int4", NULL};

size_t frozen_value_bytes(const struct frozen_matrix *m) {
    const size_t count = (size_t)(m->outputs * m->inputs);
    switch (m->format) {
    case FROZEN_F32:
        return count * sizeof(float);
    case FROZEN_BF16:
        return count * sizeof(uint16_t);
    case FROZEN_I8:
        return count;
    case FROZEN_U4:
        break;
    }
    return count / 2;
}

size_t frozen_bytes(const struct frozen_matrix *m) {
    size_t bytes = frozen_value_bytes(m);
    if (m->format == FROZEN_I8 || m->format == FROZEN_U4) {
        assert(m->inputs % m->block == 0);
        const size_t scales =
            (size_t)(m->outputs * (m->inputs / m->block)) * dtype_size(m->scale_type);
        bytes += m->format == FROZEN_U4 ? 2 * scales : scales;
    }
    return bytes;
}
