/* folder.c - see folder.h. */
#include "ingest/archive/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PASSES = 5 };

char *folder_path(struct arena *arena, const char *folder, const char *name) {
    size_t folder_size = strlen(folder), size = folder_size + strlen(name) + 2;
    char *path = arena_alloc(arena, size, 1);
    if (path != NULL) {
        bool slash = folder_size > 0 && folder[folder_size - 1] != '/';
        snprintf(path, size, "%s%s%s", folder, slash ? "/" : "", name);
    }
    return path;
}

/* An info.json gives the stem, media make the clips, the rest depends on these; pictures and
 * unknown files come last. */
static int pass_of(enum file_kind kind) {
    switch (kind) {
    case FILE_INFO:
        return 0;
    case FILE_VIDEO:
    case FILE_AUDIO:
        return 1;
    case FILE_DESCRIPTION:
    case FILE_CAPTION:
    case FILE_UNREAD:
    case FILE_COMMENTS:
    case FILE_GALLERY:
    case FILE_JSON:
        return 2;
    case FILE_IMAGE:
        return 3;
    case FILE_UNKNOWN:
        return 4;
    case FILE_OTHER:
    case FILE_PARTIAL:
    default:
        return -1;
    }
}

static int compare_entries(const void *a, const void *b) {
    return strcmp(((const struct folder_entry *)a)->name, ((const struct folder_entry *)b)->name);
}

