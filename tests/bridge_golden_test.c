/* bridge_golden_test.c - bridges of every kind, with and without experts, for tokens of every
 * bucket, against PyTorch (golden/context/make.py): soft tokens, and the gradients of all
 * parameters and of the visual tokens. */
#include <jansson.h>

#include "tests/tape_device.h"
#include "train/context/bridge.h"
#include "train/parameters.h"

#define GOLDEN TEST_FOLDER "/golden/context/bridge.safetensors"

/* Largest differences as parts of the largest number of a tensor; rounding is 1e-6 and 3e-6. */
#define VALUE_LIMIT 1e-5
#define GRADIENT_LIMIT 3e-5
/* Cosine of all gradients, products and results in BF16: 0.9998. */
#define BF16_COSINE 0.999

enum { DIM = 32, WIDTH = 12, BUCKETS = 4, PLAIN_EXPAND = 2 };
static const float SCALE = 0.7f;

struct bridge_case {
    const char *name;
    struct bridge_options options;
    int64_t expand;
};

struct golden {
    struct safetensors *file;
    struct tape *tape;
    const struct bridge_case *one;
    struct parameters *parameters;
    struct gradients gradients;
    float dx[BUCKETS][8 * DIM];
    float *out;
    int64_t rows;
};

static void must(int rc, const struct error *e) {
    if (!CHECK_NUMBER(rc, 0)) {
        printf("# %s\n", e->text);
        exit(1);
    }
}

static const struct safetensor *find(const struct golden *g, const char *a, const char *b,
                                     const char *c) {
    char name[256];
    snprintf(name, sizeof name, "%s%s%s", a, b, c);
    const struct safetensor *t = safetensors_find(g->file, name);
    if (!CHECK(t != NULL)) {
        printf("# %s\n", name);
        exit(1);
    }
    return t;
}

static struct bridge_options options_of(enum bridge_kind kind, bool experts) {
    struct bridge_options o = {.kind = kind,
                               .dim = DIM,
                               .width = WIDTH,
                               .expand = kind == BRIDGE_READING ? 4 : PLAIN_EXPAND,
                               .buckets = 3,
                               .hidden = 14,
                               .scale = 1,
                               .reading = {.channels = 2,
                                           .hidden = 10,
                                           .embedding = 3,
                                           .reach = 4,
                                           .cells = true,
                                           .trunk = 20,
                                           .nested = 2}};
    if (experts) {
        o.experts = (struct bridge_experts){.count = 4, .chosen = 2, .hidden = 6, .balance = 0.3};
    }
    CHECK_NUMBER(bridge_check(&o, NULL), 0);
    return o;
}

/* ---- A case ---------------------------------------------------------------------------------- */

static void open_case(struct golden *g, const struct bridge_case *one, enum dtype compute,
                      enum tape_recompute recompute) {
    const struct tape_options options = {
        .storage = compute, .sums = DTYPE_F32, .recompute = recompute};
    struct error e = {0};
    g->one = one;
    g->tape = open_tape(NULL, compute, &options);
    if (g->tape == NULL) {
        return;
    }
    must(parameters_open(&g->parameters, tape_device(g->tape), &e), &e);
    must(bridge_list(&one->options, true, parameters_take, g->parameters, &e), &e);
    must(parameters_allocate(g->parameters, &e), &e);
    must(gradients_open(&g->gradients, g->parameters, tape_device(g->tape), &e), &e);
    for (size_t i = 0; i < parameters_count(g->parameters); i++) {
        const char *name = parameters_get(g->parameters, i)->spec.name;
        const struct safetensor *t = find(g, BRIDGE_KIND_NAMES[one->options.kind], ".", name);
        must(parameters_set(g->parameters, i, t->data, &e), &e);
    }
}

static void close_case(struct golden *g) {
    gradients_close(&g->gradients);
    parameters_close(g->parameters);
    close_tape(g->tape);
    free(g->out);
    g->out = NULL;
}

static const bool BEGINS[BUCKETS][3] = {{true, false, true}, {true, false}, {true, true}, {true}};

