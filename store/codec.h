/* codec.h - visual tokens as bytes: a matrix (rows, dim) of floats, packed. All little-endian.
 *
 *     bf16   u32 C; C bytes: the high bytes (sign and exponent) of all values as one zstd frame of
 *            level 1; the low bytes raw. Lossless for values that BF16 can hold.
 *     int8   a row: F32 scale = max|x| / 127, then dim bytes; value = scale * q
 *     int4   a row: F32 scale = max|x| / 7, then dim / 2 bytes, even columns in the low half */
#ifndef OCC_STORE_CODEC_H
#define OCC_STORE_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "store/bytes.h"

enum codec { CODEC_BF16, CODEC_INT8, CODEC_INT4, CODEC_COUNT };
extern const char *const CODEC_NAMES[CODEC_COUNT + 1]; /* "bf16", "int8", "int4", NULL */

/* What packing lost. */
struct codec_loss {
    double squares, signal; /* sums of (x - x')^2 and x^2 */
    double largest;         /* max |x - x'| */
};

struct codec_state; /* zstd contexts and scratch memory; of one thread */
int codec_open(struct codec_state **out, struct error *e);
void codec_close(struct codec_state *c); /* NULL is allowed */

/* Appends the packed tokens. bf16 rounds to BF16 first. `loss` (may be NULL) is added to.
 * ERR_FORMAT for NaN or infinity, ERR_USAGE for int4 with an odd dim. */
int codec_pack(struct codec_state *c, struct bytes *out, enum codec codec, const float *tokens,
               int64_t rows, int64_t dim, struct codec_loss *loss, struct error *e);
/* ERR_FORMAT or ERR_TRUNCATED unless `data` is exactly one packed matrix of that shape. */
int codec_unpack(struct codec_state *c, float *tokens, enum codec codec, const void *data,
                 size_t size, int64_t rows, int64_t dim, struct error *e);
/* Rows [first, first + count) of such a matrix alone: bf16 unpacks all of them on the way. */
int codec_unpack_rows(struct codec_state *c, float *tokens, enum codec codec, const void *data,
                      size_t size, int64_t rows, int64_t dim, int64_t first, int64_t count,
                      struct error *e);
/* The whole matrix as BF16 bits (int8 and int4 are rounded). */
int codec_unpack_bf16(struct codec_state *c, uint16_t *tokens, enum codec codec, const void *data,
                      size_t size, int64_t rows, int64_t dim, struct error *e);

#endif
