/* comment_html.c - the HTML that some sites put into comments, as plain text. Not a parser of HTML:
 * comments hold links, bold text and line ends, and only text and line ends are kept. */
#include <string.h>

#include "ingest/sidecars/comment_parts.h"
#include "store/utf8.h"

static const struct {
    const char *name; /* with its semicolon */
    uint32_t code_point;
} entities[] = {
    {"amp;", '&'},      {"lt;", '<'},       {"gt;", '>'},        {"quot;", '"'},
    {"apos;", '\''},    {"nbsp;", ' '},     {"hellip;", 0x2026}, {"ndash;", 0x2013},
    {"mdash;", 0x2014}, {"lsquo;", 0x2018}, {"rsquo;", 0x2019},  {"ldquo;", 0x201C},
    {"rdquo;", 0x201D}, {"laquo;", 0xAB},   {"raquo;", 0xBB},    {"bull;", 0x2022},
    {"middot;", 0xB7},  {"copy;", 0xA9},    {"reg;", 0xAE},      {"trade;", 0x2122},
    {"euro;", 0x20AC},  {"pound;", 0xA3},   {"deg;", 0xB0},      {"eacute;", 0xE9},
    {"egrave;", 0xE8},  {"agrave;", 0xE0},  {"ccedil;", 0xE7},   {"ntilde;", 0xF1},
    {"auml;", 0xE4},    {"ouml;", 0xF6},    {"uuml;", 0xFC},     {"szlig;", 0xDF},
};

/* Elements that stand on lines of their own, and <br>. */
static const char *const line_elements[] = {"br", "p", "div", "li", "ul", "ol", "blockquote", "tr"};

/* Every step writes at most as many bytes as it reads, so a buffer of the input's size is
 * enough. */
struct html_output {
    char *text;
    size_t size;
    bool space, line; /* a blank or a line end is due before the next character */
};

static void put(struct html_output *out, uint32_t c) {
    bool blank = c <= ' ' || (c >= 0x7F && c < 0xA0); /* control characters too */
    out->space |= blank;
    if (blank) {
        return;
    }
    if (out->size && (out->line || out->space)) {
        out->text[out->size++] = out->line ? '\n' : ' ';
    }
    out->space = out->line = false;
    char encoded[4];
    size_t count = utf8_encode(c, encoded);
    memcpy(out->text + out->size, encoded, count);
    out->size += count;
}

/* The value of "&#39;" or "&#x27;" at `html`; returns the bytes used, 0 when it is none. */
static size_t read_number(const char *html, uint32_t *c) {
    bool hexadecimal = (html[2] | 0x20) == 'x';
    const char *digits = hexadecimal ? "0123456789abcdefABCDEF" : "0123456789";
    const char *first = html + (hexadecimal ? 3 : 2);
    size_t count = strspn(first, digits);
    if (count < 1 || count > 8 || first[count] != ';') {
        return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++) {
        int digit = first[i] <= '9' ? first[i] - '0' : (first[i] | 0x20) - 'a' + 10;
        value = value * (hexadecimal ? 16 : 10) + (uint64_t)digit;
    }
    *c = value > 0 && value <= 0x10FFFF ? (uint32_t)value : UTF8_REPLACEMENT;
    return (size_t)(first + count + 1 - html);
}

/* The character of an entity at `html`, which begins with '&'; '&' itself when it is none. */
static size_t read_entity(const char *html, uint32_t *c) {
    size_t used = html[1] == '#' ? read_number(html, c) : 0;
    for (size_t i = 0; !used && i < sizeof entities / sizeof *entities; i++) {
        size_t size = strlen(entities[i].name);
        if (strncmp(html + 1, entities[i].name, size) == 0) {
            *c = entities[i].code_point;
            used = 1 + size;
        }
    }
    if (!used) {
        *c = '&';
        used = 1;
    }
    return used;
}

static bool letter(char c) {
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_line_element(const char *name, size_t size) {
    for (size_t i = 0; i < sizeof line_elements / sizeof *line_elements; i++) {
        bool same = strlen(line_elements[i]) == size;
        for (size_t k = 0; same && k < size; k++) {
            same = (name[k] | 0x20) == line_elements[i][k];
        }
        if (same) {
            return true;
        }
    }
    return false;
}

/* The bytes of a tag or comment at `html`, which begins with '<'; 0 when it is neither. `closed` is
 * false when no '>' follows any more: then there is no further search, which would take quadratic
 * time over a text full of '<'. */
static size_t read_tag(const char *html, bool *closed, bool *line) {
    const char *name = html + 1 + (html[1] == '/');
    *line = false;
    if (!*closed || !(letter(*name) || html[1] == '!')) {
        return 0;
    }
    const char *end = strchr(html, '>');
    *closed = end != NULL;
    if (end == NULL) {
        return 0;
    }
    size_t size = 0;
    while (letter(name[size])) {
        size++;
    }
    *line = is_line_element(name, size);
    return (size_t)(end + 1 - html);
}

const char *comment_text_from_html(struct fields *f, const char *html) {
    size_t size = strlen(html);
    struct html_output out = {.text = arena_alloc(f->arena, size + 1, 1)};
    if (out.text == NULL) {
        f->exhausted = true;
        return NULL;
    }
    bool closed = true;
    for (size_t at = 0; at < size;) {
        uint32_t c = 0;
        bool line, valid = true;
        size_t used = html[at] == '<' ? read_tag(html + at, &closed, &line) : 0;
        if (used) {
            out.line |= line;
        } else {
            used = html[at] == '&' ? read_entity(html + at, &c)
                                   : utf8_decode(html + at, size - at, &c, &valid);
            put(&out, valid ? c : ' '); /* U+FFFD would take more bytes than it replaces */
        }
        at += used;
    }
    out.text[out.size] = 0;
    return out.size ? out.text : NULL;
}
