/* train_tune_check.c - the options of `occ train tune`: what fits together. */
#include <string.h>

#include "cli/number.h"
#include "cli/store_context.h"
#include "cli/train_command.h"
#include "store/nest.h"

enum { EXPERTS = 4, CHOSEN = 2 };   /* of method occ, where nothing is said */
static const double BALANCE = 0.01, /* as Fedus et al. have it */
    HOLD_OUT = 0.1;

/* An option that was named. */
struct named {
    const char *name;
    bool is;
};

/* The first one that was, or NULL. */
static const char *first_of(const struct named *options, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (options[i].is) {
            return options[i].name;
        }
    }
    return NULL;
}
#define FIRST_OF(...)                                                                              \
    first_of((const struct named[]){__VA_ARGS__},                                                  \
             sizeof((const struct named[]){__VA_ARGS__}) / sizeof(struct named))

/* ---- What is trained ------------------------------------------------------------------------- */

static bool from_has_rows(const struct train_arguments *a) {
    return a->from != NULL && gspf_folder_is(a->from);
}

static bool from_has_bridge(const struct train_arguments *a) {
    return a->from != NULL && bridge_folder_is(a->from);
}

/* What would do nothing with this method. */
static int check_method(const struct train_arguments *a, struct error *e) {
    const enum tune_method method = a->tune.options.method;
    const char *name = TUNE_METHOD_NAMES[method];
    const char *shape = train_shape_named(a);
    const char *lora = shape != NULL ? shape : FIRST_OF({"--dropout", a->tune.dropout != NULL});
    const char *choice =
        FIRST_OF({"--budget", a->tune.budget != NULL}, {"--memory", a->tune.memory > 0});
    const char *rows =
        FIRST_OF({choice, choice != NULL}, {"--mask", a->tune.mask != NULL},
                 {"--freeze", a->tune.freeze != NULL}, {"--probe", a->tune.probe >= 0});
    const char *other = method == TUNE_FULL && a->tune.weights != DECODER_AUTO ? "--weights"
                        : method != TUNE_LORA                                  ? lora
                                                                               : NULL;
    other = !tune_by_rows(method) && rows != NULL ? rows : other;
    if (other != NULL) {
        return error_set(e, ERR_USAGE, "%s does nothing with --method %s", other, name);
    }
    if (shape != NULL && a->from != NULL && lora_folder_is(a->from)) {
        return error_set(e, ERR_USAGE, "%s: the adapter of --from has its own", shape);
    }
    if (choice != NULL && (a->tune.mask != NULL || from_has_rows(a))) {
        return error_set(e, ERR_USAGE, "%s: %s says which rows are trained", choice,
                         a->tune.mask != NULL ? "--mask" : "--from");
    }
    if (a->tune.mask != NULL && (method == TUNE_RANDOM_MASK || from_has_rows(a))) {
        return error_set(e, ERR_USAGE, "--mask: %s says which rows are trained",
                         method == TUNE_RANDOM_MASK ? "chance" : "--from");
    }
    return 0;
}

/* "2%" or 0.02. */
static int parse_share(double *out, const char *option, const char *text, struct error *e) {
    const size_t size = strlen(text);
    char number[32];
    if (size == 0 || text[size - 1] != '%' || size > sizeof number) {
        return number_parse(out, option, text, 1e-6, 1, e);
    }
    memcpy(number, text, size - 1);
    number[size - 1] = '\0';
    int rc = number_parse(out, option, number, 1e-4, 100, e);
    *out /= 100;
    return rc;
}

static int settle_rows(struct train_arguments *a, struct error *e) {
    struct gspf_options *o = &a->tune.options.gspf;
    int rc = 0;
    a->tune.options.mask = a->tune.mask;
    o->memory = (size_t)a->tune.memory;
    if (a->tune.budget != NULL) {
        rc = parse_share(&o->budget, "budget", a->tune.budget, e);
    } else if (o->memory > 0) {
        o->budget = 0; /* the memory alone decides */
    }
    if (rc == 0 && a->tune.freeze != NULL) {
        rc = number_parse(&o->freeze, "freeze", a->tune.freeze, 0, 0.99, e);
    }
    if (rc == 0 && a->tune.probe >= 0) {
        o->probe = a->tune.probe;
        rc = o->freeze > 0 ? 0 : error_set(e, ERR_USAGE, "--probe: --freeze 0 freezes nothing");
    }
    return rc;
}

/* ---- What is shown --------------------------------------------------------------------------- */

