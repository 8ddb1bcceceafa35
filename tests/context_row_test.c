/* context_row_test.c - rows of text, marks, soft tokens and pooled text: each input is what it
 * should be, gradients arrive where inputs came from, and rows that lie are refused. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "train/context/row.h"

#include "tests/model_folder.h"
#include "tests/tape_device.h"
#include "train/parameters.h"

enum { DIM = 8, MOST = 64, MOST_WIDTH = 64 };

static void must(int rc, const struct error *e) {
    if (!CHECK_NUMBER(rc, 0)) {
        printf("# %s\n", e->text);
        exit(1);
    }
}

struct fixture {
    struct tape *tape;
    struct decoder_folder folder;
    struct parameters *decoder, *parameters;
    struct gradients embedding, gradients;
    struct tape_source decoder_source, source;
    struct decoder_source parts_source;
    struct decoder_parts parts;
    struct bridge_options options;
    struct context_network network;
    int64_t width;
    float *embeddings; /* of the decoder: the host's */
};

static int take_embedding(void *context, const struct tensor_spec *spec, struct error *e) {
    struct tensor_spec trained = *spec;
    trained.trainable = true;
    return strcmp(spec->name, DECODER_EMBEDDING) == 0 ? parameters_add(context, &trained, e) : 0;
}

static void open_parameters(struct fixture *f) {
    struct device *d = tape_device(f->tape);
    struct error e = {0};
    must(parameters_open(&f->decoder, d, &e), &e);
    must(decoder_config_list(&f->folder.config, take_embedding, f->decoder, &e), &e);
    must(parameters_allocate(f->decoder, &e), &e);
    must(parameters_fill(f->decoder, 3, &e), &e);
    f->embeddings = malloc(tensor_bytes(&parameters_get(f->decoder, 0)->value));
    must(f->embeddings != NULL ? 0 : error_memory(&e, NULL), &e);
    must(parameters_read(f->decoder, 0, f->embeddings, &e), &e);
    must(gradients_open(&f->embedding, f->decoder, d, &e), &e);
    must(parameters_open(&f->parameters, d, &e), &e);
    must(bridge_list(&f->options, false, parameters_take, f->parameters, &e), &e);
    must(parameters_allocate(f->parameters, &e), &e);
    must(parameters_fill(f->parameters, 4, &e), &e);
    must(gradients_open(&f->gradients, f->parameters, d, &e), &e);
}

static void open_fixture(struct fixture *f) {
    struct error e = {0};
    *f = (struct fixture){.tape = open_tape(NULL, DTYPE_F32, NULL)};
    must(decoder_folder_open(&f->folder, SMALL_MODEL, &e), &e);
    f->width = f->folder.config.width;
    f->options = (struct bridge_options){.kind = BRIDGE_LINEAR,
                                         .dim = DIM,
                                         .width = f->width,
                                         .expand = 2,
                                         .buckets = 2,
                                         .scale = 0.1};
    open_parameters(f);
    f->decoder_source = gradients_source(&f->embedding);
    f->source = gradients_source(&f->gradients);
    f->parts_source =
        (struct decoder_source){.source = &f->decoder_source, .config = &f->folder.config};
    f->parts = decoder_source_parts(&f->parts_source);
    f->network = (struct context_network){.bridge = &f->options, .source = &f->source};
}

static void close_fixture(struct fixture *f) {
    free(f->embeddings);
    gradients_close(&f->gradients);
    gradients_close(&f->embedding);
    parameters_close(f->parameters);
    parameters_close(f->decoder);
    decoder_folder_close(&f->folder);
    close_tape(f->tape);
}

/* ---- A row ----------------------------------------------------------------------------------- */

enum { SOFT = (3 + 2) * 2, PAGE = -1 - MARK_PAGE, END = -1 - MARK_END, AGE_1 = -1 - MARK_AGE - 1 };
#define SOFT_INPUT(i) (-1 - (BRIDGE_MARKS + (i)))
#define POOL_INPUT(i) (-1 - (BRIDGE_MARKS + SOFT + (i)))
static const int32_t INPUTS[] = {PAGE,
                                 SOFT_INPUT(0),
                                 SOFT_INPUT(1),
                                 SOFT_INPUT(2),
                                 PAGE,
                                 AGE_1,
                                 SOFT_INPUT(9),
                                 SOFT_INPUT(8),
                                 POOL_INPUT(1),
                                 POOL_INPUT(0),
                                 17,
                                 POOL_INPUT(2),
                                 END,
                                 5,
                                 5,
                                 99};
