/* bridge_file_test.c - context.safetensors: what is written is read, in every kind; what lies is
 * refused with a text that names the file; adapters with it, for the right encoder and base alone.
 */
#define _DEFAULT_SOURCE /* mkdtemp */
#include <jansson.h>

#include "compress/model.h"
#include "tests/model_folder.h"
#include "tests/tape_device.h"
#include "train/adapter/adapter.h"

#define NANO TEST_FOLDER "/../compress/nano.safetensors"

enum { DIM = 16, WIDTH = 24, EXPERTS = 3 };

static void must(int rc, const struct error *e) {
    if (!CHECK_NUMBER(rc, 0)) {
        printf("# %s\n", e->text);
        exit(1);
    }
}

static struct bridge_options options_of(enum bridge_kind kind, bool experts) {
    struct bridge_options o = {.kind = kind,
                               .dim = DIM,
                               .width = WIDTH,
                               .expand = 2,
                               .buckets = 2,
                               .scale = 0.13,
                               .encoder = 0x0123456789abcdef};
    if (kind != BRIDGE_LINEAR) {
        o.hidden = 12;
    }
    if (kind == BRIDGE_READING) {
        o.reading = (struct reading_config){.channels = 2,
                                            .hidden = 6,
                                            .embedding = 3,
                                            .reach = 4,
                                            .cells = true,
                                            .trunk = 20,
                                            .nested = 1};
    }
    if (experts) {
        o.experts =
            (struct bridge_experts){.count = EXPERTS, .chosen = 2, .hidden = 5, .balance = 0.01};
    }
    return o;
}

struct filling {
    const char *name;
    float *values;
};

static int fill_named(void *context, const struct tensor_spec *spec, struct error *e) {
    const struct filling *f = context;
    (void)e;
    if (strcmp(f->name, spec->name) == 0) {
        struct tensor_spec random = *spec;
        random.deviation = 1;
        model_fill(f->values, &random, strlen(spec->name));
    }
    return 0;
}

/* Numbers for any tensor of the options in `context`. */
static int some_numbers(void *context, const char *name, float *values, struct error *e) {
    struct filling f = {.name = name, .values = values};
    return bridge_list(context, true, fill_named, &f, e);
}

static void new_folder(char path[64]) {
    snprintf(path, 64, "/tmp/occ-bridge-XXXXXX");
    if (mkdtemp(path) == NULL) {
        exit(1);
    }
}

/* ---- There and back -------------------------------------------------------------------------- */

struct reading_back {
    struct bridge_folder *folder;
    const struct bridge_options *options;
    int count;
};

static int compare_tensor(void *context, const struct tensor_spec *spec, struct error *e) {
    struct reading_back *b = context;
    const size_t count = (size_t)tensor_spec_count(spec);
    float *got = calloc(count, sizeof *got), *wanted = calloc(count, sizeof *wanted);
    uint16_t *bf16 = calloc(count, sizeof *bf16);
    if (strncmp(spec->name, "reader.", 7) == 0 && !b->folder->reader) {
        CHECK_NUMBER(bridge_folder_floats(b->folder, NULL, spec->name, got, e), ERR_USAGE);
    } else {
        CHECK_NUMBER(bridge_folder_floats(b->folder, NULL, spec->name, got, e), 0);
        some_numbers((void *)(uintptr_t)b->options, spec->name, wanted, e);
        dtype_from_float(bf16, DTYPE_BF16, wanted, count);
        dtype_to_float(wanted, bf16, DTYPE_BF16, count);
        CHECK(memcmp(got, wanted, count * sizeof *got) == 0);
        b->count++;
    }
    free(got);
    free(wanted);
    free(bf16);
    return 0;
}

static void check_options(const struct bridge_options *a, const struct bridge_options *b) {
    CHECK(a->kind == b->kind && a->dim == b->dim && a->width == b->width);
    CHECK(a->expand == b->expand && a->buckets == b->buckets && a->encoder == b->encoder);
    CHECK(a->scale == b->scale && a->experts.count == b->experts.count);
    CHECK(a->experts.chosen == b->experts.chosen && a->experts.hidden == b->experts.hidden);
    CHECK(a->experts.balance == b->experts.balance);
    CHECK(a->kind == BRIDGE_LINEAR || a->hidden == b->hidden);
    CHECK(a->kind != BRIDGE_READING ||
          (a->reading.channels == b->reading.channels && a->reading.hidden == b->reading.hidden &&
           a->reading.reach == b->reading.reach && a->reading.cells == b->reading.cells &&
           a->reading.trunk == b->reading.trunk && a->reading.nested == b->reading.nested));
}

