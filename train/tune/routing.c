/* routing.c - what the router of the style experts does: over the rows of a step, and with the
 * tokens of each account that is held out.
 *
 * routing.json, of the weights that are shipped:
 *
 *     {"step": 40, "entropy": 0.91, "dead": [3],
 *      "experts": [{"chosen": 0.31, "accounts": ["banana", ...]}, ...],
 *      "accounts": [{"account": "banana", "tokens": 640, "entropy": 0.85, "chosen": [0.5, ...]},
 * ...]}
 *
 * `chosen` are shares of all choices, `entropy` is the mean one of a token's probabilities in nats.
 * An expert is named by the accounts that choose it most above what all do; it is dead where it has
 * less than a hundredth of an even share. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/file.h"
#include "store/json.h"
#include "train/tune/task.h"

enum { NAMES = 5 /* of an expert, at most */ };

/* ---- Sums ------------------------------------------------------------------------------------ */

double *tune_routing_numbers(struct bridge_routing *list, int64_t experts, int64_t count) {
    double *numbers = calloc((size_t)(2 * experts * count) + 1, sizeof *numbers);
    for (int64_t i = 0; i < count && numbers != NULL; i++) {
        list[i] = (struct bridge_routing){.chosen = numbers + 2 * experts * i,
                                          .probability = numbers + 2 * experts * i + experts};
    }
    return numbers;
}

void tune_routing_clear(struct bridge_routing *r, int64_t experts) {
    memset(r->chosen, 0, (size_t)experts * sizeof *r->chosen);
    memset(r->probability, 0, (size_t)experts * sizeof *r->probability);
    r->entropy = r->tokens = 0;
}

static void add(struct bridge_routing *to, const struct bridge_routing *from, int64_t experts) {
    for (int64_t i = 0; i < experts; i++) {
        to->chosen[i] += from->chosen[i];
        to->probability[i] += from->probability[i];
    }
    to->entropy += from->entropy;
    to->tokens += from->tokens;
}

void tune_routing_move(struct bridge_routing *to, struct bridge_routing *from, int64_t experts) {
    add(to, from, experts);
    tune_routing_clear(from, experts);
}

int tune_routing_open(struct tune_task *k, struct error *e) {
    const int64_t experts = k->bridge.experts.count, rows = k->measured_rows;
    k->rows = calloc((size_t)rows + 1, sizeof *k->rows);
    k->row_numbers = k->rows != NULL ? tune_routing_numbers(k->rows, experts, rows) : NULL;
    k->routing_numbers = tune_routing_numbers(&k->routed, experts, 1);
    return k->row_numbers != NULL && k->routing_numbers != NULL ? 0 : error_memory(e, NULL);
}

void tune_routing_close(struct tune_task *k) {
    free(k->rows);
    free(k->row_numbers);
    free(k->routing_numbers);
    json_decref(k->routing);
}

/* ---- Numbers of a report --------------------------------------------------------------------- */

/* Of all choices. */
static double share(const struct bridge_routing *r, int64_t expert, int64_t experts) {
    double all = 0;
    for (int64_t i = 0; i < experts; i++) {
        all += r->chosen[i];
    }
    return all > 0 ? r->chosen[expert] / all : 0;
}

static json_t *shares_of(const struct bridge_routing *r, int64_t experts) {
    json_t *list = json_array();
    for (int64_t i = 0; i < experts; i++) {
        json_array_append_new(list, json_finite(share(r, i, experts)));
    }
    return list;
}

static double entropy_of(const struct bridge_routing *r) {
    return r->tokens > 0 ? r->entropy / r->tokens : 0;
}

json_t *tune_routing_line(const struct tune_task *k) {
    return json_pack("{s:o, s:o}", "chosen", shares_of(&k->routed, k->bridge.experts.count),
                     "entropy", json_finite(entropy_of(&k->routed)));
}

/* ---- Accounts -------------------------------------------------------------------------------- */

struct account_routing {
    const struct history_account *account;
    struct bridge_routing sums;
};
struct accounts {
    struct account_routing *list; /* sorted by name, each once */
    struct bridge_routing *sums;
    double *numbers;
    int64_t count;
};

static int compare_rows(const void *a, const void *b) {
    const struct account_routing *x = a, *y = b;
    return strcmp(x->account->name, y->account->name);
}

/* Rows of one account become one. */
static void join(struct accounts *a, int64_t experts) {
    int64_t last = -1;
    for (int64_t i = 0; i < a->count; i++) {
        if (last >= 0 && compare_rows(&a->list[last], &a->list[i]) == 0) {
            add(&a->list[last].sums, &a->list[i].sums, experts);
        } else {
            a->list[++last] = a->list[i];
        }
    }
    a->count = last + 1;
}

static int gather(struct accounts *a, const struct tune_task *k) {
    const int64_t experts = k->bridge.experts.count, rows = k->measured_rows;
    a->count = rows;
    a->list = calloc((size_t)rows + 1, sizeof *a->list);
    a->sums = calloc((size_t)rows + 1, sizeof *a->sums);
    a->numbers = a->sums != NULL ? tune_routing_numbers(a->sums, experts, rows) : NULL;
    if (a->list == NULL || a->numbers == NULL) {
        return ERR_MEMORY;
    }
    for (int64_t i = 0; i < rows; i++) {
        const struct history_post *post;
        layout_target(k->data.layout, CORPUS_HELD_OUT, 0, tune_measured_row(k, i),
                      &a->list[i].account, &post);
        add(&a->sums[i], &k->rows[i], experts);
        a->list[i].sums = a->sums[i];
    }
    qsort(a->list, (size_t)rows, sizeof *a->list, compare_rows);
    join(a, experts);
    return 0;
}