enum { TOKENS = sizeof INPUTS / sizeof *INPUTS };
static const int32_t POOLED[] = {4, 8, 15, 16, 23, 42};
static const struct context_pool POOLS[] = {{0, 2}, {2, 1}, {1, 5}};
static float numbers[2][3 * DIM];

static struct context_row row_of(void) {
    static struct context_visual visual[2];
    random_state = 3;
    for (int i = 0; i < 2 * 3 * DIM; i++) {
        numbers[i / (3 * DIM)][i % (3 * DIM)] = (float)random_number();
    }
    visual[0] = (struct context_visual){.bucket = 0, .count = 3, .numbers = numbers[0]};
    visual[1] = (struct context_visual){.bucket = 1, .count = 2, .numbers = numbers[1]};
    return (struct context_row){.inputs = INPUTS,
                                .tokens = TOKENS,
                                .visual = visual,
                                .visual_count = 2,
                                .expand = 2,
                                .pools = POOLS,
                                .pool_count = 3,
                                .pooled = POOLED};
}

/* The soft tokens and marks of such a row, by the bridge alone. */
static void bridge_alone(struct fixture *f, float *out) {
    struct bridge_group groups[2];
    tape_begin(f->tape);
    for (int k = 0; k < 2; k++) {
        const struct tensor host = tensor_matrix(numbers[k], DTYPE_F32, NULL, 3 - k, DIM);
        const struct tensor x = tape_upload(f->tape, &host);
        groups[k] = (struct bridge_group){.bucket = k, .x = tape_input(f->tape, &x, NULL)};
    }
    struct node *y = bridge_network(&f->options, &f->source, f->tape, NULL, groups, 2, 2, 0, NULL);
    download_floats(f->tape, out, &y->value);
}

static const float *embedding(const struct fixture *f, int32_t id) {
    return f->embeddings + id * f->width;
}

static double expected(const struct fixture *f, const float *bridge, int32_t input, int64_t k) {
    const int place = -1 - input;
    if (input >= 0) {
        return (double)embedding(f, input)[k];
    }
    if (place < BRIDGE_MARKS + SOFT) {
        return (double)bridge[place * f->width + k];
    }
    const struct context_pool *pool = &POOLS[place - BRIDGE_MARKS - SOFT];
    double sum = 0;
    for (int64_t i = 0; i < pool->count; i++) {
        sum += (double)embedding(f, POOLED[pool->first + i])[k];
    }
    return sum / (double)pool->count;
}

static void each_input_is_what_it_stands_for(void) {
    static float bridge[(BRIDGE_MARKS + SOFT) * MOST_WIDTH], out[TOKENS * MOST_WIDTH];
    struct fixture f;
    struct error e = {0};
    open_fixture(&f);
    const struct context_row row = row_of();
    bridge_alone(&f, bridge);
    tape_begin(f.tape);
    struct node *y = context_embed(&f.network, &f.parts, f.tape, &row);
    must(tape_status(f.tape, &e), &e);
    CHECK_NUMBER(tensor_rows(&y->value), TOKENS);
    download_floats(f.tape, out, &y->value);
    for (int i = 0; i < TOKENS; i++) {
        for (int64_t k = 0; k < f.width; k++) {
            CHECK_NEAR((double)out[i * f.width + k], expected(&f, bridge, INPUTS[i], k), 1e-6);
        }
    }
    close_fixture(&f);
}

/* ---- Gradients ------------------------------------------------------------------------------- */

/* The gradient of an id's embedding for seeds of 1 + place in the row. */
static double embedding_gradient(int32_t id) {
    double sum = 0;
    for (int i = 0; i < TOKENS; i++) {
        const int pool = -1 - INPUTS[i] - BRIDGE_MARKS - SOFT;
        sum += INPUTS[i] == id ? i + 1 : 0;
        for (int64_t k = 0; pool >= 0 && k < POOLS[pool].count; k++) {
            sum += POOLED[POOLS[pool].first + k] == id ? (i + 1.0) / (double)POOLS[pool].count : 0;
        }
    }
    return sum;
}

