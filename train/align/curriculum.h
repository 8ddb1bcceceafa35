/* curriculum.h - which spans are read when: lessons, from short spans with many soft tokens for
 * each visual one to long spans with few. The next one begins when the running loss of the lesson
 * is low enough, or when its share of the steps is over. Private to train/align/. */
#ifndef OCC_TRAIN_ALIGN_CURRICULUM_H
#define OCC_TRAIN_ALIGN_CURRICULUM_H

#include <jansson.h>

#include "train/align/align.h"
#include "train/align/spans.h"

/* Spans of `least` to `most` visual tokens, `from` to `to` soft tokens for each, the fewest in half
 * of the rows: all are powers of two. */
struct lesson {
    int64_t from, to, least, most;
};
enum { CURRICULUM_LESSONS = 24 };
struct curriculum {
    const struct align_options *options;
    struct lesson lessons[CURRICULUM_LESSONS];
    int count;

    int at;        /* the lesson; `count`: all are over */
    int64_t since; /* steps before it */
    double loss;   /* running mean, nats a token */
    double weight; /* of what it is the mean of: 0 at first */
};
void curriculum_open(struct curriculum *c, const struct align_options *o);
/* After `step` steps: the loss of the last one's rows of the lesson, over `targets` of them, which
 * may be 0. True: another lesson begins. */
bool curriculum_step(struct curriculum *c, int64_t step, double loss, int64_t targets);
/* What a row is like, by `random`; *current: it belongs to the lesson at hand. */
struct span_lesson curriculum_draw(const struct curriculum *c, uint64_t *random, bool *current);
/* The kinds of rows that are measured: *count of them. */
enum { CURRICULUM_MEASURED = 4 };
int curriculum_measured(const struct curriculum *c, struct span_lesson out[CURRICULUM_MEASURED]);
json_t *curriculum_state(const struct curriculum *c); /* a new reference; NULL: no memory */
int curriculum_restore(struct curriculum *c, const json_t *state, struct error *e);

#endif
