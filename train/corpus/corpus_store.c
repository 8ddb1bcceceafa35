/* corpus_store.c - documents from a store. It has the texts of pages, not of clips: which bytes of
 * a page are the script of which clip, its cells say. */
#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "store/json.h"
#include "store/spans.h"
#include "train/corpus/corpus_parts.h"

/* In a page's text a part begins with its sign, one of U+25A3 to U+25A7 (render/text/sign.h). */
static const char SIGN[] = "\xE2\x96";
enum { SIGN_SIZE = 3, SIGN_FIRST = 0xA3, SIGN_SCRIPT = 0xA5, SIGN_LAST = 0xA7 };

/* Of a script, what is on one page: its first cue there, and the cue's first byte. */
struct piece {
    size_t clip;
    int64_t cue;
    uint32_t start;
    size_t text, size; /* in the gathered texts */
};

struct store_reader {
    struct corpus_builder *b;
    struct store *store;
    struct table *clips; /* key -> number, of those with a script */
    struct piece *pieces;
    size_t count, capacity;
    struct bytes texts;       /* of all pieces */
    struct bytes page, cells; /* of the sample in hand */
    struct bytes script;
};

/* ---- Pieces of scripts ------------------------------------------------------------------ */

static bool is_script(const struct span *s) {
    return strcmp(s->member, "script.json") == 0 && s->pointer[0] == '/' &&
           strstr(s->pointer, "/text") != NULL;
}

/* A script on a page. Its text lies between signs, in its first and its last cell; people write
 * such signs, too. So both are looked for from behind, from where what is known to follow leaves
 * room. */
struct script_cells {
    struct piece piece;
    const char *sample;
    size_t from, first_end, to; /* bytes of the page's text: first and last cell */
    size_t own;                 /* bytes of sources in the first cell from the script on */
    size_t behind;              /* bytes of those behind it in the last cell */
    bool begins, ends;          /* there is another part before, behind */
};

static bool is_sign(const char *text, bool script) {
    unsigned char last = (unsigned char)text[SIGN_SIZE - 1];
    return memcmp(text, SIGN, SIGN_SIZE - 1) == 0 && last >= SIGN_FIRST && last <= SIGN_LAST &&
           (last == SIGN_SCRIPT) == script;
}

/* The last sign in [text, end) with `room` bytes behind it; NULL: there is none. */
static const char *last_sign(const char *text, const char *end, size_t room, bool script) {
    size_t at = (size_t)(end - text);
    at = at >= room + SIGN_SIZE ? at - room - SIGN_SIZE + 1 : 0;
    while (at > 0) {
        if (is_sign(text + --at, script)) {
            return text + at;
        }
    }
    return NULL;
}

static int end_piece(struct store_reader *r, struct script_cells *s, const char *page,
                     struct error *e) {
    if (s->sample == NULL) {
        return 0;
    }
    const char *text = page + s->from, *end = page + s->to;
    const char *sign = last_sign(text, page + s->first_end, s->own, true);
    text = sign != NULL && (s->begins || sign == text) ? sign + SIGN_SIZE : text;
    sign = s->ends ? last_sign(text, end, s->behind, false) : NULL;
    end = sign != NULL ? sign : end;
    struct piece *pieces = array_grow(r->pieces, &r->capacity, r->count + 1, sizeof *pieces, e);
    if (pieces == NULL) {
        return ERR_MEMORY;
    }
    r->pieces = pieces;
    s->piece.text = r->texts.size;
    s->piece.size = (size_t)(end - text);
    int rc = bytes_append(&r->texts, text, s->piece.size, e);
    if (rc == 0) {
        rc = table_add(r->clips, s->sample, table_count(r->clips), &s->piece.clip, e);
    }
    if (rc >= 0) {
        r->pieces[r->count++] = s->piece;
    }
    s->sample = NULL;
    return rc < 0 ? rc : 0;
}

/* A cell of a page: bytes [from, to) of its text. */
static int take_cell(struct store_reader *r, struct script_cells *s, const struct span *list,
                     size_t count, size_t from, size_t to, const char *page, struct error *e) {
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        size_t length = list[i].replaced ? 0 : list[i].end - list[i].start;
        if (!is_script(&list[i])) {
            s->ends = true;
            s->behind += length;
            s->own += s->from == from ? length : 0;
            continue;
        }
        if (s->sample == NULL || strcmp(s->sample, list[i].sample) != 0) {
            rc = end_piece(r, s, page, e);
            int64_t cue = strtoll(list[i].pointer + 1, NULL, 10);
            *s = (struct script_cells){.piece = {.cue = cue, .start = list[i].start},
                                       .sample = list[i].sample,
                                       .from = from,
                                       .first_end = to,
                                       .begins = i > 0};
        }
        s->to = to;
        s->own += s->from == from ? length : 0;
        s->ends = false;
        s->behind = 0;
    }
    return rc;
}

