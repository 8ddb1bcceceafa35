/* lines.h - a text line by line. */
#ifndef OCC_INGEST_CAPTIONS_LINES_H
#define OCC_INGEST_CAPTIONS_LINES_H

#include <stdbool.h>
#include <string.h>

struct caption_line {
    const char *start, *end; /* without the '\n' */
};

/* The line at *p < `end`; moves *p to the next one. */
static inline struct caption_line caption_line_next(const char **p, const char *end) {
    const char *newline = memchr(*p, '\n', (size_t)(end - *p));
    struct caption_line line = {*p, newline != NULL ? newline : end};
    *p = newline != NULL ? newline + 1 : end;
    return line;
}

static inline bool caption_line_is_blank(struct caption_line line) {
    const char *p = line.start;
    while (p < line.end && (unsigned char)*p <= ' ') {
        p++;
    }
    return p == line.end;
}

#endif
