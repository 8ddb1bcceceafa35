/* The encoder on a tape: the numbers of the encoder that ships, and gradients of the whole network
 * against differences of its own loss. */
#define _XOPEN_SOURCE 700
#include "train/encoder/encoder_tape.h"

#include <unistd.h>

#include "compress/encoder.h"
#include "compress/model.h"
#include "tests/cpu_backend.h"
#include "tests/tape_device.h"
#include "train/parameters.h"

/* Windowed blocks, one after the other, and a global one; windows of 3 leave the grids, all tables
 * are resampled. */
static const char SMALL[] =
    "{\"name\": \"small\", \"sam\": {\"patch_size\": 16, \"grid\": 6, \"dim\": 24, \"depth\": 3,"
    " \"heads\": 2, \"mlp_dim\": 40, \"window\": 3, \"global_blocks\": [2], \"neck\": 16,"
    " \"net_2\": 20, \"net_3\": 32}, \"clip\": {\"dim\": 32, \"depth\": 2, \"heads\": 2,"
    " \"mlp_dim\": 48, \"grid\": 3}, \"projector\": {\"output\": 28, \"norm\": true}}";

static float *random_numbers(size_t count) {
    float *numbers = malloc(count * sizeof *numbers);
    for (size_t i = 0; i < count; i++) {
        numbers[i] = (float)random_number();
    }
    return numbers;
}

struct fixture {
    char path[64];
    struct encoder_config config;
    struct parameters *parameters;
    struct gradients gradients;
    struct tape *tape;
};

static bool open_fixture(struct fixture *f, const struct encoder_config *config,
                         const struct tape_options *options) {
    struct error e = {0};
    *f = (struct fixture){.path = "encoder-tape-XXXXXX", .config = *config};
    f->tape = open_tape(NULL, DTYPE_F32, options);
    int fd = mkstemp(f->path);
    int rc = fd < 0 ? -1 : close(fd);
    if (rc == 0) {
        rc = model_init(f->path, config, 3, DTYPE_F32, &e);
    }
    if (rc == 0) {
        rc = parameters_open(&f->parameters, tape_device(f->tape), &e);
    }
    if (rc == 0) {
        rc = config_tensors(config, parameters_take, f->parameters, &e);
    }
    if (rc == 0) {
        rc = parameters_allocate(f->parameters, &e);
    }
    if (rc == 0) {
        rc = parameters_load(f->parameters, f->path, &e);
    }
    if (rc == 0) {
        rc = gradients_open(&f->gradients, f->parameters, tape_device(f->tape), &e);
    }
    CHECK_TEXT(e.text, "");
    return CHECK(rc == 0);
}

static void close_fixture(struct fixture *f) {
    gradients_close(&f->gradients);
    parameters_close(f->parameters);
    close_tape(f->tape);
    unlink(f->path);
}

/* The tokens of pixels (batch, height, width, channels); what is trained, where `back`, else only
 * read. */
static struct node *tokens_of(struct fixture *f, const float *pixels,
                              const struct encoder_shape *shape, int64_t channels, bool back) {
    const struct tape_source source =
        back ? gradients_source(&f->gradients) : parameters_source(f->parameters);
    const struct tensor host =
        tensor_of((void *)(uintptr_t)pixels, DTYPE_F32, NULL,
                  TENSOR_SHAPE(shape->batch, shape->height, shape->width, channels));
    struct encoder_stages stages;
    tape_begin(f->tape);
    const struct tensor uploaded = tape_upload(f->tape, &host);
    encoder_tape(&f->config, &source, f->tape, &uploaded, shape->column_offsets, STAGE_TOKENS,
                 &stages);
    return stages.tokens;
}

