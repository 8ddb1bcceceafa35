/* alphabet.c - see alphabet.h. */
#include "compress/alphabet.h"

#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "store/table.h"
#include "store/utf8.h"

struct alphabet {
    char **texts;
    int count;
    size_t capacity;
    struct table *classes;
    int longest;     /* code points of a class */
    bool ascii[128]; /* classes of one byte */
};

/* ---- What we train -------------------------------------------------------------------- */

struct range {
    enum alphabet_part part;
    uint32_t first, last;
};

/* Left out: U+00A0 and U+00AD, which are drawn as other characters or not at all. */
static const struct range RANGES[] = {
    {ALPHABET_ASCII, 0x20, 0x7E},      {ALPHABET_LATIN, 0xA1, 0xAC},
    {ALPHABET_LATIN, 0xAE, 0x17F},     {ALPHABET_LATIN, 0x218, 0x21B},
    {ALPHABET_GREEK, 0x386, 0x386},    {ALPHABET_GREEK, 0x388, 0x38A},
    {ALPHABET_GREEK, 0x38C, 0x38C},    {ALPHABET_GREEK, 0x38E, 0x3A1},
    {ALPHABET_GREEK, 0x3A3, 0x3CE},    {ALPHABET_CYRILLIC, 0x400, 0x45F},
    {ALPHABET_CYRILLIC, 0x490, 0x493}, {ALPHABET_SIGNS, 0x2013, 0x2015},
    {ALPHABET_SIGNS, 0x2018, 0x201E},  {ALPHABET_SIGNS, 0x2020, 0x2022},
    {ALPHABET_SIGNS, 0x2026, 0x2026},  {ALPHABET_SIGNS, 0x2030, 0x2030},
    {ALPHABET_SIGNS, 0x2032, 0x2033},  {ALPHABET_SIGNS, 0x2039, 0x203A},
    {ALPHABET_SIGNS, 0x203C, 0x203C},  {ALPHABET_SIGNS, 0x2044, 0x2044},
    {ALPHABET_SIGNS, 0x20A4, 0x20A4},  {ALPHABET_SIGNS, 0x20A6, 0x20A6},
    {ALPHABET_SIGNS, 0x20A9, 0x20AC},  {ALPHABET_SIGNS, 0x20B1, 0x20B4},
    {ALPHABET_SIGNS, 0x20B8, 0x20BD},  {ALPHABET_SIGNS, 0x2116, 0x2116},
    {ALPHABET_SIGNS, 0x2122, 0x2122},  {ALPHABET_SIGNS, 0x2190, 0x2199},
    {ALPHABET_SIGNS, 0x21D0, 0x21D5},  {ALPHABET_SIGNS, 0x2202, 0x2202},
    {ALPHABET_SIGNS, 0x220F, 0x220F},  {ALPHABET_SIGNS, 0x2211, 0x2212},
    {ALPHABET_SIGNS, 0x221A, 0x221A},  {ALPHABET_SIGNS, 0x221E, 0x221E},
    {ALPHABET_SIGNS, 0x222B, 0x222B},  {ALPHABET_SIGNS, 0x2248, 0x2248},
    {ALPHABET_SIGNS, 0x2260, 0x2260},  {ALPHABET_SIGNS, 0x2264, 0x2265},
    {ALPHABET_SIGNS, 0x25A0, 0x25A1},  {ALPHABET_SIGNS, 0x25B2, 0x25B3},
    {ALPHABET_SIGNS, 0x25B6, 0x25B7},  {ALPHABET_SIGNS, 0x25BC, 0x25BD},
    {ALPHABET_SIGNS, 0x25C6, 0x25C7},  {ALPHABET_SIGNS, 0x25CB, 0x25CB},
    {ALPHABET_SIGNS, 0x25CF, 0x25CF},  {ALPHABET_SIGNS, 0x2605, 0x2606},
    {ALPHABET_SIGNS, 0x2640, 0x2640},  {ALPHABET_SIGNS, 0x2642, 0x2642},
    {ALPHABET_SIGNS, 0x2665, 0x2666},  {ALPHABET_SIGNS, 0x266A, 0x266B},
    {ALPHABET_SIGNS, 0x2713, 0x2714},  {ALPHABET_SIGNS, 0x2717, 0x2718},
    {ALPHABET_SIGNS, 0x2764, 0x2764},  {ALPHABET_SIGNS, 0x279C, 0x279C}};

