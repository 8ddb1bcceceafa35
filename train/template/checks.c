/* checks.c - what jinja2 calls tests: `x is defined`. */
#include "train/template/run.h"

#define TYPE(name) (1U << VALUE_##name)
/* An undefined value counts as both of the last: Python's has the methods that are asked for. */
static const struct {
    const char *name;
    unsigned types;
} PLAIN[] = {{"boolean", TYPE(BOOL)},
             {"defined", ~TYPE(UNDEFINED)},
             {"undefined", TYPE(UNDEFINED)},
             {"none", TYPE(NONE)},
             {"integer", TYPE(INTEGER)},
             {"float", TYPE(REAL)},
             {"number", TYPE(INTEGER) | TYPE(REAL) | TYPE(BOOL)},
             {"mapping", TYPE(DICT)},
             {"string", TYPE(TEXT)},
             {"iterable", TYPE(LIST) | TYPE(TUPLE) | TYPE(VIEW) | TYPE(GENERATOR) | TYPE(TEXT) |
                              TYPE(DICT) | TYPE(LOOP) | TYPE(UNDEFINED)},
             {"sequence", TYPE(LIST) | TYPE(TUPLE) | TYPE(TEXT) | TYPE(DICT) | TYPE(UNDEFINED)}};

static const struct {
    const char *name;
    enum operation operation;
} COMPARISONS[] = {{"eq", OPERATION_EQUAL},   {"equalto", OPERATION_EQUAL}, {"==", OPERATION_EQUAL},
                   {"ne", OPERATION_UNEQUAL}, {"!=", OPERATION_UNEQUAL},    {"in", OPERATION_IN}};

int check_call(struct run *r, struct text name, const struct value *v, const struct arguments *a,
               bool *out) {
    for (size_t i = 0; a->count == 1 && i < sizeof COMPARISONS / sizeof *COMPARISONS; i++) {
        if (text_is(name, COMPARISONS[i].name)) {
            return operate_compare(r, COMPARISONS[i].operation, v, &a->values[0], out);
        }
    }
    for (size_t i = 0; a->count == 0 && i < sizeof PLAIN / sizeof *PLAIN; i++) {
        if (text_is(name, PLAIN[i].name)) {
            *out = (PLAIN[i].types & 1U << v->type) != 0;
            return 0;
        }
    }
    if (a->count == 0 && (text_is(name, "true") || text_is(name, "false"))) {
        *out = v->type == VALUE_BOOL && v->boolean == text_is(name, "true");
        return 0;
    }
    return error_set(r->e, ERR_UNSUPPORTED, "the test '%.*s'%s", TEXT_ARGS(name),
                     a->count > 0 ? " with what it is given" : "");
}
