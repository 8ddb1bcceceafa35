/* forget.c - a pass over a store: see forget.h. */
#include "store/forget.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/json.h"
#include "store/log.h"

/* A page of the account in hand. */
struct aging {
    struct token_record record; /* without its payload */
    double reactions;
    int bucket; /* where it belongs now; STORE_BUCKETS: folded */
};

struct forget {
    struct store *s;
    const struct forget_options *options;
    struct forget_result *result;
    struct codec_state *codec;
    struct bytes payload, json;
    float *tokens, *shrunk; /* of a page */
    size_t tokens_size;
    struct aging *pages;
    size_t count, capacity;
    struct account_header account;
    double *sum; /* of the account; NULL while nothing was folded */
};

/* ---- The pages of an account ----------------------------------------------------------- */

static int collect(void *context, const struct token_record *record, struct error *e) {
    struct forget *f = context;
    if (f->count == f->capacity) {
        size_t capacity = f->capacity > 0 ? 2 * f->capacity : 256;
        struct aging *grown = realloc(f->pages, capacity * sizeof *grown);
        if (grown == NULL) {
            return error_set(e, ERR_MEMORY, "out of memory");
        }
        f->pages = grown;
        f->capacity = capacity;
    }
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
    const json_t *samples = json_object_get(root, "samples"), *name;
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
        return error_set(e, ERR_MEMORY, "out of memory");
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
        int rc =
            factors != NULL ? scale_ages(f, factors, e) : error_set(e, ERR_MEMORY, "out of memory");
        if (rc < 0) {
            free(factors);
            return rc;
        }
    }
    for (size_t i = 0; i < f->count; i++) {
        struct aging *page = &f->pages[i];
        const struct token_header *h = &page->record.header;
        double age = (double)o->now - (double)h->created;
        age = factors != NULL ? age * factors[i] : age;
        int bucket = age <= 0 ? 0 : forget_bucket(age < 9e18 ? (int64_t)age : INT64_MAX, o->tau);
        bool pinned = (h->flags & TOKEN_PINNED) != 0;
        page->bucket = pinned || bucket < h->bucket ? h->bucket
                       : bucket > o->buckets        ? STORE_BUCKETS
                                                    : bucket;
        f->result->pinned += pinned;
    }
    free(factors);
    return 0;
}

/* ---- One page ------------------------------------------------------------------------------ */

struct loading {
    struct forget *f;
    int page;
    bool found;
};

static int load_page(void *context, const struct token_record *record, struct error *e) {
    struct loading *l = context;
    struct forget *f = l->f;
    const struct token_header *h = &record->header;
    int64_t rows = (int64_t)h->rows * h->columns;
    size_t count = (size_t)rows * h->dim;
    if (record->page != l->page) {
        return 0;
    }
    if (count > f->tokens_size) {
        free(f->tokens);
        free(f->shrunk);
        f->tokens_size = 0;
        f->tokens = malloc(count * sizeof *f->tokens);
        f->shrunk = malloc(count * sizeof *f->shrunk);
        if (f->tokens == NULL || f->shrunk == NULL) {
            return error_set(e, ERR_MEMORY, "out of memory");
        }
        f->tokens_size = count;
    }
    l->found = true;
    return codec_unpack(f->codec, f->tokens, h->codec, record->payload, h->payload, rows, h->dim,
                        e);
}

static int load(struct forget *f, const struct token_record *record, struct error *e) {
    struct loading l = {.f = f, .page = record->page};
    int rc = store_each_page(f->s, record->key, load_page, &l, e);
    if (rc < 0) {
        return error_context(e, "%s page %d", record->key, record->page);
    }
    return l.found ? 0
                   : error_set(e, ERR_FORMAT, "%s page %d: has no journal entry: occ store verify",
                               record->key, record->page);
}

/* The tokens of the smaller grid, in f->shrunk, and what made them. */
static int shrink(struct forget *f, const struct aging *page, int rows, int columns,
                  uint8_t *shrunk_by, struct error *e) {
    const struct token_header *h = &page->record.header;
    const struct forget_operator *op = f->options->shrink;
    int done = op != NULL
                   ? op->shrink(op->context, &page->record, f->tokens, rows, columns, f->shrunk, e)
                   : 0;
    *shrunk_by = (uint8_t)(done > 0 ? op->shrunk_by : SHRINK_POOL);
    if (done != 0) {
        return done < 0 ? done : 0;
    }
    f->result->unshrinkable += op != NULL;
    int h_now = h->rows, w_now = h->columns;
    memcpy(f->shrunk, f->tokens, (size_t)h_now * (size_t)w_now * h->dim * sizeof *f->tokens);
    for (int step = h->bucket; step < page->bucket; step++) {
        forget_pool(f->shrunk, &h_now, &w_now, h->dim);
    }
    return 0;
}

