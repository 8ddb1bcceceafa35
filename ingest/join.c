/* join.c - files whose partner lies in another folder. See clips.h. */
#include <stdlib.h>
#include <string.h>

#include "ingest/clips.h"
#include "ingest/peek.h"

struct join {
    struct clips *clips;
    struct table *ids; /* id or stem -> index of a clip with media */
    const struct pool_options *pool;
    const volatile sig_atomic_t *cancel;
    bool bare_media; /* some media has no info.json: worth asking lone ones what they are about */
    bool read_infos; /* the ids inside the info.json files beside media are in the table */
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

/* ---- The table of ids -------------------------------------------------- */

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

/* The file that says a clip's id, or NULL. */
static const struct clip_file *metadata_of(const struct clip *clip) {
    const struct clip_file *info = clip_file_of(clip, FILE_INFO);
    return info ? info : clip_file_of(clip, FILE_GALLERY);
}

/* One question for each clip that `asks` names; *clips tells which. All in the clips' arena. */
static int ask(struct join *j,
               const struct clip_file *(*asks)(const struct join *, const struct clip *),
               struct peek **peeks, size_t **clips, size_t *count, struct error *e) {
    struct clips *c = j->clips;
    *count = 0;
    for (size_t i = 0; i < c->count; i++) {
        *count += asks(j, &c->items[i]) != NULL;
    }
    *peeks = arena_alloc(c->arena, *count, sizeof **peeks);
    *clips = arena_alloc(c->arena, *count, sizeof **clips);
    if (!*peeks || !*clips) {
        return out_of_memory(e);
    }
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++) {
        const struct clip_file *file = asks(j, &c->items[i]);
        if (file) {
            (*peeks)[n].file = file;
            (*clips)[n++] = i;
        }
    }
    return peek_run(*peeks, *count, c->arena, j->pool, j->cancel, e);
}

static const struct clip_file *info_beside_media(const struct join *j, const struct clip *clip) {
    (void)j;
    return clip_has_media(clip) ? metadata_of(clip) : NULL;
}

static int add_info_ids(struct join *j, struct error *e) {
    struct peek *peeks;
    size_t *clips, count;
    j->read_infos = true;
    int rc = ask(j, info_beside_media, &peeks, &clips, &count, e);
    for (size_t i = 0; i < count && rc >= 0; i++) {
        rc = peeks[i].count ? table_add(j->ids, peeks[i].ids[0], clips[i], NULL, e) : 0;
    }
    return rc < 0 ? rc : 0;
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

/* ---- Clips without media ----------------------------------------------- */

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

/* Gives a comments export to every clip that it names; *given counts them. */
static int give_by_content(struct join *j, const struct clip *orphan, const struct peek *peek,
                           size_t *given, struct error *e) {
    int rc = 0;
    for (size_t i = 0; i < peek->count && rc == 0; i++) {
        size_t index;
        rc = find_clip(j, peek->ids[i], &index, e);
        if (rc == 0 && index != SIZE_MAX) {
            rc = give_files(j, orphan, &j->clips->items[index], e);
            *given += 1;
        }
    }
    return rc;
}

/* Sidecars alone: to the clips they name in their content, else to one by id or stem of their name.
 * `peek`: what the one .json among them is about, or NULL. */
static int place_sidecars(struct join *j, struct clip *orphan, const struct peek *peek,
                          struct error *e) {
    size_t given = 0, index = SIZE_MAX;
    bool ours = false, known = false;
    for (size_t i = 0; i < orphan->count; i++) {
        struct clip_file *file = &orphan->files[i];
        file->kind = peek && peek->file == file ? peek->kind : file->kind;
        known |= file->kind != FILE_OTHER;
        ours |= file->kind != FILE_OTHER && file->kind != FILE_JSON && file->kind != FILE_IMAGE;
    }
    int rc = peek ? give_by_content(j, orphan, peek, &given, e) : 0;
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
static int place_metadata(struct join *j, struct clip *clip, const struct peek *peek,
                          struct error *e) {
    if (peek->playlist) {
        clip->wanted = false;
        return 0;
    }
    size_t index = SIZE_MAX;
    int rc = peek->count ? find_clip(j, peek->ids[0], &index, e) : 0;
    if (rc == 0 && index == SIZE_MAX) {
        rc = find_by_stem(j, clip, &index, e);
    }
    if (rc < 0 || index == SIZE_MAX || clip_file_of(&j->clips->items[index], FILE_INFO)) {
        return rc;
    }
    clip->wanted = false;
    return give_files(j, clip, &j->clips->items[index], e);
}

/* The file of a clip without media that must be read to know where it belongs. */
static const struct clip_file *file_to_ask(const struct join *j, const struct clip *clip) {
    if (!lacks_media(clip)) {
        return NULL;
    }
    if (is_clip(clip)) {
        return j->bare_media && clip->wanted ? metadata_of(clip) : NULL;
    }
    bool lone_json = clip->count == 1 &&
                     (clip->files[0].kind == FILE_JSON || clip->files[0].kind == FILE_COMMENTS);
    return lone_json ? &clip->files[0] : NULL;
}

static int place_all(struct join *j, struct error *e) {
    struct peek *peeks;
    size_t *asked, count, next = 0;
    int rc = ask(j, file_to_ask, &peeks, &asked, &count, e);
    for (size_t i = 0; i < j->clips->count && rc == 0; i++) {
        struct clip *clip = &j->clips->items[i];
        const struct peek *peek = next < count && asked[next] == i ? &peeks[next++] : NULL;
        if (!lacks_media(clip)) {
            continue;
        }
        if (!is_clip(clip)) {
            rc = place_sidecars(j, clip, peek, e);
        } else if (peek) {
            rc = place_metadata(j, clip, peek, e);
        }
    }
    return rc;
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

int clips_join(struct clips *c, const struct pool_options *pool,
               const volatile sig_atomic_t *cancel, struct error *e) {
    struct join j = {.clips = c, .pool = pool, .cancel = cancel};
    int rc = table_open(&j.ids, e);
    for (size_t i = 0; i < c->count && rc == 0; i++) {
        if (clip_has_media(&c->items[i])) {
            j.bare_media |= !clip_file_of(&c->items[i], FILE_INFO);
            rc = add_names(&j, i, e);
        }
    }
    rc = rc == 0 ? place_all(&j, e) : rc;
    table_close(j.ids);
    if (rc == 0) {
        settle(c);
    }
    return rc;
}
