/* scan.c - walks folders and joins the files of each by stem. See clips.h. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ingest/clips.h"

enum { DEEPEST_FOLDER = 64 };
#define CLIPS_MEMORY ((size_t)64 << 30) /* the arena's limit: as much as the machine gives */

/* One folder while it is being read. */
struct folder {
    const char *path; /* as the user wrote it; "" for the current folder of a bare file name */
    struct entry {
        const char *name;
        int64_t size, mtime;
        mode_t mode;
        int error_number; /* of stat; the fields above are then not valid */
    } * entries;
    size_t count, capacity;
    struct table *stems; /* stem -> index into clips.items */
};

int clips_open(struct clips *c, struct error *e) {
    *c = (struct clips){0};
    int rc = arena_open(&c->arena, CLIPS_MEMORY, e);
    rc = rc < 0 ? rc : table_open(&c->folders, e);
    return rc < 0 ? rc : table_open(&c->paths, e);
}

void clips_close(struct clips *c) {
    table_close(c->folders);
    table_close(c->paths);
    arena_close(c->arena);
    *c = (struct clips){0};
}

static int out_of_memory(struct error *e) {
    return error_set(e, ERR_MEMORY, "out of memory");
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
    if (!own_path || !own_stem) {
        return out_of_memory(e);
    }
    *index = c->count;
    c->items[c->count++] = (struct clip){.path = own_path, .stem = own_stem, .order = SIZE_MAX};
    return 0;
}

int clip_add_file(struct clips *c, struct clip *clip, const struct clip_file *file,
                  struct error *e) {
    void *files = clip->files;
    size_t capacity = clip->capacity;
    if (clip->count == capacity) { /* most clips have few files: grow by small steps */
        files = arena_alloc(c->arena, capacity + 4, sizeof *file);
        if (!files) {
            return out_of_memory(e);
        }
        if (clip->count) {
            memcpy(files, clip->files, clip->count * sizeof *file);
        }
        clip->capacity = capacity + 4;
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
    return clip_file_of(clip, FILE_VIDEO) || clip_file_of(clip, FILE_AUDIO);
}

/* A clip that only carries the news that `path` cannot be ingested. */
static int add_problem(struct clips *c, const char *path, const char *reason, const char *text,
                       struct error *e) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path; /* its rank among the clips of the folder */
    size_t index = SIZE_MAX;
    int rc = clip_new(c, path, name, strlen(name), &index, e);
    if (rc < 0) {
        return rc;
    }
    struct clip *clip = &c->items[index];
    clip->problem = arena_text(c->arena, text, strlen(text));
    clip->reason = reason;
    clip->wanted = true;
    clip->order = c->next_order++;
    return clip->problem ? 0 : out_of_memory(e);
}

static char *join_path(struct arena *arena, const char *folder, const char *name) {
    size_t folder_size = strlen(folder), size = folder_size + strlen(name) + 2;
    char *path = arena_alloc(arena, size, 1);
    if (path) {
        bool slash = folder_size > 0 && folder[folder_size - 1] != '/';
        snprintf(path, size, "%s%s%s", folder, slash ? "/" : "", name);
    }
    return path;
}

/* ---- Reading one folder ------------------------------------------------ */

