/* options_page.h - what the help, the man page and the completion of a tool are written with.
 * Private to options_*.c. */
#ifndef OCC_CLI_OPTIONS_PAGE_H
#define OCC_CLI_OPTIONS_PAGE_H

#include "cli/options.h"

/* Text under construction. After the first append that fails (`rc`, `e`) the rest do nothing. */
struct help_page {
    struct bytes *out;
    struct error *e;
    int rc;
    const struct tool *tool;
    const void *values; /* the defaults */
};

void page_put_bytes(struct help_page *p, const char *text, size_t size);
void page_put(struct help_page *p, const char *text);
/* For short pieces: what does not fit 256 bytes is refused. */
void page_put_format(struct help_page *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void page_put_command(struct help_page *p); /* "occ-ingest" is called as "occ ingest" */

/* Help sentence with choices, limits, default and environment variable. */
void page_put_option_text(struct help_page *p, const struct option_spec *spec);
/* Whether to show --[no-]name: for what is on, or may be, unless the user says otherwise. */
bool page_shows_negation(const struct help_page *p, const struct option_spec *spec);

/* Cuts the next paragraph (up to an empty line or the end) off *text. */
bool page_next_paragraph(const char **text, const char **paragraph, size_t *size);

/* The man page: roff with the man macros of groff and mandoc. Nothing in it depends on the date or
 * the locale: it is made at build time and is the same bytes each time. */
void page_put_man(struct help_page *p);
void page_put_bash(struct help_page *p);

extern const char PAGE_HELP[];    /* text of -h, --help */
extern const char PAGE_VERSION[]; /* text of --version */

struct page_status {
    const char *status, *meaning;
};
extern const struct page_status PAGE_STATUS[]; /* ends with NULL */

#endif
