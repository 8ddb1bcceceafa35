/* occ-forget.c - the command line of `occ forget`. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/day.h"
#include "cli/forget_plan.h"
#include "cli/shrinking.h"
#include "cli/tool.h"
#include "render/text/profile.h"
#include "store/log.h"

enum { DAY = 24 * 3600, JUMP = 90 * DAY /* from pass to pass: more is asked about */ };

struct arguments {
    struct forget_options forget;
    struct shrinking_options shrinking;
    const char *store, *now;
    int weight;
    int64_t tau_ms;
    bool pin, unpin, force;
    int facts; /* 1, 0; -1: not said */
    struct tool_messages messages;
};

static const char *const WEIGHTS[] = {"age", "adaptive", NULL};

#define FIELD(name) offsetof(struct arguments, name)
static const struct option_spec OPTIONS[] = {
    {"", .help = "What is forgotten"},
    {"store", 's', OPTION_TEXT, FIELD(store), "FOLDER", .help = "the token store",
     .environment = "OCC_STORE"},
    {"now", 0, OPTION_TEXT, FIELD(now), "DATE",
     .help = "the day from which ages are counted, such as 2026-11-23 (UTC), or Unix seconds; "
             "default: now"},
    {"tau", 0, OPTION_DURATION, FIELD(tau_ms), "TIME",
     .help = "age at which a page loses half of its tokens for the first time", .minimum = 1000},
    {"buckets", 0, OPTION_INTEGER, FIELD(forget.buckets), "K",
     .help = "how often a page is halved at most; older pages are folded into their account's "
             "style token",
     .maximum = 62},
    {"weight", 0, OPTION_CHOICE, FIELD(weight), "HOW",
     .help = "age counts every day the same; adaptive lets pages with many reactions, compared to "
             "others of their account, age up to twice as slowly, and those with few up to twice "
             "as fast",
     .choices = WEIGHTS},
    {"account", 0, OPTION_TEXT, FIELD(forget.account), "NAME", .help = "only this account"},
    {"keep-text", 0, OPTION_FLAG, FIELD(forget.keep_text),
     .help = "keep JSON and text of samples whose pages were all folded"},
    {"facts", 0, OPTION_SWITCH, FIELD(facts),
     .help = "keep the numbers, prices, dates, handles, hashtags and links of a page as short text "
             "beside its tokens when it is first made smaller, until it is folded; default: on"},
    {"force", 0, OPTION_FLAG, FIELD(force),
     .help = "accept a day more than 90 days after the last pass; without this, a wrong clock "
             "could forget everything"},
    {"dry-run", 'n', OPTION_FLAG, FIELD(forget.dry_run),
     .help = "print what would be done and what it would cost, and change nothing"},
    {"", .help = "How pages shrink"},
    {"operator", 0, OPTION_CHOICE, FIELD(shrinking.way), "NAME",
     .help = "merge makes one token of two, as the encoder learned it: of nested tokens it keeps "
             "the first half of the numbers of both, others it maps; pool takes their mean; resize "
             "draws the page again from its text, smaller, and encodes it; render puts as much of "
             "the text as fits on a smaller page; auto is merge, but does nothing where tokens are "
             "not nested, the store has no maps, and its encoder is not at hand or has none",
     .choices = SHRINKING_WAYS},
    ENCODER_FILE_ROW(
        struct arguments, shrinking.encoder,
        "the store's encoder, for resize and render, and for merge if the store does not have the "
        "maps yet; default: the bundled one"),
    DEVICE_ROW(struct arguments, shrinking.encoder.device),
    COMPUTE_ROW(struct arguments, shrinking.encoder.device),
    {"profile", 0, OPTION_CHOICE, FIELD(shrinking.profile), "NAME",
     .help = "typeface and spacing, for resize and render, of pages for which the store knows none",
     .choices = PROFILE_NAMES},
    {"", .help = "Pins"},
    {"pin", 0, OPTION_FLAG, FIELD(pin),
     .help = "keep the pages that show the samples KEY... as they are from now on, even when the "
             "samples are compressed again; a pack stands for the samples on it"},
    {"unpin", 0, OPTION_FLAG, FIELD(unpin), .help = "let the samples KEY... age again"},
    {"", .help = "Messages"},
    TOOL_QUIET_ROW(struct arguments, messages),
    TOOL_VERBOSE_ROW(struct arguments, messages, "say what was done"),
    TOOL_LOG_ROW(struct arguments, messages),
    {0}};

