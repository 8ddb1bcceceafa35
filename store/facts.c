/* facts.c - see facts.h. */
#include "store/facts.h"

#include <string.h>
#include <strings.h>

#include "store/facts_scan.h"
#include "store/table.h"

struct scan {
    struct facts_text t;
    size_t least;      /* where the last fact ended: the next does not begin before it */
    size_t begin, end; /* of the fact in hand */
};

/* ---- Before and behind a number ---------------------------------------------------------- */

/* Each between spaces. */
static const char CODES[] = " USD EUR GBP CHF JPY CNY INR VND RUB PLN TRY CZK SEK NOK DKK HUF RON"
                            " BRL CAD AUD NZD MXN KRW IDR THB ZAR ";
static const char UNITS[] =
    " % ‰ am pm AM PM a.m. p.m. zł kr Kč lei Ft руб. thousand million millions billion billions"
    " trillion Tausend Millionen Milliarden Mio. Mrd. millones milhões tys. mln mld bin milyon"
    " milyar млн млрд km m cm mm kg g mg l ml cl lb lbs oz ft mi km/h mph kB KB MB GB TB GHz MHz Hz"
    " kHz W kW kWh V px fps min sec s h °C °F ";

static bool is_currency(uint32_t c) {
    return c == '$' || (c >= 0xA2 && c <= 0xA5) || (c >= 0x20A0 && c <= 0x20CF);
}

/* Spaces that do not break. */
static bool is_tied_space(uint32_t c) {
    return c == 0xA0 || c == 0x2009 || c == 0x202F;
}

/* Whether `size` bytes, with a space on each side, stand in a list. */
static bool is_listed(const char *list, const char *word, size_t size) {
    char spaced[16] = " ";
    if (size == 0 || size + 3 > sizeof spaced || memchr(word, ' ', size) != NULL) {
        return false;
    }
    memcpy(spaced + 1, word, size);
    memcpy(spaced + 1 + size, " ", 2);
    return strstr(list, spaced) != NULL;
}

/* The code point before a place, and where it begins; 0 where the last fact ended. */
static uint32_t before(const struct scan *s, size_t at, size_t *begin) {
    size_t next;
    *begin = at;
    if (at <= s->least) {
        return 0;
    }
    do {
        --*begin;
    } while (*begin > s->least && at - *begin < 4 &&
             ((unsigned char)s->t.text[*begin] & 0xC0) == 0x80);
    uint32_t c = facts_at(&s->t, *begin, &next);
    return next == at ? c : UTF8_REPLACEMENT;
}

/* "US$", "R$": up to three capitals before the sign of a currency. */
static size_t capitals_before(const struct scan *s, size_t at) {
    size_t begin = at, place;
    while (begin > s->least && at - begin < 3 && s->t.text[begin - 1] >= 'A' &&
           s->t.text[begin - 1] <= 'Z') {
        begin--;
    }
    return facts_is_word(before(s, begin, &place)) ? at : begin;
}

/* "EUR " before a number. */
static size_t code_before(const struct scan *s, size_t at) {
    enum { CODE = 3 };
    size_t place, begin = at - s->least > CODE ? at - CODE - 1 : at;
    bool is_code = begin < at && (s->t.text[at - 1] == ' ' || s->t.text[at - 1] == '\n') &&
                   is_listed(CODES, s->t.text + begin, CODE) &&
                   !facts_is_word(before(s, begin, &place));
    return is_code ? begin : at;
}

static void extend_back(struct scan *s) {
    size_t place, sign;
    uint32_t c = before(s, s->begin, &place);
    bool space = c == ' ' || is_tied_space(c);
    if (is_currency(c)) {
        s->begin = capitals_before(s, place);
    } else if (space && is_currency(before(s, place, &sign))) {
        s->begin = capitals_before(s, sign);
    } else {
        s->begin = code_before(s, s->begin);
    }
    c = before(s, s->begin, &place);
    if (c == '+' || c == '-' || c == 0x2212 || c == 0xB1) {
        uint32_t earlier = before(s, place, &sign);
        s->begin = facts_is_word(earlier) || earlier == c ? s->begin : place;
    }
}

/* The end of what is not a space, and of no more than a unit has. */
static size_t unit_end(const struct scan *s, size_t at) {
    size_t end = at, next;
    for (uint32_t c = facts_at(&s->t, end, &next); c > ' ' && !is_tied_space(c) && end - at < 16;
         c = facts_at(&s->t, end, &next)) {
        end = next;
    }
    return end;
}

