/* gpu_host.cc - fibers that stand for the threads of a block, and what they wait for. See
 * cuda_runtime.h.
 *
 * ThreadSanitizer knows the threads of a block apart and is told of barriers only, so that what two
 * threads do to one place without a barrier between is a race to it, in whatever order they ran; of
 * threads of two blocks as well. The fiber that a thread is changes from block to block: what a
 * fiber does comes in order. That takes long, so it is done for a few blocks of each launch, which
 * are watched; the threads of others are one to it. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/kernels/emulator.h"
#include "tests/kernels/fibers.h"
#include "tests/kernels/sanitizers.h"

enum { WARP = 32, MOST_WARPS = MOST_FIBERS / WARP, PAGE = 4096, MEETINGS = 64 };
#define ALL_LANES 0xFFFFFFFFu
enum { WATCHED = 2 /* blocks of a launch, or about as many of a large one */ };

enum state { RUNS, AT_BLOCK_BARRIER, AT_WARP_BARRIER, ENDED };

struct thread {
    struct gpu_thread seen; /* first: gpu_now */
    int fiber;
    unsigned mask; /* of the warp barrier that it waits at */
    const char *file;
    int line;                                    /* of the barrier */
    unsigned exchanges, counts, barriers, syncs; /* so far */
};

/* What ThreadSanitizer knows a place by where threads meet. Barriers take turns: who comes to the
 * next one early must not be heard by who leaves the last one late. */
struct meetings {
    uint64_t begin, barrier[2], warps[MOST_WARPS][2], parts_of_warps[MOST_WARPS], fence, end;
};

struct gpu_thread *gpu_now;

static struct {
    const struct launch *launch;
    struct thread threads[MOST_FIBERS];
    volatile unsigned char states[MOST_FIBERS]; /* enum state; volatile: never by memset, of which
                                                   ThreadSanitizer would hear */
    int order[MOST_FIBERS];
    int count, ended;
    int waiting;                         /* at a barrier of the block */
    const struct thread *came;           /* the first of these */
    bool differ;                         /* they are at different lines */
    unsigned lanes[MOST_WARPS];          /* that wait for others of their warp */
    uint64_t words[MOST_WARPS][2][WARP]; /* of exchanges: two that take turns */
    int counted[3];
    char *shared;
    bool watched;              /* the block that runs */
    struct meetings *meetings; /* of blocks: some that take turns */
    struct meetings *meeting;  /* of the block that runs */
} gpu;

static unsigned blocks_of(const struct launch *l) {
    return l->grid.x * l->grid.y * l->grid.z;
}