static void compare_with_encoder(const struct encoder_config *config,
                                 const struct encoder_shape *shape) {
    struct fixture f;
    struct encoder *encoder = NULL;
    struct encoder_session *session = NULL;
    if (!open_fixture(&f, config, NULL)) {
        return;
    }
    CHECK_NUMBER(encoder_open(&encoder, f.path, NULL, cpu_backend(), DTYPE_F32, NULL), 0);
    CHECK_NUMBER(encoder_session_open(&session, encoder, NULL), 0);
    float *pixels = random_numbers((size_t)(shape->batch * shape->height * shape->width * 3));
    int64_t rows, columns;
    encoder_grid(encoder, shape, &rows, &columns, NULL);
    int64_t count = shape->batch * rows * columns * config->token_dim;
    float *tokens = malloc((size_t)count * sizeof *tokens);
    float *taped = malloc((size_t)count * sizeof *taped);
    struct tensor input = tensor_of(pixels, DTYPE_F32, NULL,
                                    TENSOR_SHAPE(shape->batch, shape->height, shape->width, 3));
    struct tensor output = tensor_vector(tokens, DTYPE_F32, NULL, count);
    CHECK_NUMBER(encoder_run(session, &output, &input, shape->column_offsets, NULL), 0);
    const struct node *y = tokens_of(&f, pixels, shape, 3, false);
    if (CHECK(y != NULL) && CHECK_NUMBER(tensor_count(&y->value), count)) {
        double most = 0;
        download_floats(f.tape, taped, &y->value);
        for (int64_t i = 0; i < count; i++) {
            most = fmax(most, fabs((double)taped[i] - (double)tokens[i]));
        }
        CHECK_NEAR(most, 0, 1e-4);
    }
    free(pixels);
    free(tokens);
    free(taped);
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
    compare_with_encoder(&small, &(struct encoder_shape){2, 64, 256, 1}); /* first rows */
    compare_with_encoder(&small, &(struct encoder_shape){1, 64, 192, 2});
    compare_with_encoder(&small, &(struct encoder_shape){1, 192, 64, 1}); /* higher than wide */
}

/* ---- Gradients of the whole ---------------------------------------------------------------- */

static double loss_of(struct fixture *f, const float *pixels, const struct encoder_shape *shape,
                      float *weights, bool back) {
    struct node *tokens = tokens_of(f, pixels, shape, 3, back);
    if (!CHECK(tokens != NULL)) {
        return 0;
    }
    const int64_t count = tensor_count(&tokens->value);
    float *values = malloc((size_t)count * sizeof *values);
    double loss = 0;
    download_floats(f->tape, values, &tokens->value);
    for (int64_t i = 0; i < count; i++) {
        loss += (double)weights[i] * (double)values[i];
    }
    free(values);
    if (back) {
        const struct tensor host = tensor_of(weights, DTYPE_F32, NULL, tokens->value.shape);
        const struct tensor from = tape_upload(f->tape, &host);
        tape_backward_from(f->tape, tokens, &from);
        CHECK_NUMBER(tape_backward(f->tape, NULL), 0);
    }
    return loss;
}

static bool is_the_decoders(const char *name) {
    return strncmp(name, "model.image_newline", 19) == 0 ||
           strncmp(name, "model.view_seperator", 20) == 0;
}

/* Moving one tensor a little in the direction of its gradient moves the loss as the gradient says:
 * for each tensor of the network, at both column offsets. Tolerance: that of differences in F32. */
static void every_tensor_has_the_gradient_of_the_loss(void) {
    const double h = 3e-3;
    struct fixture f;
    struct encoder_config small;
    const struct encoder_shape shape = {2, 128, 192, 2};
    CHECK_NUMBER(config_parse(&small, SMALL, NULL), 0);
    if (!open_fixture(&f, &small, NULL)) {
        return;
    }
    float *pixels = random_numbers((size_t)(shape.batch * shape.height * shape.width * 3));
    float *weights = random_numbers(2 * 2 * 6 * 28);
    loss_of(&f, pixels, &shape, weights, true);
    for (size_t i = 0; i < parameters_count(f.parameters); i++) {
        const struct parameter *p = parameters_get(f.parameters, i);
        const size_t count = (size_t)tensor_count(&p->value);
        float *gradient = malloc(count * sizeof *gradient), *kept = malloc(count * sizeof *kept);
        float *moved = malloc(count * sizeof *moved);
        double norm = 0, sides[2];
        download_floats(f.tape, gradient, &f.gradients.list[i]);
        CHECK_NUMBER(parameters_read(f.parameters, i, kept, NULL), 0);
        for (size_t j = 0; j < count; j++) {
            norm += (double)gradient[j] * (double)gradient[j];
        }
        norm = sqrt(norm);
        for (int side = 0; side < 2 && norm > 0; side++) {
            for (size_t j = 0; j < count; j++) {
                moved[j] = (float)((double)kept[j] + (side ? -h : h) * (double)gradient[j] / norm);
            }
            CHECK_NUMBER(parameters_set(f.parameters, i, moved, NULL), 0);
            sides[side] = loss_of(&f, pixels, &shape, weights, false);
        }
        CHECK_NUMBER(parameters_set(f.parameters, i, kept, NULL), 0);
        if (is_the_decoders(p->spec.name)) {
            CHECK_NEAR(norm, 0, 0);
        } else if (!CHECK(norm > 0) ||
                   !CHECK_NEAR((sides[0] - sides[1]) / (2 * h) / norm, 1, 0.02)) {
            printf("# %s: norm %g\n", p->spec.name, norm);
        }
        free(gradient);
        free(kept);
        free(moved);
    }
    free(pixels);
    free(weights);
    close_fixture(&f);
}

