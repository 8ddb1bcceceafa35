/* tokenizer_json.c - Hugging Face's tokenizer.json: tokenizer.h says how much of it. */
#include <jansson.h>
#include <string.h>

#include "store/utf8.h"
#include "train/tokenizer/tokenizer_parts.h"

enum { ALPHABET = 256 + 68, SEQUENCE_DEPTH = 4 };

/* The byte-level alphabet: a printable character for each byte, so that tokens are text. */
struct byte_alphabet {
    int16_t bytes[ALPHABET]; /* by code point; -1: none */
};

static void alphabet_init(struct byte_alphabet *a) {
    int beyond = 256;
    memset(a->bytes, 0xFF, sizeof a->bytes);
    for (int byte = 0; byte < 256; byte++) {
        bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) ||
                         (byte >= 0xAE && byte <= 0xFF);
        a->bytes[printable ? byte : beyond++] = (int16_t)byte;
    }
}

/* The bytes that a token of `size` bytes of text stands for, as many at most; -1: it has characters
 * that stand for none. `out` has room for them. */
static int alphabet_decode(const struct byte_alphabet *a, const char *text, size_t size,
                           unsigned char *out) {
    int count = 0;
    for (size_t at = 0; at < size;) {
        uint32_t c;
        bool valid;
        at += utf8_decode(text + at, size - at, &c, &valid);
        if (c >= ALPHABET || a->bytes[c] < 0) {
            return -1;
        }
        out[count++] = (unsigned char)a->bytes[c];
    }
    return count;
}

static const char *type_of(const json_t *node) {
    const char *type = json_string_value(json_object_get(node, "type"));
    return type != NULL ? type : "without a type";
}

static bool has(const json_t *node, const char *name) {
    const json_t *value = json_object_get(node, name);
    return value != NULL && !json_is_null(value);
}

