/* letters.c - see letters.h. */
#include "train/read/letters.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "render/text/character.h"
#include "store/array.h"
#include "store/random.h"
#include "store/utf8.h"

struct letters {
    const struct alphabet *alphabet;
    const struct text_files *texts;
    int first_emoji, end_emoji; /* classes */
    struct letter_list {
        uint32_t *list; /* owned */
        size_t count, capacity;
    } scripts[CHARACTER_SCRIPTS];
};

/* ---- Letters --------------------------------------------------------------------------------- */

static int add_letter(struct letters *l, const char *text, struct error *e) {
    uint32_t c;
    bool valid;
    size_t size = strlen(text), length = utf8_decode(text, size, &c, &valid);
    enum character_script script = length == size && valid ? character_script(c) : SCRIPT_OTHER;
    if (script == SCRIPT_OTHER) {
        return 0;
    }
    struct letter_list *s = &l->scripts[script];
    uint32_t *list = array_grow(s->list, &s->capacity, s->count + 1, sizeof *list, e);
    if (list == NULL) {
        return ERR_MEMORY;
    }
    s->list = list;
    s->list[s->count++] = c;
    return 0;
}

int letters_open(struct letters **out, const struct alphabet *alphabet,
                 const struct text_files *texts, struct error *e) {
    *out = NULL;
    struct letters *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return error_memory(e, NULL);
    }
    l->alphabet = alphabet;
    l->texts = texts;
    alphabet_range(ALPHABET_EMOJI, &l->first_emoji, &l->end_emoji);
    int rc = 0;
    for (int i = ALPHABET_OTHER + 1; i < alphabet_count(alphabet) && rc == 0; i++) {
        rc = add_letter(l, alphabet_text(alphabet, i), e);
    }
    if (rc < 0) {
        letters_close(l);
        return rc;
    }
    *out = l;
    return 0;
}

void letters_close(struct letters *l) {
    if (l != NULL) {
        for (int i = 0; i < CHARACTER_SCRIPTS; i++) {
            free(l->scripts[i].list);
        }
        free(l);
    }
}

int letters_put_word(const struct letters *l, struct bytes *out, const char *word, size_t size,
                     uint64_t *random, struct error *e) {
    size_t chosen = size, chosen_length = 0;
    enum character_script script = SCRIPT_OTHER;
    int seen = 0;
    for (size_t at = 0; at < size;) { /* each of the letters as often as any */
        uint32_t c;
        bool valid;
        size_t length = utf8_decode(word + at, size - at, &c, &valid);
        enum character_script own = valid ? character_script(c) : SCRIPT_OTHER;
        if (own != SCRIPT_OTHER && l->scripts[own].count > 0 && random_below(random, ++seen) == 0) {
            script = own;
            chosen = at;
            chosen_length = length;
        }
        at += length;
    }
    if (script == SCRIPT_OTHER) {
        return bytes_append(out, word, size, e);
    }
    const struct letter_list *s = &l->scripts[script];
    char letter[4];
    size_t letter_size = utf8_encode(s->list[random_below(random, (int64_t)s->count)], letter);
    bool replaces = random_below(random, 2) == 0;
    size_t rest = chosen + (replaces ? chosen_length : 0);
    int rc = bytes_append(out, word, chosen, e);
    if (rc == 0) {
        rc = bytes_append(out, letter, letter_size, e);
    }
    return rc == 0 ? bytes_append(out, word + rest, size - rest, e) : rc;
}

/* ---- Emoji ----------------------------------------------------------------------------------- */

int letters_put_emoji(const struct letters *l, struct bytes *out, uint64_t *random,
                      struct error *e) {
    enum { ANY = 4, TONED = 8 /* one of so many */, FIRST_TONE = 0x1F3FB, TONES = 5 };
    const double offset = 12;
    double count = l->end_emoji - l->first_emoji, u = random_unit(random);
    /* the share of those before the n-th is log(1 + n / offset) / log(1 + count / offset) */
    double rank =
        random_below(random, ANY) == 0 ? u * count : offset * (pow(1 + count / offset, u) - 1);
    const char *text = alphabet_text(l->alphabet, l->first_emoji + (int)(rank < count ? rank : 0));
    uint32_t c;
    bool valid;
    size_t size = strlen(text), length = utf8_decode(text, size, &c, &valid);
    int rc = bytes_append(out, text, size, e);
    if (rc == 0 && length == size && character_takes_tone(c) && random_below(random, TONED) == 0) {
        char tone[4];
        rc = bytes_append(out, tone,
                          utf8_encode(FIRST_TONE + (uint32_t)random_below(random, TONES), tone), e);
    }
    return rc;
}

/* ---- What the alphabet does not hold --------------------------------------------------------- */

