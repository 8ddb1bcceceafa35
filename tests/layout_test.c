/* layout_test.c - lines of text against the conformance tests of UAX #14 and UAX #9.
 *
 * ICU itself differs from them in a few lines (72: bidi brackets across embeddings, a hyphen at the
 * beginning). These are left out, counted, and their share is limited. */
#include "tests/test.h"

#include <unicode/ubidi.h>
#include <unicode/ubrk.h>

#include "render/text/line.h"
#include "store/utf8.h"

enum { CHARACTERS = 128, WIDE = 1 << 28 };

static struct {
    struct fonts *fonts;
    struct shaper *shaper;
    struct line_breaker *line_breaker;
} setter;

/* A line of a test file. */
struct example {
    uint32_t characters[CHARACTERS];
    size_t count;
    char text[4 * CHARACTERS];
    size_t at[CHARACTERS + 1]; /* byte of each character */
};

static void add_character(struct example *x, uint32_t code_point) {
    x->characters[x->count++] = code_point;
    x->at[x->count] = x->at[x->count - 1] + utf8_encode(code_point, x->text + x->at[x->count - 1]);
}

/* The paragraph of an example; false when cleaning does not keep it as it is (controls, newlines,
 * long runs of marks): then the example says nothing about us. */
static bool clean_example(struct clean *c, const struct example *x) {
    struct span span = {.text = x->text, .size = x->at[x->count], .source = 1};
    size_t used;
    bool line_end;
    clean_clear(c);
    CHECK(clean_append(c, &span, &used, &line_end, NULL) == 0);
    return !line_end && c->text.size == span.size && memcmp(c->text.data, x->text, span.size) == 0;
}

static FILE *open_golden(const char *name, const char *system_path) {
    FILE *file = fopen(system_path, "r"); /* the whole file, where Debian's unicode-data is */
    char path[512];
    snprintf(path, sizeof path, "%s/golden/unicode/%s", TEST_FOLDER, name);
    return file ? file : fopen(path, "r");
}

/* ---- UAX #14 -------------------------------------------------------------- */

struct places {
    bool may_end[4 * CHARACTERS + 1]; /* by byte */
};

static int note_places(void *context, const struct line *line, struct error *e) {
    (void)e;
    struct places *p = context;
    for (size_t i = 0; i < line->count; i++) {
        const struct line_item *item = &line->items[i];
        p->may_end[item->start] = p->may_end[item->start] || (i > 0 && item->may_break);
        for (size_t k = 0; item->word && k + 1 < item->word->piece_count; k++) {
            size_t cluster = word_pieces(item->word)[k].cluster_end;
            p->may_end[item->start + word_clusters(item->word)[cluster].start] = true;
        }
    }
    return 0;
}

/* "÷ 0023 × 0308 ÷ 0020 ÷": whether a line may end in front of each character. */
static bool read_breaks(const char *line, struct example *x, bool *may_end) {
    *x = (struct example){0};
    for (const char *at = line; *at && *at != '#' && *at != '\n';) {
        if (memcmp(at, "\xC3\xB7", 2) == 0 || memcmp(at, "\xC3\x97", 2) == 0) { /* ÷ × */
            may_end[x->count] = at[1] == '\xB7';
            at += 2;
        } else if (*at == ' ' || *at == '\t') {
            at++;
        } else {
            char *end;
            if (x->count == CHARACTERS - 1) {
                return false;
            }
            add_character(x, (uint32_t)strtoul(at, &end, 16));
            at = end;
        }
    }
    return x->count > 0;
}

/* Where a line may end, or a grapheme cluster begins, if one asks ICU for the whole text. */
static void ask_icu(const struct example *x, UBreakIteratorType type, bool *found) {
    UChar text[2 * CHARACTERS];
    int32_t at[2 * CHARACTERS + 1], size = 0;
    for (size_t i = 0; i < x->count; i++) {
        at[size] = (int32_t)i;
        if (x->characters[i] > 0xFFFF) {
            text[size++] = U16_LEAD(x->characters[i]);
            at[size] = (int32_t)i;
            text[size++] = U16_TRAIL(x->characters[i]);
        } else {
            text[size++] = (UChar)x->characters[i];
        }
    }
    UErrorCode status = U_ZERO_ERROR;
    UBreakIterator *iterator = ubrk_open(type, "", text, size, &status);
    CHECK(U_SUCCESS(status));
    memset(found, 0, x->count * sizeof *found);
    for (int32_t next = ubrk_next(iterator); next != UBRK_DONE && next < size;
         next = ubrk_next(iterator)) {
        found[at[next]] = true;
    }
    ubrk_close(iterator);
}

