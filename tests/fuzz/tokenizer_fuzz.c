/* tokenizer_fuzz.c - any bytes as a tokenizer's file, refused or able to encode itself; and as a
 * text, under each known split: what is decoded is the text again, as far as it is UTF-8. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/utf8.h"
#include "train/tokenizer/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SPLITS = 3 };

static void check(struct tokenizer_state *s, const struct tokenizer *t, const char *text,
                  size_t size, enum tokenizer_special special, const struct bytes *wanted) {
    struct token_list tokens = {0};
    struct bytes decoded;
    size_t count = 0;
    bytes_init(&decoded, SIZE_MAX);
    int rc = tokenizer_encode(s, text, size, special, &tokens, NULL);
    if (rc != tokenizer_count(s, text, size, special, &count, NULL) || count != tokens.count ||
        tokenizer_decode(t, tokens.ids, tokens.count, &decoded, NULL) < 0 ||
        (rc < 0 && rc != ERR_LIMIT)) {
        abort();
    }
    if (wanted != NULL && (rc < 0 || decoded.size != wanted->size ||
                           memcmp(bytes_text(&decoded), bytes_text(wanted), wanted->size) != 0)) {
        abort();
    }
    bytes_close(&decoded);
    token_list_close(&tokens);
}

/* A tokenizer of the 256 bytes, runs of one letter and some pairs. */
static void open_known(struct tokenizer **t, struct tokenizer_state **s,
                       enum tokenizer_split split) {
    static const char MORE[] =
        "YWE= 256\nYWFhYQ== 257\nIHQ= 258\naGU= 259\nIHRoZQ== 260\nICA= 261\n";
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct bytes file;
    bytes_init(&file, SIZE_MAX);
    for (int i = 0; i < 256; i++) {
        bytes_printf(&file, NULL, "%c%c== %d\n", DIGITS[i >> 2], DIGITS[(i & 3) << 4], i);
    }
    bytes_append_text(&file, MORE, NULL);
    if (tokenizer_read(t, "known", bytes_text(&file), file.size, split, NULL) < 0 ||
        tokenizer_state_open(s, *t, NULL) < 0) {
        abort();
    }
    bytes_close(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct tokenizer *known[SPLITS];
    static struct tokenizer_state *states[SPLITS];
    const char *text = (const char *)data;
    struct bytes repaired;
    size_t replaced = 0;
    bytes_init(&repaired, SIZE_MAX);
    if (utf8_repair(&repaired, text, size, &replaced, NULL) < 0) {
        abort();
    }
    for (int i = 0; i < SPLITS; i++) {
        if (known[i] == NULL) {
            open_known(&known[i], &states[i], (enum tokenizer_split)(TOKENIZER_SPLIT_R50K + i));
        }
        check(states[i], known[i], text, size, TOKENIZER_ORDINARY, &repaired);
        check(states[i], known[i], text, size, TOKENIZER_ADDED, &repaired);
    }
    for (enum tokenizer_split split = TOKENIZER_SPLIT_AUTO; split <= TOKENIZER_SPLIT_R50K;
         split++) {
        struct tokenizer *t;
        struct tokenizer_state *s;
        if (tokenizer_read(&t, "fuzz", data, size, split, NULL) == 0) {
            if (tokenizer_state_open(&s, t, NULL) < 0) {
                abort();
            }
            check(s, t, text, size, TOKENIZER_ORDINARY, NULL);
            check(s, t, text, size, TOKENIZER_ADDED, NULL);
            tokenizer_state_close(s);
            tokenizer_close(t);
        }
    }
    bytes_close(&repaired);
    return 0;
}
