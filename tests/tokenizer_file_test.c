/* tokenizer_file_test.c - rank files and tokenizer.json made by hand: what is read, and what is
 * refused with which words. */
#include <jansson.h>

#include "store/utf8.h"
#include "tests/test.h"
#include "train/tokenizer/tokenizer_parts.h"

static void put(struct bytes *b, const char *text) {
    CHECK_NUMBER(bytes_append_text(b, text, NULL), 0);
}

static void put_base64(struct bytes *b, const unsigned char *data, size_t size) {
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++) {
            bits = bits << 8 | (i + k < size ? data[i + k] : 0);
        }
        for (size_t k = 0; k < 4; k++) {
            char c = i + k > size ? '=' : DIGITS[bits >> (18 - 6 * k) & 63];
            CHECK_NUMBER(bytes_append(b, &c, 1, NULL), 0);
        }
    }
}

/* A rank file of the 256 bytes and what `more` says. */
static void put_ranks(struct bytes *b, const char *more) {
    bytes_init(b, SIZE_MAX);
    for (int i = 0; i < 256; i++) {
        unsigned char byte = (unsigned char)i;
        put_base64(b, &byte, 1);
        CHECK_NUMBER(bytes_printf(b, NULL, " %d\n", i), 0);
    }
    put(b, more);
}

/* Checks how reading ends, and with which words. */
static void expect(const char *data, size_t size, enum tokenizer_split split, int code,
                   const char *words) {
    struct error e = {0};
    struct tokenizer *t;
    char *copy = malloc(size + 1); /* of that size, for the sanitizer */
    if (copy == NULL) {
        exit(EXIT_FAILURE);
    }
    memcpy(copy, data, size);
    CHECK_NUMBER(tokenizer_read(&t, "a/FILE", copy, size, split, &e), code);
    CHECK((t != NULL) == (code == 0));
    CHECK_TEXT(e.text, words);
    tokenizer_close(t);
    free(copy);
}

static void expect_ranks(const char *more, int code, const char *words) {
    struct bytes b;
    put_ranks(&b, more);
    expect(bytes_text(&b), b.size, TOKENIZER_SPLIT_R50K, code, words);
    bytes_close(&b);
}

static void rank_files_that_are_wrong_are_refused(void) {
    expect_ranks("", 0, "");
    expect_ranks("\r\n\n", 0, "");
    expect_ranks("YWI= 300\r\nYWJj 301", 0, "");
    expect_ranks("YWI=\n", ERR_FORMAT, "a/FILE: line 257: is not `BASE64 RANK`");
    expect_ranks("YWI 256\n", ERR_FORMAT, "a/FILE: line 257: the token is not base64");
    expect_ranks("YW=I 256\n", ERR_FORMAT, "a/FILE: line 257: the token is not base64");
    expect_ranks("==== 256\n", ERR_FORMAT, "a/FILE: line 257: the token is not base64");
    expect_ranks("\xC3\xA9\xFF\xFE 256\n", ERR_FORMAT, "a/FILE: line 257: the token is not base64");
    expect_ranks(" 256\n", ERR_FORMAT, "a/FILE: line 257: the token is not base64");
    expect_ranks("YWI=  256\n", ERR_FORMAT,
                 "a/FILE: line 257: the rank is not a number below 4194304");
    expect_ranks("YWI= -1\n", ERR_FORMAT,
                 "a/FILE: line 257: the rank is not a number below 4194304");
    expect_ranks("YWI= \n", ERR_FORMAT, "a/FILE: line 257: the rank is not a number below 4194304");
    expect_ranks("YWI= 1073741824\n", ERR_FORMAT,
                 "a/FILE: line 257: the rank is not a number below 4194304");
    expect_ranks("YWI= 99999999999999999999999999\n", ERR_FORMAT,
                 "a/FILE: line 257: the rank is not a number below 4194304");
    expect_ranks("YWI= 255\n", ERR_FORMAT, "a/FILE: line 257: two tokens have the id 255");
    expect_ranks("YWI= 256\nYWI= 257\n", ERR_FORMAT,
                 "a/FILE: line 258: the tokens 256 and 257 are the same bytes");
    expect_ranks("YWI= 50256\n", ERR_FORMAT,
                 "a/FILE: the added token <|endoftext|>: two tokens have the id 50256");
    expect("", 0, TOKENIZER_SPLIT_R50K, ERR_FORMAT, "a/FILE: the byte 0x00 has no token");
    expect("AA== 0\nAg== 2\n", 14, TOKENIZER_SPLIT_R50K, ERR_FORMAT,
           "a/FILE: the byte 0x01 has no token");
    expect("\xFF\xFE\0\0", 4, TOKENIZER_SPLIT_R50K, ERR_FORMAT,
           "a/FILE: line 1: is not `BASE64 RANK`");
}

