/* trainer_state.h - a run of trainer.h; private to trainer*.c.
 *
 * Who may write what: what is set up before the threads start is only read after that. A worker's
 * own fields belong to its thread within a phase, and between phases to the one thread that
 * decides; the step and the run belong to that one and are only read within phases. Weights,
 * moments and sums of gradients are written in `reduce` and `update`, by pieces that belong to one
 * thread each (optimizer_share). */
#ifndef OCC_TRAIN_TRAINER_STATE_H
#define OCC_TRAIN_TRAINER_STATE_H

#include <pthread.h>
#include <stdio.h>

#include "compress/device.h"
#include "train/tape/source.h"
#include "train/trainer.h"

struct trainer;

struct trainer_worker {
    struct trainer *trainer;
    int64_t index;
    pthread_t thread;
    struct device *device; /* of worker 0: also of the parameters */
    struct tape *tape;
    struct gradients gradients;
    size_t gradient_bytes; /* that they took of the device */
    void *task;            /* the task's worker */
    size_t first_piece, end_piece;
    double targets; /* of its samples of the step */
    bool given_up;  /* a signal came before it was done */
    int rc;
    struct error error;
};

/* Written between phases. */
struct step_state {
    struct trainer_step plan;
    int64_t samples;
    double targets, norm, scale; /* of all gradients; scale 0: the step is skipped */
    double rate;
    int64_t held_out;               /* samples to measure before the next step; 0: none */
    bool given_up;                  /* the step is as if it had not begun */
    bool late;                      /* the time was over when this was last looked at */
    struct trainer_verdict verdict; /* on those */
    bool done;                      /* no step follows */
    bool over;                      /* ... since all is done, or the time for it has passed */
    int rc;                         /* the first failure of a thread */
    struct error error;
};

/* Written between phases; what a checkpoint holds beside the optimizer. */
struct run_state {
    double usual_norm;
    int64_t samples, skipped;
    int64_t measured; /* the step after which held-out samples were measured last; -1: none */
    bool finished;    /* before the last step, as the task decided */
    bool owed;        /* the weights did better than ever, but could not be shipped yet */
};

/* The files of a run, and when they and messages were last seen to: see trainer_files.c. Used
 * between phases. */
struct run_files {
    char *checkpoint, *shipped; /* paths, owned */
    FILE *metrics;
    double started, reported, saved, shown; /* seconds: the run, metrics, checkpoint, message */
    int64_t reported_step, first_samples;   /* of the metrics; when the run started */
    int64_t saved_step, saved_measured;     /* of what this run saved last; -1: nothing yet */
};

struct trainer {
    /* Set up before the threads start. */
    const struct trainer_options *options;
    const struct task *task;
    const volatile sig_atomic_t *cancel;
    const struct backend *backend;
    enum dtype compute;
    struct parameters *parameters;
    struct trainer_worker *workers;
    int64_t worker_count, team;         /* threads of each worker's device */
    const struct gradients **gradients; /* of all workers */

    pthread_mutex_t gate; /* shut until all threads are there */
    pthread_barrier_t barrier;

    struct optimizer optimizer; /* its step and what is active: between phases */
    struct step_state step;
    struct run_state run;
    struct run_files files;
    struct ledger ledger; /* weights and moments as measured: by who allocates them */
};

/* What the options say of the device. */
int trainer_settle(struct trainer *t, struct error *e);
/* Takes the checkpoint up, if there is one, and opens the metrics. */
int trainer_files_open(struct trainer *t, struct error *e);
/* Whether the time of the run is over. */
bool trainer_files_late(const struct trainer *t);
/* After each step: metrics, messages, checkpoint, as they are due. */
int trainer_files_note(struct trainer *t, struct error *e);
/* Writes checkpoint and weights unless `rc` says that the run failed, and closes all. */
int trainer_files_close(struct trainer *t, int rc, struct error *e);

/* What a thread's tape is opened with. Where products read F32, BF16 would only cost time. */
static inline struct tape_options trainer_tape(const struct trainer *t) {
    struct tape_options o = t->options->tape;
    o.storage = t->compute == DTYPE_BF16 ? o.storage : DTYPE_F32;
    o.sums = t->compute == DTYPE_BF16 ? o.sums : DTYPE_F32;
    return o;
}

/* trainer_memory.c: what the run will take, before its threads start; and what it took, before
 * they are closed. */
int trainer_predict(struct trainer *t, struct error *e);
void trainer_measure(struct trainer *t);

#endif
