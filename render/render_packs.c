/* render_packs.c - see render_packs.h. */
#include "render/render_packs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "store/table.h"

struct pack_numbers {
    struct table *accounts; /* index into: */
    int64_t *next;
    size_t count, capacity;
    char key[STREAM_KEY_BYTES]; /* of the current pack, and its members: */
    struct stream_member *members;
    size_t member_capacity;
    struct bytes json;
};

void pack_key(char key[STREAM_KEY_BYTES], char id[PACK_ID_BYTES], const char *sample_key,
              int64_t number) {
    static const char PREFIX[] = "pack:";
    snprintf(id, PACK_ID_BYTES, "%s%06" PRId64, PREFIX, number);
    stream_pack_key(key, sample_key, id + sizeof PREFIX - 1);
}

int pack_numbers_open(struct pack_numbers **out, struct error *e) {
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return error_memory(e, NULL);
    }
    bytes_init(&(*out)->json, STREAM_MEMBER_LIMIT);
    return table_open(&(*out)->accounts, e);
}

void pack_numbers_close(struct pack_numbers *p) {
    if (p == NULL) {
        return;
    }
    table_close(p->accounts);
    bytes_close(&p->json);
    free(p->next);
    free(p->members);
    free(p);
}

/* The place of the account's next number; NULL: no memory. */
static int64_t *next_number(struct pack_numbers *p, const char *key, struct error *e) {
    char account[STREAM_KEY_BYTES];
    size_t index;
    stream_account(account, key);
    int64_t *next = array_grow(p->next, &p->capacity, p->count + 1, sizeof *next, e);
    if (next == NULL) {
        return NULL;
    }
    p->next = next;
    int added = table_add(p->accounts, account, p->count, &index, e);
    if (added > 0) {
        p->next[p->count++] = 0;
    }
    return added < 0 ? NULL : &p->next[index];
}

/* The .json with another id. Anything but an object is passed on as it is. */
static int change_id(struct pack_numbers *p, const char *id, struct error *e) {
    json_t *object = json_read(p->members[0].data, p->members[0].size, NULL, NULL);
    int rc = 0;
    bytes_clear(&p->json);
    if (json_is_object(object)) {
        rc = json_object_set_new(object, "id", json_string(id)) == 0
                 ? json_append(&p->json, object, e)
                 : error_memory(e, NULL);
        p->members[0].data = bytes_text(&p->json);
        p->members[0].size = p->json.size;
    }
    json_decref(object);
    return rc;
}

int pack_numbers_apply(struct pack_numbers *p, struct stream_sample *pack, struct error *e) {
    char id[PACK_ID_BYTES];
    int64_t *next = next_number(p, pack->key, e);
    if (next == NULL) {
        return ERR_MEMORY;
    }
    int64_t number = strtoll(strstr(pack->key, STREAM_PACK) + sizeof STREAM_PACK - 1, NULL, 10);
    if (number >= *next && number < INT64_MAX / 2) {
        *next = number + 1;
        return 0;
    }
    pack_key(p->key, id, pack->key, (*next)++);
    struct stream_member *members =
        array_grow(p->members, &p->member_capacity, pack->count, sizeof *members, e);
    if (members == NULL) {
        return ERR_MEMORY;
    }
    p->members = members;
    memcpy(p->members, pack->members, pack->count * sizeof *p->members);
    int rc = change_id(p, id, e);
    *pack = (struct stream_sample){.key = p->key, .members = p->members, .count = pack->count};
    return rc;
}
