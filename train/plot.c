/* plot.c - see plot.h. Losses are collected first, then smoothed, then drawn. */
#include "train/plot.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/json.h"
#include "train/svg.h"

enum { MOST_CURVES = 24, LONGEST_NAME = 16 }; /* what the legend has room for */
enum { MOST_HALF_WINDOW = 50, WINDOWS = 25 };
enum { MEMORY = 512 << 20 };

/* The picture, in pixels: the losses, below them the rate, right of them the names. */
enum { WIDTH = 940, HEIGHT = 560, LEFT = 80, RIGHT = 680, TOP = 66, BOTTOM = 456 };
enum { RATE_TOP = 468, RATE_BOTTOM = 510, SAMPLE = 704, NAME = 732, VALUE = 924, LABEL_STEP = 16 };

/* Losses beyond are drawn as these: a logarithm wants limits. */
static const double LEAST_LOSS = 1e-6, MOST_LOSS = 1e4;

/* Okabe and Ito's colours, told apart by the colour-blind, without the yellow: paper is white. */
static const char *const COLOURS[] = {"#0072b2", "#d55e00", "#009e73", "#e69f00",
                                      "#56b4e9", "#cc79a7", "#000000"};
enum { COLOUR_COUNT = sizeof COLOURS / sizeof *COLOURS };
static const char *const GREYS[] = {"#b8b8b8", "#8f8f8f", "#5f5f5f"};
enum { GREY_COUNT = sizeof GREYS / sizeof *GREYS };

struct point {
    double pages, value;
};

struct curve {
    char name[LONGEST_NAME + 1];
    struct point *points; /* in the arena, pages rise */
    size_t count, capacity;
    const char *colour, *dashes;
    double width;
    double label; /* y of its name */
};

/* What runs count, and what a loss is of. */
struct plot_kind {
    const char *samples, *axis;
};
static const struct plot_kind KINDS[] = {
    {"pages", "cross-entropy per character, in nats (character + presence)"},
    {"rows", "cross-entropy per token, in nats"},
};
enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };

struct plot {
    struct arena *arena;
    const struct plot_kind *kind; /* of the first line; NULL before it */
    struct curve curves[MOST_CURVES], rate;
    int count, colours, greys; /* curves, and how many took a colour or a grey of their own */
    int64_t pages, step;       /* of the last line */
    size_t half_window;        /* lines on each side that a point is the mean of */
    double low, high;          /* ends of the axis of losses */
    double low_log, high_log;
    struct svg svg;
};

/* ---- Lines to points ----------------------------------------------------------------- */

