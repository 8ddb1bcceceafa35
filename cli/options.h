/* options.h - one table per tool gives parsing, --help, man page and bash completion.
 *
 *     static const struct option_spec OPTIONS[] = {
 *         {"thumbs", 0, OPTION_INTEGER, offsetof(struct ingest_options, thumbs), "N",
 *          .help = "thumbnails per clip", .maximum = 64},
 *         {0}};
 *
 * (The name in front of `help` lets a row end anywhere without a warning of missing initialisers.)
 * The defaults printed by the help are read from the filled struct, so they cannot disagree with
 * the program. Order of precedence: command line, environment (where `environment` names a variable
 * that is set and not empty), default; the last of repeated options wins,
 * but for those of OPTION_LIST. -h gives the short usage,
 * --help the full text, both on stdout with exit 0; --help=man and --help=bash print the man page
 * (roff) and the completion script; --version. These names are taken: tables hold no h, help or
 * version. All texts of a table are ASCII. */
#ifndef OCC_CLI_OPTIONS_H
#define OCC_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/bytes.h"
#include "store/error.h"

enum option_type {
    OPTION_FLAG,     /* bool; --name and --no-name */
    OPTION_SWITCH,   /* int: 1 --name, 0 --no-name; default -1: neither, the program decides */
    OPTION_COUNT,    /* int, counts repetitions (-vv) */
    OPTION_INTEGER,  /* int64_t, checked whole and against minimum and maximum */
    OPTION_SIZE,     /* int64_t bytes; k, M, G, T (or KiB, MiB, ...) = powers of 1024 */
    OPTION_DURATION, /* int64_t milliseconds; suffix ms, s (default), m, h, d; decimals allowed */
    OPTION_TEXT,     /* const char *, points into argv or the environment */
    OPTION_CHOICE,   /* int: index into `choices` */
    OPTION_SHARE,    /* two int64_t I, N of "I/N", 0 <= I < N */
    OPTION_LIST,     /* struct option_list: a text more each time that it is given */
};

enum { OPTION_LIST_MOST = 64 };
struct option_list {
    const char *texts[OPTION_LIST_MOST]; /* point into argv */
    int count;
};

extern const char *const LOG_STYLES[]; /* text, json */

struct option_spec {
    const char *name; /* long name without dashes; NULL ends the table; "": a heading, see help */
    char letter;      /* 0: none */
    enum option_type type;
    size_t offset;        /* of the field in the tool's option struct */
    const char *argument; /* placeholder in the help; NULL for FLAG, SWITCH and COUNT. Completion
                             offers files for one with FILE or PATH in it, folders for FOLDER */
    const char *help;     /* one sentence, no capital, no full stop; may be wrapped */
    const char *environment;
    const char *const *choices; /* NULL-terminated; of a TEXT only those that completion offers */
    int64_t minimum, maximum;   /* maximum 0 with minimum >= 0: no upper limit. A default outside
                                   of them means "not given" and is not printed */
    const char *commands; /* of a tool whose first operand is a command: those that take it, "read
                             tune"; on the command line others refuse it. NULL: all do */
};

struct tool {
    const char *name;        /* "occ-ingest" */
    const char *summary;     /* one line */
    const char *operands;    /* "[PATH...]", or NULL when none are taken */
    const char *description; /* paragraphs separated by empty lines, NULL for none; lines of a
                                paragraph that begins with a space are kept as they are */
    const char *examples;    /* lines of "command\n    what it does\n" or NULL */
    const struct option_spec *options;
};

enum options_result { OPTIONS_RUN, OPTIONS_DONE };

/* Parses argv into the struct at `values`, which holds the defaults on entry. Operands are moved to
 * the front of argv + 1, *operand_count says how many, a NULL follows the last; "--" ends options;
 * --name=value and --name value, -n5 and -n 5 and bundled flags are accepted; a unique prefix of a
 * long name is not. OPTIONS_DONE when a help or version was printed: stdout is then closed.
 * Negative with text when the command line or the environment is wrong (ERR_USAGE) or the help
 * could not be written (ERR_IO, ERR_NO_SPACE, ERR_CLOSED). */
int options_parse(const struct tool *tool, int argc, char **argv, void *values, int *operand_count,
                  struct error *e);

/* Prints "occ-ingest: text" to stderr, after ERR_USAGE also "Try 'occ ingest --help'.". Returns the
 * exit status: 2 after ERR_USAGE, else 1. */
int options_usage_error(const struct tool *tool, const struct error *e);

/* --- parts of the above, also for the launcher and for tests --- */

enum options_form { OPTIONS_SHORT, OPTIONS_FULL, OPTIONS_MAN, OPTIONS_BASH };

/* Appends the help of a tool; `values` is the struct with the defaults. */
int options_help(struct bytes *out, const struct tool *tool, const void *values,
                 enum options_form form, struct error *e);

/* Writes `text` to stdout and closes it: a full disk may be reported by the close only. */
int options_print(const char *text, struct error *e);

/* Reads `text`, the value of one option, into the struct at `values`: ERR_USAGE when it is not of
 * the option's type or not within its limits, for instance "'4x' is not a whole number". For FLAG
 * and SWITCH yes/no, true/false, on/off, 1/0; for COUNT a number. */
int options_read(const struct option_spec *spec, const char *text, void *values, struct error *e);

/* The shortest exact text that options_read reads as `value`: "90s", "64M", "7". */
void options_format(char out[32], enum option_type type, int64_t value);

/* How many edits (letters added, left out, changed or swapped) turn the first `length` bytes of
 * `typed` into `name`; 0 when they are the beginning of it; SIZE_MAX when it is too far to be
 * suggested. */
size_t options_distance(const char *typed, size_t length, const char *name);

static inline int64_t options_maximum(const struct option_spec *spec) {
    return spec->maximum == 0 && spec->minimum >= 0 ? INT64_MAX : spec->maximum;
}

static inline bool options_takes_value(const struct option_spec *spec) {
    return spec->type != OPTION_FLAG && spec->type != OPTION_SWITCH && spec->type != OPTION_COUNT;
}

#endif
