/* options.c - the command line and the environment against a tool's option table.
 *
 * One iterator (walk_next) splits argv into operands and options with their values. It runs first
 * to look for -h, --help and --version, so that the defaults in their texts are the program's own,
 * and then to store the values; and once more for each environment variable that is set, which is
 * not even read when the command line gives the option. Values are read in options_value.c. */
#include "cli/options.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const LOG_STYLES[] = {"text", "json", NULL};

static const struct option_spec HELP = {.name = "help", .letter = 'h', .argument = "FORM"};
static const struct option_spec VERSION = {.name = "version"};

struct option_walk {
    const struct tool *tool;
    int argc;
    char **argv;
    int index;          /* of the next argument to look at */
    char *bundle;       /* letters still to come of "-qvv"; NULL or "" between arguments */
    bool operands_only; /* "--" was seen */
};

struct item {
    const struct option_spec *spec; /* NULL: an operand */
    char *text;                     /* the operand or the value; NULL: no value */
    bool negated;                   /* --no-name */
    bool by_letter;
};

static bool same_word(const char *name, const char *typed, size_t length) {
    return strlen(name) == length && memcmp(name, typed, length) == 0;
}

static bool can_be_negated(const struct option_spec *spec) {
    return spec->type == OPTION_FLAG || spec->type == OPTION_SWITCH;
}

static const struct option_spec *find_name(const struct tool *tool, const char *typed,
                                           size_t length, bool *negated) {
    bool no = length > 3 && memcmp(typed, "no-", 3) == 0;
    *negated = false;
    if (same_word(HELP.name, typed, length)) {
        return &HELP;
    }
    if (same_word(VERSION.name, typed, length)) {
        return &VERSION;
    }
    for (const struct option_spec *s = tool->options; length > 0 && s->name != NULL; s++) {
        *negated = no && can_be_negated(s) && same_word(s->name, typed + 3, length - 3);
        if (*negated || same_word(s->name, typed, length)) {
            return s;
        }
    }
    return NULL;
}

static const struct option_spec *find_letter(const struct tool *tool, char letter) {
    if (letter == HELP.letter) {
        return &HELP;
    }
    for (const struct option_spec *s = tool->options; s->name != NULL; s++) {
        if (s->letter == letter) {
            return s;
        }
    }
    return NULL;
}

/* What a table must keep to; a breach is a mistake in the program. */
static bool table_is_sound(const struct tool *tool) {
    bool sound = true;
    for (const struct option_spec *s = tool->options; s->name != NULL; s++) {
        bool negated = false;
        if (!s->name[0]) {
            sound = sound && s->help != NULL;
            continue;
        }
        sound = sound && s->help != NULL && options_takes_value(s) == (s->argument != NULL);
        sound = sound && find_name(tool, s->name, strlen(s->name), &negated) == s;
        sound = sound && (!s->letter || find_letter(tool, s->letter) == s);
        sound = sound && (s->type != OPTION_CHOICE || s->choices != NULL);
    }
    return sound;
}

size_t options_distance(const char *typed, size_t length, const char *name) {
    enum { LONGEST = 32 };
    size_t edits[LONGEST + 1][LONGEST + 1]; /* between the first i of typed and j of name */
    size_t name_length = strlen(name);
    size_t limit = length < 8 ? (length + 1) / 3 : 3;
    if (length > LONGEST || name_length > LONGEST) {
        return SIZE_MAX;
    }
    if (length >= 2 && length <= name_length && memcmp(typed, name, length) == 0) {
        return 0;
    }
    for (size_t i = 0; i <= length; i++) {
        for (size_t j = 0; j <= name_length; j++) {
            if (i == 0 || j == 0) {
                edits[i][j] = i + j;
                continue;
            }
            size_t best = edits[i - 1][j - 1] + (typed[i - 1] != name[j - 1]);
            best = edits[i - 1][j] + 1 < best ? edits[i - 1][j] + 1 : best;
            best = edits[i][j - 1] + 1 < best ? edits[i][j - 1] + 1 : best;
            bool swapped =
                i > 1 && j > 1 && typed[i - 1] == name[j - 2] && typed[i - 2] == name[j - 1];
            if (swapped && edits[i - 2][j - 2] + 1 < best) {
                best = edits[i - 2][j - 2] + 1;
            }
            edits[i][j] = best;
        }
    }
    return edits[length][name_length] <= limit ? edits[length][name_length] : SIZE_MAX;
}

