/* begin.c - see begin.h. */
#include "train/decoder/begin.h"

#include <stdlib.h>

#include "store/file.h"
#include "store/json.h"
#include "store/json_skip.h"
#include "train/decoder/folder.h"

/* {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": ...}]},
 * or a {"type": "Sequence", "processors": [...]} with one: the name, or NULL. */
static const char *first_special(const json_t *processor) {
    const json_t *list = json_object_get(processor, "processors"), *item;
    const json_t *single = json_object_get(processor, "single");
    const char *name =
        json_get_text(json_object_get(json_array_get(single, 0), "SpecialToken"), "id");
    size_t i;
    json_array_foreach(list, i, item) {
        const char *other = json_get_text(
            json_object_get(json_array_get(json_object_get(item, "single"), 0), "SpecialToken"),
            "id");
        name = name != NULL ? name : other;
    }
    return name;
}

static int find(const struct decoder_folder *f, const char *name, int32_t *begin, struct error *e) {
    *begin = tokenizer_added(f->tokenizer, name);
    return *begin >= 0 ? 0
                       : error_set(e, ERR_FORMAT,
                                   "%s/tokenizer.json: has no token '%s', which texts begin with",
                                   f->path, name);
}

static int read_processor(const struct decoder_folder *f, int32_t *begin, struct error *e) {
    struct bytes file, rest;
    char *path = file_path(f->path, "tokenizer.json", e);
    bytes_init(&file, TOKENIZER_FILE_LIMIT);
    bytes_init(&rest, TOKENIZER_FILE_LIMIT);
    int rc = path != NULL ? file_read(path, &file, e) : ERR_MEMORY;
    if (rc == 0) { /* nearly all of it, and nothing of interest here */
        rc = json_skip(&rest, bytes_text(&file), file.size, "model", e);
    }
    json_t *root = rc == 0 ? json_read(bytes_text(&rest), rest.size, NULL, e) : NULL;
    if (rc == 0 && root == NULL) {
        rc = error_context(e, "%s", path);
    }
    const char *name = first_special(json_object_get(root, "post_processor"));
    if (name != NULL) {
        rc = find(f, name, begin, e);
    }
    json_decref(root);
    free(path);
    bytes_close(&file);
    bytes_close(&rest);
    return rc;
}

int decoder_begin(const struct decoder_folder *f, int32_t *begin, struct error *e) {
    const json_t *said = json_object_get(f->tokenizer_config, "add_bos_token");
    *begin = -1;
    if (!json_is_boolean(said)) {
        return read_processor(f, begin, e);
    }
    if (json_is_false(said)) {
        return 0;
    }
    const char *name = folder_token(f->tokenizer_config, "bos_token");
    if (name != NULL) {
        return find(f, name, begin, e);
    }
    *begin = f->config.begin;
    return 0;
}
