/* encode_pool.h - samples whose pages are to be encoded, the queue that they wait in, and the
 * threads that encode and pack them.
 *
 * Samples come out in the order in which they went in, each with its tokens packed or with the
 * error of its first page that could not be encoded. The queue has no bound of its own: who pushes
 * looks at encode_pool_bytes. Programs that encode without a queue (occ read) take the samples of
 * sample.h alone. */
#ifndef OCC_COMPRESS_ENCODE_POOL_H
#define OCC_COMPRESS_ENCODE_POOL_H

#include <signal.h>

#include "compress/legibility.h"
#include "compress/pages.h"
#include "compress/reader.h"
#include "store/date.h"
#include "store/store.h"

/* A sample on its way; in one allocation with the bytes that it points to. */
struct encode_job {
    struct encode_job *next;
    char key[STREAM_KEY_BYTES];
    int64_t created;     /* or STORE_UNDATED */
    enum date_kind date; /* how that is known */
    char input[32];      /* for the journal, and how it is encoded; the caller's: */
    const char *settings;
    char profile[32];                /* how its pages were set; "": not said */
    const char *json, *text, *cells; /* cells: as spans_pack makes it; size 0: there are none */
    size_t json_size, text_size, cells_size;
    struct encoded_page *pages;
    uint32_t *characters; /* of each page */
    int page_count;
    size_t bytes; /* of memory, tokens included */
    /* of the threads: */
    int taken, done; /* pages */
    struct bytes packed;
    struct store_page *stored; /* what was packed: room for VIEWS a page */
    size_t stored_count;
    struct codec_loss loss;
    struct legibility legibility;
    int rc; /* the first failure */
    struct error error;
};
void encode_job_free(struct encode_job *job); /* NULL is allowed */

struct encode_pool; /* the queue and its threads */

/* `threads` and `batch` 0: the device's answer. `reader`: reads packed pages back (NULL: not); they
 * get an accuracy where they have text. `alphabet`: that text should be of (NULL: of any). */
int encode_pool_open(struct encode_pool **out, const struct encoder *encoder,
                     const struct reader *reader, const struct alphabet *alphabet, enum codec codec,
                     int64_t threads, int64_t batch, struct error *e);
/* Stops the threads after the pages in hand; frees what is left. NULL is allowed. */
void encode_pool_close(struct encode_pool *pool);

/* Takes the sample over. */
void encode_pool_push(struct encode_pool *pool, struct encode_job *job);
/* The oldest sample: waits until it is done if `wait`, else NULL unless it is. NULL too when there
 * is none. The caller frees it. */
struct encode_job *encode_pool_pop(struct encode_pool *pool, bool wait);
size_t encode_pool_bytes(struct encode_pool *pool); /* in the queue */

#endif