/* Places where we differ on purpose: within hashtags; before and after spaces at the ends,
 * which no line holds. */
static bool is_ours(const struct example *x, size_t i) {
    size_t last = x->count;
    while (last > 0 && x->characters[last - 1] == ' ') {
        last--;
    }
    size_t first = 0;
    while (first < x->count && x->characters[first] == ' ') {
        first++;
    }
    if (i <= first || i >= last) {
        return true;
    }
    if (x->characters[i - 1] == 0x200B &&
        (x->characters[i] == 0x0308 || x->characters[i] == 0x200D)) {
        return true; /* HarfBuzz puts the mark on the space of no width */
    }
    if (strstr(x->text, "http://")) {
        return true; /* URLs break as we want */
    }
    for (size_t k = 0; k < i; k++) {
        if ((x->characters[k] == '#' || x->characters[k] == 0xFF03) &&
            tag_size(x->text + x->at[k], x->at[x->count] - x->at[k]) > x->at[i] - x->at[k]) {
            return true;
        }
    }
    return false;
}

struct tally {
    int examples, icu_differs, failed;
};

static bool check_breaks(const char *line, struct clean *c, struct tally *tally) {
    struct example x;
    bool wanted[CHARACTERS + 1] = {false};
    if (!read_breaks(line, &x, wanted) || !clean_example(c, &x)) {
        return true;
    }
    struct places places = {0};
    bool ok =
        CHECK(line_breaker_run(setter.line_breaker, c, WIDE, note_places, &places, NULL) == 0);
    bool icu[CHARACTERS], clusters[CHARACTERS], differs = false;
    ask_icu(&x, UBRK_LINE, icu);
    ask_icu(&x, UBRK_CHARACTER, clusters);
    for (size_t i = 1; i < x.count; i++) {
        differs = differs || icu[i] != wanted[i];
        bool space = x.characters[i - 1] == ' ';
        bool apart = clusters[i] || space; /* within a cluster it is as the font has it */
        if (apart && places.may_end[x.at[i]] != icu[i] && !is_ours(&x, i)) {
            printf("# %s# character %zu: line may %send in front of it\n", line, i,
                   wanted[i] ? "" : "not ");
            ok = false;
        }
    }
    tally->icu_differs += differs;
    tally->examples++;
    return ok;
}

static void check_tally(const struct tally *t) {
    printf("# %d examples, ICU differs in %d\n", t->examples, t->icu_differs);
    CHECK(t->failed == 0);
    CHECK(t->examples > 300);
    CHECK(t->icu_differs * 20 < t->examples);
}

static void lines_end_where_uax14_says(void) {
    FILE *file = open_golden("LineBreakTest.txt", "/usr/share/unicode/auxiliary/LineBreakTest.txt");
    if (!CHECK(file != NULL)) {
        return;
    }
    struct clean c;
    clean_init(&c);
    char line[4096];
    struct tally tally = {0};
    while (fgets(line, sizeof line, file) && tally.failed < 20) {
        tally.failed += line[0] != '#' && !check_breaks(line, &c, &tally);
    }
    check_tally(&tally);
    clean_close(&c);
    fclose(file);
}

/* ---- UAX #9 --------------------------------------------------------------- */

struct order {
    const struct example *example;
    int levels[CHARACTERS];    /* -1: not seen */
    size_t visual[CHARACTERS]; /* character numbers from left to right */
    size_t count;
};

static size_t character_at(const struct example *x, size_t byte) {
    size_t i = 0;
    while (i < x->count && x->at[i] < byte) {
        i++;
    }
    return i;
}

static int by_x(const void *a, const void *b) {
    const struct line_item *x = a, *y = b;
    return x->x != y->x ? (x->x > y->x) - (x->x < y->x) : (x->advance > 0) - (y->advance > 0);
}

static int note_order(void *context, const struct line *line, struct error *e) {
    (void)e;
    struct order *o = context;
    struct line_item items[CHARACTERS];
    memcpy(items, line->items, line->count * sizeof *items);
    qsort(items, line->count, sizeof *items, by_x);
    for (size_t i = 0; i < line->count; i++) {
        size_t first = character_at(o->example, items[i].start);
        size_t end = character_at(o->example, items[i].end);
        for (size_t k = first; k < end; k++) {
            o->levels[k] = items[i].level;
            o->visual[o->count++] = items[i].level & 1 ? end - 1 - (k - first) : k;
        }
    }
    return 0;
}

