/* statement.c - tags and the text between them as a tree. */
#include <string.h>

#include "train/template/syntax.h"
#include "train/template/template.h"

static struct statement *parse_body(struct parser *p);

static struct statement *make(struct parser *p, enum statement_type type) {
    struct statement *s = arena_alloc(p->arena, 1, sizeof *s);
    if (s == NULL) {
        parser_give_up(p, error_memory(p->e, "a template"));
        return NULL;
    }
    s->type = type;
    s->line = p->at->line;
    return s;
}

static void end_tag(struct parser *p) {
    parser_expect(p, TOKEN_BLOCK_END, NULL);
}

/* Whether the next tag is {% name, past which it moves then. */
static bool skip_tag(struct parser *p, const char *name) {
    bool seen = p->at->type == TOKEN_BLOCK_BEGIN && p->at[1].type == TOKEN_NAME &&
                text_is(p->at[1].text, name);
    p->at += seen ? 2 : 0;
    return seen;
}

static void expect_tag(struct parser *p, const char *name) {
    if (skip_tag(p, name)) {
        end_tag(p);
    } else if (p->rc == 0) {
        parser_give_up(
            p, error_set(p->e, ERR_FORMAT, SYNTAX_LINE "{%% %s %%} is missing", p->at->line, name));
    }
}

/* From the end of a tag on up to {% name %}, which is passed. */
static struct statement *parse_until(struct parser *p, const char *name) {
    end_tag(p);
    struct statement *body = parse_body(p);
    expect_tag(p, name);
    return body;
}

/* ---- What is assigned to ------------------------------------------------------------------- */

static struct text parse_target_name(struct parser *p) {
    static const char *const TAKEN[] = {"true", "True", "false", "False", "none", "None", NULL};
    for (int i = 0; TAKEN[i] != NULL; i++) {
        if (parser_sees(p, TOKEN_NAME, TAKEN[i])) {
            parser_fail(p);
        }
    }
    return parser_name(p);
}

static void add_target(struct parser *p, struct target *t, struct text name) {
    struct text *names = parser_grow(p, t->names, t->count, &t->capacity, sizeof *names);
    if (names != NULL) {
        t->names = names;
        names[t->count++] = name;
    }
}

/* "a", "a.b" where `members`, "a, b", "(a, b)". */
static void parse_target(struct parser *p, bool members, struct target *out) {
    bool brackets = parser_skip(p, TOKEN_OPERATOR, "(");
    out->name = parse_target_name(p);
    if (members && !brackets && parser_skip(p, TOKEN_OPERATOR, ".")) {
        out->member = parser_name(p);
        return;
    }
    if (parser_sees(p, TOKEN_OPERATOR, ",")) {
        add_target(p, out, out->name);
    }
    while (parser_skip(p, TOKEN_OPERATOR, ",") && p->at->type == TOKEN_NAME &&
           !parser_sees(p, TOKEN_NAME, "in")) {
        add_target(p, out, parse_target_name(p));
    }
    if (brackets) {
        parser_expect(p, TOKEN_OPERATOR, ")");
    }
}

/* ---- Tags ---------------------------------------------------------------------------------- */

static void parse_else(struct parser *p, struct statement *s, const char *end) {
    if (skip_tag(p, "else")) {
        s->otherwise = parse_until(p, end);
    } else {
        expect_tag(p, end);
    }
}

static void parse_condition(struct parser *p, struct statement *s) {
    s->expression = expression_parse_tuple(p, false);
    end_tag(p);
    s->body = parse_body(p);
}

static void parse_if(struct parser *p, struct statement *s) {
    parse_condition(p, s);
    while (skip_tag(p, "elif")) { /* not by recursion: there may be many */
        s->chain = make(p, STATEMENT_IF);
        if (s->chain == NULL) {
            return;
        }
        s = s->chain;
        parse_condition(p, s);
    }
    parse_else(p, s, "endif");
}

static void parse_for(struct parser *p, struct statement *s) {
    parse_target(p, false, &s->target);
    parser_expect(p, TOKEN_NAME, "in");
    s->expression = expression_parse_tuple(p, false);
    if (parser_skip(p, TOKEN_NAME, "if")) {
        s->condition = expression_parse(p);
    }
    end_tag(p);
    p->loops++;
    s->body = parse_body(p);
    p->loops--;
    parse_else(p, s, "endfor");
}

static void parse_set(struct parser *p, struct statement *s) {
    parse_target(p, true, &s->target);
    if (parser_skip(p, TOKEN_OPERATOR, "=")) {
        s->expression = expression_parse_tuple(p, true);
        end_tag(p);
    } else if (parser_sees(p, TOKEN_OPERATOR, "|")) {
        parser_give_up(p, error_set(p->e, ERR_UNSUPPORTED, SYNTAX_LINE "a filter of a set block",
                                    p->at->line));
    } else {
        s->body = parse_until(p, "endset");
    }
}

