/* streams_test.cc - programs that are wrong on purpose about streams, events and memory, and what
 * the emulated GPU says to them; and some that are right. */
#include <cuda_runtime.h>
#include <pthread.h>

#include "tests/kernels/death.h"

enum { COUNT = 64, BYTES = COUNT * sizeof(float), SEEDS = 20 };

static cudaStream_t stream_new(void) {
    cudaStream_t stream;
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    return stream;
}

static cudaEvent_t event_new(void) {
    cudaEvent_t event;
    cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    return event;
}

static float *floats_on(cudaStream_t stream) {
    void *data = NULL;
    cudaMallocAsync(&data, BYTES, stream);
    return (float *)data;
}

static float *pinned_new(float value) {
    void *data;
    cudaHostAlloc(&data, BYTES, cudaHostAllocDefault);
    for (int i = 0; i < COUNT; i++) {
        ((float *)data)[i] = value;
    }
    return (float *)data;
}

static void store(float *out, float value) {
    out[threadIdx.x] = value;
}

static void add(float *out, const float *x) {
    out[threadIdx.x] += x[threadIdx.x];
}

static void store_on(cudaStream_t stream, float *out, float value) {
    GPU_LAUNCH(store, 1, COUNT, 0, stream, out, value);
}

/* Into memory that is not pinned, so that it waits. */
static float first_of(const float *data, cudaStream_t stream) {
    float host[COUNT];
    cudaMemcpyAsync(host, data, sizeof host, cudaMemcpyDeviceToHost, stream);
    return host[0];
}

static void set_seed(int seed) {
    char text[16];
    snprintf(text, sizeof text, "%d", seed);
    setenv("OCC_GPU_ORDER", text, 1);
}

/* ---- When things are done -------------------------------------------------------------------- */

/* A kernel's result comes to pinned memory; the host looks before and after it waits. */
static void look_at_pinned(float *before, float *after) {
    cudaStream_t s = stream_new();
    float *host = pinned_new(1), *data = floats_on(s);
    store_on(s, data, 2);
    cudaMemcpyAsync(host, data, BYTES, cudaMemcpyDeviceToHost, s);
    *before = asan() || tsan() ? 1 : host[0];
    cudaStreamSynchronize(s);
    *after = host[0];
    cudaFreeAsync(data, s);
    cudaStreamSynchronize(s);
    cudaStreamDestroy(s);
    cudaFreeHost(host);
}

static void streams_do_nothing_before_somebody_waits(void) {
    float before, after;
    look_at_pinned(&before, &after);
    CHECK_NUMBER(before, 1);
    CHECK_NUMBER(after, 2);
    setenv("OCC_GPU_STREAMS", "eager", 1);
    look_at_pinned(&before, &after);
    unsetenv("OCC_GPU_STREAMS");
    CHECK_NUMBER(before, asan() || tsan() ? 1 : 2);
    CHECK_NUMBER(after, 2);
}

/* What arrives of memory that the host changes after it asked for a copy. */
static float changed(float *host) {
    cudaStream_t s = stream_new();
    float *data = floats_on(s);
    host[0] = 1;
    cudaMemcpyAsync(data, host, BYTES, cudaMemcpyHostToDevice, s);
    host[0] = 2;
    const float first = first_of(data, s);
    cudaFreeAsync(data, s);
    cudaStreamSynchronize(s);
    cudaStreamDestroy(s);
    return first;
}

static void copies_read_pinned_memory_late(void) {
    float host[COUNT], *pinned = pinned_new(0);
    CHECK_NUMBER(changed(host), 1);
    CHECK_NUMBER(changed(pinned), 2);
    cudaFreeHost(pinned);
}

enum { TOO_SOON = __LINE__ + 7 };
static void look_too_soon(void) {
    cudaStream_t s = stream_new();
    float *host = pinned_new(1), *data = floats_on(s);
    store_on(s, data, 2);
    cudaMemcpyAsync(host, data, BYTES, cudaMemcpyDeviceToHost, s);
    /* no cudaStreamSynchronize */
    volatile float seen = host[1];
    (void)seen;
    cudaStreamSynchronize(s); /* for ThreadSanitizer, which knows when two have touched it */
}

