/* faults_test.cc - kernels that are wrong on purpose, and what the emulated GPU says to them. */
#include <cuda_runtime.h>
#include <pthread.h>

#include "tests/kernels/death.h"

enum { COUNT = 64, MOST = 4096 };

/* ---- What the tests share -------------------------------------------------------------------- */

static float *device_floats(int count) {
    void *data;
    if (cudaMalloc(&data, (size_t)count * sizeof(float)) != cudaSuccess) {
        exit(1);
    }
    return (float *)data;
}

/* 0, 1, 2, ... on the device. */
static float *device_counted(int count) {
    float host[MOST], *data = device_floats(count);
    for (int i = 0; i < count; i++) {
        host[i] = (float)i;
    }
    cudaMemcpyAsync(data, host, (size_t)count * sizeof *host, cudaMemcpyHostToDevice, NULL);
    return data;
}

static float *fetched(const float *data, int count) {
    static float host[MOST];
    cudaMemcpyAsync(host, data, (size_t)count * sizeof *host, cudaMemcpyDeviceToHost, NULL);
    return host;
}

typedef void kernel(float *out, const float *x);

/* Runs it on `blocks` blocks of `threads`, with shared memory for COUNT floats. */
static void run_kernel(kernel *k, int blocks, int threads) {
    float *x = device_counted(MOST), *out = device_floats(MOST);
    GPU_LAUNCH(k, blocks, threads, COUNT * sizeof(float), NULL, out, x);
    cudaStreamSynchronize(NULL);
    cudaFree(x);
    cudaFree(out);
}

/* How many of the numbers that it leaves are other than `want`. */
static int run_wrong(kernel *k, int blocks, int threads, float (*want)(int i)) {
    float *x = device_counted(MOST), *out = device_floats(MOST);
    int wrong = 0;
    GPU_LAUNCH(k, blocks, threads, COUNT * sizeof(float), NULL, out, x);
    const float *got = fetched(out, blocks * threads);
    for (int i = 0; i < blocks * threads; i++) {
        wrong += !(got[i] == want(i));
    }
    cudaFree(x);
    cudaFree(out);
    return wrong;
}

static const char *const ORDERS[] = {"forward", "reverse", "1", "2", "77"};
enum { ORDER_COUNT = sizeof ORDERS / sizeof *ORDERS };

/* The most that are wrong in any order. */
static int run_orders(kernel *k, int blocks, int threads, float (*want)(int i)) {
    int worst = 0;
    for (int i = 0; i < ORDER_COUNT; i++) {
        setenv("OCC_GPU_ORDER", ORDERS[i], 1);
        const int wrong = run_wrong(k, blocks, threads, want);
        worst = wrong > worst ? wrong : worst;
    }
    unsetenv("OCC_GPU_ORDER");
    return worst;
}

/* ---- Barriers -------------------------------------------------------------------------------- */

static float reversed(int i) {
    return (float)(COUNT - 1 - i % COUNT);
}

static void right(float *out, const float *x) {
    GPU_SHARED(float, shared);
    const int i = (int)threadIdx.x;
    shared[i] = x[i];
    __syncthreads();
    out[blockIdx.x * COUNT + i] = shared[COUNT - 1 - i];
}

static void right_is_right(void) {
    CHECK_NUMBER(run_orders(right, 3, COUNT, reversed), 0);
}

enum { UNGUARDED = __LINE__ + 5 };
static void without_barrier(float *out, const float *x) {
    GPU_SHARED(float, shared);
    const int i = (int)threadIdx.x;
    shared[i] = x[i];
    out[i] = shared[COUNT - 1 - i];
}

static void a_barrier_that_is_missing_shows_in_each_order(void) {
    for (int i = 0; i < ORDER_COUNT; i++) {
        setenv("OCC_GPU_ORDER", ORDERS[i], 1);
        CHECK(run_wrong(without_barrier, 1, COUNT, reversed) > 0);
    }
    unsetenv("OCC_GPU_ORDER");
}

