/* profile_search.c - which font, size and pitch put how many readable characters on a page.
 *
 *     bench-profiles [-f FAMILY] [-p PITCH] [-z SIZE] [-u] [-c] [-n] CORPUS
 *
 * For every profile one 512 x 512 page of prose (CORPUS) and one of random strings is typeset and
 * read back with tesseract at three or four times the size, rows of 8 pixels with white put
 * between them. Beside it stands a figure that owes nothing to tesseract's training: how far
 * apart, in pixels, the shapes of any two of the 94 printable ASCII characters are at least, and
 * how often the nearest shape would be the wrong one under noise. -u: unhinted outlines, and those
 * hinted by the font's own program, too; -c: in cells, of which tesseract reads nothing; -n:
 * without tesseract. Prints a Markdown table, the front (nothing has both more characters and
 * better read random strings) marked with *. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "prose.h"
#include "read_back.h"
#include "render/text/face.h"

enum { FIRST = '!', LAST = '~', SIGNS = LAST - FIRST + 1, TRIALS_MOST = 512 };
enum { PAGE_TEXT = 32768 }; /* bytes, more than any page holds */

/* Standard deviation of the noise that the nearest-shape reader is put under, of 1 = black. */
static const double NOISE = 0.2;

enum { HINTINGS = HINTING_FONT + 1 };
static const char *const HINTING_NAMES[HINTINGS] = {"no", "light", "font"};

static const char *const FAMILIES[] = {
    "DejaVu Sans", "DejaVu Sans Condensed", "DejaVu Sans Mono",      "DejaVu Serif",
    "Noto Sans",   "Noto Sans Display",     "Liberation Sans Narrow"};
enum { FAMILY_COUNT = sizeof FAMILIES / sizeof *FAMILIES };

struct geometry {
    int pitch, size; /* size: 26.6 */
};
static const struct geometry GEOMETRIES[] = {{16, 512}, {16, 576}, {16, 640}, {16, 704}, {16, 768},
                                             {16, 832}, {8, 352},  {8, 384},  {8, 416},  {8, 448},
                                             {8, 480},  {8, 512},  {8, 544}};
enum { GEOMETRY_COUNT = sizeof GEOMETRIES / sizeof *GEOMETRIES };

struct trial {
    struct profile profile;
    double characters, strings; /* of prose, of random strings on a page */
    double prose, random;
    double distance, confusion; /* see separate */
    char pair[3];               /* the nearest two */
    double twins[2];            /* distances of I and l, of 0 and O */
};

struct search {
    const char *family, *corpus;
    int pitch, size; /* 0: all */
    bool all, cells, silent;
    struct reader *reader;
    struct trial trials[TRIALS_MOST];
    size_t count;
};

/* ---- Distance of shapes ------------------------------------------------------ */

/* Coverage at (x, y), y from the top of the row; what lies outside the row belongs to others. */
static double coverage(const struct glyph *g, int baseline, int x, int y) {
    int column = x - g->left, line = y - (baseline - g->top);
    if (column < 0 || column >= g->width || line < 0 || line >= g->height) {
        return 0;
    }
    return g->pixels[(size_t)line * g->stride + (size_t)column] / 255.0;
}

static double distance_of(const struct glyph *a, const struct glyph *b, int baseline, int pitch) {
    int x0 = a->left < b->left ? a->left : b->left;
    int x1 = a->left + a->width > b->left + b->width ? a->left + a->width : b->left + b->width;
    double sum = 0;
    for (int y = 0; y < pitch; y++) {
        for (int x = x0; x < x1; x++) {
            double d = coverage(a, baseline, x, y) - coverage(b, baseline, x, y);
            sum += d * d;
        }
    }
    return sqrt(sum);
}

/* Over all pairs of phases: a reader does not know where between two pixels a character begins. */
static double nearest(const struct glyph_slot *a, const struct glyph_slot *b, int baseline,
                      int pitch) {
    double least = HUGE_VAL;
    for (int i = 0; i < GLYPH_PHASES; i++) {
        for (int k = 0; k < GLYPH_PHASES; k++) {
            least = fmin(least, distance_of(a->phase[i], b->phase[k], baseline, pitch));
        }
    }
    return least;
}

static int draw_signs(struct faces *faces, struct glyph_slot **slots, struct error *e) {
    const struct face *face = faces_get(faces, FONT_PRIMARY, e);
    int rc = face ? 0 : e->code;
    for (int i = 0; rc == 0 && i < SIGNS; i++) {
        hb_codepoint_t id = 0;
        (void)hb_font_get_nominal_glyph(face->hb, (hb_codepoint_t)(FIRST + i), &id);
        slots[i] = faces_slot(faces, FONT_PRIMARY, id, FIT_ROW, e);
        rc = slots[i] ? 0 : e->code;
        for (unsigned phase = 0; rc == 0 && phase < GLYPH_PHASES; phase++) {
            rc = faces_draw(faces, slots[i], phase, e);
        }
    }
    return rc;
}

