/* content_comments.c - which comments are shown, and in which order.
 *
 * Comments are nodes of a forest: what answers nothing, or something that is not there, is a root,
 * and so is one comment of each ring. Everything is found by sorting, so that time is n log n
 * whatever the file says. */
#include "render/content/content_parts.h"

#include <stdlib.h>
#include <string.h>

#include "store/table.h"

enum { INDENT_MOST = 4 };
static const char COMMENTS[] = "comments.json";

struct thread_node {
    const json_t *comment;
    struct content_string author, text;
    size_t index; /* in the file */
    int64_t likes;
    int64_t best; /* likes of the best liked comment in its branch */
    bool by_creator, pinned;
    bool chosen;
    uint8_t visit; /* while rings are sought: 1 on the way, 2 done */
    int depth;
    struct thread_node *parent, *child, *next; /* first answer; next answer to the same */
};

/* All that have a text. */
struct forest {
    struct thread_node *nodes;
    struct thread_node **sorted; /* (count + 1) */
    struct thread_node *roots;
    size_t count, unreadable;
};

/* ---- Reading ------------------------------------------------------------------------- */

static int read_nodes(struct content_layout *l, const json_t *list, struct forest *t,
                      struct error *e) {
    size_t all = layout_items(list);
    t->nodes = arena_alloc(l->scratch, all, sizeof *t->nodes);
    t->sorted = arena_alloc(l->scratch, all + 1, sizeof *t->sorted);
    if (t->nodes == NULL || t->sorted == NULL) {
        return error_memory(e, "comments");
    }
    for (size_t i = 0; i < all; i++) {
        const json_t *comment = json_array_get(list, i);
        struct content_string text = content_string(comment, "text");
        if (text.text == NULL) {
            t->unreadable++;
            continue;
        }
        int64_t likes = json_get_integer(comment, "likes", 0);
        t->nodes[t->count++] =
            (struct thread_node){.comment = comment,
                                 .author = content_string(comment, "author"),
                                 .text = text,
                                 .index = i,
                                 .likes = likes > 0 ? likes : 0,
                                 .by_creator = json_get_flag(comment, "by_creator"),
                                 .pinned = json_get_flag(comment, "pinned")};
    }
    return 0;
}

/* Of comments with the same id the first one counts. */
static int find_parents(struct content_layout *l, struct forest *t, struct error *e) {
    struct table *ids = NULL;
    int rc = table_open(&ids, e);
    for (size_t i = 0; i < t->count && rc >= 0; i++) {
        const char *id = json_get_id(t->nodes[i].comment, "id", l->scratch);
        rc = id != NULL ? table_add(ids, id, i, NULL, e) : 0;
    }
    for (size_t i = 0; i < t->count && rc >= 0; i++) {
        const char *id = json_get_id(t->nodes[i].comment, "parent", l->scratch);
        size_t parent;
        if (id != NULL && table_find(ids, id, &parent)) {
            t->nodes[i].parent = &t->nodes[parent];
        }
    }
    table_close(ids);
    return rc < 0 ? rc : 0;
}

/* Makes a root of one comment in each ring: the first one that is reached. */
static void open_rings(struct forest *t) {
    for (size_t i = 0; i < t->count; i++) {
        struct thread_node *n = &t->nodes[i];
        while (n != NULL && n->visit == 0) {
            n->visit = 1;
            n = n->parent;
        }
        struct thread_node *again = n != NULL && n->visit == 1 ? n : NULL;
        for (n = &t->nodes[i]; n != NULL && n->visit == 1; n = n->parent) {
            n->visit = 2;
        }
        if (again != NULL) {
            again->parent = NULL;
        }
    }
}

/* ---- Order --------------------------------------------------------------------------- */

static int compare_nodes(const struct thread_node *x, const struct thread_node *y) {
    if (x->pinned != y->pinned) {
        return x->pinned ? -1 : 1;
    }
    if (x->likes != y->likes) {
        return x->likes > y->likes ? -1 : 1;
    }
    return (x->index > y->index) - (x->index < y->index);
}

static int by_likes(const void *a, const void *b) {
    return compare_nodes(*(struct thread_node *const *)a, *(struct thread_node *const *)b);
}

/* Links answers and roots in the order in which they are shown. */
static void link_nodes(struct forest *t) {
    for (size_t i = 0; i < t->count; i++) {
        t->sorted[i] = &t->nodes[i];
    }
    if (t->count > 0) {
        qsort(t->sorted, t->count, sizeof *t->sorted, by_likes);
    }
    for (size_t i = t->count; i-- > 0;) { /* each is put before what follows it */
        struct thread_node *n = t->sorted[i];
        struct thread_node **first = n->parent != NULL ? &n->parent->child : &t->roots;
        n->next = *first;
        *first = n;
    }
}

/* The node after `n` in thread order; `skip`: what answers it is passed over. */
static struct thread_node *next_node(struct thread_node *n, bool skip) {
    if (n->child != NULL && !skip) {
        return n->child;
    }
    while (n != NULL && n->next == NULL) {
        n = n->parent;
    }
    return n != NULL ? n->next : NULL;
}

/* Sets `depth` and `best`. */
static void measure(struct forest *t) {
    size_t count = 0;
    for (struct thread_node *n = t->roots; n != NULL; n = next_node(n, false)) {
        n->depth = n->parent != NULL ? n->parent->depth + 1 : 0;
        n->best = n->likes;
        t->sorted[count++] = n;
    }
    for (size_t i = count; i-- > 0;) { /* answers before what they answer */
        struct thread_node *n = t->sorted[i];
        if (n->parent != NULL && n->parent->best < n->best) {
            n->parent->best = n->best;
        }
    }
}

