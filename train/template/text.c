/* text.c - the texts of value.h. */
#include <string.h>

#include "store/utf8.h"
#include "train/template/value.h"

bool text_equal(struct text a, struct text b) {
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

bool text_is(struct text a, const char *b) {
    return text_equal(a, (struct text){b, strlen(b)});
}

/* Of UTF-8 the order of bytes is that of code points. */
int text_compare(struct text a, struct text b) {
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

int text_copy(struct arena *a, const void *data, size_t size, struct text *out, struct error *e) {
    const char *copy = arena_text(a, size > 0 ? data : "", size);
    *out = (struct text){copy, size};
    return copy != NULL ? 0 : error_memory(e, "a template");
}

static bool begins_character(char c) {
    return ((unsigned char)c & 0xC0) != 0x80;
}

int64_t text_length(struct text t) {
    int64_t length = 0;
    for (size_t i = 0; i < t.size; i++) {
        length += begins_character(t.data[i]);
    }
    return length;
}

size_t text_offset(struct text t, int64_t index) {
    size_t at = 0;
    while (at < t.size && index > 0) {
        at++;
        while (at < t.size && !begins_character(t.data[at])) {
            at++;
        }
        index--;
    }
    return at;
}

size_t text_find(struct text t, struct text part, size_t from) {
    while (from <= t.size && t.size - from >= part.size) {
        if (part.size == 0) {
            return from;
        }
        size_t starts = t.size - from - part.size + 1;
        const char *at = memchr(t.data + from, part.data[0], starts);
        if (at == NULL) {
            break;
        }
        if (memcmp(at, part.data, part.size) == 0) {
            return (size_t)(at - t.data);
        }
        from = (size_t)(at - t.data) + 1;
    }
    return SIZE_MAX;
}

bool text_is_space(uint32_t c) {
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

static bool is_stripped(struct text character, const struct text *set) {
    uint32_t code_point;
    bool valid;
    if (set != NULL) {
        return text_find(*set, character, 0) != SIZE_MAX;
    }
    utf8_decode(character.data, character.size, &code_point, &valid);
    return text_is_space(code_point);
}

struct text text_strip(struct text t, const struct text *set, bool left, bool right) {
    while (left && t.size > 0) {
        size_t used = text_offset(t, 1);
        left = is_stripped((struct text){t.data, used}, set);
        if (left) {
            t.data += used;
            t.size -= used;
        }
    }
    while (right && t.size > 0) {
        size_t start = t.size - 1;
        while (start > 0 && !begins_character(t.data[start])) {
            start--;
        }
        right = is_stripped((struct text){t.data + start, t.size - start}, set);
        t.size = right ? start : t.size;
    }
    return t;
}
