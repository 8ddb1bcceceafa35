/* history_pages.c - the tokens of an account, from its pages, and which post and which text each
 * shows; then what its posts say themselves. */
#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "store/json.h"
#include "store/nest.h"
#include "store/spans.h"
#include "train/context/history_parts.h"
#include "train/corpus/corpus_parts.h"

/* Of the account's posts. */
static const uint32_t NO_POST = UINT32_MAX;

/* The pages of a sample or a pack. */
struct page_reader {
    struct history_builder *b;
    struct account *account;
    const char *key;     /* that the following are of; NULL: none yet */
    struct spans *spans; /* NULL: its pages have no cells */
    uint32_t newest;     /* of the posts that it shows */
    const char *sample;  /* the last that was looked up, in `spans` */
    uint32_t sample_post;
    struct buffer posts; /* of the cells of a page */
};

/* ---- Posts -------------------------------------------------------------------------------- */

/* NO_POST: the account has no such post. */
static uint32_t post_of(const struct page_reader *r, const char *key) {
    size_t number;
    if (key == NULL || !table_find(r->b->keys, key, &number)) {
        return NO_POST;
    }
    size_t place = r->b->places[number];
    size_t first = (size_t)(r->account->shown.posts - r->b->h->posts);
    bool of_account = place >= first && place - first < r->account->shown.post_count;
    return of_account ? (uint32_t)(place - first) : NO_POST;
}

static uint32_t newer(uint32_t a, uint32_t b) {
    return a == NO_POST || (b != NO_POST && b > a) ? b : a;
}

static int find_newest(struct page_reader *r, struct error *e) {
    json_t *json = NULL;
    size_t i;
    const json_t *name;
    r->newest = NO_POST;
    int rc = store_load_pack(r->b->h->store, r->key, &json, e);
    json_array_foreach(store_pack_samples(r->key, json), i, name) {
        r->newest = newer(r->newest, post_of(r, json_string_value(name)));
    }
    json_decref(json);
    r->newest = newer(r->newest, post_of(r, r->key));
    if (rc == 0 && r->newest == NO_POST) {
        rc = error_set(e, ERR_FORMAT, "%s: shows no sample that the journal has: occ store verify",
                       r->key);
    }
    return rc;
}

static int begin_key(struct page_reader *r, const char *key, struct error *e) {
    struct history_builder *b = r->b;
    spans_close(r->spans);
    r->spans = NULL;
    r->sample = NULL;
    r->key = history_text(b->h, key, strlen(key), e);
    bytes_clear(&b->cells);
    bytes_clear(&b->text);
    int rc = r->key != NULL ? store_get_cells(b->h->store, key, &b->cells, e) : ERR_MEMORY;
    if (rc == 1) { /* pictures alone have no text */
        rc = store_get_text(b->h->store, key, &b->text, e) < 0 ? ERR_IO : 1;
    }
    if (rc == 1) {
        rc = spans_open(&r->spans, bytes_text(&b->cells), b->cells.size, e);
    }
    if (rc == 0 && r->spans != NULL) {
        rc = clip_scripts_take(b->scripts, r->spans, bytes_text(&b->text), b->text.size, e);
    }
    return rc < 0 ? error_context(e, "%s", key) : find_newest(r, e);
}

/* ---- Tokens ------------------------------------------------------------------------------- */

static int add_token(struct account *a, const struct history_token *t, struct error *e) {
    struct history_token *tokens =
        array_grow(a->tokens, &a->token_capacity, a->shown.token_count + 1, sizeof *tokens, e);
    if (tokens == NULL) {
        return ERR_MEMORY;
    }
    a->tokens = tokens;
    a->tokens[a->shown.token_count++] = *t;
    return 0;
}

/* *post: the newest that a cell shows; NO_POST: it names none. */
static int cell_post(struct page_reader *r, int page, int cell, uint32_t *post, struct error *e) {
    size_t count;
    const struct span *list = spans_list(r->spans, page, cell, cell + 1, &count, e);
    *post = NO_POST;
    if (list == NULL) {
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        if (list[i].sample != r->sample) {
            r->sample = list[i].sample;
            r->sample_post = post_of(r, list[i].sample);
        }
        if (r->sample_post == NO_POST) {
            return error_set(e, ERR_FORMAT,
                             "page %d shows %s, which the journal does not have: occ store verify",
                             page, list[i].sample);
        }
        *post = newer(*post, r->sample_post);
    }
    return 0;
}

/* What names no post, such as signs and counts, is as new as the newer of what is beside it. */
static void settle_posts(uint32_t *posts, int count, uint32_t newest) {
    uint32_t before = NO_POST;
    for (int i = 0; i < count; i++) {
        int next = i;
        while (next < count && posts[next] == NO_POST) {
            next++;
        }
        const uint32_t after = next < count ? posts[next] : NO_POST;
        const uint32_t post = newer(before, after);
        for (; i < next; i++) {
            posts[i] = post != NO_POST ? post : newest;
        }
        before = after;
    }
}

