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

/* Fills `e` and returns `code`, so that `return error_set(e, ERR_FORMAT, "...")` reads as one line.
 */
int error_set(struct error *e, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set, with the code derived from `error_number` (an errno value) and its text appended.
 */
int error_errno(struct error *e, int error_number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of the text that is there. Returns e->code (ERR_IO where e is NULL). */
int error_context(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A stable word for a code, fit for reports: "format", "truncated", "memory", ... */
const char *error_name(int code);

#endif
