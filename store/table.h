/* table.h - a hash table from text to a number, for sets and joins of millions of names.
 *
 * Open addressing over XXH3; about 24 bytes an entry plus the text. Texts are copied. */
#ifndef OCC_STORE_TABLE_H
#define OCC_STORE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/error.h"

struct table;

int table_open(struct table **out, struct error *e);
void table_close(struct table *t); /* NULL is allowed */

/* Adds `text` with `value` unless it is there. *found: the value it has now. 1 when it was added, 0
 * when it was there, ERR_MEMORY. `found` may be NULL. */
int table_add(struct table *t, const char *text, size_t value, size_t *found, struct error *e);

/* Whether `text` is in the table; its value through `value` (may be NULL). */
bool table_find(const struct table *t, const char *text, size_t *value);

size_t table_count(const struct table *t);

/* A number that two tables of the same texts have in common, whatever the order they came in. */
uint64_t table_fingerprint(const struct table *t);

#endif
