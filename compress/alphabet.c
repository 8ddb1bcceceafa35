/* alphabet.c - see alphabet.h. */
#include "compress/alphabet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compress/alphabet_emoji.h"
#include "compress/fold.h"
#include "store/array.h"
#include "store/table.h"
#include "store/utf8.h"

struct alphabet {
    char **texts;
    int count;
    size_t capacity;
    struct table *classes, *folded; /* by their texts; by their texts folded, the first of each */
};

/* ---- What we train -------------------------------------------------------------------- */

struct range {
    enum alphabet_part part;
    uint32_t first, last;
};

/* In order of their parts. Left out is what fold.h makes another character of. */
static const struct range RANGES[] = {
    {ALPHABET_ASCII, 0x20, 0x7E},        {ALPHABET_LATIN, 0xA1, 0xAC},
    {ALPHABET_LATIN, 0xAE, 0x17F},       {ALPHABET_LATIN, 0x18F, 0x18F},
    {ALPHABET_LATIN, 0x218, 0x21B},      {ALPHABET_LATIN, 0x259, 0x259},
    {ALPHABET_LATIN, 0x1E9E, 0x1E9E},    {ALPHABET_VIETNAMESE, 0x1A0, 0x1A1},
    {ALPHABET_VIETNAMESE, 0x1AF, 0x1B0}, {ALPHABET_VIETNAMESE, 0x1EA0, 0x1EF9},
    {ALPHABET_GREEK, 0x386, 0x386},      {ALPHABET_GREEK, 0x388, 0x38A},
    {ALPHABET_GREEK, 0x38C, 0x38C},      {ALPHABET_GREEK, 0x38E, 0x3A1},
    {ALPHABET_GREEK, 0x3A3, 0x3CE},      {ALPHABET_CYRILLIC, 0x400, 0x45F},
    {ALPHABET_CYRILLIC, 0x490, 0x493},   {ALPHABET_CYRILLIC, 0x496, 0x497},
    {ALPHABET_CYRILLIC, 0x49A, 0x49B},   {ALPHABET_CYRILLIC, 0x4A2, 0x4A3},
    {ALPHABET_CYRILLIC, 0x4AE, 0x4B3},   {ALPHABET_CYRILLIC, 0x4B6, 0x4B7},
    {ALPHABET_CYRILLIC, 0x4BA, 0x4BB},   {ALPHABET_CYRILLIC, 0x4D8, 0x4D9},
    {ALPHABET_CYRILLIC, 0x4E2, 0x4E3},   {ALPHABET_CYRILLIC, 0x4E8, 0x4E9},
    {ALPHABET_CYRILLIC, 0x4EE, 0x4EF},   {ALPHABET_SIGNS, 0x2013, 0x2015},
    {ALPHABET_SIGNS, 0x2018, 0x201E},    {ALPHABET_SIGNS, 0x2020, 0x2023},
    {ALPHABET_SIGNS, 0x2026, 0x2026},    {ALPHABET_SIGNS, 0x2030, 0x2030},
    {ALPHABET_SIGNS, 0x2032, 0x2033},    {ALPHABET_SIGNS, 0x2039, 0x203A},
    {ALPHABET_SIGNS, 0x203C, 0x203C},    {ALPHABET_SIGNS, 0x2044, 0x2044},
    {ALPHABET_SIGNS, 0x2070, 0x2070},    {ALPHABET_SIGNS, 0x2074, 0x2079},
    {ALPHABET_SIGNS, 0x2080, 0x2089},    {ALPHABET_SIGNS, 0x20A4, 0x20A4},
    {ALPHABET_SIGNS, 0x20A6, 0x20A6},    {ALPHABET_SIGNS, 0x20A8, 0x20AC},
    {ALPHABET_SIGNS, 0x20AE, 0x20AE},    {ALPHABET_SIGNS, 0x20B1, 0x20B4},
    {ALPHABET_SIGNS, 0x20B8, 0x20BF},    {ALPHABET_SIGNS, 0x2103, 0x2103},
    {ALPHABET_SIGNS, 0x2116, 0x2116},    {ALPHABET_SIGNS, 0x2122, 0x2122},
    {ALPHABET_SIGNS, 0x2153, 0x2154},    {ALPHABET_SIGNS, 0x215B, 0x215B},
    {ALPHABET_SIGNS, 0x2190, 0x2199},    {ALPHABET_SIGNS, 0x21D0, 0x21D5},
    {ALPHABET_SIGNS, 0x2202, 0x2202},    {ALPHABET_SIGNS, 0x2205, 0x2205},
    {ALPHABET_SIGNS, 0x2208, 0x2208},    {ALPHABET_SIGNS, 0x220F, 0x220F},
    {ALPHABET_SIGNS, 0x2211, 0x2212},    {ALPHABET_SIGNS, 0x221A, 0x221A},
    {ALPHABET_SIGNS, 0x221E, 0x221E},    {ALPHABET_SIGNS, 0x2229, 0x2229},
    {ALPHABET_SIGNS, 0x222A, 0x222A},    {ALPHABET_SIGNS, 0x222B, 0x222B},
    {ALPHABET_SIGNS, 0x2248, 0x2248},    {ALPHABET_SIGNS, 0x2260, 0x2261},
    {ALPHABET_SIGNS, 0x2264, 0x2265},    {ALPHABET_SIGNS, 0x2500, 0x2502},
    {ALPHABET_SIGNS, 0x250C, 0x250C},    {ALPHABET_SIGNS, 0x2510, 0x2510},
    {ALPHABET_SIGNS, 0x2514, 0x2514},    {ALPHABET_SIGNS, 0x2518, 0x2518},
    {ALPHABET_SIGNS, 0x251C, 0x251C},    {ALPHABET_SIGNS, 0x2524, 0x2524},
    {ALPHABET_SIGNS, 0x252C, 0x252C},    {ALPHABET_SIGNS, 0x2534, 0x2534},
    {ALPHABET_SIGNS, 0x253C, 0x253C},    {ALPHABET_SIGNS, 0x2550, 0x2551},
    {ALPHABET_SIGNS, 0x2588, 0x2588},    {ALPHABET_SIGNS, 0x2591, 0x2593},
    {ALPHABET_SIGNS, 0x25A0, 0x25A1},    {ALPHABET_SIGNS, 0x25AA, 0x25AA},
    {ALPHABET_SIGNS, 0x25AC, 0x25AC},    {ALPHABET_SIGNS, 0x25B2, 0x25B3},
    {ALPHABET_SIGNS, 0x25B6, 0x25B8},    {ALPHABET_SIGNS, 0x25BA, 0x25BA},
    {ALPHABET_SIGNS, 0x25BC, 0x25BD},    {ALPHABET_SIGNS, 0x25C4, 0x25C4},
    {ALPHABET_SIGNS, 0x25C6, 0x25C7},    {ALPHABET_SIGNS, 0x25CB, 0x25CB},
    {ALPHABET_SIGNS, 0x25CF, 0x25CF},    {ALPHABET_SIGNS, 0x25E6, 0x25E6},
    {ALPHABET_SIGNS, 0x2605, 0x2606},    {ALPHABET_SIGNS, 0x2640, 0x2640},
    {ALPHABET_SIGNS, 0x2642, 0x2642},    {ALPHABET_SIGNS, 0x2661, 0x2661},
    {ALPHABET_SIGNS, 0x2665, 0x2666},    {ALPHABET_SIGNS, 0x266A, 0x266C},
    {ALPHABET_SIGNS, 0x2713, 0x2714},    {ALPHABET_SIGNS, 0x2717, 0x2718},
    {ALPHABET_SIGNS, 0x2726, 0x2726},    {ALPHABET_SIGNS, 0x2727, 0x2727},
    {ALPHABET_SIGNS, 0x2764, 0x2764},    {ALPHABET_SIGNS, 0x2765, 0x2765},
    {ALPHABET_SIGNS, 0x279C, 0x279C},    {ALPHABET_SIGNS, 0x27A4, 0x27A4},
    {ALPHABET_PLACED, 0xA, 0xA},         {ALPHABET_PLACED, 0x336, 0x336},
    {ALPHABET_PLACED, 0x25A3, 0x25A7}};
