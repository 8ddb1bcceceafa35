/* eval_paper.c - see eval_paper.h. */
#include "cli/eval_paper.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/mix.h"
#include "cli/number.h"
#include "cli/paper_metrics.h"
#include "cli/paper_row.h"
#include "store/clock.h"
#include "store/file.h"
#include "store/json.h"
#include "store/log.h"
#include "train/context/bridge.h"

enum { LONGEST = 8192 };
/* After the rows of the table. */
enum { NAME_STANDARD = SHEET_ROWS, NAME_MEMORY, NAMES };

struct run {
    const struct paper_arguments *a;
    bool chosen[NAMES];
    const char *visual; /* the first of these that shows visual tokens; NULL: none */
    struct decoder_folder model;
    struct paper_posts *posts;
    struct paper_work work;
    char *prompts; /* owned */
    struct sheet sheet;
    struct bytes made;
};

/* ---- Options --------------------------------------------------------------------------------- */

static int choose(bool chosen[NAMES], const char *only, struct error *e) {
    double shares[NAMES];
    const int rc = mix_parse(shares, SHEET_NAMES, "only", only, e);
    for (int i = 0; i < NAMES && rc == 0; i++) {
        chosen[i] = shares[i] > 0 || (i < ROW_STANDARD && shares[NAME_STANDARD] > 0);
    }
    return rc;
}

/* The name of the first that shows visual tokens, or NULL. */
static const char *visual_of(const bool chosen[NAMES]) {
    for (int i = 0; i < SHEET_ROWS; i++) {
        if (chosen[i] && sheet_is_visual(SHEET[i].context)) {
            return SHEET[i].name;
        }
    }
    return chosen[NAME_MEMORY] ? SHEET_NAMES[NAME_MEMORY] : NULL;
}

static int check_numbers(const struct paper_arguments *a, struct error *e) {
    double number;
    int rc = number_parse(&number, "rate", a->rate, 1e-8, 1, e);
    return rc == 0 ? number_parse(&number, "rows-rate", a->rows_rate, 1e-8, 1, e) : rc;
}

int paper_check(struct paper_arguments *a, int operands, struct error *e) {
    const struct perplexity_arguments *shown = a->shown;
    const struct posts_arguments *p = &shown->posts;
    const char *unused = shown->window > 0          ? "--window"
                         : shown->tokens > 0        ? "--tokens"
                         : p->hold_accounts != NULL ? "--hold-out-accounts"
                         : p->context.context       ? "--context"
                         : p->context.facts > 0     ? "--facts"
                                                    : NULL;
    bool chosen[NAMES];
    if (operands > 0 || unused != NULL) {
        return error_set(e, ERR_USAGE, "paper takes no %s", operands > 0 ? "FILE" : unused);
    }
    if (a->json && a->metrics == NULL) {
        return error_set(e, ERR_USAGE, "--json: of paper --metrics alone has it");
    }
    if (a->metrics != NULL) {
        return a->output == NULL && p->store == NULL
                   ? 0
                   : error_set(e, ERR_USAGE,
                               "--metrics makes no table: name no --store or --output");
    }
    if (a->model == NULL || p->store == NULL || a->output == NULL) {
        return error_set(e, ERR_USAGE,
                         "paper takes --model FOLDER, --store FOLDER, --output FOLDER");
    }
    int rc = choose(chosen, a->only, e);
    rc = rc == 0 ? check_numbers(a, e) : rc;
    const char *visual = rc == 0 && shown->adapter == NULL ? visual_of(chosen) : NULL;
    return visual == NULL
               ? rc
               : error_set(e, ERR_USAGE,
                           "--only %s shows visual tokens, which an adapter has learned to read: "
                           "name one (--adapter FOLDER), or only rows without them",
                           visual);
}

/* ---- The folder ------------------------------------------------------------------------------ */

/* What makes figures of all rows other ones. Rows, seeds and time may change. */
static json_t *settings_of(const struct paper_arguments *a) {
    const struct posts_arguments *p = &a->shown->posts;
    const struct context_choice *c = &p->context;
    return json_pack(
        "{s:s, s:s, s:I, s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s?, s:I, s:s}", "model",
        a->model, "store", p->store, "steps", (json_int_t)a->steps, "batch", (json_int_t)a->batch,
        "rate", a->rate, "rows_rate", a->rows_rate, "texts", (json_int_t)a->texts, "positions",
        (json_int_t)c->positions, "row", (json_int_t)c->row, "expand", (json_int_t)c->expand,
        "newest", (json_int_t)c->newest, "tau_ms", (json_int_t)c->tau_ms, "hold_out", p->hold_out,
        "measure_rows", (json_int_t)p->most, "weights", DECODER_FORMAT_NAMES[a->shown->weights]);
}

