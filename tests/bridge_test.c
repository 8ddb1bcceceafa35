/* bridge_test.c - bridges for visual tokens beside what golden tests see: the reading head within
 * them is the one that reads pages; it may be frozen; experts change nothing at first; memory is
 * foreseen. */
#include "train/context/bridge.h"

#include "compress/dry.h"
#include "compress/reader.h"
#include "store/nest.h"
#include "tests/tape_device.h"
#include "train/parameters.h"

enum { DIM = 16, WIDTH = 24, HIDDEN = 6, TOKENS = 5 };
static const struct reading_config READING = {.channels = 3,
                                              .hidden = HIDDEN,
                                              .embedding = 2,
                                              .classes = 2,
                                              .reach = 4,
                                              .cells = true,
                                              .trunk = 20,
                                              .nested = 2};

static void must(int rc, const struct error *e) {
    if (!CHECK_NUMBER(rc, 0)) {
        printf("# %s\n", e->text);
        exit(1);
    }
}

static struct bridge_options options_of(enum bridge_kind kind) {
    return (struct bridge_options){.kind = kind,
                                   .dim = DIM,
                                   .width = WIDTH,
                                   .expand = 2,
                                   .buckets = 3,
                                   .hidden = 12,
                                   .scale = 0.13,
                                   .reading = READING};
}

/* ---- Parameters ------------------------------------------------------------------------------ */

struct bridge {
    struct bridge_options options;
    struct parameters *parameters;
    struct gradients gradients;
    struct tape *tape;
};

/* Random numbers for all, as large as they are at first; where these are zeros, not so for
 * `everything`. */
static void fill(struct bridge *b, bool everything) {
    struct error e = {0};
    for (size_t i = 0; i < parameters_count(b->parameters); i++) {
        const struct tensor_spec *spec = &parameters_get(b->parameters, i)->spec;
        const size_t count = (size_t)tensor_spec_count(spec);
        const double deviation = spec->deviation == 0 && everything ? 0.1 : spec->deviation;
        float *values = malloc(count * sizeof *values);
        must(values != NULL ? 0 : -1, &e);
        for (size_t k = 0; k < count; k++) {
            values[k] = (float)((double)spec->constant + 1.7 * deviation * random_number());
        }
        must(parameters_set(b->parameters, i, values, &e), &e);
        free(values);
    }
}

static void open_bridge(struct bridge *b, const struct bridge_options *o, bool reader,
                        enum tape_recompute recompute) {
    const struct tape_options options = {
        .storage = DTYPE_F32, .sums = DTYPE_F32, .recompute = recompute};
    struct error e = {0};
    *b = (struct bridge){.options = *o, .tape = open_tape(NULL, DTYPE_F32, &options)};
    must(bridge_check(o, &e), &e);
    must(parameters_open(&b->parameters, tape_device(b->tape), &e), &e);
    must(bridge_list(o, reader, parameters_take, b->parameters, &e), &e);
    must(parameters_allocate(b->parameters, &e), &e);
    must(gradients_open(&b->gradients, b->parameters, tape_device(b->tape), &e), &e);
    random_state = 5;
    fill(b, true);
}

static void close_bridge(struct bridge *b) {
    gradients_close(&b->gradients);
    parameters_close(b->parameters);
    close_tape(b->tape);
}

static void set(struct bridge *b, const char *name, const float *values) {
    struct error e = {0};
    const struct parameter *one = parameters_find(b->parameters, name);
    must(one != NULL ? 0 : -1, &e);
    must(parameters_set(b->parameters, parameters_index(b->parameters, one), values, &e), &e);
}

static struct node *tokens_of(struct tape *t, const float *numbers, int64_t count) {
    void *data = (void *)(uintptr_t)numbers;
    const struct tensor host = tensor_matrix(data, DTYPE_F32, NULL, count, DIM);
    const struct tensor x = tape_upload(t, &host);
    return tape_input(t, &x, NULL);
}

static void random_numbers(float *out, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        out[i] = (float)random_number();
    }
}