enum { HOST_READS = __LINE__ + 4 };
static void look_at_device_memory(void) {
    const float *data = floats_on(NULL);
    cudaStreamSynchronize(NULL);
    volatile float seen = data[1];
    (void)seen;
}

enum { HOST_READS_NEW = __LINE__ + 3 };
static void look_at_new_memory(void) {
    const float *data = floats_on(NULL);
    volatile float seen = data[1];
    (void)seen;
}

static void the_host_may_not_look(void) {
    CHECK_DEATH(look_too_soon, "use-after-poison", TOO_SOON);
    CHECK_DEATH(look_at_device_memory, "use-after-poison", HOST_READS);
    CHECK_DEATH(look_at_new_memory, "use-after-poison", HOST_READS_NEW);
}

/* ---- Two streams ----------------------------------------------------------------------------- */

/* One fills, another adds: 3, if the other waits. */
static float two_streams(bool wait) {
    cudaStream_t a = stream_new(), b = stream_new();
    cudaEvent_t ready = event_new(), filled = event_new();
    float *x = floats_on(a), *y = floats_on(a);
    store_on(a, x, 1);
    store_on(a, y, 0);
    cudaEventRecord(ready, a);
    cudaStreamWaitEvent(b, ready, 0);
    store_on(a, y, 2);
    cudaEventRecord(filled, a);
    if (wait) {
        cudaStreamWaitEvent(b, filled, 0);
    }
    GPU_LAUNCH(add, 1, COUNT, 0, b, x, y);
    const float sum = first_of(x, b);
    cudaStreamSynchronize(a);
    cudaFree(x);
    cudaFree(y);
    cudaEventDestroy(ready);
    cudaEventDestroy(filled);
    cudaStreamDestroy(a);
    cudaStreamDestroy(b);
    return sum;
}

/* In how many of many orders it is wrong. */
static int wrong_of_two(bool wait) {
    int wrong = 0;
    for (int seed = 1; seed <= SEEDS; seed++) {
        set_seed(seed);
        wrong += two_streams(wait) != 3;
    }
    unsetenv("OCC_GPU_ORDER");
    return wrong;
}

static void events_order_streams(void) {
    CHECK_NUMBER(wrong_of_two(true), 0);
    if (!tsan()) {
        const int wrong = wrong_of_two(false);
        CHECK(wrong > 0 && wrong < SEEDS);
    }
}

static void race_streams(void) {
    two_streams(false);
}
static void no_race(void) {
    two_streams(true);
}

static void races_between_streams_are_reported(void) {
    CHECK_DEATH(race_streams, "data race", 0);
    CHECK(strstr(death.said, "store") != NULL && strstr(death.said, "add") != NULL);
    CHECK_DEATH(look_too_soon, "data race", TOO_SOON);
    CHECK_LIFE(no_race);
}

static void an_event_waits_for_what_came_before_it(void) {
    cudaStream_t s = stream_new();
    cudaEvent_t event = event_new();
    float *host = pinned_new(1), *data = floats_on(s);
    CHECK_NUMBER(cudaEventSynchronize(event), cudaSuccess); /* nothing was recorded */
    store_on(s, data, 2);
    cudaMemcpyAsync(host, data, BYTES, cudaMemcpyDeviceToHost, s);
    cudaEventRecord(event, s);
    store_on(s, data, 3);
    cudaEventSynchronize(event);
    CHECK_NUMBER(host[0], 2);
    cudaMemcpyAsync(host, data, BYTES, cudaMemcpyDeviceToHost, s);
    cudaStreamDestroy(s); /* what it was asked is done all the same */
    CHECK_NUMBER(cudaFree(data), cudaSuccess);
    CHECK_NUMBER(host[0], 3);
    cudaFreeHost(host);
    cudaEventDestroy(event);
}

