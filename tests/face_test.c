/* face_test.c - glyphs against FreeType asked directly, and against Pillow's drawing of the same
 * letter 64 times as large, averaged; then sizes, rows and trimming. Broken
 * files: face_file_test.c. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "render/text/face.h"

#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_OUTLINE_H

#include "tests/face_draw.h"

static uint32_t glyph_of(struct faces *f, int font, uint32_t c) {
    const struct face *face = faces_get(f, font, NULL);
    hb_codepoint_t id = 0;
    CHECK(face && hb_font_get_nominal_glyph(face->hb, c, &id));
    return id;
}

static const struct glyph *draw_char(struct faces *f, uint32_t c, bool emoji, unsigned phase) {
    int font = fonts_choose(fonts, &c, 1, emoji);
    if (!CHECK(font != FONT_NONE) || !CHECK(faces_get(f, font, NULL) != NULL)) {
        abort();
    }
    return draw(f, font, glyph_of(f, font, c), phase);
}

/* Coverage at a column right of the pen and a row under the baseline (-1: the first one above). */
static int coverage(const struct glyph *g, int x, int y) {
    int column = x - g->left, row = y + g->top;
    if (column < 0 || column >= g->width || row < 0 || row >= g->height) {
        return 0;
    }
    size_t at = (size_t)row * g->stride + column;
    return g->color ? g->pixels[4 * at + 3] : g->pixels[at];
}

/* Rows padded with zeros, zeros below as far as GLYPH_ROWS, no empty border, ink as summed up. */
static bool is_well_formed(const struct glyph *g) {
    if (g->width == 0) {
        return g->height == 0 && g->ink == 0;
    }
    uint32_t ink = 0;
    bool padded = true;
    for (int row = 0; row < g->height || row < GLYPH_ROWS; row++) {
        const uint8_t *pixels = g->pixels + (size_t)row * g->stride;
        for (int column = 0; column < g->stride; column++) {
            bool inside = column < g->width && row < g->height;
            ink += pixels[column];
            padded = padded && (inside || pixels[column] == 0);
        }
    }
    int edges[4] = {0};
    for (int i = 0; i < g->height; i++) {
        edges[0] |= g->pixels[(size_t)i * g->stride];
        edges[1] |= g->pixels[(size_t)i * g->stride + g->width - 1];
    }
    for (int i = 0; i < g->width; i++) {
        edges[2] |= g->pixels[i];
        edges[3] |= g->pixels[(size_t)(g->height - 1) * g->stride + i];
    }
    return padded && ink == g->ink && g->stride % GLYPH_STRIDE == 0 && g->stride >= g->width &&
           edges[0] && edges[1] && edges[2] && edges[3];
}

/* ---- Against FreeType -------------------------------------------------------------- */

struct direct {
    FT_Library library;
    FT_Face face;
};

static struct direct direct_open(int font, int size) {
    struct direct d = {0};
    const struct font *info = fonts_get(fonts, font);
    if (FT_Init_FreeType(&d.library) || FT_New_Face(d.library, info->path, info->index, &d.face) ||
        FT_Set_Char_Size(d.face, size, 0, 0, 0)) {
        abort();
    }
    return d;
}

static void direct_close(struct direct *d) {
    FT_Done_Face(d->face);
    FT_Done_FreeType(d->library);
}

/* Whether a glyph is what FT_Render_Glyph makes of it, cut to the row. */
static bool is_direct(const struct faces *f, const struct profile *p, struct direct *d,
                      const struct glyph *g, uint32_t id, unsigned phase) {
    FT_Int32 flags = FT_LOAD_NO_BITMAP;
    flags |= p->hinting == HINTING_LIGHT  ? FT_LOAD_TARGET_LIGHT | FT_LOAD_FORCE_AUTOHINT
             : p->hinting == HINTING_NONE ? FT_LOAD_NO_HINTING
                                          : FT_LOAD_TARGET_NORMAL;
    if (FT_Load_Glyph(d->face, id, flags)) {
        return false;
    }
    FT_Outline_Translate(&d->face->glyph->outline, phase * 16, 0);
    if (FT_Render_Glyph(d->face->glyph, FT_RENDER_MODE_NORMAL)) {
        return false;
    }
    FT_GlyphSlot s = d->face->glyph;
    for (int y = -faces_baseline(f); y < p->pitch - faces_baseline(f); y++) {
        for (int x = -20; x < 60; x++) {
            int column = x - s->bitmap_left, row = y + s->bitmap_top;
            bool in = column >= 0 && column < (int)s->bitmap.width && row >= 0 &&
                      row < (int)s->bitmap.rows;
            int want = in ? s->bitmap.buffer[row * s->bitmap.pitch + column] : 0;
            if (coverage(g, x, y) != want) {
                printf("# glyph %u phase %u: %d at (%d, %d), FreeType has %d\n", id, phase,
                       coverage(g, x, y), x, y, want);
                return false;
            }
        }
    }
    return true;
}

