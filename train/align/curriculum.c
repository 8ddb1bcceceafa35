/* curriculum.c - see curriculum.h. */
#include "train/align/curriculum.h"

#include <math.h>

#include "store/json.h"
#include "store/random.h"

/* Reading is nearly copying with eight soft tokens for about nine text tokens, and what is learned
 * of it helps with four; so on. */
static const struct lesson LESSONS[] = {
    {8, 4, 1, 2}, {8, 4, 2, 8}, {4, 2, 2, 8}, {4, 1, 2, 16}, {4, 1, 1, 64}};
enum { COUNT = sizeof LESSONS / sizeof *LESSONS };

/* ---- Lessons --------------------------------------------------------------------------------- */

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Within what is asked for; one that would be the same again is left out. */
static void add(struct curriculum *c, const struct lesson *wanted) {
    const struct align_options *o = c->options;
    const struct lesson own = {.from = larger(wanted->from, o->expand),
                               .to = larger(wanted->to, o->expand),
                               .least = smaller(wanted->least, o->span),
                               .most = smaller(wanted->most, o->span)};
    const struct lesson *last = c->count > 0 ? &c->lessons[c->count - 1] : NULL;
    const bool same = last != NULL && last->from == own.from && last->to == own.to &&
                      last->least == own.least && last->most == own.most;
    if (!same && c->count < CURRICULUM_LESSONS) {
        c->lessons[c->count++] = own;
    }
}

void curriculum_open(struct curriculum *c, const struct align_options *o) {
    *c = (struct curriculum){.options = o};
    int64_t span = 1;
    for (int i = 0; i < COUNT; i++) {
        struct lesson one = LESSONS[i];
        if (!bridge_reads(o->kind)) {
            one.from = one.to = o->expand;
        }
        add(c, &one);
        span = one.most;
    }
    for (span *= 2; span <= o->span; span *= 2) {
        add(c, &(struct lesson){o->expand, o->expand, 1, span});
    }
}

bool curriculum_step(struct curriculum *c, int64_t step, double loss, int64_t targets) {
    enum { LEAST = 20 /* steps of a lesson */ };
    static const double KEEP = 0.9;
    const struct align_options *o = c->options;
    if (targets == 0 || c->at == c->count || !isfinite(loss)) {
        return false;
    }
    c->loss = KEEP * c->loss + loss;
    c->weight = KEEP * c->weight + (double)targets;
    const double share = o->lessons * (double)o->trainer.schedule.steps / c->count;
    const int64_t steps = step - c->since;
    const bool learned = c->loss < o->limit * c->weight && steps >= LEAST;
    if (!learned && (double)steps < share) {
        return false;
    }
    c->at++;
    c->since = step;
    c->loss = c->weight = 0;
    return true;
}

/* A row of a lesson: half of them with the fewest soft tokens. */
static struct span_lesson row_of(const struct lesson *l, uint64_t *random) {
    int64_t kinds = 0;
    for (int64_t expand = l->from; expand > l->to; expand /= 2) {
        kinds++;
    }
    const bool fewest = kinds == 0 || random_unit(random) < 0.5;
    return (struct span_lesson){.expand = fewest ? l->to : l->from >> random_below(random, kinds),
                                .least = l->least,
                                .most = l->most};
}

struct span_lesson curriculum_draw(const struct curriculum *c, uint64_t *random, bool *current) {
    *current = false;
    if (c->at == c->count) {
        /* spans of all lengths, with as many soft tokens as any lesson had */
        struct lesson all = c->lessons[c->count - 1];
        all.from = c->lessons[0].from;
        all.least = 1;
        struct span_lesson row = row_of(&all, random);
        row.continuing = c->options->continuing;
        row.halved = c->options->halved;
        return row;
    }
    /* what was learned is not to be forgotten */
    const bool earlier = random_unit(random) < 0.25;
    const int at = earlier ? (int)random_below(random, c->at + 1) : c->at;
    *current = at == c->at;
    return row_of(&c->lessons[at], random);
}

int curriculum_measured(const struct curriculum *c, struct span_lesson out[CURRICULUM_MEASURED]) {
    enum { FOUR = 4 };
    const struct lesson *end = &c->lessons[c->count - 1];
    const struct span_lesson last = {.expand = end->to, .least = 1, .most = end->most};
    int count = 0;
    out[count++] = last;
    if (bridge_reads(c->options->kind) && last.expand < FOUR) {
        out[count] = last;
        out[count++].expand = FOUR;
    }
    out[count] = last;
    out[count++].continuing = 1;
    return count;
}

/* ---- In checkpoints -------------------------------------------------------------------------- */

json_t *curriculum_state(const struct curriculum *c) {
    return json_pack("{s:i, s:I, s:f, s:f}", "lesson", c->at, "since", (json_int_t)c->since, "loss",
                     c->loss, "weight", c->weight);
}

int curriculum_restore(struct curriculum *c, const json_t *state, struct error *e) {
    const json_t *at = json_object_get(state, "lesson");
    const json_int_t lesson = json_integer_value(at);
    if (!json_is_integer(at) || lesson < 0 || lesson > c->count) {
        return error_set(e, ERR_FORMAT, "the checkpoint says nothing of lessons");
    }
    c->at = (int)lesson;
    c->since = json_integer_value(json_object_get(state, "since"));
    c->loss = json_number_value(json_object_get(state, "loss"));
    c->weight = json_number_value(json_object_get(state, "weight"));
    return 0;
}