static int read_entries(struct clips *c, struct folder *f, DIR *directory, struct error *e) {
    for (;;) {
        errno = 0;
        struct dirent *found = readdir(directory);
        if (found == NULL) {
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
        struct folder_entry *entry = &f->entries[f->count];
        *entry = (struct folder_entry){
            .name = arena_text(c->arena, found->d_name, strlen(found->d_name))};
        if (entry->name == NULL) {
            return error_memory(e, NULL);
        }
        struct stat status;
        if (fstatat(dirfd(directory), found->d_name, &status, 0) == 0) {
            entry->mode = status.st_mode;
            entry->size = (int64_t)status.st_size;
            entry->mtime = (int64_t)status.st_mtime;
        } else {
            entry->error_number = errno;
        }
        entry->pass = (signed char)pass_of(file_name_parse(entry->name).kind);
        f->count++;
    }
}

static int attach(struct clips *c, struct folder *f, size_t clip, const struct folder_entry *entry,
                  const struct file_name *name, struct error *e) {
    struct clip_file file = {.kind = name->kind,
                             .path = folder_path(c->arena, f->path, entry->name),
                             .size = entry->size,
                             .mtime = entry->mtime,
                             .number = name->number,
                             .origin = name->origin};
    /* a clip whose stem ends in a language is not a caption of the clip without it */
    bool language = name->language != NULL && strlen(c->items[clip].stem) != name->stem_size;
    if (language) {
        file.language = arena_text(c->arena, name->language, name->language_size);
    }
    if (file.path == NULL || (language && file.language == NULL)) {
        return error_memory(e, NULL);
    }
    if (file.kind == FILE_GALLERY && clip_file_of(&c->items[clip], FILE_GALLERY) != NULL) {
        file.kind = FILE_OTHER; /* one for each picture, and all say the same of the post */
    }
    return clip_add_file(c, &c->items[clip], &file, e);
}

/* The clip of this folder whose stem is the first `size` bytes of the name; `create` makes one.
 * There is no search when *index is known already or `size` is 0. */
static int find_stem(struct clips *c, struct folder *f, const struct folder_entry *entry,
                     size_t size, bool create, size_t *index, struct error *e) {
    if (*index != SIZE_MAX || size == 0) {
        return 0;
    }
    struct arena_mark mark = arena_mark(c->arena);
    char *stem = arena_text(c->arena, entry->name, size);
    if (stem == NULL) {
        return error_memory(e, NULL);
    }
    if (table_find(f->stems, stem, index) || !create) {
        arena_rewind(c->arena, mark);
        return 0;
    }
    char *path = folder_path(c->arena, f->path, entry->name);
    int rc = path != NULL ? clip_new(c, path, stem, size, index, e) : error_memory(e, NULL);
    return rc < 0 ? rc : table_add(f->stems, stem, *index, NULL, e);
}

/* The stem of the clip that a file makes where there is none yet; 0: it makes none. */
static size_t own_stem(const struct folder_entry *entry, const struct file_name *name) {
    const char *id;
    size_t size;
    bool slide = name->kind == FILE_IMAGE || name->kind == FILE_GALLERY;
    if (name->post_size) {
        return name->post_size;
    }
    if (slide && name->slide_size) {
        return name->slide_size;
    }
    if (name->kind == FILE_UNKNOWN) { /* media, if its name has an id, else clutter */
        bool known = file_name_bracket_id(entry->name, name->stem_size, &id, &size) &&
                     file_name_is_id(id, size);
        return known ? name->stem_size : 0;
    }
    bool one_of_several = file_name_bracket_id(entry->name, name->short_size, &id, &size);
    return name->kind == FILE_IMAGE && !one_of_several ? name->stem_size : name->short_size;
}

/* Which clip a file goes to: the one with its stem, else with what is left of it without a
 * language, with the id that gallery-dl puts first, or without the number of a slide. */
static int place(struct clips *c, struct folder *f, const struct folder_entry *entry,
                 const struct file_name *name, struct error *e) {
    size_t clip = SIZE_MAX;
    int rc = find_stem(c, f, entry, name->stem_size, false, &clip, e);
    if (rc >= 0 && name->kind == FILE_UNKNOWN) { /* yt-dlp without an extension in its template */
        rc = find_stem(c, f, entry, strlen(entry->name), false, &clip, e);
    }
    if (rc >= 0) {
        rc = find_stem(c, f, entry, name->short_size, false, &clip, e);
    }
    if (rc >= 0) {
        rc = find_stem(c, f, entry, name->post_size, false, &clip, e);
    }
    if (rc >= 0) {
        rc = find_stem(c, f, entry, name->slide_size, false, &clip, e);
    }
    if (rc >= 0) {
        rc = find_stem(c, f, entry, own_stem(entry, name), true, &clip, e);
    }
    return rc < 0 || clip == SIZE_MAX ? rc : attach(c, f, clip, entry, name, e);
}

static int place_entry(struct clips *c, struct folder *f, const struct folder_entry *entry,
                       int pass, struct error *e) {
    if (entry->pass != pass || (!entry->error_number && S_ISDIR(entry->mode))) {
        return 0;
    }
    struct file_name name = file_name_parse(entry->name);
    if (!entry->error_number && S_ISREG(entry->mode)) {
        return place(c, f, entry, &name, e);
    }
    if (name.kind == FILE_UNKNOWN) {
        return 0;
    }
    char *path = folder_path(c->arena, f->path, entry->name);
    if (path == NULL) {
        return error_memory(e, NULL);
    }
    if (entry->error_number) {
        return clip_new_problem(c, path, "unreadable", strerror(entry->error_number), e);
    }
    return clip_new_problem(c, path, "not-a-file", "not a regular file", e);
}

static int compare_stems(const void *a, const void *b) {
    return strcmp(((const struct clip *)a)->stem, ((const struct clip *)b)->stem);
}

int folder_read(struct clips *c, struct folder *f, size_t *first, struct error *e) {
    *first = c->count;
    const char *path = *f->path ? f->path : ".";
    DIR *directory = opendir(path);
    if (directory == NULL) {
        int reason = errno;
        return clip_new_problem(c, path, "unreadable", strerror(reason), e);
    }
    int rc = read_entries(c, f, directory, e);
    closedir(directory);
    if (rc == ERR_IO) {
        rc = clip_new_problem(c, path, "unreadable", e != NULL ? e->text : "cannot be read", e);
    }
    if (rc == 0) {
        rc = table_open(&f->stems, e);
    }
    if (rc == 0 && f->count > 1) {
        qsort(f->entries, f->count, sizeof *f->entries, compare_entries);
    }
    for (int pass = 0; pass < PASSES && rc >= 0; pass++) {
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
