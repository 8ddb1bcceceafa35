/* store_folder.h - for tests: stores in a folder that goes away, filled with numbered tokens. */
#ifndef OCC_TESTS_STORE_FOLDER_H
#define OCC_TESTS_STORE_FOLDER_H

#include <ftw.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/forget.h"
#include "tests/test.h"

/* Options of forgetting whose buckets are soon full. */
#define WEEKLY                                                                                     \
    { .tau = 7 * 24 * 3600, .buckets = 7 }

enum { STORE_DIM = 8 };
static const struct store_encoder STORE_ENCODER = {
    .fingerprint = 0x1234, .name = "test", .dim = STORE_DIM};

static inline int remove_one(const char *path, const struct stat *status, int type,
                             struct FTW *ftw) {
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void folder_remove(const char *path) {
    nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The path of a store that is not there yet, in a new folder; see folder_end. */
static inline void folder_new(char path[64]) {
    snprintf(path, 64, "/tmp/occ-store-XXXXXX");
    if (mkdtemp(path) == NULL) {
        exit(1);
    }
    snprintf(path + strlen(path), 8, "/s");
}

static inline void folder_end(char path[64]) {
    *strrchr(path, '/') = '\0';
    folder_remove(path);
}

static inline struct store *store_new(const char *path) {
    struct store *s = NULL;
    struct error e = {0};
    if (!CHECK(store_open_write(&s, path, &STORE_ENCODER, &e) == 0)) {
        printf("# %s\n", e.text);
        exit(1);
    }
    return s;
}

static inline struct store *store_reader(const char *path) {
    struct store *s = NULL;
    struct error e = {0};
    if (!CHECK(store_open(&s, path, &e) == 0)) {
        printf("# %s\n", e.text);
        exit(1);
    }
    return s;
}

/* Token r of such a page holds first + r in its first half and -r in the other. */
static inline void numbered(float *tokens, int rows, float first) {
    for (int i = 0; i < rows * STORE_DIM; i++) {
        int row = i / STORE_DIM;
        tokens[i] = i % STORE_DIM < STORE_DIM / 2 ? first + (float)row : (float)-row;
    }
}

/* Puts a sample with `count` numbered pages of (rows, columns). */
static inline void put_grid(struct store *s, const char *key, int64_t created, int count, int rows,
                            int columns, const char *input) {
    struct codec_state *codec = NULL;
    struct bytes packed[4];
    struct store_page pages[4];
    float *tokens = malloc((size_t)(rows * columns * STORE_DIM) * sizeof *tokens);
    char json[STREAM_KEY_BYTES + 64];
    if (tokens == NULL || count > 4 || codec_open(&codec, NULL) < 0) {
        exit(1);
    }
    for (int i = 0; i < count; i++) {
        numbered(tokens, rows * columns, (float)i * 100);
        bytes_init(&packed[i], 1 << 24);
        CHECK_NUMBER(codec_pack(codec, &packed[i], CODEC_BF16, tokens, rows * columns, STORE_DIM,
                                NULL, NULL),
                     0);
        pages[i] = (struct store_page){.page = i,
                                       .rows = rows,
                                       .columns = columns,
                                       .characters = 10,
                                       .codec = CODEC_BF16,
                                       .payload = packed[i].data,
                                       .size = packed[i].size};
    }
    snprintf(json, sizeof json, "{\"id\":\"%s\",\"created\":%lld}", key, (long long)created);
    const struct store_sample sample = {.key = key,
                                        .created = created,
                                        .json = json,
                                        .json_size = strlen(json),
                                        .text = "some text",
                                        .text_size = 9,
                                        .pages = pages,
                                        .page_count = (size_t)count,
                                        .input = input,
                                        .options = "codec=bf16"};
    struct error e = {0};
    if (!CHECK_NUMBER(store_put(s, &sample, &e), 0)) {
        printf("# %s\n", e.text);
    }
    for (int i = 0; i < count; i++) {
        bytes_close(&packed[i]);
    }
    codec_close(codec);
    free(tokens);
}

static inline void print_fault(void *context, const char *line) {
    (void)context;
    printf("# fault: %s\n", line);
}

static inline void check_verified(const char *path) {
    struct store *s = store_reader(path);
    CHECK_NUMBER(store_verify(s, print_fault, NULL, NULL), 0);
    store_close(s);
}

static inline int sum_bytes(void *context, const struct token_record *r, struct error *e) {
    int rc = bytes_append(context, &r->header, sizeof r->header, e);
    return rc == 0
               ? bytes_append(context, r->payload, (size_t)r->header.payload + r->header.facts, e)
               : rc;
}

/* Every byte of all records, and of an account. */
static inline struct bytes content(const char *path, const char *account) {
    struct bytes all;
    struct account_header header;
    double *sum = NULL;
    bytes_init(&all, 1 << 28);
    struct store *s = store_reader(path);
    CHECK_NUMBER(store_each(s, NULL, sum_bytes, &all, NULL), 0);
    if (store_get_account(s, account, &header, &sum, NULL) == 1) {
        CHECK_NUMBER(bytes_append(&all, &header, sizeof header, NULL), 0);
        CHECK_NUMBER(bytes_append(&all, sum, header.dim * sizeof *sum, NULL), 0);
    }
    free(sum);
    store_close(s);
    return all;
}

static inline bool same(struct bytes *a, struct bytes *b) {
    bool equal = a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
    bytes_close(a);
    bytes_close(b);
    return equal;
}

#endif
