/* key_set.c - see key_set.h. Slots are a power of two, at most 3/4 full; probing is linear. */
#include "store/key_set.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct key_slot {
    uint64_t low, high; /* both 0: free */
};

struct key_set {
    struct key_slot *slots;
    size_t capacity, count;
};

enum { FIRST_CAPACITY = 64 };

static struct key_slot hash_of(const char *key) {
    XXH128_hash_t hash = XXH3_128bits(key, strlen(key));
    return (struct key_slot){hash.low64, hash.low64 == 0 && hash.high64 == 0 ? 1 : hash.high64};
}

/* The slot that holds the hash, or the free one where it would go. */
static struct key_slot *slot_of(struct key_slot *slots, size_t capacity, struct key_slot hash) {
    size_t at = (size_t)hash.low & (capacity - 1);
    while ((slots[at].low != 0 || slots[at].high != 0) &&
           (slots[at].low != hash.low || slots[at].high != hash.high)) {
        at = (at + 1) & (capacity - 1);
    }
    return &slots[at];
}

int key_set_open(struct key_set **out, struct error *e) {
    *out = calloc(1, sizeof **out);
    struct key_slot *slots = *out != NULL ? calloc(FIRST_CAPACITY, sizeof *slots) : NULL;
    if (slots == NULL) {
        free(*out);
        *out = NULL;
        return error_memory(e, NULL);
    }
    **out = (struct key_set){.slots = slots, .capacity = FIRST_CAPACITY};
    return 0;
}

void key_set_close(struct key_set *s) {
    if (s != NULL) {
        free(s->slots);
        free(s);
    }
}

static int grow(struct key_set *s, struct error *e) {
    size_t capacity = s->capacity * 2;
    struct key_slot *slots = calloc(capacity, sizeof *slots);
    if (slots == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory for %zu keys", s->count);
    }
    for (size_t i = 0; i < s->capacity; i++) {
        if (s->slots[i].low != 0 || s->slots[i].high != 0) {
            *slot_of(slots, capacity, s->slots[i]) = s->slots[i];
        }
    }
    free(s->slots);
    s->slots = slots;
    s->capacity = capacity;
    return 0;
}

int key_set_add(struct key_set *s, const char *key, struct error *e) {
    if (key_set_has(s, key)) {
        return 0;
    }
    int rc = s->count + 1 > s->capacity / 4 * 3 ? grow(s, e) : 0;
    if (rc < 0) {
        return rc;
    }
    struct key_slot hash = hash_of(key);
    *slot_of(s->slots, s->capacity, hash) = hash;
    s->count++;
    return 1;
}

bool key_set_has(const struct key_set *s, const char *key) {
    const struct key_slot *slot = slot_of(s->slots, s->capacity, hash_of(key));
    return slot->low != 0 || slot->high != 0;
}
