/* encode_plan.h - how many threads do what for encode_pool.h, how many pages they take at a time,
 * and how much of a GPU's memory. */
#ifndef OCC_COMPRESS_ENCODE_PLAN_H
#define OCC_COMPRESS_ENCODE_PLAN_H

#include "compress/encode_pool.h"

struct encode_plan {
    int encoding, packing, loading; /* threads; packing 0: each does everything */
    int pages;                      /* of a batch at most */
    double area;                    /* likewise, in pages of 1024 x 1024 */
    int ahead;                      /* batches whose pages are loaded */
    size_t memory;                  /* of the device, of each thread that encodes; 0: not limited */
};
int encode_plan_make(struct encode_plan *plan, const struct encode_options *o, struct error *e);

/* The area of a page's pictures, in pages of 1024 x 1024 pixels. */
double encode_plan_area(enum page_mode mode);

#endif
