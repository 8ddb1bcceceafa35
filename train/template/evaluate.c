/* evaluate.c - the values of expressions. */
#include <string.h>

#include "train/template/run.h"

int run_list(struct run *r, size_t count, struct value *out) {
    int rc = run_charge(r, (int64_t)count);
    return rc < 0 ? rc : value_list(r->arena, count, out, r->e);
}

int run_take_scratch(struct run *r, struct value *out) {
    int rc = run_charge(r, (int64_t)(r->scratch.size / 16));
    *out = value_text(TEXT(""));
    return rc < 0 ? rc
                  : text_copy(r->arena, bytes_text(&r->scratch), r->scratch.size, &out->text, r->e);
}

int run_text(struct run *r, const struct value *v, struct text *out) {
    struct value text = *v;
    int rc = 0;
    if (v->type == VALUE_UNDEFINED) {
        text.text = TEXT("");
    } else if (v->type != VALUE_TEXT) {
        bytes_clear(&r->scratch);
        rc = run_charge(r, value_steps(v));
        rc = rc < 0 ? rc : value_print(&r->scratch, v, false, r->e);
        rc = rc < 0 ? rc : run_take_scratch(r, &text);
    }
    *out = text.text;
    return rc;
}

/* ---- Sequences ----------------------------------------------------------------------------- */

static int characters_of(struct run *r, struct text t, struct value *out) {
    int rc = run_list(r, (size_t)text_length(t), out);
    for (size_t i = 0; rc == 0 && i < out->list->count; i++) {
        size_t used = text_offset(t, 1);
        out->list->items[i] = value_text((struct text){t.data, used});
        t.data += used;
        t.size -= used;
    }
    return rc;
}

int run_items(struct run *r, const struct value *v, struct list **out) {
    struct value list;
    int rc;
    if (value_has_list(v)) {
        *out = v->list;
        return 0;
    }
    if (v->type == VALUE_TEXT) {
        rc = characters_of(r, v->text, &list);
    } else if (v->type == VALUE_DICT) {
        rc = run_list(r, v->dict->count, &list);
        for (size_t i = 0; rc == 0 && i < v->dict->count; i++) {
            list.list->items[i] = v->dict->entries[i].key;
        }
    } else if (v->type == VALUE_UNDEFINED) {
        rc = run_list(r, 0, &list);
    } else {
        return error_set(r->e, ERR_FORMAT, "a %s has no items", value_type_name(v));
    }
    *out = rc < 0 ? NULL : list.list;
    return rc;
}

static int undefined_base(struct run *r, const struct value *v) {
    return error_set(r->e, ERR_FORMAT, "'%.*s' is undefined", TEXT_ARGS(v->text));
}

/* Python's slice(start, stop, step) of `length` items: *first is the first of *count. */
static void slice_bounds(int64_t length, const int64_t *start, const int64_t *stop, int64_t step,
                         int64_t *first, int64_t *count) {
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? length - 1 : length;
    int64_t ends[2] = {step < 0 ? high : low, step < 0 ? low : high};
    const int64_t *given[2] = {start, stop};
    for (int i = 0; i < 2; i++) {
        if (given[i] != NULL) {
            int64_t at = *given[i];
            at = at < -length ? low : at < 0 ? at + length : at;
            ends[i] = at < low ? low : at > high ? high : at;
        }
    }
    *first = ends[0];
    int64_t distance = step < 0 ? ends[0] - ends[1] : ends[1] - ends[0];
    uint64_t width = step < 0 ? -(uint64_t)step : (uint64_t)step;
    *count = distance > 0 ? (int64_t)(((uint64_t)distance - 1) / width) + 1 : 0;
}

static int slice_text(struct run *r, struct text t, int64_t first, int64_t count, int64_t step,
                      struct value *out) {
    if (step == 1) {
        size_t start = text_offset(t, first);
        struct text rest = {t.data + start, t.size - start};
        *out = value_text((struct text){rest.data, text_offset(rest, count)});
        return 0;
    }
    struct value all;
    int rc = characters_of(r, t, &all);
    bytes_clear(&r->scratch);
    for (int64_t i = 0; i < count && rc == 0; i++) {
        struct text c = all.list->items[first + i * step].text;
        rc = bytes_append(&r->scratch, c.data, c.size, r->e);
    }
    return rc < 0 ? rc : run_take_scratch(r, out);
}

