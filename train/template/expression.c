/* expression.c - expressions by recursive descent, in the order of jinja2's parser: choice, or,
 * and, not, comparison, + -, ~, %, signs; then what follows an operand: attributes, items, calls,
 * filters and tests.
 *
 * Once something has failed the parser sees nothing but the end, so that every loop ends, and what
 * it makes is of no use. */
#include <string.h>

#include "train/template/syntax.h"
#include "train/template/template.h"

void parser_give_up(struct parser *p, int rc) {
    static const struct lexeme NOTHING = {.type = TOKEN_END};
    p->rc = p->rc < 0 ? p->rc : rc;
    p->at = &NOTHING;
}

void parser_fail(struct parser *p) {
    static const char *const WHAT[] = {"the end",          "text",  "a tag",
                                       "the end of a tag", "a tag", "the end of a tag"};
    const struct lexeme *t = p->at;
    if (p->rc < 0) {
        return;
    }
    parser_give_up(
        p, t->type < TOKEN_NAME
               ? error_set(p->e, ERR_FORMAT, SYNTAX_LINE "unexpected: %s", t->line, WHAT[t->type])
               : error_set(p->e, ERR_FORMAT, SYNTAX_LINE "unexpected '%.*s'", t->line,
                           TEXT_ARGS(t->text)));
}

bool parser_skip(struct parser *p, enum token_type type, const char *text) {
    bool seen = parser_sees(p, type, text);
    p->at += seen;
    return seen;
}

void parser_expect(struct parser *p, enum token_type type, const char *text) {
    if (!parser_skip(p, type, text)) {
        parser_fail(p);
    }
}

struct text parser_name(struct parser *p) {
    struct text name = p->at->text;
    parser_expect(p, TOKEN_NAME, NULL);
    return name;
}

bool parser_enter(struct parser *p) {
    if (p->rc == 0 && p->depth == TEMPLATE_NESTING_LIMIT) {
        parser_give_up(p, error_set(p->e, ERR_LIMIT, SYNTAX_LINE "nested too deeply", p->at->line));
    }
    p->depth += p->rc == 0;
    return p->rc == 0;
}

void parser_leave(struct parser *p) {
    p->depth--;
}

void *parser_grow(struct parser *p, void *items, size_t count, size_t *capacity, size_t size) {
    int rc = p->rc < 0 ? p->rc : arena_grow(p->arena, &items, count, capacity, size, p->e);
    if (rc < 0) {
        parser_give_up(p, rc);
    }
    return rc < 0 ? NULL : items;
}

static bool skip_operator(struct parser *p, const char *text) {
    return parser_skip(p, TOKEN_OPERATOR, text);
}

static bool skip_word(struct parser *p, const char *text) {
    return parser_skip(p, TOKEN_NAME, text);
}

/* ---- Nodes --------------------------------------------------------------------------------- */

/* A chain of operators nests without brackets, and is walked by recursion. */
static void deepen(struct parser *p, struct expression *x, const struct expression *child) {
    if (child != NULL && child->depth >= x->depth) {
        x->depth = child->depth + 1;
    }
    if (p->rc == 0 && x->depth > 2 * TEMPLATE_NESTING_LIMIT) {
        parser_give_up(
            p, error_set(p->e, ERR_LIMIT, SYNTAX_LINE "an expression is too long", x->line));
    }
}

/* An expression of `type` around `left`, which may be NULL. */
static struct expression *make(struct parser *p, enum expression_type type,
                               struct expression *left) {
    struct expression *x = p->rc < 0 ? NULL : arena_alloc(p->arena, 1, sizeof *x);
    if (x == NULL) {
        if (p->rc == 0) {
            parser_give_up(p, error_memory(p->e, "a template"));
        }
        p->useless = (struct expression){0};
        return &p->useless;
    }
    x->type = type;
    x->line = p->at->line;
    x->depth = 1;
    x->left = left;
    deepen(p, x, left);
    return x;
}

static void add_part(struct parser *p, struct expression *x, struct text keyword,
                     struct expression *part) {
    struct part *parts = parser_grow(p, x->parts, x->part_count, &x->part_capacity, sizeof *parts);
    if (parts != NULL) {
        x->parts = parts;
        parts[x->part_count++] = (struct part){part, keyword};
        deepen(p, x, part);
    }
}