static const char *const EMOJI[] = {
    "😂",      "❤️", "🤣", "👍",      "😭",    "🙏",      "😘",      "🥰", "😍",      "😊",
    "🎉",      "😁",      "💕",    "🥺",   "😅",    "🔥",      "☺️", "🤦", "♥️", "🤷",
    "🙄",   "😆",      "🤗", "😉",      "🎂",    "🤔",   "👏",      "🙂", "😳",      "🥳",
    "😎",      "👌",      "💜",    "😔",      "💪",    "✨",      "💖",      "👀",    "😋",      "😏",
    "😢",      "👉",      "💗",    "😩",      "💯",    "🌹",      "💞",      "🎈",    "💙",      "😃",
    "😡",      "💐",      "😜",    "🙈",      "🤞", "😄",      "🤤",   "🙌",    "🤪",   "❣️",
    "😀",      "💋",      "💀",    "👇",      "💔",    "😌",      "💓",      "🤩", "🙃",   "😬",
    "😱",      "😴",      "🤭", "😐",      "🌞",    "😒",      "😇",      "🌸",    "😈",      "🎶",
    "✌️", "🎊",      "🥵", "😞",      "💚",    "☀️", "🖤",   "💰",    "😚",      "👑",
    "🎁",      "💥",      "🙋",    "☹️", "😑",    "🥴",   "👈",      "💩",    "✅",      "🚀",
    "👋",      "🤮",   "😤",    "🤢",   "🎵",    "⭐",      "🌟",      "🍌",    "🐶",      "🐱",
    "🌍",      "🏆",      "📌",    "📸",   "🎥",    "💡",      "❌",      "❗",    "❓",      "⚡",
    "🔴",      "🟢",   "🍎",    "🍕",      "☕",    "🎬",      "🙊",      "🤝"};
enum { EMOJI_COUNT = sizeof EMOJI / sizeof *EMOJI, RANGE_COUNT = sizeof RANGES / sizeof *RANGES };

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
        *first = at;
        *end = at + EMOJI_COUNT;
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
    int length = 0;
    for (const char *p = text; *p != '\0'; p++) {
        length += ((unsigned char)*p & 0xC0) != 0x80;
    }
    a->longest = length > a->longest ? length : a->longest;
    if ((unsigned char)text[0] < 128 && text[1] == '\0') {
        a->ascii[(unsigned char)text[0]] = true;
    }
    return 0;
}

static int begin(struct alphabet **out, struct alphabet **a, struct error *e) {
    *out = NULL;
    *a = calloc(1, sizeof **a);
    return *a != NULL ? table_open(&(*a)->classes, e) : error_memory(e, NULL);
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
    for (size_t i = 0; i < EMOJI_COUNT && rc == 0; i++) {
        rc = add(a, EMOJI[i], e);
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
    char copy[ALPHABET_TEXT + 1];
    size_t index = ALPHABET_OTHER;
    if (size == 0 || size > ALPHABET_TEXT) {
        return ALPHABET_OTHER;
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    return table_find(a->classes, copy, &index) ? (int)index : ALPHABET_OTHER;
}

size_t alphabet_match(const struct alphabet *a, const char *text, size_t size) {
    size_t ends[ALPHABET_TEXT], at = 0;
    int count = 0;
    /* A letter with letters after it, as nearly always. */
    if (size > 0 && (unsigned char)text[0] < 128 && (size == 1 || (unsigned char)text[1] < 128)) {
        return a->ascii[(unsigned char)text[0]];
    }
    while (at < size && count < a->longest && count < ALPHABET_TEXT) {
        uint32_t code_point;
        bool valid;
        at += utf8_decode(text + at, size - at, &code_point, &valid);
        ends[count++] = at;
    }
    while (count > 0 && alphabet_find(a, text, ends[count - 1]) == ALPHABET_OTHER) {
        count--;
    }
    return count > 0 ? ends[count - 1] : 0;
}
