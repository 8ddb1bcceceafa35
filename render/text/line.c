/* line.c - see line.h. Words come from the shaper's cache: the next few are looked up ahead, so
 * that their memory is near when they are set. */
#include "render/text/line.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/ubidi.h>
#include <unicode/uchar.h>

#include "render/text/chunk_parts.h"
#include "render/text/levels.h"
#include "store/array.h"
#include "store/utf8.h"

enum { LINE_ITEMS = 8192 };

/* A chunk of the text ahead. */
struct chunk {
    uint32_t size;
    struct word_key key; /* where it is not longer than a word */
};
enum { AHEAD = 16 };

struct line_breaker {
    struct shaper *shaper;
    struct breaker *breaker;
    struct levels *bidi;
    const uint8_t *levels; /* of each byte of the paragraph; NULL: all are 0 */
    uint8_t paragraph_level;

    /* the current paragraph */
    const struct clean *paragraph;
    const char *text;
    size_t size, at;
    int32_t width;
    struct break_side last;    /* last base character that was taken; 0 at the start */
    struct chunk ahead[AHEAD]; /* the next ones from `at`, spaces aside */
    size_t ahead_count, ahead_next;
    struct chunk_parts parts; /* of the current chunk, where it is not a word */

    /* the current line */
    struct line_item *items;
    size_t count, capacity;
    int32_t pen;
    UBiDiLevel *line_levels; /* of `capacity` items */
    int32_t *visual;
    int (*take)(void *context, const struct line *line, struct error *e);
    void *context;
};

int line_breaker_open(struct line_breaker **out, struct shaper *shaper, struct error *e) {
    struct line_breaker *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return error_memory(e, NULL);
    }
    l->shaper = shaper;
    l->breaker = shaper_breaker(shaper);
    int rc = levels_open(&l->bidi, e);
    if (rc < 0) {
        line_breaker_close(l);
        return rc;
    }
    *out = l;
    return 0;
}

void line_breaker_close(struct line_breaker *l) {
    if (l == NULL) {
        return;
    }
    levels_close(l->bidi);
    chunk_parts_close(&l->parts);
    free(l->items);
    free(l->line_levels);
    free(l->visual);
    free(l);
}

/* ---- From text to items -------------------------------------------------------------- */

static int more_items(struct line_breaker *l, struct error *e) {
    size_t capacity = l->capacity, level_capacity = capacity, visual_capacity = capacity;
    struct line_item *items = array_grow(l->items, &capacity, l->count + 1, sizeof *items, e);
    l->items = items != NULL ? items : l->items;
    UBiDiLevel *levels =
        array_grow(l->line_levels, &level_capacity, l->count + 1, sizeof *levels, e);
    l->line_levels = levels != NULL ? levels : l->line_levels;
    int32_t *visual = array_grow(l->visual, &visual_capacity, l->count + 1, sizeof *visual, e);
    l->visual = visual != NULL ? visual : l->visual;
    if (items == NULL || levels == NULL || visual == NULL) {
        return ERR_MEMORY;
    }
    l->capacity = capacity;
    return 0;
}

/* Inline, so that an item is made where it stays. */
static inline int push(struct line_breaker *l, const struct line_item *item, struct error *e) {
    if (l->count == l->capacity) {
        int rc = more_items(l, e);
        if (rc < 0) {
            return rc;
        }
    }
    l->items[l->count] = *item;
    l->items[l->count].x = l->pen;
    l->pen += item->advance;
    l->count++;
    return 0;
}

static inline struct line_item word_item(const struct word *word, size_t start, uint8_t level,
                                         bool may_break) {
    return (struct line_item){.word = word,
                              .start = (uint32_t)start,
                              .end = (uint32_t)start + word->size,
                              .cluster_end = word->cluster_count,
                              .advance = word->advance,
                              .level = level,
                              .may_break = may_break};
}

/* ---- From items to lines ------------------------------------------------------------- */

static void set_visual_x(struct line_breaker *l, struct line_item *items, size_t count) {
    for (size_t i = 0; i < count; i++) {
        l->line_levels[i] = items[i].level;
    }
    ubidi_reorderVisual(l->line_levels, (int32_t)count, l->visual);
    int32_t x = 0;
    for (size_t i = 0; i < count; i++) {
        struct line_item *item = &items[l->visual[i]];
        item->x = x;
        x += item->advance;
    }
}

