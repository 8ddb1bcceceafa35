/* context_choice.c - see context_choice.h. */
#include "cli/context_choice.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

enum { ROW = 8192 };

/* A number is --row. */
static int settle_number(struct context_choice *c, struct error *e) {
    struct holder {
        struct context_choice choice;
    };
    static const struct option_spec SPEC = CONTEXT_ROW(struct holder, choice, NULL);
    if (c->row > 0) {
        return error_set(e, ERR_USAGE, "--context %.40s and --row are the same: name one",
                         c->context);
    }
    int rc = options_read(&SPEC, c->context, c, e);
    return rc < 0 ? error_context(e, "--context") : 0;
}

int context_choice_settle(struct context_choice *c, struct error *e) {
    c->kind = CONTEXT_AUTO;
    if (c->context == NULL) {
        return 0;
    }
    if (isdigit((unsigned char)c->context[0])) {
        return settle_number(c, e);
    }
    for (int i = 0; CONTEXT_KIND_NAMES[i] != NULL; i++) {
        if (strcmp(c->context, CONTEXT_KIND_NAMES[i]) == 0) {
            c->kind = i;
            return 0;
        }
    }
    return error_set(e, ERR_USAGE,
                     "--context: '%.40s' is none of none, visual, text, truncated-text, "
                     "pooled-text and read, nor a number",
                     c->context);
}

/* An option that is named and shapes a context; NULL: none. */
static const char *shaped(const struct context_choice *c) {
    return c->expand > 0   ? "--expand"
           : c->newest > 0 ? "--newest"
           : c->facts > 0  ? "--facts"
           : c->tau_ms > 0 ? "--tau"
                           : NULL;
}

int context_choice_unused(const struct context_choice *c, struct error *e) {
    const char *option = c->kind != CONTEXT_AUTO ? "--context"
                         : c->positions > 0      ? "--positions"
                                                 : shaped(c);
    return option == NULL
               ? 0
               : error_set(e, ERR_USAGE, "%s is for the posts of a store: --store FOLDER", option);
}

/* `*expand`: as it was named, or 0. */
static int settle_expand(int64_t *expand, const struct bridge_options *b, struct error *e) {
    const bool any = b == NULL || bridge_reads(b->kind);
    if (*expand == 0) {
        *expand = b != NULL && b->expand > 0 ? b->expand : 1;
    }
    if (any && (*expand & (*expand - 1)) != 0) {
        return error_set(e, ERR_USAGE, "--expand %" PRId64 ": 1, 2, 4 or 8", *expand);
    }
    return any || *expand == b->expand
               ? 0
               : error_set(e, ERR_USAGE, "--expand %" PRId64 ": this adapter was made for %" PRId64,
                           *expand, b->expand);
}

/* What is named of a row must have room in it. */
static int check_room(const struct context_choice *c, const struct layout_options *o,
                      struct error *e) {
    if (c->positions > o->row - 3) { /* a prompt's token, two of a target */
        return error_set(e, ERR_USAGE,
                         "rows of %" PRId64 " tokens have no room for contexts of %" PRId64
                         " and a target",
                         o->row, c->positions);
    }
    const bool newest = c->newest > o->positions;
    return newest || c->facts > o->positions
               ? error_set(e, ERR_USAGE,
                           "%s %" PRId64 ": a context has %" PRId64 " positions (--positions)",
                           newest ? "--newest" : "--facts", newest ? c->newest : c->facts,
                           o->positions)
               : 0;
}

static int settle_row(struct layout_options *o, const struct decoder_config *config,
                      struct error *e) {
    if (o->row == 0) {
        o->row = config->context < ROW ? config->context : ROW;
    }
    if (o->row > config->context) {
        return error_set(e, ERR_USAGE,
                         "--row %" PRId64 ": the model was trained on %" PRId64
                         " positions at most",
                         o->row, config->context);
    }
    if (o->positions == 0) { /* of a short row a part is for what is asked and written */
        const int64_t most = o->row / 4 * 3;
        o->positions = most < CONTEXT_POSITIONS ? most : CONTEXT_POSITIONS;
    }
    return 0;
}

int context_choice_layout(const struct context_choice *c, const struct decoder_config *config,
                          const struct bridge_options *bridge, struct layout_options *out,
                          struct error *e) {
    const int kind = c->kind != CONTEXT_AUTO ? c->kind
                     : bridge != NULL        ? CONTEXT_VISUAL
                                             : CONTEXT_TEXT;
    const char *option = kind == CONTEXT_NONE ? shaped(c) : NULL;
    int rc = 0;
    if (option != NULL) {
        rc = error_set(e, ERR_USAGE, "%s does nothing with --context none", option);
    } else if (kind == CONTEXT_VISUAL && bridge == NULL) {
        rc = error_set(e, ERR_USAGE,
                       "--context visual needs an adapter that reads visual tokens, as 'occ train "
                       "align' or 'occ train tune --context visual' makes one");
    }
    out->kind = (enum context_kind)kind;
    out->positions = c->positions;
    out->expand = c->expand;
    out->row = c->row;
    out->newest = c->newest;
    out->facts = c->facts;
    out->tau_seconds = (double)c->tau_ms * 1e-3;
    rc = rc == 0 ? settle_expand(&out->expand, bridge, e) : rc;
    rc = rc == 0 ? settle_row(out, config, e) : rc;
    return rc == 0 ? check_room(c, out, e) : rc;
}
