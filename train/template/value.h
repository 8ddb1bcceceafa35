/* value.h - what the expressions of a template are about: Python's values, in an arena.
 *
 * Texts are UTF-8 and are indexed by characters. Nothing is ever changed once it is made, but
 * namespaces; so values are copied freely and may share what they point to. */
#ifndef OCC_TRAIN_TEMPLATE_VALUE_H
#define OCC_TRAIN_TEMPLATE_VALUE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/arena.h"
#include "store/bytes.h"

struct text {
    const char *data; /* of the template, of the variables or in the arena */
    size_t size;
};
#define TEXT(literal) ((struct text){"" literal, sizeof(literal) - 1})
/* For "%.*s" in messages. */
#define TEXT_ARGS(t) ((int)((t).size < 80 ? (t).size : 80)), (t).data

enum value_type {
    VALUE_UNDEFINED, /* `text` is its name, for messages */
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INTEGER,
    VALUE_REAL,
    VALUE_TEXT,
    VALUE_LIST,
    VALUE_TUPLE,
    VALUE_VIEW,      /* of a dict: has items and a length, and no places */
    VALUE_GENERATOR, /* what filters choose: has items alone, and is always true */
    VALUE_DICT,
    VALUE_NAMESPACE,
    VALUE_LOOP,     /* `loop` within a for */
    VALUE_MACRO,    /* of the template */
    VALUE_FUNCTION, /* `text` is its name */
    VALUE_METHOD    /* `text` is its name, `method` what it belongs to */
};

struct value {
    enum value_type type;
    union {
        bool boolean;
        int64_t integer;
        double real;
        struct list *list;          /* also of tuples, views, generators */
        struct dict *dict;          /* also of namespaces */
        const struct loop *loop;    /* run.h */
        const struct macro *macro;  /* run.h */
        const struct value *method; /* the value whose method it is */
    };
    struct text text;
};

/* What it takes to walk a list or dict with all that is in it; depth 0: not known yet. Parts may be
 * shared, so a short template can make more than any walk ends with. */
struct extent {
    int depth;
    int64_t steps;
};
struct list {
    struct value *items;
    size_t count;
    struct extent extent;
};
/* In the order of insertion; few have more than ten entries, so they are searched. */
struct entry {
    struct value key, value;
};
struct dict {
    struct entry *entries;
    size_t count, capacity;
    struct extent extent;
};

static inline struct value value_none(void) {
    return (struct value){.type = VALUE_NONE};
}
static inline struct value value_undefined(struct text name) {
    return (struct value){.type = VALUE_UNDEFINED, .text = name};
}
static inline struct value value_bool(bool boolean) {
    return (struct value){.type = VALUE_BOOL, .boolean = boolean};
}
static inline struct value value_integer(int64_t integer) {
    return (struct value){.type = VALUE_INTEGER, .integer = integer};
}
static inline struct value value_real(double real) {
    return (struct value){.type = VALUE_REAL, .real = real};
}
static inline struct value value_text(struct text text) {
    return (struct value){.type = VALUE_TEXT, .text = text};
}
static inline bool value_is_sequence(const struct value *v) {
    return v->type == VALUE_LIST || v->type == VALUE_TUPLE;
}
static inline bool value_has_list(const struct value *v) {
    return value_is_sequence(v) || v->type == VALUE_VIEW || v->type == VALUE_GENERATOR;
}
/* True and False are 1 and 0, as in Python. */
static inline bool value_is_whole(const struct value *v) {
    return v->type == VALUE_INTEGER || v->type == VALUE_BOOL;
}
static inline bool value_is_number(const struct value *v) {
    return value_is_whole(v) || v->type == VALUE_REAL;
}
static inline int64_t value_whole(const struct value *v) {
    return v->type == VALUE_BOOL ? v->boolean : v->integer;
}
static inline double value_number(const struct value *v) {
    return v->type == VALUE_REAL ? v->real : (double)value_whole(v);
}
const char *value_type_name(const struct value *v); /* "str", "list", ..., as Python has them */

/* Lists of `count` items to be filled in; ERR_MEMORY. */
int value_list(struct arena *a, size_t count, struct value *out, struct error *e);
int value_dict(struct arena *a, struct value *out, struct error *e);
/* Replaces what has an equal key. */
int dict_set(struct arena *a, struct dict *d, const struct value *key, const struct value *value,
             struct error *e);
const struct value *dict_find(const struct dict *d, const struct value *key); /* NULL: none */
const struct value *dict_find_text(const struct dict *d, struct text key);

/* Notes the extent of a complete list or dict; ERR_LIMIT: it is nested too deeply, or too large. */
int value_seal(const struct value *v, struct error *e);
int64_t value_steps(const struct value *v); /* to walk a sealed value */

/* A tree of JSON, whose texts are not copied. ERR_LIMIT: nested too deeply. */
int value_of_json(struct arena *a, const json_t *json, int depth, struct value *out,
                  struct error *e);

bool value_true(const struct value *v);
bool value_is_hashable(const struct value *v); /* as the keys of dicts are */
bool value_equal(const struct value *a, const struct value *b);
/* Sorts before, equal, after; ERR_FORMAT where Python does not compare such values. */
int value_compare(const struct value *a, const struct value *b, int *order, struct error *e);
/* How many characters, items or entries; ERR_FORMAT for what has none. */
int value_length(const struct value *v, int64_t *length, struct error *e);

/* ---- Texts ---- */

bool text_equal(struct text a, struct text b);
bool text_is(struct text a, const char *b);
int text_compare(struct text a, struct text b); /* by code point */
/* Copied into the arena; ERR_MEMORY. */
int text_copy(struct arena *a, const void *data, size_t size, struct text *out, struct error *e);
int64_t text_length(struct text t); /* in characters */
/* The byte at which character `index` begins, the end where there are fewer. */
size_t text_offset(struct text t, int64_t index);
/* The first place of `part` at or after `from`; SIZE_MAX: none. */
size_t text_find(struct text t, struct text part, size_t from);
bool text_is_space(uint32_t code_point); /* as Python's str.isspace */
/* Without the characters of `set` (NULL: white space) at its ends. */
struct text text_strip(struct text t, const struct text *set, bool left, bool right);

/* ---- As text ---- */

/* As Python's str() or repr() writes it. Fails for functions and their like. */
int value_print(struct bytes *out, const struct value *v, bool quoted, struct error *e);
/* As Python's json.dumps with ensure_ascii=False; indent < 0: in one line. */
int value_print_json(struct bytes *out, const struct value *v, int64_t indent, int depth,
                     struct error *e);

#endif
