/* tokenizer_ranks.c - rank files of tiktoken: `BASE64 RANK` a line, and what goes with the
 * encodings that have such files. */
#include <string.h>

#include "train/tokenizer/tokenizer_parts.h"

struct special_token {
    const char *text;
    uint32_t id;
};

static const struct special_token R50K[] = {{"<|endoftext|>", 50256}, {0}};
static const struct special_token CL100K[] = {
    {"<|endoftext|>", 100257},  {"<|fim_prefix|>", 100258},  {"<|fim_middle|>", 100259},
    {"<|fim_suffix|>", 100260}, {"<|endofprompt|>", 100276}, {0}};
static const struct special_token O200K[] = {
    {"<|endoftext|>", 199999}, {"<|endofprompt|>", 200018}, {0}};
/* Whisper's rank file for many languages; those of languages and tasks are left out. */
static const struct special_token WHISPER[] = {
    {"<|endoftext|>", 50257}, {"<|startoftranscript|>", 50258}, {0}};
static const struct special_token QWEN[] = {
    {"<|endoftext|>", 151643}, {"<|im_start|>", 151644}, {"<|im_end|>", 151645}, {0}};

/* The patterns of tiktoken 0.14, less what changes nothing: `\s++$|` in R50K_REGEX, and a plus
 * after `{1,3}`, which is possessive there and a repetition in Ruby. */
#define R50K_REGEX                                                                                 \
    "'(?:[sdmt]|ll|ve|re)| ?\\p{L}++| ?\\p{N}++| ?[^\\s\\p{L}\\p{N}]++|\\s+(?!\\S)|\\s"
#define CL100K_REGEX                                                                               \
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}|"                           \
    " ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s"
#define UPPER "\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}"
#define LOWER "\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}"
#define SHORTENED "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
#define O200K_REGEX                                                                                \
    "[^\\r\\n\\p{L}\\p{N}]?[" UPPER "]*[" LOWER "]+" SHORTENED "|"                                 \
    "[^\\r\\n\\p{L}\\p{N}]?[" UPPER "]+[" LOWER "]*" SHORTENED "|"                                 \
    "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/* Qwen's, of its tokenization_qwen.py: cl100k's with each digit alone. (NFC is not done here.) */
#define QWEN_REGEX                                                                                 \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"                           \
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static const struct encoding {
    const char *name;
    size_t ranks;
    enum tokenizer_split split;
    const char *regex;
    const struct special_token *specials;
} ENCODINGS[] = {
    {"r50k_base", 50256, TOKENIZER_SPLIT_R50K, R50K_REGEX, R50K},
    {"p50k_base", 50280, TOKENIZER_SPLIT_R50K, R50K_REGEX, R50K},
    {"cl100k_base", 100256, TOKENIZER_SPLIT_CL100K, CL100K_REGEX, CL100K},
    {"o200k_base", 199998, TOKENIZER_SPLIT_O200K, O200K_REGEX, O200K},
    {"multilingual", 50257, TOKENIZER_SPLIT_R50K, R50K_REGEX, WHISPER},
    {"qwen", 151643, TOKENIZER_SPLIT_QWEN, QWEN_REGEX, QWEN},
};
enum { ENCODING_COUNT = sizeof ENCODINGS / sizeof *ENCODINGS };

static int sextet(unsigned char c) {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The bytes of `size` characters of padded base64, or -1; `out` has room for 3/4 of them. */
static int base64(const char *text, size_t size, unsigned char *out) {
    size_t padding = size > 1 && text[size - 1] == '=' ? 1 + (text[size - 2] == '=') : 0;
    uint32_t bits = 0;
    int count = 0;
    if (size == 0 || size % 4 != 0) {
        return -1;
    }
    for (size_t i = 0; i < size; i++) {
        int value = i < size - padding ? sextet((unsigned char)text[i]) : 0;
        if (value < 0) {
            return -1;
        }
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 == 3) {
            out[count++] = (unsigned char)(bits >> 16);
            out[count++] = (unsigned char)(bits >> 8);
            out[count++] = (unsigned char)bits;
        }
    }
    return count - (int)padding;
}

/* A decimal number below TOKENIZER_ID_LIMIT, or -1. */
static int32_t rank(const char *text, size_t size) {
    int32_t value = 0;
    if (size == 0) {
        return -1;
    }
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }
        value = value * 10 + (text[i] - '0');
        if (value >= TOKENIZER_ID_LIMIT) {
            return -1;
        }
    }
    return value;
}