static void there_and_back(struct bridge_options o, bool reader) {
    char path[64];
    struct bridge_folder f;
    struct error e = {0};
    new_folder(path);
    must(bridge_write(path, &o, reader, some_numbers, &o, &e), &e);
    must(bridge_folder_open(&f, path, &e), &e);
    check_options(&f.options, &o);
    CHECK(f.reader == reader);
    struct reading_back b = {.folder = &f, .options = &o};
    must(bridge_list(&o, reader, compare_tensor, &b, &e), &e);
    CHECK_NUMBER(b.count, safetensors_count(f.tensors));
    bridge_folder_close(&f);
    folder_remove(path);
}

static void what_is_written_is_read(void) {
    for (int kind = BRIDGE_LINEAR; kind <= BRIDGE_READING; kind++) {
        there_and_back(options_of((enum bridge_kind)kind, false), false);
        there_and_back(options_of((enum bridge_kind)kind, true), kind == BRIDGE_READING);
    }
}

/* Tensors that a folder has not are new: experts, put to a bridge that had none. */
static void experts_may_be_added(void) {
    const struct bridge_options plain = options_of(BRIDGE_MLP, false);
    const struct bridge_options more = options_of(BRIDGE_MLP, true);
    float kept[BRIDGE_MARKS * WIDTH], wanted[BRIDGE_MARKS * WIDTH];
    float added[EXPERTS * 5 * WIDTH] = {0}, out[WIDTH * EXPERTS * 5];
    char path[64];
    struct bridge_folder f;
    struct error e = {0};
    new_folder(path);
    must(bridge_write(path, &plain, false, some_numbers, (void *)(uintptr_t)&plain, &e), &e);
    must(bridge_folder_open(&f, path, &e), &e);
    must(bridge_first(&more, &f, NULL, 7, "marks.weight", kept, &e), &e);
    must(some_numbers((void *)(uintptr_t)&plain, "marks.weight", wanted, &e), &e);
    CHECK_NEAR((double)kept[0] / (double)wanted[0], 1, 1e-2);
    must(bridge_first(&more, &f, NULL, 7, "experts.in.weight", added, &e), &e);
    must(bridge_first(&more, &f, NULL, 7, "experts.out.weight", out, &e), &e);
    CHECK(added[0] != 0 && added[EXPERTS * 5 * WIDTH - 1] != 0);
    CHECK(out[0] == 0 && out[WIDTH * EXPERTS * 5 - 1] == 0);
    CHECK_NUMBER(bridge_first(&plain, &f, NULL, 7, "experts.in.weight", added, &e), ERR_FORMAT);
    bridge_folder_close(&f);
    folder_remove(path);
}

/* ---- What lies ------------------------------------------------------------------------------- */

/* A file of `o`, with a member of its options of another value (JSON; NULL: without it), and with
 * the tensor `name` called `called` instead. */
static void lying_file(const char *folder, const struct bridge_options *o, const char *member,
                       const char *value, const char *name, const char *called) {
    struct bridge_folder f;
    struct error e = {0};
    struct safetensor tensors[64];
    char path[128];
    must(bridge_write(folder, o, true, some_numbers, (void *)(uintptr_t)o, &e), &e);
    must(bridge_folder_open(&f, folder, &e), &e);
    json_t *root = json_loads(safetensors_metadata(f.tensors, "occ.context"), 0, NULL);
    const char *inner = member != NULL ? strchr(member, '.') : NULL;
    json_t *object = inner != NULL ? json_object_get(root, "reading") : root;
    if (value != NULL) {
        json_object_set_new(object, inner != NULL ? inner + 1 : member,
                            json_loads(value, JSON_DECODE_ANY, NULL));
    } else if (member != NULL) {
        json_object_del(object, member);
    }
    char *text = json_dumps(root, 0);
    json_t *metadata = json_pack("{s:s}", "occ.context", text);
    const size_t count = safetensors_count(f.tensors);
    CHECK(count <= 64);
    for (size_t i = 0; i < count; i++) {
        tensors[i] = *safetensors_get(f.tensors, i);
        if (name != NULL && strcmp(tensors[i].name, name) == 0) {
            tensors[i].name = called;
        }
    }
    snprintf(path, sizeof path, "%s/new.safetensors", folder);
    must(safetensors_write(path, tensors, count, metadata, &e), &e);
    bridge_folder_close(&f);
    char old[128];
    snprintf(old, sizeof old, "%s/%s", folder, BRIDGE_FILE);
    CHECK(rename(path, old) == 0);
    json_decref(metadata);
    json_decref(root);
    free(text);
}

