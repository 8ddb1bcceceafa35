/* print.c - values as text: Python's str and repr, and JSON as json.dumps writes it. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/utf8.h"
#include "train/template/template.h"
#include "train/template/value.h"

/* ---- Numbers ------------------------------------------------------------------------------- */

/* The fewest digits that are this number again, as Python's float.__repr__ finds them. */
static int print_real(struct bytes *out, double x, bool json, struct error *e) {
    if (!isfinite(x)) {
        const char *name = isnan(x) ? (json ? "NaN" : "nan") : json ? "Infinity" : "inf";
        return bytes_printf(out, e, "%s%s", !isnan(x) && x < 0 ? "-" : "", name);
    }
    char scientific[40];
    int digits = 1;
    snprintf(scientific, sizeof scientific, "%.0e", x);
    while (digits < 17 && strtod(scientific, NULL) != x) {
        snprintf(scientific, sizeof scientific, "%.*e", digits++, x);
    }
    int exponent = (int)strtol(strchr(scientific, 'e') + 1, NULL, 10);
    if (exponent < -4 || exponent >= 16) {
        return bytes_append_text(out, scientific, e); /* both write at least two digits of it */
    }
    int places = digits - 1 - exponent;
    return bytes_printf(out, e, "%.*f", places > 1 ? places : 1, x);
}

/* ---- Python -------------------------------------------------------------------------------- */

/* What repr() writes as an escape, of what is likely in a text; Python asks Unicode's tables. */
static bool is_unprintable(uint32_t c) {
    return c < 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0xAD || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200F) || (c >= 0x2028 && c <= 0x202F) ||
           (c >= 0x205F && c <= 0x206F) || c == 0x3000 || (c >= 0xE000 && c <= 0xF8FF) ||
           c == 0xFEFF || (c >= 0xFFF0 && c <= 0xFFFB) || (c & 0xFFFE) == 0xFFFE || c >= 0xE0000;
}

