/* child.h - another of our programs, run to its end: what it took is told by the system. */
#ifndef OCC_CLI_CHILD_H
#define OCC_CLI_CHILD_H

#include <signal.h>
#include <stdint.h>

#include "store/error.h"

enum { CHILD_WORDS = 64 }; /* at most */
struct child {
    const char *program;      /* a name beside this program: "occ-train" */
    const char *const *words; /* its arguments, NULL at the end */
    const char *output; /* a file for its standard output, which appears when it is done; NULL: it
                           goes where ours goes */
    const char *log;    /* a file that its messages are appended to */
    double deadline;    /* of clock_seconds, after which it is asked to stop; 0: none */
};
/* *peak: the most memory that it had, in bytes. Waits for it, and hands a signal that sets *cancel
 * on to it. ERR_CANCELLED: it was stopped, by us or by itself; ERR_FORMAT: it failed, with the last
 * line of its messages. Exit status 3 (finished, but some inputs were skipped) is success. */
int child_run(const struct child *c, int64_t *peak, const volatile sig_atomic_t *cancel,
              struct error *e);

#endif
