/* run.h - the state of a training of read.h, and its files; for read*.c. */
#ifndef OCC_TRAIN_READ_RUN_H
#define OCC_TRAIN_READ_RUN_H

#include <pthread.h>
#include <stdio.h>

#include "train/read/step.h"

struct read_run;

struct read_worker {
    struct read_run *run;
    int64_t index;
    pthread_t thread;
    bool bf16;
    struct tape *tape;
    struct context *context;
    void *maker;
    struct read_sheet *sheets;
    int64_t page_count; /* of this step */
    float *gradients;
    double characters, squares;
    struct read_sums sums;
    int rc;
    struct error error;
};

struct read_run {
    const struct read_options *options;
    const struct alphabet *alphabet;
    const struct read_source *source;
    const json_t *metadata;
    const volatile sig_atomic_t *cancel;
    struct parameters *parameters;
    struct optimizer optimizer;
    struct whitening *whitening; /* owned */
    uint64_t pages_hash;         /* of the pages that it was made from: of the text and the mix */
    struct read_worker *workers;
    int64_t thread_count;
    pthread_mutex_t gate; /* shut until all threads are there */
    pthread_barrier_t barrier;
    /* of the step */
    struct read_plan plan;
    double characters, norm, scale;
    bool done;
    int rc;
    struct error error;
    /* of the run */
    double usual_norm;
    int64_t skipped, pages;
    char *checkpoint, *weights; /* paths, owned */
    FILE *metrics;
    struct read_sums sums;               /* since the last line of the metrics */
    double started, noted, saved, shown; /* seconds */
    int64_t noted_step, first_pages;
    double pages_per_second;
};

/* Takes the checkpoint up, if there is one, and opens the metrics. */
int read_run_begin(struct read_run *r, struct error *e);
/* After each step: metrics, messages, checkpoint, as they are due. */
int read_run_note(struct read_run *r, struct error *e);
/* Writes checkpoint and weights unless `rc` says that the run failed, and closes all. */
int read_run_end(struct read_run *r, int rc, struct error *e);

#endif
