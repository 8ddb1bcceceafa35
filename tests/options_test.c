/* options_test.c - what a command line means: a tool with one option of each type. */
#include "cli/options.h"

#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test.h"

struct settings {
    int64_t thumbs, memory, wait_ms, limit, share[2];
    const char *output;
    struct option_list texts;
    int mode, verbose, progress;
    bool json, sound;
};

static const struct settings DEFAULTS = {.thumbs = 8,
                                         .memory = 64 << 20,
                                         .wait_ms = 90 * 1000,
                                         .limit = -1,
                                         .share = {0, 1},
                                         .mode = 1,
                                         .progress = -1,
                                         .sound = true};

static const char *const MODES[] = {"tiny", "base", "hifi", NULL};

#define FIELD(name) offsetof(struct settings, name)
static const struct option_spec OPTIONS[] = {
    {"", .help = "What to take"},
    {"thumbs", 'n', OPTION_INTEGER, FIELD(thumbs), "N", .help = "thumbnails per clip",
     .environment = "TEST_THUMBS", .maximum = 64},
    {"mode", 'm', OPTION_CHOICE, FIELD(mode), "MODE", .help = "size of a page", .choices = MODES},
    {"sound", 0, OPTION_FLAG, FIELD(sound), .help = "read the sound"},
    {"", .help = "How to work"},
    {"memory", 0, OPTION_SIZE, FIELD(memory), "SIZE", .help = "memory for frames", .minimum = 1024,
     .maximum = INT64_C(1) << 40},
    {"wait", 0, OPTION_DURATION, FIELD(wait_ms), "TIME",
     .help = "how long to wait for a slow disk"},
    {"limit", 0, OPTION_INTEGER, FIELD(limit), "N", .help = "stop after so many samples",
     .minimum = 1},
    {"share", 0, OPTION_SHARE, FIELD(share), "I/N", .help = "do only this share of the work"},
    {"text", 0, OPTION_LIST, FIELD(texts), "FILE", .help = "what to say"},
    {"output", 'o', OPTION_TEXT, FIELD(output), "FILE", .help = "where to write",
     .environment = "TEST_OUTPUT"},
    {"json", 'j', OPTION_FLAG, FIELD(json), .help = "one JSON object a line",
     .environment = "TEST_JSON"},
    {"verbose", 'v', OPTION_COUNT, FIELD(verbose), .help = "say more",
     .environment = "TEST_VERBOSE"},
    {"progress", 0, OPTION_SWITCH, FIELD(progress), .help = "show a progress bar"},
    {0}};

static const struct tool TOOL = {
    .name = "occ-sample",
    .summary = "clips to thumbnails",
    .operands = "[PATH...]",
    .description = "First paragraph, on two lines of the source but long enough to be wrapped at\n"
                   "the 80 columns of a terminal.\n\n  kept   as it is\n\n.TH is no request, nor "
                   "is 'this' or C:\\n.",
    .examples = "occ sample a.mp4\n    one clip\nocc sample -n 3 b\n    three of b\n",
    .options = OPTIONS};

enum { ARGUMENTS = 16 };

/* One command line and what came of it. */
static struct {
    struct settings settings;
    char *argv[ARGUMENTS + 1];
    int operand_count;
    struct error e;
} parsed;

/* Parses the words of `line`, which are separated by single spaces. */
static int parse(const struct tool *tool, const char *line) {
    static char words[256];
    char *rest = words;
    int argc = 0;
    snprintf(words, sizeof words, "occ-sample %s", line);
    memset(parsed.argv, 0, sizeof parsed.argv);
    while (*rest && argc < ARGUMENTS) {
        size_t length = strcspn(rest, " ");
        parsed.argv[argc++] = rest;
        rest += length;
        if (*rest) {
            *rest++ = 0;
        }
    }
    parsed.settings = DEFAULTS;
    parsed.operand_count = -1;
    parsed.e = (struct error){0};
    return options_parse(tool, argc, parsed.argv, &parsed.settings, &parsed.operand_count,
                         &parsed.e);
}

static const struct settings *accept(const char *line) {
    int rc = parse(&TOOL, line);
    if (!CHECK(rc == OPTIONS_RUN)) {
        printf("# %s: %s\n", line, parsed.e.text);
    }
    return &parsed.settings;
}

