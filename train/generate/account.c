/* account.c - see account.h. */
#include "train/generate/account.h"

#include <stdlib.h>

struct account_prompts {
    const struct generate_model *model;
    const struct context_network *network;
    const struct history *history;
    const struct layout *layout;
    struct layout_space *space;
    struct tape *tape;
};

int account_prompts_open(struct account_prompts **out, const struct generate_model *m,
                         const struct context_network *network, const struct history *history,
                         const struct layout *layout, struct error *e) {
    /* Nothing is kept for a backward pass, so that rounding would only lose. */
    static const struct tape_options TAPE = {.storage = DTYPE_F32};
    struct account_prompts *p = *out = calloc(1, sizeof *p);
    if (p == NULL) {
        return error_memory(e, NULL);
    }
    *p = (struct account_prompts){
        .model = m, .network = network, .history = history, .layout = layout};
    int rc = layout_space_open(&p->space, layout, e);
    return rc < 0 ? rc : tape_open(&p->tape, m->device, &TAPE, e);
}

void account_prompts_close(struct account_prompts *p) {
    if (p == NULL) {
        return;
    }
    tape_close(p->tape);
    layout_space_close(p->space);
    free(p);
}

static int find(const struct history *h, const char *name, const struct history_account **out,
                struct error *e) {
    *out = history_find(h, name);
    return *out != NULL ? 0 : error_set(e, ERR_FORMAT, "the store has no account '%.200s'", name);
}

static int lay(struct account_prompts *p, const struct account_prompt *prompt,
               struct context_row *row, struct error *e) {
    const struct history_account *account = NULL, *style = NULL;
    int rc = find(p->history, prompt->account, &account, e);
    if (rc == 0 && prompt->style != NULL) {
        rc = find(p->history, prompt->style, &style, e);
    }
    return rc < 0 ? rc
                  : layout_prompt(p->layout, p->space, account, style, prompt->now, prompt->script,
                                  row, e);
}

/* Whether the decoder has its embeddings by itself. */
static bool is_plain(const struct context_row *row) {
    for (int64_t i = 0; i < row->tokens; i++) {
        if (row->inputs[i] < 0 || row->positions[i] != i) {
            return false;
        }
    }
    return true;
}

int account_prompts_lay(struct account_prompts *p, const struct account_prompt *prompt,
                        struct token_list *ids, struct token_list *positions, bool *embedded,
                        struct layout_spent *spent, struct error *e) {
    struct context_row row;
    const size_t before = ids->count;
    int rc = lay(p, prompt, &row, e);
    rc = rc < 0 ? rc : token_list_append(ids, row.inputs, (size_t)row.tokens, e);
    if (rc == 0) {
        rc = token_list_append(positions, row.positions, (size_t)row.tokens, e);
        ids->count = rc < 0 ? before : ids->count;
    }
    if (rc == 0) {
        *embedded = !is_plain(&row);
        *spent = layout_spent(p->space);
    }
    return rc;
}

int account_prompts_embed(struct account_prompts *p, const struct account_prompt *prompt,
                          float *inputs, struct bridge_routing *routing, struct error *e) {
    struct context_network network = *p->network;
    struct context_row row;
    struct tape *t = p->tape;
    struct device *d = tape_device(t);
    int rc = lay(p, prompt, &row, e);
    if (rc < 0) {
        return rc;
    }
    network.routing = routing;
    tape_begin(t);
    const struct node *x = context_embed(&network, &p->model->parts, t, &row);
    if (x != NULL) {
        struct error why;
        const struct tensor host =
            tensor_matrix(inputs, DTYPE_F32, NULL, row.tokens, p->model->config->width);
        const struct tensor from = tensor_as_matrix(&x->value);
        tape_fail(t, d->ops->download(d, &host, &from, &why), &why);
        tape_fail(t, d->ops->synchronize(d, &why), &why);
    }
    return tape_status(t, e);
}
