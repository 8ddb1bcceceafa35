/* occ-eval.c - the command line of `occ eval`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/data_file.h"
#include "cli/encoder_choice.h"
#include "cli/eval_paper.h"
#include "cli/eval_perplexity.h"
#include "cli/eval_reading.h"
#include "cli/fidelity_output.h"
#include "cli/mix.h"
#include "cli/tool.h"
#include "store/cpu_count.h"
#include "store/file.h"
#include "store/log.h"

static volatile sig_atomic_t cancelled; /* of paper */

struct arguments {
    struct encoder_choice encoder;
    struct option_list texts; /* [NAME=]FILE */
    struct perplexity_arguments perplexity;
    struct reading_arguments reading;
    struct paper_arguments paper;
    const char *tokenizer, *modes, *profiles, *sets, *halvings, *operators, *calibrate, *record;
    char **files; /* file_count of them, after the command */
    int file_count;
    int64_t pages, threads, seed;
    struct tool_messages messages;
    bool json, codecs, calibration;
};

#define FIELD(name) offsetof(struct arguments, name)
static const struct option_spec OPTIONS[] = {
    {"", .help = "What is measured"},
    {"text", 't', OPTION_LIST, FIELD(texts), "FILE",
     .help = "UTF-8 text that the encoder was not trained on; NAME=FILE makes a set of that name, "
             "files of one name together; others, and FILEs after the command, are the set 'text'; "
             "of perplexity each file is a text of its own. May be given several times",
     .commands = "fidelity perplexity"},
    {"", .help = "Perplexity, reading"},
    PERPLEXITY_ROWS(struct arguments, perplexity, "perplexity paper", "perplexity paper reading"),
    READING_ROWS(struct arguments, reading),
    {"", .help = "The paper's table"},
    PAPER_ROWS(struct arguments, paper),
    {"", .help = "Fidelity"},
    {"sets", 0, OPTION_TEXT, FIELD(sets), "LIST",
     .help =
         "sets that are made: any of random (words of printable ASCII), digits (ids, money, "
         "dates), caps (the first set of text in capitals), samples (pages of made-up samples with "
         "its words, laid out as 'occ render' does), or none",
     .commands = "fidelity"},
    {"modes", 0, OPTION_TEXT, FIELD(modes), "LIST", .help = "page sizes: any of tiny, base, hifi",
     .commands = "fidelity"},
    {"profiles", 0, OPTION_TEXT, FIELD(profiles), "LIST",
     .help = "typefaces and spacings: any of cell10, cell8, read10, clear, dense",
     .commands = "fidelity"},
    {"pages", 'n', OPTION_INTEGER, FIELD(pages), "N",
     .help = "pages of each set, for each mode and profile; of a text, as many as it fills",
     .minimum = 1, .commands = "fidelity"},
    {"halvings", 'k', OPTION_TEXT, FIELD(halvings), "LIST",
     .help = "after how many halvings tokens are read: any of 0 to 4",
     .commands = "fidelity reading"},
    {"operators", 0, OPTION_TEXT, FIELD(operators), "LIST",
     .help = "how they are halved: any of own (what the encoder learned), pool, resize, render",
     .commands = "fidelity"},
    {"codecs", 0, OPTION_FLAG, FIELD(codecs), .help = "read tokens after each codec, too",
     .commands = "fidelity"},
    {"tokenizer", 0, OPTION_TEXT, FIELD(tokenizer), "FILE",
     .help = "the tokenizer that counts text tokens: a .tiktoken file or a tokenizer.json; "
             "default: r50k",
     .commands = "fidelity"},
    {"seed", 0, OPTION_INTEGER, FIELD(seed), "N", .help = "seed of what is random",
     .commands = "fidelity reading"},
    {"", .help = "What is made of it"},
    {"json", 0, OPTION_FLAG, FIELD(json),
     .help = "print one JSON object per line for each profile, mode and set, each text, or each "
             "figure"},
    {"calibration", 0, OPTION_FLAG, FIELD(calibration),
     .help = "print the confidence of all rows beside their accuracy, by tenths",
     .commands = "fidelity"},
    {"calibrate", 0, OPTION_TEXT, FIELD(calibrate), "FILE",
     .help = "write the line from the one to the other, for 'occ model convert --metadata "
             "occ.calibration=FILE'",
     .commands = "fidelity"},
    {"record", 0, OPTION_TEXT, FIELD(record), "FILE",
     .help = "write what is read of the texts after each number of halvings, for 'occ model "
             "convert --metadata occ.fidelity=FILE'",
     .commands = "fidelity"},
    {"", .help = "How"},
    ENCODER_FILE_ROW(struct arguments, encoder,
                     "an encoder with a reading head; default: the bundled one; of perplexity and "
                     "reading the folder of a language model"),
    DEVICE_ROW(struct arguments, encoder.device),
    COMPUTE_ROW(struct arguments, encoder.device),
    {"threads", 'j', OPTION_INTEGER, FIELD(threads), "N",
     .help = "pages at the same time, or threads that share the work on a window; 0 means one per "
             "core",
     .maximum = 256},
    {"quiet", 'q', OPTION_FLAG, FIELD(messages.quiet), .help = "print errors and results only"},
    {0}};

