/* Attention and rotary positions on the tape: values and gradients against a plain version in
 * double precision (tape_operation.h). */
#include "tests/tape_operation.h"

enum { HEADS = 2, HEAD = 5, ROWS = 12, GRID_HEIGHT = 3, GRID_WIDTH = 2 };

/* Of a projection (ROWS, (HEADS + 2 kv_heads) HEAD). */
struct setting {
    int64_t kv_heads;
    bool causal, positions;
    int64_t span;          /* 0: none */
    const int32_t *starts; /* of the sequences, then ROWS */
    int64_t sequences;     /* of one length where there are no offsets */
    bool offsets;
};

static const int32_t EQUAL[] = {0, 6, ROWS}, UNEQUAL[] = {0, 1, 5, ROWS};
static const struct setting FULL = {.kv_heads = 2, .starts = EQUAL, .sequences = 2};
static const struct setting BIASED = {
    .kv_heads = 2, .positions = true, .starts = EQUAL, .sequences = 2};
static const struct setting CAUSAL = {
    .kv_heads = 2, .causal = true, .starts = EQUAL, .sequences = 2};
static const struct setting GROUPED = {
    .kv_heads = 1, .causal = true, .starts = EQUAL, .sequences = 2};
static const struct setting SPAN = {
    .kv_heads = 2, .causal = true, .span = 3, .starts = EQUAL, .sequences = 2};
static const struct setting PACKED = {
    .kv_heads = 1, .causal = true, .starts = UNEQUAL, .sequences = 3, .offsets = true};

/* What positions add to the logit of a key. */
static double bias_of(const struct matrix *x, const double *q, int64_t query, int64_t key) {
    const int64_t dy = query / GRID_WIDTH - key / GRID_WIDTH + GRID_HEIGHT - 1;
    const int64_t dx = query % GRID_WIDTH - key % GRID_WIDTH + GRID_WIDTH - 1;
    double sum = 0;
    for (int64_t c = 0; c < HEAD; c++) {
        sum += q[c] * (x[1].values[dy * HEAD + c] + x[2].values[dx * HEAD + c]);
    }
    return sum;
}

static bool sees(const struct setting *s, int64_t query, int64_t key) {
    return !s->causal || (key <= query && (s->span == 0 || key > query - s->span));
}

/* One row of one head: query `at` of a sequence of `length` from row `first` on. */
static void attend(double *out, const struct setting *s, const struct matrix *x, int64_t first,
                   int64_t length, int64_t at, int64_t head) {
    const int64_t width = x[0].width, kv = head * s->kv_heads / HEADS;
    const double *q = x[0].values + (first + at) * width + head * HEAD;
    double p[ROWS] = {0}, sum = 0;
    for (int64_t key = 0; key < length; key++) {
        const double *k = x[0].values + (first + key) * width + (HEADS + kv) * HEAD;
        double score = s->positions ? bias_of(x, q, at, key) : 0;
        for (int64_t c = 0; c < HEAD; c++) {
            score += q[c] * k[c] / sqrt(HEAD);
        }
        p[key] = sees(s, at, key) ? exp(score) : 0;
        sum += p[key];
    }
    for (int64_t key = 0; key < length; key++) {
        const double *v = x[0].values + (first + key) * width + (HEADS + s->kv_heads + kv) * HEAD;
        for (int64_t c = 0; c < HEAD; c++) {
            out[c] += p[key] / sum * v[c];
        }
    }
}

static void plain(struct matrix *y, const struct matrix *x, const struct setting *s) {
    *y = (struct matrix){.rows = ROWS, .width = HEADS * HEAD};
    for (int64_t i = 0; i < s->sequences; i++) {
        const int64_t first = s->starts[i], length = s->starts[i + 1] - first;
        for (int64_t at = 0; at < length * HEADS; at++) {
            double *out = y->values + (first + at / HEADS) * y->width + at % HEADS * HEAD;
            attend(out, s, x, first, length, at / HEADS, at % HEADS);
        }
    }
}

