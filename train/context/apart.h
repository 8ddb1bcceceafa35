/* apart.h - accounts that are held out: by the hash of their names, so that an account which is not
 * learned from in one store, or by one command, is not in another either. */
#ifndef OCC_TRAIN_CONTEXT_APART_H
#define OCC_TRAIN_CONTEXT_APART_H

#include <stdbool.h>
#include <stddef.h>

/* apart[i]: account names[i] is held out: its hash is in the lowest `share` of all hashes. Above 0,
 * of several names one at least is, the one of the lowest hash, and one is not, that of the
 * highest. Equal names stay together. */
void apart_choose(const char *const *names, size_t count, double share, bool *apart);

#endif