/* ---- Memory of streams ----------------------------------------------------------------------- */

static void use_too_early(void) {
    cudaStream_t a = stream_new(), b = stream_new();
    store_on(b, floats_on(a), 1);
}

static void free_too_early(void) {
    cudaStream_t a = stream_new(), b = stream_new();
    float *x = floats_on(a);
    cudaStreamSynchronize(a);
    store_on(b, x, 1);
    cudaFreeAsync(x, a);
}

static void free_in_time(void) {
    cudaStream_t a = stream_new(), b = stream_new();
    cudaEvent_t allocated = event_new(), used = event_new();
    float *x = floats_on(a);
    cudaEventRecord(allocated, a);
    cudaStreamWaitEvent(b, allocated, 0);
    store_on(b, x, 1);
    cudaEventRecord(used, b);
    cudaStreamWaitEvent(a, used, 0);
    cudaFreeAsync(x, a);
    cudaStreamSynchronize(a);
    cudaStreamDestroy(a);
    cudaStreamDestroy(b);
    cudaEventDestroy(allocated);
    cudaEventDestroy(used);
}

static void free_what_is_still_to_be_used(void) {
    float *x = floats_on(NULL);
    cudaStreamSynchronize(NULL);
    store_on(NULL, x, 1);
    cudaFreeAsync(x, NULL);
    cudaStreamSynchronize(NULL);
}

static void use_after_free(void) {
    cudaStream_t a = stream_new();
    float *x = floats_on(a);
    cudaFreeAsync(x, a);
    store_on(a, x, 1);
}

static void free_twice(void) {
    float *x = floats_on(NULL);
    cudaFreeAsync(x, NULL);
    cudaFreeAsync(x, NULL);
}

static void free_pinned_too_early(void) {
    float *host = pinned_new(0), *x = floats_on(NULL);
    cudaMemcpyAsync(x, host, BYTES, cudaMemcpyHostToDevice, NULL);
    cudaFreeHost(host);
}

static void memory_is_of_its_stream(void) {
    CHECK_DEATH(use_too_early, "store: memory that another stream allocates is used without", 0);
    CHECK_DEATH(free_too_early, "cudaFreeAsync: memory is given back while a stream may still", 0);
    CHECK_LIFE(free_in_time);
    CHECK_LIFE(free_what_is_still_to_be_used);
    CHECK_DEATH(use_after_free, "store: a kernel is given an address that is not in memory", 0);
    CHECK_DEATH(free_twice, "cudaFreeAsync: what is given back was not allocated", 0);
    CHECK_DEATH(free_pinned_too_early, "cudaFreeHost: memory is given back while a stream may", 0);
}

struct nested {
    int64_t count;
    float *data;
};

static void store_nested(struct nested x, float value) {
    x.data[threadIdx.x] = value;
}

static void use_nested_too_early(void) {
    cudaStream_t a = stream_new(), b = stream_new();
    const struct nested x = {COUNT, floats_on(a)};
    GPU_LAUNCH(store_nested, 1, COUNT, 0, b, x, 1.0f);
}

static void addresses_in_structures_are_seen(void) {
    CHECK_DEATH(use_nested_too_early, "store_nested: memory that another stream allocates", 0);
}

static void use_a_closed_stream(void) {
    cudaStream_t s = stream_new();
    cudaStreamDestroy(s);
    cudaStreamSynchronize(s);
}

static void use_a_closed_event(void) {
    cudaEvent_t event = event_new();
    cudaEventDestroy(event);
    cudaEventRecord(event, NULL);
}

static void what_is_closed_is_not_used(void) {
    CHECK_DEATH(use_a_closed_stream, "cudaStreamSynchronize: a stream that is not open", 0);
    CHECK_DEATH(use_a_closed_event, "cudaEventRecord: an event that is not open", 0);
}

/* ---- Copies ---------------------------------------------------------------------------------- */

