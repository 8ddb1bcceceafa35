/* occ-render.c - the command line of `occ render`. */
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/inputs.h"
#include "cli/options.h"
#include "render/render.h"
#include "store/log.h"

enum exit_status { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_SOME = 3, EXIT_AGAIN = 75 };

struct arguments {
    struct render_options render;
    const char *parts;
    bool force, quiet;
    int mode;     /* index into DRAWN_MODE_NAMES */
    int pack;     /* index into PACKS */
    int progress; /* -1: not said */
    int verbose, log_style;
};

static const char *const PACKS[] = {"auto", "sample", "account", NULL}; /* auto: -1 */

#define FIELD(name) offsetof(struct arguments, name)
static const struct option_spec OPTIONS[] = {
    {"", .help = "Pages"},
    {"mode", 'm', OPTION_CHOICE, FIELD(mode), "MODE",
     .help = "size of a page: 512, 1024 or 1280 pixels square", .choices = DRAWN_MODE_NAMES},
    {"profile", 0, OPTION_CHOICE, FIELD(render.profile), "NAME",
     .help = "how the text is set: read10 (DejaVu Sans of 10 pixels, a row of patches each line), "
             "clear (12 pixels, with margins) or dense (8 pixels, two lines to a row of patches)",
     .choices = PROFILE_NAMES},
    {"format", 0, OPTION_CHOICE, FIELD(render.format), "TYPE",
     .help = "of the page images: pgm is grey; ppm and png keep the colours of emoji and "
             "thumbnails",
     .choices = PAGE_FORMATS},
    {"pack", 0, OPTION_CHOICE, FIELD(pack), "HOW",
     .help = "pages for each sample, or pages that hold several samples of an account, with one "
             "thumbnail each, and follow them as samples of their own; auto is sample in mode "
             "tiny, else account",
     .choices = PACKS},
    {"hold", 0, OPTION_SIZE, FIELD(render.hold), "SIZE",
     .help = "samples that wait, in memory, for others of their account until the input ends; "
             "where they take more, the pages of the largest accounts are put out early",
     .minimum = 1},
    {"", .help = "Content"},
    {"parts", 0, OPTION_TEXT, FIELD(parts), "LIST",
     .help = "what goes onto the pages, in this order: of thumbs, header, description, script, "
             "hashtags, comments, audio; without it all but audio, in that order"},
    {"marks", 0, OPTION_CHOICE, FIELD(render.content.marks), "WHAT",
     .help = "what stands in front of the script's sentences", .choices = RENDER_MARKS},
    {"comments", 0, OPTION_INTEGER, FIELD(render.content.comments), "N",
     .help = "the N most liked comments of a sample; 0 is all of them"},
    {"", .help = "Output"},
    {"force", 'f', OPTION_FLAG, FIELD(force), .help = "write the stream even to a terminal"},
    {"", .help = "Work"},
    {"jobs", 'j', OPTION_INTEGER, FIELD(render.threads), "N", .help = "threads; 0 is one per core",
     .maximum = 256},
    {"", .help = "Messages"},
    {"progress", 0, OPTION_SWITCH, FIELD(progress),
     .help = "show progress; without it, when standard error is a terminal"},
    {"quiet", 'q', OPTION_FLAG, FIELD(quiet), .help = "print errors only"},
    {"verbose", 'v', OPTION_COUNT, FIELD(verbose),
     .help = "tell how much was put on pages; twice: more"},
    {"log", 0, OPTION_CHOICE, FIELD(log_style), "STYLE", .help = "style of messages",
     .choices = LOG_STYLES},
    {0}};

static const struct tool TOOL = {
    .name = "occ-render",
    .summary = "put the text of samples onto pages",
    .operands = "[FILE...]",
    .description =
        "Reads the streams of samples that 'occ ingest' writes, from FILEs ('-' is standard "
        "input) or standard input, one after another, passes every sample on unchanged and adds "
        "pages: images of the script, description, comments and thumbnails, set for an encoder "
        "that sees them as patches of 16 x 16 pixels. Each page comes with its text and with a "
        "record of what stands where (pages.json). The output is a WebDataset tar on standard "
        "output: one stream, however many come in. Streams may also stand one behind the other "
        "in a FILE, as cat joins them. A sample whose key came before is named and skipped (exit "
        "3).\n\n"
        "The same input gives the same bytes whatever the number of threads, as long as the "
        "fonts are the same. Pages of an earlier render in the input are replaced.",
    .examples = "occ ingest /archive | occ render --mode base > pages.tar\n"
                "    pages of 1024 x 1024 pixels, packed by account\n"
                "occ render --mode tiny --format png samples.tar > pages.tar\n"
                "    each clip's own pages, in colour, to look at\n"
                "occ render shards/*.tar | occ compress --store tokens.occ\n"
                "    the shards that 'occ ingest -o shards' wrote\n",
    .options = OPTIONS,
};

/* A signal asks everything to end. What is blocked in a write (the stage behind this one stands
 * still) does not hear that: a second later the process ends as it is. There is nothing to
 * roll back; the stream lacks its __end__ either way. */
static volatile sig_atomic_t cancelled;

static void on_signal(int number) {
    (void)number;
    cancelled = 1;
    alarm(1);
}

