/* bytes.c - see bytes.h. */
#include "store/bytes.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bytes_init(struct bytes *b, size_t limit) {
    *b = (struct bytes){.limit = limit < SIZE_MAX / 4 ? limit : SIZE_MAX / 4};
}

void bytes_close(struct bytes *b) {
    free(b->data);
    bytes_init(b, b->limit);
}

void bytes_clear(struct bytes *b) {
    b->size = 0;
    if (b->data != NULL) {
        b->data[0] = 0;
    }
}

int bytes_reserve(struct bytes *b, size_t count, struct error *e) {
    if (count > b->limit - b->size) {
        return error_set(e, ERR_LIMIT, "more than %zu bytes", b->limit);
    }
    size_t need = b->size + count + 1;
    if (need <= b->capacity) {
        return 0;
    }
    size_t capacity = b->capacity ? b->capacity : 256;
    while (capacity < need) {
        capacity *= 2;
    }
    unsigned char *data = realloc(b->data, capacity);
    if (data == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory (%zu bytes)", capacity);
    }
    b->data = data;
    b->capacity = capacity;
    b->data[b->size] = 0;
    return 0;
}

int bytes_append(struct bytes *b, const void *data, size_t count, struct error *e) {
    int rc = bytes_reserve(b, count, e);
    if (rc < 0) {
        return rc;
    }
    if (count) {
        memcpy(b->data + b->size, data, count);
    }
    b->size += count;
    b->data[b->size] = 0;
    return 0;
}

int bytes_append_text(struct bytes *b, const char *text, struct error *e) {
    return bytes_append(b, text, strlen(text), e);
}

int bytes_printf(struct bytes *b, struct error *e, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int count = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (count < 0) {
        return error_set(e, ERR_FORMAT, "cannot format text");
    }
    int rc = bytes_reserve(b, (size_t)count, e);
    if (rc < 0) {
        return rc;
    }
    va_start(arguments, format);
    vsnprintf((char *)b->data + b->size, (size_t)count + 1, format, arguments);
    va_end(arguments);
    b->size += (size_t)count;
    return 0;
}

const char *bytes_text(const struct bytes *b) {
    return b->data != NULL ? (const char *)b->data : "";
}
