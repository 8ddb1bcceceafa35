/* svg.c - see svg.h. */
#include "train/svg.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

void svg_put(struct svg *svg, const char *format, ...) {
    char text[512];
    va_list list;
    va_start(list, format);
    int size = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (svg->rc == 0) {
        svg->rc = size >= 0 && (size_t)size < sizeof text
                      ? bytes_append(svg->out, text, (size_t)size, svg->e)
                      : error_set(svg->e, ERR_LIMIT, "a text is too long");
    }
}

void svg_begin(struct svg *svg, int width, int height, int left, const char *title) {
    svg_put(svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
            "viewBox=\"0 0 %d %d\"\n font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\" "
            "font-size=\"12\" fill=\"#222\">\n<title>%s</title>\n",
            width, height, width, height, title);
    svg_put(svg, "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", width, height);
    svg_put(svg, "<text x=\"%d\" y=\"28\" font-size=\"17\">%s</text>\n", left, title);
}

int svg_end(struct svg *svg) {
    svg_put(svg, "</svg>\n");
    return svg->rc;
}

double svg_round_up(double value) {
    double unit = pow(10, floor(log10(value)));
    double digit = value / unit;
    return unit * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
}
