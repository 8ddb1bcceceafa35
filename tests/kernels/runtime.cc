/* runtime.cc - of CUDA's runtime: devices, errors, launches. See emulator.h. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/kernels/emulator.h"
#include "tests/kernels/sanitizers.h"

enum { MOST_KERNELS = 512, MOST_THREADS = 1024, EXIT_LEAK = 23 };

static thread_local cudaError_t last = cudaSuccess;
static thread_local int device_now;

static struct {
    const void *kernel;
    int device, bytes;
} allowed[MOST_KERNELS]; /* more shared memory than goes without saying */

/* ---- One at a time ------------------------------------------------------------------- */

static pthread_mutex_t lock;
static pthread_once_t lock_made = PTHREAD_ONCE_INIT;

static void make_lock(void) {
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&lock, &kind);
    pthread_mutexattr_destroy(&kind);
}

locked::locked() {
    pthread_once(&lock_made, make_lock);
    pthread_mutex_lock(&lock);
}

locked::~locked() {
    pthread_mutex_unlock(&lock);
}

/* ---- Order --------------------------------------------------------------------------- */

static struct {
    uint64_t asked; /* OCC_GPU_ORDER as it was: a hash, by which nobody else's memory is read */
    uint64_t random;
} chance;

enum order gpu_order(void) {
    const char *asked = getenv("OCC_GPU_ORDER");
    uint64_t hash = 5381;
    asked = asked != NULL ? asked : "1";
    for (const char *at = asked; *at != '\0'; at++) {
        hash = hash * 33 + (unsigned char)*at;
    }
    if (hash != chance.asked) {
        chance.asked = hash;
        chance.random = strtoull(asked, NULL, 10);
    }
    return strcmp(asked, "forward") == 0   ? FORWARD
           : strcmp(asked, "reverse") == 0 ? REVERSE
                                           : RANDOM;
}

uint64_t gpu_random(uint64_t count) {
    chance.random = chance.random * 6364136223846793005u + 1442695040888963407u;
    return (chance.random >> 33) % count;
}

/* ---- Errors -------------------------------------------------------------------------- */

[[noreturn]] void gpu_refuse(const char *call, const char *what) {
    fprintf(stderr, "%s: %s\n", call, what);
    abort();
}

cudaError_t gpu_told(cudaError_t code) {
    last = code != cudaSuccess ? code : last;
    return code;
}

cudaError_t cudaGetLastError(void) {
    cudaError_t code = last;
    last = cudaSuccess;
    return code;
}

const char *cudaGetErrorString(cudaError_t error) {
    return error == cudaErrorMemoryAllocation ? "out of memory"
           : error == cudaErrorInvalidDevice  ? "invalid device ordinal"
           : error == cudaErrorNoDevice       ? "no CUDA-capable device is detected"
                                              : "invalid argument";
}

/* ---- Devices ------------------------------------------------------------------------- */

uint64_t gpu_setting(const char *name, uint64_t otherwise) {
    const char *asked = getenv(name);
    return asked != NULL && *asked != '\0' ? strtoull(asked, NULL, 10) : otherwise;
}

int gpu_device(void) {
    return device_now;
}

int gpu_device_count(void) {
    const uint64_t count = gpu_setting("OCC_GPU_COUNT", 1);
    return count < MOST_DEVICES ? (int)count : MOST_DEVICES;
}

size_t gpu_most_shared(void) {
    return gpu_setting("OCC_GPU_SHARED", 227 * 1024);
}

cudaError_t cudaGetDeviceCount(int *count) {
    *count = gpu_device_count();
    return *count > 0 ? cudaSuccess : gpu_told(cudaErrorNoDevice);
}

cudaError_t cudaSetDevice(int device) {
    if (device < 0 || device >= gpu_device_count()) {
        return gpu_told(cudaErrorInvalidDevice);
    }
    device_now = device;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device) {
    *device = device_now;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
    if (device < 0 || device >= gpu_device_count()) {
        return gpu_told(cudaErrorInvalidDevice);
    }
    *value = attribute == cudaDevAttrMultiProcessorCount      ? 2
             : attribute == cudaDevAttrComputeCapabilityMajor ? 9
                                                              : (int)gpu_most_shared();
    return cudaSuccess;
}

/* ---- Launches ------------------------------------------------------------------------ */

cudaError_t gpu_allow_shared(const void *kernel, int bytes) {
    struct locked l;
    if (bytes < 0 || (size_t)bytes > gpu_most_shared()) {
        return gpu_told(cudaErrorInvalidValue);
    }
    int i = 0;
    while (allowed[i].kernel != NULL &&
           (allowed[i].kernel != kernel || allowed[i].device != device_now)) {
        if (++i == MOST_KERNELS) {
            gpu_refuse("cudaFuncSetAttribute", "more kernels than the emulator knows");
        }
    }
    allowed[i] = {kernel, device_now, bytes};
    return cudaSuccess;
}

static size_t most_shared_of(const void *kernel, int device) {
    for (int i = 0; i < MOST_KERNELS && allowed[i].kernel != NULL; i++) {
        if (allowed[i].kernel == kernel && allowed[i].device == device &&
            allowed[i].bytes > SHARED_UNASKED) {
            return (size_t)allowed[i].bytes;
        }
    }
    return SHARED_UNASKED;
}

static void run_launch(void *state) {
    struct launch l = *(const struct launch *)state;
    l.kernel = (char *)state + (sizeof l + 15) / 16 * 16;
    blocks_run(&l);
}

void gpu_launch(const char *name, const void *kernel, dim3 grid, dim3 block, size_t shared_bytes,
                cudaStream_t stream, void (*run)(void *closure), const void *closure,
                size_t bytes) {
    struct locked l;
    struct gpu_stream *s = stream_of(stream, name);
    const uint64_t threads = (uint64_t)block.x * block.y * block.z;
    if (threads == 0 || threads > MOST_THREADS || block.z > 64 || grid.x == 0 || grid.y == 0 ||
        grid.z == 0 || grid.x > INT32_MAX || grid.y > 65535 || grid.z > 65535) {
        gpu_refuse(name, "a grid or a block that no GPU takes");
    }
    if (shared_bytes > most_shared_of(kernel, s->device)) {
        gpu_refuse(name, "more shared memory than cudaFuncSetAttribute allowed the kernel");
    }
    if (s->device != device_now) {
        gpu_refuse(name, "a launch on a stream of another GPU than the thread's");
    }
    memory_use_words(s, closure, bytes, name);
    const struct launch head = {name, grid, block, shared_bytes, run, NULL, s->slot};
    const size_t before = (sizeof head + 15) / 16 * 16;
    char *state = (char *)malloc(before + bytes);
    memcpy(state, &head, sizeof head);
    memcpy(state + before, closure, bytes);
    stream_ask(s, run_launch, state, before + bytes);
    free(state);
}

void gpu_ask(const char *name, cudaStream_t stream, void (*run)(void *closure), const void *closure,
             size_t bytes) {
    struct locked l;
    struct gpu_stream *s = stream_of(stream, name);
    memory_use_words(s, closure, bytes, name);
    stream_ask(s, run, closure, bytes);
}

/* ---- The end ------------------------------------------------------------------------- */

/* As LeakSanitizer does, which sees only that somebody still knows the way to them. */
__attribute__((destructor)) static void report_leaks(void) {
    const int memories = memory_left(), handles = streams_left();
    if (asan() && memories + handles > 0) {
        fprintf(stderr, "GPU: %d allocations, %d streams and events were not given back\n",
                memories, handles);
        _exit(EXIT_LEAK);
    }
}
