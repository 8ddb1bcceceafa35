/* group.c - see group.h. */
#include "ingest/archive/group.h"

#include <ctype.h>
#include <string.h>

#include "ingest/archive/clip_name.h"
#include "ingest/archive/peek.h"
#include "store/stream.h"

enum { SHORTEST_ID = 6, SHORTEST_POST_ID = 10 };

/* Where a group is found: each table leads from a text to the index of its leader. */
struct lookup {
    struct table *keys;  /* ACCOUNT/ID, as a stream has it */
    struct table *sites; /* SITE/ID */
    struct table *ids;   /* ids of metadata */
    struct table *names; /* ids in the names of media and slides */
    struct table *stems; /* of metadata without media, and of media without metadata */
};

const struct clip_file *clip_metadata_file(const struct clip *clip) {
    const struct clip_file *info = clip_file_of(clip, FILE_INFO);
    return info != NULL ? info : clip_file_of(clip, FILE_GALLERY);
}

bool clip_is_post(const struct clip *clip) {
    const char *id;
    size_t size, digits = 0;
    bool slides = false;
    for (size_t i = 0; i < clip->count; i++) {
        slides |= clip->files[i].kind == FILE_IMAGE && clip->files[i].number >= 0;
    }
    if (!slides) {
        return false;
    }
    clip_name_id(clip, &id, &size);
    while (digits < size && isdigit((unsigned char)id[digits])) {
        digits++;
    }
    return (digits == size && size >= SHORTEST_POST_ID) || file_name_is_id(id, size);
}

/* ---- What is known of each clip ---------------------------------------- */

/* Clips of a folder follow each other and share one text. */
static const char *account_of(struct clip_groups *g, size_t index) {
    const char *path = g->clips->items[index].path;
    const char *before = index > 0 ? g->clips->items[index - 1].path : path;
    const char *slash = strrchr(path, '/');
    size_t folder = slash != NULL ? (size_t)(slash - path) + 1 : 0;
    bool same = index > 0 && g->items[index - 1].folder != NULL &&
                strncmp(path, before, folder) == 0 && strchr(before + folder, '/') == NULL;
    return same ? g->items[index - 1].folder : clip_name_account(path, g->clips->arena);
}

/* Whether brackets hold an id: "[300123]", and not "[live]" or "[4K]". */
static bool looks_like_id(const char *id, size_t size) {
    bool digit = false, plain = size >= SHORTEST_ID;
    for (size_t i = 0; i < size; i++) {
        digit |= isdigit((unsigned char)id[i]) != 0;
        plain &= isalnum((unsigned char)id[i]) || id[i] == '-' || id[i] == '_';
    }
    return (plain && digit) || file_name_is_id(id, size);
}

static int identify(struct clip_groups *g, size_t index, struct error *e) {
    const struct clip *clip = &g->clips->items[index];
    struct identity *own = &g->items[index];
    *own = (struct identity){.leader = index, .next = SIZE_MAX, .last = index};
    bool media = own->media = clip_has_media(clip);
    if (clip->problem != NULL ||
        !(media || clip_metadata_file(clip) != NULL || clip_is_post(clip))) {
        return 0;
    }
    const char *id;
    size_t size;
    bool named = clip_name_id(clip, &id, &size);
    own->named = named || !media;
    own->trusted = named && looks_like_id(id, size);
    own->id = clip_name_text(id, size, g->clips->arena);
    own->account = own->folder = account_of(g, index);
    own->comments = clip_file_of(clip, FILE_COMMENTS) != NULL;
    return own->id != NULL && own->account != NULL ? 0 : error_memory(e, NULL);
}

static void learn(struct identity *own, const struct peek *peek) {
    own->peeked = true;
    own->playlist = peek->playlist;
    own->metadata = peek->count > 0;
    own->comments |= peek->comments;
    if (own->metadata) {
        own->id = peek->ids[0];
        own->account = peek->account != NULL ? peek->account : own->account;
        own->site = peek->site;
    }
}

