/* history_gather.c - accounts and posts of a history, from the journal of its store. */
#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "store/json.h"
#include "train/context/history_parts.h"

/* ---- Accounts ----------------------------------------------------------------------------- */

static bool is_wanted(const struct history_builder *b, const char *name, size_t size) {
    return b->account == NULL || (b->account_size == size && memcmp(b->account, name, size) == 0);
}

/* *number: of the account, which is added where it is not there yet. */
static int find_account(struct history_builder *b, const char *name, size_t *number,
                        struct error *e) {
    int rc = table_add(b->accounts, name, table_count(b->accounts), number, e);
    if (rc != 1) {
        return rc;
    }
    const char **names =
        array_grow(b->names, &b->name_capacity, table_count(b->accounts), sizeof *names, e);
    if (names == NULL) {
        return ERR_MEMORY;
    }
    b->names = names;
    b->names[*number] = history_text(b->h, name, strlen(name), e);
    return b->names[*number] != NULL ? 0 : ERR_MEMORY;
}

static int take_account(void *context, const char *account, struct error *e) {
    struct history_builder *b = context;
    size_t number;
    return is_wanted(b, account, strlen(account)) ? find_account(b, account, &number, e) : 0;
}

/* ---- Samples and packs -------------------------------------------------------------------- */

/* Unless it is there already. */
static int add_post(struct history_builder *b, const char *key, int64_t created, bool folded,
                    struct error *e) {
    char account[STREAM_KEY_BYTES];
    struct found post = {.created = created > STORE_UNDATED ? created : STORE_UNDATED,
                         .folded = folded};
    int rc = table_add(b->keys, key, b->post_count, NULL, e);
    if (rc != 1) {
        return rc;
    }
    stream_account(account, key);
    rc = find_account(b, account, &post.account, e);
    struct found *posts =
        array_grow(b->posts, &b->post_capacity, b->post_count + 1, sizeof *posts, e);
    if (rc < 0 || posts == NULL) {
        return rc < 0 ? rc : ERR_MEMORY;
    }
    b->posts = posts;
    post.key = history_text(b->h, key, strlen(key), e);
    b->posts[b->post_count++] = post;
    return post.key != NULL ? 0 : ERR_MEMORY;
}

static int add_pack(struct history_builder *b, const char *key, int64_t created, bool folded,
                    struct error *e) {
    char account[STREAM_KEY_BYTES];
    struct found pack = {.created = created, .folded = folded};
    struct found *packs =
        array_grow(b->packs, &b->pack_capacity, b->pack_count + 1, sizeof *packs, e);
    if (packs == NULL) {
        return ERR_MEMORY;
    }
    b->packs = packs;
    stream_account(account, key);
    pack.key = history_text(b->h, key, strlen(key), e);
    int rc = pack.key != NULL ? find_account(b, account, &pack.account, e) : ERR_MEMORY;
    b->packs[b->pack_count++] = pack;
    return rc < 0 ? rc : 0;
}

/* Stores of before the mark have none: what store_count_folded says of these. */
static int find_folded(struct history_builder *b, const char *key, bool *folded, struct error *e) {
    int64_t shown, count = *folded;
    int rc = *folded ? 0 : store_count_folded(b->h->store, key, NULL, &shown, &count, e);
    *folded = count > 0;
    return rc;
}

static int take_entry(void *context, const char *key, const char *journal, size_t size,
                      struct error *e) {
    struct history_builder *b = context;
    int rc = history_cancelled(b, e);
    if (rc < 0 || !is_wanted(b, key, stream_account_size(key))) {
        return rc;
    }
    json_t *entry = json_loadb(journal, size, 0, NULL);
    int64_t created = json_get_integer(entry, "created", STORE_UNDATED);
    bool folded = json_get_flag(entry, "folded");
    json_decref(entry);
    rc = find_folded(b, key, &folded, e);
    if (rc < 0) {
        return rc;
    }
    return stream_is_pack(key) ? add_pack(b, key, created, folded, e)
                               : add_post(b, key, created, folded, e);
}

/* A pack may have come without its samples: then they are as old as it is. */
static int add_shown(struct history_builder *b, const struct found *pack, struct error *e) {
    json_t *json;
    size_t i;
    const json_t *name;
    int rc = store_load_pack(b->h->store, pack->key, &json, e);
    json_array_foreach(store_pack_samples(pack->key, json), i, name) {
        const char *key = json_string_value(name);
        bool valid = key != NULL && strlen(key) < STREAM_KEY_BYTES && strchr(key, '/') != NULL;
        size_t size = valid ? stream_account_size(key) : 0;
        if (rc == 0 && (!valid || strncmp(key, pack->key, size + 1) != 0)) {
            rc = error_set(e, ERR_FORMAT, "%s: shows what is not a sample of its account",
                           pack->key);
        }
        rc = rc == 0 ? add_post(b, key, pack->created, false, e) : rc;
    }
    json_decref(json);
    return rc;
}

/* ---- In order ----------------------------------------------------------------------------- */

