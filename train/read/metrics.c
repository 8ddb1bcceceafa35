/* metrics.c - what heads have lost, for the lines of metrics.ndjson. */
#include <stdio.h>
#include <string.h>

#include "compress/ops.h"
#include "train/read/task.h"

int read_task_collect(void *context, void *worker, struct error *e) {
    struct read_task *r = context;
    struct read_worker *w = worker;
    struct device *d = w->device;
    float losses[READ_HEADS][READ_LOSSES];
    const struct tensor host = tensor_matrix(losses, DTYPE_F32, NULL, READ_HEADS, READ_LOSSES);
    int rc = d->ops->download(d, &host, &w->pass.losses, e);
    if (rc == 0) {
        rc = d->ops->fill(d, &w->pass.losses, 0, e);
    }
    for (int i = 0; i < READ_HEADS && rc == 0; i++) {
        for (int k = 0; k < READ_LOSSES; k++) {
            r->sums.loss[i][k] += (double)losses[i][k];
        }
        r->sums.characters[i] += w->pass.characters[i];
        w->pass.characters[i] = 0;
    }
    return rc;
}

/* [character, presence] a character. */
static void put_loss(json_t *line, const char *name, const struct read_sums *sums, int head) {
    double characters = (double)sums->characters[head];
    if (characters > 0) {
        json_t *pair = json_pack("[f, f]", sums->loss[head][READ_CHARACTER] / characters,
                                 sums->loss[head][READ_PRESENCE] / characters);
        json_object_set_new(line, name, pair);
    }
}

/* "stages" that learn, then cross-entropies: "earlyN" of the heads before the last, of that by kind
 * of page, "halvedK". */
static void put_all(const struct read_task *r, json_t *line) {
    char name[32];
    json_object_set_new(line, "stages", json_integer((int)r->plan.last + 1));
    for (int i = 0; i < READ_EARLY; i++) {
        snprintf(name, sizeof name, "early%d", i);
        put_loss(line, name, &r->sums, READ_OF_EARLY + i);
    }
    for (int i = 0; i < READ_KINDS; i++) {
        const char *kind = r->source->kinds[i];
        put_loss(line, kind != NULL ? kind : "", &r->sums, READ_OF_KIND + i);
    }
    for (int i = 0; i < READ_HALVINGS; i++) {
        snprintf(name, sizeof name, "halved%d", i + 1);
        put_loss(line, name, &r->sums, READ_OF_HALVING + i);
    }
}

void read_task_report(void *context, json_t *line, double *loss) {
    struct read_task *r = context;
    double sum = 0, characters = 0;
    for (int i = READ_OF_KIND; i < READ_OF_KIND + READ_KINDS; i++) {
        sum += r->sums.loss[i][READ_CHARACTER] + r->sums.loss[i][READ_PRESENCE];
        characters += (double)r->sums.characters[i];
    }
    *loss = characters > 0 ? sum / characters : 0;
    if (line != NULL) {
        put_all(r, line);
        memset(&r->sums, 0, sizeof r->sums);
    }
}
