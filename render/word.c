#include "render/word.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "store/arena.h"
#include "store/utf8.h"

enum { CACHE_SLOTS = 1 << 12, CACHE_WORDS = 1 << 16 }; /* slots at first, words at most */
#define CACHE_BYTES ((size_t)24 << 20)
#define ARENA_BYTES ((size_t)256 << 20) /* what one line can add beyond CACHE_BYTES is far less */

struct entry {
    uint64_t hash;
    const struct word *word; /* NULL: free; its text follows it in memory */
};

/* A stretch of a word in one font and script. */
struct stretch {
    uint32_t start, end;
    int font;
    UScriptCode script;
};

/* A word being made: WORD_BYTES bytes give at most as many clusters; HarfBuzz may give more glyphs.
 */
enum { DRAFT_GLYPHS = 4 * WORD_BYTES };
struct draft {
    struct word_glyph glyphs[DRAFT_GLYPHS];
    uint16_t glyph_cluster[DRAFT_GLYPHS]; /* byte where the glyph's cluster begins */
    int32_t glyph_advance[DRAFT_GLYPHS];
    struct word_cluster clusters[WORD_BYTES + 1];
    struct word_piece pieces[WORD_BYTES + 1];
    struct word_missing missing[WORD_BYTES];
    struct stretch stretches[WORD_BYTES];
    size_t stretch_count;
    struct word word;
};

struct shaper {
    const struct fonts *fonts;
    struct faces *faces;
    struct breaker *breaker;
    hb_buffer_t *buffer;
    struct arena *arena; /* words and their texts */
    size_t arena_used;
    struct entry *entries; /* `slots` of them, a power of 2, at most half of them in use */
    size_t slots, count;
    hb_language_t language;
    uint64_t seed; /* of the hash: the language */
    int32_t space;
    bool ascii; /* the primary font has all of printable ASCII */
    struct draft draft;
};

static int measure_space(struct shaper *s, struct error *e) {
    const struct word *word;
    struct word_key key = shaper_key(s, " ", 1, false, true);
    int rc = shaper_word(s, " ", &key, &word, e);
    s->space = rc == 0 ? word->advance : 0;
    return rc;
}

static bool has_ascii(const struct fonts *fonts) {
    for (uint32_t c = 0x20; c < 0x7F; c++) {
        if (fonts_choose(fonts, &c, 1, false) != FONT_PRIMARY) {
            return false;
        }
    }
    return true;
}

