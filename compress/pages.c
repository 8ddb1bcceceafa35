/* pages.c - see pages.h. */
#include "compress/pages.h"

#include <stdlib.h>
#include <string.h>

#include "compress/image.h"
#include "compress/sequence.h"

struct page_encoder {
    const struct encoder *n;
    struct encoder_session *session;
    bool grey;     /* colours would be new to the encoder */
    float *pixels; /* of a batch */
    size_t pixels_size;
};

void encoded_page_close(struct encoded_page *p) {
    for (int i = 0; i < VIEWS; i++) {
        free(p->views[i].tokens);
        p->views[i].tokens = NULL;
    }
    p->view_count = 0;
}

int page_encoder_open(struct page_encoder **out, const struct encoder *n, struct error *e) {
    *out = NULL;
    struct page_encoder *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    p->n = n;
    p->grey = encoder_is_grey(n);
    int rc = encoder_session_open(&p->session, n, e);
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
    free(p->pixels);
    free(p);
}

static int get_pixels(struct page_encoder *p, size_t count, struct error *e) {
    if (count <= p->pixels_size) {
        return 0;
    }
    free(p->pixels);
    p->pixels_size = 0;
    p->pixels = malloc(count * sizeof *p->pixels);
    if (p->pixels == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory for pages");
    }
    p->pixels_size = count;
    return 0;
}

/* Encodes what is in p->pixels; *tokens is the caller's. */
static int run(struct page_encoder *p, float **tokens, const struct encoder_shape *shape,
               int64_t *rows, int64_t *columns, struct error *e) {
    *tokens = NULL;
    int rc = encoder_grid(p->n, shape, rows, columns, e);
    if (rc < 0) {
        return rc;
    }
    size_t count = (size_t)(shape->batch * *rows * *columns * encoder_config(p->n)->token_dim);
    *tokens = malloc(count * sizeof **tokens);
    if (*tokens == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory for tokens");
    }
    rc = encoder_run(p->session, *tokens, p->pixels, shape, e);
    if (rc < 0) {
        free(*tokens);
        *tokens = NULL;
    }
    return rc;
}

/* ---- Pictures ----------------------------------------------------------------------- */

static int load_picture(const struct page_encoder *p, struct image *out,
                        const struct encoded_page *page, struct error *e) {
    struct image picture;
    int side = PAGE_SIZES[page->mode].side, rc = image_decode(&picture, page->data, page->size, e);
    if (rc < 0) {
        return rc;
    }
    if (p->grey) {
        image_grey(&picture);
    }
    if (page->exact && (picture.width != side || picture.height != side)) {
        rc = error_set(e, ERR_FORMAT, "a page of %d x %d pixels; mode %s has %d x %d",
                       picture.width, picture.height, MODE_NAMES[page->mode], side, side);
    } else if (page->mode == MODE_GUNDAM || (picture.width == side && picture.height == side)) {
        *out = picture;
        return 0;
    } else {
        rc = image_fit(out, &picture, side, e);
    }
    image_close(&picture);
    return rc;
}

/* The tiles of a gundam page as one grid: its second view. */
static int encode_tiles(struct page_encoder *p, struct encoded_page *page,
                        const struct image *picture, int columns, int rows) {
    struct image tiles[GUNDAM_TILES];
    size_t area = (size_t)GUNDAM_TILE * GUNDAM_TILE * 3;
    int count = columns * rows;
    int rc = image_tiles(tiles, picture, GUNDAM_TILE, columns, rows, &page->error);
    if (rc < 0) {
        return rc;
    }
    rc = get_pixels(p, (size_t)count * area, &page->error);
    for (int i = 0; i < count; i++) {
        if (rc == 0) {
            image_normalize(p->pixels + (size_t)i * area, &tiles[i]);
        }
        image_close(&tiles[i]);
    }
    float *tokens = NULL;
    int64_t side, across, dim = encoder_config(p->n)->token_dim;
    const struct encoder_shape shape = {count, GUNDAM_TILE, GUNDAM_TILE, 1};
    if (rc == 0) {
        rc = run(p, &tokens, &shape, &side, &across, &page->error);
    }
    if (rc < 0) {
        return rc;
    }
    struct view *view = &page->views[1];
    view->rows = (int)side * rows;
    view->columns = (int)across * columns;
    view->tokens = malloc((size_t)(view->rows * view->columns * dim) * sizeof(float));
    if (view->tokens == NULL) {
        rc = error_set(&page->error, ERR_MEMORY, "out of memory for tokens");
    } else {
        sequence_join_tiles(view->tokens, tokens, rows, columns, side, dim);
        page->view_count = 2;
    }
    free(tokens);
    return rc;
}

