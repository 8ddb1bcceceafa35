/* error.c - see error.h. */
#include "store/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void error_fill(struct error *e, int code, const char *format, ...) {
    if (e != NULL) {
        va_list arguments;
        va_start(arguments, format);
        e->code = code;
        vsnprintf(e->text, sizeof e->text, format, arguments);
        va_end(arguments);
    }
}

static int code_of_errno(int error_number) {
    switch (error_number) {
    case ENOSPC:
    case EDQUOT:
        return ERR_NO_SPACE;
    case ENOMEM:
        return ERR_MEMORY;
    case EPIPE:
        return ERR_CLOSED;
    default:
        return ERR_IO;
    }
}

int error_fill_errno(struct error *e, int error_number, const char *format, ...) {
    int code = code_of_errno(error_number);
    if (e != NULL) {
        va_list arguments;
        va_start(arguments, format);
        e->code = code;
        vsnprintf(e->text, sizeof e->text, format, arguments);
        va_end(arguments);
        size_t used = strlen(e->text);
        const char *reason = code == ERR_NO_SPACE ? "disk full" : strerror(error_number);
        snprintf(e->text + used, sizeof e->text - used, ": %s", reason);
    }
    return code;
}

int error_fill_memory(struct error *e, const char *what) {
    error_fill(e, ERR_MEMORY, "out of memory%s%s", what != NULL ? " for " : "",
               what != NULL ? what : "");
    return ERR_MEMORY;
}

int error_prefix(struct error *e, const char *format, ...) {
    if (e == NULL) {
        return ERR_IO;
    }
    char text[sizeof e->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t used = strlen(text);
    size_t room = sizeof text - used - 1; /* what does not fit is cut off at the end */
    if (room > 2) {
        snprintf(text + used, room + 1, ": %.*s", (int)(room - 2), e->text);
    }
    memcpy(e->text, text, sizeof text);
    return e->code;
}

const char *error_name(int code) {
    switch (code) {
    case ERR_USAGE:
        return "usage";
    case ERR_IO:
        return "io";
    case ERR_NO_SPACE:
        return "disk-full";
    case ERR_FORMAT:
        return "format";
    case ERR_TRUNCATED:
        return "truncated";
    case ERR_LIMIT:
        return "limit";
    case ERR_MEMORY:
        return "memory";
    case ERR_UNSUPPORTED:
        return "unsupported";
    case ERR_CANCELLED:
        return "cancelled";
    case ERR_CLOSED:
        return "closed";
    default:
        return "unknown";
    }
}
