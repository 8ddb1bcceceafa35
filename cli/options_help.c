/* options_help.c - short usage and full help of a tool from its option table, for terminals of 80
 * columns, and the pieces that the man page and the completion share with them. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/options_page.h"

enum { COLUMNS = 80, WIDEST_LABEL = 28 };

const char PAGE_HELP[] = "-h prints the short usage, --help the full text, --help=man the manual "
                         "page, --help=bash the completion script";
const char PAGE_VERSION[] = "print name and version";

const struct page_status PAGE_STATUS[] = {
    {"0", "done"},
    {"1", "failed"},
    {"2", "wrong usage"},
    {"3", "finished, but some inputs were skipped; each was reported"},
    {"75", "stopped by a signal; run it again"},
    {NULL, NULL}};

void page_put_bytes(struct help_page *p, const char *text, size_t size) {
    if (p->rc == 0) {
        p->rc = bytes_append(p->out, text, size, p->e);
    }
}

void page_put(struct help_page *p, const char *text) {
    page_put_bytes(p, text, strlen(text));
}

void page_put_format(struct help_page *p, const char *format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= sizeof text) {
        p->rc = p->rc ? p->rc : error_set(p->e, ERR_LIMIT, "text of the help is too long");
        return;
    }
    page_put(p, text);
}

static void put_spaces(struct help_page *p, size_t count) {
    for (size_t i = 0; i < count; i++) {
        page_put(p, " ");
    }
}

void page_put_command(struct help_page *p) {
    const char *name = p->tool->name;
    bool verb = strncmp(name, "occ-", 4) == 0;
    page_put(p, verb ? "occ " : "");
    page_put(p, verb ? name + 4 : name);
}

/* Words of `text` from `column` on, further lines from `indent` on; ends with a newline. */
static void put_wrapped(struct help_page *p, size_t column, size_t indent, const char *text,
                        size_t size) {
    size_t at = 0;
    bool first = true;
    while (at < size) {
        size_t length = 0;
        while (at + length < size && strchr(" \n", text[at + length]) == NULL) {
            length++;
        }
        if (length > 0 && !first && column + 1 + length > COLUMNS - 1) {
            page_put(p, "\n");
            put_spaces(p, indent);
            column = indent;
            first = true;
        }
        if (length > 0) {
            page_put(p, first ? "" : " ");
            page_put_bytes(p, text + at, length);
            column += length + !first;
            first = false;
        }
        at += length + 1;
    }
    page_put(p, "\n");
}

bool page_next_paragraph(const char **text, const char **paragraph, size_t *size) {
    const char *start = *text + strspn(*text, "\n");
    const char *end = strstr(start, "\n\n");
    *size = end != NULL ? (size_t)(end - start) : strlen(start);
    *paragraph = start;
    *text = start + *size;
    while (*size > 0 && start[*size - 1] == '\n') {
        --*size;
    }
    return *size > 0;
}

/* --- what an option's text says beyond its help sentence --- */

static bool is_number(const struct option_spec *spec) {
    return spec->type == OPTION_INTEGER || spec->type == OPTION_SIZE ||
           spec->type == OPTION_DURATION;
}

/* Members of the "(...)" after the help sentence. */
static void put_detail(struct help_page *p, bool *any, const char *before, const char *text) {
    page_put(p, *any ? "; " : " (");
    page_put(p, before);
    page_put(p, text);
    *any = true;
}

static void put_limits(struct help_page *p, const struct option_spec *spec, bool *any) {
    char low[32];
    char high[32];
    int64_t maximum = options_maximum(spec);
    options_format(low, spec->type, spec->minimum);
    options_format(high, spec->type, maximum);
    if (maximum < INT64_MAX) {
        put_detail(p, any, "", low);
        page_put(p, " to ");
        page_put(p, high);
    } else if (spec->minimum > 0) {
        put_detail(p, any, "at least ", low);
    }
}

static void put_default(struct help_page *p, const struct option_spec *spec, bool *any) {
    const void *field = (const char *)p->values + spec->offset;
    char number[32];
    if (spec->type == OPTION_FLAG && *(const bool *)field) {
        put_detail(p, any, "default ", "on");
    } else if (spec->type == OPTION_TEXT && *(const char *const *)field != NULL) {
        put_detail(p, any, "default ", *(const char *const *)field);
    } else if (spec->type == OPTION_CHOICE) {
        int chosen = *(const int *)field;
        for (int i = 0; spec->choices[i] != NULL; i++) {
            if (i == chosen) {
                put_detail(p, any, "default ", spec->choices[i]);
            }
        }
    } else if (spec->type == OPTION_SHARE) {
        const int64_t *share = field;
        put_detail(p, any, "default ", "");
        page_put_format(p, "%lld/%lld", (long long)share[0], (long long)share[1]);
    } else if (is_number(spec)) {
        int64_t value = *(const int64_t *)field;
        if (value >= spec->minimum && value <= options_maximum(spec)) {
            options_format(number, spec->type, value);
            put_detail(p, any, "default ", number);
        }
    }
}

void page_put_option_text(struct help_page *p, const struct option_spec *spec) {
    bool any = false;
    page_put(p, spec->help);
    if (spec->type == OPTION_CHOICE) {
        put_detail(p, &any, "one of ", spec->choices[0]);
        for (int i = 1; spec->choices[0] != NULL && spec->choices[i] != NULL; i++) {
            page_put(p, ", ");
            page_put(p, spec->choices[i]);
        }
    }
    if (is_number(spec)) {
        put_limits(p, spec, &any);
    }
    put_default(p, spec, &any);
    if (spec->environment != NULL) {
        put_detail(p, &any, "environment ", spec->environment);
    }
    page_put(p, any ? ")" : "");
}

