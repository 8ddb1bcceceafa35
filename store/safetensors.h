/* safetensors.h - named tensors in a file: the format of Hugging Face's safetensors.
 *
 *     8 bytes   N, little-endian
 *     N bytes   JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]},
 *               ..., "__metadata__": {"key": "text", ...}}; may end in spaces
 *     the rest  tensors, row-major, little-endian; offsets count from here; no holes, no overlaps
 *
 * Files are mapped, not read. What a hostile file says is checked before it is believed: the
 * header's length (SAFETENSORS_HEADER at most), shapes times element size against the offsets,
 * offsets against the file, overlaps, names given twice. */
#ifndef OCC_STORE_SAFETENSORS_H
#define OCC_STORE_SAFETENSORS_H

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>

#include "store/bytes.h"
#include "store/dtype.h"
#include "store/error.h"

enum { SAFETENSORS_RANK = 8 };
#define SAFETENSORS_HEADER ((size_t)100 << 20) /* as the reference implementation has it */

struct safetensor {
    const char *name;
    enum dtype type; /* DTYPE_COUNT: one of the format's that we do not compute with */
    int rank;        /* 0: a scalar */
    int64_t shape[SAFETENSORS_RANK];
    const void *data; /* in the mapping; any alignment */
    size_t bytes;
};

struct safetensors; /* opaque */

/* `path`: a file; a `*.safetensors.index.json`, whose shards lie beside it; or a folder with
 * `model.safetensors.index.json`, `model.safetensors` or exactly one *.safetensors. ERR_FORMAT,
 * ERR_TRUNCATED, ERR_LIMIT, ERR_IO; texts name the file and the tensor. */
int safetensors_open(struct safetensors **out, const char *path, struct error *e);
void safetensors_close(struct safetensors *s); /* NULL is allowed; what was got from it ends too */

size_t safetensors_count(const struct safetensors *s);
/* In the order of the data. */
const struct safetensor *safetensors_get(const struct safetensors *s, size_t index);
const struct safetensor *safetensors_find(const struct safetensors *s,
                                          const char *name); /* or NULL */
/* The values are not needed for a while: where they are mapped, their memory goes back to the
 * system, and is read again when it is looked at. */
void safetensors_drop(const struct safetensors *s, const struct safetensor *t);
/* The values of a tensor as floats: of F32, F16 or BF16, or of I8 with "NAME.scale" beside it (F32,
 * a factor for each index of the first dimension). ERR_UNSUPPORTED for another type, ERR_FORMAT
 * where the scale is missing or of another shape. */
int safetensors_floats(const struct safetensors *s, const struct safetensor *t, float *to,
                       struct error *e);
/* That scale, or NULL when `t` is not I8 or has none of the right shape. */
const struct safetensor *safetensors_scale(const struct safetensors *s, const struct safetensor *t);
#define SAFETENSORS_SCALE ".scale"
/* A text of __metadata__ (of the first shard that has it), or NULL. */
const char *safetensors_metadata(const struct safetensors *s, const char *key);
/* All of __metadata__ (of the first shard that has one), as a new reference; NULL: none. */
json_t *safetensors_metadata_all(const struct safetensors *s);
/* A file that is in memory, which must outlive it; `name` stands for the path in errors. */
int safetensors_open_memory(struct safetensors **out, const void *data, size_t size,
                            const char *name, struct error *e);
/* Appends what safetensors_write writes. */
int safetensors_append(struct bytes *out, const struct safetensor *tensors, size_t count,
                       const json_t *metadata, struct error *e);
/* Writes a file (complete or not at all, see file.h): the tensors sorted by type size (largest
 * first), then name, data aligned to 64 bytes by padding the header with spaces; `metadata`: an
 * object of texts, or NULL. The same tensors give the same bytes. ERR_USAGE: two have one name. */
int safetensors_write(const char *path, const struct safetensor *tensors, size_t count,
                      const json_t *metadata, struct error *e);

/* The same for tensors that do not fit memory together: their `data` is not looked at, but put one
 * by one, in any order, each once. `tensors` must stay until the end: commit or close. */
struct safetensors_writer; /* opaque */
int safetensors_writer_open(struct safetensors_writer **out, const char *path,
                            const struct safetensor *tensors, size_t count, const json_t *metadata,
                            struct error *e);
int safetensors_writer_put(struct safetensors_writer *w, size_t index, const void *data,
                           const volatile sig_atomic_t *cancel, struct error *e);
int safetensors_writer_commit(struct safetensors_writer *w, struct error *e); /* closes it too */
void safetensors_writer_close(struct safetensors_writer *w); /* NULL is allowed; leaves no file */

#endif
