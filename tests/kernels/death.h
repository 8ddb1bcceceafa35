/* death.h - tests of what ends a program: it runs in a process of its own, whose last words are
 * read. */
#ifndef OCC_TESTS_KERNELS_DEATH_H
#define OCC_TESTS_KERNELS_DEATH_H

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/kernels/sanitizers.h"
#include "tests/test.h"

static struct {
    char said[1 << 16]; /* its beginning */
    int status;         /* as waitpid has it */
} death;

static inline void death_listen(int from) {
    size_t length = 0;
    char rest[4096];
    for (;;) {
        const bool full = length == sizeof death.said - 1;
        ssize_t got = full ? read(from, rest, sizeof rest)
                           : read(from, death.said + length, sizeof death.said - 1 - length);
        if (got <= 0) {
            break;
        }
        length += full ? 0 : (size_t)got;
    }
    death.said[length] = '\0';
}

/* Runs `body` in a process of its own, which then ends as a program does. */
static inline void death_of(void (*body)(void)) {
    int ends[2];
    fflush(stdout);
    if (pipe(ends) != 0) {
        exit(1);
    }
    const pid_t child = fork();
    if (child == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        dup2(ends[1], STDERR_FILENO);
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        body();
        exit(0);
    }
    close(ends[1]);
    death_listen(ends[0]);
    close(ends[0]);
    waitpid(child, &death.status, 0);
}

static inline bool death_check(void (*body)(void), const char *word, int at, const char *file,
                               int line) {
    char place[64] = "";
    if (at > 0) {
        snprintf(place, sizeof place, "_test.cc:%d", at);
    }
    death_of(body);
    const bool died = !WIFEXITED(death.status) || WEXITSTATUS(death.status) != 0;
    const bool ok = test_check(died, file, line, "it dies") &&
                    test_check(strstr(death.said, word) != NULL, file, line, word) &&
                    test_check(strstr(death.said, place) != NULL, file, line, place);
    if (!ok) {
        printf("# it said: %.3000s\n", death.said);
    }
    return ok;
}

/* It dies, says `word`, and names line `at` of the test's file; 0: none. */
#define CHECK_DEATH(body, word, at) death_check((body), (word), (at), __FILE__, __LINE__)

static inline void death_survives(void (*body)(void), const char *file, int line) {
    death_of(body);
    if (!test_number(death.status, 0, file, line)) {
        printf("# it said: %.3000s\n", death.said);
    }
}

/* It ends well: ThreadSanitizer, too, has nothing to say. */
#define CHECK_LIFE(body) death_survives((body), __FILE__, __LINE__)

#endif
