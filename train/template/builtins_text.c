/* builtins_text.c - methods and filters of texts. */
#include <string.h>

#include "train/template/run.h"

static char lower_letter(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static char upper_letter(char c) {
    return c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
}

int text_with_case(struct run *r, struct text t, enum text_case wanted, struct value *out) {
    char *copy = arena_alloc(r->arena, 1, t.size + 1);
    if (copy == NULL) {
        return error_memory(r->e, "a template");
    }
    for (size_t i = 0; i < t.size; i++) {
        if ((unsigned char)t.data[i] >= 0x80) {
            return error_set(r->e, ERR_UNSUPPORTED, "upper and lower case outside ASCII");
        }
        bool large = wanted == CASE_UPPER || (wanted == CASE_CAPITAL && i == 0);
        copy[i] = large ? upper_letter(t.data[i]) : lower_letter(t.data[i]);
    }
    *out = value_text((struct text){copy, t.size});
    return 0;
}

static int call_case(struct run *r, const struct call *c, struct value *out) {
    struct text t;
    int rc = run_text(r, c->self, &t);
    return rc < 0 ? rc : text_with_case(r, t, (enum text_case)c->which, out);
}

enum { LEFT = 1, RIGHT = 2 };
static int call_strip(struct run *r, const struct call *c, struct value *out) {
    struct text t, set = TEXT("");
    bool white = c->slots[0] == NULL || c->slots[0]->type == VALUE_NONE;
    int rc = run_text(r, c->self, &t);
    rc = rc < 0 || white ? rc : slot_text(r, c->slots[0], c->name, &set);
    /* each character is looked for in all of the set */
    rc = rc < 0 ? rc : run_charge(r, (int64_t)(t.size / 4) * (int64_t)(set.size / 16));
    if (rc == 0) {
        *out = value_text(text_strip(t, white ? NULL : &set, c->which & LEFT, c->which & RIGHT));
        rc = run_charge(r, (int64_t)((t.size - out->text.size) / 4));
    }
    return rc;
}

static int call_end(struct run *r, const struct call *c, struct value *out) {
    struct text t = c->self->text, part = TEXT("");
    int rc = slot_text(r, c->slots[0], c->name, &part);
    *out = value_bool(
        t.size >= part.size &&
        memcmp(c->which == LEFT ? t.data : t.data + t.size - part.size, part.data, part.size) == 0);
    return rc;
}

static int call_replace(struct run *r, const struct call *c, struct value *out) {
    struct text t, old = TEXT(""), new = TEXT("");
    int rc = run_text(r, c->self, &t);
    rc = rc < 0 ? rc : slot_text(r, c->slots[0], c->name, &old);
    rc = rc < 0 ? rc : slot_text(r, c->slots[1], c->name, &new);
    if (rc == 0 && old.size == 0) {
        rc = error_set(r->e, ERR_UNSUPPORTED, "'replace' of nothing");
    }
    rc = rc < 0 ? rc : run_charge(r, text_search_steps(t, old));
    bytes_clear(&r->scratch);
    for (size_t at = 0; rc == 0 && at != SIZE_MAX;) {
        at = text_find(t, old, 0);
        rc = run_charge(r, 1);
        size_t kept = at == SIZE_MAX ? t.size : at;
        rc = rc < 0 ? rc : bytes_append(&r->scratch, t.data, kept, r->e);
        if (rc == 0 && at != SIZE_MAX) {
            rc = bytes_append(&r->scratch, new.data, new.size, r->e);
            t.data += kept + old.size;
            t.size -= kept + old.size;
        }
    }
    return rc < 0 ? rc : run_take_scratch(r, out);
}

/* The pieces of `t` between the separators, which are not empty; `out` NULL: only counted. */
static size_t cut(struct text t, struct text separator, struct value *out) {
    size_t count = 0, from = 0, at;
    do {
        at = text_find(t, separator, from);
        if (out != NULL) {
            out[count] =
                value_text((struct text){t.data + from, (at == SIZE_MAX ? t.size : at) - from});
        }
        count++;
        from = at + separator.size;
    } while (at != SIZE_MAX);
    return count;
}

static int call_split(struct run *r, const struct call *c, struct value *out) {
    struct text separator = TEXT("");
    if (c->slots[0] == NULL || c->slots[0]->type == VALUE_NONE) {
        return error_set(r->e, ERR_UNSUPPORTED, "'split' by white space");
    }
    int rc = slot_text(r, c->slots[0], c->name, &separator);
    if (rc == 0 && separator.size == 0) {
        rc = error_set(r->e, ERR_FORMAT, "'split' by nothing");
    }
    rc = rc < 0 ? rc : run_charge(r, text_search_steps(c->self->text, separator));
    rc = rc < 0 ? rc : run_list(r, cut(c->self->text, separator, NULL), out);
    if (rc == 0) {
        cut(c->self->text, separator, out->list->items);
    }
    return rc;
}

static int call_string(struct run *r, const struct call *c, struct value *out) {
    struct text t = TEXT("");
    int rc = run_text(r, c->self, &t);
    *out = value_text(t);
    return rc;
}

static int call_tojson(struct run *r, const struct call *c, struct value *out) {
    int64_t indent = -1;
    if (slot_flag(c->slots[0], false)) {
        return error_set(r->e, ERR_UNSUPPORTED, "'tojson' with ensure_ascii=true");
    }
    int rc = 0;
    if (c->slots[1] != NULL && c->slots[1]->type != VALUE_NONE) {
        rc = slot_whole(r, c->slots[1], c->name, &indent);
        indent = indent < 0 ? 0 : indent;
    }
    if (rc == 0 && indent > 64) {
        rc = error_set(r->e, ERR_LIMIT, "'tojson' with an indent above 64");
    }
    bytes_clear(&r->scratch);
    rc = rc < 0 ? rc : run_charge(r, value_steps(c->self));
    rc = rc < 0 ? rc : value_print_json(&r->scratch, c->self, indent, 0, r->e);
    return rc < 0 ? rc : run_take_scratch(r, out);
}

const struct builtin TEXT_BUILTINS[] = {
    {"capitalize", FILTER | TEXT_METHOD, "", call_case, CASE_CAPITAL},
    {"lower", FILTER | TEXT_METHOD, "", call_case, CASE_LOWER},
    {"upper", FILTER | TEXT_METHOD, "", call_case, CASE_UPPER},
    {"trim", FILTER, "chars", call_strip, LEFT | RIGHT},
    {"strip", TEXT_METHOD, "chars", call_strip, LEFT | RIGHT},
    {"lstrip", TEXT_METHOD, "chars", call_strip, LEFT},
    {"rstrip", TEXT_METHOD, "chars", call_strip, RIGHT},
    {"startswith", TEXT_METHOD, "prefix", call_end, LEFT},
    {"endswith", TEXT_METHOD, "suffix", call_end, RIGHT},
    {"replace", FILTER | TEXT_METHOD, "old new", call_replace, 0},
    {"split", TEXT_METHOD, "sep", call_split, 0},
    {"string", FILTER, "", call_string, 0},
    {"safe", FILTER, "", call_string, 0}, /* nothing is escaped */
    {"tojson", FILTER, "ensure_ascii indent", call_tojson, 0},
    {0}};
