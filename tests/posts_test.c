/* posts_test.c - posts after the older ones of their account: what is measured (posts.h) is what
 * generation sees (account.h, a session with a cache), for every kind of context; prompts have the
 * inputs of the rows that are learned from. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "train/perplexity/posts.h"

#include <math.h>

#include "tests/cell_store.h"
#include "tests/model_folder.h"
#include "tests/reader_file.h"
#include "tests/tested_device.h"
#include "train/decoder/session.h"
#include "train/generate/account.h"

enum { NOON = 1700000000, POSTS = 6, ROW = 120, EXPERTS = 3 };
/* Of losses of about 20 tokens and 6 nats each, in F32. */
#define LOSS_LIMIT 2e-3

static struct {
    char path[64];
    struct device *device;
    struct decoder_folder folder;
    struct decoder *decoder;
    struct history *history;
    struct parameters *parameters;
    struct tape_source source;
    struct bridge_options options;
    struct context_network network;
    struct generate_model model;
    struct reader *reader;
} here;

static void must(int rc, const struct error *e) {
    if (!CHECK_NUMBER(rc, 0)) {
        printf("# %s\n", e->text);
        exit(1);
    }
}

/* ---- The store and the model ----------------------------------------------------------------- */

static void fill_store(void) {
    static const char *const TEXTS[POSTS] = {"One banana.",     "Two of them!", "Three, in a row",
                                             "four and a pear", "5 more",       "The sixth"};
    struct store *s = store_new(here.path);
    put_nesting(s);
    for (int i = 0; i < POSTS; i++) {
        char key[16], json[64], pack[24];
        snprintf(key, sizeof key, "kiwi/%d", i);
        snprintf(json, sizeof json, "{\"samples\": [\"%s\"]}", key);
        snprintf(pack, sizeof pack, "kiwi/pack%%3A%d", i);
        put_post(s, key, NOON + i, "kiwi", TEXTS[i]);
        const struct cell cells[] = {{key, "▤"}, {key, TEXTS[i]}};
        put_cells(s, &(struct cell_page){.key = pack,
                                         .json = json,
                                         .created = NOON + i,
                                         .cells = cells,
                                         .count = 2,
                                         .first = (float)i,
                                         .codec = CODEC_BF16});
    }
    put_post(s, "plum/0", NOON, "plum", "Nothing before");
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
}

static void open_bridge(void) {
    struct error e = {0};
    here.options = (struct bridge_options){.kind = BRIDGE_LINEAR,
                                           .dim = STORE_DIM,
                                           .width = here.folder.config.width,
                                           .expand = 2,
                                           .buckets = 1,
                                           .scale = 0.1,
                                           .encoder = STORE_ENCODER.fingerprint,
                                           .experts = {.count = EXPERTS, .chosen = 2, .hidden = 4}};
    must(bridge_check(&here.options, &e), &e);
    must(parameters_open(&here.parameters, here.device, &e), &e);
    must(bridge_list(&here.options, false, parameters_take, here.parameters, &e), &e);
    must(parameters_allocate(here.parameters, &e), &e);
    must(parameters_fill(here.parameters, 4, &e), &e);
    here.source = parameters_source(here.parameters);
    here.network = (struct context_network){.source = &here.source};
}

static void open_all(void) {
    struct error e = {0};
    folder_new(here.path);
    fill_store();
    must(device_open_team(&here.device, tested_backend(), DTYPE_F32, 2, &e), &e);
    must(decoder_folder_open(&here.folder, SMALL_MODEL, &e), &e);
    must(decoder_open(&here.decoder, &here.folder, DECODER_F32, here.device, &e), &e);
    must(history_open(&here.history, here.path, NULL, NULL, &e), &e);
    here.model = (struct generate_model){.device = here.device,
                                         .config = &here.folder.config,
                                         .parts = decoder_parts(here.decoder),
                                         .tokenizer = here.folder.tokenizer};
    static const double PRESENT[] = {1 - 1e-9, 1e-9, 1e-9, 1e-9}; /* a character a cell */
    const struct reader_file file = {.dim = STORE_DIM, .presence = PRESENT};
    char reader[80];
    snprintf(reader, sizeof reader, "%s-reader.safetensors", here.path);
    here.reader = reader_of(reader, &file);
    open_bridge();
}

static void close_all(void) {
    reader_close(here.reader);
    history_close(here.history);
    parameters_close(here.parameters);
    decoder_close(here.decoder);
    decoder_folder_close(&here.folder);
    device_close(here.device);
    folder_end(here.path);
}

/* Of other kinds no row has marks or soft tokens. */
static struct layout *open_layout(enum context_kind kind) {
    here.network.bridge = kind == CONTEXT_VISUAL ? &here.options : NULL;
    const struct layout_options o = {.model = &here.folder,
                                     .kind = kind,
                                     .positions = 40,
                                     .row = ROW,
                                     .expand = 2,
                                     .held_out = 0.5,
                                     .reader = here.reader};
    struct layout *l = NULL;
    struct error e = {0};
    must(layout_open(&l, &o, here.history, NULL, &e), &e);
    return l;
}

