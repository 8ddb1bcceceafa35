/* trainer_files.c - what a run leaves behind: metrics, checkpoints, weights; and its messages. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/clock.h"
#include "store/log.h"
#include "train/checkpoint.h"
#include "train/trainer_state.h"

/* Checkpoints are written where a line of the metrics ends, so that both go on together. */
enum { NOTE_STEPS = 20, SHOW_SECONDS = 30 };

static char *path_in(const char *folder, const char *name, struct error *e) {
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);
    if (path == NULL) {
        error_memory(e, NULL);
        return NULL;
    }
    snprintf(path, size, "%s/%s", folder, name);
    return path;
}

/* ---- Checkpoints ----------------------------------------------------------------------------- */

/* Learning rate and length may be changed. */
static json_t *options_of(const struct trainer *t) {
    const struct optimizer_options *o = &t->options->optimizer;
    json_t *options = t->task->options(t->task->context);
    json_t *own =
        json_pack("{s:I, s:f, s:f, s:f, s:f, s:f}", "threads", (json_int_t)t->worker_count, "decay",
                  o->decay, "beta1", o->beta1, "beta2", o->beta2, "clip", o->clip, "ema", o->ema);
    bool whole = options != NULL && own != NULL && json_object_update(options, own) == 0;
    json_decref(own);
    if (!whole) {
        json_decref(options);
        return NULL;
    }
    return options;
}

static int save_checkpoint(struct trainer *t, struct error *e) {
    json_t *state =
        json_pack("{s:o, s:f, s:I, s:I, s:I}", "options", options_of(t), "norm", t->run.usual_norm,
                  "skipped", (json_int_t)t->run.skipped, "samples", (json_int_t)t->run.samples,
                  "metrics", (json_int_t)ftell(t->files.metrics));
    if (state == NULL) {
        return error_memory(e, NULL);
    }
    int rc = checkpoint_save(t->files.checkpoint, &t->optimizer, state, e);
    json_decref(state);
    return rc;
}

/* Whether an object has all members of another, of equal values. */
static bool is_part(const json_t *part, const json_t *whole) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)part, key, value) {
        if (!json_equal(value, json_object_get(whole, key))) {
            return false;
        }
    }
    return true;
}

/* *metrics: bytes of the metrics that belong to the checkpoint. */
static int load_checkpoint(struct trainer *t, long *metrics, struct error *e) {
    json_t *state;
    int rc = checkpoint_load(t->files.checkpoint, &t->optimizer, &state, e);
    if (rc <= 0) {
        return rc;
    }
    json_t *options = options_of(t);
    if (options == NULL) {
        rc = error_memory(e, NULL);
    } else if (!is_part(options, json_object_get(state, "options"))) {
        rc = error_set(e, ERR_USAGE,
                       "%s: was made with other options, or of other text; name another folder",
                       t->files.checkpoint);
    }
    t->run.usual_norm = json_real_value(json_object_get(state, "norm"));
    t->run.skipped = json_integer_value(json_object_get(state, "skipped"));
    t->run.samples = json_integer_value(json_object_get(state, "samples"));
    *metrics = (long)json_integer_value(json_object_get(state, "metrics"));
    json_decref(options);
    json_decref(state);
    return rc < 0 ? rc : 0;
}

static int save_all(struct trainer *t, struct error *e) {
    int rc = save_checkpoint(t, e);
    if (rc == 0) {
        rc = t->task->ship(t->task->context, &t->optimizer, t->files.shipped, e);
    }
    return rc;
}

/* ---- Metrics --------------------------------------------------------------------------------- */

/* {"step", "pages" or what samples are called, "rate" of the next step, "norm", "skipped"}, then
 * what the task reports. */
static int write_line(struct trainer *t, struct error *e) {
    const struct task *task = t->task;
    double loss;
    json_t *norm = isfinite(t->step.norm) ? json_real(t->step.norm) : json_null(); /* JSON's */
    json_t *line = json_pack("{s:I, s:I, s:f, s:o, s:I}", "step", (json_int_t)t->optimizer.step,
                             task->samples, (json_int_t)t->run.samples, "rate",
                             schedule_rate(&t->options->schedule, t->optimizer.step), "norm", norm,
                             "skipped", (json_int_t)t->run.skipped);
    if (line != NULL) {
        task->report(task->context, line, &loss);
    }
    char *text = line != NULL ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(5)) : NULL;
    json_decref(line);
    if (text == NULL) {
        return error_memory(e, NULL);
    }
    bool written = fprintf(t->files.metrics, "%s\n", text) >= 0 && fflush(t->files.metrics) == 0;
    free(text);
    return written
               ? 0
               : error_set(e, ERR_IO, "%s/metrics.ndjson: cannot be written", t->options->folder);
}

