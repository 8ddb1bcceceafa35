/* tool.c - see tool.h. */
#include "cli/tool.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/log.h"

/* What the handlers need: a process has one set of them. */
static struct {
    volatile sig_atomic_t *cancelled;
    volatile sig_atomic_t at_once;
    unsigned patience;
    char last_words[128];
} signals;

static void on_signal(int number) {
    (void)number;
    if (signals.at_once) {
        _exit(EXIT_AGAIN);
    }
    *signals.cancelled = 1;
    alarm(signals.patience);
}

static void on_alarm(int number) {
    (void)number;
    ssize_t done = write(STDERR_FILENO, signals.last_words, strlen(signals.last_words));
    (void)done;
    _exit(EXIT_AGAIN);
}

static void catch_signals(const char *tool, volatile sig_atomic_t *cancelled, unsigned patience) {
    signals.cancelled = cancelled;
    signals.patience = patience;
    snprintf(signals.last_words, sizeof signals.last_words,
             "%s: warning: stopped by a signal; run it again\n", tool);
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: calls must wake up */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    struct sigaction last = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &last, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
}

void tool_begin(const struct tool *tool, const struct tool_messages *messages,
                volatile sig_atomic_t *cancelled, unsigned patience) {
    enum log_level level = messages->quiet          ? LOG_ERROR
                           : messages->verbose == 0 ? LOG_WARNING
                           : messages->verbose == 1 ? LOG_INFO
                                                    : LOG_DEBUG;
    log_open(tool->name, level, messages->log_style == 1 ? LOG_JSON : LOG_TEXT);
    if (cancelled != NULL) {
        catch_signals(tool->name, cancelled, patience);
    }
}

void tool_end_at_once(bool at_once) {
    signals.at_once = at_once;
}

bool tool_shows_progress(const struct tool_messages *messages) {
    return messages->progress < 0 ? isatty(STDERR_FILENO) && !messages->quiet
                                  : messages->progress == 1;
}

int tool_end(int rc, enum tool_resumable resumable, const struct error *e) {
    alarm(0);
    if (rc == ERR_CANCELLED) {
        log_warning("%s; run it again%s", e->text, resumable == TOOL_RESUMES ? " to resume" : "");
        return EXIT_AGAIN;
    }
    if (rc == ERR_CLOSED) {
        log_debug("nobody reads the output any more");
        return EXIT_FAILED;
    }
    if (rc < 0) {
        log_error("%s", e->text);
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

int tool_close_output(int rc, struct error *e) {
    bool closed = fclose(stdout) == 0;
    return rc == 0 && !closed ? error_set(e, ERR_IO, "standard output: cannot be written") : rc;
}