/* Fills distance, pair and confusion: the share of wrong answers of a reader that takes the nearest
 * shape under noise (union bound, each sign equally often). */
static void compare_signs(struct trial *t, struct glyph_slot *const *slots, int baseline) {
    t->distance = HUGE_VAL;
    t->confusion = 0;
    for (int i = 0; i < SIGNS; i++) {
        double wrong = 0;
        for (int k = 0; k < SIGNS; k++) {
            if (k == i) {
                continue;
            }
            double d = nearest(slots[i], slots[k], baseline, t->profile.pitch);
            t->twins[0] = i == 'I' - FIRST && k == 'l' - FIRST ? d : t->twins[0];
            t->twins[1] = i == '0' - FIRST && k == 'O' - FIRST ? d : t->twins[1];
            wrong += 0.5 * erfc(d / (2 * NOISE) / sqrt(2));
            if (d < t->distance) {
                t->distance = d;
                t->pair[0] = (char)(FIRST + i);
                t->pair[1] = (char)(FIRST + k);
            }
        }
        t->confusion += fmin(wrong, 1) / SIGNS;
    }
}

static int separate(struct trial *t, const struct fonts *fonts, struct error *e) {
    struct faces *faces = NULL;
    struct glyph_slot *slots[SIGNS];
    int rc = faces_open(&faces, fonts, &t->profile, e);
    if (rc == 0) {
        rc = draw_signs(faces, slots, e);
    }
    if (rc == 0) {
        compare_signs(t, slots, faces_baseline(faces));
    }
    faces_close(faces);
    return rc;
}

/* ---- Reading back -------------------------------------------------------------- */

static int fill_page(struct shot *shot, const struct trial *t, const struct fonts *fonts,
                     const char *corpus, struct error *e) {
    struct page_setup setup = {.mode = MODE_TINY,
                               .profile = &t->profile,
                               .fonts = fonts,
                               .context = shot,
                               .done = shot_take};
    struct prose *prose = NULL;
    struct pager *pager = NULL;
    struct bytes text;
    bytes_init(&text, (size_t)1 << 20);
    shot_clear(shot);
    int rc = prose_open(&prose, corpus, PROSE_NEVER, 7, e);
    while (rc == 0 && text.size < PAGE_TEXT) { /* one paragraph: all rows are full */
        const char *part;
        size_t size;
        rc = prose_next(prose, &part, &size, e);
        if (rc == 0) {
            rc = bytes_append(&text, part, size, e);
        }
        if (rc == 0) {
            rc = bytes_append(&text, " ", 1, e);
        }
    }
    if (rc == 0) {
        rc = pager_open(&pager, &setup, e);
    }
    struct span span = {.text = bytes_text(&text), .size = text.size, .source = 1};
    if (rc == 0) {
        rc = pager_text(pager, PART_NONE, &span, 1, 0, e);
    }
    pager_close(pager);
    prose_close(prose);
    bytes_close(&text);
    if (rc == 0 && !shot->taken) {
        rc = error_set(e, ERR_LIMIT, "the text does not fill a page");
    }
    return rc;
}

/* Tesseract likes capitals of 20 to 40 pixels. */
static struct view view_for(const struct trial *t) {
    bool dense = t->profile.pitch < PATCH;
    return (struct view){dense ? 4 : 3, t->profile.pitch, dense ? t->profile.pitch / 2 : 0};
}

static int read_page(const struct search *s, struct trial *t, const struct fonts *fonts,
                     const char *corpus, double *accuracy, struct error *e) {
    struct shot shot;
    struct bytes seen;
    shot_init(&shot);
    bytes_init(&seen, (size_t)1 << 20);
    int rc = fill_page(&shot, t, fonts, corpus, e);
    if (rc == 0) {
        *(corpus ? &t->characters : &t->strings) = (double)shot.counts.characters;
    }
    if (rc == 0 && s->reader) {
        rc = reader_read(s->reader, &shot, 0, shot.width, view_for(t), &seen, e);
        if (rc == 0) {
            rc = read_accuracy(&shot.text, &seen, true, accuracy, e);
        }
    }
    bytes_close(&seen);
    shot_close(&shot);
    return rc;
}