/* Reads the metadata of the clips that are `marked`; *count counts them. */
static int read_metadata(struct clip_groups *g, const bool *marked, size_t *count,
                         struct error *e) {
    struct arena *arena = g->clips->arena;
    *count = 0;
    for (size_t i = 0; i < g->count; i++) {
        *count += marked[i];
    }
    struct peek *peeks = arena_alloc(arena, *count, sizeof *peeks);
    if (peeks == NULL) {
        return error_memory(e, NULL);
    }
    size_t n = 0;
    for (size_t i = 0; i < g->count; i++) {
        if (marked[i]) {
            peeks[n++].file = clip_metadata_file(&g->clips->items[i]);
        }
    }
    int rc = n ? peek_run(peeks, n, arena, g->pool, g->cancel, e) : 0;
    n = 0;
    for (size_t i = 0; i < g->count && rc == 0; i++) {
        if (marked[i]) {
            learn(&g->items[i], &peeks[n++]);
        }
    }
    return rc;
}

static bool has_several_media(const struct clip *clip) {
    size_t count = 0;
    for (size_t i = 0; i < clip->count; i++) {
        count += clip->files[i].kind == FILE_VIDEO || clip->files[i].kind == FILE_AUDIO;
    }
    return count > 1;
}

/* Marks the clips whose metadata are worth reading: those whose names do not give a site's id, and
 * those that share an id or a stem. */
static int mark(struct clip_groups *g, bool first_round, bool *marked, struct error *e) {
    struct table *ids;
    int rc = table_open(&ids, e);
    for (size_t i = 0; i < g->count && rc >= 0; i++) {
        const struct identity *own = &g->items[i];
        const struct clip *clip = &g->clips->items[i];
        size_t found;
        if (own->id == NULL) {
            continue;
        }
        rc = table_add(ids, own->id, i, &found, e);
        if (rc == 0) {
            g->items[i].shared = g->items[found].shared = true;
        }
        marked[i] = first_round && clip->selected && (!own->trusted || has_several_media(clip));
    }
    for (size_t i = 0; i < g->count; i++) {
        marked[i] |= g->items[i].shared;
        marked[i] &= !g->items[i].peeked && clip_metadata_file(&g->clips->items[i]) != NULL;
    }
    table_close(ids);
    return rc < 0 ? rc : 0;
}

static int identify_all(struct clip_groups *g, struct error *e) {
    int rc = 0;
    size_t count = 1;
    for (size_t i = 0; i < g->count && rc == 0; i++) {
        rc = identify(g, i, e);
    }
    for (bool first = true; count > 0 && rc == 0; first = false) {
        bool *marked = arena_alloc(g->clips->arena, g->count, sizeof *marked);
        rc = marked != NULL ? mark(g, first, marked, e) : error_memory(e, NULL);
        if (rc == 0) {
            rc = read_metadata(g, marked, &count, e);
        }
    }
    return rc;
}

/* ---- Groups ------------------------------------------------------------ */

static int lookup_open(struct lookup *l, struct error *e) {
    *l = (struct lookup){0};
    int rc = table_open(&l->keys, e);
    if (rc == 0) {
        rc = table_open(&l->sites, e);
    }
    if (rc == 0) {
        rc = table_open(&l->ids, e);
    }
    if (rc == 0) {
        rc = table_open(&l->names, e);
    }
    return rc < 0 ? rc : table_open(&l->stems, e);
}

static void lookup_close(struct lookup *l) {
    table_close(l->keys);
    table_close(l->sites);
    table_close(l->ids);
    table_close(l->names);
    table_close(l->stems);
}

/* yt-dlp's generic extractor makes ids of file names. */
static bool site_key(const struct identity *own, char key[STREAM_KEY_BYTES]) {
    if (own->site == NULL || strcmp(own->site, "generic") == 0) {
        return false;
    }
    stream_key(key, own->site, own->id);
    return true;
}

static void join_group(struct clip_groups *g, size_t index, size_t leader) {
    struct identity *head = &g->items[leader];
    head->media |= g->items[index].media;
    g->items[index].leader = leader;
    g->items[head->last].next = index;
    head->last = index;
}

/* Clips with metadata: one with an earlier one by key, or by site and id. */
static int group_described(struct clip_groups *g, struct lookup *l, size_t index, struct error *e) {
    const struct identity *own = &g->items[index];
    char key[STREAM_KEY_BYTES], site[STREAM_KEY_BYTES];
    size_t leader = index;
    stream_key(key, own->account, own->id);
    bool known = site_key(own, site);
    if (!table_find(l->keys, key, &leader) && known) {
        table_find(l->sites, site, &leader);
    }
    if (leader != index) {
        join_group(g, index, leader);
    }
    int rc = table_add(l->keys, key, leader, NULL, e);
    if (rc >= 0 && known) {
        rc = table_add(l->sites, site, leader, NULL, e);
    }
    if (rc >= 0) {
        rc = table_add(l->ids, own->id, leader, NULL, e);
    }
    if (rc >= 0 && !own->media) {
        rc = table_add(l->stems, g->clips->items[index].stem, leader, NULL, e);
    }
    return rc < 0 ? rc : 0;
}

