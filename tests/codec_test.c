/* codec_test.c - packed tokens: what is kept, what is lost, and what a damaged payload does. */
#include "store/codec.h"

#include <stdint.h>

#include "store/dtype.h"
#include "tests/test.h"

/* Tokens as an encoder makes them: each channel has a mean and a spread of its own. */
static float *tokens_new(int64_t rows, int64_t dim) {
    uint32_t state = 12345;
    float *tokens = malloc((size_t)(rows * dim) * sizeof *tokens);
    if (tokens == NULL) {
        exit(1);
    }
    for (int64_t i = 0; i < rows * dim; i++) {
        double sum = 0; /* of 12 uniform numbers: nearly normal */
        for (int j = 0; j < 12; j++) {
            state = state * 1664525 + 1013904223;
            sum += state * 0x1p-32;
        }
        double channel = (double)(i % dim) / (double)dim;
        tokens[i] = (float)((sum - 6) * (0.2 + channel) + 0.3 * channel);
    }
    return tokens;
}

static struct codec_state *state_new(void) {
    struct codec_state *c = NULL;
    if (!CHECK(codec_open(&c, NULL) == 0)) {
        exit(1);
    }
    return c;
}

static struct bytes pack(struct codec_state *c, enum codec codec, const float *tokens, int64_t rows,
                         int64_t dim, struct codec_loss *loss) {
    struct bytes packed;
    bytes_init(&packed, 1 << 28);
    CHECK_NUMBER(codec_pack(c, &packed, codec, tokens, rows, dim, loss, NULL), 0);
    return packed;
}

static const int64_t SHAPES[][2] = {{1, 1}, {1, 2}, {3, 7}, {64, 512}, {1, 1280}, {257, 10}};
enum { SHAPE_COUNT = sizeof SHAPES / sizeof *SHAPES };

static void bf16_keeps_what_bf16_can_hold(void) {
    struct codec_state *c = state_new();
    for (int i = 0; i < SHAPE_COUNT; i++) {
        int64_t rows = SHAPES[i][0], dim = SHAPES[i][1];
        float *tokens = tokens_new(rows, dim), *back = tokens_new(rows, dim);
        struct bytes packed = pack(c, CODEC_BF16, tokens, rows, dim, NULL);
        CHECK_NUMBER(codec_unpack(c, back, CODEC_BF16, packed.data, packed.size, rows, dim, NULL),
                     0);
        for (int64_t j = 0; j < rows * dim; j++) {
            CHECK(back[j] == float_of_bf16(bf16_of(tokens[j])));
        }
        struct bytes again = pack(c, CODEC_BF16, back, rows, dim, NULL);
        CHECK(again.size == packed.size && memcmp(again.data, packed.data, packed.size) == 0);
        bytes_close(&again);
        bytes_close(&packed);
        free(tokens);
        free(back);
    }
    codec_close(c);
}

static void bf16_packs_tokens_into_less_than_five_sevenths(void) {
    struct codec_state *c = state_new();
    float *tokens = tokens_new(256, 1280);
    struct bytes packed = pack(c, CODEC_BF16, tokens, 256, 1280, NULL);
    CHECK((double)(256 * 1280 * 2) / (double)packed.size >= 1.4);
    bytes_close(&packed);
    free(tokens);
    codec_close(c);
}

static void integers_miss_by_half_a_step_at_most(void) {
    struct codec_state *c = state_new();
    for (int i = 0; i < SHAPE_COUNT; i++) {
        for (enum codec codec = CODEC_INT8; codec <= CODEC_INT4; codec++) {
            int64_t rows = SHAPES[i][0], dim = SHAPES[i][1];
            if (codec == CODEC_INT4 && dim % 2 != 0) {
                continue;
            }
            float *tokens = tokens_new(rows, dim), *back = tokens_new(rows, dim);
            struct codec_loss loss = {0};
            struct bytes packed = pack(c, codec, tokens, rows, dim, &loss);
            CHECK_NUMBER(packed.size,
                         (size_t)rows * (4 + (size_t)(codec == CODEC_INT8 ? dim : dim / 2)));
            CHECK_NUMBER(codec_unpack(c, back, codec, packed.data, packed.size, rows, dim, NULL),
                         0);
            double largest = 0, squares = 0;
            for (int64_t r = 0; r < rows; r++) {
                double most = 0;
                for (int64_t d = 0; d < dim; d++) {
                    most = fmax(most, fabs((double)tokens[r * dim + d]));
                }
                for (int64_t d = 0; d < dim; d++) {
                    double miss = fabs((double)tokens[r * dim + d] - (double)back[r * dim + d]);
                    CHECK(miss <= 0.5001 * most / (codec == CODEC_INT8 ? 127 : 7));
                    largest = fmax(largest, miss);
                    squares += miss * miss;
                }
            }
            CHECK_NEAR(loss.largest, largest, 1e-6);
            CHECK_NEAR(loss.squares, squares, 1e-4 * squares + 1e-12);
            bytes_close(&packed);
            free(tokens);
            free(back);
        }
    }
    codec_close(c);
}

