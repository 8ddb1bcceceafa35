/* generate.c - see generate.h. */
#include "train/generate/generate.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/clock.h"
#include "store/random.h"
#include "train/decoder/session.h"
#include "train/generate/output.h"

const char *const GENERATE_END_NAMES[] = {"end", "stop", "length", "guard"};

/* A place of the session, and the request that is in it. */
struct sequence {
    size_t request;
    bool running;
    int32_t *ids;  /* prompt and drawn tokens; after the end what the cache has of them stays */
    int64_t count; /* of them */
    int64_t given; /* of these the first, whose inputs were given: the prompt, or none */
    float *inputs; /* (positions, width) theirs; NULL: no request is embedded */
    const int32_t *positions; /* (given), or NULL */
    int64_t written, limit;   /* drawn tokens, and most of them */
    uint64_t random;
    struct output output;
};

struct generation {
    const struct generate_model *m;
    const struct generate_options *o;
    const struct generate_request *requests;
    size_t request_count, next;
    generate_sink *sink;
    void *context;
    struct generate_counts *counts;
    struct decoder_session *session;
    struct sampler *sampler;
    struct sequence *sequences; /* (places) */
    struct decoder_turn *turns; /* (places) */
    float *logits;              /* (places, vocabulary) */
    float *inputs;              /* (positions, width) of the request that begins */
    const int32_t *embedded;    /* whose inputs these are: its ids */
    int64_t places, positions;
};

static int64_t context_of(const struct generate_model *m, const struct generate_options *o) {
    return o->context > 0 ? o->context : m->config->context;
}

/* How many tokens may be drawn for it. */
static int64_t limit_of(const struct generation *g, const struct generate_request *r) {
    const int64_t room = context_of(g->m, g->o) - r->count;
    return g->o->max_tokens > 0 && g->o->max_tokens < room ? g->o->max_tokens : room;
}

static int check_requests(struct generation *g, struct error *e) {
    const int64_t context = context_of(g->m, g->o);
    for (size_t i = 0; i < g->request_count; i++) {
        const struct generate_request *r = &g->requests[i];
        if (r->count < 1 || r->count >= context) {
            return error_set(e, ERR_USAGE,
                             "prompt %zu has %" PRId64 " tokens; it may have 1 to %" PRId64, i + 1,
                             r->count, context - 1);
        }
        if (r->embedded && g->o->embed == NULL) {
            return error_set(e, ERR_USAGE, "prompt %zu has no inputs", i + 1);
        }
        const int64_t needed = r->count + limit_of(g, r);
        g->positions = needed > g->positions ? needed : g->positions;
    }
    return 0;
}

/* Output has no special tokens, so a stop text that is one would never come. */
static int check_stops(const struct generation *g, struct error *e) {
    for (const char *const *stop = g->o->stops; stop != NULL && *stop != NULL; stop++) {
        for (int32_t id = 0; id < tokenizer_size(g->m->tokenizer); id++) {
            size_t size;
            const unsigned char *bytes = tokenizer_bytes(g->m->tokenizer, id, &size);
            if (bytes != NULL && tokenizer_is_special(g->m->tokenizer, id) &&
                size == strlen(*stop) && memcmp(bytes, *stop, size) == 0) {
                return error_set(e, ERR_USAGE,
                                 "the stop text %s is a special token, which texts do not have",
                                 *stop);
            }
        }
    }
    return 0;
}

/* One more than there are places: of the request that begins. */
static int open_inputs(struct generation *g, struct error *e) {
    const size_t width = (size_t)g->m->config->width, positions = (size_t)g->positions;
    size_t i = 0;
    while (i < g->request_count && !g->requests[i].embedded) {
        i++;
    }
    if (i == g->request_count) {
        return 0;
    }
    for (int64_t k = 0; k <= g->places; k++) {
        float **inputs = k < g->places ? &g->sequences[k].inputs : &g->inputs;
        const bool fits = positions <= SIZE_MAX / sizeof **inputs / width;
        *inputs = fits ? calloc(positions * width, sizeof **inputs) : NULL;
        if (*inputs == NULL) {
            return error_memory(e, NULL);
        }
    }
    return 0;
}

