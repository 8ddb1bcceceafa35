/* page_images.c - see page_images.h. */
#include "train/context/page_images.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "compress/image.h"
#include "compress/sample.h"

struct packed_image {
    struct page_image shape;
    struct bytes data; /* empty: not there yet */
    uint64_t hash;     /* of its pixels */
};

struct page_images {
    const struct history *h;
    bool grey;
    struct packed_image *list; /* of each page */
    size_t count, found;
    size_t *sorted; /* pages by key and number */
    struct texts packer;
    struct page_image largest;
    uint64_t hash;
    size_t bytes;
};

static size_t bytes_of(const struct page_image *i) {
    return (size_t)i->width * (size_t)i->height * (size_t)i->channels;
}

/* ---- Which pages there are ---------------------------------------------------------------- */

struct place {
    const struct history *h;
    size_t page;
};

static int compare(const struct history_page *a, const char *key, int number) {
    int order = strcmp(a->key, key);
    return order != 0 ? order : (a->number > number) - (a->number < number);
}

static int compare_places(const void *a, const void *b) {
    const struct place *x = a, *y = b;
    const struct history_page *other = history_page(y->h, y->page);
    return compare(history_page(x->h, x->page), other->key, other->number);
}

static int sort_pages(struct page_images *p, struct error *e) {
    struct place *places = calloc(p->count + 1, sizeof *places);
    p->sorted = calloc(p->count + 1, sizeof *p->sorted);
    if (places == NULL || p->sorted == NULL) {
        free(places);
        return error_memory(e, "pages");
    }
    for (size_t i = 0; i < p->count; i++) {
        places[i] = (struct place){p->h, i};
    }
    qsort(places, p->count, sizeof *places, compare_places);
    for (size_t i = 0; i < p->count; i++) {
        p->sorted[i] = places[i].page;
    }
    free(places);
    return 0;
}

/* Whether the history has it. */
static bool find(const struct page_images *p, const char *key, int number, size_t *page) {
    size_t first = 0, end = p->count;
    while (first < end) {
        const size_t middle = first + (end - first) / 2;
        const int order = compare(history_page(p->h, p->sorted[middle]), key, number);
        if (order == 0) {
            *page = p->sorted[middle];
            return true;
        }
        if (order < 0) {
            first = middle + 1;
        } else {
            end = middle;
        }
    }
    return false;
}

/* Tokens that were halved or summed up are not those of a picture. */
static int check_history(const struct history *h, struct error *e) {
    for (size_t i = 0; i < history_count(h); i++) {
        if (history_get(h, i)->styled) {
            return error_set(
                e, ERR_UNSUPPORTED,
                "%s: pages were folded into its style token; the encoder learns with a "
                "store of which nothing was forgotten",
                history_get(h, i)->name);
        }
    }
    for (size_t i = 0; i < history_pages(h); i++) {
        const struct history_page *page = history_page(h, i);
        if (page->header.bucket > 0) {
            return error_set(e, ERR_UNSUPPORTED,
                             "%s page %d was halved; the encoder learns with a store of which "
                             "nothing was forgotten",
                             page->key, page->number);
        }
    }
    return 0;
}

/* ---- Pictures ----------------------------------------------------------------------------- */

/* What can be seen without an encoder. */
static int check_image(const struct history_page *page, const struct encode_job *job,
                       const struct page_image *i, struct error *e) {
    const struct token_header *h = &page->header;
    const int rows = i->height / CELL, columns = i->width / CELL * i->column_offsets;
    char profile[TOKEN_PROFILE];
    token_profile(profile, job->profile);
    if (rows == h->rows && columns == h->columns &&
        job->characters[page->number] == h->characters &&
        memcmp(profile, h->profile, sizeof profile) == 0) {
        return 0;
    }
    return error_set(e, ERR_FORMAT,
                     "%s page %d is another one than the store's: %d x %d tokens of %" PRIu32
                     " characters in %s, and %d x %d of %" PRIu32 " in %.*s there",
                     page->key, page->number, rows, columns, job->characters[page->number],
                     job->profile, h->rows, h->columns, h->characters, (int)sizeof h->profile,
                     h->profile);
}

static int pack(struct page_images *p, struct packed_image *to, const struct image *picture,
                struct error *e) {
    struct bytes packed;
    bytes_init(&packed, TEXT_LIMIT);
    int rc = texts_pack(&p->packer, &packed, picture->pixels, bytes_of(&to->shape), e);
    bytes_init(&to->data, TEXT_LIMIT);
    if (rc == 0) { /* without the room that packing wanted */
        rc = bytes_append(&to->data, packed.data, packed.size, e);
    }
    bytes_close(&packed);
    to->hash = XXH3_64bits(picture->pixels, bytes_of(&to->shape));
    p->found += rc == 0;
    p->bytes += to->data.size;
    return rc;
}

