/* encoder_test.c - the encoder against tensors of the published modules (golden/encoder). */
#include "compress/encoder_state.h"
#include "compress/tiles.h"
#include "store/file.h"
#include "store/safetensors.h"
#include "tests/cpu_backend.h"
#include "tests/sequence.h"
#include "tests/test.h"
#include "tests/tested_device.h"

#define GOLDEN TEST_FOLDER "/golden/encoder/"
#define F32_LIMIT 2e-5
#define BF16_COSINE 0.999

static struct encoder *open_golden(enum dtype compute) {
    struct error e = {0};
    struct bytes text;
    struct encoder_config config;
    struct encoder *encoder = NULL;
    bytes_init(&text, 1 << 20);
    bool ok = CHECK(file_read(GOLDEN "config.json", &text, &e) == 0) &&
              CHECK(config_parse(&config, bytes_text(&text), &e) == 0) &&
              CHECK(encoder_open(&encoder, GOLDEN "weights.safetensors", &config, tested_backend(),
                                 compute, &e) == 0);
    if (!ok) {
        printf("# %s\n", e.text);
        exit(1);
    }
    bytes_close(&text);
    return encoder;
}

static struct safetensors *open_case(const char *name) {
    char path[1024];
    struct safetensors *s = NULL;
    snprintf(path, sizeof path, GOLDEN "golden_%s.safetensors", name);
    if (!CHECK(safetensors_open(&s, path, NULL) == 0)) {
        exit(1);
    }
    return s;
}

static const struct safetensor *find(const struct safetensors *s, const char *name) {
    const struct safetensor *t = safetensors_find(s, name);
    if (!CHECK(t != NULL)) {
        printf("# %s is missing\n", name);
        exit(1);
    }
    return t;
}

static float *new_floats(int64_t count) {
    float *values = calloc((size_t)count, sizeof *values);
    if (values == NULL) {
        exit(1);
    }
    return values;
}

/* (pages, 3, height, width) becomes (pages, height, width, 3). */
static float *pixels_of(const struct safetensor *t) {
    int64_t pages = t->shape[0], area = t->shape[2] * t->shape[3];
    float *pixels = new_floats(pages * area * 3), *planes = new_floats(pages * area * 3);
    memcpy(planes, t->data, t->bytes);
    for (int64_t p = 0; p < pages; p++) {
        for (int64_t i = 0; i < area * 3; i++) {
            pixels[p * area * 3 + i] = planes[p * area * 3 + i % 3 * area + i / 3];
        }
    }
    free(planes);
    return pixels;
}

/* max|x - g| / max|g|; `planes`: g is (columns, rows) instead of (rows, columns). */
static double difference(const float *x, const struct safetensor *g, int64_t rows, int64_t columns,
                         bool planes) {
    double largest = 0, worst = 0;
    if (!CHECK((size_t)(rows * columns) * sizeof *x == g->bytes)) {
        return 1;
    }
    for (int64_t i = 0; i < rows * columns; i++) {
        float want;
        int64_t place = planes ? i % columns * rows + i / columns : i;
        memcpy(&want, (const char *)g->data + (size_t)place * sizeof want, sizeof want);
        double miss = fabs((double)x[i] - (double)want);
        worst = miss > worst || isnan(miss) ? miss : worst;
        largest = fmax(largest, fabs((double)want));
    }
    return worst / largest;
}

static double cosine(const float *x, const struct safetensor *g, int64_t count) {
    double dot = 0, xx = 0, gg = 0;
    for (int64_t i = 0; i < count; i++) {
        float want;
        memcpy(&want, (const char *)g->data + (size_t)i * sizeof want, sizeof want);
        dot += (double)x[i] * (double)want;
        xx += (double)x[i] * (double)x[i];
        gg += (double)want * (double)want;
    }
    return dot / sqrt(xx * gg);
}

/* ---- Every tensor on the way --------------------------------------------------------- */

struct watch {
    const struct safetensors *golden;
    int seen;
};

static void compare(void *context, const char *name, const float *data, int64_t rows,
                    int64_t columns) {
    struct watch *w = context;
    const struct safetensor *g = safetensors_find(w->golden, name);
    if (g == NULL) {
        return;
    }
    bool planes = strcmp(name, "sam.neck") == 0 || strncmp(name, "sam.net", 7) == 0;
    double miss = difference(data, g, rows, columns, planes);
    if (!CHECK_NEAR(miss, 0, F32_LIMIT)) {
        printf("# %s\n", name);
    }
    w->seen++;
}

