/* generate_test.c - many prompts at a time, with a session of its own in the place of the
 * decoder's: its model goes on after '>' with the script that the first letter of the prompt names.
 */
#include "train/generate/generate.h"

#include <math.h>

#include "store/utf8.h"
#include "tests/test.h"
#include "train/decoder/session.h"

/* ---- The session --------------------------------------------------------------------------- */

enum { PLACES = 8, POSITIONS = 64, VOCABULARY = 260, END = 256 };

struct decoder_session {
    int64_t places, positions;
    int64_t lengths[PLACES];
    int32_t ids[PLACES][POSITIONS];
};

static struct {
    int calls;
    int64_t fed, most_turns, inputs;
} seen;

int decoder_session_open(struct decoder_session **out, struct device *device,
                         const struct decoder_config *c, const struct decoder_parts *parts,
                         int64_t sequences, int64_t positions, struct error *e) {
    (void)device;
    (void)c;
    (void)parts;
    *out = calloc(1, sizeof **out);
    if (*out == NULL || sequences > PLACES || positions > POSITIONS) {
        return error_memory(e, NULL);
    }
    (*out)->places = sequences;
    (*out)->positions = positions;
    memset(&seen, 0, sizeof seen);
    return 0;
}

void decoder_session_close(struct decoder_session *s) {
    free(s);
}

/* What it says next: the byte of a script, or the end token. */
static int32_t next_of(const int32_t *ids, int64_t count) {
    static const char *const SCRIPTS[] = {"one two\nthree", "\xF0\x9F\x8D\x8C!", "", "aaaa aaaa"};
    int64_t at = 0;
    for (int64_t i = 0; i < count; i++) {
        at = ids[i] == '>' ? count - 1 - i : at;
    }
    const char *script = SCRIPTS[ids[0] % 4];
    return at < (int64_t)strlen(script) ? (unsigned char)script[at] : END;
}

int decoder_extend(struct decoder_session *s, const struct decoder_turn *turns, int64_t count,
                   bool all, float *logits, struct error *e) {
    (void)e;
    seen.calls++;
    seen.most_turns = count > seen.most_turns ? count : seen.most_turns;
    CHECK(!all && count > 0);
    for (int64_t i = 0; i < count; i++) {
        const struct decoder_turn *t = &turns[i];
        int64_t *length = &s->lengths[t->sequence];
        CHECK(t->sequence < s->places && t->count > 0 && *length + t->count <= s->positions);
        seen.inputs += t->inputs != NULL ? t->count : 0;
        for (int64_t k = 0; k < t->count; k++) { /* an input says which id it stands for */
            s->ids[t->sequence][*length + k] = t->ids != NULL ? t->ids[k] : (int32_t)t->inputs[k];
        }
        *length += t->count;
        seen.fed += t->count;
        for (int k = 0; k < VOCABULARY; k++) {
            logits[i * VOCABULARY + k] = s->ids[t->sequence][0] == '!' ? -INFINITY : 0;
        }
        logits[i * VOCABULARY + next_of(s->ids[t->sequence], *length)] = 9;
    }
    return 0;
}

int64_t decoder_length(const struct decoder_session *s, int64_t sequence) {
    return s->lengths[sequence];
}

void decoder_shorten(struct decoder_session *s, int64_t sequence, int64_t length) {
    CHECK(length <= s->lengths[sequence]);
    s->lengths[sequence] = length;
}

/* ---- Runs ---------------------------------------------------------------------------------- */

static struct tokenizer *tokenizer;
static const struct decoder_config CONFIG = {
    .vocabulary = VOCABULARY, .width = 1, .context = 40, .ends = {END, -1, -1, -1, -1, -1, -1, -1}};

