/* forget.c - a pass over a store: see forget.h. */
#include "store/forget.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "store/buffer.h"
#include "store/json.h"
#include "store/log.h"
#include "store/table.h"

#define DAY (24.0 * 3600)

/* A page of the account in hand. */
struct aging {
    struct token_record record; /* without its payload */
    double reactions;
    int bucket;   /* where it belongs now; STORE_BUCKETS: folded */
    double share; /* of a page to be folded: of its samples, those not in the style sum */
};

struct forget {
    struct store *s;
    const struct forget_options *options;
    struct forget_result *result;
    struct codec_state *codec;
    struct bytes payload, json;
    struct buffer tokens, shrunk; /* of a page, floats */
    struct aging *pages;
    size_t count, capacity;
    struct account_header account;
    struct table *shown; /* samples on packs that stay; NULL while no pack is folded */
    double *sum;         /* of the account; NULL while nothing was folded */
};

/* ---- The pages of an account ----------------------------------------------------------- */

static int collect(void *context, const struct token_record *record, struct error *e) {
    struct forget *f = context;
    struct aging *pages = array_grow(f->pages, &f->capacity, f->count + 1, sizeof *pages, e);
    if (pages == NULL) {
        return ERR_MEMORY;
    }
    f->pages = pages;
    f->pages[f->count++] = (struct aging){.record = *record};
    return 0;
}

static double reactions_in(const json_t *sample) {
    static const char *const KINDS[] = {"likes", "comments", "shares", "saves"};
    const json_t *counts = json_object_get(sample, "counts");
    double sum = 0;
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        sum += (double)json_get_integer(counts, KINDS[i], 0);
    }
    return sum;
}

static json_t *read_sample(struct forget *f, const char *key) {
    bytes_clear(&f->json);
    return store_get_json(f->s, key, &f->json, NULL) == 1
               ? json_loadb(bytes_text(&f->json), f->json.size, 0, NULL)
               : NULL;
}

/* Of a sample, or of the mean sample of a pack. */
static double reactions_of(struct forget *f, const char *key) {
    json_t *root = read_sample(f, key);
    const json_t *samples = store_pack_samples(key, root), *name;
    double sum = 0;
    size_t i;
    json_array_foreach(samples, i, name) {
        json_t *sample = json_is_string(name) ? read_sample(f, json_string_value(name)) : NULL;
        sum += reactions_in(sample);
        json_decref(sample);
    }
    sum =
        json_array_size(samples) > 0 ? sum / (double)json_array_size(samples) : reactions_in(root);
    json_decref(root);
    return sum;
}

