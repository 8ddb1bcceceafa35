/* cuda_runtime.h - stands in for CUDA's header where .cu files are compiled for a processor: a GPU
 * in slow motion that looks for mistakes. README.md says which it finds.
 *
 * A block of threads is a set of fibers, one block after another; a fiber runs until it meets a
 * barrier or a shuffle. Streams are queues: what they are asked is done when the host waits for it.
 * In which order is OCC_GPU_ORDER: "forward", "reverse" or a number, the seed of a new order for
 * each round (default 1).
 *
 * OCC_GPU_STREAMS=eager: all is done when it is asked for. OCC_GPU_COUNT: GPUs (1).
 * OCC_GPU_MEMORY: bytes of each (8 GiB). OCC_GPU_SHARED: bytes of shared memory that a block may
 * ask for (227 KiB). OCC_GPU_FAIL_ALLOC=N: the Nth allocation from now on fails. */
#ifndef OCC_TESTS_KERNELS_CUDA_RUNTIME_H
#define OCC_TESTS_KERNELS_CUDA_RUNTIME_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ---- Words ----------------------------------------------------------------------------------- */

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __align__(bytes) __attribute__((aligned(bytes)))

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {
    }
};
/* The last member of a vector, without a size: copies are calls by it, and UBSan looks at the
 * addresses of those alone. */
struct gpu_copied {
    gpu_copied() = default;
    gpu_copied(const gpu_copied &) {
    }
    gpu_copied &operator=(gpu_copied) { /* a copy, so that there is nothing to protect */
        return *this;
    }
};
struct alignas(16) float4 {
    float x, y, z, w;
    [[no_unique_address]] gpu_copied copied;
};
struct alignas(8) float2 {
    float x, y;
    [[no_unique_address]] gpu_copied copied;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
    [[no_unique_address]] gpu_copied copied;
};
struct alignas(8) uint2 {
    unsigned x, y;
    [[no_unique_address]] gpu_copied copied;
};
static_assert(sizeof(float4) == 16 && sizeof(uint2) == 8, "vectors are their numbers");
static inline float4 make_float4(float x, float y, float z, float w) {
    return {x, y, z, w, {}};
}
static inline float2 make_float2(float x, float y) {
    return {x, y, {}};
}
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) {
    return {x, y, z, w, {}};
}
static inline uint2 make_uint2(unsigned x, unsigned y) {
    return {x, y, {}};
}

/* ---- Threads --------------------------------------------------------------------------------- */

struct gpu_thread {
    uint3 thread, block;
    dim3 grid, threads;
    int lane;
};
extern struct gpu_thread *gpu_now; /* that runs */

#define threadIdx (gpu_now->thread)
#define blockIdx (gpu_now->block)
#define blockDim (gpu_now->threads)
#define gridDim (gpu_now->grid)

/* Each waits for its block, or for the lanes of `mask`. */
void gpu_block_barrier(const char *file, int line);
void gpu_warp_barrier(unsigned mask, const char *file, int line);
static inline unsigned gpu_mask(unsigned mask = 0xFFFFFFFFu) {
    return mask;
}
#define __syncthreads() gpu_block_barrier(__FILE__, __LINE__)
#define __syncwarp(...) gpu_warp_barrier(gpu_mask(__VA_ARGS__), __FILE__, __LINE__)

/* A barrier after which each thread knows for how many of the block `mine` is true. */
int gpu_block_count(bool mine, const char *file, int line);
#define __syncthreads_count(x) gpu_block_count((x), __FILE__, __LINE__)
#define __syncthreads_or(x) (gpu_block_count((x), __FILE__, __LINE__) != 0)
#define __syncthreads_and(x) (gpu_block_count(!(x), __FILE__, __LINE__) == 0)

/* The same, but memory is not ordered by it: for what lanes do together that is no barrier, as
 * shuffles and products of tensor cores are not. */
void gpu_warp_meet(unsigned mask, const char *file, int line);
/* The 4 or 8 bytes that each lane of `mask` gives become readable to all of them. */
const uint64_t *gpu_exchange(unsigned mask, uint64_t mine, const char *file, int line);
[[noreturn]] void gpu_fail(const char *what, const char *file, int line);