/* ---- Measured and generated ------------------------------------------------------------------ */

enum { MEASURED = 16 };
struct measured {
    struct posts_measured rows[MEASURED];
    int count;
};

static int take(void *context, const struct posts_measured *m, struct error *e) {
    struct measured *to = context;
    (void)e;
    if (CHECK(to->count < MEASURED)) {
        to->rows[to->count++] = *m;
    }
    return 0;
}

static void measure(const struct layout *l, int64_t most, struct measured *out) {
    const struct posts_options o = {.config = &here.folder.config,
                                    .parts = here.model.parts,
                                    .network = &here.network,
                                    .layout = l,
                                    .most = most};
    struct error e = {0};
    out->count = 0;
    must(posts_measure(&o, here.device, take, out, &e), &e);
}

/* The inputs of a row, (tokens, width). */
static float *inputs_of(const struct context_row *row) {
    static const struct tape_options TAPE = {.storage = DTYPE_F32};
    const int64_t width = here.folder.config.width;
    float *x = calloc((size_t)(row->tokens * width), sizeof *x);
    struct tape *t = NULL;
    struct error e = {0};
    must(tape_open(&t, here.device, &TAPE, &e), &e);
    tape_begin(t);
    const struct node *y = context_embed(&here.network, &here.model.parts, t, row);
    must(tape_status(t, &e), &e);
    const struct tensor host = tensor_matrix(x, DTYPE_F32, NULL, row->tokens, width);
    const struct tensor from = tensor_as_matrix(&y->value);
    must(here.device->ops->download(here.device, &host, &from, &e), &e);
    tape_close(t);
    return x;
}

static double loss_of(const float *logits, int32_t label) {
    const int64_t n = here.folder.config.vocabulary;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += exp((double)logits[i] - (double)logits[label]);
    }
    return log(sum);
}

/* The loss of a row's targets by a session: in two turns, so that the cache is in it. */
static double session_loss(const struct context_row *row) {
    const int64_t width = here.folder.config.width, n = here.folder.config.vocabulary;
    const int64_t half = row->tokens / 2;
    struct decoder_session *s = NULL;
    struct error e = {0};
    float *x = inputs_of(row), *logits = calloc((size_t)(row->tokens * n), sizeof *logits);
    double loss = 0;
    must(decoder_session_open(&s, here.device, &here.folder.config, &here.model.parts, 1, ROW, &e),
         &e);
    const struct decoder_turn turns[] = {{.count = half, .inputs = x, .positions = row->positions},
                                         {.count = row->tokens - half,
                                          .inputs = x + half * width,
                                          .positions = row->positions + half}};
    must(decoder_extend(s, &turns[0], 1, true, logits, &e), &e);
    must(decoder_extend(s, &turns[1], 1, true, logits + half * n, &e), &e);
    for (int64_t i = 0; i < row->tokens; i++) {
        loss += row->labels[i] >= 0 ? loss_of(logits + i * n, row->labels[i]) : 0;
    }
    decoder_session_close(s);
    free(logits);
    free(x);
    return loss;
}

static void check_kind(enum context_kind kind) {
    struct layout *l = open_layout(kind);
    struct layout_space *space = NULL;
    struct measured m;
    struct error e = {0};
    double worst = 0;
    measure(l, 0, &m);
    CHECK_NUMBER(m.count, layout_counts(l, CORPUS_HELD_OUT).rows);
    must(layout_space_open(&space, l, &e), &e);
    for (int i = 0; i < m.count; i++) {
        struct context_row row;
        must(layout_row(l, space, CORPUS_HELD_OUT, 0, i, &row, &e), &e);
        CHECK_NUMBER(m.rows[i].targets, row.targets);
        CHECK_TEXT(m.rows[i].account->name, "kiwi");
        CHECK((kind == CONTEXT_VISUAL) == (m.rows[i].spent.soft > 0));
        CHECK((kind == CONTEXT_NONE) == (m.rows[i].spent.shown == 0));
        worst = fmax(worst, fabs(m.rows[i].loss - session_loss(&row)));
    }
    if (!CHECK(worst < LOSS_LIMIT)) {
        printf("# %s: losses differ by %g\n", CONTEXT_KIND_NAMES[kind], worst);
    }
    layout_space_close(space);
    layout_close(l);
}

static void what_is_measured_is_what_generation_sees(void) {
    check_kind(CONTEXT_NONE);
    check_kind(CONTEXT_VISUAL);
    check_kind(CONTEXT_TEXT);
    check_kind(CONTEXT_TRUNCATED);
    check_kind(CONTEXT_POOLED);
    check_kind(CONTEXT_READ);
}

