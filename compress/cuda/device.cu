/* device.cu - see device.h: finding a GPU, opening it, and the table of its operations. */
#include "compress/cuda/device.h"

#include <stdlib.h>

#include "compress/cuda/cublas.h"

enum { LEAST_MAJOR = 8 /* of a capability: BF16 products */ };

/* ---- The table ------------------------------------------------------------------------------- */

static constexpr struct ops table_of(void) {
    struct ops table = {};
#define ENTRY(name) table.name = cuda_##name;
    CUDA_OPERATIONS(ENTRY)
    return table;
}

const struct ops CUDA_OPS = table_of();

/* ---- Errors ---------------------------------------------------------------------------------- */

int cuda_check(cudaError_t code, const char *what, struct error *e) {
    if (code == cudaSuccess) {
        return 0;
    }
    cudaGetLastError(); /* it is told once */
    if (code == cudaErrorMemoryAllocation) {
        return error_set(e, ERR_MEMORY, "out of GPU memory for %s", what);
    }
    return error_set(e, ERR_IO, "GPU: %s: %s", what, cudaGetErrorString(code));
}

/* ---- Scratch --------------------------------------------------------------------------------- */

void cuda_count_bytes(struct device *d, int64_t bytes) {
    d->bytes += (size_t)bytes;
    d->peak_bytes = d->bytes > d->peak_bytes ? d->bytes : d->peak_bytes;
}

int cuda_scratch(void **out, struct device *device, enum scratch which, size_t size,
                 struct error *e) {
    struct cuda_device *d = cuda_device(device);
    int rc = 0;
    if (d->scratch[which].size < size) {
        rc = cuda_check(cudaFreeAsync(d->scratch[which].data, d->stream), "scratch memory", e);
        cuda_count_bytes(device, -(int64_t)d->scratch[which].size);
        d->scratch[which].data = NULL;
        d->scratch[which].size = 0;
        if (rc == 0) {
            rc = cuda_check(cudaMallocAsync(&d->scratch[which].data, size, d->stream),
                            "scratch memory", e);
        }
        if (rc == 0) {
            d->scratch[which].size = size;
            cuda_count_bytes(device, (int64_t)size);
        }
    }
    *out = d->scratch[which].data;
    return rc;
}

unsigned cuda_blocks(struct device *d, int64_t count, int64_t block) {
    int64_t blocks = (count + block - 1) / block, most = 16 * cuda_device(d)->multiprocessors;
    blocks = blocks < most ? blocks : most;
    return (unsigned)(blocks > 0 ? blocks : 1);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static int find(int number, struct error *e) {
    int count = 0;
    cudaError_t code = cudaGetDeviceCount(&count);
    if (code == cudaErrorInsufficientDriver || code == cudaErrorNoDevice ||
        (code == cudaSuccess && count == 0)) {
        cudaGetLastError();
        return error_set(e, ERR_UNSUPPORTED, "no NVIDIA GPU was found: %s",
                         code == cudaErrorInsufficientDriver ? "its driver is missing or too old"
                                                             : "there is none");
    }
    count = count < CUDA_MOST_GPUS ? count : CUDA_MOST_GPUS;
    if (code == cudaSuccess && number >= count) {
        return error_set(e, ERR_UNSUPPORTED, "there is no GPU %d: %d %s found", number, count,
                         count == 1 ? "was" : "were");
    }
    return cuda_check(code, "looking for a GPU", e);
}

static int probe(int number, struct error *e) {
    int major = 0, rc = find(number, e);
    if (rc == 0) {
        rc = cuda_check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, number),
                        "asking for its capability", e);
    }
    if (rc == 0 && major < LEAST_MAJOR) {
        rc = error_set(e, ERR_UNSUPPORTED, "the GPU is too old: compute capability 8.0 is needed");
    }
    return rc == 0 ? cublas_probe(e) : rc;
}

static bool has_bf16(void) {
    return true; /* from 8.0 on */
}

static int one(void) {
    return 1;
}

static int batch(void) {
    return 16;
}

