/* repage.c - see repage.h. */
#include "compress/repage.h"

#include <stdlib.h>
#include <string.h>

#include "compress/image.h"
#include "render/page/page.h"

struct repager {
    struct store *s;
    enum repage_how how;
    const struct profile *profile;
    struct fonts *fonts;
    struct encoder_session *session;
    struct bytes text;
    struct image drawn; /* the first page; no pixels: none was finished */
    float *pixels;
    size_t pixels_size;
};

int repager_open(struct repager **out, struct store *s, const struct encoder *n,
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
    int rc = fonts_open(&r->fonts, r->profile->family, e);
    if (rc == 0) {
        rc = encoder_session_open(&r->session, n, e);
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
    image_close(&r->drawn);
    free(r->pixels);
    free(r);
}

/* ---- The page ----------------------------------------------------------------------- */

/* Keeps the first page; the others do not fit. */
static int keep_page(void *context, const struct page *page, struct error *e) {
    struct repager *r = context;
    if (r->drawn.rgb != NULL) {
        return 0;
    }
    size_t area = (size_t)page->width * (size_t)page->height;
    r->drawn.rgb = malloc(area * 3);
    if (r->drawn.rgb == NULL) {
        return error_memory(e, "a page");
    }
    r->drawn.width = page->width;
    r->drawn.height = page->height;
    for (size_t i = 0; i < area; i++) {
        memset(r->drawn.rgb + 3 * i, page->grey[i], 3);
    }
    return 0;
}

static int draw(struct repager *r, enum page_mode mode, const char *text, size_t size, int rows,
                int columns, struct error *e) {
    bool less = r->how == REPAGE_RENDER;
    const struct page_setup setup = {.mode = mode,
                                     .profile = r->profile,
                                     .fonts = r->fonts,
                                     .rows = less ? rows : 0,
                                     .columns = less ? columns : 0,
                                     .context = r,
                                     .done = keep_page};
    const struct span span = {.text = text, .size = size, .source = 1};
    struct pager *pager;
    image_close(&r->drawn);
    int rc = pager_open(&pager, &setup, e);
    if (rc < 0) {
        return rc;
    }
    rc = pager_text(pager, PART_SCRIPT, &span, 1, 0, e);
    if (rc == 0) {
        rc = pager_flush(pager, e);
    }
    pager_close(pager);
    return rc;
}

/* The upper left corner of the page drawn, in its place. */
static int crop(struct repager *r, int width, int height, struct error *e) {
    struct image *drawn = &r->drawn;
    if (width > drawn->width || height > drawn->height) {
        return error_set(e, ERR_UNSUPPORTED, "a page smaller than its tokens");
    }
    for (int y = 0; y < height; y++) {
        memmove(drawn->rgb + (size_t)y * (size_t)width * 3,
                drawn->rgb + (size_t)y * (size_t)drawn->width * 3, (size_t)width * 3);
    }
    drawn->width = width;
    drawn->height = height;
    return 0;
}

static int shrink_picture(struct repager *r, int width, int height, struct error *e) {
    struct image small;
    int rc = image_resize(&small, &r->drawn, width, height, e);
    if (rc == 0) {
        image_close(&r->drawn);
        r->drawn = small;
    }
    return rc;
}

static int encode(struct repager *r, float *tokens, struct error *e) {
    const struct encoder_shape shape = {1, r->drawn.height, r->drawn.width, 1};
    size_t count = (size_t)shape.height * (size_t)shape.width * 3;
    if (count > r->pixels_size) {
        free(r->pixels);
        r->pixels_size = 0;
        r->pixels = malloc(count * sizeof *r->pixels);
        if (r->pixels == NULL) {
            return error_memory(e, "a page");
        }
        r->pixels_size = count;
    }
    image_normalize(r->pixels, &r->drawn);
    return encoder_run(r->session, tokens, r->pixels, &shape, e);
}

/* ---- The operator ------------------------------------------------------------------------ */

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
    if (rc < 0 || r->drawn.rgb == NULL) {
        return rc;
    }
    rc = r->how == REPAGE_RENDER ? crop(r, columns * CELL, rows * CELL, e)
                                 : shrink_picture(r, columns * CELL, rows * CELL, e);
    if (rc == 0) {
        rc = encode(r, tokens, e);
    }
    return rc < 0 ? rc : 1;
}

struct forget_operator repager_operator(struct repager *r) {
    return (struct forget_operator){.shrunk_by =
                                        r->how == REPAGE_RENDER ? SHRINK_RENDER : SHRINK_RESIZE,
                                    .context = r,
                                    .shrink = shrink};
}
