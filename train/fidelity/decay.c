/* decay.c - the measuring of decay.h. */
#include "train/fidelity/decay.h"

#include <math.h>
#include <string.h>

#define DAY (24.0 * 3600)

struct measuring {
    struct decay *d;
    struct store *s;
    struct readback *r;
    const volatile sig_atomic_t *cancel;
    int64_t now;
    struct decay_point buckets[STORE_BUCKETS];
    int64_t seen[STORE_BUCKETS]; /* pages, in the second pass */
    char key[STREAM_KEY_BYTES];  /* of the sample whose text is in hand */
    struct bytes text;
};

static bool ages(const struct token_header *h) {
    return h->created > STORE_UNDATED && (h->flags & TOKEN_PINNED) == 0;
}

static int count_page(void *context, const struct token_record *record, struct error *e) {
    struct measuring *m = context;
    const struct token_header *h = &record->header;
    struct decay_point *p = &m->buckets[h->bucket];
    (void)e;
    if (!ages(h)) {
        m->d->left_out++;
        return 0;
    }
    p->pages++;
    p->days += log(fmax(((double)m->now - (double)h->created) / DAY, 1));
    p->tokens += (double)h->rows * h->columns;
    p->bytes += (double)h->payload + h->facts;
    return 0;
}

/* Every n-th page, so that DECAY_READ of them are spread over the bucket. */
static bool is_chosen(int64_t number, int64_t pages) {
    return pages <= DECAY_READ || number * DECAY_READ / pages != (number + 1) * DECAY_READ / pages;
}

static int get_text(struct measuring *m, const char *key, struct error *e) {
    if (strcmp(m->key, key) == 0) {
        return 0;
    }
    memcpy(m->key, key, strlen(key) + 1);
    bytes_clear(&m->text);
    int rc = store_get_text(m->s, key, &m->text, e);
    return rc < 0 ? rc : 0;
}

static int read_page(void *context, const struct token_record *record, struct error *e) {
    struct measuring *m = context;
    const struct token_header *h = &record->header;
    struct decay_point *p = &m->buckets[h->bucket];
    struct readback_page page;
    double accuracy = -1;
    size_t size = 0;
    if (m->cancel != NULL && *m->cancel) {
        return error_set(e, ERR_CANCELLED, "stopped by a signal");
    }
    if (!ages(h) || !is_chosen(m->seen[h->bucket]++, p->pages)) {
        return 0;
    }
    int rc = get_text(m, record->key, e);
    const char *text =
        rc == 0 ? store_text_page(bytes_text(&m->text), m->text.size, record->page, &size) : NULL;
    if (rc < 0 || text == NULL || size == 0) {
        return rc;
    }
    rc = readback_record(m->r, h, record->payload, &page, e);
    if (rc == 0) {
        rc = readback_compare(&page, text, size, &accuracy, e);
    }
    if (rc == 0 && accuracy >= 0) {
        p->read++;
        p->accuracy += accuracy;
    }
    return rc < 0 ? error_context(e, "%s page %d", record->key, record->page) : 0;
}

/* Sums become means, and buckets without pages go. */
static void finish(struct measuring *m) {
    for (int i = 0; i < STORE_BUCKETS; i++) {
        struct decay_point p = m->buckets[i];
        if (p.pages > 0) {
            p.bucket = i;
            p.days = exp(p.days / (double)p.pages);
            p.tokens /= (double)p.pages;
            p.bytes /= (double)p.pages;
            p.accuracy = p.read > 0 ? p.accuracy / (double)p.read : 0;
            m->d->points[m->d->count++] = p;
        }
    }
}

int decay_measure(struct decay *d, struct store *s, struct readback *r, int64_t now,
                  const volatile sig_atomic_t *cancel, struct error *e) {
    struct measuring m = {.d = d, .s = s, .r = r, .cancel = cancel, .now = now};
    *d = (struct decay){.count = 0};
    bytes_init(&m.text, (size_t)256 << 20);
    int rc = store_each(s, NULL, count_page, &m, e);
    if (rc == 0 && r != NULL) {
        rc = store_each(s, NULL, read_page, &m, e);
    }
    bytes_close(&m.text);
    finish(&m);
    if (rc == 0 && d->count == 0) {
        rc = error_set(e, ERR_FORMAT,
                       d->left_out > 0 ? "no page ages: all are pinned or have no date"
                                       : "holds no page");
    }
    return rc;
}