static void on_alarm(int number) {
    (void)number;
    static const char text[] = "occ-render: warning: stopped by a signal; run again\n";
    ssize_t done = write(STDERR_FILENO, text, sizeof text - 1);
    (void)done;
    _exit(EXIT_AGAIN);
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: writes must wake up */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL); /* what Slurm sends before the time is up */
    struct sigaction last = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &last, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
}

static int check(struct arguments *a, int operands, char **argv, struct error *e) {
    a->render.mode = mode_named(DRAWN_MODE_NAMES[a->mode]);
    a->render.pack = a->pack - 1;
    int rc = a->parts != NULL ? content_parse_parts(&a->render.content, a->parts, e) : 0;
    if (rc < 0) {
        return error_context(e, "--parts");
    }
    if (inputs_are_standard(argv + 1, operands) && isatty(STDIN_FILENO)) {
        return error_set(e, ERR_USAGE,
                         "standard input is a terminal: give a FILE, or use "
                         "'occ ingest ARCHIVE | occ render'");
    }
    if (!a->force && isatty(STDOUT_FILENO)) {
        return error_set(e, ERR_USAGE,
                         "the stream is binary and goes to standard output, which is a terminal: "
                         "use a pipe, > FILE or --force");
    }
    return 0;
}

/* Characters that a font could be installed for, a line a script. */
static void warn_of_missing(const struct missing_tally *scripts) {
    struct missing_script list[MISSING_SCRIPTS];
    size_t count = missing_list(scripts, list, MISSING_SCRIPTS);
    for (size_t i = 0; i < count; i++) {
        const struct missing_script *s = &list[i];
        log_warning("%" PRId64 " %s characters are in no font, and their code points stand in "
                    "their place%s%s",
                    s->characters, s->name, s->package != NULL ? ": install Debian's " : "",
                    s->package != NULL ? s->package : "");
    }
}

static void summarize(const struct arguments *a, const struct render_result *r) {
    const struct stream_counts *c = &r->counts;
    log_info("%" PRId64 " samples; %" PRId64 " pages, %" PRId64 " characters, %" PRId64
             " of %" PRId64 " areas of %d x %d pixels inked",
             c->samples, r->pages, r->characters, r->inked, r->cells, CELL, CELL);
    if (r->missing + r->replaced + r->dropped > 0) {
        log_info("%" PRId64 " characters are in no font, %" PRId64 " sequences were no UTF-8, "
                 "%" PRId64 " characters were left out",
                 r->missing, r->replaced, r->dropped);
    }
    if (r->split > 0) {
        char hold[32];
        options_format(hold, OPTION_SIZE, a->render.hold);
        log_warning("%" PRId64 " accounts came again after some of their pages had to be put out, "
                    "because more than %s of samples waited: sort the input by account, or raise "
                    "--hold",
                    r->split, hold);
    }
    warn_of_missing(&r->scripts);
    if (r->again > 0) {
        log_warning("%" PRId64 " samples were skipped: their keys came before", r->again);
    }
    if (c->partial > 0) {
        log_warning("%" PRId64 " samples could not be put on pages whole", c->partial);
    }
}

static int exit_status_of(int rc, const struct render_result *r, const struct error *e) {
    if (rc == ERR_CANCELLED) {
        log_warning("stopped by a signal; run again");
        return EXIT_AGAIN;
    }
    if (rc == ERR_CLOSED) { /* `occ render ... | head`: no reason to complain */
        log_info("nobody reads the output any more");
        return EXIT_FAILED;
    }
    if (rc < 0) {
        log_error("%s", e->text);
        return EXIT_FAILED;
    }
    return r->counts.partial + r->again > 0 ? EXIT_SOME : EXIT_DONE;
}

static int run(const struct arguments *a, char *const *files, int count,
               struct render_result *result, struct error *e) {
    struct stream_reader *reader = NULL;
    int rc = stream_reader_open_files(&reader, files, count, &cancelled, e);
    if (rc == 0) {
        rc = render_run(reader, STDOUT_FILENO, &a->render, "occ-render " OCC_VERSION, &cancelled,
                        result, e);
    }
    stream_reader_close(reader);
    return rc;
}

int main(int argc, char **argv) {
    struct arguments a = {.render = RENDER_DEFAULTS, .mode = DRAWN_BASE, .progress = -1};
    struct error e = {0};
    int operands = 0;
    int rc = options_parse(&TOOL, argc, argv, &a, &operands, &e);
    if (rc == OPTIONS_DONE) {
        return EXIT_DONE;
    }
    rc = rc < 0 ? rc : check(&a, operands, argv, &e);
    if (rc < 0) {
        return options_usage_error(&TOOL, &e);
    }
    enum log_level level = a.quiet          ? LOG_ERROR
                           : a.verbose == 0 ? LOG_WARNING
                           : a.verbose == 1 ? LOG_INFO
                                            : LOG_DEBUG;
    log_open(TOOL.name, level, a.log_style ? LOG_JSON : LOG_TEXT);
    catch_signals();
    a.render.progress = a.progress < 0 ? isatty(STDERR_FILENO) && !a.quiet : a.progress;
    struct render_result result = {0};
    rc = run(&a, argv + 1, operands, &result, &e);
    alarm(0);
    int status = exit_status_of(rc, &result, &e);
    if (rc == 0) {
        summarize(&a, &result);
    }
    return status;
}
