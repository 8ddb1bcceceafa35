/* work.c - see work.h. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "compress/work.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "compress/readback.h"

enum { THREADS = 256 };

struct works {
    const struct encoder *n;
    const struct reader *reader; /* NULL: nothing is read back */
    const struct alphabet *alphabet;
    enum codec codec;
    int batch;
    pthread_mutex_t lock;
    pthread_cond_t put, done;
    struct work *first, **last; /* in the order they came */
    size_t bytes;
    bool ending;
    pthread_t threads[THREADS];
    int thread_count;
};

void work_free(struct work *w) {
    if (w == NULL) {
        return;
    }
    for (int i = 0; i < w->page_count; i++) {
        encoded_page_close(&w->pages[i]);
    }
    bytes_close(&w->packed);
    free(w->stored);
    free(w);
}

/* ---- Packing ----------------------------------------------------------------------- */

/* What a thread works with. */
struct bench {
    struct page_encoder *encoder;
    struct codec_state *codec;
    struct readback *readback; /* NULL: nothing is read back */
    const struct alphabet *alphabet;
};

/* What the packed tokens still say of the page's text; text NULL: of a picture, whose text nobody
 * knows. */
static int measure(struct work *w, struct bench *b, struct store_page *stored, const void *payload,
                   int64_t dim, const char *text, size_t size, struct error *e) {
    const struct token_header header = {.codec = (uint8_t)stored->codec,
                                        .rows = (uint16_t)stored->rows,
                                        .columns = (uint16_t)stored->columns,
                                        .full_rows = (uint16_t)stored->rows,
                                        .full_columns = (uint16_t)stored->columns,
                                        .dim = (uint16_t)dim,
                                        .payload = (uint32_t)stored->size};
    struct readback_page page;
    double share;
    if (text != NULL && size == 0) {
        return 0;
    }
    int rc = readback_record(b->readback, &header, payload, &page, e);
    if (rc == 0) {
        legibility_read(&w->legibility, w->key, stored->page, &page);
        rc = readback_compare(&page, text, size, &share, e);
    }
    stored->accuracy = rc == 0 && text != NULL ? token_accuracy(share) : 0;
    return rc;
}

/* text: of the page. */
static int pack_view(struct work *w, struct bench *b, enum codec codec, int64_t dim,
                     const struct view *view, const char *text, size_t text_size, struct error *e) {
    size_t begin = w->packed.size;
    struct store_page *page = &w->stored[w->stored_count];
    int rc = codec_pack(b->codec, &w->packed, codec, view->tokens,
                        (int64_t)view->rows * view->columns, dim, &w->loss, e);
    *page = (struct store_page){.page = (int)w->stored_count,
                                .rows = view->rows,
                                .columns = view->columns,
                                .codec = codec,
                                .size = w->packed.size - begin};
    if (rc == 0 && b->readback != NULL) {
        rc = measure(w, b, page, w->packed.data + begin, dim, text, text_size, e);
    }
    w->stored_count += rc == 0;
    return rc;
}