/* Media without metadata. A name with an id is enough to belong to metadata with that id; else the
 * key must be the same, or the metadata have no media and the same id or stem. */
static bool find_for_media(const struct clip_groups *g, const struct lookup *l, size_t index,
                           const char *key, size_t *leader) {
    const struct identity *own = &g->items[index];
    if (table_find(l->keys, key, leader)) {
        return true;
    }
    if (table_find(l->ids, own->id, leader) && (own->named || !g->items[*leader].media)) {
        return true;
    }
    return table_find(l->stems, g->clips->items[index].stem, leader) && !g->items[*leader].media;
}

/* Slides, and unreadable metadata, which still help to find the clip that they belong to. */
static bool find_for_rest(const struct clip_groups *g, const struct lookup *l, size_t index,
                          const char *key, size_t *leader) {
    const struct identity *own = &g->items[index];
    return table_find(l->keys, key, leader) || table_find(l->ids, own->id, leader) ||
           table_find(l->names, own->id, leader) ||
           table_find(l->stems, g->clips->items[index].stem, leader);
}

static int group_named(struct clip_groups *g, struct lookup *l, size_t index, struct error *e) {
    const struct identity *own = &g->items[index];
    const char *stem = g->clips->items[index].stem;
    bool media = own->media;
    char key[STREAM_KEY_BYTES];
    size_t leader = index;
    stream_key(key, own->account, own->id);
    bool found = media ? find_for_media(g, l, index, key, &leader)
                       : find_for_rest(g, l, index, key, &leader);
    leader = found ? leader : index;
    if (leader != index) {
        join_group(g, index, leader);
    }
    int rc = table_add(l->keys, key, leader, NULL, e);
    if (rc >= 0 && own->named) {
        rc = table_add(l->names, own->id, leader, NULL, e);
    }
    if (rc >= 0 && media) {
        rc = table_add(l->stems, stem, leader, NULL, e);
    }
    return rc < 0 ? rc : 0;
}

/* When a clip is looked at. Media come before slides, which look for them. Metadata that were not
 * read have an id and, with their media, a name like no other: nothing belongs to them. */
enum round { DESCRIBED, MEDIA, REST, NEVER };

static enum round round_of(const struct clip_groups *g, size_t index) {
    const struct identity *own = &g->items[index];
    if (own->id == NULL || own->playlist) {
        return NEVER;
    }
    if (own->metadata) {
        return own->shared || !own->media ? DESCRIBED : NEVER;
    }
    if (own->media) {
        bool unread = !own->peeked && clip_metadata_file(&g->clips->items[index]) != NULL;
        return unread ? NEVER : MEDIA;
    }
    return REST;
}

static int group_all(struct clip_groups *g, struct lookup *l, struct error *e) {
    int rc = 0;
    for (enum round round = DESCRIBED; round < NEVER; round++) {
        for (size_t i = 0; i < g->count && rc == 0; i++) {
            if (round_of(g, i) == round) {
                rc = round == DESCRIBED ? group_described(g, l, i, e) : group_named(g, l, i, e);
            }
        }
    }
    return rc;
}

int groups_find(struct clip_groups *g, struct clips *clips, const struct pool_options *pool,
                const volatile sig_atomic_t *cancel, struct error *e) {
    *g =
        (struct clip_groups){.clips = clips, .pool = pool, .cancel = cancel, .count = clips->count};
    g->items = arena_alloc(clips->arena, g->count, sizeof *g->items);
    if (g->items == NULL) {
        return error_memory(e, NULL);
    }
    struct lookup l;
    int rc = identify_all(g, e);
    int opened = lookup_open(&l, e);
    if (rc == 0) {
        rc = opened;
    }
    if (rc == 0) {
        rc = group_all(g, &l, e);
    }
    lookup_close(&l);
    return rc;
}
