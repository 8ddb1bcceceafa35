/* comment_parts.h - the parts of comments.c: the walk over a file, and HTML; for comments.c
 * alone. */
#ifndef OCC_INGEST_SIDECARS_COMMENT_PARTS_H
#define OCC_INGEST_SIDECARS_COMMENT_PARTS_H

#include "ingest/sidecars/field.h"

/* An id inside the tree (no copy), or the digits of a number; `text` is NULL where there is none,
 * and ends at `size`, not at a zero byte. Not to be copied, as `text` may point into it. */
struct comment_id {
    const char *text;
    size_t size;
    char digits[24];
};

/* The first usable id, a string or an integer; false, and `id` empty, where there is none. */
bool comment_id_find(struct comment_id *id, const json_t *object, const char *const *names);
bool comment_id_is(const struct comment_id *id, const char *text);
bool comment_id_equal(const struct comment_id *a, const struct comment_id *b);

/* One comment of a file, whatever the file's shape. */
struct comment_entry {
    const json_t *object;
    const char *text;                /* as it stands in the file; NULL: none that is not blank */
    const char *html;                /* likewise, what old exports have in its place */
    struct comment_id id;            /* may be empty */
    const struct comment_id *clip;   /* the clip that it, or what it lies in, names; or NULL */
    const struct comment_id *parent; /* of the comment among whose replies it lies, or NULL */
};

struct comment_walk {
    /* Is called for each comment, replies after the comment they belong to; a negative code ends
     * the walk. The entry lives until it returns. */
    int (*visit)(void *context, const struct comment_entry *entry, struct error *e);
    void *context;
    bool found;     /* out: the file holds a list of comments */
    size_t dropped; /* out: values in lists that are not comments */
};

/* Walks over every shape that comments.h names. Bounded in depth: deeper lists are dropped. */
int comment_walk(struct comment_walk *w, const json_t *root, struct error *e);

/* Plain text of a fragment of HTML, in the arena of `f` (whose `exhausted` is set when it runs
 * out): entities decoded, tags dropped, <br> and the ends of blocks as line ends, blanks collapsed.
 * NULL when nothing is left. A '<' that opens no tag stays ("i <3 you"). */
const char *comment_text_from_html(struct fields *f, const char *html);

#endif
