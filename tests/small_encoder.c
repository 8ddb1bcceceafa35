/* small_encoder.c - for tests that want tokens, whatever they are: an encoder with random weights
 * that costs a hundredth of the bundled one.
 *
 *     small_encoder FILE [KEY TEXT]...      # with texts in its metadata
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compress/model.h"
#include "store/file.h"
#include "store/json.h"

/* Puts texts into the file's metadata; its tensors are counted from the end of the header. */
static int add_metadata(const char *path, char **texts, int count, struct error *e) {
    struct bytes file, out;
    struct output_file o;
    uint64_t size = 0;
    bytes_init(&file, (size_t)1 << 30);
    bytes_init(&out, (size_t)1 << 30);
    int rc = file_read(path, &file, e);
    if (rc < 0) {
        return rc;
    }
    memcpy(&size, file.data, sizeof size);
    json_t *header = json_loadb((char *)file.data + sizeof size, size, 0, NULL);
    for (int i = 0; i + 1 < count; i += 2) {
        json_object_set_new(json_object_get(header, "__metadata__"), texts[i],
                            json_string(texts[i + 1]));
    }
    char *text = json_dumps(header, JSON_COMPACT);
    size_t length = strlen(text), padded = (length + 8 + 63) / 64 * 64 - 8;
    const uint64_t new_size = padded;
    rc = bytes_append(&out, &new_size, sizeof new_size, e);
    if (rc == 0) {
        rc = bytes_printf(&out, e, "%-*s", (int)padded, text);
    }
    if (rc == 0) {
        rc = bytes_append(&out, file.data + 8 + size, file.size - 8 - size, e);
    }
    if (rc == 0) {
        rc = output_file_open(&o, path, e);
    }
    if (rc == 0) {
        rc = file_write(o.fd, out.data, out.size, NULL, e);
    }
    rc = rc == 0 ? output_file_commit(&o, e) : rc;
    free(text);
    json_decref(header);
    bytes_close(&file);
    bytes_close(&out);
    return rc;
}

int main(int argc, char **argv) {
    const struct encoder_config config = {.name = "small",
                                          .patch = 16,
                                          .grid = 32,
                                          .dim = 32,
                                          .depth = 1,
                                          .heads = 1,
                                          .mlp = 32,
                                          .window = 8,
                                          .neck = 16,
                                          .net_2 = 16,
                                          .net_3 = 32,
                                          .clip_dim = 32,
                                          .clip_depth = 1,
                                          .clip_heads = 1,
                                          .clip_mlp = 32,
                                          .clip_grid = 8,
                                          .token_dim = 512,
                                          .token_norm = true};
    struct error e;
    if (argc % 2 != 0) {
        fprintf(stderr, "small_encoder: FILE [KEY TEXT]...\n");
        return 1;
    }
    int rc = model_init(argv[1], &config, 1, DTYPE_BF16, &e);
    if (rc == 0 && argc > 2) {
        rc = add_metadata(argv[1], argv + 2, argc - 2, &e);
    }
    if (rc < 0) {
        fprintf(stderr, "small_encoder: %s\n", e.text);
    }
    return rc < 0;
}
