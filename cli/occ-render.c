/* occ-render.c - the command line of `occ render`. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cli/inputs.h"
#include "cli/tool.h"
#include "render/render.h"
#include "store/log.h"

struct arguments {
    struct render_options render;
    const char *parts;
    bool force;
    int mode; /* index into DRAWN_MODE_NAMES */
    int pack; /* index into PACKS */
    struct tool_messages messages;
};

static const char *const PACKS[] = {"auto", "sample", "account", NULL}; /* auto: -1 */

#define FIELD(name) offsetof(struct arguments, name)
static const struct option_spec OPTIONS[] = {
    {"", .help = "Pages"},
    {"mode", 'm', OPTION_CHOICE, FIELD(mode), "MODE",
     .help = "page size: 512, 1024 or 1280 pixels square", .choices = DRAWN_MODE_NAMES},
    {"profile", 0, OPTION_CHOICE, FIELD(render.profile), "NAME",
     .help =
         "typeface and spacing. cell10 and cell8 run the text through one cell of 64 x 64 pixels "
         "after another, each of which becomes one visual token, on pages as high as their text: "
         "DejaVu Sans of 10 pixels, 47 characters of English a cell, and DejaVu Serif of 8, 118 "
         "characters, read less surely. read10, clear and dense (DejaVu Sans of 10, 12 and 8 "
         "pixels, the last with two lines per row of patches) set lines across square pages, for "
         "people and for the published encoder",
     .choices = PROFILE_NAMES},
    {"format", 0, OPTION_CHOICE, FIELD(render.format), "TYPE",
     .help = "format of the page images: pgm is grey; ppm and png keep the colours of emoji and "
             "thumbnails",
     .choices = PAGE_FORMATS},
    {"pack", 0, OPTION_CHOICE, FIELD(pack), "HOW",
     .help = "sample gives each sample pages of its own; account puts several samples of an "
             "account on a page, with one thumbnail each, and sends these pages after the samples, "
             "as samples of their own; auto is sample in mode tiny, else account",
     .choices = PACKS},
    {"hold", 0, OPTION_SIZE, FIELD(render.hold), "SIZE",
     .help = "how many bytes of samples may wait in memory for others of their account; beyond "
             "that, pages of the largest accounts are written early",
     .minimum = 1},
    {"", .help = "Content"},
    {"parts", 0, OPTION_TEXT, FIELD(parts), "LIST",
     .help = "what goes on the pages, in this order: any of thumbs, header, description, script, "
             "hashtags, comments, audio; default: all but audio, in that order"},
    {"marks", 0, OPTION_CHOICE, FIELD(render.content.marks), "WHAT",
     .help = "what precedes each sentence of the script", .choices = RENDER_MARKS},
    {"comments", 0, OPTION_INTEGER, FIELD(render.content.comments), "N",
     .help = "only the N most liked comments of each sample; 0 means all"},
    {"", .help = "Output"},
    {"force", 'f', OPTION_FLAG, FIELD(force), .help = "write the stream even to a terminal"},
    {"", .help = "Work"},
    {"jobs", 'j', OPTION_INTEGER, FIELD(render.threads), "N",
     .help = "threads; 0 means one per core", .maximum = 256},
    {"", .help = "Messages"},
    TOOL_PROGRESS_ROW(struct arguments, messages),
    TOOL_QUIET_ROW(struct arguments, messages),
    TOOL_VERBOSE_ROW(struct arguments, messages,
                     "say how much was put on pages; twice: also name every sample"),
    TOOL_LOG_ROW(struct arguments, messages),
    {0}};

static const struct tool TOOL = {
    .name = "occ-render",
    .summary = "put the text of samples onto pages",
    .operands = "[FILE...]",
    .description =
        "Reads the streams of samples that 'occ ingest' writes, from FILEs ('-' is standard input) "
        "or standard input, one after another. It passes every sample on unchanged and adds pages: "
        "images of the script, description, comments and thumbnails, set for an encoder that sees "
        "them as patches of 16 x 16 pixels. Each page comes with its text and with a record of "
        "what is where (pages.json). The output is one WebDataset tar on standard output, however "
        "many streams come in. A FILE may hold several streams, as cat joins them. A sample whose "
        "key came before is named and skipped (exit 3).\n\n"
        "The same input gives the same bytes whatever the number of threads, as long as the fonts "
        "are the same. Pages of an earlier render in the input are replaced.",
    .examples = "occ ingest /archive | occ render --mode base > pages.tar\n"
                "    pages of 1024 x 1024 pixels, packed by account\n"
                "occ render --mode tiny --format png samples.tar > pages.tar\n"
                "    each clip's own pages, in colour, to look at\n"
                "occ render shards/*.tar | occ compress --store tokens.occ\n"
                "    the shards that 'occ ingest -o shards' wrote\n",
    .options = OPTIONS,
};

