/* comment_walk.c - finds the comments in a file of any of the shapes that comments.h names.
 *
 * Lists lie in lists, pages or comments; facts around an entry (its clip, the comment that it
 * answers) hold for it unless it says otherwise. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ingest/sidecars/comment_parts.h"
#include "store/json.h"

enum { DEEPEST = 32 }; /* lists inside lists; TikTok itself has two levels of comments */

static const char *const id_names[] = {"cid", "commentId", "comment_id", "id", NULL};
static const char *const clip_names[] = {"aweme_id",    "awemeId",  "video_id",          "videoId",
                                         "videoWebUrl", "videoUrl", "submittedVideoUrl", "postUrl",
                                         "video_url",   NULL};
static const char *const reply_names[] = {"reply_comment", "replies", "reply_comments",
                                          "replyComments", NULL};
static const char *const text_names[] = {"text", "comment", "content", "body", NULL};
/* One of these, or an id, makes an entry a comment; the last is from our own .comments.json. */
static const char *const author_names[] = {"author",     "user",     "uniqueId", "unique_id",
                                           "username",   "nickname", "uid",      "author_id",
                                           "by_creator", NULL};
/* Members of clips, never of comments: some exports list clips with a "text" too. */
static const char *const clip_only_names[] = {"playCount",   "play_count", "view_count",
                                              "webVideoUrl", "extractor",  NULL};

struct comment_place {
    const struct comment_id *clip; /* as in struct comment_entry */
    const struct comment_id *parent;
    bool named; /* the list is called "comments" or is a list of replies */
    int depth;
};

/* ---- ids --------------------------------------------------------------- */

static const char name_characters[] =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";

static bool id_read(struct comment_id *id, const json_t *value) {
    id->text = NULL;
    id->size = 0;
    if (json_is_integer(value)) {
        int size =
            snprintf(id->digits, sizeof id->digits, "%" PRId64, (int64_t)json_integer_value(value));
        id->text = id->digits;
        id->size = size > 0 ? (size_t)size : 0;
    } else if (json_is_string(value)) {
        id->text = json_string_value(value);
        id->size = text_trim(&id->text);
    }
    if (!id->size) {
        id->text = NULL;
    }
    return id->text != NULL;
}

bool comment_id_find(struct comment_id *id, const json_t *object, const char *const *names) {
    for (; *names; names++) {
        if (id_read(id, json_object_get(object, *names))) {
            return true;
        }
    }
    return id_read(id, NULL);
}

bool comment_id_is(const struct comment_id *id, const char *text) {
    return id != NULL && id->text != NULL && strlen(text) == id->size &&
           memcmp(id->text, text, id->size) == 0;
}

bool comment_id_equal(const struct comment_id *a, const struct comment_id *b) {
    return a != NULL && b != NULL && a->text != NULL && b->text != NULL && a->size == b->size &&
           memcmp(a->text, b->text, a->size) == 0;
}

/* Reduces the address of a clip's page to its id; other addresses (of the media file, say) to
 * none. */
static void id_from_address(struct comment_id *id) {
    static const struct {
        const char *before, *characters;
    } forms[] = {
        {"/video/", "0123456789"},   {"/photo/", "0123456789"}, {"/shorts/", name_characters},
        {"/reel/", name_characters}, {"/p/", name_characters},  {"youtu.be/", name_characters},
        {"?v=", name_characters},    {"&v=", name_characters},
    };
    if (id->text == NULL || memchr(id->text, '/', id->size) == NULL) {
        return;
    }
    const char *address = id->text;
    id->text = NULL;
    id->size = 0;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const char *found = strstr(address, forms[i].before);
        const char *start = found != NULL ? found + strlen(forms[i].before) : "";
        size_t size = found != NULL ? strspn(start, forms[i].characters) : 0;
        bool whole = size == strspn(start, name_characters); /* no "/video/720p" */
        if (size && whole) {
            id->text = start;
            id->size = size;
            return;
        }
    }
}

/* The clip that an object names, else the one named around it. */
static const struct comment_id *clip_of(const json_t *object, struct comment_id *own,
                                        const struct comment_id *outer) {
    if (json_get_text(object, "extractor") != NULL) { /* yt-dlp's info.json: `id` is the clip's */
        id_read(own, json_object_get(object, "id"));
        return own->text != NULL ? own : outer;
    }
    for (const char *const *name = clip_names; *name; name++) {
        id_read(own, json_object_get(object, *name));
        id_from_address(own);
        if (own->text != NULL && !comment_id_is(own, "0")) {
            return own;
        }
    }
    return outer;
}