/* Tokens are bytes; 256 is "<|endoftext|>". */
static void open_tokenizer(void) {
    struct bytes file;
    bytes_init(&file, SIZE_MAX);
    bytes_append_text(&file, "{\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{", NULL);
    int rest = 256;
    for (int i = 0; i < 256; i++) { /* GPT-2's letters for bytes */
        bool itself = (i >= 33 && i <= 126) || (i >= 161 && i <= 172) || i >= 174;
        char letter[4];
        size_t size = utf8_encode((uint32_t)(itself ? i : rest++), letter);
        bytes_printf(&file, NULL, "%s\"%s%.*s\":%d", i > 0 ? "," : "",
                     letter[0] == '"' || letter[0] == '\\' ? "\\" : "", (int)size, letter, i);
    }
    bytes_append_text(&file,
                      "}},\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"
                      "\"added_tokens\":[{\"id\":256,\"content\":\"<end>\",\"special\":true},"
                      "{\"id\":257,\"content\":\"<tool>\",\"special\":false}]}",
                      NULL);
    struct error e = {0};
    if (tokenizer_read(&tokenizer, "bytes", bytes_text(&file), file.size, TOKENIZER_SPLIT_AUTO,
                       &e) < 0) {
        printf("Bail out! %s\n", e.text);
        exit(EXIT_FAILURE);
    }
    bytes_close(&file);
}

enum { REQUESTS = 12 };
struct results {
    struct bytes texts[REQUESTS];
    int64_t tokens[REQUESTS];
    int ended[REQUESTS], calls;
    enum generate_end ends[REQUESTS];
    int64_t stops_after; /* calls; 0: does not */
};

static int take(void *context, const struct generate_text *t, struct error *e) {
    struct results *r = context;
    struct bytes *text = &r->texts[t->request];
    CHECK(!r->ended[t->request] && utf8_is_valid(t->text, t->size));
    CHECK(text->size <= t->size && memcmp(bytes_text(text), t->text, text->size) == 0);
    bytes_clear(text);
    bytes_append(text, t->text, t->size, NULL);
    r->tokens[t->request] = t->tokens;
    r->ended[t->request] += t->ended;
    r->ends[t->request] = t->end;
    r->calls++;
    return r->calls == r->stops_after ? error_set(e, ERR_CLOSED, "nobody reads") : 0;
}

static struct generate_options options = {.sampling = SAMPLING_DEFAULTS, .together = 3};

/* Prompts are bytes, NULL-terminated. */
static int run(const char *const *prompts, struct results *r, struct generate_counts *counts,
               const volatile sig_atomic_t *cancel, struct error *e) {
    int32_t ids[REQUESTS][POSITIONS];
    struct generate_request requests[REQUESTS];
    size_t count = 0;
    const struct generate_model m = {.config = &CONFIG, .tokenizer = tokenizer};
    for (; prompts[count] != NULL; count++) {
        const size_t size = strlen(prompts[count]);
        for (size_t i = 0; i < size; i++) {
            ids[count][i] = (unsigned char)prompts[count][i];
        }
        requests[count] =
            (struct generate_request){.ids = ids[count], .count = (int64_t)size, .stream = count};
        bytes_init(&r->texts[count], 1 << 20);
    }
    return generate_run(&m, &options, requests, count, take, r, cancel, counts, e);
}

static void close_results(struct results *r) {
    for (int i = 0; i < REQUESTS; i++) {
        bytes_close(&r->texts[i]);
    }
}

static const char *const PROMPTS[] = {"0>", "1 what>", "2>", "0 again>", "3>", "1>", "0>", NULL};

static void each_prompt_has_its_text_however_many_run(void) {
    static const char *const WANTED[] = {"one two\nthree", "\xF0\x9F\x8D\x8C!", "",
                                         "one two\nthree", "aaaa aaaa",         "\xF0\x9F\x8D\x8C!",
                                         "one two\nthree"};
    for (options.together = 1; options.together <= 8; options.together++) {
        struct results r = {.calls = 0};
        struct generate_counts counts;
        CHECK_NUMBER(run(PROMPTS, &r, &counts, NULL, NULL), 0);
        for (int i = 0; PROMPTS[i] != NULL; i++) {
            CHECK_TEXT(bytes_text(&r.texts[i]), WANTED[i]);
            CHECK_NUMBER(r.ended[i], 1);
            CHECK_NUMBER(r.ends[i], GENERATE_END_TOKEN);
            CHECK_NUMBER(r.tokens[i], (long long)strlen(WANTED[i]) + 1);
        }
        CHECK_NUMBER(seen.most_turns, options.together < 7 ? options.together : 7);
        CHECK_NUMBER(counts.written, 3 * 14 + 2 * 6 + 1 + 10);
        close_results(&r);
    }
    options.together = 3;
}

