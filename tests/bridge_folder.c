/* bridge_folder.c - for tests of programs: an adapter with a bridge (train/context/bridge.h) that
 * has learned nothing, for a decoder and the tokens of an encoder.
 *
 *     bridge_folder FOLDER MODEL ENCODER linear|mlp EXPAND EXPERTS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compress/model.h"
#include "store/array.h"
#include "train/context/bridge.h"
#include "train/decoder/decoder.h"

struct tensors {
    struct tensor_spec *specs;
    size_t count, capacity;
};

static int take(void *context, const struct tensor_spec *spec, struct error *e) {
    struct tensors *t = context;
    struct tensor_spec *specs = array_grow(t->specs, &t->capacity, t->count + 1, sizeof *specs, e);
    if (specs == NULL) {
        return ERR_MEMORY;
    }
    t->specs = specs;
    t->specs[t->count++] = *spec;
    return 0;
}

static int read_first(void *context, const char *name, float *values, struct error *e) {
    const struct tensors *t = context;
    for (size_t i = 0; i < t->count; i++) {
        if (strcmp(t->specs[i].name, name) == 0) {
            model_fill(values, &t->specs[i], 1);
            return 0;
        }
    }
    return error_set(e, ERR_FORMAT, "no tensor %s", name);
}

int main(int argc, char **argv) {
    struct decoder_folder model = {.path = NULL};
    struct tensors tensors = {.specs = NULL};
    struct model_info info;
    struct error e = {0};
    if (argc != 7) {
        fprintf(stderr, "bridge_folder: FOLDER MODEL ENCODER linear|mlp EXPAND EXPERTS\n");
        return 1;
    }
    int rc = decoder_folder_open(&model, argv[2], &e);
    rc = rc == 0 ? model_info(&info, argv[3], &e) : rc;
    if (rc == 0) {
        const bool mlp = strcmp(argv[4], "mlp") == 0;
        const int64_t experts = strtol(argv[6], NULL, 10);
        const struct bridge_options o = {.kind = mlp ? BRIDGE_MLP : BRIDGE_LINEAR,
                                         .dim = info.config.token_dim,
                                         .width = model.config.width,
                                         .expand = strtol(argv[5], NULL, 10),
                                         .buckets = 2,
                                         .hidden = mlp ? 16 : 0,
                                         .scale = 0.1,
                                         .encoder = info.fingerprint,
                                         .experts = {.count = experts,
                                                     .chosen = experts > 0 ? 2 : 0,
                                                     .hidden = experts > 0 ? 8 : 0}};
        rc = bridge_check(&o, &e);
        rc = rc == 0 ? bridge_list(&o, false, take, &tensors, &e) : rc;
        rc = rc == 0 ? bridge_write(argv[1], &o, false, read_first, &tensors, &e) : rc;
    }
    if (rc < 0) {
        fprintf(stderr, "bridge_folder: %s\n", e.text);
    }
    free(tensors.specs);
    decoder_folder_close(&model);
    return rc < 0;
}
