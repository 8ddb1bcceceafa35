/* generate_account.h - `occ generate --store`: posts of accounts, after what the store shows of
 * them. */
#ifndef OCC_CLI_GENERATE_ACCOUNT_H
#define OCC_CLI_GENERATE_ACCOUNT_H

#include "cli/generate_prompts.h"
#include "cli/store_context.h"

struct generate_account {
    struct store_context context;
    struct account_prompts *prompts;
    struct prompts *asked; /* what account_embed is called for, `texts` requests each */
    int64_t texts;
};
/* The model outlives it. {0} before; closed after a failure, too. */
int generate_account_open(struct generate_account *g, const struct store_context_options *o,
                          const struct generate_model *m, struct error *e);
void generate_account_close(struct generate_account *g);

/* generate_options.embed; the context is a struct generate_account. Leaves in the prompt what the
 * experts did. */
int generate_account_embed(void *context, size_t request, float *inputs, struct error *e);
/* What was spent on the context of a prompt, for its JSON line: a new object, or NULL: no memory.
 */
json_t *generate_account_json(const struct generate_account *g, const struct prompt *prompt);

#endif
