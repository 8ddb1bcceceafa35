/* level.c - which level a process uses. */
#define _DEFAULT_SOURCE /* syscall */
#include "compress/cpu/level.h"

#include <stdlib.h>
#include <string.h>

static bool always(void) {
    return true;
}

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

static bool has_avx512bf16(void) {
    return has_avx512() && __builtin_cpu_supports("avx512bf16");
}

/* Linux hands out the tile registers on request: arch_prctl(ARCH_REQ_XCOMP_PERM, XTILEDATA), for
 * all threads of a process. */
static bool has_amx(void) {
    unsigned a, b, c, d, bf16 = 1u << 22, tiles = 1u << 24;
    return has_avx512bf16() && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
           (d & (bf16 | tiles)) == (bf16 | tiles) && syscall(SYS_arch_prctl, 0x1023, 18) == 0;
}
#endif

/* The best first. */
static const struct {
    const struct level *level;
    bool (*there)(void);
} LEVELS[] = {
#if defined(__x86_64__)
    {&LEVEL_AMX, has_amx},       {&LEVEL_AVX512BF16, has_avx512bf16},
    {&LEVEL_AVX512, has_avx512}, {&LEVEL_AVX2, has_avx2},
#endif
    {&LEVEL_PORTABLE, always},
};
enum { LEVEL_COUNT = sizeof LEVELS / sizeof *LEVELS };

const struct level *level_choose(struct error *e) {
    const char *wanted = getenv("OCC_CPU");
    for (int i = 0; i < LEVEL_COUNT; i++) {
        const struct level *level = LEVELS[i].level;
        bool named = wanted != NULL && strcmp(wanted, level->name) == 0;
        if ((wanted == NULL || named) && LEVELS[i].there()) {
            return level;
        }
        if (named) {
            error_set(e, ERR_UNSUPPORTED, "OCC_CPU=%s: this processor has no %s", wanted, wanted);
            return NULL;
        }
    }
    error_set(e, ERR_UNSUPPORTED,
              "OCC_CPU=%s: the levels are amx, avx512bf16, avx512, avx2, portable",
              wanted != NULL ? wanted : "");
    return NULL;
}