/* ---- the walk ---------------------------------------------------------- */

/* The first text that is not blank. */
static const char *first_text(const json_t *object, const char *const *names) {
    for (; *names; names++) {
        const char *text = json_get_text(object, *names);
        if (text != NULL && text_trim(&text)) {
            return text;
        }
    }
    return NULL;
}

/* An empty text counts: comments that are only a picture have one. */
static bool has_text(const json_t *object) {
    const char *const *name = text_names;
    while (*name != NULL && !json_is_string(json_object_get(object, *name))) {
        name++;
    }
    return *name != NULL || json_is_string(json_object_get(object, "html"));
}

static bool has_any(const json_t *object, const char *const *names) {
    for (; *names; names++) {
        const json_t *value = json_object_get(object, *names);
        if (value != NULL && !json_is_null(value)) {
            return true;
        }
    }
    return false;
}

static bool is_comment(const struct comment_entry *entry, const struct comment_place *place) {
    if (!has_text(entry->object)) {
        return false;
    }
    return place->named || (!has_any(entry->object, clip_only_names) &&
                            (entry->id.text != NULL || has_any(entry->object, author_names)));
}

/* The list of a page ({comments: [...]}, {data: [...]}, {data: {comments: [...]}}), or NULL when
 * the object is none. TikTok writes null for a list without entries. */
static const json_t *list_of(const json_t *object, bool *named) {
    const json_t *list = json_object_get(object, "comments");
    *named = json_is_array(list) || json_is_null(list);
    if (*named || json_is_object(list)) {
        return list;
    }
    list = has_text(object) ? NULL : json_object_get(object, "data");
    return json_is_array(list) || json_is_object(list) ? list : NULL;
}

static int walk_value(struct comment_walk *w, const json_t *value,
                      const struct comment_place *place, struct error *e);

static int walk_entry(struct comment_walk *w, const json_t *object,
                      const struct comment_place *place, struct error *e) {
    struct comment_id own_clip;
    struct comment_entry entry = {.object = object,
                                  .text = first_text(object, text_names),
                                  .html = json_get_text(object, "html"),
                                  .clip = clip_of(object, &own_clip, place->clip),
                                  .parent = place->parent};
    comment_id_find(&entry.id, object, id_names);
    int rc = 0;
    if (is_comment(&entry, place)) {
        w->found = true;
        rc = w->visit(w->context, &entry, e);
    } else {
        w->dropped++;
    }
    struct comment_place inner = {.clip = entry.clip,
                                  .parent = entry.id.text != NULL ? &entry.id : place->parent,
                                  .named = true,
                                  .depth = place->depth};
    for (const char *const *name = reply_names; rc >= 0 && *name != NULL; name++) {
        const json_t *list = json_object_get(object, *name);
        if (json_is_array(list) || json_is_object(list)) {
            rc = walk_value(w, list, &inner, e);
        }
    }
    return rc;
}

static int walk_object(struct comment_walk *w, const json_t *object,
                       const struct comment_place *place, struct error *e) {
    bool named;
    const json_t *list = list_of(object, &named);
    if (list == NULL) {
        return walk_entry(w, object, place, e);
    }
    struct comment_id own;
    struct comment_place inner = *place;
    inner.clip = clip_of(object, &own, place->clip);
    inner.named |= named;
    w->found |= named;
    return json_is_null(list) ? 0 : walk_value(w, list, &inner, e);
}

/* `place->depth` counts the calls on the stack, whatever the values are. */
static int walk_value(struct comment_walk *w, const json_t *value,
                      const struct comment_place *place, struct error *e) {
    struct comment_place inner = *place;
    inner.depth++;
    if (inner.depth > DEEPEST || !(json_is_object(value) || json_is_array(value))) {
        w->dropped++;
        return 0;
    }
    if (json_is_object(value)) {
        return walk_object(w, value, &inner, e);
    }
    w->found |= !place->named && json_array_size(value) == 0;
    int rc = 0;
    for (size_t i = 0; rc >= 0 && i < json_array_size(value); i++) {
        rc = walk_value(w, json_array_get(value, i), &inner, e);
    }
    return rc;
}

int comment_walk(struct comment_walk *w, const json_t *root, struct error *e) {
    bool named;
    if (!json_is_array(root) && list_of(root, &named) == NULL) {
        return 0; /* a lone object is not a list, even where it looks like a comment */
    }
    struct comment_place place = {0};
    return walk_value(w, root, &place, e);
}