/* Soft tokens of `count` tokens of each of three buckets, with gradients of their weighted sum. */
static float *learn(struct bridge *b, int64_t count, int64_t expand) {
    float *numbers = malloc((size_t)(3 * count * DIM) * sizeof *numbers);
    const int64_t rows = BRIDGE_MARKS + 3 * count * expand;
    float *seed = malloc((size_t)(rows * WIDTH) * sizeof *seed);
    float *out = malloc((size_t)(rows * WIDTH) * sizeof *out);
    const struct tape_source source = gradients_source(&b->gradients);
    struct bridge_group groups[3];
    struct error e = {0};
    must(numbers != NULL && seed != NULL && out != NULL ? 0 : -1, &e);
    random_state = 9;
    random_numbers(numbers, 3 * count * DIM);
    random_numbers(seed, rows * WIDTH);
    tape_begin(b->tape);
    for (int k = 0; k < 3; k++) {
        groups[k] = (struct bridge_group){
            .bucket = k, .x = tokens_of(b->tape, numbers + k * count * DIM, count)};
    }
    struct node *y =
        bridge_network(&b->options, &source, b->tape, NULL, groups, 3, expand, 0.5f, NULL);
    must(tape_status(b->tape, &e), &e);
    download_floats(b->tape, out, &y->value);
    const struct tensor host = tensor_of(seed, DTYPE_F32, NULL, y->value.shape);
    const struct tensor from = tape_upload(b->tape, &host);
    tape_backward_from(b->tape, y, &from);
    must(tape_backward(b->tape, &e), &e);
    free(numbers);
    free(seed);
    return out;
}

/* ---- The head -------------------------------------------------------------------------------- */

#define NANO TEST_FOLDER "/../compress/nano.safetensors"
enum { NANO_DIM = 768, CELLS = 8 };

struct nano {
    struct bridge bridge;
    struct reader *reader;
    struct reader_session *session;
    struct safetensors *file;
    float weight[4096 * 64], bias[4096]; /* of its classes */
};

static void open_nano(struct nano *n) {
    struct error e = {0};
    struct bridge_options o = {.kind = BRIDGE_READING, .width = WIDTH, .expand = 4, .buckets = 1};
    o.hidden = 12;
    o.scale = 0.1;
    struct tape *t = open_tape(NULL, DTYPE_F32, NULL);
    must(bridge_begin(&o, NANO, NULL, tape_device(t), &e), &e);
    must(reader_open(&n->reader, NANO, tape_device(t)->backend, DTYPE_F32, &e), &e);
    must(reader_session_open(&n->session, n->reader, &e), &e);
    must(safetensors_open(&n->file, NANO, &e), &e);
    must(safetensors_floats(n->file, safetensors_find(n->file, "reader.class.weight"), n->weight,
                            &e),
         &e);
    must(safetensors_floats(n->file, safetensors_find(n->file, "reader.class.bias"), n->bias, &e),
         &e);
    close_tape(t);
    open_bridge(&n->bridge, &o, false, RECOMPUTE_NONE);
    struct parameters *p = n->bridge.parameters;
    for (size_t i = 0; i < parameters_count(p); i++) {
        const struct tensor_spec *spec = &parameters_get(p, i)->spec;
        float *values = malloc((size_t)tensor_spec_count(spec) * sizeof *values);
        must(values != NULL ? bridge_first(&o, NULL, n->file, 1, spec->name, values, &e) : -1, &e);
        must(parameters_set(p, i, values, &e), &e);
        free(values);
    }
}

static void close_nano(struct nano *n) {
    reader_session_close(n->session);
    reader_close(n->reader);
    safetensors_close(n->file);
    close_bridge(&n->bridge);
}

/* A character of a page of one row of cells, as text runs; -1: not in a row of text. */
static int column_of(const struct reading_character *c) {
    const int cell = c->column / 32, column = c->column % 32;
    return c->row % 2 == 0 ? cell * 128 + c->row / 2 * 32 + column : -1;
}