/* The text with which a command line is refused; "" when it is not. */
static const char *refuse(const char *line) {
    CHECK_NUMBER(parse(&TOOL, line), ERR_USAGE);
    CHECK_NUMBER(parsed.e.code, parsed.e.text[0] ? ERR_USAGE : 0);
    return parsed.e.text;
}

static void defaults_stay_without_options(void) {
    const struct settings *s = accept("");
    CHECK(memcmp(s, &DEFAULTS, sizeof *s) == 0);
    CHECK_NUMBER(parsed.operand_count, 0);
}

static void values_follow_in_every_spelling(void) {
    CHECK_NUMBER(accept("--thumbs=3")->thumbs, 3);
    CHECK_NUMBER(accept("--thumbs 3")->thumbs, 3);
    CHECK_NUMBER(accept("-n3")->thumbs, 3);
    CHECK_NUMBER(accept("-n 3")->thumbs, 3);
    CHECK_TEXT(accept("--output=")->output, "");
    CHECK_TEXT(accept("--output=a=b")->output, "a=b");
    CHECK_TEXT(accept("-o -")->output, "-");
    CHECK_TEXT(accept("-o --json")->output, "--json");
}

static void letters_can_be_bundled(void) {
    const struct settings *s = accept("-jvvn5");
    CHECK(s->json);
    CHECK_NUMBER(s->verbose, 2);
    CHECK_NUMBER(s->thumbs, 5);
    CHECK_NUMBER(accept("-vjn 6")->thumbs, 6);
}

static void flags_can_be_taken_back(void) {
    CHECK(accept("--json")->json);
    CHECK(!accept("--json --no-json")->json);
    CHECK(accept("--no-json --json")->json);
    CHECK(!accept("--no-sound")->sound);
}

static void a_switch_knows_three_states(void) {
    CHECK_NUMBER(accept("")->progress, -1);
    CHECK_NUMBER(accept("--progress")->progress, 1);
    CHECK_NUMBER(accept("--no-progress")->progress, 0);
}

static void the_last_of_repeated_options_wins(void) {
    CHECK_NUMBER(accept("-n3 --thumbs=4 -n 5")->thumbs, 5);
    CHECK_NUMBER(accept("--mode tiny -m hifi")->mode, 2);
}

static void lists_take_one_more_each_time(void) {
    const struct settings *s = accept("--text a=b x --text=- --text=");
    CHECK_NUMBER(s->texts.count, 3);
    CHECK_TEXT(s->texts.texts[0], "a=b");
    CHECK_TEXT(s->texts.texts[1], "-");
    CHECK_TEXT(s->texts.texts[2], "");
    CHECK_NUMBER(parsed.operand_count, 1);
    struct settings full = {.texts = {.count = OPTION_LIST_MOST}};
    struct error e;
    for (const struct option_spec *o = OPTIONS; o->name != NULL; o++) {
        if (o->type == OPTION_LIST) {
            CHECK_NUMBER(options_read(o, "one more", &full, &e), ERR_USAGE);
            CHECK_TEXT(e.text, "more than 64 of them");
        }
    }
    CHECK_NUMBER(full.texts.count, OPTION_LIST_MOST);
}

static void operands_come_to_the_front(void) {
    accept("a --thumbs 3 b -j - c");
    CHECK_NUMBER(parsed.operand_count, 4);
    CHECK_TEXT(parsed.argv[1], "a");
    CHECK_TEXT(parsed.argv[3], "-");
    CHECK_TEXT(parsed.argv[4], "c");
    CHECK(parsed.argv[5] == NULL);
}

static void two_dashes_end_the_options(void) {
    const struct settings *s = accept("-j -- --thumbs -x --");
    CHECK(s->json);
    CHECK_NUMBER(parsed.operand_count, 3);
    CHECK_TEXT(parsed.argv[1], "--thumbs");
    CHECK_TEXT(parsed.argv[2], "-x");
    CHECK_TEXT(parsed.argv[3], "--");
}