enum { FIRST = __LINE__ + 4, SECOND = __LINE__ + 6 };
static void divergent(float *out, const float *x) {
    out[threadIdx.x] = x[threadIdx.x];
    if (threadIdx.x % 2 == 0) {
        __syncthreads();
    } else {
        __syncthreads();
    }
}

static void die_divergent(void) {
    run_kernel(divergent, 1, COUNT);
}

static void die_divergent_backwards(void) {
    setenv("OCC_GPU_ORDER", "reverse", 1);
    run_kernel(divergent, 1, COUNT);
}

static void barriers_that_differ_are_named(void) {
    CHECK_DEATH(die_divergent, "k: threads of a block wait at different barriers", SECOND);
    CHECK_DEATH(die_divergent_backwards, "(thread 1,0,0 of block 0,0,0)", SECOND);
}

enum { LONELY = __LINE__ + 3 };
static void half_a_barrier(float *out, const float *x) {
    if (threadIdx.x < 32) {
        __syncthreads();
    }
    out[threadIdx.x] = x[threadIdx.x];
}

static void die_half_a_barrier(void) {
    run_kernel(half_a_barrier, 1, COUNT);
}

static void a_barrier_that_some_never_reach_is_named(void) {
    CHECK_DEATH(die_half_a_barrier, "a barrier that other threads of the block never reach",
                LONELY);
}

static void count_votes(float *out, const float *x) {
    const int i = (int)threadIdx.x;
    const int odd = __syncthreads_count(i % 2 != 0), most = __syncthreads_and(i != 5);
    const int some = __syncthreads_or(i == 3), each = __syncthreads_and(x[i] >= 0);
    out[blockIdx.x * COUNT + i] =
        (float)(odd + 1000 * (some != 0) + 2000 * (each != 0) + 4000 * (most != 0));
}

static float counted(int) {
    return COUNT / 2 + 3000;
}

static void blocks_count_votes(void) {
    CHECK_NUMBER(run_orders(count_votes, 3, COUNT, counted), 0);
}

/* ---- Lanes ----------------------------------------------------------------------------------- */

enum { ABSENT = __LINE__ + 4 };
static void from_an_absent_lane(float *out, const float *x) {
    const int i = (int)threadIdx.x;
    if (i < 16) {
        out[i] = __shfl_sync(0xFFFFu, x[i], 20);
    }
}

enum { UNMASKED = __LINE__ + 3 };
static void with_another_s_mask(float *out, const float *x) {
    const int i = (int)threadIdx.x;
    out[i] = __shfl_sync(0xFFFFu, x[i], 0);
}

enum { GONE = __LINE__ + 6 };
static void after_some_are_gone(float *out, const float *x) {
    const int i = (int)threadIdx.x;
    if (i % 32 == 7) {
        return;
    }
    out[i] = __shfl_sync(0xFFFFFFFFu, x[i], 0);
}

enum { APART = __LINE__ + 7 };
static void at_two_lines(float *out, const float *x) {
    const int i = (int)threadIdx.x;
    float v;
    if (i % 32 < 5) {
        v = __shfl_sync(0xFFFFFFFFu, x[i], 0);
    } else {
        v = __shfl_sync(0xFFFFFFFFu, x[i], 0);
    }
    out[i] = v;
}

static void die_absent(void) {
    run_kernel(from_an_absent_lane, 1, COUNT);
}
static void die_unmasked(void) {
    run_kernel(with_another_s_mask, 1, COUNT);
}
static void die_gone(void) {
    run_kernel(after_some_are_gone, 1, COUNT);
}
static void die_apart(void) {
    run_kernel(at_two_lines, 1, COUNT);
}

static void shuffles_need_all_their_lanes(void) {
    CHECK_DEATH(die_absent, "a shuffle from a lane that takes no part", ABSENT);
    CHECK_DEATH(die_unmasked, "a lane waits with a mask that it is not in", UNMASKED);
    CHECK_DEATH(die_gone, "threads wait for lanes that never come", GONE);
    CHECK_DEATH(die_apart, "lanes of a warp met at different lines", APART);
}

