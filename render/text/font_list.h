/* font_list.h - the list of fonts in memory; for render/text/font*.c only. */
#ifndef OCC_RENDER_TEXT_FONT_LIST_H
#define OCC_RENDER_TEXT_FONT_LIST_H

#include <fontconfig/fontconfig.h>
#include <unicode/uscript.h>

#include "render/text/font.h"

enum { FONT_TEXT, FONT_COLOR, FONT_KINDS };
enum {
    FONT_CODE_POINTS = 0x110000,
    FONT_BLOCK = 256, /* code points */
    FONT_BLOCKS = FONT_CODE_POINTS / FONT_BLOCK,
    FONT_SCRIPTS = USCRIPT_CODE_LIMIT,
};

struct font_entry {
    struct font font;
    char *family, *path; /* owned: what font points to */
    FcCharSet *charset;  /* owned */
};

struct fonts {
    struct font_entry *entries;
    int count;
    size_t capacity;
    /* The first font of a kind that has a code point, as its index + 1; NULL: none in the block. */
    uint16_t *first[FONT_KINDS][FONT_BLOCKS];
    /* By script: the first font with about as many of its characters as any, as its index + 1. */
    uint16_t main[FONT_SCRIPTS];
};

/* Fills `main` for the entries. ERR_MEMORY. */
int fonts_find_main(struct fonts *f, struct error *e);

#endif