static void what_the_cache_has_is_not_read_again(void) {
    static const char *const SAME[] = {"0 the same>", "0 the same>", "0 the same>", "0 the other>",
                                       NULL};
    struct results r = {.calls = 0};
    struct generate_counts counts;
    options.together = 1;
    CHECK_NUMBER(run(SAME, &r, &counts, NULL, NULL), 0);
    CHECK_NUMBER(counts.read, 11 + 1 + 1 + 6);
    CHECK_NUMBER(counts.written_alone, 4 * 13);   /* the first tokens come with their prompts */
    CHECK_NUMBER(seen.fed, counts.read + 4 * 13); /* the last drawn token is not fed */
    CHECK_TEXT(bytes_text(&r.texts[3]), "one two\nthree");
    close_results(&r);
    options.together = 3;
}

static void texts_end_at_stop_texts_and_limits(void) {
    static const char *const STOPS[] = {"two", "aa a", NULL};
    struct results r = {.calls = 0}, s = {.calls = 0};
    struct generate_counts counts;
    options.stops = STOPS;
    CHECK_NUMBER(run(PROMPTS, &r, &counts, NULL, NULL), 0);
    CHECK_TEXT(bytes_text(&r.texts[0]), "one ");
    CHECK_TEXT(bytes_text(&r.texts[4]), "aa");
    CHECK_NUMBER(r.ends[4], GENERATE_STOP_TEXT);
    CHECK_NUMBER(r.tokens[4], 6);
    CHECK_NUMBER(r.ends[1], GENERATE_END_TOKEN);
    options.stops = NULL;
    options.max_tokens = 3;
    CHECK_NUMBER(run(PROMPTS, &s, &counts, NULL, NULL), 0);
    CHECK_TEXT(bytes_text(&s.texts[0]), "one");
    CHECK_NUMBER(s.ends[0], GENERATE_LENGTH);
    CHECK_TEXT(bytes_text(&s.texts[1]), "\xEF\xBF\xBD"); /* three of its four bytes */
    CHECK_NUMBER(s.ends[2], GENERATE_END_TOKEN);
    options.max_tokens = 0;
    close_results(&r);
    close_results(&s);
}

/* The end of "!>" was in the prompt, and nothing else is possible. */
static void a_text_that_the_guard_ends_does_not_end_others(void) {
    static const char *const GUARDED[] = {"!>", "2>", NULL};
    struct results r = {.calls = 0};
    struct generate_counts counts;
    options.sampling.no_repeat = 1;
    CHECK_NUMBER(run(GUARDED, &r, &counts, NULL, NULL), 0);
    CHECK_TEXT(bytes_text(&r.texts[0]), "\xF0\x9F\x8D\x8C");
    CHECK_NUMBER(r.ends[0], GENERATE_GUARD);
    CHECK_NUMBER(r.ended[1], 1);
    options.sampling.no_repeat = 0;
    close_results(&r);
}

static void a_stop_text_that_never_comes_is_refused(void) {
    static const char *const STOPS[] = {"two", "<end>", NULL}, *const ALLOWED[] = {"<tool>", NULL};
    struct results r = {.calls = 0};
    struct generate_counts counts;
    struct error e = {0};
    options.stops = STOPS;
    CHECK_NUMBER(run(PROMPTS, &r, &counts, NULL, &e), ERR_USAGE);
    CHECK_TEXT(e.text, "the stop text <end> is a special token, which texts do not have");
    options.stops = ALLOWED;
    CHECK_NUMBER(run(PROMPTS, &r, &counts, NULL, NULL), 0);
    options.stops = NULL;
    close_results(&r);
}