static int open_places(struct generation *g, struct error *e) {
    const size_t places = (size_t)g->places, vocabulary = (size_t)g->m->config->vocabulary;
    g->sequences = calloc(places, sizeof *g->sequences);
    g->turns = calloc(places, sizeof *g->turns);
    const bool fits = places <= SIZE_MAX / sizeof *g->logits / vocabulary;
    g->logits = fits ? calloc(places * vocabulary, sizeof *g->logits) : NULL;
    if (g->sequences == NULL || g->turns == NULL || g->logits == NULL) {
        return error_memory(e, NULL);
    }
    for (size_t i = 0; i < places; i++) {
        g->sequences[i].ids = calloc((size_t)g->positions, sizeof *g->sequences->ids);
        if (g->sequences[i].ids == NULL) {
            return error_memory(e, NULL);
        }
    }
    int rc = open_inputs(g, e);
    rc = rc < 0 ? rc : sampler_open(&g->sampler, g->m->config->vocabulary, e);
    return rc < 0 ? rc
                  : decoder_session_open(&g->session, g->m->device, g->m->config, &g->m->parts,
                                         g->places, g->positions, e);
}

static void close_places(struct generation *g) {
    for (int64_t i = 0; i < g->places && g->sequences != NULL; i++) {
        free(g->sequences[i].ids);
        free(g->sequences[i].inputs);
        output_close(&g->sequences[i].output);
    }
    free(g->sequences);
    free(g->turns);
    free(g->logits);
    free(g->inputs);
    sampler_close(g->sampler);
    decoder_session_close(g->session);
}

/* ---- Requests into places ------------------------------------------------------------------ */

/* Whether token `i` is the same to the decoder in a place and in `r`, which begins. */
static bool is_same(const struct generation *g, const struct sequence *s,
                    const struct generate_request *r, int64_t i) {
    const int64_t width = g->m->config->width;
    if (s->ids[i] != r->ids[i] || (i < s->given) != r->embedded) {
        return false;
    }
    if (!r->embedded) {
        return true;
    }
    const int64_t there = s->positions != NULL ? s->positions[i] : i;
    const int64_t here = r->positions != NULL ? r->positions[i] : i;
    return there == here && memcmp(s->inputs + i * width, g->inputs + i * width,
                                   (size_t)width * sizeof *g->inputs) == 0;
}

/* How many tokens of `r` the cache of a place begins with; the last one must be read again, for its
 * logits. */
static int64_t common(const struct generation *g, int64_t place, const struct generate_request *r) {
    int64_t most = decoder_length(g->session, place), same = 0;
    most = most < r->count - 1 ? most : r->count - 1;
    while (same < most && is_same(g, &g->sequences[place], r, same)) {
        same++;
    }
    return same;
}

static void keep_inputs(struct generation *g, struct sequence *s,
                        const struct generate_request *r) {
    s->given = r->embedded ? r->count : 0;
    s->positions = r->positions;
    if (r->embedded) {
        memcpy(s->inputs, g->inputs, (size_t)(r->count * g->m->config->width) * sizeof *g->inputs);
    }
}

static int begin(struct generation *g, struct error *e) {
    const struct generate_request *r = &g->requests[g->next];
    int64_t best = -1, kept = -1;
    if (r->embedded && r->ids != g->embedded) {
        int rc = g->o->embed(g->o->embed_context, g->next, g->inputs, e);
        if (rc < 0) {
            return rc;
        }
        g->embedded = r->ids;
    }
    for (int64_t i = 0; i < g->places; i++) {
        const int64_t same = g->sequences[i].running ? -1 : common(g, i, r);
        if (same > kept) {
            best = i;
            kept = same;
        }
    }
    struct sequence *s = &g->sequences[best];
    decoder_shorten(g->session, best, kept);
    memcpy(s->ids, r->ids, (size_t)r->count * sizeof *s->ids);
    keep_inputs(g, s, r);
    output_close(&s->output);
    output_init(&s->output, g->o->stops);
    s->request = g->next++;
    s->running = true;
    s->count = r->count;
    s->written = 0;
    s->limit = limit_of(g, r);
    s->random = random_stream(g->o->seed, r->stream);
    return 0;
}

/* ---- Tokens -------------------------------------------------------------------------------- */

static bool is_end(const struct decoder_config *c, int32_t id) {
    for (int i = 0; i < DECODER_ENDS && c->ends[i] >= 0; i++) {
        if (c->ends[i] == id) {
            return true;
        }
    }
    return false;
}

static int tell(struct generation *g, struct sequence *s, enum generate_end end, struct error *e) {
    const struct generate_text text = {.request = s->request,
                                       .text = bytes_text(&s->output.text),
                                       .size = s->output.text.size,
                                       .tokens = s->written,
                                       .ended = !s->running,
                                       .end = end};
    return g->sink(g->context, &text, e);
}

static int finish(struct generation *g, struct sequence *s, enum generate_end end,
                  struct error *e) {
    int rc = end == GENERATE_STOP_TEXT ? 0 : output_end(&s->output, e);
    s->running = false;
    return rc < 0 ? rc : tell(g, s, end, e);
}