/* What else makes figures of visual rows other ones: apart, so that a folder of other rows does not
 * depend on an adapter. */
static json_t *adapter_of(const struct paper_arguments *a) {
    return json_pack("{s:s, s:s?}", "adapter", a->shown->adapter, "bridge_rate", a->bridge_rate);
}

/* The folder's file `name` must hold these `settings` (taken); `write`: it gets them where it is
 * not there. */
static int settle(const char *folder, const char *name, json_t *settings, bool write,
                  struct error *e) {
    struct bytes text, there;
    bytes_init(&text, 1 << 20);
    bytes_init(&there, 1 << 20);
    char *path = file_path(folder, name, e);
    int rc = path == NULL ? ERR_MEMORY : settings == NULL ? error_memory(e, NULL) : 0;
    rc = rc == 0 ? json_append(&text, settings, e) : rc;
    if (rc == 0 && file_read(path, &there, NULL) == 0) {
        rc = there.size == text.size && memcmp(there.data, text.data, text.size) == 0
                 ? 0
                 : error_set(e, ERR_USAGE, "%s holds rows of other settings: %.200s", folder,
                             bytes_text(&there));
    } else if (rc == 0 && write) {
        rc = output_file_write(path, text.data, text.size, NULL, e);
    }
    json_decref(settings);
    free(path);
    bytes_close(&text);
    bytes_close(&there);
    return rc;
}

/* Before anything runs; the adapter is written down when the first row is made with it. */
static int settle_folder(const struct run *r, struct error *e) {
    const char *folder = r->a->output;
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        return error_errno(e, errno, "%s", folder);
    }
    int rc = settle(folder, "settings.json", settings_of(r->a), true, e);
    return rc == 0 && r->visual != NULL ? settle(folder, "adapter.json", adapter_of(r->a), false, e)
                                        : rc;
}

static int keep_adapter(const struct run *r, const char *context, struct error *e) {
    return sheet_is_visual(context)
               ? settle(r->a->output, "adapter.json", adapter_of(r->a), true, e)
               : 0;
}

/* Rows without visual tokens show the posts that visual ones show, and know no adapter: how many
 * positions a visual token takes is said for all of them, unless it is one. */