/* ---- Operands ------------------------------------------------------------------------------ */

/* Expressions with commas between them up to `end`, a comma at the end allowed: of a dict with
 * their keys, of calls, filters and tests some after keywords. */
static struct expression *parse_items(struct parser *p, struct expression *x, const char *end) {
    bool keywords = false;
    while (p->rc == 0 && !skip_operator(p, end)) {
        struct text keyword = {0};
        if (x->part_count > 0) {
            parser_expect(p, TOKEN_OPERATOR, ",");
            if (skip_operator(p, end)) {
                break;
            }
        }
        if (p->at->type == TOKEN_NAME && p->at[1].type == TOKEN_OPERATOR &&
            text_is(p->at[1].text, "=") && x->type >= EXPRESSION_CALL) {
            keyword = p->at->text;
            p->at += 2;
            keywords = true;
        } else if (keywords) {
            parser_fail(p);
        }
        add_part(p, x, keyword, expression_parse(p));
        if (x->type == EXPRESSION_DICT) {
            parser_expect(p, TOKEN_OPERATOR, ":");
            add_part(p, x, keyword, expression_parse(p));
        }
    }
    return x;
}

static struct expression *parse_constant(struct parser *p, struct value value) {
    struct expression *x = make(p, EXPRESSION_CONSTANT, NULL);
    x->constant = value;
    p->at += p->rc == 0;
    return x;
}

static struct expression *parse_name(struct parser *p) {
    static const struct {
        const char *name;
        struct value value;
    } CONSTANTS[] = {{"true", {.type = VALUE_BOOL, .boolean = true}},
                     {"True", {.type = VALUE_BOOL, .boolean = true}},
                     {"false", {.type = VALUE_BOOL}},
                     {"False", {.type = VALUE_BOOL}},
                     {"none", {.type = VALUE_NONE}},
                     {"None", {.type = VALUE_NONE}}};
    for (size_t i = 0; i < sizeof CONSTANTS / sizeof *CONSTANTS; i++) {
        if (text_is(p->at->text, CONSTANTS[i].name)) {
            return parse_constant(p, CONSTANTS[i].value);
        }
    }
    struct expression *x = make(p, EXPRESSION_NAME, NULL);
    x->name = parser_name(p);
    return x;
}

static struct expression *parse_operand(struct parser *p) {
    enum token_type type = p->at->type;
    if (type == TOKEN_NAME) {
        return parse_name(p);
    }
    if (type == TOKEN_STRING) {
        return parse_constant(p, value_text(p->at->text));
    }
    if (type == TOKEN_INTEGER || type == TOKEN_REAL) {
        return parse_constant(p, type == TOKEN_REAL ? value_real(p->at->real)
                                                    : value_integer(p->at->integer));
    }
    if (skip_operator(p, "(")) { /* "(a)" is a; "()", "(a,)" and "(a, b)" are tuples */
        if (skip_operator(p, ")")) {
            return make(p, EXPRESSION_TUPLE, NULL);
        }
        struct expression *x = expression_parse_tuple(p, true);
        parser_expect(p, TOKEN_OPERATOR, ")");
        return x;
    }
    if (skip_operator(p, "[")) {
        return parse_items(p, make(p, EXPRESSION_LIST, NULL), "]");
    }
    parser_expect(p, TOKEN_OPERATOR, "{");
    return parse_items(p, make(p, EXPRESSION_DICT, NULL), "}");
}

/* ---- What follows an operand --------------------------------------------------------------- */

/* What stands in []: an item, or a slice, whose parts may be left out. */
static struct expression *parse_subscript(struct parser *p, struct expression *left) {
    struct expression *x = make(p, EXPRESSION_ITEM, left), *places[3] = {NULL};
    int colons = 0;
    while (p->rc == 0 && !skip_operator(p, "]")) {
        if (colons < 2 && skip_operator(p, ":")) {
            colons++;
        } else if (places[colons] != NULL) {
            parser_fail(p);
        } else {
            places[colons] = expression_parse(p);
            deepen(p, x, places[colons]);
        }
    }
    if (colons == 0 && places[0] == NULL) {
        parser_fail(p);
    }
    x->type = colons > 0 ? EXPRESSION_SLICE : EXPRESSION_ITEM;
    x->right = x->condition = places[0];
    x->stop = places[1];
    x->step = places[2];
    return x;
}

