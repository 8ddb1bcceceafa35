/* readback.c - see readback.h. */
#include "compress/readback.h"

#include <stdlib.h>
#include <string.h>

#include "compress/text_distance.h"
#include "store/buffer.h"
#include "store/nest.h"

struct readback {
    const struct reader *r;
    struct reader_session *session;
    struct codec_state *codec;
    struct reading_text text;
    /* Floats: the tokens of a record; means put back into the grid that they came from. */
    struct buffer tokens, whole;
};

int readback_open(struct readback **out, const struct reader *r, struct error *e) {
    *out = NULL;
    struct readback *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return error_memory(e, NULL);
    }
    b->r = r;
    reading_text_init(&b->text);
    int rc = reader_session_open(&b->session, r, e);
    if (rc == 0) {
        rc = codec_open(&b->codec, e);
    }
    if (rc < 0) {
        readback_close(b);
        return rc;
    }
    *out = b;
    return 0;
}

void readback_close(struct readback *b) {
    if (b == NULL) {
        return;
    }
    reader_session_close(b->session);
    codec_close(b->codec);
    reading_text_close(&b->text);
    buffer_free(&b->tokens);
    buffer_free(&b->whole);
    free(b);
}

/* ---- Reading -------------------------------------------------------------------------------- */

/* How far the rows in b->text can be trusted. */
static void judge(struct readback *b, struct readback_page *page) {
    const struct calibration *calibration = reader_calibration(b->r);
    double confidence = 0;
    *page = (struct readback_page){.text = &b->text};
    for (size_t i = 0; i < b->text.row_count; i++) {
        struct reading_row *row = &b->text.rows[i];
        row->confidence = (float)calibration_apply(calibration, (double)row->confidence);
        confidence += (double)row->confidence * row->characters;
        page->characters += row->characters;
        page->unsure += (double)row->confidence < READBACK_SURE;
    }
    page->confidence = page->characters > 0 ? confidence / (double)page->characters : 0;
}

int readback_tokens(struct readback *b, const float *tokens, const struct reading_page *layout,
                    struct readback_page *page, struct error *e) {
    const struct reading_character *characters;
    size_t count;
    int rc = reader_run(b->session, tokens, layout, &characters, &count, e);
    if (rc == 0) {
        rc = reading_text_fill(&b->text, reader_alphabet(b->r), characters, count, layout, e);
    }
    if (rc == 0) {
        judge(b, page);
    }
    return rc;
}

int readback_compare(const struct readback_page *page, const char *text, size_t size,
                     double *accuracy, struct error *e) {
    *accuracy = -1;
    const struct bytes *read = &page->text->text;
    return text != NULL && size > 0
               ? text_accuracy(bytes_text(read), read->size, text, size, accuracy, e)
               : 0;
}

/* ---- What was forgotten --------------------------------------------------------------------- */

static int reserve(struct readback *b, size_t count, struct error *e) {
    int rc = buffer_reserve(&b->tokens, count, sizeof(float), e);
    if (rc == 0) {
        rc = buffer_reserve(&b->whole, count, sizeof(float), e);
    }
    return rc;
}

/* Each mean in the places of all tokens that it is the mean of, in b->whole. */
static void spread(struct readback *b, const struct token_header *h) {
    int rows = h->full_rows, columns = h->full_columns, row_halvings = 0, column_halvings = 0;
    for (int k = 0; k < h->bucket; k++) {
        int before = columns;
        bool across = columns >= rows;
        forget_grid(&rows, &columns, 1);
        column_halvings += across && columns < before;
        row_halvings += !across;
    }
    const float *means = b->tokens.data;
    float *whole = b->whole.data;
    for (int y = 0; y < h->full_rows; y++) {
        for (int x = 0; x < h->full_columns; x++) {
            size_t to = (size_t)y * h->full_columns + (size_t)x;
            size_t from = (size_t)(y >> row_halvings) * h->columns + (size_t)(x >> column_halvings);
            memcpy(whole + to * h->dim, means + from * h->dim, h->dim * sizeof *whole);
        }
    }
}

