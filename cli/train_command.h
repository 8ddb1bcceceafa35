/* train_command.h - the commands of `occ train`: options and what they do. Those that a command
 * does not know of are ignored. */
#ifndef OCC_CLI_TRAIN_COMMAND_H
#define OCC_CLI_TRAIN_COMMAND_H

#include <signal.h>

#include "cli/device_choice.h"
#include "cli/tool.h"
#include "train/read/pages.h"
#include "train/read/read.h"
#include "train/tune/tune.h"

struct train_arguments {
    /* Of read and tune. Where a number is not given, each has its own. */
    const char *output, *from, *rate;
    int64_t steps, batch, warm_up; /* not given: 0, 0, -1 */
    int64_t seed, save_ms, stop_at, threads;
    int files; /* operands after the command */
    struct device_choice device;
    struct tool_messages messages;
    bool some; /* what could not be read was left out */

    struct { /* of read */
        struct read_options options;
        struct training_mix mix;
        const char *sizes, *profiles, *samples, *random, *pictures, *average, *halving, *simple,
            *staged;
    } read;
    struct { /* of tune */
        struct tune_options options;
        struct corpus_options corpus;
        int method, weights, recompute; /* indices of their names */
        int64_t rank;                   /* 0: not said; NULL: likewise */
        const char *model, *targets, *alpha, *dropout, *held_out, *epochs;
        int packing; /* -1: not said */
        bool predict, json;
    } tune;
};

/* Before the run: usage alone. */
int train_read_check(struct train_arguments *a, struct error *e);
int train_read_run(struct train_arguments *a, char **files, int count,
                   const volatile sig_atomic_t *cancel, struct error *e);
int train_tune_check(struct train_arguments *a, struct error *e);
int train_tune_run(struct train_arguments *a, char **files, int count,
                   const volatile sig_atomic_t *cancel, struct error *e);

/* The folder for what a run leaves. */
int train_make_folder(const char *path, struct error *e);
/* The options that both have, of `a`, to the trainer's. */
int train_common(const struct train_arguments *a, struct trainer_options *o, struct error *e);

#endif
