/* compress.h - the stage between a stream of pages, or loose pictures, and a token store.
 *
 * One thread reads and writes, the others encode: samples go through a queue bounded by bytes and
 * are put into the store in the order in which they came. A sample is stored whole or not at all.
 * Samples that the journal knows with the same input and options are passed over. The number in a
 * pack's key is only its place in a stream (render.h); in the store a pack has the name pack:HASH
 * of what is on it, and packs that the streams of a run have replaced altogether are removed at its
 * end. */
#ifndef OCC_COMPRESS_COMPRESS_H
#define OCC_COMPRESS_COMPRESS_H

#include <signal.h>

#include "compress/encoder.h"
#include "compress/legibility.h"
#include "compress/reader.h"
#include "render/mode.h"
#include "store/store.h"

struct compress_options {
    int codec;          /* enum codec */
    int64_t threads;    /* that encode; 0: one per core. See encode_options */
    int64_t batch;      /* pages that go through the network together; 0: the device's answer */
    int64_t gpu_memory; /* bytes of it to be used at most; 0: what is left */
    int mode;           /* enum page_mode, of loose pictures */
    int64_t commit; /* bytes that wait for a commit at most; COMPRESS_SECONDS pass at most, too */
    int date;       /* enum compress_date, of loose pictures */
    bool progress;
    /* The encoder's: reads each page back as it was packed, for its accuracy; NULL: not. */
    const struct reader *reader;
};
#define COMPRESS_DEFAULTS                                                                          \
    { .codec = CODEC_BF16, .mode = MODE_BASE, .commit = (int64_t)STORE_BATCH }
enum compress_date { COMPRESS_DATE_NONE, COMPRESS_DATE_MTIME };
enum { COMPRESS_SECONDS = 5, COMPRESS_NAMED = 3 };

/* Samples of a kind, and the first of them, with commas. */
struct compress_named {
    int64_t count;
    char first[COMPRESS_NAMED * (STREAM_KEY_BYTES + 2)];
};

/* Pages that were read back. */
struct compress_readback {
    int64_t pages;
    double accuracy, worst; /* the sum over pages, and the least */
    char worst_key[STREAM_KEY_BYTES];
    int worst_page;
};

struct compress_result {
    int64_t samples, pages, tokens, characters; /* put into the store */
    int64_t skipped;                            /* samples that were there already */
    int64_t folded;                             /* of these, samples that were folded */
    int64_t failed;                             /* samples that could not be encoded */
    int64_t repeated;                           /* samples whose keys came before */
    int64_t removed;                            /* packs that were replaced */
    int64_t bytes;                              /* of packed tokens */
    struct codec_loss loss;
    struct compress_readback readback;
    /* Pages of profiles that the encoder was not trained on (trained.h); the first such profile,
     * and whether there were more. */
    int64_t unseen_pages;
    char unseen_profile[32], trained_profiles[128];
    bool unseen_more;
    struct compress_readback unseen;
    struct legibility legibility; /* of pages put into the store */
    /* Of those that were put: samples without a usable date, which never age; pictures without one,
     * because it was not asked for; samples whose date came in parts of a second, and is taken as
     * what it means; samples of more than a day after now. */
    struct compress_named undated, scaled, future;
    int64_t undated_pictures;
    double seconds;
};

/* Samples of all streams of `in` (NULL: none), then the pictures: PNG, JPEG or PNM files as samples
 * "files/PATH" of one page (gundam: of its views). A damaged page fails its sample, and a sample
 * whose key came before is left out: a message names it, the rest goes on. After ERR_CANCELLED and
 * errors of the input, what was read before is in the store. ERR_FORMAT when a stream holds samples
 * and no pages, because nothing rendered them. */
struct compress_input {
    struct stream_reader *streams;
    char *const *pictures;
    int picture_count;
};
int compress_run(const struct encoder *encoder, struct store *s, const struct compress_input *in,
                 const struct compress_options *options, const volatile sig_atomic_t *cancel,
                 struct compress_result *result, struct error *e);

#endif
