/* corpus_store.c - documents from a store. It has the texts of pages, not of clips: scripts are put
 * together from cells (clip_scripts.h). */
#include "store/json.h"
#include "train/corpus/clip_scripts.h"
#include "train/corpus/corpus_parts.h"

struct store_reader {
    struct corpus_builder *b;
    struct store *store;
    struct clip_scripts *scripts;
    struct bytes page, cells; /* of the sample in hand */
    struct bytes script;
};

/* The scripts on the pages of a sample or a pack. */
static int take_pages(void *context, const char *key, const char *journal, size_t size,
                      struct error *e) {
    struct store_reader *r = context;
    struct spans *spans = NULL;
    (void)journal;
    (void)size;
    bytes_clear(&r->cells);
    bytes_clear(&r->page);
    int rc = corpus_cancelled(r->b, e);
    rc = rc == 0 ? store_get_cells(r->store, key, &r->cells, e) : rc;
    if (rc == 1) {
        rc = store_get_text(r->store, key, &r->page, e);
    }
    if (rc == 1) {
        rc = spans_open(&spans, bytes_text(&r->cells), r->cells.size, e);
    }
    if (rc == 0 && spans != NULL) {
        rc = clip_scripts_take(r->scripts, spans, bytes_text(&r->page), r->page.size, e);
    }
    spans_close(spans);
    return rc < 0 ? error_context(e, "%s", key) : 0;
}

static int take_clip(void *context, const char *key, const char *journal, size_t size,
                     struct error *e) {
    struct store_reader *r = context;
    (void)journal;
    (void)size;
    bytes_clear(&r->page);
    bytes_clear(&r->script);
    int rc = corpus_cancelled(r->b, e);
    rc = rc < 0 || stream_is_pack(key) ? rc : store_get_json(r->store, key, &r->page, e);
    if (rc != 1) { /* text that was forgotten */
        return rc;
    }
    json_t *sample = json_read(bytes_text(&r->page), r->page.size, NULL, e);
    rc = sample != NULL ? clip_scripts_find(r->scripts, key, &r->script, e)
                        : error_context(e, "%s", key);
    if (rc >= 0) {
        rc = corpus_clip(r->b, key, sample, rc == 1 ? bytes_text(&r->script) : NULL, r->script.size,
                         e);
    }
    json_decref(sample);
    return rc;
}

int corpus_read_store(struct corpus_builder *b, const char *path, struct error *e) {
    struct store_reader r = {.b = b};
    bytes_init(&r.page, STREAM_SAMPLE_LIMIT);
    bytes_init(&r.cells, STREAM_SAMPLE_LIMIT);
    bytes_init(&r.script, STREAM_SAMPLE_LIMIT);
    int rc = store_open(&r.store, path, e);
    if (rc == 0) {
        rc = clip_scripts_open(&r.scripts, e);
    }
    if (rc == 0) {
        rc = store_each_sample(r.store, take_pages, &r, e);
    }
    if (rc == 0) {
        rc = store_each_sample(r.store, take_clip, &r, e);
    }
    store_close(r.store);
    clip_scripts_close(r.scripts);
    bytes_close(&r.page);
    bytes_close(&r.cells);
    bytes_close(&r.script);
    return rc;
}
