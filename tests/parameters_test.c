/* Parameters: what memory they take where they are trained and where they are frozen, files that
 * they come from and go to, and how they come onto a tape. */
#include <unistd.h>

#include "store/safetensors.h"
#include "tests/trained.h"

static char path[] = "parameters-XXXXXX";

static const struct tensor_spec TENSORS[] = {
    {.name = "matrix",
     .rank = 2,
     .shape = {3, 5},
     .rows = 3,
     .kind = TENSOR_MATRIX,
     .deviation = 0.5,
     .trainable = true,
     .shipped = true},
    {.name = "table",
     .rank = 2,
     .shape = {4, 2},
     .rows = 4,
     .kind = TENSOR_TABLE,
     .deviation = 0.02,
     .trainable = true,
     .shipped = true},
    {.name = "gain",
     .rank = 1,
     .shape = {6},
     .rows = 1,
     .kind = TENSOR_GAIN,
     .constant = 1,
     .trainable = true,
     .shipped = true},
    {.name = "unused", .rank = 1, .shape = {6}, .rows = 1, .optional = true}};
enum { MATRIX, TABLE, GAIN, TENSOR_COUNT };

static struct parameters *open_all(struct device *d, bool trainable) {
    struct parameters *p = NULL;
    CHECK_NUMBER(parameters_open(&p, d, NULL), 0);
    for (size_t i = 0; i < sizeof TENSORS / sizeof *TENSORS; i++) {
        struct tensor_spec spec = TENSORS[i];
        spec.trainable = trainable;
        CHECK_NUMBER(parameters_take(p, &spec, NULL), 0);
    }
    CHECK_NUMBER(parameters_count(p), TENSOR_COUNT); /* without the optional one */
    return p;
}

static int read_value(void *context, size_t i, float *values, struct error *e) {
    return parameters_read(context, i, values, e);
}

/* A file of random weights in the type. */
static void write_file(enum dtype type) {
    struct device *d = tested_device_open(DTYPE_F32);
    struct parameters *p = open_all(d, true);
    struct safetensor tensors[TENSOR_COUNT];
    uint16_t data[TENSOR_COUNT][16];
    float numbers[16];
    CHECK_NUMBER(parameters_allocate(p, NULL), 0);
    CHECK_NUMBER(parameters_fill(p, 7, NULL), 0);
    CHECK_NUMBER(parameters_write(path, TENSORS, TENSOR_COUNT, read_value, p, NULL, NULL), 0);
    for (size_t i = 0; i < TENSOR_COUNT && type == DTYPE_BF16; i++) {
        size_t count = (size_t)tensor_spec_count(&TENSORS[i]);
        CHECK_NUMBER(parameters_read(p, i, numbers, NULL), 0);
        dtype_from_float(data[i], type, numbers, count);
        tensors[i] = (struct safetensor){.name = TENSORS[i].name,
                                         .type = type,
                                         .rank = TENSORS[i].rank,
                                         .data = data[i],
                                         .bytes = count * sizeof(uint16_t)};
        memcpy(tensors[i].shape, TENSORS[i].shape, sizeof TENSORS[i].shape);
    }
    if (type == DTYPE_BF16) {
        CHECK_NUMBER(safetensors_write(path, tensors, TENSOR_COUNT, NULL, NULL), 0);
    }
    parameters_close(p);
    device_close(d);
}

static void what_is_written_is_loaded(void) {
    struct device *d = tested_device_open(DTYPE_F32);
    struct parameters *p = open_all(d, true);
    struct safetensors *file = NULL;
    write_file(DTYPE_F32);
    CHECK_NUMBER(parameters_allocate(p, NULL), 0);
    CHECK_NUMBER(parameters_load(p, path, NULL), 0);
    CHECK_NUMBER(safetensors_open(&file, path, NULL), 0);
    for (size_t i = 0; i < TENSOR_COUNT; i++) {
        const struct safetensor *t = safetensors_find(file, TENSORS[i].name);
        const struct parameter *one = parameters_get(p, i);
        CHECK(t != NULL && t->rank == TENSORS[i].rank);
        CHECK(memcmp(t->data, trained_numbers(&one->value), t->bytes) == 0);
        CHECK_NUMBER(parameters_index(p, parameters_find(p, TENSORS[i].name)), i);
    }
    CHECK(parameters_find(p, "unused") == NULL);
    CHECK(trained_numbers(&parameters_get(p, GAIN)->value)[5] == 1);
    safetensors_close(file);
    parameters_close(p);
    CHECK_NUMBER(d->bytes, 0);
    device_close(d);
}

static void what_is_missing_is_named_or_counted(void) {
    struct device *d = tested_device_open(DTYPE_F32);
    struct parameters *p = open_all(d, true);
    struct tensor_spec turned = TENSORS[MATRIX];
    struct safetensors *file = NULL;
    struct error e = {0};
    size_t missing;
    CHECK_NUMBER(parameters_allocate(p, NULL), 0);
    CHECK_NUMBER(parameters_write(path, TENSORS, TABLE, read_value, p, NULL, NULL), 0);
    CHECK_NUMBER(parameters_load(p, path, &e), ERR_FORMAT);
    CHECK(strstr(e.text, path) != NULL && strstr(e.text, "table is missing") != NULL);
    turned.shape[0] = 5;
    turned.shape[1] = 3;
    CHECK_NUMBER(parameters_write(path, &turned, 1, read_value, p, NULL, NULL), 0);
    CHECK_NUMBER(parameters_load(p, path, &e), ERR_FORMAT);
    CHECK(strstr(e.text, "matrix is of another shape") != NULL);
    CHECK_NUMBER(safetensors_open(&file, path, NULL), 0);
    CHECK_NUMBER(parameters_load_some(p, file, path, &missing, NULL), 0);
    CHECK_NUMBER(missing, TENSOR_COUNT);
    CHECK_NUMBER(parameters_add(p, &TENSORS[GAIN], &e), ERR_FORMAT);
    CHECK_TEXT(e.text, "two parameters are called gain");
    safetensors_close(file);
    parameters_close(p);
    device_close(d);
}

