/* join.c - joins clips that are one, then files whose partner lies in another folder. See
 * clips.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/archive/clips.h"
#include "ingest/archive/group.h"
#include "ingest/archive/peek.h"

struct join {
    struct clips *clips;
    struct clip_groups groups;
    struct table *ids; /* id or stem -> index of a clip */
};

/* ---- The table of ids -------------------------------------------------- */

/* All names that a sidecar may use for a clip: stem, "[ID]", the name before gallery-dl's id was
 * taken from it, the id in the metadata. They lead to the clip of its group that was chosen. */
static int add_names(struct join *j, size_t index, struct error *e) {
    const struct clip *clip = &j->clips->items[index];
    const struct identity *own = &j->groups.items[index];
    int rc = table_add(j->ids, clip->stem, own->leader, NULL, e);
    if (rc >= 0) {
        rc = table_add(j->ids, own->id, own->leader, NULL, e);
    }
    const char *slash = strrchr(clip->path, '/'), *id;
    const char *name = slash != NULL ? slash + 1 : clip->path;
    struct file_name parsed = file_name_parse(name);
    size_t size = parsed.stem_size;
    if (rc >= 0 && parsed.post_size > 0) {
        const char *text = arena_text(j->clips->arena, name, size);
        rc = text != NULL ? table_add(j->ids, text, own->leader, NULL, e) : error_memory(e, NULL);
    } else if (rc >= 0 && file_name_bracket_id(clip->stem, strlen(clip->stem), &id, &size)) {
        const char *text = arena_text(j->clips->arena, id, size);
        rc = text != NULL ? table_add(j->ids, text, own->leader, NULL, e) : error_memory(e, NULL);
    }
    return rc < 0 ? rc : 0;
}

/* Media first: a sidecar is more likely theirs than that of metadata alone. */
static int add_all_names(struct join *j, struct error *e) {
    int rc = 0;
    for (int media = 1; media >= 0; media--) {
        for (size_t i = 0; i < j->groups.count && rc == 0; i++) {
            if (j->groups.items[i].id != NULL && clip_has_media(&j->clips->items[i]) == media) {
                rc = add_names(j, i, e);
            }
        }
    }
    return rc;
}

/* ---- Sidecars alone ---------------------------------------------------- */

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
        if (text == NULL) {
            return error_memory(e, NULL);
        }
        if (table_find(j->ids, text, index)) {
            return 0;
        }
    }
    table_find(j->ids, clip->stem, index);
    return 0;
}

/* Gives a comments export to every clip that it names; *given counts them. */
static int give_by_content(struct join *j, const struct clip *orphan, const struct peek *peek,
                           size_t *given, struct error *e) {
    int rc = 0;
    for (size_t i = 0; i < peek->count && rc == 0; i++) {
        size_t index;
        if (table_find(j->ids, peek->ids[i], &index)) {
            rc = give_files(j, orphan, &j->clips->items[index], e);
            *given += 1;
        }
    }
    return rc;
}

/* Sidecars that belong to nothing are reported, all in one line. */
static int report_orphan(struct join *j, struct clip *orphan, struct error *e) {
    enum file_kind kind = orphan->files[0].kind;
    const char *what = kind == FILE_IMAGE     ? "no clip belongs to this picture"
                       : kind == FILE_UNKNOWN ? "an unknown kind of file, and no clip has its name"
                                              : "no clip belongs to this file";
    const char *last = orphan->files[orphan->count - 1].path;
    size_t size = strlen(what) + strlen(last) + 64;
    char *text = arena_alloc(j->clips->arena, size, 1);
    if (text == NULL) {
        return error_memory(e, NULL);
    }
    if (orphan->count > 1) {
        snprintf(text, size, "%s, nor to %zu more with this name, up to %s", what,
                 orphan->count - 1, last);
    } else {
        snprintf(text, size, "%s", what);
    }
    orphan->path = orphan->files[0].path;
    orphan->problem = text;
    orphan->reason = "orphan";
    orphan->left_out = true;
    return 0;
}

/* A picture or a file of unknown kind that is an operand is taken for media. */
static bool is_asked_for(const struct clip *orphan) {
    const struct clip_file *file = &orphan->files[0];
    return orphan->count == 1 && file->named &&
           (file->kind == FILE_IMAGE || file->kind == FILE_UNKNOWN);
}

/* Sidecars alone: to the clips they name in their content, else to one by id or stem of their name.
 * `peek`: the content of the one .json among them, or NULL. */
