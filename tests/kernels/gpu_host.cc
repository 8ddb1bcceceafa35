/* gpu_host.cc - fibers that stand for the threads of a block, and what they wait for. See
 * cuda_runtime.h. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/kernels/cuda_runtime.h"

#if !defined(__x86_64__)
#include <ucontext.h>
#endif
#if defined(__SANITIZE_THREAD__)
#define FIBERS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FIBERS_TSAN 1
#endif
#endif
#ifdef FIBERS_TSAN
#include <sanitizer/tsan_interface.h>
#endif

enum { STACK = 64 * 1024, MOST_THREADS = 1024, WARP = 32, MOST_WARPS = MOST_THREADS / WARP };

enum state { RUNS, AT_BLOCK_BARRIER, AT_WARP_BARRIER, ENDED };

struct fiber {
    struct gpu_thread thread; /* first: gpu_now */
    enum state state;
    unsigned mask; /* of the warp barrier that it waits at */
    const char *file;
    int line; /* of the barrier */
    int exchanges;
#if defined(__x86_64__)
    void *stack_pointer;
#else
    ucontext_t context;
#endif
#ifdef FIBERS_TSAN
    void *tsan;
#endif
};

struct gpu_thread *gpu_now;

static struct {
    const char *name;
    void (*run)(void *kernel);
    void *kernel;
    char *stacks;
    struct fiber fibers[MOST_THREADS];
    int count;
    uint64_t words[MOST_WARPS][2][WARP]; /* of exchanges: two that take turns */
    char *shared;
    uint64_t random;
#if defined(__x86_64__)
    void *home;
#else
    ucontext_t home;
#endif
#ifdef FIBERS_TSAN
    void *tsan_home;
#endif
} gpu;

/* ---- Switching ------------------------------------------------------------------------------- */

#if defined(__x86_64__)
/* Saves what a call keeps, leaves the stack pointer in *from, and goes on at `to`. */
extern "C" void gpu_switch(void **from, void *to);
asm(".text\n.type gpu_switch,@function\ngpu_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n"
    ".size gpu_switch,.-gpu_switch\n");
#endif

static void enter(struct fiber *f) {
    gpu_now = &f->thread;
#ifdef FIBERS_TSAN
    __tsan_switch_to_fiber(f->tsan, __tsan_switch_to_fiber_no_sync);
#endif
#if defined(__x86_64__)
    gpu_switch(&gpu.home, f->stack_pointer);
#else
    swapcontext(&gpu.home, &f->context);
#endif
}

static void leave(struct fiber *f) {
#ifdef FIBERS_TSAN
    __tsan_switch_to_fiber(gpu.tsan_home, __tsan_switch_to_fiber_no_sync);
#endif
#if defined(__x86_64__)
    gpu_switch(&f->stack_pointer, gpu.home);
#else
    swapcontext(&f->context, &gpu.home);
#endif
}

static void fiber_main(void) {
    struct fiber *f = (struct fiber *)gpu_now;
    gpu.run(gpu.kernel);
    f->state = ENDED;
    leave(f);
}