static const struct tool TOOL = {
    .name = "occ-forget",
    .summary = "let old pages keep fewer tokens",
    .operands = "[KEY...]",
    .description =
        "Goes through a store and halves the token grid of each page as often as its "
        "age requires: a page of age a is in bucket k = floor(log2(1 + a / tau)) and "
        "keeps 1 / 2^k of its tokens. Past the last bucket, the mean of its tokens is "
        "added to the account's style token and the page is removed. So a store grows "
        "with the logarithm of its history. Pages without a usable date never age.\n\n"
        "Before it writes, it prints what that is about to cost: pages by bucket before "
        "and after, tokens, bytes, and how many words and numbers can be expected to be "
        "read back, where the encoder came with such a table (nothing with --quiet, or "
        "if nothing is to be done). Pages are merged as the encoder learned it: those of "
        "a profile that it did not learn to merge, and those that were halved as often "
        "as it did, stay as they are until they are folded.\n\n"
        "Run it every night: each account is one transaction, a run with nothing to do "
        "changes nothing, and a run that was killed is completed by the next. What was "
        "forgotten does not come back.",
    .examples = "occ forget --store tokens.occ --dry-run\n"
                "    pages and tokens by bucket, as they would be\n"
                "occ forget --store tokens.occ --pin banana/7312345678901234567\n"
                "    never forget this sample\n",
    .options = OPTIONS,
};

static volatile sig_atomic_t cancelled;
enum { PATIENCE = 9 /* seconds: an account in hand takes less */ };

static int check(struct arguments *a, int operands, struct error *e) {
    bool pins = a->pin || a->unpin;
    if (a->store == NULL) {
        return error_set(e, ERR_USAGE, "no store is named: --store FOLDER");
    }
    if (a->pin && a->unpin) {
        return error_set(e, ERR_USAGE, "--pin and --unpin cannot be used together");
    }
    if (pins != (operands > 0)) {
        return error_set(e, ERR_USAGE,
                         pins ? "name the samples: KEY..." : "KEYs need --pin or --unpin");
    }
    a->forget.adaptive = a->weight == 1;
    a->forget.tau = a->tau_ms / 1000;
    a->forget.facts = a->facts != 0;
    a->shrinking.store = a->store;
    a->shrinking.look_only = a->forget.dry_run;
    int rc = device_choice_settle(&a->shrinking.encoder.device, e);
    return rc == 0 ? day_parse(&a->forget.now, "now", a->now, e) : rc;
}

/* ---- The clock ----------------------------------------------------------------------------- */

/* 2026-11-23, or seconds where a calendar has no such day. */
static void format_day(char text[32], int64_t seconds) {
    time_t time = (time_t)seconds;
    struct tm date;
    if (gmtime_r(&time, &date) == NULL || strftime(text, 32, "%Y-%m-%d", &date) == 0) {
        snprintf(text, 32, "%" PRId64, seconds);
    }
}

/* A pass much later than the one before may be a wrong clock. */
static int check_clock(struct store *s, const struct arguments *a, struct error *e) {
    int64_t last;
    char then[32], now[32];
    int rc = forget_last_pass(s, &last, e);
    if (rc < 0 || last == 0 || (double)a->forget.now - (double)last <= (double)JUMP) {
        return rc;
    }
    format_day(then, last);
    format_day(now, a->forget.now);
    return error_set(e, ERR_UNSUPPORTED,
                     "%s: this pass would count ages to %s, more than %d days after the last pass, "
                     "%s. What is forgotten does not come back: if the day is right, use --force",
                     a->store, now, JUMP / DAY, then);
}

/* ---- A run --------------------------------------------------------------------------------- */

/* What is gone is reported without being asked for. */
static void report_removed(const struct arguments *a, const struct forget_result *r) {
    if (r->folded > 0) {
        log_warning("%" PRId64 " samples with %" PRId64 " pages, %" PRId64
                    " bytes, were removed: past bucket %" PRId64
                    ", they are in the style tokens of their accounts%s",
                    r->removed_samples, r->folded, r->removed_bytes, a->forget.buckets,
                    a->forget.keep_text ? "; JSON and text were kept" : "");
    }
    if (r->undated > 0) {
        log_warning("%" PRId64 " pages have no usable date and never age: occ store ls --undated",
                    r->undated);
    }
    if (r->future > 0) {
        log_info("%" PRId64 " pages are dated later than this pass, and do not age yet", r->future);
    }
}

static void report_left(const struct shrinking *k, const struct forget_result *r) {
    int64_t means = r->unshrinkable - r->left;
    if (means > 0) {
        log_warning("%" PRId64 " pages had shrunk in another way before: for these, means were "
                    "taken, not %s",
                    means, shrinking_name(k));
    }
    if (r->left > 0) {
        const struct forget_operator *op = shrinking_operator(k);
        bool merges = op->shrunk_by == SHRINK_MERGE || op->shrunk_by == SHRINK_NEST;
        log_warning("%" PRId64 " pages stay as they are: %s cannot make them smaller, since they "
                    "%s; --operator pool can",
                    r->left, shrinking_name(k),
                    merges ? "were drawn anew before" : "have no text or no known grid");
    }
    if (r->held_profile > 0) {
        log_warning("%" PRId64 " pages stay as they are: the encoder did not learn to merge pages "
                    "of profile %.*s; --operator render or pool makes them smaller",
                    r->held_profile, TOKEN_PROFILE, r->held_name);
    }
    if (r->held_means > 0) {
        log_warning("%" PRId64 " pages stay as they are: their nested tokens have no means; "
                    "--operator merge halves them",
                    r->held_means);
    }
    if (r->held_levels > 0) {
        log_info("%" PRId64 " pages stay in bucket %d, the encoder learned no further halving",
                 r->held_levels, r->levels);
    }
}

