/* bridge_fuzz.c - any bytes as the options of a context.safetensors and, after a zero byte, its
 * tensors: refused, or every tensor that is listed can be read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "train/context/bridge_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_one(void *context, const struct tensor_spec *spec, struct error *e) {
    const struct bridge_folder *f = context;
    if (!f->reader && strncmp(spec->name, "reader.", 7) == 0) {
        return 0; /* the encoder's */
    }
    float *values = calloc((size_t)tensor_spec_count(spec), sizeof *values);
    if (values == NULL || bridge_folder_floats(f, NULL, spec->name, values, e) < 0) {
        abort();
    }
    free(values);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char name[] = "fuzz";
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    struct bridge_folder f = {.path = name};
    if (zero != NULL && bridge_parse(&f, (const char *)data, NULL) == 0) {
        const size_t text = (size_t)(zero - data);
        if (safetensors_open_memory(&f.tensors, zero + 1, size - text - 1, "fuzz", NULL) == 0 &&
            bridge_tensors_check(&f, NULL) == 0) {
            (void)bridge_list(&f.options, f.reader, read_one, &f, NULL);
        }
        safetensors_close(f.tensors);
    }
    return 0;
}
