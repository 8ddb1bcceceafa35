/* comments_fuzz.c - comments from any JSON or NDJSON: what is accepted keeps the promises of
 * comments.h, threading loses nothing and settles, and what is written reads back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/sidecars/comments.h"
#include "store/json.h"
#include "store/table.h"
#include "store/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise) {
    if (!promise) {
        abort();
    }
}

static void check(const struct comment_list *list) {
    struct table *ids = NULL;
    require(table_open(&ids, NULL) == 0);
    for (size_t i = 0; i < list->count; i++) {
        const struct comment *c = &list->items[i];
        require(c->id && c->text && *c->text && utf8_is_valid(c->text, strlen(c->text)));
        require(!c->parent || (*c->parent && strcmp(c->parent, c->id) != 0));
        require(!c->thread || (*c->thread && c->parent));
        require(!c->author || *c->author);
        require(c->likes >= 0 && c->created >= -1);
        require(!*c->id || table_add(ids, c->id, i, NULL, NULL) == 1);
    }
    table_close(ids);
}

/* Comments are told apart by their texts, each of which is an allocation of its own. */
static uint64_t sum_of_texts(const struct comment_list *list) {
    uint64_t sum = 0;
    for (size_t i = 0; i < list->count; i++) {
        sum += (uintptr_t)list->items[i].text;
    }
    return sum;
}

static void check_threads(struct comment_list *list) {
    size_t count = list->count;
    uint64_t sum = sum_of_texts(list);
    require(comments_thread(list, NULL) == 0);
    require(list->count == count && sum_of_texts(list) == sum);
    struct comment *once = calloc(count + 1, sizeof *once);
    require(once);
    if (count) {
        memcpy(once, list->items, count * sizeof *once);
    }
    require(comments_thread(list, NULL) == 0);
    for (size_t i = 0; i < count; i++) {
        require(list->items[i].text == once[i].text);
    }
    free(once);
}

static void check_reading_back(const struct comment_list *list) {
    struct comment_list again = {.arena = list->arena};
    json_t *written = comments_to_json(list);
    require(written && comments_add(&again, written, NULL, NULL, NULL) == 0);
    require(again.count == list->count);
    for (size_t i = 0; i < again.count; i++) {
        const struct comment *a = &list->items[i], *b = &again.items[i];
        require(strcmp(a->id, b->id) == 0 && strcmp(a->text, b->text) == 0);
        require(a->parent ? b->parent && strcmp(a->parent, b->parent) == 0 : !b->parent);
        require(a->likes == b->likes && a->created == b->created);
        require(a->by_creator == b->by_creator && a->pinned == b->pinned);
    }
    json_decref(written);
}

static void check_tree(const json_t *tree, const char *video_id) {
    static const char *const creator[] = {"banana", "68107", NULL};
    struct arena *arena = NULL;
    const char **ids = NULL;
    size_t count = 0;
    require(arena_open(&arena, (size_t)1 << 30, NULL) == 0);
    struct comment_list list = {.arena = arena};
    int rc = comments_add(&list, tree, video_id, creator, NULL);
    require(rc == 0 || (rc == ERR_FORMAT && list.count == 0));
    require(comments_video_ids(tree, arena, &ids, &count, NULL) == 0);
    for (size_t i = 0; i < count; i++) {
        require(*ids[i]);
    }
    check(&list);
    check_threads(&list);
    check_reading_back(&list);
    arena_close(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *trees[] = {json_read(data, size, NULL, NULL), json_read_lines(data, size, NULL, NULL)};
    for (size_t i = 0; i < 2; i++) {
        if (trees[i]) {
            check_tree(trees[i], NULL);
            check_tree(trees[i], "7139980461132074283");
        }
        json_decref(trees[i]);
    }
    return 0;
}
