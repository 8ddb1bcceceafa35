/* tokenizer_dialect.c - split patterns of tokenizers in PCRE2's dialect.
 *
 * tokenizers matches with Oniguruma (Ruby's syntax), tiktoken with Rust's regex. What these and
 * PCRE2 read alike is copied, what has another spelling is rewritten, and what would silently mean
 * something else (`\h`, classes in classes, `{1,3}+`, ...) is refused. */
#include <ctype.h>
#include <string.h>

#include "train/tokenizer/tokenizer_parts.h"

struct scanner {
    const char *p, *end;
    struct bytes *out;
    struct error *e;
};

static int refuse(const struct scanner *r, const char *what, size_t size) {
    return error_set(r->e, ERR_UNSUPPORTED, "split pattern: %.*s is not supported",
                     (int)(size < 40 ? size : 40), what);
}

static int put(struct scanner *r, const char *text) {
    return bytes_append_text(r->out, text, r->e);
}

/* Copies `size` bytes of the pattern. */
static int copy(struct scanner *r, size_t size) {
    int rc = bytes_append(r->out, r->p, size, r->e);
    r->p += size;
    return rc;
}

/* \p{NAME}: general categories have one or two letters in all dialects. PCRE2 takes the bare name
 * of a script for its extended meaning. */
static int property(struct scanner *r) {
    const char *name = r->p + 3;
    const char *close =
        r->end - r->p > 3 && r->p[2] == '{' ? memchr(name, '}', (size_t)(r->end - name)) : NULL;
    if (close == NULL) {
        return refuse(r, r->p, 2);
    }
    size_t size = (size_t)(close - name);
    for (size_t i = 0; i < size; i++) {
        if (!isalpha((unsigned char)name[i]) && name[i] != '_') {
            return refuse(r, r->p, size + 4);
        }
    }
    if (size <= 2) {
        return copy(r, size + 4);
    }
    int rc = bytes_printf(r->out, r->e, "\\%c{sc:%.*s}", r->p[1], (int)size, name);
    r->p = close + 1;
    return rc;
}

/* \x{H...}, \xHH and \uHHHH, of which \xHH is a byte to Oniguruma. */
static int code_point(struct scanner *r) {
    size_t left = (size_t)(r->end - r->p), digits = 0;
    bool braces = r->p[1] == 'x' && left > 2 && r->p[2] == '{';
    const char *first = r->p + (braces ? 3 : 2);
    while (first + digits < r->end && isxdigit((unsigned char)first[digits])) {
        digits++;
    }
    if (braces && digits > 0 && digits <= 8 && first + digits < r->end && first[digits] == '}') {
        return copy(r, digits + 4);
    }
    size_t wanted = r->p[1] == 'u' ? 4 : 2;
    if (braces || digits < wanted || (wanted == 2 && first[0] > '7')) {
        return refuse(r, r->p, 2);
    }
    int rc = bytes_printf(r->out, r->e, "\\x{%.*s}", (int)wanted, first);
    r->p = first + wanted;
    return rc;
}

static int escape(struct scanner *r, bool in_class) {
    static const char *const WORD = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
    /* raised digits and fractions of Latin-1 are letters to Oniguruma, unless in a class */
    static const char *const LATIN1 = "\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}";
    char c = r->end - r->p > 1 ? r->p[1] : 0;
    const char *meaning = NULL;
    switch (c) {
    case 's': /* PCRE2's has U+180E too */
        meaning = "\\p{White_Space}";
        break;
    case 'S':
        meaning = "\\P{White_Space}";
        break;
    case 'd':
        meaning = "\\p{Nd}";
        break;
    case 'D':
        meaning = "\\P{Nd}";
        break;
    case 'w':
        r->p += 2;
        return in_class ? put(r, WORD) : bytes_printf(r->out, r->e, "[%s%s]", WORD, LATIN1);
    case 'W':
        if (in_class) {
            return refuse(r, r->p, 2);
        }
        r->p += 2;
        return bytes_printf(r->out, r->e, "[^%s%s]", WORD, LATIN1);
    case 'p':
    case 'P':
        return property(r);
    case 'x':
    case 'u':
        return code_point(r);
    case 'r':
    case 'n':
    case 't':
    case 'f':
        return copy(r, 2);
    default:
        return c > 0 && ispunct((unsigned char)c) ? copy(r, 2) : refuse(r, r->p, c > 0 ? 2 : 1);
    }
    r->p += 2;
    return put(r, meaning);
}

static int class(struct scanner *r) {
    const char *first = r->p;
    int rc = copy(r, r->end - r->p > 1 && r->p[1] == '^' ? 2 : 1);
    bool empty = true;
    while (rc == 0 && r->p < r->end && (empty || *r->p != ']')) {
        bool both = r->end - r->p > 1 && r->p[0] == '&' && r->p[1] == '&';
        if (*r->p == '[' || *r->p == ']' || both) {
            return refuse(r, first, (size_t)(r->p - first) + 1);
        }
        rc = *r->p == '\\' ? escape(r, true) : copy(r, 1);
        empty = false;
    }
    if (rc == 0 && r->p == r->end) {
        return error_set(r->e, ERR_FORMAT, "split pattern: a class without its end");
    }
    return rc < 0 ? rc : copy(r, 1);
}

static int group(struct scanner *r) {
    static const char *const ALIKE[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:"};
    size_t left = (size_t)(r->end - r->p);
    for (size_t i = 0; i < sizeof ALIKE / sizeof *ALIKE; i++) {
        size_t size = strlen(ALIKE[i]);
        if (left >= size && memcmp(r->p, ALIKE[i], size) == 0) {
            return copy(r, size);
        }
    }
    if (left > 1 && (r->p[1] == '?' || r->p[1] == '*')) {
        return refuse(r, r->p, left < 3 ? left : 3);
    }
    return copy(r, 1);
}

/* {n}, {n,} and {n,m}; to Oniguruma {n,m}+ repeats and {,m} begins at 0. */
static int interval(struct scanner *r) {
    const char *q = r->p + 1;
    while (q < r->end && (isdigit((unsigned char)*q) || *q == ',')) {
        q++;
    }
    if (q == r->p + 1 || q == r->end || *q != '}') {
        int rc = put(r, "\\");
        return rc < 0 ? rc : copy(r, 1); /* an ordinary brace */
    }
    size_t size = (size_t)(q - r->p) + 1;
    bool more = q + 1 < r->end && (q[1] == '+' || q[1] == '?');
    return r->p[1] == ',' || more ? refuse(r, r->p, size + more) : copy(r, size);
}

int pattern_translate(struct bytes *out, const char *text, size_t size, struct error *e) {
    struct scanner r = {.p = text, .end = text + size, .out = out, .e = e};
    int rc = 0;
    while (rc == 0 && r.p < r.end) {
        switch (*r.p) {
        case '\\':
            rc = escape(&r, false);
            break;
        case '[':
            rc = class(&r);
            break;
        case '(':
            rc = group(&r);
            break;
        case '{':
            rc = interval(&r);
            break;
        default:
            rc = copy(&r, 1);
        }
    }
    return rc;
}
