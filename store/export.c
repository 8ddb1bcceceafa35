/* export.c - see export.h. */
#include "store/export.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/arena.h"
#include "store/file.h"
#include "store/safetensors.h"
#include "store/stream.h"

const char *const EXPORT_FORMATS[EXPORT_COUNT + 1] = {"npy", "safetensors", "tar", NULL};

enum { NPY_ALIGNMENT = 64 };

/* Appends an NPY file (format version 1.0) of F32, row-major. */
static int append_npy(struct bytes *out, const float *values, const int64_t *shape, int rank,
                      struct error *e) {
    char header[256];
    size_t count = 1;
    int length =
        snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < rank; i++) {
        count *= (size_t)shape[i];
        length +=
            snprintf(header + length, sizeof header - (size_t)length, "%" PRId64 ", ", shape[i]);
    }
    length += snprintf(header + length, sizeof header - (size_t)length, "), }");
    size_t padded = (10 + (size_t)length + 1 + NPY_ALIGNMENT - 1) / NPY_ALIGNMENT * NPY_ALIGNMENT;
    size_t text = padded - 10;
    const unsigned char start[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)text, (unsigned char)(text >> 8)};
    int rc = bytes_append(out, start, sizeof start, e);
    if (rc == 0) {
        rc = bytes_printf(out, e, "%-*s\n", (int)text - 1, header);
    }
    return rc == 0 ? bytes_append(out, values, count * sizeof *values, e) : rc;
}

/* ---- What all formats share ------------------------------------------------------------ */

struct export {
    struct store *s;
    const char *path;
    const volatile sig_atomic_t *cancel;
    struct codec_state *codec;
    struct arena *arena; /* names and tokens of the sample; for safetensors the names of all */
    int (*take)(void *context, const struct token_record *record, struct error *e);
    struct stream_member *members;
    size_t member_count, member_capacity;
    struct safetensor *tensors;
    size_t tensor_count, tensor_capacity;
    struct safetensors_writer *tensors_writer;
    struct bytes file, json, text;
    struct stream_writer *writer;
    int64_t samples, pages;
};

static bool is_cancelled(const struct export *x) {
    return x->cancel != NULL && *x->cancel;
}

static float *unpack(struct export *x, const struct token_record *r, struct error *e) {
    const struct token_header *h = &r->header;
    int64_t rows = (int64_t)h->rows * h->columns;
    float *tokens = arena_alloc(x->arena, (size_t)rows * h->dim, sizeof *tokens);
    if (tokens == NULL) {
        error_memory(e, "tokens");
        return NULL;
    }
    if (codec_unpack(x->codec, tokens, h->codec, r->payload, h->payload, rows, h->dim, e) < 0) {
        error_context(e, "%s page %d", r->key, r->page);
        return NULL;
    }
    return tokens;
}

/* ---- npy ----------------------------------------------------------------------------------- */

static int make_folder(const char *path, struct error *e) {
    return mkdir(path, 0777) == 0 || errno == EEXIST ? 0 : error_errno(e, errno, "%s", path);
}

static int write_npy(void *context, const struct token_record *r, struct error *e) {
    struct export *x = context;
    const struct token_header *h = &r->header;
    char path[4096];
    if (is_cancelled(x)) {
        return error_set(e, ERR_CANCELLED, "stopped by a signal");
    }
    struct arena_mark mark = arena_mark(x->arena);
    float *tokens = unpack(x, r, e);
    if (tokens == NULL) {
        return e != NULL ? e->code : ERR_FORMAT;
    }
    const int64_t shape[3] = {h->rows, h->columns, h->dim};
    bytes_clear(&x->file);
    int rc = append_npy(&x->file, tokens, shape, 3, e);
    arena_rewind(x->arena, mark);
    snprintf(path, sizeof path, "%s/%.*s", x->path, (int)stream_account_size(r->key), r->key);
    if (rc == 0) {
        rc = make_folder(path, e);
    }
    snprintf(path, sizeof path, "%s/%s.p%03d.npy", x->path, r->key, r->page);
    if (rc == 0) {
        rc = output_file_write(path, x->file.data, x->file.size, x->cancel, e);
    }
    x->pages += rc == 0;
    return rc;
}

/* ---- safetensors --------------------------------------------------------------------------- */

