/* Checkpoints: what is saved is loaded; files of other networks, of earlier versions, files that
 * end too early and files that lie are refused by name. */
#include "train/checkpoint.h"

#include <sys/stat.h>
#include <unistd.h>

#include "store/bytes.h"
#include "store/file.h"
#include "store/safetensors.h"
#include "tests/trained.h"

#define TRAINED .trainable = true, .group = "body", .rate = 1
static const struct tensor_spec TENSORS[] = {
    {.name = "a.weight", .rank = 2, .shape = {5, 7}, .rows = 5, TRAINED},
    {.name = "a.bias", .rank = 1, .shape = {5}, .rows = 1, TRAINED},
    {.name = "frozen", .rank = 2, .shape = {2, 3}, .rows = 2, .group = "body", .rate = 1},
    {.name = "kernel", .rank = 4, .shape = {4, 3, 2, 2}, .rows = 4, TRAINED}};
enum { WEIGHT, BIAS, FROZEN, KERNEL, TENSOR_COUNT, LARGEST = 48 /* numbers of one */ };
static const struct slice SLICES[] = {{.parameter = WEIGHT, .first_row = 0, .rows = 5},
                                      {.parameter = KERNEL, .first_row = 1, .rows = 2}};

static char folder[] = "checkpoint-XXXXXX";
static char path[64];

static void open_trained(struct trained *t, double ema, const struct slice *chosen, size_t count) {
    const struct optimizer_options options = {.ema = ema};
    trained_begin(t, DTYPE_F32);
    trained_add(t, TENSORS, TENSOR_COUNT);
    trained_open(t, &options, chosen, count);
}

/* The weights (first), or a moment or mean of a slice. */
static const struct tensor *array_of(const struct trained *t, size_t i) {
    if (i < TENSOR_COUNT) {
        return &parameters_get(t->parameters, i)->value;
    }
    const struct slice *s = &t->optimizer.slices[(i - TENSOR_COUNT) / 3];
    const struct tensor *list[] = {&s->first_moment, &s->second_moment, &s->ema};
    return list[(i - TENSOR_COUNT) % 3];
}

static size_t arrays(const struct trained *t) {
    return TENSOR_COUNT + 3 * t->optimizer.slice_count;
}

static void fill(struct trained *t) {
    float numbers[LARGEST];
    for (size_t i = 0; i < arrays(t); i++) {
        const struct tensor *array = array_of(t, i);
        for (int64_t k = 0; k < tensor_count(array); k++) {
            numbers[k] = (float)(i + 1) + 1.0f / (float)(k + 3);
        }
        if (array->data != NULL) {
            tested_upload(array, numbers);
        }
    }
    t->optimizer.step = 1234567890123;
}

static int save(struct trained *t) {
    json_t *state = json_pack("{s:s, s:f}", "note", "kiwi", "norm", 0.1);
    int rc = checkpoint_save(path, &t->optimizer, state, NULL);
    json_decref(state);
    return rc;
}

