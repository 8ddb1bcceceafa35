/* occ-generate.c - the command line of `occ generate`: text out of a language model. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/device_choice.h"
#include "cli/generate_account.h"
#include "cli/number.h"
#include "cli/tool.h"
#include "store/file.h"
#include "store/json.h"
#include "store/log.h"
#include "store/random.h"
#include "train/generate/generate.h"

struct arguments {
    const char *model, *adapter, *encoder;
    struct prompt_arguments prompts;
    struct context_choice context;
    int64_t texts, max_tokens, together, top_k, no_repeat, seed, threads;
    const char *temperature, *top_p, *min_p, *repetition;
    struct option_list stops;
    bool json;
    int weights;
    struct device_choice device;
    struct tool_messages messages;
};

#define FIELD(name) offsetof(struct arguments, name)
static const struct option_spec OPTIONS[] = {
    {"", .help = "The model and what it goes on with"},
    {"model", 'm', OPTION_TEXT, FIELD(model), "FOLDER",
     .help = "a language model in the Hugging Face layout, as train/get-smollm2.sh makes one"},
    {"adapter", 'a', OPTION_TEXT, FIELD(adapter), "FOLDER",
     .help = "an adapter of it, as 'occ train align', 'occ train tune' or PEFT writes it"},
    {"prompt", 'p', OPTION_TEXT, FIELD(prompts.prompt), "TEXT", .help = "a text to go on with"},
    {"prompt-file", 0, OPTION_TEXT, FIELD(prompts.prompt_file), "FILE",
     .help = "the same from a file, without its last newline; '-' is standard input"},
    {"chat", 'c', OPTION_TEXT, FIELD(prompts.chat), "TEXT",
     .help = "a message to answer, by the model's chat template"},
    {"system", 0, OPTION_TEXT, FIELD(prompts.system), "TEXT",
     .help = "the system message before it"},
    {"batch", 'b', OPTION_TEXT, FIELD(prompts.batch), "FILE",
     .help = "JSON lines with a \"prompt\" or \"messages\" each, with --store an \"account\", run "
             "together; prints JSON lines; '-' is standard input"},
    {"", .help = "Posts of an account, after its older ones"},
    {"store", 0, OPTION_TEXT, FIELD(prompts.store), "FOLDER",
     .help = "the token store that older posts are shown from"},
    {"account", 0, OPTION_TEXT, FIELD(prompts.account), "NAME",
     .help = "write a caption of this account of the store"},
    {"script", 0, OPTION_FLAG, FIELD(prompts.script), .help = "write a script, not a caption"},
    {"style-from", 0, OPTION_TEXT, FIELD(prompts.style), "NAME",
     .help = "show the posts of this account in the place of its own"},
    {"now", 0, OPTION_TEXT, FIELD(prompts.now), "DATE",
     .help = "when it is written, as YYYY-MM-DD or Unix seconds: older posts are shown; default: "
             "now"},
    CONTEXT_KIND_ROW(struct arguments, context, NULL,
                     "visual where the adapter reads tokens, else text"),
    CONTEXT_POSITIONS_ROW(struct arguments, context, NULL),
    CONTEXT_EXPAND_ROW(struct arguments, context, NULL),
    CONTEXT_NEWEST_ROW(struct arguments, context, NULL),
    CONTEXT_FACTS_ROW(struct arguments, context, NULL),
    CONTEXT_TAU_ROW(struct arguments, context, NULL),
    {"encoder", 0, OPTION_TEXT, FIELD(encoder), "FILE",
     .help = "the encoder that made the store, whose reading head an adapter, or --context read, "
             "may need; default: the bundled one"},
    {"", .help = "How much"},
    {"texts", 'n', OPTION_INTEGER, FIELD(texts), "N",
     .help = "texts for each prompt; more than one need --temperature", .minimum = 1,
     .maximum = 100000},
    {"max-tokens", 0, OPTION_INTEGER, FIELD(max_tokens), "N",
     .help = "most tokens of a text; 0: as many as the context has room for"},
    {"stop", 0, OPTION_LIST, FIELD(stops), "TEXT",
     .help = "a text ends before this one, too; may be given several times"},
    CONTEXT_ROW(struct arguments, context, NULL),
    {"", .help = "Which token is next"},
    {"temperature", 't', OPTION_TEXT, FIELD(temperature), "T",
     .help = "0 takes the likeliest token; above it one is drawn, more evenly the higher it is"},
    {"top-k", 0, OPTION_INTEGER, FIELD(top_k), "K",
     .help = "draw from the K likeliest tokens; 0: from all", .maximum = INT32_MAX},
    {"top-p", 0, OPTION_TEXT, FIELD(top_p), "P",
     .help = "draw from the fewest tokens that make this share of the probability"},
    {"min-p", 0, OPTION_TEXT, FIELD(min_p), "P",
     .help = "draw from tokens at least this share as likely as the likeliest"},
    {"repetition-penalty", 0, OPTION_TEXT, FIELD(repetition), "X",
     .help = "make tokens that were there less likely, above 1"},
    {"no-repeat", 0, OPTION_INTEGER, FIELD(no_repeat), "N",
     .help = "never N tokens in a row that were there; 0: any", .maximum = 1 << 20},
    {"seed", 0, OPTION_INTEGER, FIELD(seed), "N",
     .help = "of what is drawn: the same seed and logits give the same text"},
    {"", .help = "How"},
    {"json", 0, OPTION_FLAG, FIELD(json), .help = "print one JSON object per line for each text"},
    {"weights", 0, OPTION_CHOICE, FIELD(weights), "FORMAT",
     .help = "how matrices are kept in memory; auto: packed ones and bf16 as they are stored, "
             "others as --compute says",
     .choices = DECODER_FORMAT_NAMES},
    {"together", 0, OPTION_INTEGER, FIELD(together), "N",
     .help = "texts at a time, each with keys and values of its own in memory", .minimum = 1,
     .maximum = 4096},
    DEVICE_ROW(struct arguments, device),
    COMPUTE_ROW(struct arguments, device),
    {"threads", 'j', OPTION_INTEGER, FIELD(threads), "N",
     .help = "threads that share the work; 0 means one per core", .maximum = 256},
    {"", .help = "Messages"},
    TOOL_QUIET_ROW(struct arguments, messages),
    TOOL_VERBOSE_ROW(struct arguments, messages, "say how much was read and written, how fast"),
    TOOL_LOG_ROW(struct arguments, messages),
    {0}};

static const struct tool TOOL = {
    .name = "occ-generate",
    .summary = "go on with a text, or answer, with a language model",
    .description =
        "Goes on with a prompt, token by token, until the model ends, a stop text comes, or "
        "--max-tokens are drawn. The text of a single prompt appears as it comes, by whole "
        "characters; several follow each other, each with a newline after it.\n\n"
        "A model is a folder of the Llama family: config.json, safetensors, tokenizer.json. --chat "
        "and messages of a batch go through its chat template (Jinja); what a template uses that "
        "is not supported is named. What stands in a prompt as the text of a control token is "
        "that token.\n\n"
        "--batch reads one JSON object a line and prints it again, in the same order, with what "
        "was generated: the members generated (the text), tokens (that were drawn, the last one "
        "included), prompt_tokens, end (\"end\": the model's end token, \"stop\": a stop text, "
        "\"length\", \"guard\": --no-repeat leaves no token) and, with -n, sample. --json prints "
        "the same for single prompts. A line without a prompt, or with one that has no room, is "
        "named and skipped (exit 3). A text does not depend on what runs beside it but by "
        "rounding.\n\n"
        "--store writes posts of an account: what it posted before --now is shown to the model as "
        "--context says, then 'Account: NAME', newline, 'Caption:' (or 'Script:') asks for the "
        "next one, as 'occ train tune' teaches it. Without a store the same prompt shows the model "
        "nothing. A line of a batch has the members account and, where they differ from the "
        "options, style_from, script (true or false) and created, the date of the post. With "
        "--json, and in a batch, context says what it took: kind, positions (of the context), "
        "stands_for (text tokens that it shows), visual_tokens, spent (positions of the whole "
        "prompt by what is in them: soft, marks, pooled, text, facts, prompt) and, where the "
        "adapter has style "
        "experts, routing (the share of each, and the router's entropy).",
    .examples = "occ generate -m lm -p 'Once upon a time'\n"
                "    the likeliest text\n"
                "occ generate -m lm -a run/adapter -t 1 -n 3 -p $'Account: kiwi\\nCaption:'\n"
                "    three captions\n"
                "occ generate -m lm -a run/adapter --store tokens.occ --account kiwi\n"
                "    a caption after the account's own posts\n"
                "occ generate -m lm --batch prompts.jsonl | jq -r .generated\n"
                "    many at a time\n",
    .options = OPTIONS,
};

static volatile sig_atomic_t cancelled;
enum { PATIENCE = 30 /* seconds: a long prompt may take some */, MAX_TOKENS = 256 };

