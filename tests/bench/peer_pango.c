/* peer_pango.c - the same pages with Pango and Cairo, as one would write them: a layout a
 * paragraph, wrapped at the width of a column by Pango, its lines put onto rows of 16 pixels in two
 * columns, drawn into an 8-bit surface.
 *
 *     bench-pango [-t SECONDS] [-l LANGUAGE] [-L] [CORPUS]
 *
 * Prints what bench-render prints. DejaVu Sans at 10 pixels, grey, slight hinting (as FreeType's
 * light one), advances not rounded; -L: layout only. Pages are not inverted to black on white,
 * which is to Pango's advantage. */
#include <pango/pangocairo.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "prose.h"

enum { SIDE = 1024, PITCH = 16, GUTTER = 16, INSET = 2, BASELINE = 12, SIZE = 10 };
enum { COLUMN = (SIDE - GUTTER) / 2, ROWS = SIDE / PITCH };

struct sheet {
    cairo_surface_t *surface;
    cairo_t *cairo;
    PangoLayout *layout;
    int row, column;
    bool layout_only;
    int64_t pages, characters, unfinished; /* unfinished: characters of the page in hand */
    double start, cpu_start;
};

static double seconds_of(clockid_t clock) {
    struct timespec t;
    if (clock_gettime(clock, &t) != 0) {
        return 0;
    }
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void clear_page(struct sheet *s) {
    cairo_set_operator(s->cairo, CAIRO_OPERATOR_CLEAR);
    cairo_paint(s->cairo);
    cairo_set_operator(s->cairo, CAIRO_OPERATOR_OVER);
}

static void finish_page(struct sheet *s) {
    cairo_surface_flush(s->surface);
    if (s->start == 0) {
        s->start = seconds_of(CLOCK_MONOTONIC);
        s->cpu_start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    } else {
        s->pages++;
        s->characters += s->unfinished;
    }
    s->unfinished = 0;
    clear_page(s);
}

static void put_line(struct sheet *s, PangoLayoutLine *line, const char *text) {
    if (s->row == ROWS) {
        s->row = 0;
        s->column++;
    }
    if (s->column == 2) {
        s->column = 0;
        finish_page(s);
    }
    int size = line->length; /* with the space at the end, which is not drawn */
    while (size > 0 && text[line->start_index + size - 1] == ' ') {
        size--;
    }
    s->unfinished += g_utf8_strlen(text + line->start_index, size);
    if (!s->layout_only) {
        cairo_move_to(s->cairo, s->column * (COLUMN + GUTTER) + INSET, s->row * PITCH + BASELINE);
        pango_cairo_show_layout_line(s->cairo, line);
    }
    s->row++;
}

static void put_paragraph(struct sheet *s, const char *text, size_t size) {
    pango_layout_set_text(s->layout, text, (int)size);
    for (GSList *lines = pango_layout_get_lines_readonly(s->layout); lines; lines = lines->next) {
        put_line(s, lines->data, text);
    }
}

static void open_sheet(struct sheet *s, const char *language) {
    s->surface = cairo_image_surface_create(CAIRO_FORMAT_A8, SIDE, SIDE);
    s->cairo = cairo_create(s->surface);
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_SLIGHT);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_set_font_options(s->cairo, options);
    s->layout = pango_cairo_create_layout(s->cairo);
    PangoContext *context = pango_layout_get_context(s->layout);
    pango_cairo_context_set_font_options(context, options);
    pango_context_set_round_glyph_positions(context, FALSE);
    if (language) {
        pango_context_set_language(context, pango_language_from_string(language));
    }
    PangoFontDescription *font = pango_font_description_from_string("DejaVu Sans");
    pango_font_description_set_absolute_size(font, SIZE * PANGO_SCALE);
    pango_layout_set_font_description(s->layout, font);
    pango_layout_set_width(s->layout, (COLUMN - 2 * INSET) * PANGO_SCALE);
    pango_layout_set_wrap(s->layout, PANGO_WRAP_WORD_CHAR);
    pango_font_description_free(font);
    cairo_font_options_destroy(options);
    clear_page(s);
}

static void close_sheet(struct sheet *s) {
    g_object_unref(s->layout);
    cairo_destroy(s->cairo);
    cairo_surface_destroy(s->surface);
}

int main(int argc, char **argv) {
    struct sheet s = {0};
    double seconds = 5;
    const char *language = NULL;
    int option = getopt(argc, argv, "t:l:L");
    while (option != -1) {
        seconds = option == 't' ? strtod(optarg, NULL) : seconds;
        language = option == 'l' ? optarg : language;
        s.layout_only = s.layout_only || option == 'L';
        option = getopt(argc, argv, "t:l:L");
    }
    struct error e = {0};
    struct prose *prose = NULL;
    int rc = prose_open(&prose, optind < argc ? argv[optind] : NULL, PROSE_FRESH, 1, &e);
    open_sheet(&s, language);
    double now = 0;
    while (rc == 0 && (s.start == 0 || now < s.start + seconds)) {
        const char *text;
        size_t size;
        rc = prose_next(prose, &text, &size, &e);
        if (rc == 0) {
            put_paragraph(&s, text, size);
        }
        now = seconds_of(CLOCK_MONOTONIC);
    }
    if (rc < 0) {
        fprintf(stderr, "bench-pango: %s\n", e.text);
    } else {
        printf("%lld %lld %.3f %.3f\n", (long long)s.pages, (long long)s.characters, now - s.start,
               seconds_of(CLOCK_THREAD_CPUTIME_ID) - s.cpu_start);
    }
    close_sheet(&s);
    prose_close(prose);
    return rc < 0;
}
