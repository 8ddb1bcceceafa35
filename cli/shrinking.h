/* shrinking.h - how `occ forget` makes pages smaller: what is asked for, and nothing else. */
#ifndef OCC_CLI_SHRINKING_H
#define OCC_CLI_SHRINKING_H

#include "cli/encoder_choice.h"
#include "store/forget.h"

/* AUTO is merge. */
enum shrinking_way { WAY_AUTO, WAY_MERGE, WAY_POOL, WAY_RESIZE, WAY_RENDER };
extern const char *const SHRINKING_WAYS[]; /* "auto", ..., NULL */

struct shrinking_options {
    int way;                       /* enum shrinking_way */
    struct encoder_choice encoder; /* its device is settled; the bundled file only if it
                                    * is the store's */
    const char *store;             /* its path, for messages */
    int profile;    /* how pages were set, for resize and render: an index into PROFILES */
    bool look_only; /* nothing is written */
};

struct shrinking;

/* Merging halves nested tokens; others take the maps that the store keeps; a store without them
 * takes them from its encoder, for good (the next commit). ERR_UNSUPPORTED where the way cannot be
 * gone: then the user has to say another. */
int shrinking_open(struct shrinking **out, struct store *s, const struct shrinking_options *options,
                   struct error *e);
void shrinking_close(struct shrinking *k); /* NULL is allowed */
/* NULL: means. */
const struct forget_operator *shrinking_operator(const struct shrinking *k);
/* What pages are made smaller by, for people. */
const char *shrinking_name(const struct shrinking *k);

#endif
