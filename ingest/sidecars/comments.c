/* comments.c - see comments.h. comment_walk finds the entries of every shape; two visitors use it,
 * one that reads comments and one that collects the clips they belong to. */
#include "ingest/sidecars/comments.h"

#include <string.h>

#include "ingest/sidecars/comment_parts.h"
#include "store/json.h"
#include "store/table.h"

/* The names of each fact: yt-dlp, TikTok web, TikTok Research, scrapers, our own .comments.json. */
static const char *const answered_names[] = {"reply_to_reply_id", "replyToReplyId", NULL};
static const char *const thread_names[] = {
    "reply_id",    "parent",     "parent_comment_id", "parentCommentId", "repliesToId",
    "reply_to_id", "replyToCid", "parent_id",         "parentId",        NULL};
static const char *const author_names[] = {"uniqueId",       "unique_id", "author", "username",
                                           "authorUsername", "user",      NULL};
static const char *const person_names[] = {"unique_id", "uniqueId", "username", "handle", NULL};
static const char *const nickname_names[] = {"nickname", "displayName", "name", NULL};
static const char *const account_names[] = {"author",   "author_id", "unique_id", "uniqueId",
                                            "username", "uid",       "sec_uid",   NULL};
static const char *const person_account_names[] = {"unique_id", "uniqueId", "username", "uid",
                                                   "id",        "sec_uid",  "secUid",   NULL};
static const char *const like_names[] = {"like_count", "digg_count", "diggCount",
                                         "likeCount",  "likesCount", "likes",
                                         "voteCount",  "votes",      NULL};
static const char *const time_names[] = {"timestamp",  "create_time", "createTime", "createTimeISO",
                                         "created_at", "createdAt",   "created",    NULL};
static const char *const creator_flags[] = {"author_is_uploader", "authorIsChannelOwner",
                                            "by_creator", NULL};
static const char *const pinned_flags[] = {"author_pin", "is_pinned", "pinnedByAuthor",
                                           "isPinned",   "pinned",    NULL};

/* What a visit needs besides the entry. */
struct comments_context {
    struct comment_list *list;
    struct table *ids; /* of the comments in the list */
    const char *video_id;
    const char *const *creator;
    size_t dropped;
};

static const json_t *person_of(const json_t *entry) {
    const json_t *user = json_object_get(entry, "user");
    return json_is_object(user) ? user : json_object_get(entry, "author");
}

static const char *read_author(struct fields *f, const json_t *entry) {
    const json_t *person = person_of(entry);
    const char *name = field_text(f, entry, author_names);
    name = name != NULL ? name : field_text(f, person, person_names);
    name = name != NULL ? name : field_text(f, person, nickname_names);
    name = name != NULL ? name : field_text(f, entry, nickname_names);
    name = name != NULL ? name + strspn(name, "@") : NULL;
    return name != NULL && *name ? name : NULL;
}

static bool names_creator(const json_t *object, const char *const *names,
                          const char *const *creator) {
    for (; *names; names++) {
        struct comment_id id;
        char name[256] = "";
        comment_id_find(&id, object, FIELD_NAMES(*names));
        if (id.text != NULL && id.size < sizeof name) { /* longer texts are not names */
            memcpy(name, id.text, id.size);
            name[id.size] = 0;
        }
        for (const char *const *known = creator; known != NULL && *known != NULL; known++) {
            if (name_equal(name, *known)) {
                return true;
            }
        }
    }
    return false;
}

static bool is_by_creator(const json_t *entry, const char *const *creator) {
    const char *label = json_get_text(entry, "label_text");
    return field_flag(entry, creator_flags) || (label != NULL && name_equal(label, "creator")) ||
           names_creator(entry, account_names, creator) ||
           names_creator(person_of(entry), person_account_names, creator);
}

/* Sites mark a root by "root", "0", nothing, or the clip's id in place of a comment's. */
static bool is_root_mark(const struct comment_id *parent, const struct comment_entry *entry,
                         const char *video_id) {
    return parent == NULL || parent->text == NULL || comment_id_is(parent, "0") ||
           comment_id_is(parent, "root") || comment_id_equal(parent, &entry->id) ||
           comment_id_equal(parent, entry->clip) ||
           (video_id != NULL && comment_id_is(parent, video_id));
}

static const char *id_copy(struct fields *f, const struct comment_id *id) {
    const char *copy = arena_text(f->arena, id->text != NULL ? id->text : "", id->size);
    f->exhausted |= copy == NULL;
    return copy;
}

/* TikTok names two comments in a reply to a reply: the one answered and the thread's root. */
static void read_links(struct fields *f, const struct comment_entry *entry, const char *video_id,
                       struct comment *c) {
    struct comment_id answered, root;
    comment_id_find(&answered, entry->object, answered_names);
    comment_id_find(&root, entry->object, thread_names);
    const struct comment_id *thread = is_root_mark(&root, entry, video_id) ? entry->parent : &root;
    const struct comment_id *parent = is_root_mark(&answered, entry, video_id) ? thread : &answered;
    c->id = id_copy(f, &entry->id);
    if (!is_root_mark(parent, entry, video_id)) {
        c->parent = id_copy(f, parent);
        c->thread = thread != NULL && !comment_id_equal(thread, parent) ? id_copy(f, thread) : NULL;
    }
}