static int place_sidecars(struct join *j, struct clip *orphan, const struct peek *peek,
                          struct error *e) {
    size_t given = 0, index = SIZE_MAX;
    bool ours = false, known = false;
    for (size_t i = 0; i < orphan->count; i++) {
        struct clip_file *file = &orphan->files[i];
        file->kind = peek != NULL && peek->file == file ? peek->kind : file->kind;
        known |= file->kind != FILE_OTHER;
        ours |= file->kind != FILE_OTHER && file->kind != FILE_JSON;
    }
    int rc = peek != NULL ? give_by_content(j, orphan, peek, &given, e) : 0;
    if (rc == 0 && given == 0 && known) {
        rc = find_by_stem(j, orphan, &index, e);
    }
    if (rc == 0 && index != SIZE_MAX) {
        rc = give_files(j, orphan, &j->clips->items[index], e);
        given++;
    }
    if (rc == 0 && given == 0 && is_asked_for(orphan)) {
        orphan->files[0].kind = FILE_VIDEO;
        return 0;
    }
    if (rc == 0 && given == 0 && ours) {
        return report_orphan(j, orphan, e);
    }
    orphan->selected = false;
    return rc;
}

static bool is_sidecars(const struct join *j, size_t index) {
    const struct clip *clip = &j->clips->items[index];
    return clip->problem == NULL && clip->count > 0 && j->groups.items[index].id == NULL;
}

/* The file whose content says where a clip of sidecars belongs, or NULL. */
static const struct clip_file *file_to_ask(const struct join *j, size_t index) {
    const struct clip *clip = &j->clips->items[index];
    bool lone_json = clip->count == 1 &&
                     (clip->files[0].kind == FILE_JSON || clip->files[0].kind == FILE_COMMENTS);
    return is_sidecars(j, index) && lone_json ? &clip->files[0] : NULL;
}

static int place_all(struct join *j, struct error *e) {
    struct arena *arena = j->clips->arena;
    size_t count = 0, next = 0, most = 0;
    for (size_t i = 0; i < j->groups.count; i++) {
        most += file_to_ask(j, i) != NULL;
    }
    struct peek *peeks = arena_alloc(arena, most, sizeof *peeks);
    if (peeks == NULL) {
        return error_memory(e, NULL);
    }
    for (size_t i = 0; i < j->groups.count; i++) {
        const struct clip_file *file = file_to_ask(j, i);
        if (file != NULL) {
            peeks[count++].file = file;
        }
    }
    int rc = count ? peek_run(peeks, count, arena, j->groups.pool, j->groups.cancel, e) : 0;
    for (size_t i = 0; i < j->groups.count && rc == 0; i++) {
        struct clip *clip = &j->clips->items[i];
        bool mine = next < count && peeks[next].file == file_to_ask(j, i);
        if (is_sidecars(j, i)) {
            rc = place_sidecars(j, clip, mine ? &peeks[next] : NULL, e);
            next += mine;
        } else if (j->groups.items[i].playlist && !clip_has_media(clip)) {
            clip->selected = false;
        }
    }
    return rc;
}

/* ---- The end ----------------------------------------------------------- */

/* The reports on clips that gave way to a clip come after it. */
static int compare_order(const void *a, const void *b) {
    const struct clip *x = a, *y = b;
    if (x->order != y->order) {
        return x->order < y->order ? -1 : 1;
    }
    return x->left_out != y->left_out ? x->left_out - y->left_out : strcmp(x->path, y->path);
}

/* A file with the stem of an info.json is its media, whatever the extension. */
static void take_unknown_for_media(struct clip *clip) {
    if (clip_file_of(clip, FILE_INFO) == NULL || clip_has_media(clip)) {
        return;
    }
    for (size_t i = 0; i < clip->count; i++) {
        if (clip->files[i].kind == FILE_UNKNOWN) {
            clip->files[i].kind = FILE_VIDEO;
            return;
        }
    }
}

/* Drops clips that are not selected, names each clip by its media, sorts. */
static void settle(struct clips *c) {
    size_t kept = 0;
    for (size_t i = 0; i < c->count; i++) {
        struct clip *clip = &c->items[i];
        if (!clip->selected) {
            continue;
        }
        if (clip->problem == NULL) {
            take_unknown_for_media(clip);
            const struct clip_file *media = clip_file_of(clip, FILE_VIDEO);
            media = media != NULL ? media : clip_file_of(clip, FILE_AUDIO);
            media = media != NULL ? media : clip_file_of(clip, FILE_INFO);
            clip->path = media != NULL ? media->path : clip->path;
        }
        c->items[kept++] = *clip;
    }
    c->count = kept;
    if (kept > 1) {
        qsort(c->items, kept, sizeof *c->items, compare_order);
    }
}

int clips_join(struct clips *c, const struct pool_options *pool,
               const volatile sig_atomic_t *cancel, struct error *e) {
    struct join j = {.clips = c};
    int rc = table_open(&j.ids, e);
    if (rc == 0) {
        rc = groups_find(&j.groups, c, pool, cancel, e);
    }
    if (rc == 0) {
        rc = groups_merge(&j.groups, e);
    }
    if (rc == 0) {
        rc = add_all_names(&j, e);
    }
    if (rc == 0) {
        rc = place_all(&j, e);
    }
    table_close(j.ids);
    if (rc == 0) {
        settle(c);
    }
    return rc;
}