/* Gives items [0, end) as a line, without the spaces at its ends. */
static int emit(struct line_breaker *l, size_t end, struct error *e) {
    size_t start = 0;
    while (start < end && l->items[start].word == NULL) {
        start++;
    }
    while (end > start && l->items[end - 1].word == NULL) {
        end--;
    }
    if (start == end) {
        return 0;
    }
    struct line_item *items = l->items + start, *last = l->items + end - 1;
    struct line line = {.items = items,
                        .count = end - start,
                        .advance = last->x + last->advance - items->x,
                        .rtl = l->paragraph_level & 1};
    if (l->levels != NULL) {
        set_visual_x(l, items, line.count);
    } else if (items->x != 0) {
        int32_t shift = items->x;
        for (size_t i = 0; i < line.count; i++) {
            items[i].x -= shift;
        }
    }
    return l->take(l->context, &line, e);
}

/* Takes away items [0, end) and the spaces after them. */
static void drop(struct line_breaker *l, size_t end) {
    while (end < l->count && l->items[end].word == NULL) {
        end++;
    }
    l->count -= end;
    memmove(l->items, l->items + end, l->count * sizeof *l->items);
    l->pen = 0;
    for (size_t i = 0; i < l->count; i++) {
        l->items[i].x = l->pen;
        l->pen += l->items[i].advance;
    }
}

/* How many of an item's clusters take no more than `room`. */
static uint16_t fitting(const struct line_item *item, int32_t room) {
    uint16_t k = item->cluster_start;
    for (int32_t used = 0; k < item->cluster_end; k++) {
        used += word_clusters(item->word)[k].advance;
        if (used > room) {
            break;
        }
    }
    return (uint16_t)(k - item->cluster_start);
}

/* The shape of [start, end), in which no line may end. */
static int piece_word(struct line_breaker *l, size_t start, size_t end, bool rtl,
                      const struct word **word, struct error *e) {
    const char *text = l->text + start;
    struct word_key key = shaper_key(l->shaper, text, end - start, rtl, true);
    return shaper_word(l->shaper, text, &key, word, e);
}

/* Whether a span that is glued to what precedes it begins within [from, to]. There are few
 * of them. */
static bool has_glue(const struct line_breaker *l, size_t from, size_t to) {
    const struct clean *c = l->paragraph;
    for (size_t i = 0; i < c->glue_count; i++) {
        if (c->glue[i] >= from && c->glue[i] <= to) {
            return true;
        }
    }
    return false;
}

/* Ends the line before item `end`. */
static int end_line(struct line_breaker *l, size_t end, struct error *e) {
    int rc = emit(l, end, e);
    drop(l, end);
    return rc;
}

/* Ends the line after the first `stay` clusters of an item; the rest begins the next one. */
static int split_item(struct line_breaker *l, size_t index, uint16_t stay, struct error *e) {
    struct line_item item = l->items[index];
    const struct word_cluster *at = word_clusters(item.word);
    uint32_t word_start = item.start - at[item.cluster_start].start;
    uint32_t cut = word_start + at[item.cluster_start + stay].start;
    const struct word *head, *tail;
    bool rtl = item.word->rtl;
    int rc = piece_word(l, item.start, cut, rtl, &head, e);
    if (rc == 0) {
        rc = piece_word(l, cut, item.end, rtl, &tail, e);
    }
    if (rc < 0) {
        return rc;
    }
    l->items[index] = word_item(head, item.start, item.level, item.may_break);
    l->items[index].x = item.x;
    rc = emit(l, index + 1, e);
    l->items[index] = word_item(tail, cut, item.level, false);
    drop(l, index);
    return rc;
}

/* The last item is too wide and nothing before it may be broken: splits it between clusters,
 * or, where it is glued to the word before it, that word, so that it does not go on alone. */
static int split_last(struct line_breaker *l, struct error *e) {
    size_t index = l->count - 1;
    const struct line_item *item = &l->items[index];
    if (index >= 2 && item[-1].word == NULL && has_glue(l, item[-1].start, item->start)) {
        index -= 2;
        uint16_t clusters = item[-2].cluster_end - item[-2].cluster_start;
        return clusters > 1 ? split_item(l, index, (uint16_t)(clusters - 1), e)
                            : end_line(l, index > 0 ? index : l->count - 1, e);
    }
    uint16_t fits = fitting(item, l->width - item->x);
    bool alone = index == 0;
    uint16_t clusters = item->cluster_end - item->cluster_start;
    if (clusters <= 1 || (fits == 0 && !alone)) {
        return end_line(l, alone ? 1 : index, e); /* a wider cluster than the line is cut off */
    }
    if (fits == 0) {
        fits = 1;
    }
    if (fits >= clusters) {
        fits = (uint16_t)(clusters - 1);
    }
    return split_item(l, index, fits, e);
}

