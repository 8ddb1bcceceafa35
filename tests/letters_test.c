/* letters_test.c - letters that look different where there is room for them look different in the
 * rows of every profile. */
#include "tests/test.h"

#include <unicode/uchar.h>
#include <xxhash.h>

#include "store/bytes.h"
#include "store/utf8.h"
#include "tests/kept_pages.h"

static struct fonts *fonts, *fonts_of[PROFILE_COUNT];

/* Texts that are compared, each ended by a newline. */
static struct bytes texts;

static void add(const uint32_t *characters, size_t count) {
    char text[64];
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += characters[i] ? utf8_encode(characters[i], text + size) : 0;
    }
    text[size++] = '\n';
    CHECK(bytes_append(&texts, text, size, NULL) == 0);
}

/* Latin, Greek, Cyrillic with all their marks, and scripts whose syllables are characters. */
static void add_alphabets(void) {
    static const uint32_t RANGES[][2] = {
        {0x41, 0x5A},     {0x61, 0x7A},     {0xC0, 0x2AF},    {0x386, 0x3CE},   {0x400, 0x481},
        {0x48A, 0x587},   {0x10A0, 0x10FF}, {0x1200, 0x166C}, {0x1E00, 0x1FFF}, {0x2C60, 0x2C7F},
        {0x3041, 0x30FF}, {0xA640, 0xA69D}, {0xA722, 0xA7CA}};
    for (size_t i = 0; i < sizeof RANGES / sizeof *RANGES; i++) {
        for (uint32_t c = RANGES[i][0]; c <= RANGES[i][1]; c++) {
            if (u_isalpha((UChar32)c)) {
                add(&c, 1);
            }
        }
    }
}

/* Every letter with every vowel sign and every tone of a script; 0: none. */
struct script {
    const char *name;
    uint32_t letters[6], vowels[14], tones[6];
};
static const struct script SCRIPTS[] = {
    {"Thai",
     {0xE01, 0xE1B, 0xE1F, 0xE0D},
     {0, 0xE31, 0xE34, 0xE35, 0xE36, 0xE37, 0xE38, 0xE39},
     {0, 0xE48, 0xE49, 0xE4A, 0xE4B}},
    {"Lao",
     {0xE81, 0xE82, 0xE9B, 0xE9D},
     {0, 0xEB1, 0xEB4, 0xEB5, 0xEB6, 0xEB7, 0xEB8, 0xEB9},
     {0, 0xEC8, 0xEC9, 0xECA, 0xECB, 0xECD}},
    {"Khmer",
     {0x1780, 0x1781, 0x179F},
     {0, 0x17B7, 0x17B8, 0x17B9, 0x17BA, 0x17BB, 0x17BC, 0x17BD},
     {0, 0x17C6, 0x17C9, 0x17CA, 0x17CB, 0x17CD}},
    {"Burmese",
     {0x1000, 0x101E, 0x101B},
     {0, 0x102D, 0x102E, 0x102F, 0x1030, 0x1032, 0x103B, 0x103C},
     {0, 0x1036, 0x1037, 0x103A}},
    {"Devanagari",
     {0x915, 0x91F, 0x939},
     {0, 0x93F, 0x940, 0x941, 0x942, 0x943, 0x947, 0x948, 0x94B, 0x94C},
     {0, 0x901, 0x902, 0x903}},
    {"Bengali",
     {0x995, 0x99F, 0x9B9},
     {0, 0x9BF, 0x9C0, 0x9C1, 0x9C2, 0x9C3, 0x9C7, 0x9C8},
     {0, 0x981, 0x982}},
    {"Tamil", {0xB95, 0xB9F, 0xBB1}, {0, 0xBBF, 0xBC0, 0xBC1, 0xBC2, 0xBC6, 0xBC8}, {0, 0xBCD}},
    {"Telugu", {0xC15, 0xC1F, 0xC39}, {0, 0xC3F, 0xC40, 0xC41, 0xC42, 0xC46, 0xC48}, {0, 0xC02}},
    {"Arabic",
     {0x627, 0x628, 0x633, 0x644, 0x64A, 0x62D},
     {0, 0x64E, 0x64F, 0x650, 0x64B, 0x64C, 0x64D, 0x652},
     {0, 0x651, 0x670}},
    {"Hebrew",
     {0x5D0, 0x5DC, 0x5E9, 0x5E7},
     {0, 0x5B0, 0x5B1, 0x5B4, 0x5B5, 0x5B6, 0x5B7, 0x5B8, 0x5B9, 0x5BB},
     {0, 0x5BC, 0x5C1, 0x5C2}},
    {"Tibetan",
     {0xF40, 0xF66, 0xF62},
     {0, 0xF71, 0xF72, 0xF74, 0xF7A, 0xF7C, 0xF80},
     {0, 0xF90, 0xFB2, 0xF7E}},
    {"Hangul",
     {0x1100, 0x1101, 0x1112},
     {0x1161, 0x1162, 0x1169, 0x116A, 0x1175},
     {0, 0x11A8, 0x11A9, 0x11C2}},
};