static bool icu_levels_differ(const struct example *x, const int *wanted) {
    UChar text[CHARACTERS]; /* the file has no characters beyond U+FFFF */
    for (size_t i = 0; i < x->count; i++) {
        text[i] = (UChar)x->characters[i];
    }
    UErrorCode status = U_ZERO_ERROR;
    UBiDi *bidi = ubidi_open();
    ubidi_setPara(bidi, text, (int32_t)x->count, UBIDI_DEFAULT_LTR, NULL, &status);
    const UBiDiLevel *levels = ubidi_getLevels(bidi, &status);
    bool differs = U_FAILURE(status);
    for (size_t i = 0; i < x->count && !differs; i++) {
        differs = wanted[i] >= 0 && (levels[i] - wanted[i]) % 2 != 0;
    }
    ubidi_close(bidi);
    return differs;
}

/* "05D0 0028 0062;1;1;1 1 2;2 1 0": characters, asked direction, paragraph level, levels, order. */
static bool check_order(const char *line, struct clean *c, struct tally *tally) {
    struct example x = {0};
    char *at = NULL;
    for (const char *from = line; *from != ';'; from = at) {
        uint32_t code_point = (uint32_t)strtoul(from, &at, 16);
        if (at == from || x.count == CHARACTERS - 1) {
            return true;
        }
        add_character(&x, code_point);
    }
    strtol(at + 1, &at, 10);
    strtol(at + 1, &at, 10);
    int wanted[CHARACTERS];
    for (size_t i = 0; i < x.count; i++) {
        at++;
        wanted[i] = *at == 'x' ? -1 : (int)strtol(at, &at, 10);
        at += *at == 'x';
    }
    struct order o = {.example = &x};
    memset(o.levels, 0xFF, sizeof o.levels);
    if (!clean_example(c, &x)) {
        return true;
    }
    bool ok = CHECK(line_breaker_run(setter.line_breaker, c, WIDE, note_order, &o, NULL) == 0);
    size_t next = 0;
    while (ok && (*at == ';' || *at == ' ') && at[1] >= '0') {
        size_t number = (size_t)strtol(at + 1, &at, 10);
        if (o.levels[number] < 0) {
            continue; /* spaces at the ends are not drawn */
        }
        while (next < o.count && wanted[o.visual[next]] < 0) {
            next++; /* characters that rule X9 removes have no place */
        }
        ok = next < o.count && o.visual[next++] == number;
    }
    /* ICU gives level 0 to all of a text without right-to-left: the parity is what counts */
    for (size_t i = 0; i < x.count; i++) {
        ok = ok && (wanted[i] < 0 || o.levels[i] < 0 || (o.levels[i] - wanted[i]) % 2 == 0);
    }
    bool differs = icu_levels_differ(&x, wanted);
    if (!ok && !differs) {
        printf("# %s", line);
    }
    tally->icu_differs += differs;
    tally->examples++;
    return ok || differs;
}

/* Whether the direction that the example asks for is the one that the text itself gives. */
static bool is_automatic(const char *line) {
    const char *direction = strchr(line, ';');
    if (!direction || direction[1] == '2') {
        return direction != NULL;
    }
    unsigned long first = strtoul(line, NULL, 16);
    return direction[1] == '0' ? first >= 'a' && first <= 'z' : first >= 0x5D0 && first <= 0x5EA;
}

static void text_runs_as_uax9_says(void) {
    FILE *file = open_golden("BidiCharacterTest.txt", "/usr/share/unicode/BidiCharacterTest.txt");
    if (!CHECK(file != NULL)) {
        return;
    }
    struct clean c;
    clean_init(&c);
    char line[4096];
    struct tally tally = {0};
    while (fgets(line, sizeof line, file) && tally.failed < 20) {
        if (line[0] >= '0' && line[0] <= 'F' && is_automatic(line)) {
            tally.failed += !check_order(line, &c, &tally);
        }
    }
    check_tally(&tally);
    clean_close(&c);
    fclose(file);
}

int main(void) {
    struct error e = {0};
    int rc = fonts_open(&setter.fonts, "DejaVu Sans", &e);
    if (rc == 0) {
        rc = shaper_open(&setter.shaper, setter.fonts, &PROFILES[PROFILE_READ10], &e);
    }
    if (rc == 0) {
        rc = line_breaker_open(&setter.line_breaker, setter.shaper, &e);
    }
    if (rc < 0) {
        printf("Bail out! %s\n", e.text);
        return 1;
    }
    RUN(lines_end_where_uax14_says);
    RUN(text_runs_as_uax9_says);
    line_breaker_close(setter.line_breaker);
    shaper_close(setter.shaper);
    fonts_close(setter.fonts);
    return test_finish();
}
