/* The encoder on a tape: the numbers of the encoder that ships, and gradients of the whole network
 * against differences of its own loss. */
#include "train/encoder/encoder_tape.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "compress/encoder.h"
#include "compress/model.h"
#include "tests/trained.h"

/* Windowed blocks, one after the other, and a global one; windows of 3 leave the grids, all tables
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
    struct trained trained;
    struct tape *tape;
};

static bool open_fixture(struct fixture *f, const struct encoder_config *config) {
    static const struct optimizer_options OPTIONS = OPTIMIZER_DEFAULTS;
    struct error e = {0};
    *f = (struct fixture){.path = "encoder-tape-XXXXXX", .config = *config};
    int fd = mkstemp(f->path);
    int rc = fd < 0 ? -1 : close(fd);
    if (rc == 0) {
        rc = model_init(f->path, config, 3, DTYPE_F32, &e);
    }
    trained_begin(&f->trained, DTYPE_F32);
    if (rc == 0) {
        rc = config_tensors(config, parameters_take, f->trained.parameters, &e);
    }
    trained_open(&f->trained, &OPTIONS, NULL, 0);
    if (rc == 0) {
        rc = parameters_load(f->trained.parameters, f->path, &e);
    }
    if (rc == 0) {
        rc = tape_open(&f->tape, f->trained.device, &(struct tape_options){.storage = DTYPE_F32},
                       &e);
    }
    CHECK_TEXT(e.text, "");
    return CHECK(rc == 0);
}

static void close_fixture(struct fixture *f) {
    tape_close(f->tape);
    trained_close(&f->trained);
    unlink(f->path);
}

static struct tensor pixels_of(float *pixels, const struct encoder_shape *shape) {
    return tensor_of(pixels, DTYPE_F32, NULL,
                     TENSOR_SHAPE(shape->batch, shape->height, shape->width, 3));
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
    const struct tape_source source = parameters_source(f.trained.parameters);
    const struct tensor input = pixels_of(pixels, shape);
    struct encoder_stages stages;
    tape_begin(f.tape);
    encoder_tape(config, &source, f.tape, &input, shape->phases, STAGE_TOKENS, &stages);
    if (CHECK(stages.tokens != NULL) &&
        CHECK_NUMBER(tensor_rows(&stages.tokens->value), shape->batch * rows * columns)) {
        const float *own = stages.tokens->value.data;
        double most = 0;
        for (int64_t i = 0; i < count; i++) {
            most = fmax(most, fabs((double)own[i] - (double)tokens[i]));
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

static double loss_of(struct fixture *f, float *pixels, const struct encoder_shape *shape,
                      float *weights, bool back) {
    const struct tape_source source =
        back ? gradients_source(&f->trained.gradients) : parameters_source(f->trained.parameters);
    const struct tensor input = pixels_of(pixels, shape);
    struct encoder_stages stages;
    tape_begin(f->tape);
    encoder_tape(&f->config, &source, f->tape, &input, shape->phases, STAGE_TOKENS, &stages);
    if (!CHECK(stages.tokens != NULL)) {
        return 0;
    }
    const float *tokens = stages.tokens->value.data;
    double loss = 0;
    for (int64_t i = 0; i < tensor_count(&stages.tokens->value); i++) {
        loss += (double)weights[i] * (double)tokens[i];
    }
    if (back) {
        const struct tensor gradient =
            tensor_of(weights, DTYPE_F32, NULL, stages.tokens->value.shape);
        tape_backward_from(f->tape, stages.tokens, &gradient);
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
    for (size_t i = 0; i < parameters_count(f.trained.parameters); i++) {
        const struct parameter *p = parameters_get(f.trained.parameters, i);
        size_t count = trained_count(&f.trained, i);
        float *values = trained_value(&f.trained, i);
        const float *gradient = f.trained.gradients.list[i].data;
        double norm = 0, sides[2];
        for (size_t j = 0; j < count; j++) {
            norm += (double)gradient[j] * (double)gradient[j];
        }
        norm = sqrt(norm);
        if (strncmp(p->spec.name, "model.image_newline", 19) == 0 ||
            strncmp(p->spec.name, "model.view_seperator", 20) == 0) {
            CHECK_NEAR(norm, 0, 0); /* the decoder's, not the encoder's */
            continue;
        }
        float *kept = malloc(count * sizeof *kept);
        memcpy(kept, values, count * sizeof *kept);
        const double h = 3e-3;
        for (int side = 0; side < 2; side++) {
            for (size_t j = 0; j < count; j++) {
                values[j] = (float)((double)kept[j] + (side ? -h : h) * (double)gradient[j] / norm);
            }
            sides[side] = loss_of(&f, pixels, &shape, weights, false);
        }
        memcpy(values, kept, count * sizeof *kept);
        free(kept);
        if (!CHECK(norm > 0) || !CHECK_NEAR((sides[0] - sides[1]) / (2 * h) / norm, 1, 0.02)) {
            printf("# %s: norm %g\n", p->spec.name, norm);
        }
    }
    free(pixels);
    free(weights);
    close_fixture(&f);
}

int main(void) {
    RUN(tokens_are_those_of_the_encoder);
    RUN(every_tensor_has_the_gradient_of_the_loss);
    return test_finish();
}
