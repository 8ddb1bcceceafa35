/* chat.c - see chat.h. */
#include "train/decoder/chat.h"

#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "train/decoder/folder.h"
#include "train/template/template.h"

struct chat {
    struct template *template;
    json_t *variables; /* the special tokens, and what a template expects to be there */
    char source[128];
};

enum {
    TEXT_LIMIT = TOKENIZER_FILE_LIMIT,
    STEPS_LIMIT = 5 * TEMPLATE_STEPS_LIMIT /* for all answers of a conversation */
};

static int add_token(struct chat *c, const char *name, const char *text, struct error *e) {
    bool failed = text != NULL && json_object_set_new(c->variables, name, json_string(text)) != 0;
    return failed ? error_memory(e, NULL) : 0;
}

static int add_variables(struct chat *c, const json_t *tokenizer_config, struct error *e) {
    static const char *const TOKENS[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                         "pad_token", "cls_token", "mask_token"};
    int rc = 0;
    c->variables = json_pack("{s:n, s:n}", "tools", "documents");
    if (c->variables == NULL) {
        return error_memory(e, NULL);
    }
    for (size_t i = 0; i < sizeof TOKENS / sizeof *TOKENS && rc == 0; i++) {
        rc = add_token(c, TOKENS[i], folder_token(tokenizer_config, TOKENS[i]), e);
    }
    return rc;
}

int chat_read(struct chat **out, const char *text, size_t size, const json_t *tokenizer_config,
              const char *source, struct error *e) {
    struct chat *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return error_memory(e, NULL);
    }
    struct error why = {0};
    size_t length = strlen(source), kept = sizeof c->source - 1;
    memcpy(c->source, source + (length > kept ? length - kept : 0), length > kept ? kept : length);
    int rc = template_open(&c->template, text, size, &why);
    rc = rc < 0 ? error_set(e, rc, "%s: chat template: %s", c->source, why.text)
                : add_variables(c, tokenizer_config, e);
    if (rc < 0) {
        chat_close(c);
        return rc;
    }
    *out = c;
    return 0;
}

int chat_open(struct chat **out, const struct decoder_folder *folder, struct error *e) {
    if (folder->chat_template == NULL) {
        return error_set(e, ERR_UNSUPPORTED, "%s: this model has no chat template", folder->path);
    }
    return chat_read(out, folder->chat_template, strlen(folder->chat_template),
                     folder->tokenizer_config, folder->path, e);
}

void chat_close(struct chat *c) {
    if (c != NULL) {
        template_close(c->template);
        json_decref(c->variables);
        free(c);
    }
}

void chat_parts_close(struct chat_parts *p) {
    free(p->items);
    *p = (struct chat_parts){0};
}

/* ---- Rendering ----------------------------------------------------------------------------- */

static int check_messages(const json_t *messages, struct error *e) {
    if (json_array_size(messages) == 0) {
        return error_set(e, ERR_FORMAT, "a conversation has no messages");
    }
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *role = json_object_get(json_array_get(messages, i), "role");
        if (!json_is_string(role)) {
            return error_set(e, ERR_FORMAT, "message %zu has no role", i + 1);
        }
    }
    return 0;
}

/* The variables of a conversation whose messages are the first `count`; NULL: no memory. */
static json_t *make_variables(const struct chat *c, const struct chat_input *in, size_t count,
                              bool prompt) {
    const char *name;
    json_t *value, *all = json_copy(c->variables), *messages = json_array();
    bool failed = all == NULL || messages == NULL;
    /* jansson's iterators take an object that is not const, and do not change it. */
    json_object_foreach((json_t *)(uintptr_t)in->conversation, name, value) {
        failed = failed || json_object_set(all, name, value) != 0;
    }
    const json_t *given = json_object_get(in->conversation, "messages");
    for (size_t i = 0; i < count && !failed; i++) {
        failed = json_array_append(messages, json_array_get(given, i)) != 0;
    }
    failed = failed || json_object_set(all, "messages", messages) != 0 ||
             json_object_set_new(all, "add_generation_prompt", json_boolean(prompt)) != 0;
    json_decref(messages);
    if (failed) {
        json_decref(all);
        all = NULL;
    }
    return all;
}

