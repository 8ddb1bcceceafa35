/* forget.c - a pass over a store: see forget.h. */
#include "store/forget.h"

#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "store/facts.h"
#include "store/forget_state.h"
#include "store/json.h"
#include "store/log.h"
#include "store/texts.h"

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
            rc = forget_fold(f, page, e);
            if (rc == 0) {
                rc = forget_shown(f, page->record.key, e);
            }
        } else if (page->bucket > page->record.header.bucket) {
            rc = forget_shrink(f, page, e);
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
        rc = forget_choose(f, e);
    }
    if (rc == 0 && !f->options->dry_run) {
        rc = age_pages(f, account, e);
    }
    for (size_t i = 0; i < f->count && rc == 0; i++) {
        forget_count(f, &f->pages[i]);
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

static void close_pass(struct forget *f) {
    codec_close(f->codec);
    learned_close(&f->learned);
    bytes_close(&f->payload);
    bytes_close(&f->json);
    bytes_close(&f->text);
    bytes_close(&f->facts);
    free(f->pages);
    buffer_free(&f->tokens);
    buffer_free(&f->shrunk);
}

int forget_run(struct store *s, const struct forget_options *options,
               const volatile sig_atomic_t *cancel, struct forget_result *result, struct error *e) {
    struct forget f = {.s = s, .options = options, .result = result};
    struct bytes names;
    *result = (struct forget_result){.accounts = 0};
    bytes_init(&names, STREAM_SAMPLE_LIMIT);
    bytes_init(&f.payload, STREAM_SAMPLE_LIMIT);
    bytes_init(&f.json, STREAM_MEMBER_LIMIT);
    bytes_init(&f.text, TEXT_LIMIT);
    bytes_init(&f.facts, FACTS_MOST);
    int rc = codec_open(&f.codec, e);
    if (rc == 0) {
        rc = learned_open(&f.learned, s, e);
    }
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
    bytes_close(&names);
    close_pass(&f);
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
