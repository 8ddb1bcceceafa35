/* reader_tape_test.c - the reading head at work against the one that is trained: what is read has
 * the probability that the losses of training give it. */
#define _XOPEN_SOURCE 700
#include <unistd.h>

#include "compress/reader.h"
#include "store/nest.h"
#include "tests/reader_file.h"
#include "tests/tape_device.h"
#include "train/parameters.h"
#include "train/read/head.h"

enum { DIM = 16, ROWS = 2, COLUMNS = 4, TOKENS = ROWS * COLUMNS };
static const char METADATA[] =
    "{\"channels\":3,\"hidden\":12,\"embedding\":5,\"reach\":3,\"cells\":true,\"trunk\":24,"
    "\"nested\":2,\"alphabet\":[\"\\uFFFD\",\"a\",\"b\",\"\\u00e9\",\"\\u4e2d\"]}";
static const struct reading_config CONFIG = {.channels = 3,
                                             .hidden = 12,
                                             .embedding = 5,
                                             .classes = 5,
                                             .reach = 3,
                                             .cells = true,
                                             .trunk = 24,
                                             .nested = 2};
static char path[] = "/tmp/occ-reader-tape-XXXXXX";

static void must(int rc) {
    if (!CHECK_NUMBER(rc, 0)) {
        exit(1);
    }
}

static struct parameters *parameters_of(struct tape *t) {
    struct parameters *p;
    must(parameters_open(&p, tape_device(t), NULL));
    must(reading_tensors(&CONFIG, "reader.", DIM, READING_ROWS, READING_STEPS, parameters_take, p,
                         NULL));
    must(parameters_allocate(p, NULL));
    must(parameters_load(p, path, NULL));
    return p;
}

/* Sums of cross-entropies where characters were read: that they are there, and these. */
static void losses_of(const struct reading_page *page, float *tokens,
                      const struct reading_character *characters, size_t count,
                      float losses[READ_LOSSES]) {
    const int64_t rows = (int64_t)page->rows * READING_ROWS;
    const int64_t steps = (int64_t)page->columns / page->column_offsets * READING_STEPS;
    const int64_t width = steps * READING_COLUMNS;
    struct tape *t = open_tape(NULL, DTYPE_F32, NULL);
    struct parameters *p = parameters_of(t);
    const struct tape_source source = parameters_source(p);
    const struct reading_grid grid = {
        page->rows,    page->columns,        READING_ROWS,
        READING_STEPS, page->column_offsets, reading_stretch(&CONFIG, page->column_offsets, steps)};
    int32_t *list = calloc((size_t)rows, sizeof *list);
    int32_t *presence = malloc((size_t)(rows * width) * sizeof *presence);
    int32_t *places = calloc(count, sizeof *places), *classes = calloc(count, sizeof *classes);
    must(list != NULL && presence != NULL && places != NULL && classes != NULL ? 0 : -1);
    for (int64_t i = 0; i < rows * width; i++) {
        presence[i] = -1;
        list[i / width] = (int32_t)(i / width);
    }
    for (size_t i = 0; i < count; i++) {
        places[i] = (int32_t)(characters[i].row * width + characters[i].column);
        classes[i] = characters[i].class_index;
        presence[places[i]] = 1;
    }
    const struct read_targets targets = {.rows = list,
                                         .count = rows,
                                         .page_rows = rows,
                                         .steps = steps,
                                         .presence = presence,
                                         .places = places,
                                         .classes = classes,
                                         .characters = (int64_t)count,
                                         .scale = 1};
    const struct tensor host = tensor_matrix(tokens, DTYPE_F32, NULL, TOKENS, DIM);
    float zeros[READ_LOSSES] = {0};
    const struct tensor none = tensor_matrix(zeros, DTYPE_F32, NULL, 1, READ_LOSSES);
    tape_begin(t);
    const struct tensor x = tape_upload(t, &host), sums = tape_upload(t, &none);
    struct node *seen = read_trunk_tape(&CONFIG, &source, t, "reader.", tape_input(t, &x, NULL),
                                        &page->halvings, 1);
    read_head_tape(&CONFIG, &source, t, "reader.", seen, &grid, &targets, &sums, 1);
    must(tape_status(t, NULL));
    download_floats(t, losses, &sums);
    parameters_close(p);
    close_tape(t);
    free(list);
    free(presence);
    free(places);
    free(classes);
}

static void compare(struct reader *r, int halvings, int column_offsets, double limit) {
    const struct reading_page page = {
        .rows = ROWS, .columns = COLUMNS, .column_offsets = column_offsets, .halvings = halvings};
    const struct reading_character *characters;
    struct reader_session *s;
    float tokens[TOKENS * DIM], losses[READ_LOSSES];
    int64_t left = TOKENS;
    size_t count;
    double sum = 0;
    for (int i = 0; i < TOKENS * DIM; i++) {
        tokens[i] = (float)(3 * random_number());
    }
    for (int k = 0; k < halvings; k++) {
        must(nest_halve(tokens, &left, DIM, k, NULL));
    }
    must(nest_expand(tokens, TOKENS, DIM, halvings, NULL));
    must(reader_session_open(&s, r, NULL));
    must(reader_run(s, tokens, &page, &characters, &count, NULL));
    CHECK(count > 20);
    for (size_t i = 0; i < count; i++) {
        sum -= log((double)characters[i].confidence);
    }
    losses_of(&page, tokens, characters, count, losses);
    printf("# %d halvings, %d offsets, %zu characters: %.6f and %.6f\n", halvings, column_offsets,
           count, sum, (double)(losses[READ_PRESENCE] + losses[READ_CHARACTER]));
    CHECK_NEAR(sum / (double)(losses[READ_PRESENCE] + losses[READ_CHARACTER]), 1, limit);
    reader_session_close(s);
}

static void check(enum dtype compute, double limit) {
    const struct reader_file file = {.dim = DIM, .config = &CONFIG, .metadata = METADATA};
    struct reader *r;
    reader_file_write(path, &file);
    must(reader_open(&r, path, cpu_backend(), compute, NULL));
    CHECK(reader_config(r)->nested == 2 && reader_config(r)->trunk == 24);
    for (int halvings = 0; halvings <= 2; halvings++) {
        compare(r, halvings, 1, limit);
        compare(r, halvings, 2, limit);
    }
    reader_close(r);
}

static void what_is_read_is_as_likely_as_training_says(void) {
    check(DTYPE_F32, 1e-5);
}

static void products_in_bf16_change_it_little(void) {
    if (cpu_backend()->has_bf16()) {
        check(DTYPE_BF16, 0.02);
    }
}

int main(void) {
    int fd = mkstemp(path);
    if (fd < 0 || close(fd) != 0) {
        return 1;
    }
    RUN(what_is_read_is_as_likely_as_training_says);
    RUN(products_in_bf16_change_it_little);
    unlink(path);
    return test_finish();
}
