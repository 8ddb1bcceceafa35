/* account.h - prompts for a post of an account, after what a store knows of it (train/context/):
 * laid out once to see what they take, and made into inputs of the decoder when they begin. */
#ifndef OCC_TRAIN_GENERATE_ACCOUNT_H
#define OCC_TRAIN_GENERATE_ACCOUNT_H

#include "train/context/layout.h"
#include "train/generate/generate.h"

struct account_prompt {
    const char *account, *style; /* style: whose posts are shown; NULL: its own */
    int64_t now;                 /* when it is written: what is older is shown */
    bool script;                 /* a script, not a caption */
};

struct account_prompts; /* of the thread that opened it */
/* All of these outlive it. */
int account_prompts_open(struct account_prompts **out, const struct generate_model *m,
                         const struct context_network *network, const struct history *history,
                         const struct layout *layout, struct error *e);
void account_prompts_close(struct account_prompts *p); /* NULL is allowed */

/* Appends what generate_request takes: ids, and as many positions. *embedded: its inputs come from
 * account_prompts_embed; else they are its ids, one after the other. *spent: what it takes.
 * ERR_FORMAT: the store has no such account. */
int account_prompts_lay(struct account_prompts *p, const struct account_prompt *prompt,
                        struct token_list *ids, struct token_list *positions, bool *embedded,
                        struct layout_spent *spent, struct error *e);
/* (count, width) as generate_options.embed gives them; `routing`, or NULL: what the experts did is
 * added. */
int account_prompts_embed(struct account_prompts *p, const struct account_prompt *prompt,
                          float *inputs, struct bridge_routing *routing, struct error *e);

#endif
