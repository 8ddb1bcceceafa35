/* decoder_session_test.c - a small Llama in a folder of the Hugging Face layout says what
 * transformers says (golden/decoder/make.py): logits and greedy text, alone, together, in pieces
 * and in every format of its weights. */
#define _DEFAULT_SOURCE /* mkdtemp, setenv */
#include "tests/model_folder.h"
#include "tests/tested_device.h"
#include "train/decoder/session.h"

/* max|x - g|, of logits up to 3; rounding is 2e-6. */
#define LOGIT_LIMIT 2e-5

enum { PROMPTS = 4, GREEDY = 32, POSITIONS = 1300, VOCABULARY = 300 };

struct model {
    struct decoder_folder folder;
    struct device *device;
    struct decoder *decoder;
    struct decoder_session *session;
    json_t *golden;
};

static void must(int rc, const struct error *e) {
    if (!CHECK_NUMBER(rc, 0)) {
        printf("# %s\n", e->text);
        exit(1);
    }
}

static bool open_model_on(struct model *m, const char *path, enum decoder_format format,
                          enum dtype compute, int threads, int64_t sequences) {
    const struct backend *backend = tested_backend();
    struct error e = {0};
    *m = (struct model){.golden = small_json("golden.json")};
    if (compute == DTYPE_BF16 && !backend->has_bf16()) {
        printf("# no bf16 products on this processor\n");
        json_decref(m->golden);
        return false;
    }
    must(device_open_team(&m->device, backend, compute, threads, &e), &e);
    must(decoder_folder_open(&m->folder, path, &e), &e);
    must(decoder_open(&m->decoder, &m->folder, format, m->device, &e), &e);
    const struct decoder_parts parts = decoder_parts(m->decoder);
    must(decoder_session_open(&m->session, m->device, &m->folder.config, &parts, sequences,
                              POSITIONS, &e),
         &e);
    return true;
}

static bool open_model(struct model *m, const char *path, enum decoder_format format,
                       enum dtype compute, int64_t sequences) {
    return open_model_on(m, path, format, compute, 1, sequences);
}

static void close_model(struct model *m) {
    decoder_session_close(m->session);
    decoder_close(m->decoder);
    device_close(m->device);
    decoder_folder_close(&m->folder);
    json_decref(m->golden);
}

/* ---- What is golden -------------------------------------------------------------------------- */

static const json_t *golden(const struct model *m, size_t prompt, const char *key) {
    return json_object_get(json_array_get(m->golden, prompt), key);
}

/* The ids of a prompt, as our tokenizer has them. */
static struct token_list prompt_ids(const struct model *m, size_t prompt) {
    struct tokenizer_state *state = NULL;
    struct token_list ids = {.ids = NULL};
    struct error e = {0};
    const char *text = json_string_value(golden(m, prompt, "prompt"));
    must(tokenizer_state_open(&state, m->folder.tokenizer, &e), &e);
    must(tokenizer_encode(state, text, strlen(text), TOKENIZER_ORDINARY, &ids, &e), &e);
    tokenizer_state_close(state);
    const json_t *wanted = golden(m, prompt, "ids");
    CHECK_NUMBER(ids.count, json_array_size(wanted));
    for (size_t i = 0; i < ids.count; i++) {
        CHECK_NUMBER(ids.ids[i], json_integer_value(json_array_get(wanted, i)));
    }
    return ids;
}

static double distance(const float *logits, const json_t *wanted) {
    double most = 0;
    for (size_t i = 0; i < VOCABULARY; i++) {
        most = fmax(most, fabs((double)logits[i] - json_number_value(json_array_get(wanted, i))));
    }
    return most;
}

static double cosine(const float *logits, const json_t *wanted) {
    double xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < VOCABULARY; i++) {
        const double x = (double)logits[i], y = json_number_value(json_array_get(wanted, i));
        xx += x * x;
        yy += y * y;
        xy += x * y;
    }
    return xy / sqrt(xx * yy);
}