static int compare_entries(const void *a, const void *b) {
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static int read_entries(struct clips *c, struct folder *f, DIR *directory, struct error *e) {
    for (;;) {
        errno = 0;
        struct dirent *found = readdir(directory);
        if (!found) {
            return errno ? error_errno(e, errno, "%s", f->path) : 0;
        }
        if (found->d_name[0] == '.') {
            continue;
        }
        void *entries = f->entries;
        int rc = arena_grow(c->arena, &entries, f->count, &f->capacity, sizeof *f->entries, e);
        if (rc < 0) {
            return rc;
        }
        f->entries = entries;
        struct entry *entry = &f->entries[f->count];
        *entry = (struct entry){.name = arena_text(c->arena, found->d_name, strlen(found->d_name))};
        if (!entry->name) {
            return out_of_memory(e);
        }
        struct stat status;
        if (fstatat(dirfd(directory), found->d_name, &status, 0) == 0) {
            entry->mode = status.st_mode;
            entry->size = (int64_t)status.st_size;
            entry->mtime = (int64_t)status.st_mtime;
        } else {
            entry->error_number = errno;
        }
        f->count++;
    }
}

static int attach(struct clips *c, struct folder *f, size_t clip, const struct entry *entry,
                  const struct file_name *name, struct error *e) {
    struct clip_file file = {.kind = name->kind,
                             .path = join_path(c->arena, f->path, entry->name),
                             .size = entry->size,
                             .mtime = entry->mtime};
    if (!file.path) {
        return out_of_memory(e);
    }
    size_t stem_size = strlen(c->items[clip].stem);
    bool language = (name->kind == FILE_CAPTION || name->kind == FILE_JSON) &&
                    stem_size == name->short_size && name->short_size < name->stem_size;
    if (language) {
        file.language = arena_text(c->arena, entry->name + name->short_size + 1,
                                   name->stem_size - name->short_size - 1);
    }
    return clip_add_file(c, &c->items[clip], &file, e);
}

/* The clip with that stem in this folder; `create` makes one. *index SIZE_MAX: there is none. */
static int find_stem(struct clips *c, struct folder *f, const struct entry *entry, size_t size,
                     bool create, size_t *index, struct error *e) {
    *index = SIZE_MAX;
    struct arena_mark mark = arena_mark(c->arena);
    char *stem = arena_text(c->arena, entry->name, size);
    if (!stem) {
        return out_of_memory(e);
    }
    if (table_find(f->stems, stem, index) || !create) {
        arena_rewind(c->arena, mark);
        return 0;
    }
    char *path = join_path(c->arena, f->path, entry->name);
    int rc = path ? clip_new(c, path, stem, size, index, e) : out_of_memory(e);
    return rc < 0 ? rc : table_add(f->stems, stem, *index, NULL, e);
}

/* Which clip a file goes to. Files that make a clip come in the first pass, what leans on them in
 * the second, pictures (which make none) in the third. */
static int place(struct clips *c, struct folder *f, const struct entry *entry,
                 const struct file_name *name, struct error *e) {
    size_t clip = SIZE_MAX;
    size_t slide = file_name_slide_base(entry->name, name->stem_size);
    bool picture = name->kind == FILE_IMAGE;
    int rc = find_stem(c, f, entry, name->stem_size, false, &clip, e);
    if (rc == 0 && clip == SIZE_MAX && name->short_size < name->stem_size) {
        rc = find_stem(c, f, entry, name->short_size, false, &clip, e);
    }
    if (rc == 0 && clip == SIZE_MAX && slide && (picture || name->kind == FILE_GALLERY)) {
        rc = find_stem(c, f, entry, slide, !picture, &clip, e);
    }
    if (rc == 0 && clip == SIZE_MAX && !picture) {
        rc = find_stem(c, f, entry, name->short_size, true, &clip, e);
    }
    return rc < 0 || clip == SIZE_MAX ? rc : attach(c, f, clip, entry, name, e);
}

static int pass_of(enum file_kind kind) {
    switch (kind) {
    case FILE_VIDEO:
    case FILE_AUDIO:
    case FILE_INFO:
        return 0;
    case FILE_DESCRIPTION:
    case FILE_CAPTION:
    case FILE_COMMENTS:
    case FILE_GALLERY:
    case FILE_JSON:
        return 1;
    case FILE_IMAGE:
        return 2;
    case FILE_OTHER:
    case FILE_PARTIAL:
    default:
        return -1;
    }
}

static int place_entry(struct clips *c, struct folder *f, const struct entry *entry, int pass,
                       struct error *e) {
    struct file_name name = file_name_parse(entry->name);
    if (pass_of(name.kind) != pass || (!entry->error_number && S_ISDIR(entry->mode))) {
        return 0;
    }
    if (!entry->error_number && S_ISREG(entry->mode)) {
        return place(c, f, entry, &name, e);
    }
    char *path = join_path(c->arena, f->path, entry->name);
    if (!path) {
        return out_of_memory(e);
    }
    if (entry->error_number) {
        return add_problem(c, path, "unreadable", strerror(entry->error_number), e);
    }
    return add_problem(c, path, "not-a-file", "not a regular file", e);
}

static int compare_stems(const void *a, const void *b) {
    return strcmp(((const struct clip *)a)->stem, ((const struct clip *)b)->stem);
}

/* Reads a folder's files into clips [*first, c->count), in byte order of their stems. */
static int read_folder(struct clips *c, struct folder *f, size_t *first, struct error *e) {
    *first = c->count;
    const char *path = *f->path ? f->path : ".";
    DIR *directory = opendir(path);
    if (!directory) {
        int reason = errno;
        return add_problem(c, path, "unreadable", strerror(reason), e);
    }
    int rc = read_entries(c, f, directory, e);
    closedir(directory);
    if (rc == ERR_IO) {
        rc = add_problem(c, path, "unreadable", e ? e->text : "cannot be read", e);
    }
    if (rc == 0) {
        rc = table_open(&f->stems, e);
    }
    if (rc == 0 && f->count > 1) {
        qsort(f->entries, f->count, sizeof *f->entries, compare_entries);
    }
    for (int pass = 0; pass < 3 && rc >= 0; pass++) {
        for (size_t i = 0; i < f->count && rc >= 0; i++) {
            rc = place_entry(c, f, &f->entries[i], pass, e);
        }
    }
    table_close(f->stems);
    f->stems = NULL;
    if (rc >= 0 && c->count - *first > 1) {
        qsort(c->items + *first, c->count - *first, sizeof *c->items, compare_stems);
    }
    return rc < 0 ? rc : 0;
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
        return add_problem(c, path, "unreadable", strerror(reason), e);
    }
    int rc = enter_once(c, &status, e);
    if (rc <= 0) {
        return rc;
    }
    if (depth > DEEPEST_FOLDER) {
        return add_problem(c, path, "too-deep", "folders nested more than 64 deep", e);
    }
    struct folder f = {.path = path};
    size_t first;
    rc = read_folder(c, &f, &first, e);
    for (size_t i = first; rc == 0 && i < c->count; i++) {
        c->items[i].wanted = true;
        c->items[i].order = c->next_order++;
    }
    for (size_t i = 0; i < f.count && rc == 0; i++) {
        if (!f.entries[i].error_number && S_ISDIR(f.entries[i].mode)) {
            char *below = join_path(c->arena, path, f.entries[i].name);
            rc = below ? add_folder(c, below, depth + 1, e) : out_of_memory(e);
        }
    }
    return rc;
}

