/* signals.c - see signals.h. */
#include "cli/signals.h"

#include <unistd.h>

static volatile sig_atomic_t *flag_of_tool;
static unsigned patience;

static void on_signal(int number) {
    (void)number;
    *flag_of_tool = 1;
    alarm(patience);
}

static void on_alarm(int number) {
    (void)number;
    static const char text[] = "stopped by a signal; run again\n";
    ssize_t done = write(STDERR_FILENO, text, sizeof text - 1);
    (void)done;
    _exit(EXIT_AGAIN);
}

void signals_catch(volatile sig_atomic_t *flag, unsigned seconds) {
    flag_of_tool = flag;
    patience = seconds;
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: reads must wake up */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    struct sigaction last = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &last, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
}