static void close_device(struct device *device) {
    if (device == NULL) {
        return;
    }
    struct cuda_device *d = cuda_device(device);
    for (int i = 0; i < SCRATCH_COUNT; i++) {
        if (d->scratch[i].data != NULL) {
            cudaFreeAsync(d->scratch[i].data, d->stream);
        }
    }
    cublas_close(d->cublas);
    if (d->stream != NULL) {
        cudaStreamSynchronize(d->stream);
        cudaStreamDestroy(d->stream);
    }
    free(d);
}

/* Memory that is given back stays the process's: asking the driver again takes longer than most
 * operations. */
static int keep_memory(int number, struct error *e) {
    cudaMemPool_t pool;
    uint64_t all = UINT64_MAX;
    int rc = cuda_check(cudaDeviceGetDefaultMemPool(&pool, number), "its memory pool", e);
    return rc == 0
               ? cuda_check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &all),
                            "its memory pool", e)
               : rc;
}

/* What a thread asks of CUDA, it asks of the GPU that it has chosen. */
static int choose_gpu(int number, struct error *e) {
    return cuda_check(cudaSetDevice(number), "choosing a GPU", e);
}

static int open_device(struct device **out, const struct backend *b, enum dtype compute,
                       struct error *e) {
    struct cuda_device *d = (struct cuda_device *)calloc(1, sizeof *d);
    *out = NULL;
    if (d == NULL) {
        return error_memory(e, NULL);
    }
    d->head.backend = b;
    d->head.ops = &CUDA_OPS;
    d->head.compute = compute;
    int rc = choose_gpu(b->number, e);
    if (rc == 0) {
        rc = cuda_check(
            cudaDeviceGetAttribute(&d->multiprocessors, cudaDevAttrMultiProcessorCount, b->number),
            "counting its multiprocessors", e);
    }
    if (rc == 0) {
        rc = keep_memory(b->number, e);
    }
    if (rc == 0) {
        rc = cuda_check(cudaStreamCreateWithFlags(&d->stream, cudaStreamNonBlocking),
                        "opening a stream", e);
    }
    if (rc == 0) {
        rc = cublas_open(&d->cublas, e);
    }
    if (rc < 0) {
        close_device(&d->head);
        return rc;
    }
    *out = &d->head;
    return 0;
}

/* What the process's pool holds and nobody uses is there for the next who asks. */
static int memory_left(int number, size_t *out, struct error *e) {
    cudaMemPool_t pool;
    uint64_t reserved = 0, used = 0;
    size_t all;
    int rc = choose_gpu(number, e);
    if (rc == 0) {
        rc = cuda_check(cudaMemGetInfo(out, &all), "asking for its memory", e);
    }
    if (rc == 0) {
        rc = cuda_check(cudaDeviceGetDefaultMemPool(&pool, number), "its memory pool", e);
    }
    if (rc == 0) {
        rc = cuda_check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReservedMemCurrent, &reserved),
                        "its memory pool", e);
    }
    if (rc == 0) {
        rc = cuda_check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used),
                        "its memory pool", e);
    }
    *out += rc == 0 ? (size_t)(reserved - used) : 0;
    return rc;
}

static constexpr struct backend gpu(int number) {
    return {.name = "cuda",
            .number = number,
            .numbers = CUDA_MOST_GPUS,
            .probe = probe,
            .has_bf16 = has_bf16,
            .workers = one,
            .batch = batch,
            .host_memory = false,
            .memory_left = memory_left,
            .host_alloc = cuda_host_alloc,
            .host_free = cuda_host_free,
            .device_open = open_device,
            .team_open = NULL,
            .device_close = close_device};
}

const struct backend CUDA_BACKENDS[CUDA_MOST_GPUS] = {
    gpu(0), gpu(1), gpu(2),  gpu(3),  gpu(4),  gpu(5),  gpu(6),  gpu(7),
    gpu(8), gpu(9), gpu(10), gpu(11), gpu(12), gpu(13), gpu(14), gpu(15)};
