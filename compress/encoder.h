/* encoder.h - the optical context encoder: pages in, visual tokens out.
 *
 * The network is described in config.h. A page of (height, width) pixels, both multiples of 4
 * patches, gives height / 4 patches x width / 4 patches tokens: one for 64 x 64 pixels where a
 * patch is 16. Positions are those of the square page of the same width, of which a page that is
 * less high is the first rows: what stands in a row has the same place whatever the height. With
 * two column offsets the last convolution moves by one column instead of two: twice the columns,
 * the even ones as before, the odd ones from the places between; the tokens of each offset pass the
 * global stage as a page of their own. */
#ifndef OCC_COMPRESS_ENCODER_H
#define OCC_COMPRESS_ENCODER_H

#include <stdbool.h>
#include <stdint.h>

#include "compress/config.h"
#include "compress/device.h"
#include "compress/image.h"
#include "compress/tensor.h"
#include "store/bytes.h"

struct encoder;         /* weights: read-only, shared by threads */
struct encoder_session; /* buffers: of the thread that opened it */

/* `path`: see safetensors_open. `config`: NULL takes the file's own, or that of the published
 * checkpoint where the file has none. `compute`: DTYPE_F32 or DTYPE_BF16. ERR_FORMAT names what is
 * missing, unknown or of another shape. */
int encoder_open(struct encoder **out, const char *path, const struct encoder_config *config,
                 const struct backend *backend, enum dtype compute, struct error *e);
void encoder_close(struct encoder *encoder); /* NULL is allowed; sessions first */

const struct backend *encoder_backend(const struct encoder *encoder);
const struct encoder_config *encoder_config(const struct encoder *encoder);
/* XXH3 64 of the configuration and of all tensors of the encoder, as stored. */
uint64_t encoder_fingerprint(const struct encoder *encoder);
/* image_newline, then view_seperator: 2 * token_dim floats. */
const float *encoder_vectors(const struct encoder *encoder);
/* The text of a metadata key of the file, or NULL. */
const char *encoder_metadata(const struct encoder *encoder, const char *key);

/* Whether it was trained on grey pages alone and should see no others: what the metadata key
 * ENCODER_PAGES says, "grey" or "rgb"; without it, the configuration nano is grey. */
#define ENCODER_PAGES "occ.pages"
bool encoder_is_grey(const struct encoder *encoder);

/* Appends a safetensors file of the maps for merging that the encoder's file carries, as they are
 * there (merge.columns, merge.rows; see reading.h). 1: appended; 0: it carries none. */
int encoder_maps(const struct encoder *encoder, struct bytes *out, struct error *e);

struct encoder_shape {
    int64_t batch, height, width; /* pages, pixels */
    int column_offsets;           /* 1 or 2 */
};
/* ERR_USAGE for a size that the network cannot take. */
int encoder_grid(const struct encoder *encoder, const struct encoder_shape *shape, int64_t *rows,
                 int64_t *columns, struct error *e);

int encoder_session_open(struct encoder_session **out, const struct encoder *encoder,
                         struct error *e);
void encoder_session_close(struct encoder_session *s); /* NULL is allowed */
/* Gives back all memory of the device that a session has, for it or others to begin again with. */
void encoder_session_clear(struct encoder_session *s);

/* pixels (batch, height, width, channels) of the host, dense: U8, three channels or one that stands
 * for three, or F32 as image_normalize gives them, three. tokens (1, batch, rows * columns,
 * token_dim) of the host, F32. */
int encoder_run(struct encoder_session *s, const struct tensor *tokens, const struct tensor *pixels,
                int column_offsets, struct error *e);

/* The same of one picture; tokens: floats, room for all. */
int encoder_run_image(struct encoder_session *s, float *tokens, const struct image *image,
                      int column_offsets, struct error *e);

/* Memory of the device: that of the weights, and what a session takes to run pages of bytes,
 * scratch included, at most. */
size_t encoder_weight_bytes(const struct encoder *encoder);
size_t encoder_run_bytes(const struct encoder *encoder, const struct encoder_shape *shape,
                         int64_t channels);

/* Shows every tensor on the way, (rows, columns) and in the order of this file, under the name of
 * tests/golden/encoder/README.md. For tests. */
void encoder_trace(struct encoder_session *s,
                   void (*show)(void *context, const char *name, const float *data, int64_t rows,
                                int64_t columns),
                   void *context);

#endif