static void a_text_ends_with_the_context(void) {
    static const char *const LONG[] = {"0 34567890123456789012345678901234>", "0>", NULL};
    struct results r = {.calls = 0};
    struct generate_counts counts;
    CHECK_NUMBER(run(LONG, &r, &counts, NULL, NULL), 0);
    CHECK_TEXT(bytes_text(&r.texts[0]), "one t");
    CHECK_NUMBER(r.ends[0], GENERATE_LENGTH);
    close_results(&r);
}

static void prompts_that_cannot_be_are_named(void) {
    static const char *const EMPTY[] = {"0>", "", NULL};
    static const char *const LONG[] = {"0 3456789012345678901234567890123456789>", NULL};
    struct results r = {.calls = 0};
    struct generate_counts counts;
    struct error e = {0};
    CHECK_NUMBER(run(EMPTY, &r, &counts, NULL, &e), ERR_USAGE);
    CHECK_TEXT(e.text, "prompt 2 has 0 tokens; it may have 1 to 39");
    CHECK_NUMBER(run(LONG, &r, &counts, NULL, &e), ERR_USAGE);
    CHECK_TEXT(e.text, "prompt 1 has 40 tokens; it may have 1 to 39");
    CHECK_NUMBER(r.calls, 0);
}

static void what_goes_wrong_ends_the_run(void) {
    struct results r = {.stops_after = 2}, s = {.calls = 0};
    struct generate_counts counts;
    volatile sig_atomic_t cancel = 1;
    CHECK_NUMBER(run(PROMPTS, &r, &counts, NULL, NULL), ERR_CLOSED);
    CHECK_NUMBER(r.calls, 2);
    CHECK_NUMBER(run(PROMPTS, &s, &counts, &cancel, NULL), ERR_CANCELLED);
    CHECK_NUMBER(s.calls, 0);
    close_results(&r);
    close_results(&s);
}

static void the_seed_and_the_stream_decide_what_is_drawn(void) {
    static const char *const SAME[] = {"0>", "0>", "0>", NULL};
    struct results r[3] = {{.calls = 0}, {.calls = 0}, {.calls = 0}};
    struct generate_counts counts;
    options.sampling.temperature = 4;
    options.max_tokens = 12;
    for (int i = 0; i < 3; i++) {
        options.together = 1 + i;
        options.seed = 7 + (i == 2);
        CHECK_NUMBER(run(SAME, &r[i], &counts, NULL, NULL), 0);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_TEXT(bytes_text(&r[0].texts[i]), bytes_text(&r[1].texts[i]));
        CHECK(strcmp(bytes_text(&r[0].texts[i]), bytes_text(&r[2].texts[i])) != 0);
    }
    CHECK(strcmp(bytes_text(&r[0].texts[0]), bytes_text(&r[0].texts[1])) != 0);
    for (int i = 0; i < 3; i++) {
        close_results(&r[i]);
    }
    options = (struct generate_options){.sampling = SAMPLING_DEFAULTS, .together = 3};
}

/* ---- Prompts of inputs ----------------------------------------------------------------------- */

enum { EMBEDDED = 4, EMBEDDED_SIZE = 8 };
static const char *const INPUTS[EMBEDDED] = {"0 inner>", "0 inner>", "0 other>", "1 inner>"};
static int embeds;

static int embed(void *context, size_t request, float *inputs, struct error *e) {
    (void)context;
    embeds++;
    for (int i = 0; i < EMBEDDED_SIZE; i++) {
        inputs[i] = (float)INPUTS[request][i];
    }
    return request == EMBEDDED - 1 && context != NULL ? error_set(e, ERR_FORMAT, "not to be had")
                                                      : 0;
}

