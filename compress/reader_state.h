/* reader_state.h - what a reader consists of; for reader*.c alone. */
#ifndef OCC_COMPRESS_READER_STATE_H
#define OCC_COMPRESS_READER_STATE_H

#include "compress/device_buffer.h"
#include "compress/reader.h"
#include "store/buffer.h"
#include "store/safetensors.h"

enum reader_matrix {
    READER_TRUNK_0,
    READER_TRUNK_1,
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
    const struct backend *backend;
    enum dtype compute;
    struct device *device; /* of the thread that opened it: it packs the weights */
    struct safetensors *file;
    struct alphabet *alphabet;
    struct reading_config config;
    struct calibration calibration;
    int64_t dim;
    struct packed *matrices[READER_MATRICES];
    size_t packed_bytes; /* of all of them */
    struct tensor level; /* of the device: (nested + 1, dim); with a trunk */
    bool merges;
};

/* Of the device: what a step of reading makes, and the index tables that it gathers by. */
enum {
    BUFFER_TOKENS,
    BUFFER_LEVELLED, /* the tokens as the trunk sees them */
    BUFFER_PAIRS,
    BUFFER_CELLS,
    BUFFER_SECOND, /* the cells at the second column offset */
    BUFFER_SEEN,
    BUFFER_HIDDEN,
    BUFFER_PRESENCE,
    BUFFER_WIDE,
    BUFFER_LOGITS,
    BUFFER_BEST,
    BUFFER_INDEX,
    READER_BUFFERS
};

/* Where the cells of a page's rows lie among the unfolded ones: of its grid. */
struct reading_index {
    int rows, columns, column_offsets; /* of tokens; 0: none yet */
    struct tensor first, second;
};

struct reader_session {
    const struct reader *reader;
    struct device *device;
    struct device_buffer buffers[READER_BUFFERS];
    struct reading_index index;
    struct buffer host; /* what comes back from the device, or goes there */
    struct reading_character *characters;
    size_t count, capacity;
};

/* Characters that are told apart at a time, and are filled up to: products of few shapes, and on a
 * processor logits that stay in the cache. */
enum { READER_CHUNK = 256, READER_MOST_CHUNK = 4096 };

void reading_index_close(struct reader_session *s);

/* A matrix of F32 in one of the buffers. */
int reader_matrix_of(struct reader_session *s, int buffer, int64_t rows, int64_t width,
                     struct tensor *out, struct error *e);
/* out = activation(x W^T + b). */
int reader_linear(struct reader_session *s, const struct tensor *out, const struct tensor *x,
                  enum reader_matrix matrix, enum activation activation, struct error *e);
/* `count` numbers of the host as a vector of I32 in BUFFER_INDEX. */
int reader_send_index(struct reader_session *s, const int32_t *index, int64_t count,
                      struct tensor *out, struct error *e);

#endif
