/* train_command.h - the commands of `occ train`: options and what they do. Those that a command
 * does not know of are ignored. */
#ifndef OCC_CLI_TRAIN_COMMAND_H
#define OCC_CLI_TRAIN_COMMAND_H

#include <signal.h>

#include "cli/context_choice.h"
#include "cli/device_choice.h"
#include "cli/tool.h"
#include "train/align/align.h"
#include "train/read/pages.h"
#include "train/read/read.h"
#include "train/tune/tune.h"

struct train_arguments {
    /* Of read, tune and align. Where a number is not given, each has its own. */
    const char *output, *from, *rate, *encoder;
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
    struct {                /* of tune */
        const char *report; /* a file; NULL: none */
        struct tune_options options;
        struct corpus_options corpus;
        struct context_choice context;
        int method, weights, recompute; /* indices of their names; recompute -1: not said */
        int bridge, packing;            /* -1: not said */
        int64_t measure, measure_rows, patience, time_ms; /* not said: 0, 0, -1, 0 */
        int64_t rank, memory, top, hidden;                /* 0: not said; NULL: likewise */
        int64_t experts, probe;                           /* -1: not said */
        const char *model, *targets, *alpha, *dropout, *held_out, *held_accounts, *epochs;
        const char *budget, *mask, *freeze, *bridge_rate, *encoder_rate;
        double held_accounts_share;
        bool no_experts, predict, json;
        char bundled[4096]; /* the encoder, where none is named */
    } tune;                 /* much of it of align, too */
    struct {                /* of align */
        struct align_options options;
        const char *match_rate, *limit, *lessons, *follow, *halved; /* NULL: not said */
    } align;
};

/* Before the run: usage alone. */
int train_read_check(struct train_arguments *a, struct error *e);
int train_read_run(struct train_arguments *a, char **files, int count,
                   const volatile sig_atomic_t *cancel, struct error *e);
int train_tune_check(struct train_arguments *a, struct error *e);
int train_tune_run(struct train_arguments *a, char **files, int count,
                   const volatile sig_atomic_t *cancel, struct error *e);

int train_align_check(struct train_arguments *a, struct error *e);
int train_align_run(struct train_arguments *a, char **files, int count,
                    const volatile sig_atomic_t *cancel, struct error *e);

/* Of commands that train adapters: what is named and where it goes; `takes` what the operands are.
 * And the options that both have, to the trainer's. */
int train_adapters_check(struct train_arguments *a, struct trainer_options *o, const char *takes,
                         struct error *e);
/* The first option that gives adapters a shape, or NULL. */
const char *train_shape_named(const struct train_arguments *a);
/* The shape of adapters, and dropout, as the options say. */
int train_lora(const struct train_arguments *a, struct lora_options *o, struct error *e);
/* Prints what a run would take, of the folder or preset of --model. */
typedef int train_forecast(struct train_arguments *a, const struct decoder_config *config,
                           const struct decoder_folder *model, struct ledger *ledger,
                           struct error *e);
int train_predict(struct train_arguments *a, train_forecast *forecast, struct error *e);

/* The folder for what a run leaves. */
int train_make_folder(const char *path, struct error *e);
/* The options that both have, of `a`, to the trainer's. */
int train_common(const struct train_arguments *a, struct trainer_options *o, struct error *e);

#endif