struct run {
    const struct arguments *a;
    struct generate_options options;
    struct decoder_folder folder;
    struct device *device;
    struct decoder *decoder;
    struct adapter *adapter; /* NULL: none */
    struct generate_model model;
    struct generate_account accounts; /* of --store */
    bool misused;                     /* its options do not fit the model or the adapter */
    struct prompts prompts;
    struct generate_request *requests; /* (prompts, texts) */
    struct bytes *lines;               /* (requests) finished ones that wait for those before */
    size_t count, printed;             /* requests; those whose text is out */
    size_t streamed;                   /* bytes of the only text that are out */
    struct generate_counts counts;
};

/* ---- Options ------------------------------------------------------------------------------- */

static int check(struct arguments *a, struct generate_options *o, struct error *e) {
    struct sampling *s = &o->sampling;
    if (a->model == NULL) {
        return error_set(e, ERR_USAGE, "no model is named: --model FOLDER");
    }
    int rc = prompts_check(&a->prompts, e);
    rc = rc < 0 ? rc : context_choice_settle(&a->context, e);
    if (rc == 0 && a->prompts.store == NULL) {
        rc = context_choice_unused(&a->context, e);
    }
    if (rc == 0 && a->context.kind == CONTEXT_NONE && a->context.positions > 0) {
        rc = error_set(e, ERR_USAGE, "--positions does nothing with --context none");
    }
    if (rc == 0 && a->encoder != NULL && a->adapter == NULL && a->prompts.store == NULL) {
        rc = error_set(e, ERR_USAGE, "--encoder is for --adapter and --store");
    }
    rc = rc < 0 ? rc : number_parse(&s->temperature, "temperature", a->temperature, 0, 100, e);
    rc = rc < 0 ? rc : number_parse(&s->top_p, "top-p", a->top_p, 1e-6, 1, e);
    rc = rc < 0 ? rc : number_parse(&s->min_p, "min-p", a->min_p, 0, 1, e);
    rc = rc < 0 ? rc
                : number_parse(&s->repetition, "repetition-penalty", a->repetition, 0.01, 100, e);
    if (rc == 0 && a->texts > 1 && s->temperature <= 0) {
        rc = error_set(e, ERR_USAGE, "without --temperature all of --texts would be the same");
    }
    for (int i = 0; i < a->stops.count && rc == 0; i++) {
        rc = a->stops.texts[i][0] != 0 ? 0 : error_set(e, ERR_USAGE, "--stop is empty");
    }
    s->top_k = a->top_k;
    s->no_repeat = a->no_repeat;
    o->max_tokens = a->max_tokens;
    o->context = a->context.row;
    o->together = a->together;
    o->seed = (uint64_t)a->seed;
    return rc < 0 ? rc : device_choice_settle(&a->device, e);
}