static void copy_too_much(void) {
    float host[2 * COUNT] = {0};
    cudaMemcpyAsync(floats_on(NULL), host, sizeof host, cudaMemcpyHostToDevice, NULL);
}

static void copy_the_wrong_way(void) {
    float host[COUNT] = {0};
    cudaMemcpyAsync(host, floats_on(NULL), sizeof host, cudaMemcpyHostToDevice, NULL);
}

static void copy_between_hosts(void) {
    float a[COUNT] = {0}, b[COUNT];
    cudaMemcpyAsync(b, a, sizeof b, cudaMemcpyDeviceToHost, NULL);
}

static void set_too_much(void) {
    cudaMemsetAsync(floats_on(NULL), 0, BYTES + 1, NULL);
}

static void copies_are_looked_at(void) {
    CHECK_DEATH(copy_too_much, "cudaMemcpyAsync: more than the memory holds", 0);
    CHECK_DEATH(copy_the_wrong_way, "cudaMemcpyAsync: an address that is not in memory", 0);
    CHECK_DEATH(copy_between_hosts, "cudaMemcpyAsync: an address that is not in memory", 0);
    CHECK_DEATH(set_too_much, "cudaMemsetAsync: more than the memory holds", 0);
}

/* ---- How much memory there is ---------------------------------------------------------------- */

static size_t bytes_free(void) {
    size_t left, all;
    cudaMemGetInfo(&left, &all);
    return left;
}

static void memory_has_an_end(void) {
    enum { MEGABYTE = 1 << 20 };
    void *a, *b;
    CHECK(bytes_free() > (size_t)1 << 30);
    setenv("OCC_GPU_MEMORY", "3145728", 1);
    CHECK_NUMBER(bytes_free(), 3 * MEGABYTE);
    CHECK_NUMBER(cudaMallocAsync(&a, 2 * MEGABYTE, NULL), cudaSuccess);
    CHECK_NUMBER(cudaMallocAsync(&b, 2 * MEGABYTE, NULL), cudaErrorMemoryAllocation);
    CHECK_NUMBER(cudaGetLastError(), cudaErrorMemoryAllocation);
    CHECK_NUMBER(cudaGetLastError(), cudaSuccess);
    CHECK(b == NULL);
    CHECK_NUMBER(bytes_free(), MEGABYTE);
    cudaFreeAsync(a, NULL);
    CHECK_NUMBER(bytes_free(), MEGABYTE); /* the pool has it until somebody waits */
    CHECK_NUMBER(cudaMallocAsync(&b, 3 * MEGABYTE, NULL), cudaSuccess);
    cudaFreeAsync(b, NULL);
    cudaStreamSynchronize(NULL);
    CHECK_NUMBER(bytes_free(), 3 * MEGABYTE);
    unsetenv("OCC_GPU_MEMORY");
}

static void a_pool_keeps_what_it_may(void) {
    cudaMemPool_t pool;
    uint64_t all = UINT64_MAX, none = 0, reserved, used;
    cudaDeviceGetDefaultMemPool(&pool, 0);
    cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &all);
    cudaFreeAsync(floats_on(NULL), NULL);
    cudaStreamSynchronize(NULL);
    cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReservedMemCurrent, &reserved);
    cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used);
    CHECK_NUMBER(reserved - used, BYTES);
    cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &none);
    cudaStreamSynchronize(NULL);
    cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReservedMemCurrent, &reserved);
    CHECK_NUMBER(reserved - used, 0);
}

static void an_allocation_fails_where_it_is_asked_to(void) {
    void *data;
    setenv("OCC_GPU_FAIL_ALLOC", "2", 1);
    for (int i = 1; i <= 3; i++) {
        CHECK_NUMBER(cudaMalloc(&data, BYTES), i == 2 ? cudaErrorMemoryAllocation : cudaSuccess);
        cudaFree(data);
    }
    unsetenv("OCC_GPU_FAIL_ALLOC");
    cudaGetLastError();
}

/* ---- Devices --------------------------------------------------------------------------------- */

