/* html_reference.h - character references: &amp; &eacute; &#233; &#xE9;
 *
 * Source: the HTML standard, 13.2.5.72 ff. ("Character reference state"), which WebVTT refers
 * to. */
#ifndef OCC_INGEST_CAPTIONS_HTML_REFERENCE_H
#define OCC_INGEST_CAPTIONS_HTML_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads the reference whose '&' is at `p` < `end`. Returns its size in bytes and its one or two
 * code points (c[1] is 0 for one); 0 where the '&' is only that. As in HTML, numbers and the oldest
 * names need no semicolon, unless it is `strict`; numbers that are not characters become U+FFFD, or
 * with `strict` no reference. */
size_t html_reference_read(const char *p, const char *end, bool strict, uint32_t c[2]);

/* html_names.c: the table, sorted. */
extern const char *const html_names[];
extern const size_t html_name_lines;

#endif