static void report_facts(const struct forget_result *r) {
    if (r->facts > 0) {
        log_info("%" PRId64 " facts were kept of pages made smaller, %.1f%% of their text",
                 r->facts, 100 * (double)r->facts_bytes / (double)r->facts_text);
    }
    if (r->facts_left_out > 0) {
        log_warning("%" PRId64 " facts of %" PRId64 " pages were not kept: no room beside "
                    "their page",
                    r->facts_left_out, r->facts_cut);
    }
    if (r->damaged_texts > 0) {
        log_warning("%" PRId64 " pages have a damaged text, so none of their facts was kept: occ "
                    "store verify",
                    r->damaged_texts);
    }
    if (r->factless > r->damaged_texts) {
        log_info("%" PRId64 " pages have no text in the store, so none of their facts was kept",
                 r->factless - r->damaged_texts);
    }
}

static void summarize(const struct arguments *a, const struct shrinking *k,
                      const struct forget_result *r) {
    log_info("%" PRId64 " accounts, %" PRId64 " pages: %" PRId64 " made smaller, %" PRId64
             " folded, %" PRId64 " pinned; %" PRId64 " tokens became %" PRId64
             ", %.1f MB became %.1f MB",
             r->accounts, r->pages, r->shrunk, r->folded, r->pinned, r->tokens_before,
             r->tokens_after, (double)r->bytes_before * 1e-6, (double)r->bytes_after * 1e-6);
    report_removed(a, r);
    report_left(k, r);
    report_facts(r);
}

/* Prints what is about to be done, if anything is. */
static int announce(struct store *s, const struct arguments *a,
                    const struct forget_options *options, struct error *e) {
    struct forget_result planned;
    struct forget_options dry = *options;
    dry.dry_run = true;
    if (a->messages.quiet) {
        return 0;
    }
    int rc = forget_run(s, &dry, &cancelled, &planned, e);
    return rc == 0 && planned.shrunk + planned.folded > 0 ? forget_plan_print(&planned, options, e)
                                                          : rc;
}

static int run_forget(struct store *s, const struct arguments *a, struct error *e) {
    struct shrinking *k = NULL;
    struct forget_options options = a->forget;
    struct forget_result result;
    int rc = a->force ? 0 : check_clock(s, a, e);
    if (rc == 0) {
        rc = shrinking_open(&k, s, &a->shrinking, e);
    }
    if (rc == 0) {
        options.shrink = shrinking_operator(k);
        rc = announce(s, a, &options, e);
    }
    if (rc == 0) {
        rc = forget_run(s, &options, &cancelled, &result, e);
    }
    if (rc == 0) {
        summarize(a, k, &result);
    }
    shrinking_close(k);
    return rc;
}

/* Whatever the pass itself would be refused for is reported with the plan. */
static void warn_of_refusal(int rc, const struct error *why) {
    if (rc < 0) {
        log_warning("without --dry-run this pass would be refused: %s", why->text);
    }
}

static int run_dry(struct store *s, const struct arguments *a, struct error *e) {
    struct shrinking *k = NULL;
    struct forget_options options = a->forget;
    struct forget_result planned;
    struct error why;
    if (!a->force) {
        warn_of_refusal(check_clock(s, a, &why), &why);
    }
    int rc = shrinking_open(&k, s, &a->shrinking, &why);
    warn_of_refusal(rc, &why);
    options.shrink = rc == 0 ? shrinking_operator(k) : NULL;
    rc = forget_run(s, &options, &cancelled, &planned, e);
    shrinking_close(k);
    return rc == 0 ? forget_plan_print(&planned, &options, e) : rc;
}

static int run(const struct arguments *a, int operands, char **argv, struct error *e) {
    struct store *s = NULL;
    bool dry = a->forget.dry_run;
    int rc = dry ? store_open(&s, a->store, e) : store_open_write(&s, a->store, NULL, e);
    if (rc == 0) {
        rc = operands > 0 ? store_pin(s, argv + 1, (size_t)operands, a->pin, e)
             : dry        ? run_dry(s, a, e)
                          : run_forget(s, a, e);
    }
    store_close(s);
    return rc;
}

int main(int argc, char **argv) {
    struct arguments a = {.forget = FORGET_DEFAULTS, .facts = -1};
    struct error e = {0};
    a.tau_ms = 1000 * a.forget.tau;
    int operands = 0, rc = options_parse(&TOOL, argc, argv, &a, &operands, &e);
    if (rc == OPTIONS_DONE) {
        return EXIT_DONE;
    }
    if (rc == 0) {
        rc = check(&a, operands, &e);
    }
    if (rc < 0) {
        return options_usage_error(&TOOL, &e);
    }
    tool_begin(&TOOL, &a.messages, &cancelled, PATIENCE);
    return tool_end(run(&a, operands, argv, &e), TOOL_RESUMES, &e);
}
