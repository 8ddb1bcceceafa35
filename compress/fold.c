/* fold.c - see fold.h. */
#include "compress/fold.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "store/utf8.h"

enum {
    JOINER = 0x200D,
    TEXT_STYLE = 0xFE0E,
    EMOJI_STYLE = 0xFE0F,
    KEYCAP = 0x20E3,
    HEART = 0x2764,
    KISS = 0x1F48B,
    PERSON = 0x1F9D1,
    FAMILY = 0x1F46A,
    COUPLE = 0x1F491,
    KISSING = 0x1F48F,
    PARTS = 16 /* of an emoji, at most: the longest that Unicode has are 10 */
};

struct range {
    uint32_t first, last;
};

static bool in(uint32_t c, const struct range *ranges, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (c >= ranges[i].first && c <= ranges[i].last) {
            return true;
        }
    }
    return false;
}
#define IN(c, ranges) in((c), (ranges), sizeof(ranges) / sizeof *(ranges))

static bool is_nothing(uint32_t c) {
    static const struct range RANGES[] = {
        {0xAD, 0xAD},     {0x34F, 0x34F},   {0x61C, 0x61C},   {0x180B, 0x180F}, {0x200B, 0x200F},
        {0x202A, 0x202E}, {0x2060, 0x206F}, {0xFE00, 0xFE0F}, {0xFEFF, 0xFEFF}, {0xE0000, 0xE0FFF}};
    return c >= 0xAD && IN(c, RANGES);
}

/* What may be the first of the parts of an emoji. */
static bool is_pictograph(uint32_t c) {
    static const struct range RANGES[] = {
        {0x203C, 0x203C}, {0x2049, 0x2049}, {0x2122, 0x2122},   {0x2139, 0x2139},
        {0x2194, 0x21AA}, {0x231A, 0x23FF}, {0x24C2, 0x24C2},   {0x25AA, 0x25AB},
        {0x25B6, 0x25C0}, {0x25FB, 0x27BF}, {0x2934, 0x2935},   {0x2B05, 0x2B55},
        {0x3030, 0x303D}, {0x3297, 0x3299}, {0x1F000, 0x1F1E5}, {0x1F200, 0x1FAFF}};
    return c >= 0x203C && IN(c, RANGES);
}

static bool is_flag_letter(uint32_t c) {
    return c >= 0x1F1E6 && c <= 0x1F1FF;
}

static bool is_skin_tone(uint32_t c) {
    return c >= 0x1F3FB && c <= 0x1F3FF;
}

static bool is_tag(uint32_t c) {
    return c >= 0xE0020 && c <= 0xE007F;
}

/* What changes an emoji that it is joined to and is no picture of its own. */
static bool is_gender_hair_or_direction(uint32_t c) {
    return c == 0x2640 || c == 0x2642 || (c >= 0x1F9B0 && c <= 0x1F9B3) || c == 0x27A1;
}

static bool is_child(uint32_t c) {
    return c == 0x1F466 || c == 0x1F467 || c == 0x1F9D2;
}

/* ---- Single characters ---------------------------------------------------------------- */

/* Never more bytes of UTF-8 than it was. */
static uint32_t fold_single(uint32_t c) {
    switch (c) {
    case 0xA0:
    case 0x202F:
    case 0x205F:
    case 0x3000:
        return ' ';
    case 0x335:
        return 0x336;
    case 0x37E:
        return ';';
    case 0x387:
    case 0x2027:
    case 0x2219:
    case 0x22C5:
        return 0xB7;
    case 0x2BB:
        return 0x2018;
    case 0x2BC:
        return 0x2019;
    case 0x2010:
    case 0x2011:
        return '-';
    case 0x2012:
        return 0x2013;
    case 0x2024:
        return '.';
    case 0x2126:
        return 0x3A9;
    case 0x2206:
        return 0x394;
    case 0x212B:
        return 0xC5;
    default:
        return c >= 0x2000 && c <= 0x200A ? ' ' : c;
    }
}

/* ---- Emoji ---------------------------------------------------------------------------- */