static void check_direct(const struct profile *p, int font, uint32_t first, uint32_t last) {
    struct faces *f = open_faces(fonts, p);
    const struct face *face = faces_get(f, font, NULL);
    if (!CHECK(face != NULL)) {
        abort();
    }
    struct direct d = direct_open(font, face->size);
    for (uint32_t c = first; c <= last; c++) {
        uint32_t id = glyph_of(f, font, c);
        for (unsigned phase = 0; phase < GLYPH_PHASES; phase++) {
            const struct glyph *g = draw(f, font, id, phase);
            CHECK(is_direct(f, p, &d, g, id, phase));
            CHECK(is_well_formed(g) && is_in_row(f, p, g));
        }
    }
    direct_close(&d);
    faces_close(f);
}

static void glyphs_are_what_freetype_draws(void) {
    for (int i = 0; i < PROFILE_COUNT; i++) {
        struct profile plain = PROFILES[i];
        plain.hinting = plain.hinting == HINTING_NONE ? HINTING_LIGHT : HINTING_NONE;
        check_direct(&PROFILES[i], FONT_PRIMARY, 0x20, 0x7E);
        check_direct(&PROFILES[i], FONT_PRIMARY, 0xC0, 0x17F);
        check_direct(&plain, FONT_PRIMARY, 0x20, 0x7E);
    }
}

static void fallback_glyphs_are_what_freetype_draws(void) {
    static const uint32_t first[] = {0x4E00, 0xE01, 0x905};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        int font = fonts_choose(fonts, &first[i], 1, false);
        if (font == FONT_NONE) {
            printf("# skipped a part: no font has U+%04X\n", first[i]);
            continue;
        }
        check_direct(&PROFILES[PROFILE_READ10], font, first[i], first[i] + 0x20);
        check_direct(&PROFILES[PROFILE_CLEAR], font, first[i], first[i] + 0x20);
    }
}

/* ---- Against Pillow ----------------------------------------------------------------- */

/* Prints the mean of 64 x 64 pixels of a letter at 640 pixels an em: what the coverage of its
 * unhinted outline at 10 pixels is. Arguments: font, letter, shift in 1/64 pixels. */
static const char PILLOW[] =
    "import sys\n"
    "try:\n"
    "    from PIL import Image, ImageDraw, ImageFont\n"
    "except ImportError:\n"
    "    sys.exit(0)\n"
    "font = ImageFont.truetype(sys.argv[1], 640, layout_engine=ImageFont.Layout.BASIC)\n"
    "page = Image.new('L', (64 * 16, 64 * 16), 0)\n"
    "at = (64 * 2 + int(sys.argv[3]), 64 * 11)\n"
    "ImageDraw.Draw(page).text(at, sys.argv[2], font=font, fill=255, anchor='ls')\n"
    "small = page.resize((16, 16), Image.Resampling.BOX)\n"
    "print(*small.getdata())\n";

/* 1, or 0 where there is no Pillow. */
static int draw_by_pillow(char letter, int shift, int pixels[256]) {
    char command[2048];
    snprintf(command, sizeof command, "/usr/bin/python3 -c \"%s\" '%s' '%c' %d 2>/dev/null", PILLOW,
             fonts_get(fonts, FONT_PRIMARY)->path, letter, shift);
    FILE *out = popen(command, "r");
    int count = 0;
    while (out && count < 256 && fscanf(out, "%d", &pixels[count]) == 1) {
        count++;
    }
    if (out) {
        pclose(out);
    }
    return count == 256;
}

