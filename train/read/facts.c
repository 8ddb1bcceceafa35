/* facts.c - see facts.h. */
#include "train/read/facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/random.h"

#define COUNT(list) ((int64_t)(sizeof(list) / sizeof *(list)))
#define CHOOSE(list, random) ((list)[random_below(random, COUNT(list))])

static int below(int most, uint64_t *random) {
    return (int)random_below(random, most);
}

int64_t fact_number(int digits, uint64_t *random) {
    int64_t most = 10;
    for (int i = below(digits, random); i > 0; i--) {
        most *= 10;
    }
    return random_below(random, most);
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* Two to four syllables. */
static int put_syllables(struct bytes *out, uint64_t *random, struct error *e) {
    static const char FIRST[] = "bcdfghjklmnpqrstvwxyz", SECOND[] = "aeiouaeioy", LAST[] = "lnrsti";
    char word[16];
    int size = 0;
    for (int i = 2 + below(3, random); i > 0; i--) {
        word[size++] = FIRST[below(sizeof FIRST - 1, random)];
        word[size++] = SECOND[below(sizeof SECOND - 1, random)];
        if (below(3, random) == 0) {
            word[size++] = LAST[below(sizeof LAST - 1, random)];
        }
    }
    if (below(8, random) == 0) {
        word[0] = (char)(word[0] - 'a' + 'A');
    }
    return bytes_append(out, word, (size_t)size, e);
}

int fact_put_name(struct bytes *out, uint64_t *random, struct error *e) {
    static const char *const BETWEEN[] = {"", "", "", "_", ".", "_", "__", "-"};
    int rc = put_syllables(out, random, e);
    if (rc == 0 && below(2, random) == 0) {
        rc = bytes_append_text(out, CHOOSE(BETWEEN, random), e);
        if (rc == 0) {
            rc = put_syllables(out, random, e);
        }
    }
    if (rc == 0 && below(2, random) == 0) {
        rc = bytes_printf(out, e, "%s%" PRId64, CHOOSE(BETWEEN, random), fact_number(4, random));
    }
    return rc == 0 && below(12, random) == 0 ? bytes_append_text(out, "_", e) : rc;
}

int fact_put_url(struct bytes *out, uint64_t *random, struct error *e) {
    static const char *const BEGIN[] = {"https://", "http://", "www.", "", "https://www."};
    static const char *const ENDS[] = {".com", ".org", ".net", ".de", ".io",   ".fr",
                                       ".ru",  ".pl",  ".gg",  ".tv", ".co.uk"};
    static const char ID[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
    int rc = bytes_append_text(out, CHOOSE(BEGIN, random), e);
    if (rc == 0) {
        rc = put_syllables(out, random, e);
    }
    if (rc == 0) {
        rc = bytes_append_text(out, CHOOSE(ENDS, random), e);
    }
    for (int i = below(3, random); i > 0 && rc == 0; i--) {
        rc = bytes_append_text(out, "/", e);
        rc = rc == 0 ? put_syllables(out, random, e) : rc;
    }
    if (rc == 0 && below(2, random) == 0) {
        rc = bytes_append_text(out, below(2, random) == 0 ? "/" : "/watch?v=", e);
        for (int i = 4 + below(9, random); i > 0 && rc == 0; i--) {
            rc = bytes_append(out, &ID[below(sizeof ID - 1, random)], 1, e);
        }
    }
    return rc;
}

int fact_put_face(struct bytes *out, uint64_t *random, struct error *e) {
    static const char *const FACES[] = {":)",  ":-)", ":D",  ";)",   ":(", ":'(", "<3",  "</3",
                                        "xD",  "XD",  ":P",  ":/",   "^^", "^_^", "o_O", "-_-",
                                        ">:(", "=)",  "T_T", "\\o/", ":o", "lol", "LOL", "xx"};
    return bytes_append_text(out, CHOOSE(FACES, random), e);
}

/* ---- Numbers --------------------------------------------------------------------------------- */

/* With a separator at every third digit. */
static int put_grouped(struct bytes *out, int64_t value, const char *separator, struct error *e) {
    char digits[24];
    int count = snprintf(digits, sizeof digits, "%" PRId64, value), rc = 0;
    for (int i = 0; i < count && rc == 0; i++) {
        rc = i > 0 && (count - i) % 3 == 0 ? bytes_append_text(out, separator, e) : 0;
        rc = rc == 0 ? bytes_append(out, &digits[i], 1, e) : rc;
    }
    return rc;
}

int fact_put_price(struct bytes *out, uint64_t *random, struct error *e) {
    static const char *const BEFORE[] = {"$", "€", "£", "US$", "¥", "₹", "CHF ", "~$", "-$"};
    static const char *const AFTER[] = {" €",  "€",    " zł", " ₽", " USD", " kr",
                                        " Kč", " lei", "₫",   " EUR", " ₴",   "¢"};
    static const char *const GROUPS[] = {",", ".", "", "", " "};
    const char *group = CHOOSE(GROUPS, random), *point = group[0] == ',' ? "." : ",";
    bool before = below(2, random) == 0;
    int rc = before ? bytes_append_text(out, CHOOSE(BEFORE, random), e) : 0;
    point = group[0] == '\0' && before ? "." : point;
    if (rc == 0) {
        rc = put_grouped(out, fact_number(6, random), group, e);
    }
    if (rc == 0 && below(3, random) > 0) {
        rc = below(3, random) == 0 ? bytes_printf(out, e, "%s99", point)
                                   : bytes_printf(out, e, "%s%02d", point, below(100, random));
    }
    return rc == 0 && !before ? bytes_append_text(out, CHOOSE(AFTER, random), e) : rc;
}

int fact_put_count(struct bytes *out, uint64_t *random, struct error *e) {
    static const char *const ENDS[] = {"K", "M", "k", "B", "K", " Tsd.", " mln", "+", "x", "%"};
    int64_t value = fact_number(3, random);
    return below(2, random) == 0
               ? bytes_printf(out, e, "%" PRId64 "%s", value, CHOOSE(ENDS, random))
               : bytes_printf(out, e, "%" PRId64 ".%d%s", value, below(10, random),
                              CHOOSE(ENDS, random));
}

static int put_date(struct bytes *out, uint64_t *random, struct error *e) {
    static const char *const MONTHS[] = {"Jan", "Feb", "March", "April", "May",      "June", "Juli",
                                         "Aug", "Sep", "Oct",   "Nov",   "December", "mai"};
    int year = 1900 + below(150, random), month = 1 + below(12, random),
        day = 1 + below(31, random);
    switch (below(7, random)) {
    case 0:
        return bytes_printf(out, e, "%d/%d/%02d", month, day, year % 100);
    case 1:
        return bytes_printf(out, e, "%02d.%02d.%d", day, month, year);
    case 2:
        return bytes_printf(out, e, "%d. %s %d", day, CHOOSE(MONTHS, random), year);
    case 3:
        return bytes_printf(out, e, "%s %d, %d", CHOOSE(MONTHS, random), day, year);
    case 4:
        return bytes_printf(out, e, "%d–%d", year, year + below(9, random));
    case 5:
        return bytes_printf(out, e, "%02d/%02d/%d", day, month, year);
    default:
        return bytes_printf(out, e, "%d-%02d-%02d", year, month, day);
    }
}

static int put_time(struct bytes *out, uint64_t *random, struct error *e) {
    static const char *const ENDS[] = {"am", "pm", " AM", " PM", "h", " Uhr", " ч.", ""};
    int hour = below(24, random), minute = below(60, random);
    switch (below(5, random)) {
    case 0:
        return bytes_printf(out, e, "%d%s", 1 + below(12, random), CHOOSE(ENDS, random));
    case 1:
        return bytes_printf(out, e, "%d:%02d", hour, minute);
    case 2:
        return bytes_printf(out, e, "%02d:%02d:%02d", hour, minute, below(60, random));
    case 3:
        return bytes_printf(out, e, "%dh%02d", hour, minute);
    default:
        return bytes_printf(out, e, "%02d:%02d%s", hour, minute, CHOOSE(ENDS, random));
    }
}

static int put_number(struct bytes *out, uint64_t *random, struct error *e) {
    static const char *const GROUPS[] = {",", ".", " ", "'", ""};
    static const char *const UNITS[] = {"%",  "km",  " kg", "°",     "°C",  "x",  "th",
                                        "ml", " mm", "GB",  " km/h", "€/h", "px", "\"",
                                        "²",  "€",   ".",   "-",     "/7",  "h"};
    switch (below(8, random)) {
    case 0:
        return put_grouped(out, fact_number(9, random), CHOOSE(GROUPS, random), e);
    case 1:
        return bytes_printf(out, e, "%d/%d", 1 + below(20, random), 1 + below(20, random));
    case 2:
        return bytes_printf(out, e, "%d:%d", below(10, random), below(10, random));
    case 3:
        return bytes_printf(out, e, "%d%c%02d%s", below(100, random), below(2, random) ? '.' : ',',
                            below(100, random), CHOOSE(UNITS, random));
    case 4:
        return bytes_printf(out, e, "+%d %d %" PRId64, 1 + below(99, random),
                            100 + below(900, random), 1000 + fact_number(7, random));
    case 5:
        return bytes_printf(out, e, "#%d", 1 + below(20, random));
    default:
        return bytes_printf(out, e, "%" PRId64 "%s", fact_number(4, random), CHOOSE(UNITS, random));
    }
}

/* ---- Strings --------------------------------------------------------------------------------- */

static int put_letters(struct bytes *out, const char *letters, int count, uint64_t *random,
                       struct error *e) {
    int rc = 0, size = (int)strlen(letters);
    for (; count > 0 && rc == 0; count--) {
        rc = bytes_append(out, &letters[below(size, random)], 1, e);
    }
    return rc;
}

static int put_uuid(struct bytes *out, const char *letters, uint64_t *random, struct error *e) {
    static const int PARTS[] = {8, 4, 4, 4, 12};
    int rc = 0;
    for (int i = 0; i < COUNT(PARTS) && rc == 0; i++) {
        rc = i > 0 ? bytes_append(out, "-", 1, e) : 0;
        rc = rc == 0 ? put_letters(out, letters, PARTS[i], random, e) : rc;
    }
    return rc;
}

int fact_put_string(struct bytes *out, uint64_t *random, struct error *e) {
    static const char DIGITS[] = "0123456789", SMALL[] = "0123456789abcdef",
                      LARGE[] = "0123456789ABCDEF";
    const char *hex = below(3, random) > 0 ? SMALL : LARGE;
    switch (below(5, random)) {
    case 0:
        return put_uuid(out, hex, random, e);
    case 1:
        return put_letters(out, hex, 4 + below(37, random), random, e);
    case 2: {
        int rc = bytes_append_text(out, below(2, random) == 0 ? "#" : "0x", e);
        return rc == 0 ? put_letters(out, hex, 2 + 2 * below(4, random), random, e) : rc;
    }
    default:
        return put_letters(out, DIGITS, 1 + below(20, random), random, e);
    }
}

int fact_put_code(struct bytes *out, uint64_t *random, struct error *e) {
    static const char *const FORMS[] = {
        "%s()",      "%s(%s)",     "%s_%s",       "--%s=%s",         "%s.%s",    "%s->%s",
        "[%s]",      "{%s: %s}",   "<%s>",        "</%s>",           "$%s",      "%s[%s]",
        "%s += %s;", "/%s/%s",     "~/%s/%s.txt", "C:\\%s\\%s",      "`%s`",     "%s::%s",
        "&%s;",      "!%s",        "if (%s) {",   "\"%s\": \"%s\",", "%s|%s",    "@%s(%s)",
        "%s != %s",  "%s && !%s",  "%%%s%%",      "*%s = &%s;",      "// %s %s", "#include <%s.h>",
        "__%s__",    "return %s;", "} // %s",     "%s\\n",           "%s@%s.com"};
    const char *at = CHOOSE(FORMS, random);
    int rc = 0;
    while (*at != '\0' && rc == 0) {
        size_t plain = strcspn(at, "%");
        rc = bytes_append(out, at, plain, e);
        at += plain;
        if (rc == 0 && at[0] == '%' && at[1] == 's') {
            rc = below(4, random) == 0 ? bytes_printf(out, e, "%d", below(1000, random))
                                       : put_syllables(out, random, e);
        } else if (rc == 0 && at[0] == '%') {
            rc = bytes_append(out, "%", 1, e);
        }
        at += at[0] == '%' ? 2 : 0;
    }
    return rc;
}

int fact_put(struct bytes *out, uint64_t *random, struct error *e) {
    static const struct {
        int (*put)(struct bytes *out, uint64_t *random, struct error *e);
        double share;
    } KINDS[] = {{fact_put_price, 3}, {put_date, 2},       {put_time, 2},
                 {put_number, 4},     {fact_put_count, 2}, {fact_put_url, 0.7},
                 {fact_put_code, 1},  {fact_put_face, 1.5}};
    double shares[COUNT(KINDS)];
    for (int i = 0; i < COUNT(KINDS); i++) {
        shares[i] = KINDS[i].share;
    }
    return KINDS[random_choice(random, shares, COUNT(KINDS))].put(out, random, e);
}
