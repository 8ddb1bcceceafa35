/* encode_pack.c - see encode_pack.h. */
#include "compress/encode_pack.h"

#include <stdlib.h>

int encode_packer_open(struct encode_packer *p, const struct encode_options *o, struct error *e) {
    *p = (struct encode_packer){.alphabet = o->alphabet,
                                .host_memory = encoder_backend(o->encoder)->host_memory};
    int rc = codec_open(&p->codec, e);
    return rc == 0 && o->reader != NULL ? readback_open(&p->readback, o->reader, e) : rc;
}

void encode_packer_close(struct encode_packer *p) {
    readback_close(p->readback);
    codec_close(p->codec);
}

/* The share of the page's text that can be read from the packed tokens; text NULL: of a picture,
 * whose text nobody knows. */
static int measure(struct encode_job *job, struct encode_packer *p, struct store_page *stored,
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
    int rc = readback_record(p->readback, &header, payload, &page, e);
    if (rc == ERR_MEMORY && !p->host_memory) { /* others may have more of it left */
        return error_set(e, ERR_LIMIT, "no GPU memory is left to read it back");
    }
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
static int pack_view(struct encode_job *job, struct encode_packer *p, enum codec codec, int64_t dim,
                     const struct encoded_page *from, const struct page_view *view,
                     const char *text, size_t text_size, struct error *e) {
    size_t begin = job->packed.size;
    struct store_page *page = &job->stored[job->stored_count];
    int rc = codec_pack(p->codec, &job->packed, codec, view->tokens,
                        (int64_t)view->rows * view->columns, dim, &job->loss, e);
    *page = (struct store_page){.page = (int)job->stored_count,
                                .rows = view->rows,
                                .columns = view->columns,
                                .layout = layout_of(from),
                                .codec = codec,
                                .size = job->packed.size - begin};
    if (rc == 0 && p->readback != NULL) {
        rc = measure(job, p, page, job->packed.data + begin, dim, text, text_size, e);
    }
    job->stored_count += rc == 0;
    return rc;
}

int encode_pack(struct encode_job *job, struct encode_packer *p, enum codec codec, int64_t dim,
                struct error *e) {
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
        legibility_text(&job->legibility, p->alphabet, job->key, i, text, text_size);
        bool loose = !page->exact && page->mode != MODE_GUNDAM; /* gundam: too small to read */
        for (int j = 0; j < page->view_count && rc == 0; j++) {
            rc = pack_view(job, p, codec, dim, page, &page->views[j], loose ? NULL : text,
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
