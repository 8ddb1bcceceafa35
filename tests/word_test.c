/* word_test.c - words have the shapes that HarfBuzz gives them, by whatever way they got them. */
#include "tests/test.h"

#include <unicode/uchar.h>

#include "render/text/ascii.h"
#include "render/text/word.h"
#include "store/utf8.h"

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

/* ---- Marks that the font of the letter lacks ----------------------------------- */

static const struct word *word_of_text(struct shaper *s, const char *text) {
    return word_of(s, text, strlen(text), false);
}

/* Of the glyph that draws a code point: its font, and its ink from the beginning of the word. */
struct found {
    const struct font *font;
    struct glyph_area ink;
    int count; /* of such glyphs */
};

static struct found find(struct shaper *s, const struct word *word, uint32_t c) {
    struct found found = {0};
    for (size_t i = 0; i < word->glyph_count; i++) {
        const struct word_glyph *g = &word_glyphs(word)[i];
        const struct face *face = faces_get(shaper_faces(s), g->slot->font, NULL);
        hb_codepoint_t id = 0;
        if (face && hb_font_get_nominal_glyph(face->hb, c, &id) && id == g->slot->id) {
            struct glyph_area area = faces_area(shaper_faces(s), g->slot);
            found.font = fonts_get(fonts, g->slot->font);
            found.ink = (struct glyph_area){g->x + area.left, g->x + area.right, g->y + area.bottom,
                                            g->y + area.top};
            found.count++;
        }
    }
    return found;
}

static bool has_font(uint32_t c) {
    return fonts_choose(fonts, &c, 1, false) != FONT_NONE;
}

/* render F1: all of a cluster is drawn that is in any font. */
static void marks_are_missing_only_if_no_font_has_them(void) {
    static const uint32_t BASES[][2] = {
        {'a'}, {0x2022}, {0x3C9}, {0x1F600}, {0x2764, 0xFE0F}, {0x3002}, {0x5927}, {'x', 0x301}};
    struct shaper *s = NULL;
    CHECK(shaper_open(&s, fonts, &PROFILES[PROFILE_READ10], NULL) == 0);
    int marks = 0;
    for (uint32_t c = 0x300; c < 0x1F000; c++) {
        if ((U_GET_GC_MASK((UChar32)c) & U_GC_M_MASK) == 0) {
            continue;
        }
        marks++;
        for (size_t i = 0; i < sizeof BASES / sizeof *BASES; i++) {
            char text[16];
            size_t size = utf8_encode(BASES[i][0], text);
            size += BASES[i][1] ? utf8_encode(BASES[i][1], text + size) : 0;
            size_t base = size;
            size += utf8_encode(c, text + size);
            int missing = word_of(s, text, base, false)->missing_count + !has_font(c);
            if (!CHECK_NUMBER(word_of(s, text, size, false)->missing_count, missing)) {
                printf("# U+%04X on U+%04X\n", c, BASES[i][0]);
            }
        }
    }
    CHECK(marks > 2000);
    shaper_close(s);
}

/* render F1 */
static void borrowed_marks_lie_over_their_letters(void) {
    enum { OVER, ABOVE, BELOW };
    static const struct {
        const char *text;
        uint32_t base, mark;
        int where;
    } CASES[] = {
        {"\u5927\u0336", 0x5927, 0x336, OVER},
        {"\u3046\u0336", 0x3046, 0x336, OVER},
        {"\uC7AC\u0336", 0xC7AC, 0x336, OVER},
        {"\u0E27\u0336", 0xE27, 0x336, OVER},
        {"\u0928\u0336", 0x928, 0x336, OVER},
        {"\U0001F602\u0336", 0x1F602, 0x336, OVER},
        {"\U0001F34E\u20E0", 0x1F34E, 0x20E0, OVER},
        {"\u5927\u20DD", 0x5927, 0x20DD, OVER},
        {"x\u20DE", 'x', 0x20DE, OVER},
        {"\u5927\u0332", 0x5927, 0x332, BELOW},
        {"x\u0E39", 'x', 0xE39, BELOW},
        {"\u2022\u0952", 0x2022, 0x952, BELOW},
        {"\u3063\u0300", 0x3063, 0x300, ABOVE},
        {"\u5927\u0301", 0x5927, 0x301, ABOVE},
        {"\U0001F600\u0302", 0x1F600, 0x302, ABOVE},
    };
    for (int profile = 0; profile < PROFILE_COUNT; profile++) {
        struct shaper *s = NULL;
        CHECK(shaper_open(&s, fonts, &PROFILES[profile], NULL) == 0);
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
            if (!has_font(CASES[i].base) || !has_font(CASES[i].mark)) {
                printf("# skipped a part: no font for %s\n", CASES[i].text);
                continue;
            }
            const struct word *word = word_of_text(s, CASES[i].text);
            struct found base = find(s, word, CASES[i].base);
            struct found mark = find(s, word, CASES[i].mark);
            bool right = base.count == 1 && mark.count >= 1 && word->missing_count == 0 &&
                         word->cluster_count == 1;
            right = right &&
                    mark.ink.left + mark.ink.right > 0 && /* its middle is within the base */
                    (mark.ink.left + mark.ink.right) / 2 < word->advance;
            int32_t middle = (mark.ink.bottom + mark.ink.top) / 2;
            right = right &&
                    (CASES[i].where == ABOVE   ? middle > base.ink.top - 32
                     : CASES[i].where == BELOW ? middle < base.ink.bottom + 32
                                               : middle > base.ink.bottom && middle < base.ink.top);
            if (!CHECK(right)) {
                printf("# %s, profile %d\n", CASES[i].text, profile);
            }
        }
        CHECK(find(s, word_of_text(s, "\U0001F600\u0302"), 0x1F600).font ==
              find(s, word_of_text(s, "\U0001F600"), 0x1F600).font); /* in colour */
        shaper_close(s);
    }
}

