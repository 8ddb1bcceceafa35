/* generate.h - texts that a language model goes on with: many prompts, some at a time.
 *
 * All sequences that run go through the decoder together, so that its weights are read once for all
 * of them; where one ends the next prompt takes its place, and keeps of the cache what both begin
 * with (the system prompt of a batch, the whole prompt of further answers). */
#ifndef OCC_TRAIN_GENERATE_GENERATE_H
#define OCC_TRAIN_GENERATE_GENERATE_H

#include <signal.h>
#include <stddef.h>

#include "train/decoder/network.h"
#include "train/generate/sampler.h"
#include "train/tokenizer/tokenizer.h"

struct generate_model {
    struct device *device; /* of the thread that calls */
    const struct decoder_config *config;
    struct decoder_parts parts;
    const struct tokenizer *tokenizer;
};

struct generate_options {
    struct sampling sampling;
    int64_t max_tokens;       /* of a text; 0: as many as the context has room for */
    int64_t context;          /* most tokens of a prompt and its text together; 0: the model's */
    int64_t together;         /* sequences at a time */
    const char *const *stops; /* texts before which a text ends; NULL-terminated, or NULL */
    uint64_t seed;
    /* The inputs of requests[request], (count, width), in the place of embeddings; called when it
     * begins, once for requests with the same `ids` that follow each other. */
    int (*embed)(void *context, size_t request, float *inputs, struct error *e);
    void *embed_context;
};

/* A prompt, of at least one token; borrowed for the run. */
struct generate_request {
    const int32_t *ids; /* (count) */
    int64_t count;
    uint64_t stream; /* of the seed: the same one gives the same text again */
    /* Its inputs come by `embed`; what is no text token has a negative id. */
    bool embedded;
    const int32_t *positions; /* (count) of what is embedded; NULL: 0, 1, ... */
};

enum generate_end {
    GENERATE_END_TOKEN, /* the model's */
    GENERATE_STOP_TEXT,
    GENERATE_LENGTH, /* max_tokens, or no room in the context */
    GENERATE_GUARD   /* the guard against repeated tokens leaves none */
};
extern const char *const GENERATE_END_NAMES[]; /* "end", "stop", "length", "guard" */

/* A text, or what has come of it: `text` grows from call to call, by whole characters; ended: by
 * which of `end`, and the last call for it. */
struct generate_text {
    size_t request; /* its index */
    const char *text;
    size_t size;
    int64_t tokens; /* that were drawn, the one that ended it included */
    bool ended;
    enum generate_end end;
};
/* A negative return ends the run with it. */
typedef int generate_sink(void *context, const struct generate_text *text, struct error *e);

struct generate_counts {
    int64_t read, written;       /* tokens of prompts that went through the decoder, tokens drawn */
    int64_t together, positions; /* that the cache of keys and values has room for: texts, tokens */
    int64_t written_alone;       /* in calls of the decoder without a prompt in them */
    double read_seconds, write_seconds; /* calls with a prompt in them, and those others */
};

/* ERR_USAGE: a prompt has no tokens, or as many as the context (it names its index), or a stop text
 * is that of a special token, which texts never have; nothing was generated then. ERR_CANCELLED:
 * *cancel became true. *counts is filled in any case. */
int generate_run(const struct generate_model *m, const struct generate_options *o,
                 const struct generate_request *requests, size_t count, generate_sink *sink,
                 void *context, const volatile sig_atomic_t *cancel, struct generate_counts *counts,
                 struct error *e);

#endif
