/* key_set.h - which keys came already, of millions.
 *
 * Holds the XXH3 hash of 128 bits of each key in a table that doubles: 21 to 43 bytes a key,
 * whatever its length. That two of a billion keys have the same hash has a chance of 1 to 10^20. */
#ifndef OCC_STORE_KEY_SET_H
#define OCC_STORE_KEY_SET_H

#include <stdbool.h>

#include "store/error.h"

struct key_set;

int key_set_open(struct key_set **out, struct error *e);
void key_set_close(struct key_set *s); /* NULL is allowed */

/* 1 when it was added, 0 when it was there, ERR_MEMORY. */
int key_set_add(struct key_set *s, const char *key, struct error *e);
bool key_set_has(const struct key_set *s, const char *key);

#endif
