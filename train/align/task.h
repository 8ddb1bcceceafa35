/* task.h - what the files of the task share; private to train/align/. */
#ifndef OCC_TRAIN_ALIGN_TASK_H
#define OCC_TRAIN_ALIGN_TASK_H

#include "train/align/align.h"
#include "train/align/curriculum.h"
#include "train/align/material.h"
#include "train/align/score.h"

/* What both runs train, and what of it is frozen. */
struct align_network {
    const struct align_options *options;
    const struct decoder_config *config;
    const struct decoder_folder *model; /* NULL: a forecast */
    const struct decoder *base;         /* frozen */
    struct device *device;              /* of this thread */
    const struct safetensors *encoder;  /* its reading head; NULL: of no use */
    const struct material *material;    /* NULL: a forecast */
    struct bridge_options bridge;
    struct bridge_names *names; /* of BRIDGE_NAMED */
    struct lora_options lora;
    bool reader;
};

/* network.c: parameters, their first values, and what is shipped. */
int align_list(const struct align_network *n, bool adapters, struct parameters *p, struct error *e);
/* `bridge`, `lora`: folders of adapters that these are in; NULL, and folders that have none: random
 * values and the encoder's. */
int align_fill(const struct align_network *n, const char *bridge, const char *lora,
               struct parameters *p, struct error *e);
int align_ship(const struct align_network *n, bool adapters, const struct optimizer *o,
               const char *path, struct error *e);
/* What a run that goes on must have in common: a new reference; NULL: no memory. */
json_t *align_common(const struct align_network *n);

/* ---- Matching ------------------------------------------------------------------------------- */

/* Leaves ALIGN_MATCH_FOLDER/adapter in the folder of the trainer's options. *share: what was
 * reached on held-out accounts (align.h). */
int match_train(const struct align_network *n, const volatile sig_atomic_t *cancel, double *share,
                struct error *e);
int match_forecast(const struct align_network *n, struct ledger *ledger, struct error *e);

/* ---- Reading: read.c, step.c ----------------------------------------------------------------- */

struct align_task {
    const struct align_network *network;
    const char *bridge; /* the folder of a bridge to begin with, or NULL */
    int64_t batch;      /* rows of a step */
    struct curriculum curriculum;
    int64_t measured_rows;

    /* Between the phases of a step. */
    int64_t step, threads;
    struct score_sums learned;     /* since the last line */
    struct score_sums lesson;      /* of the step: rows of the lesson at hand */
    struct score_sums held_out[2]; /* in the measurement at hand: what was read, what followed */
    int64_t tokens;                /* of this run */
    double begun, learning;        /* the step, and what whole steps took: seconds */

    /* Of held-out rows, in checkpoints. */
    double before, best, last, accuracy, continuation; /* losses; the last accuracy and loss */
    double best_accuracy, best_continuation;
    int64_t best_step, worse;
    int64_t measured; /* in this run, after a step */
    bool is_news;     /* `last` is in no line of the metrics yet */
};

/* step.c */
int align_task_open(void *context, void **worker, struct device *device, struct error *e);
void align_task_close(void *worker);
int align_task_load(void *worker, int64_t slot, int64_t index, double *targets, struct error *e);
int64_t align_task_learn(void *worker, int64_t slot, int64_t count, const struct trainer_pass *pass,
                         struct error *e);
int align_task_measure(void *worker, int64_t index, const struct trainer_pass *pass,
                       struct error *e);
int align_task_rehearse(void *context, int64_t threads, const struct trainer_pass *pass,
                        struct error *e);
int align_task_collect(void *context, void *worker, struct error *e);
void align_task_discard(void *worker);

/* held_out.c */
int64_t align_task_held_out(void *context, int64_t step, bool last);
int align_task_judge(void *context, int64_t step, struct trainer_verdict *verdict, struct error *e);
json_t *align_task_state(void *context);
int align_task_restore(void *context, const json_t *state, struct error *e);

int align_read(const struct align_network *n, const char *bridge,
               const volatile sig_atomic_t *cancel, struct align_result *result, struct error *e);
int align_read_forecast(const struct align_network *n, struct ledger *ledger, struct error *e);

#endif