/* pixels: (batch, height, width, channels) of the shape. */
static float *encode_pixels(struct encoder *encoder, const struct tensor *pixels,
                            const struct encoder_shape *shape, struct watch *watch,
                            int64_t *tokens) {
    struct encoder_session *s = NULL;
    struct error e = {0};
    int64_t rows = 0, columns = 0;
    if (!CHECK(encoder_session_open(&s, encoder, &e) == 0) ||
        !CHECK(encoder_grid(encoder, shape, &rows, &columns, &e) == 0)) {
        exit(1);
    }
    if (watch != NULL) {
        encoder_trace(s, compare, watch);
    }
    *tokens = shape->batch * rows * columns;
    float *out = new_floats(*tokens * encoder_config(encoder)->token_dim);
    struct tensor to =
        tensor_matrix(out, DTYPE_F32, NULL, *tokens, encoder_config(encoder)->token_dim);
    if (!CHECK(encoder_run(s, &to, pixels, shape->column_offsets, &e) == 0)) {
        printf("# %s\n", e.text);
    }
    encoder_session_close(s);
    return out;
}

/* pixels: F32 of three channels. */
static float *encode(struct encoder *encoder, float *pixels, const struct encoder_shape *shape,
                     struct watch *watch, int64_t *tokens) {
    struct tensor input = tensor_of(pixels, DTYPE_F32, NULL,
                                    TENSOR_SHAPE(shape->batch, shape->height, shape->width, 3));
    return encode_pixels(encoder, &input, shape, watch, tokens);
}

static void check_case(const char *name, int64_t side, int least_seen) {
    struct encoder *encoder = open_golden(DTYPE_F32);
    struct safetensors *golden = open_case(name);
    struct watch watch = {.golden = golden};
    const struct encoder_shape shape = {
        .batch = 1, .height = side, .width = side, .column_offsets = 1};
    int64_t count, dim = encoder_config(encoder)->token_dim;
    float *pixels = pixels_of(find(golden, "input"));
    float *tokens = encode(encoder, pixels, &shape, &watch, &count);
    CHECK_NEAR(difference(tokens, find(golden, "tokens"), count, dim, false), 0, F32_LIMIT);
    CHECK(watch.seen >= least_seen);

    int64_t grid = side / 64;
    const struct sequence_view none = {0}, global = {tokens, grid, grid};
    int64_t length = sequence_length(&none, &global);
    float *sequence = new_floats(length * dim);
    sequence_build(sequence, &none, &global, encoder_vectors(encoder), dim);
    CHECK_NEAR(difference(sequence, find(golden, "sequence"), length, dim, false), 0, F32_LIMIT);
    free(sequence);
    free(tokens);
    free(pixels);
    safetensors_close(golden);
    encoder_close(encoder);
}

enum { ALL_TENSORS = 14 /* sam.embed ... tokens */ };

static void native_size_equals_the_published_modules(void) {
    check_case("native", 256, ALL_TENSORS);
}

static void tables_shrunk_to_a_small_page_equal_the_published_modules(void) {
    check_case("small", 128, ALL_TENSORS);
}

static void tables_grown_to_a_large_page_equal_the_published_modules(void) {
    check_case("large", 320, ALL_TENSORS);
}

static void two_phases_equal_the_published_modules(void) {
    struct encoder *encoder = open_golden(DTYPE_F32);
    struct safetensors *large = open_case("large"), *golden = open_case("twophase");
    const struct encoder_shape shape = {
        .batch = 1, .height = 320, .width = 320, .column_offsets = 2};
    int64_t count, dim = encoder_config(encoder)->token_dim;
    float *pixels = pixels_of(find(large, "input"));
    float *tokens = encode(encoder, pixels, &shape, NULL, &count);
    CHECK_NUMBER(count, 50);
    CHECK_NEAR(difference(tokens, find(golden, "tokens"), count, dim, false), 0, F32_LIMIT);

    const struct sequence_view none = {0}, global = {tokens, 5, 10};
    int64_t length = sequence_length(&none, &global);
    float *sequence = new_floats(length * dim);
    sequence_build(sequence, &none, &global, encoder_vectors(encoder), dim);
    CHECK_NEAR(difference(sequence, find(golden, "sequence"), length, dim, false), 0, F32_LIMIT);
    free(sequence);
    free(tokens);
    free(pixels);
    safetensors_close(golden);
    safetensors_close(large);
    encoder_close(encoder);
}

static void even_columns_of_two_phases_are_the_tokens_of_one(void) {
    struct encoder *encoder = open_golden(DTYPE_F32);
    struct safetensors *large = open_case("large");
    int64_t count, dim = encoder_config(encoder)->token_dim;
    float *pixels = pixels_of(find(large, "input"));
    struct encoder_shape shape = {.batch = 1, .height = 320, .width = 320, .column_offsets = 2};
    float *both = encode(encoder, pixels, &shape, NULL, &count);
    float *even = new_floats(count / 2 * dim);
    for (int64_t i = 0; i < count / 2; i++) {
        memcpy(even + i * dim, both + 2 * i * dim, (size_t)dim * sizeof *even);
    }
    CHECK_NEAR(difference(even, find(large, "tokens"), count / 2, dim, false), 0, 1e-5);
    free(even);
    free(both);
    free(pixels);
    safetensors_close(large);
    encoder_close(encoder);
}

