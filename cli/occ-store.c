/* occ-store.c - the command line of `occ store`. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/data_file.h"
#include "cli/stats_table.h"
#include "cli/store_cells.h"
#include "cli/store_facts.h"
#include "cli/store_plot.h"
#include "cli/tool.h"
#include "store/export.h"
#include "store/forget_learned.h"
#include "store/json.h"
#include "store/log.h"
#include "store/store.h"
#include "train/tokenizer/tokenizer.h"

struct arguments {
    const char *output, *tokenizer, *account;
    int format;
    struct store_plot plot;
    bool decay;
    bool text, cells, facts, json, pinned, undated, force, null;
    struct tool_messages messages;
};

#define FIELD(name) offsetof(struct arguments, name)
static const struct option_spec OPTIONS[] = {
    {"", .help = "Commands"},
    {"text", 0, OPTION_FLAG, FIELD(text), .help = "get: the text of the pages, not the JSON"},
    {"cells", 0, OPTION_FLAG, FIELD(cells),
     .help = "get: for each token of pages in cells, its text and where that comes from"},
    {"facts", 0, OPTION_FLAG, FIELD(facts),
     .help = "get: what 'occ forget' kept of each page as text, a line of JSON per page"},
    {"json", 0, OPTION_FLAG, FIELD(json), .help = "stats: as JSON"},
    {"tokenizer", 0, OPTION_TEXT, FIELD(tokenizer), "FILE",
     .help = "stats: the tokenizer that counts text tokens, a .tiktoken file or a tokenizer.json; "
             "default: r50k"},
    {"null", '0', OPTION_FLAG, FIELD(null), .help = "ls: end keys with NUL, not with a newline"},
    {"pinned", 0, OPTION_FLAG, FIELD(pinned), .help = "ls: only samples that are pinned"},
    {"undated", 0, OPTION_FLAG, FIELD(undated),
     .help = "ls: only samples without a usable date, which never age"},
    {"format", 0, OPTION_CHOICE, FIELD(format), "FORMAT",
     .help = "export: npy is a folder with one file per page (F32), safetensors one file (BF16), "
             "tar a WebDataset with JSON, text and facts",
     .choices = EXPORT_FORMATS},
    {"output", 'o', OPTION_TEXT, FIELD(output), "PATH",
     .help = "export: the folder or file to write; default for a tar: standard output"},
    {"account", 0, OPTION_TEXT, FIELD(account), "NAME",
     .help = "rm: all samples of this account, instead of keys"},
    {"force", 'f', OPTION_FLAG, FIELD(force), .help = "export: write a tar even to a terminal"},
    {"decay", 0, OPTION_FLAG, FIELD(decay),
     .help = "plot: tokens, bytes and what is read back of pages against their age"},
    {"", .help = "Reading back (plot)"},
    ENCODER_FILE_ROW(struct arguments, plot.encoder,
                     "the store's encoder, with its reading head; default: the bundled one"),
    DEVICE_ROW(struct arguments, plot.encoder.device),
    COMPUTE_ROW(struct arguments, plot.encoder.device),
    {"", .help = "Messages"},
    TOOL_QUIET_ROW(struct arguments, messages),
    {0}};

static const struct tool TOOL = {
    .name = "occ-store",
    .summary = "inspect, check, export, merge, plot and compact token stores, and remove samples",
    .operands = "COMMAND STORE [ARGUMENT...]",
    .description =
        "info STORE describes the store, as JSON.\n\n"
        "ls STORE prints the keys of its samples, one per line, as 'occ ingest --skip-from -' "
        "reads them; samples that lost their page to rm, and are to be made again, are left "
        "out.\n\n"
        "get STORE KEY prints a sample's JSON, the text of its pages (--text), or the numbers, "
        "dates, handles and links of pages that were forgotten in part (--facts). With --cells it "
        "prints one JSON object per line for "
        "each visual token of its pages, in order: page, index, row, column, bucket, the text that "
        "the token stands for, start and end of that in the page's text (bytes of what --text "
        "prints between form feeds), and ranges: bytes [start, end) of the string that pointer "
        "(RFC 6901) names in a member of a sample of the stream; of a picture the member alone. "
        "After forgetting a token stands for several cells.\n\n"
        "stats STORE prints pages, tokens, characters and text tokens per token; how much of the "
        "text was read back from pages that 'occ compress --verify' measured, and the worst of "
        "them; bytes by codec; and pages and tokens by steps of forgetting.\n\n"
        "verify STORE checks every hash, length and reference; it prints what is wrong, with exit "
        "1.\n\n"
        "export STORE [KEY...] writes tokens for other programs, of all samples or of those "
        "named.\n\n"
        "merge STORE FROM... copies the samples of other stores of the same encoder, such as those "
        "of parallel jobs, into STORE. A sample that STORE already has is not replaced; if its "
        "content differs, it is named.\n\n"
        "plot --decay STORE OUT.svg draws how pages fade: the tokens and bytes of a page and the "
        "share of its characters that is read back (of up to 64 pages of each bucket), a point for "
        "each bucket, against the age of its pages on the day of the last 'occ forget'. Pinned "
        "pages and those without a date are left out. OUT '-' is standard output.\n\n"
        "compact STORE COPY writes a copy that holds the records alone, fit to be published.\n\n"
        "rm STORE KEY... (or --account NAME) removes samples for good, all or none, together with "
        "the packs that show them. Other samples on those packs are named, and made again when "
        "they come in again. A sample that was folded is part of its account's style token, which "
        "is then reset. The removed bytes stay in free pages of the file until those are used "
        "again; compact leaves them out.",
    .examples = "occ store ls tokens.occ | occ ingest --skip-from - /archive | ...\n"
                "    the nightly run takes in what is new\n"
                "occ store export --format safetensors -o clip.st tokens.occ banana/73123\n"
                "    the tokens of one sample\n",
    .options = OPTIONS,
};

static volatile sig_atomic_t cancelled;
enum { PATIENCE = 9 /* seconds: a sample in hand takes less */ };

