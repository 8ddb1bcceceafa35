/* record_fuzz.c - any bytes as tokens of a page, under each codec and grid that their first bytes
 * name: refused, or unpacked whole; floats and BF16 bits agree. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/codec.h"
#include "store/dtype.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct codec_state *codec;
    if (size < 3 || (codec == NULL && codec_open(&codec, NULL) < 0)) {
        return 0;
    }
    enum codec kind = (enum codec)(data[0] % CODEC_COUNT);
    int64_t rows = data[1] % 40 + 1, dim = data[2] % 70 + 1;
    size_t count = (size_t)(rows * dim);
    float *tokens = malloc(count * sizeof *tokens);
    uint16_t *bits = malloc(count * sizeof *bits);
    if (tokens == NULL || bits == NULL) {
        abort();
    }
    int a = codec_unpack(codec, tokens, kind, data + 3, size - 3, rows, dim, NULL);
    int b = codec_unpack_bf16(codec, bits, kind, data + 3, size - 3, rows, dim, NULL);
    if (a != b) {
        abort();
    }
    for (size_t i = 0; i < count && a == 0; i++) {
        if (!isnan(tokens[i]) && bits[i] != bf16_of(tokens[i])) {
            abort();
        }
    }
    free(tokens);
    free(bits);
    return 0;
}
