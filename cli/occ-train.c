/* occ-train.c - the command line of `occ train`. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/device_choice.h"
#include "cli/mix.h"
#include "cli/number.h"
#include "cli/picture.h"
#include "cli/tool.h"
#include "compress/encoder.h"
#include "compress/trained.h"
#include "store/file.h"
#include "store/log.h"
#include "train/plot.h"
#include "train/read/pages.h"
#include "train/read/read.h"

struct arguments {
    struct read_options read;
    struct training_mix mix;
    const char *output, *sizes, *profiles, *samples, *random, *pictures, *rate, *average, *halving,
        *simple, *staged;
    int64_t seed;
    struct device_choice device;
    struct tool_messages messages;
    bool some; /* what could not be read was left out */
};

#define FIELD(name) offsetof(struct arguments, name)
static const struct option_spec OPTIONS[] = {
    {"", .help = "What comes out"},
    {"output", 'o', OPTION_TEXT, FIELD(output), "PATH",
     .help =
         "read: the folder for the checkpoint, metrics.ndjson and encoder.safetensors; a training "
         "run that is there is resumed. plot: the file; default, or -: standard output"},
    {"", .help = "What is learned from (read)"},
    {"sizes", 0, OPTION_TEXT, FIELD(sizes), "MIX",
     .help = "page sizes: shares of tiny, base, hifi and crop (512 pixels of a base page)"},
    {"profiles", 0, OPTION_TEXT, FIELD(profiles), "MIX",
     .help = "typefaces and spacings: shares of read10, clear, dense, cell10 and cell8"},
    {"samples", 0, OPTION_TEXT, FIELD(samples), "SHARE",
     .help = "share of the pages that are laid out as those of an archive are, of made-up samples: "
             "descriptions, scripts and comments in words of the text, with emoji, names, prices"},
    {"random", 0, OPTION_TEXT, FIELD(random), "SHARE",
     .help = "share of the other pages that hold random strings, not text"},
    {"simple", 0, OPTION_TEXT, FIELD(simple), "SHARE",
     .help = "share of the training run, at its beginning, with pages of ASCII in the first "
             "profile alone"},
    {"pictures", 0, OPTION_TEXT, FIELD(pictures), "SHARE",
     .help = "share of the other pages that have pictures between the text; samples have them two "
             "and a half times as often"},
    {"", .help = "How (read)"},
    {"from", 0, OPTION_TEXT, FIELD(read.from), "FILE",
     .help = "initial weights: an encoder's file, as this command writes it or as it is bundled"},
    {"steps", 0, OPTION_INTEGER, FIELD(read.trainer.schedule.steps), "N", .help = "number of steps",
     .minimum = 1},
    {"batch", 0, OPTION_INTEGER, FIELD(read.batch), "N",
     .help = "tiny pages per step; of larger ones, as many as cost the same", .minimum = 1,
     .maximum = 4096},
    {"rate", 0, OPTION_TEXT, FIELD(rate), "NUMBER", .help = "the highest learning rate"},
    {"warm-up", 0, OPTION_INTEGER, FIELD(read.trainer.schedule.warm_up), "N",
     .help = "steps during which the learning rate rises; after them it falls as half a cosine"},
    {"average", 0, OPTION_TEXT, FIELD(average), "SHARE",
     .help = "write the running mean of the weights that keeps this share at each step; 0: the "
             "last weights"},
    {"staged", 0, OPTION_TEXT, FIELD(staged), "SHARE",
     .help = "share of the training run in which the encoder's stages start to learn one after "
             "another: until half of it the patches alone, then the convolutions too, then all"},
    {"halving", 0, OPTION_TEXT, FIELD(halving), "SHARE",
     .help = "share of the pages that are read after one to four halvings of their tokens"},
    {"seed", 0, OPTION_INTEGER, FIELD(seed), "N", .help = "seed of weights and pages"},
    {"save", 0, OPTION_DURATION, FIELD(read.trainer.save_ms), "TIME",
     .help = "time between checkpoints"},
    {"stop-at", 0, OPTION_INTEGER, FIELD(read.trainer.stop_at), "STEP",
     .help = "write a checkpoint after this step and stop, as after a signal; 0: never"},
    {"threads", 'j', OPTION_INTEGER, FIELD(read.trainer.threads), "N",
     .help = "pages processed at the same time; 0 means one per core", .maximum = 256},
    DEVICE_ROW(struct arguments, device),
    {"", .help = "Messages"},
    TOOL_QUIET_ROW(struct arguments, messages),
    TOOL_VERBOSE_ROW(
        struct arguments, messages,
        "report progress: step, loss, rate, time left; default: when standard error is a terminal"),
    TOOL_LOG_ROW(struct arguments, messages),
    {0}};

