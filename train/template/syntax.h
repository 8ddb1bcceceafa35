/* syntax.h - a template as a tree: text -> tokens (lexer.c) -> expressions (expression.c) within
 * statements (statement.c). All of it lies in the template's arena. */
#ifndef OCC_TRAIN_TEMPLATE_SYNTAX_H
#define OCC_TRAIN_TEMPLATE_SYNTAX_H

#include "train/template/value.h"

/* ---- Tokens -------------------------------------------------------------------------------- */

enum token_type {
    TOKEN_END, /* of the template */
    TOKEN_DATA,
    TOKEN_BLOCK_BEGIN, /* {% */
    TOKEN_BLOCK_END,
    TOKEN_PRINT_BEGIN, /* {{ */
    TOKEN_PRINT_END,
    TOKEN_NAME,
    TOKEN_STRING, /* `text` is what it stands for */
    TOKEN_INTEGER,
    TOKEN_REAL,
    TOKEN_OPERATOR
};
struct lexeme {
    enum token_type type;
    int line;
    struct text text;
    int64_t integer;
    double real;
};
/* The tokens of a template, TOKEN_END the last. `source` lies in the arena. */
int template_lex(struct arena *a, struct text source, struct lexeme **out, struct error *e);

/* ---- Expressions --------------------------------------------------------------------------- */

enum expression_type {
    EXPRESSION_CONSTANT,
    EXPRESSION_NAME,
    EXPRESSION_LIST,
    EXPRESSION_TUPLE,
    EXPRESSION_DICT,      /* keys and values in turn */
    EXPRESSION_UNARY,     /* not, - */
    EXPRESSION_BINARY,    /* and, or, ~, +, -, %, ==, <, in, ... */
    EXPRESSION_CHOICE,    /* left if condition else right */
    EXPRESSION_ATTRIBUTE, /* left.name */
    EXPRESSION_ITEM,      /* left[right] */
    EXPRESSION_SLICE,     /* left[a:b:c] */
    EXPRESSION_CALL,
    EXPRESSION_FILTER, /* left|name(...) */
    EXPRESSION_TEST    /* left is name(...) */
};
enum operation {
    OPERATION_NOT,
    OPERATION_NEGATIVE,
    OPERATION_AND,
    OPERATION_OR,
    OPERATION_CONCAT,
    OPERATION_ADD,
    OPERATION_SUBTRACT,
    OPERATION_MODULO,
    OPERATION_EQUAL, /* from here on: comparisons */
    OPERATION_UNEQUAL,
    OPERATION_LESS,
    OPERATION_LESS_EQUAL,
    OPERATION_GREATER,
    OPERATION_GREATER_EQUAL,
    OPERATION_IN,
    OPERATION_NOT_IN
};
struct expression {
    enum expression_type type;
    enum operation operation;
    int line, depth;
    struct value constant;
    struct text name;
    struct expression *left, *right, *condition; /* of a slice: the start is `condition` ... */
    struct expression *stop, *step;              /* NULL: not given */
    struct part *parts;                          /* of lists, dicts, arguments */
    size_t part_count, part_capacity;
};
struct part {
    struct expression *expression;
    struct text keyword; /* of an argument; size 0: none */
};

/* ---- Statements ---------------------------------------------------------------------------- */

enum statement_type {
    STATEMENT_DATA,
    STATEMENT_PRINT,
    STATEMENT_IF,    /* `otherwise`: else; `chain`: the next elif, instead of it */
    STATEMENT_FOR,   /* target in expression [if condition]; `otherwise` where nothing is in it */
    STATEMENT_SET,   /* target = expression; NULL: the text of body */
    STATEMENT_MACRO, /* its defaults in `arguments`, NULL for none */
    STATEMENT_GENERATION,
    STATEMENT_BREAK,
    STATEMENT_CONTINUE
};
/* What is assigned to: a name, the member of a namespace, or several names. */
struct target {
    struct text name, member; /* member.size 0: none */
    struct text *names;
    size_t count, capacity; /* 0: one name */
};
struct argument {
    struct text name;
    struct expression *value;
};
struct statement {
    enum statement_type type;
    int line;
    struct text text; /* of data; the macro's name */
    struct target target;
    struct expression *expression, *condition;
    struct argument *arguments;
    size_t argument_count, argument_capacity;
    struct statement *body, *otherwise, *chain, *next;
};

struct parser {
    struct arena *arena;
    const struct lexeme *at;
    int depth, loops; /* nesting of everything, and of for */
    int rc;           /* negative: it failed, and `at` is the end */
    struct expression useless;
    struct error *e;
};
static inline bool parser_sees(const struct parser *p, enum token_type type, const char *text) {
    return p->at->type == type && (text == NULL || text_is(p->at->text, text));
}
/* "line N: ", then the message; also for what runs. */
#define SYNTAX_LINE "line %d: "
void parser_give_up(struct parser *p, int rc);
void parser_fail(struct parser *p); /* what stands here was not expected */
/* Moves past what must stand here. */
void parser_expect(struct parser *p, enum token_type type, const char *text);
struct text parser_name(struct parser *p);
bool parser_skip(struct parser *p, enum token_type type, const char *text);
/* Every construct is entered and, where that succeeded, left. */
bool parser_enter(struct parser *p);
void parser_leave(struct parser *p);
/* The array with room for one more; NULL: it failed. */
void *parser_grow(struct parser *p, void *items, size_t count, size_t *capacity, size_t size);

struct expression *expression_parse(struct parser *p);
/* Without `a if b else c`, as in `for x in y if z`. */
struct expression *expression_parse_plain(struct parser *p);
/* Also `a, b` without parentheses; `choices`: with `a if b else c`. */
struct expression *expression_parse_tuple(struct parser *p, bool choices);

/* A whole template; *out is its first statement, NULL for an empty one. */
int statements_parse(struct arena *a, const struct lexeme *tokens, struct statement **out,
                     struct error *e);

#endif
