/* results.c - see sheet.h: what was measured, read from files. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "store/file.h"
#include "store/json.h"
#include "train/paper/sheet.h"

enum { FILE_LIMIT = 1 << 28 };

void sheet_close(struct sheet *t) {
    for (int row = 0; row < SHEET_ROWS; row++) {
        struct sheet_figures *f = &t->rows[row];
        free(f->losses);
        free(f->targets);
        free(f->style);
        free(f->captions);
        *f = (struct sheet_figures){.seeds = 0};
    }
}

static int begin_row(struct sheet_figures *f, size_t accounts, struct error *e) {
    f->losses = calloc(accounts + 1, sizeof *f->losses);
    f->targets = calloc(accounts + 1, sizeof *f->targets);
    f->style = calloc(accounts + 1, sizeof *f->style);
    for (size_t i = 0; i < accounts && f->losses != NULL && f->targets != NULL; i++) {
        f->losses[i] = f->targets[i] = (double)NAN;
    }
    return f->losses != NULL && f->targets != NULL && f->style != NULL ? 0 : error_memory(e, NULL);
}

static void add(double *to, double value) {
    *to = isfinite(*to) ? *to + value : value;
}

/* ---- Losses ---------------------------------------------------------------------------------- */

static int add_losses(struct sheet *t, struct sheet_figures *f, const char *path,
                      const struct paper_posts *posts, struct error *e) {
    json_t *lines = json_read_file(path, FILE_LIMIT, NULL, e), *line;
    size_t i, known = 0;
    if (lines == NULL) {
        return ERR_FORMAT;
    }
    json_array_foreach(lines, i, line) {
        const char *name = json_get_text(line, "account");
        const size_t account = name != NULL ? paper_posts_find(posts, name) : SIZE_MAX;
        const double targets = json_get_real(line, "targets", 0);
        if (account < t->accounts && targets > 0) {
            add(&f->losses[account], targets * json_get_real(line, "loss", (double)NAN));
            add(&f->targets[account], targets);
            f->positions += json_get_real(line, "positions", 0);
            f->shown += json_get_real(line, "stands_for", 0);
            f->posts += json_get_real(line, "rows", 0);
            known++;
        }
    }
    json_decref(lines);
    return known > 0 ? 0
                     : error_set(e, ERR_FORMAT, "%s: says nothing of the store's accounts", path);
}

/* ---- Texts ----------------------------------------------------------------------------------- */

/* Those of a file, which `lines` owns. */
static int list_texts(struct paper_text **out, size_t *count, const json_t *lines,
                      const struct paper_posts *posts, struct error *e) {
    const size_t most = json_array_size(lines);
    struct paper_text *texts = *out = calloc(most + 1, sizeof *texts);
    *count = 0;
    if (texts == NULL) {
        return error_memory(e, NULL);
    }
    for (size_t i = 0; i < most; i++) {
        const json_t *line = json_array_get(lines, i), *text = json_object_get(line, "generated");
        const char *name = json_get_text(line, "account");
        const size_t account = name != NULL ? paper_posts_find(posts, name) : SIZE_MAX;
        if (account != SIZE_MAX && json_string_length(text) > 0) {
            texts[(*count)++] = (struct paper_text){.account = account,
                                                    .text = json_string_value(text),
                                                    .size = json_string_length(text)};
        }
    }
    return 0;
}

/* Adds the mean over seeds, of which `f` has f->seeds. */
static void add_style(struct sheet_figures *f, const struct style_bounds *bounds, size_t accounts) {
    const double seeds = f->seeds;
    for (size_t i = 0; i < accounts; i++) {
        for (int view = 0; view < STYLE_VIEWS; view++) {
            double *own = &f->style[i].own[view];
            f->style[i].floor[view] = bounds[i].floor[view];
            f->style[i].ceiling[view] = bounds[i].ceiling[view];
            *own = (*own * seeds + bounds[i].own[view]) / (seeds + 1);
        }
    }
}

static int add_captions(struct sheet_figures *f, const struct paper_posts *posts,
                        const struct paper_text *texts, size_t count, struct error *e) {
    double *all =
        array_grow(f->captions, &f->caption_room, f->caption_count + count + 1, sizeof *all, e);
    if (all == NULL) {
        return ERR_MEMORY;
    }
    f->captions = all;
    const int rc = paper_posts_captions(posts, texts, count, all + f->caption_count, e);
    f->caption_count += rc == 0 ? count : 0;
    return rc;
}

static int add_texts(struct sheet *t, struct sheet_figures *f, const char *path,
                     const struct paper_posts *posts, struct error *e) {
    json_t *lines = json_read_file(path, FILE_LIMIT, NULL, e);
    struct style_bounds *bounds = calloc(t->accounts + 1, sizeof *bounds);
    struct paper_text *texts = NULL;
    size_t count = 0;
    int rc = lines == NULL ? ERR_FORMAT : bounds == NULL ? error_memory(e, NULL) : 0;
    if (rc == 0) {
        rc = list_texts(&texts, &count, lines, posts, e);
    }
    if (rc == 0) {
        rc = paper_posts_style(posts, texts, count, bounds, e);
    }
    if (rc == 0) {
        add_style(f, bounds, t->accounts);
        rc = add_captions(f, posts, texts, count, e);
    }
    free(texts);
    free(bounds);
    json_decref(lines);
    return rc;
}

/* ---- Cost ------------------------------------------------------------------------------------ */

static int read_cost(const char *path, double *predicted, double *peak, struct error *e) {
    json_t *cost = json_read_file(path, FILE_LIMIT, NULL, e);
    if (cost == NULL) {
        return ERR_FORMAT;
    }
    *predicted = json_get_real(cost, "predicted", (double)NAN);
    *peak = json_get_real(cost, "peak", (double)NAN);
    json_decref(cost);
    return isfinite(*predicted) ? 0 : error_set(e, ERR_FORMAT, "%s: says nothing of memory", path);
}

int sheet_add(struct sheet *t, int row, const struct sheet_files *files,
              const struct paper_posts *posts, struct error *e) {
    struct sheet_figures *f = &t->rows[row];
    double predicted, peak;
    int rc = f->seeds > 0 ? 0 : begin_row(f, t->accounts, e);
    if (rc == 0) {
        rc = add_losses(t, f, files->posts, posts, e);
    }
    if (rc == 0) {
        rc = add_texts(t, f, files->texts, posts, e);
    }
    if (rc == 0) {
        rc = read_cost(files->cost, &predicted, &peak, e);
    }
    if (rc == 0) {
        f->predicted = fmax(f->predicted, predicted);
        f->peak = fmax(f->peak, peak);
        f->seeds++;
    }
    return rc;
}

int sheet_add_lever(struct sheet *t, const char *title, const char *cost, struct error *e) {
    if (t->lever_count == sizeof t->levers / sizeof *t->levers) {
        return error_set(e, ERR_LIMIT, "there are more levers than a table has room for");
    }
    struct sheet_lever l = {.title = title};
    const int rc = read_cost(cost, &l.predicted, &l.peak, e);
    if (rc == 0) {
        t->levers[t->lever_count++] = l;
    }
    return rc;
}
