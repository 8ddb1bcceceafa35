/* word_test.c - words have the shapes that HarfBuzz gives them, by whatever way they got them. */
#include "tests/test.h"

#include "render/ascii.h"
#include "render/word.h"

static struct fonts *fonts;

static uint32_t random_below(uint32_t limit) {
    static uint32_t state = 5;
    state = state * 1664525 + 1013904223;
    return (state >> 8) % limit;
}

static size_t random_ascii(char *text, size_t most) {
    size_t size = 1 + random_below((uint32_t)most);
    for (size_t i = 0; i < size; i++) {
        bool letter = random_below(4) != 0;
        text[i] = letter ? "aeionrstlTVAWyf"[random_below(15)] : (char)('!' + random_below(94));
    }
    return size;
}

static const struct word *word_of(struct shaper *s, const char *text, size_t size, bool piece) {
    const struct word *word = NULL;
    struct word_key key = shaper_key(s, text, size, false, piece);
    CHECK(shaper_word(s, text, &key, &word, NULL) == 0);
    return word;
}

/* What HarfBuzz says without ligatures. */
static hb_buffer_t *shape(hb_font_t *font, const char *text, size_t size) {
    static const hb_feature_t off[] = {
        {.tag = HB_TAG('l', 'i', 'g', 'a'), .end = HB_FEATURE_GLOBAL_END},
        {.tag = HB_TAG('c', 'l', 'i', 'g'), .end = HB_FEATURE_GLOBAL_END}};
    hb_buffer_t *buffer = hb_buffer_create();
    hb_buffer_add_utf8(buffer, text, (int)size, 0, (int)size);
    hb_buffer_set_direction(buffer, HB_DIRECTION_LTR);
    hb_buffer_set_script(buffer, HB_SCRIPT_LATIN);
    hb_shape(font, buffer, off, 2);
    return buffer;
}

static void ascii_is_shaped_as_by_harfbuzz(void) {
    struct shaper *s = NULL;
    CHECK(shaper_open(&s, fonts, &PROFILES[PROFILE_READ10], NULL) == 0);
    const struct face *face = faces_get(shaper_faces(s), FONT_PRIMARY, NULL);
    for (int round = 0; round < 3000; round++) {
        char text[24];
        size_t size = random_ascii(text, sizeof text);
        const struct word *word = word_of(s, text, size, true);
        hb_buffer_t *buffer = shape(face->hb, text, size);
        unsigned count;
        const hb_glyph_info_t *info = hb_buffer_get_glyph_infos(buffer, &count);
        const hb_glyph_position_t *at = hb_buffer_get_glyph_positions(buffer, NULL);
        bool same = CHECK_NUMBER(word->glyph_count, count);
        int32_t x = 0;
        for (unsigned i = 0; i < count && same; i++) {
            same = CHECK_NUMBER(word_glyphs(word)[i].slot->id, info[i].codepoint) &&
                   CHECK_NUMBER(word_glyphs(word)[i].x, x + at[i].x_offset) &&
                   CHECK_NUMBER(word_clusters(word)[i].start, info[i].cluster) &&
                   CHECK_NUMBER(word_clusters(word)[i].x, x) &&
                   CHECK_NUMBER(word_clusters(word)[i].advance, at[i].x_advance);
            x += at[i].x_advance;
        }
        CHECK_NUMBER(word->advance, x);
        hb_buffer_destroy(buffer);
        if (!same) {
            printf("# %.*s\n", (int)size, text);
            break;
        }
    }
    shaper_close(s);
}

/* Kerning is there at all: "AV" is narrower than "A" and "V". */
static void pairs_are_kerned(void) {
    struct shaper *s = NULL;
    CHECK(shaper_open(&s, fonts, &PROFILES[PROFILE_CLEAR], NULL) == 0);
    int32_t alone = word_of(s, "A", 1, true)->advance + word_of(s, "V", 1, true)->advance;
    CHECK(word_of(s, "AV", 2, true)->advance < alone);
    shaper_close(s);
}

static void solid_words_have_no_place_to_break(void) {
    struct breaker *b = NULL;
    CHECK(breaker_open(&b, NULL) == 0);
    int solid = 0;
    for (int round = 0; round < 100000; round++) {
        char text[8];
        size_t size = 1 + random_below(7);
        for (size_t i = 0; i < size; i++) {
            text[i] = "aZ0'\"_([.,:;!?)]-/x%"[random_below(20)];
        }
        const uint32_t *at;
        size_t count;
        CHECK(breaker_lines(b, text, size, &at, &count, NULL) == 0);
        if (ascii_is_solid(text, size)) {
            solid++;
            if (!CHECK_NUMBER(count, 0)) {
                printf("# %.*s\n", (int)size, text);
                break;
            }
        }
    }
    CHECK(solid > 1000);
    CHECK(ascii_is_solid("(don't!)", 8) && !ascii_is_solid("a-b", 3));
    breaker_close(b);
}

/* The cache gives the same word again, and a different one for another direction or language. */
static void words_are_found_again(void) {
    struct shaper *s = NULL;
    CHECK(shaper_open(&s, fonts, &PROFILES[PROFILE_READ10], NULL) == 0);
    const struct word *first = word_of(s, "banana", 6, false);
    CHECK(word_of(s, "banana", 6, false) == first);
    CHECK(word_of(s, "banana", 6, true) != first);
    CHECK(word_of(s, "bananas", 7, false) != first);
    for (int i = 0; i < 20000; i++) { /* the table grows on the way */
        char text[12];
        int size = snprintf(text, sizeof text, "%d", i);
        word_of(s, text, (size_t)size, false);
    }
    CHECK(word_of(s, "banana", 6, false) == first);
    shaper_language(s, "tr");
    CHECK(word_of(s, "banana", 6, false) != first);
    shaper_language(s, NULL);
    CHECK(word_of(s, "banana", 6, false) == first);
    shaper_close(s);
}

int main(void) {
    struct error e = {0};
    if (fonts_open(&fonts, "DejaVu Sans", &e) < 0) {
        printf("Bail out! %s\n", e.text);
        return 1;
    }
    RUN(ascii_is_shaped_as_by_harfbuzz);
    RUN(pairs_are_kerned);
    RUN(solid_words_have_no_place_to_break);
    RUN(words_are_found_again);
    fonts_close(fonts);
    return test_finish();
}
