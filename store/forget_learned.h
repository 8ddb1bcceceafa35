/* forget_learned.h - what the encoder of a store learned of forgetting, as the store's meta has it:
 * how often its tokens may be halved, pages of which profiles, and how much can be read afterwards.
 *
 * "fidelity" is JSON: {PROFILE: [{"k": 0, "characters": 0.998, "words": 0.99, "numbers": 0.99},
 * ...], ...}: shares that were read back from pages of a profile after k halvings, as `occ eval
 * fidelity` measures them. A number that is missing was not measured. */
#ifndef OCC_STORE_FORGET_LEARNED_H
#define OCC_STORE_FORGET_LEARNED_H

#include "store/store.h"

struct learned {
    int levels;        /* halvings that nested tokens learned; 0: not nested, merged by maps */
    json_t *profiles;  /* names; pages of others are not to be merged */
    json_t *fidelity;  /* NULL: not measured */
    struct bytes text; /* while it is read */
};

/* Of a store without notes: of maps that were learned on rows of 16 pixels, read10 and clear.
 * ERR_FORMAT for notes that cannot be true of its tokens. */
int learned_open(struct learned *l, struct store *s, struct error *e);
void learned_close(struct learned *l);

/* Whether pages of the profile were among those whose merging was learned; of an unknown one
 * nothing is said against it. */
bool learned_merges(const struct learned *l, const char profile[TOKEN_PROFILE]);

struct expected {
    double words, numbers; /* shares, 0 to 1 */
};
/* Of a page after k halvings by merging. False: not measured. */
bool learned_expects(const struct learned *l, const char profile[TOKEN_PROFILE], int k,
                     struct expected *out);

#endif
