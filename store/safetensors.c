/* safetensors.c - reading: see safetensors.h. */
#define _DEFAULT_SOURCE /* madvise */
#include "store/safetensors.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/arena.h"
#include "store/array.h"
#include "store/file.h"
#include "store/json.h"
#include "store/table.h"

/* A file. */
struct shard {
    struct shard *next;
    void *map;                  /* or NULL: */
    const unsigned char *bytes; /* the mapping's, or the caller's */
    size_t size;
    json_t *metadata; /* or NULL */
};

struct safetensors {
    struct arena *arena;
    struct shard *shards; /* in order of opening */
    struct safetensor *tensors;
    size_t count, capacity;
    struct table *names; /* -> index */
};

/* The format's types, as of safetensors 0.8; those that we lack keep their size, so that offsets
 * can be checked. */
static const struct {
    const char *name;
    enum dtype type;
    size_t bits;
} TYPES[] = {
    {"F32", DTYPE_F32, 32},
    {"BF16", DTYPE_BF16, 16},
    {"F16", DTYPE_F16, 16},
    {"I8", DTYPE_I8, 8},
    {"U8", DTYPE_U8, 8},
    {"I32", DTYPE_I32, 32},
    {"I64", DTYPE_I64, 64},
    {"F64", DTYPE_COUNT, 64},
    {"U16", DTYPE_COUNT, 16},
    {"I16", DTYPE_COUNT, 16},
    {"U32", DTYPE_COUNT, 32},
    {"U64", DTYPE_COUNT, 64},
    {"BOOL", DTYPE_COUNT, 8},
    {"F4", DTYPE_COUNT, 4},
    {"F6_E2M3", DTYPE_COUNT, 6},
    {"F6_E3M2", DTYPE_COUNT, 6},
    {"F8_E4M3", DTYPE_COUNT, 8},
    {"F8_E5M2", DTYPE_COUNT, 8},
    {"F8_E8M0", DTYPE_COUNT, 8},
    {"F8_E4M3FNUZ", DTYPE_COUNT, 8},
    {"F8_E5M2FNUZ", DTYPE_COUNT, 8},
    {"C64", DTYPE_COUNT, 64},
};

/* ---- One tensor of a header ------------------------------------------------------ */

/* What is wrong with the entry `name` of a header, in words; NULL: nothing. */
static const char *read_tensor(struct safetensor *t, const json_t *entry, const unsigned char *data,
                               size_t size) {
    const char *type = json_string_value(json_object_get(entry, "dtype"));
    const json_t *shape = json_object_get(entry, "shape");
    const json_t *offsets = json_object_get(entry, "data_offsets");
    size_t bits = 0;
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES && type != NULL; i++) {
        if (strcmp(type, TYPES[i].name) == 0) {
            bits = TYPES[i].bits;
            t->type = TYPES[i].type;
        }
    }
    if (bits == 0) {
        return "its dtype is unknown";
    }
    if (!json_is_array(shape) || json_array_size(shape) > SAFETENSORS_RANK) {
        return "its shape is not a list of at most 8 sizes";
    }
    t->rank = (int)json_array_size(shape);
    for (int i = 0; i < t->rank; i++) {
        const json_t *extent = json_array_get(shape, (size_t)i);
        t->shape[i] = json_integer_value(extent);
        if (!json_is_integer(extent) || t->shape[i] < 0 ||
            __builtin_mul_overflow(bits, (size_t)t->shape[i], &bits)) {
            return "its shape holds something other than sizes";
        }
    }
    if (bits % 8 != 0) {
        return "its elements end within a byte";
    }
    const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    json_int_t begin = json_integer_value(first), end = json_integer_value(last);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last) ||
        begin < 0 || end < begin) {
        return "its data_offsets are not a pair of offsets";
    }
    if ((size_t)end > size) {
        return "its data lies past the end of the file";
    }
    if ((size_t)(end - begin) != bits / 8) {
        return "its data_offsets do not fit its shape";
    }
    t->data = data + begin;
    t->bytes = bits / 8;
    return NULL;
}

static int by_data(const void *a, const void *b) {
    const struct safetensor *x = a, *y = b;
    if (x->data != y->data) {
        return (uintptr_t)x->data < (uintptr_t)y->data ? -1 : 1;
    }
    return x->bytes != y->bytes ? (x->bytes < y->bytes ? -1 : 1) : strcmp(x->name, y->name);
}