static int try_profile(struct search *s, const struct profile *profile, const struct fonts *fonts,
                       struct error *e) {
    struct trial *t = &s->trials[s->count];
    *t = (struct trial){.profile = *profile};
    int rc = separate(t, fonts, e);
    if (rc == 0) {
        rc = read_page(s, t, fonts, s->corpus, &t->prose, e);
    }
    if (rc == 0) {
        rc = read_page(s, t, fonts, NULL, &t->random, e);
    }
    if (rc == 0) {
        s->count++;
        fprintf(stderr, "%s %.1f px, pitch %d, hinted: %s: %.0f, %.1f%% %.1f%%\n", profile->family,
                profile->size / 64.0, profile->pitch, HINTING_NAMES[profile->hinting],
                t->characters, 100 * t->prose, 100 * t->random);
    }
    return rc;
}

/* A family that is not installed is passed over. */
static int try_family(struct search *s, const char *family, struct error *e) {
    struct fonts *fonts = NULL;
    if (fonts_open(&fonts, family, e) < 0) {
        fprintf(stderr, "%s\n", e->text);
        return e->code == ERR_UNSUPPORTED ? 0 : e->code;
    }
    int rc = 0;
    for (int i = 0; rc == 0 && i < HINTINGS * GEOMETRY_COUNT; i++) {
        const struct geometry *g = &GEOMETRIES[i / HINTINGS];
        struct profile profile = {.family = family,
                                  .size = g->size,
                                  .pitch = g->pitch,
                                  .gutter = 1,
                                  .inset = s->cells ? 1 : 2,
                                  .hinting = (enum hinting)(i % HINTINGS),
                                  .cells = s->cells};
        bool wanted = profile.hinting == HINTING_LIGHT || s->all;
        if ((s->pitch == 0 || s->pitch == g->pitch) && (s->size == 0 || s->size == g->size) &&
            wanted && s->count < TRIALS_MOST) {
            rc = try_profile(s, &profile, fonts, e);
        }
    }
    fonts_close(fonts);
    return rc;
}

static bool is_front(const struct search *s, const struct trial *t) {
    for (size_t i = 0; i < s->count; i++) {
        const struct trial *o = &s->trials[i];
        double mine = s->reader ? t->random : -t->confusion;
        double other = s->reader ? o->random : -o->confusion;
        if (o->characters >= t->characters && other >= mine &&
            (o->characters > t->characters || other > mine)) {
            return false;
        }
    }
    return true;
}

static void print_table(const struct search *s) {
    printf(
        "| front | font | px | pitch | hinted | characters | a token, prose | random | read, prose"
        " | random | least distance | pair | I/l | 0/O | confusion |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < s->count; i++) {
        const struct trial *t = &s->trials[i];
        double tokens = mode_tokens(MODE_TINY);
        printf("| %s | %s | %.2f | %d | %s | %.0f | %.1f | %.1f | %.1f%% | %.1f%% | %.2f | `%s` | "
               "%.2f |"
               " %.2f | %.2f%% |\n",
               is_front(s, t) ? "*" : "", t->profile.family, t->profile.size / 64.0,
               t->profile.pitch, HINTING_NAMES[t->profile.hinting], t->characters,
               t->characters / tokens, t->strings / tokens, 100 * t->prose, 100 * t->random,
               t->distance, t->pair, t->twins[0], t->twins[1], 100 * t->confusion);
    }
}

static bool take_option(struct search *s, int option, const char *value) {
    switch (option) {
    case 'f':
        s->family = value;
        return true;
    case 'p':
        s->pitch = (int)strtol(value, NULL, 10);
        return s->pitch > 0;
    case 'z':
        s->size = (int)(strtod(value, NULL) * 64);
        return s->size > 0;
    case 'u':
        s->all = true;
        return true;
    case 'c':
        s->cells = s->silent = true;
        return true;
    case 'n':
        s->silent = true;
        return true;
    default:
        return false;
    }
}

int main(int argc, char **argv) {
    static struct search s;
    int option = getopt(argc, argv, "f:p:z:ucn");
    while (option != -1) {
        if (!take_option(&s, option, optarg)) {
            fprintf(stderr, "bench-profiles: bad option; see the head of profile_search.c\n");
            return 2;
        }
        option = getopt(argc, argv, "f:p:z:ucn");
    }
    if (optind >= argc) {
        fprintf(stderr, "bench-profiles: a file with prose is needed, a paragraph a line\n");
        return 2;
    }
    s.corpus = argv[optind];
    struct error e = {0};
    int rc = s.silent ? 0 : reader_open(&s.reader, "eng", &e);
    for (int i = 0; rc == 0 && i < FAMILY_COUNT; i++) {
        if (!s.family || strcmp(s.family, FAMILIES[i]) == 0) {
            rc = try_family(&s, FAMILIES[i], &e);
        }
    }
    print_table(&s);
    reader_close(s.reader);
    if (rc < 0) {
        fprintf(stderr, "bench-profiles: %s\n", e.text);
    }
    return rc < 0;
}
