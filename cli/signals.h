/* signals.h - SIGINT, SIGTERM and SIGUSR1 (what Slurm sends before the time is up) ask a tool to
 * stop after the item in hand. */
#ifndef OCC_CLI_SIGNALS_H
#define OCC_CLI_SIGNALS_H

#include <signal.h>

enum exit_status { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_SOME = 3, EXIT_AGAIN = 75 };

/* `*flag` becomes 1; a process that has not ended `seconds` later is ended, with EXIT_AGAIN. What
 * was committed is safe then too. SIGPIPE is ignored. */
void signals_catch(volatile sig_atomic_t *flag, unsigned seconds);

#endif
