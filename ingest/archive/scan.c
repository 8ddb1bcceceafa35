/* scan.c - the clips of the operands: folders and what is below them, files. See clips.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ingest/archive/folder.h"

enum { DEEPEST_FOLDER = 64 };
#define CLIPS_MEMORY ((size_t)64 << 30) /* the arena's limit: more than a machine has */

int clips_open(struct clips *c, struct error *e) {
    *c = (struct clips){0};
    int rc = arena_open(&c->arena, CLIPS_MEMORY, e);
    if (rc == 0) {
        rc = table_open(&c->folders, e);
    }
    return rc < 0 ? rc : table_open(&c->paths, e);
}

void clips_close(struct clips *c) {
    table_close(c->folders);
    table_close(c->paths);
    arena_close(c->arena);
    *c = (struct clips){0};
}

int clip_new(struct clips *c, const char *path, const char *stem, size_t stem_size, size_t *index,
             struct error *e) {
    void *items = c->items;
    int rc = arena_grow(c->arena, &items, c->count, &c->capacity, sizeof *c->items, e);
    if (rc < 0) {
        return rc;
    }
    c->items = items;
    const char *own_path = arena_text(c->arena, path, strlen(path));
    const char *own_stem = arena_text(c->arena, stem, stem_size);
    if (own_path == NULL || own_stem == NULL) {
        return error_memory(e, NULL);
    }
    *index = c->count;
    c->items[c->count++] = (struct clip){.path = own_path, .stem = own_stem, .order = SIZE_MAX};
    return 0;
}

int clip_add_file(struct clips *c, struct clip *clip, const struct clip_file *file,
                  struct error *e) {
    void *files = clip->files;
    size_t capacity = clip->capacity;
    if (clip->count == capacity) { /* most clips have few files: begin with small steps */
        capacity += capacity / 2 + 4;
        files = arena_alloc(c->arena, capacity, sizeof *file);
        if (files == NULL) {
            return error_memory(e, NULL);
        }
        if (clip->count) {
            memcpy(files, clip->files, clip->count * sizeof *file);
        }
        clip->capacity = capacity;
    }
    clip->files = files;
    clip->files[clip->count++] = *file;
    return 0;
}

const struct clip_file *clip_file_of(const struct clip *clip, enum file_kind kind) {
    for (size_t i = 0; i < clip->count; i++) {
        if (clip->files[i].kind == kind) {
            return &clip->files[i];
        }
    }
    return NULL;
}

bool clip_has_media(const struct clip *clip) {
    return clip_file_of(clip, FILE_VIDEO) != NULL || clip_file_of(clip, FILE_AUDIO) != NULL;
}

int clip_new_problem(struct clips *c, const char *path, const char *reason, const char *text,
                     struct error *e) {
    const char *slash = strrchr(path, '/');
    const char *name =
        slash != NULL ? slash + 1 : path; /* its rank among the clips of the folder */
    size_t index = SIZE_MAX;
    int rc = clip_new(c, path, name, strlen(name), &index, e);
    if (rc < 0) {
        return rc;
    }
    struct clip *clip = &c->items[index];
    clip->problem = arena_text(c->arena, text, strlen(text));
    clip->reason = reason;
    clip->selected = true;
    clip->order = c->next_order++;
    return clip->problem != NULL ? 0 : error_memory(e, NULL);
}

/* ---- Operands ---------------------------------------------------------- */

/* True (1) the first time a folder is met, whatever path leads to it: this is what ends loops. */
static int enter_once(struct clips *c, const struct stat *status, struct error *e) {
    char identity[64];
    snprintf(identity, sizeof identity, "%" PRIuMAX ":%" PRIuMAX, (uintmax_t)status->st_dev,
             (uintmax_t)status->st_ino);
    return table_add(c->folders, identity, 0, NULL, e);
}

