/* material.h - what spans are drawn from: the visual tokens of stores that show text, account by
 * account. Some accounts are held out (apart.h), those that `occ train tune` holds out, too; of an
 * only account its newest tokens are. Private to train/align/. */
#ifndef OCC_TRAIN_ALIGN_MATERIAL_H
#define OCC_TRAIN_ALIGN_MATERIAL_H

#include "train/context/history.h"
#include "train/corpus/corpus.h"

struct material_counts {
    int64_t accounts;
    int64_t tokens; /* that show text: where spans may begin */
};
struct material; /* read-only once it is open; the histories outlive it */
/* ERR_FORMAT: no token of them shows text, or they were made by several encoders. `held_out`: share
 * of the accounts; above 0 one at least, never all. */
int material_open(struct material **out, struct history *const *histories, size_t count,
                  double held_out, struct error *e);
void material_close(struct material *m); /* NULL is allowed */
struct material_counts material_counts(const struct material *m, enum corpus_set set);
const struct store_encoder *material_encoder(const struct material *m);
/* Of all histories, and of what is held out. */
uint64_t material_hash(const struct material *m);
size_t material_bytes(const struct material *m); /* of memory, the histories' included */

/* A token that shows text, and how far its account may be used from there. */
struct material_place {
    const struct history *history;
    const struct history_account *account;
    size_t token, end; /* of the account's tokens; end: the first that is not to be used */
};
/* `number` is below the set's count of tokens. */
struct material_place material_place(const struct material *m, enum corpus_set set, int64_t number);

#endif