static int take_page(struct store_reader *r, struct spans *spans, int number, const char *page,
                     size_t size, struct error *e) {
    struct script_cells s = {.sample = NULL};
    int rc = 0, cells = spans_cells(spans, number);
    for (int i = 0; i < cells && rc == 0; i++) {
        size_t from, to, count;
        spans_text(spans, number, i, i + 1, &from, &to);
        const struct span *list = spans_list(spans, number, i, i + 1, &count, e);
        if (list == NULL) {
            return ERR_MEMORY;
        }
        if (to > size) {
            return error_set(e, ERR_FORMAT, "page %d: its text is shorter than its cells say",
                             number);
        }
        if (s.sample != NULL && s.ends) { /* and the part that follows ended the cell before */
            rc = end_piece(r, &s, page, e);
        }
        rc = rc == 0 ? take_cell(r, &s, list, count, from, to, page, e) : rc;
    }
    return rc == 0 ? end_piece(r, &s, page, e) : rc;
}

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
    for (int i = 0; rc == 0 && spans != NULL; i++) {
        size_t length;
        const char *page = store_text_page(bytes_text(&r->page), r->page.size, i, &length);
        if (page == NULL) {
            break;
        }
        rc = take_page(r, spans, i, page, length, e);
    }
    spans_close(spans);
    return rc < 0 ? error_context(e, "%s", key) : 0;
}

static int compare_pieces(const void *left, const void *right) {
    const struct piece *a = left, *b = right;
    if (a->clip != b->clip) {
        return a->clip < b->clip ? -1 : 1;
    }
    if (a->cue != b->cue) {
        return a->cue < b->cue ? -1 : 1;
    }
    return (a->start > b->start) - (a->start < b->start);
}

/* ---- Clips ------------------------------------------------------------------------------ */

/* The script of a clip: its pieces one after another, as one paragraph. *found is false where it
 * has none. */
static int find_script(struct store_reader *r, const char *key, bool *found, struct error *e) {
    size_t clip, low = 0, high = r->count;
    int rc = 0;
    bytes_clear(&r->script);
    *found = table_find(r->clips, key, &clip);
    while (*found && low < high) {
        size_t middle = low + (high - low) / 2;
        low = r->pieces[middle].clip < clip ? middle + 1 : low;
        high = r->pieces[middle].clip < clip ? high : middle;
    }
    for (; *found && rc == 0 && low < r->count && r->pieces[low].clip == clip; low++) {
        rc = bytes_append(&r->script, r->texts.data + r->pieces[low].text, r->pieces[low].size, e);
    }
    for (size_t i = 0; i < r->script.size; i++) {
        r->script.data[i] = r->script.data[i] == '\n' ? ' ' : r->script.data[i];
    }
    return rc;
}

static int take_clip(void *context, const char *key, const char *journal, size_t size,
                     struct error *e) {
    struct store_reader *r = context;
    bool has_script = false;
    (void)journal;
    (void)size;
    bytes_clear(&r->page);
    int rc = corpus_cancelled(r->b, e);
    rc = rc < 0 || stream_is_pack(key) ? rc : store_get_json(r->store, key, &r->page, e);
    if (rc != 1) { /* text that was forgotten */
        return rc;
    }
    json_t *sample = json_read(bytes_text(&r->page), r->page.size, NULL, e);
    rc = sample != NULL ? find_script(r, key, &has_script, e) : error_context(e, "%s", key);
    if (rc == 0) {
        rc = corpus_clip(r->b, key, sample, has_script ? bytes_text(&r->script) : NULL,
                         r->script.size, e);
    }
    json_decref(sample);
    return rc;
}

int corpus_read_store(struct corpus_builder *b, const char *path, struct error *e) {
    struct store_reader r = {.b = b};
    bytes_init(&r.texts, SIZE_MAX / 2);
    bytes_init(&r.page, STREAM_SAMPLE_LIMIT);
    bytes_init(&r.cells, STREAM_SAMPLE_LIMIT);
    bytes_init(&r.script, STREAM_SAMPLE_LIMIT);
    int rc = store_open(&r.store, path, e);
    if (rc == 0) {
        rc = table_open(&r.clips, e);
    }
    if (rc == 0) {
        rc = store_each_sample(r.store, take_pages, &r, e);
    }
    if (rc == 0 && r.count > 0) {
        qsort(r.pieces, r.count, sizeof *r.pieces, compare_pieces);
    }
    if (rc == 0) {
        rc = store_each_sample(r.store, take_clip, &r, e);
    }
    store_close(r.store);
    table_close(r.clips);
    free(r.pieces);
    bytes_close(&r.texts);
    bytes_close(&r.page);
    bytes_close(&r.cells);
    bytes_close(&r.script);
    return rc;
}