template <class T>
static inline T gpu_shuffle(unsigned mask, T value, int from, const char *file, int line) {
    static_assert(sizeof(T) <= sizeof(uint64_t), "shuffles move 4 or 8 bytes");
    uint64_t word = 0;
    memcpy(&word, &value, sizeof value);
    const uint64_t *words = gpu_exchange(mask, word, file, line);
    if (from < 0 || from > 31 || (mask >> from & 1) == 0) {
        gpu_fail("a shuffle from a lane that takes no part", file, line);
    }
    memcpy(&value, &words[from], sizeof value);
    return value;
}
static inline int gpu_lane(void) {
    return gpu_now->lane;
}
/* width: lanes that shuffle among themselves, a power of 2. */
static inline int gpu_segment(int width) {
    return gpu_lane() / width * width;
}
template <class T>
static inline T gpu_shuffle_at(unsigned mask, T v, int from, const char *f, int l, int width = 32) {
    return gpu_shuffle(mask, v, gpu_segment(width) + (from & (width - 1)), f, l);
}
template <class T>
static inline T gpu_shuffle_xor(unsigned mask, T v, int by, const char *f, int l, int width = 32) {
    int from = gpu_lane() ^ by;
    return gpu_shuffle(mask, v, from < gpu_segment(width) + width ? from : gpu_lane(), f, l);
}
template <class T>
static inline T gpu_shuffle_down(unsigned mask, T v, unsigned by, const char *f, int l,
                                 int width = 32) {
    int from = gpu_lane() + (int)by;
    return gpu_shuffle(mask, v, from < gpu_segment(width) + width ? from : gpu_lane(), f, l);
}
template <class T>
static inline T gpu_shuffle_up(unsigned mask, T v, unsigned by, const char *f, int l,
                               int width = 32) {
    int from = gpu_lane() - (int)by;
    return gpu_shuffle(mask, v, from >= gpu_segment(width) ? from : gpu_lane(), f, l);
}
/* The last argument may be a width. */
#define __shfl_sync(mask, value, from, ...)                                                        \
    gpu_shuffle_at((mask), (value), (int)(from), __FILE__, __LINE__ __VA_OPT__(, ) __VA_ARGS__)
#define __shfl_xor_sync(mask, value, by, ...)                                                      \
    gpu_shuffle_xor((mask), (value), (int)(by), __FILE__, __LINE__ __VA_OPT__(, ) __VA_ARGS__)
#define __shfl_down_sync(mask, value, by, ...)                                                     \
    gpu_shuffle_down((mask), (value), (by), __FILE__, __LINE__ __VA_OPT__(, ) __VA_ARGS__)
#define __shfl_up_sync(mask, value, by, ...)                                                       \
    gpu_shuffle_up((mask), (value), (by), __FILE__, __LINE__ __VA_OPT__(, ) __VA_ARGS__)
static inline unsigned gpu_ballot(unsigned mask, bool mine, const char *file, int line) {
    const uint64_t *words = gpu_exchange(mask, mine, file, line);
    unsigned all = 0;
    for (int i = 0; i < 32; i++) {
        all |= (mask >> i & 1) != 0 && words[i] != 0 ? 1u << i : 0;
    }
    return all;
}
#define __ballot_sync(mask, x) gpu_ballot((mask), (x), __FILE__, __LINE__)
#define __any_sync(mask, x) (gpu_ballot((mask), (x), __FILE__, __LINE__) != 0)
#define __all_sync(mask, x) (gpu_ballot((mask), (x), __FILE__, __LINE__) == (mask))

/* ---- Atomics, arithmetic --------------------------------------------------------------------- */

template <class T> static inline T atomicAdd(T *at, T value) {
    T before = __atomic_load_n(at, __ATOMIC_RELAXED);
    __atomic_store_n(at, (T)(before + value), __ATOMIC_RELAXED);
    return before;
}
static inline float atomicAdd(float *at, float value) {
    uint32_t bits = __atomic_load_n((uint32_t *)at, __ATOMIC_RELAXED);
    float before, after;
    memcpy(&before, &bits, sizeof before);
    after = before + value;
    memcpy(&bits, &after, sizeof bits);
    __atomic_store_n((uint32_t *)at, bits, __ATOMIC_RELAXED);
    return before;
}
template <class T> static inline T atomicMax(T *at, T value) {
    T before = __atomic_load_n(at, __ATOMIC_RELAXED);
    __atomic_store_n(at, before < value ? value : before, __ATOMIC_RELAXED);
    return before;
}
/* What was written before is seen by who passes a fence later. */
void gpu_fence(void);
#define __threadfence() gpu_fence()