static void how_text_is_split_has_to_be_known(void) {
    struct bytes b;
    struct tokenizer *t;
    put_ranks(&b, "");
    expect(
        bytes_text(&b), b.size, TOKENIZER_SPLIT_AUTO, ERR_UNSUPPORTED,
        "a/FILE: 256 ranks: no encoding that is known here has so many, and how it splits text is "
        "not in the file; its tokenizer.json says it and is read too");
    CHECK_NUMBER(tokenizer_read(&t, "x/o200k_base.tiktoken", bytes_text(&b), b.size,
                                TOKENIZER_SPLIT_AUTO, NULL),
                 0);
    CHECK_TEXT(tokenizer_name(t), "o200k_base");
    CHECK_NUMBER(tokenizer_added(t, "<|endofprompt|>"), 200018);
    tokenizer_close(t);
    for (uint32_t i = 256; i < 50256; i++) { /* as many as r50k has */
        unsigned char token[] = {'a', (unsigned char)(i >> 8), (unsigned char)i};
        put_base64(&b, token, 3);
        CHECK_NUMBER(bytes_printf(&b, NULL, " %u\n", i), 0);
    }
    expect(bytes_text(&b), b.size, TOKENIZER_SPLIT_AUTO, 0, "");
    /* store F18: Whisper's multilingual.tiktoken ends in a rank without a token. */
    put(&b, "= 50256\n");
    CHECK_NUMBER(tokenizer_read(&t, "ranks", bytes_text(&b), b.size, TOKENIZER_SPLIT_AUTO, NULL),
                 0);
    CHECK_NUMBER(tokenizer_added(t, "<|endoftext|>"), 50257);
    tokenizer_close(t);
    bytes_close(&b);
}

static void tokens_have_a_longest_length(void) {
    for (size_t size = TOKENIZER_TOKEN_LIMIT - 1; size < TOKENIZER_TOKEN_LIMIT + 4; size++) {
        struct bytes b;
        unsigned char token[TOKENIZER_TOKEN_LIMIT + 4] = {0};
        put_ranks(&b, "");
        put_base64(&b, token, size);
        put(&b, " 256\n");
        int code = size > TOKENIZER_TOKEN_LIMIT ? ERR_LIMIT : 0;
        struct tokenizer *t;
        CHECK_NUMBER(tokenizer_read(&t, "", bytes_text(&b), b.size, TOKENIZER_SPLIT_CL100K, NULL),
                     code);
        tokenizer_close(t);
        bytes_close(&b);
    }
}

/* ---- tokenizer.json ------------------------------------------------------------------------ */

/* The 256 bytes as ids 0 to 255 in the byte-level alphabet, then `tokens`. */
static json_t *vocabulary_new(const char *const *tokens) {
    json_t *vocab = json_object();
    uint32_t beyond = 256;
    char text[5];
    for (uint32_t i = 0; i < 256; i++) {
        bool printable = (i > 0x20 && i < 0x7F) || (i > 0xA0 && i != 0xAD);
        text[utf8_encode(printable ? i : beyond++, text)] = 0;
        json_object_set_new(vocab, text, json_integer(i));
    }
    for (int i = 0; tokens[i] != NULL; i++) {
        json_object_set_new(vocab, tokens[i], json_integer(256 + i));
    }
    return vocab;
}

/* "ab" before "bc": abc is a token that no merge makes; \u0120 is the space. */
static const char *const TOKENS[] = {"ab", "bc", "abc",
                                     "\xC4\xA0"
                                     "ab",
                                     NULL};
static const char PAIRS[] = "[[\"a\",\"b\"],[\"b\",\"c\"],[\"\\u0120\",\"ab\"]]";
static const char JOINED[] = "[\"#version: 0.2\",\"a b\",\"b c\",\"\\u0120 ab\"]";
static const char SPLIT_ALL[] = "{\"type\":\"ByteLevel\",\"add_prefix_space\":false}";

static json_t *parse(const char *text) {
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    if (!CHECK(value != NULL)) {
        exit(EXIT_FAILURE);
    }
    return value;
}