/* `typed` begins with its dashes; a single dash may have been meant as two ("-quiet"). */
static int unknown_option(const struct tool *tool, const char *typed, struct error *e) {
    const char *word = typed + strspn(typed, "-");
    size_t length = strcspn(word, "=");
    const char *dashes = "--";
    bool no = length > 3 && memcmp(word, "no-", 3) == 0;
    const char *nearest = NULL;
    size_t least = SIZE_MAX;
    for (const struct option_spec *s = tool->options; s->name != NULL; s++) {
        size_t distance = options_distance(word, length, s->name);
        bool negated = no && can_be_negated(s);
        if (negated) {
            distance = options_distance(word + 3, length - 3, s->name);
        }
        if (s->name[0] && distance < least) {
            least = distance;
            nearest = s->name;
            dashes = negated ? "--no-" : "--";
        }
    }
    int shown = typed[1] == '-' ? (int)(word - typed + (ptrdiff_t)length) : 2;
    if (nearest == NULL || (shown == 2 && length < 3)) {
        return error_set(e, ERR_USAGE, "unknown option '%.*s'", shown, typed);
    }
    return error_set(e, ERR_USAGE, "unknown option '%.*s' (did you mean '%s%s'?)", shown, typed,
                     dashes, nearest);
}

static int take_next_argument(struct option_walk *w, struct item *item, struct error *e) {
    if (w->index < w->argc) {
        item->text = w->argv[w->index++];
        return 1;
    }
    const struct option_spec *spec = item->spec;
    if (item->by_letter) {
        return error_set(e, ERR_USAGE, "-%c: the value (%s) is missing", spec->letter,
                         spec->argument);
    }
    return error_set(e, ERR_USAGE, "--%s: the value (%s) is missing", spec->name, spec->argument);
}

static int walk_letter(struct option_walk *w, struct item *item, struct error *e) {
    item->by_letter = true;
    item->spec = find_letter(w->tool, *w->bundle);
    if (item->spec == NULL) {
        bool first = w->bundle - 1 == w->argv[w->index - 1];
        char alone[] = {'-', *w->bundle, 0};
        return unknown_option(w->tool, first ? w->bundle - 1 : alone, e);
    }
    w->bundle++;
    if (!options_takes_value(item->spec)) {
        return 1;
    }
    if (!*w->bundle) {
        return take_next_argument(w, item, e);
    }
    item->text = w->bundle;
    w->bundle = NULL;
    return 1;
}

static int walk_long(struct option_walk *w, char *typed, struct item *item, struct error *e) {
    size_t length = strcspn(typed, "=");
    item->spec = find_name(w->tool, typed, length, &item->negated);
    if (item->spec == NULL) {
        return unknown_option(w->tool, typed - 2, e);
    }
    item->text = typed[length] ? typed + length + 1 : NULL;
    if (item->text != NULL && !options_takes_value(item->spec) && item->spec != &HELP) {
        return error_set(e, ERR_USAGE, "--%.*s: takes no value", (int)length, typed);
    }
    if (item->text == NULL && options_takes_value(item->spec)) {
        return take_next_argument(w, item, e);
    }
    return 1;
}

/* The next option or operand: 1, or 0 at the end, or negative with text. */
static int walk_next(struct option_walk *w, struct item *item, struct error *e) {
    *item = (struct item){0};
    if (w->bundle != NULL && *w->bundle) {
        return walk_letter(w, item, e);
    }
    if (w->index < w->argc && !w->operands_only && strcmp(w->argv[w->index], "--") == 0) {
        w->operands_only = true;
        w->index++;
    }
    if (w->index >= w->argc) {
        return 0;
    }
    char *text = w->argv[w->index++];
    if (w->operands_only || text[0] != '-' || !text[1]) {
        item->text = text; /* "-" alone is an operand: stdin */
        return 1;
    }
    if (text[1] == '-') {
        return walk_long(w, text + 2, item, e);
    }
    w->bundle = text + 1;
    return walk_letter(w, item, e);
}

/* Looks for the first item that is `wanted`, or that asks for help or the version where `wanted` is
 * NULL: 1 found, 0 not found. */
static int find_item(struct option_walk w, const struct option_spec *wanted, struct item *item,
                     struct error *e) {
    for (;;) {
        int rc = walk_next(&w, item, e);
        if (rc <= 0) {
            return rc;
        }
        bool request = item->spec == &HELP || item->spec == &VERSION;
        if (wanted != NULL ? item->spec == wanted : request) {
            return 1;
        }
    }
}

static int answer(const struct tool *tool, const void *values, const struct item *request,
                  struct error *e) {
    struct bytes text;
    bytes_init(&text, 1 << 20);
    int rc = 0;
    if (request->spec == &VERSION) {
        rc = bytes_printf(&text, e, "%s %s\n", tool->name, OCC_VERSION);
    } else if (request->by_letter) {
        rc = options_help(&text, tool, values, OPTIONS_SHORT, e);
    } else if (request->text == NULL) {
        rc = options_help(&text, tool, values, OPTIONS_FULL, e);
    } else if (strcmp(request->text, "man") == 0) {
        rc = options_help(&text, tool, values, OPTIONS_MAN, e);
    } else if (strcmp(request->text, "bash") == 0) {
        rc = options_help(&text, tool, values, OPTIONS_BASH, e);
    } else {
        rc = error_set(e, ERR_USAGE, "--help: '%s' is not one of man, bash", request->text);
    }
    if (rc == 0) {
        rc = options_print(bytes_text(&text), e);
    }
    bytes_close(&text);
    return rc;
}