static int print(const char *text, struct error *e) {
    if (fputs(text, stdout) == EOF) {
        return error_set(e, ERR_CLOSED, "standard output: cannot be written");
    }
    return 0;
}

static int print_json(json_t *root, struct error *e) {
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(1)) : NULL;
    int rc = text != NULL ? print(text, e) : error_memory(e, NULL);
    if (rc == 0) {
        rc = print("\n", e);
    }
    free(text);
    json_decref(root);
    return rc;
}

/* ---- info, ls, get -------------------------------------------------------------------- */

static int run_info(struct store *s, const char *path, struct error *e) {
    const struct store_encoder *encoder = store_encoder(s);
    struct store_counts c;
    char fingerprint[17];
    struct learned learned;
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, encoder->fingerprint);
    int rc = learned_open(&learned, s, e);
    int levels = learned.levels;
    learned_close(&learned);
    if (rc == 0) {
        rc = store_count(s, &c, e);
    }
    return rc < 0 ? rc
                  : print_json(
                        json_pack("{s:s, s:i, s:{s:s, s:s, s:i, s:i}, s:I, s:I, s:I, s:I, s:b}",
                                  "path", path, "version", STORE_VERSION, "encoder", "name",
                                  encoder->name, "fingerprint", fingerprint, "dim", encoder->dim,
                                  "nested", levels, "samples", (json_int_t)c.samples, "pages",
                                  (json_int_t)c.pages, "tokens", (json_int_t)c.tokens, "bytes",
                                  (json_int_t)c.file_bytes, "vectors", store_vectors(s) != NULL),
                        e);
}

/* Whether `ls` was asked for samples like this one; those that are to be made again do not count as
 * being there. */
static bool is_listed(const struct arguments *a, const char *journal, size_t size) {
    json_t *entry = json_loadb(journal, size, 0, NULL);
    const char *input = json_string_value(json_object_get(entry, "input"));
    bool listed = (input == NULL || input[0] != '\0') &&
                  (!a->pinned || json_is_true(json_object_get(entry, "pinned"))) &&
                  (!a->undated || json_get_integer(entry, "created", 0) <= STORE_UNDATED);
    json_decref(entry);
    return listed;
}

