/* Checkpoints: what is saved is loaded; files of other networks, files that end too early and files
 * that lie are refused by name. */
#include "train/checkpoint.h"

#include <sys/stat.h>
#include <unistd.h>

#include "store/bytes.h"
#include "store/file.h"
#include "store/safetensors.h"
#include "tests/test.h"

static const struct tensor_spec TENSORS[] = {
    {.name = "a.weight", .rank = 2, .shape = {5, 7}, .rows = 5},
    {.name = "a.bias", .rank = 1, .shape = {5}, .rows = 1}};
static const struct tensor_spec OTHERS[] = {
    {.name = "a.weight", .rank = 2, .shape = {7, 5}, .rows = 7},
    {.name = "a.bias", .rank = 1, .shape = {5}, .rows = 1}};

static char folder[] = "checkpoint-XXXXXX";
static char path[64];

struct training {
    struct parameters *parameters;
    struct optimizer optimizer;
    float *arrays[4];
    size_t bytes; /* of an array */
};

static void open_training(struct training *t, const struct tensor_spec *tensors, double average) {
    const struct optimizer_options options = {.rate = 1, .steps = 9, .average = average};
    CHECK_NUMBER(parameters_open(&t->parameters, NULL), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_NUMBER(parameters_add(t->parameters, &tensors[i], NULL), 0);
    }
    CHECK_NUMBER(parameters_allocate(t->parameters, NULL), 0);
    CHECK_NUMBER(optimizer_open(&t->optimizer, t->parameters, &options, NULL), 0);
    t->arrays[0] = parameters_values(t->parameters);
    t->arrays[1] = t->optimizer.means;
    t->arrays[2] = t->optimizer.variances;
    t->arrays[3] = t->optimizer.averages;
    t->bytes = parameters_total(t->parameters) * sizeof(float);
}

static void close_training(struct training *t) {
    optimizer_close(&t->optimizer);
    parameters_close(t->parameters);
}

static void fill(struct training *t) {
    for (int i = 0; i < 4; i++) {
        for (size_t k = 0; t->arrays[i] != NULL && k < t->bytes / sizeof(float); k++) {
            t->arrays[i][k] = (float)(i + 1) + 1.0f / (float)(k + 3);
        }
    }
    t->optimizer.step = 1234567890123;
}

static int save(struct training *t) {
    json_t *state = json_pack("{s:s, s:f}", "note", "kiwi", "norm", 0.1);
    int rc = checkpoint_save(path, t->parameters, &t->optimizer, state, NULL);
    json_decref(state);
    return rc;
}

