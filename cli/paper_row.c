/* paper_row.c - see paper_row.h. */
#include "cli/paper_row.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/child.h"
#include "store/file.h"
#include "store/json.h"
#include "store/log.h"

/* Text tokens that a visual one stands for, about, so that levers show the same posts. */
static const double COMPRESSION = 9.3;
const struct paper_lever PAPER_LEVER[PAPER_LEVERS] = {
    {"memory-1", "LoRA, full text", "lora", "text", "none", "auto", false},
    {"memory-2", "LoRA, full text, recomputed", "lora", "text", "block", "auto", false},
    {"memory-3", "LoRA, visual tokens", "lora", "visual", "none", "auto", false},
    {"memory-4", "... recomputed", "lora", "visual", "block", "auto", false},
    {"memory-5", "... and weights in 4 bits", "lora", "visual", "block", "int4", false},
    {"memory-6", "... and GSPF in the place of LoRA", "occ", "visual", "block", "int4", false},
    {"memory-7", "... and the bridge as it is", "occ", "visual", "block", "int4", true},
};

/* ---- Words of a command ---------------------------------------------------------------------- */

enum { WORDS = CHILD_WORDS, NUMBERS = 24 };
struct words {
    const char *list[WORDS + 1];
    size_t count;
    char numbers[NUMBERS][24];
    size_t number_count;
};

static void add(struct words *w, const char *word) {
    if (w->count < WORDS) {
        w->list[w->count++] = word;
    }
}

/* Nothing where there is no value. */
static void add_text(struct words *w, const char *option, const char *value) {
    if (value != NULL) {
        add(w, option);
        add(w, value);
    }
}

static void add_number(struct words *w, const char *option, int64_t value, const char *unit) {
    if (value > 0 && w->number_count < NUMBERS) {
        char *text = w->numbers[w->number_count++];
        snprintf(text, sizeof *w->numbers, "%" PRId64 "%s", value, unit);
        add(w, option);
        add(w, text);
    }
}

static bool is(const char *a, const char *b) {
    return strcmp(a, b) == 0;
}

/* What is shown of older posts, for all three programs. */
static void add_context(struct words *w, const struct paper_arguments *a,
                        const struct sheet_row *row) {
    const struct context_choice *c = &a->shown->posts.context;
    const int64_t soft = row->soft > 0 ? row->soft : 1;
    const int64_t tau = c->tau_ms > 0 ? c->tau_ms : INT64_C(30) * 24 * 3600 * 1000;
    add_text(w, "--context", row->context);
    add_number(w, "--row", c->row, "");
    add_text(w, "--encoder",
             sheet_is_visual(row->context) || is(row->context, "read") ? a->shown->posts.encoder
                                                                       : NULL);
    if (is(row->context, "none")) {
        return;
    }
    add_number(w, "--positions", c->positions * soft, "");
    add_number(w, "--expand", row->soft > 0 ? row->soft : c->expand, "");
    add_number(w, "--newest", row->mixed ? c->positions * soft / 2 : c->newest, "");
    add_number(w, "--tau", row->ages ? tau : 0, "ms");
}

static void add_common(struct words *w, const struct paper_arguments *a) {
    add_text(w, "--model", a->model);
    add_text(w, "--device", a->device->device);
    add_text(w, "--compute", COMPUTES[a->device->compute]);
    add_number(w, "--threads", a->threads, "");
}

static void add_tune(struct words *w, const struct paper_arguments *a, const struct sheet_row *row,
                     const char *weights) {
    add(w, "tune");
    add_common(w, a);
    add_text(w, "--method", row->method);
    add_context(w, a, row);
    if (sheet_is_visual(row->context)) {
        add_text(w, "--from", a->shown->adapter);
        add_text(w, "--bridge-rate", a->bridge_rate);
        add_text(w, "--experts", row->plain ? "0" : "4");
    }
    add_text(w, "--rate", is(row->method, "lora") ? a->rate : a->rows_rate);
    add_text(w, "--weights", weights);
}

/* ---- Files ----------------------------------------------------------------------------------- */

int paper_files_open(struct paper_files *f, const char *output, const char *name, struct error *e) {
    *f = (struct paper_files){.folder = file_path(output, name, e)};
    if (f->folder == NULL) {
        return ERR_MEMORY;
    }
    if (mkdir(f->folder, 0777) != 0 && errno != EEXIST) {
        return error_errno(e, errno, "%s", f->folder);
    }
    f->run = file_path(f->folder, "run", e);
    f->log = file_path(f->folder, "log", e);
    f->report = file_path(f->folder, "report.json", e);
    f->posts = file_path(f->folder, "posts.jsonl", e);
    f->texts = file_path(f->folder, "texts.jsonl", e);
    f->cost = file_path(f->folder, "cost.json", e);
    return f->run != NULL && f->log != NULL && f->report != NULL && f->posts != NULL &&
                   f->texts != NULL && f->cost != NULL
               ? 0
               : ERR_MEMORY;
}

void paper_files_close(struct paper_files *f) {
    free(f->folder);
    free(f->run);
    free(f->log);
    free(f->report);
    free(f->posts);
    free(f->texts);
    free(f->cost);
}

static bool exists(const char *path) {
    return access(path, F_OK) == 0;
}

bool paper_files_done(const struct paper_files *f, bool lever) {
    return exists(f->cost) && (lever || (exists(f->posts) && exists(f->texts)));
}

