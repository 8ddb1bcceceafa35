/* generate_prompts.h - what `occ generate` goes on with: prompts of the command line, of a file, or
 * of JSON lines, or accounts of a store, as tokens. */
#ifndef OCC_CLI_GENERATE_PROMPTS_H
#define OCC_CLI_GENERATE_PROMPTS_H

#include <jansson.h>

#include "train/decoder/chat.h"
#include "train/decoder/decoder.h"
#include "train/generate/account.h"

struct prompt_arguments {
    const char *prompt, *prompt_file; /* a text to go on with, or a file with it */
    const char *chat, *system;        /* a message to be answered, and what stands before it */
    const char *batch;                /* a file of JSON lines */
    const char *store;                /* then prompts are of accounts: */
    const char *account, *style;      /* as in account.h; of a batch, where a line says nothing */
    const char *now;                  /* a day; NULL: now */
    int64_t at;                       /* the same in seconds, after prompts_check */
    bool script;
};

struct prompt {
    json_t *row;     /* owned: the object that its JSON line begins with */
    size_t first;    /* of its tokens, in prompts.tokens and prompts.positions */
    int64_t count;   /* of them */
    uint64_t number; /* of its line; 1 for a single one */
    /* Of an account: */
    struct account_prompt asked; /* its texts are the row's, or the command line's */
    struct layout_spent spent;
    bool embedded;
    double *experts; /* owned; see generate_account.h */
    struct bridge_routing routing;
};

struct prompts {
    struct prompt *items; /* owned */
    size_t count, capacity;
    struct token_list tokens;
    struct token_list positions; /* of prompts of accounts; else none */
    int64_t skipped;             /* rows that are no prompts; each was logged */
};

/* ERR_USAGE: none is named, or more than one. */
int prompts_check(struct prompt_arguments *a, struct error *e);
/* `room`: prompts of a batch with as many tokens are skipped; a single one is an error. `accounts`:
 * of --store; else NULL. */
int prompts_read(struct prompts *p, const struct prompt_arguments *a,
                 const struct decoder_folder *model, struct account_prompts *accounts, int64_t room,
                 struct error *e);
void prompts_close(struct prompts *p); /* {0} is allowed */

#endif
