/* occ-model.c - the command line of `occ model`. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/model_decoder.h"
#include "cli/tool.h"
#include "compress/model.h"
#include "store/file.h"
#include "train/adapter/merge.h"

struct arguments {
    int config, type;
    int64_t seed;
    const char *output, *adapter, *decoder, *tokenizer;
    struct option_list metadata;
};

enum { TYPE_AUTO };
static const char *const TYPES[] = {"auto", "bf16", "f16", "f32", "int8", NULL};
static const enum dtype DTYPES[] = {DTYPE_BF16, DTYPE_BF16, DTYPE_F16, DTYPE_F32, DTYPE_I8};

#define FIELD(name) offsetof(struct arguments, name)
static const struct option_spec OPTIONS[] = {
    {"", .help = "Files to write (init, convert, merge)"},
    {"output", 'o', OPTION_TEXT, FIELD(output), "PATH", .help = "the file, or folder, to write",
     .commands = "init convert merge"},
    {"dtype", 0, OPTION_CHOICE, FIELD(type), "TYPE",
     .help = "number type in the file; int8 (convert only): matrices with one scale per row; auto "
             "is bf16 or, for convert with --metadata, what is there",
     .choices = TYPES, .commands = "init convert merge"},
    {"adapter", 0, OPTION_TEXT, FIELD(adapter), "FOLDER",
     .help = "merge: what 'occ train tune' or PEFT has made for the model", .commands = "merge"},
    {"metadata", 0, OPTION_LIST, FIELD(metadata), "KEY=FILE",
     .help = "convert: put the JSON in FILE into the file's metadata; may be given several times",
     .commands = "convert"},
    {"", .help = "New models (init)"},
    {"config", 0, OPTION_CHOICE, FIELD(config), "NAME",
     .help = "size of the encoder: deepencoder is that of DeepSeek-OCR, nano a small one",
     .choices = CONFIG_NAMES, .commands = "init"},
    {"decoder", 0, OPTION_TEXT, FIELD(decoder), "NAME",
     .help = "a language model instead: nano (5 million parameters with SmolLM2's tokenizer), "
             "smollm2-135m, tkllm-1.3b",
     .commands = "init"},
    {"tokenizer", 0, OPTION_TEXT, FIELD(tokenizer), "PATH",
     .help = "its tokenizer.json, or a model's folder with one, whose chat template comes along",
     .commands = "init"},
    {"seed", 0, OPTION_INTEGER, FIELD(seed), "N", .help = "seed of the random weights",
     .commands = "init"},
    {0}};

static const struct tool TOOL = {
    .name = "occ-model",
    .summary = "make, describe and convert models",
    .operands = "init | info FILE | convert FILE | merge FOLDER",
    .description =
        "init writes an encoder with random weights, for training or measuring; with --decoder a "
        "language model, as a folder in the Hugging Face layout.\n\n"
        "info describes the encoder in FILE, as JSON: FILE is a safetensors file, an index of "
        "several, or a folder with either. Checkpoints of DeepSeek-OCR are read as they are "
        "published; tensors that are not part of the encoder are only counted. A file without a "
        "complete encoder is refused. A folder with a language model of the Llama family is "
        "described likewise.\n\n"
        "convert writes the encoder in FILE, with its reading head, in another number type; with "
        "--metadata and no --dtype the weights stay as they are, to the bit, and so does the "
        "fingerprint by which stores know the encoder. occ.calibration and occ.fidelity are what "
        "'occ eval fidelity' writes with --calibrate "
        "and --record.\n\n"
        "merge writes the language model in FOLDER with the adapter added to its weights, low "
        "ranks "
        "and rows, in the Hugging Face layout; --dtype f32 or bf16, auto is bf16 unless the model "
        "is f32. What the adapter has for visual tokens does not belong to a language model, and "
        "stays where it is.",
    .examples = "occ model init --config nano --seed 1 -o encoder.safetensors\n"
                "    an encoder that has learned nothing yet\n"
                "occ model init --decoder nano --tokenizer smollm2 -o decoder\n"
                "    a language model that has learned nothing yet\n"
                "occ model info DeepSeek-OCR/\n"
                "    the encoder of a published checkpoint\n"
                "occ model convert --dtype int8 -o small.safetensors run/nano.safetensors\n"
                "    a quarter of the bytes\n"
                "occ model merge --adapter run/adapter -o tuned smollm2\n"
                "    a language model that needs no adapter\n",
    .options = OPTIONS,
};

static int print_info(const char *path, struct error *e) {
    struct model_info info;
    struct bytes text;
    if (model_is_decoder(path)) {
        return model_decoder_info(path, e);
    }
    int rc = model_info(&info, path, e);
    if (rc < 0) {
        return rc;
    }
    json_t *types = json_object();
    for (int i = 0; i < DTYPE_COUNT; i++) {
        if (info.bytes[i] > 0) {
            json_object_set_new(types, dtype_name((enum dtype)i), json_integer(info.bytes[i]));
        }
    }
    char fingerprint[17];
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, info.fingerprint);
    json_t *root = json_pack("{s:s, s:s, s:b, s:I, s:I, s:o, s:I, s:o}", "name", info.config.name,
                             "fingerprint", fingerprint, "published", (int)!info.has_config,
                             "tensors", (json_int_t)info.tensors, "parameters",
                             (json_int_t)info.parameters, "bytes", types, "other_tensors",
                             (json_int_t)info.others, "config", config_json(&info.config));
    char *dump = root != NULL ? json_dumps(root, JSON_INDENT(1)) : NULL;
    json_decref(root);
    bytes_init(&text, 1 << 20);
    rc = dump != NULL ? bytes_printf(&text, e, "%s\n", dump) : error_memory(e, NULL);
    if (rc == 0) {
        rc = options_print(bytes_text(&text), e);
    }
    bytes_close(&text);
    free(dump);
    return rc;
}

/* Adds the JSON of KEY=FILE, in one line, to `metadata`. */
static int read_metadata(json_t *metadata, const char *text, struct error *e) {
    const char *equals = strchr(text, '=');
    char key[64];
    struct bytes file;
    if (equals == NULL || equals == text || (size_t)(equals - text) >= sizeof key) {
        return error_set(e, ERR_USAGE, "--metadata: '%.80s' is not KEY=FILE", text);
    }
    snprintf(key, sizeof key, "%.*s", (int)(equals - text), text);
    bytes_init(&file, (size_t)16 << 20);
    int rc = file_read(equals + 1, &file, e);
    if (rc == 0) {
        rc = model_check_metadata(key, bytes_text(&file), e);
        rc = rc == ERR_FORMAT ? error_context(e, "%s", equals + 1) : rc;
    }
    json_t *root = rc == 0 ? json_loads(bytes_text(&file), 0, NULL) : NULL;
    char *line = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    if (rc == 0 && (line == NULL || json_object_set_new(metadata, key, json_string(line)) != 0)) {
        rc = error_memory(e, NULL);
    }
    free(line);
    json_decref(root);
    bytes_close(&file);
    return rc;
}

