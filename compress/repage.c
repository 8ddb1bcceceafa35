/* repage.c - see repage.h. */
#include "compress/repage.h"

#include <stdlib.h>

#include "compress/page_image.h"
#include "render/draw.h"

struct repager {
    struct store *s;
    enum repage_how how;
    const struct profile *profile;
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
    int rc = fonts_open(&r->fonts, r->profile->family, e);
    if (rc == 0) {
        rc = encoder_session_open(&r->session, encoder, e);
    }
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

/* ---- The page ------------------------------------------------------------------------ */

static int draw(struct repager *r, enum page_mode mode, const char *text, size_t size, int rows,
                int columns, struct error *e) {
    bool less = r->how == REPAGE_RENDER;
    const struct page_setup setup = {.mode = mode,
                                     .profile = r->profile,
                                     .fonts = r->fonts,
                                     .rows = less ? rows : 0,
                                     .columns = less ? columns : 0};
    return draw_text(&r->drawn, &setup, text, size, e);
}

/* The page drawn, in rows x columns cells: of its text as much as fits, or all of it, smaller. */
static int shrink_page(struct repager *r, int rows, int columns, struct image *small,
                       struct error *e) {
    int width = columns * CELL, height = rows * CELL;
    struct page *page = &r->drawn.page;
    if (r->how == REPAGE_RENDER) {
        if (width > page->width || height > page->height) {
            return error_set(e, ERR_UNSUPPORTED, "a page smaller than its tokens");
        }
        drawn_page_crop(&r->drawn, 0, 0, width, height);
        return page_image(small, page, e);
    }
    struct image whole;
    int rc = page_image(&whole, page, e);
    if (rc == 0) {
        rc = image_resize(small, &whole, width, height, e);
        image_close(&whole);
    }
    return rc;
}

/* ---- The operator -------------------------------------------------------------------- */

/* The drawn mode whose pages have this grid, or -1. */
static int mode_of(const struct token_header *h) {
    for (int i = 0; i < DRAWN_MODES; i++) {
        int mode = mode_named(DRAWN_MODE_NAMES[i]);
        if (h->full_rows == mode_rows((enum page_mode)mode) &&
            h->full_columns == mode_columns((enum page_mode)mode)) {
            return mode;
        }
    }
    return -1;
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

static int shrink(void *context, const struct token_record *record, const float *old, int rows,
                  int columns, float *tokens, struct error *e) {
    struct repager *r = context;
    int mode = mode_of(&record->header);
    size_t size;
    char *text = mode >= 0 ? text_of(r, record, &size) : NULL;
    (void)old;
    if (text == NULL) {
        return 0;
    }
    for (size_t i = 0; i < size && r->how == REPAGE_RENDER; i++) {
        text[i] = text[i] == '\n' ? ' ' : text[i]; /* rows of another width */
    }
    int rc = draw(r, (enum page_mode)mode, text, size, rows, columns, e);
    if (rc < 0 || !r->drawn.drawn) {
        return rc;
    }
    struct image small;
    rc = shrink_page(r, rows, columns, &small, e);
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