static const struct tool TOOL = {
    .name = "occ-train",
    .summary = "train encoders, plot their progress",
    .operands = "COMMAND FILE...",
    .description =
        "read TEXT... trains an encoder and its reading head from random weights, on pages of the "
        "text files, of random strings and of made-up samples, drawn as they are needed. After a "
        "training run was "
        "killed, the same command resumes it from its last checkpoint, and it ends with the same "
        "bytes as one that was not killed.\n\n"
        "plot FOLDER draws the loss of a training run, running or ended, by pages seen, from "
        "metrics.ndjson in its folder, as an SVG picture. The file can be named instead.",
    .examples = "occ train read -o run --profiles cell10,cell8 text/*.txt\n"
                "    run/encoder.safetensors is an encoder for 'occ compress --model'\n"
                "occ train plot run -o curve.svg\n"
                "    the loss of that run\n",
    .options = OPTIONS,
};

static volatile sig_atomic_t cancelled;
enum { PATIENCE = 60 /* seconds: a step in hand takes less */ };

/* ---- read ----------------------------------------------------------------------------------- */

static int check_read(struct arguments *a, struct error *e) {
    struct trainer_options *o = &a->read.trainer;
    if (a->output == NULL) {
        return error_set(e, ERR_USAGE, "no folder is named: --output FOLDER");
    }
    if (device_choice_settle(&a->device, e) == ERR_USAGE) {
        return ERR_USAGE; /* any other failure is the run's */
    }
    a->read.seed = a->mix.seed = (uint64_t)a->seed;
    o->folder = a->output;
    o->device = BACKEND_NAMES[a->device.device];
    int rc = mix_parse(a->read.sizes, READ_SIZE_NAMES, "sizes", a->sizes, e);
    if (rc == 0) {
        rc = mix_parse(a->mix.profiles, PROFILE_NAMES, "profiles", a->profiles, e);
    }
    if (rc == 0) {
        rc = number_parse(&a->mix.samples, "samples", a->samples, 0, 1, e);
    }
    if (rc == 0) {
        rc = number_parse(&a->mix.random, "random", a->random, 0, 1, e);
    }
    if (rc == 0) {
        rc = number_parse(&a->mix.pictures, "pictures", a->pictures, 0, 1, e);
    }
    if (rc == 0) {
        rc = number_parse(&a->mix.simple, "simple", a->simple, 0, 0.5, e);
    }
    if (rc == 0) {
        rc = number_parse(&o->schedule.rate, "rate", a->rate, 1e-8, 1, e);
    }
    if (rc == 0) {
        rc = number_parse(&o->optimizer.ema, "average", a->average, 0, 0.999999, e);
    }
    if (rc == 0) {
        rc = number_parse(&a->read.staged, "staged", a->staged, 0, 0.9, e);
    }
    return rc == 0 ? number_parse(&a->read.halving, "halving", a->halving, 0, 1, e) : rc;
}

/* For the file of weights: the profiles that it has seen, so that others can be warned of, and that
 * its pages were grey. */
static json_t *metadata_of(const struct arguments *a) {
    json_t *profiles = json_array();
    for (int i = 0; i < PROFILE_COUNT; i++) {
        if (a->mix.profiles[i] > 0) {
            json_array_append_new(profiles, json_string(PROFILE_NAMES[i]));
        }
    }
    char *text = profiles != NULL ? json_dumps(profiles, JSON_COMPACT) : NULL;
    json_t *metadata = text != NULL
                           ? json_pack("{s:s, s:s}", TRAINED_PROFILES, text, ENCODER_PAGES, "grey")
                           : NULL;
    json_decref(profiles);
    free(text);
    return metadata;
}

static int run_read(struct arguments *a, char **files, int count, struct error *e) {
    struct alphabet *alphabet = NULL;
    struct training_pages *pages = NULL;
    struct trainer_result result = {0};
    int rc = alphabet_open(&alphabet, e);
    if (rc == 0) {
        rc = config_named(&a->read.encoder, "nano", e);
    }
    if (rc == 0) {
        rc = training_pages_open(&pages, &a->mix, alphabet, files, count, e);
    }
    if (rc == 0 && mkdir(a->output, 0777) != 0 && errno != EEXIST) {
        rc = error_errno(e, errno, "%s", a->output);
    }
    if (rc == 0) {
        const struct read_source source = training_pages_source(pages);
        a->read.reading.classes = alphabet_count(alphabet);
        json_t *metadata = metadata_of(a);
        rc = read_train(&a->read, alphabet, &source, metadata, &cancelled, &result, e);
        json_decref(metadata);
        log_info("%" PRId64 " steps, %" PRId64 " pages, %.1f pages/s, %" PRId64 " steps skipped",
                 result.step, result.samples, result.samples_per_second, result.skipped);
    }
    training_pages_close(pages);
    alphabet_close(alphabet);
    return rc;
}

