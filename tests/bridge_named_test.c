/* bridge_named_test.c - bridges that name characters: in tokens of real text, as the bundled
 * encoder has them, they find the text, make the decoder's tokens of it, and sum and merge their
 * embeddings as a plain version in double precision does; gradients by differences. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "compress/alphabet.h"
#include "compress/reader.h"
#include "tests/model_folder.h"
#include "tests/tape_device.h"
#include "train/adapter/adapter.h"

#define NANO TEST_FOLDER "/../compress/nano.safetensors"

enum { DIM = 768, CELLS = 6, WIDTH = 48, LEAVES = 16, MOST_TOKENS = 1024 };

static void must(int rc, const struct error *e) {
    if (!CHECK_NUMBER(rc, 0)) {
        printf("# %s\n", e->text);
        exit(1);
    }
}

struct fixture {
    struct tape *tape;
    struct decoder_folder folder;
    struct decoder *decoder;
    struct decoder_parts parts;
    struct bridge_options options;
    struct bridge_names *names;
    struct safetensors *encoder;
    struct parameters *parameters;
    struct gradients gradients;
    struct tape_source source;
    struct reader *reader;
    float *embedding; /* of the decoder */
    float **values;   /* of the parameters: the host's */
    float tokens[CELLS * DIM];
};

/* Some numbers for what is zeros at first. */
static int first_value(void *context, const char *name, float *values, struct error *e) {
    const struct fixture *f = context;
    int rc = bridge_first(&f->options, NULL, f->encoder, 3, name, values, e);
    if (strstr(name, "merge") != NULL) {
        for (int i = 0; i < f->options.width * 2 * f->options.width; i++) {
            values[i] = (float)random_number() / 16;
        }
    }
    for (int i = 0; i < f->options.width && strstr(name, "gain") != NULL; i++) {
        values[i] = (float)(1 + random_number() / 4);
    }
    for (int i = 0; i < f->options.width && strncmp(name, "bridge.shift", 12) == 0; i++) {
        values[i] = (float)random_number() / 4;
    }
    for (int i = 0; i < f->options.width && strncmp(name, "bridge.mean", 11) == 0; i++) {
        values[i] = (float)random_number() / 4;
    }
    return rc;
}

static void read_values(struct fixture *f) {
    struct error e = {0};
    f->values = calloc(parameters_count(f->parameters), sizeof *f->values);
    must(f->values != NULL ? 0 : error_memory(&e, NULL), &e);
    for (size_t i = 0; i < parameters_count(f->parameters); i++) {
        f->values[i] = malloc(tensor_bytes(&parameters_get(f->parameters, i)->value));
        must(f->values[i] != NULL ? 0 : error_memory(&e, NULL), &e);
        must(parameters_read(f->parameters, i, f->values[i], &e), &e);
    }
}

static void open_parameters(struct fixture *f) {
    struct device *d = tape_device(f->tape);
    struct error e = {0};
    must(parameters_open(&f->parameters, d, &e), &e);
    must(bridge_list(&f->options, false, parameters_take, f->parameters, &e), &e);
    must(parameters_allocate(f->parameters, &e), &e);
    for (size_t i = 0; i < parameters_count(f->parameters); i++) {
        const struct tensor_spec *spec = &parameters_get(f->parameters, i)->spec;
        float *values = malloc((size_t)tensor_spec_count(spec) * sizeof *values);
        must(values != NULL ? first_value(f, spec->name, values, &e) : -1, &e);
        must(parameters_set(f->parameters, i, values, &e), &e);
        free(values);
    }
    must(gradients_open(&f->gradients, f->parameters, d, &e), &e);
    read_values(f);
    f->source = gradients_source(&f->gradients);
}

