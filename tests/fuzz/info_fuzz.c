/* info_fuzz.c - metadata from any JSON: whatever is accepted keeps the promises of metadata.h. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/sidecars/metadata.h"
#include "store/json.h"
#include "store/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise) {
    if (!promise) {
        abort();
    }
}

/* NULL, or a text that is not empty. */
static void check_text(const char *text) {
    require(!text || (*text && utf8_is_valid(text, strlen(text))));
}

static void check_numbers(const struct metadata *m) {
    const int64_t numbers[] = {m->created,  m->duration_ms, m->views, m->likes,
                               m->comments, m->shares,      m->saves};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        require(numbers[i] >= -1 && numbers[i] <= INT64_C(1000000000000));
    }
}

static void check(const struct metadata *m) {
    const char *const texts[] = {m->account,  m->account_name, m->title, m->description,
                                 m->language, m->site,         m->url};
    require(m->id && *m->id && strlen(m->id) <= 255);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        check_text(texts[i]);
    }
    require(!m->account || *m->account != '@');
    check_numbers(m);
    require(m->hashtag_count <= HASHTAGS_MAX);
    for (size_t i = 0; i < m->hashtag_count; i++) {
        require(*m->hashtags[i] && *m->hashtags[i] != '#');
        check_text(m->hashtags[i]);
        for (size_t k = 0; k < i; k++) {
            require(strcmp(m->hashtags[i], m->hashtags[k]) != 0);
        }
    }
    require(!m->creator[CREATOR_NAMES]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *tree = json_read(data, size, NULL, NULL);
    struct arena *arena = NULL;
    struct metadata m;
    struct error e = {0};
    if (tree && arena_open(&arena, 1 << 24, NULL) == 0) {
        if (metadata_from_ytdlp(tree, arena, &m, &e) == 0) {
            check(&m);
        } else {
            require(e.code < 0 && *e.text && !m.id);
        }
        if (metadata_from_gallery_dl(tree, arena, &m, &e) == 0) {
            check(&m);
        }
        metadata_is_gallery_dl(tree);
        arena_close(arena);
    }
    json_decref(tree);
    return 0;
}