static int load(struct trained *t, struct error *e) {
    json_t *state;
    int rc = checkpoint_load(path, &t->optimizer, &state, e);
    CHECK((state != NULL) == (rc == 1));
    json_decref(state);
    return rc;
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void check_same(const struct trained *saved, const struct trained *loaded) {
    for (size_t i = 0; i < arrays(saved); i++) {
        const float *a = trained_numbers(array_of(saved, i));
        const float *b = trained_numbers(array_of(loaded, i));
        CHECK((a == NULL) == (b == NULL));
        if (i != FROZEN && a != NULL && b != NULL) {
            CHECK(memcmp(a, b, tensor_bytes(array_of(saved, i))) == 0);
        }
    }
}

static void what_is_saved_is_loaded(void) {
    for (int kind = 0; kind < 4; kind++) {
        const double ema = kind % 2 * 0.5;
        const struct slice *chosen = kind >= 2 ? SLICES : NULL;
        struct trained saved, loaded;
        json_t *state;
        open_trained(&saved, ema, chosen, 2);
        open_trained(&loaded, ema, chosen, 2);
        fill(&saved);
        CHECK_NUMBER(save(&saved), 0);
        CHECK_NUMBER(checkpoint_load(path, &loaded.optimizer, &state, NULL), 1);
        CHECK_NUMBER(loaded.optimizer.step, 1234567890123);
        check_same(&saved, &loaded);
        CHECK(trained_value(&loaded, FROZEN)[0] == 0); /* stays in its own file */
        CHECK_NUMBER(json_integer_value(json_object_get(state, "step")), 1234567890123);
        CHECK_TEXT(json_string_value(json_object_get(state, "note")), "kiwi");
        CHECK(json_real_value(json_object_get(state, "norm")) == 0.1);
        json_decref(state);
        trained_close(&saved);
        trained_close(&loaded);
    }
}

static void check_tensor(const struct safetensors *file, const char *name, int rank,
                         const int64_t *shape, const float *numbers) {
    const struct safetensor *t = safetensors_find(file, name);
    if (!CHECK(t != NULL)) {
        printf("# no %s\n", name);
        return;
    }
    CHECK(t->type == DTYPE_F32 && t->rank == rank);
    CHECK(memcmp(t->shape, shape, (size_t)rank * sizeof *shape) == 0);
    CHECK(memcmp(t->data, numbers, t->bytes) == 0);
}

/* Any program that reads safetensors finds them by name, in their shapes. */
static void tensors_have_the_names_and_shapes_of_parameters(void) {
    struct trained t;
    struct safetensors *file = NULL;
    open_trained(&t, 0.5, NULL, 0);
    fill(&t);
    CHECK_NUMBER(save(&t), 0);
    CHECK_NUMBER(safetensors_open(&file, path, NULL), 0);
    CHECK_NUMBER(safetensors_count(file), 4 * 3);
    check_tensor(file, "value.kernel", 4, TENSORS[KERNEL].shape, trained_value(&t, KERNEL));
    check_tensor(file, "m.kernel", 4, TENSORS[KERNEL].shape,
                 trained_numbers(&t.optimizer.slices[2].first_moment));
    check_tensor(file, "v.a.bias", 1, TENSORS[BIAS].shape,
                 trained_numbers(&t.optimizer.slices[1].second_moment));
    check_tensor(file, "ema.a.weight", 2, TENSORS[WEIGHT].shape,
                 trained_numbers(&t.optimizer.slices[0].ema));
    safetensors_close(file);
    trained_close(&t);
    open_trained(&t, 0, SLICES, 2);
    fill(&t);
    CHECK_NUMBER(save(&t), 0);
    CHECK_NUMBER(safetensors_open(&file, path, NULL), 0);
    CHECK_NUMBER(safetensors_count(file), 3 + 2 * 2);
    check_tensor(file, "m.kernel[1:3]", 2, (const int64_t[]){2, 12},
                 trained_numbers(&t.optimizer.slices[1].first_moment));
    check_tensor(file, "v.a.weight", 2, TENSORS[WEIGHT].shape,
                 trained_numbers(&t.optimizer.slices[0].second_moment));
    safetensors_close(file);
    trained_close(&t);
}

static void the_same_run_gives_the_same_bytes(void) {
    struct trained t;
    struct bytes once, twice;
    bytes_init(&once, 1 << 20);
    bytes_init(&twice, 1 << 20);
    open_trained(&t, 0.5, NULL, 0);
    fill(&t);
    CHECK_NUMBER(save(&t), 0);
    CHECK_NUMBER(file_read(path, &once, NULL), 0);
    CHECK_NUMBER(load(&t, NULL), 1);
    CHECK_NUMBER(save(&t), 0);
    CHECK_NUMBER(file_read(path, &twice, NULL), 0);
    CHECK(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    bytes_close(&once);
    bytes_close(&twice);
    trained_close(&t);
}

static void a_file_that_is_not_there_is_no_failure(void) {
    struct trained t;
    struct error e = {0};
    unlink(path);
    open_trained(&t, 0, NULL, 0);
    fill(&t);
    CHECK_NUMBER(load(&t, &e), 0);
    CHECK_TEXT(e.text, "");
    CHECK_NUMBER(t.optimizer.step, 1234567890123);
    trained_close(&t);
}

/* The checkpoint at `path` is refused with a text that names it, and nothing is changed. */
static void expect_refused(struct trained *t, int code, const char *text) {
    struct error e = {0};
    const float before = trained_value(t, WEIGHT)[0];
    CHECK_NUMBER(load(t, &e), code);
    CHECK(trained_value(t, WEIGHT)[0] == before);
    if (!CHECK(strstr(e.text, path) != NULL && strstr(e.text, text) != NULL)) {
        printf("# %s\n", e.text);
    }
}

static void another_network_is_refused(void) {
    struct trained t, other;
    struct tensor_spec turned[TENSOR_COUNT];
    const struct optimizer_options options = {.ema = 0};
    memcpy(turned, TENSORS, sizeof turned);
    turned[WEIGHT].shape[0] = turned[WEIGHT].rows = 7;
    turned[WEIGHT].shape[1] = 5;
    open_trained(&t, 0, NULL, 0);
    trained_begin(&other, DTYPE_F32);
    trained_add(&other, turned, TENSOR_COUNT);
    trained_open(&other, &options, NULL, 0);
    CHECK_NUMBER(save(&t), 0);
    expect_refused(&other, ERR_FORMAT, "is not a checkpoint of this network");
    trained_close(&other);
    open_trained(&other, 0, SLICES, 2); /* of other rows */
    expect_refused(&other, ERR_FORMAT, "is not a checkpoint of this network");
    trained_close(&other);
    /* a file of weights is not one either */
    const struct safetensor weights = {.name = "a.weight",
                                       .type = DTYPE_F32,
                                       .rank = 2,
                                       .shape = {5, 7},
                                       .data = trained_value(&t, WEIGHT),
                                       .bytes = 35 * sizeof(float)};
    CHECK_NUMBER(safetensors_write(path, &weights, 1, NULL, NULL), 0);
    expect_refused(&t, ERR_FORMAT, "is not a checkpoint of this network");
    trained_close(&t);
}

/* Of when all parameters were one array. */
static void an_earlier_layout_is_refused(void) {
    static const char *const NAMES[] = {"means", "values", "variances"};
    struct safetensor tensors[3];
    struct trained t;
    open_trained(&t, 0, NULL, 0);
    for (int i = 0; i < 3; i++) {
        tensors[i] = (struct safetensor){.name = NAMES[i],
                                         .type = DTYPE_F32,
                                         .rank = 1,
                                         .shape = {35},
                                         .data = trained_value(&t, WEIGHT),
                                         .bytes = 35 * sizeof(float)};
    }
    json_t *metadata =
        json_pack("{s:s, s:s}", "occ.training", "{\"step\":3}", "occ.layout", "0123456789abcdef");
    CHECK_NUMBER(safetensors_write(path, tensors, 3, metadata, NULL), 0);
    json_decref(metadata);
    expect_refused(&t, ERR_UNSUPPORTED, "is a checkpoint of an earlier version");
    trained_close(&t);
}

static void means_are_there_when_they_are_kept(void) {
    struct trained with, without;
    open_trained(&with, 0.5, NULL, 0);
    open_trained(&without, 0, NULL, 0);
    CHECK_NUMBER(save(&with), 0);
    expect_refused(&without, ERR_FORMAT, "is there, but no mean is to be kept");
    CHECK_NUMBER(save(&without), 0);
    expect_refused(&with, ERR_FORMAT, "'ema.a.weight' is missing");
    trained_close(&with);
    trained_close(&without);
}

static void a_file_that_ends_too_early_is_refused(void) {
    struct trained t;
    struct stat status;
    open_trained(&t, 0, NULL, 0);
    CHECK_NUMBER(save(&t), 0);
    CHECK(stat(path, &status) == 0);
    for (off_t size = status.st_size - 1; size >= 0; size -= 1 + size / 8) {
        struct error e = {0};
        CHECK(truncate(path, size) == 0);
        CHECK(load(&t, &e) < 0);
        CHECK(strstr(e.text, path) != NULL);
    }
    trained_close(&t);
}

/* The checkpoint at `path` with another state, without its last tensor, or with one of a wrong
 * type. */
static void rewrite(const char *training, int lacks, int wrong) {
    struct safetensors *file = NULL;
    struct safetensor tensors[32];
    CHECK_NUMBER(safetensors_open(&file, path, NULL), 0);
    json_t *metadata = json_pack("{s:s, s:s}", "occ.training", training, "occ.layout",
                                 safetensors_metadata(file, "occ.layout"));
    int count = (int)safetensors_count(file);
    for (int i = 0; i < count; i++) {
        tensors[i] = *safetensors_get(file, (size_t)i);
        tensors[i].type = i == count - 1 && wrong ? DTYPE_I32 : tensors[i].type;
    }
    CHECK_NUMBER(safetensors_write(path, tensors, (size_t)(count - lacks), metadata, NULL), 0);
    safetensors_close(file);
    json_decref(metadata);
}

static void a_file_that_lies_is_refused(void) {
    static const char *const STATES[] = {"",
                                         "kiwi",
                                         "[]",
                                         "{}",
                                         "{\"step\": \"3\"}",
                                         "{\"step\": 1.5}",
                                         "{\"step\": -1}",
                                         "{\"step\": 99999999999999999999}"};
    struct trained t;
    open_trained(&t, 0, NULL, 0);
    for (size_t i = 0; i < sizeof STATES / sizeof *STATES; i++) {
        CHECK_NUMBER(save(&t), 0);
        rewrite(STATES[i], 0, 0);
        expect_refused(&t, ERR_FORMAT, "is not a checkpoint of this network");
    }
    CHECK_NUMBER(save(&t), 0);
    rewrite("{\"step\": 3}", 1, 0);
    expect_refused(&t, ERR_FORMAT, "is missing");
    CHECK_NUMBER(save(&t), 0);
    rewrite("{\"step\": 3}", 0, 1);
    expect_refused(&t, ERR_FORMAT, "is of another size");
    CHECK_NUMBER(save(&t), 0);
    rewrite("{\"step\": 3}", 0, 0);
    CHECK_NUMBER(load(&t, NULL), 1);
    trained_close(&t);
}

/* What a killed writer left is not looked at. */
static void half_a_checkpoint_beside_it_does_no_harm(void) {
    struct trained t;
    char temporary[128];
    open_trained(&t, 0, NULL, 0);
    CHECK_NUMBER(save(&t), 0);
    snprintf(temporary, sizeof temporary, "%s/.checkpoint.safetensors.tmp", folder);
    FILE *file = fopen(temporary, "w");
    CHECK(file != NULL && fputs("half", file) >= 0 && fclose(file) == 0);
    CHECK_NUMBER(load(&t, NULL), 1);
    CHECK_NUMBER(save(&t), 0);
    CHECK(access(temporary, F_OK) != 0);
    trained_close(&t);
}

static void a_folder_that_is_not_there_is_named(void) {
    struct trained t;
    struct error e = {0};
    json_t *state = json_object();
    open_trained(&t, 0, NULL, 0);
    CHECK_NUMBER(checkpoint_save("nowhere/c.safetensors", &t.optimizer, state, &e), ERR_IO);
    CHECK(strstr(e.text, "nowhere/") != NULL);
    json_decref(state);
    trained_close(&t);
}

int main(void) {
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    snprintf(path, sizeof path, "%s/checkpoint.safetensors", folder);
    RUN(what_is_saved_is_loaded);
    RUN(tensors_have_the_names_and_shapes_of_parameters);
    RUN(the_same_run_gives_the_same_bytes);
    RUN(a_file_that_is_not_there_is_no_failure);
    RUN(another_network_is_refused);
    RUN(an_earlier_layout_is_refused);
    RUN(means_are_there_when_they_are_kept);
    RUN(a_file_that_ends_too_early_is_refused);
    RUN(a_file_that_lies_is_refused);
    RUN(half_a_checkpoint_beside_it_does_no_harm);
    RUN(a_folder_that_is_not_there_is_named);
    unlink(path);
    rmdir(folder);
    return test_finish();
}
