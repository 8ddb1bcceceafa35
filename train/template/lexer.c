/* lexer.c - templates into tokens, as jinja2's lexer does it with trim_blocks and lstrip_blocks:
 * the newline after a tag that is not printed goes, and so does white space in front of one that
 * is alone in its line; `-` at a tag takes all white space on that side. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "train/template/syntax.h"
#include "train/template/template.h"

struct lexer {
    struct arena *arena;
    struct text source;
    size_t at;
    int line;                          /* of counted */
    size_t counted;                    /* newlines before it are in `line` */
    bool line_start;                   /* the last tag took the newline after it */
    char open[TEMPLATE_NESTING_LIMIT]; /* brackets that wait for their end */
    int open_count;
    void *tokens; /* struct lexeme, in the arena */
    size_t count, capacity;
    struct error *e;
};

static int line_of(struct lexer *l, size_t at) {
    for (; l->counted < at; l->counted++) {
        l->line += l->source.data[l->counted] == '\n';
    }
    return l->line;
}

static int add(struct lexer *l, struct lexeme token, size_t at) {
    int rc = arena_grow(l->arena, &l->tokens, l->count, &l->capacity, sizeof token, l->e);
    if (rc == 0) {
        token.line = line_of(l, at);
        ((struct lexeme *)l->tokens)[l->count++] = token;
    }
    return rc;
}

static bool sees(const struct lexer *l, size_t at, const char *text) {
    size_t size = strlen(text);
    return l->source.size - at >= size && memcmp(l->source.data + at, text, size) == 0;
}

/* The end of the white space from `at` on. */
static size_t skip_space(const struct lexer *l, size_t at) {
    struct text rest = {l->source.data + at, l->source.size - at};
    return l->source.size - text_strip(rest, NULL, true, false).size;
}

/* The end of a closing mark ("%}", "#}", "}}") that begins at `at`, with its sign and the white
 * space that goes with it; 0: there is none. */
static size_t end_mark(struct lexer *l, size_t at, const char *mark, bool block) {
    bool minus = sees(l, at, "-");
    size_t end = at + minus;
    if (!sees(l, end, mark)) {
        return 0;
    }
    end += strlen(mark);
    if (minus) {
        end = skip_space(l, end);
    } else if (block && sees(l, end, "\n")) {
        end++;
    }
    return end;
}

static int add_data(struct lexer *l, size_t from, size_t to) {
    struct text text = {l->source.data + from, to - from};
    return text.size > 0 ? add(l, (struct lexeme){.type = TOKEN_DATA, .text = text}, from) : 0;
}

/* Where data that begins at `from` ends, which a tag at `tag` follows. */
static size_t data_end(const struct lexer *l, size_t from, size_t tag, bool minus, bool printed) {
    struct text data = {l->source.data + from, tag - from};
    if (minus) {
        return from + text_strip(data, NULL, false, true).size;
    }
    if (printed) {
        return tag;
    }
    size_t line = data.size;
    while (line > 0 && data.data[line - 1] != '\n') {
        line--;
    }
    bool whole_line = line > 0 || l->line_start;
    struct text before = {data.data + line, data.size - line};
    bool blank = text_strip(before, NULL, true, false).size == 0;
    return whole_line && blank ? from + line : tag;
}

/* ---- Within tags --------------------------------------------------------------------------- */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c);
}

static size_t digits_end(const struct lexer *l, size_t at) {
    while (at < l->source.size && is_digit(l->source.data[at])) {
        at++;
    }
    return at;
}

static char char_at(const struct lexer *l, size_t at) {
    return at < l->source.size ? l->source.data[at] : 0;
}

