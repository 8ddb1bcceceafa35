/* device.h - a GPU as a device: a stream on which all its operations run in order, scratch memory
 * that grows to the largest that was asked for, and products. */
#ifndef OCC_COMPRESS_CUDA_DEVICE_H
#define OCC_COMPRESS_CUDA_DEVICE_H

#include "compress/cuda/ops.h"

struct cublas;

/* Who holds which scratch memory while an operation runs. */
enum scratch {
    SCRATCH_INPUT,   /* what a product reads, in the type of its weights */
    SCRATCH_HIDDEN,  /* between the two products of an mlp; patches of pictures */
    SCRATCH_RESULT,  /* a product's result, of which another type is made */
    SCRATCH_WEIGHTS, /* a panel of a frozen matrix, taken apart */
    SCRATCH_BLAS,    /* cuBLASLt's workspace */
    SCRATCH_ROWS,    /* numbers of rows */
    SCRATCH_PARTS,   /* parts of sums, which a second pass adds */
    SCRATCH_TABLE,   /* offsets, shapes and tables that the host sends along */
    SCRATCH_CHUNK,   /* of the rows of a classification: logits */
    SCRATCH_COUNT
};

struct cuda_device {
    struct device head;
    cudaStream_t stream;
    struct cublas *cublas;
    struct {
        void *data;
        size_t size;
    } scratch[SCRATCH_COUNT];
    int multiprocessors;
};

enum { CUDA_MOST_GPUS = 16 /* that a process chooses from */ };
extern const struct backend CUDA_BACKENDS[CUDA_MOST_GPUS];

static inline struct cuda_device *cuda_device(struct device *d) {
    return (struct cuda_device *)d;
}

static inline cudaStream_t cuda_stream(struct device *d) {
    return cuda_device(d)->stream;
}

/* `size` bytes of the device, 256-byte aligned, whose contents are not kept from one call to the
 * next. */
int cuda_scratch(void **out, struct device *d, enum scratch which, size_t size, struct error *e);

/* 0, or the error of a call: ERR_MEMORY where the GPU has none left, else ERR_IO. */
int cuda_check(cudaError_t code, const char *what, struct error *e);
/* The same of launches just made. */
static inline int cuda_launched(const char *what, struct error *e) {
    return cuda_check(cudaGetLastError(), what, e);
}

/* Blocks of `block` that `count` threads fill, at most as many as keep the GPU busy: kernels stride
 * by the whole grid. At least 1. */
unsigned cuda_blocks(struct device *d, int64_t count, int64_t block);

/* Counts memory that is taken, or, less than 0, given back. */
void cuda_count_bytes(struct device *d, int64_t bytes);

/* Pinned memory; NULL: there is none. */
void *cuda_host_alloc(size_t size);
void cuda_host_free(void *data);

#endif
