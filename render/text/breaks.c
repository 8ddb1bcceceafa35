/* breaks.c - see breaks.h. ICU takes UTF-16, so a text is converted, and the places that come back
 * are looked up in a table of offsets. */
#include "render/text/breaks.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/ubrk.h>
#include <unicode/uchar.h>
#include <unicode/ustring.h>

#include "store/buffer.h"
#include "store/utf8.h"

enum { TAG_LIMIT = 64 }; /* characters; "#" before a longer run of letters is not a hashtag */

struct breaker {
    UBreakIterator *lines, *clusters;
    /* The current text; for each of its units, the offset in UTF-8, and one more for the end; what
     * was found. */
    struct buffer utf16, utf8_at, breaks;
    int8_t between[U_LB_COUNT][U_LB_COUNT]; /* 0: not asked yet, 1: break, -1: none */
};

static int icu_error(UErrorCode status, struct error *e) {
    return status == U_MEMORY_ALLOCATION_ERROR
               ? error_memory(e, NULL)
               : error_set(e, ERR_UNSUPPORTED, "ICU: %s", u_errorName(status));
}

int breaker_open(struct breaker **out, struct error *e) {
    struct breaker *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return error_memory(e, NULL);
    }
    UErrorCode status = U_ZERO_ERROR;
    b->lines = ubrk_open(UBRK_LINE, "", NULL, 0, &status);
    b->clusters = ubrk_open(UBRK_CHARACTER, "", NULL, 0, &status);
    if (U_FAILURE(status)) {
        breaker_close(b);
        return icu_error(status, e);
    }
    *out = b;
    return 0;
}

void breaker_close(struct breaker *b) {
    if (b == NULL) {
        return;
    }
    if (b->lines != NULL) {
        ubrk_close(b->lines);
    }
    if (b->clusters != NULL) {
        ubrk_close(b->clusters);
    }
    buffer_free(&b->utf16);
    buffer_free(&b->utf8_at);
    buffer_free(&b->breaks);
    free(b);
}

static int reserve(struct breaker *b, size_t units, struct error *e) {
    int rc = buffer_reserve(&b->utf16, units, sizeof(UChar), e);
    if (rc == 0) {
        rc = buffer_reserve(&b->utf8_at, units, sizeof(uint32_t), e);
    }
    return rc == 0 ? buffer_reserve(&b->breaks, units, sizeof(uint32_t), e) : rc;
}

/* Fills utf16 and utf8_at; gives the number of units. */
static int convert(struct breaker *b, const char *text, size_t size, size_t *units,
                   struct error *e) {
    if (size >= INT32_MAX / 2) {
        return error_set(e, ERR_LIMIT, "a paragraph of %zu bytes", size);
    }
    int rc = reserve(b, size + 1, e);
    if (rc < 0) {
        return rc;
    }
    UChar *utf16 = b->utf16.data;
    uint32_t *utf8_at = b->utf8_at.data;
    size_t n = 0;
    for (size_t i = 0; i < size;) {
        uint32_t code_point;
        bool valid;
        size_t step = utf8_decode(text + i, size - i, &code_point, &valid);
        utf8_at[n] = (uint32_t)i;
        if (code_point > 0xFFFF) {
            utf16[n++] = U16_LEAD(code_point);
            utf8_at[n] = (uint32_t)i;
            utf16[n++] = U16_TRAIL(code_point);
        } else {
            utf16[n++] = (UChar)code_point;
        }
        i += step;
    }
    utf8_at[n] = (uint32_t)size;
    *units = n;
    return 0;
}

static int iterate(struct breaker *b, UBreakIterator *iterator, size_t units, size_t *count,
                   struct error *e) {
    UErrorCode status = U_ZERO_ERROR;
    ubrk_setText(iterator, b->utf16.data, (int32_t)units, &status);
    if (U_FAILURE(status)) {
        return icu_error(status, e);
    }
    const uint32_t *utf8_at = b->utf8_at.data;
    uint32_t *breaks = b->breaks.data;
    size_t n = 0;
    for (int32_t at = ubrk_next(iterator); at != UBRK_DONE && at < (int32_t)units;
         at = ubrk_next(iterator)) {
        breaks[n++] = utf8_at[at];
    }
    *count = n;
    return 0;
}

int breaker_clusters(struct breaker *b, const char *text, size_t size, const uint32_t **at,
                     size_t *count, struct error *e) {
    size_t units;
    int rc = convert(b, text, size, &units, e);
    if (rc == 0) {
        rc = iterate(b, b->clusters, units, count, e);
    }
    *at = b->breaks.data;
    return rc;
}

/* ---- Hashtags, handles, URLs --------------------------------------------------------- */