static void show(struct trainer *t, double time) {
    int64_t step = t->optimizer.step, steps = t->options->schedule.steps;
    double speed = (double)(step - t->files.reported_step) / (time - t->files.reported);
    double left = (double)(steps - step) / speed, loss = 0;
    t->task->report(t->task->context, NULL, &loss);
    log_info("step %" PRId64 "/%" PRId64 ", %" PRId64
             " %s, loss %.4f, rate %.2e, %.2f steps/s, %d:%02d:%02d left",
             step, steps, t->run.samples, t->task->samples, loss,
             schedule_rate(&t->options->schedule, step), speed, (int)(left / 3600),
             (int)(left / 60) % 60, (int)left % 60);
}

int trainer_files_note(struct trainer *t, struct error *e) {
    struct run_files *f = &t->files;
    double time = clock_seconds();
    if (t->step.scale == 0) {
        log_warning("step %" PRId64 " was skipped: its gradient has the norm %g, usual is %.3g",
                    t->optimizer.step, t->step.norm, t->run.usual_norm);
    }
    if (t->optimizer.step % NOTE_STEPS != 0) {
        return 0;
    }
    if (time - f->shown > SHOW_SECONDS) {
        show(t, time);
        f->shown = time;
    }
    int rc = write_line(t, e);
    f->reported = time;
    f->reported_step = t->optimizer.step;
    if (rc == 0 && time - f->saved > (double)t->options->save_ms * 1e-3) {
        rc = save_all(t, e);
        f->saved = clock_seconds();
    }
    return rc;
}

/* ---- Begin and end --------------------------------------------------------------------------- */

/* One run in a folder at a time: the lock is that of its metrics, and ends with the file. */
static int lock(struct trainer *t, const char *path, struct error *e) {
    t->files.metrics = fopen(path, "a");
    if (t->files.metrics == NULL) {
        return error_errno(e, errno, "%s: cannot be written", path);
    }
    if (lockf(fileno(t->files.metrics), F_TLOCK, 0) != 0) {
        return error_set(e, ERR_IO, "%s: another training run is at work there",
                         t->options->folder);
    }
    return 0;
}

int trainer_files_open(struct trainer *t, struct error *e) {
    struct run_files *f = &t->files;
    long metrics = 0;
    char *path = path_in(t->options->folder, "metrics.ndjson", e);
    f->checkpoint = path_in(t->options->folder, "checkpoint.safetensors", e);
    f->shipped = path_in(t->options->folder, t->task->shipped, e);
    int rc = path != NULL && f->checkpoint != NULL && f->shipped != NULL ? 0 : ERR_MEMORY;
    if (rc == 0) {
        rc = lock(t, path, e);
    }
    if (rc == 0) {
        rc = load_checkpoint(t, &metrics, e);
    }
    if (rc == 0 &&
        (ftruncate(fileno(f->metrics), metrics) != 0 || fseek(f->metrics, 0, SEEK_END) != 0)) {
        rc = error_errno(e, errno, "%s: cannot be written", path);
    }
    if (rc == 0 && t->optimizer.step > 0) {
        log_info("goes on at step %" PRId64, t->optimizer.step);
    }
    f->started = f->reported = f->saved = f->shown = clock_seconds();
    f->reported_step = t->optimizer.step;
    f->first_samples = t->run.samples;
    free(path);
    return rc;
}

int trainer_files_close(struct trainer *t, int rc, struct error *e) {
    struct run_files *f = &t->files;
    if (rc == 0 && f->metrics != NULL) {
        rc = save_all(t, e);
    }
    if (f->metrics != NULL && fclose(f->metrics) != 0 && rc == 0) {
        rc = error_set(e, ERR_IO, "%s/metrics.ndjson: cannot be written", t->options->folder);
    }
    free(f->checkpoint);
    free(f->shipped);
    return rc;
}