static int32_t largest(const float *logits) {
    int32_t best = 0;
    for (int32_t i = 1; i < VOCABULARY; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    return best;
}

static struct decoder_turn turn_of(int64_t sequence, const int32_t *ids, int64_t count) {
    return (struct decoder_turn){.sequence = sequence, .ids = ids, .count = count};
}

/* ---- One after the other --------------------------------------------------------------------- */

static void extend(struct model *m, int64_t sequence, const int32_t *ids, int64_t count,
                   float *logits) {
    struct error e = {0};
    const struct decoder_turn turn = {.sequence = sequence, .ids = ids, .count = count};
    must(decoder_extend(m->session, &turn, 1, false, logits, &e), &e);
}

static void check_text(struct model *m, size_t prompt, const int32_t ids[GREEDY]) {
    struct bytes text;
    struct error e = {0};
    bytes_init(&text, 1 << 16);
    for (size_t i = 0; i < GREEDY; i++) {
        CHECK_NUMBER(ids[i], json_integer_value(json_array_get(golden(m, prompt, "greedy"), i)));
    }
    must(tokenizer_decode(m->folder.tokenizer, ids, GREEDY, &text, &e), &e);
    const char *wanted = json_string_value(golden(m, prompt, "text"));
    if (strstr(wanted, "\uFFFD") == NULL) { /* what is no UTF-8 comes back as it is */
        CHECK_TEXT(bytes_text(&text), wanted);
    }
    bytes_close(&text);
}

static void check_prompts(int threads) {
    struct model m;
    float logits[VOCABULARY];
    double worst = 0;
    open_model_on(&m, SMALL_MODEL, DECODER_AUTO, DTYPE_F32, threads, 1);
    for (size_t i = 0; i < PROMPTS; i++) {
        int32_t greedy[GREEDY];
        struct token_list ids = prompt_ids(&m, i);
        decoder_shorten(m.session, 0, 0);
        extend(&m, 0, ids.ids, (int64_t)ids.count, logits);
        worst = fmax(worst, distance(logits, golden(&m, i, "logits")));
        for (int k = 0; k < GREEDY; k++) {
            greedy[k] = largest(logits);
            extend(&m, 0, &greedy[k], 1, logits);
        }
        check_text(&m, i, greedy);
        CHECK_NUMBER(decoder_length(m.session, 0), (long long)ids.count + GREEDY);
        token_list_close(&ids);
    }
    CHECK(worst < LOGIT_LIMIT);
    printf("# logits differ by %.2g\n", worst);
    close_model(&m);
}

static void logits_and_text_are_those_of_transformers(void) {
    check_prompts(1);
}

static void they_are_on_a_team_of_threads(void) {
    check_prompts(3);
}

/* ---- Together and in pieces ------------------------------------------------------------------ */

static void prompts_of_unequal_length_run_together(void) {
    struct model m;
    struct error e = {0};
    struct token_list ids[PROMPTS];
    struct decoder_turn turns[PROMPTS];
    int32_t greedy[PROMPTS][GREEDY];
    static float logits[PROMPTS][VOCABULARY];
    open_model(&m, SMALL_MODEL, DECODER_AUTO, DTYPE_F32, PROMPTS);
    for (size_t i = 0; i < PROMPTS; i++) {
        ids[i] = prompt_ids(&m, i); /* the last prompt goes on the first sequence */
        turns[i] = turn_of((int64_t)(PROMPTS - 1 - i), ids[i].ids, (int64_t)ids[i].count);
    }
    must(decoder_extend(m.session, turns, PROMPTS, false, logits[0], &e), &e);
    for (int k = 0; k < GREEDY; k++) {
        for (size_t i = 0; i < PROMPTS; i++) {
            greedy[i][k] = largest(logits[i]);
            turns[i].ids = &greedy[i][k];
            turns[i].count = 1;
        }
        must(decoder_extend(m.session, turns, PROMPTS, false, logits[0], &e), &e);
    }
    for (size_t i = 0; i < PROMPTS; i++) {
        check_text(&m, i, greedy[i]);
        token_list_close(&ids[i]);
    }
    close_model(&m);
}

/* More tokens than go through the network at once, with the end of another sequence before. */
static void a_long_prompt_is_the_same_in_any_pieces(void) {
    enum { LONG = 1200, OTHER = 300, PIECE = 47 };
    struct model m;
    struct error e = {0};
    int32_t ids[LONG];
    float *all = malloc(sizeof(float) * VOCABULARY * (LONG + OTHER));
    float logits[VOCABULARY], other[2 * VOCABULARY];
    for (int i = 0; i < LONG; i++) {
        ids[i] = (int32_t)((unsigned)i * 2654435761u % VOCABULARY);
    }
    open_model(&m, SMALL_MODEL, DECODER_AUTO, DTYPE_F32, 2);
    for (int i = 0; i < LONG; i += PIECE) {
        extend(&m, 1, ids + i, i + PIECE < LONG ? PIECE : LONG - i, logits);
    }
    decoder_shorten(m.session, 1, 0);
    const struct decoder_turn turns[] = {turn_of(0, ids, OTHER), turn_of(1, ids, LONG)};
    must(decoder_extend(m.session, turns, 2, true, all, &e), &e);
    decoder_shorten(m.session, 0, 10);
    decoder_shorten(m.session, 1, LONG - 1);
    const struct decoder_turn again[] = {turn_of(1, ids + LONG - 1, 1),
                                         turn_of(0, ids + 10, OTHER - 10)};
    must(decoder_extend(m.session, again, 2, false, other, &e), &e);
    double worst = 0;
    for (int i = 0; i < VOCABULARY; i++) {
        const double last = (double)all[VOCABULARY * (OTHER + LONG - 1) + i];
        worst = fmax(worst, fabs(last - (double)logits[i]));
        worst = fmax(worst, fabs(last - (double)other[i]));
        worst = fmax(
            worst, fabs((double)all[VOCABULARY * (OTHER - 1) + i] - (double)other[VOCABULARY + i]));
        worst = fmax(worst, fabs((double)all[VOCABULARY * 7 + i] -
                                 (double)all[VOCABULARY * (OTHER + 7) + i]));
    }
    CHECK(worst < LOGIT_LIMIT);
    close_model(&m);
    free(all);
}

static void what_does_not_fit_changes_nothing(void) {
    struct model m;
    struct error e = {0};
    static int32_t ids[POSITIONS + 1];
    float logits[2 * VOCABULARY];
    open_model(&m, SMALL_MODEL, DECODER_AUTO, DTYPE_F32, 2);
    const struct decoder_turn turns[] = {turn_of(0, ids, 3), turn_of(1, ids, POSITIONS + 1)};
    CHECK_NUMBER(decoder_extend(m.session, turns, 2, false, logits, &e), ERR_LIMIT);
    CHECK_TEXT(e.text, "a sequence would be longer than 1300 tokens");
    CHECK_NUMBER(decoder_length(m.session, 0), 0);
    ids[2] = VOCABULARY;
    CHECK_NUMBER(decoder_extend(m.session, turns, 1, false, logits, &e), ERR_USAGE);
    CHECK_TEXT(e.text, "token 300: the model has 300");
    ids[2] = -1;
    CHECK_NUMBER(decoder_extend(m.session, turns, 1, false, logits, &e), ERR_USAGE);
    const struct decoder_turn nowhere = turn_of(2, ids, 1), nothing = turn_of(0, ids, 0);
    CHECK_NUMBER(decoder_extend(m.session, &nowhere, 1, false, logits, &e), ERR_USAGE);
    CHECK_NUMBER(decoder_extend(m.session, &nothing, 1, false, logits, &e), ERR_USAGE);
    const struct decoder_turn twice[] = {turn_of(1, ids, 1), turn_of(1, ids, 1)};
    CHECK_NUMBER(decoder_extend(m.session, twice, 2, false, logits, &e), ERR_USAGE);
    CHECK_TEXT(e.text, "turn 1 has no token, or no sequence of its own");
    close_model(&m);
}

/* ---- Given inputs, given positions ----------------------------------------------------------- */

/* (count, width) embeddings of ids; the caller frees them. */
static float *embeddings_of(const struct model *m, const int32_t *ids, int64_t count) {
    const int64_t width = m->folder.config.width;
    struct error e = {0};
    float *table = malloc(sizeof(float) * (size_t)(VOCABULARY * width));
    float *x = malloc(sizeof(float) * (size_t)(count * width));
    must(decoder_folder_floats(&m->folder, "model.embed_tokens.weight", table, &e), &e);
    for (int64_t i = 0; i < count; i++) {
        memcpy(x + i * width, table + ids[i] * width, sizeof(float) * (size_t)width);
    }
    free(table);
    return x;
}

static double difference(const float *a, const float *b, int64_t count) {
    double most = 0;
    for (int64_t i = 0; i < count; i++) {
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
    }
    return most;
}

/* Sequences of ids, of inputs, and such that go on with the other; longer than what goes through at
 * once. */
static void given_inputs_stand_in_the_place_of_embeddings(void) {
    enum { COUNT = 700, FIRST = 400 };
    struct model m;
    struct error e = {0};
    int32_t ids[COUNT];
    static float logits[3][VOCABULARY], after[3][VOCABULARY];
    for (int i = 0; i < COUNT; i++) {
        ids[i] = (int32_t)((unsigned)i * 2654435761u % VOCABULARY);
    }
    open_model(&m, SMALL_MODEL, DECODER_AUTO, DTYPE_F32, 3);
    const int64_t width = m.folder.config.width;
    float *x = embeddings_of(&m, ids, COUNT);
    const struct decoder_turn first[] = {{.sequence = 0, .inputs = x, .count = FIRST},
                                         {.sequence = 1, .ids = ids, .count = FIRST},
                                         {.sequence = 2, .ids = ids, .count = COUNT}};
    const struct decoder_turn rest[] = {
        {.sequence = 2, .inputs = x, .count = 1},
        {.sequence = 0, .ids = ids + FIRST, .count = COUNT - FIRST},
        {.sequence = 1, .inputs = x + FIRST * width, .count = COUNT - FIRST}};
    must(decoder_extend(m.session, first, 3, false, logits[0], &e), &e);
    must(decoder_extend(m.session, rest, 3, false, after[0], &e), &e);
    CHECK(difference(logits[0], logits[1], VOCABULARY) < LOGIT_LIMIT);
    CHECK(difference(after[1], logits[2], VOCABULARY) < LOGIT_LIMIT);
    CHECK(difference(after[2], logits[2], VOCABULARY) < LOGIT_LIMIT);
    CHECK(difference(logits[0], logits[2], VOCABULARY) > 0.01);
    const struct decoder_turn both = {.sequence = 0, .ids = ids, .inputs = x, .count = 1};
    CHECK_NUMBER(decoder_extend(m.session, &both, 1, false, logits[0], &e), ERR_USAGE);
    free(x);
    close_model(&m);
}

/* All logits, (count, vocabulary), of the network without a cache. */
static void network_logits(struct model *m, const int32_t *ids, const int32_t *positions,
                           int64_t count, float *logits) {
    static const struct tape_options TAPE = {.storage = DTYPE_F32};
    const struct decoder_config *c = &m->folder.config;
    const struct decoder_parts parts = decoder_parts(m->decoder);
    int32_t ends[] = {0, (int32_t)count};
    struct device *d = m->device;
    struct tape *t;
    struct tensor frequency;
    struct error e = {0};
    must(tape_open(&t, d, &TAPE, &e), &e);
    must(decoder_frequency_table(&frequency, d, c, &e), &e);
    tape_begin(t);
    const struct tensor there = tape_upload_numbers(t, ids, count);
    const struct tensor places = tape_upload_numbers(t, positions, count);
    const struct tensor offsets = tensor_vector(ends, DTYPE_I32, NULL, 2);
    const struct decoder_input in = {
        .x = parts.embed(parts.context, t, &there), .positions = &places, .offsets = &offsets};
    const struct node *y =
        parts.logits(parts.context, t, decoder_network(c, &parts, t, &frequency, &in));
    must(tape_status(t, &e), &e);
    const struct tensor host = tensor_matrix(logits, DTYPE_F32, NULL, count, VOCABULARY);
    const struct tensor from = tensor_as_matrix(&y->value);
    must(d->ops->download(d, &host, &from, &e), &e);
    tape_close(t);
    d->ops->release(d, &frequency);
}

/* With a gap between them; what follows without positions goes on after the last, also after a part
 * was taken back. */
static void positions_are_those_that_are_given(void) {
    enum { COUNT = 12, FIRST = 8, KEPT = 5 };
    static const int32_t POSITIONED[COUNT] = {0, 1, 9, 17, 25, 60, 61, 70, 71, 72, 73, 74};
    static const int32_t TAKEN_BACK[COUNT] = {0, 1, 9, 17, 25, 26, 27, 28, 29, 30, 31, 32};
    struct model m;
    struct error e = {0};
    int32_t ids[COUNT];
    static float wanted[COUNT][VOCABULARY], logits[COUNT][VOCABULARY];
    for (int i = 0; i < COUNT; i++) {
        ids[i] = (int32_t)((unsigned)i * 2654435761u % VOCABULARY);
    }
    open_model(&m, SMALL_MODEL, DECODER_AUTO, DTYPE_F32, 1);
    float *x = embeddings_of(&m, ids, COUNT);
    const struct decoder_turn first = {
        .sequence = 0, .inputs = x, .count = FIRST, .positions = POSITIONED};
    must(decoder_extend(m.session, &first, 1, true, logits[0], &e), &e);
    const struct decoder_turn rest = turn_of(0, ids + FIRST, COUNT - FIRST);
    must(decoder_extend(m.session, &rest, 1, true, logits[FIRST], &e), &e);
    network_logits(&m, ids, POSITIONED, COUNT, wanted[0]);
    CHECK(difference(wanted[0], logits[0], COUNT * VOCABULARY) < LOGIT_LIMIT);

    decoder_shorten(m.session, 0, KEPT);
    const struct decoder_turn again = turn_of(0, ids + KEPT, COUNT - KEPT);
    must(decoder_extend(m.session, &again, 1, true, logits[KEPT], &e), &e);
    network_logits(&m, ids, TAKEN_BACK, COUNT, wanted[0]);
    CHECK(difference(wanted[0], logits[0], COUNT * VOCABULARY) < LOGIT_LIMIT);

    static const int32_t WRONG[] = {4, -1};
    const struct decoder_turn wrong = {.sequence = 0, .ids = ids, .count = 2, .positions = WRONG};
    CHECK_NUMBER(decoder_extend(m.session, &wrong, 1, false, logits[0], &e), ERR_USAGE);
    CHECK_TEXT(e.text, "position -1");
    CHECK_NUMBER(decoder_length(m.session, 0), COUNT);
    free(x);
    close_model(&m);
}

/* ---- Formats --------------------------------------------------------------------------------- */

static void check_format(enum decoder_format format, enum dtype compute, double least,
                         size_t bytes) {
    struct model m;
    float logits[VOCABULARY];
    double worst = 1;
    if (!open_model(&m, SMALL_MODEL, format, compute, 1)) {
        return;
    }
    for (size_t i = 0; i < PROMPTS; i++) {
        struct token_list ids = prompt_ids(&m, i);
        decoder_shorten(m.session, 0, 0);
        extend(&m, 0, ids.ids, (int64_t)ids.count, logits);
        worst = fmin(worst, cosine(logits, golden(&m, i, "logits")));
        token_list_close(&ids);
    }
    if (!CHECK(worst > least)) {
        printf("# %s in %s: %g\n", DECODER_FORMAT_NAMES[format], dtype_name(compute), worst);
    }
    CHECK_NUMBER(decoder_bytes(m.decoder), bytes);
    close_model(&m);
}

/* 31,104 numbers of matrices, of which the embedding's are 9,600, and 7 gains. 48 is no multiple of
 * a block, so that int4 is for another test. */
static void weights_are_kept_in_other_formats(void) {
    enum { NUMBERS = 31104, GAINS = 7 * 32 * 4 };
    const size_t scales = 4 * (300 + 3 * (32 + 8 + 8 + 32 + 48 + 48 + 32));
    check_format(DECODER_F32, DTYPE_F32, 0.99999, 4 * NUMBERS + GAINS);
    check_format(DECODER_BF16, DTYPE_F32, 0.9995, 2 * NUMBERS + GAINS);
    check_format(DECODER_INT8, DTYPE_F32, 0.999, NUMBERS + scales + GAINS);
    check_format(DECODER_AUTO, DTYPE_BF16, 0.999, 2 * NUMBERS + GAINS);
    check_format(DECODER_F32, DTYPE_BF16, 0.999, 4 * NUMBERS + GAINS);
    check_format(DECODER_INT8, DTYPE_BF16, 0.999, NUMBERS + scales + GAINS);
}

int main(void) {
    RUN(logits_and_text_are_those_of_transformers);
    RUN(they_are_on_a_team_of_threads);
    RUN(prompts_of_unequal_length_run_together);
    RUN(a_long_prompt_is_the_same_in_any_pieces);
    RUN(given_inputs_stand_in_the_place_of_embeddings);
    RUN(positions_are_those_that_are_given);
    RUN(what_does_not_fit_changes_nothing);
    RUN(weights_are_kept_in_other_formats);
    return test_finish();
}
