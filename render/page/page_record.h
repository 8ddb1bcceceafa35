/* page_record.h - the member .pages.json: what is on each page, and where.
 *
 *     {"mode": "base", "width": 1024, "height": 1024, "tokens": 256, "format": "pgm",
 *      "profile": {"name": "read10", "font": "DejaVu Sans", "hash": "0123456789abcdef", "size": 10,
 *                  "pitch": 16, "margin": 0},
 *      "samples": ["banana/7301234567890123456", ...],
 *      "sources": [{"sample": 0, "member": "script.json", "pointer": "/3/text"}, ...],
 *      "pages": [{"member": "p000.pgm", "characters": 3122, "rows": 64, "ink": 81234,
 *                 "clipped": 0, "tokens": 256, "inked_tokens": 250, "fill": 0.977,
 *                 "replaced": 0, "dropped": 0, "missing": {"U+E000": 2},
 *                 "fonts": [{"family": ..., "file": ..., "index": 0, "hash": ...}, ...],
 *                 "samples": [0, 1],
 *                 "boxes": [[x, y, width, height, "part", source, start, end], ...]}, ...]}
 *
 * In a profile with cells (profile.h) a page has two members more, before its boxes, which are of
 * pictures only:
 *
 *     "height": 128,
 *     "cells": [[["comments", 9, 0, 47]], [["comments", 9, 47, 60], ["comments", 10, 0, 8]], [],
 * ...]
 *
 * one list for each cell, row-major, which is the order of the visual tokens: width / 64 cells in a
 * row (hifi: width / 32), height / 64 rows. In it are the ranges that the cell shows, in the order
 * of the text: ["part", source, start, end], and "replaced" as the fifth where they are drawn as
 * something else (U+FFFD for bytes that are not UTF-8, a space for a tab). Bytes of a source that
 * no cell has were left out (control characters), or are in a cell of another page. A cell under a
 * picture has one range with start = end = 0. An empty list: nothing, or nothing but marks that no
 * source holds. "height" of the whole record is that of a full page; "tokens", "inked_tokens" and
 * "fill" of a page count its own cells.
 *
 * A box's text is bytes [start, end) of the UTF-8 of the JSON string that `pointer` (RFC 6901)
 * names in the member of the sample; a box of a picture has start = end = 0 and a source without
 * pointer. A box of a replaced sequence has a ninth element, "replaced".
 *
 * Samples and sources are numbered from 0 in the order in which boxes first name them; there are
 * no others in the lists. A page's "samples" are those of its boxes. "tokens" is what the encoder
 * makes of a page, "inked_tokens" the share of them that its areas with anything in them have,
 * "fill" that share, from 0 to 1. "ink" is the darkness of the text in black pixels, "clipped" what
 * of it was left out at the edges of rows and pages (an eighth of a pixel at the top of a letter is
 * not counted). "hash": XXH3 of a font's file, "file" its name without folder; the profile's "hash"
 * is null where no page was added, "size" is in pixels per em. */
#ifndef OCC_RENDER_PAGE_PAGE_RECORD_H
#define OCC_RENDER_PAGE_PAGE_RECORD_H

#include "render/page/page.h"
#include "render/page/page_file.h"
#include "render/page/page_source.h"

struct page_record; /* builds one .pages.json; opaque */

int page_record_open(struct page_record **out, const struct page_setup *setup,
                     enum page_format format, struct error *e);
void page_record_close(struct page_record *r);
void page_record_clear(struct page_record *r);

/* Adds a page; called while it is valid. ERR_USAGE for a box of no source. `sources` may grow from
 * page to page; cleared it may be only when the record was. */
int page_record_add(struct page_record *r, const struct page *page, const struct faces *faces,
                    const struct page_sources *sources, const char *member, struct error *e);

/* Appends the member and clears the record. */
int page_record_append(struct page_record *r, const struct page_sources *sources, struct bytes *out,
                       struct error *e);

#endif
