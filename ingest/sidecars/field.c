/* field.c - see field.h. */
#include "ingest/sidecars/field.h"

#include <string.h>

#include "store/json.h"

#define LARGEST_COUNT INT64_C(1000000000000)
#define LATEST_SECONDS INT64_C(100000000000) /* the year 5138; above: milliseconds */

size_t text_trim(const char **text) {
    *text += strspn(*text, " \t\r\n\v\f");
    size_t size = strlen(*text);
    while (size && strchr(" \t\r\n\v\f", (*text)[size - 1]) != NULL) {
        size--;
    }
    return size;
}

const char *field_text(struct fields *f, const json_t *object, const char *const *names) {
    for (; *names; names++) {
        const char *text = json_get_text(object, *names);
        size_t size = text != NULL ? text_trim(&text) : 0;
        if (size) {
            const char *copy = arena_text(f->arena, text, size);
            f->exhausted |= copy == NULL;
            return copy;
        }
    }
    return NULL;
}

const char *field_id(struct fields *f, const json_t *object, const char *const *names) {
    for (; *names; names++) {
        const char *id = NULL;
        if (json_is_integer(json_object_get(object, *names))) {
            id = json_get_id(object, *names, f->arena);
            f->exhausted |= id == NULL;
        } else {
            id = field_text(f, object, FIELD_NAMES(*names));
        }
        if (id != NULL) {
            return id;
        }
    }
    return NULL;
}

int64_t field_count(const json_t *object, const char *const *names) {
    for (; *names; names++) {
        int64_t count = json_get_integer(object, *names, -1);
        if (count >= 0 && count <= LARGEST_COUNT) {
            return count;
        }
    }
    return -1;
}

int64_t field_time(const json_t *object, const char *const *names) {
    for (; *names; names++) {
        int64_t seconds = json_get_integer(object, *names, -1);
        if (seconds > LATEST_SECONDS) {
            seconds /= 1000;
        }
        if (seconds <= 0) {
            const char *text = json_get_text(object, *names);
            seconds = text != NULL ? time_from_text(text) : -1;
        }
        if (seconds > 0 && seconds <= LATEST_SECONDS) {
            return seconds;
        }
    }
    return -1;
}

bool field_flag(const json_t *object, const char *const *names) {
    for (; *names; names++) {
        if (json_get_flag(object, *names)) {
            return true;
        }
    }
    return false;
}

static int lower(char c) {
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

bool name_equal(const char *a, const char *b) {
    a += strspn(a, "@");
    b += strspn(b, "@");
    if (!*a) {
        return false;
    }
    while (*a && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return *a == 0 && *b == 0;
}
