/* What lists of networks say of their tensors, beside what the names of published files mean. */
#include "compress/tensor_spec.h"

#include <math.h>

#include "compress/reading.h"
#include "tests/test.h"

struct listed {
    struct tensor_spec list[1024];
    size_t count;
};
static struct listed listed;

static int keep(void *context, const struct tensor_spec *spec, struct error *e) {
    struct listed *l = context;
    if (l->count == sizeof l->list / sizeof *l->list) {
        return error_set(e, ERR_LIMIT, "more tensors than the test has room for");
    }
    l->list[l->count++] = *spec;
    return 0;
}

static bool has(const struct tensor_spec *s, const char *part) {
    return strstr(s->name, part) != NULL;
}

static bool ends(const struct tensor_spec *s, const char *end) {
    size_t length = strlen(s->name), tail = strlen(end);
    return length >= tail && strcmp(s->name + length - tail, end) == 0;
}

static void check_encoder(const struct encoder_config *config, const struct tensor_spec *s) {
    bool norm = has(s, "norm") || has(s, "neck.1") || has(s, "neck.3");
    bool table = has(s, "pos_embed") || has(s, "rel_pos") || has(s, "embeddings.class") ||
                 has(s, "embeddings.position") || has(s, "image_newline") || has(s, "view_sep");
    bool matrix = ends(s, ".weight") && !norm && !table;
    bool first = ends(s, "attn.proj.weight") || ends(s, "lin2.weight");
    bool second = ends(s, "out_proj.weight") || ends(s, "fc2.weight");
    double inputs = (double)tensor_spec_width(s);
    double blocks = first ? (double)config->depth : second ? (double)config->clip_depth : 0.5;
    double wanted = matrix ? 1 / sqrt(inputs * 2 * blocks) : table ? 0.02 : 0;
    CHECK(s->decays == matrix);
    CHECK((s->kind == TENSOR_MATRIX) == matrix);
    CHECK_NEAR(s->rate, matrix && inputs > 192 ? 192 / inputs : 1, 1e-15);
    CHECK_NEAR(s->deviation, wanted, 1e-15);
    CHECK(s->constant == (norm && ends(s, ".weight")));
    CHECK(s->optional == has(s, "patch_embedding"));
    CHECK(s->trainable && s->shipped);
    CHECK_TEXT(s->group, "encoder");
}

static void encoders_say_what_their_names_mean(void) {
    for (int i = 0; CONFIG_NAMES[i] != NULL; i++) {
        struct encoder_config config;
        listed.count = 0;
        CHECK_NUMBER(config_named(&config, CONFIG_NAMES[i], NULL), 0);
        CHECK_NUMBER(config_tensors(&config, keep, &listed, NULL), 0);
        CHECK(listed.count > 50);
        for (size_t k = 0; k < listed.count; k++) {
            check_encoder(&config, &listed.list[k]);
        }
    }
}

/* A trunk adds to what it reads: its table decays as little as a bias, its last matrix begins with
 * less than others. */
static void a_trunk_has_a_table_of_levels(void) {
    struct reading_config config = READING_DEFAULTS;
    config.classes = 100;
    listed.count = 0;
    CHECK_NUMBER(reading_tensors(&config, "reader.", 32, 8, 8, keep, &listed, NULL), 0);
    CHECK_NUMBER(listed.count, 15);
    const struct tensor_spec *level = &listed.list[0], *last = &listed.list[3];
    CHECK_TEXT(level->name, "reader.level.weight");
    CHECK(level->rows == config.nested + 1 && !level->decays);
    CHECK_TEXT(last->name, "reader.trunk.1.weight");
    CHECK_NEAR(last->deviation, 1 / sqrt(2 * (double)config.trunk), 1e-15);
}

static void heads_and_maps_are_matrices_with_biases(void) {
    const struct reading_config defaults = READING_DEFAULTS;
    struct reading_config config = reading_without_trunk(&defaults);
    config.classes = 100;
    listed.count = 0;
    CHECK_NUMBER(reading_tensors(&config, "early.0.", 32, 8, 8, keep, &listed, NULL), 0);
    CHECK_NUMBER(listed.count, 10);
    CHECK_NUMBER(merge_tensors(512, keep, &listed, NULL), 0);
    CHECK_NUMBER(listed.count, 18);
    for (size_t k = 0; k < listed.count; k++) {
        const struct tensor_spec *s = &listed.list[k];
        double inputs = (double)tensor_spec_width(s);
        bool matrix = k % 2 == 0;
        CHECK(ends(s, matrix ? ".weight" : ".bias"));
        CHECK(s->decays == matrix && s->trainable && s->shipped && !s->optional);
        CHECK_NEAR(s->deviation, matrix ? 1 / sqrt(inputs) : 0, 1e-15);
        CHECK_NEAR(s->rate, matrix && inputs > 192 ? 192 / inputs : 1, 1e-15);
        CHECK_TEXT(s->group, k < 10 ? "reader" : "merge");
    }
}

static void rows_are_those_of_the_matrix_in_memory(void) {
    static const struct {
        enum tensor_kind kind;
        int64_t shape[TENSOR_SPEC_RANK], rows, width;
    } CASES[] = {{TENSOR_MATRIX, {5, 7}, 5, 7},
                 {TENSOR_MATRIX, {4, 3, 2, 2}, 4, 12},
                 {TENSOR_TABLE, {1, 2, 3, 4}, 6, 4},
                 {TENSOR_TABLE, {9, 4}, 9, 4},
                 {TENSOR_TABLE, {6}, 1, 6},
                 {TENSOR_GAIN, {8}, 1, 8},
                 {TENSOR_BIAS, {8}, 1, 8}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const struct tensor_spec s = tensor_spec_of(CASES[i].kind, "group", CASES[i].shape);
        CHECK_NUMBER(s.rows, CASES[i].rows);
        CHECK_NUMBER(tensor_spec_width(&s), CASES[i].width);
        CHECK_NUMBER(tensor_spec_count(&s), CASES[i].rows * CASES[i].width);
    }
}

/* A list ends where its reader has enough. */
static int refuse(void *context, const struct tensor_spec *spec, struct error *e) {
    int *left = context;
    (void)spec;
    return (*left)-- > 0 ? 0 : error_set(e, ERR_LIMIT, "enough");
}

static void a_list_ends_when_it_is_refused(void) {
    struct encoder_config config;
    struct error e = {0};
    int left = 3;
    CHECK_NUMBER(config_named(&config, "nano", NULL), 0);
    CHECK_NUMBER(config_tensors(&config, refuse, &left, &e), ERR_LIMIT);
    CHECK_NUMBER(left, -1);
    CHECK_TEXT(e.text, "enough");
}

int main(void) {
    RUN(encoders_say_what_their_names_mean);
    RUN(a_trunk_has_a_table_of_levels);
    RUN(heads_and_maps_are_matrices_with_biases);
    RUN(rows_are_those_of_the_matrix_in_memory);
    RUN(a_list_ends_when_it_is_refused);
    return test_finish();
}
