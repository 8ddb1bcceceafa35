/* fail_io.c - a library to preload: the N-th call that could fail does fail.
 *
 *     FAIL_IO=KIND:N LD_PRELOAD=libfail_io.so program ...
 *
 * KIND: malloc (also calloc, realloc, aligned_alloc; ENOMEM), write (also pwrite, writev, pwritev;
 * ENOSPC), fsync (also fdatasync; EIO), rename (EIO), open (EMFILE, of files to be written), mmap
 * (ENOMEM). Memory that oneDNN, libstdc++, libgomp or libarchive (3.6, in archive_read_open1 and
 * archive_entry_set_dev) asks for is left out: where they get none they end the process
 * (std::bad_alloc) or crash. FAIL_IO_COUNT=FILE: writes there how many calls there were, at the
 * end. Calls count from the program's main on: what the loader does is its own affair. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls;
static long failing; /* 0: none */
static char kind[16];
static atomic_bool counting;

static void *next(const char *name) {
    return dlsym(RTLD_NEXT, name);
}

/* Whether this call is the one. */
static bool fails(const char *of) {
    if (!atomic_load(&counting) || strcmp(kind, of) != 0) {
        return false;
    }
    return atomic_fetch_add(&calls, 1) + 1 == failing;
}

static void at_end(void) {
    const char *path = getenv("FAIL_IO_COUNT");
    atomic_store(&counting, false);
    FILE *file = path != NULL ? fopen(path, "w") : NULL;
    if (file != NULL) {
        fprintf(file, "%ld\n", atomic_load(&calls));
        fclose(file);
    }
}

__attribute__((constructor)) static void begin(void) {
    const char *what = getenv("FAIL_IO");
    const char *colon = what != NULL ? strchr(what, ':') : NULL;
    if (colon == NULL || (size_t)(colon - what) >= sizeof kind) {
        return;
    }
    memcpy(kind, what, (size_t)(colon - what));
    failing = strtol(colon + 1, NULL, 10);
    atexit(at_end);
}

typedef int main_function(int count, char **arguments, char **environment);
static main_function *program;

static int counted(int count, char **arguments, char **environment) {
    atomic_store(&counting, kind[0] != '\0');
    return program(count, arguments, environment);
}

/* What calls main, and before that the program's own constructors: CUDA's runtime, where it is
 * linked, does not survive a lack of memory in its. */
int __libc_start_main(main_function *main, int count, char **arguments, void (*init)(void),
                      void (*fini)(void), void (*loader_fini)(void), void *stack_end);
int __libc_start_main(main_function *main, int count, char **arguments, void (*init)(void),
                      void (*fini)(void), void (*loader_fini)(void), void *stack_end) {
    __typeof__(__libc_start_main) *real = next("__libc_start_main");
    program = main;
    return real(counted, count, arguments, init, fini, loader_fini, stack_end);
}

/* ---- Memory: glibc's own names, because dlsym itself allocates ---------------------------- */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

/* Whether the call is that of a library that cannot do without. */
static bool is_left_out(void *caller) {
    Dl_info info;
    if (!atomic_load(&counting) || strcmp(kind, "malloc") != 0 || dladdr(caller, &info) == 0 ||
        info.dli_fname == NULL) {
        return false;
    }
    return strstr(info.dli_fname, "libdnnl") != NULL ||
           strstr(info.dli_fname, "libstdc++") != NULL ||
           strstr(info.dli_fname, "libgomp") != NULL ||
           strstr(info.dli_fname, "libarchive") != NULL;
}

#define NO_MEMORY_NOW() (!is_left_out(__builtin_return_address(0)) && fails("malloc"))

static void *no_memory(void) {
    errno = ENOMEM;
    return NULL;
}

void *malloc(size_t size) {
    return NO_MEMORY_NOW() ? no_memory() : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return NO_MEMORY_NOW() ? no_memory() : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    return NO_MEMORY_NOW() ? no_memory() : __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return NO_MEMORY_NOW() ? no_memory() : __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
    *out = NO_MEMORY_NOW() ? NULL : __libc_memalign(alignment, size);
    return *out != NULL ? 0 : ENOMEM;
}

/* ---- Files --------------------------------------------------------------------------------- */

ssize_t write(int fd, const void *data, size_t size) {
    static ssize_t (*real)(int, const void *, size_t);
    if (real == NULL) {
        real = next("write");
    }
    if (fd > 2 && fails("write")) {
        errno = ENOSPC;
        return -1;
    }
    return real(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (real == NULL) {
        real = next("pwrite");
    }
    if (fails("write")) {
        errno = ENOSPC;
        return -1;
    }
    return real(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    return pwrite(fd, data, size, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    static ssize_t (*real)(int, const struct iovec *, int);
    if (real == NULL) {
        real = next("writev");
    }
    if (fails("write")) {
        errno = ENOSPC;
        return -1;
    }
    return real(fd, parts, count);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    static ssize_t (*real)(int, const struct iovec *, int, off_t);
    if (real == NULL) {
        real = next("pwritev");
    }
    if (fails("write")) {
        errno = ENOSPC;
        return -1;
    }
    return real(fd, parts, count, at);
}

static int sync_call(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))next(name);
    if (fails("fsync")) {
        errno = EIO;
        return -1;
    }
    return real(fd);
}

int fsync(int fd) {
    return sync_call("fsync", fd);
}

int fdatasync(int fd) {
    return sync_call("fdatasync", fd);
}

int rename(const char *from, const char *to) {
    int (*real)(const char *, const char *) = (int (*)(const char *, const char *))next("rename");
    if (fails("rename")) {
        errno = EIO;
        return -1;
    }
    return real(from, to);
}

int open(const char *path, int flags, ...) {
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))next("open");
    mode_t mode = 0;
    if ((flags & O_CREAT) != 0) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    if ((flags & (O_CREAT | O_WRONLY | O_RDWR)) != 0 && fails("open")) {
        errno = EMFILE;
        return -1;
    }
    return real(path, flags, mode);
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
    static void *(*real)(void *, size_t, int, int, int, off_t);
    if (real == NULL) {
        real = next("mmap");
    }
    if (fd >= 0 && fails("mmap")) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return real(at, size, protection, flags, fd, offset);
}