static int lex_number(struct lexer *l) {
    size_t start = l->at, end = digits_end(l, start);
    bool real = char_at(l, end) == '.' && is_digit(char_at(l, end + 1));
    end = real ? digits_end(l, end + 1) : end;
    struct lexeme token = {.type = real ? TOKEN_REAL : TOKEN_INTEGER,
                           .text = {l->source.data + start, end - start}};
    char digits[64] = "";
    bool fits = token.text.size < sizeof digits;
    memcpy(digits, token.text.data, fits ? token.text.size : 0);
    errno = 0;
    if (real) {
        token.real = strtod(digits, NULL);
    } else {
        token.integer = strtoll(digits, NULL, 10);
    }
    bool octal = !real && digits[0] == '0' && token.integer != 0; /* an error in Python */
    if (!fits || is_name(char_at(l, end)) || octal || (!real && errno == ERANGE)) {
        return error_set(l->e, ERR_UNSUPPORTED, SYNTAX_LINE "a number that begins with %.40s",
                         line_of(l, start), digits);
    }
    l->at = end;
    return add(l, token, start);
}

/* What the escape whose letter is at *at stands for, as in Python's strings. */
static int add_escape(struct lexer *l, struct bytes *out, size_t *at) {
    static const char LETTERS[] = "nrt\\'\"\n", MEANINGS[] = "\n\r\t\\'\"";
    char c = char_at(l, (*at)++);
    const char *letter = c != 0 ? strchr(LETTERS, c) : NULL;
    if (letter != NULL) {
        return bytes_append(out, MEANINGS + (letter - LETTERS), c != '\n', l->e);
    }
    if (c != 0 && strchr("abfvxuUN01234567", c) != NULL) {
        return error_set(l->e, ERR_UNSUPPORTED, SYNTAX_LINE "\\%c in a string", line_of(l, l->at),
                         c);
    }
    int rc = bytes_append(out, "\\", 1, l->e);
    return rc < 0 ? rc : bytes_append(out, &c, 1, l->e);
}

/* Strings side by side are one. */
static int lex_string(struct lexer *l) {
    size_t at = l->at;
    struct lexeme token = {.type = TOKEN_STRING};
    struct bytes value;
    bytes_init(&value, TEMPLATE_SIZE_LIMIT);
    int rc = 0;
    while (rc == 0 && (sees(l, at, "'") || sees(l, at, "\""))) {
        const char quote = l->source.data[at++];
        while (rc == 0 && at < l->source.size && l->source.data[at] != quote) {
            bool escape = l->source.data[at] == '\\';
            at += escape;
            rc = escape ? add_escape(l, &value, &at)
                        : bytes_append(&value, l->source.data + at++, 1, l->e);
        }
        if (rc == 0 && at >= l->source.size) {
            rc = error_set(l->e, ERR_FORMAT, SYNTAX_LINE "a string has no end", line_of(l, l->at));
        }
        at = rc < 0 ? at : skip_space(l, at + 1);
    }
    rc = rc < 0 ? rc : text_copy(l->arena, bytes_text(&value), value.size, &token.text, l->e);
    rc = rc < 0 ? rc : add(l, token, l->at);
    bytes_close(&value);
    l->at = at;
    return rc;
}