static struct node *golden_tokens(struct golden *g, int k, struct tensor *gradient) {
    char bucket[8];
    snprintf(bucket, sizeof bucket, "%d", k);
    const struct safetensor *t = find(g, "x.", bucket, "");
    float zeros[8 * DIM] = {0};
    void *numbers = (void *)(uintptr_t)t->data;
    const struct tensor host = tensor_matrix(numbers, DTYPE_F32, NULL, t->shape[0], DIM);
    const struct tensor none = tensor_matrix(zeros, DTYPE_F32, NULL, t->shape[0], DIM);
    const struct tensor x = tape_upload(g->tape, &host);
    *gradient = tape_upload(g->tape, &none);
    return tape_input(g->tape, &x, gradient);
}

static void run_case(struct golden *g, struct bridge_routing *routing) {
    const struct tape_source source = gradients_source(&g->gradients);
    struct bridge_group groups[BUCKETS];
    struct tensor dx[BUCKETS];
    struct error e = {0};
    tape_begin(g->tape);
    for (int k = 0; k < BUCKETS; k++) {
        groups[k] = (struct bridge_group){k, golden_tokens(g, k, &dx[k]), BEGINS[k]};
    }
    struct node *y = bridge_network(&g->one->options, &source, g->tape, NULL, groups, BUCKETS,
                                    g->one->expand, SCALE, routing);
    must(tape_status(g->tape, &e), &e);
    const struct safetensor *seed = find(g, g->one->name, ".seed", "");
    g->rows = seed->shape[0];
    CHECK_NUMBER(tensor_rows(&y->value), g->rows);
    g->out = malloc((size_t)(g->rows * WIDTH) * sizeof *g->out);
    must(g->out != NULL ? 0 : -1, &e);
    download_floats(g->tape, g->out, &y->value);
    void *weights = (void *)(uintptr_t)seed->data;
    const struct tensor host = tensor_of(weights, DTYPE_F32, NULL, y->value.shape);
    const struct tensor from = tape_upload(g->tape, &host);
    tape_backward_from(g->tape, y, &from);
    must(tape_backward(g->tape, &e), &e);
    for (int k = 0; k < BUCKETS; k++) {
        download_floats(g->tape, g->dx[k], &dx[k]);
    }
}

/* ---- Comparisons ----------------------------------------------------------------------------- */

static void check_near(const struct golden *g, const char *what, const float *got,
                       const struct safetensor *t, double limit) {
    double most = 0, largest = 0;
    for (size_t i = 0; i < t->bytes / sizeof(float); i++) {
        float wanted;
        memcpy(&wanted, (const char *)t->data + i * sizeof wanted, sizeof wanted);
        most = fmax(most, fabs((double)got[i] - (double)wanted));
        largest = fmax(largest, fabs((double)wanted));
    }
    if (!CHECK(most <= limit * largest && largest > 0)) {
        printf("# %s, %s: %g of %g\n", g->one->name, what, most, largest);
    }
}

static float *gradient_of(const struct golden *g, size_t i) {
    const struct tensor *gradient = &g->gradients.list[i];
    float *numbers = malloc(tensor_bytes(gradient));
    if (numbers == NULL) {
        exit(1);
    }
    download_floats(g->tape, numbers, gradient);
    return numbers;
}

static void compare(struct golden *g) {
    char kind[64];
    check_near(g, "out", g->out, find(g, g->one->name, ".out", ""), VALUE_LIMIT);
    snprintf(kind, sizeof kind, "%s.gradient.", g->one->name);
    for (size_t i = 0; i < parameters_count(g->parameters); i++) {
        const char *name = parameters_get(g->parameters, i)->spec.name;
        char full[256];
        snprintf(full, sizeof full, "%s%s", kind, name);
        const struct safetensor *t = safetensors_find(g->file, full);
        if (g->gradients.list[i].data == NULL) { /* where characters are is no matter of degree */
            CHECK(t == NULL && strncmp(name, "reader.presence.", 16) == 0);
            continue;
        }
        float *got = gradient_of(g, i);
        if (t != NULL) {
            check_near(g, name, got, t, GRADIENT_LIMIT);
        } else { /* PyTorch had no use for it either: merges that are not reached */
            const int64_t count = tensor_count(&g->gradients.list[i]);
            for (int64_t k = 0; k < count; k++) {
                CHECK(got[k] == 0);
            }
        }
        free(got);
    }
    for (int k = 0; k < BUCKETS; k++) {
        char bucket[16];
        snprintf(bucket, sizeof bucket, "x.%d", k);
        check_near(g, bucket, g->dx[k], find(g, kind, bucket, ""), GRADIENT_LIMIT);
    }
}

