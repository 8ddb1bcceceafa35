/* occ-train.c - the command line of `occ train`. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/number.h"
#include "cli/picture.h"
#include "cli/train_command.h"
#include "store/file.h"
#include "store/log.h"
#include "train/plot.h"

#define FIELD(name) offsetof(struct train_arguments, name)
static const struct option_spec OPTIONS[] = {
    {"", .help = "What comes out"},
    {"output", 'o', OPTION_TEXT, FIELD(output), "PATH",
     .help = "read, tune: the folder for the checkpoint, metrics.ndjson and the weights "
             "(encoder.safetensors, adapter/ or model/); a training run that is there is resumed. "
             "plot: the file; default, or -: standard output"},
    {"predict", 0, OPTION_FLAG, FIELD(tune.predict),
     .help = "tune: print the memory that a run would take, by what for, and do nothing else; "
             "DATA is not needed, and --model may be a preset"},
    {"json", 0, OPTION_FLAG, FIELD(tune.json), .help = "with --predict: bytes, as JSON"},
    {"", .help = "What is learned from (read)"},
    {"sizes", 0, OPTION_TEXT, FIELD(read.sizes), "MIX",
     .help = "page sizes: shares of tiny, base, hifi and crop (512 pixels of a base page)"},
    {"profiles", 0, OPTION_TEXT, FIELD(read.profiles), "MIX",
     .help = "typefaces and spacings: shares of read10, clear, dense, cell10 and cell8"},
    {"samples", 0, OPTION_TEXT, FIELD(read.samples), "SHARE",
     .help = "share of the pages that are laid out as those of an archive are, of made-up samples: "
             "descriptions, scripts and comments in words of the text, with emoji, names, prices"},
    {"random", 0, OPTION_TEXT, FIELD(read.random), "SHARE",
     .help = "share of the other pages that hold random strings, not text"},
    {"simple", 0, OPTION_TEXT, FIELD(read.simple), "SHARE",
     .help = "share of the training run, at its beginning, with pages of ASCII in the first "
             "profile alone"},
    {"pictures", 0, OPTION_TEXT, FIELD(read.pictures), "SHARE",
     .help = "share of the other pages that have pictures between the text; samples have them two "
             "and a half times as often"},
    {"average", 0, OPTION_TEXT, FIELD(read.average), "SHARE",
     .help = "write the running mean of the weights that keeps this share at each step; 0: the "
             "last weights"},
    {"staged", 0, OPTION_TEXT, FIELD(read.staged), "SHARE",
     .help = "share of the training run in which the encoder's stages start to learn one after "
             "another: until half of it the patches alone, then the convolutions too, then all"},
    {"halving", 0, OPTION_TEXT, FIELD(read.halving), "SHARE",
     .help = "share of the pages that are read after one to four halvings of their tokens"},
    {"", .help = "What is tuned, and on what (tune)"},
    {"model", 'm', OPTION_TEXT, FIELD(tune.model), "FOLDER",
     .help = "the language model, in the Hugging Face layout: config.json, safetensors, "
             "tokenizer.json"},
    {"method", 0, OPTION_CHOICE, FIELD(tune.method), "NAME",
     .help = "full: all weights; lora: adapters of low rank beside the frozen matrices",
     .choices = TUNE_METHOD_NAMES},
    {"rank", 0, OPTION_INTEGER, FIELD(tune.rank), "N",
     .help = "lora: rank of adapters; default: 16", .minimum = 1, .maximum = LORA_RANK},
    {"alpha", 0, OPTION_TEXT, FIELD(tune.alpha), "NUMBER",
     .help = "lora: what adapters add is multiplied by alpha / rank; default: twice the rank"},
    {"dropout", 0, OPTION_TEXT, FIELD(tune.dropout), "SHARE",
     .help = "lora: share of an adapter's inputs that are left out at random while it learns; "
             "default: 0"},
    {"targets", 0, OPTION_TEXT, FIELD(tune.targets), "LIST",
     .help = "lora: the adapted matrices; default: q,k,v,o,gate,up,down"},
    {"weights", 0, OPTION_CHOICE, FIELD(tune.weights), "FORMAT",
     .help = "lora: how the frozen matrices lie in memory; auto: packed ones as they are stored, "
             "others in the type of matrix products",
     .choices = DECODER_FORMAT_NAMES},
    {"context", 0, OPTION_INTEGER, FIELD(tune.corpus.context), "N",
     .help = "tokens of a row at most; longer texts go on in the next; default: 8192, or what the "
             "model was trained on where that is less",
     .minimum = 2, .maximum = CORPUS_CONTEXT},
    {"packing", 0, OPTION_SWITCH, FIELD(tune.packing),
     .help = "several texts share a row, none of which sees another; default: yes"},
    {"prompts", 0, OPTION_FLAG, FIELD(tune.corpus.prompts), .help = "prompts are learned too"},
    {"hold-out", 0, OPTION_TEXT, FIELD(tune.held_out), "SHARE",
     .help = "share of each account's texts, the newest, that are measured and not learned"},
    {"measure", 0, OPTION_INTEGER, FIELD(tune.options.measure_steps), "STEPS",
     .help = "steps between measurements of held-out text; the weights that do best are written",
     .minimum = 1},
    {"measure-rows", 0, OPTION_INTEGER, FIELD(tune.options.measure_rows), "N",
     .help = "rows of held-out text that are measured, at most", .minimum = 1},
    {"patience", 0, OPTION_INTEGER, FIELD(tune.options.patience), "N",
     .help = "end after this many measurements without a better one; 0: never"},
    {"epochs", 0, OPTION_TEXT, FIELD(tune.epochs), "NUMBER",
     .help = "how often all text is learned, where --steps does not say"},
    {"time", 0, OPTION_DURATION, FIELD(tune.options.trainer.time_ms), "TIME",
     .help = "end after this time, with what was learned by then; 0: no limit"},
    {"recompute", 0, OPTION_CHOICE, FIELD(tune.recompute), "WHAT",
     .help = "what is computed again to save memory: none, which is fastest; block: within each "
             "block of the network; all: more than that",
     .choices = TAPE_RECOMPUTE_NAMES},
    COMPUTE_ROW(struct train_arguments, device),
    {"", .help = "How (read, tune)"},
    {"from", 0, OPTION_TEXT, FIELD(from), "PATH",
     .help = "what to begin with. read: an encoder's file, as this command writes it or as it is "
             "bundled; tune: the folder of an adapter"},
    {"steps", 0, OPTION_INTEGER, FIELD(steps), "N",
     .help = "number of steps; default: 20000 to read, as many as --epochs need to tune",
     .minimum = 1},
    {"batch", 0, OPTION_INTEGER, FIELD(batch), "N",
     .help = "read: tiny pages per step, and of larger ones as many as cost the same, default 4; "
             "tune: rows per step, default 640, or all there are",
     .minimum = 1, .maximum = 4096},
    {"rate", 0, OPTION_TEXT, FIELD(rate), "NUMBER",
     .help = "the highest learning rate; default: 0.005 to read, 0.00003 to tune"},
    {"warm-up", 0, OPTION_INTEGER, FIELD(warm_up), "N",
     .help = "steps during which the learning rate rises; after them it falls as half a cosine; "
             "default: 100 to read, 3% of the steps to tune"},
    {"seed", 0, OPTION_INTEGER, FIELD(seed), "N", .help = "seed of weights, pages and order"},
    {"save", 0, OPTION_DURATION, FIELD(save_ms), "TIME", .help = "time between checkpoints"},
    {"stop-at", 0, OPTION_INTEGER, FIELD(stop_at), "STEP",
     .help = "write a checkpoint after this step and stop, as after a signal; 0: never"},
    {"threads", 'j', OPTION_INTEGER, FIELD(threads), "N",
     .help = "read: pages processed at the same time; tune: threads that share each row; 0 means "
             "one per core",
     .maximum = 256},
    DEVICE_ROW(struct train_arguments, device),
    {"", .help = "Messages"},
    TOOL_QUIET_ROW(struct train_arguments, messages),
    TOOL_VERBOSE_ROW(
        struct train_arguments, messages,
        "report progress: step, loss, rate, time left; default: when standard error is a terminal"),
    TOOL_LOG_ROW(struct train_arguments, messages),
    {0}};

static const struct tool TOOL = {
    .name = "occ-train",
    .summary = "train encoders, tune language models, plot their progress",
    .operands = "COMMAND FILE...",
    .description =
        "read TEXT... trains an encoder and its reading head from random weights, on pages of the "
        "text files, of random strings and of made-up samples, drawn as they are needed.\n\n"
        "tune DATA... tunes a language model on text by account: a store, the stream of the stages "
        "(-: standard input), of which captions and scripts are learned, or JSON lines with "
        "\"messages\", \"prompt\" and \"completion\", or \"text\", and perhaps \"account\" and "
        "\"created\". Prompts are not learned, only continued. Adapters are written as PEFT writes "
        "them, models in the Hugging Face layout.\n\n"
        "After a training run was "
        "killed, the same command resumes it from its last checkpoint, and it ends with the same "
        "bytes as one that was not killed.\n\n"
        "plot FOLDER draws the loss of a training run, running or ended, from "
        "metrics.ndjson in its folder, as an SVG picture. The file can be named instead.",
    .examples = "occ train read -o run --profiles cell10,cell8 text/*.txt\n"
                "    run/encoder.safetensors is an encoder for 'occ compress --model'\n"
                "occ train tune --model smollm2 --batch 16 --rate 5e-4 -o run tokens.occ\n"
                "    run/adapter is an adapter for 'occ generate --adapter'\n"
                "occ train tune --predict --model tkllm-1.3b --method full\n"
                "    what memory a model of this size would take\n"
                "occ train plot run -o curve.svg\n"
                "    the loss of that run\n",
    .options = OPTIONS,
};

static volatile sig_atomic_t cancelled;
enum { PATIENCE = 60 /* seconds: a step in hand takes less */ };