static int compare_names(const void *left, const void *right) {
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

struct ordered_post {
    size_t account; /* by name */
    int64_t created;
    const char *key;
    size_t number; /* as it came */
};

static int compare_posts(const void *left, const void *right) {
    const struct ordered_post *a = left, *b = right;
    if (a->account != b->account) {
        return a->account < b->account ? -1 : 1;
    }
    if (a->created != b->created) {
        return a->created < b->created ? -1 : 1;
    }
    return strcmp(a->key, b->key);
}

/* *ranks: of accounts as they came, their number by name; the caller's. */
static int sort_accounts(struct history_builder *b, size_t **ranks, struct error *e) {
    struct history *h = b->h;
    size_t count = table_count(b->accounts);
    h->accounts = calloc(count + 1, sizeof *h->accounts);
    *ranks = calloc(count + 1, sizeof **ranks);
    if (h->accounts == NULL || *ranks == NULL) {
        return error_memory(e, NULL);
    }
    if (count > 0) {
        qsort(b->names, count, sizeof *b->names, compare_names);
    }
    for (size_t i = 0; i < count; i++) {
        size_t number = 0;
        table_find(b->accounts, b->names[i], &number);
        (*ranks)[number] = i;
        h->accounts[i].shown = (struct history_account){.name = b->names[i], .title = b->names[i]};
        bytes_init(&h->accounts[i].text, UINT32_MAX);
    }
    h->account_count = count;
    return 0;
}

static void note_folded(struct history_account *a, bool folded, int64_t created) {
    a->folded = folded && created > a->folded ? created : a->folded;
}

static void place_posts(struct history_builder *b, const struct ordered_post *order) {
    struct history *h = b->h;
    for (size_t i = 0; i < b->post_count; i++) {
        const struct ordered_post *p = &order[i];
        struct history_account *a = &h->accounts[p->account].shown;
        h->posts[i] = (struct history_post){.key = p->key, .title = a->name, .created = p->created};
        b->places[p->number] = i;
        a->posts = a->post_count > 0 ? a->posts : &h->posts[i];
        a->post_count++;
        note_folded(a, b->posts[p->number].folded, p->created);
    }
}

static int sort_posts(struct history_builder *b, const size_t *ranks, struct error *e) {
    struct history *h = b->h;
    struct ordered_post *order = calloc(b->post_count + 1, sizeof *order);
    h->posts = calloc(b->post_count + 1, sizeof *h->posts);
    b->places = calloc(b->post_count + 1, sizeof *b->places);
    if (order == NULL || h->posts == NULL || b->places == NULL) {
        free(order);
        return error_memory(e, NULL);
    }
    h->post_count = b->post_count;
    for (size_t i = 0; i < b->post_count; i++) {
        const struct found *p = &b->posts[i];
        order[i] = (struct ordered_post){ranks[p->account], p->created, p->key, i};
    }
    if (b->post_count > 0) {
        qsort(order, b->post_count, sizeof *order, compare_posts);
    }
    place_posts(b, order);
    for (size_t i = 0; i < b->pack_count; i++) {
        const struct found *p = &b->packs[i];
        note_folded(&h->accounts[ranks[p->account]].shown, p->folded, p->created);
    }
    free(order);
    return 0;
}

static int is_there(void *context, const char *key, const char *journal, size_t size,
                    struct error *e) {
    (void)journal;
    (void)size;
    (void)e;
    return is_wanted(context, key, stream_account_size(key)) ? 1 : 0;
}

/* The account as keys write it: what is asked for may be its name already, or what the name was
 * made of. */
static int choose_account(struct history_builder *b, char name[STREAM_KEY_BYTES], struct error *e) {
    if (b->account == NULL) {
        return 0;
    }
    b->account_size = strlen(b->account);
    int rc = store_each_account(b->h->store, take_account, b, e);
    if (rc == 0 && table_count(b->accounts) == 0) {
        rc = store_each_sample(b->h->store, is_there, b, e);
    } else if (rc == 0) {
        rc = 1;
    }
    if (rc == 0) {
        stream_key(name, b->account, "_");
        name[stream_account_size(name)] = '\0';
        b->account = name;
        b->account_size = strlen(name);
    }
    return rc < 0 ? rc : 0;
}

int history_gather(struct history_builder *b, struct error *e) {
    char name[STREAM_KEY_BYTES];
    size_t *ranks = NULL;
    int rc = choose_account(b, name, e);
    if (rc == 0) {
        rc = store_each_sample(b->h->store, take_entry, b, e);
    }
    for (size_t i = 0; i < b->pack_count && rc == 0; i++) {
        rc = add_shown(b, &b->packs[i], e);
    }
    if (rc == 0) {
        rc = store_each_account(b->h->store, take_account, b, e);
    }
    rc = rc == 0 ? sort_accounts(b, &ranks, e) : rc;
    rc = rc == 0 ? sort_posts(b, ranks, e) : rc;
    b->account = NULL; /* of this call alone */
    free(ranks);
    return rc;
}