static json_t *root_new(const char *merges) {
    return json_pack("{s:{s:s,s:o,s:o},s:o}", "model", "type", "BPE", "vocab",
                     vocabulary_new(TOKENS), "merges", parse(merges), "pre_tokenizer",
                     parse(SPLIT_ALL));
}

/* Takes `root`. */
static void expect_json(json_t *root, int code, const char *words) {
    char *text = json_dumps(root, 0);
    if (!CHECK(text != NULL)) {
        exit(EXIT_FAILURE);
    }
    expect(text, strlen(text), TOKENIZER_SPLIT_AUTO, code, words);
    free(text);
    json_decref(root);
}

/* A tokenizer.json with one member of the root or of the model replaced. */
static void expect_changed(bool model, const char *name, const char *value, int code,
                           const char *words) {
    json_t *root = root_new(PAIRS);
    json_object_set_new(model ? json_object_get(root, "model") : root, name, parse(value));
    expect_json(root, code, words);
}

static void check_ids(const char *merges, bool ignore_merges, const char *text, const int32_t *ids,
                      size_t count) {
    json_t *root = root_new(merges);
    struct tokenizer *t;
    struct tokenizer_state *s;
    struct token_list tokens = {0};
    json_object_set_new(json_object_get(root, "model"), "ignore_merges",
                        json_boolean(ignore_merges));
    char *file = json_dumps(root, JSON_ENSURE_ASCII);
    if (!CHECK(file != NULL) ||
        !CHECK_NUMBER(tokenizer_read(&t, "", file, strlen(file), TOKENIZER_SPLIT_AUTO, NULL), 0) ||
        !CHECK_NUMBER(tokenizer_state_open(&s, t, NULL), 0)) {
        exit(EXIT_FAILURE);
    }
    CHECK_NUMBER(tokenizer_encode(s, text, strlen(text), TOKENIZER_ORDINARY, &tokens, NULL), 0);
    CHECK(tokens.count == count && memcmp(tokens.ids, ids, count * sizeof *ids) == 0);
    token_list_close(&tokens);
    tokenizer_state_close(s);
    tokenizer_close(t);
    free(file);
    json_decref(root);
}

/* One line of missing.jsonl: a tokenizer.json, and texts with their tokens by tokenizers. */
static void check_missing(const json_t *line) {
    char *file = json_dumps(json_object_get(line, "root"), 0);
    const json_t *texts = json_object_get(line, "texts"), *text;
    struct tokenizer *t;
    struct tokenizer_state *s;
    struct error e = {0};
    size_t i, k;
    if (!CHECK(file != NULL) || !CHECK(json_array_size(texts) > 0) ||
        !CHECK_NUMBER(tokenizer_read(&t, "", file, strlen(file), TOKENIZER_SPLIT_AUTO, &e), 0) ||
        !CHECK_NUMBER(tokenizer_state_open(&s, t, NULL), 0)) {
        printf("# %s\n", e.text);
        exit(EXIT_FAILURE);
    }
    json_array_foreach(texts, i, text) {
        const json_t *want = json_array_get(text, 1), *id;
        const char *chars = json_string_value(json_array_get(text, 0));
        struct token_list got = {0};
        CHECK_NUMBER(tokenizer_encode(s, chars, strlen(chars), TOKENIZER_ORDINARY, &got, NULL), 0);
        bool same = CHECK_NUMBER(got.count, json_array_size(want));
        json_array_foreach(want, k, id) {
            same = same && CHECK_NUMBER(got.ids[k], json_integer_value(id));
        }
        if (!same) {
            printf("# %s\n", chars);
        }
        token_list_close(&got);
    }
    tokenizer_state_close(s);
    tokenizer_close(t);
    free(file);
}

/* store F18: SmolLM2's vocabulary has no token for 21 of the 256 bytes. */
static void bytes_without_a_token_are_as_tokenizers_has_them(void) {
    FILE *file = fopen(TEST_FOLDER "/golden/tokenizer/missing.jsonl", "r");
    if (!CHECK(file != NULL)) {
        exit(EXIT_FAILURE);
    }
    int lines = 0;
    for (json_t *line; (line = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL)) != NULL; lines++) {
        check_missing(line);
        json_decref(line);
    }
    CHECK_NUMBER(lines, 5);
    fclose(file);
}

static void both_forms_of_merges_are_read(void) {
    static const int32_t IDS[] = {256, 'c', 259, 'c', '.', 257},
                         WHOLE[] = {258, 259, 'c', '.', 257};
    for (int i = 0; i < 2; i++) {
        const char *merges = i == 0 ? PAIRS : JOINED;
        check_ids(merges, false, "abc abc.bc", IDS, 6);
        check_ids(merges, true, "abc abc.bc", WHOLE, 5);
    }
    /* the rank is the place in the list: here bc goes first */
    check_ids("[\"b c\",\"a b\"]", false, "abc", (const int32_t[]){'a', 257}, 2);
}

