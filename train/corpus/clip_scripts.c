/* clip_scripts.c - see clip_scripts.h: which bytes of a page are the script of which clip, its
 * cells say. */
#include "train/corpus/clip_scripts.h"

#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "store/table.h"

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

struct clip_scripts {
    struct table *clips; /* key -> number, of those with a script */
    struct piece *pieces;
    size_t count, capacity;
    bool sorted;
    struct bytes texts; /* of all pieces */
};

int clip_scripts_open(struct clip_scripts **out, struct error *e) {
    struct clip_scripts *s = calloc(1, sizeof *s);
    *out = NULL;
    if (s == NULL) {
        return error_memory(e, NULL);
    }
    bytes_init(&s->texts, SIZE_MAX / 2);
    int rc = table_open(&s->clips, e);
    if (rc < 0) {
        clip_scripts_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

void clip_scripts_close(struct clip_scripts *s) {
    if (s == NULL) {
        return;
    }
    table_close(s->clips);
    free(s->pieces);
    bytes_close(&s->texts);
    free(s);
}

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

static int end_piece(struct clip_scripts *r, struct script_cells *s, const char *page,
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
static int take_cell(struct clip_scripts *r, struct script_cells *s, const struct span *list,
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

static int take_page(struct clip_scripts *r, struct spans *spans, int number, const char *page,
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

int clip_scripts_take(struct clip_scripts *s, struct spans *spans, const char *text, size_t size,
                      struct error *e) {
    int rc = 0;
    for (int i = 0; rc == 0; i++) {
        size_t length;
        const char *page = store_text_page(text, size, i, &length);
        if (page == NULL) {
            break;
        }
        rc = take_page(s, spans, i, page, length, e);
    }
    s->sorted = false;
    return rc;
}

/* ---- Scripts ---------------------------------------------------------------------------- */

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

/* The pieces one after another. */
int clip_scripts_find(struct clip_scripts *s, const char *key, struct bytes *out, struct error *e) {
    size_t clip, low = 0, high = s->count, from = out->size;
    int rc = 0;
    if (!table_find(s->clips, key, &clip)) {
        return 0;
    }
    if (!s->sorted) {
        qsort(s->pieces, s->count, sizeof *s->pieces, compare_pieces);
        s->sorted = true;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        low = s->pieces[middle].clip < clip ? middle + 1 : low;
        high = s->pieces[middle].clip < clip ? high : middle;
    }
    for (; rc == 0 && low < s->count && s->pieces[low].clip == clip; low++) {
        rc = bytes_append(out, s->texts.data + s->pieces[low].text, s->pieces[low].size, e);
    }
    for (size_t i = from; i < out->size; i++) {
        out->data[i] = out->data[i] == '\n' ? ' ' : out->data[i];
    }
    return rc < 0 ? rc : 1;
}
