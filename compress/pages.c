/* pages.c - the second step of pages.h: pictures of one size go through the network together, as
 * many as the device's memory holds. */
#include "compress/pages.h"

#include <stdlib.h>
#include <string.h>

#include "compress/device_buffer.h"
#include "compress/tiles.h"

struct page_encoder {
    const struct encoder *encoder;
    struct encoder_session *session;
    struct page_rules rules;
    /* Bytes of the device that a run may take, and with which several pages went through when there
     * was less than that; 0: not known. */
    size_t memory, lately;
    /* Of the pictures that go together: bytes, and what comes back. */
    struct host_buffer pixels, tokens;
};

/* A picture on its way. */
struct picture {
    const struct image *image;
    struct encoded_page *page;
    int column_offsets;
    bool done;
    /* what came of it: */
    float *tokens; /* (rows, columns, token_dim); owned */
    int64_t rows, columns;
};

void encoded_page_close(struct encoded_page *p) {
    for (int i = 0; i < VIEWS; i++) {
        free(p->views[i].tokens);
        p->views[i].tokens = NULL;
    }
    p->view_count = 0;
}

int page_encoder_open(struct page_encoder **out, const struct encoder *encoder, size_t memory,
                      struct error *e) {
    *out = NULL;
    struct page_encoder *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return error_memory(e, NULL);
    }
    p->encoder = encoder;
    p->rules = page_rules_of(encoder);
    p->memory = p->lately = memory;
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
    host_buffer_release(&p->pixels, encoder_backend(p->encoder));
    host_buffer_release(&p->tokens, encoder_backend(p->encoder));
    encoder_session_close(p->session);
    free(p);
}

/* ---- Pictures of one size ---------------------------------------------------------------- */

static int channels_of(struct picture *const *pictures, int count) {
    int channels = 1;
    for (int i = 0; i < count; i++) {
        channels =
            pictures[i]->image->channels > channels ? pictures[i]->image->channels : channels;
    }
    return channels;
}

static struct encoder_shape shape_of(const struct picture *first, int count) {
    return (struct encoder_shape){count, first->image->height, first->image->width,
                                  first->column_offsets};
}

/* One after another, as one tensor: those of one channel become three where another has three. */
static int join(struct page_encoder *p, struct picture *const *pictures, int count,
                struct tensor *out, struct error *e) {
    const struct image *first = pictures[0]->image;
    const int channels = channels_of(pictures, count);
    const size_t each = (size_t)first->width * (size_t)first->height * (size_t)channels;
    int rc = host_buffer_reserve(&p->pixels, encoder_backend(p->encoder), (size_t)count, each, e);
    if (rc < 0) {
        return error_context(e, "pages");
    }
    uint8_t *pixels = p->pixels.data;
    for (int i = 0; i < count; i++) {
        const struct image *image = pictures[i]->image;
        uint8_t *to = pixels + (size_t)i * each;
        if (image->channels == channels) {
            memcpy(to, image->pixels, each);
            continue;
        }
        for (size_t k = 0; k < each; k++) {
            to[k] = image->pixels[k / 3];
        }
    }
    *out = tensor_of(pixels, DTYPE_U8, NULL,
                     TENSOR_SHAPE(count, first->height, first->width, channels));
    return 0;
}

static void fail(struct picture *const *pictures, int count, int rc, const struct error *e) {
    for (int i = 0; i < count; i++) {
        pictures[i]->page->rc = rc;
        pictures[i]->page->error = *e;
    }
}

/* Gives each its tokens of those that came back together. */
static void share(struct picture *const *pictures, int count, const float *tokens, int64_t rows,
                  int64_t columns, int64_t dim) {
    const size_t each = (size_t)(rows * columns * dim);
    for (int i = 0; i < count; i++) {
        struct picture *to = pictures[i];
        to->tokens = malloc(each * sizeof *tokens);
        if (to->tokens == NULL) {
            to->page->rc = error_memory(&to->page->error, "tokens");
            continue;
        }
        memcpy(to->tokens, tokens + (size_t)i * each, each * sizeof *tokens);
        to->rows = rows;
        to->columns = columns;
    }
}

