/* encode_pool.c - see encode_pool.h. */
#include "compress/encode_pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "compress/encode_pack.h"
#include "compress/encode_plan.h"
#include "store/clock.h"

#define BATCH_SECONDS 1.0 /* that a batch waits for more pages */

/* Pages that are encoded together. */
struct encode_batch {
    struct encode_batch *next;
    int count, loading, loaded; /* pages: in it, begun to load, loaded */
    double area, opened;        /* in pages of 1024 x 1024; when, seconds */
    struct loaded_page pages[];
};

enum duty { LOADS = 1, ENCODES = 2, PACKS = 4 };

struct encode_thread {
    struct encode_pool *pool;
    unsigned duties;
    pthread_t id;
    /* what it works with: */
    int rc; /* why it cannot */
    struct error error;
    struct page_encoder *encoder;
    struct encode_packer packer;
};

struct encode_pool {
    struct encode_options o;
    struct encode_plan plan;
    struct page_rules rules;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    struct encode_job *first, **last; /* in the order they came */
    size_t bytes;
    struct encode_batch *batches, **last_batch; /* to be encoded */
    struct encode_batch *open;                  /* the last of them while it takes pages */
    struct encode_job *unpacked, **last_unpacked;
    bool ending;
    struct encode_thread *threads;
    int thread_count;
};

void encode_job_free(struct encode_job *job) {
    if (job == NULL) {
        return;
    }
    for (int i = 0; i < job->page_count; i++) {
        encoded_page_close(&job->pages[i]);
    }
    bytes_close(&job->packed);
    free(job->stored);
    free(job);
}

static void batch_free(struct encode_batch *b) {
    for (int i = 0; i < b->count; i++) {
        loaded_page_close(&b->pages[i]);
    }
    free(b);
}

/* ---- Batches: with the lock held ------------------------------------------------------------- */

static void close_batch(struct encode_pool *pool) {
    pool->open = NULL;
    pthread_cond_broadcast(&pool->work);
}

static int open_batch(struct encode_pool *pool, struct error *e) {
    struct encode_batch *b = NULL;
    b = calloc(1, sizeof *b + (size_t)pool->plan.pages * sizeof *b->pages);
    if (b == NULL) {
        return error_memory(e, "pages");
    }
    b->opened = clock_seconds();
    *pool->last_batch = b;
    pool->last_batch = &b->next;
    pool->open = b;
    return 0;
}

static int add_page(struct encode_pool *pool, struct encode_job *job, int i, struct error *e) {
    int rc = pool->open == NULL ? open_batch(pool, e) : 0;
    if (rc < 0) {
        return rc;
    }
    struct encode_batch *b = pool->open;
    b->pages[b->count++] = (struct loaded_page){.page = &job->pages[i], .owner = job};
    b->area += encode_plan_area(job->pages[i].mode);
    if (b->count == pool->plan.pages || b->area >= pool->plan.area) {
        close_batch(pool);
    }
    return 0;
}

/* The first whose pages are all there and loaded. */
static struct encode_batch *take_batch(struct encode_pool *pool) {
    for (struct encode_batch **link = &pool->batches; *link != NULL; link = &(*link)->next) {
        struct encode_batch *b = *link;
        if (b != pool->open && b->loaded == b->count) {
            *link = b->next;
            if (pool->last_batch == &b->next) {
                pool->last_batch = link;
            }
            return b;
        }
    }
    return NULL;
}

/* One with pages to load, if it is not too far ahead of what is encoded. */
static struct encode_batch *find_unloaded(struct encode_pool *pool) {
    int ahead = pool->plan.ahead;
    for (struct encode_batch *b = pool->batches; b != NULL && ahead-- > 0; b = b->next) {
        if (b->loading < b->count) {
            return b;
        }
    }
    return NULL;
}

/* ---- Pieces of work: the lock is held, but not while they are done ------------------------------
 */

static bool load_page(struct encode_pool *pool) {
    struct encode_batch *b = find_unloaded(pool);
    if (b == NULL) {
        return false;
    }
    struct loaded_page *page = &b->pages[b->loading++];
    pthread_mutex_unlock(&pool->lock);
    page_load(page, &pool->rules);
    pthread_mutex_lock(&pool->lock);
    b->loaded++;
    pthread_cond_broadcast(&pool->work);
    return true;
}

