/* options_bash.c - the bash completion of a tool from its option table: a function _occ_VERB, which
 * needs nothing of the bash-completion package. Where it has nothing to say bash goes on to
 * complete file names (complete -o default). */
#include <string.h>

#include "cli/options_page.h"

static void put_function_name(struct help_page *p) {
    page_put(p, "_");
    for (const char *c = p->tool->name; *c; c++) {
        page_put_bytes(p, *c == '-' ? "_" : c, 1);
    }
}

/* What may follow an option that takes a value. */
static void put_values(struct help_page *p, const struct option_spec *spec) {
    page_put(p, "    --");
    page_put(p, spec->name);
    if (spec->letter) {
        page_put_format(p, " | -%c", spec->letter);
    }
    page_put(p, ")\n");
    if (spec->choices != NULL) {
        page_put(p, "        mapfile -t COMPREPLY < <(compgen -W '");
        for (int i = 0; spec->choices[i] != NULL; i++) {
            page_put(p, i ? " " : "");
            page_put(p, spec->choices[i]);
        }
        page_put(p, "' -- \"$cur\")\n");
    } else if (strstr(spec->argument, "FOLDER") != NULL) {
        page_put(p, "        compopt -o filenames 2>/dev/null\n"
                    "        mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")\n");
    } else if (strstr(spec->argument, "FILE") == NULL && strstr(spec->argument, "PATH") == NULL) {
        page_put(p, "        compopt +o default 2>/dev/null\n");
    }
    page_put(p, "        return\n        ;;\n");
}

/* All long options as one word list. */
static void put_names(struct help_page *p) {
    for (const struct option_spec *s = p->tool->options; s->name != NULL; s++) {
        if (!s->name[0]) {
            continue;
        }
        page_put(p, "--");
        page_put(p, s->name);
        page_put(p, " ");
        if (page_shows_negation(p, s)) {
            page_put(p, "--no-");
            page_put(p, s->name);
            page_put(p, " ");
        }
    }
    page_put(p, "--help --version");
}

void page_put_bash(struct help_page *p) {
    page_put(p, "# bash completion of ");
    page_put(p, p->tool->name);
    page_put(p, "\n");
    put_function_name(p);
    page_put(p, "() {\n"
                "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
                "    # bash makes three words of --name=value\n"
                "    if [[ $cur == '=' ]]; then\n"
                "        cur=''\n"
                "    elif [[ $prev == '=' ]]; then\n"
                "        prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
                "    fi\n"
                "    COMPREPLY=()\n"
                "    case $prev in\n");
    for (const struct option_spec *s = p->tool->options; s->name != NULL; s++) {
        if (s->name[0] && options_takes_value(s)) {
            put_values(p, s);
        }
    }
    page_put(p, "    esac\n"
                "    if [[ $cur == -* ]]; then\n"
                "        mapfile -t COMPREPLY < <(compgen -W '");
    put_names(p);
    page_put(p, "' -- \"$cur\")\n    fi\n}\ncomplete -o default -F ");
    put_function_name(p);
    page_put(p, " ");
    page_put(p, p->tool->name);
    page_put(p, "\n");
}
