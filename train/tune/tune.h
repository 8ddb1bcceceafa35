/* tune.h - the task of `occ train tune`: a decoder goes on learning on rows of text (corpus.h), in
 * full or by adapters beside its frozen matrices (lora.h).
 *
 * A step has `batch` rows, in the order of the corpus, one epoch after the other; a row goes
 * forward and back by itself, and its loss is divided by the targets of the whole step. Every
 * `measure_steps` steps the held-out rows are measured; what is shipped does best on them. */
#ifndef OCC_TRAIN_TUNE_TUNE_H
#define OCC_TRAIN_TUNE_TUNE_H

#include "train/corpus/corpus.h"
#include "train/lora/lora.h"
#include "train/trainer.h"

enum tune_method { TUNE_FULL, TUNE_LORA };
extern const char *const TUNE_METHOD_NAMES[]; /* "full", "lora", NULL */

struct tune_options {
    /* schedule.steps 0: as many as `epochs` need; schedule.warm_up -1: 3% of them */
    struct trainer_options trainer;
    enum tune_method method;
    struct lora_options lora;
    const char *adapter;        /* to begin with, a folder: its rank goes before; NULL: none */
    enum decoder_format format; /* of frozen weights in memory */
    int64_t batch;              /* rows of a step; no more than an epoch has */
    double epochs;
    int64_t measure_steps; /* between measurements of what is held out */
    int64_t measure_rows;  /* of it, at most */
    int64_t patience;      /* measurements in a row that are no better, after which the run ends;
                              0: any number */
    uint64_t seed;         /* of A, and of dropout */
};
/* The paper's: AdamW, rate 3e-5, half a cosine, 640 rows a step. */
extern const struct tune_options TUNE_DEFAULTS;

struct tune_result {
    struct trainer_result run;
    int64_t tokens;           /* that this run has learned from */
    double tokens_per_second; /* while it learned */
    /* Mean losses of the held-out targets: before the first step, and the least, after step
     * `best_step` (-1: no loss after a step was a number). */
    double before, best;
    int64_t best_step;
    int64_t measured; /* measurements after a step, in this run */
};

/* Leaves "adapter", a folder as PEFT reads it, or "model", one in the Hugging Face layout, in the
 * trainer's folder. As trainer_run. */
int tune_train(const struct tune_options *options, const struct decoder_folder *model,
               const struct corpus *corpus, const volatile sig_atomic_t *cancel,
               struct tune_result *result, struct error *e);

/* The memory that it would take with rows of `context` tokens, without weights or text. `model`:
 * for how its matrices are stored; NULL: there is a configuration alone. */
int tune_forecast(const struct tune_options *options, const struct decoder_config *config,
                  const struct decoder_folder *model, int64_t context, struct ledger *ledger,
                  struct error *e);

#endif