static void glyphs_are_what_pillow_draws(void) {
    struct profile p = PROFILES[PROFILE_READ10];
    p.hinting = HINTING_NONE;
    struct faces *f = open_faces(fonts, &p);
    for (const char *letter = "gR@j"; *letter; letter++) {
        for (unsigned phase = 0; phase < GLYPH_PHASES; phase += 3) {
            int pixels[256];
            if (!draw_by_pillow(*letter, (int)phase * 16, pixels)) {
                printf("# skipped: no Pillow\n");
                faces_close(f);
                return;
            }
            const struct glyph *g =
                draw(f, FONT_PRIMARY, glyph_of(f, FONT_PRIMARY, (uint32_t)*letter), phase);
            int most = 0;
            for (int i = 0; i < 256; i++) {
                int d = abs(pixels[i] - coverage(g, i % 16 - 2, i / 16 - 11));
                most = d > most ? d : most;
            }
            CHECK_NEAR(most, 0, 14); /* coordinates are rounded to 1/64 pixel, Pillow's hinted */
        }
    }
    faces_close(f);
}

/* ---- Phases, sizes, boxes ----------------------------------------------------------- */

static double centroid(const struct glyph *g) {
    double sum = 0;
    for (int y = 0; y < g->height; y++) {
        for (int x = 0; x < g->width; x++) {
            sum += (g->left + x + 0.5) * g->pixels[(size_t)y * g->stride + x];
        }
    }
    return sum / g->ink;
}

/* Of a single glyph only roughly: an edge that stays within a pixel moves no ink to another one. */
static void a_phase_is_a_quarter_pixel(void) {
    struct faces *f = open_faces(fonts, &PROFILES[PROFILE_READ10]);
    double moved[GLYPH_PHASES] = {0};
    int letters = 'z' - 'A' + 1;
    for (uint32_t c = 'A'; c <= 'z'; c++) {
        const struct glyph *first = draw_char(f, c, false, 0);
        for (unsigned phase = 1; phase < GLYPH_PHASES; phase++) {
            const struct glyph *g = draw_char(f, c, false, phase);
            CHECK_NEAR(centroid(g) - centroid(first), phase * 0.25, 0.1);
            CHECK_NEAR((double)g->ink / first->ink, 1, 0.005);
            moved[phase] += centroid(g) - centroid(first);
        }
    }
    for (unsigned phase = 1; phase < GLYPH_PHASES; phase++) {
        CHECK_NEAR(moved[phase] / letters, phase * 0.25, 0.02);
    }
    faces_close(f);
}

static void spaces_are_empty(void) {
    struct faces *f = open_faces(fonts, &PROFILES[PROFILE_READ10]);
    const struct glyph *g = draw_char(f, ' ', false, 2);
    CHECK_NUMBER(g->width, 0);
    CHECK_NUMBER(g->height, 0);
    CHECK_NUMBER(g->ink, 0);
    faces_close(f);
}

static void positions_are_pixels_at_the_size(void) {
    struct faces *f = open_faces(fonts, &PROFILES[PROFILE_READ10]);
    const struct face *face = faces_get(f, FONT_PRIMARY, NULL);
    CHECK_NUMBER(face->size, 640);
    CHECK(face->hash != 0);
    /* Of 2048 units DejaVu's space has 651 and its M 1767. */
    CHECK_NUMBER(hb_font_get_glyph_h_advance(face->hb, glyph_of(f, 0, ' ')), 203);
    CHECK_NUMBER(hb_font_get_glyph_h_advance(face->hb, glyph_of(f, 0, 'M')), 552);
    faces_close(f);
}

