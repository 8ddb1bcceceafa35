/* pages.c - see pages.h. */
#include "compress/pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compress/image.h"
#include "compress/tiles.h"
#include "compress/trained.h"
#include "store/buffer.h"

struct page_encoder {
    const struct encoder *encoder;
    struct encoder_session *session;
    bool grey;            /* colours would be new to the encoder */
    bool cells;           /* it was trained on pages in cells */
    struct buffer pixels; /* of a batch, bytes */
};

void encoded_page_close(struct encoded_page *p) {
    for (int i = 0; i < VIEWS; i++) {
        free(p->views[i].tokens);
        p->views[i].tokens = NULL;
    }
    p->view_count = 0;
}

int page_encoder_open(struct page_encoder **out, const struct encoder *encoder, struct error *e) {
    *out = NULL;
    struct page_encoder *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return error_memory(e, NULL);
    }
    p->encoder = encoder;
    p->grey = encoder_is_grey(encoder);
    struct trained trained;
    trained_read(&trained, encoder);
    p->cells = trained.cells;
    trained_close(&trained);
    int rc = encoder_session_open(&p->session, encoder, e);
    if (rc < 0) {
        free(p);
        return rc;
    }
    *out = p;
    return 0;
}

void page_encoder_close(struct page_encoder *p) {
    if (p == NULL) {
        return;
    }
    encoder_session_close(p->session);
    buffer_free(&p->pixels);
    free(p);
}

/* Pictures of one size, one after another, as one tensor: those of one channel become three where
 * another has three. The memory is p's until the next call. */
static int join_pictures(struct page_encoder *p, const struct image *pictures, int count,
                         struct tensor *out, struct error *e) {
    int channels = 1;
    for (int i = 0; i < count; i++) {
        channels = pictures[i].channels > channels ? pictures[i].channels : channels;
    }
    size_t area = (size_t)pictures[0].width * (size_t)pictures[0].height;
    size_t each = area * (size_t)channels;
    int rc = buffer_reserve(&p->pixels, (size_t)count, each, e);
    if (rc < 0) {
        return error_context(e, "pages");
    }
    uint8_t *pixels = p->pixels.data;
    for (int i = 0; i < count; i++) {
        uint8_t *to = pixels + (size_t)i * each;
        if (pictures[i].channels == channels) {
            memcpy(to, pictures[i].pixels, each);
            continue;
        }
        for (size_t k = 0; k < each; k++) {
            to[k] = pictures[i].pixels[k / 3];
        }
    }
    *out = tensor_of(pixels, DTYPE_U8, NULL,
                     TENSOR_SHAPE(count, pictures[0].height, pictures[0].width, channels));
    return 0;
}

/* Encodes pixels (pages, height, width, channels); *tokens is the caller's. */
static int run(struct page_encoder *p, float **tokens, const struct tensor *pixels,
               int column_offsets, int64_t *rows, int64_t *columns, struct error *e) {
    const struct encoder_shape shape = {pixels->shape[0], pixels->shape[1], pixels->shape[2],
                                        column_offsets};
    int64_t dim = encoder_config(p->encoder)->token_dim;
    *tokens = NULL;
    int rc = encoder_grid(p->encoder, &shape, rows, columns, e);
    if (rc < 0) {
        return rc;
    }
    struct tensor to =
        tensor_of(NULL, DTYPE_F32, NULL, TENSOR_SHAPE(1, shape.batch, *rows * *columns, dim));
    *tokens = malloc(tensor_bytes(&to));
    if (*tokens == NULL) {
        return error_memory(e, "tokens");
    }
    to.data = *tokens;
    rc = encoder_run(p->session, &to, pixels, column_offsets, e);
    if (rc < 0) {
        free(*tokens);
        *tokens = NULL;
    }
    return rc;
}

/* ---- Pictures ----------------------------------------------------------------------- */

bool page_has_size(enum page_mode mode, bool cells, int width, int height) {
    int side = PAGE_SIZES[mode].side;
    bool strip = cells && mode != MODE_GUNDAM && height % CELL == 0 && height > 0 && height < side;
    return width == side && (height == side || strip);
}