enum { RANGE_COUNT = sizeof RANGES / sizeof *RANGES };

/* The next emoji of ALPHABET_EMOJI_ROWS; `row` and `at` begin at 0. False: there is no more. */
static bool next_emoji(size_t *row, size_t *at, char text[ALPHABET_TEXT + 1]) {
    const char *list = ALPHABET_EMOJI_ROWS[*row];
    if (list == NULL) {
        return false;
    }
    size_t size = strcspn(list + *at, " ");
    snprintf(text, ALPHABET_TEXT + 1, "%.*s", (int)size, list + *at);
    *at += size + 1;
    if (list[*at - 1] == '\0') {
        ++*row;
        *at = 0;
    }
    return true;
}

void alphabet_range(enum alphabet_part part, int *first, int *end) {
    int at = 1;
    *first = *end = 0;
    for (size_t i = 0; i < RANGE_COUNT; i++) {
        int size = (int)(RANGES[i].last - RANGES[i].first + 1);
        if (RANGES[i].part == part) {
            *first = *first == 0 ? at : *first;
            *end = at + size;
        }
        at += size;
    }
    if (part == ALPHABET_EMOJI) {
        char text[ALPHABET_TEXT + 1];
        size_t row = 0, place = 0;
        *first = *end = at;
        while (next_emoji(&row, &place, text)) {
            ++*end;
        }
    }
}

/* ---- The list ------------------------------------------------------------------------- */