/* ---- What is printed ----------------------------------------------------------------------- */

/* Whether the text appears while it is made. */
static bool is_streamed(const struct run *r) {
    return r->count == 1 && !r->a->json && r->a->prompts.batch == NULL;
}

static int make_line(const struct run *r, const struct generate_text *t, struct bytes *out,
                     struct error *e) {
    const struct prompt *prompt = &r->prompts.items[t->request / (size_t)r->a->texts];
    if (!r->a->json && r->a->prompts.batch == NULL) {
        int rc = bytes_append(out, t->text, t->size, e);
        return rc < 0 ? rc : bytes_append(out, "\n", 1, e);
    }
    json_t *row = json_copy(prompt->row);
    json_t *more = json_pack("{s:s%, s:I, s:I, s:s}", "generated", t->text, t->size, "tokens",
                             (json_int_t)t->tokens, "prompt_tokens", (json_int_t)prompt->count,
                             "end", GENERATE_END_NAMES[t->end]);
    bool made = row != NULL && more != NULL;
    if (made && r->a->prompts.store != NULL) {
        json_t *context = generate_account_json(&r->accounts, prompt);
        made = context != NULL && json_object_set_new(more, "context", context) == 0;
    }
    if (made && r->a->texts > 1) {
        const json_int_t sample = (json_int_t)t->request % r->a->texts;
        made = json_object_set_new(more, "sample", json_integer(sample)) == 0;
    }
    int rc = made && json_object_update(row, more) == 0 ? json_append(out, row, e)
                                                        : error_memory(e, NULL);
    json_decref(row);
    json_decref(more);
    return rc < 0 ? rc : bytes_append(out, "\n", 1, e);
}

