/* reader.h - reads visual tokens back into text: the reading head of reading.h at work.
 *
 * It reads only what the tokens hold: no language model, no dictionary. So the share of
 * characters that it gets right measures how faithful tokens are, after encoding, packing and
 * forgetting. It knows the alphabet and the type that it was trained on, nothing else. */
#ifndef OCC_COMPRESS_READER_H
#define OCC_COMPRESS_READER_H

#include <stdbool.h>

#include "compress/alphabet.h"
#include "compress/calibration.h"
#include "compress/device.h"
#include "compress/reading.h"

struct reader;         /* weights: read-only, shared by threads */
struct reader_session; /* buffers: of the thread that opened it */

/* From the file of an encoder. ERR_UNSUPPORTED when it carries no reading head, ERR_FORMAT when
 * that is not whole. */
int reader_open(struct reader **out, const char *path, const struct backend *backend,
                enum dtype compute, struct error *e);
/* That only merges: from a safetensors file in memory with merge.columns and merge.rows for tokens
 * of `dim` numbers (encoder_maps), which must outlive it; `name` stands for its path. */
int reader_open_maps(struct reader **out, const void *file, size_t size, const char *name,
                     int64_t dim, const struct backend *backend, enum dtype compute,
                     struct error *e);
void reader_close(struct reader *r); /* NULL is allowed; sessions first */
const struct alphabet *reader_alphabet(const struct reader *r);
/* From the confidence that it gives to accuracy; of no knots where its file has none. */
const struct calibration *reader_calibration(const struct reader *r);
int64_t reader_dim(const struct reader *r); /* of a token */
bool reader_merges(const struct reader *r); /* the file has maps for merging */
const struct reading_config *reader_config(const struct reader *r);

/* Memory of the device: that of the weights, and what a session takes to read such pages, scratch
 * included, at most. */
size_t reader_weight_bytes(const struct reader *r);
size_t reader_run_bytes(const struct reader *r, const struct reading_page *page);

int reader_session_open(struct reader_session **out, const struct reader *r, struct error *e);
void reader_session_close(struct reader_session *s); /* NULL is allowed */

/* ---- Merging: forgetting that was learned ------------------------------------------------- */

/* The next smaller grid of forget_grid, in place: tokens (*rows, *columns, dim). Of an odd side the
 * last stands for its missing neighbour too. ERR_UNSUPPORTED: a single token, no maps. */
int reader_merge(struct reader_session *s, float *tokens, int *rows, int *columns, struct error *e);
/* Tokens of bucket `bucket` of a page that was (rows, columns) become that grid again, in place:
 * room for rows * columns tokens. */
int reader_unmerge(struct reader_session *s, float *tokens, int rows, int columns, int bucket,
                   struct error *e);

/* ---- Reading -------------------------------------------------------------------------------- */

struct reading_character {
    int16_t row, column; /* READING_ROW and READING_COLUMN pixels */
    int32_t class_index;
    float confidence; /* that it is there, and this one: 0 to 1 */
};

/* Tokens of a whole page (rows, columns, dim). *characters is the session's, valid until its next
 * call; in order of row, column, whatever runs through cells. */
int reader_run(struct reader_session *s, const float *tokens, const struct reading_page *page,
               const struct reading_character **characters, size_t *count, struct error *e);

#endif
