/* sidecars.c - see sidecars.h. */
#include "ingest/sidecars/sidecars.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/archive/clip_name.h"
#include "ingest/archive/peek.h"
#include "ingest/captions/caption.h"
#include "store/file.h"
#include "store/json.h"
#include "store/utf16.h"
#include "store/utf8.h"

#define SIDECAR_LIMIT ((size_t)256 << 20)

__attribute__((format(printf, 2, 3))) static void warn(struct sidecars *s, const char *format,
                                                       ...) {
    char text[600]; /* a file name and an error */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *copy = arena_text(s->arena, text, utf8_floor(text, strlen(text)));
    if (copy != NULL && s->warning_count < SIDECAR_WARNINGS) {
        s->warnings[s->warning_count++] = copy;
    }
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

void sidecars_note(struct sidecars *s, const char *text) {
    warn(s, "%s", text);
}

void sidecars_warn(struct sidecars *s, const char *path, const char *reason) {
    size_t size = strlen(path);
    bool named = strncmp(reason, path, size) == 0; /* errors of file.h begin with the path */
    warn(s, "%s%s%s", base_name(path), named ? "" : ": ", named ? reason + size : reason);
}

void sidecars_lose(struct sidecars *s, const char *path, const char *reason) {
    sidecars_warn(s, path, reason);
    if (s->lost == NULL && s->warning_count > 0) {
        s->lost = s->warnings[s->warning_count - 1];
    }
}

/* Warns of damage in a JSON file. */
static void warn_of_tree(struct sidecars *s, const char *path, const json_t *root, size_t repaired,
                         const struct error *e) {
    if (root == NULL) {
        sidecars_lose(s, path, e->text);
    } else if (repaired) {
        warn(s, "%s: %zu places mended", base_name(path), repaired);
    }
}

/* Makes `tree` hold a JSON (or NDJSON) file, unless it does. Fails with ERR_MEMORY only. */
static int tree_load(struct sidecar_tree *tree, const char *path, struct error *e) {
    if (tree->path == NULL || strcmp(tree->path, path) != 0) {
        free(tree->path);
        json_decref(tree->root);
        *tree = (struct sidecar_tree){.path = strdup(path)};
        if (tree->path == NULL) {
            return error_memory(e, NULL);
        }
        tree->root = json_read_file(path, SIDECAR_LIMIT, &tree->repaired, &tree->error);
    }
    if (tree->root == NULL && tree->error.code == ERR_MEMORY) {
        *e = tree->error;
        return ERR_MEMORY;
    }
    return 0;
}

/* As tree_load; also warns of damage. */
static int tree_read(struct sidecars *s, struct sidecar_tree *tree, const char *path,
                     struct error *e) {
    int rc = tree_load(tree, path, e);
    if (rc == 0) {
        warn_of_tree(s, path, tree->root, tree->repaired, &tree->error);
    }
    return rc;
}

/* ---- Metadata ---------------------------------------------------------- */

/* The first usable metadata count; further ones, of the same clip kept elsewhere, fill in the
 * gaps. */
static int take_metadata(struct sidecars *s, const struct metadata *found, struct error *e) {
    int rc = 0;
    if (s->described) {
        rc = metadata_fill(&s->metadata, found, s->arena, e);
    } else {
        s->metadata = *found;
    }
    s->described = true;
    return rc;
}

static int read_metadata(struct sidecars *s, const struct clip_file *file, struct error *e) {
    size_t repaired = 0;
    json_t *root = json_read_file(file->path, SIDECAR_LIMIT, &repaired, e);
    warn_of_tree(s, file->path, root, repaired, e);
    if (root == NULL) {
        return e->code == ERR_MEMORY ? ERR_MEMORY : 0;
    }
    struct metadata found;
    metadata_init(&found);
    int rc = file->kind == FILE_INFO ? metadata_from_ytdlp(root, s->arena, &found, e)
                                     : metadata_from_gallery_dl(root, s->arena, &found, e);
    s->playlist |= rc == ERR_UNSUPPORTED && file->kind == FILE_INFO;
    if (rc == 0) {
        rc = take_metadata(s, &found, e);
    } else if (rc != ERR_MEMORY && !s->playlist) {
        sidecars_lose(s, file->path, e->text);
    }
    if (rc == 0 && file->kind == FILE_INFO && json_object_get(root, "comments") != NULL) {
        rc = comments_add(&s->comments, root, NULL, found.creator, e);
        if (rc < 0 && rc != ERR_MEMORY) {
            rc = 0; /* "comments": null and the like: absent comments are normal */
        }
    }
    json_decref(root);
    return rc == ERR_MEMORY ? rc : 0;
}

/* yt-dlp's come first, since they say more than gallery-dl's. */
static int read_all_metadata(struct sidecars *s, const struct clip *clip, struct error *e) {
    static const enum file_kind kinds[] = {FILE_INFO, FILE_GALLERY};
    int rc = 0;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        for (size_t i = 0; i < clip->count && rc == 0; i++) {
            rc = clip->files[i].kind == kinds[k] ? read_metadata(s, &clip->files[i], e) : 0;
        }
    }
    return rc;
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
    while (text.size && strchr(" \t\r\n", text.data[text.size - 1]) != NULL) {
        text.size--;
    }
    if (rc == 0 && text.size) {
        s->metadata.description = arena_text(s->arena, bytes_text(&text), text.size);
        rc = s->metadata.description != NULL
                 ? metadata_add_hashtags(&s->metadata, s->metadata.description, s->arena, e)
                 : error_memory(e, NULL);
    }
    if (rc < 0 && rc != ERR_MEMORY) {
        sidecars_lose(s, file->path, e->text);
        rc = 0;
    }
    bytes_close(&text);
    bytes_close(&content);
    return rc;
}