static void operands_are_refused_by_a_tool_without(void) {
    struct tool tool = TOOL;
    tool.operands = NULL;
    CHECK_NUMBER(parse(&tool, "-j x"), ERR_USAGE);
    CHECK_TEXT(parsed.e.text, "unexpected argument 'x'");
}

static void a_command_refuses_what_others_take(void) {
    static const struct option_spec ROWS[] = {
        {"thumbs", 'n', OPTION_INTEGER, FIELD(thumbs), "N", .help = "x", .commands = "cut paste"},
        {"sound", 0, OPTION_FLAG, FIELD(sound), .help = "x", .commands = "paste"},
        {"json", 'j', OPTION_FLAG, FIELD(json), .help = "x"},
        {0}};
    static const struct tool COMMANDS = {
        .name = "occ-sample", .summary = "x", .operands = "COMMAND", .options = ROWS};
    static const struct {
        const char *words[4], *refused;
    } CASES[] = {{{"cut", "-n3", "-j"}, NULL},
                 {{"--sound", "paste"}, NULL},
                 {{"-n", "3", "--", "cut"}, NULL},
                 {{"cut", "--sound"}, "cut takes no --sound"},
                 {{"-jn3", "pas"}, "pas takes no --thumbs"},
                 {{"--sound"}, NULL},
                 {{"--no-sound", "cut"}, "cut takes no --sound"}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char words[4][16] = {"occ-sample"}, *argv[5] = {words[0]};
        struct settings o = DEFAULTS;
        struct error e = {0};
        int argc = 1, operands;
        for (; argc < 4 && CASES[i].words[argc - 1] != NULL; argc++) {
            snprintf(words[argc], sizeof words[argc], "%s", CASES[i].words[argc - 1]);
            argv[argc] = words[argc];
        }
        const int rc = options_parse(&COMMANDS, argc, argv, &o, &operands, &e);
        CHECK_NUMBER(rc, CASES[i].refused != NULL ? ERR_USAGE : OPTIONS_RUN);
        CHECK(CASES[i].refused == NULL || strcmp(e.text, CASES[i].refused) == 0);
    }
}

static void unknown_options_are_refused_with_a_suggestion(void) {
    CHECK_TEXT(refuse("--thumsb=3"), "unknown option '--thumsb' (did you mean '--thumbs'?)");
    CHECK_TEXT(refuse("--thumb 3"), "unknown option '--thumb' (did you mean '--thumbs'?)");
    CHECK_TEXT(refuse("--no-jsn"), "unknown option '--no-jsn' (did you mean '--no-json'?)");
    CHECK_TEXT(refuse("-thumbs"), "unknown option '-t' (did you mean '--thumbs'?)");
    CHECK_TEXT(refuse("--xylophone"), "unknown option '--xylophone'");
    CHECK_TEXT(refuse("--no-wait"), "unknown option '--no-wait'"); /* no flag */
    CHECK_TEXT(refuse("-x"), "unknown option '-x'");
    CHECK_TEXT(refuse("-vx"), "unknown option '-x'");
    CHECK_TEXT(refuse("--=3"), "unknown option '--'");
}

static void distances_count_edits(void) {
    CHECK_NUMBER(options_distance("ingset", 6, "ingest"), 1); /* swapped */
    CHECK_NUMBER(options_distance("inest", 5, "ingest"), 1);
    CHECK_NUMBER(options_distance("inggest", 7, "ingest"), 1);
    CHECK_NUMBER(options_distance("imgezt", 6, "ingest"), 2);
    CHECK_NUMBER(options_distance("ing", 3, "ingest"), 0); /* its beginning */
    CHECK(options_distance("render", 6, "ingest") == SIZE_MAX);
    CHECK(options_distance("", 0, "ingest") == SIZE_MAX);
    const char *longest = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
    CHECK(options_distance(longest, strlen(longest), longest) == SIZE_MAX);
}

static void missing_and_needless_values_are_refused(void) {
    CHECK_TEXT(refuse("--thumbs"), "--thumbs: the value (N) is missing");
    CHECK_TEXT(refuse("-jn"), "-n: the value (N) is missing");
    CHECK_TEXT(refuse("--json=yes"), "--json: takes no value");
    CHECK_TEXT(refuse("--no-json=yes"), "--no-json: takes no value");
    CHECK_TEXT(refuse("--verbose=2"), "--verbose: takes no value");
    CHECK_TEXT(refuse("--help=html"), "--help: 'html' is not one of man, bash");
}

