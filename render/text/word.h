/* word.h - chunks of text shaped into glyphs, and kept: the cache that makes typesetting fast.
 *
 * A word is a chunk of a paragraph (breaks.h) without the spaces around it, shaped by HarfBuzz with
 * the fonts that have its characters (the first that has a whole grapheme cluster). It is found
 * again by its bytes, direction and language. Shaping ends at its borders; browsers do the same. */
#ifndef OCC_RENDER_TEXT_WORD_H
#define OCC_RENDER_TEXT_WORD_H

#include "render/text/breaks.h"
#include "render/text/face.h"

enum { WORD_BYTES = 256, WORD_FONTS = 4 };

struct word_glyph {
    struct glyph_slot *slot;
    int32_t x, y; /* 26.6: of its origin, from that of the word; y upwards */
};

/* One or more grapheme clusters that the font draws as one. Logical order. */
struct word_cluster {
    uint16_t start;     /* bytes from the beginning of the word */
    uint16_t glyph;     /* first glyph in visual order; see word_glyphs */
    int32_t x, advance; /* 26.6 */
};

/* A part that stays on one line; a line may end after it. */
struct word_piece {
    uint16_t cluster_end;
};

struct word_missing {
    uint16_t cluster;
    uint32_t code_point;
};

/* The header of a block: text, glyphs, clusters, pieces and missing follow it, each at a multiple
 * of 8 bytes. Small, because many thousands are kept and each is looked at once in a while. */
struct word {
    int32_t advance;      /* 26.6 */
    uint32_t first, last; /* first character; last one that is not a mark */
    uint16_t size, glyph_count, cluster_count, missing_count;
    uint16_t piece_count; /* 0: one piece. Words from right to left have one. */
    uint16_t fonts[WORD_FONTS];
    uint8_t font_count;              /* WORD_FONTS + 1: more than that, see the glyphs */
    uint8_t first_class, last_class; /* of `first` and `last` in UAX #14 */
    bool rtl;
};

static inline size_t word_padded(size_t bytes) {
    return (bytes + 7) / 8 * 8;
}

static inline const char *word_text(const struct word *w) {
    return (const char *)w + word_padded(sizeof *w);
}

/* In visual order. */
static inline const struct word_glyph *word_glyphs(const struct word *w) {
    return (const void *)(word_text(w) + word_padded(w->size));
}

/* One more than cluster_count: start = size, x of the end. */
static inline const struct word_cluster *word_clusters(const struct word *w) {
    return (const void *)(word_glyphs(w) + w->glyph_count);
}

static inline const struct word_piece *word_pieces(const struct word *w) {
    size_t clusters = (w->cluster_count + (size_t)1) * sizeof(struct word_cluster);
    return (const void *)((const char *)word_clusters(w) + word_padded(clusters));
}

static inline const struct word_missing *word_missing(const struct word *w) {
    size_t pieces = w->piece_count * sizeof(struct word_piece);
    return (const void *)((const char *)word_pieces(w) + word_padded(pieces));
}

/* The bytes of the whole block. */
static inline size_t word_block(const struct word *w) {
    size_t missing = w->missing_count * sizeof(struct word_missing);
    return (size_t)((const char *)word_missing(w) - (const char *)w) + word_padded(missing);
}

struct shaper; /* opaque; one thread each */

/* `fonts` and `profile` must outlive it. */
int shaper_open(struct shaper **out, const struct fonts *fonts, const struct profile *profile,
                struct error *e);
void shaper_close(struct shaper *s); /* NULL is allowed */

void shaper_language(struct shaper *s, const char *language); /* BCP 47 or NULL */
struct faces *shaper_faces(const struct shaper *s);
struct breaker *shaper_breaker(const struct shaper *s);
int32_t shaper_space(const struct shaper *s); /* advance of a space, 26.6 */

/* Under what a text is found again: 0 < size <= WORD_BYTES. `piece`: no line may end inside it.
 * Words lie far apart in memory: whoever makes the keys of several texts first, then says that they
 * will be wanted, and then asks for the words, does not wait for each. */
struct word_key {
    uint64_t hash;
    uint16_t size;
    bool rtl, piece;
};
struct word_key shaper_key(const struct shaper *s, const char *text, size_t size, bool rtl,
                           bool piece);
void shaper_expect(const struct shaper *s, const struct word_key *key);

/* The shape of well-formed UTF-8; valid until shaper_forget. ERR_MEMORY. */
int shaper_word(struct shaper *s, const char *text, const struct word_key *key,
                const struct word **word, struct error *e);

/* The glyphs of clusters [first, end): [*from, *to) of the word. Those of a word from right to left
 * are in the order of the eye, its clusters in that of the text. */
void word_glyph_range(const struct word *w, size_t first, size_t end, size_t *from, size_t *to);

/* Clusters [first, end) of a word as a word of one cluster, drawn so small that it is no wider than
 * `width` (26.6); valid until shaper_forget. ERR_MEMORY. */
int shaper_small(struct shaper *s, const struct word *w, size_t first, size_t end, int32_t width,
                 const struct word **small, struct error *e);

/* Whether the words take more than a fixed amount of memory; forgets them all. */
bool shaper_is_full(const struct shaper *s);
void shaper_forget(struct shaper *s);

#endif
