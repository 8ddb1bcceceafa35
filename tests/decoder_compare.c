/* decoder_compare.c - a model beside what transformers computed with it:
 *
 *     decoder_compare MODEL GOLDEN [FORMAT [PROMPTS [TOKENS]]]
 *
 * GOLDEN is a file of golden/smollm2/make.py. All prompts run together on all cores, in F32, or in
 * BF16 where FORMAT is bf16. Prints how far the logits are apart, and of how many prompts the
 * greedy text is the same; fails where an id differs. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/clock.h"
#include "train/decoder/decoder.h"
#include "train/decoder/session.h"

#define LOGIT_LIMIT 1e-3

enum { STRIDE = 191, POSITIONS = 2048, MOST_PROMPTS = 64 };

struct comparison {
    struct decoder_folder folder;
    struct device *device;
    struct decoder *decoder;
    struct decoder_session *session;
    json_t *golden;
    bool exact; /* F32: must be equal */
    int64_t prompts, tokens, vocabulary;
    struct token_list ids[MOST_PROMPTS];
    float *logits;
    bool equal[MOST_PROMPTS];
};

static int open_all(struct comparison *c, const char *model, const char *format, struct error *e) {
    const struct backend *cpu;
    int number = 0;
    while (DECODER_FORMAT_NAMES[number] != NULL &&
           strcmp(DECODER_FORMAT_NAMES[number], format) != 0) {
        number++;
    }
    if (DECODER_FORMAT_NAMES[number] == NULL) {
        return error_set(e, ERR_USAGE, "no format is called %s", format);
    }
    c->exact = number == DECODER_F32;
    const enum dtype compute = number == DECODER_BF16 ? DTYPE_BF16 : DTYPE_F32;
    int rc = decoder_folder_open(&c->folder, model, e);
    rc = rc == 0 ? backend_open(&cpu, "cpu", e) : rc;
    rc = rc == 0 ? device_open_team(&c->device, cpu, compute, 0, e) : rc;
    rc = rc == 0 ? decoder_open(&c->decoder, &c->folder, (enum decoder_format)number, c->device, e)
                 : rc;
    if (rc < 0) {
        return rc;
    }
    const struct decoder_parts parts = decoder_parts(c->decoder);
    c->vocabulary = c->folder.config.vocabulary;
    c->logits = calloc((size_t)(c->prompts * c->vocabulary), sizeof *c->logits);
    if (c->logits == NULL) {
        return error_memory(e, NULL);
    }
    return decoder_session_open(&c->session, c->device, &c->folder.config, &parts, c->prompts,
                                POSITIONS, e);
}

static void close_all(struct comparison *c) {
    for (int64_t i = 0; i < c->prompts; i++) {
        token_list_close(&c->ids[i]);
    }
    decoder_session_close(c->session);
    decoder_close(c->decoder);
    device_close(c->device);
    decoder_folder_close(&c->folder);
    json_decref(c->golden);
    free(c->logits);
}

static const json_t *golden(const struct comparison *c, int64_t prompt, const char *key) {
    return json_object_get(json_array_get(c->golden, (size_t)prompt), key);
}

static int64_t length_of(const struct comparison *c, int64_t prompt) {
    const int64_t length = (int64_t)json_array_size(golden(c, prompt, "greedy"));
    return length < c->tokens ? length : c->tokens;
}

static int32_t greedy(const struct comparison *c, int64_t prompt, int64_t token) {
    return (int32_t)json_integer_value(json_array_get(golden(c, prompt, "greedy"), (size_t)token));
}

/* Ids of the prompts, which must be those of the golden file. */
static int read_ids(struct comparison *c, struct error *e) {
    struct tokenizer_state *state;
    int rc = tokenizer_state_open(&state, c->folder.tokenizer, e);
    for (int64_t i = 0; i < c->prompts && rc == 0; i++) {
        const char *text = json_string_value(golden(c, i, "prompt"));
        const json_t *wanted = golden(c, i, "ids");
        rc = tokenizer_encode(state, text, strlen(text), TOKENIZER_ADDED, &c->ids[i], e);
        bool same = rc == 0 && c->ids[i].count == json_array_size(wanted);
        for (size_t k = 0; k < c->ids[i].count && same; k++) {
            same = c->ids[i].ids[k] == json_integer_value(json_array_get(wanted, k));
        }
        if (rc == 0 && !same) {
            rc = error_set(e, ERR_FORMAT, "the ids of prompt %d are others", (int)i);
        }
    }
    tokenizer_state_close(state);
    return rc;
}

