/* held_out.c - what is measured on held-out accounts: when, which weights are the best ones, when
 * to stop. */
#include <inttypes.h>
#include <math.h>

#include "store/json.h"
#include "store/log.h"
#include "train/align/task.h"

/* Before the first step too, to know what is gained, and after the last. */
int64_t align_task_held_out(void *context, int64_t step, bool last) {
    const struct align_task *k = context;
    return last || step % k->network->options->measure_steps == 0 ? k->measured_rows : 0;
}

/* A loss that is not a number is no better than any; where there are only such, the last weights
 * are shipped. */
static void look(struct align_task *k, int64_t step, double loss, struct trainer_verdict *verdict) {
    const int64_t patience = k->network->options->patience;
    k->measured++;
    verdict->better = k->best_step < 0 || loss < k->best;
    const bool best = verdict->better && isfinite(loss);
    k->worse = best ? 0 : k->worse + 1;
    if (best) {
        k->best = loss;
        k->best_step = step;
        k->best_accuracy = k->accuracy;
        k->best_continuation = k->continuation;
    }
    /* lessons that are still to come may do what those so far did not */
    verdict->stop = patience > 0 && k->worse >= patience && k->curriculum.at == k->curriculum.count;
    if (verdict->stop) {
        log_info("step %" PRId64 ": no better for %" PRId64 " measurements, so it ends", step,
                 k->worse);
    }
}

int align_task_judge(void *context, int64_t step, struct trainer_verdict *verdict,
                     struct error *e) {
    struct align_task *k = context;
    struct score_sums all = k->held_out[0];
    (void)e;
    score_sums_add(&all, &k->held_out[1]);
    k->last = score_sums_loss(&all);
    k->accuracy = score_sums_accuracy(&k->held_out[0]);
    k->continuation = score_sums_loss(&k->held_out[1]);
    k->is_news = true;
    k->held_out[0] = k->held_out[1] = (struct score_sums){.rows = 0};
    log_info("step %" PRId64 ": held-out loss %.4f a token; %.2f%% of tokens read; what follows: "
             "perplexity %.3f",
             step, k->last, 100 * k->accuracy, exp(k->continuation));
    if (step == 0) {
        k->before = k->last;
    } else {
        look(k, step, k->last, verdict);
    }
    return 0;
}

json_t *align_task_state(void *context) {
    const struct align_task *k = context;
    const struct score_sums *s = &k->learned, *l = &k->lesson;
    return json_pack("{s:o, s:o, s:f, s:o, s:I, s:I, s:o, s:{s:o, s:I, s:I}, s:{s:o, s:I}}",
                     "before", json_finite(k->before), "best", json_finite(k->best), "accuracy",
                     k->best_accuracy, "continuation", json_finite(k->best_continuation),
                     "best_step", (json_int_t)k->best_step, "worse", (json_int_t)k->worse,
                     "curriculum", curriculum_state(&k->curriculum), "learned", "loss",
                     json_finite(s->loss), "targets", (json_int_t)s->targets, "tokens",
                     (json_int_t)s->tokens, "lesson", "loss", json_finite(l->loss), "targets",
                     (json_int_t)l->targets);
}

static void restore_sums(struct score_sums *s, const json_t *from) {
    s->loss = json_get_real(from, "loss", (double)NAN);
    s->targets = json_get_integer(from, "targets", 0);
    s->tokens = json_get_integer(from, "tokens", 0);
}

int align_task_restore(void *context, const json_t *state, struct error *e) {
    struct align_task *k = context;
    if (!json_is_integer(json_object_get(state, "best_step"))) {
        return error_set(e, ERR_FORMAT, "the checkpoint says nothing of held-out accounts");
    }
    k->best = json_get_real(state, "best", (double)INFINITY);
    k->before = json_get_real(state, "before", (double)INFINITY);
    k->best_accuracy = json_get_real(state, "accuracy", 0);
    k->best_continuation = json_get_real(state, "continuation", (double)INFINITY);
    k->best_step = json_get_integer(state, "best_step", -1);
    k->worse = json_get_integer(state, "worse", 0);
    restore_sums(&k->learned, json_object_get(state, "learned"));
    restore_sums(&k->lesson, json_object_get(state, "lesson"));
    return curriculum_restore(&k->curriculum, json_object_get(state, "curriculum"), e);
}
