/* page.h - lays paragraphs and pictures out on pages.
 *
 * A pager fills one page after another, row by row, column by column, and hands over each page
 * when it is full. In a profile with cells it fills cell after cell, each row by row: the cell of
 * a mode is CELL pixels high and CELL / column_offsets wide (mode.h), and one visual token. Rows
 * break between any two grapheme clusters. Such a page is as high as the cells in use.
 *
 * What it is given is hostile: text may be any bytes. Ill-formed UTF-8 becomes
 * U+FFFD; control characters go; marks and characters without width go that are too many in a row
 * (clean.h); a cluster that is too long for a word (word.h) is cut. All this
 * is counted. Time and memory are linear in the text, whatever it is. */
#ifndef OCC_RENDER_PAGE_PAGE_H
#define OCC_RENDER_PAGE_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "render/page/picture.h"
#include "render/text/font.h"
#include "render/text/profile.h"
#include "render/text/span.h"
#include "store/bytes.h"

enum page_part {
    PART_HEADER,
    PART_THUMBS,
    PART_DESCRIPTION,
    PART_SCRIPT,
    PART_HASHTAGS,
    PART_COMMENTS,
    PART_AUDIO,
    PART_COUNT,
    PART_NONE = PART_COUNT /* text of source 0 that is no part of a sample */
};
extern const char *const PAGE_PARTS[PART_COUNT + 1]; /* their names, NULL at the end */

/* An area of the page and what is in it. For text: one row, and exactly the bytes [start, end) of
 * the source, in which nothing was left out or replaced (text with such places gives several boxes;
 * a replaced sequence has one of its own with `replaced`). In order of reading. */
struct page_box {
    int16_t x, y, width, height; /* pixels */
    uint8_t part;
    bool replaced;
    uint32_t source, start, end; /* a picture: start = end = 0 */
};

/* A drawn grapheme cluster (several, where the font makes one shape of them): what a training label
 * is made of. In order of reading (logical order within a row). */
struct page_cluster {
    int32_t x, advance;  /* 26.6 pixels from the left edge of the page; advance > 0 or 0 for spaces
                            of no width */
    int16_t y;           /* pixels: top of its row */
    uint32_t text, size; /* its bytes in the page's text */
};

/* Bytes of a source in a cell: [start, end), in which nothing was left out; start = end = 0: a
 * picture. With `replaced` they are drawn as something else (U+FFFD; a space for a tab; newlines
 * are not: a newline of any kind is '\n'). */
struct page_range {
    uint16_t cell; /* row-major */
    uint8_t part;
    bool replaced;
    uint32_t source, start, end;
    uint32_t number; /* of the page's ranges, in the order in which they were drawn */
};

struct page_missing {
    uint32_t code_point;
    int64_t count;
};

struct page_counts {
    int64_t characters;   /* code points drawn, spaces within rows included */
    int64_t rows;         /* with text */
    int64_t cells, inked; /* CELL x CELL areas of the page (in a profile with cells: its cells);
                             those with anything in them */
    int64_t ink;          /* sum of darkness (255 - grey) / 255 drawn as text, rounded down */
    int64_t clipped;      /* the part of it outside its row or the page, rounded up */
    int64_t replaced;     /* ill-formed sequences shown as U+FFFD */
    int64_t dropped;      /* characters left out: controls, floods of marks and of zero width */
};

/* A finished page: valid during the call of `done` only. */
struct page {
    int width, height;
    const uint8_t *grey; /* (height, width) */
    const uint8_t
        *rgb; /* (height, width, 3); NULL where no colour was asked for or there is none */
    /* UTF-8. The rows in order of reading, each ended by '\n'; on a page of cells the text as it
     * runs through them, where only a newline drawn as a sign is '\n'. */
    const char *text;
    size_t text_size;
    int columns;                     /* cells that a row of them may have; 0: no cells */
    const uint32_t *ends;            /* of each cell: where what it holds ends in the text */
    const struct page_range *ranges; /* of cells, in their order, then in that of the text */
    size_t range_count;
    const struct page_box *boxes;
    size_t box_count;
    const struct page_cluster *clusters; /* only where asked for */
    size_t cluster_count;
    const struct page_missing *missing; /* by code point */
    size_t missing_count;
    const uint64_t *fonts_used; /* bit i: font i of the setup's fonts was drawn with */
    struct page_counts counts;
};

/* The source of each box, in order of reading; on a page of cells, that of each range. */
static inline size_t page_source_count(const struct page *p) {
    return p->columns > 0 ? p->range_count : p->box_count;
}

static inline uint32_t page_source_at(const struct page *p, size_t i) {
    return p->columns > 0 ? p->ranges[i].source : p->boxes[i].source;
}

struct page_setup {
    enum page_mode mode;
    const struct profile *profile; /* must outlive the pager */
    const struct fonts *fonts;     /* likewise; shared by threads */
    bool color;                    /* keep colours of emoji and pictures: page.rgb */
    bool clusters;                 /* fill page.clusters */
    int rows, columns;             /* CELL x CELL areas of the page, from its upper left corner,
                                      that may be filled; 0: all */
    void *context;
    int (*done)(void *context, const struct page *page, struct error *e);
};

struct pager; /* opaque; one thread each */

int pager_open(struct pager **out, const struct page_setup *setup, struct error *e);
void pager_close(struct pager *p); /* NULL is allowed; an unfinished page is lost */

/* The language of the following text, BCP 47 ("ja", "zh-Hant"), or NULL: chooses among shapes of
 * the same character and, with "ja" and "zh", nothing else. */
void pager_language(struct pager *p, const char *language);

/* One paragraph: the texts of the spans one after another; newlines in it end lines. `indent` in
 * patches (for following lines too), at most PAGE_INDENT.
 *
 * In a profile with cells: text of another part than before, or after pager_clear, begins a new row
 * with the sign of that part (sign.h; PART_NONE, thumbs and audio have none); text of the same part
 * goes on where the last one ended. Newlines are drawn and end nothing but a paragraph of UAX #9.
 * `indent` is as many spaces before the text, which no source holds. */
enum { PAGE_INDENT = 8 };
int pager_text(struct pager *p, enum page_part part, const struct span *spans, size_t count,
               int indent, struct error *e);

/* Pictures side by side on the CELL grid of the page, in as many strips as they need: each is put
 * in the middle of the cells that it needs (its size divided by CELL, rounded up). Where a strip
 * leaves half of the column's width, the following text stands beside it.
 *
 * In a profile with cells strips begin below everything on the page, and the following text fills
 * the cells that the pictures leave free, from the first strip on. */
struct page_picture {
    const struct picture *picture;
    uint32_t source;
};
int pager_pictures(struct pager *p, enum page_part part, const struct page_picture *pictures,
                   size_t count, struct error *e);

/* Pixels that a picture may be wide and high at most: a column's whole cells. */
int pager_picture_width(const struct pager *p);

/* Empty rows; none at the top of a column, and none in a profile with cells. */
int pager_gap(struct pager *p, int rows, struct error *e);
/* Hands over the page unless it is empty. */
int pager_flush(struct pager *p, struct error *e);
/* The next text begins below the last pictures, not beside them; in a profile with cells it begins
 * a cell, and a part. */
int pager_clear(struct pager *p, struct error *e);

/* Whether the profile has cells. */
bool pager_has_cells(const struct pager *p);

/* The opened faces, for the record of fonts; see face.h. */
struct faces;
const struct faces *pager_faces(const struct pager *p);

#endif
