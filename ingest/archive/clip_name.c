/* clip_name.c - see clip_name.h. */
#include "ingest/archive/clip_name.h"

#include <stdlib.h>
#include <string.h>

#include "store/bytes.h"
#include "store/utf8.h"

const char *clip_name_text(const char *text, size_t size, struct arena *arena) {
    struct bytes repaired;
    size_t count = 0;
    bytes_init(&repaired, SIZE_MAX);
    const char *copy = NULL;
    if (utf8_repair(&repaired, text, size, &count, NULL) == 0) {
        copy = arena_text(arena, bytes_text(&repaired), repaired.size);
    }
    bytes_close(&repaired);
    return copy;
}

/* The last component of a folder's path; *size 0 where it names nothing ("/", ".", ".."). */
static const char *last_component(const char *path, size_t *size) {
    const char *end = path + strlen(path);
    while (end > path && end[-1] == '/') {
        end--;
    }
    const char *start = end;
    while (start > path && start[-1] != '/') {
        start--;
    }
    *size = (size_t)(end - start);
    bool dots = strncmp(start, "..", *size) == 0 && *size <= 2; /* "." or ".." */
    *size = dots ? 0 : *size;
    return start;
}

const char *clip_name_account(const char *path, struct arena *arena) {
    const char *slash = strrchr(path, '/');
    size_t size;
    const char *folder = arena_text(arena, slash != NULL ? path : ".",
                                    slash != NULL ? (size_t)(slash - path + 1) : 1);
    const char *name = folder != NULL ? last_component(folder, &size) : NULL;
    if (name == NULL || size > 0) {
        return name != NULL ? clip_name_text(name, size, arena) : NULL;
    }
    char *real = realpath(folder, NULL); /* "." has a name too */
    name = real != NULL ? last_component(real, &size) : "";
    name = real != NULL && size > 0 ? clip_name_text(name, size, arena) : "_";
    free(real);
    return name;
}

bool clip_name_id(const struct clip *clip, const char **id, size_t *size) {
    size_t stem_size = strlen(clip->stem);
    struct post_name post;
    bool gallery = file_name_post(clip->stem, stem_size, &post) && post.id_size == stem_size;
    if (!gallery && file_name_bracket_id(clip->stem, stem_size, id, size)) {
        return true;
    }
    *id = clip->stem;
    *size = file_name_original(clip->stem, stem_size);
    bool looks = file_name_is_id(clip->stem, *size);
    *size = looks ? *size : stem_size; /* "Part (2)" is not a copy of "Part" */
    return looks;
}

/* The title in gallery-dl's name of the first file that has one, unless gallery-dl made it up. */
static bool post_title(const struct clip *clip, const char **title, size_t *size) {
    for (size_t i = 0; i < clip->count; i++) {
        const char *slash = strrchr(clip->files[i].path, '/');
        const char *name = slash != NULL ? slash + 1 : clip->files[i].path;
        struct file_name parsed = file_name_parse(name);
        struct post_name post;
        if (parsed.post_size != strlen(clip->stem) ||
            !file_name_post(name, parsed.short_size, &post) || post.title_size == 0) {
            continue;
        }
        *title = post.title;
        *size = post.title_size;
        size_t id = parsed.post_size;
        bool made_up = *size > id + 1 && post.title[*size - id - 1] == '#' &&
                       memcmp(post.title + *size - id, clip->stem, id) == 0;
        return !made_up;
    }
    return false;
}

bool clip_name_title(const struct clip *clip, const char **title, size_t *size) {
    const char *id;
    size_t id_size;
    clip_name_id(clip, &id, &id_size);
    *title = clip->stem;
    if (id > clip->stem) { /* "title [ID]" */
        *size = (size_t)(id - clip->stem) - 1;
        while (*size > 0 && clip->stem[*size - 1] == ' ') {
            --*size;
        }
        return *size > 0;
    }
    *size = strlen(clip->stem);
    return id_size == *size && post_title(clip, title, size);
}