/* The parts of an emoji without what is folded away. Bytes of it. */
static size_t read_emoji(const char *text, size_t size, uint32_t *parts, int *count) {
    size_t at = 0;
    bool joined = true; /* to what comes next */
    *count = 0;
    while (at < size && *count < PARTS) {
        uint32_t c;
        bool valid;
        size_t length = utf8_decode(text + at, size - at, &c, &valid);
        bool modifies = *count > 0 && (c == TEXT_STYLE || c == EMOJI_STYLE || is_skin_tone(c));
        if (joined && is_pictograph(c)) {
            if (*count == 0 || !is_gender_hair_or_direction(c)) {
                parts[(*count)++] = c;
            }
            joined = false;
        } else if (*count > 0 && is_tag(c)) {
            parts[(*count)++] = c;
        } else if (c == JOINER && !joined) {
            uint32_t next = 0;
            if (at + length < size) {
                utf8_decode(text + at + length, size - at - length, &next, &valid);
            }
            if (!is_pictograph(next)) {
                break;
            }
            joined = true;
        } else if (!modifies) {
            break;
        }
        at += length;
    }
    return at;
}

static void fold_people(uint32_t *parts, int *count) {
    bool family = false;
    for (int i = 0; i<*count && * count> 1; i++) {
        family = family || (i > 0 && is_child(parts[i]));
        parts[i] = parts[i] == 0x1F468 || parts[i] == 0x1F469 ? PERSON : parts[i];
    }
    bool two = *count > 2 && parts[0] == PERSON && parts[1] == HEART;
    if (family) {
        parts[0] = FAMILY;
        *count = 1;
    } else if (two && parts[*count - 1] == PERSON) {
        parts[0] = parts[2] == KISS ? KISSING : COUPLE;
        *count = 1;
    }
}

static size_t write_emoji(char *out, const uint32_t *parts, int count) {
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        if (i > 0 && !is_tag(parts[i])) {
            size += utf8_encode(JOINER, out + size);
        }
        size += utf8_encode(parts[i], out + size);
    }
    return size;
}

/* ---- Texts ---------------------------------------------------------------------------- */

/* Bytes of a flag or a keycap that begins with `c`; 0: none. */
static size_t flag_or_keycap(uint32_t c, size_t length, const char *text, size_t size) {
    bool key = (c >= '0' && c <= '9') || c == '#' || c == '*';
    size_t at = length;
    uint32_t next = 0;
    bool valid;
    if (at >= size || (!key && !is_flag_letter(c))) {
        return 0;
    }
    at += utf8_decode(text + at, size - at, &next, &valid);
    if (key && next == EMOJI_STYLE && at < size) {
        at += utf8_decode(text + at, size - at, &next, &valid);
    }
    return (key && next == KEYCAP) || (!key && is_flag_letter(next)) ? at : 0;
}

size_t fold_character(const char *text, size_t size, char *out, size_t *out_size) {
    uint32_t c;
    bool valid;
    size_t length = utf8_decode(text, size, &c, &valid);
    size_t whole = flag_or_keycap(c, length, text, size);
    if (whole > 0) {
        size_t last = is_flag_letter(c) ? 4 : 3;
        memmove(out, text, length);
        memmove(out + length, text + whole - last, last);
        *out_size = length + last;
        return whole;
    }
    if (is_pictograph(c)) {
        uint32_t parts[PARTS];
        int count;
        whole = read_emoji(text, size, parts, &count);
        fold_people(parts, &count);
        *out_size = write_emoji(out, parts, count);
        return whole;
    }
    *out_size = 0;
    if (!valid) {
        memmove(out, text, length);
        *out_size = length;
    } else if (!is_nothing(c)) {
        *out_size = utf8_encode(fold_single(c), out);
    }
    return length;
}

size_t fold_text(const char *text, size_t size, char *out) {
    size_t used = 0;
    for (size_t at = 0; at < size;) {
        size_t written;
        at += fold_character(text + at, size - at, out + used, &written);
        used += written;
    }
    return used;
}
