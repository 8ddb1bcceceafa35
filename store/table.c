/* table.c - see table.h. Slots are a power of two, at most 3/4 full; probing is linear. */
#include "store/table.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct slot {
    uint64_t hash;
    char *text; /* owned; NULL: free slot */
    size_t value;
};

struct table {
    struct slot *slots;
    size_t capacity, count;
};

enum { FIRST_CAPACITY = 64 };

int table_open(struct table **out, struct error *e) {
    *out = calloc(1, sizeof **out);
    struct slot *slots = *out != NULL ? calloc(FIRST_CAPACITY, sizeof *slots) : NULL;
    if (slots == NULL) {
        free(*out);
        *out = NULL;
        return error_memory(e, NULL);
    }
    **out = (struct table){.slots = slots, .capacity = FIRST_CAPACITY};
    return 0;
}

void table_close(struct table *t) {
    if (t == NULL) {
        return;
    }
    for (size_t i = 0; i < t->capacity; i++) {
        free(t->slots[i].text);
    }
    free(t->slots);
    free(t);
}

/* The slot that holds `text`, or the free one where it would go. */
static struct slot *slot_of(struct slot *slots, size_t capacity, uint64_t hash, const char *text) {
    size_t at = (size_t)hash & (capacity - 1);
    while (slots[at].text != NULL &&
           (slots[at].hash != hash || strcmp(slots[at].text, text) != 0)) {
        at = (at + 1) & (capacity - 1);
    }
    return &slots[at];
}

static int grow(struct table *t, struct error *e) {
    size_t capacity = t->capacity * 2;
    struct slot *slots = calloc(capacity, sizeof *slots);
    if (slots == NULL) {
        return error_memory(e, NULL);
    }
    for (size_t i = 0; i < t->capacity; i++) {
        if (t->slots[i].text != NULL) {
            *slot_of(slots, capacity, t->slots[i].hash, t->slots[i].text) = t->slots[i];
        }
    }
    free(t->slots);
    t->slots = slots;
    t->capacity = capacity;
    return 0;
}

int table_add(struct table *t, const char *text, size_t value, size_t *found, struct error *e) {
    uint64_t hash = XXH3_64bits(text, strlen(text));
    struct slot *slot = slot_of(t->slots, t->capacity, hash, text);
    if (slot->text != NULL) {
        if (found != NULL) {
            *found = slot->value;
        }
        return 0;
    }
    if (t->count + 1 > t->capacity / 4 * 3) {
        int rc = grow(t, e);
        if (rc < 0) {
            return rc;
        }
        slot = slot_of(t->slots, t->capacity, hash, text);
    }
    char *copy = strdup(text);
    if (copy == NULL) {
        return error_memory(e, NULL);
    }
    *slot = (struct slot){.hash = hash, .text = copy, .value = value};
    t->count++;
    if (found != NULL) {
        *found = value;
    }
    return 1;
}

bool table_find(const struct table *t, const char *text, size_t *value) {
    const struct slot *slot = slot_of(t->slots, t->capacity, XXH3_64bits(text, strlen(text)), text);
    if (slot->text != NULL && value != NULL) {
        *value = slot->value;
    }
    return slot->text != NULL;
}

size_t table_count(const struct table *t) {
    return t->count;
}

uint64_t table_fingerprint(const struct table *t) {
    uint64_t sum = 0;
    for (size_t i = 0; i < t->capacity; i++) {
        sum += t->slots[i].text != NULL ? t->slots[i].hash : 0;
    }
    return sum;
}