static int run_convert(const struct arguments *a, const char *from, struct error *e) {
    json_t *metadata = json_object();
    int rc = metadata != NULL ? 0 : error_memory(e, NULL);
    for (int i = 0; i < a->metadata.count && rc == 0; i++) {
        rc = read_metadata(metadata, a->metadata.texts[i], e);
    }
    if (rc == 0) {
        bool adds = a->metadata.count > 0;
        enum dtype type = adds && a->type == TYPE_AUTO ? MODEL_SAME_TYPES : DTYPES[a->type];
        rc = model_convert(a->output, from, type, adds ? metadata : NULL, e);
    }
    json_decref(metadata);
    return rc;
}

static int run_merge(const struct arguments *a, const char *from, struct error *e) {
    static const enum dtype MERGED[] = {DTYPE_COUNT, DTYPE_BF16, DTYPE_COUNT, DTYPE_F32,
                                        DTYPE_COUNT};
    struct decoder_folder base;
    enum dtype type = MERGED[a->type];
    if (a->adapter == NULL) {
        return error_set(e, ERR_USAGE, "merge needs --adapter FOLDER");
    }
    if (a->type != TYPE_AUTO && type == DTYPE_COUNT) {
        return error_set(e, ERR_USAGE, "--dtype %s is not for merge", TYPES[a->type]);
    }
    int rc = decoder_folder_open(&base, from, e);
    if (rc == 0) {
        type = a->type == TYPE_AUTO ? decoder_folder_type(&base) : type;
        rc = adapter_merge(a->output, &base, a->adapter, type, e);
        decoder_folder_close(&base);
    }
    return rc;
}

static int run_init(const struct arguments *a, struct error *e) {
    if (DTYPES[a->type] == DTYPE_I8) {
        return error_set(e, ERR_USAGE, "--dtype int8 is for convert");
    }
    if (a->decoder != NULL && DTYPES[a->type] == DTYPE_F16) {
        return error_set(e, ERR_USAGE, "--dtype f16 is not for language models");
    }
    if (a->decoder != NULL) {
        return model_decoder_init(a->output, a->decoder, a->tokenizer, DTYPES[a->type],
                                  (uint64_t)a->seed, e);
    }
    if (a->tokenizer != NULL) {
        return error_set(e, ERR_USAGE, "--tokenizer goes with --decoder");
    }
    struct encoder_config config;
    int rc = config_named(&config, CONFIG_NAMES[a->config], e);
    return rc == 0 ? model_init(a->output, &config, (uint64_t)a->seed, DTYPES[a->type], e) : rc;
}

static int run(const struct arguments *a, int operands, char **argv, struct error *e) {
    if (operands >= 1 && strcmp(argv[1], "info") == 0) {
        return operands == 2 ? print_info(argv[2], e)
                             : error_set(e, ERR_USAGE, "info takes one FILE");
    }
    bool convert = operands == 2 && strcmp(argv[1], "convert") == 0;
    bool merge = operands == 2 && strcmp(argv[1], "merge") == 0;
    if (!convert && !merge && (operands != 1 || strcmp(argv[1], "init") != 0)) {
        return error_set(e, ERR_USAGE,
                         "name a command: init, info FILE, convert FILE or merge FOLDER");
    }
    if (a->output == NULL) {
        return error_set(e, ERR_USAGE, "%s needs --output PATH", argv[1]);
    }
    if (merge) {
        return run_merge(a, argv[2], e);
    }
    return convert ? run_convert(a, argv[2], e) : run_init(a, e);
}

int main(int argc, char **argv) {
    struct arguments a = {.seed = 1};
    struct error e = {0};
    int operands = 0, rc = options_parse(&TOOL, argc, argv, &a, &operands, &e);
    if (rc == OPTIONS_DONE) {
        return EXIT_DONE;
    }
    tool_begin(&TOOL, &(struct tool_messages){.verbose = 0}, NULL, 0);
    if (rc == 0) {
        rc = run(&a, operands, argv, &e);
    }
    return rc == ERR_USAGE ? options_usage_error(&TOOL, &e) : tool_end(rc, TOOL_STARTS_OVER, &e);
}