static void baselines_fit_the_profiles(void) {
    static const int want[PROFILE_COUNT] = {[PROFILE_READ10] = 11,
                                            [PROFILE_CLEAR] = 12,
                                            [PROFILE_DENSE] = 6,
                                            [PROFILE_CELL10] = 11,
                                            [PROFILE_CELL8] = 6};
    for (int i = 0; i < PROFILE_COUNT; i++) {
        struct faces *f = open_faces(fonts, &PROFILES[i]);
        CHECK_NUMBER(faces_baseline(f), want[i]);
        /* The letters that every page has are whole: cap height and tail. */
        const struct glyph *h = draw_char(f, 'H', false, 0), *p = draw_char(f, 'p', false, 0);
        CHECK_NUMBER(h->height, h->top);
        CHECK_NEAR(h->top, PROFILES[i].size * 0.729 / 64, 0.8); /* hinted: a whole row */
        CHECK_NEAR(p->height - p->top, PROFILES[i].size * 0.208 / 64, 1);
        faces_close(f);
    }
}

static void fallback_fonts_fit_the_row(void) {
    for (int i = 0; i < PROFILE_COUNT; i++) {
        const struct profile *p = &PROFILES[i];
        struct faces *f = open_faces(fonts, p);
        int above = faces_baseline(f) * 64, below = p->pitch * 64 - above;
        for (int k = 1; k < fonts_count(fonts); k++) {
            const struct face *face = faces_get(f, k, NULL);
            if (!CHECK(face != NULL) || !CHECK(face == faces_opened(f, k))) {
                continue;
            }
            CHECK(face->size <= p->size && face->size >= p->size * 3 / 4);
            hb_font_extents_t line;
            CHECK(hb_font_get_h_extents(face->hb, &line));
            int ascent = fonts_get(fonts, k)->han ? face->size * 88 / 100 : line.ascender;
            int descent = fonts_get(fonts, k)->han ? face->size * 12 / 100 : -line.descender;
            bool fits = ascent <= above + 1 && descent <= below + 1;
            CHECK(fits || face->size == p->size * 3 / 4);
            /* And no smaller than it must be. */
            CHECK(face->size == p->size || face->size == p->size * 3 / 4 || ascent >= above - 2 ||
                  descent >= below - 2);
        }
        faces_close(f);
    }
}

static void no_glyph_leaves_its_row(void) {
    for (int i = 0; i < PROFILE_COUNT; i++) {
        struct faces *f = open_faces(fonts, &PROFILES[i]);
        int reach = 8 * PROFILES[i].size / 64;
        for (int k = 0; k < fonts_count(fonts); k++) {
            CHECK(faces_get(f, k, NULL) != NULL);
            for (uint32_t id = 0; id < 4000; id += k == 0 ? 1 : 97) {
                const struct glyph *g = draw(f, k, id, id % GLYPH_PHASES);
                CHECK(is_in_row(f, &PROFILES[i], g));
                CHECK(g->width <= reach && g->left >= -reach && g->left <= reach);
                CHECK(g->color || is_well_formed(g));
            }
        }
        faces_close(f);
    }
}

static void glyph_numbers_out_of_range_are_the_first_glyph(void) {
    struct faces *f = open_faces(fonts, &PROFILES[PROFILE_READ10]);
    struct glyph_slot *slot = faces_slot(f, FONT_PRIMARY, UINT32_MAX, FIT_ROW, NULL);
    CHECK(slot == faces_slot(f, FONT_PRIMARY, 0, FIT_ROW, NULL));
    CHECK(faces_slot(f, FONT_PRIMARY, 65535, FIT_ROW, NULL) == slot);
    CHECK_NUMBER(faces_slot(f, FONT_PRIMARY, 300, FIT_ROW, NULL)->id, 300);
    CHECK_NUMBER(faces_slot(f, FONT_PRIMARY, 300, FIT_ROW, NULL)->font, FONT_PRIMARY);
    faces_close(f);
}

