/* run.c - what a training of read.h leaves behind: metrics, checkpoints, weights. */
#include "train/read/run.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store/log.h"
#include "train/checkpoint.h"

/* Checkpoints are written where a line of the metrics ends, so that both go on together. */
enum { NOTE_STEPS = 20, SHOW_SECONDS = 30 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static char *path_in(const char *folder, const char *name, struct error *e) {
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);
    if (path == NULL) {
        error_set(e, ERR_MEMORY, "out of memory");
        return NULL;
    }
    snprintf(path, size, "%s/%s", folder, name);
    return path;
}

/* ---- State ------------------------------------------------------------------------------- */

/* What a training goes on with only as it began; learning rate and length may be changed. */
static json_t *options_json(const struct read_run *r) {
    const struct read_options *o = r->options;
    const struct optimizer_options *a = &o->optimizer;
    json_t *sizes = json_array(), *merges = json_array();
    for (int i = 0; i < READ_SIZES; i++) {
        json_array_append_new(sizes, json_real(o->sizes[i]));
    }
    for (int i = 0; i < READ_MERGES; i++) {
        json_array_append_new(merges, json_real(o->merges[i]));
    }
    char pages[17];
    snprintf(pages, sizeof pages, "%016" PRIx64, r->pages_hash);
    return json_pack("{s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o, s:o}", "pages",
                     pages, "seed", (json_int_t)o->seed, "batch", (json_int_t)o->batch, "threads",
                     (json_int_t)r->thread_count, "decay", a->decay, "beta1", a->beta1, "beta2",
                     a->beta2, "clip", a->clip, "average", a->average, "merging", o->merging,
                     "staged", o->staged, "sizes", sizes, "merges", merges);
}