static int check_expand(const struct run *r, struct error *e) {
    const char *adapter = r->a->shown->adapter;
    struct bridge_folder folder;
    if (r->visual == NULL || r->a->shown->posts.context.expand > 0 || !bridge_folder_is(adapter)) {
        return 0;
    }
    int rc = bridge_folder_open(&folder, adapter, e);
    if (rc == 0 && folder.options.expand > 1) {
        rc = error_set(e, ERR_USAGE,
                       "%s: its visual tokens take %" PRId64 " positions: name --expand %" PRId64
                       ", by which other rows show the same posts",
                       adapter, folder.options.expand, folder.options.expand);
    }
    bridge_folder_close(&folder);
    return rc;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static int make_row(struct run *r, int row, int64_t seed, struct error *e) {
    struct paper_files f;
    char name[64];
    snprintf(name, sizeof name, "%s-%" PRId64, SHEET[row].name, seed);
    int rc = paper_files_open(&f, r->a->output, name, e);
    if (rc == 0 && !paper_files_done(&f, false)) {
        log_info("%s, seed %" PRId64, SHEET[row].title, seed);
        rc = keep_adapter(r, SHEET[row].context, e);
        rc = rc < 0 ? rc : paper_row_make(&r->work, &SHEET[row], seed, &f, e);
    }
    if (rc == 0) {
        const struct sheet_files files = {.posts = f.posts, .texts = f.texts, .cost = f.cost};
        rc = sheet_add(&r->sheet, row, &files, r->posts, e);
    }
    paper_files_close(&f);
    return rc;
}

static int make_lever(struct run *r, const struct paper_lever *lever, struct error *e) {
    struct paper_files f;
    int rc = paper_files_open(&f, r->a->output, lever->name, e);
    if (rc == 0 && !paper_files_done(&f, true)) {
        log_info("memory: %s", lever->title);
        rc = keep_adapter(r, lever->context, e);
        rc = rc < 0 ? rc : paper_lever_make(&r->work, lever, &f, e);
    }
    rc = rc == 0 ? sheet_add_lever(&r->sheet, lever->title, f.cost, e) : rc;
    paper_files_close(&f);
    return rc;
}

/* A first seed of all rows, then the next: what is there when the time is up is comparable. */
static int make_all(struct run *r, struct error *e) {
    int rc = 0;
    for (int64_t seed = 1; seed <= r->a->seeds && rc == 0; seed++) {
        for (int row = 0; row < SHEET_ROWS && rc == 0; row++) {
            rc = r->chosen[row] ? make_row(r, row, seed, e) : 0;
        }
        for (int i = 0; i < PAPER_LEVERS && seed == 1 && r->chosen[NAME_MEMORY] && rc == 0; i++) {
            rc = make_lever(r, &PAPER_LEVER[i], e);
        }
    }
    return rc;
}

/* ---- What is written --------------------------------------------------------------------------
 */

static int leave(const struct run *r, const char *name,
                 int (*make)(struct bytes *out, const struct sheet *t, struct error *e), bool shown,
                 struct error *e) {
    struct bytes text;
    bytes_init(&text, 1 << 24);
    char *path = file_path(r->a->output, name, e);
    int rc = path != NULL ? make(&text, &r->sheet, e) : ERR_MEMORY;
    if (rc == 0) {
        rc = output_file_write(path, text.data, text.size, NULL, e);
    }
    if (rc == 0 && shown && fputs(bytes_text(&text), stdout) == EOF) {
        rc = error_set(e, ERR_CLOSED, "standard output: cannot be written");
    }
    free(path);
    bytes_close(&text);
    return rc;
}

static int leave_all(const struct run *r, struct error *e) {
    int rows = 0;
    for (int row = 0; row < SHEET_ROWS; row++) {
        rows += r->sheet.rows[row].seeds > 0;
    }
    int rc = leave(r, "table.md", sheet_markdown, true, e);
    if (rc == 0 && rows > 0) {
        rc = leave(r, "frontier.svg", sheet_frontier, false, e);
    }
    if (rc == 0 && r->sheet.lever_count > 0) {
        rc = leave(r, "memory.svg", sheet_memory, false, e);
    }
    return rc;
}

/* ---- A run ----------------------------------------------------------------------------------- */

static int write_prompts(struct run *r, struct error *e) {
    struct bytes lines;
    bytes_init(&lines, 1 << 28);
    r->prompts = file_path(r->a->output, "prompts.jsonl", e);
    int rc = r->prompts != NULL ? paper_posts_prompts(r->posts, &lines, e) : ERR_MEMORY;
    rc = rc == 0 ? output_file_write(r->prompts, lines.data, lines.size, NULL, e) : rc;
    bytes_close(&lines);
    return rc;
}

static int open_posts(struct run *r, const volatile sig_atomic_t *cancel, struct error *e) {
    const struct posts_arguments *p = &r->a->shown->posts;
    int rc = decoder_folder_open(&r->model, r->a->model, e);
    const int64_t context = r->model.config.context;
    const int64_t most = r->work.longest = context < LONGEST ? context : LONGEST;
    struct paper_posts_options o = {.store = p->store,
                                    .model = &r->model,
                                    .row = p->context.row > 0 ? p->context.row : most,
                                    .held_out = 0.1,
                                    .texts = r->a->texts};
    o.positions = p->context.positions;
    if (rc == 0 && p->hold_out != NULL) {
        rc = number_parse(&o.held_out, "hold-out", p->hold_out, 1e-6, 0.9, e);
    }
    return rc == 0 ? paper_posts_open(&r->posts, &o, cancel, e) : rc;
}

/* " --NAME VALUE"; nothing where there is no value. */
static int tell_text(struct run *r, const char *name, const char *value, struct error *e) {
    return value != NULL ? bytes_printf(&r->made, e, " --%s %s", name, value) : 0;
}

static int tell_number(struct run *r, const char *name, int64_t value, const char *unit,
                       struct error *e) {
    return value > 0 ? bytes_printf(&r->made, e, " --%s %" PRId64 "%s", name, value, unit) : 0;
}

/* The command that makes the figures: all that they depend on. */
static int describe(struct run *r, struct error *e) {
    const struct paper_arguments *a = r->a;
    const struct posts_arguments *p = &a->shown->posts;
    const struct context_choice *c = &p->context;
    bytes_init(&r->made, 1 << 16);
    int rc = bytes_printf(&r->made, e, "occ eval paper --model %s --store %s", a->model, p->store);
    rc = rc == 0 ? tell_text(r, "adapter", a->shown->adapter, e) : rc;
    rc = rc == 0 ? tell_text(r, "encoder", p->encoder, e) : rc;
    rc = rc == 0 ? tell_number(r, "seeds", a->seeds, "", e) : rc;
    rc = rc == 0 ? tell_number(r, "steps", a->steps, "", e) : rc;
    rc = rc == 0 ? tell_number(r, "batch", a->batch, "", e) : rc;
    rc = rc == 0 ? tell_text(r, "rate", a->rate, e) : rc;
    rc = rc == 0 ? tell_text(r, "rows-rate", a->rows_rate, e) : rc;
    rc = rc == 0 ? tell_text(r, "bridge-rate", a->bridge_rate, e) : rc;
    rc = rc == 0 ? tell_number(r, "texts", a->texts, "", e) : rc;
    rc = rc == 0 ? tell_number(r, "row", c->row, "", e) : rc;
    rc = rc == 0 ? tell_number(r, "positions", c->positions, "", e) : rc;
    rc = rc == 0 ? tell_number(r, "expand", c->expand, "", e) : rc;
    rc = rc == 0 ? tell_number(r, "newest", c->newest, "", e) : rc;
    rc = rc == 0 ? tell_number(r, "tau", c->tau_ms, "ms", e) : rc;
    rc = rc == 0 ? tell_text(r, "hold-out", p->hold_out, e) : rc;
    rc = rc == 0 ? tell_number(r, "measure-rows", p->most, "", e) : rc;
    rc = rc == 0 ? tell_text(r, "weights", DECODER_FORMAT_NAMES[a->shown->weights], e) : rc;
    r->sheet.made = bytes_text(&r->made);
    return rc;
}

static int make_table(struct run *r, const volatile sig_atomic_t *cancel, struct error *e) {
    int rc = choose(r->chosen, r->a->only, e);
    r->visual = visual_of(r->chosen);
    rc = rc == 0 ? check_expand(r, e) : rc;
    rc = rc == 0 ? settle_folder(r, e) : rc;
    rc = rc == 0 ? open_posts(r, cancel, e) : rc;
    rc = rc == 0 ? write_prompts(r, e) : rc;
    rc = rc == 0 ? describe(r, e) : rc;
    if (rc < 0) {
        return rc;
    }
    r->work.a = r->a;
    r->work.prompts = r->prompts;
    r->work.cancel = cancel;
    r->sheet.lever_row = r->work.longest;
    if (r->a->time_ms > 0) {
        r->work.deadline = clock_seconds() + (double)r->a->time_ms * 1e-3;
    }
    r->sheet.accounts = paper_posts_accounts(r->posts);
    r->sheet.ranked = paper_posts_ranked(r->posts, &r->sheet.correlation);
    rc = make_all(r, e);
    if (rc == 0 || rc == ERR_CANCELLED) {
        const int left = leave_all(r, e);
        rc = left < 0 ? left : rc;
    }
    return rc;
}

int paper_run(const struct paper_arguments *a, const volatile sig_atomic_t *cancel,
              struct error *e) {
    struct paper_arguments settled = *a;
    struct perplexity_arguments shown = *a->shown;
    struct run r = {.a = &settled};
    settled.shown = &shown;
    shown.posts.context.positions =
        shown.posts.context.positions > 0 ? shown.posts.context.positions : CONTEXT_POSITIONS;
    const int rc =
        a->metrics != NULL ? paper_metrics(a->metrics, a->json, e) : make_table(&r, cancel, e);
    sheet_close(&r.sheet);
    paper_posts_close(r.posts);
    decoder_folder_close(&r.model);
    bytes_close(&r.made);
    free(r.prompts);
    return rc;
}
