/* The encoder on a tape: the numbers of the encoder that ships, and gradients of the whole network
 * against differences of its own loss. */
#define _XOPEN_SOURCE 700
#include "train/encoder_tape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compress/model.h"
#include "tests/test.h"

/* Windowed blocks, one behind the other, and a global one; windows of 3 leave the grids, all tables
 * are resampled. */
static const char SMALL[] =
    "{\"name\": \"small\", \"sam\": {\"patch_size\": 16, \"grid\": 6, \"dim\": 24, \"depth\": 3,"
    " \"heads\": 2, \"mlp_dim\": 40, \"window\": 3, \"global_blocks\": [2], \"neck\": 16,"
    " \"net_2\": 20, \"net_3\": 32}, \"clip\": {\"dim\": 32, \"depth\": 2, \"heads\": 2,"
    " \"mlp_dim\": 48, \"grid\": 3}, \"projector\": {\"output\": 28, \"norm\": true}}";

static uint64_t state = 7;

static float random_number(void) { /* -1 to 1 */
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(int64_t)(state >> 11) * 0x1p-52 - 1.0);
}

static float *random_numbers(size_t count) {
    float *numbers = malloc(count * sizeof *numbers);
    for (size_t i = 0; i < count; i++) {
        numbers[i] = random_number();
    }
    return numbers;
}

struct fixture {
    char path[64];
    struct encoder_config config;
    struct parameters *parameters;
    struct tape *tape;
    float *gradients;
};

static bool open_fixture(struct fixture *f, const struct encoder_config *config) {
    struct error e = {0};
    *f = (struct fixture){.path = "encoder-tape-XXXXXX", .config = *config};
    int fd = mkstemp(f->path);
    int rc = fd < 0 ? -1 : close(fd);
    if (rc == 0) {
        rc = model_init(f->path, config, 3, DTYPE_F32, &e);
    }
    if (rc == 0) {
        rc = parameters_open(&f->parameters, &e);
    }
    if (rc == 0) {
        rc = parameters_add_encoder(f->parameters, config, &e);
    }
    if (rc == 0) {
        rc = parameters_allocate(f->parameters, &e);
    }
    if (rc == 0) {
        rc = parameters_load(f->parameters, f->path, &e);
    }
    if (rc == 0) {
        rc = tape_open(&f->tape, &BACKEND_CPU, DTYPE_F32, &e);
    }
    f->gradients = calloc(rc == 0 ? parameters_total(f->parameters) : 1, sizeof *f->gradients);
    CHECK_TEXT(e.text, "");
    return CHECK(rc == 0 && f->gradients != NULL);
}

static void close_fixture(struct fixture *f) {
    tape_close(f->tape);
    parameters_close(f->parameters);
    free(f->gradients);
    unlink(f->path);
}

static void compare_with_encoder(const struct encoder_config *config,
                                 const struct encoder_shape *shape) {
    struct fixture f;
    struct encoder *encoder = NULL;
    struct encoder_session *session = NULL;
    if (!open_fixture(&f, config)) {
        return;
    }
    CHECK_NUMBER(encoder_open(&encoder, f.path, NULL, &BACKEND_CPU, DTYPE_F32, NULL), 0);
    CHECK_NUMBER(encoder_session_open(&session, encoder, NULL), 0);
    float *pixels = random_numbers((size_t)(shape->batch * shape->height * shape->width * 3));
    int64_t rows, columns;
    encoder_grid(encoder, shape, &rows, &columns, NULL);
    int64_t count = shape->batch * rows * columns * config->token_dim;
    float *tokens = malloc((size_t)count * sizeof *tokens);
    CHECK_NUMBER(encoder_run(session, tokens, pixels, shape, NULL), 0);
    const struct encoder_taping taping = {.config = config, .parameters = f.parameters};
    struct encoder_stages stages;
    tape_begin(f.tape);
    encoder_tape(&taping, f.tape, pixels, shape, STAGE_TOKENS, &stages);
    if (CHECK(stages.tokens != NULL) &&
        CHECK_NUMBER(stages.tokens->rows, shape->batch * rows * columns)) {
        double most = 0;
        for (int64_t i = 0; i < count; i++) {
            most = fmax(most, fabs((double)stages.tokens->value[i] - (double)tokens[i]));
        }
        CHECK_NEAR(most, 0, 1e-4);
    }
    free(pixels);
    free(tokens);
    encoder_session_close(session);
    encoder_close(encoder);
    close_fixture(&f);
}

static void tokens_are_those_of_the_encoder(void) {
    struct encoder_config nano, small;
    CHECK_NUMBER(config_named(&nano, "nano", NULL), 0);
    CHECK_NUMBER(config_parse(&small, SMALL, NULL), 0);
    compare_with_encoder(&nano, &(struct encoder_shape){2, 512, 512, 1});
    compare_with_encoder(&nano, &(struct encoder_shape){1, 640, 640, 2});
    compare_with_encoder(&small, &(struct encoder_shape){2, 128, 192, 1});
    compare_with_encoder(&small, &(struct encoder_shape){2, 128, 192, 2});
}

