/* team.c - see team.h: threads, and who takes which piece. */
#include "compress/cpu/team.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "store/clock.h"
#include "store/cpu_count.h"

/* How long a thread looks for work before it sleeps: longer than what one thread does alone between
 * two operations, far shorter than a slice of the scheduler's. */
#define LOOK_SECONDS 100e-6
enum { LOOKS = 64 /* between two looks at the clock */ };

enum { LEAST_WORK = 16384, PIECES_EACH = 4 /* of a thread */ };

/* What there is to do, in one word, so that who takes a piece knows which call it belongs to: the
 * call's number, how many pieces it has, and which is next. More pieces are several calls. */
enum { PIECE_BITS = 16, MOST_PIECES = (1 << PIECE_BITS) - 1 };

static uint64_t work_of(uint64_t call, int64_t pieces) {
    return call << (2 * PIECE_BITS) | (uint64_t)pieces << PIECE_BITS;
}
static int64_t pieces_of(uint64_t work) {
    return (int64_t)(work >> PIECE_BITS & MOST_PIECES);
}
static int64_t next_of(uint64_t work) {
    return (int64_t)(work & MOST_PIECES);
}
static bool has_work(uint64_t work) {
    return next_of(work) < pieces_of(work);
}

struct member {
    struct team *team;
    struct device *device;
    pthread_t thread; /* not of the first, which is the caller */
    /* The failure of the earliest piece of this call that failed here. */
    int rc;
    int64_t failed;
    struct error error;
};

struct team {
    int threads;
    int64_t least_work; /* of a piece: some microseconds */
    double look;        /* seconds */
    enum dtype compute;
    /* Of the call; read by who has taken a piece of it. */
    team_piece *piece;
    void *context;
    int64_t first; /* piece */
    uint64_t call;
    _Alignas(64) atomic_uint_least64_t work;
    _Alignas(64) atomic_int_least64_t finished; /* pieces */
    _Alignas(64) atomic_int asleep;             /* members */
    atomic_bool waiting;                        /* the caller sleeps */
    atomic_bool ending;
    pthread_mutex_t lock;
    pthread_cond_t begun, done;
    int opened; /* members whose device is open or has failed to */
    struct member members[];
};

/* ---- Pieces ---------------------------------------------------------------------------------- */

/* Takes a piece of what there is to do; -1: nothing is left. */
static int64_t take(struct team *t) {
    uint64_t work = atomic_load_explicit(&t->work, memory_order_acquire);
    while (has_work(work)) {
        if (atomic_compare_exchange_weak_explicit(&t->work, &work, work + 1, memory_order_acquire,
                                                  memory_order_acquire)) {
            return next_of(work);
        }
    }
    return -1;
}

/* The last piece wakes the caller. */
static void finish(struct team *t, int64_t pieces) {
    if (atomic_fetch_add(&t->finished, 1) + 1 == pieces && atomic_load(&t->waiting)) {
        pthread_mutex_lock(&t->lock);
        pthread_cond_signal(&t->done);
        pthread_mutex_unlock(&t->lock);
    }
}

