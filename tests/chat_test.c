/* chat_test.c - conversations as text, and which parts of it are answers. */
#include "train/decoder/chat.h"

#include <jansson.h>

#include "tests/test.h"

static const char CHATML[] =
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

static struct chat *open_chat(const char *text, const char *tokens) {
    struct chat *c = NULL;
    struct error e = {0};
    json_t *config = json_loads(tokens, 0, NULL);
    if (!CHECK_NUMBER(chat_read(&c, text, strlen(text), config, "a/model", &e), 0)) {
        printf("# %s\n", e.text);
        exit(EXIT_FAILURE);
    }
    json_decref(config);
    return c;
}

/* The parts of the text, each in brackets. */
static void show_parts(const struct bytes *text, size_t begin, const struct chat_parts *parts,
                       struct bytes *out) {
    size_t at = begin;
    for (size_t i = 0; i < parts->count; i++) {
        size_t start = begin + parts->items[i].start, end = begin + parts->items[i].end;
        CHECK(start >= at && end >= start && end <= text->size);
        bytes_append(out, text->data + at, start - at, NULL);
        bytes_append(out, "[", 1, NULL);
        bytes_append(out, text->data + start, end - start, NULL);
        bytes_append(out, "]", 1, NULL);
        at = end;
    }
    bytes_append(out, text->data + at, text->size - at, NULL);
}

static void expect_parts(const char *template, const char *tokens, const char *conversation,
                         const char *wanted) {
    struct chat *c = open_chat(template, tokens);
    struct chat_parts parts = {0};
    struct bytes text, shown;
    struct error e = {0};
    json_t *root = json_loads(conversation, 0, NULL);
    const struct chat_input in = {.conversation = root};
    bytes_init(&text, 1 << 20);
    bytes_init(&shown, 1 << 20);
    bytes_append_text(&text, "before", NULL);
    int rc = chat_render_parts(c, &in, &text, &parts, &e);
    if (rc == 0) {
        show_parts(&text, strlen("before"), &parts, &shown);
        CHECK_TEXT(bytes_text(&shown), wanted);
    } else {
        CHECK_TEXT(e.text, wanted);
        CHECK_TEXT(bytes_text(&text), "before");
    }
    chat_parts_close(&parts);
    bytes_close(&text);
    bytes_close(&shown);
    json_decref(root);
    chat_close(c);
}

#define TALK                                                                                       \
    "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, "                                   \
    "{\"role\": \"assistant\", \"content\": \"a\"}, {\"role\": \"user\", \"content\": \"r\"}, "    \
    "{\"role\": \"assistant\", \"content\": \"b \"}]}"

static void answers_end_with_their_token(void) {
    expect_parts(CHATML, "{\"eos_token\": \"<|im_end|>\"}", TALK,
                 "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n[a<|im_end|>]\n"
                 "<|im_start|>user\nr<|im_end|>\n<|im_start|>assistant\n[b <|im_end|>]\n");
    /* which is another one here, so the line end stays */
    expect_parts(CHATML, "{\"eos_token\": {\"content\": \"</s>\"}}", TALK,
                 "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n[a<|im_end|>\n]"
                 "<|im_start|>user\nr<|im_end|>\n<|im_start|>assistant\n[b <|im_end|>\n]");
}

static void answers_are_found_without_a_prompt_of_their_own(void) {
    expect_parts("{% for m in messages %}{% if m.role == 'user' %}{{ bos_token + '[INST] ' + "
                 "m.content + ' [/INST]' }}{% else %}{{ ' ' + m.content + eos_token }}{% endif %}"
                 "{% endfor %}",
                 "{\"bos_token\": \"<s>\", \"eos_token\": \"</s>\"}", TALK,
                 "<s>[INST] q [/INST][ a</s>]<s>[INST] r [/INST][ b </s>]");
}

static void a_prompt_may_go_on_with_what_answers_do_not_show(void) {
    expect_parts("{% for m in messages %}<{{ m.role }}>{{ m.content }};{% endfor %}"
                 "{% if add_generation_prompt %}<assistant><think>{% endif %}",
                 "{}", TALK, "<user>q;<assistant>[a;]<user>r;<assistant>[b ;]");
}

/* There is no prompt before it, so its header would be learnt. */
static void a_first_answer_begins_with_what_it_says(void) {
    static const char TWO[] = "{\"messages\": [{\"role\": \"assistant\", \"content\": \" sure \"}, "
                              "{\"role\": \"user\", \"content\": \"q\"}, "
                              "{\"role\": \"assistant\", \"content\": \"a\"}]}";
    expect_parts(CHATML, "{\"eos_token\": \"<|im_end|>\"}", TWO,
                 "<|im_start|>assistant\n [sure <|im_end|>]\n<|im_start|>user\nq<|im_end|>\n"
                 "<|im_start|>assistant\n[a<|im_end|>]\n");
    expect_parts("{% for m in messages %}<{{ m.role }}>{{ m.content|upper }};{% endfor %}", "{}",
                 TWO,
                 "a/model: chat template: message 1 is written otherwise once others follow, so "
                 "its answer is not known apart");
}