/* Options of a bridge, named without one. */
static const char *bridge_named(const struct train_arguments *a) {
    return FIRST_OF({"--bridge", a->tune.bridge >= 0}, {"--hidden", a->tune.hidden > 0},
                    {"--bridge-rate", a->tune.bridge_rate != NULL},
                    {"--encoder-rate", a->tune.encoder_rate != NULL},
                    {"--experts", a->tune.experts >= 0}, {"--no-experts", a->tune.no_experts},
                    {"--top", a->tune.top > 0});
}

static int check_context(const struct train_arguments *a, struct error *e) {
    const struct context_choice *c = &a->tune.context;
    const bool shown = c->kind != CONTEXT_AUTO, visual = c->kind == CONTEXT_VISUAL;
    const char *bridge = visual ? NULL : bridge_named(a);
    const char *text =
        shown ? FIRST_OF({"--packing", a->tune.packing > 0}, {"--prompts", a->tune.corpus.prompts})
              : NULL;
    if (bridge != NULL) {
        return error_set(e, ERR_USAGE, "%s is for --context visual", bridge);
    }
    if (text != NULL) {
        return error_set(e, ERR_USAGE, "%s: with --context a row is one post after its context",
                         text);
    }
    if (a->encoder != NULL && !visual && c->kind != CONTEXT_READ) {
        return error_set(e, ERR_USAGE, "--encoder is for --context visual and read");
    }
    if (!shown && a->tune.held_accounts != NULL) {
        return error_set(e, ERR_USAGE, "--hold-out-accounts is for --context");
    }
    if (a->tune.encoder_rate != NULL && a->files == 1) {
        return error_set(e, ERR_USAGE, "--encoder-rate takes a store and the streams of its pages");
    }
    if (shown && a->files > 1 && a->tune.encoder_rate == NULL) {
        return error_set(e, ERR_USAGE,
                         "--context takes one store; streams of its pages are for "
                         "--encoder-rate");
    }
    return shown ? 0 : context_choice_unused(c, e);
}

static int settle_experts(struct train_arguments *a, struct error *e) {
    struct bridge_experts *x = &a->tune.options.bridge.options.experts;
    const bool occ = a->tune.options.method == TUNE_OCC;
    const int64_t named = a->tune.experts >= 0 ? a->tune.experts : occ ? EXPERTS : 0;
    if (a->tune.no_experts && a->tune.experts > 0) {
        return error_set(e, ERR_USAGE, "--experts and --no-experts: name one");
    }
    const int64_t count = a->tune.no_experts ? 0 : named;
    const int64_t chosen = a->tune.top > 0 ? a->tune.top : count < CHOSEN ? count : CHOSEN;
    if (chosen > count) {
        return error_set(e, ERR_USAGE, "--top: there are %d experts", (int)count);
    }
    *x = (struct bridge_experts){.count = count, .chosen = chosen, .balance = BALANCE};
    return 0;
}

static int check_bridge(const struct train_arguments *a, struct error *e) {
    const struct tune_bridge *b = &a->tune.options.bridge;
    const char *named =
        FIRST_OF({"--bridge", a->tune.bridge >= 0}, {"--hidden", a->tune.hidden > 0});
    if (named != NULL && from_has_bridge(a)) {
        return error_set(e, ERR_USAGE, "%s: the adapter of --from has its own", named);
    }
    if (a->tune.hidden > 0 &&
        (b->options.kind == BRIDGE_LINEAR || b->options.kind == BRIDGE_NAMED)) {
        return error_set(e, ERR_USAGE, "--hidden: a bridge of the kind %s has no inner width",
                         BRIDGE_KIND_NAMES[b->options.kind]);
    }
    return b->rate > 0 || from_has_bridge(a)
               ? 0
               : error_set(e, ERR_USAGE, "--bridge-rate 0: a new bridge must learn");
}

static int settle_bridge(struct train_arguments *a, struct error *e) {
    enum { HIDDEN = 1024 /* of MLP; what spells has a width of its own */ };
    static const double LEARNED = 0.1; /* at the rate of the rest it forgets how to read */
    struct tune_bridge *b = &a->tune.options.bridge;
    const struct context_choice *c = &a->tune.context;
    b->used = true;
    b->rate = from_has_bridge(a) ? LEARNED : 1;
    b->options.kind = a->tune.bridge >= 0            ? (enum bridge_kind)a->tune.bridge
                      : a->tune.encoder_rate != NULL ? BRIDGE_READING
                                                     : BRIDGE_NAMED;
    b->options.expand = c->expand > 0 ? c->expand : 1;
    b->options.buckets = NEST_LEVELS + 1;
    b->options.hidden = a->tune.hidden > 0              ? a->tune.hidden
                        : b->options.kind == BRIDGE_MLP ? HIDDEN
                                                        : 0;
    int rc = a->tune.bridge_rate != NULL
                 ? number_parse(&b->rate, "bridge-rate", a->tune.bridge_rate, 0, 1e3, e)
                 : 0;
    if (rc == 0 && a->tune.encoder_rate != NULL) {
        rc = number_parse(&a->tune.options.encoder_rate, "encoder-rate", a->tune.encoder_rate, 1e-6,
                          1e3, e);
    }
    rc = rc == 0 ? check_bridge(a, e) : rc;
    return rc == 0 ? settle_experts(a, e) : rc;
}

