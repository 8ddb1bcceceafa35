/* store_facts.h - `occ store get --facts`. */
#ifndef OCC_CLI_STORE_FACTS_H
#define OCC_CLI_STORE_FACTS_H

#include "store/store.h"

/* Prints a line of JSON for each page of a sample: page, bucket, facts. ERR_FORMAT for a sample
 * without pages, saying why. */
int store_facts_print(struct store *s, const char *key, struct error *e);

#endif
