/* lora_test.c - adapters against PEFT (golden/lora/make.py): logits, steps of training, the folder;
 * an adapter added to its base; folders that lie. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "train/lora/lora.h"

#include <sys/stat.h>

#include "tests/model_folder.h"
#include "tests/tape_device.h"
#include "train/adapter/merge.h"
#include "train/optimizer.h"

#define GOLDEN TEST_FOLDER "/golden/lora/steps.safetensors"
#define ADAPTER TEST_FOLDER "/golden/lora/adapter"

/* Rounding is 5e-6. */
#define LOGIT_LIMIT 5e-5
/* Largest difference of a number after all steps, as a part of the learning rate: rounding is 2e-3;
 * without weight decay it is 0.1. */
#define STEP_LIMIT 1e-2

enum { STEPS = 3, TOKENS = 24, SEQUENCES = 2, VOCABULARY = 300 };

struct golden {
    struct tape *tape;
    struct safetensors *file;
    struct decoder_folder folder;
    struct decoder *base;
    struct tensor frequency;
    int32_t offsets[SEQUENCES + 1], positions[TOKENS], ids[TOKENS], labels[TOKENS];
    int targets;
};

static void must(int rc, const struct error *e) {
    if (!CHECK_NUMBER(rc, 0)) {
        printf("# %s\n", e->text);
        exit(1);
    }
}

static void read_values(const struct golden *g, const char *name, void *to, size_t bytes) {
    const struct safetensor *t = safetensors_find(g->file, name);
    if (!CHECK(t != NULL && t->bytes == bytes)) {
        printf("# %s\n", name);
        exit(1);
    }
    memcpy(to, t->data, bytes);
}

static json_t *facts_of(const struct golden *g, const char *key) {
    return json_loads(safetensors_metadata(g->file, key), 0, NULL);
}

static void open_sequences(struct golden *g) {
    json_t *offsets = facts_of(g, "offsets");
    for (size_t i = 0; i <= SEQUENCES; i++) {
        g->offsets[i] = (int32_t)json_integer_value(json_array_get(offsets, i));
    }
    json_decref(offsets);
    read_values(g, "ids", g->ids, sizeof g->ids);
    read_values(g, "labels", g->labels, sizeof g->labels);
    for (int i = 0; i < TOKENS; i++) {
        g->positions[i] = i < g->offsets[1] ? i : i - g->offsets[1];
        g->targets += g->labels[i] >= 0;
    }
}

/* `model`: the folder of the base. */
static void open_golden(struct golden *g, const char *model) {
    struct error e = {0};
    *g = (struct golden){.tape = open_tape(NULL, DTYPE_F32, NULL)};
    struct device *d = tape_device(g->tape);
    float values[64];
    must(safetensors_open(&g->file, GOLDEN, &e), &e);
    must(decoder_folder_open(&g->folder, model, &e), &e);
    must(decoder_open(&g->base, &g->folder, DECODER_F32, d, &e), &e);
    open_sequences(g);
    const int64_t pairs = g->folder.config.head_dim / 2;
    decoder_frequencies(&g->folder.config, values);
    const struct tensor host = tensor_vector(values, DTYPE_F32, NULL, pairs);
    g->frequency = tensor_vector(NULL, DTYPE_F32, NULL, pairs);
    must(d->ops->alloc(d, &g->frequency, &e), &e);
    must(d->ops->upload(d, &g->frequency, &host, &e), &e);
}

static void close_golden(struct golden *g) {
    struct device *d = tape_device(g->tape);
    d->ops->release(d, &g->frequency);
    decoder_close(g->base);
    decoder_folder_close(&g->folder);
    safetensors_close(g->file);
    close_tape(g->tape);
}

static struct tensor on_device(struct golden *g, int32_t *numbers) {
    const struct tensor host = tensor_vector(numbers, DTYPE_I32, NULL, TOKENS);
    return tape_upload(g->tape, &host);
}

/* The states of both sequences. */
static struct node *forward(struct golden *g, const struct decoder_parts *parts) {
    static struct tensor positions, offsets; /* outlive the backward pass */
    tape_begin(g->tape);
    const struct tensor ids = on_device(g, g->ids);
    positions = on_device(g, g->positions);
    offsets = tensor_vector(g->offsets, DTYPE_I32, NULL, SEQUENCES + 1);
    const struct decoder_input in = {.x = parts->embed(parts->context, g->tape, &ids),
                                     .positions = &positions,
                                     .offsets = &offsets};
    return decoder_network(&g->folder.config, parts, g->tape, &g->frequency, &in);
}

