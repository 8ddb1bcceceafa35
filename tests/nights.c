/* nights.c - for t0440 and t0450: what nightly runs do to a store, with synthetic tokens.
 *
 *     nights STORE LAST [DIM]       (128)
 *
 * Goes on after the last night that was finished, 0 in a new store, up to and with LAST.
 * Each night is a run of its own: four accounts post a page of 16 x 16 tokens (int8), the
 * posts of the three days before come again with other counts, and the store forgets with a
 * tau of one day, which folds what is 255 days old. Killed anywhere and run again, the store
 * has the same content. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/forget.h"

enum {
    SIDE = 16,
    MOST_DIM = 4096,
    DAY = 24 * 3600,
    FIRST = 10000 /* 1997: 0 is no date */,
    AGAIN = 3
};
static const char *const ACCOUNTS[] = {"ann", "bob", "cem", "dot"};
enum { ACCOUNT_COUNT = sizeof ACCOUNTS / sizeof *ACCOUNTS };

static void must(int rc, const struct error *e) {
    if (rc < 0) {
        fprintf(stderr, "nights: %s\n", e->text);
        exit(1);
    }
}

struct nights {
    struct store *s;
    struct store_encoder encoder;
    struct bytes packed[ACCOUNT_COUNT]; /* an account's page, whatever the day */
};

static void make_pages(struct nights *n) {
    static float tokens[SIDE * SIDE * MOST_DIM];
    struct codec_state *codec;
    struct error e;
    unsigned random = 1;
    must(codec_open(&codec, &e), &e);
    for (int a = 0; a < ACCOUNT_COUNT; a++) {
        for (int i = 0; i < SIDE * SIDE * n->encoder.dim; i++) {
            random = random * 1664525 + 1013904223;
            tokens[i] = (float)(random >> 16) - 32768;
        }
        bytes_init(&n->packed[a], 1 << 24);
        must(codec_pack(codec, &n->packed[a], CODEC_INT8, tokens, SIDE * SIDE, n->encoder.dim, NULL,
                        &e),
             &e);
    }
    codec_close(codec);
}

static void post(struct nights *n, int account, int day, int night) {
    char key[64], json[256], text[128], input[32];
    struct error e;
    snprintf(key, sizeof key, "%s/%d", ACCOUNTS[account], day);
    snprintf(input, sizeof input, "%d %d", day, night - day);
    snprintf(json, sizeof json,
             "{\"id\":\"%d\",\"account\":\"%s\",\"title\":\"Day %d of %s\",\"created\":%d,"
             "\"counts\":{\"views\":%d}}",
             day, ACCOUNTS[account], day, ACCOUNTS[account], (FIRST + day) * DAY,
             100 * (night - day));
    snprintf(text, sizeof text, "What %s did on day %d.", ACCOUNTS[account], day);
    const struct store_page page = {.rows = SIDE,
                                    .columns = SIDE,
                                    .characters = (uint32_t)strlen(text),
                                    .codec = CODEC_INT8,
                                    .payload = n->packed[account].data,
                                    .size = n->packed[account].size};
    const struct store_sample sample = {.key = key,
                                        .created = (int64_t)(FIRST + day) * DAY,
                                        .json = json,
                                        .json_size = strlen(json),
                                        .text = text,
                                        .text_size = strlen(text),
                                        .pages = &page,
                                        .page_count = 1,
                                        .input = input,
                                        .options = "codec=int8"};
    must(store_put(n->s, &sample, &e), &e);
}

/* The night to go on with: the one after the last in which the last account was aged. */
static int next_night(struct nights *n) {
    struct account_header header;
    struct error e;
    double *sum;
    int rc = store_get_account(n->s, ACCOUNTS[ACCOUNT_COUNT - 1], &header, &sum, &e);
    must(rc, &e);
    free(sum);
    return rc == 1 ? (int)(header.aged / DAY) - FIRST : 0;
}

static void run_night(struct nights *n, int night) {
    struct forget_options options = FORGET_DEFAULTS;
    struct forget_result result;
    struct error e;
    for (int account = 0; account < ACCOUNT_COUNT; account++) {
        for (int day = night < AGAIN ? 0 : night - AGAIN; day <= night; day++) {
            post(n, account, day, night);
        }
        must(store_commit(n->s, &e), &e);
    }
    options.tau = DAY;
    options.buckets = 7;
    options.now = (int64_t)(FIRST + night + 1) * DAY; /* in the morning */
    must(forget_run(n->s, &options, NULL, &result, &e), &e);
}

int main(int argc, char **argv) {
    struct nights n = {.encoder = {.name = "synthetic"}};
    struct error e;
    int last = argc > 2 ? (int)strtol(argv[2], NULL, 10) : -1;
    n.encoder.dim = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 128;
    if (last < 0 || n.encoder.dim < 1 || n.encoder.dim > MOST_DIM) {
        fprintf(stderr, "usage: nights STORE LAST [DIM]\n");
        return 2;
    }
    make_pages(&n);
    for (int night = 0; night <= last; night++) {
        must(store_open_write(&n.s, argv[1], &n.encoder, &e), &e);
        int next = next_night(&n);
        if (next <= last) {
            night = next;
            run_night(&n, night);
        }
        store_close(n.s);
    }
    for (int a = 0; a < ACCOUNT_COUNT; a++) {
        bytes_close(&n.packed[a]);
    }
    return 0;
}
