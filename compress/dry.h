/* dry.h - a device that computes nothing: what is run on it takes the memory that it would take
 * elsewhere, by `bytes` and `peak_bytes`, but no time; addresses are set aside and never touched.
 *
 * So a network says before its first step what it will keep. Numbers that come back are what the
 * caller had there. */
#ifndef OCC_COMPRESS_DRY_H
#define OCC_COMPRESS_DRY_H

#include "compress/device.h"

/* In the place of a device of `backend` that computes in `compute`. */
int dry_open(struct device **out, const struct backend *backend, enum dtype compute,
             struct error *e);
void dry_close(struct device *d); /* NULL is allowed */

#endif
