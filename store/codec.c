/* codec.c - see codec.h. */
#include "store/codec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "store/buffer.h"
#include "store/dtype.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "payloads are little-endian");

const char *const CODEC_NAMES[CODEC_COUNT + 1] = {"bf16", "int8", "int4", NULL};

enum { LEVEL = 1 /* level 3 finds false matches in exponents and packs worse */ };

struct codec_state {
    ZSTD_CCtx *packer;
    ZSTD_DCtx *unpacker;
    struct buffer plane; /* bytes: the high ones, or a row as it comes out of floats */
    struct buffer row;   /* floats */
};

int codec_open(struct codec_state **out, struct error *e) {
    *out = NULL;
    struct codec_state *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return error_memory(e, NULL);
    }
    c->packer = ZSTD_createCCtx();
    c->unpacker = ZSTD_createDCtx();
    if (c->packer == NULL || c->unpacker == NULL) {
        codec_close(c);
        return error_memory(e, NULL);
    }
    *out = c;
    return 0;
}

void codec_close(struct codec_state *c) {
    if (c == NULL) {
        return;
    }
    ZSTD_freeCCtx(c->packer);
    ZSTD_freeDCtx(c->unpacker);
    buffer_free(&c->plane);
    buffer_free(&c->row);
    free(c);
}

/* ---- Packing --------------------------------------------------------------------- */

static void count_loss(struct codec_loss *loss, float x, float kept) {
    double miss = (double)x - (double)kept;
    loss->squares += miss * miss;
    loss->signal += (double)x * (double)x;
    loss->largest = fmax(loss->largest, fabs(miss));
}

static int pack_bf16(struct codec_state *c, struct bytes *out, const float *tokens, size_t count,
                     struct codec_loss *loss, struct error *e) {
    size_t bound = ZSTD_compressBound(count), start = out->size;
    int rc = buffer_reserve(&c->plane, count, 1, e);
    if (rc == 0) {
        rc = bytes_reserve(out, sizeof(uint32_t) + bound + count, e);
    }
    if (rc < 0) {
        return rc;
    }
    unsigned char *plane = c->plane.data;
    unsigned char *frame = out->data + start + sizeof(uint32_t);
    unsigned char *low = frame + bound; /* moved up to the end of the frame once that is there */
    for (size_t i = 0; i < count; i++) {
        uint16_t bits = bf16_of(tokens[i]);
        plane[i] = (unsigned char)(bits >> 8);
        low[i] = (unsigned char)bits;
        if (loss != NULL) {
            count_loss(loss, tokens[i], float_of_bf16(bits));
        }
    }
    size_t packed = ZSTD_compressCCtx(c->packer, frame, bound, plane, count, LEVEL);
    if (ZSTD_isError(packed) || packed > UINT32_MAX) {
        return error_set(e, ERR_MEMORY, "packing tokens: %s", ZSTD_getErrorName(packed));
    }
    uint32_t size = (uint32_t)packed;
    memcpy(out->data + start, &size, sizeof size);
    memmove(frame + packed, low, count);
    out->size = start + sizeof size + packed + count;
    out->data[out->size] = '\0';
    return 0;
}

/* Quantises a row to steps of scale; `limit`: the largest step number. */
static float quantise(int8_t *q, const float *x, int64_t dim, float limit) {
    float largest = 0;
    for (int64_t i = 0; i < dim; i++) {
        float magnitude = fabsf(x[i]);
        largest = magnitude > largest ? magnitude : largest;
    }
    float scale = largest / limit, inverse = scale > 0 ? 1 / scale : 0;
    if (!isfinite(inverse)) { /* all values are denormal: nothing to keep */
        scale = inverse = 0;
    }
    for (int64_t i = 0; i < dim; i++) {
        q[i] = (int8_t)nearbyintf(x[i] * inverse);
    }
    return scale;
}