/* ---- Gradients of the whole ---------------------------------------------------------------- */

static double loss_of(struct fixture *f, const float *pixels, const struct encoder_shape *shape,
                      const float *weights, bool back) {
    const struct encoder_taping taping = {
        .config = &f->config, .parameters = f->parameters, .gradients = back ? f->gradients : NULL};
    struct encoder_stages stages;
    tape_begin(f->tape);
    encoder_tape(&taping, f->tape, pixels, shape, STAGE_TOKENS, &stages);
    double loss = 0;
    for (int64_t i = 0; stages.tokens != NULL && i < stages.tokens->rows * stages.tokens->width;
         i++) {
        loss += (double)weights[i] * (double)stages.tokens->value[i];
    }
    if (back) {
        tape_seed(f->tape, stages.tokens, weights);
        CHECK_NUMBER(tape_backward(f->tape, NULL), 0);
    }
    return loss;
}

/* Moving one tensor a little in the direction of its gradient moves the loss as the gradient says:
 * for each tensor of the network, with both phases. Tolerance: that of differences in F32. */
static void every_tensor_has_the_gradient_of_the_loss(void) {
    struct fixture f;
    struct encoder_config small;
    const struct encoder_shape shape = {2, 128, 192, 2};
    CHECK_NUMBER(config_parse(&small, SMALL, NULL), 0);
    if (!open_fixture(&f, &small)) {
        return;
    }
    float *pixels = random_numbers((size_t)(shape.batch * shape.height * shape.width * 3));
    float *weights = random_numbers(2 * 2 * 6 * 28);
    loss_of(&f, pixels, &shape, weights, true);
    for (size_t i = 0; i < parameters_count(f.parameters); i++) {
        const struct parameter *p = parameters_get(f.parameters, i);
        float *values = parameters_values(f.parameters) + p->offset;
        const float *gradient = f.gradients + p->offset;
        double norm = 0, sides[2];
        for (size_t j = 0; j < p->count; j++) {
            norm += (double)gradient[j] * (double)gradient[j];
        }
        norm = sqrt(norm);
        if (strncmp(p->spec.name, "model.image_newline", 19) == 0 ||
            strncmp(p->spec.name, "model.view_seperator", 20) == 0) {
            CHECK_NEAR(norm, 0, 0); /* the decoder's, not the encoder's */
            continue;
        }
        float *kept = malloc(p->count * sizeof *kept);
        memcpy(kept, values, p->count * sizeof *kept);
        const double h = 3e-3;
        for (int side = 0; side < 2; side++) {
            for (size_t j = 0; j < p->count; j++) {
                values[j] = (float)((double)kept[j] + (side ? -h : h) * (double)gradient[j] / norm);
            }
            sides[side] = loss_of(&f, pixels, &shape, weights, false);
        }
        memcpy(values, kept, p->count * sizeof *kept);
        free(kept);
        if (!CHECK(norm > 0) || !CHECK_NEAR((sides[0] - sides[1]) / (2 * h) / norm, 1, 0.02)) {
            printf("# %s: norm %g\n", p->spec.name, norm);
        }
    }
    free(pixels);
    free(weights);
    close_fixture(&f);
}

static bool only_norms(const struct tensor_spec *spec) {
    return strstr(spec->name, "norm") != NULL;
}

static void what_is_saved_is_loaded(void) {
    struct fixture f;
    struct encoder_config small;
    CHECK_NUMBER(config_parse(&small, SMALL, NULL), 0);
    if (!open_fixture(&f, &small)) {
        return;
    }
    size_t total = parameters_total(f.parameters);
    float *values = parameters_values(f.parameters), *kept = malloc(total * sizeof *kept);
    memcpy(kept, values, total * sizeof *kept);
    CHECK_NUMBER(parameters_save(f.parameters, f.path, kept, NULL, NULL, NULL), 0);
    memset(values, 0, total * sizeof *values);
    CHECK_NUMBER(parameters_load(f.parameters, f.path, NULL), 0);
    CHECK(memcmp(values, kept, total * sizeof *kept) == 0);
    struct error e = {0};
    CHECK_NUMBER(parameters_save(f.parameters, f.path, kept, only_norms, NULL, NULL), 0);
    CHECK_NUMBER(parameters_load(f.parameters, f.path, &e), ERR_FORMAT);
    CHECK(strstr(e.text, "pos_embed is missing") != NULL);
    free(kept);
    close_fixture(&f);
}

int main(void) {
    RUN(tokens_are_those_of_the_encoder);
    RUN(every_tensor_has_the_gradient_of_the_loss);
    RUN(what_is_saved_is_loaded);
    return test_finish();
}
