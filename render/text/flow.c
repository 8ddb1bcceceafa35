/* flow.c - see flow.h. The next few words are looked up ahead, so that their memory is near when
 * they are taken. */
#include "render/text/flow.h"

#include <stdlib.h>

#include "render/text/chunk_parts.h"
#include "render/text/levels.h"

enum { AHEAD = 16 };

struct next_word {
    uint32_t start;
    struct word_key key;
};

struct flow {
    struct shaper *shaper;
    struct levels *bidi;
    const uint8_t *levels; /* of each byte of the paragraph; NULL: all are 0 */
    uint8_t paragraph_level;

    /* the current paragraph */
    const char *text;
    size_t size, at;
    size_t chunk_end; /* of the chunk (breaks.h) that `at` is in, or before */
    struct next_word ahead[AHEAD];
    size_t ahead_count, ahead_next;
};

int flow_open(struct flow **out, struct shaper *shaper, struct error *e) {
    *out = NULL;
    struct flow *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return error_memory(e, NULL);
    }
    f->shaper = shaper;
    int rc = levels_open(&f->bidi, e);
    if (rc < 0) {
        flow_close(f);
        return rc;
    }
    *out = f;
    return 0;
}

void flow_close(struct flow *f) {
    if (f != NULL) {
        levels_close(f->bidi);
        free(f);
    }
}

static uint8_t level_at(const struct flow *f, size_t at) {
    return f->levels != NULL ? f->levels[at] : 0;
}

/* Finds the next words, up to AHEAD of them, and has their memory brought near. */
static int look_ahead(struct flow *f, struct error *e) {
    size_t at = f->at;
    f->ahead_count = f->ahead_next = 0;
    while (f->ahead_count < AHEAD) {
        while (at < f->size && f->text[at] == ' ') {
            at++;
        }
        if (at == f->size) {
            break;
        }
        if (at >= f->chunk_end) {
            f->chunk_end = at + chunk_size(f->text + at, f->size - at);
        }
        size_t end;
        int rc =
            chunk_word(shaper_breaker(f->shaper), f->text, f->levels, at, f->chunk_end, &end, e);
        if (rc < 0) {
            return rc;
        }
        bool rtl = level_at(f, at) & 1;
        f->ahead[f->ahead_count++] = (struct next_word){
            .start = (uint32_t)at, .key = shaper_key(f->shaper, f->text + at, end - at, rtl, true)};
        at = end;
    }
    for (size_t i = 0; i < f->ahead_count; i++) {
        shaper_expect(f->shaper, &f->ahead[i].key);
    }
    return 0;
}

static int take_word(struct flow *f, const struct flow_taker *taker, struct error *e) {
    int rc = f->ahead_next == f->ahead_count ? look_ahead(f, e) : 0;
    if (rc == 0 && shaper_is_full(f->shaper)) {
        rc = taker->keep(taker->context, e);
        if (rc == 0) {
            shaper_forget(f->shaper);
        }
    }
    if (rc < 0) {
        return rc;
    }
    const struct next_word *next = &f->ahead[f->ahead_next++];
    struct flow_piece piece = {.start = next->start,
                               .level = level_at(f, next->start),
                               .paragraph_level = f->paragraph_level};
    rc = shaper_word(f->shaper, f->text + next->start, &next->key, &piece.word, e);
    if (rc == 0) {
        rc = taker->take(taker->context, &piece, e);
    }
    f->at = next->start + (size_t)next->key.size;
    return rc;
}

static int take_space(struct flow *f, const struct flow_taker *taker, struct error *e) {
    const struct flow_piece piece = {.start = (uint32_t)f->at,
                                     .level = level_at(f, f->at),
                                     .paragraph_level = f->paragraph_level};
    f->at++;
    return taker->take(taker->context, &piece, e);
}

int flow_run(struct flow *f, const struct clean *text, const struct flow_taker *taker,
             uint8_t *level, struct error *e) {
    f->text = bytes_text(&text->text);
    f->size = text->text.size;
    f->at = f->chunk_end = 0;
    f->ahead_count = f->ahead_next = 0;
    f->paragraph_level = 0;
    f->levels = NULL;
    int rc = 0;
    if (text->bidi && f->size > 0) {
        rc = levels_find(f->bidi, text, &f->levels, &f->paragraph_level, e);
    }
    *level = f->paragraph_level;
    while (rc == 0 && f->at < f->size) {
        rc = f->text[f->at] == ' ' ? take_space(f, taker, e) : take_word(f, taker, e);
    }
    return rc;
}
