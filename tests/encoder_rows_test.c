/* encoder_rows_test.c - pages that are less high than wide: their rows are those of the square page
 * that begins with them. */
#define _XOPEN_SOURCE 700 /* mkstemp */
#include <unistd.h>

#include "compress/encoder_state.h"
#include "compress/model.h"
#include "store/random.h"
#include "tests/cpu_backend.h"
#include "tests/test.h"

/* All tables are fitted: 8 patches are learned, pages have 12 and more. */
#define CONFIG(global)                                                                             \
    "{\"name\": \"rows\", \"sam\": {\"patch_size\": 16, \"grid\": 8, \"dim\": 32, \"depth\": 2,"   \
    " \"heads\": 2, \"mlp_dim\": 48, \"window\": 4, \"global_blocks\": [" global                   \
    "], \"neck\": 16,"                                                                             \
    " \"net_2\": 20, \"net_3\": 32}, \"clip\": {\"dim\": 32, \"depth\": 1, \"heads\": 2,"          \
    " \"mlp_dim\": 48, \"grid\": 2}, \"projector\": {\"output\": 24, \"norm\": true}}"

enum { SIDE = 256 /* pixels */, PATCHES = SIDE / 16, TOKENS = SIDE / 64, TENSORS = 16 };

static struct encoder *open_small(const char *text, enum dtype compute) {
    char path[] = "encoder-rows-XXXXXX";
    struct encoder_config config;
    struct encoder *encoder = NULL;
    struct error e = {0};
    int fd = mkstemp(path);
    bool ok = fd >= 0 && close(fd) == 0 && config_parse(&config, text, &e) == 0 &&
              model_init(path, &config, 7, DTYPE_F32, &e) == 0 &&
              encoder_open(&encoder, path, NULL, cpu_backend(), compute, &e) == 0;
    unlink(path);
    if (!CHECK(ok)) {
        printf("# %s\n", e.text);
        exit(1);
    }
    return encoder;
}

static struct encoder_session *session_of(const struct encoder *encoder) {
    struct encoder_session *s = NULL;
    if (!CHECK_NUMBER(encoder_session_open(&s, encoder, NULL), 0)) {
        exit(1);
    }
    return s;
}

/* ---- What is computed ---------------------------------------------------------------------- */

struct kept {
    char name[64];
    float *data;
    int64_t rows, columns;
};
struct trace {
    struct kept list[TENSORS];
    int count;
};

static void keep(void *context, const char *name, const float *data, int64_t rows,
                 int64_t columns) {
    struct trace *t = context;
    if (t->count == TENSORS) {
        exit(1);
    }
    struct kept *k = &t->list[t->count++];
    size_t size = (size_t)(rows * columns) * sizeof *data;
    *k = (struct kept){.data = malloc(size), .rows = rows, .columns = columns};
    snprintf(k->name, sizeof k->name, "%s", name);
    memcpy(k->data, data, size);
}

static void trace_page(struct trace *t, const struct encoder *encoder, const uint8_t *pixels,
                       int height, int column_offsets) {
    struct encoder_session *s = session_of(encoder);
    const struct image page = {
        .width = SIDE, .height = height, .channels = 1, .pixels = (uint8_t *)(uintptr_t)pixels};
    float *tokens = malloc(sizeof *tokens * TOKENS * TOKENS * 2 * 24);
    struct error e = {0};
    *t = (struct trace){.count = 0};
    encoder_trace(s, keep, t);
    if (!CHECK_NUMBER(encoder_run_image(s, tokens, &page, column_offsets, &e), 0)) {
        printf("# %s\n", e.text);
        exit(1);
    }
    free(tokens);
    encoder_session_close(s);
}

static void trace_close(struct trace *t) {
    for (int i = 0; i < t->count; i++) {
        free(t->list[i].data);
    }
}

/* Numbers that differ among the first `rows` rows of a tensor. */
static int64_t differing(const struct trace *a, const struct trace *b, const char *name,
                         int64_t rows) {
    int i = 0, k = 0;
    int64_t count = 0;
    while (i < a->count && strcmp(a->list[i].name, name) != 0) {
        i++;
    }
    while (k < b->count && strcmp(b->list[k].name, name) != 0) {
        k++;
    }
    if (!CHECK(i < a->count && k < b->count) || !CHECK(rows <= a->list[i].rows)) {
        return -1;
    }
    for (int64_t n = 0; n < rows * a->list[i].columns; n++) {
        count += a->list[i].data[n] != b->list[k].data[n];
    }
    return count;
}

