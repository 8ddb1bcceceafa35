/* eval_perplexity.h - `occ eval perplexity`: its options, and what it prints. */
#ifndef OCC_CLI_EVAL_PERPLEXITY_H
#define OCC_CLI_EVAL_PERPLEXITY_H

#include "cli/device_choice.h"
#include "train/decoder/decoder.h"

struct perplexity_arguments {
    const char *model, *adapter; /* folders; model NULL: it is not what is asked for */
    int64_t window, tokens;      /* 0: see the options */
    int weights;                 /* enum decoder_format */
};
/* Rows of an option table; `field` is the struct perplexity_arguments in `type`. */
#define PERPLEXITY_ROWS(type, field)                                                               \
    {"adapter",                                                                                    \
     0,                                                                                            \
     OPTION_TEXT,                                                                                  \
     offsetof(type, field.adapter),                                                                \
     "FOLDER",                                                                                     \
     .help = "an adapter of the language model, as 'occ train tune' or PEFT writes it"},           \
        {"weights",                                                                                \
         0,                                                                                        \
         OPTION_CHOICE,                                                                            \
         offsetof(type, field.weights),                                                            \
         "FORMAT",                                                                                 \
         .help =                                                                                   \
             "how matrices are kept in memory; auto: packed ones and bf16 as they are stored, "    \
             "others as --compute says",                                                           \
         .choices = DECODER_FORMAT_NAMES},                                                         \
        {"window",                                                                                 \
         0,                                                                                        \
         OPTION_INTEGER,                                                                           \
         offsetof(type, field.window),                                                             \
         "N",                                                                                      \
         .help = "tokens that are seen together; default: 1024, or what the model was trained on " \
                 "where that is less",                                                             \
         .minimum = 2},                                                                            \
    {                                                                                              \
        "tokens", 0, OPTION_INTEGER, offsetof(type, field.tokens), "N",                            \
            .help = "measure the first N tokens of each text; 0: all", .minimum = 0                \
    }

/* ERR_USAGE. */
int perplexity_check(const struct perplexity_arguments *a, struct device_choice *d,
                     struct error *e);

struct perplexity_bench; /* what a run has open */
int perplexity_open(struct perplexity_bench **out, const struct perplexity_arguments *a,
                    const struct device_choice *d, int64_t threads, bool json, struct error *e);
void perplexity_close(struct perplexity_bench *p); /* NULL is allowed */
/* Measures and prints a file; `size` bytes of `name` are what it is called, 0: as the file. */
int perplexity_text(struct perplexity_bench *p, const char *file, const char *name, size_t size,
                    struct error *e);
/* All of them, where there were several. */
int perplexity_total(struct perplexity_bench *p, struct error *e);

#endif