static void refused(const struct bridge_options *o, const char *member, const char *value,
                    const char *name, const char *called, int code) {
    char path[64];
    struct bridge_folder f;
    struct error e = {0};
    new_folder(path);
    lying_file(path, o, member, value, name, called);
    if (!CHECK_NUMBER(bridge_folder_open(&f, path, &e), code) ||
        !CHECK(strstr(e.text, BRIDGE_FILE) != NULL)) {
        printf("# %s %s: %s\n", member != NULL ? member : name, value != NULL ? value : "", e.text);
    }
    folder_remove(path);
}

static void files_that_lie_are_refused(void) {
    static const char *const LIES[][2] = {{"dim", "17"},
                                          {"dim", "4611686018427387904"},
                                          {"dim", "-16"},
                                          {"dim", "16.0"},
                                          {"dim", NULL},
                                          {"width", "12"},
                                          {"expand", "3"},
                                          {"expand", "0"},
                                          {"hidden", "11"},
                                          {"hidden", NULL},
                                          {"buckets", "0"},
                                          {"buckets", "1000000000"},
                                          {"scale", "0"},
                                          {"scale", "\"much\""},
                                          {"scale", "1e300"},
                                          {"encoder", "12"},
                                          {"encoder", "\"0123\""},
                                          {"encoder", "\"0x23456789abcdef\""},
                                          {"encoder", NULL},
                                          {"reading.channels", "3"},
                                          {"reading.embedding", "0"},
                                          {"reading.trunk", "-1"},
                                          {"reading.nested", "2"},
                                          {"reading.hidden", "65537"},
                                          {"reading", NULL},
                                          {"experts", "{}"},
                                          {"experts", "{\"count\":2,\"chosen\":3,\"hidden\":5}"},
                                          {"experts", "{\"count\":4,\"chosen\":2,\"hidden\":5}"},
                                          {"experts", NULL},
                                          {"reader", "false"}};
    const struct bridge_options o = options_of(BRIDGE_READING, true);
    for (size_t i = 0; i < sizeof LIES / sizeof *LIES; i++) {
        refused(&o, LIES[i][0], LIES[i][1], NULL, NULL, ERR_FORMAT);
    }
    refused(&o, "kind", "\"telepathy\"", NULL, NULL, ERR_UNSUPPORTED);
    refused(&o, "kind", "\"linear\"", NULL, NULL, ERR_FORMAT);
    refused(&o, "version", "2", NULL, NULL, ERR_UNSUPPORTED);
    refused(&o, NULL, NULL, "marks.weight", "mark.weight", ERR_FORMAT);
    refused(&o, NULL, NULL, "bridge.shift", "bridge.gain.9", ERR_FORMAT);
}

static void no_file_and_no_bridge_are_told_apart(void) {
    char path[64];
    struct bridge_folder f;
    struct error e = {0};
    new_folder(path);
    CHECK_NUMBER(bridge_folder_open(&f, path, &e), ERR_IO);
    CHECK(strstr(e.text, BRIDGE_FILE) != NULL);
    model_file(path, BRIDGE_FILE, "nothing", 7);
    CHECK(bridge_folder_open(&f, path, &e) < 0);
    folder_remove(path);
}

/* ---- Adapters -------------------------------------------------------------------------------- */

struct base {
    struct decoder_folder folder;
    struct decoder *decoder;
    struct tape *tape;
};

static void open_base(struct base *b) {
    struct error e = {0};
    b->tape = open_tape(NULL, DTYPE_F32, NULL);
    must(decoder_folder_open(&b->folder, SMALL_MODEL, &e), &e);
    must(decoder_open(&b->decoder, &b->folder, DECODER_F32, tape_device(b->tape), &e), &e);
}

static void close_base(struct base *b) {
    decoder_close(b->decoder);
    decoder_folder_close(&b->folder);
    close_tape(b->tape);
}

struct first_values {
    struct bridge_options options;
    struct safetensors *encoder;
};

static int first_value(void *context, const char *name, float *values, struct error *e) {
    const struct first_values *f = context;
    return bridge_first(&f->options, NULL, f->encoder, 3, name, values, e);
}

static void begin(struct first_values *f, struct base *b) {
    struct error e = {0};
    *f = (struct first_values){.options = {.kind = BRIDGE_READING, .expand = 4, .buckets = 1}};
    must(bridge_begin(&f->options, NANO, b->decoder, tape_device(b->tape), &e), &e);
    must(bridge_check(&f->options, &e), &e);
    must(safetensors_open(&f->encoder, NANO, &e), &e);
}