/* ---- read, tune ------------------------------------------------------------------------------ */

int train_make_folder(const char *path, struct error *e) {
    return mkdir(path, 0777) == 0 || errno == EEXIST ? 0 : error_errno(e, errno, "%s", path);
}

int train_common(const struct train_arguments *a, struct trainer_options *o, struct error *e) {
    if (a->output == NULL) {
        return error_set(e, ERR_USAGE, "no folder is named: --output FOLDER");
    }
    struct device_choice choice = a->device;
    if (device_choice_settle(&choice, e) == ERR_USAGE) {
        return ERR_USAGE; /* any other failure is the run's */
    }
    o->folder = a->output;
    o->device = BACKEND_NAMES[a->device.device];
    o->schedule.steps = a->steps > 0 ? a->steps : o->schedule.steps;
    o->schedule.warm_up = a->warm_up >= 0 ? a->warm_up : o->schedule.warm_up;
    o->save_ms = a->save_ms;
    o->stop_at = a->stop_at;
    return a->rate != NULL ? number_parse(&o->schedule.rate, "rate", a->rate, 1e-8, 1, e) : 0;
}

/* ---- plot ----------------------------------------------------------------------------------- */

static int run_plot(struct train_arguments *a, char **files, int count,
                    const volatile sig_atomic_t *cancel, struct error *e) {
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
        rc = rc < 0 ? error_context(e, "%s", path) : picture_write(a->output, &picture, cancel, e);
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
    int (*check)(struct train_arguments *a, struct error *e); /* NULL: any options will do */
    int (*run)(struct train_arguments *a, char **files, int count,
               const volatile sig_atomic_t *cancel, struct error *e);
};
static const struct command COMMANDS[] = {
    {"read", 1, INT_MAX, "TEXT...", train_read_check, train_read_run},
    {"tune", 0, INT_MAX, "DATA...", train_tune_check, train_tune_run},
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
    return error_set(e, ERR_USAGE, "%s%.40s: read, tune, plot",
                     operands > 0 ? "no such command: " : "name a command",
                     operands > 0 ? argv[1] : "");
}

