/* run.h - what the files that render a template share: statements (run.c), expressions
 * (evaluate.c, operators.c), calls (call.c, builtins_*.c) and tests (checks.c).
 *
 * Functions return 0 or a negative code, with run->e filled; run->line is put in front of it at
 * the end. */
#ifndef OCC_TRAIN_TEMPLATE_RUN_H
#define OCC_TRAIN_TEMPLATE_RUN_H

#include "train/template/syntax.h"
#include "train/template/template.h"

/* Variables of a for, a macro; those around it are seen, too. */
struct binding {
    struct text name;
    struct value value;
};
struct frame {
    struct frame *parent;
    struct binding *bindings;
    size_t count, capacity;
};

struct loop {
    const struct list *items;
    size_t index;
};

struct macro {
    const struct statement *statement;
    struct frame *frame; /* that it was made in */
};

enum { RUN_DEPTH_LIMIT = 6 * TEMPLATE_NESTING_LIMIT }; /* for the stack's sake */
struct run {
    const struct template_input *in;
    struct arena *arena;
    struct frame *frame;
    struct bytes *out;    /* where statements write */
    struct bytes scratch; /* of the function in hand, for a text on its way to the arena */
    struct template_spans *spans;
    const struct bytes *result; /* `out`, unless it is a macro's or a block's */
    size_t begin;               /* where the result begins in it */
    int depth, line;
    int64_t steps; /* that are left */
    struct error *e;
};

/* ERR_LIMIT once a template has taken too many steps: each of these is about 50 ns. */
int run_charge(struct run *r, int64_t steps);
/* For what cannot fail: the next charge does. */
static inline void run_spend(struct run *r, int64_t steps) {
    r->steps -= steps;
}

/* ---- Variables ----------------------------------------------------------------------------- */

int run_push(struct run *r, struct frame *parent);             /* r->frame is a new one */
const struct value *run_find(struct run *r, struct text name); /* NULL: there is none */
int run_bind(struct run *r, struct text name, const struct value *value);
int run_assign(struct run *r, const struct target *target, const struct value *value);
int run_dict_set(struct run *r, struct dict *d, const struct value *key, const struct value *value);

/* ---- Statements ---------------------------------------------------------------------------- */

/* 0, or RUN_BREAK or RUN_CONTINUE of the loop around them. */
enum { RUN_BREAK = 1, RUN_CONTINUE };
int run_statements(struct run *r, const struct statement *s);
/* What they write, as a text. */
int run_captured(struct run *r, const struct statement *s, struct value *out);

/* ---- Expressions --------------------------------------------------------------------------- */

int evaluate(struct run *r, const struct expression *x, struct value *out);
int operate(struct run *r, enum operation operation, const struct value *a, const struct value *b,
            struct value *out);
/* ==, <, in, ... */
int operate_compare(struct run *r, enum operation operation, const struct value *a,
                    const struct value *b, bool *out);

/* v.name, and v[index]: undefined where there is none. */
int value_attribute(struct run *r, const struct value *v, struct text name, struct value *out);
int value_item(struct run *r, const struct value *v, const struct value *index, struct value *out);

/* The items of what can be iterated over. */
int run_items(struct run *r, const struct value *v, struct list **out);
/* As str() has it; of a text itself. */
int run_text(struct run *r, const struct value *v, struct text *out);
/* r->scratch as a value. */
int run_take_scratch(struct run *r, struct value *out);
int run_list(struct run *r, size_t count, struct value *out);

/* ---- Calls --------------------------------------------------------------------------------- */

/* Positional arguments come first. */
struct arguments {
    struct value *values;
    struct text *keywords; /* size 0: positional */
    size_t count;
};
bool slot_flag(const struct value *slot, bool fallback);
int slot_text(struct run *r, const struct value *slot, const char *what, struct text *out);
int slot_whole(struct run *r, const struct value *slot, const char *what, int64_t *out);

/* What a function, method or filter that is built in is called with. */
enum { SLOTS = 3 };
struct call {
    const char *name;                 /* for messages */
    const struct value *self;         /* what it is a method or filter of; NULL: a function */
    const struct value *slots[SLOTS]; /* arguments by parameters; NULL: not given */
    const struct arguments *all;
    int which; /* of those that share a function */
};
enum { FUNCTION = 1, FILTER = 2, TEXT_METHOD = 4, DICT_METHOD = 8 };
struct builtin {
    const char *name;
    int kinds;
    const char *parameters; /* "key default"; NULL: it takes `all` */
    int (*call)(struct run *r, const struct call *c, struct value *out);
    int which;
};
extern const struct builtin TEXT_BUILTINS[], LIST_BUILTINS[];   /* name NULL ends */
const struct builtin *builtin_find(int kind, struct text name); /* NULL: none */
const struct builtin *method_find(const struct value *v, struct text name);

int call_value(struct run *r, const struct value *callee, const struct arguments *a,
               struct value *out);
int filter_call(struct run *r, struct text name, const struct value *v, const struct arguments *a,
                struct value *out);
int check_call(struct run *r, struct text name, const struct value *v, const struct arguments *a,
               bool *out);

/* ---- Texts --------------------------------------------------------------------------------- */

enum text_case { CASE_LOWER, CASE_UPPER, CASE_CAPITAL };
/* For a search, which may compare all of `part` at each place. */
static inline int64_t text_search_steps(struct text t, struct text part) {
    return (int64_t)(1 + t.size / 16) * (int64_t)(1 + part.size / 64);
}
int text_with_case(struct run *r, struct text t, enum text_case wanted, struct value *out);

#endif