/* The post of each cell of a page, in r->posts. */
static int find_posts(struct page_reader *r, const struct history_page *p, struct error *e) {
    const int cells = spans_cells(r->spans, p->number);
    int rc = buffer_reserve(&r->posts, (size_t)cells, sizeof(uint32_t), e);
    uint32_t *posts = r->posts.data;
    for (int i = 0; i < cells && rc == 0; i++) {
        rc = cell_post(r, p->number, i, &posts[i], e);
    }
    if (rc == 0) {
        settle_posts(posts, cells, r->newest);
    }
    return rc;
}

static int check_cells(const struct page_reader *r, const struct history_page *p, struct error *e) {
    const struct token_header *h = &p->header;
    int64_t cells = (int64_t)h->full_rows * h->full_columns;
    bool fits = spans_cells(r->spans, p->number) == cells &&
                (int64_t)h->rows * h->columns == nest_count(cells, h->bucket);
    return fits ? 0 : error_set(e, ERR_FORMAT, "page %d: has other cells than tokens", p->number);
}

static uint32_t newest_of(const uint32_t *posts, int first, int end) {
    uint32_t post = NO_POST;
    for (int i = first; i < end; i++) {
        post = newer(post, posts[i]);
    }
    return post;
}

/* The tokens of a page in cells that show text. */
static int take_cells(struct page_reader *r, const struct history_page *p,
                      struct history_token *token, struct error *e) {
    struct account *a = r->account;
    const struct bytes *text = &r->b->text;
    size_t size = 0, base = a->text.size;
    const char *page = store_text_page(bytes_text(text), text->size, p->number, &size);
    int rc = check_cells(r, p, e);
    rc = rc == 0 ? find_posts(r, p, e) : rc;
    rc = rc == 0 && page != NULL ? bytes_append(&a->text, page, size, e) : rc;
    for (int i = 0; i < p->header.rows * p->header.columns && rc == 0; i++) {
        size_t from, to;
        int first, end;
        spans_of_token(&p->header, i, &first, &end);
        spans_text(r->spans, p->number, first, end, &from, &to);
        if (to > size) {
            return error_set(e, ERR_FORMAT, "page %d: its text is shorter than its cells say",
                             p->number);
        }
        token->token = (uint32_t)i;
        token->post = newest_of(r->posts.data, first, end);
        token->text = (uint32_t)(base + from);
        token->size = (uint32_t)(to - from);
        rc = to > from ? add_token(a, token, e) : 0;
    }
    return rc;
}

static int take_grid(struct page_reader *r, const struct history_page *p,
                     struct history_token *token, struct error *e) {
    int rc = 0;
    token->post = r->newest;
    for (int i = 0; i < p->header.rows * p->header.columns && rc == 0; i++) {
        token->token = (uint32_t)i;
        rc = add_token(r->account, token, e);
    }
    return rc;
}

static int levels_of(const struct learned *learned, const struct token_header *h) {
    bool nests = h->bucket == 0 || h->shrunk_by == SHRINK_NEST;
    bool more = nests && learned->levels > h->bucket && learned_merges(learned, h->profile);
    return more ? learned->levels : h->bucket;
}

static int take_page(void *context, const struct token_record *record, struct error *e) {
    struct page_reader *r = context;
    struct history *h = r->b->h;
    int first, end, rc = history_cancelled(r->b, e);
    if (rc == 0 && (r->key == NULL || strcmp(r->key, record->key) != 0)) {
        rc = begin_key(r, record->key, e);
    }
    if (rc == 0 && h->page_count >= UINT32_MAX) {
        rc = error_set(e, ERR_LIMIT, "more than %u pages", UINT32_MAX);
    }
    if (rc < 0) {
        return rc;
    }
    struct history_page *pages =
        array_grow(h->pages, &h->page_capacity, h->page_count + 1, sizeof *pages, e);
    if (pages == NULL) {
        return ERR_MEMORY;
    }
    h->pages = pages;
    struct history_page *p = &h->pages[h->page_count];
    *p = (struct history_page){.header = record->header,
                               .payload = record->payload,
                               .key = r->key,
                               .number = record->page,
                               .levels = levels_of(&r->b->learned, &record->header)};
    struct history_token token = {.page = (uint32_t)h->page_count++,
                                  .bucket = record->header.bucket};
    p->text = r->spans != NULL && spans_cells(r->spans, record->page) > 0 &&
              spans_of_token(&record->header, 0, &first, &end);
    rc = p->text ? take_cells(r, p, &token, e) : take_grid(r, p, &token, e);
    return rc < 0 ? error_context(e, "%s", record->key) : 0;
}

/* ---- In order of time --------------------------------------------------------------------- */

