/* occ-eval.c - the command line of `occ eval`. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/data_file.h"
#include "cli/encoder_choice.h"
#include "cli/mix.h"
#include "cli/tool.h"
#include "store/cpu_count.h"
#include "store/file.h"
#include "store/log.h"
#include "train/fidelity/fidelity.h"

struct arguments {
    struct encoder_choice encoder;
    const char *tokenizer, *text, *modes, *profiles;
    char **texts; /* text_count of them, after the command */
    int text_count;
    int64_t pages, steps, threads, seed;
    struct tool_messages messages;
    bool json;
};

#define FIELD(name) offsetof(struct arguments, name)
static const struct option_spec OPTIONS[] = {
    {"", .help = "What is measured"},
    {"text", 't', OPTION_TEXT, FIELD(text), "FILE",
     .help =
         "UTF-8 text that the encoder was not trained on; FILEs after the command are added to it"},
    {"modes", 0, OPTION_TEXT, FIELD(modes), "LIST", .help = "page sizes: any of tiny, base, hifi"},
    {"profiles", 0, OPTION_TEXT, FIELD(profiles), "LIST",
     .help = "typefaces and spacings: any of read10, clear, dense"},
    {"pages", 'n', OPTION_INTEGER, FIELD(pages), "N",
     .help = "pages of text, and as many of random strings, for each mode and profile",
     .minimum = 1},
    {"steps", 'k', OPTION_INTEGER, FIELD(steps), "K",
     .help = "how often each operator of forgetting halves the pages", .maximum = FIDELITY_STEPS},
    {"tokenizer", 0, OPTION_TEXT, FIELD(tokenizer), "FILE",
     .help = "the tokenizer that counts text tokens: a .tiktoken file or a tokenizer.json; "
             "default: r50k"},
    {"seed", 0, OPTION_INTEGER, FIELD(seed), "N", .help = "seed of the random strings"},
    {"", .help = "How"},
    ENCODER_FILE_ROW(struct arguments, encoder,
                     "an encoder with a reading head; default: the bundled one"),
    DEVICE_ROW(struct arguments, encoder.device),
    COMPUTE_ROW(struct arguments, encoder.device),
    {"threads", 'j', OPTION_INTEGER, FIELD(threads), "N",
     .help = "pages at the same time; 0 means one per core", .maximum = 256},
    {"json", 0, OPTION_FLAG, FIELD(json),
     .help = "print one JSON object per line for each mode and profile"},
    {"quiet", 'q', OPTION_FLAG, FIELD(messages.quiet), .help = "print errors and results only"},
    {0}};

static const struct tool TOOL = {
    .name = "occ-eval",
    .summary = "measure what visual tokens keep",
    .operands = "COMMAND [FILE...]",
    .description =
        "fidelity renders pages of the text of all FILEs and of random strings of printable ASCII, "
        "encodes them, reads the tokens back with the encoder's reading head, and prints how many "
        "text tokens each visual token stands for and the share of characters that were recovered: "
        "1 - edit distance / length, greedy, without a language model. It does the same after each "
        "codec and, with --steps, after forgetting: merge (the encoder's own maps), pool (means), "
        "resize (the page made smaller and encoded again), render (as much of the text as fits on "
        "a smaller page).",
    .examples = "occ eval fidelity --text book.txt --profiles read10,dense --steps 3\n"
                "    fidelity against compression and forgetting\n",
    .options = OPTIONS,
};

/* ---- Results ---------------------------------------------------------------------------- */

static void print_share(const struct fidelity_errors *errors) {
    double accuracy = fidelity_accuracy(errors);
    if (isnan(accuracy)) {
        printf("  %7s", "-");
    } else {
        printf("  %6.2f%%", 100 * accuracy);
    }
}

static void print_pair(const char *name, const struct fidelity_errors *prose,
                       const struct fidelity_errors *random) {
    printf("    %-12s", name);
    print_share(prose);
    print_share(random);
    printf("\n");
}

