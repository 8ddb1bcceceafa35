/* tokenizer_vocabulary.c - the tables of a vocabulary: see tokenizer_parts.h. */
#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "train/tokenizer/tokenizer_parts.h"

enum { FIRST_CAPACITY = 1024, PAIR_LIMIT = 1 << 23 };

void vocabulary_init(struct vocabulary *v) {
    *v = (struct vocabulary){.unknown = NO_TOKEN};
    bytes_init(&v->text, TOKENIZER_FILE_LIMIT);
}

void vocabulary_close(struct vocabulary *v) {
    bytes_close(&v->text);
    free(v->tokens);
    free(v->slots);
    free(v->pairs);
    vocabulary_init(v);
}

static uint64_t mix(uint64_t h) {
    h *= UINT64_C(0x9E3779B97F4A7C15);
    return h ^ h >> 32;
}

static uint64_t hash_of(const unsigned char *data, size_t size) {
    uint64_t h = size, word;
    for (; size >= sizeof word; size -= sizeof word) {
        memcpy(&word, data, sizeof word);
        h = mix(h ^ word);
        data += sizeof word;
    }
    word = 0;
    memcpy(&word, data, size);
    return mix(mix(h ^ word));
}

static uint64_t pair_hash(uint32_t left, uint32_t right) {
    return mix(mix((uint64_t)left << 32 | right));
}

/* The slot that holds the bytes, or the free one where they would go. */
static struct token_slot *slot_of(const struct vocabulary *v, uint64_t hash,
                                  const unsigned char *data, size_t size) {
    size_t at = (size_t)(hash >> 32) & (v->slot_capacity - 1);
    for (;;) {
        struct token_slot *slot = &v->slots[at];
        if (slot->id == NO_TOKEN) {
            return slot;
        }
        const struct token *token = &v->tokens[slot->id];
        if (slot->tag == (uint32_t)hash && token->size == size &&
            memcmp(v->text.data + token->offset, data, size) == 0) {
            return slot;
        }
        at = (at + 1) & (v->slot_capacity - 1);
    }
}

uint32_t vocabulary_find(const struct vocabulary *v, const unsigned char *data, size_t size) {
    if (v->slot_count == 0 || size == 0 || size > TOKENIZER_TOKEN_LIMIT) {
        return NO_TOKEN;
    }
    return slot_of(v, hash_of(data, size), data, size)->id;
}

static int grow_slots(struct vocabulary *v, struct error *e) {
    size_t capacity = v->slot_capacity ? v->slot_capacity * 2 : FIRST_CAPACITY;
    struct token_slot *old = v->slots, *slots = malloc(capacity * sizeof *slots);
    if (slots == NULL) {
        return error_memory(e, NULL);
    }
    memset(slots, 0xFF, capacity * sizeof *slots); /* NO_TOKEN */
    size_t old_capacity = v->slot_capacity;
    v->slots = slots;
    v->slot_capacity = capacity;
    for (size_t i = 0; i < old_capacity; i++) {
        if (old[i].id != NO_TOKEN) {
            const struct token *token = &v->tokens[old[i].id];
            const unsigned char *data = v->text.data + token->offset;
            *slot_of(v, hash_of(data, token->size), data, token->size) = old[i];
        }
    }
    free(old);
    return 0;
}

static int grow_tokens(struct vocabulary *v, size_t count, struct error *e) {
    size_t before = v->capacity;
    struct token *tokens = array_grow(v->tokens, &v->capacity, count, sizeof *tokens, e);
    if (tokens == NULL) {
        return ERR_MEMORY;
    }
    memset(tokens + before, 0, (v->capacity - before) * sizeof *tokens);
    v->tokens = tokens;
    return 0;
}

/* Notes where the bytes of token `id` are found. */
static int index_token(struct vocabulary *v, uint32_t id, struct error *e) {
    const unsigned char *data = v->text.data + v->tokens[id].offset;
    size_t size = v->tokens[id].size;
    int rc = v->slot_count + 1 > v->slot_capacity / 2 ? grow_slots(v, e) : 0;
    if (rc < 0) {
        return rc;
    }
    uint64_t hash = hash_of(data, size);
    struct token_slot *slot = slot_of(v, hash, data, size);
    if (slot->id != NO_TOKEN) {
        return error_set(e, ERR_FORMAT, "the tokens %u and %u are the same bytes", slot->id, id);
    }
    *slot = (struct token_slot){.tag = (uint32_t)hash, .id = id};
    v->slot_count++;
    return 0;
}

