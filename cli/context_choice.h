/* context_choice.h - the options of programs that show a language model what a store knows of an
 * account: as what, how much of it, how it has aged. */
#ifndef OCC_CLI_CONTEXT_CHOICE_H
#define OCC_CLI_CONTEXT_CHOICE_H

#include "cli/options.h"
#include "train/context/layout.h"

enum { CONTEXT_AUTO = -1, CONTEXT_POSITIONS = 896 };

/* All zeros where nothing is named. */
struct context_choice {
    const char *context; /* a kind; or a number, that of --row, as it was before there were kinds */
    int64_t row, positions, expand, newest, facts, tau_ms;
    int kind; /* after context_choice_settle: enum context_kind, or CONTEXT_AUTO */
};

/* Rows of an option table; `field` is the struct context_choice in `type`, `names` the commands
 * that take it (option_spec), or NULL. */
#define CONTEXT_ROW(type, field, names)                                                            \
    {                                                                                              \
        "row", 0, OPTION_INTEGER, offsetof(type, field.row), "N",                                  \
            .help = "most tokens of a row: context, prompt and text together; default: as many "   \
                    "as the model was trained on, at most 8192. --context N is the same",          \
            .minimum = 2, .maximum = 1 << 20, .commands = names                                    \
    }
/* `unnamed`: text, what it is where none is named. */
#define CONTEXT_KIND_ROW(type, field, names, unnamed)                                              \
    {                                                                                              \
        "context", 0, OPTION_TEXT, offsetof(type, field.context), "KIND",                          \
            .help = "what is shown of older posts: visual (the stored tokens), text (the same as " \
                    "text, whatever it takes), truncated-text (the newest of that, in as many "    \
                    "positions as visual), pooled-text (means of its embeddings, likewise), read " \
                    "(what the reading head reads), none; default: " unnamed,                      \
            .commands = names                                                                      \
    }
#define CONTEXT_POSITIONS_ROW(type, field, names)                                                  \
    {                                                                                              \
        "positions", 0, OPTION_INTEGER, offsetof(type, field.positions), "N",                      \
            .help = "most positions that the visual context may take; default: 896, or three "     \
                    "quarters of --row where these are fewer",                                     \
            .minimum = 1, .maximum = 1 << 20, .commands = names                                    \
    }
#define CONTEXT_EXPAND_ROW(type, field, names)                                                     \
    {                                                                                              \
        "expand", 0, OPTION_INTEGER, offsetof(type, field.expand), "R",                            \
            .help = "positions of a visual token: 1, 2, 4 or 8; default: what the adapter was "    \
                    "made with",                                                                   \
            .minimum = 1, .maximum = BRIDGE_EXPAND, .commands = names                              \
    }
#define CONTEXT_NEWEST_ROW(type, field, names)                                                     \
    {                                                                                              \
        "newest", 0, OPTION_INTEGER, offsetof(type, field.newest), "N",                            \
            .help = "of the positions, as many go to the newest posts as text; default: none",     \
            .minimum = 1, .maximum = 1 << 20, .commands = names                                    \
    }
#define CONTEXT_FACTS_ROW(type, field, names)                                                      \
    {                                                                                              \
        "facts", 0, OPTION_INTEGER, offsetof(type, field.facts), "N",                              \
            .help = "of the positions, as many go to the exact numbers, dates and names of pages " \
                    "that were halved; default: none",                                             \
            .minimum = 1, .maximum = 1 << 20, .commands = names                                    \
    }
#define CONTEXT_TAU_ROW(type, field, names)                                                        \
    {                                                                                              \
        "tau", 0, OPTION_DURATION, offsetof(type, field.tau_ms), "TIME",                           \
            .help = "age the tokens to what 'occ forget --tau' would have left of them when the "  \
                    "post was written; default: as they are stored",                               \
            .minimum = 1000, .commands = names                                                     \
    }

/* ERR_USAGE. */
int context_choice_settle(struct context_choice *c, struct error *e);
/* Where no store is read: ERR_USAGE names an option that would do nothing. --row is not one. */
int context_choice_unused(const struct context_choice *c, struct error *e);
/* What is left open, for this model and adapter (`bridge` NULL: it has none); fills the options of
 * layout.h that are named here. ERR_USAGE: soft tokens without a bridge, a bridge that does not
 * expand so, more tokens than the model was trained on, an option that this kind makes nothing of.
 * --positions say with any kind how long a target may be (layout.h). */
int context_choice_layout(const struct context_choice *c, const struct decoder_config *config,
                          const struct bridge_options *bridge, struct layout_options *out,
                          struct error *e);

#endif