static void print_text(const struct arguments *a, const char *profile, const char *mode,
                       const struct fidelity_result *r) {
    const struct fidelity_result *prose = &r[FIDELITY_PROSE], *random = &r[FIDELITY_RANDOM];
    printf("%s %s: %.1f text tokens (%.1f characters) per visual token; %" PRId64
           " pages; worst page %.2f%%\n",
           profile, mode, (double)prose->text_tokens / (double)prose->visual_tokens,
           (double)prose->characters / (double)prose->visual_tokens, prose->pages,
           100 * prose->worst);
    printf("    %-12s  %7s  %7s\n", "", "prose", "random");
    print_pair("f32", &prose->fresh, &random->fresh);
    for (int i = 0; i < CODEC_COUNT; i++) {
        print_pair(CODEC_NAMES[i], &prose->codecs[i], &random->codecs[i]);
    }
    for (int i = 0; i < FIDELITY_OPERATORS; i++) {
        for (int k = 0; k < a->steps; k++) {
            char name[32];
            snprintf(name, sizeof name, "%s k=%d", FIDELITY_OPERATOR_NAMES[i], k + 1);
            if (prose->forgotten[i][k].length > 0) {
                print_pair(name, &prose->forgotten[i][k], &random->forgotten[i][k]);
            }
        }
    }
}

static json_t *share_json(const struct fidelity_errors *errors) {
    double accuracy = fidelity_accuracy(errors);
    return isnan(accuracy) ? json_null() : json_real(accuracy);
}

static json_t *kind_json(const struct arguments *a, const struct fidelity_result *r) {
    json_t *root = json_pack(
        "{s:I, s:I, s:I, s:I, s:f, s:o}", "pages", (json_int_t)r->pages, "characters",
        (json_int_t)r->characters, "text_tokens", (json_int_t)r->text_tokens, "visual_tokens",
        (json_int_t)r->visual_tokens, "worst", r->worst, "f32", share_json(&r->fresh));
    for (int i = 0; i < CODEC_COUNT; i++) {
        json_object_set_new(root, CODEC_NAMES[i], share_json(&r->codecs[i]));
    }
    for (int i = 0; i < FIDELITY_OPERATORS && a->steps > 0; i++) {
        json_t *list = json_array();
        for (int k = 0; k < a->steps; k++) {
            json_array_append_new(list, share_json(&r->forgotten[i][k]));
        }
        json_object_set_new(root, FIDELITY_OPERATOR_NAMES[i], list);
    }
    return root;
}

static int print_json(const struct arguments *a, const char *profile, const char *mode,
                      const char *tokenizer, const struct fidelity_result *r, struct error *e) {
    json_t *root = json_pack("{s:s, s:s, s:s, s:o, s:o}", "profile", profile, "mode", mode,
                             "tokenizer", tokenizer, "prose", kind_json(a, &r[FIDELITY_PROSE]),
                             "random", kind_json(a, &r[FIDELITY_RANDOM]));
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(7)) : NULL;
    json_decref(root);
    if (text == NULL) {
        return error_memory(e, NULL);
    }
    puts(text);
    free(text);
    return 0;
}

/* ---- Measuring ------------------------------------------------------------------------------ */

/* What a run has open. */
struct bench {
    struct encoder *encoder;
    struct reader *reader;
    struct tokenizer *tokenizer;
    struct bytes text;
};

/* Appends a text, so that none begins within the last word of the one before. */
static int read_text(struct bench *b, const char *path, struct error *e) {
    size_t before = b->text.size;
    int rc = file_read(path, &b->text, e);
    if (rc == 0 && b->text.size == before) {
        rc = error_set(e, ERR_FORMAT, "%s: is empty", path);
    }
    return rc == 0 ? bytes_append(&b->text, "\n", 1, e) : rc;
}

static int read_texts(struct bench *b, const struct arguments *a, struct error *e) {
    int rc = a->text != NULL ? read_text(b, a->text, e) : 0;
    for (int i = 0; i < a->text_count && rc == 0; i++) {
        rc = read_text(b, a->texts[i], e);
    }
    return rc;
}

