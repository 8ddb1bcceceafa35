/* facts.h - what in a caption must be read exactly: prices, dates, times, numbers, addresses, names
 * of accounts, code; made up. */
#ifndef OCC_TRAIN_READ_FACTS_H
#define OCC_TRAIN_READ_FACTS_H

#include <stdint.h>

#include "store/bytes.h"

/* Each appends one of its kind. */
int fact_put(struct bytes *out, uint64_t *random, struct error *e);        /* any but the next */
int fact_put_string(struct bytes *out, uint64_t *random, struct error *e); /* digits, hex, UUID */
int fact_put_price(struct bytes *out, uint64_t *random, struct error *e);
int fact_put_count(struct bytes *out, uint64_t *random, struct error *e); /* "1.2K" */
int fact_put_url(struct bytes *out, uint64_t *random, struct error *e);
int fact_put_code(struct bytes *out, uint64_t *random, struct error *e);
int fact_put_name(struct bytes *out, uint64_t *random, struct error *e); /* "kolu_92" */
int fact_put_face(struct bytes *out, uint64_t *random, struct error *e); /* ":-)" */

/* A number from 0 on, as often of one length as of another: below ten to the `digits`. */
int64_t fact_number(int digits, uint64_t *random);

#endif
