/* marks.c - see marks.h. */
#include "train/paper/marks.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/utf8.h"

enum { SIGNS = sizeof MARKS_SIGNS - 1, LONGEST = 16 };
enum { NEWLINES = SIGNS, CAPITALS, DIGITS, OTHERS, EMOJI, CAPITALIZED, SHOUTED, WORD, SENTENCE };

struct counts {
    double characters, words, sentences, letters;
    double marks[MARKS_COUNT], found[FUNCTION_WORD_COUNT];
};
/* A word on its way: ASCII letters in lower case, apostrophes. */
struct word {
    char text[LONGEST];
    size_t size; /* characters, also those that did not fit */
    size_t capitals;
    bool capitalized;
};

static bool is_letter(uint32_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= 0xC0 && c < 0x2000);
}

static bool is_emoji(uint32_t c) {
    return (c >= 0x2600 && c < 0x27C0) || (c >= 0x1F000 && c < 0x1FB00);
}

static int compare_words(const void *a, const void *b) {
    return strcmp(a, *(const char *const *)b);
}

static void end_word(struct counts *n, struct word *w) {
    if (w->size == 0) {
        return;
    }
    n->words++;
    n->marks[CAPITALIZED] += w->capitalized;
    n->marks[SHOUTED] += w->size > 1 && w->capitals == w->size;
    if (w->size < LONGEST) {
        w->text[w->size] = 0;
        const char *const *known = bsearch(w->text, FUNCTION_WORDS, FUNCTION_WORD_COUNT,
                                           sizeof *FUNCTION_WORDS, compare_words);
        if (known != NULL) {
            n->found[known - FUNCTION_WORDS]++;
        }
    }
    *w = (struct word){.size = 0};
}

static void add_letter(struct counts *n, struct word *w, uint32_t c) {
    const bool capital = c >= 'A' && c <= 'Z';
    n->letters++;
    n->marks[CAPITALS] += capital;
    w->capitals += capital;
    w->capitalized = w->capitalized || (capital && w->size == 0);
    if (w->size < LONGEST) {
        w->text[w->size] = (char)(capital ? c - 'A' + 'a' : c < 0x80 ? c : '?');
    }
    w->size++;
}

static void add_sign(struct counts *n, uint32_t c, bool ends) {
    const char *sign = c < 0x80 && c != 0 ? strchr(MARKS_SIGNS, (int)c) : NULL;
    if (sign != NULL) {
        n->marks[sign - MARKS_SIGNS]++;
    }
    n->marks[NEWLINES] += c == '\n';
    n->marks[DIGITS] += c >= '0' && c <= '9';
    n->marks[EMOJI] += is_emoji(c);
    n->sentences += ends;
}

static void count_all(struct counts *n, const char *text, size_t size) {
    struct word word = {.size = 0};
    bool open = false; /* a sentence */
    for (size_t i = 0; i < size;) {
        uint32_t c;
        bool valid;
        i += utf8_decode(text + i, size - i, &c, &valid);
        n->characters++;
        n->marks[OTHERS] += c >= 0x80;
        if (is_letter(c)) {
            add_letter(n, &word, c);
            open = true;
            continue;
        }
        end_word(n, &word);
        const bool ends = open && (c == '.' || c == '!' || c == '?' || c == '\n');
        add_sign(n, c, ends);
        open = open && !ends;
    }
    end_word(n, &word);
    n->sentences += open;
}

bool marks_describe(const char *text, size_t size, float marks[MARKS_COUNT],
                    float words[FUNCTION_WORD_COUNT]) {
    struct counts n = {.characters = 0};
    count_all(&n, text, size);
    memset(marks, 0, MARKS_COUNT * sizeof *marks);
    memset(words, 0, FUNCTION_WORD_COUNT * sizeof *words);
    if (n.words < 1) {
        return false;
    }
    for (int i = 0; i < WORD; i++) {
        const double of = i == CAPITALIZED || i == SHOUTED ? n.words : n.characters;
        marks[i] = (float)sqrt(n.marks[i] / of);
    }
    marks[WORD] = (float)log(n.letters / n.words);
    marks[SENTENCE] = (float)log(n.words / fmax(n.sentences, 1));
    for (int i = 0; i < FUNCTION_WORD_COUNT; i++) {
        words[i] = (float)sqrt(n.found[i] / n.words);
    }
    return true;
}