static void check_strip(const struct encoder *encoder, const uint8_t *pixels, int height,
                        int column_offsets) {
    static const char *const ROWS[] = {"sam.embed", "sam.block.0", "sam.block.1"};
    int64_t patches = (int64_t)height / 16 * PATCHES, columns = (int64_t)TOKENS * column_offsets;
    struct trace whole, strip;
    trace_page(&whole, encoder, pixels, SIDE, column_offsets);
    trace_page(&strip, encoder, pixels, height, column_offsets);
    for (int i = 0; i < 3; i++) {
        CHECK_NUMBER(differing(&strip, &whole, ROWS[i], patches), 0);
    }
    if (height >= 128) { /* the last row of tokens sees what is below it, or that nothing is */
        CHECK_NUMBER(differing(&strip, &whole, "sam.net_3", columns), 0);
        CHECK_NUMBER(differing(&strip, &whole, "clip.input", 1 + TOKENS), 0);
    }
    CHECK(differing(&strip, &whole, "tokens", columns) > 0); /* which see the whole page */
    trace_close(&whole);
    trace_close(&strip);
}

static void rows_are_the_same_whatever_the_height(void) {
    static uint8_t pixels[SIDE * SIDE];
    uint64_t random = 5;
    const enum dtype types[] = {DTYPE_F32, DTYPE_BF16};
    for (int i = 0; i < SIDE * SIDE; i++) {
        pixels[i] = (uint8_t)random_below(&random, 256);
    }
    for (int i = 0; i < 2; i++) {
        if (types[i] == DTYPE_BF16 && !cpu_backend()->has_bf16()) {
            continue;
        }
        struct encoder *encoder = open_small(CONFIG(""), types[i]);
        check_strip(encoder, pixels, 64, 1);
        check_strip(encoder, pixels, 128, 1);
        check_strip(encoder, pixels, 192, 1);
        check_strip(encoder, pixels, 128, 2);
        encoder_close(encoder);
    }
}

/* ---- Tables -------------------------------------------------------------------------------- */

static const float *row_of(const struct tensor *t, int64_t row) {
    return (const float *)t->data + row * tensor_width(t);
}

/* Two rows of patches that are as far apart are it by the same numbers. */
static void distances_of_rows_are_the_same_whatever_the_height(void) {
    struct encoder *encoder = open_small(CONFIG("1"), DTYPE_F32);
    struct encoder_session *s = session_of(encoder);
    CHECK_NUMBER(position_tables_find(s, PATCHES, PATCHES, NULL), 0);
    struct tensor whole = rel_h_of(s, 1, PATCHES);
    CHECK_NUMBER(tensor_rows(&whole), 2 * PATCHES - 1);
    for (int64_t height = 4; height < PATCHES; height += 4) {
        CHECK_NUMBER(position_tables_find(s, height, PATCHES, NULL), 0);
        struct tensor some = rel_h_of(s, 1, height);
        CHECK_NUMBER(tensor_rows(&some), 2 * height - 1);
        for (int64_t d = -(height - 1); d < height; d++) {
            CHECK(memcmp(row_of(&some, height - 1 + d), row_of(&whole, PATCHES - 1 + d),
                         (size_t)tensor_width(&some) * sizeof(float)) == 0);
        }
    }
    encoder_session_close(s);
    encoder_close(encoder);
}

/* Strips of a width take turns with its square page without being fitted again; a page that is
 * higher than wide is fitted to its own height. */
static void pages_of_one_width_share_their_tables(void) {
    struct encoder *encoder = open_small(CONFIG(""), DTYPE_F32);
    struct encoder_session *s = session_of(encoder);
    CHECK_NUMBER(position_tables_find(s, 4, PATCHES, NULL), 0);
    const struct position_tables *first = s->tables;
    CHECK_NUMBER(position_tables_find(s, PATCHES, PATCHES, NULL), 0);
    CHECK(s->tables == first && first->next == NULL);
    CHECK_NUMBER(position_tables_find(s, PATCHES, 8, NULL), 0);
    CHECK(s->tables != first && s->tables->next == first);
    CHECK_NUMBER(s->tables->height, PATCHES);
    CHECK_NUMBER(s->tables->width, 8);
    encoder_session_close(s);
    encoder_close(encoder);
}

int main(void) {
    RUN(rows_are_the_same_whatever_the_height);
    RUN(distances_of_rows_are_the_same_whatever_the_height);
    RUN(pages_of_one_width_share_their_tables);
    return test_finish();
}
