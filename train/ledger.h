/* ledger.h - the memory that a run takes, by what for: predicted before its first step, measured
 * after its last.
 *
 * Values, gradients and moments follow from the parameters. What a step keeps for its backward pass
 * is found by a step on a device that computes nothing (compress/dry.h), with the largest sample
 * that the task knows; so it holds for any network, F32 or BF16, whatever is computed again. */
#ifndef OCC_TRAIN_LEDGER_H
#define OCC_TRAIN_LEDGER_H

#include <jansson.h>
#include <stddef.h>

enum ledger_entry {
    LEDGER_WEIGHTS,     /* values and their copies in BF16; not what lies in files */
    LEDGER_GRADIENTS,   /* one of each number for each thread */
    LEDGER_MOMENTS,     /* two, and the mean of the weights where it is kept */
    LEDGER_ACTIVATIONS, /* most at a time on the tapes */
    LEDGER_SCRATCH,     /* else: of operations, and ends of the tapes' blocks */
    LEDGER_FROZEN,      /* weights that are not trained, packed or as the file has them */
    LEDGER_TEXT,        /* tokens to learn from */
    LEDGER_COUNT
};
extern const char *const LEDGER_NAMES[LEDGER_COUNT];

/* Bytes. */
struct ledger {
    size_t predicted[LEDGER_COUNT], measured[LEDGER_COUNT];
};

size_t ledger_total(const size_t bytes[LEDGER_COUNT]);
/* The entries by name, and "total": a new reference. NULL: no memory. */
json_t *ledger_json(const size_t bytes[LEDGER_COUNT]);
/* A line of the log, at LOG_INFO: "TITLE: 1234 MB: weights 12, ...". */
void ledger_log(const char *title, const size_t bytes[LEDGER_COUNT]);

#endif
