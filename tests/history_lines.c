/* history_lines.c - for t0658-history.sh: the visual tokens of a store in the order of time, as
 * train/context/history.h has them, a JSON object a line.
 *
 *     history_lines STORE >tokens.ndjson */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/json.h"
#include "train/context/history.h"

static void check(int rc, const struct error *e) {
    if (rc < 0) {
        fprintf(stderr, "history_lines: %s\n", e->text);
        exit(1);
    }
}

static void print_token(const struct history *h, const struct history_account *a, size_t number,
                        float *numbers) {
    const struct history_token *t = &a->tokens[number];
    const struct history_page *page = history_page(h, t->page);
    struct bytes line;
    struct error e = {0};
    size_t made;
    bytes_init(&line, STREAM_MEMBER_LIMIT);
    check(history_load(h, a, number, 1, t->bucket, numbers, &made, &e), &e);
    json_t *root =
        json_pack("{s:s, s:s, s:i, s:i, s:i, s:s, s:I, s:s%, s:f, s:f}", "account", a->name, "key",
                  page->key, "page", page->number, "token", (int)t->token, "bucket", (int)t->bucket,
                  "post", a->posts[t->post].key, "created", (json_int_t)t->created, "text",
                  a->text + t->text, (size_t)t->size, "first", (double)numbers[0], "last",
                  (double)numbers[history_encoder(h)->dim - 1]);
    check(root != NULL ? json_append(&line, root, &e) : error_memory(&e, NULL), &e);
    puts(bytes_text(&line));
    json_decref(root);
    bytes_close(&line);
}

int main(int argc, char **argv) {
    struct history *h;
    struct error e = {0};
    if (argc != 2) {
        fprintf(stderr, "usage: history_lines STORE >tokens.ndjson\n");
        return 2;
    }
    check(history_open(&h, argv[1], NULL, NULL, &e), &e);
    float *numbers = calloc((size_t)history_encoder(h)->dim, sizeof *numbers);
    for (size_t i = 0; i < history_count(h) && numbers != NULL; i++) {
        const struct history_account *a = history_get(h, i);
        for (size_t k = 0; k < a->token_count; k++) {
            print_token(h, a, k, numbers);
        }
    }
    free(numbers);
    history_close(h);
    return 0;
}