/* Name and shape of a page: the file's header comes before the tokens. */
static int keep_tensor(void *context, const struct token_record *r, struct error *e) {
    struct export *x = context;
    const struct token_header *h = &r->header;
    size_t count = (size_t)h->rows * h->columns * h->dim;
    void *items = x->tensors;
    int rc = is_cancelled(x) ? error_set(e, ERR_CANCELLED, "stopped by a signal")
                             : arena_grow(x->arena, &items, x->tensor_count, &x->tensor_capacity,
                                          sizeof *x->tensors, e);
    if (rc < 0) {
        return rc;
    }
    x->tensors = items;
    char *name = arena_alloc(x->arena, strlen(r->key) + 16, 1);
    if (name == NULL) {
        return error_memory(e, "the names of pages");
    }
    snprintf(name, strlen(r->key) + 16, "%s.p%03d", r->key, r->page);
    x->tensors[x->tensor_count++] = (struct safetensor){.name = name,
                                                        .type = DTYPE_BF16,
                                                        .rank = 3,
                                                        .shape = {h->rows, h->columns, h->dim},
                                                        .bytes = count * sizeof(uint16_t)};
    return 0;
}

/* The pages come again as keep_tensor has seen them: the store is of one moment. */
static int write_tensor(void *context, const struct token_record *r, struct error *e) {
    struct export *x = context;
    const struct token_header *h = &r->header;
    int64_t rows = (int64_t)h->rows * h->columns;
    if (is_cancelled(x)) {
        return error_set(e, ERR_CANCELLED, "stopped by a signal");
    }
    struct arena_mark mark = arena_mark(x->arena);
    uint16_t *tokens = arena_alloc(x->arena, (size_t)rows * h->dim, sizeof *tokens);
    if (tokens == NULL) {
        return error_memory(e, "tokens");
    }
    int rc = codec_unpack_bf16(x->codec, tokens, h->codec, r->payload, h->payload, rows, h->dim, e);
    if (rc < 0) {
        return error_context(e, "%s page %d", r->key, r->page);
    }
    rc = safetensors_writer_put(x->tensors_writer, (size_t)x->pages, tokens, x->cancel, e);
    arena_rewind(x->arena, mark);
    x->pages += rc == 0;
    return rc;
}

static int open_tensors(struct export *x, struct error *e) {
    const struct store_encoder *encoder = store_encoder(x->s);
    char print[32];
    snprintf(print, sizeof print, "%016" PRIx64, encoder->fingerprint);
    json_t *metadata = json_pack("{s:s, s:s, s:s}", "format", "occ-tokens 1", "encoder",
                                 encoder->name, "fingerprint", print);
    int rc = safetensors_writer_open(&x->tensors_writer, x->path, x->tensors, x->tensor_count,
                                     metadata, e);
    json_decref(metadata);
    return rc;
}

/* ---- tar ----------------------------------------------------------------------------------- */

static int add_member(struct export *x, const char *suffix, const void *data, size_t size,
                      struct error *e) {
    void *items = x->members;
    int rc =
        arena_grow(x->arena, &items, x->member_count, &x->member_capacity, sizeof *x->members, e);
    char *copy = arena_alloc(x->arena, size + 1, 1);
    char *name = arena_text(x->arena, suffix, strlen(suffix));
    if (rc < 0 || copy == NULL || name == NULL) {
        return rc < 0 ? rc : error_memory(e, "a sample");
    }
    memcpy(copy, data, size);
    x->members = items;
    x->members[x->member_count++] = (struct stream_member){name, copy, size};
    return 0;
}

static int keep_page(void *context, const struct token_record *r, struct error *e) {
    struct export *x = context;
    const struct token_header *h = &r->header;
    char suffix[32];
    float *tokens = unpack(x, r, e);
    if (tokens == NULL) {
        return e != NULL ? e->code : ERR_FORMAT;
    }
    const int64_t shape[3] = {h->rows, h->columns, h->dim};
    snprintf(suffix, sizeof suffix, "p%03d.npy", r->page);
    bytes_clear(&x->file);
    int rc = append_npy(&x->file, tokens, shape, 3, e);
    x->pages += rc == 0;
    if (rc == 0) {
        rc = add_member(x, suffix, x->file.data, x->file.size, e);
    }
    if (rc == 0 && h->facts > 0) {
        snprintf(suffix, sizeof suffix, "p%03d.facts.txt", r->page);
        rc = add_member(x, suffix, r->facts, h->facts, e);
    }
    return rc;
}

