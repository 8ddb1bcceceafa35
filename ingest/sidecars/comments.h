/* comments.h - comments from the exports that people hold, in one schema.
 *
 * Shapes, which differ in their members:
 *   yt-dlp            info.json "comments": [{id, parent, author, text, like_count, ...}]
 *   TikTok web API    {comments: [{cid, text, digg_count, reply_comment: [...], user: {...}}]}
 *   TikTok Research   {data: {comments: [{id, parent_comment_id, like_count, create_time}]}}
 *   scraper exports   [{cid | commentId | id, text, diggCount, repliesToId, uniqueId, ...}]
 * A bare array, NDJSON (as read by json_read_lines: an array, also of pages) and an object holding
 * "comments" or "data" are all accepted. Entries of a list that is not called "comments" need an id
 * or an author, so that other lists of texts (captions, clips) are not taken for comments. */
#ifndef OCC_INGEST_SIDECARS_COMMENTS_H
#define OCC_INGEST_SIDECARS_COMMENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/arena.h"
#include "store/error.h"

struct comment {
    const char *id;     /* never NULL; "" where the export has none */
    const char *parent; /* id of the comment answered, NULL for a root */
    const char *thread; /* id of the thread's root where that is named beside `parent`, else NULL */
    const char *author; /* NULL where unknown */
    const char *text;   /* never empty; HTML of old exports already turned into plain text */
    int64_t likes;      /* 0 where unknown */
    int64_t created;    /* seconds since 1970 UTC, -1 where unknown */
    bool by_creator, pinned;
};

/* In thread order: each root in the order of the file, its replies after it. */
struct comment_list {
    struct arena *arena; /* owns items and texts */
    struct comment *items;
    size_t count, capacity;
    size_t dropped; /* entries without text, repeated ids, too deeply nested ones and the like */
};

/* Adds the comments of a parsed file. `video_id`: when an entry names its clip (aweme_id, video_id,
 * videoWebUrl ...) and it is another one, the entry is left out (not counted as dropped); NULL
 * takes all. `creator`: NULL-terminated names and ids of the account, to mark its own comments. Ids
 * that `list` already has are dropped. ERR_FORMAT when the file holds no comments list; "comments":
 * null is an empty one. After a failure `list` is as before. */
int comments_add(struct comment_list *list, const json_t *root, const char *video_id,
                 const char *const *creator, struct error *e);

/* Puts replies, and the replies to these, after the comment they answer, in the order of the file.
 * Call after the last comments_add. A reply whose parent is absent goes after its thread's root;
 * without that too it stays where it is. */
int comments_thread(struct comment_list *list, struct error *e);

/* The distinct clip ids that the entries of a file name; *count 0 when it names none or holds no
 * comments. Ids live in `arena`. */
int comments_video_ids(const json_t *root, struct arena *arena, const char ***ids, size_t *count,
                       struct error *e);

/* The member .comments.json: an array of objects in the order of the list, null for what is unknown
 * (comments_add reads it back as it was, but for `thread`); NULL on ERR_MEMORY. */
json_t *comments_to_json(const struct comment_list *list);

#endif
