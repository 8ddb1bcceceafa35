/* reader.c - opening a reading head, its memory, and merging. */
#include "compress/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compress/reader_state.h"

static const char *const NAMES[READER_MATRICES] = {
    [READER_UNFOLD] = "reader.unfold",     [READER_MIX] = "reader.mix",
    [READER_PRESENCE] = "reader.presence", [READER_CHARACTER] = "reader.character",
    [READER_CLASS] = "reader.class",       [READER_MERGE_COLUMNS] = "merge.columns",
    [READER_MERGE_ROWS] = "merge.rows",    [READER_UNMERGE_COLUMNS] = "unmerge.columns",
    [READER_UNMERGE_ROWS] = "unmerge.rows"};

/* ---- Loading --------------------------------------------------------------------------- */

struct loading {
    struct reader *r;
    const char *path;
};

static int matrix_named(const char *name) {
    for (int i = 0; i < READER_MATRICES; i++) {
        size_t length = strlen(NAMES[i]);
        if (strncmp(name, NAMES[i], length) == 0 && strcmp(name + length, ".weight") == 0) {
            return i;
        }
    }
    return -1;
}

/* The tensor as floats, malloc's; NULL: failed. */
static float *read_tensor(const struct loading *l, const struct tensor_spec *t, struct error *e) {
    const struct safetensor *found = safetensors_find(l->r->file, t->name);
    size_t count = 1;
    for (int i = 0; i < t->rank; i++) {
        count *= (size_t)t->shape[i];
    }
    if (found == NULL || found->rank != t->rank ||
        memcmp(found->shape, t->shape, (size_t)t->rank * sizeof *t->shape) != 0) {
        error_set(e, ERR_FORMAT, "%s: %s is %s", l->path, t->name,
                  found == NULL ? "missing" : "of another shape");
        return NULL;
    }
    float *values = malloc(count * sizeof *values);
    if (values == NULL) {
        error_set(e, ERR_MEMORY, "out of memory");
        return NULL;
    }
    if (safetensors_floats(l->r->file, found, values, e) < 0) {
        error_context(e, "%s", l->path);
        free(values);
        return NULL;
    }
    return values;
}

/* Weights come before their bias, and are packed with it. */
static int load_matrix(void *context, const struct tensor_spec *t, struct error *e) {
    struct loading *l = context;
    int index = matrix_named(t->name);
    if (index < 0) {
        return 0;
    }
    struct tensor_spec bias = {.rank = 1, .shape = {t->shape[0]}};
    snprintf(bias.name, sizeof bias.name, "%s.bias", NAMES[index]);
    float *weight = read_tensor(l, t, e);
    float *added = weight != NULL ? read_tensor(l, &bias, e) : NULL;
    int rc = added != NULL ? l->r->ops->pack(l->r->context, &l->r->matrices[index], weight,
                                             DTYPE_F32, t->shape[0], t->shape[1], added, e)
                           : e->code;
    free(weight);
    free(added);
    return rc;
}

static int64_t size_in(const json_t *root, const char *key) {
    json_int_t value = json_integer_value(json_object_get(root, key));
    return value > 0 && value <= 65536 ? value : -1;
}

static int parse(struct reader *r, const char *path, struct error *e) {
    const char *text = safetensors_metadata(r->file, READING_METADATA);
    const struct safetensor *unfold = safetensors_find(r->file, "reader.unfold.weight");
    if (text == NULL || unfold == NULL) {
        return error_set(e, ERR_UNSUPPORTED,
                         "%s: carries no reading head: its tokens cannot be read back", path);
    }
    json_t *root = json_loads(text, 0, NULL);
    int rc = alphabet_parse(&r->alphabet, json_object_get(root, "alphabet"), e);
    r->config = (struct reading_config){.channels = size_in(root, "channels"),
                                        .hidden = size_in(root, "hidden"),
                                        .embedding = size_in(root, "embedding")};
    json_decref(root);
    if (rc < 0) {
        return error_context(e, "%s", path);
    }
    r->config.classes = alphabet_count(r->alphabet);
    r->dim = unfold->rank == 2 ? unfold->shape[1] : -1;
    if (r->config.channels < 0 || r->config.hidden < 0 || r->config.embedding < 0 || r->dim < 1 ||
        r->dim > 65536) {
        return error_set(e, ERR_FORMAT, "%s: a reading head of impossible sizes", path);
    }
    return 0;
}

