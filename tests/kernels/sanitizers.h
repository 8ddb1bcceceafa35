/* sanitizers.h - what sanitizers want to hear about threads and memory of a GPU that is emulated.
 * The sources of the emulator are the same in each build: where a program has no such sanitizer,
 * its functions are not there, and nothing is told. */
#ifndef OCC_TESTS_KERNELS_SANITIZERS_H
#define OCC_TESTS_KERNELS_SANITIZERS_H

#include <stddef.h>

extern "C" {
#define WEAK __attribute__((weak))
WEAK void __asan_poison_memory_region(void const volatile *at, size_t size);
WEAK void __asan_unpoison_memory_region(void const volatile *at, size_t size);
WEAK void __sanitizer_start_switch_fiber(void **fake, const void *stack, size_t size);
WEAK void __sanitizer_finish_switch_fiber(void *fake, const void **stack, size_t *size);
WEAK void *__tsan_get_current_fiber(void);
WEAK void *__tsan_create_fiber(unsigned flags);
WEAK void __tsan_destroy_fiber(void *fiber);
WEAK void __tsan_switch_to_fiber(void *fiber, unsigned flags);
WEAK void __tsan_acquire(void *at);
WEAK void __tsan_release(void *at);
WEAK void __tsan_read_range(void *at, long size);
WEAK void __tsan_write_range(void *at, long size);
#undef WEAK
}

static inline bool asan(void) {
    return __asan_poison_memory_region != NULL;
}

static inline bool tsan(void) {
    return __tsan_create_fiber != NULL;
}

/* Who may not be touched, and who may again. */
static inline void asan_hide(const void *at, size_t size) {
    if (asan()) {
        __asan_poison_memory_region(at, size);
    }
}

static inline void asan_show(const void *at, size_t size) {
    if (asan()) {
        __asan_unpoison_memory_region(at, size);
    }
}

/* What was done before a release of `at` is seen by who acquires it later. */
static inline void tsan_release(void *at) {
    if (tsan()) {
        __tsan_release(at);
    }
}

static inline void tsan_acquire(void *at) {
    if (tsan()) {
        __tsan_acquire(at);
    }
}

/* What the emulator does to memory for a kernel's thread, as if the kernel did it. */
static inline void tsan_reads(const void *at, size_t size) {
    if (tsan()) {
        __tsan_read_range((void *)at, (long)size);
    }
}

static inline void tsan_writes(void *at, size_t size) {
    if (tsan()) {
        __tsan_write_range(at, (long)size);
    }
}

/* Goes on as another thread, to which nothing is ordered by that alone; NULL: as the same. */
static inline void tsan_become(void *fiber) {
    if (tsan() && fiber != NULL) {
        __tsan_switch_to_fiber(fiber, 1 /* __tsan_switch_to_fiber_no_sync */);
    }
}

static inline void *tsan_self(void) {
    return tsan() ? __tsan_get_current_fiber() : NULL;
}

static inline void *tsan_create(void) {
    return tsan() ? __tsan_create_fiber(0) : NULL;
}

static inline void tsan_destroy(void *fiber) {
    if (tsan() && fiber != NULL) {
        __tsan_destroy_fiber(fiber);
    }
}

#endif
