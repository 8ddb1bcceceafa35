/* kill -9 at random points of a training run, most of all while it writes: given again, it ends
 * with the bytes of one that was left alone. Trainings are processes of their own, for which this
 * one has no threads. */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/read_source.h"
#include "tests/test.h"

enum { KILLS = 24, STEPS = 60 };

static struct alphabet *alphabet;

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static pid_t begin(const char *folder) {
    pid_t child = fork();
    if (child != 0) {
        return child;
    }
    struct source s = SOURCE;
    struct read_source source = source_of(&s);
    struct read_options o = OPTIONS;
    struct trainer_result result;
    o.trainer.schedule.steps = STEPS;
    o.trainer.folder = folder;
    _exit(read_train(&o, alphabet, &source, NULL, NULL, &result, NULL) == 0 ? 0 : 1);
}

/* The exit status of a run, or -1 for one that was killed. */
static int end(pid_t child) {
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void wait_us(int64_t us) {
    const struct timespec t = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&t, NULL);
}

/* Until a file begins to be written, or the run ends, at most for `us`. */
static void wait_for_writing(const char *path, pid_t child, int64_t us) {
    siginfo_t info = {.si_pid = 0};
    for (int64_t until = now_us() + us; now_us() < until && info.si_pid == 0;) {
        if (access(path, F_OK) == 0) {
            return;
        }
        waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT);
    }
}

static void a_killed_training_ends_with_the_same_bytes(void) {
    static const char *const NAMES[] = {"checkpoint.safetensors", "encoder.safetensors",
                                        "metrics.ndjson"};
    static const char *const WRITTEN[] = {"run/.checkpoint.safetensors.tmp",
                                          "run/.encoder.safetensors.tmp"};
    uint64_t random = 1;
    int killed = 0, cut = 0, finished = 0;
    make_folder("whole");
    make_folder("run");
    int64_t start = now_us();
    CHECK_NUMBER(end(begin("whole")), 0);
    int64_t length = now_us() - start;
    for (int i = 0; i < KILLS || finished == 0; i++) {
        if (i % 3 < 2) {
            unlink(WRITTEN[i % 3]); /* what the one before left */
        }
        pid_t child = begin("run");
        if (i % 3 < 2) {
            wait_for_writing(WRITTEN[i % 3], child, length);
            wait_us(random_below(&random, 3000));
        } else {
            wait_us(random_below(&random, length));
        }
        if (i < KILLS) {
            kill(child, SIGKILL);
        }
        int status = end(child);
        killed += status < 0;
        cut += status < 0 && access("run/checkpoint.safetensors", F_OK) == 0;
        if (status >= 0) {
            finished++;
            CHECK_NUMBER(status, 0);
            for (size_t k = 0; k < sizeof NAMES / sizeof *NAMES; k++) {
                if (!CHECK(same_in("whole", "run", NAMES[k]))) {
                    printf("# %s\n", NAMES[k]);
                }
            }
            remove_folder("run");
            make_folder("run");
        }
    }
    printf("# %d killed, %d of them after a checkpoint; %d finished\n", killed, cut, finished);
    CHECK(cut > 0);
    remove_folder("whole");
    remove_folder("run");
}

int main(void) {
    if (!source_begin(&alphabet)) {
        return 1;
    }
    RUN(a_killed_training_ends_with_the_same_bytes);
    source_end(alphabet);
    return test_finish();
}