static int print_key(void *context, const char *key, const char *journal, size_t size,
                     struct error *e) {
    const struct arguments *a = context;
    if (!is_listed(a, journal, size)) {
        return 0;
    }
    bool done = fputs(key, stdout) != EOF && putchar(a->null ? '\0' : '\n') != EOF;
    return done ? 0 : error_set(e, ERR_CLOSED, "standard output: cannot be written");
}

static int run_get(struct store *s, const struct arguments *a, const char *key, struct error *e) {
    struct bytes text;
    if (a->facts) {
        return store_facts_print(s, key, e);
    }
    bytes_init(&text, STREAM_SAMPLE_LIMIT);
    int rc = store_has(s, key, e);
    if (rc == 0) {
        rc = error_set(e, ERR_FORMAT, "%s: is not in the store", key);
    }
    if (rc == 1 && a->cells) {
        bytes_close(&text);
        return store_cells_print(s, key, e);
    }
    if (rc == 1) {
        rc = a->text ? store_get_text(s, key, &text, e) : store_get_json(s, key, &text, e);
    }
    if (rc == 0) {
        rc = error_set(e, ERR_FORMAT, "%s: the store has no %s of it", key,
                       a->text ? "text" : "JSON");
    }
    if (rc == 1) {
        rc = print(bytes_text(&text), e);
        if (rc == 0 && !a->text) {
            rc = print("\n", e);
        }
    }
    bytes_close(&text);
    return rc;
}

/* ---- stats --------------------------------------------------------------------------------- */

/* Counts text tokens with the file that is named, or the bundled r50k. */
static int open_tokenizer(struct tokenizer **out, const char *named, struct error *e) {
    char path[4096];
    *out = NULL;
    int rc = named == NULL ? data_file_find(path, sizeof path, "r50k_base.tiktoken", e) : 0;
    return rc == 0 ? tokenizer_open(out, named != NULL ? named : path, TOKENIZER_SPLIT_AUTO, e)
                   : rc;
}

static int count_tokens(void *context, const char *text, size_t size, size_t *tokens,
                        struct error *e) {
    return tokenizer_count(context, text, size, TOKENIZER_ORDINARY, tokens, e);
}

/* Without a tokenizer all the rest is printed; one that was asked for fails the run then. */
static int run_stats(struct store *s, const struct arguments *a, struct error *e) {
    struct tokenizer *tokenizer = NULL;
    struct store_stats stats;
    struct error why;
    int counted = open_tokenizer(&tokenizer, a->tokenizer, &why);
    struct tokenizer_state *state = NULL;
    int rc = tokenizer != NULL ? tokenizer_state_open(&state, tokenizer, e) : 0;
    const struct stats_tokens tokens = {.context = state, .count = count_tokens};
    if (rc == 0) {
        rc = store_stats(&stats, s, state != NULL ? &tokens : NULL, e);
    }
    const char *name = tokenizer != NULL ? tokenizer_name(tokenizer) : NULL;
    if (rc == 0 && a->json) {
        rc = print_json(store_stats_json(&stats, name), e);
    } else if (rc == 0) {
        stats_table_print(&stats, name);
    }
    tokenizer_state_close(state);
    tokenizer_close(tokenizer);
    if (rc == 0 && counted < 0 && a->tokenizer != NULL) {
        *e = why;
        return counted;
    }
    if (rc == 0 && counted < 0) {
        log_warning("text tokens were not counted: %s", why.text);
    }
    return rc;
}

/* ---- verify, export, merge, compact -------------------------------------------------------- */

static void print_fault(void *context, const char *line) {
    (void)context;
    puts(line);
}

static int run_verify(struct store *s, const char *path, struct error *e) {
    int64_t faults = store_verify(s, print_fault, NULL, e);
    return faults > 0    ? error_set(e, ERR_FORMAT, "%s: %" PRId64 " faults", path, faults)
           : faults == 0 ? 0
                         : (int)faults;
}