static int save_checkpoint(struct read_run *r, struct error *e) {
    json_t *state = json_pack("{s:o, s:f, s:I, s:I, s:I}", "options", options_json(r), "norm",
                              r->usual_norm, "skipped", (json_int_t)r->skipped, "pages",
                              (json_int_t)r->pages, "metrics", (json_int_t)ftell(r->metrics));
    if (state == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    int rc = checkpoint_save(r->checkpoint, r->parameters, &r->optimizer, state, e);
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
static int load_checkpoint(struct read_run *r, long *metrics, struct error *e) {
    json_t *state;
    int rc = checkpoint_load(r->checkpoint, r->parameters, &r->optimizer, &state, e);
    if (rc <= 0) {
        return rc;
    }
    json_t *wanted = options_json(r);
    if (!is_part(wanted, json_object_get(state, "options"))) {
        rc = error_set(e, ERR_USAGE,
                       "%s: was made with other options, or of other text; name another folder",
                       r->checkpoint);
    }
    r->usual_norm = json_real_value(json_object_get(state, "norm"));
    r->skipped = json_integer_value(json_object_get(state, "skipped"));
    r->pages = json_integer_value(json_object_get(state, "pages"));
    *metrics = (long)json_integer_value(json_object_get(state, "metrics"));
    json_decref(wanted);
    json_decref(state);
    return rc < 0 ? rc : 0;
}

/* ---- Weights ------------------------------------------------------------------------------- */

static bool is_shipped(const struct tensor_spec *spec) {
    return spec->shipped;
}

static int add_text(json_t *metadata, const char *key, json_t *value, struct error *e) {
    char *text = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;
    json_decref(value);
    if (text == NULL || json_object_set_new(metadata, key, json_string(text)) < 0) {
        free(text);
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    free(text);
    return 0;
}

/* The values as the encoder wants them, see whiten.h; malloc's, NULL: no memory. */
static float *shipped_values(const struct read_run *r) {
    const struct parameters *p = r->parameters;
    const float *values =
        r->optimizer.averages != NULL ? r->optimizer.averages : parameters_values(p);
    const struct parameter *weight = parameters_find(p, CONFIG_PATCH_WEIGHT);
    const struct parameter *bias = parameters_find(p, CONFIG_PATCH_BIAS);
    float *out = malloc(parameters_total(p) * sizeof *out);
    if (out == NULL) {
        return NULL;
    }
    memcpy(out, values, parameters_total(p) * sizeof *out);
    whiten_fold(r->whitening, out + weight->offset, out + bias->offset, weight->rows);
    return out;
}

static int save_weights(const struct read_run *r, struct error *e) {
    const struct reading_config *c = &r->options->reading;
    json_t *metadata = json_copy(r->metadata != NULL ? (json_t *)(uintptr_t)r->metadata : NULL);
    metadata = metadata != NULL ? metadata : json_object();
    json_t *reading = json_pack("{s:I, s:I, s:I, s:o}", "channels", (json_int_t)c->channels,
                                "hidden", (json_int_t)c->hidden, "embedding",
                                (json_int_t)c->embedding, "alphabet", alphabet_json(r->alphabet));
    int rc = add_text(metadata, READING_METADATA, reading, e);
    rc = rc == 0 ? add_text(metadata, CONFIG_METADATA, config_json(&r->options->encoder), e) : rc;
    float *values = shipped_values(r);
    rc = rc == 0 && values == NULL ? error_set(e, ERR_MEMORY, "out of memory") : rc;
    rc = rc == 0 ? parameters_save(r->parameters, r->weights, values, is_shipped, metadata, e) : rc;
    free(values);
    json_decref(metadata);
    return rc;
}

/* ---- Metrics ----------------------------------------------------------------------------------
 */

static void put_loss(json_t *line, const char *name, const struct read_loss *loss) {
    if (loss->characters > 0) {
        json_t *pair = json_pack("[f, f]", loss->character / (double)loss->characters,
                                 loss->presence / (double)loss->characters);
        json_object_set_new(line, name, pair);
    }
}

/* {"step", "pages", "rate", "norm", "skipped", "stages" that learn, then cross-entropies
 * [character, presence] a character: "earlyN" of the heads before the last, of that by kind of
 * page, "mergeK"} */
static int write_line(struct read_run *r, struct error *e) {
    char name[32];
    json_t *norm = isfinite(r->norm) ? json_real(r->norm) : json_null(); /* JSON has no NaN */
    json_t *line =
        json_pack("{s:I, s:I, s:f, s:o, s:I, s:i}", "step", (json_int_t)r->optimizer.step, "pages",
                  (json_int_t)r->pages, "rate", optimizer_rate(&r->optimizer), "norm", norm,
                  "skipped", (json_int_t)r->skipped, "stages", (int)r->plan.last + 1);
    for (int i = 0; i < READ_EARLY; i++) {
        snprintf(name, sizeof name, "early%d", i);
        put_loss(line, name, &r->sums.early[i]);
    }
    for (int i = 0; i < READ_KINDS; i++) {
        put_loss(line, r->source->kinds[i] != NULL ? r->source->kinds[i] : "", &r->sums.read[i]);
    }
    for (int i = 0; i < READ_MERGES; i++) {
        snprintf(name, sizeof name, "merge%d", i + 1);
        put_loss(line, name, &r->sums.merged[i]);
    }
    char *text = line != NULL ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(5)) : NULL;
    json_decref(line);
    int rc = text == NULL ? error_set(e, ERR_MEMORY, "out of memory")
             : fprintf(r->metrics, "%s\n", text) < 0 || fflush(r->metrics) != 0
                 ? error_set(e, ERR_IO, "%s/metrics.ndjson: cannot be written", r->options->folder)
                 : 0;
    free(text);
    return rc;
}

static void show(struct read_run *r, double time) {
    struct read_loss all = {.characters = 0};
    for (int i = 0; i < READ_KINDS; i++) {
        all.character += r->sums.read[i].character + r->sums.read[i].presence;
        all.characters += r->sums.read[i].characters;
    }
    double speed = (double)(r->optimizer.step - r->noted_step) / (time - r->noted);
    double left = (double)(r->options->optimizer.steps - r->optimizer.step) / speed;
    log_info("step %" PRId64 "/%" PRId64 ", %" PRId64
             " pages, loss %.4f, rate %.2e, %.2f steps/s, %d:%02d:%02d left",
             r->optimizer.step, r->options->optimizer.steps, r->pages,
             all.characters > 0 ? all.character / (double)all.characters : 0,
             optimizer_rate(&r->optimizer), speed, (int)(left / 3600), (int)(left / 60) % 60,
             (int)left % 60);
}

int read_run_note(struct read_run *r, struct error *e) {
    double time = now();
    r->pages += r->sums.pages;
    r->sums.pages = 0;
    if (r->scale == 0) {
        log_warning("step %" PRId64 " was skipped: its gradient has the norm %g, usual is %.3g",
                    r->optimizer.step, r->norm, r->usual_norm);
    }
    if (r->optimizer.step % NOTE_STEPS != 0) {
        return 0;
    }
    int rc = write_line(r, e);
    if (time - r->shown > SHOW_SECONDS) {
        show(r, time);
        r->shown = time;
    }
    r->noted = time;
    r->noted_step = r->optimizer.step;
    memset(&r->sums, 0, sizeof r->sums);
    if (rc == 0 && time - r->saved > (double)r->options->save_ms * 1e-3) {
        rc = save_checkpoint(r, e);
        rc = rc == 0 ? save_weights(r, e) : rc;
        r->saved = now();
    }
    return rc;
}

/* ---- Begin and end
 * -------------------------------------------------------------------------------- */

/* One training in a folder at a time: the lock is that of its metrics, and ends with the file. */
static int lock(struct read_run *r, const char *path, struct error *e) {
    r->metrics = fopen(path, "a");
    if (r->metrics == NULL) {
        return error_errno(e, errno, "%s: cannot be written", path);
    }
    if (lockf(fileno(r->metrics), F_TLOCK, 0) != 0) {
        return error_set(e, ERR_IO, "%s: another training is at work there", r->options->folder);
    }
    return 0;
}

int read_run_begin(struct read_run *r, struct error *e) {
    long metrics = 0;
    char *path = path_in(r->options->folder, "metrics.ndjson", e);
    r->checkpoint = path_in(r->options->folder, "checkpoint.safetensors", e);
    r->weights = path_in(r->options->folder, "encoder.safetensors", e);
    int rc = path != NULL && r->checkpoint != NULL && r->weights != NULL ? 0 : ERR_MEMORY;
    rc = rc == 0 ? lock(r, path, e) : rc;
    rc = rc == 0 ? load_checkpoint(r, &metrics, e) : rc;
    if (rc == 0 &&
        (ftruncate(fileno(r->metrics), metrics) != 0 || fseek(r->metrics, 0, SEEK_END) != 0)) {
        rc = error_errno(e, errno, "%s: cannot be written", path);
    }
    if (rc == 0 && r->optimizer.step > 0) {
        log_info("goes on at step %" PRId64, r->optimizer.step);
    }
    r->started = r->noted = r->saved = r->shown = now();
    r->noted_step = r->optimizer.step;
    r->first_pages = r->pages;
    free(path);
    return rc;
}

int read_run_end(struct read_run *r, int rc, struct error *e) {
    r->pages_per_second = (double)(r->pages - r->first_pages) / (now() - r->started);
    if (rc == 0 && r->metrics != NULL) {
        rc = save_checkpoint(r, e);
        rc = rc == 0 ? save_weights(r, e) : rc;
    }
    if (r->metrics != NULL && fclose(r->metrics) != 0 && rc == 0) {
        rc = error_set(e, ERR_IO, "%s/metrics.ndjson: cannot be written", r->options->folder);
    }
    free(r->checkpoint);
    free(r->weights);
    return rc;
}