/* ERR_MEMORY is the device's where it has memory of its own: nothing else here takes much. */
static int run(struct page_encoder *p, struct picture *const *pictures, int count,
               struct error *e) {
    const struct encoder_shape shape = shape_of(pictures[0], count);
    const int64_t dim = encoder_config(p->encoder)->token_dim;
    struct tensor pixels, tokens;
    int64_t rows, columns;
    int rc = encoder_grid(p->encoder, &shape, &rows, &columns, e);
    if (rc == 0) {
        rc = join(p, pictures, count, &pixels, e);
    }
    if (rc == 0) {
        tokens = tensor_of(NULL, DTYPE_F32, NULL, TENSOR_SHAPE(1, count, rows * columns, dim));
        rc = host_buffer_reserve(&p->tokens, encoder_backend(p->encoder), 1, tensor_bytes(&tokens),
                                 e);
    }
    if (rc == 0) {
        tokens.data = p->tokens.data;
        rc = encoder_run(p->session, &tokens, &pixels, shape.column_offsets, e);
    }
    if (rc == 0) {
        share(pictures, count, tokens.data, rows, columns, dim);
    }
    return rc;
}

/* ---- Memory of the device ------------------------------------------------------------------ */

static size_t bytes_of(const struct page_encoder *p, struct picture *const *pictures, int count) {
    const struct encoder_shape shape = shape_of(pictures[0], count);
    return encoder_run_bytes(p->encoder, &shape, channels_of(pictures, count));
}

/* How many of them there is room for, at least one. */
static int fitting(const struct page_encoder *p, struct picture *const *pictures, int count) {
    while (count > 1 && p->lately > 0 && bytes_of(p, pictures, count) > p->lately) {
        count--;
    }
    return count;
}

static bool is_too_large(const struct page_encoder *p, struct picture *const *picture) {
    return p->memory > 0 && bytes_of(p, picture, 1) > p->memory;
}

/* Of a picture that does not fit. */
static int refuse(const struct page_encoder *p, struct picture *const *picture, struct error *e) {
    const struct backend *backend = encoder_backend(p->encoder);
    const struct image *i = picture[0]->image;
    size_t left = p->memory;
    struct error unknown;
    if (!is_too_large(p, picture) && backend->memory_left(backend->number, &left, &unknown) < 0) {
        left = 0;
    }
    return error_set(
        e, ERR_LIMIT, "a picture of %d x %d pixels needs %.1f MB of GPU memory, and there are %.1f",
        i->width, i->height, (double)bytes_of(p, picture, 1) * 1e-6, (double)left * 1e-6);
}

/* Fewer and fewer, and what the session holds of other sizes is given back first. How many were
 * tried in the end. */
static int run_fewer(struct page_encoder *p, struct picture *const *pictures, int count, int *rc,
                     struct error *e) {
    bool last = false;
    while (*rc == ERR_MEMORY && !last) {
        last = count == 1;
        if (!last) {
            count /= 2;
            p->lately = bytes_of(p, pictures, count);
        }
        encoder_session_clear(p->session);
        *rc = run(p, pictures, count, e);
    }
    return count;
}

/* As many as the memory holds, and fewer where that was wrong: others may have taken some. How many
 * of them are done, with or without success. */
static int run_some(struct page_encoder *p, struct picture *const *pictures, int count) {
    struct error e = {0};
    const bool host = encoder_backend(p->encoder)->host_memory;
    int some = fitting(p, pictures, count);
    int rc = is_too_large(p, pictures) ? refuse(p, pictures, &e) : run(p, pictures, some, &e);
    if (rc == ERR_MEMORY && !host) {
        some = run_fewer(p, pictures, some, &rc, &e);
        rc = rc == ERR_MEMORY ? refuse(p, pictures, &e) : rc;
    }
    if (rc < 0) {
        fail(pictures, some, rc, &e);
    }
    return some;
}

/* ---- Pages ------------------------------------------------------------------------------- */

