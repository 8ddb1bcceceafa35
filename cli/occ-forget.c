/* occ-forget.c - the command line of `occ forget`. */
#define _DEFAULT_SOURCE /* timegm */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/data_file.h"
#include "cli/options.h"
#include "cli/repage.h"
#include "cli/signals.h"
#include "compress/readback.h"
#include "render/profile.h"
#include "store/log.h"

enum way { AUTO, MERGE, POOL, RESIZE, RENDER };

struct arguments {
    struct forget_options forget;
    const char *store, *now, *model;
    char bundled[4096]; /* the path of the encoder that ships with the programs */
    int how, weight, profile;
    int64_t tau_ms;
    bool pin, unpin, quiet;
    int verbose, log_style;
};

static const char *const OPERATORS[] = {"auto", "merge", "pool", "resize", "render", NULL};
static const char *const WEIGHTS[] = {"age", "adaptive", NULL};

#define FIELD(name) offsetof(struct arguments, name)
static const struct option_spec OPTIONS[] = {
    {"", .help = "What is forgotten"},
    {"store", 's', OPTION_TEXT, FIELD(store), "FOLDER", .help = "the token store",
     .environment = "OCC_STORE"},
    {"now", 0, OPTION_TEXT, FIELD(now), "DATE",
     .help = "the day that ages are counted to, as in 2026-11-23 (UTC), or Unix seconds; without "
             "it, now"},
    {"tau", 0, OPTION_DURATION, FIELD(tau_ms), "TIME",
     .help = "age at which a page gives up half of its tokens for the first time", .minimum = 1000},
    {"buckets", 0, OPTION_INTEGER, FIELD(forget.buckets), "K",
     .help = "most halvings; older pages are folded into their account's style token",
     .maximum = 62},
    {"weight", 0, OPTION_CHOICE, FIELD(weight), "HOW",
     .help = "age counts every day the same; adaptive lets pages with many reactions, compared to "
             "others of their account, age up to twice as slowly, those with few as fast",
     .choices = WEIGHTS},
    {"account", 0, OPTION_TEXT, FIELD(forget.account), "NAME", .help = "only this account"},
    {"keep-text", 0, OPTION_FLAG, FIELD(forget.keep_text),
     .help = "keep JSON and text of samples whose pages were all folded"},
    {"dry-run", 'n', OPTION_FLAG, FIELD(forget.dry_run),
     .help = "print what would be done, and do nothing"},
    {"", .help = "How pages shrink"},
    {"operator", 0, OPTION_CHOICE, FIELD(how), "NAME",
     .help = "merge makes one token of two by maps that the encoder learned for it; pool takes "
             "their mean; resize draws the page again from its text, smaller, and encodes it; "
             "render sets as much of the text as fits on a smaller page; auto is merge where the "
             "store's encoder has the maps, else pool",
     .choices = OPERATORS},
    {"model", 'm', OPTION_TEXT, FIELD(model), "FILE",
     .help = "the store's encoder, for all but pool; without it, the bundled one",
     .environment = "OCC_MODEL"},
    {"profile", 0, OPTION_CHOICE, FIELD(profile), "NAME",
     .help = "how the pages were set, for resize and render", .choices = PROFILE_NAMES},
    {"", .help = "Pins"},
    {"pin", 0, OPTION_FLAG, FIELD(pin), .help = "keep the samples KEY... as they are from now on"},
    {"unpin", 0, OPTION_FLAG, FIELD(unpin), .help = "let the samples KEY... age again"},
    {"", .help = "Messages"},
    {"quiet", 'q', OPTION_FLAG, FIELD(quiet), .help = "print errors only"},
    {"verbose", 'v', OPTION_COUNT, FIELD(verbose), .help = "tell what was done"},
    {"log", 0, OPTION_CHOICE, FIELD(log_style), "STYLE", .help = "style of messages",
     .choices = LOG_STYLES},
    {0}};

static const struct tool TOOL = {
    .name = "occ-forget",
    .summary = "let old pages keep fewer tokens",
    .operands = "[KEY...]",
    .description =
        "Goes through a store and halves the token grid of each page as often as its age asks for: "
        "a page of age a is in bucket k = floor(log2(1 + a / tau)) and keeps 1 / 2^k of its "
        "tokens. Past the last bucket its mean is added to the account's style token and the page "
        "removed. So a store grows with the logarithm of its history.\n\n"
        "To be run nightly: an account is one transaction, a run with nothing to do changes "
        "nothing, and a killed run is completed by the next. What was forgotten does not come "
        "back.",
    .examples = "occ forget --store tokens.occ --dry-run\n"
                "    pages and tokens by bucket, as they would be\n"
                "occ forget --store tokens.occ --pin banana/7312345678901234567\n"
                "    this sample is not to be forgotten\n",
    .options = OPTIONS,
};

static volatile sig_atomic_t cancelled;

