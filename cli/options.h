/* options.h - one table per tool gives parsing, --help, man page and bash completion.
 *
 *     static const struct option_spec OPTIONS[] = {
 *         {"thumbs", 0, OPTION_INTEGER, offsetof(struct ingest_options, thumbs), "N",
 *          "thumbnails per clip", .minimum = 0, .maximum = 64},
 *         {0}};
 *
 * The defaults printed by the help are read from the filled struct, so they cannot disagree with
 * the program. Order of precedence: command line, environment (where `environment` names a
 * variable), default. -h gives the short usage, --help the full text, both on stdout with exit 0;
 * --help=man and
 * --help=bash print the man page (roff) and the completion script; --version. */
#ifndef OCC_CLI_OPTIONS_H
#define OCC_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "store/error.h"

enum option_type {
    OPTION_FLAG,     /* bool; --name and --no-name */
    OPTION_COUNT,    /* int, counts repetitions (-vv) */
    OPTION_INTEGER,  /* int64_t, checked whole and against minimum and maximum */
    OPTION_SIZE,     /* int64_t bytes; k, M, G, T = powers of 1024 */
    OPTION_DURATION, /* int64_t milliseconds; suffix ms, s (default), m, h, d; decimals allowed */
    OPTION_TEXT,     /* const char *, points into argv */
    OPTION_CHOICE,   /* int: index into `choices` */
    OPTION_SHARE,    /* two int64_t I, N of "I/N", 0 <= I < N */
};

struct option_spec {
    const char *name; /* long name without dashes; NULL ends the table */
    char letter;      /* 0: none */
    enum option_type type;
    size_t offset;        /* of the field in the tool's option struct */
    const char *argument; /* placeholder in the help, "FILE"; NULL for flags */
    const char *help;     /* one sentence, no capital, no full stop; may be wrapped */
    const char *environment;
    const char *const *choices; /* NULL-terminated */
    int64_t minimum, maximum;   /* both 0: any value >= 0 */
};

struct tool {
    const char *name;        /* "occ-ingest" */
    const char *summary;     /* one line */
    const char *operands;    /* "[PATH...]", or NULL when none are taken */
    const char *description; /* paragraphs separated by empty lines: man page and --help */
    const char *examples;    /* lines of "command\n    what it does\n" or NULL */
    const struct option_spec *options;
};

enum options_result { OPTIONS_RUN, OPTIONS_DONE };

/* Parses argv into the struct at `values`, which holds the defaults on entry. Operands are moved to
 * the front of argv + 1, *operand_count says how many; "--" ends options; --name=value and --name
 * value, -n5 and -n 5 and bundled flags are accepted; a unique prefix of a long name is not.
 * OPTIONS_DONE when a help or version was printed. Negative (ERR_USAGE with text) when the command
 * line is wrong. */
int options_parse(const struct tool *tool, int argc, char **argv, void *values, int *operand_count,
                  struct error *e);

/* Prints "occ-ingest: text" and "Try 'occ ingest --help'." to stderr. Returns 2, the exit status.
 */
int options_usage_error(const struct tool *tool, const struct error *e);

#endif
