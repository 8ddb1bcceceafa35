/* where.c - see where.h: a timer of the process's processor time interrupts it, and the place that
 * was interrupted counts. Places are looked up at the end: code that oneDNN made lies in no file,
 * functions of the program are found in its table of symbols. */
#define _GNU_SOURCE
#include "tests/bench/where.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

enum { MOST = 1 << 18, EVERY_US = 1000 };

static uintptr_t places[MOST];
static atomic_int place_count;

static void note(int signal, siginfo_t *info, void *context) {
    const ucontext_t *c = context;
    (void)signal;
    (void)info;
    int i = atomic_fetch_add(&place_count, 1);
    if (i < MOST) {
#if defined(__x86_64__)
        places[i] = (uintptr_t)c->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
        places[i] = (uintptr_t)c->uc_mcontext.pc;
#else
        (void)c;
#endif
    }
}

void where_start(void) {
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_RESTART};
    const struct itimerval every = {{0, EVERY_US}, {0, EVERY_US}};
    sigaction(SIGPROF, &action, NULL);
    setitimer(ITIMER_PROF, &every, NULL);
}

void where_stop(void) {
    const struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_PROF, &never, NULL);
}

/* ---- The program's functions ------------------------------------------------------------------
 */

struct symbols {
    const Elf64_Sym *list;
    size_t count;
    const char *names;
    uintptr_t base; /* where the program lies */
};

static int find_base(struct dl_phdr_info *info, size_t size, void *base) {
    (void)size;
    *(uintptr_t *)base = info->dlpi_addr;
    return 1; /* the program comes first */
}

static struct symbols read_symbols(void) {
    struct symbols s = {.list = NULL};
    struct stat status;
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    const char *image = MAP_FAILED;
    if (file >= 0 && fstat(file, &status) == 0) {
        image = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    }
    if (image == MAP_FAILED) {
        return s;
    }
    const Elf64_Ehdr *header = (const void *)image;
    const Elf64_Shdr *sections = (const void *)(image + header->e_shoff);
    for (int i = 0; i < header->e_shnum; i++) {
        if (sections[i].sh_type == SHT_SYMTAB) {
            s.list = (const void *)(image + sections[i].sh_offset);
            s.count = sections[i].sh_size / sizeof *s.list;
            s.names = image + sections[sections[i].sh_link].sh_offset;
        }
    }
    dl_iterate_phdr(find_base, &s.base);
    return s; /* the file stays mapped until the program ends */
}

/* The function at `place` and the file that it is of; false: none. */
static bool find(const struct symbols *s, uintptr_t place, const char **name, const char **file) {
    const char *current = "";
    for (size_t i = 0; i < s->count; i++) {
        const Elf64_Sym *symbol = &s->list[i];
        if (ELF64_ST_TYPE(symbol->st_info) == STT_FILE) {
            current = s->names + symbol->st_name;
        } else if (ELF64_ST_TYPE(symbol->st_info) == STT_FUNC &&
                   place - s->base - symbol->st_value < symbol->st_size) {
            *name = s->names + symbol->st_name;
            *file = ELF64_ST_BIND(symbol->st_info) == STB_LOCAL ? current : "";
            return true;
        }
    }
    return false;
}

/* ---- What they do -----------------------------------------------------------------------------
 */

/* The first row that fits: a function whose name begins so, in a file whose name begins so. The
 * kernels of a level of instructions are one file (compress/cpu/level_body.h); those that are not
 * named here are attention's. */
static const struct {
    const char *file, *name, *share;
} ROWS[] = {
    {"", "product_run", "products"},
    {"", "gemm_", "products"},
    {"", "to_bf16", "conversions"},
    {"", "from_bf16", "conversions"},
    {"", "dtype_", "conversions"},
    {"", "gelu", "activations"},
    {"", "quick_gelu", "activations"},
    {"", "silu", "activations"},
    {"", "swiglu", "activations"},
    {"", "layer_norm", "norms"},
    {"", "rms_norm", "norms"},
    {"", "norm_sums", "norms"},
    {"", "cross_entropy", "losses"},
    {"", "softmax", "losses"},
    {"", "adamw", "optimizer"},
    {"", "square_sum", "optimizer"},
    {"optimizer.c", "", "optimizer"},
    {"", "accumulate", "sums"},
    {"", "add", "sums"},
    {"", "combine", "sums"},
    {"", "multiply", "sums"},
    {"level_", "", "attention"},
    {"", "cpu_im2col", "moving"},
    {"im2col.c", "", "moving"},
    {"", "patch_gather", "moving"},
    {"", "cpu_gather", "moving"},
    {"", "cpu_scatter_add", "moving"},
    {"copy.c", "", "moving"},
    {"strided.c", "", "moving"},
    {"", "strided_each", "moving"},
};
static const char *const SHARES[] = {"products",    "attention", "norms",  "activations",
                                     "conversions", "sums",      "moving", "losses",
                                     "optimizer",   "rest"};
enum { SHARE_COUNT = sizeof SHARES / sizeof *SHARES };

static const char *share_of(const struct symbols *s, uintptr_t place) {
    const char *name, *file;
    Dl_info object;
    if (find(s, place, &name, &file)) {
        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
            if (strncmp(name, ROWS[i].name, strlen(ROWS[i].name)) == 0 &&
                strncmp(file, ROWS[i].file, strlen(ROWS[i].file)) == 0) {
                return ROWS[i].share;
            }
        }
        return "rest";
    }
    union {
        uintptr_t place;
        void *address;
    } of = {.place = place};
    if (dladdr(of.address, &object) == 0 || strstr(object.dli_fname, "dnnl") != NULL) {
        return "products"; /* made at run time, or oneDNN's own */
    }
    /* memcpy and memset, but for a few calls of the system */
    return strstr(object.dli_fname, "libc.so") != NULL ? "moving" : "rest";
}

void where_print(FILE *out) {
    const struct symbols s = read_symbols();
    int counts[SHARE_COUNT] = {0}, all = atomic_load(&place_count);
    all = all < MOST ? all : MOST;
    for (int i = 0; i < all; i++) {
        const char *share = share_of(&s, places[i]);
        for (int k = 0; k < SHARE_COUNT; k++) {
            counts[k] += strcmp(share, SHARES[k]) == 0;
        }
    }
    for (int k = 0; k < SHARE_COUNT; k++) {
        fprintf(out, "%s\"%s\": %.3f", k == 0 ? "{" : ", ", SHARES[k],
                all > 0 ? (double)counts[k] / all : 0);
    }
    fprintf(out, "}");
    atomic_store(&place_count, 0);
}