/* The first `count` messages. */
static int render(const struct chat *c, const struct chat_input *in, size_t count, bool prompt,
                  int64_t *steps, struct bytes *out, struct template_spans *spans,
                  struct error *e) {
    struct error why = {0};
    json_t *variables = make_variables(c, in, count, prompt);
    if (variables == NULL) {
        return error_memory(e, NULL);
    }
    const struct template_input input = {.variables = variables, .now = in->now, .steps = steps};
    int rc = template_render(c->template, &input, out, spans, &why);
    json_decref(variables);
    return rc < 0 ? error_set(e, rc, "%s: chat template: %s", c->source, why.text) : 0;
}

int chat_render(const struct chat *c, const struct chat_input *in, struct bytes *out,
                struct error *e) {
    const json_t *messages = json_object_get(in->conversation, "messages");
    int rc = check_messages(messages, e);
    return rc < 0 ? rc : render(c, in, json_array_size(messages), in->prompt, NULL, out, NULL, e);
}

/* ---- Answers ------------------------------------------------------------------------------- */

static int add_part(struct chat_parts *p, size_t start, size_t end, struct error *e) {
    struct chat_part *items = array_grow(p->items, &p->capacity, p->count + 1, sizeof *p->items, e);
    if (items == NULL) {
        return ERR_MEMORY;
    }
    p->items = items;
    p->items[p->count++] = (struct chat_part){start, end};
    return 0;
}

static size_t common_size(const struct bytes *a, const struct bytes *b) {
    size_t most = a->size < b->size ? a->size : b->size, same = 0;
    while (same < most && a->data[same] == b->data[same]) {
        same++;
    }
    return same;
}

/* White space after the token that ends an answer is no part of it: generation stops before. */
static size_t answer_end(const struct chat *c, const struct bytes *text, size_t start) {
    const json_t *end_token = json_object_get(c->variables, "eos_token");
    size_t size = json_string_length(end_token), end = text->size;
    while (end > start && memchr(" \t\r\n", text->data[end - 1], 4) != NULL) {
        end--;
    }
    bool ends = size > 0 && end - start >= size &&
                memcmp(text->data + end - size, json_string_value(end_token), size) == 0;
    return ends ? end : text->size;
}

/* Of a conversation that begins with an answer, for which there is no prompt: where what it says is
 * last written. SIZE_MAX: nowhere as it is. */
static size_t first_start(const json_t *messages, const struct bytes *text) {
    const json_t *content = json_object_get(json_array_get(messages, 0), "content");
    const char *said = json_string_value(content);
    size_t size = json_string_length(content);
    for (; size > 0 && memchr(" \t\r\n", said[0], 4) != NULL; size--) {
        said++;
    }
    while (size > 0 && memchr(" \t\r\n", said[size - 1], 4) != NULL) {
        size--;
    }
    for (size_t at = size > 0 && size <= text->size ? text->size - size + 1 : 0; at > 0; at--) {
        if (memcmp(text->data + at - 1, said, size) == 0) {
            return at - 1;
        }
    }
    return SIZE_MAX;
}

/* Where the answer begins that `after` has and the prompt `before` asks for: some prompts go on
 * with what the model is to think first, which its answers do not show. SIZE_MAX: the messages
 * before it are not in `after` as they were. */
static int answer_start(const struct chat *c, const struct chat_input *in, int64_t *steps,
                        size_t index, const struct bytes *before, const struct bytes *after,
                        size_t *start, struct error *e) {
    struct bytes messages;
    *start = index > 0 ? common_size(before, after)
                       : first_start(json_object_get(in->conversation, "messages"), after);
    if (index == 0) {
        return 0;
    }
    bytes_init(&messages, TEXT_LIMIT);
    int rc = render(c, in, index, false, steps, &messages, NULL, e);
    const size_t same = rc == 0 ? common_size(&messages, after) : 0;
    if (*start < same || (*start < before->size && same < messages.size)) {
        *start = SIZE_MAX;
    }
    bytes_close(&messages);
    return rc;
}

