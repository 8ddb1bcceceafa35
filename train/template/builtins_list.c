/* builtins_list.c - methods and filters of lists and dicts. */
#include <string.h>

#include "train/template/run.h"

static int call_length(struct run *r, const struct call *c, struct value *out) {
    int64_t length = 0;
    int rc = value_length(c->self, &length, r->e);
    *out = value_integer(length);
    return rc;
}

static int call_default(struct run *r, const struct call *c, struct value *out) {
    (void)r;
    const struct value *v = c->self;
    bool missing = v->type == VALUE_UNDEFINED || (slot_flag(c->slots[1], false) && !value_true(v));
    *out = !missing ? *v : c->slots[0] != NULL ? *c->slots[0] : value_text(TEXT(""));
    return 0;
}

static int call_list(struct run *r, const struct call *c, struct value *out) {
    struct list *items = NULL;
    int rc = run_items(r, c->self, &items);
    rc = rc < 0 ? rc : run_list(r, items->count, out);
    for (size_t i = 0; rc == 0 && i < items->count; i++) {
        out->list->items[i] = items->items[i];
    }
    return rc;
}

static int call_join(struct run *r, const struct call *c, struct value *out) {
    struct list *items = NULL;
    struct text between = TEXT(""), t;
    struct bytes whole; /* run_text takes the scratch */
    bytes_init(&whole, TEMPLATE_MEMORY_LIMIT / 8);
    int rc = c->slots[0] == NULL ? 0 : run_text(r, c->slots[0], &between);
    rc = rc < 0 ? rc : run_items(r, c->self, &items);
    for (size_t i = 0; rc == 0 && i < items->count; i++) {
        rc = run_charge(r, 1 + (int64_t)(between.size / 16));
        rc = rc < 0 || i == 0 ? rc : bytes_append(&whole, between.data, between.size, r->e);
        rc = rc < 0 ? rc : run_text(r, &items->items[i], &t);
        rc = rc < 0 ? rc : bytes_append(&whole, t.data, t.size, r->e);
    }
    *out = value_text(TEXT(""));
    rc = rc < 0 ? rc : text_copy(r->arena, bytes_text(&whole), whole.size, &out->text, r->e);
    bytes_close(&whole);
    return rc;
}

/* ---- Dicts --------------------------------------------------------------------------------- */

enum { KEYS = 1, VALUES = 2 };
static int list_entries(struct run *r, const struct dict *d, int which, struct value *out) {
    int rc = run_list(r, d->count, out);
    for (size_t i = 0; i < d->count && rc == 0; i++) {
        const struct entry *entry = &d->entries[i];
        struct value *item = &out->list->items[i];
        if (which != (KEYS | VALUES)) {
            *item = which == KEYS ? entry->key : entry->value;
            continue;
        }
        rc = run_list(r, 2, item);
        if (rc == 0) {
            item->type = VALUE_TUPLE;
            item->list->items[0] = entry->key;
            item->list->items[1] = entry->value;
        }
    }
    return rc;
}

static int call_view(struct run *r, const struct call *c, struct value *out) {
    int rc = list_entries(r, c->self->dict, c->which, out);
    out->type = VALUE_VIEW;
    return rc;
}

static int call_items(struct run *r, const struct call *c, struct value *out) {
    static const struct dict NOTHING;
    if (c->self->type != VALUE_DICT && c->self->type != VALUE_UNDEFINED) {
        return error_set(r->e, ERR_FORMAT, "'items' of a %s", value_type_name(c->self));
    }
    const struct dict *d = c->self->type == VALUE_DICT ? c->self->dict : &NOTHING;
    int rc = list_entries(r, d, KEYS | VALUES, out);
    out->type = VALUE_GENERATOR;
    return rc;
}

static int call_get(struct run *r, const struct call *c, struct value *out) {
    if (c->slots[0] == NULL) {
        return error_set(r->e, ERR_FORMAT, "get takes a key");
    }
    const struct value *found = dict_find(c->self->dict, c->slots[0]);
    found = found != NULL ? found : c->slots[1];
    *out = found != NULL ? *found : value_none();
    return 0;
}

/* By key, upper and lower case alike. */
static int call_dictsort(struct run *r, const struct call *c, struct value *out) {
    struct value keys, key;
    if (c->self->type != VALUE_DICT) {
        return error_set(r->e, ERR_FORMAT, "'dictsort' of a %s", value_type_name(c->self));
    }
    int64_t count = (int64_t)c->self->dict->count;
    int rc = run_charge(r, count * (count / 8));
    rc = rc < 0 ? rc : list_entries(r, c->self->dict, KEYS, &keys);
    rc = rc < 0 ? rc : list_entries(r, c->self->dict, KEYS | VALUES, out);
    for (int64_t i = 0; i < count && rc == 0; i++) {
        struct value *sorted = keys.list->items, *pairs = out->list->items, pair = pairs[i];
        rc = sorted[i].type == VALUE_TEXT
                 ? text_with_case(r, sorted[i].text, CASE_LOWER, &key)
                 : error_set(r->e, ERR_UNSUPPORTED, "'dictsort' of keys that are not text");
        int64_t at = i;
        for (; rc == 0 && at > 0 && text_compare(sorted[at - 1].text, key.text) > 0; at--) {
            sorted[at] = sorted[at - 1];
            pairs[at] = pairs[at - 1];
        }
        if (rc == 0) {
            sorted[at] = key;
            pairs[at] = pair;
        }
    }
    return rc;
}

