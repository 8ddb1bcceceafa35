/* generate_account.c - see generate_account.h. */
#include "cli/generate_account.h"

#include <stdlib.h>

int generate_account_open(struct generate_account *g, const struct store_context_options *o,
                          const struct generate_model *m, struct error *e) {
    int rc = store_context_open(&g->context, o, e);
    return rc < 0 ? rc
                  : account_prompts_open(&g->prompts, m, &g->context.network, g->context.history,
                                         g->context.layout, e);
}

void generate_account_close(struct generate_account *g) {
    account_prompts_close(g->prompts);
    store_context_close(&g->context);
}

/* 0: there are none. */
static size_t expert_count(const struct generate_account *g) {
    const struct bridge_options *bridge = g->context.network.bridge;
    return bridge != NULL ? (size_t)bridge->experts.count : 0;
}

int generate_account_embed(void *context, size_t request, float *inputs, struct error *e) {
    struct generate_account *g = context;
    struct prompt *prompt = &g->asked->items[request / (size_t)g->texts];
    const size_t experts = expert_count(g);
    if (experts == 0 || prompt->spent.soft == 0) {
        return account_prompts_embed(g->prompts, &prompt->asked, inputs, NULL, e);
    }
    free(prompt->experts);
    prompt->experts = calloc(2 * experts, sizeof *prompt->experts);
    if (prompt->experts == NULL) {
        return error_memory(e, NULL);
    }
    prompt->routing = (struct bridge_routing){.chosen = prompt->experts,
                                              .probability = prompt->experts + experts};
    return account_prompts_embed(g->prompts, &prompt->asked, inputs, &prompt->routing, e);
}

/* Of all choices, the share of each expert; and the mean entropy of the router. */
static json_t *routing_json(const struct prompt *prompt, size_t experts) {
    const struct bridge_routing *r = &prompt->routing;
    json_t *shares = json_array();
    double sum = 0;
    for (size_t i = 0; i < experts; i++) {
        sum += r->chosen[i];
    }
    for (size_t i = 0; i < experts && sum > 0; i++) {
        json_array_append_new(shares, json_real(r->chosen[i] / sum));
    }
    return json_pack("{s:o, s:f}", "experts", shares, "entropy",
                     r->tokens > 0 ? r->entropy / r->tokens : 0);
}

json_t *generate_account_json(const struct generate_account *g, const struct prompt *prompt) {
    const struct layout_spent *s = &prompt->spent;
    json_t *routing = prompt->experts != NULL ? routing_json(prompt, expert_count(g)) : NULL;
    json_t *spent = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "soft", (json_int_t)s->soft,
                              "marks", (json_int_t)s->marks, "pooled", (json_int_t)s->pooled,
                              "text", (json_int_t)s->text, "facts", (json_int_t)s->facts, "prompt",
                              (json_int_t)s->prompt);
    return json_pack("{s:s, s:I, s:I, s:I, s:o, s:o*}", "kind",
                     CONTEXT_KIND_NAMES[g->context.options.kind], "positions",
                     (json_int_t)store_context_positions(s), "stands_for", (json_int_t)s->shown,
                     "visual_tokens", (json_int_t)s->visual, "spent", spent, "routing", routing);
}