static double cosine_of_gradients(struct golden *g) {
    char kind[64];
    double ab = 0, aa = 0, bb = 0;
    snprintf(kind, sizeof kind, "%s.gradient.", g->one->name);
    for (size_t i = 0; i < parameters_count(g->parameters); i++) {
        char full[256];
        snprintf(full, sizeof full, "%s%s", kind, parameters_get(g->parameters, i)->spec.name);
        const struct safetensor *t = safetensors_find(g->file, full);
        if (t == NULL) {
            continue;
        }
        float *got = gradient_of(g, i);
        for (size_t k = 0; k < t->bytes / sizeof(float); k++) {
            float wanted;
            memcpy(&wanted, (const char *)t->data + k * sizeof wanted, sizeof wanted);
            ab += (double)got[k] * (double)wanted;
            aa += (double)got[k] * (double)got[k];
            bb += (double)wanted * (double)wanted;
        }
        free(got);
    }
    return ab / sqrt(aa * bb);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

typedef void with_case(struct golden *g, const struct bridge_case *one);

static void each_case(with_case *test) {
    struct golden g = {.tape = NULL};
    struct error e = {0};
    must(safetensors_open(&g.file, GOLDEN, &e), &e);
    json_t *cases = json_loads(safetensors_metadata(g.file, "cases"), 0, NULL);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *one = json_array_get(cases, i);
        const char *kind = json_string_value(json_object_get(one, "kind"));
        enum bridge_kind which = BRIDGE_LINEAR;
        while (strcmp(kind, BRIDGE_KIND_NAMES[which]) != 0) {
            which++;
        }
        const struct bridge_case it = {
            json_string_value(json_object_get(one, "name")),
            options_of(which, json_is_true(json_object_get(one, "experts"))),
            json_integer_value(json_object_get(one, "expand"))};
        test(&g, &it);
    }
    CHECK(json_array_size(cases) >= 6);
    json_decref(cases);
    safetensors_close(g.file);
}

static void compare_kept(struct golden *g, const struct bridge_case *one) {
    open_case(g, one, DTYPE_F32, RECOMPUTE_NONE);
    run_case(g, NULL);
    compare(g);
    close_case(g);
}

static void compare_recomputed(struct golden *g, const struct bridge_case *one) {
    open_case(g, one, DTYPE_F32, RECOMPUTE_ALL);
    run_case(g, NULL);
    compare(g);
    close_case(g);
}

static void compare_bf16(struct golden *g, const struct bridge_case *one) {
    open_case(g, one, DTYPE_BF16, RECOMPUTE_BLOCK);
    if (g->tape == NULL) {
        return;
    }
    run_case(g, NULL);
    const double cosine = cosine_of_gradients(g);
    printf("# %s: %.5f\n", one->name, cosine);
    CHECK(cosine >= BF16_COSINE);
    close_case(g);
}

static void soft_tokens_and_gradients_are_those_of_pytorch(void) {
    each_case(compare_kept);
}

static void so_they_are_where_nothing_is_kept(void) {
    each_case(compare_recomputed);
}

static void gradients_in_bf16_point_the_same_way(void) {
    each_case(compare_bf16);
}

/* Of what the router did: sums that must hold, and what was chosen has the larger probabilities. */
static void check_routing(struct golden *g, const struct bridge_case *one) {
    double chosen[4] = {0}, probability[4] = {0}, choices = 0, whole = 0;
    struct bridge_routing routing = {.chosen = chosen, .probability = probability};
    if (one->options.experts.count == 0) {
        return;
    }
    open_case(g, one, DTYPE_F32, RECOMPUTE_NONE);
    run_case(g, &routing);
    for (int i = 0; i < 4; i++) {
        choices += chosen[i];
        whole += probability[i];
    }
    CHECK_NUMBER(routing.tokens, 8 * one->expand);
    CHECK_NUMBER(choices, 2 * 8 * one->expand);
    CHECK_NEAR(whole, routing.tokens, 1e-4);
    CHECK(routing.entropy > 0 && routing.entropy < routing.tokens * log(4));
    close_case(g);
}

static void routing_is_told(void) {
    each_case(check_routing);
}

int main(void) {
    RUN(soft_tokens_and_gradients_are_those_of_pytorch);
    RUN(so_they_are_where_nothing_is_kept);
    RUN(gradients_in_bf16_point_the_same_way);
    RUN(routing_is_told);
    return test_finish();
}