static void whole_numbers_are_checked(void) {
    CHECK_NUMBER(accept("-n 0")->thumbs, 0);
    CHECK_NUMBER(accept("-n 064")->thumbs, 64);
    CHECK_NUMBER(accept("--limit 9223372036854775807")->limit, INT64_MAX);
    CHECK_TEXT(refuse("--thumbs 4x"), "--thumbs: '4x' is not a whole number");
    CHECK_TEXT(refuse("--thumbs=0x4"), "--thumbs: '0x4' is not a whole number");
    CHECK_TEXT(refuse("--thumbs=+4"), "--thumbs: '+4' is not a whole number");
    CHECK_TEXT(refuse("--thumbs="), "--thumbs: '' is not a whole number");
    CHECK_TEXT(refuse("-n1.5"), "-n: '1.5' is not a whole number");
    CHECK_TEXT(refuse("--thumbs 99"), "--thumbs: 99 is more than 64");
    CHECK_TEXT(refuse("--thumbs -1"), "--thumbs: -1 is less than 0");
    CHECK_TEXT(refuse("--limit 0"), "--limit: 0 is less than 1");
    CHECK_TEXT(refuse("--limit 9223372036854775808"),
               "--limit: '9223372036854775808' is too large");
}

static void sizes_take_powers_of_1024(void) {
    CHECK_NUMBER(accept("--memory 4096")->memory, 4096);
    CHECK_NUMBER(accept("--memory 3k")->memory, 3 << 10);
    CHECK_NUMBER(accept("--memory 3K")->memory, 3 << 10);
    CHECK_NUMBER(accept("--memory 3MiB")->memory, 3 << 20);
    CHECK_NUMBER(accept("--memory 3g")->memory, INT64_C(3) << 30);
    CHECK_NUMBER(accept("--memory 1T")->memory, INT64_C(1) << 40);
    CHECK_TEXT(refuse("--memory 1025G"), "--memory: 1025G is more than 1T");
    CHECK_TEXT(refuse("--memory 1000"), "--memory: 1000 is less than 1k");
    CHECK_TEXT(refuse("--memory 9000000T"), "--memory: '9000000T' is too large"); /* 2^63 */
    CHECK(strstr(refuse("--memory 5kB"), "'5kB' is not a size"));
    CHECK(strstr(refuse("--memory 1.5G"), "'1.5G' is not a size"));
    CHECK(strstr(refuse("--memory G"), "'G' is not a size"));
}

static void durations_take_units_and_decimals(void) {
    CHECK_NUMBER(accept("--wait 2")->wait_ms, 2000);
    CHECK_NUMBER(accept("--wait 2s")->wait_ms, 2000);
    CHECK_NUMBER(accept("--wait 250ms")->wait_ms, 250);
    CHECK_NUMBER(accept("--wait 1.5m")->wait_ms, 90 * 1000);
    CHECK_NUMBER(accept("--wait 0.25h")->wait_ms, 900 * 1000);
    CHECK_NUMBER(accept("--wait 7d")->wait_ms, INT64_C(7) * 86400 * 1000);
    CHECK_NUMBER(accept("--wait 0.0005")->wait_ms, 1);               /* to the nearest ms */
    CHECK_NUMBER(accept("--wait 0.3333333333333333")->wait_ms, 333); /* any number of digits */
    CHECK(strstr(refuse("--wait -1s"), "'-1s' is not a duration"));
    CHECK(strstr(refuse("--wait 1."), "'1.' is not a duration"));
    CHECK(strstr(refuse("--wait 1w"), "'1w' is not a duration"));
    CHECK(strstr(refuse("--wait 1h30m"), "'1h30m' is not a duration"));
    CHECK_TEXT(refuse("--wait 106751991168d"), "--wait: '106751991168d' is too large");
}