static bool is_nested(const struct token_header *h) {
    return h->bucket > 0 && h->shrunk_by == SHRINK_NEST;
}

/* A page that was drawn again to be forgotten is what it says; any other is put back first into the
 * grid that it had. */
static bool is_drawn(const struct token_header *h) {
    return h->bucket > 0 && (h->shrunk_by == SHRINK_RESIZE || h->shrunk_by == SHRINK_RENDER);
}

static int check_grid(const struct token_header *h, struct error *e) {
    int rows = h->full_rows, columns = h->full_columns;
    if (is_nested(h)) {
        nest_grid(&rows, &columns, h->bucket);
    } else {
        forget_grid(&rows, &columns, h->bucket);
    }
    if (rows != h->rows || columns != h->columns || rows < 1 || columns < 1 ||
        (int64_t)h->full_rows * h->full_columns > UINT16_MAX) {
        return error_set(e, ERR_FORMAT,
                         "%dx%d tokens are not those of bucket %d of a page of %dx%d", h->rows,
                         h->columns, h->bucket, h->full_rows, h->full_columns);
    }
    return 0;
}

static struct reading_page layout_of(const struct token_header *h) {
    const bool cells = (h->layout & TOKEN_CELLS) != 0, drawn = is_drawn(h);
    struct reading_page layout = {.rows = drawn ? h->rows : h->full_rows,
                                  .columns = drawn ? h->columns : h->full_columns,
                                  .column_offsets = drawn ? 1 : token_column_offsets(h),
                                  .halvings = is_nested(h) ? h->bucket : 0};
    if (cells && drawn && h->shrunk_by == SHRINK_RENDER) { /* fewer cells, not smaller ones */
        layout.cell_rows = h->rows;
        layout.cell_columns = h->columns;
    } else if (cells) {
        layout.cell_rows = h->full_rows;
        layout.cell_columns = h->full_columns;
    }
    return layout;
}

int readback_record(struct readback *b, const struct token_header *h, const void *payload,
                    struct readback_page *page, struct error *e) {
    const int64_t stored = (int64_t)h->rows * h->columns,
                  full = (int64_t)h->full_rows * h->full_columns;
    const struct reading_page layout = layout_of(h);
    int rc = check_grid(h, e);
    if (rc == 0) {
        rc = reserve(b, (size_t)full * h->dim, e);
    }
    if (rc == 0) {
        rc = codec_unpack(b->codec, b->tokens.data, (enum codec)h->codec, payload, h->payload,
                          stored, h->dim, e);
    }
    const float *whole = b->tokens.data;
    if (rc < 0 || h->bucket == 0 || is_drawn(h)) {
        return rc < 0 ? rc : readback_tokens(b, whole, &layout, page, e);
    }
    if (is_nested(h)) {
        rc = nest_expand(b->tokens.data, full, h->dim, h->bucket, e);
    } else if (h->shrunk_by == SHRINK_MERGE) {
        rc =
            reader_unmerge(b->session, b->tokens.data, h->full_rows, h->full_columns, h->bucket, e);
    } else {
        spread(b, h);
        whole = b->whole.data;
    }
    return rc == 0 ? readback_tokens(b, whole, &layout, page, e) : rc;
}

/* ---- Merging -------------------------------------------------------------------------------- */

static int merge(void *context, const struct token_record *record, const float *old, int rows,
                 int columns, float *tokens, struct error *e) {
    const struct token_header *h = &record->header;
    int have_rows = h->rows, have_columns = h->columns, rc = 0;
    if (h->bucket > 0 && h->shrunk_by != SHRINK_MERGE) {
        return 0;
    }
    memcpy(tokens, old, (size_t)have_rows * (size_t)have_columns * h->dim * sizeof *tokens);
    while (rc == 0 && (have_rows > rows || have_columns > columns)) {
        rc = reader_merge(context, tokens, &have_rows, &have_columns, e);
    }
    return rc < 0 ? error_context(e, "%s page %d", record->key, record->page) : 1;
}

struct forget_operator merge_operator(struct reader_session *s) {
    return (struct forget_operator){.shrunk_by = SHRINK_MERGE, .context = s, .shrink = merge};
}
