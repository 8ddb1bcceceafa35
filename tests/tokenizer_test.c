/* tokenizer_test.c - tokens beside those of tiktoken and tokenizers, and whatever text may hold.
 * golden/tokenizer/make_gold.py says where the vectors come from. */
#include "train/tokenizer/tokenizer.h"

#include <jansson.h>
#include <pthread.h>

#include "store/clock.h"
#include "store/file.h"
#include "store/utf8.h"
#include "tests/test.h"
#include "train/tokenizer/tokenizer_parts.h"

#define GOLDEN TEST_FOLDER "/golden/tokenizer/"

enum { CODERS = 3, RANDOM_TEXTS = 2000, MEGABYTE = 1 << 20 };

/* A tokenizer and one state of it. */
struct coder {
    struct tokenizer *t;
    struct tokenizer_state *s;
};

static bool coder_open(struct coder *c, const char *path, enum tokenizer_split split) {
    struct error e = {0};
    *c = (struct coder){0};
    if (tokenizer_open(&c->t, path, split, &e) < 0 || tokenizer_state_open(&c->s, c->t, &e) < 0) {
        CHECK_TEXT(e.text, "");
        return false;
    }
    return true;
}

static void coder_close(struct coder *c) {
    tokenizer_state_close(c->s);
    tokenizer_close(c->t);
}

/* GPT-2's ranks under the splits of GPT-2 and of o200k, and what there is of GPT-4's. */
static void coders_open(struct coder coders[CODERS]) {
    static const char *const R50K = TEST_FOLDER "/../train/r50k_base.tiktoken";
    if (!coder_open(&coders[0], R50K, TOKENIZER_SPLIT_AUTO) ||
        !coder_open(&coders[1], GOLDEN "cl100k_reduced.tiktoken", TOKENIZER_SPLIT_CL100K) ||
        !coder_open(&coders[2], R50K, TOKENIZER_SPLIT_O200K)) {
        exit(EXIT_FAILURE);
    }
}

static void coders_close(struct coder coders[CODERS]) {
    for (int i = 0; i < CODERS; i++) {
        coder_close(&coders[i]);
    }
}