static bool go_together(const struct picture *a, const struct picture *b) {
    return a->image->width == b->image->width && a->image->height == b->image->height &&
           a->column_offsets == b->column_offsets;
}

static void run_all(struct page_encoder *p, struct picture *pictures, struct picture **same,
                    int count) {
    for (int i = 0; i < count; i++) {
        int taken = 0;
        for (int k = i; k < count; k++) {
            if (!pictures[k].done && go_together(&pictures[i], &pictures[k])) {
                pictures[k].done = true;
                same[taken++] = &pictures[k];
            }
        }
        for (int done = 0; done < taken;) {
            done += run_some(p, same + done, taken - done);
        }
    }
}

/* The views of a page of its pictures' tokens: the first, and all others as one grid. */
static int take_views(struct encoded_page *page, const struct loaded_page *l,
                      struct picture *pictures, int64_t dim) {
    const float *tiles[GUNDAM_TILES];
    const int64_t side = pictures[l->count - 1].rows;
    page->views[0] = (struct page_view){.tokens = pictures[0].tokens,
                                        .rows = (int)pictures[0].rows,
                                        .columns = (int)pictures[0].columns};
    pictures[0].tokens = NULL;
    page->view_count = 1;
    if (l->count == 1) {
        return 0;
    }
    struct page_view *view = &page->views[1];
    view->rows = (int)side * l->tile_rows;
    view->columns = (int)side * l->tile_columns;
    view->tokens = malloc((size_t)(view->rows * view->columns * dim) * sizeof *view->tokens);
    if (view->tokens == NULL) {
        return error_memory(&page->error, "tokens");
    }
    for (int i = 1; i < l->count; i++) {
        tiles[i - 1] = pictures[i].tokens;
    }
    tiles_join(view->tokens, tiles, l->tile_rows, l->tile_columns, side, dim);
    page->view_count = 2;
    return 0;
}

/* Of `all` pictures. */
static int run_pages(struct page_encoder *p, struct loaded_page *loaded, int count, int all,
                     struct error *e) {
    const int64_t dim = encoder_config(p->encoder)->token_dim;
    struct picture *pictures = calloc((size_t)all + 1, sizeof *pictures), *next = pictures;
    struct picture **same = calloc((size_t)all + 1, sizeof *same);
    int rc = pictures != NULL && same != NULL ? 0 : error_memory(e, "pages");
    for (int i = 0; i < count && rc == 0; i++) {
        struct encoded_page *page = loaded[i].page;
        for (int k = 0; k < loaded[i].count; k++) {
            *next++ = (struct picture){.image = &loaded[i].pictures[k],
                                       .page = page,
                                       .column_offsets = PAGE_SIZES[page->mode].column_offsets};
        }
    }
    if (rc == 0) {
        run_all(p, pictures, same, all);
    }
    next = pictures;
    for (int i = 0; i < count && rc == 0; i++) {
        struct encoded_page *page = loaded[i].page;
        if (loaded[i].count > 0 && page->rc == 0) {
            page->rc = take_views(page, &loaded[i], next, dim);
        }
        next += loaded[i].count;
    }
    for (int i = 0; i < all && rc == 0; i++) {
        free(pictures[i].tokens);
    }
    free(same);
    free(pictures);
    return rc;
}

void pages_encode(struct page_encoder *p, struct loaded_page *loaded, int count) {
    struct error e;
    int all = 0;
    for (int i = 0; i < count; i++) {
        all += loaded[i].count;
    }
    int rc = run_pages(p, loaded, count, all, &e);
    for (int i = 0; i < count; i++) {
        struct encoded_page *page = loaded[i].page;
        if (rc < 0 && page->rc == 0) {
            page->rc = rc;
            page->error = e;
        }
        loaded_page_close(&loaded[i]);
    }
}

void page_encode(struct page_encoder *p, struct encoded_page *page) {
    struct loaded_page loaded = {.page = page};
    page_load(&loaded, &p->rules);
    pages_encode(p, &loaded, 1);
}
