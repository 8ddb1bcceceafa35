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
     .help = "read, tune, align: the folder for the checkpoint, metrics.ndjson and the weights "
             "(encoder.safetensors, adapter/ or model/); a training run that is there is resumed. "
             "plot: the file; default, or -: standard output"},
    {"predict", 0, OPTION_FLAG, FIELD(tune.predict),
     .help = "print the memory that a run would take, by what for, and do nothing else; "
             "DATA is not needed, and --model may be a preset; visual tokens are those of a store "
             "of which nothing was forgotten",
     .commands = "tune align"},
    {"report", 0, OPTION_TEXT, FIELD(tune.report), "FILE",
     .help =
         "write what a run came to, as JSON, when it is complete: steps, tokens, held-out loss, "
         "memory by item, as predicted and as measured",
     .commands = "tune"},
    {"json", 0, OPTION_FLAG, FIELD(tune.json), .help = "with --predict: bytes, as JSON",
     .commands = "tune align"},
    {"", .help = "What is learned from (read)"},
    {"sizes", 0, OPTION_TEXT, FIELD(read.sizes), "MIX",
     .help = "page sizes: shares of tiny, base, hifi and crop (512 pixels of a base page)",
     .commands = "read"},
    {"profiles", 0, OPTION_TEXT, FIELD(read.profiles), "MIX",
     .help = "typefaces and spacings: shares of read10, clear, dense, cell10 and cell8",
     .commands = "read"},
    {"samples", 0, OPTION_TEXT, FIELD(read.samples), "SHARE",
     .help = "share of the pages that are laid out as those of an archive are, of made-up samples: "
             "descriptions, scripts and comments in words of the text, with emoji, names, prices",
     .commands = "read"},
    {"random", 0, OPTION_TEXT, FIELD(read.random), "SHARE",
     .help = "share of the other pages that hold random strings, not text", .commands = "read"},
    {"simple", 0, OPTION_TEXT, FIELD(read.simple), "SHARE",
     .help = "share of the training run, at its beginning, with pages of ASCII in the first "
             "profile alone",
     .commands = "read"},
    {"pictures", 0, OPTION_TEXT, FIELD(read.pictures), "SHARE",
     .help = "share of the other pages that have pictures between the text; samples have them two "
             "and a half times as often",
     .commands = "read"},
    {"average", 0, OPTION_TEXT, FIELD(read.average), "SHARE",
     .help = "write the running mean of the weights that keeps this share at each step; 0: the "
             "last weights",
     .commands = "read"},
    {"staged", 0, OPTION_TEXT, FIELD(read.staged), "SHARE",
     .help = "share of the training run in which the encoder's stages start to learn one after "
             "another: until half of it the patches alone, then the convolutions too, then all",
     .commands = "read"},
    {"halving", 0, OPTION_TEXT, FIELD(read.halving), "SHARE",
     .help = "share of the pages that are read after one to four halvings of their tokens",
     .commands = "read"},
    {"", .help = "What is tuned, and on what (tune, align)"},
    {"model", 'm', OPTION_TEXT, FIELD(tune.model), "FOLDER",
     .help = "the language model, in the Hugging Face layout: config.json, safetensors, "
             "tokenizer.json",
     .commands = "tune align"},
    {"method", 0, OPTION_CHOICE, FIELD(tune.method), "NAME",
     .help = "full: all weights; lora: adapters of low rank beside the frozen matrices; gspf: the "
             "rows of these whose gradients say most; random-mask: as many rows by chance; occ: "
             "gspf with --context visual and style experts",
     .choices = TUNE_METHOD_NAMES, .commands = "tune"},
    {"rank", 0, OPTION_INTEGER, FIELD(tune.rank), "N",
     .help = "lora: rank of adapters; default: 16", .minimum = 1, .maximum = LORA_RANK,
     .commands = "tune align"},
    {"alpha", 0, OPTION_TEXT, FIELD(tune.alpha), "NUMBER",
     .help = "lora: what adapters add is multiplied by alpha / rank; default: twice the rank",
     .commands = "tune align"},
    {"dropout", 0, OPTION_TEXT, FIELD(tune.dropout), "SHARE",
     .help = "lora: share of an adapter's inputs that are left out at random while it learns; "
             "default: 0",
     .commands = "tune align"},
    {"targets", 0, OPTION_TEXT, FIELD(tune.targets), "LIST",
     .help = "lora: the adapted matrices; default: q,k,v,o,gate,up,down", .commands = "tune align"},
    {"budget", 0, OPTION_TEXT, FIELD(tune.budget), "SHARE",
     .help = "gspf: share of the model's parameters that is trained, 0.02 or 2%; default: 2%, or "
             "what --memory allows",
     .commands = "tune"},
    {"memory", 0, OPTION_SIZE, FIELD(tune.memory), "SIZE",
     .help = "gspf: as many rows as the run can train in this memory", .commands = "tune"},
    {"mask", 0, OPTION_TEXT, FIELD(tune.mask), "FILE",
     .help = "gspf: the rows of this file, as mask.txt of a run names them", .commands = "tune"},
    {"freeze", 0, OPTION_TEXT, FIELD(tune.freeze), "SHARE",
     .help = "gspf: rows rest once their gradient stays below this share of what it was at first; "
             "0: never; default: 0.1",
     .commands = "tune"},
    {"probe", 0, OPTION_INTEGER, FIELD(tune.probe), "STEPS",
     .help = "gspf: steps between looks at the rows that rest, some of which go on; 0: none do; "
             "default: 50",
     .commands = "tune"},
    {"weights", 0, OPTION_CHOICE, FIELD(tune.weights), "FORMAT",
     .help = "how frozen matrices lie in memory; auto: packed ones as they are stored, "
             "others in the type of matrix products",
     .choices = DECODER_FORMAT_NAMES, .commands = "tune align"},
    CONTEXT_ROW(struct train_arguments, tune.context, "tune align"),
    {"packing", 0, OPTION_SWITCH, FIELD(tune.packing),
     .help = "several texts share a row, none of which sees another; default: yes",
     .commands = "tune"},
    {"prompts", 0, OPTION_FLAG, FIELD(tune.corpus.prompts), .help = "prompts are learned too",
     .commands = "tune"},
    {"hold-out", 0, OPTION_TEXT, FIELD(tune.held_out), "SHARE",
     .help = "share of each account's texts, the newest, that are measured and not learned; "
             "default: 0.1",
     .commands = "tune"},
    {"hold-out-accounts", 0, OPTION_TEXT, FIELD(tune.held_accounts), "SHARE",
     .help = "share of the accounts of which nothing is learned; to tune, with --context; default: "
             "none to tune, 0.05 to align",
     .commands = "tune align"},
    {"measure", 0, OPTION_INTEGER, FIELD(tune.measure), "STEPS",
     .help =
         "steps between measurements of what is held out; the weights that do best are written; "
         "default: 20 to tune, 300 to align",
     .minimum = 1, .commands = "tune align"},
    {"measure-rows", 0, OPTION_INTEGER, FIELD(tune.measure_rows), "N",
     .help =
         "rows of what is held out that are measured, at most; default: 64 to tune, 16 to align",
     .minimum = 1, .commands = "tune align"},
    {"patience", 0, OPTION_INTEGER, FIELD(tune.patience), "N",
     .help = "end after this many measurements without a better one; 0: never; default: 3 to tune, "
             "0 to align",
     .commands = "tune align"},
    {"epochs", 0, OPTION_TEXT, FIELD(tune.epochs), "NUMBER",
     .help = "how often all text is learned, where --steps does not say", .commands = "tune"},
    {"time", 0, OPTION_DURATION, FIELD(tune.time_ms), "TIME",
     .help = "end after this time, with what was learned by then; 0: no limit",
     .commands = "tune align"},
    {"recompute", 0, OPTION_CHOICE, FIELD(tune.recompute), "WHAT",
     .help = "what is computed again to save memory: none, which is fastest; block: within each "
             "block of the network; all: more than that; default: block to tune, none to align",
     .choices = TAPE_RECOMPUTE_NAMES, .commands = "tune align"},
    COMPUTE_ROW_OF(struct train_arguments, device, "tune align"),
    {"", .help = "What is shown of older posts (tune), and how tokens are read (tune, align)"},
    CONTEXT_KIND_ROW(struct train_arguments, tune.context, "tune", "texts alone, several in a row"),
    CONTEXT_POSITIONS_ROW(struct train_arguments, tune.context, "tune"),
    CONTEXT_EXPAND_ROW(struct train_arguments, tune.context, "tune align"),
    CONTEXT_NEWEST_ROW(struct train_arguments, tune.context, "tune"),
    CONTEXT_FACTS_ROW(struct train_arguments, tune.context, "tune"),
    CONTEXT_TAU_ROW(struct train_arguments, tune.context, "tune"),
    {"encoder", 0, OPTION_TEXT, FIELD(encoder), "FILE",
     .help = "the encoder that made the tokens; default: the bundled one",
     .commands = "tune align"},
    {"encoder-rate", 0, OPTION_TEXT, FIELD(tune.encoder_rate), "NUMBER",
     .help =
         "visual: the encoder learns along, at this factor of the learning rate, from the pages "
         "that the store was made of: their streams follow it among the operands",
     .commands = "tune"},
    {"bridge", 0, OPTION_CHOICE, FIELD(tune.bridge), "KIND",
     .help =
         "what makes soft tokens, which the model reads, of visual ones, where --from has none: "
         "named (the characters that the encoder's reading head reads, in the model's own tokens), "
         "reading (that head, and a network that spells), linear, mlp; default: named, "
         "or reading with --encoder-rate",
     .choices = BRIDGE_KIND_NAMES, .commands = "tune align"},
    {"hidden", 0, OPTION_INTEGER, FIELD(tune.hidden), "N",
     .help = "the bridge's inner width, of mlp; default: 1024; of reading (tune); default: 1536",
     .minimum = 1, .maximum = 65536, .commands = "tune align"},
    {"bridge-rate", 0, OPTION_TEXT, FIELD(tune.bridge_rate), "NUMBER",
     .help =
         "factor of the learning rate, for the bridge (tune: 0.3 of it for what spells); "
         "0 (tune): it stays as --from has it; default: to tune 1, and 0.1 for that of --from; to "
         "align 0.3, of a plain bridge 1",
     .commands = "tune align"},
    {"experts", 0, OPTION_INTEGER, FIELD(tune.experts), "N",
     .help = "visual: style experts between bridge and model; default: what --from has, else 4 "
             "with --method occ and none otherwise",
     .commands = "tune", .maximum = 1024},
    {"top", 0, OPTION_INTEGER, FIELD(tune.top), "K",
     .help = "visual: how many of the experts a token goes through; default: 2", .minimum = 1,
     .maximum = 1024, .commands = "tune"},
    {"no-experts", 0, OPTION_FLAG, FIELD(tune.no_experts), .help = "the same as --experts 0",
     .commands = "tune"},
    {"", .help = "How reading is learned (align)"},
    {"reader", 0, OPTION_FLAG, FIELD(align.options.reader),
     .help = "reading: the head is trained, too", .commands = "align"},
    {"span", 0, OPTION_INTEGER, FIELD(align.options.span), "N",
     .help = "the longest span of visual tokens that is read: a power of two", .minimum = 1,
     .maximum = 4096, .commands = "align"},
    {"match", 0, OPTION_INTEGER, FIELD(align.options.match.steps), "STEPS",
     .help = "steps before reading, in which the bridge alone learns the embeddings of the text "
             "under tokens; default: 2000 with --bridge reading, 500 with a plain one, none with "
             "named, which has nothing to learn there, and where --from has a bridge",
     .commands = "align"},
    {"match-rate", 0, OPTION_TEXT, FIELD(align.match_rate), "NUMBER",
     .help = "the highest learning rate of those; default: 0.002, of a plain bridge 0.003",
     .commands = "align"},
    {"lesson-loss", 0, OPTION_TEXT, FIELD(align.limit), "NUMBER",
     .help = "a lesson is over when its loss, nats a token, is below this; default: 0.7",
     .commands = "align"},
    {"lessons", 0, OPTION_TEXT, FIELD(align.lessons), "SHARE",
     .help = "share of the steps after which all lessons are over, learned or not; default: 0.6",
     .commands = "align"},
    {"follow", 0, OPTION_TEXT, FIELD(align.follow), "SHARE",
     .help = "after the lessons, share of the spans whose following text is foreseen, not their "
             "own; default: 0.25",
     .commands = "align"},
    {"halved", 0, OPTION_TEXT, FIELD(align.halved), "SHARE",
     .help = "after the lessons, share of the spans whose tokens are halved, as 'occ forget' does; "
             "default: 0.25",
     .commands = "align"},
    {"", .help = "How (read, tune, align)"},
    {"from", 0, OPTION_TEXT, FIELD(from), "PATH",
     .help = "what to begin with. read: an encoder's file, as this command writes it or as it is "
             "bundled; tune, align: the folder of an adapter",
     .commands = "read tune align"},
    {"steps", 0, OPTION_INTEGER, FIELD(steps), "N",
     .help = "number of steps; default: 20000 to read, 15000 to align, as many as --epochs "
             "need to tune",
     .minimum = 1, .commands = "read tune align"},
    {"batch", 0, OPTION_INTEGER, FIELD(batch), "N",
     .help = "read: tiny pages per step, and of larger ones as many as cost the same, default 4; "
             "tune: rows per step, default 640, or all there are; align: likewise, default 1",
     .minimum = 1, .maximum = 4096, .commands = "read tune align"},
    {"rate", 0, OPTION_TEXT, FIELD(rate), "NUMBER",
     .help = "the highest learning rate; default: 0.005 to read, 0.00003 to tune, 0.001 to "
             "align",
     .commands = "read tune align"},
    {"warm-up", 0, OPTION_INTEGER, FIELD(warm_up), "N",
     .help = "steps during which the learning rate rises; after them it falls as half a cosine; "
             "default: 100 to read, 3% of the steps to tune, 1% but at most 50 to align",
     .commands = "read tune align"},
    {"seed", 0, OPTION_INTEGER, FIELD(seed), "N", .help = "seed of weights, pages and order",
     .commands = "read tune align"},
    {"save", 0, OPTION_DURATION, FIELD(save_ms), "TIME", .help = "time between checkpoints",
     .commands = "read tune align"},
    {"stop-at", 0, OPTION_INTEGER, FIELD(stop_at), "STEP",
     .help = "write a checkpoint after this step and stop, as after a signal; 0: never",
     .commands = "read tune align"},
    {"threads", 'j', OPTION_INTEGER, FIELD(threads), "N",
     .help = "read: pages processed at the same time; tune, align: threads that share each row; 0 "
             "means one per core",
     .maximum = 256, .commands = "read tune align"},
    DEVICE_ROW_OF(struct train_arguments, device, "read tune align"),
    {"", .help = "Messages"},
    TOOL_QUIET_ROW(struct train_arguments, messages),
    TOOL_VERBOSE_ROW(
        struct train_arguments, messages,
        "report progress: step, loss, rate, time left; default: when standard error is a terminal"),
    TOOL_LOG_ROW(struct train_arguments, messages),
    {0}};