bool page_shows_negation(const struct help_page *p, const struct option_spec *spec) {
    const void *field = (const char *)p->values + spec->offset;
    return spec->type == OPTION_SWITCH ||
           (spec->type == OPTION_FLAG && (spec->environment != NULL || *(const bool *)field));
}

/* --- short usage and help --- */

static void put_label(struct help_page *p, const struct option_spec *spec) {
    if (spec->letter) {
        page_put_format(p, "  -%c, --", spec->letter);
    } else {
        page_put(p, "      --");
    }
    page_put(p, page_shows_negation(p, spec) ? "[no-]" : "");
    page_put(p, spec->name);
    if (spec->argument != NULL) {
        page_put(p, "=");
        page_put(p, spec->argument);
    }
}

/* Fills up the line that began at byte `start` of the page to `column`, then wraps `text`. */
static void put_after_label(struct help_page *p, size_t start, size_t column, const char *text,
                            size_t size) {
    size_t used = p->out->size - start;
    if (used + 2 > column) {
        page_put(p, "\n");
        used = 0;
    }
    put_spaces(p, column - used);
    put_wrapped(p, column, column, text, size);
}

static size_t label_column(struct help_page *p) {
    size_t widest = strlen("  -h, --help[=FORM]");
    struct bytes label;
    bytes_init(&label, COLUMNS);
    struct help_page scratch = {.out = &label, .tool = p->tool, .values = p->values};
    for (const struct option_spec *s = p->tool->options; s->name != NULL; s++) {
        bytes_clear(&label);
        scratch.rc = 0; /* a label too long to fit is none to align with */
        if (s->name[0]) {
            put_label(&scratch, s);
        }
        if (scratch.rc == 0 && label.size > widest && label.size <= WIDEST_LABEL) {
            widest = label.size;
        }
    }
    bytes_close(&label);
    return widest + 2;
}

static void put_options(struct help_page *p, bool with_details) {
    size_t column = label_column(p);
    struct bytes text;
    bytes_init(&text, 1 << 16);
    struct help_page detailed = {.out = &text, .e = p->e, .tool = p->tool, .values = p->values};
    if (p->tool->options->name == NULL || p->tool->options->name[0]) {
        page_put(p, "\nOptions:\n");
    }
    for (const struct option_spec *s = p->tool->options; s->name != NULL; s++) {
        if (!s->name[0]) {
            page_put_format(p, "\n%s:\n", s->help);
            continue;
        }
        bytes_clear(&text);
        if (with_details) {
            page_put_option_text(&detailed, s);
        } else {
            page_put(&detailed, s->help);
        }
        size_t start = p->out->size;
        put_label(p, s);
        put_after_label(p, start, column, bytes_text(&text), text.size);
    }
    size_t start = p->out->size;
    page_put(p, "  -h, --help[=FORM]");
    put_after_label(p, start, column, PAGE_HELP, strlen(PAGE_HELP));
    start = p->out->size;
    page_put(p, "      --version");
    put_after_label(p, start, column, PAGE_VERSION, strlen(PAGE_VERSION));
    p->rc = p->rc ? p->rc : detailed.rc;
    bytes_close(&text);
}

/* Lines of the examples as they are, two columns further in. */
static void put_examples(struct help_page *p, const char *text) {
    page_put(p, "\nExamples:\n");
    while (*text) {
        size_t length = strcspn(text, "\n");
        page_put(p, length > 0 ? "  " : "");
        page_put_bytes(p, text, length);
        page_put(p, "\n");
        text += length + (text[length] == '\n');
    }
}

static void put_usage(struct help_page *p) {
    page_put(p, "Usage: ");
    page_put_command(p);
    page_put(p, " [OPTION...]");
    if (p->tool->operands != NULL) {
        page_put_format(p, " %s", p->tool->operands);
    }
    page_put(p, "\n\n");
    put_wrapped(p, 0, 0, p->tool->summary, strlen(p->tool->summary));
}

static void put_short(struct help_page *p) {
    put_usage(p);
    put_options(p, false);
    page_put(p, "\nThe full text: ");
    page_put_command(p);
    page_put(p, " --help\n");
}

static void put_full(struct help_page *p) {
    put_usage(p);
    const char *rest = p->tool->description != NULL ? p->tool->description : "";
    const char *paragraph = NULL;
    size_t size = 0;
    while (page_next_paragraph(&rest, &paragraph, &size)) {
        page_put(p, "\n");
        if (paragraph[0] == ' ') {
            page_put_bytes(p, paragraph, size);
            page_put(p, "\n");
        } else {
            put_wrapped(p, 0, 0, paragraph, size);
        }
    }
    put_options(p, true);
    if (p->tool->examples != NULL) {
        put_examples(p, p->tool->examples);
    }
    page_put(p, "\nExit status:\n");
    for (const struct page_status *s = PAGE_STATUS; s->status != NULL; s++) {
        page_put_format(p, "  %-4s%s\n", s->status, s->meaning);
    }
}

int options_help(struct bytes *out, const struct tool *tool, const void *values,
                 enum options_form form, struct error *e) {
    struct help_page page = {.out = out, .e = e, .tool = tool, .values = values};
    switch (form) {
    case OPTIONS_SHORT:
        put_short(&page);
        break;
    case OPTIONS_FULL:
        put_full(&page);
        break;
    case OPTIONS_MAN:
        page_put_man(&page);
        break;
    case OPTIONS_BASH:
        page_put_bash(&page);
        break;
    }
    return page.rc;
}