int main(int argc, char **argv) {
    struct train_arguments a = {.seed = 1,
                                .warm_up = -1,
                                .read = {.options = READ_DEFAULTS,
                                         .sizes = "tiny",
                                         .profiles = "cell10",
                                         .samples = "0.4",
                                         .random = "0.33",
                                         .pictures = "0.1",
                                         .average = "0",
                                         .halving = "0.5",
                                         .simple = "0.03",
                                         .staged = "0.35"},
                                .tune = {.options = TUNE_DEFAULTS,
                                         .method = TUNE_LORA,
                                         .recompute = RECOMPUTE_BLOCK,
                                         .held_out = "0.1",
                                         .epochs = "1",
                                         .packing = -1}};
    struct error e = {0};
    const struct command *command = NULL;
    int operands = 0;
    a.save_ms = a.read.options.trainer.save_ms;
    int rc = options_parse(&TOOL, argc, argv, &a, &operands, &e);
    if (rc == OPTIONS_DONE) {
        return EXIT_DONE;
    }
    if (rc == 0) {
        rc = choose(operands, argv, &command, &e);
    }
    a.files = operands - 1;
    if (rc == 0 && command->check != NULL) {
        rc = command->check(&a, &e);
    }
    if (rc != 0) {
        return options_usage_error(&TOOL, &e);
    }
    a.messages.verbose += a.messages.verbose == 0 && isatty(STDERR_FILENO);
    tool_begin(&TOOL, &a.messages, &cancelled, PATIENCE);
    rc = command->run(&a, argv + 2, a.files, &cancelled, &e);
    int status = tool_end(rc, TOOL_RESUMES, &e);
    return status == EXIT_DONE && a.some ? EXIT_SOME : status;
}
