/* decoder_fuzz.c - any bytes as a model's config.json and, after a zero byte, its weights: refused,
 * or a configuration that is written and read as the same, whose tensors lie in the file. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/json.h"
#include "train/decoder/config.h"
#include "train/decoder/stored.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_NUMBERS = 1 << 20, MOST_LAYERS = 64 };

static int check_one(void *context, const struct tensor_spec *spec, struct error *e) {
    return stored_check(context, spec, e);
}

/* Rows of every matrix, whatever config.json says of it. */
static float read_all(const struct safetensors *file) {
    float sum = 0;
    for (size_t i = 0; i < safetensors_count(file); i++) {
        struct stored_matrix m;
        struct frozen_matrix frozen;
        if (stored_matrix_find(&m, file, safetensors_get(file, i)->name, NULL) < 0 ||
            m.frozen.inputs > MOST_NUMBERS || m.frozen.outputs > MOST_NUMBERS / m.frozen.inputs) {
            continue;
        }
        const size_t count = (size_t)(m.frozen.outputs * m.frozen.inputs);
        float *x = calloc(count, sizeof *x);
        if (x != NULL) {
            stored_matrix_rows(&m, 0, m.frozen.outputs, x);
            sum += x[count - 1];
        }
        free(x);
        if (stored_matrix_frozen(&m, &frozen) && frozen_bytes(&frozen) == 0) {
            abort();
        }
    }
    return sum;
}

static void check_config(struct decoder_config *c, const json_t *root) {
    struct decoder_config again;
    json_t *written = decoder_config_json(c);
    (void)decoder_config_ends(c, json_object_get(root, "generation"), "fuzz", NULL);
    if (written == NULL || decoder_config_parse(&again, written, "fuzz", NULL) < 0 ||
        again.vocabulary != c->vocabulary || again.head_dim != c->head_dim ||
        again.kv_heads != c->kv_heads || again.scaling != c->scaling || again.tied != c->tied) {
        abort();
    }
    json_decref(written);
    float frequency[128];
    decoder_frequencies(c, frequency);
    for (int64_t i = 0; i < c->head_dim / 2; i++) {
        if (!(frequency[i] >= 0 && frequency[i] <= 1)) {
            abort();
        }
    }
    if (decoder_config_parameters(c) <= 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    const size_t text = zero != NULL ? (size_t)(zero - data) : size;
    struct decoder_config c;
    struct safetensors *file = NULL;
    float sum = 0;
    json_t *root = json_read(data, text, NULL, NULL);
    const bool fits = root != NULL && decoder_config_parse(&c, root, "fuzz", NULL) == 0 &&
                      c.layers <= MOST_LAYERS;
    if (fits) {
        check_config(&c, root);
    }
    if (zero != NULL &&
        safetensors_open_memory(&file, zero + 1, size - text - 1, "fuzz", NULL) == 0) {
        sum = read_all(file);
        if (fits) {
            (void)decoder_config_list(&c, check_one, file, NULL);
        }
    }
    safetensors_close(file);
    json_decref(root);
    return sum == 12345678.0f; /* so that the reads are not left out */
}
