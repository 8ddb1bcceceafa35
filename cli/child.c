/* child.c - see child.h. */
#define _DEFAULT_SOURCE /* wait4 */
#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/tool.h"
#include "store/bytes.h"
#include "store/clock.h"
#include "store/file.h"

enum { LOOK = 50000000, NOT_RUN = 127 }; /* nanoseconds between looks at it; exit status */

/* Beside this program. */
static int find(char path[PATH_MAX], const char *name, struct error *e) {
    const ssize_t size = readlink("/proc/self/exe", path, PATH_MAX - 1);
    path[size > 0 ? size : 0] = '\0';
    char *slash = strrchr(path, '/');
    const size_t left = slash != NULL ? PATH_MAX - (size_t)(slash + 1 - path) : 0;
    if (slash == NULL || strlen(name) >= left) {
        return error_set(e, ERR_LIMIT, "%s: where it lies cannot be known", name);
    }
    memcpy(slash + 1, name, strlen(name) + 1);
    return 0;
}

static _Noreturn void become(char *path, const struct child *c, int output, int log) {
    char *words[CHILD_WORDS + 2] = {
        path}; /* execv's type has no const, though it changes nothing */
    size_t count = 0;
    while (count < CHILD_WORDS && c->words[count] != NULL) {
        count++;
    }
    memcpy(words + 1, c->words, count * sizeof *words);
    /* What a killed parent leaves half done is made again: nobody else may write to it by then. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if ((output < 0 || dup2(output, STDOUT_FILENO) >= 0) && dup2(log, STDERR_FILENO) >= 0) {
        execv(path, words);
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
    }
    _exit(NOT_RUN);
}

/* Waits; asks it to stop once, when we are asked to, or the time is up. */
static int await(pid_t pid, const struct child *c, const volatile sig_atomic_t *cancel, int *status,
                 struct rusage *usage, bool *asked, struct error *e) {
    for (;;) {
        const pid_t done = wait4(pid, status, WNOHANG, usage);
        if (done == pid) {
            return 0;
        }
        if (done < 0 && errno != EINTR) {
            return error_errno(e, errno, "%s", c->program);
        }
        const bool late = c->deadline > 0 && clock_seconds() > c->deadline;
        if (!*asked && (late || (cancel != NULL && *cancel))) {
            *asked = true;
            kill(pid, SIGTERM);
        }
        nanosleep(&(struct timespec){.tv_nsec = LOOK}, NULL);
    }
}

/* The last line of its messages that is no advice. */
static void last_line(char *out, size_t size, const char *log) {
    struct bytes text;
    bytes_init(&text, (size_t)1 << 30);
    snprintf(out, size, "see %s", log);
    if (file_read(log, &text, NULL) == 0 && text.size > 0) {
        char *line = NULL, *rest = NULL;
        for (line = strtok_r((char *)text.data, "\n", &rest); line != NULL;
             line = strtok_r(NULL, "\n", &rest)) {
            if (strncmp(line, "Try '", 5) != 0) {
                snprintf(out, size, "%s", line);
            }
        }
    }
    bytes_close(&text);
}

/* `asked`: to stop, maybe before it could listen. */
static int judge(const struct child *c, int status, bool asked, struct error *e) {
    char why[300];
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (code == EXIT_DONE || code == EXIT_SOME) {
        return 0;
    }
    if (code == EXIT_AGAIN || (code < 0 && asked)) {
        return error_set(e, ERR_CANCELLED, "%s was stopped", c->program);
    }
    if (code < 0) {
        return error_set(e, ERR_FORMAT, "%s ended by signal %d; its messages are in %s", c->program,
                         WTERMSIG(status), c->log);
    }
    last_line(why, sizeof why, c->log);
    return error_set(e, ERR_FORMAT, "%s", why);
}

static int run(const struct child *c, char *path, int output, int log, int64_t *peak,
               const volatile sig_atomic_t *cancel, struct error *e) {
    struct rusage usage = {.ru_maxrss = 0};
    int status = 0;
    bool asked = false;
    const pid_t pid = fork();
    if (pid < 0) {
        return error_errno(e, errno, "%s", c->program);
    }
    if (pid == 0) {
        become(path, c, output, log);
    }
    int rc = await(pid, c, cancel, &status, &usage, &asked, e);
    *peak = (int64_t)usage.ru_maxrss * 1024;
    return rc < 0 ? rc : judge(c, status, asked, e);
}

int child_run(const struct child *c, int64_t *peak, const volatile sig_atomic_t *cancel,
              struct error *e) {
    char path[PATH_MAX];
    struct output_file output = {.fd = -1};
    int rc = find(path, c->program, e);
    const int log = rc == 0 ? open(c->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    if (rc == 0 && log < 0) {
        rc = error_errno(e, errno, "%s", c->log);
    }
    if (rc == 0 && c->output != NULL) {
        rc = output_file_open(&output, c->output, e);
    }
    if (rc == 0) {
        rc = run(c, path, output.fd, log, peak, cancel, e);
    }
    if (output.fd >= 0 && rc == 0) {
        rc = output_file_commit(&output, e);
    } else if (output.fd >= 0) {
        output_file_discard(&output);
    }
    if (log >= 0) {
        close(log);
    }
    return rc;
}