/* What is blocked in a write (the next stage stands still) does not hear of a signal: a second
 * later the process ends as it is. There is nothing to roll back; the stream lacks its __end__
 * either way. */
static volatile sig_atomic_t cancelled;
enum { PATIENCE = 1 };

static int check(struct arguments *a, int operands, char **argv, struct error *e) {
    a->render.mode = mode_named(DRAWN_MODE_NAMES[a->mode]);
    a->render.pack = a->pack - 1;
    int rc = a->parts != NULL ? content_parse_parts(&a->render.content, a->parts, e) : 0;
    if (rc < 0) {
        return error_context(e, "--parts");
    }
    if (inputs_are_standard(argv + 1, operands) && isatty(STDIN_FILENO)) {
        return error_set(
            e, ERR_USAGE,
            "standard input is a terminal: name a FILE, or use 'occ ingest ARCHIVE | occ render'");
    }
    if (!a->force && isatty(STDOUT_FILENO)) {
        return error_set(e, ERR_USAGE,
                         "the stream is binary and standard output is a terminal: use a pipe, > "
                         "FILE or --force");
    }
    return 0;
}

/* Characters that a font could be installed for, a line a script. */
static void warn_of_missing(const struct missing_tally *scripts) {
    struct missing_script list[MISSING_SCRIPTS];
    size_t count = missing_list(scripts, list, MISSING_SCRIPTS);
    for (size_t i = 0; i < count; i++) {
        const struct missing_script *s = &list[i];
        log_warning("%" PRId64 " %s characters are in no font and appear as code points%s%s",
                    s->characters, s->name, s->package != NULL ? ": install Debian's " : "",
                    s->package != NULL ? s->package : "");
    }
}

static void summarize(const struct arguments *a, const struct render_result *r) {
    const struct stream_counts *c = &r->counts;
    log_info(
        "%" PRId64 " samples; %" PRId64 " pages, %" PRId64 " characters, %" PRId64 " of %" PRId64
        " areas of %d x %d pixels inked",
        c->samples, r->pages, r->characters, r->inked, r->cells,
        CELL / (PROFILES[a->render.profile].cells ? PAGE_SIZES[a->render.mode].column_offsets : 1),
        CELL);
    if (r->missing + r->replaced + r->dropped > 0) {
        log_info("%" PRId64 " characters are in no font, %" PRId64 " sequences were not UTF-8, "
                 "%" PRId64 " characters were left out",
                 r->missing, r->replaced, r->dropped);
    }
    if (r->split > 0) {
        char hold[32];
        options_format(hold, OPTION_SIZE, a->render.hold);
        log_warning(
            "%" PRId64 " accounts came again after some of their pages had to be written "
            "early, because more than %s of samples waited: sort the input by account, or raise "
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
    struct arguments a = {
        .render = RENDER_DEFAULTS, .mode = DRAWN_BASE, .messages = {.progress = -1}};
    struct error e = {0};
    int operands = 0;
    int rc = options_parse(&TOOL, argc, argv, &a, &operands, &e);
    if (rc == OPTIONS_DONE) {
        return EXIT_DONE;
    }
    if (rc == 0) {
        rc = check(&a, operands, argv, &e);
    }
    if (rc < 0) {
        return options_usage_error(&TOOL, &e);
    }
    tool_begin(&TOOL, &a.messages, &cancelled, PATIENCE);
    a.render.progress = tool_shows_progress(&a.messages);
    struct render_result result = {0};
    rc = run(&a, argv + 1, operands, &result, &e);
    int status = tool_end(rc, TOOL_STARTS_OVER, &e);
    if (status == EXIT_DONE) {
        summarize(&a, &result);
        status = result.counts.partial + result.again > 0 ? EXIT_SOME : EXIT_DONE;
    }
    return status;
}
