/* token_ids.c - for t0640-smollm2.sh and tests/bench/tokenizer_lines.py: the ids of texts, a JSON
 * array a line, of texts from standard input, a JSON string a line.
 *
 *     token_ids TOKENIZER <texts >ids */
#include <stdio.h>
#include <stdlib.h>

#include "store/json.h"
#include "train/tokenizer/tokenizer.h"

static void check(int rc, const struct error *e) {
    if (rc < 0) {
        fprintf(stderr, "token_ids: %s\n", e->text);
        exit(1);
    }
}

int main(int argc, char **argv) {
    struct tokenizer *t;
    struct tokenizer_state *s;
    struct token_list tokens = {0};
    struct error e = {0};
    char *line = NULL;
    size_t capacity = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: token_ids TOKENIZER <texts >ids\n");
        return 2;
    }
    check(tokenizer_open(&t, argv[1], TOKENIZER_SPLIT_AUTO, &e), &e);
    check(tokenizer_state_open(&s, t, &e), &e);
    for (;;) {
        ssize_t size = getline(&line, &capacity, stdin);
        if (size <= 0) {
            break;
        }
        json_t *text = json_loadb(line, (size_t)size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        if (!json_is_string(text)) {
            fprintf(stderr, "token_ids: a line is no JSON string\n");
            return 1;
        }
        tokens.count = 0;
        check(tokenizer_encode(s, json_string_value(text), json_string_length(text),
                               TOKENIZER_ORDINARY, &tokens, &e),
              &e);
        for (size_t i = 0; i < tokens.count; i++) {
            printf("%s%d", i > 0 ? "," : "[", (int)tokens.ids[i]);
        }
        printf("%s]\n", tokens.count > 0 ? "" : "[");
        json_decref(text);
    }
    free(line);
    token_list_close(&tokens);
    tokenizer_state_close(s);
    tokenizer_close(t);
    return 0;
}