static void open_fixture(struct fixture *f, enum tape_recompute recompute) {
    const struct tape_options options = {
        .storage = DTYPE_F32, .sums = DTYPE_F32, .recompute = recompute};
    struct error e = {0};
    memset(f, 0, sizeof *f);
    random_state = 11;
    f->tape = open_tape(NULL, DTYPE_F32, &options);
    must(decoder_folder_open(&f->folder, SMALL_MODEL, &e), &e);
    must(decoder_open(&f->decoder, &f->folder, DECODER_F32, tape_device(f->tape), &e), &e);
    CHECK(decoder_tokenizer(f->decoder) == f->folder.tokenizer);
    f->parts = decoder_parts(f->decoder);
    f->options = (struct bridge_options){.kind = BRIDGE_NAMED, .expand = 4, .buckets = 1};
    must(bridge_begin(&f->options, NANO, f->decoder, tape_device(f->tape), &e), &e);
    must(bridge_check(&f->options, &e), &e);
    must(bridge_names_open(&f->names, NANO, f->folder.tokenizer, &e), &e);
    f->options.names = f->names;
    must(safetensors_open(&f->encoder, NANO, &e), &e);
    must(reader_open(&f->reader, NANO, tape_device(f->tape)->backend, DTYPE_F32, &e), &e);
    open_parameters(f);
    const int64_t numbers = f->folder.config.vocabulary * f->options.width;
    f->embedding = malloc((size_t)numbers * sizeof *f->embedding);
    must(decoder_folder_floats(&f->folder, DECODER_EMBEDDING, f->embedding, &e), &e);
    for (int i = 0; i < CELLS * DIM; i++) {
        f->tokens[i] = (float)random_number();
    }
}

static void close_fixture(struct fixture *f) {
    for (size_t i = 0; i < parameters_count(f->parameters); i++) {
        free(f->values[i]);
    }
    free(f->values);
    free(f->embedding);
    reader_close(f->reader);
    gradients_close(&f->gradients);
    parameters_close(f->parameters);
    bridge_names_close(f->names);
    safetensors_close(f->encoder);
    decoder_close(f->decoder);
    decoder_folder_close(&f->folder);
    close_tape(f->tape);
}

/* ---- Plain ----------------------------------------------------------------------------------- */

/* A token of the text and its leaf. */
struct plain_token {
    int32_t id;
    int leaf;
};

/* What the reading head reads in the cells [first, end): tokens, put to `out`. */
static int plain_run(struct fixture *f, const struct reading_character *c, size_t count, int first,
                     int end, struct plain_token *out) {
    const struct alphabet *a = reader_alphabet(f->reader);
    static char text[1 << 16];
    static int leaf_at[1 << 16]; /* of each byte */
    struct tokenizer_state *state;
    struct token_list list = {0};
    size_t size = 0, at = 0;
    struct error e = {0};
    for (int place = first * 128; place < end * 128; place++) { /* as text runs */
        const int cell = place / 128, row = place % 128 / 32 * 2, column = cell * 32 + place % 32;
        for (size_t i = 0; i < count; i++) {
            if (c[i].row == row && c[i].column == column) {
                const char *one = alphabet_text(a, c[i].class_index);
                for (size_t k = 0; k < strlen(one); k++) {
                    text[size] = one[k];
                    leaf_at[size++] = place / 8;
                }
            }
        }
    }
    must(tokenizer_state_open(&state, f->folder.tokenizer, &e), &e);
    must(tokenizer_encode(state, text, size, TOKENIZER_ORDINARY, &list, &e), &e);
    const int found = (int)list.count;
    for (int i = 0; i < found; i++) {
        size_t bytes;
        out[i] = (struct plain_token){list.ids[i], leaf_at[at]};
        must(tokenizer_bytes(f->folder.tokenizer, list.ids[i], &bytes) != NULL ? 0 : -1, &e);
        at += bytes;
    }
    CHECK(at == size);
    token_list_close(&list);
    tokenizer_state_close(state);
    return found;
}