static void other_models_are_refused_by_name(void) {
    expect_changed(true, "type", "\"BPE\"", 0, "");
    expect_changed(true, "type", "null", 0, "");
    expect_changed(true, "type", "\"Unigram\"", ERR_UNSUPPORTED,
                   "a/FILE: the model Unigram is not supported");
    expect_changed(true, "byte_fallback", "true", ERR_UNSUPPORTED,
                   "a/FILE: the model's byte_fallback is not supported");
    expect_changed(true, "dropout", "0.1", ERR_UNSUPPORTED,
                   "a/FILE: the model's dropout is not supported");
    expect_changed(true, "continuing_subword_prefix", "\"##\"", ERR_UNSUPPORTED,
                   "a/FILE: the model's continuing_subword_prefix is not supported");
    expect_changed(true, "end_of_word_suffix", "\"\"", 0, "");
    expect_changed(false, "normalizer", "{\"type\":\"NFC\"}", ERR_UNSUPPORTED,
                   "a/FILE: the normalizer NFC is not supported");
    expect_changed(false, "normalizer", "{\"type\":\"Sequence\",\"normalizers\":[]}", 0, "");
    expect_changed(false, "decoder", "{\"type\":\"Metaspace\"}", ERR_UNSUPPORTED,
                   "a/FILE: the decoder Metaspace is not supported");
    expect_changed(false, "pre_tokenizer", "{\"type\":\"Metaspace\"}", ERR_UNSUPPORTED,
                   "a/FILE: the pre-tokenizer Metaspace is not supported");
    expect_changed(false, "pre_tokenizer", "null", ERR_UNSUPPORTED,
                   "a/FILE: a BPE without the pre-tokenizer ByteLevel is not supported");
    expect_changed(false, "pre_tokenizer",
                   "{\"type\":\"Split\",\"pattern\":{\"String\":\" \"},"
                   "\"behavior\":\"MergedWithPrevious\"}",
                   ERR_UNSUPPORTED,
                   "a/FILE: the behavior of Split MergedWithPrevious is not supported");
    expect_changed(false, "pre_tokenizer",
                   "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\"},"
                   "{\"type\":\"Digits\"}]}",
                   ERR_UNSUPPORTED, "a/FILE: a pre-tokenizer after ByteLevel is not supported");
    expect_changed(false, "pre_tokenizer",
                   "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a(?R)\"},"
                   "\"behavior\":\"Isolated\"}",
                   ERR_UNSUPPORTED, "a/FILE: split pattern: (?R is not supported");
}

/* The reason is jansson's. */
static void expect_no_json(const char *text, size_t size) {
    struct error e = {0};
    struct tokenizer *t;
    CHECK_NUMBER(tokenizer_read(&t, "FILE", text, size, TOKENIZER_SPLIT_AUTO, &e), ERR_FORMAT);
    CHECK(strncmp(e.text, "FILE: invalid JSON at line 1, column ", 37) == 0);
}

