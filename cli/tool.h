/* tool.h - what all programs do alike around their work: how much they say, signals, the exit
 * status.
 *
 *     int rc = options_parse(&TOOL, argc, argv, &a, &operands, &e);
 *     ...                                        options_usage_error
 *     tool_begin(&TOOL, &a.messages, &cancelled, PATIENCE);
 *     rc = run(...);
 *     return tool_end(rc, RESUMABLE, &e);
 *
 * SIGINT, SIGTERM and SIGUSR1 (what Slurm sends before the time is up) ask a program to stop after
 * the item in hand. */
#ifndef OCC_CLI_TOOL_H
#define OCC_CLI_TOOL_H

#include <signal.h>

#include "cli/options.h"

enum exit_status { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_SOME = 3, EXIT_AGAIN = 75 };

/* What the options of the help's last part say. */
struct tool_messages {
    bool quiet;
    int verbose;   /* 0: warnings and errors, 1: also what was done, 2: also each item */
    int log_style; /* index into LOG_STYLES */
    int progress;  /* 1, 0; -1: not said */
};

/* Rows of an option table; `field` is the struct tool_messages in `type`. */
#define TOOL_QUIET_ROW(type, field)                                                                \
    { "quiet", 'q', OPTION_FLAG, offsetof(type, field.quiet), .help = "print errors only" }
#define TOOL_VERBOSE_ROW(type, field, text)                                                        \
    { "verbose", 'v', OPTION_COUNT, offsetof(type, field.verbose), .help = text }
#define TOOL_LOG_ROW(type, field)                                                                  \
    {                                                                                              \
        "log", 0, OPTION_CHOICE, offsetof(type, field.log_style), "STYLE",                         \
            .help = "style of messages", .choices = LOG_STYLES                                     \
    }
#define TOOL_PROGRESS_ROW(type, field)                                                             \
    {                                                                                              \
        "progress", 0, OPTION_SWITCH, offsetof(type, field.progress),                              \
            .help = "show progress; default: when standard error is a terminal"                    \
    }

/* Opens the log. Where `cancelled` is not NULL, a signal sets it to 1; a process that has not ended
 * `patience` seconds later (0: however long it takes) is ended, with EXIT_AGAIN: what was committed
 * is safe then too. SIGPIPE is ignored. */
void tool_begin(const struct tool *tool, const struct tool_messages *messages,
                volatile sig_atomic_t *cancelled, unsigned patience);
/* While true, a signal ends the process at once: there is nothing to roll back. */
void tool_end_at_once(bool at_once);

bool tool_shows_progress(const struct tool_messages *messages);

enum tool_resumable { TOOL_STARTS_OVER, TOOL_RESUMES };
/* The exit status of a run, after a message where it failed or was stopped. A reader of the output
 * that has gone (`occ ingest ... | head`) is no reason to complain. */
int tool_end(int rc, enum tool_resumable resumable, const struct error *e);

/* Closes standard output after a run that gave `rc`: a full disk may be reported only here. */
int tool_close_output(int rc, struct error *e);

#endif
