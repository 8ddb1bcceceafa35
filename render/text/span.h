/* span.h - a piece of text that knows where it comes from. */
#ifndef OCC_RENDER_TEXT_SPAN_H
#define OCC_RENDER_TEXT_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Text from one source: the pager repeats the number and says which bytes of it were drawn where.
 * Source 0 is text that no source holds (marks, separators): it gets no box.
 *
 * Spans one after another with the same `isolate` are one isolate of UAX #9: they take their
 * direction from themselves, and what stands around them stays in its order. With isolates in it a
 * paragraph has the direction of those that lead; from left to right, if none says. */
struct span {
    const char *text;
    size_t size;
    uint32_t source;
    uint32_t start;   /* offset of `text` in its source, bytes */
    uint32_t isolate; /* 0: none */
    bool leads;       /* the isolate; all of its spans */
    bool glued;       /* no line ends before it, nor at its first spaces */
};

#endif
