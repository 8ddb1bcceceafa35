/* align.h - the task of `occ train align`: a decoder learns to read visual tokens. Two runs of the
 * trainer, one after the other:
 *
 *   match   the bridge alone, no pass through the decoder. BRIDGE_READING learns to spell: at
 *           each character the embeddings of the text tokens that begin there. Of BRIDGE_LINEAR
 *           and BRIDGE_MLP each soft token is to be the mean of the embeddings under its part of
 *           the visual token: (1 - cosine) + squared error / mean square of one. BRIDGE_NAMED
 *           has nothing to match.
 *   read    bridge and adapters of the frozen decoder. Spans of visual tokens are read: their
 *           text is foreseen. First short ones, with many soft tokens for each visual one; then
 *           longer spans and fewer soft tokens (curriculum.h); at last also the text that
 *           follows a span.
 *
 * Accounts are held out; what is shipped reads them best. */
#ifndef OCC_TRAIN_ALIGN_ALIGN_H
#define OCC_TRAIN_ALIGN_ALIGN_H

#include "train/context/bridge.h"
#include "train/context/history.h"
#include "train/lora/lora.h"
#include "train/trainer.h"

/* Where what is matched comes from, in the trainer's folder. */
#define ALIGN_MATCH_FOLDER "match"

struct align_options {
    /* Of reading. threads and team: see train/tune/tune.h; matching has a thread a core. */
    struct trainer_options trainer;
    struct lora_options lora;
    const char *adapter;        /* to begin with, a folder: its shapes go before; NULL: none */
    const char *encoder;        /* the file of the encoder that made the tokens */
    enum decoder_format format; /* of frozen weights in memory */

    /* What was not said is as the adapter has it, if that has a bridge. */
    enum bridge_kind kind;
    bool kind_said, expand_said, hidden_said;
    int64_t hidden;     /* BRIDGE_MLP */
    bool reader;        /* BRIDGE_READING: the reading head is trained, too */
    double bridge_rate; /* factor of the learning rate, for the bridge; below 0: its kind's own */

    struct schedule match; /* steps 0: nothing is matched; below 0: as many as the kind needs;
                              rate 0: the kind's own */
    int64_t match_tokens;  /* visual tokens of a step */

    int64_t batch;     /* rows of a step */
    int64_t row;       /* tokens of a row */
    int64_t expand;    /* soft tokens of a visual one: READING: the fewest; else always */
    int64_t span;      /* visual tokens of a span, at most: a power of two */
    double limit;      /* a lesson is over when its loss, nats a token, is below this */
    double lessons;    /* share of the steps until all lessons are over anyhow */
    double continuing; /* share of the spans that are gone on with, after the lessons */
    double halved;     /* share of the spans that are halved, after the lessons */
    double held_out;   /* share of the accounts */
    int64_t measure_steps;
    int64_t measure_rows; /* of held-out accounts */
    int64_t patience;     /* see tune.h */
    uint64_t seed;
};
extern const struct align_options ALIGN_DEFAULTS;

struct align_result {
    struct trainer_result run; /* of reading */
    double matched; /* on held-out accounts, share of the words that are spelled, or the centred
                       cosine; NAN: nothing was matched */
    int64_t tokens; /* that this run has learned from */
    double tokens_per_second; /* while it learned */
    /* Mean losses of held-out rows: before the first step and the least; and what was read then. */
    double before, best;
    double accuracy, continuation; /* share of the text's tokens; loss of what follows */
    int64_t best_step;             /* -1: no loss after a step was a number */
    int64_t measured;
};

/* ERR_USAGE: options that this kind of bridge makes nothing of. Where the kind is the adapter's, it
 * is known once that is open, and the others check it. */
int align_check(const struct align_options *o, struct error *e);
/* Leaves "adapter": PEFT's files and context.safetensors. As trainer_run. */
int align_train(const struct align_options *options, const struct decoder_folder *model,
                struct history *const *histories, size_t count, const volatile sig_atomic_t *cancel,
                struct align_result *result, struct error *e);
/* The memory that it would take, without weights or stores: of tokens of the encoder at
 * options->encoder. `model` as in tune_forecast. */
int align_forecast(const struct align_options *options, const struct decoder_config *config,
                   const struct decoder_folder *model, struct ledger *ledger, struct error *e);

#endif
