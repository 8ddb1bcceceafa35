/* lora_fuzz.c - any bytes as an adapter's adapter_config.json and, after a zero byte, its tensors,
 * for a base of one small layer: refused, or every tensor that is listed can be read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/json.h"
#include "train/lora/lora_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct decoder_config BASE = {.name = "fuzz",
                                           .vocabulary = 16,
                                           .width = 8,
                                           .layers = 1,
                                           .heads = 2,
                                           .kv_heads = 1,
                                           .head_dim = 4,
                                           .hidden = 12,
                                           .context = 16};

static int read_one(void *context, const struct tensor_spec *spec, struct error *e) {
    float *values = calloc((size_t)tensor_spec_count(spec), sizeof *values);
    if (values == NULL || lora_folder_floats(context, spec->name, values, e) < 0) {
        abort();
    }
    free(values);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char name[] = "fuzz";
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    const size_t text = zero != NULL ? (size_t)(zero - data) : size;
    struct lora_folder f = {.path = name};
    json_t *root = json_read(data, text, NULL, NULL);
    if (root != NULL && lora_options_parse(&f.options, root, "fuzz", NULL) == 0 && zero != NULL &&
        safetensors_open_memory(&f.tensors, zero + 1, size - text - 1, "fuzz", NULL) == 0 &&
        lora_tensors_check(&f, &BASE, NULL) == 0) {
        (void)lora_list(&f.options, &BASE, read_one, &f, NULL);
    }
    safetensors_close(f.tensors);
    json_decref(root);
    return 0;
}
