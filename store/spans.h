/* spans.h - which text each token of a page in cells shows: where it stands in the page's text, and
 * from which bytes of which source it comes.
 *
 * The store keeps it for a sample in `cells` (store.h), as JSON:
 *
 *     {"samples": ["banana/7301234567890123456", ...],
 *      "sources": [[0, "script.json", "/3/text"], ...],
 *      "pages": [{"lengths": [47, 60, ...], "ranges": [[0,0,47], [0,0,13,1,0,8], [], ...]}, ...]}
 *
 * samples, sources: those of .pages.json; a source is a sample, a member of it and the JSON pointer
 * of a string in that ("": a picture, which has no bytes). For each cell of a page, row by row:
 * how many bytes of the page's text are in it, and the ranges of sources that they come from, three
 * numbers each: by how much the source's number differs from that of the range before (0 before the
 * first of the page), by how much its first byte does from the byte after that range (from 0 where
 * the source is another), and its length; below 0 where those bytes are drawn as something else
 * (U+FFFD for what is ill-formed). Numbers are small that way: some 3 bytes a cell, once packed.
 *
 * Of k halvings of nested tokens (nest.h) token i stands for cells i * 2^k to (i + 1) * 2^k - 1.
 * What was drawn and encoded anew when it was forgotten has other cells, and means of a block of
 * tokens none. */
#ifndef OCC_STORE_SPANS_H
#define OCC_STORE_SPANS_H

#include <jansson.h>

#include "store/store.h"

/* Appends the JSON of what a .pages.json says; 1; 0: no page in it has cells. ERR_FORMAT. */
int spans_pack(struct bytes *out, const json_t *record, struct error *e);

struct span {
    const char *sample;           /* key */
    const char *member, *pointer; /* pointer "": a picture */
    uint32_t start, end;          /* bytes of the UTF-8 of the string */
    bool replaced;                /* they are drawn as something else */
};

struct spans; /* of a sample; texts of spans are its own */
/* From what the store keeps. ERR_FORMAT. */
int spans_open(struct spans **out, const void *json, size_t size, struct error *e);
void spans_close(struct spans *s); /* NULL is allowed */
/* Cells of a page; 0: it has none. */
int spans_cells(const struct spans *s, int page);

/* Bytes [*from, *to) of the page's text are in cells [first, end). */
void spans_text(const struct spans *s, int page, int first, int end, size_t *from, size_t *to);
/* The cell that byte `at` of the page's text is in; -1: none. */
int spans_find(const struct spans *s, int page, size_t at);
/* The ranges of cells [first, end) in order, those that adjoin as one; NULL: no memory. Valid until
 * the next call. */
const struct span *spans_list(struct spans *s, int page, int first, int end, size_t *count,
                              struct error *e);

/* Cells [*first, *end) that token `token` of a page of a store stands for. False: its tokens have
 * none, as said above. */
bool spans_of_token(const struct token_header *h, int token, int *first, int *end);
/* The token that a cell is in. */
int spans_token(const struct token_header *h, int cell);

#endif