static const struct tool TOOL = {
    .name = "occ-train",
    .summary = "train encoders, tune language models and align them with visual tokens, plot their "
               "progress",
    .operands = "COMMAND FILE...",
    .description =
        "read TEXT... trains an encoder and its reading head from random weights, on pages of the "
        "text files, of random strings and of made-up samples, drawn as they are needed.\n\n"
        "tune DATA... tunes a language model on text by account: a store, the stream of the stages "
        "(-: standard input), of which captions and scripts are learned, or JSON lines with "
        "\"messages\", \"prompt\" and \"completion\", or \"text\", and perhaps \"account\" and "
        "\"created\". Prompts are not learned, only continued. Adapters are written as PEFT writes "
        "them, models in the Hugging Face layout.\n\n"
        "align STORE... teaches a language model to read visual tokens, of stores whose pages are "
        "set in cells. A bridge makes soft tokens of them; spans are read, short ones at first, "
        "longer ones and with fewer soft tokens for each as they are learned; then what follows a "
        "span is foreseen, too. A bridge that has to learn to spell, or a plain one, is taught "
        "alone before (match/ in the folder). Accounts are held out, and the weights that read "
        "them best are written: adapters as PEFT writes them, and context.safetensors.\n\n"
        "After a training run was killed, the same command resumes it from its last checkpoint, "
        "and it ends with the same bytes as one that was not killed.\n\n"
        "plot FOLDER draws the loss of a training run, running or ended, from metrics.ndjson in "
        "its folder, as an SVG picture. The file can be named instead.",
    .examples = "occ train read -o run --profiles cell10,cell8 text/*.txt\n"
                "    run/encoder.safetensors is an encoder for 'occ compress --model'\n"
                "occ train tune --model smollm2 --batch 16 --rate 5e-4 -o run tokens.occ\n"
                "    run/adapter is an adapter for 'occ generate --adapter'\n"
                "occ train align --model smollm2 --time 8h -o run tokens.occ\n"
                "    run/adapter reads visual tokens: for 'occ train tune --from'\n"
                "occ train tune --predict --model tkllm-1.3b --method full\n"
                "    what memory a model of this size would take\n"
                "occ train plot run -o curve.svg\n"
                "    the loss of that run\n",
    .options = OPTIONS,
};

static volatile sig_atomic_t cancelled;
enum { PATIENCE = 60 /* seconds: a step in hand takes less */ };

/* ---- read, tune, align ----------------------------------------------------------------------- */

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
    o->device = device_choice_name(&a->device);
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
    {"align", 0, INT_MAX, "STORE...", train_align_check, train_align_run},
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
    return error_set(e, ERR_USAGE, "%s%.40s: read, tune, align, plot",
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
                                         .recompute = -1,
                                         .patience = -1,
                                         .epochs = "1",
                                         .bridge = -1,
                                         .experts = -1,
                                         .probe = -1,
                                         .packing = -1},
                                .align = {.options = ALIGN_DEFAULTS}};
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