/* ---- Choosing ------------------------------------------------------------------------------ */

/* The rest after the first, all of them positional. */
static struct arguments rest_of(const struct arguments *a) {
    return (struct arguments){a->values + 1, a->keywords + 1, a->count - 1};
}

static int attribute_of(struct run *r, const struct value *item, const struct value *name,
                        struct value *out) {
    if (name->type == VALUE_TEXT && text_find(name->text, TEXT("."), 0) != SIZE_MAX) {
        return error_set(r->e, ERR_UNSUPPORTED, "an attribute of an attribute");
    }
    return value_item(r, item, name, out);
}

/* map("filter", ...), or map(attribute="name") */
static int map_item(struct run *r, const struct value *item, const struct arguments *a,
                    struct value *out) {
    struct text name;
    if (a->count == 1 && text_is(a->keywords[0], "attribute")) {
        return attribute_of(r, item, &a->values[0], out);
    }
    if (a->count == 0 || a->keywords[0].size > 0) {
        return error_set(r->e, ERR_UNSUPPORTED, "'map' of something else than a filter");
    }
    struct arguments rest = rest_of(a);
    int rc = slot_text(r, &a->values[0], "map", &name);
    return rc < 0 ? rc : filter_call(r, name, item, &rest, out);
}

/* What is false has no items for these filters, whatever it is. */
static int chosen_items(struct run *r, const struct value *v, struct list **out) {
    const struct value none = value_undefined(TEXT("item"));
    return run_items(r, value_true(v) ? v : &none, out);
}

static int call_map(struct run *r, const struct call *c, struct value *out) {
    struct list *items = NULL;
    int rc = chosen_items(r, c->self, &items);
    rc = rc < 0 ? rc : run_list(r, items->count, out);
    for (size_t i = 0; rc == 0 && i < items->count; i++) {
        rc = map_item(r, &items->items[i], c->all, &out->list->items[i]);
        rc = rc < 0 ? rc : value_seal(&out->list->items[i], r->e);
    }
    out->type = VALUE_GENERATOR;
    return rc;
}

enum { SELECT, REJECT = 1, ATTRIBUTE = 2 };
/* Whether a test holds of an item, or of its attribute; without a test: whether it is true. */
static int item_passes(struct run *r, const struct call *c, const struct value *item, bool *out) {
    struct arguments a = *c->all;
    struct value v = *item;
    struct text name;
    int rc = 0;
    if (c->which & ATTRIBUTE) {
        rc = a.count > 0 ? attribute_of(r, item, &a.values[0], &v)
                         : error_set(r->e, ERR_FORMAT, "'%s' takes an attribute", c->name);
        a = rc < 0 ? a : rest_of(&a);
    }
    if (rc < 0 || a.count == 0) {
        *out = rc == 0 && value_true(&v);
        return rc;
    }
    struct arguments rest = rest_of(&a);
    rc = slot_text(r, &a.values[0], c->name, &name);
    return rc < 0 ? rc : check_call(r, name, &v, &rest, out);
}

static int call_select(struct run *r, const struct call *c, struct value *out) {
    struct list *items = NULL;
    int rc = chosen_items(r, c->self, &items);
    rc = rc < 0 ? rc : run_list(r, items->count, out);
    size_t kept = 0;
    for (size_t i = 0; rc == 0 && i < items->count; i++) {
        bool passes = false;
        rc = run_charge(r, 1);
        rc = rc < 0 ? rc : item_passes(r, c, &items->items[i], &passes);
        if (passes == ((c->which & REJECT) == 0)) {
            out->list->items[kept++] = items->items[i];
        }
    }
    if (rc == 0) {
        out->list->count = kept;
        out->type = VALUE_GENERATOR;
    }
    return rc;
}

const struct builtin LIST_BUILTINS[] = {
    {"length", FILTER, "", call_length, 0},
    {"default", FILTER, "default_value boolean", call_default, 0},
    {"d", FILTER, "default_value boolean", call_default, 0},
    {"join", FILTER, "d", call_join, 0},
    {"list", FILTER, "", call_list, 0},
    {"items", FILTER, "", call_items, 0},
    {"items", DICT_METHOD, "", call_view, KEYS | VALUES},
    {"keys", DICT_METHOD, "", call_view, KEYS},
    {"values", DICT_METHOD, "", call_view, VALUES},
    {"get", DICT_METHOD, "key default", call_get, 0},
    {"dictsort", FILTER, "", call_dictsort, 0},
    {"map", FILTER, NULL, call_map, 0},
    {"select", FILTER, NULL, call_select, SELECT},
    {"reject", FILTER, NULL, call_select, REJECT},
    {"selectattr", FILTER, NULL, call_select, SELECT | ATTRIBUTE},
    {"rejectattr", FILTER, NULL, call_select, REJECT | ATTRIBUTE},
    {0}};