static void fiber_begin(struct fiber *f, int i) {
    char *stack = gpu.stacks + (size_t)i * STACK;
#if defined(__x86_64__)
    void **top = (void **)(stack + STACK) - 2; /* as after a call: 8 bytes off 16 */
    top[0] = (void *)fiber_main;
    top[1] = NULL;
    f->stack_pointer = top - 6;
    memset(top - 6, 0, 6 * sizeof *top);
#else
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = stack;
    f->context.uc_stack.ss_size = STACK;
    f->context.uc_link = NULL;
    makecontext(&f->context, fiber_main, 0);
#endif
    f->state = RUNS;
    f->exchanges = 0;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

[[noreturn]] void gpu_fail(const char *what, const char *file, int line) {
    const struct gpu_thread *t = gpu_now;
    fprintf(stderr, "%s: %s, at %s:%d", gpu.name, what, file, line);
    if (t != NULL) {
        fprintf(stderr, " (thread %u,%u,%u of block %u,%u,%u)", t->thread.x, t->thread.y,
                t->thread.z, t->block.x, t->block.y, t->block.z);
    }
    fprintf(stderr, "\n");
    abort();
}

static void wait_at(enum state state, unsigned mask, const char *file, int line) {
    struct fiber *f = (struct fiber *)gpu_now;
    f->state = state;
    f->mask = mask;
    f->file = file;
    f->line = line;
    leave(f);
}

void gpu_block_barrier(const char *file, int line) {
#ifdef FIBERS_TSAN
    __tsan_release(&gpu.shared);
#endif
    wait_at(AT_BLOCK_BARRIER, 0, file, line);
#ifdef FIBERS_TSAN
    __tsan_acquire(&gpu.shared);
#endif
}

void gpu_warp_barrier(unsigned mask, const char *file, int line) {
    struct fiber *f = (struct fiber *)gpu_now;
    if ((mask >> f->thread.lane & 1) == 0) {
        gpu_fail("a lane waits with a mask that it is not in", file, line);
    }
    void *warp = &gpu.words[(f - gpu.fibers) / WARP];
    (void)warp;
#ifdef FIBERS_TSAN
    __tsan_release(warp);
#endif
    wait_at(AT_WARP_BARRIER, mask, file, line);
#ifdef FIBERS_TSAN
    __tsan_acquire(warp);
#endif
}

const uint64_t *gpu_exchange(unsigned mask, uint64_t mine, const char *file, int line) {
    struct fiber *f = (struct fiber *)gpu_now;
    uint64_t *words = gpu.words[(f - gpu.fibers) / WARP][f->exchanges++ % 2];
    words[f->thread.lane] = mine;
    gpu_warp_barrier(mask, file, line);
    return words;
}

/* ---- Rounds ---------------------------------------------------------------------------------- */

static bool release_warp(struct fiber *lanes, int count) {
    bool released = false;
    for (int i = 0; i < count; i++) {
        if (lanes[i].state != AT_WARP_BARRIER) {
            continue;
        }
        const unsigned mask = lanes[i].mask;
        unsigned there = 0;
        for (int k = 0; k < count; k++) {
            there |= lanes[k].state == AT_WARP_BARRIER && lanes[k].mask == mask ? 1u << k : 0;
        }
        if ((there & mask) != mask) {
            continue;
        }
        for (int k = 0; k < count; k++) {
            if ((mask >> k & 1) != 0) {
                if (lanes[k].line != lanes[i].line) {
                    gpu_now = &lanes[k].thread;
                    gpu_fail("lanes of a warp met at different lines", lanes[k].file,
                             lanes[k].line);
                }
                lanes[k].state = RUNS;
            }
        }
        released = true;
    }
    return released;
}

/* Whether somebody can go on. */
static bool release(void) {
    bool released = false;
    int waiting = 0, ended = 0;
    const struct fiber *first = NULL;
    for (int i = 0; i < gpu.count; i += WARP) {
        released |= release_warp(&gpu.fibers[i], gpu.count - i < WARP ? gpu.count - i : WARP);
    }
    for (int i = 0; i < gpu.count; i++) {
        const struct fiber *f = &gpu.fibers[i];
        ended += f->state == ENDED;
        if (f->state == AT_BLOCK_BARRIER) {
            first = first == NULL ? f : first;
            waiting++;
            if (f->line != first->line || strcmp(f->file, first->file) != 0) {
                gpu_now = (struct gpu_thread *)&f->thread;
                gpu_fail("threads of a block wait at different barriers", f->file, f->line);
            }
        }
    }
    if (waiting > 0 && ended > 0 && waiting + ended == gpu.count) {
        gpu_now = (struct gpu_thread *)&first->thread;
        gpu_fail("a barrier that other threads of the block never reach", first->file, first->line);
    }
    if (waiting == gpu.count) {
        for (int i = 0; i < gpu.count; i++) {
            gpu.fibers[i].state = RUNS;
        }
        released = true;
    }
    return released;
}

static void shuffle(int *order, int count) {
    const char *asked = getenv("OCC_GPU_ORDER");
    const bool forward = asked != NULL && strcmp(asked, "forward") == 0;
    const bool reverse = asked != NULL && strcmp(asked, "reverse") == 0;
    for (int i = 0; i < count; i++) {
        order[i] = reverse ? count - 1 - i : i;
    }
    for (int i = count - 1; i > 0 && !forward && !reverse; i--) {
        gpu.random = gpu.random * 6364136223846793005u + 1442695040888963407u;
        int k = (int)((gpu.random >> 33) % (uint64_t)(i + 1)), kept = order[i];
        order[i] = order[k];
        order[k] = kept;
    }
}

static void run_block(void) {
    static int order[MOST_THREADS];
    shuffle(order, gpu.count);
    for (int left = gpu.count; left > 0;) {
        bool any = false;
        for (int i = 0; i < gpu.count; i++) {
            struct fiber *f = &gpu.fibers[order[i]];
            if (f->state == RUNS) {
                enter(f);
                left -= f->state == ENDED;
                any = true;
            }
        }
        if (left > 0 && !release() && !any) {
            for (int i = 0; i < gpu.count; i++) {
                struct fiber *f = &gpu.fibers[i];
                if (f->state != ENDED) {
                    gpu_now = &f->thread;
                    gpu_fail("threads wait for lanes that never come", f->file, f->line);
                }
            }
        }
    }
    gpu_now = NULL;
}

void *gpu_shared_memory(void) {
    return gpu.shared;
}

static void begin_block(dim3 grid, dim3 block, unsigned number, size_t shared_bytes) {
    gpu.count = (int)(block.x * block.y * block.z);
    for (int i = 0; i < gpu.count; i++) {
        struct fiber *f = &gpu.fibers[i];
        unsigned k = (unsigned)i;
        f->thread.thread = {k % block.x, k / block.x % block.y, k / block.x / block.y};
        f->thread.block = {number % grid.x, number / grid.x % grid.y, number / grid.x / grid.y};
        f->thread.grid = grid;
        f->thread.threads = block;
        f->thread.lane = i % WARP;
        fiber_begin(f, i);
#ifdef FIBERS_TSAN
        f->tsan = __tsan_create_fiber(0);
#endif
    }
    memset(gpu.shared, 0xFF, shared_bytes);
}

static void end_block(void) {
#ifdef FIBERS_TSAN
    for (int i = 0; i < gpu.count; i++) {
        __tsan_destroy_fiber(gpu.fibers[i].tsan);
    }
#endif
}

static void open_stacks(void) {
    const char *asked = getenv("OCC_GPU_ORDER");
    gpu.random = asked != NULL ? strtoull(asked, NULL, 10) : 1;
    void *stacks = mmap(NULL, (size_t)STACK * MOST_THREADS, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stacks == MAP_FAILED) {
        perror("stacks of a GPU's threads");
        abort();
    }
    gpu.stacks = (char *)stacks;
}

void gpu_launch(const char *name, dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
                void (*run)(void *kernel), void *kernel) {
    (void)stream;
    const size_t threads = (size_t)block.x * block.y * block.z;
    const unsigned blocks = grid.x * grid.y * grid.z;
    gpu.name = name;
    if (threads == 0 || threads > MOST_THREADS || blocks == 0 || shared_bytes > 227 * 1024) {
        gpu_fail("a launch that no GPU takes", __FILE__, __LINE__);
    }
    if (gpu.stacks == NULL) {
        open_stacks();
    }
    gpu.run = run;
    gpu.kernel = kernel;
    gpu.shared = (char *)malloc(shared_bytes + 1);
#ifdef FIBERS_TSAN
    gpu.tsan_home = __tsan_get_current_fiber();
#endif
    for (unsigned i = 0; i < blocks; i++) {
        begin_block(grid, block, i, shared_bytes);
        run_block();
        end_block();
    }
    free(gpu.shared);
    gpu.shared = NULL;
}