/* 2026-11-23, or seconds. */
static int read_now(const char *text, int64_t *now, struct error *e) {
    int year, month, day, used = 0;
    char *end;
    if (text == NULL) {
        *now = (int64_t)time(NULL);
        return 0;
    }
    if (sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &used) == 3 && text[used] == '\0') {
        struct tm date = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
        *now = (int64_t)timegm(&date);
        if (date.tm_mon == month - 1 && date.tm_mday == day) { /* else there is no such day */
            return 0;
        }
    } else {
        *now = strtoll(text, &end, 10);
        if (end != text && *end == '\0') {
            return 0;
        }
    }
    return error_set(e, ERR_USAGE, "--now: '%.40s' is no day (2026-11-23) and no Unix time", text);
}

static int check(struct arguments *a, int operands, struct error *e) {
    bool pins = a->pin || a->unpin;
    if (a->store == NULL) {
        return error_set(e, ERR_USAGE, "no store is named: --store FOLDER");
    }
    if (a->pin && a->unpin) {
        return error_set(e, ERR_USAGE, "--pin and --unpin: one of them");
    }
    if (pins != (operands > 0)) {
        return error_set(e, ERR_USAGE,
                         pins ? "name the samples: KEY..." : "KEYs go with --pin or --unpin");
    }
    a->forget.adaptive = a->weight == 1;
    a->forget.tau = a->tau_ms / 1000;
    return read_now(a->now, &a->forget.now, e);
}

static int pin(struct store *s, const struct arguments *a, char **keys, int count,
               struct error *e) {
    for (int i = 0; i < count; i++) {
        int rc = forget_pin(s, keys[i], a->pin, e);
        if (rc <= 0) {
            return rc < 0 ? rc : error_set(e, ERR_FORMAT, "%s: is not in the store", keys[i]);
        }
    }
    return 0;
}

/* ---- How pages shrink ---------------------------------------------------------------------- */

/* What a run has open; all NULL for means. */
struct shrinking {
    struct encoder *encoder;
    struct reader *reader;
    struct reader_session *session;
    struct repager *repager;
    struct forget_operator shrink;
};

static void shrinking_close(struct shrinking *k) {
    repager_close(k->repager);
    reader_session_close(k->session);
    reader_close(k->reader);
    encoder_close(k->encoder);
}

/* The encoder that is named, or the bundled one. */
static int find_model(struct arguments *a, struct error *e) {
    if (a->model != NULL) {
        return 0;
    }
    int rc = data_file_find(a->bundled, sizeof a->bundled, "nano.safetensors", e);
    a->model = rc == 0 ? a->bundled : NULL;
    return rc;
}

static int open_encoder(struct shrinking *k, const struct arguments *a, struct store *s,
                        struct error *e) {
    enum dtype compute = BACKEND_CPU.has_bf16() ? DTYPE_BF16 : DTYPE_F32;
    int rc = encoder_open(&k->encoder, a->model, NULL, &BACKEND_CPU, compute, e);
    if (rc == 0 && encoder_fingerprint(k->encoder) != store_encoder(s)->fingerprint) {
        rc = error_set(e, ERR_UNSUPPORTED, "%s: is not the encoder of %s", a->model, a->store);
    }
    return rc;
}

/* The maps first: most encoders that have none are large. They compute in F32, which costs little
 * and loses nothing. */
static int open_merging(struct shrinking *k, struct arguments *a, struct store *s,
                        struct error *e) {
    int rc = reader_open(&k->reader, a->model, &BACKEND_CPU, DTYPE_F32, e);
    if (rc == 0 && !reader_merges(k->reader)) {
        rc = error_set(e, ERR_UNSUPPORTED, "%s: carries no maps for merging", a->model);
    }
    rc = rc == 0 ? open_encoder(k, a, s, e) : rc;
    if (rc == 0 && reader_dim(k->reader) != store_encoder(s)->dim) {
        rc = error_set(e, ERR_FORMAT, "%s: its maps are for tokens of another size", a->model);
    }
    rc = rc == 0 ? reader_session_open(&k->session, k->reader, e) : rc;
    if (rc == 0) {
        k->shrink = merge_operator(k->session);
    }
    return rc;
}

static int find_merged(void *context, const struct token_record *record, struct error *e) {
    (void)context;
    (void)e;
    return record->header.bucket > 0 && record->header.shrunk_by == SHRINK_MERGE;
}

/* Merging if the store's encoder is at hand and has the maps, else means; but means of what was
 * merged could not be read any more. */
static int open_auto(struct shrinking *k, struct arguments *a, struct store *s, struct error *e) {
    int found = find_model(a, e), rc = found == 0 ? open_merging(k, a, s, e) : found;
    a->how = rc == 0 ? MERGE : POOL;
    if (rc == 0) {
        log_info("pages are merged by the maps of %s", a->model);
        return 0;
    }
    if (found == 0 && rc != ERR_UNSUPPORTED) {
        return rc;
    }
    struct error why = *e;
    rc = store_each(s, a->forget.account, find_merged, NULL, e);
    if (rc > 0) {
        return error_set(e, ERR_UNSUPPORTED,
                         "%s: has pages that its encoder merged, and only that can merge them "
                         "further: --model FILE, or --operator pool to lose them (%.200s)",
                         a->store, why.text);
    }
    log_info("pages shrink to means: %s", why.text);
    return rc;
}

