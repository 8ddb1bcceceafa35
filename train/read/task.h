/* task.h - reading as a task of the trainer; for read.c, weights.c and metrics.c. */
#ifndef OCC_TRAIN_READ_TASK_H
#define OCC_TRAIN_READ_TASK_H

#include "train/read/step.h"

struct read_task {
    const struct read_options *options;
    const struct alphabet *alphabet;
    const struct read_source *source;
    const json_t *metadata;
    struct whitening *whitening; /* owned */
    uint64_t pages_hash;         /* of the pages that it was made from: of the text and the mix */
    int tiny_side;               /* of those pages */
    /* Written between the phases of a step. */
    struct read_plan plan;
    int64_t threads, numbers; /* of pages, for each step */
    struct read_sums sums;    /* since the last line of the metrics */
};

/* A thread's. */
struct read_worker {
    struct read_task *task;
    struct device *device;
    void *generator;
    struct read_sample *samples; /* of a step */
    struct read_pass pass;
};

/* ---- Entries of struct task ------------------------------------------------------------------ */

/* weights.c */
int read_task_list(void *context, struct parameters *p, struct error *e);
int read_task_fill(void *context, struct parameters *p, struct error *e);
json_t *read_task_options(void *context);
int read_task_ship(void *context, const struct optimizer *o, const char *path, struct error *e);

/* metrics.c */
int read_task_collect(void *context, void *worker, struct error *e);
void read_task_report(void *context, json_t *line, double *loss);

#endif
