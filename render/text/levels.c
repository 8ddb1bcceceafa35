/* levels.c - see levels.h. ICU knows isolates by their characters only, so that it is given a copy
 * of the paragraph with FSI and PDI around them. */
#include "render/text/levels.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/ubidi.h>
#include <unicode/uchar.h>

#include "store/array.h"
#include "store/utf8.h"

enum { LRI = 0x2066, FSI = 0x2068, PDI = 0x2069, NOTHING = 0x200B /* of no direction */ };

struct levels {
    UBiDi *bidi;
    UChar *utf16; /* the copy */
    size_t units, utf16_capacity;
    uint32_t *closing; /* PDIs after each isolate */
    size_t closing_capacity;
    uint8_t *bytes;
    size_t byte_capacity;
    /* of the leading isolates */
    bool has_direction, directions_differ;
    UCharDirection direction; /* of the first */
    size_t letters[2];        /* from left to right, from right to left */
};

int levels_open(struct levels **out, struct error *e) {
    struct levels *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return error_memory(e, NULL);
    }
    l->bidi = ubidi_open();
    if (l->bidi == NULL) {
        levels_close(l);
        return error_memory(e, NULL);
    }
    *out = l;
    return 0;
}

void levels_close(struct levels *l) {
    if (l == NULL) {
        return;
    }
    if (l->bidi != NULL) {
        ubidi_close(l->bidi);
    }
    free(l->utf16);
    free(l->closing);
    free(l->bytes);
    free(l);
}

/* A character has at most as many units as bytes; one that a PDI is added for has three bytes. */
static int make_room(struct levels *l, const struct clean *text, struct error *e) {
    size_t size = text->text.size, isolates = text->isolate_count;
    UChar *utf16 =
        array_grow(l->utf16, &l->utf16_capacity, size + 2 * isolates + 1, sizeof *utf16, e);
    l->utf16 = utf16 != NULL ? utf16 : l->utf16;
    uint32_t *closing = array_grow(l->closing, &l->closing_capacity, isolates, sizeof *closing, e);
    l->closing = closing != NULL ? closing : l->closing;
    uint8_t *bytes = array_grow(l->bytes, &l->byte_capacity, size + 1, 1, e);
    l->bytes = bytes != NULL ? bytes : l->bytes;
    return utf16 != NULL && closing != NULL && bytes != NULL ? 0 : ERR_MEMORY;
}

/* ---- The copy ------------------------------------------------------------------------ */

static void put(struct levels *l, uint32_t code_point) {
    if (code_point > 0xFFFF) {
        l->utf16[l->units++] = U16_LEAD(code_point);
        l->utf16[l->units++] = U16_TRAIL(code_point);
    } else {
        l->utf16[l->units++] = (UChar)code_point;
    }
}

static void put_text(struct levels *l, const char *text, size_t from, size_t to) {
    while (from < to) {
        uint32_t code_point;
        bool valid;
        from += utf8_decode(text + from, to - from, &code_point, &valid);
        put(l, code_point);
    }
}

/* Rule P2: a leading isolate's first letter, inner isolates passed over; and its letters. */
static void count_letter(struct levels *l, uint32_t code_point, bool inner, bool *found) {
    UCharDirection direction = u_charDirection((UChar32)code_point);
    bool rtl = direction == U_RIGHT_TO_LEFT || direction == U_RIGHT_TO_LEFT_ARABIC;
    if (!rtl && direction != U_LEFT_TO_RIGHT) {
        return;
    }
    l->letters[rtl]++;
    if (*found || inner) {
        return;
    }
    *found = true;
    direction = rtl ? U_RIGHT_TO_LEFT : U_LEFT_TO_RIGHT;
    l->directions_differ = l->directions_differ || (l->has_direction && l->direction != direction);
    l->direction = l->has_direction ? l->direction : direction;
    l->has_direction = true;
}