/* The largest difference of the logits after each sequence from PEFT's. */
static double logit_error(struct golden *g, struct decoder_parts parts) {
    static float got[TOKENS][VOCABULARY], wanted[SEQUENCES][VOCABULARY];
    double most = 0;
    struct node *y = parts.logits(parts.context, g->tape, forward(g, &parts));
    struct error e = {0};
    must(tape_status(g->tape, &e), &e);
    download_floats(g->tape, got[0], &y->value);
    read_values(g, "logits", wanted, sizeof wanted);
    for (int s = 0; s < SEQUENCES; s++) {
        for (int i = 0; i < VOCABULARY; i++) {
            const double x = (double)got[g->offsets[s + 1] - 1][i];
            most = fmax(most, fabs(x - (double)wanted[s][i]));
        }
    }
    return most;
}

/* ---- Numbers --------------------------------------------------------------------------------- */

static void logits_are_those_of_peft(void) {
    struct golden g;
    struct lora *adapter = NULL;
    struct error e = {0};
    open_golden(&g, SMALL_MODEL);
    must(lora_open(&adapter, ADAPTER, g.base, tape_device(g.tape), &e), &e);
    const double most = logit_error(&g, lora_frozen_parts(adapter));
    printf("# the largest difference is %.2g\n", most);
    CHECK(most <= LOGIT_LIMIT);
    CHECK(logit_error(&g, decoder_parts(g.base)) > 0.1); /* without it they are others */
    lora_close(adapter);
    close_golden(&g);
}

struct training {
    struct parameters *parameters;
    struct gradients gradients;
    struct optimizer optimizer;
    double rate;
};