/* What a new bridge begins with is the encoder's, and the base's. */
static void a_new_bridge_fits_encoder_and_base(void) {
    struct first_values f;
    struct model_info info;
    struct base b;
    open_base(&b);
    begin(&f, &b);
    must(model_info(&info, NANO, NULL), NULL);
    CHECK_NUMBER(f.options.dim, 768);
    CHECK(f.options.encoder == info.fingerprint);
    CHECK_NUMBER(f.options.reading.hidden, 320);
    CHECK_NUMBER(f.options.width, b.folder.config.width);
    const int64_t count = b.folder.config.vocabulary * f.options.width;
    float *embedding = malloc((size_t)count * sizeof *embedding);
    double sum = 0;
    must(decoder_folder_floats(&b.folder, DECODER_EMBEDDING, embedding, NULL), NULL);
    for (int64_t i = 0; i < count; i++) {
        sum += (double)embedding[i] * (double)embedding[i];
    }
    CHECK_NEAR(f.options.scale, sqrt(sum / (double)count), 1e-6);
    free(embedding);
    safetensors_close(f.encoder);
    close_base(&b);
}

static void open_fails(const struct base *b, const char *path, const char *encoder, int code,
                       const char *words) {
    struct adapter *a;
    struct error e = {0};
    CHECK_NUMBER(adapter_open(&a, path, b->decoder, encoder, tape_device(b->tape), &e), code);
    if (!CHECK(strstr(e.text, words) != NULL)) {
        printf("# %s\n", e.text);
    }
}

static void adapters_have_a_bridge(void) {
    static float tokens[2 * 768], seen[(BRIDGE_MARKS + 8) * 64];
    char path[64];
    struct first_values f;
    struct context_network network;
    struct adapter *a = NULL;
    struct base b;
    struct error e = {0};
    open_base(&b);
    begin(&f, &b);
    new_folder(path);
    must(bridge_write(path, &f.options, false, first_value, &f, &e), &e);
    must(adapter_open(&a, path, b.decoder, NANO, tape_device(b.tape), &e), &e);
    CHECK(adapter_bridge(a, &network));
    tape_begin(b.tape);
    const struct tensor host = tensor_matrix(tokens, DTYPE_F32, NULL, 2, 768);
    const struct tensor x = tape_upload(b.tape, &host);
    const struct bridge_group group = {.bucket = 0, .x = tape_input(b.tape, &x, NULL)};
    struct node *y =
        bridge_network(network.bridge, network.source, b.tape, NULL, &group, 1, 4, 0, NULL);
    must(tape_status(b.tape, &e), &e);
    CHECK(!y->needs_gradient);
    CHECK_NUMBER(tensor_rows(&y->value), BRIDGE_MARKS + 8);
    download_floats(b.tape, seen, &y->value);
    CHECK(seen[BRIDGE_MARKS * f.options.width] != 0);
    adapter_close(a);
    CHECK(!adapter_bridge(NULL, &network));
    open_fails(&b, path, NULL, ERR_USAGE, "name the encoder");
    f.options.encoder ^= 1;
    must(bridge_write(path, &f.options, false, first_value, &f, &e), &e);
    open_fails(&b, path, NANO, ERR_FORMAT, "was trained for tokens of");
    f.options.encoder ^= 1;
    f.options.width *= 2;
    must(bridge_write(path, &f.options, false, first_value, &f, &e), &e);
    open_fails(&b, path, NANO, ERR_FORMAT, "of width");
    folder_remove(path);
    open_fails(&b, "/tmp", NANO, ERR_FORMAT, "not an adapter's folder");
    safetensors_close(f.encoder);
    close_base(&b);
}

static void adapters_may_be_lora_alone(void) {
    struct context_network network;
    struct adapter *a = NULL;
    struct base b;
    struct error e = {0};
    open_base(&b);
    must(adapter_open(&a, TEST_FOLDER "/golden/lora/adapter", b.decoder, NULL, tape_device(b.tape),
                      &e),
         &e);
    CHECK(!adapter_bridge(a, &network));
    CHECK(adapter_parts(a).project != decoder_parts(b.decoder).project);
    adapter_close(a);
    close_base(&b);
}

int main(void) {
    RUN(what_is_written_is_read);
    RUN(experts_may_be_added);
    RUN(files_that_lie_are_refused);
    RUN(no_file_and_no_bridge_are_told_apart);
    RUN(a_new_bridge_fits_encoder_and_base);
    RUN(adapters_have_a_bridge);
    RUN(adapters_may_be_lora_alone);
    return test_finish();
}