static int load(struct reader *r, const char *path, struct error *e) {
    struct loading l = {.r = r, .path = path};
    r->merges = safetensors_find(r->file, "merge.columns.weight") != NULL;
    int rc = reading_tensors(&r->config, "reader.", r->dim, READING_ROWS, READING_STEPS,
                             load_matrix, &l, e);
    if (rc == 0 && r->merges) {
        rc = merge_tensors(r->dim, load_matrix, &l, e);
    }
    return rc;
}

int reader_open(struct reader **out, const char *path, const struct backend_ops *ops,
                enum dtype compute, struct error *e) {
    struct error local;
    e = e != NULL ? e : &local;
    *out = NULL;
    struct reader *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    r->ops = ops;
    r->compute = compute;
    int rc = safetensors_open(&r->file, path, e);
    rc = rc == 0 ? parse(r, path, e) : rc;
    rc = rc == 0 ? ops->context_open(&r->context, compute, e) : rc;
    rc = rc == 0 ? load(r, path, e) : rc;
    if (rc < 0) {
        reader_close(r);
        return rc;
    }
    *out = r;
    return 0;
}

static int load_merge(void *context, const struct tensor_spec *t, struct error *e) {
    return strncmp(t->name, "merge.", 6) == 0 ? load_matrix(context, t, e) : 0;
}

int reader_open_maps(struct reader **out, const void *file, size_t size, const char *name,
                     int64_t dim, const struct backend_ops *ops, enum dtype compute,
                     struct error *e) {
    struct error local;
    e = e != NULL ? e : &local;
    *out = NULL;
    struct reader *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    struct loading l = {.r = r, .path = name};
    *r = (struct reader){.ops = ops, .compute = compute, .dim = dim, .merges = true};
    int rc = safetensors_open_memory(&r->file, file, size, name, e);
    rc = rc == 0 ? ops->context_open(&r->context, compute, e) : rc;
    rc = rc == 0 ? merge_tensors(dim, load_merge, &l, e) : rc;
    if (rc < 0) {
        reader_close(r);
        return rc;
    }
    *out = r;
    return 0;
}

void reader_close(struct reader *r) {
    if (r == NULL) {
        return;
    }
    for (int i = 0; i < READER_MATRICES; i++) {
        r->ops->weights_close(r->matrices[i]);
    }
    r->ops->context_close(r->context);
    alphabet_close(r->alphabet);
    safetensors_close(r->file);
    free(r);
}

const struct alphabet *reader_alphabet(const struct reader *r) {
    return r->alphabet;
}

int64_t reader_dim(const struct reader *r) {
    return r->dim;
}

bool reader_merges(const struct reader *r) {
    return r->merges;
}

/* ---- Sessions ----------------------------------------------------------------------------- */

