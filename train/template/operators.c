/* operators.c - arithmetic and comparisons, as Python has them. */
#include <string.h>

#include "train/template/run.h"

static int operate_whole(struct run *r, enum operation operation, int64_t a, int64_t b,
                         struct value *out) {
    int64_t result = 0;
    bool overflow = false;
    if (operation == OPERATION_MODULO && b == 0) {
        return error_set(r->e, ERR_FORMAT, "a division by zero");
    }
    if (operation == OPERATION_ADD) {
        overflow = __builtin_add_overflow(a, b, &result);
    } else if (operation == OPERATION_SUBTRACT) {
        overflow = __builtin_sub_overflow(a, b, &result);
    } else if (b != -1) { /* INT64_MIN % -1 */
        result = a % b;
        result += result != 0 && (result < 0) != (b < 0) ? b : 0;
    }
    *out = value_integer(result);
    return overflow ? error_set(r->e, ERR_UNSUPPORTED, "a whole number beyond 64 bits") : 0;
}

static int concat_texts(struct run *r, struct text a, struct text b, struct value *out) {
    int rc = run_charge(r, (int64_t)(a.size / 16 + b.size / 16));
    char *both = rc < 0 ? NULL : arena_alloc(r->arena, 1, a.size + b.size + 1);
    if (both == NULL) {
        return rc < 0 ? rc : error_memory(r->e, "a template");
    }
    memcpy(both, a.data, a.size);
    memcpy(both + a.size, b.data, b.size);
    *out = value_text((struct text){both, a.size + b.size});
    return 0;
}

static int concat_lists(struct run *r, const struct value *a, const struct value *b,
                        struct value *out) {
    size_t n = a->list->count;
    int rc = run_list(r, n + b->list->count, out);
    for (size_t i = 0; rc == 0 && i < out->list->count; i++) {
        out->list->items[i] = i < n ? a->list->items[i] : b->list->items[i - n];
    }
    out->type = a->type;
    return rc;
}

int operate(struct run *r, enum operation operation, const struct value *a, const struct value *b,
            struct value *out) {
    if (operation == OPERATION_CONCAT) {
        struct text left, right;
        int rc = run_text(r, a, &left);
        rc = rc < 0 ? rc : run_text(r, b, &right);
        return rc < 0 ? rc : concat_texts(r, left, right, out);
    }
    if (value_is_whole(a) && value_is_whole(b)) {
        return operate_whole(r, operation, value_whole(a), value_whole(b), out);
    }
    if (operation == OPERATION_ADD && a->type == VALUE_TEXT && b->type == VALUE_TEXT) {
        return concat_texts(r, a->text, b->text, out);
    }
    if (operation == OPERATION_ADD && value_is_sequence(a) && a->type == b->type) {
        return concat_lists(r, a, b, out);
    }
    if (value_is_number(a) && value_is_number(b)) {
        return error_set(r->e, ERR_UNSUPPORTED, "arithmetic of numbers that are not whole");
    }
    if (operation == OPERATION_MODULO && a->type == VALUE_TEXT) {
        return error_set(r->e, ERR_UNSUPPORTED, "the operator %% of a text");
    }
    if (a->type == VALUE_UNDEFINED || b->type == VALUE_UNDEFINED) {
        struct text name = a->type == VALUE_UNDEFINED ? a->text : b->text;
        return error_set(r->e, ERR_FORMAT, "'%.*s' is undefined", TEXT_ARGS(name));
    }
    return error_set(r->e, ERR_FORMAT, "an operator does not take %s and %s", value_type_name(a),
                     value_type_name(b));
}

static int contains(struct run *r, const struct value *part, const struct value *whole, bool *out) {
    *out = false;
    int rc = run_charge(r, value_steps(whole));
    if (rc < 0) {
        return rc;
    }
    if (whole->type == VALUE_TEXT) {
        if (part->type != VALUE_TEXT) {
            return error_set(r->e, ERR_FORMAT, "a %s is not looked for in a text",
                             value_type_name(part));
        }
        rc = run_charge(r, text_search_steps(whole->text, part->text));
        *out = rc == 0 && text_find(whole->text, part->text, 0) != SIZE_MAX;
        return rc;
    }
    if (whole->type == VALUE_DICT && !value_is_hashable(part)) {
        return error_set(r->e, ERR_FORMAT, "a %s is not a key", value_type_name(part));
    }
    struct list *items;
    rc = run_items(r, whole, &items);
    for (size_t i = 0; rc == 0 && i < items->count && !*out; i++) {
        *out = value_equal(&items->items[i], part);
    }
    return rc;
}

int operate_compare(struct run *r, enum operation operation, const struct value *a,
                    const struct value *b, bool *out) {
    if (operation == OPERATION_IN || operation == OPERATION_NOT_IN) {
        int rc = contains(r, a, b, out);
        *out = *out == (operation == OPERATION_IN);
        return rc;
    }
    int rc = run_charge(r, value_steps(a)), order = 0;
    if (operation == OPERATION_EQUAL || operation == OPERATION_UNEQUAL) {
        *out = rc == 0 && value_equal(a, b) == (operation == OPERATION_EQUAL);
        return rc;
    }
    rc = rc < 0 ? rc : value_compare(a, b, &order, r->e);
    *out = operation == OPERATION_LESS         ? order < 0
           : operation == OPERATION_LESS_EQUAL ? order <= 0
           : operation == OPERATION_GREATER    ? order > 0
                                               : order >= 0;
    return rc;
}
