/* render_accounts.c - see render_accounts.h. */
#include "render/render_accounts.h"

#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "store/table.h"

struct account {
    struct render_account pages;
    size_t number; /* in the order in which they came first */
    struct sample_copy *first, **last;
    size_t count, bytes; /* of what waits */
    bool had_job, split;
};

struct accounts {
    size_t limit, held; /* bytes */
    accounts_put *put;
    void *context;
    struct arena *arena;    /* of the accounts, which stay where they are */
    struct table *numbers;  /* by name: the part of a key before the slash */
    struct account **items; /* all, by number; in the arena */
    size_t count, capacity;
    struct account **waiting; /* owned: those with samples; room for all */
    size_t waiting_count, waiting_capacity;
    struct account *current; /* of the last sample */
    char name[STREAM_KEY_BYTES];
    int64_t split;
};

int accounts_open(struct accounts **out, size_t limit, accounts_put *put, void *context,
                  struct error *e) {
    *out = NULL;
    struct accounts *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return error_memory(e, NULL);
    }
    *a = (struct accounts){.limit = limit, .put = put, .context = context};
    int rc = arena_open(&a->arena, SIZE_MAX, e);
    if (rc == 0) {
        rc = table_open(&a->numbers, e);
    }
    if (rc < 0) {
        accounts_close(a);
        return rc;
    }
    *out = a;
    return 0;
}

void accounts_close(struct accounts *a) {
    if (a == NULL) {
        return;
    }
    for (size_t i = 0; i < a->waiting_count; i++) {
        sample_copies_free(a->waiting[i]->first);
    }
    free(a->waiting);
    table_close(a->numbers);
    arena_close(a->arena);
    free(a);
}

int64_t accounts_split(const struct accounts *a) {
    return a->split;
}

/* ---- To jobs ------------------------------------------------------------------------- */

/* The account is not among those that wait any more. */
static int put_account(struct accounts *a, struct account *account, struct error *e) {
    struct render_job job = {.kind = JOB_PACK,
                             .samples = account->first,
                             .count = account->count,
                             .bytes = account->bytes,
                             .account = &account->pages,
                             .continues = account->had_job};
    a->held -= account->bytes;
    account->first = NULL;
    account->last = &account->first;
    account->count = account->bytes = 0;
    account->had_job = true;
    return a->put(a->context, job, e);
}

static int by_number(const void *x, const void *y) {
    const struct account *a = *(struct account *const *)x, *b = *(struct account *const *)y;
    return (a->number > b->number) - (a->number < b->number);
}

static int by_size(const void *x, const void *y) {
    const struct account *a = *(struct account *const *)x, *b = *(struct account *const *)y;
    return a->bytes != b->bytes ? (a->bytes < b->bytes) - (a->bytes > b->bytes) : by_number(x, y);
}

/* So that `bytes` more may wait. */
static int make_room(struct accounts *a, size_t bytes, struct error *e) {
    if (a->held + bytes <= a->limit || a->waiting_count == 0) {
        return 0;
    }
    size_t count = a->waiting_count, enough = a->limit - a->limit / 4;
    int rc = 0;
    qsort(a->waiting, count, sizeof(struct account *), by_size);
    a->waiting_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct account *account = a->waiting[i];
        bool goes = rc == 0 && account != a->current && a->held + bytes > enough;
        if (goes) {
            rc = put_account(a, account, e);
        } else {
            a->waiting[a->waiting_count++] = account;
        }
    }
    if (rc == 0 && a->waiting_count == 1 && a->held + bytes > a->limit) {
        a->waiting_count = 0; /* the current one */
        rc = put_account(a, a->waiting[0], e);
    }
    return rc;
}

int accounts_finish(struct accounts *a, struct error *e) {
    size_t count = a->waiting_count, kept = 0;
    int rc = 0;
    if (count > 0) {
        qsort(a->waiting, count, sizeof(struct account *), by_number);
    }
    for (size_t i = 0; i < count; i++) {
        if (rc == 0) {
            rc = put_account(a, a->waiting[i], e);
        } else {
            a->waiting[kept++] = a->waiting[i];
        }
    }
    a->waiting_count = kept;
    return rc;
}

/* ---- From samples -------------------------------------------------------------------- */

static int new_account(struct accounts *a, struct error *e) {
    void *items = a->items;
    int rc = arena_grow(a->arena, &items, a->count, &a->capacity, sizeof(struct account *), e);
    a->items = items;
    struct account *account = rc == 0 ? arena_alloc(a->arena, 1, sizeof *account) : NULL;
    if (account == NULL) {
        return rc < 0 ? rc : error_memory(e, NULL);
    }
    *account = (struct account){.number = a->count};
    account->last = &account->first;
    a->items[a->count++] = account;
    return 0;
}

/* Makes the account of `key` the current one. */
static int find_account(struct accounts *a, const char *key, struct error *e) {
    size_t size = stream_account_size(key), number = 0;
    if (a->current != NULL && strlen(a->name) == size && memcmp(a->name, key, size) == 0) {
        return 0;
    }
    memcpy(a->name, key, size); /* keys are shorter than STREAM_KEY_BYTES */
    a->name[size] = 0;
    int rc = table_add(a->numbers, a->name, a->count, &number, e);
    if (rc > 0) {
        rc = new_account(a, e);
    }
    if (rc < 0) {
        a->current = NULL;
        return rc;
    }
    a->current = a->items[number];
    a->split += a->current->had_job && !a->current->split;
    a->current->split = a->current->had_job;
    return 0;
}

static int reserve(struct accounts *a, struct error *e) {
    struct account **waiting =
        array_grow(a->waiting, &a->waiting_capacity, a->waiting_count + 1, sizeof *waiting, e);
    a->waiting = waiting != NULL ? waiting : a->waiting;
    return waiting != NULL ? 0 : ERR_MEMORY;
}

int accounts_add(struct accounts *a, struct sample_copy *sample, struct error *e) {
    int rc = find_account(a, sample->sample.key, e);
    if (rc == 0) {
        rc = make_room(a, sample->bytes, e);
    }
    if (rc == 0) {
        rc = reserve(a, e);
    }
    if (rc < 0) {
        free(sample);
        return rc;
    }
    struct account *account = a->current;
    if (account->count == 0) {
        a->waiting[a->waiting_count++] = account;
    }
    *account->last = sample;
    account->last = &sample->next;
    account->count++;
    account->bytes += sample->bytes;
    a->held += sample->bytes;
    return 0;
}
