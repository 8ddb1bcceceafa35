/* length_check.h - compares how long a file is with how long the site says it is. A download that
 * broke off and was merged all the same is a valid file: nothing else shows that it is not
 * whole. */
#ifndef OCC_INGEST_LENGTH_CHECK_H
#define OCC_INGEST_LENGTH_CHECK_H

#include "ingest/media/media.h"
#include "ingest/sidecars/sidecars.h"

/* Warns of media that are much shorter than their metadata say, and of sound that ends long before
 * the pictures. */
void length_check(struct sidecars *s, const struct media *m);

#endif
