/* eval_posts.h - `occ eval perplexity --store`: held-out posts of accounts, after what the store
 * shows of the older ones. */
#ifndef OCC_CLI_EVAL_POSTS_H
#define OCC_CLI_EVAL_POSTS_H

#include "cli/store_context.h"

struct posts_arguments {
    const char *store;                              /* NULL: texts are measured */
    const char *encoder, *hold_out, *hold_accounts; /* shares, or NULL */
    int64_t most;                                   /* posts; 0: all */
    struct context_choice context;
};
/* Rows of an option table; `field` is the struct posts_arguments in `type`, `names` the commands
 * that take them (option_spec), `shared` those that have an adapter, too. */
#define POSTS_ROWS(type, field, names, shared)                                                     \
    {"store",                                                                                      \
     0,                                                                                            \
     OPTION_TEXT,                                                                                  \
     offsetof(type, field.store),                                                                  \
     "FOLDER",                                                                                     \
     .help = "measure the newest posts of the accounts of a token store, each after what "         \
             "--context shows of the older ones; in the place of texts",                           \
     .commands = names},                                                                           \
        {"hold-out",                                                                               \
         0,                                                                                        \
         OPTION_TEXT,                                                                              \
         offsetof(type, field.hold_out),                                                           \
         "SHARE",                                                                                  \
         .help = "share of each account's posts that is measured; default: 0.1, what 'occ train "  \
                 "tune' holds out",                                                                \
         .commands = names},                                                                       \
        {"hold-out-accounts",                                                                      \
         0,                                                                                        \
         OPTION_TEXT,                                                                              \
         offsetof(type, field.hold_accounts),                                                      \
         "SHARE",                                                                                  \
         .help = "perplexity: all posts of this share of the accounts, too; default: none; "       \
                 "reading: of these accounts alone; default: all",                                 \
         .commands = shared},                                                                      \
        {"measure-rows",                                                                           \
         0,                                                                                        \
         OPTION_INTEGER,                                                                           \
         offsetof(type, field.most),                                                               \
         "N",                                                                                      \
         .help = "measure N of these captions and scripts, from all over them; default: all",      \
         .minimum = 1,                                                                             \
         .commands = names},                                                                       \
        CONTEXT_KIND_ROW(type, field.context, names,                                               \
                         "visual where the adapter reads tokens, else text"),                      \
        CONTEXT_POSITIONS_ROW(type, field.context, names),                                         \
        CONTEXT_EXPAND_ROW(type, field.context, names),                                            \
        CONTEXT_NEWEST_ROW(type, field.context, names),                                            \
        CONTEXT_FACTS_ROW(type, field.context, names),                                             \
        CONTEXT_TAU_ROW(type, field.context, names), CONTEXT_ROW(type, field.context, shared), {   \
        "encoder", 0, OPTION_TEXT, offsetof(type, field.encoder), "FILE",                          \
            .help =                                                                                \
                "the encoder that made the store, whose reading head an adapter, or --context "    \
                "read, may need; default: the bundled one",                                        \
            .commands = shared                                                                     \
    }

/* ERR_USAGE: without a store, an option that would do nothing, too. */
int posts_check(struct posts_arguments *a, struct error *e);

struct posts_model {
    const struct decoder_folder *folder;
    struct decoder_parts parts;
    const struct adapter *adapter; /* NULL: none */
    struct device *device;
    const struct device_choice *choice;
};
/* Measures and prints. */
int posts_run(const struct posts_arguments *a, const struct posts_model *m, bool json,
              struct error *e);

#endif