/* render F8: what is in no font can be told apart, and read. */
static void missing_characters_are_boxes_with_their_code_points(void) {
    enum { WIDTH = 15, HEIGHT = 15 };
    static const char *const wanted[HEIGHT] = {
        "###############", "#.............#", "#..#...#..###.#", "#.#.#.##..#...#",
        "#.#.#..#..##..#", "#.#.#..#..#...#", "#..#..###.#...#", "#.............#",
        "#..#..###.###.#", "#.#.#.#...#.#.#", "#.###.##..###.#", "#.#.#.#.....#.#",
        "#.#.#.###.##..#", "#.............#", "###############"};
    struct faces *f = open_faces(fonts, &PROFILES[PROFILE_READ10]);
    const struct glyph *g = draw(f, FONT_NONE, 0x1FAE9, 1);
    CHECK(g == draw(f, FONT_NONE, 0x1FAE9, 3));
    CHECK(is_well_formed(g) && is_in_row(f, &PROFILES[PROFILE_READ10], g));
    CHECK(g->left == 1 && g->top == faces_baseline(f) && g->width == WIDTH && g->height == HEIGHT);
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++) {
            CHECK_NUMBER(g->pixels[(size_t)y * g->stride + x], wanted[y][x] == '#' ? 255 : 0);
        }
    }
    CHECK_NUMBER(faces_box_advance(f, 0x1FAE9), (WIDTH + 2) * 64);
    CHECK_NUMBER(faces_box_advance(f, 0x4E00), (WIDTH - 4 + 2) * 64);
    const struct glyph *all[256];
    for (uint32_t i = 0; i < 256; i++) { /* each digit in each place of the last line */
        all[i] = draw(f, FONT_NONE, 0xE000 + i, 0);
        for (uint32_t k = 0; k < i; k++) {
            CHECK(memcmp(all[i]->pixels, all[k]->pixels, HEIGHT * (size_t)g->stride) != 0);
        }
    }
    faces_close(f);
    f = open_faces(fonts, &PROFILES[PROFILE_DENSE]); /* set in type, see word_test.c */
    CHECK_NUMBER(faces_box_advance(f, 0x1FAE9), 0);
    faces_close(f);
}

/* ---- Colour -------------------------------------------------------------------------- */

static void emoji_are_pictures_in_colour(void) {
    if (fonts_count(fonts) < 2 || !fonts_get(fonts, 1)->color) {
        printf("# skipped: no colour emoji font is installed\n");
        return;
    }
    for (int i = 0; i < PROFILE_COUNT; i++) {
        const struct profile *p = &PROFILES[i];
        struct faces *f = open_faces(fonts, p);
        const struct glyph *g = draw_char(f, 0x1F534, true, 0); /* a red disc */
        CHECK(g == draw_char(f, 0x1F534, true, 3));
        CHECK(g->color && is_in_row(f, p, g));
        int size = faces_get(f, 1, NULL)->size;
        CHECK_NEAR(g->width, size * 1.25 / 64, 1.6);
        CHECK_NEAR(g->height, size * 1.17 / 64, 1.6);
        const uint8_t *middle =
            g->pixels + 4 * ((size_t)(g->height / 2) * g->stride + g->width / 2);
        CHECK(middle[0] > 180 && middle[1] < 90 && middle[2] < 90 && middle[3] == 255);
        CHECK_NUMBER(coverage(g, g->left, -g->top) < 128, 1); /* a corner */
        CHECK(g->ink > 0);
        faces_close(f);
    }
}

/* Twice as small means: every pixel is the mean of four, alpha-weighted. Seen from outside: the sum
 * of alpha over the glyph goes with the square of the size. */
static void emoji_keep_their_alpha_when_scaled(void) {
    if (fonts_count(fonts) < 2 || !fonts_get(fonts, 1)->color) {
        printf("# skipped: no colour emoji font is installed\n");
        return;
    }
    double share[2];
    for (int i = 0; i < 2; i++) {
        struct profile p = PROFILES[PROFILE_READ10];
        p.pitch = 64;
        p.size = i ? 20 * 64 : 40 * 64;
        struct faces *f = open_faces(fonts, &p);
        const struct glyph *g = draw_char(f, 0x1F600, true, 0);
        double sum = 0;
        for (int y = -g->top; y < g->height - g->top; y++) {
            for (int x = g->left; x < g->left + g->width; x++) {
                sum += coverage(g, x, y);
            }
        }
        share[i] = sum / ((double)p.size * p.size);
        faces_close(f);
    }
    CHECK_NEAR(share[0] / share[1], 1, 0.01);
}

/* ---- Determinism, memory, broken files -------------------------------------------------- */