/* The encoder that ships with the programs, where one is read and none is named. A bridge of --from
 * may need none. */
static int settle_encoder(struct train_arguments *a, struct error *e) {
    const int kind = a->tune.context.kind;
    const bool new = kind == CONTEXT_VISUAL && !from_has_bridge(a);
    int rc = 0;
    if (kind == CONTEXT_VISUAL || kind == CONTEXT_READ) {
        a->encoder = store_context_encoder(a->encoder, a->tune.bundled, sizeof a->tune.bundled);
    }
    if (a->encoder == NULL && (new || kind == CONTEXT_READ || a->tune.options.encoder_rate > 0)) {
        rc = error_set(e, ERR_USAGE,
                       "no encoder is named (--encoder FILE), and the bundled one is not there");
    }
    a->tune.options.bridge.encoder = a->encoder;
    return rc;
}

static int settle_context(struct train_arguments *a, struct error *e) {
    struct context_choice *c = &a->tune.context;
    int rc = context_choice_settle(c, e);
    if (rc == 0 && a->tune.options.method == TUNE_OCC) {
        c->kind = c->kind == CONTEXT_AUTO ? CONTEXT_VISUAL : c->kind;
        rc = c->kind == CONTEXT_VISUAL
                 ? 0
                 : error_set(e, ERR_USAGE,
                             "--method occ is gspf with --context visual: name --method gspf");
    }
    if (rc == 0) {
        rc = check_context(a, e);
    }
    if (rc == 0 && c->kind == CONTEXT_VISUAL) {
        rc = settle_bridge(a, e);
    }
    return rc;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static int check_data(struct train_arguments *a, struct error *e) {
    struct corpus_options *o = &a->tune.corpus;
    o->packing = a->tune.packing != 0;
    o->seed = (uint64_t)a->seed;
    o->held_out = HOLD_OUT;
    int rc = a->tune.held_out != NULL
                 ? number_parse(&o->held_out, "hold-out", a->tune.held_out, 0, 0.9, e)
                 : 0;
    return rc == 0 && a->tune.held_accounts != NULL
               ? number_parse(&a->tune.held_accounts_share, "hold-out-accounts",
                              a->tune.held_accounts, 0, 0.9, e)
               : rc;
}

static void settle_numbers(struct train_arguments *a) {
    struct tune_options *o = &a->tune.options;
    o->method = (enum tune_method)a->tune.method;
    o->format = (enum decoder_format)a->tune.weights;
    o->adapter = a->from;
    o->batch = a->batch > 0 ? a->batch : o->batch;
    o->seed = (uint64_t)a->seed;
    o->measure_steps = a->tune.measure > 0 ? a->tune.measure : o->measure_steps;
    o->measure_rows = a->tune.measure_rows > 0 ? a->tune.measure_rows : o->measure_rows;
    o->patience = a->tune.patience >= 0 ? a->tune.patience : o->patience;
}

int train_tune_check(struct train_arguments *a, struct error *e) {
    struct tune_options *o = &a->tune.options;
    settle_numbers(a);
    int rc = train_adapters_check(a, &o->trainer, "tune takes DATA...", e);
    if (rc == 0) {
        rc = check_data(a, e);
    }
    if (rc == 0) {
        rc = train_common(a, &o->trainer, e);
    }
    if (rc == 0) {
        rc = number_parse(&o->epochs, "epochs", a->tune.epochs, 1e-3, 1e6, e);
    }
    if (rc == 0) {
        rc = check_method(a, e);
    }
    if (rc == 0) {
        rc = train_lora(a, &o->lora, e);
    }
    if (rc == 0) {
        rc = settle_rows(a, e);
    }
    if (rc == 0) {
        rc = settle_context(a, e);
    }
    return rc == 0 ? settle_encoder(a, e) : rc;
}