static bool encode_batch(struct encode_pool *pool, struct encode_thread *t) {
    struct encode_batch *b = take_batch(pool);
    if (b == NULL) {
        return false;
    }
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < b->count && t->rc < 0; i++) {
        b->pages[i].page->rc = t->rc;
        b->pages[i].page->error = t->error;
    }
    if (t->rc == 0) {
        pages_encode(t->encoder, b->pages, b->count);
    }
    pthread_mutex_lock(&pool->lock);
    for (int i = 0; i < b->count; i++) {
        struct encode_job *job = b->pages[i].owner;
        if (++job->encoded == job->page_count) {
            *pool->last_unpacked = job;
            pool->last_unpacked = &job->next_unpacked;
        }
    }
    batch_free(b);
    pthread_cond_broadcast(&pool->work);
    return true;
}

static bool pack_job(struct encode_pool *pool, struct encode_thread *t) {
    struct encode_job *job = pool->unpacked;
    if (job == NULL) {
        return false;
    }
    pool->unpacked = job->next_unpacked;
    if (pool->unpacked == NULL) {
        pool->last_unpacked = &pool->unpacked;
    }
    pthread_mutex_unlock(&pool->lock);
    if (t->rc == 0) {
        const int64_t dim = encoder_config(pool->o.encoder)->token_dim;
        job->rc = encode_pack(job, &t->packer, pool->o.codec, dim, &job->error);
    } else {
        job->rc = t->rc;
        job->error = t->error;
    }
    pthread_mutex_lock(&pool->lock);
    job->done = true;
    pthread_cond_broadcast(&pool->done);
    return true;
}

/* ---- Threads ------------------------------------------------------------------------------- */

/* Until there is something new to do. A batch that waits for pages is closed after a while. */
static void wait_for_work(struct encode_pool *pool) {
    if (pool->open == NULL) {
        pthread_cond_wait(&pool->work, &pool->lock);
        return;
    }
    const double until = pool->open->opened + BATCH_SECONDS;
    if (clock_seconds() >= until) {
        close_batch(pool);
        return;
    }
    const time_t seconds = (time_t)until;
    const struct timespec when = {.tv_sec = seconds,
                                  .tv_nsec = (long)((until - (double)seconds) * 1e9)};
    pthread_cond_timedwait(&pool->work, &pool->lock, &when);
}

/* What is nearest to its end comes first. */
static void work_until_end(struct encode_pool *pool, struct encode_thread *t) {
    pthread_mutex_lock(&pool->lock);
    while (!pool->ending) {
        const bool worked = ((t->duties & PACKS) != 0 && pack_job(pool, t)) ||
                            ((t->duties & ENCODES) != 0 && encode_batch(pool, t)) ||
                            ((t->duties & LOADS) != 0 && load_page(pool));
        if (!worked) {
            wait_for_work(pool);
        }
    }
    pthread_mutex_unlock(&pool->lock);
}

/* A thread that cannot begin fails what it would have done. */
static void *run_thread(void *argument) {
    struct encode_thread *t = argument;
    const struct encode_options *o = &t->pool->o;
    if ((t->duties & ENCODES) != 0) {
        t->rc = page_encoder_open(&t->encoder, o->encoder, t->pool->plan.memory, &t->error);
    }
    if (t->rc == 0 && (t->duties & PACKS) != 0) {
        t->rc = encode_packer_open(&t->packer, o, &t->error);
    }
    work_until_end(t->pool, t);
    encode_packer_close(&t->packer);
    page_encoder_close(t->encoder);
    return NULL;
}

/* `count` threads, or at least one. */
static int start(struct encode_pool *pool, unsigned duties, int count, struct error *e) {
    for (int i = 0; i < count; i++) {
        struct encode_thread *t = &pool->threads[pool->thread_count];
        *t = (struct encode_thread){.pool = pool, .duties = duties};
        int code = pthread_create(&t->id, NULL, run_thread, t);
        if (code != 0) {
            return i > 0 ? 0 : error_errno(e, code, "cannot start a thread");
        }
        pool->thread_count++;
    }
    return 0;
}