/* Frozen, they take no memory where the file has them as the device reads them, if it reads the
 * host's memory: `bytes`. */
static void check_frozen(enum dtype compute, enum dtype type, const bool mapped[TENSOR_COUNT],
                         size_t bytes) {
    const size_t all = (compute == DTYPE_BF16 ? 15 * 2 : 15 * 4) + (8 + 6) * 4;
    struct device *d = tested_device_open(compute);
    struct safetensors *file = NULL;
    struct gradients g;
    size_t missing;
    if (d == NULL) {
        printf("# no bf16 products on this processor\n");
        return;
    }
    write_file(type);
    struct parameters *p = open_all(d, false);
    CHECK_NUMBER(safetensors_open(&file, path, NULL), 0);
    parameters_map(p, file);
    CHECK_NUMBER(parameters_allocate(p, NULL), 0);
    CHECK_NUMBER(parameters_load_some(p, file, path, &missing, NULL), 0);
    CHECK_NUMBER(missing, 0);
    const bool maps = d->backend->host_memory;
    CHECK_NUMBER(parameters_bytes(p), maps ? bytes : all);
    for (size_t i = 0; i < TENSOR_COUNT; i++) {
        const struct parameter *one = parameters_get(p, i);
        const struct safetensor *t = safetensors_find(file, TENSORS[i].name);
        float own[16], wanted[16];
        CHECK(one->mapped == (mapped[i] && maps));
        CHECK((one->value.data == t->data) == one->mapped);
        CHECK(one->bf16.data == NULL);
        CHECK_NUMBER(parameters_read(p, i, own, NULL), 0);
        CHECK_NUMBER(safetensors_floats(file, t, wanted, NULL), 0);
        for (int64_t k = 0; k < tensor_spec_count(&TENSORS[i]); k++) {
            CHECK_NEAR((double)own[k], (double)wanted[k], 0.004);
        }
    }
    CHECK_NUMBER(gradients_bytes(p), 0);
    CHECK_NUMBER(gradients_open(&g, p, d, NULL), 0);
    CHECK(g.list[MATRIX].data == NULL);
    gradients_close(&g);
    parameters_close(p);
    safetensors_close(file);
    device_close(d);
}

static void frozen_ones_lie_in_their_file(void) {
    check_frozen(DTYPE_F32, DTYPE_F32, (const bool[]){true, true, true}, 0);
    /* products in F32 of a file in BF16: copies, except of tables, of which any float is read */
    check_frozen(DTYPE_F32, DTYPE_BF16, (const bool[]){false, true, false}, (15 + 6) * 4);
    check_frozen(DTYPE_BF16, DTYPE_BF16, (const bool[]){true, true, false}, 6 * 4);
    check_frozen(DTYPE_BF16, DTYPE_F32, (const bool[]){false, true, true}, 15 * 2);
}

static void trained_ones_have_a_copy_for_products_alone(void) {
    struct device *d = tested_device_open(DTYPE_BF16);
    if (d == NULL) {
        printf("# no bf16 products on this processor\n");
        return;
    }
    struct parameters *p = open_all(d, true);
    CHECK_NUMBER(parameters_bytes(p), (15 + 8 + 6) * 4 + 15 * 2);
    CHECK_NUMBER(gradients_bytes(p), (15 + 8 + 6) * 4);
    CHECK_NUMBER(parameters_allocate(p, NULL), 0);
    CHECK_NUMBER(parameters_fill(p, 1, NULL), 0);
    const struct parameter *matrix = parameters_get(p, MATRIX);
    CHECK(matrix->bf16.data != NULL && parameters_get(p, TABLE)->bf16.data == NULL);
    const float *value = trained_numbers(&matrix->value);
    uint16_t copy[15];
    tested_download(copy, &matrix->bf16);
    for (int i = 0; i < 15; i++) {
        CHECK(copy[i] == bf16_of(value[i]));
    }
    parameters_close(p);
    device_close(d);
}

static void names_that_are_not_there_fail_the_tape(void) {
    struct device *d = tested_device_open(DTYPE_F32);
    struct parameters *p = open_all(d, true);
    struct tape *t = NULL;
    struct error e = {0};
    CHECK_NUMBER(parameters_allocate(p, NULL), 0);
    CHECK_NUMBER(tape_open(&t, d, &(struct tape_options){.storage = DTYPE_F32}, NULL), 0);
    const struct tape_source source = parameters_source(p);
    tape_begin(t);
    CHECK(tape_named(&source, t, "%s", "matrix") != NULL);
    CHECK(tape_named(&source, t, "ma%s", "trox") == NULL);
    CHECK_NUMBER(tape_status(t, &e), ERR_FORMAT);
    CHECK_TEXT(e.text, "no parameter is called matrox");
    tape_close(t);
    parameters_close(p);
    device_close(d);
}

int main(void) {
    int fd = mkstemp(path);
    if (fd < 0 || close(fd) != 0) {
        return 1;
    }
    RUN(what_is_written_is_loaded);
    RUN(what_is_missing_is_named_or_counted);
    RUN(frozen_ones_lie_in_their_file);
    RUN(trained_ones_have_a_copy_for_products_alone);
    RUN(names_that_are_not_there_fail_the_tape);
    unlink(path);
    return test_finish();
}