static int refuse(const struct encoded_page *page, bool cells, const struct image *picture,
                  struct error *e) {
    int side = PAGE_SIZES[page->mode].side;
    char heights[64];
    snprintf(heights, sizeof heights, cells ? "%d to %d in steps of %d" : "%d", cells ? CELL : side,
             side, CELL);
    return error_set(e, ERR_FORMAT, "a page of %d x %d pixels; mode %s%s has %d x %s",
                     picture->width, picture->height, MODE_NAMES[page->mode],
                     cells ? " in cells" : "", side, heights);
}

/* Pages as they are; other pictures fitted to the mode, but one that an encoder of pages in cells
 * takes as a page. */
static int load_picture(const struct page_encoder *p, struct image *out, struct encoded_page *page,
                        struct error *e) {
    struct image picture;
    int rc = image_decode(&picture, page->data, page->size, e);
    if (rc < 0) {
        return rc;
    }
    if (p->grey) {
        image_grey(&picture);
    }
    bool cells = page->exact ? page->cells : p->cells;
    bool fits = page_has_size(page->mode, cells, picture.width, picture.height);
    page->cells = cells && fits && page->mode != MODE_GUNDAM;
    if (fits || page->mode == MODE_GUNDAM) {
        *out = picture;
        return 0;
    }
    rc = page->exact ? refuse(page, cells, &picture, e)
                     : image_fit(out, &picture, PAGE_SIZES[page->mode].side, e);
    image_close(&picture);
    return rc;
}

/* Encodes tiles; their tokens as one grid are the page's second view. */
static int encode_tiles(struct page_encoder *p, struct encoded_page *page,
                        const struct image *tiles, int columns, int rows) {
    struct tensor pixels;
    float *tokens = NULL;
    int64_t side = 0, across = 0, dim = encoder_config(p->encoder)->token_dim;
    int rc = join_pictures(p, tiles, columns * rows, &pixels, &page->error);
    if (rc == 0) {
        rc = run(p, &tokens, &pixels, 1, &side, &across, &page->error);
    }
    if (rc < 0) {
        return rc;
    }
    struct page_view *view = &page->views[1];
    view->rows = (int)side * rows;
    view->columns = (int)across * columns;
    view->tokens = malloc((size_t)(view->rows * view->columns * dim) * sizeof(float));
    if (view->tokens == NULL) {
        rc = error_memory(&page->error, "tokens");
    } else {
        tiles_join(view->tokens, tokens, rows, columns, side, dim);
        page->view_count = 2;
    }
    free(tokens);
    return rc;
}

static int cut_and_encode_tiles(struct page_encoder *p, struct encoded_page *page,
                                const struct image *picture, int columns, int rows) {
    struct image tiles[GUNDAM_TILES];
    int rc = image_tiles(tiles, picture, GUNDAM_TILE, columns, rows, &page->error);
    if (rc < 0) {
        return rc;
    }
    rc = encode_tiles(p, page, tiles, columns, rows);
    for (int i = 0; i < columns * rows; i++) {
        image_close(&tiles[i]);
    }
    return rc;
}

/* The picture as a whole: the page's first view. */
static int encode_global_view(struct page_encoder *p, struct encoded_page *page,
                              const struct image *picture) {
    struct image global;
    struct tensor pixels;
    int64_t rows = 0, columns = 0;
    int rc = image_letterbox(&global, picture, PAGE_SIZES[MODE_GUNDAM].side, &page->error);
    if (rc < 0) {
        return rc;
    }
    rc = join_pictures(p, &global, 1, &pixels, &page->error);
    image_close(&global);
    if (rc == 0) {
        rc = run(p, &page->views[0].tokens, &pixels, 1, &rows, &columns, &page->error);
    }
    page->views[0].rows = (int)rows;
    page->views[0].columns = (int)columns;
    page->view_count = rc == 0;
    return rc;
}

