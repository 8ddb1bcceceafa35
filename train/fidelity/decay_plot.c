/* decay_plot.c - the picture of decay.h. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "train/fidelity/decay.h"
#include "train/svg.h"

/* In pixels: panels of one height above each other, the axis of ages below the last. */
enum { WIDTH = 720, HEIGHT = 660, LEFT = 84, RIGHT = 690, TOP = 78, PANEL = 150, GAP = 28 };
enum { PANELS = 3, BOTTOM = TOP + PANELS * PANEL + (PANELS - 1) * GAP };

/* What a panel shows. Marks differ in shape, lines in dashes, and the colours in grey, too. */
struct panel {
    const char *name, *unit, *colour, *dashes;
    char mark; /* circle, square, diamond */
    bool share;
};
static const struct panel PANEL_LOOKS[PANELS] = {
    {"tokens a page", "tokens a page", "#000000", "none", 'c', false},
    {"kilobytes a page", "kB a page", "#0072b2", "7 3", 's', false},
    {"read back, %", "% of the characters read back", "#d55e00", "2 3", 'd', true},
};

struct picture {
    struct svg svg;
    const struct decay *d;
    double first, last; /* ends of the axis of ages: logarithms of days */
};

/* The value of a point in a panel; below 0: not measured. */
static double value_of(const struct decay_point *p, int panel) {
    double shares = p->read > 0 ? 100 * p->accuracy : -1;
    return panel == 0 ? p->tokens : panel == 1 ? p->bytes * 1e-3 : shares;
}

static double x_of(const struct picture *p, double days) {
    return LEFT + (RIGHT - LEFT) * (log10(days) - p->first) / (p->last - p->first);
}

/* ---- Axes --------------------------------------------------------------------------------- */

/* Of values of a panel: logarithms, or 0 to 100. */
struct range {
    double low, high;
    bool share;
};

static struct range range_of(const struct picture *p, int panel) {
    struct range r = {.low = HUGE_VAL, .high = 0, .share = PANEL_LOOKS[panel].share};
    for (int i = 0; i < p->d->count; i++) {
        double value = value_of(&p->d->points[i], panel);
        r.low = fmin(r.low, value);
        r.high = fmax(r.high, value);
    }
    return r.share ? (struct range){.low = 0, .high = 100, .share = true}
                   : (struct range){.low = log10(r.low / 1.6), .high = log10(r.high * 2.2)};
}

static double y_of(const struct range *r, int top, double value) {
    double place = ((r->share ? value : log10(value)) - r->low) / (r->high - r->low);
    return top + PANEL - PANEL * place;
}

static void put_y_tick(struct picture *p, const struct range *r, int top, double value) {
    double y = y_of(r, top, value);
    if (y >= top - 0.5 && y <= top + PANEL + 0.5) {
        svg_put(&p->svg, "<path d=\"M%d %.1fH%d\" stroke=\"#e4e4e4\"/>", LEFT, y, RIGHT);
        svg_put(&p->svg, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", LEFT - 7,
                y + 4, value);
    }
}

static void put_y_axis(struct picture *p, int panel, int top) {
    static const double DIGITS[] = {1, 2, 5};
    struct range r = range_of(p, panel);
    if (r.share) {
        for (int value = 0; value <= 100; value += 25) {
            put_y_tick(p, &r, top, value);
        }
    } else {
        int digits = r.high - r.low < 2.3 ? 3 : 1;
        for (int decade = (int)floor(r.low); decade <= (int)ceil(r.high); decade++) {
            for (int i = 0; i < digits; i++) {
                put_y_tick(p, &r, top, DIGITS[i] * pow(10, decade));
            }
        }
    }
    svg_put(&p->svg,
            "<text transform=\"translate(22 %d) rotate(-90)\" text-anchor=\"middle\">%s</text>\n",
            top + PANEL / 2, PANEL_LOOKS[panel].name);
}

static void put_x_axis(struct picture *p) {
    static const struct {
        double days;
        const char *name;
    } AGES[] = {{1, "1 day"},      {3, "3 days"},      {7, "1 week"},
                {30, "1 month"},   {91, "3 months"},   {365, "1 year"},
                {1096, "3 years"}, {3653, "10 years"}, {10958, "30 years"}};
    for (size_t i = 0; i < sizeof AGES / sizeof *AGES; i++) {
        double x = x_of(p, AGES[i].days);
        if (x < LEFT - 0.5 || x > RIGHT + 0.5) {
            continue;
        }
        for (int panel = 0; panel < PANELS; panel++) {
            svg_put(&p->svg, "<path d=\"M%.1f %dv%d\" stroke=\"#e4e4e4\"/>", x,
                    TOP + panel * (PANEL + GAP), PANEL);
        }
        svg_put(&p->svg, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", x,
                BOTTOM + 18, AGES[i].name);
    }
    svg_put(&p->svg, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">age of the pages</text>\n",
            (LEFT + RIGHT) / 2, BOTTOM + 40);
}

