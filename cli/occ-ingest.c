/* occ-ingest.c - the command line of `occ ingest`. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/tool.h"
#include "ingest/ingest.h"
#include "store/log.h"

struct arguments {
    struct ingest_options ingest;
    const char *files_from, *skip_from;
    bool null_separated, force;
    struct tool_messages messages;
};

#define FIELD(name) offsetof(struct arguments, name)
static const struct option_spec OPTIONS[] = {
    {"", .help = "Input"},
    {"files-from", 0, OPTION_TEXT, FIELD(files_from), "FILE",
     .help = "read further paths from FILE, one per line (- is standard input)"},
    {"null", '0', OPTION_FLAG, FIELD(null_separated),
     .help = "entries of lists end in a zero byte instead of a newline"},
    {"shard", 0, OPTION_SHARE, FIELD(ingest.shard), "I/N",
     .help = "take only part I of N, counted from 0; samples are split by the hash of their keys"},
    {"skip-from", 0, OPTION_TEXT, FIELD(skip_from), "FILE",
     .help = "leave out samples whose keys are listed in FILE, one per line (- is standard input)"},
    {"", .help = "Output"},
    {"output", 'o', OPTION_TEXT, FIELD(ingest.output), "FOLDER",
     .help = "write numbered shards (ingest-000000.tar ...) to FOLDER instead of a stream to "
             "standard output; after an interruption, run it again to resume"},
    {"shard-size", 0, OPTION_SIZE, FIELD(ingest.shard_size), "SIZE",
     .help = "start a new shard before one would exceed SIZE", .minimum = 65536},
    {"report", 0, OPTION_TEXT, FIELD(ingest.report), "FILE",
     .help = "write one JSON line per clip to FILE: status, reason, frames, times"},
    {"force", 'f', OPTION_FLAG, FIELD(force), .help = "write the stream even to a terminal"},
    {"", .help = "Samples"},
    {"thumbs", 0, OPTION_INTEGER, FIELD(ingest.thumbs), "N", .help = "thumbnails per clip",
     .maximum = 64},
    {"thumb-size", 0, OPTION_INTEGER, FIELD(ingest.thumb_size), "PIXELS",
     .help = "longer side of each thumbnail", .minimum = 16, .maximum = 4096},
    {"lang", 0, OPTION_TEXT, FIELD(ingest.languages), "LIST",
     .help = "preferred caption languages, comma-separated, such as en,de; after those come the "
             "clip's own language and English"},
    {"audio", 0, OPTION_FLAG, FIELD(ingest.audio),
     .help = "measure loudness and envelope, and draw a log-mel picture"},
    {"", .help = "Work"},
    {"jobs", 'j', OPTION_INTEGER, FIELD(ingest.workers), "N",
     .help = "worker processes; 0 means one per core", .maximum = 256},
    {"stall", 0, OPTION_DURATION, FIELD(ingest.stall_ms), "TIME",
     .help = "stop a worker that makes no progress for TIME", .minimum = 100},
    {"max-cpu", 0, OPTION_DURATION, FIELD(ingest.cpu_ms), "TIME",
     .help = "CPU time that one clip may use", .minimum = 1000},
    {"max-memory", 0, OPTION_SIZE, FIELD(ingest.memory), "SIZE",
     .help = "address space that one worker may use", .minimum = 256 << 20},
    {"", .help = "Messages"},
    TOOL_PROGRESS_ROW(struct arguments, messages),
    TOOL_QUIET_ROW(struct arguments, messages),
    TOOL_VERBOSE_ROW(struct arguments, messages,
                     "say what the run used and, even with --report, which clips are incomplete; "
                     "twice: name every clip"),
    TOOL_LOG_ROW(struct arguments, messages),
    {0}};

static const struct tool TOOL = {
    .name = "occ-ingest",
    .summary = "turn a video archive into a stream of samples",
    .operands = "[PATH...]",
    .description =
        "Reads files and folders (recursively) as yt-dlp and gallery-dl leave them, joins the "
        "media, info.json, captions, comments and pictures of each clip, and writes one sample per "
        "clip: metadata, script, comments, thumbnails, audio measures. The output is a WebDataset "
        "tar on standard output, or shards in a folder with -o.\n\n"
        "Decoding runs in worker processes: a file that crashes or hangs a decoder, or makes it "
        "use too much memory, costs that file alone. Samples come out in the order of the input "
        "whatever the number of workers, and the same input gives the same bytes.",
    .examples = "occ ingest /archive > samples.tar\n"
                "    all clips under /archive as one stream\n"
                "occ ingest -o shards --report report.jsonl /archive\n"
                "    shards of 1 GiB; after an interruption, run it again to resume\n"
                "find . -newer last -print0 | occ ingest -0 --files-from - > new.tar\n"
                "    only new files\n",
    .options = OPTIONS,
};

static volatile sig_atomic_t cancelled;

/* Gives each entry of a list file to `take`. */
static int read_list(const char *path, bool null_separated,
                     int (*take)(void *context, const char *entry, struct error *e), void *context,
                     struct error *e) {
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "r");
    if (file == NULL) {
        return error_errno(e, errno, "%s", path);
    }
    char *line = NULL;
    size_t capacity = 0;
    int rc = 0, delimiter = null_separated ? 0 : '\n';
    while (rc >= 0) {
        ssize_t size = getdelim(&line, &capacity, delimiter, file);
        if (size < 0) {
            break;
        }
        if (size > 0 && line[size - 1] == delimiter) {
            line[--size] = 0;
        }
        rc = size > 0 ? take(context, line, e) : 0;
    }
    if (rc >= 0 && ferror(file)) {
        rc = error_errno(e, errno, "%s", path);
    }
    free(line);
    if (!standard) {
        fclose(file);
    }
    return rc < 0 ? rc : 0;
}

