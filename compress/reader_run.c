/* reader_run.c - from tokens to characters. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compress/reader_state.h"

/* Products of few shapes: each new one costs a millisecond to prepare. */
enum { CHUNK = 256 };

struct reading_pass {
    struct reader_session *s;
    const struct reading_config *c;
    struct reading_grid grid;
    int64_t rows, steps; /* cells of the page */
    struct error *e;
};

/* The unfolded cells in the order of the page, each with its neighbours. */
static void arrange(const struct reading_pass *p, float *to, const float *cells) {
    size_t channels = (size_t)p->c->channels;
    for (int64_t i = 0; i < p->rows * p->steps; i++) {
        int64_t step = i % p->steps;
        for (int side = 0; side < READING_SEEN; side++, to += channels) {
            int64_t at = step + side - READING_REACH;
            if (at < 0 || at >= p->steps) {
                memset(to, 0, channels * sizeof *to);
                continue;
            }
            int32_t first, second;
            reading_place(&p->grid, i / p->steps, at, &first, &second);
            const float *a = cells + (size_t)first * channels;
            const float *b = cells + (size_t)second * channels;
            for (size_t k = 0; k < channels; k++) {
                to[k] = p->grid.phases == 2 ? 0.5f * (a[k] + b[k]) : a[k];
            }
        }
    }
}

static int add_character(struct reader_session *s, int64_t row, int64_t column, float presence,
                         struct error *e) {
    if (s->count == s->capacity) {
        size_t capacity = s->capacity > 0 ? 2 * s->capacity : 4096;
        struct reading_character *list = realloc(s->characters, capacity * sizeof *list);
        if (list == NULL) {
            return error_set(e, ERR_MEMORY, "out of memory for characters");
        }
        s->characters = list;
        s->capacity = capacity;
    }
    s->characters[s->count++] = (struct reading_character){
        .row = (int16_t)row, .column = (int16_t)column, .confidence = presence};
    return 0;
}

/* The middle of a character that lies between two columns makes both unsure. So a stretch of
 * columns that may each hold one holds as many as their probabilities add up to, in its likeliest
 * columns. These become negative. */
static int take_stretch(struct reading_pass *p, int64_t row, float *presence, int64_t first,
                        int64_t end) {
    float sum = 0;
    int rc = 0;
    for (int64_t i = first; i < end; i++) {
        sum += presence[i];
    }
    for (long count = lroundf(sum); count > 0; count--) {
        int64_t best = first;
        for (int64_t i = first; i < end; i++) {
            best = presence[i] > presence[best] ? i : best;
        }
        presence[best] = -presence[best];
    }
    for (int64_t i = first; i < end && rc == 0; i++) {
        rc = presence[i] < 0 ? add_character(p->s, row, i, -presence[i], p->e) : 0;
    }
    return rc;
}

static int find_characters(struct reading_pass *p, float *presence) {
    static const float FAINT = 0.05f;
    int64_t width = p->steps * READING_COLUMNS;
    int rc = 0;
    p->s->count = 0;
    for (int64_t row = 0; row < p->rows; row++) {
        float *pairs = presence + row * width * 2;
        for (int64_t i = 0; i < width; i++) { /* pairs of logits become probabilities, in place */
            pairs[i] = 1 / (1 + expf(pairs[2 * i] - pairs[2 * i + 1]));
        }
        for (int64_t i = 0, end; i < width && rc == 0; i = end + 1) {
            for (end = i; end < width && pairs[end] > FAINT;) {
                end++;
            }
            rc = take_stretch(p, row, pairs, i, end);
        }
    }
    return rc;
}

/* The likeliest class of each character of a chunk, and how likely it is. */
static void choose(const struct reading_pass *p, struct reading_character *list, size_t count,
                   const float *logits) {
    for (size_t i = 0; i < count; i++, logits += p->c->classes) {
        int64_t best = 0;
        float sum = 0;
        for (int64_t k = 1; k < p->c->classes; k++) {
            best = logits[k] > logits[best] ? k : best;
        }
        for (int64_t k = 0; k < p->c->classes; k++) {
            sum += expf(logits[k] - logits[best]);
        }
        list[i].class_index = (int32_t)best;
        list[i].confidence /= sum;
    }
}