/* ---- Points -----------------------------------------------------------------------------------
 */

static void put_mark(struct picture *p, const struct panel *look, double x, double y) {
    if (look->mark == 'c') {
        svg_put(&p->svg, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" fill=\"%s\">", x, y,
                look->colour);
    } else if (look->mark == 's') {
        svg_put(&p->svg, "<path d=\"M%.1f %.1fh9v9h-9Z\" fill=\"%s\">", x - 4.5, y - 4.5,
                look->colour);
    } else {
        svg_put(&p->svg, "<path d=\"M%.1f %.1fl6 6l-6 6l-6 -6Z\" fill=\"%s\">", x, y - 6,
                look->colour);
    }
    svg_put(&p->svg, "<title>");
}

static void put_point(struct picture *p, int panel, const struct decay_point *point, double y) {
    const struct panel *look = &PANEL_LOOKS[panel];
    double x = x_of(p, point->days), value = value_of(point, panel);
    put_mark(p, look, x, y);
    svg_put(&p->svg, "bucket %d: %.6g %s, %" PRId64 " pages, %.1f days old</title>%s\n",
            point->bucket, value, look->unit, look->share ? point->read : point->pages, point->days,
            look->mark == 'c' ? "</circle>" : "</path>");
    bool low = look->share && value > 85;
    svg_put(&p->svg, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.3g</text>\n", x,
            low ? y + 20 : y - 10, value);
}

static void put_line(struct picture *p, int panel, int top, const struct range *r) {
    bool begun = false;
    svg_put(&p->svg,
            "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.4\" stroke-dasharray=\"%s\" d=\"",
            PANEL_LOOKS[panel].colour, PANEL_LOOKS[panel].dashes);
    for (int i = 0; i < p->d->count; i++) {
        double value = value_of(&p->d->points[i], panel);
        if (value >= 0) {
            svg_put(&p->svg, "%s%.1f %.1f", begun ? "L" : "M", x_of(p, p->d->points[i].days),
                    y_of(r, top, value));
            begun = true;
        }
    }
    svg_put(&p->svg, "%s\"/>\n", begun ? "" : "M0 0");
}

static void put_panel(struct picture *p, int panel) {
    int top = TOP + panel * (PANEL + GAP);
    struct range r = range_of(p, panel);
    put_y_axis(p, panel, top);
    svg_put(&p->svg, "<path d=\"M%d %dv%dH%dv%dZ\" fill=\"none\" stroke=\"#999\"/>\n", LEFT, top,
            PANEL, RIGHT, -PANEL);
    put_line(p, panel, top, &r);
    for (int i = 0; i < p->d->count; i++) {
        double value = value_of(&p->d->points[i], panel);
        if (value >= 0) {
            put_point(p, panel, &p->d->points[i], y_of(&r, top, value));
        }
    }
}

/* ---- The whole ----------------------------------------------------------------------------- */

static void put_subtitle(struct picture *p) {
    int64_t pages = 0, read = 0;
    for (int i = 0; i < p->d->count; i++) {
        pages += p->d->points[i].pages;
        read += p->d->points[i].read;
    }
    svg_put(&p->svg,
            "<text x=\"%d\" y=\"49\" fill=\"#666\">means of %" PRId64 " pages, %" PRId64
            " of them read back; a point for each bucket",
            LEFT, pages, read);
    if (p->d->left_out > 0) {
        svg_put(&p->svg, "; without %" PRId64 " that do not age", p->d->left_out);
    }
    svg_put(&p->svg, "</text>\n");
}

int decay_plot(struct bytes *out, const struct decay *d, struct error *e) {
    struct picture p = {.svg = {.out = out, .e = e}, .d = d, .first = HUGE_VAL};
    for (int i = 0; i < d->count; i++) {
        p.first = fmin(p.first, log10(d->points[i].days));
        p.last = fmax(p.last, log10(d->points[i].days));
    }
    p.first -= 0.2;
    p.last = fmax(p.last + 0.2, p.first + 0.5);
    svg_begin(&p.svg, WIDTH, HEIGHT, LEFT, "What a store keeps of its pages as they age");
    put_subtitle(&p);
    put_x_axis(&p);
    for (int panel = 0; panel < PANELS; panel++) {
        put_panel(&p, panel);
    }
    return svg_end(&p.svg);
}