static int add(struct alphabet *a, const char *text, struct error *e) {
    char **texts = array_grow(a->texts, &a->capacity, (size_t)a->count + 1, sizeof *texts, e);
    if (texts == NULL) {
        return ERR_MEMORY;
    }
    a->texts = texts;
    int rc = table_add(a->classes, text, (size_t)a->count, NULL, e);
    if (rc <= 0) {
        return rc < 0 ? rc : error_set(e, ERR_FORMAT, "alphabet: '%s' is there twice", text);
    }
    char *copy = strdup(text);
    if (copy == NULL) {
        return error_memory(e, NULL);
    }
    a->texts[a->count++] = copy;
    char folded[ALPHABET_TEXT + 1];
    folded[fold_text(text, strlen(text), folded)] = '\0';
    rc = table_add(a->folded, folded, (size_t)a->count - 1, NULL, e);
    return rc < 0 ? rc : 0;
}

static int begin(struct alphabet **out, struct alphabet **a, struct error *e) {
    *out = NULL;
    *a = calloc(1, sizeof **a);
    int rc = *a != NULL ? table_open(&(*a)->classes, e) : error_memory(e, NULL);
    return rc == 0 ? table_open(&(*a)->folded, e) : rc;
}

static int finish(struct alphabet **out, struct alphabet *a, int rc) {
    if (rc < 0) {
        alphabet_close(a);
        return rc;
    }
    *out = a;
    return 0;
}

int alphabet_open(struct alphabet **out, struct error *e) {
    struct alphabet *a;
    int rc = begin(out, &a, e);
    if (rc == 0) {
        rc = add(a, "\xEF\xBF\xBD", e);
    }
    for (size_t i = 0; i < RANGE_COUNT && rc == 0; i++) {
        for (uint32_t c = RANGES[i].first; c <= RANGES[i].last && rc == 0; c++) {
            char text[5] = {0};
            utf8_encode(c, text);
            rc = add(a, text, e);
        }
    }
    char emoji[ALPHABET_TEXT + 1];
    size_t row = 0, at = 0;
    while (rc == 0 && next_emoji(&row, &at, emoji)) {
        rc = add(a, emoji, e);
    }
    return finish(out, a, rc);
}

int alphabet_parse(struct alphabet **out, const json_t *list, struct error *e) {
    struct alphabet *a;
    int rc = begin(out, &a, e);
    size_t i;
    json_t *item;
    if (rc == 0 && (json_array_size(list) < 2 || json_array_size(list) > ALPHABET_CLASSES)) {
        rc = error_set(e, ERR_FORMAT, "alphabet: is not a list of 2 to %d texts", ALPHABET_CLASSES);
    }
    json_array_foreach(list, i, item) {
        size_t length = json_string_length(item);
        if (rc == 0 && (length == 0 || length > ALPHABET_TEXT)) {
            rc = error_set(e, ERR_FORMAT, "alphabet: class %zu is not a text of 1 to %d bytes", i,
                           ALPHABET_TEXT);
        }
        if (rc == 0) {
            rc = add(a, json_string_value(item), e);
        }
    }
    return finish(out, a, rc);
}

void alphabet_close(struct alphabet *a) {
    if (a == NULL) {
        return;
    }
    for (int i = 0; i < a->count; i++) {
        free(a->texts[i]);
    }
    free(a->texts);
    table_close(a->classes);
    table_close(a->folded);
    free(a);
}

json_t *alphabet_json(const struct alphabet *a) {
    json_t *list = json_array();
    for (int i = 0; i < a->count && list != NULL; i++) {
        if (json_array_append_new(list, json_string(a->texts[i])) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

int alphabet_count(const struct alphabet *a) {
    return a->count;
}

const char *alphabet_text(const struct alphabet *a, int class_index) {
    return a->texts[class_index];
}

int alphabet_find(const struct alphabet *a, const char *text, size_t size) {
    char copy[ALPHABET_LONGEST + 1];
    size_t index = ALPHABET_OTHER;
    if (size == 0 || size > ALPHABET_LONGEST) {
        return ALPHABET_OTHER;
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    if (!table_find(a->classes, copy, &index)) {
        copy[fold_text(copy, size, copy)] = '\0';
        table_find(a->folded, copy, &index);
    }
    return (int)index;
}

int alphabet_next(const struct alphabet *a, const char *text, size_t size, size_t *used) {
    char folded[ALPHABET_LONGEST];
    uint32_t c;
    bool valid;
    size_t left;
    *used = fold_character(text, size < sizeof folded ? size : sizeof folded, folded, &left);
    if (left == 0) {
        return ALPHABET_NOTHING;
    }
    int index = alphabet_find(a, text, *used);
    if (index == ALPHABET_OTHER) {
        *used = utf8_decode(text, size, &c, &valid);
    }
    return index;
}
