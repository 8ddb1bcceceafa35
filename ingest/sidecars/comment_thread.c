/* comment_thread.c - puts replies after the comments they answer.
 *
 * The comments form trees, roots and children in the order of the file, which are written out depth
 * first. Parent links come from files, so they may be missing or form rings; a ring is cut at the
 * member that came first. There is no recursion, so neither depth nor rings matter. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/sidecars/comments.h"
#include "store/table.h"

#define NONE SIZE_MAX

/* Indices into the list, NONE where there is none. */
struct comment_node {
    size_t parent;
    size_t child; /* the first */
    size_t next;  /* the parent's next child */
    size_t walk;  /* the walk of cut_rings that came by */
};

static size_t find(const struct table *ids, const char *id, size_t self) {
    size_t at = NONE;
    return id != NULL && *id && table_find(ids, id, &at) && at != self ? at : NONE;
}

/* Cuts each ring of parents. Every node is entered by one walk only, so time is linear. */
static void cut_rings(struct comment_node *nodes, size_t count) {
    for (size_t start = 0; start < count; start++) {
        size_t at = start;
        while (at != NONE && nodes[at].walk == NONE) {
            nodes[at].walk = start;
            at = nodes[at].parent;
        }
        if (at == NONE || nodes[at].walk != start) {
            continue;
        }
        size_t first = at; /* this walk came back to itself: `at` is in a ring */
        for (size_t i = nodes[at].parent; i != at; i = nodes[i].parent) {
            first = i < first ? i : first;
        }
        nodes[first].parent = NONE;
    }
}

static int link_nodes(const struct comment_list *list, struct comment_node *nodes,
                      struct error *e) {
    struct table *ids = NULL;
    int rc = table_open(&ids, e);
    for (size_t i = 0; rc >= 0 && i < list->count; i++) {
        rc = *list->items[i].id ? table_add(ids, list->items[i].id, i, NULL, e) : 0;
    }
    for (size_t i = 0; rc >= 0 && i < list->count; i++) {
        size_t parent = find(ids, list->items[i].parent, i);
        parent = parent == NONE ? find(ids, list->items[i].thread, i) : parent;
        nodes[i] =
            (struct comment_node){.parent = parent, .child = NONE, .next = NONE, .walk = NONE};
    }
    table_close(ids);
    if (rc < 0) {
        return rc;
    }
    cut_rings(nodes, list->count);
    for (size_t i = list->count; i-- > 0;) { /* backwards, as each becomes the first child */
        size_t parent = nodes[i].parent;
        if (parent != NONE) {
            nodes[i].next = nodes[parent].child;
            nodes[parent].child = i;
        }
    }
    return 0;
}

/* The node after `at` in the tree below `root`, depth first; NONE at the end of the tree. */
static size_t following(const struct comment_node *nodes, size_t at, size_t root) {
    if (nodes[at].child != NONE) {
        return nodes[at].child;
    }
    while (at != root && nodes[at].next == NONE) {
        at = nodes[at].parent;
    }
    return at == root ? NONE : nodes[at].next;
}

int comments_thread(struct comment_list *list, struct error *e) {
    if (!list->count) {
        return 0;
    }
    struct comment_node *nodes = calloc(list->count, sizeof *nodes);
    struct comment *sorted = calloc(list->count, sizeof *sorted);
    int rc = nodes != NULL && sorted != NULL ? 0 : error_memory(e, NULL);
    if (rc == 0) {
        rc = link_nodes(list, nodes, e);
    }
    if (rc == 0) {
        size_t count = 0;
        for (size_t root = 0; root < list->count; root++) {
            size_t at = nodes[root].parent == NONE ? root : NONE;
            while (at != NONE) {
                sorted[count++] = list->items[at];
                at = following(nodes, at, root);
            }
        }
        memcpy(list->items, sorted, list->count * sizeof *sorted);
    }
    free(sorted);
    free(nodes);
    return rc;
}