static void wrong_tokenizer_json_is_refused(void) {
    expect_changed(true, "vocab", "[]", ERR_FORMAT, "a/FILE: model.vocab is not an object");
    expect_changed(true, "vocab", "{\"a\":0}", ERR_FORMAT,
                   "a/FILE: merge 0 is of tokens that model.vocab has not");
    expect_changed(true, "vocab", "{\"a\":\"b\"}", ERR_FORMAT,
                   "a/FILE: the id of the token a is not a number below 4194304");
    expect_changed(true, "vocab", "{\"a\":1073741824}", ERR_FORMAT,
                   "a/FILE: the id of the token a is not a number below 4194304");
    expect_changed(true, "vocab", "{\"a\":-1}", ERR_FORMAT,
                   "a/FILE: the id of the token a is not a number below 4194304");
    expect_changed(true, "vocab", "{\"a\":1,\"b\":1}", ERR_FORMAT,
                   "a/FILE: two tokens have the id 1");
    expect_changed(true, "vocab", "{\"\":1}", ERR_FORMAT, "a/FILE: token 1 is empty");
    expect_changed(true, "merges", "null", ERR_FORMAT, "a/FILE: model.merges is not an array");
    expect_changed(true, "merges", "[]", 0, "");
    expect_changed(true, "merges", "[\"ab\"]", ERR_FORMAT,
                   "a/FILE: merge 0 is neither \"a b\" nor [\"a\",\"b\"]");
    expect_changed(true, "merges", "[\"a b\",\"a b c\"]", ERR_FORMAT,
                   "a/FILE: merge 1 is neither \"a b\" nor [\"a\",\"b\"]");
    expect_changed(true, "merges", "[[\"a\",\"b\",\"c\"]]", ERR_FORMAT,
                   "a/FILE: merge 0 is neither \"a b\" nor [\"a\",\"b\"]");
    expect_changed(true, "merges", "[[\"a\",\"\"]]", ERR_FORMAT,
                   "a/FILE: merge 0 is of tokens that model.vocab has not");
    expect_changed(true, "merges", "[\"c a\"]", ERR_FORMAT,
                   "a/FILE: merge 0 is of tokens that model.vocab has not");
    expect_changed(true, "merges", "[\"\\u6f22 a\"]", ERR_FORMAT,
                   "a/FILE: merge 0 is of tokens that model.vocab has not");
    expect_changed(false, "model",
                   "{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[],\"unk_token\":\"<unk>\"}",
                   ERR_FORMAT, "a/FILE: model.vocab has no unk_token <unk>");
    expect_changed(false, "model", "null", ERR_FORMAT, "a/FILE: there is no model");
    expect_no_json("{", 1);
    expect_no_json("{\"a\":\"\xFF\"}", 9);
    expect_no_json("{\"a\":1,\"a\":2}", 13);
    expect_no_json("{}{}", 4);
    expect(" \n{}", 4, TOKENIZER_SPLIT_R50K, ERR_USAGE,
           "a/FILE: a tokenizer.json says itself how text is split");
}

static void json_without_an_end_is_refused(void) {
    enum { DEPTH = 1 << 20 };
    struct bytes b;
    bytes_init(&b, SIZE_MAX);
    put(&b, "{\"model\":");
    for (int i = 0; i < DEPTH; i++) {
        put(&b, "[");
    }
    struct tokenizer *t;
    CHECK_NUMBER(tokenizer_read(&t, "", bytes_text(&b), b.size, TOKENIZER_SPLIT_AUTO, NULL),
                 ERR_FORMAT);
    bytes_close(&b);
    put(&b, "{\"pre_tokenizer\":");
    for (int i = 0; i < 20; i++) {
        put(&b, "{\"type\":\"Sequence\",\"pretokenizers\":[");
    }
    for (int i = 0; i < 20; i++) {
        put(&b, "]}");
    }
    put(&b, "}");
    json_t *deep = parse(bytes_text(&b)), *root = root_new(PAIRS);
    CHECK_NUMBER(json_object_update(root, deep), 0);
    expect_json(root, ERR_UNSUPPORTED, "a/FILE: the pre-tokenizer Sequence is not supported");
    json_decref(deep);
    bytes_close(&b);
}

