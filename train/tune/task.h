/* task.h - what the files of the task share; private to train/tune/. */
#ifndef OCC_TRAIN_TUNE_TASK_H
#define OCC_TRAIN_TUNE_TASK_H

#include "train/tune/tune.h"

/* What was found on rows. */
struct tune_sums {
    double loss; /* of all targets */
    int64_t targets, tokens, rows;
    double seconds; /* that a thread took for them */
};

struct tune_task {
    /* Set up before the run. */
    const struct tune_options *options;
    const struct decoder_config *config;
    const struct decoder_folder *model; /* NULL: a forecast */
    const struct corpus *corpus;        /* likewise */
    const struct decoder *base;         /* the frozen weights; NULL in full */
    struct lora_options lora;
    int64_t batch, context; /* rows of a step; tokens of the longest row */
    int64_t training_rows, measured_rows;
    double started; /* seconds */

    /* Between the phases of a step. */
    int64_t step, threads;
    struct tune_sums learned, held_out; /* since the last line; in the measurement at hand */
    int64_t tokens;                     /* of this run */
    double begun, learning;             /* the step, and what whole steps took: seconds */
    double measuring;                   /* seconds of it that were spent on held-out rows */

    /* Of held-out rows, in checkpoints: see tune.h. */
    double before, best, last;
    int64_t best_step, worse;
    int64_t measured; /* in this run, after a step */
    bool is_news;     /* `last` is in no line of the metrics yet */
};

/* weights.c */
int tune_task_list(void *context, struct parameters *p, struct error *e);
int tune_task_fill(void *context, struct parameters *p, struct error *e);
int tune_task_ship(void *context, const struct optimizer *o, const char *path, struct error *e);

/* step.c */
int tune_task_open(void *context, void **worker, struct device *device, struct error *e);
void tune_task_close(void *worker);
int tune_task_load(void *worker, int64_t slot, int64_t index, double *targets, struct error *e);
int64_t tune_task_learn(void *worker, int64_t slot, int64_t count, const struct trainer_pass *pass,
                        struct error *e);
int tune_task_measure(void *worker, int64_t index, const struct trainer_pass *pass,
                      struct error *e);
int tune_task_rehearse(void *context, int64_t threads, const struct trainer_pass *pass,
                       struct error *e);
int tune_task_collect(void *context, void *worker, struct error *e);
void tune_task_discard(void *worker);

/* held_out.c */
int64_t tune_task_held_out(void *context, int64_t step, bool last);
int tune_task_judge(void *context, int64_t step, struct trainer_verdict *verdict, struct error *e);
json_t *tune_task_state(void *context);
int tune_task_restore(void *context, const json_t *state, struct error *e);

#endif
