/* occ-compress.c - the command line of `occ compress`. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/encoder_choice.h"
#include "cli/inputs.h"
#include "cli/tool.h"
#include "compress/compress.h"
#include "compress/pages.h"
#include "store/log.h"

struct arguments {
    struct compress_options compress;
    struct encoder_choice encoder;
    struct tool_messages messages;
    const char *store;
    bool verify;
};

static const char *const DATES[] = {"none", "mtime", NULL};

#define FIELD(name) offsetof(struct arguments, name)
static const struct option_spec OPTIONS[] = {
    {"", .help = "Encoder"},
    ENCODER_FILE_ROW(
        struct arguments, encoder,
        "the encoder: a safetensors file, an index of several or a folder with either; "
        "default: the bundled one"),
    DEVICE_ROW(struct arguments, encoder.device),
    COMPUTE_ROW(struct arguments, encoder.device),
    {"mode", 0, OPTION_CHOICE, FIELD(compress.mode), "MODE",
     .help =
         "how loose pictures are scaled: tiny 512 pixels (64 tokens), small 640 (100), base 1024 "
         "(256), large 1280 (400), hifi 1280 (800), gundam tiles of 640 and a view of 1024",
     .choices = MODE_NAMES},
    {"date", 0, OPTION_CHOICE, FIELD(compress.date), "DATE",
     .help = "date of loose pictures: none, so that 'occ forget' never ages them, or mtime, when "
             "their files were last changed",
     .choices = DATES},
    {"", .help = "Store"},
    {"store", 's', OPTION_TEXT, FIELD(store), "FOLDER",
     .help = "the token store; created if missing", .environment = "OCC_STORE"},
    {"codec", 0, OPTION_CHOICE, FIELD(compress.codec), "NAME",
     .help = "how tokens are packed: bf16 without loss, int8 or int4 with one scale per token",
     .choices = CODEC_NAMES},
    {"verify", 0, OPTION_FLAG, FIELD(verify),
     .help = "read each page back from its packed tokens, and store the share of its text that was "
             "recovered; the encoder must have a reading head. Pages already in the store are not "
             "read"},
    {"commit", 0, OPTION_SIZE, FIELD(compress.commit), "SIZE",
     .help =
         "commit when SIZE of data is waiting; a killed run loses at most that, or five seconds",
     .minimum = 1, .maximum = (int64_t)1 << 30},
    {"", .help = "Work"},
    {"threads", 'j', OPTION_INTEGER, FIELD(compress.threads), "N",
     .help =
         "pages encoded at the same time, one per thread; with a GPU, threads that decode pages "
         "and pack tokens; 0 means one per core",
     .maximum = 256},
    {"batch", 0, OPTION_INTEGER, FIELD(compress.batch), "N",
     .help =
         "pages that go through the network together at most; default: 1, on a GPU 16 of 1024 x "
         "1024 pixels or as many smaller ones",
     .minimum = 1, .maximum = PAGES_BATCH},
    {"gpu-memory", 0, OPTION_SIZE, FIELD(compress.gpu_memory), "SIZE",
     .help =
         "memory of the GPU to use at most, weights included, for fewer pages together; default: "
         "what is free",
     .minimum = 1},
    {"", .help = "Messages"},
    TOOL_PROGRESS_ROW(struct arguments, messages),
    TOOL_QUIET_ROW(struct arguments, messages),
    TOOL_VERBOSE_ROW(struct arguments, messages,
                     "say what was done; twice: also name every sample"),
    TOOL_LOG_ROW(struct arguments, messages),
    {0}};

static const struct tool TOOL = {
    .name = "occ-compress",
    .summary = "turn pages into visual tokens in a store",
    .operands = "[FILE...]",
    .description =
        "Reads the streams of samples with pages that 'occ render' writes, from FILEs ('-' is "
        "standard input) or standard input, encodes each page into visual tokens and puts them, "
        "with the sample's JSON and text, into a token store. A FILE may hold several streams, as "
        "cat joins them. A sample already in the store, made of the same pages with the same "
        "options, is left as it is; a changed one is replaced. After a run that was killed, run it "
        "again to resume. A damaged page fails its sample, and a sample whose key came before in "
        "this run is skipped: both are named, and the rest goes on (exit 3). Samples that 'occ "
        "forget' folded do not come back.\n\n"
        "FILEs that are pictures (PNG, JPEG, PGM, PPM) are encoded after the streams, under keys "
        "files/PATH. An encoder that was trained on pages in cells takes a picture as wide as the "
        "mode and a multiple of 64 pixels high for such a page, and leaves its height as it is.",
    .examples = "occ render -m base s.tar | occ compress -s tokens.occ --verify\n"
                "    pages become tokens; how well each can be read back is measured\n"
                "occ compress -s scans.occ -m DeepSeek-OCR/ --mode gundam scans/*.jpg\n"
                "    the encoder of a published checkpoint on loose pictures\n",
    .options = OPTIONS,
};

static volatile sig_atomic_t cancelled;
enum { PATIENCE = 9 /* seconds: a page in hand takes less */ };