/* All gradients of a page, one after the other. */
static float *gradients_of(struct fixture *f, size_t *total) {
    *total = 0;
    for (size_t i = 0; i < parameters_count(f->parameters); i++) {
        *total += (size_t)tensor_count(&f->gradients.list[i]);
    }
    float *all = malloc(*total * sizeof *all), *at = all;
    for (size_t i = 0; i < parameters_count(f->parameters); i++) {
        download_floats(f->tape, at, &f->gradients.list[i]);
        at += tensor_count(&f->gradients.list[i]);
    }
    return all;
}

/* A page of one channel is one of three whose others are zeros. */
static void other_channels_of_zeros_may_be_left_out(void) {
    const struct encoder_shape shape = {2, 128, 192, 1};
    const size_t area = 2 * 128 * 192;
    struct encoder_config small;
    CHECK_NUMBER(config_parse(&small, SMALL, NULL), 0);
    float *one = random_numbers(area), *three = calloc(area, 3 * sizeof *three);
    float *weights = random_numbers(2 * 2 * 3 * 28), *gradients[2] = {NULL};
    for (size_t i = 0; i < area; i++) {
        three[3 * i] = one[i];
    }
    for (int channels = 1; channels <= 3; channels += 2) {
        struct fixture f;
        size_t total;
        if (!open_fixture(&f, &small, NULL)) {
            return;
        }
        struct node *tokens = tokens_of(&f, channels == 1 ? one : three, &shape, channels, true);
        const struct tensor host = tensor_of(weights, DTYPE_F32, NULL, tokens->value.shape);
        const struct tensor from = tape_upload(f.tape, &host);
        tape_backward_from(f.tape, tokens, &from);
        CHECK_NUMBER(tape_backward(f.tape, NULL), 0);
        gradients[channels / 2] = gradients_of(&f, &total);
        for (size_t i = 0; i < total && channels == 3; i++) {
            if (!CHECK_NEAR((double)gradients[0][i], (double)gradients[1][i], 1e-4)) {
                break;
            }
        }
        close_fixture(&f);
    }
    free(one);
    free(three);
    free(weights);
    free(gradients[0]);
    free(gradients[1]);
}

/* Whatever is computed again in the backward pass: the same numbers, from less memory. */
static void gradients_are_the_same_whatever_is_kept(void) {
    const struct encoder_shape shape = {2, 128, 192, 2};
    struct encoder_config small;
    CHECK_NUMBER(config_parse(&small, SMALL, NULL), 0);
    float *pixels = random_numbers(2 * 128 * 192 * 3), *weights = random_numbers(2 * 2 * 6 * 28);
    float *kept = NULL;
    size_t peak = 0;
    for (int mode = RECOMPUTE_NONE; mode <= RECOMPUTE_ALL; mode++) {
        const struct tape_options options = {.storage = DTYPE_F32,
                                             .recompute = (enum tape_recompute)mode};
        struct fixture f;
        size_t total;
        if (!open_fixture(&f, &small, &options)) {
            break;
        }
        loss_of(&f, pixels, &shape, weights, true);
        float *all = gradients_of(&f, &total);
        if (mode == RECOMPUTE_NONE) {
            kept = all;
            peak = tape_peak(f.tape);
        } else {
            CHECK(memcmp(all, kept, total * sizeof *all) == 0);
            CHECK(tape_peak(f.tape) < peak);
            free(all);
        }
        close_fixture(&f);
    }
    free(kept);
    free(pixels);
    free(weights);
}

int main(void) {
    RUN(tokens_are_those_of_the_encoder);
    RUN(every_tensor_has_the_gradient_of_the_loss);
    RUN(other_channels_of_zeros_may_be_left_out);
    RUN(gradients_are_the_same_whatever_is_kept);
    return test_finish();
}
