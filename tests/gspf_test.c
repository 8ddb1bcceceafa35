/* Rows of a decoder that are trained: their gradients are those of whole matrices; scores against
 * double precision; what is chosen; folders. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "train/gspf/gspf.h"

#include <sys/stat.h>
#include <unistd.h>

#include "store/random.h"
#include "tests/gspf_network.h"
#include "train/adapter/merge.h"

static struct mask_unit unit_of(int32_t layer, enum decoder_matrix matrix, int32_t first,
                                int32_t rows) {
    return (struct mask_unit){
        .layer = layer, .matrix = matrix, .first_row = first, .rows = rows, .score = 1};
}

/* ---- Gradients ------------------------------------------------------------------------------- */

static void compare_rows(const struct mask *m, const float *rows, const float *whole,
                         int64_t inputs, int64_t layer, enum decoder_matrix which) {
    size_t count;
    const struct mask_unit *u = mask_find(m, layer, which, &count);
    double largest = 0, worst = 0;
    for (size_t i = 0; i < count; i++) {
        for (int64_t k = 0; k < u[i].rows * inputs; k++, rows++) {
            const double wanted = (double)whole[u[i].first_row * inputs + k];
            largest = fmax(largest, fabs(wanted));
            worst = fmax(worst, fabs((double)*rows - wanted));
        }
    }
    CHECK(largest > 0 && worst < 1e-4 * largest);
}

static void rows_have_the_gradients_of_their_matrix(void) {
    static float rows[MOST], whole[MOST];
    struct mask_unit units[] = {
        unit_of(0, DECODER_Q, 3, 5),    unit_of(0, DECODER_DOWN, 0, 32),
        unit_of(1, DECODER_UP, 40, 5),  unit_of(1, DECODER_UP, 45, 3),
        unit_of(2, DECODER_GATE, 7, 1), unit_of(2, DECODER_GATE, 20, 4),
    };
    const struct mask m = {.units = units, .count = sizeof units / sizeof *units};
    struct trained all = {.parameters = NULL}, some = {.parameters = NULL};
    struct network n;
    network_open(&n, SMALL_MODEL, NULL);
    network_row(&n, 1);
    trained_whole(&all, &n);
    const struct decoder_source full = {.source = &all.source, .config = &n.folder.config};
    const double before = network_learn(&n, decoder_source_parts(&full));
    trained_rows(&some, &n, &m);
    const struct gspf_source of = {.mask = &m, .base = n.base, .source = &some.source};
    CHECK_NEAR(network_learn(&n, gspf_parts(&of)), before, 1e-5);
    for (size_t i = 0; i < m.count; i++) {
        char name[TENSOR_SPEC_NAME];
        int64_t outputs, inputs;
        if (i > 0 && units[i].layer == units[i - 1].layer &&
            units[i].matrix == units[i - 1].matrix) {
            continue;
        }
        decoder_matrix_shape(&n.folder.config, units[i].matrix, &outputs, &inputs);
        decoder_weight_name(name, units[i].layer, units[i].matrix);
        trained_gradient(&all, &n, name, whole);
        gspf_name(name, units[i].layer, units[i].matrix);
        trained_gradient(&some, &n, name, rows);
        compare_rows(&m, rows, whole, inputs, units[i].layer, units[i].matrix);
    }
    trained_close(&all);
    trained_close(&some);
    network_close(&n);
}

/* Most bytes of the tape with one unit of a layer, which may be still. */
static size_t peak_of(int32_t layer, bool still) {
    const struct tape_options options = {.storage = DTYPE_F32, .recompute = RECOMPUTE_BLOCK};
    struct mask_unit unit = unit_of(layer, DECODER_UP, 0, 5);
    const struct mask m = {.units = &unit, .count = 1};
    struct trained some = {.parameters = NULL};
    struct network n;
    network_open(&n, SMALL_MODEL, &options);
    network_row(&n, 1);
    trained_rows(&some, &n, &m);
    const struct gspf_source of = {
        .mask = &m, .base = n.base, .source = &some.source, .still = &still};
    tape_set_sink(n.tape, gradients_sink, &some.gradients);
    network_learn(&n, gspf_parts(&of));
    CHECK(some.gradients.reached[0] == !still);
    const size_t peak = tape_peak(n.tape);
    trained_close(&some);
    network_close(&n);
    return peak;
}

static void layers_below_the_lowest_that_learns_keep_nothing(void) {
    const size_t first = peak_of(0, false), last = peak_of(2, false), none = peak_of(0, true);
    printf("# %zu, %zu, %zu bytes\n", first, last, none);
    CHECK(last < first && none < last);
}

/* ---- Folders --------------------------------------------------------------------------------- */

/* Values of a tensor of rows: small numbers that follow from its name and their place. */
static int read_rows(void *context, const char *name, float *values, struct error *e) {
    const struct parameters *p = context;
    const struct parameter *one = parameters_find(p, name);
    uint64_t state = strlen(name);
    (void)e;
    for (int64_t i = 0; CHECK(one != NULL) && i < tensor_count(&one->value); i++) {
        values[i] = (float)(random_unit(&state) - 0.5) / 4;
    }
    return 0;
}

/* An adapter of a random mask. */
static void write_adapter(char path[64], struct network *n, uint64_t seed, struct mask *m) {
    struct trained some = {.parameters = NULL};
    struct error e = {0};
    const struct gspf_options o = {.rows = 5, .budget = 0.2, .keep = 0.8, .patience = 1};
    must(gspf_choose_random(m, &o, &n->folder.config, &(struct gspf_cost){.fixed = 0}, seed, &e),
         &e);
    folder_new(path);
    trained_rows(&some, n, m);
    must(gspf_write(path, m, &n->folder.config, "made by a test\nof two lines", read_rows,
                    some.parameters, &e),
         &e);
    trained_close(&some);
}

