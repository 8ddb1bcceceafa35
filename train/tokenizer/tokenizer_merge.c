/* tokenizer_merge.c - the tokens of one piece: from the cache, as a token of its own, or by merges.
 *
 * Merging joins the neighbours of lowest rank, the leftmost of these first, until no two have a
 * rank. Short pieces look through all pairs each time; long ones keep the pairs in a heap, so that
 * a megabyte without a space costs n log n. */
#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "train/tokenizer/tokenizer_parts.h"

/* From 32 to 128 Chinese and base64 took the same time; with 256 Chinese took a third more. */
enum { SHORT_PIECE = 64 };

/* A part of a piece: a token and what it would become together with the next part. */
struct symbol {
    uint32_t id;
    uint32_t rank, merged; /* with the next part; NO_TOKEN: never, or this part is gone */
    uint32_t previous, next;
};

int token_list_reserve(struct token_list *l, size_t count, struct error *e) {
    int32_t *ids = array_grow(l->ids, &l->capacity, l->count + count, sizeof *ids, e);
    l->ids = ids != NULL ? ids : l->ids;
    return ids != NULL ? 0 : ERR_MEMORY;
}

int token_list_append(struct token_list *l, const int32_t *ids, size_t count, struct error *e) {
    int rc = token_list_reserve(l, count, e);
    if (rc == 0 && count > 0) {
        memcpy(l->ids + l->count, ids, count * sizeof *ids);
        l->count += count;
    }
    return rc;
}

/* The token of the piece's next byte that has one, after which *at then is; NO_TOKEN: the piece
 * has ended. A byte without a token is the unknown one or left out, as tokenizers does it. */
static uint32_t next_byte(const struct vocabulary *v, const unsigned char *piece, size_t size,
                          size_t *at) {
    while (*at < size) {
        uint32_t id = v->byte_ids[piece[(*at)++]];
        if (id != NO_TOKEN) {
            return id;
        }
        while (v->fuses_unknown && *at < size && v->byte_ids[piece[*at]] == NO_TOKEN) {
            ++*at;
        }
        if (v->unknown != NO_TOKEN) {
            return v->unknown;
        }
    }
    return NO_TOKEN;
}

/* Looks up what two neighbours become. */
static uint32_t rank_of(const struct vocabulary *v, uint32_t left, uint32_t right,
                        uint32_t *merged) {
    const struct pair *pair = vocabulary_pair(v, left, right);
    *merged = pair != NULL ? pair->id : NO_TOKEN;
    return pair != NULL ? pair->rank : NO_TOKEN;
}