int vocabulary_add(struct vocabulary *v, uint32_t id, const void *data, size_t size, bool found,
                   struct error *e) {
    if (id >= TOKENIZER_ID_LIMIT) {
        return error_set(e, ERR_LIMIT, "the token id %u is above %d", id, TOKENIZER_ID_LIMIT - 1);
    }
    if (size == 0) {
        return error_set(e, ERR_FORMAT, "token %u is empty", id);
    }
    if (size > TOKENIZER_TOKEN_LIMIT) {
        return error_set(e, ERR_LIMIT, "token %u is longer than %d bytes", id,
                         TOKENIZER_TOKEN_LIMIT);
    }
    if (id < v->count && v->tokens[id].size > 0) {
        return error_set(e, ERR_FORMAT, "two tokens have the id %u", id);
    }
    int rc = id >= v->capacity ? grow_tokens(v, (size_t)id + 1, e) : 0;
    size_t offset = v->text.size;
    if (rc == 0) {
        rc = bytes_append(&v->text, data, size, e);
    }
    if (rc < 0) {
        return rc;
    }
    v->tokens[id] = (struct token){.offset = (uint32_t)offset, .size = (uint32_t)size};
    v->count = id >= v->count ? (size_t)id + 1 : v->count;
    return found ? index_token(v, id, e) : 0;
}

static struct pair *pair_of(const struct vocabulary *v, uint32_t left, uint32_t right) {
    size_t at = (size_t)pair_hash(left, right) & (v->pair_capacity - 1);
    while (v->pairs[at].left != NO_TOKEN &&
           (v->pairs[at].left != left || v->pairs[at].right != right)) {
        at = (at + 1) & (v->pair_capacity - 1);
    }
    return &v->pairs[at];
}

const struct pair *vocabulary_pair(const struct vocabulary *v, uint32_t left, uint32_t right) {
    if (v->pair_count == 0) {
        return NULL;
    }
    const struct pair *pair = pair_of(v, left, right);
    return pair->left == NO_TOKEN ? NULL : pair;
}

static int grow_pairs(struct vocabulary *v, struct error *e) {
    size_t capacity = v->pair_capacity ? v->pair_capacity * 2 : FIRST_CAPACITY;
    struct pair *old = v->pairs, *pairs = malloc(capacity * sizeof *pairs);
    if (pairs == NULL) {
        return error_memory(e, NULL);
    }
    memset(pairs, 0xFF, capacity * sizeof *pairs); /* NO_TOKEN */
    size_t old_capacity = v->pair_capacity;
    v->pairs = pairs;
    v->pair_capacity = capacity;
    for (size_t i = 0; i < old_capacity; i++) {
        if (old[i].left != NO_TOKEN) {
            *pair_of(v, old[i].left, old[i].right) = old[i];
        }
    }
    free(old);
    return 0;
}

int vocabulary_add_pair(struct vocabulary *v, const struct pair *pair, struct error *e) {
    if (v->pair_count >= PAIR_LIMIT) {
        return error_set(e, ERR_LIMIT, "more than %d pairs of tokens to merge", PAIR_LIMIT);
    }
    int rc = v->pair_count + 1 > v->pair_capacity / 2 ? grow_pairs(v, e) : 0;
    if (rc < 0) {
        return rc;
    }
    struct pair *to = pair_of(v, pair->left, pair->right);
    v->pair_count += to->left == NO_TOKEN;
    *to = *pair;
    return 0;
}

int vocabulary_pair_ranks(struct vocabulary *v, struct error *e) {
    for (uint32_t id = 0; id < v->count; id++) {
        const unsigned char *data = v->text.data + v->tokens[id].offset;
        size_t size = v->tokens[id].size;
        for (size_t cut = 1; cut < size; cut++) {
            uint32_t left = vocabulary_find(v, data, cut);
            uint32_t right =
                left == NO_TOKEN ? NO_TOKEN : vocabulary_find(v, data + cut, size - cut);
            if (right != NO_TOKEN) {
                struct pair pair = {.left = left, .right = right, .rank = id, .id = id};
                int rc = vocabulary_add_pair(v, &pair, e);
                if (rc < 0) {
                    return rc;
                }
            }
        }
    }
    return 0;
}

int vocabulary_find_bytes(struct vocabulary *v) {
    int missing = -1;
    for (int i = 0; i < 256; i++) {
        unsigned char byte = (unsigned char)i;
        v->byte_ids[i] = vocabulary_find(v, &byte, 1);
        if (missing < 0 && v->byte_ids[i] == NO_TOKEN) {
            missing = i;
        }
    }
    return missing;
}
