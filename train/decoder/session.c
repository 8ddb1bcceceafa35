/* session.c - see session.h. */
#include "train/decoder/session.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "train/decoder/cache.h"

/* Tokens that go through the network at once: enough that products are bound by arithmetic, and
 * that the memory of activations and logits does not grow with a prompt. */
enum { AT_ONCE = 512 };

struct decoder_session {
    struct device *device;
    const struct decoder_config *config;
    struct decoder_parts parts;
    struct decoder_cache cache;
    struct tape *tape;
    struct tensor frequency;
};

int decoder_session_open(struct decoder_session **out, struct device *device,
                         const struct decoder_config *c, const struct decoder_parts *parts,
                         int64_t sequences, int64_t positions, struct error *e) {
    /* Nothing is kept for a backward pass, so that rounding would only lose. */
    static const struct tape_options TAPE = {.storage = DTYPE_F32};
    *out = NULL;
    if (sequences < 1 || positions < 1 || positions > INT32_MAX / sequences) {
        return error_set(e, ERR_LIMIT, "%" PRId64 " sequences of %" PRId64 " tokens", sequences,
                         positions);
    }
    struct decoder_session *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_memory(e, NULL);
    }
    *s = (struct decoder_session){.device = device, .config = c, .parts = *parts};
    int rc = decoder_cache_open(&s->cache, device, c, sequences, positions, e);
    rc = rc == 0 ? tape_open(&s->tape, device, &TAPE, e) : rc;
    rc = rc == 0 ? decoder_frequency_table(&s->frequency, device, c, e) : rc;
    if (rc < 0) {
        decoder_session_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

void decoder_session_close(struct decoder_session *s) {
    if (s == NULL) {
        return;
    }
    tape_close(s->tape);
    s->device->ops->release(s->device, &s->frequency);
    decoder_cache_close(&s->cache);
    free(s);
}

/* ---- What goes through at once --------------------------------------------------------------- */

/* A stretch of the tokens of all turns, one turn after the other. */
struct stretch {
    int64_t tokens, sequences, rows;
    int32_t *ids, *positions, *offsets; /* (tokens), (tokens), (sequences + 1) */
    int32_t *wanted;                    /* (rows): tokens whose logits are asked for */
};

/* From token `done` of turn `turn` on. The memory is the tape's. */
static struct stretch next_stretch(struct decoder_session *s, const struct decoder_turn *turns,
                                   int64_t count, int64_t turn, int64_t done, bool all) {
    struct stretch p = {.ids = tape_host(s->tape, AT_ONCE, sizeof *p.ids),
                        .positions = tape_host(s->tape, AT_ONCE, sizeof *p.positions),
                        .offsets = tape_host(s->tape, AT_ONCE + 1, sizeof *p.offsets),
                        .wanted = tape_host(s->tape, AT_ONCE, sizeof *p.wanted)};
    if (p.wanted == NULL || p.offsets == NULL || p.positions == NULL || p.ids == NULL) {
        return p;
    }
    for (; turn < count && p.tokens < AT_ONCE; turn++, done = 0) {
        const struct decoder_turn *one = &turns[turn];
        s->cache.places[p.sequences] = one->sequence;
        int64_t length = s->cache.lengths[one->sequence];
        for (; done < one->count && p.tokens < AT_ONCE; done++) {
            if (all || done == one->count - 1) {
                p.wanted[p.rows++] = (int32_t)p.tokens;
            }
            p.positions[p.tokens] = (int32_t)length++;
            p.ids[p.tokens++] = one->ids[done];
        }
        p.offsets[++p.sequences] = (int32_t)p.tokens;
    }
    return p;
}

/* The logits of what is wanted, to `logits`. */
static void run(struct decoder_session *s, const struct stretch *p, float *logits) {
    struct tape *t = s->tape;
    const struct tensor ids = tape_upload_numbers(t, p->ids, p->tokens);
    const struct tensor positions = tape_upload_numbers(t, p->positions, p->tokens);
    const struct tensor offsets = tensor_vector(p->offsets, DTYPE_I32, NULL, p->sequences + 1);
    const struct decoder_input in = {
        .x = ids.data != NULL ? s->parts.embed(s->parts.context, t, &ids) : NULL,
        .positions = &positions,
        .offsets = &offsets,
        .cache = &s->cache};
    struct node *x = decoder_network(s->config, &s->parts, t, &s->frequency, &in);
    if (p->rows == 0 || x == NULL) {
        return;
    }
    if (p->rows < p->tokens) {
        const struct tensor wanted = tape_upload_numbers(t, p->wanted, p->rows);
        x = tape_gather(t, x, &wanted);
    }
    struct node *y = x != NULL ? s->parts.logits(s->parts.context, t, x) : NULL;
    if (y != NULL) {
        struct error e;
        const struct tensor host =
            tensor_matrix(logits, DTYPE_F32, NULL, p->rows, s->config->vocabulary);
        const struct tensor from = tensor_as_matrix(&y->value);
        tape_fail(t, s->device->ops->download(s->device, &host, &from, &e), &e);
    }
}

/* ---- Turns ----------------------------------------------------------------------------------- */

/* Whether a turn before goes on the same sequence. */
static bool repeats(const struct decoder_turn *turns, int64_t turn) {
    int64_t i = 0;
    while (i < turn && turns[i].sequence != turns[turn].sequence) {
        i++;
    }
    return i < turn;
}

static int check(const struct decoder_session *s, const struct decoder_turn *turns, int64_t count,
                 struct error *e) {
    for (int64_t i = 0; i < count; i++) {
        const struct decoder_turn *one = &turns[i];
        if (one->sequence < 0 || one->sequence >= s->cache.sequences || one->count < 1 ||
            repeats(turns, i)) {
            return error_set(e, ERR_USAGE,
                             "turn %" PRId64 " has no token, or no sequence of its own", i);
        }
        if (one->count > s->cache.positions - s->cache.lengths[one->sequence]) {
            return error_set(e, ERR_LIMIT, "a sequence would be longer than %" PRId64 " tokens",
                             s->cache.positions);
        }
        for (int64_t k = 0; k < one->count; k++) {
            if (one->ids[k] < 0 || one->ids[k] >= s->config->vocabulary) {
                return error_set(e, ERR_USAGE, "token %d: the model has %" PRId64, one->ids[k],
                                 s->config->vocabulary);
            }
        }
    }
    return 0;
}

/* Moves on by `tokens` that have gone through, from token *done of turn *turn on. */
static void advance(struct decoder_session *s, const struct decoder_turn *turns, int64_t tokens,
                    int64_t *turn, int64_t *done) {
    while (tokens > 0) {
        const int64_t left = turns[*turn].count - *done, some = tokens < left ? tokens : left;
        s->cache.lengths[turns[*turn].sequence] += some;
        tokens -= some;
        *done += some;
        if (some == left) {
            ++*turn;
            *done = 0;
        }
    }
}

int decoder_extend(struct decoder_session *s, const struct decoder_turn *turns, int64_t count,
                   bool all, float *logits, struct error *e) {
    int rc = check(s, turns, count, e);
    int64_t turn = 0, done = 0;
    while (turn < count && rc == 0) {
        tape_begin(s->tape);
        const struct stretch p = next_stretch(s, turns, count, turn, done, all);
        if (tape_status(s->tape, NULL) == 0) {
            run(s, &p, logits);
        }
        rc = tape_status(s->tape, e);
        if (rc == 0) {
            advance(s, turns, p.tokens, &turn, &done);
            logits += p.rows * s->config->vocabulary;
        }
    }
    for (int64_t i = 0; rc < 0 && i < turn + (done > 0); i++) { /* as if nothing had been */
        s->cache.lengths[turns[i].sequence] -= i < turn ? turns[i].count : done;
    }
    return rc;
}

int64_t decoder_length(const struct decoder_session *s, int64_t sequence) {
    return s->cache.lengths[sequence];
}

void decoder_shorten(struct decoder_session *s, int64_t sequence, int64_t length) {
    if (length < s->cache.lengths[sequence]) {
        s->cache.lengths[sequence] = length;
    }
}