/* The class that the head would give to what a window has in its middle. */
static int class_of(const struct nano *n, const float *window) {
    const int64_t embedding = reader_config(n->reader)->embedding;
    const int64_t classes = reader_config(n->reader)->classes;
    int best = 0;
    double most = -1e30;
    for (int i = 0; i < classes; i++) {
        double logit = (double)n->bias[i];
        for (int64_t k = 0; k < embedding; k++) {
            logit += (double)n->weight[i * embedding + k] * 20 * (double)window[embedding + k];
        }
        best = logit > most ? i : best;
        most = fmax(most, logit);
    }
    return best;
}

/* Tokens of bucket k, and the same expanded. */
static void some_tokens(float *tokens, float *whole, int k) {
    int64_t count = CELLS;
    struct error e = {0};
    for (int i = 0; i < CELLS * NANO_DIM; i++) {
        tokens[i] = (float)random_number();
    }
    for (int i = 0; i < k; i++) {
        must(nest_halve(tokens, &count, NANO_DIM, i, &e), &e);
    }
    memcpy(whole, tokens, (size_t)CELLS * NANO_DIM * sizeof *whole);
    must(nest_expand(whole, CELLS, NANO_DIM, k, &e), &e);
}

/* Where the bundled head finds characters, and which, in tokens of bucket k. */
static void compare_with_head(struct nano *n, int k) {
    static float tokens[CELLS * NANO_DIM], whole[CELLS * NANO_DIM], windows[CELLS * 128 * 768];
    const struct reading_page page = {.rows = 1,
                                      .columns = CELLS,
                                      .column_offsets = 1,
                                      .cell_rows = 1,
                                      .cell_columns = CELLS,
                                      .halvings = k};
    const struct tape_source source = parameters_source(n->bridge.parameters);
    const struct reading_character *characters;
    struct bridge_spelling spelling;
    struct error e = {0};
    int wanted[CELLS * 128];
    size_t count;
    some_tokens(tokens, whole, k);
    must(reader_run(n->session, whole, &page, &characters, &count, &e), &e);
    memset(wanted, -1, sizeof wanted);
    for (size_t i = 0; i < count; i++) {
        if (column_of(&characters[i]) >= 0) {
            wanted[column_of(&characters[i])] = characters[i].class_index;
        }
    }
    tape_begin(n->bridge.tape);
    const struct tensor host = tensor_matrix(tokens, DTYPE_F32, NULL, CELLS >> k, NANO_DIM);
    const struct tensor x = tape_upload(n->bridge.tape, &host);
    const struct bridge_group group = {.bucket = k, .x = tape_input(n->bridge.tape, &x, NULL)};
    CHECK(bridge_spell_windows(&n->bridge.options, &source, n->bridge.tape, &group, &spelling));
    download_floats(n->bridge.tape, windows, &spelling.windows->value);
    int64_t at = 0;
    for (int i = 0; i < CELLS * 128; i++) {
        if (wanted[i] >= 0 && CHECK(at < spelling.characters)) {
            CHECK_NUMBER(spelling.cells[at], i / 128);
            CHECK(at % 16 > 0 || class_of(n, windows + at * 768) == wanted[i]);
            at++;
        }
    }
    CHECK_NUMBER(spelling.characters, at);
    printf("# bucket %d: %d characters\n", k, (int)at);
    CHECK(at > 10);
}

static void it_sees_the_characters_that_the_reading_head_reads(void) {
    static struct nano n;
    open_nano(&n);
    for (int k = 0; k <= 2; k++) {
        compare_with_head(&n, k);
    }
    close_nano(&n);
}

/* Tokens in which nothing is seen become what an empty sum is: the shift. */
static void a_token_may_hold_no_character(void) {
    const struct bridge_options o = options_of(BRIDGE_READING);
    const float never[2 * READING_COLUMNS] = {99, -99, 99, -99, 99, -99, 99, -99};
    const float zeros[2 * READING_COLUMNS * HIDDEN] = {0};
    float shift[WIDTH], *out;
    struct bridge b;
    for (int m = RECOMPUTE_NONE; m <= RECOMPUTE_BLOCK; m++) {
        open_bridge(&b, &o, false, (enum tape_recompute)m);
        set(&b, "reader.presence.weight", zeros);
        set(&b, "reader.presence.bias", never);
        out = learn(&b, 70, 1);
        const struct parameter *one = parameters_find(b.parameters, "bridge.shift");
        CHECK_NUMBER(
            parameters_read(b.parameters, parameters_index(b.parameters, one), shift, NULL), 0);
        for (int i = 0; i < 3 * 70 * WIDTH; i++) {
            CHECK(out[BRIDGE_MARKS * WIDTH + i] == shift[i % WIDTH]);
        }
        free(out);
        close_bridge(&b);
    }
}

