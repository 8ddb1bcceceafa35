/* stats_table.h - what `occ store stats` prints for people. */
#ifndef OCC_CLI_STATS_TABLE_H
#define OCC_CLI_STATS_TABLE_H

#include "store/store_stats.h"

/* `tokenizer`: the name of what counted text tokens, or NULL. */
void stats_table_print(const struct store_stats *stats, const char *tokenizer);

#endif
