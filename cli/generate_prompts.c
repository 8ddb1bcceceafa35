/* generate_prompts.c - see generate_prompts.h. */
#include "cli/generate_prompts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/day.h"
#include "store/array.h"
#include "store/date.h"
#include "store/file.h"
#include "store/log.h"
#include "train/decoder/begin.h"

enum { LIMIT = TOKENIZER_FILE_LIMIT };

struct reading {
    struct prompts *prompts;
    const struct prompt_arguments *arguments;
    const struct decoder_folder *model;
    struct account_prompts *accounts; /* NULL: prompts are texts */
    struct tokenizer_state *state;
    struct chat *chat; /* NULL: not needed so far */
    bool useless;      /* `chat` cannot be opened */
    int32_t begin;     /* token of plain texts; -1: none */
    uint64_t number;   /* of the line */
    int64_t room;
};

/* Prompts are of accounts with a store, and of texts without. */
static int check_store(const struct prompt_arguments *a, struct error *e) {
    const char *of_store = a->account != NULL ? "--account"
                           : a->style != NULL ? "--style-from"
                           : a->now != NULL   ? "--now"
                           : a->script        ? "--script"
                                              : NULL;
    if (a->store == NULL && of_store != NULL) {
        return error_set(e, ERR_USAGE, "%s is for the posts of a store: --store FOLDER", of_store);
    }
    return a->store == NULL || a->account != NULL || a->batch != NULL
               ? 0
               : error_set(e, ERR_USAGE, "--store goes with --account NAME, or with --batch FILE");
}

int prompts_check(struct prompt_arguments *a, struct error *e) {
    const int named = (a->prompt != NULL) + (a->prompt_file != NULL) + (a->chat != NULL) +
                      (a->account != NULL) + (a->batch != NULL);
    int rc = check_store(a, e);
    if (rc == 0 && named != 1) {
        rc = error_set(e, ERR_USAGE,
                       "name one of --prompt, --prompt-file, --chat, --account and --batch%s",
                       named == 0 ? "" : ", not several");
    }
    if (rc == 0 && a->system != NULL && a->chat == NULL) {
        rc = error_set(e, ERR_USAGE, "--system belongs to --chat");
    }
    return rc < 0 ? rc : day_parse(&a->at, "now", a->now, e);
}

/* ---- One prompt ---------------------------------------------------------------------------- */

static int add_text(struct reading *r, const char *text, size_t size, struct error *e) {
    return tokenizer_encode(r->state, text, size, TOKENIZER_ADDED, &r->prompts->tokens, e);
}

static int add_plain(struct reading *r, const json_t *row, struct error *e) {
    const json_t *text = json_object_get(row, "prompt");
    int rc = r->begin >= 0 ? token_list_append(&r->prompts->tokens, &r->begin, 1, e) : 0;
    return rc == 0 ? add_text(r, json_string_value(text), json_string_length(text), e) : rc;
}

static int add_chat(struct reading *r, const json_t *row, struct error *e) {
    const struct chat_input in = {.conversation = row, .prompt = true, .now = (int64_t)time(NULL)};
    struct bytes text;
    int rc = r->chat == NULL ? chat_open(&r->chat, r->model, e) : 0;
    r->useless = rc < 0;
    if (rc < 0) {
        return rc;
    }
    bytes_init(&text, LIMIT);
    rc = chat_render(r->chat, &in, &text, e);
    rc = rc < 0 ? rc : add_text(r, bytes_text(&text), text.size, e);
    bytes_close(&text);
    return rc;
}

static int check_count(const struct reading *r, int64_t count, struct error *e) {
    if (count == 0) {
        return error_set(e, ERR_FORMAT, "the prompt is empty, and this model begins with no token");
    }
    return count < r->room
               ? 0
               : error_set(e, ERR_LIMIT,
                           "the prompt has %" PRId64 " tokens, and there is room for %" PRId64,
                           count, r->room - 1);
}

