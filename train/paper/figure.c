/* figure.c - see sheet.h: the pictures. */
#include <math.h>

#include "train/paper/sheet.h"
#include "train/svg.h"

enum { WIDTH = 760, LEFT = 80, RIGHT = 730, TOP = 60, BOTTOM = 400, HEIGHT = 460 };

/* ---- Perplexity against positions --------------------------------------------------------------
 */

struct frontier {
    struct svg svg;
    const struct sheet *t;
    struct interval perplexity[SHEET_ROWS];
    double low, high; /* of the axis of perplexity */
    double most;      /* positions: log2(1 + x) to the right end */
};

static double positions_of(const struct sheet *t, int row) {
    const struct sheet_figures *f = &t->rows[row];
    return f->posts > 0 ? f->positions / f->posts : 0;
}

static double x_of(const struct frontier *f, double positions) {
    return LEFT + 20 + (RIGHT - LEFT - 140) * log2(1 + positions) / f->most;
}

static double y_of(const struct frontier *f, double perplexity) {
    return BOTTOM - (BOTTOM - TOP) * (perplexity - f->low) / (f->high - f->low);
}

static int measure(struct frontier *f, struct error *e) {
    int rc = 0;
    f->low = HUGE_VAL;
    f->most = 1;
    for (int row = 0; row < SHEET_ROWS && rc == 0; row++) {
        struct interval *i = &f->perplexity[row];
        *i = INTERVAL_NONE;
        if (f->t->rows[row].seeds > 0) {
            rc = sheet_perplexity(i, f->t, row, e);
            f->low = fmin(f->low, i->low);
            f->high = fmax(f->high, i->high);
            f->most = fmax(f->most, log2(1 + positions_of(f->t, row)));
        }
    }
    if (rc == 0 && !(f->high > 0)) {
        return error_set(e, ERR_FORMAT, "there is no row to draw");
    }
    const double room = 0.06 * (f->high - f->low) + 0.01 * f->high;
    f->low -= room;
    f->high += room;
    return rc;
}

static void put_axes(struct frontier *f) {
    const double step = svg_round_up((f->high - f->low) / 8);
    for (int i = (int)ceil(f->low / step); i * step <= f->high; i++) {
        const double y = y_of(f, i * step);
        svg_put(&f->svg, "<path d=\"M%d %.1fH%d\" stroke=\"#e4e4e4\"/>", LEFT, y, RIGHT);
        svg_put(&f->svg, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", LEFT - 7,
                y + 4, i * step);
    }
    for (int value = 0; log2(1 + value) <= f->most + 1e-9; value = value > 0 ? 4 * value : 16) {
        svg_put(&f->svg,
                "<path d=\"M%.1f %dv5\" stroke=\"#222\"/><text x=\"%.1f\" y=\"%d\" "
                "text-anchor=\"middle\">%d</text>\n",
                x_of(f, value), BOTTOM, x_of(f, value), BOTTOM + 19, value);
    }
    svg_put(&f->svg, "<path d=\"M%d %dV%dH%d\" stroke=\"#222\" fill=\"none\"/>\n", LEFT, TOP,
            BOTTOM, RIGHT);
    svg_put(
        &f->svg,
        "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">positions of the context, mean</text>\n",
        (LEFT + RIGHT) / 2, BOTTOM + 42);
}

static const char *colour_of(int row) {
    const bool visual = SHEET[row].context[0] == 'v';
    const bool full = row == ROW_TEXT || row == ROW_GSPF;
    return visual ? "#d55e00" : full ? "#0072b2" : "#555555";
}

/* A row's name stands beside its point, lower where another's is there already. */
static void put_point(struct frontier *f, int row, double *places, int *placed) {
    const struct interval *i = &f->perplexity[row];
    const double x = x_of(f, positions_of(f->t, row)), y = y_of(f, i->value);
    double name = y + 4;
    for (int tries = 0, moved = 1; moved && tries < SHEET_ROWS; tries++) {
        moved = 0;
        for (int k = 0; k < *placed; k++) {
            if (fabs(places[2 * k] - x) < 110 && fabs(places[2 * k + 1] - name) < 12) {
                name = places[2 * k + 1] + 12;
                moved = 1;
            }
        }
    }
    places[2 * *placed] = x;
    places[2 * (*placed)++ + 1] = name;
    svg_put(&f->svg, "<path d=\"M%.1f %.1fV%.1f\" stroke=\"%s\"/>", x, y_of(f, i->low),
            y_of(f, i->high), colour_of(row));
    svg_put(&f->svg, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>", x, y, colour_of(row));
    svg_put(&f->svg, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"11\" fill=\"%s\">%s</text>\n", x + 8,
            name, colour_of(row), SHEET[row].name);
}

int sheet_frontier(struct bytes *out, const struct sheet *t, struct error *e) {
    struct frontier f = {.svg = {.out = out, .e = e}, .t = t};
    double places[2 * SHEET_ROWS];
    int placed = 0, rc = measure(&f, e);
    if (rc < 0) {
        return rc;
    }
    svg_begin(&f.svg, WIDTH, HEIGHT, LEFT, "Perplexity of held-out posts");
    put_axes(&f);
    for (int row = 0; row < SHEET_ROWS; row++) {
        if (isfinite(f.perplexity[row].value)) {
            put_point(&f, row, places, &placed);
        }
    }
    return svg_end(&f.svg);
}

/* ---- Memory by levers -------------------------------------------------------------------------
 */

enum { BAR = 34, BARS = 330 }; /* height of a lever; where bars begin */

int sheet_memory(struct bytes *out, const struct sheet *t, struct error *e) {
    struct svg svg = {.out = out, .e = e};
    double most = 0;
    for (size_t i = 0; i < t->lever_count; i++) {
        most = fmax(most, fmax(t->levers[i].predicted,
                               isfinite(t->levers[i].peak) ? t->levers[i].peak : 0));
    }
    if (!(most > 0)) {
        return error_set(e, ERR_FORMAT, "no memory was measured");
    }
    const int bottom = TOP + (int)t->lever_count * BAR;
    svg_begin(&svg, WIDTH, bottom + 50, 20, "Memory of training");
    for (size_t i = 0; i < t->lever_count; i++) {
        const struct sheet_lever *l = &t->levers[i];
        const int y = TOP + (int)i * BAR;
        const double scale = (RIGHT - 80 - BARS) / most;
        svg_put(&svg, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>", BARS - 8, y + 19,
                l->title);
        svg_put(&svg, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"12\" fill=\"#0072b2\"/>",
                BARS, y + 3, l->predicted * scale);
        if (isfinite(l->peak)) {
            svg_put(&svg, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"12\" fill=\"#56b4e9\"/>",
                    BARS, y + 16, l->peak * scale);
        }
        svg_put(&svg, "<text x=\"%.1f\" y=\"%d\" font-size=\"11\">%.0f MB</text>\n",
                BARS + 6 + l->predicted * scale, y + 13, l->predicted * 1e-6);
    }
    svg_put(&svg,
            "<rect x=\"%d\" y=\"%d\" width=\"12\" height=\"12\" fill=\"#0072b2\"/><text x=\"%d\" "
            "y=\"%d\">by the ledger</text>",
            BARS, bottom + 18, BARS + 18, bottom + 28);
    svg_put(&svg,
            "<rect x=\"%d\" y=\"%d\" width=\"12\" height=\"12\" fill=\"#56b4e9\"/><text x=\"%d\" "
            "y=\"%d\">by the system</text>\n",
            BARS + 130, bottom + 18, BARS + 148, bottom + 28);
    return svg_end(&svg);
}