static int bench_open(struct bench *b, const struct arguments *a, struct error *e) {
    char ranks[4096];
    const struct backend *backend = a->encoder.device.backend;
    enum dtype compute = a->encoder.device.type;
    int rc = 0;
    snprintf(ranks, sizeof ranks, "%s", a->tokenizer != NULL ? a->tokenizer : "");
    bytes_init(&b->text, (size_t)1 << 30);
    if (a->tokenizer == NULL) {
        rc = data_file_find(ranks, sizeof ranks, "r50k_base.tiktoken", e);
    }
    if (rc == 0) {
        rc = tokenizer_open(&b->tokenizer, ranks, TOKENIZER_SPLIT_AUTO, e);
    }
    if (rc == 0) {
        rc = read_texts(b, a, e);
    }
    if (rc == 0) {
        rc = encoder_open(&b->encoder, a->encoder.file, NULL, backend, compute, e);
    }
    if (rc == 0) {
        rc = reader_open(&b->reader, a->encoder.file, backend, compute, e);
    }
    return rc;
}

static void bench_close(struct bench *b) {
    reader_close(b->reader);
    encoder_close(b->encoder);
    tokenizer_close(b->tokenizer);
    bytes_close(&b->text);
}

static int run(const struct arguments *a, const double *profiles, const double *modes,
               struct error *e) {
    struct bench b = {.encoder = NULL};
    struct fidelity_result results[FIDELITY_KINDS];
    int rc = bench_open(&b, a, e);
    struct fidelity_options options = {.encoder = b.encoder,
                                       .reader = b.reader,
                                       .tokenizer = b.tokenizer,
                                       .text = bytes_text(&b.text),
                                       .text_size = b.text.size,
                                       .pages = a->pages,
                                       .steps = a->steps,
                                       .threads = a->threads > 0 ? a->threads : cpu_count(),
                                       .seed = (uint64_t)a->seed};
    for (int i = 0; i < PROFILE_COUNT * DRAWN_MODES && rc == 0; i++) {
        const char *mode = DRAWN_MODE_NAMES[i % DRAWN_MODES];
        options.profile = i / DRAWN_MODES;
        options.mode = (enum page_mode)mode_named(mode);
        if (profiles[options.profile] <= 0 || modes[i % DRAWN_MODES] <= 0) {
            continue;
        }
        const char *profile = PROFILE_NAMES[options.profile];
        rc = fidelity_measure(&options, results, e);
        if (rc == 0 && a->json) {
            rc = print_json(a, profile, mode, tokenizer_name(b.tokenizer), results, e);
        } else if (rc == 0) {
            print_text(a, profile, mode, results);
        }
        fflush(stdout);
    }
    bench_close(&b);
    return rc;
}

int main(int argc, char **argv) {
    struct arguments a = {
        .modes = "tiny", .profiles = "read10", .pages = 20, .seed = 1, .messages = {.verbose = 1}};
    struct error e = {0};
    double profiles[PROFILE_COUNT] = {0}, modes[DRAWN_MODES] = {0};
    int operands = 0, rc = options_parse(&TOOL, argc, argv, &a, &operands, &e);
    if (rc == OPTIONS_DONE) {
        return EXIT_DONE;
    }
    tool_begin(&TOOL, &a.messages, NULL, 0);
    if (rc == 0 && (operands < 1 || strcmp(argv[1], "fidelity") != 0)) {
        rc = error_set(&e, ERR_USAGE, "name a command: fidelity");
    }
    a.texts = argv + 2;
    a.text_count = operands - 1;
    if (rc == 0 && a.text == NULL && a.text_count < 1) {
        rc = error_set(&e, ERR_USAGE, "no text is named: FILE or --text FILE");
    }
    if (rc == 0) {
        rc = mix_parse(profiles, PROFILE_NAMES, "profiles", a.profiles, &e);
    }
    if (rc == 0) {
        rc = mix_parse(modes, DRAWN_MODE_NAMES, "modes", a.modes, &e);
    }
    if (rc == 0) {
        rc = encoder_choice_settle(&a.encoder, &e);
    }
    if (rc < 0) {
        return options_usage_error(&TOOL, &e);
    }
    rc = run(&a, profiles, modes, &e);
    return tool_end(tool_close_output(rc, &e), TOOL_STARTS_OVER, &e);
}