/* Puts [from, to) between FSI and PDI; the number of PDIs that this takes. */
static uint32_t put_isolate(struct levels *l, const char *text, size_t from, size_t to,
                            bool leads) {
    uint32_t open = 0;
    bool found = false;
    put(l, FSI);
    while (from < to) {
        uint32_t c;
        bool valid;
        from += utf8_decode(text + from, to - from, &c, &valid);
        if (c == PDI && open == 0) {
            c = NOTHING;
        }
        put(l, c);
        open += c >= LRI && c <= FSI;
        open -= c == PDI;
        if (leads) {
            count_letter(l, c, open > 0, &found);
        }
    }
    for (uint32_t i = 0; i <= open; i++) {
        put(l, PDI);
    }
    return open + 1;
}

/* Where an isolate begins and ends, without the spaces at its ends: these stand between it and its
 * neighbours. */
static struct clean_isolate trimmed(const struct clean *text, size_t index) {
    struct clean_isolate isolate = text->isolates[index];
    const char *bytes = bytes_text(&text->text);
    while (isolate.end > isolate.start && bytes[isolate.end - 1] == ' ') {
        isolate.end--;
    }
    while (isolate.start < isolate.end && bytes[isolate.start] == ' ') {
        isolate.start++;
    }
    return isolate;
}

static void copy(struct levels *l, const struct clean *text) {
    const char *bytes = bytes_text(&text->text);
    size_t at = 0;
    l->units = 0;
    l->has_direction = l->directions_differ = false;
    l->letters[0] = l->letters[1] = 0;
    for (size_t i = 0; i < text->isolate_count; i++) {
        struct clean_isolate isolate = trimmed(text, i);
        put_text(l, bytes, at, isolate.start);
        l->closing[i] = put_isolate(l, bytes, isolate.start, isolate.end, isolate.leads);
        at = isolate.end;
    }
    put_text(l, bytes, at, text->text.size);
}

static UBiDiLevel paragraph_level(const struct levels *l, const struct clean *text) {
    if (text->isolate_count == 0) {
        return UBIDI_DEFAULT_LTR;
    }
    bool rtl = l->has_direction && l->direction == U_RIGHT_TO_LEFT;
    if (l->directions_differ && l->letters[0] != l->letters[1]) {
        rtl = l->letters[1] > l->letters[0];
    }
    return rtl ? 1 : 0;
}

/* ---- From units to bytes ------------------------------------------------------------- */

static size_t spread_text(struct levels *l, const char *text, size_t from, size_t to,
                          const UBiDiLevel *resolved, size_t unit) {
    while (from < to) {
        uint32_t code_point;
        bool valid;
        size_t step = utf8_decode(text + from, to - from, &code_point, &valid);
        memset(l->bytes + from, resolved[unit], step);
        unit += code_point > 0xFFFF ? 2 : 1;
        from += step;
    }
    return unit;
}

static void spread(struct levels *l, const struct clean *text, const UBiDiLevel *resolved) {
    const char *bytes = bytes_text(&text->text);
    size_t at = 0, unit = 0;
    for (size_t i = 0; i < text->isolate_count; i++) {
        struct clean_isolate isolate = trimmed(text, i);
        unit = spread_text(l, bytes, at, isolate.start, resolved, unit) + 1;
        unit = spread_text(l, bytes, isolate.start, isolate.end, resolved, unit) + l->closing[i];
        at = isolate.end;
    }
    spread_text(l, bytes, at, text->text.size, resolved, unit);
}

int levels_find(struct levels *l, const struct clean *text, const uint8_t **levels,
                uint8_t *paragraph, struct error *e) {
    int rc = make_room(l, text, e);
    if (rc < 0) {
        return rc;
    }
    copy(l, text);
    UErrorCode status = U_ZERO_ERROR;
    ubidi_setPara(l->bidi, l->utf16, (int32_t)l->units, paragraph_level(l, text), NULL, &status);
    const UBiDiLevel *resolved = ubidi_getLevels(l->bidi, &status);
    if (U_FAILURE(status)) {
        return status == U_MEMORY_ALLOCATION_ERROR
                   ? error_memory(e, NULL)
                   : error_set(e, ERR_FORMAT, "bidirectional text: %s", u_errorName(status));
    }
    spread(l, text, resolved);
    *levels = l->bytes;
    *paragraph = ubidi_getParaLevel(l->bidi);
    return 0;
}
