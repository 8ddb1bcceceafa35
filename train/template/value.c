/* value.c - see value.h. */
#include "train/template/value.h"

#include <string.h>

#include "store/utf8.h"
#include "train/template/template.h"

static int no_memory(struct error *e) {
    return error_memory(e, "a template");
}

const char *value_type_name(const struct value *v) {
    static const char *const NAMES[] = {
        "Undefined", "NoneType",  "bool", "int",       "float", "str",   "list",     "tuple",
        "view",      "generator", "dict", "namespace", "loop",  "macro", "function", "method"};
    return NAMES[v->type];
}

/* ---- Lists and dicts ----------------------------------------------------------------------- */

int value_list(struct arena *a, size_t count, struct value *out, struct error *e) {
    struct list *list = arena_alloc(a, 1, sizeof *list);
    struct value *items = arena_alloc(a, count, sizeof *items);
    if (list == NULL || items == NULL) {
        return no_memory(e);
    }
    *list = (struct list){.items = items, .count = count};
    *out = (struct value){.type = VALUE_LIST, .list = list};
    return 0;
}

int value_dict(struct arena *a, struct value *out, struct error *e) {
    struct dict *dict = arena_alloc(a, 1, sizeof *dict);
    if (dict == NULL) {
        return no_memory(e);
    }
    *out = (struct value){.type = VALUE_DICT, .dict = dict};
    return 0;
}

static int dict_append(struct arena *a, struct dict *d, const struct value *key,
                       const struct value *value, struct error *e) {
    void *entries = d->entries;
    int rc = arena_grow(a, &entries, d->count, &d->capacity, sizeof *d->entries, e);
    if (rc < 0) {
        return rc;
    }
    d->entries = entries;
    d->entries[d->count++] = (struct entry){.key = *key, .value = *value};
    return 0;
}

static struct entry *find_entry(const struct dict *d, const struct value *key) {
    for (size_t i = 0; i < d->count; i++) {
        if (value_equal(&d->entries[i].key, key)) {
            return &d->entries[i];
        }
    }
    return NULL;
}

int dict_set(struct arena *a, struct dict *d, const struct value *key, const struct value *value,
             struct error *e) {
    struct entry *entry = find_entry(d, key);
    if (entry == NULL) {
        return dict_append(a, d, key, value, e);
    }
    entry->value = *value;
    return 0;
}

const struct value *dict_find(const struct dict *d, const struct value *key) {
    const struct entry *entry = find_entry(d, key);
    return entry != NULL ? &entry->value : NULL;
}

const struct value *dict_find_text(const struct dict *d, struct text key) {
    for (size_t i = 0; i < d->count; i++) {
        const struct value *found = &d->entries[i].key;
        if (found->type == VALUE_TEXT && text_equal(found->text, key)) {
            return &d->entries[i].value;
        }
    }
    return NULL;
}

static struct extent *extent_of(const struct value *v) {
    return value_has_list(v) ? &v->list->extent : v->type == VALUE_DICT ? &v->dict->extent : NULL;
}

int64_t value_steps(const struct value *v) {
    const struct extent *extent = extent_of(v);
    return extent != NULL ? extent->steps : 1 + (int64_t)(v->text.size / 16);
}

int value_seal(const struct value *v, struct error *e) {
    enum { STEPS_LIMIT = 1 << 24 };
    struct extent *extent = extent_of(v), all = {.depth = 0};
    if (extent == NULL || extent->depth > 0) {
        return 0;
    }
    int64_t count = (int64_t)(value_has_list(v) ? v->list->count : v->dict->count);
    all.steps = v->type == VALUE_DICT ? 1 + count / 16 * count : 1; /* searched for each key */
    int rc = 0;
    for (int64_t i = 0; i < count && rc == 0; i++) {
        const struct value *item =
            value_has_list(v) ? &v->list->items[i] : &v->dict->entries[i].value;
        rc = value_seal(item, e);
        const struct extent *within = extent_of(item);
        all.depth = within != NULL && within->depth > all.depth ? within->depth : all.depth;
        all.steps += value_steps(item);
        all.steps += value_has_list(v) ? 0 : value_steps(&v->dict->entries[i].key);
        if (rc == 0 && (all.steps > STEPS_LIMIT || all.depth > 2 * TEMPLATE_NESTING_LIMIT)) {
            rc = error_set(e, ERR_LIMIT, "a value is too large or nested too deeply");
        }
    }
    all.depth++;
    *extent = all;
    return rc;
}

static int dict_of_json(struct arena *a, const json_t *json, int depth, struct value *out,
                        struct error *e) {
    const char *name;
    json_t *member;
    int rc = value_dict(a, out, e);
    /* jansson's iterators take an object that is not const, and do not change it. */
    json_object_foreach((json_t *)(uintptr_t)json, name, member) {
        struct value key = value_text((struct text){name, strlen(name)}), value;
        rc = rc < 0 ? rc : value_of_json(a, member, depth + 1, &value, e);
        rc = rc < 0 ? rc : dict_append(a, out->dict, &key, &value, e);
    }
    return rc;
}