static struct expression *parse_postfix(struct parser *p, struct expression *x) {
    for (;;) {
        if (skip_operator(p, ".")) {
            x = make(p, EXPRESSION_ATTRIBUTE, x);
            x->name = parser_name(p);
        } else if (skip_operator(p, "[")) {
            x = parse_subscript(p, x);
        } else if (skip_operator(p, "(")) {
            x = parse_items(p, make(p, EXPRESSION_CALL, x), ")");
        } else {
            return x;
        }
    }
}

/* A test takes one operand without brackets, unless what follows goes on with the expression. */
static bool has_bare_argument(const struct parser *p) {
    const struct lexeme *t = p->at;
    if (t->type == TOKEN_NAME) {
        return !text_is(t->text, "else") && !text_is(t->text, "or") && !text_is(t->text, "and");
    }
    return t->type == TOKEN_STRING || t->type == TOKEN_INTEGER || t->type == TOKEN_REAL ||
           parser_sees(p, TOKEN_OPERATOR, "[") || parser_sees(p, TOKEN_OPERATOR, "{");
}

static struct expression *parse_test(struct parser *p, struct expression *left) {
    bool negated = skip_word(p, "not");
    struct expression *x = make(p, EXPRESSION_TEST, left);
    x->name = parser_name(p);
    if (skip_operator(p, "(")) {
        parse_items(p, x, ")");
    } else if (has_bare_argument(p)) {
        if (parser_sees(p, TOKEN_NAME, "is")) {
            parser_fail(p);
        }
        add_part(p, x, TEXT(""), parse_postfix(p, parse_operand(p)));
    }
    return negated ? make(p, EXPRESSION_UNARY, x) : x; /* OPERATION_NOT is the first */
}

static struct expression *parse_filters(struct parser *p, struct expression *x) {
    for (;;) {
        if (skip_operator(p, "|")) {
            x = make(p, EXPRESSION_FILTER, x);
            x->name = parser_name(p);
            if (skip_operator(p, "(")) {
                parse_items(p, x, ")");
            }
        } else if (skip_word(p, "is")) {
            x = parse_test(p, x);
        } else if (skip_operator(p, "(")) {
            x = parse_items(p, make(p, EXPRESSION_CALL, x), ")");
        } else {
            return x;
        }
    }
}

/* ---- Operators ----------------------------------------------------------------------------- */

static struct expression *parse_signed(struct parser *p, bool filters) {
    struct expression *x = &p->useless;
    if (parser_enter(p)) {
        if (skip_operator(p, "-")) {
            x = make(p, EXPRESSION_UNARY, parse_signed(p, false));
            x->operation = OPERATION_NEGATIVE;
        } else {
            x = parse_operand(p);
        }
        x = parse_postfix(p, x);
        x = filters ? parse_filters(p, x) : x;
        parser_leave(p);
    }
    return x;
}

