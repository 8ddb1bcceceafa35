/* eval_paper.h - `occ eval paper`: the paper's table, each row tuned, measured and written with by
 * programs of their own. */
#ifndef OCC_CLI_EVAL_PAPER_H
#define OCC_CLI_EVAL_PAPER_H

#include "cli/eval_perplexity.h"

struct paper_arguments {
    const char *output, *only, *rate, *rows_rate, *bridge_rate, *metrics;
    int64_t seeds, steps, batch, texts, time_ms;
    /* What other commands have, too: */
    const char *model;
    const struct perplexity_arguments *shown; /* the adapter of visual rows, store, context */
    const struct device_choice *device;
    int64_t threads;
    bool json; /* of `metrics` alone */
};
/* Rows of an option table; `field` is the struct paper_arguments in `type`. */
#define PAPER_ROWS(type, field)                                                                    \
    {"output",                                                                                     \
     'o',                                                                                          \
     OPTION_TEXT,                                                                                  \
     offsetof(type, field.output),                                                                 \
     "FOLDER",                                                                                     \
     .help = "where runs, table.md and pictures go; run again, what is missing is made",           \
     .commands = "paper"},                                                                         \
        {"only",                                                                                   \
         0,                                                                                        \
         OPTION_TEXT,                                                                              \
         offsetof(type, field.only),                                                               \
         "LIST",                                                                                   \
         .help =                                                                                   \
             "rows of the table: any of lora-text, lora-truncated, gspf, gspf-truncated, occ, "    \
             "occ-mixed (half of the positions are the newest posts as text), occ-lasting "        \
             "(nothing ages), occ-no-experts, occ-random, pooled, read, none; all of these: "      \
             "standard; occ-2, occ-4, occ-8 (so many soft tokens a visual one, and times the "     \
             "positions); memory (8,192 positions of text, and each lever against them). Those "   \
             "with visual tokens (occ and what begins with it, memory) begin with --adapter, "     \
             "others with the model as it is, and need none",                                      \
         .commands = "paper"},                                                                     \
        {"seeds",                                                                                  \
         0,                                                                                        \
         OPTION_INTEGER,                                                                           \
         offsetof(type, field.seeds),                                                              \
         "N",                                                                                      \
         .help = "each row N times, with seeds 1 to N",                                            \
         .minimum = 1,                                                                             \
         .maximum = 99,                                                                            \
         .commands = "paper"},                                                                     \
        {"steps",                                                                                  \
         0,                                                                                        \
         OPTION_INTEGER,                                                                           \
         offsetof(type, field.steps),                                                              \
         "N",                                                                                      \
         .help = "steps of each row",                                                              \
         .minimum = 1,                                                                             \
         .commands = "paper"},                                                                     \
        {"batch",                                                                                  \
         0,                                                                                        \
         OPTION_INTEGER,                                                                           \
         offsetof(type, field.batch),                                                              \
         "N",                                                                                      \
         .help = "posts of a step",                                                                \
         .minimum = 1,                                                                             \
         .commands = "paper"},                                                                     \
        {"rate",                                                                                   \
         0,                                                                                        \
         OPTION_TEXT,                                                                              \
         offsetof(type, field.rate),                                                               \
         "NUMBER",                                                                                 \
         .help = "the highest learning rate of adapters",                                          \
         .commands = "paper"},                                                                     \
        {"rows-rate",        0,                                                                    \
         OPTION_TEXT,        offsetof(type, field.rows_rate),                                      \
         "NUMBER",           .help = "the same where rows of the model are trained (GSPF, OCC)",   \
         .commands = "paper"},                                                                     \
        {"bridge-rate",      0,                                                                    \
         OPTION_TEXT,        offsetof(type, field.bridge_rate),                                    \
         "NUMBER",           .help = "as 'occ train tune' has it",                                 \
         .commands = "paper"},                                                                     \
        {"texts",                                                                                  \
         0,                                                                                        \
         OPTION_INTEGER,                                                                           \
         offsetof(type, field.texts),                                                              \
         "N",                                                                                      \
         .help = "texts that are written for each account; eight times as many where captions "    \
                 "can be ranked",                                                                  \
         .minimum = 1,                                                                             \
         .commands = "paper"},                                                                     \
        {"time",                                                                                   \
         0,                                                                                        \
         OPTION_DURATION,                                                                          \
         offsetof(type, field.time_ms),                                                            \
         "TIME",                                                                                   \
         .help = "stop after this time, with a table of what is there by then (exit 75); "         \
                 "default: none",                                                                  \
         .minimum = 1000,                                                                          \
         .commands = "paper"},                                                                     \
    {                                                                                              \
        "metrics", 0, OPTION_TEXT, offsetof(type, field.metrics), "FOLDER",                        \
            .help = "in the place of a table: how well the metrics tell known writers apart, and " \
                    "foresee known reach, of what train/paper/accounts.sh writes to FOLDER",       \
            .commands = "paper"                                                                    \
    }
#define PAPER_DEFAULTS                                                                             \
    {                                                                                              \
        .only = "standard,memory", .rate = "5e-4", .rows_rate = "2e-3", .seeds = 1, .steps = 100,  \
        .batch = 8, .texts = 8                                                                     \
    }

/* `operands`: how many there are beside the command, which takes none. ERR_USAGE. */
int paper_check(struct paper_arguments *a, int operands, struct error *e);
/* Prints the table. ERR_CANCELLED: it lacks rows, as the time was up or *cancel set. */
int paper_run(const struct paper_arguments *a, const volatile sig_atomic_t *cancel,
              struct error *e);

#endif