/* Reads the folder of an explicitly named file once, wanting nothing of it yet. */
static int add_neighbours(struct clips *c, const char *folder, struct error *e) {
    int rc = table_add(c->folders, folder, 0, NULL, e);
    if (rc <= 0) {
        return rc;
    }
    struct folder f = {.path = folder};
    size_t first;
    rc = read_folder(c, &f, &first, e);
    for (size_t i = first; rc >= 0 && i < c->count; i++) {
        if (f.count > 0) { /* else this tells that the folder itself cannot be read */
            c->items[i].wanted = false;
        }
        for (size_t k = 0; rc >= 0 && k < c->items[i].count; k++) {
            rc = table_add(c->paths, c->items[i].files[k].path, i, NULL, e);
        }
    }
    return rc < 0 ? rc : 0;
}

/* Wants the clip that holds `path`. A file that belongs to none is taken for media whatever its
 * name. */
static int want_file(struct clips *c, const char *path, const struct stat *status,
                     struct error *e) {
    size_t index = SIZE_MAX;
    table_find(c->paths, path, &index);
    if (index == SIZE_MAX) {
        const char *slash = strrchr(path, '/');
        const char *name = slash ? slash + 1 : path;
        struct file_name parsed = file_name_parse(name);
        int rc = clip_new(c, path, name, parsed.stem_size, &index, e);
        struct clip_file file = {.kind = FILE_VIDEO,
                                 .path = rc < 0 ? NULL : c->items[index].path,
                                 .size = (int64_t)status->st_size,
                                 .mtime = (int64_t)status->st_mtime};
        rc = rc < 0 ? rc : clip_add_file(c, &c->items[index], &file, e);
        rc = rc < 0 ? rc : table_add(c->paths, path, index, NULL, e);
        if (rc < 0) {
            return rc;
        }
    }
    struct clip *clip = &c->items[index];
    if (!clip->wanted) {
        clip->wanted = true;
        clip->order = c->next_order++;
    }
    return 0;
}

int clips_add(struct clips *c, const char *path, struct error *e) {
    struct stat status;
    if (stat(path, &status) != 0) {
        int reason = errno;
        return add_problem(c, path, "unreadable", strerror(reason), e);
    }
    if (S_ISDIR(status.st_mode)) {
        const char *own = arena_text(c->arena, path, strlen(path));
        return own ? add_folder(c, own, 0, e) : out_of_memory(e);
    }
    if (!S_ISREG(status.st_mode)) {
        return add_problem(c, path, "not-a-file", "not a regular file", e);
    }
    const char *slash = strrchr(path, '/');
    size_t folder_size = slash ? (size_t)(slash - path + 1) : 0;
    const char *folder = arena_text(c->arena, path, folder_size);
    int rc = folder ? add_neighbours(c, folder, e) : out_of_memory(e);
    return rc < 0 ? rc : want_file(c, path, &status, e);
}