static void gradients_arrive_where_inputs_came_from(void) {
    static float seed[TOKENS * MOST_WIDTH], marks[BRIDGE_MARKS * MOST_WIDTH];
    static float ids[400 * MOST_WIDTH];
    struct fixture f;
    struct error e = {0};
    open_fixture(&f);
    const struct context_row row = row_of();
    tape_begin(f.tape);
    struct node *y = context_embed(&f.network, &f.parts, f.tape, &row);
    for (int i = 0; i < TOKENS * f.width; i++) {
        seed[i] = (float)(1 + i / f.width);
    }
    const struct tensor host = tensor_of(seed, DTYPE_F32, NULL, y->value.shape);
    const struct tensor from = tape_upload(f.tape, &host);
    tape_backward_from(f.tape, y, &from);
    must(tape_backward(f.tape, &e), &e);
    download_floats(f.tape, marks, &f.gradients.list[0]);
    download_floats(f.tape, ids, &f.embedding.list[0]);
    for (int mark = 0; mark < BRIDGE_MARKS; mark++) {
        const double sum = mark == MARK_PAGE      ? 1 + 5
                           : mark == MARK_AGE + 1 ? 6
                           : mark == MARK_END     ? 13
                                                  : 0;
        CHECK_NEAR((double)marks[mark * f.width], sum, 1e-5);
    }
    for (int32_t id = 0; id < 120; id++) {
        CHECK_NEAR((double)ids[id * f.width + 1], embedding_gradient(id), 1e-5);
    }
    close_fixture(&f);
}

/* ---- Without a bridge ------------------------------------------------------------------------ */

static void text_alone_is_the_decoders_embedding(void) {
    static const int32_t TEXT[] = {3, 1, 4, 1, 5};
    static float out[5 * MOST_WIDTH];
    struct fixture f;
    open_fixture(&f);
    const struct context_row row = {.inputs = TEXT, .tokens = 5};
    const struct context_network none = {.bridge = NULL};
    tape_begin(f.tape);
    struct node *y = context_embed(&none, &f.parts, f.tape, &row);
    download_floats(f.tape, out, &y->value);
    for (int i = 0; i < 5; i++) {
        CHECK(memcmp(out + i * f.width, embedding(&f, TEXT[i]), (size_t)f.width * sizeof *out) ==
              0);
    }
    close_fixture(&f);
}

static void pools_stand_alone_without_a_bridge(void) {
    static const int32_t ALONE[] = {-1, -3, 7, -2};
    static float out[4 * MOST_WIDTH];
    struct fixture f;
    open_fixture(&f);
    const struct context_row row = {
        .inputs = ALONE, .tokens = 4, .pools = POOLS, .pool_count = 3, .pooled = POOLED};
    const struct context_network none = {.bridge = NULL};
    tape_begin(f.tape);
    struct node *y = context_embed(&none, &f.parts, f.tape, &row);
    download_floats(f.tape, out, &y->value);
    for (int i = 0; i < 4; i++) {
        const int32_t input =
            ALONE[i] >= 0 ? ALONE[i] : ALONE[i] - BRIDGE_MARKS - SOFT; /* as if there were one */
        for (int64_t k = 0; k < f.width; k++) {
            CHECK_NEAR((double)out[i * f.width + k], expected(&f, NULL, input, k), 1e-6);
        }
    }
    close_fixture(&f);
}

static void inputs_that_are_nowhere_fail_the_tape(void) {
    static const int32_t LIES[] = {POOL_INPUT(3), POOL_INPUT(1000), INT32_MIN};
    struct fixture f;
    struct error e = {0};
    open_fixture(&f);
    for (size_t i = 0; i < sizeof LIES / sizeof *LIES; i++) {
        struct context_row row = row_of();
        row.inputs = &LIES[i];
        row.tokens = 1;
        tape_begin(f.tape);
        CHECK(context_embed(&f.network, &f.parts, f.tape, &row) == NULL);
        CHECK_NUMBER(tape_status(f.tape, &e), ERR_FORMAT);
    }
    close_fixture(&f);
}

int main(void) {
    RUN(each_input_is_what_it_stands_for);
    RUN(gradients_arrive_where_inputs_came_from);
    RUN(text_alone_is_the_decoders_embedding);
    RUN(pools_stand_alone_without_a_bridge);
    RUN(inputs_that_are_nowhere_fail_the_tape);
    return test_finish();
}