/* wide (cells, columns * embedding). */
static int name_characters(struct reading_pass *p, const float *wide) {
    size_t embedding = (size_t)p->c->embedding;
    float *rows = reader_buffer_get(p->s, BUFFER_CELLS, CHUNK * embedding, p->e);
    float *logits = reader_buffer_get(p->s, BUFFER_LOGITS, CHUNK * (size_t)p->c->classes, p->e);
    if (rows == NULL || logits == NULL) {
        return ERR_MEMORY;
    }
    for (size_t first = 0; first < p->s->count; first += CHUNK) {
        size_t count = p->s->count - first < CHUNK ? p->s->count - first : CHUNK;
        memset(rows, 0, CHUNK * embedding * sizeof *rows);
        for (size_t i = 0; i < count; i++) {
            const struct reading_character *c = &p->s->characters[first + i];
            size_t place = (size_t)(c->row * p->steps * READING_COLUMNS + c->column);
            memcpy(rows + i * embedding, wide + place * embedding, embedding * sizeof *rows);
        }
        int rc = reader_apply(p->s, READER_CLASS, logits, rows, CHUNK, p->c->embedding,
                              p->c->classes, ACTIVATION_NONE, p->e);
        if (rc < 0) {
            return rc;
        }
        choose(p, p->s->characters + first, count, logits);
    }
    return 0;
}

int reader_run(struct reader_session *s, const float *tokens, int rows, int columns,
               const struct reading_character **characters, size_t *count, struct error *e) {
    const struct reading_config *c = &s->r->config;
    int phases = columns == 2 * rows ? 2 : 1;
    struct reading_pass p = {.s = s,
                             .c = c,
                             .grid = {.rows = rows,
                                      .columns = columns,
                                      .down = READING_ROWS,
                                      .across = READING_STEPS,
                                      .phases = phases},
                             .rows = (int64_t)rows * READING_ROWS,
                             .steps = (int64_t)columns / phases * READING_STEPS,
                             .e = e};
    int64_t cells = p.rows * p.steps, all = (int64_t)rows * columns;
    int64_t unfolded = READING_ROWS * READING_STEPS * c->channels;
    float *cell = reader_buffer_get(s, BUFFER_CELLS, (size_t)(all * unfolded), e);
    float *hidden = reader_buffer_get(
        s, BUFFER_HIDDEN, (size_t)(cells * (c->hidden + READING_SEEN * c->channels)), e);
    float *wide =
        reader_buffer_get(s, BUFFER_WIDE, (size_t)(cells * READING_COLUMNS * c->embedding), e);
    float *presence =
        reader_buffer_get(s, BUFFER_PRESENCE, (size_t)(cells * READING_COLUMNS * 2), e);
    *count = 0;
    if (cell == NULL || hidden == NULL || wide == NULL || presence == NULL) {
        return ERR_MEMORY;
    }
    int rc =
        reader_apply(s, READER_UNFOLD, cell, tokens, all, s->r->dim, unfolded, ACTIVATION_NONE, e);
    if (rc == 0) {
        arrange(&p, hidden, cell);
        rc = reader_apply(s, READER_MIX, hidden, hidden, cells, READING_SEEN * c->channels,
                          c->hidden, ACTIVATION_GELU, e);
    }
    rc = rc == 0 ? reader_apply(s, READER_PRESENCE, presence, hidden, cells, c->hidden,
                                2 * READING_COLUMNS, ACTIVATION_NONE, e)
                 : rc;
    rc = rc == 0 ? find_characters(&p, presence) : rc;
    rc = rc == 0 ? reader_apply(s, READER_CHARACTER, wide, hidden, cells, c->hidden,
                                READING_COLUMNS * c->embedding, ACTIVATION_NONE, e)
                 : rc;
    rc = rc == 0 ? name_characters(&p, wide) : rc;
    *characters = s->characters;
    *count = rc == 0 ? s->count : 0;
    return rc;
}
