/* rows.c - rows of text, and rows of posts with their contexts, in one form. */
#include "train/tune/task.h"

struct tune_counts tune_rows_count(const struct tune_data *d) {
    if (d->layout != NULL) {
        return (struct tune_counts){.rows = layout_counts(d->layout, CORPUS_TRAINING).rows,
                                    .held_rows = layout_counts(d->layout, CORPUS_HELD_OUT).rows};
    }
    return (struct tune_counts){.rows = corpus_counts(d->corpus, CORPUS_TRAINING).rows,
                                .held_rows = corpus_counts(d->corpus, CORPUS_HELD_OUT).rows};
}

uint64_t tune_rows_hash(const struct tune_data *d) {
    const uint64_t rows = d->layout != NULL ? layout_hash(d->layout) : corpus_hash(d->corpus);
    return d->images != NULL ? rows ^ page_images_hash(d->images) : rows;
}

size_t tune_rows_bytes(const struct tune_data *d) {
    enum { TOKEN = 3 * sizeof(int32_t) }; /* id, label, position */
    size_t bytes = d->layout != NULL ? history_bytes(d->history) + layout_bytes(d->layout) : 0;
    bytes += d->images != NULL ? page_images_bytes(d->images) : 0;
    for (int i = 0; i < CORPUS_SETS && d->corpus != NULL; i++) {
        bytes += (size_t)corpus_counts(d->corpus, (enum corpus_set)i).tokens * TOKEN;
    }
    return bytes;
}

struct tune_shape tune_rows_largest(const struct tune_data *d) {
    struct tune_shape shape = {.row = {.tokens = 1}};
    if (d->layout != NULL) {
        shape.row = layout_largest(d->layout);
        if (d->images != NULL) {
            shape.page = page_images_largest(d->images);
        }
        return shape;
    }
    const int64_t rows = corpus_counts(d->corpus, CORPUS_TRAINING).rows;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t tokens = corpus_row(d->corpus, CORPUS_TRAINING, 0, i).tokens;
        shape.row.tokens = tokens > shape.row.tokens ? tokens : shape.row.tokens;
    }
    return shape;
}

int tune_space_open(struct tune_space *s, const struct tune_data *d, struct error *e) {
    *s = (struct tune_space){.layout = NULL};
    return d->layout != NULL ? layout_space_open(&s->layout, d->layout, e) : 0;
}

void tune_space_close(struct tune_space *s) {
    layout_space_close(s->layout);
}

int tune_row(const struct tune_data *d, struct tune_space *s, enum corpus_set set, int64_t epoch,
             int64_t index, struct context_row *row, struct error *e) {
    if (d->layout != NULL) {
        return layout_row(d->layout, s->layout, set, epoch, index, row, e);
    }
    const struct corpus_row text = corpus_row(d->corpus, set, epoch, index);
    *row = (struct context_row){.inputs = text.ids,
                                .labels = text.labels,
                                .positions = text.positions,
                                .offsets = text.offsets,
                                .tokens = text.tokens,
                                .sequences = text.sequences,
                                .targets = text.targets};
    return 0;
}

int64_t tune_row_targets(const struct tune_data *d, int64_t epoch, int64_t index) {
    return d->layout != NULL ? layout_row_targets(d->layout, CORPUS_TRAINING, epoch, index)
                             : corpus_row(d->corpus, CORPUS_TRAINING, epoch, index).targets;
}