static void shares_are_parts_of_a_whole(void) {
    const struct settings *s = accept("--share 3/4");
    CHECK_NUMBER(s->share[0], 3);
    CHECK_NUMBER(s->share[1], 4);
    static const char *const WRONG[] = {"4/4", "-1/4", "0/0", "1", "1/", "/4", "1/4x"};
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        char line[64];
        snprintf(line, sizeof line, "--share=%s", WRONG[i]);
        CHECK(strstr(refuse(line), "is not a share: I/N with 0 <= I < N"));
        CHECK_NUMBER(parsed.settings.share[1], 1); /* not half stored */
    }
}

static void choices_are_listed_when_wrong(void) {
    CHECK_NUMBER(accept("-m hifi")->mode, 2);
    CHECK_TEXT(refuse("--mode hi"), "--mode: 'hi' is not one of tiny, base, hifi");
}

static void environment_stands_between_command_line_and_default(void) {
    setenv("TEST_THUMBS", "5", 1);
    setenv("TEST_JSON", "Yes", 1);
    setenv("TEST_OUTPUT", "", 1); /* empty is as good as not set */
    setenv("TEST_VERBOSE", "3", 1);
    const struct settings *s = accept("");
    CHECK_NUMBER(s->thumbs, 5);
    CHECK(s->json);
    CHECK(s->output == NULL);
    CHECK_NUMBER(s->verbose, 3);
    s = accept("-n 6 --no-json -v");
    CHECK_NUMBER(s->thumbs, 6);
    CHECK(!s->json);
    CHECK_NUMBER(s->verbose, 1); /* replaced, not added to */
    setenv("TEST_THUMBS", "4x", 1);
    CHECK_TEXT(refuse("a b"), "environment variable TEST_THUMBS: '4x' is not a whole number");
    CHECK_NUMBER(accept("-n 6")->thumbs, 6);
    unsetenv("TEST_THUMBS");
    setenv("TEST_JSON", "perhaps", 1);
    CHECK_TEXT(refuse(""), "environment variable TEST_JSON: 'perhaps' is not yes or no");
    unsetenv("TEST_JSON");
    setenv("TEST_VERBOSE", "2147483648", 1);
    CHECK_TEXT(refuse(""), "environment variable TEST_VERBOSE: 2147483648 is more than 2147483647");
    unsetenv("TEST_VERBOSE");
    unsetenv("TEST_OUTPUT");
}

/* What a command line prints on stdout, in a process of its own since stdout gets closed. */
static const char *printed_by(const char *line) {
    static char text[8192];
    int ends[2];
    size_t size = 0;
    fflush(stdout);
    if (!CHECK(pipe(ends) == 0)) {
        return "";
    }
    pid_t child = fork();
    if (child == 0) {
        bool ready = dup2(ends[1], STDOUT_FILENO) >= 0;
        _exit(ready && parse(&TOOL, line) == OPTIONS_DONE ? 0 : 1);
    }
    close(ends[1]);
    for (ssize_t got = 1; got > 0 && size < sizeof text - 1;) {
        got = read(ends[0], text + size, sizeof text - 1 - size);
        size += got > 0 ? (size_t)got : 0;
    }
    text[size] = 0;
    close(ends[0]);
    int status = -1;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return text;
}

static void requests_are_answered_before_anything_else(void) {
    CHECK_TEXT(printed_by("--version"), "occ-sample " OCC_VERSION "\n");
    CHECK(strstr(printed_by("-n 3 --mode wrong a --help"), "(0 to 64; default 8; "));
    CHECK(strstr(printed_by("-jh"), "\nThe full text: occ sample --help\n"));
    CHECK(strstr(printed_by("--help=man"), ".TH OCC-SAMPLE 1 "));
    CHECK(strstr(printed_by("--help=bash"), "_occ_sample() {\n"));
    CHECK_NUMBER(accept("-o --help")->thumbs, 8); /* here it is a value */
    CHECK_NUMBER(accept("-- --help")->thumbs, 8); /* and here an operand */
}

/* One of the texts of the tool, at most `limit` bytes. */
static int make_text(struct bytes *out, enum options_form form, size_t limit) {
    bytes_init(out, limit);
    return options_help(out, &TOOL, &DEFAULTS, form, &parsed.e);
}