static const struct tool TOOL = {
    .name = "occ-eval",
    .summary = "measure what visual tokens keep, and what language models foresee and read",
    .operands = "COMMAND [FILE...]",
    .description =
        "fidelity renders pages of each set of texts, encodes them, reads the tokens back with the "
        "encoder's reading head, greedy, without a language model, and prints what came back: "
        "characters (1 - edit distance / length), and whole words, numbers, tags (#hashtags and "
        "@handles) and emoji, which count where all of them was read in their place; on pages of "
        "samples in cells the characters of headers; of the page that was read worst its "
        "characters; and characters and text tokens per visual token.\n\n"
        "A word is a run of letters; a number is a run of letters and digits with a digit in it, "
        "and may have . , : / and - within, as 1,234.56 or 2026-11-23.\n\n"
        "--calibrate wants pages like those that will be read later, many of them, and halvings "
        "too, since rows that are read badly are what confidence is for.\n\n"
        "perplexity prints how well a language model, with or without an adapter, foresees each "
        "text: the mean loss of a token (-ln p), perplexity (e to that), and bits per byte, by "
        "which models of different tokenizers can be compared. A text is cut into windows of "
        "--window tokens; the first of each is not foreseen. With --store it measures the newest "
        "posts of each account instead, caption and script each a row, after what --context shows "
        "of the older ones: rows, their tokens, the mean loss, perplexity, and the mean of the "
        "positions that the context takes and of the text tokens that it stands for.\n\n"
        "reading STORE... prints how well a language model with an adapter reads visual tokens: "
        "for spans of each length, with each number of soft tokens, the share of the text's tokens "
        "that are the likeliest when those before them are known, and their mean loss; then the "
        "perplexity of the text that follows the longest span, beside that after its text and "
        "after nothing.\n\n"
        "paper makes a table of ways to show a language model what it is to know of an account: "
        "each row is tuned on a store, measured on the newest posts, and written with, by programs "
        "of their own. It prints memory, compression, perplexity, how much of an account's style "
        "is met, and, where posts have counts of shares or likes, a score of captions, with "
        "intervals, and what was aimed at. All rows of a small model take a day; stopped or "
        "killed, it goes on.",
    .examples = "occ eval fidelity -t prose=book.txt -t social=captions.txt -k 0,1,2\n"
                "    fidelity against compression and forgetting\n"
                "occ eval fidelity --calibrate map.json -k 0,1,2 book.txt captions.txt\n"
                "occ model convert --metadata occ.calibration=map.json -o new.st old.st\n"
                "    an encoder whose confidence is the accuracy to expect\n"
                "occ eval perplexity -m smollm2 --adapter run/adapter new.txt\n"
                "    what tuning has brought, beside the same without --adapter\n"
                "occ eval perplexity -m smollm2 --adapter run/adapter --store tokens.occ\n"
                "    how well the newest posts are foreseen after the older ones\n"
                "occ eval reading -m smollm2 --adapter run/adapter tokens.occ\n"
                "    how well tokens are read\n"
                "occ eval paper -m smollm2 --adapter aligned --store tokens.occ -o table\n"
                "    table/table.md, and pictures\n"
                "occ eval paper -m smollm2 --store tokens.occ -o table --only none\n"
                "    a row that needs no adapter, before there is one\n",
    .options = OPTIONS,
};

