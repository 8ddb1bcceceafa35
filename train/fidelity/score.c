/* score.c - see score.h. */
#include "train/fidelity/score.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "compress/fold.h"
#include "render/text/sign.h"
#include "store/array.h"
#include "store/utf8.h"
#include "train/fidelity/alignment.h"
#include "train/tokenizer/pattern.h"

const char *const SCORE_NAMES[SCORE_KINDS + 1] = {"tags",  "emoji",  "numbers",
                                                  "words", "header", NULL};

#define LETTERS "\\p{L}\\p{M}"
#define SOME "[" LETTERS "\\p{N}]+"
#define WITH_DIGIT "(?=[" LETTERS "]*\\p{N})"
#define TAG "[" LETTERS "\\p{N}_]+"
#define PICTURE                                                                                    \
    "[\\x{203C}\\x{2049}\\x{231A}-\\x{23FF}\\x{2600}-\\x{27BF}\\x{2B05}-\\x{2B55}"                 \
    "\\x{1F000}-\\x{1F1E5}\\x{1F200}-\\x{1F3FA}\\x{1F400}-\\x{1FAFF}]"                             \
    "[\\x{FE0E}\\x{FE0F}\\x{1F3FB}-\\x{1F3FF}\\x{20E3}]*"

static const char *const PATTERNS[SCORE_PATTERNS] = {
    [SCORE_TAGS] = "[#@]" TAG "(?:\\." TAG ")*",
    [SCORE_EMOJI] = "[\\x{1F1E6}-\\x{1F1FF}]{2}|[0-9#*]\\x{FE0F}?\\x{20E3}|" PICTURE
                    "(?:\\x{200D}" PICTURE ")*",
    [SCORE_NUMBERS] = WITH_DIGIT SOME "(?:[.,:/\\-]" WITH_DIGIT SOME ")*",
    [SCORE_WORDS] = "[" LETTERS "]+(?:['\xE2\x80\x99][" LETTERS "]+)*",
};

struct item {
    size_t start, end; /* code points */
    enum score_kind kind;
};

/* A text, folded, as code points and as items. */
struct side {
    struct buffer folded;         /* char */
    struct buffer points, places; /* uint32_t; size_t: the byte at which each begins, and the end */
    size_t count;
    struct item *items;
    size_t item_count, item_capacity;
};

struct scorer {
    struct pattern *patterns[SCORE_PATTERNS];
    struct matcher *matcher;
    struct side text, read;
    struct alignment alignment;
};

/* ---- Sums -------------------------------------------------------------------------------- */

void score_add(struct score *to, const struct score *from) {
    to->distance += from->distance;
    to->length += from->length;
    for (int i = 0; i < SCORE_KINDS; i++) {
        to->kept[i] += from->kept[i];
        to->items[i] += from->items[i];
    }
}

double score_characters(const struct score *s) {
    if (s->length == 0) {
        return (double)NAN;
    }
    double share = (double)s->distance / (double)s->length;
    return share < 1 ? 1 - share : 0;
}

double score_items(const struct score *s, enum score_kind kind) {
    return s->items[kind] > 0 ? (double)s->kept[kind] / (double)s->items[kind] : (double)NAN;
}

/* ---- Opening ----------------------------------------------------------------------------- */

