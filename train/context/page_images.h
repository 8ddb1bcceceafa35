/* page_images.h - the pictures that a store's tokens were made of, out of the streams of pages that
 * `occ render` wrote: for an encoder that learns along. A picture is found by its sample's key and
 * its number there, packs by what is on them, and must agree with what the store says of the page.
 * They are kept in memory, packed: pages are mostly white. */
#ifndef OCC_TRAIN_CONTEXT_PAGE_IMAGES_H
#define OCC_TRAIN_CONTEXT_PAGE_IMAGES_H

#include "store/texts.h"
#include "train/context/history.h"

struct page_image {
    int width, height, channels;
    int column_offsets; /* of its tokens: see encoder.h */
};

struct page_images; /* read-only once it is open; of any number of threads */
/* Of all pages of the history, numbered as there. `grey`: what the encoder sees has one channel.
 * ERR_FORMAT names a page that no stream has, or that is another there; ERR_UNSUPPORTED one that
 * was forgotten in part: its tokens are no longer those of its picture. */
int page_images_open(struct page_images **out, const struct history *h, bool grey,
                     char *const *streams, int count, const volatile sig_atomic_t *cancel,
                     struct error *e);
void page_images_close(struct page_images *p); /* NULL is allowed */
struct page_image page_images_get(const struct page_images *p, size_t page);
struct page_image page_images_largest(const struct page_images *p);
/* Appends width * height * channels bytes; `unpacker`: the thread's. */
int page_images_load(const struct page_images *p, size_t page, struct texts *unpacker,
                     struct bytes *out, struct error *e);
uint64_t page_images_hash(const struct page_images *p);
size_t page_images_bytes(const struct page_images *p); /* of memory */

#endif