enum { SETS = 16, SET_NAME = 32 };
enum { MADE_RANDOM, MADE_DIGITS, MADE_CAPS, MADE_SAMPLES, MADE_NONE, MADE_COUNT };
static const char *const MADE_NAMES[MADE_COUNT + 1] = {"random",  "digits", "caps",
                                                       "samples", "none",   NULL};
static const char *const HALVING_NAMES[FIDELITY_HALVINGS + 2] = {"0", "1", "2", "3", "4", NULL};

/* ---- Texts ------------------------------------------------------------------------------ */

struct named_text {
    char name[SET_NAME];
    struct bytes text;
};

/* What a run has open. */
struct bench {
    const struct arguments *a;
    struct encoder *encoder;
    struct reader *reader;
    struct tokenizer *tokenizer;
    struct named_text texts[SETS];
    struct text_set sets[SETS + MADE_COUNT];
    int text_count, set_count;
    bool profiles[PROFILE_COUNT], modes[DRAWN_MODES], made[MADE_COUNT];
    bool halvings[FIDELITY_HALVINGS + 1], operators[FIDELITY_OPERATORS];
    struct measured_rows rows;
    json_t *record;
};

static int find_text(struct bench *b, const char *name, size_t size, struct named_text **out,
                     struct error *e) {
    for (int i = 0; i < b->text_count; i++) {
        if (strlen(b->texts[i].name) == size && memcmp(b->texts[i].name, name, size) == 0) {
            *out = &b->texts[i];
            return 0;
        }
    }
    if (size == 0 || size >= SET_NAME || b->text_count == SETS) {
        return error_set(e, ERR_USAGE,
                         "--text: at most %d sets, whose names have 1 to %d characters", SETS,
                         SET_NAME - 1);
    }
    *out = &b->texts[b->text_count++];
    snprintf((*out)->name, sizeof(*out)->name, "%.*s", (int)size, name);
    bytes_init(&(*out)->text, (size_t)1 << 30);
    return 0;
}

/* Appends a file, so that no text begins within the last word of the one before. */
static int read_text(struct bench *b, const char *name, size_t name_size, const char *path,
                     struct error *e) {
    struct named_text *set;
    int rc = find_text(b, name, name_size, &set, e);
    if (rc < 0) {
        return rc;
    }
    size_t before = set->text.size;
    rc = file_read(path, &set->text, e);
    if (rc == 0 && set->text.size == before) {
        rc = error_set(e, ERR_FORMAT, "%s: is empty", path);
    }
    return rc == 0 ? bytes_append(&set->text, "\n", 1, e) : rc;
}

static int read_texts(struct bench *b, struct error *e) {
    static const char PLAIN[] = "text";
    int rc = 0;
    for (int i = 0; i < b->a->texts.count && rc == 0; i++) {
        const char *text = b->a->texts.texts[i], *equals = strchr(text, '=');
        rc = equals != NULL ? read_text(b, text, (size_t)(equals - text), equals + 1, e)
                            : read_text(b, PLAIN, strlen(PLAIN), text, e);
    }
    for (int i = 0; i < b->a->file_count && rc == 0; i++) {
        rc = read_text(b, PLAIN, strlen(PLAIN), b->a->files[i], e);
    }
    return rc;
}

