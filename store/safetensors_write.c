/* safetensors_write.c - writing: see safetensors.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/file.h"
#include "store/json.h"
#include "store/safetensors.h"

enum { ALIGNMENT = 64 };

static int by_size_then_name(const void *a, const void *b) {
    const struct safetensor *x = *(const struct safetensor *const *)a;
    const struct safetensor *y = *(const struct safetensor *const *)b;
    size_t size_x = dtype_size(x->type), size_y = dtype_size(y->type);
    return size_x != size_y ? (size_x > size_y ? -1 : 1) : strcmp(x->name, y->name);
}

/* NULL: out of memory. */
static json_t *entry_of(const struct safetensor *t, size_t begin) {
    json_t *shape = json_array();
    for (int i = 0; i < t->rank; i++) {
        if (json_array_append_new(shape, json_integer(t->shape[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype_name(t->type), "shape", shape,
                     "data_offsets", (json_int_t)begin, (json_int_t)(begin + t->bytes));
}

/* Appends the length and the padded header. */
static int make_header(struct bytes *out, const struct safetensor *const *order, size_t count,
                       const json_t *metadata, struct error *e) {
    json_t *header = json_object();
    size_t end = 0;
    bool whole = header != NULL;
    if (metadata != NULL) {
        whole =
            whole && json_object_set(header, "__metadata__", (json_t *)(uintptr_t)metadata) == 0;
    }
    for (size_t i = 0; i < count && whole; i++) {
        if (i > 0 && strcmp(order[i]->name, order[i - 1]->name) == 0) {
            json_decref(header);
            return error_set(e, ERR_USAGE, "%s: appears twice", order[i]->name);
        }
        whole = json_object_set_new(header, order[i]->name, entry_of(order[i], end)) == 0;
        end += order[i]->bytes;
    }
    if (!whole) {
        json_decref(header);
        return error_set(e, ERR_FORMAT, "a tensor's name is not UTF-8, or out of memory");
    }
    unsigned char length[8] = {0};
    int rc = bytes_append(out, length, sizeof length, e);
    if (rc == 0) {
        rc = json_append(out, header, e);
    }
    json_decref(header);
    while (rc == 0 && out->size % ALIGNMENT != 0) {
        rc = bytes_append(out, " ", 1, e);
    }
    for (int i = 0; i < 8 && rc == 0; i++) {
        out->data[i] = (unsigned char)((out->size - 8) >> 8 * i);
    }
    return rc;
}

/* The tensors in the order of their data, the caller's to free; the header is in *header. */
static const struct safetensor **arrange(struct bytes *header, const struct safetensor *tensors,
                                         size_t count, const json_t *metadata, struct error *e) {
    const struct safetensor **order = calloc(count + 1, sizeof *order);
    if (order == NULL) {
        error_memory(e, NULL);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        order[i] = &tensors[i];
    }
    qsort(order, count, sizeof *order, by_size_then_name);
    if (make_header(header, order, count, metadata, e) < 0) {
        free(order);
        return NULL;
    }
    return order;
}

int safetensors_append(struct bytes *out, const struct safetensor *tensors, size_t count,
                       const json_t *metadata, struct error *e) {
    struct error local;
    struct bytes header;
    e = e != NULL ? e : &local;
    bytes_init(&header, SAFETENSORS_HEADER);
    const struct safetensor **order = arrange(&header, tensors, count, metadata, e);
    int rc = order != NULL ? bytes_append(out, header.data, header.size, e) : e->code;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = bytes_append(out, order[i]->data, order[i]->bytes, e);
    }
    free(order);
    bytes_close(&header);
    return rc;
}

int safetensors_write(const char *path, const struct safetensor *tensors, size_t count,
                      const json_t *metadata, struct error *e) {
    struct error local;
    struct bytes header;
    struct output_file file;
    e = e != NULL ? e : &local;
    bytes_init(&header, SAFETENSORS_HEADER);
    const struct safetensor **order = arrange(&header, tensors, count, metadata, e);
    int rc = order != NULL ? output_file_open(&file, path, e) : e->code;
    if (rc == 0) {
        rc = file_write(file.fd, header.data, header.size, NULL, e);
        for (size_t i = 0; i < count && rc == 0; i++) {
            rc = file_write(file.fd, order[i]->data, order[i]->bytes, NULL, e);
        }
        if (rc == 0) {
            rc = output_file_commit(&file, e);
        } else {
            output_file_discard(&file);
        }
    }
    free(order);
    bytes_close(&header);
    return rc;
}

/* ---- One by one --------------------------------------------------------------------------- */

struct safetensors_writer {
    const struct safetensor *tensors;
    const struct safetensor **order;
    size_t *begins; /* of the data of each tensor, in the file */
    struct output_file file;
    bool is_open;
};

static int open_file(struct safetensors_writer *w, const char *path, size_t count,
                     const json_t *metadata, struct error *e) {
    struct bytes header;
    bytes_init(&header, SAFETENSORS_HEADER);
    int rc = make_header(&header, w->order, count, metadata, e);
    size_t end = header.size;
    for (size_t i = 0; i < count; i++) {
        w->begins[w->order[i] - w->tensors] = end;
        end += w->order[i]->bytes;
    }
    if (rc == 0) {
        rc = output_file_open(&w->file, path, e);
        w->is_open = rc == 0;
    }
    if (rc == 0) {
        rc = file_write(w->file.fd, header.data, header.size, NULL, e);
    }
    bytes_close(&header);
    return rc;
}

int safetensors_writer_open(struct safetensors_writer **out, const char *path,
                            const struct safetensor *tensors, size_t count, const json_t *metadata,
                            struct error *e) {
    struct safetensors_writer *w = *out = calloc(1, sizeof *w);
    if (w == NULL) {
        return error_memory(e, NULL);
    }
    w->tensors = tensors;
    w->order = calloc(count + 1, sizeof *w->order);
    w->begins = calloc(count + 1, sizeof *w->begins);
    int rc = ERR_MEMORY;
    if (w->order == NULL || w->begins == NULL) {
        error_memory(e, NULL);
    } else {
        for (size_t i = 0; i < count; i++) {
            w->order[i] = &tensors[i];
        }
        qsort(w->order, count, sizeof *w->order, by_size_then_name);
        rc = open_file(w, path, count, metadata, e);
    }
    if (rc < 0) {
        safetensors_writer_close(w);
        *out = NULL;
    }
    return rc;
}

int safetensors_writer_put(struct safetensors_writer *w, size_t index, const void *data,
                           const volatile sig_atomic_t *cancel, struct error *e) {
    if (lseek(w->file.fd, (off_t)w->begins[index], SEEK_SET) < 0) {
        return error_errno(e, errno, "%s", w->file.path);
    }
    return file_write(w->file.fd, data, w->tensors[index].bytes, cancel, e);
}

int safetensors_writer_commit(struct safetensors_writer *w, struct error *e) {
    int rc = output_file_commit(&w->file, e);
    w->is_open = false;
    safetensors_writer_close(w);
    return rc;
}

void safetensors_writer_close(struct safetensors_writer *w) {
    if (w == NULL) {
        return;
    }
    if (w->is_open) {
        output_file_discard(&w->file);
    }
    free(w->order);
    free(w->begins);
    free(w);
}