/* Sorted, the tensors of a file must follow each other without holes up to the end. */
static int check_layout(const struct safetensor *t, size_t count, const unsigned char *data,
                        size_t size, const char *path, struct error *e) {
    const unsigned char *end = data;
    for (size_t i = 0; i < count; i++) {
        if ((const unsigned char *)t[i].data != end) {
            return error_set(e, ERR_FORMAT, "%s: tensor %s %s", path, t[i].name,
                             (const unsigned char *)t[i].data < end ? "overlaps another"
                                                                    : "has a hole before it");
        }
        end += t[i].bytes;
    }
    if (end != data + size) {
        return error_set(e, ERR_FORMAT, "%s: %zu bytes after the last tensor", path,
                         size - (size_t)(end - data));
    }
    return 0;
}

static int add_tensor(struct safetensors *s, const struct safetensor *t, const char *path,
                      struct error *e) {
    struct safetensor *tensors =
        array_grow(s->tensors, &s->capacity, s->count + 1, sizeof *tensors, e);
    if (tensors == NULL) {
        return ERR_MEMORY;
    }
    s->tensors = tensors;
    int rc = table_add(s->names, t->name, s->count, NULL, e);
    if (rc == 0) {
        return error_set(e, ERR_FORMAT, "%s: tensor %s appears twice", path, t->name);
    }
    s->tensors[s->count++] = *t;
    return rc < 0 ? rc : 0;
}

/* All entries of a header; `data` are the `size` bytes after it. */
static int read_entries(struct safetensors *s, struct shard *shard, json_t *header,
                        const unsigned char *data, size_t size, const char *path, struct error *e) {
    const char *name;
    json_t *entry;
    size_t count = 0;
    struct safetensor *tensors = calloc(json_object_size(header) + 1, sizeof *tensors);
    if (tensors == NULL) {
        return error_memory(e, NULL);
    }
    int rc = 0;
    json_object_foreach(header, name, entry) {
        if (strcmp(name, "__metadata__") == 0) {
            shard->metadata = json_incref(entry);
            continue;
        }
        struct safetensor *t = &tensors[count++];
        const char *fault = read_tensor(t, entry, data, size);
        if (fault != NULL) {
            rc = error_set(e, ERR_FORMAT, "%s: tensor %s: %s", path, name, fault);
            goto done;
        }
        t->name = arena_text(s->arena, name, strlen(name));
        if (t->name == NULL) {
            rc = error_memory(e, NULL);
            goto done;
        }
    }
    qsort(tensors, count, sizeof *tensors, by_data);
    rc = check_layout(tensors, count, data, size, path, e);
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = add_tensor(s, &tensors[i], path, e);
    }
done:
    free(tensors);
    return rc;
}

/* ---- One file ------------------------------------------------------------------------ */

static int read_header(struct safetensors *s, struct shard *shard, const char *path,
                       struct error *e) {
    const unsigned char *bytes = shard->bytes;
    uint64_t length = 0;
    for (int i = 0; i < 8; i++) {
        length |= (uint64_t)bytes[i] << 8 * i;
    }
    if (length > SAFETENSORS_HEADER) {
        return error_set(e, ERR_LIMIT, "%s: a header of %" PRIu64 " bytes; not a safetensors file?",
                         path, length);
    }
    if (length > shard->size - 8) {
        return error_set(e, ERR_TRUNCATED, "%s: the file ends in its header", path);
    }
    json_error_t fault;
    json_t *header =
        json_loadb((const char *)bytes + 8, (size_t)length, JSON_REJECT_DUPLICATES, &fault);
    if (!json_is_object(header)) {
        json_decref(header);
        return error_set(e, ERR_FORMAT, "%s: the header is not a JSON object: %s", path,
                         header == NULL ? fault.text : "something else");
    }
    int rc = read_entries(s, shard, header, bytes + 8 + length, shard->size - 8 - (size_t)length,
                          path, e);
    json_decref(header);
    return rc;
}

static int add_shard(struct safetensors *s, struct shard *shard, const char *path,
                     struct error *e) {
    struct shard **link = &s->shards;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = shard;
    return read_header(s, shard, path, e);
}

