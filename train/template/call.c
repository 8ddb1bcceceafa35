/* call.c - arguments, functions, macros. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "train/template/run.h"

/* ---- Arguments ----------------------------------------------------------------------------- */

/* The place of a keyword among names with spaces between them; -1: it is none of them. */
static int place_of(const char *names, struct text keyword) {
    int place = 0;
    while (*names != 0) {
        size_t size = strcspn(names, " ");
        if (text_equal(keyword, (struct text){names, size})) {
            return place;
        }
        names += size + (names[size] == ' ');
        place++;
    }
    return -1;
}

static size_t count_names(const char *names) {
    size_t count = *names != 0;
    for (; *names != 0; names++) {
        count += *names == ' ';
    }
    return count;
}

static int bind_slots(struct run *r, const struct arguments *a, const char *names, struct call *c) {
    for (size_t i = 0; i < a->count; i++) {
        struct text keyword = a->keywords[i];
        int place =
            keyword.size > 0 ? place_of(names, keyword) : (i < count_names(names) ? (int)i : -1);
        if (place < 0 || c->slots[place] != NULL) {
            return keyword.size > 0 ? error_set(r->e, ERR_UNSUPPORTED, "'%s' with %.*s=", c->name,
                                                TEXT_ARGS(keyword))
                                    : error_set(r->e, ERR_UNSUPPORTED, "'%s' with %zu arguments",
                                                c->name, a->count);
        }
        c->slots[place] = &a->values[i];
    }
    return 0;
}

bool slot_flag(const struct value *slot, bool fallback) {
    return slot != NULL ? value_true(slot) : fallback;
}

int slot_text(struct run *r, const struct value *slot, const char *what, struct text *out) {
    if (slot == NULL || slot->type != VALUE_TEXT) {
        return error_set(r->e, ERR_FORMAT, "%s takes a text, not a %s", what,
                         slot != NULL ? value_type_name(slot) : "NoneType");
    }
    *out = slot->text;
    return 0;
}

int slot_whole(struct run *r, const struct value *slot, const char *what, int64_t *out) {
    if (slot == NULL || !value_is_whole(slot)) {
        return error_set(r->e, ERR_FORMAT, "%s takes a whole number, not a %s", what,
                         slot != NULL ? value_type_name(slot) : "NoneType");
    }
    *out = value_whole(slot);
    return 0;
}

/* ---- Functions ----------------------------------------------------------------------------- */

static int call_range(struct run *r, const struct call *c, struct value *out) {
    enum { MOST = 100000 }; /* as in jinja2's sandbox */
    int64_t from = 0, to = 0, step = 1, distance;
    int rc = slot_whole(r, c->slots[0], c->name, c->slots[1] != NULL ? &from : &to);
    rc = rc < 0 || c->slots[1] == NULL ? rc : slot_whole(r, c->slots[1], c->name, &to);
    rc = rc < 0 || c->slots[2] == NULL ? rc : slot_whole(r, c->slots[2], c->name, &step);
    if (rc == 0 && step == 0) {
        rc = error_set(r->e, ERR_FORMAT, "the step of a range is 0");
    }
    if (rc < 0) {
        return rc;
    }
    bool far = __builtin_sub_overflow(to, from, &distance);
    bool some = step > 0 ? to > from : to < from;
    int64_t count = !some ? 0 : far ? MOST + 1 : (distance - (step > 0 ? 1 : -1)) / step + 1;
    if (count > MOST) {
        return error_set(r->e, ERR_LIMIT, "a range of more than %d numbers", MOST);
    }
    rc = run_list(r, (size_t)count, out);
    for (int64_t i = 0; rc == 0 && i < count; i++) {
        out->list->items[i] = value_integer(from + i * step);
    }
    return rc;
}

