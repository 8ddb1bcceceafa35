/* ascii.c - see ascii.h. The kerning of a pair is asked for when the pair first comes up. */
#include "render/text/ascii.h"

#include <string.h>

enum { TRIALS = 48, TRIAL_BYTES = 48 };

bool ascii_is(const char *text, size_t size) {
    bool all = true;
    for (size_t i = 0; i < size; i++) {
        all &= (unsigned char)(text[i] - ASCII_FIRST) < ASCII_COUNT;
    }
    return all;
}

static bool is_word_character(char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '\'' ||
           c == '"' || c == '_';
}

bool ascii_is_solid(const char *text, size_t size) {
    size_t i = size > 0 && (text[0] == '(' || text[0] == '[');
    while (i < size && is_word_character(text[i])) {
        i++;
    }
    while (i < size && text[i] != 0 && strchr(".,:;!?)]\"'", text[i]) != NULL) {
        i++;
    }
    return i == size;
}

/* One character. */
static int learn_glyph(struct ascii *a, struct faces *faces, const struct ascii_oracle *oracle,
                       int index, struct error *e) {
    char c = (char)(ASCII_FIRST + index);
    uint32_t id[1];
    size_t count;
    bool plain;
    int rc = oracle->shape(oracle->context, &c, 1, id, &a->advances[index], &count, &plain, e);
    if (rc < 0) {
        return rc;
    }
    a->usable = a->usable && plain && count == 1 && id[0] != 0;
    a->slots[index] = a->usable ? faces_slot(faces, FONT_PRIMARY, id[0], FIT_ROW, e) : NULL;
    return a->slots[index] != NULL || !a->usable ? 0 : ERR_MEMORY;
}

int ascii_kerning(struct ascii *a, const struct ascii_oracle *oracle, char left, char right,
                  int32_t *change, struct error *e) {
    int16_t *known = &a->kerning[left - ASCII_FIRST][right - ASCII_FIRST];
    if (*known == ASCII_UNKNOWN) {
        char pair[2] = {left, right};
        uint32_t ids[2];
        int32_t advances[2];
        size_t count;
        bool plain;
        int rc = oracle->shape(oracle->context, pair, 2, ids, advances, &count, &plain, e);
        if (rc < 0) {
            return rc;
        }
        *known = (int16_t)(advances[0] - a->advances[left - ASCII_FIRST]);
    }
    *change = *known;
    return 0;
}

/* Whether a string comes out as HarfBuzz has it. */
static int try_string(struct ascii *a, const struct ascii_oracle *oracle, const char *text,
                      struct error *e) {
    uint32_t ids[TRIAL_BYTES];
    int32_t advances[TRIAL_BYTES];
    size_t count;
    bool plain;
    int rc = oracle->shape(oracle->context, text, TRIAL_BYTES, ids, advances, &count, &plain, e);
    a->usable = a->usable && rc == 0 && plain && count == TRIAL_BYTES;
    for (size_t i = 0; i < TRIAL_BYTES && rc == 0 && a->usable; i++) {
        int index = text[i] - ASCII_FIRST;
        int32_t change = 0;
        if (i + 1 < TRIAL_BYTES) {
            rc = ascii_kerning(a, oracle, text[i], text[i + 1], &change, e);
        }
        a->usable = ids[i] == a->slots[index]->id && advances[i] == a->advances[index] + change;
    }
    return rc;
}

int ascii_init(struct ascii *a, struct faces *faces, const struct ascii_oracle *oracle,
               struct error *e) {
    a->usable = true;
    for (size_t i = 0; i < ASCII_COUNT; i++) {
        for (size_t k = 0; k < ASCII_COUNT; k++) {
            a->kerning[i][k] = ASCII_UNKNOWN;
        }
    }
    int rc = 0;
    for (int i = 0; i < ASCII_COUNT && rc == 0 && a->usable; i++) {
        rc = learn_glyph(a, faces, oracle, i, e);
    }
    uint32_t state = 1;
    for (int trial = 0; trial < TRIALS && rc == 0 && a->usable; trial++) {
        char text[TRIAL_BYTES];
        for (size_t i = 0; i < TRIAL_BYTES; i++) {
            state = state * 1664525 + 1013904223;
            text[i] = (char)(ASCII_FIRST + 1 + (state >> 8) % (ASCII_COUNT - 1)); /* no space */
            if (i % 4 != 0) { /* letters: what contexts are made of */
                text[i] = (char)('a' + (state >> 8) % 26);
            }
        }
        rc = try_string(a, oracle, text, e);
    }
    return rc;
}
