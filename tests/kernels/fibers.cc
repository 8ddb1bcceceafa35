/* fibers.cc - see fibers.h. A page that nobody may touch ends each stack.
 *
 * On x86-64 a switch is a dozen instructions; elsewhere, and with FIBERS_UCONTEXT, it is POSIX's,
 * which asks the kernel each time. */
#include "tests/kernels/fibers.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/kernels/sanitizers.h"

#if !defined(__x86_64__) && !defined(FIBERS_UCONTEXT)
#define FIBERS_UCONTEXT 1
#endif
#ifdef FIBERS_UCONTEXT
#include <ucontext.h>
typedef ucontext_t place; /* where somebody goes on */
#else
typedef void *place; /* of a stack, on which the rest is kept */
#endif

enum { STACK = 256 * 1024, GUARD = 16 * 1024, MOST_POOLS = 1 + 64 };

struct fiber {
    place at;
    char *stack;
    void (*body)(void);
    void *tsan, *fake_stack;
};

static struct {
    struct fiber *pools[MOST_POOLS], *fibers;
    struct fiber *now;
    place home;
    void *home_tsan;
    const void *home_stack;
    size_t home_size;
} all;

/* ---- Switching ------------------------------------------------------------------------------- */

#ifdef FIBERS_UCONTEXT
static void go(place *from, place *to) {
    swapcontext(from, to);
}
#else
/* Saves what a call keeps, leaves the stack pointer in *from, and goes on at `to`. */
extern "C" void fiber_switch(void **from, void *to);
asm(".text\n.type fiber_switch,@function\nfiber_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n"
    ".size fiber_switch,.-fiber_switch\n");

static void go(place *from, place *to) {
    fiber_switch(from, *to);
}
#endif

void fiber_enter(int i) {
    struct fiber *f = &all.fibers[i];
    void *fake_stack = NULL;
    all.now = f;
    all.home_tsan = f->tsan != NULL ? tsan_self() : NULL;
    tsan_become(f->tsan);
    if (asan()) {
        __sanitizer_start_switch_fiber(&fake_stack, f->stack, STACK);
    }
    go(&all.home, &f->at);
    if (asan()) {
        __sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
    }
    all.now = NULL;
}

void fiber_leave(bool for_good) {
    struct fiber *f = all.now;
    tsan_become(all.home_tsan);
    if (asan()) {
        __sanitizer_start_switch_fiber(for_good ? NULL : &f->fake_stack, all.home_stack,
                                       all.home_size);
    }
    go(&f->at, &all.home);
    if (asan()) {
        __sanitizer_finish_switch_fiber(f->fake_stack, &all.home_stack, &all.home_size);
    }
}

static void begin(void) {
    if (asan()) {
        __sanitizer_finish_switch_fiber(NULL, &all.home_stack, &all.home_size);
    }
    all.now->body();
    fiber_leave(true);
}

/* ---- Stacks ---------------------------------------------------------------------------------- */

static char *new_stack(void) {
    void *whole =
        mmap(NULL, GUARD + STACK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (whole == MAP_FAILED || mprotect((char *)whole + GUARD, STACK, PROT_READ | PROT_WRITE)) {
        perror("stacks of a GPU's threads");
        abort();
    }
    return (char *)whole + GUARD;
}

void fibers_choose(int pool, int count) {
    pool = tsan() ? pool : FIBERS_OF_CALLER;
    struct fiber **chosen = &all.pools[1 + pool];
    if (*chosen == NULL) {
        *chosen = (struct fiber *)calloc(MOST_FIBERS, sizeof **chosen);
    }
    all.fibers = *chosen;
    for (int i = 0; i < count; i++) {
        if (all.fibers[i].stack == NULL) {
            all.fibers[i].stack = new_stack();
            all.fibers[i].tsan = pool != FIBERS_OF_CALLER ? tsan_create() : NULL;
        }
    }
}

void fiber_start(int i, void (*body)(void)) {
    struct fiber *f = &all.fibers[i];
    f->body = body;
#ifdef FIBERS_UCONTEXT
    getcontext(&f->at);
    f->at.uc_stack.ss_sp = f->stack;
    f->at.uc_stack.ss_size = STACK;
    f->at.uc_link = NULL;
    makecontext(&f->at, begin, 0);
#else
    /* As after a call, 8 bytes off 16. They begin in different lines of a cache. */
    void **top = (void **)(f->stack + STACK - (size_t)(i % 32) * 128) - 2;
    top[0] = (void *)begin;
    top[1] = NULL;
    memset(top - 6, 0, 6 * sizeof *top);
    f->at = top - 6;
#endif
}