static int open_shard(struct safetensors *s, const char *path, struct error *e) {
    int fd;
    struct stat status;
    struct shard *shard = arena_alloc(s->arena, 1, sizeof *shard);
    if (shard == NULL) {
        return error_memory(e, NULL);
    }
    int rc = file_open_regular(path, &fd, e);
    if (rc < 0) {
        return rc;
    }
    if (fstat(fd, &status) < 0) {
        rc = error_errno(e, errno, "%s", path);
    } else if (status.st_size < 8) {
        rc = error_set(e, ERR_TRUNCATED, "%s: too short for a safetensors file", path);
    } else {
        shard->size = (size_t)status.st_size;
        shard->map = mmap(NULL, shard->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (shard->map == MAP_FAILED) {
            shard->map = NULL;
            rc = error_errno(e, errno, "%s", path);
        }
        shard->bytes = shard->map;
    }
    close(fd);
    return rc == 0 ? add_shard(s, shard, path, e) : rc;
}

/* ---- Shards, folders -------------------------------------------------------------------- */

/* "folder/name" where `path` is "folder/...", for a name beside it. */
static char *beside(struct safetensors *s, const char *path, const char *name, struct error *e) {
    const char *slash = strrchr(path, '/');
    size_t folder = slash != NULL ? (size_t)(slash - path) + 1 : 0,
           size = folder + strlen(name) + 1;
    char *full = arena_alloc(s->arena, size, 1);
    if (full == NULL) {
        error_memory(e, NULL);
        return NULL;
    }
    memcpy(full, path, folder);
    memcpy(full + folder, name, size - folder);
    return full;
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The files of an index, each once, in order of their names: opens them. */
static int open_files(struct safetensors *s, const char *path, json_t *map, struct error *e) {
    const char *name;
    json_t *file;
    size_t count = 0;
    const char **files = calloc(json_object_size(map) + 1, sizeof *files);
    if (files == NULL) {
        return error_memory(e, NULL);
    }
    int rc = 0;
    json_object_foreach(map, name, file) {
        const char *text = json_string_value(file);
        if (text == NULL || text[0] == '\0' || text[0] == '.' || strchr(text, '/') != NULL) {
            rc = error_set(e, ERR_FORMAT, "%s: the file that holds %s is not next to the index",
                           path, name);
            break;
        }
        files[count++] = text;
    }
    qsort(files, count, sizeof *files, compare_texts);
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (i > 0 && strcmp(files[i], files[i - 1]) == 0) {
            continue;
        }
        const char *full = beside(s, path, files[i], e);
        rc = full == NULL ? ERR_MEMORY : open_shard(s, full, e);
    }
    free(files);
    return rc;
}

static int open_index(struct safetensors *s, const char *path, struct error *e) {
    struct bytes text;
    bytes_init(&text, SAFETENSORS_HEADER);
    json_t *root = NULL;
    int rc = file_read(path, &text, e);
    if (rc == 0) {
        json_error_t fault;
        root = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, &fault);
        if (!json_is_object(json_object_get(root, "weight_map"))) {
            rc = error_set(e, ERR_FORMAT, "%s: not an index of safetensors files (no weight_map)",
                           path);
        }
    }
    json_t *map = json_object_get(root, "weight_map");
    if (rc == 0) {
        rc = open_files(s, path, map, e);
    }
    const char *name;
    json_t *file;
    if (rc == 0) {
        json_object_foreach(map, name, file) {
            if (safetensors_find(s, name) == NULL) {
                rc = error_set(e, ERR_FORMAT, "%s: %s is not in %s", path, name,
                               json_string_value(file));
                break;
            }
        }
    }
    json_decref(root);
    bytes_close(&text);
    return rc;
}

