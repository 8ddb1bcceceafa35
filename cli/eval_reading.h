/* eval_reading.h - `occ eval reading`: how well a language model reads visual tokens. */
#ifndef OCC_CLI_EVAL_READING_H
#define OCC_CLI_EVAL_READING_H

#include "cli/device_choice.h"

struct reading_arguments {
    const char *model, *adapter;         /* folders */
    const char *encoder;                 /* a file; NULL: the bundled one */
    const char *soft, *spans, *halvings; /* lists; soft NULL: all that there are */
    const char *hold_accounts;           /* a share; NULL: all accounts are measured */
    int64_t rows, row, threads, seed;    /* row 0: see the options */
    int weights;                         /* enum decoder_format */
    bool json;
    char *const *stores; /* `count` folders */
    int count;
};
/* Rows of an option table; `field` is the struct reading_arguments in `type`. */
#define READING_ROWS(type, field)                                                                  \
    {"spans",                                                                                      \
     0,                                                                                            \
     OPTION_TEXT,                                                                                  \
     offsetof(type, field.spans),                                                                  \
     "LIST",                                                                                       \
     .help = "how many visual tokens are read together: any of 1, 2, 4, ... 256",                  \
     .commands = "reading"},                                                                       \
        {"soft",                                                                                   \
         0,                                                                                        \
         OPTION_TEXT,                                                                              \
         offsetof(type, field.soft),                                                               \
         "LIST",                                                                                   \
         .help = "soft tokens for each of them: any of 8, 4, 2, 1; default: all that the "         \
                 "adapter makes",                                                                  \
         .commands = "reading"},                                                                   \
    {                                                                                              \
        "rows", 0, OPTION_INTEGER, offsetof(type, field.rows), "N",                                \
            .help = "rows of spans that are measured for each figure", .minimum = 1,               \
            .commands = "reading"                                                                  \
    }

/* ERR_USAGE. */
int reading_check(const struct reading_arguments *a, struct device_choice *d, struct error *e);
int reading_run(const struct reading_arguments *a, const struct device_choice *d, struct error *e);

#endif
