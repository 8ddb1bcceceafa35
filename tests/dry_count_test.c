/* What the dry device says of operations, beside what is counted by hand: of each kind of product
 * and attention, and of an encoder whose windows do not fit its pages. */
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compress/dry.h"
#include "compress/encoder.h"
#include "compress/model.h"
#include "compress/ops.h"
#include "tests/test.h"

static struct {
    struct dry_operation last;
    double operations, bytes; /* of all but what crosses */
    int calls, products, attentions;
} seen;

static void see(void *context, const struct dry_operation *o) {
    (void)context;
    seen.last = *o;
    seen.calls++;
    seen.products += o->family == DRY_PRODUCTS;
    seen.attentions += o->family == DRY_ATTENTION;
    if (o->family != DRY_CROSSING) {
        seen.operations += o->operations;
        seen.bytes += o->bytes;
    }
}

static int open_seen(struct device **out, const struct backend *b, enum dtype compute,
                     struct error *e) {
    int rc = dry_open(out, b, compute, e);
    if (rc == 0) {
        dry_trace(*out, see, NULL);
    }
    return rc;
}

static int one(void) {
    return 1;
}

static const struct backend COUNTED = {.name = "counted", .batch = one, .device_open = open_seen};

static struct device *open_device(void) {
    struct device *d = NULL;
    CHECK_NUMBER(device_open(&d, &COUNTED, DTYPE_BF16, NULL), 0);
    return d;
}

static void expect(const char *name, double operations, double bytes) {
    if (!CHECK(strcmp(seen.last.name, name) == 0) ||
        !CHECK_NUMBER(seen.last.operations, operations) || !CHECK_NUMBER(seen.last.bytes, bytes)) {
        printf("# %s: %g operations, %g bytes\n", seen.last.name, seen.last.operations,
               seen.last.bytes);
    }
}

static struct tensor matrix(enum dtype type, int64_t rows, int64_t width) {
    return tensor_matrix(NULL, type, NULL, rows, width);
}

/* ---- Products -------------------------------------------------------------------------------- */

static struct packed *pack(struct device *d, int64_t outputs, int64_t inputs) {
    struct packed *w = NULL;
    const struct tensor values = matrix(DTYPE_F32, outputs, inputs);
    CHECK_NUMBER(d->ops->pack(d, &w, &values, NULL, NULL), 0);
    return w;
}

/* 5 rows of 7 numbers become 5 of 3, then 5 of 7. */
static void products_are_counted(void) {
    struct device *d = open_device();
    struct packed *w1 = pack(d, 3, 7), *w2 = pack(d, 7, 3);
    const struct tensor x = matrix(DTYPE_BF16, 5, 7), y = matrix(DTYPE_F32, 5, 3);
    const struct tensor z = matrix(DTYPE_F32, 5, 7);
    d->ops->linear(d, &y, &x, w1, ACTIVATION_NONE, NULL, NULL);
    expect("linear", 2 * 5 * 7 * 3, 5 * 7 * 2 + 7 * 3 * 2 + 5 * 3 * 4);
    d->ops->linear(d, &y, &x, w1, ACTIVATION_NONE, &y, NULL);
    expect("linear", 2 * 5 * 7 * 3, 5 * 7 * 2 + 7 * 3 * 2 + 2 * (5 * 3 * 4));
    d->ops->linear_backward(d, &z, &y, w1, true, NULL);
    expect("linear_backward", 2 * 5 * 3 * 7, 2 * (5 * 7 * 4) + 7 * 3 * 2 + 5 * 3 * 4);
    d->ops->mlp(d, &z, &x, w1, ACTIVATION_GELU, w2, &z, NULL);
    expect("mlp", 2 * (2 * 5 * 7 * 3), 5 * 7 * 2 + 2 * (7 * 3 * 2) + 2 * (5 * 7 * 4));
    const struct tensor labels = tensor_vector(NULL, DTYPE_I32, NULL, 5);
    const struct tensor loss = tensor_vector(NULL, DTYPE_F32, NULL, 1);
    d->ops->classify_packed(d, &loss, &z, &x, w1, &labels, 1, NULL);
    expect("classify_packed", 2 * (2 * 5 * 7 * 3),
           2 * (4 + 5 * 7 * 4) + 5 * 7 * 2 + 7 * 3 * 2 + 5 * 4);
    d->ops->packed_close(w1);
    d->ops->packed_close(w2);
    dry_close(d);
}

