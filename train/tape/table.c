/* table.c - index tables that depend on shapes alone: made once, kept on the device. */
#include <stdlib.h>
#include <string.h>

#include "train/tape/state.h"

struct index_table {
    struct index_table *next;
    tape_table_fill *fill;
    int64_t shape[TAPE_TABLE_SHAPE];
    struct tensor value;
};

static struct index_table *find(const struct tape *t, tape_table_fill *fill, int64_t count,
                                const int64_t shape[TAPE_TABLE_SHAPE]) {
    struct index_table *one = t->tables;
    while (one != NULL && (one->fill != fill || tensor_count(&one->value) != count ||
                           memcmp(one->shape, shape, sizeof one->shape) != 0)) {
        one = one->next;
    }
    return one;
}

/* On the device what `fill` gives on the host. */
static int make(struct tape *t, struct index_table *one, int64_t count, struct error *e) {
    int32_t *numbers = calloc((size_t)count, sizeof *numbers);
    if (numbers == NULL) {
        return error_memory(e, "an index table");
    }
    one->fill(numbers, count, one->shape);
    const struct tensor host = tensor_vector(numbers, DTYPE_I32, NULL, count);
    one->value = tensor_vector(NULL, DTYPE_I32, NULL, count);
    int rc = t->ops->alloc(t->device, &one->value, e);
    if (rc == 0) {
        rc = t->ops->upload(t->device, &one->value, &host, e);
    }
    if (rc == 0) {
        rc = t->ops->synchronize(t->device, e);
    }
    free(numbers);
    return rc;
}

struct tensor tape_table(struct tape *t, tape_table_fill *fill, int64_t count,
                         const int64_t shape[TAPE_TABLE_SHAPE]) {
    const struct tensor none = {.data = NULL};
    struct index_table *one = t->rc == 0 ? find(t, fill, count, shape) : NULL;
    if (one != NULL || t->rc < 0) {
        return one != NULL ? one->value : none;
    }
    one = calloc(1, sizeof *one);
    if (one == NULL) {
        tape_check(t, error_memory(&t->error, "an index table"));
        return none;
    }
    one->fill = fill;
    memcpy(one->shape, shape, sizeof one->shape);
    int rc = make(t, one, count, &t->error);
    if (rc < 0) {
        tape_check(t, rc);
        t->ops->release(t->device, &one->value);
        free(one);
        return none;
    }
    one->next = t->tables;
    t->tables = one;
    return one->value;
}

void tape_tables_close(struct tape *t) {
    while (t->tables != NULL) {
        struct index_table *first = t->tables;
        t->tables = first->next;
        t->ops->release(t->device, &first->value);
        free(first);
    }
}