static double worst_logit(const struct comparison *c) {
    double worst = 0;
    for (int64_t i = 0; i < c->prompts; i++) {
        const json_t *wanted = golden(c, i, "logits");
        for (size_t k = 0; k < json_array_size(wanted); k++) {
            const double x = (double)c->logits[i * c->vocabulary + (int64_t)k * STRIDE];
            worst = fmax(worst, fabs(x - json_number_value(json_array_get(wanted, k))));
        }
    }
    return worst;
}

static int32_t largest(const float *logits, int64_t count) {
    int32_t best = 0;
    for (int32_t i = 1; i < count; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    return best;
}

/* The golden tokens go in, so that one that differs changes none after it; the most likely ones are
 * compared. */
static int follow(struct comparison *c, struct error *e) {
    struct decoder_turn turns[MOST_PROMPTS];
    int32_t next[MOST_PROMPTS];
    int rc = 0;
    for (int64_t t = 0; t < c->tokens && rc == 0; t++) {
        int64_t running = 0, row = 0;
        for (int64_t i = 0; i < c->prompts; i++) {
            if (t >= length_of(c, i)) {
                continue;
            }
            next[i] = greedy(c, i, t);
            c->equal[i] &= largest(c->logits + row++ * c->vocabulary, c->vocabulary) == next[i];
            if (t + 1 < length_of(c, i)) {
                turns[running++] =
                    (struct decoder_turn){.sequence = i, .ids = &next[i], .count = 1};
            }
        }
        rc = running > 0 ? decoder_extend(c->session, turns, running, false, c->logits, e) : 0;
    }
    return rc;
}

static int compare(struct comparison *c, struct error *e) {
    struct decoder_turn turns[MOST_PROMPTS];
    int64_t same = 0, tokens = 0;
    int rc = read_ids(c, e);
    for (int64_t i = 0; i < c->prompts && rc == 0; i++) {
        turns[i] = (struct decoder_turn){
            .sequence = i, .ids = c->ids[i].ids, .count = (int64_t)c->ids[i].count};
        c->equal[i] = true;
        tokens += (int64_t)c->ids[i].count;
    }
    const double began = clock_seconds();
    rc = rc == 0 ? decoder_extend(c->session, turns, c->prompts, false, c->logits, e) : rc;
    const double prefilled = clock_seconds();
    const double worst = rc == 0 ? worst_logit(c) : 0;
    rc = rc == 0 ? follow(c, e) : rc;
    for (int64_t i = 0; i < c->prompts; i++) {
        same += c->equal[i];
    }
    if (rc == 0) {
        printf("logits %.6f\ngreedy %d of %d\n", worst, (int)same, (int)c->prompts);
        printf("prompts: %d tokens in %.2f s; then %.2f s\n", (int)tokens, prefilled - began,
               clock_seconds() - prefilled);
        rc = c->exact && !(worst < LOGIT_LIMIT && same == c->prompts)
                 ? error_set(e, ERR_FORMAT, "what comes out is not what transformers says")
                 : 0;
    }
    return rc;
}

int main(int argc, char **argv) {
    static struct comparison c;
    struct error e = {0};
    if (argc < 3) {
        fprintf(stderr, "usage: decoder_compare MODEL GOLDEN [FORMAT [PROMPTS [TOKENS]]]\n");
        return 2;
    }
    c.golden = json_load_file(argv[2], 0, NULL);
    const int64_t there = (int64_t)json_array_size(c.golden);
    c.prompts = argc > 4 ? strtol(argv[4], NULL, 10) : there;
    c.prompts = c.prompts < there ? c.prompts : there;
    c.tokens = argc > 5 ? strtol(argv[5], NULL, 10) : 64;
    int rc = c.prompts > 0 && c.prompts <= MOST_PROMPTS
                 ? 0
                 : error_set(&e, ERR_FORMAT, "%s: no prompts", argv[2]);
    rc = rc == 0 ? open_all(&c, argv[1], argc > 3 ? argv[3] : "f32", &e) : rc;
    rc = rc == 0 ? compare(&c, &e) : rc;
    if (rc < 0) {
        fprintf(stderr, "decoder_compare: %s\n", e.text);
    }
    close_all(&c);
    return rc < 0 ? 1 : 0;
}