static int shrink_page(struct forget *f, const struct aging *page, struct error *e) {
    struct token_header header = page->record.header;
    int rows = header.rows, columns = header.columns;
    forget_grid(&rows, &columns, page->bucket - header.bucket);
    int rc = load(f, &page->record, e);
    if (rc == 0) {
        rc = shrink(f, page, rows, columns, &header.shrunk_by, e);
    }
    bytes_clear(&f->payload);
    if (rc == 0) {
        rc = codec_pack(f->codec, &f->payload, header.codec, f->shrunk, (int64_t)rows * columns,
                        header.dim, NULL, e);
    }
    if (rc < 0) {
        return rc;
    }
    header.rows = (uint16_t)rows;
    header.columns = (uint16_t)columns;
    header.bucket = (uint8_t)page->bucket;
    f->result->bytes_after += (int64_t)f->payload.size - header.payload;
    return store_put_tokens(f->s, &page->record, &header, f->payload.data, f->payload.size, e);
}

/* Adds the mean of the page's tokens to the account's sum. */
static int fold_page(struct forget *f, const struct aging *page, struct error *e) {
    const struct token_header *h = &page->record.header;
    int64_t rows = (int64_t)h->rows * h->columns;
    int rc = load(f, &page->record, e);
    if (rc == 0 && f->sum == NULL) {
        f->sum = calloc(h->dim, sizeof *f->sum);
        rc = f->sum != NULL ? 0 : error_set(e, ERR_MEMORY, "out of memory");
    }
    if (rc < 0) {
        return rc;
    }
    for (int64_t d = 0; d < h->dim; d++) {
        double sum = 0;
        for (int64_t r = 0; r < rows; r++) {
            sum += (double)f->tokens[r * h->dim + d];
        }
        f->sum[d] += sum / (double)rows;
    }
    f->account.dim = h->dim;
    f->account.folded_pages++;
    f->account.folded_characters += h->characters;
    f->result->bytes_after -= h->payload;
    return store_remove_tokens(f->s, &page->record, e);
}

static int find_any(void *context, const struct token_record *record, struct error *e) {
    (void)record;
    (void)e;
    *(bool *)context = true;
    return 1;
}

/* A sample whose pages are all folded gives up its texts; so do those that a pack held. */
static int forget_texts(struct forget *f, const char *key, struct error *e) {
    bool has_pages = false;
    int rc = store_each_page(f->s, key, find_any, &has_pages, e);
    if (rc < 0 || has_pages || f->options->keep_text) {
        return rc < 0 ? rc : 0;
    }
    json_t *root = read_sample(f, key);
    const json_t *samples = json_object_get(root, "samples"), *name;
    size_t i;
    rc = store_forget_text(f->s, key, e);
    json_array_foreach(samples, i, name) {
        if (rc == 0 && json_is_string(name)) {
            rc = store_forget_text(f->s, json_string_value(name), e);
        }
    }
    json_decref(root);
    return rc;
}

/* ---- An account, a store ------------------------------------------------------------------------
 */

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
    int rc = 0;
    for (size_t i = 0; i < f->count && rc == 0; i++) {
        const struct aging *page = &f->pages[i];
        if (page->bucket == STORE_BUCKETS) {
            rc = fold_page(f, page, e);
            rc = rc == 0 ? forget_texts(f, page->record.key, e) : rc;
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
    for (size_t i = 0; i < f->count && rc == 0; i++) {
        count_page(f, &f->pages[i]);
    }
    if (rc == 0 && !f->options->dry_run) {
        rc = age_pages(f, account, e);
    }
    free(f->sum);
    f->sum = NULL;
    f->result->accounts++;
    return rc;
}

static int add_name(void *context, const char *account, struct error *e) {
    return bytes_append(context, account, strlen(account) + 1, e);
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
        rc = options->account != NULL ? add_name(&names, options->account, e)
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
    free(f.tokens);
    free(f.shrunk);
    return rc;
}

/* ---- Pins
 * ---------------------------------------------------------------------------------------- */

int forget_pin(struct store *s, const char *key, bool pinned, struct error *e) {
    struct forget f = {.s = s};
    int rc = store_has(s, key, e);
    if (rc <= 0) {
        return rc;
    }
    rc = store_each_page(s, key, collect, &f, e);
    for (size_t i = 0; i < f.count && rc == 0; i++) {
        uint8_t flags = f.pages[i].record.header.flags;
        flags = (uint8_t)(pinned ? flags | TOKEN_PINNED : flags & ~TOKEN_PINNED);
        rc = store_put_flags(s, &f.pages[i].record, flags, e);
    }
    free(f.pages);
    rc = rc == 0 ? store_commit(s, e) : rc;
    return rc == 0 ? 1 : rc;
}