static int print(const void *data, size_t size, struct error *e) {
    return file_write(STDOUT_FILENO, data, size, &cancelled, e);
}

static int stream(struct run *r, const struct generate_text *t, struct error *e) {
    int rc = print(t->text + r->streamed, t->size - r->streamed, e);
    r->streamed = t->size;
    return rc == 0 && t->ended ? print("\n", 1, e) : rc;
}

static int take_text(void *context, const struct generate_text *t, struct error *e) {
    struct run *r = context;
    if (is_streamed(r)) {
        return stream(r, t, e);
    }
    int rc = t->ended ? make_line(r, t, &r->lines[t->request], e) : 0;
    while (rc == 0 && r->printed < r->count && r->lines[r->printed].size > 0) {
        struct bytes *line = &r->lines[r->printed++];
        rc = file_write(STDOUT_FILENO, line->data, line->size, NULL, e); /* whole, signal or not */
        bytes_close(line);
    }
    return rc;
}

/* What failed is told already; what waited for a line before it is not lost. */
static void print_finished(const struct run *r) {
    for (size_t i = r->printed; i < r->count; i++) {
        if (file_write(STDOUT_FILENO, r->lines[i].data, r->lines[i].size, NULL, NULL) < 0) {
            return;
        }
    }
}

/* ---- A run --------------------------------------------------------------------------------- */

static int open_model(struct run *r, struct error *e) {
    const struct arguments *a = r->a;
    char found[4096];
    const char *encoder = store_context_encoder(a->encoder, found, sizeof found);
    int rc = device_open_team(&r->device, a->device.backend, a->device.type, (int)a->threads, e);
    if (rc == 0) {
        rc = decoder_open(&r->decoder, &r->folder, (enum decoder_format)a->weights, r->device, e);
    }
    if (rc == 0 && a->adapter != NULL) {
        rc = adapter_open(&r->adapter, a->adapter, r->decoder, encoder, r->device, e);
    }
    if (rc == 0) {
        r->model = (struct generate_model){.device = r->device,
                                           .config = &r->folder.config,
                                           .parts = r->adapter != NULL ? adapter_parts(r->adapter)
                                                                       : decoder_parts(r->decoder),
                                           .tokenizer = r->folder.tokenizer};
    }
    return rc;
}

static int open_store(struct run *r, struct error *e) {
    const struct arguments *a = r->a;
    const struct store_context_options o = {.store = a->prompts.store,
                                            .account = a->prompts.style == NULL ? a->prompts.account
                                                                                : NULL,
                                            .encoder = a->encoder,
                                            .choice = &a->context,
                                            .device = &a->device,
                                            .model = &r->folder,
                                            .adapter = r->adapter,
                                            .room = a->max_tokens > 0 ? a->max_tokens : MAX_TOKENS,
                                            .cancel = &cancelled};
    r->accounts.asked = &r->prompts;
    r->accounts.texts = a->texts;
    r->options.embed = generate_account_embed;
    r->options.embed_context = &r->accounts;
    return generate_account_open(&r->accounts, &o, &r->model, e);
}

static int make_requests(struct run *r, struct error *e) {
    const size_t texts = (size_t)r->a->texts;
    if (r->prompts.count > SIZE_MAX / texts / sizeof *r->lines) {
        return error_memory(e, NULL);
    }
    r->count = r->prompts.count * texts;
    r->requests = calloc(r->count + 1, sizeof *r->requests);
    r->lines = calloc(r->count + 1, sizeof *r->lines);
    if (r->requests == NULL || r->lines == NULL) {
        return error_memory(e, NULL);
    }
    for (size_t i = 0; i < r->count; i++) {
        const struct prompt *prompt = &r->prompts.items[i / texts];
        r->requests[i] = (struct generate_request){
            .ids = r->prompts.tokens.ids + prompt->first,
            .count = prompt->count,
            .embedded = prompt->embedded,
            .positions = prompt->embedded ? r->prompts.positions.ids + prompt->first : NULL,
            .stream = random_stream(prompt->number, i % texts)}; /* whatever lines are beside it */
        bytes_init(&r->lines[i], SIZE_MAX / 2);
    }
    return 0;
}