static inline float __uint_as_float(unsigned bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static inline unsigned __float_as_uint(float x) {
    unsigned bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
static inline float rsqrtf(float x) {
    return 1 / sqrtf(x);
}
static inline float gpu_expf(float x) {
    return expf(x);
}
static inline float gpu_logf(float x) {
    return logf(x);
}
#define __expf gpu_expf /* glibc has names like these */
#define __logf gpu_logf
static inline float __fdividef(float x, float y) {
    return x / y;
}
static inline void sincospif(float x, float *sine, float *cosine) {
    *sine = (float)sin(3.14159265358979323846 * (double)x);
    *cosine = (float)cos(3.14159265358979323846 * (double)x);
}
static inline int __popc(unsigned x) {
    return __builtin_popcount(x);
}
static inline int __ffs(int x) {
    return __builtin_ffs(x);
}
template <class T> static inline T __ldg(const T *at) {
    return *at;
}

/* ---- Launches -------------------------------------------------------------------------------- */

typedef struct gpu_stream *cudaStream_t;

/* The shared memory of the block that runs. */
void *gpu_shared_memory(void);
#define GPU_SHARED(type, name) type *const name = (type *)gpu_shared_memory()

/* Asks a stream to run a kernel, of whose arguments `closure` has copies. */
void gpu_launch(const char *name, const void *kernel, dim3 grid, dim3 block, size_t shared_bytes,
                cudaStream_t stream, void (*run)(void *closure), const void *closure, size_t bytes);
/* An address that a kernel is given: a GPU's memory, pinned, or NULL. */
void gpu_check_address(const char *name, const void *at);
template <class T> static inline void gpu_check_argument(const char *, const T &) {
}
template <class T> static inline void gpu_check_argument(const char *name, T *const &at) {
    gpu_check_address(name, (const void *)at);
}
template <class T> struct gpu_as_it_is { typedef T type; };
template <class... P>
static inline void gpu_launch_kernel(const char *name, dim3 grid, dim3 block, size_t shared_bytes,
                                     cudaStream_t stream, void (*kernel)(P...),
                                     typename gpu_as_it_is<P>::type... given) {
    (gpu_check_argument(name, given), ...);
    auto closure = [=] { kernel(given...); };
    static_assert(__has_trivial_destructor(decltype(closure)), "arguments are copied as bytes");
    gpu_launch(
        name, (const void *)kernel, grid, block, shared_bytes, stream,
        [](void *it) { (*(decltype(closure) *)it)(); }, &closure, sizeof closure);
}
#define GPU_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                 \
    gpu_launch_kernel(#kernel, dim3(grid), dim3(block), (shared_bytes), (stream),                  \
                      (kernel)__VA_OPT__(, ) __VA_ARGS__)

/* Asks a stream to do what a library does there: `closure` has copies of all it needs. */
void gpu_ask(const char *name, cudaStream_t stream, void (*run)(void *closure), const void *closure,
             size_t bytes);
template <class work>
static inline void gpu_enqueue(const char *name, cudaStream_t stream, work closure) {
    static_assert(__has_trivial_destructor(work), "what it needs is copied as bytes");
    gpu_ask(
        name, stream, [](void *it) { (*(work *)it)(); }, &closure, sizeof closure);
}

/* ---- The runtime: what of it is used --------------------------------------------------------- */

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorInsufficientDriver = 35,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101,
    cudaErrorNotReady = 600
};
enum cudaMemcpyKind {
    cudaMemcpyHostToDevice = 1,
    cudaMemcpyDeviceToHost = 2,
    cudaMemcpyDeviceToDevice = 3
};
enum cudaDeviceAttr {
    cudaDevAttrMultiProcessorCount = 16,
    cudaDevAttrComputeCapabilityMajor = 75,
    cudaDevAttrMaxSharedMemoryPerBlockOptin = 97
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
enum cudaMemPoolAttr {
    cudaMemPoolAttrReleaseThreshold = 4,
    cudaMemPoolAttrReservedMemCurrent = 5,
    cudaMemPoolAttrUsedMemCurrent = 7
};
enum { cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2, cudaHostAllocDefault = 0 };
typedef struct gpu_pool *cudaMemPool_t;
typedef struct gpu_event *cudaEvent_t;

extern "C" {
cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDevice(int *device);
cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device);
cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *all);
cudaError_t cudaGetLastError(void);
const char *cudaGetErrorString(cudaError_t error);
cudaError_t cudaMalloc(void **out, size_t size);
cudaError_t cudaFree(void *data);
cudaError_t cudaMallocAsync(void **out, size_t size, cudaStream_t stream);
cudaError_t cudaFreeAsync(void *data, cudaStream_t stream);
cudaError_t cudaHostAlloc(void **out, size_t size, unsigned flags);
cudaError_t cudaFreeHost(void *data);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, enum cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemsetAsync(void *to, int value, size_t size, cudaStream_t stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t *out, int device);
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr attribute,
                                    void *value);
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr attribute,
                                    void *value);
}
/* Of a kernel on the thread's device. */
cudaError_t gpu_allow_shared(const void *kernel, int bytes);
template <class T>
static inline cudaError_t cudaFuncSetAttribute(T *kernel, enum cudaFuncAttribute attribute,
                                               int value) {
    (void)attribute; /* there is one */
    return gpu_allow_shared((const void *)kernel, value);
}

#include "tests/kernels/tensor_cores.h"

#endif