static void tiles_and_a_global_view_equal_the_published_modules(void) {
    struct encoder *encoder = open_golden(DTYPE_F32);
    struct safetensors *native = open_case("native"), *golden = open_case("tiles");
    struct encoder_shape shape = {.batch = 6, .height = 128, .width = 128, .column_offsets = 1};
    int64_t count, dim = encoder_config(encoder)->token_dim;
    float *pixels = pixels_of(find(golden, "tiles"));
    float *tiles = encode(encoder, pixels, &shape, NULL, &count);
    CHECK_NEAR(difference(tiles, find(golden, "local.tokens"), count, dim, false), 0, F32_LIMIT);
    float *local = new_floats(count * dim);
    const float *list[6];
    for (int i = 0; i < 6; i++) {
        list[i] = tiles + i * 4 * dim;
    }
    tiles_join(local, list, 2, 3, 2, dim);
    free(pixels);

    shape = (struct encoder_shape){.batch = 1, .height = 256, .width = 256, .column_offsets = 1};
    pixels = pixels_of(find(native, "input"));
    float *page = encode(encoder, pixels, &shape, NULL, &count);
    const struct sequence_view locals = {local, 4, 6}, global = {page, 4, 4};
    int64_t length = sequence_length(&locals, &global);
    CHECK_NUMBER(length, 49);
    float *sequence = new_floats(length * dim);
    sequence_build(sequence, &locals, &global, encoder_vectors(encoder), dim);
    CHECK_NEAR(difference(sequence, find(golden, "sequence"), length, dim, false), 0, F32_LIMIT);
    free(sequence);
    free(page);
    free(local);
    free(tiles);
    free(pixels);
    safetensors_close(golden);
    safetensors_close(native);
    encoder_close(encoder);
}

static void bf16_keeps_the_direction_of_the_tokens(void) {
    if (!tested_backend()->has_bf16()) {
        printf("# this processor has no bf16 products\n");
        return;
    }
    struct encoder *encoder = open_golden(DTYPE_BF16);
    static const char *const NAMES[] = {"native", "small", "large"};
    static const int64_t SIDES[] = {256, 128, 320};
    for (int i = 0; i < 3; i++) {
        struct safetensors *golden = open_case(NAMES[i]);
        const struct encoder_shape shape = {
            .batch = 1, .height = SIDES[i], .width = SIDES[i], .column_offsets = 1};
        int64_t count;
        float *pixels = pixels_of(find(golden, "input"));
        float *tokens = encode(encoder, pixels, &shape, NULL, &count);
        count *= encoder_config(encoder)->token_dim;
        double likeness = cosine(tokens, find(golden, "tokens"), count);
        CHECK(likeness >= BF16_COSINE);
        CHECK(likeness < 1 - 1e-9); /* else it was not bf16 that computed */
        free(tokens);
        free(pixels);
        safetensors_close(golden);
    }
    encoder_close(encoder);
}

static void a_page_of_a_batch_gets_the_tokens_that_it_gets_alone(void) {
    struct encoder *encoder = open_golden(DTYPE_F32);
    struct safetensors *golden = open_case("tiles");
    struct encoder_shape shape = {.batch = 6, .height = 128, .width = 128, .column_offsets = 2};
    int64_t count, dim = encoder_config(encoder)->token_dim;
    float *pixels = pixels_of(find(golden, "tiles"));
    float *together = encode(encoder, pixels, &shape, NULL, &count);
    int64_t each = count / 6 * dim;
    shape.batch = 1;
    for (int page = 0; page < 6; page++) {
        float *alone = encode(encoder, pixels + page * 128 * 128 * 3, &shape, NULL, &count);
        double worst = 0;
        for (int64_t i = 0; i < each; i++) {
            worst = fmax(worst, fabs((double)alone[i] - (double)together[page * each + i]));
        }
        CHECK_NEAR(worst, 0, 1e-4);
        free(alone);
    }
    free(together);
    free(pixels);
    safetensors_close(golden);
    encoder_close(encoder);
}