static int shrinking_open(struct shrinking *k, struct arguments *a, struct store *s,
                          struct error *e) {
    if (a->how == AUTO) {
        return open_auto(k, a, s, e);
    }
    if (a->how == POOL) {
        return 0;
    }
    int rc = find_model(a, e);
    if (rc < 0) {
        return error_context(e, "--operator %s needs the store's encoder (--model FILE)",
                             OPERATORS[a->how]);
    }
    if (a->how == MERGE) {
        return open_merging(k, a, s, e);
    }
    rc = open_encoder(k, a, s, e);
    rc = rc == 0 ? repager_open(&k->repager, s, k->encoder,
                                a->how == RESIZE ? REPAGE_RESIZE : REPAGE_RENDER, a->profile, e)
                 : rc;
    if (rc == 0) {
        k->shrink = repager_operator(k->repager);
    }
    return rc;
}

static int run_forget(struct store *s, struct arguments *a, struct forget_result *result,
                      struct error *e) {
    struct shrinking k = {.encoder = NULL};
    int rc = a->forget.dry_run ? 0 : shrinking_open(&k, a, s, e);
    if (rc == 0) {
        a->forget.shrink = k.shrink.shrink != NULL ? &k.shrink : NULL;
        rc = forget_run(s, &a->forget, &cancelled, result, e);
    }
    shrinking_close(&k);
    return rc;
}

/* ---- A run -------------------------------------------------------------------------------------
 */

static void print_plan(const struct forget_result *r) {
    printf("bucket      pages     tokens\n");
    for (int i = 0; i < STORE_BUCKETS; i++) {
        if (r->bucket_pages[i] > 0) {
            printf("%6d %10" PRId64 " %10" PRId64 "\n", i, r->bucket_pages[i], r->bucket_tokens[i]);
        }
    }
    printf("folded %10" PRId64 "\n", r->folded);
    printf("tokens %10" PRId64 " before, %" PRId64 " after\n", r->tokens_before, r->tokens_after);
}

static void summarize(const struct arguments *a, const struct forget_result *r) {
    log_info("%" PRId64 " accounts, %" PRId64 " pages: %" PRId64 " made smaller, %" PRId64
             " folded, %" PRId64 " pinned; %" PRId64 " tokens became %" PRId64
             ", %.1f MB became %.1f MB",
             r->accounts, r->pages, r->shrunk, r->folded, r->pinned, r->tokens_before,
             r->tokens_after, (double)r->bytes_before * 1e-6, (double)r->bytes_after * 1e-6);
    if (r->unshrinkable > 0) {
        log_warning("%" PRId64 " pages %s: for them the means were taken, not %s", r->unshrinkable,
                    a->how == MERGE ? "had shrunk in another way before"
                                    : "have no text or no known grid",
                    OPERATORS[a->how]);
    }
}

static int run(struct arguments *a, int operands, char **argv, struct error *e) {
    struct store *s = NULL;
    struct forget_result result = {0};
    int rc =
        a->forget.dry_run ? store_open(&s, a->store, e) : store_open_write(&s, a->store, NULL, e);
    if (rc < 0) {
        return rc;
    }
    if (operands > 0) {
        rc = pin(s, a, argv + 1, operands, e);
    } else {
        rc = run_forget(s, a, &result, e);
    }
    store_close(s);
    if (rc == 0 && a->forget.dry_run) {
        print_plan(&result);
        rc = fflush(stdout) == 0 ? 0 : error_set(e, ERR_IO, "standard output: cannot be written");
    }
    if (rc == 0 && operands == 0) {
        summarize(a, &result);
    }
    return rc;
}

int main(int argc, char **argv) {
    struct arguments a = {.forget = FORGET_DEFAULTS, .tau_ms = 7 * 24 * 3600 * (int64_t)1000};
    struct error e = {0};
    int operands = 0, rc = options_parse(&TOOL, argc, argv, &a, &operands, &e);
    if (rc == OPTIONS_DONE) {
        return EXIT_DONE;
    }
    rc = rc < 0 ? rc : check(&a, operands, &e);
    if (rc < 0) {
        return options_usage_error(&TOOL, &e);
    }
    enum log_level level = a.quiet ? LOG_ERROR : a.verbose == 0 ? LOG_WARNING : LOG_INFO;
    log_open(TOOL.name, level, a.log_style ? LOG_JSON : LOG_TEXT);
    signals_catch(&cancelled, 9);
    rc = run(&a, operands, argv, &e);
    alarm(0);
    if (rc == ERR_CANCELLED) {
        log_warning("stopped by a signal; run again, it goes on where it was");
        return EXIT_AGAIN;
    }
    if (rc < 0) {
        log_error("%s", e.text);
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}