static void a_conversation_has_one_limit_of_time(void) {
    struct bytes talk;
    bytes_init(&talk, 1 << 20);
    bytes_append_text(&talk, "{\"long\": \"", NULL);
    for (int i = 0; i < 100000; i++) {
        bytes_append(&talk, "x", 1, NULL);
    }
    bytes_append_text(&talk, "\", \"messages\": [", NULL);
    for (int i = 0; i < 200; i++) {
        bytes_printf(&talk, NULL, "%s{\"role\": \"%s\", \"content\": \"x\"}", i > 0 ? "," : "",
                     i % 2 == 0 ? "user" : "assistant");
    }
    bytes_append_text(&talk, "]}", NULL);
    expect_parts(
        "{% for m in messages %}{{ m.content }}{% for i in range(9) %}{% if long == long %}"
        "{% endif %}{% endfor %}{% endfor %}",
        "{}", bytes_text(&talk), "a/model: chat template: line 1: it takes too long");
    bytes_close(&talk);
}

/* As Phi 3 has it. */
static void a_text_may_end_otherwise_than_a_prompt(void) {
    expect_parts("{% for m in messages %}<{{ m.role }}>{{ m.content }};{% endfor %}"
                 "{{ '<assistant>' if add_generation_prompt else eos_token }}",
                 "{\"eos_token\": \"<end>\"}",
                 "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, "
                 "{\"role\": \"assistant\", \"content\": \"a\"}]}",
                 "<user>q;<assistant>[a;<end>]");
}

static void marked_parts_are_taken_as_they_are(void) {
    expect_parts("{% for m in messages %}{% if m.role == 'assistant' %}A:{% generation %}"
                 "{{ m.content }}.{% endgeneration %};{% else %}{{ m.content }};{% endif %}"
                 "{% endfor %}",
                 "{}", TALK, "q;A:[a.];r;A:[b .];");
}

static void a_template_that_looks_ahead_is_refused(void) {
    expect_parts("{% for m in messages %}{{ m.content if loop.last else '...' }};{% endfor %}",
                 "{}", TALK,
                 "a/model: chat template: message 2 is written otherwise once others follow, so "
                 "its answer is not known apart");
}

static void answers_within_each_other_are_refused(void) {
    expect_parts("{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}"
                 "{{ m.content }}{% generation %}.{% endgeneration %};{% endgeneration %}"
                 "{% endif %}{% endfor %}",
                 "{}", TALK, "a/model: chat template: answer 2 does not follow the one before it");
    /* One that writes nothing where an answer is to follow: all before it is no answer. */
    expect_parts("{% if not add_generation_prompt %}{% for m in messages %}{{ m.content }};"
                 "{% endfor %}{% endif %}",
                 "{}", TALK,
                 "a/model: chat template: message 2 is written otherwise once others follow, so "
                 "its answer is not known apart");
}

static void what_is_no_conversation_is_refused(void) {
    expect_parts(CHATML, "{}", "{\"messages\": []}", "a conversation has no messages");
    expect_parts(CHATML, "{}", "{\"text\": \"x\"}", "a conversation has no messages");
    expect_parts(CHATML, "{}", "[1]", "a conversation has no messages");
    expect_parts(CHATML, "{}", "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, 5]}",
                 "message 2 has no role");
    expect_parts(CHATML, "{}", "{\"messages\": [{\"role\": \"user\", \"content\": null}]}",
                 "a/model: chat template: line 2: an operator does not take str and NoneType");
}

static void members_of_a_conversation_are_variables(void) {
    struct chat *c = open_chat("{{ tools is none }}{{ mood }}{{ bos_token is defined }}"
                               "{{ add_generation_prompt }}{{ strftime_now('%Y-%m-%d') }}",
                               "{\"bos_token\": null}");
    json_t *root =
        json_loads("{\"messages\": [{\"role\": \"user\"}], \"mood\": \"calm\"}", 0, NULL);
    const struct chat_input in = {.conversation = root, .prompt = true, .now = 86400};
    struct bytes text;
    bytes_init(&text, 1 << 20);
    CHECK_NUMBER(chat_render(c, &in, &text, NULL), 0);
    CHECK_TEXT(bytes_text(&text), "TruecalmFalseTrue1970-01-02");
    bytes_close(&text);
    json_decref(root);
    chat_close(c);
}

int main(void) {
    RUN(answers_end_with_their_token);
    RUN(answers_are_found_without_a_prompt_of_their_own);
    RUN(a_prompt_may_go_on_with_what_answers_do_not_show);
    RUN(a_first_answer_begins_with_what_it_says);
    RUN(a_conversation_has_one_limit_of_time);
    RUN(a_text_may_end_otherwise_than_a_prompt);
    RUN(marked_parts_are_taken_as_they_are);
    RUN(a_template_that_looks_ahead_is_refused);
    RUN(answers_within_each_other_are_refused);
    RUN(what_is_no_conversation_is_refused);
    RUN(members_of_a_conversation_are_variables);
    return test_finish();
}
