/* reader_file.h - for tests: files of a tiny reading head, with random weights or with maps whose
 * results are known. They hold no encoder. */
#ifndef OCC_TESTS_READER_FILE_H
#define OCC_TESTS_READER_FILE_H

#include <math.h>

#include "compress/model.h"
#include "compress/reader.h"
#include "tests/cpu_backend.h"
#include "tests/test.h"

/* MEANS: two tokens merge to their mean, and a token unmerges to two of itself. */
enum reader_maps { MAPS_NONE, MAPS_RANDOM, MAPS_MEANS };

struct reader_file {
    int64_t dim;
    enum reader_maps maps;
    const struct reading_config *config; /* NULL: READER_CONFIG */
    const char *metadata;                /* NULL: what belongs to READER_CONFIG */
    const char *left_out;                /* a tensor; NULL: none */
    const char *reshaped;                /* likewise: one that lacks its last row */
    const double
        *presence; /* that a column of a cell has a character, whatever the token; or NULL */
};

static const char READER_METADATA[] =
    "{\"channels\":2,\"hidden\":6,\"embedding\":4,"
    "\"alphabet\":[\"\\uFFFD\",\"a\",\"b\",\"\\u00e9\",\"\\u4e2d\"]}";
static const struct reading_config READER_CONFIG = {
    .channels = 2, .hidden = 6, .embedding = 4, .reach = READING_OLD_REACH, .classes = 5};

enum { READER_FILE_TENSORS = 32 };
struct reader_writing {
    const struct reader_file *file;
    struct safetensor tensors[READER_FILE_TENSORS];
    float *values[READER_FILE_TENSORS];
    char names[READER_FILE_TENSORS][CONFIG_NAME];
    size_t count;
};

/* (dim, 2 dim) halves of merges, (2 dim, dim) ones of unmerges. */
static inline void fill_means(float *values, const struct tensor_spec *t) {
    bool merge = t->name[0] == 'm';
    int64_t inputs = t->shape[1], dim = merge ? t->shape[0] : inputs;
    for (int64_t i = 0; i < t->shape[0] && t->rank == 2; i++) {
        for (int64_t k = 0; k < inputs; k++) {
            values[i * inputs + k] = i % dim != k % dim ? 0 : merge ? 0.5f : 1;
        }
    }
}

static inline void fill_presence(float *values, const struct tensor_spec *t,
                                 const double *presence) {
    for (int i = 0; i < READING_COLUMNS && t->rank == 1; i++) {
        values[2 * i + 1] = (float)log(presence[i] / (1 - presence[i]));
    }
}

static inline int reader_tensor(void *context, const struct tensor_spec *t, struct error *e) {
    struct reader_writing *w = context;
    (void)e;
    int64_t shape[2] = {t->shape[0], t->rank > 1 ? t->shape[1] : 1};
    if (w->file->left_out != NULL && strcmp(t->name, w->file->left_out) == 0) {
        return 0;
    }
    float *values = calloc((size_t)(shape[0] * shape[1]), sizeof *values);
    if (values == NULL || w->count == READER_FILE_TENSORS) {
        exit(1);
    }
    bool map = strstr(t->name, "merge.") != NULL;
    if (map && w->file->maps == MAPS_MEANS) {
        fill_means(values, t);
    } else if (strstr(t->name, ".presence.") != NULL && w->file->presence != NULL) {
        fill_presence(values, t, w->file->presence);
    } else {
        model_fill(values, t, w->count + 1);
    }
    bool reshaped = w->file->reshaped != NULL && strcmp(t->name, w->file->reshaped) == 0;
    snprintf(w->names[w->count], CONFIG_NAME, "%s", t->name);
    w->values[w->count] = values;
    w->tensors[w->count] =
        (struct safetensor){.name = w->names[w->count],
                            .type = DTYPE_F32,
                            .rank = t->rank,
                            .shape = {shape[0] - reshaped, t->rank > 1 ? shape[1] : 0},
                            .data = values,
                            .bytes = (size_t)((shape[0] - reshaped) * shape[1]) * sizeof *values};
    w->count++;
    return 0;
}

static inline void reader_file_write(const char *path, const struct reader_file *file) {
    struct reader_writing w = {.file = file};
    struct error e = {0};
    json_t *metadata = json_pack("{s:s}", READING_METADATA,
                                 file->metadata != NULL ? file->metadata : READER_METADATA);
    int rc = reading_tensors(file->config != NULL ? file->config : &READER_CONFIG, "reader.",
                             file->dim, READING_ROWS, READING_STEPS, reader_tensor, &w, &e);
    rc = rc == 0 && file->maps != MAPS_NONE ? merge_tensors(file->dim, reader_tensor, &w, &e) : rc;
    if (rc == 0) {
        rc = safetensors_write(path, w.tensors, w.count, metadata, &e);
    }
    if (!CHECK_NUMBER(rc, 0)) {
        printf("# %s\n", e.text);
        exit(1);
    }
    for (size_t i = 0; i < w.count; i++) {
        free(w.values[i]);
    }
    json_decref(metadata);
}

/* The reader of such a file, in F32. */
static inline struct reader *reader_of(const char *path, const struct reader_file *file) {
    struct reader *r = NULL;
    struct error e = {0};
    reader_file_write(path, file);
    if (!CHECK_NUMBER(reader_open(&r, path, cpu_backend(), DTYPE_F32, &e), 0)) {
        printf("# %s\n", e.text);
        exit(1);
    }
    return r;
}

#endif