static int read_line(struct vocabulary *v, const char *line, size_t size, struct error *e) {
    unsigned char token[TOKENIZER_TOKEN_LIMIT + 3];
    const char *space = memchr(line, ' ', size);
    if (space == NULL) {
        return error_set(e, ERR_FORMAT, "is not `BASE64 RANK`");
    }
    size_t width = (size_t)(space - line);
    if (width > TOKENIZER_TOKEN_LIMIT / 3 * 4 + 4) {
        return error_set(e, ERR_LIMIT, "the token is longer than %d bytes", TOKENIZER_TOKEN_LIMIT);
    }
    bool empty =
        width == 1 && *line == '='; /* so Whisper's last line has it: a rank without a token */
    int bytes = empty ? 0 : base64(line, width, token);
    if (bytes < 0) {
        return error_set(e, ERR_FORMAT, "the token is not base64");
    }
    int32_t id = rank(space + 1, size - width - 1);
    if (id < 0) {
        return error_set(e, ERR_FORMAT, "the rank is not a number below %d", TOKENIZER_ID_LIMIT);
    }
    return empty ? 0 : vocabulary_add(v, (uint32_t)id, token, (size_t)bytes, true, e);
}

static int read_lines(struct vocabulary *v, const char *data, size_t size, size_t *ranks,
                      struct error *e) {
    const char *end = data + size;
    *ranks = 0;
    for (size_t number = 1; data < end; number++) {
        const char *newline = memchr(data, '\n', (size_t)(end - data));
        size_t length = (size_t)((newline != NULL ? newline : end) - data);
        size_t used = length > 0 && data[length - 1] == '\r' ? length - 1 : length;
        int rc = used > 0 ? read_line(v, data, used, e) : 0;
        if (rc < 0) {
            error_context(e, "line %zu", number);
            return rc;
        }
        *ranks += used > 0;
        data += length + (newline != NULL);
    }
    return 0;
}

/* The encoding by what the caller says, by the name, or by the number of ranks; NULL: none. */
static const struct encoding *encoding_of(const struct tokenizer *t, size_t ranks,
                                          enum tokenizer_split split) {
    for (int i = 0; i < ENCODING_COUNT && split != TOKENIZER_SPLIT_AUTO; i++) {
        if (ENCODINGS[i].split == split) {
            return &ENCODINGS[i];
        }
    }
    for (int i = 0; i < ENCODING_COUNT; i++) {
        if (strcmp(ENCODINGS[i].name, t->name) == 0) {
            return &ENCODINGS[i];
        }
    }
    for (int i = 0; i < ENCODING_COUNT; i++) {
        if (ENCODINGS[i].ranks == ranks) {
            return &ENCODINGS[i];
        }
    }
    return NULL;
}

int tokenizer_read_ranks(struct tokenizer *t, const char *data, size_t size,
                         enum tokenizer_split split, struct error *e) {
    struct vocabulary *v = &t->vocabulary;
    t->whole_pieces = true;
    size_t ranks;
    int rc = read_lines(v, data, size, &ranks, e);
    int missing = rc < 0 ? -1 : vocabulary_find_bytes(v);
    if (missing >= 0) {
        rc = error_set(e, ERR_FORMAT, "the byte 0x%02X has no token", (unsigned)missing);
    }
    if (rc == 0) {
        rc = vocabulary_pair_ranks(v, e);
    }
    if (rc < 0) {
        return rc;
    }
    const struct encoding *encoding = encoding_of(t, ranks, split);
    if (encoding == NULL) {
        return error_set(e, ERR_UNSUPPORTED,
                         "%zu ranks: no encoding that is known here has so many, and how it splits "
                         "text is not in the file; its tokenizer.json says it and is read too",
                         ranks);
    }
    struct split_stage stage = {0};
    rc = pattern_open(&stage.pattern, encoding->regex, strlen(encoding->regex), false, e);
    if (rc == 0) {
        rc = tokenizer_add_stage(t, &stage, e);
    }
    for (const struct special_token *s = encoding->specials; s->text != NULL && rc == 0; s++) {
        rc = tokenizer_add_token(t, &(struct added){.id = s->id, .special = true}, false, false,
                                 s->text, e);
    }
    return rc;
}
