/* options_man.c - the man page of a tool from its option table. Texts are escaped here and only
 * here, so that tables hold plain text. */
#include <ctype.h>
#include <string.h>

#include "cli/options_page.h"

/* Text with everything that roff reads as a request, an escape or a typographic character turned
 * into what a reader can copy from the page and paste into a shell. */
static void put_escaped(struct help_page *p, const char *text, size_t size) {
    static const struct {
        char plain;
        const char *roff;
    } ESCAPES[] = {{'\\', "\\e"},  {'-', "\\-"},   {'\'', "\\(aq"},
                   {'`', "\\(ga"}, {'~', "\\(ti"}, {'^', "\\(ha"}};
    for (size_t i = 0; i < size; i++) {
        const char *escaped = NULL;
        for (size_t k = 0; k < sizeof ESCAPES / sizeof *ESCAPES; k++) {
            escaped = text[i] == ESCAPES[k].plain ? ESCAPES[k].roff : escaped;
        }
        const struct bytes *out = p->out;
        bool line_start = out->size > 0 && out->data[out->size - 1] == '\n';
        page_put(p, line_start && text[i] == '.' ? "\\&" : "");
        if (escaped != NULL) {
            page_put(p, escaped);
        } else {
            page_put_bytes(p, text + i, 1);
        }
    }
}

static void put_text(struct help_page *p, const char *text) {
    put_escaped(p, text, strlen(text));
}

static void put_heading(struct help_page *p) {
    page_put(p, ".TH ");
    for (const char *c = p->tool->name; *c; c++) {
        char upper = (char)toupper((unsigned char)*c);
        page_put_bytes(p, &upper, 1);
    }
    page_put_format(p, " 1 \"\" \"occ %s\" \"occ manual\"\n.SH NAME\n", OCC_VERSION);
    put_text(p, p->tool->name);
    page_put(p, " \\- ");
    put_text(p, p->tool->summary);
    page_put(p, "\n.SH SYNOPSIS\n.B ");
    page_put_command(p);
    page_put(p, "\n[\\fIOPTION\\fR...]\n");
    if (p->tool->operands != NULL) {
        put_text(p, p->tool->operands);
        page_put(p, "\n");
    }
}

static void put_description(struct help_page *p) {
    const char *rest = p->tool->description != NULL ? p->tool->description : p->tool->summary;
    const char *paragraph = NULL;
    size_t size = 0;
    page_put(p, ".SH DESCRIPTION\n");
    for (bool first = true; page_next_paragraph(&rest, &paragraph, &size); first = false) {
        bool verbatim = paragraph[0] == ' ';
        page_put(p, first ? "" : ".PP\n");
        page_put(p, verbatim ? ".nf\n" : "");
        put_escaped(p, paragraph, size);
        page_put(p, verbatim ? "\n.fi\n" : "\n");
    }
}

static void put_option(struct help_page *p, const struct option_spec *spec) {
    page_put(p, ".TP\n");
    if (spec->letter) {
        page_put_format(p, "\\fB\\-%c\\fR, ", spec->letter);
    }
    page_put(p, page_shows_negation(p, spec) ? "\\fB\\-\\-\\fR[\\fBno\\-\\fR]\\fB" : "\\fB\\-\\-");
    put_text(p, spec->name);
    page_put(p, "\\fR");
    if (spec->argument != NULL) {
        page_put(p, "=\\fI");
        put_text(p, spec->argument);
        page_put(p, "\\fR");
    }
    page_put(p, "\n");
    struct bytes text;
    bytes_init(&text, 1 << 16);
    struct help_page plain = {.out = &text, .e = p->e, .tool = p->tool, .values = p->values};
    page_put_option_text(&plain, spec);
    put_escaped(p, bytes_text(&text), text.size);
    page_put(p, "\n");
    p->rc = p->rc ? p->rc : plain.rc;
    bytes_close(&text);
}

static void put_options(struct help_page *p) {
    page_put(p, ".SH OPTIONS\n");
    for (const struct option_spec *s = p->tool->options; s->name != NULL; s++) {
        if (s->name[0]) {
            put_option(p, s);
        } else {
            page_put(p, ".SS ");
            put_text(p, s->help);
            page_put(p, "\n");
        }
    }
    page_put(p, ".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR[=\\fIFORM\\fR]\n");
    put_text(p, PAGE_HELP);
    page_put(p, "\n.TP\n\\fB\\-\\-version\\fR\n");
    put_text(p, PAGE_VERSION);
    page_put(p, "\n.PP\nOf an option given more than once the last counts; \\fB\\-\\-\\fR ends the "
                "options.\n");
}

static void put_environment(struct help_page *p) {
    bool any = false;
    for (const struct option_spec *s = p->tool->options; s->name != NULL; s++) {
        if (s->environment == NULL) {
            continue;
        }
        page_put(p, any ? "" : ".SH ENVIRONMENT\n");
        any = true;
        page_put(p, ".TP\n\\fB");
        put_text(p, s->environment);
        page_put(p, "\\fR\nused where \\fB\\-\\-");
        put_text(p, s->name);
        page_put(p, "\\fR is not given\n");
    }
}

/* Commands stand in the first column, what they do is indented; each is a block of its own. */
static void put_examples(struct help_page *p, const char *text) {
    enum { NONE, COMMAND, MEANING } block = NONE, next;
    static const char *const OPEN[] = {"", ".PP\n.nf\n", ".RS 4\n"};
    static const char *const CLOSE[] = {"", ".fi\n", ".RE\n"};
    page_put(p, ".SH EXAMPLES\n");
    while (*text) {
        size_t length = strcspn(text, "\n");
        next = length == 0 ? NONE : *text == ' ' ? MEANING : COMMAND;
        if (next != block) {
            page_put(p, CLOSE[block]);
            page_put(p, OPEN[next]);
            block = next;
        }
        size_t blank = next == MEANING ? strspn(text, " ") : 0;
        if (length > blank) {
            put_escaped(p, text + blank, length - blank);
            page_put(p, "\n");
        }
        text += length + (text[length] == '\n');
    }
    page_put(p, CLOSE[block]);
}

void page_put_man(struct help_page *p) {
    put_heading(p);
    put_description(p);
    put_options(p);
    put_environment(p);
    if (p->tool->examples != NULL) {
        put_examples(p, p->tool->examples);
    }
    page_put(p, ".SH EXIT STATUS\n");
    for (const struct page_status *s = PAGE_STATUS; s->status != NULL; s++) {
        page_put_format(p, ".TP\n%s\n", s->status);
        put_text(p, s->meaning);
        page_put(p, "\n");
    }
    page_put(p, ".SH SEE ALSO\n");
    page_put(p, strcmp(p->tool->name, "occ") == 0 ? "\\fBocc help\\fR \\fIVERB\\fR\n"
                                                  : "\\fBocc\\fR(1)\n");
}
