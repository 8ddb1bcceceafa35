/* cuda_runtime.h - stands in for CUDA's header where .cu files are compiled for a processor: a GPU
 * in slow motion that looks for mistakes.
 *
 * A block of threads is a set of fibers, one block after another on the thread that launches; a
 * fiber runs until it meets a barrier or a shuffle. In which order they run is OCC_GPU_ORDER:
 * "forward", "reverse" or a number, the seed of a new order for each round (default 1).
 *
 * Found: reads of shared or global memory that nobody wrote (poisoned with NaN), and, with
 * AddressSanitizer, those beyond it; a barrier that is missing, wherever the order of threads then
 * matters, and, with ThreadSanitizer, wherever two threads touch one place; barriers that threads
 * of a block meet at different lines, or not at all; shuffles of lanes that are not there.
 *
 * Not found: what depends on a GPU's timing, on its caches or on how far it rounds. Products of
 * tensor cores are computed as the PTX manual says that fragments lie. */
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
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned x, y;
};
static inline float4 make_float4(float x, float y, float z, float w) {
    return {x, y, z, w};
}
static inline float2 make_float2(float x, float y) {
    return {x, y};
}
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) {
    return {x, y, z, w};
}
static inline uint2 make_uint2(unsigned x, unsigned y) {
    return {x, y};
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
#define __syncthreads() gpu_block_barrier(__FILE__, __LINE__)
#define __syncwarp(...) gpu_warp_barrier(0xFFFFFFFFu, __FILE__, __LINE__)

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
/* width: lanes that shuffle among themselves. */
static inline int gpu_segment(int width) {
    return gpu_lane() / width * width;
}
template <class T>
static inline T gpu_shuffle_down(unsigned mask, T v, unsigned by, int width, const char *f, int l) {
    int from = gpu_lane() + (int)by;
    return gpu_shuffle(mask, v, from < gpu_segment(width) + width ? from : gpu_lane(), f, l);
}
template <class T>
static inline T gpu_shuffle_up(unsigned mask, T v, unsigned by, int width, const char *f, int l) {
    int from = gpu_lane() - (int)by;
    return gpu_shuffle(mask, v, from >= gpu_segment(width) ? from : gpu_lane(), f, l);
}
#define __shfl_xor_sync(mask, value, by)                                                           \
    gpu_shuffle((mask), (value), gpu_lane() ^ (int)(by), __FILE__, __LINE__)
#define __shfl_sync(mask, value, from)                                                             \
    gpu_shuffle((mask), (value), (int)(from)&31, __FILE__, __LINE__)
#define __shfl_down_sync(mask, value, by)                                                          \
    gpu_shuffle_down((mask), (value), (by), 32, __FILE__, __LINE__)
#define __shfl_up_sync(mask, value, by)                                                            \
    gpu_shuffle_up((mask), (value), (by), 32, __FILE__, __LINE__)
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
static inline void __threadfence(void) {
}

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

void gpu_launch(const char *name, dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
                void (*run)(void *kernel), void *kernel);
template <class kernel>
static inline void gpu_launch_kernel(const char *name, dim3 grid, dim3 block, size_t shared_bytes,
                                     cudaStream_t stream, kernel k) {
    gpu_launch(
        name, grid, block, shared_bytes, stream, [](void *it) { (*(kernel *)it)(); }, &k);
}
#define GPU_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                 \
    gpu_launch_kernel(#kernel, dim3(grid), dim3(block), (shared_bytes), (stream),                  \
                      [=] { kernel(__VA_ARGS__); })

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
enum cudaMemPoolAttr { cudaMemPoolAttrReleaseThreshold = 4 };
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
}
template <class T>
static inline cudaError_t cudaFuncSetAttribute(T *kernel, enum cudaFuncAttribute attribute,
                                               int value) {
    (void)kernel;
    (void)attribute;
    (void)value;
    return cudaSuccess;
}

#include "tests/kernels/tensor_cores.h"

#endif