static bool is_tag_start(uint32_t code_point) {
    return code_point == '#' || code_point == '@' || code_point == 0xFF03 || code_point == 0xFF20;
}

static bool is_tag_character(uint32_t code_point) {
    if (code_point < 0x80) {
        return code_point == '_' || (code_point >= '0' && code_point <= '9') ||
               ((code_point | 0x20) >= 'a' && (code_point | 0x20) <= 'z');
    }
    return u_hasBinaryProperty((UChar32)code_point, UCHAR_ALPHABETIC) ||
           (U_GET_GC_MASK((UChar32)code_point) & (U_GC_M_MASK | U_GC_N_MASK)) != 0 ||
           code_point == 0x200C || code_point == 0x200D || code_point == 0xB7;
}

size_t tag_size(const char *text, size_t size) {
    uint32_t code_point;
    bool valid;
    size_t at = utf8_decode(text, size, &code_point, &valid);
    if (!is_tag_start(code_point)) {
        return 0;
    }
    size_t start = at;
    for (int characters = 0; at < size; characters++) {
        size_t step = utf8_decode(text + at, size - at, &code_point, &valid);
        if (!is_tag_character(code_point)) {
            break;
        }
        if (characters == TAG_LIMIT) {
            return 0;
        }
        at += step;
    }
    return at > start ? at : 0;
}

/* After these "#" and "@" belong to something else: an address, a path, a query. */
static bool may_precede_tag(uint32_t code_point) {
    return code_point == 0 ||
           !(is_tag_character(code_point) || strchr("/&=.:%+-", (int)code_point) != NULL) ||
           code_point >= 0x80;
}

/* The size of a tag at text[0] after the character `before` (0: none), or after another tag. */
static size_t tag_after(const char *text, size_t size, uint32_t before, bool after_tag) {
    return after_tag || may_precede_tag(before) ? tag_size(text, size) : 0;
}

static bool begins_url(const char *text, size_t size) {
    static const char *const SCHEMES[] = {"http://", "https://", "www."};
    for (size_t i = 0; i < sizeof SCHEMES / sizeof *SCHEMES; i++) {
        size_t length = strlen(SCHEMES[i]);
        if (size > length && memcmp(text, SCHEMES[i], length) == 0) {
            return true;
        }
    }
    return false;
}

/* Punctuation of a URL: a line may end after '/' and before the others. */
static bool url_break(const char *text, size_t at) {
    char here = text[at], before = text[at - 1];
    if (before == '/') {
        return here != '/';
    }
    return here != 0 && strchr(".?&=#%_-~+", here) != NULL && before != ':' && before != here;
}

/* A part of a text that has rules of its own. */
struct special_part {
    size_t start, end;
    bool url;     /* else a tag */
    bool follows; /* a tag right after another one: a line may end between them */
};

/* The next special part after the one in `part` (all zero: the first); false: none. */
static bool next_special_part(const char *text, size_t size, struct special_part *part) {
    size_t from = part->end;
    bool after_tag = from > 0 && !part->url;
    uint32_t before = 0;
    if (from > 0) {
        before = (unsigned char)text[from - 1] < 0x80 ? (unsigned char)text[from - 1] : 0x80;
    }
    for (size_t i = from; i < size; after_tag = false) {
        uint32_t code_point;
        bool valid;
        size_t step = utf8_decode(text + i, size - i, &code_point, &valid);
        size_t tag =
            is_tag_start(code_point) ? tag_after(text + i, size - i, before, after_tag) : 0;
        if (tag > 0) {
            *part = (struct special_part){.start = i, .end = i + tag, .follows = after_tag};
            return true;
        }
        if ((code_point == 'h' || code_point == 'w') && begins_url(text + i, size - i)) {
            const char *end = memchr(text + i, ' ', size - i);
            *part = (struct special_part){
                .start = i, .end = end != NULL ? (size_t)(end - text) : size, .url = true};
            return true;
        }
        before = code_point;
        i += step;
    }
    return false;
}

/* Adds to `at` what lies in [from, to) of a URL. */
static size_t add_url_breaks(const char *text, size_t from, size_t to, uint32_t *at, size_t n) {
    const char *colon = memchr(text + from, ':', to - from);
    size_t start = colon != NULL && colon + 3 <= text + to ? (size_t)(colon - text) + 3 : from + 4;
    for (size_t i = start + 1; i < to; i++) {
        if (url_break(text, i)) {
            at[n++] = (uint32_t)i;
        }
    }
    return n;
}

/* Takes breaks inside special parts out; puts those of URLs and between tags in. In place: a URL's
 * own breaks are built after the list, which has room for as many as there are bytes. */