/* render F1: lines through letters meet, whatever their widths. */
static void lines_take_the_whole_advance(void) {
    struct shaper *s = NULL;
    CHECK(shaper_open(&s, fonts, &PROFILES[PROFILE_CLEAR], NULL) == 0);
    const struct word *word = word_of_text(s, "\u5927\u0336");
    if (word->missing_count == 0) {
        int32_t left = INT32_MAX, right = 0;
        for (size_t i = 1; i < word->glyph_count; i++) {
            struct glyph_area ink = faces_area(shaper_faces(s), word_glyphs(word)[i].slot);
            int32_t x = word_glyphs(word)[i].x;
            left = x + ink.left < left ? x + ink.left : left;
            right = x + ink.right > right ? x + ink.right : right;
        }
        CHECK(left <= 1 && right >= word->advance - 1);
    }
    shaper_close(s);
}

/* The longest words of lines over wide letters, and of missing characters, are words. */
static void floods_of_marks_are_words(void) {
    static const char *const PARTS[] = {"\uFDFD\u0336\u0336\u0336\u0336\u0336\u0336\u0336\u0336",
                                        "\u5927\u0332\u0336",
                                        "\u0378",
                                        "\u0378\u0336",
                                        "\U000F1A2B",
                                        "\u200D\u0336",
                                        "\U0001F600\u20DD\u0336"};
    for (int profile = 0; profile < PROFILE_COUNT; profile++) {
        struct shaper *s = NULL;
        CHECK(shaper_open(&s, fonts, &PROFILES[profile], NULL) == 0);
        for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++) {
            char text[WORD_BYTES];
            size_t size = 0;
            for (; size + strlen(PARTS[i]) <= sizeof text; size += strlen(PARTS[i])) {
                memcpy(text + size, PARTS[i], strlen(PARTS[i]));
            }
            CHECK(word_of(s, text, size, true) != NULL);
        }
        shaper_close(s);
    }
}

/* ---- What is not to be seen, and what is in no font ------------------------------ */

/* render F6 */
static void ignorable_characters_draw_nothing(void) {
    struct shaper *s = NULL;
    CHECK(shaper_open(&s, fonts, &PROFILES[PROFILE_DENSE], NULL) == 0);
    for (uint32_t c = 0x80; c < 0xE1000; c++) {
        if (!u_hasBinaryProperty((UChar32)c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT)) {
            continue;
        }
        char text[12] = "a";
        size_t size = utf8_encode(c, text + 1) + 1;
        text[size] = 'z';
        for (int alone = 0; alone < 2; alone++) {
            const struct word *word =
                alone ? word_of(s, text + 1, size - 1, false) : word_of(s, text, size + 1, false);
            uint64_t ink = 0;
            for (size_t i = 0; i < word->glyph_count; i++) {
                struct glyph_slot *slot = word_glyphs(word)[i].slot;
                CHECK(faces_draw(shaper_faces(s), slot, 0, NULL) == 0);
                bool letter = !alone && (word_glyphs(word)[i].x == 0 || i + 1 == word->glyph_count);
                ink += letter ? 0 : slot->phase[0]->ink;
            }
            if (!CHECK_NUMBER(word->missing_count, 0) || !CHECK_NUMBER(ink, 0)) {
                printf("# U+%04X\n", c);
            }
        }
        if (shaper_is_full(s)) {
            shaper_forget(s);
        }
    }
    shaper_close(s);
}