/* "5 kg", "30 %", "7 pm,": the end of a unit, which may have punctuation behind it. */
static size_t unit_after(const struct scan *s, size_t at) {
    for (size_t end = unit_end(s, at); end > at; end--) {
        size_t next, size = end - at;
        bool known =
            is_listed(UNITS, s->t.text + at, size) || is_listed(CODES, s->t.text + at, size);
        if (known && !facts_is_word(facts_at(&s->t, end, &next))) {
            return end;
        }
    }
    return at;
}

static void extend(struct scan *s, bool unit_may_follow) {
    size_t next, after;
    uint32_t c = facts_at(&s->t, s->end, &next);
    bool plus = c == '+' && !facts_is_word(facts_at(&s->t, next, &after));
    if (plus || is_currency(c) || c == '%' || c == 0x2030) {
        s->end = next;
    } else if (c == 0xB0) { /* degrees */
        c = facts_at(&s->t, next, &after);
        s->end = c == 'C' || c == 'F' ? after : next;
    } else if (unit_may_follow && (c == ' ' || is_tied_space(c))) {
        size_t unit = unit_after(s, next), end;
        bool sign = is_currency(facts_at(&s->t, next, &after)) &&
                    !facts_is_word(facts_at(&s->t, after, &end));
        s->end = sign ? after : unit > next ? unit : s->end;
    }
}

/* ---- Words ---------------------------------------------------------------------------------- */

/* Whether a word goes on over `c`, which stands at `at` between `last` and what follows. */
static bool joins(const struct scan *s, uint32_t last, uint32_t c, size_t next) {
    size_t at = next;
    uint32_t after = facts_at(&s->t, next, &at);
    bool digits = facts_is_digit(last) && facts_is_digit(after);
    if (c == ',' || c == ':' || c == 0x2013 || c == 0xD7) {
        return digits;
    }
    if (is_tied_space(c)) { /* 12 345 */
        size_t count = 0;
        for (at = next; facts_is_digit(facts_at(&s->t, at, &next)); at = next) {
            count++;
        }
        return digits && count == 3;
    }
    return c != 0 && (c == 0x2019 || (c < 0x80 && strchr(".-/+'@", (int)c) != NULL)) &&
           facts_is_word(after);
}

struct word {
    size_t end;
    bool digit; /* has one */
    size_t at;  /* the place of @, or 0 */
    bool dot;   /* behind it */
    bool link;  /* a slash after a dot and two letters or more */
    bool begins_with_digit, ends_in_digit;
};

static void note(struct word *w, uint32_t c, size_t place, int *letters) {
    bool small = c >= 'a' && c <= 'z';
    w->digit = w->digit || facts_is_digit(c);
    w->ends_in_digit = facts_is_digit(c);
    w->dot = w->dot || (c == '.' && w->at > 0);
    w->at = c == '@' ? place : w->at;
    w->link = w->link || (c == '/' && *letters >= 2);
    *letters = c == '.' ? 0 : small && *letters >= 0 ? *letters + 1 : -1;
}

static struct word read_word(const struct scan *s, size_t at) {
    int letters = -1; /* small ones since the last dot; -1: something else stands there */
    size_t next;
    uint32_t last = 0;
    struct word w = {.end = at, .begins_with_digit = facts_is_digit(facts_at(&s->t, at, &next))};
    for (uint32_t c = facts_at(&s->t, at, &next);
         c != 0 && (facts_is_word(c) || joins(s, last, c, next)); c = facts_at(&s->t, at, &next)) {
        note(&w, c, at, &letters);
        w.end = at = next;
        last = c;
    }
    return w;
}

/* ---- Facts that a sign begins ------------------------------------------------------------ */

static bool is_link_sign(uint32_t c) {
    return facts_is_word(c) || (c > ' ' && c < 0x7F && strchr("<>\"`{}|\\^", (int)c) == NULL);
}

/* Without punctuation at the end; a bracket stays where its other half is in the link. */
static size_t trim_link(const struct scan *s, size_t begin, size_t end) {
    while (end > begin && strchr(".,;:!?'*_~)]", s->t.text[end - 1]) != NULL) {
        char c = s->t.text[end - 1], other = c == ')' ? '(' : c == ']' ? '[' : '\0';
        if (other != '\0' && memchr(s->t.text + begin, other, end - begin) != NULL) {
            break;
        }
        end--;
    }
    return end;
}

/* The end of the link whose address begins at `at`. */
static size_t link_end(const struct scan *s, size_t at) {
    size_t end = at, next;
    for (uint32_t c = facts_at(&s->t, end, &next); c != 0 && is_link_sign(c);
         c = facts_at(&s->t, end, &next)) {
        end = next;
    }
    return trim_link(s, at, end);
}