static int pack_integers(struct codec_state *c, struct bytes *out, enum codec codec,
                         const float *tokens, int64_t rows, int64_t dim, struct codec_loss *loss,
                         struct error *e) {
    size_t width = (size_t)(codec == CODEC_INT8 ? dim : dim / 2);
    int rc = buffer_reserve(&c->plane, (size_t)dim, 1, e);
    if (rc == 0) {
        rc = bytes_reserve(out, (size_t)rows * (sizeof(float) + width), e);
    }
    for (int64_t r = 0; r < rows && rc == 0; r++) {
        int8_t *q = c->plane.data;
        const float *x = tokens + r * dim;
        float scale = quantise(q, x, dim, codec == CODEC_INT8 ? 127 : 7);
        unsigned char *to = out->data + out->size;
        memcpy(to, &scale, sizeof scale);
        to += sizeof scale;
        if (codec == CODEC_INT8) {
            memcpy(to, q, width);
        } else {
            for (size_t i = 0; i < width; i++) {
                to[i] = (unsigned char)((q[2 * i] & 15) | (q[2 * i + 1] & 15) << 4);
            }
        }
        out->size += sizeof scale + width;
        out->data[out->size] = '\0';
        for (int64_t i = 0; i < dim && loss != NULL; i++) {
            count_loss(loss, x[i], scale * q[i]);
        }
    }
    return rc;
}

static int check_shape(enum codec codec, int64_t rows, int64_t dim, struct error *e) {
    if (rows < 1 || dim < 1 || rows > 65535 || dim > 65535) {
        return error_set(e, ERR_USAGE, "tokens must be from 1 to 65535 rows and values");
    }
    if (codec == CODEC_INT4 && dim % 2 != 0) {
        return error_set(e, ERR_USAGE, "int4 takes tokens of an even number of values");
    }
    return 0;
}

int codec_pack(struct codec_state *c, struct bytes *out, enum codec codec, const float *tokens,
               int64_t rows, int64_t dim, struct codec_loss *loss, struct error *e) {
    int rc = check_shape(codec, rows, dim, e);
    if (rc < 0) {
        return rc;
    }
    size_t count = (size_t)rows * (size_t)dim;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(tokens[i]) || fabsf(tokens[i]) > 0x1.fep127f) { /* rounds to infinity */
            return error_set(e, ERR_FORMAT, "token %zu holds a value that is not finite",
                             i / (size_t)dim);
        }
    }
    return codec == CODEC_BF16 ? pack_bf16(c, out, tokens, count, loss, e)
                               : pack_integers(c, out, codec, tokens, rows, dim, loss, e);
}

/* ---- Unpacking ----------------------------------------------------------------------- */

/* The high bytes of the tokens, unpacked into c->plane, and the low ones, where they stand. */
static int split_planes(struct codec_state *c, const unsigned char **high,
                        const unsigned char **low, const unsigned char *data, size_t size,
                        size_t count, struct error *e) {
    uint32_t packed;
    if (size < sizeof packed) {
        return error_set(e, ERR_TRUNCATED, "tokens end too early");
    }
    memcpy(&packed, data, sizeof packed);
    if (size - sizeof packed < count || packed != size - sizeof packed - count) {
        return error_set(e, ERR_FORMAT, "tokens of %zu bytes do not fit their grid", size);
    }
    int rc = buffer_reserve(&c->plane, count, 1, e);
    if (rc < 0) {
        return rc;
    }
    size_t got =
        ZSTD_decompressDCtx(c->unpacker, c->plane.data, count, data + sizeof packed, packed);
    if (ZSTD_isError(got) || got != count) {
        return error_set(e, ERR_FORMAT, "tokens are damaged: %s",
                         ZSTD_isError(got) ? ZSTD_getErrorName(got) : "too few");
    }
    *high = c->plane.data;
    *low = data + sizeof packed + packed;
    return 0;
}

static int check_integers(enum codec codec, size_t size, int64_t rows, int64_t dim,
                          struct error *e) {
    size_t width = (size_t)(codec == CODEC_INT8 ? dim : dim / 2) + sizeof(float);
    if (size != (size_t)rows * width) {
        return error_set(e, size < (size_t)rows * width ? ERR_TRUNCATED : ERR_FORMAT,
                         "tokens of %zu bytes do not fit their grid", size);
    }
    return 0;
}