static int take_path(void *context, const char *entry, struct error *e) {
    return clips_add(context, entry, e);
}

static int take_key(void *context, const char *entry, struct error *e) {
    return table_add(context, entry, 0, NULL, e);
}

static int collect(const struct arguments *a, int count, char **paths, struct clips *clips,
                   struct table *done, struct error *e) {
    int rc = 0;
    for (int i = 0; i < count && rc == 0; i++) {
        rc = clips_add(clips, paths[i], e);
    }
    if (rc == 0 && a->files_from != NULL) {
        rc = read_list(a->files_from, a->null_separated, take_path, clips, e);
    }
    if (rc == 0 && a->skip_from != NULL) {
        rc = read_list(a->skip_from, a->null_separated, take_key, done, e);
    }
    if (rc == 0) {
        struct pool_options pool = ingest_pool_options(&a->ingest, clips->count);
        rc = clips_join(clips, &pool, &cancelled, e);
    }
    return rc;
}

static int check(const struct arguments *a, int operands, struct error *e) {
    bool both = a->files_from != NULL && a->skip_from != NULL && strcmp(a->files_from, "-") == 0 &&
                strcmp(a->skip_from, "-") == 0;
    if (operands == 0 && a->files_from == NULL) {
        return error_set(e, ERR_USAGE, "no PATH is named");
    }
    if (both) {
        return error_set(e, ERR_USAGE, "--files-from and --skip-from cannot both be -");
    }
    if (a->ingest.output == NULL && !a->force && isatty(STDOUT_FILENO)) {
        return error_set(e, ERR_USAGE,
                         "the stream is binary and standard output is a terminal: use a pipe, > "
                         "FILE, -o FOLDER or --force");
    }
    return 0;
}

static bool is_clean(const struct stream_counts *c) {
    return c->partial + c->failed + c->skipped == 0;
}

static void summarize(const struct ingest_result *r) {
    enum { MIB = 1 << 20 };
    log_info("peak memory: %" PRId64 " MiB, largest worker %" PRId64 " MiB; %" PRId64
             " workers replaced",
             r->parent_rss / MIB, r->worker_rss / MIB, r->restarts);
    const struct stream_counts *c = &r->counts;
    if (!is_clean(c)) {
        log_warning("%" PRId64 " samples; %" PRId64 " of them partial, %" PRId64
                    " clips failed, %" PRId64 " skipped",
                    c->samples, c->partial, c->failed, c->skipped);
    } else {
        log_info("%" PRId64 " samples", c->samples);
    }
}

static int run(const struct arguments *a, int count, char **paths, struct ingest_result *result,
               struct error *e) {
    struct clips clips;
    struct table *done = NULL;
    int rc = clips_open(&clips, e);
    if (rc == 0) {
        rc = table_open(&done, e);
    }
    tool_end_at_once(true); /* looking for clips: there is nothing to roll back */
    if (rc == 0) {
        rc = collect(a, count, paths, &clips, done, e);
    }
    tool_end_at_once(false);
    if (rc == 0) {
        rc = ingest_run(&clips, &a->ingest, done, &cancelled, result, e);
    }
    table_close(done);
    clips_close(&clips);
    return rc;
}

int main(int argc, char **argv) {
    struct arguments a = {.ingest = INGEST_DEFAULTS, .messages = {.progress = -1}};
    struct error e = {0};
    int operands = 0;
    int rc = options_parse(&TOOL, argc, argv, &a, &operands, &e);
    if (rc == OPTIONS_DONE) {
        return EXIT_DONE;
    }
    if (rc == 0) {
        rc = check(&a, operands, &e);
    }
    if (rc < 0) {
        return options_usage_error(&TOOL, &e);
    }
    tool_begin(&TOOL, &a.messages, &cancelled, 0);
    a.ingest.progress = tool_shows_progress(&a.messages);
    struct ingest_result result = {0};
    rc = run(&a, operands, argv + 1, &result, &e);
    int status = tool_end(rc, a.ingest.output != NULL ? TOOL_RESUMES : TOOL_STARTS_OVER, &e);
    if (status == EXIT_DONE) {
        summarize(&result);
        status = is_clean(&result.counts) ? EXIT_DONE : EXIT_SOME;
    }
    return status;
}
