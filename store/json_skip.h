/* json_skip.h - JSON without the values of one key: for records of which most is of no interest. */
#ifndef OCC_STORE_JSON_SKIP_H
#define OCC_STORE_JSON_SKIP_H

#include "store/bytes.h"

/* Appends the text with null in the place of each array or object that stands under `key`, at any
 * depth; all else as it is, whether it is JSON or not. So what json_read says of the result it says
 * of the text, faults within the values left out aside. */
int json_skip(struct bytes *out, const void *text, size_t size, const char *key, struct error *e);

#endif