static void list_sets(struct bench *b) {
    static const enum set_kind KINDS[] = {SET_RANDOM, SET_DIGITS, SET_CAPS, SET_SAMPLES};
    for (int i = 0; i < b->text_count + MADE_NONE; i++) {
        int made = i - b->text_count;
        const struct named_text *from = &b->texts[made < 0 ? i : 0];
        if (made < 0 || b->made[made]) {
            b->sets[b->set_count++] =
                (struct text_set){.name = made < 0 ? from->name : MADE_NAMES[made],
                                  .kind = made < 0 ? SET_TEXT : KINDS[made],
                                  .text = bytes_text(&from->text),
                                  .size = from->text.size};
        }
    }
}

/* ---- A run ------------------------------------------------------------------------------ */

static int bench_open(struct bench *b, struct error *e) {
    const struct arguments *a = b->a;
    char ranks[4096];
    const struct backend *backend = a->encoder.device.backend;
    enum dtype compute = a->encoder.device.type;
    snprintf(ranks, sizeof ranks, "%s", a->tokenizer != NULL ? a->tokenizer : "");
    int rc =
        a->tokenizer == NULL ? data_file_find(ranks, sizeof ranks, "r50k_base.tiktoken", e) : 0;
    if (rc == 0) {
        rc = tokenizer_open(&b->tokenizer, ranks, TOKENIZER_SPLIT_AUTO, e);
    }
    if (rc == 0) {
        rc = read_texts(b, e);
    }
    if (rc == 0) {
        rc = encoder_open(&b->encoder, a->encoder.file, NULL, backend, compute, e);
    }
    if (rc == 0) {
        rc = reader_open(&b->reader, a->encoder.file, backend, compute, e);
    }
    b->record = json_object();
    list_sets(b);
    return rc == 0 && b->record == NULL ? error_memory(e, NULL) : rc;
}

static void bench_close(struct bench *b) {
    reader_close(b->reader);
    encoder_close(b->encoder);
    tokenizer_close(b->tokenizer);
    for (int i = 0; i < b->text_count; i++) {
        bytes_close(&b->texts[i].text);
    }
    measured_rows_close(&b->rows);
    json_decref(b->record);
}

/* All sets on pages of one profile and mode; `texts` gets the sum over the sets of text. */
static int measure(struct bench *b, int profile, int mode, struct fidelity_result *texts,
                   struct error *e) {
    const struct arguments *a = b->a;
    struct fidelity_options options = {.encoder = b->encoder,
                                       .reader = b->reader,
                                       .tokenizer = b->tokenizer,
                                       .mode = (enum page_mode)mode_named(DRAWN_MODE_NAMES[mode]),
                                       .profile = profile,
                                       .pages = a->pages,
                                       .threads = a->threads > 0 ? a->threads : cpu_count(),
                                       .codecs = a->codecs,
                                       .seed = (uint64_t)a->seed};
    memcpy(options.halvings, b->halvings, sizeof options.halvings);
    memcpy(options.operators, b->operators, sizeof options.operators);
    options.rows = a->calibration || a->calibrate != NULL ? &b->rows : NULL;
    bool nested = reader_config(b->reader)->nested > 0;
    int rc = 0;
    for (int i = 0; i < b->set_count && rc == 0; i++) {
        struct fidelity_result result;
        const struct fidelity_line line = {.profile = PROFILE_NAMES[profile],
                                           .mode = DRAWN_MODE_NAMES[mode],
                                           .set = b->sets[i].name,
                                           .tokenizer = tokenizer_name(b->tokenizer),
                                           .own = nested ? "nested" : "merge",
                                           .result = &result};
        options.set = &b->sets[i];
        rc = fidelity_measure(&options, &result, e);
        if (rc == 0 && a->json) {
            rc = fidelity_print_json(&line, e);
        } else if (rc == 0) {
            fidelity_print(&line);
        }
        if (rc == 0 && b->sets[i].kind == SET_TEXT) {
            fidelity_add(texts, &result);
        }
        fflush(stdout);
    }
    return rc;
}

