/* emulator.h - what the emulator's parts know of each other: gpu_host.cc runs kernels, streams.cc
 * says when, memory.cc knows what lies where, runtime.cc is the rest of CUDA's runtime.
 *
 * One lock holds it together: a thread of the host that waits for a stream runs what is to be run,
 * its own or that of others, while they wait. */
#ifndef OCC_TESTS_KERNELS_EMULATOR_H
#define OCC_TESTS_KERNELS_EMULATOR_H

#include "tests/kernels/cuda_runtime.h"

enum { MOST_DEVICES = 16, MOST_STREAMS = 64, SHARED_UNASKED = 48 * 1024 };

/* Held from here to the end of the scope; by one thread more than once, too. */
struct locked {
    locked();
    ~locked();
};

/* A call that no program should make ends it: what a GPU would do then is up to the GPU. */
[[noreturn]] void gpu_refuse(const char *call, const char *what);
/* Notes an error for cudaGetLastError, and returns it. */
cudaError_t gpu_told(cudaError_t code);

/* A number from the environment; `otherwise` where it is not set. */
uint64_t gpu_setting(const char *name, uint64_t otherwise);
/* The device of the calling thread; how many there are; shared memory that a block may have. */
int gpu_device(void);
int gpu_device_count(void);
size_t gpu_most_shared(void);

/* ---- Order ----------------------------------------------------------------------------------- */

/* From OCC_GPU_ORDER. */
enum order { FORWARD, REVERSE, RANDOM };
enum order gpu_order(void);
/* 0 to count - 1, by chance. */
uint64_t gpu_random(uint64_t count);

/* ---- Kernels --------------------------------------------------------------------------------- */

struct launch {
    const char *name;
    dim3 grid, block;
    size_t shared_bytes;
    void (*run)(void *kernel);
    void *kernel;
    int pool; /* of fibers: one for each stream */
};
void blocks_run(const struct launch *l);

/* ---- Streams --------------------------------------------------------------------------------- */

/* How much of each stream is known to be done, or will be by the time: numbers of work. */
struct clock {
    uint64_t at[MOST_STREAMS];
};

struct gpu_stream {
    struct gpu_stream *next; /* of all */
    struct work *first, **last;
    int device, slot;
    uint64_t asked, done;
    struct clock clock; /* what its next work comes after */
    bool open;
    void *tsan; /* it is a thread to ThreadSanitizer */
};

/* That must be open; NULL is the device's own. */
struct gpu_stream *stream_of(cudaStream_t stream, const char *call);
/* Copies `state` and runs it in the stream's turn: at once where streams are eager. */
void stream_ask(struct gpu_stream *s, void (*run)(void *state), const void *state, size_t bytes);
/* Until all that it was asked is done. */
void stream_wait(struct gpu_stream *s);
/* What all streams of a device were asked. */
void streams_wait(int device);
/* What the host has waited for. */
const struct clock *host_clock(void);
/* Streams and events that are still open. */
int streams_left(void);

/* ---- Memory ---------------------------------------------------------------------------------- */

/* A run of bytes of a GPU, or of the host's that is pinned. */
struct memory {
    char *data;
    size_t size;
    int device; /* -1: the host's */
    bool there; /* its stream has come to its allocation */
    struct clock used;
    int slot; /* of the stream that made it, -1: none; and its work */
    uint64_t number;
};

/* That `at` lies in; NULL: none, so that it is the host's, or nobody's. */
struct memory *memory_of(const void *at);
/* That work which stream `s` is about to be asked uses what the words of `state` point to. */
void memory_use_words(const struct gpu_stream *s, const void *state, size_t bytes,
                      const char *call);
void memory_use(struct memory *m, const struct gpu_stream *s, const char *call);
/* While kernels and copies run they may touch memory of GPUs, and else nobody (AddressSanitizer's
 * poison, of its first pages). */
void memory_show(void);
void memory_hide(void);
/* Lets the pool of a device give back what it need not keep, as a wait does. */
void memory_settle(int device);
/* Allocations that nobody gave back. */
int memory_left(void);

#endif
