/* reader_state.h - what a reader consists of; for reader*.c alone. */
#ifndef OCC_COMPRESS_READER_STATE_H
#define OCC_COMPRESS_READER_STATE_H

#include "compress/reader.h"
#include "store/safetensors.h"

enum reader_matrix {
    READER_UNFOLD,
    READER_MIX,
    READER_PRESENCE,
    READER_CHARACTER,
    READER_CLASS,
    READER_MERGE_COLUMNS,
    READER_MERGE_ROWS,
    READER_UNMERGE_COLUMNS,
    READER_UNMERGE_ROWS,
    READER_MATRICES
};

struct reader {
    const struct backend_ops *ops;
    enum dtype compute;
    struct context *context; /* of the thread that opened it; packs weights */
    struct safetensors *file;
    struct alphabet *alphabet;
    struct reading_config config;
    int64_t dim;
    struct weights *matrices[READER_MATRICES];
    bool merges;
};

/* Host memory that grows. */
struct reader_buffer {
    float *data;
    size_t count;
};
enum {
    BUFFER_TOKENS,
    BUFFER_CELLS,
    BUFFER_HIDDEN,
    BUFFER_WIDE,
    BUFFER_PRESENCE,
    BUFFER_LOGITS,
    READER_BUFFERS
};

struct reader_session {
    const struct reader *r;
    struct context *context;
    struct reader_buffer buffers[READER_BUFFERS];
    float *input, *output; /* of the device */
    size_t input_count, output_count;
    struct reading_character *characters;
    size_t count, capacity;
};

/* NULL with `e` filled when there is no memory. */
float *reader_buffer_get(struct reader_session *s, int index, size_t count, struct error *e);
/* to (rows, outputs) = activation(x (rows, inputs) W^T + b); both on the host, `to` may be `x`. */
int reader_apply(struct reader_session *s, enum reader_matrix matrix, float *to, const float *x,
                 int64_t rows, int64_t inputs, int64_t outputs, enum activation activation,
                 struct error *e);

#endif
