/* encoder_maps.c - the maps for merging of an encoder's file, as a file of their own. */
#include <stdio.h>

#include "compress/encoder_state.h"

/* Each map's weight, its scale where the weights are 8-bit integers, its bias. */
enum { MAPS = 2, TENSORS = 3 * MAPS };

static int take_map(const struct encoder *encoder, const char *name, struct safetensor *tensors,
                    size_t *count, struct error *e) {
    int64_t dim = encoder->config.token_dim;
    char full[64];
    snprintf(full, sizeof full, "%s.weight", name);
    const struct safetensor *weight = safetensors_find(encoder->file, full);
    snprintf(full, sizeof full, "%s.bias", name);
    const struct safetensor *bias = safetensors_find(encoder->file, full);
    bool fits = weight != NULL && weight->rank == 2 && weight->shape[0] == dim &&
                weight->shape[1] == 2 * dim && bias != NULL && bias->rank == 1 &&
                bias->shape[0] == dim;
    if (!fits) {
        return error_set(e, ERR_FORMAT, "%s is not a map from two tokens of %lld numbers to one",
                         name, (long long)dim);
    }
    const struct safetensor *scale = safetensors_scale(encoder->file, weight);
    tensors[(*count)++] = *weight;
    tensors[(*count)++] = *bias;
    if (scale != NULL) {
        tensors[(*count)++] = *scale;
    }
    return 0;
}

int encoder_maps(const struct encoder *encoder, struct bytes *out, struct error *e) {
    struct safetensor tensors[TENSORS];
    size_t count = 0;
    if (safetensors_find(encoder->file, "merge.columns.weight") == NULL) {
        return 0;
    }
    int rc = take_map(encoder, "merge.columns", tensors, &count, e);
    if (rc == 0) {
        rc = take_map(encoder, "merge.rows", tensors, &count, e);
    }
    if (rc == 0) {
        rc = safetensors_append(out, tensors, count, NULL, e);
    }
    return rc == 0 ? 1 : rc;
}