static double fact(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

static void begin_training(struct golden *g, struct training *t, const struct lora_folder *f) {
    struct error e = {0};
    struct device *d = tape_device(g->tape);
    json_t *facts = facts_of(g, "optimizer");
    const struct optimizer_options o = {.decay = fact(facts, "decay"),
                                        .beta1 = fact(facts, "beta1"),
                                        .beta2 = fact(facts, "beta2"),
                                        .epsilon = fact(facts, "epsilon"),
                                        .clip = fact(facts, "clip")};
    t->rate = fact(facts, "rate");
    json_decref(facts);
    must(parameters_open(&t->parameters, d, &e), &e);
    must(lora_list(&f->options, &g->folder.config, parameters_take, t->parameters, &e), &e);
    must(parameters_allocate(t->parameters, &e), &e);
    must(optimizer_open(&t->optimizer, t->parameters, &o, NULL, 0, &e), &e);
    must(gradients_open(&t->gradients, t->parameters, d, &e), &e);
    tape_set_sink(g->tape, gradients_sink, &t->gradients);
    for (size_t i = 0; i < parameters_count(t->parameters); i++) {
        float values[4096];
        must(lora_folder_floats(f, parameters_get(t->parameters, i)->spec.name, values, &e), &e);
        must(parameters_set(t->parameters, i, values, &e), &e);
    }
}

static void step(struct golden *g, struct training *t, const struct lora_options *options, int s) {
    char name[16];
    float loss = 0, wanted;
    double norm = 0;
    struct error e = {0};
    const struct tape_source source = gradients_source(&t->gradients);
    const struct lora_source of = {
        .options = options, .base = g->base, .source = &source, .dropping = true};
    const struct decoder_parts parts = lora_parts(&of);
    struct node *x = forward(g, &parts);
    const struct tensor host = tensor_vector(&loss, DTYPE_F32, NULL, 1);
    const struct tensor sum = tape_upload(g->tape, &host), labels = on_device(g, g->labels);
    parts.classify(parts.context, g->tape, x, &labels, 1.0f / (float)g->targets, &sum);
    must(tape_backward(g->tape, &e), &e);
    download_floats(g->tape, &loss, &sum);
    snprintf(name, sizeof name, "%d.loss", s);
    read_values(g, name, &wanted, sizeof wanted);
    CHECK_NEAR((double)loss / (double)wanted, 1, 1e-5);

    const struct gradients *const lists[] = {&t->gradients};
    struct optimizer *o = &t->optimizer;
    struct device *d = tape_device(g->tape);
    optimizer_activate(o, lists, 1);
    must(optimizer_reduce(o, d, lists, 1, 0, o->piece_count, &e), &e);
    must(optimizer_norm(o, &norm, &e), &e);
    const double scale = norm > o->options.clip ? o->options.clip / norm : 1;
    must(optimizer_update(o, d, lists, 1, t->rate, scale, 0, o->piece_count, &e), &e);
    gradients_forget(&t->gradients);
    o->step++;
}

static void steps_of_training_are_those_of_peft(void) {
    struct golden g;
    struct training t = {.parameters = NULL};
    struct lora_folder f;
    struct error e = {0};
    double worst = 0;
    open_golden(&g, SMALL_MODEL);
    must(lora_folder_open(&f, ADAPTER, &g.folder.config, &e), &e);
    begin_training(&g, &t, &f);
    for (int s = 0; s < STEPS; s++) {
        step(&g, &t, &f.options, s);
    }
    for (size_t i = 0; i < parameters_count(t.parameters); i++) {
        const struct parameter *p = parameters_get(t.parameters, i);
        const int64_t count = tensor_count(&p->value);
        char name[256];
        float values[4096], wanted[4096];
        snprintf(name, sizeof name, "after.%s", p->spec.name);
        read_values(&g, name, wanted, (size_t)count * sizeof *wanted);
        must(parameters_read(t.parameters, i, values, &e), &e);
        for (int64_t k = 0; k < count; k++) {
            worst = fmax(worst, fabs((double)values[k] - (double)wanted[k]) / t.rate);
        }
    }
    printf("# the largest difference is %.2g of the learning rate\n", worst);
    CHECK(worst <= STEP_LIMIT);
    tape_set_sink(g.tape, NULL, NULL);
    gradients_close(&t.gradients);
    optimizer_close(&t.optimizer);
    parameters_close(t.parameters);
    lora_folder_close(&f);
    close_golden(&g);
}

/* ---- Folders --------------------------------------------------------------------------------- */

static int read_golden(void *context, const char *name, float *values, struct error *e) {
    return lora_folder_floats(context, name, values, e);
}

/* Of PEFT's members those that it needs to read the adapter. */
static void check_config(const char *path) {
    static const char *const SAME[] = {"peft_type",      "task_type",     "r",
                                       "lora_alpha",     "lora_dropout",  "bias",
                                       "fan_in_fan_out", "inference_mode"};
    char own[256];
    snprintf(own, sizeof own, "%s/adapter_config.json", path);
    json_t *got = json_load_file(own, 0, NULL);
    json_t *wanted = json_load_file(ADAPTER "/adapter_config.json", 0, NULL);
    for (size_t i = 0; i < sizeof SAME / sizeof *SAME; i++) {
        if (!CHECK(json_equal(json_object_get(got, SAME[i]), json_object_get(wanted, SAME[i])))) {
            printf("# %s\n", SAME[i]);
        }
    }
    CHECK_TEXT(json_string_value(json_object_get(got, "base_model_name_or_path")), "a/base");
    CHECK_NUMBER(json_array_size(json_object_get(got, "target_modules")), 7);
    json_decref(got);
    json_decref(wanted);
}

static void what_is_written_is_what_peft_writes(void) {
    struct golden g;
    struct lora_folder f;
    struct error e = {0};
    struct safetensors *got = NULL, *wanted = NULL;
    char path[64], written[96];
    folder_new(path);
    open_golden(&g, SMALL_MODEL);
    must(lora_folder_open(&f, ADAPTER, &g.folder.config, &e), &e);
    CHECK_NUMBER(f.options.rank, 4);
    CHECK_NEAR(f.options.alpha, 10, 0);
    must(lora_write(path, &f.options, &g.folder.config, "a/base", read_golden, &f, &e), &e);
    const char *keep = getenv("OCC_KEEP_ADAPTER"); /* for PEFT to read: golden/lora/make.py */
    if (keep != NULL) {
        must(lora_write(keep, &f.options, &g.folder.config, SMALL_MODEL, read_golden, &f, &e), &e);
    }
    snprintf(written, sizeof written, "%s/adapter_model.safetensors", path);
    must(safetensors_open(&got, written, &e), &e);
    must(safetensors_open(&wanted, ADAPTER "/adapter_model.safetensors", &e), &e);
    CHECK_TEXT(safetensors_metadata(got, "format"), "pt");
    CHECK_NUMBER(safetensors_count(got), safetensors_count(wanted));
    for (size_t i = 0; i < safetensors_count(got); i++) {
        const struct safetensor *x = safetensors_get(got, i);
        const struct safetensor *w = safetensors_find(wanted, x->name);
        CHECK(w != NULL && w->rank == x->rank && w->type == x->type && w->bytes == x->bytes &&
              w->shape[0] == x->shape[0] && memcmp(w->data, x->data, w->bytes) == 0);
    }
    check_config(path);
    safetensors_close(got);
    safetensors_close(wanted);
    lora_folder_close(&f);
    close_golden(&g);
    folder_end(path);
}

static void a_merged_model_needs_no_adapter(void) {
    struct decoder_folder base;
    struct golden g;
    struct error e = {0};
    char path[64];
    folder_new(path);
    must(decoder_folder_open(&base, SMALL_MODEL, &e), &e);
    must(adapter_merge(path, &base, ADAPTER, DTYPE_F32, &e), &e);
    decoder_folder_close(&base);
    open_golden(&g, path);
    CHECK(logit_error(&g, decoder_parts(g.base)) <= LOGIT_LIMIT);
    close_golden(&g);
    folder_end(path);
}

/* ---- Folders that lie ------------------------------------------------------------------------ */

/* A copy of the golden adapter, `path` in a new folder. */
static void copy_adapter(char path[64]) {
    struct bytes data;
    folder_new(path);
    if (mkdir(path, 0777) != 0) {
        exit(1);
    }
    bytes_init(&data, 1 << 20);
    CHECK_NUMBER(file_read(ADAPTER "/adapter_model.safetensors", &data, NULL), 0);
    model_file(path, "adapter_model.safetensors", data.data, data.size);
    bytes_clear(&data);
    CHECK_NUMBER(file_read(ADAPTER "/adapter_config.json", &data, NULL), 0);
    model_file(path, "adapter_config.json", data.data, data.size);
    bytes_close(&data);
}

static void expect_refusal(const char *path, int code, const char *part) {
    struct decoder_folder base;
    struct lora_folder f;
    struct error e = {0};
    must(decoder_folder_open(&base, SMALL_MODEL, &e), &e);
    if (!CHECK_NUMBER(lora_folder_open(&f, path, &base.config, &e), code) ||
        !CHECK(strstr(e.text, part) != NULL && strstr(e.text, path) != NULL)) {
        printf("# %s: %s\n", part, e.text);
    }
    decoder_folder_close(&base);
}

/* adapter_config.json with a member of another value. */
static void change_config(const char *path, const char *member, const char *value) {
    json_t *root = json_load_file(ADAPTER "/adapter_config.json", 0, NULL);
    json_object_set_new(root, member, json_loads(value, JSON_DECODE_ANY, NULL));
    char *text = json_dumps(root, 0);
    model_file(path, "adapter_config.json", text, strlen(text));
    free(text);
    json_decref(root);
}

static void what_a_config_may_not_say_is_named(void) {
    static const struct {
        const char *member, *value;
        int code;
        const char *part;
    } CASES[] = {
        {"peft_type", "\"IA3\"", ERR_UNSUPPORTED, "IA3"},
        {"peft_type", "7", ERR_UNSUPPORTED, "peft_type"},
        {"use_dora", "true", ERR_UNSUPPORTED, "use_dora"},
        {"rank_pattern", "{\"q_proj\": 8}", ERR_UNSUPPORTED, "rank_pattern"},
        {"alpha_pattern", "{\"q_proj\": 8}", ERR_UNSUPPORTED, "alpha_pattern"},
        {"modules_to_save", "[\"lm_head\"]", ERR_UNSUPPORTED, "modules_to_save"},
        {"fan_in_fan_out", "true", ERR_UNSUPPORTED, "fan_in_fan_out"},
        {"bias", "\"all\"", ERR_UNSUPPORTED, "biases"},
        {"bias", "[1]", ERR_UNSUPPORTED, "biases"},
        {"init_lora_weights", "\"pissa_niter_4\"", ERR_UNSUPPORTED, "init_lora_weights"},
        {"r", "0", ERR_FORMAT, "\"r\""},
        {"r", "-4", ERR_FORMAT, "\"r\""},
        {"r", "4.0", ERR_FORMAT, "\"r\""},
        {"r", "1000000000000", ERR_FORMAT, "\"r\""},
        {"r", "8", ERR_FORMAT, "(8, 32)"},
        {"lora_alpha", "null", ERR_FORMAT, "lora_alpha"},
        {"lora_alpha", "1e300", ERR_FORMAT, "lora_alpha"},
        {"lora_dropout", "1", ERR_FORMAT, "lora_dropout"},
        {"lora_dropout", "\"x\"", ERR_FORMAT, "lora_dropout"},
    };
    char path[64];
    copy_adapter(path);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        change_config(path, CASES[i].member, CASES[i].value);
        expect_refusal(path, CASES[i].code, CASES[i].part);
    }
    model_file(path, "adapter_config.json", "[1]", 3);
    expect_refusal(path, ERR_FORMAT, "not a JSON object");
    model_file(path, "adapter_config.json", "{\"r\"", 4);
    expect_refusal(path, ERR_FORMAT, "invalid JSON");
    folder_end(path);
}

