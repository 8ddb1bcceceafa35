/* trainer_files.c - what a run leaves behind: metrics, checkpoints, weights; and its messages. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/clock.h"
#include "store/file.h"
#include "store/json.h"
#include "store/log.h"
#include "train/checkpoint.h"
#include "train/trainer_state.h"

/* Checkpoints are written where a line of the metrics ends, so that both go on together. */
enum { SHOW_SECONDS = 30 };

/* ---- Checkpoints ----------------------------------------------------------------------------- */

/* Learning rate and length may be changed. */
static json_t *options_of(const struct trainer *t) {
    const struct optimizer_options *o = &t->options->optimizer;
    json_t *options = t->task->options(t->task->context);
    json_t *own = json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "compute",
                            dtype_name(t->compute), "threads", (json_int_t)t->worker_count, "team",
                            (json_int_t)t->team, "decay", o->decay, "beta1", o->beta1, "beta2",
                            o->beta2, "epsilon", o->epsilon, "clip", o->clip, "ema", o->ema);
    bool whole = options != NULL && own != NULL && json_object_update(options, own) == 0;
    json_decref(own);
    if (!whole) {
        json_decref(options);
        return NULL;
    }
    return options;
}

/* Of held-out samples, where the task has any. */
static int add_state(const struct trainer *t, json_t *state, struct error *e) {
    const struct task *task = t->task;
    if (task->held_out == NULL) {
        return 0;
    }
    int failed = json_object_set_new(state, "measured", json_integer(t->run.measured)) |
                 json_object_set_new(state, "finished", json_boolean(t->run.finished)) |
                 json_object_set_new(state, "owed", json_boolean(t->run.owed)) |
                 json_object_set_new(state, "step_norm", json_finite(t->step.norm)) |
                 json_object_set_new(state, "task", task->state(task->context));
    return failed ? error_memory(e, NULL) : 0;
}

static int save_checkpoint(struct trainer *t, struct error *e) {
    const long metrics = ftell(t->files.metrics);
    if (metrics < 0) {
        return error_errno(e, errno, "%s/metrics.ndjson", t->options->folder);
    }
    json_t *state = json_pack("{s:o, s:f, s:I, s:I, s:I}", "options", options_of(t), "norm",
                              t->run.usual_norm, "skipped", (json_int_t)t->run.skipped, "samples",
                              (json_int_t)t->run.samples, "metrics", (json_int_t)metrics);
    if (state == NULL || add_state(t, state, e) < 0) {
        json_decref(state);
        return error_memory(e, NULL);
    }
    int rc = checkpoint_save(t->files.checkpoint, &t->optimizer, state, e);
    json_decref(state);
    return rc;
}

/* The first member of an object that is not in another, with an equal value; NULL: all are. */
static const char *missing(const json_t *part, const json_t *whole) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)part, key, value) {
        if (!json_equal(value, json_object_get(whole, key))) {
            return key;
        }
    }
    return NULL;
}

/* Either may have a member that the other lacks. */
static const char *differing(const json_t *a, const json_t *b) {
    const char *key = missing(a, b);
    return key != NULL ? key : missing(b, a);
}

/* *metrics: bytes of the metrics that belong to the checkpoint. */
static int load_checkpoint(struct trainer *t, long *metrics, struct error *e) {
    json_t *state;
    int rc = checkpoint_load(t->files.checkpoint, &t->optimizer, &state, e);
    if (rc <= 0) {
        return rc;
    }
    json_t *options = options_of(t);
    const char *other = differing(options, json_object_get(state, "options"));
    if (options == NULL) {
        rc = error_memory(e, NULL);
    } else if (other != NULL) {
        rc =
            error_set(e, ERR_USAGE,
                      "%s: was made with other options, or of other text (of \"%s\"); name another "
                      "folder",
                      t->files.checkpoint, other);
    }
    t->run.usual_norm = json_real_value(json_object_get(state, "norm"));
    t->run.skipped = json_integer_value(json_object_get(state, "skipped"));
    t->run.samples = json_integer_value(json_object_get(state, "samples"));
    *metrics = (long)json_integer_value(json_object_get(state, "metrics"));
    if (rc == 1 && t->task->held_out != NULL) {
        t->run.measured = json_integer_value(json_object_get(state, "measured"));
        const json_t *norm = json_object_get(state, "step_norm");
        t->run.finished = json_is_true(json_object_get(state, "finished"));
        t->run.owed = json_is_true(json_object_get(state, "owed"));
        t->step.norm = json_is_null(norm) ? (double)NAN : json_real_value(norm);
        rc = t->task->restore(t->task->context, json_object_get(state, "task"), e);
    }
    json_decref(options);
    json_decref(state);
    return rc < 0 ? rc : 0;
}

