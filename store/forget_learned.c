/* forget_learned.c - see forget_learned.h. */
#include "store/forget_learned.h"

#include <string.h>

#include "store/json.h"
#include "store/nest.h"

static int read_note(struct learned *l, struct store *s, enum store_note note, json_t **root,
                     struct error *e) {
    bytes_clear(&l->text);
    *root = NULL;
    int rc = store_get_note(s, note, &l->text, e);
    if (rc == 1) {
        *root = json_loadb(bytes_text(&l->text), l->text.size, 0, NULL);
        rc = json_is_object(*root) ? 0
                                   : error_set(e, ERR_FORMAT,
                                               "what the store says of its encoder is damaged: "
                                               "occ store verify");
    }
    return rc;
}

static int read_merging(struct learned *l, struct store *s, struct error *e) {
    json_t *root;
    int rc = read_note(l, s, NOTE_MERGING, &root, e), dim = store_encoder(s)->dim;
    int64_t levels = json_get_integer(root, "nested", 0);
    bool fits = levels >= 0 && levels <= NEST_LEVELS && dim % ((int64_t)1 << levels) == 0;
    if (rc == 0 && !fits) {
        rc = error_set(e, ERR_FORMAT,
                       "tokens of %d numbers cannot be halved %lld times, as the store says", dim,
                       (long long)levels);
    }
    l->levels = rc == 0 ? (int)levels : 0;
    const json_t *profiles = json_object_get(root, "profiles");
    l->profiles =
        json_is_array(profiles) ? json_deep_copy(profiles) : json_pack("[s, s]", "read10", "clear");
    json_decref(root);
    return rc < 0 || l->profiles != NULL ? rc : error_memory(e, NULL);
}

int learned_open(struct learned *l, struct store *s, struct error *e) {
    *l = (struct learned){.levels = 0};
    bytes_init(&l->text, STREAM_MEMBER_LIMIT);
    int rc = read_merging(l, s, e);
    if (rc == 0) {
        rc = read_note(l, s, NOTE_FIDELITY, &l->fidelity, e);
    }
    if (rc < 0) {
        learned_close(l);
    }
    return rc;
}

void learned_close(struct learned *l) {
    json_decref(l->profiles);
    json_decref(l->fidelity);
    bytes_close(&l->text);
    *l = (struct learned){.levels = 0};
}

static void name_of(char name[TOKEN_PROFILE + 1], const char profile[TOKEN_PROFILE]) {
    memcpy(name, profile, TOKEN_PROFILE);
    name[TOKEN_PROFILE] = '\0';
}

bool learned_merges(const struct learned *l, const char profile[TOKEN_PROFILE]) {
    char name[TOKEN_PROFILE + 1];
    const json_t *known;
    size_t i;
    name_of(name, profile);
    json_array_foreach(l->profiles, i, known) {
        if (json_is_string(known) && strcmp(json_string_value(known), name) == 0) {
            return true;
        }
    }
    return name[0] == '\0';
}

bool learned_expects(const struct learned *l, const char profile[TOKEN_PROFILE], int k,
                     struct expected *out) {
    char name[TOKEN_PROFILE + 1];
    const json_t *row;
    size_t i;
    name_of(name, profile);
    const json_t *rows = json_object_get(l->fidelity, name);
    json_array_foreach(rows, i, row) {
        if (json_get_integer(row, "k", -1) == k) {
            out->words = json_get_real(row, "words", -1);
            out->numbers = json_get_real(row, "numbers", -1);
            return out->words >= 0 && out->words <= 1 && out->numbers >= 0 && out->numbers <= 1;
        }
    }
    return false;
}
