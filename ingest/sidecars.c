/* sidecars.c - see sidecars.h. */
#include "ingest/sidecars.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/caption.h"
#include "ingest/peek.h"
#include "store/file.h"
#include "store/json.h"
#include "store/utf16.h"
#include "store/utf8.h"

#define SIDECAR_LIMIT ((size_t)256 << 20)

static int out_of_memory(struct error *e) {
    return error_set(e, ERR_MEMORY, "out of memory");
}

__attribute__((format(printf, 2, 3))) static void warn(struct sidecars *s, const char *format,
                                                       ...) {
    char text[600]; /* a file name and an error */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *copy = arena_text(s->arena, text, utf8_floor(text, strlen(text)));
    if (copy && s->warning_count < SIDECAR_WARNINGS) {
        s->warnings[s->warning_count++] = copy;
    }
}

void sidecar_cache_close(struct sidecar_cache *cache) {
    free(cache->path);
    json_decref(cache->root);
    *cache = (struct sidecar_cache){0};
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void sidecars_warn(struct sidecars *s, const char *text) {
    warn(s, "%s", text);
}

void sidecars_lose(struct sidecars *s, const char *path, const char *reason) {
    size_t size = strlen(path);
    bool named = strncmp(reason, path, size) == 0; /* errors of file.h begin with the path */
    warn(s, "%s%s%s", base_name(path), named ? "" : ": ", named ? reason + size : reason);
    if (!s->lost && s->warning_count > 0) {
        s->lost = s->warnings[s->warning_count - 1];
    }
}

/* The tree of a JSON (or NDJSON) file, or NULL. */
static json_t *load_tree(const char *path, size_t *repaired, struct error *e) {
    *repaired = 0;
    return json_read_file(path, SIDECAR_LIMIT, repaired, e);
}

/* Tells the sample what load_tree had to say. */
static void note_tree(struct sidecars *s, const char *path, const json_t *root, size_t repaired,
                      const struct error *e) {
    if (!root) {
        sidecars_lose(s, path, e->text);
    } else if (repaired) {
        warn(s, "%s: %zu places mended", base_name(path), repaired);
    }
}

static json_t *read_tree(struct sidecars *s, const char *path, struct error *e) {
    size_t repaired;
    json_t *root = load_tree(path, &repaired, e);
    note_tree(s, path, root, repaired, e);
    return root;
}

/* ---- Metadata ---------------------------------------------------------- */

static int read_metadata(struct sidecars *s, const struct clip_file *file, struct error *e) {
    json_t *root = read_tree(s, file->path, e);
    if (!root) {
        return e->code == ERR_MEMORY ? ERR_MEMORY : 0;
    }
    struct metadata found;
    metadata_init(&found);
    int rc = file->kind == FILE_INFO ? metadata_from_ytdlp(root, s->arena, &found, e)
                                     : metadata_from_gallery_dl(root, s->arena, &found, e);
    s->playlist |= rc == ERR_UNSUPPORTED && file->kind == FILE_INFO;
    if (rc == 0) {
        s->metadata = found;
        s->described = true;
    } else if (rc != ERR_MEMORY && !s->playlist) {
        sidecars_lose(s, file->path, e->text);
    }
    if (rc == 0 && file->kind == FILE_INFO && json_object_get(root, "comments")) {
        rc = comments_add(&s->comments, root, NULL, found.creator, e);
        if (rc < 0 && rc != ERR_MEMORY) {
            rc = 0; /* "comments": null and the like: absent comments are normal */
        }
    }
    json_decref(root);
    return rc == ERR_MEMORY ? rc : 0;
}

static int read_description(struct sidecars *s, const struct clip_file *file, struct error *e) {
    struct bytes content, text;
    size_t repaired = 0;
    bytes_init(&content, SIDECAR_LIMIT);
    bytes_init(&text, SIDECAR_LIMIT);
    int rc = file_read(file->path, &content, e);
    enum utf16_order order = utf16_detect(content.data, content.size);
    if (rc == 0 && order != UTF16_NONE) {
        rc = utf16_to_utf8(&text, content.data, content.size, order, &repaired, e);
    } else if (rc == 0) {
        rc = utf8_repair(&text, bytes_text(&content), content.size, &repaired, e);
    }
    while (text.size && strchr(" \t\r\n", text.data[text.size - 1])) {
        text.size--;
    }
    if (rc == 0 && text.size) {
        s->metadata.description = arena_text(s->arena, bytes_text(&text), text.size);
        rc = s->metadata.description
                 ? metadata_add_hashtags(&s->metadata, s->metadata.description, s->arena, e)
                 : out_of_memory(e);
    }
    if (rc < 0 && rc != ERR_MEMORY) {
        sidecars_lose(s, file->path, e->text);
        rc = 0;
    }
    bytes_close(&text);
    bytes_close(&content);
    return rc;
}

/* A text that a file name gave: repaired, in the arena. */
static const char *name_text(struct sidecars *s, const char *text, size_t size) {
    struct bytes repaired;
    size_t count = 0;
    bytes_init(&repaired, SIZE_MAX);
    const char *copy = NULL;
    if (utf8_repair(&repaired, text, size, &count, NULL) == 0) {
        copy = arena_text(s->arena, bytes_text(&repaired), repaired.size);
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

/* The folder that holds the clip, which archives name after the account. */
static const char *folder_name(struct sidecars *s, const char *path) {
    const char *slash = strrchr(path, '/');
    size_t size;
    const char *folder =
        arena_text(s->arena, slash ? path : ".", slash ? (size_t)(slash - path + 1) : 1);
    const char *name = folder ? last_component(folder, &size) : NULL;
    if (!name || size > 0) {
        return name ? name_text(s, name, size) : NULL;
    }
    char *real = realpath(folder, NULL); /* "." has a name too */
    name = real ? last_component(real, &size) : "";
    name = real && size > 0 ? name_text(s, name, size) : "_";
    free(real);
    return name;
}

/* What no sidecar says is taken from the file's name, folder and date. */
static int complete(struct sidecars *s, const struct clip *clip, struct error *e) {
    struct metadata *m = &s->metadata;
    size_t size = strlen(clip->stem), id_size = size;
    const char *id = clip->stem;
    bool bracket = file_name_bracket_id(clip->stem, size, &id, &id_size);
    if (!m->id) {
        m->id = name_text(s, id, id_size);
    }
    if (!m->title && bracket) {
        size_t title = size - id_size - 2;
        while (title > 0 && clip->stem[title - 1] == ' ') {
            title--;
        }
        m->title = title > 0 ? name_text(s, clip->stem, title) : NULL;
    } else if (!m->title && id_size == size && strcmp(m->id ? m->id : "", clip->stem) != 0) {
        m->title = name_text(s, clip->stem, size);
    }
    if (!m->account) {
        m->account = folder_name(s, clip->path);
    }
    if (m->created < 0 && clip->count > 0) {
        const struct clip_file *media = clip_file_of(clip, FILE_VIDEO);
        media = media ? media : clip_file_of(clip, FILE_AUDIO);
        m->created = (media ? media : &clip->files[0])->mtime;
        s->created_from_file = true;
    }
    return m->id && m->account ? 0 : out_of_memory(e);
}

/* ---- Comments and captions --------------------------------------------- */

static int read_comments(struct sidecars *s, const struct clip_file *file,
                         struct sidecar_cache *cache, struct error *e) {
    if (!cache->path || strcmp(cache->path, file->path) != 0) {
        sidecar_cache_close(cache);
        cache->path = strdup(file->path);
        if (!cache->path) {
            return out_of_memory(e);
        }
        cache->root = load_tree(file->path, &cache->repaired, &cache->error);
    }
    note_tree(s, file->path, cache->root, cache->repaired, &cache->error);
    if (!cache->root && cache->error.code == ERR_MEMORY) {
        *e = cache->error;
        return ERR_MEMORY;
    }
    if (!cache->root) {
        return 0;
    }
    int rc = comments_add(&s->comments, cache->root, s->metadata.id, s->metadata.creator, e);
    if (rc < 0 && rc != ERR_MEMORY) {
        sidecars_lose(s, file->path, e->text);
        rc = 0;
    }
    return rc;
}

static void list_caption(struct sidecars *s, const struct clip_file *file) {
    if (s->caption_count >= SIDECAR_CAPTIONS) {
        warn(s, "%s: more than %d caption files", base_name(file->path), SIDECAR_CAPTIONS);
        return;
    }
    struct file_name name = file_name_parse(base_name(file->path));
    const char *kind = file->kind == FILE_JSON ? "creator" : name.extension;
    s->captions[s->caption_count++] =
        (struct sidecar_caption){.file = file, .kind = kind, .cues = {.arena = s->arena}};
}

int sidecars_read_caption(struct sidecars *s, struct sidecar_caption *caption, struct error *e) {
    if (caption->read) {
        return 0;
    }
    caption->read = true;
    const char *path = caption->file->path;
    size_t repaired = 0;
    int rc;
    if (caption->file->kind == FILE_JSON) {
        json_t *root = read_tree(s, path, e);
        rc = root ? caption_read_creator_json(&caption->cues, root, e) : 0;
        json_decref(root);
    } else {
        struct bytes content;
        bytes_init(&content, SIDECAR_LIMIT);
        rc = file_read(path, &content, e);
        if (rc == 0) {
            rc = caption_read_file(&caption->cues, content.data, content.size, caption->kind,
                                   &repaired, e);
        }
        bytes_close(&content);
    }
    if (repaired) {
        warn(s, "%s: %zu places mended", base_name(path), repaired);
    }
    if (rc < 0 && rc != ERR_MEMORY) {
        sidecars_lose(s, path, e->text);
        rc = 0;
    }
    caption_collapse_rolling(&caption->cues);
    return rc;
}

/* A bare STEM.json may be anything; its content tells. Comments are left for later (*comments),
 * when it is known which clip they must be of. */
static int read_bare_json(struct sidecars *s, const struct clip_file *file, bool *comments,
                          struct error *e) {
    size_t repaired;
    json_t *root = load_tree(file->path, &repaired, e);
    if (!root && e->code == ERR_MEMORY) {
        return ERR_MEMORY;
    }
    enum file_kind kind = peek_kind(root);
    int rc = 0;
    *comments = kind == FILE_COMMENTS;
    if (!*comments) {
        note_tree(s, file->path, root, repaired, e);
    }
    if (kind == FILE_GALLERY && !s->metadata.id) {
        rc = metadata_from_gallery_dl(root, s->arena, &s->metadata, e);
        s->described |= rc == 0;
    } else if (kind == FILE_JSON) {
        list_caption(s, file);
    }
    json_decref(root);
    return rc == ERR_MEMORY ? rc : 0;
}

/* As read_comments for a file whose name does not say that it holds any: none is no loss. */
static int read_bare_comments(struct sidecars *s, const struct clip_file *file, struct error *e) {
    json_t *root = read_tree(s, file->path, e);
    int rc = root ? comments_add(&s->comments, root, s->metadata.id, s->metadata.creator, e) : 0;
    json_decref(root);
    return rc == ERR_MEMORY ? rc : 0;
}

static int read_one(struct sidecars *s, const struct clip_file *file, struct sidecar_cache *cache,
                    struct error *e) {
    switch (file->kind) {
    case FILE_DESCRIPTION:
        return s->metadata.description ? 0 : read_description(s, file, e);
    case FILE_COMMENTS:
        return read_comments(s, file, cache, e);
    case FILE_CAPTION:
        list_caption(s, file);
        return 0;
    case FILE_JSON: /* read before */
    case FILE_INFO:
    case FILE_GALLERY:
    case FILE_OTHER:
    case FILE_PARTIAL:
    case FILE_VIDEO:
    case FILE_AUDIO:
    case FILE_IMAGE:
    default:
        return 0;
    }
}

int sidecars_read(struct sidecars *s, const struct clip *clip, struct arena *arena,
                  struct sidecar_cache *cache, struct error *e) {
    *s = (struct sidecars){.arena = arena, .comments = {.arena = arena}};
    metadata_init(&s->metadata);
    const struct clip_file *info = clip_file_of(clip, FILE_INFO);
    info = info ? info : clip_file_of(clip, FILE_GALLERY);
    bool *comments = arena_alloc(arena, clip->count, sizeof *comments);
    int rc = comments ? 0 : out_of_memory(e);
    rc = rc == 0 && info ? read_metadata(s, info, e) : rc;
    for (size_t i = 0; i < clip->count && rc == 0; i++) {
        if (clip->files[i].kind == FILE_JSON) {
            rc = read_bare_json(s, &clip->files[i], &comments[i], e);
        }
    }
    rc = rc == 0 ? complete(s, clip, e) : rc;
    for (size_t i = 0; i < clip->count && rc == 0; i++) {
        rc = comments[i] ? read_bare_comments(s, &clip->files[i], e)
                         : read_one(s, &clip->files[i], cache, e);
    }
    return rc == 0 ? comments_thread(&s->comments, e) : rc;
}