/* Prompts that are texts are known to be right before a model is opened. */
static int open_run(struct run *r, struct error *e) {
    const struct arguments *a = r->a;
    const bool store = a->prompts.store != NULL;
    int rc = decoder_folder_open(&r->folder, a->model, e);
    if (rc == 0 && store) {
        rc = open_model(r, e);
        rc = rc == 0 ? open_store(r, e) : rc;
        r->misused = rc == ERR_USAGE;
    }
    if (rc == 0) {
        const int64_t room = a->context.row > 0 ? a->context.row : r->folder.config.context;
        rc = prompts_read(&r->prompts, &a->prompts, &r->folder, r->accounts.prompts, room, e);
    }
    if (rc == 0 && a->prompts.account != NULL && a->context.kind != CONTEXT_NONE &&
        store_context_positions(&r->prompts.items[0].spent) == 0) {
        log_warning("%s shows nothing of %s that is older", a->prompts.store,
                    a->prompts.style != NULL ? a->prompts.style : a->prompts.account);
    }
    rc = rc == 0 ? make_requests(r, e) : rc;
    return rc == 0 && r->count > 0 && !store ? open_model(r, e) : rc;
}

static int run(struct run *r, struct error *e) {
    const struct arguments *a = r->a;
    const char *stops[OPTION_LIST_MOST + 1] = {NULL};
    memcpy(stops, a->stops.texts, (size_t)a->stops.count * sizeof *stops);
    r->options.stops = a->stops.count > 0 ? stops : NULL;
    int rc = open_run(r, e);
    if (rc < 0 || r->count == 0) {
        return rc;
    }
    rc = generate_run(&r->model, &r->options, r->requests, r->count, take_text, r, &cancelled,
                      &r->counts, e);
    if (rc < 0 && rc != ERR_CLOSED) {
        print_finished(r);
    }
    return rc;
}

static void summarize(const struct run *r) {
    const struct generate_counts *c = &r->counts;
    if (r->decoder != NULL) {
        log_info("%zu texts; read %" PRId64 " tokens of prompts in %.2f s; wrote %" PRId64
                 " tokens, %.1f tokens/s; weights %.1f MB, room for %" PRId64 " x %" PRId64
                 " tokens",
                 r->count, c->read, c->read_seconds, c->written,
                 c->write_seconds > 0 ? (double)c->written_alone / c->write_seconds : 0,
                 (double)decoder_bytes(r->decoder) * 1e-6, c->together, c->positions);
    }
    if (r->a->prompts.store != NULL) {
        int64_t positions = 0, shown = 0;
        for (size_t i = 0; i < r->prompts.count; i++) {
            positions += store_context_positions(&r->prompts.items[i].spent);
            shown += r->prompts.items[i].spent.shown;
        }
        log_info("contexts (%s): %" PRId64 " positions that stand for %" PRId64 " text tokens",
                 CONTEXT_KIND_NAMES[r->accounts.context.options.kind], positions, shown);
    }
    if (r->prompts.skipped > 0) {
        log_warning("%" PRId64 " lines were skipped", r->prompts.skipped);
    }
}

static void close_run(struct run *r) {
    for (size_t i = 0; i < r->count && r->lines != NULL; i++) {
        bytes_close(&r->lines[i]);
    }
    free(r->lines);
    free(r->requests);
    prompts_close(&r->prompts);
    generate_account_close(&r->accounts);
    adapter_close(r->adapter);
    decoder_close(r->decoder);
    device_close(r->device);
    decoder_folder_close(&r->folder);
}

int main(int argc, char **argv) {
    struct arguments a = {.texts = 1,
                          .max_tokens = MAX_TOKENS,
                          .together = 8,
                          .seed = 1,
                          .temperature = "0",
                          .top_p = "1",
                          .min_p = "0",
                          .repetition = "1"};
    struct run r = {.a = &a};
    struct error e = {0};
    int operands = 0;
    int rc = options_parse(&TOOL, argc, argv, &a, &operands, &e);
    if (rc == OPTIONS_DONE) {
        return EXIT_DONE;
    }
    rc = rc < 0 ? rc : check(&a, &r.options, &e);
    if (rc < 0) {
        return options_usage_error(&TOOL, &e);
    }
    tool_begin(&TOOL, &a.messages, &cancelled, PATIENCE);
    rc = run(&r, &e);
    int status = r.misused ? options_usage_error(&TOOL, &e) : tool_end(rc, TOOL_STARTS_OVER, &e);
    if (status == EXIT_DONE) {
        summarize(&r);
        status = r.prompts.skipped > 0 ? EXIT_SOME : EXIT_DONE;
    }
    close_run(&r);
    return status;
}