static int slice_value(struct run *r, const struct value *v, const int64_t *start,
                       const int64_t *stop, int64_t step, struct value *out) {
    int64_t length = 0, first, count;
    if (v->type == VALUE_UNDEFINED) {
        return undefined_base(r, v);
    }
    if (v->type != VALUE_TEXT && !value_is_sequence(v)) {
        return error_set(r->e, ERR_FORMAT, "a %s has no slices", value_type_name(v));
    }
    int rc = step == 0 ? error_set(r->e, ERR_FORMAT, "the step of a slice is 0")
                       : value_length(v, &length, r->e);
    rc = rc < 0 || v->type != VALUE_TEXT ? rc : run_charge(r, value_steps(v));
    if (rc < 0) {
        return rc;
    }
    slice_bounds(length, start, stop, step, &first, &count);
    if (v->type == VALUE_TEXT) {
        return slice_text(r, v->text, first, count, step, out);
    }
    rc = run_list(r, (size_t)count, out);
    for (int64_t i = 0; i < count && rc == 0; i++) {
        out->list->items[i] = v->list->items[first + i * step];
    }
    out->type = v->type;
    return rc;
}

static int evaluate_slice(struct run *r, const struct expression *x, struct value *out) {
    const struct expression *parts[3] = {x->condition, x->stop, x->step};
    int64_t bounds[3] = {0, 0, 1};
    bool given[3] = {false};
    struct value v, bound;
    int rc = evaluate(r, x->left, &v);
    for (int i = 0; i < 3 && rc == 0; i++) {
        if (parts[i] != NULL) {
            rc = evaluate(r, parts[i], &bound);
            given[i] = rc == 0 && bound.type != VALUE_NONE;
            rc = rc < 0 || !given[i] ? rc : slot_whole(r, &bound, "a slice", &bounds[i]);
        }
    }
    return rc < 0 ? rc
                  : slice_value(r, &v, given[0] ? &bounds[0] : NULL, given[1] ? &bounds[1] : NULL,
                                bounds[2], out);
}

/* ---- Members ------------------------------------------------------------------------------- */

static int loop_attribute(struct run *r, const struct loop *l, struct text name,
                          struct value *out) {
    int64_t index = (int64_t)l->index, count = (int64_t)l->items->count;
    const struct {
        const char *name;
        struct value value;
    } MEMBERS[] = {
        {"index", value_integer(index + 1)},
        {"index0", value_integer(index)},
        {"first", value_bool(index == 0)},
        {"last", value_bool(index == count - 1)},
        {"length", value_integer(count)},
        {"previtem", index > 0 ? l->items->items[index - 1] : value_undefined(name)},
        {"nextitem", index < count - 1 ? l->items->items[index + 1] : value_undefined(name)},
    };
    for (size_t i = 0; i < sizeof MEMBERS / sizeof *MEMBERS; i++) {
        if (text_is(name, MEMBERS[i].name)) {
            *out = MEMBERS[i].value;
            return 0;
        }
    }
    return error_set(r->e, ERR_UNSUPPORTED, "loop.%.*s", TEXT_ARGS(name));
}

int value_attribute(struct run *r, const struct value *v, struct text name, struct value *out) {
    *out = value_undefined(name);
    if (v->type == VALUE_UNDEFINED) {
        return undefined_base(r, v);
    }
    if (v->type == VALUE_LOOP) {
        return loop_attribute(r, v->loop, name, out);
    }
    if (method_find(v, name) != NULL) {
        struct value *self = arena_alloc(r->arena, 1, sizeof *self);
        if (self == NULL) {
            return error_memory(r->e, "a template");
        }
        *self = *v;
        *out = (struct value){.type = VALUE_METHOD, .method = self, .text = name};
        return 0;
    }
    if (v->type == VALUE_DICT || v->type == VALUE_NAMESPACE) {
        int rc = run_charge(r, (int64_t)(v->dict->count / 8 + name.size / 16));
        const struct value *found = dict_find_text(v->dict, name);
        *out = found != NULL ? *found : *out;
        return rc;
    }
    return 0;
}