static bool find_link(struct scan *s, size_t at) {
    static const char *const BEGINNINGS[] = {"http://", "https://", "www."};
    for (size_t i = 0; i < sizeof BEGINNINGS / sizeof *BEGINNINGS; i++) {
        size_t length = strlen(BEGINNINGS[i]);
        if (s->t.size - at > length && strncasecmp(s->t.text + at, BEGINNINGS[i], length) == 0) {
            s->begin = at;
            s->end = link_end(s, at + length);
            return s->end > at + length;
        }
    }
    return false;
}

static bool find_tag(struct scan *s, size_t at) {
    size_t next, end = at + 1;
    bool handle = s->t.text[at] == '@';
    for (uint32_t c = facts_at(&s->t, end, &next);
         facts_is_word(c) || (handle && end > at + 1 && (c == '.' || c == '-'));
         c = facts_at(&s->t, end, &next)) {
        end = next;
    }
    while (end > at + 1 && (s->t.text[end - 1] == '.' || s->t.text[end - 1] == '-')) {
        end--;
    }
    s->begin = at;
    s->end = end;
    return end > at + 1;
}

/* ---- Facts that are words ------------------------------------------------------------------ */

static bool is_digit_alone(const struct scan *s) {
    size_t next;
    return facts_is_digit(facts_at(&s->t, s->begin, &next)) && next == s->end;
}

/* True: there is one at the beginning of the word; *past: where to go on. */
static bool find_in_word(struct scan *s, size_t at, size_t *past) {
    struct word w = read_word(s, at);
    *past = w.end;
    s->begin = at;
    s->end = facts_date(&s->t, at);
    if (s->end > at) {
        return true;
    }
    if (w.link) {
        s->end = link_end(s, at);
        return s->end > at;
    }
    s->end = w.end;
    if (w.digit) {
        extend(s, w.ends_in_digit);
    }
    if (w.begins_with_digit) {
        extend_back(s);
    }
    return (w.at > 0 && w.dot) || (w.digit && !is_digit_alone(s));
}

/* The next fact that begins at `at` or later: s->begin and end. */
static bool find(struct scan *s, size_t at) {
    while (at < s->t.size) {
        size_t next, past;
        uint32_t c = facts_at(&s->t, at, &next);
        past = next;
        bool found = ((c == '@' || c == '#') && find_tag(s, at)) ||
                     (facts_is_word(c) && (find_link(s, at) || find_in_word(s, at, &past)));
        if (found) {
            return true;
        }
        at = past;
    }
    return false;
}

/* ---- All of them ---------------------------------------------------------------------------- */

size_t facts_limit(size_t text_size) {
    size_t share = text_size / FACTS_SHARE;
    share = share > FACTS_LEAST ? share : FACTS_LEAST;
    return share < FACTS_MOST ? share : FACTS_MOST;
}

static int keep(struct bytes *out, struct table *known, const struct scan *s, size_t limit,
                struct facts_found *found, struct error *e) {
    char fact[FACTS_LONGEST + 1];
    size_t size = s->end - s->begin;
    if (size >= sizeof fact) {
        found->left_out++;
        return 0;
    }
    memcpy(fact, s->t.text + s->begin, size);
    fact[size] = '\0';
    for (char *end = strchr(fact, '\n'); end != NULL; end = strchr(end, '\n')) {
        *end = ' ';
    }
    int rc = table_add(known, fact, 0, NULL, e);
    if (rc <= 0) {
        return rc;
    }
    if (found->bytes + size + 1 > limit) {
        found->left_out++;
        return 0;
    }
    found->facts++;
    found->bytes += size + 1;
    return bytes_printf(out, e, "%s\n", fact);
}

int facts_find(struct bytes *out, const char *text, size_t size, size_t limit,
               struct facts_found *found, struct error *e) {
    struct scan s = {.t = {text, size}};
    struct table *known = NULL;
    *found = (struct facts_found){.facts = 0};
    int rc = table_open(&known, e);
    while (rc == 0 && find(&s, s.least)) {
        rc = keep(out, known, &s, limit, found, e);
        s.least = s.end;
    }
    table_close(known);
    return rc;
}

json_t *facts_json(const char *facts, size_t size) {
    const char *end = facts + size;
    json_t *list = json_array();
    for (const char *line = facts; list != NULL && line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop != NULL ? stop : end;
        if (json_array_append_new(list, json_stringn(line, (size_t)(stop - line))) != 0) {
            json_decref(list);
            return NULL;
        }
        line = stop + (stop < end);
    }
    return list;
}