/* Ids that are no text; the first two requests are the same prompt. `positions`: of the second. */
static int run_embedded(const int32_t *positions, void *context, struct results *r,
                        struct generate_counts *counts, struct error *e) {
    int32_t ids[EMBEDDED][EMBEDDED_SIZE];
    struct generate_request requests[EMBEDDED];
    const struct generate_model m = {.config = &CONFIG, .tokenizer = tokenizer};
    struct generate_options o = options;
    o.embed = embed;
    o.embed_context = context;
    embeds = 0;
    for (int i = 0; i < EMBEDDED; i++) {
        for (int k = 0; k < EMBEDDED_SIZE; k++) {
            ids[i][k] = -1 - k;
        }
        requests[i] = (struct generate_request){
            .ids = ids[i == 1 ? 0 : i], .count = EMBEDDED_SIZE, .embedded = true};
        bytes_init(&r->texts[i], 1 << 20);
    }
    requests[1].positions = positions;
    return generate_run(&m, &o, requests, EMBEDDED, take, r, NULL, counts, e);
}

static void prompts_may_be_given_as_inputs(void) {
    static const int32_t APART[EMBEDDED_SIZE] = {0, 1, 2, 3, 4, 5, 7, 8};
    struct generate_counts counts;
    for (options.together = 1; options.together <= 5; options.together++) {
        struct results r = {.calls = 0};
        options.sampling.repetition = 1.0001; /* sees only what was drawn */
        CHECK_NUMBER(run_embedded(NULL, NULL, &r, &counts, NULL), 0);
        CHECK_TEXT(bytes_text(&r.texts[0]), "one two\nthree");
        CHECK_TEXT(bytes_text(&r.texts[1]), "one two\nthree");
        CHECK_TEXT(bytes_text(&r.texts[2]), "one two\nthree");
        CHECK_TEXT(bytes_text(&r.texts[3]), "\xF0\x9F\x8D\x8C!");
        CHECK_NUMBER(embeds, 3);
        CHECK_NUMBER(seen.inputs, counts.read);
        close_results(&r);
    }
    options = (struct generate_options){.sampling = SAMPLING_DEFAULTS, .together = 1};
    struct results same = {.calls = 0}, apart = {.calls = 0};
    CHECK_NUMBER(run_embedded(NULL, NULL, &same, &counts, NULL), 0);
    CHECK_NUMBER(counts.read, 8 + 1 + 6 + 8); /* of the third all after "0 ", of the last all */
    CHECK_NUMBER(run_embedded(APART, NULL, &apart, &counts, NULL), 0);
    CHECK_NUMBER(counts.read, 8 + 2 + 6 + 8);
    close_results(&same);
    close_results(&apart);
    options.together = 3;
}

static void inputs_that_cannot_be_had_end_the_run(void) {
    struct generate_counts counts;
    struct results r = {.calls = 0};
    struct error e = {0};
    CHECK_NUMBER(run_embedded(NULL, &embeds, &r, &counts, &e), ERR_FORMAT);
    CHECK_TEXT(e.text, "not to be had");
    close_results(&r);
    const int32_t id = -1;
    const struct generate_request request = {.ids = &id, .count = 1, .embedded = true};
    const struct generate_model m = {.config = &CONFIG, .tokenizer = tokenizer};
    CHECK_NUMBER(generate_run(&m, &options, &request, 1, take, &r, NULL, &counts, &e), ERR_USAGE);
    CHECK_TEXT(e.text, "prompt 1 has no inputs");
}

static void special_tokens_are_no_text(void) {
    CHECK(tokenizer_is_special(tokenizer, 256) && !tokenizer_is_special(tokenizer, 257));
    CHECK(!tokenizer_is_special(tokenizer, 'a') && !tokenizer_is_special(tokenizer, -1));
}

int main(void) {
    open_tokenizer();
    RUN(each_prompt_has_its_text_however_many_run);
    RUN(what_the_cache_has_is_not_read_again);
    RUN(texts_end_at_stop_texts_and_limits);
    RUN(a_text_that_the_guard_ends_does_not_end_others);
    RUN(a_stop_text_that_never_comes_is_refused);
    RUN(a_text_ends_with_the_context);
    RUN(prompts_that_cannot_be_are_named);
    RUN(what_goes_wrong_ends_the_run);
    RUN(the_seed_and_the_stream_decide_what_is_drawn);
    RUN(prompts_may_be_given_as_inputs);
    RUN(inputs_that_cannot_be_had_end_the_run);
    RUN(special_tokens_are_no_text);
    tokenizer_close(tokenizer);
    return test_finish();
}
