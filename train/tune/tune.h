/* tune.h - the task of `occ train tune`: a decoder goes on learning, in full, by adapters beside
 * its frozen matrices (lora.h) or by few rows of these (gspf.h); on rows of text (corpus.h), or on
 * posts that follow a context of their account (layout.h), which may be visual tokens: then the
 * bridge (bridge.h) learns along at a rate of its own, and its style experts at the decoder's.
 *
 * A step has `batch` rows, in the order of the corpus, one epoch after the other; a row goes
 * forward and back by itself, and its loss is divided by the targets of the whole step, the
 * experts' balance term by its rows. Every `measure_steps` steps the held-out rows are measured;
 * what is shipped does best on them.
 *
 * The encoder may learn along, too, at a rate of its own: then the visual tokens are not the
 * store's, but made from the pictures of their pages (encoder.c). What is shipped is another
 * encoder then, TUNE_ENCODER beside the adapter, for a store that is made with it.
 *
 * GSPF chooses its rows before the first step: see choose.c. */
#ifndef OCC_TRAIN_TUNE_TUNE_H
#define OCC_TRAIN_TUNE_TUNE_H

#include "compress/config.h"
#include "train/context/layout.h"
#include "train/context/page_images.h"
#include "train/gspf/gspf.h"
#include "train/lora/lora.h"
#include "train/trainer.h"

#define TUNE_ENCODER "encoder.safetensors"

enum tune_method {
    TUNE_FULL,
    TUNE_LORA,
    TUNE_GSPF,
    TUNE_RANDOM_MASK, /* as many bytes of rows as GSPF would have, by the seed */
    TUNE_OCC          /* GSPF; the name says what its context was */
};
extern const char
    *const TUNE_METHOD_NAMES[]; /* "full", "lora", "gspf", "random-mask", "occ", NULL */

/* Where contexts have soft tokens. */
struct tune_bridge {
    bool used;
    struct bridge_options options; /* of a new one, which also has the experts of one that is gone
                                      on with and has none */
    double rate;         /* factor of the learning rate, for the bridge; 0: it stays as it is */
    const char *encoder; /* the file of the encoder, for its reading head */
};

struct tune_options {
    /* schedule.steps 0: as many as `epochs` need; schedule.warm_up -1: 3% of them */
    struct trainer_options trainer;
    enum tune_method method;
    struct lora_options lora;
    struct gspf_options gspf;
    const char *mask; /* a file, in the place of GSPF's choice; NULL: none */
    /* To begin with, the folder of an adapter; NULL: none. What the method trains goes on, with its
     * rank or its rows; LoRA below rows that are trained stays as it is; so does a bridge that no
     * context asks for, which is shipped again. */
    const char *adapter;
    struct tune_bridge bridge;
    double encoder_rate; /* the highest, of the encoder, which makes the visual tokens from pages;
                            0: they are the store's */
    enum decoder_format format; /* of frozen weights in memory */
    int64_t batch;              /* rows of a step; no more than an epoch has */
    double epochs;
    int64_t measure_steps; /* between measurements of what is held out */
    int64_t measure_rows;  /* of it, at most */
    int64_t patience;      /* measurements in a row that are no better, after which the run ends;
                              0: any number */
    uint64_t seed;         /* of A, of the bridge, of dropout and random masks */
};
/* The paper's: AdamW, rate 3e-5, half a cosine, 640 rows a step. */
extern const struct tune_options TUNE_DEFAULTS;
static inline bool tune_by_rows(enum tune_method m) {
    return m == TUNE_GSPF || m == TUNE_RANDOM_MASK || m == TUNE_OCC;
}

/* What is learned from: rows of text, or a store's posts after their contexts. */
struct tune_data {
    const struct corpus *corpus; /* or */
    const struct layout *layout;
    const struct history *history;    /* with `layout` */
    const struct page_images *images; /* where the encoder learns: of the history's pages */
};

struct tune_result {
    struct trainer_result run;
    int64_t tokens;           /* that this run has learned from */
    double tokens_per_second; /* while it learned */
    /* Mean losses of the held-out targets: before the first step, and the least, after step
     * `best_step` (-1: no loss after a step was a number). */
    double before, best;
    int64_t best_step;
    int64_t measured; /* measurements after a step, in this run */
    int64_t trained;  /* parameters, bridge and experts included */
};

/* Leaves "adapter", a folder (adapter.h), or "model", one in the Hugging Face layout, which has the
 * bridge's file too, in the trainer's folder; with experts also "routing.json" (routing.c). As
 * trainer_run. */
int tune_train(const struct tune_options *options, const struct decoder_folder *model,
               const struct tune_data *data, const volatile sig_atomic_t *cancel,
               struct tune_result *result, struct error *e);

/* What says what memory a row takes. */
struct tune_shape {
    struct layout_shape row;
    struct page_image page; /* the largest, where the encoder learns */
};

/* The memory that it would take with rows of this shape, without weights or text. `model`:
 * for how its matrices are stored; NULL: there is a configuration alone. */
int tune_forecast(const struct tune_options *options, const struct decoder_config *config,
                  const struct decoder_folder *model, const struct tune_shape *shape,
                  struct ledger *ledger, struct error *e);

#endif