int value_item(struct run *r, const struct value *v, const struct value *index, struct value *out) {
    *out = value_undefined(index->type == VALUE_TEXT ? index->text : TEXT("item"));
    if (v->type == VALUE_UNDEFINED) {
        return undefined_base(r, v);
    }
    if (v->type == VALUE_DICT) {
        const struct value *found = dict_find(v->dict, index);
        run_spend(r, (int64_t)(v->dict->count / 8) + value_steps(index));
        if (found != NULL) {
            *out = *found;
            return 0;
        }
    }
    if (index->type == VALUE_TEXT) {
        return value_attribute(r, v, index->text, out);
    }
    if (!value_is_whole(index) || (v->type != VALUE_TEXT && !value_is_sequence(v))) {
        return 0;
    }
    int64_t at = value_whole(index), length = 0;
    int rc = v->type == VALUE_TEXT ? run_charge(r, value_steps(v)) : 0;
    rc = rc < 0 ? rc : value_length(v, &length, r->e);
    at += at < 0 ? length : 0;
    if (rc < 0 || at < 0 || at >= length) {
        return rc;
    }
    return v->type == VALUE_TEXT ? slice_text(r, v->text, at, 1, 1, out)
                                 : (*out = v->list->items[at], 0);
}

static int evaluate_attribute(struct run *r, const struct expression *x, struct value *out) {
    struct value v;
    int rc = evaluate(r, x->left, &v);
    return rc < 0 ? rc : value_attribute(r, &v, x->name, out);
}

static int evaluate_item(struct run *r, const struct expression *x, struct value *out) {
    struct value v, index;
    int rc = evaluate(r, x->left, &v);
    rc = rc < 0 ? rc : evaluate(r, x->right, &index);
    return rc < 0 ? rc : value_item(r, &v, &index, out);
}

/* ---- Plain values -------------------------------------------------------------------------- */

static int evaluate_constant(struct run *r, const struct expression *x, struct value *out) {
    (void)r;
    *out = x->constant;
    return 0;
}

static int evaluate_name(struct run *r, const struct expression *x, struct value *out) {
    const struct value *found = run_find(r, x->name);
    if (found != NULL) {
        *out = *found;
    } else if (builtin_find(FUNCTION, x->name) != NULL) {
        *out = (struct value){.type = VALUE_FUNCTION, .text = x->name};
    } else {
        *out = value_undefined(x->name);
    }
    return 0;
}

static int evaluate_list(struct run *r, const struct expression *x, struct value *out) {
    int rc = run_list(r, x->part_count, out);
    for (size_t i = 0; i < x->part_count && rc == 0; i++) {
        rc = evaluate(r, x->parts[i].expression, &out->list->items[i]);
    }
    out->type = x->type == EXPRESSION_TUPLE ? VALUE_TUPLE : VALUE_LIST;
    return rc;
}

static int evaluate_dict(struct run *r, const struct expression *x, struct value *out) {
    int rc = value_dict(r->arena, out, r->e);
    for (size_t i = 0; i < x->part_count && rc == 0; i += 2) {
        struct value key, value;
        rc = evaluate(r, x->parts[i].expression, &key);
        if (rc == 0 && !value_is_number(&key) && key.type != VALUE_TEXT && key.type != VALUE_NONE) {
            rc = error_set(r->e, ERR_UNSUPPORTED, "a %s as the key of a dict",
                           value_type_name(&key));
        }
        rc = rc < 0 ? rc : evaluate(r, x->parts[i + 1].expression, &value);
        rc = rc < 0 ? rc : run_dict_set(r, out->dict, &key, &value);
    }
    return rc;
}

/* ---- Operators ----------------------------------------------------------------------------- */

static int evaluate_unary(struct run *r, const struct expression *x, struct value *out) {
    struct value v;
    int rc = evaluate(r, x->left, &v);
    if (rc < 0) {
        return rc;
    }
    if (x->operation == OPERATION_NOT) {
        *out = value_bool(!value_true(&v));
        return 0;
    }
    if (v.type == VALUE_REAL) {
        *out = value_real(-v.real);
        return 0;
    }
    const struct value zero = value_integer(0);
    return operate(r, OPERATION_SUBTRACT, &zero, &v, out);
}