/* All pages of a sample, whose tokens are then no longer needed. */
static int pack_all(struct work *w, struct bench *b, enum codec codec, int64_t dim,
                    struct error *e) {
    const char *text = w->text, *end = w->text + w->text_size;
    int rc = 0;
    bytes_init(&w->packed, (size_t)4 << 30);
    w->stored = calloc((size_t)w->page_count * VIEWS + 1, sizeof *w->stored);
    if (w->stored == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    for (int i = 0; i < w->page_count && rc == 0; i++) {
        struct encoded_page *page = &w->pages[i];
        size_t first = w->stored_count, text_size;
        if (page->rc < 0) {
            *e = page->error;
            return error_context(e, "page %d", i);
        }
        text = store_text_page(text, (size_t)(end - text), 0, &text_size);
        legibility_text(&w->legibility, b->alphabet, w->key, i, text, text_size);
        bool loose = !page->exact && page->mode != MODE_GUNDAM; /* gundam: too small to read */
        for (int j = 0; j < page->view_count && rc == 0; j++) {
            rc = pack_view(w, b, codec, dim, &page->views[j], loose ? NULL : text, text_size, e);
        }
        w->stored[first].characters = w->characters[i];
        text += text_size + (text + text_size < end); /* behind the form feed */
        encoded_page_close(page);
    }
    const unsigned char *at = w->packed.data; /* does not move any more */
    for (size_t i = 0; i < w->stored_count; i++) {
        w->stored[i].payload = at;
        at += w->stored[i].size;
    }
    return rc;
}

/* ---- Threads ------------------------------------------------------------------------- */

/* Takes up to a batch of pages that follow each other in one sample or several. */
static int take_pages(struct works *w, struct encoded_page **pages, struct work **owners) {
    int count = 0;
    for (struct work *it = w->first; it != NULL && count < w->batch; it = it->next) {
        while (it->taken < it->page_count && count < w->batch) {
            owners[count] = it;
            pages[count++] = &it->pages[it->taken++];
        }
    }
    return count;
}

/* Pages are encoded; samples whose last page that was are packed. Called with the lock held. */
static void finish_pages(struct works *w, struct bench *b, struct work *const *owners, int count) {
    for (int i = 0; i < count; i++) {
        struct work *it = owners[i];
        if (it->done + 1 < it->page_count) {
            it->done++;
            continue;
        }
        pthread_mutex_unlock(&w->lock); /* nobody else has pages of this sample any more */
        it->rc = pack_all(it, b, w->codec, encoder_config(w->n)->token_dim, &it->error);
        pthread_mutex_lock(&w->lock);
        it->done++;
        pthread_cond_broadcast(&w->done);
    }
}

static void encode_until_end(struct works *w, struct bench *b) {
    struct encoded_page *pages[PAGES_BATCH];
    struct work *owners[PAGES_BATCH];
    pthread_mutex_lock(&w->lock);
    while (!w->ending) {
        int count = take_pages(w, pages, owners);
        if (count == 0) {
            pthread_cond_wait(&w->put, &w->lock);
            continue;
        }
        pthread_mutex_unlock(&w->lock);
        pages_encode(b->encoder, pages, count);
        pthread_mutex_lock(&w->lock);
        finish_pages(w, b, owners, count);
    }
    pthread_mutex_unlock(&w->lock);
}

/* A thread that cannot begin fails all pages that it would have encoded. */
static void fail_until_end(struct works *w, int rc, const struct error *e) {
    struct encoded_page *page;
    struct work *owner;
    pthread_mutex_lock(&w->lock);
    while (!w->ending) {
        int batch = w->batch;
        w->batch = 1;
        int count = take_pages(w, &page, &owner);
        w->batch = batch;
        if (count == 0) {
            pthread_cond_wait(&w->put, &w->lock);
            continue;
        }
        page->rc = rc;
        page->error = *e;
        owner->rc = rc;
        owner->error = *e;
        owner->done++;
        pthread_cond_broadcast(&w->done);
    }
    pthread_mutex_unlock(&w->lock);
}

static void *run_thread(void *argument) {
    struct works *w = argument;
    struct bench b = {.alphabet = w->alphabet};
    struct error e = {0};
    int rc = page_encoder_open(&b.encoder, w->n, &e);
    rc = rc == 0 ? codec_open(&b.codec, &e) : rc;
    rc = rc == 0 && w->reader != NULL ? readback_open(&b.readback, w->reader, &e) : rc;
    if (rc == 0) {
        encode_until_end(w, &b);
    } else {
        fail_until_end(w, rc, &e);
    }
    readback_close(b.readback);
    codec_close(b.codec);
    page_encoder_close(b.encoder);
    return NULL;
}

static int core_count(void) {
    cpu_set_t cores;
    return sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
}

int works_open(struct works **out, const struct encoder *n, const struct reader *reader,
               const struct alphabet *alphabet, enum codec codec, int64_t threads, int64_t batch,
               struct error *e) {
    *out = NULL;
    struct works *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    w->n = n;
    w->reader = reader;
    w->alphabet = alphabet;
    w->codec = codec;
    w->batch = (int)(batch < PAGES_BATCH ? batch : PAGES_BATCH);
    w->last = &w->first;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->put, NULL);
    pthread_cond_init(&w->done, NULL);
    int64_t count = threads > 0 ? threads : core_count();
    for (int64_t i = 0; i < count && i < THREADS; i++) {
        int code = pthread_create(&w->threads[w->thread_count], NULL, run_thread, w);
        if (code == 0) {
            w->thread_count++;
        } else if (w->thread_count == 0) {
            error_errno(e, code, "cannot start a thread");
            works_close(w);
            return ERR_IO;
        }
    }
    *out = w;
    return 0;
}

void works_close(struct works *w) {
    if (w == NULL) {
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->ending = true;
    pthread_cond_broadcast(&w->put);
    pthread_mutex_unlock(&w->lock);
    for (int i = 0; i < w->thread_count; i++) {
        pthread_join(w->threads[i], NULL);
    }
    while (w->first != NULL) {
        struct work *first = w->first;
        w->first = first->next;
        work_free(first);
    }
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->put);
    pthread_cond_destroy(&w->done);
    free(w);
}

/* ---- The queue -------------------------------------------------------------------------- */

void works_put(struct works *w, struct work *work) {
    pthread_mutex_lock(&w->lock);
    work->next = NULL;
    *w->last = work;
    w->last = &work->next;
    w->bytes += work->bytes;
    pthread_cond_broadcast(&w->put);
    pthread_mutex_unlock(&w->lock);
}

struct work *works_take(struct works *w, bool wait) {
    pthread_mutex_lock(&w->lock);
    struct work *first = w->first;
    while (wait && first != NULL && first->done < first->page_count) {
        pthread_cond_wait(&w->done, &w->lock);
    }
    if (first != NULL && first->done < first->page_count) {
        first = NULL;
    }
    if (first != NULL) {
        w->first = first->next;
        if (w->first == NULL) {
            w->last = &w->first;
        }
        w->bytes -= first->bytes;
    }
    pthread_mutex_unlock(&w->lock);
    return first;
}

size_t works_bytes(struct works *w) {
    pthread_mutex_lock(&w->lock);
    size_t bytes = w->bytes;
    pthread_mutex_unlock(&w->lock);
    return bytes;
}
