/* set.c - see set.h. */
#include "train/fidelity/set.h"

#include <inttypes.h>

#include "store/random.h"
#include "train/read/text.h"

/* ---- Digits ------------------------------------------------------------------------------ */

static int append_hex(struct bytes *out, int digits, uint64_t *random, struct error *e) {
    int rc = 0;
    for (int i = 0; i < digits && rc == 0; i++) {
        rc = bytes_append(out, &"0123456789abcdef"[random_below(random, 16)], 1, e);
    }
    return rc;
}

static int append_uuid(struct bytes *out, uint64_t *random, struct error *e) {
    static const int PARTS[] = {8, 4, 4, 4, 12};
    int rc = 0;
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS && rc == 0; i++) {
        rc = i > 0 ? bytes_append(out, "-", 1, e) : 0;
        rc = rc == 0 ? append_hex(out, PARTS[i], random, e) : rc;
    }
    return rc;
}

static int append_money(struct bytes *out, uint64_t *random, struct error *e) {
    static const char *const SIGNS[] = {"$", "\xE2\x82\xAC", "\xC2\xA3", ""};
    const char *sign = SIGNS[random_below(random, 4)];
    int64_t thousands = random_below(random, 1000), rest = random_below(random, 1000);
    int cents = (int)random_below(random, 100);
    return random_below(random, 2) > 0
               ? bytes_printf(out, e, "%s%" PRId64 ",%03d.%02d", sign, thousands, (int)rest, cents)
               : bytes_printf(out, e, "%s%" PRId64 ".%02d", sign, rest, cents);
}

static int append_time(struct bytes *out, uint64_t *random, struct error *e) {
    int year = 1990 + (int)random_below(random, 50), month = 1 + (int)random_below(random, 12);
    int day = 1 + (int)random_below(random, 28), hour = (int)random_below(random, 24);
    int minute = (int)random_below(random, 60);
    switch (random_below(random, 4)) {
    case 0:
        return bytes_printf(out, e, "%d-%02d-%02d", year, month, day);
    case 1:
        return bytes_printf(out, e, "%02d/%02d/%d", month, day, year);
    case 2:
        return bytes_printf(out, e, "%02d.%02d.%d", day, month, year);
    default:
        return bytes_printf(out, e, "%02d:%02d", hour, minute);
    }
}

static int append_other(struct bytes *out, uint64_t *random, struct error *e) {
    int a = (int)random_below(random, 100), b = (int)random_below(random, 100);
    int rc = 0;
    switch (random_below(random, 4)) {
    case 0:
        return bytes_printf(out, e, "%d.%d%%", a, b);
    case 1:
        return bytes_printf(out, e, "%d.%d.%d", a / 10, b / 4, b);
    case 2:
        return bytes_printf(out, e, "%d.%d%c", a, b / 10, "KMB"[random_below(random, 3)]);
    default:
        rc = bytes_append(out, "#", 1, e);
        return rc == 0 ? append_hex(out, 6, random, e) : rc;
    }
}

static int append_digits(struct bytes *out, uint64_t *random, struct error *e) {
    static const double SHARES[] = {1, 1, 1, 2, 2, 2};
    switch (random_choice(random, SHARES, sizeof SHARES / sizeof *SHARES)) {
    case 0:
        return append_hex(out, 4 + (int)random_below(random, 29), random, e);
    case 1:
        return append_uuid(out, random, e);
    case 2: /* as ids of clips are */
        return bytes_printf(out, e, "7%018" PRIu64,
                            random_next(random) % UINT64_C(1000000000000000000));
    case 3:
        return append_money(out, random, e);
    case 4:
        return append_time(out, random, e);
    default:
        return append_other(out, random, e);
    }
}

/* ---- All kinds --------------------------------------------------------------------------- */

static int make_capitals(struct bytes *text, struct error *e) {
    struct bytes upper;
    bytes_init(&upper, 2 * text->limit);
    int rc = text_upper(&upper, bytes_text(text), text->size, e);
    if (rc == 0) {
        bytes_clear(text);
        rc = bytes_append(text, bytes_text(&upper), upper.size, e);
    }
    bytes_close(&upper);
    return rc;
}

int text_set_fill(const struct text_set *set, struct bytes *out, size_t size, int64_t number,
                  int64_t pages, uint64_t seed, const struct alphabet *alphabet, bool joined,
                  struct error *e) {
    uint64_t random = random_stream(seed, (uint64_t)number);
    int rc = 0;
    bytes_clear(out);
    if (set->kind == SET_SAMPLES) {
        return 0;
    }
    if (set->kind == SET_RANDOM) {
        return text_random(out, alphabet, LETTERS_ASCII, size, &random, e);
    }
    if (set->kind == SET_DIGITS) {
        while (out->size < size && rc == 0) {
            rc = append_digits(out, &random, e);
            rc = rc == 0 ? bytes_append(out, " ", 1, e) : rc;
        }
        return rc;
    }
    size_t at = (size_t)((double)set->size * (double)number / (double)pages);
    rc = text_stretch(out, set->text, set->size, at, size, e);
    if (joined) {
        text_join_lines(out);
    }
    return rc == 0 && set->kind == SET_CAPS ? make_capitals(out, e) : rc;
}