static int evaluate_binary(struct run *r, const struct expression *x, struct value *out) {
    struct value a, b;
    int rc = evaluate(r, x->left, &a);
    if (rc < 0) {
        return rc;
    }
    if (x->operation == OPERATION_AND || x->operation == OPERATION_OR) {
        if (value_true(&a) == (x->operation == OPERATION_OR)) {
            *out = a;
            return 0;
        }
        return evaluate(r, x->right, out);
    }
    rc = evaluate(r, x->right, &b);
    if (rc == 0 && x->operation >= OPERATION_EQUAL) {
        bool holds;
        rc = operate_compare(r, x->operation, &a, &b, &holds);
        *out = value_bool(holds);
        return rc;
    }
    return rc < 0 ? rc : operate(r, x->operation, &a, &b, out);
}

static int evaluate_choice(struct run *r, const struct expression *x, struct value *out) {
    struct value condition;
    int rc = evaluate(r, x->condition, &condition);
    *out = value_undefined(TEXT("else"));
    if (rc < 0 || (!value_true(&condition) && x->right == NULL)) {
        return rc;
    }
    return evaluate(r, value_true(&condition) ? x->left : x->right, out);
}

/* ---- Calls --------------------------------------------------------------------------------- */

static int evaluate_arguments(struct run *r, const struct expression *x, struct arguments *out) {
    size_t count = x->part_count;
    *out = (struct arguments){.values = arena_alloc(r->arena, count, sizeof *out->values),
                              .keywords = arena_alloc(r->arena, count, sizeof *out->keywords),
                              .count = count};
    int rc = out->values == NULL || out->keywords == NULL ? error_memory(r->e, "a template") : 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        out->keywords[i] = x->parts[i].keyword;
        rc = evaluate(r, x->parts[i].expression, &out->values[i]);
    }
    return rc;
}

static int evaluate_call(struct run *r, const struct expression *x, struct value *out) {
    struct value callee;
    struct arguments a;
    int rc = evaluate(r, x->left, &callee);
    rc = rc < 0 ? rc : evaluate_arguments(r, x, &a);
    return rc < 0 ? rc : call_value(r, &callee, &a, out);
}

static int evaluate_filter(struct run *r, const struct expression *x, struct value *out) {
    struct value v;
    struct arguments a;
    int rc = evaluate(r, x->left, &v);
    rc = rc < 0 ? rc : evaluate_arguments(r, x, &a);
    return rc < 0 ? rc : filter_call(r, x->name, &v, &a, out);
}

static int evaluate_test(struct run *r, const struct expression *x, struct value *out) {
    struct value v;
    struct arguments a;
    bool holds = false;
    int rc = evaluate(r, x->left, &v);
    rc = rc < 0 ? rc : evaluate_arguments(r, x, &a);
    rc = rc < 0 ? rc : check_call(r, x->name, &v, &a, &holds);
    *out = value_bool(holds);
    return rc;
}

int evaluate(struct run *r, const struct expression *x, struct value *out) {
    static int (*const EVALUATORS[])(struct run *, const struct expression *, struct value *) = {
        [EXPRESSION_CONSTANT] = evaluate_constant,   [EXPRESSION_NAME] = evaluate_name,
        [EXPRESSION_LIST] = evaluate_list,           [EXPRESSION_TUPLE] = evaluate_list,
        [EXPRESSION_DICT] = evaluate_dict,           [EXPRESSION_UNARY] = evaluate_unary,
        [EXPRESSION_BINARY] = evaluate_binary,       [EXPRESSION_CHOICE] = evaluate_choice,
        [EXPRESSION_ATTRIBUTE] = evaluate_attribute, [EXPRESSION_ITEM] = evaluate_item,
        [EXPRESSION_SLICE] = evaluate_slice,         [EXPRESSION_CALL] = evaluate_call,
        [EXPRESSION_FILTER] = evaluate_filter,       [EXPRESSION_TEST] = evaluate_test};
    int rc = run_charge(r, 1);
    if (rc < 0) {
        return rc;
    }
    if (r->depth >= RUN_DEPTH_LIMIT) {
        return error_set(r->e, ERR_LIMIT, "it is nested too deeply");
    }
    r->depth++;
    r->line = x->line;
    rc = EVALUATORS[x->type](r, x, out);
    rc = rc < 0 ? rc : value_seal(out, r->e);
    r->depth--;
    return rc;
}