/* A sample whose JSON was forgotten gets the least that a stream asks for. */
static int add_texts(struct export *x, const char *key, struct error *e) {
    bytes_clear(&x->json);
    bytes_clear(&x->text);
    int rc = store_get_json(x->s, key, &x->json, e);
    if (rc == 0) {
        rc = bytes_printf(&x->json, e, "{\"id\":\"%s\",\"account\":\"%.*s\"}", strchr(key, '/') + 1,
                          (int)stream_account_size(key), key);
    }
    if (rc >= 0) {
        rc = add_member(x, "json", x->json.data, x->json.size, e);
    }
    if (rc == 0) {
        rc = store_get_text(x->s, key, &x->text, e);
    }
    return rc == 1 ? add_member(x, "txt", bytes_text(&x->text), x->text.size, e) : rc;
}

static int write_sample(struct export *x, const char *key, struct error *e) {
    arena_reset(x->arena);
    x->members = NULL;
    x->member_count = x->member_capacity = 0;
    int rc = add_texts(x, key, e);
    if (rc == 0) {
        rc = store_each_page(x->s, key, keep_page, x, e);
    }
    bytes_clear(&x->file);
    if (rc == 0) {
        rc = stream_encode(&x->file, key, x->members, x->member_count, e);
    }
    if (rc == 0) {
        rc = stream_write(x->writer, x->file.data, x->file.size, e);
    }
    x->samples += rc == 0;
    return rc;
}

/* ---- Going through the samples ------------------------------------------------------------- */

static int export_sample(void *context, const char *key, const char *journal, size_t size,
                         struct error *e) {
    struct export *x = context;
    (void)journal;
    (void)size;
    if (is_cancelled(x)) {
        return error_set(e, ERR_CANCELLED, "stopped by a signal");
    }
    return x->take != NULL ? store_each_page(x->s, key, x->take, x, e) : write_sample(x, key, e);
}

static int each_sample(struct export *x, char *const *keys, size_t count, struct error *e) {
    if (keys == NULL) {
        return store_each_sample(x->s, export_sample, x, e);
    }
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = export_sample(x, keys[i], NULL, 0, e);
    }
    return rc;
}

static int export_tensors(struct export *x, char *const *keys, size_t count, struct error *e) {
    x->take = keep_tensor;
    int rc = each_sample(x, keys, count, e);
    if (rc == 0) {
        rc = open_tensors(x, e);
    }
    if (rc < 0) {
        return rc;
    }
    x->take = write_tensor;
    rc = each_sample(x, keys, count, e);
    if (rc == 0) {
        return safetensors_writer_commit(x->tensors_writer, e);
    }
    safetensors_writer_close(x->tensors_writer);
    return rc;
}

static int export_npys(struct export *x, char *const *keys, size_t count, struct error *e) {
    x->take = write_npy;
    int rc = make_folder(x->path, e);
    return rc == 0 ? each_sample(x, keys, count, e) : rc;
}

static int export_tar(struct export *x, int fd, char *const *keys, size_t count, struct error *e) {
    int rc = stream_writer_open(&x->writer, fd, "occ-store " OCC_VERSION, NULL, x->cancel, e);
    if (rc == 0) {
        rc = each_sample(x, keys, count, e);
    }
    if (rc == 0) {
        const struct stream_counts counts = {.samples = x->samples};
        rc = stream_writer_finish(x->writer, &counts, NULL, e);
    }
    stream_writer_close(x->writer);
    return rc;
}

int export_tokens(struct store *s, enum export_format format, const char *path, int fd,
                  char *const *keys, size_t count, const volatile sig_atomic_t *cancel,
                  int64_t *pages, struct error *e) {
    struct export x = {.s = s, .path = path, .cancel = cancel};
    bytes_init(&x.file, STREAM_SAMPLE_LIMIT);
    bytes_init(&x.json, STREAM_MEMBER_LIMIT);
    bytes_init(&x.text, STREAM_MEMBER_LIMIT);
    int rc = codec_open(&x.codec, e);
    if (rc == 0) {
        rc = arena_open(&x.arena, format == EXPORT_SAFETENSORS ? SIZE_MAX / 2 : STREAM_SAMPLE_LIMIT,
                        e);
    }
    if (rc == 0) {
        rc = format == EXPORT_TAR           ? export_tar(&x, fd, keys, count, e)
             : format == EXPORT_SAFETENSORS ? export_tensors(&x, keys, count, e)
                                            : export_npys(&x, keys, count, e);
    }
    arena_close(x.arena);
    codec_close(x.codec);
    bytes_close(&x.file);
    bytes_close(&x.json);
    bytes_close(&x.text);
    *pages = x.pages;
    return rc;
}