/* Draws the next token of a sequence. */
static int draw(struct generation *g, struct sequence *s, float *logits, struct error *e) {
    int32_t id;
    int rc =
        sampler_next(g->sampler, &g->o->sampling, logits, s->ids, s->count, &s->random, &id, e);
    if (rc == ERR_LIMIT) { /* others go on */
        return finish(g, s, GENERATE_GUARD, e);
    }
    if (rc < 0) {
        return rc;
    }
    g->counts->written++;
    s->ids[s->count++] = id;
    s->written++;
    if (is_end(g->m->config, id)) {
        return finish(g, s, GENERATE_END_TOKEN, e);
    }
    const size_t before = s->output.text.size;
    bool stopped = false;
    size_t size = 0;
    const unsigned char *bytes = tokenizer_bytes(g->m->tokenizer, id, &size);
    if (bytes != NULL && !tokenizer_is_special(g->m->tokenizer, id)) {
        rc = output_add(&s->output, bytes, size, &stopped, e);
    }
    if (rc < 0 || stopped) {
        return rc < 0 ? rc : finish(g, s, GENERATE_STOP_TEXT, e);
    }
    if (s->written == s->limit) {
        return finish(g, s, GENERATE_LENGTH, e);
    }
    return s->output.text.size > before ? tell(g, s, GENERATE_LENGTH, e) : 0;
}

/* From token `seen` on: the rest of a prompt, or what was drawn last. */
static struct decoder_turn turn_of(const struct generation *g, const struct sequence *s,
                                   int64_t place, int64_t seen) {
    struct decoder_turn turn = {.sequence = place, .count = s->count - seen};
    if (seen < s->given) {
        turn.inputs = s->inputs + seen * g->m->config->width;
        turn.positions = s->positions != NULL ? s->positions + seen : NULL;
    } else {
        turn.ids = s->ids + seen;
    }
    return turn;
}

/* The tokens that the decoder has not seen, of all sequences that run. */
static int64_t make_turns(struct generation *g, bool *reads) {
    int64_t count = 0;
    *reads = false;
    for (int64_t i = 0; i < g->places; i++) {
        const struct sequence *s = &g->sequences[i];
        if (s->running) {
            const int64_t seen = decoder_length(g->session, i);
            g->turns[count++] = turn_of(g, s, i, seen);
            *reads = *reads || s->written == 0;
            g->counts->read += s->written == 0 ? s->count - seen : 0;
        }
    }
    return count;
}

static int step(struct generation *g, struct error *e) {
    bool reads;
    const int64_t count = make_turns(g, &reads);
    const double start = clock_seconds();
    const int64_t written = g->counts->written;
    int rc = decoder_extend(g->session, g->turns, count, false, g->logits, e);
    for (int64_t i = 0; i < count && rc == 0; i++) {
        struct sequence *s = &g->sequences[g->turns[i].sequence];
        rc = draw(g, s, g->logits + i * g->m->config->vocabulary, e);
    }
    g->counts->written_alone += reads ? 0 : g->counts->written - written;
    *(reads ? &g->counts->read_seconds : &g->counts->write_seconds) += clock_seconds() - start;
    return rc;
}

static int64_t running(const struct generation *g) {
    int64_t count = 0;
    for (int64_t i = 0; i < g->places; i++) {
        count += g->sequences[i].running;
    }
    return count;
}

int generate_run(const struct generate_model *m, const struct generate_options *o,
                 const struct generate_request *requests, size_t count, generate_sink *sink,
                 void *context, const volatile sig_atomic_t *cancel, struct generate_counts *counts,
                 struct error *e) {
    struct generation g = {.m = m,
                           .o = o,
                           .requests = requests,
                           .request_count = count,
                           .sink = sink,
                           .context = context,
                           .counts = counts};
    *counts = (struct generate_counts){0};
    g.places = o->together < (int64_t)count ? o->together : (int64_t)count;
    int rc = check_requests(&g, e);
    rc = rc < 0 ? rc : check_stops(&g, e);
    if (rc < 0 || count == 0) {
        return rc;
    }
    counts->together = g.places;
    counts->positions = g.positions;
    rc = open_places(&g, e);
    while (rc == 0 && (g.next < count || running(&g) > 0)) {
        while (rc == 0 && g.next < count && running(&g) < g.places) {
            rc = begin(&g, e);
        }
        if (rc < 0) {
            break;
        }
        rc = cancel != NULL && *cancel ? error_set(e, ERR_CANCELLED, "stopped by a signal")
                                       : step(&g, e);
    }
    close_places(&g);
    return rc;
}