/* Facts that no sidecar gives come from the file's name, folder and date. */
static int complete(struct sidecars *s, const struct clip *clip, struct error *e) {
    struct metadata *m = &s->metadata;
    const char *id, *title;
    size_t id_size, size;
    clip_name_id(clip, &id, &id_size);
    if (m->id == NULL) {
        m->id = clip_name_text(id, id_size, s->arena);
    }
    if (m->title == NULL && clip_name_title(clip, &title, &size)) {
        m->title = clip_name_text(title, size, s->arena);
    } else if (m->title == NULL && id_size == strlen(clip->stem) &&
               strcmp(m->id != NULL ? m->id : "", clip->stem) != 0) {
        m->title = clip_name_text(clip->stem, id_size, s->arena);
    }
    if (m->account == NULL) {
        m->account = clip_name_account(clip->path, s->arena);
    }
    if (m->created < 0 && clip->count > 0) {
        const struct clip_file *media = clip_file_of(clip, FILE_VIDEO);
        media = media != NULL ? media : clip_file_of(clip, FILE_AUDIO);
        m->created = (media != NULL ? media : &clip->files[0])->mtime;
        s->created_from_file = true;
    }
    return m->id != NULL && m->account != NULL ? 0 : error_memory(e, NULL);
}

/* ---- Comments and captions --------------------------------------------- */

static int read_comments(struct sidecars *s, const struct clip_file *file, struct error *e) {
    struct sidecar_tree *tree = &s->cache->export;
    int rc = tree_read(s, tree, file->path, e);
    if (rc < 0 || tree->root == NULL) {
        return rc;
    }
    rc = comments_add(&s->comments, tree->root, s->metadata.id, s->metadata.creator, e);
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
    struct caption_losses losses = {0};
    int rc;
    if (caption->file->kind == FILE_JSON) {
        struct sidecar_tree *tree = &s->cache->bare;
        rc = tree_read(s, tree, path, e);
        if (rc == 0 && tree->root != NULL) {
            rc = caption_read_creator_json(&caption->cues, tree->root, e);
        }
    } else {
        struct bytes content;
        bytes_init(&content, SIDECAR_LIMIT);
        rc = file_read(path, &content, e);
        if (rc == 0) {
            rc = caption_read_file(&caption->cues, content.data, content.size, caption->kind,
                                   &losses, e);
        }
        bytes_close(&content);
    }
    if (losses.repaired) {
        warn(s, "%s: %zu places mended", base_name(path), losses.repaired);
    }
    if (losses.untimed) {
        warn(s, "%s: texts without a readable time, left out: %zu", base_name(path),
             losses.untimed);
    }
    if (rc < 0 && rc != ERR_MEMORY) {
        sidecars_lose(s, path, e->text);
        rc = 0;
    }
    caption_collapse_rolling(&caption->cues);
    return rc;
}

/* A bare STEM.json may be anything; its content decides. Comments are left for later (*comments),
 * when the id of the clip is known. */
static int read_bare_json(struct sidecars *s, const struct clip_file *file, bool *comments,
                          struct error *e) {
    struct sidecar_tree *tree = &s->cache->bare;
    int rc = tree_load(tree, file->path, e);
    if (rc < 0) {
        return rc;
    }
    enum file_kind kind = peek_kind(tree->root);
    *comments = kind == FILE_COMMENTS;
    if (!*comments) {
        warn_of_tree(s, file->path, tree->root, tree->repaired, &tree->error);
    }
    if (kind == FILE_GALLERY && s->metadata.id == NULL) {
        rc = metadata_from_gallery_dl(tree->root, s->arena, &s->metadata, e);
        s->described |= rc == 0;
    } else if (kind == FILE_JSON) {
        list_caption(s, file);
    }
    return rc == ERR_MEMORY ? rc : 0;
}

/* As read_comments, for a file whose name does not promise comments: to find none is not a loss. */
static int read_bare_comments(struct sidecars *s, const struct clip_file *file, struct error *e) {
    struct sidecar_tree *tree = &s->cache->bare;
    int rc = tree_read(s, tree, file->path, e);
    if (rc == 0 && tree->root != NULL) {
        rc = comments_add(&s->comments, tree->root, s->metadata.id, s->metadata.creator, e);
    }
    return rc == ERR_MEMORY ? rc : 0;
}

static int read_one(struct sidecars *s, const struct clip_file *file, struct error *e) {
    switch (file->kind) {
    case FILE_DESCRIPTION:
        return s->metadata.description != NULL ? 0 : read_description(s, file, e);
    case FILE_COMMENTS:
        return read_comments(s, file, e);
    case FILE_CAPTION:
    case FILE_UNREAD:
        list_caption(s, file);
        return 0;
    case FILE_UNKNOWN:
        sidecars_warn(s, file->path, "an unknown kind of file, not read");
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
    *s = (struct sidecars){.arena = arena, .cache = cache, .comments = {.arena = arena}};
    metadata_init(&s->metadata);
    bool *comments = arena_alloc(arena, clip->count, sizeof *comments);
    int rc = comments != NULL ? 0 : error_memory(e, NULL);
    if (rc == 0) {
        rc = read_all_metadata(s, clip, e);
    }
    for (size_t i = 0; i < clip->count && rc == 0; i++) {
        if (clip->files[i].kind == FILE_JSON) {
            rc = read_bare_json(s, &clip->files[i], &comments[i], e);
        }
    }
    if (rc == 0) {
        rc = complete(s, clip, e);
    }
    for (size_t i = 0; i < clip->count && rc == 0; i++) {
        rc = comments[i] ? read_bare_comments(s, &clip->files[i], e)
                         : read_one(s, &clip->files[i], e);
    }
    return rc == 0 ? comments_thread(&s->comments, e) : rc;
}