static int measure_profile(struct bench *b, int profile, struct error *e) {
    struct fidelity_result texts = {.worst = 1};
    int rc = 0;
    for (int mode = 0; mode < DRAWN_MODES && rc == 0; mode++) {
        if (b->modes[mode]) {
            if (!b->a->json) {
                fidelity_print_head(PROFILE_NAMES[profile], DRAWN_MODE_NAMES[mode]);
            }
            rc = measure(b, profile, mode, &texts, e);
        }
    }
    return rc == 0 ? fidelity_record(b->record, PROFILE_NAMES[profile], &texts, e) : rc;
}

static int write_json(const char *path, const json_t *root, struct error *e) {
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    int rc =
        text != NULL ? output_file_write(path, text, strlen(text), NULL, e) : error_memory(e, NULL);
    free(text);
    return rc;
}

static int calibrate(struct bench *b, struct error *e) {
    const struct arguments *a = b->a;
    struct calibration_tenth tenths[CALIBRATION_TENTHS];
    struct calibration line = *reader_calibration(b->reader);
    int rc = 0;
    measured_rows_sort(&b->rows);
    if (a->calibrate != NULL) {
        rc = calibration_fit(&line, &b->rows, e);
        json_t *root = rc == 0 ? calibration_json(&line) : NULL;
        rc = rc == 0 ? write_json(a->calibrate, root, e) : error_context(e, "--calibrate");
        json_decref(root);
    }
    if (rc == 0 && a->calibration) {
        calibration_table(tenths, &b->rows, &line);
        rc = fidelity_print_tenths(tenths, a->json, e);
    }
    return rc;
}

static int run(struct bench *b, struct error *e) {
    int rc = bench_open(b, e);
    for (int i = 0; i < PROFILE_COUNT && rc == 0; i++) {
        rc = b->profiles[i] ? measure_profile(b, i, e) : 0;
    }
    if (rc == 0 && b->a->record != NULL) {
        rc = write_json(b->a->record, b->record, e);
    }
    if (rc == 0 && (b->a->calibration || b->a->calibrate != NULL)) {
        rc = calibrate(b, e);
    }
    bench_close(b);
    return rc;
}

static int run_perplexity(struct arguments *a, struct error *e) {
    int rc = 0;
    struct perplexity_bench *p = NULL;
    rc = perplexity_open(&p, &a->perplexity, &a->encoder.device, a->threads, a->json, e);
    if (rc == 0 && a->perplexity.posts.store != NULL) {
        rc = perplexity_posts(p, e);
    }
    for (int i = 0; i < a->texts.count && rc == 0; i++) {
        const char *file = strchr(a->texts.texts[i], '=');
        rc = perplexity_text(p, file != NULL ? file + 1 : a->texts.texts[i], a->texts.texts[i],
                             file != NULL ? (size_t)(file - a->texts.texts[i]) : 0, e);
    }
    for (int i = 0; i < a->file_count && rc == 0; i++) {
        rc = perplexity_text(p, a->files[i], "", 0, e);
    }
    rc = rc == 0 ? perplexity_total(p, e) : rc;
    perplexity_close(p);
    return rc;
}

/* ---- The command line -------------------------------------------------------------------- */

static int choose(bool *chosen, const char *const *names, const char *option, const char *text,
                  struct error *e) {
    enum { MOST = 16 };
    double shares[MOST];
    int rc = mix_parse(shares, names, option, text, e);
    for (int i = 0; names[i] != NULL && rc == 0; i++) {
        chosen[i] = shares[i] > 0;
    }
    return rc;
}

/* What the command has of the options of several. */
static struct reading_arguments *reading_of(struct arguments *a) {
    struct reading_arguments *r = &a->reading;
    r->model = a->encoder.file;
    r->adapter = a->perplexity.adapter;
    r->weights = a->perplexity.weights;
    r->encoder = a->perplexity.posts.encoder;
    r->hold_accounts = a->perplexity.posts.hold_accounts;
    r->row = a->perplexity.posts.context.row;
    r->halvings = a->halvings;
    r->threads = a->threads;
    r->seed = a->seed;
    r->json = a->json;
    r->stores = a->files;
    r->count = a->file_count;
    return r;
}