static int warp_of(const struct thread *t) {
    return (int)(t - gpu.threads) / WARP;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

[[noreturn]] void gpu_fail(const char *what, const char *file, int line) {
    const struct gpu_thread *t = gpu_now;
    const char *name = gpu.launch != NULL ? gpu.launch->name : "the host";
    fprintf(stderr, "%s: %s, at %s:%d", name, what, file, line);
    if (t != NULL) {
        fprintf(stderr, " (thread %u,%u,%u of block %u,%u,%u)", t->thread.x, t->thread.y,
                t->thread.z, t->block.x, t->block.y, t->block.z);
    }
    fprintf(stderr, "\n");
    abort();
}

/* Of a block that is watched. */
static void tell_others(void *place) {
    if (gpu.watched) {
        tsan_release(place);
    }
}

static void hear_others(void *place) {
    if (gpu.watched) {
        tsan_acquire(place);
    }
}

/* That the running thread waits there. */
static struct thread *arrive(enum state state, unsigned mask, const char *file, int line) {
    struct thread *t = (struct thread *)gpu_now;
    gpu.states[t - gpu.threads] = state;
    t->mask = mask;
    t->file = file;
    t->line = line;
    return t;
}

[[noreturn]] static void fail_at(const struct thread *t, const char *what) {
    gpu_now = (struct gpu_thread *)&t->seen;
    gpu_fail(what, t->file, t->line);
}

/* The first thread that waits as `state` says, at another line than `other`; NULL: there is none.
 */
static const struct thread *first_waiting(enum state state, const struct thread *other) {
    for (int i = 0; i < gpu.count; i++) {
        const struct thread *t = &gpu.threads[i];
        if (gpu.states[i] == state &&
            (other == NULL || t->line != other->line || t->file != other->file)) {
            return t;
        }
    }
    return NULL;
}

static void expect_one_barrier(void) {
    if (gpu.differ) {
        fail_at(first_waiting(AT_BLOCK_BARRIER, first_waiting(AT_BLOCK_BARRIER, NULL)),
                "threads of a block wait at different barriers");
    }
}

void gpu_block_barrier(const char *file, int line) {
    uint64_t *meeting = &gpu.meeting->barrier[((struct thread *)gpu_now)->barriers++ % 2];
    tell_others(meeting);
    const struct thread *t = arrive(AT_BLOCK_BARRIER, 0, file, line);
    gpu.came = gpu.waiting++ == 0 ? t : gpu.came;
    gpu.differ = gpu.differ || line != gpu.came->line || file != gpu.came->file;
    fiber_leave(false);
    hear_others(meeting);
}

int gpu_block_count(bool mine, const char *file, int line) {
    struct thread *t = (struct thread *)gpu_now;
    const unsigned turn = t->counts++ % 3;
    gpu.counted[turn] += mine;
    gpu_block_barrier(file, line);
    gpu.counted[(turn + 2) % 3] = 0; /* all have read it, and count there after the next barrier */
    return gpu.counted[turn];
}

/* Whether all lanes of the mask wait with it, and at one line; then none does any longer. */
static bool release_lanes(struct thread *lanes, int warp, unsigned mask) {
    const struct thread *one = &lanes[__builtin_ctz(mask)];
    for (int k = 0; k < WARP; k++) {
        if ((mask >> k & 1) != 0 && lanes[k].mask != mask) {
            return false;
        }
    }
    for (int k = 0; k < WARP; k++) {
        if ((mask >> k & 1) == 0) {
            continue;
        }
        if (lanes[k].line != one->line || lanes[k].file != one->file) {
            fail_at(&lanes[k], "lanes of a warp met at different lines");
        }
        gpu.states[warp * WARP + k] = RUNS;
    }
    gpu.lanes[warp] &= ~mask;
    return true;
}

/* Who comes last goes on at once. */
void gpu_warp_meet(unsigned mask, const char *file, int line) {
    if ((mask >> gpu_now->lane & 1) == 0) {
        gpu_fail("a lane waits with a mask that it is not in", file, line);
    }
    const struct thread *t = arrive(AT_WARP_BARRIER, mask, file, line);
    const int warp = warp_of(t);
    gpu.lanes[warp] |= 1u << t->seen.lane;
    if ((gpu.lanes[warp] & mask) != mask || !release_lanes(&gpu.threads[warp * WARP], warp, mask)) {
        fiber_leave(false);
    }
}

void gpu_warp_barrier(unsigned mask, const char *file, int line) {
    struct thread *t = (struct thread *)gpu_now;
    const int warp = warp_of(t);
    uint64_t *meeting = mask == ALL_LANES ? &gpu.meeting->warps[warp][t->syncs++ % 2]
                                          : &gpu.meeting->parts_of_warps[warp];
    tell_others(meeting);
    gpu_warp_meet(mask, file, line);
    hear_others(meeting);
}

const uint64_t *gpu_exchange(unsigned mask, uint64_t mine, const char *file, int line) {
    struct thread *t = (struct thread *)gpu_now;
    uint64_t *words = gpu.words[warp_of(t)][t->exchanges++ % 2];
    words[t->seen.lane] = mine;
    gpu_warp_meet(mask, file, line);
    return words;
}

void gpu_fence(void) {
    tsan_acquire(&gpu.meetings->fence);
    tsan_release(&gpu.meetings->fence);
}

/* ---- Rounds ---------------------------------------------------------------------------------- */

static void release_block(void) {
    expect_one_barrier();
    for (int i = 0; i < gpu.count; i++) {
        gpu.states[i] = RUNS;
    }
    gpu.waiting = 0;
}

[[noreturn]] static void fail_stuck(void) {
    const struct thread *lane = first_waiting(AT_WARP_BARRIER, NULL);
    expect_one_barrier();
    if (lane != NULL) {
        fail_at(lane, "threads wait for lanes that never come");
    }
    fail_at(first_waiting(AT_BLOCK_BARRIER, NULL),
            "a barrier that other threads of the block never reach");
}

static void run_block(void) {
    while (gpu.ended < gpu.count) {
        bool any = false;
        for (int i = 0; i < gpu.count; i++) {
            const int k = gpu.order[i];
            if (gpu.states[k] == RUNS) {
                gpu_now = &gpu.threads[k].seen;
                fiber_enter(gpu.threads[k].fiber);
                any = true;
            }
        }
        if (gpu.waiting == gpu.count) {
            release_block();
        } else if (!any) {
            fail_stuck();
        }
    }
    gpu_now = NULL;
}

/* ---- Blocks ---------------------------------------------------------------------------------- */

static void order_threads(void) {
    const enum order order = gpu_order();
    for (int i = 0; i < gpu.count; i++) {
        gpu.order[i] = order == REVERSE ? gpu.count - 1 - i : i;
    }
    for (int i = gpu.count - 1; i > 0 && order == RANDOM; i--) {
        int k = (int)gpu_random((uint64_t)i + 1), kept = gpu.order[i];
        gpu.order[i] = gpu.order[k];
        gpu.order[k] = kept;
    }
}

void *gpu_shared_memory(void) {
    return gpu.shared;
}

/* Exactly as large as was asked, so that AddressSanitizer sees its end. To ThreadSanitizer it is
 * new where pages are mapped. */
static void poison_shared(size_t bytes) {
    if (tsan() && bytes > 0) {
        void *pages =
            mmap(gpu.shared, (bytes + PAGE - 1) / PAGE * PAGE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | (gpu.shared != NULL ? MAP_FIXED : 0), -1, 0);
        gpu.shared = (char *)pages;
    } else if (!tsan() && gpu.shared == NULL) {
        gpu.shared = (char *)malloc(bytes);
    }
    memset(gpu.shared, 0xFF, bytes);
}

static void forget_shared(size_t bytes) {
    if (tsan() && bytes > 0) {
        munmap(gpu.shared, (bytes + PAGE - 1) / PAGE * PAGE);
    } else if (!tsan()) {
        free(gpu.shared);
    }
    gpu.shared = NULL;
}

static void thread_main(void) {
    hear_others(&gpu.meeting->begin);
    gpu.launch->run(gpu.launch->kernel);
    gpu.states[(struct thread *)gpu_now - gpu.threads] = ENDED;
    gpu.ended++;
    tell_others(&gpu.meetings->end);
}

static void begin_block(unsigned number) {
    const dim3 grid = gpu.launch->grid, block = gpu.launch->block;
    gpu.meeting = &gpu.meetings[number % MEETINGS];
    gpu.watched = blocks_of(gpu.launch) <= WATCHED || gpu_random(blocks_of(gpu.launch)) < WATCHED;
    fibers_choose(gpu.watched ? gpu.launch->pool : FIBERS_OF_CALLER, gpu.count);
    poison_shared(gpu.launch->shared_bytes);
    memset(gpu.counted, 0, sizeof gpu.counted);
    gpu.ended = gpu.waiting = 0;
    gpu.differ = false;
    order_threads();
    for (int i = 0; i < gpu.count; i++) {
        struct thread *t = &gpu.threads[i];
        const unsigned k = (unsigned)i;
        t->seen.thread = {k % block.x, k / block.x % block.y, k / block.x / block.y};
        t->seen.block = {number % grid.x, number / grid.x % grid.y, number / grid.x / grid.y};
        t->seen.grid = grid;
        t->seen.threads = block;
        t->seen.lane = i % WARP;
        t->exchanges = t->counts = t->barriers = t->syncs = t->mask = 0;
        gpu.states[i] = RUNS;
        gpu.lanes[i / WARP] = 0;
        t->fiber = gpu.order[(i + (int)(number % MOST_FIBERS)) % gpu.count];
        fiber_start(t->fiber, thread_main);
    }
    tell_others(&gpu.meeting->begin);
}

/* Block i of those that run. Primes visit all. */
static unsigned block_number(unsigned i, unsigned first, uint64_t step, unsigned blocks) {
    return gpu_order() == REVERSE ? blocks - 1 - i : (unsigned)((first + i * step) % blocks);
}

void blocks_run(const struct launch *l) {
    static const uint32_t PRIMES[] = {4294967291u, 2654435761u, 2147483647u};
    const unsigned blocks = blocks_of(l);
    const bool random = gpu_order() == RANDOM;
    const unsigned first = random ? (unsigned)gpu_random(blocks) : 0;
    const uint64_t step = random ? PRIMES[gpu_random(3)] : 1;
    gpu.launch = l;
    gpu.count = (int)(l->block.x * l->block.y * l->block.z);
    gpu.meetings = (struct meetings *)calloc(MEETINGS, sizeof *gpu.meetings);
    for (unsigned i = 0; i < blocks; i++) {
        begin_block(block_number(i, first, step, blocks));
        run_block();
    }
    tsan_acquire(&gpu.meetings->end);
    forget_shared(l->shared_bytes);
    free(gpu.meetings);
    gpu.launch = NULL;
}