static int call_namespace(struct run *r, const struct call *c, struct value *out) {
    const struct arguments *a = c->all;
    int rc = value_dict(r->arena, out, r->e);
    out->type = VALUE_NAMESPACE;
    for (size_t i = 0; i < a->count && rc == 0; i++) {
        struct value key = value_text(a->keywords[i]);
        rc = key.text.size > 0 ? run_dict_set(r, out->dict, &key, &a->values[i])
                               : error_set(r->e, ERR_UNSUPPORTED, "'namespace' of a %s",
                                           value_type_name(&a->values[i]));
    }
    return rc;
}

static int call_raise(struct run *r, const struct call *c, struct value *out) {
    struct text message = TEXT("");
    int rc = c->slots[0] != NULL ? run_text(r, c->slots[0], &message) : 0;
    *out = value_none();
    return rc < 0 ? rc
                  : error_set(r->e, ERR_FORMAT, "%.*s",
                              (int)(message.size < 300 ? message.size : 300), message.data);
}

/* What a letter of strftime stands for, in English. */
static int print_time(struct run *r, char letter, const struct tm *t) {
    static const char *const MONTHS[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
    switch (letter) {
    case 'B':
        return bytes_append_text(&r->scratch, MONTHS[t->tm_mon], r->e);
    case 'b':
        return bytes_append(&r->scratch, MONTHS[t->tm_mon], 3, r->e);
    case 'Y':
        return bytes_printf(&r->scratch, r->e, "%d", t->tm_year + 1900);
    case 'm':
        return bytes_printf(&r->scratch, r->e, "%02d", t->tm_mon + 1);
    case 'd':
        return bytes_printf(&r->scratch, r->e, "%02d", t->tm_mday);
    case 'H':
        return bytes_printf(&r->scratch, r->e, "%02d", t->tm_hour);
    case 'M':
        return bytes_printf(&r->scratch, r->e, "%02d", t->tm_min);
    default:
        return error_set(r->e, ERR_UNSUPPORTED, "strftime_now of this form");
    }
}

static int call_strftime(struct run *r, const struct call *c, struct value *out) {
    struct text form = TEXT("");
    struct tm parts;
    time_t now = (time_t)r->in->now;
    int rc = slot_text(r, c->slots[0], c->name, &form);
    if (rc == 0 && gmtime_r(&now, &parts) == NULL) {
        rc = error_set(r->e, ERR_FORMAT, "no such time: %" PRId64, r->in->now);
    }
    bytes_clear(&r->scratch);
    for (size_t i = 0; i < form.size && rc == 0; i++) {
        bool letter = form.data[i] == '%' && i + 1 < form.size;
        rc = letter ? print_time(r, form.data[++i], &parts)
                    : bytes_append(&r->scratch, form.data + i, 1, r->e);
    }
    return rc < 0 ? rc : run_take_scratch(r, out);
}

static const struct builtin FUNCTIONS[] = {{"range", FUNCTION, "start stop step", call_range, 0},
                                           {"namespace", FUNCTION, NULL, call_namespace, 0},
                                           {"raise_exception", FUNCTION, "message", call_raise, 0},
                                           {"strftime_now", FUNCTION, "format", call_strftime, 0},
                                           {0}};

const struct builtin *builtin_find(int kind, struct text name) {
    static const struct builtin *const TABLES[] = {FUNCTIONS, TEXT_BUILTINS, LIST_BUILTINS};
    for (size_t i = 0; i < sizeof TABLES / sizeof *TABLES; i++) {
        for (const struct builtin *b = TABLES[i]; b->name != NULL; b++) {
            if ((b->kinds & kind) != 0 && text_is(name, b->name)) {
                return b;
            }
        }
    }
    return NULL;
}

const struct builtin *method_find(const struct value *v, struct text name) {
    return v->type == VALUE_TEXT   ? builtin_find(TEXT_METHOD, name)
           : v->type == VALUE_DICT ? builtin_find(DICT_METHOD, name)
                                   : NULL;
}

/* What a call may look at; those that look into lists and dicts charge for it themselves. */
static int64_t flat_steps(const struct value *v) {
    return v->type == VALUE_TEXT   ? value_steps(v)
           : v->type == VALUE_DICT ? 1 + (int64_t)(v->dict->count / 8)
                                   : 1;
}

static int builtin_call(struct run *r, const struct builtin *b, const struct value *self,
                        const struct arguments *a, struct value *out) {
    struct call c = {.name = b->name, .self = self, .all = a, .which = b->which};
    int rc = run_charge(r, self != NULL ? flat_steps(self) : 1);
    for (size_t i = 0; i < a->count && rc == 0; i++) {
        rc = run_charge(r, flat_steps(&a->values[i]));
    }
    rc = rc < 0 || b->parameters == NULL ? rc : bind_slots(r, a, b->parameters, &c);
    if (rc == 0 && r->depth >= RUN_DEPTH_LIMIT) { /* map('map', 'map', ...) */
        rc = error_set(r->e, ERR_LIMIT, "it is nested too deeply");
    }
    if (rc == 0) {
        r->depth++;
        rc = b->call(r, &c, out);
        r->depth--;
    }
    return rc;
}

int filter_call(struct run *r, struct text name, const struct value *v, const struct arguments *a,
                struct value *out) {
    const struct builtin *filter = builtin_find(FILTER, name);
    return filter != NULL ? builtin_call(r, filter, v, a, out)
                          : error_set(r->e, ERR_UNSUPPORTED, "the filter '%.*s'", TEXT_ARGS(name));
}

/* ---- Macros -------------------------------------------------------------------------------- */

/* The argument for the parameter `index`; NULL: not given. */
static const struct value *macro_argument(const struct statement *s, const struct arguments *a,
                                          size_t index) {
    for (size_t i = 0; i < a->count; i++) {
        bool here = a->keywords[i].size > 0 ? text_equal(a->keywords[i], s->arguments[index].name)
                                            : i == index;
        if (here) {
            return &a->values[i];
        }
    }
    return NULL;
}

static int bind_parameters(struct run *r, const struct statement *s, const struct arguments *a) {
    size_t used = 0;
    int rc = run_charge(r, (int64_t)s->argument_count * (int64_t)(1 + a->count / 8));
    for (size_t i = 0; i < s->argument_count && rc == 0; i++) {
        const struct value *given = macro_argument(s, a, i);
        struct value value = value_undefined(s->arguments[i].name);
        used += given != NULL;
        if (given != NULL) {
            value = *given;
        } else if (s->arguments[i].value != NULL) {
            rc = evaluate(r, s->arguments[i].value, &value);
        }
        rc = rc < 0 ? rc : run_bind(r, s->arguments[i].name, &value);
    }
    if (rc == 0 && used < a->count) {
        rc = error_set(r->e, ERR_FORMAT, "the macro %.*s does not take these arguments",
                       TEXT_ARGS(s->text));
    }
    return rc;
}

static int call_macro(struct run *r, const struct macro *m, const struct arguments *a,
                      struct value *out) {
    struct frame *outer = r->frame;
    int rc = run_push(r, m->frame);
    rc = rc < 0 ? rc : bind_parameters(r, m->statement, a);
    rc = rc < 0 ? rc : run_captured(r, m->statement->body, out);
    r->frame = outer;
    return rc;
}

int call_value(struct run *r, const struct value *callee, const struct arguments *a,
               struct value *out) {
    if (callee->type == VALUE_FUNCTION) {
        return builtin_call(r, builtin_find(FUNCTION, callee->text), NULL, a, out);
    }
    if (callee->type == VALUE_METHOD) {
        return builtin_call(r, method_find(callee->method, callee->text), callee->method, a, out);
    }
    if (callee->type == VALUE_MACRO) {
        return call_macro(r, callee->macro, a, out);
    }
    if (callee->type == VALUE_UNDEFINED) {
        return error_set(r->e, ERR_UNSUPPORTED, "there is no function or method '%.*s'",
                         TEXT_ARGS(callee->text));
    }
    return error_set(r->e, ERR_FORMAT, "a %s is called", value_type_name(callee));
}
