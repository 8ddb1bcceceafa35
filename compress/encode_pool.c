/* encode_pool.c - see encode_pool.h. */
#include "compress/encode_pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "compress/readback.h"

enum { THREADS = 256 };

struct encode_pool {
    const struct encoder *encoder;
    const struct reader *reader; /* NULL: nothing is read back */
    const struct alphabet *alphabet;
    enum codec codec;
    int batch;
    pthread_mutex_t lock;
    pthread_cond_t pushed, done;
    struct encode_job *first, **last; /* in the order they came */
    size_t bytes;
    bool ending;
    pthread_t threads[THREADS];
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

/* ---- Packing ----------------------------------------------------------------------- */

/* The state of a thread. */
struct encode_worker {
    struct page_encoder *encoder;
    struct codec_state *codec;
    struct readback *readback; /* NULL: nothing is read back */
    const struct alphabet *alphabet;
};

/* The share of the page's text that can be read from the packed tokens; text NULL: of a picture,
 * whose text nobody knows. */
static int measure(struct encode_job *job, struct encode_worker *worker, struct store_page *stored,
                   const void *payload, int64_t dim, const char *text, size_t size,
                   struct error *e) {
    const struct token_header header = {.codec = (uint8_t)stored->codec,
                                        .rows = (uint16_t)stored->rows,
                                        .columns = (uint16_t)stored->columns,
                                        .full_rows = (uint16_t)stored->rows,
                                        .full_columns = (uint16_t)stored->columns,
                                        .dim = (uint16_t)dim,
                                        .payload = (uint32_t)stored->size,
                                        .layout = stored->layout};
    struct readback_page page;
    double share;
    if (text != NULL && size == 0) {
        return 0;
    }
    int rc = readback_record(worker->readback, &header, payload, &page, e);
    if (rc == 0) {
        legibility_read(&job->legibility, job->key, stored->page, &page);
        rc = readback_compare(&page, text, size, &share, e);
    }
    stored->accuracy = rc == 0 && text != NULL ? token_accuracy(share) : 0;
    return rc;
}

static uint8_t layout_of(const struct encoded_page *page) {
    bool two = PAGE_SIZES[page->mode].column_offsets == 2;
    return page->cells ? (uint8_t)(TOKEN_CELLS | (two ? TOKEN_TWO_OFFSETS : 0)) : 0;
}

/* text: of the page. */
static int pack_view(struct encode_job *job, struct encode_worker *worker, enum codec codec,
                     int64_t dim, const struct encoded_page *from, const struct page_view *view,
                     const char *text, size_t text_size, struct error *e) {
    size_t begin = job->packed.size;
    struct store_page *page = &job->stored[job->stored_count];
    int rc = codec_pack(worker->codec, &job->packed, codec, view->tokens,
                        (int64_t)view->rows * view->columns, dim, &job->loss, e);
    *page = (struct store_page){.page = (int)job->stored_count,
                                .rows = view->rows,
                                .columns = view->columns,
                                .layout = layout_of(from),
                                .codec = codec,
                                .size = job->packed.size - begin};
    if (rc == 0 && worker->readback != NULL) {
        rc = measure(job, worker, page, job->packed.data + begin, dim, text, text_size, e);
    }
    job->stored_count += rc == 0;
    return rc;
}

/* All pages of a sample, whose tokens are then no longer needed. */
static int pack_all(struct encode_job *job, struct encode_worker *worker, enum codec codec,
                    int64_t dim, struct error *e) {
    const char *text = job->text, *end = job->text + job->text_size;
    int rc = 0;
    bytes_init(&job->packed, (size_t)4 << 30);
    job->stored = calloc((size_t)job->page_count * VIEWS + 1, sizeof *job->stored);
    if (job->stored == NULL) {
        return error_memory(e, NULL);
    }
    for (int i = 0; i < job->page_count && rc == 0; i++) {
        struct encoded_page *page = &job->pages[i];
        size_t first = job->stored_count, text_size;
        if (page->rc < 0) {
            *e = page->error;
            return error_context(e, "page %d", i);
        }
        text = store_text_page(text, (size_t)(end - text), 0, &text_size);
        legibility_text(&job->legibility, worker->alphabet, job->key, i, text, text_size);
        bool loose = !page->exact && page->mode != MODE_GUNDAM; /* gundam: too small to read */
        for (int j = 0; j < page->view_count && rc == 0; j++) {
            rc = pack_view(job, worker, codec, dim, page, &page->views[j], loose ? NULL : text,
                           text_size, e);
        }
        job->stored[first].characters = job->characters[i];
        text += text_size + (text + text_size < end); /* past the form feed */
        encoded_page_close(page);
    }
    const unsigned char *at = job->packed.data; /* does not move any more */
    for (size_t i = 0; i < job->stored_count; i++) {
        job->stored[i].payload = at;
        at += job->stored[i].size;
    }
    return rc;
}

/* ---- Threads ------------------------------------------------------------------------- */

/* Takes up to a batch of pages that follow each other in one sample or several. */
static int take_pages(struct encode_pool *pool, struct encoded_page **pages,
                      struct encode_job **owners) {
    int count = 0;
    for (struct encode_job *it = pool->first; it != NULL && count < pool->batch; it = it->next) {
        while (it->taken < it->page_count && count < pool->batch) {
            owners[count] = it;
            pages[count++] = &it->pages[it->taken++];
        }
    }
    return count;
}

/* Pages are encoded; samples whose last page that was are packed. Called with the lock held. */
static void finish_pages(struct encode_pool *pool, struct encode_worker *worker,
                         struct encode_job *const *owners, int count) {
    for (int i = 0; i < count; i++) {
        struct encode_job *it = owners[i];
        if (it->done + 1 < it->page_count) {
            it->done++;
            continue;
        }
        pthread_mutex_unlock(&pool->lock); /* nobody else has pages of this sample any more */
        it->rc =
            pack_all(it, worker, pool->codec, encoder_config(pool->encoder)->token_dim, &it->error);
        pthread_mutex_lock(&pool->lock);
        it->done++;
        pthread_cond_broadcast(&pool->done);
    }
}

static void encode_until_end(struct encode_pool *pool, struct encode_worker *worker) {
    struct encoded_page *pages[PAGES_BATCH];
    struct encode_job *owners[PAGES_BATCH];
    pthread_mutex_lock(&pool->lock);
    while (!pool->ending) {
        int count = take_pages(pool, pages, owners);
        if (count == 0) {
            pthread_cond_wait(&pool->pushed, &pool->lock);
            continue;
        }
        pthread_mutex_unlock(&pool->lock);
        pages_encode(worker->encoder, pages, count);
        pthread_mutex_lock(&pool->lock);
        finish_pages(pool, worker, owners, count);
    }
    pthread_mutex_unlock(&pool->lock);
}

/* A thread that cannot begin fails all pages that it would have encoded. */
static void fail_until_end(struct encode_pool *pool, int rc, const struct error *e) {
    struct encoded_page *page;
    struct encode_job *owner;
    pthread_mutex_lock(&pool->lock);
    while (!pool->ending) {
        int batch = pool->batch;
        pool->batch = 1;
        int count = take_pages(pool, &page, &owner);
        pool->batch = batch;
        if (count == 0) {
            pthread_cond_wait(&pool->pushed, &pool->lock);
            continue;
        }
        page->rc = rc;
        page->error = *e;
        owner->rc = rc;
        owner->error = *e;
        owner->done++;
        pthread_cond_broadcast(&pool->done);
    }
    pthread_mutex_unlock(&pool->lock);
}

static void *run_thread(void *argument) {
    struct encode_pool *pool = argument;
    struct encode_worker worker = {.alphabet = pool->alphabet};
    struct error e = {0};
    int rc = page_encoder_open(&worker.encoder, pool->encoder, &e);
    if (rc == 0) {
        rc = codec_open(&worker.codec, &e);
    }
    if (rc == 0 && pool->reader != NULL) {
        rc = readback_open(&worker.readback, pool->reader, &e);
    }
    if (rc == 0) {
        encode_until_end(pool, &worker);
    } else {
        fail_until_end(pool, rc, &e);
    }
    readback_close(worker.readback);
    codec_close(worker.codec);
    page_encoder_close(worker.encoder);
    return NULL;
}

int encode_pool_open(struct encode_pool **out, const struct encoder *encoder,
                     const struct reader *reader, const struct alphabet *alphabet, enum codec codec,
                     int64_t threads, int64_t batch, struct error *e) {
    *out = NULL;
    struct encode_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL) {
        return error_memory(e, NULL);
    }
    pool->encoder = encoder;
    pool->reader = reader;
    pool->alphabet = alphabet;
    pool->codec = codec;
    batch = batch > 0 ? batch : encoder_backend(encoder)->batch();
    pool->batch = (int)(batch < PAGES_BATCH ? batch : PAGES_BATCH);
    pool->last = &pool->first;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->pushed, NULL);
    pthread_cond_init(&pool->done, NULL);
    int64_t count = threads > 0 ? threads : encoder_backend(encoder)->workers();
    for (int64_t i = 0; i < count && i < THREADS; i++) {
        int code = pthread_create(&pool->threads[pool->thread_count], NULL, run_thread, pool);
        if (code == 0) {
            pool->thread_count++;
        } else if (pool->thread_count == 0) {
            error_errno(e, code, "cannot start a thread");
            encode_pool_close(pool);
            return ERR_IO;
        }
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
    pthread_cond_broadcast(&pool->pushed);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->thread_count; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    while (pool->first != NULL) {
        struct encode_job *first = pool->first;
        pool->first = first->next;
        encode_job_free(first);
    }
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->pushed);
    pthread_cond_destroy(&pool->done);
    free(pool);
}

/* ---- The queue -------------------------------------------------------------------------- */

void encode_pool_push(struct encode_pool *pool, struct encode_job *job) {
    pthread_mutex_lock(&pool->lock);
    job->next = NULL;
    *pool->last = job;
    pool->last = &job->next;
    pool->bytes += job->bytes;
    pthread_cond_broadcast(&pool->pushed);
    pthread_mutex_unlock(&pool->lock);
}

struct encode_job *encode_pool_pop(struct encode_pool *pool, bool wait) {
    pthread_mutex_lock(&pool->lock);
    struct encode_job *first = pool->first;
    while (wait && first != NULL && first->done < first->page_count) {
        pthread_cond_wait(&pool->done, &pool->lock);
    }
    if (first != NULL && first->done < first->page_count) {
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