static uint32_t random_next(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static bool same_ids(const struct token_list *got, const json_t *wanted) {
    bool same = got->count == json_array_size(wanted);
    for (size_t i = 0; i < got->count && same; i++) {
        same = got->ids[i] == json_integer_value(json_array_get(wanted, i));
    }
    return same;
}

/* Encodes, counts and decodes; `back`: decoding gives the text itself. */
static void check_text(struct coder *c, const char *text, size_t size, enum tokenizer_special mode,
                       const json_t *ids, bool back) {
    struct token_list tokens = {0};
    struct bytes decoded;
    size_t count = 0;
    bytes_init(&decoded, SIZE_MAX);
    CHECK_NUMBER(tokenizer_encode(c->s, text, size, mode, &tokens, NULL), 0);
    CHECK_NUMBER(tokenizer_count(c->s, text, size, mode, &count, NULL), 0);
    CHECK_NUMBER(count, tokens.count);
    if (ids != NULL && !CHECK(same_ids(&tokens, ids))) {
        printf("# %s: %.*s\n", tokenizer_name(c->t), (int)size, text);
    }
    CHECK_NUMBER(tokenizer_decode(c->t, tokens.ids, tokens.count, &decoded, NULL), 0);
    if (back) {
        CHECK(decoded.size == size && memcmp(bytes_text(&decoded), text, size) == 0);
    }
    bytes_close(&decoded);
    token_list_close(&tokens);
}

/* ---- Gold vectors -------------------------------------------------------------------------- */

/* The next line without its end, or NULL; `text` is then after it. */
static const char *line_next(const char **text, size_t *size) {
    const char *line = *text, *end = strchr(line, '\n');
    if (*line == 0) {
        return NULL;
    }
    *size = end != NULL ? (size_t)(end - line) : strlen(line);
    *text = line + *size + (end != NULL);
    return line;
}

static void golden_read(struct bytes *out, const char *path) {
    bytes_init(out, MEGABYTE);
    if (!CHECK_NUMBER(file_read(path, out, NULL), 0)) {
        exit(EXIT_FAILURE);
    }
}

static void gold_vectors_of_the_encodings(void) {
    static const char *const NAMES[] = {"r50k_base", "cl100k_base"};
    static const char ENCODING[] = "EncodingName: ", SAMPLE[] = "Sample: ", ENCODED[] = "Encoded: ";
    struct coder coders[CODERS], *coder = NULL;
    struct bytes file;
    const char *line, *text = NULL;
    size_t size, text_size = 0;
    int checked = 0;
    coders_open(coders);
    golden_read(&file, GOLDEN "tiktoken-gold.txt");
    const char *p = bytes_text(&file);
    for (line = line_next(&p, &size); line != NULL; line = line_next(&p, &size)) {
        if (strncmp(line, ENCODING, sizeof ENCODING - 1) == 0) {
            coder = NULL;
            for (int i = 0; i < 2; i++) {
                size_t length = strlen(NAMES[i]);
                bool named = size == sizeof ENCODING - 1 + length &&
                             memcmp(line + sizeof ENCODING - 1, NAMES[i], length) == 0;
                coder = named ? &coders[i] : coder;
            }
        } else if (strncmp(line, SAMPLE, sizeof SAMPLE - 1) == 0) {
            text = line + sizeof SAMPLE - 1;
            text_size = size - (sizeof SAMPLE - 1);
        } else if (strncmp(line, ENCODED, sizeof ENCODED - 1) == 0 && coder != NULL) {
            size_t head = sizeof ENCODED - 1;
            json_t *ids = json_loadb(line + head, size - head, 0, NULL);
            CHECK(ids != NULL);
            check_text(coder, text, text_size, TOKENIZER_ORDINARY, ids, true);
            json_decref(ids);
            checked++;
        }
    }
    CHECK_NUMBER(checked, 128);
    bytes_close(&file);
    coders_close(coders);
}

/* The tokenizer that the line of ranks.jsonl names. */
static void ranks_open(struct coder *c, const json_t *line) {
    const char *ranks = json_string_value(json_object_get(line, "ranks"));
    const char *split = json_string_value(json_object_get(line, "split"));
    bool bundled = strcmp(ranks, "r50k_base") == 0;
    char path[512];
    snprintf(path, sizeof path, "%s/%s%s.tiktoken", TEST_FOLDER,
             bundled ? "../train/" : "golden/tokenizer/", ranks);
    if (!coder_open(c, path,
                    strcmp(split, "r50k") == 0     ? TOKENIZER_SPLIT_R50K
                    : strcmp(split, "cl100k") == 0 ? TOKENIZER_SPLIT_CL100K
                                                   : TOKENIZER_SPLIT_O200K)) {
        exit(EXIT_FAILURE);
    }
}

/* The merges ["a","b"] as "a b". */
static void join_merges(json_t *model) {
    json_t *merges = json_object_get(model, "merges");
    for (size_t i = 0; i < json_array_size(merges); i++) {
        const json_t *pair = json_array_get(merges, i);
        json_array_set_new(merges, i,
                           json_sprintf("%s %s", json_string_value(json_array_get(pair, 0)),
                                        json_string_value(json_array_get(pair, 1))));
    }
}

/* tokenizer.json with the changes that a line of variants.jsonl says; every other one with merges
 * as "a b". */
static void variant_open(struct coder *c, const json_t *line, int number) {
    struct error e = {0};
    json_t *root = json_load_file(GOLDEN "tokenizer.json", 0, NULL);
    json_t *model = json_object_get(root, "model");
    CHECK_NUMBER(json_object_update(root, json_object_get(line, "root")), 0);
    CHECK_NUMBER(json_object_update(model, json_object_get(line, "model")), 0);
    if (number % 2 == 1) {
        join_merges(model);
    }
    char *text = json_dumps(root, JSON_COMPACT);
    const char *name = json_string_value(json_object_get(line, "name"));
    if (!CHECK(text != NULL) ||
        tokenizer_read(&c->t, name, text, strlen(text), TOKENIZER_SPLIT_AUTO, &e) < 0 ||
        tokenizer_state_open(&c->s, c->t, &e) < 0) {
        CHECK_TEXT(e.text, "");
        exit(EXIT_FAILURE);
    }
    free(text);
    json_decref(root);
}

/* Lines that name a tokenizer, each followed by texts with their tokens: how many of each. */
static void check_lines(const char *path, enum tokenizer_special mode, bool back, int tokenizers,
                        int texts) {
    struct bytes file;
    struct coder c = {0};
    const char *line;
    size_t size;
    int opened = 0, checked = 0;
    golden_read(&file, path);
    const char *p = bytes_text(&file);
    for (line = line_next(&p, &size); line != NULL; line = line_next(&p, &size)) {
        json_t *root = json_loadb(line, size, JSON_ALLOW_NUL, NULL);
        const json_t *text = json_object_get(root, "text");
        if (text != NULL) {
            check_text(&c, json_string_value(text), json_string_length(text), mode,
                       json_object_get(root, "ids"), back);
            checked++;
        } else {
            coder_close(&c);
            if (json_object_get(root, "ranks") != NULL) {
                ranks_open(&c, root);
            } else {
                variant_open(&c, root, opened);
            }
            opened++;
        }
        json_decref(root);
    }
    CHECK_NUMBER(opened, tokenizers);
    CHECK_NUMBER(checked, texts);
    coder_close(&c);
    bytes_close(&file);
}

static void tiktoken_agrees_on_random_text(void) {
    check_lines(GOLDEN "ranks.jsonl", TOKENIZER_ORDINARY, true, 5, 5 * 111);
}

static void tokenizers_agrees_on_random_text(void) {
    check_lines(GOLDEN "variants.jsonl", TOKENIZER_ADDED, false, 8, 8 * 71);
}

/* ---- The vocabulary ------------------------------------------------------------------------ */

static void tokens_have_names_and_bytes(void) {
    struct coder coders[CODERS];
    struct bytes text;
    size_t size;
    coders_open(coders);
    const struct tokenizer *t = coders[0].t;
    CHECK_TEXT(tokenizer_name(t), "r50k_base");
    CHECK_TEXT(tokenizer_name(coders[1].t), "cl100k_reduced");
    CHECK_NUMBER(tokenizer_size(t), 50257);
    CHECK_NUMBER(tokenizer_size(coders[1].t), 100277);
    CHECK_NUMBER(tokenizer_added(t, "<|endoftext|>"), 50256);
    CHECK_NUMBER(tokenizer_added(coders[1].t, "<|endofprompt|>"), 100276);
    CHECK_NUMBER(tokenizer_added(t, "<|endofprompt|>"), -1);
    CHECK(memcmp(tokenizer_bytes(t, 31373, &size), "hello", 5) == 0 && size == 5);
    CHECK(memcmp(tokenizer_bytes(t, 50256, &size), "<|endoftext|>", 13) == 0 && size == 13);
    CHECK(tokenizer_bytes(t, 50257, &size) == NULL && tokenizer_bytes(t, -1, &size) == NULL);
    CHECK(tokenizer_bytes(coders[1].t, 100256, &size) == NULL); /* a gap */
    bytes_init(&text, 64);
    CHECK_NUMBER(bytes_append_text(&text, "-", NULL), 0);
    CHECK_NUMBER(tokenizer_decode(t, (const int32_t[]){31373, 50256}, 2, &text, NULL), 0);
    CHECK_TEXT(bytes_text(&text), "-hello<|endoftext|>");
    CHECK_NUMBER(tokenizer_decode(t, (const int32_t[]){31373, 50257}, 2, &text, NULL), ERR_FORMAT);
    CHECK_NUMBER(text.size, 19);
    bytes_close(&text);
    coders_close(coders);
}

static void special_tokens_are_text_unless_asked_for(void) {
    static const char TEXT[] = "a<|endoftext|>b";
    struct coder coders[CODERS];
    struct token_list tokens = {0};
    size_t count;
    coders_open(coders);
    struct tokenizer_state *s = coders[0].s;
    CHECK_NUMBER(tokenizer_encode(s, TEXT, strlen(TEXT), TOKENIZER_ADDED, &tokens, NULL), 0);
    CHECK(tokens.count == 3 && tokens.ids[0] == 64 && tokens.ids[1] == 50256 &&
          tokens.ids[2] == 65);
    CHECK_NUMBER(tokenizer_count(s, TEXT, strlen(TEXT), TOKENIZER_ADDED, &count, NULL), 0);
    CHECK_NUMBER(count, 3);
    CHECK_NUMBER(tokenizer_encode(s, TEXT, strlen(TEXT), TOKENIZER_ORDINARY, &tokens, NULL), 0);
    CHECK(tokens.count == 3 + 9);
    for (size_t i = 3; i < tokens.count; i++) {
        CHECK(tokens.ids[i] < 50256);
    }
    token_list_close(&tokens);
    coders_close(coders);
}

/* ---- Any text ------------------------------------------------------------------------------ */

/* Characters of all lengths, more often those that decide where text is split. */
static size_t random_text(char *out, size_t characters, uint32_t *random) {
    static const char *const OFTEN[] = {
        " ", " ", "\n", "\r",       "\t",           "'",        "s", "L", "l", "0", "\xC2\xA0",
        "e", "E", ".",  "\xCC\x81", "\xE6\xBC\xA2", "\xC5\xBF", "/"};
    size_t size = 0;
    for (size_t i = 0; i < characters; i++) {
        uint32_t kind = random_next(random) % 8, c = random_next(random);
        if (kind < 5) {
            const char *one = OFTEN[c % (sizeof OFTEN / sizeof *OFTEN)];
            memcpy(out + size, one, strlen(one));
            size += strlen(one);
        } else {
            uint32_t limit = kind == 5 ? 0x80 : kind == 6 ? 0x3000 : 0x110000;
            size += utf8_encode(c % limit, out + size);
        }
    }
    return size;
}

static void text_comes_back(void) {
    struct coder coders[CODERS];
    uint32_t random = 2463534242u;
    char text[4 * 40];
    coders_open(coders);
    for (int i = 0; i < RANDOM_TEXTS; i++) {
        size_t size = random_text(text, random_next(&random) % 40, &random);
        check_text(&coders[i % CODERS], text, size, TOKENIZER_ORDINARY, NULL, true);
    }
    coders_close(coders);
}

static void ill_formed_text_is_read_as_replaced(void) {
    struct coder coders[CODERS];
    uint32_t random = 88172645u;
    coders_open(coders);
    for (int i = 0; i < RANDOM_TEXTS; i++) {
        char text[48];
        struct token_list tokens = {0}, wanted = {0};
        struct bytes repaired, decoded;
        size_t replaced = 0, size = random_next(&random) % sizeof text;
        bytes_init(&repaired, SIZE_MAX);
        bytes_init(&decoded, SIZE_MAX);
        for (size_t k = 0; k < size; k++) {
            uint32_t c = random_next(&random);
            text[k] = (char)(c % 3 == 0 ? ' ' + c / 4 % 64 : c >> 8);
        }
        const struct coder *c = &coders[i % CODERS];
        CHECK_NUMBER(utf8_repair(&repaired, text, size, &replaced, NULL), 0);
        CHECK_NUMBER(tokenizer_encode(c->s, text, size, TOKENIZER_ORDINARY, &tokens, NULL), 0);
        CHECK_NUMBER(tokenizer_encode(c->s, bytes_text(&repaired), repaired.size,
                                      TOKENIZER_ORDINARY, &wanted, NULL),
                     0);
        CHECK(tokens.count == wanted.count &&
              (tokens.count == 0 ||
               memcmp(tokens.ids, wanted.ids, tokens.count * sizeof *tokens.ids) == 0));
        CHECK_NUMBER(tokenizer_decode(c->t, tokens.ids, tokens.count, &decoded, NULL), 0);
        CHECK_TEXT(bytes_text(&decoded), bytes_text(&repaired));
        bytes_close(&decoded);
        bytes_close(&repaired);
        token_list_close(&tokens);
        token_list_close(&wanted);
    }
    coders_close(coders);
}

/* Merges by the book: all pairs are looked at for each merge. */
static size_t merge_plainly(const struct vocabulary *v, const unsigned char *piece, size_t size,
                            uint32_t *ids) {
    for (size_t i = 0; i < size; i++) {
        ids[i] = v->byte_ids[piece[i]];
    }
    for (;;) {
        const struct pair *best = NULL;
        size_t at = 0;
        for (size_t i = 0; i + 1 < size; i++) {
            const struct pair *pair = vocabulary_pair(v, ids[i], ids[i + 1]);
            if (pair != NULL && (best == NULL || pair->rank < best->rank)) {
                best = pair;
                at = i;
            }
        }
        if (best == NULL) {
            return size;
        }
        ids[at] = best->id;
        memmove(ids + at + 1, ids + at + 2, (size - at - 2) * sizeof *ids);
        size--;
    }
}

static void long_and_short_words_merge_alike(void) {
    struct coder coders[CODERS];
    uint32_t random = 123456789u;
    coders_open(coders);
    const struct vocabulary *v = &coders[0].t->vocabulary;
    for (int i = 0; i < 600; i++) {
        unsigned char word[300];
        uint32_t ids[300];
        struct token_list tokens = {0};
        size_t letters = 1 + random_next(&random) % 26;
        size_t size = i < 400 ? 20 + random_next(&random) % 60 : 200 + random_next(&random) % 100;
        for (size_t k = 0; k < size; k++) {
            word[k] = (unsigned char)('a' + random_next(&random) % letters);
        }
        if (vocabulary_find(v, word, size) != NO_TOKEN) {
            continue;
        }
        CHECK_NUMBER(tokenizer_encode(coders[0].s, (const char *)word, size, TOKENIZER_ORDINARY,
                                      &tokens, NULL),
                     0);
        CHECK_NUMBER(tokens.count, merge_plainly(v, word, size, ids));
        CHECK(memcmp(tokens.ids, ids, tokens.count * sizeof *ids) == 0);
        token_list_close(&tokens);
    }
    coders_close(coders);
}

/* A megabyte: `unit` again and again, with `last` at its end. */
static void check_megabyte(struct coder *c, const char *unit, size_t unit_size, char last) {
    char *text = malloc(MEGABYTE);
    if (text == NULL) {
        exit(EXIT_FAILURE);
    }
    size_t size = MEGABYTE / unit_size * unit_size;
    for (size_t i = 0; i < size; i++) {
        text[i] = unit[i % unit_size];
    }
    text[size - 1] = last != 0 ? last : text[size - 1];
    double start = clock_cpu_seconds();
    check_text(c, text, size, TOKENIZER_ADDED, NULL, utf8_is_valid(text, size));
    CHECK(clock_cpu_seconds() - start < 30); /* if it were n * n, hours */
    free(text);
}

static void a_megabyte_without_an_end_is_soon_done(void) {
    static const char *const UNITS[] = {"a",  " ",    "\n",           " \n",       "=", "0",
                                        "'s", "aB",   "\xE6\xBC\xA2", "\xCC\x81",  "A", "\xC2\xA0",
                                        "<|", "\xFF", "\xE6\xBC",     "q\xCC\x81", "/"};
    struct coder coders[CODERS];
    coders_open(coders);
    for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++) {
        check_megabyte(&coders[i % CODERS], UNITS[i], strlen(UNITS[i]), i % 2 == 0 ? 0 : 'x');
    }
    for (int i = 0; i < CODERS; i++) {
        check_megabyte(&coders[i], "\0", 1, 0);
        check_megabyte(&coders[i], " ", 1, 'x');
    }
    coders_close(coders);
}