static int load(struct training *t, struct error *e) {
    json_t *state;
    int rc = checkpoint_load(path, t->parameters, &t->optimizer, &state, e);
    CHECK((state != NULL) == (rc == 1));
    json_decref(state);
    return rc;
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void what_is_saved_is_loaded(void) {
    for (int average = 0; average < 2; average++) {
        struct training saved, loaded;
        json_t *state;
        open_training(&saved, TENSORS, average * 0.5);
        open_training(&loaded, TENSORS, average * 0.5);
        fill(&saved);
        CHECK_NUMBER(save(&saved), 0);
        CHECK_NUMBER(checkpoint_load(path, loaded.parameters, &loaded.optimizer, &state, NULL), 1);
        CHECK_NUMBER(loaded.optimizer.step, 1234567890123);
        for (int i = 0; i < 3 + average; i++) {
            CHECK(memcmp(saved.arrays[i], loaded.arrays[i], saved.bytes) == 0);
        }
        CHECK_NUMBER(json_integer_value(json_object_get(state, "step")), 1234567890123);
        CHECK_TEXT(json_string_value(json_object_get(state, "note")), "kiwi");
        CHECK(json_real_value(json_object_get(state, "norm")) == 0.1);
        json_decref(state);
        close_training(&saved);
        close_training(&loaded);
    }
}

static void arrays_are_called_what_they_are(void) {
    static const char *const NAMES[4] = {"values", "means", "variances", "averages"};
    struct training t;
    struct safetensors *file = NULL;
    open_training(&t, TENSORS, 0.5);
    fill(&t);
    CHECK_NUMBER(save(&t), 0);
    CHECK_NUMBER(safetensors_open(&file, path, NULL), 0);
    CHECK_NUMBER(safetensors_count(file), 4);
    for (int i = 0; i < 4; i++) {
        const struct safetensor *array = safetensors_find(file, NAMES[i]);
        CHECK(array != NULL && array->bytes == t.bytes &&
              memcmp(array->data, t.arrays[i], t.bytes) == 0);
    }
    safetensors_close(file);
    close_training(&t);
}

static void the_same_training_gives_the_same_bytes(void) {
    struct training t;
    struct bytes once, twice;
    bytes_init(&once, 1 << 20);
    bytes_init(&twice, 1 << 20);
    open_training(&t, TENSORS, 0.5);
    fill(&t);
    CHECK_NUMBER(save(&t), 0);
    CHECK_NUMBER(file_read(path, &once, NULL), 0);
    CHECK_NUMBER(load(&t, NULL), 1);
    CHECK_NUMBER(save(&t), 0);
    CHECK_NUMBER(file_read(path, &twice, NULL), 0);
    CHECK(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    bytes_close(&once);
    bytes_close(&twice);
    close_training(&t);
}

static void no_file_is_no_failure(void) {
    struct training t;
    struct error e = {0};
    unlink(path);
    open_training(&t, TENSORS, 0);
    fill(&t);
    CHECK_NUMBER(load(&t, &e), 0);
    CHECK_TEXT(e.text, "");
    CHECK_NUMBER(t.optimizer.step, 1234567890123);
    close_training(&t);
}

/* The checkpoint at `path` is refused with a text that names it. */
static void expect_refused(struct training *t, int code, const char *text) {
    struct error e = {0};
    CHECK_NUMBER(load(t, &e), code);
    if (!CHECK(strstr(e.text, path) != NULL && strstr(e.text, text) != NULL)) {
        printf("# %s\n", e.text);
    }
}

static void another_network_is_refused(void) {
    struct training t, other;
    open_training(&t, TENSORS, 0);
    open_training(&other, OTHERS, 0);
    CHECK_NUMBER(save(&t), 0);
    expect_refused(&other, ERR_FORMAT, "is no checkpoint of this network");
    /* a file of weights is none either */
    CHECK_NUMBER(parameters_save(t.parameters, path, t.arrays[0], NULL, NULL, NULL), 0);
    expect_refused(&t, ERR_FORMAT, "is no checkpoint of this network");
    close_training(&t);
    close_training(&other);
}

static void averages_are_there_when_they_are_kept(void) {
    struct training with, without;
    open_training(&with, TENSORS, 0.5);
    open_training(&without, TENSORS, 0);
    CHECK_NUMBER(save(&with), 0);
    expect_refused(&without, ERR_FORMAT, "'averages' is there, but not wanted");
    CHECK_NUMBER(save(&without), 0);
    expect_refused(&with, ERR_FORMAT, "'averages' is missing");
    close_training(&with);
    close_training(&without);
}

static void a_file_that_ends_too_early_is_refused(void) {
    struct training t;
    struct stat status;
    open_training(&t, TENSORS, 0);
    CHECK_NUMBER(save(&t), 0);
    CHECK(stat(path, &status) == 0);
    for (off_t size = status.st_size - 1; size >= 0; size -= 1 + size / 8) {
        struct error e = {0};
        CHECK(truncate(path, size) == 0);
        CHECK(load(&t, &e) < 0);
        CHECK(strstr(e.text, path) != NULL);
    }
    close_training(&t);
}

/* The checkpoint at `path` with another state and other arrays. */
static void rewrite(const struct training *t, const char *training, size_t numbers) {
    struct safetensors *file = NULL;
    struct safetensor tensors[3];
    static const char *const NAMES[3] = {"means", "values", "variances"};
    CHECK_NUMBER(safetensors_open(&file, path, NULL), 0);
    json_t *metadata = json_pack("{s:s, s:s}", "occ.training", training, "occ.layout",
                                 safetensors_metadata(file, "occ.layout"));
    safetensors_close(file);
    for (int i = 0; i < 3; i++) {
        tensors[i] = (struct safetensor){.name = NAMES[i],
                                         .type = DTYPE_F32,
                                         .rank = 1,
                                         .shape = {(int64_t)numbers},
                                         .data = t->arrays[0],
                                         .bytes = numbers * sizeof(float)};
    }
    CHECK_NUMBER(safetensors_write(path, tensors, 3, metadata, NULL), 0);
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
    struct training t;
    open_training(&t, TENSORS, 0);
    size_t numbers = t.bytes / sizeof(float);
    for (size_t i = 0; i < sizeof STATES / sizeof *STATES; i++) {
        CHECK_NUMBER(save(&t), 0);
        rewrite(&t, STATES[i], numbers);
        expect_refused(&t, ERR_FORMAT, "is no checkpoint of this network");
    }
    rewrite(&t, "{\"step\": 3}", numbers - 1);
    expect_refused(&t, ERR_FORMAT, "is of another size");
    rewrite(&t, "{\"step\": 3}", numbers);
    CHECK_NUMBER(load(&t, NULL), 1);
    close_training(&t);
}

/* What a killed writer left behind is not looked at. */
static void half_a_checkpoint_beside_it_does_no_harm(void) {
    struct training t;
    char temporary[128];
    open_training(&t, TENSORS, 0);
    CHECK_NUMBER(save(&t), 0);
    snprintf(temporary, sizeof temporary, "%s/.checkpoint.safetensors.tmp", folder);
    FILE *file = fopen(temporary, "w");
    CHECK(file != NULL && fputs("half", file) >= 0 && fclose(file) == 0);
    CHECK_NUMBER(load(&t, NULL), 1);
    CHECK_NUMBER(save(&t), 0);
    CHECK(access(temporary, F_OK) != 0);
    close_training(&t);
}

static void a_folder_that_is_not_there_is_named(void) {
    struct training t;
    struct error e = {0};
    json_t *state = json_object();
    open_training(&t, TENSORS, 0);
    CHECK_NUMBER(checkpoint_save("nowhere/c.safetensors", t.parameters, &t.optimizer, state, &e),
                 ERR_IO);
    CHECK(strstr(e.text, "nowhere/") != NULL);
    json_decref(state);
    close_training(&t);
}

int main(void) {
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    snprintf(path, sizeof path, "%s/checkpoint.safetensors", folder);
    RUN(what_is_saved_is_loaded);
    RUN(arrays_are_called_what_they_are);
    RUN(the_same_training_gives_the_same_bytes);
    RUN(no_file_is_no_failure);
    RUN(another_network_is_refused);
    RUN(averages_are_there_when_they_are_kept);
    RUN(a_file_that_ends_too_early_is_refused);
    RUN(a_file_that_lies_is_refused);
    RUN(half_a_checkpoint_beside_it_does_no_harm);
    RUN(a_folder_that_is_not_there_is_named);
    unlink(path);
    rmdir(folder);
    return test_finish();
}
