/* memory.cu - memory of the GPU, and copies between it and the host's. */
#include "compress/cuda/device.h"

/* Bytes of a tensor; 0: too many. An empty one takes some too, so that it has an address. */
static size_t whole_bytes(const struct tensor *t) {
    size_t bytes = dtype_size(t->type);
    for (int i = 0; i < TENSOR_RANK; i++) {
        size_t side = (size_t)t->shape[i];
        if (side != 0 && bytes > SIZE_MAX / 4 / side) {
            return 0;
        }
        bytes *= side;
    }
    return bytes == 0 ? 1 : bytes;
}

int cuda_alloc(struct device *d, struct tensor *out, struct error *e) {
    size_t bytes = whole_bytes(out);
    void *data = NULL;
    out->data = NULL;
    int rc = bytes == 0 ? error_memory(e, NULL)
                        : cuda_check(cudaMallocAsync(&data, bytes, cuda_stream(d)), "a tensor", e);
    if (rc == 0) {
        *out = tensor_of(data, out->type, d, out->shape);
        cuda_count_bytes(d, (int64_t)bytes);
    }
    return rc;
}

void cuda_release(struct device *d, struct tensor *t) {
    if (t->data != NULL) {
        assert(t->home == d && tensor_is_dense(t));
        cuda_count_bytes(d, -(int64_t)whole_bytes(t));
        cudaFreeAsync(t->data, cuda_stream(d));
    }
    t->data = NULL;
}

static int move(struct device *d, const struct tensor *to, const struct tensor *from,
                enum cudaMemcpyKind kind, const char *what, struct error *e) {
    assert(to->type == from->type && tensor_count(to) == tensor_count(from));
    assert(tensor_is_dense(to) && tensor_is_dense(from));
    return cuda_check(
        cudaMemcpyAsync(to->data, from->data, tensor_bytes(from), kind, cuda_stream(d)), what, e);
}

void *cuda_host_alloc(size_t size) {
    void *data = NULL;
    if (cudaHostAlloc(&data, size, cudaHostAllocDefault) != cudaSuccess) {
        cudaGetLastError(); /* it is told once */
        return NULL;
    }
    return data;
}

void cuda_host_free(void *data) {
    cudaFreeHost(data);
}

/* Memory that is not pinned has been read when the call returns: CUDA stages it. */
int cuda_upload(struct device *d, const struct tensor *to, const struct tensor *from,
                struct error *e) {
    return move(d, to, from, cudaMemcpyHostToDevice, "copying to the GPU", e);
}

int cuda_download(struct device *d, const struct tensor *to, const struct tensor *from,
                  struct error *e) {
    int rc = move(d, to, from, cudaMemcpyDeviceToHost, "copying from the GPU", e);
    return rc == 0 ? cuda_synchronize(d, e) : rc;
}

int cuda_synchronize(struct device *d, struct error *e) {
    return cuda_check(cudaStreamSynchronize(cuda_stream(d)), "waiting for it", e);
}