static void rank_stabilised_adapters_have_their_own_factor(void) {
    struct decoder_folder base;
    struct lora_folder f;
    struct error e = {0};
    char path[64];
    copy_adapter(path);
    change_config(path, "use_rslora", "true");
    must(decoder_folder_open(&base, SMALL_MODEL, &e), &e);
    must(lora_folder_open(&f, path, &base.config, &e), &e);
    CHECK_NEAR(f.options.alpha / 4, 10 / sqrt(4.0), 1e-12);
    lora_folder_close(&f);
    decoder_folder_close(&base);
    folder_end(path);
}

/* The tensors with one left out, one added, or one changed. */
static void change_tensors(const char *path, size_t left_out, const char *added,
                           const struct safetensor *changed) {
    enum { MOST = 64 };
    struct safetensor list[MOST];
    struct safetensors *file = NULL;
    struct bytes out;
    static const float zeros[4096];
    size_t count = 0;
    CHECK_NUMBER(safetensors_open(&file, ADAPTER "/adapter_model.safetensors", NULL), 0);
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const struct safetensor *t = safetensors_get(file, i);
        if (i != left_out) {
            list[count++] = changed != NULL && strcmp(changed->name, t->name) == 0 ? *changed : *t;
        }
    }
    if (added != NULL) {
        list[count++] = (struct safetensor){
            .name = added, .type = DTYPE_F32, .rank = 1, .shape = {4}, .data = zeros, .bytes = 16};
    }
    bytes_init(&out, 1 << 20);
    CHECK_NUMBER(safetensors_append(&out, list, count, NULL, NULL), 0);
    model_file(path, "adapter_model.safetensors", out.data, out.size);
    bytes_close(&out);
    safetensors_close(file);
}

