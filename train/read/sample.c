/* sample.c - see sample.h. */
#include "train/read/sample.h"

#include <string.h>

#include "store/random.h"

void read_sample_close(struct read_sample *s) {
    buffer_free(&s->pixels);
    buffer_free(&s->labels);
    *s = (struct read_sample){.width = 0};
}

static int reserve(struct read_sample *s, int width, int height, size_t labels, struct error *e) {
    int rc = buffer_reserve(&s->pixels, (size_t)width * (size_t)height, sizeof(float), e);
    if (rc == 0) {
        rc = buffer_reserve(&s->labels, labels, sizeof(struct read_label), e);
    }
    return rc < 0 ? error_context(e, "a page") : 0;
}

int read_sample_take(struct read_sample *s, const struct read_page *page,
                     const struct whitening *whitening, struct error *e) {
    int rc = reserve(s, page->width, page->height, page->label_count, e);
    if (rc < 0) {
        return rc;
    }
    whiten_page(whitening, s->pixels.data, page->grey, page->width, page->height);
    if (page->label_count > 0) {
        memcpy(s->labels.data, page->labels, page->label_count * sizeof *page->labels);
    }
    s->label_count = page->label_count;
    s->width = page->width;
    s->height = page->height;
    s->kind = page->kind;
    return 0;
}

int read_sample_full(struct read_sample *s, int side, struct error *e) {
    const int rows = side / 16, across = side / READING_STEP;
    int rc = reserve(s, side, side, (size_t)rows * (size_t)across, e);
    if (rc < 0) {
        return rc;
    }
    memset(s->pixels.data, 0, (size_t)side * (size_t)side * sizeof(float));
    struct read_label *labels = s->labels.data;
    for (int i = 0; i < rows * across; i++) {
        labels[i] = (struct read_label){.row = (int16_t)(i / across * 16 / READING_ROW),
                                        .column = (int16_t)(i % across * READING_COLUMNS)};
    }
    s->label_count = (size_t)rows * (size_t)across;
    s->width = s->height = side;
    return 0;
}

bool read_sample_rows(struct tape *t, const struct read_sample *s, int64_t page, double share,
                      double empty_share, uint64_t *random, struct read_targets *out) {
    const struct read_label *labels = s->labels.data;
    int64_t rows = s->height / READING_ROW, steps = s->width / READING_STEP;
    int64_t width = steps * READING_COLUMNS;
    int32_t *list = tape_host(t, (size_t)rows, sizeof *list);
    int32_t *presence = tape_host(t, (size_t)(rows * width), sizeof *presence);
    int32_t *places = tape_host(t, s->label_count + 1, sizeof *places);
    int32_t *classes = tape_host(t, s->label_count + 1, sizeof *classes);
    if (classes == NULL) {
        return false;
    }
    *out = (struct read_targets){.rows = list,
                                 .page_rows = rows,
                                 .steps = steps,
                                 .presence = presence,
                                 .places = places,
                                 .classes = classes};
    size_t at = 0;
    for (int64_t row = 0; row < rows; row++) {
        size_t end = at;
        while (end < s->label_count && labels[end].row == row) {
            end++;
        }
        if (random_unit(random) < (end > at ? share : empty_share)) {
            int64_t base = out->count * width;
            for (; at < end; at++) {
                presence[base + labels[at].column] = 1;
                places[out->characters] = (int32_t)(base + labels[at].column);
                classes[out->characters++] = labels[at].class_index;
            }
            list[out->count++] = (int32_t)(page * rows + row);
        }
        at = end;
    }
    return true;
}