static void *encode_often(void *argument) {
    struct tokenizer *t = argument;
    struct tokenizer_state *s;
    uint32_t random = 42;
    size_t *sum = calloc(1, sizeof *sum);
    char text[4 * 40];
    if (sum == NULL || tokenizer_state_open(&s, t, NULL) < 0) {
        exit(EXIT_FAILURE);
    }
    for (int i = 0; i < 500; i++) {
        size_t count, size = random_text(text, 40, &random);
        *sum += tokenizer_count(s, text, size, TOKENIZER_ADDED, &count, NULL) == 0 ? count : 0;
    }
    tokenizer_state_close(s);
    return sum;
}

static void threads_share_a_tokenizer(void) {
    enum { THREADS = 4 };
    struct coder coders[CODERS];
    pthread_t threads[THREADS];
    size_t *sums[THREADS];
    coders_open(coders);
    for (int i = 0; i < THREADS; i++) {
        CHECK_NUMBER(pthread_create(&threads[i], NULL, encode_often, coders[1].t), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *sum;
        CHECK_NUMBER(pthread_join(threads[i], &sum), 0);
        sums[i] = sum;
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(*sums[i] > 0 && *sums[i] == *sums[0]);
    }
    for (int i = 0; i < THREADS; i++) {
        free(sums[i]);
    }
    coders_close(coders);
}

int main(void) {
    RUN(gold_vectors_of_the_encodings);
    RUN(tiktoken_agrees_on_random_text);
    RUN(tokenizers_agrees_on_random_text);
    RUN(tokens_have_names_and_bytes);
    RUN(special_tokens_are_text_unless_asked_for);
    RUN(text_comes_back);
    RUN(ill_formed_text_is_read_as_replaced);
    RUN(long_and_short_words_merge_alike);
    RUN(a_megabyte_without_an_end_is_soon_done);
    RUN(threads_share_a_tokenizer);
    return test_finish();
}