/* Characters, and marks that may follow each; `longest` word of them. */
struct strange {
    uint32_t first, last, first_mark, last_mark;
    double share;
    int longest;
};
static const struct strange STRANGE[] = {
    {0x4E00, 0x9FA5, 0, 0, 6, 14},       /* Chinese */
    {0x3041, 0x3096, 0, 0, 2, 10},       /* Hiragana */
    {0x30A1, 0x30FA, 0, 0, 1.5, 8},      /* Katakana */
    {0xAC00, 0xD7A3, 0, 0, 2, 5},        /* Hangul */
    {0x621, 0x63A, 0, 0, 1.5, 7},        /* Arabic */
    {0x641, 0x64A, 0, 0, 1.5, 7},        /* Arabic */
    {0x5D0, 0x5EA, 0, 0, 1.5, 7},        /* Hebrew */
    {0xE01, 0xE2E, 0xE31, 0xE31, 1, 10}, /* Thai */
    {0xE01, 0xE2E, 0xE47, 0xE4C, 1, 10}, /* Thai */
    {0x905, 0x939, 0x93E, 0x94C, 2, 7},  /* Devanagari */
    {0x10D0, 0x10F0, 0, 0, 0.5, 8},      /* Georgian */
    {0x561, 0x586, 0, 0, 0.5, 8},        /* Armenian */
    {0x180, 0x24F, 0, 0, 0.5, 2},        /* rare Latin letters */
    {0x250, 0x2AF, 0, 0, 0.5, 6},        /* phonetic */
    {0x1F00, 0x1F4D, 0, 0, 0.3, 2},      /* old Greek */
    {0x2070, 0x209C, 0, 0, 0.3, 2},      /* raised and lowered */
    {0x2100, 0x214F, 0, 0, 0.3, 1},      /* like letters */
    {0x2194, 0x21FF, 0, 0, 0.5, 2},      /* arrows */
    {0x2200, 0x22FF, 0, 0, 0.5, 2},      /* mathematics */
    {0x2500, 0x257F, 0, 0, 0.3, 6},      /* boxes */
    {0x2580, 0x25FF, 0, 0, 0.5, 4},      /* blocks */
    {0x2600, 0x26FF, 0, 0, 0.5, 2},      /* signs */
    {0x2700, 0x27BE, 0, 0, 0.5, 2},      /* dingbats */
    {0xFF01, 0xFF5E, 0, 0, 0.5, 5},      /* full width */
    {0x1F300, 0x1F64F, 0, 0, 1, 3},      /* emoji that are little used */
    {0x1F680, 0x1F6FC, 0, 0, 0.5, 3},    /* emoji */
    {0x1F90C, 0x1F9FF, 0, 0, 0.5, 3},    /* emoji */
    {0x1D400, 0x1D433, 0, 0, 0.3, 8},    /* mathematical letters, as in names */
};
enum { STRANGE_COUNT = sizeof STRANGE / sizeof *STRANGE };

static const struct strange *choose_strange(uint64_t *random) {
    double shares[STRANGE_COUNT];
    for (int i = 0; i < STRANGE_COUNT; i++) {
        shares[i] = STRANGE[i].share;
    }
    return &STRANGE[random_choice(random, shares, STRANGE_COUNT)];
}

static uint32_t between(uint32_t first, uint32_t last, uint64_t *random) {
    return first + (uint32_t)random_below(random, (int64_t)(last - first) + 1);
}

/* The first characters of a word. */
static int put_strange_word(const struct text_file *f, struct bytes *out, int most,
                            uint64_t *random, struct error *e) {
    size_t before = out->size, end = before;
    int rc = text_words(out, f, 1, random, e);
    for (int i = 0; i < most && end < out->size && rc == 0; i++) {
        uint32_t c;
        bool valid;
        end += utf8_decode(bytes_text(out) + end, out->size - end, &c, &valid);
    }
    if (rc == 0 && end < out->size) {
        out->size = end;
        out->data[end] = '\0';
    }
    return rc;
}

int letters_put_strange(const struct letters *l, struct bytes *out, int most, uint64_t *random,
                        struct error *e) {
    const struct text_file *f = text_files_choose_strange(l->texts, random);
    if (f != NULL && random_below(random, 2) == 0) {
        return put_strange_word(f, out, most, random, e);
    }
    const struct strange *s = choose_strange(random);
    most = most < s->longest ? most : s->longest;
    int count = 1 + (int)random_below(random, most), rc = 0;
    for (int tries = 0; count > 0 && tries < 100 && rc == 0; tries++) {
        char text[8];
        uint32_t c = between(s->first, s->last, random);
        size_t size = utf8_encode(c, text);
        if (!character_is_assigned(c) || alphabet_find(l->alphabet, text, size) != ALPHABET_OTHER) {
            continue;
        }
        if (s->last_mark > 0 && random_below(random, 3) == 0) {
            size += utf8_encode(between(s->first_mark, s->last_mark, random), text + size);
        }
        rc = bytes_append(out, text, size, e);
        count--;
    }
    return rc;
}
