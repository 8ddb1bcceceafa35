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
enum { WATCHED = 2 /* blocks of a launch, or about as many of a large one */ };

enum state { RUNS, AT_BLOCK_BARRIER, AT_WARP_BARRIER, ENDED };

struct thread {
    struct gpu_thread seen; /* first: gpu_now */
    enum state state;
    int fiber;
    unsigned mask; /* of the warp barrier that it waits at */
    const char *file;
    int line; /* of the barrier */
    unsigned exchanges, counts;
};

/* What ThreadSanitizer knows a place by where threads meet. */
struct meetings {
    uint64_t begin, barrier, warps[MOST_WARPS], fence, end;
};

struct gpu_thread *gpu_now;

static struct {
    const struct launch *launch;
    struct thread threads[MOST_FIBERS];
    int order[MOST_FIBERS];
    int count;
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

static void wait_at(enum state state, unsigned mask, const char *file, int line) {
    struct thread *t = (struct thread *)gpu_now;
    t->state = state;
    t->mask = mask;
    t->file = file;
    t->line = line;
    fiber_leave(false);
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

void gpu_block_barrier(const char *file, int line) {
    tell_others(&gpu.meeting->barrier);
    wait_at(AT_BLOCK_BARRIER, 0, file, line);
    hear_others(&gpu.meeting->barrier);
}

int gpu_block_count(bool mine, const char *file, int line) {
    struct thread *t = (struct thread *)gpu_now;
    const unsigned turn = t->counts++ % 3;
    gpu.counted[turn] += mine;
    gpu_block_barrier(file, line);
    gpu.counted[(turn + 2) % 3] = 0; /* all have read it, and count there after the next barrier */
    return gpu.counted[turn];
}

void gpu_warp_meet(unsigned mask, const char *file, int line) {
    if ((mask >> gpu_now->lane & 1) == 0) {
        gpu_fail("a lane waits with a mask that it is not in", file, line);
    }
    wait_at(AT_WARP_BARRIER, mask, file, line);
}

void gpu_warp_barrier(unsigned mask, const char *file, int line) {
    uint64_t *meeting = &gpu.meeting->warps[warp_of((struct thread *)gpu_now)];
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

/* Lanes that wait with one mask, once all of it are there. */
static bool release_lanes(struct thread *lanes, int count, const struct thread *first) {
    const unsigned mask = first->mask;
    unsigned there = 0;
    for (int k = 0; k < count; k++) {
        there |= lanes[k].state == AT_WARP_BARRIER && lanes[k].mask == mask ? 1u << k : 0;
    }
    if ((there & mask) != mask) {
        return false;
    }
    for (int k = 0; k < count; k++) {
        if ((mask >> k & 1) != 0) {
            if (lanes[k].line != first->line || lanes[k].file != first->file) {
                gpu_now = &lanes[k].seen;
                gpu_fail("lanes of a warp met at different lines", lanes[k].file, lanes[k].line);
            }
            lanes[k].state = RUNS;
        }
    }
    return true;
}

static bool release_warp(struct thread *lanes, int count) {
    bool released = false;
    unsigned tried = 0; /* lanes with a mask that is not whole */
    for (int i = 0; i < count; i++) {
        if (lanes[i].state == AT_WARP_BARRIER && (tried >> i & 1) == 0) {
            released |= release_lanes(lanes, count, &lanes[i]);
            tried |= lanes[i].mask;
        }
    }
    return released;
}

/* Threads that wait for the whole block. */
static bool release_block(void) {
    const struct thread *first = NULL;
    int waiting = 0, ended = 0;
    for (int i = 0; i < gpu.count; i++) {
        const struct thread *t = &gpu.threads[i];
        ended += t->state == ENDED;
        if (t->state == AT_BLOCK_BARRIER) {
            first = first == NULL ? t : first;
            waiting++;
            if (t->line != first->line || t->file != first->file) {
                gpu_now = (struct gpu_thread *)&t->seen;
                gpu_fail("threads of a block wait at different barriers", t->file, t->line);
            }
        }
    }
    if (waiting > 0 && ended > 0 && waiting + ended == gpu.count) {
        gpu_now = (struct gpu_thread *)&first->seen;
        gpu_fail("a barrier that other threads of the block never reach", first->file, first->line);
    }
    for (int i = 0; i < gpu.count && waiting == gpu.count; i++) {
        gpu.threads[i].state = RUNS;
    }
    return waiting == gpu.count;
}

/* Whether somebody can go on. */
static bool release(void) {
    bool released = false;
    for (int i = 0; i < gpu.count; i += WARP) {
        released |= release_warp(&gpu.threads[i], gpu.count - i < WARP ? gpu.count - i : WARP);
    }
    return release_block() || released;
}

[[noreturn]] static void fail_stuck(void) {
    int i = 0;
    while (gpu.threads[i].state == ENDED) {
        i++;
    }
    gpu_now = &gpu.threads[i].seen;
    gpu_fail("threads wait for lanes that never come", gpu.threads[i].file, gpu.threads[i].line);
}

static void run_block(void) {
    for (int left = gpu.count; left > 0;) {
        bool any = false;
        for (int i = 0; i < gpu.count; i++) {
            struct thread *t = &gpu.threads[gpu.order[i]];
            if (t->state == RUNS) {
                gpu_now = &t->seen;
                fiber_enter(t->fiber);
                left -= t->state == ENDED;
                any = true;
            }
        }
        if (left > 0 && !release() && !any) {
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
    ((struct thread *)gpu_now)->state = ENDED;
    tell_others(&gpu.meetings->end);
}

static void begin_block(unsigned number) {
    const dim3 grid = gpu.launch->grid, block = gpu.launch->block;
    gpu.meeting = &gpu.meetings[number % MEETINGS];
    gpu.watched = blocks_of(gpu.launch) <= WATCHED || gpu_random(blocks_of(gpu.launch)) < WATCHED;
    fibers_choose(gpu.watched ? gpu.launch->pool : FIBERS_OF_CALLER, gpu.count);
    poison_shared(gpu.launch->shared_bytes);
    memset(gpu.counted, 0, sizeof gpu.counted);
    order_threads();
    for (int i = 0; i < gpu.count; i++) {
        struct thread *t = &gpu.threads[i];
        const unsigned k = (unsigned)i;
        t->seen.thread = {k % block.x, k / block.x % block.y, k / block.x / block.y};
        t->seen.block = {number % grid.x, number / grid.x % grid.y, number / grid.x / grid.y};
        t->seen.grid = grid;
        t->seen.threads = block;
        t->seen.lane = i % WARP;
        t->state = RUNS;
        t->exchanges = t->counts = 0;
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