static int start_all(struct encode_pool *pool, struct error *e) {
    const struct encode_plan *plan = &pool->plan;
    const int all = plan->encoding + plan->packing + plan->loading;
    pool->threads = calloc((size_t)all, sizeof *pool->threads);
    if (pool->threads == NULL) {
        return error_memory(e, "threads");
    }
    if (plan->packing == 0) {
        return start(pool, LOADS | ENCODES | PACKS, plan->encoding, e);
    }
    int rc = start(pool, ENCODES, plan->encoding, e);
    if (rc == 0) {
        rc = start(pool, LOADS | PACKS, plan->packing, e);
    }
    return rc == 0 ? start(pool, LOADS, plan->loading, e) : rc;
}

/* ---- Opening and closing ------------------------------------------------------------------- */

static void open_conditions(struct encode_pool *pool) {
    pthread_condattr_t forward; /* as clock_seconds */
    pthread_condattr_init(&forward);
    pthread_condattr_setclock(&forward, CLOCK_MONOTONIC);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, &forward);
    pthread_cond_init(&pool->done, NULL);
    pthread_condattr_destroy(&forward);
}

int encode_pool_open(struct encode_pool **out, const struct encode_options *o, struct error *e) {
    *out = NULL;
    struct encode_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL) {
        return error_memory(e, NULL);
    }
    pool->o = *o;
    pool->rules = page_rules_of(o->encoder);
    pool->last = &pool->first;
    pool->last_batch = &pool->batches;
    pool->last_unpacked = &pool->unpacked;
    open_conditions(pool);
    int rc = encode_plan_make(&pool->plan, o, e);
    if (rc == 0) {
        rc = start_all(pool, e);
    }
    if (rc < 0) {
        encode_pool_close(pool);
        return rc;
    }
    *out = pool;
    return 0;
}

void encode_pool_close(struct encode_pool *pool) {
    if (pool == NULL) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->thread_count; i++) {
        pthread_join(pool->threads[i].id, NULL);
    }
    while (pool->batches != NULL) {
        struct encode_batch *first = pool->batches;
        pool->batches = first->next;
        batch_free(first);
    }
    while (pool->first != NULL) {
        struct encode_job *first = pool->first;
        pool->first = first->next;
        encode_job_free(first);
    }
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->done);
    free(pool->threads);
    free(pool);
}

/* ---- The queue -------------------------------------------------------------------------- */

int encode_pool_push(struct encode_pool *pool, struct encode_job *job, struct error *e) {
    int rc = 0;
    pthread_mutex_lock(&pool->lock);
    job->next = NULL;
    *pool->last = job;
    pool->last = &job->next;
    pool->bytes += job->bytes;
    job->done = job->page_count == 0;
    for (int i = 0; i < job->page_count && rc == 0; i++) {
        rc = add_page(pool, job, i, e);
    }
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    return rc;
}

/* Waits until the oldest sample is done; nobody pushes meanwhile. */
static void wait_for_first(struct encode_pool *pool) {
    while (!pool->first->done) {
        if (pool->open != NULL && pool->open->pages[0].owner == pool->first) {
            close_batch(pool);
        }
        pthread_cond_wait(&pool->done, &pool->lock);
    }
}

struct encode_job *encode_pool_pop(struct encode_pool *pool, bool wait) {
    pthread_mutex_lock(&pool->lock);
    struct encode_job *first = pool->first;
    if (wait && first != NULL) {
        wait_for_first(pool);
    }
    if (first != NULL && !first->done) {
        first = NULL;
    }
    if (first != NULL) {
        pool->first = first->next;
        if (pool->first == NULL) {
            pool->last = &pool->first;
        }
        pool->bytes -= first->bytes;
    }
    pthread_mutex_unlock(&pool->lock);
    return first;
}

size_t encode_pool_bytes(struct encode_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    size_t bytes = pool->bytes;
    pthread_mutex_unlock(&pool->lock);
    return bytes;
}
