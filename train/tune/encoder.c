/* encoder.c - an encoder that learns along: the visual tokens of a row are made from the pictures
 * of its pages, and what the row's loss says of them goes back through these.
 *
 * A row takes three passes over the tape, so that no more than a page or the row is on it at a
 * time, whatever the number of pages:
 *
 *   1  its pages go forward; the numbers of the tokens that the row shows are kept
 *   2  the row goes forward and back, down to these numbers
 *   3  the pages go forward again, and back from the gradients of their tokens
 *
 * Small pages of one size go together, as many as make up the largest page of all.
 * What packing in a store would round is left out. */
#include <stdlib.h>
#include <string.h>

#include "compress/image.h"
#include "compress/ops.h"
#include "store/array.h"
#include "store/buffer.h"
#include "train/encoder/encoder_tape.h"
#include "train/tune/task.h"

/* A place in the row's numbers that a page fills, and gets a gradient from. */
struct shown {
    struct page_image image; /* of the page */
    uint32_t page, token;
    int group;
    int64_t at;    /* floats of the group */
    int64_t count; /* numbers */
};

/* Pages of one size that go through the encoder together: [first, end) of what is shown. */
struct together {
    size_t first, end;
    int64_t pages;
    struct page_image image;
};

struct tune_encoded {
    const struct tune_task *task;
    const struct layout_space *space;
    struct shown *shown; /* of the row, by size and page */
    size_t shown_count, shown_capacity;
    struct buffer cells;                                        /* struct layout_cell, of a group */
    struct buffer numbers[BRIDGE_AGES], gradients[BRIDGE_AGES]; /* floats of groups */
    struct tensor on_tape[BRIDGE_AGES]; /* of gradients, in the second pass */
    struct texts unpacker;
    struct bytes bytes;           /* of a page */
    struct buffer pixels, tokens; /* of pages; their tokens' numbers or gradients */
};

int tune_encoded_open(struct tune_encoded **out, const struct tune_task *k,
                      const struct layout_space *space, struct error *e) {
    struct tune_encoded *m = *out = calloc(1, sizeof *m);
    if (m == NULL) {
        return error_memory(e, "a training thread");
    }
    m->task = k;
    m->space = space;
    bytes_init(&m->bytes, TEXT_LIMIT);
    return texts_open(&m->unpacker, e); /* what there is the caller closes */
}

void tune_encoded_close(struct tune_encoded *m) {
    if (m == NULL) {
        return;
    }
    for (int i = 0; i < BRIDGE_AGES; i++) {
        buffer_free(&m->numbers[i]);
        buffer_free(&m->gradients[i]);
    }
    free(m->shown);
    buffer_free(&m->cells);
    texts_close(&m->unpacker);
    bytes_close(&m->bytes);
    buffer_free(&m->pixels);
    buffer_free(&m->tokens);
    free(m);
}

/* ---- What the row shows ---------------------------------------------------------------------- */