int reader_session_open(struct reader_session **out, const struct reader *r, struct error *e) {
    *out = NULL;
    struct reader_session *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    s->r = r;
    int rc = r->ops->context_open(&s->context, r->compute, e);
    if (rc < 0) {
        free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void reader_session_close(struct reader_session *s) {
    if (s == NULL) {
        return;
    }
    for (int i = 0; i < READER_BUFFERS; i++) {
        free(s->buffers[i].data);
    }
    s->r->ops->release(s->context, s->input);
    s->r->ops->release(s->context, s->output);
    s->r->ops->context_close(s->context);
    free(s->characters);
    free(s);
}

float *reader_buffer_get(struct reader_session *s, int index, size_t count, struct error *e) {
    struct reader_buffer *b = &s->buffers[index];
    if (b->count < count) {
        free(b->data);
        b->count = 0;
        b->data = malloc(count * sizeof *b->data);
        if (b->data == NULL) {
            error_set(e, ERR_MEMORY, "out of memory for a page's reading");
            return NULL;
        }
        b->count = count;
    }
    return b->data;
}

static int device_get(struct reader_session *s, float **data, size_t *have, size_t count,
                      struct error *e) {
    const struct backend_ops *ops = s->r->ops;
    if (*have >= count) {
        return 0;
    }
    ops->release(s->context, *data);
    *have = 0;
    *data = ops->alloc(s->context, count);
    if (*data == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory for a page's reading");
    }
    *have = count;
    return 0;
}

int reader_apply(struct reader_session *s, enum reader_matrix matrix, float *to, const float *x,
                 int64_t rows, int64_t inputs, int64_t outputs, enum activation activation,
                 struct error *e) {
    const struct backend_ops *ops = s->r->ops;
    size_t in = (size_t)(rows * inputs), out = (size_t)(rows * outputs);
    int rc = device_get(s, &s->input, &s->input_count, in, e);
    rc = rc == 0 ? device_get(s, &s->output, &s->output_count, out, e) : rc;
    rc = rc == 0 ? ops->upload(s->context, s->input, x, in, e) : rc;
    rc = rc == 0 ? ops->linear(s->context, s->output, s->input, rows, s->r->matrices[matrix],
                               activation, NULL, e)
                 : rc;
    return rc == 0 ? ops->download(s->context, to, s->output, out, e) : rc;
}

/* ---- Merging ----------------------------------------------------------------------------------
 */

/* Both sides of the maps: token (r, c) beside (r, c + 1), or above (r + 1, c), as one row of 2 dim
 * numbers; a token without a neighbour stands for it too. `back` takes the pairs apart. */
static void pair(float *pairs, float *tokens, int rows, int columns, bool by_rows, size_t dim,
                 bool back) {
    int down = by_rows ? (rows + 1) / 2 : rows, across = by_rows ? columns : (columns + 1) / 2;
    for (int i = 0; i < down * across; i++) {
        int r = i / across * (by_rows ? 2 : 1), c = i % across * (by_rows ? 1 : 2);
        int r2 = by_rows && r + 1 < rows ? r + 1 : r, c2 = !by_rows && c + 1 < columns ? c + 1 : c;
        float *first = tokens + (size_t)(r * columns + c) * dim;
        float *second = tokens + (size_t)(r2 * columns + c2) * dim;
        float *to = pairs + (size_t)i * 2 * dim;
        if (!back) {
            memcpy(to, first, dim * sizeof *to);
            memcpy(to + dim, second, dim * sizeof *to);
            continue;
        }
        if (second != first) {
            memcpy(second, to + dim, dim * sizeof *to);
        }
        memcpy(first, to, dim * sizeof *to);
    }
}

/* As forget_grid: the longer side, columns where both are equal. */
static void halve(int *rows, int *columns, bool *by_rows) {
    *by_rows = *rows > *columns;
    *rows = *by_rows ? (*rows + 1) / 2 : *rows;
    *columns = *by_rows ? *columns : (*columns + 1) / 2;
}

int reader_merge(struct reader_session *s, float *tokens, int *rows, int *columns,
                 struct error *e) {
    size_t dim = (size_t)s->r->dim;
    int from_rows = *rows, from_columns = *columns;
    bool by_rows;
    if (!s->r->merges) {
        return error_set(e, ERR_UNSUPPORTED, "this encoder carries no maps for merging");
    }
    if (*rows * *columns < 2) {
        return error_set(e, ERR_UNSUPPORTED, "a single token cannot be merged");
    }
    halve(rows, columns, &by_rows);
    size_t count = (size_t)(*rows * *columns);
    float *pairs = reader_buffer_get(s, BUFFER_TOKENS, count * 2 * dim, e);
    if (pairs == NULL) {
        return ERR_MEMORY;
    }
    pair(pairs, tokens, from_rows, from_columns, by_rows, dim, false);
    return reader_apply(s, by_rows ? READER_MERGE_ROWS : READER_MERGE_COLUMNS, tokens, pairs,
                        (int64_t)count, 2 * (int64_t)dim, (int64_t)dim, ACTIVATION_NONE, e);
}

int reader_unmerge(struct reader_session *s, float *tokens, int rows, int columns, int bucket,
                   struct error *e) {
    size_t dim = (size_t)s->r->dim;
    if (s->r->matrices[READER_UNMERGE_COLUMNS] == NULL && bucket > 0) {
        return error_set(e, ERR_UNSUPPORTED, "this encoder carries no maps for merging");
    }
    for (int k = bucket - 1; k >= 0; k--) {
        int to_rows = rows, to_columns = columns, half_rows, half_columns;
        bool by_rows = false;
        for (int i = 0; i < k; i++) {
            halve(&to_rows, &to_columns, &by_rows);
        }
        if (to_rows * to_columns == 1) {
            continue; /* there was nothing left to halve */
        }
        half_rows = to_rows;
        half_columns = to_columns;
        halve(&half_rows, &half_columns, &by_rows);
        size_t count = (size_t)(half_rows * half_columns);
        float *pairs = reader_buffer_get(s, BUFFER_TOKENS, count * 2 * dim, e);
        int rc = pairs != NULL
                     ? reader_apply(s, by_rows ? READER_UNMERGE_ROWS : READER_UNMERGE_COLUMNS,
                                    pairs, tokens, (int64_t)count, (int64_t)dim, 2 * (int64_t)dim,
                                    ACTIVATION_NONE, e)
                     : ERR_MEMORY;
        if (rc < 0) {
            return rc;
        }
        pair(pairs, tokens, to_rows, to_columns, by_rows, dim, true);
    }
    return 0;
}