static double largest_difference(const float *a, const float *b) {
    double most = 0;
    for (int i = 0; i < TOKENS * VOCABULARY; i++) {
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
    }
    return most;
}

static void what_is_written_is_what_is_computed_with(void) {
    static float with[TOKENS * VOCABULARY], merged[TOKENS * VOCABULARY], base[TOKENS * VOCABULARY];
    struct network n, other;
    struct mask m;
    struct gspf *g = NULL;
    struct error e = {0};
    char path[64], model[64];
    network_open(&n, SMALL_MODEL, NULL);
    network_row(&n, 3);
    write_adapter(path, &n, 4, &m);
    CHECK(gspf_folder_is(path) && !gspf_folder_is(SMALL_MODEL));
    network_logits(&n, decoder_parts(n.base), base);
    must(gspf_open(&g, path, n.base, NULL, tape_device(n.tape), &e), &e);
    network_logits(&n, gspf_frozen_parts(g), with);
    folder_new(model);
    must(adapter_merge(model, &n.folder, path, DTYPE_F32, &e), &e);
    network_open(&other, model, NULL);
    network_row(&other, 3);
    network_logits(&other, decoder_parts(other.base), merged);
    CHECK(largest_difference(with, base) > 0.1);
    CHECK(largest_difference(with, merged) < 1e-5);
    CHECK_NUMBER(adapter_merge(model, &n.folder, SMALL_MODEL, DTYPE_F32, &e), ERR_FORMAT);
    gspf_close(g);
    mask_close(&m);
    network_close(&other);
    network_close(&n);
    folder_end(model);
    folder_end(path);
}

/* PEFT's golden adapter and rows in one folder. */
static void rows_may_lie_beside_a_low_rank(void) {
    static float with[TOKENS * VOCABULARY], merged[TOKENS * VOCABULARY], low[TOKENS * VOCABULARY];
    static const char *const FILES[] = {"adapter_config.json", "adapter_model.safetensors"};
    struct network n, other;
    struct mask m;
    struct lora *l = NULL;
    struct gspf *g = NULL;
    struct error e = {0};
    char path[64], model[64];
    network_open(&n, SMALL_MODEL, NULL);
    network_row(&n, 3);
    write_adapter(path, &n, 4, &m);
    for (int i = 0; i < 2; i++) {
        char from[256], to[128];
        snprintf(from, sizeof from, "%s/golden/lora/adapter/%s", TEST_FOLDER, FILES[i]);
        snprintf(to, sizeof to, "%s/%s", path, FILES[i]);
        CHECK_NUMBER(symlink(from, to), 0);
    }
    must(lora_open(&l, path, n.base, tape_device(n.tape), &e), &e);
    network_logits(&n, lora_frozen_parts(l), low);
    must(gspf_open(&g, path, n.base, lora_frozen_source(l), tape_device(n.tape), &e), &e);
    network_logits(&n, gspf_frozen_parts(g), with);
    folder_new(model);
    must(adapter_merge(model, &n.folder, path, DTYPE_F32, &e), &e);
    network_open(&other, model, NULL);
    network_row(&other, 3);
    network_logits(&other, decoder_parts(other.base), merged);
    CHECK(largest_difference(with, low) > 0.1);
    CHECK(largest_difference(with, merged) < 1e-4);
    gspf_close(g);
    lora_close(l);
    mask_close(&m);
    network_close(&other);
    network_close(&n);
    folder_end(model);
    folder_end(path);
}

static void expect_refusal(const char *path, const struct network *n, const char *part) {
    struct gspf_folder f;
    struct error e = {0};
    if (!CHECK_NUMBER(gspf_folder_open(&f, path, &n->folder.config, &e), ERR_FORMAT) ||
        !CHECK(strstr(e.text, part) != NULL && strstr(e.text, path) != NULL)) {
        printf("# %s: %s\n", part, e.text);
    }
}

static void folders_that_lie_are_refused(void) {
    struct network n;
    struct mask m;
    struct error e = {0};
    char path[64], mask[96];
    network_open(&n, SMALL_MODEL, NULL);
    write_adapter(path, &n, 4, &m);
    snprintf(mask, sizeof mask, "%s/%s", path, GSPF_MASK);
    const int32_t rows = m.units[0].rows;
    m.units[0].rows = rows - 1;
    must(mask_write(mask, &m, NULL, &e), &e);
    expect_refusal(path, &n, "is not the mask that " GSPF_FILE);
    m.units[0].rows = rows;
    m.units[0].score = 0; /* may be edited */
    must(mask_write(mask, &m, NULL, &e), &e);
    struct gspf_folder f;
    must(gspf_folder_open(&f, path, &n.folder.config, &e), &e);
    gspf_folder_close(&f);
    model_file(path, GSPF_FILE, "\1\0\0\0\0\0\0\0{", 9);
    expect_refusal(path, &n, GSPF_FILE);
    model_file(path, GSPF_MASK, "", 0);
    expect_refusal(path, &n, "is not a mask");
    mask_close(&m);
    network_close(&n);
    folder_end(path);
}

int main(void) {
    RUN(rows_have_the_gradients_of_their_matrix);
    RUN(layers_below_the_lowest_that_learns_keep_nothing);
    RUN(what_is_written_is_what_is_computed_with);
    RUN(rows_may_lie_beside_a_low_rank);
    RUN(folders_that_lie_are_refused);
    return test_finish();
}