static int order_of(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

static int compare_images(const struct page_image *a, const struct page_image *b) {
    int order = order_of(a->height, b->height);
    order = order != 0 ? order : order_of(a->width, b->width);
    return order != 0 ? order : order_of(a->column_offsets, b->column_offsets);
}

static int compare_shown(const void *a, const void *b) {
    const struct shown *x = a, *y = b;
    int order = compare_images(&x->image, &y->image);
    order = order != 0 ? order : order_of(x->page, y->page);
    order = order != 0 ? order : order_of(x->token, y->token);
    return order != 0 ? order : order_of(x->group, y->group);
}

/* The cells of a group: `count` tokens of 1 << bucket cells. */
static int list_group(struct tune_encoded *m, int group, const struct context_visual *v,
                      struct error *e) {
    const int64_t dim = m->task->bridge.dim, cells = v->count << v->bucket;
    int rc = buffer_reserve(&m->cells, (size_t)cells + 1, sizeof(struct layout_cell), e);
    if (rc < 0) {
        return rc;
    }
    const struct page_images *images = m->task->data.images;
    const struct layout_cell *cell = m->cells.data;
    struct shown *list = array_grow(m->shown, &m->shown_capacity,
                                    m->shown_count + (size_t)cells + 1, sizeof *list, e);
    if (list == NULL) {
        return ERR_MEMORY;
    }
    m->shown = list;
    layout_cells(m->space, v->bucket, m->cells.data);
    for (int64_t i = 0; i < cells; i++) {
        if (cell[i].page != LAYOUT_NO_PAGE) {
            list[m->shown_count++] = (struct shown){.image = page_images_get(images, cell[i].page),
                                                    .page = cell[i].page,
                                                    .token = cell[i].token,
                                                    .group = group,
                                                    .at = i * (dim >> v->bucket),
                                                    .count = dim >> v->bucket};
        }
    }
    return 0;
}

/* Copies of the row's groups, and what of them is to be made. */
static int list_row(struct tune_encoded *m, const struct context_row *row, struct error *e) {
    const size_t dim = (size_t)m->task->bridge.dim;
    int rc = 0;
    m->shown_count = 0;
    for (int i = 0; i < (int)row->visual_count && rc == 0; i++) {
        const struct context_visual *v = &row->visual[i];
        const size_t count = (size_t)v->count * dim;
        rc = buffer_reserve(&m->numbers[i], count + 1, sizeof(float), e);
        rc = rc == 0 ? buffer_reserve(&m->gradients[i], count + 1, sizeof(float), e) : rc;
        if (rc == 0) {
            memcpy(m->numbers[i].data, v->numbers, count * sizeof(float));
            rc = m->space != NULL ? list_group(m, i, v, e) : 0; /* a rehearsal has no pages */
        }
    }
    if (m->shown_count > 0) {
        qsort(m->shown, m->shown_count, sizeof *m->shown, compare_shown);
    }
    return rc;
}

/* ---- Pages ----------------------------------------------------------------------------------- */

/* As many as are no larger than the largest page of all, from `first` on; false: there are none. */
static bool next_together(const struct tune_encoded *m, size_t first, struct together *out) {
    const struct shown *s = m->shown;
    if (first >= m->shown_count) {
        return false;
    }
    const struct page_image most = page_images_largest(m->task->data.images);
    *out = (struct together){.first = first, .end = first, .image = s[first].image};
    const int64_t room =
        (int64_t)most.width * most.height / ((int64_t)out->image.width * out->image.height);
    out->pages = 1;
    for (out->end++; out->end < m->shown_count; out->end++) {
        const bool is_new = s[out->end].page != s[out->end - 1].page;
        if (compare_images(&s[out->end].image, &out->image) != 0 ||
            (is_new && out->pages >= room)) {
            break;
        }
        out->pages += is_new;
    }
    return true;
}

/* As encoder_run has it: three channels, in [-1, 1]. */
static int load_page(struct tune_encoded *m, size_t page, float *to, struct error *e) {
    const struct page_image image = page_images_get(m->task->data.images, page);
    const size_t area = (size_t)image.width * (size_t)image.height;
    bytes_clear(&m->bytes);
    int rc = page_images_load(m->task->data.images, page, &m->unpacker, &m->bytes, e);
    const unsigned char *bytes = m->bytes.data;
    for (size_t i = 0; i < 3 * area && rc == 0; i++) {
        const unsigned char value = bytes[image.channels == 1 ? i / 3 : i];
        to[i] = ((float)value / 255 - IMAGE_MEAN) / IMAGE_DEVIATION;
    }
    return rc;
}

static int load_pages(struct tune_encoded *m, const struct together *g, struct error *e) {
    const size_t size = 3 * (size_t)g->image.width * (size_t)g->image.height;
    int rc = buffer_reserve(&m->pixels, (size_t)g->pages * size, sizeof(float), e);
    float *to = m->pixels.data;
    for (size_t i = g->first; i < g->end && rc == 0; i++) {
        if (i == g->first || m->shown[i].page != m->shown[i - 1].page) {
            rc = load_page(m, m->shown[i].page, to, e);
            to += size;
        }
    }
    return rc;
}

static struct node *find_still(const void *context, struct tape *t, const char *name) {
    const struct tape_source *of = context;
    return tape_still(t, of->find(of->context, t, name));
}

/* Their tokens, on a tape that has nothing else. */
static struct node *encode(const struct tune_encoded *m, const struct tape_source *source,
                           const struct together *g, struct tape *t) {
    struct encoder_stages stages = {.tokens = NULL};
    const struct tensor host =
        tensor_of(m->pixels.data, DTYPE_F32, NULL,
                  TENSOR_SHAPE(g->pages, g->image.height, g->image.width, 3));
    tape_begin(t);
    struct tensor *pixels = tape_host(t, 1, sizeof *pixels);
    if (pixels != NULL) {
        *pixels = tape_upload(t, &host);
    }
    if (tape_status(t, NULL) == 0) {
        encoder_tape(&m->task->encoder_config, source, t, pixels, g->image.column_offsets,
                     STAGE_TOKENS, &stages);
    }
    return stages.tokens;
}

/* From the device, whatever they are stored as. */
static int fetch(struct buffer *to, const struct node *x, struct tape *t, struct error *e) {
    const struct tensor from = tensor_as_matrix(&x->value);
    const size_t count = (size_t)tensor_count(&from);
    int rc = buffer_reserve(to, count, sizeof(float), e);
    void *data = rc == 0 ? tape_host(t, count, dtype_size(from.type)) : NULL;
    if (data == NULL) {
        return rc < 0 ? rc : tape_status(t, e);
    }
    const struct tensor host = tensor_of(data, from.type, NULL, from.shape);
    rc = tape_device(t)->ops->download(tape_device(t), &host, &from, e);
    if (rc == 0) {
        dtype_to_float(to->data, data, from.type, count);
    }
    return rc;
}

/* Where the numbers of s[i] are among those of the tokens of `g`, `tokens` of each page; *page: of
 * `g`, that of the one before, -1 for the first. */
static float *place_of(const struct tune_encoded *m, const struct together *g, size_t i,
                       int64_t tokens, int64_t *page) {
    *page += i == g->first || m->shown[i].page != m->shown[i - 1].page;
    return (float *)m->tokens.data + (*page * tokens + m->shown[i].token) * m->task->bridge.dim;
}

/* ---- First pass ------------------------------------------------------------------------------ */

static int make_pages(struct tune_encoded *m, const struct tune_pass *p, const struct together *g,
                      struct tape *t, struct error *e) {
    const struct tape_source still = {.find = find_still, .context = p->source};
    int rc = load_pages(m, g, e);
    const struct node *tokens = rc == 0 ? encode(m, &still, g, t) : NULL;
    if (tokens == NULL) {
        return rc < 0 ? rc : tape_status(t, e);
    }
    const int64_t each = tensor_rows(&tokens->value) / g->pages;
    int64_t page = -1;
    rc = fetch(&m->tokens, tokens, t, e);
    for (size_t i = g->first; i < g->end && rc == 0; i++) {
        const struct shown *s = &m->shown[i];
        memcpy((float *)m->numbers[s->group].data + s->at, place_of(m, g, i, each, &page),
               (size_t)s->count * sizeof(float));
    }
    return rc;
}

int tune_encoded_make(struct tune_encoded *m, const struct tune_pass *p,
                      const struct context_row *row, struct tape *t, struct error *e) {
    struct together g = {.end = 0};
    int rc = list_row(m, row, e);
    while (rc == 0 && next_together(m, g.end, &g)) {
        rc = make_pages(m, p, &g, t, e);
    }
    return rc;
}

/* ---- Second pass ----------------------------------------------------------------------------- */

struct node *tune_encoded_embed(struct tune_encoded *m, const struct context_network *n,
                                const struct decoder_parts *parts, struct tape *t,
                                const struct context_row *row, bool back) {
    struct bridge_group groups[BRIDGE_AGES];
    struct error e;
    for (int i = 0; i < (int)row->visual_count; i++) {
        const struct tensor host = tensor_matrix(m->numbers[i].data, DTYPE_F32, NULL,
                                                 row->visual[i].count, n->bridge->dim);
        const struct tensor x = tape_upload(t, &host);
        struct tensor *gradient = &m->on_tape[i];
        *gradient = back ? tape_space(t, &host) : (struct tensor){.data = NULL};
        if (tape_status(t, NULL) < 0) {
            return NULL;
        }
        if (back) {
            int rc = tape_device(t)->ops->fill(tape_device(t), gradient, 0, &e);
            if (rc < 0) {
                tape_fail(t, rc, &e);
                return NULL;
            }
        }
        groups[i] = (struct bridge_group){.bucket = row->visual[i].bucket,
                                          .x = tape_input(t, &x, back ? gradient : NULL)};
    }
    return context_embed_groups(n, parts, t, row, groups, (size_t)row->visual_count);
}

/* ---- Third pass ------------------------------------------------------------------------------ */

/* The gradients of all groups, while they are on the tape. */
static int keep_gradients(struct tune_encoded *m, const struct context_row *row, struct tape *t,
                          struct error *e) {
    int rc = 0;
    for (int i = 0; i < (int)row->visual_count && rc == 0; i++) {
        const struct tensor host =
            tensor_of(m->gradients[i].data, DTYPE_F32, NULL, m->on_tape[i].shape);
        rc = tape_device(t)->ops->download(tape_device(t), &host, &m->on_tape[i], e);
    }
    return rc;
}

/* What the tokens of pages get, `each` of them; their numbers may be in several groups. */
static int gather(struct tune_encoded *m, const struct together *g, int64_t each, struct error *e) {
    const size_t count = (size_t)(g->pages * each * m->task->bridge.dim);
    int64_t page = -1;
    int rc = buffer_reserve(&m->tokens, count, sizeof(float), e);
    if (rc < 0) {
        return rc;
    }
    memset(m->tokens.data, 0, count * sizeof(float));
    for (size_t i = g->first; i < g->end; i++) {
        const struct shown *s = &m->shown[i];
        const float *from = (const float *)m->gradients[s->group].data + s->at;
        float *to = place_of(m, g, i, each, &page);
        for (int64_t k = 0; k < s->count; k++) {
            to[k] += from[k];
        }
    }
    return 0;
}

/* Forward again, and back from the gradients. */
static int go_back(struct tune_encoded *m, const struct tune_pass *p, const struct together *g,
                   struct tape *t, struct error *e) {
    struct node *tokens = encode(m, p->source, g, t);
    if (tokens == NULL) {
        return tape_status(t, e);
    }
    const struct tensor as = tensor_as_matrix(&tokens->value);
    int rc = gather(m, g, tensor_rows(&as) / g->pages, e);
    if (rc < 0) {
        return rc;
    }
    const struct tensor host = tensor_of(m->tokens.data, DTYPE_F32, NULL, as.shape);
    const struct tensor gradient = tape_upload(t, &host);
    if (gradient.data != NULL) {
        tape_backward_from(t, tokens, &gradient);
    }
    return tape_backward(t, e);
}

int tune_encoded_teach(struct tune_encoded *m, const struct tune_pass *p,
                       const struct context_row *row, struct tape *t, struct error *e) {
    struct together g = {.end = 0};
    int rc = keep_gradients(m, row, t, e);
    while (rc == 0 && next_together(m, g.end, &g)) {
        rc = load_pages(m, &g, e);
        rc = rc == 0 ? go_back(m, p, &g, t, e) : rc;
    }
    return rc;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

int tune_encoded_rehearse(struct tune_encoded *m, const struct tune_pass *p,
                          const struct page_image *image, struct tape *t, struct error *e) {
    const struct tape_source still = {.find = find_still, .context = p->source};
    const struct together g = {.pages = 1, .image = *image};
    const size_t count = 3 * (size_t)image->width * (size_t)image->height;
    int rc = buffer_reserve(&m->pixels, count, sizeof(float), e);
    if (rc < 0) {
        return rc;
    }
    memset(m->pixels.data, 0, count * sizeof(float));
    const struct node *tokens = encode(m, &still, &g, t);
    return tokens != NULL ? go_back(m, p, &g, t, e) : tape_status(t, e);
}
