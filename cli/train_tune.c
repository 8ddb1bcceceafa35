/* train_tune.c - `occ train tune`. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "cli/train_result.h"
#include "cli/train_tune_data.h"
#include "store/log.h"

/* ---- The forecast ---------------------------------------------------------------------------- */

static int forecast(struct train_arguments *a, const struct decoder_config *config,
                    const struct decoder_folder *model, struct ledger *ledger, struct error *e) {
    struct tune_shape shape;
    int rc = tune_data_shape(a, config, &shape, e);
    return rc == 0 ? tune_forecast(&a->tune.options, config, model, &shape, ledger, e) : rc;
}

/* ---- The run --------------------------------------------------------------------------------- */

static void show_result(const struct tune_result *r) {
    struct rusage usage;
    log_info("%" PRId64 " steps, %" PRId64 " rows; %" PRId64 " tokens in this run, %.0f tokens/s; "
             "%" PRId64 " steps skipped",
             r->run.step, r->run.samples, r->tokens, r->tokens_per_second, r->run.skipped);
    log_info("%" PRId64 " parameters were trained", r->trained);
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        log_info("the process took %.1f MB at most", (double)usage.ru_maxrss * 1024e-6);
    }
    if (r->best_step < 0) {
        if (r->measured > 0) {
            log_warning("no held-out loss was a number: the last weights were written");
        }
        return;
    }
    log_info("held-out loss %.4f, perplexity %.3f after step %" PRId64 "; %.4f, %.3f before",
             r->best, exp(r->best), r->best_step, r->before, exp(r->before));
    if (!(r->best < r->before)) {
        log_warning("no weights did better on held-out text than those that it began with");
    }
}

static int tune(struct train_arguments *a, const struct decoder_folder *model,
                const struct tune_data *data, const volatile sig_atomic_t *cancel,
                struct error *e) {
    struct tune_result result;
    int rc = train_make_folder(a->output, e);
    if (rc == 0) {
        rc = tune_train(&a->tune.options, model, data, cancel, &result, e);
        if (rc == 0 || (rc == ERR_CANCELLED && result.run.step > 0)) {
            show_result(&result);
        }
        if (rc == 0 && a->tune.report != NULL) {
            rc = train_result_write(a->tune.report, &result, e);
        }
        if (rc == 0 && result.run.step == 0) {
            log_warning("no step was done in the time: make it longer, or --batch smaller");
        }
    }
    return rc;
}

int train_tune_run(struct train_arguments *a, char **files, int count,
                   const volatile sig_atomic_t *cancel, struct error *e) {
    struct decoder_folder model = {.path = NULL};
    struct tune_files data = {.data = {.corpus = NULL}};
    if (a->tune.predict) {
        return train_predict(a, forecast, e);
    }
    int rc = decoder_folder_open(&model, a->tune.model, e);
    if (rc == 0) {
        rc = tune_data_open(&data, a, &model, files, count, cancel, e);
    }
    if (rc == 0) {
        rc = tune(a, &model, &data.data, cancel, e);
    }
    tune_data_close(&data);
    decoder_folder_close(&model);
    return rc;
}