static void shuffle_widths(float *out, const float *x) {
    const int i = (int)threadIdx.x;
    const float v = x[i];
    out[i] = __shfl_sync(0xFFFFFFFFu, v, 11, 8) + 100 * __shfl_xor_sync(0xFFFFFFFFu, v, 4, 8) +
             1e4f * __shfl_down_sync(0xFFFFFFFFu, v, 3, 8) +
             1e6f * __shfl_up_sync(0xFFFFFFFFu, v, 3, 8);
}

static float shuffled(int i) {
    const int first = i / 8 * 8;
    return (float)(first + 3) + 100 * (float)(i ^ 4) + 1e4f * (float)(i % 8 < 5 ? i + 3 : i) +
           1e6f * (float)(i % 8 >= 3 ? i - 3 : i);
}

static void shuffles_have_a_width(void) {
    CHECK_NUMBER(run_orders(shuffle_widths, 1, 32, shuffled), 0);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void reads_what_nobody_wrote(float *out, const float *) {
    GPU_SHARED(float, shared);
    out[threadIdx.x] = shared[threadIdx.x];
}

static void new_memory_is_nan(void) {
    float *x = device_counted(COUNT), *out = device_floats(COUNT);
    CHECK(isnan(fetched(out, COUNT)[COUNT - 1]));
    for (int i = 0; i < 2; i++) { /* also where another kernel wrote before */
        GPU_LAUNCH(right, 1, COUNT, COUNT * sizeof(float), NULL, x, x);
        GPU_LAUNCH(reads_what_nobody_wrote, 1, COUNT, COUNT * sizeof(float), NULL, out, x);
        CHECK(isnan(fetched(out, COUNT)[COUNT - 1]));
    }
    cudaFree(x);
    cudaFree(out);
}

enum { PAST_SHARED = __LINE__ + 3 };
static void past_shared_memory(float *out, const float *x) {
    GPU_SHARED(float, shared);
    shared[threadIdx.x + 1] = x[0];
    out[0] = x[1];
}

enum { PAST_GLOBAL = __LINE__ + 2 };
static void past_global_memory(float *out, const float *x) {
    out[threadIdx.x] = x[threadIdx.x + MOST - COUNT + 1];
}

/* A little: into what lies below it. */
static void past_its_stack(float *out, const float *x) {
    volatile char large[256 * 1024];
    large[0] = 1;
    large[sizeof large - 1] = (char)x[0];
    out[threadIdx.x] = large[0] + large[sizeof large - 1];
}

static void die_past_shared(void) {
    run_kernel(past_shared_memory, 1, COUNT);
}
static void die_past_global(void) {
    run_kernel(past_global_memory, 1, COUNT);
}
static void die_past_stack(void) {
    run_kernel(past_its_stack, 1, COUNT);
}

static void memory_has_ends(void) {
    CHECK_DEATH(die_past_shared, "heap-buffer-overflow", PAST_SHARED);
    CHECK_DEATH(die_past_global, "heap-buffer-overflow", PAST_GLOBAL);
    CHECK_DEATH(die_past_stack, "stack-overflow", 0);
}

static void stacks_have_ends(void) {
    CHECK_DEATH(die_past_stack, "", 0);
    CHECK(WIFSIGNALED(death.status) || asan() || tsan());
}

/* ---- Launches -------------------------------------------------------------------------------- */

enum { LARGE = 64 * 1024 };

static void launch_large(void) {
    float *x = device_counted(COUNT);
    GPU_LAUNCH(right, 1, COUNT, LARGE, NULL, x, x);
    cudaStreamSynchronize(NULL);
    cudaFree(x);
}

static void launch_large_as_allowed(void) {
    CHECK_NUMBER(cudaFuncSetAttribute(right, cudaFuncAttributeMaxDynamicSharedMemorySize, LARGE),
                 cudaSuccess);
    launch_large();
}

static void launch_too_wide(void) {
    run_kernel(right, 1, 1025);
}

static void launch_nothing(void) {
    run_kernel(right, 0, 32);
}

static void launch_with_the_host_s_memory(void) {
    float host[COUNT], *x = device_counted(COUNT);
    GPU_LAUNCH(right, 1, COUNT, COUNT * sizeof(float), NULL, host, x);
}

static void launches_are_looked_at(void) {
    CHECK_DEATH(launch_large, "right: more shared memory than cudaFuncSetAttribute allowed", 0);
    CHECK_LIFE(launch_large_as_allowed);
    CHECK_DEATH(launch_too_wide, "k: a grid or a block that no GPU takes", 0);
    CHECK_DEATH(launch_nothing, "k: a grid or a block that no GPU takes", 0);
    CHECK_DEATH(launch_with_the_host_s_memory, "right: a kernel is given an address that is not",
                0);
    CHECK_NUMBER(
        cudaFuncSetAttribute(right, cudaFuncAttributeMaxDynamicSharedMemorySize, 228 * 1024),
        cudaErrorInvalidValue);
    CHECK_NUMBER(cudaGetLastError(), cudaErrorInvalidValue);
}

/* ---- Orders ---------------------------------------------------------------------------------- */

/* The place in which a block came. */
static void take_a_number(float *out, const float *) {
    if (threadIdx.x == 0) {
        out[1 + blockIdx.x] = atomicAdd(&out[0], 1.0f);
    }
}

static void blocks_come_in_the_order_that_is_asked(void) {
    enum { BLOCKS = 6 };
    float places[3][BLOCKS];
    static const char *const NAMES[] = {"forward", "reverse", "3"};
    for (int i = 0; i < 3; i++) {
        float *out = device_counted(COUNT), *x = out;
        setenv("OCC_GPU_ORDER", NAMES[i], 1);
        GPU_LAUNCH(take_a_number, BLOCKS, 32, 0, NULL, out, x);
        memcpy(places[i], fetched(out, 1 + BLOCKS) + 1, sizeof places[i]);
        cudaFree(out);
    }
    unsetenv("OCC_GPU_ORDER");
    for (int i = 0; i < BLOCKS; i++) {
        CHECK_NUMBER(places[0][i], i);
        CHECK_NUMBER(places[1][i], BLOCKS - 1 - i);
    }
    CHECK(memcmp(places[2], places[0], sizeof places[0]) != 0);
}

/* ---- Races ----------------------------------------------------------------------------------- */

enum { UNSYNCED = __LINE__ + 5 };
static void without_syncwarp(float *out, const float *x) {
    GPU_SHARED(float, shared);
    const int i = (int)threadIdx.x;
    shared[i] = x[i];
    out[i] = shared[i ^ 1];
}

static void with_syncwarp(float *out, const float *x) {
    GPU_SHARED(float, shared);
    const int i = (int)threadIdx.x;
    shared[i] = x[i];
    __syncwarp();
    out[i] = shared[i ^ 1];
}

enum { TOO_EARLY = __LINE__ + 6 };
static void without_second_barrier(float *out, const float *x) {
    GPU_SHARED(float, shared);
    const int i = (int)threadIdx.x;
    float sum = 0;
    for (int k = 0; k < 3; k++) {
        shared[i] = x[i + k]; /* what others still read */
        __syncthreads();
        sum += shared[COUNT - 1 - i];
    }
    out[i] = sum;
}

enum { TOO_EARLY_LANE = __LINE__ + 6 };
static void without_second_syncwarp(float *out, const float *x) {
    GPU_SHARED(float, shared);
    const int i = (int)threadIdx.x;
    float sum = 0;
    for (int k = 0; k < 3; k++) {
        shared[i] = x[i + k];
        __syncwarp();
        sum += shared[i ^ 1];
    }
    out[i] = sum;
}

enum { COLLIDING = __LINE__ + 2 };
static void blocks_that_collide(float *out, const float *x) {
    out[threadIdx.x] = x[threadIdx.x] + (float)blockIdx.x;
}

static void blocks_that_add(float *out, const float *x) {
    atomicAdd(&out[threadIdx.x], x[threadIdx.x]);
}

/* The last block to come sums what all left. Counts begin at -1, as new memory does. */
static void last_block_sums(float *out, const float *x) {
    unsigned *count = (unsigned *)&out[MOST - 1];
    if (threadIdx.x == 0) {
        out[blockIdx.x] = x[blockIdx.x];
        __threadfence();
        if (atomicAdd(count, 1u) == gridDim.x - 2) {
            __threadfence();
            for (unsigned i = 1; i < gridDim.x; i++) {
                out[0] += out[i];
            }
        }
    }
}

static void race_unguarded(void) {
    run_kernel(without_barrier, 1, COUNT);
}
static void race_unsynced(void) {
    run_kernel(without_syncwarp, 1, COUNT);
}
static void race_early(void) {
    run_kernel(without_second_barrier, 1, COUNT);
}
static void race_early_lanes(void) {
    run_kernel(without_second_syncwarp, 1, COUNT);
}
static void race_blocks(void) {
    run_kernel(blocks_that_collide, 2, COUNT);
}
static void no_race(void) {
    run_kernel(right, 3, COUNT);
    run_kernel(with_syncwarp, 1, COUNT);
    run_kernel(shuffle_widths, 1, COUNT);
    run_kernel(count_votes, 1, COUNT);
    run_kernel(blocks_that_add, 3, COUNT);
    run_kernel(last_block_sums, 3, COUNT);
}

static void races_are_reported(void) {
    CHECK_DEATH(race_unguarded, "data race", UNGUARDED);
    CHECK_DEATH(race_unsynced, "data race", UNSYNCED);
    CHECK_DEATH(race_early, "data race", TOO_EARLY);
    CHECK_DEATH(race_early_lanes, "data race", TOO_EARLY_LANE);
    CHECK_DEATH(race_blocks, "data race", COLLIDING);
    CHECK_LIFE(no_race);
}

/* ---- The host's threads ---------------------------------------------------------------------- */

static pthread_barrier_t start;

static void *run_apart(void *wrong) {
    cudaStream_t stream;
    pthread_barrier_wait(&start);
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    for (int i = 0; i < (asan() || tsan() ? 20 : 1000); i++) {
        float host[COUNT], *x = device_floats(COUNT);
        for (int k = 0; k < COUNT; k++) {
            host[k] = (float)k;
        }
        cudaMemcpyAsync(x, host, sizeof host, cudaMemcpyHostToDevice, stream);
        GPU_LAUNCH(right, 1, COUNT, sizeof host, stream, x, x);
        cudaMemcpyAsync(host, x, sizeof host, cudaMemcpyDeviceToHost, stream);
        for (int k = 0; k < COUNT; k++) {
            *(int *)wrong += host[k] != reversed(k);
        }
        cudaFreeAsync(x, stream);
    }
    cudaStreamSynchronize(stream);
    cudaStreamDestroy(stream);
    return NULL;
}

static void threads_of_the_host_may_launch(void) {
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    int wrong[THREADS] = {0};
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        CHECK_NUMBER(pthread_create(&threads[i], NULL, run_apart, &wrong[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        CHECK_NUMBER(wrong[i], 0);
    }
    pthread_barrier_destroy(&start);
}

int main(void) {
    /* Processes of their own first: ThreadSanitizer is blind in those of who had threads. */
    RUN(barriers_that_differ_are_named);
    RUN(a_barrier_that_some_never_reach_is_named);
    RUN(shuffles_need_all_their_lanes);
    RUN(stacks_have_ends);
    RUN(launches_are_looked_at);
    if (asan()) {
        RUN(memory_has_ends);
    }
    if (tsan()) {
        RUN(races_are_reported);
    } else {
        RUN(a_barrier_that_is_missing_shows_in_each_order);
    }
    RUN(right_is_right);
    RUN(blocks_count_votes);
    RUN(shuffles_have_a_width);
    RUN(new_memory_is_nan);
    RUN(blocks_come_in_the_order_that_is_asked);
    RUN(threads_of_the_host_may_launch);
    return test_finish();
}