/* The answer that message `index` is: what it adds to the messages before it and their prompt. */
static int find_answer(const struct chat *c, const struct chat_input *in, int64_t *steps,
                       size_t index, const struct bytes *whole, size_t begin,
                       struct chat_parts *parts, struct error *e) {
    struct bytes before, after;
    size_t start = 0;
    bytes_init(&before, TEXT_LIMIT);
    bytes_init(&after, TEXT_LIMIT);
    bool last = index + 1 == json_array_size(json_object_get(in->conversation, "messages"));
    int rc = index > 0 ? render(c, in, index, true, steps, &before, NULL, e) : 0;
    if (rc == 0 && last && !in->prompt) { /* it is there */
        rc = bytes_append(&after, whole->data + begin, whole->size - begin, e);
    } else if (rc == 0) {
        rc = render(c, in, index + 1, false, steps, &after, NULL, e);
    }
    rc = rc < 0 ? rc : answer_start(c, in, steps, index, &before, &after, &start, e);
    bool begins = rc == 0 && whole->size - begin >= after.size &&
                  memcmp(whole->data + begin, bytes_text(&after), after.size) == 0;
    if (rc == 0 && (!begins || start == SIZE_MAX)) {
        rc = error_set(e, ERR_UNSUPPORTED,
                       "%s: chat template: message %zu is written otherwise once others follow, "
                       "so its answer is not known apart",
                       c->source, index + 1);
    }
    if (rc == 0 && start < after.size) {
        rc = add_part(parts, start, answer_end(c, &after, start), e);
    }
    bytes_close(&before);
    bytes_close(&after);
    return rc;
}

static int find_answers(const struct chat *c, const struct chat_input *in, int64_t *steps,
                        const struct bytes *whole, size_t begin, struct chat_parts *parts,
                        struct error *e) {
    const json_t *messages = json_object_get(in->conversation, "messages");
    int rc = 0;
    for (size_t i = 0; i < json_array_size(messages) && rc == 0; i++) {
        const char *role = json_string_value(json_object_get(json_array_get(messages, i), "role"));
        if (strcmp(role, "assistant") == 0) {
            rc = find_answer(c, in, steps, i, whole, begin, parts, e);
        }
    }
    return rc;
}

/* Marks may lie within each other, and templates write what they like: each answer must follow the
 * one before. */
static int check_parts(const struct chat *c, const struct chat_parts *parts, struct error *e) {
    for (size_t i = 1; i < parts->count; i++) {
        if (parts->items[i].start < parts->items[i - 1].end) {
            return error_set(e, ERR_UNSUPPORTED,
                             "%s: chat template: answer %zu does not follow the one before it",
                             c->source, i + 1);
        }
    }
    return 0;
}

int chat_render_parts(const struct chat *c, const struct chat_input *in, struct bytes *out,
                      struct chat_parts *parts, struct error *e) {
    const json_t *messages = json_object_get(in->conversation, "messages");
    struct template_spans spans = {0};
    size_t begin = out->size;
    int64_t steps = STEPS_LIMIT;
    int rc = check_messages(messages, e);
    parts->count = 0;
    rc = rc < 0 ? rc : render(c, in, json_array_size(messages), in->prompt, &steps, out, &spans, e);
    for (size_t i = 0; i < spans.count && rc == 0; i++) {
        rc = add_part(parts, spans.items[i].start, spans.items[i].end, e);
    }
    if (rc == 0 && spans.count == 0) {
        rc = find_answers(c, in, &steps, out, begin, parts, e);
    }
    rc = rc < 0 ? rc : check_parts(c, parts, e);
    if (rc < 0 && out->data != NULL) {
        out->size = begin;
        out->data[begin] = 0;
    }
    free(spans.items);
    return rc;
}
