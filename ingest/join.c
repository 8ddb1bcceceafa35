/* join.c - files whose partner lies in another folder. See clips.h. */
#include <stdlib.h>
#include <string.h>

#include "ingest/clips.h"
#include "ingest/comments.h"
#include "ingest/metadata.h"
#include "store/file.h"
#include "store/json.h"
#include "store/log.h"

#define JSON_LIMIT ((size_t)256 << 20)

struct join {
    struct clips *clips;
    struct table *ids; /* id or stem -> index of a clip with media */
    bool read_infos;   /* the ids inside the info.json files beside media are in the table */
};

static bool is_clip(const struct clip *clip) {
    return clip_has_media(clip) || clip_file_of(clip, FILE_INFO) ||
           clip_file_of(clip, FILE_GALLERY);
}

/* Wants a partner: everything but media that has its metadata. */
static bool lacks_media(const struct clip *clip) {
    return !clip->problem && clip->count > 0 && !clip_has_media(clip);
}

static int out_of_memory(struct error *e) {
    return error_set(e, ERR_MEMORY, "out of memory");
}

/* The tree of a JSON file; NULL without an error when it cannot be read or is none. */
static json_t *read_json(const char *path) {
    struct bytes content;
    bytes_init(&content, JSON_LIMIT);
    json_t *root = NULL;
    if (file_read(path, &content, NULL) == 0) {
        root = json_read(content.data, content.size, NULL, NULL);
    }
    bytes_close(&content);
    return root;
}

/* The id in an info.json or gallery-dl file; *playlist tells that it describes no clip. NULL: none.
 */
static const char *read_id(struct clips *c, const struct clip_file *file, bool *playlist) {
    json_t *root = read_json(file->path);
    struct metadata m;
    metadata_init(&m);
    struct error reason = {0};
    int rc = -1;
    if (root) {
        rc = file->kind == FILE_INFO ? metadata_from_ytdlp(root, c->arena, &m, &reason)
                                     : metadata_from_gallery_dl(root, c->arena, &m, &reason);
    }
    *playlist = rc == ERR_UNSUPPORTED;
    json_decref(root);
    return rc == 0 ? m.id : NULL;
}

/* ---- The table of ids ---------------------------------------------------------------------------
 */

static int add_names(struct join *j, size_t index, struct error *e) {
    const char *stem = j->clips->items[index].stem, *id;
    size_t size;
    int rc = table_add(j->ids, stem, index, NULL, e);
    if (rc >= 0 && file_name_bracket_id(stem, strlen(stem), &id, &size)) {
        const char *text = arena_text(j->clips->arena, id, size);
        rc = text ? table_add(j->ids, text, index, NULL, e) : out_of_memory(e);
    }
    return rc < 0 ? rc : 0;
}