static int plain_tokens(struct fixture *f, int second_run, struct plain_token *out) {
    const struct reading_page page = {
        .rows = 1, .columns = CELLS, .column_offsets = 1, .cell_rows = 1, .cell_columns = CELLS};
    const struct reading_character *characters;
    struct reader_session *session;
    struct error e = {0};
    size_t count;
    must(reader_session_open(&session, f->reader, &e), &e);
    must(reader_run(session, f->tokens, &page, &characters, &count, &e), &e);
    int found = plain_run(f, characters, count, 0, second_run, out);
    found += plain_run(f, characters, count, second_run, CELLS, out + found);
    reader_session_close(session);
    return found;
}

static double value_of(const struct fixture *f, const char *name, int64_t i) {
    const struct parameter *one = parameters_find(f->parameters, name);
    return (double)f->values[parameters_index(f->parameters, one)][i];
}

/* Soft tokens, (CELLS * expand, width), in double precision. */
static void plain_soft(struct fixture *f, const struct plain_token *tokens, int count, int expand,
                       double *s) {
    const int64_t width = f->options.width;
    static double next[CELLS * LEAVES * WIDTH];
    int rows = CELLS * LEAVES, level = 0;
    memset(s, 0, (size_t)(rows * width) * sizeof *s);
    for (int i = 0; i < count; i++) {
        for (int64_t k = 0; k < width; k++) {
            s[tokens[i].leaf * width + k] +=
                (double)f->embedding[tokens[i].id * width + k] - value_of(f, "bridge.mean", k);
        }
    }
    for (; rows > CELLS * expand; rows /= 2, level++) {
        char name[32];
        snprintf(name, sizeof name, "bridge.merge.%d.weight", level < 5 ? level : 4);
        for (int i = 0; i < rows / 2 * width; i++) {
            const double *pair = s + i / width * 2 * width;
            double sum = pair[i % width] + pair[width + i % width];
            for (int64_t k = 0; k < 2 * width; k++) {
                sum += value_of(f, name, i % width * 2 * width + k) * pair[k];
            }
            next[i] = sum;
        }
        memcpy(s, next, (size_t)(rows / 2 * width) * sizeof *s);
    }
    char gain[32];
    snprintf(gain, sizeof gain, "bridge.gain.%d", level);
    for (int i = 0; i < rows * width; i++) {
        s[i] = value_of(f, "bridge.shift", i % width) + value_of(f, gain, i % width) * s[i];
    }
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static const bool BEGINS[CELLS] = {true, false, false, false, true, false};

static struct node *soft_of(struct fixture *f, int expand) {
    struct error e = {0};
    tape_begin(f->tape);
    const struct tensor host = tensor_matrix(f->tokens, DTYPE_F32, NULL, CELLS, DIM);
    const struct tensor x = tape_upload(f->tape, &host);
    const struct bridge_group group = {
        .bucket = 0, .x = tape_input(f->tape, &x, NULL), .begins = BEGINS};
    struct node *y =
        bridge_network(&f->options, &f->source, f->tape, &f->parts, &group, 1, expand, 0, NULL);
    must(tape_status(f->tape, &e), &e);
    return y;
}

static void soft_tokens_are_sums_of_the_texts_embeddings(void) {
    static struct plain_token tokens[MOST_TOKENS];
    static double wanted[CELLS * LEAVES * WIDTH];
    static float out[(BRIDGE_MARKS + CELLS * 8) * WIDTH];
    static struct fixture f;
    open_fixture(&f, RECOMPUTE_NONE);
    CHECK(f.options.width <= WIDTH);
    const int count = plain_tokens(&f, 4, tokens);
    printf("# %d tokens\n", count);
    CHECK(count > 20 && count < MOST_TOKENS);
    for (int expand = 1; expand <= 8; expand *= 2) {
        struct node *y = soft_of(&f, expand);
        CHECK_NUMBER(tensor_rows(&y->value), BRIDGE_MARKS + CELLS * expand);
        download_floats(f.tape, out, &y->value);
        plain_soft(&f, tokens, count, expand, wanted);
        double most = 0, largest = 0;
        for (int i = 0; i < CELLS * expand * f.options.width; i++) {
            const double got = (double)out[BRIDGE_MARKS * f.options.width + i];
            most = fmax(most, fabs(got - wanted[i]));
            largest = fmax(largest, fabs(wanted[i]));
        }
        CHECK(most <= 1e-5 * largest);
    }
    close_fixture(&f);
}

/* Gradients of merges, gain and shift, whatever is kept: differences of the plain version. */
static void gradients_are_differences(void) {
    static const char *const NAMES[] = {"bridge.merge.0.weight", "bridge.merge.2.weight",
                                        "bridge.gain.3", "bridge.shift"};
    static struct plain_token tokens[MOST_TOKENS];
    static double above[CELLS * LEAVES * WIDTH], below[CELLS * LEAVES * WIDTH];
    static float seed[(BRIDGE_MARKS + CELLS * 2) * WIDTH];
    for (int mode = RECOMPUTE_NONE; mode <= RECOMPUTE_BLOCK; mode++) {
        static struct fixture f;
        struct error e = {0};
        open_fixture(&f, (enum tape_recompute)mode);
        const int64_t width = f.options.width, rows = BRIDGE_MARKS + CELLS * 2;
        const int count = plain_tokens(&f, 4, tokens);
        for (int64_t i = 0; i < rows * width; i++) {
            seed[i] = (float)random_number();
        }
        struct node *y = soft_of(&f, 2);
        const struct tensor host = tensor_of(seed, DTYPE_F32, NULL, y->value.shape);
        const struct tensor from = tape_upload(f.tape, &host);
        tape_backward_from(f.tape, y, &from);
        must(tape_backward(f.tape, &e), &e);
        for (size_t n = 0; n < sizeof NAMES / sizeof *NAMES; n++) {
            const struct parameter *one = parameters_find(f.parameters, NAMES[n]);
            const size_t index = parameters_index(f.parameters, one);
            const struct tensor whole = tensor_as_matrix(&f.gradients.list[index]);
            const struct tensor column = tensor_column_range(&whole, width / 2 + 1, 1);
            const struct tensor number = tensor_row_range(&column, 0, 1);
            float *at = &f.values[index][width / 2 + 1], gradient;
            tested_download(&gradient, &number);
            const float kept = *at;
            double sum = 0;
            *at = kept + 0x1p-6f;
            plain_soft(&f, tokens, count, 2, above);
            *at = kept - 0x1p-6f;
            plain_soft(&f, tokens, count, 2, below);
            *at = kept;
            for (int64_t i = 0; i < CELLS * 2 * width; i++) {
                sum += (double)seed[BRIDGE_MARKS * width + i] * (above[i] - below[i]) / 0x1p-5;
            }
            if (!CHECK_NEAR((double)gradient, sum, 1e-3 * fmax(1, fabs(sum)))) {
                printf("# %s\n", NAMES[n]);
            }
        }
        for (size_t i = 0; i < parameters_count(f.parameters); i++) {
            const char *name = parameters_get(f.parameters, i)->spec.name;
            CHECK((f.gradients.list[i].data == NULL) ==
                  (strncmp(name, "reader.", 7) == 0 || strcmp(name, "bridge.mean") == 0));
        }
        close_fixture(&f);
    }
}

static void halved_tokens_are_read_as_far_as_they_go(void) {
    static float tokens[CELLS * DIM];
    static struct fixture f;
    struct error e = {0};
    open_fixture(&f, RECOMPUTE_NONE);
    memcpy(tokens, f.tokens, sizeof tokens);
    for (int expand = 1; expand <= 4; expand *= 4) {
        tape_begin(f.tape);
        const struct tensor host = tensor_matrix(tokens, DTYPE_F32, NULL, 2, DIM);
        const struct tensor x = tape_upload(f.tape, &host);
        const struct bridge_group group = {.bucket = 2, .x = tape_input(f.tape, &x, NULL)};
        struct node *y =
            bridge_network(&f.options, &f.source, f.tape, &f.parts, &group, 1, expand, 0, NULL);
        must(tape_status(f.tape, &e), &e);
        CHECK_NUMBER(tensor_rows(&y->value), BRIDGE_MARKS + 2 * expand);
    }
    close_fixture(&f);
}

static int shipped_value(void *context, const char *name, float *values, struct error *e) {
    const struct fixture *f = context;
    const struct parameter *one = parameters_find(f->parameters, name);
    return parameters_read(f->parameters, parameters_index(f->parameters, one), values, e);
}

/* Written, opened as an adapter: the same soft tokens, but for the rounding of what is shipped. */
static void an_adapter_names_by_itself(void) {
    static float out[(BRIDGE_MARKS + CELLS * 4) * WIDTH], again[(BRIDGE_MARKS + CELLS * 4) * WIDTH];
    char path[64] = "/tmp/occ-named-XXXXXX";
    static struct fixture f;
    struct context_network network;
    struct adapter *a = NULL;
    struct error e = {0};
    open_fixture(&f, RECOMPUTE_NONE);
    must(mkdtemp(path) != NULL ? 0 : -1, &e);
    must(bridge_write(path, &f.options, false, shipped_value, &f, &e), &e);
    struct node *y = soft_of(&f, 4);
    download_floats(f.tape, out, &y->value);
    must(adapter_open(&a, path, f.decoder, NANO, tape_device(f.tape), &e), &e);
    CHECK(adapter_bridge(a, &network));
    f.options = *network.bridge;
    f.source = *network.source;
    y = soft_of(&f, 4);
    download_floats(f.tape, again, &y->value);
    double most = 0;
    for (int i = 0; i < (BRIDGE_MARKS + CELLS * 4) * f.options.width; i++) {
        most = fmax(most, fabs((double)again[i] - (double)out[i]));
    }
    printf("# %.2g\n", most);
    CHECK(most < 0.1);
    adapter_close(a);
    folder_remove(path);
    close_fixture(&f);
}

static void without_names_it_fails(void) {
    static struct fixture f;
    struct error e = {0};
    open_fixture(&f, RECOMPUTE_NONE);
    f.options.names = NULL;
    tape_begin(f.tape);
    const struct tensor host = tensor_matrix(f.tokens, DTYPE_F32, NULL, CELLS, DIM);
    const struct tensor x = tape_upload(f.tape, &host);
    const struct bridge_group group = {.bucket = 0, .x = tape_input(f.tape, &x, NULL)};
    CHECK(bridge_network(&f.options, &f.source, f.tape, &f.parts, &group, 1, 4, 0, NULL) == NULL);
    CHECK_NUMBER(tape_status(f.tape, &e), ERR_USAGE);
    close_fixture(&f);
}

/* Of a small vocabulary: of all embeddings. */
static void a_new_one_is_centred(void) {
    static struct fixture f;
    float mean[WIDTH];
    struct error e = {0};
    open_fixture(&f, RECOMPUTE_NONE);
    must(bridge_shift(mean, f.decoder, tape_device(f.tape), &e), &e);
    const int64_t width = f.options.width, rows = f.folder.config.vocabulary;
    for (int64_t k = 0; k < width; k++) {
        double sum = 0;
        for (int64_t i = 0; i < rows; i++) {
            sum += (double)f.embedding[i * width + k];
        }
        CHECK_NEAR((double)mean[k], sum / (double)rows, 1e-6);
    }
    CHECK(bridge_begins_shifted("bridge.mean") && bridge_begins_shifted("bridge.shift"));
    CHECK(!bridge_begins_shifted("bridge.gain.0"));
    close_fixture(&f);
}

int main(void) {
    RUN(soft_tokens_are_sums_of_the_texts_embeddings);
    RUN(gradients_are_differences);
    RUN(halved_tokens_are_read_as_far_as_they_go);
    RUN(an_adapter_names_by_itself);
    RUN(without_names_it_fails);
    RUN(a_new_one_is_centred);
    return test_finish();
}