static int take_page(struct page_images *p, size_t page, const struct encode_job *job,
                     struct error *e) {
    const struct history_page *known = history_page(p->h, page);
    const struct encoded_page *from = &job->pages[known->number];
    struct packed_image *to = &p->list[page];
    struct image picture;
    int rc = image_decode(&picture, from->data, from->size, e);
    if (rc < 0) {
        return error_context(e, "%s page %d", known->key, known->number);
    }
    if (p->grey) {
        image_grey(&picture);
    }
    to->shape = (struct page_image){.width = picture.width,
                                    .height = picture.height,
                                    .channels = picture.channels,
                                    .column_offsets = PAGE_SIZES[from->mode].column_offsets};
    rc = check_image(known, job, &to->shape, e);
    if (rc == 0) {
        rc = pack(p, to, &picture, e);
    }
    image_close(&picture);
    return rc;
}

/* Those of its pages that the history has and that are not there yet: it may come twice. */
static int take_sample(struct page_images *p, const struct stream_sample *sample, struct error *e) {
    struct encode_job *job;
    size_t page;
    int rc =
        stream_member_find(sample, "pages.json") != NULL ? sample_from_stream(&job, sample, e) : 1;
    if (rc != 0) {
        return rc < 0 ? rc : 0;
    }
    for (int i = 0; i < job->page_count && rc == 0; i++) {
        if (find(p, job->key, i, &page) && p->list[page].data.size == 0) {
            rc = take_page(p, page, job, e);
        }
    }
    encode_job_free(job);
    return rc;
}

static int read_streams(struct page_images *p, char *const *streams, int count,
                        const volatile sig_atomic_t *cancel, struct error *e) {
    struct sample_pages pages = {.stream = 0};
    struct stream_reader *r;
    struct stream_sample sample;
    int rc = stream_reader_open_files(&r, streams, count, cancel, e);
    if (rc < 0) {
        return rc;
    }
    for (rc = stream_next(r, &sample, e); rc > 0; rc = stream_next(r, &sample, e)) {
        (void)sample_count_pages(&pages, r, &sample); /* what has none is not taken anyway */
        rc = take_sample(p, &sample, e);
        if (rc < 0) {
            break;
        }
    }
    if (rc == 0) {
        (void)sample_count_pages(&pages, r, NULL);
    }
    if (rc == 0 && pages.unrendered > 0) {
        *e = pages.error;
        rc = e->code;
    }
    stream_reader_close(r);
    return rc;
}

/* ---- All of them -------------------------------------------------------------------------- */

/* Hashed in the history's order, whatever that of the streams is. */
static int finish(struct page_images *p, struct error *e) {
    for (size_t i = 0; i < p->count; i++) {
        const struct packed_image *one = &p->list[i];
        const struct history_page *page = history_page(p->h, i);
        if (one->data.size == 0) {
            return error_set(e, ERR_FORMAT,
                             "%s page %d of the store is in no stream (%zu of %zu "
                             "pages are)",
                             page->key, page->number, p->found, p->count);
        }
        if (bytes_of(&one->shape) > bytes_of(&p->largest)) {
            p->largest = one->shape;
        }
        p->hash = XXH3_64bits_withSeed(&one->hash, sizeof one->hash, p->hash + i);
    }
    return 0;
}

int page_images_open(struct page_images **out, const struct history *h, bool grey,
                     char *const *streams, int count, const volatile sig_atomic_t *cancel,
                     struct error *e) {
    *out = NULL;
    int rc = check_history(h, e);
    if (rc < 0) {
        return rc;
    }
    struct page_images *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return error_memory(e, "pages");
    }
    *p = (struct page_images){.h = h, .grey = grey, .count = history_pages(h)};
    p->list = calloc(p->count + 1, sizeof *p->list);
    p->bytes = p->count * (sizeof *p->list + sizeof *p->sorted);
    rc = p->list != NULL ? sort_pages(p, e) : error_memory(e, "pages");
    rc = rc == 0 ? texts_open(&p->packer, e) : rc;
    if (rc == 0) {
        rc = read_streams(p, streams, count, cancel, e);
    }
    if (rc == 0) {
        rc = finish(p, e);
    }
    if (rc < 0) {
        page_images_close(p);
        return rc;
    }
    *out = p;
    return 0;
}

void page_images_close(struct page_images *p) {
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < p->count && p->list != NULL; i++) {
        bytes_close(&p->list[i].data);
    }
    texts_close(&p->packer);
    free(p->list);
    free(p->sorted);
    free(p);
}

struct page_image page_images_get(const struct page_images *p, size_t page) {
    return p->list[page].shape;
}

struct page_image page_images_largest(const struct page_images *p) {
    return p->largest;
}

int page_images_load(const struct page_images *p, size_t page, struct texts *unpacker,
                     struct bytes *out, struct error *e) {
    const struct bytes *packed = &p->list[page].data;
    return texts_unpack(unpacker, out, packed->data, packed->size, e);
}

uint64_t page_images_hash(const struct page_images *p) {
    return p->hash;
}

size_t page_images_bytes(const struct page_images *p) {
    return p->bytes;
}