#define A_TENSOR "base_model.model.model.layers.1.self_attn.k_proj.lora_A.weight"

static void tensors_of_another_base_are_named(void) {
    static const float zeros[4096];
    const struct safetensor wide = {.name = A_TENSOR,
                                    .type = DTYPE_F32,
                                    .rank = 2,
                                    .shape = {4, 64},
                                    .data = zeros,
                                    .bytes = 4 * 64 * sizeof(float)};
    const struct safetensor whole = {.name = A_TENSOR,
                                     .type = DTYPE_I32,
                                     .rank = 2,
                                     .shape = {4, 32},
                                     .data = zeros,
                                     .bytes = 4 * 32 * sizeof(int32_t)};
    char path[64];
    copy_adapter(path);
    change_tensors(path, SIZE_MAX, NULL, &wide);
    expect_refusal(path, ERR_FORMAT, "k_proj.lora_A.weight is not (4, 32)");
    change_tensors(path, SIZE_MAX, NULL, &whole);
    expect_refusal(path, ERR_UNSUPPORTED, "k_proj.lora_A.weight is neither");
    change_tensors(path, 5, NULL, NULL);
    expect_refusal(path, ERR_FORMAT, "is missing");
    change_tensors(path, SIZE_MAX, "base_model.model.lm_head.weight", NULL);
    expect_refusal(path, ERR_UNSUPPORTED, "base_model.model.lm_head.weight");
    change_tensors(path, SIZE_MAX, "base_model.model.model.layers.3.self_attn.k_proj.lora_A.weight",
                   NULL);
    expect_refusal(path, ERR_UNSUPPORTED, "layers.3");
    model_file(path, "adapter_model.safetensors", "\1\0\0\0\0\0\0\0{", 9);
    expect_refusal(path, ERR_FORMAT, "adapter_model.safetensors");
    folder_end(path);
    expect_refusal("/nowhere", ERR_IO, "/nowhere/adapter_config.json");
}

int main(void) {
    RUN(logits_are_those_of_peft);
    RUN(steps_of_training_are_those_of_peft);
    RUN(what_is_written_is_what_peft_writes);
    RUN(a_merged_model_needs_no_adapter);
    RUN(what_a_config_may_not_say_is_named);
    RUN(rank_stabilised_adapters_have_their_own_factor);
    RUN(tensors_of_another_base_are_named);
    return test_finish();
}