/* One packed row; returns what follows it, or NULL where its scale is not finite. */
static const unsigned char *unpack_row(float *to, enum codec codec, const unsigned char *from,
                                       int64_t dim, struct error *e) {
    float scale;
    memcpy(&scale, from, sizeof scale);
    from += sizeof scale;
    if (!isfinite(scale)) {
        error_set(e, ERR_FORMAT, "tokens are damaged: a scale is not finite");
        return NULL;
    }
    if (codec == CODEC_INT8) {
        const int8_t *q = (const int8_t *)from;
        for (int64_t i = 0; i < dim; i++) {
            to[i] = scale * (float)q[i];
        }
        return from + dim;
    }
    for (int64_t i = 0; i < dim / 2; i++) {
        to[2 * i] = scale * (float)((from[i] & 15) - ((from[i] & 8) << 1));
        to[2 * i + 1] = scale * (float)((from[i] >> 4) - ((from[i] & 128) >> 3));
    }
    return from + dim / 2;
}

int codec_unpack_rows(struct codec_state *c, float *tokens, enum codec codec, const void *data,
                      size_t size, int64_t rows, int64_t dim, int64_t first, int64_t count,
                      struct error *e) {
    const unsigned char *high = NULL, *low = NULL, *from = data;
    int rc = check_shape(codec, rows, dim, e);
    if (rc == 0 && (first < 0 || count < 0 || count > rows - first)) {
        rc = error_set(e, ERR_USAGE, "there are no tokens %lld to %lld of %lld", (long long)first,
                       (long long)(first + count), (long long)rows);
    }
    if (rc < 0) {
        return rc;
    }
    if (codec == CODEC_BF16) {
        size_t begin = (size_t)first * (size_t)dim, values = (size_t)count * (size_t)dim;
        rc = split_planes(c, &high, &low, data, size, (size_t)rows * (size_t)dim, e);
        for (size_t i = 0; i < values && rc == 0; i++) {
            tokens[i] = float_of_bf16((uint16_t)(high[begin + i] << 8 | low[begin + i]));
        }
        return rc;
    }
    rc = check_integers(codec, size, rows, dim, e);
    from += rc == 0 ? (size_t)first * (size / (size_t)rows) : 0;
    for (int64_t r = 0; r < count && rc == 0; r++) {
        from = unpack_row(tokens + r * dim, codec, from, dim, e);
        rc = from != NULL ? 0 : ERR_FORMAT;
    }
    return rc;
}

int codec_unpack(struct codec_state *c, float *tokens, enum codec codec, const void *data,
                 size_t size, int64_t rows, int64_t dim, struct error *e) {
    return codec_unpack_rows(c, tokens, codec, data, size, rows, dim, 0, rows, e);
}

int codec_unpack_bf16(struct codec_state *c, uint16_t *tokens, enum codec codec, const void *data,
                      size_t size, int64_t rows, int64_t dim, struct error *e) {
    const unsigned char *high = NULL, *low = NULL, *from = data;
    int rc = check_shape(codec, rows, dim, e);
    if (rc < 0) {
        return rc;
    }
    size_t count = (size_t)rows * (size_t)dim;
    if (codec == CODEC_BF16) {
        rc = split_planes(c, &high, &low, data, size, count, e);
        for (size_t i = 0; i < count && rc == 0; i++) {
            tokens[i] = (uint16_t)(high[i] << 8 | low[i]);
        }
        return rc;
    }
    rc = check_integers(codec, size, rows, dim, e);
    if (rc == 0) {
        rc = buffer_reserve(&c->row, (size_t)dim, sizeof(float), e);
    }
    float *row = c->row.data;
    for (int64_t r = 0; r < rows && rc == 0; r++) {
        from = unpack_row(row, codec, from, dim, e);
        if (from == NULL) {
            return ERR_FORMAT;
        }
        dtype_from_float(tokens + r * dim, DTYPE_BF16, row, (size_t)dim);
    }
    return rc;
}