/* Whether `word` is one of a list with a space between them. */
static bool is_listed(const char *list, const char *word) {
    const size_t length = strlen(word);
    for (const char *at = list; *at; at += strspn(at, " ")) {
        const size_t size = strcspn(at, " ");
        if (size == length && memcmp(at, word, length) == 0) {
            return true;
        }
        at += size;
    }
    return false;
}

/* What the command does not take would do nothing. */
static int check_commands(const struct option_walk *start, struct error *e) {
    const char *command = NULL;
    struct option_walk w = *start;
    struct item item;
    int rc = walk_next(&w, &item, e);
    for (; rc > 0 && command == NULL; rc = walk_next(&w, &item, e)) {
        command = item.spec == NULL ? item.text : NULL;
    }
    w = *start;
    for (rc = command != NULL ? walk_next(&w, &item, e) : 0; rc > 0; rc = walk_next(&w, &item, e)) {
        const struct option_spec *s = item.spec;
        if (s != NULL && s->commands != NULL && !is_listed(s->commands, command)) {
            return error_set(e, ERR_USAGE, "%.40s takes no --%s", command, s->name);
        }
    }
    return rc;
}

static int apply_environment(const struct option_walk *start, void *values, struct error *e) {
    for (const struct option_spec *s = start->tool->options; s->name != NULL; s++) {
        const char *text = s->environment != NULL ? getenv(s->environment) : NULL;
        if (text == NULL || !*text) {
            continue;
        }
        struct item item;
        int rc = find_item(*start, s, &item, e);
        if (rc == 0) {
            rc = options_read(s, text, values, e);
            if (rc < 0) {
                error_context(e, "environment variable %s", s->environment);
            }
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int apply_option(const struct item *item, void *values, struct error *e) {
    const struct option_spec *spec = item->spec;
    void *field = (char *)values + spec->offset;
    if (spec->type == OPTION_FLAG) {
        *(bool *)field = !item->negated;
        return 0;
    }
    if (spec->type == OPTION_SWITCH) {
        *(int *)field = !item->negated;
        return 0;
    }
    if (spec->type == OPTION_COUNT) {
        int *count = field;
        *count += *count < INT_MAX;
        return 0;
    }
    int rc = options_read(spec, item->text, values, e);
    if (rc < 0 && item->by_letter) {
        error_context(e, "-%c", spec->letter);
    } else if (rc < 0) {
        error_context(e, "--%s", spec->name);
    }
    return rc;
}

static int apply_command_line(struct option_walk w, void *values, int *operand_count,
                              struct error *e) {
    int count = 0;
    for (;;) {
        struct item item;
        int rc = walk_next(&w, &item, e);
        if (rc > 0 && item.spec != NULL) {
            rc = apply_option(&item, values, e);
        } else if (rc > 0 && w.tool->operands == NULL) {
            rc = error_set(e, ERR_USAGE, "unexpected argument '%s'", item.text);
        } else if (rc > 0) {
            w.argv[1 + count++] = item.text; /* never in front of what was read already */
        } else {
            if (rc == 0 && w.argc > 0) {
                w.argv[1 + count] = NULL;
            }
            *operand_count = count;
            return rc;
        }
        if (rc < 0) {
            return rc;
        }
    }
}

int options_parse(const struct tool *tool, int argc, char **argv, void *values, int *operand_count,
                  struct error *e) {
    bool sound = table_is_sound(tool);
    assert(sound);
    (void)sound;
    const struct option_walk start = {.tool = tool, .argc = argc, .argv = argv, .index = 1};
    struct item request;
    int rc = find_item(start, NULL, &request, e);
    if (rc < 0) {
        return rc;
    }
    if (rc > 0) {
        rc = answer(tool, values, &request, e);
        return rc < 0 ? rc : OPTIONS_DONE;
    }
    *operand_count = 0;
    rc = check_commands(&start, e);
    if (rc == 0) {
        rc = apply_environment(&start, values, e);
    }
    if (rc == 0) {
        rc = apply_command_line(start, values, operand_count, e);
    }
    return rc < 0 ? rc : OPTIONS_RUN;
}

int options_print(const char *text, struct error *e) {
    int failure = fputs(text, stdout) < 0 ? errno : 0;
    if (fclose(stdout) != 0 && failure == 0) {
        failure = errno;
    }
    return failure ? error_errno(e, failure, "standard output") : 0;
}

int options_usage_error(const struct tool *tool, const struct error *e) {
    const char *verb = strncmp(tool->name, "occ-", 4) == 0 ? tool->name + 4 : "";
    fprintf(stderr, "%s: %s\n", tool->name, e->text);
    if (e->code != ERR_USAGE) {
        return 1;
    }
    fprintf(stderr, "Try 'occ %s%s--help'.\n", verb, *verb ? " " : "");
    return 2;
}