static void parse_macro(struct parser *p, struct statement *s) {
    s->text = parser_name(p);
    parser_expect(p, TOKEN_OPERATOR, "(");
    while (p->rc == 0 && !parser_skip(p, TOKEN_OPERATOR, ")")) {
        struct argument argument = {0};
        if (s->argument_count > 0) {
            parser_expect(p, TOKEN_OPERATOR, ",");
        }
        argument.name = parse_target_name(p);
        if (parser_skip(p, TOKEN_OPERATOR, "=")) {
            argument.value = expression_parse(p);
        }
        struct argument *all =
            parser_grow(p, s->arguments, s->argument_count, &s->argument_capacity, sizeof argument);
        if (all != NULL) {
            s->arguments = all;
            all[s->argument_count++] = argument;
        }
    }
    int loops = p->loops; /* a macro in a loop cannot break it */
    p->loops = 0;
    s->body = parse_until(p, "endmacro");
    p->loops = loops;
}

static void parse_generation(struct parser *p, struct statement *s) {
    s->body = parse_until(p, "endgeneration");
}

static void parse_jump(struct parser *p, struct statement *s) {
    (void)s;
    if (p->loops == 0) {
        parser_give_up(p, error_set(p->e, ERR_FORMAT, SYNTAX_LINE "break or continue outside a for",
                                    p->at->line));
    }
    end_tag(p);
}

static const struct {
    const char *name;
    enum statement_type type;
    void (*parse)(struct parser *p, struct statement *s);
} TAGS[] = {{"if", STATEMENT_IF, parse_if},
            {"for", STATEMENT_FOR, parse_for},
            {"set", STATEMENT_SET, parse_set},
            {"macro", STATEMENT_MACRO, parse_macro},
            {"generation", STATEMENT_GENERATION, parse_generation},
            {"break", STATEMENT_BREAK, parse_jump},
            {"continue", STATEMENT_CONTINUE, parse_jump}};

/* Tags that belong to one before them: they end its body. */
static bool ends_body(const struct parser *p) {
    const struct lexeme *next = p->at + 1;
    if (p->at->type == TOKEN_END) {
        return true;
    }
    return p->at->type == TOKEN_BLOCK_BEGIN && next->type == TOKEN_NAME &&
           (text_is(next->text, "else") || text_is(next->text, "elif") ||
            (next->text.size > 3 && memcmp(next->text.data, "end", 3) == 0));
}

static struct statement *parse_tag(struct parser *p) {
    p->at++;
    const int line = p->at->line;
    struct text name = parser_name(p);
    for (size_t i = 0; p->rc == 0 && i < sizeof TAGS / sizeof *TAGS; i++) {
        if (text_is(name, TAGS[i].name)) {
            struct statement *s = make(p, TAGS[i].type);
            if (s != NULL) {
                TAGS[i].parse(p, s);
            }
            return s;
        }
    }
    if (p->rc == 0) {
        parser_give_up(p, error_set(p->e, ERR_UNSUPPORTED, SYNTAX_LINE "the tag '%.*s'", line,
                                    TEXT_ARGS(name)));
    }
    return NULL;
}

static struct statement *parse_statement(struct parser *p) {
    if (p->at->type == TOKEN_BLOCK_BEGIN) {
        return parse_tag(p);
    }
    bool data = p->at->type == TOKEN_DATA;
    struct statement *s = make(p, data ? STATEMENT_DATA : STATEMENT_PRINT);
    if (s == NULL) {
        return NULL;
    }
    s->text = p->at->text;
    p->at++;
    if (!data) {
        s->expression = expression_parse_tuple(p, true);
        parser_expect(p, TOKEN_PRINT_END, NULL);
    }
    return s;
}

static struct statement *parse_body(struct parser *p) {
    struct statement *first = NULL, **next = &first;
    if (!parser_enter(p)) {
        return NULL;
    }
    while (!ends_body(p)) {
        *next = parse_statement(p);
        if (*next == NULL) {
            break;
        }
        next = &(*next)->next;
    }
    parser_leave(p);
    return first;
}

int statements_parse(struct arena *a, const struct lexeme *tokens, struct statement **out,
                     struct error *e) {
    struct parser p = {.arena = a, .at = tokens, .e = e};
    *out = parse_body(&p);
    if (p.rc == 0 && p.at->type != TOKEN_END) {
        p.at++;
        parser_fail(&p);
    }
    return p.rc;
}
