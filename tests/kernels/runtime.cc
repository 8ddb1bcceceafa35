/* runtime.cc - CUDA's runtime in memory of the host: see cuda_runtime.h. Everything is done when
 * it is asked for. Memory is poisoned, so that what nobody wrote is NaN. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/kernels/cuda_runtime.h"

struct gpu_stream {
    int unused;
};

static cudaError_t last = cudaSuccess;

static cudaError_t told(cudaError_t code) {
    last = code != cudaSuccess ? code : last;
    return code;
}

cudaError_t cudaGetLastError(void) {
    cudaError_t code = last;
    last = cudaSuccess;
    return code;
}

const char *cudaGetErrorString(cudaError_t error) {
    return error == cudaErrorMemoryAllocation ? "out of memory" : "invalid argument";
}

cudaError_t cudaGetDeviceCount(int *count) {
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
    return told(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}

cudaError_t cudaGetDevice(int *device) {
    *device = 0;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
    (void)device;
    *value = attribute == cudaDevAttrMultiProcessorCount      ? 2
             : attribute == cudaDevAttrComputeCapabilityMajor ? 9
                                                              : 227 * 1024;
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *all) {
    *free_bytes = *all = (size_t)8 << 30;
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **out, size_t size) {
    if (posix_memalign(out, 256, size) != 0) {
        *out = NULL;
        return told(cudaErrorMemoryAllocation);
    }
    memset(*out, 0xFF, size);
    return cudaSuccess;
}

cudaError_t cudaFree(void *data) {
    free(data);
    return cudaSuccess;
}

cudaError_t cudaMallocAsync(void **out, size_t size, cudaStream_t stream) {
    (void)stream;
    return cudaMalloc(out, size);
}

cudaError_t cudaFreeAsync(void *data, cudaStream_t stream) {
    (void)stream;
    return cudaFree(data);
}

cudaError_t cudaHostAlloc(void **out, size_t size, unsigned flags) {
    (void)flags;
    return cudaMalloc(out, size);
}

cudaError_t cudaFreeHost(void *data) {
    return cudaFree(data);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, enum cudaMemcpyKind kind,
                            cudaStream_t stream) {
    (void)kind;
    (void)stream;
    memcpy(to, from, size);
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t size, cudaStream_t stream) {
    (void)stream;
    memset(to, value, size);
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags) {
    (void)flags;
    *out = (cudaStream_t)calloc(1, sizeof **out);
    return *out != NULL ? cudaSuccess : told(cudaErrorMemoryAllocation);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    free(stream);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    (void)stream;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t *out, int device) {
    (void)device;
    *out = NULL;
    return cudaSuccess;
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr attribute,
                                    void *value) {
    (void)pool;
    (void)attribute;
    (void)value;
    return cudaSuccess;
}