static int mend(struct breaker *b, const char *text, size_t size, size_t *count, struct error *e) {
    struct special_part part = {0};
    if (!next_special_part(text, size, &part)) {
        return 0;
    }
    uint32_t *breaks = b->breaks.data;
    uint32_t *old = malloc((*count + 1) * sizeof *old);
    if (old == NULL) {
        return error_memory(e, NULL);
    }
    memcpy(old, breaks, *count * sizeof *old);
    size_t n = 0, i = 0;
    bool more = true;
    while (more) {
        for (; i < *count && old[i] <= part.start; i++) {
            breaks[n++] = old[i];
        }
        if (part.follows && (n == 0 || breaks[n - 1] != part.start)) {
            breaks[n++] = (uint32_t)part.start;
        }
        for (; i < *count && old[i] < part.end; i++) {
        }
        if (part.url) {
            n = add_url_breaks(text, part.start, part.end, breaks, n);
        }
        more = next_special_part(text, size, &part);
    }
    for (; i < *count; i++) {
        breaks[n++] = old[i];
    }
    *count = n;
    free(old);
    return 0;
}

int breaker_lines(struct breaker *b, const char *text, size_t size, const uint32_t **at,
                  size_t *count, struct error *e) {
    size_t units;
    int rc = convert(b, text, size, &units, e);
    if (rc == 0) {
        rc = iterate(b, b->lines, units, count, e);
    }
    if (rc == 0) {
        rc = mend(b, text, size, count, e);
    }
    *at = b->breaks.data;
    return rc;
}

/* ---- Chunks -------------------------------------------------------------------------- */

enum han_class { HAN_NONE, HAN_ID, HAN_CLOSE, HAN_OPEN };

/* The classes of UAX #14 that Chinese and Japanese text is made of and whose pairs need no context:
 * ID; CL and EX, before which no line ends; OP, after which none does. */
static enum han_class han_class(uint32_t code_point) {
    if ((code_point >= 0x4E00 && code_point <= 0x9FFF) ||
        (code_point >= 0x3400 && code_point <= 0x4DBF)) {
        return HAN_ID;
    }
    bool wide = (code_point >= 0x3000 && code_point <= 0x30FF) ||
                (code_point >= 0xFF01 && code_point <= 0xFF60) ||
                (code_point >= 0x20000 && code_point <= 0x3FFFD);
    if (!wide) {
        return HAN_NONE;
    }
    switch (u_getIntPropertyValue((UChar32)code_point, UCHAR_LINE_BREAK)) {
    case U_LB_IDEOGRAPHIC:
        return is_tag_start(code_point) ? HAN_NONE : HAN_ID;
    case U_LB_CLOSE_PUNCTUATION:
    case U_LB_EXCLAMATION:
        return HAN_CLOSE;
    case U_LB_OPEN_PUNCTUATION:
        return HAN_OPEN;
    default:
        return HAN_NONE;
    }
}

enum chunk_cut chunk_cut(uint32_t before, uint32_t after) {
    enum han_class second = han_class(after);
    enum han_class first = second == HAN_NONE ? HAN_NONE : han_class(before);
    if (first == HAN_NONE) {
        return CUT_NONE;
    }
    return first == HAN_OPEN || second == HAN_CLOSE ? CUT_GLUE : CUT_BREAK;
}

size_t chunk_size(const char *text, size_t size) {
    uint32_t before = 0;
    bool after_tag = false;
    size_t i = 0;
    while (i < size && text[i] != ' ') {
        uint32_t code_point = (unsigned char)text[i];
        bool valid;
        size_t step = 1;
        if (code_point >= 0x80) {
            step = utf8_decode(text + i, size - i, &code_point, &valid);
            if (i > 0 && chunk_cut(before, code_point) != CUT_NONE) {
                return i;
            }
        }
        size_t tag =
            is_tag_start(code_point) ? tag_after(text + i, size - i, before, after_tag) : 0;
        after_tag = tag > 0;
        if (after_tag) {
            step = tag;
            code_point = 'a'; /* no cut after a tag: ICU decides */
        }
        before = code_point;
        i += step;
    }
    return i;
}

bool breaker_between(struct breaker *b, struct break_side last, struct break_side first) {
    int8_t *known = &b->between[last.line_class][first.line_class];
    if (*known == 0) {
        char text[9];
        size_t size = utf8_encode(last.code_point, text);
        text[size++] = ' ';
        size_t at = size, count = 0;
        size += utf8_encode(first.code_point, text + size);
        size_t units = 0;
        bool allowed = true;
        if (convert(b, text, size, &units, NULL) == 0 &&
            iterate(b, b->lines, units, &count, NULL) == 0) {
            const uint32_t *breaks = b->breaks.data;
            allowed = count > 0 && breaks[count - 1] == at;
        }
        *known = allowed ? 1 : -1;
    }
    return *known > 0;
}
