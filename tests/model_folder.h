/* model_folder.h - for tests: the golden small model, and copies of its folder with something
 * changed. A file that includes this defines _DEFAULT_SOURCE. */
#ifndef OCC_TESTS_MODEL_FOLDER_H
#define OCC_TESTS_MODEL_FOLDER_H

#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/file.h"
#include "tests/store_folder.h"
#include "train/decoder/decoder.h"

#define SMALL_MODEL TEST_FOLDER "/golden/decoder/small"

static inline json_t *small_json(const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", SMALL_MODEL, name);
    json_t *root = json_load_file(path, 0, NULL);
    if (root == NULL) {
        printf("# %s cannot be read\n", path);
        exit(1);
    }
    return root;
}

/* A folder with links to the golden files, all of them but `without`, which may be NULL. */
static inline void model_folder(char path[64], const char *without) {
    static const char *const FILES[] = {"config.json",
                                        "generation_config.json",
                                        "tokenizer.json",
                                        "chat_template.jinja",
                                        "model.safetensors.index.json",
                                        "tokenizer_config.json",
                                        "golden.json",
                                        "model-00001-of-00003.safetensors",
                                        "model-00002-of-00003.safetensors",
                                        "model-00003-of-00003.safetensors"};
    char from[512], to[512];
    snprintf(path, 64, "/tmp/occ-model-XXXXXX");
    if (mkdtemp(path) == NULL) {
        exit(1);
    }
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        snprintf(from, sizeof from, "%s/%s", SMALL_MODEL, FILES[i]);
        snprintf(to, sizeof to, "%s/%s", path, FILES[i]);
        if ((without == NULL || strcmp(without, FILES[i]) != 0) && symlink(from, to) != 0) {
            exit(1);
        }
    }
}

static inline void model_file(const char *folder, const char *name, const void *data, size_t size) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        exit(1);
    }
}

/* config.json with a member of another value, in JSON; NULL: without it. */
static inline void model_config(const char *folder, const char *member, const char *value) {
    json_t *root = small_json("config.json");
    if (value == NULL) {
        json_object_del(root, member);
    } else {
        json_object_set_new(root, member, json_loads(value, JSON_DECODE_ANY, NULL));
    }
    char *text = json_dumps(root, 0);
    model_file(folder, "config.json", text, strlen(text));
    free(text);
    json_decref(root);
}

#endif
