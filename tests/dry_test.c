/* The device that computes nothing: it has every operation, counts what it is asked for, and a step
 * on it takes what one on the processor does. */
#include "compress/dry.h"

#include "tests/trained.h"

static void it_has_every_operation(void) {
    struct device *d = NULL;
    void (*const none)(void) = NULL;
    CHECK_NUMBER(dry_open(&d, tested_backend(), DTYPE_F32, NULL), 0);
    const char *table = (const char *)d->ops;
    for (size_t i = 0; i < sizeof(struct ops); i += sizeof none) {
        if (!CHECK(memcmp(table + i, &none, sizeof none) != 0)) {
            printf("# entry %zu\n", i / sizeof none);
        }
    }
    dry_close(d);
}

/* More than any machine has. */
static void memory_is_counted_and_not_taken(void) {
    struct device *d = NULL;
    CHECK_NUMBER(dry_open(&d, tested_backend(), DTYPE_F32, NULL), 0);
    struct tensor large = tensor_matrix(NULL, DTYPE_F32, NULL, 1 << 20, 1 << 20);
    struct tensor small = tensor_vector(NULL, DTYPE_BF16, NULL, 33);
    CHECK_NUMBER(d->ops->alloc(d, &large, NULL), 0);
    CHECK_NUMBER(d->ops->alloc(d, &small, NULL), 0);
    CHECK_NUMBER(d->bytes, ((size_t)4 << 40) + 128);
    d->ops->release(d, &large);
    CHECK(large.data == NULL);
    CHECK_NUMBER(d->bytes, 128);
    d->ops->release(d, &small);
    d->ops->release(d, &small); /* of nothing */
    CHECK_NUMBER(d->bytes, 0);
    CHECK_NUMBER(d->peak_bytes, ((size_t)4 << 40) + 128);
    dry_close(d);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

enum { ROWS = 300, WIDTH = 40, HIDDEN = 120, DEPTH = 4 };

static struct node *block(struct tape *t, struct node *x, int64_t i, const void *context) {
    struct node *const *weights = context;
    (void)i;
    struct node *y = tape_gelu(t, tape_linear(t, x, weights[0], NULL));
    return tape_add(t, x, tape_linear(t, y, weights[1], NULL));
}

/* Most bytes of a step of a network. */
static size_t peak_on(struct device *d, const struct tape_options *options) {
    struct tensor tensors[] = {tensor_matrix(NULL, DTYPE_F32, NULL, ROWS, WIDTH),
                               tensor_matrix(NULL, DTYPE_F32, NULL, HIDDEN, WIDTH),
                               tensor_matrix(NULL, DTYPE_F32, NULL, WIDTH, HIDDEN),
                               tensor_matrix(NULL, DTYPE_F32, NULL, ROWS, WIDTH)};
    struct tape *t = NULL;
    for (int i = 0; i < 4; i++) {
        CHECK_NUMBER(d->ops->alloc(d, &tensors[i], NULL), 0);
        CHECK_NUMBER(d->ops->fill(d, &tensors[i], 0.5f, NULL), 0);
    }
    CHECK_NUMBER(tape_open(&t, d, options, NULL), 0);
    const struct tensor own = {.data = NULL}; /* gradients are the tape's */
    tape_begin(t);
    struct node *weights[] = {tape_parameter(t, &tensors[1], NULL, &own, &tensors[1]),
                              tape_parameter(t, &tensors[2], NULL, &own, &tensors[2])};
    struct node *x = tape_input(t, &tensors[0], NULL);
    x = tape_blocks(t, x, DEPTH, block, weights, sizeof weights);
    tape_backward_from(t, x, &tensors[3]);
    CHECK_NUMBER(tape_backward(t, NULL), 0);
    size_t peak = tape_peak(t);
    tape_close(t);
    for (int i = 0; i < 4; i++) {
        d->ops->release(d, &tensors[i]);
    }
    return peak;
}

static void a_step_takes_what_it_takes_on_the_processor(void) {
    size_t last = SIZE_MAX;
    for (int recompute = RECOMPUTE_NONE; recompute <= RECOMPUTE_BLOCK; recompute++) {
        const struct tape_options options = {.storage = DTYPE_F32,
                                             .recompute = (enum tape_recompute)recompute};
        struct device *cpu = tested_device_open(DTYPE_F32), *dry = NULL;
        CHECK_NUMBER(dry_open(&dry, tested_backend(), DTYPE_F32, NULL), 0);
        size_t peak = peak_on(cpu, &options);
        CHECK_NUMBER(peak_on(dry, &options), peak);
        printf("# recompute %s: %zu bytes\n", TAPE_RECOMPUTE_NAMES[recompute], peak);
        CHECK(peak > 0 && peak < last);
        last = peak;
        dry_close(dry);
        device_close(cpu);
    }
}

int main(void) {
    RUN(it_has_every_operation);
    RUN(memory_is_counted_and_not_taken);
    RUN(a_step_takes_what_it_takes_on_the_processor);
    return test_finish();
}
