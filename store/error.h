/* error.h - the one way in which a library function fails.
 *
 * A function that can fail returns int: 0 (or a positive result), or a negative code of enum
 * error_code; its last parameter is a caller-owned struct error, which is filled only on failure.
 * The text is one line, complete enough to print as it is, without a final full stop or newline.
 * No allocation, so it also serves when memory has run out. `struct error *` may be NULL: then only
 * the code is returned. */
#ifndef OCC_STORE_ERROR_H
#define OCC_STORE_ERROR_H

enum error_code {
    ERR_USAGE = -1,       /* the caller asked for something that makes no sense */
    ERR_IO = -2,          /* the operating system said no */
    ERR_NO_SPACE = -3,    /* disk full or quota used up */
    ERR_FORMAT = -4,      /* input is not what it should be */
    ERR_TRUNCATED = -5,   /* input ends too early */
    ERR_LIMIT = -6,       /* input is larger than a stated limit */
    ERR_MEMORY = -7,      /* out of memory */
    ERR_UNSUPPORTED = -8, /* valid input that this build or version does not handle */
    ERR_CANCELLED = -9,   /* stopped by a signal or by the caller */
    ERR_CLOSED = -10,     /* nobody reads our output any more (EPIPE) */
};

struct error {
    int code;
    char text[480];
};

/* Fills `e`, and its value is `code`, so that `return error_set(e, ERR_FORMAT, "...")` reads as one
 * line. A macro, as the next two are, so that a checker of the caller sees a negative constant. */
#define error_set(e, code, ...) (error_fill(e, code, __VA_ARGS__), error_negative(code))

/* As error_set, with the code derived from `error_number` (an errno value) and its text
 * appended. */
#define error_errno(e, error_number, ...)                                                          \
    error_negative(error_fill_errno(e, error_number, __VA_ARGS__))

/* Puts "context: " in front of the text that is there; its value is e->code (ERR_IO where e is
 * NULL). */
#define error_context(e, ...) error_negative(error_prefix(e, __VA_ARGS__))

/* ERR_MEMORY: "out of memory for WHAT", or "out of memory" where `what` is NULL. */
#define error_memory(e, what) error_negative(error_fill_memory(e, what))

/* A stable word for a code, fit for reports: "format", "truncated", "memory", ... */
const char *error_name(int code);

/* What the macros call. */
void error_fill(struct error *e, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int error_fill_errno(struct error *e, int error_number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int error_fill_memory(struct error *e, const char *what);
int error_prefix(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline int error_negative(int code) {
    return code < 0 ? code : ERR_IO;
}

#endif