static int print_escape(struct bytes *out, uint32_t c, struct error *e) {
    if (c == '\n' || c == '\r' || c == '\t') {
        return bytes_append_text(out, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t", e);
    }
    return c < 0x100     ? bytes_printf(out, e, "\\x%02" PRIx32, c)
           : c < 0x10000 ? bytes_printf(out, e, "\\u%04" PRIx32, c)
                         : bytes_printf(out, e, "\\U%08" PRIx32, c);
}

static int print_quoted(struct bytes *out, struct text t, struct error *e) {
    bool single = memchr(t.data, '\'', t.size) != NULL, twofold = memchr(t.data, '"', t.size);
    const char quote = single && !twofold ? '"' : '\'';
    int rc = bytes_append(out, &quote, 1, e);
    for (size_t i = 0; i < t.size && rc == 0;) {
        uint32_t c;
        bool valid;
        size_t used = utf8_decode(t.data + i, t.size - i, &c, &valid);
        if (is_unprintable(c)) {
            rc = print_escape(out, c, e);
        } else {
            bool escaped = c == '\\' || c == (unsigned char)quote;
            rc = escaped ? bytes_append(out, "\\", 1, e) : 0;
            rc = rc < 0 ? rc : bytes_append(out, t.data + i, used, e);
        }
        i += used;
    }
    return rc < 0 ? rc : bytes_append(out, &quote, 1, e);
}

static int print_list(struct bytes *out, const struct value *v, struct error *e) {
    const struct list *list = v->list;
    bool tuple = v->type == VALUE_TUPLE;
    int rc = bytes_append_text(out, tuple ? "(" : "[", e);
    for (size_t i = 0; i < list->count && rc == 0; i++) {
        rc = i > 0 ? bytes_append_text(out, ", ", e) : 0;
        rc = rc < 0 ? rc : value_print(out, &list->items[i], true, e);
    }
    const char *end = !tuple ? "]" : list->count == 1 ? ",)" : ")";
    return rc < 0 ? rc : bytes_append_text(out, end, e);
}

static int print_dict(struct bytes *out, const struct dict *dict, struct error *e) {
    int rc = bytes_append_text(out, "{", e);
    for (size_t i = 0; i < dict->count && rc == 0; i++) {
        rc = i > 0 ? bytes_append_text(out, ", ", e) : 0;
        rc = rc < 0 ? rc : value_print(out, &dict->entries[i].key, true, e);
        rc = rc < 0 ? rc : bytes_append_text(out, ": ", e);
        rc = rc < 0 ? rc : value_print(out, &dict->entries[i].value, true, e);
    }
    return rc < 0 ? rc : bytes_append_text(out, "}", e);
}

int value_print(struct bytes *out, const struct value *v, bool quoted, struct error *e) {
    if (v->type == VALUE_TEXT) {
        return quoted ? print_quoted(out, v->text, e)
                      : bytes_append(out, v->text.data, v->text.size, e);
    }
    if (value_is_sequence(v)) {
        return print_list(out, v, e);
    }
    if (v->type == VALUE_DICT) {
        return print_dict(out, v->dict, e);
    }
    if (v->type == VALUE_INTEGER) {
        return bytes_printf(out, e, "%" PRId64, v->integer);
    }
    if (v->type == VALUE_REAL) {
        return print_real(out, v->real, false, e);
    }
    if (v->type == VALUE_BOOL || v->type == VALUE_NONE) {
        bool true_ = v->type == VALUE_BOOL && v->boolean;
        return bytes_append_text(out, v->type == VALUE_NONE ? "None" : true_ ? "True" : "False", e);
    }
    if (v->type == VALUE_UNDEFINED) {
        return quoted ? bytes_append_text(out, "Undefined", e) : 0;
    }
    return error_set(e, ERR_UNSUPPORTED, "a %s as text", value_type_name(v));
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static int json_string_print(struct bytes *out, struct text t, struct error *e) {
    int rc = bytes_append_text(out, "\"", e);
    for (size_t i = 0; i < t.size && rc == 0;) {
        size_t plain = i;
        while (plain < t.size && (unsigned char)t.data[plain] >= 0x20 && t.data[plain] != '"' &&
               t.data[plain] != '\\') {
            plain++;
        }
        rc = bytes_append(out, t.data + i, plain - i, e);
        if (plain < t.size && rc == 0) {
            static const char NAMED[] = "\"\\\b\f\n\r\t", LETTERS[] = "\"\\bfnrt";
            unsigned char c = (unsigned char)t.data[plain];
            const char *name = c != 0 ? strchr(NAMED, c) : NULL;
            rc = name != NULL ? bytes_printf(out, e, "\\%c", LETTERS[name - NAMED])
                              : bytes_printf(out, e, "\\u%04x", (unsigned)c);
            plain++;
        }
        i = plain;
    }
    return rc < 0 ? rc : bytes_append_text(out, "\"", e);
}

static int json_scalar_print(struct bytes *out, const struct value *v, struct error *e) {
    if (v->type == VALUE_TEXT) {
        return json_string_print(out, v->text, e);
    }
    if (v->type == VALUE_REAL) {
        return print_real(out, v->real, true, e);
    }
    if (v->type == VALUE_INTEGER) {
        return bytes_printf(out, e, "%" PRId64, v->integer);
    }
    if (v->type == VALUE_BOOL || v->type == VALUE_NONE) {
        bool true_ = v->type == VALUE_BOOL && v->boolean;
        return bytes_append_text(out, v->type == VALUE_NONE ? "null" : true_ ? "true" : "false", e);
    }
    return error_set(e, ERR_FORMAT, "tojson: JSON has no %s", value_type_name(v));
}

/* A new line where there are some, with its indent. */
static int json_line(struct bytes *out, int64_t indent, int depth, struct error *e) {
    int rc = indent >= 0 ? bytes_append_text(out, "\n", e) : 0;
    for (int64_t i = 0; i < indent * depth && rc == 0; i++) {
        rc = bytes_append(out, " ", 1, e);
    }
    return rc;
}

static int json_key_print(struct bytes *out, const struct value *key, struct error *e) {
    if (key->type == VALUE_TEXT) {
        return json_string_print(out, key->text, e);
    }
    int rc = bytes_append_text(out, "\"", e);
    rc = rc < 0 ? rc : json_scalar_print(out, key, e);
    return rc < 0 ? rc : bytes_append_text(out, "\"", e);
}

int value_print_json(struct bytes *out, const struct value *v, int64_t indent, int depth,
                     struct error *e) {
    bool dict = v->type == VALUE_DICT;
    if (!dict && !value_is_sequence(v)) {
        return json_scalar_print(out, v, e);
    }
    size_t count = dict ? v->dict->count : v->list->count;
    int rc = bytes_append_text(out, dict ? "{" : "[", e);
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = i > 0 ? bytes_append_text(out, indent < 0 ? ", " : ",", e) : 0;
        rc = rc < 0 ? rc : json_line(out, indent, depth + 1, e);
        if (dict && rc == 0) {
            rc = json_key_print(out, &v->dict->entries[i].key, e);
            rc = rc < 0 ? rc : bytes_append_text(out, ": ", e);
        }
        const struct value *item = dict ? &v->dict->entries[i].value : &v->list->items[i];
        rc = rc < 0 ? rc : value_print_json(out, item, indent, depth + 1, e);
    }
    rc = rc < 0 || count == 0 ? rc : json_line(out, indent, depth, e);
    return rc < 0 ? rc : bytes_append_text(out, dict ? "}" : "]", e);
}
