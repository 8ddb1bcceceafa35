/* language.c - see language.h. The table holds the ISO 639-2 codes (both forms where there are two)
 * of the languages that have a two-letter code and that video sites offer captions in. */
#include "ingest/captions/language.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

static const char CODES[][2][4] = {
    {"ara", "ar"}, {"ben", "bn"}, {"bul", "bg"}, {"cat", "ca"}, {"ces", "cs"}, {"cze", "cs"},
    {"chi", "zh"}, {"zho", "zh"}, {"cmn", "zh"}, {"dan", "da"}, {"deu", "de"}, {"ger", "de"},
    {"dut", "nl"}, {"nld", "nl"}, {"ell", "el"}, {"gre", "el"}, {"eng", "en"}, {"est", "et"},
    {"fas", "fa"}, {"per", "fa"}, {"fin", "fi"}, {"fra", "fr"}, {"fre", "fr"}, {"heb", "he"},
    {"hin", "hi"}, {"hrv", "hr"}, {"hun", "hu"}, {"ind", "id"}, {"isl", "is"}, {"ice", "is"},
    {"ita", "it"}, {"jpn", "ja"}, {"kor", "ko"}, {"lav", "lv"}, {"lit", "lt"}, {"may", "ms"},
    {"msa", "ms"}, {"nob", "nb"}, {"nor", "no"}, {"pol", "pl"}, {"por", "pt"}, {"ron", "ro"},
    {"rum", "ro"}, {"rus", "ru"}, {"slk", "sk"}, {"slo", "sk"}, {"slv", "sl"}, {"spa", "es"},
    {"srp", "sr"}, {"swa", "sw"}, {"swe", "sv"}, {"tam", "ta"}, {"tel", "te"}, {"tgl", "tl"},
    {"fil", "tl"}, {"tha", "th"}, {"tur", "tr"}, {"ukr", "uk"}, {"urd", "ur"}, {"vie", "vi"},
};

/* The primary subtag in lower case, as two letters where the table knows it. */
static void primary(const char *name, size_t size, char out[9]) {
    size_t length = 0;
    while (length < size && length < 8 && isalpha((unsigned char)name[length])) {
        out[length] = (char)tolower((unsigned char)name[length]);
        length++;
    }
    out[length] = 0;
    for (size_t i = 0; i < sizeof CODES / sizeof *CODES; i++) {
        if (strcmp(CODES[i][0], out) == 0) {
            memcpy(out, CODES[i][1], sizeof CODES[i][1]);
            return;
        }
    }
}

static bool same(const char *a, size_t a_size, const char *b, size_t b_size) {
    char x[9], y[9];
    primary(a, a_size, x);
    primary(b, b_size, y);
    return x[0] && strcmp(x, y) == 0;
}

bool language_same(const char *a, const char *b) {
    return a != NULL && b != NULL && same(a, strlen(a), b, strlen(b));
}

int language_rank(const char *list, const char *language) {
    int rank = 0;
    while (list != NULL && *list) {
        size_t size = strcspn(list, ",");
        bool any = size == 1 && *list == '*';
        if (any || (language != NULL && same(list, size, language, strlen(language)))) {
            return rank;
        }
        list += size + (list[size] == ',');
        rank++;
    }
    return -1;
}

bool language_translated(const char *name, char from[3]) {
    const char *last = name != NULL ? strrchr(name, '-') : NULL;
    if (last == NULL || strlen(last) != 3 || !islower((unsigned char)last[1]) ||
        !islower((unsigned char)last[2]) || language_same(name, last + 1)) {
        return false;
    }
    memcpy(from, last + 1, 3);
    for (size_t i = 0; i < sizeof CODES / sizeof *CODES; i++) {
        if (strcmp(CODES[i][1], from) == 0) {
            return true;
        }
    }
    return false;
}