/* The global view, then the tiles where the picture is large enough for them. */
static int encode_gundam(struct page_encoder *p, struct encoded_page *page) {
    struct image picture;
    int columns, rows;
    int rc = load_picture(p, &picture, page, &page->error);
    if (rc < 0) {
        return rc;
    }
    rc = encode_global_view(p, page, &picture);
    image_grid(picture.width, picture.height, GUNDAM_TILE, GUNDAM_TILES, &columns, &rows);
    if (rc == 0 && columns * rows > 1) {
        rc = cut_and_encode_tiles(p, page, &picture, columns, rows);
    }
    image_close(&picture);
    return rc;
}

/* ---- Batches --------------------------------------------------------------------------- */

/* Loads pages of one mode; those that can be loaded are left in `loaded`, with their pictures. */
static int load_batch(struct page_encoder *p, struct encoded_page *const *pages, int count,
                      struct encoded_page **loaded, struct image *pictures) {
    int good = 0;
    for (int i = 0; i < count; i++) {
        pages[i]->rc = load_picture(p, &pictures[good], pages[i], &pages[i]->error);
        if (pages[i]->rc == 0) {
            loaded[good++] = pages[i];
        }
    }
    return good;
}

/* Gives each page its tokens of a batch's; the first takes over `tokens` itself. */
static void share(struct encoded_page *const *pages, int count, float *tokens, int64_t rows,
                  int64_t columns, int64_t dim) {
    size_t each = (size_t)(rows * columns * dim);
    for (int i = 0; i < count; i++) {
        struct encoded_page *page = pages[i];
        struct page_view *view = &page->views[0];
        view->tokens = i == 0 ? tokens : malloc(each * sizeof *view->tokens);
        if (view->tokens == NULL) {
            page->rc = error_memory(&page->error, "tokens");
            continue;
        }
        if (i > 0) {
            memcpy(view->tokens, tokens + (size_t)i * each, each * sizeof *tokens);
        }
        view->rows = (int)rows;
        view->columns = (int)columns;
        page->view_count = 1;
    }
}

/* Encodes pages of one mode whose pictures have one size. */
static void encode_pictures(struct page_encoder *p, struct encoded_page *const *pages,
                            const struct image *pictures, int count) {
    struct tensor pixels;
    struct error e = {0};
    float *tokens = NULL;
    int64_t rows = 0, columns = 0;
    int rc = join_pictures(p, pictures, count, &pixels, &e);
    if (rc == 0) {
        rc = run(p, &tokens, &pixels, PAGE_SIZES[pages[0]->mode].column_offsets, &rows, &columns,
                 &e);
    }
    for (int i = 0; i < count && rc < 0; i++) {
        pages[i]->rc = rc;
        pages[i]->error = e;
    }
    if (rc == 0) {
        share(pages, count, tokens, rows, columns, encoder_config(p->encoder)->token_dim);
    }
}

/* Pages of one mode: those in cells may have several heights, each of which goes through the
 * network by itself. */
static void encode_batch(struct page_encoder *p, struct encoded_page *const *pages, int count) {
    struct encoded_page *loaded[PAGES_BATCH], *same[PAGES_BATCH];
    struct image pictures[PAGES_BATCH], same_pictures[PAGES_BATCH];
    int left = load_batch(p, pages, count, loaded, pictures);
    while (left > 0) {
        int height = pictures[0].height, taken = 0, kept = 0;
        for (int i = 0; i < left; i++) {
            bool like = pictures[i].height == height;
            *(like ? &same[taken] : &loaded[kept]) = loaded[i];
            *(like ? &same_pictures[taken++] : &pictures[kept++]) = pictures[i];
        }
        encode_pictures(p, same, same_pictures, taken);
        for (int i = 0; i < taken; i++) {
            image_close(&same_pictures[i]);
        }
        left = kept;
    }
}

void pages_encode(struct page_encoder *p, struct encoded_page *const *pages, int count) {
    for (int i = 0; i < count;) {
        if (pages[i]->mode == MODE_GUNDAM) {
            pages[i]->rc = encode_gundam(p, pages[i]);
            i++;
            continue;
        }
        int end = i + 1;
        while (end < count && end - i < PAGES_BATCH && pages[end]->mode == pages[i]->mode) {
            end++;
        }
        encode_batch(p, pages + i, end - i);
        i = end;
    }
}