/* ---- What is frozen, and what is new --------------------------------------------------------- */

static bool same_numbers(const struct tensor *a, const struct tensor *b) {
    float *x = malloc(tensor_bytes(a)), *y = malloc(tensor_bytes(b));
    if (x == NULL || y == NULL) {
        exit(1);
    }
    tested_download(x, a);
    tested_download(y, b);
    const bool same = memcmp(x, y, tensor_bytes(b)) == 0;
    free(x);
    free(y);
    return same;
}

static void a_frozen_head_changes_no_other_gradient(void) {
    static const enum tape_recompute MODES[] = {RECOMPUTE_NONE, RECOMPUTE_BLOCK};
    const struct bridge_options o = options_of(BRIDGE_READING);
    for (int m = 0; m < 2; m++) {
        struct bridge trained, frozen;
        open_bridge(&trained, &o, true, MODES[m]);
        open_bridge(&frozen, &o, false, MODES[m]);
        free(learn(&trained, 30, 2));
        free(learn(&frozen, 30, 2));
        for (size_t i = 0; i < parameters_count(frozen.parameters); i++) {
            const struct tensor *a = &trained.gradients.list[i], *b = &frozen.gradients.list[i];
            const char *name = parameters_get(frozen.parameters, i)->spec.name;
            CHECK((b->data == NULL) == (strncmp(name, "reader.", 7) == 0));
            if (b->data != NULL && !CHECK(same_numbers(a, b))) {
                printf("# %s\n", name);
            }
        }
        CHECK(tape_peak(frozen.tape) < tape_peak(trained.tape));
        close_bridge(&trained);
        close_bridge(&frozen);
    }
}

/* Peaks with everything, with the trained part alone, and with nothing kept between. */
static void recomputing_takes_less_memory(void) {
    const struct bridge_options o = options_of(BRIDGE_READING);
    size_t peaks[2];
    for (int m = 0; m < 2; m++) {
        struct bridge b;
        open_bridge(&b, &o, false, m == 0 ? RECOMPUTE_NONE : RECOMPUTE_BLOCK);
        free(learn(&b, 100, 1));
        peaks[m] = tape_peak(b.tape);
        close_bridge(&b);
    }
    printf("# %zu KiB, %zu KiB\n", peaks[0] >> 10, peaks[1] >> 10);
    CHECK(2 * peaks[1] < peaks[0]);
}