static bool flag(const json_t *node, const char *name, bool fallback) {
    const json_t *value = json_object_get(node, name);
    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

static int unsupported(struct error *e, const char *what, const char *name) {
    return error_set(e, ERR_UNSUPPORTED, "the %s %.200s is not supported", what, name);
}

static int read_vocabulary(struct tokenizer *t, json_t *vocab, const struct byte_alphabet *alphabet,
                           struct error *e) {
    const char *text;
    json_t *value;
    if (!json_is_object(vocab)) {
        return error_set(e, ERR_FORMAT, "model.vocab is not an object");
    }
    json_object_foreach(vocab, text, value) {
        unsigned char bytes[2 * TOKENIZER_TOKEN_LIMIT];
        size_t size = strlen(text);
        json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        if (id < 0 || id >= TOKENIZER_ID_LIMIT) {
            return error_set(e, ERR_FORMAT, "the id of the token %.80s is not a number below %d",
                             text, TOKENIZER_ID_LIMIT);
        }
        if (size > sizeof bytes) {
            return error_set(e, ERR_LIMIT, "the token %.80s is longer than %d bytes", text,
                             TOKENIZER_TOKEN_LIMIT);
        }
        int count = alphabet_decode(alphabet, text, size, bytes);
        int rc = count >= 0
                     ? vocabulary_add(&t->vocabulary, (uint32_t)id, bytes, (size_t)count, true, e)
                     : vocabulary_add(&t->vocabulary, (uint32_t)id, text, size, false, e);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* One side of a merge, appended to `joined`; its token, or NO_TOKEN. */
static uint32_t merge_side(const struct tokenizer *t, const struct byte_alphabet *alphabet,
                           const char *text, size_t size, unsigned char *joined, size_t *count) {
    if (size > 2 * TOKENIZER_TOKEN_LIMIT) {
        return NO_TOKEN;
    }
    int used = alphabet_decode(alphabet, text, size, joined + *count);
    if (used <= 0) {
        return NO_TOKEN;
    }
    uint32_t id = vocabulary_find(&t->vocabulary, joined + *count, (size_t)used);
    *count += (size_t)used;
    return id;
}

static int add_merge(struct tokenizer *t, const struct byte_alphabet *alphabet, uint32_t rank,
                     const char *left, size_t left_size, const char *right, size_t right_size,
                     struct error *e) {
    unsigned char joined[4 * TOKENIZER_TOKEN_LIMIT];
    size_t count = 0;
    struct pair pair = {.rank = rank};
    pair.left = merge_side(t, alphabet, left, left_size, joined, &count);
    pair.right = pair.left != NO_TOKEN ? merge_side(t, alphabet, right, right_size, joined, &count)
                                       : NO_TOKEN;
    pair.id = pair.right != NO_TOKEN ? vocabulary_find(&t->vocabulary, joined, count) : NO_TOKEN;
    if (pair.id == NO_TOKEN) {
        return error_set(e, ERR_FORMAT, "merge %u is of tokens that model.vocab has not", rank);
    }
    return vocabulary_add_pair(&t->vocabulary, &pair, e);
}

static int read_merge(struct tokenizer *t, const json_t *merge,
                      const struct byte_alphabet *alphabet, uint32_t rank, struct error *e) {
    const char *text = json_string_value(merge), *space = text != NULL ? strchr(text, ' ') : NULL;
    if (space != NULL && strchr(space + 1, ' ') == NULL) {
        return add_merge(t, alphabet, rank, text, (size_t)(space - text), space + 1,
                         strlen(space + 1), e);
    }
    const char *left = json_string_value(json_array_get(merge, 0));
    const char *right = json_string_value(json_array_get(merge, 1));
    if (left == NULL || right == NULL || json_array_size(merge) != 2) {
        return error_set(e, ERR_FORMAT, "merge %u is neither \"a b\" nor [\"a\",\"b\"]", rank);
    }
    return add_merge(t, alphabet, rank, left, strlen(left), right, strlen(right), e);
}

static int read_merges(struct tokenizer *t, const json_t *merges,
                       const struct byte_alphabet *alphabet, struct error *e) {
    uint32_t rank = 0;
    if (!json_is_array(merges)) {
        return error_set(e, ERR_FORMAT, "model.merges is not an array");
    }
    for (size_t i = 0; i < json_array_size(merges); i++) {
        const json_t *merge = json_array_get(merges, i);
        const char *text = json_string_value(merge);
        if (text != NULL && strncmp(text, "#version", 8) == 0) {
            continue;
        }
        int rc = read_merge(t, merge, alphabet, rank++, e);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* What bytes without a token become: vocabularies that were trained without an alphabet to begin
 * with have such. */
static int read_unknown(struct tokenizer *t, const json_t *model, struct error *e) {
    const char *text = json_string_value(json_object_get(model, "unk_token"));
    if (vocabulary_find_bytes(&t->vocabulary) < 0 || text == NULL) {
        return 0;
    }
    const json_t *id = json_object_get(json_object_get(model, "vocab"), text);
    if (id == NULL) {
        return error_set(e, ERR_FORMAT, "model.vocab has no unk_token %.80s", text);
    }
    t->vocabulary.unknown = (uint32_t)json_integer_value(id);
    t->vocabulary.fuses_unknown = flag(model, "fuse_unk", false);
    return 0;
}

static int read_model(struct tokenizer *t, const json_t *model, struct error *e) {
    static const char *const AFFIXES[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    struct byte_alphabet alphabet;
    if (!json_is_object(model)) {
        return error_set(e, ERR_FORMAT, "there is no model");
    }
    if (has(model, "type") && strcmp(type_of(model), "BPE") != 0) {
        return unsupported(e, "model", type_of(model));
    }
    if (flag(model, "byte_fallback", false)) {
        return unsupported(e, "model's", "byte_fallback");
    }
    if (json_number_value(json_object_get(model, "dropout")) != 0) {
        return unsupported(e, "model's", "dropout");
    }
    for (size_t i = 0; i < sizeof AFFIXES / sizeof *AFFIXES; i++) {
        const char *affix = json_string_value(json_object_get(model, AFFIXES[i]));
        if (affix != NULL && *affix != 0) {
            return unsupported(e, "model's", AFFIXES[i]);
        }
    }
    t->whole_pieces = flag(model, "ignore_merges", false);
    alphabet_init(&alphabet);
    int rc = read_vocabulary(t, json_object_get(model, "vocab"), &alphabet, e);
    if (rc == 0) {
        rc = read_merges(t, json_object_get(model, "merges"), &alphabet, e);
    }
    return rc < 0 ? rc : read_unknown(t, model, e);
}

static int add_pattern(struct tokenizer *t, const char *regex, size_t size, bool literal,
                       struct split_stage stage, struct error *e) {
    int rc = pattern_open(&stage.pattern, regex, size, literal, e);
    return rc < 0 ? rc : tokenizer_add_stage(t, &stage, e);
}

static int read_split(struct tokenizer *t, const json_t *node, struct error *e) {
    const json_t *pattern = json_object_get(node, "pattern");
    const json_t *regex = json_object_get(pattern, "Regex");
    const json_t *text = regex != NULL ? regex : json_object_get(pattern, "String");
    const char *behavior = json_string_value(json_object_get(node, "behavior"));
    bool removed = behavior != NULL && strcmp(behavior, "Removed") == 0;
    bool invert = flag(node, "invert", false);
    if (!json_is_string(text) || behavior == NULL) {
        return error_set(e, ERR_FORMAT, "a Split has no pattern or no behavior");
    }
    if (!removed && strcmp(behavior, "Isolated") != 0) {
        return unsupported(e, "behavior of Split", behavior);
    }
    struct split_stage stage = {.drops_matches = removed && !invert,
                                .drops_rest = removed && invert};
    return add_pattern(t, json_string_value(text), json_string_length(text), regex == NULL, stage,
                       e);
}

static int read_byte_level(struct tokenizer *t, const json_t *node, struct error *e) {
    static const char GPT2[] =
        "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
    int rc = 0;
    if (flag(node, "add_prefix_space", true)) {
        rc = tokenizer_add_stage(t, &(struct split_stage){0}, e);
    }
    if (rc == 0 && flag(node, "use_regex", true)) {
        rc = add_pattern(t, GPT2, sizeof GPT2 - 1, false, (struct split_stage){0}, e);
    }
    return rc;
}

static int read_pre_tokenizer(struct tokenizer *t, const json_t *node, int depth, bool *byte_level,
                              struct error *e) {
    const char *type = type_of(node);
    if (*byte_level) {
        return error_set(e, ERR_UNSUPPORTED, "a pre-tokenizer after ByteLevel is not supported");
    }
    if (strcmp(type, "Sequence") == 0 && depth < SEQUENCE_DEPTH) {
        const json_t *list = json_object_get(node, "pretokenizers");
        int rc = 0;
        for (size_t i = 0; i < json_array_size(list) && rc == 0; i++) {
            rc = read_pre_tokenizer(t, json_array_get(list, i), depth + 1, byte_level, e);
        }
        return rc;
    }
    if (strcmp(type, "Split") == 0) {
        return read_split(t, node, e);
    }
    if (strcmp(type, "Digits") == 0) {
        const char *regex = flag(node, "individual_digits", false) ? "\\p{N}" : "\\p{N}+";
        return add_pattern(t, regex, strlen(regex), false, (struct split_stage){0}, e);
    }
    if (strcmp(type, "ByteLevel") == 0) {
        *byte_level = true;
        return read_byte_level(t, node, e);
    }
    return unsupported(e, "pre-tokenizer", type);
}

static int read_added(struct tokenizer *t, const json_t *root, const json_t *node,
                      struct error *e) {
    const json_t *vocab = json_object_get(json_object_get(root, "model"), "vocab");
    const char *text = json_string_value(json_object_get(node, "content"));
    const json_t *number = json_object_get(node, "id");
    json_int_t id = json_is_integer(number) ? json_integer_value(number) : -1;
    if (text == NULL || *text == 0 || id < 0 || id >= TOKENIZER_ID_LIMIT) {
        return error_set(e, ERR_FORMAT, "an added token has no content, or no id below %d",
                         TOKENIZER_ID_LIMIT);
    }
    const json_t *same = json_object_get(vocab, text);
    if (same != NULL && json_integer_value(same) != id) {
        return error_set(e, ERR_FORMAT, "the added token %.80s has another id in model.vocab",
                         text);
    }
    if (flag(node, "single_word", false)) {
        return error_set(e, ERR_UNSUPPORTED, "the added token %.80s: single_word is not supported",
                         text);
    }
    struct added item = {.id = (uint32_t)id,
                         .special = flag(node, "special", false),
                         .left = flag(node, "lstrip", false),
                         .right = flag(node, "rstrip", false)};
    bool late = flag(node, "normalized", !flag(node, "special", false));
    return tokenizer_add_token(t, &item, late, same != NULL, text, e);
}

static int read_root(struct tokenizer *t, const json_t *root, struct error *e) {
    const json_t *normalizer = json_object_get(root, "normalizer");
    const json_t *decoder = json_object_get(root, "decoder");
    const json_t *added = json_object_get(root, "added_tokens");
    bool byte_level = false;
    bool none = strcmp(type_of(normalizer), "Sequence") == 0 &&
                json_array_size(json_object_get(normalizer, "normalizers")) == 0;
    if (has(root, "normalizer") && !none) {
        return unsupported(e, "normalizer", type_of(normalizer));
    }
    if (has(root, "decoder") && strcmp(type_of(decoder), "ByteLevel") != 0) {
        return unsupported(e, "decoder", type_of(decoder));
    }
    int rc = read_model(t, json_object_get(root, "model"), e);
    if (rc == 0 && has(root, "pre_tokenizer")) {
        rc = read_pre_tokenizer(t, json_object_get(root, "pre_tokenizer"), 0, &byte_level, e);
    }
    if (rc == 0 && !byte_level) {
        rc = error_set(e, ERR_UNSUPPORTED,
                       "a BPE without the pre-tokenizer ByteLevel is not "
                       "supported");
    }
    for (size_t i = 0; i < json_array_size(added) && rc == 0; i++) {
        rc = read_added(t, root, json_array_get(added, i), e);
    }
    return rc;
}

int tokenizer_read_json(struct tokenizer *t, const char *data, size_t size, struct error *e) {
    json_error_t fault;
    json_t *root = json_loadb(data, size, JSON_REJECT_DUPLICATES, &fault);
    if (root == NULL && json_error_code(&fault) == json_error_out_of_memory) {
        return error_memory(e, NULL);
    }
    if (root == NULL) {
        return error_set(e, ERR_FORMAT, "invalid JSON at line %d, column %d: %s", fault.line,
                         fault.column, fault.text);
    }
    int rc = read_root(t, root, e);
    json_decref(root);
    return rc;
}
