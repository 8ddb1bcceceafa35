/* store_notes.c - see store_notes.h. */
#include "compress/store_notes.h"

#include <stdlib.h>

#include "compress/reading.h"
#include "store/json.h"
#include "store/nest.h"

static int put_maps(const struct encoder *encoder, struct store *s, struct error *e) {
    struct bytes maps;
    int rc = store_has_maps(s, e);
    if (rc != 0) {
        return rc < 0 ? rc : 0;
    }
    bytes_init(&maps, (size_t)1 << 30);
    rc = encoder_maps(encoder, &maps, e);
    rc = rc == 1 ? store_put_maps(s, maps.data, maps.size, e) : rc;
    bytes_close(&maps);
    return rc;
}

/* The JSON under a key of the file's metadata: NULL where there is none. */
static int read_metadata(const struct encoder *encoder, const char *key, json_t **out,
                         struct error *e) {
    const char *text = encoder_metadata(encoder, key);
    *out = text != NULL ? json_loads(text, 0, NULL) : NULL;
    return text == NULL || json_is_object(*out)
               ? 0
               : error_set(e, ERR_FORMAT, "the encoder's metadata %s is not a JSON object", key);
}

static int put_json(struct store *s, enum store_note note, const json_t *root, struct error *e) {
    char *text = json_dumps(root, JSON_COMPACT);
    int rc = text != NULL ? store_put_note(s, note, text, e) : error_memory(e, NULL);
    free(text);
    return rc;
}

/* A file that says nothing of it leaves the store as it is. */
static int put_merging(const struct encoder *encoder, struct store *s, struct error *e) {
    json_t *reading, *merging = NULL;
    int rc = read_metadata(encoder, READING_METADATA, &reading, e);
    json_t *profiles = json_object_get(reading, "profiles");
    int64_t nested = json_get_integer(reading, "nested", 0);
    if (rc == 0 && (nested < 0 || nested > NEST_LEVELS ||
                    encoder_config(encoder)->token_dim % ((int64_t)1 << nested) != 0)) {
        rc = error_set(e, ERR_FORMAT,
                       "the encoder's metadata %s: tokens cannot be halved %lld "
                       "times",
                       READING_METADATA, (long long)nested);
    }
    if (rc == 0 && (nested > 0 || profiles != NULL)) {
        merging = json_pack("{s:I, s:O*}", "nested", (json_int_t)nested, "profiles", profiles);
        rc = merging != NULL ? put_json(s, NOTE_MERGING, merging, e) : error_memory(e, NULL);
    }
    json_decref(merging);
    json_decref(reading);
    return rc;
}

static int put_fidelity(const struct encoder *encoder, struct store *s, struct error *e) {
    json_t *fidelity;
    int rc = read_metadata(encoder, FIDELITY_METADATA, &fidelity, e);
    if (rc == 0 && fidelity != NULL) {
        rc = put_json(s, NOTE_FIDELITY, fidelity, e);
    }
    json_decref(fidelity);
    return rc;
}

int store_notes_put(const struct encoder *encoder, struct store *s, struct error *e) {
    int rc = store_vectors(s) != NULL ? 0 : store_put_vectors(s, encoder_vectors(encoder), e);
    if (rc == 0) {
        rc = put_maps(encoder, s, e);
    }
    if (rc == 0) {
        rc = put_merging(encoder, s, e);
    }
    return rc == 0 ? put_fidelity(encoder, s, e) : rc;
}
