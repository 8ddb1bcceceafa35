/* trainer.h - trains any network: threads, sums of gradients, clipping, metrics, checkpoints. What
 * is learned is a task's (struct task); train/read/ is one.
 *
 * A step has five parts:
 *
 *   plan    one thread: the task says what the samples of the step are
 *   load    each thread makes its samples: every threads-th one
 *   learn   each goes forward and back over its samples, some at a time, into gradients of its
 *           own; each loss is divided by the targets of the whole step, so that it does not
 *           matter how many these are
 *   reduce  each sums a part of the gradients of all threads
 *   update  each moves that part of the weights, and clears those gradients
 *
 * Between two of them all threads wait for each other, and one of them decides what comes next.
 * The weights follow from the options, the step's number and the counts of threads alone: a run
 * that was killed and goes on from its checkpoint ends with the same bytes as one that was not.
 *
 * A gradient that is not a number, or far longer than those before it, is not followed: its step is
 * skipped, and counted. A step that a signal comes into is given up, which changes nothing.
 *
 * A task may have samples held out. After some steps they are measured, and what the task ships are
 * the weights that did best on them. */
#ifndef OCC_TRAIN_TRAINER_H
#define OCC_TRAIN_TRAINER_H

#include <jansson.h>
#include <signal.h>

#include "train/ledger.h"
#include "train/optimizer.h"
#include "train/schedule.h"
#include "train/tape/tape.h"

/* In a run's folder: it is gone on with where this is. */
#define TRAINER_CHECKPOINT "checkpoint.safetensors"

struct trainer_options {
    const char *folder;  /* checkpoint.safetensors, metrics.ndjson, and what the task ships */
    const char *device;  /* see backend_open */
    const char *compute; /* see backend_compute; NULL: "auto" */
    struct optimizer_options optimizer;
    struct schedule schedule;
    struct tape_options tape; /* storage BF16: where products are BF16 too */
    int64_t threads;          /* that learn samples of their own; 0: as many as the device has
                                 workers, or, with a team, one */
    int64_t team;       /* threads that share each operation of such a thread (device_open_team):
                           less memory where samples are long; 1: none, 0: all cores */
    int64_t save_ms;    /* time between checkpoints */
    int64_t note_steps; /* between lines of the metrics; checkpoints are made with one */
    int64_t stop_at;    /* step to stop after, as if a signal came; 0: none */
    int64_t time_ms;    /* after which the run ends, as if all steps were done; 0: none */
};
#define TRAINER_DEFAULTS                                                                           \
    {                                                                                              \
        .device = "auto", .optimizer = OPTIMIZER_DEFAULTS, .schedule = SCHEDULE_DEFAULTS,          \
        .team = 1, .save_ms = 5 * 60 * 1000, .note_steps = 20                                      \
    }

struct trainer_result {
    int64_t step, samples;     /* all in all */
    int64_t skipped;           /* steps that were not followed */
    double samples_per_second; /* of this run */
    struct ledger ledger;
};

/* ---- What is learned ----------------------------------------------------------------------- */

struct trainer_step {
    int64_t number;  /* steps before it */
    double progress; /* share of the run before it */
    int64_t threads;
};

/* A thread's own, to learn with. */
struct trainer_pass {
    struct tape *tape;
    const struct tape_source *parameters;
    double targets; /* of the whole step: losses are divided by it */
};

/* What is to be done after held-out samples were measured. */
struct trainer_verdict {
    bool better; /* than ever: the weights are shipped */
    bool stop;   /* no step follows, in this run and when it is given again */
};

/* Entries with `worker` are called by its thread, all of them at the same time; the others by one
 * thread while no other is at work. Those that return int give 0 or a negative code. */
struct task {
    void *context;
    const char *samples; /* what they are called, in metrics and messages: "pages" */
    const char *shipped; /* the file of weights in the folder: "encoder.safetensors" */

