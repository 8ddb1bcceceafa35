/* occ-model.c - the command line of `occ model`. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/tool.h"
#include "compress/model.h"
#include "store/file.h"

struct arguments {
    int config, type;
    int64_t seed;
    const char *output;
    struct option_list metadata;
};

enum { TYPE_AUTO };
static const char *const TYPES[] = {"auto", "bf16", "f16", "f32", "int8", NULL};
static const enum dtype DTYPES[] = {DTYPE_BF16, DTYPE_BF16, DTYPE_F16, DTYPE_F32, DTYPE_I8};

#define FIELD(name) offsetof(struct arguments, name)
static const struct option_spec OPTIONS[] = {
    {"", .help = "Files to write (init, convert)"},
    {"output", 'o', OPTION_TEXT, FIELD(output), "FILE", .help = "the file to write"},
    {"dtype", 0, OPTION_CHOICE, FIELD(type), "TYPE",
     .help = "number type in the file; int8 (convert only): matrices with one scale per row; auto "
             "is bf16 or, for convert with --metadata, what is there",
     .choices = TYPES},
    {"metadata", 0, OPTION_LIST, FIELD(metadata), "KEY=FILE",
     .help = "convert: put the JSON in FILE into the file's metadata; may be given several times"},
    {"", .help = "New encoders (init)"},
    {"config", 0, OPTION_CHOICE, FIELD(config), "NAME",
     .help = "size of the network: deepencoder is that of DeepSeek-OCR, nano a small one",
     .choices = CONFIG_NAMES},
    {"seed", 0, OPTION_INTEGER, FIELD(seed), "N", .help = "seed of the random weights"},
    {0}};

static const struct tool TOOL = {
    .name = "occ-model",
    .summary = "make, describe and convert encoder files",
    .operands = "init | info FILE | convert FILE",
    .description =
        "init writes an encoder with random weights, for training or measuring.\n\n"
        "info describes the encoder in FILE, as JSON: FILE is a safetensors file, an index of "
        "several, or a folder with either. Checkpoints of DeepSeek-OCR are read as they are "
        "published; tensors that are not part of the encoder are only counted. A file without a "
        "complete encoder is refused.\n\n"
        "convert writes the encoder in FILE, with its reading head, in another number type; with "
        "--metadata and no --dtype the weights stay as they are, to the bit, and so does the "
        "fingerprint by which stores know the encoder. occ.calibration and occ.fidelity are what "
        "'occ eval fidelity' writes with --calibrate "
        "and --record.",
    .examples = "occ model init --config nano --seed 1 -o encoder.safetensors\n"
                "    an encoder that has learned nothing yet\n"
                "occ model info DeepSeek-OCR/\n"
                "    the encoder of a published checkpoint\n"
                "occ model convert --dtype int8 -o small.safetensors run/nano.safetensors\n"
                "    a quarter of the bytes\n",
    .options = OPTIONS,
};

static int print_info(const char *path, struct error *e) {
    struct model_info info;
    struct bytes text;
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

static int run(const struct arguments *a, int operands, char **argv, struct error *e) {
    if (operands >= 1 && strcmp(argv[1], "info") == 0) {
        return operands == 2 ? print_info(argv[2], e)
                             : error_set(e, ERR_USAGE, "info takes one FILE");
    }
    bool convert = operands == 2 && strcmp(argv[1], "convert") == 0;
    if (!convert && (operands != 1 || strcmp(argv[1], "init") != 0)) {
        return error_set(e, ERR_USAGE, "name a command: init, info FILE or convert FILE");
    }
    if (a->output == NULL) {
        return error_set(e, ERR_USAGE, "%s needs --output FILE", argv[1]);
    }
    if (convert) {
        return run_convert(a, argv[2], e);
    }
    if (a->metadata.count > 0) {
        return error_set(e, ERR_USAGE, "--metadata is for convert");
    }
    if (DTYPES[a->type] == DTYPE_I8) {
        return error_set(e, ERR_USAGE, "--dtype int8 is for convert");
    }
    struct encoder_config config;
    int rc = config_named(&config, CONFIG_NAMES[a->config], e);
    return rc == 0 ? model_init(a->output, &config, (uint64_t)a->seed, DTYPES[a->type], e) : rc;
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
