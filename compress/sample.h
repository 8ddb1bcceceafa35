/* sample.h - the pages to be encoded of a stream's sample or of a picture file; and streams that
 * hold none. Jobs are the caller's: encode_pool_push takes them, else encode_job_free. */
#ifndef OCC_COMPRESS_SAMPLE_H
#define OCC_COMPRESS_SAMPLE_H

#include "compress/encode_pool.h"

/* Copies a sample: .json, its pages and their text. ERR_FORMAT for pages without a record
 * (pages.json), an unknown mode, missing pictures. */
int sample_from_stream(struct encode_job **out, const struct stream_sample *sample,
                       struct error *e);
/* A picture as sample "files/PATH"; `dated`: of the file's date, else of none. */
int sample_from_file(struct encode_job **out, const char *path, enum page_mode mode, bool dated,
                     struct error *e);

/* Logs that a sample was left out because its key came before. */
void sample_report_repeated(const struct stream_reader *r, const struct stream_sample *sample);

/* Streams that hold samples and no pages: `occ render` was left out of the pipe. All zero at the
 * beginning. */
struct sample_pages {
    int64_t stream, with, without; /* of the stream at hand: samples with pages, without */
    char input[256];               /* that it is in */
    bool rendered;                 /* it says so itself: samples may have nothing for a page */
    bool ingested;                 /* it says so itself: no sample has a page */
    int64_t unrendered;            /* streams so far */
    struct error error;            /* what is to be said of the first */
};
/* Counts each sample as it comes and, NULL, the end of the last stream. Whether the sample may be
 * taken: one that was only ingested must not count as done. */
bool sample_count_pages(struct sample_pages *p, const struct stream_reader *r,
                        const struct stream_sample *sample);

#endif