static int run_export(struct store *s, const struct arguments *a, char **keys, int count,
                      struct error *e) {
    int64_t pages = 0;
    bool to_stdout = a->format == EXPORT_TAR && a->output == NULL;
    if (!to_stdout && a->output == NULL) {
        return error_set(e, ERR_USAGE, "export needs --output PATH");
    }
    if (to_stdout && isatty(STDOUT_FILENO) && !a->force) {
        return error_set(
            e, ERR_USAGE,
            "a tar is binary and standard output is a terminal: use > FILE or --force");
    }
    int rc = 0;
    for (int i = 0; i < count && rc == 0; i++) { /* before the output is made */
        rc = store_check_pages(s, keys[i], e);
    }
    if (rc < 0) {
        return rc;
    }
    if (a->format == EXPORT_TAR && a->output != NULL && freopen(a->output, "wb", stdout) == NULL) {
        return error_set(e, ERR_IO, "%s: cannot be written", a->output);
    }
    rc = export_tokens(s, (enum export_format)a->format, a->output, STDOUT_FILENO,
                       count > 0 ? keys : NULL, (size_t)count, &cancelled, &pages, e);
    if (rc == 0) {
        log_info("%" PRId64 " pages", pages);
    }
    return rc;
}

static void name_differing(void *context, const char *key) {
    log_warning("%s: %s has different content; what is there is kept", key, (const char *)context);
}

static int merge_one(struct store *to, char *from, struct error *e) {
    struct store *other;
    struct store_copied copied;
    int rc = store_open(&other, from, e);
    if (rc == 0) {
        rc = store_merge(to, other, &copied, name_differing, from, e);
        store_close(other);
    }
    if (rc == 0) {
        log_info("%s: %" PRId64 " samples with %" PRId64 " pages; %" PRId64
                 " were already there, %" PRId64 " of them with different content",
                 from, copied.samples, copied.pages, copied.kept, copied.differing);
    }
    return rc;
}

