/* word.c - the cache of shaped words. */
#include "render/text/word_make.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "store/arena.h"

enum { CACHE_SLOTS = 1 << 12, CACHE_WORDS = 1 << 16 }; /* slots at first, words at most */
#define CACHE_BYTES ((size_t)24 << 20)
#define ARENA_BYTES ((size_t)256 << 20) /* what one line can add beyond CACHE_BYTES is far less */

struct entry {
    uint64_t hash;
    const struct word *word; /* NULL: free; its text follows it in memory */
};

struct shaper {
    struct word_maker maker;
    struct arena *arena; /* words and their texts */
    size_t arena_used;
    struct entry *entries; /* `slots` of them, a power of 2, at most half of them in use */
    size_t slots, count;
    uint64_t seed; /* of the hash: the language */
    int32_t space;
};

static int measure_space(struct shaper *s, struct error *e) {
    const struct word *word;
    struct word_key key = shaper_key(s, " ", 1, false, true);
    int rc = shaper_word(s, " ", &key, &word, e);
    s->space = rc == 0 ? word->advance : 0;
    return rc;
}

int shaper_open(struct shaper **out, const struct fonts *fonts, const struct profile *profile,
                struct error *e) {
    struct shaper *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_memory(e, NULL);
    }
    s->slots = CACHE_SLOTS;
    s->entries = calloc(s->slots, sizeof *s->entries);
    int rc = s->entries != NULL ? 0 : error_memory(e, NULL);
    if (rc == 0) {
        rc = arena_open(&s->arena, ARENA_BYTES, e);
    }
    if (rc == 0) {
        rc = maker_open(&s->maker, fonts, profile, e);
    }
    if (rc == 0) {
        rc = measure_space(s, e);
    }
    if (rc < 0) {
        shaper_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

void shaper_close(struct shaper *s) {
    if (s == NULL) {
        return;
    }
    maker_close(&s->maker);
    arena_close(s->arena);
    free(s->entries);
    free(s);
}

void shaper_language(struct shaper *s, const char *language) {
    enum { LONGEST = 35 }; /* BCP 47 asks for that much */
    size_t size = language != NULL ? strnlen(language, LONGEST + 1) : 0;
    bool known = size > 0 && size <= LONGEST;
    s->seed = known ? XXH3_64bits(language, size) : 0;
    maker_language(&s->maker,
                   known ? hb_language_from_string(language, (int)size) : HB_LANGUAGE_INVALID);
}

struct faces *shaper_faces(const struct shaper *s) {
    return s->maker.faces;
}

struct breaker *shaper_breaker(const struct shaper *s) {
    return s->maker.breaker;
}

int32_t shaper_space(const struct shaper *s) {
    return s->space;
}

/* Copies `size` bytes to *at and goes on after them. */
static void put(char **at, const void *items, size_t size) {
    memcpy(*at, items, size);
    *at += word_padded(size);
}

/* The word that was made, copied to where words are kept; NULL: ERR_MEMORY. */
static const struct word *copy_word(struct shaper *s, const char *text, size_t size,
                                    struct error *e) {
    const struct shaped_word *shaped = &s->maker.shaped;
    const struct word *w = &shaped->word;
    size_t glyphs = w->glyph_count * sizeof *shaped->glyphs;
    size_t clusters = (w->cluster_count + (size_t)1) * sizeof *shaped->clusters;
    size_t pieces = w->piece_count * sizeof *shaped->pieces;
    size_t missing = w->missing_count * sizeof *shaped->missing;
    size_t total = word_padded(sizeof *w) + word_padded(size) + word_padded(glyphs) +
                   word_padded(clusters) + word_padded(pieces) + word_padded(missing);
    struct word *word = arena_alloc(s->arena, total, 1);
    if (word == NULL) {
        error_memory(e, NULL);
        return NULL;
    }
    char *at = (char *)word;
    put(&at, w, sizeof *w);
    put(&at, text, size);
    put(&at, shaped->glyphs, glyphs);
    put(&at, shaped->clusters, clusters);
    put(&at, shaped->pieces, pieces);
    put(&at, shaped->missing, missing);
    s->arena_used += total;
    return word;
}

void word_glyph_range(const struct word *w, size_t first, size_t end, size_t *from, size_t *to) {
    const struct word_cluster *at = word_clusters(w);
    *from = 0;
    *to = w->glyph_count;
    if (w->rtl && end - first < w->cluster_count) {
        *from = at[end - 1].glyph;
        *to = first > 0 ? at[first - 1].glyph : *to;
    } else if (end - first < w->cluster_count) {
        *from = at[first].glyph;
        *to = at[end].glyph;
    }
}

/* The glyphs at `steps` of FIT_STEPS of their size; boxes of missing characters stay as they are.
 */
static int shrink(struct shaper *s, struct word_glyph *glyphs, size_t count, int32_t origin,
                  int steps, struct error *e) {
    for (size_t i = 0; i < count; i++) {
        struct word_glyph *g = &glyphs[i];
        bool box = g->slot->font == FACES_NO_FONT;
        g->x = (g->x - origin) * steps / FIT_STEPS;
        if (!box && steps < FIT_STEPS) {
            unsigned fit = FIT_SMALL + (unsigned)(FIT_STEPS - steps);
            g->slot = faces_slot(s->maker.faces, g->slot->font, g->slot->id, fit, e);
            if (g->slot == NULL) {
                return ERR_MEMORY;
            }
        }
    }
    return 0;
}

int shaper_small(struct shaper *s, const struct word *w, size_t first, size_t end, int32_t width,
                 const struct word **small, struct error *e) {
    struct shaped_word *shaped = &s->maker.shaped;
    const struct word_cluster *at = word_clusters(w);
    size_t from, to, start = at[first].start;
    int32_t advance = 0, origin = INT32_MAX;
    word_glyph_range(w, first, end, &from, &to);
    for (size_t i = first; i < end; i++) {
        advance += at[i].advance;
        origin = at[i].x < origin ? at[i].x : origin;
    }
    int steps = FIT_STEPS;
    while (steps > 1 && (int64_t)advance * steps > (int64_t)width * FIT_STEPS) {
        steps--;
    }
    memcpy(shaped->glyphs, word_glyphs(w) + from, (to - from) * sizeof *shaped->glyphs);
    int rc = shrink(s, shaped->glyphs, to - from, origin, steps, e);
    if (rc < 0) {
        return rc;
    }
    shaped->word = *w;
    shaped->word.size = (uint16_t)(at[end].start - start);
    shaped->word.glyph_count = (uint16_t)(to - from);
    shaped->word.cluster_count = 1;
    shaped->word.piece_count = shaped->word.missing_count = 0;
    shaped->word.advance = advance < width ? advance : width;
    shaped->clusters[0] = (struct word_cluster){.advance = shaped->word.advance};
    shaped->clusters[1] = (struct word_cluster){
        .start = shaped->word.size, .glyph = shaped->word.glyph_count, .x = shaped->word.advance};
    for (size_t i = 0; i < w->missing_count; i++) {
        const struct word_missing *m = &word_missing(w)[i];
        if (m->cluster >= first && m->cluster < end) {
            shaped->missing[shaped->word.missing_count++] =
                (struct word_missing){.code_point = m->code_point};
        }
    }
    *small = copy_word(s, word_text(w) + start, shaped->word.size, e);
    return *small != NULL ? 0 : ERR_MEMORY;
}

bool shaper_is_full(const struct shaper *s) {
    return s->count > CACHE_WORDS || s->arena_used > CACHE_BYTES;
}

void shaper_forget(struct shaper *s) {
    memset(s->entries, 0, s->slots * sizeof *s->entries);
    arena_reset(s->arena);
    s->count = 0;
    s->arena_used = 0;
}

static int keep_word(struct shaper *s, uint64_t hash, const char *text, size_t size,
                     const struct word **kept, struct error *e) {
    const struct word *word = copy_word(s, text, size, e);
    if (word == NULL) {
        return ERR_MEMORY;
    }
    size_t i = hash & (s->slots - 1);
    while (s->entries[i].word != NULL) {
        i = (i + 1) & (s->slots - 1);
    }
    s->entries[i] = (struct entry){.hash = hash, .word = word};
    s->count++;
    *kept = word;
    return 0;
}

struct word_key shaper_key(const struct shaper *s, const char *text, size_t size, bool rtl,
                           bool piece) {
    uint64_t kind = s->seed ^ (rtl ? UINT64_C(1) << 62 : 0) ^ (piece ? UINT64_C(1) << 61 : 0);
    uint64_t hash = XXH3_64bits_withSeed(text, size, kind);
    __builtin_prefetch(&s->entries[hash & (s->slots - 1)]);
    return (struct word_key){.hash = hash, .size = (uint16_t)size, .rtl = rtl, .piece = piece};
}

void shaper_expect(const struct shaper *s, const struct word_key *key) {
    const struct entry *entry = &s->entries[key->hash & (s->slots - 1)];
    if (entry->word != NULL) {
        enum { LINE = 64 };
        __builtin_prefetch(entry->word);
        __builtin_prefetch((const char *)entry->word + LINE);
        __builtin_prefetch((const char *)entry->word + 2 * LINE);
    }
}

/* Doubles the table. */
static int grow(struct shaper *s, struct error *e) {
    size_t slots = s->slots * 2;
    struct entry *entries = calloc(slots, sizeof *entries);
    if (entries == NULL) {
        return error_memory(e, NULL);
    }
    for (size_t i = 0; i < s->slots; i++) {
        size_t k = s->entries[i].hash & (slots - 1);
        while (s->entries[i].word != NULL && entries[k].word != NULL) {
            k = (k + 1) & (slots - 1);
        }
        if (s->entries[i].word != NULL) {
            entries[k] = s->entries[i];
        }
    }
    free(s->entries);
    s->entries = entries;
    s->slots = slots;
    return 0;
}

int shaper_word(struct shaper *s, const char *text, const struct word_key *key,
                const struct word **word, struct error *e) {
    size_t i = key->hash & (s->slots - 1);
    for (; s->entries[i].word != NULL; i = (i + 1) & (s->slots - 1)) {
        const struct entry *known = &s->entries[i];
        if (known->hash == key->hash && known->word->size == key->size &&
            memcmp(word_text(known->word), text, key->size) == 0) {
            *word = known->word;
            return 0;
        }
    }
    int rc = maker_make(&s->maker, text, key->size, key->rtl, key->piece, e);
    if (rc == 0) {
        rc = keep_word(s, key->hash, text, key->size, word, e);
    }
    return rc == 0 && s->count > s->slots / 2 ? grow(s, e) : rc;
}