static void some_rows_are_measured_from_all_over_them(void) {
    struct layout *l = open_layout(CONTEXT_VISUAL);
    struct measured all, some;
    measure(l, 0, &all);
    measure(l, 2, &some);
    CHECK_NUMBER(all.count, 3);
    CHECK_NUMBER(some.count, 2);
    CHECK(some.rows[0].post == all.rows[0].post && some.rows[1].post == all.rows[1].post);
    layout_close(l);
}

/* ---- Prompts --------------------------------------------------------------------------------- */

/* A prompt at the time of a post is what stands before its caption in a row. */
static void prompts_have_the_inputs_of_rows(void) {
    const int64_t width = here.folder.config.width;
    struct layout *l = open_layout(CONTEXT_VISUAL);
    struct layout_space *space = NULL;
    struct account_prompts *p = NULL;
    struct error e = {0};
    must(layout_space_open(&space, l, &e), &e);
    must(account_prompts_open(&p, &here.model, &here.network, here.history, l, &e), &e);
    for (int64_t i = 0; i < layout_counts(l, CORPUS_HELD_OUT).rows; i++) {
        struct token_list ids = {.ids = NULL}, positions = {.ids = NULL};
        struct layout_spent spent;
        const struct history_account *account;
        const struct history_post *post;
        struct context_row row;
        bool embedded = false;
        layout_target(l, CORPUS_HELD_OUT, 0, i, &account, &post);
        const struct account_prompt prompt = {.account = account->name, .now = post->created};
        must(account_prompts_lay(p, &prompt, &ids, &positions, &embedded, &spent, &e), &e);
        must(layout_row(l, space, CORPUS_HELD_OUT, 0, i, &row, &e), &e);
        CHECK(embedded && spent.soft > 0 && (int64_t)ids.count < row.tokens);
        CHECK_NUMBER(ids.count, positions.count);
        CHECK(memcmp(ids.ids, row.inputs, ids.count * sizeof *ids.ids) == 0);
        CHECK(memcmp(positions.ids, row.positions, ids.count * sizeof *ids.ids) == 0);
        float *wanted = inputs_of(&row);
        float *inputs = calloc(ids.count * (size_t)width, sizeof *inputs);
        double chosen[EXPERTS] = {0}, probability[EXPERTS] = {0};
        struct bridge_routing routing = {.chosen = chosen, .probability = probability};
        must(account_prompts_embed(p, &prompt, inputs, &routing, &e), &e);
        CHECK(memcmp(inputs, wanted, ids.count * (size_t)width * sizeof *inputs) == 0);
        CHECK_NUMBER(routing.tokens, spent.soft);
        CHECK_NUMBER(chosen[0] + chosen[1] + chosen[2], 2 * spent.soft);
        free(inputs);
        free(wanted);
        token_list_close(&ids);
        token_list_close(&positions);
    }
    account_prompts_close(p);
    layout_space_close(space);
    layout_close(l);
}

static void a_prompt_of_text_alone_is_plain(void) {
    static const enum context_kind KINDS[] = {CONTEXT_TEXT, CONTEXT_VISUAL};
    for (int i = 0; i < 2; i++) {
        struct layout *l = open_layout(KINDS[i]);
        struct account_prompts *p = NULL;
        struct token_list ids = {.ids = NULL}, positions = {.ids = NULL};
        struct layout_spent spent;
        bool embedded = true;
        struct error e = {0};
        must(account_prompts_open(&p, &here.model, &here.network, here.history, l, &e), &e);
        /* plum's only post is not older than itself: there is nothing to be shown */
        const struct account_prompt prompt = {.account = KINDS[i] == CONTEXT_TEXT ? "kiwi" : "plum",
                                              .now = NOON};
        must(account_prompts_lay(p, &prompt, &ids, &positions, &embedded, &spent, &e), &e);
        CHECK(!embedded && spent.shown == 0 && (int64_t)ids.count == spent.prompt);
        const struct account_prompt nobody = {.account = "nobody", .now = NOON};
        const size_t count = ids.count;
        CHECK_NUMBER(account_prompts_lay(p, &nobody, &ids, &positions, &embedded, &spent, &e),
                     ERR_FORMAT);
        CHECK_TEXT(e.text, "the store has no account 'nobody'");
        CHECK(ids.count == count && positions.count == count);
        account_prompts_close(p);
        token_list_close(&ids);
        token_list_close(&positions);
        layout_close(l);
    }
}

int main(void) {
    open_all();
    RUN(what_is_measured_is_what_generation_sees);
    RUN(some_rows_are_measured_from_all_over_them);
    RUN(prompts_have_the_inputs_of_rows);
    RUN(a_prompt_of_text_alone_is_plain);
    close_all();
    return test_finish();
}