static void batches_and_convolutions_are_products(void) {
    struct device *d = open_device();
    struct packed *w = pack(d, 11, 3 * 3 * 2);
    const struct tensor a = tensor_of(NULL, DTYPE_BF16, NULL, TENSOR_SHAPE(2, 3, 5, 7));
    const struct tensor b = tensor_of(NULL, DTYPE_BF16, NULL, TENSOR_SHAPE(1, 1, 7, 4));
    const struct tensor out = tensor_of(NULL, DTYPE_F32, NULL, TENSOR_SHAPE(2, 3, 5, 4));
    d->ops->matmul(d, &out, &a, &b, NULL, false, NULL);
    expect("matmul", 6 * (2 * 5 * 7 * 4), 6 * 5 * 7 * 2 + 7 * 4 * 2 + 6 * 5 * 4 * 4);
    /* two pictures of 6 x 8 with two channels, 3 x 4 places of 11 each */
    const struct convolution_options o = {
        .height = 6, .width = 8, .channels = 2, .size = 3, .stride_y = 2, .stride_x = 2, .pad = 1};
    const struct tensor x = tensor_of(NULL, DTYPE_F32, NULL, TENSOR_SHAPE(2, 6, 8, 2));
    const struct tensor y = tensor_of(NULL, DTYPE_F32, NULL, TENSOR_SHAPE(2, 3, 4, 11));
    d->ops->convolve(d, &y, &x, &o, w, NULL);
    expect("convolve", 2 * (2 * 3 * 4) * (3 * 3 * 2) * 11,
           2 * 6 * 8 * 2 * 4 + 11 * 18 * 2 + 2 * 3 * 4 * 11 * 4);
    d->ops->packed_close(w);
    dry_close(d);
}

/* ---- Attention ------------------------------------------------------------------------------- */

enum { HEADS = 3, KV_HEADS = 1, DIM = 8 };

static struct tensor heads(int64_t batch, int64_t tokens, int64_t count) {
    return tensor_of(NULL, DTYPE_BF16, NULL, TENSOR_SHAPE(batch, tokens, count, DIM));
}

/* `pairs` of a query and a key that it sees, of each head. */
static double attended(double pairs) {
    return pairs * HEADS * (2 * 2 * DIM);
}

static void attention_counts_what_is_seen(void) {
    struct device *d = open_device();
    struct tensor q = heads(2, 5, HEADS), k = heads(2, 9, KV_HEADS), out = q;
    const double bytes = 2 * (2 * 5 * HEADS * DIM * 2 + 2 * 9 * KV_HEADS * DIM * 2);
    struct attention_options o = {.scale = 0};
    d->ops->attention(d, &out, NULL, &q, &k, &k, &o, NULL);
    expect("attention", attended(2 * 5 * 9), bytes);
    o.causal = true;
    o.start = 4; /* 5, 6, 7, 8 and 9 keys */
    d->ops->attention(d, &out, NULL, &q, &k, &k, &o, NULL);
    expect("attention", attended(2 * 35), bytes);
    o.span = 6;
    d->ops->attention(d, &out, NULL, &q, &k, &k, &o, NULL);
    expect("attention", attended(2 * (5 + 6 * 4)), bytes);
    /* sequences of 4 and 6 tokens */
    int32_t offsets[] = {0, 4, 10};
    const struct tensor at = tensor_vector(offsets, DTYPE_I32, NULL, 3);
    const struct attention_options two = {.causal = true, .offsets = &at};
    q = out = heads(1, 10, HEADS);
    k = heads(1, 10, HEADS);
    d->ops->attention(d, &out, NULL, &q, &k, &k, &two, NULL);
    expect("attention", attended(10 + 21), 4 * (10 * HEADS * DIM * 2));
    d->ops->attention_backward(d, &q, &k, &k, NULL, NULL, &q, &k, &k, &out, NULL, &out, &two, NULL);
    expect("attention_backward", attended(2.5 * (10 + 21)), 11 * (10 * HEADS * DIM * 2));
    dry_close(d);
}

/* A grid of 5 x 7 in windows of 4: two by two of them, in which 35 tokens see 16 each; what fills
 * the windows up sees nothing. Each token meets 4 + 4 rows of tables. */