/* ---- Making ---------------------------------------------------------------------------------- */

static int run(const struct paper_work *w, const char *program, const struct words *words,
               const char *output, const struct paper_files *f, int64_t *peak, struct error *e) {
    const struct child child = {.program = program,
                                .words = words->list,
                                .output = output,
                                .log = f->log,
                                .deadline = w->deadline};
    const int rc = child_run(&child, peak, w->cancel, e);
    return rc < 0 && rc != ERR_CANCELLED ? error_context(e, "%s", f->folder) : rc;
}

/* What the run's own report says of memory, beside what the system said. */
static int write_cost(const struct paper_files *f, int64_t peak, struct error *e) {
    json_t *result = json_read_file(f->report, 1 << 20, NULL, e);
    const double predicted =
        json_get_real(json_object_get(result, "predicted"), "total", (double)NAN);
    json_t *cost =
        json_pack("{s:o, s:I}", "predicted", json_finite(predicted), "peak", (json_int_t)peak);
    struct bytes text;
    bytes_init(&text, 1 << 10);
    int rc = result == NULL ? ERR_FORMAT : cost != NULL ? 0 : error_memory(e, NULL);
    rc = rc == 0 ? json_append(&text, cost, e) : rc;
    rc = rc == 0 ? output_file_write(f->cost, text.data, text.size, NULL, e) : rc;
    bytes_close(&text);
    json_decref(cost);
    json_decref(result);
    return rc;
}

static int tune(const struct paper_work *w, struct words *words, const struct paper_files *f,
                struct error *e) {
    int64_t peak = 0;
    add(words, "-v");
    add_text(words, "--output", f->run);
    add_text(words, "--report", f->report);
    add(words, w->a->shown->posts.store);
    const int rc = run(w, "occ-train", words, NULL, f, &peak, e);
    return rc == 0 ? write_cost(f, peak, e) : rc;
}

static int measure(const struct paper_work *w, const struct sheet_row *row, const char *adapter,
                   const struct paper_files *f, struct error *e) {
    const struct posts_arguments *p = &w->a->shown->posts;
    struct words words = {.count = 0};
    int64_t peak;
    add(&words, "perplexity");
    add_common(&words, w->a);
    add_text(&words, "--adapter", adapter);
    add_text(&words, "--store", p->store);
    add_text(&words, "--hold-out", p->hold_out);
    add_number(&words, "--measure-rows", p->most, "");
    add_context(&words, w->a, row);
    add(&words, "--json");
    return run(w, "occ-eval", &words, f->posts, f, &peak, e);
}

static int write_texts(const struct paper_work *w, const struct sheet_row *row, int64_t seed,
                       const char *adapter, const struct paper_files *f, struct error *e) {
    struct words words = {.count = 0};
    int64_t peak;
    add_common(&words, w->a);
    add_text(&words, "--adapter", adapter);
    add_text(&words, "--store", w->a->shown->posts.store);
    add_text(&words, "--batch", w->prompts);
    add_context(&words, w->a, row);
    add_text(&words, "--temperature", "0.8");
    add_text(&words, "--top-p", "0.95");
    add_number(&words, "--max-tokens", 160, "");
    add_number(&words, "--seed", seed, "");
    return run(w, "occ-generate", &words, f->texts, f, &peak, e);
}

int paper_row_make(const struct paper_work *w, const struct sheet_row *row, int64_t seed,
                   const struct paper_files *f, struct error *e) {
    const struct paper_arguments *a = w->a;
    char *adapter = file_path(f->run, "adapter", e);
    int rc = adapter != NULL ? 0 : ERR_MEMORY;
    if (rc == 0 && !exists(f->cost)) {
        struct words words = {.count = 0};
        add_tune(&words, a, row, DECODER_FORMAT_NAMES[a->shown->weights]);
        add_number(&words, "--steps", a->steps, "");
        add_number(&words, "--batch", a->batch, "");
        add_number(&words, "--measure", a->steps,
                   ""); /* before and after: nothing is chosen by it */
        add_number(&words, "--measure-rows", 16, "");
        add_text(&words, "--hold-out", a->shown->posts.hold_out);
        add_number(&words, "--seed", seed, "");
        rc = tune(w, &words, f, e);
    }
    if (rc == 0 && !exists(f->posts)) {
        rc = measure(w, row, adapter, f, e);
    }
    if (rc == 0 && !exists(f->texts)) {
        rc = write_texts(w, row, seed, adapter, f, e);
    }
    free(adapter);
    return rc;
}

int paper_lever_make(const struct paper_work *w, const struct paper_lever *lever,
                     const struct paper_files *f, struct error *e) {
    struct perplexity_arguments shown = *w->a->shown;
    struct paper_arguments a = *w->a;
    const struct sheet_row row = {
        .method = lever->method, .context = lever->context, .plain = true};
    struct words words = {.count = 0};
    a.shown = &shown;
    a.bridge_rate = lever->still ? "0" : a.bridge_rate;
    shown.posts.context.row = w->longest;
    shown.posts.context.positions = (int64_t)((double)w->longest / COMPRESSION);
    shown.posts.context.newest = 0;
    add_tune(&words, &a, &row, lever->weights);
    add_text(&words, "--recompute", lever->recompute);
    add_number(&words, "--steps", 1, "");
    add_number(&words, "--batch", 2, "");
    add_text(&words, "--hold-out", "0");
    return paper_files_done(f, true) ? 0 : tune(w, &words, f, e);
}
