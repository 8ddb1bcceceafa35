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
    int32_t *positions; /* (sequences, positions): of the tokens in the cache */
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
    s->positions = calloc((size_t)(sequences * positions), sizeof *s->positions);
    int rc = s->positions != NULL ? 0 : error_memory(e, NULL);
    rc = rc == 0 ? decoder_cache_open(&s->cache, device, c, sequences, positions, e) : rc;
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
    free(s->positions);
    free(s);
}

/* ---- What goes through at once --------------------------------------------------------------- */

/* A stretch of the tokens of all turns, one turn after the other. Its inputs are the embeddings of
 * `ids`, and what is given in their place. */
struct stretch {
    int64_t tokens, sequences, rows;
    int64_t texts, givens;
    int32_t *ids;       /* (texts) */
    float *given;       /* (givens, width); NULL: there is none */
    int32_t *order;     /* (tokens) number i of the ids, or AT_ONCE + i of what is given */
    int32_t *positions; /* (tokens) */
    int32_t *offsets;   /* (sequences + 1) */
    int32_t *wanted;    /* (rows): tokens whose logits are asked for */
};

static bool stretch_open(struct decoder_session *s, struct stretch *p, bool given) {
    struct tape *t = s->tape;
    const size_t width = (size_t)s->config->width;
    *p = (struct stretch){.ids = tape_host(t, AT_ONCE, sizeof *p->ids),
                          .given = given ? tape_host(t, AT_ONCE * width, sizeof *p->given) : NULL,
                          .order = tape_host(t, AT_ONCE, sizeof *p->order),
                          .positions = tape_host(t, AT_ONCE, sizeof *p->positions),
                          .offsets = tape_host(t, AT_ONCE + 1, sizeof *p->offsets),
                          .wanted = tape_host(t, AT_ONCE, sizeof *p->wanted)};
    return tape_status(t, NULL) == 0;
}

/* Token `i` of a turn, which goes to `place` of its sequence. */
static void add_token(struct decoder_session *s, struct stretch *p, const struct decoder_turn *turn,
                      int64_t i, int64_t place) {
    const int64_t width = s->config->width;
    int32_t *known = s->positions + turn->sequence * s->cache.positions;
    known[place] = turn->positions != NULL ? turn->positions[i]
                   : place > 0             ? known[place - 1] + 1
                                           : 0;
    p->positions[p->tokens] = known[place];
    if (turn->inputs != NULL) {
        memcpy(p->given + p->givens * width, turn->inputs + i * width,
               (size_t)width * sizeof *p->given);
        p->order[p->tokens++] = (int32_t)(AT_ONCE + p->givens++);
    } else {
        p->ids[p->texts] = turn->ids[i];
        p->order[p->tokens++] = (int32_t)p->texts++;
    }
}

/* From token `done` of turn `turn` on. The memory is the tape's. */
static struct stretch next_stretch(struct decoder_session *s, const struct decoder_turn *turns,
                                   int64_t count, int64_t turn, int64_t done, bool all) {
    struct stretch p;
    bool given = false;
    for (int64_t i = turn; i < count; i++) {
        given = given || turns[i].inputs != NULL;
    }
    if (!stretch_open(s, &p, given)) {
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
            add_token(s, &p, one, done, length++);
        }
        p.offsets[++p.sequences] = (int32_t)p.tokens;
    }
    return p;
}

/* (tokens, width) */
static struct node *inputs_of(struct decoder_session *s, const struct stretch *p) {
    struct tape *t = s->tape;
    struct node *texts = NULL, *given = NULL;
    if (p->texts > 0) {
        const struct tensor ids = tape_upload_numbers(t, p->ids, p->texts);
        texts = ids.data != NULL ? s->parts.embed(s->parts.context, t, &ids) : NULL;
    }
    if (p->givens > 0) {
        const struct tensor host =
            tensor_matrix(p->given, DTYPE_F32, NULL, p->givens, s->config->width);
        const struct tensor there = tape_upload(t, &host);
        given = there.data != NULL ? tape_input(t, &there, NULL) : NULL;
    }
    if (p->texts == 0 || p->givens == 0) {
        return p->texts == 0 ? given : texts;
    }
    for (int64_t i = 0; i < p->tokens; i++) { /* what is given lies behind the texts */
        p->order[i] -= p->order[i] >= AT_ONCE ? (int32_t)(AT_ONCE - p->texts) : 0;
    }
    const struct tensor order = tape_upload_numbers(t, p->order, p->tokens);
    struct node *both = tape_concat_rows(t, texts, given);
    return order.data != NULL ? tape_gather(t, both, &order) : NULL;
}

/* The logits of what is wanted, to `logits`. */
static void run(struct decoder_session *s, const struct stretch *p, float *logits) {
    struct tape *t = s->tape;
    const struct tensor positions = tape_upload_numbers(t, p->positions, p->tokens);
    const struct tensor offsets = tensor_vector(p->offsets, DTYPE_I32, NULL, p->sequences + 1);
    const struct decoder_input in = {
        .x = inputs_of(s, p), .positions = &positions, .offsets = &offsets, .cache = &s->cache};
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

static int check_tokens(const struct decoder_session *s, const struct decoder_turn *turn,
                        struct error *e) {
    for (int64_t i = 0; i < turn->count; i++) {
        if (turn->inputs == NULL && (turn->ids[i] < 0 || turn->ids[i] >= s->config->vocabulary)) {
            return error_set(e, ERR_USAGE, "token %d: the model has %" PRId64, turn->ids[i],
                             s->config->vocabulary);
        }
        if (turn->positions != NULL && turn->positions[i] < 0) {
            return error_set(e, ERR_USAGE, "position %d", turn->positions[i]);
        }
    }
    return 0;
}

static int check(const struct decoder_session *s, const struct decoder_turn *turns, int64_t count,
                 struct error *e) {
    int rc = 0;
    for (int64_t i = 0; i < count && rc == 0; i++) {
        const struct decoder_turn *one = &turns[i];
        if (one->sequence < 0 || one->sequence >= s->cache.sequences || one->count < 1 ||
            (one->ids == NULL) == (one->inputs == NULL) || repeats(turns, i)) {
            return error_set(e, ERR_USAGE,
                             "turn %" PRId64 " has no token, or no sequence of its own", i);
        }
        if (one->count > s->cache.positions - s->cache.lengths[one->sequence]) {
            return error_set(e, ERR_LIMIT, "a sequence would be longer than %" PRId64 " tokens",
                             s->cache.positions);
        }
        rc = check_tokens(s, one, e);
    }
    return rc;
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