static void windows_see_their_padding(void) {
    struct device *d = open_device();
    const struct tensor table = matrix(DTYPE_F32, 7, DIM);
    const struct tensor pad = matrix(DTYPE_F32, 1, 3 * HEADS * DIM);
    const struct tensor q = heads(2, 35, HEADS);
    const struct attention_options o = {.window = 4,
                                        .grid_height = 5,
                                        .grid_width = 7,
                                        .height = 4,
                                        .width = 4,
                                        .rel_h = &table,
                                        .rel_w = &table,
                                        .pad = &pad};
    d->ops->attention(d, &q, NULL, &q, &q, &q, &o, NULL);
    expect("attention", attended(2 * 35 * 16) + 2.0 * 35 * HEADS * (4 + 4) * 2 * DIM,
           4 * (2 * 35 * HEADS * DIM * 2) + 2 * (7 * DIM * 4) + 3 * HEADS * DIM * 4);
    CHECK_NUMBER(seen.last.sizes[0], 2 * 2 * 2);
    CHECK_NUMBER(seen.last.sizes[1], HEADS);
    CHECK_NUMBER(seen.last.sizes[2], 16);
    CHECK_NUMBER(seen.last.sizes[3], 16);
    dry_close(d);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static void rows_are_bytes(void) {
    struct device *d = open_device();
    const struct tensor x = matrix(DTYPE_F32, 5, 7), y = matrix(DTYPE_BF16, 5, 7);
    const struct tensor row = tensor_vector(NULL, DTYPE_F32, NULL, 7);
    d->ops->layer_norm(d, &y, &x, &row, &row, 0, NULL);
    expect("layer_norm", 0, 5 * 7 * (4 + 2) + 2 * 7 * 4);
    d->ops->gelu_backward(d, &x, &y, &y, NULL);
    expect("gelu_backward", 0, 5 * 7 * (4 + 4 + 2 + 2));
    const struct adamw_step step = {.rate = 0};
    d->ops->adamw(d, &x, &x, &x, &x, &step, NULL);
    expect("adamw", 0, 5 * 7 * 4 * (2 + 2 + 2 + 1));
    d->ops->upload(d, &x, &x, NULL);
    CHECK_NUMBER(seen.last.family, DRY_CROSSING);
    dry_close(d);
}

/* ---- An encoder ------------------------------------------------------------------------------ */

static const struct encoder_config CONFIG = {.name = "small",
                                             .patch = 16,
                                             .grid = 8,
                                             .dim = 32,
                                             .depth = 2,
                                             .heads = 2,
                                             .mlp = 64,
                                             .window = 3,
                                             .global = {[1] = true},
                                             .neck = 24,
                                             .net_2 = 40,
                                             .net_3 = 48,
                                             .clip_dim = 48,
                                             .clip_depth = 2,
                                             .clip_heads = 3,
                                             .clip_mlp = 96,
                                             .clip_grid = 2,
                                             .token_dim = 56};

/* Of a grey page of 128 x 128: 8 x 8 patches, 4 tokens. */
static double operations_by_hand(void) {
    const double patches = 64, tokens = 4, dim = 32;
    double products = patches * 256 * dim; /* pixels */
    products += 2 * (patches * dim * (3 * dim + dim + 2 * 64));
    double attention = 2 * patches * 9 * dim + patches * (3 + 3) * dim; /* windows */
    attention += 2 * patches * patches * dim + patches * (8 + 8) * dim; /* the whole page */
    products += patches * (dim * 24 + 9 * 24 * 24) + 16 * 9 * 24 * 40 + 4 * 9 * 40 * 48;
    products += 2 * ((tokens + 1) * 48 * (3 * 48 + 48 + 2 * 96));
    attention += 2 * (2 * (tokens + 1) * (tokens + 1) * 48);
    products += tokens * (2 * 48) * 56;
    return 2 * (products + attention);
}

static void an_encoder_is_what_its_sizes_say(void) {
    struct encoder *encoder = NULL;
    struct encoder_session *session = NULL;
    struct error e;
    char path[] = "/tmp/dry-count-XXXXXX";
    close(mkstemp(path));
    CHECK_NUMBER(model_init(path, &CONFIG, 1, DTYPE_BF16, &e), 0);
    CHECK_NUMBER(encoder_open(&encoder, path, NULL, &COUNTED, DTYPE_BF16, &e), 0);
    CHECK_NUMBER(encoder_session_open(&session, encoder, &e), 0);
    for (int64_t batch = 1; batch <= 3; batch += 2) {
        const struct tensor pixels =
            tensor_of(NULL, DTYPE_U8, NULL, TENSOR_SHAPE(batch, 128, 128, 1));
        const struct tensor tokens =
            tensor_of(NULL, DTYPE_F32, NULL, TENSOR_SHAPE(1, batch, 4, 56));
        memset(&seen, 0, sizeof seen);
        CHECK_NUMBER(encoder_run(session, &tokens, &pixels, 1, &e), 0);
        CHECK_NUMBER(seen.operations, (double)batch * operations_by_hand());
        CHECK_NUMBER(seen.products, 4 + 2 * 3 + 2 * 3 + 2); /* of all pages together */
        CHECK_NUMBER(seen.attentions, 2 + 2);
    }
    encoder_session_close(session);
    encoder_close(encoder);
    unlink(path);
}

int main(void) {
    RUN(products_are_counted);
    RUN(batches_and_convolutions_are_products);
    RUN(attention_counts_what_is_seen);
    RUN(windows_see_their_padding);
    RUN(rows_are_bytes);
    RUN(an_encoder_is_what_its_sizes_say);
    return test_finish();
}