/* While this thread has a piece the call lasts, and what it says stays. */
static void work_on(struct member *m) {
    struct team *t = m->team;
    for (int64_t next = take(t); next >= 0; next = take(t)) {
        struct error e = {0};
        const int64_t pieces = pieces_of(atomic_load_explicit(&t->work, memory_order_relaxed));
        const int64_t i = t->first + next;
        int rc = t->piece(m->device, i, t->context, &e);
        if (rc < 0 && (m->rc == 0 || i < m->failed)) {
            m->rc = rc;
            m->failed = i;
            m->error = e;
        }
        finish(t, pieces);
    }
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static void pause_core(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool more_to_do(const struct team *t) {
    return has_work(atomic_load(&t->work)) || atomic_load(&t->ending);
}

static bool all_done(const struct team *t) {
    return atomic_load(&t->finished) == pieces_of(t->work);
}

/* Looks for a moment whether it has come; false: not yet. */
static bool look_for(const struct team *t, bool (*come)(const struct team *t)) {
    if (come(t)) {
        return true;
    }
    if (t->look <= 0) {
        return false;
    }
    const double until = clock_seconds() + t->look;
    do {
        for (int i = 0; i < LOOKS; i++) {
            if (come(t)) {
                return true;
            }
            pause_core();
        }
    } while (clock_seconds() < until);
    return false;
}

/* Who counts itself before it looks for the last time is seen by who, after saying that there is
 * work, asks whether anybody sleeps. */
static void wait_for_work(struct team *t) {
    if (look_for(t, more_to_do)) {
        return;
    }
    pthread_mutex_lock(&t->lock);
    atomic_fetch_add(&t->asleep, 1);
    while (!more_to_do(t)) {
        pthread_cond_wait(&t->begun, &t->lock);
    }
    atomic_fetch_sub(&t->asleep, 1);
    pthread_mutex_unlock(&t->lock);
}

static void wait_for_end(struct team *t) {
    if (look_for(t, all_done)) {
        return;
    }
    pthread_mutex_lock(&t->lock);
    atomic_store(&t->waiting, true);
    while (!all_done(t)) {
        pthread_cond_wait(&t->done, &t->lock);
    }
    atomic_store(&t->waiting, false);
    pthread_mutex_unlock(&t->lock);
}

static void wake(struct team *t) {
    if (atomic_load(&t->asleep) > 0) {
        pthread_mutex_lock(&t->lock);
        pthread_cond_broadcast(&t->begun);
        pthread_mutex_unlock(&t->lock);
    }
}

/* ---- Threads --------------------------------------------------------------------------------- */

static void *member_run(void *argument) {
    struct member *m = argument;
    struct team *t = m->team;
    int rc = device_open(&m->device, &CPU_BACKEND, t->compute, &m->error);
    pthread_mutex_lock(&t->lock);
    m->rc = rc;
    t->opened++;
    pthread_cond_signal(&t->done);
    pthread_mutex_unlock(&t->lock);
    while (rc == 0 && !atomic_load(&t->ending)) {
        work_on(m);
        wait_for_work(t);
    }
    return NULL;
}

/* The members' threads, the first one's device; then waits until theirs are open. */
static int start(struct team *t, int threads, struct error *e) {
    int rc = device_open(&t->members[0].device, &CPU_BACKEND, t->compute, e);
    t->threads = 1;
    for (; t->threads < threads && rc == 0; t->threads++) {
        struct member *m = &t->members[t->threads];
        if (pthread_create(&m->thread, NULL, member_run, m) != 0) {
            rc = error_set(e, ERR_MEMORY, "thread %d of a team cannot be started", t->threads);
            break;
        }
    }
    pthread_mutex_lock(&t->lock);
    while (t->opened < t->threads - 1) {
        pthread_cond_wait(&t->done, &t->lock);
    }
    pthread_mutex_unlock(&t->lock);
    for (int i = 1; i < t->threads && rc == 0; i++) {
        rc = t->members[i].rc;
        if (rc < 0) {
            *e = t->members[i].error;
        }
    }
    return rc;
}

int team_open(struct team **out, int threads, enum dtype compute, struct error *e) {
    *out = NULL;
    if (threads < 1 || threads > TEAM_MOST_THREADS) {
        return error_set(e, ERR_USAGE, "a team has 1 to %d threads, not %d", TEAM_MOST_THREADS,
                         threads);
    }
    const size_t size = sizeof(struct team) + (size_t)threads * sizeof(struct member);
    struct team *t = aligned_alloc(64, (size + 63) / 64 * 64);
    if (t == NULL) {
        return error_memory(e, NULL);
    }
    *t = (struct team){.compute = compute,
                       .look = threads <= cpu_count() ? LOOK_SECONDS : 0,
                       .least_work = LEAST_WORK};
    for (int i = 0; i < threads; i++) {
        t->members[i] = (struct member){.team = t};
    }
    pthread_mutex_init(&t->lock, NULL); /* none of these fails with the default attributes */
    pthread_cond_init(&t->begun, NULL);
    pthread_cond_init(&t->done, NULL);
    int rc = start(t, threads, e);
    if (rc < 0) {
        team_close(t);
        return rc;
    }
    *out = t;
    return 0;
}

void team_close(struct team *t) {
    if (t == NULL) {
        return;
    }
    pthread_mutex_lock(&t->lock);
    atomic_store(&t->ending, true);
    pthread_cond_broadcast(&t->begun);
    pthread_mutex_unlock(&t->lock);
    for (int i = 1; i < t->threads; i++) {
        pthread_join(t->members[i].thread, NULL);
    }
    for (int i = 0; i < t->threads; i++) {
        device_close(t->members[i].device);
    }
    pthread_cond_destroy(&t->done);
    pthread_cond_destroy(&t->begun);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

size_t team_bytes(const struct team *t) {
    size_t bytes = 0;
    for (int i = 0; i < t->threads; i++) {
        bytes += t->members[i].device->bytes;
    }
    return bytes;
}

/* ---- Calls ----------------------------------------------------------------------------------- */

/* What the members' scratch memory has grown by counts as the team's. */
static void count_bytes(struct cpu_device *d) {
    const size_t now = team_bytes(d->team);
    if (now != d->team_bytes) {
        cpu_count_bytes(&d->head, (int64_t)now - (int64_t)d->team_bytes);
        d->team_bytes = now;
    }
}

static int first_failure(const struct team *t, struct error *e) {
    const struct member *first = NULL;
    for (int i = 0; i < t->threads; i++) {
        const struct member *m = &t->members[i];
        if (m->rc < 0 && (first == NULL || m->failed < first->failed)) {
            first = m;
        }
    }
    if (first != NULL && e != NULL) {
        *e = first->error;
    }
    return first != NULL ? first->rc : 0;
}

/* Pieces [first, first + count), at most MOST_PIECES. */
static void share_some(struct team *t, int64_t first, int64_t count) {
    t->first = first;
    atomic_store_explicit(&t->finished, 0, memory_order_relaxed);
    atomic_store(&t->work, work_of(++t->call, count));
    wake(t);
    work_on(&t->members[0]);
    wait_for_end(t);
}

int cpu_share(struct device *d, int64_t count, team_piece *piece, void *context, struct error *e) {
    struct team *t = cpu_device(d)->team;
    if (t == NULL || count <= 1) {
        struct device *device = t != NULL ? t->members[0].device : d;
        int rc = 0;
        for (int64_t i = 0; i < count && rc == 0; i++) {
            rc = piece(device, i, context, e);
        }
        if (t != NULL) {
            count_bytes(cpu_device(d));
        }
        return rc;
    }
    for (int i = 0; i < t->threads; i++) {
        t->members[i].rc = 0;
    }
    t->piece = piece;
    t->context = context;
    int rc = 0;
    for (int64_t first = 0; first < count && rc == 0; first += MOST_PIECES) {
        share_some(t, first, count - first < MOST_PIECES ? count - first : MOST_PIECES);
        rc = first_failure(t, e);
    }
    count_bytes(cpu_device(d));
    return rc;
}

int cpu_threads(const struct device *d) {
    const struct team *t = ((const struct cpu_device *)d)->team;
    return t != NULL ? t->threads : 1;
}

void cpu_set_least_work(struct device *d, int64_t work) {
    cpu_device(d)->team->least_work = work;
}

int64_t cpu_pieces(const struct device *d, int64_t units, int64_t work) {
    const struct team *t = ((const struct cpu_device *)d)->team;
    if (t == NULL || t->threads == 1) {
        return 1;
    }
    int64_t most = work / t->least_work, pieces = (int64_t)t->threads * PIECES_EACH;
    pieces = pieces < most ? pieces : most;
    pieces = pieces < units ? pieces : units;
    return pieces > 1 ? pieces : 1;
}