static bool same(const struct glyph *a, const struct glyph *b) {
    size_t bytes = (size_t)a->height * a->stride * (a->color ? 4 : 1);
    return a->left == b->left && a->top == b->top && a->width == b->width &&
           a->height == b->height && a->stride == b->stride && a->ink == b->ink &&
           a->color == b->color && (bytes == 0 || memcmp(a->pixels, b->pixels, bytes) == 0);
}

static void the_order_of_drawing_does_not_matter(void) {
    struct faces *a = open_faces(fonts, &PROFILES[PROFILE_READ10]);
    struct faces *b = open_faces(fonts, &PROFILES[PROFILE_READ10]);
    for (int i = 3000; i >= 0; i--) {
        draw(b, FONT_PRIMARY, (uint32_t)i, (unsigned)i % GLYPH_PHASES);
    }
    for (int i = 0; i <= 3000; i++) {
        unsigned phase = (unsigned)i % GLYPH_PHASES;
        CHECK(same(draw(a, FONT_PRIMARY, (uint32_t)i, phase),
                   draw(b, FONT_PRIMARY, (uint32_t)i, phase)));
    }
    CHECK_NUMBER(faces_get(a, 0, NULL)->hash, faces_get(b, 0, NULL)->hash);
    faces_close(a);
    faces_close(b);
}

static void trimming_gives_up_bitmaps_but_no_slots(void) {
    struct faces *f = open_faces(fonts, &PROFILES[PROFILE_READ10]);
    struct faces *untouched = open_faces(fonts, &PROFILES[PROFILE_READ10]);
    uint32_t a = glyph_of(f, 0, 'a'), space = glyph_of(f, 0, ' ');
    struct glyph_slot *slot = faces_slot(f, 0, a, FIT_ROW, NULL);
    const struct glyph *before = draw(f, 0, a, 1);
    draw(f, FONT_NONE, 0xE000, 0);
    draw(f, 0, space, 0);
    faces_trim(f, 1 << 20);
    CHECK(slot->phase[1] == before);
    for (int round = 0; round < 3; round++) {
        faces_trim(f, 0);
        CHECK(slot == faces_slot(f, 0, a, FIT_ROW, NULL) && slot->id == a);
        CHECK(!slot->phase[1]);
        CHECK(!faces_slot(f, FONT_NONE, 0xE000, FIT_ROW, NULL)->phase[0]);
        CHECK(same(draw(f, 0, a, 1), draw(untouched, 0, a, 1)));
        CHECK(same(draw(f, FONT_NONE, 0xE000, 2), draw(untouched, FONT_NONE, 0xE000, 2)));
        CHECK_NUMBER(draw(f, 0, space, 3)->width, 0);
    }
    faces_close(f);
    faces_close(untouched);
}

static void a_font_is_opened_when_first_used(void) {
    struct faces *f = open_faces(fonts, &PROFILES[PROFILE_READ10]);
    CHECK(faces_opened(f, FONT_PRIMARY) != NULL);
    for (int i = 1; i < fonts_count(fonts); i++) {
        CHECK(faces_opened(f, i) == NULL);
    }
    faces_close(f);
    faces_close(NULL);
}

int main(void) {
    struct error e;
    if (fonts_open(&fonts, "DejaVu Sans", &e) < 0) {
        printf("Bail out! %s\n", e.text);
        return EXIT_FAILURE;
    }
    RUN(glyphs_are_what_freetype_draws);
    RUN(fallback_glyphs_are_what_freetype_draws);
    RUN(glyphs_are_what_pillow_draws);
    RUN(a_phase_is_a_quarter_pixel);
    RUN(spaces_are_empty);
    RUN(positions_are_pixels_at_the_size);
    RUN(baselines_fit_the_profiles);
    RUN(fallback_fonts_fit_the_row);
    RUN(no_glyph_leaves_its_row);
    RUN(glyph_numbers_out_of_range_are_the_first_glyph);
    RUN(missing_characters_are_boxes_with_their_code_points);
    RUN(emoji_are_pictures_in_colour);
    RUN(emoji_keep_their_alpha_when_scaled);
    RUN(the_order_of_drawing_does_not_matter);
    RUN(trimming_gives_up_bitmaps_but_no_slots);
    RUN(a_font_is_opened_when_first_used);
    fonts_close(fonts);
    return test_finish();
}
