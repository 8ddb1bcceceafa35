/* facts_date.c - dates with the name of a month in them: see facts.h. */
#include <string.h>

#include "store/facts_scan.h"

/* Names as they stand in dates, in small letters, a space before and behind each: English, German,
 * French, Spanish, Portuguese, Italian, Dutch, Polish, Turkish, Russian; what two of them share is
 * here once. */
static const char MONTHS[] =
    " january february march april may june july august september october november december"
    " jan feb mar apr jun jul aug sep sept oct nov dec"
    " januar jänner februar märz mai juni juli oktober dezember"
    " janvier février mars avril juin juillet août septembre octobre novembre décembre"
    " enero febrero marzo abril mayo junio julio agosto septiembre setiembre octubre noviembre"
    " diciembre"
    " janeiro fevereiro março maio junho julho setembro outubro novembro dezembro"
    " gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre"
    " januari februari maart mei augustus"
    " stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada"
    " grudnia"
    " ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık"
    " января февраля марта апреля мая июня июля августа сентября октября ноября декабря ";

/* What may stand between a day, a month and a year. */
static const char *const LINKS[] = {"de ", "del ", "of ", "OF "};
/* What may follow the number of a day. */
static const char *const ORDINALS[] = {"st", "nd", "rd", "th", "ST", "ND",
                                       "RD", "TH", "er", "º",  "."};

/* The place behind `word` at `at`; `at`: it is not there. */
static size_t skip_text(const struct facts_text *t, size_t at, const char *word) {
    size_t length = strlen(word);
    return t->size - at >= length && memcmp(t->text + at, word, length) == 0 ? at + length : at;
}

static size_t skip_any(const struct facts_text *t, size_t at, const char *const *words,
                       size_t count) {
    for (size_t i = 0; i < count; i++) {
        size_t end = skip_text(t, at, words[i]);
        if (end > at) {
            return end;
        }
    }
    return at;
}

/* One space or line end, and a link after it; `at`: there is no space. */
static size_t skip_gap(const struct facts_text *t, size_t at) {
    if (at >= t->size || (t->text[at] != ' ' && t->text[at] != '\n')) {
        return at;
    }
    return skip_any(t, at + 1, LINKS, sizeof LINKS / sizeof *LINKS);
}

static bool is_boundary(const struct facts_text *t, size_t at) {
    size_t next;
    return !facts_is_word(facts_at(t, at, &next));
}

/* The end of a number of `least` to `most` of 0-9; `at`: there is none. */
static size_t skip_number(const struct facts_text *t, size_t at, size_t least, size_t most) {
    size_t end = at;
    while (end < t->size && t->text[end] >= '0' && t->text[end] <= '9') {
        end++;
    }
    return end - at >= least && end - at <= most ? end : at;
}

static size_t skip_year(const struct facts_text *t, size_t at) {
    size_t end = skip_number(t, at, 4, 4);
    return is_boundary(t, end) ? end : at;
}

static size_t skip_day(const struct facts_text *t, size_t at) {
    size_t end = skip_number(t, at, 1, 2);
    if (end == at) {
        return at;
    }
    size_t ordinal = skip_any(t, end, ORDINALS, sizeof ORDINALS / sizeof *ORDINALS);
    return is_boundary(t, ordinal) ? ordinal : at;
}

static size_t skip_month(const struct facts_text *t, size_t at) {
    char word[32] = " ";
    size_t length = 1, end = at, next;
    for (uint32_t c = facts_at(t, end, &next); facts_is_letter(c); c = facts_at(t, end, &next)) {
        if (length + (next - end) + 2 > sizeof word) {
            return at;
        }
        memcpy(word + length, t->text + end, next - end);
        if (c >= 'A' && c <= 'Z') {
            word[length] = (char)(c - 'A' + 'a');
        }
        length += next - end;
        end = next;
    }
    memcpy(word + length, " ", 2);
    return length > 1 && is_boundary(t, end) && strstr(MONTHS, word) != NULL ? end : at;
}

/* " 2024", ", 2024", " de 2024" behind a date; `at` where there is none. */
static size_t skip_year_after(const struct facts_text *t, size_t at) {
    size_t comma = skip_text(t, at, ","), gap = skip_gap(t, comma);
    size_t end = gap > comma ? skip_year(t, gap) : gap;
    return end > gap ? end : at;
}

static size_t day_first(const struct facts_text *t, size_t at) {
    size_t day = skip_day(t, at), gap = skip_gap(t, day);
    size_t month = day > at && gap > day ? skip_month(t, gap) : gap;
    if (month == gap) {
        return at;
    }
    size_t dot = skip_text(t, month, "."), end = skip_year_after(t, dot); /* 12 Jan. 2024 */
    return end > dot ? end : month;
}

static size_t month_first(const struct facts_text *t, size_t at) {
    size_t month = skip_month(t, at), dot = skip_text(t, month, "."), gap = skip_gap(t, dot);
    if (month == at || gap == dot) {
        return at;
    }
    size_t year = skip_year(t, gap), day = skip_day(t, gap);
    return year > gap ? year : day > gap ? skip_year_after(t, day) : at;
}

size_t facts_date(const struct facts_text *t, size_t at) {
    size_t end = day_first(t, at);
    return end > at ? end : month_first(t, at);
}
