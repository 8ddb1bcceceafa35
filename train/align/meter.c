/* meter.c - see meter.h. */
#include "train/align/meter.h"

#include <inttypes.h>
#include <stdlib.h>

#include "store/random.h"

struct meter {
    struct meter_options options;
    struct material *material;
    struct span_rows *rows;
    struct score score;
    struct tape *tape;
    enum corpus_set set;
};

static int check_encoder(const struct meter *m, struct error *e) {
    const struct store_encoder *stored = material_encoder(m->material);
    const uint64_t wanted = m->options.network.bridge->encoder;
    return stored->fingerprint == wanted
               ? 0
               : error_set(e, ERR_FORMAT,
                           "the adapter reads tokens of the encoder %016" PRIx64
                           "; these were made by %s (%016" PRIx64 ")",
                           wanted, stored->name, stored->fingerprint);
}

int meter_open(struct meter **out, const struct meter_options *o, struct history *const *histories,
               size_t count, struct device *device, struct error *e) {
    /* Nothing is kept for a backward pass, so that rounding would only lose. */
    static const struct tape_options TAPE = {.storage = DTYPE_F32};
    struct meter *m = calloc(1, sizeof *m);
    *out = NULL;
    if (m == NULL) {
        return error_memory(e, NULL);
    }
    m->options = *o;
    m->set = o->held_out > 0 ? CORPUS_HELD_OUT : CORPUS_TRAINING;
    int rc = material_open(&m->material, histories, count, o->held_out, e);
    rc = rc == 0 ? check_encoder(m, e) : rc;
    if (rc == 0 && material_counts(m->material, m->set).tokens == 0) {
        rc = error_set(e, ERR_FORMAT, "there is too little to hold anything out");
    }
    if (rc == 0) {
        const struct span_options spans = {
            .model = o->model, .material = m->material, .row = o->row};
        rc = span_rows_open(&m->rows, &spans, e);
    }
    rc = rc == 0 ? score_open(&m->score, device, &o->model->config, o->row, e) : rc;
    rc = rc == 0 ? tape_open(&m->tape, device, &TAPE, e) : rc;
    if (rc < 0) {
        meter_close(m);
        return rc;
    }
    *out = m;
    return 0;
}

void meter_close(struct meter *m) {
    if (m != NULL) {
        tape_close(m->tape);
        score_close(&m->score);
        span_rows_close(m->rows);
        material_close(m->material);
        free(m);
    }
}

int64_t meter_accounts(const struct meter *m, int64_t *tokens) {
    const struct material_counts counts = material_counts(m->material, m->set);
    *tokens = counts.tokens;
    return counts.accounts;
}

int meter_run(struct meter *m, const struct span_lesson *lesson, int64_t rows,
              struct score_sums *sums, struct error *e) {
    const struct meter_options *o = &m->options;
    struct span_lesson alike = *lesson;
    int rc = 0;
    alike.alike = true;
    for (int64_t i = 0; i < rows && rc == 0; i++) {
        struct context_row row;
        rc = span_row(m->rows, m->set, &alike, random_stream(o->seed, (uint64_t)i), &row, e);
        if (rc == 0) {
            rc = score_measure(&m->score, &o->network, &o->parts, m->tape, &row, sums, e);
        }
    }
    return rc;
}