/* Of a GPU: who plans what goes together believes it. */
static void memory_is_foretold(void) {
    enum { WORKSPACE = 48 << 20 /* of products, which an emulated GPU hardly has */ };
    const struct encoder_shape shape = {3, 256, 320, 2};
    for (int bf16 = 0; bf16 < 2 && !tested_backend()->host_memory; bf16++) {
        struct encoder *encoder = open_golden(bf16 ? DTYPE_BF16 : DTYPE_F32);
        struct encoder_session *s = NULL;
        uint8_t *bytes = calloc(3 * 256 * 320, 3);
        const struct tensor pixels = tensor_of(bytes, DTYPE_U8, NULL, TENSOR_SHAPE(3, 256, 320, 3));
        const int64_t tokens = 3 * 4 * 10, dim = encoder_config(encoder)->token_dim;
        float *out = new_floats(tokens * dim);
        const struct tensor to = tensor_matrix(out, DTYPE_F32, NULL, tokens, dim);
        CHECK_NUMBER(encoder_session_open(&s, encoder, NULL), 0);
        CHECK_NUMBER(encoder_run(s, &to, &pixels, 2, NULL), 0);
        const size_t told = encoder_run_bytes(encoder, &shape, 3), took = s->device->peak_bytes;
        CHECK(took > 0 && took <= told && told - WORKSPACE <= 2 * took);
        CHECK(encoder_weight_bytes(encoder) > 0);
        free(out);
        free(bytes);
        encoder_session_close(s);
        encoder_close(encoder);
    }
}

/* One pixel with a trace of colour sends the whole page through the embedding of three channels. */
/* Bytes of one channel, bytes of three, and the same numbers as floats. */
static void a_grey_page_has_the_tokens_of_its_three_channels(void) {
    struct encoder *encoder = open_golden(DTYPE_F32);
    const struct encoder_shape shape = {1, 128, 128, 1};
    static uint8_t bytes[128 * 128 * 3], grey_bytes[128 * 128];
    int64_t count, dim = encoder_config(encoder)->token_dim;
    float *pixels = new_floats(128 * 128 * 3);
    for (int64_t i = 0; i < 128 * 128 * 3; i++) {
        bytes[i] = grey_bytes[i / 3] = (uint8_t)(i / 3 * 7919 % 256);
        pixels[i] = ((float)bytes[i] / 255.0f - 0.5f) / 0.5f;
    }
    struct tensor one = tensor_of(grey_bytes, DTYPE_U8, NULL, TENSOR_SHAPE(1, 128, 128, 1));
    struct tensor three = tensor_of(bytes, DTYPE_U8, NULL, TENSOR_SHAPE(1, 128, 128, 3));
    float *grey = encode_pixels(encoder, &one, &shape, NULL, &count);
    float *color = encode_pixels(encoder, &three, &shape, NULL, &count);
    float *floats = encode(encoder, pixels, &shape, NULL, &count);
    double worst = 0;
    for (int64_t i = 0; i < count * dim; i++) {
        worst = fmax(worst, fabs((double)grey[i] - (double)color[i]));
    }
    CHECK_NEAR(worst, 0, 1e-4);
    CHECK(worst > 0); /* else both went the same way */
    CHECK(memcmp(color, floats, (size_t)(count * dim) * sizeof *color) == 0);
    free(floats);
    free(color);
    free(grey);
    free(pixels);
    encoder_close(encoder);
}

static void sizes_that_do_not_fit_are_refused(void) {
    struct encoder *encoder = open_golden(DTYPE_F32);
    struct error e;
    int64_t rows, columns;
    static const int64_t SIDES[] = {0, 63, 65, 100, 1 << 20, -64};
    for (size_t i = 0; i < sizeof SIDES / sizeof *SIDES; i++) {
        const struct encoder_shape shape = {1, SIDES[i], 64, 1};
        CHECK_NUMBER(encoder_grid(encoder, &shape, &rows, &columns, &e), ERR_USAGE);
    }
    const struct encoder_shape shape = {1, 64, 128, 2};
    CHECK_NUMBER(encoder_grid(encoder, &shape, &rows, &columns, &e), 0);
    CHECK_NUMBER(rows, 1);
    CHECK_NUMBER(columns, 4);
    encoder_close(encoder);
}

int main(void) {
    RUN(native_size_equals_the_published_modules);
    RUN(tables_shrunk_to_a_small_page_equal_the_published_modules);
    RUN(tables_grown_to_a_large_page_equal_the_published_modules);
    RUN(two_phases_equal_the_published_modules);
    RUN(even_columns_of_two_phases_are_the_tokens_of_one);
    RUN(tiles_and_a_global_view_equal_the_published_modules);
    RUN(bf16_keeps_the_direction_of_the_tokens);
    RUN(a_page_of_a_batch_gets_the_tokens_that_it_gets_alone);
    RUN(a_grey_page_has_the_tokens_of_its_three_channels);
    RUN(memory_is_foretold);
    RUN(sizes_that_do_not_fit_are_refused);
    return test_finish();
}