static void zeros_and_tiny_values_survive(void) {
    struct codec_state *c = state_new();
    const float values[] = {0, -0.0f, 1e-42f, -1e-42f, 1e-30f, 3e38f};
    float back[6];
    for (enum codec codec = CODEC_BF16; codec < CODEC_COUNT; codec++) {
        struct bytes packed = pack(c, codec, values, 3, 2, NULL);
        CHECK_NUMBER(codec_unpack(c, back, codec, packed.data, packed.size, 3, 2, NULL), 0);
        CHECK(back[0] == 0 && fabsf(back[2]) < 1e-40f && fabsf(back[5] - 3e38f) < 2e36f);
        bytes_close(&packed);
    }
    codec_close(c);
}

static void what_is_not_finite_is_refused(void) {
    struct codec_state *c = state_new();
    struct bytes packed;
    struct error e;
    bytes_init(&packed, 1 << 20);
    const float bad[] = {NAN, INFINITY, -INFINITY, 3.4e38f /* rounds to infinity in BF16 */};
    for (int i = 0; i < 4; i++) {
        float values[8] = {1, 2, 3, 4, 5, bad[i], 7, 8};
        for (enum codec codec = CODEC_BF16; codec < CODEC_COUNT; codec++) {
            CHECK_NUMBER(codec_pack(c, &packed, codec, values, 4, 2, NULL, &e), ERR_FORMAT);
            CHECK_TEXT(e.text, "token 2 holds a value that is not finite");
        }
    }
    CHECK_NUMBER(packed.size, 0);
    float odd[3] = {1, 2, 3};
    CHECK_NUMBER(codec_pack(c, &packed, CODEC_INT4, odd, 1, 3, NULL, &e), ERR_USAGE);
    bytes_close(&packed);
    codec_close(c);
}

static void a_payload_of_another_length_is_refused(void) {
    enum { ROWS = 5, DIM = 6 };
    struct codec_state *c = state_new();
    float *tokens = tokens_new(ROWS, DIM), back[ROWS * DIM];
    for (enum codec codec = CODEC_BF16; codec < CODEC_COUNT; codec++) {
        struct bytes packed = pack(c, codec, tokens, ROWS, DIM, NULL);
        for (size_t size = 0; size < packed.size; size++) {
            /* a copy of exactly that size, for the sanitizer */
            unsigned char *cut = malloc(size + 1);
            if (cut == NULL) {
                exit(1);
            }
            memcpy(cut, packed.data, size);
            CHECK(codec_unpack(c, back, codec, cut, size, ROWS, DIM, NULL) < 0);
            free(cut);
        }
        CHECK_NUMBER(bytes_append(&packed, "", 1, NULL), 0);
        CHECK(codec_unpack(c, back, codec, packed.data, packed.size, ROWS, DIM, NULL) < 0);
        CHECK(codec_unpack(c, back, codec, packed.data, packed.size - 1, ROWS - 1, DIM, NULL) < 0);
        bytes_close(&packed);
    }
    free(tokens);
    codec_close(c);
}

static void bf16_bits_are_those_of_the_floats(void) {
    enum { ROWS = 9, DIM = 14 };
    struct codec_state *c = state_new();
    float *tokens = tokens_new(ROWS, DIM), back[ROWS * DIM];
    uint16_t bits[ROWS * DIM];
    for (enum codec codec = CODEC_BF16; codec < CODEC_COUNT; codec++) {
        struct bytes packed = pack(c, codec, tokens, ROWS, DIM, NULL);
        CHECK_NUMBER(codec_unpack(c, back, codec, packed.data, packed.size, ROWS, DIM, NULL), 0);
        CHECK_NUMBER(codec_unpack_bf16(c, bits, codec, packed.data, packed.size, ROWS, DIM, NULL),
                     0);
        for (int i = 0; i < ROWS * DIM; i++) {
            CHECK_NUMBER(bits[i], bf16_of(back[i]));
        }
        bytes_close(&packed);
    }
    free(tokens);
    codec_close(c);
}

int main(void) {
    RUN(bf16_keeps_what_bf16_can_hold);
    RUN(bf16_packs_tokens_into_less_than_five_sevenths);
    RUN(integers_miss_by_half_a_step_at_most);
    RUN(zeros_and_tiny_values_survive);
    RUN(what_is_not_finite_is_refused);
    RUN(a_payload_of_another_length_is_refused);
    RUN(bf16_bits_are_those_of_the_floats);
    return test_finish();
}
