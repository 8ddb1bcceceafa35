/* mask_fuzz.c - any bytes as a mask, for a base of two small layers: refused, or its rows are
 * within their matrices, in order, and none is named twice. */
#include <stdint.h>
#include <stdlib.h>

#include "train/gspf/mask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct decoder_config BASE = {.name = "fuzz",
                                           .vocabulary = 16,
                                           .width = 8,
                                           .layers = 2,
                                           .heads = 2,
                                           .kv_heads = 1,
                                           .head_dim = 4,
                                           .hidden = 12,
                                           .context = 16};

static void expect(bool condition) {
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct mask m;
    int64_t parameters = 0;
    if (mask_parse(&m, "fuzz", (const char *)data, size, &BASE, NULL) < 0) {
        expect(m.units == NULL);
        return 0;
    }
    expect(m.count > 0);
    for (size_t i = 0; i < m.count; i++) {
        const struct mask_unit *u = &m.units[i];
        int64_t outputs, inputs;
        decoder_matrix_shape(&BASE, u->matrix, &outputs, &inputs);
        expect(u->layer >= 0 && u->layer < BASE.layers && u->first_row >= 0 && u->rows > 0 &&
               u->first_row + (int64_t)u->rows <= outputs);
        parameters += u->rows * inputs;
    }
    for (int64_t layer = 0; layer < BASE.layers; layer++) {
        for (int i = 0; i < DECODER_MATRICES; i++) {
            int64_t outputs, inputs;
            decoder_matrix_shape(&BASE, (enum decoder_matrix)i, &outputs, &inputs);
            expect(mask_rows(&m, layer, (enum decoder_matrix)i) <= outputs);
        }
    }
    expect(parameters == mask_parameters(&m, &BASE));
    mask_close(&m);
    return 0;
}