static int lex_operator(struct lexer *l) {
    static const char *const OPERATORS[] = {"==", "!=", ">=", "<=", "+", "-", "%", "~",
                                            "[",  "]",  "(",  ")",  "{", "}", ">", "<",
                                            "=",  ".",  ":",  "|",  ",", NULL};
    int i = 0;
    while (OPERATORS[i] != NULL && !sees(l, l->at, OPERATORS[i])) {
        i++;
    }
    if (OPERATORS[i] == NULL && (sees(l, l->at, "*") || sees(l, l->at, "/"))) {
        return error_set(l->e, ERR_UNSUPPORTED, SYNTAX_LINE "the operator %c", line_of(l, l->at),
                         l->source.data[l->at]);
    }
    if (OPERATORS[i] == NULL) {
        return error_set(l->e, ERR_FORMAT, SYNTAX_LINE "a character that no expression has",
                         line_of(l, l->at));
    }
    char c = OPERATORS[i][0];
    if (strchr("[({", c) != NULL) {
        if (l->open_count == TEMPLATE_NESTING_LIMIT) {
            return error_set(l->e, ERR_LIMIT, SYNTAX_LINE "brackets are nested too deeply",
                             line_of(l, l->at));
        }
        l->open[l->open_count++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (strchr("])}", c) != NULL) {
        if (l->open_count == 0 || l->open[l->open_count - 1] != c) {
            return error_set(l->e, ERR_FORMAT, SYNTAX_LINE "unexpected '%c'", line_of(l, l->at), c);
        }
        l->open_count--;
    }
    struct lexeme token = {.type = TOKEN_OPERATOR,
                           .text = {l->source.data + l->at, strlen(OPERATORS[i])}};
    size_t at = l->at;
    l->at += token.text.size;
    return add(l, token, at);
}

static int lex_name(struct lexer *l) {
    size_t start = l->at;
    while (l->at < l->source.size && is_name(l->source.data[l->at])) {
        l->at++;
    }
    return add(l,
               (struct lexeme){.type = TOKEN_NAME, .text = {l->source.data + start, l->at - start}},
               start);
}

/* From after the mark that opens a tag to after the one that closes it. */
static int lex_inside(struct lexer *l, bool block) {
    const char *mark = block ? "%}" : "}}";
    size_t start = l->at;
    l->open_count = 0;
    for (;;) {
        l->at = skip_space(l, l->at);
        size_t at = l->at, end = l->open_count == 0 ? end_mark(l, at, mark, block) : 0;
        if (end > 0) {
            l->line_start = l->source.data[end - 1] == '\n';
            l->at = end;
            return add(l, (struct lexeme){.type = block ? TOKEN_BLOCK_END : TOKEN_PRINT_END}, at);
        }
        if (at == l->source.size) {
            return error_set(l->e, ERR_FORMAT, SYNTAX_LINE "a tag has no end", line_of(l, start));
        }
        char c = l->source.data[l->at];
        int rc = is_digit(c)               ? lex_number(l)
                 : is_name(c)              ? lex_name(l)
                 : (c == '"' || c == '\'') ? lex_string(l)
                                           : lex_operator(l);
        if (rc < 0) {
            return rc;
        }
    }
}

/* ---- Between tags -------------------------------------------------------------------------- */

/* Past a comment whose mark was at `start`. */
static int skip_comment(struct lexer *l, size_t start) {
    for (; l->at < l->source.size; l->at++) {
        size_t end = end_mark(l, l->at, "#}", true);
        if (end > 0) {
            l->line_start = l->source.data[end - 1] == '\n';
            l->at = end;
            return 0;
        }
    }
    return error_set(l->e, ERR_FORMAT, SYNTAX_LINE "a comment has no end", line_of(l, start));
}

/* Data, then the tag after it. */
static int lex_next(struct lexer *l) {
    size_t from = l->at, tag = from;
    while (tag < l->source.size &&
           !(sees(l, tag, "{%") || sees(l, tag, "{{") || sees(l, tag, "{#"))) {
        tag++;
    }
    if (tag == l->source.size) {
        l->at = tag;
        return add_data(l, from, tag);
    }
    char kind = l->source.data[tag + 1];
    bool minus = char_at(l, tag + 2) == '-';
    int rc = add_data(l, from, data_end(l, from, tag, minus, kind == '{'));
    l->at = tag + 2 + minus;
    if (rc < 0) {
        return rc;
    }
    if (kind == '#') {
        return skip_comment(l, tag);
    }
    if (kind == '%' && (sees(l, l->at, "+") || sees(l, skip_space(l, l->at), "raw"))) {
        return error_set(l->e, ERR_UNSUPPORTED, SYNTAX_LINE "the tag '%s'", line_of(l, tag),
                         sees(l, l->at, "+") ? "{%+" : "raw");
    }
    bool block = kind == '%';
    rc = add(l, (struct lexeme){.type = block ? TOKEN_BLOCK_BEGIN : TOKEN_PRINT_BEGIN}, tag);
    return rc < 0 ? rc : lex_inside(l, block);
}

int template_lex(struct arena *a, struct text source, struct lexeme **out, struct error *e) {
    struct lexer l = {.arena = a, .source = source, .line = 1, .line_start = true, .e = e};
    int rc = 0;
    while (l.at < source.size && rc == 0) {
        rc = lex_next(&l);
    }
    rc = rc < 0 ? rc : add(&l, (struct lexeme){.type = TOKEN_END}, source.size);
    *out = l.tokens;
    return rc;
}
