/* tokenizer.c - how fast text becomes tokens, one thread: the whole file in one call, best of some
 * runs by processor time, as encoded and as counted only, each with an empty cache. For
 * tokenizer.sh.
 *
 *     bench-tokenizer TOKENIZER TEXT RUNS [IDS]     IDS: where to write the ids, a number a line */
#include <stdio.h>
#include <stdlib.h>

#include "store/clock.h"
#include "store/file.h"
#include "train/tokenizer/tokenizer.h"

static void check(int rc, const struct error *e) {
    if (rc < 0) {
        fprintf(stderr, "bench-tokenizer: %s\n", e->text);
        exit(1);
    }
}

static void write_ids(const char *path, const struct token_list *tokens) {
    FILE *file = fopen(path, "w");
    for (size_t i = 0; file != NULL && i < tokens->count; i++) {
        fprintf(file, "%d\n", (int)tokens->ids[i]);
    }
    if (file == NULL || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

int main(int argc, char **argv) {
    struct tokenizer *t;
    struct tokenizer_state *s;
    struct token_list tokens = {0};
    struct bytes text;
    struct error e = {0};
    double encoding = 1e9, counting = 1e9;
    size_t count = 0;
    if (argc < 4) {
        fprintf(stderr, "usage: bench-tokenizer TOKENIZER TEXT RUNS [IDS]\n");
        return 2;
    }
    bytes_init(&text, TOKENIZER_FILE_LIMIT);
    check(file_read(argv[2], &text, &e), &e);
    double start = clock_cpu_seconds();
    check(tokenizer_open(&t, argv[1], TOKENIZER_SPLIT_AUTO, &e), &e);
    double opening = clock_cpu_seconds() - start;
    for (long run = strtol(argv[3], NULL, 10); run > 0; run--) {
        tokens.count = 0;
        start = clock_cpu_seconds();
        check(tokenizer_state_open(&s, t, &e), &e);
        check(tokenizer_encode(s, bytes_text(&text), text.size, TOKENIZER_ORDINARY, &tokens, &e),
              &e);
        tokenizer_state_close(s);
        double middle = clock_cpu_seconds();
        check(tokenizer_state_open(&s, t, &e), &e);
        check(tokenizer_count(s, bytes_text(&text), text.size, TOKENIZER_ORDINARY, &count, &e), &e);
        tokenizer_state_close(s);
        double end = clock_cpu_seconds();
        encoding = middle - start < encoding ? middle - start : encoding;
        counting = end - middle < counting ? end - middle : counting;
    }
    if (count != tokens.count) {
        fprintf(stderr, "bench-tokenizer: %zu tokens, but %zu counted\n", tokens.count, count);
        return 1;
    }
    printf("%s: %zu tokens of %.2f bytes; %.1f MB/s, counting %.1f MB/s; opened in %.0f ms\n",
           tokenizer_name(t), count, (double)text.size / (double)(count ? count : 1),
           (double)text.size / encoding * 1e-6, (double)text.size / counting * 1e-6, opening * 1e3);
    if (argc > 4) {
        write_ids(argv[4], &tokens);
    }
    token_list_close(&tokens);
    bytes_close(&text);
    tokenizer_close(t);
    return 0;
}