/* Weights first: unless a checkpoint says that they are owed, the best ones so far are shipped. As
 * long as none are known, it is the last ones. Where they cannot be shipped, the checkpoint keeps
 * what was learned. */
static int save_all(struct trainer *t, struct error *e) {
    struct run_files *f = &t->files;
    int rc = 0;
    if (f->saved_step == t->optimizer.step && f->saved_measured == t->run.measured) {
        return 0;
    }
    if (t->run.owed || t->run.measured <= 0) {
        rc = t->task->ship(t->task->context, &t->optimizer, f->shipped, e);
    }
    t->run.owed = t->run.owed && rc < 0;
    const int saved = save_checkpoint(t, rc == 0 ? e : NULL);
    rc = rc == 0 ? saved : rc;
    if (rc == 0) {
        f->saved_step = t->optimizer.step;
        f->saved_measured = t->run.measured;
    }
    return rc;
}

/* ---- Metrics --------------------------------------------------------------------------------- */

/* {"step", "pages" or what samples are called, "rate" of the next step, "norm", "skipped"}, then
 * what the task reports. */
static int write_line(struct trainer *t, struct error *e) {
    const struct task *task = t->task;
    double loss;
    json_t *line = json_pack("{s:I, s:I, s:f, s:o, s:I}", "step", (json_int_t)t->optimizer.step,
                             task->samples, (json_int_t)t->run.samples, "rate",
                             schedule_rate(&t->options->schedule, t->optimizer.step), "norm",
                             json_finite(t->step.norm), "skipped", (json_int_t)t->run.skipped);
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
    double left = speed > 0 ? (double)(steps - step) / speed : 0, loss = 0;
    t->task->report(t->task->context, NULL, &loss);
    log_info("step %" PRId64 "/%" PRId64 ", %" PRId64
             " %s, loss %.4f, rate %.2e, %.2f steps/s, %d:%02d:%02d left",
             step, steps, t->run.samples, t->task->samples, loss,
             schedule_rate(&t->options->schedule, step), speed, (int)(left / 3600),
             (int)(left / 60) % 60, (int)left % 60);
}

bool trainer_files_late(const struct trainer *t) {
    const int64_t limit = t->options->time_ms;
    return limit > 0 && clock_seconds() - t->files.started > (double)limit * 1e-3;
}

int trainer_files_note(struct trainer *t, struct error *e) {
    struct run_files *f = &t->files;
    double time = clock_seconds();
    bool measured = t->run.measured == t->optimizer.step;
    if (t->optimizer.step % t->options->note_steps != 0 && !measured) {
        return 0;
    }
    if (time - f->shown > SHOW_SECONDS) {
        show(t, time);
        f->shown = time;
    }
    int rc = write_line(t, e);
    f->reported = time;
    f->reported_step = t->optimizer.step;
    if (rc == 0 && (t->run.owed || time - f->saved > (double)t->options->save_ms * 1e-3)) {
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
    char *path = file_path(t->options->folder, "metrics.ndjson", e);
    f->checkpoint = file_path(t->options->folder, TRAINER_CHECKPOINT, e);
    f->shipped = file_path(t->options->folder, t->task->shipped, e);
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
    f->saved_step = f->saved_measured = -1;
    f->reported_step = t->optimizer.step;
    f->first_samples = t->run.samples;
    if (rc == 0 && t->run.owed) {
        rc = save_all(t, e);
    }
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
