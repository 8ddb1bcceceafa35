/* repage.c - see repage.h. */
#include "compress/repage.h"

#include <stdlib.h>
#include <string.h>

#include "render/draw.h"

enum { WHITE = 255 };

struct repager {
    struct store *s;
    enum repage_how how;
    const struct profile *profile; /* of pages that do not say */
    const char *family;            /* of the fonts */
    struct fonts *fonts;
    struct encoder_session *session;
    struct bytes text;
    struct drawn_page drawn;
};

int repager_open(struct repager **out, struct store *s, const struct encoder *encoder,
                 enum repage_how how, int profile, struct error *e) {
    *out = NULL;
    struct repager *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return error_memory(e, NULL);
    }
    r->s = s;
    r->how = how;
    r->profile = &PROFILES[profile];
    bytes_init(&r->text, STREAM_MEMBER_LIMIT);
    drawn_page_init(&r->drawn);
    int rc = encoder_session_open(&r->session, encoder, e);
    if (rc < 0) {
        repager_close(r);
        return rc;
    }
    *out = r;
    return 0;
}

void repager_close(struct repager *r) {
    if (r == NULL) {
        return;
    }
    encoder_session_close(r->session);
    fonts_close(r->fonts);
    bytes_close(&r->text);
    drawn_page_close(&r->drawn);
    free(r);
}

/* ---- What is drawn ------------------------------------------------------------------- */

static bool in_cells(const struct token_record *record) {
    return (record->header.layout & TOKEN_CELLS) != 0;
}

/* The drawn mode whose pages have this grid, or -1. */
static int mode_of(const struct token_record *record) {
    const struct token_header *h = &record->header;
    for (int i = 0; i < DRAWN_MODES; i++) {
        int mode = mode_named(DRAWN_MODE_NAMES[i]), rows = mode_rows((enum page_mode)mode);
        if (h->full_columns == mode_columns((enum page_mode)mode) &&
            (h->full_rows == rows || (in_cells(record) && h->full_rows < rows))) {
            return mode;
        }
    }
    return -1;
}

/* The profile of the page, or the one that was named; NULL: it is of another layout. */
static const struct profile *profile_of(const struct repager *r,
                                        const struct token_record *record) {
    const struct profile *profile = r->profile;
    for (int i = 0; i < PROFILE_COUNT; i++) {
        if (strncmp(record->header.profile, PROFILE_NAMES[i], TOKEN_PROFILE) == 0) {
            profile = &PROFILES[i];
        }
    }
    return profile->cells == in_cells(record) ? profile : NULL;
}

static int open_fonts(struct repager *r, const char *family, struct error *e) {
    if (r->fonts != NULL && strcmp(r->family, family) == 0) {
        return 0;
    }
    fonts_close(r->fonts);
    r->fonts = NULL;
    r->family = family;
    return fonts_open(&r->fonts, family, e);
}

/* The text of one page of a sample's, in r->text; NULL: there is none. */
static char *text_of(struct repager *r, const struct token_record *record, size_t *size) {
    bytes_clear(&r->text);
    if (store_get_text(r->s, record->key, &r->text, NULL) != 1 || r->text.size == 0) {
        return NULL;
    }
    const char *all = bytes_text(&r->text);
    const char *text = store_text_page(all, r->text.size, record->page, size);
    return text != NULL ? (char *)r->text.data + (text - all) : NULL;
}

/* ---- The page ------------------------------------------------------------------------ */

/* All of the text on a page of the mode or, to render less of it, as much as fits rows x columns
 * cells. These are tokens of one column offset: cells of mode hifi would be half as wide. */
static int draw(struct repager *r, enum page_mode mode, const struct profile *profile,
                const char *text, size_t size, int rows, int columns, struct error *e) {
    bool less = r->how == REPAGE_RENDER;
    const struct page_setup setup = {.mode = less && mode == MODE_HIFI ? MODE_LARGE : mode,
                                     .profile = profile,
                                     .fonts = r->fonts,
                                     .rows = less ? rows : 0,
                                     .columns = less ? columns : 0};
    return draw_text(&r->drawn, &setup, text, size, e);
}

/* The upper left corner of the page, white where the page ends before it: pages in cells are as
 * high as their text, and pictures are not drawn again. */
static int cut_page(struct image *out, const struct page *page, int width, int height,
                    struct error *e) {
    if (width > page->width) {
        return error_set(e, ERR_UNSUPPORTED, "a page smaller than its tokens");
    }
    int rc = image_new(out, width, height, 1, e);
    if (rc < 0) {
        return rc;
    }
    memset(out->pixels, WHITE, (size_t)width * (size_t)height);
    for (int y = 0; y < height && y < page->height; y++) {
        memcpy(out->pixels + (size_t)y * (size_t)width,
               page->grey + (size_t)y * (size_t)page->width, (size_t)width);
    }
    return 0;
}

/* The page drawn, in rows x columns cells: of its text as much as fits, or all of the page of
 * `full_rows`, smaller. */
static int shrink_page(struct repager *r, int full_rows, int rows, int columns, struct image *small,
                       struct error *e) {
    int width = columns * CELL, height = rows * CELL;
    const struct page *page = &r->drawn.page;
    if (r->how == REPAGE_RENDER) {
        return cut_page(small, page, width, height, e);
    }
    struct image whole;
    int rc = cut_page(&whole, page, page->width, full_rows * CELL, e);
    if (rc == 0) {
        rc = image_resize(small, &whole, width, height, e);
        image_close(&whole);
    }
    return rc;
}

/* ---- The operator -------------------------------------------------------------------- */

static int shrink(void *context, const struct token_record *record, const float *old, int rows,
                  int columns, float *tokens, struct error *e) {
    struct repager *r = context;
    const struct profile *profile = profile_of(r, record);
    int mode = mode_of(record);
    size_t size;
    char *text = mode >= 0 && profile != NULL ? text_of(r, record, &size) : NULL;
    (void)old;
    if (text == NULL) {
        return 0;
    }
    for (size_t i = 0; i < size && r->how == REPAGE_RENDER && !profile->cells; i++) {
        text[i] = text[i] == '\n' ? ' ' : text[i]; /* rows of another width */
    }
    int rc = open_fonts(r, profile->family, e);
    if (rc == 0) {
        rc = draw(r, (enum page_mode)mode, profile, text, size, rows, columns, e);
    }
    if (rc < 0 || !r->drawn.drawn) {
        return rc;
    }
    struct image small;
    rc = shrink_page(r, record->header.full_rows, rows, columns, &small, e);
    if (rc == 0) {
        rc = encoder_run_image(r->session, tokens, &small, 1, e);
        image_close(&small);
    }
    return rc < 0 ? rc : 1;
}

struct forget_operator repager_operator(struct repager *r) {
    return (struct forget_operator){.shrunk_by =
                                        r->how == REPAGE_RENDER ? SHRINK_RENDER : SHRINK_RESIZE,
                                    .context = r,
                                    .shrink = shrink};
}