static int compare_tokens(const void *left, const void *right) {
    const struct history_token *a = left, *b = right;
    if (a->post != b->post) {
        return a->post < b->post ? -1 : 1;
    }
    if (a->page != b->page) {
        return a->page < b->page ? -1 : 1;
    }
    return (a->token > b->token) - (a->token < b->token);
}

static void sort_tokens(struct account *a, struct history_post *posts) {
    struct history_account *s = &a->shown;
    bool sorted = true;
    for (size_t i = 1; i < s->token_count && sorted; i++) {
        sorted = compare_tokens(&a->tokens[i - 1], &a->tokens[i]) < 0;
    }
    if (!sorted) {
        qsort(a->tokens, s->token_count, sizeof *a->tokens, compare_tokens);
    }
    for (size_t i = 0; i < s->token_count; i++) {
        a->tokens[i].created = posts[a->tokens[i].post].created;
        posts[a->tokens[i].post].count++;
    }
    for (size_t i = 0, first = 0; i < s->post_count; i++) {
        posts[i].first = (uint32_t)first;
        first += posts[i].count;
    }
}

/* Without what was reserved for more. */
static int settle(struct account *a, struct error *e) {
    const size_t count = a->shown.token_count;
    struct history_token *tokens = calloc(count + 1, sizeof *tokens);
    if (tokens == NULL) {
        return error_memory(e, NULL);
    }
    if (count > 0) {
        memcpy(tokens, a->tokens, count * sizeof *tokens);
    }
    free(a->tokens);
    a->shown.tokens = a->tokens = tokens;
    a->token_capacity = count;
    a->shown.text = bytes_text(&a->text);
    a->shown.text_size = a->text.size;
    return 0;
}

int history_read_pages(struct history_builder *b, size_t account, struct error *e) {
    struct history *h = b->h;
    struct account *a = &h->accounts[account];
    struct page_reader r = {.b = b, .account = a};
    if (a->shown.post_count >= UINT32_MAX) {
        return error_set(e, ERR_LIMIT, "%s: has more than %u posts", a->shown.name, UINT32_MAX);
    }
    int rc = store_each(h->store, a->shown.name, take_page, &r, e);
    spans_close(r.spans);
    buffer_free(&r.posts);
    if (rc == 0 && a->shown.token_count >= UINT32_MAX) {
        rc = error_set(e, ERR_LIMIT, "%s: has more than %u tokens", a->shown.name, UINT32_MAX);
    }
    if (rc == 0) {
        size_t first = a->shown.post_count > 0 ? (size_t)(a->shown.posts - h->posts) : 0;
        sort_tokens(a, h->posts + first);
        rc = settle(a, e);
    }
    return rc;
}

/* ---- Captions and scripts ----------------------------------------------------------------- */

/* A copy without the space around it; NULL where nothing is left, or no memory (*rc). */
static const char *copy_text(struct history *h, const char *text, size_t length, uint32_t *size,
                             int *rc, struct error *e) {
    corpus_trim(&text, &length);
    *size = (uint32_t)length;
    const char *copy = length > 0 ? history_text(h, text, length, e) : NULL;
    *rc = length > 0 && copy == NULL ? ERR_MEMORY : *rc;
    return copy;
}

static int read_post(struct history_builder *b, struct account *a, struct history_post *post,
                     struct error *e) {
    struct history *h = b->h;
    bytes_clear(&b->json);
    bytes_clear(&b->text);
    int rc = history_cancelled(b, e);
    rc = rc == 0 ? store_get_json(h->store, post->key, &b->json, e) : rc;
    if (rc != 1) { /* text that was forgotten */
        return rc;
    }
    json_t *sample = json_read(bytes_text(&b->json), b->json.size, NULL, e);
    rc = sample != NULL ? clip_scripts_find(b->scripts, post->key, &b->text, e)
                        : error_context(e, "%s", post->key);
    if (rc >= 0) {
        const char *caption = corpus_caption(sample), *title = json_get_text(sample, "account");
        rc = 0;
        post->caption = copy_text(h, caption, strlen(caption), &post->caption_size, &rc, e);
        post->script = copy_text(h, bytes_text(&b->text), b->text.size, &post->script_size, &rc, e);
        if (rc == 0 && title != NULL && strcmp(title, a->shown.title) != 0) {
            a->shown.title = history_text(h, title, strlen(title), e);
            rc = a->shown.title != NULL ? 0 : ERR_MEMORY;
        }
        post->title = title != NULL ? a->shown.title : post->title;
    }
    json_decref(sample);
    return rc;
}

int history_read_posts(struct history_builder *b, size_t account, struct error *e) {
    struct account *a = &b->h->accounts[account];
    size_t first = a->shown.post_count > 0 ? (size_t)(a->shown.posts - b->h->posts) : 0;
    int rc = 0;
    for (size_t i = 0; i < a->shown.post_count && rc == 0; i++) { /* oldest first */
        rc = read_post(b, a, &b->h->posts[first + i], e);
    }
    return rc;
}