static int find_curve(const struct plot *p, const char *name) {
    for (int i = 0; i < p->count; i++) {
        if (strcmp(p->curves[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

static bool is_name(const char *name) {
    static const char LETTERS[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t length = strlen(name);
    return length > 0 && length <= LONGEST_NAME && strspn(name, LETTERS) == length;
}

static bool is_loss(const json_t *pair) {
    const json_t *character = json_array_get(pair, 0), *presence = json_array_get(pair, 1);
    return json_array_size(pair) == 2 && json_is_number(character) && json_is_number(presence) &&
           json_number_value(character) >= 0 && json_number_value(presence) >= 0;
}

/* A reading head's pair, or one number of a language model. */
static bool has_loss(const char *name, const json_t *value) {
    return json_is_array(value) ||
           (json_is_number(value) && (strcmp(name, "loss") == 0 || strcmp(name, "held_out") == 0));
}

static double loss_of(const json_t *value) {
    return json_is_array(value) ? json_number_value(json_array_get(value, 0)) +
                                      json_number_value(json_array_get(value, 1))
                                : json_number_value(value);
}

static const struct plot_kind *kind_of(const struct plot *p, const json_t *line) {
    const struct plot_kind *kind = p->kind;
    for (int i = 0; i < KIND_COUNT && kind == NULL; i++) {
        kind = json_object_get(line, KINDS[i].samples) != NULL ? &KINDS[i] : NULL;
    }
    return kind != NULL ? kind : &KINDS[0];
}

/* Whether a line can be taken as it is; nothing is kept of one that cannot. */
static int check_line(const struct plot *p, json_t *line, struct error *e) {
    const char *samples = kind_of(p, line)->samples;
    const json_t *pages = json_object_get(line, samples);
    const char *name;
    json_t *value;
    int names = p->count;
    if (!json_is_object(line)) {
        return error_set(e, ERR_FORMAT, "is not a JSON object");
    }
    if (!json_is_integer(pages) || json_integer_value(pages) < 0) {
        return error_set(e, ERR_FORMAT, "has no whole number \"%s\"", samples);
    }
    if (json_integer_value(pages) < p->pages) {
        return error_set(e, ERR_FORMAT, "has fewer %s than one before it", samples);
    }
    json_object_foreach(line, name, value) {
        if (!has_loss(name, value)) {
            continue;
        }
        if (!is_name(name)) {
            return error_set(e, ERR_FORMAT,
                             "has a loss whose name is not 1 to %d of A-Z a-z 0-9 . _ -",
                             LONGEST_NAME);
        }
        const bool pair = json_is_array(value);
        if (pair ? !is_loss(value) : json_number_value(value) < 0) {
            return error_set(e, ERR_FORMAT, "\"%s\" is not a %s from 0 on", name,
                             pair ? "pair of numbers" : "number");
        }
        names += find_curve(p, name) < 0;
    }
    return names <= MOST_CURVES
               ? 0
               : error_set(e, ERR_FORMAT, "brings more than %d names of losses", MOST_CURVES);
}

static int add_point(struct plot *p, struct curve *c, double value, struct error *e) {
    void *points = c->points;
    int rc = arena_grow(p->arena, &points, c->count, &c->capacity, sizeof *c->points, e);
    if (rc == 0) {
        c->points = points;
        c->points[c->count++] = (struct point){(double)p->pages, value};
    }
    return rc;
}

/* NAME-random, random strings in the type of NAME, is NAME's curve dashed; heads that are not kept
 * are dots in grey. */
static void choose_look(struct plot *p, struct curve *c) {
    static const char RANDOM[] = "-random";
    size_t length = strlen(c->name), end = sizeof RANDOM - 1;
    bool random = length > end && strcmp(c->name + length - end, RANDOM) == 0;
    size_t stem = random ? length - end : length;
    c->width = 1.8;
    c->dashes = random ? "5 3" : "none";
    if (strncmp(c->name, "early", 5) == 0) {
        c->colour = GREYS[p->greys++ % GREY_COUNT];
        c->dashes = "1.2 1.8"; /* to some eyes green is a grey */
        c->width = 1.4;
        return;
    }
    for (int i = 0; i < p->count && c->colour == NULL; i++) {
        const char *other = p->curves[i].name;
        if (strncmp(other, c->name, stem) == 0 &&
            (other[stem] == '\0' || strcmp(other + stem, RANDOM) == 0)) {
            c->colour = p->curves[i].colour;
        }
    }
    if (c->colour == NULL) {
        if (p->colours >= COLOUR_COUNT && !random) {
            c->dashes = "6 2 1.5 2";
        }
        c->colour = COLOURS[p->colours++ % COLOUR_COUNT];
    }
}

static int add_line(struct plot *p, json_t *line, struct error *e) {
    const char *name;
    json_t *value;
    int rc = 0;
    p->kind = kind_of(p, line);
    p->pages = json_integer_value(json_object_get(line, p->kind->samples));
    p->step = json_get_integer(line, "step", p->step);
    double rate = json_get_real(line, "rate", -1);
    if (rate >= 0) {
        rc = add_point(p, &p->rate, fmin(rate, 1), e);
    }
    json_object_foreach(line, name, value) {
        if (!has_loss(name, value) || rc < 0) {
            continue;
        }
        int i = find_curve(p, name);
        if (i < 0) {
            i = p->count;
            snprintf(p->curves[i].name, sizeof p->curves[i].name, "%s", name);
            choose_look(p, &p->curves[i]);
            p->count++;
        }
        double loss = loss_of(value);
        rc = add_point(p, &p->curves[i], fmin(fmax(loss, LEAST_LOSS), MOST_LOSS), e);
    }
    return rc;
}

static int read_line(struct plot *p, const char *text, size_t size, struct error *e) {
    json_t *line = json_read(text, size, NULL, e);
    if (line == NULL) {
        return e->code == ERR_MEMORY ? e->code : error_set(e, ERR_FORMAT, "is not JSON");
    }
    int rc = check_line(p, line, e);
    if (rc == 0) {
        rc = add_line(p, line, e);
    }
    json_decref(line);
    return rc;
}

static int read_lines(struct plot *p, const char *text, size_t size, struct plot_counts *counts) {
    const char *end = text + size;
    for (int64_t number = 1; text < end; number++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline != NULL ? newline : end;
        const char *first = text;
        while (first < stop && (*first == ' ' || *first == '\t' || *first == '\r')) {
            first++;
        }
        struct error local;
        int rc = first < stop ? read_line(p, first, (size_t)(stop - first), &local) : 0;
        if (rc < 0 && rc != ERR_FORMAT) {
            return error_set(p->svg.e, rc, "%s", local.text);
        }
        if (rc < 0 && counts->left_out == 0) {
            error_set(&counts->first, rc, "line %" PRId64 " %s", number, local.text);
        }
        counts->left_out += rc < 0;
        counts->lines += first < stop;
        text = newline != NULL ? newline + 1 : end;
    }
    return 0;
}

/* ---- Points to curves ---------------------------------------------------------------- */

/* Running means, of as many points before as after; at the ends of those there are. */
static int smooth(struct plot *p, struct curve *c) {
    struct point *means = arena_alloc(p->arena, c->count, sizeof *means);
    if (means == NULL) {
        return error_memory(p->svg.e, NULL);
    }
    for (size_t i = 0; i < c->count; i++) {
        size_t half = i < p->half_window ? i : p->half_window;
        size_t end = i + half < c->count ? i + half + 1 : c->count;
        double sum = 0;
        for (size_t j = i - half; j < end; j++) {
            sum += c->points[j].value;
        }
        means[i] = (struct point){c->points[i].pages, sum / (double)(end - (i - half))};
        p->low = fmin(p->low, means[i].value);
        p->high = fmax(p->high, means[i].value);
    }
    c->points = means;
    return 0;
}

static int smooth_all(struct plot *p, int64_t lines) {
    int64_t half = lines / (2 * WINDOWS);
    p->half_window = half < MOST_HALF_WINDOW ? (size_t)half : MOST_HALF_WINDOW;
    p->low = MOST_LOSS;
    p->high = LEAST_LOSS;
    int rc = 0;
    for (int i = 0; i < p->count && rc == 0; i++) {
        rc = smooth(p, &p->curves[i]);
    }
    double room = fmax(pow(p->high / p->low, 0.03), p->high / p->low < 1.2 ? 1.1 : 1);
    p->low /= room;
    p->high *= room;
    p->low_log = log10(p->low);
    p->high_log = log10(p->high);
    return rc;
}

static double x_of(const struct plot *p, double pages) {
    return LEFT + (RIGHT - LEFT) * pages / (p->pages > 0 ? (double)p->pages : 1);
}

static double y_of(const struct plot *p, double loss) {
    return BOTTOM - (BOTTOM - TOP) * (log10(loss) - p->low_log) / (p->high_log - p->low_log);
}

/* ---- Drawing ------------------------------------------------------------------------- */

static void put_y_tick(struct plot *p, double loss) {
    if (loss >= p->low && loss <= p->high) {
        double y = y_of(p, loss);
        svg_put(&p->svg, "<path d=\"M%d %.1fH%d\" stroke=\"#e4e4e4\"/>", LEFT, y, RIGHT);
        svg_put(&p->svg, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", LEFT - 7,
                y + 4, loss);
    }
}

/* Round numbers, more of them in each decade the fewer decades there are. */
static void put_y_axis(struct plot *p) {
    static const double DIGITS[] = {1, 2, 5, 1.5, 3, 4, 7};
    double ratio = p->high / p->low;
    if (ratio < 5) {
        double step = svg_round_up((p->high - p->low) / 6);
        int last = (int)floor(p->high / step);
        for (int i = (int)ceil(p->low / step); i <= last; i++) {
            put_y_tick(p, i * step);
        }
    } else {
        int digits = ratio < 25 ? 7 : ratio < 1e4 ? 3 : 1;
        int last = (int)floor(p->high_log);
        for (int decade = (int)floor(p->low_log); decade <= last; decade++) {
            for (int i = 0; i < digits; i++) {
                put_y_tick(p, DIGITS[i] * pow(10, decade));
            }
        }
    }
    svg_put(&p->svg,
            "<text transform=\"translate(20 %d) rotate(-90)\" text-anchor=\"middle\">%s</text>\n",
            (TOP + BOTTOM) / 2, p->kind->axis);
}

static void put_x_axis(struct plot *p, int bottom) {
    static const char *const UNITS[] = {"", "k", "M", "G", "T", "P", "E"};
    double step = fmax(1, svg_round_up(fmax(1, (double)p->pages) / 8)), unit = 1;
    int name = 0;
    for (; step >= 1000 * unit && name < 6; name++) {
        unit *= 1000;
    }
    int last = (int)floor((double)p->pages / step);
    for (int i = 0; i <= last; i++) {
        double pages = i * step, x = x_of(p, pages);
        svg_put(&p->svg, "<path d=\"M%.1f %dV%d\" stroke=\"#e4e4e4\"/>", x, TOP, BOTTOM);
        if (bottom != BOTTOM) {
            svg_put(&p->svg, "<path d=\"M%.1f %dV%d\" stroke=\"#e4e4e4\"/>", x, RATE_TOP,
                    RATE_BOTTOM);
        }
        svg_put(&p->svg, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g%s</text>\n", x,
                bottom + 17, pages / unit, pages > 0 ? UNITS[name] : "");
    }
    svg_put(&p->svg, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s seen</text>\n",
            (LEFT + RIGHT) / 2, bottom + 36, p->kind->samples);
}

static void put_frame(struct plot *p, int top, int bottom) {
    svg_put(&p->svg, "<path d=\"M%d %dV%dH%dV%dZ\" fill=\"none\" stroke=\"#999\"/>\n", LEFT, top,
            bottom, RIGHT, top);
}

/* At most two points a pixel; a curve of one point is a dot. */
static void put_points(struct plot *p, const struct curve *c, bool losses, double highest) {
    double last = -1;
    int drawn = 0;
    for (size_t i = 0; i < c->count; i++) {
        double x = x_of(p, c->points[i].pages), value = c->points[i].value;
        double y =
            losses ? y_of(p, value) : RATE_BOTTOM - (RATE_BOTTOM - RATE_TOP - 4) * value / highest;
        if (x >= last + 0.5 || i + 1 == c->count) {
            svg_put(&p->svg, "%s%.1f %.1f", drawn == 0 ? "M" : drawn % 10 == 0 ? "\n" : " ", x, y);
            last = x;
            drawn++;
        }
    }
    if (drawn == 1) {
        svg_put(&p->svg, "h0\" stroke-linecap=\"round\" stroke-width=\"5");
    }
}

static void put_curve(struct plot *p, const struct curve *c) {
    svg_put(&p->svg, "<path fill=\"none\" stroke=\"%s\" stroke-linejoin=\"round\"", c->colour);
    if (c->count > 1) {
        svg_put(&p->svg, " stroke-width=\"%g\" stroke-dasharray=\"%s\"", c->width, c->dashes);
    }
    svg_put(&p->svg, " d=\"");
    put_points(p, c, true, 0);
    svg_put(&p->svg, "\"><title>%s</title></path>\n", c->name);
}

static double end_of(const struct curve *c) {
    return c->points[c->count - 1].value;
}

static int compare_ends(const void *a, const void *b) {
    const struct curve *const *left = a, *const *right = b;
    double x = end_of(*left), y = end_of(*right);
    return x > y ? -1 : x < y ? 1 : strcmp((*left)->name, (*right)->name);
}

/* Each name stands where its curve ends; those that would overlap are pushed apart. */
static void place_labels(const struct plot *p, struct curve **sorted) {
    double least = TOP + 4;
    for (int i = 0; i < p->count; i++) {
        sorted[i]->label = fmax(y_of(p, end_of(sorted[i])), least);
        least = sorted[i]->label + LABEL_STEP;
    }
    double most = BOTTOM;
    for (int i = p->count - 1; i >= 0; i--) {
        sorted[i]->label = fmin(sorted[i]->label, most);
        most = sorted[i]->label - LABEL_STEP;
    }
}

static void put_legend(struct plot *p) {
    struct curve *sorted[MOST_CURVES];
    for (int i = 0; i < p->count; i++) {
        sorted[i] = &p->curves[i];
    }
    qsort(sorted, (size_t)p->count, sizeof *sorted, compare_ends);
    place_labels(p, sorted);
    svg_put(&p->svg,
            "<text x=\"%d\" y=\"%d\" text-anchor=\"end\" fill=\"#666\">at the end</text>\n", VALUE,
            TOP - 17);
    for (int i = 0; i < p->count; i++) {
        const struct curve *c = sorted[i];
        double x = x_of(p, c->points[c->count - 1].pages), y = c->label;
        svg_put(&p->svg,
                "<path d=\"M%.1f %.1fL%d %.1f\" fill=\"none\" stroke=\"%s\" stroke-width=\"0.7\" "
                "opacity=\"0.6\"/>",
                x, y_of(p, end_of(c)), SAMPLE, y, c->colour);
        svg_put(
            &p->svg,
            "<path d=\"M%d %.1fh22\" stroke=\"%s\" stroke-width=\"2.4\" stroke-dasharray=\"%s\"/>",
            SAMPLE, y, c->colour, c->dashes);
        svg_put(&p->svg, "<text x=\"%d\" y=\"%.1f\">%s</text>", NAME, y + 4, c->name);
        svg_put(&p->svg, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%#.3g</text>\n", VALUE,
                y + 4, end_of(c));
    }
}

static void put_rate(struct plot *p) {
    double highest = 0;
    for (size_t i = 0; i < p->rate.count; i++) {
        highest = fmax(highest, p->rate.points[i].value);
    }
    put_frame(p, RATE_TOP, RATE_BOTTOM);
    svg_put(&p->svg, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%.2g</text>", LEFT - 7,
            RATE_TOP + 9, highest);
    svg_put(&p->svg, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">0</text>", LEFT - 7,
            RATE_BOTTOM + 2);
    svg_put(&p->svg, "<text x=\"%d\" y=\"%d\">learning rate</text>\n", RIGHT + 8,
            (RATE_TOP + RATE_BOTTOM) / 2 + 4);
    svg_put(&p->svg, "<path fill=\"none\" stroke=\"#444\" d=\"");
    put_points(p, &p->rate, false, highest > 0 ? highest : 1);
    svg_put(&p->svg, "\"><title>learning rate</title></path>\n");
}

static int draw(struct plot *p) {
    svg_begin(&p->svg, WIDTH, HEIGHT, LEFT, "Loss of a training run");
    svg_put(&p->svg, "<text x=\"%d\" y=\"49\" fill=\"#666\">%" PRId64 " %s", LEFT, p->pages,
            p->kind->samples);
    if (p->step > 0) {
        svg_put(&p->svg, " in %" PRId64 " steps", p->step);
    }
    if (p->half_window > 0) {
        svg_put(&p->svg, "; running means of %zu lines", 2 * p->half_window + 1);
    }
    svg_put(&p->svg, "</text>\n");
    bool with_rate = p->rate.count > 0;
    put_x_axis(p, with_rate ? RATE_BOTTOM : BOTTOM);
    put_y_axis(p);
    put_frame(p, TOP, BOTTOM);
    if (with_rate) {
        put_rate(p);
    }
    for (int i = 0; i < p->count; i++) {
        put_curve(p, &p->curves[i]);
    }
    put_legend(p);
    return svg_end(&p->svg);
}

int plot_training(struct bytes *out, const void *metrics, size_t size, struct plot_counts *counts,
                  struct error *e) {
    struct plot p = {.svg = {.out = out, .e = e}};
    *counts = (struct plot_counts){0};
    int rc = arena_open(&p.arena, MEMORY, e);
    if (rc == 0) {
        rc = read_lines(&p, metrics, size, counts);
    }
    if (rc == 0 && p.count == 0) {
        rc = counts->lines == 0
                 ? error_set(e, ERR_FORMAT, "is empty: no step has been recorded yet")
             : counts->left_out > 0
                 ? error_set(e, ERR_FORMAT, "is not the metrics of a training run: %s",
                             counts->first.text)
                 : error_set(e, ERR_FORMAT, "its lines hold no loss");
    }
    if (rc == 0) {
        rc = smooth_all(&p, counts->lines - counts->left_out);
    }
    if (rc == 0) {
        rc = draw(&p);
    }
    arena_close(p.arena);
    return rc;
}
