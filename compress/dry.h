/* dry.h - a device that computes nothing: what is run on it takes the memory that it would take
 * elsewhere, by `bytes` and `peak_bytes`, but no time; addresses are set aside and never touched.
 *
 * So a network says before its first step what it will keep, and what it will compute: operations
 * are shown to whoever asks. Numbers that come back are what the caller had there. */
#ifndef OCC_COMPRESS_DRY_H
#define OCC_COMPRESS_DRY_H

#include "compress/device.h"

/* In the place of a device of `backend` that computes in `compute`. */
int dry_open(struct device **out, const struct backend *backend, enum dtype compute,
             struct error *e);
void dry_close(struct device *d); /* NULL is allowed */

/* ---- Operations ------------------------------------------------------------------------------ */

enum dry_family {
    DRY_PRODUCTS,
    DRY_ATTENTION,
    DRY_ROWS, /* also element by element: limited by bytes */
    DRY_MOVING,
    DRY_CROSSING, /* between the host and the device */
    DRY_FAMILIES
};
extern const char *const DRY_FAMILY_NAMES[DRY_FAMILIES + 1]; /* ends in NULL */

/* A call of one. Nothing is counted that a fast backend can leave undone: a causal query is not
 * multiplied with the keys after it, and what is between two products of one call is not moved. */
struct dry_operation {
    const char *name; /* in struct ops */
    enum dry_family family;
    /* Products: rows, inputs, outputs. Attention: sequences or windows, heads, queries of each,
     * keys of each. Others: rows, width. 0: no more. */
    int64_t sizes[4];
    /* Of products and attention, a multiplication and its addition being 2; of others 0. In a
     * window that is padded each token of the grid sees the padding, but the padding sees nothing.
     */
    double operations;
    double bytes; /* every number that is read, once, and every one that is written; what is added
                     to is both */
};

typedef void dry_see(void *context, const struct dry_operation *o);
/* `see` is called with each operation from now on; NULL: nobody is. */
void dry_trace(struct device *d, dry_see *see, void *context);

#endif
