/* memory.cc - what lies where: memory of GPUs and what of the host's is pinned, how much of it
 * there is, and on which streams it is used. See emulator.h.
 *
 * New memory is NaN. Which memory a kernel uses is read from its arguments: each of their words
 * that is an address in some memory. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/kernels/emulator.h"
#include "tests/kernels/sanitizers.h"

enum { ALIGNMENT = 256 };
static const size_t HIDDEN = 64 * 1024; /* of each memory, at its beginning */

/* The memory of a device: all of what is asked for comes out of one pool. */
struct gpu_pool {
    uint64_t used, reserved, threshold;
};

static struct {
    struct memory **sorted; /* by address */
    size_t count, room;
    struct gpu_pool devices[MOST_DEVICES];
    char failing[32]; /* OCC_GPU_FAIL_ALLOC as it was */
    uint64_t asked;   /* since it changed */
} all;

/* ---- Which --------------------------------------------------------------------------- */

/* How many begin at `at` or before it. */
static size_t place_of(const void *at) {
    size_t low = 0, high = all.count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if ((uintptr_t)all.sorted[middle]->data <= (uintptr_t)at) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct memory *memory_of(const void *at) {
    const size_t place = place_of(at);
    struct memory *m = place > 0 ? all.sorted[place - 1] : NULL;
    return m != NULL && (uintptr_t)at - (uintptr_t)m->data < m->size ? m : NULL;
}

static void insert(struct memory *m) {
    if (all.count == all.room) {
        all.room = all.room * 2 + 64;
        all.sorted = (struct memory **)realloc(all.sorted, all.room * sizeof *all.sorted);
    }
    const size_t place = place_of(m->data);
    memmove(&all.sorted[place + 1], &all.sorted[place], (all.count - place) * sizeof m);
    all.sorted[place] = m;
    all.count++;
}

static void take_out(const struct memory *m) {
    const size_t place = place_of(m->data) - 1;
    all.count--;
    memmove(&all.sorted[place], &all.sorted[place + 1], (all.count - place) * sizeof m);
}

/* The one that begins there. */
static struct memory *whole(const void *data, bool pinned, const char *call) {
    struct memory *m = memory_of(data);
    if (m == NULL || m->data != data || (m->device < 0) != pinned) {
        gpu_refuse(call, "what is given back was not allocated, or has been given back");
    }
    return m;
}

/* ---- Hiding -------------------------------------------------------------------------- */

static void hide(const struct memory *m) {
    if (m->device >= 0 && m->there) {
        asan_hide(m->data, m->size < HIDDEN ? m->size : HIDDEN);
    }
}

static void show(const struct memory *m) {
    if (m->device >= 0 && m->there) {
        asan_show(m->data, m->size < HIDDEN ? m->size : HIDDEN);
    }
}

void memory_show(void) {
    for (size_t i = 0; i < all.count && asan(); i++) {
        show(all.sorted[i]);
    }
}

void memory_hide(void) {
    for (size_t i = 0; i < all.count && asan(); i++) {
        hide(all.sorted[i]);
    }
}

/* ---- Use ----------------------------------------------------------------------------- */

static void expect_there(const struct memory *m, const struct gpu_stream *s, const char *call) {
    if (m->device >= 0 && m->device != s->device) {
        gpu_refuse(call, "memory of one GPU is used on another");
    }
    if (m->slot >= 0 && s->clock.at[m->slot] < m->number) {
        gpu_refuse(call, "memory that another stream allocates is used without waiting for it");
    }
}

void memory_use(struct memory *m, const struct gpu_stream *s, const char *call) {
    expect_there(m, s, call);
    m->used.at[s->slot] = s->asked + 1;
}

void memory_use_words(const struct gpu_stream *s, const void *state, size_t bytes,
                      const char *call) {
    for (size_t i = 0; i + sizeof(void *) <= bytes; i += sizeof(void *)) {
        void *word;
        memcpy(&word, (const char *)state + i, sizeof word);
        struct memory *m = memory_of(word);
        if (m != NULL) {
            memory_use(m, s, call);
        }
    }
}

void gpu_check_address(const char *name, const void *at) {
    struct locked l;
    /* The end of a memory is an address of it, too. */
    if (at != NULL && memory_of(at) == NULL && memory_of((const char *)at - 1) == NULL) {
        gpu_refuse(name, "a kernel is given an address that is not in memory of a GPU");
    }
}

static void expect_unused(const struct memory *m, const struct clock *known, const char *call) {
    for (int i = 0; i < MOST_STREAMS; i++) {
        if (m->used.at[i] > known->at[i]) {
            gpu_refuse(call, "memory is given back while a stream may still use it");
        }
    }
}

/* ---- Giving and taking --------------------------------------------------------------- */

static bool fails(void) {
    const char *asked = getenv("OCC_GPU_FAIL_ALLOC");
    asked = asked != NULL ? asked : "";
    if (strcmp(asked, all.failing) != 0) {
        snprintf(all.failing, sizeof all.failing, "%s", asked);
        all.asked = 0;
    }
    all.asked++;
    return all.asked == strtoull(asked, NULL, 10);
}

static uint64_t capacity(void) {
    return gpu_setting("OCC_GPU_MEMORY", (uint64_t)8 << 30);
}

/* What a pool has reserved stays so until somebody waits and it has more than it may keep. */
void memory_settle(int device) {
    struct gpu_pool *pool = &all.devices[device];
    const uint64_t least = pool->used > pool->threshold ? pool->used : pool->threshold;
    pool->reserved = pool->reserved > least ? least : pool->reserved;
}

static size_t rounded(size_t size) {
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static cudaError_t allocate(void **out, size_t size, int device, struct memory **made) {
    struct memory *m = NULL;
    *out = NULL;
    if (size == 0) {
        gpu_refuse("an allocation", "of nothing");
    }
    const bool room = device < 0 || (size <= capacity() &&
                                     rounded(size) <= capacity() - all.devices[device].used);
    if (fails() || !room || (m = (struct memory *)calloc(1, sizeof *m)) == NULL ||
        posix_memalign((void **)&m->data, ALIGNMENT, size) != 0) {
        free(m);
        return gpu_told(cudaErrorMemoryAllocation);
    }
    memset(m->data, 0xFF, size);
    m->size = size;
    m->device = device;
    m->slot = -1;
    m->there = true;
    if (device >= 0) {
        struct gpu_pool *pool = &all.devices[device];
        pool->used += rounded(size);
        pool->reserved = pool->used > pool->reserved ? pool->used : pool->reserved;
    }
    insert(m);
    hide(m);
    *out = m->data;
    *made = m;
    return cudaSuccess;
}

static void give_back(void *state) {
    struct memory *m = *(struct memory **)state;
    if (m->device >= 0) {
        asan_show(m->data, m->size);
    }
    memset(m->data, 0xFF, m->size); /* who still reads it shall see that */
    free(m->data);
    free(m);
}

static void forget(struct memory *m) {
    if (m->device >= 0) {
        all.devices[m->device].used -= rounded(m->size);
    }
    take_out(m);
}

int memory_left(void) {
    return (int)all.count;
}

/* ---- Calls --------------------------------------------------------------------------- */

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *whole_bytes) {
    struct locked l;
    *whole_bytes = capacity();
    const uint64_t reserved = all.devices[gpu_device()].reserved;
    *free_bytes = *whole_bytes > reserved ? *whole_bytes - reserved : 0;
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **out, size_t size) {
    struct locked l;
    struct memory *m;
    return allocate(out, size, gpu_device(), &m);
}

cudaError_t cudaHostAlloc(void **out, size_t size, unsigned flags) {
    struct locked l;
    struct memory *m;
    (void)flags;
    return allocate(out, size, -1, &m);
}

/* Waits for the whole device, as CUDA does. */
cudaError_t cudaFree(void *data) {
    struct locked l;
    if (data != NULL) {
        struct memory *m = whole(data, false, "cudaFree");
        streams_wait(m->device);
        forget(m);
        memory_settle(m->device);
        give_back(&m);
    }
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *data) {
    struct locked l;
    if (data != NULL) {
        struct memory *m = whole(data, true, "cudaFreeHost");
        expect_unused(m, host_clock(), "cudaFreeHost");
        forget(m);
        give_back(&m);
    }
    return cudaSuccess;
}

static void arrive(void *state) {
    struct memory *m = *(struct memory **)state;
    m->there = true;
    asan_show(m->data, m->size);
}

cudaError_t cudaMallocAsync(void **out, size_t size, cudaStream_t stream) {
    struct locked l;
    struct gpu_stream *s = stream_of(stream, "cudaMallocAsync");
    struct memory *m;
    cudaError_t code = allocate(out, size, s->device, &m);
    if (code == cudaSuccess) {
        asan_hide(m->data, m->size);
        m->there = false;
        m->slot = s->slot;
        m->number = s->asked + 1;
        stream_ask(s, arrive, &m, sizeof m);
    }
    return code;
}

cudaError_t cudaFreeAsync(void *data, cudaStream_t stream) {
    struct locked l;
    struct gpu_stream *s = stream_of(stream, "cudaFreeAsync");
    if (data != NULL) {
        struct memory *m = whole(data, false, "cudaFreeAsync");
        expect_there(m, s, "cudaFreeAsync");
        expect_unused(m, &s->clock, "cudaFreeAsync");
        show(m); /* to what was asked before and runs later */
        forget(m);
        stream_ask(s, give_back, &m, sizeof m);
    }
    return cudaSuccess;
}

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t *out, int device) {
    if (device < 0 || device >= gpu_device_count()) {
        return gpu_told(cudaErrorInvalidDevice);
    }
    *out = &all.devices[device];
    return cudaSuccess;
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr attribute,
                                    void *value) {
    struct locked l;
    if (attribute != cudaMemPoolAttrReleaseThreshold) {
        return gpu_told(cudaErrorInvalidValue);
    }
    memcpy(&pool->threshold, value, sizeof pool->threshold);
    return cudaSuccess;
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr attribute,
                                    void *value) {
    struct locked l;
    const uint64_t it = attribute == cudaMemPoolAttrReleaseThreshold     ? pool->threshold
                        : attribute == cudaMemPoolAttrReservedMemCurrent ? pool->reserved
                                                                         : pool->used;
    memcpy(value, &it, sizeof it);
    return cudaSuccess;
}