static bool is_paper(int operands, const char *command) {
    return operands >= 1 && strcmp(command, "paper") == 0;
}

static int check_paper(struct arguments *a, struct error *e) {
    const int rc = device_choice_settle(&a->encoder.device, e);
    a->paper.model = a->encoder.file;
    a->paper.shown = &a->perplexity;
    a->paper.device = &a->encoder.device;
    a->paper.threads = a->threads;
    a->paper.json = a->json;
    return rc == 0 ? paper_check(&a->paper, a->file_count, e) : rc;
}

static int check(struct bench *b, int operands, const char *command, struct arguments *a,
                 struct error *e) {
    if (is_paper(operands, command)) {
        return check_paper(a, e);
    }
    if (operands >= 1 && strcmp(command, "reading") == 0) {
        return reading_check(reading_of(a), &a->encoder.device, e);
    }
    bool perplexity = operands >= 1 && strcmp(command, "perplexity") == 0;
    if (operands < 1 || (!perplexity && strcmp(command, "fidelity") != 0)) {
        return error_set(e, ERR_USAGE, "name a command: fidelity, perplexity, reading or paper");
    }
    const int texts = a->texts.count + a->file_count;
    if (texts < 1 && (!perplexity || a->perplexity.posts.store == NULL)) {
        return error_set(e, ERR_USAGE, "no text is named: FILE or --text FILE");
    }
    if (perplexity) {
        a->perplexity.model = a->encoder.file;
        return perplexity_check(&a->perplexity, texts, &a->encoder.device, e);
    }
    int rc = choose(b->profiles, PROFILE_NAMES, "profiles", a->profiles, e);
    if (rc == 0) {
        rc = choose(b->modes, DRAWN_MODE_NAMES, "modes", a->modes, e);
    }
    if (rc == 0) {
        rc = choose(b->made, MADE_NAMES, "sets", a->sets, e);
    }
    if (rc == 0) {
        rc = choose(b->halvings, HALVING_NAMES, "halvings", a->halvings, e);
    }
    if (rc == 0) {
        rc = choose(b->operators, FIDELITY_OPERATOR_NAMES, "operators", a->operators, e);
    }
    return rc == 0 ? encoder_choice_settle(&a->encoder, e) : rc;
}

int main(int argc, char **argv) {
    struct arguments a = {.modes = "tiny",
                          .profiles = "cell10",
                          .sets = "random",
                          .halvings = "0",
                          .operators = "own",
                          .pages = 20,
                          .seed = 1,
                          .reading = {.spans = "1,2,4,8,16,32,64", .rows = 8},
                          .paper = PAPER_DEFAULTS,
                          .messages = {.verbose = 1}};
    struct bench b = {.a = &a};
    struct error e = {0};
    int operands = 0, rc = options_parse(&TOOL, argc, argv, &a, &operands, &e);
    if (rc == OPTIONS_DONE) {
        return EXIT_DONE;
    }
    const bool paper = is_paper(operands, argv[1]);
    tool_begin(&TOOL, &a.messages, paper ? &cancelled : NULL, 0);
    a.files = argv + 2;
    a.file_count = operands - 1;
    if (rc == 0) {
        rc = check(&b, operands, argv[1], &a, &e);
    }
    if (rc < 0) {
        return options_usage_error(&TOOL, &e);
    }
    rc = paper                        ? paper_run(&a.paper, &cancelled, &e)
         : a.reading.model != NULL    ? reading_run(&a.reading, &a.encoder.device, &e)
         : a.perplexity.model != NULL ? run_perplexity(&a, &e)
                                      : run(&b, &e);
    if (rc == ERR_USAGE) {
        return options_usage_error(&TOOL, &e);
    }
    return tool_end(tool_close_output(rc, &e), paper ? TOOL_RESUMES : TOOL_STARTS_OVER, &e);
}