static void read_text(struct fields *f, const struct comment_entry *entry, struct comment *c) {
    const char *text = entry->text;
    size_t size = text != NULL ? text_trim(&text) : 0;
    if (size) {
        c->text = arena_text(f->arena, text, size);
        f->exhausted |= c->text == NULL;
    } else if (entry->html != NULL) {
        c->text = comment_text_from_html(f, entry->html);
    }
}

static int append(struct comment_list *list, const struct comment *c, struct error *e) {
    void *items = list->items;
    int rc = arena_grow(list->arena, &items, list->count, &list->capacity, sizeof *c, e);
    if (rc == 0) {
        list->items = items;
        list->items[list->count++] = *c;
    }
    return rc;
}

static int visit_comment(void *context, const struct comment_entry *entry, struct error *e) {
    struct comments_context *reading = context;
    if (reading->video_id != NULL && entry->clip != NULL &&
        !comment_id_is(entry->clip, reading->video_id)) {
        return 0;
    }
    struct comment_list *list = reading->list;
    struct arena_mark mark = arena_mark(list->arena);
    struct fields f = {.arena = list->arena};
    int64_t likes = field_count(entry->object, like_names);
    struct comment c = {.likes = likes > 0 ? likes : 0,
                        .created = field_time(entry->object, time_names),
                        .by_creator = is_by_creator(entry->object, reading->creator),
                        .pinned = field_flag(entry->object, pinned_flags)};
    read_text(&f, entry, &c);
    read_links(&f, entry, reading->video_id, &c);
    c.author = read_author(&f, entry->object);
    if (f.exhausted) {
        return error_memory(e, NULL);
    }
    int added = c.text != NULL;
    if (added && *c.id) {
        added = table_add(reading->ids, c.id, list->count, NULL, e);
    }
    if (added <= 0) {
        arena_rewind(list->arena, mark);
        reading->dropped += added == 0;
        return added;
    }
    return append(list, &c, e);
}

int comments_add(struct comment_list *list, const json_t *root, const char *video_id,
                 const char *const *creator, struct error *e) {
    struct comments_context reading = {.list = list, .video_id = video_id, .creator = creator};
    struct comment_walk walk = {.visit = visit_comment, .context = &reading};
    size_t before = list->count;
    int rc = table_open(&reading.ids, e);
    for (size_t i = 0; rc >= 0 && i < list->count; i++) {
        rc = *list->items[i].id ? table_add(reading.ids, list->items[i].id, i, NULL, e) : 0;
    }
    if (rc >= 0) {
        rc = comment_walk(&walk, root, e);
    }
    if (rc >= 0 && !walk.found) {
        rc = error_set(e, ERR_FORMAT, "holds no list of comments");
    }
    if (rc >= 0) {
        list->dropped += walk.dropped + reading.dropped;
    } else {
        list->count = before;
    }
    table_close(reading.ids);
    return rc;
}

struct clip_ids {
    struct arena *arena;
    struct table *known;
    const char **ids;
    size_t count, capacity;
};

static int visit_clip(void *context, const struct comment_entry *entry, struct error *e) {
    struct clip_ids *clips = context;
    if (entry->clip == NULL) {
        return 0;
    }
    struct arena_mark mark = arena_mark(clips->arena);
    const char *id = arena_text(clips->arena, entry->clip->text, entry->clip->size);
    int added =
        id != NULL ? table_add(clips->known, id, clips->count, NULL, e) : error_memory(e, NULL);
    if (added <= 0) {
        arena_rewind(clips->arena, mark);
        return added;
    }
    void *ids = clips->ids;
    int rc = arena_grow(clips->arena, &ids, clips->count, &clips->capacity, sizeof id, e);
    if (rc == 0) {
        clips->ids = ids;
        clips->ids[clips->count++] = id;
    }
    return rc;
}

int comments_video_ids(const json_t *root, struct arena *arena, const char ***ids, size_t *count,
                       struct error *e) {
    struct clip_ids clips = {.arena = arena};
    struct comment_walk walk = {.visit = visit_clip, .context = &clips};
    int rc = table_open(&clips.known, e);
    if (rc == 0) {
        rc = comment_walk(&walk, root, e);
    }
    table_close(clips.known);
    *ids = rc == 0 ? clips.ids : NULL;
    *count = rc == 0 ? clips.count : 0;
    return rc;
}

static json_t *text_or_null(const char *text) {
    return text != NULL ? json_string(text) : json_null();
}

static json_t *comment_to_json(const struct comment *c) {
    json_t *object = json_object();
    json_t *created = c->created < 0 ? json_null() : json_integer(c->created);
    if (json_object_set_new(object, "id", json_string(c->id)) != 0 ||
        json_object_set_new(object, "parent", text_or_null(c->parent)) != 0 ||
        json_object_set_new(object, "author", text_or_null(c->author)) != 0 ||
        json_object_set_new(object, "text", json_string(c->text)) != 0 ||
        json_object_set_new(object, "likes", json_integer(c->likes)) != 0 ||
        json_object_set(object, "created", created) != 0 ||
        json_object_set_new(object, "by_creator", json_boolean(c->by_creator)) != 0 ||
        json_object_set_new(object, "pinned", json_boolean(c->pinned)) != 0) {
        json_decref(object);
        object = NULL;
    }
    json_decref(created);
    return object;
}

json_t *comments_to_json(const struct comment_list *list) {
    json_t *array = json_array();
    for (size_t i = 0; array != NULL && i < list->count; i++) {
        if (json_array_append_new(array, comment_to_json(&list->items[i])) != 0) {
            json_decref(array);
            array = NULL;
        }
    }
    return array;
}
