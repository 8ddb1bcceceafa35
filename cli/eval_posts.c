/* eval_posts.c - see eval_posts.h. */
#include "cli/eval_posts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/number.h"
#include "store/json.h"
#include "train/perplexity/posts.h"

/* Of an account's posts, or of all. */
struct sums {
    int64_t rows, targets, context, shown;
    double loss;
};

struct run {
    struct store_context shown;
    struct sums *accounts; /* (history_count) */
    struct sums all;
    bool json;
};

/* ---- Options ------------------------------------------------------------------------------- */

int posts_check(struct posts_arguments *a, struct error *e) {
    int rc = context_choice_settle(&a->context, e);
    const char *option = a->hold_out != NULL        ? "--hold-out"
                         : a->hold_accounts != NULL ? "--hold-out-accounts"
                         : a->most > 0              ? "--measure-rows"
                         : a->context.row > 0       ? "--row"
                                                    : NULL;
    if (rc < 0 || a->store != NULL) {
        return rc;
    }
    return option != NULL
               ? error_set(e, ERR_USAGE, "%s is for the posts of a store: --store FOLDER", option)
               : context_choice_unused(&a->context, e);
}

static int parse(const struct posts_arguments *a, struct store_context_options *o,
                 struct error *e) {
    int rc = 0;
    o->held_out = 0.1;
    if (a->hold_out != NULL) {
        rc = number_parse(&o->held_out, "hold-out", a->hold_out, 0, 0.9, e);
    }
    if (rc == 0 && a->hold_accounts != NULL) {
        rc = number_parse(&o->held_accounts, "hold-out-accounts", a->hold_accounts, 0, 0.9, e);
    }
    return rc;
}

/* ---- Sums ---------------------------------------------------------------------------------- */

static void add(struct sums *s, const struct posts_measured *m) {
    s->rows++;
    s->targets += m->targets;
    s->context += store_context_positions(&m->spent);
    s->shown += m->spent.shown;
    s->loss += m->loss;
}

static int take(void *context, const struct posts_measured *m, struct error *e) {
    struct run *r = context;
    if (!isfinite(m->loss)) {
        return error_set(e, ERR_FORMAT, "%.200s: its loss is %g: no perplexity", m->post->key,
                         m->loss);
    }
    add(&r->accounts[history_number(r->shown.history, m->account)], m);
    add(&r->all, m);
    return 0;
}

/* ---- Printing ------------------------------------------------------------------------------ */

static int print_json(const struct run *r, const char *account, const struct sums *s,
                      struct error *e) {
    const struct layout_options *o = &r->shown.options;
    const double mean = s->loss / (double)s->targets;
    struct bytes line;
    bytes_init(&line, 1 << 20);
    json_t *root = json_pack(
        "{s:s?, s:s, s:I, s:I, s:f, s:f, s:I, s:I, s:I, s:I}", "account", account, "context",
        CONTEXT_KIND_NAMES[o->kind], "rows", (json_int_t)s->rows, "targets", (json_int_t)s->targets,
        "loss", mean, "perplexity", exp(mean), "positions", (json_int_t)s->context, "stands_for",
        (json_int_t)s->shown, "budget", (json_int_t)o->positions, "expand", (json_int_t)o->expand);
    int rc = root != NULL ? json_append(&line, root, e) : error_memory(e, NULL);
    if (rc == 0 && puts(bytes_text(&line)) == EOF) {
        rc = error_set(e, ERR_CLOSED, "standard output: cannot be written");
    }
    json_decref(root);
    bytes_close(&line);
    return rc;
}

static int print(const struct run *r, const char *account, const struct sums *s, struct error *e) {
    const double mean = s->loss / (double)s->targets;
    if (r->json) {
        return print_json(r, account, s, e);
    }
    const double rows = (double)s->rows;
    printf("%-32s%10" PRId64 "%10" PRId64 "%10.4f%12.2f%12.1f%12.1f\n",
           account != NULL ? account : "all", s->rows, s->targets, mean, exp(mean),
           (double)s->context / rows, (double)s->shown / rows);
    return 0;
}

static int print_all(const struct run *r, struct error *e) {
    int rc = 0;
    size_t printed = 0;
    if (!r->json) {
        printf("%-32s%10s%10s%10s%12s%12s%12s\n", CONTEXT_KIND_NAMES[r->shown.options.kind], "rows",
               "tokens", "loss", "perplexity", "positions", "stand for");
    }
    for (size_t i = 0; i < history_count(r->shown.history) && rc == 0; i++) {
        if (r->accounts[i].rows > 0) {
            printed++;
            rc = print(r, history_get(r->shown.history, i)->name, &r->accounts[i], e);
        }
    }
    return rc == 0 && printed > 1 ? print(r, NULL, &r->all, e) : rc;
}

/* ---- A run --------------------------------------------------------------------------------- */

static int measure(struct run *r, const struct posts_arguments *a, const struct posts_model *m,
                   struct error *e) {
    const struct posts_options o = {.config = &m->folder->config,
                                    .parts = m->parts,
                                    .network = &r->shown.network,
                                    .layout = r->shown.layout,
                                    .most = a->most};
    r->accounts = calloc(history_count(r->shown.history) + 1, sizeof *r->accounts);
    if (r->accounts == NULL) {
        return error_memory(e, NULL);
    }
    int rc = posts_measure(&o, m->device, take, r, e);
    if (rc == 0 && r->all.targets == 0) {
        rc = error_set(e, ERR_FORMAT, "%s: no post with text is held out", a->store);
    }
    return rc == 0 ? print_all(r, e) : rc;
}

int posts_run(const struct posts_arguments *a, const struct posts_model *m, bool json,
              struct error *e) {
    struct run r = {.json = json};
    struct store_context_options o = {.store = a->store,
                                      .encoder = a->encoder,
                                      .choice = &a->context,
                                      .device = m->choice,
                                      .model = m->folder,
                                      .adapter = m->adapter};
    int rc = parse(a, &o, e);
    rc = rc == 0 ? store_context_open(&r.shown, &o, e) : rc;
    rc = rc == 0 ? measure(&r, a, m, e) : rc;
    store_context_close(&r.shown);
    free(r.accounts);
    return rc;
}