/* ---- Choice -------------------------------------------------------------------------- */

/* A binary heap of those that may be chosen next: roots, and answers to what was chosen. */
struct heap {
    struct thread_node **items; /* the best one first */
    size_t count;
};

static bool is_better(const struct thread_node *x, const struct thread_node *y) {
    bool x_first = x->pinned && x->parent == NULL, y_first = y->pinned && y->parent == NULL;
    if (x_first != y_first) {
        return x_first;
    }
    return x->best != y->best ? x->best > y->best : x->index < y->index;
}

static void heap_put(struct heap *h, struct thread_node *n) {
    size_t at = h->count++;
    while (at > 0 && is_better(n, h->items[(at - 1) / 2])) {
        h->items[at] = h->items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    h->items[at] = n;
}

static struct thread_node *heap_take(struct heap *h) {
    struct thread_node *best = h->items[0], *last = h->items[--h->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < h->count && is_better(h->items[child + 1], h->items[child])) {
            child++;
        }
        if (child >= h->count || !is_better(h->items[child], last)) {
            break;
        }
        h->items[at] = h->items[child];
        at = child;
    }
    h->items[at] = last;
    return best;
}

/* Chooses the branches with the best liked comments, `most` comments in all (0: every one). So a
 * comment that is chosen for an answer to it comes before that answer. */
static void choose(struct forest *t, int64_t most) {
    struct heap h = {.items = t->sorted};
    for (struct thread_node *n = t->roots; n != NULL; n = n->next) {
        heap_put(&h, n);
    }
    for (int64_t chosen = 0; h.count > 0 && (most <= 0 || chosen < most); chosen++) {
        struct thread_node *n = heap_take(&h);
        n->chosen = true;
        for (struct thread_node *answer = n->child; answer != NULL; answer = answer->next) {
            heap_put(&h, answer);
        }
    }
}

/* ---- Showing ------------------------------------------------------------------------- */

/* A string of a comment as an isolate of its own. */
static int put_string(struct content_layout *l, struct phrase *p, const struct thread_node *n,
                      const char *name, struct content_string s, bool leads, struct error *e) {
    uint32_t source;
    int rc = layout_item_source(l, COMMENTS, n->index, name, &source, e);
    phrase_isolate(p, leads);
    if (rc == 0) {
        rc = phrase_text(p, s, source, 0, e);
    }
    phrase_isolate_end(p);
    return rc;
}

static int put_likes(struct phrase *p, int64_t likes, struct error *e) {
    char text[CONTENT_NUMBER];
    content_number(text, likes);
    const char *copy = arena_text(p->arena, text, strlen(text));
    int rc = copy != NULL ? phrase_glued(p, " ", e) : error_memory(e, NULL);
    phrase_isolate(p, false);
    if (rc == 0) {
        rc = phrase_mark(p, "♥", e);
    }
    if (rc == 0) {
        rc = phrase_mark(p, copy, e);
    }
    phrase_isolate_end(p);
    return rc;
}

/* "author: text ♥12"; a star after the author who made the clip. The text gives the direction. */
static int put_comment(struct content_layout *l, const struct thread_node *n, struct error *e) {
    struct phrase p = phrase_of(l);
    int rc = 0;
    if (n->author.text != NULL) {
        rc = put_string(l, &p, n, "author", n->author, false, e);
    }
    if (rc == 0 && (p.count > 0 || n->by_creator)) {
        rc = phrase_mark(&p, n->by_creator ? "★: " : ": ", e);
    }
    if (rc == 0) {
        rc = put_string(l, &p, n, "text", n->text, true, e);
    }
    if (rc == 0 && n->likes > 0) {
        rc = put_likes(&p, n->likes, e);
    }
    int indent = n->depth < INDENT_MOST ? n->depth : INDENT_MOST;
    if (rc == 0) {
        rc = layout_spans(l, PART_COMMENTS, p.spans, p.count, indent, e);
    }
    return rc == 0 ? layout_newline(l, PART_COMMENTS, e) : rc;
}

static int put_chosen(struct content_layout *l, const struct forest *t, struct error *e) {
    int rc = 0;
    struct arena_mark mark = arena_mark(l->scratch);
    for (struct thread_node *n = t->roots; n != NULL && rc == 0; n = next_node(n, !n->chosen)) {
        if (n->chosen) {
            rc = put_comment(l, n, e);
            arena_rewind(l->scratch, mark);
        }
    }
    return rc;
}

int layout_comments(struct content_layout *l, struct error *e) {
    int rc = 0;
    struct forest t = {0};
    json_t *list = layout_read(l, COMMENTS, JSON_ARRAY, &rc, e);
    if (rc == 0) {
        rc = read_nodes(l, list, &t, e);
    }
    if (rc == 0) {
        rc = find_parents(l, &t, e);
    }
    if (rc == 0) {
        open_rings(&t);
        link_nodes(&t);
        measure(&t);
        choose(&t, l->options->comments);
        rc = put_chosen(l, &t, e);
    }
    if (rc == 0) {
        rc = layout_warn_items(l, COMMENTS, list, t.unreadable, e);
    }
    json_decref(list);
    return rc;
}
