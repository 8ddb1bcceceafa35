/* held_out.c - what is measured on held-out rows: when, which weights are the best ones, when to
 * stop. */
#include <inttypes.h>
#include <math.h>

#include "store/json.h"
#include "store/log.h"
#include "train/tune/task.h"

/* Before the first step too, to know what is gained, and after the last. */
int64_t tune_task_held_out(void *context, int64_t step, bool last) {
    const struct tune_task *k = context;
    return last || step % k->options->measure_steps == 0 ? k->measured_rows : 0;
}

/* Which held-out row is the `index`th that is measured: from all over them, since those of an
 * account may stand together. */
int64_t tune_measured_row(const struct tune_task *k, int64_t index) {
    return index * k->held_rows / k->measured_rows;
}

static double mean_of(const struct tune_sums *s) {
    return s->targets > 0 ? s->loss / (double)s->targets : 0;
}

/* A loss that is not a number is no better than any; where there are only such, the last weights
 * are shipped. */
int tune_task_judge(void *context, int64_t step, struct trainer_verdict *verdict, struct error *e) {
    struct tune_task *k = context;
    const double loss = mean_of(&k->held_out);
    k->last = loss;
    k->is_news = true;
    k->measuring += k->held_out.seconds / (double)k->threads;
    k->held_out = (struct tune_sums){.rows = 0};
    log_info("step %" PRId64 ": held-out loss %.4f a token, perplexity %.3f", step, loss,
             exp(loss));
    if (step == 0) {
        k->before = loss;
        return 0;
    }
    k->measured++;
    verdict->better = k->best_step < 0 || loss < k->best;
    const bool best = verdict->better && isfinite(loss);
    k->worse = best ? 0 : k->worse + 1;
    if (best) {
        k->best = loss;
        k->best_step = step;
    }
    if (verdict->better && k->bridge.experts.count > 0) {
        json_decref(k->routing);
        k->routing = tune_routing_report(k, step);
        if (k->routing == NULL) {
            return error_memory(e, "the report of experts");
        }
    }
    verdict->stop = k->options->patience > 0 && k->worse >= k->options->patience;
    if (verdict->stop) {
        log_info("step %" PRId64 ": no better for %" PRId64 " measurements, so it ends", step,
                 k->worse);
    }
    return 0;
}

json_t *tune_task_state(void *context) {
    const struct tune_task *k = context;
    const struct tune_sums *s =
        &k->learned; /* in no line yet, where a signal ended a measurement */
    json_t *state =
        json_pack("{s:o, s:o, s:I, s:I, s:{s:o, s:I, s:I}}", "before", json_finite(k->before),
                  "best", json_finite(k->best), "best_step", (json_int_t)k->best_step, "worse",
                  (json_int_t)k->worse, "learned", "loss", json_finite(s->loss), "targets",
                  (json_int_t)s->targets, "tokens", (json_int_t)s->tokens);
    int failed = state == NULL || tune_routing_save(k, state) != 0;
    if (!failed && k->freeze != NULL) {
        failed = json_object_set_new(state, "freeze", gspf_freeze_state(k->freeze)) != 0;
    }
    if (failed) {
        json_decref(state);
        return NULL;
    }
    return state;
}

int tune_task_restore(void *context, const json_t *state, struct error *e) {
    struct tune_task *k = context;
    if (!json_is_integer(json_object_get(state, "best_step"))) {
        return error_set(e, ERR_FORMAT, "the checkpoint says nothing of held-out text");
    }
    const json_t *learned = json_object_get(state, "learned");
    k->best = json_get_real(state, "best", (double)INFINITY);
    k->before = json_get_real(state, "before", (double)INFINITY);
    k->learned.loss = json_get_real(learned, "loss", (double)NAN);
    k->learned.targets = json_integer_value(json_object_get(learned, "targets"));
    k->learned.tokens = json_integer_value(json_object_get(learned, "tokens"));
    k->best_step = json_integer_value(json_object_get(state, "best_step"));
    k->worse = json_integer_value(json_object_get(state, "worse"));
    int rc = tune_routing_restore(k, state, e);
    return rc == 0 && k->freeze != NULL
               ? gspf_freeze_restore(k->freeze, json_object_get(state, "freeze"), e)
               : rc;
}