int scorer_open(struct scorer **out, struct error *e) {
    *out = NULL;
    struct scorer *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_memory(e, NULL);
    }
    int rc = matcher_open(&s->matcher, e);
    for (int i = 0; i < SCORE_PATTERNS && rc == 0; i++) {
        rc = pattern_open(&s->patterns[i], PATTERNS[i], strlen(PATTERNS[i]), false, e);
    }
    if (rc < 0) {
        scorer_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

static void side_close(struct side *s) {
    buffer_free(&s->folded);
    buffer_free(&s->points);
    buffer_free(&s->places);
    free(s->items);
}

void scorer_close(struct scorer *s) {
    if (s == NULL) {
        return;
    }
    for (int i = 0; i < SCORE_PATTERNS; i++) {
        pattern_close(s->patterns[i]);
    }
    matcher_close(s->matcher);
    side_close(&s->text);
    side_close(&s->read);
    alignment_close(&s->alignment);
    free(s);
}

/* ---- Items ------------------------------------------------------------------------------- */

static int decode(struct side *s, const char *text, size_t size, struct error *e) {
    int rc = buffer_reserve(&s->points, size + 1, sizeof(uint32_t), e);
    if (rc == 0) {
        rc = buffer_reserve(&s->places, size + 1, sizeof(size_t), e);
    }
    if (rc < 0) {
        return rc;
    }
    uint32_t *points = s->points.data;
    size_t *places = s->places.data;
    s->count = 0;
    for (size_t at = 0; at < size;) {
        bool valid;
        places[s->count] = at;
        at += utf8_decode(text + at, size - at, &points[s->count++], &valid);
    }
    places[s->count] = size;
    return 0;
}

static int add_item(struct side *s, enum score_kind kind, size_t *place, size_t start, size_t end,
                    struct error *e) {
    const size_t *places = s->places.data;
    struct item *items =
        array_grow(s->items, &s->item_capacity, s->item_count + 1, sizeof *items, e);
    if (items == NULL) {
        return ERR_MEMORY;
    }
    s->items = items;
    struct item *item = &items[s->item_count++];
    item->kind = kind;
    while (places[*place] < start) {
        ++*place;
    }
    item->start = *place;
    while (places[*place] < end) {
        ++*place;
    }
    item->end = *place;
    return 0;
}

static int find_items(struct scorer *s, struct side *side, const char *text, size_t size,
                      struct error *e) {
    size_t start[SCORE_PATTERNS] = {0}, end[SCORE_PATTERNS] = {0}; /* of the next of each kind */
    size_t place = 0, at = 0;
    for (bool fresh = true;; fresh = false) {
        int first = 0;
        for (int i = 0; i < SCORE_PATTERNS; i++) {
            if (fresh || start[i] < at) {
                int rc = pattern_find(s->patterns[i], s->matcher, (const unsigned char *)text, size,
                                      at, &start[i], &end[i], e);
                if (rc < 0) {
                    return rc;
                }
                start[i] = rc == 0 ? SIZE_MAX : start[i];
            }
            first = start[i] < start[first] ? i : first;
        }
        if (start[first] == SIZE_MAX) {
            return 0;
        }
        int rc = add_item(side, (enum score_kind)first, &place, start[first], end[first], e);
        if (rc < 0) {
            return rc;
        }
        at = end[first];
    }
}

static int fill(struct scorer *s, struct side *side, const char *text, size_t size,
                struct error *e) {
    side->item_count = 0;
    int rc = buffer_reserve(&side->folded, size + 1, 1, e);
    if (rc < 0) {
        return rc;
    }
    char *folded = side->folded.data;
    size = fold_text(text, size, folded);
    rc = decode(side, folded, size, e);
    return rc == 0 && size > 0 ? find_items(s, side, folded, size, e) : rc;
}

/* ---- Comparing --------------------------------------------------------------------------- */

/* The item of the reading that a character of it belongs to; NULL: none. */
static const struct item *item_at(const struct side *side, size_t place) {
    size_t low = 0, high = side->item_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (side->items[middle].end <= place) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < side->item_count && side->items[low].start <= place ? &side->items[low] : NULL;
}

static bool is_kept(const struct scorer *s, const struct item *item) {
    const struct item *found = NULL;
    for (size_t i = item->start; i < item->end; i++) {
        const int32_t to = s->alignment.to[i];
        const struct item *here = to >= 0 ? item_at(&s->read, (size_t)to) : NULL;
        if (here == NULL || here->kind != item->kind || (found != NULL && here != found)) {
            return false;
        }
        found = here;
    }
    return found != NULL && found->end - found->start == item->end - item->start;
}

static void count_headers(const struct scorer *s, struct score *score) {
    const uint32_t *points = s->text.points.data;
    bool inside = false;
    for (size_t i = 0; i < s->text.count; i++) {
        bool sign = points[i] >= SIGN_HEADER && points[i] <= SIGN_COMMENTS;
        inside = sign ? points[i] == SIGN_HEADER : inside;
        score->items[SCORE_HEADER] += inside;
        score->kept[SCORE_HEADER] += inside && s->alignment.to[i] >= 0;
    }
}

int scorer_compare(struct scorer *s, struct score *score, const char *read, size_t read_size,
                   const char *text, size_t size, struct error *e) {
    int rc = fill(s, &s->read, read, read_size, e);
    if (rc == 0) {
        rc = fill(s, &s->text, text, size, e);
    }
    if (rc == 0) {
        rc = alignment_make(&s->alignment, s->text.points.data, s->text.count, s->read.points.data,
                            s->read.count, e);
    }
    if (rc < 0) {
        return rc;
    }
    score->distance += s->alignment.distance;
    score->length += (int64_t)s->text.count;
    for (size_t i = 0; i < s->text.item_count; i++) {
        const struct item *item = &s->text.items[i];
        score->items[item->kind]++;
        score->kept[item->kind] += is_kept(s, item);
    }
    count_headers(s, score);
    return 0;
}