static void close_accounts(struct accounts *a) {
    free(a->list);
    free(a->sums);
    free(a->numbers);
}

/* ---- The report ------------------------------------------------------------------------------ */

/* The accounts that choose an expert most above what all do. */
static json_t *names_of(const struct accounts *a, const struct bridge_routing *all, int64_t expert,
                        int64_t experts) {
    json_t *names = json_array();
    double below = (double)INFINITY;
    int64_t taken = -1;
    for (int n = 0; n < NAMES; n++) {
        double most = share(all, expert, experts);
        int64_t best = -1;
        for (int64_t i = 0; i < a->count; i++) {
            const double s = share(&a->list[i].sums, expert, experts);
            if (s > most && (s < below || (s == below && i > taken))) {
                most = s;
                best = i;
            }
        }
        if (best < 0) {
            break;
        }
        json_array_append_new(names, json_string(a->list[best].account->name));
        below = most;
        taken = best;
    }
    return names;
}

static json_t *experts_of(const struct accounts *a, const struct bridge_routing *all,
                          int64_t experts) {
    json_t *list = json_array();
    for (int64_t i = 0; i < experts; i++) {
        json_array_append_new(list,
                              json_pack("{s:o, s:o}", "chosen", json_finite(share(all, i, experts)),
                                        "accounts", names_of(a, all, i, experts)));
    }
    return list;
}

static json_t *dead_of(const struct bridge_routing *all, int64_t experts) {
    json_t *list = json_array();
    for (int64_t i = 0; i < experts; i++) {
        if (share(all, i, experts) * (double)experts < 0.01) {
            json_array_append_new(list, json_integer(i));
        }
    }
    return list;
}

static json_t *accounts_of(const struct accounts *a, int64_t experts) {
    json_t *list = json_array();
    for (int64_t i = 0; i < a->count; i++) {
        const struct bridge_routing *r = &a->list[i].sums;
        json_array_append_new(
            list, json_pack("{s:s, s:I, s:o, s:o}", "account", a->list[i].account->name, "tokens",
                            (json_int_t)r->tokens, "entropy", json_finite(entropy_of(r)), "chosen",
                            shares_of(r, experts)));
    }
    return list;
}

json_t *tune_routing_report(const struct tune_task *k, int64_t step) {
    const int64_t experts = k->bridge.experts.count;
    struct bridge_routing all = {.chosen = NULL};
    struct accounts a = {.list = NULL};
    double *numbers = tune_routing_numbers(&all, experts, 1);
    json_t *report = NULL;
    if (numbers != NULL && gather(&a, k) == 0) {
        for (int64_t i = 0; i < a.count; i++) {
            add(&all, &a.list[i].sums, experts);
        }
        report = json_pack("{s:I, s:o, s:o, s:o, s:o}", "step", (json_int_t)step, "entropy",
                           json_finite(entropy_of(&all)), "dead", dead_of(&all, experts), "experts",
                           experts_of(&a, &all, experts), "accounts", accounts_of(&a, experts));
    }
    close_accounts(&a);
    free(numbers);
    return report;
}

/* ---- Checkpoints ----------------------------------------------------------------------------- */

/* Sums that are in no line yet, and the report of the best weights. */
int tune_routing_save(const struct tune_task *k, json_t *state) {
    const struct bridge_routing *r = &k->routed;
    json_t *sums = json_array();
    if (k->bridge.experts.count == 0) {
        json_decref(sums);
        return 0;
    }
    for (int64_t i = 0; i < k->bridge.experts.count; i++) {
        json_array_append_new(
            sums, json_pack("[o, o]", json_finite(r->chosen[i]), json_finite(r->probability[i])));
    }
    json_t *all =
        json_pack("{s:o, s:o, s:o, s:O?}", "experts", sums, "entropy", json_finite(r->entropy),
                  "tokens", json_finite(r->tokens), "report", k->routing);
    return json_object_set_new(state, "routing", all);
}

int tune_routing_restore(struct tune_task *k, const json_t *state, struct error *e) {
    const json_t *all = json_object_get(state, "routing");
    const json_t *sums = json_object_get(all, "experts"), *report = json_object_get(all, "report");
    const int64_t experts = k->bridge.experts.count;
    if (experts == 0) {
        return 0;
    }
    if ((int64_t)json_array_size(sums) != experts) {
        return error_set(e, ERR_FORMAT, "the checkpoint says nothing of the experts");
    }
    for (int64_t i = 0; i < experts; i++) {
        const json_t *pair = json_array_get(sums, (size_t)i);
        k->routed.chosen[i] = json_number_value(json_array_get(pair, 0));
        k->routed.probability[i] = json_number_value(json_array_get(pair, 1));
    }
    k->routed.entropy = json_number_value(json_object_get(all, "entropy"));
    k->routed.tokens = json_number_value(json_object_get(all, "tokens"));
    json_decref(k->routing);
    k->routing = json_is_object(report) ? json_deep_copy(report) : NULL;
    return 0;
}

/* ---- The file -------------------------------------------------------------------------------- */

int tune_routing_write(const struct tune_task *k, struct error *e) {
    struct bytes text;
    if (k->routing == NULL) {
        return 0; /* nothing was measured */
    }
    char *path = file_path(k->options->trainer.folder, "routing.json", e);
    bytes_init(&text, 1 << 26);
    int rc = path != NULL ? json_append(&text, k->routing, e) : ERR_MEMORY;
    if (rc == 0) {
        rc = bytes_append(&text, "\n", 1, e);
    }
    if (rc == 0) {
        rc = output_file_write(path, text.data, text.size, NULL, e);
    }
    bytes_close(&text);
    free(path);
    return rc;
}