/* The levels of operators, from the one that binds most. */
enum {
    LEVEL_SIGNED,
    LEVEL_PRODUCT,
    LEVEL_CONCAT,
    LEVEL_SUM,
    LEVEL_COMPARISON,
    LEVEL_NOT,
    LEVEL_AND,
    LEVEL_OR
};
static const struct operator{
    const char *text;
    enum operation operation;
    int level;
    enum token_type type;
}
OPERATORS[] = {{"%", OPERATION_MODULO, LEVEL_PRODUCT, TOKEN_OPERATOR},
               {"~", OPERATION_CONCAT, LEVEL_CONCAT, TOKEN_OPERATOR},
               {"+", OPERATION_ADD, LEVEL_SUM, TOKEN_OPERATOR},
               {"-", OPERATION_SUBTRACT, LEVEL_SUM, TOKEN_OPERATOR},
               {"==", OPERATION_EQUAL, LEVEL_COMPARISON, TOKEN_OPERATOR},
               {"!=", OPERATION_UNEQUAL, LEVEL_COMPARISON, TOKEN_OPERATOR},
               {"<", OPERATION_LESS, LEVEL_COMPARISON, TOKEN_OPERATOR},
               {"<=", OPERATION_LESS_EQUAL, LEVEL_COMPARISON, TOKEN_OPERATOR},
               {">", OPERATION_GREATER, LEVEL_COMPARISON, TOKEN_OPERATOR},
               {">=", OPERATION_GREATER_EQUAL, LEVEL_COMPARISON, TOKEN_OPERATOR},
               {"in", OPERATION_IN, LEVEL_COMPARISON, TOKEN_NAME},
               {"not", OPERATION_NOT_IN, LEVEL_COMPARISON, TOKEN_NAME},
               {"and", OPERATION_AND, LEVEL_AND, TOKEN_NAME},
               {"or", OPERATION_OR, LEVEL_OR, TOKEN_NAME},
               {0}};

static const struct operator* skip_level(struct parser *p, int level) {
    for (const struct operator* o = OPERATORS; o->text != NULL; o++) {
        if (o->level != level || !parser_sees(p, o->type, o->text)) {
            continue;
        }
        bool pair = o->operation == OPERATION_NOT_IN;
        if (!pair || (p->at[1].type == TOKEN_NAME && text_is(p->at[1].text, "in"))) {
            p->at += pair ? 2 : 1;
            return o;
        }
    }
    return NULL;
}

static struct expression *parse_level(struct parser *p, int level) {
    if (level == LEVEL_SIGNED) {
        return parse_signed(p, true);
    }
    if (level == LEVEL_NOT && skip_word(p, "not")) {
        struct expression *x = &p->useless;
        if (parser_enter(p)) {
            x = make(p, EXPRESSION_UNARY, parse_level(p, LEVEL_NOT));
            parser_leave(p);
        }
        return x;
    }
    struct expression *x = parse_level(p, level - 1);
    bool compared = false;
    for (const struct operator* o = skip_level(p, level); o != NULL; o = skip_level(p, level)) {
        if (compared) {
            parser_give_up(p, error_set(p->e, ERR_UNSUPPORTED,
                                        SYNTAX_LINE "a comparison of a comparison", p->at->line));
        }
        x = make(p, EXPRESSION_BINARY, x);
        x->operation = o->operation;
        x->right = parse_level(p, level - 1);
        deepen(p, x, x->right);
        compared = level == LEVEL_COMPARISON;
    }
    return x;
}

struct expression *expression_parse_plain(struct parser *p) {
    struct expression *x = &p->useless;
    if (parser_enter(p)) {
        x = parse_level(p, LEVEL_OR);
        parser_leave(p);
    }
    return x;
}

struct expression *expression_parse(struct parser *p) {
    struct expression *x = expression_parse_plain(p);
    while (skip_word(p, "if")) {
        x = make(p, EXPRESSION_CHOICE, x);
        x->condition = expression_parse_plain(p);
        deepen(p, x, x->condition);
        if (skip_word(p, "else") && parser_enter(p)) {
            x->right = expression_parse(p);
            deepen(p, x, x->right);
            parser_leave(p);
        }
    }
    return x;
}

static bool ends_tuple(const struct parser *p) {
    return p->at->type == TOKEN_BLOCK_END || p->at->type == TOKEN_PRINT_END ||
           parser_sees(p, TOKEN_OPERATOR, ")");
}

struct expression *expression_parse_tuple(struct parser *p, bool choices) {
    struct expression *x = choices ? expression_parse(p) : expression_parse_plain(p);
    if (!parser_sees(p, TOKEN_OPERATOR, ",")) {
        return x;
    }
    struct expression *tuple = make(p, EXPRESSION_TUPLE, NULL);
    add_part(p, tuple, TEXT(""), x);
    while (skip_operator(p, ",") && !ends_tuple(p)) {
        add_part(p, tuple, TEXT(""), choices ? expression_parse(p) : expression_parse_plain(p));
    }
    return tuple;
}
