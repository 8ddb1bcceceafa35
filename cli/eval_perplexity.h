/* eval_perplexity.h - `occ eval perplexity`: its options, and what it prints of texts. */
#ifndef OCC_CLI_EVAL_PERPLEXITY_H
#define OCC_CLI_EVAL_PERPLEXITY_H

#include "cli/eval_posts.h"

struct perplexity_arguments {
    const char *model, *adapter; /* folders; model NULL: it is not what is asked for */
    int64_t window, tokens;      /* 0: see the options */
    int weights;                 /* enum decoder_format */
    struct posts_arguments posts;
};
/* Rows of an option table; `field` is the struct perplexity_arguments in `type`, `names` the
 * commands that take them (option_spec), `shared` those that have an adapter, too. */
#define PERPLEXITY_ROWS(type, field, names, shared)                                                \
    {"adapter",                                                                                    \
     0,                                                                                            \
     OPTION_TEXT,                                                                                  \
     offsetof(type, field.adapter),                                                                \
     "FOLDER",                                                                                     \
     .help = "an adapter of the language model, as 'occ train tune' or PEFT writes it",            \
     .commands = shared},                                                                          \
        {"weights",                                                                                \
         0,                                                                                        \
         OPTION_CHOICE,                                                                            \
         offsetof(type, field.weights),                                                            \
         "FORMAT",                                                                                 \
         .help =                                                                                   \
             "how matrices are kept in memory; auto: packed ones and bf16 as they are stored, "    \
             "others as --compute says",                                                           \
         .choices = DECODER_FORMAT_NAMES,                                                          \
         .commands = shared},                                                                      \
        {"window",                                                                                 \
         0,                                                                                        \
         OPTION_INTEGER,                                                                           \
         offsetof(type, field.window),                                                             \
         "N",                                                                                      \
         .help = "tokens that are seen together; default: 1024, or what the model was trained on " \
                 "where that is less",                                                             \
         .minimum = 2,                                                                             \
         .commands = names},                                                                       \
        POSTS_ROWS(type, field.posts, names, shared), {                                            \
        "tokens", 0, OPTION_INTEGER, offsetof(type, field.tokens), "N",                            \
            .help = "measure the first N tokens of each text; 0: all", .minimum = 0,               \
            .commands = names                                                                      \
    }

/* `texts`: how many are named. ERR_USAGE. */
int perplexity_check(struct perplexity_arguments *a, int texts, struct device_choice *d,
                     struct error *e);

struct perplexity_bench; /* what a run has open */
int perplexity_open(struct perplexity_bench **out, const struct perplexity_arguments *a,
                    const struct device_choice *d, int64_t threads, bool json, struct error *e);
void perplexity_close(struct perplexity_bench *p); /* NULL is allowed */
/* Measures and prints a file; `size` bytes of `name` are what it is called, 0: as the file. */
int perplexity_text(struct perplexity_bench *p, const char *file, const char *name, size_t size,
                    struct error *e);
/* The posts of a store, in the place of texts. */
int perplexity_posts(struct perplexity_bench *p, struct error *e);
/* All texts, where there were several. */
int perplexity_total(struct perplexity_bench *p, struct error *e);

#endif