int shaper_open(struct shaper **out, const struct fonts *fonts, const struct profile *profile,
                struct error *e) {
    struct shaper *s = calloc(1, sizeof *s);
    if (!s) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    s->fonts = fonts;
    s->slots = CACHE_SLOTS;
    s->entries = calloc(s->slots, sizeof *s->entries);
    s->buffer = hb_buffer_create();
    int rc = s->entries && hb_buffer_allocation_successful(s->buffer)
                 ? 0
                 : error_set(e, ERR_MEMORY, "out of memory");
    rc = rc == 0 ? arena_open(&s->arena, ARENA_BYTES, e) : rc;
    rc = rc == 0 ? breaker_open(&s->breaker, e) : rc;
    rc = rc == 0 ? faces_open(&s->faces, fonts, profile, e) : rc;
    s->ascii = rc == 0 && has_ascii(fonts);
    shaper_language(s, NULL);
    rc = rc == 0 ? measure_space(s, e) : rc;
    if (rc < 0) {
        shaper_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

void shaper_close(struct shaper *s) {
    if (!s) {
        return;
    }
    faces_close(s->faces);
    breaker_close(s->breaker);
    arena_close(s->arena);
    hb_buffer_destroy(s->buffer);
    free(s->entries);
    free(s);
}

void shaper_language(struct shaper *s, const char *language) {
    enum { LONGEST = 35 }; /* BCP 47 asks for that much */
    size_t size = language ? strnlen(language, LONGEST + 1) : 0;
    bool known = size > 0 && size <= LONGEST;
    s->language = known ? hb_language_from_string(language, (int)size) : HB_LANGUAGE_INVALID;
    s->seed = known ? XXH3_64bits(language, size) : 0;
}

struct faces *shaper_faces(const struct shaper *s) {
    return s->faces;
}

struct breaker *shaper_breaker(const struct shaper *s) {
    return s->breaker;
}

int32_t shaper_space(const struct shaper *s) {
    return s->space;
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

/* ---- Which font ---------------------------------------------------------- */

enum { CLUSTER_CHARACTERS = 32 };

static bool has_property(uint32_t c, UProperty property) {
    return u_hasBinaryProperty((UChar32)c, property);
}

/* Whether a grapheme cluster is to be shown as emoji: UTS #51, sections 2 and 4. */
static bool is_emoji(const uint32_t *cluster, size_t count) {
    if (cluster[0] < 0x80 && count == 1) {
        return false;
    }
    for (size_t i = 1; i < count; i++) {
        if (cluster[i] == 0xFE0E) {
            return false;
        }
        if (cluster[i] == 0xFE0F || cluster[i] == 0x20E3) {
            return has_property(cluster[0], UCHAR_EMOJI);
        }
    }
    return has_property(cluster[0], UCHAR_EMOJI_PRESENTATION) ||
           (count > 1 && has_property(cluster[0], UCHAR_EXTENDED_PICTOGRAPHIC));
}

static size_t decode_cluster(const char *text, size_t size, uint32_t *cluster) {
    size_t count = 0;
    for (size_t i = 0; i < size && count < CLUSTER_CHARACTERS; count++) {
        bool valid;
        i += utf8_decode(text + i, size - i, &cluster[count], &valid);
    }
    return count;
}

static UScriptCode script_of(uint32_t c) {
    UErrorCode status = U_ZERO_ERROR;
    UScriptCode script = uscript_getScript((UChar32)c, &status);
    return U_FAILURE(status) || script == USCRIPT_INHERITED ? USCRIPT_COMMON : script;
}

static void add_stretch(struct draft *d, uint32_t start, uint32_t end, int font,
                        UScriptCode script) {
    struct stretch *last = d->stretch_count > 0 ? &d->stretches[d->stretch_count - 1] : NULL;
    bool same =
        last && last->font == font &&
        (last->script == script || last->script == USCRIPT_COMMON || script == USCRIPT_COMMON);
    if (same) {
        last->end = end;
        last->script = last->script == USCRIPT_COMMON ? script : last->script;
        return;
    }
    d->stretches[d->stretch_count++] =
        (struct stretch){.start = start, .end = end, .font = font, .script = script};
}

static bool is_ascii(const char *text, size_t size) {
    unsigned char all = 0;
    for (size_t i = 0; i < size; i++) {
        all |= (unsigned char)text[i];
    }
    return all < 0x80;
}

static int find_stretches(struct shaper *s, const char *text, size_t size, struct error *e) {
    struct draft *d = &s->draft;
    d->stretch_count = 0;
    if (s->ascii && is_ascii(text, size)) {
        add_stretch(d, 0, (uint32_t)size, FONT_PRIMARY, USCRIPT_LATIN);
        return 0;
    }
    const uint32_t *ends;
    size_t count;
    int rc = breaker_clusters(s->breaker, text, size, &ends, &count, e);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0, start = 0; i <= count; i++) {
        size_t end = i < count ? ends[i] : size;
        uint32_t cluster[CLUSTER_CHARACTERS];
        size_t characters = decode_cluster(text + start, end - start, cluster);
        int font = fonts_choose(s->fonts, cluster, characters, is_emoji(cluster, characters));
        add_stretch(d, (uint32_t)start, (uint32_t)end, font, script_of(cluster[0]));
        start = end;
    }
    return 0;
}

/* ---- Shaping ------------------------------------------------------------- */

/* Letters of an alphabet stay apart, so that each has a place of its own on the page. */
static const hb_feature_t NO_LIGATURES[] = {
    {.tag = HB_TAG('l', 'i', 'g', 'a'), .end = HB_FEATURE_GLOBAL_END},
    {.tag = HB_TAG('c', 'l', 'i', 'g'), .end = HB_FEATURE_GLOBAL_END},
};

static bool wants_ligatures(UScriptCode script) {
    return script != USCRIPT_LATIN && script != USCRIPT_GREEK && script != USCRIPT_CYRILLIC &&
           script != USCRIPT_COMMON;
}

static int too_complex(struct error *e) {
    return error_set(e, ERR_LIMIT, "a word needs more than %d glyphs", DRAFT_GLYPHS);
}

static void note_missing(struct draft *d, uint32_t at, uint32_t code_point) {
    struct word *w = &d->word;
    if (w->missing_count < WORD_BYTES) {
        d->missing[w->missing_count++] =
            (struct word_missing){.cluster = (uint16_t)at, .code_point = code_point};
    }
}

static int add_glyph(struct shaper *s, int font, uint32_t id, uint32_t at, int32_t x, int32_t y,
                     int32_t advance, struct error *e) {
    struct draft *d = &s->draft;
    struct word *w = &d->word;
    if (w->glyph_count == DRAFT_GLYPHS) {
        return too_complex(e);
    }
    struct glyph_slot *slot = faces_slot(s->faces, font, id, e);
    if (!slot) {
        return ERR_MEMORY;
    }
    d->glyphs[w->glyph_count] = (struct word_glyph){.slot = slot, .x = w->advance + x, .y = y};
    d->glyph_cluster[w->glyph_count] = (uint16_t)at;
    d->glyph_advance[w->glyph_count] = advance;
    w->glyph_count++;
    w->advance += advance;
    return 0;
}

static int32_t box_advance(struct shaper *s) {
    const struct face *primary = faces_get(s->faces, FONT_PRIMARY, NULL);
    return primary ? primary->missing_advance : 0;
}

/* Characters that no font has: a box for each that would be seen. */
static int add_boxes(struct shaper *s, const char *text, const struct stretch *r, bool rtl,
                     struct error *e) {
    int rc = 0;
    size_t first = s->draft.word.glyph_count;
    for (size_t i = r->start; i < r->end && rc == 0;) {
        uint32_t c;
        bool valid;
        size_t step = utf8_decode(text + i, r->end - i, &c, &valid);
        if (!has_property(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT)) {
            note_missing(&s->draft, (uint32_t)i, c);
            rc = add_glyph(s, FONT_NONE, c, (uint32_t)i, 0, 0, box_advance(s), e);
        }
        i += step;
    }
    /* from right to left the first box is the rightmost */
    for (size_t a = first, b = s->draft.word.glyph_count; rtl && b > a + 1; a++) {
        b--;
        uint16_t swapped = s->draft.glyph_cluster[a];
        s->draft.glyph_cluster[a] = s->draft.glyph_cluster[b];
        s->draft.glyph_cluster[b] = swapped;
    }
    return rc;
}

/* The character that a font's "missing" glyph stands for: the first of the cluster that the font
 * lacks. */
static uint32_t lacking(const struct face *face, const char *text, size_t at, size_t size) {
    uint32_t first = 0;
    for (size_t i = at; i < size && i < at + WORD_BYTES;) {
        uint32_t c;
        bool valid;
        size_t step = utf8_decode(text + i, size - i, &c, &valid);
        hb_codepoint_t id;
        if (!hb_font_get_nominal_glyph(face->hb, c, &id) &&
            !has_property(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT)) {
            return c;
        }
        first = first ? first : c;
        i += step;
    }
    return first;
}

static int shape_stretch(struct shaper *s, const char *text, size_t size, const struct stretch *r,
                         bool rtl, struct error *e) {
    const struct face *face = r->font == FONT_NONE ? NULL : faces_get(s->faces, r->font, NULL);
    if (!face) { /* no font, or its file went bad after it was chosen */
        return add_boxes(s, text, r, rtl, e);
    }
    hb_buffer_clear_contents(s->buffer);
    hb_buffer_add_utf8(s->buffer, text, (int)size, r->start, (int)(r->end - r->start));
    hb_buffer_set_direction(s->buffer, rtl ? HB_DIRECTION_RTL : HB_DIRECTION_LTR);
    const char *script = uscript_getShortName(r->script);
    hb_buffer_set_script(s->buffer, hb_script_from_string(script ? script : "Zyyy", -1));
    hb_buffer_set_language(s->buffer, s->language);
    bool ligatures = wants_ligatures(r->script);
    enum { OFF = sizeof NO_LIGATURES / sizeof *NO_LIGATURES };
    hb_shape(face->hb, s->buffer, NO_LIGATURES, ligatures ? 0 : OFF);
    unsigned count;
    const hb_glyph_info_t *info = hb_buffer_get_glyph_infos(s->buffer, &count);
    const hb_glyph_position_t *at = hb_buffer_get_glyph_positions(s->buffer, NULL);
    if (!hb_buffer_allocation_successful(s->buffer)) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    int rc = 0;
    for (unsigned i = 0; i < count && rc == 0; i++) {
        if (info[i].codepoint == 0) {
            note_missing(&s->draft, info[i].cluster, lacking(face, text, info[i].cluster, r->end));
            rc = add_glyph(s, FONT_NONE, 0, info[i].cluster, 0, 0, box_advance(s), e);
        } else {
            rc = add_glyph(s, r->font, info[i].codepoint, info[i].cluster, at[i].x_offset,
                           at[i].y_offset, at[i].x_advance > 0 ? at[i].x_advance : 0, e);
        }
    }
    return rc;
}

/* ---- The finished word --------------------------------------------------- */

static int by_start(const void *a, const void *b) {
    const struct word_cluster *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

/* Glyphs next to each other with the same cluster make one; in logical order. */
static void find_clusters(struct draft *d, size_t size) {
    struct word *w = &d->word;
    size_t n = 0;
    int32_t x = 0;
    for (size_t i = 0; i < w->glyph_count; i++) {
        if (n == 0 || d->clusters[n - 1].start != d->glyph_cluster[i]) {
            d->clusters[n++] =
                (struct word_cluster){.start = d->glyph_cluster[i], .glyph = (uint16_t)i, .x = x};
        }
        d->clusters[n - 1].advance += d->glyph_advance[i];
        x += d->glyph_advance[i];
        if (n == WORD_BYTES) {
            break;
        }
    }
    qsort(d->clusters, n, sizeof *d->clusters, by_start);
    size_t kept =
        0; /* a font may draw the parts of a cluster far from each other: the first counts */
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || d->clusters[i].start != d->clusters[kept - 1].start) {
            d->clusters[kept++] = d->clusters[i];
        }
    }
    if (kept > 0) {
        d->clusters[0].start = 0; /* characters that left no glyph belong to their neighbour */
    }
    d->clusters[kept] =
        (struct word_cluster){.start = (uint16_t)size, .glyph = w->glyph_count, .x = w->advance};
    w->cluster_count = (uint16_t)kept;
}

static int find_pieces(struct shaper *s, const char *text, size_t size, struct error *e) {
    struct draft *d = &s->draft;
    struct word *w = &d->word;
    const uint32_t *at;
    size_t count;
    int rc = breaker_lines(s->breaker, text, size, &at, &count, e);
    if (rc < 0) {
        return rc;
    }
    size_t cluster = 0;
    for (size_t i = 0; i < count; i++) {
        while (cluster < w->cluster_count && d->clusters[cluster].start < at[i]) {
            cluster++;
        }
        /* a break inside a cluster, such as a ligature's, is none */
        if (cluster < w->cluster_count && d->clusters[cluster].start == at[i]) {
            d->pieces[w->piece_count++].cluster_end = (uint16_t)cluster;
        }
    }
    if (w->piece_count > 0) {
        d->pieces[w->piece_count++].cluster_end = w->cluster_count;
    }
    return 0;
}

/* A mark belongs to the character in front of it, unless that is a space without width: LB9, LB10.
 */
static void find_ends(struct word *w, const char *text, size_t size) {
    bool valid;
    utf8_decode(text, size, &w->first, &valid);
    w->last = w->first;
    w->first_class = (uint8_t)u_getIntPropertyValue((UChar32)w->first, UCHAR_LINE_BREAK);
    int last_class = U_LB_ZWSPACE;
    for (size_t i = 0; i < size;) {
        uint32_t c;
        i += utf8_decode(text + i, size - i, &c, &valid);
        int class = u_getIntPropertyValue((UChar32)c, UCHAR_LINE_BREAK);
        bool mark = class == U_LB_COMBINING_MARK || class == U_LB_ZWJ;
        if (!mark || last_class == U_LB_ZWSPACE) {
            w->last = c;
            last_class = class;
        }
    }
    w->last_class = (uint8_t)last_class;
}

static void find_fonts(struct draft *d) {
    struct word *w = &d->word;
    for (size_t i = 0; i < d->stretch_count; i++) {
        uint8_t k = 0;
        while (k < w->font_count && k < WORD_FONTS && w->fonts[k] != d->stretches[i].font) {
            k++;
        }
        if (d->stretches[i].font != FONT_NONE && k == w->font_count) {
            if (k < WORD_FONTS) {
                w->fonts[k] = (uint16_t)d->stretches[i].font;
            }
            w->font_count = (uint8_t)(k < WORD_FONTS ? k + 1 : WORD_FONTS + 1);
        }
    }
}

/* Copies `count` items behind *at; NULL for none. */
static void *put(char **at, const void *items, size_t count, size_t size) {
    if (count == 0) {
        return NULL;
    }
    char *copy = *at;
    memcpy(copy, items, count * size);
    *at += (count * size + 7) / 8 * 8;
    return copy;
}

/* A word lies in one block, with what is looked at first in front: itself, text, glyphs. */
static int keep_word(struct shaper *s, uint64_t hash, const char *text, size_t size,
                     const struct word **kept, struct error *e) {
    struct draft *d = &s->draft;
    struct word *w = &d->word;
    size_t clusters = w->cluster_count + (size_t)1;
    size_t total = sizeof *w + size + w->glyph_count * sizeof *d->glyphs +
                   clusters * sizeof *d->clusters + w->piece_count * sizeof *d->pieces +
                   w->missing_count * sizeof *d->missing + 5 * (size_t)8;
    struct word *word = arena_alloc(s->arena, total, 1);
    if (!word) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    char *at = (char *)(word + 1);
    put(&at, text, size, 1);
    w->glyphs = put(&at, d->glyphs, w->glyph_count, sizeof *d->glyphs);
    w->clusters = put(&at, d->clusters, clusters, sizeof *d->clusters);
    w->pieces = put(&at, d->pieces, w->piece_count, sizeof *d->pieces);
    w->missing = put(&at, d->missing, w->missing_count, sizeof *d->missing);
    *word = *w;
    size_t i = hash % s->slots;
    while (s->entries[i].word) {
        i = (i + 1) % s->slots;
    }
    s->entries[i] = (struct entry){.hash = hash, .word = word};
    s->arena_used += total;
    s->count++;
    *kept = word;
    return 0;
}

/* The end of a cluster in bytes of missing entries becomes its index. */
static void index_missing(struct draft *d) {
    struct word *w = &d->word;
    for (size_t i = 0; i < w->missing_count; i++) {
        uint16_t k = 0;
        while (k + 1 < w->cluster_count && d->clusters[k + 1].start <= d->missing[i].cluster) {
            k++;
        }
        d->missing[i].cluster = k;
    }
}

static int make_word(struct shaper *s, const char *text, size_t size, bool rtl, bool piece,
                     struct error *e) {
    struct draft *d = &s->draft;
    d->word = (struct word){.size = (uint16_t)size, .rtl = rtl};
    int rc = find_stretches(s, text, size, e);
    for (size_t i = 0; i < d->stretch_count && rc == 0; i++) {
        size_t k = rtl ? d->stretch_count - 1 - i : i;
        rc = shape_stretch(s, text, size, &d->stretches[k], rtl, e);
    }
    if (rc < 0) {
        return rc;
    }
    find_fonts(d);
    find_clusters(d, size);
    index_missing(d);
    find_ends(&d->word, text, size);
    return piece || rtl || size == 1 ? 0 : find_pieces(s, text, size, e);
}

struct word_key shaper_key(const struct shaper *s, const char *text, size_t size, bool rtl,
                           bool piece) {
    uint64_t kind = s->seed ^ (rtl ? UINT64_C(1) << 62 : 0) ^ (piece ? UINT64_C(1) << 61 : 0);
    uint64_t hash = XXH3_64bits_withSeed(text, size, kind);
    __builtin_prefetch(&s->entries[hash % s->slots]);
    return (struct word_key){.hash = hash, .size = (uint16_t)size, .rtl = rtl, .piece = piece};
}

void shaper_expect(const struct shaper *s, const struct word_key *key) {
    const struct entry *entry = &s->entries[key->hash % s->slots];
    if (entry->word) {
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
    if (!entries) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < s->slots; i++) {
        size_t k = s->entries[i].hash % slots;
        while (s->entries[i].word && entries[k].word) {
            k = (k + 1) % slots;
        }
        if (s->entries[i].word) {
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
    size_t i = key->hash % s->slots;
    for (; s->entries[i].word; i = (i + 1) % s->slots) {
        const struct entry *known = &s->entries[i];
        if (known->hash == key->hash && known->word->size == key->size &&
            memcmp(known->word + 1, text, key->size) == 0) {
            *word = known->word;
            return 0;
        }
    }
    int rc = make_word(s, text, key->size, key->rtl, key->piece, e);
    rc = rc == 0 ? keep_word(s, key->hash, text, key->size, word, e) : rc;
    return rc == 0 && s->count > s->slots / 2 ? grow(s, e) : rc;
}
