/* creator_fuzz.c - creator captions made of any bytes that are JSON of some kind. */
#include "store/json.h"
#include "tests/fuzz/caption_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *root = json_read(data, size, NULL, NULL);
    if (!root) {
        return 0;
    }
    struct cue_list cues = {0};
    struct error e = {0};
    require(arena_open(&cues.arena, FUZZ_ARENA_BYTES, NULL) == 0);
    int rc = caption_read_creator_json(&cues, root, &e);
    require(rc == 0 || (e.code == rc && e.text[0] != 0));
    require_collapse(&cues, rc);
    arena_close(cues.arena);
    json_decref(root);
    return 0;
}
