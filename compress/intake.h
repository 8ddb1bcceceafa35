/* intake.h - what the store makes of a sample that comes: its date, and whether it was folded; for
 * compress.c.
 *
 * A sample that was folded stays folded, however it has changed, and a pack of such samples alone
 * too; a pack with others on it is encoded, and forget counts those only. A pack is as old as the
 * newest sample on it, and has no date where one of them has none. */
#ifndef OCC_COMPRESS_INTAKE_H
#define OCC_COMPRESS_INTAKE_H

#include "compress/compress.h"
#include "compress/encode_pool.h"

/* 1: all that the sample shows was folded; 0: not. */
int intake_is_folded(struct store *s, const struct encode_job *job, struct error *e);
/* Gives a pack the date of the samples on it, which are in the store by now. */
int intake_date(struct store *s, struct encode_job *job, struct error *e);
/* Counts a sample that was put into the store among those whose date is not as it should be. */
void intake_count(struct compress_result *result, const struct encode_job *job);

#endif