static bool ends_in(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* What is to be opened in a folder: a path in the arena, or NULL with `e`. */
static const char *find_in_folder(struct safetensors *s, const char *folder, struct error *e) {
    char *prefix = arena_alloc(s->arena, strlen(folder) + 2, 1);
    if (prefix == NULL) {
        error_memory(e, NULL);
        return NULL;
    }
    snprintf(prefix, strlen(folder) + 2, "%s/", folder);
    static const char *const NAMES[] = {"model.safetensors.index.json", "model.safetensors"};
    for (int i = 0; i < 2; i++) {
        const char *path = beside(s, prefix, NAMES[i], e);
        if (path == NULL || access(path, F_OK) == 0) {
            return path;
        }
    }
    const char *found = NULL;
    int count = 0;
    DIR *dir = opendir(folder);
    for (const struct dirent *d = dir != NULL ? readdir(dir) : NULL; d != NULL; d = readdir(dir)) {
        if (d->d_name[0] != '.' && ends_in(d->d_name, ".safetensors")) {
            count++;
            found = beside(s, prefix, d->d_name, e);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    if (count != 1) {
        error_set(e, ERR_FORMAT, "%s: %d safetensors files and no index; name the file", folder,
                  count);
        return NULL;
    }
    return found;
}

static int safetensors_new(struct safetensors **out, struct error *e) {
    struct safetensors *s = *out = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_memory(e, NULL);
    }
    int rc = arena_open(&s->arena, 8 * SAFETENSORS_HEADER, e);
    return rc == 0 ? table_open(&s->names, e) : rc;
}

/* Hands `s` over if it was opened whole. */
static int finish(struct safetensors **out, struct safetensors *s, int rc) {
    *out = rc == 0 ? s : NULL;
    if (rc < 0) {
        safetensors_close(s);
    }
    return rc;
}

int safetensors_open_memory(struct safetensors **out, const void *data, size_t size,
                            const char *name, struct error *e) {
    struct safetensors *s;
    int rc = safetensors_new(&s, e);
    struct shard *shard = rc == 0 ? arena_alloc(s->arena, 1, sizeof *shard) : NULL;
    if (rc == 0 && shard == NULL) {
        rc = error_memory(e, NULL);
    }
    if (rc == 0 && size < 8) {
        rc = error_set(e, ERR_TRUNCATED, "%s: too short for a safetensors file", name);
    }
    if (rc == 0) {
        *shard = (struct shard){.bytes = data, .size = size};
        rc = add_shard(s, shard, name, e);
    }
    return finish(out, s, rc);
}

int safetensors_open(struct safetensors **out, const char *path, struct error *e) {
    struct safetensors *s;
    struct stat status;
    int rc = safetensors_new(&s, e);
    if (rc == 0 && stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        path = find_in_folder(s, path, e);
        rc = path == NULL ? (e != NULL ? e->code : ERR_FORMAT) : 0;
    }
    if (rc == 0) {
        rc = ends_in(path, ".index.json") ? open_index(s, path, e) : open_shard(s, path, e);
    }
    return finish(out, s, rc);
}

void safetensors_close(struct safetensors *s) {
    if (s == NULL) {
        return;
    }
    for (struct shard *shard = s->shards; shard != NULL; shard = shard->next) {
        if (shard->map != NULL) {
            munmap(shard->map, shard->size);
        }
        json_decref(shard->metadata);
    }
    table_close(s->names);
    free(s->tensors);
    arena_close(s->arena);
    free(s);
}

size_t safetensors_count(const struct safetensors *s) {
    return s->count;
}

const struct safetensor *safetensors_get(const struct safetensors *s, size_t index) {
    return &s->tensors[index];
}

const struct safetensor *safetensors_find(const struct safetensors *s, const char *name) {
    size_t index;
    return table_find(s->names, name, &index) ? &s->tensors[index] : NULL;
}

const char *safetensors_metadata(const struct safetensors *s, const char *key) {
    for (const struct shard *shard = s->shards; shard != NULL; shard = shard->next) {
        const char *text = json_string_value(json_object_get(shard->metadata, key));
        if (text != NULL) {
            return text;
        }
    }
    return NULL;
}

json_t *safetensors_metadata_all(const struct safetensors *s) {
    for (const struct shard *shard = s->shards; shard != NULL; shard = shard->next) {
        if (shard->metadata != NULL) {
            return json_incref(shard->metadata);
        }
    }
    return NULL;
}

void safetensors_drop(const struct safetensors *s, const struct safetensor *t) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t first = ((uintptr_t)t->data + page - 1) / page * page;
    const uintptr_t end = ((uintptr_t)t->data + t->bytes) / page * page;
    for (const struct shard *shard = s->shards; shard != NULL; shard = shard->next) {
        const uintptr_t begin = (uintptr_t)shard->bytes;
        if (shard->map != NULL && first >= begin && end <= begin + shard->size && first < end) {
            /* Never written, so nothing is lost; and where it fails, memory alone. */
            (void)madvise((char *)shard->map + (first - begin), end - first, MADV_DONTNEED);
        }
    }
}