/* A post that is asked for: the members of a row, or what the command line says. */
static int ask(const struct reading *r, const json_t *row, struct account_prompt *asked,
               struct error *e) {
    const struct prompt_arguments *a = r->arguments;
    const json_t *account = json_object_get(row, "account");
    const json_t *style = json_object_get(row, "style_from");
    const json_t *script = json_object_get(row, "script");
    enum date_kind kind;
    const int64_t created = date_created(row, &kind);
    if (!json_is_string(account) || json_object_get(row, "prompt") != NULL ||
        json_object_get(row, "messages") != NULL) {
        return error_set(e, ERR_FORMAT, "with --store a line has an account, and no prompt");
    }
    if (style != NULL && !json_is_string(style)) {
        return error_set(e, ERR_FORMAT, "style_from is not a text");
    }
    if (script != NULL && !json_is_boolean(script)) {
        return error_set(e, ERR_FORMAT, "script is neither true nor false");
    }
    const bool dated = json_object_get(row, "created") != NULL;
    if (dated && kind == DATE_NONE) {
        return error_set(e, ERR_FORMAT, "created is not a date");
    }
    *asked = (struct account_prompt){.account = json_string_value(account),
                                     .style = style != NULL ? json_string_value(style) : a->style,
                                     .now = dated ? created : a->at,
                                     .script = script != NULL ? json_is_true(script) : a->script};
    return 0;
}

static int add_account(struct reading *r, const json_t *row, struct prompt *made, struct error *e) {
    struct prompts *p = r->prompts;
    int rc = ask(r, row, &made->asked, e);
    return rc < 0 ? rc
                  : account_prompts_lay(r->accounts, &made->asked, &p->tokens, &p->positions,
                                        &made->embedded, &made->spent, e);
}

static int add_tokens(struct reading *r, const json_t *row, struct prompt *made, struct error *e) {
    if (r->accounts != NULL) {
        return add_account(r, row, made, e);
    }
    if (json_is_string(json_object_get(row, "prompt"))) {
        return add_plain(r, row, e);
    }
    return json_is_array(json_object_get(row, "messages"))
               ? add_chat(r, row, e)
               : error_set(e, ERR_FORMAT, "has neither a prompt nor messages");
}

/* Takes a reference to `row`; what fails leaves no tokens. */
static int add_prompt(struct reading *r, json_t *row, struct error *e) {
    struct prompts *p = r->prompts;
    const size_t first = p->tokens.count, placed = p->positions.count;
    struct prompt made = {.first = first, .number = r->number};
    int rc = add_tokens(r, row, &made, e);
    made.count = (int64_t)(p->tokens.count - first);
    rc = rc < 0 ? rc : check_count(r, made.count, e);
    struct prompt *items =
        rc < 0 ? NULL : array_grow(p->items, &p->capacity, p->count + 1, sizeof *items, e);
    if (items == NULL) {
        p->tokens.count = first;
        p->positions.count = placed;
        return rc < 0 ? rc : ERR_MEMORY;
    }
    made.row = json_incref(row);
    p->items = items;
    p->items[p->count++] = made;
    return 0;
}

/* ---- Where they come from ------------------------------------------------------------------ */

static int read_all(const char *path, struct bytes *out, struct error *e) {
    if (strcmp(path, "-") != 0) {
        return file_read(path, out, e);
    }
    for (;;) {
        enum { PIECE = 1 << 16 };
        int rc = bytes_reserve(out, PIECE, e);
        if (rc < 0) {
            return rc;
        }
        const ssize_t got = read(STDIN_FILENO, out->data + out->size, PIECE);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            out->data[out->size] = 0;
            return got < 0 ? error_errno(e, errno, "standard input") : 0;
        }
        out->size += (size_t)got;
    }
}

static int add_line(struct reading *r, const char *line, size_t size, struct error *e) {
    json_error_t fault;
    json_t *row = json_loadb(line, size, JSON_REJECT_DUPLICATES, &fault);
    int rc = row != NULL ? 0 : error_set(e, ERR_FORMAT, "no JSON: %s", fault.text);
    rc = rc < 0 ? rc : add_prompt(r, row, e);
    json_decref(row);
    return rc;
}