static void experts_change_nothing_at_first(void) {
    for (int kind = BRIDGE_LINEAR; kind <= BRIDGE_READING; kind++) {
        struct bridge_options o = options_of((enum bridge_kind)kind);
        struct bridge with, without;
        open_bridge(&without, &o, true, RECOMPUTE_NONE);
        o.experts = (struct bridge_experts){.count = 4, .chosen = 2, .hidden = 8, .balance = 0.01};
        open_bridge(&with, &o, true, RECOMPUTE_NONE);
        random_state = 7;
        fill(&without, false);
        random_state = 7;
        fill(&with, false);
        float *a = learn(&without, TOKENS, 2), *b = learn(&with, TOKENS, 2);
        CHECK(memcmp(a, b, (size_t)((BRIDGE_MARKS + 3 * TOKENS * 2) * WIDTH) * sizeof *a) == 0);
        free(a);
        free(b);
        close_bridge(&with);
        close_bridge(&without);
    }
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void a_dry_run_foresees_the_memory(void) {
    struct bridge_options o = options_of(BRIDGE_READING);
    o.experts = (struct bridge_experts){.count = 4, .chosen = 2, .hidden = 8, .balance = 0.01};
    for (int m = RECOMPUTE_NONE; m <= RECOMPUTE_ALL; m++) {
        struct bridge b, dry = {.options = o};
        struct device *device;
        struct error e = {0};
        const struct tape_options options = {
            .storage = DTYPE_F32, .sums = DTYPE_F32, .recompute = (enum tape_recompute)m};
        open_bridge(&b, &o, false, (enum tape_recompute)m);
        free(learn(&b, 64, 4));
        must(dry_open(&device, tested_backend(), DTYPE_F32, &e), &e);
        must(tape_open(&dry.tape, device, &options, &e), &e);
        must(parameters_open(&dry.parameters, device, &e), &e);
        must(bridge_list(&o, false, parameters_take, dry.parameters, &e), &e);
        must(parameters_allocate(dry.parameters, &e), &e);
        must(gradients_open(&dry.gradients, dry.parameters, device, &e), &e);
        const struct tape_source source = gradients_source(&dry.gradients);
        float *numbers = calloc(64 * DIM, sizeof *numbers);
        struct bridge_group groups[3];
        tape_begin(dry.tape);
        for (int k = 0; k < 3; k++) {
            groups[k] = (struct bridge_group){.bucket = k, .x = tokens_of(dry.tape, numbers, 64)};
        }
        struct node *y = bridge_network(&o, &source, dry.tape, NULL, groups, 3, 4, 0.5f, NULL);
        must(tape_status(dry.tape, &e), &e);
        const struct tensor from = tape_space(dry.tape, &y->value);
        tape_backward_from(dry.tape, y, &from);
        must(tape_backward(dry.tape, &e), &e);
        const double share = (double)tape_peak(dry.tape) / (double)tape_peak(b.tape);
        printf("# %s: %.3f\n", TAPE_RECOMPUTE_NAMES[m], share);
        CHECK(share > 0.95 && share < 1.2);
        free(numbers);
        gradients_close(&dry.gradients);
        parameters_close(dry.parameters);
        tape_close(dry.tape);
        dry_close(device);
        close_bridge(&b);
    }
}

static void sizes_that_do_not_fit_are_refused(void) {
    struct bridge_options o = options_of(BRIDGE_READING);
    struct error e;
    CHECK_NUMBER(bridge_check(&o, &e), 0);
    o.expand = 3;
    CHECK_NUMBER(bridge_check(&o, &e), ERR_USAGE);
    o.kind = BRIDGE_MLP;
    CHECK_NUMBER(bridge_check(&o, &e), 0);
    o.expand = 9;
    CHECK_NUMBER(bridge_check(&o, &e), ERR_USAGE);
    o = options_of(BRIDGE_MLP);
    o.hidden = 0;
    CHECK_NUMBER(bridge_check(&o, &e), ERR_USAGE);
    o = options_of(BRIDGE_LINEAR);
    CHECK_NUMBER(bridge_check(&o, &e), 0);
    o.experts = (struct bridge_experts){.count = 2, .chosen = 3, .hidden = 4};
    CHECK_NUMBER(bridge_check(&o, &e), ERR_USAGE);
    o.experts.chosen = 2;
    CHECK_NUMBER(bridge_check(&o, &e), 0);
    o.experts.balance = (double)NAN;
    CHECK_NUMBER(bridge_check(&o, &e), ERR_USAGE);
    o = options_of(BRIDGE_LINEAR);
    o.scale = 0;
    CHECK_NUMBER(bridge_check(&o, &e), ERR_USAGE);
    o.scale = 1;
    o.dim = (int64_t)1 << 40;
    CHECK_NUMBER(bridge_check(&o, &e), ERR_USAGE);
}

int main(void) {
    RUN(it_sees_the_characters_that_the_reading_head_reads);
    RUN(a_token_may_hold_no_character);
    RUN(a_frozen_head_changes_no_other_gradient);
    RUN(recomputing_takes_less_memory);
    RUN(experts_change_nothing_at_first);
    RUN(a_dry_run_foresees_the_memory);
    RUN(sizes_that_do_not_fit_are_refused);
    return test_finish();
}
