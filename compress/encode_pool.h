/* encode_pool.h - samples whose pages are to be encoded, the queue that they wait in, and the
 * threads that load, encode and pack them.
 *
 *     pages of samples -> batches: load each page -> encode the batch -> pack each sample
 *
 * On a processor each thread does whatever comes next. A GPU is given its work by a thread or two
 * that do nothing else, while others load what comes next and pack what was encoded.
 *
 * A batch is made of pages as they come, whatever threads are free: the same samples make the same
 * batches, except that one that is not full waits a second at most, and not at all when nobody
 * will push before it is done.
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
    struct encode_job *next, *next_unpacked;
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
    int encoded; /* pages */
    bool done;
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

struct encode_options {
    const struct encoder *encoder;
    /* Reads packed pages back; they get an accuracy where they have text. NULL: not. */
    const struct reader *reader;
    const struct alphabet *alphabet; /* that text should be of; NULL: of any */
    enum codec codec;
    int64_t threads; /* 0: one per core. With a GPU: those that load and pack */
    int64_t batch;   /* pages at most; 0: the device's answer */
    int64_t memory;  /* bytes of a GPU's memory to be used at most, weights included; 0: all that
                        is left */
};
/* ERR_LIMIT where the weights alone are more than `memory`. */
int encode_pool_open(struct encode_pool **out, const struct encode_options *o, struct error *e);
/* Stops the threads after the pages in hand; frees what is left. NULL is allowed. */
void encode_pool_close(struct encode_pool *pool);

/* Takes the sample over, also where it fails (ERR_MEMORY). */
int encode_pool_push(struct encode_pool *pool, struct encode_job *job, struct error *e);
/* The oldest sample: waits until it is done if `wait`, else NULL unless it is. NULL too when there
 * is none. The caller frees it. */
struct encode_job *encode_pool_pop(struct encode_pool *pool, bool wait);
size_t encode_pool_bytes(struct encode_pool *pool); /* in the queue */

#endif