static bool is_blank(const char *line, size_t size) {
    size_t gap = 0;
    while (gap < size && memchr(" \t\r", line[gap], 3) != NULL) {
        gap++;
    }
    return gap == size;
}

/* A line that is no prompt is named and skipped; a model without a template fails them all. */
static int read_batch(struct reading *r, const char *path, struct error *e) {
    struct bytes text;
    struct error why = {0};
    bytes_init(&text, LIMIT);
    int rc = read_all(path, &text, e);
    const char *at = bytes_text(&text), *end = at + text.size;
    for (; at < end && rc == 0; r->number++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const size_t size = newline != NULL ? (size_t)(newline - at) : (size_t)(end - at);
        int failed = is_blank(at, size) ? 0 : add_line(r, at, size, &why);
        if (failed == ERR_MEMORY || r->useless) {
            *e = why;
            rc = failed;
        } else if (failed < 0) {
            log_error("%s:%" PRIu64 ": %s", path, r->number, why.text);
            r->prompts->skipped++;
        }
        at += size + (newline != NULL);
    }
    bytes_close(&text);
    return rc;
}

/* A text file ends with a newline, which its author did not mean. */
static int read_text(struct reading *r, const char *path, struct error *e) {
    struct bytes text;
    bytes_init(&text, LIMIT);
    int rc = read_all(path, &text, e);
    const size_t size = text.size - (text.size > 0 && text.data[text.size - 1] == '\n');
    json_t *row = rc == 0 ? json_pack("{s:s%}", "prompt", bytes_text(&text), size) : NULL;
    if (rc == 0 && row == NULL) {
        rc = error_set(e, ERR_FORMAT, "%s: is not UTF-8", path);
    }
    rc = rc < 0 ? rc : add_prompt(r, row, e);
    json_decref(row);
    bytes_close(&text);
    return rc;
}

static int read_arguments(struct reading *r, const struct prompt_arguments *a, struct error *e) {
    json_t *row;
    if (a->account != NULL) {
        row = json_pack("{s:s, s:s*, s:o*}", "account", a->account, "style_from", a->style,
                        "script", a->script ? json_true() : NULL);
    } else if (a->prompt != NULL) {
        row = json_pack("{s:s}", "prompt", a->prompt);
    } else if (a->system != NULL) {
        row = json_pack("{s:[{s:s, s:s}, {s:s, s:s}]}", "messages", "role", "system", "content",
                        a->system, "role", "user", "content", a->chat);
    } else {
        row = json_pack("{s:[{s:s, s:s}]}", "messages", "role", "user", "content", a->chat);
    }
    int rc =
        row != NULL ? add_prompt(r, row, e) : error_set(e, ERR_USAGE, "the prompt is not UTF-8");
    json_decref(row);
    return rc;
}

int prompts_read(struct prompts *p, const struct prompt_arguments *a,
                 const struct decoder_folder *model, struct account_prompts *accounts, int64_t room,
                 struct error *e) {
    struct reading r = {.prompts = p,
                        .arguments = a,
                        .model = model,
                        .accounts = accounts,
                        .room = room,
                        .number = 1};
    int rc = tokenizer_state_open(&r.state, model->tokenizer, e);
    rc = rc < 0 ? rc : decoder_begin(model, &r.begin, e);
    if (rc == 0) {
        rc = a->batch != NULL         ? read_batch(&r, a->batch, e)
             : a->prompt_file != NULL ? read_text(&r, a->prompt_file, e)
                                      : read_arguments(&r, a, e);
    }
    tokenizer_state_close(r.state);
    chat_close(r.chat);
    return rc;
}

void prompts_close(struct prompts *p) {
    for (size_t i = 0; i < p->count; i++) {
        json_decref(p->items[i].row);
        free(p->items[i].experts);
    }
    free(p->items);
    token_list_close(&p->tokens);
    token_list_close(&p->positions);
    *p = (struct prompts){0};
}