static struct node *taped(struct tape *t, struct node **x, const struct setting *s) {
    const struct tensor offsets =
        tensor_vector((void *)(uintptr_t)s->starts, DTYPE_I32, NULL, s->sequences + 1);
    struct tensor *copy = tape_host(t, 1, sizeof *copy);
    *copy = offsets;
    const struct tape_attention o = {.causal = s->causal,
                                     .span = s->span,
                                     .offsets = s->offsets ? copy : NULL,
                                     .height = s->positions ? GRID_HEIGHT : 0,
                                     .width = s->positions ? GRID_WIDTH : 0,
                                     .rel_h = s->positions ? x[1] : NULL,
                                     .rel_w = s->positions ? x[2] : NULL};
    const int64_t batch = s->offsets ? 1 : s->sequences, kv = s->kv_heads;
    return tape_attention(t, tape_heads(t, x[0], batch, 0, HEADS, HEAD),
                          tape_heads(t, x[0], batch, HEADS * HEAD, kv, HEAD),
                          tape_heads(t, x[0], batch, (HEADS + kv) * HEAD, kv, HEAD), &o);
}

#define SETTING(name, setting)                                                                     \
    static void name##_plain(struct matrix *y, const struct matrix *x) {                           \
        plain(y, x, &setting);                                                                     \
    }                                                                                              \
    static struct node *name##_taped(struct tape *t, struct node **x) {                            \
        return taped(t, x, &setting);                                                              \
    }
SETTING(full, FULL)
SETTING(biased, BIASED)
SETTING(causal, CAUSAL)
SETTING(grouped, GROUPED)
SETTING(span, SPAN)
SETTING(packed, PACKED)

/* ---- Rotary positions ------------------------------------------------------------------------ */

enum { DIMS = 4 /* of HEAD; the last one stays */ };
static const int32_t POSITIONS[ROWS] = {0, 1, 2, 3, 4, 5, 9, 8, 7, 6, 5, 100};
static const float FREQUENCIES[DIMS / 2] = {1, 0.125f};

static void rotary_plain(struct matrix *y, const struct matrix *x) {
    *y = x[0];
    for (int64_t i = 0; i < ROWS * HEADS; i++) {
        const double *from = x[0].values + i * HEAD;
        double *to = y->values + i * HEAD;
        for (int64_t k = 0; k < DIMS / 2; k++) {
            double angle = (double)POSITIONS[i / HEADS] * (double)FREQUENCIES[k];
            to[k] = from[k] * cos(angle) - from[k + DIMS / 2] * sin(angle);
            to[k + DIMS / 2] = from[k + DIMS / 2] * cos(angle) + from[k] * sin(angle);
        }
    }
}

static struct node *rotary_taped(struct tape *t, struct node **x) {
    const struct tensor numbers =
        tensor_vector((void *)(uintptr_t)POSITIONS, DTYPE_I32, NULL, ROWS);
    const struct tensor factors =
        tensor_vector((void *)(uintptr_t)FREQUENCIES, DTYPE_F32, NULL, DIMS / 2);
    struct tensor *frequency = tape_host(t, 1, sizeof *frequency);
    *frequency = tape_upload(t, &factors);
    const struct tensor positions = tape_upload(t, &numbers);
    const struct rotary_options o = {.dims = DIMS, .frequency = frequency};
    return tape_rotary(t, tape_heads(t, x[0], 2, 0, HEADS, HEAD), &positions, &o);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static const struct operation OPERATIONS[] = {
    {"attention", 1, {{ROWS, 6 * HEAD}}, full_plain, full_taped},
    {"attention with positions",
     3,
     {{ROWS, 6 * HEAD}, {2 * GRID_HEIGHT - 1, HEAD}, {2 * GRID_WIDTH - 1, HEAD}},
     biased_plain,
     biased_taped},
    {"causal attention", 1, {{ROWS, 6 * HEAD}}, causal_plain, causal_taped},
    {"attention with grouped queries", 1, {{ROWS, 4 * HEAD}}, grouped_plain, grouped_taped},
    {"attention of a span", 1, {{ROWS, 6 * HEAD}}, span_plain, span_taped},
    {"attention of packed sequences", 1, {{ROWS, 4 * HEAD}}, packed_plain, packed_taped},
    {"rotary", 1, {{ROWS, HEADS *HEAD}}, rotary_plain, rotary_taped},
};
enum { COUNT = sizeof OPERATIONS / sizeof *OPERATIONS };

static void attention_in_bf16(void) {
    bf16_gradients_point_the_same_way(OPERATIONS, COUNT);
}

static void attention_has_its_gradients(void) {
    gradients_are_central_differences(OPERATIONS, COUNT);
}

static void attention_computes_what_is_needed(void) {
    only_needed_gradients_are_computed(OPERATIONS, COUNT);
}

int main(void) {
    RUN(attention_in_bf16); /* first: oneDNN is limited to the first level named */
    RUN(attention_has_its_gradients);
    RUN(attention_computes_what_is_needed);
    return test_finish();
}