static int add_info_ids(struct join *j, struct error *e) {
    j->read_infos = true;
    for (size_t i = 0; i < j->clips->count; i++) {
        struct clip *clip = &j->clips->items[i];
        const struct clip_file *info = clip_file_of(clip, FILE_INFO);
        info = info ? info : clip_file_of(clip, FILE_GALLERY);
        if (!info || !clip_has_media(clip)) {
            continue;
        }
        bool playlist;
        const char *id = read_id(j->clips, info, &playlist);
        int rc = id ? table_add(j->ids, id, i, NULL, e) : 0;
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* The clip with media that goes by `id`; looks into the info.json files only when it must. */
static int find_clip(struct join *j, const char *id, size_t *index, struct error *e) {
    *index = SIZE_MAX;
    if (table_find(j->ids, id, index) || j->read_infos) {
        return 0;
    }
    int rc = add_info_ids(j, e);
    if (rc == 0) {
        table_find(j->ids, id, index);
    }
    return rc;
}

/* ---- Clips without media ------------------------------------------------------------------------
 */

/* Moves (or, when several clips share an export, copies) the files of `from` to `to`. */
static int give_files(struct join *j, const struct clip *from, struct clip *to, struct error *e) {
    for (size_t i = 0; i < from->count; i++) {
        int rc = clip_add_file(j->clips, to, &from->files[i], e);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* A clip known by its stem or by "[ID]" in it. */
static int find_by_stem(struct join *j, const struct clip *clip, size_t *index, struct error *e) {
    const char *id;
    size_t size;
    if (file_name_bracket_id(clip->stem, strlen(clip->stem), &id, &size)) {
        const char *text = arena_text(j->clips->arena, id, size);
        int rc = text ? find_clip(j, text, index, e) : out_of_memory(e);
        if (rc < 0 || *index != SIZE_MAX) {
            return rc;
        }
    }
    return find_clip(j, clip->stem, index, e);
}

/* A .json that no name explains: says what it is by its content. FILE_OTHER: none of ours. */
static enum file_kind kind_of_content(const json_t *root) {
    if (metadata_is_gallery_dl(root)) {
        return FILE_GALLERY;
    }
    if (json_is_array(json_object_get(root, "utterances"))) {
        return FILE_JSON;
    }
    const json_t *data = json_object_get(root, "data");
    bool list = json_is_array(json_object_get(root, "comments")) ||
                json_is_array(json_object_get(data, "comments")) || json_is_array(root);
    return list ? FILE_COMMENTS : FILE_OTHER;
}

/* Gives a comments export to every clip that it names; *given counts them. */
static int give_by_content(struct join *j, struct clip *orphan, struct clip_file *file,
                           size_t *given, struct error *e) {
    json_t *root = read_json(file->path);
    if (file->kind == FILE_JSON) {
        file->kind = kind_of_content(root);
    }
    const char **ids = NULL;
    size_t count = 0;
    int rc = 0;
    if (root && file->kind == FILE_COMMENTS) {
        rc = comments_video_ids(root, j->clips->arena, &ids, &count, e);
    }
    json_decref(root);
    for (size_t i = 0; i < count && rc >= 0; i++) {
        size_t index;
        rc = find_clip(j, ids[i], &index, e);
        if (rc >= 0 && index != SIZE_MAX) {
            rc = give_files(j, orphan, &j->clips->items[index], e);
            *given += 1;
        }
    }
    return rc < 0 ? rc : 0;
}

/* Sidecars alone: to the clip they name in their content, else by id or stem of their name. */
static int place_sidecars(struct join *j, size_t at, struct error *e) {
    struct clip *orphan = &j->clips->items[at];
    size_t given = 0;
    bool ours = false, known = false;
    int rc = 0;
    for (size_t i = 0; i < orphan->count && rc == 0; i++) {
        struct clip_file *file = &orphan->files[i];
        if (orphan->count == 1 && (file->kind == FILE_JSON || file->kind == FILE_COMMENTS)) {
            rc = give_by_content(j, orphan, file, &given, e);
        }
        known |= file->kind != FILE_OTHER;
        ours |= file->kind != FILE_OTHER && file->kind != FILE_JSON && file->kind != FILE_IMAGE;
    }
    size_t index = SIZE_MAX;
    if (rc == 0 && given == 0 && known) {
        rc = find_by_stem(j, orphan, &index, e);
    }
    if (rc == 0 && index != SIZE_MAX) {
        rc = give_files(j, orphan, &j->clips->items[index], e);
        given++;
    }
    if (given == 0 && ours) {
        orphan->problem = "no clip belongs to this file";
        orphan->reason = "orphan";
    } else {
        orphan->wanted = false;
    }
    return rc;
}

/* Metadata alone: joins its media when that is known by the same id; else it is a sample by itself.
 */
static int place_metadata(struct join *j, size_t at, struct error *e) {
    struct clip *clip = &j->clips->items[at];
    const struct clip_file *info = clip_file_of(clip, FILE_INFO);
    info = info ? info : clip_file_of(clip, FILE_GALLERY);
    bool playlist = false;
    const char *id = read_id(j->clips, info, &playlist);
    if (playlist) {
        clip->wanted = false;
        return 0;
    }
    size_t index = SIZE_MAX;
    int rc = id ? find_clip(j, id, &index, e) : 0;
    if (rc == 0 && index == SIZE_MAX) {
        rc = find_by_stem(j, clip, &index, e);
    }
    if (rc < 0 || index == SIZE_MAX || clip_file_of(&j->clips->items[index], FILE_INFO)) {
        return rc;
    }
    clip->wanted = false;
    return give_files(j, clip, &j->clips->items[index], e);
}

static int compare_order(const void *a, const void *b) {
    const struct clip *x = a, *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

/* Drops what is not wanted, names each clip by its media, sorts. */
static void settle(struct clips *c) {
    size_t kept = 0;
    for (size_t i = 0; i < c->count; i++) {
        struct clip *clip = &c->items[i];
        if (!clip->wanted) {
            continue;
        }
        const struct clip_file *media = clip_file_of(clip, FILE_VIDEO);
        media = media ? media : clip_file_of(clip, FILE_AUDIO);
        media = media ? media : clip_file_of(clip, FILE_INFO);
        clip->path = media ? media->path : clip->path;
        c->items[kept++] = *clip;
    }
    c->count = kept;
    if (kept > 1) {
        qsort(c->items, kept, sizeof *c->items, compare_order);
    }
}

int clips_join(struct clips *c, struct error *e) {
    struct join j = {.clips = c};
    bool bare_media = false; /* only then is it worth reading what lone info.json files are about */
    int rc = table_open(&j.ids, e);
    for (size_t i = 0; i < c->count && rc == 0; i++) {
        if (clip_has_media(&c->items[i])) {
            bare_media |= !clip_file_of(&c->items[i], FILE_INFO);
            rc = add_names(&j, i, e);
        }
    }
    for (size_t i = 0; i < c->count && rc == 0; i++) {
        if (!lacks_media(&c->items[i])) {
            continue;
        }
        if (!is_clip(&c->items[i])) {
            rc = place_sidecars(&j, i, e);
        } else if (bare_media && c->items[i].wanted) {
            rc = place_metadata(&j, i, e);
        }
    }
    table_close(j.ids);
    if (rc == 0) {
        settle(c);
    }
    return rc;
}