/* The global view, then the tiles where the picture is large enough for them. */
static int encode_gundam(struct page_encoder *p, struct encoded_page *page) {
    struct image picture, global;
    int side = PAGE_SIZES[MODE_GUNDAM].side, columns, rows;
    int rc = load_picture(p, &picture, page, &page->error);
    if (rc < 0) {
        return rc;
    }
    rc = image_letterbox(&global, &picture, side, &page->error);
    if (rc == 0) {
        rc = get_pixels(p, (size_t)side * (size_t)side * 3, &page->error);
        if (rc == 0) {
            image_normalize(p->pixels, &global);
        }
        image_close(&global);
    }
    int64_t grid_rows = 0, grid_columns = 0;
    const struct encoder_shape shape = {1, side, side, 1};
    if (rc == 0) {
        rc = run(p, &page->views[0].tokens, &shape, &grid_rows, &grid_columns, &page->error);
    }
    page->views[0].rows = (int)grid_rows;
    page->views[0].columns = (int)grid_columns;
    page->view_count = rc == 0;
    image_grid(picture.width, picture.height, GUNDAM_TILE, GUNDAM_TILES, &columns, &rows);
    if (rc == 0 && columns * rows > 1) {
        rc = encode_tiles(p, page, &picture, columns, rows);
    }
    image_close(&picture);
    return rc;
}

/* ---- Batches --------------------------------------------------------------------------- */

/* Loads pages of one mode into p->pixels, one behind the other; those that can be loaded are left
 * in `loaded`. */
static int load_batch(struct page_encoder *p, struct encoded_page *const *pages, int count,
                      struct encoded_page **loaded) {
    size_t side = (size_t)PAGE_SIZES[pages[0]->mode].side, area = side * side * 3;
    int good = 0;
    for (int i = 0; i < count; i++) {
        struct image picture;
        struct encoded_page *page = pages[i];
        page->rc = get_pixels(p, (size_t)count * area, &page->error);
        if (page->rc == 0) {
            page->rc = load_picture(p, &picture, page, &page->error);
        }
        if (page->rc == 0) {
            image_normalize(p->pixels + (size_t)good * area, &picture);
            image_close(&picture);
            loaded[good++] = page;
        }
    }
    return good;
}

/* Shares the tokens of a batch among its pages. */
static void share(struct encoded_page *const *pages, int count, const float *tokens, int64_t rows,
                  int64_t columns, int64_t dim) {
    size_t each = (size_t)(rows * columns * dim);
    for (int i = 0; i < count; i++) {
        struct encoded_page *page = pages[i];
        struct view *view = &page->views[0];
        view->tokens = malloc(each * sizeof *view->tokens);
        if (view->tokens == NULL) {
            page->rc = error_set(&page->error, ERR_MEMORY, "out of memory for tokens");
            continue;
        }
        memcpy(view->tokens, tokens + (size_t)i * each, each * sizeof *tokens);
        view->rows = (int)rows;
        view->columns = (int)columns;
        page->view_count = 1;
    }
}

static void encode_batch(struct page_encoder *p, struct encoded_page *const *pages, int count) {
    struct encoded_page *loaded[PAGES_BATCH];
    int good = load_batch(p, pages, count, loaded);
    if (good == 0) {
        return;
    }
    const struct page_size *mode = &PAGE_SIZES[pages[0]->mode];
    const struct encoder_shape shape = {good, mode->side, mode->side, mode->column_offsets};
    struct error e = {0};
    float *tokens = NULL;
    int64_t rows, columns;
    int rc = run(p, &tokens, &shape, &rows, &columns, &e);
    if (rc < 0) {
        for (int i = 0; i < good; i++) {
            loaded[i]->rc = rc;
            loaded[i]->error = e;
        }
        return;
    }
    share(loaded, good, tokens, rows, columns, encoder_config(p->n)->token_dim);
    free(tokens);
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