static void add_syllables(const struct script *s) {
    for (size_t a = 0; a < 6 && s->letters[a]; a++) {
        for (size_t b = 0; b < 14 && (b == 0 || s->vowels[b]); b++) {
            for (size_t c = 0; c < 6 && (c == 0 || s->tones[c]); c++) {
                const uint32_t syllable[] = {s->letters[a], s->vowels[b], s->tones[c]};
                add(syllable, 3);
            }
        }
    }
}

/* What a text looks like in a profile, and uncut. */
struct look {
    const char *text;
    size_t size;
    uint64_t cut, whole;
};

/* The picture of each text, one per row. */
static size_t draw(const struct profile *profile, struct look *looks, size_t most, bool whole) {
    static struct kept kept;
    struct page_setup setup = {
        .mode = MODE_BASE, .profile = profile, .fonts = fonts, .context = &kept, .done = kept_add};
    struct pager *p = NULL;
    struct span span = {.text = bytes_text(&texts), .size = texts.size, .source = 1};
    CHECK(pager_open(&p, &setup, NULL) == 0);
    CHECK(pager_text(p, PART_SCRIPT, &span, 1, 0, NULL) == 0 && pager_flush(p, NULL) == 0);
    pager_close(p);
    size_t count = 0;
    for (size_t i = 0; i < kept.count; i++) {
        const struct kept_page *page = &kept.pages[i];
        for (size_t k = 0; k < page->box_count && count < most; k++) {
            enum { WIDTH = 96 };
            const struct page_box *box = &page->boxes[k];
            int most_left = (box->x < page->side / 2 ? page->side / 2 : page->side) - WIDTH;
            int left = box->x < most_left ? box->x : most_left;
            uint8_t picture[64 * WIDTH];
            for (int y = 0; y < box->height; y++) {
                memcpy(picture + y * WIDTH, page->grey + (size_t)(box->y + y) * page->side + left,
                       WIDTH);
            }
            uint64_t hash = XXH3_64bits(picture, (size_t)box->height * WIDTH);
            looks[count].text = span.text + box->start;
            looks[count].size = box->end - box->start;
            *(whole ? &looks[count].whole : &looks[count].cut) = hash;
            count++;
        }
    }
    kept_release(&kept);
    return count;
}

static int by_cut(const void *a, const void *b) {
    const struct look *x = a, *y = b;
    return x->cut != y->cut ? (x->cut > y->cut) - (x->cut < y->cut)
                            : (x->whole > y->whole) - (x->whole < y->whole);
}

/* How many texts look like another one that they do not look like in rows of 32 pixels. */
static int count_alike(int number) {
    enum { MOST = 8192 };
    static struct look looks[MOST];
    const struct profile *profile = &PROFILES[number];
    struct profile low = *profile, high;
    low.cells = false; /* letters are the same, and each is in a row of its own */
    high = low;
    high.pitch = 2 * PATCH;
    fonts = fonts_of[number];
    size_t count = draw(&low, looks, MOST, false);
    CHECK_NUMBER(draw(&high, looks, MOST, true), count);
    CHECK(count > 50 && count < MOST);
    qsort(looks, count, sizeof *looks, by_cut);
    int alike = 0;
    for (size_t i = 1; i < count; i++) {
        const struct look *a = &looks[i - 1], *b = &looks[i];
        if (a->cut == b->cut && a->whole != b->whole) {
            alike++;
            printf("# %s: '%.*s' looks like '%.*s'\n", profile_name(profile), (int)a->size, a->text,
                   (int)b->size, b->text);
        }
    }
    return alike;
}

/* render F2, render F12 */
static void letters_of_alphabets_look_different(void) {
    /* polytonic alpha with iota and either breathing, which at 8 pixels is one pixel for both */
    static const int ALIKE[PROFILE_COUNT] = {[PROFILE_CELL8] = 1};
    add_alphabets();
    for (int i = 0; i < PROFILE_COUNT; i++) {
        CHECK_NUMBER(count_alike(i), ALIKE[i]);
    }
    bytes_clear(&texts);
}

/* render F2 */
static void syllables_look_different(void) {
    for (size_t i = 0; i < sizeof SCRIPTS / sizeof *SCRIPTS; i++) {
        if (fonts_choose(fonts, SCRIPTS[i].letters, 1, false) == FONT_NONE) {
            printf("# skipped a part: no font for %s\n", SCRIPTS[i].name);
        } else {
            add_syllables(&SCRIPTS[i]);
        }
    }
    for (int i = 0; i < PROFILE_COUNT; i++) {
        CHECK_NUMBER(count_alike(i), 0);
    }
    bytes_clear(&texts);
}

int main(void) {
    struct error e = {0};
    for (int i = 0; i < PROFILE_COUNT; i++) {
        if (fonts_open(&fonts_of[i], PROFILES[i].family, &e) < 0) {
            printf("Bail out! %s\n", e.text);
            return 1;
        }
    }
    fonts = fonts_of[0];
    bytes_init(&texts, 1 << 20);
    RUN(letters_of_alphabets_look_different);
    RUN(syllables_look_different);
    bytes_close(&texts);
    for (int i = 0; i < PROFILE_COUNT; i++) {
        fonts_close(fonts_of[i]);
    }
    return test_finish();
}
