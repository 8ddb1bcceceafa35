/* cell_store.h - for tests: stores whose pages are set in cells, each with a text of its own, and
 * whose tokens' numbers say where they are from. */
#ifndef OCC_TESTS_CELL_STORE_H
#define OCC_TESTS_CELL_STORE_H

#include <jansson.h>

#include "store/spans.h"
#include "tests/store_folder.h"

enum { CELLS_MOST_HERE = 512 };

/* `sample`: the key of the post that it shows; NULL: it names none. Text "": a picture of that
 * post, or nothing. */
struct cell {
    const char *sample, *text;
};

/* Number d of token i of a page that was put with `first`. */
static inline float cell_number(float first, int i, int d) {
    return first + (float)i + (float)d / 16;
}

static inline int cell_source(json_t *samples, json_t *sources, const char *sample) {
    size_t i = 0;
    while (i < json_array_size(samples) &&
           strcmp(json_string_value(json_array_get(samples, i)), sample) != 0) {
        i++;
    }
    if (i == json_array_size(samples)) {
        json_array_append_new(samples, json_string(sample));
        json_array_append_new(sources, json_pack("{s:i, s:s, s:s}", "sample", (int)i, "member",
                                                 "json", "pointer", "/description"));
    }
    return (int)i;
}

/* What `occ render` would write of such a page. */
static inline json_t *cell_record(const struct cell *cells, int count, struct bytes *text) {
    json_t *samples = json_array(), *sources = json_array(), *ranges = json_array(),
           *ends = json_array();
    int at[CELLS_MOST_HERE] = {0};
    for (int i = 0; i < count; i++) {
        json_t *cell = json_array();
        int size = (int)strlen(cells[i].text);
        if (cells[i].sample != NULL) {
            int source = cell_source(samples, sources, cells[i].sample);
            json_array_append_new(cell, json_pack("[s, i, i, i]", "description", source, at[source],
                                                  at[source] + size));
            at[source] += size;
        }
        CHECK_NUMBER(bytes_append_text(text, cells[i].text, NULL), 0);
        json_array_append_new(ranges, cell);
        json_array_append_new(ends, json_integer((json_int_t)text->size));
    }
    return json_pack("{s:o, s:o, s:[{s:o, s:o}]}", "samples", samples, "sources", sources, "pages",
                     "cells", ranges, "ends", ends);
}

struct cell_page {
    const char *key, *json; /* of a sample, or of a pack */
    int64_t created;
    const struct cell *cells;
    int count;
    float first; /* see cell_number */
    enum codec codec;
    const float *numbers; /* (count, dim), in the place of those; NULL: none */
    int tokenless;        /* of the cells, the last so many have no token */
    size_t lost;          /* the last bytes of the text that are not there */
};

/* One page of `count` cells in a row. */
static inline void put_cells(struct store *s, const struct cell_page *p) {
    struct codec_state *codec = NULL;
    struct bytes text, packed, spans;
    struct error e = {0};
    const int dim = store_encoder(s)->dim;
    float *tokens = calloc((size_t)(p->count * dim), sizeof *tokens);
    bytes_init(&text, 1 << 24);
    bytes_init(&packed, 1 << 24);
    bytes_init(&spans, 1 << 24);
    for (int i = 0; i < p->count * dim; i++) {
        tokens[i] = p->numbers != NULL ? p->numbers[i] : cell_number(p->first, i / dim, i % dim);
    }
    json_t *record = cell_record(p->cells, p->count, &text);
    CHECK_NUMBER(spans_pack(&spans, record, &e), 1);
    CHECK_NUMBER(codec_open(&codec, NULL), 0);
    CHECK_NUMBER(
        codec_pack(codec, &packed, p->codec, tokens, p->count - p->tokenless, dim, NULL, &e), 0);
    const struct store_page page = {.rows = 1,
                                    .columns = p->count - p->tokenless,
                                    .characters = (uint32_t)text.size,
                                    .layout = TOKEN_CELLS,
                                    .codec = p->codec,
                                    .payload = packed.data,
                                    .size = packed.size};
    const struct store_sample sample = {.key = p->key,
                                        .created = p->created,
                                        .json = p->json,
                                        .json_size = strlen(p->json),
                                        .text = bytes_text(&text),
                                        .text_size = text.size - p->lost,
                                        .cells = spans.data,
                                        .cells_size = spans.size,
                                        .pages = &page,
                                        .page_count = 1,
                                        .profile = "cell10",
                                        .input = "i",
                                        .options = ""};
    if (!CHECK_NUMBER(store_put(s, &sample, &e), 0)) {
        printf("# %s\n", e.text);
    }
    json_decref(record);
    codec_close(codec);
    free(tokens);
    bytes_close(&text);
    bytes_close(&packed);
    bytes_close(&spans);
}

/* A sample without pages of its own; `text` NULL: it says nothing. */
static inline void put_post(struct store *s, const char *key, int64_t created, const char *account,
                            const char *text) {
    json_t *root = json_pack("{s:s, s:I, s:s*}", "account", account, "created", (json_int_t)created,
                             "description", text);
    char *json = json_dumps(root, JSON_COMPACT);
    const struct store_sample sample = {.key = key,
                                        .created = created,
                                        .json = json,
                                        .json_size = strlen(json),
                                        .text = "",
                                        .input = "i",
                                        .options = ""};
    CHECK_NUMBER(store_put(s, &sample, NULL), 0);
    json_decref(root);
    free(json);
}

/* As the bundled encoder: nested tokens, three halvings. */
static inline void put_nesting(struct store *s) {
    CHECK_NUMBER(
        store_put_note(s, NOTE_MERGING, "{\"nested\": 3, \"profiles\": [\"cell10\"]}", NULL), 0);
}

#endif