static void help_is_laid_out_for_80_columns(void) {
    static const char *const LINES[] = {
        "Usage: occ sample [OPTION...] [PATH...]\n\nclips to thumbnails\n",
        "\nFirst paragraph, on two lines of the source but long enough to be wrapped at\n"
        "the 80 columns of a terminal.\n\n  kept   as it is\n",
        "\nWhat to take:\n",
        "  -n, --thumbs=N       thumbnails per clip (0 to 64; default 8; environment\n"
        "                       TEST_THUMBS)\n",
        "  -m, --mode=MODE      size of a page (one of tiny, base, hifi; default base)\n",
        "      --[no-]sound     read the sound (default on)\n",
        "      --memory=SIZE    memory for frames (1k to 1T; default 64M)\n",
        "      --wait=TIME      how long to wait for a slow disk (default 90s)\n",
        "      --limit=N        stop after so many samples (at least 1)\n",
        "      --share=I/N      do only this share of the work (default 0/1)\n",
        "  -o, --output=FILE    where to write (environment TEST_OUTPUT)\n",
        "      --[no-]progress  show",
        "\nExamples:\n  occ sample a.mp4\n      one clip\n",
        "\nExit status:\n  0   done\n",
        "  75  stopped"};
    struct bytes text;
    CHECK_NUMBER(make_text(&text, OPTIONS_FULL, 1 << 16), 0);
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++) {
        if (!CHECK(strstr(bytes_text(&text), LINES[i]))) {
            printf("# missing: %s\n", LINES[i]);
        }
    }
    for (const char *line = bytes_text(&text); *line; line += strcspn(line, "\n") + 1) {
        CHECK(strcspn(line, "\n") <= 80);
    }
    bytes_close(&text);
}

static void short_usage_has_no_details(void) {
    struct bytes text;
    CHECK_NUMBER(make_text(&text, OPTIONS_SHORT, 1 << 16), 0);
    CHECK(strstr(bytes_text(&text), "thumbnails per clip\n"));
    CHECK(!strstr(bytes_text(&text), "default") && !strstr(bytes_text(&text), "First paragraph"));
    bytes_close(&text);
}

static void man_page_escapes_what_roff_would_read(void) {
    struct bytes text;
    CHECK_NUMBER(make_text(&text, OPTIONS_MAN, 1 << 16), 0);
    CHECK(strstr(bytes_text(&text), "\n\\&.TH is no request, nor is \\(aqthis\\(aq or C:\\en.\n"));
    CHECK(strstr(bytes_text(&text), "\n.nf\n  kept   as it is\n.fi\n"));
    CHECK(strstr(bytes_text(&text), "\n.TP\n\\fB\\-n\\fR, \\fB\\-\\-thumbs\\fR=\\fIN\\fR\n"));
    CHECK(strstr(bytes_text(&text), "\\fB\\-\\-\\fR[\\fBno\\-\\fR]\\fBprogress\\fR\n"));
    CHECK(strstr(bytes_text(&text), "\n.SH ENVIRONMENT\n.TP\n\\fBTEST_THUMBS\\fR\n"));
    CHECK(strstr(bytes_text(&text), ".nf\nocc sample a.mp4\n.fi\n.RS 4\none clip\n.RE\n.PP\n"));
    bytes_close(&text);
}

static void text_that_does_not_fit_is_an_error(void) {
    for (int form = OPTIONS_SHORT; form <= OPTIONS_BASH; form++) {
        struct bytes text;
        CHECK_NUMBER(make_text(&text, (enum options_form)form, 300), ERR_LIMIT);
        bytes_close(&text);
    }
}

/* What bash offers for the last of `words`, joined by commas. */
static const char *completion_of(const char *words) {
    static char offered[1024];
    static char command[8192];
    struct bytes script;
    CHECK_NUMBER(make_text(&script, OPTIONS_BASH, 1 << 16), 0);
    snprintf(command, sizeof command, "bash --norc -c '%s' bash %s",
             "eval \"$SCRIPT\"; COMP_WORDS=(occ-sample \"$@\");"
             "COMP_CWORD=$#; _occ_sample; IFS=,; echo \"${COMPREPLY[*]}\"",
             words);
    setenv("SCRIPT", bytes_text(&script), 1);
    bytes_close(&script);
    fflush(stdout);
    FILE *pipe_end = popen(command, "r");
    if (!CHECK(pipe_end != NULL)) {
        return "";
    }
    size_t size = fread(offered, 1, sizeof offered - 1, pipe_end);
    CHECK_NUMBER(pclose(pipe_end), 0);
    offered[size > 0 ? size - 1 : 0] = 0; /* without the newline */
    return offered;
}