int value_of_json(struct arena *a, const json_t *json, int depth, struct value *out,
                  struct error *e) {
    if (depth > TEMPLATE_NESTING_LIMIT) {
        return error_set(e, ERR_LIMIT, "the variables of a template are nested too deeply");
    }
    if (json_is_object(json)) {
        return dict_of_json(a, json, depth, out, e);
    }
    if (json_is_array(json)) {
        int rc = value_list(a, json_array_size(json), out, e);
        for (size_t i = 0; i < json_array_size(json) && rc == 0; i++) {
            rc = value_of_json(a, json_array_get(json, i), depth + 1, &out->list->items[i], e);
        }
        return rc;
    }
    if (json_is_string(json)) {
        *out = value_text((struct text){json_string_value(json), json_string_length(json)});
    } else if (json_is_boolean(json)) {
        *out = value_bool(json_is_true(json));
    } else if (json_is_integer(json)) {
        *out = value_integer(json_integer_value(json));
    } else if (json_is_real(json)) {
        *out = value_real(json_real_value(json));
    } else {
        *out = value_none();
    }
    return 0;
}

/* ---- Truth and order ----------------------------------------------------------------------- */

bool value_true(const struct value *v) {
    if (value_is_number(v)) {
        return value_number(v) != 0;
    }
    if (value_is_sequence(v) || v->type == VALUE_VIEW) {
        return v->list->count > 0;
    }
    if (v->type == VALUE_DICT) {
        return v->dict->count > 0;
    }
    if (v->type == VALUE_TEXT) {
        return v->text.size > 0;
    }
    return v->type != VALUE_UNDEFINED && v->type != VALUE_NONE;
}

static bool lists_equal(const struct list *a, const struct list *b) {
    bool equal = a->count == b->count;
    for (size_t i = 0; equal && i < a->count; i++) {
        equal = value_equal(&a->items[i], &b->items[i]);
    }
    return equal;
}

static bool dicts_equal(const struct dict *a, const struct dict *b) {
    bool equal = a->count == b->count;
    for (size_t i = 0; equal && i < a->count; i++) {
        const struct value *other = dict_find(b, &a->entries[i].key);
        equal = other != NULL && value_equal(&a->entries[i].value, other);
    }
    return equal;
}

/* Whole numbers are not made real, which would lose their last digits. */
static int order_numbers(const struct value *a, const struct value *b) {
    if (value_is_whole(a) && value_is_whole(b)) {
        int64_t x = value_whole(a), y = value_whole(b);
        return (x > y) - (x < y);
    }
    double x = value_number(a), y = value_number(b);
    return (x > y) - (x < y);
}

bool value_is_hashable(const struct value *v) {
    bool hashable = v->type != VALUE_LIST && v->type != VALUE_DICT;
    for (size_t i = 0; hashable && v->type == VALUE_TUPLE && i < v->list->count; i++) {
        hashable = value_is_hashable(&v->list->items[i]);
    }
    return hashable;
}

bool value_equal(const struct value *a, const struct value *b) {
    if (value_is_number(a) && value_is_number(b)) {
        return order_numbers(a, b) == 0;
    }
    if (a->type != b->type) {
        return false;
    }
    if (a->type == VALUE_TEXT) {
        return text_equal(a->text, b->text);
    }
    if (value_is_sequence(a)) {
        return lists_equal(a->list, b->list);
    }
    if (a->type == VALUE_DICT) {
        return dicts_equal(a->dict, b->dict);
    }
    return a->type == VALUE_NONE || a->type == VALUE_UNDEFINED;
}

int value_compare(const struct value *a, const struct value *b, int *order, struct error *e) {
    if (value_is_number(a) && value_is_number(b)) {
        *order = order_numbers(a, b);
        return 0;
    }
    if (a->type == VALUE_TEXT && b->type == VALUE_TEXT) {
        *order = text_compare(a->text, b->text);
        return 0;
    }
    if (!value_is_sequence(a) || a->type != b->type) {
        return error_set(e, ERR_FORMAT, "%s and %s are not in an order", value_type_name(a),
                         value_type_name(b));
    }
    size_t n = a->list->count < b->list->count ? a->list->count : b->list->count;
    for (size_t i = 0; i < n; i++) {
        if (!value_equal(&a->list->items[i], &b->list->items[i])) {
            return value_compare(&a->list->items[i], &b->list->items[i], order, e);
        }
    }
    *order = (a->list->count > b->list->count) - (a->list->count < b->list->count);
    return 0;
}

int value_length(const struct value *v, int64_t *length, struct error *e) {
    if (v->type == VALUE_TEXT) {
        *length = text_length(v->text);
    } else if (value_is_sequence(v) || v->type == VALUE_VIEW) {
        *length = (int64_t)v->list->count;
    } else if (v->type == VALUE_DICT) {
        *length = (int64_t)v->dict->count;
    } else if (v->type == VALUE_UNDEFINED) {
        *length = 0;
    } else {
        return error_set(e, ERR_FORMAT, "%s has no length", value_type_name(v));
    }
    return 0;
}