static bool is_same_store(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int run_merge(const char *path, char **from, int count, struct error *e) {
    struct store *first = NULL, *to = NULL;
    for (int i = 0; i < count; i++) {
        if (is_same_store(path, from[i])) { /* LMDB lets no process open a store twice */
            return error_set(e, ERR_USAGE, "%s: is the store to merge into", from[i]);
        }
    }
    int rc = store_open(&first, from[0], e);
    if (rc == 0) {
        rc = store_open_write(&to, path, store_encoder(first), e);
    }
    store_close(first);
    for (int i = 0; i < count && rc == 0; i++) {
        rc = merge_one(to, from[i], e);
    }
    store_close(to);
    return rc;
}

/* ---- plot ----------------------------------------------------------------------------------- */

static int run_plot(struct store *s, struct arguments *a, const char *path, const char *picture,
                    struct error *e) {
    a->plot.store = path;
    a->plot.picture = picture;
    return a->decay ? store_plot_decay(s, &a->plot, &cancelled, e)
                    : error_set(e, ERR_USAGE, "say what to plot: --decay");
}

/* ---- rm ------------------------------------------------------------------------------------ */

static void name_page_lost(void *context, const char *key) {
    ++*(int64_t *)context;
    log_warning("%s: was on a removed pack and has no page any more: compress it again", key);
}

static void name_style_lost(void *context, const char *account) {
    (void)context;
    log_warning("%s: a removed sample was folded into this account's style token, which was reset",
                account);
}

static int run_remove(const char *path, const struct arguments *a, char **keys, int count,
                      struct error *e) {
    struct store *s = NULL;
    int64_t lost = 0;
    struct store_removal removal = {
        .lost_page = name_page_lost, .lost_style = name_style_lost, .context = &lost};
    if ((a->account != NULL) == (count > 0)) {
        return error_set(e, ERR_USAGE, "rm takes STORE KEY..., or STORE --account NAME");
    }
    int rc = store_open_write(&s, path, NULL, e);
    if (rc == 0) {
        rc = a->account != NULL ? store_remove_account(s, a->account, &removal, e)
                                : store_remove_samples(s, keys, (size_t)count, &removal, e);
    }
    store_close(s);
    if (rc == 0) {
        log_info("removed %" PRId64 " samples, %" PRId64 " packs, %" PRId64 " pages; %" PRId64
                 " other samples have lost their page. The bytes stay in free pages of the file; "
                 "'occ store compact' leaves them out",
                 removal.samples, removal.packs, removal.pages, lost);
    }
    return rc;
}

/* ---- The commands -------------------------------------------------------------------------- */

enum command { INFO, LS, GET, STATS, VERIFY, EXPORT, MERGE, PLOT, COMPACT, REMOVE, COMMAND_COUNT };

static const struct {
    const char *name;
    int least, most; /* arguments after the store */
    const char *wanted;
} COMMANDS[COMMAND_COUNT] = {
    [INFO] = {"info", 0, 0, "STORE"},
    [LS] = {"ls", 0, 0, "STORE"},
    [GET] = {"get", 1, 1, "STORE KEY"},
    [STATS] = {"stats", 0, 0, "STORE"},
    [VERIFY] = {"verify", 0, 0, "STORE"},
    [EXPORT] = {"export", 0, INT32_MAX, "STORE [KEY...]"},
    [MERGE] = {"merge", 1, INT32_MAX, "STORE FROM..."},
    [PLOT] = {"plot", 1, 1, "--decay STORE OUT.svg"},
    [COMPACT] = {"compact", 1, 1, "STORE COPY"},
    [REMOVE] = {"rm", 0, INT32_MAX, "STORE KEY..., or STORE --account NAME"},
};

static int choose(int operands, char **argv, enum command *command, struct error *e) {
    for (int i = 0; i < COMMAND_COUNT && operands > 0; i++) {
        if (strcmp(argv[1], COMMANDS[i].name) == 0) {
            *command = (enum command)i;
            int rest = operands - 2;
            return rest >= COMMANDS[i].least && rest <= COMMANDS[i].most
                       ? 0
                       : error_set(e, ERR_USAGE, "%s takes %s", argv[1], COMMANDS[i].wanted);
        }
    }
    return error_set(
        e, ERR_USAGE, "%s%.40s: info, ls, get, stats, verify, export, merge, plot, compact, rm",
        operands > 0 ? "no such command: " : "name a command", operands > 0 ? argv[1] : "");
}

static int run(enum command command, struct arguments *a, int operands, char **argv,
               struct error *e) {
    struct store *s = NULL;
    const char *path = argv[2];
    if (command == MERGE) {
        return run_merge(path, argv + 3, operands - 2, e);
    }
    if (command == REMOVE) {
        return run_remove(path, a, argv + 3, operands - 2, e);
    }
    int rc = store_open(&s, path, e);
    if (rc < 0) {
        return rc;
    }
    rc = command == INFO     ? run_info(s, path, e)
         : command == LS     ? store_each_sample(s, print_key, a, e)
         : command == GET    ? run_get(s, a, argv[3], e)
         : command == STATS  ? run_stats(s, a, e)
         : command == VERIFY ? run_verify(s, path, e)
         : command == EXPORT ? run_export(s, a, argv + 3, operands - 2, e)
         : command == PLOT   ? run_plot(s, a, path, argv[3], e)
                             : store_compact(s, argv[3], e);
    store_close(s);
    return rc;
}

int main(int argc, char **argv) {
    struct arguments a = {.format = EXPORT_NPY, .messages = {.verbose = 1}};
    struct error e = {0};
    enum command command = INFO;
    int operands = 0, rc = options_parse(&TOOL, argc, argv, &a, &operands, &e);
    if (rc == OPTIONS_DONE) {
        return EXIT_DONE;
    }
    tool_begin(&TOOL, &a.messages, &cancelled, PATIENCE);
    if (rc == 0) {
        rc = choose(operands, argv, &command, &e);
    }
    if (rc == 0) {
        rc = run(command, &a, operands, argv, &e);
    }
    if (rc == ERR_USAGE) {
        return options_usage_error(&TOOL, &e);
    }
    return tool_end(tool_close_output(rc, &e), TOOL_STARTS_OVER, &e);
}