static void completion_offers_options_and_choices(void) {
    CHECK_TEXT(completion_of("--th"), "--thumbs");
    CHECK_TEXT(completion_of("a --no-"), "--no-sound,--no-json,--no-progress");
    CHECK_TEXT(completion_of("--mode ''"), "tiny,base,hifi");
    CHECK_TEXT(completion_of("-m h"), "hifi");
    CHECK_TEXT(completion_of("--mode = t"), "tiny"); /* as bash splits --mode=t */
    CHECK_TEXT(completion_of("--mode ="), "tiny,base,hifi");
    CHECK_TEXT(completion_of("--output --j"), ""); /* a file: left to bash */
    CHECK_TEXT(completion_of("x"), "");
}

static void numbers_are_written_as_they_are_read(void) {
    static const struct {
        enum option_type type;
        int64_t value;
        const char *text;
    } CASES[] = {{OPTION_INTEGER, INT64_MIN, "-9223372036854775808"},
                 {OPTION_SIZE, 0, "0"},
                 {OPTION_SIZE, 1536, "1536"},
                 {OPTION_SIZE, INT64_C(2048) << 40, "2048T"},
                 {OPTION_DURATION, 0, "0"},
                 {OPTION_DURATION, 1500, "1500ms"},
                 {OPTION_DURATION, 3600 * 1000, "1h"},
                 {OPTION_DURATION, INT64_C(90) * 86400 * 1000, "90d"}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char text[32];
        int64_t back = -1;
        struct option_spec spec = {
            .type = CASES[i].type, .minimum = INT64_MIN, .maximum = INT64_MAX};
        options_format(text, CASES[i].type, CASES[i].value);
        CHECK_TEXT(text, CASES[i].text);
        CHECK_NUMBER(options_read(&spec, text, &back, NULL), 0);
        CHECK_NUMBER(back, CASES[i].value);
    }
}

static void exit_status_tells_usage_from_failure(void) {
    struct error e;
    error_set(&e, ERR_USAGE, "# usage error on purpose");
    CHECK_NUMBER(options_usage_error(&TOOL, &e), 2);
    error_set(&e, ERR_NO_SPACE, "# failure on purpose");
    CHECK_NUMBER(options_usage_error(&TOOL, &e), 1);
}

int main(void) {
    RUN(defaults_stay_without_options);
    RUN(values_follow_in_every_spelling);
    RUN(letters_can_be_bundled);
    RUN(flags_can_be_taken_back);
    RUN(a_switch_knows_three_states);
    RUN(the_last_of_repeated_options_wins);
    RUN(lists_take_one_more_each_time);
    RUN(operands_come_to_the_front);
    RUN(two_dashes_end_the_options);
    RUN(operands_are_refused_by_a_tool_without);
    RUN(a_command_refuses_what_others_take);
    RUN(unknown_options_are_refused_with_a_suggestion);
    RUN(distances_count_edits);
    RUN(missing_and_needless_values_are_refused);
    RUN(whole_numbers_are_checked);
    RUN(sizes_take_powers_of_1024);
    RUN(durations_take_units_and_decimals);
    RUN(shares_are_parts_of_a_whole);
    RUN(choices_are_listed_when_wrong);
    RUN(environment_stands_between_command_line_and_default);
    RUN(requests_are_answered_before_anything_else);
    RUN(help_is_laid_out_for_80_columns);
    RUN(short_usage_has_no_details);
    RUN(man_page_escapes_what_roff_would_read);
    RUN(text_that_does_not_fit_is_an_error);
    RUN(completion_offers_options_and_choices);
    RUN(numbers_are_written_as_they_are_read);
    RUN(exit_status_tells_usage_from_failure);
    return test_finish();
}
