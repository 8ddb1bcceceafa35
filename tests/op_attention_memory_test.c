/* op_attention_memory_test.c - what attention and its backward pass take grows with the tokens, not
 * with their square, and hardly with the threads. */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

enum { TOKENS = 8192, DIM = 64, HEADS = 2, THREADS = 16, TENSORS = 7 };
#define MOST_BYTES ((size_t)64 << 20)
/* Of a GPU, which has only numbers of each token in memory: few enough to be emulated. */
enum { GPU_TOKENS = 1024 };
#define MOST_GPU_BYTES ((size_t)1 << 20)
#define THREAD_BYTES ((size_t)12 << 20) /* a thread's own */

static void check_memory(struct device *d, int64_t tokens, size_t most) {
    struct array *logs = array_new(d, DTYPE_F32, 0, TENSOR_SHAPE(1, 1, HEADS, tokens));
    struct array *arrays[TENSORS]; /* q, k, v, out, dq, dk, dv */
    struct tensor t[TENSORS];
    const struct attention_options options = {.causal = true};
    for (int i = 0; i < TENSORS; i++) {
        const double deviation = i < 3 ? 1 : 0;
        arrays[i] =
            array_random(d, DTYPE_F32, 0, TENSOR_SHAPE(1, 1, tokens, HEADS * DIM), deviation);
        t[i] = tensor_heads(&arrays[i]->t, 1, 0, HEADS, DIM);
    }
    size_t before = d->bytes;
    CHECK_NUMBER(d->ops->attention(d, &t[3], &logs->t, &t[0], &t[1], &t[2], &options, NULL), 0);
    CHECK_NUMBER(d->ops->attention_backward(d, &t[4], &t[5], &t[6], NULL, NULL, &t[0], &t[1], &t[2],
                                            &t[3], &logs->t, &t[3], &options, NULL),
                 0);
    CHECK(d->peak_bytes > before && d->peak_bytes - before < most);
    printf("# %s, products in %s: %d KiB for %d tokens\n", op_device, op_compute,
           (int)((d->peak_bytes - before) >> 10), (int)tokens);
    const double *got = array_read(arrays[3]);
    CHECK_NEAR(got[1], arrays[2]->values[1], 1e-2); /* the first token sees itself alone */
    arrays_release();
}

static void check_alone(struct device *d) {
    check_memory(d, TOKENS, MOST_BYTES);
}

/* Scores of one head would be twice as much in BF16. */
static void check_gpu(struct device *d) {
    check_memory(d, GPU_TOKENS, MOST_GPU_BYTES);
}

/* With sums for each of the pieces that so many threads take it would be twice as much. */
static void check_team(struct device *d) {
    check_memory(d, TOKENS, MOST_BYTES + THREADS * THREAD_BYTES);
}

static void memory_grows_with_the_tokens(void) {
    for (int bf16 = 0; bf16 < 2; bf16++) {
        op_run("cpu", NULL, bf16 == 1 ? DTYPE_BF16 : DTYPE_F32, check_alone);
        op_run("cuda", NULL, bf16 == 1 ? DTYPE_BF16 : DTYPE_F32, check_gpu);
    }
}

static void and_hardly_with_the_threads(void) {
    op_run_team(THREADS, DTYPE_F32, check_team);
}

int main(void) {
    RUN(memory_grows_with_the_tokens);
    RUN(and_hardly_with_the_threads);
    return test_finish();
}