/* The items are wider than the line: ends it at the last place where it may end. */
static int break_line(struct line_breaker *l, struct error *e) {
    int rc = 0;
    while (rc == 0 && l->pen > l->width && l->count > 0) {
        size_t k = l->count - 1;
        while (k > 0 && !l->items[k].may_break) {
            k--;
        }
        if (k > 0) {
            rc = end_line(l, k, e);
        } else {
            rc = split_last(l, e);
        }
    }
    return rc;
}

static inline int add(struct line_breaker *l, const struct line_item *item, struct error *e) {
    int rc = push(l, item, e);
    if (rc == 0 && l->count == LINE_ITEMS) { /* characters without width, without end */
        rc = emit(l, l->count, e);
        l->count = 0;
        l->pen = 0;
    }
    return rc == 0 && l->pen > l->width ? break_line(l, e) : rc;
}

/* A word that does not fit whole, or is to give its last piece to the next line when what is glued
 * to it does not fit, goes in piece by piece. */
static int add_word(struct line_breaker *l, const struct word *word, size_t start, uint8_t level,
                    bool may_break, struct error *e) {
    struct line_item item = word_item(word, start, level, may_break);
    bool fits = l->pen + word->advance <= l->width && !has_glue(l, item.end, item.end);
    if (word->piece_count == 0 || fits) {
        return add(l, &item, e);
    }
    int rc = 0;
    for (size_t i = 0, cluster = 0; i < word->piece_count && rc == 0; i++) {
        const struct word_cluster *from = &word_clusters(word)[cluster];
        const struct word_cluster *to = &word_clusters(word)[word_pieces(word)[i].cluster_end];
        item.start = (uint32_t)start + from->start;
        item.end = (uint32_t)start + to->start;
        item.cluster_start = (uint16_t)cluster;
        item.cluster_end = word_pieces(word)[i].cluster_end;
        item.advance = to->x - from->x;
        item.may_break = i == 0 ? may_break : true;
        rc = add(l, &item, e);
        cluster = item.cluster_end;
    }
    return rc;
}

static uint8_t level_at(const struct line_breaker *l, size_t at) {
    return l->levels != NULL ? l->levels[at] : 0;
}

static int take_spaces(struct line_breaker *l, struct error *e) {
    size_t start = l->at;
    uint8_t level = level_at(l, start);
    while (l->at < l->size && l->text[l->at] == ' ' && level_at(l, l->at) == level) {
        l->at++;
    }
    enum { WIDEST = 1 << 24 }; /* as good as any: the spaces end the line */
    size_t count = l->at - start;
    int32_t space = shaper_space(l->shaper);
    int32_t advance = count > WIDEST / 64 / 64 ? WIDEST : (int32_t)count * space;
    if (l->count == 0) {
        return 0;
    }
    struct line_item item = {
        .start = (uint32_t)start, .end = (uint32_t)l->at, .advance = advance, .level = level};
    return push(l, &item, e); /* spaces hang at the end of a line: the next word breaks it */
}

/* ".35", which ICU lets begin a line where "." alone may not. */
static bool is_decimal(const char *text, size_t size) {
    return size > 1 && text[0] == '.' && text[1] >= '0' && text[1] <= '9';
}

/* Whether the chunk at `at` is glued to what precedes it, spaces aside. */
static bool is_glued(const struct line_breaker *l) {
    size_t from = l->at;
    while (l->paragraph->glue_count > 0 && from > 0 && l->text[from - 1] == ' ') {
        from--;
    }
    return has_glue(l, from, l->at);
}

/* Whether a line may end before the chunk at `at`. */
static bool may_break_here(struct line_breaker *l, struct break_side first) {
    if (l->at == 0 || l->last.code_point == 0 || is_glued(l)) {
        return false;
    }
    if (l->text[l->at - 1] == ' ') {
        return is_decimal(l->text + l->at, l->size - l->at) ||
               breaker_between(l->breaker, l->last, first);
    }
    return chunk_cut(l->last.code_point, first.code_point) == CUT_BREAK;
}

