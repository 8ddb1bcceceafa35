/* content.h - which parts of a sample go onto pages, and in which order.
 *
 * Reads the members of a sample as `occ ingest` writes them (.json, .script.json, .comments.json,
 * .NNN.jpg, .mel.pgm) and gives them to a pager part by part:
 *
 *     header       @account · 2026-05-01 · 1.2M views · 34K likes · 120 comments
 *     thumbs       the pictures, CELL x CELL at most
 *     description  title, unless it only repeats the beginning of the description; description
 *     script       the cues as one paragraph; newlines in them are spaces
 *     hashtags     those that title and description do not show
 *     comments     author: text ♥1.2K
 *     audio        the log-mel picture, as wide as a column
 *
 * Comments come by likes, pinned ones first, answers below what they answer; a star stands after
 * the author who made the clip. Names, texts, hashtags and cues are isolates of UAX #9: whichever
 * way they run, they keep their order, and what they leave open ends with them. A comment has the
 * direction of its text, a script that of its cues. No rows are left empty: they would be tokens
 * without content.
 *
 * In a profile with cells texts are drawn as they are, newlines and blanks included; a sample
 * begins a cell, its thumbnails come first whatever the order of parts; each part begins with its
 * sign (page.h), title and comments end with a newline's, and so does what one speaker says before
 * another; answers have as many spaces before them as they are deep. */
#ifndef OCC_RENDER_CONTENT_CONTENT_H
#define OCC_RENDER_CONTENT_CONTENT_H

#include <jansson.h>

#include "render/page/page.h"
#include "render/page/page_source.h"
#include "store/stream.h"

/* MARKS_TIME: "[m:ss] " before the first sentence, and of each that begins 10 s or more after
 * the last mark. MARKS_SPEAKER: "NAME: " and a new line where another one goes on. */
enum content_marks { MARKS_NONE, MARKS_TIME, MARKS_SPEAKER };

struct content_options {
    uint8_t parts[PART_COUNT]; /* enum page_part, in the order wanted */
    int part_count;
    int marks; /* enum content_marks: what is put before the script's sentences */
    /* Comments per sample at most; 0: no limit. The branches with the most liked comments are
     * chosen; an answer is never there without what it answers. */
    int64_t comments;
    int64_t thumbs; /* likewise, the first ones that can be decoded */
};

/* "header,thumbs,script": the parts in this order. ERR_USAGE names what is wrong. */
int content_parse_parts(struct content_options *o, const char *list, struct error *e);

/* Puts one sample onto pages. Members that cannot be read are left out and reported in `warnings`
 * (JSON array of strings, appended). Fails only as pager_* and arena_* do. The trees that spans
 * point into live until the function returns; the sources' texts are in sources->arena. */
int content_layout(struct pager *p, const struct stream_sample *sample,
                   const struct content_options *options, struct page_sources *sources,
                   json_t *warnings, struct error *e);

#endif