/* ---- plot ----------------------------------------------------------------------------------- */

static int run_plot(struct arguments *a, char **files, int count, struct error *e) {
    enum { LARGEST = 64 << 20 };
    char path[PATH_MAX];
    struct stat status;
    struct bytes metrics, picture;
    struct plot_counts counts;
    (void)count;
    bool folder = stat(files[0], &status) == 0 && S_ISDIR(status.st_mode);
    int size = snprintf(path, sizeof path, "%s%s", files[0], folder ? "/metrics.ndjson" : "");
    if (size < 0 || (size_t)size >= sizeof path) {
        return error_set(e, ERR_LIMIT, "%.40s...: the path is too long", files[0]);
    }
    bytes_init(&metrics, LARGEST);
    bytes_init(&picture, LARGEST);
    int rc = file_read(path, &metrics, e);
    if (rc == 0) {
        rc = plot_training(&picture, bytes_text(&metrics), metrics.size, &counts, e);
        rc = rc < 0 ? error_context(e, "%s", path)
                    : picture_write(a->output, &picture, &cancelled, e);
    }
    if (rc == 0 && counts.left_out > 0) {
        log_error("%s: %" PRId64 " of %" PRId64 " lines were left out; the first: %s", path,
                  counts.left_out, counts.lines, counts.first.text);
        a->some = true;
    }
    bytes_close(&picture);
    bytes_close(&metrics);
    return rc;
}

/* ---- The commands -------------------------------------------------------------------------- */

struct command {
    const char *name;
    int least, most; /* files */
    const char *wanted;
    int (*check)(struct arguments *a, struct error *e); /* NULL: any options will do */
    int (*run)(struct arguments *a, char **files, int count, struct error *e);
};
static const struct command COMMANDS[] = {
    {"read", 1, INT_MAX, "TEXT...", check_read, run_read},
    {"plot", 1, 1, "FOLDER or one FILE", NULL, run_plot},
};
enum { COMMAND_COUNT = sizeof COMMANDS / sizeof *COMMANDS };

static int choose(int operands, char **argv, const struct command **command, struct error *e) {
    for (int i = 0; i < COMMAND_COUNT && operands > 0; i++) {
        const struct command *c = &COMMANDS[i];
        if (strcmp(argv[1], c->name) == 0) {
            *command = c;
            return operands - 1 >= c->least && operands - 1 <= c->most
                       ? 0
                       : error_set(e, ERR_USAGE, "%s takes %s", c->name, c->wanted);
        }
    }
    return error_set(e, ERR_USAGE, "%s%.40s: read, plot",
                     operands > 0 ? "no such command: " : "name a command",
                     operands > 0 ? argv[1] : "");
}

int main(int argc, char **argv) {
    struct arguments a = {.read = READ_DEFAULTS,
                          .sizes = "tiny",
                          .profiles = "cell10",
                          .samples = "0.4",
                          .random = "0.33",
                          .pictures = "0.1",
                          .rate = "0.005",
                          .average = "0",
                          .halving = "0.5",
                          .simple = "0.03",
                          .staged = "0.35",
                          .seed = 1};
    struct error e = {0};
    const struct command *command = NULL;
    int operands = 0;
    a.read.trainer.schedule.steps = 20000;
    int rc = options_parse(&TOOL, argc, argv, &a, &operands, &e);
    if (rc == OPTIONS_DONE) {
        return EXIT_DONE;
    }
    if (rc == 0) {
        rc = choose(operands, argv, &command, &e);
    }
    if (rc == 0 && command->check != NULL) {
        rc = command->check(&a, &e);
    }
    if (rc != 0) {
        return options_usage_error(&TOOL, &e);
    }
    a.messages.verbose += a.messages.verbose == 0 && isatty(STDERR_FILENO);
    tool_begin(&TOOL, &a.messages, &cancelled, PATIENCE);
    int status = tool_end(command->run(&a, argv + 2, operands - 1, &e), TOOL_RESUMES, &e);
    return status == EXIT_DONE && a.some ? EXIT_SOME : status;
}