static struct break_side first_side(const char *text, size_t size) {
    struct break_side side;
    bool valid;
    utf8_decode(text, size, &side.code_point, &valid);
    int class = u_getIntPropertyValue((UChar32)side.code_point, UCHAR_LINE_BREAK);
    side.line_class = (uint8_t) class;
    return side;
}

/* Finds the next chunks and has their words brought near. */
static void look_ahead(struct line_breaker *l) {
    size_t at = l->at, n = 0;
    for (; n < AHEAD; n++) {
        while (at < l->size && l->text[at] == ' ') {
            at++;
        }
        if (at == l->size) {
            break;
        }
        struct chunk *chunk = &l->ahead[n];
        chunk->size = (uint32_t)chunk_size(l->text + at, l->size - at);
        if (chunk->size <= WORD_BYTES) {
            chunk->key = shaper_key(l->shaper, l->text + at, chunk->size, false, false);
        }
        at += chunk->size;
    }
    for (size_t i = 0; i < n; i++) {
        if (l->ahead[i].size <= WORD_BYTES) {
            shaper_expect(l->shaper, &l->ahead[i].key);
        }
    }
    l->ahead_count = n;
    l->ahead_next = 0;
}

static int take_chunk(struct line_breaker *l, struct error *e) {
    if (l->ahead_next == l->ahead_count) {
        look_ahead(l);
    }
    const char *text = l->text + l->at;
    const struct chunk *chunk = &l->ahead[l->ahead_next++];
    if (chunk->size > WORD_BYTES || l->levels != NULL) {
        bool may_break = may_break_here(l, first_side(text, l->size - l->at));
        return chunk_parts_cut(&l->parts, l->breaker, l->text, l->levels, l->at, chunk->size,
                               may_break, e);
    }
    const struct word *word;
    int rc = shaper_word(l->shaper, text, &chunk->key, &word, e);
    if (rc == 0) {
        bool may_break = may_break_here(l, (struct break_side){word->first, word->first_class});
        rc = add_word(l, word, l->at, 0, may_break, e);
        l->at += chunk->size;
        l->last = (struct break_side){word->last, word->last_class};
    }
    return rc;
}

static int take_part(struct line_breaker *l, struct error *e) {
    const struct chunk_part *part = &l->parts.items[l->parts.next++];
    uint8_t level = level_at(l, l->at);
    const struct word *word;
    int rc = piece_word(l, l->at, part->end, level & 1, &word, e);
    if (rc == 0) {
        struct line_item item = word_item(word, l->at, level, part->may_break);
        l->at = part->end;
        l->last = (struct break_side){word->last, word->last_class};
        rc = add(l, &item, e);
    }
    return rc;
}

/* Makes room in the cache of words: goes back to where the current line began. */
static void start_line_again(struct line_breaker *l) {
    if (l->count > 0) {
        bool in_parts = l->at <= l->parts.end; /* of a chunk that may be very long */
        l->at = l->items[0].start;
        l->count = 0;
        l->pen = 0;
        l->last = (struct break_side){0};
        if (!in_parts || !chunk_parts_return(&l->parts, l->at)) {
            chunk_parts_clear(&l->parts);
            l->ahead_count = l->ahead_next = 0;
        }
    }
    shaper_forget(l->shaper);
}

int line_breaker_run(struct line_breaker *l, const struct clean *text, int32_t width,
                     int (*take)(void *context, const struct line *line, struct error *e),
                     void *context, struct error *e) {
    l->paragraph = text;
    l->text = bytes_text(&text->text);
    l->size = text->text.size;
    l->at = 0;
    l->width = width;
    l->last = (struct break_side){0};
    chunk_parts_clear(&l->parts);
    l->ahead_count = l->ahead_next = 0;
    l->count = 0;
    l->pen = 0;
    l->take = take;
    l->context = context;
    l->paragraph_level = 0;
    l->levels = NULL;
    int rc = 0;
    if (text->bidi && l->size > 0) {
        rc = levels_find(l->bidi, text, &l->levels, &l->paragraph_level, e);
    }
    while (rc == 0 && l->at < l->size) {
        if (shaper_is_full(l->shaper)) {
            start_line_again(l);
        }
        if (l->parts.next < l->parts.count) {
            rc = take_part(l, e);
        } else if (l->text[l->at] == ' ') {
            rc = take_spaces(l, e);
        } else {
            rc = take_chunk(l, e);
        }
    }
    return rc == 0 ? emit(l, l->count, e) : rc;
}

void line_breaker_set_width(struct line_breaker *l, int32_t width) {
    l->width = width;
}