static int check(struct arguments *a, int operands, char **argv, struct error *e) {
    if (a->store == NULL) {
        return error_set(e, ERR_USAGE, "no store is named: --store FOLDER");
    }
    if (inputs_are_standard(argv + 1, operands) && isatty(STDIN_FILENO)) {
        return error_set(
            e, ERR_USAGE,
            "standard input is a terminal: use 'occ render ... | occ compress', or name FILEs");
    }
    int rc = encoder_choice_settle(&a->encoder, e);
    if (rc == 0 && a->compress.gpu_memory > 0 && a->encoder.device.backend->host_memory) {
        rc = error_set(e, ERR_USAGE, "--gpu-memory: device %s is not a GPU",
                       a->encoder.device.backend->name);
    }
    return rc;
}

static void summarize_readback(const struct arguments *a, const struct compress_result *r) {
    const struct compress_readback *all = &r->readback, *unseen = &r->unseen;
    char came[64] = "";
    if (all->pages > 0) {
        log_info("read back: %.2f%% of the text of %" PRId64 " pages on average; worst %.2f%%, "
                 "%s page %d",
                 100 * all->accuracy / (double)all->pages, all->pages, 100 * all->worst,
                 all->worst_key, all->worst_page);
    } else if (a->verify) {
        log_info("read back: no page has text");
    }
    if (unseen->pages > 0) {
        snprintf(came, sizeof came, "; %.2f%% of their text was read back",
                 100 * unseen->accuracy / (double)unseen->pages);
    }
    if (r->unseen_pages > 0) {
        log_warning("%" PRId64 " pages are set in profile %s%s, which this encoder was not "
                    "trained on (%s)%s",
                    r->unseen_pages, r->unseen_profile, r->unseen_more ? " and others" : "",
                    r->trained_profiles, came);
    }
}

static void warn_of(const struct compress_named *n, const char *what) {
    if (n->count > 0) {
        log_warning("%" PRId64 " samples %s: %s%s", n->count, what, n->first,
                    n->count > COMPRESS_NAMED ? ", ..." : "");
    }
}

static void summarize_dates(const struct compress_result *r) {
    warn_of(&r->undated, "have no usable date (created) and never age");
    warn_of(&r->scaled, "give their date in milliseconds, and were dated accordingly");
    warn_of(&r->future, "are dated in the future, and do not age until then");
    if (r->undated_pictures > 0) {
        log_info("%" PRId64 " pictures have no date and never age (--date mtime gives them one)",
                 r->undated_pictures);
    }
}