static void *device_of_a_new_thread(void *device) {
    cudaGetDevice((int *)device);
    return NULL;
}

static void a_thread_chooses_its_device(void) {
    int count = 0, device = -1;
    pthread_t other;
    setenv("OCC_GPU_COUNT", "0", 1);
    CHECK_NUMBER(cudaGetDeviceCount(&count), cudaErrorNoDevice);
    CHECK_NUMBER(cudaGetLastError(), cudaErrorNoDevice);
    setenv("OCC_GPU_COUNT", "2", 1);
    CHECK_NUMBER(cudaGetDeviceCount(&count), cudaSuccess);
    CHECK_NUMBER(count, 2);
    CHECK_NUMBER(cudaSetDevice(2), cudaErrorInvalidDevice);
    CHECK_NUMBER(cudaSetDevice(1), cudaSuccess);
    pthread_create(&other, NULL, device_of_a_new_thread, &device);
    pthread_join(other, NULL);
    CHECK_NUMBER(device, 0);
    cudaGetDevice(&device);
    CHECK_NUMBER(device, 1);
    cudaStream_t s = stream_new();
    float *x = floats_on(s);
    store_on(s, x, 5);
    CHECK_NUMBER(first_of(x, s), 5);
    cudaFreeAsync(x, s);
    cudaStreamSynchronize(s);
    cudaStreamDestroy(s);
    cudaSetDevice(0);
    cudaGetLastError();
    unsetenv("OCC_GPU_COUNT");
}

static cudaStream_t two_devices(float **of_the_first) {
    setenv("OCC_GPU_COUNT", "2", 1);
    *of_the_first = floats_on(NULL);
    cudaStreamSynchronize(NULL);
    cudaSetDevice(1);
    return stream_new();
}

static void use_another_s_memory(void) {
    float *x;
    cudaStream_t s = two_devices(&x);
    store_on(s, x, 1);
}

static void copy_to_another_s_memory(void) {
    float *x, host[COUNT] = {0};
    cudaStream_t s = two_devices(&x);
    cudaMemcpyAsync(x, host, sizeof host, cudaMemcpyHostToDevice, s);
}

static void launch_on_another_s_stream(void) {
    float *x;
    cudaStream_t s = two_devices(&x);
    x = floats_on(s);
    cudaSetDevice(0);
    store_on(s, x, 1);
}

static void devices_keep_apart(void) {
    CHECK_DEATH(use_another_s_memory, "store: memory of one GPU is used on another", 0);
    CHECK_DEATH(copy_to_another_s_memory, "cudaMemcpyAsync: memory of one GPU is used on", 0);
    CHECK_DEATH(launch_on_another_s_stream, "store: a launch on a stream of another GPU", 0);
}

/* ---- The end --------------------------------------------------------------------------------- */

static void leave_all_open(void) {
    event_new();
    pinned_new(0);
    floats_on(stream_new());
}

static void what_is_left_open_is_reported(void) {
    CHECK_DEATH(leave_all_open, "GPU: 2 allocations, 2 streams and events were not given back", 0);
}

int main(void) {
    /* Processes of their own first: ThreadSanitizer is blind in those of who had threads. */
    RUN(memory_is_of_its_stream);
    RUN(addresses_in_structures_are_seen);
    RUN(what_is_closed_is_not_used);
    RUN(copies_are_looked_at);
    RUN(devices_keep_apart);
    if (asan()) {
        RUN(the_host_may_not_look);
        RUN(what_is_left_open_is_reported);
    }
    if (tsan()) {
        RUN(races_between_streams_are_reported);
    } else {
        RUN(copies_read_pinned_memory_late);
    }
    RUN(streams_do_nothing_before_somebody_waits);
    RUN(events_order_streams);
    RUN(an_event_waits_for_what_came_before_it);
    RUN(memory_has_an_end);
    RUN(a_pool_keeps_what_it_may);
    RUN(an_allocation_fails_where_it_is_asked_to);
    RUN(a_thread_chooses_its_device);
    return test_finish();
}