static void merge_short(const struct vocabulary *v, const unsigned char *piece, size_t size,
                        struct token_list *out) {
    uint32_t ids[SHORT_PIECE], ranks[SHORT_PIECE], merged[SHORT_PIECE];
    size_t count = 0, next = 0;
    for (uint32_t id; (id = next_byte(v, piece, size, &next)) != NO_TOKEN;) {
        ids[count++] = id;
    }
    for (size_t i = 0; i + 1 < count; i++) {
        ranks[i] = rank_of(v, ids[i], ids[i + 1], &merged[i]);
    }
    for (;;) {
        size_t at = 0;
        uint32_t lowest = NO_TOKEN;
        for (size_t i = 0; i + 1 < count; i++) {
            at = ranks[i] < lowest ? i : at;
            lowest = ranks[i] < lowest ? ranks[i] : lowest;
        }
        if (lowest == NO_TOKEN) {
            break;
        }
        ids[at] = merged[at];
        count--;
        size_t after = count - at - 1; /* parts after the new one */
        memmove(ids + at + 1, ids + at + 2, after * sizeof *ids);
        if (after > 0) {
            memmove(ranks + at + 1, ranks + at + 2, (after - 1) * sizeof *ranks);
            memmove(merged + at + 1, merged + at + 2, (after - 1) * sizeof *merged);
            ranks[at] = rank_of(v, ids[at], ids[at + 1], &merged[at]);
        }
        if (at > 0) {
            ranks[at - 1] = rank_of(v, ids[at - 1], ids[at], &merged[at - 1]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        out->ids[out->count++] = (int32_t)ids[i];
    }
}

/* The heap holds rank << 32 | place, least on top. */
static void heap_push(uint64_t *heap, size_t *count, uint64_t value) {
    size_t at = (*count)++;
    while (at > 0 && heap[(at - 1) / 2] > value) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = value;
}

static uint64_t heap_pop(uint64_t *heap, size_t *count) {
    uint64_t top = heap[0], last = heap[--*count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < *count && heap[child + 1] < heap[child]) {
            child++;
        }
        if (child >= *count || heap[child] >= last) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return top;
}

static int reserve_symbols(struct tokenizer_state *s, size_t size, struct error *e) {
    if (size <= s->symbol_capacity) {
        return 0;
    }
    free(s->symbols);
    free(s->heap);
    s->symbols = NULL;
    s->heap = NULL;
    s->symbol_capacity = 0;
    if (size <= SIZE_MAX / 2 / sizeof *s->symbols) {
        s->symbols = malloc(size * sizeof *s->symbols);
        /* each merge takes one entry at least and adds two at most; there are fewer than `size` */
        s->heap = malloc(2 * size * sizeof *s->heap);
    }
    if (s->symbols == NULL || s->heap == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory (a word of %zu bytes)", size);
    }
    s->symbol_capacity = size;
    return 0;
}

/* Looks up what part `at` becomes with the next one, and notes it. */
static void rank_symbol(struct tokenizer_state *s, uint32_t at, size_t *heap_count) {
    struct symbol *symbol = &s->symbols[at];
    symbol->rank = NO_TOKEN;
    if (symbol->next != NO_TOKEN) {
        symbol->rank = rank_of(&s->tokenizer->vocabulary, symbol->id, s->symbols[symbol->next].id,
                               &symbol->merged);
    }
    if (symbol->rank != NO_TOKEN) {
        heap_push(s->heap, heap_count, (uint64_t)symbol->rank << 32 | at);
    }
}

static int merge_long(struct tokenizer_state *s, const unsigned char *piece, size_t size,
                      struct error *e) {
    int rc = reserve_symbols(s, size, e);
    if (rc < 0) {
        return rc;
    }
    struct symbol *symbols = s->symbols;
    size_t heap_count = 0, next = 0;
    uint32_t count = 0;
    for (uint32_t id; (id = next_byte(&s->tokenizer->vocabulary, piece, size, &next)) != NO_TOKEN;
         count++) {
        symbols[count] = (struct symbol){
            .id = id, .previous = count > 0 ? count - 1 : NO_TOKEN, .next = count + 1};
    }
    if (count == 0) {
        return 0;
    }
    symbols[count - 1].next = NO_TOKEN;
    for (uint32_t i = 0; i < count; i++) {
        rank_symbol(s, i, &heap_count);
    }
    while (heap_count > 0) {
        uint64_t top = heap_pop(s->heap, &heap_count);
        uint32_t at = (uint32_t)top, gone = symbols[at].next;
        if (symbols[at].rank != (uint32_t)(top >> 32)) {
            continue; /* one of the two has since been merged with another */
        }
        symbols[at].id = symbols[at].merged;
        symbols[at].next = symbols[gone].next;
        symbols[gone].rank = NO_TOKEN;
        if (symbols[at].next != NO_TOKEN) {
            symbols[symbols[at].next].previous = at;
        }
        rank_symbol(s, at, &heap_count);
        if (symbols[at].previous != NO_TOKEN) {
            rank_symbol(s, symbols[at].previous, &heap_count);
        }
    }
    for (uint32_t i = 0; i != NO_TOKEN; i = symbols[i].next) {
        s->out->ids[s->out->count++] = (int32_t)symbols[i].id;
    }
    return 0;
}

/* The tokens of a piece that is not in the cache. Out of line, so that the loop over pieces of the
 * cache stays small. */
__attribute__((noinline)) static int
encode_anew(struct tokenizer_state *s, const unsigned char *piece, size_t size, struct error *e) {
    const struct tokenizer *t = s->tokenizer;
    int rc = token_list_reserve(s->out, size, e);
    if (rc < 0) {
        return rc;
    }
    uint32_t id = t->whole_pieces ? vocabulary_find(&t->vocabulary, piece, size) : NO_TOKEN;
    if (id != NO_TOKEN) {
        s->out->ids[s->out->count++] = (int32_t)id;
    } else if (size <= SHORT_PIECE) {
        merge_short(&t->vocabulary, piece, size, s->out);
    } else {
        rc = merge_long(s, piece, size, e);
    }
    return rc;
}

/* The key of a piece of less than CACHE_KEY bytes. */
static void make_key(uint64_t key[2], const unsigned char *piece, size_t size,
                     const unsigned char *readable) {
    static const unsigned char MASK[2 * CACHE_KEY] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                                      0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                                      0xFF, 0xFF, 0xFF, 0xFF};
    unsigned char bytes[CACHE_KEY] = {0};
    if (readable - piece >= CACHE_KEY) { /* a copy of known length is much faster */
        uint64_t mask[2];
        memcpy(key, piece, CACHE_KEY);
        memcpy(mask, MASK + CACHE_KEY - size, CACHE_KEY);
        key[0] &= mask[0];
        key[1] &= mask[1];
    } else {
        memcpy(bytes, piece, size);
        memcpy(key, bytes, CACHE_KEY);
    }
    ((unsigned char *)key)[CACHE_KEY - 1] = (unsigned char)size;
}

static struct cached *cached_of(struct tokenizer_state *s, const uint64_t key[2]) {
    uint64_t h = key[0] * UINT64_C(0x9E3779B97F4A7C15) + key[1] * UINT64_C(0xC2B2AE3D27D4EB4F);
    h = (h ^ h >> 32) * UINT64_C(0x9E3779B97F4A7C15);
    return &s->cache[h >> (64 - CACHE_BITS)];
}

static int encode_cached(struct tokenizer_state *s, const unsigned char *piece, size_t size,
                         struct error *e) {
    uint64_t key[2];
    make_key(key, piece, size, s->readable);
    struct cached *cached = cached_of(s, key);
    if (cached->key[0] == key[0] && cached->key[1] == key[1]) {
        int rc = s->out->capacity - s->out->count < cached->count
                     ? token_list_reserve(s->out, cached->count, e)
                     : 0;
        for (uint32_t i = 0; i < cached->count && rc == 0; i++) {
            s->out->ids[s->out->count++] = (int32_t)cached->ids[i];
        }
        return rc;
    }
    size_t before = s->out->count;
    int rc = encode_anew(s, piece, size, e);
    size_t count = s->out->count - before;
    if (rc == 0 && count <= CACHE_IDS) {
        memcpy(cached->key, key, sizeof key);
        cached->count = (uint32_t)count;
        memcpy(cached->ids, s->out->ids + before, count * sizeof *cached->ids);
    }
    return rc;
}

int piece_encode(struct tokenizer_state *s, const unsigned char *piece, size_t size,
                 struct error *e) {
    int rc = size < CACHE_KEY ? encode_cached(s, piece, size, e) : encode_anew(s, piece, size, e);
    if (s->counting) {
        s->counted += s->out->count;
        s->out->count = 0;
    }
    return rc;
}