static void summarize(const struct arguments *a, const struct compress_result *r) {
    log_info("%" PRId64 " samples with %" PRId64 " pages, %" PRId64 " tokens of %" PRId64
             " characters, %.1f MB; %" PRId64 " samples were already there; %.1f pages/s",
             r->samples, r->pages, r->tokens, r->characters, (double)r->bytes * 1e-6, r->skipped,
             r->seconds > 0 ? (double)r->pages / r->seconds : 0);
    if (r->removed > 0) {
        log_info("%" PRId64 " packs of earlier runs were replaced", r->removed);
    }
    if (a->compress.codec != CODEC_BF16 && r->loss.signal > 0) {
        log_info("%s: the error is %.2f%% of the tokens (root mean square), at most %.3g",
                 CODEC_NAMES[a->compress.codec], 100 * sqrt(r->loss.squares / r->loss.signal),
                 r->loss.largest);
    }
    if (r->folded > 0) {
        log_info("%" PRId64 " of them were folded by 'occ forget', and stay so", r->folded);
    }
    summarize_dates(r);
    summarize_readback(a, r);
    legibility_warn(&r->legibility);
    if (r->repeated > 0) {
        log_warning("%" PRId64 " samples were skipped: their keys came before", r->repeated);
    }
    if (r->failed > 0) {
        log_warning("%" PRId64 " samples could not be encoded", r->failed);
    }
}

/* The reading head of the encoder's file. */
static int open_reader(struct reader **out, const struct arguments *a,
                       const struct encoder *encoder, struct error *e) {
    const char *file = a->encoder.file;
    int rc = reader_open(out, file, a->encoder.device.backend, a->encoder.device.type, e);
    if (rc == 0 && reader_dim(*out) != encoder_config(encoder)->token_dim) {
        rc = error_set(e, ERR_FORMAT, "%s: its reading head reads tokens of another size", file);
    }
    return rc < 0 ? error_context(e, "--verify") : 0;
}

static int open_store(struct store **out, const struct arguments *a, const struct encoder *encoder,
                      struct error *e) {
    struct store_encoder described = {.fingerprint = encoder_fingerprint(encoder),
                                      .dim = (int)encoder_config(encoder)->token_dim};
    memcpy(described.name, encoder_config(encoder)->name, sizeof described.name);
    return store_open_write(out, a->store, &described, e);
}

static int run(struct arguments *a, int count, char **files, struct compress_result *result,
               struct error *e) {
    struct encoder *encoder = NULL;
    struct reader *reader = NULL;
    struct store *s = NULL;
    struct compress_input in = {.streams = NULL};
    int rc = encoder_open(&encoder, a->encoder.file, NULL, a->encoder.device.backend,
                          a->encoder.device.type, e);
    if (rc == 0 && a->verify) {
        rc = open_reader(&reader, a, encoder, e);
    }
    if (rc == 0) {
        rc = open_store(&s, a, encoder, e);
    }
    int streams = inputs_part(files, count);
    if (rc == 0 && (streams > 0 || count == 0)) {
        rc = stream_reader_open_files(&in.streams, files, streams, &cancelled, e);
    }
    a->compress.reader = reader;
    in.pictures = files + streams;
    in.picture_count = count - streams;
    if (rc == 0) {
        rc = compress_run(encoder, s, &in, &a->compress, &cancelled, result, e);
    }
    stream_reader_close(in.streams);
    store_close(s);
    reader_close(reader);
    encoder_close(encoder);
    return rc;
}

int main(int argc, char **argv) {
    struct arguments a = {.compress = COMPRESS_DEFAULTS, .messages = {.progress = -1}};
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
    a.compress.progress = tool_shows_progress(&a.messages);
    struct compress_result result = {0};
    rc = run(&a, operands, argv + 1, &result, &e);
    int status = tool_end(rc, TOOL_RESUMES, &e);
    if (status == EXIT_DONE) {
        summarize(&a, &result);
        status = result.failed + result.repeated > 0 ? EXIT_SOME : EXIT_DONE;
    }
    return status;
}
