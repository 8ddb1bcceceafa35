/* sample.h - what is encoded of a stream's sample or of a picture file; for compress.c. */
#ifndef OCC_COMPRESS_SAMPLE_H
#define OCC_COMPRESS_SAMPLE_H

#include "compress/work.h"

/* Copies a sample: .json, its pages and their text. ERR_FORMAT for pages without a record
 * (pages.json), an unknown mode, missing pictures. */
int sample_from_stream(struct work **out, const struct stream_sample *sample, struct error *e);
/* A picture as sample "files/PATH"; `dated`: of the file's date, else of none. */
int sample_from_file(struct work **out, const char *path, enum encode_mode mode, bool dated,
                     struct error *e);

#endif