static void wrong_added_tokens_are_refused(void) {
    static const char *const CASES[][2] = {
        {"[]", ""},
        {"[{\"id\":260,\"content\":\"<s>\"}]", ""},
        {"[{\"id\":256,\"content\":\"ab\"}]", ""},
        {"[{\"content\":\"<s>\"}]",
         "a/FILE: an added token has no content, or no id below 4194304"},
        {"[{\"id\":260,\"content\":\"\"}]",
         "a/FILE: an added token has no content, or no id below 4194304"},
        {"[{\"id\":4194304,\"content\":\"<s>\"}]",
         "a/FILE: an added token has no content, or no id below 4194304"},
        {"[{\"id\":5,\"content\":\"<s>\"}]",
         "a/FILE: the added token <s>: two tokens have the id 5"},
        {"[{\"id\":5,\"content\":\"ab\"}]",
         "a/FILE: the added token ab has another id in model.vocab"},
        {"[{\"id\":260,\"content\":\"<s>\"},{\"id\":261,\"content\":\"<s>\"}]",
         "a/FILE: the added token <s> is there twice"},
        {"[{\"id\":260,\"content\":\"<s>\",\"single_word\":true}]",
         "a/FILE: the added token <s>: single_word is not supported"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        int code = i < 3 ? 0 : i == 9 ? ERR_UNSUPPORTED : ERR_FORMAT;
        expect_changed(false, "added_tokens", CASES[i][0], code, CASES[i][1]);
    }
}

/* ---- Patterns ------------------------------------------------------------------------------ */

#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#define LATIN1 "\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}"

static void patterns_are_translated(void) {
    static const char *const CASES[][2] = {
        {"\\s+$|^a.", "\\p{White_Space}+$|^a."},
        {"[^\\s\\S]", "[^\\p{White_Space}\\P{White_Space}]"},
        {"\\w", "[" WORD LATIN1 "]"},
        {"\\W[\\w-]", "[^" WORD LATIN1 "][" WORD "-]"},
        {"\\d\\D", "\\p{Nd}\\P{Nd}"},
        {"\\p{L}\\P{Lu}\\p{Han}", "\\p{L}\\P{Lu}\\p{sc:Han}"},
        {"\\u00e9\\x41\\x{1F600}", "\\x{00e9}\\x{41}\\x{1F600}"},
        {"a{1,3}b{2}c{4,}{x", "a{1,3}b{2}c{4,}\\{x"},
        {"(?:a)(?i:b)(?=c)(?!d)(?<=e)(?<!f)(?>g)(h)", "(?:a)(?i:b)(?=c)(?!d)(?<=e)(?<!f)(?>g)(h)"},
        {"\\r\\n\\t\\.\\[\\\\", "\\r\\n\\t\\.\\[\\\\"},
        {"\xE6\xBC\xA2[!-/:\\]]", "\xE6\xBC\xA2[!-/:\\]]"},
    };
    struct bytes out;
    bytes_init(&out, 1 << 12);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        bytes_clear(&out);
        CHECK_NUMBER(pattern_translate(&out, CASES[i][0], strlen(CASES[i][0]), NULL), 0);
        CHECK_TEXT(bytes_text(&out), CASES[i][1]);
    }
    bytes_close(&out);
}

static void patterns_of_another_meaning_are_refused(void) {
    static const char *const CASES[] = {
        "\\h",        "\\b",     "\\A",     "\\G",    "\\K",    "\\R",         "\\1",
        "\\k<a>",     "\\Qa",    "\\C",     "\\v",    "\\pL",   "\\p{^L}",     "\\p{L",
        "\\xC3",      "\\x{}",   "\\u12",   "[a[b]]", "[a&&b]", "[]a]",        "[[:alpha:]]",
        "[\\W]",      "a{1,3}+", "a{2}?",   "a{,3}",  "(?R)",   "(?i)a",       "(*UCP)a",
        "(?#a)",      "(?C)",    "(?<n>a)", "(?<",    "\\",     "[a",          "[",
        "\\p{Wrong}", "(",       ")",       "a**",    "[z-a]",  "\\x{110000}",
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct pattern *p;
        struct error e = {0};
        int rc = pattern_open(&p, CASES[i], strlen(CASES[i]), false, &e);
        CHECK(rc == ERR_UNSUPPORTED || rc == ERR_FORMAT);
        if (!CHECK(p == NULL && strncmp(e.text, "split pattern: ", 15) == 0)) {
            printf("# %s: %s\n", CASES[i], e.text);
        }
        pattern_close(p);
    }
}

static void a_pattern_cannot_run_for_ever(void) {
    static const char EVIL[] = "(?:(?:a|b|ab)*)*[cd]";
    struct pattern *p;
    struct matcher *m;
    unsigned char text[200];
    size_t start, end;
    CHECK_NUMBER(pattern_open(&p, EVIL, strlen(EVIL), false, NULL), 0);
    CHECK_NUMBER(matcher_open(&m, NULL), 0);
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = i % 2 == 0 ? 'a' : 'b';
    }
    struct error e = {0};
    CHECK_NUMBER(pattern_find(p, m, text, sizeof text, 0, &start, &end, &e), ERR_LIMIT);
    CHECK_TEXT(e.text, "split pattern: match limit exceeded");
    matcher_close(m);
    pattern_close(p);
}

int main(void) {
    RUN(rank_files_that_are_wrong_are_refused);
    RUN(how_text_is_split_has_to_be_known);
    RUN(tokens_have_a_longest_length);
    RUN(bytes_without_a_token_are_as_tokenizers_has_them);
    RUN(both_forms_of_merges_are_read);
    RUN(other_models_are_refused_by_name);
    RUN(wrong_tokenizer_json_is_refused);
    RUN(json_without_an_end_is_refused);
    RUN(wrong_added_tokens_are_refused);
    RUN(patterns_are_translated);
    RUN(patterns_of_another_meaning_are_refused);
    RUN(a_pattern_cannot_run_for_ever);
    return test_finish();
}