    /* ---- The network */
    int (*list)(void *context, struct parameters *p, struct error *e);
    /* Its first values; also called where a checkpoint follows. */
    int (*fill)(void *context, struct parameters *p, struct error *e);
    /* The options that must not change when a run goes on: a new reference; NULL: out of
     * memory. */
    json_t *(*options)(void *context);
    /* Writes the file of weights, of the values that optimizer_read gives. */
    int (*ship)(void *context, const struct optimizer *o, const char *path, struct error *e);

    /* ---- Rows of parameters: NULL, both, for a task that trains them whole */
    /* Slices of the optimizer, as optimizer_open takes them: malloc's. */
    int (*slices)(void *context, const struct parameters *p, struct slice **chosen, size_t *count,
                  struct error *e);
    /* Once the gradients of a step are summed, and before they are followed: may say of slices that
     * they are still. */
    int (*watch)(void *context, const struct optimizer *o, struct error *e);

    /* ---- A step */
    /* How many samples it has, a multiple of the threads. */
    int64_t (*plan)(void *context, const struct trainer_step *step);
    int (*open)(void *context, void **worker, struct device *device, struct error *e);
    void (*close)(void *worker); /* NULL is allowed */
    /* Makes sample `index` of the step, the thread's sample `slot`; *targets: what its losses are
     * sums over. */
    int (*load)(void *worker, int64_t slot, int64_t index, double *targets, struct error *e);
    /* Forward, losses and backward of as many of the thread's samples `slot` to slot + count - 1 as
     * go together, from the first on; how many these were, or a negative code. */
    int64_t (*learn)(void *worker, int64_t slot, int64_t count, const struct trainer_pass *pass,
                     struct error *e);
    /* One thread of `threads`: forward and backward of samples that take as much memory as any, on
     * a device that computes nothing. */
    int (*rehearse)(void *context, int64_t threads, const struct trainer_pass *pass,
                    struct error *e);

    /* ---- Held-out samples: NULL, all of them, for a task that has none */
    /* How many are to be measured after `step` steps; 0: none. `last`: no step follows. */
    int64_t (*held_out)(void *context, int64_t step, bool last);
    /* Forward of sample `index`, and its loss. */
    int (*measure)(void *worker, int64_t index, const struct trainer_pass *pass, struct error *e);
    /* Drops what a thread found in a step that was given up: held-out samples may follow. */
    void (*discard)(void *worker);
    /* Of all of them, after `collect`. */
    int (*judge)(void *context, int64_t step, struct trainer_verdict *verdict, struct error *e);
    /* What a run that goes on has to know of them: a new reference; and back. */
    json_t *(*state)(void *context);
    int (*restore)(void *context, const json_t *state, struct error *e);

    /* ---- Memory */
    /* Sets the entries of what the task holds beside the trainer; may be NULL. */
    void (*hold)(void *context, size_t bytes[LEDGER_COUNT]);

    /* ---- Metrics */
    /* Adds a thread's findings to the task's sums. */
    int (*collect)(void *context, void *worker, struct error *e);
    /* Adds these to a line of metrics and clears them; *loss: for messages. NULL `line`: *loss
     * alone, nothing is cleared. */
    void (*report)(void *context, json_t *line, double *loss);
};

/* What a run computes on, and in which type. */
int trainer_backend(const struct trainer_options *options, const struct backend **backend,
                    enum dtype *compute, struct error *e);
/* The memory that a run would take, without one: parameters are listed, but have no values. `task`
 * needs `list`, `rehearse` and perhaps `hold`. */
int trainer_forecast(const struct trainer_options *options, const struct task *task,
                     struct ledger *ledger, struct error *e);

/* A device and a tape as a thread of a run has them: for what is computed before it. The caller
 * closes both, after a failure too. */
int trainer_open_tape(const struct trainer_options *options, struct device **device,
                      struct tape **tape, struct error *e);

/* Goes on from the checkpoint in the folder where there is one; ERR_USAGE when that was made with
 * other options. ERR_CANCELLED after a signal: the checkpoint is written. */
int trainer_run(const struct trainer_options *options, const struct task *task,
                const volatile sig_atomic_t *cancel, struct trainer_result *result,
                struct error *e);

#endif