/* render F6: a filler in front of a vowel is part of a syllable of old Korean. */
static void fillers_of_syllables_stay(void) {
    struct shaper *s = NULL;
    CHECK(shaper_open(&s, fonts, &PROFILES[PROFILE_CLEAR], NULL) == 0);
    const struct word *word = word_of_text(s, "\u115F\u1161");
    CHECK(!has_font(0x1161) || (word->missing_count == 0 && word->advance > 0));
    shaper_close(s);
}

/* render F8: where rows are too low for boxes the code point is set in type. */
static void missing_characters_are_told_apart_in_low_rows(void) {
    struct shaper *s = NULL;
    CHECK(shaper_open(&s, fonts, &PROFILES[PROFILE_DENSE], NULL) == 0);
    const struct word *missing = word_of_text(s, "\U000F1A2B"), *typed = word_of_text(s, "[F1A2B]");
    CHECK_NUMBER(missing->missing_count, 1);
    CHECK_NUMBER(word_missing(missing)[0].code_point, 0xF1A2B);
    CHECK_NUMBER(missing->cluster_count, 1);
    CHECK_NUMBER(missing->font_count, 1);
    CHECK_NUMBER(missing->glyph_count, typed->glyph_count);
    for (size_t i = 0; i < typed->glyph_count && i < missing->glyph_count; i++) {
        CHECK(word_glyphs(missing)[i].slot == word_glyphs(typed)[i].slot);
    }
    shaper_close(s);
}

/* ---- Languages -------------------------------------------------------------------- */

/* render F10: punctuation that a line break may part from its letters has their shapes. */
static void punctuation_follows_the_language(void) {
    static const char *const SIGNS[] = {"\u3002", "\uFF0C", "\u3001", "\uFF1A",
                                        "\uFF1B", "\uFF01", "\uFF1F", "\u300C"};
    static const char *const LANGUAGES[] = {"zh-TW", "zh-HK", "zh-CN", "ja", "ko", NULL};
    struct shaper *s = NULL;
    uint32_t stop = 0x3002;
    int font = fonts_choose(fonts, &stop, 1, false);
    if (font == FONT_NONE || !fonts_get(fonts, font)->han) {
        printf("# skipped: no font of Chinese characters\n");
        return;
    }
    CHECK(shaper_open(&s, fonts, &PROFILES[PROFILE_READ10], NULL) == 0);
    uint32_t stops[2] = {0};
    for (size_t k = 0; LANGUAGES[k]; k++) {
        shaper_language(s, LANGUAGES[k]);
        for (size_t i = 0; i < sizeof SIGNS / sizeof *SIGNS; i++) {
            char text[16];
            int size = snprintf(text, sizeof text, "\u771F%s", SIGNS[i]);
            hb_buffer_t *buffer = hb_buffer_create();
            hb_buffer_add_utf8(buffer, text, size, 0, size);
            hb_buffer_set_direction(buffer, HB_DIRECTION_LTR);
            hb_buffer_set_script(buffer, HB_SCRIPT_HAN);
            hb_buffer_set_language(buffer, hb_language_from_string(LANGUAGES[k], -1));
            hb_shape(faces_get(shaper_faces(s), font, NULL)->hb, buffer, NULL, 0);
            uint32_t wanted = hb_buffer_get_glyph_infos(buffer, NULL)[1].codepoint;
            hb_buffer_destroy(buffer);
            uint32_t got = word_glyphs(word_of_text(s, SIGNS[i]))[0].slot->id;
            CHECK_NUMBER(got, wanted);
            stops[k == 0] = i == 0 && (k == 0 || k == 2) ? got : stops[k == 0];
        }
    }
    CHECK(stops[0] != stops[1]); /* in Taipei the full stop stands in the middle */
    shaper_close(s);
}

/* render F10: a danda after Devanagari is of the font of the letters. */
static void common_characters_take_the_font_in_front(void) {
    struct shaper *s = NULL;
    CHECK(shaper_open(&s, fonts, &PROFILES[PROFILE_READ10], NULL) == 0);
    if (has_font(0x939) && has_font(0x964)) {
        const struct word *word = word_of_text(s, "\u0939\u0964");
        CHECK(find(s, word, 0x964).font == find(s, word, 0x939).font);
    }
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
    RUN(marks_are_missing_only_if_no_font_has_them);
    RUN(borrowed_marks_lie_over_their_letters);
    RUN(lines_take_the_whole_advance);
    RUN(floods_of_marks_are_words);
    RUN(ignorable_characters_draw_nothing);
    RUN(fillers_of_syllables_stay);
    RUN(missing_characters_are_told_apart_in_low_rows);
    RUN(punctuation_follows_the_language);
    RUN(common_characters_take_the_font_in_front);
    fonts_close(fonts);
    return test_finish();
}