static int by_reactions(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* How many of the sorted values are below x; with `equal`, how many are not above it. */
static size_t count_below(const double *sorted, size_t count, double x, bool equal) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sorted[middle] < x || (equal && sorted[middle] <= x)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Ages are divided by 2^(2 rank - 1): the page with the most reactions ages half as fast, the one
 * with the least twice as fast, that in the middle as it is. rank: share of pages with fewer; pages
 * with as many share the middle of their places. */
static int scale_ages(struct forget *f, double *factors, struct error *e) {
    double *sorted = malloc((f->count + 1) * sizeof *sorted);
    if (sorted == NULL) {
        return error_memory(e, NULL);
    }
    for (size_t i = 0; i < f->count; i++) {
        bool same = i > 0 && strcmp(f->pages[i].record.key, f->pages[i - 1].record.key) == 0;
        f->pages[i].reactions =
            same ? f->pages[i - 1].reactions : reactions_of(f, f->pages[i].record.key);
        sorted[i] = f->pages[i].reactions;
    }
    qsort(sorted, f->count, sizeof *sorted, by_reactions);
    for (size_t i = 0; i < f->count; i++) {
        double x = f->pages[i].reactions;
        double below = (double)count_below(sorted, f->count, x, false);
        double not_above = (double)count_below(sorted, f->count, x, true);
        double rank = f->count > 1 ? (below + not_above - 1) / 2 / (double)(f->count - 1) : 0.5;
        factors[i] = exp2(1 - 2 * rank);
    }
    free(sorted);
    return 0;
}

static int choose_buckets(struct forget *f, struct error *e) {
    const struct forget_options *o = f->options;
    double *factors = NULL;
    if (o->adaptive && f->count > 0) {
        factors = malloc(f->count * sizeof *factors);
        int rc = factors != NULL ? scale_ages(f, factors, e) : error_memory(e, NULL);
        if (rc < 0) {
            free(factors);
            return rc;
        }
    }
    for (size_t i = 0; i < f->count; i++) {
        struct aging *page = &f->pages[i];
        const struct token_header *h = &page->record.header;
        double age = (double)o->now - (double)h->created;
        f->result->future += h->created > STORE_UNDATED && age < -DAY;
        age = factors != NULL ? age * factors[i] : age;
        int bucket = age <= 0 ? 0 : forget_bucket(age < 9e18 ? (int64_t)age : INT64_MAX, o->tau);
        bool pinned = (h->flags & TOKEN_PINNED) != 0, undated = h->created <= STORE_UNDATED;
        page->bucket = pinned || undated || bucket < h->bucket ? h->bucket
                       : bucket > o->buckets                   ? STORE_BUCKETS
                                                               : bucket;
        f->result->pinned += pinned;
        f->result->undated += undated;
    }
    free(factors);
    return 0;
}

/* ---- One page ------------------------------------------------------------------------------ */

/* The tokens of a page, in f->tokens; f->shrunk has room for as many. */
static int load(struct forget *f, const struct token_record *page, struct error *e) {
    struct token_record record;
    const struct token_header *h = &record.header;
    int rc = store_get_page(f->s, page->key, page->page, &record, e);
    if (rc == 0) {
        rc = error_set(e, ERR_FORMAT, "has no journal entry: occ store verify");
    }
    int64_t rows = rc > 0 ? (int64_t)h->rows * h->columns : 0;
    if (rc > 0) {
        rc = buffer_reserve(&f->tokens, (size_t)rows * h->dim, sizeof(float), e);
    }
    if (rc == 0) {
        rc = buffer_reserve(&f->shrunk, (size_t)rows * h->dim, sizeof(float), e);
    }
    if (rc == 0) {
        rc = codec_unpack(f->codec, f->tokens.data, h->codec, record.payload, h->payload, rows,
                          h->dim, e);
    }
    return rc < 0 ? error_context(e, "%s page %d", page->key, page->page) : 0;
}

/* Means of means, where the page is means already. */
static bool pool(struct forget *f, const struct aging *page) {
    const struct token_header *h = &page->record.header;
    int rows = h->rows, columns = h->columns;
    bool is_means = h->bucket > 0 && h->shrunk_by == SHRINK_POOL;
    if (f->options->shrink != NULL && !is_means) {
        return false;
    }
    memcpy(f->shrunk.data, f->tokens.data, (size_t)rows * (size_t)columns * h->dim * sizeof(float));
    for (int step = h->bucket; step < page->bucket; step++) {
        forget_pool(f->shrunk.data, &rows, &columns, h->dim);
    }
    return true;
}

/* The tokens of the smaller grid, in f->shrunk, and what made them: 1; 0: they cannot be made. */
static int shrink(struct forget *f, const struct aging *page, int rows, int columns,
                  uint8_t *shrunk_by, struct error *e) {
    const struct forget_operator *op = f->options->shrink;
    int done = op != NULL ? op->shrink(op->context, &page->record, f->tokens.data, rows, columns,
                                       f->shrunk.data, e)
                          : 0;
    if (done != 0) {
        *shrunk_by = (uint8_t)op->shrunk_by;
        return done;
    }
    *shrunk_by = SHRINK_POOL;
    f->result->unshrinkable += op != NULL;
    return pool(f, page);
}

/* A page that cannot be made smaller goes back to the bucket that it was in. */
static int shrink_page(struct forget *f, struct aging *page, struct error *e) {
    struct token_header header = page->record.header;
    int rows = header.rows, columns = header.columns;
    forget_grid(&rows, &columns, page->bucket - header.bucket);
    int rc = load(f, &page->record, e);
    if (rc == 0) {
        rc = shrink(f, page, rows, columns, &header.shrunk_by, e);
    }
    if (rc <= 0) {
        page->bucket = header.bucket;
        f->result->left += rc == 0;
        return rc;
    }
    bytes_clear(&f->payload);
    rc = codec_pack(f->codec, &f->payload, header.codec, f->shrunk.data, (int64_t)rows * columns,
                    header.dim, NULL, e);
    if (rc < 0) {
        return rc;
    }
    header.rows = (uint16_t)rows;
    header.columns = (uint16_t)columns;
    header.bucket = (uint8_t)page->bucket;
    f->result->bytes_after += (int64_t)f->payload.size - header.payload;
    return store_put_tokens(f->s, &page->record, &header, f->payload.data, f->payload.size, e);
}

/* Adds the mean of the page's tokens to the account's sum, with its share. */
static int add_to_style(struct forget *f, const struct aging *page, struct error *e) {
    const struct token_header *h = &page->record.header;
    int64_t rows = (int64_t)h->rows * h->columns;
    int rc = load(f, &page->record, e);
    if (rc == 0 && f->sum == NULL) {
        f->sum = calloc(h->dim, sizeof *f->sum);
        rc = f->sum != NULL ? 0 : error_memory(e, NULL);
    }
    if (rc < 0) {
        return rc;
    }
    const float *tokens = f->tokens.data;
    for (int64_t d = 0; d < h->dim; d++) {
        double sum = 0;
        for (int64_t r = 0; r < rows; r++) {
            sum += (double)tokens[r * h->dim + d];
        }
        f->sum[d] += page->share * sum / (double)rows;
    }
    f->account.dim = h->dim;
    f->account.folded_pages++;
    f->account.repeated += 1 - page->share;
    f->account.folded_characters += llround(page->share * h->characters);
    return 0;
}

static int fold_page(struct forget *f, const struct aging *page, struct error *e) {
    int64_t bytes = page->record.header.payload;
    int rc = page->share > 0 ? add_to_style(f, page, e) : 0;
    f->result->bytes_after -= bytes;
    f->result->removed_bytes += bytes;
    return rc == 0 ? store_remove_tokens(f->s, &page->record, e) : rc;
}

/* ---- What folded pages showed --------------------------------------------------------------- */

static int find_any(void *context, const struct token_record *record, struct error *e) {
    (void)record;
    (void)e;
    *(bool *)context = true;
    return 1;
}

/* The mark, and the texts too unless another page still shows the sample. */
static int forget_sample(struct forget *f, const char *key, struct error *e) {
    bool has_pages = false;
    int rc = store_mark_folded(f->s, key, e);
    f->result->removed_samples += rc > 0 && !stream_is_pack(key);
    if (rc >= 0) {
        rc = store_each_page(f->s, key, find_any, &has_pages, e);
    }
    if (rc < 0 || has_pages || f->options->keep_text ||
        (f->shown != NULL && table_find(f->shown, key, NULL))) {
        return rc < 0 ? rc : 0;
    }
    return store_forget_text(f->s, key, &f->result->removed_bytes, e);
}

static int forget_shown(struct forget *f, const char *key, struct error *e) {
    json_t *root;
    int rc = store_load_pack(f->s, key, &root, e);
    const json_t *samples = store_pack_samples(key, root), *name;
    size_t i;
    if (rc == 0) {
        rc = forget_sample(f, key, e);
    }
    json_array_foreach(samples, i, name) {
        if (rc == 0 && json_is_string(name)) {
            rc = forget_sample(f, json_string_value(name), e);
        }
    }
    json_decref(root);
    return rc;
}

/* The samples of packs that stay. */
static int list_shown(struct forget *f, struct error *e) {
    int rc = table_open(&f->shown, e);
    for (size_t i = 0; i < f->count && rc >= 0; i++) {
        const char *key = f->pages[i].record.key;
        if (f->pages[i].bucket == STORE_BUCKETS || !stream_is_pack(key)) {
            continue;
        }
        json_t *root;
        rc = store_load_pack(f->s, key, &root, e);
        const json_t *samples = store_pack_samples(key, root), *name;
        size_t k;
        json_array_foreach(samples, k, name) {
            if (rc >= 0 && json_is_string(name)) {
                rc = table_add(f->shown, json_string_value(name), 0, NULL, e);
            }
        }
        json_decref(root);
    }
    return rc < 0 ? rc : 0;
}

/* How much each page that is folded adds, as the marks were before the pass. */
static int weigh_pages(struct forget *f, struct error *e) {
    int rc = 0;
    bool packs = false;
    for (size_t i = 0; i < f->count && rc == 0; i++) {
        struct aging *page = &f->pages[i];
        if (page->bucket != STORE_BUCKETS) {
            continue;
        }
        int64_t shown, folded;
        json_t *root;
        rc = store_load_pack(f->s, page->record.key, &root, e);
        if (rc == 0) {
            rc = store_count_folded(f->s, page->record.key, root, &shown, &folded, e);
        }
        page->share = rc == 0 ? (double)(shown - folded) / (double)shown : 0;
        packs = packs || stream_is_pack(page->record.key);
        json_decref(root);
    }
    return rc == 0 && packs ? list_shown(f, e) : rc;
}

/* ---- An account, a store ------------------------------------------------------------------- */

static void count_page(struct forget *f, const struct aging *page) {
    struct forget_result *r = f->result;
    const struct token_header *h = &page->record.header;
    int rows = h->rows, columns = h->columns;
    r->pages++;
    r->tokens_before += (int64_t)rows * columns;
    r->bytes_before += h->payload;
    r->bytes_after += h->payload;
    if (page->bucket == STORE_BUCKETS) {
        r->folded++;
        return;
    }
    r->shrunk += page->bucket > h->bucket;
    forget_grid(&rows, &columns, page->bucket - h->bucket);
    r->tokens_after += (int64_t)rows * columns;
    r->bucket_pages[page->bucket]++;
    r->bucket_tokens[page->bucket] += (int64_t)rows * columns;
}

static int age_pages(struct forget *f, const char *account, struct error *e) {
    int had = store_get_account(f->s, account, &f->account, &f->sum, e);
    if (had < 0) {
        return had;
    }
    if (had == 0) {
        f->account = (struct account_header){.aged = 0};
    }
    int rc = weigh_pages(f, e);
    for (size_t i = 0; i < f->count && rc == 0; i++) {
        struct aging *page = &f->pages[i];
        if (page->bucket == STORE_BUCKETS) {
            rc = fold_page(f, page, e);
            if (rc == 0) {
                rc = forget_shown(f, page->record.key, e);
            }
        } else if (page->bucket > page->record.header.bucket) {
            rc = shrink_page(f, page, e);
        }
    }
    f->account.aged = f->options->now;
    if (rc == 0) {
        rc = store_put_account(f->s, account, &f->account, f->sum, e);
    }
    return rc == 0 ? store_commit(f->s, e) : rc;
}

static int forget_account(struct forget *f, const char *account, struct error *e) {
    f->count = 0;
    int rc = store_each(f->s, account, collect, f, e);
    if (rc == 0) {
        rc = choose_buckets(f, e);
    }
    if (rc == 0 && !f->options->dry_run) {
        rc = age_pages(f, account, e);
    }
    for (size_t i = 0; i < f->count && rc == 0; i++) {
        count_page(f, &f->pages[i]);
    }
    free(f->sum);
    table_close(f->shown);
    f->sum = NULL;
    f->shown = NULL;
    f->result->accounts++;
    return rc;
}

static int add_name(void *context, const char *account, struct error *e) {
    return bytes_append(context, account, strlen(account) + 1, e);
}

/* An account that somebody named. */
static int name_account(struct store *s, const char *account, struct bytes *names,
                        struct error *e) {
    struct account_header header;
    double *sum = NULL;
    bool found = false;
    int rc = store_get_account(s, account, &header, &sum, e);
    free(sum);
    if (rc == 0 && strchr(account, '/') == NULL) {
        rc = store_each(s, account, find_any, &found, e);
    }
    return rc < 0   ? rc
           : rc > 0 ? add_name(names, account, e)
                    : error_set(e, ERR_FORMAT, "%s: is not an account of the store", account);
}

int forget_run(struct store *s, const struct forget_options *options,
               const volatile sig_atomic_t *cancel, struct forget_result *result, struct error *e) {
    struct forget f = {.s = s, .options = options, .result = result};
    struct bytes names;
    *result = (struct forget_result){.accounts = 0};
    bytes_init(&names, STREAM_SAMPLE_LIMIT);
    bytes_init(&f.payload, STREAM_SAMPLE_LIMIT);
    bytes_init(&f.json, STREAM_MEMBER_LIMIT);
    int rc = codec_open(&f.codec, e);
    if (rc == 0) {
        rc = options->account != NULL ? name_account(s, options->account, &names, e)
                                      : store_each_account(s, add_name, &names, e);
    }
    const char *name = bytes_text(&names), *end = name + names.size;
    for (; rc == 0 && name < end; name += strlen(name) + 1) {
        rc = cancel != NULL && *cancel ? error_set(e, ERR_CANCELLED, "stopped by a signal")
                                       : forget_account(&f, name, e);
        progress_set((uint64_t)result->accounts);
    }
    codec_close(f.codec);
    bytes_close(&names);
    bytes_close(&f.payload);
    bytes_close(&f.json);
    free(f.pages);
    buffer_free(&f.tokens);
    buffer_free(&f.shrunk);
    return rc;
}

/* ---- The last pass ------------------------------------------------------------------------- */

struct passes {
    struct store *s;
    int64_t last;
};

static int note_pass(void *context, const char *account, struct error *e) {
    struct passes *p = context;
    struct account_header header;
    double *sum;
    int rc = store_get_account(p->s, account, &header, &sum, e);
    if (rc == 1 && header.aged > p->last) {
        p->last = header.aged;
    }
    free(sum);
    return rc < 0 ? rc : 0;
}

int forget_last_pass(struct store *s, int64_t *last, struct error *e) {
    struct passes p = {.s = s};
    int rc = store_each_account(s, note_pass, &p, e);
    *last = p.last;
    return rc;
}