static int add_folder(struct clips *c, const char *path, int depth, struct error *e) {
    struct stat status;
    if (stat(path, &status) != 0) {
        int reason = errno;
        return clip_new_problem(c, path, "unreadable", strerror(reason), e);
    }
    int rc = enter_once(c, &status, e);
    if (rc <= 0) {
        return rc;
    }
    if (depth > DEEPEST_FOLDER) {
        return clip_new_problem(c, path, "too-deep", "folders nested more than 64 deep", e);
    }
    struct folder f = {.path = path};
    size_t first;
    rc = folder_read(c, &f, &first, e);
    for (size_t i = first; rc == 0 && i < c->count; i++) {
        c->items[i].selected = true;
        c->items[i].order = c->next_order++;
    }
    for (size_t i = 0; i < f.count && rc == 0; i++) {
        if (!f.entries[i].error_number && S_ISDIR(f.entries[i].mode)) {
            char *below = folder_path(c->arena, path, f.entries[i].name);
            rc = below != NULL ? add_folder(c, below, depth + 1, e) : error_memory(e, NULL);
        }
    }
    return rc;
}

/* Reads the folder of an explicitly named file once, selecting nothing of it yet. */
static int add_neighbours(struct clips *c, const char *folder, struct error *e) {
    int rc = table_add(c->folders, folder, 0, NULL, e);
    if (rc <= 0) {
        return rc;
    }
    struct folder f = {.path = folder};
    size_t first;
    rc = folder_read(c, &f, &first, e);
    for (size_t i = first; rc >= 0 && i < c->count; i++) {
        if (f.count > 0) { /* else this says that the folder itself cannot be read */
            c->items[i].selected = false;
        }
        for (size_t k = 0; rc >= 0 && k < c->items[i].count; k++) {
            rc = table_add(c->paths, c->items[i].files[k].path, i, NULL, e);
        }
    }
    return rc < 0 ? rc : 0;
}

/* Selects the clip that holds `path`. A file that belongs to none is taken for media whatever its
 * name. */
static int want_file(struct clips *c, const char *path, const struct stat *status,
                     struct error *e) {
    size_t index = SIZE_MAX;
    table_find(c->paths, path, &index);
    if (index == SIZE_MAX) {
        const char *slash = strrchr(path, '/');
        const char *name = slash != NULL ? slash + 1 : path;
        struct file_name parsed = file_name_parse(name);
        int rc = clip_new(c, path, name, parsed.stem_size, &index, e);
        struct clip_file file = {.kind = FILE_VIDEO,
                                 .number = -1,
                                 .path = rc < 0 ? NULL : c->items[index].path,
                                 .size = (int64_t)status->st_size,
                                 .mtime = (int64_t)status->st_mtime};
        if (rc == 0) {
            rc = clip_add_file(c, &c->items[index], &file, e);
        }
        if (rc == 0) {
            rc = table_add(c->paths, path, index, NULL, e);
        }
        if (rc < 0) {
            return rc;
        }
    }
    struct clip *clip = &c->items[index];
    for (size_t i = 0; i < clip->count; i++) {
        clip->files[i].named |= strcmp(clip->files[i].path, path) == 0;
    }
    if (!clip->selected) {
        clip->selected = true;
        clip->order = c->next_order++;
    }
    return 0;
}

int clips_add(struct clips *c, const char *path, struct error *e) {
    struct stat status;
    if (stat(path, &status) != 0) {
        int reason = errno;
        return clip_new_problem(c, path, "unreadable", strerror(reason), e);
    }
    if (S_ISDIR(status.st_mode)) {
        const char *own = arena_text(c->arena, path, strlen(path));
        return own != NULL ? add_folder(c, own, 0, e) : error_memory(e, NULL);
    }
    if (!S_ISREG(status.st_mode)) {
        return clip_new_problem(c, path, "not-a-file", "not a regular file", e);
    }
    const char *slash = strrchr(path, '/');
    size_t folder_size = slash != NULL ? (size_t)(slash - path + 1) : 0;
    const char *folder = arena_text(c->arena, path, folder_size);
    int rc = folder != NULL ? add_neighbours(c, folder, e) : error_memory(e, NULL);
    return rc < 0 ? rc : want_file(c, path, &status, e);
}
