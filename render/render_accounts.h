/* render_accounts.h - samples that wait for the others of their account, so that pages hold what
 * belongs together in whatever order it comes.
 *
 * An account's samples become one job at the end of the stream. Before that only where more bytes
 * than `limit` would wait: then the accounts that have most waiting go first, the one that is
 * coming in last, until a quarter of `limit` is free. So a stream that is sorted by account loses
 * nothing, however long it is, unless a single account takes more than `limit`. */
#ifndef OCC_RENDER_RENDER_ACCOUNTS_H
#define OCC_RENDER_RENDER_ACCOUNTS_H

#include "render/render_pages.h"

struct accounts; /* opaque */

/* `put` takes over the samples of a job, on failure too. */
typedef int accounts_put(void *context, struct render_job job, struct error *e);
int accounts_open(struct accounts **out, size_t limit, accounts_put *put, void *context,
                  struct error *e);
void accounts_close(struct accounts *a); /* jobs point into it; NULL is allowed */

/* Takes over a sample, on failure too. */
int accounts_add(struct accounts *a, struct sample_copy *sample, struct error *e);
/* Everything that waits becomes jobs, in the order in which accounts came first. */
int accounts_finish(struct accounts *a, struct error *e);

/* Accounts that came again after their samples had had to go. */
int64_t accounts_split(const struct accounts *a);

#endif
