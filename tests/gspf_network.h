/* gspf_network.h - for tests: the golden small model on rows of random tokens, with all of its
 * matrices trained or with what train/gspf/ puts beside them. A file that includes this defines
 * _DEFAULT_SOURCE. */
#ifndef OCC_TESTS_GSPF_NETWORK_H
#define OCC_TESTS_GSPF_NETWORK_H

#include "store/random.h"
#include "tests/model_folder.h"
#include "tests/tape_device.h"
#include "train/gspf/gspf_state.h"

/* More tokens than the end of a block takes at a time. */
enum { TOKENS = 280, SEQUENCES = 2, VOCABULARY = 300, MOST = 4096 /* numbers of a matrix */ };

struct network {
    struct tape *tape;
    struct decoder_folder folder;
    struct decoder *base;
    struct tensor frequency;
    /* What outlives the backward pass. */
    int32_t offsets[SEQUENCES + 1], ids[TOKENS], labels[TOKENS], places[TOKENS];
    struct tensor positions, sequences;
};

static inline void must(int rc, const struct error *e) {
    if (!CHECK_NUMBER(rc, 0)) {
        printf("# %s\n", e->text);
        exit(1);
    }
}

static inline void network_open(struct network *n, const char *model,
                                const struct tape_options *options) {
    struct error e = {0};
    *n = (struct network){.tape = open_tape(NULL, DTYPE_F32, options), .offsets = {0, 115, TOKENS}};
    struct device *d = tape_device(n->tape);
    must(decoder_folder_open(&n->folder, model, &e), &e);
    must(decoder_open(&n->base, &n->folder, DECODER_F32, d, &e), &e);
    must(decoder_frequency_table(&n->frequency, d, &n->folder.config, &e), &e);
    for (int i = 0; i < TOKENS; i++) {
        n->places[i] = i < n->offsets[1] ? i : i - n->offsets[1];
    }
}

static inline void network_close(struct network *n) {
    struct device *d = tape_device(n->tape);
    d->ops->release(d, &n->frequency);
    decoder_close(n->base);
    decoder_folder_close(&n->folder);
    close_tape(n->tape);
}

/* The tokens of a row. */
static inline void network_row(struct network *n, uint64_t number) {
    uint64_t state = random_stream(99, number);
    for (int i = 0; i < TOKENS; i++) {
        n->ids[i] = (int32_t)random_below(&state, VOCABULARY);
        n->labels[i] = i % 5 == 3 ? -1 : (int32_t)random_below(&state, VOCABULARY);
    }
}

static inline struct node *network_states(struct network *n, const struct decoder_parts *parts) {
    tape_begin(n->tape);
    const struct tensor ids = tape_upload_numbers(n->tape, n->ids, TOKENS);
    n->positions = tape_upload_numbers(n->tape, n->places, TOKENS);
    n->sequences = tensor_vector(n->offsets, DTYPE_I32, NULL, SEQUENCES + 1);
    const struct decoder_input in = {.x = parts->embed(parts->context, n->tape, &ids),
                                     .positions = &n->positions,
                                     .offsets = &n->sequences};
    return decoder_network(&n->folder.config, parts, n->tape, &n->frequency, &in);
}

/* Forward and back from the mean of the losses, which it gives. */
static inline double network_learn(struct network *n, struct decoder_parts parts) {
    float loss = 0, targets = 0;
    struct error e = {0};
    struct node *x = network_states(n, &parts);
    const struct tensor host = tensor_vector(&loss, DTYPE_F32, NULL, 1);
    const struct tensor sum = tape_upload(n->tape, &host);
    const struct tensor labels = tape_upload_numbers(n->tape, n->labels, TOKENS);
    for (int i = 0; i < TOKENS; i++) {
        targets += (float)(n->labels[i] >= 0);
    }
    parts.classify(parts.context, n->tape, x, &labels, 1 / targets, &sum);
    must(tape_backward(n->tape, &e), &e);
    download_floats(n->tape, &loss, &sum);
    return (double)(loss / targets);
}

static inline void network_logits(struct network *n, struct decoder_parts parts,
                                  float out[TOKENS * VOCABULARY]) {
    struct error e = {0};
    struct node *y = parts.logits(parts.context, n->tape, network_states(n, &parts));
    must(tape_status(n->tape, &e), &e);
    download_floats(n->tape, out, &y->value);
}

/* ---- Trained parameters ---------------------------------------------------------------------- */

struct trained {
    struct parameters *parameters;
    struct gradients gradients;
    struct tape_source source;
};

static inline int take_trained(void *context, const struct tensor_spec *spec, struct error *e) {
    struct tensor_spec trained = *spec;
    trained.trainable = true;
    return parameters_take(context, &trained, e);
}

/* After they are listed. */
static inline void trained_open(struct trained *t, struct network *n) {
    struct error e = {0};
    must(parameters_allocate(t->parameters, &e), &e);
    must(gradients_open(&t->gradients, t->parameters, tape_device(n->tape), &e), &e);
    t->source = gradients_source(&t->gradients);
}

static inline void trained_close(struct trained *t) {
    gradients_close(&t->gradients);
    parameters_close(t->parameters);
}

/* All of the model's matrices, with their values. */
static inline void trained_whole(struct trained *t, struct network *n) {
    struct error e = {0};
    static float values[300 * 32];
    must(parameters_open(&t->parameters, tape_device(n->tape), &e), &e);
    must(decoder_config_list(&n->folder.config, take_trained, t->parameters, &e), &e);
    trained_open(t, n);
    for (size_t i = 0; i < parameters_count(t->parameters); i++) {
        const char *name = parameters_get(t->parameters, i)->spec.name;
        must(decoder_folder_floats(&n->folder, name, values, &e), &e);
        must(parameters_set(t->parameters, i, values, &e), &e);
    }
}

static inline void trained_rows(struct trained *t, struct network *n, const struct mask *m) {
    struct error e = {0};
    must(parameters_open(&t->parameters, tape_device(n->tape), &e), &e);
    must(gspf_list(m, &n->folder.config, parameters_take, t->parameters, &e), &e);
    trained_open(t, n);
}

/* The gradient of a parameter, which is then cleared. */
static inline void trained_gradient(struct trained *t, struct network *n, const char *name,
                                    float *out) {
    struct device *d = tape_device(n->tape);
    const struct parameter *p = parameters_find(t->parameters, name);
    if (!CHECK(p != NULL)) {
        exit(1);
    }
    const struct tensor *gradient = &t->gradients.list[parameters_index(t->parameters, p)];
    download_floats(n->tape, out, gradient);
    CHECK_NUMBER(d->ops->fill(d, gradient, 0, NULL), 0);
}

#endif
